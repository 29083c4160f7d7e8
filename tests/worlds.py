"""Small random monitoring tables with everything that makes time hard: late, corrected, withdrawn, open, missing."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST = pd.Timestamp("2020-01-01")
#: As-of dates that tests ask on; records crowd on them and on the edges of their windows.
ASKED = pd.to_datetime(["2020-08-01", "2020-11-01", "2021-03-31", "2022-02-01"])
EDGES = pd.DatetimeIndex([day - pd.DateOffset(months=m) for day in ASKED for m in (3, 6, 12)])
MEASURES = ("minimum_income_guarantee", "health_assistance", "public_service_post", "own_measure")


def random_tables(seed: int, n_households: int = 8, n_months: int = 30, rate: float = 6.0) -> dict[str, pd.DataFrame]:
    """Return raw tables of a few households in two villages; everything is drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    households = [f"{1000 + i}" for i in range(n_households)]
    tables = {
        "households": _households(rng, households),
        "lines": pd.DataFrame(
            {
                "area_id": ["", "", "521"],
                "valid_from": pd.to_datetime(["2010-01-01", "2021-01-01", "2021-07-01"]),
                "amount": [4000.0, 4300.0, 4700.0],
                "unit": ["person_year"] * 3,
            }
        ),
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
    whole = rng.random(len(areas)) < 0.3
    areas["area_id"] = np.where(whole, "52", "")
    areas.loc[whole, "household_id"] = ""
    areas["record_id"] = [f"d{i}" for i in range(len(areas))]
    tables["disasters"] = areas
    return tables


def _households(rng: np.random.Generator, households: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({"household_id": households, "area_id": [f"52{i % 2}" for i in range(len(households))]})
    frame["known_on"] = FIRST - rng.integers(0, 400, len(frame)).astype("timedelta64[D]")
    lifted = pd.Series(FIRST - rng.integers(400, 900, len(frame)).astype("timedelta64[D]"))
    frame["lifted_on"] = lifted.where(rng.random(len(frame)) < 0.6)
    frame["left_on"] = pd.NaT
    left = frame[rng.random(len(frame)) < 0.2].copy()
    left["left_on"] = FIRST + rng.integers(300, 900, len(left)).astype("timedelta64[D]")
    left["known_on"] = left["left_on"] + rng.integers(0, 90, len(left)).astype("timedelta64[D]")
    return pd.concat([frame, left], ignore_index=True)


def _missing(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    return np.where(rng.random(len(values)) < 0.1, np.nan, values)


def _delay(rng: np.random.Generator, n: int) -> np.ndarray:
    """Most records are known within weeks, one in five months later."""
    late = rng.random(n) < 0.2
    return np.where(late, rng.integers(60, 400, n), rng.integers(0, 30, n)).astype("timedelta64[D]")


def _on_edges(rng: np.random.Generator, dates: pd.Series) -> pd.Series:
    """Move one date in four onto the edge of a window or the day before it."""
    edge = pd.Series(rng.choice(EDGES, len(dates)) - rng.integers(0, 2, len(dates)).astype("timedelta64[D]"))
    return dates.where(rng.random(len(dates)) < 0.75, edge)


def _on_asked(rng: np.random.Generator, known_on: pd.Series) -> pd.Series:
    """Move one day in four to the next as-of date or the day before it."""
    place = ASKED.searchsorted(known_on)
    asked = pd.Series(ASKED[np.minimum(place, len(ASKED) - 1)]) - rng.integers(0, 2, len(known_on)).astype(
        "timedelta64[D]"
    )
    return known_on.where((asked < known_on) | (rng.random(len(known_on)) < 0.75), asked)


def _corrected(rng: np.random.Generator, frame: pd.DataFrame, change: tuple[str, ...]) -> pd.DataFrame:
    """Append later versions of one row in six: changed amounts or, one time in four, withdrawn."""
    again = frame[rng.random(len(frame)) < 1 / 6].copy()
    again = again.reset_index(drop=True)
    again["known_on"] = _on_asked(rng, again["known_on"] + rng.integers(1, 300, len(again)).astype("timedelta64[D]"))
    for column in change:
        again[column] = again[column] * rng.uniform(0.3, 3.0, len(again))
    frame = frame.assign(withdrawn=0.0)
    again["withdrawn"] = (rng.random(len(again)) < 0.25).astype(float)
    return pd.concat([frame, again], ignore_index=True)


def _events(
    rng: np.random.Generator, households: list[str], n_months: int, rate: float, key: str = "record_id", **columns
) -> pd.DataFrame:
    n = rng.poisson(rate * len(households))
    date = FIRST + rng.integers(0, n_months * 30, n).astype("timedelta64[D]")
    frame = pd.DataFrame({"household_id": rng.choice(households, n), "date": date})
    frame["date"] = _on_edges(rng, frame["date"])
    frame["known_on"] = _on_asked(rng, frame["date"] + _delay(rng, n))
    for name, draw in columns.items():
        frame[name] = np.asarray(draw(n), dtype=float)
    if key == "record_id":
        frame["record_id"] = [f"r{i}" for i in range(n)]
    else:
        frame = frame.drop_duplicates(["household_id", "date"], ignore_index=True)
    amounts = tuple(name for name in columns if name in ("cost", "out_of_pocket", "loss"))
    return _corrected(rng, frame, amounts) if amounts else frame


def _incomes(rng: np.random.Generator, households: list[str], n_months: int) -> pd.DataFrame:
    ends = pd.date_range(FIRST, periods=n_months, freq="ME")
    frame = pd.DataFrame(
        [(h, d) for h in households for d in ends[: rng.choice([6, n_months])] if rng.random() < 0.9],
        columns=["household_id", "date"],
    )
    n = len(frame)
    level = dict(zip(households, rng.lognormal(6.3, 0.5, len(households)), strict=True))
    frame["known_on"] = frame["date"] + _delay(rng, n)
    frame["months"] = 1.0
    base = frame["household_id"].map(level).to_numpy() * 3
    for name, share in (("wage", 0.5), ("business", 0.3), ("transfers", 0.2), ("private", 0.1), ("expenses", 0.05)):
        frame[name] = _missing(rng, base * share * rng.lognormal(0, 0.4, n))
    return _corrected(rng, frame, ("wage", "business"))


def _members(rng: np.random.Generator, households: list[str]) -> pd.DataFrame:
    rows = []
    for household in households:
        for person in range(rng.integers(1, 6)):
            start = (
                FIRST - pd.Timedelta(days=900)
                if person == 0
                else FIRST - pd.Timedelta(days=int(rng.integers(0, 300)))
                if rng.random() < 0.8
                else FIRST + pd.Timedelta(days=int(rng.integers(0, 700)))
            )
            known = start if person == 0 else start + pd.Timedelta(days=int(rng.integers(0, 60)))
            row = {
                "household_id": household,
                "member_id": f"{person}",
                "start": start,
                "end": pd.NaT,
                "known_on": known,
                "birth": min(start, known) - pd.Timedelta(days=int(rng.integers(1, 28000))),
                "sex": str(rng.choice(["f", "m"])),
                "head": float(person == 0),
                "disability": float(rng.random() < 0.2),
                "chronic": float(rng.random() < 0.3),
                "labour": float(rng.integers(0, 3)),
                "education": float(rng.integers(0, 7)),
            }
            rows.append(row)
            if person and rng.random() < 0.3:
                changed = {
                    **row,
                    "chronic": 1.0 - row["chronic"],
                    "known_on": known + pd.Timedelta(days=int(rng.integers(1, 500))),
                }
                if rng.random() < 0.5:
                    changed["end"] = max(
                        changed["known_on"] - pd.Timedelta(days=int(rng.integers(0, 60))), row["start"]
                    )
                rows.append(changed)
    return pd.DataFrame(rows)


def _spells(rng: np.random.Generator, households: list[str], n_months: int, table: str) -> pd.DataFrame:
    n = rng.poisson(3 * len(households))
    start = pd.Series(FIRST + rng.integers(-200, n_months * 30, n).astype("timedelta64[D]"))
    length = rng.integers(10, 500, n).astype("timedelta64[D]")
    open_ended = rng.random(n) < 0.3
    frame = pd.DataFrame(
        {"household_id": rng.choice(households, n), "start": start, "end": (start + length).where(~open_ended)}
    )
    frame["known_on"] = frame["start"] + rng.integers(-10, 60, n).astype("timedelta64[D]")
    learned = ~open_ended & (rng.random(n) < 0.6)
    frame["end_known_on"] = (frame["end"] + rng.integers(0, 200, n).astype("timedelta64[D]")).where(learned)
    frame["end_known_on"] = frame["end_known_on"].where(frame["end_known_on"] > frame["known_on"])
    if table == "employment":
        frame["member_id"] = rng.integers(0, 3, n).astype(str)
        frame = frame.drop_duplicates(["household_id", "member_id", "start"], ignore_index=True)
        frame["away"] = rng.integers(0, 2, len(frame)).astype(float)
        frame["wage"] = _missing(rng, rng.lognormal(7, 0.5, len(frame)))
        frame["public_post"] = (rng.random(len(frame)) < 0.2).astype(float)
    else:
        frame["record_id"] = [f"a{i}" for i in range(n)]
        frame["measure"] = rng.choice(MEASURES, n)
        frame["amount"] = _missing(rng, rng.lognormal(5, 0.5, n))
    return frame
