"""The subcommands that say what to do: plan."""

from __future__ import annotations

import argparse

from riskml.files import read_table, write_table
from riskml.findings import in_words
from riskml.planning.assist import match_assistance, plan_summary
from riskml.planning.measures import read_measures
from riskml.steps import LIST_COLUMNS, Answer, Tell, records


def plan(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Assign measures to a watchlist under a budget."""
    listed = read_table(arguments.watchlist, required=LIST_COLUMNS)
    measures = read_measures(arguments.measures)
    tell(in_words("planning", "正在编制计划"))
    proposed = match_assistance(listed, measures, budget=arguments.budget)
    write_table(proposed, arguments.out)
    funded = proposed[proposed["measure"] != ""]
    totals = {
        "n_funded": int(funded["household_id"].nunique()),
        "cost": float(funded["cost"].sum()),
        "returns_averted": float(funded["expected_points"].sum()),
    }
    summary = plan_summary(proposed)
    values = {"out": str(arguments.out), "budget": arguments.budget, **totals, "summary": records(summary)}
    return Answer(values, f"{arguments.out}\n{summary.to_string(index=False)}")
