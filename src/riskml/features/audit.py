"""The audit of features: whether one saw what was not yet known, and whether these data could have shown it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from riskml.features.declarations import Custom, Declaration, Feature, expand
from riskml.features.held import is_dated, tables_held, with_tables
from riskml.features.panel import feature_table
from riskml.tables.contract import TABLES
from riskml.tables.monitoring import Monitoring
from riskml.tables.validation import read_date

#: Test -> what a changed value means, in English and Chinese: first those that show a leak, then the others.
_LEAKS = {
    "dropped": ("changes when what was not yet known is left out", "去掉当时尚未得知的记录后数值改变"),
    "scrambled": ("changes when what was not yet known reads otherwise", "改动当时尚未得知的内容后数值改变"),
    "held": ("rests on later records in {held}", "依据 {held} 中后来的记录"),
    "strangers": (
        "changes when the same households go by other names: it looks them up in something it was not given",
        "同样的住户换了编号后数值改变:它从并未交给它的数据中查找",
    ),
}
_DEPENDS = {
    "row_order": ("it depends on the order of the rows", "它取决于行的顺序"),
    "other_areas": ("it depends on households of other areas", "它取决于其他地区的住户"),
    "splitting": ("it depends on which dates are asked together", "它取决于一起询问哪些日期"),
}
#: Columns that say who shares an amount, over how long, or whether it holds: other values there would not be read.
_KEPT = {"units", "months", "withdrawn"}
#: Why the data, or the function, let nobody tell.
_DOUBTS = {
    "absent": ("the data lack its tables or columns", "数据中没有它所需的表或列"),
    "empty": ("it has no value for any household at risk on these dates", "在这些日期对所有监测户均无数值"),
    "nothing_after": (
        "nothing in {tables} became known on or after these dates, so a look ahead would not show; ask earlier dates",
        "{tables} 在这些日期当日及以后没有新得知的记录,提前看见也显不出来;请改问更早的日期",
    ),
    "nothing_late": (
        "nothing in {tables} that had happened by these dates became known only later, so a feature that goes by the "
        "day it happened would look the same",
        "{tables} 中没有已发生而后来才得知的记录,按发生日期取数的特征会显得一样",
    ),
    "undated": (
        "it holds {held}, of which nobody can tell here what was known when; give it as a table of the data",
        "它自带 {held},无从得知其中内容何时得知;请作为数据表提供",
    ),
}


def audit_features(data: Monitoring, features: Sequence[Declaration], as_of_dates: Iterable[object]) -> pd.DataFrame:
    """Say of each feature whether it saw what was not yet known on the as-of dates.

    Every value is computed again under changes that must not matter, and compared bit for bit: everything not yet known
    dropped (``data.known_by``); its values scrambled; and for features with functions of their own: tables the
    function holds put back to what was known (``held``), and all households given other names (``strangers``: who
    looks up outside knowledge by ``household_id`` finds nothing). A changed value is a leak. Further changes show
    what else a value hangs on: the order of rows, the households of other areas, the dates asked together.

    That nothing changed proves something only where something could: without records that became known late, a feature
    that goes by the day things happened looks like an honest one. Then, or when a function holds tables that say
    nothing of when they were known, the verdict is ``cannot tell``. A number that was computed from later records
    before it came into the function (a mean, a threshold) leaves no trace that any audit could find. The audit takes
    the time of three to four feature tables a date and three more over all dates.

    Parameters
    ----------
    data : Monitoring
        The tables; late records in them are what makes the audit sharp.
    features : sequence of declarations
        What to audit, for example ``(*riskml.STANDARD, *own)``.
    as_of_dates : iterable of dates
        Days to ask on, with enough news after them.

    Returns
    -------
    DataFrame
        One row a feature, in their order: ``feature``; ``verdict`` (``ok``, ``leaks``, ``cannot tell``);
        ``n_values``, the values compared (not missing); the number of values changed under each test (``dropped,
        scrambled, held, strangers, row_order, other_areas, splitting``; NaN: not tested, since no function holds a
        dated table, or there is but one group of areas or one date); ``known_after`` and ``known_late``, rows of its
        tables that became known on or after a date, and those of them that had happened before it;
        ``remark_en, remark_zh``, why.

    Raises
    ------
    ValueError
        If there is no as-of date.
    DataRefused
        If a table is overwritten in place and a date is not after its extract.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> from riskml import Custom, Latest
    >>> data = make_monitoring(80, n_months=24, random_state=0)
    >>> def cheat(known, as_of_date):
    ...     return data.tables["medical"].groupby("household_id")["out_of_pocket"].max()
    >>> features = (Latest("housing", "grade"), Custom("largest_bill", cheat, tables=("medical",)))
    >>> audit_features(data, features, ["2022-12-01"])[["feature", "verdict"]]
            feature verdict
    0  housing_grade      ok
    1   largest_bill   leaks
    """
    dates = sorted({pd.Timestamp(str(day)).normalize() for day in as_of_dates})
    data = replace(data, features=())
    X = feature_table(data, dates, features=features)
    changed = pd.DataFrame(np.nan, index=X.columns, columns=[*_LEAKS, *_DEPENDS])
    for test, then, again in _again(data, features, dates, X):
        # Under other names sums over households are taken in another order; everything else is the same to the bit.
        changed[test] = changed[test].fillna(0) + _n_different(then, again, 1e-9 if test == "strangers" else 0.0)
    declared = {feature.name: feature for feature in expand(features)}
    return pd.DataFrame([_row(data, feature, declared, dates, X, changed) for feature in declared.values()])


def _again(
    data: Monitoring, features: Sequence[Declaration], dates: Sequence[pd.Timestamp], X: pd.DataFrame
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yield test after test: its name, the part of the feature table it computes again, and what it gives."""
    rng = np.random.default_rng(0)
    holds_dated = any(is_dated(table) for each in features for _, table in _held(each))
    for day in dates:
        then = X[X.index.get_level_values("as_of_date") == day]
        yield "dropped", then, _computed(data.known_by(day), features, [day])
        yield "scrambled", then, _computed(_scrambled(data, day, rng), features, [day])
        if holds_dated:
            yield "held", then, _computed(data, features, [day], partial(_as_known, day=day))
        if len(dates) > 1:
            yield "splitting", then, _computed(data, features, [day])
    names = pd.Series([f"stranger {i}" for i in rng.permutation(len(data.household_ids))], index=data.household_ids)
    strangers = _computed(_renamed(data, names=names), features, dates, partial(_renamed, names=names))
    yield "strangers", X, strangers.rename(index=dict(zip(names, names.index, strict=True)), level="household_id")
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in data.tables.items()}
    yield "row_order", X, _computed(replace(data, tables=shuffled), features, dates)
    part = _half_of_the_areas(data)
    if part is not None:
        tables = {name: frame[_are_of(frame, part)] for name, frame in data.tables.items()}
        theirs = X[X.index.get_level_values("household_id").isin(part)]
        yield "other_areas", theirs, _computed(replace(data, tables=tables), features, dates)


def _computed(
    data: Monitoring,
    features: Sequence[Declaration],
    dates: Sequence[pd.Timestamp],
    change: Callable[[Any], Any] | None = None,
) -> pd.DataFrame:
    """Return the features of changed data, with the tables that functions hold changed too."""
    tried: list[Declaration] = []
    for each in features:
        if isinstance(each, Custom):
            function = each.function if change is None else with_tables(each.function, change)
            each = replace(each, function=_tried(function, data))
        tried.append(each)
    return feature_table(data, dates, features=tried)


def _tried(function: Callable[..., Any], data: Monitoring) -> Callable[..., pd.Series]:
    """Return a function that answers for nobody where the one given fails, as it did not on the data as they are."""

    def answer(known: dict[str, pd.DataFrame], as_of_date: pd.Timestamp) -> pd.Series:
        try:
            values = function(known, as_of_date)
            return values[values.index.isin(data.household_ids) & ~values.index.duplicated()].astype(np.float64)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return pd.Series(dtype=np.float64)

    return answer


def _n_different(X: pd.DataFrame, other: pd.DataFrame, tolerance: float) -> pd.Series:
    """Return by feature how many values differ; a row that is gone differs in all it had."""
    one, two = X.align(other.reindex(columns=X.columns), axis=0)
    same = np.isclose(one, two, rtol=tolerance, atol=tolerance / 1000, equal_nan=True)
    return pd.Series((~same).sum(axis=0), index=X.columns)


def _scrambled(data: Monitoring, day: pd.Timestamp, rng: np.random.Generator) -> Monitoring:
    """Return the data with other values in everything that became known from a day on."""
    tables = dict(data.tables)
    for name, frame in data.tables.items():
        later = (_known_on(frame) >= day).to_numpy()
        columns = [column for column in frame.columns if frame[column].dtype.kind == "f" and column not in _KEPT]
        tables[name] = frame.assign(**{column: _other_values(name, column, frame, later, rng) for column in columns})
    return replace(data, tables=tables)


def _other_values(
    name: str, column: str, frame: pd.DataFrame, later: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return a column with the values of later rows exchanged and, where they are measured, made larger or smaller."""
    values = frame[column].to_numpy(copy=True)
    rows = np.flatnonzero(later & ~np.isnan(values))
    kind = TABLES[name].by_name[column].kind if column in TABLES[name].by_name else "number"
    if kind == "flag":
        values[rows] = 1 - values[rows]
    else:
        values[rows] = rng.permutation(values[rows]) * (1 if kind == "code" else rng.lognormal(0, 1, len(rows)))
    return values


def _known_on(frame: pd.DataFrame) -> pd.Series:
    return frame["known_on"].fillna(frame["valid_from"]) if "valid_from" in frame else frame["known_on"]


def _as_known(table: Any, *, day: pd.Timestamp) -> Any:
    """Return a table that a function holds as it was known on a day, if it says what was known when."""
    if isinstance(table, Monitoring):
        return table.known_by(day)
    return table[read_date(table["known_on"])[0] < np.datetime64(day)] if is_dated(table) else table


def _renamed(table: Any, *, names: pd.Series) -> Any:
    """Return monitoring data, or a table of them, with other names of the households."""
    if isinstance(table, Monitoring):
        return replace(table, tables={name: _renamed(frame, names=names) for name, frame in table.tables.items()})
    if not is_dated(table) or "household_id" not in table:
        return table
    place = names.index.get_indexer(pd.Index(table["household_id"]))
    other = names.to_numpy(dtype=object)[place]
    return table.assign(household_id=pd.Series(other, index=table.index).where(place >= 0, table["household_id"]))


def _half_of_the_areas(data: Monitoring) -> pd.Index | None:
    """Return the households of half the areas; None where moves tie all areas together."""
    versions = data.versions("households")
    household, households = pd.factorize(versions["household_id"])
    area, areas = pd.factorize(versions["area_id"])
    n = len(households) + len(areas)
    ties = coo_array((np.ones(len(versions)), (household, len(households) + area)), shape=(n, n))
    n_groups, group = connected_components(ties, directed=False)
    return pd.Index(households)[group[: len(households)] % 2 == 0] if n_groups > 1 else None


def _are_of(frame: pd.DataFrame, households: pd.Index) -> pd.Series:
    if "household_id" not in frame:
        return pd.Series(True, index=frame.index)
    return (frame["household_id"] == "") | frame["household_id"].isin(households)


def _held(declaration: Declaration | Feature) -> list[tuple[str, Any]]:
    """Return the tables within reach of a declaration's function, if it has one."""
    function = getattr(declaration, "function", None)
    return [] if function is None else list(tables_held(function))


def _row(
    data: Monitoring,
    feature: Feature,
    declared: dict[str, Feature],
    dates: Sequence[pd.Timestamp],
    X: pd.DataFrame,
    changed: pd.DataFrame,
) -> dict[str, object]:
    """Return the verdict on one feature and what it rests on."""
    leaves = _leaves(feature, declared)
    tables = sorted({_name_in(data, table) for leaf in leaves for table in (leaf.tables or (leaf.table,))})
    after, late = _news([data.tables[name] for name in tables if name in data.tables], dates)
    n_values = int(X[feature.name].notna().sum()) if feature.name in X else 0
    counts = {str(test): count for test, count in changed.reindex([feature.name]).iloc[0].items()}
    held = dict(each for one in (feature, *leaves) for each in _held(one))
    undated = [name for name, table in held.items() if not is_dated(table)]
    doubts = [
        ("absent", feature.name not in X),
        ("empty", feature.name in X and not n_values),
        ("nothing_after", n_values > 0 and not after),
        ("nothing_late", n_values > 0 and after > 0 and not late),
        ("undated", bool(undated)),
    ]
    leaks = [text for test, text in _LEAKS.items() if counts[test] > 0]
    unsure = [_DOUBTS[doubt] for doubt, there in doubts if there]
    said = [*(leaks or unsure), *(text for test, text in _DEPENDS.items() if counts[test] > 0)]
    words = {"tables": ", ".join(tables), "held": ", ".join(undated if not leaks else set(held) - set(undated))}
    return {
        "feature": feature.name,
        "verdict": "leaks" if leaks else "cannot tell" if unsure else "ok",
        "n_values": n_values,
        **counts,
        "known_after": after,
        "known_late": late,
        "remark_en": "; ".join(en.format(**words) for en, _ in said),
        "remark_zh": ";".join(zh.format(**words) for _, zh in said),
    }


def _leaves(feature: Feature, declared: dict[str, Feature]) -> list[Feature]:
    if feature.kernel != "derived":
        return [feature]
    return [leaf for name in feature.inputs for leaf in _leaves(declared[name], declared)]


def _name_in(data: Monitoring, table: str) -> str:
    return "incomes" if table == "welfare" and "welfare" not in data.tables else table


def _news(tables: Sequence[pd.DataFrame], dates: Sequence[pd.Timestamp]) -> tuple[int, int]:
    """Rows that became known on or after a date, and those of them that tell of something before it, over all dates."""
    after = late = 0
    for frame in tables:
        happened = next((frame[column] for column in ("date", "start") if column in frame), None)
        for day in dates:
            later = frame["known_on"] >= day
            after += int(later.sum())
            late += int((later if happened is None else later & (happened < day)).sum())
            if "end_known_on" in frame:
                ended = ~later & (frame["end_known_on"] >= day)
                after += int(ended.sum())
                late += int((ended & (frame["end"] < day)).sum())
    return after, late
