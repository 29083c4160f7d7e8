"""The whole story on a simulated county: ``riskml demo``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from riskml.datasets import make_monitoring
from riskml.features.assistance import training_labels
from riskml.features.outcomes import outcome_welfare
from riskml.features.panel import backtest_sets, training_dates, training_set
from riskml.files import write_table
from riskml.findings import in_words
from riskml.model.classifier import RiskClassifier
from riskml.model.store import load_model, save_model
from riskml.outlook.alarms import alarms
from riskml.outlook.areas import area_outlook
from riskml.outlook.backtests import backtest_predictions
from riskml.outlook.shocks import learn_shocks
from riskml.planning.assist import Plan, make_plan
from riskml.planning.measures import example_measures, read_measures
from riskml.planning.received import received_on
from riskml.skill.backtest import compare, fit_model
from riskml.steps import (
    N_CARDS,
    Answer,
    Tell,
    cliff_of,
    evidence_of,
    features_on,
    figures_text,
    ranked,
    records,
    risks_of_areas,
    write_html,
)
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import write_monitoring

OUTCOME: dict[str, Any] = {"horizon_months": 12, "rule": "at_horizon", "net_of_assistance": False, "outcome": "welfare"}
#: Months from the first test date to the last record: a quarter of test dates and the year of their outcomes.
TESTED_MONTHS = 15
#: Share of the households at risk that can be visited, and money for each household visited.
VISITED_SHARE, MONEY_PER_VISIT = 0.1, 500.0
N_SHOWN = 10
#: An area is alarmed where more than a twentieth of its households returns with this probability.
ALARM_AT = 0.5


def demo(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Simulate a county, compare with the rivals out of time, then score the last date, explain, plan and report."""
    out, seed = arguments.out, arguments.seed
    tell(in_words(f"simulating {arguments.households:,} households", f"正在模拟{arguments.households:,}户"))
    data = make_monitoring(arguments.households, n_months=arguments.months, random_state=seed)
    write_monitoring(data, out / "county")
    test_from, figures = _compared(data, seed, tell)
    tell(in_words("learning from all that is known", "正在用全部已知数据训练"))
    X, y = training_set(data, training_dates(data, horizon_months=OUTCOME["horizon_months"]), **OUTCOME)
    model = fit_model(data, X, training_labels(data, y, **OUTCOME), outcome=OUTCOME, seed=seed)
    model.fit_summary_["figures_from"] = f"a model of the same kind that learned from what was known on {test_from}"
    bundle = save_model(model, out / "models", data=data, figures=figures)
    as_of_date = f"{data.extract_on:%Y-%m-%d}"
    X = features_on(data, model, as_of_date)
    listed, cliff = _listed(data, model, X, out, tell)
    made, budget = _planned(data, listed, out, tell)
    areas = _areas(data, model, X, out, seed, tell)
    tell(in_words("writing the report", "正在生成报告"))
    evidence = evidence_of(data, model, listed.head(N_CARDS))
    card = load_model(bundle).card_
    given: dict[str, Any] = {"plan": made.table, "evidence": evidence, "card": card, "figures": figures}
    write_html(out / "report.html", listed, **given, cliff=cliff, limits=made.limits, outlook=areas)
    return _answer(out, test_from, figures, listed, made.table, budget, areas)


def _compared(data: Monitoring, seed: int, tell: Tell) -> tuple[str, pd.DataFrame]:
    """Return the first test date and the figures of model and rivals that learned only from what was known then."""
    end = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1)
    test_from = f"{end - pd.DateOffset(months=TESTED_MONTHS):%Y-%m-%d}"
    tell(in_words(f"learning from what was known on {test_from}", f"正在用{test_from}已知的数据训练"))
    sets = backtest_sets(data, test_from=test_from, **OUTCOME)
    welfare = outcome_welfare(data.known_by(test_from), sets[1].index, **OUTCOME)  # type: ignore[arg-type]
    labels = pd.DataFrame({"returned": sets[1], "outcome_welfare": welfare})
    model = fit_model(data, sets[0], labels, outcome=OUTCOME, seed=seed)
    tell(in_words("comparing with the rivals on later dates", "正在用其后的日期与简单方法比较"))
    return test_from, compare(data, model, *sets, seed=seed)


def _listed(
    data: Monitoring, model: RiskClassifier, X: pd.DataFrame, out: Path, tell: Tell
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the list of the last day, and whose support ends soon, on it or not."""
    as_of_date = f"{data.extract_on:%Y-%m-%d}"
    tell(in_words(f"scoring and explaining {as_of_date}", f"正在对{as_of_date}评分并说明原因"))
    n_listed = max(1, round(VISITED_SHARE * len(X)))
    listed = ranked(data, model, X, n_listed=n_listed, n_explained=n_listed)
    cliff = cliff_of(data, model, X)
    for name, table in (("watchlist", listed), ("cliff", cliff)):
        write_table(table, out / f"{name}.parquet")
    return listed, cliff


def _planned(data: Monitoring, listed: pd.DataFrame, out: Path, tell: Tell) -> tuple[Plan, float]:
    """Return a plan for the list, nobody given what they have, and its budget."""
    tell(in_words("planning", "正在编制计划"))
    write_table(example_measures(), out / "measures.csv")
    measures, budget = read_measures(out / "measures.csv"), MONEY_PER_VISIT * len(listed)
    received = received_on(data, listed["as_of_date"].iloc[0], measures)
    made = make_plan(listed, measures, budget=budget, received=received)
    write_table(made.table, out / "plan.csv")
    write_table(made.limits, out / "limits.csv")
    return made, budget


def _areas(
    data: Monitoring, model: RiskClassifier, X: pd.DataFrame, out: Path, seed: int, tell: Tell
) -> pd.DataFrame | None:
    """Return how many may return in each area, as far as earlier dates tell how households fall together."""
    tell(in_words("looking at whole areas", "正在展望各地区"))
    try:
        earlier = backtest_predictions(data, outcome=OUTCOME, seed=seed, every_months=6, tell=tell)
    except ValueError as error:
        tell(str(error))
        return None
    shocks = learn_shocks(earlier, horizon_months=OUTCOME["horizon_months"], random_state=seed)
    found = area_outlook(risks_of_areas(data, model, X), shocks, random_state=seed)
    found = found.assign(as_of_date=data.extract_on, alarm_at=ALARM_AT)
    write_table(found, out / "outlook.csv")
    return found


def _answer(
    out: Path,
    test_from: str,
    figures: pd.DataFrame,
    listed: pd.DataFrame,
    proposed: pd.DataFrame,
    budget: float,
    areas: pd.DataFrame | None,
) -> Answer:
    first = listed.head(N_SHOWN)
    reason = in_words("reason_en", "reason_zh")
    households = [f"{row['rank']:>3}  {row['household_id']}  {row[reason]}" for _, row in first.iterrows()]
    funded = proposed[proposed["measure"] != ""]
    n_funded, cost, averted = funded["household_id"].nunique(), funded["cost"].sum(), funded["expected_points"].sum()
    as_of_date = f"{listed['as_of_date'].iloc[0]:%Y-%m-%d}"
    lines = [
        in_words(
            f"Learned from what was known on {test_from}, judged on later dates (95% intervals):",
            f"用{test_from}已知的数据训练，用其后的日期检验（95%区间）：",
        ),
        figures_text(figures),
        "",
        in_words(f"The ten households at highest risk on {as_of_date}:", f"{as_of_date}返贫风险最高的十户："),
        *households,
        "",
        in_words(
            f"Plan: {n_funded} of {len(listed)} listed households, cost {cost:,.0f} of {budget:,.0f}, {averted:.1f} "
            "returns expected to be averted if the effects assumed in measures.csv hold.",
            f"计划：名单{len(listed)}户中安排{n_funded}户，费用{cost:,.0f}（预算{budget:,.0f}）；"
            f"若measures.csv中假定的效果成立，预计避免{averted:.1f}户返贫。",
        ),
        *_said_of_areas(areas),
        "",
        *(
            str(out / name)
            for name in (
                "county",
                "models",
                "watchlist.parquet",
                "cliff.parquet",
                "measures.csv",
                "plan.csv",
                "limits.csv",
                *([] if areas is None else ["outlook.csv"]),
                "report.html",
            )
        ),
    ]
    values = {
        "out": str(out),
        "test_from": test_from,
        "figures": records(figures),
        "highest_risk": records(first),
        "plan": {"n_funded": n_funded, "cost": cost, "budget": budget, "returns_averted": averted},
    }
    return Answer(values, "\n".join(lines))


def _said_of_areas(areas: pd.DataFrame | None) -> list[str]:
    """Return what is to be said of the whole and of the areas alarmed."""
    if areas is None:
        return []
    whole, alarmed = areas.iloc[0], alarms(areas, at=ALARM_AT)
    return [
        in_words(
            f"Whole county: {whole['expected']:.0f} of {whole['households']:,} households may return within a year, "
            f"with 80% probability {whole['lower_80']} to {whole['upper_80']}; areas alarmed: {len(alarmed)}.",
            f"全县：{whole['households']:,}户中一年内预计{whole['expected']:.0f}户返贫，"
            f"80%的可能在{whole['lower_80']}至{whole['upper_80']}户之间；预警地区{len(alarmed)}个。",
        )
    ]
