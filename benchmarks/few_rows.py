"""Learning from a few hundred rows, beside logistic regression: ``python benchmarks/few_rows.py [--write] [NAME ...]``.

Whole households are drawn from the training rows of the cases of ``skill.py`` until so many rows are reached; both
models learn from the same rows and are judged on all test rows. Figures are means over the draws; intervals draw the
areas of the test rows with replacement, for both models alike.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from cases import Case, cases
from preset import unfitted
from results import machine, markdown, publish
from sklearn.metrics import average_precision_score, log_loss

from riskml.skill.baselines import LogisticBaseline
from riskml.skill.bootstrap import cluster_draws, interval

FEW, N_SAMPLES, N_BOOTSTRAP = (300, 1000), 5, 200
WAYS = ("riskml", "logistic regression")
FIGURES = {"average precision": average_precision_score, "log loss": log_loss}


def main() -> None:
    """Measure all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only cases that hold one of these texts")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    chosen = [n for n in cases() if not arguments.names or any(text in n for text in arguments.names)]
    rows = [["case, rows, returns", "figure", *WAYS, "difference (95 % interval)"]]
    for name in chosen:
        case = cases()[name]()
        rows += [row for n in FEW if n <= len(case.X_train) for row in rows_of(name, case, n)]
        print(f"{name} done", flush=True)
    said = (
        f"Learned from few rows (whole households, drawn {N_SAMPLES} times; means), calibrated, on all test rows. "
        f"Intervals from {N_BOOTSTRAP} draws of the areas of the test rows."
    )
    command = " ".join(["python benchmarks/few_rows.py", *arguments.names])
    page = ["## Few rows", f"`{command}`. {machine()}", said, markdown(rows)]
    publish("few rows", "\n\n".join(page), write=arguments.write)


def rows_of(name: str, case: Case, n_rows: int, *, n_samples: int = N_SAMPLES) -> Iterator[list[str]]:
    """Yield the rows of the table that say what both models make of so many rows."""
    risks, returns = learned(case, n_rows, n_samples)
    y = case.y_test.to_numpy(dtype=np.float64)
    draws = cluster_draws(case.area_id.to_numpy(), len(y), N_BOOTSTRAP, seed=0)
    for figure in FIGURES:
        values = {way: mean_figure(figure, y, risks[way]) for way in WAYS}
        drawn = [np.subtract(*(mean_figure(figure, y, risks[way], weight) for way in WAYS)) for weight in draws]
        low, high = interval(np.array(drawn))
        difference = f"{values[WAYS[0]] - values[WAYS[1]]:+.3f} ({low:+.3f} to {high:+.3f})"
        shown = [f"{value:.3f}" for value in values.values()]
        yield [f"{name}, {n_rows:,} rows, {returns:.0f} returns", figure, *shown, difference]


def learned(case: Case, n_rows: int, n_samples: int) -> tuple[dict[str, list[np.ndarray]], float]:
    """Return the risks of the test rows by each way and draw, and how many returns there were to learn from."""
    rng, household = np.random.default_rng(0), case.X_train.index.get_level_values(0)
    sizes = pd.Series(household).value_counts()
    risks: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    returns = []
    for _ in range(n_samples):
        drawn = sizes.iloc[rng.permutation(len(sizes))].cumsum()
        part = household.isin(drawn.index[drawn <= n_rows])
        X, y, welfare = case.X_train[part], case.y_train[part], case.labels.loc[part, "outcome_welfare"]
        returns.append(y.sum())
        if y.nunique() < 2:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # medians of columns without a value
            fitted = (unfitted(case, calibrate=True).fit(X, y, outcome_welfare=welfare), LogisticBaseline().fit(X, y))
            for way, model in zip(WAYS, fitted, strict=True):
                risks[way].append(model.predict_risk(case.X_test).to_numpy())
    return risks, float(np.mean(returns))


def mean_figure(figure: str, y: np.ndarray, risks: Sequence[np.ndarray], weight: np.ndarray | None = None) -> float:
    """Return the mean of a figure over draws of training rows."""
    inside = [np.clip(risk, 1e-6, 1 - 1e-6) for risk in risks]
    return float(np.mean([FIGURES[figure](y, risk, sample_weight=weight) for risk in inside]))


if __name__ == "__main__":
    main()
