"""What came of households: below the line, in an official status, or deprived in several dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from riskml.features import windows
from riskml.features.deprivation import Deprivation, Indicator, deprived
from riskml.findings import DataRefused, in_words
from riskml.tables.contract import TABLES
from riskml.tables.history import require_history
from riskml.tables.lines import welfare_records
from riskml.tables.validation import finding

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

Rule = Literal["at_horizon", "any"]
#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "no_status": (
        "The outcome 'status' needs the table status, which the data do not have. Add it, or choose another outcome.",
        "结果“status”需要数据表 status,但数据中没有。请补充该表,或选择其他结果。",
    ),
}
_CATEGORIES = TABLES["status"].by_name["category"].choices
_DAYS_A_MONTH = 365.25 / 12
#: Months are sums of shares of months.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class OfficialStatus:
    """Returned to an official category of the table ``status``: identified anew by the office.

    Parameters
    ----------
    categories : sequence of str
        Which categories count; default: all that the data contract knows.

    Raises
    ------
    ValueError
        If there is none, or one the contract does not know.
    """

    name: ClassVar[str] = "status"
    categories: tuple[str, ...] = _CATEGORIES

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", tuple(self.categories))
        unknown = [category for category in self.categories if category not in _CATEGORIES]
        if unknown or not self.categories:
            raise ValueError(f"categories must be some of {', '.join(_CATEGORIES)}, not {list(self.categories)}")

    def settings(self) -> dict[str, Any]:
        """Return what defines it as plain values, as ``monitoring.toml`` and a model's card hold them.

        Returns
        -------
        dict
            ``categories``; :func:`outcome_from` reads it.
        """
        return {"categories": list(self.categories)}


Outcome = Literal["welfare", "status", "deprivation"] | OfficialStatus | Deprivation
#: Names of outcomes.
OUTCOMES = ("welfare", "status", "deprivation")


def outcome_labels(
    data: Monitoring,
    index: pd.MultiIndex,
    *,
    horizon_months: int,
    rule: Rule = "at_horizon",
    net_of_assistance: bool = False,
    outcome: Outcome = "welfare",
) -> pd.Series:
    """Return whether each household returned to poverty: 1, 0, or NaN where that was not observed.

    With the horizon ``h`` (as-of date plus ``horizon_months``) and only records on or after the as-of date, in the
    newest version the data have:

    *Welfare.* ``"at_horizon"`` takes the mean welfare of the ``w`` months before ``h``, where ``w`` is the smaller of
    ``data.welfare_months`` and the horizon; 1 if it is below the line. ``"any"`` judges the same for every end of a
    record inside the horizon: 1 if one of these judgements is below the line; 0 if none is and the records cover at
    least ``data.least_covered`` of the horizon's months, so that it is known that the household stayed above.
    A judgement needs records that cover at least half of ``w``, the newest of them within the second half
    before the judging day (``at_horizon``).

    *Status.* 1 if a spell in one of the categories began within the horizon and still ran on its last day
    (``"at_horizon"``), or began within it (``"any"``). 0 if none did, the household was still there at ``h`` and
    observed as the rule asks of welfare, and the data reach to ``h``. NaN also if, as was learned later, it was in such
    a category on the as-of date already.

    *Deprivation.* 1 if the score over the records of the horizon (:class:`riskml.Deprivation`; each indicator over its
    own months before ``h``) reaches the cut-off, 0 if not, NaN where there is no score.

    Parameters
    ----------
    data : Monitoring
        The tables; for a backtest ``data.known_by(...)``, so that no outcome counts before it was known.
    index : MultiIndex
        ``(household_id, as_of_date)``, as the feature table's.
    horizon_months : int
        Months from the as-of date to the outcome, at least 1.
    rule : {"at_horizon", "any"}, default "at_horizon"
        At the horizon, or at any time within it; a deprivation is judged at the horizon only.
    net_of_assistance : bool, default False
        Judge welfare without public transfers.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation, default "welfare"
        What decides; a name stands for what the data declare (``data.outcomes``), else for the defaults.

    Returns
    -------
    Series of float64
        ``returned``, indexed as given.

    Raises
    ------
    ValueError
        If the horizon is not positive, rule or outcome unknown or not to be had together, or a household of the index
        not in the data.
    DataRefused
        If a table is overwritten in place and a date is not after its extract, or the data lack what the outcome needs.
    """
    definition = outcome_of(data, outcome)
    require_together(definition, rule=rule, net_of_assistance=net_of_assistance)
    household, as_of, end = _asked(data, index, horizon_months, rule)
    if isinstance(definition, Deprivation):
        told = deprived(data, definition, household, as_of, end)
        labels = definition.poor(definition.score(told)).to_numpy()
    else:
        lowest, enough = _judged(data, household, as_of, end, horizon_months, rule, net_of_assistance)
        if definition is None:
            labels = np.where(lowest < 1, 1.0, np.where(np.isnan(lowest) | ~enough, np.nan, 0.0))
        else:
            labels = _status_labels(data, definition, household, as_of, end, rule, enough)
    return pd.Series(labels, index=index, name="returned")


def observed_to_horizon(
    data: Monitoring, index: pd.MultiIndex, *, horizon_months: int, rule: Rule = "at_horizon"
) -> pd.Series:
    """Return whether each household's welfare was observed over enough of the horizon, whatever came of it.

    A return under the rule ``any`` is known as soon as it is seen, that a household stayed above the line only at the
    end: among the rows with a label those that returned are too many. Shares of returns, and the level of a model, are
    right among the rows that this function marks, which are chosen without regard to the outcome; they are also what
    :func:`riskml.censoring_weights` should learn from. With ``"at_horizon"`` these are all rows with a label.

    Parameters
    ----------
    data : Monitoring
        The tables.
    index : MultiIndex
        ``(household_id, as_of_date)``.
    horizon_months : int
        Months from the as-of date to the outcome, at least 1.
    rule : {"at_horizon", "any"}, default "at_horizon"
        ``any``: records cover at least ``data.least_covered`` of the horizon's months and a judgement could be made.

    Returns
    -------
    Series of bool
        ``observed``, indexed as given.

    Raises
    ------
    ValueError
        If the horizon is not positive, the rule unknown, or a household of the index not in the data.
    DataRefused
        If a table is overwritten in place and a date is not after its extract.
    """
    household, as_of, end = _asked(data, index, horizon_months, rule)
    lowest, enough = _judged(data, household, as_of, end, horizon_months, rule, net_of_assistance=False)
    return pd.Series(enough & ~np.isnan(lowest), index=index, name="observed")


def outcome_welfare(
    data: Monitoring,
    index: pd.MultiIndex,
    *,
    horizon_months: int,
    rule: Rule = "at_horizon",
    net_of_assistance: bool = False,
    outcome: Outcome = "welfare",
) -> pd.Series:
    """Return the welfare that decided each label: how far below or above the line a household came out.

    :meth:`riskml.RiskClassifier.fit` learns more from it than from yes or no alone: a household at 0.98 lines and one
    at 1.02 came to nearly the same, one at 3 lines did not.

    Parameters
    ----------
    data : Monitoring
        The tables the labels come from.
    index : MultiIndex
        ``(household_id, as_of_date)``, as the feature table's.
    horizon_months : int
        As for :func:`outcome_labels`, and so the others.
    rule : {"at_horizon", "any"}, default "at_horizon"
        ``any``: the lowest of all judgements within the horizon.
    net_of_assistance : bool, default False
        Welfare without public transfers.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation, default "welfare"
        What decides. Where it is not welfare, all values are NaN.

    Returns
    -------
    Series of float64
        ``outcome_welfare`` in lines, indexed as given: below 1 exactly where :func:`outcome_labels` says 1. NaN where
        no judgement could be made, and wherever the label is NaN.

    Raises
    ------
    ValueError
        As :func:`outcome_labels`.
    DataRefused
        As :func:`outcome_labels`.

    Examples
    --------
    >>> import riskml as rk
    >>> data = rk.datasets.make_monitoring(60, n_months=36, random_state=0)
    >>> X, y = rk.training_set(data, ["2022-01-01"], horizon_months=12)
    >>> welfare = outcome_welfare(data, X.index, horizon_months=12)
    >>> bool(((welfare < 1) == (y == 1)).all())
    True
    """
    definition = outcome_of(data, outcome)
    require_together(definition, rule=rule, net_of_assistance=net_of_assistance)
    household, as_of, end = _asked(data, index, horizon_months, rule)
    lowest = np.full(len(household), np.nan)
    if definition is None:
        lowest, enough = _judged(data, household, as_of, end, horizon_months, rule, net_of_assistance)
        lowest = np.where((lowest >= 1) & ~enough, np.nan, lowest)
    return pd.Series(lowest, index=index, name="outcome_welfare")


def settled_labels(
    data: Monitoring,
    index: pd.MultiIndex,
    *,
    horizon_months: int,
    rule: Rule = "at_horizon",
    net_of_assistance: bool = False,
    outcome: Outcome = "welfare",
) -> pd.Series:
    """Return the labels of rows that were observed to the horizon whatever came of it, NaN for all others.

    Where a return is known as soon as it is seen and safety only at the end (the rule ``any``, official status), the
    rows that :func:`outcome_labels` marks before the end are all returns: to learn from them is to learn that whoever
    is lost returns, and to judge by them is to judge too many returns.

    Parameters
    ----------
    data : Monitoring
        As in :func:`outcome_labels`.
    index : MultiIndex
        As in :func:`outcome_labels`.
    horizon_months : int
        As in :func:`outcome_labels`.
    rule : {"at_horizon", "any"}, default "at_horizon"
        As in :func:`outcome_labels`.
    net_of_assistance : bool, default False
        As in :func:`outcome_labels`.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation, default "welfare"
        As in :func:`outcome_labels`.

    Returns
    -------
    Series of float64
        ``returned``, indexed as given.

    Raises
    ------
    ValueError
        As :func:`outcome_labels`.
    DataRefused
        As :func:`outcome_labels`.
    """
    how = {"rule": rule, "net_of_assistance": net_of_assistance, "outcome": outcome}
    y = outcome_labels(data, index, horizon_months=horizon_months, **how)  # type: ignore[arg-type]
    definition = outcome_of(data, outcome)
    if isinstance(definition, Deprivation) or (definition is None and rule == "at_horizon"):
        return y
    return y.where(observed_to_horizon(data, index, horizon_months=horizon_months, rule=rule))


def outcome_of(data: Monitoring, outcome: Outcome) -> OfficialStatus | Deprivation | None:
    """Return what an outcome stands for; None is welfare below the line.

    Raises
    ------
    ValueError
        If it is no outcome.
    """
    if isinstance(outcome, OfficialStatus | Deprivation):
        return outcome
    if outcome not in OUTCOMES:
        raise ValueError(
            f"outcome must be one of {', '.join(OUTCOMES)}, an OfficialStatus or a Deprivation, not {outcome!r}"
        )
    declared = {own.name: own for own in data.outcomes}
    defaults = {"welfare": None, "status": OfficialStatus(), "deprivation": Deprivation()}
    return declared.get(outcome, defaults[outcome])


def outcome_from(name: str, settings: Mapping[str, Any] | None = None) -> Outcome:
    """Return the outcome that plain values stand for, as ``monitoring.toml`` and a model's ``fit_summary_`` hold them.

    Parameters
    ----------
    name : {"welfare", "status", "deprivation"}
        What decides.
    settings : mapping, optional
        What defines it; None for that of the data.

    Returns
    -------
    str, OfficialStatus or Deprivation
        As :func:`outcome_labels` takes it.

    Raises
    ------
    TypeError, ValueError
        If a setting is unknown or wrong.

    Examples
    --------
    >>> outcome_from("status", {"categories": ["sudden"]})
    OfficialStatus(categories=('sudden',))
    """
    if name not in OUTCOMES:
        raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}, not {name!r}")
    if name == "welfare" or settings is None:
        return name  # type: ignore[return-value]
    if name == "status":
        return OfficialStatus(**settings)
    chosen = dict(settings)
    if "indicators" in chosen:
        chosen["indicators"] = tuple(Indicator(name=key, **how) for key, how in chosen["indicators"].items())
    return Deprivation(**chosen)


def outcome_values(data: Monitoring, outcome: Outcome) -> dict[str, Any]:
    """Return what a model's ``fit_summary_`` says of the outcome, as plain values.

    Parameters
    ----------
    data : Monitoring
        The tables, for what they declare.
    outcome : {"welfare", "status", "deprivation"}, OfficialStatus or Deprivation
        What decides.

    Returns
    -------
    dict
        ``outcome`` (its name) and, unless it is welfare, ``outcome_definition``; :func:`learned_outcome` reads them.
    """
    definition = outcome_of(data, outcome)
    if definition is None:
        return {"outcome": "welfare"}
    return {"outcome": definition.name, "outcome_definition": definition.settings()}


def learned_outcome(fit_summary: Mapping[str, Any]) -> Outcome:
    """Return the outcome a model learned, from its ``fit_summary_``; one that does not say learned welfare."""
    return outcome_from(fit_summary.get("outcome", "welfare"), fit_summary.get("outcome_definition"))


def require_together(definition: OfficialStatus | Deprivation | None, *, rule: str, net_of_assistance: bool) -> None:
    """Refuse what an outcome cannot be judged by.

    Raises
    ------
    ValueError
        If a deprivation is asked for by the rule ``any``, or another outcome than welfare without transfers.
    """
    en = zh = ""
    if isinstance(definition, Deprivation) and rule == "any":
        en = "outcome 'deprivation' is judged at the horizon; choose the rule 'at_horizon'"
        zh = "结果“deprivation”只在期末判断，请选择规则“at_horizon”"
    elif definition is not None and net_of_assistance:
        en = f"net_of_assistance belongs to the outcome 'welfare'; it does not go with {definition.name!r}"
        zh = f"net_of_assistance 只适用于结果“welfare”，不能与“{definition.name}”同用"
    if en:
        raise ValueError(in_words(en, zh))


def already(
    data: Monitoring,
    definition: OfficialStatus | Deprivation,
    household: NDArray[np.int64],
    as_of: NDArray[np.int64],
    as_of_dates: pd.DatetimeIndex,
) -> NDArray[np.float64]:
    """Return whether households are in the state an outcome names on the as-of date, as known then.

    Parameters
    ----------
    data : Monitoring
        The tables.
    definition : OfficialStatus or Deprivation
        What decides.
    household, as_of : ndarray of int64, shape (n_rows,)
        Positions in ``data.household_ids`` and in ``as_of_dates``.
    as_of_dates : DatetimeIndex
        The dates.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        1, 0, or NaN where the score is not known.

    Raises
    ------
    DataRefused
        If the data lack what the outcome needs.
    """
    if isinstance(definition, Deprivation):
        told = deprived(data, definition, household, as_of_dates[as_of])
        return definition.poor(definition.score(told)).to_numpy()
    spells = _spells(data, definition)
    found = np.zeros(len(household))
    for position, day in enumerate(as_of_dates):
        # Strict <: what was entered on the day itself is not yet seen by the office.
        known = (spells["known_on"] < day) & ~(spells["superseded_on"] < day)
        running = known & (spells["start"] <= day) & ~(spells["end"] < day)
        rows = as_of == position
        found[rows] = np.isin(household[rows], spells.loc[running, "household_position"])
    return found


def _asked(
    data: Monitoring, index: pd.MultiIndex, horizon_months: int, rule: Rule
) -> tuple[NDArray[np.int64], pd.DatetimeIndex, pd.DatetimeIndex]:
    """Return household, as-of date and end of the horizon of each row, checked."""
    if horizon_months < 1:
        raise ValueError(f"horizon_months must be at least 1, got {horizon_months}")
    if rule not in ("at_horizon", "any"):
        raise ValueError(f"rule must be 'at_horizon' or 'any', got {rule!r}")
    require_history(data, index.get_level_values("as_of_date").unique())
    household = data.household_ids.get_indexer(index.get_level_values("household_id")).astype(np.int64)
    if (household < 0).any():
        unknown = index.get_level_values("household_id")[household < 0]
        raise ValueError(f"{(household < 0).sum()} rows are of households the data do not have (first: {unknown[0]!r})")
    as_of = pd.DatetimeIndex(index.get_level_values("as_of_date"))
    return household, as_of, as_of + pd.DateOffset(months=horizon_months)


def _spells(data: Monitoring, definition: OfficialStatus) -> pd.DataFrame:
    if "status" not in data.tables:
        raise DataRefused([finding("no_status", "status", "", 1, "status", messages=MESSAGES)])
    spells = data.versions("status")
    return spells[spells["category"].isin(definition.categories)]


def _status_labels(
    data: Monitoring,
    definition: OfficialStatus,
    household: NDArray[np.int64],
    as_of: pd.DatetimeIndex,
    end: pd.DatetimeIndex,
    rule: Rule,
    enough: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return labels by the table of official status; ``enough``: the household was observed to the horizon."""
    newest = _spells(data, definition)
    newest = newest[newest["superseded_on"].isna()]
    registry = data.versions("households").drop_duplicates("household_id", keep="last")
    left_on = np.full(len(data.household_ids), np.datetime64("NaT", "s"))
    if "left_on" in registry:
        left_on[registry["household_position"]] = registry["left_on"].to_numpy("datetime64[s]")
    left = newest["elimination"] == "left" if "elimination" in newest else np.zeros(len(newest), dtype=bool)
    labels = np.full(len(household), np.nan)
    for day, horizon in pd.MultiIndex.from_arrays([as_of, end]).unique():
        rows = np.flatnonzero(as_of == day)
        own = household[rows]
        inside = newest[(newest["start"] >= day) & (newest["start"] < horizon)]
        # The last day of the horizon is the one before h; a spell covers its own last day.
        if rule == "at_horizon":
            inside = inside[~(inside["end"] < horizon - pd.Timedelta(days=1))]
        before = newest[(newest["start"] < day) & ~(newest["end"] < day)]
        gone = newest[left & (newest["end"] >= day) & (newest["end"] < horizon)]
        there = ~(left_on[own] < np.datetime64(horizon)) & ~np.isin(own, gone["household_position"])
        safe = there & enough[rows] & (horizon <= data.extract_on)
        found = np.isin(own, inside["household_position"])
        known = np.where(found, 1.0, np.where(safe, 0.0, np.nan))
        labels[rows] = np.where(np.isin(own, before["household_position"]), np.nan, known)
    return labels


def _judged(
    data: Monitoring,
    household: NDArray[np.int64],
    as_of: pd.DatetimeIndex,
    end: pd.DatetimeIndex,
    horizon_months: int,
    rule: Rule,
    net_of_assistance: bool,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the lowest welfare judged, in lines (NaN: no judgement could be made), and if enough was seen."""
    frame = welfare_records(data)
    frame = frame[frame["superseded_on"].isna()]
    welfare = frame["welfare_net" if net_of_assistance else "welfare"].to_numpy(dtype=np.float64)
    months = frame["months"].to_numpy(dtype=np.float64)
    records = windows.arrange(
        frame["household_position"].to_numpy(),
        len(data.household_ids),
        date=windows.days(frame["date"]),
        known=windows.days(frame["known_on"]),
        superseded=windows.days(frame["superseded_on"]),
        values=np.column_stack([welfare, months]),
    )
    judged = min(data.welfare_months, horizon_months)
    lowest, covered = np.full(len(household), np.nan), np.zeros(len(household))
    _judgement_kernel(
        records.offsets,
        records.date,
        records.values,
        windows.shifted_days(_as_dates(records.date), -judged),
        _first_days(records.date, records.values[:, 1]),
        household,
        windows.days(as_of),
        windows.days(end),
        windows.days(end - pd.DateOffset(months=judged)),
        windows.days(end - pd.to_timedelta(judged * 365.25 / 24, unit="D")),
        judged / 2,
        rule == "any",
        lowest,
        covered,
    )
    if rule == "any":
        return lowest, covered >= data.least_covered * horizon_months - _ROUNDING
    return lowest, ~np.isnan(lowest)


def _as_dates(day: NDArray[np.int32]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(day.astype("datetime64[D]").astype("datetime64[s]"))


def _first_days(date: NDArray[np.int32], months: NDArray[np.float64]) -> NDArray[np.int32]:
    """First day of each record's period, whose last day is its date."""
    after, whole = _as_dates(date + 1), np.floor(months)
    first = np.empty(len(date), dtype=np.int32)
    for length in np.unique(whole):
        rows = whole == length
        first[rows] = windows.shifted_days(after[rows], -length)
    first -= np.round((months - whole) * _DAYS_A_MONTH).astype(np.int32)
    return np.minimum(first, date)


@njit(cache=True, nogil=True)
def _judgement_kernel(  # type: ignore[no-untyped-def]
    offsets,
    date,
    values,
    judged_start,
    first_day,
    household,
    as_of_day,
    end,
    start,
    second_half,
    least_months,
    anywhere,
    lowest_out,
    covered_out,
):
    for row in range(len(household)):
        first = offsets[household[row]]
        last = offsets[household[row] + 1]
        lowest = np.nan
        covered = 0.0
        reached = end[row]
        for newest in range(last - 1, first - 1, -1):
            if date[newest] >= end[row] or np.isnan(values[newest, 0]):
                continue
            if date[newest] < as_of_day[row] or (not anywhere and date[newest] < second_half[row]):
                break
            # Days that a later record has covered, and those before the as-of date, do not count again.
            days = min(date[newest] + 1, reached) - max(first_day[newest], as_of_day[row])
            if days > 0:
                covered += values[newest, 1] * days / (date[newest] + 1 - first_day[newest])
                reached = first_day[newest]
            # "any" judges the period that ends with each record, "at_horizon" the one that ends with the horizon.
            from_day = max(judged_start[newest] + 1 if anywhere else start[row], as_of_day[row])
            months = 0.0
            total = 0.0
            for record in range(newest, first - 1, -1):
                if date[record] < from_day:
                    break
                if not np.isnan(values[record, 0]):
                    months += values[record, 1]
                    total += values[record, 1] * values[record, 0]
            if months >= least_months and months > 0.0:
                lowest = total / months if np.isnan(lowest) else min(lowest, total / months)
            if not anywhere:
                break
        lowest_out[row] = lowest
        covered_out[row] = covered
