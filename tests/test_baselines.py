"""The rivals: counted by hand, recovered from a known law, equal to scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from riskml.skill.baselines import (
    ExpectedPoverty,
    IncomeRanking,
    LogisticBaseline,
    ProxyMeansTest,
    TriggerRules,
    rivals,
)


def cross_section(n=4000, seed=0):
    """Log welfare = 0.6 + 0.3 schooling - 0.2 children + spread x noise, the spread larger with children."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"adult_education_mean": rng.normal(size=n), "members_0_5": rng.integers(0, 4, n).astype(float)})
    mean = 0.6 + 0.3 * X["adult_education_mean"] - 0.2 * X["members_0_5"]
    spread = np.sqrt(0.15 + 0.05 * X["members_0_5"])
    X["welfare"] = np.exp(mean + spread * rng.normal(size=n))
    X["income_mean_12m"] = X["welfare"]
    return X, norm.cdf(-mean / spread)


def test_triggers_fire_one_by_one_and_low_welfare_breaks_ties():
    X = pd.DataFrame(
        {
            "welfare": [1.4, 3.0, 1.4, np.nan, 2.0],
            "medical_share_of_income_12m": [0.5, 0.1, np.nan, 0.3, 0.4],
            "housing_grade": [3.0, 3.0, 1.0, 4.0, np.nan],
        }
    )
    rules = TriggerRules().fit(X)
    risk = rules.predict_risk(X)
    # Welfare below 1.5, medical cost over 40 %, house of grade C or D.
    assert np.floor(risk).tolist() == [3, 1, 1, 1, 0]
    assert risk[2] > risk[1]
    assert [name for name, *_ in rules.used_] == ["welfare", "medical_share_of_income_12m", "housing_grade"]
    assert "water_grade" in rules.left_out_


def test_thresholds_are_parameters():
    X = pd.DataFrame({"welfare": [1.2, 1.8]})
    assert np.floor(TriggerRules((("welfare", "<", 2.0),)).fit(X).predict_risk(X)).tolist() == [1, 1]


def test_income_ranking_puts_the_poorest_first():
    X = pd.DataFrame({"welfare": [2.0, 1.1, 1.5]})
    assert IncomeRanking().fit(X).predict_risk(X).rank(ascending=False).tolist() == [3, 1, 2]


def test_the_proxy_means_test_finds_the_mean_and_never_reads_income():
    X, _ = cross_section()
    model = ProxyMeansTest().fit(X)
    mean = 0.6 + 0.3 * X["adult_education_mean"] - 0.2 * X["members_0_5"]
    np.testing.assert_allclose(model.predict_risk(X), -mean, atol=0.05)
    other = X.assign(welfare=1.0, income_mean_12m=9.0)
    pd.testing.assert_series_equal(model.predict_risk(other), model.predict_risk(X))


def test_expected_poverty_finds_the_probability_of_its_law():
    X, below = cross_section(20_000)
    risk = ExpectedPoverty().fit(X).predict_risk(X)
    assert np.abs(risk - below).mean() < 0.01
    assert np.abs(risk - below).max() < 0.06
    # One variance for everybody would not do: it is what the second step is for.
    same = norm.cdf(-(0.6 + 0.3 * X["adult_education_mean"] - 0.2 * X["members_0_5"]) / np.sqrt(0.15 + 0.05 * 1.5))
    assert np.abs(same - below).mean() > 0.015


def test_the_logistic_baseline_is_that_of_scikit_learn():
    X, below = cross_section(500)
    X = X.mask(np.random.default_rng(1).random(X.shape) < 0.1)
    y = (np.random.default_rng(2).random(500) < below).astype(int)
    other = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=0.01)).fit(X, y)
    ours = LogisticBaseline().fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), other.predict_proba(X), atol=1e-4)
    assert clone(LogisticBaseline(C=0.5)).C == 0.5


@pytest.mark.parametrize("name", list(rivals()))
def test_every_rival_ranks_better_than_chance_with_values_missing(name):
    X, below = cross_section(2000, seed=3)
    y = (np.random.default_rng(4).random(2000) < below).astype(int)
    holes = X.mask(np.random.default_rng(5).random(X.shape) < 0.05).assign(never_known=np.nan, welfare=X["welfare"])
    rival = rivals()[name].fit(holes, y)
    risk = rival.predict_risk(holes)
    assert risk.index.equals(X.index)
    assert risk.notna().all()
    assert roc_auc_score(y, risk) > 0.6 if name != "trigger rules" else roc_auc_score(y, risk) > 0.5
