"""What the office of the simulated district writes down, when it learns of it, and where it errs.

The law knows months; the office knows days. Each table is entered with delays of its own: most entries come
within days or weeks, a few per cent months late, some are corrected, a few withdrawn, some never made. None of
this touches the households' lives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.datasets.law import ADULTS, BURN_IN, CHILDREN, ELDERS, N_MEMBERS, Lanes
from riskml.tables.contract import TABLES

#: Delay of entries by table: shortest and longest usual days, share of entries that come 60 to 240 days late.
DELAYS: dict[str, tuple[int, int, float]] = {
    "members": (5, 75, 0.0),
    "incomes": (4, 25, 0.03),
    "medical": (8, 45, 0.04),
    "schooling": (5, 40, 0.03),
    "housing": (2, 20, 0.02),
    "water": (2, 20, 0.02),
    "employment": (5, 60, 0.04),
    "production": (5, 40, 0.03),
    "disasters": (1, 9, 0.02),
    "assistance": (2, 30, 0.02),
    "visits": (0, 5, 0.02),
    "status": (3, 20, 0.0),
    "coping": (0, 5, 0.02),
}
#: Share of entries whose first version is wrong and corrected 20 to 120 days later; share taken back.
CORRECTED = {"incomes": 0.025, "medical": 0.02}
WITHDRAWN = {"medical": 0.006, "disasters": 0.01}
#: Months without an income entry, income entries that lack a source, bills nobody reports.
NO_ENTRY, NO_SOURCE, NO_BILL = 0.012, 0.02, 0.05

DAY = np.timedelta64(1, "D")
Days = NDArray[np.datetime64]
Entries = dict[str, NDArray]


@dataclass(frozen=True)
class Book:
    """A district on its way into tables: lives, calendar, and the office's own random numbers.

    ``states`` holds the state at the start of each month, ``seen`` what happened in it, both from the first month of
    the burn-in; ``first_days`` the first day of each of these months and of the one after.
    """

    traits: Lanes
    states: Lanes
    seen: Lanes
    first_days: Days
    household_ids: NDArray[np.str_]
    registered_on: Days
    left_on: Days
    extract_on: np.datetime64
    rng: np.random.Generator

    @property
    def months(self) -> range:
        """Positions of the recorded months in ``states`` and ``seen``."""
        return range(BURN_IN, len(self.first_days) - 1)

    def day_in(self, month: NDArray) -> Days:
        """Return a random day of each month."""
        length = (self.first_days[1:] - self.first_days[:-1])[month].astype(int)
        return self.first_days[month] + np.floor(self.rng.random(len(month)) * length).astype(int) * DAY

    def known(self, table: str, date: Days) -> Days:
        """Return the day the office learns of entries dated ``date``."""
        low, high, late = DELAYS[table]
        delay = self.rng.integers(low, high + 1, len(date))
        delay += (self.rng.random(len(date)) < late) * self.rng.integers(60, 241, len(date))
        return date + delay * DAY

    def line(self, date: Days) -> NDArray[np.float64]:
        """Return the line on each day, per person and year."""
        return line_amount(date.astype("datetime64[Y]").astype(int) + 1970)

    def kept(self, share: float, n: int) -> NDArray[np.bool_]:
        """Return a random choice of that share."""
        return self.rng.random(n) < share


def line_amount(year: NDArray) -> NDArray[np.float64]:
    """Return the line of a year, currency per person and year: 6,000 in 2020, 6.5 % more each year, in hundreds."""
    return np.round(60 * 1.065 ** (np.asarray(year) - 2020.0)) * 100


def filed(book: Book, table: str, entries: Entries) -> pd.DataFrame:
    """Return entries as a table: nothing before registration, after leaving, or after the extract is in it.

    ``entries`` holds equally long columns, ``household`` as a number. A later entry with the same key and day replaces
    the earlier one. What was entered before the household was registered is known from then on.
    """
    household = entries.pop("household")
    happened = entries.get("date", entries.get("start"))
    in_area = household < 0
    registered = np.where(in_area, entries["known_on"], book.registered_on[household])
    known = np.maximum(entries["known_on"], registered)
    left = np.where(in_area, np.datetime64("NaT"), book.left_on[household])
    kept = (known <= book.extract_on) & ~(happened > left)
    frame = pd.DataFrame(
        {
            "household_id": np.where(in_area, "", book.household_ids[household]).astype(object),
            **entries,
            "known_on": known,
        }
    )[kept]
    if "end_known_on" in frame:
        # An end learned before the household was registered is entered with the rest.
        frame["end_known_on"] = frame["end_known_on"].where(
            ~(frame["end_known_on"] < frame["known_on"]), frame["known_on"]
        )
        open_end = frame["end_known_on"].isna() | (frame["end_known_on"] > book.extract_on)
        frame.loc[open_end, ["end", "end_known_on"]] = np.datetime64("NaT")
    order = ["household_id", *[name for name in TABLES[table].key if name != "household_id"], "known_on"]
    frame = frame.sort_values(order, kind="stable").drop_duplicates(order, keep="last")
    return dated(frame).reset_index(drop=True)


def with_corrections(book: Book, table: str, entries: Entries, wrong: Entries) -> Entries:
    """Return the entries, a share of them first as in ``wrong`` and then, 20 to 120 days later, as they are."""
    corrected = book.kept(CORRECTED[table], len(entries["known_on"]))
    first = {name: np.where(corrected, wrong[name], values) for name, values in entries.items()}
    later = {name: values[corrected] for name, values in entries.items()}
    later["known_on"] = later["known_on"] + book.rng.integers(20, 121, corrected.sum()) * DAY
    return _joined(first, later)


def with_withdrawals(book: Book, table: str, entries: Entries) -> Entries:
    """Return the entries and, for a share of them, a later version that takes the record back.

    What is taken back had been entered by mistake: these are copies of true records under a number of their own.
    """
    mistaken = book.kept(WITHDRAWN[table], len(entries["known_on"])) & (entries["household"] >= 0)
    false = {name: values[mistaken] for name, values in entries.items()}
    false["record_id"] = np.char.add(false["record_id"].astype("U12"), "X")
    back = {**false, "known_on": false["known_on"] + book.rng.integers(10, 91, mistaken.sum()) * DAY}
    parts = [
        {**part, "withdrawn": np.full(len(part["known_on"]), flag)}
        for part, flag in ((entries, 0.0), (false, 0.0), (back, 1.0))
    ]
    return _joined(*parts)


def runs(active: NDArray[np.bool_], breaks: NDArray[np.bool_] | None = None) -> tuple[NDArray, NDArray, NDArray]:
    """Return the runs of true cells down the first axis: first month, last month, lane.

    ``breaks`` marks cells at which a run ends and a new one begins.
    """
    before = np.zeros_like(active[:1])
    starts = active & ~np.concatenate([before, active[:-1]])
    if breaks is not None:
        starts |= active & breaks
    stops = active & ~np.concatenate([active[1:] & ~starts[1:], before])
    lane, first = np.nonzero(starts.T)
    _, last = np.nonzero(stops.T)
    return first, last, lane


def mistake(book: Book, n: int) -> NDArray[np.float64]:
    """Return factors by which wrong first versions are off."""
    return np.exp(0.35 * book.rng.standard_normal(n))


def every_month(book: Book) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return month and household of every recorded household-month."""
    n = len(book.household_ids)
    return np.repeat(np.array(book.months), n), np.tile(np.arange(n), len(book.months))


def other_patient(present: NDArray[np.int8]) -> NDArray[np.int64]:
    """Return the place of a member who falls ill beside the adults: an elder, a child, else the first adult."""
    order = np.array([*range(N_MEMBERS)[ELDERS], *range(N_MEMBERS)[CHILDREN], *range(N_MEMBERS)[ADULTS]])
    return order[(present[..., order, :] > 0).argmax(axis=-2)]


def member_ids(member: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the ids of members by their place."""
    return np.array([f"m{place + 1}" for place in range(N_MEMBERS)])[member]


def record_ids(prefix: str, month: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return record numbers, one a household and month."""
    return np.array([f"{prefix}{number:03d}" for number in range(int(month.max(initial=0)) + 1)])[month]


def dated(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with every date as ``datetime64[s]``."""
    return frame.astype({name: "datetime64[s]" for name, kind in frame.dtypes.items() if kind.kind == "M"})


def _joined(*parts: Entries) -> Entries:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
