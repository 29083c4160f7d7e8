"""Which rows belong to one household, and which are versions of one record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numpy.typing import NDArray

from riskml.tables.contract import TABLES, Table


class RowKeys(NamedTuple):
    """The households and records of a table's rows, as whole numbers.

    ``household`` is the position of each row's household among :func:`household_ids_of` the registry, -1 where it is
    not among them; ``repeated`` are the rows, in ascending order, that share the key of their record with another.
    """

    household: NDArray[np.int64]
    repeated: NDArray[np.int64]


def household_ids_of(households: pd.DataFrame) -> pd.Index:
    """Return the households of the typed registry, each once, sorted."""
    return pd.Index(households["household_id"].unique()).sort_values()


def keys_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, RowKeys]:
    """Return the households and repeated records of typed tables; without ``households`` none is known."""
    registered = household_ids_of(tables["households"]) if "households" in tables else pd.Index([], dtype=str)
    return {name: row_keys(TABLES[name], frame, registered) for name, frame in tables.items()}


def row_keys(table: Table, frame: pd.DataFrame, household_ids: pd.Index) -> RowKeys:
    """Return the households and repeated records of a typed table.

    Parameters
    ----------
    table : Table
        The contract of the table.
    frame : DataFrame
        Its typed rows.
    household_ids : Index of str
        The households of the registry, each once.

    Returns
    -------
    RowKeys
        Of the rows.

    Examples
    --------
    >>> from riskml.tables.contract import TABLES
    >>> checks = pd.DataFrame({"household_id": ["b", "b", "c"], "date": pd.to_datetime(["2024-01-01"] * 3)})
    >>> keys = row_keys(TABLES["housing"], checks, pd.Index(["a", "b"]))
    >>> keys.household.tolist(), keys.repeated.tolist()
    ([1, 1, -1], [0, 1])
    """
    if "household_id" in frame:
        household = household_positions(frame["household_id"], household_ids)
    else:
        household = np.full(len(frame), -1)
    # Equal keys have equal fingerprints; the few rows that share one within their household are compared in full.
    code = household * 2**36 + (_fingerprints(table, frame) >> np.uint64(28)).astype(np.int64)
    order = np.argsort(code, kind="stable")
    same = code[order[1:]] == code[order[:-1]]
    rows = np.sort(order[np.flatnonzero(np.append(same, False) | np.append(False, same))])
    repeated = pd.Series(record_codes(table, frame.iloc[rows])).duplicated(keep=False).to_numpy()
    return RowKeys(household, rows[repeated])


def household_positions(household_id: pd.Series, household_ids: pd.Index) -> NDArray[np.int64]:
    """Return the position of each row's household in ``household_ids``, -1 where it is not among them."""
    texts = arrow_text(household_id)
    # Rows of a household mostly stand together: each run of rows is looked up once.
    starts = np.ones(len(texts), dtype=bool)
    starts[1:] = pc.not_equal(texts[1:], texts[:-1]).to_numpy(zero_copy_only=False)
    found = pc.index_in(texts.filter(pa.array(starts)), value_set=arrow_text(household_ids))
    found = found.fill_null(-1).to_numpy().astype(np.int64)
    return np.repeat(found, np.diff(np.append(np.flatnonzero(starts), len(texts))))


def record_codes(table: Table, frame: pd.DataFrame, *more: str) -> NDArray[np.int64]:
    """Return one whole number a row, equal exactly where the record's key and the columns ``more`` are equal."""
    codes = np.zeros(len(frame), dtype=np.int64)
    for values in [*_key_columns(table, frame), *(frame[column] for column in more)]:
        part, distinct = pd.factorize(values, use_na_sentinel=False)
        if codes.max(initial=0) > (2**62) // max(len(distinct), 1):
            codes = pd.factorize(codes)[0].astype(np.int64)
        codes = codes * max(len(distinct), 1) + part
    return codes


def row_order(household: NDArray[np.int64], *days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whole numbers in the order of households (positions), then of up to two days since 1970-01-01.

    Examples
    --------
    >>> row_order(np.array([1, 0]), np.array([0, 9]), np.array([3, -3])).argsort().tolist()
    [1, 0]
    """
    order = household.copy()
    for day in days:
        # A day from the year 1611 to 2328 fits into 18 bits.
        order *= 2**18
        order += day
        order += 2**17
    return order


def whole_days(dates: pd.Series) -> NDArray[np.int64]:
    """Return typed dates as days since 1970-01-01; missing ones as a number far below every date."""
    return dates.to_numpy(dtype="datetime64[s]").view(np.int64) // 86_400


def arrow_text(values: pd.Series | pd.Index) -> pa.LargeStringArray:
    """Return text as one Arrow array, without a copy where pandas holds it so."""
    texts = pa.array(values, type=pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def letters(texts: pa.LargeStringArray) -> NDArray[np.uint8]:
    """Return the bytes of all texts, one after another."""
    return _read_only(texts.buffers()[2] or b"", np.uint8)


def _read_only(buffer: Any, dtype: type) -> NDArray[Any]:
    # Some of Arrow's buffers may be written, some not: compiled code would come in both forms.
    return np.frombuffer(memoryview(buffer).toreadonly(), dtype)


def _key_columns(table: Table, frame: pd.DataFrame) -> list[pd.Series]:
    columns = [frame[name] for name in table.key]
    # A score and an amount of money may hold for the same area and day.
    return [*columns, frame["unit"] == "score"] if table.kind == "lines" else columns


def _fingerprints(table: Table, frame: pd.DataFrame) -> NDArray[np.uint64]:
    """Return numbers that are equal where the keys within a household are, and hardly ever elsewhere."""
    fingerprint = np.zeros(len(frame), dtype=np.uint64)
    for values in (values for values in _key_columns(table, frame) if values.name != "household_id"):
        if values.dtype.kind == "M":
            _mix_numbers(whole_days(values), fingerprint)
        elif values.dtype.kind == "b":
            _mix_numbers(values.to_numpy().astype(np.int64), fingerprint)
        else:
            texts = arrow_text(values)
            offsets = _read_only(texts.buffers()[1], np.int64)[texts.offset :]
            _mix_texts(offsets, letters(texts), fingerprint)
    return fingerprint


#: Factor of the 64-bit FNV-1a hash; the shift carries the high bits down, which the factor alone does not.
_FACTOR, _SHIFT = np.uint64(0x100000001B3), np.uint64(29)


@njit(cache=True, nogil=True)
def _mix_numbers(values: Any, fingerprint: Any) -> None:
    for row in range(len(fingerprint)):
        mixed = (fingerprint[row] ^ np.uint64(values[row])) * _FACTOR
        fingerprint[row] = (mixed ^ (mixed >> _SHIFT)) * _FACTOR


@njit(cache=True, nogil=True)
def _mix_texts(offsets: Any, text: Any, fingerprint: Any) -> None:
    for row in range(len(fingerprint)):
        mixed = fingerprint[row]
        for place in range(offsets[row], offsets[row + 1]):
            mixed = (mixed ^ np.uint64(text[place])) * _FACTOR
        fingerprint[row] = (mixed ^ (mixed >> _SHIFT)) * _FACTOR
