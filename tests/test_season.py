"""The time of the year as a feature: what it says, and that a model with it no longer takes a harvest for recovery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import riskml as rk
from riskml.datasets import make_monitoring

DAYS = pd.to_datetime(["2022-01-01", "2022-04-01", "2022-07-02", "2022-10-01", "2022-12-31", "2024-01-01"])


def test_the_season_goes_round_once_a_year_and_is_the_same_for_everybody() -> None:
    data = make_monitoring(30, n_months=40, random_state=0)
    X = rk.feature_table(data, DAYS, features=(rk.Season(),))
    day = X.index.get_level_values("as_of_date")
    assert (X.groupby(day).nunique() == 1).all().all()
    winter, spring = (X.groupby(day)[name].first() for name in ("season_winter", "season_spring"))
    assert (winter**2 + spring**2).to_numpy() == pytest.approx(np.ones(len(DAYS)))
    assert winter.to_numpy() == pytest.approx([1, 0, -1, 0, 1, 1], abs=0.03)
    assert spring.to_numpy() == pytest.approx([0, 1, 0, -1, 0, 0], abs=0.03)
    assert spring.iloc[4] < 0 < spring.iloc[1]


def test_with_the_season_a_model_no_longer_takes_a_harvest_for_recovery() -> None:
    """Risk follows lasting income; that of three months is higher by a third after a harvest, to nobody's good."""
    days, n = pd.date_range("2019-01-01", periods=16, freq="QS"), 500
    rng = np.random.default_rng(0)
    seen = make_monitoring(20, n_months=56, random_state=0, start="2018-06-01")
    season = rk.feature_table(seen, days, features=(rk.Season(),)).groupby("as_of_date").first()
    lasting = np.repeat(rng.uniform(1, 3, n), len(days))
    index = pd.MultiIndex.from_product([[f"H{i:03d}" for i in range(n)], days], names=["household_id", "as_of_date"])
    day = index.get_level_values("as_of_date")
    income = lasting * np.where(day.month == 1, 1.35, 1) * np.exp(0.1 * rng.normal(size=len(index)))
    X = pd.DataFrame(
        {"income_mean_3m": income, **{name: season[name].loc[day].to_numpy() for name in season}}, index=index
    )
    y = pd.Series(rng.random(len(index)) < 0.5 * lasting**-2.5, index=index).astype(float)
    past = day < days[8]
    swing = {}
    for name, columns in (("without", ["income_mean_3m"]), ("with", list(X))):
        model = rk.RiskClassifier(n_estimators=100, feature_fraction=1.0, learning_rate=0.05, calibrate=False, n_jobs=1)
        risk = model.fit(X.loc[past, columns], y[past]).predict_risk(X.loc[~past, columns])
        of_day = np.log(risk.groupby(day[~past]).mean())
        swing[name] = of_day.max() - of_day.min()
    assert swing["without"] > 0.5
    assert swing["with"] < swing["without"] / 1.7


def test_a_folder_asks_for_the_season_with_one_line(tmp_path: Path) -> None:
    data = make_monitoring(20, n_months=20, random_state=0)
    folder = rk.write_monitoring(data, tmp_path / "county")
    plain = rk.feature_table(rk.read_monitoring(folder), ["2022-06-01"])
    settings = folder / "monitoring.toml"
    settings.write_text("season = true\n" + settings.read_text(encoding="utf-8"), encoding="utf-8")
    seasonal = rk.feature_table(rk.read_monitoring(folder), ["2022-06-01"])
    assert [*plain.columns, "season_winter", "season_spring"] == [*seasonal.columns]
    pd.testing.assert_frame_equal(seasonal[plain.columns], plain)
