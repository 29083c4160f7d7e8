"""What a plan would have been worth, from what the office did: the off-policy value of an assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from riskml.effects.checks import RARE
from riskml.effects.doubly_robust import Z95, FloatArray
from riskml.effects.estimate import Effects, Trial
from riskml.findings import in_words

#: Share of a plan that may go to households whom practice hardly ever gave the measure; more is not valued.
MOST_OUTSIDE = 0.2


def policy_value(effects: Effects, plan: pd.DataFrame) -> pd.DataFrame:
    """Return how many returns a plan would have averted more than what the office did.

    The plan says on past as-of dates who starts which measure in the window; where it says nothing, the measure does
    not start. With the doubly robust scores of a row with and without the measure (:mod:`riskml.effects.doubly_robust`)
    a measure's plan is worth the sum over its rows of ``Y - (plan x with + (1 - plan) x without)`` returns (Dudík et
    al. 2011), where the office's own worth is what came of it, ``Y``. The other measures stay as the office gave them,
    so the row of ``all`` adds up measures as if none changed what another does.

    The plan must have been made from what was known on the date, not from what came of it. Whoever it gives a measure
    that practice hardly ever gave to such households is not valued but counted (``n_outside``), as if they did not get
    it; with more than :data:`MOST_OUTSIDE` of them no value is given.

    Parameters
    ----------
    effects : Effects
        As :func:`riskml.estimate_effects` gives them.
    plan : DataFrame
        ``household_id, as_of_date, measure``, one row a measure given (as :func:`riskml.match_assistance` gives it;
        rows without a measure say nothing).

    Returns
    -------
    DataFrame
        One row a measure of ``effects`` that could be judged, then ``all``: ``measure``; ``n_rows``; ``n_planned`` of
        them by the plan, ``n_started`` by the office; ``n_outside``; ``averted``, returns averted more than by the
        office, with ``standard_error, lower, upper`` (95 %, clustered by household); ``refused_en, refused_zh``.

    Raises
    ------
    ValueError
        If a column is missing, or no row of the plan is about these as-of dates and measures.

    References
    ----------
    Dudík, Langford, Li (2011). Doubly robust policy evaluation and learning. *ICML*.

    Examples
    --------
    >>> import numpy as np
    >>> from riskml.effects.doubly_robust import Guesses
    >>> index = pd.MultiIndex.from_product([["a", "b", "c", "d"], [pd.Timestamp("2024-01-01")]])
    >>> index.names = ["household_id", "as_of_date"]
    >>> half = Guesses(np.full(4, 0.5), np.full(4, 1.0), np.zeros(4))  # without: all return; with: none
    >>> trial = Trial(index, np.array([1.0, 1, 0, 0]), np.array([0.0, 0, 1, 1]), half, np.array(list("wxyz")), 0, -1.0)
    >>> effects = Effects(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {"grant": trial}, 12, 1)
    >>> all_four = index.to_frame(index=False).assign(measure="grant")
    >>> policy_value(effects, all_four).loc[0, ["n_planned", "n_started", "averted"]].tolist()
    [4.0, 2.0, 2.0]
    """
    given = _checked(effects, plan)
    rows: list[dict[str, Any]] = []
    sums: list[pd.Series] = []
    for name, trial in effects.trials.items():
        wanted = pd.MultiIndex.from_frame(given.loc[given["measure"] == name, ["household_id", "as_of_date"]])
        wanted = wanted.unique()
        within = (trial.guesses.propensity >= RARE) & trial.index.isin(wanted)
        n_outside = len(wanted) - int(within.sum())
        averted = _averted(trial, within.astype(np.float64))
        row = {
            "measure": name,
            "n_rows": len(trial.y),
            "n_planned": len(wanted),
            "n_started": int(trial.treated.sum()),
            "n_outside": n_outside,
        }
        rows.append(row | _value(averted, trial.household_id) | _reason(n_outside, len(wanted)))
        sums.append(pd.Series(averted).groupby(trial.household_id).sum())
    together = pd.concat(sums)
    counts = {name: sum(row[name] for row in rows) for name in ("n_rows", "n_planned", "n_started", "n_outside")}
    reason = _reason(counts["n_outside"], counts["n_planned"])
    rows.append(
        {"measure": "all", **counts}
        | _value(np.asarray(together, dtype=np.float64), together.index.to_numpy())
        | reason
    )
    table = pd.DataFrame(rows)
    hidden = table["refused_en"] != ""
    numbers = ["averted", "standard_error", "lower", "upper"]
    return table.assign(**{name: table[name].mask(hidden) for name in numbers})


def _averted(trial: Trial, planned: FloatArray) -> FloatArray:
    """Return what each row adds to the returns averted: what came of the office's start less the plan's score."""
    guesses, d, y = trial.guesses, trial.treated, trial.y
    with_ = guesses.treated + d * (y - guesses.treated) / guesses.propensity
    without = guesses.untreated + (1 - d) * (y - guesses.untreated) / (1 - guesses.propensity)
    return y - planned * with_ - (1 - planned) * without


def _value(averted: FloatArray, household_id: np.ndarray) -> dict[str, float]:
    total = float(averted.sum())
    sums = np.bincount(pd.factorize(household_id)[0], averted - averted.mean())
    error = float(np.sqrt((sums @ sums) * len(sums) / max(len(sums) - 1, 1)))
    return {
        "averted": total,
        "standard_error": error,
        "lower": total - Z95 * error,
        "upper": total + Z95 * error,
    }


def _reason(n_outside: int, n_planned: int) -> dict[str, Any]:
    if n_outside <= MOST_OUTSIDE * n_planned:
        return {"refused_en": "", "refused_zh": ""}
    return {
        "refused_en": f"{n_outside} of {n_planned} planned go to households whom practice hardly ever gave the "
        "measure, or of whom nothing is known; what it would do for them cannot be told",
        "refused_zh": f"计划的{n_planned}次中有{n_outside}次给予现行做法几乎从不给予或情况不明的住户，无法判断对其作用",
    }


def _checked(effects: Effects, plan: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in ("household_id", "as_of_date", "measure") if name not in plan]
    if missing:
        raise ValueError(
            in_words(
                f"the plan lacks the column {missing[0]}; give a plan as match_assistance makes it",
                f"计划缺少列 {missing[0]}；请使用 match_assistance 生成的计划",
            )
        )
    dates = {day for trial in effects.trials.values() for day in trial.index.unique("as_of_date")}
    given = plan.assign(as_of_date=pd.to_datetime(plan["as_of_date"]).astype("datetime64[s]"))
    given = given[given["measure"].isin(effects.trials) & given["as_of_date"].isin(dates)]
    if given.empty:
        known = ", ".join(effects.trials)
        raise ValueError(
            in_words(
                f"no row of the plan is about the as-of dates and measures whose effects were estimated ({known}); "
                "plan on one of these past dates",
                f"计划中没有涉及已估计效果的评估日期和措施（{known}）的行；请在这些过去的日期上编制计划",
            )
        )
    return given
