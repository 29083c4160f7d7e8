"""How fast the parts are, beside the usual ways: ``python benchmarks/speed.py [features] [learn] [--write]``.

Every way runs in turn, ``--times`` times, on the same data in this process; shown are medians of CPU seconds (all
threads) and ratios. Values are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import duckdb
import lightgbm as lgb
import numpy as np
import pandas as pd
from results import machine, markdown, publish

from riskml import Monitoring, RiskClassifier, Window, explain, feature_table, training_set
from riskml.datasets import make_monitoring
from riskml.features.panel import training_dates
from riskml.tables.lines import in_lines

MONTHS = (3, 6, 12, 36)
STATS = ("sum", "mean", "max", "std", "slope", "count")
AMOUNTS = {"medical": ("cost", "out_of_pocket"), "schooling": ("cost",), "production": ("loss",)}
FEATURES = tuple(
    Window(table, column, months=MONTHS, stats=STATS, cause="other")
    for table, columns in AMOUNTS.items()
    for column in columns
)
DATES = pd.date_range("2023-01-01", periods=12, freq="MS")
#: Events a household and table, share known up to 13 months late.
N_EVENTS, LATE = 12, 0.02


def main() -> None:
    """Time the parts asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--households", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    for part in arguments.parts or PARTS:
        head = f"`python benchmarks/speed.py {part} --households {arguments.households} --times {arguments.times}`. "
        text = PARTS[part](arguments.households, arguments.times)
        publish(f"speed of {part}", f"## Speed: {part}\n\n{head}{machine()}\n\n{text}", write=arguments.write)


def features(n_households: int, times: int) -> str:
    """Time the same statistics by riskml, pandas and DuckDB."""
    data = generated(n_households)
    tables = {name: in_lines(data, name) for name in AMOUNTS}
    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "riskml, from tables as read (checks and lines included)": lambda: feature_table(
            Monitoring(dict(data.tables), welfare_months=12, max_age_months=24), DATES, features=FEATURES
        ),
        "riskml, tables checked before": lambda: feature_table(data, DATES, features=FEATURES),
        "pandas, one group-by a date and window": lambda: by_pandas(tables),
        "DuckDB, one query a date with filtered aggregates": lambda: by_duckdb(tables),
    }
    # The first call compiles; what it gives is compared.
    own, _, *others = [way() for way in ways.values()]
    for other in others:
        same = own.reindex(columns=other.columns).loc[other.index].to_numpy()
        np.testing.assert_allclose(other.to_numpy(), same, rtol=1e-6, atol=1e-6)
    said = (
        f"{n_households:,} households, {len(DATES)} dates, {sum(map(len, tables.values())):,} events in "
        f"{len(tables)} tables, {LATE:.0%} of them known up to 13 months late; {own.shape[1]} statistics, "
        f"{len(own):,} rows; values agree. The others get amounts already in lines."
    )
    return f"{said}\n\n{_timed(ways, times)}"


def learn(n_households: int, times: int) -> str:
    """Time learning, scoring and explaining on a simulated county."""
    data = make_monitoring(min(n_households, 3000), n_months=48, random_state=1)
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
    return f"{said}\n\n{_timed(ways, times)}"


PARTS = {"features": features, "learn": learn}


def generated(n_households: int) -> Monitoring:
    """Return a district whose events are spread over five years."""
    rng = np.random.default_rng(0)
    ids = np.array([f"H{number:07d}" for number in range(n_households)])
    start = pd.Timestamp("2019-01-01")
    tables = {
        "households": pd.DataFrame(
            {"household_id": ids, "area_id": [f"52{number % 100:04d}" for number in range(n_households)]}
        ).assign(known_on=pd.Timestamp("2018-12-31")),
        "lines": pd.DataFrame(
            {"area_id": ["52"], "valid_from": [pd.Timestamp("2018-01-01")], "amount": [4000.0], "unit": ["person_year"]}
        ),
        "welfare": pd.concat(
            pd.DataFrame(
                {"household_id": ids, "months": 12.0, "value": 9000.0, "units": 1.0, "date": day, "known_on": day}
            )
            for day in pd.date_range("2018-12-31", "2022-12-31", freq="YE")
        ),
    }
    for table, columns in AMOUNTS.items():
        n = n_households * N_EVENTS
        date = start + pd.to_timedelta(rng.integers(0, 5 * 365, n), unit="D")
        late = np.where(rng.random(n) < LATE, rng.integers(0, 396, n), rng.integers(0, 20, n))
        events = {"household_id": rng.choice(ids, n), "date": date, "known_on": date + pd.to_timedelta(late, unit="D")}
        events["member_id" if table == "schooling" else "record_id"] = np.arange(n).astype(str)
        tables[table] = pd.DataFrame({**events, **{column: rng.gamma(2, 300, n) for column in columns}})
    return Monitoring(tables, welfare_months=12, max_age_months=24)


def by_pandas(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the statistics by pandas, as an analyst would write them."""
    blocks = []
    for day in DATES:
        block = {}
        for table, columns in AMOUNTS.items():
            known = tables[table][(tables[table]["known_on"] < day) & (tables[table]["date"] < day)]
            for months in MONTHS:
                inside = known[known["date"] >= day - pd.DateOffset(months=months)]
                years = (inside["date"] - day).dt.days / 365.25
                for column in columns:
                    values = pd.DataFrame(
                        {"x": years, "y": inside[column], "xy": years * inside[column], "xx": years**2}
                    )
                    grouped = values.groupby(inside["household_id"])
                    found = grouped["y"].agg(["sum", "mean", "max", "std", "count"])
                    sums, n = grouped[["x", "y", "xy", "xx"]].sum(), found["count"]
                    spread = n * sums["xx"] - sums["x"] ** 2
                    found["slope"] = ((n * sums["xy"] - sums["x"] * sums["y"]) / spread).where(spread > 1e-12)
                    for stat in STATS:
                        block[f"{table}_{column}_{stat}_{months}m"] = found[stat]
        blocks.append(pd.DataFrame(block).assign(as_of_date=day))
    return _as_riskml_has_it(pd.concat(blocks).rename_axis("household_id").set_index("as_of_date", append=True))


def by_duckdb(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the statistics by SQL: one query a date and table with filtered aggregates."""
    sql = {
        "slope": "regr_slope({c}, date_diff('day', DATE '{day}', date) / 365.25)",
        "std": "stddev_samp({c})",
        "mean": "avg({c})",
    }
    blocks = []
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        for name, table in tables.items():
            connection.register(name, table[["household_id", "date", "known_on", *AMOUNTS[name]]])
        for day in DATES:
            parts = []
            for table, columns in AMOUNTS.items():
                wanted = [
                    f"{sql.get(stat, stat + '({c})').format(c=column, day=f'{day:%Y-%m-%d}')} "
                    f"FILTER (date >= DATE '{day - pd.DateOffset(months=months):%Y-%m-%d}') "
                    f"AS {table}_{column}_{stat}_{months}m"
                    for column in columns
                    for months in MONTHS
                    for stat in STATS
                ]
                query = (
                    f"SELECT household_id, {', '.join(wanted)} FROM {table} "
                    f"WHERE known_on < DATE '{day:%Y-%m-%d}' AND date < DATE '{day:%Y-%m-%d}' GROUP BY household_id"
                )
                parts.append(connection.execute(query).df().set_index("household_id"))
            blocks.append(pd.concat(parts, axis=1).assign(as_of_date=day))
    return _as_riskml_has_it(pd.concat(blocks).rename_axis("household_id").set_index("as_of_date", append=True))


def _as_riskml_has_it(frame: pd.DataFrame) -> pd.DataFrame:
    """Return counts and sums of empty windows as 0 and slopes of a single day as missing."""
    frame = frame.astype(np.float64).sort_index()
    empty = [name for name in frame if "_sum_" in name or "_count_" in name]
    return frame.fillna(dict.fromkeys(empty, 0.0))


def _timed(ways: Mapping[str, Callable[[], object]], times: int) -> str:
    """Return medians of CPU and wall seconds of the ways, run in turn, and ratios to the first."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(times):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            way()
            spent[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    median = {name: np.median(np.array(seconds), axis=0) for name, seconds in spent.items()}
    first = next(iter(median.values()))[0]
    rows = [["way", "CPU s", "wall s", "CPU to the first"]]
    rows += [[name, f"{cpu:.2f}", f"{wall:.2f}", f"{cpu / first:.1f}"] for name, (cpu, wall) in median.items()]
    return markdown(rows)


if __name__ == "__main__":
    main()
