"""Whether acting on a probability beats acting on everybody or on nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskml.skill.bootstrap import FloatArray, checked_scores, cluster_draws, interval

#: The two rules that need no model, by which a decision curve is read.
DEFAULTS = ("everybody", "nobody")


def decision_curve(
    scores: Mapping[str, ArrayLike],
    y: ArrayLike,
    *,
    thresholds: Sequence[float] = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
    sample_weight: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    n_bootstrap: int = 0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the net benefit of visiting every household whose risk reaches a threshold.

    Who visits from a risk of ``t`` on is ready to make ``(1 - t) / t`` visits in vain for one return found. At that
    rate of exchange, net benefit is returns found less visits in vain, a household of the district (Vickers and
    Elkin 2006): ``found / n - in_vain / n x t / (1 - t)``. A model that is below ``everybody`` or ``nobody`` should not
    be used at that threshold.

    Parameters
    ----------
    scores : mapping of str to array, shape (n_rows,)
        Probability of returning that each model gives.
    y : array, shape (n_rows,)
        Returned (1) or not (0).
    thresholds : sequence of float
        Risks from which a household is visited, above 0 and below 1.
    sample_weight : array, shape (n_rows,), optional
        Survey weights.
    clusters : array, shape (n_rows,), optional
        Clusters of the bootstrap; default each row its own.
    n_bootstrap : int, default 0
        Draws; 0 gives no intervals (NaN).
    random_state : int, default 0
        Seed of the draws.

    Returns
    -------
    DataFrame
        One row a model and threshold, ``everybody`` and ``nobody`` after the models: ``model, threshold, listed``
        (share of the households visited), ``found`` (share of the returns among them; NaN if nobody returned),
        ``net_benefit`` (returns a household), ``lower, upper`` (95 %), ``advantage`` (net benefit less that of the
        better of ``everybody`` and ``nobody``), ``advantage_lower, advantage_upper`` (paired: the same draws).

    Raises
    ------
    ValueError
        As :func:`riskml.evaluate`; if a score is not within 0 and 1 (a ranking has no threshold), a threshold not
        between 0 and 1, or a model is called as one of the two rules.

    Examples
    --------
    >>> curve = decision_curve({"model": [0.9, 0.6, 0.2, 0.1]}, [1, 0, 1, 0], thresholds=[0.5])
    >>> curve[["model", "listed", "found", "net_benefit", "advantage"]]
           model  listed  found  net_benefit  advantage
    0      model     0.5    0.5          0.0        0.0
    1  everybody     1.0    1.0          0.0        0.0
    2     nobody     0.0    0.0          0.0        0.0
    """
    risks, y_, weight, _ = checked_scores(scores, y, sample_weight, None)
    at = np.asarray(thresholds, dtype=np.float64)
    if not (len(at) and ((at > 0) & (at < 1)).all()):
        raise ValueError(f"thresholds must lie between 0 and 1, got {list(thresholds)}")
    for name, risk in risks.items():
        if name in DEFAULTS:
            raise ValueError(f"{name!r} is one of the two rules every model is compared with; rename the score")
        if not ((risk >= 0) & (risk <= 1)).all():
            raise ValueError(
                f"{name!r} is not a probability (from {risk.min():g} to {risk.max():g}): no threshold fits"
            )
    n_rows, n_at = len(y_), len(at)
    visited = {name: risk >= at[:, None] for name, risk in risks.items()}
    visited |= {"everybody": np.ones((n_at, n_rows), dtype=bool), "nobody": np.zeros((n_at, n_rows), dtype=bool)}
    draws = cluster_draws(clusters, n_rows, n_bootstrap, random_state)
    weights = np.vstack([np.ones(n_rows), draws]) * weight
    benefit = {name: _net_benefit(listed, y_, weights, at) for name, listed in visited.items()}
    default = np.maximum(benefit["everybody"], benefit["nobody"])
    rows = []
    for name, listed in visited.items():
        found, returns = listed @ (weight * y_), float(weight @ y_)
        for k, threshold in enumerate(at):
            net, advantage = benefit[name][k], benefit[name][k] - default[k]
            (lower, upper), (low, high) = interval(net[1:]), interval(advantage[1:])
            rows.append(
                {
                    "model": name,
                    "threshold": threshold,
                    "listed": float(listed[k] @ weight) / weight.sum(),
                    "found": found[k] / returns if returns > 0 else np.nan,
                    "net_benefit": net[0],
                    "lower": lower,
                    "upper": upper,
                    "advantage": advantage[0],
                    "advantage_lower": low,
                    "advantage_upper": high,
                }
            )
    return pd.DataFrame(rows)


def _net_benefit(listed: np.ndarray, y: FloatArray, weights: FloatArray, at: FloatArray) -> FloatArray:
    """Return net benefit at each threshold under each row of weights, shape (n_thresholds, n_weights)."""
    chosen = listed.astype(np.float64)
    found, in_vain = chosen @ (weights * y).T, chosen @ (weights * (1 - y)).T
    return (found - in_vain * (at / (1 - at))[:, None]) / weights.sum(axis=1)
