"""From prices to an allocation that keeps every limit: moves of single households and swaps of two, cheapest first.

What a move loses is counted at the prices, so that the moves considered first are near ties: an allocation made of
near ties that uses up what has a price is close to the bound.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from riskml.planning.prices import price_table

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def repair(
    gain: FloatArray, kind: IntArray, use: csr_array, limits: FloatArray, prices: FloatArray, choice: IntArray
) -> IntArray:
    """Return an allocation near ``choice`` that keeps the limits, and the floors as far as these moves find a way.

    Parameters
    ----------
    gain, kind, use, limits : arrays
        As in :func:`riskml.planning.prices.find_prices`; floors, with ``limits`` below zero, stand last.
    prices : ndarray of shape (n_limits,)
        Gain per unit of each limit.
    choice : ndarray of int, shape (n_households,)
        The package of each household at the prices, -1 for none.

    Returns
    -------
    ndarray of int, shape (n_households,)
        The package of each household. Every limit that is no floor is kept.
    """
    table = price_table(prices, use, (use.shape[1] // gain.shape[1], gain.shape[1]))
    choice, n_ceilings, n = choice.copy(), int((limits > 0).sum()), len(limits)
    columns = csc_array(use)
    start, limit, amount = columns.indptr.astype(np.int64), columns.indices.astype(np.int64), columns.data
    slack = _TOLERANCE * np.abs(limits)
    left = limits - use @ counts(kind, choice, table.shape) + slack
    # Floors first, whatever it costs; then the limits without breaking a floor; then at any price.
    for first, last in ((n_ceilings, n), (0, n), (0, n_ceilings)):
        for width in _widths(gain):
            if (left[first:last] >= 0).all():
                break
            moves = _sorted_moves(gain, kind, table, choice, width)
            _mend(*moves, gain, kind, choice, left, start, limit, amount, first, last)
    for width in _widths(gain)[:2]:
        moves = _sorted_moves(gain, kind, table, choice, width)
        _fill(*moves, gain, kind, choice, left, start, limit, amount)
    for _ in range(_ROUNDS):
        moves = _sorted_moves(gain, kind, table, choice, _widths(gain)[0])
        up, down = (_first(moves, gain, choice, rising) for rising in (True, False))
        if not _swap(*up, *down, gain, kind, choice, left, start, limit, amount):
            break
    return choice


def counts(kind: IntArray, choice: IntArray, shape: tuple[int, int]) -> FloatArray:
    """Return how many households of each kind have each package, flat: shape (n_kinds * n_packages,)."""
    given = choice >= 0
    counted = np.bincount(kind[given] * shape[1] + choice[given], minlength=shape[0] * shape[1])
    return counted.astype(np.float64)


#: A limit is kept to this share of it, which is less than a cent of ten million.
_TOLERANCE = 1e-10
#: Moves to look at first.
_FEW = 40_000
#: Moves of each direction in a round of swaps, and rounds.
_SWAPPED = 1_500
_ROUNDS = 8


def _widths(gain: FloatArray) -> list[float]:
    """Return how much a move may lose: first so that there are few, then more, then any."""
    able = gain[np.isfinite(gain)]
    first = able.mean() * min(_FEW / len(able), 1.0) if len(able) else 1.0
    return [first, 8 * first, 64 * first, np.inf]


def _sorted_moves(
    gain: FloatArray, kind: IntArray, table: FloatArray, choice: IntArray, width: float
) -> tuple[IntArray, IntArray]:
    """Return households and the packages to give them instead, smallest loss first."""
    household, package, loss = moves_within(gain, kind, table, choice, width)
    order = np.argsort(loss, kind="stable")
    return household[order], package[order]


def _first(
    moves: tuple[IntArray, IntArray], gain: FloatArray, choice: IntArray, rising: bool
) -> tuple[IntArray, IntArray]:
    """Return the first moves that raise the gain, or that lower it."""
    household, package = moves
    new, old = (np.where(one >= 0, gain[household, np.maximum(one, 0)], 0.0) for one in (package, choice[household]))
    wanted = np.flatnonzero(new > old if rising else new < old)[:_SWAPPED]
    return household[wanted], package[wanted]


@njit(cache=True, nogil=True)
def moves_within(
    gain: FloatArray, kind: IntArray, table: FloatArray, choice: IntArray, width: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return every move that loses at most ``width`` at the prices: household, package (-1: none), loss."""
    n_found = 0
    for fill in range(2):
        if fill:
            household, package, loss = np.empty(n_found, np.int64), np.empty(n_found, np.int64), np.empty(n_found)
            n_found = 0
        for h in range(len(gain)):
            now = gain[h, choice[h]] - table[kind[h], choice[h]] if choice[h] >= 0 else 0.0
            for p in range(-1, gain.shape[1]):
                if p == choice[h]:
                    continue
                lost = now - (gain[h, p] - table[kind[h], p]) if p >= 0 else now
                if lost <= width and lost < np.inf:
                    if fill:
                        household[n_found], package[n_found], loss[n_found] = h, p, lost
                    n_found += 1
    return household, package, loss


@njit(cache=True, nogil=True)
def _shift(left: FloatArray, column: int, sign: float, start: IntArray, limit: IntArray, amount: FloatArray) -> None:
    """Take what a package uses off what is left, or give it back."""
    for entry in range(start[column], start[column + 1]):
        left[limit[entry]] -= sign * amount[entry]


@njit(cache=True, nogil=True)
def _give(
    h: int, p: int, width: int, kind: IntArray, choice: IntArray, left: FloatArray,
    start: IntArray, limit: IntArray, amount: FloatArray,
) -> None:  # fmt: skip
    """Give a household a package instead of the one it has."""
    if choice[h] >= 0:
        _shift(left, kind[h] * width + choice[h], -1.0, start, limit, amount)
    if p >= 0:
        _shift(left, kind[h] * width + p, 1.0, start, limit, amount)
    choice[h] = p


@njit(cache=True, nogil=True)
def _worse_better(
    h: int, old: int, new: int, width: int, kind: IntArray, before: FloatArray, left: FloatArray,
    start: IntArray, limit: IntArray, amount: FloatArray, first: int, last: int,
) -> tuple[bool, bool]:  # fmt: skip
    """Return whether some limit from ``first`` to ``last`` is now more broken than before, and whether one is less."""
    worse, better = False, False
    for p in (old, new):
        if p < 0:
            continue
        column = kind[h] * width + p
        for entry in range(start[column], start[column + 1]):
            one = limit[entry]
            if first <= one < last:
                was, now = min(before[one], 0.0), min(left[one], 0.0)
                worse |= now < was
                better |= now > was
    return worse, better


@njit(cache=True, nogil=True)
def _remember(
    h: int, old: int, new: int, width: int, kind: IntArray, before: FloatArray, left: FloatArray,
    start: IntArray, limit: IntArray,
) -> None:  # fmt: skip
    """Note what is left of the limits that a move touches."""
    for p in (old, new):
        if p >= 0:
            column = kind[h] * width + p
            for entry in range(start[column], start[column + 1]):
                before[limit[entry]] = left[limit[entry]]


@njit(cache=True, nogil=True)
def _mend(
    household: IntArray, package: IntArray, gain: FloatArray, kind: IntArray, choice: IntArray, left: FloatArray,
    start: IntArray, limit: IntArray, amount: FloatArray, first: int, last: int,
) -> None:  # fmt: skip
    """Make the moves that leave a limit less broken and none more."""
    before, width = np.empty(len(left)), gain.shape[1]
    for move in range(len(household)):
        h, p, old = household[move], package[move], choice[household[move]]
        _remember(h, old, p, width, kind, before, left, start, limit)
        _give(h, p, width, kind, choice, left, start, limit, amount)
        worse, better = _worse_better(h, old, p, width, kind, before, left, start, limit, amount, first, last)
        if worse or not better:
            _give(h, old, width, kind, choice, left, start, limit, amount)


@njit(cache=True, nogil=True)
def _gains(h: int, p: int, gain: FloatArray) -> float:
    return gain[h, p] if p >= 0 else 0.0


@njit(cache=True, nogil=True)
def _fill(
    household: IntArray, package: IntArray, gain: FloatArray, kind: IntArray, choice: IntArray, left: FloatArray,
    start: IntArray, limit: IntArray, amount: FloatArray,
) -> None:  # fmt: skip
    """Make the moves that gain something and for which there is room."""
    before, width = np.empty(len(left)), gain.shape[1]
    for move in range(len(household)):
        h, p, old = household[move], package[move], choice[household[move]]
        if _gains(h, p, gain) <= _gains(h, old, gain):
            continue
        _remember(h, old, p, width, kind, before, left, start, limit)
        _give(h, p, width, kind, choice, left, start, limit, amount)
        if _worse_better(h, old, p, width, kind, before, left, start, limit, amount, 0, len(left))[0]:
            _give(h, old, width, kind, choice, left, start, limit, amount)


@njit(cache=True, nogil=True)
def _swap(
    up_household: IntArray, up_package: IntArray, down_household: IntArray, down_package: IntArray, gain: FloatArray,
    kind: IntArray, choice: IntArray, left: FloatArray, start: IntArray, limit: IntArray, amount: FloatArray,
) -> int:  # fmt: skip
    """Let one household's package make room for a better one of another; return how often that gained something."""
    before, width, n_swapped = left.copy(), gain.shape[1], 0
    moved = np.zeros(len(gain), np.bool_)
    for up in range(len(up_household)):
        a, p, was_a = up_household[up], up_package[up], choice[up_household[up]]
        if moved[a]:
            continue
        rise = _gains(a, p, gain) - _gains(a, was_a, gain)
        for down in range(len(down_household)):
            b, q, was_b = down_household[down], down_package[down], choice[down_household[down]]
            if a == b or moved[b] or rise + _gains(b, q, gain) - _gains(b, was_b, gain) <= 1e-12:
                continue
            _remember(a, was_a, p, width, kind, before, left, start, limit)
            _remember(b, was_b, q, width, kind, before, left, start, limit)
            _give(b, q, width, kind, choice, left, start, limit, amount)
            _give(a, p, width, kind, choice, left, start, limit, amount)
            worse = _worse_better(a, was_a, p, width, kind, before, left, start, limit, amount, 0, len(left))[0]
            worse |= _worse_better(b, was_b, q, width, kind, before, left, start, limit, amount, 0, len(left))[0]
            if worse:
                _give(a, was_a, width, kind, choice, left, start, limit, amount)
                _give(b, was_b, width, kind, choice, left, start, limit, amount)
            else:
                moved[a] = moved[b] = True
                n_swapped += 1
                break
    return n_swapped
