"""The risk model: a calibrated gradient-boosted classifier whose explanation stays exact."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from riskml.features import feature_dictionary
from riskml.split import TemporalSplit

FloatArray = NDArray[np.float64]

#: Fewer out-of-sample events than this do not carry a calibration of their own.
_LEAST_EVENTS = 20
_CALIBRATION_FOLDS = 3


class RiskClassifier(ClassifierMixin, BaseEstimator):
    """Gradient-boosted trees with known directions and an affine calibration of the log-odds.

    Shallow, slow, strongly subsampled LightGBM trees (nearly additive models hold best when the world
    drifts), kept monotone where the feature dictionary knows the direction. The calibration is a line in the
    log-odds, learned on margins of models that were trained on earlier dates only (the horizon is the embargo),
    or on held-out folds where X has no dates; so Shapley values of the trees remain exact after it. Rows are
    sorted by their index before training, seeds are fixed: neither row order nor threads change the model.

    Parameters
    ----------
    dictionary : DataFrame, optional
        Feature dictionary (:func:`riskml.feature_dictionary`); default that of ``STANDARD``. Columns it does not
        know get cause ``other`` and no direction.
    horizon_months : int, default 12
        Months between an as-of date and its outcome: the embargo of the calibration.
    n_estimators : int, default 1000
        Number of trees.
    learning_rate : float, default 0.02
        Shrinkage.
    num_leaves, max_depth : int, default 8, 4
        Size of a tree.
    min_child_samples : int, default 20
        Rows a leaf must hold.
    feature_fraction, bagging_fraction : float, default 0.2, 0.5
        Share of columns and rows each tree sees.
    lambda_l2 : float, default 5.0
        Shrinkage of leaf values.
    monotone : bool, default True
        Keep the directions of the dictionary.
    calibrate : bool, default True
        Learn slope and intercept; otherwise 1 and 0.
    random_state : int, default 0
        Seed.
    n_jobs : int, default 2
        Threads; no influence on the result.

    Attributes
    ----------
    booster_ : lightgbm.Booster
        The trees; columns in the order of ``dictionary_``.
    calibration_ : tuple of float
        ``(slope, intercept)``: calibrated log-odds = slope x margin + intercept.
    calibration_covariance_ : ndarray, shape (2, 2)
        Sampling covariance of the two, households as clusters.
    dictionary_ : DataFrame
        What each column means, in order.
    fit_summary_ : dict
        Rows, households, events, dates and source of the calibration, as plain values.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"welfare": rng.uniform(1, 3, 400)})
    >>> y = (rng.random(400) < 1 / X["welfare"] ** 3).astype(int)
    >>> risk = RiskClassifier(n_estimators=50).fit(X, y).predict_risk(pd.DataFrame({"welfare": [1.1, 2.9]}))
    >>> bool(risk[0] > risk[1])
    True
    """

    def __init__(
        self,
        *,
        dictionary: pd.DataFrame | None = None,
        horizon_months: int = 12,
        n_estimators: int = 1000,
        learning_rate: float = 0.02,
        num_leaves: int = 8,
        max_depth: int = 4,
        min_child_samples: int = 20,
        feature_fraction: float = 0.2,
        bagging_fraction: float = 0.5,
        lambda_l2: float = 5.0,
        monotone: bool = True,
        calibrate: bool = True,
        random_state: int = 0,
        n_jobs: int = 2,
    ) -> None:
        self.dictionary = dictionary
        self.horizon_months = horizon_months
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.min_child_samples = min_child_samples
        self.feature_fraction = feature_fraction
        self.bagging_fraction = bagging_fraction
        self.lambda_l2 = lambda_l2
        self.monotone = monotone
        self.calibrate = calibrate
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RiskClassifier:
        """Learn trees and calibration.

        Parameters
        ----------
        X : DataFrame or array, shape (n_rows, n_features)
            Features, NaN where missing; indexed by ``(household_id, as_of_date)`` as :func:`riskml.training_set`
            gives them.
        y : Series or array, shape (n_rows,)
            Labels of two classes.
        sample_weight : array, shape (n_rows,), optional
            Weights.

        Returns
        -------
        RiskClassifier
            Itself.

        Raises
        ------
        ValueError
            If values are infinite, labels missing or not of two classes, or a tree larger than 31 leaves or depth 8.
        """
        if self.num_leaves > 31 or not 0 < self.max_depth <= 8:
            raise ValueError("trees have at most 31 leaves and depth 8, so that explanations stay exact and fast")
        if isinstance(y, pd.Series) and y.isna().any():
            raise ValueError(
                f"y is missing in {int(y.isna().sum())} rows; leave out rows whose outcome was not observed"
            )
        frame = X if isinstance(X, pd.DataFrame) else None
        values, labels = validate_data(self, X, y, ensure_all_finite="allow-nan", dtype=np.float64)
        check_classification_targets(labels)
        weight = _check_sample_weight(sample_weight, values, dtype=np.float64)
        if type_of_target(labels) != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(labels)}."
            )
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y holds one class only; both returned and not returned are needed")
        index = frame.index if frame is not None and "as_of_date" in (frame.index.names or []) else None
        if index is not None:
            order = np.asarray(index.argsort())
            values, codes, weight, index = values[order], codes[order], weight[order], index[order]
        names = [str(name) for name in getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])]
        self.dictionary_ = _meanings(self.dictionary, names)
        self.booster_ = self._boost(values, codes, weight)
        self._learn_calibration(values, codes, weight, index)
        self._summarise(codes, index)
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Return the calibrated log-odds of the second class, shape (n_rows,).

        Raises
        ------
        ValueError
            If columns are missing, unknown or infinite. Columns in another order are put right.
        """
        check_is_fitted(self, "booster_")
        values = validate_data(self, self._aligned(X), reset=False, ensure_all_finite="allow-nan", dtype=np.float64)
        slope, intercept = self.calibration_
        return slope * np.asarray(self.booster_.predict(values, raw_score=True)) + intercept

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probabilities of the two classes, shape (n_rows, 2)."""
        risk = expit(self.decision_function(X))
        return np.column_stack([1 - risk, risk])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier class of each row. A list of households is a matter of rank, not of this."""
        log_odds = self.decision_function(X)
        return self.classes_[(log_odds > 0).astype(np.int64)]

    def predict_risk(self, X: pd.DataFrame) -> pd.Series:
        """Return the calibrated probability of returning below the line, indexed as X."""
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.Series(expit(self.decision_function(X)), index=index, name="risk")

    def risk_interval(self, X: pd.DataFrame, *, coverage: float = 0.9) -> pd.DataFrame:
        """Return how far the probability itself is known.

        The interval is that of the calibration line (delta method, households as clusters): with ``coverage`` it
        holds the
        share of returns among households of the same score in the periods the calibration was learned on. It
        says nothing of one household's fate, and a world that has moved since is outside it.

        Returns
        -------
        DataFrame
            ``risk_lower, risk_upper``, indexed as X; equal to the risk where there was too little data to calibrate.
        """
        log_odds = self.decision_function(X)
        slope, intercept = self.calibration_
        terms = np.column_stack([(log_odds - intercept) / slope, np.ones(len(log_odds))])
        spread = np.sqrt(np.einsum("ij,jk,ik->i", terms, self.calibration_covariance_, terms))
        reach = norm.ppf(0.5 + coverage / 2) * spread
        bounds = {"risk_lower": expit(log_odds - reach), "risk_upper": expit(log_odds + reach)}
        return pd.DataFrame(bounds, index=X.index if isinstance(X, pd.DataFrame) else None)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: binary only, NaN allowed."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def _aligned(self, X: Any) -> Any:
        """Return X with its columns in the order of training, or refuse it."""
        if not isinstance(X, pd.DataFrame) or not hasattr(self, "feature_names_in_"):
            return X
        missing = [name for name in self.feature_names_in_ if name not in X.columns]
        extra = [name for name in X.columns if name not in set(self.feature_names_in_)]
        if missing or extra:
            # scikit-learn's own words first: its checks look for them.
            raise ValueError(
                "The feature names should match those that were passed during fit.\n"
                + (f"{len(missing)} columns are missing (first: {missing[0]}). " if missing else "")
                + (f"{len(extra)} columns are unknown to the model (first: {extra[0]}). " if extra else "")
                + "Compute X with feature_table from data with the same tables."
            )
        return X[list(self.feature_names_in_)]

    def _boost(self, values: FloatArray, codes: NDArray[np.int64], weight: FloatArray) -> lgb.Booster:
        directions = self.dictionary_["direction"].astype(int).tolist()
        settings = {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "min_child_samples": self.min_child_samples,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.lambda_l2,
            "monotone_constraints": directions if self.monotone and any(directions) else None,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.random_state,
            "num_threads": self.n_jobs,
            "verbose": -1,
        }
        data = lgb.Dataset(values, codes, weight=weight, free_raw_data=False)
        return lgb.train({k: v for k, v in settings.items() if v is not None}, data, self.n_estimators)

    def _learn_calibration(
        self, values: FloatArray, codes: NDArray[np.int64], weight: FloatArray, index: pd.Index | None
    ) -> None:
        self.calibration_, self.calibration_covariance_ = (1.0, 0.0), np.zeros((2, 2))
        self.calibration_source_ = "none"
        if not self.calibrate:
            return
        source, folds = _folds(codes, index, self.horizon_months, self.random_state)
        margins, rows = [], []
        for train, test in folds:
            if len(np.unique(codes[train])) == 2:
                booster = self._boost(values[train], codes[train], weight[train])
                margins.append(np.asarray(booster.predict(values[test], raw_score=True)))
                rows.append(test)
        if not rows:
            return
        held_out, margin = np.concatenate(rows), np.concatenate(margins)
        events = int(codes[held_out].sum())
        if min(events, len(held_out) - events) < _LEAST_EVENTS:
            return
        household = np.arange(len(codes)) if index is None else pd.factorize(index.get_level_values(0))[0]
        line, covariance = calibration_line(margin, codes[held_out], weight[held_out], household[held_out])
        self.calibration_ = (float(np.clip(line[0], 0.2, 5.0)), float(line[1]))
        self.calibration_covariance_, self.calibration_source_ = covariance, source

    def _summarise(self, codes: NDArray[np.int64], index: pd.Index | None) -> None:
        summary: dict[str, Any] = {
            "rows": len(codes),
            "events": int(codes.sum()),
            "horizon_months": int(self.horizon_months),
            "calibration_source": self.calibration_source_,
        }
        if index is not None:
            dates = pd.DatetimeIndex(index.get_level_values("as_of_date"))
            summary["households"] = int(index.get_level_values(0).nunique())
            summary["first_as_of_date"], summary["last_as_of_date"] = (
                f"{dates.min():%Y-%m-%d}",
                f"{dates.max():%Y-%m-%d}",
            )
        self.fit_summary_ = summary


def calibration_line(
    margin: FloatArray, y: NDArray[Any], weight: FloatArray, cluster: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return slope and intercept of the logistic regression of y on a margin, and their covariance.

    Cox's recalibration: log-odds = slope x margin + intercept, by maximum likelihood (Newton's steps); the covariance
    is the sandwich
    estimate with clusters.

    Returns
    -------
    line : ndarray, shape (2,)
        Slope, intercept.
    covariance : ndarray, shape (2, 2)
        Its covariance.

    References
    ----------
    Cox, D. R. (1958). Two further applications of a model for binary regression. Biometrika 45.
    """
    terms = np.column_stack([margin, np.ones(len(margin))])

    line = np.array([1.0, 0.0])
    for _ in range(25):
        p = expit(terms @ line)
        gradient = terms.T @ (weight * (y - p))
        hessian = (terms * (weight * p * (1 - p))[:, None]).T @ terms
        # A trace of ridge keeps separable margins finite; steps are bounded for the same reason.
        step = np.linalg.solve(hessian + 1e-6 * max(hessian.trace(), 1e-12) * np.eye(2), gradient)
        line = line + step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < 1e-9:
            break
    p = expit(terms @ line)
    bread = np.linalg.pinv((terms * (weight * p * (1 - p))[:, None]).T @ terms)
    scores = terms * (weight * (y - p))[:, None]
    _, codes = np.unique(cluster, return_inverse=True)
    by_cluster = np.column_stack([np.bincount(codes, scores[:, k]) for k in range(2)])
    return line, bread @ (by_cluster.T @ by_cluster) @ bread


def _meanings(dictionary: pd.DataFrame | None, names: list[str]) -> pd.DataFrame:
    """Return the dictionary rows of the columns, with cause ``other`` and no direction where unknown."""
    known = (feature_dictionary() if dictionary is None else dictionary).set_index("name")
    rows = known.reindex(names)
    unknown = rows["cause"].isna()
    rows.loc[unknown, ["cause", "unit", "table", "column", "stat"]] = ["other", "number", "", "", ""]
    rows.loc[unknown, "label_en"] = rows.index[unknown]
    rows.loc[unknown, "label_zh"] = rows.index[unknown]
    rows["direction"] = rows["direction"].fillna(0).astype(int)
    rows["actionable"] = rows["actionable"].eq(True)
    rows["sensitive"] = rows["sensitive"].eq(True)
    return rows.rename_axis("name").reset_index()


def _folds(
    codes: NDArray[np.int64], index: pd.Index | None, horizon_months: int, seed: int
) -> tuple[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Return folds for the calibration: forward in time where there are dates enough, else by household."""
    if index is not None:
        dates = pd.DatetimeIndex(index.get_level_values("as_of_date"))
        later = dates.unique()[dates.unique() >= dates.min() + pd.DateOffset(months=horizon_months)]
        if len(later):
            split = TemporalSplit(min(_CALIBRATION_FOLDS, len(later)), horizon_months=horizon_months)
            folds = list(split.split(pd.DataFrame(index=index)))
            if codes[np.concatenate([test for _, test in folds])].sum() >= _LEAST_EVENTS:
                return "forward in time", folds
        group = pd.factorize(index.get_level_values(0))[0] % _CALIBRATION_FOLDS
        every = range(_CALIBRATION_FOLDS)
        return "held-out households", [(np.flatnonzero(group != k), np.flatnonzero(group == k)) for k in every]
    if np.bincount(codes).min() < _CALIBRATION_FOLDS:
        return "none", []
    folds = StratifiedKFold(_CALIBRATION_FOLDS, shuffle=True, random_state=seed).split(codes, codes)
    return "held-out rows", list(folds)


__all__ = ["RiskClassifier", "calibration_line"]
