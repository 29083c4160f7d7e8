"""Deprivation in several dimensions: indicators with cut-offs, a score, who is poor by it (Alkire and Foster 2011)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.features.records import known_records
from riskml.findings import DataRefused
from riskml.tables.contract import TABLES
from riskml.tables.history import require_history
from riskml.tables.validation import finding

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

FloatArray = NDArray[np.float64]
#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "no_indicator": (
        "Deprivation in '{first}' needs {where}, which the data lack. Add it, or name the indicators that count.",
        "“{first}”方面的剥夺需要 {where},但数据中没有。请补充,或指明要使用的指标。",
    ),
}
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_STATS = ("last", "max", "min", "sum", "mean", "count")
#: Scores are sums of shares: one that equals the cut-off on paper must not miss it by rounding.
_ROUNDING = 1e-9
#: With ``missing="reweight"`` indicators of at least this weight must be known.
LEAST_WEIGHT = 0.5


@dataclass(frozen=True, kw_only=True)
class Indicator:
    """One indicator of deprivation: which records, over how long, and from where on a household is deprived.

    Parameters
    ----------
    name, dimension : str
        What it is called, and the dimension it belongs to.
    table, column : str
        An event or snapshot table of the data contract, or ``welfare`` for the welfare records (columns ``welfare`` and
        ``welfare_net``); amounts are in lines. An empty column counts the records.
    sign : {"<", "<=", ">", ">=", "=="}
        Deprived where the value stands so to ``cutoff``.
    cutoff : float
        The deprivation cut-off.
    stat : {"last", "max", "min", "sum", "mean", "count"}, default "last"
        What becomes of the records of the period. The mean of welfare records is weighted by months and missing
        where they cover less than half of the period.
    months : int, default 12
        Length of the period; of welfare records at most ``data.welfare_months``.
    nothing : float, optional
        Value of a household without a record in the period (0 for bills: nothing was paid). Default: not known.
    weight : float, optional
        Share of the score. Give it for all indicators, summing to 1, or for none: then dimensions weigh the same, and
        indicators the same within their dimension.

    Raises
    ------
    ValueError
        If the table has no dated records, or the statistic or sign is unknown.
    """

    name: str
    dimension: str
    table: str
    column: str = ""
    sign: str
    cutoff: float
    stat: str = "last"
    months: int = 12
    nothing: float | None = None
    weight: float | None = None

    def __post_init__(self) -> None:
        dated = [name for name, table in TABLES.items() if table.kind in ("event", "snapshot")]
        if self.table not in dated:
            raise ValueError(f"indicator {self.name!r}: table must be one of {', '.join(dated)}, not {self.table!r}")
        for what, given, allowed in (("sign", self.sign, tuple(_SIGNS)), ("stat", self.stat, _STATS)):
            if given not in allowed:
                raise ValueError(f"indicator {self.name!r}: {what} must be one of {', '.join(allowed)}, not {given!r}")
        if self.months < 1 or (not self.column and self.stat != "count"):
            raise ValueError(f"indicator {self.name!r} needs months of at least 1, and a column unless it counts")


#: Cut-offs of our own over the tables of the contract, to be put in place of by those the office uses. The contract has
#: no table of food: a district that records it adds an indicator over its column.
INDICATORS = (
    Indicator(name="income", dimension="income", table="welfare", column="welfare", stat="mean", sign="<", cutoff=1.0),
    Indicator(
        name="schooling",
        dimension="schooling",
        table="schooling",
        column="dropped_out",
        stat="max",
        sign=">=",
        cutoff=1.0,
        nothing=0.0,
    ),
    Indicator(
        name="medical",
        dimension="medical care",
        table="medical",
        column="out_of_pocket",
        stat="sum",
        sign=">=",
        cutoff=0.25,
        nothing=0.0,
    ),
    Indicator(name="housing", dimension="housing", table="housing", column="grade", sign=">=", cutoff=3.0),
    Indicator(name="water", dimension="water", table="water", column="grade", sign=">=", cutoff=3.0),
)


@dataclass(frozen=True)
class Deprivation:
    """Poor in several dimensions at once: the deprivation score reaches a cut-off.

    The score of a household is the sum of the weights of the indicators in which it is deprived; it is poor if the
    score is at least ``cutoff`` (the dual cut-off: one in each indicator, one across them).

    Parameters
    ----------
    indicators : sequence of Indicator
        Default: :data:`riskml.features.deprivation.INDICATORS`.
    cutoff : float, default 1/3
        Above 0 and at most 1.
    missing : {"nan", "reweight"}, default "nan"
        Score of a household of which an indicator is not known: missing, or over the indicators that are known, if
        these have at least half of the weight.

    Raises
    ------
    ValueError
        If names are not unique, weights are not all or none given, or do not sum to 1, or a setting is unknown.

    References
    ----------
    Alkire, Foster (2011). Counting and multidimensional poverty measurement. *Journal of Public Economics* 95.

    Examples
    --------
    >>> Deprivation(cutoff=0.4).weights()
    {'income': 0.2, 'schooling': 0.2, 'medical': 0.2, 'housing': 0.2, 'water': 0.2}
    """

    name: ClassVar[str] = "deprivation"
    indicators: tuple[Indicator, ...] = INDICATORS
    cutoff: float = 1 / 3
    missing: Literal["nan", "reweight"] = "nan"

    def __post_init__(self) -> None:
        object.__setattr__(self, "indicators", tuple(self.indicators))
        names = [indicator.name for indicator in self.indicators]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"Deprivation needs indicators, each with a name of its own, not {names}")
        if not 0 < self.cutoff <= 1:
            raise ValueError(f"cutoff must be above 0 and at most 1, not {self.cutoff}")
        if self.missing not in ("nan", "reweight"):
            raise ValueError(f"missing must be 'nan' or 'reweight', not {self.missing!r}")
        given = [indicator.weight for indicator in self.indicators if indicator.weight is not None]
        if given and (len(given) < len(names) or min(given) <= 0 or abs(sum(given) - 1) > 1e-6):
            raise ValueError(
                f"give the weight of every indicator, above 0 and summing to 1, or of none; {len(given)} of "
                f"{len(names)} are given, summing to {sum(given):g}"
            )

    def weights(self) -> dict[str, float]:
        """Return the weight of each indicator; they sum to 1.

        Returns
        -------
        dict of str to float
            By name.
        """
        within = [indicator.dimension for indicator in self.indicators]
        equal = [1 / len(set(within)) / within.count(dimension) for dimension in within]
        return {i.name: even if i.weight is None else i.weight for i, even in zip(self.indicators, equal, strict=True)}

    def score(self, deprived: pd.DataFrame) -> pd.Series:
        """Return the deprivation score of each row.

        Parameters
        ----------
        deprived : DataFrame of float64, shape (n_rows, >= n_indicators)
            1, 0 or NaN (not known) by name of indicator.

        Returns
        -------
        Series of float64
            From 0 to 1; NaN as ``missing`` says.
        """
        weight = pd.Series(self.weights())
        told = deprived[list(weight.index)].astype(np.float64)
        known = told.notna().to_numpy() @ weight.to_numpy()
        total = pd.Series(told.fillna(0.0).to_numpy() @ weight.to_numpy(), index=deprived.index, name="score")
        if self.missing == "nan":
            return total.where(known > 1 - _ROUNDING)
        return (total / np.where(known > 0, known, np.nan)).where(known >= LEAST_WEIGHT - _ROUNDING)

    def poor(self, score: pd.Series) -> pd.Series:
        """Return who is poor.

        Parameters
        ----------
        score : Series of float64
            As :meth:`score` returns it.

        Returns
        -------
        Series of float64
            1, 0, or NaN where the score is.
        """
        return (score >= self.cutoff - _ROUNDING).astype(np.float64).where(score.notna()).rename("poor")

    def settings(self) -> dict[str, Any]:
        """Return what defines it as plain values, as ``monitoring.toml`` and a model's card hold them.

        Returns
        -------
        dict
            ``cutoff, missing, indicators``; :func:`riskml.features.outcomes.outcome_from` reads it.
        """
        indicators = {}
        for indicator in self.indicators:
            plain = {key: value for key, value in asdict(indicator).items() if value is not None and key != "name"}
            indicators[indicator.name] = {key: value for key, value in plain.items() if value != ""}
        return {"cutoff": self.cutoff, "missing": self.missing, "indicators": indicators}


def deprivation_table(
    data: Monitoring, as_of_dates: Iterable[object], *, deprivation: Deprivation | None = None
) -> pd.DataFrame:
    """Return in what each household is deprived on each date, from what was known then.

    Parameters
    ----------
    data : Monitoring
        The tables.
    as_of_dates : iterable of dates
        The days the question is asked.
    deprivation : Deprivation, optional
        Default: that of the data, else ``Deprivation()``.

    Returns
    -------
    DataFrame of float64
        Indexed by ``(household_id, as_of_date)``, sorted, every household of the data: a column an indicator (1
        deprived, 0 not, NaN not known), ``score`` and ``poor``.

    Raises
    ------
    DataRefused
        If the data lack the table or column of an indicator, or a table is overwritten in place and a date is not
        after its extract.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(60, n_months=24, random_state=0)
    >>> deprivation_table(data, ["2022-12-01"]).columns.tolist()
    ['income', 'schooling', 'medical', 'housing', 'water', 'score', 'poor']
    """
    own = next((outcome for outcome in data.outcomes if isinstance(outcome, Deprivation)), Deprivation())
    definition = own if deprivation is None else deprivation
    given = [as_of_dates] if isinstance(as_of_dates, str | pd.Timestamp) else list(as_of_dates)
    days = pd.DatetimeIndex([pd.Timestamp(str(day)) for day in given]).normalize().unique().sort_values()
    require_history(data, days)
    index = pd.MultiIndex.from_product([data.household_ids, days], names=["household_id", "as_of_date"])
    household = np.repeat(np.arange(len(data.household_ids)), len(days))
    table = deprived(data, definition, household, pd.DatetimeIndex(index.get_level_values(1)))
    table.index = index
    score = definition.score(table)
    return table.assign(score=score, poor=definition.poor(score))


def deprived(
    data: Monitoring,
    definition: Deprivation,
    household: NDArray[np.int64],
    day: pd.DatetimeIndex,
    until: pd.DatetimeIndex | None = None,
) -> pd.DataFrame:
    """Return in what households are deprived, as known on a day, or as it turned out by a later one.

    Parameters
    ----------
    data : Monitoring
        The tables.
    definition : Deprivation
        The indicators.
    household : ndarray of int64, shape (n_rows,)
        Positions in ``data.household_ids``.
    day : DatetimeIndex, length n_rows
        Records before it count, as far as known before it.
    until : DatetimeIndex, length n_rows, optional
        If given, the records from ``day`` on and before this one count instead, as known today.

    Returns
    -------
    DataFrame of float64, shape (n_rows, n_indicators)
        1, 0 or NaN by name of indicator.

    Raises
    ------
    DataRefused
        If the data lack the table or column of an indicator.
    """
    records = {indicator.name: _records(data, indicator) for indicator in definition.indicators}
    out = np.full((len(household), len(records)), np.nan)
    ends = day if until is None else until
    asked = pd.MultiIndex.from_arrays([day, ends])
    for first, end in asked.unique():
        rows = np.flatnonzero((day == first) & (ends == end))
        for column, indicator in enumerate(definition.indicators):
            of_all = records[indicator.name]
            # Welfare is judged over the data's own period: a survey that asks for one month has no twelve.
            judged = indicator.table == "welfare"
            start = end - pd.DateOffset(
                months=min(indicator.months, data.welfare_months) if judged else indicator.months
            )
            if until is None:
                # Strict <: what was entered on the day itself is not yet seen by the office.
                known = (of_all["known_on"] < end) & ~(of_all["superseded_on"] < end)
            else:
                known, start = of_all["superseded_on"].isna(), max(start, first)
            inside = of_all[known & (of_all["date"] >= start) & (of_all["date"] < end)]
            out[rows, column] = _values(inside, indicator, start, end, len(data.household_ids))[household[rows]]
    return pd.DataFrame(out, columns=list(records))


def adjusted_headcount(
    deprived: pd.DataFrame,
    deprivation: Deprivation,
    *,
    groups: Any = None,
    sample_weight: Any = None,
) -> pd.DataFrame:
    """Return the adjusted headcount ratio with its parts, for all rows and by group.

    ``H`` is the share of the poor, ``A`` the mean score of the poor, ``M0 = H x A``; the censored headcount of an
    indicator is the share of those who are poor and deprived in it, and ``M0`` is their sum weighted as in the score.
    ``M0`` of all is the mean of the groups' by their weight.

    Parameters
    ----------
    deprived : DataFrame of float64, shape (n_rows, >= n_indicators)
        1, 0 or NaN by name of indicator, as :func:`deprivation_table` gives them.
    deprivation : Deprivation
        Weights, cut-off, and what becomes of rows with an indicator missing.
    groups : array-like, shape (n_rows,), optional
        What to look at one by one.
    sample_weight : array-like of float, shape (n_rows,), optional
        Weights of the rows (persons, households).

    Returns
    -------
    DataFrame
        ``group`` (``all`` first), ``n`` (rows with a score), ``n_missing``, ``weight`` (their sum over rows with a
        score), ``H``, ``A`` (NaN if nobody is poor), ``M0``, and ``censored_<indicator>``. Where rows are scored
        over part of the indicators (``missing="reweight"``), one not known counts as not deprived in the censored
        headcounts, and these no longer sum to ``M0``.

    References
    ----------
    Alkire, Foster (2011), sections 4 and 5; Alkire, Foster, Seth, Santos, Roche, Ballon (2015), *Multidimensional
    Poverty Measurement and Analysis*, chapter 5.

    Examples
    --------
    >>> indicators = [
    ...     Indicator(name=name, dimension=name, table="traits", column=name, sign=">", cutoff=0.0) for name in "abcd"
    ... ]
    >>> deprived = pd.DataFrame([[0, 0, 0, 1], [1, 1, 1, 1], [0, 1, 1, 0]], columns=list("abcd"))
    >>> adjusted_headcount(deprived, Deprivation(indicators, cutoff=0.5))[["group", "n", "H", "A", "M0"]]
      group  n         H     A   M0
    0   all  3  0.666667  0.75  0.5
    """
    score = deprivation.score(deprived)
    weight = np.ones(len(deprived)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    parts: list[tuple[Any, NDArray[np.bool_]]] = [("all", np.ones(len(deprived), dtype=bool))]
    if groups is not None:
        named = np.asarray(groups, dtype=object)
        parts += [(group, named == group) for group in pd.unique(named)]
    told = deprived.fillna(0.0)
    poor = deprivation.poor(score).to_numpy() == 1
    rows = []
    for group, inside in parts:
        seen = inside & score.notna().to_numpy()
        w = np.where(seen, weight, 0.0)
        total, of_poor = w.sum(), w[poor].sum()
        row = {"group": group, "n": int(seen.sum()), "n_missing": int(inside.sum() - seen.sum()), "weight": total}
        row["H"] = of_poor / total if total > 0 else np.nan
        row["A"] = (w[poor] @ score.to_numpy()[poor]) / of_poor if of_poor > 0 else np.nan
        row["M0"] = row["H"] * row["A"] if of_poor > 0 else row["H"] * 0.0
        for name in deprivation.weights():
            row[f"censored_{name}"] = (w[poor] @ told[name].to_numpy()[poor]) / total if total > 0 else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _records(data: Monitoring, indicator: Indicator) -> pd.DataFrame:
    """Return the records an indicator looks at with their ``value``; those without one are left out."""
    records = known_records(data, indicator.table)
    if records is None or (indicator.column and indicator.column not in records):
        found = finding("no_indicator", indicator.table, indicator.column, 1, indicator.name, messages=MESSAGES)
        raise DataRefused([found])
    value = records[indicator.column] if indicator.column else pd.Series(1.0, index=records.index)
    kept = ["household_position", "date", "known_on", "superseded_on", *(["months"] if "months" in records else [])]
    return records[kept].assign(value=value)[value.notna()]


def _values(
    inside: pd.DataFrame, indicator: Indicator, start: pd.Timestamp, end: pd.Timestamp, n_households: int
) -> FloatArray:
    """Return for every household whether it is deprived: 1, 0, NaN."""
    by_household = inside.groupby("household_position")
    if indicator.table == "welfare" and indicator.stat == "mean":
        months = by_household["months"].sum()
        total = (inside["value"] * inside["months"]).groupby(inside["household_position"]).sum()
        asked = round((end - start).days * 12 / 365.25)
        found = (total / months)[months >= asked / 2 - _ROUNDING]
    else:
        found = by_household["value"].agg(indicator.stat)
    value = np.full(n_households, np.nan if indicator.nothing is None else indicator.nothing)
    value[found.index.to_numpy()] = found.to_numpy()
    answer = _SIGNS[indicator.sign](value, indicator.cutoff).astype(np.float64)
    answer[np.isnan(value)] = np.nan
    return answer
