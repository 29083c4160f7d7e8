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
from riskml.features.panel import cohort, dates_between, training_set
from riskml.findings import DataRefused
from riskml.tables.lines import welfare_records
from riskml.tables.monitoring import Monitoring


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
    if not 0 < keep_nonreturns <= 1:
        raise ValueError(f"keep_nonreturns must be above 0 and at most 1, got {keep_nonreturns}")
    with tempfile.TemporaryDirectory(prefix="riskml-training-") as place:
        asked = {"as_of_dates": as_of_dates, "keep_nonreturns": keep_nonreturns, "known_by": known_by, **outcome}
        keys = _mapped(_write_rows, store, n_jobs, place=place, **asked)
        labels = pd.concat([frame for frame in keys if len(frame.columns)], ignore_index=True)
        names = next(iter(frame.attrs["names"] for frame in keys if "names" in frame.attrs))
        # The parts are brought together one after the other, so that no row is in memory twice.
        order = labels.sort_values(["household_id", "as_of_date"], kind="stable").index.to_numpy()
        place_of = np.empty(len(order), dtype=np.int64)
        place_of[order] = np.arange(len(order))
        values = np.empty((len(order), len(names)), dtype=np.float32)
        n_before = 0
        for bucket in range(store.n_buckets):
            part = np.load(Path(place) / f"{bucket}.npy")
            values[place_of[n_before : n_before + len(part)]] = part
            n_before += len(part)
    labels = labels.iloc[order]
    index = pd.MultiIndex.from_frame(labels[["household_id", "as_of_date"]])
    X = pd.DataFrame(values, index=index, columns=names, copy=False)
    y = pd.Series(labels["returned"].to_numpy(), index=index, name="returned")
    if y.empty:
        raise ValueError("no outcome was observed on the as-of dates")
    return X, y, np.where(y == 1, 1.0, 1 / keep_nonreturns)


def kept(index: pd.MultiIndex, share: float) -> NDArray[np.bool_]:
    """Say which rows belong to a sample of about this share; the same rows whatever stands beside them."""
    drawn = pd.util.hash_pandas_object(index.to_frame(index=False).astype({"as_of_date": "int64"}), index=False)
    return drawn.to_numpy() < share * 2.0**64


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
    return never if days.empty else (days.min(), days.max())


def _write_rows(
    store: Store,
    bucket: int,
    *,
    place: str,
    as_of_dates: Iterable[pd.Timestamp],
    keep_nonreturns: float,
    known_by: object | None,
    **outcome: Any,
) -> pd.DataFrame:
    """Write the features of a bucket's sample; return what they belong to."""
    data = _known(store, bucket, known_by)
    values, keys = [], []
    names: list[str] = []
    for day in as_of_dates if data is not None else ():
        X, y = training_set(data, [day], **outcome)
        names = list(X.columns)
        area_id = cohort(data, [day])["area_id"].reindex(X.index)
        mine = store.bucket_of(area_id) == bucket
        mine &= (y == 1).to_numpy() | kept(X.index, keep_nonreturns)
        values.append(X[mine].to_numpy(dtype=np.float32))
        keys.append(y[mine].reset_index())
    np.save(Path(place) / f"{bucket}.npy", np.concatenate(values) if values else np.empty((0, 0), dtype=np.float32))
    frame = pd.concat(keys, ignore_index=True) if keys else pd.DataFrame()
    if names:
        frame.attrs["names"] = names
    return frame
