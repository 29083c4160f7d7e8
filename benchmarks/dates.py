"""How often to ask in training: ``python benchmarks/dates.py [--write]``.

Simulated counties, learned from what was known fifteen months before the end with as-of dates one, three or six months
apart, judged on the same later dates a quarter apart; squared error and rank correlation are those to the true risk.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from cases import N_HOUSEHOLDS, N_MONTHS, TESTED_MONTHS
from results import machine, markdown, publish
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, log_loss

from riskml import RiskClassifier, outcome_welfare, training_set
from riskml.datasets.simulate import make_monitoring
from riskml.features.panel import backtest_dates

EVERY, HORIZON = (1, 3, 6), 12
HEAD = ["months apart", "rows", "avg. precision", "log loss", "squared error x 10,000", "rank correlation", "CPU s"]


def main() -> None:
    """Measure the counties and print the table of means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    counties = np.array([of_county(seed) for seed in arguments.seeds])
    usual = EVERY.index(3)
    rows = [HEAD]
    for place, every in enumerate(EVERY):
        n, *figures, seconds = counties[:, place].mean(axis=0)
        row = [f"{every}", f"{n:,.0f}"]
        for k, value in enumerate(figures, start=1):
            moved = counties[:, place, k] - counties[:, usual, k]
            said = "" if place == usual else f" ({moved.min():+.4f} to {moved.max():+.4f})"
            row.append(f"{value:.4f}{said}")
        rows.append([*row, f"{seconds:.0f}"])
    seeds = " ".join(map(str, arguments.seeds))
    said = (
        f"{len(counties)} simulated counties of {N_HOUSEHOLDS:,} households, means; in brackets least and largest "
        "difference to three months in a county. CPU: learning and calibration, without the features."
    )
    page = ["## How often to ask", f"`python benchmarks/dates.py --seeds {seeds}`. {machine()}", said, markdown(rows)]
    publish("dates", "\n\n".join(page), write=arguments.write)


def of_county(seed: int, *, n_households: int = N_HOUSEHOLDS) -> list[list[float]]:
    """Return the figures of a county, a row for every distance of the dates."""
    data = make_monitoring(n_households, n_months=N_MONTHS, random_state=seed)
    end = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1)
    start = end - pd.DateOffset(months=TESTED_MONTHS)
    _, _, asked = backtest_dates(data, test_from=start, horizon_months=HORIZON)
    X_test, y_test = training_set(data, asked, horizon_months=HORIZON)
    truth = data.truth.risk(asked, horizon_months=HORIZON)["risk"].loc[X_test.index]
    found = []
    for every in EVERY:
        past, dates, _ = backtest_dates(data, test_from=start, horizon_months=HORIZON, every_months=every)
        X, y = training_set(past, dates, horizon_months=HORIZON)
        welfare = outcome_welfare(past, X.index, horizon_months=HORIZON)
        cpu = time.process_time()
        risk = RiskClassifier().fit(X, y, outcome_welfare=welfare).predict_risk(X_test)
        cpu = time.process_time() - cpu
        error, order = 1e4 * ((risk - truth) ** 2).mean(), spearmanr(risk, truth).statistic
        found.append([len(X), average_precision_score(y_test, risk), log_loss(y_test, risk), error, order, cpu])
    return found


if __name__ == "__main__":
    main()
