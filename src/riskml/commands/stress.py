"""The subcommand that asks what an imagined event would do: stress."""

from __future__ import annotations

import argparse
from typing import Any

from riskml.causes import TOPICS
from riskml.explanation.wording import format_risk
from riskml.files import write_table
from riskml.findings import in_words
from riskml.model.store import load_model
from riskml.outlook.scenario import read_scenario
from riskml.outlook.stress import Stress, stress
from riskml.planning.measures import read_measures
from riskml.steps import Answer, Tell, read, records

#: Areas and causes named in the text; all are in the tables.
_NAMED = 5


def imagined(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Say what the event of a scenario would do, and what would hold the rate."""
    scenario = read_scenario(arguments.scenario)
    measures = None if arguments.measures is None else read_measures(arguments.measures)
    data, model = read(arguments.data, tell), load_model(arguments.model)
    tell(in_words("imagining", "正在推演"))
    how: dict[str, Any] = {"n_listed": arguments.top, "area_digits": arguments.area_digits}
    answer = stress(
        data, model, scenario, as_of_date=arguments.as_of, measures=measures, random_state=arguments.seed, **how
    )
    write_table(answer.households, arguments.out)
    tables = {name: getattr(answer, name) for name in ("areas", "causes", "edits", "outside", "budget")}
    if arguments.tables is not None:
        arguments.tables.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            write_table(table, arguments.tables / f"{name}.csv")
    values = {
        "out": str(arguments.out),
        "scenario": scenario.name,
        "as_of_date": arguments.as_of,
        "event_on": f"{scenario.day(arguments.as_of):%Y-%m-%d}",
        "n_households": len(answer.households),
        "n_entering": int((answer.households["crosses"] == "enters").sum()),
        "cut_off": answer.cut_off,
        **{name: records(table) for name, table in tables.items()},
        "warnings": [in_words(*each) for each in answer.warnings],
    }
    lines = [f"{arguments.out}: {scenario.label}", *_rate_lines(answer), *_budget_lines(answer)]
    return Answer(values, "\n".join([*lines, "", *(f"! {in_words(*each)}" for each in answer.warnings)]))


def _rate_lines(answer: Stress) -> list[str]:
    """Return what happens to whom, where and through which causes."""
    whole, areas = answer.areas.iloc[0], answer.areas.iloc[1 : 1 + _NAMED]
    n, n_entering = len(answer.households), int(whole["entering"])
    before, after = format_risk(whole["rate_before"]), format_risk(whole["rate_after"])
    lines = [
        in_words(
            f"Of {n:,} households at risk, {before} are expected to return without the event, {after} with it "
            f"({n * whole['change']:+.1f} returns).",
            f"监测范围内{n:,}户：无此事件时预期返贫{before}，有此事件时{after}（{n * whole['change']:+.1f}户）。",
        ),
        in_words(
            f"{n_entering:,} households pass the cut-off of the list ({format_risk(answer.cut_off)}).",
            f"{n_entering:,}户将越过名单线（{format_risk(answer.cut_off)}）。",
        ),
        in_words("Areas where the rate rises most:", "预期返贫率上升最多的区域："),
    ]
    for area in records(areas):
        rates = f"{format_risk(area['rate_before'])} -> {format_risk(area['rate_after'])}"
        size = in_words(f"{area['households']:,} households", f"{area['households']:,}户")
        lines.append(f"  {area['area_id']}  {rates}  ({size})")
    lines.append(in_words("Records that carry it (expected returns):", "变化来自哪些方面的记录（预期户数）："))
    moved = answer.causes[answer.causes["change"].abs() >= 0.05].head(_NAMED)
    return [*lines, *(f"  {in_words(*TOPICS[row['cause']])}: {row['change']:+.1f}" for row in records(moved))]


def _budget_lines(answer: Stress) -> list[str]:
    """Return the budget that would hold the rate, if measures were given."""
    if answer.budget.empty:
        return []
    row = answer.budget.iloc[0]
    if not row["held"]:
        return [
            in_words(
                f"The rate cannot be held: with these measures at most {row['averted']:.1f} returns are averted, for "
                f"{row['budget']:,.0f}; {row['missing']:.1f} more would have to be.",
                f"无法保持原有水平：用现有措施最多避免{row['averted']:.1f}户返贫，需{row['budget']:,.0f}；尚缺{row['missing']:.1f}户。",
            )
        ]
    return [
        in_words(
            f"A budget of {row['budget']:,.0f} for {row['households']:,} households would hold the rate, if the "
            "measures have the effects of their table.",
            f"若各项措施达到措施表所列效果，{row['budget']:,.0f}的预算（{row['households']:,}户）可保持原有水平。",
        )
    ]
