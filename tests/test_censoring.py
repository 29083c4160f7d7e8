"""Households that left are censored, not safe: weights by arithmetic, and that they help where the truth is known."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

import riskml as rk
from riskml.features.censoring import weighed_training_set


def rows(**columns) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    days = pd.to_datetime(["2024-01-01"])
    index = pd.MultiIndex.from_product([[f"{i:05d}" for i in range(n)], days], names=["household_id", "as_of_date"])
    return pd.DataFrame(columns, index=index)


def test_those_observed_stand_for_those_lost_in_proportion() -> None:
    # Of 1,000 who stay home 900 are seen, of 1,000 who work away 450: stabilised weights .675/.9 and .675/.45.
    away, number = np.repeat([0.0, 1.0], 1000), np.tile(np.arange(1000), 2)
    observed = number < np.where(away == 1, 450, 900)
    found = rk.censoring_weights(rows(away=away), observed, strength=100.0)
    weight = found["weight"].to_numpy()
    np.testing.assert_allclose(weight[observed & (away == 0)], 0.675 / 0.9, rtol=0.05)
    np.testing.assert_allclose(weight[observed & (away == 1)], 0.675 / 0.45, rtol=0.05)
    assert np.isnan(weight[~observed]).all()
    assert np.nanmean(weight) == pytest.approx(1.0)


def test_nobody_lost_leaves_the_rows_as_they_are() -> None:
    X = rows(a=np.arange(100.0))
    found = rk.censoring_weights(X, np.ones(100, dtype=bool))
    assert (found["weight"] == 1).all()
    few = np.arange(100) >= 5  # too few lost to learn from whom
    assert (rk.censoring_weights(X, few)["weight"].dropna() == 1).all()


def test_one_outlier_does_not_carry_the_sample() -> None:
    rng = np.random.default_rng(0)
    risk = rng.normal(size=2000)
    observed = rng.random(2000) < expit(-2 * risk)
    loose, drawn_in = (
        rk.censoring_weights(rows(risk=risk), observed, strength=10.0, truncate_at=cut)["weight"]
        for cut in ((0.0, 1.0), (0.01, 0.95))
    )
    assert drawn_in.max() < loose.max()
    assert rk.effective_sample_size(drawn_in) > rk.effective_sample_size(loose)


def test_a_households_own_fate_does_not_enter_its_weight() -> None:
    rng = np.random.default_rng(1)
    X = rows(a=rng.normal(size=300))
    observed = rng.random(300) < 0.6
    before = rk.censoring_weights(X, observed)["observed_probability"]
    folds = rk.censoring_weights(X, np.where(np.arange(300) == 7, ~observed, observed))["observed_probability"]
    assert before.iloc[7] == folds.iloc[7]


def test_effective_sample_size_is_kishs() -> None:
    assert rk.effective_sample_size(np.ones(50)) == pytest.approx(50)
    assert rk.effective_sample_size([2.0, 1.0, 1.0, np.nan]) == pytest.approx((2 + 1 + 1) ** 2 / (4 + 1 + 1))
    assert rk.effective_sample_size([np.nan]) == 0.0


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"observed": np.ones(3, dtype=bool)}, "observed has 3 rows but X has 40"),
        ({"observed": np.zeros(40, dtype=bool)}, "no outcome was observed"),
        ({"observed": np.ones(40, dtype=bool), "truncate_at": (0.9, 0.1)}, "two quantiles in order"),
    ],
)
def test_what_cannot_be_weighed_is_refused(how: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rk.censoring_weights(rows(a=np.arange(40.0)), **how)


# --- on the simulator, where the truth is known ----------------------------------------------------------------------

DAY = pd.Timestamp("2022-07-01")
SEEDS = (1, 2, 3)
FEATURES = (
    rk.Window("incomes", "wage", months=(3, 12), stats=("mean",)),
    rk.Window("medical", "out_of_pocket", months=(12,), stats=("sum",)),
    rk.Spell("employment", months=(12,), stats=("active", "ended")),
    rk.Latest("housing", "grade"),
)


@functools.cache
def county(seed: int) -> tuple[rk.Monitoring, pd.DataFrame, pd.Series]:
    data = rk.datasets.make_monitoring(1000, n_months=32, random_state=seed)
    features = (*(f for f in rk.STANDARD if getattr(f, "name", "") in ("welfare", "welfare_net")), *FEATURES)
    X = rk.feature_table(data, [DAY], features=features)
    y = rk.outcome_labels(data, X.index, horizon_months=12)
    return data, X[y.notna()], y.dropna()


def leaving(X: pd.DataFrame, seed: int) -> np.ndarray:
    """Return who leaves: the poorer and the iller the likelier, by what was known on the day."""
    poor = -np.log(X["welfare"].clip(0.5, 5) / 1.6)
    ill = X["medical_out_of_pocket_sum_12m"].clip(0, 1)
    return np.random.default_rng(seed).random(len(X)) < expit(-1.0 + 2.4 * poor + 0.9 * ill)


def test_records_that_stop_after_the_as_of_date_leave_the_outcome_unknown() -> None:
    data, X, y = county(1)
    gone = X.index.get_level_values(0)[leaving(X, 0)]
    incomes = data.tables["incomes"]
    stopped = incomes[~(incomes["household_id"].isin(gone) & (incomes["date"] >= DAY))]
    left = rk.Monitoring({**data.tables, "incomes": stopped}, extract_on=data.extract_on)
    seen = rk.outcome_labels(left, X.index, horizon_months=12)
    pd.testing.assert_series_equal(seen, y.mask(X.index.get_level_values(0).isin(gone)))
    pd.testing.assert_frame_equal(
        rk.feature_table(left, [DAY], features=FEATURES).loc[X.index],
        X[[*rk.feature_table(left, [DAY], features=FEATURES)]],
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_with_weights_the_share_that_returns_is_closer_to_the_truth(seed: int) -> None:
    _, X, y = county(seed)
    errors = []
    for draw in range(8):
        seen = ~leaving(X, draw)
        weight = rk.censoring_weights(X, seen)["weight"].to_numpy()[seen]
        assert rk.effective_sample_size(weight) > 0.5 * seen.sum()
        errors.append([y[seen].mean() - y.mean(), np.average(y[seen], weights=weight) - y.mean()])
    complete, weighted = np.mean(errors, axis=0)
    assert complete < -0.15 * y.mean()  # those at risk are lost, so complete cases look safe
    assert abs(weighted) < abs(complete) / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_with_weights_the_level_of_a_model_is_closer_to_the_truth(seed: int) -> None:
    _, X, y = county(seed)
    levels = []
    for draw in range(8):
        seen = ~leaving(X, draw)
        weight = rk.censoring_weights(X, seen)["weight"].to_numpy()[seen]
        # A model that does not know what made households leave takes the level of those it sees.
        known = X[["housing_grade"]].fillna(2)
        fits = (LogisticRegression().fit(known[seen], y[seen], sample_weight=w) for w in (None, weight))
        levels.append([np.log(fit.predict_proba(known)[:, 1].mean() / y.mean()) for fit in fits])
    complete, weighted = np.mean(levels, axis=0)
    assert abs(weighted) < abs(complete) / 2


# --- training sets ---------------------------------------------------------------------------------------------------


ANY_DAY = pd.Timestamp("2022-10-01")


@functools.cache
def any_county() -> tuple[rk.Monitoring, pd.Series]:
    """Return a county, and what came of everybody within a year of a day."""
    data = rk.datasets.make_monitoring(1500, n_months=44, random_state=5)
    index = rk.cohort(data, [ANY_DAY]).index
    return data, rk.outcome_labels(data, index, horizon_months=12, rule="any").dropna()


def lost_by_lot(data: rk.Monitoring, share: float, seed: int) -> rk.Monitoring:
    """Return the county with a share of the households whose records stop in a month of the horizon, both by lot."""
    rng = np.random.default_rng(seed)
    incomes = data.tables["incomes"]
    names = incomes["household_id"].unique()
    stops = pd.Series(rng.choice(pd.date_range(ANY_DAY, periods=12, freq="MS"), len(names)), index=names)
    stops[rng.random(len(names)) > share] = pd.Timestamp("2100-01-01")
    kept = incomes[incomes["date"] < incomes["household_id"].map(stops)]
    return rk.Monitoring({**data.tables, "incomes": kept}, extract_on=data.extract_on)


def test_by_the_rule_any_the_level_of_a_model_is_right_though_returns_are_known_early() -> None:
    data, whole = any_county()
    everybody = rk.feature_table(data, [ANY_DAY], features=FEATURES).loc[whole.index]
    levels = []
    for draw in range(6):
        seen = lost_by_lot(data, 0.85, draw)
        _, settled = rk.training_set(seen, [ANY_DAY], features=FEATURES, rule="any", horizon_months=12)
        labelled = rk.outcome_labels(seen, whole.index, horizon_months=12, rule="any").dropna()
        fits = (
            rk.RiskClassifier(n_estimators=40, n_jobs=1).fit(everybody.loc[rows.index], rows)
            for rows in (settled, labelled)
        )
        levels.append([np.log(fit.predict_risk(everybody).mean() / whole.mean()) for fit in fits])
    of_settled, of_labelled = np.mean(levels, axis=0)
    assert abs(of_settled) < 0.1
    # The planted fault: to learn from every row that has a label.
    assert of_labelled > 0.25


def test_weights_of_a_training_set_are_those_of_its_rows_among_all_at_risk() -> None:
    seen = lost_by_lot(any_county()[0], 0.5, 0)
    X, y, weight = weighed_training_set(seen, [ANY_DAY], horizon_months=12, rule="any")
    plain, labels = rk.training_set(seen, [ANY_DAY], horizon_months=12, rule="any")
    pd.testing.assert_frame_equal(X, plain)
    pd.testing.assert_series_equal(y, labels)
    at_risk = rk.feature_table(seen, [ANY_DAY])
    expected = rk.censoring_weights(at_risk, at_risk.index.isin(X.index))["weight"].loc[X.index]
    np.testing.assert_array_equal(weight, expected)
    assert weight.mean() == pytest.approx(1)


def test_where_nobody_is_lost_weights_are_refused_in_both_languages(monkeypatch) -> None:
    data, _ = any_county()
    with pytest.raises(ValueError, match=r"were lost and .* observed; weights for those lost need at least 20"):
        weighed_training_set(data, [ANY_DAY], horizon_months=12)
    monkeypatch.setenv("RISKML_LANG", "zh")
    with pytest.raises(ValueError, match="为失访住户加权至少各需20户"):
        weighed_training_set(data, [ANY_DAY], horizon_months=12)
