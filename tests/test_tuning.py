"""The search sees earlier dates only, and says truly what it gained on later ones."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from few_trees import few_trees
from scipy.special import expit

from riskml import RiskClassifier, TemporalSplit, tune
from riskml.cli import main
from riskml.datasets import make_monitoring
from riskml.model.calibration import fit_affine
from riskml.skill.backtest import fit_model
from riskml.tables.reading import write_monitoring

optuna = pytest.importorskip("optuna", reason="Optuna (extra tune) is not installed")
HORIZON = 6
FEW = RiskClassifier(n_estimators=150, learning_rate=0.01, horizon_months=HORIZON)


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, pd.Series]:
    """Return rows of five dates, three of them a horizon after the first, whose odds follow two of four columns."""
    rng = np.random.default_rng(5)
    dates = pd.date_range("2021-01-01", periods=5, freq="3MS")
    index = pd.MultiIndex.from_product([[str(i) for i in range(400)], dates], names=["household_id", "as_of_date"])
    X = pd.DataFrame(rng.normal(size=(len(index), 4)), index=index, columns=list("abcd"))
    y = pd.Series((rng.random(len(X)) < expit(2 * X["a"] - 1.5 * X["b"] * X["a"] - 1)).astype(float), index=index)
    return X, y


@pytest.fixture(scope="module")
def found(rows):
    """Return a search of eight trials from a model that has learned too little."""
    return tune(*rows, horizon_months=HORIZON, model=FEW, n_trials=8)


def _loss(model: RiskClassifier, X: pd.DataFrame, y: pd.Series, past: np.ndarray, block: np.ndarray) -> np.ndarray:
    margin = model.set_params(calibrate=False).fit(X.iloc[past], y.iloc[past]).decision_function(X.iloc[block])
    outcome = y.iloc[block].to_numpy()
    slope, (level,) = fit_affine(margin, outcome, np.ones(len(outcome)))
    p = expit(slope * margin + level)
    return -(outcome * np.log(p) + (1 - outcome) * np.log(1 - p))


def test_a_search_improves_a_model_that_has_learned_too_little(found):
    assert found.gain > 0.01
    assert found.gain_lower < found.gain < found.gain_upper
    assert found.settings
    assert {name: getattr(found.model, name) for name in found.settings} == found.settings
    assert "the settings found are used" in str(found)


def test_the_gain_is_that_of_the_newest_block(rows, found):
    X, y = rows
    past, newest = list(TemporalSplit(3, horizon_months=HORIZON).split(X))[-1]
    assert set(X.index.get_level_values("as_of_date")[newest]) == {found.judged_from}
    before = _loss(RiskClassifier(**FEW.get_params()), X, y, past, newest)
    after = _loss(RiskClassifier(**{**FEW.get_params(), **found.settings}), X, y, past, newest)
    assert found.gain == pytest.approx((before - after).mean(), abs=1e-12)


def test_the_first_trial_is_the_model_given_and_every_loss_is_that_of_the_earlier_blocks(rows, found):
    X, y = rows
    earlier = list(TemporalSplit(3, horizon_months=HORIZON).split(X))[:-1]
    first = found.trials.iloc[0]
    assert (first["n_estimators"], first["learning_rate"]) == (FEW.n_estimators, FEW.learning_rate)
    losses = [_loss(RiskClassifier(**FEW.get_params()), X, y, *block).mean() for block in earlier]
    assert first["loss"] == pytest.approx(np.mean(losses), abs=1e-12)
    assert len(found.trials) == 8


def test_the_search_does_not_see_the_newest_outcomes(rows, found):
    X, y = rows
    other = y.copy()
    newest = X.index.get_level_values("as_of_date") == found.judged_from
    other[newest] = np.random.default_rng(0).permutation(other[newest])
    again = tune(X, other, horizon_months=HORIZON, model=FEW, n_trials=8)
    pd.testing.assert_frame_equal(again.trials, found.trials)
    assert again.settings == found.settings
    assert again.gain != found.gain


def test_where_nothing_is_gained_the_model_given_stays(rows):
    X, y = rows
    good = RiskClassifier(horizon_months=HORIZON)
    found = tune(X, y, horizon_months=HORIZON, model=good, n_trials=1)
    assert (found.settings, found.gain) == ({}, 0)
    assert found.model.get_params() == good.get_params()
    assert "the preset stays" in str(found)


def test_rows_of_weight_zero_count_for_nothing_and_weights_are_proportions(rows):
    X, y = rows
    kept = np.asarray(X.index.get_level_values("household_id") < "3")
    some = tune(X[kept], y[kept], horizon_months=HORIZON, n_trials=2)
    weighted = tune(X, y, horizon_months=HORIZON, n_trials=2, sample_weight=np.where(kept, 3.0, 0.0))
    np.testing.assert_allclose(weighted.trials["loss"], some.trials["loss"], rtol=1e-9)
    assert weighted.gain == pytest.approx(some.gain, abs=1e-9)


def test_too_few_returns_or_blocks_are_refused(rows):
    X, y = rows
    with pytest.raises(ValueError, match="one to choose by and the newest to judge by"):
        tune(X, y, horizon_months=HORIZON, n_blocks=1)
    with pytest.raises(ValueError, match="returns before or in it, and tuning needs 20"):
        tune(X, y * (np.arange(len(y)) < 100), horizon_months=HORIZON)
    with pytest.raises(ValueError, match="needs 3 as-of dates"):
        tune(X, y, horizon_months=11)


def test_a_missing_optuna_is_named_with_what_installs_it(rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"riskml\[tune\]"):
        tune(*rows, horizon_months=HORIZON)


def test_the_command_tunes_and_says_what_it_gained(tmp_path, capsys):
    data = make_monitoring(700, n_months=48, random_state=2)
    write_monitoring(data, tmp_path / "county")
    command = ["train", str(tmp_path / "county"), "--tune", "2", "--out", str(tmp_path / "models")]
    with few_trees():
        assert main([*command, "--horizon-months", "6"]) == 0
    bundle = capsys.readouterr().out.strip()
    card = (tmp_path / "models" / bundle.rpartition("/")[2] / "CARD.md").read_text(encoding="utf-8")
    assert "tuning: 2 trials; on the dates from" in card


def test_fit_model_keeps_what_the_search_said(rows):
    X, y = rows
    data = make_monitoring(50, n_months=24, random_state=1)
    outcome = {"horizon_months": HORIZON, "rule": "at_horizon", "net_of_assistance": False}
    model = fit_model(data, X, y, outcome=outcome, n_trials=2)
    assert model.fit_summary_["tuning"].startswith("2 trials")
    assert all(getattr(model, name) == value for name, value in model.fit_summary_["tuned_settings"].items()) or (
        "preset stays" in model.fit_summary_["tuning"]
    )
