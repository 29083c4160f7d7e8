"""The leaves of a booster in units: subtrees with so few conditions that their pattern fits a byte.

Neighbouring leaves share most of their path. What a subtree gives to a row depends on one condition for each feature
above it (does the row hold everything that the path asks of it?) and one for each node inside (does the row go left?).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from riskml.model.booster_text import Trees

IntArray = NDArray[np.int64]


class Units(NamedTuple):
    """Subtrees that together hold every leaf once; those with too many conditions are one leaf.

    Attributes
    ----------
    first_unit : ndarray of int64, shape (n_trees + 1,)
        Tree ``t`` has the units ``first_unit[t]:first_unit[t + 1]``.
    root : ndarray of int64, shape (n_units,)
        Topmost node, or ``-1 - leaf``.
    of_node, of_leaf : ndarray of int64, shape (n_nodes,) and (n_leaves,)
        Unit they belong to, -1 for nodes above all units.
    bit_of_node : ndarray of int64, shape (n_nodes,)
        Condition that a node inside a unit is: its split goes left.
    n_bits : ndarray of int64, shape (n_units,)
        Number of conditions: those of the features above the root, then those of the nodes inside.
    first_look : ndarray of int64, shape (n_units + 1,)
        Unit ``u`` looks at the nodes ``node[first_look[u]:first_look[u + 1]]``: those above its root and those inside.
    node, left, bit : ndarray of int64, shape (n_looks,)
        Node, counted in its tree; whether it must go left; the condition that then holds in part.
    first_feature : ndarray of int64, shape (n_units + 1,)
        Unit ``u`` has the features ``feature[first_feature[u]:first_feature[u + 1]]``.
    feature : ndarray of int64
        Columns that get a contribution; those above the root come first, in the order of their conditions.
    first_cell : ndarray of int64, shape (n_units + 1,)
        Unit ``u`` has the table ``cells[first_cell[u]:first_cell[u + 1]]``: feature after feature, one contribution a
        pattern. A unit of one leaf with too many conditions has instead how far each holds in each background row.
    """

    first_unit: IntArray
    root: IntArray
    of_node: IntArray
    of_leaf: IntArray
    bit_of_node: IntArray
    n_bits: IntArray
    first_look: IntArray
    node: IntArray
    left: IntArray
    bit: IntArray
    first_feature: IntArray
    feature: IntArray
    first_cell: IntArray


def units_of(trees: Trees, *, max_bits: int, n_background: int) -> Units:
    """Return the largest units with few enough conditions, and room for their tables.

    Parameters
    ----------
    trees : Trees
        The booster; where features play together, with the player of each node in place of its feature.
    max_bits : int
        Conditions of a unit of several leaves. A leaf with more features on its path is a unit without a table.
    n_background : int
        Rows of the background; 0 if path dependent.

    Returns
    -------
    Units
        In the order of the trees.
    """
    n_nodes, n_leaves = len(trees.feature), len(trees.leaf_value)
    first_unit, root = np.empty_like(trees.first_node), np.empty(n_leaves, dtype=np.int64)
    of_node, of_leaf = np.empty(n_nodes, dtype=np.int64), np.empty(n_leaves, dtype=np.int64)
    n_looks = np.empty(n_leaves, dtype=np.int64)
    n_units = _cut(trees, max_bits, first_unit, root, of_node, of_leaf, n_looks)
    first_look = np.concatenate([[0], np.cumsum(n_looks[:n_units])])
    node, left, bit, feature = np.empty((4, first_look[-1]), dtype=np.int64)
    units = Units(
        first_unit=first_unit,
        root=root[:n_units],
        of_node=of_node,
        of_leaf=of_leaf,
        bit_of_node=np.empty(n_nodes, dtype=np.int64),
        n_bits=np.empty(n_units, dtype=np.int64),
        first_look=first_look,
        node=node,
        left=left,
        bit=bit,
        first_feature=np.zeros(n_units + 1, dtype=np.int64),
        feature=feature,
        first_cell=np.zeros(n_units + 1, dtype=np.int64),
    )
    _describe(trees, units)
    has_table = units.n_bits <= max_bits
    n_rows = np.where(has_table, 1 << np.minimum(units.n_bits, max_bits), max(n_background, 1))
    np.cumsum(np.diff(units.first_feature) * n_rows, out=units.first_cell[1:])
    return units


@njit(cache=True, nogil=True)
def _cut(trees, max_bits, first_unit, root, of_node, of_leaf, n_looks):  # type: ignore[no-untyped-def]
    """Choose the units from the top: the first node on each path whose subtree has few enough conditions."""
    n_units = 0
    n_inside = np.ones(len(trees.feature), dtype=np.int64)
    for node in range(len(n_inside) - 1, -1, -1):
        if trees.parent[node] >= 0:
            n_inside[trees.parent[node]] += n_inside[node]
    for tree in range(len(first_unit) - 1):
        first_unit[tree] = n_units
        for node in range(trees.first_node[tree], trees.first_node[tree + 1]):
            above = trees.parent[node]
            of_node[node] = of_node[above] if above >= 0 else -1
            if of_node[node] < 0:
                depth, n_features = _above(trees, above)
                if n_features + n_inside[node] <= max_bits:
                    of_node[node] = n_units
                    root[n_units] = node
                    n_looks[n_units] = depth + n_inside[node]
                    n_units += 1
        for leaf in range(trees.first_leaf[tree], trees.first_leaf[tree + 1]):
            above = trees.leaf_parent[leaf]
            of_leaf[leaf] = of_node[above] if above >= 0 else -1
            if of_leaf[leaf] < 0:
                of_leaf[leaf] = n_units
                root[n_units] = -1 - leaf
                n_looks[n_units] = _above(trees, above)[0]
                n_units += 1
    first_unit[-1] = n_units
    return n_units


@njit(cache=True, nogil=True)
def _above(trees, lowest):  # type: ignore[no-untyped-def]
    """Return how many nodes there are from one up to the root, and how many features they look at."""
    depth = n_features = 0
    node = lowest
    while node >= 0:
        depth += 1
        n_features += 1
        below = lowest
        while below != node:
            if trees.feature[below] == trees.feature[node]:
                n_features -= 1
                break
            below = trees.parent[below]
        node = trees.parent[node]
    return depth, n_features


@njit(cache=True, nogil=True)
def _describe(trees, units):  # type: ignore[no-untyped-def]
    """Fill in what each unit looks at and which features it has."""
    end = 0
    for tree in range(len(units.first_unit) - 1):
        first_node = trees.first_node[tree]
        for unit in range(units.first_unit[tree], units.first_unit[tree + 1]):
            look = units.first_look[unit]
            start = end
            child = units.root[unit]
            node = trees.parent[child] if child >= 0 else trees.leaf_parent[-1 - child]
            while node >= 0:
                place = place_of(units.feature, start, end, trees.feature[node])
                end = max(end, place + 1)
                units.node[look] = node - first_node
                units.left[look] = trees.left[node] == child
                units.bit[look] = place - start
                look += 1
                child = node
                node = trees.parent[node]
            n_bits = end - start
            if units.root[unit] >= 0:
                for node in range(units.root[unit], trees.first_node[tree + 1]):
                    if units.of_node[node] == unit:
                        end = max(end, place_of(units.feature, start, end, trees.feature[node]) + 1)
                        units.bit_of_node[node] = n_bits
                        units.node[look] = node - first_node
                        units.left[look] = 1
                        units.bit[look] = n_bits
                        look += 1
                        n_bits += 1
            units.n_bits[unit] = n_bits
            units.first_feature[unit + 1] = end


@njit(cache=True, nogil=True)
def place_of(values, start, end, value):  # type: ignore[no-untyped-def]
    """Return where a value stands between ``start`` and ``end``; at ``end``, where it is put, if it does not."""
    for place in range(start, end):
        if values[place] == value:
            return place
    values[end] = value
    return end
