"""How far risks hold out of time, and what recalibration mends: ``python benchmarks/calibration.py [--write]``.

One training a split; then, on each later as-of date, the risks

* *as trained*;
* *new outcomes*: :func:`riskml.recalibrate` with the outcomes known on that date of as-of dates the training had not,
  the newest twelve months of them;
* *base rate*: :func:`riskml.shift_base_rate`, from the features of the date alone; as trained where it refuses.

``error`` is log(observed / expected): +0.10 says that a tenth more returned than the risks add up to.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
from cases import DATA
from results import machine, markdown, publish

from riskml import (
    RiskClassifier,
    cohort,
    outcome_welfare,
    recalibrate,
    shift_base_rate,
    training_dates,
    training_set,
)
from riskml.datasets import load_eph, make_monitoring
from riskml.skill.metrics import calibration_slope

SEEDS = (1, 2, 3)
N_HOUSEHOLDS, N_MONTHS, TRAINED_ON = 3000, 72, 36
EPH_KNOWN_BY = pd.Timestamp("2018-07-01")
WAYS = ("as trained", "new outcomes", "base rate")
YEAR = pd.DateOffset(months=12)


def main() -> None:
    """Measure the splits and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    held: list[list[str]] = [["data", "asked", "level moves", "level stays"]]
    grouped: list[list[str]] = [["data", "asked", "level", "interval of all", "interval of the group"]]
    parts = ["## Calibration out of time", f"`python benchmarks/calibration.py`. {machine()}"]
    parts += [
        "Error: log(observed / expected). Slope: of the outcomes on the log-odds of the risk. Where no base rate fits "
        "the features, the risks stay as trained.",
        _simulated(held, grouped),
    ]
    if (DATA / "eph").is_dir():
        data = load_eph(DATA / "eph")
        parts += [_eph(data, horizon_months, held, grouped) for horizon_months in (12, 3)]
    said = (
        "### Intervals\n\nHow many tenths of the households, by risk, have the share that returned (simulated: their "
        "mean true risk) between the mean bounds of `risk_interval` at 0.9: with the movement of the level that the "
        "interval counts, and with `level_sd` set to 0. Same dates: other households of the dates of the training, "
        "whose rows are exchangeable with it."
    )
    by_county = (
        "### Intervals by group\n\nHow many of the fifths of each group's households, by risk, have the share that "
        "returned (simulated: their mean true risk) between the mean bounds of `risk_interval` at 0.9, for the "
        "interval of all and that of `groups=` (simulated: two counties, EPH: six regions). Later dates show the "
        "loss under drift: a group's level moves on its own."
    )
    tables = [*parts, said, markdown(held), by_county, markdown(grouped)]
    publish("calibration", "\n\n".join(tables), write=arguments.write)


def _simulated(held: list[list[str]], grouped: list[list[str]]) -> str:
    head = ["seed", "risks", "slope", "error", "error in the true risk", "error by county"]
    rows = [head]
    for seed in SEEDS:
        data = make_monitoring(N_HOUSEHOLDS, n_months=N_MONTHS, random_state=seed)
        trained_on = data.truth.first_day + pd.DateOffset(months=TRAINED_ON)
        dates = training_dates(data, horizon_months=12)
        X, y = training_set(data, dates, horizon_months=12)
        day = X.index.get_level_values("as_of_date")
        past, asked = day + YEAR <= trained_on, dates[-4:]
        county = cohort(data, dates)["area_id"].loc[X.index].str[:6]
        welfare = outcome_welfare(data, X.index, horizon_months=12)
        model = RiskClassifier().fit(X[past], y[past], groups=county[past], outcome_welfare=welfare[past])
        risks = _risks(model, X, y, asked, horizon_months=12)
        truth = data.truth.risk(dates, horizon_months=12)["risk"].loc[X.index]
        later = day.isin(asked)
        for way in WAYS:
            risk = risks[way]
            error = np.log(y[later].groupby(county).mean() / risk.groupby(county).mean())
            rows.append(
                [
                    str(seed),
                    way,
                    f"{calibration_slope(y[later], risk)[0]:.2f}",
                    f"{_error(y[later], risk):+.2f}",
                    f"{_error(truth[later], risk):+.2f}",
                    ", ".join(f"{value:+.2f}" for value in error),
                ]
            )
        held.append([f"simulated, seed {seed}", "later dates", *_held(model, X[later], truth[later])])
        half = _half(X[past])
        learned = {"groups": county[past][half], "outcome_welfare": welfare[past][half]}
        alike = RiskClassifier().fit(X[past][half], y[past][half], **learned)
        other = X[past][~half]
        held.append([f"simulated, seed {seed}", "same dates", *_held(alike, other, truth.loc[other.index])])
        for name, each, asked_of in (("same dates", alike, other), ("later dates", model, X[later])):
            own = _held_by_group(each, asked_of, truth.loc[asked_of.index], county.loc[asked_of.index])
            grouped += [[f"simulated, seed {seed}", name, *row] for row in own]
    return (
        f"### Simulated counties\n\n{N_HOUSEHOLDS:,} households, a year ahead; learned from what was known after "
        f"{TRAINED_ON} months, asked on the last four of {N_MONTHS} months' as-of dates, a quarter apart.\n\n"
        + markdown(rows)
    )


def _eph(data, horizon_months: int, held: list[list[str]], grouped: list[list[str]]) -> str:
    quarters = [q.end_time.normalize() + pd.Timedelta(days=1) for q in pd.period_range("2016Q2", "2021Q4", freq="Q")]
    X, y = training_set(data, quarters, horizon_months=horizon_months)
    day = X.index.get_level_values("as_of_date")
    past = day + pd.DateOffset(months=horizon_months) <= EPH_KNOWN_BY
    region = cohort(data, quarters)["area_id"].loc[X.index].str[:2]
    welfare = outcome_welfare(data, X.index, horizon_months=horizon_months)
    model = RiskClassifier(horizon_months=horizon_months)
    model.fit(X[past], y[past], groups=region[past], outcome_welfare=welfare[past])
    asked = [d for d in quarters if d >= EPH_KNOWN_BY and (day == d).sum() > 500]
    risks = _risks(model, X, y, asked, horizon_months=horizon_months)
    rows = [["as-of date", "returned", *(f"error, {way}" for way in WAYS), *(f"slope, {way}" for way in WAYS[:2])]]
    for d in asked:
        own = y[day == d]
        of_day = [risks[way].loc[own.index] for way in WAYS]
        slopes = [f"{calibration_slope(own, risk)[0]:.2f}" for risk in of_day[:2]]
        rows.append([f"{d:%Y-%m-%d}", f"{own.mean():.1%}", *(f"{_error(own, risk):+.2f}" for risk in of_day), *slopes])
    sizes = [np.mean([abs(float(row[2 + i])) for row in rows[1:]]) for i in range(len(WAYS))]
    rows.append(["mean size", "", *(f"{size:.2f}" for size in sizes), "", ""])
    name = "a year ahead" if horizon_months == 12 else "a quarter ahead"
    later = day.isin(asked)
    held.append([f"EPH, {name}", "later dates", *_held(model, X[later], y[later])])
    own = _held_by_group(model, X[later], y[later], region[later])
    grouped += [[f"EPH, {name}", "later dates", *row] for row in own]
    return (
        f"### EPH, {name}\n\nLearned from what was known on {EPH_KNOWN_BY:%Y-%m-%d}: {past.sum():,} rows, "
        f"{y[past].mean():.1%} returned.\n\n" + markdown(rows)
    )


def _risks(model: RiskClassifier, X: pd.DataFrame, y: pd.Series, asked: list, *, horizon_months: int) -> dict:
    """Return the risks of the rows of the dates asked for, by way."""
    day = X.index.get_level_values("as_of_date")
    learned = pd.Timestamp(model.fit_summary_["last_as_of_date"])
    found: dict[str, list[pd.Series]] = {way: [] for way in WAYS}
    for d in asked:
        newest = d - pd.DateOffset(months=horizon_months)
        new = (day > max(learned, newest - YEAR)) & (day <= newest)
        own = X[day == d]
        models = (model, recalibrate(model, X[new], y[new]) if new.any() else model, _shifted(model, own))
        for way, each in zip(WAYS, models, strict=True):
            found[way].append(each.predict_risk(own))
    return {way: pd.concat(parts).sort_index() for way, parts in found.items()}


def _shifted(model: RiskClassifier, X: pd.DataFrame) -> RiskClassifier:
    """Return the model at the base rate that the features speak for; as trained where none fits them."""
    try:
        return shift_base_rate(model, X)
    except ValueError as refused:
        print(f"{X.index.get_level_values('as_of_date')[0]:%Y-%m-%d}: {refused}", file=sys.stderr)
        return model


def _error(y: pd.Series, risk: pd.Series) -> float:
    return float(np.log(y.mean() / risk.mean()))


def _held(model: RiskClassifier, X: pd.DataFrame, share: pd.Series) -> list[str]:
    """Return of how many tenths the share lies within the mean bounds, with and without movement of the level."""
    calibrator = model.calibrator_
    said = []
    for level_sd in (calibrator.level_sd, 0.0):
        model.calibrator_ = replace(calibrator, level_sd=level_sd)
        bounds = model.risk_interval(X)
        tenth = (model.predict_risk(X).rank(method="first") * 10 / (len(X) + 1)).astype(int)
        mean = bounds.assign(share=share).groupby(tenth).mean()
        said.append(f"{mean['share'].between(mean['risk_lower'], mean['risk_upper']).sum()} of {len(mean)}")
    model.calibrator_ = calibrator
    return said


def _half(X: pd.DataFrame) -> np.ndarray:
    """Return the rows of a random half of the households."""
    household = pd.factorize(X.index.get_level_values("household_id"))[0]
    return (np.random.default_rng(0).random(household.max() + 1) < 0.5)[household]


def _held_by_group(model: RiskClassifier, X: pd.DataFrame, share: pd.Series, group: pd.Series) -> list[list[str]]:
    """Return of how many fifths of each group the share lies within the mean bounds of all, and of the group."""
    calibrator, rows = model.calibrator_, []
    rank = model.predict_risk(X).groupby(group).rank(method="first", pct=True)
    fifth = np.ceil(rank * 5).rename("fifth")
    for name, level_sd in (("moves", calibrator.level_sd), ("stays", 0.0)):
        model.calibrator_ = replace(calibrator, level_sd=level_sd)
        said = []
        for groups in (None, group):
            mean = model.risk_interval(X, groups=groups).assign(share=share).groupby([group, fifth]).mean()
            said.append(f"{mean['share'].between(mean['risk_lower'], mean['risk_upper']).sum()} of {len(mean)}")
        rows.append([name, *said])
    model.calibrator_ = calibrator
    return rows


if __name__ == "__main__":
    main()
