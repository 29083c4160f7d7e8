"""A second, slow, plain-Python account of what features are, written from the definitions alone."""

from __future__ import annotations

import math
import statistics

import pandas as pd

from riskml.contract import ACCIDENTS, TABLES


def as_dicts(tables):
    """Return the tables as lists of dicts, which the functions below read: {table: {household: rows}}."""
    return {
        name: {
            household: part.to_dict("records")
            for household, part in (frame.groupby("household_id") if name != "lines" else [("", frame)])
        }
        for name, frame in tables.items()
    }


def area_of(tables, household):
    """Return the area of a household."""
    return tables["households"][household][-1]["area_id"]


def known_rows(tables, table, household, day):
    """Return the records of a household that exist for a day, newest known version of each, as dicts."""
    if table not in tables:
        return []
    area = area_of(tables, household)
    key = TABLES[table].key
    versions = []
    rows = list(tables[table].get(household, []))
    if table == "disasters":
        rows += [row for row in tables[table].get("", []) if area.startswith(row["area_id"])]
    for row in rows:
        if "end_known_on" in row and not pd.isna(row["end_known_on"]) and row["end_known_on"] > row["known_on"]:
            versions.append({**row, "end": pd.NaT})
            versions.append({**row, "known_on": row["end_known_on"]})
        else:
            versions.append(dict(row))
    newest = {}
    for row in sorted(versions, key=lambda row: row["known_on"]):
        if row["known_on"] < day:
            newest[tuple(row[name] for name in key)] = row
    return [row for row in newest.values() if row.get("withdrawn", 0) != 1]


def line_on(tables, household, date):
    """Return the yearly line per person for a household's area and a date."""
    area = area_of(tables, household)
    best = None
    for row in tables["lines"][""]:
        if area.startswith(row["area_id"]) and row["valid_from"] <= date:
            rank = (len(row["area_id"]), row["valid_from"])
            if best is None or rank > best[0]:
                best = (rank, row["amount"])
    return best[1]


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
    yearly = line_on(tables, household, date) * persons_on(tables, household, date, row["known_on"])
    times = 12 if name in ("wage", "amount") and table in ("employment", "assistance") else 1
    return row[name] * times / yearly


def welfare(tables, household, row):
    """Return the annualised net income of a welfare record in lines, NaN if no source was answered."""
    sources = [row[name] for name in ("wage", "business", "property", "transfers", "private") if name in row]
    if all(math.isnan(value) for value in sources):
        return math.nan
    net = sum(value for value in sources if not math.isnan(value))
    net -= 0 if math.isnan(row.get("expenses", 0)) else row.get("expenses", 0)
    yearly = line_on(tables, household, row["date"]) * persons_on(tables, household, row["date"], row["known_on"])
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
    table = "incomes" if feature.table == "welfare" else feature.table
    rows = known_rows(tables, table, household, day)
    if feature.table == "households":
        rows = [{**row, "date": row["lifted_on"], "lifted_on": 1.0} for row in rows if not pd.isna(row["lifted_on"])]
    pairs = []
    for row in rows:
        if meets(tables, feature.table, household, row, feature.where):
            value = value_of(tables, feature.table, household, row, feature.column)
            if not math.isnan(value):
                pairs.append((row, value))
    return {"event": _event, "spell": _spell, "roster": _roster}[feature.kernel](feature, pairs, day, bool(rows))


def _start(day, months):
    return pd.Timestamp("1800-01-01") if not math.isfinite(months) else day - pd.DateOffset(months=int(months))


def _event(feature, pairs, day, anyone):
    pairs = [
        (row["date"], row["known_on"], value)
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
        years = [(date - day).days / 365.25 for date, _, _ in pairs]
        return statistics.linear_regression(years, values).slope if len(set(years)) > 1 else math.nan
    newest = max(date for date, _, _ in pairs)
    if feature.stat == "days_since":
        return float((day - newest).days)
    return max(((known, value) for date, known, value in pairs if date == newest))[1]


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


__all__ = ["ACCIDENTS", "feature_value", "known_rows", "line_on", "persons_on", "welfare"]
