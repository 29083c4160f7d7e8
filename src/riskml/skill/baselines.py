"""The simple rivals a model must beat, as estimators on the same features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

FloatArray = NDArray[np.float64]

#: Single-indicator triggers as offices use them: feature, sign, threshold.
TRIGGERS: tuple[tuple[str, str, float], ...] = (
    ("welfare", "<", 1.5),
    ("medical_share_of_income_12m", ">", 0.4),
    ("medical_serious_count_12m", ">", 0),
    ("schooling_dropped_out_count_12m", ">", 0),
    ("housing_grade", ">=", 3),
    ("water_grade", ">=", 3),
    ("jobs_ended_3m", ">", 0),
    ("production_loss_share_12m", ">", 0.2),
    ("disaster_severity_max_12m", ">=", 2),
    ("accident_count_12m", ">", 0),
    ("income_change_3_12", "<", -0.3),
)


class TriggerRules(ClassifierMixin, BaseEstimator):
    """Single-indicator triggers: a household is listed when a threshold on one bureau's data is passed.

    The score is the number of triggers that fired; among equals the larger breach of the welfare threshold counts
    first, as an officer
    would. Triggers whose feature is absent are left out (``left_out_``).

    Parameters
    ----------
    triggers : sequence of (feature, sign, threshold), optional
        Default :data:`TRIGGERS`.
    """

    def __init__(self, triggers: tuple[tuple[str, str, float], ...] = TRIGGERS) -> None:
        self.triggers = triggers

    def fit(self, X: pd.DataFrame, y: Any = None) -> TriggerRules:
        """Note which triggers the features allow; nothing is learned."""
        self.used_ = tuple(trigger for trigger in self.triggers if trigger[0] in X.columns)
        self.left_out_ = tuple(trigger[0] for trigger in self.triggers if trigger[0] not in X.columns)
        self.classes_ = np.array([0, 1])
        return self

    def predict_risk(self, X: pd.DataFrame) -> pd.Series:
        """Return the number of triggers fired, plus less than one for low welfare; not a probability."""
        fired = np.zeros(len(X))
        for name, sign, threshold in self.used_:
            value = X[name].to_numpy(dtype=np.float64)
            fired += {"<": value < threshold, ">": value > threshold, ">=": value >= threshold}[sign]
        near = 1 / (1 + np.maximum(X["welfare"].to_numpy(dtype=np.float64), 0)) if "welfare" in X else np.zeros(len(X))
        return pd.Series(fired + np.nan_to_num(near) * 0.99, index=X.index, name="risk")


class IncomeRanking(ClassifierMixin, BaseEstimator):
    """Rank by income against the line: the poorest of those above it first."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> IncomeRanking:
        """Learn nothing."""
        self.classes_ = np.array([0, 1])
        return self

    def predict_risk(self, X: pd.DataFrame) -> pd.Series:
        """Return minus welfare: a ranking, not a probability."""
        return pd.Series(-X["welfare"].to_numpy(dtype=np.float64), index=X.index, name="risk")


class ProxyMeansTest(ClassifierMixin, BaseEstimator):
    """Rank by welfare predicted from observable traits, without income.

    Ridge regression of log welfare on every feature that is not money received. Grosh and Baker (1995).
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> ProxyMeansTest:
        """Regress log welfare on observable traits."""
        self.traits_ = _traits(X)
        self.classes_ = np.array([0, 1])
        self.regression_ = _linear(Ridge(10.0)).fit(X[self.traits_], _log_welfare(X))
        return self

    def predict_risk(self, X: pd.DataFrame) -> pd.Series:
        """Return minus predicted log welfare: a ranking, not a probability."""
        return pd.Series(-self.regression_.predict(X[self.traits_]), index=X.index, name="risk")


class ExpectedPoverty(ClassifierMixin, BaseEstimator):
    """Vulnerability as expected poverty: the probability that welfare falls below the line.

    Log welfare is regressed on traits, its squared residual on the same traits, both again by the estimated variance
    (three-step feasible generalised least squares); the probability is that of a normal law. One cross-section is
    all it needs; it is not fitted to returns. Chaudhuri, Jalan and Suryahadi (2002).
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> ExpectedPoverty:
        """Estimate mean and variance of log welfare."""
        self.traits_ = _traits(X)
        self.classes_ = np.array([0, 1])
        target = _log_welfare(X)
        first = _linear(Ridge(10.0)).fit(X[self.traits_], target)
        squares = (target - first.predict(X[self.traits_])) ** 2
        self.spread_ = _linear(Ridge(10.0)).fit(X[self.traits_], np.log(np.maximum(squares, 1e-6)))
        # E[log chi-square(1)] = -1.27: what the log of a squared residual lies below the log of the variance.
        self.level_ = _linear(Ridge(10.0)).fit(X[self.traits_], target, ridge__sample_weight=1 / self._variance(X))
        return self

    def predict_proba(self, X: pd.DataFrame) -> FloatArray:
        """Return the probabilities of staying above and of falling below the line."""
        below = norm.cdf(-self.level_.predict(X[self.traits_]) / np.sqrt(self._variance(X)))
        return np.column_stack([1 - below, below])

    def predict_risk(self, X: pd.DataFrame) -> pd.Series:
        """Return the probability that welfare falls below the line."""
        return pd.Series(self.predict_proba(X)[:, 1], index=X.index, name="risk")

    def _variance(self, X: pd.DataFrame) -> FloatArray:
        return np.clip(np.exp(self.spread_.predict(X[self.traits_]) + 1.27), 1e-3, 4.0)


class LogisticBaseline(ClassifierMixin, BaseEstimator):
    """Logistic regression on all features: medians for missing values, standardised, ridge penalty.

    Parameters
    ----------
    C : float, default 0.01
        Inverse strength of the penalty.
    """

    def __init__(self, C: float = 0.01) -> None:
        self.C = C

    def fit(self, X: pd.DataFrame, y: Any) -> LogisticBaseline:
        """Fit the regression."""
        self.regression_ = _linear(LogisticRegression(C=self.C, max_iter=2000)).fit(X, np.asarray(y))
        self.classes_ = self.regression_.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> FloatArray:
        """Return the probabilities of the two classes."""
        return self.regression_.predict_proba(X)

    def predict_risk(self, X: pd.DataFrame) -> pd.Series:
        """Return the probability of returning."""
        return pd.Series(self.predict_proba(X)[:, 1], index=X.index, name="risk")


def rivals() -> dict[str, Any]:
    """Return the rivals by name, unfitted.

    Examples
    --------
    >>> list(rivals())
    ['trigger rules', 'income ranking', 'proxy means test', 'expected poverty', 'logistic regression']
    """
    return {
        "trigger rules": TriggerRules(),
        "income ranking": IncomeRanking(),
        "proxy means test": ProxyMeansTest(),
        "expected poverty": ExpectedPoverty(),
        "logistic regression": LogisticBaseline(),
    }


def _traits(X: pd.DataFrame) -> list[str]:
    """Return the columns that an enumerator can see: no income, no support received."""
    money = (
        "income",
        "welfare",
        "support",
        "job_wages",
        "neighbours",
        "medical_share",
        "schooling_share",
        "production_loss_share",
        "medical_over",
    )
    return [name for name in X.columns if not str(name).startswith(money)]


def _log_welfare(X: pd.DataFrame) -> FloatArray:
    return np.log(np.maximum(X["welfare"].to_numpy(dtype=np.float64), 0.05))


def _linear(last: Any) -> Pipeline:
    """Return a pipeline of medians for missing values, standard scores and a linear model."""
    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), last)
