"""How fast the parts are: ``python benchmarks/speed.py [features] [scoring] [learn] [explain] [--write]``.

``features`` and ``scoring`` (one date, from files) are those of ``point_in_time.py``. In ``learn`` and ``explain``
every way runs in turn, ``--times`` times, on the same data in this process; shown are medians of CPU seconds (all
threads) and ratios. Values are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Mapping

import lightgbm as lgb
import numpy as np
import pandas as pd
from point_in_time import features, scoring
from results import machine, markdown, publish

from riskml import RiskClassifier, explain, training_set
from riskml.datasets import make_monitoring
from riskml.explanation.shapley import prepare, shapley_values
from riskml.features.panel import training_dates
from riskml.model.booster_text import trees_of


def main() -> None:
    """Time the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--households", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--featuretools", metavar="PYTHON", default="", help="a Python that has featuretools")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    for part in arguments.parts or PARTS:
        head = f"`python benchmarks/speed.py {part} --households {arguments.households} --times {arguments.times}`. "
        text = PARTS[part](arguments)
        publish(f"speed of {part}", f"## Speed: {part}\n\n{head}{machine()}\n\n{text}", write=arguments.write)


def learn(arguments: argparse.Namespace) -> str:
    """Time learning, scoring and explaining on a simulated county."""
    data = make_monitoring(min(arguments.households, 3000), n_months=48, random_state=1)
    X, y = training_set(data, training_dates(data, horizon_months=12), horizon_months=12)
    model = RiskClassifier().fit(X, y)
    values = X.to_numpy()
    ways = {
        "riskml: learn and calibrate": lambda: RiskClassifier().fit(X, y),
        "plain LightGBM: learn (300 trees, 15 leaves)": lambda: lgb.LGBMClassifier(
            n_estimators=300, num_leaves=15, verbose=-1
        ).fit(values, y),
        "riskml: score": lambda: model.predict_risk(X),
        "riskml: explain": lambda: explain(model, X),
    }
    said = f"{len(X):,} rows of a simulated county, {X.shape[1]} features."
    return f"{said}\n\n{_timed(ways, arguments.times)}"


def shapley(arguments: argparse.Namespace) -> str:
    """Time Shapley values of a large booster by riskml, LightGBM, shap and woodelf, each on one thread."""
    n_rows, times = min(arguments.households, 20_000), arguments.times
    booster, X = _large_booster(n_rows)
    few, many, compared = X[:1000], X[:n_rows], X[-100:]
    trees = trees_of(booster)
    by_paths, by_rows = prepare(trees), prepare(trees, compared)
    ways: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        "LightGBM pred_contrib": (lambda: _pred_contrib(booster, few), len(few)),
        "riskml": (lambda: shapley_values(by_paths, few, n_jobs=1), len(few)),
        "riskml, tables made anew": (lambda: shapley_values(prepare(trees), few, n_jobs=1), len(few)),
        "riskml, more rows": (lambda: shapley_values(by_paths, many, n_jobs=1), n_rows),
        "riskml, two threads": (lambda: shapley_values(by_paths, many, n_jobs=2), n_rows),
        "riskml, one row": (lambda: shapley_values(by_paths, X[:1], n_jobs=1), 1),
        "LightGBM pred_contrib, one row": (lambda: _pred_contrib(booster, X[:1]), 1),
        "riskml, background": (lambda: shapley_values(by_rows, few, n_jobs=1), len(few)),
        "riskml, background, tables made anew": (
            lambda: shapley_values(prepare(trees, compared), few, n_jobs=1),
            len(few),
        ),
        "riskml, background, more rows": (lambda: shapley_values(by_rows, many, n_jobs=1), n_rows),
        "riskml, background, one row": (lambda: shapley_values(by_rows, X[:1], n_jobs=1), 1),
    }
    expected = {False: _pred_contrib(booster, few), True: ways["riskml, background"][0]()}
    np.testing.assert_allclose(ways["riskml"][0](), expected[False], rtol=0, atol=1e-12)
    others = _by_shap(booster, X, compared)
    if importlib.util.find_spec("woodelf"):
        others |= _by_woodelf(booster, few, many, compared)
    for name, (way, _) in others.items():
        given = way()
        # shap and woodelf keep thresholds or counts in 32 bits.
        np.testing.assert_allclose(given[:20], expected["background" in name][:20], rtol=0, atol=1e-4)
    ways |= others
    spent = _medians({name: way for name, (way, _) in ways.items()}, times)
    first = spent["LightGBM pred_contrib"][0] / len(few)
    rows = [["way", "rows a call", "CPU ms a call", "wall ms a call", "CPU us a row", "rows a CPU second to the first"]]
    for name, (cpu, wall) in spent.items():
        n = ways[name][1]
        times_first = f"{first / (cpu / n):.1f}"
        rows.append([name, f"{n:,}", f"{1e3 * cpu:.2f}", f"{1e3 * wall:.2f}", f"{1e6 * cpu / n:.1f}", times_first])
    said = (
        f"{len(trees.first_node) - 1} trees of up to 31 leaves and depth 8 on {X.shape[1]} features, 20 % missing; a "
        f"background is {len(compared)} rows. Tables take {by_paths.cells.nbytes / 1e6:.0f} MB. Path-dependent values "
        "agree with pred_contrib to 1e-12, those of shap and woodelf with riskml's to 1e-4."
    )
    return f"{said}\n\n{markdown(rows)}"


PARTS = {"features": features, "scoring": scoring, "learn": learn, "explain": shapley}


def _large_booster(n_rows: int) -> tuple[lgb.Booster, np.ndarray]:
    """Return a booster of 300 trees of 31 leaves, and rows that it did not learn from."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000 + max(n_rows, 1000), 150))
    X[rng.random(X.shape) < 0.2] = np.nan
    known = np.nan_to_num(X[:20_000])
    log_odds = known[:, :30] @ rng.normal(0, 0.5, 30) + known[:, 30] * known[:, 31] + 0.1 * known[:, 50:].sum(axis=1)
    y = rng.random(len(known)) < 1 / (1 + np.exp(-log_odds))
    settings = {"objective": "binary", "num_leaves": 31, "max_depth": 8, "learning_rate": 0.05, "feature_fraction": 0.5}
    settings |= {"num_threads": 1, "verbose": -1, "seed": 0, "deterministic": True, "force_row_wise": True}
    booster = lgb.train(settings, lgb.Dataset(X[:20_000], y.astype(float)), 300)
    # The shap package asks the booster for its objective.
    booster.params["objective"] = "binary"
    return booster, X[20_000:]


def _pred_contrib(booster: lgb.Booster, X: np.ndarray) -> np.ndarray:
    return booster.predict(X, pred_contrib=True, num_threads=1)[:, :-1]


def _by_shap(booster: lgb.Booster, X: np.ndarray, compared: np.ndarray) -> dict:
    import shap

    paths = shap.TreeExplainer(booster)
    rows = shap.TreeExplainer(booster, data=compared, feature_perturbation="interventional")
    return {
        "shap (asks pred_contrib)": (lambda: paths.shap_values(X[:1000], check_additivity=False), 1000),
        "shap, background": (lambda: rows.shap_values(X[:20], check_additivity=False), 20),
    }


def _by_woodelf(booster: lgb.Booster, few: np.ndarray, many: np.ndarray, compared: np.ndarray) -> dict:
    from woodelf import WoodelfExplainer

    few, many, compared = (pd.DataFrame(rows, columns=booster.feature_name()) for rows in (few, many, compared))
    paths, rows = WoodelfExplainer(booster), WoodelfExplainer(booster, compared)
    return {
        "woodelf": (lambda: paths.shap_values(few, verbose=False), len(few)),
        "woodelf, more rows": (lambda: paths.shap_values(many, verbose=False), len(many)),
        "woodelf, background": (lambda: rows.shap_values(few, verbose=False), len(few)),
        "woodelf, background, more rows": (lambda: rows.shap_values(many, verbose=False), len(many)),
    }


def _timed(ways: Mapping[str, Callable[[], object]], times: int) -> str:
    """Return medians of CPU and wall seconds of the ways, run in turn, and ratios to the first."""
    median = _medians(ways, times)
    first = next(iter(median.values()))[0]
    rows = [["way", "CPU s", "wall s", "CPU to the first"]]
    rows += [[name, f"{cpu:.2f}", f"{wall:.2f}", f"{cpu / first:.1f}"] for name, (cpu, wall) in median.items()]
    return markdown(rows)


def _medians(ways: Mapping[str, Callable[[], object]], times: int) -> dict[str, np.ndarray]:
    """Return medians of CPU and wall seconds of the ways, run in turn."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(times):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            way()
            spent[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {name: np.median(np.array(seconds), axis=0) for name, seconds in spent.items()}


if __name__ == "__main__":
    main()
