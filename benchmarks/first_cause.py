"""How sure the first cause of a household is: ``python benchmarks/first_cause.py [--households 5000] [--write]``.

On simulated counties, for the tenth of the households at highest risk a year before the records end:

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

SEEDS = (1, 2, 3)
N_REFITS = 20
LISTED = 0.1
DEEPER = {"num_leaves": 31, "max_depth": 8}
#: Shares of refits in which the first cause stays first: bounds of the groups of households shown.
BOUNDS = (0.0, 0.5, 0.75, 0.9, 1.0)


def main() -> None:
    """Measure each county and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--households", type=int, default=5000)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    counties = [measured(seed, arguments.households) for seed in SEEDS]
    command = f"`python benchmarks/first_cause.py --households {arguments.households}`. {machine()}"
    publish("first cause", page(counties, command), write=arguments.write)


def measured(seed: int, n_households: int, *, n_refits: int = N_REFITS) -> dict[str, Any]:
    """Return what one county shows: shares by way to count, and a row a listed household."""
    data = rk.datasets.make_monitoring(n_households, n_months=48, random_state=seed)
    day = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1) - pd.DateOffset(months=12)
    X, y, X_asked, _ = rk.backtest_sets(data, test_from=day, horizon_months=12)
    X_asked = X_asked.xs(day, level="as_of_date", drop_level=False)
    county: dict[str, Any] = {"seed": seed, "rows": len(X)}
    for name, further in {"preset": {}, "31 leaves, depth 8": DEEPER}.items():
        model = rk.RiskClassifier(n_jobs=1, random_state=seed, calibrate=not further, **further).fit(X, y)
        sums = rk.explain(model, X_asked)
        played = rk.explain(model, X_asked, causes="players")
        first = sums.top_causes(1)["cause_1"]
        other = first != played.top_causes(1)["cause_1"]
        listed = _listed(sums.risk)
        moved = np.abs(sums.by_cause() - played.by_cause()).max(axis=1)
        county[name] = {"all": other.mean(), "listed": other[listed].mean(), "moved": moved[listed].max()}
        if not further:
            chosen, why = model, sums.take(listed)
    start = time.process_time()
    known = rk.with_refits(chosen, X, y, n_refits=n_refits)
    county["CPU s"] = time.process_time() - start
    county["MB"] = sum(len(write_booster(booster)) for booster in known.refits_) / 1e6
    again = rk.explain(known, why.X)
    start = time.process_time()
    households = rk.cause_stability(again)
    county["CPU ms a household"] = 1e3 * (time.process_time() - start) / len(households)
    needed = data.truth.shocks(why.X.index, horizon_months=12)
    households["needed"] = [
        needed.at[row, cause] if row in needed.index and cause in needed else np.nan
        for row, cause in households["first_cause"].items()
    ]
    county["households"] = households
    return county


def _listed(risk: pd.Series) -> pd.MultiIndex:
    return risk.sort_values(ascending=False, kind="stable").index[: round(LISTED * len(risk))]


def page(counties: list[dict[str, Any]], command: str) -> str:
    """Return the section: one table of the two ways to count, one of the stability."""
    counted = [["seed", "trees", "of all households", "of the list", "largest difference on the list, log-odds"]]
    for county in counties:
        for name in ("preset", "31 leaves, depth 8"):
            own = county[name]
            shares = [f"{own['all']:.1%}", f"{own['listed']:.1%}", f"{own['moved']:.3f}"]
            counted.append([str(county["seed"]), name, *shares])
    households = pd.concat([county["households"] for county in counties])
    cut = pd.cut(households["share_first"], BOUNDS, right=False).cat.add_categories("1.0")
    cut[households["share_first"] == 1.0] = "1.0"
    stable = [["first cause stays first in", "of the list", "returned", "first cause needed"]]
    for group in cut.cat.categories:
        own = households[cut == group]
        said = f"{group.left:.0%} to under {group.right:.0%} of the refits" if group != "1.0" else "all refits"
        returned = own["needed"].dropna()
        right = f"{returned.mean():.0%}" if len(returned) else "-"
        stable.append([said, f"{len(own) / len(households):.1%}", str(len(returned)), right])
    cost = counties[0]
    uncertain = (households["share_first"] < LEAST_SHARE).mean()
    stays = households["share_first"].mean()
    said = (
        f"{N_REFITS} refits on {cost['rows']:,} rows take {cost['CPU s']:.0f} CPU seconds and {cost['MB']:.1f} MB of "
        f"the bundle; to ask them {cost['CPU ms a household']:.2f} CPU ms a household. On {uncertain:.1%} of the list "
        f"the main reason is called uncertain (first in less than {LEAST_SHARE:.0%} of the refits). On average the "
        f"first cause stays first in {stays:.0%} of the refits. Needed: without shocks of that cause it would "
        "not have returned (first cause income: it would have returned without any)."
    )
    return "\n\n".join(
        [
            "## The first cause: two ways to count, and how stable it is",
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
