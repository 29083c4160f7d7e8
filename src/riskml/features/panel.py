"""Rows and labels: who is at risk on a date, what was known of them, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.features import windows
from riskml.features.declarations import Declaration
from riskml.features.outcomes import Outcome, Rule, already, outcome_of, settled_labels
from riskml.features.records import available, compute, household_version, welfare_on
from riskml.features.standard import STANDARD
from riskml.findings import in_words
from riskml.tables.history import require_history
from riskml.tables.lines import welfare_records

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring


def cohort(data: Monitoring, as_of_dates: Iterable[object], *, outcome: Outcome = "welfare") -> pd.DataFrame:
    """Return the households at risk on each date, with their area and welfare.

    A household is at risk when it was registered before the date, had not left, and was not yet in the state that the
    outcome names: its welfare (see :func:`riskml.features.records.welfare_on`) was known and not below the line; or it
    was in none of the official categories; or its deprivation score was known and below the cut-off.

    Parameters
    ----------
    data : Monitoring
        The tables.
    as_of_dates : iterable of dates
        The days the question is asked.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation, default "welfare"
        What decides: see :func:`riskml.outcome_labels`.

    Returns
    -------
    DataFrame
        Indexed by ``(household_id, as_of_date)``, sorted: ``area_id``, ``welfare`` (lines; NaN where not known),
        ``weight`` (survey weight, 1 where there is none).

    Raises
    ------
    ValueError
        If there is no as-of date.
    DataRefused
        If a table is overwritten in place and a date is not after its extract, or the data lack what the outcome needs.
    """
    dates = _dates(data, as_of_dates)
    household, as_of, version, welfare = _at_risk(data, dates, outcome)
    versions = data.versions("households")
    weight = versions["weight"].to_numpy(dtype=np.float64)[version] if "weight" in versions else np.ones(len(version))
    details = {"area_id": versions["area_id"].to_numpy()[version], "welfare": welfare, "weight": weight}
    return pd.DataFrame(details, index=_index(data, household, as_of, dates))


def feature_table(
    data: Monitoring,
    as_of_dates: Iterable[object],
    *,
    features: Sequence[Declaration] = STANDARD,
    outcome: Outcome = "welfare",
) -> pd.DataFrame:
    """Return the features of the households at risk on each date, from what was known then.

    Training and scoring use this one function. Features whose table or column the data do not have are left out.

    Parameters
    ----------
    data : Monitoring
        The tables.
    as_of_dates : iterable of dates
        The days the question is asked.
    features : sequence of declarations, optional
        Default: :data:`riskml.STANDARD`. The data's own declared features are added.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation, default "welfare"
        Who is at risk: see :func:`cohort`.

    Returns
    -------
    DataFrame of float64
        Indexed by ``(household_id, as_of_date)``, sorted; one column a feature, described by
        :func:`riskml.feature_dictionary`.

    Raises
    ------
    ValueError
        If there is no as-of date, or two features have the same name.
    DataRefused
        If a table is overwritten in place and a date is not after its extract, or the data lack what the outcome needs.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(60, n_months=24, random_state=0)
    >>> X = feature_table(data, ["2022-06-01", "2022-12-01"])
    >>> X.index.names
    FrozenList(['household_id', 'as_of_date'])
    """
    dates = _dates(data, as_of_dates)
    columns = available(data, (*features, *data.features))
    household, as_of, _, _ = _at_risk(data, dates, outcome)
    values = compute(data, columns, household, as_of, dates)
    return pd.DataFrame(
        values, index=_index(data, household, as_of, dates), columns=[c.name for c in columns], copy=False
    )


def features_of(
    data: Monitoring, household_ids: pd.Index, as_of_date: object, *, features: Sequence[Declaration] = STANDARD
) -> pd.DataFrame:
    """Return the features of given households on a date, at risk or not, from what was known then.

    Parameters
    ----------
    data : Monitoring
        The tables.
    household_ids : Index of str
        Registered households.
    as_of_date : date
        The day the question is asked.
    features : sequence of declarations, optional
        Default: :data:`riskml.STANDARD`. The data's own declared features are added.

    Returns
    -------
    DataFrame of float64
        Indexed by ``household_id`` as given; the columns of :func:`feature_table`.

    Raises
    ------
    KeyError
        If a household is not in the data.
    """
    dates = _dates(data, [as_of_date])
    household = pd.Index(data.household_ids).get_indexer(household_ids)
    if (household < 0).any():
        raise KeyError(f"household_id {household_ids[household < 0][0]!r} is not in the data")
    columns = available(data, (*features, *data.features))
    # The kernel wants households in their order.
    order = np.argsort(household, kind="stable")
    values = np.empty((len(household), len(columns)))
    values[order] = compute(data, columns, household[order], np.zeros(len(order), dtype=np.int64), dates)
    return pd.DataFrame(values, index=household_ids, columns=[column.name for column in columns])


def training_set(
    data: Monitoring,
    as_of_dates: Iterable[object],
    *,
    horizon_months: int,
    features: Sequence[Declaration] = STANDARD,
    rule: Rule = "at_horizon",
    net_of_assistance: bool = False,
    outcome: Outcome = "welfare",
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the features and labels of the rows whose outcome was observed.

    Errors are those of :func:`feature_table` and :func:`outcome_labels`. Rows without an observed outcome are left
    out; how many is the difference to :func:`feature_table`, and :func:`riskml.censoring_weights` makes up for those
    who are like them. So are returns that are known early of households not observed to the horizon
    (:func:`riskml.observed_to_horizon`; rule ``any``, official status), of whom only those who returned could be known.

    Parameters
    ----------
    data : Monitoring
        The tables; for a backtest ``data.known_by(...)``.
    as_of_dates : iterable of dates
        The days the question is asked.
    horizon_months : int
        Months from the as-of date to the outcome.
    features : sequence of declarations, optional
        Default: :data:`riskml.STANDARD`. The data's own declared features are added.
    rule : {"at_horizon", "any"}, default "at_horizon"
        Below the line at the horizon, or at any judgement within it: see :func:`outcome_labels`.
    net_of_assistance : bool, default False
        Judge welfare without public transfers.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation, default "welfare"
        What decides: see :func:`riskml.outcome_labels`.

    Returns
    -------
    X : DataFrame of float64
        Features.
    y : Series of float64
        ``returned``, 0 or 1, same index.
    """
    X = feature_table(data, as_of_dates, features=features, outcome=outcome)
    how = {"rule": rule, "net_of_assistance": net_of_assistance, "outcome": outcome}
    y = settled_labels(data, _multi(X.index), horizon_months=horizon_months, **how)  # type: ignore[arg-type]
    observed = y.notna()
    return X[observed], y[observed]


def training_dates(data: Monitoring, *, horizon_months: int, every_months: int = 3) -> list[pd.Timestamp]:
    """Return first days of months on which the question can be asked and the outcome was observed.

    From the first month with half a judging period (``data.welfare_months``) behind it to the last with a whole
    horizon before the newest welfare record, counted back from that last one in steps of ``every_months``; the same for
    every outcome, since the welfare records say how long households were observed.

    Parameters
    ----------
    data : Monitoring
        The tables.
    horizon_months : int
        Months from the as-of date to the outcome.
    every_months : int, default 3
        Months between as-of dates.

    Returns
    -------
    list of Timestamp
        Earliest first.

    Raises
    ------
    ValueError
        If the records span too few months for one such date.
    """
    dates = welfare_records(data)["date"]
    return dates_between(
        dates.min(),
        dates.max(),
        welfare_months=data.welfare_months,
        horizon_months=horizon_months,
        every_months=every_months,
    )


def dates_between(
    first_record: pd.Timestamp,
    last_record: pd.Timestamp,
    *,
    welfare_months: int,
    horizon_months: int,
    every_months: int,
) -> list[pd.Timestamp]:
    """Return the dates of :func:`training_dates` for welfare records from one day to another."""
    first = first_record - pd.DateOffset(days=1) + pd.DateOffset(months=welfare_months // 2)
    last = last_record + pd.DateOffset(days=1) - pd.DateOffset(months=horizon_months)
    day = last.replace(day=1)
    found: list[pd.Timestamp] = []
    while day > first or (not found and day >= first):
        found.append(day)
        day = day - pd.DateOffset(months=every_months)
    if not found:
        raise ValueError(
            in_words(
                f"welfare records from {first_record:%Y-%m-%d} to {last_record:%Y-%m-%d} are too short for half a "
                f"judging period of {welfare_months} months and a horizon of {horizon_months}",
                f"收入记录自{first_record:%Y-%m-%d}至{last_record:%Y-%m-%d}，时间过短，"
                f"不足以覆盖半个评判期（共{welfare_months}个月）和{horizon_months}个月的预测期",
            )
        )
    return [pd.Timestamp(day) for day in reversed(found)]


def backtest_sets(
    data: Monitoring,
    *,
    test_from: object,
    horizon_months: int,
    every_months: int = 3,
    features: Sequence[Declaration] = STANDARD,
    rule: Rule = "at_horizon",
    net_of_assistance: bool = False,
    outcome: Outcome = "welfare",
) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    """Return training and test sets such that training saw only what was known on ``test_from``.

    The training set comes from ``data.known_by(test_from)``: neither a feature nor an outcome that was known later
    enters it. The test set asks on the dates from ``test_from`` on, with outcomes as known today.

    Parameters
    ----------
    data : Monitoring
        The tables.
    test_from : date
        First day of the test.
    horizon_months : int
        Months from the as-of date to the outcome.
    every_months : int, default 3
        Months between as-of dates.
    features : sequence of declarations, optional
        Default: :data:`riskml.STANDARD`. The data's own declared features are added.
    rule : {"at_horizon", "any"}, default "at_horizon"
        Below the line at the horizon, or at any judgement within it: see :func:`outcome_labels`.
    net_of_assistance : bool, default False
        Judge welfare without public transfers.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation, default "welfare"
        What decides: see :func:`riskml.outcome_labels`.

    Returns
    -------
    X_train, y_train, X_test, y_test
        As :func:`training_set` gives them.

    Raises
    ------
    ValueError
        If there is no date to train or to test on.
    DataRefused
        If a table is overwritten in place and ``test_from`` is not after its extract.
    """
    settings = {"features": features, "rule": rule, "net_of_assistance": net_of_assistance, "outcome": outcome}
    months = {"horizon_months": horizon_months, "every_months": every_months}
    past, train, test = backtest_dates(data, test_from=test_from, **months)
    X_train, y_train = training_set(past, train, horizon_months=horizon_months, **settings)  # type: ignore[arg-type]
    X_test, y_test = training_set(data, test, horizon_months=horizon_months, **settings)  # type: ignore[arg-type]
    return X_train, y_train, X_test, y_test


def backtest_dates(
    data: Monitoring, *, test_from: object, horizon_months: int, every_months: int = 3
) -> tuple[Monitoring, list[pd.Timestamp], list[pd.Timestamp]]:
    """Return the data as known on a day, the dates whose outcome was known then, and the dates from that day on.

    Parameters
    ----------
    data : Monitoring
        The tables.
    test_from : date
        First day of the test.
    horizon_months : int
        Months from the as-of date to the outcome.
    every_months : int, default 3
        Months between as-of dates.

    Returns
    -------
    past : Monitoring
        ``data.known_by(test_from)``.
    train, test : list of Timestamp
        As-of dates, earliest first.

    Raises
    ------
    ValueError
        If there is no date to train or to test on.
    DataRefused
        If a table is overwritten in place and ``test_from`` is not after its extract.
    """
    start = pd.Timestamp(str(test_from))
    past = data.known_by(start)
    train = training_dates(past, horizon_months=horizon_months, every_months=every_months)
    # Outcomes of dates within a horizon of the test are not yet whole.
    train = [day for day in train if day + pd.DateOffset(months=horizon_months) <= start]
    test = [d for d in training_dates(data, horizon_months=horizon_months, every_months=every_months) if d >= start]
    if not train or not test:
        which = "train" if not train else "test"
        raise ValueError(
            in_words(
                f"no as-of date to {which} on: test_from {start:%Y-%m-%d}, horizon {horizon_months} months",
                f"没有可用于{'训练' if which == 'train' else '测试'}的评估日期：test_from {start:%Y-%m-%d}，"
                f"预测期{horizon_months}个月",
            )
        )
    return past, train, test


def _dates(data: Monitoring, as_of_dates: Iterable[object]) -> pd.DatetimeIndex:
    given = [as_of_dates] if isinstance(as_of_dates, str | pd.Timestamp) else list(as_of_dates)
    if not given:
        raise ValueError("as_of_dates is empty; give at least one date")
    dates = pd.DatetimeIndex([pd.Timestamp(day) for day in given]).normalize().unique().sort_values()  # type: ignore[arg-type]
    require_history(data, dates)
    return pd.DatetimeIndex(dates.astype("datetime64[s]"))


def _multi(index: pd.Index) -> pd.MultiIndex:
    assert isinstance(index, pd.MultiIndex)
    return index


def _index(
    data: Monitoring, household: NDArray[np.int64], as_of: NDArray[np.int64], dates: pd.DatetimeIndex
) -> pd.MultiIndex:
    index = pd.MultiIndex(
        levels=[data.household_ids, dates],  # type: ignore[list-item]
        codes=[household, as_of],  # type: ignore[list-item]
        names=["household_id", "as_of_date"],
        verify_integrity=False,
    )
    return index.remove_unused_levels()


def _at_risk(
    data: Monitoring, dates: pd.DatetimeIndex, outcome: Outcome
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows at risk: positions of household, date and version of the registry, and welfare."""
    n_households, n_dates = len(data.household_ids), len(dates)
    household = np.repeat(np.arange(n_households), n_dates)
    as_of = np.tile(np.arange(n_dates), n_households)
    versions, version = data.versions("households"), household_version(data, household, as_of, dates)
    welfare = welfare_on(data, household, as_of, dates)[:, 0]
    there = version >= 0
    if "left_on" in versions:
        left = windows.days(versions["left_on"])[version]
        there &= left >= windows.days(dates)[as_of]
    definition = outcome_of(data, outcome)
    if definition is None:
        there &= welfare >= 1
    else:
        there &= already(data, definition, household, as_of, dates) == 0
    return household[there], as_of[there], version[there], welfare[there]
