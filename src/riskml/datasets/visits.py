"""Spells as a panel survey sees them: running at a visit, found to have ended at the next."""

from __future__ import annotations

import numpy as np
import pandas as pd


def visit_spells(seen: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return versions of spells from what each visit saw.

    Visits of a household that follow one another and see the same thing see one spell. It is open from the first of
    them;
    each further one is a new version with what it saw; the first visit that does not see it any more ends it, on its
    own
    day, which is when the end was learned. Seen again later, it is a new spell.

    Parameters
    ----------
    seen : DataFrame
        What was seen: ``visit`` (row of ``visits``), ``key`` (number of the thing, its own in each household) and
        columns to keep;
        sorted by key, then visit.
    visits : DataFrame
        One row a visit, sorted by household and date, indexed from 0: ``household_id``, ``start`` (first day it
        speaks of), ``known_on``.

    Returns
    -------
    DataFrame
        ``household_id, start, end`` (``NaT`` while it lasts), ``known_on`` and the kept columns, which a closing
        version repeats; versions that saw it first, in the order of ``seen``.

    Examples
    --------
    >>> days = pd.to_datetime(["2020-03-31", "2020-06-30", "2020-09-30"])
    >>> visits = pd.DataFrame({"household_id": "a", "start": days - pd.DateOffset(months=3), "known_on": days})
    >>> job = pd.DataFrame({"visit": [0, 1], "key": [7, 7], "wage": [100.0, 120.0]})
    >>> visit_spells(job, visits)[["end", "known_on", "wage"]]
             end   known_on   wage
    0        NaT 2020-03-31  100.0
    1        NaT 2020-06-30  120.0
    2 2020-09-30 2020-09-30  120.0
    """
    key, visit = seen["key"].to_numpy(), seen["visit"].to_numpy()
    household = visits["household_id"].to_numpy()
    last = np.r_[household[1:] != household[:-1], True]
    goes_on = np.r_[(key[1:] == key[:-1]) & (visit[1:] == visit[:-1] + 1), False][: len(seen)]
    opens = ~np.r_[False, goes_on[:-1]][: len(seen)]
    begun = visit[np.maximum.accumulate(np.where(opens, np.arange(len(seen)), 0))]
    closing = np.flatnonzero(~goes_on & ~last[visit])
    rows = np.r_[np.arange(len(seen)), closing]
    closes = np.arange(len(rows)) >= len(seen)
    known_on = visits["known_on"].to_numpy()[visit[rows] + closes]
    dates = pd.DataFrame(
        {
            "household_id": household[visit[rows]],
            "start": visits["start"].to_numpy()[begun[rows]],
            "end": np.where(closes, known_on, np.datetime64("NaT")),
            "known_on": known_on,
        }
    )
    return pd.concat([dates, seen.drop(columns=["key", "visit"]).take(rows).reset_index(drop=True)], axis=1)
