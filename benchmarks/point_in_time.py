"""How fast point-in-time features are: every way of ``ways.py`` in a process of its own, in turn, on the same tables.

CPU seconds are those of all threads; peak memory is that of the process, its input tables included, from the moment it
starts to compute. Values are compared. featuretools does not run beside pandas 3: give a Python that has it by
``--featuretools`` (``python -m venv ft; ft/bin/pip install featuretools pyarrow 'pandas<3'``); it gets as many
households as it finishes in about a minute.
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
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from results import markdown
from ways import COLUMNS, DATES, LATE, SCORING, TABLES, WAYS, write_tables

OWN, RAW, SLOWEST = "riskml, tables checked before", "riskml, from raw tables", "featuretools"
#: Households that featuretools gets: about a minute.
N_FEW = 200


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
    median = _median_figures(spent)
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
    command = [python, __file__, name, str(folder), str(values) if compared else "-"]
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
    median = _median_figures(spent)
    n_rows = {name: len(DATES) * (N_FEW if name == SLOWEST else n_households) for name in median}
    a_row = {name: took["cpu"] / n_rows[name] for name, took in median.items()}
    rows = [["way", "CPU s", "of it system", "wall s", "peak GB", "CPU µs a row", f"times {OWN}", f"times {RAW}"]]
    for name, took in median.items():
        ratios = [f"{a_row[name] / a_row[other]:.1f}" for other in (OWN, RAW)]
        figures = [f"{took[figure]:.2f}" for figure in ("cpu", "system", "wall")]
        figures += [_giga(took), f"{a_row[name] * 1e6:.1f}"]
        rows.append([name + (f" ({n_rows[name]:,} rows)" if name == SLOWEST else ""), *figures, *ratios])
    return markdown(rows)


def _median_figures(spent: Mapping[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {figure: float(np.median([one[figure] for one in runs])) for figure in runs[0]}
        for name, runs in spent.items()
        if runs
    }


def _giga(took: Mapping[str, float]) -> str:
    return f"{took['peak'] / 1e9:.2f}"


if __name__ == "__main__":
    run_way(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
