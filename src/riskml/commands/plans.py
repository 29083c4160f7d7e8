"""The subcommands that say what to do: plan."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd

from riskml.features.panel import cohort
from riskml.files import read_table, write_table
from riskml.findings import in_words
from riskml.planning.assist import Plan, make_plan, plan_summary
from riskml.planning.limits import limit_name, read_budgets, read_floors
from riskml.planning.measures import read_measures
from riskml.planning.received import received_on
from riskml.planning.sensitivity import plan_sensitivity
from riskml.steps import LIST_COLUMNS, Answer, Tell, read, records


def plan(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Assign measures to a watchlist within budgets, capacities and floors."""
    listed = read_table(arguments.watchlist, required=LIST_COLUMNS)
    measures = read_measures(arguments.measures)
    asked = _asked(arguments)
    if arguments.data is not None:
        listed, asked["received"] = _with_data(arguments, listed, measures, tell)
    tell(in_words("planning", "正在编制计划"))
    made = make_plan(listed, measures, **asked)
    tell(in_words("planning with effects at the ends of their intervals", "正在按效果区间两端重新编制"))
    moved = plan_sensitivity(made, listed, measures, **asked)
    write_table(made.table, arguments.out)
    if arguments.limits is not None:
        write_table(made.limits, arguments.limits)
    return _answer(arguments, made, moved)


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the plan is asked to keep to."""
    return {
        "budget": arguments.budget if arguments.budgets is None else read_budgets(arguments.budgets),
        "max_measures": arguments.max_measures,
        "floors": None if arguments.floors is None else read_floors(arguments.floors),
        "welfare_weight": arguments.welfare_weight,
        "previous": None if arguments.previous is None else read_table(arguments.previous),
    }


def _with_data(
    arguments: argparse.Namespace, listed: pd.DataFrame, measures: pd.DataFrame, tell: Tell
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the list with welfare where it is weighed by, and what its households receive."""
    data, as_of_date = read(arguments.data, tell), listed["as_of_date"].iloc[0]
    if arguments.welfare_weight and "welfare" not in listed:
        welfare = cohort(data, [as_of_date])["welfare"].droplevel("as_of_date")
        listed = listed.assign(welfare=listed["household_id"].map(welfare))
    return listed, received_on(data, as_of_date, measures)


def _answer(arguments: argparse.Namespace, made: Plan, moved: pd.DataFrame) -> Answer:
    funded = made.table[made.table["measure"] != ""]
    summary = plan_summary(made.table)
    # A plan that misses a floor has no gap; JSON has no NaN.
    gap = None if np.isnan(made.gap) else made.gap
    values = {
        "out": str(arguments.out),
        "budget": arguments.budget,
        "n_funded": int(funded["household_id"].nunique()),
        "cost": float(funded["cost"].sum()),
        "returns_averted": float(funded["expected_points"].sum()),
        "objective": "returns_averted" if not made.welfare_weight else "returns_averted_weighted_by_welfare",
        "welfare_weight": made.welfare_weight,
        "gap": gap,
        "limits": records(made.limits),
        "sensitivity": records(moved),
        "summary": records(summary),
    }
    lines = [str(arguments.out), summary.to_string(index=False), "", *_objective_lines(made), ""]
    lines += [in_words("Limits and what one more unit would avert:", "各项限额及增加一单位可多避免的返贫户数：")]
    lines += [_limit_line(row) for row in made.limits.to_dict("records")]
    lines += ["", *(_moved_line(row) for row in moved.to_dict("records") if row["effects"] != "planned")]
    return Answer(values, "\n".join(lines))


def _objective_lines(made: Plan) -> list[str]:
    if made.welfare_weight:
        power = f"{made.welfare_weight:g}"
        objective = in_words(
            f"Objective: expected returns averted, each weighted by welfare (in poverty lines) to the power -{power}.",
            f"目标：预计避免返贫户数，按福利水平（以贫困线为单位）的-{power}次方加权。",
        )
    else:
        objective = in_words("Objective: expected returns averted.", "目标：预计避免返贫户数。")
    if np.isnan(made.gap):
        proof = in_words(
            "No plan was found that reaches every floor; the rest was planned as well as possible. See the limits.",
            "未找到满足全部下限的计划，其余部分已尽量安排，见下列限额。",
        )
    else:
        proof = in_words(
            f"No plan within these limits is more than {made.gap:.4%} better (proved).",
            f"已证明：在这些限额内，任何计划最多只比本计划好{made.gap:.4%}。",
        )
    return [objective, proof]


def _limit_line(row: dict[Any, Any]) -> str:
    """Return a limit in words: how much is used, and what one more unit is worth."""
    name = limit_name(row, in_words("en", "zh"))
    per, en, zh = 1.0, "place", "1个名额"
    if row["limit"] in ("budget", "floor_money"):
        per, en, zh = 10_000.0, "10,000 of money", "1万元"
    if row["limit"].startswith("floor"):
        used = in_words(
            f"{row['used']:,.0f} reached, {row['amount']:,.0f} asked",
            f"达到{row['used']:,.0f}，要求{row['amount']:,.0f}",
        )
        worth = in_words(
            f"costs {row['shadow_price'] * per:.4f} per {en}", f"每{zh}代价{row['shadow_price'] * per:.4f}"
        )
    else:
        used = in_words(
            f"{row['used']:,.0f} of {row['amount']:,.0f} used", f"已用{row['used']:,.0f}，共{row['amount']:,.0f}"
        )
        worth = in_words(
            f"{row['shadow_price'] * per:+.4f} per {en} more", f"每增加{zh}：{row['shadow_price'] * per:+.4f}"
        )
    if np.isnan(row["shadow_price"]):
        worth = in_words("not known, there was nothing to start with", "原为零，无法估计")
    return f"  {name}: {used}; {worth}"


def _moved_line(row: dict[Any, Any]) -> str:
    en, zh = {"lower": ("lower", "下"), "upper": ("upper", "上")}[row["effects"]]
    return in_words(
        f"If every effect were at the {en} end of its interval: {row['averted_by_plan']:.2f} averted by this plan, "
        f"{row['averted']:.2f} by one made for it, which differs for {row['households_changed']:,} households.",
        f"若各项效果均取区间{zh}限：本计划避免{row['averted_by_plan']:.2f}户；据此重新编制可避免{row['averted']:.2f}户，"
        f"有{row['households_changed']:,}户的安排不同。",
    )
