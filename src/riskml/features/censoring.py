"""Households that left are censored, not safe: weights that let those who were observed stand for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from riskml.features.outcomes import settled_labels
from riskml.features.panel import feature_table
from riskml.findings import in_words

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: With fewer households censored (or observed) than this nothing is learned and all weights are 1.
LEAST_HOUSEHOLDS = 20
#: Standardised features beyond this are drawn in: one outlier must not decide about a weight.
_LIMIT = 5.0


def censoring_weights(
    X: pd.DataFrame,
    observed: Any,
    *,
    n_folds: int = 5,
    truncate_at: tuple[float, float] = (0.01, 0.99),
    strength: float = 0.05,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return inverse-probability-of-censoring weights of the rows whose outcome was observed.

    Whether a row's outcome was observed is foretold from its features at the as-of date by a logistic regression with
    an L2 penalty (medians for missing values, flags for having been missing), for each household by a model that has
    not seen it. The weight of an observed row is the share observed over its probability (stabilised), drawn in to the
    quantiles ``truncate_at`` of the weights and scaled to a mean of 1. Pass it as ``sample_weight`` to ``fit`` and
    :func:`riskml.evaluate` (times a survey weight, where there is one).

    It makes up for censoring that the features explain. A household that leaves *because* of what happens after the
    as-of date leaves a gap that no weight fills. Pass rows whose horizon had ended: outcomes that lie ahead are not
    censored.

    Parameters
    ----------
    X : DataFrame of float64, shape (n_rows, n_features)
        All rows at risk, as :func:`riskml.feature_table` gives them.
    observed : array-like of bool, shape (n_rows,)
        Whether the outcome was observed: ``outcome_labels(...).notna()``.
    n_folds : int, default 5
        Folds of households.
    truncate_at : (float, float), default (0.01, 0.99)
        Quantiles of the weights beyond which they are drawn in; ``(0, 1)`` leaves them as they are.
    strength : float, default 0.05
        Inverse of the penalty on standardised features (scikit-learn's ``C``).
    random_state : int, default 0
        Of the folds.

    Returns
    -------
    DataFrame of float64
        Indexed as X: ``observed_probability``; ``weight``, NaN where the outcome was not observed. Fewer than
        :data:`LEAST_HOUSEHOLDS` households censored or observed: the share observed, and 1. How much the weights cost
        says :func:`effective_sample_size`.

    Raises
    ------
    ValueError
        If the lengths differ, no outcome was observed, or the quantiles are not in order.

    References
    ----------
    Robins, Finkelstein (2000). Correcting for noncompliance and dependent censoring in an AIDS clinical trial.
    *Biometrics* 56. Cole, Hernán (2008). Constructing inverse probability weights for marginal structural models.
    *American Journal of Epidemiology* 168 (stabilised, truncated).

    Examples
    --------
    >>> days = pd.to_datetime(["2024-01-01"])
    >>> index = pd.MultiIndex.from_product([map(str, range(200)), days], names=["household_id", "as_of_date"])
    >>> X = pd.DataFrame({"away": np.arange(200) % 2.0}, index=index)
    >>> observed = (X["away"] == 0) | (np.arange(200) % 4 == 1)  # every second of those who work away is lost
    >>> weights = censoring_weights(X, observed)["weight"]
    >>> bool(weights[X["away"] == 1].mean() > 1.2 > 1 > weights[X["away"] == 0].mean())
    True
    """
    seen = np.asarray(observed, dtype=bool)
    if len(seen) != len(X):
        raise ValueError(f"observed has {len(seen)} rows but X has {len(X)}; take both from the same feature table")
    if not seen.any():
        raise ValueError("no outcome was observed, so nobody can stand for the others; choose earlier as-of dates")
    low, high = truncate_at
    if not 0 <= low < high <= 1:
        raise ValueError(f"truncate_at must be two quantiles in order, such as (0.01, 0.99), not {truncate_at}")
    household = pd.factorize(X.index.get_level_values("household_id"))[0]
    fewest = min(len(np.unique(household[seen])), len(np.unique(household[~seen])))
    if fewest < LEAST_HOUSEHOLDS:
        probability = np.full(len(X), seen.mean())
    else:
        probability = _probability(X, seen, household, n_folds=n_folds, strength=strength, random_state=random_state)
    weight = seen.mean() / probability
    drawn = np.clip(weight, *np.quantile(weight[seen], [low, high]))
    drawn = np.where(seen, drawn / drawn[seen].mean(), np.nan)
    return pd.DataFrame({"observed_probability": probability, "weight": drawn}, index=X.index)


def weighed_training_set(
    data: Monitoring, as_of_dates: Iterable[object], *, random_state: int = 0, **outcome: Any
) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """Return the training set with weights that let those observed stand for those lost.

    Parameters
    ----------
    data : Monitoring
        The tables; for a backtest ``data.known_by(...)``.
    as_of_dates : iterable of dates
        Days whose horizon had ended: outcomes that lie ahead are not censored.
    random_state : int, default 0
        Of the folds of :func:`censoring_weights`.
    **outcome
        ``horizon_months, rule, net_of_assistance, outcome`` of :func:`riskml.training_set`.

    Returns
    -------
    X : DataFrame of float64
        As :func:`riskml.training_set` gives it.
    y : Series of float64
        As :func:`riskml.training_set` gives it.
    weight : ndarray of float64, shape (n_rows,)
        Weights of these rows, mean 1.

    Raises
    ------
    ValueError
        If fewer than :data:`LEAST_HOUSEHOLDS` households were lost or observed (nothing can be learned of who is lost),
        or as :func:`riskml.training_set`.
    """
    X = feature_table(data, as_of_dates, outcome=outcome.get("outcome", "welfare"))
    y = settled_labels(data, X.index, **outcome)  # type: ignore[arg-type]
    seen = y.notna().to_numpy()
    household = X.index.get_level_values("household_id")
    n_lost, n_seen = household[~seen].nunique(), household[seen].nunique()
    if min(n_lost, n_seen) < LEAST_HOUSEHOLDS:
        raise ValueError(
            in_words(
                f"{n_lost} households were lost and {n_seen} observed; weights for those lost need at least "
                f"{LEAST_HOUSEHOLDS} of either. Train without them",
                f"有{n_lost}户失访、{n_seen}户被观察到；为失访住户加权至少各需{LEAST_HOUSEHOLDS}户。请不加权训练",
            )
        )
    weight = censoring_weights(X, seen, random_state=random_state)["weight"].to_numpy()
    return X[seen], y[seen], weight[seen]


def effective_sample_size(weight: Any) -> float:
    """Return how many equally weighted rows would say as much (Kish): squared sum over sum of squares.

    Parameters
    ----------
    weight : array-like of float, shape (n_rows,)
        Weights; NaN are left out.

    Returns
    -------
    float
        At most the number of weights; 0 if there are none.

    References
    ----------
    Kish (1965). *Survey Sampling*. Wiley.

    Examples
    --------
    >>> effective_sample_size([1.0, 1.0, 1.0, 1.0]), effective_sample_size([3.0, 1.0])
    (4.0, 1.6)
    """
    given = np.asarray(weight, dtype=np.float64)
    given = given[~np.isnan(given)]
    return float(given.sum() ** 2 / (given @ given)) if given.any() else 0.0


def _probability(
    X: pd.DataFrame, seen: np.ndarray, household: np.ndarray, *, n_folds: int, strength: float, random_state: int
) -> np.ndarray:
    """Return the probability of each row to be observed, from models that have not seen its household."""
    values = X.to_numpy(dtype=np.float64)
    # A column nobody has says nothing; the imputer would warn of it.
    values = values[:, ~np.isnan(values).all(axis=0)]
    probability = np.empty(len(X))
    folds = GroupKFold(n_folds, shuffle=True, random_state=random_state)
    for train, test in folds.split(values, groups=household):
        model = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            StandardScaler(),
            FunctionTransformer(np.clip, kw_args={"a_min": -_LIMIT, "a_max": _LIMIT}),
            LogisticRegression(C=strength, max_iter=1000),
        )
        probability[test] = model.fit(values[train], seen[train]).predict_proba(values[test])[:, 1]
    return probability
