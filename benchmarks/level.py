"""Why risks are too high on later dates: ``python benchmarks/level.py --folder PLACE [--write]``.

Learned from what was known after 36 of 72 months, asked on the last four as-of dates, a quarter apart. The true risk is
known there, so that an error splits into what the model got wrong, log(true / predicted), and what the shared shocks of
the year added, log(returned / true), which no model can know. Each seed and choice of features is kept in the folder
and not computed again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from results import machine, markdown, publish

from riskml import STANDARD, RiskClassifier, Season, cohort, outcome_welfare, training_dates, training_set
from riskml.datasets import make_monitoring

N_HOUSEHOLDS, N_MONTHS, TRAINED_ON, N_DRAWS = 3000, 72, 36, 20
#: Name -> the columns a model gets.
CHOICES = {
    "standard": lambda names: [name for name in names if not name.startswith("season_")],
    "with the season": list,
}


def main() -> None:
    """Measure the seeds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where finished seeds are kept")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found = pd.concat([_kept(arguments.folder, seed) for seed in range(1, arguments.seeds + 1)])
    said = (
        f"{N_HOUSEHOLDS:,} households in two counties, {arguments.seeds} seeds, a year ahead; learned from what was "
        f"known after {TRAINED_ON} months, asked on the last four of {N_MONTHS} months' as-of dates. Model: log(true "
        "risk / predicted), mean over seeds with its standard error; of the January date; of the other three; size by "
        "county. Chance: size of log(returned / true risk) by county, the shocks of the year that households share: "
        "what an error by county is even where every risk is right. Log loss: expected under the true risk."
    )
    parts = ["## Level on later dates", f"`python benchmarks/level.py --folder PLACE --seeds {arguments.seeds}`. "]
    parts[1] += machine()
    publish("level", "\n\n".join([*parts, said, markdown(table(found))]), write=arguments.write)


def table(found: pd.DataFrame) -> list[list[str]]:
    """Return the rows of the table from those of :func:`measured`."""
    rows = [["features", "model", "January", "other dates", "model by county", "chance by county", "log loss"]]
    for name, own in found.groupby("features", sort=False):
        january = own["as_of_date"].dt.month == 1
        by_county = _error(own, ["seed", "county"], "true", "predicted").abs()
        chance = _error(own, ["seed", "county"], "returned", "true").abs()
        loss = own.groupby("seed")["loss"].sum() / own.groupby("seed")["n"].sum()
        rows.append(
            [
                str(name),
                _with_error(_error(own, ["seed"], "true", "predicted")),
                _with_error(_error(own[january], ["seed"], "true", "predicted")),
                _with_error(_error(own[~january], ["seed"], "true", "predicted")),
                f"{by_county.mean():.2f}",
                f"{chance.mean():.2f}",
                f"{loss.mean():.5f}",
            ]
        )
    return rows


def measured(seed: int, *, n_households: int = N_HOUSEHOLDS) -> pd.DataFrame:
    """Return sums of outcomes, true and predicted risks by choice of features, as-of date and county."""
    data = make_monitoring(n_households, n_months=N_MONTHS, random_state=seed)
    dates = training_dates(data, horizon_months=12)
    X, y = training_set(data, dates, horizon_months=12, features=(*STANDARD, Season()))
    welfare = outcome_welfare(data, X.index, horizon_months=12)
    day = X.index.get_level_values("as_of_date")
    past = day + pd.DateOffset(months=12) <= data.truth.first_day + pd.DateOffset(months=TRAINED_ON)
    asked = day.isin(dates[-4:])
    true = data.truth.risk(dates[-4:], n_draws=N_DRAWS)["risk"].loc[X.index[asked]]
    county = cohort(data, dates[-4:])["area_id"].loc[true.index].str[:6]
    rows = []
    for name, chosen in CHOICES.items():
        columns = chosen(list(X.columns))
        model = RiskClassifier().fit(X.loc[past, columns], y[past], outcome_welfare=welfare[past])
        risk = model.predict_risk(X.loc[asked, columns])
        loss = -(true * np.log(risk) + (1 - true) * np.log1p(-risk))
        every = pd.DataFrame({"n": 1.0, "returned": y[asked], "true": true, "predicted": risk, "loss": loss})
        rows.append(every.groupby(["as_of_date", county.rename("county")]).sum().reset_index().assign(features=name))
    return pd.concat(rows).assign(seed=seed)


def _kept(folder: Path, seed: int) -> pd.DataFrame:
    path = folder / f"level_{seed}.parquet"
    if not path.exists():
        measured(seed).to_parquet(path)
    return pd.read_parquet(path)


def _error(rows: pd.DataFrame, keys: list[str], what: str, against: str) -> pd.Series:
    """Return log(what / against) of the sums of each group."""
    sums = rows.groupby(keys)[[what, against]].sum()
    return np.log(sums[what] / sums[against])


def _with_error(values: pd.Series) -> str:
    return f"{values.mean():+.2f} ± {values.std() / np.sqrt(len(values)):.2f}"


if __name__ == "__main__":
    main()
