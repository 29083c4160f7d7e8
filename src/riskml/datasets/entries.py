"""The tables of the simulated district, one function each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.datasets.law import ADULTS, BURN_IN, CHILDREN, MEASURES
from riskml.datasets.month import labour, needs, stage
from riskml.datasets.office import (
    DAY,
    NO_BILL,
    NO_ENTRY,
    NO_SOURCE,
    Book,
    Entries,
    dated,
    every_month,
    filed,
    line_amount,
    member_ids,
    mistake,
    other_patient,
    record_ids,
    runs,
    with_corrections,
    with_withdrawals,
)
from riskml.datasets.population import area_codes
from riskml.datasets.roster import WEAK_UNTIL, members
from riskml.tables.contract import TABLES


def make_tables(book: Book) -> dict[str, pd.DataFrame]:
    """Return the office's tables by name, as :data:`riskml.tables.contract.TABLES` describes them."""
    tables = {"households": _households(book), "lines": _lines(book)}
    for name, entries in _ENTRIES.items():
        tables[name] = filed(book, name, entries(book))
    return {name: tables[name] for name in TABLES if name in tables}


def _households(book: Book) -> pd.DataFrame:
    n = len(book.household_ids)
    months_ago = book.rng.integers(2, 61, n)
    lifted = book.first_days[BURN_IN].astype("datetime64[M]") - months_ago
    first = pd.DataFrame(
        {
            "household_id": book.household_ids,
            "area_id": area_codes(book.traits),
            "known_on": book.registered_on,
            "lifted_on": np.where(book.traits["lifted"] > 0, lifted.astype("datetime64[D]"), np.datetime64("NaT")),
            "left_on": np.datetime64("NaT", "D"),
        }
    )
    left = ~np.isnat(book.left_on)
    news = first[left].assign(
        left_on=book.left_on[left], known_on=book.left_on[left] + book.rng.integers(5, 61, left.sum())
    )
    frame = pd.concat([first, news[news["known_on"] <= book.extract_on]])
    return dated(frame).sort_values(["household_id", "known_on"]).reset_index(drop=True)


def _lines(book: Book) -> pd.DataFrame:
    first, last = (book.first_days[[0, -1]].astype("datetime64[Y]").astype(int) + 1970).tolist()
    years = np.arange(first - 12, last + 2)
    frame = pd.DataFrame(
        {
            "area_id": area_codes(book.traits)[0][:2],
            "valid_from": [np.datetime64(f"{year}-01-01") for year in years],
            "known_on": [np.datetime64(f"{year - 1}-12-10") for year in years],
            "amount": line_amount(years),
            "unit": "person_year",
            "basis": "provincial",
            "source": "simulated",
        }
    )
    return dated(frame[frame["known_on"] <= book.extract_on]).reset_index(drop=True)


def _incomes(book: Book) -> Entries:
    sources = ("wage", "business", "property", "transfers", "private", "expenses")
    month, household = every_month(book)
    entered = ~book.kept(NO_ENTRY, len(month))
    month, household = month[entered], household[entered]
    date = book.first_days[month + 1] - DAY
    money = book.line(date) / 12
    values = {name: np.round(book.seen[name][month, household].astype(float) * money, 2) for name in sources}
    entries = {
        "household": household,
        "date": date,
        "known_on": book.known("incomes", date),
        "months": np.ones(len(date)),
        "units": book.seen["units"][month, household].astype(float),
        **values,
    }
    wrong = {**entries, **{name: np.round(values[name] * mistake(book, len(date)), 2) for name in ("wage", "business")}}
    entries = with_corrections(book, "incomes", entries, wrong)
    entries["total"] = sum(entries[name] for name in sources[:-1]) - entries["expenses"]
    for name in ("wage", "business"):
        entries[name] = np.where(book.kept(NO_SOURCE / 2, len(entries["date"])), np.nan, entries[name])
    return entries


def _medical(book: Book) -> Entries:
    """Bills of the law's illnesses and injuries, and small bills that are part of ordinary life."""
    seen = book.seen
    month, household = every_month(book)
    often = 0.05 + 0.13 * (book.states["chronic"][month, household] > 0)
    small = (book.rng.random(len(month)) < often) * np.exp(book.rng.normal(-2.6, 0.8, len(month)))
    serious = seen["bill"][month, household]
    cost = serious / 0.4 + small / 0.5
    has = (cost > 0) & ~book.kept(NO_BILL, len(month))
    month, household, cost, small, serious = month[has], household[has], cost[has], small[has], serious[has]
    date = book.day_in(month)
    line = book.line(date)
    patient = seen["patient"][month, household]
    adult = np.where(patient == 2, 1, 0)
    sick = book.states["sick"][month + 1, :, household] > 0
    adult = np.where((patient == 0) & sick[:, 1] & ~sick[:, 0], 1, adult)
    other = other_patient(book.states["present"][month, :, household].T)
    member = np.where((patient == 3) | ((patient == 0) & ~sick.any(axis=1)), other, adult)
    entries = {
        "household": household,
        "record_id": record_ids("B", month),
        "date": date,
        "known_on": book.known("medical", date),
        "member_id": member_ids(member),
        "cost": np.round(cost * line, 2),
        "out_of_pocket": np.round((seen["paid"][month, household] + small) * line, 2),
        "serious": (serious > 0).astype(float),
    }
    factor = mistake(book, len(date))
    wrong = {**entries, **{name: np.round(entries[name] * factor, 2) for name in ("cost", "out_of_pocket")}}
    return with_withdrawals(book, "medical", with_corrections(book, "medical", entries, wrong))


def _schooling(book: Book) -> Entries:
    calendar = book.first_days[:-1].astype("datetime64[M]").astype(int) % 12 + 1
    months = np.array([month for month in book.months if calendar[month] in (3, 9)], dtype=int)
    school = book.states["school"][months + 1]
    years = ((months - BURN_IN)[:, None, None] - book.traits["birth"][CHILDREN]) // 12
    enrolled = (school == 1) | ((school == 0) & (years >= 4) & (years < 7))
    dropped = (school == 2) & (years < 16)
    there = book.states["present"][months + 1][:, CHILDREN] > 0
    term, child, household = np.nonzero((enrolled | dropped) & there)
    month = months[term]
    date = book.first_days[month] + book.rng.integers(0, 12, len(month)) * DAY
    return {
        "household": household,
        "date": date,
        "known_on": book.known("schooling", date),
        "member_id": member_ids(child + CHILDREN.start),
        "stage": stage(years[term, child, household]).astype(float),
        "enrolled": enrolled[term, child, household].astype(float),
        "dropped_out": dropped[term, child, household].astype(float),
        "cost": np.round(book.seen["fee"][month, child, household].astype(float) * book.line(date), 2),
    }


def _checks(book: Book, name: str) -> Entries:
    """Return a check a year, in a month of the household's own, and one when the law says something changed."""
    n = len(book.household_ids)
    own_month = book.rng.integers(0, 12, n)
    due = np.arange(len(book.first_days) - 1)[:, None] % 12 == own_month
    due |= book.seen[f"{name}_checked"] > 0
    month, household = np.nonzero(due[BURN_IN:])
    month = month + BURN_IN
    date = book.day_in(month)
    grade = book.states[name][month + 1, household].astype(float)
    entries = {"household": household, "date": date, "known_on": book.known(name, date), "grade": grade}
    if name == "housing":
        entries["rooms"] = book.rng.integers(2, 7, n).astype(float)[household]
        entries["hazard"] = book.traits["exposed"][household].astype(float)
    return entries


def _employment(book: Book) -> Entries:
    """Jobs, and public-service posts; the end of a job is learned later than its start."""
    n = len(book.household_ids)
    job = book.states["job"][1:].reshape(-1, 2 * n)
    first, last, lane = runs(job > 0)
    registered = (last >= BURN_IN) | (book.states["present"][BURN_IN, ADULTS].ravel()[lane] > 0)
    first, last, lane = first[registered], last[registered], lane[registered]
    adult, household = np.divmod(lane, n)
    start, end = _spell_days(book, first, last)
    known = book.known("employment", start)
    ended = np.where(np.isnat(end), end, end + book.rng.integers(10, 110, len(end)) * DAY)
    ended = np.where(book.kept(0.05, len(end)), ended + 200 * DAY, ended)
    jobs = {
        "household": household,
        "start": start,
        "end": end,
        "known_on": known,
        "end_known_on": np.maximum(ended, known + DAY),
        "member_id": member_ids(adult),
        "away": (job[first, lane] == 2).astype(float),
        "wage": np.round(book.states["pay"][1:].reshape(-1, 2 * n)[first, lane] * book.line(start) / 12, 2),
        "public_post": np.zeros(len(lane)),
        "informal": book.states["informal"][1:].reshape(-1, 2 * n)[first, lane].astype(float),
        "hours": np.round(np.clip(book.rng.normal(50, 8, len(lane)), 15, 84)),
    }
    return {name: np.concatenate([jobs[name], post]) for name, post in _posts(book).items()}


def _posts(book: Book) -> Entries:
    """Public-service posts as jobs of the first member who can still work."""
    place = list(MEASURES).index("public_service_post")
    first, last, household = runs(book.states["support"][:-1, place] > 0)
    start, end = _whole_months(book, first, last)
    able = (book.traits["labour"] > 0) & (book.states["present"][:-1, ADULTS] > 0)
    adult = np.where(able[first, 0, household], 0, 1)
    known = book.known("employment", start)
    return {
        "household": household,
        "start": start,
        "end": end,
        "known_on": known,
        "end_known_on": np.where(np.isnat(end), end, np.maximum(end, known) + DAY),
        "member_id": member_ids(adult),
        "away": np.zeros(len(start)),
        "wage": np.round(MEASURES["public_service_post"].value * book.line(start) / 12, 2),
        "public_post": np.ones(len(start)),
        "informal": np.zeros(len(start)),
        "hours": np.full(len(start), 20.0),
    }


def _production(book: Book) -> Entries:
    """Losses, and prices against a year before: in May and November, and when they collapse."""
    seen, traits = book.seen, book.traits
    kind = np.array(["crop", "livestock", "cash crop"])[traits["product"]]
    value = seen["expenses"] / 0.3
    lost = np.maximum(seen["lost"], seen["disaster_loss"])
    month, household = np.nonzero((lost > 0)[BURN_IN:] & (traits["land"] > 0.3))
    month = month + BURN_IN
    date = book.day_in(month)
    loss = np.round(lost[month, household] * value[month, household] * book.line(date), 2)
    calendar = book.first_days[:-1].astype("datetime64[M]").astype(int) % 12 + 1
    told = np.isin(calendar, (5, 11))[:, None] & (book.rng.random(len(traits["land"])) < 0.7)
    told = (told | (seen["price_fell"] > 0)) & (traits["land"] > 0.3)
    at, farmer = np.nonzero(told[BURN_IN:])
    at = at + BURN_IN
    change = np.exp(seen["price"][at, farmer] - seen["price"][at - 12, farmer]) - 1
    told_on = book.first_days[at + 1] - DAY
    return {
        "household": np.concatenate([household, farmer]),
        "record_id": np.concatenate([record_ids("L", month), record_ids("P", at)]),
        "date": np.concatenate([date, told_on]),
        "known_on": book.known("production", np.concatenate([date, told_on])),
        "kind": np.concatenate([kind[household], kind[farmer]]).astype(object),
        "loss": np.concatenate([loss, np.full(len(at), np.nan)]),
        "price_change": np.concatenate([np.full(len(month), np.nan), np.round(change, 3)]),
    }


def _disasters(book: Book) -> Entries:
    """Natural disasters of villages and townships as rows of the area; accidents as rows of the household."""
    seen, codes = book.seen, area_codes(book.traits)
    rows = []
    for area, length in (("village", 12), ("township", 9)):
        firsts = np.unique(book.traits[f"{area}_first"])
        month, place = np.nonzero(seen[f"{area}_severity"][BURN_IN:, firsts] > 0)
        month = month + BURN_IN
        rainy = np.isin(book.first_days[month].astype("datetime64[M]").astype(int) % 12 + 1, range(5, 10))
        choice = book.rng.integers(0, 3, len(month))
        rows.append(
            {
                "household": np.full(len(month), -1),
                "area_id": np.array([code[:length] for code in codes[firsts]])[place].astype(object),
                "month": month,
                "kind": np.where(rainy, _RAINY[choice], _DRY[choice]).astype(object),
                "severity": seen[f"{area}_severity"][month, firsts[place]].astype(float),
                "loss": np.full(len(month), np.nan),
            }
        )
    month, household = np.nonzero(seen["accident"][BURN_IN:] > 0)
    month = month + BURN_IN
    burnt = seen["burnt"][month, household]
    rows.append(
        {
            "household": household,
            "area_id": np.full(len(month), "", dtype=object),
            "month": month,
            "kind": np.array(["", "fire", "traffic", "accident"], dtype=object)[seen["accident"][month, household]],
            "severity": 1.0
            + (seen["paid"][month, household] + burnt > 0.6)
            + (seen["paid"][month, household] + burnt > 1.2),
            "loss": burnt,
        }
    )
    entries = {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}
    month = entries.pop("month")
    date = book.day_in(month)
    entries["loss"] = np.round(entries["loss"] * book.line(date), 2)
    entries |= {"date": date, "known_on": book.known("disasters", date), "record_id": record_ids("D", month)}
    return with_withdrawals(book, "disasters", entries)


_RAINY = np.array(["flood", "storm", "landslide"])
_DRY = np.array(["drought", "frost", "hail"])


def _assistance(book: Book) -> Entries:
    """Support spells: the end is planned ahead, but that of a guarantee is learned when it comes."""
    n = len(book.household_ids)
    months_left = book.states["support"].reshape(-1, len(MEASURES) * n)
    running = months_left[:-1]
    guaranteed = np.repeat(np.array([name == "minimum_income_guarantee" for name in MEASURES]), n)
    again = np.concatenate([np.zeros_like(running[:1], bool), (running[1:] >= running[:-1]) & ~guaranteed])
    first, last, lane = runs(running > 0, again)
    kind, household = np.divmod(lane, n)
    start, end = _whole_months(book, first, last)
    open_ended = guaranteed[lane]
    planned = book.first_days[0].astype("datetime64[M]") + first + running[first, lane]
    planned = np.where(open_ended, np.datetime64("NaT"), planned.astype("datetime64[D]") - DAY)
    known = book.known("assistance", start)
    yearly = np.array([measure.value for measure in MEASURES.values()])[kind]
    yearly = np.where(open_ended, book.states["guarantee"][first, household], yearly)
    entries = {
        "household": household,
        "record_id": np.array([f"S{i:03d}" for i in range(len(running) * len(MEASURES))])[first * len(MEASURES) + kind],
        "start": start,
        "end": planned,
        "known_on": known,
        "measure": np.array(list(MEASURES), dtype=object)[kind],
        "amount": np.round(yearly * book.line(start) / 12, 2),
    }
    other = ~np.isnat(end) & ((end != planned) | np.isnat(planned))
    news = {name: values[other] for name, values in entries.items()}
    news["end"] = end[other]
    news["known_on"] = np.maximum(end[other], known[other]) + book.rng.integers(3, 40, other.sum()) * DAY
    return {name: np.concatenate([values, news[name]]) for name, values in entries.items()}


def _visits(book: Book) -> Entries:
    month, household = every_month(book)
    watched = book.seen["watched"][month, household] > 0
    made = book.rng.random(len(month)) < np.where(watched, 0.30, 0.10)
    month, household = month[made], household[made]
    date = book.day_in(month)
    need = book.seen["need"][month, household] + 0.3 * book.rng.standard_normal(len(month))
    concern = np.digitize(need, (0.8, 1.8)).astype(float)
    short = book.seen["short"][month, household] > 0.1
    return {
        "household": household,
        "date": date,
        "known_on": book.known("visits", date),
        "declared": (book.rng.random(len(month)) < np.where(short, 0.5, 0.02)).astype(float),
        "concern": np.where(book.kept(0.03, len(month)), np.nan, concern),
    }


def _coping(book: Book) -> Entries:
    """Return what households told at visits; not all of it is true."""
    month, household = every_month(book)
    asked = book.kept(0.08, len(month))
    month, household = month[asked], household[asked]
    date = book.day_in(month)
    sold = book.states["sold"][month + 1, household] > 0
    recent = np.stack([book.seen["spent"][month - back, household] for back in range(6)]).any(axis=0)
    out_of_school = np.any(book.states["school"][month + 1, :, household] == 2, axis=1)

    def told(true: np.bool_ | NDArray[np.bool_], share: float, otherwise: float) -> NDArray[np.float64]:
        return (book.rng.random(len(month)) < np.where(true, share, otherwise)).astype(float)

    return {
        "household": household,
        "date": date,
        "known_on": book.known("coping", date),
        "spent_savings": told(recent, 0.8, 0.05),
        "borrowed_family": told(sold, 0.6, 0.05),
        "borrowed_bank": told(sold, 0.3, 0.04),
        "bought_on_credit": told(sold, 0.4, 0.06),
        "sold_belongings": told(sold, 0.7, 0.02),
        "children_worked": told(out_of_school, 0.4, 0.005),
    }


def _status(book: Book) -> Entries:
    """Spells of official monitoring; the end comes as a second version."""
    watched = book.states["watched"][1:]
    first, last, household = runs(watched > 0)
    start, end = _spell_days(book, first, last)
    helped = np.zeros(len(first), bool)
    for position in np.unique(first):
        chosen = first == position
        running = (book.states["support"][position + 1 :, :, household[chosen]] > 0).any(axis=1).cumsum(axis=0)
        helped[chosen] = running[last[chosen] - position, np.arange(chosen.sum())] > 0
    entries = {
        "household": household,
        "start": start,
        "end": np.full(len(start), np.datetime64("NaT", "D")),
        "known_on": book.known("status", start),
        "category": np.array(["", "unstable", "marginal", "sudden"], dtype=object)[watched[first, household]],
        "risk_types": _risk_types(book, first + 1, household),
        "elimination": np.full(len(start), "", dtype=object),
    }
    ended = ~np.isnat(end)
    news = {name: values[ended] for name, values in entries.items()}
    news["end"] = end[ended]
    news["known_on"] = np.maximum(end[ended], news["known_on"]) + book.rng.integers(3, 25, ended.sum()) * DAY
    news["elimination"] = np.where(helped[ended], "assisted", "natural").astype(object)
    return {name: np.concatenate([values, news[name]]) for name, values in entries.items()}


def _risk_types(book: Book, month: NDArray[np.int64], household: NDArray[np.int64]) -> NDArray[np.object_]:
    """Return the official risk types an officer would write down, at most five, in the order of the causes."""
    types = np.full(len(month), "", dtype=object)
    for position in np.unique(month):
        chosen = np.flatnonzero(month == position)
        state = {name: values[position][..., household[chosen]] for name, values in book.states.items()}
        traits = {name: values[..., household[chosen]] for name, values in book.traits.items()}
        needed = needs(state, traits, position - BURN_IN)
        years = (position - BURN_IN - traits["birth"]) // 12
        at_work = (years >= 16) & (years < WEAK_UNTIL) & (state["present"] > 0)
        others_work = at_work[CHILDREN.start :].any(axis=0)
        found = {
            "illness": needed["health_assistance"],
            "disability": (state["disabled"] > 0).any(axis=0),
            "schooling": needed["education_grant"],
            "disaster": needed["disaster_relief"],
            "housing": needed["housing_repair"],
            "water": needed["water_works"],
            "labour": (labour(state, traits, position - BURN_IN).sum(axis=0) < 0.6) & ~others_work,
            "employment": needed["job_placement"],
            "production": state["failed"] > 0.2,
        }
        grid = np.array(list(found.values()))
        types[chosen] = [";".join(np.array(list(found))[column][:5]) or "income" for column in grid.T]
    return types


def _spell_days(book: Book, first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
    """Return random days in the first and the last month; long ago and open at the edges of what was simulated."""
    earlier = book.rng.integers(1, 900, len(first)) * DAY
    start = np.where(first == 0, book.first_days[0] - earlier, book.day_in(first))
    newest = len(book.first_days) - 2
    end = book.day_in(np.minimum(last + 1, newest))
    return start, np.where(last >= newest, np.datetime64("NaT"), end)


def _whole_months(book: Book, first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
    """Return the first day of the first month and the last day of the last; long ago and open at the edges."""
    earlier = book.rng.integers(1, 600, len(first)) * DAY
    start = np.where(first == 0, book.first_days[0] - earlier, book.first_days[first])
    return start, np.where(last >= len(book.first_days) - 2, np.datetime64("NaT"), book.first_days[last + 1] - DAY)


_ENTRIES: dict[str, Callable[[Book], Entries]] = {
    "members": members,
    "incomes": _incomes,
    "medical": _medical,
    "schooling": _schooling,
    "housing": lambda book: _checks(book, "housing"),
    "water": lambda book: _checks(book, "water"),
    "employment": _employment,
    "production": _production,
    "disasters": _disasters,
    "assistance": _assistance,
    "visits": _visits,
    "status": _status,
    "coping": _coping,
}
