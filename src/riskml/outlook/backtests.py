"""Earlier dates asked again: risks from models that knew no more than was known then, and what became of the areas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from riskml.features.outcomes import outcome_welfare, settled_labels
from riskml.features.panel import cohort, feature_table, training_dates
from riskml.features.split import as_of_dates_of
from riskml.findings import in_words
from riskml.outlook.areas import area_outlook
from riskml.outlook.hierarchy import WHOLE, found_levels
from riskml.outlook.shocks import learn_shocks, no_shocks
from riskml.skill.backtest import fit_model
from riskml.tables.monitoring import Monitoring

#: Fewer returns than this are too few to learn a model from.
LEAST_RETURNS = 30


def backtest_predictions(
    data: Monitoring,
    *,
    outcome: Mapping[str, Any],
    until: object = None,
    every_months: int = 3,
    refit_months: int = 12,
    seed: int = 0,
    tell: Callable[[str], None] = lambda said: None,
) -> pd.DataFrame:
    """Return risks on earlier dates from models that knew only what was known then, beside what came of it.

    From the first date with enough returns behind it a model is learned every ``refit_months`` from what was known on
    that day, and asked on the dates up to the next.

    Parameters
    ----------
    data : Monitoring
        The tables.
    outcome : mapping
        What the labels mean: ``horizon_months, rule, net_of_assistance, outcome``.
    until : date, optional
        Use only what was known before this day; by default all.
    every_months : int, default 3
        Months between as-of dates.
    refit_months : int, default 12
        Months between models.
    seed : int, default 0
        Of the models.
    tell : callable, optional
        Told of each model before it is learned.

    Returns
    -------
    DataFrame
        A row a household and date whose outcome was observed: ``household_id, as_of_date, area_id, risk, returned``.

    Raises
    ------
    ValueError
        If no date has a horizon and enough returns (:data:`LEAST_RETURNS`) behind it.
    """
    past = data if until is None else data.known_by(until)
    horizon = outcome["horizon_months"]
    dates = training_dates(past, horizon_months=horizon, every_months=every_months)
    if until is not None:
        dates = [day for day in dates if day + pd.DateOffset(months=horizon) <= pd.Timestamp(str(until))]
    if not dates:
        raise _too_short(past, horizon)
    how = {name: value for name, value in outcome.items() if name != "horizon_months"}
    X = feature_table(past, dates, outcome=how["outcome"])
    asked = as_of_dates_of(X)
    returned = settled_labels(past, X.index, horizon_months=horizon, **how)  # type: ignore[arg-type]
    areas = cohort(past, dates, outcome=how["outcome"])["area_id"]
    parts: list[pd.DataFrame] = []
    model, renewed = None, dates[0]
    for day in dates:
        if model is None or day >= renewed + pd.DateOffset(months=refit_months):
            learned = asked + pd.DateOffset(months=horizon) <= day
            if not learned.any():
                continue
            # Outcomes as they were known on the day, not as corrected since.
            then = data.known_by(day)
            y = settled_labels(then, X.index[learned], horizon_months=horizon, **how)  # type: ignore[arg-type]
            known = y.notna()
            if y.sum() < LEAST_RETURNS:
                continue
            tell(in_words(f"learning what was known on {day:%Y-%m-%d}", f"正在用{day:%Y-%m-%d}已知的数据训练"))
            welfare = outcome_welfare(then, y[known].index, horizon_months=horizon, **how)  # type: ignore[arg-type]
            labels = pd.DataFrame({"returned": y[known], "outcome_welfare": welfare})
            model, renewed = fit_model(past, X[learned][known], labels, outcome=dict(outcome), seed=seed), day
        rows = (asked == day) & returned.notna().to_numpy()
        risk = model.predict_risk(X.loc[rows, list(model.feature_names_in_)])
        parts.append(pd.DataFrame({"area_id": areas[rows], "risk": risk, "returned": returned[rows]}))
    if not parts:
        raise _too_short(past, horizon)
    found = pd.concat(parts).reset_index()
    return found[["household_id", "as_of_date", "area_id", "risk", "returned"]]


def backtest_outlooks(
    predictions: pd.DataFrame,
    *,
    horizon_months: int,
    levels: Mapping[str, int] | None = None,
    exceeds: float = 0.05,
    independent: bool = False,
    n_draws: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the outlook of every earlier date, with shocks learned from the dates before it, beside what came.

    Parameters
    ----------
    predictions : DataFrame
        As :func:`backtest_predictions` gives.
    horizon_months : int
        Months from the as-of date to the outcome: an outlook sees only dates that lie as far back.
    levels : mapping of str to int, optional
        Levels of areas; by default those found in all predictions.
    exceeds : float, default 0.05
        As for :func:`riskml.area_outlook`.
    independent : bool, default False
        As if households fell independently of one another: the sum of risks that an outlook is compared with.
    n_draws : int, default 2000
        Draws of each outlook.
    random_state : int, default 0
        Seed.

    Returns
    -------
    DataFrame
        The columns of :func:`riskml.area_outlook` after ``as_of_date``, and ``returned``: how many did. Empty where no
        date lies a horizon after another.
    """
    levels = found_levels(predictions["area_id"]) if levels is None else levels
    tables = []
    for day, now in predictions.groupby("as_of_date"):
        assert isinstance(day, pd.Timestamp)
        earlier = predictions[predictions["as_of_date"] + pd.DateOffset(months=horizon_months) <= day]
        if earlier.empty:
            continue
        shocks = (
            no_shocks(levels)
            if independent
            else learn_shocks(earlier, horizon_months=horizon_months, levels=levels, random_state=random_state)
        )
        outlook = area_outlook(now, shocks, exceeds=exceeds, n_draws=n_draws, random_state=random_state)
        outlook.insert(0, "as_of_date", day)
        tables.append(outlook.assign(returned=_returned(now, outlook, levels)))
    if not tables:
        return area_outlook(predictions, no_shocks(levels), n_draws=200).iloc[:0].assign(as_of_date=[], returned=[])
    return pd.concat(tables, ignore_index=True)


def coverage_table(backtests: pd.DataFrame) -> pd.DataFrame:
    """Return how often the intervals of earlier outlooks held what came, by level.

    Parameters
    ----------
    backtests : DataFrame
        As :func:`backtest_outlooks` gives.

    Returns
    -------
    DataFrame
        A row a level, the whole first: ``level``, ``area_dates`` (areas times dates), ``covered_80``, ``covered_95``
        (share whose number of returns lay within), ``width_95`` (mean width of the interval as a share of households).
        Dates closer than the horizon share outcomes: these are fewer independent cases than rows.

    Examples
    --------
    >>> rows = pd.DataFrame({"level": "all", "households": 100, "returned": [4, 9], "lower_80": 3, "upper_80": 7})
    >>> coverage_table(rows.assign(lower_95=2, upper_95=9)).values.tolist()
    [['all', 2, 0.5, 1.0, 0.07]]
    """
    judged = pd.DataFrame({"level": backtests["level"]})
    for coverage in (80, 95):
        judged[f"covered_{coverage}"] = backtests["returned"].between(
            backtests[f"lower_{coverage}"], backtests[f"upper_{coverage}"]
        )
    judged["width_95"] = (backtests["upper_95"] - backtests["lower_95"]) / backtests["households"]
    grouped = judged.groupby("level", sort=False)
    table = grouped.mean()
    table.insert(0, "area_dates", grouped.size())
    return table.reset_index()


def _returned(now: pd.DataFrame, outlook: pd.DataFrame, levels: Mapping[str, int]) -> np.ndarray:
    """Return the number of returns of every row of an outlook."""
    counts = {(WHOLE, ""): now["returned"].sum()}
    for level, length in levels.items():
        for code, number in now["returned"].groupby(now["area_id"].str[:length]).sum().items():
            counts[(level, str(code))] = number
    return np.array([counts[key] for key in zip(outlook["level"], outlook["area_id"], strict=True)], dtype=np.int64)


def _too_short(data: Monitoring, horizon_months: int) -> ValueError:
    return ValueError(
        in_words(
            f"the records up to {data.extract_on:%Y-%m-%d} are too short for a backtest: it needs a date whose "
            f"outcomes ({horizon_months} months, at least {LEAST_RETURNS} returns) were known on a "
            "second date, whose outcomes are known too",
            f"截至{data.extract_on:%Y-%m-%d}的记录过短，无法回溯检验：需要某个日期的结果（{horizon_months}个月，"
            f"至少{LEAST_RETURNS}户返贫）在第二个日期已知，且第二个日期的结果也已知",
        )
    )
