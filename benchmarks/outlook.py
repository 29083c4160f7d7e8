"""Do intervals of whole areas hold when households fall together? ``python benchmarks/outlook.py [--write]``.

Simulated counties, quiet and with a disaster that no records foresee, and Argentina's EPH (where its files are). On
dates a quarter apart, risks come from models that knew only what was known then, and the spread of shared shocks is
learned from the dates whose outcomes were known by then: nothing of the date judged is seen. The rival is the sum of
independent risks, with the very same risks. Every world is kept in a file of its own (``--keep``), so that a run that
was stopped goes on where it was; delete the folder after changing code.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from cases import DATA
from results import machine, markdown, publish

import riskml as rk
from riskml.outlook.backtests import backtest_outlooks, backtest_predictions

HORIZON = 12
OUTCOME = {"horizon_months": HORIZON, "rule": "at_horizon", "net_of_assistance": False, "outcome": "welfare"}
N_HOUSEHOLDS, N_MONTHS, SEEDS = 1000, 60, range(1, 11)
#: Months between the dates asked, and between the models.
EVERY_MONTHS, REFIT_MONTHS = 6, 18
#: The strike of the scenario "disaster" is in this month; outlooks of the year before could not know of it.
STRIKE = 2 * N_MONTHS // 3
EXCEEDS, EPH_EXCEEDS, ALARMS_AT = 0.05, 0.15, (0.2, 0.5, 0.8)
#: Where the worlds are kept.
KEEP = Path(__file__).with_name(".outlook")
WAYS = {"shared shocks": False, "independent": True}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is not kept yet and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    parser.add_argument("--keep", type=Path, default=KEEP, help="folder of the files of the worlds")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="seeds of the simulated counties")
    arguments = parser.parse_args(argv)
    made = {name: measured(arguments.keep, name, make) for name, make in worlds(seeds=arguments.seeds).items()}
    publish("outlook", page(made), write=arguments.write)


def worlds(n_households: int = N_HOUSEHOLDS, seeds: Sequence[int] = SEEDS) -> dict[str, Callable[[], pd.DataFrame]]:
    """Return what makes the predictions of each world."""
    found: dict[str, Callable[[], pd.DataFrame]] = {}
    for scenario in ("quiet", "disaster"):
        for seed in seeds:
            found[f"{scenario}-{seed}"] = partial(county, scenario, seed, n_households)
    if (DATA / "eph").is_dir():
        found["eph"] = survey
    return found


def county(scenario: str, seed: int, n_households: int) -> pd.DataFrame:
    """Return predictions of a simulated county."""
    data = rk.datasets.make_monitoring(n_households, n_months=N_MONTHS, random_state=seed, scenario=scenario)
    return backtest_predictions(data, outcome=OUTCOME, every_months=EVERY_MONTHS, refit_months=REFIT_MONTHS)


def survey() -> pd.DataFrame:
    """Return predictions of the EPH."""
    return backtest_predictions(rk.datasets.load_eph(DATA / "eph"), outcome=OUTCOME)


def measured(folder: Path, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return the outlooks of a world by both ways, beside what came; kept in files."""
    folder.mkdir(parents=True, exist_ok=True)
    predictions, outlooks = (folder / f"{name}.{what}.parquet" for what in ("predictions", "outlooks"))
    if not predictions.exists():
        make().to_parquet(predictions)
    if not outlooks.exists():
        rows = pd.read_parquet(predictions)
        how = {"horizon_months": HORIZON, "exceeds": EPH_EXCEEDS if name == "eph" else EXCEEDS}
        if name == "eph":
            how["levels"] = {"region": 2, "city": 4}
        ways = {way: backtest_outlooks(rows, independent=alone, **how) for way, alone in WAYS.items()}
        pd.concat(ways, names=["way"]).reset_index(level="way").to_parquet(outlooks)
    return pd.read_parquet(outlooks).reset_index(drop=True).assign(world=name)


def page(made: Mapping[str, pd.DataFrame]) -> str:
    """Return the section for RESULTS.md."""
    counties = pd.concat([table for name, table in made.items() if name != "eph"], ignore_index=True)
    struck = counties["world"].str.startswith("disaster") & _sees_strike(counties["as_of_date"])
    n_worlds, n_struck = counties["world"].nunique(), counties.loc[struck, "world"].nunique()
    parts = [
        "## Outlooks of areas",
        f"`python benchmarks/outlook.py` (`--seeds` chooses counties). {machine()} Share of area-dates whose number "
        f"of returns within {HORIZON} months lay in the central interval of the outlook; in brackets the standard "
        "error, seeds (of the EPH: years) taken as the independent cases. Independent: the same risks, added up as if "
        "households fell independently. Counts are whole numbers, so that the intervals of small areas hold more than "
        "they say.",
        f"{n_worlds} simulated counties (seeds {_seeds(counties)} of both scenarios) of "
        f"{N_HOUSEHOLDS:,} households, {N_MONTHS} months, asked every {EVERY_MONTHS} months; dates whose "
        "outcomes the unforeseen strike of the scenario `disaster` does not touch:",
        markdown(_coverage(counties[~struck])),
        f"The same on the {n_struck} counties and the dates where the strike falls into the horizon. It hits half the "
        "townships at once; no earlier date had shown such a thing, so that these intervals cannot be asked to hold:",
        markdown(_coverage(counties[struck])),
        f"Alarms in the counties, all dates: more than {EXCEEDS:.0%} return. Detection: alarmed of those that "
        "exceeded; false alarms: of the alarms.",
        markdown(_alarms(counties)),
    ]
    if "eph" in made:
        parts += [
            "Argentina's EPH, a year ahead, first days of quarters "
            f"{made['eph']['as_of_date'].min():%Y-%m} to {made['eph']['as_of_date'].max():%Y-%m} (pandemic and "
            "crises among them), six regions and their cities:",
            markdown(_coverage(made["eph"])),
            f"Alarms in the EPH: more than {EPH_EXCEEDS:.0%} return.",
            markdown(_alarms(made["eph"])),
        ]
    return "\n\n".join(parts)


def _seeds(counties: pd.DataFrame) -> str:
    return ", ".join(map(str, sorted({int(name.rpartition("-")[2]) for name in counties["world"]})))


def _sees_strike(as_of_date: pd.Series) -> pd.Series:
    """Return the dates whose horizon holds the strike, which they could not know of."""
    strike = pd.Timestamp("2021-01-01") + pd.DateOffset(months=STRIKE)
    return (as_of_date <= strike) & (as_of_date > strike - pd.DateOffset(months=HORIZON))


def _coverage(outlooks: pd.DataFrame) -> list[list[str]]:
    """Return coverage by level and way, with standard errors over seeds, or over years where there is one world."""
    rows = [["areas", "area-dates", "way", "80 % held", "95 % held", "mean width of 95 %, of households"]]
    cluster = (
        outlooks["world"].str.rpartition("-")[2] if outlooks["world"].nunique() > 1 else outlooks["as_of_date"].dt.year
    )
    for level in outlooks["level"].unique():
        for way in WAYS:
            own = outlooks[(outlooks["level"] == level) & (outlooks["way"] == way)]
            cells = []
            for coverage in (80, 95):
                held = own["returned"].between(own[f"lower_{coverage}"], own[f"upper_{coverage}"]).astype(float)
                means = held.groupby(cluster[own.index]).mean()
                cells.append(f"{held.mean():.0%} ({means.std() / np.sqrt(len(means)):.0%})")
            width = ((own["upper_95"] - own["lower_95"]) / own["households"]).mean()
            rows.append([level, f"{len(own):,}", way, *cells, f"{width:.1%}"])
    return rows


def _alarms(outlooks: pd.DataFrame) -> list[list[str]]:
    rows = [["areas", "way", "alarm from", "exceeded", "alarms", "detection", "false alarms", "false alarm rate"]]
    for way in WAYS:
        table = rk.alarm_table(outlooks[outlooks["way"] == way], at=ALARMS_AT)
        for row in table.to_dict("records"):
            shares = [_percent(row[name]) for name in ("detection", "false_alarms", "false_alarm_rate")]
            counts = [f"{row['exceeded']:,} of {row['area_dates']:,}", f"{row['alarmed']:,}"]
            rows.append([row["level"], way, f"{row['at']:.0%}", *counts, *shares])
    return rows


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{share:.0%}"


if __name__ == "__main__":
    main()
