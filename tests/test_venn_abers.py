"""Venn-Abers: the isotonic fits of its definition, and bounds of the outcomes a pair rests on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from riskml.model.venn_abers import N_STEPS, venn_abers


def by_definition(margin, y, asked, outcome):
    """Fit the rows and the one asked about, whose outcome is supposed, as the paper says."""
    fit = IsotonicRegression().fit(np.append(margin, asked), np.append(y, outcome))
    return fit.predict([asked]).item()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 60))
def test_every_pair_is_that_of_two_isotonic_fits(seed, n):
    rng = np.random.default_rng(seed)
    margin = rng.integers(-8, 4, n).astype(float)
    y = (rng.random(n) < expit(margin)).astype(float)
    # Information alike in every row: each score has a step of its own.
    found = venn_abers(margin, y, np.ones(n), np.full(n, 0.5))
    for asked in np.unique(margin):
        expected = [by_definition(margin, y, asked, outcome) for outcome in (0, 1)]
        np.testing.assert_allclose(found.pair(np.array([asked]))[0], expected, rtol=0, atol=1e-12)


def test_many_scores_are_rounded_to_steps_and_the_fit_is_that_of_the_rounded():
    rng = np.random.default_rng(0)
    margin = rng.normal(-2, 1, 3000)
    y = (rng.random(3000) < expit(margin)).astype(float)
    found = venn_abers(margin, y, np.ones(3000), expit(margin))
    assert 0.9 * N_STEPS <= len(found.p0) <= N_STEPS
    step = np.searchsorted(found.thresholds, margin, side="right").astype(float)
    for asked in (0, 50, len(found.p0) - 1):
        expected = [by_definition(step, y, asked, outcome) for outcome in (0, 1)]
        np.testing.assert_allclose([found.p0[asked], found.p1[asked]], expected, rtol=0, atol=1e-12)


def test_whole_weights_count_as_so_many_rows():
    rng = np.random.default_rng(1)
    margin, weight = rng.integers(-5, 3, 50).astype(float), rng.integers(1, 5, 50)
    y = (rng.random(50) < expit(margin)).astype(float)
    once = venn_abers(margin, y, weight.astype(float), np.full(50, 0.5))
    many = (np.repeat(values, weight) for values in (margin, y, np.ones(50), np.full(50, 0.5)))
    again = venn_abers(*many)
    asked = np.unique(margin)
    np.testing.assert_allclose(once.pair(asked), again.pair(asked), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 30), (3, 30), (30, 30), (1, 1)])
def test_of_one_score_the_bounds_are_those_of_clopper_and_pearson(k, n):
    y = (np.arange(n) < k).astype(float)
    found = venn_abers(np.zeros(n), y, np.ones(n), np.full(n, 0.5))
    lower, centre, upper = found.interval(np.zeros(1), 0.9)[0]
    expected = binomtest(k, n).proportion_ci(0.9, "exact")
    assert (lower, upper) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert centre == pytest.approx((k + 1) / (n + 2))


def test_one_of_the_two_probabilities_is_calibrated():
    # The theorem of exchangeable rows: over draws, risk given and share of returns agree for the p of what happened.
    given_risk, returned = [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        margin = rng.integers(-3, 2, 41).astype(float)
        y = (rng.random(41) < expit(1.7 * margin + 0.5)).astype(float)
        found = venn_abers(margin[:40], y[:40], np.ones(40), np.full(40, 0.5))
        if margin[40] in margin[:40]:
            given_risk.append(found.pair(margin[40:])[0, int(y[40])])
            returned.append(y[40])
    given_risk, returned = np.array(given_risk), np.array(returned)
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 1.01)):
        part = (low <= given_risk) & (given_risk < high)
        error = np.sqrt(0.25 / part.sum())
        assert returned[part].mean() == pytest.approx(given_risk[part].mean(), abs=3 * error)


def test_steps_move_along_a_line_in_the_log_odds_and_certainty_stays_certain():
    found = venn_abers(np.arange(4.0), np.array([0.0, 0, 1, 1]), np.ones(4), np.full(4, 0.5))
    moved = found.moved(0.5, 1.0)
    some = np.array(found.p1) < 1
    np.testing.assert_allclose(
        logit(np.array(moved.p1)[some]), 0.5 * logit(np.array(found.p1)[some]) + 1, rtol=0, atol=1e-12
    )
    assert (moved.p0[0], moved.p1[-1]) == (0, 1)
