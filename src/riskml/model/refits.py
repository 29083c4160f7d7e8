"""The same model learned again from other draws of the same households: how far what it says is luck."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_sample_weight

if TYPE_CHECKING:
    from riskml.model.classifier import RiskClassifier


def with_refits(
    model: RiskClassifier,
    X: pd.DataFrame,
    y: pd.Series,
    *,
    n_refits: int = 20,
    sample_weight: ArrayLike | None = None,
    outcome_welfare: pd.Series | None = None,
    random_state: int = 0,
) -> RiskClassifier:
    """Return the model together with refits of it on bootstrap samples of whole households.

    Each refit has the model's settings and a seed of its own: what differs between them is what another draw of
    households, and of the rows and columns each tree sees, would have changed. A refit takes the time of one booster of
    the model; calibration is not learned anew, because a line in the log-odds changes neither the order of causes nor
    their signs.

    Parameters
    ----------
    model : RiskClassifier
        Fitted on X and y.
    X : DataFrame of shape (n_rows, n_features)
        The training rows. Rows indexed by ``(household_id, as_of_date)`` are drawn by household, others one by one.
    y : Series of length n_rows
        Their labels.
    n_refits : int, default 20
        How many; the error of a share of 20 is at most 11 percentage points.
    sample_weight : array-like of shape (n_rows,), optional
        The weights that ``fit`` was given.
    outcome_welfare : Series of length n_rows, optional
        The welfare that ``fit`` was given.
    random_state : int, default 0
        Of the draws.

    Returns
    -------
    RiskClassifier
        Predicts as ``model`` does; ``refits_`` holds the boosters.

    Raises
    ------
    ValueError
        If ``n_refits`` is below 1, columns do not fit, or a draw holds one class only (far too few returns).

    Notes
    -----
    Efron 1979, "Bootstrap methods: another look at the jackknife", of clusters; a household drawn twice counts twice,
    by its weight.

    Examples
    --------
    >>> from riskml import RiskClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"welfare": rng.uniform(1, 3, 400)})
    >>> y = pd.Series(rng.random(400) < 1 / X["welfare"] ** 3).astype(int)
    >>> model = RiskClassifier(n_estimators=20).fit(X, y)
    >>> len(with_refits(model, X, y, n_refits=3).refits_)
    3
    """
    if n_refits < 1:
        raise ValueError(f"n_refits must be at least 1, got {n_refits}")
    dated = "as_of_date" in (X.index.names or [])
    # Sorted, so that the order of the rows does not decide who is drawn.
    household = np.unique(X.index.get_level_values(0), return_inverse=True)[1] if dated else np.arange(len(X))
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    settings = {**model.get_params(), "dictionary": model.dictionary_, "calibrate": False}
    rng = np.random.default_rng(random_state)
    refits = []
    for _ in range(n_refits):
        times = np.bincount(rng.integers(0, household.max() + 1, household.max() + 1), minlength=household.max() + 1)
        refit = type(model)(**{**settings, "random_state": int(rng.integers(2**31))})
        drawn = weight * times[household]
        refit.fit(X[list(model.feature_names_in_)], y, drawn, outcome_welfare=outcome_welfare)
        refits.append(refit.booster_)
    new = copy(model)
    new.refits_ = tuple(refits)
    new.fit_summary_ = {**model.fit_summary_, "refits": n_refits}
    return new
