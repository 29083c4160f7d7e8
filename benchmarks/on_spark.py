"""The same households scored from a store and on a local Spark: ``python benchmarks/on_spark.py [--write]``.

Tables as in ``large.py``; both ways read the same Parquet files, use buckets of the same size and one core, and write
the first ``--top`` of the list with reasons, which are compared. Spark clusters the tables anew every time, a store
once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from large import AS_OF, COUNTY, MONTHS, generate, measured, riskml, run
from results import machine, markdown, publish

import riskml as rk
from riskml.tables.reading import write_monitoring


def main() -> None:
    """Run both ways, compare their lists and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--households", type=int, default=20_000)
    parser.add_argument("--bucket-households", type=int, default=5000)
    parser.add_argument("--top", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--score", nargs=3, metavar=("TABLES", "MODELS", "OUT"), type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.score:
        score(*arguments.score, arguments.bucket_households, arguments.top)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = both_ways(Path(folder), arguments)
    asked = f"`python benchmarks/on_spark.py --households {arguments.households}`."
    head = f"{asked} {machine()} One core each, buckets of {arguments.bucket_households:,} households."
    publish("spark", f"## A store and a local Spark\n\n{head}\n\n{markdown(rows)}", write=arguments.write)


def both_ways(place: Path, arguments: argparse.Namespace) -> list[list[str]]:
    """Return the table of what each way took."""
    tables, store, models = place / "tables", place / "store", place / "models"
    write_monitoring(rk.datasets.make_monitoring(COUNTY, n_months=MONTHS, random_state=1), place / "county")
    run("train", place / "county", "--horizon-months", 6, "--out", models)
    generate(place / "county", tables, arguments.households)
    of_store, of_spark = place / "store.parquet", place / "spark.parquet"
    size = ["--bucket-households", arguments.bucket_households]
    asked = ["--model", models, "--as-of", AS_OF, "--top", arguments.top, "--out", of_store]
    on_spark = [sys.executable, __file__, "--score", tables, models, of_spark, *size, "--top", arguments.top]
    ways = {
        "riskml import (once)": riskml("import", tables, store, *size),
        "riskml score STORE": riskml("score", store, *asked),
        "riskml.spark.score, local[1]": on_spark,
    }
    rows = [["way", "wall s", "CPU s", "peak GB"]]
    for way, command in ways.items():
        print(way, file=sys.stderr)
        _, wall, cpu, peak = measured(command)
        rows.append([way, f"{wall:.0f}", f"{cpu:.0f}", f"{peak / 1e9:.2f}"])
    compare(pd.read_parquet(of_store).drop(columns="rank"), pd.read_parquet(of_spark))
    return rows


def score(tables: Path, models: Path, out: Path, bucket_households: int, n_listed: int) -> None:
    """Score tables on a local Spark and write the first of the list."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    given = {path.stem: session.read.parquet(str(path)) for path in tables.glob("*.parquet")}
    asked = {"n_explained": n_listed, "bucket_households": bucket_households}
    listed = rk.spark.score(given, rk.load_model(models), AS_OF, **asked)
    first = listed.orderBy(listed["risk"].desc(), "household_id").limit(n_listed)
    first.coalesce(1).write.parquet(str(out))
    session.stop()


def compare(store: pd.DataFrame, spark: pd.DataFrame) -> None:
    """Stop if the lists are not the same."""
    numbers = list(store.select_dtypes("float"))
    texts = [name for name in store if name not in (*numbers, "as_of_date")]
    if not store[texts].equals(spark[texts].astype(store[texts].dtypes)):
        raise SystemExit("the lists differ")
    np.testing.assert_allclose(store[numbers], spark[numbers], rtol=0, atol=1e-9, equal_nan=True)
    print(f"largest difference {np.nanmax(np.abs(store[numbers] - spark[numbers]))}", file=sys.stderr)


if __name__ == "__main__":
    main()
