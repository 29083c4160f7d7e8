"""Pictures show the numbers of their tables."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from trees import explanation

from riskml.causes import TOPICS
from riskml.output import plots
from riskml.output.plots import (
    DOWN,
    LEVEL,
    UP,
    plot_calibration,
    plot_causes,
    plot_concentration,
    plot_decision,
    plot_dependence,
    plot_groups,
    plot_household,
    plot_overall,
    plot_risk_history,
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
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/fonts/DejaVuSans.ttf"])
    with pytest.warns(UserWarning, match="no font with Chinese") as warned:
        ax = plot_causes(table, language="zh")
    assert len(warned) == 1
    assert ax.get_xlabel() == "households"


def test_a_font_installed_after_matplotlib_made_its_list_is_found(table, monkeypatch):
    added = []
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/fonts/DejaVuSans.ttf", "/fonts/NotoSansCJK.ttc"])
    monkeypatch.setattr(font_manager.fontManager, "addfont", added.append)
    with pytest.warns(UserWarning, match="no font with Chinese"):  # the fake one is not really added
        plot_causes(table, language="zh")
    assert set(added) == {"/fonts/NotoSansCJK.ttc"}


def test_chinese_labels_are_drawn_in_a_font_that_has_them(table):
    if not plots._chinese_fonts():
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


# --- why -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def why():
    rng = np.random.default_rng(0)
    X = rng.normal(1, 0.5, (60, 3))
    X[:9, 0] = np.nan
    values = np.nan_to_num(X - 1, nan=0.4) * [1.0, -2.0, 0.5]
    return explanation(values, X, bills=("illness", "lines"), wage=("income", "lines"), roof=("housing", "grade"))


@pytest.fixture
def history():
    days = pd.date_range("2024-01-01", periods=4, freq="MS")
    news = ["", "incomes;medical", "incomes", "visits;medical"]
    risk, at_risk = [0.02, np.nan, 0.3, 0.2], [True, False, True, True]
    return pd.DataFrame({"as_of_date": days, "risk": risk, "at_risk": at_risk, "start": 0.03, "new_tables": news})


def test_a_household_is_drawn_with_topics_that_are_true_both_ways(table):
    labels = [label.get_text() for label in plot_household(table.iloc[0]).get_yticklabels()]
    assert labels[0] == "starting point"
    assert labels[-1] == "risk"
    assert set(labels[1:-1]) <= {english for english, _ in TOPICS.values()}


def test_the_history_is_broken_where_the_household_was_not_at_risk(history):
    ax = plot_risk_history(history)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), history["risk"])
    grey = [line for line in ax.lines if line.get_color() == LEVEL and line.get_linewidth() == 6]
    assert len(grey) == 1


@pytest.mark.parametrize(("language", "names"), [("en", {"medical bills", "visits"}), ("zh", {"医疗费用", "走访"})])
def test_the_history_marks_the_days_on_which_records_were_new_by_table(history, language, names):
    ax = plot_risk_history(history, language=language)
    assert {text.get_text() for text in ax.texts} == names
    marks = [line for line in ax.lines if line.get_marker() == "D"]
    days = history["as_of_date"].to_numpy()
    assert [list(line.get_xdata()) for line in marks] == [[days[1], days[3]], [days[3]]]


def test_a_history_of_nothing_but_days_out_of_sight_is_drawn(history):
    ax = plot_risk_history(history.assign(risk=np.nan, at_risk=False, new_tables=""))
    ax.figure.canvas.draw()
    assert ax.get_ylim()[1] > 0.03


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_matters_overall_is_drawn_by_shap_with_labels_and_no_jargon(why, language):
    pytest.importorskip("shap")
    ax = plot_overall(why, max_features=1, language=language)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    rest = {"en": "all other features", "zh": "其余各项"}[language]
    assert labels == [rest, {"en": "the wage", "zh": "某wage"}[language]]
    assert "SHAP" not in "".join(text.get_text() for axes in ax.figure.axes for text in axes.findobj(Text))
    ax.figure.canvas.draw()


def test_the_pictures_of_the_shap_package_work_on_what_is_handed_to_it(why):
    shap = pytest.importorskip("shap")
    given = why.to_shap()
    for draw in (
        lambda: shap.plots.beeswarm(given, show=False),
        lambda: shap.plots.bar(given, show=False),
        lambda: shap.plots.waterfall(given[0], show=False),
        lambda: shap.plots.scatter(given[:, "wage"], show=False),
    ):
        draw()
        plt.gcf().canvas.draw()
        plt.close("all")


@pytest.mark.parametrize(("direction", "said"), [(1, "only raise"), (-1, "only lower"), (0, "either way")])
def test_dependence_shows_every_household_and_the_direction_of_the_dictionary(why, direction, said):
    why.dictionary["direction"] = direction
    ax = plot_dependence(why, "bills")
    known, unknown = (np.asarray(points.get_offsets()) for points in ax.collections)
    assert (len(known), len(unknown)) == (51, 9)
    np.testing.assert_allclose(known[:, 1], 100 * why.in_points("feature")["bills"][9:])
    assert unknown[:, 0].max() < known[:, 0].min()
    assert said in ax.get_title(loc="left")
    with pytest.raises(KeyError, match="'debts' is not among the 3 features"):
        plot_dependence(why, "debts")


# --- colours ---------------------------------------------------------------------------------------------------------

#: What is left of a colour (linear RGB) without one kind of cone: Machado, Oliveira and Fernandes 2009, severity 1.
BLINDNESS = {
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deuteranopia": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


def linear(colour):
    """Return linear RGB of a hex colour (sRGB)."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """Return CIELAB of linear RGB under D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    ratio = xyz / [0.9505, 1.0, 1.089]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("colour", [UP, DOWN, LEVEL])
def test_every_colour_stands_out_from_white_paper(colour):
    """Three to one is what WCAG 2.1 asks of graphics."""
    luminance = linear(colour) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3


@pytest.mark.parametrize("kind", list(BLINDNESS))
def test_what_raises_and_what_lowers_are_told_apart_by_colour_blind_readers(kind):
    seen = {
        name: lab(np.clip(np.array(BLINDNESS[kind]) @ linear(colour), 0, 1))
        for name, colour in (("up", UP), ("down", DOWN))
    }
    assert np.linalg.norm(seen["up"] - seen["down"]) >= 40


def test_red_and_green_would_not_have_passed():
    seen = [
        lab(np.clip(np.array(BLINDNESS["deuteranopia"]) @ linear(colour), 0, 1)) for colour in ("#d62728", "#2ca02c")
    ]
    assert np.linalg.norm(seen[0] - seen[1]) < 40


def test_the_report_has_the_same_colours():
    css = (Path(plots.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    for name, colour in (("up", UP), ("down", DOWN), ("level", LEVEL)):
        assert f"--{name}: {colour};" in css
