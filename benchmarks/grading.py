"""What graded outcomes are worth, to riskml and to others: ``python benchmarks/grading.py [--write] [NAME ...]``.

Each learner learns the cases of ``skill.py`` twice at the same settings: from yes or no, and from outcomes graded by
the welfare that decided them (:func:`riskml.outcome_welfare`). Average precision, and log loss once level and slope are
fitted to the test rows; differences are graded less yes or no, with intervals from draws of the areas of the test rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import lightgbm as lgb
import numpy as np
from cases import Case, cases
from preset import unfitted
from results import machine, markdown, publish
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score

from riskml.model.calibration import fit_affine
from riskml.model.classifier import default_grading
from riskml.skill.bootstrap import cluster_draws, interval

N_BOOTSTRAP, SEED = 200, 0
_LIGHTGBM = {"learning_rate": 0.03, "num_leaves": 15, "min_child_samples": 40, "num_threads": 2, "verbose": -1}


def main() -> None:
    """Measure the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only cases that hold one of these texts")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    rows = [["case", "learner", "avg. precision", "graded less yes or no", "log loss", "graded less yes or no"]]
    for name in cases():
        if not arguments.names or any(text in name for text in arguments.names):
            rows += rows_of(name, cases()[name]())
            print(f"{name} done", flush=True)
    said = (
        "Learned from graded outcomes; differences to the same learner from yes or no, 95 % intervals from "
        f"{N_BOOTSTRAP} draws of areas. Log loss after level and slope are fitted to the test rows. None was tuned."
    )
    command = " ".join(["python benchmarks/grading.py", *arguments.names])
    page = ["## Graded outcomes", f"`{command}`. {machine()}", said, markdown(rows)]
    publish("grading", "\n\n".join(page), write=arguments.write)


def rows_of(name: str, case: Case) -> list[list[str]]:
    """Return the rows of the table of one case."""
    y = case.y_test.to_numpy(dtype=np.float64)
    draws = cluster_draws(case.area_id.to_numpy(), len(y), N_BOOTSTRAP, seed=SEED)
    rows = []
    for learner, learn in LEARNERS.items():
        graded, plain = (learn(case, targets) for targets in targets_of(case))
        row = [name, learner]
        for figure in (average_precision_score, fitted_loss):
            drawn = np.array([figure(y, graded, sample_weight=w) - figure(y, plain, sample_weight=w) for w in draws])
            low, high = interval(drawn)
            value = figure(y, graded)
            row += [f"{value:.3f}", f"{value - figure(y, plain):+.4f} ({low:+.4f} to {high:+.4f})"]
        rows.append(row)
    return rows


def targets_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the graded outcomes of the training rows as riskml learns them, and yes or no."""
    y = case.y_train.to_numpy(dtype=np.float64)
    grading = default_grading(int(y.sum()))
    return expit(-np.log(np.maximum(case.labels["outcome_welfare"].to_numpy(), 1e-9)) / grading), y


def fitted_loss(y: np.ndarray, margin: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the log loss of margins once level and slope are fitted."""
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    slope, levels = fit_affine(margin, y, weight)
    z = slope * margin + levels[0]
    return float(np.average(np.logaddexp(0, z) - y * z, weights=weight))


def _riskml(case: Case, targets: np.ndarray) -> np.ndarray:
    graded = not np.isin(targets, (0, 1)).all()
    model = unfitted(case, grading=None if graded else 0.0)
    model.fit(case.X_train, case.y_train, outcome_welfare=case.labels["outcome_welfare"])
    return model.decision_function(case.X_test)


def _lightgbm(case: Case, targets: np.ndarray) -> np.ndarray:
    data = lgb.Dataset(case.X_train.to_numpy(), targets)
    machine = lgb.train({**_LIGHTGBM, "objective": "cross_entropy", "seed": SEED}, data, 300)
    return np.asarray(machine.predict(case.X_test.to_numpy(), raw_score=True))


def _catboost(case: Case, targets: np.ndarray) -> np.ndarray:
    from catboost import CatBoost, Pool

    settings = {"iterations": 500, "learning_rate": 0.03, "thread_count": 2, "random_seed": SEED, "verbose": False}
    machine = CatBoost({**settings, "loss_function": "CrossEntropy", "allow_writing_files": False})
    machine.fit(Pool(case.X_train, targets))
    return logit(np.clip(machine.predict(Pool(case.X_test), prediction_type="Probability")[:, 1], 1e-9, 1 - 1e-9))


LEARNERS: dict[str, Callable[[Case, np.ndarray], np.ndarray]] = {
    "riskml": _riskml,
    "plain LightGBM": _lightgbm,
    "CatBoost, 500 trees": _catboost,
}

if __name__ == "__main__":
    main()
