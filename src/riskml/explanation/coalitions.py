"""Causes as players: what each cause adds when all its features enter together, and what two causes add as a pair.

A cause with twenty features that play one by one takes part in more coalitions than a cause with one. Here a coalition
is made of causes (the quotient game of Owen 1977): a leaf's conditions on the features of one cause hold together or
not at all, and the background stands in for all features of an absent cause at once. So a booster whose nodes ask for
causes instead of features is the same game, and :mod:`riskml.explanation.shapley` gives its values.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from riskml.causes import CAUSES
from riskml.explanation.shapley import Prepared, prepare, shapley_values
from riskml.explanation.trees import columns, decide, max_nodes
from riskml.explanation.units import place_of
from riskml.model.booster_text import Trees

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: What a cause gets: the sum of what its features get, each a player; or what it gets as a player itself.
CausesAs = Literal["sum", "players"]
#: Rows whose pairs are computed at once.
_ROWS = 256


class Game(NamedTuple):
    """What coalitions of features, or of causes, are worth.

    Attributes
    ----------
    trees : Trees
        The booster.
    background : ndarray of float64, shape (n_background, n_features), optional
        Rows that stand in for what is absent; None: path dependent.
    players : ndarray of int64, shape (n_features,)
        Place of each feature's cause in :data:`riskml.causes.CAUSES`.
    slope : float
        Of the calibration: what a margin counts in calibrated log-odds.
    """

    trees: Trees
    background: FloatArray | None
    players: IntArray
    slope: float


def places_of(dictionary: pd.DataFrame) -> IntArray:
    """Return the place in :data:`riskml.causes.CAUSES` of the cause of each feature of a dictionary."""
    places = {cause: place for place, cause in enumerate(CAUSES)}
    return np.array([places[cause] for cause in dictionary["cause"]], dtype=np.int64)


def summed(parts: FloatArray, players: IntArray) -> FloatArray:
    """Return the parts of features summed by cause, one feature after the other.

    A matrix product sums a single row in another order than many, so that a household alone and among others would
    differ in the last bit.

    Parameters
    ----------
    parts : ndarray of float64, shape (n_rows, n_features)
        What each feature gets.
    players : ndarray of int64, shape (n_features,)
        Place of each feature's cause.

    Returns
    -------
    ndarray of float64, shape (n_rows, 13)
        What each cause gets.
    """
    sums = np.zeros((len(CAUSES), len(parts)))
    for feature, place in enumerate(players):
        sums[place] += parts[:, feature]
    return sums.T


def ranked_by(values: FloatArray) -> FloatArray:
    """Return what causes are ranked by: their parts; one without any part comes last, ``other`` before the rest.

    So a cause without a part in the risk is not named, not even where all others lower it.

    Parameters
    ----------
    values : ndarray of float64, shape (n_rows, 13)
        Parts of the causes, in log-odds or points.

    Returns
    -------
    ndarray of float64, shape (n_rows, 13)
        Most first; of equal parts the first of :data:`riskml.causes.CAUSES`.
    """
    return np.where(values == 0, [-np.inf if cause != "other" else -1e300 for cause in CAUSES], values)


def cause_values(game: Game, X: FloatArray, causes: CausesAs = "players") -> FloatArray:
    """Return what each cause adds to the log-odds of rows.

    Parameters
    ----------
    game : Game
        The booster and what stands in for what is absent.
    X : ndarray of float64, shape (n_rows, n_features)
        Rows, NaN where missing.
    causes : {"players", "sum"}, default "players"
        Shapley values of the causes, or the sums of those of their features.

    Returns
    -------
    ndarray of float64, shape (n_rows, 13)
        Calibrated log-odds by cause; either way a row sums to its log-odds less their mean over the background.
    """
    if causes == "sum":
        return summed(game.slope * shapley_values(prepare(game.trees, game.background), X), game.players)
    values = np.zeros((len(X), len(CAUSES)))
    played = game.slope * shapley_values(_prepared(game), X)
    values[:, : played.shape[1]] = played
    return values


def cause_interactions(game: Game, X: FloatArray) -> FloatArray:
    """Return what each pair of causes adds to the log-odds of rows.

    Parameters
    ----------
    game : Game
        The booster and what stands in for what is absent.
    X : ndarray of float64, shape (n_rows, n_features)
        Rows, NaN where missing.

    Returns
    -------
    ndarray of float64, shape (n_rows, 13, 13)
        Calibrated log-odds, symmetric: two causes each have half their Shapley interaction index beside the other, and
        what a cause adds alone stands on the diagonal, so that a row sums to the cause's Shapley value.

    Notes
    -----
    Grabisch and Roubens 1999, "An axiomatic approach to the concept of interaction among players in cooperative games",
    define the index; it is the integral over t of the second derivative of Owen's multilinear extension, which for a
    leaf is a product over its causes, so that few quadrature points give it exactly.
    """
    prepared = _prepared(game)
    pairs = np.zeros((len(X), len(CAUSES), len(CAUSES)))
    for start in range(0, len(X), _ROWS):
        rows = slice(start, start + _ROWS)
        _add_pairs(*prepared[:6], columns(game.trees, X[rows]), pairs[rows])
    pairs *= game.slope
    own = np.arange(len(CAUSES))
    pairs[:, own, own] = cause_values(game, X) - pairs.sum(axis=2)
    return pairs


def _prepared(game: Game) -> Prepared:
    return prepare(game.trees, game.background, players=game.players)


@njit(cache=True, nogil=True)
def _add_pairs(trees, game, units, background, points, weights, values, out):  # type: ignore[no-untyped-def]
    """Add half the interaction of two players, of every leaf, to ``out[row, one, other]`` and ``[row, other, one]``.

    With x the share to which a player's conditions hold in the row and z in the background, a leaf is worth the product
    of t x + (1 - t) z at every t; its derivative by two players replaces their factors by x - z.
    """
    n_rows, n_background = values.shape[1], background.shape[1]
    goes_left = np.empty((max_nodes(trees), n_rows), dtype=np.uint8)
    goes_left_there = np.empty((max_nodes(trees), n_background), dtype=np.uint8)
    most = max(np.max(units.n_bits), 1) + 1
    player = np.empty(most, dtype=np.int64)
    here = np.empty((n_rows, most))
    there = np.empty((max(n_background, 1), most))
    for tree in range(len(trees.first_node) - 1):
        decide(trees, tree, values, goes_left)
        decide(trees, tree, background, goes_left_there)
        for leaf in range(trees.first_leaf[tree], trees.first_leaf[tree + 1]):
            n = 0
            child = -1 - leaf
            node = trees.leaf_parent[leaf]
            while node >= 0:
                k = place_of(player, 0, n, game.feature[node])
                if k == n:
                    here[:, k] = 1.0
                    there[:, k] = 1.0
                    n += 1
                is_left = trees.left[node] == child
                number = node - trees.first_node[tree]
                for row in range(n_rows):
                    if goes_left[number, row] != is_left:
                        here[row, k] = 0.0
                if n_background == 0:
                    passed = trees.node_rows[child] if child >= 0 else trees.leaf_rows[-1 - child]
                    there[0, k] *= passed / trees.node_rows[node]
                for row in range(n_background):
                    if goes_left_there[number, row] != is_left:
                        there[row, k] = 0.0
                child = node
                node = trees.parent[node]
            for row in range(n_rows):
                for other in range(len(there)):
                    share = trees.leaf_value[leaf] / len(there) / 2.0
                    _add_pairs_of(share, n, player, here[row], there[other], points, weights, out[row])


@njit(cache=True, nogil=True)
def _add_pairs_of(share, n, player, here, there, points, weights, out):  # type: ignore[no-untyped-def]
    for k in range(n):
        if here[k] == 0.0 and there[k] == 0.0:
            return
    # Degree n - 2 in t.
    m = n // 2
    for i in range(n):
        for j in range(i):
            difference = (here[i] - there[i]) * (here[j] - there[j])
            if difference == 0.0:
                continue
            integral = 0.0
            for point in range(m):
                t = points[m, point]
                product = weights[m, point]
                for k in range(n):
                    if k not in (i, j):
                        product *= t * here[k] + (1.0 - t) * there[k]
                integral += product
            out[player[i], player[j]] += share * difference * integral
            out[player[j], player[i]] += share * difference * integral
