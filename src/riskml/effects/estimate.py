"""What past help did about return: from the monitoring history, with the naive answer and the doubts beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskml.effects import checks
from riskml.effects.doubly_robust import (
    ESTIMANDS,
    Average,
    Estimand,
    FloatArray,
    Guesses,
    average_effect,
    cross_fit,
    rough_propensity,
)
from riskml.effects.history import as_happened, help_before, treatment_table
from riskml.features.dictionary import feature_dictionary
from riskml.features.outcomes import Outcome, Rule, settled_labels
from riskml.features.panel import cohort, feature_table
from riskml.features.standard import STANDARD
from riskml.findings import in_words
from riskml.skill.groups import chosen_groups

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: Parts of those who started by their risk without the measure.
RISK_GROUPS = ("lowest", "middle", "highest")
#: With fewer starts a group's effect is not stated.
LEAST_IN_GROUP = 30
#: Households with less than this share of the average chance of a start are left out: practice does not reach them.
_LEAST_CHANCE = 0.25
_NUMBERS = (
    "difference",
    "standard_error",
    "lower",
    "upper",
    "risk_with",
    "risk_without",
    "relative_reduction",
    "relative_lower",
    "relative_upper",
    "e_value",
    "e_value_interval",
)


@dataclass(frozen=True, eq=False)
class Trial:
    """The rows that tell of one measure, as if it had been a trial.

    Attributes
    ----------
    index : MultiIndex
        ``(household_id, as_of_date)`` of the rows compared.
    treated, y : ndarray of shape (n_rows,)
        Whether the measure started in the window; whether the household returned.
    guesses : Guesses
        Of propensity and risks, by models that have not seen the row's area.
    area_id : ndarray of str objects, shape (n_rows,)
        The household's newest area.
    n_left_out : int
        Rows at risk left out because practice hardly ever gives the measure to households like them.
    naive : float
        Share that returned of those who started less that of all others at risk.
    """

    index: pd.MultiIndex
    treated: FloatArray
    y: FloatArray
    guesses: Guesses
    area_id: np.ndarray
    n_left_out: int
    naive: float

    @property
    def household_id(self) -> np.ndarray:
        """The household of each row: what standard errors are clustered by."""
        return self.index.get_level_values("household_id").to_numpy(dtype=object)


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of measures with what speaks for and against them.

    Attributes
    ----------
    table : DataFrame
        One row a measure, estimand and group: see :func:`estimate_effects`.
    overlap : DataFrame
        One row a measure: see :func:`riskml.effects.checks.overlap_row`.
    controls : DataFrame
        Two rows a measure: ``earlier_welfare``, what help that starts now cannot change
        (:func:`riskml.effects.checks.earlier_welfare`); ``placebo_outcome``, returns drawn from the guessed risk
        without the measure, for all alike. See :func:`riskml.effects.checks.control_row`.
    trials : dict of str to Trial
        The rows behind each measure that could be judged.
    horizon_months, window_months : int
        What was asked.
    """

    table: pd.DataFrame
    overlap: pd.DataFrame
    controls: pd.DataFrame
    trials: dict[str, Trial]
    horizon_months: int
    window_months: int


def estimate_effects(
    data: Monitoring,
    measures: Sequence[str] | pd.DataFrame,
    as_of_dates: Iterable[object],
    *,
    horizon_months: int,
    window_months: int = 1,
    rule: Rule = "at_horizon",
    outcome: Outcome = "welfare",
    groups: Sequence[str] = (),
    n_folds: int = 5,
    random_state: int = 0,
) -> Effects:
    """Estimate what starting a measure did about return, from who was helped and who was not.

    On each as-of date everybody at risk in whom the measure is not running either starts it within the window or does
    not; those who do are compared with those who do not and were as likely to. What happened before the date
    (:func:`riskml.effects.history.as_happened`, all features, and how much help the area had before) is adjusted for
    by cross-fitted, doubly robust averages (:mod:`riskml.effects.doubly_robust`); models are learned in other areas
    than they are asked about. After the window officers go on helping as they do, those who did not start included: the
    effect is that of starting *now* rather than later or never.

    This is an effect only if nothing beyond what is adjusted for moved both the start and the return. The data cannot
    show that; the controls can show that it is not so, and the E-value says how strong a hidden reason must be.

    Parameters
    ----------
    data : Monitoring
        The tables, ``assistance`` among them.
    measures : sequence of str, or DataFrame
        Names as in ``assistance.measure``, or a table of measures (:func:`riskml.read_measures`).
    as_of_dates : iterable of dates
        First days of the windows; many (each month) tell more. Horizons must have ended.
    horizon_months : int
        Months from the as-of date to the outcome.
    window_months : int, default 1
        Months from the as-of date on in which a start counts. What happens in the window before the start is not
        adjusted for, so keep it short.
    rule : {"at_horizon", "any"}, default "at_horizon"
        As in :func:`riskml.outcome_labels`.
    outcome : {"welfare", "status", "deprivation"} or definition, default "welfare"
        As in :func:`riskml.outcome_labels`.
    groups : sequence of str, optional
        Columns of the feature table or the cohort to state effects by, as ``area_id:6``: see
        :func:`riskml.skill.groups.chosen_groups`.
    n_folds : int, default 5
        Folds of areas.
    random_state : int, default 0
        Of folds and models.

    Returns
    -------
    Effects
        ``table``: ``measure, estimand`` (``att``: those who started; ``ato``: those of whom it was most open; ``ate``:
        all whom practice gives it), ``by, group`` (``all``; ``risk``: thirds of those who started by their risk without
        the measure; ``groups``), ``n_rows, n_treated, n_households``, ``difference`` (risk with less risk without:
        negative where it helped) with ``standard_error, lower, upper`` (95 %, clustered by household), ``risk_with,
        risk_without``, ``relative_reduction`` (share of the risk without the measure that it takes away) with
        ``relative_lower, relative_upper``, ``e_value, e_value_interval``, ``naive`` (the difference without any
        adjustment), ``refused_en, refused_zh`` (why no number is given; empty where one is). Numbers are NaN where
        refused.

    Raises
    ------
    ValueError
        If the data have no table ``assistance``, or a window reaches beyond the extract; or as
        :func:`riskml.feature_table` and :func:`riskml.outcome_labels`.

    References
    ----------
    Robins, Rotnitzky, Zhao (1994). Estimation of regression coefficients when some regressors are not always observed.
    *JASA* 89. Chernozhukov et al. (2018). Double/debiased machine learning for treatment and structural parameters.
    *Econometrics Journal* 21. Li, Morgan, Zaslavsky (2018). Balancing covariates via propensity score weighting.
    *JASA* 113. Hernán, Robins (2016). Using big data to emulate a target trial when a randomized trial is not
    available. *American Journal of Epidemiology* 183.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(150, n_months=30, random_state=0)
    >>> effects = estimate_effects(data, ["housing_repair"], ["2022-01-01"], horizon_months=12)
    >>> effects.table.loc[0, "refused_en"][:40]
    '0 starts with a known outcome, at least '
    """
    names = list(measures["measure"]) if isinstance(measures, pd.DataFrame) else list(measures)
    happened = as_happened(data)
    X = feature_table(happened, as_of_dates, outcome=outcome)
    asked = {"horizon_months": horizon_months, "rule": rule, "outcome": outcome}
    y = settled_labels(data, X.index, **asked)  # type: ignore[arg-type]
    X, y = X[y.notna()], y[y.notna()]
    if X.empty:
        raise ValueError(
            in_words(
                f"no household at risk on these dates has a known outcome {horizon_months} months later; choose "
                "earlier as-of dates",
                f"这些日期的监测范围内没有住户在{horizon_months}个月后的结果已知；请选择更早的评估日期",
            )
        )
    assert isinstance(X.index, pd.MultiIndex)
    people = cohort(happened, X.index.unique("as_of_date"), outcome=outcome).loc[X.index]
    dictionary = feature_dictionary((*STANDARD, *data.features))
    grouped = chosen_groups(groups, X, people, dictionary) if groups else pd.DataFrame(index=X.index)
    started = treatment_table(data, names, X.index, window_months=window_months)
    control = checks.earlier_welfare(data, X.index)
    area = data.area_of(X.index.get_level_values("household_id"))
    rows: list[dict[str, Any]] = []
    overlaps: list[dict[str, Any]] = []
    controls: list[dict[str, Any]] = []
    trials: dict[str, Trial] = {}
    for name in names:
        at = np.flatnonzero(started[name].notna())
        d, outcomes = started[name].to_numpy()[at], y.to_numpy()[at]
        few = checks.too_few(d, outcomes)
        if any(few):
            rows += _refused(name, X.index[at], d, outcomes, few)
            continue
        x = pd.concat([X.iloc[at], help_before(data, name, X.index[at])], axis=1)
        settings: dict[str, Any] = {"n_folds": n_folds, "random_state": random_state}
        rough = rough_propensity(x, d, folds_of=area[at], **settings)
        kept = np.flatnonzero(rough >= _LEAST_CHANCE * d.mean())
        naive = float(outcomes[d == 1].mean() - outcomes[d == 0].mean())
        reason = checks.unexplained(float(np.median(rough[d == 1])))
        reason = reason if any(reason) else checks.too_few(d[kept], outcomes[kept])
        if any(reason):
            rows += _refused(name, X.index[at], d, outcomes, reason)
            continue
        x, at = x.iloc[kept], at[kept]
        guesses = cross_fit(x, d[kept], outcomes[kept], folds_of=area[at], **settings)
        trial = Trial(X.index[at], d[kept], outcomes[kept], guesses, area[at], len(d) - len(kept), naive)
        trials[name] = trial
        overlap = _overlap(trial)
        overlaps.append({"measure": name, **overlap})
        rows += _effect_rows(name, trial, overlap, grouped.iloc[at])
        controls += _controls(name, trial, x, control.to_numpy()[at], settings)
    return Effects(
        pd.DataFrame(rows),
        pd.DataFrame(overlaps, columns=["measure", *checks.OVERLAP_COLUMNS]),
        pd.DataFrame(controls, columns=["measure", *checks.CONTROL_COLUMNS]),
        trials,
        horizon_months,
        window_months,
    )


def _overlap(trial: Trial) -> dict[str, Any]:
    average = average_effect(trial.guesses, trial.treated, trial.y, clusters=trial.household_id)
    return checks.overlap_row(trial.guesses.propensity, trial.treated, average.effective, trial.n_left_out)


def _effect_rows(name: str, trial: Trial, overlap: dict[str, Any], grouped: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for estimand in ESTIMANDS:
        reason = checks.no_overlap(overlap, estimand)
        yield _row(name, trial, estimand, "all", "all", np.ones(len(trial.y), dtype=bool), reason)  # type: ignore[arg-type]
    reason = checks.no_overlap(overlap, "att")
    risk, d = trial.guesses.untreated, trial.treated.astype(bool)
    third = np.digitize(risk, np.quantile(risk[d], [1 / 3, 2 / 3]))
    parts = [("risk", label, third == k) for k, label in enumerate(RISK_GROUPS)]
    for by in grouped:
        values = grouped[by].astype(object).where(grouped[by].notna(), "missing").astype(str).to_numpy()
        parts += [(str(by), value, values == value) for value in np.unique(values)]
    for by, label, members in parts:
        said = reason if any(reason) else checks.too_few(trial.treated[members], trial.y[members], LEAST_IN_GROUP)
        yield _row(name, trial, "att", by, label, members, said)


def _row(
    name: str, trial: Trial, estimand: Estimand, by: str, group: str, members: np.ndarray, reason: tuple[str, str]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "measure": name,
        "estimand": estimand,
        "by": by,
        "group": group,
        "n_rows": int(members.sum()),
        "n_treated": int(trial.treated[members].sum()),
        "n_households": len(np.unique(trial.household_id[members])),
        **dict.fromkeys(_NUMBERS, np.nan),
        "naive": trial.naive,
        "refused_en": reason[0],
        "refused_zh": reason[1],
    }
    if not any(reason):
        found = average_effect(
            trial.guesses, trial.treated, trial.y, clusters=trial.household_id, estimand=estimand, where=members
        )
        row |= _numbers(found)
    return row


def _numbers(found: Average) -> dict[str, float]:
    ratio, low, high = found.ratio_interval
    value, of_interval = checks.e_value(ratio, low, high)
    numbers = (
        found.difference,
        found.standard_error,
        *found.interval,
        found.treated,
        found.untreated,
        1 - ratio,
        1 - high,
        1 - low,
        value,
        of_interval,
    )
    return dict(zip(_NUMBERS, numbers, strict=True))


def _refused(
    name: str, index: pd.MultiIndex, d: FloatArray, y: FloatArray, reason: tuple[str, str]
) -> Iterator[dict[str, Any]]:
    """Rows of a measure of which too little is known to compare at all."""
    n = int(d.sum())
    naive = float(y[d == 1].mean() - y[d == 0].mean()) if 0 < n < len(d) else np.nan
    unknown = Guesses(*(np.full(len(d), np.nan) for _ in range(3)))
    trial = Trial(index, d, y, unknown, np.empty(len(d), dtype=object), 0, naive)
    for estimand in ESTIMANDS:
        yield _row(name, trial, estimand, "all", "all", np.ones(len(d), dtype=bool), reason)  # type: ignore[arg-type]


def _controls(
    name: str, trial: Trial, x: pd.DataFrame, earlier: FloatArray, settings: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Rows of the outcomes that the start cannot have changed, adjusted as the effect is."""
    drawn = np.random.default_rng(settings["random_state"]).random(len(trial.y)) < trial.guesses.untreated
    for check, outcome in (("earlier_welfare", earlier), ("placebo_outcome", drawn.astype(np.float64))):
        seen = np.flatnonzero(~np.isnan(outcome))
        d, found = trial.treated[seen], None
        if min(d.sum(), len(d) - d.sum()) >= checks.LEAST_TREATED and len(np.unique(trial.area_id[seen])) > 1:
            guesses = cross_fit(
                x.iloc[seen],
                d,
                outcome[seen],
                folds_of=trial.area_id[seen],
                propensity=trial.guesses.propensity[seen],
                **settings,
            )
            found = average_effect(guesses, d, outcome[seen], clusters=trial.household_id[seen])
        yield {"measure": name, **checks.control_row(check, found, len(seen))}
