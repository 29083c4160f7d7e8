"""A booster as plain arrays: what its nodes decide and its leaves add up to, as LightGBM has it.

Rows are taken in blocks and column by column, so that each node compares many values in one go. The arrays are those of
:class:`riskml.model.booster_text.Trees`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from riskml.model.booster_text import Trees

FloatArray = NDArray[np.float64]
#: Rows taken at once; with their features they stay in the processor's cache.
BLOCK_ROWS = 1024
#: LightGBM takes smaller values for 0 (``kZeroThreshold``, a 32-bit number).
_ZERO = float(np.float32(1e-35))


def margins(trees: Trees, X: FloatArray) -> FloatArray:
    """Return the sum of the leaves every row falls into, ``Booster.predict(X, raw_score=True)``.

    Parameters
    ----------
    trees : Trees
        The booster (:func:`riskml.model.booster_text.trees_of`).
    X : ndarray of float64, shape (n_rows, n_features)
        Rows, NaN where missing.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Margins: log-odds before calibration, for a booster of risks.

    Raises
    ------
    ValueError
        If X has other columns than the booster.
    """
    out = np.zeros(len(X))
    for start in range(0, len(X), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        _add_leaves(trees, columns(trees, X[block]), out[block])
    return out


def columns(trees: Trees, X: FloatArray) -> FloatArray:
    """Return rows as contiguous columns for :func:`decide`, with what LightGBM takes for zero as 0."""
    if X.ndim != 2 or X.shape[1] != trees.n_features:
        raise ValueError(f"expected rows of {trees.n_features} features, got an array of shape {X.shape}")
    values = np.array(X.T, dtype=np.float64, order="C")
    values[np.abs(values) <= _ZERO] = 0.0
    return values


@njit(cache=True, nogil=True)
def decide(trees, tree, values, goes_left):  # type: ignore[no-untyped-def]
    """Fill ``goes_left[node of the tree, row]`` with 1 where the row's value sends it to the left, else 0."""
    first = trees.first_node[tree]
    for node in range(first, trees.first_node[tree + 1]):
        value = values[trees.feature[node]]
        left = goes_left[node - first]
        threshold = trees.threshold[node]
        decision = trees.decision[node]
        if decision & 1:
            _decide_category(trees.word[trees.first_word[node] : trees.first_word[node + 1]], value, left)
            continue
        missing_left = decision & 2 != 0
        # Where nothing is missing to LightGBM, NaN is 0.
        if missing_left if decision >= 4 else threshold >= 0.0:
            for row in range(len(value)):
                left[row] = not value[row] > threshold
        else:
            for row in range(len(value)):
                left[row] = value[row] <= threshold
        if decision & 4:
            for row in range(len(value)):
                if value[row] == 0.0:
                    left[row] = missing_left


@njit(cache=True, nogil=True)
def _decide_category(words, value, left):  # type: ignore[no-untyped-def]
    for row in range(len(value)):
        left[row] = 0
        # LightGBM cuts to whole numbers, so -0.5 is category 0; what does not fit 32 bits is none.
        if -1.0 < value[row] < 2147483648.0:
            category = int(value[row])
            if category >> 5 < len(words):
                left[row] = (words[category >> 5] >> (category & 31)) & 1


@njit(cache=True, nogil=True)
def _add_leaves(trees, values, out):  # type: ignore[no-untyped-def]
    goes_left = np.empty((max_nodes(trees), values.shape[1]), dtype=np.uint8)
    for tree in range(len(trees.first_node) - 1):
        decide(trees, tree, values, goes_left)
        first = trees.first_node[tree]
        root = first if trees.first_node[tree + 1] > first else -1 - trees.first_leaf[tree]
        for row in range(len(out)):
            node = root
            while node >= 0:
                node = trees.left[node] if goes_left[node - first, row] else trees.right[node]
            out[row] += trees.leaf_value[-1 - node]


@njit(cache=True, nogil=True)
def max_nodes(trees):  # type: ignore[no-untyped-def]
    """Return the number of nodes of the largest tree."""
    most = 0
    for tree in range(len(trees.first_node) - 1):
        most = max(most, trees.first_node[tree + 1] - trees.first_node[tree])
    return most
