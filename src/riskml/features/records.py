"""From monitoring tables to the kernel's arrays, and from a value back to the rows that made it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.features import windows
from riskml.features.declarations import Condition, Declaration, Feature, FloatArray, expand
from riskml.features.known import custom_values, recorded
from riskml.features.standard import STANDARD
from riskml.tables.contract import TABLES
from riskml.tables.lines import welfare_records

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda column, wanted: column.isin(list(wanted)),
    "not in": lambda column, wanted: ~column.isin(list(wanted)),
}
_STATS = {"event": windows.EVENT_STATS, "spell": windows.SPELL_STATS, "roster": windows.ROSTER_STATS}
#: What is known of a record behind a value.
_COLUMNS = ["household_id", "as_of_date", "feature", "table", "date", "end", "known_on", "column", "value", "amount"]
#: Mean welfare of neighbours is over values capped here, so that one rich household does not speak for a village.
_WELFARE_CAP = 5.0


def known_records(data: Monitoring, table: str) -> pd.DataFrame | None:
    """Return the versions of a table as features see them, or None where the data do not have it.

    Amounts are in lines (:func:`riskml.tables.lines.in_lines`), incomes annualised. ``welfare`` stands for the welfare
    records, whichever table they come from; ``households`` has the day of lifting as ``date``.
    """
    if table == "welfare":
        return welfare_records(data)
    if table not in data.tables:
        return None
    if table == "households":
        versions = data.versions(table)
        if "lifted_on" not in versions:
            return None
        lifted = versions.assign(date=versions["lifted_on"], lifted_on=1.0)
        return lifted[lifted["date"].notna()]
    return recorded(data, table)


def available(data: Monitoring, features: Iterable[Declaration]) -> tuple[Feature, ...]:
    """Return the features whose table, columns and inputs the data have."""
    columns: dict[str, set[str]] = {}
    kept: dict[str, Feature] = {}
    for feature in expand(features):
        if feature.kernel == "derived":
            if all(name in kept for name in feature.inputs):
                kept[feature.name] = feature
            continue
        if feature.kernel == "custom":
            if all(table == "welfare" or table in data.tables for table in feature.tables):
                kept[feature.name] = feature
            continue
        if feature.kernel == "season":
            kept[feature.name] = feature
            continue
        if feature.table not in columns:
            records = known_records(data, feature.table)
            columns[feature.table] = set() if records is None else set(records.columns)
        needed = {
            "household_id",
            *([feature.column] if feature.column else []),
            *(name for name, _, _ in feature.where),
        }
        if needed <= columns[feature.table]:
            kept[feature.name] = feature
    return tuple(kept.values())


def compute(
    data: Monitoring,
    features: Sequence[Feature],
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_dates: pd.DatetimeIndex,
) -> FloatArray:
    """Return the values of features for rows given as positions of household and as-of date.

    Parameters
    ----------
    data : Monitoring
        The tables.
    features : sequence of Feature
        As :func:`available` returns them.
    household, as_of : ndarray of int64, shape (n_rows,)
        Positions in ``data.household_ids`` and in ``as_of_dates``.
    as_of_dates : DatetimeIndex
        The dates.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_features)
        NaN where a value does not exist; see :data:`riskml.features.windows.EVENT_STATS` and its neighbours for when.
    """
    out = np.empty((len(household), len(features)), order="F")
    position = {feature.name: i for i, feature in enumerate(features)}
    groups: dict[tuple[str, str], list[int]] = {}
    for i, feature in enumerate(features):
        table = "" if feature.kernel in ("derived", "custom") else feature.table
        groups.setdefault((feature.kernel, table), []).append(i)
    for (kernel, table), members in groups.items():
        chosen = [features[i] for i in members]
        if kernel == "newest":
            values = welfare_on(data, household, as_of, as_of_dates)
            out[:, members] = values[:, [("welfare", "welfare_net").index(feature.column or "") for feature in chosen]]
        elif kernel == "neighbours":
            out[:, members] = _neighbours(data, chosen, household, as_of, as_of_dates)
        elif kernel == "season":
            out[:, members] = np.column_stack([_time_of_year(as_of_dates, feature.stat) for feature in chosen])[as_of]
        elif kernel == "custom":
            out[:, members] = custom_values(data, chosen, household, as_of, as_of_dates)
        elif kernel != "derived":
            _statistics(data, table, kernel, chosen, members, household, as_of, as_of_dates, out)
    for i, feature in enumerate(features):
        if feature.kernel == "derived":
            assert feature.function is not None, "a derived feature has a function"
            with np.errstate(invalid="ignore", divide="ignore"):
                out[:, i] = feature.function(*(out[:, position[name]] for name in feature.inputs))
    return out


def welfare_on(
    data: Monitoring, household: NDArray[np.int64], as_of: NDArray[np.int64], as_of_dates: pd.DatetimeIndex
) -> FloatArray:
    """Return welfare on the as-of date in lines, with and without public transfers, and the newest record's day.

    The mean (weighted by months) over the ``data.welfare_months`` that end with the newest record known; NaN where
    that record is older than ``data.max_age_months``.

    Returns
    -------
    ndarray of float64, shape (n_rows, 3)
        ``welfare``, ``welfare_net``, day of the newest record (days since 1970-01-01).
    """
    frame = welfare_records(data)
    records = _arrays(data, frame, [("welfare", ()), ("welfare_net", ()), ("months", ())])
    anchor = windows.shifted_days(_as_index(records.date), -data.welfare_months)
    oldest = windows.shifted_days(as_of_dates, -(data.max_age_months or data.welfare_months))
    return windows.newest_mean(records, anchor, household, as_of, windows.days(as_of_dates), oldest)


def household_version(
    data: Monitoring, household: NDArray[np.int64], as_of: NDArray[np.int64], as_of_dates: pd.DatetimeIndex
) -> NDArray[np.int64]:
    """Return for each row the position in ``data.versions("households")`` of the version in force, -1: none yet."""
    versions = data.versions("households")
    records = _arrays(data, versions.assign(date=versions["known_on"]), [])
    return windows.newest_version(records, household, as_of, windows.days(as_of_dates))


def rows_behind(
    data: Monitoring,
    index: pd.MultiIndex,
    names: Sequence[str],
    features: Sequence[Declaration] = STANDARD,
) -> pd.DataFrame:
    """Return the records that entered the values of features, exactly those.

    Parameters
    ----------
    data : Monitoring
        The tables the values were computed from.
    index : MultiIndex
        ``(household_id, as_of_date)`` of the values.
    names : sequence of str
        Names of features; a derived one stands for its inputs, one of neighbours for the record of the household's own
        area (theirs are not shown), a custom one for all that its function was given of the household.
    features : sequence of declarations, optional
        Where the names are declared; default :data:`riskml.STANDARD` and those of the data.

    Returns
    -------
    DataFrame
        ``household_id, as_of_date, feature, table, date, end, known_on, column, value, amount``, one row a record and
        feature; ``value`` as the feature saw it (amounts in lines of a year), NaN where records are only counted;
        ``amount`` in currency as the record has it, NaN where it is no amount of one record.
    """
    rows = rows_of_each(data, dict.fromkeys(names, index), features)
    return rows.sort_values(["household_id", "as_of_date", "feature", "date"], kind="stable", ignore_index=True)


def rows_of_each(
    data: Monitoring, wanted: Mapping[str, pd.MultiIndex], features: Sequence[Declaration] = STANDARD
) -> pd.DataFrame:
    """Return the records that entered the values of each feature for households and dates of its own.

    Parameters
    ----------
    data : Monitoring
        The tables the values were computed from.
    wanted : mapping of str to MultiIndex
        Name of a feature -> ``(household_id, as_of_date)``.
    features : sequence of declarations, optional
        Where the names are declared; default :data:`riskml.STANDARD` and those of the data.

    Returns
    -------
    DataFrame
        As :func:`rows_behind` gives it, in the order of the features.
    """
    declared = {f.name: f for f in available(data, (*features, *data.features))}
    found = []
    for name, index in wanted.items():
        for leaf in _leaves(declared[name], declared) if name in declared else ():
            rows = _rows_of(data, leaf, index)
            if rows is not None and len(rows):
                found.append(rows.assign(feature=name)[[*_COLUMNS, "row"]])
    if not found:
        return pd.DataFrame(columns=_COLUMNS)
    rows = pd.concat(found, ignore_index=True)
    # Inputs of a derived feature may look at the same record; it is shown once.
    return rows.drop_duplicates([*_COLUMNS[:4], "column", "row"])[_COLUMNS]


def last_rows(
    data: Monitoring, index: pd.MultiIndex, name: str, features: Sequence[Declaration] = STANDARD
) -> pd.DataFrame:
    """Return the last record that a feature would have counted, had its window reached back so far.

    Parameters
    ----------
    data : Monitoring
        The tables.
    index : MultiIndex
        ``(household_id, as_of_date)``.
    name : str
        Name of a feature; a derived one stands for its inputs.
    features : sequence of declarations, optional
        Where the name is declared; default :data:`riskml.STANDARD` and those of the data.

    Returns
    -------
    DataFrame
        As :func:`rows_behind` gives it, at most one row a household and date: none where no such record was known.
    """
    declared = {f.name: f for f in available(data, (*features, *data.features))}
    found = [pd.DataFrame(columns=_COLUMNS)]
    for leaf in _leaves(declared[name], declared) if name in declared else ():
        rows = _known_rows(data, leaf, index)
        if rows is not None:
            rows = _described(leaf, rows)
            found.append(rows[rows["date"] < rows["as_of_date"]].assign(feature=name)[_COLUMNS])
    rows = pd.concat([piece for piece in found if len(piece)] or found[:1], ignore_index=True)
    return rows.sort_values(["date", "known_on"], kind="stable").groupby(["household_id", "as_of_date"]).tail(1)


def registrations(data: Monitoring, index: pd.MultiIndex) -> pd.DataFrame:
    """Return the record with which each household came on file.

    Parameters
    ----------
    data : Monitoring
        The tables.
    index : MultiIndex
        ``(household_id, as_of_date)``.

    Returns
    -------
    DataFrame
        ``household_id, as_of_date, table, date, end, known_on, column, value, amount``; ``date`` is ``known_on``.
    """
    versions = data.versions("households")
    first = versions.groupby("household_id", as_index=False)["known_on"].min()
    rows = index.to_frame(index=False).drop_duplicates().merge(first, on="household_id")
    never = np.full(len(rows), np.datetime64("NaT", "s"))
    rows = rows.assign(table="households", date=rows["known_on"], end=never, column="", value=np.nan, amount=np.nan)
    return rows[[name for name in _COLUMNS if name != "feature"]]


def _statistics(
    data: Monitoring,
    table: str,
    kernel: str,
    features: Sequence[Feature],
    columns: Sequence[int],
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_dates: pd.DatetimeIndex,
    out: FloatArray,
) -> None:
    """Write the values of the features of one table into their columns of ``out``."""
    frame = known_records(data, table)
    assert frame is not None, f"{table} was found available"
    values = list(dict.fromkeys((feature.column, feature.where) for feature in features))
    spans = sorted({_span(feature) for feature in features}, reverse=True)
    edges = np.column_stack([windows.shifted_days(as_of_dates, months) for months in spans])
    requests = np.array(
        [
            (values.index((f.column, f.where)), spans.index(_span(f)), _STATS[kernel].index(f.stat), column)
            for f, column in zip(features, columns, strict=True)
        ],
        dtype=np.int64,
    )
    records = _arrays(data, frame, values)
    rows = household, as_of, windows.days(as_of_dates)
    if kernel == "event":
        windows.event_statistics(records, *rows, edges, requests, out)
    elif kernel == "spell":
        windows.spell_statistics(records, *rows, edges, requests, out)
    else:
        windows.roster_statistics(records, *rows, edges, requests, np.array([f.ages for f in features]), out)


def _span(feature: Feature) -> float:
    """Return the months from the as-of date to the edge of the feature's window: negative back, positive ahead."""
    months = np.inf if np.isnan(feature.window) else feature.window
    return months if feature.stat.startswith("ending") else -months


def _arrays(
    data: Monitoring, frame: pd.DataFrame, values: Sequence[tuple[str | None, tuple[Condition, ...]]]
) -> windows.Records:
    """Return the kernel's arrays of a table with one value column per (column, conditions)."""
    matrix = np.empty((len(frame), len(values)))
    for i, (column, where) in enumerate(values):
        matrix[:, i] = _value(frame, column, where)
    return windows.arrange(
        frame["household_position"].to_numpy(),
        len(data.household_ids),
        date=windows.days(frame["start"] if "start" in frame else frame["date"]),
        known=windows.days(frame["known_on"]),
        superseded=windows.days(frame["superseded_on"]),
        values=matrix,
        end=windows.days(frame["end"]) if "end" in frame else None,
        birth=windows.days(frame["birth"]) if "birth" in frame else None,
    )


def _value(frame: pd.DataFrame, column: str | None, where: tuple[Condition, ...]) -> FloatArray:
    value = np.ones(len(frame)) if column is None else frame[column].to_numpy(dtype=np.float64, copy=True)
    for name, sign, wanted in where:
        value[~_OPERATORS[sign](frame[name], wanted).to_numpy(dtype=bool)] = np.nan
    return value


def _as_index(day: NDArray[np.int32]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(day.astype("datetime64[D]").astype("datetime64[s]"))


def _neighbours(
    data: Monitoring,
    features: Sequence[Feature],
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_dates: pd.DatetimeIndex,
) -> FloatArray:
    """Return what is known of the other households of each row's area."""
    n_households, n_dates = len(data.household_ids), len(as_of_dates)
    everyone = np.repeat(np.arange(n_households), n_dates), np.tile(np.arange(n_dates), n_households)
    now = welfare_on(data, *everyone, as_of_dates)[:, 0].reshape(n_households, n_dates)
    before = welfare_on(data, *everyone, as_of_dates - pd.DateOffset(months=12))[:, 0].reshape(n_households, n_dates)
    versions, version = data.versions("households"), household_version(data, *everyone, as_of_dates)
    codes, _ = pd.factorize(versions["area_id"], sort=True)
    area = np.where(version >= 0, codes[version], -1).reshape(n_households, n_dates)
    signals = {
        "below": np.where(np.isnan(now), np.nan, now < 1),
        "returned": np.where(np.isnan(now) | ~(before >= 1), np.nan, now < 1),
        "welfare": np.minimum(now, _WELFARE_CAP),
    }
    return np.column_stack([_mean_of_others(signals[feature.stat], area)[household, as_of] for feature in features])


def _time_of_year(days: pd.DatetimeIndex, stat: str) -> FloatArray:
    """Return how near each day lies to the beginning of January (``winter``) or of April (``spring``), 1 to -1."""
    angle = 2 * np.pi * (days.day_of_year.to_numpy() - 1) / np.where(days.is_leap_year, 366, 365)
    return np.cos(angle) if stat == "winter" else np.sin(angle)


def _mean_of_others(signal: FloatArray, area: NDArray[np.int64]) -> FloatArray:
    """Return for each household and date the mean of the signal over the other households of its area."""
    out = np.full(signal.shape, np.nan)
    for date in range(signal.shape[1]):
        counts = ~np.isnan(signal[:, date]) & (area[:, date] >= 0)
        own = np.where(counts, signal[:, date], 0.0)
        group = np.maximum(area[:, date], 0)
        others = np.bincount(group[counts], minlength=group.max(initial=0) + 1)[group] - counts
        total = np.bincount(group[counts], own[counts], minlength=group.max(initial=0) + 1)[group] - own
        told = (others > 0) & (area[:, date] >= 0)
        out[told, date] = total[told] / others[told]
    return out


def _leaves(feature: Feature, declared: dict[str, Feature]) -> list[Feature]:
    if feature.kernel != "derived":
        return [feature]
    return [leaf for name in feature.inputs for leaf in _leaves(declared[name], declared)]


def _rows_of(data: Monitoring, feature: Feature, index: pd.MultiIndex) -> pd.DataFrame | None:
    """Return the rows that entered one kernel feature for the households and dates of the index."""
    if feature.kernel == "custom":
        shown = [_shown_rows(data, table, index) for table in feature.tables]
        return pd.concat([rows for rows in shown if len(rows)], ignore_index=True) if any(map(len, shown)) else None
    if feature.kernel == "neighbours":
        return _shown_rows(data, "households", index)
    rows = _known_rows(data, feature, index)
    if rows is None:
        return None
    if feature.kernel == "newest":
        rows = _newest_rows(data, rows)
    else:
        rows = {"event": _event_rows, "spell": _spell_rows, "roster": _roster_rows}[feature.kernel](feature, rows)
    return _described(feature, rows)


def _known_rows(data: Monitoring, feature: Feature, index: pd.MultiIndex) -> pd.DataFrame | None:
    """Return the rows that a feature could count whatever its window, as known on the dates of the index."""
    frame = None if feature.kernel in ("neighbours", "custom") else known_records(data, feature.table)
    if frame is None:
        return None
    rows = _of_households(data, frame, index)
    rows = rows.assign(value=_value(rows, feature.column, feature.where), amount=_in_currency(data, feature, rows))
    rows = _with_dates(data, rows, index)
    return rows[_in_force(rows) & rows["value"].notna()]


def _shown_rows(data: Monitoring, table: str, index: pd.MultiIndex) -> pd.DataFrame:
    """Return the rows of a table in force on the dates of the index, without a value."""
    frame = data.versions(table) if table in data.tables else welfare_records(data)
    rows = _with_dates(data, _of_households(data, frame, index), index)
    rows = rows[_in_force(rows)]
    date = next((rows[name] for name in ("date", "start") if name in rows), rows["known_on"])
    end = rows["end"] if "end" in rows else np.full(len(rows), np.datetime64("NaT", "s"))
    rows = rows.assign(table=table, date=date, end=end, column="", value=np.nan, amount=np.nan)
    return rows[[*(name for name in _COLUMNS if name != "feature"), "row"]]


def _of_households(data: Monitoring, frame: pd.DataFrame, index: pd.MultiIndex) -> pd.DataFrame:
    """Return the rows of the households of an index, numbered."""
    asked = np.zeros(len(data.household_ids) + 1, dtype=bool)
    asked[data.household_ids.get_indexer(index.get_level_values(0))] = True
    # A household that is not in the data has position -1, the last place.
    asked[-1] = False
    rows = frame[asked[frame["household_position"].to_numpy()]]
    return rows.assign(row=np.arange(len(rows)))


def _with_dates(data: Monitoring, rows: pd.DataFrame, index: pd.MultiIndex) -> pd.DataFrame:
    """Return the rows once for each as-of date of their household."""
    position = data.household_ids.get_indexer(index.get_level_values(0))
    dates = pd.DataFrame({"household_position": position, "as_of_date": index.get_level_values(1)})
    return rows.merge(dates.drop_duplicates(), on="household_position")


def _in_force(rows: pd.DataFrame) -> pd.Series:
    return (rows["known_on"] < rows["as_of_date"]) & ~(rows["superseded_on"] < rows["as_of_date"])


def _described(feature: Feature, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with the columns that all records have in common."""
    date = rows["start"] if "start" in rows else rows["date"]
    value = rows["value"] if feature.column is not None else np.nan
    rows = rows.assign(table=feature.table, date=date, column=feature.column or "", value=value)
    return rows if "end" in rows else rows.assign(end=np.full(len(rows), np.datetime64("NaT", "s")))


def _in_currency(data: Monitoring, feature: Feature, rows: pd.DataFrame) -> pd.Series | float:
    """Return a feature's amounts as versions of its table have them; NaN if they are none, or of several records."""
    column = TABLES[feature.table].by_name.get(feature.column or "") if feature.table != "welfare" else None
    if column is None or column.kind != "amount":
        return np.nan
    return data.versions(feature.table)[column.name].loc[rows.index]


def _edge(day: pd.Series, months: float) -> pd.Series:
    if np.isinf(months):
        return pd.Series(pd.Timestamp("1800-01-01"), index=day.index)
    return day + pd.DateOffset(months=int(months))


def _event_rows(feature: Feature, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[(rows["date"] < rows["as_of_date"]) & (rows["date"] >= _edge(rows["as_of_date"], _span(feature)))]
    if feature.stat in ("last", "days_since"):
        return rows.sort_values(["date", "known_on"], kind="stable").groupby(["household_id", "as_of_date"]).tail(1)
    if feature.stat in ("max", "min"):
        keys = [rows["household_id"], rows["as_of_date"]]
        values = rows["value"].groupby(keys)
        return rows[rows["value"] == values.transform("max" if feature.stat == "max" else "min")]
    return rows


def _newest_rows(data: Monitoring, rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["date"] < rows["as_of_date"]]
    newest = rows["date"].groupby([rows["household_id"], rows["as_of_date"]]).transform("max")
    return rows[rows["date"] > newest - pd.DateOffset(months=data.welfare_months)]


def _spell_rows(feature: Feature, rows: pd.DataFrame) -> pd.DataFrame:
    day, start, end = rows["as_of_date"], rows["start"], rows["end"]
    edge = _edge(day, _span(feature))
    over = end < day
    active = (start <= day) & ~over
    stat = feature.stat
    if stat.startswith("active"):
        return rows[active]
    if stat in ("months", "paid"):
        return rows[(start < day) & ~(end < edge)]
    if stat == "ended":
        return rows[over & (end >= edge)]
    if stat.startswith("ending"):
        return rows[active & (end < edge)]
    if stat == "started":
        return rows[(start >= edge) & (start < day)]
    keys = [rows["household_id"], rows["as_of_date"]]
    if stat == "days_since_end":
        newest = end.where(over).groupby(keys).transform("max")
        return rows[over & (end == newest)]
    longest = start.where(active).groupby(keys).transform("min")
    return rows[active & (start == longest)]


def _roster_rows(feature: Feature, rows: pd.DataFrame) -> pd.DataFrame:
    day, start, end = rows["as_of_date"], rows["start"], rows["end"]
    low, high = feature.ages
    if np.isfinite(low) or np.isfinite(high):
        age = (day - rows["birth"]).dt.days / 365.25
        rows = rows[(age >= low) & (age < high)]
        day, start, end = rows["as_of_date"], rows["start"], rows["end"]
    if feature.stat == "left":
        return rows[(end < day) & (end >= _edge(day, _span(feature)))]
    if feature.stat == "joined":
        return rows[(start < day) & (start >= _edge(day, _span(feature))) & ~(end <= day)]
    return rows[(start <= day) & ~(end <= day)]
