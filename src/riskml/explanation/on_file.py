"""What is on file of a household, cause by cause: what happened to it, beside what its score rests on.

Points say which records a score rests on, and it rests on low income, whatever brought that about. An adverse record
says what happened. In simulated counties, where the shocks behind a return are known, adverse records name them better
than the order of the points does (docs/explanations.md, "Are these the causes?").
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskml.causes import CAUSES, Cause

#: What counts as an adverse record of a cause: feature, and from which value on; up to which where it is negative.
#: Judgements, with their reasons in docs/explanations.md. ``income`` and ``other`` have no event of their own.
ADVERSE: dict[Cause, dict[str, float]] = {
    "illness": {"medical_serious_count_12m": 1, "medical_out_of_pocket_sum_12m": 0.2},
    "disability": {"members_disabled": 1},
    "schooling": {"schooling_cost_sum_12m": 0.1, "schooling_dropped_out_count_12m": 1},
    "disaster": {"disaster_count_12m": 1},
    "accident": {"accident_count_12m": 1},
    "housing": {"housing_grade": 3},
    "water": {"water_grade": 3},
    "labour": {"members_left_12m": 1},
    "employment": {"jobs_ended_12m": 1},
    "production": {"production_loss_count_12m": 1, "production_price_change_min_12m": -0.1},
    "assistance": {"support_ended_12m": 1, "support_ending_3m": 1},
}


def on_file(X: pd.DataFrame, dictionary: pd.DataFrame) -> pd.DataFrame:
    """Return of which causes each household has an adverse record on file.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        A feature table: records of the twelve months before the as-of date, what stands on that day (disability,
        housing, water), and support that ends within three months of it.
    dictionary : DataFrame of n_features rows
        Feature dictionary of these columns (``name, sensitive``). What is sensitive does not count here: to name a
        cause because of it would tell it.

    Returns
    -------
    DataFrame of bool, shape (n_rows, 11)
        One column per cause of :data:`ADVERSE`, in the order of :data:`riskml.causes.CAUSES`. False where nothing
        adverse is known, be it that nothing happened, that nobody entered it, or that ``X`` has no such column.

    Examples
    --------
    >>> from riskml import feature_dictionary
    >>> X = pd.DataFrame({"jobs_ended_12m": [1.0, 0.0], "production_price_change_min_12m": [-0.1, np.nan]})
    >>> found = on_file(X, feature_dictionary())
    >>> found[["employment", "production"]].to_numpy().tolist()
    [[True, True], [False, False]]
    """
    spoken = set(X.columns) - set(dictionary.loc[dictionary["sensitive"].astype(bool), "name"])
    found = {cause: np.zeros(len(X), dtype=bool) for cause in CAUSES if cause in ADVERSE}
    for cause, marks in ADVERSE.items():
        for name in spoken.intersection(marks):
            values, bound = X[name].to_numpy(dtype=np.float64), marks[name]
            found[cause] |= values >= bound if bound > 0 else values <= bound
    return pd.DataFrame(found, index=X.index)


def causes_joined(found: pd.DataFrame) -> pd.Series:
    """Return the causes on file as one text a household, for tables.

    Parameters
    ----------
    found : DataFrame of bool, shape (n_rows, n_causes)
        As :func:`on_file` gives.

    Returns
    -------
    Series of str
        ``on_file``, indexed as ``found``: causes joined by ``;`` in the order of the columns, ``""`` if none.

    Examples
    --------
    >>> causes_joined(pd.DataFrame({"illness": [True, False], "employment": [True, False]})).tolist()
    ['illness;employment', '']
    """
    names = found.columns.to_numpy(dtype=object)
    return pd.Series([";".join(names[row]) for row in found.to_numpy()], index=found.index, name="on_file", dtype=str)
