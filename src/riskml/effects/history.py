"""Who started which measure when, beside what had happened before.

An effect is judged afterwards. What an officer saw on a visit may be in the tables only weeks later, and a reason for
help that is left out makes help look harmful. So here a record counts from the day it *happened*, not from the day it
was entered; a prediction may never do this (:mod:`riskml.features`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.findings import in_words
from riskml.tables.contract import TABLES

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: Starts of any measure in an area before the date, per household of the area and year: how generous its office is.
AREA_RATE = "started_in_area"
#: Earlier starts of the measure by the household itself.
OWN_STARTS = "started_before"
_DAYS_A_YEAR = 365.25


def as_happened(data: Monitoring) -> Monitoring:
    """Return the data as if every record had been entered on the day it happened.

    Of a dated record the newest version counts from its date, and a record taken back not at all. Of a spell the
    first version counts from its start, with the end planned then; a version that came later, and an end learned
    later, count from the end; none counts before its household was registered. Households and members keep their days
    of entry: what is on them says how they are now, not since when.

    Parameters
    ----------
    data : Monitoring
        The tables.

    Returns
    -------
    Monitoring
        With ``known_on`` moved; for judging effects afterwards, never for a prediction.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> medical = as_happened(make_monitoring(50, n_months=12, random_state=0)).tables["medical"]
    >>> bool((medical["known_on"] == medical["date"]).mean() > 0.9)  # the others: not yet registered
    True
    """
    registered = _registered(data)
    moved = {}
    for name, frame in data.tables.items():
        if name in ("households", "members", "lines"):
            moved[name] = frame
        else:
            counted = _spells(frame, name) if "start" in frame else _dated(frame, name)
            # How many share an amount is known from the day the household was registered; whole areas have no such day.
            earliest = counted["household_id"].map(registered).fillna(counted["known_on"])
            counted = counted.assign(known_on=counted["known_on"].clip(lower=earliest))
            same_day = counted.duplicated([*TABLES[name].key, "known_on"], keep="last")
            moved[name] = counted[~same_day].sort_index()
    return replace(data, tables=moved, checked=False)


def treatment_table(
    data: Monitoring, measures: Sequence[str], index: pd.MultiIndex, *, window_months: int = 1
) -> pd.DataFrame:
    """Return which households started which measure in the window after each as-of date.

    Parameters
    ----------
    data : Monitoring
        The tables, ``assistance`` among them.
    measures : sequence of str
        Names as in ``assistance.measure``.
    index : MultiIndex
        ``(household_id, as_of_date)``.
    window_months : int, default 1
        Months from the as-of date on (that day counted) in which a start counts.

    Returns
    -------
    DataFrame of float64
        Indexed as given, one column a measure: 1 started in the window, 0 did not, NaN where the measure was already
        running on the day before the date.

    Raises
    ------
    ValueError
        If the data have no table ``assistance``, the window is not positive, or reaches beyond the extract.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(200, n_months=24, random_state=0)
    >>> index = pd.MultiIndex.from_product(
    ...     [data.household_ids, [pd.Timestamp("2022-03-01")]], names=["household_id", "as_of_date"]
    ... )
    >>> started = treatment_table(data, ["health_assistance"], index)
    >>> sorted(started["health_assistance"].dropna().unique().tolist())
    [0.0, 1.0]
    """
    _check_window(data, index, window_months)
    spells = _newest(data.tables["assistance"], "assistance")
    place = pd.Index(data.household_ids)
    who = place.get_indexer(index.get_level_values("household_id"))
    days = pd.DatetimeIndex(index.get_level_values("as_of_date"))
    out = np.zeros((len(index), len(measures)))
    for k, measure in enumerate(measures):
        own = spells[spells["measure"] == measure]
        lane, start, end = place.get_indexer(own["household_id"]), own["start"], own["end"]
        for day in days.unique():
            rows = np.flatnonzero(days == day)
            last = day + pd.DateOffset(months=window_months)
            running = _marked(lane, (start < day) & ~(end < day), len(place))
            started = _marked(lane, (start >= day) & (start < last), len(place))
            out[rows, k] = np.where(running[who[rows]], np.nan, started[who[rows]])
    return pd.DataFrame(out, index=index, columns=list(measures))


def help_before(data: Monitoring, measure: str, index: pd.MultiIndex) -> pd.DataFrame:
    """Return how much help was given before each date: in the area, and of this measure to the household.

    What decides on help beside need, an officer's leniency, stands in no table; how often help started in the same area
    before is its trace.

    Parameters
    ----------
    data : Monitoring
        The tables, ``assistance`` among them.
    measure : str
        Name as in ``assistance.measure``.
    index : MultiIndex
        ``(household_id, as_of_date)``.

    Returns
    -------
    DataFrame of float64
        Indexed as given: :data:`AREA_RATE`, starts of any measure in the household's newest area before the date per
        household and year (NaN before the first); :data:`OWN_STARTS`, count.
    """
    spells = _newest(data.tables["assistance"], "assistance")
    place = pd.Index(data.household_ids)
    area = pd.factorize(data.area_of(place))[0]
    who, lane = place.get_indexer(index.get_level_values("household_id")), place.get_indexer(spells["household_id"])
    days, first = pd.DatetimeIndex(index.get_level_values("as_of_date")), spells["start"].min()
    own_measure = (spells["measure"] == measure).to_numpy()
    out = np.zeros((len(index), 2))
    for day in days.unique():
        rows, before = np.flatnonzero(days == day), (spells["start"] < day).to_numpy()
        years = (day - first).days / _DAYS_A_YEAR
        rate = np.bincount(area[lane[before]], minlength=area.max() + 1) / np.bincount(area)
        out[rows, 0] = (rate / years if years > 0 else np.full_like(rate, np.nan))[area[who[rows]]]
        out[rows, 1] = np.bincount(lane[before & own_measure], minlength=len(place))[who[rows]]
    return pd.DataFrame(out, index=index, columns=[AREA_RATE, OWN_STARTS])


def _check_window(data: Monitoring, index: pd.MultiIndex, window_months: int) -> None:
    if "assistance" not in data.tables:
        raise ValueError(
            in_words(
                "effects of measures need the table assistance (who received what from when to when), which the data "
                "do not have. Add it",
                "估计措施效果需要数据表 assistance（谁在何时至何时得到什么帮扶），但数据中没有，请补充",
            )
        )
    if window_months < 1:
        raise ValueError(f"window_months must be at least 1, got {window_months}")
    last = index.get_level_values("as_of_date").max() + pd.DateOffset(months=window_months)
    if last > data.extract_on:
        raise ValueError(
            in_words(
                f"the window of {window_months} months after the last as-of date ends on {last:%Y-%m-%d}, after the "
                f"extract of {data.extract_on:%Y-%m-%d}; who starts a measure is not known yet. Choose earlier dates",
                f"最后一个评估日期之后的{window_months}个月窗口止于{last:%Y-%m-%d}，晚于数据提取日"
                f"{data.extract_on:%Y-%m-%d}，尚不知道谁会开始得到帮扶。请选择更早的日期",
            )
        )


def _registered(data: Monitoring) -> pd.Series:
    """Return the day from which a household and, if the data have them, its members were known."""
    days = [
        data.tables[name].groupby("household_id")["known_on"].min()
        for name in ("households", "members")
        if name in data.tables
    ]
    return pd.concat(days, axis=1).max(axis=1)


def _newest(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the newest version of each record, those taken back left out."""
    ordered = frame.sort_values("known_on", kind="stable")
    newest = ordered.drop_duplicates(list(TABLES[name].key), keep="last").sort_index()
    return newest[newest["withdrawn"] != 1]


def _dated(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    newest = _newest(frame, name)
    return newest.assign(known_on=np.minimum(newest["known_on"], newest["date"]))


def _spells(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    key = list(TABLES[name].key)
    kept = pd.MultiIndex.from_frame(frame[key]).isin(pd.MultiIndex.from_frame(_newest(frame, name)[key]))
    rows = frame[kept & (frame["withdrawn"] != 1).to_numpy()].sort_values("known_on", kind="stable")
    first = ~rows.duplicated(key)
    happened = rows["start"].where(first, rows["end"].fillna(rows["known_on"]))
    known = np.minimum(rows["known_on"], happened)
    ended = rows["end_known_on"].where(rows["end_known_on"].isna(), np.minimum(rows["end_known_on"], rows["end"]))
    return rows.assign(known_on=known, end_known_on=ended)


def _marked(lane: NDArray[np.int64], chosen: pd.Series, n: int) -> NDArray[np.bool_]:
    marked = np.zeros(n, dtype=bool)
    marked[lane[chosen.to_numpy()]] = True
    return marked
