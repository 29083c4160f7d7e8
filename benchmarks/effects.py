"""Whether effects estimated from the monitoring history are right: ``python benchmarks/effects.py [--write]``.

Simulated counties, each with other people and other luck. Officers help those in need, so that those helped return
more often than the others although help lowers their risk: the naive comparison has the wrong sign. Truth is the
effect of the start on those who started, over lives with new luck of their own
(:meth:`riskml.datasets.truth.Truth.returned_if`).
A county's rows are kept in ``benchmarks/.effects``, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from results import machine, markdown, publish

import riskml as rk
from riskml.datasets.law import MEASURES
from riskml.effects.doubly_robust import ESTIMANDS
from riskml.effects.estimate import Effects, Trial, estimate_effects
from riskml.effects.policy import policy_value

KEPT = Path(__file__).with_name(".effects")
N_HOUSEHOLDS, N_MONTHS, N_WORLDS, HORIZON = 2500, 48, 20, 12
#: Lives a household in which the truth is counted.
N_DRAWS = 20
#: The plan that is valued gives a measure to those at highest risk of whom practice gives it this often at least.
OFTEN = 0.05


def main() -> None:
    """Measure what is not kept yet, and print the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=N_WORLDS, help="simulated counties")
    parser.add_argument("--write", action="store_true", help="put the section into RESULTS.md")
    arguments = parser.parse_args()
    KEPT.mkdir(exist_ok=True)
    for seed in range(1, arguments.worlds + 1):
        path = KEPT / f"{seed}.csv"
        if not path.exists():
            world(seed).to_csv(path, index=False)
            print(f"county {seed} done", flush=True)
    found = pd.concat([pd.read_csv(KEPT / f"{seed}.csv") for seed in range(1, arguments.worlds + 1)])
    publish("effects", section(found, arguments.worlds), write=arguments.write)


def world(
    seed: int,
    *,
    measures: Sequence[str] = tuple(MEASURES),
    n_households: int = N_HOUSEHOLDS,
    n_months: int = N_MONTHS,
    n_draws: int = N_DRAWS,
) -> pd.DataFrame:
    """Return a row a measure of one county: estimate, naive comparison, truth, and the same of a plan."""
    data = rk.datasets.make_monitoring(n_households, n_months=n_months, random_state=seed)
    dates = rk.training_dates(data, horizon_months=HORIZON, every_months=1)[6:]
    effects = estimate_effects(data, list(measures), dates, horizon_months=HORIZON, random_state=seed)
    whole = effects.table[(effects.table["by"] == "all") & (effects.table["estimand"] == "att")]
    rows = whole.set_index("measure").assign(seed=seed)
    for check, own in effects.controls.groupby("check"):
        rows[f"{check}_passed"] = own.set_index("measure")["passed"]
    given = {name: planned(trial) for name, trial in effects.trials.items()}
    truths = {name: truth(data, name, trial, given[name], n_draws) for name, trial in effects.trials.items()}
    true = ["truth", "ato_truth", "plan_truth"]
    rows[true] = pd.DataFrame(truths, index=true, columns=rows.index).T
    other = effects.table[(effects.table["by"] == "all") & (effects.table["estimand"] == "ato")].set_index("measure")
    for name in ("difference", "lower", "upper"):
        rows[f"ato_{name}"] = other[name]
    if not effects.trials:
        return rows.reset_index().assign(plan_averted=np.nan, plan_lower=np.nan, plan_upper=np.nan)
    valued = policy_value(effects, plan_of(effects, given)).set_index("measure")
    for name in ("averted", "lower", "upper"):
        rows[f"plan_{name}"] = valued[name]
    return rows.reset_index()


def planned(trial: Trial) -> np.ndarray:
    """Return who gets the measure by a plan: on each date as many as the office gave it, those at highest risk."""
    rows = pd.DataFrame({"day": trial.index.get_level_values("as_of_date"), "risk": trial.guesses.untreated})
    rows["risk"] = rows["risk"].where(trial.guesses.propensity >= OFTEN, -1.0)
    places = rows.groupby("day")["risk"].rank(ascending=False, method="first")
    quota = pd.Series(trial.treated).groupby(rows["day"].to_numpy()).transform("sum")
    return ((places <= quota) & (rows["risk"] >= 0)).to_numpy(dtype=np.float64)


def plan_of(effects: Effects, given: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return a plan as a table."""
    parts = [
        trial.index[given[name] == 1].to_frame(index=False).assign(measure=name)
        for name, trial in effects.trials.items()
    ]
    return pd.concat(parts, ignore_index=True)


def truth(data: rk.Monitoring, name: str, trial: Trial, plan: np.ndarray, n_draws: int) -> tuple[float, float, float]:
    """Return the true effect on those who started, on those of whom it was open, and the worth of a plan.

    The weights ``e (1 - e)`` of all rows are those of the rows that started, times ``1 - e``.
    """
    asked = np.flatnonzero((trial.treated == 1) | (plan == 1))
    difference = true_differences(data, name, trial.index[asked], n_draws)
    started = trial.treated[asked]
    open_ = started * (1 - trial.guesses.propensity[asked])
    averages = [float(np.average(difference, weights=weight)) for weight in (started, open_)]
    return averages[0], averages[1], float(((started - plan[asked]) * difference).sum())


def true_differences(data: rk.Monitoring, name: str, index: pd.MultiIndex, n_draws: int) -> np.ndarray:
    """Return each row's true risk with the measure less that without."""
    risks = [
        data.truth.returned_if(
            index, pd.DataFrame({name: np.full(len(index), start)}), horizon_months=HORIZON, n_draws=n_draws
        ).to_numpy()
        for start in (1.0, 0.0)
    ]
    return risks[0] - risks[1]


def section(found: pd.DataFrame, n_worlds: int) -> str:
    """Return the section of RESULTS.md."""
    stated = found[found["difference"].notna()]
    rows = [
        [
            *("measure", "worlds", "refused", "truth", "estimate", "bias", "95 % of", "standard error"),
            *("naive", "naive sign wrong", "control passed", "placebo passed"),
        ]
    ]
    for name, own in [*((m, stated[stated["measure"] == m]) for m in MEASURES), ("all", stated)]:
        asked = found if name == "all" else found[found["measure"] == name]
        rows.append([name, *_row(own, asked)])
    plan = stated[stated["plan_averted"].notna()]
    plans = [["measure", "worlds", "truth", "value", "bias", "95 % of the worlds within"]]
    for name in MEASURES:
        own = plan[plan["measure"] == name]
        if len(own):
            plans.append([name, str(len(own)), *_beside_truth(own, "plan_", "averted", times=1)])
    plans.append(["all", str(len(plan)), *_beside_truth(plan, "plan_", "averted", times=1)])
    estimands = [["average over", "stated", "truth", "estimate", "bias", "95 % of"]]
    for estimand, before in (("att", ""), ("ato", "ato_")):
        own = found[found[f"{before}difference"].notna()]
        estimands.append([ESTIMANDS[estimand][0], str(len(own)), *_beside_truth(own, before, "difference", times=100)])
    return "\n\n".join(
        [
            "## Effects",
            f"`python benchmarks/effects.py`. {machine()} {n_worlds} simulated counties of {N_HOUSEHOLDS:,} "
            f"households, a question a month over two years, horizon {HORIZON} months. Effect on those who started, in "
            "points of the risk of return: means over counties. Bias: estimate less truth, with two standard errors of "
            "its mean. 95 % of: share of the counties whose interval holds the truth. Naive: those who started against "
            "all others at risk. Control: welfare in the year before the last, which help cannot change. Placebo: "
            "returns drawn by lot as if the measure did nothing.",
            markdown(rows),
            "All measures, by whom the average is over:",
            markdown(estimands),
            "A plan that gives each month as many starts as the office did, to those at highest risk: returns averted "
            "more than by the office over two years, by `riskml.policy_value` and in truth.",
            markdown(plans),
        ]
    )


def _row(own: pd.DataFrame, asked: pd.DataFrame) -> list[str]:
    n = len(own)
    counts = [str(n), str(len(asked) - n)]
    if n == 0:
        return [*counts, *[""] * 9]
    error = own["difference"] - own["truth"]
    within = ((own["lower"] <= own["truth"]) & (own["truth"] <= own["upper"])).mean()
    wrong = (np.sign(own["naive"]) != np.sign(own["truth"])).mean()
    two = 2 * error.std() / np.sqrt(n) if n > 1 else np.nan
    return [
        *counts,
        f"{100 * own['truth'].mean():+.1f}",
        f"{100 * own['difference'].mean():+.1f}",
        f"{100 * error.mean():+.1f} ± {100 * two:.1f}",
        f"{within:.0%}",
        f"{100 * own['standard_error'].mean():.1f}",
        f"{100 * own['naive'].mean():+.1f}",
        f"{wrong:.0%}",
        f"{own['earlier_welfare_passed'].mean():.0%}",
        f"{own['placebo_outcome_passed'].mean():.0%}",
    ]


def _beside_truth(own: pd.DataFrame, before: str, name: str, *, times: int) -> list[str]:
    """Return the means of truth and estimate, the bias, and how often the interval holds the truth."""
    truth, estimate, lower, upper = (times * own[f"{before}{column}"] for column in ("truth", name, "lower", "upper"))
    error, within = estimate - truth, (lower <= truth) & (truth <= upper)
    two = 2 * error.std() / np.sqrt(len(own)) if len(own) > 1 else np.nan
    values = [f"{truth.mean():+.1f}", f"{estimate.mean():+.1f}", f"{error.mean():+.1f} ± {two:.1f}"]
    return [*values, f"{within.mean():.0%}"]


if __name__ == "__main__":
    main()
