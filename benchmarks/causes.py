"""Whether the causes named are those behind a return: ``python benchmarks/causes.py [--write]``.

In simulated counties it is known without which shocks a household would not have returned (``data.truth.shocks``).
Of the test rows that returned, the set of causes that each way names is held against that set, by F1 over all pairs of
household and cause. Ways: the causes riskml names by points; those of which it says that an adverse record is on file;
the largest sums of Shapley values; the globally most important causes, copied to every household; what the same
features tell a learner that was taught the truth of the other counties, which no office has; and the ceiling: who knows
the law of the county, its true state and past, and of the future only its chances.

Counties are kept in ``--keep`` as they are finished; run again after a stop, the command goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import pickle
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from results import machine, markdown, publish

import riskml.explanation.contributions
from riskml import RiskClassifier, backtest_sets, cohort, explain, feature_dictionary, outcome_welfare
from riskml.datasets import make_monitoring
from riskml.explanation.on_file import on_file
from riskml.skill.bootstrap import cluster_draws, interval

#: Reported; rules were looked at on counties 11 to 14 only.
SEEDS = (1, 2, 3, 4, 5)
N_HOUSEHOLDS, N_FUTURES, N_DRAWS = 2000, 100, 1000
PAST = "all shocks before the day"


def main() -> None:
    """Measure every county, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument(
        "--keep", type=Path, default=Path(__file__).with_name(".skill") / "causes", help="folder of finished counties"
    )
    parser.add_argument("--households", type=int, default=N_HOUSEHOLDS)
    arguments = parser.parse_args()
    counties = {seed: kept(arguments.keep, seed, arguments.households) for seed in SEEDS}
    publish("causes", page(counties, arguments.households), write=arguments.write)


def kept(folder: Path, seed: int, n_households: int) -> dict[str, pd.DataFrame]:
    """Return what a county shows, from the folder if it is there and was made by the same code."""
    code = "".join(inspect.getsource(part) for part in (county, riskml.explanation.contributions))
    digest = hashlib.sha256(f"{code}{seed}{n_households}{N_FUTURES}".encode()).hexdigest()[:12]
    path = folder / f"county-{seed}-{digest}.pickle"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".part").write_bytes(pickle.dumps(county(seed, n_households)))
        path.with_suffix(".part").replace(path)
    return pickle.loads(path.read_bytes())  # written by this program


def county(seed: int, n_households: int) -> dict[str, pd.DataFrame]:
    """Return the test rows of a county that returned: needed shocks, what each way names, features, villages."""
    data = make_monitoring(n_households, n_months=48, random_state=seed)
    test_from = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1) - pd.DateOffset(months=15)
    X_train, y_train, X_test, _ = backtest_sets(data, test_from=test_from, horizon_months=12)
    needed = data.truth.shocks(X_test.index).astype(bool)
    before = data.truth.shocks(X_test.index, before_only=True).astype(bool)
    welfare = outcome_welfare(data.known_by(test_from), X_train.index, horizon_months=12)
    model = RiskClassifier().fit(X_train, y_train, outcome_welfare=welfare)
    X = X_test.loc[needed.index]
    why = explain(model, X)
    village = cohort(data, X.index.unique("as_of_date")).loc[X.index, "area_id"]
    shap = why.by_cause()[list(needed)]
    overall = explain(model, X_train[:: max(len(X_train) // 2000, 1)])
    importance = overall.by_cause().abs().mean()[list(needed)]
    named = why.top_causes().to_numpy()
    return {
        "needed": needed,
        "past": needed.eq(before).all(axis=1).where(needed.drop(columns="income").any(axis=1), False).to_frame(PAST),
        "likely": data.truth.likely_shocks(needed.index, n_draws=N_FUTURES),
        "X": X,
        "village": village.to_frame("village"),
        "riskml": pd.DataFrame({cause: (named == cause).any(axis=1) for cause in needed}, index=needed.index),
        "shap": _largest(shap, 3),
        "global": _largest(pd.DataFrame([importance] * len(X), index=X.index), 3),
    }


def recorded(X: pd.DataFrame) -> pd.DataFrame:
    """Return of which causes riskml says that an adverse record is on file; income where of none."""
    found = on_file(X, feature_dictionary())
    return found.assign(income=~found.any(axis=1))


def best_set(chance: pd.DataFrame) -> pd.DataFrame:
    """Return the sets of the highest F1 to expect, given the chance of each pair.

    They hold the pairs whose chance is at least half of that F1 (Lipton, Elkan and Naryanaswamy 2014, "Optimal
    thresholding of classifiers to maximize F1 measure"). Nothing of the outcome is looked at.
    """
    chance = chance.fillna(chance.mean())
    falling = np.sort(chance.to_numpy().ravel())[::-1]
    expected = 2 * falling.cumsum() / (np.arange(1, len(falling) + 1) + falling.sum())
    return chance >= falling[expected.argmax()]


def taught(counties: dict[int, dict[str, pd.DataFrame]]) -> dict[int, pd.DataFrame]:
    """Return for each county what its features tell a learner that knows the needed shocks of the others."""
    settings = {"objective": "binary", "num_leaves": 6, "min_data_in_leaf": 15, "learning_rate": 0.05, "verbose": -1}
    settings |= {"feature_fraction": 0.3, "lambda_l2": 5.0, "num_threads": 1, "seed": 0, "deterministic": True}
    told = {}
    for seed, one in counties.items():
        others = [other for number, other in counties.items() if number != seed]
        X, needed = (pd.concat([other[name] for other in others]) for name in ("X", "needed"))
        chance = pd.DataFrame(index=one["X"].index)
        for cause in needed:
            data = lgb.Dataset(X.to_numpy(), needed[cause].astype(float).to_numpy())
            chance[cause] = lgb.train(settings, data, 80).predict(one["X"].to_numpy())
        told[seed] = best_set(chance)
    return told


def f1(named: np.ndarray, needed: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return ``2 |named and needed| / (|named| + |needed|)`` over all pairs, rows weighted."""
    weight = np.ones(len(needed)) if weight is None else weight
    both, either = ((pairs * weight[:, None]).sum() for pairs in (named & needed, named * 1.0 + needed))
    return float(2 * both / either)


def page(counties: dict[int, dict[str, pd.DataFrame]], n_households: int) -> str:
    """Return the section: F1 by way, over all returns and over those whose shocks all lay before the day."""
    ways = {
        "riskml: causes named (`cause_1` to `cause_3`)": {seed: one["riskml"] for seed, one in counties.items()},
        "riskml: adverse records on file (`on_file`; income where there is none)": {
            seed: recorded(one["X"])[list(one["needed"])] for seed, one in counties.items()
        },
        "the three largest sums of SHAP values": {seed: one["shap"] for seed, one in counties.items()},
        "the three globally most important causes": {seed: one["global"] for seed, one in counties.items()},
        "the features, taught the truth of the other counties": taught(counties),
        "ceiling: true law, state and past known": {seed: best_set(one["likely"]) for seed, one in counties.items()},
    }
    needed = pd.concat([one["needed"] for one in counties.values()]).to_numpy()
    past = pd.concat([one["past"] for one in counties.values()])[PAST].to_numpy(dtype=bool)
    villages = np.concatenate([f"{seed}/" + one["village"]["village"].astype(str) for seed, one in counties.items()])
    draws = cluster_draws(villages, len(villages), N_DRAWS, seed=0)
    rows = [["way", "causes a return", "F1, all returns", "by county", f"F1, {PAST}"]]
    for name, sets in ways.items():
        named = pd.concat(list(sets.values())).to_numpy(dtype=bool)
        each = [f1(sets[seed].to_numpy(dtype=bool), one["needed"].to_numpy()) for seed, one in counties.items()]
        whole = _with_interval(named, needed, draws)
        known = _with_interval(named[past], needed[past], draws[:, past])
        rows.append([name, f"{named.sum(axis=1).mean():.1f}", whole, f"{min(each):.2f} to {max(each):.2f}", known])
    share = np.mean([len(one["needed"]) for one in counties.values()])
    said = (
        f"{len(counties)} simulated counties of {n_households:,} households (seeds {min(counties)} to "
        f"{max(counties)}), {share:.0f} test rows a county that returned, each needing {needed.sum(axis=1).mean():.2f} "
        f"causes ({(needed.sum(axis=1) == 0).mean():.0%} none alone). F1 over all pairs of return and cause, with 95 % "
        f"intervals from {N_DRAWS:,} draws of whole villages. *{PAST}*: the {past.mean():.0%} of returns in which "
        "the same causes are needed if only shocks before the as-of date are taken out; of the others an explanation "
        f"made on the day cannot know. The ceiling draws {N_FUTURES} futures of each household and names the causes "
        "with the best F1 to expect."
    )
    return "\n\n".join(["## Causes", f"`python benchmarks/causes.py`. {machine()} {said}", markdown(rows)])


def _largest(parts: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return which causes have the n largest parts of their row."""
    return parts.rank(axis=1, method="first", ascending=False) <= n


def _with_interval(named: np.ndarray, needed: np.ndarray, draws: np.ndarray) -> str:
    both, either = (named & needed).sum(axis=1), named.sum(axis=1) + needed.sum(axis=1)
    low, high = interval(2 * (draws @ both) / (draws @ either))
    return f"{f1(named, needed):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
