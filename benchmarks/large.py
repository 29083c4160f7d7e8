"""A nation on one machine: ``python benchmarks/large.py [--households N ...] [--write]``.

For each N, in processes of their own: simulated tables of N households are written (``generate``), clustered into
a store (``import``), and scored for a date (``score``: features and risk of everybody, reasons for the first
``--top``). Shown are wall and CPU seconds, and the peak of resident memory of the process and its children together,
read from /proc ten times a second.

Generating is fast because only one county of 2,000 households is simulated. It stands N / 2,000 times in the tables,
each time with ids and areas of its own: rows in the order in which the office learned of them, so that the records
of a household are strewn over the whole file as in a real ledger.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from results import machine, markdown, publish

import riskml as rk
from riskml.tables.reading import write_monitoring

COUNTY, MONTHS, AS_OF = 2000, 24, "2022-12-01"
#: What the largest size measured is extrapolated to.
NATION = 25_000_000
_ROWS = 500_000


def main() -> None:
    """Run the stages for each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--households", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--bucket-households", type=int, default=None, help="default: that of riskml import")
    parser.add_argument("--top", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--place", type=Path, help="folder for the tables (default: a temporary one)")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--generate", nargs=2, metavar=("COUNTY", "TABLES"), type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        generate(*arguments.generate, arguments.households[0])
        return
    with tempfile.TemporaryDirectory(dir=arguments.place) as place:
        rows = [["households", "records", "stage", "wall s", "CPU s", "peak GB", "CPU s per 100,000 households"]]
        model = Path(place) / "models"
        data = rk.datasets.make_monitoring(COUNTY, n_months=MONTHS, random_state=1)
        write_monitoring(data, Path(place) / "county")
        run("train", Path(place) / "county", "--horizon-months", 6, "--out", model)
        for n_households in arguments.households:
            rows += of_size(Path(place), model, n_households, arguments)
    asked = " ".join(sys.argv[1:]).replace("--write", "").strip()
    head = f"`python benchmarks/large.py {asked}`. {machine()} Simulated households."
    publish("large", f"## Large: a store\n\n{head}\n\n{markdown(rows)}\n\n{extrapolated(rows)}", write=arguments.write)


def extrapolated(rows: list[list[str]]) -> str:
    """Return what a nation would take at the speed of the largest size, marked as not measured."""
    hours = {row[2]: float(row[6]) * NATION / 1e5 / 3600 for row in rows[-2:]}
    return (
        f"Extrapolated, not measured: at the speed of the last rows {NATION:,} households take "
        f"{hours['import']:.1f} CPU hours to import and {hours['score']:.1f} to score."
    )


def of_size(place: Path, model: Path, n_households: int, arguments: argparse.Namespace) -> list[list[str]]:
    """Return the rows of one size."""
    tables, store, out = place / "tables", place / "store", place / "list.parquet"
    buckets = ["--bucket-households", arguments.bucket_households] if arguments.bucket_households else []
    stages = {
        "generate": [sys.executable, __file__, "--generate", place / "county", tables, "--households", n_households],
        "import": riskml("import", tables, store, *buckets),
        "score": riskml(
            *("score", store, "--model", model, "--as-of", AS_OF, "--top", arguments.top, "--jobs", arguments.jobs),
            *("--out", out),
        ),
    }
    rows = []
    n_records = 0
    for stage, command in stages.items():
        print(f"{n_households:,} {stage}", file=sys.stderr)
        answer, wall, cpu, peak = measured(command)
        if stage == "import":
            n_records = sum(json.loads(answer)["rows"].values())
            shutil.rmtree(tables)
        shown = [f"{n_households:,}", f"{n_records:,}" if n_records else "", stage, f"{wall:.0f}", f"{cpu:.0f}"]
        rows.append([*shown, f"{peak / 1e9:.2f}", f"{cpu / n_households * 1e5:.1f}"])
        print(" | ".join(rows[-1]), file=sys.stderr)
    print(answer, file=sys.stderr)
    shutil.rmtree(store)
    return rows


def riskml(*words: object) -> list[object]:
    """Return the command line of a subcommand."""
    return [sys.executable, "-m", "riskml", *words, "--json", "--quiet"]


def run(*words: object) -> str:
    """Run a subcommand; return what it printed."""
    command = [str(word) for word in riskml(*words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measured(command: list[object]) -> tuple[str, float, float, int]:
    """Run a command; return what it printed, wall and CPU seconds, and the peak of resident bytes."""
    began = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    peak = cpu = 0.0
    seen: dict[int, float] = {}
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            resident = 0
            for pid, bytes_resident, seconds in tree(process.pid):
                resident += bytes_resident
                seen[pid] = seconds
            peak = max(peak, resident)

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = process.communicate()[0]
    ended.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    cpu = sum(seen.values())
    return answer, time.perf_counter() - began, cpu, int(peak)


def tree(root: int) -> Iterator[tuple[int, int, float]]:
    """Yield process id, resident bytes and CPU seconds of a process and its descendants."""
    page, ticks = 4096, 100
    children: dict[int, list[int]] = {}
    states = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            resident = int((path.parent / "statm").read_text().split()[1]) * page
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid = int(path.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        states[pid] = resident, (int(fields[11]) + int(fields[12])) / ticks
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in states:
            yield pid, *states[pid]
        waiting += children.get(pid, [])


def generate(county: Path, folder: Path, n_households: int) -> None:
    """Write the tables of a county as often as needed, each time with ids and areas of its own."""
    data = rk.read_monitoring(county)
    n_times = max(n_households // COUNTY, 1)
    folder.mkdir()
    for name, table in data.tables.items():
        rows = table.sort_values("known_on", kind="stable", ignore_index=True)
        times = 1 if name == "lines" else n_times
        writer = None
        step = max(_ROWS // times, 1)
        for start in range(0, len(rows), step):
            part = pa.Table.from_pandas(repeated(rows[start : start + step], times), preserve_index=False)
            writer = writer or pq.ParquetWriter(folder / f"{name}.parquet", part.schema, compression="zstd")
            writer.write_table(part)
        if writer is not None:
            writer.close()
    shutil.copy(county / "monitoring.toml", folder)


def repeated(rows: pd.DataFrame, times: int) -> pd.DataFrame:
    """Return each row so many times; the copies differ in household and area."""
    if times == 1:
        return rows
    many = rows.iloc[np.repeat(np.arange(len(rows)), times)]
    number = pd.Series([f"{i:06d}" for i in range(times)], dtype=str)
    number = number.iloc[np.tile(np.arange(times), len(rows))].set_axis(many.index)
    changed = {}
    for column, head in (("household_id", 0), ("area_id", 2)):  # the province stays: lines hold for it
        if column in many:
            ids = many[column]
            changed[column] = (ids.str[:head] + number + ids.str[head:]).where(ids != "", "")
    return many.assign(**changed)


if __name__ == "__main__":
    main()
