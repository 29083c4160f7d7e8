"""Who gets what under a budget: at most one option per household, most gain, limits on money and places.

A multiple-choice knapsack with a few coupling limits. Prices of the limits (the Lagrangian dual) bound what any
allocation can gain; an option whose choice would cost more than the distance between that bound and an allocation
in hand can be in no best allocation and is dropped; what is left is small and solved by branch and bound (HiGHS).
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def allocate(gain: FloatArray, household: NDArray[np.int64], use: FloatArray, limits: FloatArray) -> BoolArray:
    """Choose options so that their gain is largest.

    Parameters
    ----------
    gain : ndarray of shape (n_options,)
        What an option gains, above zero.
    household : ndarray of shape (n_options,)
        Whose option it is, in ascending order; at most one option of a household is chosen.
    use : ndarray of shape (n_options, n_limits)
        What an option uses of each limit.
    limits : ndarray of shape (n_limits,)
        How much there is; infinite: no limit.

    Returns
    -------
    ndarray of bool, shape (n_options,)
        The options chosen. Their gain is within a millionth of the largest possible, and every limit is kept.

    Warns
    -----
    UserWarning
        If that could not be proved within a minute; it says how far from the best the choice may be.

    Notes
    -----
    Fisher (1981), "The Lagrangian relaxation method for solving integer programming problems"; reduced-cost fixing
    as in Nemhauser and Wolsey (1988). The dual is minimised with Kelley's cutting planes.

    Examples
    --------
    >>> gain, cost = np.array([5.0, 4.0, 3.0]), np.array([[3.0], [2.0], [2.0]])
    >>> allocate(gain, np.array([0, 0, 1]), cost, np.array([4.0])).tolist()
    [False, True, True]
    """
    bounded = np.isfinite(limits)
    use, limits = use[:, bounded], limits[bounded]
    chosen = np.zeros(len(gain), dtype=bool)
    able = np.flatnonzero((use <= limits).all(axis=1))
    if not len(able):
        return chosen
    tight = limits > 0  # An able option uses nothing of a limit of zero.
    use, limits = use[able][:, tight] / limits[tight], np.ones(int(tight.sum()))
    gain, household = gain[able], np.unique(household[able], return_inverse=True)[1]
    bound, prices = _prices(gain, household, use)
    reduced = gain - use @ prices
    in_hand = _greedy(gain, household, use, reduced)
    # The first, narrow core brings the allocation in hand so near to the bound that the core without loss is small.
    for width in (0.05, 1.0):
        slack = width * (bound - gain[in_hand].sum() * (1 - 1e-9))
        in_hand = _improve(gain, household, use, reduced, in_hand, slack)
    chosen[able[in_hand]] = True
    return chosen


#: Seconds for branch and bound.
_TIME_LIMIT = 60.0
#: Rounds of cutting planes; the bound holds after any number.
_MAX_CUTS = 200


def _best(reduced: FloatArray, household: NDArray[np.int64]) -> FloatArray:
    """Return the best reduced gain of each household, at least zero (no option)."""
    starts = np.flatnonzero(np.diff(household, prepend=-1))
    return np.maximum(np.maximum.reduceat(reduced, starts), 0.0)


def _prices(gain: FloatArray, household: NDArray[np.int64], use: FloatArray) -> tuple[float, FloatArray]:
    """Return an upper bound of the gain and the prices of the limits (each of size one) that give it."""
    n_limits = use.shape[1]
    prices, best, best_prices = np.zeros(n_limits), np.inf, np.zeros(n_limits)
    slopes, heights = [], []
    for _ in range(_MAX_CUTS):
        value, slope = _dual(gain, household, use, prices)
        if value < best:
            best, best_prices = value, prices
        slopes.append(np.append(slope, -1.0))
        heights.append(slope @ prices - value)
        # A price above the whole gain forbids its limit, so that no price needs to be higher.
        result = linprog(
            np.append(np.zeros(n_limits), 1.0),
            A_ub=np.array(slopes),
            b_ub=np.array(heights),
            bounds=[(0, gain.sum())] * n_limits + [(0, None)],
        )
        if result.x is None or best - result.x[-1] <= 1e-7 * best:
            break
        prices = result.x[:-1]
    return best, best_prices


def _dual(
    gain: FloatArray, household: NDArray[np.int64], use: FloatArray, prices: FloatArray
) -> tuple[float, FloatArray]:
    """Return the Lagrangian dual at some prices and its slope."""
    reduced = gain - use @ prices
    best = _best(reduced, household)
    taken = np.flatnonzero((reduced == best[household]) & (reduced > 0))
    first = taken[np.unique(household[taken], return_index=True)[1]]
    return float(prices.sum() + best.sum()), 1.0 - use[first].sum(axis=0)


def _greedy(gain: FloatArray, household: NDArray[np.int64], use: FloatArray, reduced: FloatArray) -> BoolArray:
    """Return an allocation that keeps the limits: options by reduced gain, each if it still fits."""
    chosen, served = np.zeros(len(gain), dtype=bool), np.zeros(household[-1] + 1, dtype=bool)
    left = np.ones(use.shape[1])
    for option in np.lexsort((-gain, -reduced)):
        if not served[household[option]] and (use[option] <= left).all():
            chosen[option] = served[household[option]] = True
            left = left - use[option]
    return chosen


def _improve(
    gain: FloatArray,
    household: NDArray[np.int64],
    use: FloatArray,
    reduced: FloatArray,
    in_hand: BoolArray,
    slack: float,
) -> BoolArray:
    """Return the best allocation of the options that lose less than ``slack`` against their household's best."""
    best = _best(reduced, household)
    core = (best[household] - reduced < slack) | in_hand
    alone = (np.bincount(household[core], minlength=len(best)) == 1)[household]
    # Where the one option left is better than nothing by more than the slack there is no question.
    chosen = core & alone & (best[household] >= slack) & in_hand
    open_ = np.flatnonzero(core & ~chosen)
    room = 1.0 - use[chosen].sum(axis=0)
    chosen[open_[_solve(gain[open_], household[open_], use[open_], room)]] = True
    return chosen


def _solve(gain: FloatArray, household: NDArray[np.int64], use: FloatArray, room: FloatArray) -> NDArray[np.int64]:
    """Return the positions of the best options by branch and bound."""
    n_options, rows = len(gain), np.unique(household, return_inverse=True)[1]
    if not n_options:
        return np.empty(0, dtype=np.int64)
    one_each = csr_array((np.ones(n_options), (rows, np.arange(n_options))))
    allowed = room
    while True:
        result = milp(
            -gain,
            constraints=[
                LinearConstraint(one_each, ub=1),
                *([LinearConstraint(csr_array(use.T), ub=allowed)] if len(room) else []),
            ],
            integrality=np.ones(n_options, dtype=np.int64),
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": 1e-6, "time_limit": _TIME_LIMIT},
        )
        chosen = np.flatnonzero(np.asarray(result.x) > 0.5)
        over = use[chosen].sum(axis=0) - room
        # HiGHS keeps a limit to a millionth; money is kept to the cent.
        if (over <= 1e-12).all():
            break
        allowed = allowed - np.maximum(over, 0)
    if result.status != 0:
        text = (
            f"the plan is proved to be within {result.mip_gap:.1%} of the best, not closer, after {_TIME_LIMIT:.0f} s"
        )
        warnings.warn(text, stacklevel=5)
    return chosen
