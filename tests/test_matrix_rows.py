"""Learning from many rows: views in place of copies, and the same model as from rows in one piece."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.model.booster_text import write_booster
from riskml.model.calibration import Rows
from riskml.model.classifier import RiskClassifier
from riskml.model.matrix_rows import MatrixRows

DATES = pd.date_range("2020-01-01", periods=5, freq="6MS")
N_TREES = 8


def district(dtype="float64", seed=0, n_households=300):
    """Rows in no order, with values missing and columns that repeat others: 3 repeats 1, and 5 repeats 0."""
    rng = np.random.default_rng(seed)
    keys = [[f"h{k:04d}" for k in range(n_households)], DATES]
    index = pd.MultiIndex.from_product(keys, names=["household_id", "as_of_date"])[rng.permutation(5 * n_households)]
    values = rng.gamma(2, 1, (len(index), 4)).astype(dtype)
    values[rng.random(values.shape) < 0.1] = np.nan
    values = np.ascontiguousarray(values[:, [0, 1, 2, 1, 3, 0]])
    y = pd.Series((rng.random(len(index)) < 1 / (1 + np.nan_to_num(values[:, 0]) ** 2)).astype(float), index=index)
    return pd.DataFrame(values, index=index, columns=[f"c{k}" for k in range(6)], copy=False), y


def learned(X, y):
    return RiskClassifier(n_estimators=N_TREES, horizon_months=6, n_jobs=1).fit(X, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_in_batches_give_the_model_of_rows_in_one_piece(monkeypatch, dtype):
    X, y = district(dtype)
    before = X.to_numpy().copy()
    whole = learned(X, y)
    monkeypatch.setattr(MatrixRows, "batch_size", 97)
    parted = learned(X, y)
    assert write_booster(parted.booster_) == write_booster(whole.booster_)
    assert parted.calibrator_ == whole.calibrator_
    assert whole.calibrator_.source == "forward_chained"
    np.testing.assert_array_equal(X.to_numpy(), before)
    # Columns that repeat others are left alone.
    assert (whole.booster_.feature_importance()[[3, 5]] == 0).all()


def test_the_layout_of_the_matrix_has_no_influence():
    X, y = district()
    by_column = pd.DataFrame({name: X[name] for name in X})
    assert write_booster(learned(by_column, y).booster_) == write_booster(learned(X, y).booster_)


def test_a_model_knows_nothing_of_rows_it_was_not_given(monkeypatch):
    X, y = district()
    model = learned(X, y)
    part = np.arange(0, len(X), 2)
    for batch_size in (97, 10_000):
        monkeypatch.setattr(MatrixRows, "batch_size", batch_size)
        texts = []
        for values in (X.to_numpy(), np.where(np.arange(len(X))[:, None] % 2, 1e9, X.to_numpy())):
            every = Rows(MatrixRows(values, np.arange(len(X))), y.to_numpy().astype(int), np.ones(len(X)))
            texts.append(write_booster(model._boost(every.take(part))))
        assert texts[0] == texts[1]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.floats(-3, 8))
def test_a_model_of_single_precision_scores_its_rows_in_double_the_same(seed, magnitude):
    X, y = district(seed=seed, n_households=60)
    X = X * 10.0**magnitude
    model = RiskClassifier(n_estimators=N_TREES, calibrate=False, n_jobs=1).fit(X.astype("float32"), y)
    exact, rounded = model.predict_risk(X), model.predict_risk(X.astype("float32"))
    pd.testing.assert_series_equal(exact, rounded, check_exact=True)


def test_columns_are_repeats_only_if_they_are_equal_in_all_rows_given(monkeypatch):
    monkeypatch.setattr(MatrixRows, "batch_size", 2)
    values = np.array([[0.0, -0.0, 0.0, np.nan], [np.nan, np.nan, np.nan, np.nan], [1, 1, 2, np.nan]])
    assert MatrixRows(values, np.arange(3)).without_repeats().constant == [1]
    assert MatrixRows(values, np.arange(2)).without_repeats().constant == [1, 2]
    assert MatrixRows(values, np.arange(1, 2)).without_repeats().constant == [1, 2, 3]


def test_one_row_shown_with_a_constant_column_leaves_the_matrix_as_it_was():
    values = np.array([[1.0, 1.0]])
    assert MatrixRows(values, np.array([0]), (1,))[0].tolist() == [1.0, 0.0]
    assert values.tolist() == [[1.0, 1.0]]
