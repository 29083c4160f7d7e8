"""The whole story on a simulated county: ``riskml demo``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from riskml.datasets import make_monitoring
from riskml.features.assistance import net_labels
from riskml.features.panel import backtest_sets, training_dates, training_set
from riskml.files import write_table
from riskml.findings import in_words
from riskml.model.classifier import RiskClassifier
from riskml.model.store import load_model, save_model
from riskml.planning.assist import match_assistance
from riskml.planning.measures import example_measures, read_measures
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


def demo(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Simulate a county, compare with the rivals out of time, then score the last date, explain, plan and report."""
    out, seed = arguments.out, arguments.seed
    tell(in_words(f"simulating {arguments.households:,} households", f"正在模拟{arguments.households:,}户"))
    data = make_monitoring(arguments.households, n_months=arguments.months, random_state=seed)
    write_monitoring(data, out / "county")
    test_from, figures = _compared(data, seed, tell)
    tell(in_words("learning from all that is known", "正在用全部已知数据训练"))
    X, y = training_set(data, training_dates(data, horizon_months=OUTCOME["horizon_months"]), **OUTCOME)
    model = fit_model(data, X, y, outcome=OUTCOME, seed=seed, y_net=net_labels(data, y, **OUTCOME))
    model.fit_summary_["figures_from"] = f"a model of the same kind that learned from what was known on {test_from}"
    bundle = save_model(model, out / "models", data=data, figures=figures)
    listed, cliff = _listed(data, model, out, tell)
    proposed, budget = _planned(listed, out, tell)
    tell(in_words("writing the report", "正在生成报告"))
    evidence = evidence_of(data, model, listed.head(N_CARDS))
    card = load_model(bundle).card_
    given: dict[str, Any] = {"plan": proposed, "evidence": evidence, "card": card, "figures": figures}
    write_html(out / "report.html", listed, **given, cliff=cliff)
    return _answer(out, test_from, figures, listed, proposed, budget)


def _compared(data: Monitoring, seed: int, tell: Tell) -> tuple[str, pd.DataFrame]:
    """Return the first test date and the figures of model and rivals that learned only from what was known then."""
    end = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1)
    test_from = f"{end - pd.DateOffset(months=TESTED_MONTHS):%Y-%m-%d}"
    tell(in_words(f"learning from what was known on {test_from}", f"正在用{test_from}已知的数据训练"))
    sets = backtest_sets(data, test_from=test_from, **OUTCOME)
    model = fit_model(data, *sets[:2], outcome=OUTCOME, seed=seed)
    tell(in_words("comparing with the rivals on later dates", "正在用其后的日期与简单方法比较"))
    return test_from, compare(data, model, *sets, seed=seed)


def _listed(data: Monitoring, model: RiskClassifier, out: Path, tell: Tell) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the list of the last day, and whose support ends soon, on it or not."""
    as_of_date = f"{data.extract_on:%Y-%m-%d}"
    tell(in_words(f"scoring and explaining {as_of_date}", f"正在对{as_of_date}评分并说明原因"))
    X = features_on(data, model, as_of_date)
    n_listed = max(1, round(VISITED_SHARE * len(X)))
    listed = ranked(data, model, X, n_listed=n_listed, n_explained=n_listed)
    cliff = cliff_of(data, model, X)
    for name, table in (("watchlist", listed), ("cliff", cliff)):
        write_table(table, out / f"{name}.parquet")
    return listed, cliff


def _planned(listed: pd.DataFrame, out: Path, tell: Tell) -> tuple[pd.DataFrame, float]:
    tell(in_words("planning", "正在编制计划"))
    write_table(example_measures(), out / "measures.csv")
    budget = MONEY_PER_VISIT * len(listed)
    proposed = match_assistance(listed, read_measures(out / "measures.csv"), budget=budget)
    write_table(proposed, out / "plan.csv")
    return proposed, budget


def _answer(
    out: Path, test_from: str, figures: pd.DataFrame, listed: pd.DataFrame, proposed: pd.DataFrame, budget: float
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
