"""How the outcomes differ, and what weights for those lost do: ``python benchmarks/outcomes.py [--write]``.

First part: the rows at risk, those whose outcome is known and the share that returned by each definition, on a
simulated county and on Argentina's EPH (where its files are), and how far the definitions agree with welfare below the
line at the horizon. Second part: in simulated counties households leave after the as-of date, the poorer and the iller
the likelier; what those who stayed say of the share that returns and of a model's level, with and without
:func:`riskml.censoring_weights`.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
from cases import DATA
from results import machine, markdown, publish
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import riskml as rk
from riskml.features.panel import cohort
from riskml.skill.metrics import calibration_slope

HORIZON = 12
N_HOUSEHOLDS, N_MONTHS, SEED = 3000, 48, 1
#: EPH has no medical bills.
EPH_INDICATORS = tuple(each for each in rk.Deprivation().indicators if each.table != "medical")
DEFINITIONS: dict[str, dict[str, Any]] = {
    "welfare at the horizon": {},
    "the same, net of assistance": {"net_of_assistance": True},
    "welfare at any time": {"rule": "any"},
    "the same, net of assistance ": {"rule": "any", "net_of_assistance": True},
    "official status at the horizon": {"outcome": "status"},
    "official status at any time": {"outcome": "status", "rule": "any"},
    "deprivation at the horizon": {"outcome": "deprivation"},
}
N_CENSORED, CENSORED_SEEDS, CENSORED_DAYS = 1500, (1, 2, 3, 4, 5), ("2022-07-01", "2022-10-01", "2023-01-01")
#: Draws of who leaves, averaged, so that the luck of one does not pass for bias.
N_DRAWS = 5
#: What a simple model looks at: it does not know all that made households leave.
MODEL = ("jobs", "housing_grade", "water_grade", "income_change_3_12")


def main() -> None:
    """Measure and print both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    county = rk.datasets.make_monitoring(N_HOUSEHOLDS, n_months=N_MONTHS, random_state=SEED)
    parts = [
        "## Outcomes",
        f"`python benchmarks/outcomes.py`. {machine()} Horizon {HORIZON} months. Of those seen: of the rows that were "
        "observed over enough of the horizon whatever came of it. Holds of welfare's: share of the returns in welfare "
        "at the horizon that this definition holds too; are welfare's: share of its own returns that are those. Both "
        "among rows known by both.",
        f"A simulated county, {N_HOUSEHOLDS:,} households, seed {SEED}, all training dates:",
        markdown(_definitions(county, rk.training_dates(county, horizon_months=HORIZON))),
    ]
    if (DATA / "eph").is_dir():
        eph = rk.datasets.load_eph(DATA / "eph")
        dates = pd.date_range("2016-07-01", "2022-01-01", freq="QS")
        own = {"outcome": rk.Deprivation(EPH_INDICATORS)}
        parts += ["EPH, first days of the quarters (no table of status, no medical bills):"]
        parts += [markdown(_definitions(eph, list(dates), deprivation=own))]
    parts += [
        f"Households that leave, simulated ({N_CENSORED:,} a county): truth is the share that returned among all at "
        f"risk. Level and slope are of a logistic regression on {', '.join(MODEL)}, learned from those who stayed and "
        "judged on all: log of its mean risk over the true share (0 is right), slope of the calibration (1 is right). "
        f"Effective: rows of equal weight that say as much, of those who stayed. Means of {N_DRAWS} draws of who left.",
        markdown(_censored()),
    ]
    publish("outcomes", "\n\n".join(parts), write=arguments.write)


def _definitions(
    data: rk.Monitoring, dates: list[pd.Timestamp], deprivation: dict[str, Any] | None = None
) -> list[list[str]]:
    head = ["outcome", "at risk", "known", "returned", "of those seen", "holds of welfare's", "are welfare's"]
    rows, plain = [head], None
    for name, how in DEFINITIONS.items():
        if how.get("outcome") == "status" and "status" not in data.tables:
            continue
        if how.get("outcome") == "deprivation" and deprivation is not None:
            how = deprivation
        index = cohort(data, dates, outcome=how.get("outcome", "welfare")).index
        y = rk.outcome_labels(data, index, horizon_months=HORIZON, **how)
        seen = rk.observed_to_horizon(data, index, horizon_months=HORIZON, rule=how.get("rule", "at_horizon"))
        plain = y if plain is None else plain
        both = pd.concat([plain.rename("plain"), y.rename("other")], axis=1).dropna()
        agreed = (both["plain"] * both["other"]).sum()
        returned = [both[which].sum() for which in ("plain", "other")]
        shares = [f"{agreed / n:.0%}" if n > 0 else "" for n in returned]
        counts = [f"{len(y):,}", f"{y.notna().sum():,}", f"{y.mean():.1%}", f"{y[seen].mean():.1%}"]
        rows.append([name.strip(), *counts, *shares])
    return rows


def _censored() -> list[list[str]]:
    head = ["seed", "rows", "lost", "truth", "complete cases", "weighted", "effective", "level", "level, weighted"]
    rows = [[*head, "slope", "slope, weighted"]]
    for seed in CENSORED_SEEDS:
        data = rk.datasets.make_monitoring(N_CENSORED, n_months=36, random_state=seed)
        X = rk.feature_table(data, CENSORED_DAYS)
        y = rk.outcome_labels(data, X.index, horizon_months=HORIZON)
        X, y = X[y.notna()], y.dropna()
        known = X[list(MODEL)].fillna(X[list(MODEL)].median())
        draws = [_draw(X, y, known, leaving(X, 100 * seed + draw)) for draw in range(N_DRAWS)]
        lost, *shares, effective, level, level_weighted, slope, slope_weighted = np.mean(draws, axis=0)
        said = [str(seed), f"{len(y):,}", f"{lost:.0%}", f"{y.mean():.2%}", *(f"{share:.2%}" for share in shares)]
        said += [f"{effective:.0%}", f"{level:+.2f}", f"{level_weighted:+.2f}"]
        rows.append([*said, f"{slope:.2f}", f"{slope_weighted:.2f}"])
    return rows


def _draw(X: pd.DataFrame, y: pd.Series, known: pd.DataFrame, gone: np.ndarray) -> list[float]:
    """Return what those who stayed say, without and with weights, after one draw of who left."""
    seen = ~gone
    weight = rk.censoring_weights(X, seen)["weight"].to_numpy()[seen]
    levels, slopes = [], []
    for own in (np.ones(seen.sum()), weight):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        model.fit(known[seen], y[seen], logisticregression__sample_weight=own)
        # Judged on all, those who were lost too: what only a simulator can do.
        risk = model.predict_proba(known)[:, 1]
        levels.append(np.log(risk.mean() / y.mean()))
        slopes.append(calibration_slope(y, risk)[0])
    effective = rk.effective_sample_size(weight) / seen.sum()
    return [gone.mean(), y[seen].mean(), np.average(y[seen], weights=weight), effective, *levels, *slopes]


def leaving(X: pd.DataFrame, seed: int) -> np.ndarray:
    """Return whose records stop after the date: the poorer and the iller the likelier, by what was known on it."""
    poor = -np.log(X["welfare"].clip(0.5, 5) / 1.6)
    ill = X["medical_out_of_pocket_sum_12m"].clip(0, 1)
    return np.random.default_rng(seed).random(len(X)) < expit(-1.0 + 2.4 * poor + 0.9 * ill)


if __name__ == "__main__":
    main()
