"""Who surely belongs on a list, and for whom a visit must tell: the cut-off, its sides, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.output.certainty import LOOK_COLUMNS, go_and_look


def scored(risk, lower=0.1, upper=0.1):
    """Everybody scored, in the order of rank, with an interval that reaches so far to either side."""
    risk = np.array(risk, dtype=float)
    return pd.DataFrame(
        {
            "household_id": [f"h{k}" for k in range(len(risk))],
            "as_of_date": pd.Timestamp("2024-12-01"),
            "area_id": "5201",
            "rank": np.arange(1, len(risk) + 1),
            "risk": risk,
            "risk_lower": risk - lower,
            "risk_upper": risk + upper,
            "reason_en": "",
        }
    )


def test_a_list_ends_halfway_between_its_last_household_and_the_first_below():
    found = go_and_look(scored([0.9, 0.5, 0.44, 0.4, 0.2]), n=3)
    assert found["cut_off"].tolist() == pytest.approx([(0.44 + 0.4) / 2] * 5)
    assert found["listed"].tolist() == [True, True, True, False, False]
    # 0.5 - 0.1 < 0.42 < 0.4 + 0.1, and 0.2 + 0.1 < 0.42 < 0.9 - 0.1.
    assert found["standing"].tolist() == ["sure", "look", "look", "look", "below"]
    assert list(found.columns) == LOOK_COLUMNS


def test_a_threshold_takes_the_place_of_a_length():
    found = go_and_look(scored([0.9, 0.5, 0.3, 0.1]), threshold=0.3)
    assert found["listed"].tolist() == [True, True, True, False]
    assert found["standing"].tolist() == ["sure", "sure", "look", "below"]
    assert (found["cut_off"] == 0.3).all()


def test_households_of_one_risk_on_both_sides_of_the_cut_are_all_unsure():
    found = go_and_look(scored([0.9, 0.3, 0.3, 0.3, 0.1], lower=0.0, upper=0.0), n=2)
    assert found["standing"].tolist() == ["sure", "look", "look", "look", "below"]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(0.001, 0.2))
def test_nobody_sure_stands_below_the_list_and_wider_intervals_make_nobody_surer(seed, n_scored, reach):
    risk = np.sort(np.random.default_rng(seed).random(n_scored))[::-1]
    n = 1 + seed % (n_scored - 1)
    narrow, wide = (go_and_look(scored(risk, r, r), n=n) for r in (reach, 2 * reach))
    for found in (narrow, wide):
        assert found.loc[found["standing"] == "sure", "listed"].all()
        assert not found.loc[found["standing"] == "below", "listed"].any()
        assert found["listed"].sum() == n
    assert (wide.loc[narrow["standing"] == "look", "standing"] == "look").all()


@pytest.mark.parametrize("how", [{}, {"n": 1, "threshold": 0.5}])
def test_one_of_length_and_threshold_is_needed(how):
    with pytest.raises(ValueError, match="one of the two"):
        go_and_look(scored([0.5, 0.2]), **how)


@pytest.mark.parametrize(
    ("how", "said"),
    [({"n": 2}, "list of 2 needs more"), ({"n": 0}, "list of 0 needs"), ({"threshold": 1.0}, "between 0 and 1")],
)
def test_a_list_that_ends_nowhere_is_refused(how, said):
    with pytest.raises(ValueError, match=said):
        go_and_look(scored([0.5, 0.2]), **how)


def test_risks_without_an_interval_are_refused_in_both_languages(monkeypatch):
    table = scored([0.5, 0.2, 0.1]).assign(risk_lower=[0.4, np.nan, np.nan])
    with pytest.raises(ValueError, match="2 of 3 households have no interval of their risk \\(first: 'h1'\\)"):
        go_and_look(table, n=1)
    monkeypatch.setenv("RISKML_LANG", "zh")
    with pytest.raises(ValueError, match="3户中有2户没有风险区间"):
        go_and_look(table, n=1)
