"""What households receive already, from the table of assistance."""

from __future__ import annotations

import pandas as pd

from riskml.tables.monitoring import Monitoring


def received_on(data: Monitoring, as_of_date: object, measures: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what households receive on a day, as the office knew it.

    Parameters
    ----------
    data : Monitoring
        With a table ``assistance``; without one nothing is known to be received.
    as_of_date : date-like
        The day of the plan; only what was known before it counts.
    measures : DataFrame, optional
        As :func:`riskml.read_measures` gives. Support without an end ends when the measure's ``months`` are over.

    Returns
    -------
    DataFrame
        ``household_id, measure``: a row each, sorted; support that began before the day and has not ended before it.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(60, n_months=24, random_state=0)
    >>> found = received_on(data, "2021-06-01")
    >>> list(found), bool(found["measure"].ne("").all())
    (['household_id', 'measure'], True)
    """
    day = pd.Timestamp(as_of_date)  # type: ignore[arg-type]
    if "assistance" not in data.tables:
        return pd.DataFrame({"household_id": pd.Series(dtype=str), "measure": pd.Series(dtype=str)})
    rows = data.known_by(day).versions("assistance")
    rows = rows[rows["superseded_on"].isna() & (rows["start"] < day)]
    end = rows["end"]
    if measures is not None:
        months = rows["measure"].map(dict(zip(measures["measure"], measures["months"], strict=True)))
        # Months of 30.44 days: a plan is not made to the day.
        lasts = rows["start"] + pd.to_timedelta(months.astype("float64") * 30.44, unit="D")
        end = end.fillna(lasts)
    running = rows[end.isna() | (end >= day)]
    return (
        running[["household_id", "measure"]]
        .drop_duplicates()
        .sort_values(["household_id", "measure"], ignore_index=True)
    )
