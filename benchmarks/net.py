"""What the risk net of assistance is worth: ``python benchmarks/net.py [--seeds N] [--households N] [--write]``.

Simulated counties, one a seed; the models learn from what was known on the first test date and are judged on the dates
from it on, against the simulator's truth. First table: how far both risks lie from the true risk if transfers are not
counted. Second: households whose support ends within three months (``riskml.assistance_cliff``), what comes of them,
what would if all their support ended on the day (officers may help again), and which of the two risks orders them
better. Figures are means over counties with 95 % intervals (t) of that mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from results import machine, markdown, publish
from scipy import stats
from sklearn.metrics import roc_auc_score

import riskml as rk
from riskml.features.assistance import training_labels
from riskml.features.panel import backtest_dates
from riskml.output.cliff import ends_soon
from riskml.skill.backtest import fit_model

HORIZON, N_MONTHS, TEST_FROM, N_DRAWS = 12, 48, "2023-07-01", 100
OUTCOME: dict[str, Any] = {"horizon_months": HORIZON, "rule": "at_horizon", "net_of_assistance": False}
#: Share of the households that are visited, by risk, and of the cliff beside it.
VISITED, VISITED_CLIFF = 0.1, 0.2


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="counties")
    parser.add_argument("--households", type=int, default=1200, help="households of a county")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    figures = pd.DataFrame([of_county(seed, arguments.households) for seed in range(1, arguments.seeds + 1)])
    publish("net", page_of(figures, arguments.households), write=arguments.write)


def page_of(figures: pd.DataFrame, n_households: int) -> str:
    """Return the section of RESULTS.md, given the figures of each county."""
    parts = [
        "## Net of assistance",
        f"`python benchmarks/net.py --seeds {len(figures)} --households {n_households}`. {machine()} {len(figures)} "
        f"simulated counties of {n_households:,} households, {N_MONTHS} months, horizon {HORIZON} months, at_horizon; "
        f"learned from what was known on {TEST_FROM}, judged on the quarters from then on against {N_DRAWS} futures of "
        "each household. Means over counties with 95 % intervals.",
        markdown(rows_of(figures, DISTANCES)),
        f"Households whose support ends within three months. A list by risk holds {VISITED:.0%} of all households; a "
        f"list of the cliff {VISITED_CLIFF:.0%} of the cliff.",
        markdown(rows_of(figures, CLIFF)),
    ]
    return "\n\n".join(parts)


#: Figure -> in words.
DISTANCES = {
    "true_net": "true risk net of transfers, mean",
    "true": "true risk as supported, mean",
    "risk": "risk, mean",
    "risk_net": "risk net of assistance, mean",
    "mae_risk": "distance of the risk from the true risk net of transfers",
    "mae_model": "distance of the second model alone",
    "mae_net": "distance of the risk net of assistance (nowhere below the risk)",
    "gain": "distance won against the risk",
    "gain_floor": "distance won by standing nowhere below the risk",
}
CLIFF = {
    "n": "households and dates on the cliff",
    "share": "share of all at risk",
    "off_list": "of them not on a list by risk",
    "returned": "returned, of the cliff",
    "returned_rest": "returned, of all others",
    "cliff_risk": "risk, mean of the cliff",
    "needed": "of those that returned: would not have, had no support ended",
    "needed_rest": "the same, of the others that returned",
    "ended": "true risk if all support ended on the day, mean of the cliff",
    "as_is": "true risk as it is, mean of the cliff",
    "net": "risk net of assistance, mean of the cliff",
    "auc_risk": "AUROC on the cliff, of returns: risk",
    "auc_net": "AUROC on the cliff, of returns: risk net of assistance",
    "auc_difference": "difference",
    "rank_risk": "rank correlation with what ending all support would add: risk",
    "rank_net": "the same: risk net of assistance",
    "rank_gap": "the same: difference of the two risks",
    "added_risk": "true risk that ending all support would add: first fifth of the cliff by risk",
    "added_net": "the same: first fifth by risk net of assistance",
    "hit_risk": "returned: first fifth of the cliff by risk",
    "hit_net": "returned: first fifth by risk net of assistance",
}


def of_county(seed: int, n_households: int) -> dict[str, float]:
    """Return the figures of one county."""
    data = rk.datasets.make_monitoring(n_households, n_months=N_MONTHS, random_state=seed)
    past, train, test = backtest_dates(data, test_from=TEST_FROM, horizon_months=HORIZON)
    X, y = rk.training_set(past, train, **OUTCOME)
    model = fit_model(past, X, training_labels(past, y, **OUTCOME), outcome=OUTCOME, seed=seed)
    table = scored(data, model, test)
    support = data.truth.states["support"]
    without = replace(data.truth, states={**data.truth.states, "support": np.zeros_like(support)})
    how = {"horizon_months": HORIZON, "n_draws": N_DRAWS}
    table["true"] = data.truth.risk(test, **how).loc[table.index, "risk"]
    table["true_net"] = data.truth.risk(test, net_of_assistance=True, **how).loc[table.index, "risk"]
    table["ended"] = without.risk(test, **how).loc[table.index, "risk"]
    table["returned"] = data.truth.returned(table.index, horizon_months=HORIZON)
    needed = data.truth.shocks(table.index, horizon_months=HORIZON)["assistance"]
    table["needed"] = needed.reindex(table.index)
    return {**distances(table), **on_the_cliff(table)}


def scored(data: rk.Monitoring, model: rk.RiskClassifier, dates: Sequence[pd.Timestamp]) -> pd.DataFrame:
    """Return both risks and the support of everybody at risk on some dates."""
    X = rk.feature_table(data, dates)
    table = pd.concat([model.predict_risk(X), rk.net_risk(model, X), rk.running_support(data, X.index)], axis=1)
    days = pd.Series(table.index.get_level_values("as_of_date"), index=table.index)
    by_date = table["risk"].groupby(level="as_of_date")
    return table.assign(
        model=model.net_.predict_risk(X),
        cliff=ends_soon(table["support_ends_on"], days),
        listed=by_date.rank(ascending=False, method="first") <= VISITED * by_date.transform("size"),
    )


def distances(table: pd.DataFrame) -> dict[str, float]:
    """Return the means of the risks and their mean absolute distances from the true risk net of transfers."""
    mae = {name: float((table[name] - table["true_net"]).abs().mean()) for name in ("risk", "model", "risk_net")}
    return {
        **{name: float(table[name].mean()) for name in ("true_net", "true", "risk", "risk_net")},
        "mae_risk": mae["risk"],
        "mae_model": mae["model"],
        "mae_net": mae["risk_net"],
        "gain": mae["risk"] - mae["risk_net"],
        "gain_floor": mae["model"] - mae["risk_net"],
    }


def on_the_cliff(table: pd.DataFrame) -> dict[str, float]:
    """Return what comes of the cliff, and how the two risks order it."""
    cliff, rest = table[table["cliff"]], table[~table["cliff"]]
    added = cliff["ended"] - cliff["true"]
    first = {name: cliff[name].rank(ascending=False) <= VISITED_CLIFF * len(cliff) for name in ("risk", "risk_net")}
    auc = {name: roc_auc_score(cliff["returned"], cliff[name]) for name in ("risk", "risk_net")}
    gap = cliff["risk_net"] - cliff["risk"]
    return {
        "n": float(len(cliff)),
        "share": len(cliff) / len(table),
        "off_list": float((~cliff["listed"]).mean()),
        "returned": float(cliff["returned"].mean()),
        "returned_rest": float(rest["returned"].mean()),
        "cliff_risk": float(cliff["risk"].mean()),
        "needed": float(cliff["needed"].mean()),
        "needed_rest": float(rest["needed"].mean()),
        "ended": float(cliff["ended"].mean()),
        "as_is": float(cliff["true"].mean()),
        "net": float(cliff["risk_net"].mean()),
        "auc_risk": auc["risk"],
        "auc_net": auc["risk_net"],
        "auc_difference": auc["risk_net"] - auc["risk"],
        "rank_risk": float(stats.spearmanr(cliff["risk"], added).statistic),
        "rank_net": float(stats.spearmanr(cliff["risk_net"], added).statistic),
        "rank_gap": float(stats.spearmanr(gap, added).statistic),
        "added_risk": float(added[first["risk"]].mean()),
        "added_net": float(added[first["risk_net"]].mean()),
        "hit_risk": float(cliff.loc[first["risk"], "returned"].mean()),
        "hit_net": float(cliff.loc[first["risk_net"], "returned"].mean()),
    }


def rows_of(figures: pd.DataFrame, words: dict[str, str]) -> list[list[str]]:
    """Return figures in words, each the mean over counties with its interval."""
    rows = [["figure", "mean", "95 % interval"]]
    for name, said in words.items():
        values = figures[name].dropna().to_numpy()
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0
        digits = 0 if name == "n" else 3
        rows.append(
            [
                said,
                f"{values.mean():.{digits}f}",
                f"{values.mean() - half:.{digits}f} to {values.mean() + half:.{digits}f}",
            ]
        )
    return rows


if __name__ == "__main__":
    main()
