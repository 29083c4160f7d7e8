"""Which rows belong to one household, and which are versions of one record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray


def arrow_text(values: pd.Series | pd.Index) -> pa.LargeStringArray:
    """Return text as one Arrow array, without a copy where pandas holds it so."""
    texts = pa.array(values, type=pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def household_positions(household_id: pd.Series, household_ids: pd.Index) -> NDArray[np.int64]:
    """Return the position of each row's household.

    Parameters
    ----------
    household_id : Series of str, shape (n,)
        Households of the rows.
    household_ids : Index of str
        Households, each once.

    Returns
    -------
    ndarray of int64, shape (n,)
        Positions in ``household_ids``, -1 where the household is not among them.

    Examples
    --------
    >>> household_positions(pd.Series(["b", "b", "c"]), pd.Index(["a", "b"])).tolist()
    [1, 1, -1]
    """
    texts = arrow_text(household_id)
    # Rows of a household mostly stand together: each run of rows is looked up once.
    starts = np.ones(len(texts), dtype=bool)
    starts[1:] = pc.not_equal(texts[1:], texts[:-1]).to_numpy(zero_copy_only=False)
    found = pc.index_in(texts.filter(pa.array(starts)), value_set=arrow_text(household_ids))
    found = found.fill_null(-1).to_numpy().astype(np.int64)
    return np.repeat(found, np.diff(np.append(np.flatnonzero(starts), len(texts))))


def repeated_rows(frame: pd.DataFrame, columns: Sequence[str], household: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows that share the values of some columns with another row.

    Parameters
    ----------
    frame : DataFrame
        Typed rows; the columns hold text, dates or truth values.
    columns : sequence of str
        Columns compared.
    household : ndarray of int64, shape (n,)
        Positions of the rows' households, which stand for ``household_id`` (-1: not known which).

    Returns
    -------
    ndarray of int64
        Positions of the rows, ascending.

    Examples
    --------
    >>> bills = pd.DataFrame({"household_id": ["a", "b", "a"], "record_id": ["1", "1", "1"]})
    >>> repeated_rows(bills, ("household_id", "record_id"), np.array([0, 1, 0])).tolist()
    [0, 2]
    """
    # Equal rows have equal fingerprints; the few that share one with a row of their household are compared in full.
    fingerprint = np.zeros(len(frame), dtype=np.uint64)
    for column in columns:
        if frame[column].dtype.kind in "Mb":
            _mix_numbers(frame[column].to_numpy().astype(np.int64), fingerprint)
        elif column != "household_id":
            texts = arrow_text(frame[column])
            _, offsets, letters = texts.buffers()
            _mix_texts(np.frombuffer(offsets, np.int64)[texts.offset :], np.frombuffer(letters, np.uint8), fingerprint)
    code = household * 2**36 + (fingerprint >> np.uint64(28)).astype(np.int64)
    order = np.argsort(code, kind="stable")
    same = code[order[1:]] == code[order[:-1]]
    rows = np.sort(order[np.flatnonzero(np.append(same, False) | np.append(False, same))])
    return rows[pd.Series(row_codes(frame.iloc[rows], columns)).duplicated(keep=False).to_numpy()]


def row_order(household: NDArray[np.int64], *days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whole numbers in the order of households (positions), then of up to two days since 1970-01-01.

    Examples
    --------
    >>> row_order(np.array([1, 0]), np.array([0, 9]), np.array([3, -3])).argsort().tolist()
    [1, 0]
    """
    for day in days:
        # A day from the year 1611 to 2328 fits into 18 bits.
        household = household * 2**18 + day + 2**17
    return household


def row_codes(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return one whole number a row, equal exactly where all ``columns`` are equal."""
    codes = np.zeros(len(frame), dtype=np.int64)
    for column in columns:
        part, values = pd.factorize(frame[column], use_na_sentinel=False)
        if codes.max(initial=0) > (2**62) // max(len(values), 1):
            codes = pd.factorize(codes)[0].astype(np.int64)
        codes = codes * max(len(values), 1) + part
    return codes


#: Factor of the 64-bit FNV-1a hash; the shift carries the high bits down, which the factor alone does not.
_FACTOR, _SHIFT = np.uint64(0x100000001B3), np.uint64(29)


@njit(cache=True, nogil=True)
def _mix_numbers(values: Any, fingerprint: Any) -> None:
    for row in range(len(fingerprint)):
        mixed = (fingerprint[row] ^ np.uint64(values[row])) * _FACTOR
        fingerprint[row] = (mixed ^ (mixed >> _SHIFT)) * _FACTOR


@njit(cache=True, nogil=True)
def _mix_texts(offsets: Any, letters: Any, fingerprint: Any) -> None:
    for row in range(len(fingerprint)):
        mixed = fingerprint[row]
        for place in range(offsets[row], offsets[row + 1]):
            mixed = (mixed ^ np.uint64(letters[place])) * _FACTOR
        fingerprint[row] = (mixed ^ (mixed >> _SHIFT)) * _FACTOR
