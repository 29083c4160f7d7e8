"""What the settings of the classifier are worth: ``python benchmarks/preset.py [--write] [NAME ...]``.

Every variant differs from the preset in what its name says and is measured on the cases of ``skill.py``, without
calibration: average precision, and log loss once level and slope are fitted to the test rows, which leaves what the
ranking itself is worth. Means over seeds. ``--earlier`` asks the same within the training rows alone, on households
held out and, where there are more dates than one, on the newest: a choice made there has not seen the tests.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Iterator

import numpy as np
from cases import Case, cases
from results import machine, markdown, publish
from rivals import folds
from sklearn.metrics import average_precision_score

from riskml import STANDARD, RiskClassifier, feature_dictionary
from riskml.model.calibration import fit_affine

#: Parameters in which a variant differs from the preset.
VARIANTS: dict[str, dict[str, object]] = {
    "preset": {},
    "200 trees": {"n_estimators": 200},
    "300 trees": {"n_estimators": 300},
    "450 trees": {"n_estimators": 450},
    "900 trees": {"n_estimators": 900},
    "half the steps, twice the trees": {"learning_rate": 0.01, "n_estimators": 1200},
    "4 leaves, 900 trees": {"num_leaves": 4, "n_estimators": 900},
    "16 leaves, depth 6": {"num_leaves": 16, "max_depth": 6},
    "a tenth of the columns": {"feature_fraction": 0.1},
    "half of the columns": {"feature_fraction": 0.5},
    "leaves of 60 rows": {"min_child_samples": 60},
    "stronger shrinkage": {"lambda_l2": 20.0},
    "no directions": {"monotone": False},
    "yes or no outcomes": {"grading": 0.0},
    "softer outcomes": {"grading": 0.1},
}
#: Columns that name a place, and are left out in a variant of their own where a case has them.
PLACES = re.compile("^traits_(region|agglomeration)")


def main() -> None:
    """Measure the variants and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only cases that hold one of these texts")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--variants", nargs="+", default=[], metavar="TEXT", help="only variants that hold one of these"
    )
    parser.add_argument(
        "--counties", type=int, nargs="+", default=[], help="seeds of quiet counties, in place of the cases"
    )
    parser.add_argument("--earlier", action="store_true", help="within the training rows, not on the tests")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    made_by = cases(seeds=tuple(arguments.counties or (1,)))
    made_by = {name: make for name, make in made_by.items() if not arguments.counties or "quiet years" in name}
    chosen = [n for n in made_by if not arguments.names or any(text in n for text in arguments.names)]
    measured: dict[str, dict[str, tuple[float, float]]] = {}
    for name in chosen:
        case = made_by[name]()
        asked = _within(case) if arguments.earlier else [case]
        made = {
            variant: make
            for variant, make in _variants(case).items()
            if variant == "preset" or not arguments.variants or any(text in variant for text in arguments.variants)
        }
        measured[name] = {
            variant: _mean(_figures(one, make, seed) for one in asked for seed in range(arguments.seeds))
            for variant, make in made.items()
        }
    options = ["--earlier"] if arguments.earlier else []
    options += ["--variants", *(f"'{text}'" for text in arguments.variants)] if arguments.variants else []
    options += ["--counties", *map(str, arguments.counties)] if arguments.counties else []
    command = " ".join(["python benchmarks/preset.py --seeds", str(arguments.seeds), *options, *arguments.names])
    head = f"`{command}`. {machine()}"
    where = ", within the training rows" if arguments.earlier else ", in further counties" if arguments.counties else ""
    said = [
        f"## What the settings are worth{where}",
        f"{head} No calibration; log loss after level and slope are fitted to the rows judged on.",
        "Average precision:",
        _table(measured, 0, 4),
        "Log loss:",
        _table(measured, 1, 5),
    ]
    section = "preset" + (", earlier" if arguments.earlier else "") + (", counties" if arguments.counties else "")
    publish(section, "\n\n".join(said), write=arguments.write)


def _within(case: Case) -> list[Case]:
    """Return cases made of the training rows alone: three folds of households, the newest dates to judge on."""
    return [
        dataclasses.replace(
            case,
            X_train=case.X_train.iloc[fit],
            labels=case.labels.iloc[fit],
            X_test=case.X_train.iloc[held],
            y_test=case.y_train.iloc[held],
        )
        for fit, held in folds(case.X_train)
    ]


def _variants(case: Case) -> dict[str, Callable[[int], tuple[RiskClassifier, list[str]]]]:
    """Return, by name, what makes an unfitted model of a seed and the columns it sees."""
    columns = list(case.X_train.columns)
    without = [name for name in columns if not PLACES.match(name)]
    made = {
        name: lambda seed, settings=settings: (unfitted(case, seed=seed, **settings), columns)
        for name, settings in VARIANTS.items()
    }
    if len(without) < len(columns):
        made["no places"] = lambda seed: (unfitted(case, seed=seed), without)
    return made


def unfitted(case: Case, *, seed: int = 0, calibrate: bool = False, **settings: object) -> RiskClassifier:
    """Return the classifier of a case with other settings than the preset's."""
    dictionary = feature_dictionary((*STANDARD, *case.data.features))
    return RiskClassifier(
        dictionary=dictionary,
        horizon_months=case.horizon_months,
        random_state=seed,
        calibrate=calibrate,
        **settings,  # type: ignore[arg-type]
    )


def _figures(case: Case, made: Callable[[int], tuple[RiskClassifier, list[str]]], seed: int) -> tuple[float, float]:
    """Return average precision and log loss, the latter after level and slope are fitted."""
    model, columns = made(seed)
    model.fit(case.X_train[columns], case.y_train, outcome_welfare=case.labels["outcome_welfare"])
    margin = model.decision_function(case.X_test[columns])
    y = case.y_test.to_numpy(dtype=np.float64)
    slope, levels = fit_affine(margin, y, np.ones(len(y)))
    return float(average_precision_score(y, margin)), _log_loss(y, slope * margin + levels[0])


def _log_loss(y: np.ndarray, log_odds: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, log_odds) - y * log_odds))


def _mean(figures: Iterator[tuple[float, float]]) -> tuple[float, float]:
    first, second = np.mean(list(figures), axis=0)
    return float(first), float(second)


def _table(measured: dict[str, dict[str, tuple[float, float]]], k: int, digits: int) -> str:
    """Return one figure of every variant (rows) and case, each less that of the preset but the first."""
    rows = [["settings", *measured]]
    for variant in dict.fromkeys(name for values in measured.values() for name in values):
        row = [variant]
        for values in measured.values():
            if variant not in values:
                row.append("")
            elif variant == "preset":
                row.append(f"{values[variant][k]:.{digits}f}")
            else:
                row.append(f"{values[variant][k] - values['preset'][k]:+.{digits}f}")
        rows.append(row)
    return markdown(rows)


if __name__ == "__main__":
    main()
