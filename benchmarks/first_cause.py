"""How sure first causes are: ``python benchmarks/first_cause.py [--households 5000] [--seeds 1 2 3] [--write]``.

On simulated counties, a year before the records end, for all households and the tenth at highest risk (the list):

* how often causes as players put another cause first than sums over features do, for the preset and deeper trees;
* how often the first cause stays first over refits on other draws of households, and how often the first cause of those
  that returned was one without whose shocks they would not have, where the reason is called uncertain and where not;
* what refits cost.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd
from results import machine, markdown, publish

import riskml as rk
from riskml.explanation.stability import LEAST_SHARE
from riskml.model.booster_text import write_booster

N_REFITS = 20
LISTED = 0.1
DEEPER = {"num_leaves": 31, "max_depth": 8}
#: Groups of households by the share of refits in which their first cause stays first.
STAYS = (
    (0.0, 0.5, "less than half of the refits"),
    (0.5, 0.75, "half to three quarters"),
    (0.75, 1.0, "more, not all"),
    (1.0, 2.0, "all refits"),
)


def main() -> None:
    """Measure each county and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--households", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    counties = [measured(seed, arguments.households) for seed in arguments.seeds]
    seeds = " ".join(map(str, arguments.seeds))
    command = f"`python benchmarks/first_cause.py --households {arguments.households} --seeds {seeds}`. {machine()}"
    publish(
        f"first cause, {arguments.households} households",
        page(counties, arguments.households, command),
        write=arguments.write,
    )


def measured(seed: int, n_households: int, *, n_refits: int = N_REFITS) -> dict[str, Any]:
    """Return what one county shows: shares by way to count, and a row a household."""
    data = rk.datasets.make_monitoring(n_households, n_months=48, random_state=seed)
    day = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1) - pd.DateOffset(months=12)
    X, y, X_asked, _ = rk.backtest_sets(data, test_from=day, horizon_months=12)
    X_asked = X_asked.xs(day, level="as_of_date", drop_level=False)
    welfare = rk.outcome_welfare(data.known_by(day), X.index, horizon_months=12)
    county: dict[str, Any] = {"seed": seed, "rows": len(X)}
    for name, further in {"preset": {}, "31 leaves, depth 8": DEEPER}.items():
        model = rk.RiskClassifier(n_jobs=1, random_state=seed, calibrate=not further, **further)
        model.fit(X, y, outcome_welfare=welfare)
        sums = rk.explain(model, X_asked)
        played = rk.explain(model, X_asked, causes="players")
        first = sums.top_causes(1)["cause_1"]
        other = first != played.top_causes(1)["cause_1"]
        listed = _listed(sums.risk)
        moved = np.abs(sums.by_cause() - played.by_cause()).max(axis=1)
        county[name] = {"all": other.mean(), "listed": other[listed].mean(), "moved": moved[listed].max()}
        if not further:
            chosen, at_top = model, listed
    start = time.process_time()
    known = rk.with_refits(chosen, X, y, n_refits=n_refits, outcome_welfare=welfare)
    county["CPU s"] = time.process_time() - start
    county["MB"] = sum(len(write_booster(booster)) for booster in known.refits_) / 1e6
    again = rk.explain(known, X_asked)
    start = time.process_time()
    households = rk.cause_stability(again)
    county["CPU ms a household"] = 1e3 * (time.process_time() - start) / len(households)
    households["listed"] = households.index.isin(at_top)
    needed = data.truth.shocks(X_asked.index, horizon_months=12)
    households["needed"] = [
        needed.at[row, cause] if row in needed.index and cause in needed else np.nan
        for row, cause in households["first_cause"].items()
    ]
    county["households"] = households
    return county


def _listed(risk: pd.Series) -> pd.MultiIndex:
    return risk.sort_values(ascending=False, kind="stable").index[: round(LISTED * len(risk))]


def page(counties: list[dict[str, Any]], n_households: int, command: str) -> str:
    """Return the section: one table of the two ways to count, one of the stability."""
    counted = [["seed", "trees", "of all households", "of the list", "largest difference on the list, log-odds"]]
    for county in counties:
        for name in ("preset", "31 leaves, depth 8"):
            own = county[name]
            shares = [f"{own['all']:.1%}", f"{own['listed']:.1%}", f"{own['moved']:.3f}"]
            counted.append([str(county["seed"]), name, *shares])
    households = pd.concat([county["households"] for county in counties])
    listed = households[households["listed"]]
    stable = [["first cause stays first in", "households", "of the list", "returned", "first cause needed"]]
    for low, high, said in STAYS:
        own = households[households["share_first"].between(low, high, inclusive="left")]
        returned = own["needed"].dropna()
        right = f"{returned.mean():.0%}" if len(returned) else "-"
        counts = [f"{len(own) / len(households):.1%}", f"{own['listed'].sum() / len(listed):.1%}", f"{len(returned)}"]
        stable.append([said, *counts, right])
    cost = counties[0]
    uncertain = [f"{(table['share_first'] < LEAST_SHARE).mean():.1%}" for table in (households, listed)]
    income = (listed["first_cause"] == "income").mean()
    said = (
        f"{N_REFITS} refits on {cost['rows']:,} rows take {cost['CPU s']:.0f} CPU seconds and {cost['MB']:.1f} MB of "
        f"the bundle; to ask them {cost['CPU ms a household']:.2f} CPU ms a household. The first cause would be called "
        f"uncertain (first in less than {LEAST_SHARE:.0%} of the refits) for {uncertain[0]} of all households and "
        f"{uncertain[1]} of the list, where it is income for {income:.0%}. Needed: the share, of those that returned, "
        "that would not have without shocks of that cause (income: that would have without any shock)."
    )
    return "\n\n".join(
        [
            f"## The first cause in counties of {n_households:,}: two ways to count, and how stable it is",
            command,
            "Share of households whose first cause differs between causes as players and sums over features; the list "
            f"is the {LISTED:.0%} at highest risk.",
            markdown(counted),
            said,
            markdown(stable),
        ]
    )


if __name__ == "__main__":
    main()
