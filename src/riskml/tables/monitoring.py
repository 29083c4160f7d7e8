"""Monitoring data: validated tables, the versions of their records, and what was known by a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from riskml.findings import DataRefused
from riskml.tables.contract import TABLES, Table
from riskml.tables.history import require_history, with_known_on
from riskml.tables.keys import RowKeys, household_ids_of, keys_of, record_codes, row_keys, row_order, whole_days
from riskml.tables.validation import typed_tables


@dataclass(frozen=True, eq=False, repr=False)
class Monitoring:
    """The monitoring tables of a district, validated and typed.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Tables of :data:`riskml.tables.contract.TABLES` by name; ``households``, ``lines`` and one of ``incomes`` and
        ``welfare`` are required. The frames are copied, never changed. After construction ids and text are ``str``
        (missing ``""``), dates ``datetime64[s]`` (missing ``NaT``), the rest ``float64`` (missing ``NaN``); ids and
        the columns that say when a record counts are always there; further numeric columns are kept.
    welfare_months : int, default 12
        Months of records over which welfare is averaged.
    max_age_months : int, optional
        How old the newest welfare record may be for welfare to count as known; ``welfare_months`` if not given.
    least_covered : float, default 0.75
        Share of the months of a horizon that welfare records must cover before a household in none of whose judgements
        it was below the line counts as one that stayed above it. A survey that visits seldom states how seldom.
    extract_on : date, optional
        Day the tables were extracted; nothing may be known later. Default: the newest ``known_on``.
    overwritten : tuple of str, optional
        Tables whose source overwrites rows in place and so has no history. They need no ``known_on`` and are known on
        the day of the extract; questions about a day up to it are refused. After construction: those without
        an assumption.
    assume_known_on : mapping of str to (str, int), optional
        For tables without a day of entry: a column of dates and how many days after them a row is assumed known, for
        example ``{"medical": ("date", 30)}``. See :func:`riskml.tables.history.with_known_on`.
    assumptions : tuple of (str, str), optional
        What was assumed about days of entry, in English and Chinese, as the model card repeats it. Those of
        ``assume_known_on`` are added.
    features : tuple, optional
        Features declared with the data, for numeric columns of its own.
    outcomes : tuple, optional
        What counts as a return where that is not welfare below the line: a :class:`riskml.OfficialStatus`, a
        :class:`riskml.Deprivation`, or both.
    truth : object, optional
        What a simulator knows about its world; never read by features.
    notes : tuple of str, optional
        What happened on the way from the files to the tables, for the reader.
    checked : bool, default False
        True says that the tables are those of a Monitoring: typed, and nothing wrong with them. They are then taken
        as they are. Only a store, whose hashes prove that they were checked when written, and :meth:`known_by`, which
        takes rows away, say so.

    Raises
    ------
    DataRefused
        If anything is wrong with the tables; ``findings`` holds everything found.

    Examples
    --------
    >>> data = _example()
    >>> data
    Monitoring(2 households, tables households, incomes, lines, extract_on 2024-04-09)
    >>> data.tables["incomes"]["wage"].tolist()
    [900.0, 950.0]
    """

    tables: Mapping[str, pd.DataFrame]
    _: KW_ONLY
    welfare_months: int = 12
    max_age_months: int | None = None
    least_covered: float = 0.75
    extract_on: Any = None
    overwritten: tuple[str, ...] = ()
    assume_known_on: InitVar[Mapping[str, tuple[str, int]] | None] = None
    assumptions: tuple[tuple[str, str], ...] = ()
    features: tuple[Any, ...] = ()
    outcomes: tuple[Any, ...] = ()
    truth: Any = None
    notes: tuple[str, ...] = ()
    checked: bool = False
    _cache: dict[Any, Any] = field(default_factory=dict, init=False)

    def __post_init__(self, assume_known_on: Mapping[str, tuple[str, int]] | None) -> None:
        from riskml.tables.lines import line_findings  # lines are looked up in finished tables, so lines.py comes later

        months = self.welfare_months if self.max_age_months is None else self.max_age_months
        if self.welfare_months < 1 or months < 1:
            raise ValueError(
                f"welfare_months and max_age_months must be at least 1, not {self.welfare_months}, {months}"
            )
        if not 0 < self.least_covered <= 1:
            raise ValueError(f"least_covered must be above 0 and at most 1, not {self.least_covered}")
        extract_on = None if self.extract_on is None else pd.Timestamp(self.extract_on).normalize()
        assumed = assume_known_on or {}
        if self.checked:
            typed, keys, left_out, assumptions = (
                dict(self.tables),
                keys_of(self.tables),
                list[str](),
                list[tuple[str, str]](),
            )
        else:
            tables, findings, assumptions = with_known_on(
                self.tables, extract_on=extract_on, overwritten=self.overwritten, assume_known_on=assumed
            )
            typed, keys, left_out = typed_tables(tables, extract_on=extract_on, found_before=findings)
        object.__setattr__(self, "tables", typed)
        object.__setattr__(self, "overwritten", tuple(name for name in self.overwritten if name not in assumed))
        object.__setattr__(self, "assumptions", tuple(dict.fromkeys([*self.assumptions, *assumptions])))
        object.__setattr__(self, "max_age_months", months)
        object.__setattr__(self, "extract_on", extract_on or _newest_known(typed))
        object.__setattr__(self, "notes", tuple(dict.fromkeys([*self.notes, *left_out])))
        self._cache.update({("keys", name): of_rows for name, of_rows in keys.items()})
        findings = [] if self.checked else line_findings(self)
        if findings:
            raise DataRefused(findings)

    def __repr__(self) -> str:
        return (
            f"Monitoring({len(self.household_ids):,} households, tables {', '.join(self.tables)}, "
            f"extract_on {self.extract_on.date()})"
        )

    @property
    def household_ids(self) -> pd.Index:
        """The households ever registered, each once, sorted."""
        if "household_ids" not in self._cache:
            self._cache["household_ids"] = household_ids_of(self.tables["households"])
        return self._cache["household_ids"]

    def versions(self, name: str) -> pd.DataFrame:
        """Return the versions of a table's records, each with the day the next one took its place.

        A version exists for an as-of date when ``known_on < as_of_date`` and not ``superseded_on < as_of_date``.
        Withdrawn versions supersede what they take back and are dropped; a row whose ``end_known_on`` is later
        than its ``known_on`` becomes two versions, the first without an end; disasters of an area become one row
        for each household whose ``area_id``, as known on the day the disaster was first known, starts with the area's
        (the first ``area_id``, if the household was registered only later).

        Parameters
        ----------
        name : str
            A table of this data other than ``lines``.

        Returns
        -------
        DataFrame
            The table's columns without ``withdrawn`` and ``end_known_on``, with ``superseded_on``
            (``datetime64[s]``, ``NaT`` for the newest version) and ``household_position`` (int64, in
            ``household_ids``); sorted by ``household_id``, then ``date`` or ``start``, then ``known_on``. It is kept
            for the next call: copy it before changing it.

        Raises
        ------
        KeyError
            If the data have no such table, or it is ``lines``.

        Examples
        --------
        >>> _example().versions("incomes")[["household_id", "wage", "known_on", "superseded_on"]]
          household_id   wage   known_on superseded_on
        0         0101  900.0 2024-02-05    2024-04-09
        1         0101  950.0 2024-04-09           NaT
        """
        if name == "lines" or name not in self.tables:
            raise KeyError(f"{name!r} has no versions; the data have {', '.join(self.tables)} (lines aside)")
        if name not in self._cache:
            versions = _superseded(TABLES[name], self.tables[name], self._keys(name))
            if name == "disasters":
                versions = _spread(versions, self.versions("households"))
            self._cache[name] = _sorted(versions, TABLES[name].key)
        return self._cache[name]

    def known_by(self, as_of_date: Any) -> Monitoring:
        """Return the data as they were for a date: only rows with ``known_on < as_of_date``.

        An end learned on or after the date is emptied; records of households not registered by then are left
        out; a line without ``known_on`` counts as known from ``valid_from``.

        Parameters
        ----------
        as_of_date : date
            The day the question is asked.

        Returns
        -------
        Monitoring
            With ``extract_on`` no later than ``as_of_date``.

        Raises
        ------
        DataRefused
            If no household was known by then, or a table is overwritten in place and the date not after its extract.

        Examples
        --------
        >>> _example().known_by("2024-04-01").tables["incomes"]["wage"].tolist()
        [900.0]
        """
        day = pd.Timestamp(as_of_date)
        require_history(self, [day])
        tables = {name: _rows_known_by(frame, day) for name, frame in self.tables.items()}
        households = tables["households"]["household_id"]
        for name, frame in tables.items():
            if name not in ("households", "lines"):
                ids = frame["household_id"]
                frame = frame[(ids == "") | ids.isin(households)]
            tables[name] = frame.reset_index(drop=True)
        # Each row was judged beside what was known on its own day, which is all there still; only nobody is new.
        checked = len(households) > 0
        return replace(self, tables=tables, extract_on=min(day.normalize(), self.extract_on), checked=checked)

    def area_of(self, household_ids: Iterable[str]) -> np.ndarray:
        """Return the newest ``area_id`` of each household.

        Parameters
        ----------
        household_ids : iterable of str, length n
            Households of this data.

        Returns
        -------
        ndarray of str objects, shape (n,)
            The areas, in the order of the households.

        Raises
        ------
        KeyError
            If a household is not in the data.

        Examples
        --------
        >>> _example().area_of(["0102", "0101"]).tolist()
        ['5223', '5223']
        """
        areas = self._newest_areas()
        rows = areas.index.get_indexer(pd.Index(household_ids))
        if (rows < 0).any():
            raise KeyError(f"household {list(household_ids)[int((rows < 0).argmax())]!r} is not in the data")
        return areas.to_numpy(dtype=object)[rows]

    def check(self) -> pd.DataFrame:
        """Return what looks wrong but does not forbid the work.

        Returns
        -------
        DataFrame
            One row a finding, as :func:`riskml.tables.quality.check` gives them.
        """
        from riskml.tables.quality import check  # quality.py reads Monitoring, so it comes later

        return check(self)

    def _keys(self, name: str) -> RowKeys:
        if ("keys", name) not in self._cache:
            self._cache["keys", name] = row_keys(TABLES[name], self.tables[name], self.household_ids)
        return self._cache["keys", name]

    def _newest_areas(self) -> pd.Series:
        """``area_id`` by ``household_id``, sorted by it."""
        if "newest_areas" not in self._cache:
            newest = self.versions("households").drop_duplicates("household_id", keep="last")
            self._cache["newest_areas"] = newest.set_index("household_id")["area_id"]
        return self._cache["newest_areas"]


def _example() -> Monitoring:
    """Return the two households of the examples in this file."""
    return Monitoring(
        {
            "households": pd.DataFrame(
                {
                    "household_id": ["0101", "0102"],
                    "area_id": ["5223", "5223"],
                    "known_on": ["2023-12-01", "2023-12-01"],
                }
            ),
            "incomes": pd.DataFrame(
                {
                    "household_id": ["0101", "0101"],
                    "date": ["2024-01-31", "2024-01-31"],
                    "known_on": ["2024-02-05", "2024-04-09"],
                    "months": [1, 1],
                    "wage": [900, 950],
                    "units": [3, 3],
                }
            ),
            "lines": pd.DataFrame(
                {"area_id": [""], "valid_from": ["2023-01-01"], "amount": [4000], "unit": ["person_year"]}
            ),
        }
    )


def _newest_known(tables: Mapping[str, pd.DataFrame]) -> pd.Timestamp:
    """Return the last day anything was learned. Lines are left out: they may be published ahead."""
    days = [
        frame[column].max()
        for name, frame in tables.items()
        for column in ("known_on", "end_known_on")
        if name != "lines" and column in frame
    ]
    return max(day for day in days if not pd.isna(day))


def _rows_known_by(frame: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    known_on = frame["known_on"].fillna(frame["valid_from"]) if "valid_from" in frame else frame["known_on"]
    rows = frame[known_on < day]
    if "end_known_on" in rows:
        later = rows["end_known_on"] >= day
        rows = rows.assign(end=rows["end"].mask(later), end_known_on=rows["end_known_on"].mask(later))
    return rows


def _superseded(table: Table, frame: pd.DataFrame, keys: RowKeys) -> pd.DataFrame:
    """Versions with ``superseded_on``, late ends split off, withdrawn ones applied and dropped."""
    known_on = frame["known_on"].to_numpy()
    record = record_codes(table, frame.iloc[keys.repeated])
    order = np.lexsort((known_on[keys.repeated], record))
    replaced, rows = record[order][1:] == record[order][:-1], keys.repeated[order]
    superseded_on = np.full(len(frame), np.datetime64("NaT"), "datetime64[s]")
    superseded_on[rows[:-1][replaced]] = known_on[rows[1:][replaced]]
    versions = frame.assign(superseded_on=superseded_on, household_position=keys.household)
    withdrawn = versions["withdrawn"] == 1
    versions = versions[~withdrawn] if withdrawn.any() else versions
    if "end_known_on" in versions:
        versions = _late_ends(versions).drop(columns="end_known_on")
    return versions.drop(columns="withdrawn")


def _late_ends(versions: pd.DataFrame) -> pd.DataFrame:
    """Turn each version whose end was learned later into two: without the end, then with it."""
    late = versions["end_known_on"] > versions["known_on"]
    if not late.any():
        return versions
    # A version replaced before its end was learned never shows that end: the later row says all.
    shown = late & ~(versions["superseded_on"] <= versions["end_known_on"])
    ended = versions[shown].assign(known_on=versions.loc[shown, "end_known_on"])
    first = versions.assign(
        end=versions["end"].mask(late),
        superseded_on=versions["superseded_on"].mask(shown, versions["end_known_on"]),
    )
    return pd.concat([first, ended], ignore_index=True) if shown.any() else first


def _spread(disasters: pd.DataFrame, households: pd.DataFrame) -> pd.DataFrame:
    """Give every household that lived in a disaster's area, as known when it was first known, its own row."""
    next_known = households.groupby("household_id")["known_on"].shift(-1)
    households = households.assign(first=~households["household_id"].duplicated(), next_known=next_known)
    households = households.sort_values("area_id", kind="stable")
    codes = households["area_id"].to_numpy(dtype=object)
    hit = disasters["area_id"].to_numpy(dtype=object)
    whole_area = hit != ""
    if not whole_area.any():
        return disasters
    first = np.searchsorted(codes, hit[whole_area], side="left")
    # No area code contains the last character of Unicode, so this ends behind every code with the prefix.
    last = np.searchsorted(codes, hit[whole_area] + "\U0010ffff", side="right")
    counts = last - first
    rows = np.repeat(np.flatnonzero(whole_area), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    lived = households.iloc[np.repeat(first, counts) + within]
    # A correction of the record, or a move later on, does not change who was hit.
    told = disasters.groupby(["area_id", "record_id"])["known_on"].transform("min").to_numpy()[rows]
    there = (lived["first"] | (lived["known_on"] <= told)) & ~(lived["next_known"] <= told)
    who = {name: lived[name].array for name in ("household_id", "household_position")}
    spread = disasters.iloc[rows].assign(**who)[there.to_numpy()]
    return pd.concat([disasters[~whole_area], spread], ignore_index=True)


def _sorted(versions: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """Sort by household, then day, then ``known_on``; the rest of the key settles what is left."""
    day = next((column for column in ("date", "start") if column in versions), "known_on")
    days = [whole_days(versions[column]) for column in (day, "known_on")]
    place = row_order(versions["household_position"].to_numpy(), *days)
    ascending = (place[1:] >= place[:-1]).all()
    order = np.arange(len(place)) if ascending else np.argsort(place, kind="stable")
    tied = place[order[1:]] == place[order[:-1]]
    positions = np.flatnonzero(np.append(tied, False) | np.append(False, tied))
    if len(positions):
        rows = order[positions]
        rest = [versions[column].iloc[rows] for column in reversed(key) if column not in ("household_id", day)]
        ranks = [pd.factorize(values, sort=True)[0] for values in rest]
        order[positions] = rows[np.lexsort([*ranks, place[rows]])]
    in_order = (order[1:] > order[:-1]).all()
    return (versions if in_order else versions.iloc[order]).reset_index(drop=True)
