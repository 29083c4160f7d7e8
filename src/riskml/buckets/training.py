"""Training sets from a store: one bucket and as-of date at a time, in single precision, few of the many that stay."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.buckets.store import Store, read_bucket
from riskml.features.assistance import training_labels
from riskml.features.panel import cohort, dates_between, training_set
from riskml.findings import DataRefused
from riskml.tables.lines import welfare_records
from riskml.tables.monitoring import Monitoring

_LABELS = ["returned", "returned_net", "outcome_welfare", "outcome_welfare_net", "weight", "weight_net"]


def training_dates_of(
    store: Store, *, horizon_months: int, every_months: int = 3, known_by: object | None = None, n_jobs: int = 1
) -> list[pd.Timestamp]:
    """Return the dates of :func:`riskml.training_dates` for all households of a store.

    Parameters
    ----------
    store : Store
        Where the tables are.
    horizon_months, every_months : int
        As for :func:`riskml.training_dates`.
    known_by : date, optional
        Only what was known before this day counts, and only dates whose outcome lies before it.
    n_jobs : int, default 1
        Buckets read at the same time.

    Returns
    -------
    list of Timestamp
        Earliest first.

    Raises
    ------
    ValueError
        If the records span too few months for one such date.
    """
    days = _mapped(_welfare_days, store, n_jobs, known_by=known_by)
    first, last = min(day for day, _ in days), max(day for _, day in days)
    months = store.manifest["settings"]["welfare"]["months"]
    dates = dates_between(first, last, welfare_months=months, horizon_months=horizon_months, every_months=every_months)
    if known_by is None:
        return dates
    return [day for day in dates if day + pd.DateOffset(months=horizon_months) <= pd.Timestamp(str(known_by))]


def sampled_training_set(
    store: Store,
    as_of_dates: Sequence[pd.Timestamp],
    *,
    keep_nonreturns: float = 1.0,
    known_by: object | None = None,
    n_jobs: int = 1,
    **outcome: Any,
) -> tuple[pd.DataFrame, pd.Series, NDArray[np.float64]]:
    """Return features, labels and weights of the rows whose outcome was observed.

    Parameters
    ----------
    store : Store
        Where the tables are.
    as_of_dates : sequence of Timestamp
        The days the question is asked.
    keep_nonreturns : float, default 1.0
        Share of the households that did not return to keep, above 0 and at most 1. Those kept stand for the others by
        their weight. Which they are depends on household and date alone, not on the buckets.
    known_by : date, optional
        Learn only from what was known before this day.
    n_jobs : int, default 1
        Buckets computed at the same time.
    **outcome
        ``horizon_months, rule, net_of_assistance`` of :func:`riskml.training_set`.

    Returns
    -------
    X : DataFrame of float32
        Features, indexed and sorted as :func:`riskml.training_set` gives them.
    y : Series of float64
        ``returned``.
    weight : ndarray of float64
        1, or 1 / ``keep_nonreturns`` for a household that did not return.

    Raises
    ------
    ValueError
        If the share is not above 0 and at most 1, or no outcome was observed.
    """
    asked = {"as_of_dates": as_of_dates, "keep_nonreturns": keep_nonreturns, "known_by": known_by}
    X, labels = _gathered(store, n_jobs, net=False, **asked, **outcome)
    return X, labels["returned"], labels["weight"].to_numpy()


def training_set_with_net(
    store: Store,
    as_of_dates: Sequence[pd.Timestamp],
    *,
    keep_nonreturns: float = 1.0,
    known_by: object | None = None,
    n_jobs: int = 1,
    **outcome: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of :func:`sampled_training_set` and those of the same net of assistance, in one table.

    Parameters
    ----------
    store : Store
        As for :func:`sampled_training_set`, and so all others.
    as_of_dates : sequence of Timestamp
        The days the question is asked.
    keep_nonreturns : float, default 1.0
        Share of the households that did not return to keep, for either outcome.
    known_by : date, optional
        Learn only from what was known before this day.
    n_jobs : int, default 1
        Buckets computed at the same time.
    **outcome
        ``horizon_months, rule, net_of_assistance`` of :func:`riskml.training_set`.

    Returns
    -------
    X : DataFrame of float32
        Features.
    labels : DataFrame
        Those of :func:`riskml.features.assistance.training_labels` with ``weight, weight_net``, indexed as X; a weight
        is 0 for rows that are there for the other outcome's sake.

    Raises
    ------
    ValueError
        As :func:`sampled_training_set`.
    """
    asked = {"as_of_dates": as_of_dates, "keep_nonreturns": keep_nonreturns, "known_by": known_by}
    return _gathered(store, n_jobs, net=True, **asked, **outcome)


def sampled_with_net(labels: pd.DataFrame, keep_nonreturns: float) -> tuple[NDArray[np.bool_], pd.DataFrame]:
    """Return the rows that :func:`sampled` keeps for either outcome, and the labels of these with weights for both.

    ``labels`` are those of :func:`riskml.features.assistance.training_labels`. A weight is 0 where a row was not kept
    for that outcome, or its label is missing.
    """
    weights = {}
    for weight, outcome in (("weight", "returned"), ("weight_net", "returned_net")):
        rows, stand_for = sampled(labels[outcome], keep_nonreturns)
        weights[weight] = np.zeros(len(labels))
        weights[weight][rows] = stand_for
    weights["weight_net"][labels["returned_net"].isna()] = 0.0
    kept = (weights["weight"] > 0) | (weights["weight_net"] > 0)
    return kept, labels.assign(**weights)[kept]


def _gathered(store: Store, n_jobs: int, **asked: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return features, and labels with weights, of all buckets."""
    with tempfile.TemporaryDirectory(prefix="riskml-training-") as place:
        of_buckets = _mapped(_write_rows, store, n_jobs, place=place, **asked)
        keys = pd.concat([rows for rows, _ in of_buckets], ignore_index=True)
        if keys.empty:
            raise ValueError("no outcome was observed on the as-of dates")
        names = next(names for _, names in of_buckets if names)
        # Each part goes straight to where it belongs, so that no row is in memory twice.
        order = keys.sort_values(["household_id", "as_of_date"], kind="stable").index.to_numpy()
        position = np.empty(len(order), dtype=np.int64)
        position[order] = np.arange(len(order))
        values = np.empty((len(order), len(names)), dtype=np.float32)
        n_before = 0
        for bucket, (rows, _) in enumerate(of_buckets):
            if len(rows):
                values[position[n_before : n_before + len(rows)]] = np.load(_part_of(place, bucket))
                n_before += len(rows)
    keys = keys.iloc[order]
    index = pd.MultiIndex.from_frame(keys[["household_id", "as_of_date"]])
    labels = keys[_LABELS].astype(np.float64).set_index(index)
    return pd.DataFrame(values, index=index, columns=names, copy=False), labels


def sampled(y: pd.Series, keep_nonreturns: float) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which rows to keep (all that returned, a share of the others) and the weights of those kept.

    Whether a row is kept depends on its household and date alone, not on the rows beside it.
    """
    if not 0 < keep_nonreturns <= 1:
        raise ValueError(f"keep_nonreturns must be above 0 and at most 1, got {keep_nonreturns}")
    keys = y.index.to_frame(index=False).astype({"as_of_date": "datetime64[s]"}).astype({"as_of_date": "int64"})
    drawn = pd.util.hash_pandas_object(keys, index=False).to_numpy() / 2.0**64
    rows = (y.to_numpy() == 1) | (drawn < keep_nonreturns)
    return rows, np.where(y.to_numpy()[rows] == 1, 1.0, 1 / keep_nonreturns)


def _mapped(function: Any, store: Store, n_jobs: int, **asked: Any) -> list[Any]:
    workers = joblib.Parallel(n_jobs=n_jobs, backend="loky")
    return workers(joblib.delayed(function)(store, bucket, **asked) for bucket in range(store.n_buckets))


def _known(store: Store, bucket: int, known_by: object | None) -> Monitoring | None:
    """Return a bucket as it was known; None if none of its households were."""
    data = read_bucket(store, bucket)
    if known_by is None:
        return data
    try:
        return data.known_by(known_by)
    except DataRefused as refused:
        if {found.rule for found in refused.findings} != {"empty_table"}:
            raise
        return None


def _welfare_days(store: Store, bucket: int, *, known_by: object | None) -> tuple[pd.Timestamp, pd.Timestamp]:
    data = _known(store, bucket, known_by)
    days = pd.Series([], dtype="datetime64[s]") if data is None else welfare_records(data)["date"]
    never = pd.Timestamp("2200-12-31"), pd.Timestamp("1900-01-01")
    return never if days.empty else (pd.Timestamp(days.min()), pd.Timestamp(days.max()))


def _part_of(place: str, bucket: int) -> Path:
    return Path(place) / f"{bucket}.npy"


def _write_rows(
    store: Store,
    bucket: int,
    *,
    place: str,
    as_of_dates: Iterable[pd.Timestamp],
    keep_nonreturns: float,
    known_by: object | None,
    net: bool,
    **outcome: Any,
) -> tuple[pd.DataFrame, list[str]]:
    """Write the features of a bucket's sample; return the rows they belong to and their names."""
    data = _known(store, bucket, known_by)
    names: list[str] = []
    keys = [pd.DataFrame(columns=["household_id", "as_of_date", *_LABELS])]
    values = []
    for day in as_of_dates:
        if data is None:
            break
        X, y = training_set(data, [day], **outcome)
        area_id = cohort(data, [day])["area_id"].reindex(X.index)
        mine = store.bucket_of(area_id) == bucket
        X, y = X[mine], y[mine]
        labels = training_labels(data, y, **outcome) if net else y.to_frame().reindex(columns=_LABELS[:4])
        rows, labels = sampled_with_net(labels, keep_nonreturns)
        names = list(X.columns)
        values.append(X[rows].to_numpy(dtype=np.float32))
        keys.append(labels.reset_index())
    if values:
        np.save(_part_of(place, bucket), np.concatenate(values))
    return pd.concat(keys[1:] or keys, ignore_index=True), names
