"""The assistance cliff: households whose support ends soon, with the risk as supported and net of assistance."""

from __future__ import annotations

import pandas as pd

from riskml.findings import in_words

#: Months ahead in which an end of support counts as near.
CLIFF_MONTHS = 3
#: Columns of :func:`assistance_cliff`.
CLIFF_COLUMNS = [
    *("household_id", "as_of_date", "area_id", "measure", "support_ends_on", "support"),
    *("risk", "risk_net", "difference"),
]


def assistance_cliff(scored: pd.DataFrame, *, months: int = CLIFF_MONTHS) -> pd.DataFrame:
    """Return the households whose support ends within some months, those at highest risk without it first.

    Help hides risk: a household above the line because of its transfers stands low on a list by risk until they end.

    Parameters
    ----------
    scored : DataFrame
        A watchlist (:func:`riskml.watchlist`, or what ``riskml score`` writes), best of everybody scored: whoever is
        kept safe by support is not near its top.
    months : int, default 3
        How far to look ahead: the last day of the support lies before the as-of date plus so many months.

    Returns
    -------
    DataFrame
        By falling ``risk_net`` (then ``risk``, then household): ``household_id, as_of_date, area_id``; ``measure``, the
        running support that ends first (of several that end on one day the first by name) and ``support_ends_on``, its
        last day; ``support``, all that runs; ``risk``, ``risk_net``, and ``difference``, how much of the risk the
        transfers hide (NaN, and the order that of ``risk``, where the model has no risk net of assistance).

    Raises
    ------
    KeyError
        If the columns of a watchlist are missing.
    ValueError
        If ``months`` is not positive.

    Notes
    -----
    ``risk_net`` takes away *all* public transfers, those that go on (pensions) too, and none of the support that is not
    paid as income. It orders visits; it is no forecast of what the end of this one measure does.

    Examples
    --------
    >>> scored = pd.DataFrame({"household_id": ["a", "b"], "as_of_date": pd.Timestamp("2024-12-01"), "area_id": "52"})
    >>> scored = scored.assign(support="post", support_ends_on=pd.to_datetime(["2025-02-28", "2025-03-01"]))
    >>> scored = scored.assign(risk=[0.02, 0.3], risk_net=[0.4, 0.5])
    >>> assistance_cliff(scored)[["household_id", "measure", "support_ends_on", "difference"]]
      household_id measure support_ends_on  difference
    0            a    post      2025-02-28        0.38
    """
    table = scored[ends_soon(scored["support_ends_on"], scored["as_of_date"], months=months)]
    table = table.assign(measure=table["support"].str.split(";").str[0], difference=table["risk_net"] - table["risk"])
    return in_cliff_order(table)[CLIFF_COLUMNS]


def in_cliff_order(cliff: pd.DataFrame) -> pd.DataFrame:
    """Return rows of the cliff by falling risk without support, then risk, then household."""
    by = ["risk_net", "risk", "household_id"]
    return cliff.sort_values(by, ascending=[False, False, True], kind="stable", ignore_index=True)


def ends_soon(ends_on: pd.Series, as_of_date: pd.Series, *, months: int = CLIFF_MONTHS) -> pd.Series:
    """Return whether support that runs on a day ends within so many months of it.

    Parameters
    ----------
    ends_on : Series of datetime64
        Its last day; NaT where none is known.
    as_of_date : Series of datetime64
        The day asked.
    months : int, default 3
        How far to look ahead.

    Returns
    -------
    Series of bool
        Indexed as given.

    Raises
    ------
    ValueError
        If ``months`` is not positive.
    """
    if months < 1:
        raise ValueError(in_words(f"months must be 1 or more, not {months}", f"months 应不小于1，实际为{months}"))
    return ends_on < as_of_date + pd.DateOffset(months=months)
