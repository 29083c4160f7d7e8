"""Features as declarations: what is measured, over which window, what it means, and which rows stand behind it.

A declaration (:class:`Window`, :class:`Spell`, :class:`Roster`, :class:`Latest`, :class:`Newest`,
:class:`Neighbours`, :class:`Season`, :class:`Derived`, :class:`Custom`) is data. From it come the value (computed by
the kernel of :mod:`riskml.features.windows`), the row of the feature dictionary, the monotone direction of the model,
the cause under which an explanation files it, and the records shown as evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from riskml.causes import Cause
from riskml.tables.contract import TABLES

Unit = Literal["lines", "share", "count", "months", "days", "grade", "flag", "years", "number"]
Condition = tuple[str, str, object]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a feature stands for.

    Attributes
    ----------
    cause : str
        One of :data:`riskml.causes.CAUSES`.
    unit : str
        ``lines`` (poverty lines: for a sum the share of a year's line), ``share``, ``count``, ``months``, ``days``,
        ``grade``, ``flag``,
        ``years`` or ``number``.
    direction : int
        1 if more of it raises the risk, -1 if it lowers it, 0 if unknown.
    label_en, label_zh : str
        Noun phrases, without the window.
    actionable : bool
        Whether help can change it.
    sensitive : bool
        Whether it is a protected trait that cards must not spell out.
    """

    cause: Cause = "other"
    unit: Unit = "number"
    direction: int = 0
    label_en: str = ""
    label_zh: str = ""
    actionable: bool = True
    sensitive: bool = False


@dataclass(frozen=True, kw_only=True)
class Feature(Meaning):
    """One column of the feature table: its name and meaning, and how it is computed.

    ``window`` is in months back from the as-of date; infinite: all history; NaN: the state on the day.
    """

    name: str
    kernel: Literal["event", "spell", "roster", "newest", "neighbours", "season", "derived", "custom"]
    table: str
    column: str | None = None
    where: tuple[Condition, ...] = ()
    stat: str = ""
    window: float = np.nan
    ages: tuple[float, float] = (-np.inf, np.inf)
    inputs: tuple[str, ...] = ()
    function: Callable[..., Any] | None = None
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window(Meaning):
    """Statistics of an event or snapshot table over windows back from the as-of date.

    Parameters
    ----------
    table, column : str
        Where the values stand; ``column`` None counts the records.
    months : tuple of float, default (12,)
        Lengths of the windows in calendar months; ``inf`` is all history.
    stats : tuple of str, default ("sum",)
        Of :data:`riskml.features.windows.EVENT_STATS`.
    where : tuple of (column, operator, value)
        Conditions that a record must meet.
    name : str, optional
        First part of the names; default ``<table>_<column>``.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.

    Examples
    --------
    >>> bills = Window("medical", "out_of_pocket", months=(3, 12), stats=("sum",), cause="illness")
    >>> [feature.name for feature in bills.features()]
    ['medical_out_of_pocket_sum_3m', 'medical_out_of_pocket_sum_12m']
    """

    table: str
    column: str | None = None
    months: tuple[float, ...] = (12,)
    stats: tuple[str, ...] = ("sum",)
    where: tuple[Condition, ...] = ()
    name: str = ""

    def features(self) -> tuple[Feature, ...]:
        """Return one feature a statistic and window; ``days_since`` once, over all history.

        Returns
        -------
        tuple of Feature
            Columns of the feature table.
        """
        pairs = [(stat, np.inf) for stat in self.stats if stat == "days_since"]
        pairs += [(stat, float(months)) for months in self.months for stat in self.stats if stat != "days_since"]
        return tuple(_column(self, "event", stat, window, where=self.where) for stat, window in pairs)


@dataclass(frozen=True)
class Latest(Meaning):
    """The newest known value of a column of an event or snapshot table, however old.

    Parameters
    ----------
    table, column : str
        Where the value stands.
    name : str, optional
        Name of the feature; default ``<table>_<column>``.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.

    Examples
    --------
    >>> Latest("housing", "grade", cause="housing", unit="grade", direction=1).features()[0].name
    'housing_grade'
    """

    table: str
    column: str
    name: str = ""

    def features(self) -> tuple[Feature, ...]:
        """Return the one feature.

        Returns
        -------
        tuple of Feature
            One column of the feature table.
        """
        return (_column(self, "event", "last", np.inf),)


@dataclass(frozen=True)
class Spell(Meaning):
    """Statistics of a table of spells: running on the day, covered, ended, about to end.

    Parameters
    ----------
    table, column : str
        Where the values stand; ``column`` None counts the spells.
    months : tuple of float, default (12,)
        Windows in calendar months of ``months``, ``paid``, ``ended``, ``started`` (back) and ``ending``,
        ``ending_sum`` (ahead); the other statistics have none.
    stats : tuple of str, default ("active",)
        Of :data:`riskml.features.windows.SPELL_STATS`.
    where : tuple of (column, operator, value)
        Conditions that a spell must meet.
    name : str, optional
        First part of the names; default ``<table>_<column>``.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.

    Examples
    --------
    >>> jobs = Spell("employment", where=(("away", "==", 1),), stats=("active", "ending"), months=(3,), name="away")
    >>> [feature.name for feature in jobs.features()]
    ['away', 'away_ending_3m']
    """

    table: str
    column: str | None = None
    months: tuple[float, ...] = (12,)
    stats: tuple[str, ...] = ("active",)
    where: tuple[Condition, ...] = ()
    name: str = ""

    def features(self) -> tuple[Feature, ...]:
        """Return one feature a statistic and, where it has one, window.

        Returns
        -------
        tuple of Feature
            Columns of the feature table.
        """
        plain = [stat for stat in self.stats if stat.startswith(("active", "days_since"))]
        pairs = [(stat, np.nan) for stat in plain]
        pairs += [(stat, float(months)) for months in self.months for stat in self.stats if stat not in plain]
        return tuple(_column(self, "spell", stat, window, where=self.where) for stat, window in pairs)


@dataclass(frozen=True)
class Roster(Meaning):
    """A statistic of the people who belong to the household on the as-of date.

    Parameters
    ----------
    name : str
        Name of the feature.
    column : str, optional
        Whose values are summarised; None counts the people.
    stat : str, default "count"
        Of :data:`riskml.features.windows.ROSTER_STATS`.
    ages : tuple of float
        Only people from the first age up to, not including, the second, in years; default: everybody.
    where : tuple of (column, operator, value)
        Conditions that a person must meet.
    months : float, optional
        Window back of ``left`` and ``joined`` in calendar months.
    table : str, default "members"
        Where the people stand.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.

    Examples
    --------
    >>> Roster("children", ages=(0, 16), cause="schooling", unit="count").features()[0].ages
    (0, 16)
    """

    name: str
    column: str | None = None
    stat: str = "count"
    ages: tuple[float, float] = (-np.inf, np.inf)
    where: tuple[Condition, ...] = ()
    months: float = np.nan
    table: str = "members"

    def features(self) -> tuple[Feature, ...]:
        """Return the one feature.

        Returns
        -------
        tuple of Feature
            One column of the feature table.
        """
        return (
            replace(_column(self, "roster", self.stat, self.months, where=self.where), name=self.name, ages=self.ages),
        )


@dataclass(frozen=True)
class Newest(Meaning):
    """Welfare on the day: mean over the judging period that ends with the newest known welfare record.

    Parameters
    ----------
    name : str
        Name of the feature.
    column : {"welfare", "welfare_net"}
        With or without public transfers.
    table : str, default "welfare"
        Where the dictionary says it comes from.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.
    """

    name: str
    column: Literal["welfare", "welfare_net"]
    table: str = "welfare"

    def features(self) -> tuple[Feature, ...]:
        """Return the one feature.

        Returns
        -------
        tuple of Feature
            One column of the feature table.
        """
        return (replace(_column(self, "newest", "newest", np.nan), name=self.name),)


@dataclass(frozen=True)
class Neighbours(Meaning):
    """What is known of the other households of the same area, never of the household itself.

    Parameters
    ----------
    name : str
        Name of the feature.
    stat : {"below", "returned", "welfare"}
        Share below the line; share of those not below it a year before that are below it now; mean welfare, each
        capped at five lines.
    table, column : str, default "welfare"
        Where the dictionary says it comes from.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.
    """

    name: str
    stat: Literal["below", "returned", "welfare"]
    table: str = "welfare"
    column: str = "welfare"

    def features(self) -> tuple[Feature, ...]:
        """Return the one feature.

        Returns
        -------
        tuple of Feature
            One column of the feature table.
        """
        return (replace(_column(self, "neighbours", self.stat, np.nan), name=self.name),)


@dataclass(frozen=True)
class Season:
    """The time of the year on the as-of date: where windows of a few months hold the harvest, and where they do not.

    The same for every household of a date. Without it a model takes the income of harvest months for lasting
    improvement, and the months before for trouble. It needs training dates over the year, and cannot tell a season from
    what else happened on the only date of that season: two years of dates are better than one.

    Parameters
    ----------
    name : str, default "season"
        First part of the names.

    Examples
    --------
    >>> [feature.name for feature in Season().features()]
    ['season_winter', 'season_spring']
    """

    name: str = "season"

    def features(self) -> tuple[Feature, ...]:
        """Return cosine and sine of the part of the year that has passed, so that December lies beside January.

        Returns
        -------
        tuple of Feature
            Two columns of the feature table, from -1 to 1.
        """
        meaning: dict[str, Any] = {"kernel": "season", "table": "", "actionable": False}
        return (
            Feature(
                name=f"{self.name}_winter",
                stat="winter",
                label_en="time of the year, from July (-1) to January (1)",
                label_zh="时节，由七月（-1）至一月（1）",
                **meaning,
            ),
            Feature(
                name=f"{self.name}_spring",
                stat="spring",
                label_en="time of the year, from October (-1) to April (1)",
                label_zh="时节，由十月（-1）至四月（1）",
                **meaning,
            ),
        )


@dataclass(frozen=True)
class Derived(Meaning):
    """A function of other features, named by them; left out where one of them is.

    Parameters
    ----------
    name : str
        Name of the feature.
    function : callable
        Takes one float64 array of shape (n_rows,) per input and returns another.
    inputs : tuple of str
        Names of the features it takes, declared before it.
    window : float, optional
        Months back, as the dictionary says it; it does not change the value.
    table : str, optional
        Where the dictionary says it comes from.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.

    Examples
    --------
    >>> change = Derived("income_change", np.subtract, ("income_mean_3m", "income_mean_12m"), window=12)
    >>> change.features()[0].inputs
    ('income_mean_3m', 'income_mean_12m')
    """

    name: str
    function: Callable[..., FloatArray] = field(repr=False)
    inputs: tuple[str, ...]
    window: float = np.nan
    table: str = ""

    def features(self) -> tuple[Feature, ...]:
        """Return the one feature.

        Returns
        -------
        tuple of Feature
            One column of the feature table.
        """
        meaning = {entry.name: getattr(self, entry.name) for entry in fields(Meaning)}
        return (
            Feature(
                **meaning,
                name=self.name,
                kernel="derived",
                table=self.table,
                inputs=self.inputs,
                window=self.window,
                function=self.function,
            ),
        )


@dataclass(frozen=True)
class Custom(Meaning):
    """A plain Python function over the records known on the as-of date: the way out where no other declaration will do.

    It is slower than the kernel and cannot be stored with a model: pass the same declaration when scoring. It gets only
    what was known, but it can bring knowledge of its own (a table it closes over, a file); that is for
    :func:`riskml.audit_features` to find. A feature should look at one household, or at those of its area: then
    it gives the same for one village as for the county.

    Parameters
    ----------
    name : str
        Name of the feature.
    function : callable
        Called once an as-of date as ``function(known, as_of_date)``; returns a Series of numbers by ``household_id``,
        households it leaves out are NaN. ``known`` maps each name of ``tables`` to a DataFrame of its records as they
        were known that day (the newest version, amounts in lines), sorted by household and date.
    tables : tuple of str
        Tables it reads: names of the data contract other than ``lines``, or ``welfare`` for the welfare records.
    window : float, optional
        Months back, as the dictionary says it; it does not change the value.
    cause, unit, direction, label_en, label_zh, actionable, sensitive : str, int or bool, optional
        What the feature stands for: see :class:`riskml.features.declarations.Meaning`.

    Examples
    --------
    >>> def costliest_patient(known, as_of_date):
    ...     bills = known["medical"].groupby(["household_id", "member_id"])["out_of_pocket"].sum()
    ...     return bills.groupby("household_id").max()
    >>> patient = Custom("costliest_patient", costliest_patient, tables=("medical",), cause="illness", unit="lines")
    >>> [feature.name for feature in patient.features()]
    ['costliest_patient']
    """

    name: str
    function: Callable[..., Any] = field(repr=False)
    tables: tuple[str, ...]
    window: float = np.nan

    def features(self) -> tuple[Feature, ...]:
        """Return the one feature.

        Returns
        -------
        tuple of Feature
            One column of the feature table.

        Raises
        ------
        ValueError
            If no tables are named, or one that has no records of households.
        """
        unknown = [table for table in self.tables if table not in TABLES or table == "lines"]
        if unknown or not self.tables:
            expected = ", ".join(name for name in TABLES if name != "lines")
            raise ValueError(f"tables of feature {self.name!r} must be some of {expected}, not {unknown}")
        meaning = {entry.name: getattr(self, entry.name) for entry in fields(Meaning)}
        return (
            Feature(
                **meaning,
                name=self.name,
                kernel="custom",
                table=self.tables[0],
                tables=self.tables,
                window=self.window,
                function=self.function,
            ),
        )


Declaration = Window | Latest | Spell | Roster | Newest | Neighbours | Season | Derived | Custom


def expand(features: Iterable[Declaration]) -> tuple[Feature, ...]:
    """Return the columns that declarations stand for, in their order.

    Raises
    ------
    ValueError
        If two columns have the same name, or a derived one names an input that does not come before it.
    """
    columns: dict[str, Feature] = {}
    for declaration in features:
        for feature in declaration.features():
            if feature.name in columns:
                raise ValueError(f"two features are called {feature.name!r}; give one of them another name")
            unknown = [name for name in feature.inputs if name not in columns]
            if unknown:
                raise ValueError(f"feature {feature.name!r} needs {unknown}, which must be declared before it")
            columns[feature.name] = feature
    return tuple(columns.values())


_STAT_LABELS: dict[str, tuple[str, str]] = {
    "count": ("{en}, number in {months}", "{months}{zh}次数"),
    "sum": ("{en}, total of {months}", "{months}{zh}合计"),
    "mean": ("{en}, average of {months}", "{months}{zh}平均"),
    "max": ("{en}, highest in {months}", "{months}{zh}最高值"),
    "min": ("{en}, lowest in {months}", "{months}{zh}最低值"),
    "std": ("{en}, variation over {months}", "{months}{zh}波动"),
    "slope": ("{en}, yearly trend over {months}", "{months}{zh}年度变化趋势"),
    "last": ("{en}", "{zh}"),
    "days_since": ("{en}, days since the last", "距最近一次{zh}的天数"),
    "active": ("{en}", "{zh}"),
    "active_sum": ("{en}", "{zh}"),
    "active_max": ("{en}, highest", "{zh}最高值"),
    "months": ("{en}, months of {months}", "{months}{zh}月数"),
    "paid": ("{en}, total of {months}", "{months}{zh}合计"),
    "ended": ("{en}, ended in {months}", "{months}内结束的{zh}"),
    "ending": ("{en}, ending within {months}", "{months}内将结束的{zh}"),
    "ending_sum": ("{en}, amount ending within {months}", "{months}内将结束的{zh}金额"),
    "started": ("{en}, begun in {months}", "{months}内开始的{zh}"),
    "days_since_end": ("{en}, days since the last ended", "距最近一次{zh}结束的天数"),
    "days_since_start": ("{en}, days since the longest running began", "{zh}持续天数"),
}
#: Statistics whose unit is not that of the values.
_STAT_UNITS: dict[str, Unit] = {
    "count": "count",
    "days_since": "days",
    "months": "months",
    "active": "count",
    "ended": "count",
    "ending": "count",
    "started": "count",
    "days_since_end": "days",
    "days_since_start": "days",
    "left": "count",
    "joined": "count",
    "max_age": "years",
}
#: Statistics that say nothing about direction, or the reverse of the values'.
_STAT_SIGNS = {"std": 0, "days_since": -1, "days_since_end": -1, "days_since_start": 0}


def _column(
    declaration: Window | Latest | Spell | Roster | Newest | Neighbours,
    kernel: Literal["event", "spell", "roster", "newest", "neighbours"],
    stat: str,
    window: float,
    *,
    where: tuple[Condition, ...] = (),
) -> Feature:
    """Return the feature of one statistic and window of a declaration, with its name, label, unit and direction."""
    base = declaration.name or f"{declaration.table}_{declaration.column or 'records'}"
    months = "" if not np.isfinite(window) else f"_{window:g}m"
    plain = isinstance(declaration, Latest) or stat == "active" or kernel in ("roster", "newest", "neighbours")
    ahead = stat.startswith("ending")
    span_en = f"the {'next' if ahead else 'last'} {window:g} months" if np.isfinite(window) else "all records"
    span_zh = f"{'未来' if ahead else '近'}{window:g}个月" if np.isfinite(window) else "历次"
    # A count of heads that can be one or none is a yes or no, if its declaration says so.
    declared = kernel == "neighbours" or (kernel == "roster" and declaration.unit == "flag")
    labels = ("{en}", "{zh}") if kernel in ("roster", "neighbours", "newest") else _STAT_LABELS[stat]
    return Feature(
        name=base if plain else f"{base}_{stat}{months}",
        kernel=kernel,
        table=declaration.table,
        column=declaration.column,
        where=where,
        stat=stat,
        window=window,
        cause=declaration.cause,
        unit=declaration.unit if declared else _STAT_UNITS.get(stat, declaration.unit),
        direction=declaration.direction * _STAT_SIGNS.get(stat, 1),
        label_en=labels[0].format(en=declaration.label_en, months=span_en),
        label_zh=labels[1].format(zh=declaration.label_zh, months=span_zh),
        actionable=declaration.actionable,
        sensitive=declaration.sensitive,
    )
