"""Figures of rankings and probabilities: against scikit-learn and counting by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from riskml.skill.metrics import calibration_slope, calibration_table, evaluate
from riskml.skill.targeting import targeting_errors


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    risk = np.round(rng.beta(1, 6, 400), 2)
    return (rng.random(400) < risk).astype(float), risk, rng.integers(1, 4, 400).astype(float)


def value(table, figure, model="riskml", column="value"):
    return table[(table["figure"] == figure) & (table["model"] == model)][column].item()


def test_figures_are_those_of_scikit_learn_with_ties_and_weights(rows):
    y, risk, weight = rows
    table = evaluate({"riskml": risk}, y, sample_weight=weight, n_bootstrap=0)
    inside = np.clip(risk, 1e-6, 1 - 1e-6)
    assert value(table, "auroc") == pytest.approx(roc_auc_score(y, risk, sample_weight=weight))
    assert value(table, "average_precision") == pytest.approx(average_precision_score(y, risk, sample_weight=weight))
    assert value(table, "brier") == pytest.approx(brier_score_loss(y, inside, sample_weight=weight))
    assert value(table, "log_loss") == pytest.approx(log_loss(y, inside, sample_weight=weight))
    cox = LogisticRegression(C=np.inf, tol=1e-10).fit(np.log(inside / (1 - inside))[:, None], y, sample_weight=weight)
    assert value(table, "calibration_slope") == pytest.approx(cox.coef_.item(), abs=1e-4)
    assert value(table, "calibration_intercept") == pytest.approx(cox.intercept_.item(), abs=1e-4)


def test_weights_count_as_repeated_rows_do(rows):
    y, risk, weight = rows
    repeated = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = evaluate({"riskml": risk}, y, sample_weight=weight, n_bootstrap=0)
    spelled_out = evaluate({"riskml": risk[repeated]}, y[repeated], n_bootstrap=0)
    np.testing.assert_allclose(weighted["value"], spelled_out["value"], rtol=1e-8)


def test_intervals_come_from_drawing_whole_clusters():
    # Every cluster holds the same rows, so every draw gives the same table.
    y, risk = np.tile([1.0, 0, 0, 0], 30), np.tile([0.6, 0.7, 0.2, 0.1], 30)
    villages = np.repeat(np.arange(30), 4)
    drawn = evaluate({"riskml": risk}, y, clusters=villages, n_bootstrap=20)
    np.testing.assert_allclose(drawn["lower"], drawn["upper"])
    np.testing.assert_allclose(drawn["lower"], drawn["value"])
    apart = evaluate({"riskml": risk}, y, n_bootstrap=20)
    assert value(apart, "auroc", column="lower") < value(apart, "auroc") < value(apart, "auroc", column="upper")


def test_differences_are_paired_so_that_equal_scores_differ_by_exactly_nothing(rows):
    y, risk, _ = rows
    table = evaluate({"riskml": risk, "twin": risk, "noise": np.arange(400.0)}, y, n_bootstrap=20)
    twin = table[table["model"] == "twin"]
    assert (twin[["difference", "difference_lower", "difference_upper"]] == 0).all(axis=None)
    gap = value(table, "auroc") - value(table, "auroc", "noise")
    assert value(table, "auroc", "noise", "difference") == pytest.approx(gap)
    assert value(table, "auroc", "noise", "difference_lower") < gap < value(table, "auroc", "noise", "difference_upper")


def test_a_ranking_has_no_figures_of_a_probability(rows):
    y, risk, _ = rows
    table = evaluate({"ranking": -10 * (1 - risk)}, y, n_bootstrap=0)
    assert np.isnan(value(table, "brier", "ranking"))
    assert np.isnan(value(table, "calibration_slope", "ranking"))
    assert value(table, "auroc", "ranking") == pytest.approx(roc_auc_score(y, risk))


def test_the_table_is_of_one_form_whatever_is_asked(rows):
    y, risk, _ = rows
    one = evaluate({"riskml": risk}, y, n_bootstrap=0)
    two = evaluate({"riskml": risk, "b": risk}, y, groups=np.arange(400) % 2, n_bootstrap=3)
    assert list(one) == list(two)
    assert one.dtypes.equals(two.dtypes)
    assert len(two) == 4 * len(one)


@pytest.mark.parametrize(
    ("y", "risk", "message"),
    [
        ([1, 0], [0.5], "of one length"),
        ([1, 2], [0.5, 0.1], "must be 0 or 1"),
        ([1, np.nan], [0.5, 0.1], "must be 0 or 1"),
        ([1, 0], [0.5, np.nan], "missing in 1 rows"),
        (pd.Series([1, 0], index=["a", "b"]), pd.Series([0.5, 0.1], index=["b", "a"]), "indexed differently"),
    ],
)
def test_scores_that_do_not_fit_the_outcomes_are_refused(y, risk, message):
    with pytest.raises(ValueError, match=message):
        targeting_errors(y, risk, quota=1)
    with pytest.raises(ValueError, match=message):
        evaluate({"riskml": risk}, y, n_bootstrap=0)


def test_bins_of_the_calibration_table_are_of_equal_size_and_keep_the_sums(rows):
    y, risk, _weight = rows
    table = calibration_table(y, risk, n_bins=5)
    assert table["n"].sum() == len(y)
    assert (table["expected"] * table["n"]).sum() == pytest.approx(risk.sum())
    assert (table["observed"] * table["n"]).sum() == pytest.approx(y.sum())
    assert table["expected"].is_monotonic_increasing
    assert ((table["observed_lower"] <= table["observed"]) & (table["observed"] <= table["observed_upper"])).all()
    spread = calibration_table(y, np.arange(400) / 400, n_bins=4)
    assert spread["n"].tolist() == [100, 100, 100, 100]


def test_calibration_slope_recovers_a_known_distortion():
    rng = np.random.default_rng(2)
    z = rng.normal(-2, 1.5, 200_000)
    y = (rng.random(len(z)) < expit(z)).astype(float)
    # Predictions twice too bold and half a log-odds too high: z = (logit p - 0.5) / 2.
    slope, intercept = calibration_slope(y, expit(2 * z + 0.5))
    assert slope == pytest.approx(1 / 2, abs=0.02)
    assert intercept == pytest.approx(-0.5 / 2, abs=0.02)
    assert np.isnan(calibration_slope([0, 0], [0.1, 0.2])).all()
