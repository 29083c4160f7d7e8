"""What an event would have written into the tables: the kinds of edit a scenario is made of.

Every edit works on tables as known on the as-of date and leaves alone whatever was known before the day of the
event. New records and ends of spells become known a stated number of days after it; records of the months since,
which would have been entered otherwise, are changed where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.tables.contract import MEASURES, TABLES
from riskml.tables.lines import household_units, line_amounts
from riskml.tables.monitoring import Monitoring

BoolArray = NDArray[np.bool_]
Draw = Callable[[int], BoolArray]

#: Default of a key that must be given.
REQUIRED = object()
#: Months of income before the event from which the size of a loss is taken.
_YEAR = 12


@dataclass(frozen=True)
class Key:
    """A key of a scenario: what it means, how a reader would say what is expected, what is accepted, its default."""

    meaning: str
    expected: str
    valid: Callable[[Any], bool]
    default: Any = REQUIRED


@dataclass
class World:
    """The tables while they are edited; ``day`` is that of the event, ``known_on`` that on which it is known."""

    data: Monitoring
    tables: dict[str, pd.DataFrame]
    day: pd.Timestamp
    known_on: pd.Timestamp

    def running(self, table: str, households: pd.Index) -> BoolArray:
        """Return the rows that are the newest version of a spell that runs on the day of the event."""
        frame = self.tables[table]
        newest = ~frame.sort_values("known_on", kind="stable").duplicated(list(TABLES[table].key), keep="last")
        runs = (frame["start"] < self.day) & ~(frame["end"] <= self.day) & ~(frame["withdrawn"] == 1)
        return (newest.sort_index() & runs & frame["household_id"].isin(households)).to_numpy()

    def end(self, table: str, ends: BoolArray) -> None:
        """End the spells of these rows on the day of the event; what was entered of them since is not."""
        frame, key = self.tables[table], list(TABLES[table].key)
        spells = frame[ends]
        known_on = spells["known_on"].where(spells["known_on"] > self.known_on, self.known_on)
        never = np.datetime64("NaT", "s")
        spells = spells.assign(end=self.day, known_on=known_on, end_known_on=np.full(len(spells), never))
        same = pd.MultiIndex.from_frame(frame[key]).isin(pd.MultiIndex.from_frame(spells[key]))
        late = same & (frame["end_known_on"] >= self.day)
        before = frame.assign(end=frame["end"].mask(late), end_known_on=frame["end_known_on"].mask(late))
        before = before[~(same & (frame["known_on"] >= self.day))]
        self.tables[table] = pd.concat([before, spells.astype(frame.dtypes)], ignore_index=True)

    def add(self, table: str, rows: pd.DataFrame) -> None:
        """Add records of the event, in place of what it wrote under the same keys before."""
        new = rows.assign(known_on=self.known_on, withdrawn=np.nan)
        frame, key = self.tables[table], list(TABLES[table].key)
        again = pd.MultiIndex.from_frame(frame[key]).isin(pd.MultiIndex.from_frame(new[key]))
        frame = frame[~(again & (frame["known_on"] >= self.day))]
        columns = [str(name) for name in new if name in frame or name in TABLES[table].by_name]
        rows = new[columns].astype({name: frame[name].dtype for name in columns if name in frame})
        self.tables[table] = pd.concat([frame, rows], ignore_index=True)

    def since(self, table: str, households: pd.Index) -> BoolArray:
        """Return the rows of these households that happened, and became known, on the day of the event or later."""
        frame = self.tables[table]
        later = (frame["date"] >= self.day) & (frame["known_on"] >= self.day)
        return (later & frame["household_id"].isin(households)).to_numpy()

    def year_of_line(self, households: pd.Index) -> NDArray[np.float64]:
        """Return what a year at the line costs each whole household, in currency."""
        area = self.data.area_of(households)
        line = line_amounts(self.data.tables["lines"], area, self.day, known_by=self.day)
        if "members" not in self.tables:
            return line
        units = household_units(self.data, households.to_numpy(dtype=object), self.day, known_by=self.day)
        return line * np.where(np.isnan(units), 1.0, units)


def disaster(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """Add a disaster to each household."""
    loss = edit["loss"] * world.year_of_line(households) if edit["loss"] else np.nan
    rows = _records(world, households, mark).assign(
        area_id="", kind=edit["what"], severity=float(edit["severity"]), loss=loss
    )
    world.add("disasters", rows)
    return rows["household_id"]


def loss(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """Add a loss of production, as a share of the last year's farm and business income."""
    year = _business_year(world, households)
    rows = _records(world, year.index, mark).assign(kind=edit["of"], loss=edit["size"] * year.to_numpy())
    world.add("production", rows)
    return rows["household_id"]


def price(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """Add a report of the changed price, and change farm and business income since as much."""
    producers = _business_year(world, households).index
    rows = _records(world, producers, mark).assign(kind=edit["of"], price_change=edit["change"])
    world.add("production", rows)
    income(world, producers, {**edit, "source": "business"}, draw, mark)
    return rows["household_id"]


def income(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """Change a source of income in the records since the event."""
    table, column = ("welfare", "value") if edit["source"] == "welfare" else ("incomes", edit["source"])
    if column not in world.tables.get(table, ()):
        return pd.Series(dtype=str)
    rows = world.since(table, households)
    frame = world.tables[table].loc[rows]
    months = np.floor((frame["date"] - world.day).dt.days / 30.4375)
    change = edit["change"] * (1 - edit["fades"]) ** months
    return _changed(world, table, column, rows, frame[column] * change * _share_after(frame, world.day))


def jobs_end(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """End a share of the jobs that run; wages since fall by the share of the household's pay that they were."""
    frame = world.tables["employment"]
    flags = {name: frame.get(name, pd.Series(np.nan, frame.index)) == 1 for name in ("away", "public_post")}
    wanted = {
        "all": pd.Series(True, frame.index),
        "away": flags["away"],
        "near": ~flags["away"] & ~flags["public_post"],
        "public_post": flags["public_post"],
    }[edit["which"]]
    runs = world.running("employment", households)
    ends = runs & wanted.to_numpy()
    ends[ends] = draw(int(ends.sum()))
    pay = frame["wage"] if "wage" in frame else pd.Series(1.0, frame.index)
    pay = pay.fillna(pay[runs].median() if pay[runs].notna().any() else 1.0)
    lost = (pay.where(ends, 0.0)[runs]).groupby(frame["household_id"][runs]).sum()
    lost = lost / pay[runs].groupby(frame["household_id"][runs]).sum()
    gone = frame["household_id"][ends]
    world.end("employment", ends)
    if "wage" in world.tables.get("incomes", ()):
        rows = world.since("incomes", pd.Index(gone.unique()))
        paid = world.tables["incomes"].loc[rows]
        change = -paid["household_id"].map(lost).to_numpy() * paid["wage"]
        _changed(world, "incomes", "wage", rows, change * _share_after(paid, world.day))
    return gone


def bills(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """Multiply the medical bills since the event."""
    rows = world.since("medical", households)
    columns = [name for name in ("cost", "out_of_pocket") if name in world.tables["medical"]]
    frame = world.tables["medical"].copy()
    frame.loc[rows, columns] *= edit["factor"]
    world.tables["medical"] = frame
    return frame.loc[rows, "household_id"]


def support_ends(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """End the support that runs, give none of it since, and take what it paid from the transfers received since."""

    def falls_on(frame: pd.DataFrame) -> BoolArray:
        """Return the rows of support that ends."""
        named = frame["measure"].isin(edit["measures"]) | (not edit["measures"])
        return (named & frame["household_id"].isin(households)).to_numpy()

    frame = world.tables["assistance"]
    paid = frame["measure"].isin(edit["paid_in_transfers"]).to_numpy()
    _take_from_transfers(world, frame[falls_on(frame) & paid])
    ends = world.running("assistance", households) & falls_on(frame)
    ended = frame["household_id"][ends]
    world.end("assistance", ends)
    frame = world.tables["assistance"]
    begins = falls_on(frame) & (frame["start"] >= world.day).to_numpy()
    known_before = (frame["known_on"] < world.day).to_numpy()
    taken_back = frame[begins & known_before].assign(known_on=world.known_on, withdrawn=1.0).astype(frame.dtypes)
    world.tables["assistance"] = pd.concat([frame[~begins | known_before], taken_back], ignore_index=True)
    return pd.concat([ended, frame["household_id"][begins]])


def grade(world: World, households: pd.Index, edit: Mapping[str, Any], draw: Draw, mark: str) -> pd.Series:
    """Add a check that finds the dwelling or the water at least as bad as this; later checks find it no better."""
    frame = world.tables[edit["table"]]
    rows = world.since(edit["table"], households)
    frame = frame.assign(grade=frame["grade"].mask(rows, np.maximum(frame["grade"], edit["grade"])))
    frame = frame[~(rows & (frame["date"] == world.day).to_numpy())]
    world.tables[edit["table"]] = frame
    known = frame[(frame["known_on"] < world.day) & (frame["date"] < world.day) & ~(frame["withdrawn"] == 1)]
    newest = known.sort_values(["date", "known_on"], kind="stable").drop_duplicates("household_id", keep="last")
    new = newest.set_index("household_id").reindex(households).rename_axis("household_id").reset_index()
    new = new.assign(date=world.day, grade=np.fmax(new["grade"], edit["grade"]))
    world.add(edit["table"], new)
    return new["household_id"]


def newest(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the newest version of each record of a table that is not withdrawn."""
    frame = frame.sort_values("known_on", kind="stable").drop_duplicates(list(TABLES[table].key), keep="last")
    return frame[~(frame["withdrawn"] == 1)]


def paid_in(records: pd.DataFrame, support: pd.DataFrame) -> pd.Series:
    """Return what spells of support paid in the period of each income record: the amounts that run on its date."""
    spells = support[["household_id", "start", "end", "amount"]]
    pairs = records.rename_axis("row").reset_index()[["row", "household_id", "date"]].merge(spells, on="household_id")
    pairs = pairs[(pairs["start"] <= pairs["date"]) & ~(pairs["end"] < pairs["date"])]
    return pairs.groupby("row")["amount"].sum().reindex(records.index).fillna(0.0) * records["months"]


def _records(world: World, households: pd.Index, mark: str) -> pd.DataFrame:
    return pd.DataFrame({"household_id": households.to_numpy(dtype=object), "date": world.day, "record_id": mark})


def _business_year(world: World, households: pd.Index) -> pd.Series:
    """Return the farm and business income known of the year before the event, of households that had any."""
    if "business" not in world.tables.get("incomes", ()):
        return pd.Series(dtype=np.float64, index=pd.Index([], dtype=object))
    frame = world.tables["incomes"]
    frame = frame[(frame["known_on"] < world.day) & ~(frame["withdrawn"] == 1) & frame["household_id"].isin(households)]
    frame = frame[frame["date"] > world.day - pd.DateOffset(months=_YEAR)].dropna(subset=["business", "months"])
    frame = frame.sort_values("known_on", kind="stable").drop_duplicates(["household_id", "date"], keep="last")
    sums = frame.groupby("household_id")[["business", "months"]].sum()
    year = sums["business"] * _YEAR / sums["months"]
    return year[year > 0]


def _share_after(frame: pd.DataFrame, day: pd.Timestamp) -> pd.Series:
    """Return the share of each record's period that lies after the day."""
    end = frame["date"] + pd.Timedelta(days=1)
    whole = pd.Series(0.0, frame.index)
    for months in frame["months"].unique():
        of = frame["months"] == months
        first = pd.DatetimeIndex(end[of]) - pd.DateOffset(months=max(1, round(months)))
        whole[of] = (pd.DatetimeIndex(end[of]) - first).days
    return ((end - day).dt.days / whole).clip(0.0, 1.0)


def _changed(world: World, table: str, column: str, rows: BoolArray, change: pd.Series) -> pd.Series:
    """Add a change to an amount of these rows, and to their total; return whose rows they are."""
    frame = world.tables[table].copy()
    told = change.dropna()
    frame.loc[told.index, column] += told
    if table == "incomes" and "total" in frame:
        frame.loc[told.index, "total"] += told
    world.tables[table] = frame
    return frame.loc[told.index[told != 0], "household_id"]


def _take_from_transfers(world: World, paid: pd.DataFrame) -> None:
    if "transfers" not in world.tables.get("incomes", ()) or "amount" not in paid or not len(paid):
        return
    rows = world.since("incomes", pd.Index(paid["household_id"].unique()))
    frame = world.tables["incomes"].loc[rows]
    most = np.minimum(paid_in(frame, newest("assistance", paid)), frame["transfers"].clip(lower=0.0))
    _changed(world, "incomes", "transfers", rows, -most * _share_after(frame, world.day))


def _is_number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _one_of(*choices: Any) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, bool) and value in choices


def is_texts(value: Any) -> bool:
    """Whether a value is a list of texts that are not empty."""
    return isinstance(value, list) and all(isinstance(text, str) and text for text in value)


SHARE = Key(
    "share of the households (of `jobs_end`: of the jobs) it falls on, drawn at random",
    "a share from 0 to 1",
    _is_number(0, 1),
    1.0,
)
_CHANGE = Key("change as a share: -0.5 halves", "a number from -1 to 10", _is_number(-1, 10))
_FADES = Key("share of the change that is gone with each further month", "a share from 0 to 1", _is_number(0, 1), 0.0)
_OF = Key("the kind of production, as the office calls it", "a text", lambda value: isinstance(value, str), "")
_DISASTERS = TABLES["disasters"].by_name["kind"].choices
_SOURCES = ("wage", "business", "property", "transfers", "private", "welfare")

#: Kind of edit -> the function that makes it, the table it cannot do without, its keys besides ``kind`` and ``share``.
KINDS: dict[str, tuple[Callable[[World, pd.Index, Mapping[str, Any], Draw, str], pd.Series], str, dict[str, Key]]] = {
    "disaster": (
        disaster,
        "disasters",
        {
            "what": Key("what struck", "one of " + ", ".join(_DISASTERS), _one_of(*_DISASTERS)),
            "severity": Key("1 light, 2 serious, 3 severe", "1, 2 or 3", _one_of(1, 2, 3)),
            "loss": Key(
                "value lost, in years at the line of the whole household", "a number from 0 to 10", _is_number(0, 10), 0
            ),
        },
    ),
    "loss": (
        loss,
        "production",
        {
            "of": _OF,
            "size": Key(
                "value lost, as a share of a year's farm and business income", "a share from 0 to 1", _is_number(0, 1)
            ),
        },
    ),
    "price": (price, "production", {"of": _OF, "change": _CHANGE, "fades": _FADES}),
    "income": (
        income,
        "incomes",
        {
            "source": Key(
                "what changes: a column of `incomes`, or `welfare`", "one of " + ", ".join(_SOURCES), _one_of(*_SOURCES)
            ),
            "change": _CHANGE,
            "fades": _FADES,
        },
    ),
    "jobs_end": (
        jobs_end,
        "employment",
        {
            "which": Key(
                "migrant jobs, jobs near home, public-service posts, or all",
                "one of away, near, public_post, all",
                _one_of("away", "near", "public_post", "all"),
            )
        },
    ),
    "bills": (
        bills,
        "medical",
        {"factor": Key("factor of cost and out-of-pocket cost", "a number from 0 to 100", _is_number(0, 100))},
    ),
    "support_ends": (
        support_ends,
        "assistance",
        {
            "measures": Key("measures that end; empty: all", "a list of texts", is_texts, []),
            "paid_in_transfers": Key(
                "measures whose amount is part of transfer income",
                "a list of texts",
                is_texts,
                [*MEASURES["cash"], "disaster_relief"],
            ),
        },
    ),
    "grade": (
        grade,
        "housing",
        {
            "table": Key("`housing` or `water`", "housing or water", _one_of("housing", "water")),
            "grade": Key("grade found, unless it was worse already", "a grade from 1 to 4", _one_of(1, 2, 3, 4)),
        },
    ),
}
