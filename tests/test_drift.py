"""Drift: against the closed form, scipy and counting."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from riskml.model.classifier import RiskClassifier
from riskml.model.drift import drift_table


def test_nothing_has_moved_between_a_table_and_itself():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(500, 3)), columns=list("abc")).mask(lambda X: X > 1.5)
    table = drift_table(X, X)
    assert (table["psi"] == 0).all()
    assert (table["ks"] == 0).all()
    assert not table["matters"].any()


def test_the_stability_index_is_the_sum_over_bins():
    before, now = np.repeat([0.0, 1.0], [600, 400]), np.repeat([0.0, 1.0], [200, 800])
    table = drift_table(pd.DataFrame({"a": before}), pd.DataFrame({"a": now}))
    expected = (0.2 - 0.6) * np.log(0.2 / 0.6) + (0.8 - 0.4) * np.log(0.8 / 0.4)
    assert table["psi"].item() == pytest.approx(expected, rel=0.01)
    assert table["ks"].item() == pytest.approx(0.4)
    assert table[["mean_before", "mean_now"]].values.tolist() == [[0.4, 0.8]]


def test_the_distance_is_that_of_scipy_on_the_values_present():
    rng = np.random.default_rng(1)
    before = pd.DataFrame({"a": rng.normal(size=300)}).mask(lambda X: X > 1)
    now = pd.DataFrame({"a": rng.normal(0.5, 1, 200)}).mask(lambda X: X < -1)
    row = drift_table(before, now).iloc[0]
    assert row["ks"] == pytest.approx(ks_2samp(before["a"].dropna(), now["a"].dropna()).statistic)
    assert row["missing_before"] == pytest.approx(before["a"].isna().mean())
    assert row["missing_now"] == pytest.approx(now["a"].isna().mean())


def test_records_that_stop_coming_are_a_shift_even_if_the_rest_looks_alike():
    before = pd.DataFrame({"a": np.arange(1000.0)})
    now = before.where(before["a"] % 2 == 0)
    assert drift_table(before, now)["psi"].item() > 0.25
    gone = drift_table(before, before * np.nan).iloc[0]
    assert np.isnan(gone["ks"])
    assert np.isnan(gone["mean_now"])
    assert gone["missing_now"] == 1


def test_a_shift_matters_where_the_model_rests_on_the_feature():
    rng = np.random.default_rng(2)
    X = pd.DataFrame({"welfare": rng.normal(2, 1, 800), "own": np.zeros(800)})
    y = (X["welfare"] + rng.normal(0, 0.5, 800) < 1.5).astype(int)
    model = RiskClassifier(n_estimators=20).fit(X, y)
    table = drift_table(X, X + 3, model=model).set_index("feature")
    assert table["psi"].gt(0.25).all()
    assert table["importance"].sum() == pytest.approx(1)
    assert table["matters"].to_dict() == {"welfare": True, "own": False}
    assert table.loc["welfare", "cause"] == "income"
    assert drift_table(X, X + 3)["matters"].all()


def test_tables_without_rows_or_common_columns_are_refused():
    X = pd.DataFrame({"a": [1.0]})
    with pytest.raises(ValueError, match="at least one column in common"):
        drift_table(X, X.rename(columns={"a": "b"}))
    with pytest.raises(ValueError, match="need rows"):
        drift_table(X, X.iloc[:0])


def test_a_rare_flag_that_becomes_common_is_seen():
    before, now = np.repeat([0.0, 1.0], [980, 20]), np.repeat([0.0, 1.0], [600, 400])
    table = drift_table(pd.DataFrame({"a": before}), pd.DataFrame({"a": now}))
    expected = (0.6 - 0.98) * np.log(0.6 / 0.98) + (0.4 - 0.02) * np.log(0.4 / 0.02)
    assert table["psi"].item() == pytest.approx(expected, rel=0.05)
