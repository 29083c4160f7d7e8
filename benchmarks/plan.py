"""How far plans are from the best and what making them costs: riskml, HiGHS alone, ranking by risk, by gain per cost.

``python benchmarks/plan.py --write`` puts the table into RESULTS.md. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from results import machine, markdown, publish
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from riskml.causes import CAUSES
from riskml.planning import options
from riskml.planning.assist import make_plan
from riskml.planning.measures import example_measures

#: Money a household of the list, as `riskml demo` plans with; places grow with the list.
MONEY, PLACES_FOR = 500.0, 3_000
#: Seconds that HiGHS alone gets.
PATIENCE = 200.0


def problem(n_households: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Return need, measures and a budget."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.1, (n_households, len(CAUSES))) * (rng.random((n_households, len(CAUSES))) < 0.4)
    risk = np.clip(0.05 + points.sum(axis=1), 0.001, 0.99)
    names = pd.Series(np.arange(n_households)).astype(str).str.zfill(8)
    need = pd.DataFrame({"household_id": names, "as_of_date": pd.Timestamp("2024-12-01"), "risk": risk})
    need[[f"points_{cause}" for cause in CAUSES]] = points
    measures = example_measures()
    places = np.floor(measures["capacity"] * n_households / PLACES_FOR)
    return need, measures.assign(capacity=places), MONEY * n_households


def by_riskml(need: pd.DataFrame, measures: pd.DataFrame, budget: float) -> dict[str, float]:
    """Return what the plan averts, its bound, CPU seconds and peak memory."""
    make_plan(need.head(200), measures, budget=1e5)  # kernels are compiled once, not for every plan
    start = time.process_time()
    plan = make_plan(need, measures, budget=budget)
    spent = time.process_time() - start
    return {"averted": plan.value, "bound": plan.bound, "gap": plan.gap, "cpu": spent}


def _options(need: pd.DataFrame, measures: pd.DataFrame) -> np.ndarray:
    points, effects = options.points_to_avert(need), options.effects_of(measures)
    packages = options.packages_of(options.excluding(measures), 1)
    may = options.fitting(points, effects)
    return options.gains(points, need["risk"].to_numpy(), effects, packages, may, np.zeros_like(may))


def by_highs(need: pd.DataFrame, measures: pd.DataFrame, budget: float) -> dict[str, float]:
    """Return what HiGHS alone finds over all options."""
    gain = _options(need, measures)
    row, measure = np.nonzero(np.isfinite(gain))
    one_each = csr_array((np.ones(len(row)), (row, np.arange(len(row)))))
    capped = np.flatnonzero(measures["capacity"].notna())
    shared = np.vstack([measures["cost"].to_numpy()[measure], measure == capped[:, None]])
    limits = np.append(budget, measures["capacity"].to_numpy()[capped])
    start = time.process_time()
    found = milp(
        -gain[row, measure],
        constraints=[LinearConstraint(one_each, ub=1), LinearConstraint(csr_array(shared), ub=limits)],
        integrality=np.ones(len(row)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-6, "time_limit": PATIENCE},
    )
    spent = time.process_time() - start
    averted = np.nan if found.x is None else -found.fun
    return {"averted": averted, "gap": np.nan if found.x is None else found.mip_gap, "cpu": spent}


def by_ranking(need: pd.DataFrame, measures: pd.DataFrame, budget: float, *, per_cost: bool) -> dict[str, float]:
    """Return what a list averts: by risk, each household its best measure; or options by gain per cost."""
    start = time.process_time()
    gain, cost = _options(need, measures), measures["cost"].to_numpy()
    if per_cost:
        order = np.argsort(-(gain / cost).ravel(), kind="stable")
        order = order[np.isfinite(gain.ravel()[order])]
    else:
        households = np.argsort(-need["risk"].to_numpy(), kind="stable")
        best = np.argsort(-gain, axis=1, kind="stable")
        order = (households[:, None] * gain.shape[1] + best[households]).ravel()
        order = order[np.isfinite(gain.ravel()[order])]
    left, places, served, averted = budget, measures["capacity"].fillna(np.inf).to_numpy().copy(), set(), 0.0
    for option in order.tolist():
        household, measure = divmod(option, gain.shape[1])
        if household not in served and cost[measure] <= left and places[measure] >= 1:
            served.add(household)
            left -= cost[measure]
            places[measure] -= 1
            averted += gain[household, measure]
    return {"averted": averted, "gap": np.nan, "cpu": time.process_time() - start}


WAYS = {
    "riskml": by_riskml,
    "HiGHS alone": by_highs,
    "ranking by risk": lambda *asked: by_ranking(*asked, per_cost=False),
    "ranking by gain per cost": lambda *asked: by_ranking(*asked, per_cost=True),
}


def measured(way: str, n_households: int) -> dict[str, float]:
    """Return the figures of a way, from a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, "--households", str(n_households)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def table(sizes: list[int], largest_highs: int) -> str:
    """Return a table of ways and sizes."""
    rows = [["households", "way", "averted, of the bound", "proved gap", "CPU s", "peak MB"]]
    for n_households in sizes:
        bound = measured("riskml", n_households)["bound"]
        for way in WAYS:
            if way == "HiGHS alone" and n_households > largest_highs:
                continue
            found = measured(way, n_households)
            gap = "" if np.isnan(found["gap"]) else f"{found['gap']:.4%}"
            share = "none found" if np.isnan(found["averted"]) else f"{found['averted'] / bound:.3%}"
            rows.append([f"{n_households:,}", way, share, gap, f"{found['cpu']:.1f}", f"{found['memory']:,.0f}"])
    return markdown(rows)


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--largest-highs", type=int, default=100_000)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--households", type=int)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.way:
        found = WAYS[asked.way](*problem(asked.households))
        print(json.dumps(found | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    text = (
        "## A plan and its gap\n\n"
        f"`python benchmarks/plan.py --sizes {asked.sizes} --largest-highs {asked.largest_highs} --write`. "
        f"{machine()} Eight measures (four with places), {MONEY:.0f} of money a "
        f"household, one measure a household; CPU seconds of making the whole plan on one thread, kernels compiled. "
        f"HiGHS alone stops after {PATIENCE:.0f} s; peak memory includes the list itself.\n\n"
    )
    publish(
        "plan", text + table([int(size) for size in asked.sizes.split(",")], asked.largest_highs), write=asked.write
    )


if __name__ == "__main__":
    main()
