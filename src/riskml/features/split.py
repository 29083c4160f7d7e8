"""Splits along time, with the horizon between training and test."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator

from riskml.findings import in_words


class TemporalSplit(BaseCrossValidator):
    """Train on the past, test on what comes after, with the horizon in between.

    The last as-of dates are cut into ``n_splits`` test blocks of consecutive dates, as even as they can be. A fold
    trains on
    every row whose outcome lay wholly before its test block: as-of date plus horizon not after the block's
    first date.

    Parameters
    ----------
    n_splits : int, default 4
        Number of test blocks.
    horizon_months : int
        Months from the as-of date to the outcome: the embargo.
    households_apart : bool, default False
        Also leave out of training the households that are in the test block.

    Examples
    --------
    >>> dates = pd.date_range("2021-01-01", periods=6, freq="6MS")
    >>> index = pd.MultiIndex.from_product([["1"], dates], names=["household_id", "as_of_date"])
    >>> X = pd.DataFrame({"a": range(6)}, index=index)
    >>> for train, test in TemporalSplit(n_splits=2, horizon_months=12).split(X):
    ...     print(train, test)
    [0] [2 3]
    [0 1 2] [4 5]
    """

    def __init__(self, n_splits: int = 4, *, horizon_months: int, households_apart: bool = False) -> None:
        self.n_splits = n_splits
        self.horizon_months = horizon_months
        self.households_apart = households_apart

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, optional
            Not looked at; scikit-learn passes them.

        Returns
        -------
        int
            ``n_splits``.
        """
        return self.n_splits

    def split(
        self, X: pd.DataFrame, y: object = None, groups: object = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield positions of training and test rows, earliest block first.

        Parameters
        ----------
        X : DataFrame
            Features indexed by ``(household_id, as_of_date)``.
        y, groups : object, optional
            Not looked at; scikit-learn passes them.

        Yields
        ------
        train, test : ndarray of int64
            Positions of rows.

        Raises
        ------
        ValueError
            If X has no ``as_of_date`` in its index, or too few dates lie a horizon after the first.
        """
        dates = as_of_dates_of(X)
        distinct = dates.unique().sort_values()
        testable = distinct[distinct >= distinct[0] + pd.DateOffset(months=self.horizon_months)]
        if len(testable) < self.n_splits:
            first = distinct[0] + pd.DateOffset(months=self.horizon_months)
            raise ValueError(
                in_words(
                    f"TemporalSplit(n_splits={self.n_splits}, horizon_months={self.horizon_months}) needs "
                    f"{self.n_splits} as-of dates from {first:%Y-%m-%d} on but X has {len(testable)}. "
                    "Lower n_splits or add dates.",
                    f"TemporalSplit(n_splits={self.n_splits}, horizon_months={self.horizon_months}) 需要"
                    f"{self.n_splits}个不早于{first:%Y-%m-%d}的评估日期，而 X 只有{len(testable)}个。"
                    "请减小 n_splits 或增加日期。",
                )
            )
        size = -(-len(testable) // (self.n_splits + 1)) if len(testable) > self.n_splits else 1
        blocks = np.array_split(testable[-size * self.n_splits :], self.n_splits)
        for block in blocks:
            test = np.flatnonzero(dates.isin(block))
            train = np.flatnonzero(dates + pd.DateOffset(months=self.horizon_months) <= block[0])
            if self.households_apart:
                household = X.index.get_level_values("household_id")
                train = train[~household[train].isin(household[test])]
            yield train, test


def temporal_train_test_split(
    X: pd.DataFrame, y: pd.Series, *, test_from: object, horizon_months: int, households_apart: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """Split rows at a date, with the horizon as embargo.

    Test rows have an as-of date on or after ``test_from``; training rows one whose horizon ends by then.
    Rows in between are in neither.

    Parameters
    ----------
    X : DataFrame
        Features indexed by ``(household_id, as_of_date)``.
    y : Series
        Labels, same index.
    test_from : date
        First as-of date of the test.
    horizon_months : int
        Months from the as-of date to the outcome.
    households_apart : bool, default False
        Also leave out of training the households that are in the test.

    Returns
    -------
    X_train, X_test, y_train, y_test
        Rows in their given order.

    Raises
    ------
    ValueError
        If X and y are not indexed alike, or one side would be empty.
    """
    if not X.index.equals(y.index):
        raise ValueError("X and y must have the same index; build both with training_set")
    dates = as_of_dates_of(X)
    start = pd.Timestamp(str(test_from))
    test = np.asarray(dates >= start)
    train = np.asarray(dates + pd.DateOffset(months=horizon_months) <= start)
    if households_apart:
        household = X.index.get_level_values("household_id")
        train &= ~np.asarray(household.isin(household[test]))
    if not train.any() or not test.any():
        raise ValueError(
            f"test_from {start:%Y-%m-%d} with a horizon of {horizon_months} months leaves "
            f"{int(train.sum())} training and "
            f"{int(test.sum())} test rows; X has as-of dates from {dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}"
        )
    return X[train], X[test], y[train], y[test]


def as_of_dates_of(X: pd.DataFrame) -> pd.DatetimeIndex:
    """Return the as-of date of every row.

    Raises
    ------
    ValueError
        If the index of X has no level ``as_of_date``.
    """
    if "as_of_date" not in (X.index.names or []):
        raise ValueError("X must be indexed by (household_id, as_of_date), as feature_table returns it")
    return pd.DatetimeIndex(X.index.get_level_values("as_of_date"))
