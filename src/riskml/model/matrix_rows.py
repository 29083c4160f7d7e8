"""Rows of a large matrix in any order, brought together a batch at a time instead of copied as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray


class MatrixRows(lgb.Sequence):  # type: ignore[misc]
    """A view of some rows of a matrix, as LightGBM reads it.

    Parameters
    ----------
    matrix : ndarray of float32 or float64, shape (n_all, n_features)
        The values; never changed, never copied as a whole.
    position : ndarray of int64, shape (n_rows,)
        The rows of the matrix that this holds, in this order.
    constant : sequence of int, default ()
        Columns to show as 0, which trees then leave alone.

    Examples
    --------
    >>> rows = MatrixRows(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), np.array([2, 0]))
    >>> rows[:].tolist()
    [[3.0, 3.0], [1.0, 1.0]]
    >>> rows[np.array([1])].without_repeats()[:].tolist()
    [[1.0, 0.0]]
    """

    #: Rows brought together at once: 40 MB for 150 features in single precision.
    batch_size = 65_536

    def __init__(self, matrix: NDArray[Any], position: NDArray[np.int64], constant: tuple[int, ...] = ()) -> None:
        self.matrix = matrix
        self.position = position
        self.constant = list(constant)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.position)

    def __getitem__(self, rows: Any) -> Any:
        """Return the values of one row (float64) or a slice of rows; for an array of positions a view."""
        if isinstance(rows, np.ndarray):
            return MatrixRows(self.matrix, self.position[rows], tuple(self.constant))
        values = self.matrix[self.position[rows]]
        if not isinstance(rows, slice):
            # LightGBM takes batches in either precision, but the single rows of its sample in double only.
            values = values.astype(np.float64)
        values[..., self.constant] = 0.0
        return values

    def batches(self) -> Iterator[NDArray[Any]]:
        """Yield the values, a batch of rows at a time."""
        for start in range(0, len(self), self.batch_size):
            yield self[start : start + self.batch_size]

    def without_repeats(self) -> MatrixRows:
        """Return a view in which every column that repeats an earlier one, value for value, is constant.

        Where records are few, several windows hold the same ones; each copy would take the place of a further feature
        in the columns a tree sees, and a share of the contribution.
        """
        alike = [list(range(self.matrix.shape[1]))]
        for start in range(0, len(self), self.batch_size):
            rows = self.position[start : start + self.batch_size]
            alike = [group for columns in alike for group in _alike(self.matrix, rows, columns)]
            if not alike:
                break
        return MatrixRows(self.matrix, self.position, tuple(column for group in alike for column in group[1:]))


def _alike(matrix: NDArray[Any], rows: NDArray[np.int64], columns: list[int]) -> list[list[int]]:
    """Return the groups of two or more columns that are equal in the rows; NaN equals NaN, and -0 equals 0."""
    groups: dict[bytes, list[int]] = {}
    for column in columns:
        values = matrix[rows, column] + 0.0
        values[np.isnan(values)] = np.nan
        groups.setdefault(values.tobytes(), []).append(column)
    return [group for group in groups.values() if len(group) > 1]
