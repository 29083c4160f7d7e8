"""The decision curve: by hand, against scikit-learn's counts, and what a sound probability guarantees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from riskml.skill.decision import decision_curve


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    risk = np.round(rng.beta(1, 6, 400), 2)
    return (rng.random(400) < risk).astype(float), risk, rng.integers(1, 4, 400).astype(float)


def of(curve, model, column="net_benefit"):
    return curve.loc[curve["model"] == model, column].to_numpy()


def test_net_benefit_is_that_worked_out_by_hand():
    # From 0.25 on: visits to 4, of 10, find 2: 2/10 - 2/10 x (0.25 / 0.75).
    y = [1, 1, 0, 0, 1, 0, 0, 0, 0, 0]
    risk = [0.9, 0.25, 0.3, 0.25, 0.1, 0.1, 0.1, 0, 0, 0]
    curve = decision_curve({"m": risk}, y, thresholds=[0.25])
    assert of(curve, "m") == pytest.approx([2 / 10 - 2 / 10 / 3])
    assert of(curve, "everybody") == pytest.approx([3 / 10 - 7 / 10 / 3])
    assert of(curve, "nobody") == pytest.approx([0])
    assert of(curve, "m", "advantage") == pytest.approx([2 / 10 - 2 / 10 / 3 - (3 / 10 - 7 / 10 / 3)])
    assert of(curve, "m", "listed") == pytest.approx([4 / 10])
    assert of(curve, "m", "found") == pytest.approx([2 / 3])


def test_net_benefit_is_that_of_the_counts_of_scikit_learn_with_weights(rows):
    y, risk, weight = rows
    at = [0.05, 0.1, 0.3]
    curve = decision_curve({"m": risk}, y, thresholds=at, sample_weight=weight)
    for k, t in enumerate(at):
        _, in_vain, _, found = confusion_matrix(y, risk >= t, sample_weight=weight).ravel()
        assert of(curve, "m")[k] == pytest.approx((found - in_vain * t / (1 - t)) / weight.sum())


def test_at_the_share_that_returns_visiting_everybody_is_worth_nothing(rows):
    y, risk, weight = rows
    share = np.average(y, weights=weight)
    curve = decision_curve({"m": risk}, y, thresholds=[share], sample_weight=weight)
    assert of(curve, "everybody") == pytest.approx([0], abs=1e-12)


def test_a_true_risk_is_never_worth_less_than_the_rules_without_a_model_and_a_bold_one_is():
    # Groups of 100 in which exactly the stated share returns.
    risk = np.repeat(np.arange(1, 10) / 10, 100)
    y = np.concatenate([np.arange(100) < 100 * r for r in np.arange(1, 10) / 10]).astype(float)
    at = np.arange(0.05, 1, 0.1)
    bold = np.where(risk > 0.5, 0.99, 0.9)
    curve = decision_curve({"true": risk, "bold": bold}, y, thresholds=at)
    assert (of(curve, "true", "advantage") >= -1e-12).all()
    assert of(curve, "bold", "advantage").min() < -0.1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_weights_are_repeated_rows_and_their_order_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    y, risk, weight = rng.integers(0, 2, 20), rng.integers(0, 6, 20) / 5, rng.integers(1, 4, 20)
    columns = ["net_benefit", "listed", "found", "advantage"]
    curve = decision_curve({"m": risk}, y, sample_weight=weight)[columns]
    spelled = rng.permutation(np.repeat(np.arange(20), weight))
    np.testing.assert_allclose(decision_curve({"m": risk[spelled]}, y[spelled])[columns], curve, atol=1e-12)


def test_intervals_draw_clusters_and_the_advantage_is_paired():
    y, risk = np.tile([1.0, 0, 0, 0], 30), np.tile([0.6, 0.7, 0.2, 0.1], 30)
    same = decision_curve({"m": risk}, y, thresholds=[0.5], clusters=np.repeat(np.arange(30), 4), n_bootstrap=20)
    np.testing.assert_allclose(same["lower"], same["upper"])
    apart = decision_curve({"m": risk, "all too": np.ones(120)}, y, thresholds=[0.02], n_bootstrap=50)
    assert of(apart, "m", "lower") < of(apart, "m") < of(apart, "m", "upper")
    assert (apart.loc[apart["model"] == "all too", ["advantage_lower", "advantage_upper"]] == 0).all(axis=None)
    assert of(apart, "nobody", "upper") == pytest.approx([0])


@pytest.mark.parametrize(
    ("scores", "more", "message"),
    [
        ({}, {}, "scores is empty"),
        ({"m": [1.5, 0.2]}, {}, r"'m' is not a probability \(from 0.2 to 1.5\)"),
        ({"nobody": [0.5, 0.2]}, {}, "one of the two rules"),
        ({"m": [0.5, 0.2]}, {"thresholds": [0.0, 0.5]}, "between 0 and 1"),
        ({"m": [0.5, 0.2]}, {"thresholds": []}, "between 0 and 1"),
        ({"m": [0.5, np.nan]}, {}, "missing in 1 rows"),
    ],
)
def test_what_has_no_threshold_is_refused(scores, more, message):
    with pytest.raises(ValueError, match=message):
        decision_curve(scores, [1, 0], **more)


def test_a_district_without_returns_has_no_share_found():
    curve = decision_curve({"m": [0.5, 0.2]}, [0, 0], thresholds=[0.4])
    assert np.isnan(of(curve, "m", "found")).all()
    assert of(curve, "m") == pytest.approx([-(1 / 2) * 0.4 / 0.6])
