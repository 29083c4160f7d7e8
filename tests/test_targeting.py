"""Errors and curves of lists: against counting by hand, every order of ties, exact intervals and scikit-learn."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import precision_recall_curve, roc_auc_score

from riskml.skill.metrics import evaluate
from riskml.skill.targeting import targeting_curve, targeting_errors

ERRORS = ["exclusion_error", "inclusion_error"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    risk = np.round(rng.beta(1, 6, 400), 2)
    return (rng.random(400) < risk).astype(float), risk, rng.integers(1, 4, 400).astype(float)


# --- errors of a list ------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=2, max_size=6), st.data())
def test_errors_are_the_mean_over_every_order_of_ties_and_the_bounds_their_extremes(pairs, data):
    y, risk = np.array(pairs, dtype=float).T
    n_listed = data.draw(st.integers(1, len(y)))
    if y.sum() == 0:
        y[0] = 1.0
    missed, in_vain = [], []
    for order in permutations(range(len(y))):
        if (np.diff(risk[list(order)]) <= 0).all():
            listed = list(order)[:n_listed]
            missed.append(1 - y[listed].sum() / y.sum())
            in_vain.append(1 - y[listed].mean())
    row = targeting_errors(y, risk, quota=n_listed).iloc[0]
    for name, values in zip(ERRORS, (missed, in_vain), strict=True):
        assert row[name] == pytest.approx(np.mean(values))
        assert row[f"{name}_low"] == pytest.approx(min(values))
        assert row[f"{name}_high"] == pytest.approx(max(values))
    share = n_listed / len(y)
    if share < 1:
        table = evaluate({"a": risk + 2}, y, quota=[share], n_bootstrap=0)
        recall = table[table["figure"].str.startswith("recall@")]["value"].item()
        assert np.isnan(recall) if y.all() else recall == pytest.approx(1 - np.mean(missed))


def test_a_quota_is_a_share_below_one_and_a_number_from_one_on():
    y, risk = [1, 0, 1, 0, 0, 0, 0, 0, 0, 0], np.arange(10, 0, -1)
    by_share = targeting_errors(y, risk, quota=0.2)
    assert by_share[ERRORS].values.tolist() == [[1 - 1 / 2, 1 - 1 / 2]]
    pd.testing.assert_frame_equal(by_share, targeting_errors(y, risk, quota=2))


def test_groups_share_one_list_and_each_has_its_own_errors():
    y, risk = [1, 1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.3, 0.2, 0.1]
    table = targeting_errors(y, risk, quota=3, groups=["a", "a", "b", "b", "b", "b"]).set_index("group")
    assert table["listed"].tolist() == [2, 1]
    assert table["exclusion_error"].tolist() == [0, 1]
    assert table["inclusion_error"].tolist() == [0, 1]


def test_a_group_without_returns_or_without_anyone_listed_gives_nan_not_an_error():
    table = targeting_errors([1, 0, 0], [3, 2, 1], quota=1, groups=["a", "b", "c"]).set_index("group")
    assert np.isnan(table.loc["b", ERRORS].astype(float)).all()
    assert table.loc["a", ERRORS].tolist() == [0, 0]


def test_the_interval_of_a_share_has_the_width_of_the_binomial_law():
    # With everyone listed the inclusion error is the share that does not return, whose standard error is known.
    rng = np.random.default_rng(1)
    y = (rng.random(2000) < 0.2).astype(float)
    row = targeting_errors(y, rng.random(2000), quota=2000, n_bootstrap=400).iloc[0]
    width = row["inclusion_error_upper"] - row["inclusion_error_lower"]
    assert width == pytest.approx(2 * 1.96 * np.sqrt(y.mean() * (1 - y.mean()) / 2000), rel=0.15)


def test_the_curve_counts_what_lists_of_each_length_find():
    y, risk = [1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1]
    curve = targeting_curve(y, risk)
    assert curve["quota"].tolist() == [0, 1 / 4, 3 / 4, 1]
    assert curve["found"].tolist() == [0, 1 / 2, 1, 1]
    assert curve["precision"].tolist()[1:] == [1, 2 / 3, 2 / 4]


def test_the_curve_is_that_of_scikit_learn(rows):
    y, risk, weight = rows
    curve = targeting_curve(y, risk, sample_weight=weight)
    precision, recall, _ = precision_recall_curve(y, risk, sample_weight=weight)
    # Theirs goes from everybody to the shortest list and ends with a point of its own.
    np.testing.assert_allclose(curve["precision"][1:], precision[-2::-1][: len(curve) - 1])
    np.testing.assert_allclose(curve["found"][1:], recall[-2::-1][: len(curve) - 1])
    np.testing.assert_allclose(curve["lift"][1:], curve["precision"][1:] / np.average(y, weights=weight))
    # Area under the gain curve = (share of returns) / 2 + (1 - share of returns) x AUROC.
    area, share = np.trapezoid(curve["found"], curve["quota"]), np.average(y, weights=weight)
    assert area == pytest.approx(share / 2 + (1 - share) * roc_auc_score(y, risk, sample_weight=weight))


def test_the_curve_of_a_district_without_returns_has_no_gain_and_no_error():
    curve = targeting_curve([0, 0], [2, 1])
    assert curve[["found", "lift"]].isna().all(axis=None)
    assert curve["precision"].tolist()[1:] == [0, 0]


# --- errors of a group -----------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from("ab")), min_size=2, max_size=6), st.data()
)
def test_the_bounds_of_a_group_are_its_extremes_over_every_order_of_ties(triples, data):
    y, risk, group = (np.array(column) for column in zip(*triples, strict=True))
    n_listed = data.draw(st.integers(1, len(y)))
    table = targeting_errors(y, risk, quota=n_listed, groups=group).set_index("group")
    for name in np.unique(group):
        missed, in_vain, inside = [], [], group == name
        for order in permutations(range(len(y))):
            if (np.diff(risk[list(order)]) <= 0).all():
                listed = np.isin(np.arange(len(y)), order[:n_listed])
                if y[inside].any():
                    missed.append((y * ~listed)[inside].sum() / y[inside].sum())
                if (listed & inside).any():
                    in_vain.append(1 - y[listed & inside].mean())
        row = table.loc[name]
        for figure, values in zip(ERRORS, (missed, in_vain), strict=True):
            if values:
                assert row[f"{figure}_low"] == pytest.approx(min(values))
                assert row[f"{figure}_high"] == pytest.approx(max(values))
            else:
                assert np.isnan(row[[figure, f"{figure}_low", f"{figure}_high"]].astype(float)).all()
        if missed:
            assert row["exclusion_error"] == pytest.approx(np.mean(missed))


def test_a_group_where_every_return_is_missed_has_the_exact_interval_not_none():
    # 5 of 5 missed: Clopper and Pearson's lower end is 0.025^(1/5); drawing rows alone would say 100 % to 100 %.
    y, risk, group = np.ones(105), np.r_[np.zeros(5), np.ones(100)], np.array(["few"] * 5 + ["many"] * 100)
    table = targeting_errors(y, risk, quota=10, groups=group, n_bootstrap=50).set_index("group")
    few = table.loc["few"]
    assert few["few_events"]
    assert not table.loc["many", "few_events"]
    assert few["exclusion_error"] == 1
    assert few["exclusion_error_lower"] == pytest.approx(0.025 ** (1 / 5))
    assert few["exclusion_error_upper"] == 1
    assert table.loc["many", "exclusion_error"] == pytest.approx(1 - 10 / 100)


def test_the_exact_interval_counts_weighted_returns_as_fewer_rows():
    # Weights 1 and 3 in turn: effective number (4 x 10)^2 / (10 x 10) = 16 of 20 rows.
    y, weight = np.ones(20), np.tile([1.0, 3.0], 10)
    row = targeting_errors(y, np.arange(20), quota=1e-9, sample_weight=weight, n_bootstrap=20).iloc[0]
    assert row["exclusion_error_lower"] == pytest.approx(beta.ppf(0.025, 16, 1))


def test_intervals_of_small_groups_hold_the_truth_as_often_as_they_say():
    # Eight returns a group, each missed with probability 0.9: drawn intervals alone would hold it about half the time.
    rng, held = np.random.default_rng(4), 0
    for _ in range(150):
        missed = rng.random(8) < 0.9
        y, risk = np.ones(108), np.r_[np.where(missed, 0.0, 1.0), np.ones(100)]
        table = targeting_errors(
            y, risk, quota=float((risk == 1).sum()), groups=np.arange(108) < 8, n_bootstrap=40
        ).set_index("group")
        row = table.loc["True"]
        held += row["exclusion_error_lower"] <= 0.9 <= row["exclusion_error_upper"]
    assert held >= 0.95 * 150 - 1.96 * np.sqrt(150 * 0.95 * 0.05)
