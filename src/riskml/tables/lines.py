"""Poverty lines: which one holds where and when, and money measured in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import pandas as pd

from riskml.findings import Finding
from riskml.tables.contract import TABLES, Column
from riskml.tables.validation import finding, first_case

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: Amounts of a year in an amount of the unit. A year has 365 days, as in the international daily lines.
_A_YEAR = {"person_year": 1.0, "person_month": 12.0, "person_day": 365.0, "score": 1.0}
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
    lines = lines[(lines["unit"] == "score") == score]
    lines = lines.assign(known_on=lines["known_on"].fillna(lines["valid_from"]))
    lines = lines.sort_values(["valid_from", "known_on"], kind="stable")
    yearly = lines["amount"].to_numpy(dtype=np.float64) * lines["unit"].map(_A_YEAR).to_numpy(dtype=np.float64)
    known_on = _days(lines["known_on"])
    first, last = _days(lines["valid_from"]), _days(lines["valid_to"], missing=_NEVER)
    area_id, date, known_by = _same_length(area_id, date, known_by)
    amounts = np.full(len(date), np.nan)
    for rows, candidates in _by_prefix(lines["area_id"], area_id):
        rows = rows[np.isnan(amounts[rows])]
        # Step back from the newest line that has begun until one is found that is known and has not ended.
        place = np.searchsorted(first[candidates], date[rows], side="right") - 1
        while len(rows := rows[place >= 0]):
            place = place[place >= 0]
            line = candidates[place]
            holds = (date[rows] <= last[line]) & (known_on[line] <= known_by[rows])
            amounts[rows[holds]] = yearly[line[holds]]
            rows, place = rows[~holds], place[~holds] - 1
    return amounts


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
    household_id, date, known_by = _same_length(household_id, date, known_by)
    if "members" not in data.tables:
        return np.full(len(date), np.nan)
    members = data.versions("members")
    household, households = pd.factorize(members["household_id"])
    rows_end = np.append(np.cumsum(np.bincount(household, minlength=len(households))), 0)
    asked = pd.Index(households).get_indexer(household_id)
    return _count_members(
        np.where(asked > 0, rows_end[np.maximum(asked, 1) - 1], 0),
        rows_end[asked],
        _days(members["start"]),
        _days(members["end"], missing=_NEVER),
        _days(members["known_on"]),
        _days(members["superseded_on"], missing=_NEVER),
        date,
        known_by,
    )


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
        versions = data.versions(table)
        amounts = _amount_columns(data, table)
        if amounts:
            line, units = _divisors(data, table)
            monthly = {column.name: 12 if column.unit.endswith("per month") else 1 for column in amounts}
            versions = versions.assign(
                **{name: versions[name].to_numpy() * times / (line * units) for name, times in monthly.items()}
            )
        data._cache["in_lines", table] = versions
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
        ``household_id, date, known_on, superseded_on, months, welfare, welfare_net``: welfare in lines, and
        the same without public transfers (equal where ``transfers`` is empty; NaN if welfare is not income).
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
        kept = records[["household_id", "date", "known_on", "superseded_on", "months"]]
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
        present = versions[names].notna().any(axis=1).to_numpy()
        line, units = _divisors(data, table)
        for rule, missing in (("missing_line", np.isnan(line)), ("no_units", np.isnan(units))):
            rows = np.flatnonzero(present & missing)
            if len(rows):
                findings.append(finding(rule, table, "", len(rows), first_case(versions, int(rows[0]))))
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


def _divisors(data: Monitoring, table: str) -> tuple[np.ndarray, np.ndarray]:
    """Line and units of each version; NaN where unknown on the version's ``known_on``."""
    if ("divisors", table) not in data._cache:
        versions, kind = data.versions(table), _line_kind(data, table)
        if kind == "none":
            line = units = np.full(len(versions), np.nan)
        else:
            known_on, household = versions["known_on"], versions["household_id"]
            if "date" in versions:
                day = versions["date"]
            else:
                day = known_on.where(~(versions["end"] < known_on), versions["end"])
            area = _households_known(data, household, known_on)["area_id"]
            line = line_amounts(data.tables["lines"], area, day, known_by=known_on, score=kind == "score")
            units = np.ones(len(versions)) if kind == "score" else _units(data, versions, day)
        data._cache["divisors", table] = line, units
    return data._cache["divisors", table]


def _units(data: Monitoring, versions: pd.DataFrame, day: pd.Series) -> np.ndarray:
    """Units by which a version's amounts are shared: its own, else those stated with an income, else the members."""
    household, known_on = versions["household_id"], versions["known_on"]
    own = "months" in versions
    if own:
        units = versions["units"].to_numpy(copy=True) if "units" in versions else np.full(len(versions), np.nan)
    else:
        units = _stated_units(data, household, known_on)
    rest = np.flatnonzero(np.isnan(units))
    if len(rest):
        units[rest] = household_units(data, household.iloc[rest], day.iloc[rest], known_by=known_on.iloc[rest])
    rest = np.flatnonzero(np.isnan(units))
    if own and len(rest):
        units[rest] = _stated_units(data, household.iloc[rest], known_on.iloc[rest])
    return units


def _stated_units(data: Monitoring, household_id: pd.Series, known_by: pd.Series) -> np.ndarray:
    """Return the newest ``units`` of the household's income or welfare records known by then; NaN if none."""
    stated = [
        data.versions(name)[["household_id", "known_on", "date", "units"]].dropna(subset="units")
        for name in ("incomes", "welfare")
        if name in data.tables and "units" in data.tables[name] and _line_kind(data, name) == "money"
    ]
    if not sum(map(len, stated)):
        return np.full(len(household_id), np.nan)
    records = pd.concat(stated).sort_values(["household_id", "known_on", "date"], kind="stable")
    place = _last_known(records, household_id, known_by)
    return np.where(place >= 0, records["units"].to_numpy()[place], np.nan)


def _households_known(data: Monitoring, household_id: pd.Series, known_by: pd.Series) -> pd.DataFrame:
    """Return the version of each household known by then, the first if it was registered only later."""
    households = data.versions("households")
    place = _last_known(households, household_id, known_by)
    if (place < 0).any():
        first = households.drop_duplicates("household_id")
        later = pd.Index(first["household_id"]).get_indexer(household_id[place < 0])
        place[place < 0] = first.index.to_numpy()[later]
    return households.iloc[place]


def _last_known(frame: pd.DataFrame, household_id: pd.Series, known_by: pd.Series) -> np.ndarray:
    """Position of the household's last row with ``known_on <= known_by``, or -1; ``frame`` is sorted by both."""
    household, households = pd.factorize(frame["household_id"])
    asked = pd.Index(households).get_indexer(household_id)
    # A day fits into 18 bits, so one whole number orders by household, then day.
    known, by = (_days(days) + 2**17 for days in (frame["known_on"], known_by))
    place = np.searchsorted(household * 2**18 + known, asked * 2**18 + by, side="right") - 1
    return np.where((asked >= 0) & (place >= 0) & (np.append(household, -1)[place] == asked), place, -1)


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
    known = _households_known(data, years["household_id"], years["valid_from"] - pd.Timedelta(days=1))
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
    n_rows = max(len(texts), len(days), len(known))
    texts = texts.repeat(n_rows) if len(texts) == 1 else texts
    return texts, np.broadcast_to(days, n_rows), np.broadcast_to(known, n_rows)


def _days(dates: Any, *, missing: int = -_NEVER) -> np.ndarray:
    """Days since 1970 as whole numbers."""
    if isinstance(dates, int):
        return np.array([dates])
    days = np.asarray(pd.DatetimeIndex(np.atleast_1d(dates))).astype("datetime64[D]")
    return np.where(np.isnat(days), missing, days.astype(np.int64))


def _by_prefix(line_areas: pd.Series, area_id: pd.Index) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of ``area_id`` with the positions of the lines of their area, the longest prefixes first."""
    area, areas = pd.factorize(area_id)
    texts = pd.Series(areas, dtype=str)
    lengths = line_areas.str.len()
    for length in sorted(lengths.unique(), reverse=True):
        of_line, line_prefixes = pd.factorize(line_areas[lengths == length])
        positions = np.flatnonzero(lengths == length)
        prefix = pd.Index(line_prefixes).get_indexer(pd.Index(texts.str[:length]))[area]
        order = np.argsort(prefix, kind="stable")
        bounds = np.searchsorted(prefix[order], np.arange(len(line_prefixes) + 1))
        for code in range(len(line_prefixes)):
            yield order[bounds[code] : bounds[code + 1]], positions[of_line == code]


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
