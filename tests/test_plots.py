"""Pictures show the numbers of their tables."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from trees import explanation

from riskml.output.plots import (
    plot_calibration,
    plot_causes,
    plot_concentration,
    plot_decision,
    plot_groups,
    plot_household,
    plot_targeting_curve,
)
from riskml.output.watchlists import POINTS, watchlist
from riskml.skill.benefits import concentration_curve
from riskml.skill.decision import decision_curve
from riskml.skill.metrics import calibration_table
from riskml.skill.targeting import targeting_errors


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture
def table():
    values = np.array([[2.0, -0.5], [1.0, 0.3], [-1.0, -0.2]])
    why = explanation(values, np.ones((3, 2)), bills=("illness", "lines"), wage=("income", "lines"))
    return watchlist(why.risk, why)


@pytest.fixture
def curves():
    quota = np.linspace(0, 1, 5)
    return {
        name: pd.DataFrame({"quota": quota, "found": quota**power}) for name, power in (("riskml", 0.3), ("rules", 0.6))
    }


def test_the_targeting_curve_has_a_line_a_model_and_the_lot(curves):
    ax = plot_targeting_curve(curves)
    assert [line.get_label() for line in ax.lines[:2]] == ["riskml", "rules"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), curves["rules"]["found"])
    assert len(ax.lines) == 3


def test_the_calibration_picture_has_a_point_a_bin():
    y, risk = [0, 0, 1, 0, 1, 1], [0.1, 0.1, 0.2, 0.4, 0.6, 0.7]
    bins = calibration_table(y, risk, n_bins=3)
    ax = plot_calibration(bins)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), bins[["expected", "observed"]])


def test_the_causes_are_counted_over_the_first_three(table):
    ax = plot_causes(table)
    assert {label.get_text(): bar.get_width() for label, bar in zip(ax.get_yticklabels(), ax.patches, strict=True)} == {
        "illness": 2 + (table["cause_1"].iloc[-1] == "illness"),
        "low or falling income": 1 + (table["cause_1"].iloc[-1] == "income"),
    }


def test_the_steps_of_a_household_lead_to_its_risk(table):
    row = table.iloc[0]
    bars = plot_household(row).patches
    assert bars[0].get_width() == pytest.approx(row["risk"] - row[POINTS].sum())
    assert bars[-1].get_width() == pytest.approx(row["risk"])
    assert bars[-2].get_x() + bars[-2].get_width() == pytest.approx(row["risk"])


def test_a_picture_is_drawn_where_it_is_asked_for(table, curves):
    _, axes = plt.subplots(2, 2)
    assert plot_causes(table, ax=axes[0, 0]) is axes[0, 0]
    assert plot_household(table.iloc[0], ax=axes[0, 1]) is axes[0, 1]
    assert plot_targeting_curve(curves, ax=axes[1, 0]) is axes[1, 0]


def test_chinese_labels_need_a_font_and_fall_back_to_english_with_one_warning(table, monkeypatch):
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    with pytest.warns(UserWarning, match="no font with Chinese") as warned:
        ax = plot_causes(table, language="zh")
    assert len(warned) == 1
    assert ax.get_xlabel() == "households"


def test_chinese_labels_are_drawn_in_a_font_that_has_them(table):
    from riskml.output.plots import CHINESE_FONTS

    if not {font.name for font in font_manager.fontManager.ttflist} & set(CHINESE_FONTS):
        pytest.skip("no font with Chinese is installed")
    ax = plot_causes(table, language="zh")
    assert ax.get_xlabel() == "户数"
    ax.figure.canvas.draw()  # a missing glyph warns, and a warning fails


def test_the_concentration_picture_has_a_line_a_model_and_the_lot():
    welfare, scores = [1.0, 2.0, 3.0, 4.0], {"poorest": [4, 3, 2, 1], "richest": [1, 2, 3, 4]}
    curves = {name: concentration_curve(welfare, score, quota=2) for name, score in scores.items()}
    ax = plot_concentration(curves)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0, 0.5, 1, 1, 1])
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [0, 0, 0, 0.5, 1])
    assert len(ax.lines) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["poorest", "richest"]


def test_the_decision_picture_has_a_line_a_model_and_the_two_rules_dotted():
    y, risk = [0, 0, 1, 0, 1, 1], [0.1, 0.1, 0.2, 0.4, 0.6, 0.7]
    curve = decision_curve({"model": risk}, y, thresholds=(0.1, 0.5), n_bootstrap=20)
    ax = plot_decision(curve)
    # From 0.1: 3 found and 3 in vain of 6, less 3 x 1/9; from 0.5: 2 of 6 found, none in vain.
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3 / 6 - 3 / 6 / 9, 2 / 6])
    assert [line.get_linestyle() for line in ax.lines] == ["-", ":", ":"]
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == curve["upper"][:2].max()


def test_the_picture_of_groups_shows_each_with_its_interval_and_few_returns_hollow():
    y, head = np.repeat([1, 0], [60, 60]), np.tile(["man"] * 5 + ["woman"], 20)
    errors = targeting_errors(y, np.arange(120), quota=80, groups=pd.DataFrame({"head": head}), n_bootstrap=20)
    ax = plot_groups(errors)
    assert errors["few_events"].tolist() == [False, False, True]
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), errors["exclusion_error"][:2])
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), errors["exclusion_error"][2:])
    assert ax.lines[1].get_markerfacecolor() == "white"
    ends = [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()]
    assert ends == errors[["exclusion_error_lower", "exclusion_error_upper"]].to_numpy().tolist()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["all (60 returns)", "head: man (50 returns)", "head: woman (10 returns)"]
