"""A second, slow, plain-Python account of what features are, written from the definitions alone."""

from __future__ import annotations

import functools
import math
import statistics
from fractions import Fraction

import pandas as pd

from riskml.tables.contract import ACCIDENTS, TABLES


class Told(dict):
    """Tables as lists of dicts, {table: {household: rows}}, which nobody changes; so answers can be remembered."""

    __hash__ = object.__hash__


def as_dicts(tables):
    """Return the tables as the functions below read them."""
    return Told(
        {
            name: {
                household: part.to_dict("records")
                for household, part in (frame.groupby("household_id") if name != "lines" else [("", frame)])
            }
            for name, frame in tables.items()
        }
    )


@functools.cache
def area_of(tables, household, known_by):
    """Return the area of a household as known by a day inclusive; the first one if it was registered later."""
    rows = sorted(tables["households"][household], key=lambda row: row["known_on"])
    rows = [row for row in rows if row["withdrawn"] != 1]
    return [row for i, row in enumerate(rows) if i == 0 or row["known_on"] <= known_by][-1]["area_id"]


@functools.cache
def known_rows(tables, table, household, day):
    """Return the records of a household that exist for a day, newest known version of each, as dicts."""
    if table not in tables:
        return []

    def record(row):
        return tuple(row[name] for name in TABLES[table].key)

    rows = list(tables[table].get(household, []))
    if table == "disasters":
        told = {}
        for row in tables[table].get("", []):
            if row["withdrawn"] != 1:
                told[record(row)] = min(row["known_on"], told.get(record(row), row["known_on"]))
        rows += [
            row
            for row in tables[table].get("", [])
            if record(row) in told and area_of(tables, household, told[record(row)]).startswith(row["area_id"])
        ]
    newest = {}
    for row in sorted(rows, key=lambda row: row["known_on"]):
        if row["known_on"] < day:
            newest[record(row)] = row
    found = [dict(row) for row in newest.values() if row.get("withdrawn", 0) != 1]
    for row in found:
        learned = row.get("end_known_on", pd.NaT)
        if learned >= day:
            row["end"] = pd.NaT
        elif learned > row["known_on"]:
            row["known_on"] = learned
    return found


def line_on(tables, household, date, known_on):
    """Return the yearly line per person for a household's area and a date, both as known by ``known_on`` inclusive."""
    area = area_of(tables, household, known_on)
    best = None
    for row in tables["lines"][""]:
        published = row["valid_from"] if pd.isna(row["known_on"]) else row["known_on"]
        holds = row["valid_from"] <= date and not row["valid_to"] < date
        if area.startswith(row["area_id"]) and holds and published <= known_on:
            rank = (len(row["area_id"]), row["valid_from"], published)
            if best is None or rank > best[0]:
                best = (rank, row["amount"])
    return best[1]


def units_of(tables, table, household, row, date):
    """Return how many share an amount: its own units, else those last stated with an income, else the members."""
    stated = [
        (other["known_on"], other["date"], other["units"])
        for other in tables["incomes"].get(household, [])
        if not math.isnan(other.get("units", math.nan)) and other["withdrawn"] != 1
    ]
    if table == "incomes":
        if not math.isnan(row.get("units", math.nan)):
            return row["units"]
    elif any(known_on <= row["known_on"] for known_on, _, _ in stated):
        return max(entry for entry in stated if entry[0] <= row["known_on"])[2]
    return persons_on(tables, household, date, row["known_on"])


def persons_on(tables, household, date, known_on):
    """Return how many people belonged to the household on a date, as known by ``known_on`` inclusive."""
    day = known_on + pd.Timedelta(days=1)
    rows = known_rows(tables, "members", household, day)
    return sum(1 for row in rows if row["start"] <= date and (pd.isna(row["end"]) or row["end"] > date))


def in_lines(tables, table, row, household, name):
    """Return an amount of a record as a share of a year's line for the household."""
    date = (
        row["date"] if "date" in row else min(row["known_on"], row["known_on"] if pd.isna(row["end"]) else row["end"])
    )
    yearly = line_on(tables, household, date, row["known_on"]) * units_of(tables, table, household, row, date)
    times = 12 if name in ("wage", "amount") and table in ("employment", "assistance") else 1
    return row[name] * times / yearly


def welfare(tables, household, row):
    """Return the annualised net income of a welfare record in lines, NaN if no source was answered."""
    sources = [row[name] for name in ("wage", "business", "property", "transfers", "private") if name in row]
    if all(math.isnan(value) for value in sources):
        return math.nan
    net = sum(value for value in sources if not math.isnan(value))
    net -= 0 if math.isnan(row.get("expenses", 0)) else row.get("expenses", 0)
    date = row["date"]
    yearly = line_on(tables, household, date, row["known_on"]) * units_of(tables, "incomes", household, row, date)
    return net / (row["months"] / 12) / yearly


def value_of(tables, table, household, row, name):
    """Return a value as a feature sees it."""
    if name is None:
        return 1.0
    if table == "welfare":
        return welfare(tables, household, row)
    column = TABLES[table].by_name.get(name)
    if column is not None and column.kind == "amount":
        value = in_lines(tables, table, row, household, name)
        return value * 12 / row["months"] if table == "incomes" else value
    return float(row[name])


def meets(tables, table, household, row, where):
    """Return whether a record meets the conditions of a feature."""
    for name, sign, wanted in where:
        value = value_of(tables, table, household, row, name) if table == "welfare" else row.get(name)
        fits = {
            "==": lambda a, b: a == b,
            "<": lambda a, b: a < b,
            ">=": lambda a, b: a >= b,
            "in": lambda a, b: a in b,
            "not in": lambda a, b: a not in b,
        }[sign](value, wanted)
        if not fits:
            return False
    return True


def feature_value(tables, feature, household, day):
    """Return one feature of one household on one day."""
    pairs, anyone = _pairs(tables, feature.table, feature.column, feature.where, household, day)
    return {"event": _event, "spell": _spell, "roster": _roster}[feature.kernel](feature, pairs, day, anyone)


@functools.cache
def _pairs(tables, table, column, where, household, day):
    """Return the records a feature may count with their values, and whether there is any record: no statistic yet."""
    rows = known_rows(tables, "incomes" if table == "welfare" else table, household, day)
    if table == "households":
        rows = [{**row, "date": row["lifted_on"], "lifted_on": 1.0} for row in rows if not pd.isna(row["lifted_on"])]
    pairs = []
    for row in rows:
        if meets(tables, table, household, row, where):
            value = value_of(tables, table, household, row, column)
            if not math.isnan(value):
                pairs.append((row, value))
    return tuple(pairs), bool(rows)


def _start(day, months):
    return pd.Timestamp("1800-01-01") if not math.isfinite(months) else day - pd.DateOffset(months=int(months))


def _event(feature, pairs, day, anyone):
    pairs = [
        (row["date"], _rank(feature, row), value)
        for row, value in pairs
        if _start(day, feature.window) <= row["date"] < day
    ]
    values = [value for _, _, value in pairs]
    if feature.stat == "count":
        return float(len(values))
    if feature.stat == "sum":
        return math.fsum(values)
    if not values:
        return math.nan
    if feature.stat == "mean":
        return statistics.fmean(values)
    if feature.stat == "max":
        return max(values)
    if feature.stat == "min":
        return min(values)
    if feature.stat == "std":
        return statistics.stdev(values) if len(values) > 1 else math.nan
    if feature.stat == "slope":
        return slope([(date - day).days for date, _, _ in pairs], values)
    newest = max(date for date, _, _ in pairs)
    if feature.stat == "days_since":
        return float((day - newest).days)
    return max(((rank, value) for date, rank, value in pairs if date == newest))[1]


def slope(days, values):
    """Return the change a year by least squares, in exact fractions; NaN below two distinct days."""
    x, y = [Fraction(day) for day in days], [Fraction(value) for value in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    together = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return float(together / spread * Fraction("365.25")) if spread else math.nan


def _rank(feature, row):
    """Of records of one date, the last known is the newest, then the last by key."""
    key = TABLES["incomes" if feature.table == "welfare" else feature.table].key
    return (row["known_on"], *(row[name] for name in key if name not in ("household_id", "date")))


def _spell(feature, pairs, day, anyone):
    never = pd.Timestamp("2199-01-01")
    spells = [(row["start"], never if pd.isna(row["end"]) else row["end"], value) for row, value in pairs]
    active = [(start, end, value) for start, end, value in spells if start <= day <= end]
    back = _start(day, feature.window)
    ahead = day + pd.DateOffset(months=int(feature.window)) if math.isfinite(feature.window) else never
    one = pd.Timedelta(days=1)
    inside = [(max(0, (min(end, day - one) - max(start, back)).days + 1), value) for start, end, value in spells]
    return {
        "active": lambda: float(len(active)),
        "active_sum": lambda: math.fsum(value for _, _, value in active),
        "active_max": lambda: max((value for _, _, value in active), default=math.nan),
        "months": lambda: math.fsum(days / (365.25 / 12) for days, _ in inside),
        "paid": lambda: math.fsum(days / 365.25 * value for days, value in inside),
        "ended": lambda: float(sum(back <= end < day for _, end, _ in spells)),
        "ending": lambda: float(sum(end < ahead for _, end, _ in active)),
        "ending_sum": lambda: math.fsum(value for _, end, value in active if end < ahead),
        "started": lambda: float(sum(back <= start < day for start, _, _ in spells)),
        "days_since_end": lambda: min((float((day - end).days) for _, end, _ in spells if end < day), default=math.nan),
        "days_since_start": lambda: max((float((day - start).days) for start, _, _ in active), default=math.nan),
    }[feature.stat]()


def _roster(feature, pairs, day, anyone):
    never = pd.Timestamp("2199-01-01")
    low, high = feature.ages
    people = []
    for row, value in pairs:
        age = (day - row["birth"]).days / 365.25
        if low <= age < high:
            people.append((row["start"], never if pd.isna(row["end"]) else row["end"], value, age))
    back = _start(day, feature.window)
    present = [(value, age) for start, end, value, age in people if start <= day < end]
    if feature.stat == "left":
        return float(sum(back <= end < day for _, end, _, _ in people)) if anyone else math.nan
    if feature.stat == "joined":
        return float(sum(back <= start < day < end for start, end, _, _ in people)) if anyone else math.nan
    if feature.stat == "count":
        return float(len(present)) if anyone else math.nan
    if not present:
        return math.nan
    values = [value for value, _ in present]
    return {
        "mean": lambda: statistics.fmean(values),
        "max": lambda: max(values),
        "min": lambda: min(values),
        "max_age": lambda: max(age for _, age in present),
    }[feature.stat]()


@functools.cache
@functools.cache
def welfare_on(tables, household, day, months=12, max_age=12):
    """Return welfare on a day: the mean over the period that ends with the newest record; NaN if that is too old."""
    rows = [(row["date"], welfare(tables, household, row), row["months"]) for row in _seen(tables, household, day)]
    rows = [row for row in rows if not math.isnan(row[1])]
    newest = max((date for date, _, _ in rows), default=None)
    if newest is None or newest < day - pd.DateOffset(months=max_age):
        return math.nan
    rows = [row for row in rows if row[0] > newest - pd.DateOffset(months=months)]
    return sum(value * weight for _, value, weight in rows) / sum(weight for _, _, weight in rows)


def _seen(tables, household, day):
    return [row for row in known_rows(tables, "incomes", household, day) if row["date"] < day]


def registered(tables, household, day):
    """Return the row of the registry in force for a day, None if there is none."""
    rows = known_rows(tables, "households", household, day)
    return rows[0] if rows else None


def cohort(tables, days):
    """Return {(household, day): (area, welfare, weight)} of the households at risk."""
    found = {}
    for household in sorted(tables["households"]):
        for day in days:
            row, value = registered(tables, household, day), welfare_on(tables, household, day)
            if row is not None and not row["left_on"] < day and value >= 1:
                found[household, day] = row["area_id"], value, row["weight"]
    return found


def neighbours(tables, household, day, stat):
    """Return what is known of the other households of the same area."""
    area = registered(tables, household, day)["area_id"]
    told = []
    for other in tables["households"]:
        row = registered(tables, other, day)
        now = welfare_on(tables, other, day)
        if other == household or row is None or row["area_id"] != area or math.isnan(now):
            continue
        if stat == "welfare":
            told.append(min(now, 5.0))
        elif stat == "below" or welfare_on(tables, other, day - pd.DateOffset(months=12)) >= 1:
            told.append(float(now < 1))
    return statistics.fmean(told) if told else math.nan


def label(tables, household, as_of, **how):
    """Return whether a household fell below the line after a day; NaN if that was not observed."""
    lowest = welfare_after(tables, household, as_of, **how)
    return math.nan if math.isnan(lowest) else float(lowest < 1)


def welfare_after(
    tables, household, as_of, *, horizon, rule="at_horizon", net=False, welfare_months=12, least_covered=0.75
):
    """Return the lowest welfare a household was judged by after a day; NaN if it was not observed."""
    judged = min(welfare_months, horizon)
    end = as_of + pd.DateOffset(months=horizon)
    rows = []
    for row in known_rows(tables, "incomes", household, pd.Timestamp("2200-01-01")):
        value = welfare(tables, household, row)
        if net and not math.isnan(row["transfers"]):
            value = welfare(tables, household, {**row, "expenses": _number(row["expenses"]) + row["transfers"]})
        if as_of <= row["date"] < end and not math.isnan(value):
            rows.append((row["date"], value, row["months"]))

    def judgement(first, last):
        inside = [(value, months) for date, value, months in rows if first <= date <= last]
        covered = sum(months for _, months in inside)
        if not inside or covered < judged / 2:
            return None
        return sum(value * months for value, months in inside) / covered

    if rule == "any":
        one = pd.Timedelta(days=1)
        found = [judgement(date - pd.DateOffset(months=judged) + one, date) for date, _, _ in rows]
        answer = min((answer for answer in found if answer is not None), default=math.nan)
        # Every day of the horizon on its own: of the record whose period holds it, its share of that period's months.
        covered = {}
        for date, _, months in sorted(rows, reverse=True):
            first = date + one - pd.DateOffset(months=int(months))
            period = pd.date_range(first, date)
            covered.update({day: months / len(period) for day in period if day >= as_of and day not in covered})
        enough = sum(covered.values()) >= least_covered * horizon - 1e-6
        return math.nan if answer >= 1 and not enough else answer
    half = (end - pd.Timedelta(days=judged * 365.25 / 24)).floor("D")
    answer = judgement(end - pd.DateOffset(months=judged), end) if any(date >= half for date, _, _ in rows) else None
    return math.nan if answer is None else answer


def _number(value):
    return 0.0 if math.isnan(value) else value


__all__ = ["ACCIDENTS", "cohort", "feature_value", "known_rows", "label", "neighbours", "welfare", "welfare_on"]
