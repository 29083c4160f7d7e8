"""Small random monitoring tables with everything that makes time hard: late, corrected, withdrawn, open, missing."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST = pd.Timestamp("2020-01-01")
#: As-of dates that tests ask on; records crowd on them and on the edges of their windows.
ASKED = pd.to_datetime(["2020-08-01", "2020-11-01", "2021-03-31", "2022-02-01"])
EDGES = pd.DatetimeIndex([day + pd.DateOffset(months=m) for day in ASKED for m in (-12, -6, -3, 0, 0, 3)])
MEASURES = ("minimum_income_guarantee", "health_assistance", "public_service_post", "own_measure")
#: Villages of two counties; households move within their county.
AREAS = {"52": ("520", "521"), "53": ("530", "531")}
#: Lines: some published late, one corrected, one that ends.
LINES = [
    ("", "2010-01-01", None, None, 4000.0),
    ("", "2021-01-01", None, None, 4300.0),
    ("52", "2020-03-01", "2020-09-30", "2020-03-01", 4200.0),
    ("520", "2020-06-01", None, "2020-11-01", 4500.0),
    ("521", "2021-07-01", None, None, 4700.0),
    ("521", "2021-07-01", None, "2022-01-31", 5200.0),
    ("53", "2020-01-01", None, "2021-03-30", 4100.0),
]


def random_tables(seed: int, n_households: int = 8, n_months: int = 30, rate: float = 6.0) -> dict[str, pd.DataFrame]:
    """Return raw tables of a few households in two counties; everything is drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    households = [f"{1000 + i}" for i in range(n_households)]
    lines = pd.DataFrame(LINES, columns=["area_id", "valid_from", "valid_to", "known_on", "amount"])
    for column in ("valid_from", "valid_to", "known_on"):
        lines[column] = pd.to_datetime(lines[column])
    tables = {
        "households": _households(rng, households),
        "lines": lines.assign(unit="person_year"),
        "members": _members(rng, households),
        "incomes": _incomes(rng, households, n_months),
        "medical": _events(
            rng,
            households,
            n_months,
            rate,
            cost=lambda n: rng.lognormal(7, 1, n),
            out_of_pocket=lambda n: _missing(rng, rng.lognormal(6, 1, n)),
            serious=lambda n: rng.integers(0, 2, n),
        ),
        "production": _events(
            rng,
            households,
            n_months,
            rate / 3,
            loss=lambda n: _missing(rng, rng.lognormal(6, 1, n)),
            price_change=lambda n: _missing(rng, rng.normal(0, 0.3, n)),
        ),
        "employment": _spells(rng, households, n_months, "employment"),
        "assistance": _spells(rng, households, n_months, "assistance"),
        "housing": _events(
            rng,
            households,
            n_months,
            1.5,
            key="date",
            grade=lambda n: rng.integers(1, 5, n),
            rooms=lambda n: rng.integers(1, 5, n),
        ),
    }
    areas = _events(
        rng, households, n_months, 0.6, severity=lambda n: rng.integers(1, 4, n), loss=lambda n: rng.lognormal(7, 1, n)
    )
    areas["kind"] = rng.choice(["flood", "fire", "hail"], len(areas))
    whole = rng.random(len(areas)) < 0.5
    areas["area_id"] = np.where(whole, rng.choice(["52", "520", "521", "53", "530"], len(areas)), "")
    areas.loc[whole, "household_id"] = ""
    areas["record_id"] = [f"d{i}" for i in range(len(areas))]
    tables["disasters"] = _corrected(rng, areas.drop(columns="withdrawn"), ("loss",))
    return tables


def _households(rng: np.random.Generator, households: list[str]) -> pd.DataFrame:
    """Versions of the registry: some registered late, many move, some leave, a few are struck off."""
    rows = []
    for i, household in enumerate(households):
        villages = AREAS["52" if i % 3 else "53"]
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


def _corrected(rng: np.random.Generator, frame: pd.DataFrame, change: tuple[str, ...]) -> pd.DataFrame:
    """Append later versions of one row in four: changed amounts or, one time in four, withdrawn."""
    again = frame[rng.random(len(frame)) < 1 / 4].reset_index(drop=True)
    again["known_on"] = _on_asked(rng, again["known_on"] + rng.integers(1, 300, len(again)).astype("timedelta64[D]"))
    for column in change:
        again[column] = again[column] * rng.uniform(0.3, 3.0, len(again))
    again["withdrawn"] = (rng.random(len(again)) < 0.25).astype(float)
    return pd.concat([frame.assign(withdrawn=0.0), again], ignore_index=True)


def _events(
    rng: np.random.Generator, households: list[str], n_months: int, rate: float, key: str = "record_id", **columns
) -> pd.DataFrame:
    n = rng.poisson(rate * len(households))
    date = FIRST + rng.integers(0, n_months * 30, n).astype("timedelta64[D]")
    frame = pd.DataFrame({"household_id": rng.choice(households, n), "date": date})
    frame["date"] = _on_edges(rng, frame["date"])
    frame["known_on"] = _on_asked(rng, frame["date"] + _delay(rng, n))
    same_day = rng.random(n) < 0.3
    for column in frame:  # some records share household, day and the day they were learned of with another
        frame[column] = frame[column].where(~same_day, frame[column].shift(1).fillna(frame[column]))
    for name, draw in columns.items():
        frame[name] = np.asarray(draw(n), dtype=float)
    if key == "record_id":
        frame["record_id"] = [f"r{i}" for i in range(n)]
    else:
        frame = frame.drop_duplicates(["household_id", "date"], ignore_index=True)
    return _corrected(rng, frame, tuple(name for name in columns if name in ("cost", "out_of_pocket", "loss")))


def _incomes(rng: np.random.Generator, households: list[str], n_months: int) -> pd.DataFrame:
    """Monthly incomes; every other world states for some of them how many share it."""
    ends = pd.date_range(FIRST, periods=n_months, freq="ME")
    frame = pd.DataFrame(
        [
            (household, end)
            for i, household in enumerate(households)
            for end in ends[: rng.choice([6, n_months]) if i % 3 else n_months]
            if rng.random() < 0.9
        ],
        columns=["household_id", "date"],
    )
    n = len(frame)
    level = dict(zip(households, rng.lognormal(6.3, 0.5, len(households)), strict=True))
    frame["known_on"] = _on_asked(rng, frame["date"] + _delay(rng, n))
    frame["months"] = 1.0
    if rng.random() < 0.5:
        frame["units"] = np.where(rng.random(n) < 0.2, rng.uniform(1, 6, n), np.nan)
    base = frame["household_id"].map(level).to_numpy() * 3
    for name, share in (("wage", 0.5), ("business", 0.3), ("transfers", 0.2), ("private", 0.1), ("expenses", 0.05)):
        frame[name] = _missing(rng, base * share * rng.lognormal(0, 0.4, n))
    return _corrected(rng, frame, ("wage", "business", *(["units"] if "units" in frame else [])))


def _members(rng: np.random.Generator, households: list[str]) -> pd.DataFrame:
    """One person is always there; others join, change, leave, or turn out never to have belonged."""
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
    return pd.DataFrame(rows)


def _spells(rng: np.random.Generator, households: list[str], n_months: int, table: str) -> pd.DataFrame:
    """Spells entered ahead or late, with ends learned at once, later, or never."""
    n = rng.poisson(4 * len(households))
    start = _on_edges(rng, pd.Series(FIRST + rng.integers(-200, n_months * 30, n).astype("timedelta64[D]")))
    end = _on_edges(rng, start + rng.integers(10, 500, n).astype("timedelta64[D]"))
    frame = pd.DataFrame({"household_id": rng.choice(households, n), "start": start})
    frame["end"] = end.where((end >= start) & (rng.random(n) < 0.7))
    frame["known_on"] = _on_asked(rng, frame["start"] + rng.integers(-10, 60, n).astype("timedelta64[D]"))
    learned = _on_asked(rng, end + rng.integers(0, 200, n).astype("timedelta64[D]"))
    learned = learned.where(frame["end"].notna() & (rng.random(n) < 0.6))
    frame["end_known_on"] = learned.where(learned > frame["known_on"])
    if table == "employment":
        frame["member_id"] = rng.integers(0, 3, n).astype(str)
        frame = frame.drop_duplicates(["household_id", "member_id", "start"], ignore_index=True)
        frame["away"] = rng.integers(0, 2, len(frame)).astype(float)
        frame["wage"] = _missing(rng, rng.lognormal(7, 0.5, len(frame)))
        frame["public_post"] = (rng.random(len(frame)) < 0.2).astype(float)
        return _corrected(rng, frame, ("wage",))
    frame["record_id"] = [f"a{i}" for i in range(n)]
    frame["measure"] = rng.choice(MEASURES, n)
    frame["amount"] = _missing(rng, rng.lognormal(5, 0.5, n))
    return _corrected(rng, frame, ("amount",))
