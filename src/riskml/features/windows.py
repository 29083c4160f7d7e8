"""The point-in-time kernel: statistics of known records for every household and as-of date, in one pass.

Everything that decides what existed for a date stands in :func:`_visible`: a version counts when it was
known strictly before the as-of date and had not been replaced by then. Days are whole days since
1970-01-01; windows reach back calendar months and hold the days from their start up to the day before the
as-of date. Each household is computed from its own records alone and in a fixed order, so that results do
not depend on which other households are present.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

#: Stands for "no end", "never replaced"; later than every date the contract admits.
NEVER = np.int32(2**31 - 1)
#: Stands for "no start": a window over all history; earlier than every date the contract admits.
ALWAYS = np.int32(-(2**30))

#: Statistics of events and snapshots in a window, over the records whose value is not missing.
EVENT_STATS = ("count", "sum", "mean", "max", "min", "std", "slope", "last", "days_since")
#: Statistics of spells. ``active...`` look at the as-of date, the others at a window back (``ending``: ahead).
SPELL_STATS = (
    "active",
    "active_sum",
    "active_max",
    "months",
    "paid",
    "ended",
    "ending",
    "ending_sum",
    "started",
    "days_since_end",
    "days_since_start",
)
#: Statistics of the people present on the as-of date (``left``, ``joined``: within a window back).
ROSTER_STATS = ("count", "mean", "max", "min", "left", "joined", "max_age")

_DAYS_A_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Records:
    """Versions of one table as arrays, in household order.

    Attributes
    ----------
    offsets : ndarray of int64, shape (n_households + 1,)
        Rows ``offsets[h]:offsets[h + 1]`` belong to household ``h``.
    date, end, known, superseded : ndarray of int32, shape (n_records,)
        Days since 1970-01-01; ``end`` and ``superseded`` are :data:`NEVER` when open.
    values : ndarray of float64, shape (n_records, n_columns)
        One column a value; NaN where missing or where the record does not meet a condition.
    birth : ndarray of int32, shape (n_records,)
        Day of birth (rosters only, :data:`NEVER` if unknown).
    """

    offsets: NDArray[np.int64]
    date: NDArray[np.int32]
    end: NDArray[np.int32]
    known: NDArray[np.int32]
    superseded: NDArray[np.int32]
    values: NDArray[np.float64]
    birth: NDArray[np.int32]


def days(dates: pd.Series | pd.DatetimeIndex, missing: np.int32 = NEVER) -> NDArray[np.int32]:
    """Return dates as days since 1970-01-01, ``missing`` where there is none."""
    seconds = np.asarray(dates, dtype="datetime64[s]")
    whole = (seconds.view(np.int64) // 86_400).astype(np.int32)
    whole[np.isnat(seconds)] = missing
    return whole


def shifted_days(dates: pd.DatetimeIndex, months: float) -> NDArray[np.int32]:
    """Return dates moved by whole calendar months, as days since 1970-01-01; ``-inf`` gives :data:`ALWAYS`.

    A day that a month does not have becomes its last day: one month before 31 March is 28 or 29 February.
    """
    if np.isneginf(months):
        return np.full(len(dates), ALWAYS, dtype=np.int32)
    return days(dates + pd.DateOffset(months=int(months)))


def arrange(
    household: NDArray[np.int64],
    n_households: int,
    *,
    date: NDArray[np.int32],
    known: NDArray[np.int32],
    superseded: NDArray[np.int32],
    values: NDArray[np.float64],
    end: NDArray[np.int32] | None = None,
    birth: NDArray[np.int32] | None = None,
) -> Records:
    """Return :class:`Records` in the one order that the kernel sums in.

    Rows are ordered by household, date and known day; where these tie they stay in the order of
    :meth:`riskml.Monitoring.versions`, which is that of their keys. So neither the order in which rows arrived nor
    anything learned later (that a version was replaced) has an influence, not even in the last bit.
    """
    end = np.full(len(date), NEVER, dtype=np.int32) if end is None else end
    birth = np.full(len(date), NEVER, dtype=np.int32) if birth is None else birth
    ahead = (household[:-1] < household[1:]) | (
        (household[:-1] == household[1:])
        & ((date[:-1] < date[1:]) | ((date[:-1] == date[1:]) & (known[:-1] <= known[1:])))
    )
    if not ahead.all():
        order = np.lexsort((known, date, household))
        household, date, known, superseded = household[order], date[order], known[order], superseded[order]
        values, end, birth = values[order], end[order], birth[order]
    offsets = np.searchsorted(household, np.arange(n_households + 1)).astype(np.int64)
    return Records(offsets, date, end, known, superseded, np.ascontiguousarray(values), birth)


def event_statistics(
    records: Records,
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_day: NDArray[np.int32],
    window_start: NDArray[np.int32],
    requests: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write statistics of events in windows that end the day before each row's as-of date.

    Parameters
    ----------
    records : Records
        The events.
    household, as_of : ndarray of int64, shape (n_rows,)
        Household and as-of date (positions) of each row.
    as_of_day : ndarray of int32, shape (n_dates,)
        The as-of dates.
    window_start : ndarray of int32, shape (n_dates, n_windows)
        First day of each window, shortest window first.
    requests : ndarray of int64, shape (n_requests, 4)
        Column of the values, window, position in :data:`EVENT_STATS` and column of ``out`` of each wanted statistic.
    out : ndarray of float64, shape (n_rows, n_features), column by column in memory
        ``count`` and ``sum`` are 0 when the window holds no value; every other statistic is then NaN, as are
        ``std`` (sample) below two and ``slope`` (per year) below two distinct days.
    """
    n_columns, n_windows = records.values.shape[1], window_start.shape[1]
    group = requests[:, 0] * n_windows + requests[:, 1]
    requests = requests[np.argsort(group, kind="stable")]
    longest = int(np.diff(records.offsets).max(initial=0))
    _event_kernel(
        records.offsets,
        records.date,
        records.known,
        records.superseded,
        records.values,
        household,
        as_of,
        as_of_day,
        window_start,
        requests,
        np.searchsorted(np.sort(group), np.arange(n_columns * n_windows + 1)),
        1.0 / np.arange(1, longest + 2),
        out,
    )


def spell_statistics(
    records: Records,
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_day: NDArray[np.int32],
    window_edge: NDArray[np.int32],
    requests: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write statistics of spells on, before or after each row's as-of date.

    ``window_edge`` (n_dates, n_windows) is the first day of a window back, or for ``ending`` the day
    after a window ahead. A spell covers its ``start`` and its ``end``. ``months`` and ``paid`` count the days
    inside the window (``paid``: value a year times years). The other arguments are as in
    :func:`event_statistics`, with statistics from :data:`SPELL_STATS`. Counts and sums are 0 when there
    is nothing, ``active_max`` and ``days_since_...`` NaN.
    """
    _spell_kernel(
        records.offsets,
        records.date,
        records.end,
        records.known,
        records.superseded,
        records.values,
        household,
        as_of,
        as_of_day,
        window_edge,
        requests,
        out,
    )


def roster_statistics(
    records: Records,
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_day: NDArray[np.int32],
    window_start: NDArray[np.int32],
    requests: NDArray[np.int64],
    ages: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write statistics of the people who belong to each row's household on the as-of date.

    A person belongs to it from ``start`` to the day before ``end``, the day of leaving.
    ``ages`` (n_requests, 2) limits each statistic to people from the first age up to, not including, the
    second, in years; people of unknown age only count where there is no limit. The other arguments
    are as in :func:`event_statistics`, with statistics from :data:`ROSTER_STATS`. Counts are 0 when nobody
    fits, everything else NaN; all are NaN for a household none of whose members is known.
    """
    _roster_kernel(
        records.offsets,
        records.date,
        records.end,
        records.known,
        records.superseded,
        records.values,
        records.birth,
        household,
        as_of,
        as_of_day,
        window_start,
        requests,
        ages,
        out,
    )


def newest_mean(
    records: Records,
    anchor_start: NDArray[np.int32],
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_day: NDArray[np.int32],
    oldest: NDArray[np.int32],
) -> NDArray[np.float64]:
    """Return the mean of the columns over the period that ends with the newest known record.

    The last column of ``records.values`` holds the weights (months); a record counts when its first value is
    there. ``anchor_start`` (n_records,) is the day after which records belong to the period that ends with
    that record; ``oldest`` (n_dates,) the day before which the newest record is too old to speak for the
    as-of date.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_columns)
        Weighted means; the last column is the newest record's day. NaN where there is no record recent enough.
    """
    out = np.full((len(household), records.values.shape[1]), np.nan)
    _newest_mean_kernel(
        records.offsets,
        records.date,
        records.known,
        records.superseded,
        records.values,
        anchor_start,
        household,
        as_of,
        as_of_day,
        oldest,
        out,
    )
    return out


def newest_version(
    records: Records, household: NDArray[np.int64], as_of: NDArray[np.int64], as_of_day: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Return for each row the position of the version in force on its as-of date, -1 where there is none."""
    out = np.full(len(household), -1, dtype=np.int64)
    _newest_version_kernel(records.offsets, records.known, records.superseded, household, as_of, as_of_day, out)
    return out


@njit(cache=True, nogil=True, inline="always")
def _visible(known: int, superseded: int, day: int) -> bool:
    # Strict <: what was entered on the day itself is not yet seen by the office.
    return known < day and superseded >= day


@njit(cache=True, nogil=True)
def _event_kernel(  # type: ignore[no-untyped-def]
    offsets,
    date,
    known,
    superseded,
    values,
    household,
    as_of,
    as_of_day,
    window_start,
    requests,
    pointer,
    inverse,
    out,
):
    n_columns, n_windows = values.shape[1], window_start.shape[1]
    seen = np.empty(len(inverse), dtype=np.int64)
    years = np.empty(len(inverse))
    result = np.empty(9)
    for row in range(len(household)):
        day = as_of_day[as_of[row]]
        start = window_start[as_of[row]]
        n_seen = 0
        for record in range(offsets[household[row] + 1] - 1, offsets[household[row]] - 1, -1):
            if date[record] < start[n_windows - 1]:
                break
            if date[record] < day and _visible(known[record], superseded[record], day):
                seen[n_seen] = record
                years[n_seen] = (date[record] - day) / 365.25
                n_seen += 1
        for column in range(n_columns):
            # Welford's update, newest record first, gives every nested window from one pass. Values count from the
            # newest one: the difference of two large amounts is exact, their squares would not be.
            n = 0
            newest = -1
            position = 0
            base = 0.0
            total = mean = m2 = mean_x = m2_x = co = 0.0
            high = -np.inf
            low = np.inf
            for window in range(n_windows):
                if pointer[column * n_windows + window] == pointer[(column + 1) * n_windows]:
                    break
                first = start[window]
                while position < n_seen and date[seen[position]] >= first:
                    value = values[seen[position], column]
                    x = years[position]
                    position += 1
                    if np.isnan(value):
                        continue
                    if n == 0:
                        newest = seen[position - 1]
                        base = value
                    centred = value - base
                    step = centred - mean
                    step_x = x - mean_x
                    mean += step * inverse[n]
                    mean_x += step_x * inverse[n]
                    n += 1
                    total += value
                    m2 += step * (centred - mean)
                    m2_x += step_x * (x - mean_x)
                    co += step_x * (centred - mean)
                    high = max(high, value)
                    low = min(low, value)
                # In the order of EVENT_STATS.
                result[0] = n
                result[1] = total
                result[2:] = np.nan
                if n > 0:
                    result[2] = base + mean
                    result[3] = high
                    result[4] = low
                    if n > 1:
                        result[5] = np.sqrt(m2 / (n - 1))
                    if m2_x > 0.0:
                        result[6] = co / m2_x
                    result[7] = values[newest, column]
                    result[8] = day - date[newest]
                for request in range(pointer[column * n_windows + window], pointer[column * n_windows + window + 1]):
                    out[row, requests[request, 3]] = result[requests[request, 2]]


@njit(cache=True, nogil=True)
def _spell_kernel(  # type: ignore[no-untyped-def]
    offsets, start, end, known, superseded, values, household, as_of, as_of_day, window_edge, requests, out
):
    for row in range(len(household)):
        day = as_of_day[as_of[row]]
        first = offsets[household[row]]
        last = offsets[household[row] + 1]
        for request in range(len(requests)):
            column, window, kind, place = requests[request]
            edge = window_edge[as_of[row], window]
            total = 0.0
            best = np.nan
            for record in range(first, last):
                value = values[record, column]
                if np.isnan(value) or not _visible(known[record], superseded[record], day):
                    continue
                active = start[record] <= day and end[record] >= day
                over = end[record] < day
                if kind == 0:
                    total += active
                elif kind == 1:
                    if active:
                        total += value
                elif kind == 2:
                    if active and not value <= best:
                        best = value
                elif kind <= 4:
                    inside = min(end[record], day - 1) - max(start[record], edge) + 1
                    if inside > 0:
                        total += inside / _DAYS_A_MONTH if kind == 3 else value * inside / 365.25
                elif kind == 5:
                    total += over and end[record] >= edge
                elif kind <= 7:
                    if active and end[record] < edge:
                        total += 1.0 if kind == 6 else value
                elif kind == 8:
                    total += start[record] >= edge and start[record] < day
                elif kind == 9:
                    if over and not day - end[record] >= best:
                        best = float(day - end[record])
                elif active and not day - start[record] <= best:
                    best = float(day - start[record])
            out[row, place] = best if kind == 2 or kind >= 9 else total


@njit(cache=True, nogil=True)
def _roster_kernel(  # type: ignore[no-untyped-def]
    offsets,
    start,
    end,
    known,
    superseded,
    values,
    birth,
    household,
    as_of,
    as_of_day,
    window_start,
    requests,
    ages,
    out,
):
    for row in range(len(household)):
        day = as_of_day[as_of[row]]
        first = offsets[household[row]]
        last = offsets[household[row] + 1]
        anyone = False
        for record in range(first, last):
            anyone = anyone or _visible(known[record], superseded[record], day)
        for request in range(len(requests)):
            column, window, kind, place = requests[request]
            low, high = ages[request]
            n = 0.0
            total = 0.0
            biggest = -np.inf
            smallest = np.inf
            oldest = -np.inf
            for record in range(first, last):
                if not _visible(known[record], superseded[record], day):
                    continue
                value = values[record, column]
                age = (day - birth[record]) / 365.25 if birth[record] != NEVER else np.nan
                limited = low > -np.inf or high < np.inf
                if np.isnan(value) or (limited and not (low <= age < high)):
                    continue
                edge = window_start[as_of[row], window]
                if kind == 4:
                    n += end[record] < day and end[record] >= edge
                elif kind == 5:
                    n += start[record] < day and start[record] >= edge and end[record] > day
                elif start[record] <= day and end[record] > day:
                    n += 1.0
                    total += value
                    biggest = max(biggest, value)
                    smallest = min(smallest, value)
                    if not np.isnan(age):
                        oldest = max(oldest, age)
            result = np.nan
            if anyone and (kind == 0 or kind == 4 or kind == 5):
                result = n
            elif n > 0.0:
                if kind == 1:
                    result = total / n
                elif kind == 2:
                    result = biggest
                elif kind == 3:
                    result = smallest
                elif kind == 6 and oldest > -np.inf:
                    result = oldest
            out[row, place] = result


@njit(cache=True, nogil=True)
def _newest_mean_kernel(  # type: ignore[no-untyped-def]
    offsets, date, known, superseded, values, anchor_start, household, as_of, as_of_day, oldest, out
):
    weight_column = values.shape[1] - 1
    for row in range(len(household)):
        day = as_of_day[as_of[row]]
        newest = -1
        weight = 0.0
        for record in range(offsets[household[row] + 1] - 1, offsets[household[row]] - 1, -1):
            if date[record] >= day or not _visible(known[record], superseded[record], day):
                continue
            if np.isnan(values[record, 0]):
                continue
            if newest < 0:
                newest = record
            if date[newest] < oldest[as_of[row]] or date[record] <= anchor_start[newest]:
                break
            if weight == 0.0:
                out[row] = 0.0
            months = values[record, weight_column]
            weight += months
            for column in range(weight_column):
                out[row, column] += months * values[record, column]
        if weight > 0.0:
            for column in range(weight_column):
                out[row, column] /= weight
            out[row, weight_column] = date[newest]


@njit(cache=True, nogil=True)
def _newest_version_kernel(  # type: ignore[no-untyped-def]
    offsets, known, superseded, household, as_of, as_of_day, out
):
    for row in range(len(household)):
        day = as_of_day[as_of[row]]
        for record in range(offsets[household[row]], offsets[household[row] + 1]):
            if _visible(known[record], superseded[record], day):
                out[row] = record
