"""The cases on which skill is measured: out-of-time splits of two real panels and of simulated counties."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pandas as pd

from riskml.datasets.eph import load_eph
from riskml.datasets.malawi import load_malawi
from riskml.datasets.simulate import make_monitoring
from riskml.features.assistance import training_labels
from riskml.features.panel import backtest_sets, cohort, feature_table, training_set
from riskml.features.split import as_of_dates_of
from riskml.tables.monitoring import Monitoring

#: Folder with ``eph/`` and ``malawi_ihps/``.
DATA = Path(os.environ.get("RISKML_DATA", Path(__file__).parents[2] / "shared" / "data"))

#: Size of the simulated counties, and how many of their last months are held back.
N_HOUSEHOLDS, N_MONTHS, TESTED_MONTHS = 3000, 48, 15


def cases(folder: Path = DATA, *, seeds: tuple[int, ...] = (1,)) -> dict[str, Callable[[], Case]]:
    """Return the cases whose data are there: name -> function that makes it. ``seeds`` are those of the quiet county.

    EPH: the year ahead judged at two breaks (before and into the crisis of 2018, across the pandemic) and the quarter
    ahead at one, with households on one side only. Malawi: learn from 2010 to 2013, test from 2013 to 2016, a year of
    drought; its three waves follow the same households, so they stand on both sides, each at its own date. Simulated
    counties: learn from what was known fifteen months before the end, judged on the dates after it; the true risk is
    the ceiling.
    """
    eph, malawi = folder / "eph", folder / "malawi_ihps"
    found: dict[str, Callable[[], Case]] = {}
    if eph.is_dir():
        annual = partial(_eph_case, eph, horizon_months=12)
        quarterly = partial(_eph_case, eph, horizon_months=3)
        found["EPH, a year ahead, from 2020Q1"] = partial(annual, train=("2016Q2", "2018Q4"), test=("2020Q1", "2021Q4"))
        found["EPH, a year ahead, 2018Q3-Q4"] = partial(annual, train=("2016Q2", "2017Q2"), test=("2018Q3", "2018Q4"))
        found["EPH, a quarter ahead, from 2020Q1"] = partial(
            quarterly, train=("2016Q2", "2019Q3"), test=("2020Q1", "2021Q4")
        )
    if malawi.is_dir():
        found["Malawi, food consumption below 42, 2016"] = partial(_malawi_case, malawi, line=42.0)
        found["Malawi, food consumption below 35, 2016"] = partial(_malawi_case, malawi, line=35.0)
    for scenario, seed in (*(("quiet", seed) for seed in seeds), ("disaster", 1), ("policy", 1)):
        name = f"simulated county, {_SCENARIOS[scenario]}, seed {seed}"
        found[name] = partial(simulated_case, scenario=scenario, seed=seed)
    return found


def simulated_case(*, scenario: str, seed: int, n_households: int = N_HOUSEHOLDS) -> Case:
    """Return a case of a simulated county, its last fifteen months held back."""
    data = make_monitoring(n_households, n_months=N_MONTHS, random_state=seed, scenario=scenario)
    end = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1)
    start = end - pd.DateOffset(months=TESTED_MONTHS)
    sets = backtest_sets(data, test_from=start, horizon_months=12)
    details = cohort(data, as_of_dates_of(sets[2]).unique()).loc[sets[2].index]
    truth = data.truth.risk(as_of_dates_of(sets[2]).unique(), horizon_months=12)["risk"].loc[sets[2].index]
    months = pd.date_range(start, end, freq="MS")
    lists = feature_table(data, months[:-1])[sets[0].columns]
    labels = training_labels(data.known_by(start), sets[1], horizon_months=12)
    known = {"truth": truth, "X_lists": lists, "returned_on": _returns(data, months)}
    return Case(data, sets[0], labels, *sets[2:], details["area_id"], details["weight"], 12, **known)


def _returns(data: Monitoring, months: pd.DatetimeIndex) -> pd.Series:
    """Return the first of the months on which true welfare is below the line, of households above it on the first."""
    below = data.truth.welfare(months).unstack("as_of_date") < 1
    return below[~below[months[0]] & below.any(axis=1)].idxmax(axis=1)


def subsets(X: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the rows of two groups that policy asks about: close above the line, and once before below it."""
    return {
        "at 1 to 1.5 lines": X["welfare"] < 1.5,
        "below the line at an earlier visit": X["income_below_line_count_36m"] > 0,
    }


@dataclass(frozen=True)
class Case:
    """Training and test rows of one split; every training outcome was known before the first test date.

    ``labels`` are those of :func:`riskml.features.assistance.training_labels` of the training rows; ``y_train`` is what
    every model may learn of them, the welfare that decided it what riskml's trees learn too. ``area_id`` (text) and
    ``weight`` (survey weight) are of the test rows. Where the truth is known: ``truth`` is their true risk; ``X_lists``
    the features of the cohort of every month from the first test date on; ``returned_on`` the day on which true welfare
    first was below the line, by household, of those that were above it on the first of them.
    """

    data: Monitoring
    X_train: pd.DataFrame
    labels: pd.DataFrame
    X_test: pd.DataFrame
    y_test: pd.Series
    area_id: pd.Series
    weight: pd.Series
    horizon_months: int
    truth: pd.Series | None = None
    X_lists: pd.DataFrame | None = None
    returned_on: pd.Series | None = None

    @property
    def y_train(self) -> pd.Series:
        """Whether the households of the training rows returned."""
        return self.labels["returned"]


_SCENARIOS = {"quiet": "quiet years", "disaster": "a disaster in the test year", "policy": "a changed policy"}
_eph = cache(load_eph)
_malawi = cache(load_malawi)


def _eph_case(folder: Path, *, train: tuple[str, str], test: tuple[str, str], horizon_months: int) -> Case:
    return _case(_eph(folder), _after(*train), _after(*test), horizon_months=horizon_months, apart=True)


def _malawi_case(folder: Path, *, line: float) -> Case:
    return _case(_malawi(folder, line=line), ["2011-01-01"], ["2014-01-01"], horizon_months=36, apart=False)


def _after(first: str, last: str) -> list[pd.Timestamp]:
    """Return the first day after each quarter from ``first`` to ``last``."""
    return [quarter.end_time.normalize() + pd.Timedelta(days=1) for quarter in pd.period_range(first, last, freq="Q")]


def _case(data: Monitoring, train: list, test: list, *, horizon_months: int, apart: bool) -> Case:
    # What was known on the first test day is all that training may see.
    past = data.known_by(test[0])
    X_train, y_train = training_set(past, train, horizon_months=horizon_months)
    labels = training_labels(past, y_train, horizon_months=horizon_months)
    X_test, y_test = training_set(data, test, horizon_months=horizon_months)
    if apart:
        fresh = ~X_test.index.get_level_values(0).isin(X_train.index.get_level_values(0).unique())
        X_test, y_test = X_test[fresh], y_test[fresh]
    details = cohort(data, test).loc[X_test.index]
    return Case(data, X_train, labels, X_test, y_test, details["area_id"], details["weight"], horizon_months)
