"""The records known on a day, as tables, for features that are plain Python functions.

:class:`riskml.features.declarations.Custom` has no kernel that looks at both clocks for it. So its function never gets
the tables: it gets what was known of them on the as-of date, and nothing in these frames (row numbers and the day
a version was replaced included) tells what came later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.features.declarations import Feature, FloatArray
from riskml.tables.contract import TABLES
from riskml.tables.lines import in_lines, welfare_records

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring


def recorded(data: Monitoring, table: str) -> pd.DataFrame:
    """Return the versions of a table with amounts in lines and incomes annualised, as all features see them.

    Parameters
    ----------
    data : Monitoring
        The tables.
    table : str
        One of them other than ``lines``, or ``welfare``: the welfare records, whichever table they come from.

    Returns
    -------
    DataFrame
        As ``data.versions(table)``; for ``welfare`` as :func:`riskml.tables.lines.welfare_records`.
    """
    if table == "welfare":
        return welfare_records(data)
    records = in_lines(data, table)
    if table != "incomes":
        return records
    amounts = [column.name for column in TABLES[table].columns if column.kind == "amount" and column.name in records]
    return records.assign(**{name: records[name] * 12 / records["months"] for name in amounts})


def known_on(data: Monitoring, table: str, as_of_date: pd.Timestamp) -> pd.DataFrame:
    """Return the records of a table as they were known on a date.

    Of each record the newest version known before the date, if it had not been withdrawn by then; only of
    households registered by then. The same as the versions of ``data.known_by(as_of_date)``.

    Parameters
    ----------
    data : Monitoring
        The tables.
    table : str
        As in :func:`recorded`.
    as_of_date : Timestamp
        The day the question is asked.

    Returns
    -------
    DataFrame
        The columns of :func:`recorded` without ``superseded_on`` and ``household_position``, sorted by household, then
        ``date`` or ``start``.
    """
    versions = recorded(data, table)
    households = data.tables["households"]
    registered = pd.Index(households.loc[households["known_on"] < as_of_date, "household_id"].unique())
    # Strict <, as in the kernel: what is entered on the day itself is not yet seen by the office.
    there = (versions["known_on"] < as_of_date) & ~(versions["superseded_on"] < as_of_date)
    there &= registered.get_indexer(pd.Index(versions["household_id"])) >= 0
    # Where a household stands among all is no fact about it.
    shown = versions[there].drop(columns="superseded_on").drop(columns="household_position")
    return shown.reset_index(drop=True)


def custom_values(
    data: Monitoring,
    features: Sequence[Feature],
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_dates: pd.DatetimeIndex,
) -> FloatArray:
    """Return the values of custom features for rows given as positions of household and as-of date.

    Raises
    ------
    ValueError
        If a function returns anything but a Series of numbers with households of the data as its index.
    """
    out = np.full((len(household), len(features)), np.nan)
    tables = list(dict.fromkeys(table for feature in features for table in feature.tables))
    for position, day in enumerate(as_of_dates):
        known = {table: known_on(data, table, day) for table in tables}
        rows = np.flatnonzero(as_of == position)
        for column, feature in enumerate(features):
            assert feature.function is not None, "a custom feature has a function"
            # Copies: what one function does to its tables must not reach the next.
            answer = feature.function({table: known[table].copy() for table in feature.tables}, day)
            out[rows, column] = _by_household(feature.name, answer, data.household_ids)[household[rows]]
    return out


def _by_household(name: str, answer: object, household_ids: pd.Index) -> FloatArray:
    """Return the answer of a function for every household of the data, NaN where it gave none."""
    if not isinstance(answer, pd.Series) or not pd.api.types.is_numeric_dtype(answer):
        raise ValueError(f"the function of feature {name!r} must return a Series of numbers, not {_kind(answer)}")
    place = household_ids.get_indexer(answer.index)
    if (place < 0).any() or not answer.index.is_unique:
        wrong = answer.index[place < 0] if (place < 0).any() else answer.index[answer.index.duplicated()]
        raise ValueError(
            f"the Series of feature {name!r} must be indexed by household_id, each once; "
            f"{wrong[0]!r} {'is no household of the data' if (place < 0).any() else 'is there twice'}"
        )
    values = np.full(len(household_ids), np.nan)
    values[place] = answer.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _kind(answer: object) -> str:
    return f"a Series of {answer.dtype}" if isinstance(answer, pd.Series) else type(answer).__name__
