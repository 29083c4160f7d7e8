"""The same statistics in several ways: riskml, and how an analyst would write them with the usual libraries.

A way is a function of the folder written by :func:`write_tables`. It prepares what it needs and returns two functions:
one that computes (this is timed) and one that turns what came of it into an array, so that all can be compared. riskml
starts from the tables of the contract. The rivals get more: amounts already in lines, one whole number a household
where they gain by it, rows in the order of households and dates.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MONTHS = (3, 6, 12, 36)
STATS = ("sum", "mean", "max", "std", "slope")
#: Table: (events a household, amounts). In all 48 events and seven amounts.
TABLES: dict[str, tuple[int, tuple[str, ...]]] = {
    "medical": (14, ("cost", "out_of_pocket")),
    "incomes": (12, ("wage", "transfers")),
    "schooling": (10, ("cost",)),
    "production": (8, ("loss",)),
    "disasters": (4, ("loss",)),
}
#: Share of the events known up to 13 months late; the others are known within three weeks.
LATE = 0.02
DATES = pd.date_range("2023-01-01", periods=12, freq="MS")
COLUMNS = tuple(
    [
        f"{table}_{c}_{stat}_{m}m"
        for table, (_, columns) in TABLES.items()
        for c in columns
        for m in MONTHS
        for stat in STATS
    ]
    + [f"{table}_records_count_{m}m" for table in TABLES for m in MONTHS]
    + [f"{table}_records_days_since" for table in TABLES]
)

Way = Callable[[Path], tuple[Callable[[], Any], Callable[[Any], np.ndarray]]]


def write_tables(n_households: int, folder: Path) -> int:
    """Write the tables of a district for every way; return the number of events.

    ``contract/`` holds the tables as riskml reads them, in the order of households and days, ``shuffled/`` the same
    without any order, ``store/`` the same as riskml writes them, ``lines/`` the events as the rivals get them.
    """
    from riskml import Monitoring
    from riskml.features.records import known_records
    from riskml.tables.reading import write_monitoring

    tables = generated(n_households)
    for part in ("contract", "shuffled", "lines"):
        (folder / part).mkdir(parents=True)
    data = Monitoring(tables, welfare_months=12, max_age_months=24)
    for name, frame in tables.items():
        frame.to_parquet(folder / "contract" / f"{name}.parquet", index=False)
        frame.sample(frac=1, random_state=0).to_parquet(folder / "shuffled" / f"{name}.parquet", index=False)
    for name, (_, columns) in TABLES.items():
        records = known_records(data, name)
        assert records is not None
        records = records.assign(household=data.household_ids.get_indexer(records["household_id"]).astype(np.int32))
        records = records[["household", "household_id", "date", "known_on", *columns]]
        records.to_parquet(folder / "lines" / f"{name}.parquet", index=False)
    write_monitoring(data, folder / "store")
    np.save(folder / "n_households.npy", n_households)
    return sum(len(tables[name]) for name in TABLES)


def generated(n_households: int) -> dict[str, pd.DataFrame]:
    """Return the tables of a district whose events are spread over five years."""
    rng = np.random.default_rng(0)
    ids = np.array([f"H{number:07d}" for number in range(n_households)])
    areas = [f"52{number * 100 // n_households:04d}" for number in range(n_households)]
    years = pd.date_range("2018-12-31", "2022-12-31", freq="YE")
    tables = {
        "households": pd.DataFrame({"household_id": ids, "area_id": areas, "known_on": pd.Timestamp("2018-12-31")}),
        "lines": pd.DataFrame(
            {"area_id": ["52"], "valid_from": [pd.Timestamp("2018-01-01")], "amount": [4000.0], "unit": ["person_year"]}
        ),
        "welfare": pd.DataFrame(
            {"household_id": np.repeat(ids, len(years)), "months": 12.0, "value": 9000.0, "units": 1.0}
        ).assign(date=np.tile(years, n_households), known_on=np.tile(years, n_households)),
    }
    for name, (n_events, columns) in TABLES.items():
        n = n_households * n_events
        if name == "incomes":  # one a household and month
            household = np.repeat(np.arange(n_households), n_events)
            month = rng.random((n_households, 60)).argsort(axis=1)[:, :n_events].ravel()
            date = np.datetime64("2019-02") + month.astype("timedelta64[M]") - np.timedelta64(1, "D")
        else:
            household, date = rng.integers(0, n_households, n), np.datetime64("2019-01-01") + rng.integers(0, 1826, n)
        known_on = date + np.where(rng.random(n) < LATE, rng.integers(0, 396, n), rng.integers(0, 20, n))
        order = np.lexsort([known_on, date, household])
        events = {"household_id": ids[household[order]], "date": date[order], "known_on": known_on[order]}
        number = np.char.zfill(np.arange(n).astype(str), 8)
        more: dict[str, dict[str, Any]] = {
            "incomes": {"months": 1.0, "units": 3.0},
            "schooling": {"member_id": number},
            "disasters": {"record_id": number, "kind": "flood"},
        }
        events |= more.get(name, {"record_id": number})
        tables[name] = pd.DataFrame({**events, **{column: rng.gamma(2, 300, n) for column in columns}})
    return tables


def riskml_from_frames(folder: Path, order: str = "contract") -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Let riskml check and type raw tables, measure their amounts in lines and compute."""
    from riskml import Monitoring, feature_table

    features = _compiled_features()
    raw = {path.stem: pd.read_parquet(path) for path in sorted((folder / order).glob("*.parquet"))}
    return lambda: feature_table(Monitoring(raw, **_WELFARE), DATES, features=features), _by_household_and_date


def riskml_from_shuffled_frames(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Do the same from tables whose rows are in no order."""
    return riskml_from_frames(folder, "shuffled")


def riskml_from_monitoring(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Let riskml compute from tables it has checked before."""
    from riskml import Monitoring, feature_table

    features = _compiled_features()
    raw = {path.stem: pd.read_parquet(path) for path in sorted((folder / "contract").glob("*.parquet"))}
    data = Monitoring(raw, **_WELFARE)
    return lambda: feature_table(data, DATES, features=features), _by_household_and_date


def by_pandas(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Group by a categorical household, one group-by a date, table and window, sums for the slope."""
    tables, n_households = _lines(folder)
    for name, frame in tables.items():
        household = pd.Categorical.from_codes(frame["household"], categories=range(n_households))
        tables[name] = frame.assign(household=household).drop(columns="household_id")

    def block(day: pd.Timestamp) -> pd.DataFrame:
        found: dict[str, pd.Series] = {}
        for table, (_, columns) in TABLES.items():
            known = tables[table][tables[table]["known_on"] < day]
            x = (known["date"] - day).dt.days / 365.25
            products = {f"x{c}": x * known[c] for c in columns}
            known = known.assign(x=x, xx=x * x, **products)
            last = known.groupby("household", observed=False)["date"].max()
            found[f"{table}_records_days_since"] = (day - last).dt.days
            for months in MONTHS:
                grouped = known[known["date"] >= day - pd.DateOffset(months=months)].groupby(
                    "household", observed=False
                )
                values, sums, n = grouped[list(columns)], grouped[["x", "xx", *products]].sum(), grouped.size()
                total, mean, highest, spread = values.sum(), values.mean(), values.max(), values.std()
                below = sums["xx"] - sums["x"] ** 2 / n
                found[f"{table}_records_count_{months}m"] = n
                for c in columns:
                    slope = ((sums[f"x{c}"] - sums["x"] * mean[c]) / below).where(below > 1e-9)
                    for stat, value in zip(STATS, (total[c], mean[c], highest[c], spread[c], slope), strict=True):
                        found[f"{table}_{c}_{stat}_{months}m"] = value
        return pd.DataFrame(found)

    def as_array(X: pd.DataFrame) -> np.ndarray:
        return _blocks(n_households)([X.loc[day] for day in DATES])

    return lambda: pd.concat([block(day) for day in DATES], keys=DATES), as_array


def by_duckdb(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Ask one query a date; windows as columns that are NULL outside (cheaper than FILTER), text household ids."""
    return _duckdb(folder, "household_id")


def by_duckdb_numbers(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Ask the same of tables with one whole number a household."""
    return _duckdb(folder, "household")


def by_polars(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Group by a whole number, one lazy query a date; windows as columns that are null outside."""
    import polars as pl

    n_households = _lines(folder)[1]
    households = pl.LazyFrame({"household": np.arange(n_households, dtype=np.int32)})
    tables = {
        name: pl.read_parquet(folder / "lines" / f"{name}.parquet")
        .drop("household_id")
        .with_columns(pl.col("date", "known_on").cast(pl.Date))
        .rechunk()
        for name in TABLES
    }

    def block(day: pd.Timestamp) -> pl.DataFrame:
        joined, today = households, pl.lit(day.date())
        for table, (_, columns) in TABLES.items():
            edges = {m: pl.col("date") >= pl.lit((day - pd.DateOffset(months=m)).date()) for m in MONTHS}
            x = (pl.col("date") - today).dt.total_days() / 365.25
            known = tables[table].lazy().filter(pl.col("known_on") < today).with_columns(x=x)
            inside = [
                pl.when(edge).then(pl.col(c)).alias(f"{c}{m}") for m, edge in edges.items() for c in (*columns, "x")
            ]
            known = known.with_columns(inside)
            products = [(pl.col("x") * pl.col(f"{c}{m}")).alias(f"x{c}{m}") for m in MONTHS for c in (*columns, "x")]
            asked = [(today - pl.col("date").max()).dt.total_days().alias(f"{table}_records_days_since")]
            for m in MONTHS:
                n, sx = pl.col(f"x{m}").count(), pl.col(f"x{m}").sum()
                below = pl.col(f"xx{m}").sum() - sx * sx / n
                asked.append(n.alias(f"{table}_records_count_{m}m"))
                for c in columns:
                    y = pl.col(f"{c}{m}")
                    slope = pl.when(below > 1e-9).then((pl.col(f"x{c}{m}").sum() - sx * y.mean()) / below)
                    values = (y.sum(), y.mean(), y.max(), y.std(), slope)
                    asked += [
                        value.alias(f"{table}_{c}_{stat}_{m}m") for stat, value in zip(STATS, values, strict=True)
                    ]
            joined = joined.join(
                known.with_columns(products).group_by("household").agg(asked), on="household", how="left"
            )
        return joined.collect()

    def as_array(blocks: list[pl.DataFrame]) -> np.ndarray:
        return _blocks(n_households)([block.to_pandas().set_index("household") for block in blocks])

    return lambda: [block(day) for day in DATES], as_array


def by_featuretools(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Let featuretools take cutoff times, one call a window; ``date`` is its time index, ``known_on`` its second."""
    import featuretools as ft

    warnings.filterwarnings("ignore")
    tables, n_households = _lines(folder)
    entities = ft.EntitySet("district")
    households = pd.DataFrame({"household": np.arange(n_households)})
    entities.add_dataframe(households, "households", index="household")
    for name, (_, columns) in TABLES.items():
        frame = tables[name].drop(columns="household_id").assign(record=np.arange(len(tables[name])))
        second = {"known_on": list(columns)}
        entities.add_dataframe(frame, name, index="record", time_index="date", secondary_time_index=second)
        entities.add_relationship("households", "household", name, "household")
    cutoffs = pd.DataFrame({"household": np.repeat(np.arange(n_households), len(DATES))})
    cutoffs["time"] = np.tile(DATES, n_households)
    statistics = ["sum", "mean", "max", "std", "trend"]

    def compute(months: int | None, primitives: list[str]) -> pd.DataFrame:
        return ft.dfs(
            entityset=entities,
            target_dataframe_name="households",
            cutoff_time=cutoffs,
            training_window=None if months is None else f"{months} months",
            include_cutoff_time=False,
            agg_primitives=primitives,
            trans_primitives=[],
            max_depth=1,
            cutoff_time_in_index=True,
        )[0]

    def run() -> dict[int | None, pd.DataFrame]:
        return {m: compute(m, [*statistics, "count"]) for m in MONTHS} | {None: compute(None, ["time_since_last"])}

    def as_array(found: dict[int | None, pd.DataFrame]) -> np.ndarray:
        # It counts records before they are known: counts and recency are not compared.
        values = {}
        for months in MONTHS:
            for table, (_, columns) in TABLES.items():
                for c in columns:
                    for stat in STATS[:4]:
                        values[f"{table}_{c}_{stat}_{months}m"] = found[months][f"{stat.upper()}({table}.{c})"]
                    values[f"{table}_{c}_slope_{months}m"] = found[months][f"TREND({table}.{c}, date)"] * 365.25
        return _by_household_and_date(pd.DataFrame(values))

    return run, as_array


WAYS: dict[str, Way] = {
    "riskml, tables checked before": riskml_from_monitoring,
    "riskml, from raw tables": riskml_from_frames,
    "riskml, from raw tables in no order": riskml_from_shuffled_frames,
    "pandas": by_pandas,
    "DuckDB SQL": by_duckdb,
    "DuckDB SQL, households as numbers": by_duckdb_numbers,
    "Polars": by_polars,
    "featuretools": by_featuretools,
}


def riskml_scores(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Let riskml read tables from Parquet, check them and compute the features of one date."""
    from riskml import feature_table, read_monitoring

    features = _compiled_features()
    return lambda: feature_table(read_monitoring(folder / "store"), DATES[-1:], features=features), np.asarray


def duckdb_reads(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Let DuckDB read the same files into Arrow tables."""
    return _scans(folder, "SELECT * FROM '{path}'")


def duckdb_scans(folder: Path) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    """Let DuckDB look at every value of the same files and keep nothing."""
    return _scans(folder, "SELECT max(COLUMNS(*)) FROM '{path}'")


#: One date: from files in order to features, beside the bare reading of the same files.
SCORING: dict[str, Way] = {
    "riskml, read, check and compute one date": riskml_scores,
    "DuckDB, read into Arrow": duckdb_reads,
    "DuckDB, greatest value of every column": duckdb_scans,
}


def _scans(folder: Path, query: str) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    queries = [query.format(path=path) for path in sorted((folder / "store").glob("*.parquet"))]
    return lambda: [connection.sql(text).to_arrow_table() for text in queries], np.asarray


_WELFARE: dict[str, Any] = {"welfare_months": 12, "max_age_months": 24}


def _compiled_features() -> tuple[Any, ...]:
    """Return the declarations, after a first call on a few households has loaded the compiled code."""
    from riskml import Monitoring, Window, feature_table

    amounts = [
        Window(table, c, months=MONTHS, stats=STATS, cause="other") for table, (_, cs) in TABLES.items() for c in cs
    ]
    records = [Window(table, None, months=MONTHS, stats=("count", "days_since"), cause="other") for table in TABLES]
    features = (*amounts, *records)
    feature_table(Monitoring(generated(50), **_WELFARE), DATES, features=features)
    return features


def _lines(folder: Path) -> tuple[dict[str, pd.DataFrame], int]:
    tables = {name: pd.read_parquet(folder / "lines" / f"{name}.parquet") for name in TABLES}
    return tables, int(np.load(folder / "n_households.npy"))


def _by_household_and_date(X: pd.DataFrame) -> np.ndarray:
    """Return the values ordered by household, date and the names of :data:`COLUMNS`, NaN for names it lacks."""
    return X.sort_index().reindex(columns=list(COLUMNS)).to_numpy(dtype=np.float64)


def _blocks(n_households: int) -> Callable[[list[pd.DataFrame]], np.ndarray]:
    """Return the function that stacks one block a date; empty sums and counts are 0, as riskml has them."""
    zero = np.array(["_sum_" in name or "_count_" in name for name in COLUMNS])

    def stacked(blocks: list[pd.DataFrame]) -> np.ndarray:
        out = np.empty((n_households, len(DATES), len(COLUMNS)))
        for i, block in enumerate(blocks):
            block = block.reindex(index=range(n_households), columns=list(COLUMNS))
            values = block.to_numpy(dtype=np.float64, na_value=np.nan)
            out[:, i] = np.where(zero & np.isnan(values), 0.0, values)
        return out.reshape(-1, len(COLUMNS))

    return stacked


def _duckdb(folder: Path, key: str) -> tuple[Callable[[], Any], Callable[[Any], np.ndarray]]:
    import duckdb

    ids = pd.read_parquet(folder / "contract" / "households.parquet", columns=["household_id"])
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.register("ids", ids.assign(household=np.arange(len(ids))))
    connection.execute(f"CREATE TABLE households AS SELECT {key} FROM ids")
    for name, (_, columns) in TABLES.items():
        amounts = ", ".join(columns)
        connection.execute(
            f"CREATE TABLE {name} AS SELECT {key}, date::DATE AS date, known_on::DATE AS known_on, {amounts} "
            f"FROM '{folder}/lines/{name}.parquet' ORDER BY {key}, date"
        )
    number = pd.Index(ids["household_id"]) if key == "household_id" else None

    def as_array(blocks: list[dict[str, np.ndarray]]) -> np.ndarray:
        frames = []
        for block in blocks:
            values = {name: np.ma.filled(block[name].astype(np.float64), np.nan) for name in COLUMNS}
            index = block[key] if number is None else number.get_indexer(pd.Index(block[key]))
            frames.append(pd.DataFrame(values, index=index))
        return _blocks(len(ids))(frames)

    return lambda: [connection.execute(_sql(day, key)).fetchnumpy() for day in DATES], as_array


def _sql(day: pd.Timestamp, key: str) -> str:
    """Return the query of a date."""
    return f"SELECT * FROM households {' '.join(f'LEFT JOIN ({part}) USING ({key})' for part in _parts(day, key))}"


def _parts(day: pd.Timestamp, key: str) -> Iterator[str]:
    today = f"DATE '{day:%Y-%m-%d}'"
    edges = {m: f"DATE '{day - pd.DateOffset(months=m):%Y-%m-%d}'" for m in MONTHS}
    for table, (_, columns) in TABLES.items():
        inside = [f"CASE WHEN date >= {edge} THEN {c} END AS {c}{m}" for m, edge in edges.items() for c in columns]
        asked = [f"date_diff('day', max(date), {today}) AS {table}_records_days_since"]
        for m, edge in edges.items():
            asked.append(f"count(*) FILTER (date >= {edge}) AS {table}_records_count_{m}m")
            for c in columns:
                y = f"{c}{m}"
                calls = (f"sum({y})", f"avg({y})", f"max({y})", f"stddev_samp({y})", f"regr_slope({y}, x)")
                asked += [f"{call} AS {table}_{c}_{stat}_{m}m" for stat, call in zip(STATS, calls, strict=True)]
        known = (
            f"SELECT {key}, date, date_diff('day', {today}, date) / 365.25 AS x, {', '.join(inside)} "
            f"FROM {table} WHERE known_on < {today}"
        )
        yield f"SELECT {key}, {', '.join(asked)} FROM ({known}) GROUP BY {key}"
