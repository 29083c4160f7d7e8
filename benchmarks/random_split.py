"""How much a random split of rows flatters: ``python benchmarks/random_split.py [--write]``.

The same model foretells the same rows, the last as-of dates of a simulated county, having learned from

* *the past*: what was known on the first of these dates (:func:`riskml.backtest_sets`), as an office must;
* *random households*: a random half of the households on all dates, labelled as the tables stand today, for the other
  half (both halves in turn);
* *random rows*: the same with halves of rows, so that a household stands on both sides at different dates.

All learn from about equally many rows. The true risk is what no forecast beats in the long run.
"""

from __future__ import annotations

import argparse

import pandas as pd
from cases import Case, cases
from results import machine, markdown, publish
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict

from riskml import RiskClassifier, evaluate, training_dates, training_set

SEEDS = (1, 2, 3)
FIGURES = ("auroc", "average_precision")
N_DRAWS = 200


def main() -> None:
    """Measure the three ways on each county and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    rows = [["seed", "learned from", "rows", "AUROC", "gain", "average precision", "gain"]]
    for seed in SEEDS:
        rows += _rows(seed, cases(seeds=SEEDS)[f"simulated county, quiet years, seed {seed}"]())
    said = (
        "One simulated county a seed, all ways judged on the same rows. Gain: over learning from the past, with 95 % "
        f"intervals from {N_DRAWS} draws of whole villages."
    )
    parts = ["## Random split or the past", f"`python benchmarks/random_split.py`. {machine()} {said}", markdown(rows)]
    publish("random split", "\n\n".join(parts), write=arguments.write)


def _rows(seed: int, case: Case) -> list[list[str]]:
    """Return a row a way and one for the true risk."""
    model = RiskClassifier(calibrate=False)  # calibration does not change the order
    dates = training_dates(case.data, horizon_months=case.horizon_months)
    X, y = training_set(case.data, dates, horizon_months=case.horizon_months)
    households = X.index.get_level_values("household_id")
    folds = {
        "random households": GroupKFold(2, shuffle=True, random_state=seed).split(X, groups=households),
        "random rows": KFold(2, shuffle=True, random_state=seed).split(X),
    }
    scores = {"the past": model.fit(case.X_train, case.y_train).predict_risk(case.X_test)}
    for name, fold in folds.items():
        risk = cross_val_predict(model, X, y, cv=fold, method="predict_proba")[:, 1]
        scores[name] = pd.Series(risk, index=X.index).loc[case.X_test.index]
    scores["true risk"] = case.truth
    table = evaluate(scores, case.y_test, clusters=case.area_id, n_bootstrap=N_DRAWS).set_index(["model", "figure"])
    n_rows = {"the past": f"{len(case.X_train):,}", **dict.fromkeys(folds, f"{len(X) // 2:,}"), "true risk": ""}
    rows = []
    for name in scores:
        row = [str(seed), name, n_rows[name]]
        for figure in FIGURES:
            own = table.loc[(name, figure)]
            row += [f"{own['value']:.3f}", "" if name == "the past" else _gain(own)]
        rows.append(row)
    return rows


def _gain(own: pd.Series) -> str:
    """Return the difference to the past with its interval; ``evaluate`` gives the past less the other."""
    return f"{-own['difference']:+.3f} ({-own['difference_upper']:+.3f} to {-own['difference_lower']:+.3f})"


if __name__ == "__main__":
    main()
