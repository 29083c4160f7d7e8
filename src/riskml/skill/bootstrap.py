"""What every figure shares: rows checked, whole clusters drawn with replacement, intervals, paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

FloatArray = NDArray[np.float64]


def checked_rows(y: ArrayLike, risk: ArrayLike, weight: ArrayLike | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return outcome, score and weight as arrays of one length, or say what is wrong with them."""
    if (
        isinstance(y, pd.Series)
        and isinstance(risk, pd.Series)
        and len(y) == len(risk)
        and not y.index.equals(risk.index)
    ):
        raise ValueError("y and risk are indexed differently; put them in one order first")
    y_, risk_ = np.asarray(y, dtype=np.float64), np.asarray(risk, dtype=np.float64)
    weight_ = np.ones(len(y_)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not len(y_) == len(risk_) == len(weight_):
        raise ValueError(
            f"y, risk and sample_weight must be of one length, got {len(y_)}, {len(risk_)}, {len(weight_)}"
        )
    if not np.isin(y_, (0, 1)).all():
        raise ValueError("y must be 0 or 1; leave out rows whose outcome was not observed")
    if np.isnan(risk_).any() or np.isnan(weight_).any():
        raise ValueError(f"risk or sample_weight is missing in {int((np.isnan(risk_) | np.isnan(weight_)).sum())} rows")
    return y_, risk_, weight_


def checked_scores(
    scores: Mapping[str, ArrayLike], y: ArrayLike, weight: ArrayLike | None, reference: str | None
) -> tuple[dict[str, FloatArray], FloatArray, FloatArray, str]:
    """Return the scores, outcome, weight, and the name of the score that the others are compared with."""
    if not scores:
        raise ValueError("scores is empty; give at least one model")
    reference = next(iter(scores)) if reference is None else reference
    if reference not in scores:
        raise ValueError(f"reference {reference!r} is not among the models {list(scores)}")
    checked = {name: checked_rows(y, score, weight) for name, score in scores.items()}
    y_, _, weight_ = checked[reference]
    return {name: risk for name, (_, risk, _) in checked.items()}, y_, weight_, reference


def cluster_draws(clusters: ArrayLike | None, n: int, n_bootstrap: int, seed: int) -> FloatArray:
    """Return how often each row is drawn when whole clusters are drawn with replacement, shape (n_bootstrap, n)."""
    codes = np.arange(n) if clusters is None else pd.factorize(np.asarray(clusters))[0]
    rng, size = np.random.default_rng(seed), int(codes.max(initial=0)) + 1
    draws = [np.bincount(rng.integers(0, size, size), minlength=size)[codes] for _ in range(n_bootstrap)]
    return np.array(draws, dtype=np.float64).reshape(n_bootstrap, n)


def interval(sampled: FloatArray) -> tuple[float, float]:
    """Return the 95 % percentile interval of drawn values; NaN where there are none."""
    if np.isnan(sampled).all():
        return np.nan, np.nan
    lower, upper = np.nanquantile(sampled, [0.025, 0.975])
    return float(lower), float(upper)


def share_interval(share: float, n_effective: float, sampled: FloatArray) -> tuple[float, float]:
    """Return the interval of a share: of the draws, but never narrower than the exact one of so many rows.

    Draws of a few rows that all say the same say nothing of their spread. The exact interval (Clopper and Pearson 1934)
    of the effective number of rows is that of Korn and Graubard (1998) for shares in surveys.
    """
    lower, upper = interval(sampled)
    if np.isnan(share) or np.isnan(lower):
        return lower, upper
    hit = share * n_effective
    exact_lower = beta.ppf(0.025, hit, n_effective - hit + 1) if hit > 1e-9 else 0.0
    exact_upper = beta.ppf(0.975, hit + 1, n_effective - hit) if n_effective - hit > 1e-9 else 1.0
    return min(lower, float(exact_lower)), max(upper, float(exact_upper))


def compared(
    measured: Mapping[str, tuple[FloatArray, FloatArray]], figures: Sequence[str], reference: str
) -> list[dict[str, Any]]:
    """Return a row a model and figure: value, interval, and difference of the reference to it on the same draws.

    ``measured`` holds for each model the values, shape (n_figures,), and those of the draws, (n_bootstrap, n_figures).
    """
    best, best_sampled = measured[reference]
    rows = []
    for name, (estimate, sampled) in measured.items():
        for k, figure in enumerate(figures):
            lower, upper = interval(sampled[:, k])
            low, high = interval(best_sampled[:, k] - sampled[:, k])
            rows.append(
                {
                    "model": name,
                    "figure": figure,
                    "value": estimate[k],
                    "lower": lower,
                    "upper": upper,
                    "difference": best[k] - estimate[k],
                    "difference_lower": low,
                    "difference_upper": high,
                }
            )
    return rows
