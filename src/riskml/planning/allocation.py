"""Who gets what: at most one package a household, most gain, within limits and above floors, with a proved gap.

A multiple-choice knapsack with coupling limits. Prices of the limits (the Lagrangian dual) bound what any allocation
can gain; moves at the prices make an allocation that keeps the limits; the distance between the two is the gap. Where
what is open is small, branch and bound closes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csc_array, csr_array

from riskml.planning.prices import bound_at, find_prices, price_table
from riskml.planning.repair import counts, moves_within, repair

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Allocation:
    """What was chosen, and how good it is.

    Attributes
    ----------
    choice : ndarray of int, shape (n_households,)
        The package of each household, -1 for none.
    gain : float
        What the choices gain together.
    bound : float
        What no allocation exceeds that keeps limits and floors.
    prices : ndarray of shape (n_limits,)
        What one more unit of each limit would gain, and one unit less of each floor.
    floors_kept : bool
        Whether every floor is reached.
    """

    choice: IntArray
    gain: float
    bound: float
    prices: FloatArray
    floors_kept: bool


def allocate(gain: FloatArray, kind: IntArray, use: csr_array, limits: FloatArray) -> Allocation:
    """Choose packages so that their gain is largest.

    Parameters
    ----------
    gain : ndarray of shape (n_households, n_packages)
        What a package gains at a household; minus infinity where it may not be given.
    kind : ndarray of int, shape (n_households,)
        Households of one kind use the same of each limit.
    use : csr_array of shape (n_limits, n_kinds * n_packages)
        What a package given to a household of a kind uses of each limit, at most the limit; below zero for a floor.
    limits : ndarray of shape (n_limits,)
        How much there is, above zero and finite; or, after all of these, minus what a floor asks for.

    Returns
    -------
    Allocation
        Every limit is kept to a ten-billionth. Floors are kept where a way was found.

    Notes
    -----
    Fisher (1981), "The Lagrangian relaxation method for solving integer programming problems". An option that loses
    more at the prices than the gap is in no better allocation (Nemhauser and Wolsey 1988); branch and bound (HiGHS) is
    run on the others where they are few.

    Examples
    --------
    >>> gain, cost = np.array([[5.0, 4.0], [-np.inf, 3.0]]), csr_array(np.array([[3.0, 2.0]]))
    >>> found = allocate(gain, np.array([0, 0]), cost, np.array([4.0]))
    >>> found.choice.tolist(), found.gain, round(found.bound, 6)
    ([1, 1], 7.0, 7.0)
    """
    prices = find_prices(gain, kind, use, limits)
    bound, wished = bound_at(gain, kind, use, limits, prices)
    choice = repair(gain, kind, use, limits, prices, wished)
    bound, choice = _finish(gain, kind, use, limits, prices, bound, wished, choice)
    left = limits - use @ counts(kind, choice, (use.shape[1] // gain.shape[1], gain.shape[1]))
    kept = left >= -1e-9 * np.abs(limits)
    return Allocation(choice, _total(gain, choice), bound, prices, bool(kept.all()))


#: Options of a core that branch and bound is given, and its nodes; fewer where the gap is good without it.
_MAX_CORE = 1_500
_SMALL_CORE = 200
_GOOD_GAP = 2e-4
_MAX_NODES = 2_000


def _total(gain: FloatArray, choice: IntArray) -> float:
    given = np.flatnonzero(choice >= 0)
    return float(gain[given, choice[given]].sum())


def _finish(
    gain: FloatArray, kind: IntArray, use: csr_array, limits: FloatArray, prices: FloatArray, bound: float,
    wished: IntArray, choice: IntArray,
) -> tuple[float, IntArray]:  # fmt: skip
    """Return the bound and the allocation after branch and bound over the options that could still be better."""
    shape = (use.shape[1] // gain.shape[1], gain.shape[1])
    short = limits - use @ counts(kind, choice, shape) < -1e-9 * np.abs(limits)
    slack = (bound - _total(gain, choice)) * (1 + 1e-9) + 1e-12
    if short.any():
        slack = np.inf
    elif slack <= 1e-6 * bound:
        return bound, choice
    household, package, _ = moves_within(gain, kind, price_table(prices, use, shape), wished, slack)
    if len(household) > (_MAX_CORE if slack > _GOOD_GAP * bound else _SMALL_CORE):
        return bound, choice
    open_ = np.unique(household)
    household, package = np.append(household, open_), np.append(package, wished[open_])
    given = package >= 0
    household, package = household[given], package[given]
    fixed = wished.copy()
    fixed[open_] = -1
    room = limits - use @ counts(kind, fixed, shape)
    best, found = _branch_and_bound(
        gain[household, package], household, csc_array(use)[:, kind[household] * shape[1] + package], room, limits
    )
    if found is None:
        return bound, choice
    improved = fixed.copy()
    improved[household[found]] = package[found]
    if short.any() or _total(gain, improved) > _total(gain, choice):
        choice = improved
    return min(bound, max(best + _total(gain, fixed), _total(gain, choice))), choice


def _branch_and_bound(
    gain: FloatArray, household: IntArray, use: csc_array, room: FloatArray, limits: FloatArray
) -> tuple[float, IntArray | None]:
    """Return a bound, and the positions of the best options (None if none keep the limits)."""
    rows = np.unique(household, return_inverse=True)[1]
    if not len(gain):
        return np.inf, None
    one_each = csr_array((np.ones(len(gain)), (rows, np.arange(len(gain)))))
    size = np.abs(limits)
    scaled = csr_array(use.multiply(1.0 / size[:, None]))
    allowed = room / size
    for _ in range(20):
        result = milp(
            -gain,
            constraints=[
                LinearConstraint(one_each, ub=1),
                *([LinearConstraint(scaled, ub=allowed)] if len(room) else []),
            ],
            integrality=np.ones(len(gain), dtype=np.int64),
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": 1e-7, "node_limit": _MAX_NODES},
        )
        if result.x is None:
            return np.inf, None
        chosen = np.flatnonzero(result.x > 0.5)
        over = scaled[:, chosen].sum(axis=1) - room / size
        # HiGHS keeps a limit to a millionth; money is kept to the cent.
        if (over <= 1e-10).all():
            return -float(result.mip_dual_bound), chosen
        allowed = allowed - np.maximum(over, 0) * (1 + 1e-9)
    return np.inf, None
