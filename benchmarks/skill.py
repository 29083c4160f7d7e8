"""How well returns are foretold out of time, beside simple rivals: ``python benchmarks/skill.py [--write] [NAME ...]``.

Every score sees the same rows and features. ``NAME`` chooses the cases that hold the text. Intervals draw whole areas
(villages, agglomerations, enumeration areas).
"""

from __future__ import annotations

import argparse
import time

import lightgbm as lgb
import numpy as np
import pandas as pd
from cases import Case, cases, subsets
from results import machine, markdown, publish

from riskml.skill.backtest import fit_model
from riskml.skill.baselines import rivals
from riskml.skill.metrics import evaluate

FIGURES = ("auroc", "average_precision", "log_loss", "brier", "calibration_slope", "calibration_intercept")
HEAD = ("AUROC", "avg. precision", "log loss", "Brier", "slope", "intercept")
QUOTA = (0.05, 0.1, 0.2)
COMPARED = ("average_precision", "recall@5%")


def main() -> None:
    """Measure the cases and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only cases that hold one of these texts")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    parser.add_argument("--draws", type=int, default=200, help="bootstrap draws")
    arguments = parser.parse_args()
    chosen = [n for n in cases() if not arguments.names or any(text in n for text in arguments.names)]
    parts = [
        "## Skill out of time",
        "",
        f"`python benchmarks/skill.py`, {arguments.draws} draws of whole areas, 95 % intervals. {machine()}",
        "Differences are riskml less the rival on the same draws. Recall: share of the returns on a list of that "
        "share of the households. Rows count alike (no survey weights).",
        "",
    ]
    for name in chosen:
        parts += _case_section(name, cases()[name](), arguments.draws)
    publish("skill", "\n".join(parts), write=arguments.write)


def _case_section(name: str, case: Case, n_draws: int) -> list[str]:
    scores, seconds = _scores(case)
    said = (
        f"{len(case.y_train):,} training rows, {case.y_train.mean():.1%} returned; {len(case.y_test):,} test rows, "
        f"{case.y_test.mean():.1%} returned; {case.X_train.shape[1]} features; riskml learned in {seconds:.0f} s."
    )
    whole = _table(scores, case, np.ones(len(case.y_test), dtype=bool), n_draws)
    section = [f"### {name}", "", said, "", whole, ""]
    if case.truth is None and "income_below_line_count_36m" in case.X_test:
        for group, inside in subsets(case.X_test).items():
            n, rate = int(inside.sum()), case.y_test[inside].mean()
            if not 0 < rate < 1:
                continue
            section += [f"Test households {group}: {n:,}, {rate:.1%} returned.", ""]
            section += [_table(scores, case, inside.to_numpy(), n_draws), ""]
    return section


def _scores(case: Case) -> tuple[dict[str, pd.Series], float]:
    """Return the score of every model on the test rows, and the seconds riskml took to learn."""
    outcome = {"horizon_months": case.horizon_months, "rule": "at_horizon", "net_of_assistance": False}
    start = time.perf_counter()
    model = fit_model(case.data, case.X_train, case.y_train, outcome=outcome)
    seconds = time.perf_counter() - start
    scores = {"riskml": model.predict_risk(case.X_test)}
    for name, rival in rivals().items():
        scores[name] = rival.fit(case.X_train, case.y_train).predict_risk(case.X_test)
    plain = lgb.LGBMClassifier(n_estimators=300, learning_rate=0.03, num_leaves=15, min_child_samples=40, verbose=-1)
    plain.fit(case.X_train.to_numpy(), case.y_train)
    scores["plain LightGBM"] = pd.Series(plain.predict_proba(case.X_test.to_numpy())[:, 1], index=case.X_test.index)
    if case.truth is not None:
        scores["true risk"] = case.truth
    return scores, seconds


def _table(scores: dict[str, pd.Series], case: Case, inside: np.ndarray, n_draws: int) -> str:
    part = {name: score[inside] for name, score in scores.items()}
    clusters = case.area_id[inside].to_numpy()
    table = evaluate(part, case.y_test[inside], quota=QUOTA, clusters=clusters, n_bootstrap=n_draws)
    recalls = [f"recall@{share:.0%}" for share in QUOTA]
    rows = [
        ["model", *HEAD, *(figure.replace("@", " at ") for figure in recalls), *(f"difference, {c}" for c in COMPARED)]
    ]
    for name in scores:
        own = table[table["model"] == name].set_index("figure")
        rows.append(
            [
                name,
                *(_number(own.loc[figure, "value"]) for figure in (*FIGURES, *recalls)),
                *("" if name == "riskml" else _difference(own.loc[figure]) for figure in COMPARED),
            ]
        )
    return markdown(rows)


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _difference(row: pd.Series) -> str:
    return f"{row['difference']:+.3f} ({row['difference_lower']:+.3f} to {row['difference_upper']:+.3f})"


if __name__ == "__main__":
    main()
