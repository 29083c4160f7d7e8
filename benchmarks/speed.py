"""How fast the parts are: ``python benchmarks/speed.py [PART ...] [--write]``, each part a section of RESULTS.md.

``features`` and ``scoring`` (one date, from files) are those of ``point_in_time.py``; ``start`` is a first call of the
command; ``reasons`` is a whole list with reasons and without. In ``learn`` and ``explain`` every way runs in turn,
``--times`` times, on the same data in this process; shown are medians of CPU seconds (all threads) and ratios. Values
are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from point_in_time import features, scoring
from results import machine, markdown, publish
from shapley_ways import table as shapley_table

from riskml import RiskClassifier, explain, training_set
from riskml.datasets import make_monitoring
from riskml.features.panel import training_dates
from riskml.model.store import save_model
from riskml.tables.reading import write_monitoring

#: Rows of the large batch that is explained; households of the county of a first call, and of a whole list.
N_EXPLAINED, N_STARTED, N_LISTED = 20_000, 2000, 20_000


def main() -> None:
    """Time the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--households", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--featuretools", metavar="PYTHON", default="", help="a Python that has featuretools")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    for part in arguments.parts or PARTS:
        head = f"`python benchmarks/speed.py {part} --households {arguments.households} --times {arguments.times}`. "
        text = PARTS[part](arguments)
        publish(f"speed of {part}", f"## Speed: {part}\n\n{head}{machine()}\n\n{text}", write=arguments.write)


def start(arguments: argparse.Namespace) -> str:
    """Time ``riskml score`` in a process of its own: just installed (nothing compiled yet), and later."""
    n_households = min(arguments.households, N_STARTED)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = make_monitoring(n_households, n_months=48, random_state=1)
        day = data.extract_on - pd.DateOffset(months=1)
        X, y = training_set(data, training_dates(data, horizon_months=12), horizon_months=12)
        save_model(RiskClassifier().fit(X, y), folder / "model", data=data)
        write_monitoring(data, folder / "county")
        command = [sys.executable, "-m", "riskml", "score", str(folder / "county"), "--as-of", f"{day:%Y-%m-%d}"]
        command += ["--model", str(folder / "model"), "--top", "200", "--out", str(folder / "watchlist.parquet")]
        spent: dict[str, list[tuple[float, float]]] = {"just installed": [], "later": []}
        for turn in range(arguments.times):
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / f"compiled {turn}")}
            for runs in spent.values():
                runs.append(_run_seconds(command, environment))
    median = {name: np.median(np.array(seconds), axis=0) for name, seconds in spent.items()}
    rows = [["`riskml score`", "CPU s", "wall s"]]
    rows += [[name, f"{cpu:.1f}", f"{wall:.1f}"] for name, (cpu, wall) in median.items()]
    said = f"A simulated county of {n_households:,} households, 200 of them listed with reasons."
    return f"{said}\n\n{markdown(rows)}"


def reasons(arguments: argparse.Namespace) -> str:
    """Time ``riskml score`` over a whole county with reasons for every household and without, in turn."""
    n_households = min(arguments.households, N_LISTED)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        small = make_monitoring(3000, n_months=48, random_state=1)
        X, y = training_set(small, training_dates(small, horizon_months=12), horizon_months=12)
        save_model(RiskClassifier().fit(X, y), folder / "model", data=small)
        data = make_monitoring(n_households, n_months=48, random_state=2)
        day = data.extract_on - pd.DateOffset(months=1)
        write_monitoring(data, folder / "county")
        command = [sys.executable, "-m", "riskml", "score", str(folder / "county"), "--as-of", f"{day:%Y-%m-%d}"]
        command += ["--model", str(folder / "model"), "--out", str(folder / "list.parquet"), "--explain"]
        spent: dict[str, list[tuple[float, float]]] = {"none": [], "all": []}
        _run_seconds([*command, "all"], dict(os.environ))  # compiles what is not yet compiled
        for _ in range(arguments.times):
            for how, runs in spent.items():
                runs.append(_run_seconds([*command, how], dict(os.environ)))
        n_rows = len(pd.read_parquet(folder / "list.parquet"))
    median = {how: np.median(np.array(seconds), axis=0) for how, seconds in spent.items()}
    rows = [["`riskml score`", "CPU s", "wall s", "CPU to the first"]]
    rows += [
        [f"`--explain {how}`", f"{cpu:.1f}", f"{wall:.1f}", f"{cpu / median['none'][0]:.2f}"]
        for how, (cpu, wall) in median.items()
    ]
    said = f"A simulated county of {n_households:,} households, {n_rows:,} of them at risk and all of them written."
    return f"{said}\n\n{markdown(rows)}"


def learn(arguments: argparse.Namespace) -> str:
    """Time learning, scoring and explaining on a simulated county."""
    data = make_monitoring(min(arguments.households, 3000), n_months=48, random_state=1)
    X, y = training_set(data, training_dates(data, horizon_months=12), horizon_months=12)
    model = RiskClassifier().fit(X, y)
    values = X.to_numpy()
    ways = {
        "riskml: learn and calibrate": lambda: RiskClassifier().fit(X, y),
        "plain LightGBM: learn (300 trees, 15 leaves)": lambda: lgb.LGBMClassifier(
            n_estimators=300, num_leaves=15, verbose=-1
        ).fit(values, y),
        "riskml: score": lambda: model.predict_risk(X),
        "riskml: explain": lambda: explain(model, X),
    }
    said = f"{len(X):,} rows of a simulated county, {X.shape[1]} features."
    return f"{said}\n\n{_timed(ways, arguments.times)}"


def shapley(arguments: argparse.Namespace) -> str:
    """Time Shapley values of a large booster in every way."""
    return shapley_table(min(arguments.households, N_EXPLAINED), arguments.times, _medians)


PARTS = {
    "features": features,
    "scoring": scoring,
    "start": start,
    "learn": learn,
    "explain": shapley,
    "reasons": reasons,
}


def _run_seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return its CPU and wall seconds."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - wall
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def _timed(ways: Mapping[str, Callable[[], object]], times: int) -> str:
    """Return medians of CPU and wall seconds of the ways, run in turn, and ratios to the first."""
    median = _medians(ways, times)
    first = next(iter(median.values()))[0]
    rows = [["way", "CPU s", "wall s", "CPU to the first"]]
    rows += [[name, f"{cpu:.2f}", f"{wall:.2f}", f"{cpu / first:.1f}"] for name, (cpu, wall) in median.items()]
    return markdown(rows)


def _medians(ways: Mapping[str, Callable[[], object]], times: int) -> dict[str, np.ndarray]:
    """Return medians of CPU and wall seconds of the ways, run in turn."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(times):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            way()
            spent[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {name: np.median(np.array(seconds), axis=0) for name, seconds in spent.items()}


if __name__ == "__main__":
    main()
