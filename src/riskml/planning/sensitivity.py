"""How a plan moves when the effects it rests on are at the ends of their intervals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from riskml.planning.assist import Plan, make_plan
from riskml.planning.measures import check_measures


def plan_sensitivity(plan: Plan, need: pd.DataFrame, measures: pd.DataFrame, **asked: Any) -> pd.DataFrame:
    """Plan again with all effects at the lower, then at the upper end of their intervals, and compare.

    Parameters
    ----------
    plan : Plan
        As :func:`riskml.planning.assist.make_plan` gives.
    need, measures : DataFrame
        What it was made from.
    **asked
        The other arguments it was made with: ``budget`` and so on.

    Returns
    -------
    DataFrame
        Three rows, ``effects``: ``lower``, ``planned``, ``upper``; ``households`` with a measure,
        ``households_changed`` (those whose measures differ from the plan's), ``cost``, ``averted`` (expected returns
        averted by the plan made with these effects) and ``averted_by_plan`` (by the plan given, if these were the
        effects). A measure without an interval keeps its effect.

    Examples
    --------
    >>> from riskml.causes import CAUSES
    >>> from riskml.planning.measures import example_measures
    >>> need = pd.DataFrame({"household_id": ["a", "b"], "as_of_date": pd.Timestamp("2024-12-01"), "risk": [0.3, 0.2]})
    >>> need = need.assign(**{f"points_{cause}": 0.0 for cause in CAUSES})
    >>> need = need.assign(points_illness=[0.2, 0.1], points_income=[0.0, 0.07])
    >>> plan = make_plan(need, example_measures(), budget=6000)
    >>> moved = plan_sensitivity(plan, need, example_measures(), budget=6000)
    >>> moved[["effects", "households", "households_changed", "averted", "averted_by_plan"]].round(3)
       effects  households  households_changed  averted  averted_by_plan
    0    lower           1                   0     0.06             0.06
    1  planned           1                   0     0.10             0.10
    2    upper           2                   2     0.15             0.14
    """
    measures = check_measures(measures, for_planning=True)
    rows = []
    for end in ("lower", "planned", "upper"):
        column = "expected_points" if end == "planned" else f"expected_points_{end}"
        again = plan if end == "planned" else make_plan(need, _at_end(measures, end), **asked)
        rows.append(
            {
                "effects": end,
                "households": _given(again.table)["household_id"].nunique(),
                "households_changed": n_changed(plan.table, again.table),
                "cost": again.table["cost"].sum(),
                "averted": again.table["expected_points"].sum(),
                # A measure without an interval keeps its effect.
                "averted_by_plan": plan.table[column].fillna(plan.table["expected_points"]).sum(),
            }
        )
    return pd.DataFrame(rows)


def n_changed(one: pd.DataFrame, other: pd.DataFrame) -> int:
    """Return how many households do not have the same measures in two plans.

    Parameters
    ----------
    one, other : DataFrame
        As :func:`riskml.match_assistance` gives.

    Returns
    -------
    int
        Households with a measure in one plan that they do not have in the other.
    """
    keys = ["household_id", "measure"]
    both = _given(one)[keys].merge(_given(other)[keys], on=keys, how="outer", indicator=True)
    return int(both.loc[both["_merge"] != "both", "household_id"].nunique())


def _given(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["measure"] != ""]


def _at_end(measures: pd.DataFrame, end: str) -> pd.DataFrame:
    effect = measures[f"effect_{end}"].fillna(measures["effect"])
    return measures.assign(effect=effect, effect_lower=effect, effect_upper=effect)
