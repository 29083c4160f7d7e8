"""Exact Shapley values of a booster, from tables that are made once and looked up for every row.

A leaf is reached if the conditions of all features on its path hold. So what it gives to a row depends only on the
pattern of features whose conditions hold, and for d features there are 2 to the power of d patterns. Leaves that share
most of their path have one table (:mod:`riskml.explanation.units`). A row then costs, for each table, one pattern and
one addition a feature.

A coalition is worth the mean over a background in which the features outside the coalition are drawn: each on its own,
by the share of training rows that took each branch (path dependent), or all together, from the rows of a sample
(interventional). Either way the background is a chance for each pattern, and the same steps make the table.

Lundberg, Erion, Chen et al. 2020, "From local explanations to global understanding with explainable AI for trees",
define both values; Owen 1972, "Multilinear extensions of games", gives the integral that the tables use.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numba
import numpy as np
from numba import njit
from numpy.typing import NDArray

from riskml.explanation.trees import BLOCK_ROWS, columns, decide, margins, max_nodes
from riskml.explanation.units import Units, place_of, units_of
from riskml.model.booster_text import Trees

FloatArray = NDArray[np.float64]
#: Conditions a unit of several leaves has at most, so that a pattern fits a byte.
MAX_BITS = 8
#: Numbers in the tables held at once: 200 MB. Where a booster needs more, they are made in parts, anew for each call.
MAX_CELLS = 25_000_000
#: Rows that are worth a thread.
FEW_ROWS = 128


class Prepared(NamedTuple):
    """A booster whose Shapley values can be looked up.

    Attributes
    ----------
    trees : Trees
        The booster.
    game : Trees
        The same with players for features: which player each node belongs to, and how many there are.
    units : Units
        Its leaves in units, each with a table.
    background : ndarray of float64, shape (n_features, n_background)
        Values that stand in for absent features; none if path dependent.
    points, weights : ndarray of float64, shape (n, n)
        Row ``m``: Gauss-Legendre quadrature from 0 to 1 with ``m`` points.
    parts : list of tuple of int
        Trees whose tables are held at once: the first and the one after the last.
    cells : ndarray of float64, optional
        The tables, if one part holds all trees.
    base_value : float
        Mean margin over the background.
    """

    trees: Trees
    game: Trees
    units: Units
    background: FloatArray
    points: FloatArray
    weights: FloatArray
    parts: list[tuple[int, int]]
    cells: FloatArray | None
    base_value: float


def prepare(
    trees: Trees, background: FloatArray | None = None, *, players: NDArray[np.int64] | None = None
) -> Prepared:
    """Make the tables of a booster.

    Parameters
    ----------
    trees : Trees
        The booster (:func:`riskml.model.booster_text.trees_of`).
    background : ndarray of float64, shape (n_background, n_features), optional
        Rows that stand in for absent features (interventional). By default absent features take each branch as often
        as training rows did (path dependent): LightGBM's ``pred_contrib``.
    players : ndarray of int64, shape (n_features,), optional
        Number of the player each feature belongs to, from 0: the features of one enter a coalition together. By
        default each feature is a player.

    Returns
    -------
    Prepared
        For :func:`shapley_values`.

    Raises
    ------
    ValueError
        If the background has no rows, or other columns than the booster.
    """
    if background is None:
        # A tree of one leaf does not always count its rows.
        rows = np.maximum(trees.leaf_rows, 1)
        rows_of_tree = np.add.reduceat(rows, trees.first_leaf[:-1])
        chance = rows / np.repeat(rows_of_tree, np.diff(trees.first_leaf))
        base_value, values = float((chance * trees.leaf_value).sum()), np.empty((trees.n_features, 0))
    elif len(background):
        base_value, values = float(margins(trees, background).mean()), columns(trees, background)
    else:
        raise ValueError("the background has no rows; give some, or none at all for path dependent values")
    game = trees
    if players is not None:
        game = trees._replace(n_features=int(players.max()) + 1, feature=players[trees.feature])
    units = units_of(game, max_bits=MAX_BITS, n_background=values.shape[1])
    points, weights = _quadrature(max(MAX_BITS, int(units.n_bits.max())))
    parts = _parts(units.first_cell[units.first_unit])
    prepared = Prepared(trees, game, units, values, points, weights, parts, None, base_value)
    return prepared._replace(cells=_cells(prepared, *parts[0])) if len(parts) == 1 else prepared


def shapley_values(prepared: Prepared, X: FloatArray, *, n_jobs: int | None = None) -> FloatArray:
    """Return the Shapley values of rows, which with ``base_value`` add up to their margins.

    Parameters
    ----------
    prepared : Prepared
        What :func:`prepare` returned.
    X : ndarray of float64, shape (n_rows, n_features)
        Rows, NaN where missing.
    n_jobs : int, optional
        Threads, without influence on the result; default as many as numba is allowed (``NUMBA_NUM_THREADS``).

    Returns
    -------
    ndarray of float64, shape (n_rows, n_players)
        Contributions to the margin, one a feature unless it was prepared for other players; a row's do not depend on
        which other rows there are.

    Raises
    ------
    ValueError
        If X has other columns than the booster.
    """
    n_jobs = n_jobs or numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    out = np.zeros((len(X), prepared.game.n_features))
    n_rows = min(max(-(-len(X) // n_jobs), FEW_ROWS), BLOCK_ROWS)
    blocks = [slice(start, start + n_rows) for start in range(0, len(X), n_rows)]
    for part in prepared.parts:
        cells = _cells(prepared, *part) if prepared.cells is None else prepared.cells
        fill = partial(_fill, prepared, part, cells, X, out)
        if n_jobs == 1 or len(blocks) <= 1:
            for block in blocks:
                fill(block)
        else:
            with ThreadPoolExecutor(n_jobs) as pool:
                list(pool.map(fill, blocks))
    return out


def _fill(
    prepared: Prepared, part: tuple[int, int], cells: FloatArray, X: FloatArray, out: FloatArray, block: slice
) -> None:
    """Add what the trees of a part give to the rows of a block."""
    values = columns(prepared.trees, X[block])
    added = np.zeros((out.shape[1], values.shape[1]))
    _add(prepared.trees, prepared.units, prepared.points, prepared.weights, *part, MAX_BITS, cells, values, added)
    out[block] += added.T


def _parts(first_cell: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return runs of trees with at most MAX_CELLS numbers in their tables, given where those of each tree begin."""
    parts, start = [], 0
    while start < len(first_cell) - 1:
        fitting = int(np.searchsorted(first_cell, first_cell[start] + MAX_CELLS, side="right")) - 1
        parts.append((start, max(fitting, start + 1)))
        start = parts[-1][1]
    return parts


def _cells(prepared: Prepared, start: int, end: int) -> FloatArray:
    """Return the tables of the trees from ``start`` to before ``end``."""
    first_cell = prepared.units.first_cell[prepared.units.first_unit[[start, end]]]
    cells = np.zeros(first_cell[1] - first_cell[0])
    _tabulate(*prepared[:6], start, end, MAX_BITS, cells)
    return cells


def _quadrature(n_bits: int) -> tuple[FloatArray, FloatArray]:
    """Return points and weights for products of up to ``n_bits`` factors: ``m`` points are exact for 2 ``m``."""
    n = (n_bits + 1) // 2 + 1
    points, weights = np.zeros((n, n)), np.zeros((n, n))
    for m in range(1, n):
        x, weight = np.polynomial.legendre.leggauss(m)
        points[m, :m], weights[m, :m] = (x + 1) / 2, weight / 2
    return points, weights


@njit(cache=True, nogil=True)
def _tabulate(trees, game, units, background, points, weights, start, end, max_bits, cells):  # type: ignore[no-untyped-def]
    """Add up the tables of the leaves of each unit."""
    n_background = background.shape[1]
    goes_left = np.empty((max_nodes(trees), n_background), dtype=np.uint8)
    most = max(max_bits, units.n_bits.max())
    feature = np.empty(most + 1, dtype=np.int64)
    slot = np.empty(most, dtype=np.int64)
    mask = np.empty(most, dtype=np.int64)
    wanted = np.empty(most, dtype=np.int64)
    holds = np.empty((max(n_background, 1), most))
    chance = np.empty(1 << max_bits)
    table = np.empty((max_bits, 1 << max_bits))
    ones = np.zeros(1 << max_bits, dtype=np.int64)
    for pattern in range(1, len(ones)):
        ones[pattern] = ones[pattern >> 1] + (pattern & 1)
    for tree in range(start, end):
        decide(trees, tree, background, goes_left)
        for leaf in range(trees.first_leaf[tree], trees.first_leaf[tree + 1]):
            unit = units.of_leaf[leaf]
            first_feature = units.first_feature[unit]
            n = 0
            child = -1 - leaf
            node = trees.leaf_parent[leaf]
            while node >= 0:
                # Feature k of the path: how far its conditions hold in the background (a share, or 0 or 1 in each row),
                # and which bits of the unit's pattern have which value where they hold.
                k = place_of(feature, 0, n, game.feature[node])
                if k == n:
                    slot[k] = place_of(units.feature, first_feature, len(units.feature), feature[k]) - first_feature
                    mask[k] = wanted[k] = 0
                    for row in range(len(holds)):
                        holds[row, k] = 1.0
                    n += 1
                is_left = trees.left[node] == child
                is_inside = units.of_node[node] == unit
                bit = units.bit_of_node[node] if is_inside else slot[k]
                mask[k] |= 1 << bit
                if is_left or not is_inside:
                    wanted[k] |= 1 << bit
                if n_background == 0:
                    rows = trees.node_rows[child] if child >= 0 else trees.leaf_rows[-1 - child]
                    holds[0, k] *= rows / trees.node_rows[node]
                for row in range(n_background):
                    if goes_left[node - trees.first_node[tree], row] != is_left:
                        holds[row, k] = 0.0
                child = node
                node = trees.parent[node]
            cell = units.first_cell[unit] - units.first_cell[units.first_unit[start]]
            n_bits = units.n_bits[unit]
            if n_bits > max_bits:
                for row in range(len(holds)):
                    for k in range(n):
                        cells[cell + row * n + k] = holds[row, k]
                continue
            _chances(holds, n, n_background, chance)
            _leaf_table(trees.leaf_value[leaf], n, chance, ones, points, weights, table)
            for pattern in range(1 << n_bits):
                held = 0
                for k in range(n):
                    if pattern & mask[k] == wanted[k]:
                        held |= 1 << k
                for k in range(n):
                    cells[cell + (slot[k] << n_bits) + pattern] += table[k, held]


@njit(cache=True, nogil=True)
def _chances(holds, n, n_background, chance):  # type: ignore[no-untyped-def]
    """Fill in how often each pattern occurs in the background."""
    for pattern in range(1 << n):
        chance[pattern] = 0.0
    if n_background == 0:
        chance[0] = 1.0
        for k in range(n):
            for pattern in range(1 << k):
                chance[pattern | 1 << k] = chance[pattern] * holds[0, k]
                chance[pattern] *= 1.0 - holds[0, k]
    for row in range(n_background):
        pattern = 0
        for k in range(n):
            if holds[row, k] == 1.0:
                pattern |= 1 << k
        chance[pattern] += 1.0
    if n_background > 0:
        for pattern in range(1 << n):
            chance[pattern] /= n_background


@njit(cache=True, nogil=True)
def _leaf_table(value, n, chance, ones, points, weights, table):  # type: ignore[no-untyped-def]
    """Fill in what each of a leaf's features gets for each pattern of a row.

    For a row in which the features A hold and a background in which B hold, the leaf is reached by the coalitions that
    hold A minus B and nothing of B minus A, if A and B hold all features together. With p and q their numbers, the
    Shapley value is (p-1)! q! / (p+q)! for a feature of A minus B, and -p! (q-1)! / (p+q)! for one of B minus A. These
    are the integrals of t^(p-1) (1-t)^q and t^p (1-t)^(q-1) from 0 to 1, which few points give exactly; at each point
    the sum over all B that hold what A does not is a sum over supersets.
    """
    size = 1 << n
    table[:n, :size] = 0.0
    sums = np.empty(size)
    power = np.ones((2, n + 1))
    m = (n + 1) // 2
    for point in range(m):
        t = points[m, point]
        for k in range(n):
            power[0, k + 1] = power[0, k] * t
            power[1, k + 1] = power[1, k] * (1.0 - t)
        for pattern in range(size):
            sums[pattern] = chance[pattern] * power[0, n - ones[pattern]]
        for k in range(n):
            for pattern in range(size):
                if not pattern >> k & 1:
                    sums[pattern] += sums[pattern | 1 << k]
        for held in range(size):
            lacking = size - 1 - held
            scale = value * weights[m, point] * power[1, ones[lacking]]
            for k in range(n):
                if held >> k & 1:
                    table[k, held] += scale / t * (sums[lacking] - sums[lacking | 1 << k])
                else:
                    table[k, held] -= scale / (1.0 - t) * sums[lacking]


@njit(cache=True, nogil=True)
def _add(trees, units, points, weights, start, end, max_bits, cells, values, out):  # type: ignore[no-untyped-def]
    """Add the contributions of the trees from ``start`` to before ``end`` to ``out[feature, row]``."""
    n_rows = values.shape[1]
    goes_left = np.empty((max_nodes(trees), n_rows), dtype=np.uint8)
    bits = np.empty((max(max_bits, np.max(units.n_bits)), n_rows), dtype=np.uint8)
    pattern = np.empty(n_rows, dtype=np.uint8)
    base = units.first_cell[units.first_unit[start]]
    for tree in range(start, end):
        decide(trees, tree, values, goes_left)
        for unit in range(units.first_unit[tree], units.first_unit[tree + 1]):
            n_bits = units.n_bits[unit]
            bits[:n_bits] = 1
            for look in range(units.first_look[unit], units.first_look[unit + 1]):
                bit = bits[units.bit[look]]
                left = goes_left[units.node[look]]
                if units.left[look]:
                    for row in range(n_rows):
                        bit[row] &= left[row]
                else:
                    for row in range(n_rows):
                        bit[row] &= 1 - left[row]
            features = units.feature[units.first_feature[unit] : units.first_feature[unit + 1]]
            table = cells[units.first_cell[unit] - base : units.first_cell[unit + 1] - base]
            if n_bits > max_bits:
                value = trees.leaf_value[-1 - units.root[unit]]
                _add_leaf(value, features, bits, table.reshape(-1, n_bits), points, weights, out)
                continue
            pattern[:] = 0
            for k in range(n_bits):
                bit = bits[k]
                for row in range(n_rows):
                    pattern[row] |= bit[row] << k
            for k in range(len(features)):
                entries = table[k << n_bits : (k + 1) << n_bits]
                contribution = out[features[k]]
                for row in range(n_rows):
                    contribution[row] += entries[pattern[row]]


@njit(cache=True, nogil=True)
def _add_leaf(value, features, bits, holds, points, weights, out):  # type: ignore[no-untyped-def]
    """Add the contributions of a leaf whose path has too many features for a table.

    The share of coalitions in which a feature counts is the integral over t of the product, over the other features, of
    t where it holds in the row plus 1 - t where it holds in the background.
    """
    n = len(features)
    m = (n + 1) // 2
    before = np.empty(n + 1)
    for row in range(bits.shape[1]):
        for background in range(len(holds)):
            for point in range(m):
                t = points[m, point]
                before[0] = value * weights[m, point] / len(holds)
                for k in range(n):
                    before[k + 1] = before[k] * (t * bits[k, row] + (1.0 - t) * holds[background, k])
                behind = 1.0
                for k in range(n - 1, -1, -1):
                    out[features[k], row] += before[k] * behind * (bits[k, row] - holds[background, k])
                    behind *= t * bits[k, row] + (1.0 - t) * holds[background, k]
