"""Prices of limits: what one more unit of money or one more place is worth, and an upper bound of what any plan averts.

With a price on every limit each household answers on its own, so that the work is one pass over the options. The prices
that make the bound smallest are found on a smoothed version of it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def find_prices(gain: FloatArray, kind: IntArray, use: csr_array, limits: FloatArray) -> FloatArray:
    """Return prices of limits that make the bound of :func:`bound_at` about as small as it can be.

    Parameters
    ----------
    gain : ndarray of shape (n_households, n_packages)
        What a package gains at a household; minus infinity where it may not be given.
    kind : ndarray of int, shape (n_households,)
        Which row of a table of prices holds for the household.
    use : csr_array of shape (n_limits, n_kinds * n_packages)
        What a package given to a household of a kind uses of each limit; below zero for a floor.
    limits : ndarray of shape (n_limits,)
        How much there is, not zero; below zero for a floor.

    Returns
    -------
    ndarray of shape (n_limits,)
        Gain per unit of the limit, zero or more.

    Notes
    -----
    The dual function is smoothed by the logarithm of a sum of exponentials (Nesterov 2005, "Smooth minimization of
    non-smooth functions") and minimised by L-BFGS-B while the smoothing is taken back. Any prices give a valid bound,
    so that how well this goes decides on the size of the gap, never on its truth. Where there are many households, a
    sample of them gives prices to start from.
    """
    n = len(gain)
    if not len(limits) or not n:
        return np.zeros(len(limits))
    worth = np.zeros(len(limits))
    if n > 2 * _SAMPLE:
        some = np.random.default_rng(0).choice(n, _SAMPLE, replace=False)
        worth = _descend(gain[some], kind[some], use, limits * (_SAMPLE / n), worth, _COOLING[:-1]) * (n / _SAMPLE)
        return _descend(gain, kind, use, limits, worth, _COOLING[-2:-1]) / np.abs(limits)
    return _descend(gain, kind, use, limits, worth, _COOLING) / np.abs(limits)


def price_table(prices: FloatArray, use: csr_array, shape: tuple[int, int]) -> FloatArray:
    """Return what each package costs a household of each kind at these prices, (n_kinds, n_packages)."""
    return np.asarray(use.T @ prices).reshape(shape)


def bound_at(
    gain: FloatArray, kind: IntArray, use: csr_array, limits: FloatArray, prices: FloatArray
) -> tuple[float, IntArray]:
    """Return the most that any allocation can gain, proved by these prices, and what each household would choose.

    Parameters
    ----------
    gain, kind, use, limits : arrays
        As in :func:`find_prices`.
    prices : ndarray of shape (n_limits,)
        Zero or more.

    Returns
    -------
    bound : float
        The Lagrangian dual at the prices.
    choice : ndarray of int, shape (n_households,)
        The package with the largest gain net of its price, -1 where none is above zero.
    """
    table = price_table(prices, use, (use.shape[1] // gain.shape[1], gain.shape[1]))
    choice = np.empty(len(gain), dtype=np.int64)
    return float(prices @ limits + _answers(gain, kind, table, choice)), choice


#: Smoothing as a share of the mean gain of a household's best package; the last only where households are few.
_COOLING = (0.1, 0.01, 0.001, 0.0001)
#: Households that give the first prices where there are many.
_SAMPLE = 20_000
_MAX_STEPS = 200


def _descend(
    gain: FloatArray, kind: IntArray, use: csr_array, limits: FloatArray, worth: FloatArray, cooling: tuple[float, ...]
) -> FloatArray:
    """Return the worth of each whole limit (price times size) after descending through the temperatures."""
    size, shape = np.abs(limits), (use.shape[1] // gain.shape[1], gain.shape[1])
    best = np.maximum(gain.max(axis=1), 0.0)
    total, mean = best.sum(), best.sum() / max((best > 0).sum(), 1)
    if not total > 0:
        return worth

    def dual(guess: FloatArray, temperature: float) -> tuple[float, FloatArray]:
        prices = guess * total / size
        load = np.zeros(shape)
        value = _smooth_answers(gain, kind, price_table(prices, use, shape), temperature, load)
        return (value + prices @ limits) / total, (limits - use @ load.ravel()) / size

    guess = worth / total
    for share in cooling:
        # A price above the whole gain forbids its limit, so that no price needs to be higher.
        found = minimize(
            dual, guess, args=(share * mean,), jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(limits),
            options={"maxiter": _MAX_STEPS, "ftol": 1e-10, "gtol": 1e-7},
        )  # fmt: skip
        guess = found.x
    return guess * total


@njit(cache=True, nogil=True)
def _answers(gain: FloatArray, kind: IntArray, price: FloatArray, choice: IntArray) -> float:
    """Write each household's best package at the prices and return the sum of the gains net of price."""
    value = 0.0
    for household in range(len(gain)):
        best, chosen = 0.0, -1
        for package in range(gain.shape[1]):
            net = gain[household, package] - price[kind[household], package]
            if net > best:
                best, chosen = net, package
        choice[household] = chosen
        value += best
    return value


@njit(cache=True, nogil=True)
def _smooth_answers(gain: FloatArray, kind: IntArray, price: FloatArray, temperature: float, load: FloatArray) -> float:
    """Add up how many of each kind choose each package, shared out among near ties, and return the smoothed sum."""
    value = 0.0
    net = np.empty(gain.shape[1])
    for household in range(len(gain)):
        of = kind[household]
        best = 0.0
        for package in range(gain.shape[1]):
            net[package] = gain[household, package] - price[of, package]
            best = max(best, net[package])
        # Below e^-30 nothing is added to the sum that float64 would keep in what follows.
        floor = best - 30.0 * temperature
        total = np.exp(-best / temperature) if floor < 0.0 else 0.0
        for package in range(gain.shape[1]):
            if net[package] > floor:
                net[package] = np.exp((net[package] - best) / temperature)
                total += net[package]
            else:
                net[package] = 0.0
        for package in range(gain.shape[1]):
            if net[package] > 0.0:
                load[of, package] += net[package] / total
        value += best + temperature * np.log(total)
    return value
