"""What imagined events would do, against what they do: ``python benchmarks/stress.py [--seeds 1-20] [--write]``.

Simulated worlds are lived twice with the same random numbers, without and with an event three months before the
as-of date; the *true* change is that of the mean true risk of the households at risk without it, a year ahead. Beside
it stand

* *imagined*: :func:`riskml.stress` with the scenario of ``docs/scenarios``, from the tables of the world without;
* *first model*: the same without what comes from the second model, the risk net of assistance;
* *seen*: both models on the tables that the office has in the world with the event.

What separates *imagined* from *seen* is the fault of the edits; what separates *seen* from *true* is that of the
model, which knows an event only by what such records were followed by. A world that was measured is kept in
``--folder`` and not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results import machine, markdown, publish

from riskml import RiskClassifier, Scenario, read_scenario, stress, training_dates, training_set
from riskml.datasets import make_monitoring
from riskml.datasets.law import MEASURES, Event
from riskml.datasets.simulate import monitoring_under
from riskml.features.assistance import training_labels
from riskml.features.panel import features_of
from riskml.files import replacing
from riskml.outlook.scenario import apply_scenario, chosen
from riskml.outlook.support import net_points, share_ending
from riskml.skill.backtest import fit_model
from riskml.tables.monitoring import Monitoring

SCENARIOS = Path(__file__).resolve().parents[1] / "docs" / "scenarios"
NAMES = ("flood", "jobs", "price", "transfers", "bills")
N_HOUSEHOLDS, N_MONTHS, N_DRAWS = 1500, 36, 50
OUTCOME: dict[str, Any] = {"horizon_months": 12, "rule": "at_horizon", "net_of_assistance": False, "outcome": "welfare"}


def main() -> None:
    """Measure the worlds not yet measured and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-20", help="first and last seed")
    parser.add_argument("--folder", type=Path, default=Path("stress-worlds"), help="where measured worlds are kept")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    first, last = (int(part) for part in arguments.seeds.split("-"))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    worlds = []
    for seed in range(first, last + 1):
        path = arguments.folder / f"{seed}.json"
        if not path.exists():
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(world(seed)), encoding="utf-8")
        worlds += json.loads(path.read_text(encoding="utf-8"))
    publish("stress", text(pd.DataFrame(worlds)), write=arguments.write)


def world(seed: int, *, n_households: int = N_HOUSEHOLDS, names: tuple[str, ...] = NAMES) -> list[dict[str, Any]]:
    """Return the figures of one world, a row a scenario."""
    data = make_monitoring(n_households, n_months=N_MONTHS, random_state=seed)
    as_of = data.truth.first_day + pd.DateOffset(months=N_MONTHS)
    dates = training_dates(data, horizon_months=12, every_months=3)
    X, y = training_set(data, dates, **OUTCOME)
    model = fit_model(data, X, training_labels(data, y, **OUTCOME), outcome=OUTCOME)
    risk = true_risk(data, as_of)
    return [figures(data, model, scenario_of(name, data), as_of, risk, seed) for name in names]


def scenario_of(name: str, data: Monitoring) -> Scenario:
    """Return a scenario of the documentation; an area is moved to every second township of the data."""
    scenario = read_scenario(SCENARIOS / f"{name}.toml")
    townships = sorted({code[:9] for code in data.tables["households"]["area_id"]})
    moved = [replace(part, areas=tuple(townships[::2]) if part.areas else ()) for part in scenario.parts]
    return replace(scenario, parts=tuple(moved))


def event_of(scenario: Scenario, data: Monitoring, as_of: pd.Timestamp) -> Event:
    """Return the event of the law that a scenario imagines, for the same households and jobs."""
    ids = data.truth.household_ids
    after = {"month": N_MONTHS - scenario.months_ago}
    if scenario.name == "flood":
        known, day = data.known_by(as_of), scenario.day(as_of)
        area, hit = (ids.isin(chosen(known, day, part, i, 0)) for i, part in enumerate(scenario.parts, start=1))
        return Event(**after, severity=np.where(area, 3, 0).astype(np.int8), hit=hit)
    if scenario.name == "jobs":
        jobs = apply_scenario(data, scenario, as_of).tables["employment"]
        gone = jobs[(jobs["end"] == scenario.day(as_of)) & (jobs["away"] == 1)]
        members = [ids.isin(gone.loc[gone["member_id"] == f"m{i}", "household_id"]) for i in (1, 2)]
        return Event(**after, jobs_end=np.array(members))
    if scenario.name == "price":
        return Event(**after, price_fall=np.where(data.truth.traits["product"] == 0, np.log(2), 0).astype(np.float32))
    if scenario.name == "bills":
        return Event(**after, bills=np.full(len(ids), 2, np.float32))
    return Event(**after, ended=tuple(MEASURES))


def true_risk(data: Monitoring, as_of: pd.Timestamp) -> pd.Series:
    """Return every household's true risk."""
    return data.truth.risk([as_of], n_draws=N_DRAWS)["risk"].droplevel("as_of_date")


def figures(
    data: Monitoring, model: RiskClassifier, scenario: Scenario, as_of: pd.Timestamp, risk: pd.Series, seed: int
) -> dict[str, Any]:
    """Return the true change and both answers, and how they rank villages."""
    answer = stress(data, model, scenario, as_of_date=as_of).households.set_index("household_id")
    other = monitoring_under(data.truth, event_of(scenario, data, as_of))
    seen = features_of(other, answer.index, as_of)[list(model.feature_names_in_)]
    seen.index = pd.MultiIndex.from_arrays([answer.index, answer["as_of_date"]])
    risk_seen = model.predict_risk(seen)
    table = answer.assign(
        true_before=risk.reindex(answer.index),
        true_after=true_risk(other, as_of).reindex(answer.index),
        seen=(risk_seen + net_points(model, seen, risk_seen, share_ending(data, scenario, as_of))).to_numpy(),
    )
    table["true"] = table["true_after"] - table["true_before"]
    villages = table.groupby("area_id")[["true", "change", "touched"]].mean()
    struck = villages[villages["touched"] > 0]
    fallen = table[table["below_line"]]
    return {
        "seed": seed,
        "scenario": scenario.name,
        "true_before": table["true_before"].mean(),
        "rate_before": table["risk_before"].mean(),
        "true": table["true"].mean(),
        "imagined": table["change"].mean(),
        "first": (table["change"] - table["from_net"]).mean(),
        "seen": (table["seen"] - table["risk_before"]).mean(),
        "rank_all": _rank(villages),
        "rank_struck": _rank(struck),
        "rank_households": float(table[["true", "change"]].corr("spearman").iloc[0, 1]),
        "fallen": len(fallen) / len(table),
        "fallen_true": fallen["true_after"].mean(),
        "fallen_model": fallen["risk_after"].mean(),
        "outside": float((table["n_outside"] > 0).mean()),
        "far": float(table["far"].mean()),
    }


def _rank(areas: pd.DataFrame) -> float:
    same = len(areas) < 3 or areas["true"].nunique() < 2 or areas["change"].nunique() < 2
    return float("nan") if same else float(areas[["true", "change"]].corr("spearman").iloc[0, 1])


def text(worlds: pd.DataFrame) -> str:
    """Return the section of RESULTS.md."""
    n, seeds = worlds["seed"].nunique(), worlds["seed"]
    rows = [
        [
            "scenario",
            "true rate without",
            "model's rate without",
            "true change",
            "imagined",
            "first model",
            "seen",
            "imagined less true",
            "imagined / true",
            "seen / true",
        ]
    ]
    ranks = [["scenario", "villages", "struck villages", "households", "already below", "their true risk", "model's"]]
    ranks[0] += ["outside the range", "far from the past"]
    for name, own in worlds.groupby("scenario", sort=False):
        mean, error = own.mean(numeric_only=True), own["imagined"] - own["true"]
        rows.append(
            [
                str(name),
                f"{mean['true_before']:.2%}",
                f"{mean['rate_before']:.2%}",
                _spread(own["true"]),
                _spread(own["imagined"]),
                _spread(own["first"]),
                _spread(own["seen"]),
                _spread(error),
                _ratio(own, "imagined"),
                _ratio(own, "seen"),
            ]
        )
        said = [f"{mean[key]:.2f}" for key in ("rank_all", "rank_struck", "rank_households")]
        shares = [
            "-" if np.isnan(mean[key]) else f"{mean[key]:.1%}"
            for key in ("fallen", "fallen_true", "fallen_model", "outside", "far")
        ]
        ranks.append([str(name), *said, *shares])
    return "\n\n".join(
        [
            "## What imagined events would do",
            f"`python benchmarks/stress.py --seeds {seeds.min()}-{seeds.max()}`: {n} worlds of {N_HOUSEHOLDS:,} "
            f"households and {N_MONTHS} months, the event three months before the end. {machine()}",
            "Mean over the worlds and, in brackets, the standard deviation between them; percentage points of the "
            "expected share that returns within a year. *Imagined*: the answer of `stress` from edited tables; *first "
            "model*: of it, without what comes from the risk net of assistance; *seen*: both models on the tables of "
            "the world in which the event struck. Ratios are of the means.",
            markdown(rows),
            "Rank correlation of true and imagined change over areas and households (mean over the worlds); households "
            "already below the line by the as-of date with the event, and their risk; shares of households outside "
            "what the model was trained on.",
            markdown(ranks),
        ]
    )


def _spread(values: pd.Series) -> str:
    return f"{100 * values.mean():+.2f} ({100 * values.std(ddof=1):.2f})"


def _ratio(own: Mapping[str, pd.Series], name: str) -> str:
    return f"{own[name].mean() / own['true'].mean():.2f}" if abs(own["true"].mean()) > 1e-4 else "-"


if __name__ == "__main__":
    main()
