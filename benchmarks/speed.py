"""How fast the parts are, beside the usual ways.

``python benchmarks/speed.py [features] [scoring] [learn] [explain] [--write]``

``features``: every way of ``ways.py`` runs in a process of its own, in turn, ``--times`` times, on the same tables. CPU
seconds are those of all threads; peak memory is that of the process, its input tables included, from the moment it
starts to compute. Values are compared. featuretools does not run beside pandas 3: give a Python that has it by
``--featuretools`` (``python -m venv ft; ft/bin/pip install featuretools pyarrow 'pandas<3'``); it gets as
many households as it finishes in about a minute.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from results import machine, markdown, publish
from ways import COLUMNS, DATES, LATE, SCORING, TABLES, WAYS, write_tables

OWN, RAW, SLOWEST = "riskml, tables checked before", "riskml, from raw tables", "featuretools"
#: Households that featuretools gets: about a minute.
N_FEW = 200
#: Rows of the large batch that is explained.
N_EXPLAINED = 20_000


def main() -> None:
    """Time the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--households", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--featuretools", metavar="PYTHON", default="", help="a Python with featuretools")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        run_way(arguments.way[0], Path(arguments.way[1]), arguments.way[2])
        return
    for part in arguments.parts or PARTS:
        head = f"`python benchmarks/speed.py {part} --households {arguments.households} --times {arguments.times}`. "
        text = PARTS[part](arguments)
        publish(f"speed of {part}", f"## Speed: {part}\n\n{head}{machine()}\n\n{text}", write=arguments.write)


def features(arguments: argparse.Namespace) -> str:
    """Time the same statistics in every way."""
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "all")
        n_events = write_tables(arguments.households, folder)
        for turn in range(arguments.times):
            for name in (name for name in WAYS if name != SLOWEST):
                spent[name].append(_measured(name, folder, compared=turn == 0))
        if arguments.featuretools:
            few = Path(place, "few")
            write_tables(N_FEW, few)
            _measured(OWN, few, compared=True)
            spent[SLOWEST].append(_measured(SLOWEST, few, compared=True, python=arguments.featuretools))
    said = (
        f"{arguments.households:,} households, {len(DATES)} dates, {n_events:,} events in {len(TABLES)} tables, "
        f"{LATE:.0%} of them known up to 13 months late; {len(COLUMNS)} statistics a row; values agree (those of "
        f"featuretools where it gives one: its trend wants three records, and it counts records before they are known)."
    )
    return f"{said}\n\n{_ways_table(spent, arguments.households)}"


def scoring(arguments: argparse.Namespace) -> str:
    """Time one date from files to features, beside the bare reading of the files."""
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in SCORING}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "all")
        n_events = write_tables(arguments.households, folder)
        for _ in range(arguments.times):
            for name in SCORING:
                spent[name].append(_measured(name, folder, compared=False))
    median = _medians(spent)
    rows = [["way", "CPU s", "of it system", "wall s", "peak GB", "riskml times this"]]
    for name, took in median.items():
        ratio = f"{next(iter(median.values()))['cpu'] / took['cpu']:.1f}"
        rows.append([name, *(f"{took[figure]:.2f}" for figure in ("cpu", "system", "wall")), _giga(took), ratio])
    said = (
        f"{arguments.households:,} households, {n_events:,} events in {len(TABLES)} tables, as `write_monitoring` "
        f"writes them, rows in the order of households and days; {len(COLUMNS)} statistics of one date."
    )
    return f"{said}\n\n{markdown(rows)}"


def _measured(name: str, folder: Path, *, compared: bool, python: str = sys.executable) -> dict[str, float]:
    """Run a way in a process of its own; compare its values with those of the first way that was compared here."""
    values, expected = folder / "values.npy", folder / "expected.npy"
    command = [python, __file__, "--way", name, str(folder), str(values) if compared else "-"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    if compared and not expected.exists():
        values.rename(expected)
    elif compared:
        _compare(np.load(values, mmap_mode="r"), np.load(expected, mmap_mode="r"), partly=name == SLOWEST)
    return json.loads(done.stdout)


def _compare(values: np.ndarray, expected: np.ndarray, *, partly: bool) -> None:
    for i, name in enumerate(COLUMNS):
        wanted = np.where(np.isnan(values[:, i]), np.nan, expected[:, i]) if partly else expected[:, i]
        np.testing.assert_allclose(values[:, i], wanted, rtol=1e-6, atol=1e-7, err_msg=name)


def run_way(name: str, folder: Path, values: str) -> None:
    """Run one way in this process, print what it took as JSON, and save its values if there is a place for them."""
    compute, as_array = {**WAYS, **SCORING}[name](folder)
    n_households = int(np.load(folder / "n_households.npy"))
    # What reading the tables left behind is given back. The host of a virtual machine charges seconds for memory that
    # is touched first; all ways get it touched.
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    np.ones(n_households * 6_000)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = compute()
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - wall
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    took = {"cpu": user + system, "system": system, "wall": wall, "peak": _peak_bytes()}
    print(json.dumps(took))
    if values != "-":
        np.save(values, as_array(result))


def _peak_bytes() -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) * 1024


def _ways_table(spent: Mapping[str, list[dict[str, float]]], n_households: int) -> str:
    median = _medians(spent)
    n_rows = {name: len(DATES) * (N_FEW if name == SLOWEST else n_households) for name in median}
    a_row = {name: took["cpu"] / n_rows[name] for name, took in median.items()}
    rows = [["way", "CPU s", "of it system", "wall s", "peak GB", "CPU µs a row", f"times {OWN}", f"times {RAW}"]]
    for name, took in median.items():
        ratios = [f"{a_row[name] / a_row[other]:.1f}" for other in (OWN, RAW)]
        figures = [f"{took[figure]:.2f}" for figure in ("cpu", "system", "wall")]
        figures += [_giga(took), f"{a_row[name] * 1e6:.1f}"]
        rows.append([name + (f" ({n_rows[name]:,} rows)" if name == SLOWEST else ""), *figures, *ratios])
    return markdown(rows)


def _medians(spent: Mapping[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {figure: float(np.median([one[figure] for one in runs])) for figure in runs[0]}
        for name, runs in spent.items()
        if runs
    }


def _giga(took: Mapping[str, float]) -> str:
    return f"{took['peak'] / 1e9:.2f}"


def learn(arguments: argparse.Namespace) -> str:
    """Time learning, scoring and explaining on a simulated county."""
    import lightgbm as lgb

    from riskml import RiskClassifier, explain, training_set
    from riskml.datasets import make_monitoring
    from riskml.features.panel import training_dates

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
    from shapley_ways import table

    return table(min(arguments.households, N_EXPLAINED), arguments.times, _medians)


PARTS = {"features": features, "scoring": scoring, "learn": learn, "explain": shapley}


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
