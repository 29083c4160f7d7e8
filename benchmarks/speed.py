"""How fast the parts are, beside the usual ways: ``python benchmarks/speed.py [features] [learn] [explain] [--write]``.

Every way runs in turn, ``--times`` times, on the same data in this process; shown are medians of CPU seconds (all
threads) and ratios. Values are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Mapping

import duckdb
import lightgbm as lgb
import numpy as np
import pandas as pd
from results import machine, markdown, publish

from riskml import Monitoring, RiskClassifier, Window, explain, feature_table, training_set
from riskml.datasets import make_monitoring
from riskml.explanation.shapley import prepare, shapley_values
from riskml.features.panel import training_dates
from riskml.model.booster_text import trees_of
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


def shapley(n_rows: int, times: int) -> str:
    """Time Shapley values of a large booster by riskml, LightGBM, shap and woodelf, each on one thread."""
    booster, X = _large_booster(n_rows)
    few, many, compared = X[:1000], X[:n_rows], X[-100:]
    trees = trees_of(booster)
    by_paths, by_rows = prepare(trees), prepare(trees, compared)
    ways: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        "LightGBM pred_contrib": (lambda: _pred_contrib(booster, few), len(few)),
        "riskml": (lambda: shapley_values(by_paths, few, n_jobs=1), len(few)),
        "riskml, tables made anew": (lambda: shapley_values(prepare(trees), few, n_jobs=1), len(few)),
        "riskml, more rows": (lambda: shapley_values(by_paths, many, n_jobs=1), n_rows),
        "riskml, two threads": (lambda: shapley_values(by_paths, many, n_jobs=2), n_rows),
        "riskml, one row": (lambda: shapley_values(by_paths, X[:1], n_jobs=1), 1),
        "LightGBM pred_contrib, one row": (lambda: _pred_contrib(booster, X[:1]), 1),
        "riskml, background": (lambda: shapley_values(by_rows, few, n_jobs=1), len(few)),
        "riskml, background, tables made anew": (
            lambda: shapley_values(prepare(trees, compared), few, n_jobs=1),
            len(few),
        ),
        "riskml, background, more rows": (lambda: shapley_values(by_rows, many, n_jobs=1), n_rows),
        "riskml, background, one row": (lambda: shapley_values(by_rows, X[:1], n_jobs=1), 1),
    }
    expected = {False: _pred_contrib(booster, few), True: ways["riskml, background"][0]()}
    np.testing.assert_allclose(ways["riskml"][0](), expected[False], rtol=0, atol=1e-12)
    others = _by_shap(booster, X, compared)
    if importlib.util.find_spec("woodelf"):
        others |= _by_woodelf(booster, few, many, compared)
    for name, (way, _) in others.items():
        given = way()
        # shap and woodelf keep thresholds or counts in 32 bits.
        np.testing.assert_allclose(given[:20], expected["background" in name][:20], rtol=0, atol=1e-4)
    ways |= others
    spent = _medians({name: way for name, (way, _) in ways.items()}, times)
    first = spent["LightGBM pred_contrib"][0] / len(few)
    rows = [["way", "rows a call", "CPU ms a call", "wall ms a call", "CPU us a row", "rows a CPU second to the first"]]
    for name, (cpu, wall) in spent.items():
        n = ways[name][1]
        times_first = f"{first / (cpu / n):.1f}"
        rows.append([name, f"{n:,}", f"{1e3 * cpu:.2f}", f"{1e3 * wall:.2f}", f"{1e6 * cpu / n:.1f}", times_first])
    said = (
        f"{len(trees.first_node) - 1} trees of up to 31 leaves and depth 8 on {X.shape[1]} features, 20 % missing; a "
        f"background is {len(compared)} rows. Tables take {by_paths.cells.nbytes / 1e6:.0f} MB. Path-dependent values "
        "agree with pred_contrib to 1e-12, those of shap and woodelf with riskml's to 1e-4."
    )
    return f"{said}\n\n{markdown(rows)}"


PARTS = {"features": features, "learn": learn, "explain": shapley}


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


def _large_booster(n_rows: int) -> tuple[lgb.Booster, np.ndarray]:
    """Return a booster of 300 trees of 31 leaves, and rows that it did not learn from."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000 + max(n_rows, 1000), 150))
    X[rng.random(X.shape) < 0.2] = np.nan
    known = np.nan_to_num(X[:20_000])
    log_odds = known[:, :30] @ rng.normal(0, 0.5, 30) + known[:, 30] * known[:, 31] + 0.1 * known[:, 50:].sum(axis=1)
    y = rng.random(len(known)) < 1 / (1 + np.exp(-log_odds))
    settings = {"objective": "binary", "num_leaves": 31, "max_depth": 8, "learning_rate": 0.05, "feature_fraction": 0.5}
    settings |= {"num_threads": 1, "verbose": -1, "seed": 0, "deterministic": True, "force_row_wise": True}
    booster = lgb.train(settings, lgb.Dataset(X[:20_000], y.astype(float)), 300)
    # The shap package asks the booster for its objective.
    booster.params["objective"] = "binary"
    return booster, X[20_000:]


def _pred_contrib(booster: lgb.Booster, X: np.ndarray) -> np.ndarray:
    return booster.predict(X, pred_contrib=True, num_threads=1)[:, :-1]


def _by_shap(booster: lgb.Booster, X: np.ndarray, compared: np.ndarray) -> dict:
    import shap

    paths = shap.TreeExplainer(booster)
    rows = shap.TreeExplainer(booster, data=compared, feature_perturbation="interventional")
    return {
        "shap (asks pred_contrib)": (lambda: paths.shap_values(X[:1000], check_additivity=False), 1000),
        "shap, background": (lambda: rows.shap_values(X[:20], check_additivity=False), 20),
    }


def _by_woodelf(booster: lgb.Booster, few: np.ndarray, many: np.ndarray, compared: np.ndarray) -> dict:
    from woodelf import WoodelfExplainer

    few, many, compared = (pd.DataFrame(rows, columns=booster.feature_name()) for rows in (few, many, compared))
    paths, rows = WoodelfExplainer(booster), WoodelfExplainer(booster, compared)
    return {
        "woodelf": (lambda: paths.shap_values(few, verbose=False), len(few)),
        "woodelf, more rows": (lambda: paths.shap_values(many, verbose=False), len(many)),
        "woodelf, background": (lambda: rows.shap_values(few, verbose=False), len(few)),
        "woodelf, background, more rows": (lambda: rows.shap_values(many, verbose=False), len(many)),
    }


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
