"""Lead time: worked out by hand, over every order of ties of every month, and what is left out is counted."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.skill.lead_time import lead_time, lead_time_summary

DATES = pd.date_range("2024-01-01", periods=4, freq="MS")


def panel(scores, dates=DATES):
    """Return scores by household, one a date (None: not scored), as a series."""
    rows = {(name, day): s for name, own in scores.items() for day, s in zip(dates, own, strict=True) if s is not None}
    series = pd.Series(rows, dtype=float)
    series.index = series.index.set_names(["household_id", "as_of_date"])
    return series


def returned(**days):
    return pd.Series({name: pd.Timestamp(day) for name, day in days.items()})


def test_leads_are_those_counted_by_hand():
    score = panel(
        {
            "early": [9, 1, 1, 1],
            "late": [1, 2, 9, 9],
            "never": [2, 3, 2, 2],
            "after": [3, 9, 3, 3],
            "new": [None, None, None, 0],
        }
    )
    days = returned(early="2024-05-01", late="2024-04-30", never="2024-05-01", after="2024-02-01", new="2024-02-01")
    table = lead_time({"m": score}, days, quota=1).set_index("household_id")
    assert table.loc["early", ["first_listed_on", "lead_months", "status"]].tolist() == [DATES[0], 4, "from_the_start"]
    # 1 March to 30 April: one month is completed.
    assert table.loc["late", ["first_listed_on", "lead_months", "status"]].tolist() == [DATES[2], 1, "listed"]
    assert table.loc["never", ["listed", "n_dates", "status"]].tolist() == [0, 4, "never_listed"]
    # Listed on 1 February, but that is the day of its return: no warning.
    assert table.loc["after", ["listed", "n_dates", "status"]].tolist() == [0, 1, "never_listed"]
    assert table.loc["new", ["listed", "n_dates", "status"]].tolist() == [0, 0, "not_scored"]
    assert table.loc[["never", "after", "new"], ["lead_months", "first_listed_on"]].isna().all(axis=None)


def test_households_that_did_not_return_take_places_but_have_no_row():
    score = panel({"a": [1, 1, 2, 2], "b": [2, 2, 1, 1]})
    table = lead_time({"m": score}, returned(a="2024-05-01", b=None), quota=1)
    assert table["household_id"].tolist() == ["a"]
    assert table["lead_months"].tolist() == [2]


def test_a_quota_below_one_is_a_share_of_the_weight_of_each_date():
    score = panel({"a": [1, 1, 1, 1], "b": [2, 2, 2, 2], "c": [3, 3, 3, 3]})
    weight = panel({"a": [1, 1, 1, 1], "b": [1, 1, 1, 1], "c": [2, 2, 2, 1]})
    day = returned(b="2024-05-01")
    # Half the weight is the household c alone while it weighs as much as the others; in April half of b has room.
    table = lead_time({"m": score}, day, quota=0.5, sample_weight=weight)
    assert table[["first_listed_on", "listed", "lead_months"]].iloc[0].tolist() == [DATES[3], 1 / 2, 1]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=2, max_size=3), st.integers(1, 2))
def test_with_ties_the_lead_is_the_mean_over_every_order_of_every_month(values, n_listed):
    names, dates = "abc"[: len(values)], DATES[:3]
    score = panel(dict(zip(names, values, strict=True)), dates)
    orders = [
        [o for o in permutations(range(len(values))) if (np.diff([values[i][k] for i in o]) <= 0).all()]
        for k in range(3)
    ]
    leads = {name: [] for name in names}
    for chosen in product(*orders):
        for i, name in enumerate(names):
            entered = [k for k in range(3) if i in chosen[k][:n_listed]]
            leads[name].append(3 - entered[0] if entered else np.nan)
    table = lead_time({"m": score}, returned(**dict.fromkeys(names, "2024-04-01")), quota=n_listed)
    for row in table.to_dict("records"):
        over = np.array(leads[row["household_id"]])
        assert row["listed"] == pytest.approx(np.mean(~np.isnan(over)))
        if np.isnan(over).all():
            assert np.isnan(row["lead_months"])
        else:
            assert row["lead_months"] == pytest.approx(np.nanmean(over))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_neither_the_order_of_rows_nor_another_scale_of_the_score_matters(seed):
    rng = np.random.default_rng(seed)
    score = panel({name: rng.integers(0, 4, 4) for name in "abcdef"})
    days = returned(
        **{name: DATES[rng.integers(0, 4)] + pd.DateOffset(days=int(rng.integers(0, 60))) for name in "abcd"}
    )
    table = lead_time({"m": score}, days, quota=2)
    moved = lead_time({"m": np.exp(score.iloc[rng.permutation(len(score))])}, days[::-1], quota=2)
    pd.testing.assert_frame_equal(table, moved)


def test_a_rule_that_sees_what_another_sees_k_months_later_leads_by_k_months():
    rng = np.random.default_rng(1)
    dates = pd.date_range("2022-01-01", periods=24, freq="MS")
    households = [f"h{i}" for i in range(200)]
    rows = pd.MultiIndex.from_product([households, dates], names=["household_id", "as_of_date"])
    # Trouble begins in some month from the seventh to the thirteenth; the return follows eight months later. Before a
    # rule sees it the household comes last, so that none is listed by chance.
    begins = rng.integers(6, 13, 30)
    scores = {}
    for name, delay in {"early": 0, "late": 5}.items():
        risk = rng.random((200, 24))
        for i, month in enumerate(begins):
            risk[i] = np.where(np.arange(24) >= month + delay, 2.0, -1.0)
        scores[name] = pd.Series(risk.ravel(), index=rows)
    days = pd.Series({f"h{i}": dates[month + 8] for i, month in enumerate(begins)})
    leads = lead_time(scores, days, quota=30)
    summary = lead_time_summary(leads, n_bootstrap=50).set_index("model")
    assert summary.loc["early", "lead_months"] == pytest.approx(8)
    assert summary.loc["late", "lead_months"] == pytest.approx(3)
    late_row = summary.loc["late"]
    assert late_row[["lead_over", "lead_over_lower", "lead_over_upper"]].tolist() == pytest.approx([5, 5, 5])
    assert late_row["n_both"] == 30


def test_the_summary_counts_what_the_means_leave_out_and_compares_the_same_households():
    one = panel(
        {"a": [9, 9, 9, 9], "b": [1, 8, 8, 8], "c": [2, 1, 1, 1], "d": [0, 0, 0, 0], "e": [None, None, None, 5]}
    )
    other = panel(
        {"a": [0, 0, 9, 9], "b": [9, 1, 1, 1], "c": [1, 2, 8, 8], "d": [8, 8, 0, 0], "e": [None, None, None, 5]}
    )
    days = returned(a="2024-05-01", b="2024-05-01", c="2024-05-01", d="2024-05-01", e="2024-02-01")
    leads = lead_time({"one": one, "other": other}, days, quota=2)
    summary = lead_time_summary(leads, n_bootstrap=100).set_index("model")
    first, second = summary.loc["one"], summary.loc["other"]
    # one: a and c from the start (4 months each), b listed on 1 February (3 months), d never.
    assert first[["returns", "listed", "from_the_start", "never_listed", "not_scored"]].tolist() == [5, 1, 2, 1, 1]
    assert first["lead_months"] == pytest.approx((4 + 4 + 3) / 3)
    assert first["share_listed"] == pytest.approx(3 / 4)
    # other: b and d from the start (4), c listed on 1 February (3), a on 1 March (2).
    assert second[["listed", "from_the_start", "never_listed"]].tolist() == [2, 2, 0]
    assert second["lead_months"] == pytest.approx((4 + 4 + 3 + 2) / 4)
    # Both list a (4 - 2), b (3 - 4) and c (4 - 3).
    assert second["lead_over"] == pytest.approx((2 - 1 + 1) / 3)
    assert second[["n_both", "only_reference", "only_this"]].tolist() == [3, 0, 1]
    assert first[["lead_over", "only_reference", "only_this"]].tolist() == [0, 0, 0]
    assert second["lead_over_lower"] <= second["lead_over"] <= second["lead_over_upper"]
    weighted = lead_time_summary(
        leads, sample_weight=pd.Series({**dict.fromkeys("bcde", 1.0), "a": 3.0}), n_bootstrap=0
    )
    assert weighted.set_index("model").loc["other", "lead_months"] == pytest.approx((4 + 4 + 3 + 3 * 2) / 6)
    together = lead_time_summary(leads, clusters=pd.Series(dict.fromkeys("abcde", 1)), n_bootstrap=5).iloc[1]
    assert together["lower"] == pytest.approx(together["upper"])


def test_where_nobody_is_listed_means_are_missing_not_zero():
    score = panel({"a": [1, 1, 1, 1], "b": [2, 2, 2, 2]})
    summary = lead_time_summary(lead_time({"m": score}, returned(a="2024-05-01"), quota=1), n_bootstrap=5).iloc[0]
    assert np.isnan(summary[["lead_months", "lower", "upper", "lead_over"]].astype(float)).all()
    assert summary[["never_listed", "share_listed"]].tolist() == [1, 0]


def test_what_does_not_fit_is_refused():
    score = panel({"a": [1, 1, 1, 1], "b": [2, 2, 2, 2]})
    days = returned(a="2024-05-01")
    for scores, more, message in [
        ({}, {}, "scores is empty"),
        ({"m": score, "n": score[::-1]}, {}, "'n' is indexed differently"),
        ({"m": score}, {"sample_weight": score[1:]}, "'sample_weight' is indexed differently"),
        ({"m": score.where(score > 1)}, {}, "'m' is missing in 4 rows"),
        ({"m": score.reset_index(drop=True)}, {}, "must be indexed by"),
        ({"m": pd.concat([score, score])}, {}, "each once"),
        ({"m": score}, {"quota": 0}, "quota must be positive"),
    ]:
        with pytest.raises(ValueError, match=message):
            lead_time(scores, days, **{"quota": 1, **more})
    leads = lead_time({"m": score}, days, quota=1)
    with pytest.raises(ValueError, match="not among the models"):
        lead_time_summary(leads, reference="n")
    with pytest.raises(ValueError, match=r"clusters is missing for 1 households \(first: 'a'\)"):
        lead_time_summary(leads, clusters=pd.Series({"b": 1}))
