"""Recalibration: the same trees, the level of new outcomes or of new features, and a record of what was done."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from riskml.explanation.contributions import explain
from riskml.model.calibration import Calibration
from riskml.model.classifier import RiskClassifier
from riskml.model.recalibration import (
    last_learned,
    recalibrate,
    shift_base_rate,
    shifted_calibration,
    updated_calibration,
)
from riskml.model.store import load_model, save_model

KNOWN = Calibration(0.9, 0.2, -1.5, 0.05, 0.05, 0.3, "forward_chained", "", 0.1)


def district(seed, level=0.0, *, start="2020-01-01", n_dates=4, n_households=250):
    rng = np.random.default_rng(seed)
    dates = pd.date_range(start, periods=n_dates, freq="6MS")
    households = [f"h{k:04d}" for k in range(n_households)]
    index = pd.MultiIndex.from_product([households, dates], names=["household_id", "as_of_date"])
    X = pd.DataFrame(rng.gamma(2, 1, (len(index), 2)), index=index, columns=["welfare", "jobs"])
    z = 0.5 - 1.2 * X["welfare"] - 0.5 * X["jobs"] + level
    return X, pd.Series((rng.random(len(X)) < expit(z)).astype(float), index=index, name="returned")


@pytest.fixture(scope="module")
def model():
    return RiskClassifier(n_estimators=60).fit(*district(0))


def drawn(seed, level, slope=1.0, n=3000):
    """Margins, and outcomes whose log-odds are those of KNOWN, stretched about its centre and moved."""
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1.5, 1.3, n)
    z = KNOWN.slope * slope * (margin - KNOWN.centre) + KNOWN.slope * KNOWN.centre + KNOWN.intercept + level
    return margin, (rng.random(n) < expit(z)).astype(float)


def level_of(calibration):
    return calibration.slope * calibration.centre + calibration.intercept


def test_new_outcomes_bring_the_level_and_keep_the_slope_they_agree_with():
    margin, y = drawn(1, level=0.8)
    found = updated_calibration(KNOWN, margin, y, np.ones(len(y)), None)
    assert level_of(found) == pytest.approx(level_of(KNOWN) + 0.8, abs=0.1)
    assert found.slope == pytest.approx(KNOWN.slope, abs=0.08)
    assert found.level_se < 0.1
    assert found.base_rate == y.mean()


def test_it_is_the_posterior_mode_of_level_and_slope():
    margin, y = drawn(2, level=-0.5, slope=1.3, n=300)
    found = updated_calibration(KNOWN, margin, y, np.ones(300), None)

    def minus_log_posterior(at):
        z = at[0] + at[1] * (margin - KNOWN.centre)
        prior = (at[0] - level_of(KNOWN)) ** 2 / (0.05**2 + 0.3**2) + (at[1] - KNOWN.slope) ** 2 / 0.05**2
        return np.logaddexp(0, z).sum() - y @ z + prior / 2

    best = minimize(minus_log_posterior, [0.0, 1.0], tol=1e-10).x
    assert (level_of(found), found.slope) == pytest.approx(tuple(best), abs=1e-4)


def test_few_outcomes_move_little_and_leave_what_was_not_known_unknown():
    found = updated_calibration(KNOWN, np.array([-2.0]), np.array([1.0]), np.ones(1), None)
    assert level_of(KNOWN) < level_of(found) < level_of(KNOWN) + 0.1
    # One outcome: the level is known as well as before, when it was to move for a horizon.
    assert found.level_se == pytest.approx(np.hypot(0.05, 0.3), abs=0.02)
    assert found.slope_se == pytest.approx(0.05, abs=0.005)


def test_the_interval_after_an_update_holds_the_level_as_often_as_it_says():
    inside = []
    for seed in range(300):
        moved = np.random.default_rng(seed + 1000).normal(0, np.hypot(0.05, 0.3))
        found = updated_calibration(KNOWN, *drawn(seed, moved, n=200), np.ones(200), None)
        inside.append(abs(level_of(found) - level_of(KNOWN) - moved) < 1.645 * found.level_se)
    assert 0.85 <= np.mean(inside) <= 0.95


def test_rows_repeated_within_households_do_not_pass_for_more_outcomes():
    margin, y = drawn(3, level=0.0, n=500)
    once = updated_calibration(KNOWN, margin, y, np.ones(500), np.arange(500))
    four = (np.repeat(values, 4) for values in (margin, y, np.ones(500), np.arange(500)))
    assert updated_calibration(KNOWN, *four).level_se == pytest.approx(once.level_se, rel=0.15)


@pytest.mark.parametrize("move", [-0.7, 0.0, 0.9])
def test_where_only_the_base_rate_moves_it_is_found_without_outcomes(move):
    # Label shift: those who return look as they did, there are but more or fewer of them.
    rng = np.random.default_rng(4)
    margin = rng.normal(-2, 1.5, 400_000)
    returns = rng.random(len(margin)) < expit(margin)
    base = returns.mean()
    wanted = expit(logit(base) + move)
    n = 100_000
    now = np.concatenate(
        [rng.choice(margin[returns], int(n * wanted)), rng.choice(margin[~returns], n - int(n * wanted))]
    )
    found = shifted_calibration(Calibration(source="forward_chained", base_rate=float(base)), now)
    assert found.intercept == pytest.approx(move, abs=0.05)
    assert found.base_rate == pytest.approx(wanted, abs=0.005)
    # Where EM ends: the mean of the risks is the base rate they are corrected for.
    assert expit(found.log_odds(now)).mean() == pytest.approx(found.base_rate, abs=1e-9)


def test_features_of_another_population_are_refused_and_so_is_a_model_without_calibration():
    with pytest.raises(ValueError, match="another population"):
        shifted_calibration(KNOWN, np.full(50, 3.0))
    with pytest.raises(ValueError, match="not calibrated"):
        shifted_calibration(Calibration(), np.zeros(5))
    with pytest.raises(ValueError, match="older format"):
        shifted_calibration(Calibration(source="forward_chained"), np.zeros(5))


def test_a_recalibrated_model_has_the_same_order_and_exact_explanations_and_leaves_the_old_one_alone(model):
    X, y = district(5, level=1.5, start="2023-01-01")
    before = model.predict_risk(X)
    new = recalibrate(model, X, y)
    assert model.predict_risk(X).equals(before)
    assert new.booster_ is model.booster_
    risk = new.predict_risk(X)
    assert (np.diff(risk.to_numpy()[np.argsort(before.to_numpy(), kind="stable")]) >= -1e-12).all()
    assert abs(np.log(y.mean() / risk.mean())) < 0.1 < abs(np.log(y.mean() / before.mean()))
    points = explain(new, X[:40])
    np.testing.assert_allclose(points.in_points().sum(axis=1) + points.base_risk, risk[:40], rtol=0, atol=1e-9)
    bounds = new.risk_interval(X)
    assert ((bounds["risk_lower"] <= risk) & (risk <= bounds["risk_upper"])).all()
    assert last_learned(new) == X.index.get_level_values("as_of_date").max()


def test_outcomes_already_learned_from_and_outcomes_that_are_none_are_refused(model):
    X, y = district(6, start="2023-01-01")
    with pytest.raises(ValueError, match="learned from as-of dates up to 2021-07-01"):
        recalibrate(model, *district(0))
    once = recalibrate(model, X, y)
    with pytest.raises(ValueError, match="up to 2024-07-01"):
        recalibrate(once, X, y)
    with pytest.raises(ValueError, match="7 of 1000 outcomes that are missing"):
        recalibrate(model, X, y.mask(np.arange(len(y)) < 7))


def test_a_base_rate_from_features_is_no_outcome_learned_from(model):
    X, y = district(7, start="2023-01-01")
    shifted = shift_base_rate(model, X)
    assert last_learned(shifted) == last_learned(model)
    assert recalibrate(shifted, X, y).fit_summary_["recalibrations"][0]["how"] == "base rate from features"


def test_the_intervals_of_groups_move_with_the_line_and_come_back_from_a_bundle(tmp_path):
    X, y = district(0)
    groups = np.where(X["jobs"] > 2, "a", "b")
    model = RiskClassifier(n_estimators=30).fit(X, y, groups=groups)
    later, returned = district(9, level=1.0, start="2023-01-01")
    new = recalibrate(model, later, returned)
    stretch = new.calibrator_.slope / model.calibrator_.slope
    move = new.calibrator_.intercept - stretch * model.calibrator_.intercept
    assert move > 0.5
    for name, curve in model.calibrator_.group_curves.items():
        some = np.array(curve.p1) < 1
        np.testing.assert_allclose(
            logit(np.array(new.calibrator_.group_curves[name].p1)[some]),
            stretch * logit(np.array(curve.p1)[some]) + move,
            rtol=0,
            atol=1e-9,
        )
    back = load_model(save_model(new, tmp_path))
    assert back.calibrator_ == new.calibrator_
    asked = np.where(later["jobs"] > 2, "a", "b")
    bounds = [each.risk_interval(later, groups=asked) for each in (new, back)]
    pd.testing.assert_frame_equal(*bounds, check_exact=True)
    shifted = shift_base_rate(model, later).calibrator_
    assert shifted.group_curves.keys() == {"a", "b"}
    assert shifted.group_curves["a"].p1 != model.calibrator_.group_curves["a"].p1


def test_bundle_card_and_manifest_say_what_was_done_and_the_model_comes_back(model, tmp_path):
    X, y = district(8, level=1.0, start="2023-01-01")
    new = recalibrate(model, X, y)
    bundle = save_model(new, tmp_path)
    back = load_model(bundle)
    assert back.calibrator_ == new.calibrator_
    pd.testing.assert_frame_equal(back.risk_interval(X), new.risk_interval(X), check_exact=True)
    assert "## Recalibration" in (bundle / "CARD.md").read_text(encoding="utf-8")
    said = json.loads((bundle / "manifest.json").read_text())["recalibrations"]
    assert said == back.fit_summary_["recalibrations"]
    assert (said[0]["events"], said[0]["first_as_of_date"]) == (int(y.sum()), "2023-01-01")
    assert said[0]["level_moved"] == pytest.approx(level_of(new.calibrator_) - level_of(model.calibrator_))
