"""Poverty lines: which one holds where and when, and money measured in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pandas as pd

from riskml.findings import Finding
from riskml.tables.contract import TABLES, Column
from riskml.tables.keys import household_positions, row_order
from riskml.tables.validation import finding, first_case

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: Amounts of a year in an amount of the unit. A year has 365 days, as in the international daily lines.
_A_YEAR = {"person_year": 1.0, "person_month": 12.0, "person_day": 365.0, "score": 1.0}
#: Tables that say where a household lives, how many share an amount, and what the line is.
_MEASURING = {"households", "members", "lines", "incomes", "welfare"}
_SOURCES = ("wage", "business", "property", "transfers", "private")
_NEVER = np.iinfo(np.int64).max


def line_amounts(
    lines: pd.DataFrame, area_id: Any, date: Any, *, known_by: Any = None, score: bool = False
) -> np.ndarray:
    """Return the line that holds for each area and date.

    Of the lines whose ``area_id`` is a prefix of the area's (the empty one is a prefix of all), whose
    ``valid_from`` to ``valid_to`` holds the date and which were known by then, the one with the longest prefix
    counts, then the newest ``valid_from``, then the newest ``known_on``.

    Parameters
    ----------
    lines : DataFrame
        Table ``lines`` of a :class:`~riskml.Monitoring`.
    area_id : str or array-like of str, shape (n,)
        Areas asked for.
    date : date or array-like of dates, shape (n,)
        Days asked for.
    known_by : date or array-like of dates, shape (n,), optional
        Only lines known on or before this day count; a line without ``known_on`` is known from ``valid_from``.
        Default: all lines count.
    score : bool, default False
        Look among lines in points of a score instead of those in money.

    Returns
    -------
    ndarray of float64, shape (n,)
        Currency per person (or adult equivalent) and year, or points of the score; NaN where no line holds.

    Examples
    --------
    >>> import pandas as pd
    >>> lines = pd.DataFrame({
    ...     "area_id": ["", "52"],
    ...     "valid_from": pd.to_datetime(["2020-01-01", "2021-01-01"]),
    ...     "valid_to": pd.NaT,
    ...     "known_on": pd.NaT,
    ...     "amount": [4000.0, 500.0],
    ...     "unit": ["person_year", "person_month"],
    ... })
    >>> line_amounts(lines, ["5201", "5201", "33"], ["2020-06-30", "2021-06-30", "2021-06-30"]).tolist()
    [4000.0, 6000.0, 4000.0]
    """
    area_id, day, known_by = _same_length(area_id, date, known_by)
    area, areas = pd.factorize(area_id)
    return _lines_on(_ordered(lines, areas, score=score), area, day, known_by)


def household_units(data: Monitoring, household_id: Any, date: Any, *, known_by: Any) -> np.ndarray:
    """Return how many members each household had on a date, as known by a day.

    A member is there from ``start`` to the day before ``end``. If nobody was there on that very date, the nearest
    date on which somebody was is taken (a household registered a little after its first bill).

    Parameters
    ----------
    data : Monitoring
        The monitoring tables.
    household_id : str or array-like of str, shape (n,)
        Households.
    date : date or array-like of dates, shape (n,)
        Days on which the members are counted.
    known_by : date or array-like of dates, shape (n,)
        Only versions known on or before this day count.

    Returns
    -------
    ndarray of float64, shape (n,)
        Persons; NaN where no member was known by then.

    Examples
    --------
    >>> import riskml
    >>> members = {"household_id": "1", "member_id": ["a", "b"], "start": ["2020-01-01", "2023-05-01"]}
    >>> data = riskml.Monitoring({
    ...     "households": pd.DataFrame({"household_id": ["1"], "area_id": "52", "known_on": "2020-01-01"}),
    ...     "members": pd.DataFrame({**members, "known_on": members["start"]}),
    ...     "incomes": pd.DataFrame(columns=["household_id", "date", "known_on", "months"]),
    ...     "lines": pd.DataFrame({"area_id": "", "valid_from": ["2020-01-01"], "amount": 4000, "unit": "person_year"}),
    ... })
    >>> household_units(data, "1", ["2023-04-30", "2023-06-30"], known_by="2023-12-31").tolist()
    [1.0, 2.0]
    """
    household_id, day, known_by = _same_length(household_id, date, known_by)
    return _members_on(data, household_positions(household_id.to_series(), data.household_ids), day, known_by)


def in_lines(data: Monitoring, table: str) -> pd.DataFrame:
    """Return ``data.versions(table)`` with every amount measured in poverty lines.

    An amount is divided by annual line x units: 0.4 is four tenths of what keeps the household at the line for
    a year, whatever the prices, the place or its size. Amounts per month (``employment.wage``,
    ``assistance.amount``) are annualised first, so that 0.4 is four tenths of the line. A score is divided by its
    line alone.

    The line is that of the record's date; that of a spell on the day the version was entered, or on the spell's last
    day if it was over by then. Units are the record's own, else the newest ``units`` of the
    income (or welfare) records known by then, else the members. Area, line and units count only as known on the
    record's own ``known_on`` (the first area, if the household was registered only later).

    Parameters
    ----------
    data : Monitoring
        The monitoring tables.
    table : str
        One of them, other than ``lines``.

    Returns
    -------
    DataFrame
        As ``data.versions(table)``, amounts in lines; amounts of money are NaN if all lines are in points of
        a score. It is kept for the next call: copy it before changing it.

    Examples
    --------
    >>> from riskml.tables.monitoring import _example
    >>> in_lines(_example(), "incomes")["wage"].tolist()  # 900 and 950 of 3 x 4000 a year
    [0.075, 0.07916666666666666]
    """
    if ("in_lines", table) not in data._cache:
        measured = data.versions(table)
        if _amount_columns(data, table):
            measured = _measured(data, table, *_divisors(data, table))
        data._cache["in_lines", table] = measured
    return data._cache["in_lines", table]


def welfare_records(data: Monitoring) -> pd.DataFrame:
    """Return what decides who is below the line: annualised welfare of each record, 1 is the line.

    From the table ``welfare`` if the data have it, else from ``incomes``: ``total`` where given, else the sources
    less ``expenses`` (sources left empty count as nothing where another is filled), each divided by its part of
    a year. A score is not annualised. Records without any answer are left out: missing is never zero.

    Parameters
    ----------
    data : Monitoring
        The monitoring tables.

    Returns
    -------
    DataFrame
        ``household_id, household_position, date, known_on, superseded_on, months, welfare, welfare_net``: welfare in
        lines, and the same without public transfers (equal where ``transfers`` is empty; NaN if welfare is not income).
        Sorted as ``data.versions``; kept for the next call.

    Examples
    --------
    >>> from riskml.tables.monitoring import _example
    >>> welfare_records(_example())[["household_id", "months", "welfare", "welfare_net"]]
      household_id  months  welfare  welfare_net
    0         0101     1.0     0.90         0.90
    1         0101     1.0     0.95         0.95
    """
    if "welfare_records" not in data._cache:
        table = _deciding_table(data)
        records = in_lines(data, table)
        months = records["months"]
        if table == "welfare":
            welfare = records["value"] * (1 if _line_kind(data, table) == "score" else 12 / months)
            welfare_net = welfare * np.nan
        else:
            total = _net_income(records)
            welfare = total * 12 / months
            transfers = records["transfers"].fillna(0) if "transfers" in records else 0
            welfare_net = (total - transfers) * 12 / months
        kept = records[["household_id", "household_position", "date", "known_on", "superseded_on", "months"]]
        kept = kept.assign(welfare=welfare, welfare_net=welfare_net)
        data._cache["welfare_records"] = kept[welfare.notna()].reset_index(drop=True)
    return data._cache["welfare_records"]


def relative_lines(data: Monitoring, *, share: float, area_digits: int = 0) -> pd.DataFrame:
    """Return lines that are a share of the median of the reference population, each from the year before.

    The line of a year is ``share`` times the weighted median, over the households of the area, of welfare per unit
    and year in the calendar year before, using only versions known before the year began; so the line is known
    when it takes effect and looks at nothing later. Weights are persons: units x survey weight. The first year
    of the data gets no line: put a published one before it. The reference population is the
    households in ``data``; if these are only the poorer ones, so is the median.

    Parameters
    ----------
    data : Monitoring
        The monitoring tables, constructed with any lines (they are not used).
    share : float
        Between 0 and 1, for example 0.4, 0.5 or 0.6.
    area_digits : int, default 0
        Length of the area code within which the median is taken; 0 is one line everywhere.

    Returns
    -------
    DataFrame
        A table ``lines``: ``area_id, valid_from, known_on, amount`` (currency per person and year, or points of
        the score), ``unit, basis, source``. Empty if no year is complete.

    Raises
    ------
    ValueError
        If ``share`` is not between 0 and 1.

    References
    ----------
    The 40, 50 and 60 per cent of the median used by OECD and Eurostat; there taken over equivalised income.

    Examples
    --------
    >>> from riskml.tables.monitoring import _example
    >>> lines = relative_lines(_example(), share=0.5)
    >>> len(lines)  # the year after 2024 has not begun in these data
    0
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be between 0 and 1, for example 0.5, not {share}")
    welfare = _yearly_welfare(data)
    welfare["area_id"] = welfare["area_id"].str[:area_digits]
    rows = [
        {"area_id": area, "valid_from": day, "known_on": day, "amount": share * _weighted_median(part)}
        for (day, area), part in welfare.groupby(["valid_from", "area_id"])
    ]
    unit = "score" if _line_kind(data, _deciding_table(data)) == "score" else "person_year"
    lines = pd.DataFrame(rows, columns=["area_id", "valid_from", "known_on", "amount"])
    return lines.assign(unit=unit, basis="relative", source=f"{share:g} of the weighted median of the year before")


def published_lines() -> pd.DataFrame:
    """Return poverty lines that were published, with their sources, to choose from.

    They overlap and are in different money, so the table is not a ``lines`` table to be used whole: choose the
    rows that apply, bring amounts in international dollars into the currency of the data, and complete them with
    the line of one's own province and year. ``valid_from`` is the first day of the year or month meant.

    Returns
    -------
    DataFrame
        ``area_id, valid_from, known_on, amount, unit, basis, source`` as in table ``lines``, and ``currency``.

    Examples
    --------
    >>> published_lines().query("basis == 'international'")["amount"].tolist()
    [3.0, 4.2, 8.3]
    """
    lines = pd.DataFrame(_PUBLISHED, columns=["area_id", "valid_from", "amount", "unit", "basis", "currency", "source"])
    lines["valid_from"] = pd.to_datetime(lines["valid_from"]).astype("datetime64[s]")
    lines.insert(2, "known_on", np.full(len(lines), np.datetime64("NaT"), "datetime64[s]"))
    return lines


def line_findings(data: Monitoring) -> list[Finding]:
    """Return findings for amounts that cannot be measured: no line, or nobody known to share them."""
    findings = []
    for table in data.tables:
        names = [column.name for column in _amount_columns(data, table)]
        if not names or _line_kind(data, table) == "none":
            continue
        versions = data.versions(table)
        line, units = _divisors(data, table)
        for rule, missing in (("missing_line", np.isnan(line)), ("no_units", np.isnan(units))):
            rows = np.flatnonzero(missing)
            rows = rows[versions[names].iloc[rows].notna().any(axis=1)]
            if len(rows):
                findings.append(finding(rule, table, "", len(rows), first_case(versions, int(rows[0]))))
        data._cache["in_lines", table] = _measured(data, table, line, units)
    return findings


_CHINA, _WORLD = "State Council white paper, April 2021", "World Bank fact sheet, 2025-06-05"
_PUBLISHED = [
    ("", "2010-01-01", 2300.0, "person_year", "national", "yuan at 2010 prices", _CHINA),
    ("", "2020-01-01", 4000.0, "person_year", "national", "yuan, about", f"{_CHINA}; SCIO press conference 2021-04-06"),
    ("", "2020-01-01", 6000.0, "person_year", "monitoring range", "yuan, about", "China Daily, 2020-12-02"),
    ("52", "2025-01-01", 8500.0, "person_year", "provincial", "yuan", "People's Daily, 2026-01-31"),
    ("", "2025-06-01", 3.0, "person_day", "international", "international dollars, 2021 PPP", _WORLD),
    ("", "2025-06-01", 4.2, "person_day", "international", "international dollars, 2021 PPP", _WORLD),
    ("", "2025-06-01", 8.3, "person_day", "international", "international dollars, 2021 PPP", _WORLD),
]


def _amount_columns(data: Monitoring, table: str) -> list[Column]:
    return [column for column in TABLES[table].columns if column.kind == "amount" and column.name in data.tables[table]]


def _deciding_table(data: Monitoring) -> str:
    return "welfare" if "welfare" in data.tables else "incomes"


def _line_kind(data: Monitoring, table: str) -> str:
    """Return what divides the amounts: ``"score"``, ``"money"``, or ``"none"`` if only scores have lines."""
    scores = data.tables["lines"]["unit"] == "score"
    if table == "welfare" and scores.any():
        return "score"
    return "none" if scores.any() and scores.all() else "money"


def _measured(data: Monitoring, table: str, line: np.ndarray, units: np.ndarray) -> pd.DataFrame:
    """Return the versions of a table with their amounts in lines."""
    versions, divisor = data.versions(table), line * units
    times = {column.name: 12 if column.unit.endswith("per month") else 1 for column in _amount_columns(data, table)}
    return versions.assign(**{name: versions[name].to_numpy() * n / divisor for name, n in times.items()})


def _divisors(data: Monitoring, table: str) -> tuple[np.ndarray, np.ndarray]:
    """Line and units of each version; NaN where unknown on the version's ``known_on``."""
    versions, kind = data.versions(table), _line_kind(data, table)
    if kind == "none":
        return (np.full(len(versions), np.nan),) * 2
    # A copy, for pandas gives out arrays that may not be written: compiled code would come in both forms.
    known_on, household = _days(versions["known_on"]), versions["household_position"].to_numpy(copy=True)
    if "date" in versions:
        day = _days(versions["date"])
    else:
        day = np.minimum(known_on, _days(versions["end"], missing=_NEVER))
    if _MEASURING & set(data.overwritten):
        # What measures is known on the extract only; no day up to it can be asked, so nothing shows early.
        known_on = np.maximum(known_on, _days(pd.Series([data.extract_on]))[0])
    area, areas = _areas(data)
    area = area[_households_known(data, household, known_on)]
    if ("lines", kind) not in data._cache:
        data._cache["lines", kind] = _ordered(data.tables["lines"], areas, score=kind == "score")
    line = _lines_on(data._cache["lines", kind], area, day, known_on)
    units = np.ones(len(versions)) if kind == "score" else _units(data, versions, household, day, known_on)
    return line, units


#: Where the lines of each area begin and end, and of each line its first and last day, day of entry, yearly amount.
_Ordered = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _ordered(lines: pd.DataFrame, areas: pd.Index, *, score: bool) -> _Ordered:
    """Return the lines in the order in which those of each area are asked."""
    lines = lines[(lines["unit"] == "score") == score]
    lines = lines.assign(known_on=lines["known_on"].fillna(lines["valid_from"]))
    lines = lines.sort_values(["valid_from", "known_on"], ascending=False, kind="stable")
    rows_of = lines.reset_index().groupby("area_id").indices
    prefixes = pd.Index(sorted(map(str, rows_of), key=len, reverse=True), dtype=str)
    # An area has the lines of the longest prefix among them, then those of the prefixes of that one.
    candidates = [np.concatenate([rows_of[part] for part in _prefixes(text) if part in rows_of]) for text in prefixes]
    longest = np.full(len(areas), -1)
    for length in prefixes.str.len().unique():
        longest = np.where(longest < 0, prefixes.get_indexer(pd.Index(areas, dtype=str).str[:length]), longest)
    ends = np.append(0, np.cumsum([len(rows) for rows in candidates], dtype=np.int64))
    order = np.concatenate([*candidates, np.array([], dtype=np.int64)])
    yearly = lines["amount"].to_numpy(dtype=np.float64) * lines["unit"].map(_A_YEAR).to_numpy(dtype=np.float64)
    return (
        longest,
        ends,
        _days(lines["valid_from"])[order],
        _days(lines["valid_to"], missing=_NEVER)[order],
        _days(lines["known_on"])[order],
        yearly[order],
    )


def _lines_on(ordered: _Ordered, area: np.ndarray, day: np.ndarray, known_by: np.ndarray) -> np.ndarray:
    """Line of each row, its area given as a position in the areas that the lines were ordered for."""
    longest, ends, first, last, entered, yearly = ordered
    return _line_kernel(longest[area], ends, first, last, entered, yearly, day, known_by)


def _prefixes(text: str) -> list[str]:
    return [text[:length] for length in range(len(text), -1, -1)]


def _members_on(data: Monitoring, household: np.ndarray, day: np.ndarray, known_by: np.ndarray) -> np.ndarray:
    """Members of each row's household on a day."""
    if "members" not in data.tables:
        return np.full(len(day), np.nan)
    members = data.versions("members")
    offsets = _offsets(data, members["household_position"].to_numpy())
    return _count_members(
        np.where(household >= 0, offsets[household], 0),
        np.where(household >= 0, offsets[household + 1], 0),
        _days(members["start"]),
        _days(members["end"], missing=_NEVER),
        _days(members["known_on"]),
        _days(members["superseded_on"], missing=_NEVER),
        day,
        known_by,
    )


def _units(
    data: Monitoring, versions: pd.DataFrame, household: np.ndarray, day: np.ndarray, known_on: np.ndarray
) -> np.ndarray:
    """Units by which a version's amounts are shared: its own, else those stated with an income, else the members."""
    own = "months" in versions
    if own:
        units = versions["units"].to_numpy(copy=True) if "units" in versions else np.full(len(versions), np.nan)
    else:
        units = _stated_units(data, household, known_on)
    rest = np.flatnonzero(np.isnan(units))
    if len(rest):
        units[rest] = _members_on(data, household[rest], day[rest], known_on[rest])
    rest = np.flatnonzero(np.isnan(units))
    if own and len(rest):
        units[rest] = _stated_units(data, household[rest], known_on[rest])
    return units


def _stated_units(data: Monitoring, household: np.ndarray, known_by: np.ndarray) -> np.ndarray:
    """Return the newest ``units`` of the household's income or welfare records known by then; NaN if none."""
    if "stated_units" not in data._cache:
        stated: list[tuple[np.ndarray, ...]] = [(np.array([], dtype=np.int64),) * 3 + (np.array([]),)]
        for name in ("incomes", "welfare"):
            if name in data.tables and "units" in data.tables[name] and _line_kind(data, name) == "money":
                versions = data.versions(name)
                there = versions["units"].notna().to_numpy()
                days = (_days(versions[column]) for column in ("known_on", "date"))
                columns = (versions["household_position"].to_numpy(), *days, versions["units"].to_numpy())
                stated.append(tuple(column[there] for column in columns))
        owner, known_on, date, units = (np.concatenate(columns) for columns in zip(*stated, strict=True))
        order = np.argsort(row_order(owner, known_on, date), kind="stable")
        data._cache["stated_units"] = owner[order], known_on[order], units[order]
    owner, known_on, units = data._cache["stated_units"]
    place = _last_known(_offsets(data, owner), known_on, household, known_by)
    return np.where(place >= 0, np.append(units, np.nan)[place], np.nan)


def _areas(data: Monitoring) -> tuple[np.ndarray, pd.Index]:
    """Area of each version of the registry as a position among the areas, and the areas."""
    if "areas" not in data._cache:
        data._cache["areas"] = pd.factorize(data.versions("households")["area_id"])
    return data._cache["areas"]


def _households_known(data: Monitoring, household: np.ndarray, known_by: np.ndarray) -> np.ndarray:
    """Position of each household's version known by then, of the first if it was registered only later."""
    households = data.versions("households")
    offsets = _offsets(data, households["household_position"].to_numpy())
    place = _last_known(offsets, _days(households["known_on"]), household, known_by)
    return np.where(place >= 0, place, offsets[household])


def _offsets(data: Monitoring, owner: np.ndarray) -> np.ndarray:
    """Rows ``offsets[h]`` to ``offsets[h + 1]`` are those of household ``h``; ``owner`` is sorted."""
    return np.searchsorted(owner, np.arange(len(data.household_ids) + 1))


def _net_income(incomes: pd.DataFrame) -> pd.Series:
    given = incomes.reindex(columns=[*_SOURCES, "expenses", "total"])
    sources = given[list(_SOURCES)].sum(axis=1, min_count=1) - given["expenses"].fillna(0)
    return given["total"].where(given["total"].notna(), sources)


def _yearly_welfare(data: Monitoring) -> pd.DataFrame:
    """Welfare per unit and year of each household and calendar year, as known when the next year began."""
    table = _deciding_table(data)
    records = data.versions(table)
    next_year = pd.to_datetime((records["date"].dt.year + 1).astype(str) + "-01-01").astype("datetime64[s]")
    units = _divisors(data, table)[1]
    amount = records["value"] if table == "welfare" else _net_income(records)
    is_score = _line_kind(data, table) == "score"
    part = records[["household_id", "months"]].assign(
        valid_from=next_year, amount=amount * (records["months"] / 12 if is_score else 1) / units, units=units
    )
    seen = (records["known_on"] < next_year) & ~(records["superseded_on"] < next_year) & amount.notna()
    by_year = part[seen & (next_year <= data.extract_on)].groupby(["household_id", "valid_from"])
    years = by_year.agg(amount=("amount", "sum"), months=("months", "sum"), units=("units", "mean")).reset_index()
    household = household_positions(years["household_id"], data.household_ids)
    version = _households_known(data, household, _days(years["valid_from"]) - 1)
    known = data.versions("households").iloc[version]
    return years.assign(
        welfare=years["amount"] * 12 / years["months"],
        weight=years["units"] * (known["weight"].fillna(1).to_numpy() if "weight" in known else 1),
        area_id=known["area_id"].to_numpy(),
    )


def _weighted_median(part: pd.DataFrame) -> float:
    part = part.sort_values("welfare", kind="stable")
    weight = part["weight"].to_numpy().cumsum()
    return float(part["welfare"].iloc[int(np.searchsorted(weight, weight[-1] / 2))])


def _same_length(text: Any, date: Any, known_by: Any) -> tuple[pd.Index, np.ndarray, np.ndarray]:
    """Ids or areas, and both days as whole numbers, all of one length; no ``known_by`` is the end of time."""
    texts = pd.Index([text] if isinstance(text, str) else text)
    days, known = (np.atleast_1d(_days(value)) for value in (date, _NEVER if known_by is None else known_by))
    # One stands for many, and for none.
    n_rows = max({len(texts), len(days), len(known)} - {1}, default=1)
    texts = texts.repeat(n_rows) if len(texts) == 1 else texts
    return texts, np.broadcast_to(days, n_rows), np.broadcast_to(known, n_rows)


def _days(dates: Any, *, missing: int = -_NEVER) -> np.ndarray:
    """Days since 1970 as whole numbers."""
    if isinstance(dates, int):
        return np.array([dates])
    seconds = np.asarray(pd.DatetimeIndex(np.atleast_1d(dates))).astype("datetime64[s]", copy=False)
    days = seconds.view(np.int64) // 86_400
    days[np.isnat(seconds)] = missing
    return days


@numba.njit(cache=True)
def _last_known(offsets: np.ndarray, known_on: np.ndarray, household: np.ndarray, known_by: np.ndarray) -> np.ndarray:
    """Position of each household's last record with ``known_on <= known_by``, or -1; its records are sorted by it."""
    place = np.full(len(household), -1)
    for i in range(len(household)):
        for row in range(offsets[household[i] + 1] - 1, offsets[household[i]] - 1, -1):
            if known_on[row] <= known_by[i]:
                place[i] = row
                break
    return place


@numba.njit(cache=True)
def _line_kernel(
    group: np.ndarray,
    ends: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    known_on: np.ndarray,
    amount: np.ndarray,
    date: np.ndarray,
    known_by: np.ndarray,
) -> np.ndarray:
    """Amount of the first line of each row's group (-1: none) that holds on the date and was known by then."""
    amounts = np.full(len(date), np.nan)
    for i in range(len(date)):
        if group[i] < 0:
            continue
        for line in range(ends[group[i]], ends[group[i] + 1]):
            if first[line] <= date[i] <= last[line] and known_on[line] <= known_by[i]:
                amounts[i] = amount[line]
                break
    return amounts


@numba.njit(cache=True)
def _count_members(
    first: np.ndarray,
    last: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    known_on: np.ndarray,
    superseded_on: np.ndarray,
    date: np.ndarray,
    known_by: np.ndarray,
) -> np.ndarray:
    """Members of rows ``first`` to ``last`` present on ``date`` (or the nearest day on which somebody was)."""
    units = np.full(len(date), np.nan)
    for i in range(len(date)):
        earliest, latest = _NEVER, -_NEVER
        for row in range(first[i], last[i]):
            if known_on[row] <= known_by[i] and superseded_on[row] > known_by[i]:
                earliest, latest = min(earliest, start[row]), max(latest, end[row])
        if earliest == _NEVER:
            continue
        day = min(max(date[i], earliest), latest - 1)
        present = 0
        for row in range(first[i], last[i]):
            if known_on[row] <= known_by[i] and superseded_on[row] > known_by[i] and start[row] <= day < end[row]:
                present += 1
        if present:
            units[i] = present
    return units
