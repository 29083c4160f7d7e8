"""What support does to the outcome: what runs on a day and when it ends, and what came of households without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskml.features import windows
from riskml.features.known import known_on
from riskml.features.outcomes import outcome_welfare, settled_labels

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: Columns of :func:`running_support`.
SUPPORT_COLUMNS = ["support", "support_ends_on"]


def running_support(data: Monitoring, index: pd.MultiIndex) -> pd.DataFrame:
    """Return which measures run on each household's as-of date, and when the first of them ends.

    Only what was known on the date counts, as for features: versions known before it, an end from the day after it was
    known. Spells of one measure that follow on one another without a free day are one support, so that a renewal
    already entered is no end.

    Parameters
    ----------
    data : Monitoring
        The tables.
    index : MultiIndex
        ``(household_id, as_of_date)``, as the feature table's.

    Returns
    -------
    DataFrame
        Indexed as given: ``support``, the running measures joined by ``;``, the one that ends first in front, those
        without a known end last (empty: none runs); ``support_ends_on``, the last day of the first to end (NaT: none
        runs, or no end is known).

    Examples
    --------
    >>> import riskml as rk
    >>> data = rk.datasets.make_monitoring(60, n_months=24, random_state=0)
    >>> households = rk.cohort(data, ["2022-06-01"])
    >>> running_support(data, households.index).loc["H000013", "support"].tolist()
    ['']
    """
    names = np.full(len(index), "", dtype=object)
    ends_on = np.full(len(index), np.datetime64("NaT"), dtype="datetime64[s]")
    if "assistance" in data.tables:
        days = index.get_level_values("as_of_date")
        for day in days.unique():
            rows = np.flatnonzero(days == day)
            running = _running(known_on(data, "assistance", day), day)
            place = running.index.get_indexer(index.get_level_values("household_id")[rows])
            rows, place = rows[place >= 0], place[place >= 0]
            names[rows] = running["support"].to_numpy(dtype=object)[place]
            ends_on[rows] = running["support_ends_on"].to_numpy()[place]
    return pd.DataFrame({"support": pd.Series(names, index=index, dtype=str), "support_ends_on": ends_on}, index=index)


def net_labels(data: Monitoring, y: pd.Series, **outcome: Any) -> pd.Series:
    """Return what came of the rows of a training set net of public transfers.

    Parameters
    ----------
    data : Monitoring
        The tables the training set comes from.
    y : Series of float64
        Labels as :func:`riskml.training_set` gives them.
    **outcome
        ``horizon_months, rule, net_of_assistance, outcome`` of that function.

    Returns
    -------
    Series of float64
        ``returned_net``, indexed as ``y``: 1 or 0, NaN where not observed. NaN throughout where there is no second
        outcome: the labels are net already, or something other than income decides.
    """
    if outcome.get("net_of_assistance", False) or outcome.get("outcome", "welfare") != "welfare" or not len(y):
        return pd.Series(np.nan, index=y.index, name="returned_net")
    asked = {**outcome, "net_of_assistance": True}
    return settled_labels(data, y.index, **asked).rename("returned_net")  # type: ignore[arg-type]


def training_labels(data: Monitoring, y: pd.Series, **outcome: Any) -> pd.DataFrame:
    """Return what there is to learn of the rows of a training set: the outcome and its measure, as supported and net.

    Parameters
    ----------
    data : Monitoring
        The tables the training set comes from.
    y : Series of float64
        Labels as :func:`riskml.training_set` gives them.
    **outcome
        ``horizon_months, rule, net_of_assistance, outcome`` of that function.

    Returns
    -------
    DataFrame
        ``returned`` (``y``), ``returned_net`` (:func:`net_labels`) and the welfare that decided either,
        ``outcome_welfare, outcome_welfare_net`` (:func:`riskml.outcome_welfare`); indexed as ``y``, NaN where there is
        no such outcome.
    """
    labels = pd.DataFrame({"returned": y, "returned_net": net_labels(data, y, **outcome)}, index=y.index)
    labels["outcome_welfare"] = outcome_welfare(data, y.index, **outcome)  # type: ignore[arg-type]
    labels["outcome_welfare_net"] = np.nan
    if labels["returned_net"].notna().any():
        net = {**outcome, "net_of_assistance": True}
        labels["outcome_welfare_net"] = outcome_welfare(data, y.index, **net)  # type: ignore[arg-type]
    return labels


def _running(spells: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """Return ``support, support_ends_on`` of the households with support that runs on a day, by household."""
    table = pd.DataFrame(
        {
            "household_id": spells["household_id"],
            "measure": spells["measure"],
            "start": windows.days(spells["start"]).astype(np.int64),
            "end": windows.days(spells["end"]).astype(np.int64),
        }
    ).sort_values(["household_id", "measure", "start", "end"], kind="stable")
    covered = table.groupby(["household_id", "measure"])["end"].cummax()
    same = (table[["household_id", "measure"]] == table[["household_id", "measure"]].shift()).all(axis=1)
    # A spell covers its own last day, so one that starts the day after goes on without a gap.
    table["chain"] = (~same | (table["start"] > covered.shift() + 1)).cumsum()
    chains = table.groupby("chain").agg(
        household_id=("household_id", "first"),
        measure=("measure", "first"),
        start=("start", "min"),
        end=("end", "max"),
    )
    today = (day - pd.Timestamp("1970-01-01")).days
    chains = chains[(chains["start"] <= today) & (chains["end"] >= today)]
    chains = chains.sort_values(["household_id", "end", "measure"], kind="stable")
    of_household = chains.groupby("household_id")
    first_end = of_household["end"].first()
    ends_on = pd.to_datetime(first_end.where(first_end != windows.NEVER), unit="D").astype("datetime64[s]")
    return pd.DataFrame({"support": of_household["measure"].agg(";".join), "support_ends_on": ends_on})
