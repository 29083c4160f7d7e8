"""Splits along time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskml as rk


def rows(n_dates: int, every: int, households: int = 4) -> pd.DataFrame:
    dates = pd.date_range("2020-01-01", periods=n_dates, freq=f"{every}MS")
    index = pd.MultiIndex.from_product(
        [[f"{i}" for i in range(households)], dates], names=["household_id", "as_of_date"]
    )
    return pd.DataFrame({"a": np.arange(len(index), dtype=float)}, index=index)


@settings(deadline=None)
@given(st.integers(8, 30), st.integers(1, 6), st.integers(1, 4), st.integers(1, 12))
def test_no_training_outcome_reaches_into_the_test_block(n_dates: int, every: int, n_splits: int, horizon: int) -> None:
    X = rows(n_dates, every)
    try:
        folds = list(rk.TemporalSplit(n_splits, horizon_months=horizon).split(X))
    except ValueError:
        assert sum((i * every) >= horizon for i in range(n_dates)) < n_splits
        return
    dates = X.index.get_level_values("as_of_date")
    assert len(folds) == n_splits
    tested = np.concatenate([test for _, test in folds])
    assert len(tested) == len(set(tested))
    for train, test in folds:
        assert len(train)
        assert len(test)
        assert (dates[train] + pd.DateOffset(months=horizon)).max() <= dates[test].min()


def test_households_are_kept_on_one_side_on_request() -> None:
    X = rows(8, 3)
    keep = X.index.get_level_values("household_id") != "0"
    X = X[keep | (X.index.get_level_values("as_of_date") < "2021-01-01")]
    for train, test in rk.TemporalSplit(2, horizon_months=6, households_apart=True).split(X):
        assert not set(X.index[train].get_level_values(0)) & set(X.index[test].get_level_values(0))
    y = pd.Series(0.0, index=X.index)
    X_train, X_test, _, _ = rk.temporal_train_test_split(
        X, y, test_from="2021-01-01", horizon_months=6, households_apart=True
    )
    assert set(X_train.index.get_level_values(0)) == {"0"}
    assert "0" not in set(X_test.index.get_level_values(0))


def test_rows_whose_outcome_is_still_open_at_the_split_are_on_neither_side() -> None:
    X = rows(8, 3)
    y = pd.Series(0.0, index=X.index)
    X_train, X_test, y_train, y_test = rk.temporal_train_test_split(X, y, test_from="2021-01-01", horizon_months=6)
    assert X_train.index.get_level_values(1).max() == pd.Timestamp("2020-07-01")
    assert X_test.index.get_level_values(1).min() == pd.Timestamp("2021-01-01")
    assert y_train.index.equals(X_train.index)
    assert y_test.index.equals(X_test.index)


def test_too_few_dates_are_refused_with_the_numbers() -> None:
    with pytest.raises(
        ValueError, match=r"needs 9 as-of dates from 2022-01-01 on but X has 0\. Lower n_splits or add dates"
    ):
        list(rk.TemporalSplit(9, horizon_months=24).split(rows(4, 3)))


def test_rows_without_an_as_of_date_are_refused() -> None:
    with pytest.raises(ValueError, match="indexed by \\(household_id, as_of_date\\)"):
        list(rk.TemporalSplit(2, horizon_months=3).split(pd.DataFrame({"a": [1.0]})))


def test_an_empty_side_is_refused() -> None:
    X = rows(4, 3)
    with pytest.raises(ValueError, match="leaves 0 training"):
        rk.temporal_train_test_split(X, pd.Series(0.0, index=X.index), test_from="2020-01-01", horizon_months=6)
