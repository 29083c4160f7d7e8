"""What outcomes say of the risk at a score when nothing but its order is trusted: Venn-Abers, as a few hundred steps.

A calibration is a line; households of one score may return more or less often than it says. Venn-Abers asks the
outcomes themselves. The household in question joins the calibration rows, once as one that does not return and once as
one that does, and each time an isotonic regression (risk rises with the score, no more is assumed) gives its risk:
``p0`` and ``p1``. On exchangeable rows one of the two is a perfectly calibrated probability (Vovk and Petej 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, expit, logit

FloatArray = NDArray[np.float64]

#: Scores are told apart up to this many steps, each of which holds as much information as another.
N_STEPS = 200


@dataclass(frozen=True)
class VennAbers:
    """Venn-Abers probabilities as steps of the margin.

    Attributes
    ----------
    thresholds : tuple of float
        Margins, ascending; a margin lies in the step numbered by how many of them are at or below it.
    p0, p1 : tuple of float
        A step's probability with the household added as one that does not return, and as one that does.
    design_effect : float
        How many rows weigh as one independent row, 1 or more: households that are there on several dates, weights.
    """

    thresholds: tuple[float, ...]
    p0: tuple[float, ...]
    p1: tuple[float, ...]
    design_effect: float = 1.0

    def pair(self, margin: FloatArray) -> FloatArray:
        """Return ``p0`` and ``p1`` of margins, shape (n_rows, 2)."""
        step = np.searchsorted(self.thresholds, margin, side="right")
        return np.column_stack([self.p0, self.p1])[step]

    def interval(self, margin: FloatArray, coverage: float) -> FloatArray:
        """Return lower bound, centre and upper bound of the risk at margins, shape (n_rows, 3).

        One household added to ``n`` of whom ``k`` returned has ``p0 = k / (n + 1)``, ``p1 = (k + 1) / (n + 1)``: so a
        pair says how many outcomes it rests on, ``n = 1 / (p1 - p0) - 1`` and ``k = p0 / (p1 - p0)``. The bounds are
        those of Clopper and Pearson (1934) for them, both divided by the design effect; the centre is the probability
        that serves both cases best in log loss, ``p1 / (1 - p0 + p1)`` (Vovk, Petej and Fedorova 2015).
        """
        p0, p1 = self.pair(margin).T
        n, k = (1 - p1 + p0) / (p1 - p0) / self.design_effect, p0 / (p1 - p0) / self.design_effect
        k = np.minimum(k, n)
        tail = (1 - coverage) / 2
        lower, upper = np.zeros(len(k)), np.ones(len(k))
        some, not_all = k > 0, n - k > 0
        lower[some] = betaincinv(k[some], n[some] - k[some] + 1, tail)
        upper[not_all] = betaincinv(k[not_all] + 1, n[not_all] - k[not_all], 1 - tail)
        return np.column_stack([lower, p1 / (1 - p0 + p1), upper])

    def moved(self, slope: float, level: float) -> VennAbers:
        """Return the steps with log-odds ``slope`` (positive) times what they were plus ``level``."""
        p0, p1 = (tuple(expit(slope * logit(np.array(p)) + level).tolist()) for p in (self.p0, self.p1))
        return VennAbers(self.thresholds, p0, p1, self.design_effect)


def venn_abers(
    margin: FloatArray, y: FloatArray, weight: FloatArray, risk: FloatArray, *, design_effect: float = 1.0
) -> VennAbers:
    """Compute the Venn-Abers probabilities of every step of the margin, inductively on rows the trees have not seen.

    Parameters
    ----------
    margin : ndarray of shape (n_rows,)
        Scores.
    y : ndarray of shape (n_rows,)
        Outcomes 0/1.
    weight : ndarray of shape (n_rows,)
        Weights; the household added has weight 1.
    risk : ndarray of shape (n_rows,)
        A first estimate of the risk, between 0 and 1, never falling with the margin: steps hold equal sums of
        ``weight x risk x (1 - risk)``, and so are fine where returns are many.
    design_effect : float, default 1.0
        Kept with the steps.

    Returns
    -------
    VennAbers
        At most :data:`N_STEPS` steps; exact for the margin rounded to its step. Rows of one margin share a step.

    References
    ----------
    Vovk, V., Petej, I. and Fedorova, V. (2015). Large-scale probabilistic predictors with and without guarantees of
    validity. NeurIPS 28.

    Examples
    --------
    >>> found = venn_abers(np.zeros(9), np.arange(9) < 2.0, np.ones(9), np.full(9, 0.2))
    >>> [float(p) for p in found.pair(np.zeros(1))[0]]  # 2 of 9 returned: 2 of 10, or 3 of 10
    [0.2, 0.3]
    """
    scores, place = np.unique(margin, return_inverse=True)
    information = np.bincount(place, weight * risk * (1 - risk))
    before = np.cumsum(information) - information
    step = np.unique((before * N_STEPS / information.sum()).astype(np.int64), return_inverse=True)[1]
    first = np.flatnonzero(np.diff(step)) + 1
    total, returns = np.bincount(step[place], weight), np.bincount(step[place], weight * y)
    totals, sums = (np.concatenate([[0.0], np.cumsum(values)]) for values in (total, returns))
    pairs = np.array([[_added(totals, sums, i, outcome) for outcome in (0, 1)] for i in range(len(total))])
    thresholds = (scores[first - 1] + scores[first]) / 2
    return VennAbers(
        tuple(thresholds.tolist()), tuple(pairs[:, 0].tolist()), tuple(pairs[:, 1].tolist()), design_effect
    )


def _added(totals: FloatArray, sums: FloatArray, step: int, outcome: int) -> float:
    """Return the isotonic risk of a step once a household with an outcome has joined it.

    The largest, over where a run of steps begins, of the smallest share, over where it ends, of runs that hold the
    step (the max-min formula of isotonic regression).
    """
    upto, after = slice(step + 1), slice(step + 1, None)
    returns = sums[after] - sums[upto, None] + outcome
    share = returns / (totals[after] - totals[upto, None] + 1)
    return float(np.clip(share.min(axis=1).max(), 0, 1))
