"""Memory and time of learning from many rows: ``python benchmarks/train_large.py [--rows N ...] [--write]``.

For each N, in a process of its own: N rows of 150 features in single precision are drawn in place, as
:func:`riskml.buckets.training.sampled_training_set` brings them (ten as-of dates a household, sorted), and
:class:`riskml.RiskClassifier` learns from them, its calibration included. Shown are the peak of resident memory of the
whole process (``VmHWM`` of /proc), what it is above the matrix, and the CPU seconds of learning.

Memory does not depend on the number of trees, which ``--trees`` keeps small: trees are small, the binned rows are not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from results import machine, markdown, publish

from riskml import RiskClassifier

N_DATES, _ROWS = 10, 50_000


def main() -> None:
    """Learn from each number of rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--features", type=int, default=150)
    parser.add_argument("--trees", type=int, nargs="+", default=[10])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--learn", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.learn:
        print(json.dumps(learned(arguments.rows[0], arguments.features, arguments.trees[0], arguments.jobs)))
        return
    rows = [["rows", "trees", "matrix GB", "peak GB", "above the matrix GB", "CPU s", "wall s", "slope from"]]
    for n_rows in arguments.rows:
        for n_trees in arguments.trees:
            command = [sys.executable, __file__, "--learn", "--rows", n_rows, "--trees", n_trees]
            command += ["--features", arguments.features, "--jobs", arguments.jobs]
            answer = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(answer.stdout)
            bytes_used = [found["matrix"], found["peak"], found["peak"] - found["matrix"]]
            shown = [f"{n_rows:,}", f"{n_trees:,}", *(f"{value / 1e9:.2f}" for value in bytes_used)]
            rows.append([*shown, f"{found['cpu']:.0f}", f"{found['wall']:.0f}", found["source"]])
            print(" | ".join(rows[-1]), file=sys.stderr)
    asked = " ".join(sys.argv[1:]).replace("--write", "").strip()
    head = f"`python benchmarks/train_large.py {asked}`. {machine()} {arguments.features} features in single precision."
    publish("large training", f"## Large: learning\n\n{head}\n\n{markdown(rows)}", write=arguments.write)


def learned(n_rows: int, n_features: int, n_trees: int, n_jobs: int) -> dict[str, object]:
    """Learn from drawn rows in this process; return bytes and seconds."""
    X, y = drawn(n_rows, n_features)
    cpu, wall = time.process_time(), time.perf_counter()
    model = RiskClassifier(n_estimators=n_trees, n_jobs=n_jobs).fit(X, y)
    return {
        "matrix": int(X.to_numpy().nbytes),
        "peak": peak_bytes(),
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "source": model.calibrator_.source,
    }


def drawn(n_rows: int, n_features: int) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and labels: a tenth returns, a twentieth of the values is missing."""
    rng = np.random.default_rng(1)
    values = np.empty((n_rows, n_features), dtype=np.float32)
    returned = np.empty(n_rows)
    for start in range(0, n_rows, _ROWS):
        part = values[start : start + _ROWS]
        rng.standard_normal(out=part, dtype=np.float32)
        returned[start : start + _ROWS] = part[:, :3].sum(axis=1) + 2 * rng.standard_normal(len(part)) > 3.4
        part[rng.random(part.shape, dtype=np.float32) < 0.05] = np.nan
    number = np.arange(n_rows)
    ids = pd.Index([f"{household:012d}" for household in range(-(-n_rows // N_DATES))], name="household_id")
    dates = pd.date_range("2018-01-01", periods=N_DATES, freq="QS", unit="s", name="as_of_date")
    codes = [number // N_DATES, number % N_DATES]
    index = pd.MultiIndex(
        levels=[ids, dates], codes=codes, names=["household_id", "as_of_date"], verify_integrity=False
    )
    return pd.DataFrame(values, index=index, copy=False), pd.Series(returned, index=index)


def peak_bytes() -> int:
    """Return the most bytes that this process had in memory at once."""
    said = Path("/proc/self/status").read_text()
    return int(said.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
