"""Calibration: recovers known distortions, looks only backward, and is not misled by drift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from riskml.model.calibration import Rows, calibrate, fit_affine
from riskml.model.venn_abers import venn_abers

DATES = pd.date_range("2019-01-01", periods=16, freq="QS")


def world(seed, *, slope=1.0, levels=0.0, n_households=1500, dates=DATES):
    """Rows whose only column is the margin; log-odds of returning are slope * margin + level of the date."""
    rng = np.random.default_rng(seed)
    household = np.repeat(np.arange(n_households), len(dates))
    margin = np.repeat(rng.normal(-2.5, 1.2, n_households), len(dates)) + rng.normal(0, 0.5, len(household))
    level = np.tile(np.broadcast_to(levels, len(dates)), n_households)
    y = (rng.random(len(household)) < expit(slope * margin + level)).astype(np.int64)
    return Rows(margin[:, None], y, np.ones(len(y)), household, pd.DatetimeIndex(np.tile(dates, n_households)))


def identity(rows):
    """A model that has learned the margin and nothing else."""
    return lambda X: X[:, 0]


def learned(rows, train=identity):
    return calibrate(rows, train, horizon_months=12, seed=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_one_block_without_prior_is_the_logistic_regression_of_scikit_learn(weighted):
    rng = np.random.default_rng(0)
    margin, weight = rng.normal(-1, 2, 800), rng.uniform(0.5, 3, 800) if weighted else np.ones(800)
    y = (rng.random(800) < expit(0.7 * margin - 0.4)).astype(np.int64)
    slope, levels = fit_affine(margin, y, weight)
    other = LogisticRegression(C=np.inf, tol=1e-12).fit(margin[:, None], y, sample_weight=weight)
    assert slope == pytest.approx(other.coef_.item(), abs=1e-4)
    assert levels == pytest.approx(other.intercept_, abs=1e-4)


def test_blocks_have_one_slope_and_a_level_each():
    rng = np.random.default_rng(1)
    block = np.repeat([0, 1, 2], 40_000)
    margin = rng.normal(-1, 1, len(block))
    y = (rng.random(len(block)) < expit(0.6 * margin + np.array([-1, 0, 1])[block])).astype(np.int64)
    slope, levels = fit_affine(margin, y, np.ones(len(y)), block=block)
    assert slope == pytest.approx(0.6, abs=0.03)
    assert levels == pytest.approx([-1, 0, 1], abs=0.05)


def test_separable_margins_stay_finite_and_the_prior_keeps_them_near_one():
    margin, y = np.array([-2.0, -1, 1, 2]), np.array([0, 0, 1, 1])
    assert np.isfinite(fit_affine(margin, y, np.ones(4))[0])
    assert fit_affine(margin, y, np.ones(4), prior_sd=0.25)[0] == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.6])
def test_a_model_too_bold_or_too_shy_is_put_right(slope):
    found = learned(world(2, slope=slope, levels=-0.3))
    assert found.source == "forward_chained"
    assert found.slope == pytest.approx(slope, abs=0.1)
    assert found.slope * found.centre + found.intercept == pytest.approx(slope * found.centre - 0.3, abs=0.1)


def test_drift_moves_the_level_to_the_newest_year_and_leaves_the_slope():
    levels = np.linspace(-0.6, 0.6, len(DATES))
    found = learned(world(3, levels=levels))
    assert found.slope == pytest.approx(1, abs=0.1)
    at_centre = found.slope * found.centre + found.intercept - found.centre
    assert at_centre == pytest.approx(levels[-4:].mean(), abs=0.12)
    # The planted fault: a level over all dates is half a log-odds too low.
    assert abs(levels.mean() - levels[-4:].mean()) > 0.4


def test_the_slope_is_learned_from_models_of_the_past_only():
    seen = []

    def spy(rows):
        seen.append(rows.dates)
        return identity(rows)

    rows = world(4, n_households=400)
    found = learned(rows, spy)
    assert found.source == "forward_chained"
    forward = [dates for dates in seen if dates.max() < DATES[-1]]
    last = [dates.max() + pd.DateOffset(months=12) for dates in forward]
    assert len(last) == 3
    assert last == sorted(last)
    assert max(last) <= DATES[-1]
    # Every other model is one of the folds, which see all dates and not all households.
    assert len(seen) - len(forward) == 3


def test_folds_keep_households_whole():
    rows = world(5, n_households=300, dates=DATES[:3])
    seen = []

    def spy(part):
        seen.append(set(part.household))
        return identity(part)

    found = learned(rows, spy)
    assert found.source == "household_folds"
    assert "within one horizon" in found.reason
    left_out = [set(range(300)) - inside for inside in seen]
    assert set.union(*left_out) == set(range(300))
    assert sum(map(len, left_out)) == 300


def test_too_few_returns_leave_the_margins_as_they_are():
    rows = world(6, n_households=200, dates=DATES[:4])
    few = Rows(rows.X, np.arange(len(rows.y)) < 9, rows.weight, rows.household, rows.dates)
    found = learned(few)
    assert (found.slope, found.intercept, found.source) == (1, 0, "none")
    assert "9 rows" in found.reason
    # No width would read as certainty.
    assert np.isnan(found.interval(np.array([-1.0]), 0.9)).all()


def test_rows_without_dates_are_calibrated_on_folds_and_expect_no_drift():
    rows = world(7, slope=0.7)
    found = learned(Rows(rows.X, rows.y, rows.weight))
    assert found.source == "row_folds"
    assert found.slope == pytest.approx(0.7, abs=0.05)
    assert found.level_sd == 0


def test_intervals_hold_the_next_years_risk_as_often_as_they_say():
    # Levels walk by 0.3 a year, as the prior has it; the year after the last is what is asked.
    inside, margin = {"line": [], "whole": []}, np.array([-3.0, -2.0, 0.0])
    for seed in range(120):
        steps = np.random.default_rng(seed).normal(0, 0.3, 5)
        levels = np.repeat(np.cumsum(steps), 4)
        found = learned(world(seed, levels=levels[:16], n_households=120))
        truth = expit(margin + levels[-1])
        for name, calibration in (("line", replace(found, curve=None)), ("whole", found)):
            lower, upper = calibration.interval(margin, 0.8).T
            inside[name].append((lower <= truth) & (truth <= upper))
    assert 0.7 <= np.mean(inside["line"]) <= 0.95
    # Without trust in the line the bounds of a few dozen returns are wide.
    assert np.mean(inside["whole"]) >= 0.8


@pytest.mark.parametrize("bent", [False, True])
def test_on_exchangeable_rows_the_interval_holds_the_risk_of_every_score_as_often_as_it_says(bent):
    """Rows without dates, so that no level moves; bent: the log-odds are no line in the margin."""

    def risk(margin):
        return expit(np.where(margin > -2, 0.4 * margin - 1.2, margin) if bent else margin)

    asked = np.linspace(-4, 0.5, 10)
    inside = {"line": [], "whole": []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        margin = rng.normal(-2.5, 1.3, 4000)
        y = (rng.random(4000) < risk(margin)).astype(np.int64)
        found = learned(Rows(margin[:, None], y, np.ones(4000)))
        for name, calibration in (("line", replace(found, curve=None)), ("whole", found)):
            lower, upper = calibration.interval(asked, 0.9).T
            inside[name].append((lower <= risk(asked)) & (risk(asked) <= upper))
    # 60 draws: two standard errors of a share of 0.9 are 0.08.
    assert np.mean(inside["whole"], axis=0).min() >= 0.82
    assert np.mean(inside["whole"]) >= 0.9
    if bent:
        # The planted fault: an interval that trusts the line.
        assert np.mean(inside["line"]) < 0.7


def test_shares_of_rows_of_like_score_lie_within_the_interval_of_households_on_many_dates():
    # Households that keep their lot over four dates: four rows weigh as little more than one.
    inside = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        margin, lot = (np.repeat(rng.normal(mean, sd, 1500), 4) for mean, sd in ((-2.0, 1.2), (0, 1.5)))
        y = (rng.random(6000) < expit(margin + lot)).astype(np.int64)
        half = np.arange(6000) < 3000
        found = learned(Rows(margin[half, None], y[half], np.ones(3000), np.repeat(np.arange(750), 4)))
        assert found.curve.design_effect > 1.3
        many = rng.normal(-2.0, 1.2, 50_000)
        returned = rng.random(50_000) < expit(many + rng.normal(0, 1.5, 50_000))
        tenth = np.digitize(many, np.quantile(many, np.arange(0.1, 1, 0.1)))
        lower, upper = (np.bincount(tenth, b) / np.bincount(tenth) for b in found.interval(many, 0.9).T)
        share = np.bincount(tenth, returned) / np.bincount(tenth)
        inside.append((lower <= share) & (share <= upper))
    assert np.mean(inside) >= 0.9


# --- intervals by group ----------------------------------------------------------------------------------------------

ASKED = np.linspace(-4.5, 0, 10)


def grouped_rows(seed, n=2000, share=0.25, wrong=1.2):
    """Rows without dates; a fourth of them are of a group that returns more than the margin says."""
    rng = np.random.default_rng(seed)
    margin, astray = rng.normal(-2.5, 1.2, n), rng.random(n) < share
    y = (rng.random(n) < expit(margin + wrong * astray)).astype(np.int64)
    return Rows(margin[:, None], y, np.ones(n), group=np.where(astray, "astray", "plain").astype(object))


def truth(group, wrong=1.2):
    return expit(ASKED + wrong * (group == "astray"))


def test_on_exchangeable_rows_grouped_intervals_hold_in_a_group_that_the_model_gets_wrong_and_pooled_ones_do_not():
    inside = {(how, group): [] for how in ("pooled", "grouped") for group in ("astray", "plain")}
    for seed in range(50):
        found = learned(grouped_rows(seed))
        for how, group in inside:
            labels = np.full(len(ASKED), group, dtype=object) if how == "grouped" else None
            lower, upper = found.interval(ASKED, 0.9, labels).T
            inside[how, group].append((lower <= truth(group)) & (truth(group) <= upper))
    # 50 draws: two standard errors of a share of 0.9 are 0.08.
    for group in ("astray", "plain"):
        assert np.mean(inside["grouped", group]) >= 0.9
        assert np.mean(inside["grouped", group], axis=0).min() >= 0.82
    # The planted fault: one interval for all.
    assert np.mean(inside["pooled", "astray"]) < 0.4


def test_the_steps_of_a_group_are_those_of_its_rows_alone():
    rows = grouped_rows(0)
    rows = replace(rows, X=rows.X.round().clip(-4, 0))  # few scores: each has a step of its own
    found = learned(rows)
    for name, curve in found.group_curves.items():
        own = rows.group == name
        alone = venn_abers(rows.X[own, 0], rows.y[own].astype(float), np.ones(own.sum()), np.full(own.sum(), 0.5))
        np.testing.assert_allclose(curve.pair(rows.X[own, 0]), alone.pair(rows.X[own, 0]), rtol=0, atol=1e-12)
    assert found.group_curves.keys() == {"astray", "plain"}


def test_a_group_the_model_gets_wrong_does_not_pass_for_rows_that_repeat_one_another():
    found = learned(grouped_rows(1, n=20_000))
    assert found.group_curves["astray"].design_effect == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("events", [9, 10])
def test_a_group_with_fewer_than_ten_returns_shares_the_interval_of_all(events):
    rows = grouped_rows(2)
    few = np.flatnonzero((rows.group == "plain") & (rows.y == 1))[:events]
    group = rows.group.copy()
    group[few] = "few"
    group[np.flatnonzero((rows.group == "plain") & (rows.y == 0))[:50]] = "few"
    found = learned(Rows(rows.X, rows.y, rows.weight, group=group))
    assert ("few" in found.group_curves) == (events == 10)
    few = found.interval(ASKED, 0.9, np.full(len(ASKED), "few", dtype=object))
    assert np.array_equal(few, found.interval(ASKED, 0.9)) == (events == 9)


def test_groups_count_in_the_newest_year_only():
    rows = world(8, n_households=400)
    old = rows.dates < DATES[8]
    group = np.where(old, "gone", "here").astype(object)
    found = learned(Rows(rows.X, rows.y, rows.weight, rows.household, rows.dates, group))
    assert list(found.group_curves) == ["here"]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.05, 0.9), st.floats(0.01, 0.09))
def test_grouped_intervals_always_hold_the_risk_and_widen_with_the_coverage(seed, coverage, more):
    found = learned(grouped_rows(seed % 7, n=600, share=0.3, wrong=2.0))
    rng = np.random.default_rng(seed)
    margin = rng.normal(-2, 4, 50)
    labels = rng.choice(np.array(["astray", "plain", "nobody"], dtype=object), 50)
    risk = expit(found.log_odds(margin))
    lower, upper = found.interval(margin, coverage, labels).T
    wider_lower, wider_upper = found.interval(margin, coverage + more, labels).T
    assert ((wider_lower >= 0) & (wider_lower <= lower) & (lower <= risk)).all()
    assert ((risk <= upper) & (upper <= wider_upper) & (wider_upper <= 1)).all()
