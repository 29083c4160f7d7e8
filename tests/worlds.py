"""Small random monitoring tables with everything that makes time hard: late, corrected, withdrawn, open, missing.

Worlds can be stacked: many small ones, each with counties of its own, in one set of tables. Households of different
worlds share neither area nor line nor member, so every household is in the situation of a world by itself, and a test
on a stack of sixty is sixty tests for little more than the price of one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from riskml.tables.contract import TABLES

FIRST = pd.Timestamp("2020-01-01")
#: As-of dates that tests ask on; records crowd on them and on the edges of their windows.
ASKED = pd.to_datetime(["2020-08-01", "2020-11-01", "2021-03-31", "2022-02-01"])
EDGES = pd.DatetimeIndex([day + pd.DateOffset(months=m) for day in ASKED for m in (-12, -6, -3, 0, 0, 3)])
MEASURES = ("minimum_income_guarantee", "health_assistance", "public_service_post", "own_measure")
#: Lines of the counties 52 and 53, those of the first world: some published late, one corrected, one that ends.
LINES = [
    ("", "2010-01-01", None, None, 4000.0),
    ("", "2021-01-01", None, None, 4300.0),
    ("52", "2020-03-01", "2020-09-30", "2020-03-01", 4200.0),
    ("520", "2020-06-01", None, "2020-11-01", 4500.0),
    ("521", "2021-07-01", None, None, 4700.0),
    ("521", "2021-07-01", None, "2022-01-31", 5200.0),
    ("53", "2020-01-01", None, "2021-03-30", 4100.0),
]


def random_tables(
    seed: int, n_households: int = 8, n_worlds: int = 1, n_months: int = 30, rate: float = 6.0
) -> dict[str, pd.DataFrame]:
    """Return raw tables of a few households in two counties, for each world; everything is drawn from ``seed``.

    The households of the first world are 1000, 1001, ..., of the second 2000, 2001, ...
    """
    rng = np.random.default_rng(seed)
    households = [f"{1000 * world + i}" for world in range(1, n_worlds + 1) for i in range(n_households)]

    def elsewhere(frame: pd.DataFrame) -> pd.DataFrame:
        """Records that belong to another household of the same world."""
        number = frame["household_id"].astype(int)
        other = number // 1000 * 1000 + (number % 1000 + 1) % n_households
        return frame.assign(household_id=other.astype(str), record_id=frame["record_id"] + "k")

    tables = {
        "households": _households(rng, households),
        "lines": _lines(n_worlds),
        "members": _members(rng, households),
        "incomes": _incomes(rng, households, n_months, n_worlds),
        "medical": _events(
            rng,
            households,
            n_months,
            rate,
            elsewhere,
            cost=lambda n: rng.lognormal(7, 1, n),
            out_of_pocket=lambda n: _missing(rng, rng.lognormal(6, 1, n)),
            serious=lambda n: rng.integers(0, 2, n),
        ),
        "production": _events(
            rng,
            households,
            n_months,
            rate / 3,
            elsewhere,
            loss=lambda n: _missing(rng, rng.lognormal(6, 1, n)),
            price_change=lambda n: _missing(rng, rng.normal(0, 0.3, n)),
        ),
        "employment": _jobs(rng, households, n_months),
        "assistance": _support(rng, households, n_months, elsewhere),
        "housing": _events(
            rng,
            households,
            n_months,
            1.5,
            _on_the_day_before,
            key="date",
            grade=lambda n: rng.integers(1, 5, n),
            rooms=lambda n: rng.integers(1, 5, n),
        ),
        "disasters": _disasters(rng, households, n_months),
    }
    return tables


def entered_after(lag: int, tables: dict[str, pd.DataFrame], extract: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Return the newest version of every record, with everything entered the same number of days after it happened."""
    entered = {"lines": tables["lines"]}
    for name in ("households", "members", "incomes", "medical", "employment", "assistance", "housing"):
        frame = tables[name].sort_values("known_on", kind="stable")
        frame = frame.drop_duplicates(list(TABLES[name].key), keep="last")
        if name == "households":
            frame["known_on"] = pd.Timestamp("2019-01-01")
            frame["lifted_on"] = frame["left_on"] = pd.NaT
        else:
            frame["known_on"] = frame["date" if "date" in frame else "start"] + pd.Timedelta(days=lag)
        if "end" in frame:
            learned = (frame["end"] + pd.Timedelta(days=lag)).where(lambda day: day <= extract, extract)
            frame["end_known_on"] = learned.where((learned > frame["known_on"]) & frame["end"].notna())
        frame = frame[frame["known_on"] <= extract]
        entered[name] = frame.assign(withdrawn=0.0).reset_index(drop=True)
    return entered


def _lines(n_worlds: int) -> pd.DataFrame:
    rows = [row for row in LINES if not row[0]]
    for world in range(n_worlds):
        county = {"52": f"{52 + 2 * world}", "53": f"{53 + 2 * world}"}
        rows += [(county[area[:2]] + area[2:], *rest) for area, *rest in LINES if area]
    lines = pd.DataFrame(rows, columns=["area_id", "valid_from", "valid_to", "known_on", "amount"])
    days = {column: pd.to_datetime(lines[column]) for column in ("valid_from", "valid_to", "known_on")}
    return lines.assign(unit="person_year", **days)


def _villages(household: str) -> tuple[str, str]:
    """Villages among which a household moves: those of its county, one of two of its world."""
    world, i = int(household) // 1000 - 1, int(household) % 1000
    county = 52 + 2 * world + (i % 3 == 0)
    return f"{county}0", f"{county}1"


def _households(rng: np.random.Generator, households: list[str]) -> pd.DataFrame:
    """Versions of the registry: some registered late, many move, some leave, a few are struck off."""
    rows = []
    for household in households:
        villages, i = _villages(household), int(household) % 1000
        first = FIRST - _days(rng, 0, 400) if rng.random() < 0.85 else _near_asked(rng)
        later = {_near_asked(rng) if rng.random() < 0.7 else FIRST + _days(rng, 1, 900) for _ in range(rng.integers(4))}
        row = {"household_id": household, "area_id": villages[i // 3 % 2], "known_on": first, "weight": 1.0 + i}
        row["lifted_on"] = first - _days(rng, 0, 900) if rng.random() < 0.6 else pd.NaT
        rows.append({**row, "left_on": pd.NaT, "withdrawn": 0.0})
        for known in sorted(day for day in later if day > first):
            change = rng.choice(["moves", "is lifted", "leaves", "is struck off"], p=[0.6, 0.2, 0.1, 0.1])
            if change == "moves":
                row |= {"area_id": str(rng.choice(villages)), "weight": float(rng.integers(1, 9))}
            elif change == "is lifted":
                row["lifted_on"] = known - _days(rng, 0, 500)
            left = known - _days(rng, 0, 90) if change == "leaves" else pd.NaT
            rows.append({**row, "known_on": known, "left_on": left, "withdrawn": float(change == "is struck off")})
    frame = pd.DataFrame(rows)
    days = ["known_on", "lifted_on", "left_on"]
    return frame.assign(**{column: pd.to_datetime(frame[column]) for column in days})


def _days(rng: np.random.Generator, low: int, high: int) -> pd.Timedelta:
    return pd.Timedelta(days=int(rng.integers(low, high)))


def _near_asked(rng: np.random.Generator) -> pd.Timestamp:
    """Return an as-of date, or a day or two before it."""
    return ASKED[rng.integers(len(ASKED))] - _days(rng, 0, 3)


def _missing(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    return np.where(rng.random(len(values)) < 0.1, np.nan, values)


def _delay(rng: np.random.Generator, n: int) -> np.ndarray:
    """Most records are known within weeks, one in five months later."""
    late = rng.random(n) < 0.2
    return np.where(late, rng.integers(60, 400, n), rng.integers(0, 30, n)).astype("timedelta64[D]")


def _on_edges(rng: np.random.Generator, dates: pd.Series) -> pd.Series:
    """Move four dates in ten onto the edge of a window or the day before it."""
    edge = pd.Series(rng.choice(EDGES, len(dates)) - rng.integers(0, 2, len(dates)).astype("timedelta64[D]"))
    return dates.where(rng.random(len(dates)) < 0.6, edge)


def _on_asked(rng: np.random.Generator, known_on: pd.Series) -> pd.Series:
    """Move four days in ten to the next as-of date or the day before it."""
    place = ASKED.searchsorted(known_on)
    asked = pd.Series(ASKED[np.minimum(place, len(ASKED) - 1)]) - rng.integers(0, 2, len(known_on)).astype(
        "timedelta64[D]"
    )
    return known_on.where((asked < known_on) | (rng.random(len(known_on)) < 0.6), asked)


def _with_versions(
    rng: np.random.Generator,
    frame: pd.DataFrame,
    key: tuple[str, ...],
    change: tuple[str, ...],
    rekeyed: Callable[[pd.DataFrame], pd.DataFrame],
) -> pd.DataFrame:
    """Append later versions: changed amounts, records withdrawn or brought back, and keys put right.

    One row in four gets a second version, one in three of these a third; a version in four withdraws the record. One
    row in twelve was entered under a wrong key: it is withdrawn and entered anew under the right one on the same day.
    """
    versions = [frame.assign(withdrawn=0.0)]
    for share in (1 / 4, 1 / 3):
        again = versions[-1][rng.random(len(versions[-1])) < share].reset_index(drop=True)
        again["known_on"] = _later(rng, again["known_on"])
        for column in change:
            again[column] = again[column] * rng.uniform(0.3, 3.0, len(again))
        again["withdrawn"] = (rng.random(len(again)) < 0.25).astype(float)
        versions.append(again)
    wrong = frame[rng.random(len(frame)) < 1 / 12].reset_index(drop=True)
    wrong["known_on"] = _later(rng, wrong["known_on"])
    versions += [wrong.assign(withdrawn=1.0), rekeyed(wrong).assign(withdrawn=0.0)]
    return pd.concat(versions, ignore_index=True).drop_duplicates([*key, "known_on"], ignore_index=True)


def _later(rng: np.random.Generator, known_on: pd.Series) -> pd.Series:
    return _on_asked(rng, known_on + rng.integers(1, 300, len(known_on)).astype("timedelta64[D]"))


def _on_the_day_before(frame: pd.DataFrame) -> pd.DataFrame:
    day = "start" if "start" in frame else "date"
    return frame.assign(**{day: frame[day] - pd.Timedelta(days=1)})


def _events(
    rng: np.random.Generator,
    households: list[str],
    n_months: int,
    rate: float,
    rekeyed: Callable[[pd.DataFrame], pd.DataFrame],
    key: str = "record_id",
    **columns: Callable[[int], np.ndarray],
) -> pd.DataFrame:
    frame = _dated(rng, households, n_months, rate)
    for name, draw in columns.items():
        frame[name] = np.asarray(draw(len(frame)), dtype=float)
    if key == "record_id":
        frame["record_id"] = [f"r{i}" for i in range(len(frame))]
    else:
        frame = frame.drop_duplicates(["household_id", "date"], ignore_index=True)
    change = tuple(name for name in columns if name in ("cost", "out_of_pocket", "loss"))
    return _with_versions(rng, frame, ("household_id", key), change, rekeyed)


def _dated(rng: np.random.Generator, households: list[str], n_months: int, rate: float) -> pd.DataFrame:
    n = rng.poisson(rate * len(households))
    date = FIRST + rng.integers(0, n_months * 30, n).astype("timedelta64[D]")
    frame = pd.DataFrame({"household_id": rng.choice(households, n), "date": date})
    frame["date"] = _on_edges(rng, frame["date"])
    frame["known_on"] = _on_asked(rng, frame["date"] + _delay(rng, n))
    same_day = rng.random(n) < 0.3
    for column in frame:  # some records share household, day and the day they were learned of with another
        frame[column] = frame[column].where(~same_day, frame[column].shift(1).fillna(frame[column]))
    return frame


def _disasters(rng: np.random.Generator, households: list[str], n_months: int) -> pd.DataFrame:
    """Of households and of whole areas; one entered under a wrong number is entered again under the right one."""
    frame = _dated(rng, households, n_months, 0.6)
    n = len(frame)
    frame["severity"] = rng.integers(1, 4, n).astype(float)
    frame["loss"] = rng.lognormal(7, 1, n)
    frame["kind"] = rng.choice(["flood", "fire", "hail"], n)
    villages = sorted({village for household in households for village in _villages(household)})
    areas = sorted({*villages, *(village[:-1] for village in villages)})
    whole = rng.random(n) < 0.5
    frame["area_id"] = np.where(whole, rng.choice(areas, n), "")
    frame.loc[whole, "household_id"] = ""
    frame["record_id"] = pd.Series([f"d{i}" for i in range(n)], dtype=str)
    key = ("household_id", "area_id", "record_id")
    return _with_versions(rng, frame, key, ("loss",), lambda wrong: wrong.assign(record_id=wrong["record_id"] + "k"))


def _incomes(rng: np.random.Generator, households: list[str], n_months: int, n_worlds: int) -> pd.DataFrame:
    """Monthly incomes; every other world states for some of them how many share it."""
    ends = pd.date_range(FIRST, periods=n_months, freq="ME")
    frame = pd.DataFrame(
        [
            (household, end)
            for household in households
            for end in ends[: rng.choice([6, n_months]) if int(household) % 1000 % 3 else n_months]
            if rng.random() < 0.9
        ],
        columns=["household_id", "date"],
    )
    n = len(frame)
    level = dict(zip(households, rng.lognormal(6.3, 0.5, len(households)), strict=True))
    frame["known_on"] = _on_asked(rng, frame["date"] + _delay(rng, n))
    frame["months"] = 1.0
    stated = rng.random(n_worlds) < 0.5
    if stated.any():
        here = stated[frame["household_id"].astype(int) // 1000 - 1]
        frame["units"] = np.where(here & (rng.random(n) < 0.2), rng.uniform(1, 6, n), np.nan)
    base = frame["household_id"].map(level).to_numpy() * 3
    for name, share in (("wage", 0.5), ("business", 0.3), ("transfers", 0.2), ("private", 0.1), ("expenses", 0.05)):
        frame[name] = _missing(rng, base * share * rng.lognormal(0, 0.4, n))
    change = ("wage", "business", *(["units"] if "units" in frame else []))
    return _with_versions(rng, frame, ("household_id", "date"), change, _on_the_day_before)


def _members(rng: np.random.Generator, households: list[str]) -> pd.DataFrame:
    """One person is always there; others join, change, leave, or turn out to belong to nobody or to a neighbour."""
    rows = []
    for household in households:
        for person in range(rng.integers(1, 6)):
            start = FIRST - _days(rng, 0, 300) if rng.random() < 0.7 else _near_asked(rng) + _days(rng, 0, 40)
            start = start if person else FIRST - pd.Timedelta(days=900)
            known = start + _days(rng, -40, 60) if person else start
            row = {
                "household_id": household,
                "member_id": f"{person}",
                "start": start,
                "end": pd.NaT,
                "known_on": known,
                "birth": min(start, known) - _days(rng, 1, 28000),
                "sex": str(rng.choice(["f", "m"])),
                "head": float(person == 0),
                "disability": float(rng.random() < 0.2),
                "chronic": float(rng.random() < 0.3),
                "labour": float(rng.integers(0, 3)),
                "education": float(rng.integers(0, 7)),
                "withdrawn": 0.0,
            }
            rows.append(row)
            if person and rng.random() < 0.5:
                again = (
                    known + _days(rng, 1, 500)
                    if rng.random() < 0.5
                    else max(known + _days(rng, 1, 2), _near_asked(rng))
                )
                row = {**row, "chronic": 1.0 - row["chronic"], "known_on": again}
                row["withdrawn"] = float(rng.random() < 0.2)
                if rng.random() < 0.5:
                    row["end"] = max(again - _days(rng, 0, 60), start)
                rows.append(row)
                if row["withdrawn"]:
                    neighbour = households[households.index(household) - 1]
                    if neighbour[:-3] == household[:-3]:
                        there = {"household_id": neighbour, "member_id": f"{household}-{person}", "withdrawn": 0.0}
                        rows.append({**row, **there})
    return pd.DataFrame(rows)


def _spells(rng: np.random.Generator, households: list[str], n_months: int) -> pd.DataFrame:
    """Spells entered ahead or late, with ends learned at once, later, or never."""
    n = rng.poisson(4 * len(households))
    start = _on_edges(rng, pd.Series(FIRST + rng.integers(-200, n_months * 30, n).astype("timedelta64[D]")))
    end = _on_edges(rng, start + rng.integers(10, 500, n).astype("timedelta64[D]"))
    frame = pd.DataFrame({"household_id": rng.choice(households, n), "start": start})
    frame["end"] = end.where((end >= start) & (rng.random(n) < 0.7))
    frame["known_on"] = _on_asked(rng, frame["start"] + rng.integers(-10, 60, n).astype("timedelta64[D]"))
    learned = _on_asked(rng, end + rng.integers(0, 200, n).astype("timedelta64[D]"))
    learned = learned.where(frame["end"].notna() & (rng.random(n) < 0.6))
    return frame.assign(end_known_on=learned.where(learned > frame["known_on"]))


def _jobs(rng: np.random.Generator, households: list[str], n_months: int) -> pd.DataFrame:
    frame = _spells(rng, households, n_months)
    frame["member_id"] = rng.integers(0, 3, len(frame)).astype(str)
    key = ("household_id", "member_id", "start")
    frame = frame.drop_duplicates(list(key), ignore_index=True)
    frame["away"] = rng.integers(0, 2, len(frame)).astype(float)
    frame["wage"] = _missing(rng, rng.lognormal(7, 0.5, len(frame)))
    frame["public_post"] = (rng.random(len(frame)) < 0.2).astype(float)
    return _with_versions(rng, frame, key, ("wage",), _on_the_day_before)


def _support(
    rng: np.random.Generator, households: list[str], n_months: int, elsewhere: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    frame = _spells(rng, households, n_months)
    frame["record_id"] = [f"a{i}" for i in range(len(frame))]
    frame["measure"] = rng.choice(MEASURES, len(frame))
    frame["amount"] = _missing(rng, rng.lognormal(5, 0.5, len(frame)))
    return _with_versions(rng, frame, ("household_id", "record_id"), ("amount",), elsewhere)
