"""Ways to compute Shapley values of a large booster: riskml, LightGBM, shap and woodelf, each on one thread."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import lightgbm as lgb
import numpy as np
import pandas as pd
from results import markdown

from riskml.explanation.shapley import prepare, shapley_values
from riskml.model.booster_text import trees_of


def table(n_rows: int, times: int, medians: Callable[..., dict[str, np.ndarray]]) -> str:
    """Time Shapley values of a large booster by riskml, LightGBM, shap and woodelf, each on one thread."""
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
    spent = medians({name: way for name, (way, _) in ways.items()}, times)
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
