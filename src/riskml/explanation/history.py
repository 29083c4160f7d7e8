"""How a household's risk went: the model's answer on one day after the other, each from what was known on that day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from riskml.causes import CAUSES
from riskml.explanation.contributions import explain
from riskml.features.outcomes import learned_outcome
from riskml.features.panel import cohort
from riskml.features.records import available, compute
from riskml.features.standard import STANDARD

if TYPE_CHECKING:
    from riskml.features.declarations import Declaration
    from riskml.model.classifier import RiskClassifier
    from riskml.tables.monitoring import Monitoring


def risk_history(
    data: Monitoring,
    model: RiskClassifier,
    household_id: str,
    as_of_dates: Iterable[object],
    *,
    features: Sequence[Declaration] = STANDARD,
) -> pd.DataFrame:
    """Return a household's risk on several days, by cause, and which records arrived in between.

    The model is the same on all days: it may have learned from what came later, so that this is no backtest.

    Parameters
    ----------
    data : Monitoring
        The tables.
    model : RiskClassifier
        A fitted model.
    household_id : str
        A household of the data.
    as_of_dates : iterable of dates
        The days.
    features : sequence of declarations, optional
        Where the features are declared; default :data:`riskml.STANDARD` and those of the data.

    Returns
    -------
    DataFrame
        One row a day, earliest first: ``household_id, as_of_date, at_risk`` (False where the model does not speak of
        the household: below the line already, not yet registered, gone, or its income not known), ``risk`` and
        ``points_<cause>`` (probabilities, NaN where not at risk; points sum to the risk less ``start``), ``start``
        (the risk where every household starts), ``new_records`` (versions of its records that became known since
        the row before, 0 in the first row), ``new_tables`` (their tables, most versions first, joined by ``;``).

    Raises
    ------
    KeyError
        If the household is not in the data.
    ValueError
        If there is no day, or the data lack features of the model.

    Examples
    --------
    >>> from riskml import RiskClassifier, training_dates, training_set
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(60, n_months=30, random_state=3)
    >>> X, y = training_set(data, training_dates(data, horizon_months=6), horizon_months=6)
    >>> model = RiskClassifier(n_estimators=5).fit(X, y)
    >>> history = risk_history(data, model, "H000001", ["2023-01-01", "2023-04-01"])
    >>> len(history)
    2
    """
    dates = pd.DatetimeIndex([pd.Timestamp(str(day)) for day in as_of_dates]).unique().sort_values()
    if dates.empty:
        raise ValueError("risk_history: give at least one as-of date")
    place = pd.Index(data.household_ids).get_indexer([household_id])
    if place[0] < 0:
        raise KeyError(f"household_id {household_id!r} is not in the data")
    index = pd.MultiIndex.from_product([[household_id], dates], names=["household_id", "as_of_date"])
    columns = available(data, (*features, *data.features))
    values = compute(data, columns, np.repeat(place, len(dates)), np.arange(len(dates)), dates)
    X = pd.DataFrame(values, index=index, columns=[column.name for column in columns])
    why = explain(model, X.loc[:, X.columns.isin(model.feature_names_in_)])
    at_risk = X.index.isin(cohort(data, dates, outcome=learned_outcome(model.fit_summary_)).index)
    history = X.index.to_frame(index=False).assign(at_risk=at_risk, risk=np.where(at_risk, why.risk, np.nan))
    points = why.in_points().to_numpy()
    for place, cause in enumerate(CAUSES):
        history[f"points_{cause}"] = np.where(at_risk, points[:, place], np.nan)
    news = [_arrived(data, household_id, *days) for days in zip([dates[0], *dates[:-1]], dates, strict=True)]
    return history.assign(
        start=why.base_risk,
        new_records=[sum(counts.values()) for counts in news],
        new_tables=[";".join(counts) for counts in news],
    )


def _arrived(data: Monitoring, household_id: str, since: pd.Timestamp, until: pd.Timestamp) -> dict[str, int]:
    """Return how many versions of a household's records became known from one day until before another, by table."""
    counts = {}
    for name in data.tables:
        if name != "lines":
            versions = data.versions(name)
            known = versions.loc[versions["household_id"] == household_id, "known_on"]
            counts[name] = int(((known >= since) & (known < until)).sum())
    return {name: counts[name] for name in sorted(counts, key=lambda name: -counts[name]) if counts[name]}
