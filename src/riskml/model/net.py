"""The risk net of assistance beside the risk as supported: a second model of the same rows, kept with the first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from riskml.model.classifier import RiskClassifier

#: Columns of :func:`net_risk`.
NET_COLUMNS = ["risk_net", "risk_net_lower", "risk_net_upper"]
_LEARNED = ("horizon_months", "rule", "outcome", "outcome_definition")


def fit_net(
    model: RiskClassifier,
    X: pd.DataFrame,
    y_net: pd.Series,
    sample_weight: Any = None,
    groups: Any = None,
    outcome_welfare: Any = None,
) -> RiskClassifier:
    """Learn the risk net of assistance from the rows of a fitted model, and put it beside the model.

    The rows are those of the model: households above the line *as supported*. So both risks are of the same households,
    and the second says how many of them would be below the line had their income come without public transfers.

    Parameters
    ----------
    model : RiskClassifier
        Fitted. Its settings are used; its own trees and risks stay as they are.
    X : DataFrame, shape (n_rows, n_features)
        The features it was fitted on.
    y_net : Series, shape (n_rows,)
        Labels with ``net_of_assistance=True`` (:func:`riskml.outcome_labels`); rows where they are missing are left
        out.
    sample_weight : array, shape (n_rows,), optional
        Weights, as for :meth:`riskml.RiskClassifier.fit`.
    groups : Series, shape (n_rows,), optional
        Groups with intervals of their own, as for :meth:`riskml.RiskClassifier.fit`.
    outcome_welfare : Series, shape (n_rows,), optional
        Welfare that decided ``y_net``, as for :meth:`riskml.RiskClassifier.fit`.

    Returns
    -------
    RiskClassifier
        The model given; ``net_`` is the second one. :func:`riskml.save_model` keeps both in one bundle.

    Raises
    ------
    ValueError
        As :meth:`riskml.RiskClassifier.fit`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"welfare": rng.uniform(1, 3, 800), "income_transfers_sum_12m": rng.uniform(0, 1, 800)})
    >>> later = X["welfare"] + rng.normal(0, 0.5, 800)
    >>> model = RiskClassifier(n_estimators=50).fit(X, (later < 1).astype(float))
    >>> beside = net_risk(fit_net(model, X, (later - X["income_transfers_sum_12m"] < 1).astype(float)), X)
    >>> bool((beside["risk_net"] >= model.predict_risk(X)).all())
    True
    """
    weight = np.ones(len(y_net)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    # Rows of weight 0 are left out by fit; a label must stand there all the same.
    weight = np.where(y_net.isna(), 0.0, weight)
    net = clone(model).fit(X, y_net.fillna(0.0), weight, groups, outcome_welfare)
    learned = {name: model.fit_summary_[name] for name in _LEARNED if name in model.fit_summary_}
    net.fit_summary_.update(learned | {"net_of_assistance": True})
    model.net_ = net
    return model


def net_risk(
    model: RiskClassifier, X: pd.DataFrame, *, groups: Any = None, supported: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the risk net of assistance, with its interval, for the households of a list.

    Whoever is below the line as supported is below it without the support, so the risk net of assistance is nowhere
    less than the risk: where the second model says less, the risk itself stands (and so for both ends of the interval).

    Parameters
    ----------
    model : RiskClassifier
        Fitted, with or without a second model beside it.
    X : DataFrame, shape (n_rows, n_features)
        Features, columns in any order.
    groups : Series or array of str, shape (n_rows,), optional
        As for :meth:`riskml.RiskClassifier.risk_interval`.
    supported : DataFrame, optional
        ``risk, risk_lower, risk_upper`` of the model for the rows of X, where they are known already.

    Returns
    -------
    DataFrame
        ``risk_net, risk_net_lower, risk_net_upper``, indexed as X; NaN throughout if the model has none beside it, the
        ends also where an interval of either risk is not known.
    """
    if model.net_ is None:
        return pd.DataFrame(np.nan, index=X.index, columns=NET_COLUMNS)
    least = _with_interval(model, X, groups) if supported is None else supported
    net = _with_interval(model.net_, X, groups)
    return pd.DataFrame(np.maximum(net.to_numpy(), least.to_numpy()), index=X.index, columns=NET_COLUMNS)


def _with_interval(model: RiskClassifier, X: pd.DataFrame, groups: Any) -> pd.DataFrame:
    return pd.concat([model.predict_risk(X), model.risk_interval(X, groups=groups)], axis=1)
