"""The risk model: a calibrated gradient-boosted classifier whose explanation stays exact."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from riskml.features.dictionary import feature_dictionary
from riskml.model.booster_text import MAX_DEPTH, MAX_LEAVES, as_binary
from riskml.model.calibration import Calibration, Rows, calibrate
from riskml.model.matrix_rows import MatrixRows

FloatArray = NDArray[np.float64]
#: What values of features may be as they are; other numbers become the first.
_PRECISIONS = [np.float64, np.float32]


class RiskClassifier(ClassifierMixin, BaseEstimator):
    """Gradient-boosted trees with known directions and an affine calibration of the log-odds.

    Shallow, slow, strongly subsampled LightGBM trees (nearly additive models hold best when the world
    drifts), kept monotone where the feature dictionary knows the direction. The calibration is a line in the log-odds
    (:func:`riskml.model.calibration.calibrate`): its slope comes from models that were trained on earlier dates only,
    its level from the newest outcomes; so Shapley values of the trees remain exact after it. Where it is known how far
    below or above the line households came out, the trees learn from that instead of yes or no alone (``fit``). Rows
    are sorted by their index before training, seeds are fixed: neither row order nor threads change the model.

    Parameters
    ----------
    dictionary : DataFrame, optional
        Feature dictionary (:func:`riskml.feature_dictionary`); default that of ``STANDARD``. Columns it does not
        know get cause ``other`` and no direction.
    horizon_months : int, default 12
        Months between an as-of date and its outcome: the embargo of the calibration.
    n_estimators : int, default 600
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
    grading : float, optional
        How softly the line divides outcomes where ``fit`` is told their welfare, in log welfare: a household that came
        out this share above the line counts as 0.27 of a return, below it as 0.73. 0: yes or no. By default 0.05 times
        the cube root of 1000 / returns, from 0.05 to 0.1 (the smoothing of a distribution function falls with the cube
        root of the number of cases: Azzalini 1981); ``fit_summary_`` says what it was.
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
    calibrator_ : riskml.model.calibration.Calibration
        Slope and intercept of the calibrated log-odds, where they come from and how well they are known.
    calibration_ : tuple of float
        ``(slope, intercept)`` of it: calibrated log-odds = slope x margin + intercept.
    dictionary_ : DataFrame
        What each column means, in order.
    fit_summary_ : dict
        Rows, households, events, dates and source of the calibration, as plain values.
    refits_ : tuple of lightgbm.Booster
        The same learned again from other draws of households (:func:`riskml.with_refits`); empty after ``fit``.
    net_ : RiskClassifier or None
        The model of the risk net of assistance, where :func:`riskml.fit_net` has put one beside it.

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
        n_estimators: int = 600,
        learning_rate: float = 0.02,
        num_leaves: int = 8,
        max_depth: int = 4,
        min_child_samples: int = 20,
        feature_fraction: float = 0.2,
        bagging_fraction: float = 0.5,
        lambda_l2: float = 5.0,
        monotone: bool = True,
        grading: float | None = None,
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
        self.grading = grading
        self.calibrate = calibrate
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None, outcome_welfare: Any = None
    ) -> RiskClassifier:
        """Learn trees and calibration.

        Parameters
        ----------
        X : DataFrame or array, shape (n_rows, n_features)
            Features, NaN where missing; indexed by ``(household_id, as_of_date)`` as :func:`riskml.training_set`
            gives them. float32 and float64 are used as given, without a copy of the whole (other numbers become
            float64); row by row in memory (C order) is fastest where they are many. Thresholds lie halfway between
            values that training saw, so rounding to float32 takes none of these across: a model learned from rounded
            rows gives the exact ones the same risk.
        y : Series or array, shape (n_rows,)
            Labels of two classes.
        sample_weight : array, shape (n_rows,), optional
            Weights; only their proportions count. Rows of weight 0 are left out.
        groups : Series or array of str, shape (n_rows,), optional
            One label a row (the beginning of an area's code, a category): :meth:`risk_interval` can then be asked for
            intervals that hold within each group. Trees and risks are the same with and without. A group with fewer
            than :data:`riskml.model.calibration.LEAST_EVENTS` rows of either outcome in the newest twelve months shares
            the interval of all; ``fit_summary_["interval_groups"]`` says which have their ``own`` and which are
            ``shared``. A label that is missing is the group ``missing``.
        outcome_welfare : Series or array of float, shape (n_rows,), optional
            Welfare that decided the outcomes, in lines (:func:`riskml.outcome_welfare`): below 1 where ``y`` is the
            second class. The trees then learn graded outcomes, ``1 / (1 + welfare ** (1 / grading))``, which vary less
            by chance than yes or no; calibration and intervals rest on ``y`` alone. Rows where it is NaN count as yes
            or no; where it always is, nothing is graded.

        Returns
        -------
        RiskClassifier
            Itself.

        Raises
        ------
        ValueError
            If values are infinite, labels missing or not of two classes, a tree larger than 31 leaves or depth 8,
            groups or welfare of another length or index than X, welfare contradicts the labels, or ``grading`` is not a
            number from 0 on.
        """
        if not (2 <= self.num_leaves <= MAX_LEAVES and 1 <= self.max_depth <= MAX_DEPTH):
            raise ValueError(
                f"trees have 2 to {MAX_LEAVES} leaves and depth 1 to {MAX_DEPTH}, so that explanations stay exact and "
                f"fast; got num_leaves={self.num_leaves}, max_depth={self.max_depth}"
            )
        if self.grading is not None and not 0 <= self.grading < np.inf:
            raise ValueError(f"grading must be None or a number from 0 on, got {self.grading}")
        if isinstance(y, pd.Series) and y.isna().any():
            raise ValueError(
                f"y is missing in {int(y.isna().sum())} rows; leave out rows whose outcome was not observed"
            )
        index = X.index if isinstance(X, pd.DataFrame) and "as_of_date" in (X.index.names or []) else None
        values, labels = validate_data(self, X, y, ensure_all_finite="allow-nan", dtype=_PRECISIONS)
        check_classification_targets(labels)
        if type_of_target(labels) != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(labels)}."
            )
        weight = _check_sample_weight(sample_weight, values, dtype=np.float64, ensure_non_negative=True)
        welfare = None if outcome_welfare is None else _beside(outcome_welfare, X, "outcome_welfare")
        order = np.arange(len(labels)) if index is None else np.asarray(index.argsort())
        order = order[weight[order] > 0]
        self.classes_, codes = np.unique(labels[order], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y holds one class only; both returned and not returned are needed")
        group = None if groups is None else _labels_of(groups, X)[order]
        household = dates = None
        if index is not None:
            dates = pd.DatetimeIndex(index.get_level_values("as_of_date"))[order]
            household = pd.factorize(index.get_level_values(0)[order])[0]
        weight = weight[order] / weight[order].mean()
        grading, target = 0.0, None
        if welfare is not None and welfare.notna().any():
            grading = default_grading(int(codes.sum())) if self.grading is None else self.grading
            target = _graded(codes, welfare, order, grading) if grading else None
        rows = Rows(MatrixRows(values, order), codes.astype(np.int64), weight, household, dates, group, target)
        names = [str(name) for name in getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[1])])]
        self.dictionary_ = _meanings(self.dictionary, names)
        self.booster_ = self._boost(rows)
        self.calibrator_ = (
            calibrate(rows, self._trained, horizon_months=self.horizon_months, seed=self.random_state)
            if self.calibrate
            else Calibration(reason="not asked for")
        )
        self.fit_summary_ = _summary(rows, self.calibrator_, self.horizon_months)
        if grading:
            self.fit_summary_["grading"] = grading
        self.refits_: tuple[lgb.Booster, ...] = ()
        self.net_: RiskClassifier | None = None
        return self

    @property
    def calibration_(self) -> tuple[float, float]:
        """Slope and intercept of the calibrated log-odds."""
        return self.calibrator_.slope, self.calibrator_.intercept

    def decision_function(self, X: Any) -> FloatArray:
        """Return the calibrated log-odds of the second class.

        Parameters
        ----------
        X : DataFrame or array, shape (n_rows, n_features)
            Features, columns in any order.

        Returns
        -------
        ndarray of float64, shape (n_rows,)
            Log-odds.

        Raises
        ------
        ValueError
            If columns are missing, unknown or infinite. Columns in another order are put right.
        """
        check_is_fitted(self, "booster_")
        return self.calibrator_.log_odds(self._margin(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """Return the probabilities of the two classes.

        Parameters
        ----------
        X : DataFrame or array, shape (n_rows, n_features)
            Features, columns in any order.

        Returns
        -------
        ndarray of float64, shape (n_rows, 2)
            Probabilities, in the order of ``classes_``.
        """
        risk = expit(self.decision_function(X))
        return np.column_stack([1 - risk, risk])

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likelier class of each row. A list of households is a matter of rank, not of this.

        Parameters
        ----------
        X : DataFrame or array, shape (n_rows, n_features)
            Features, columns in any order.

        Returns
        -------
        ndarray, shape (n_rows,)
            Classes.
        """
        log_odds = self.decision_function(X)
        return self.classes_[(log_odds > 0).astype(np.int64)]

    def predict_risk(self, X: pd.DataFrame) -> pd.Series:
        """Return the calibrated probability of returning below the line.

        Parameters
        ----------
        X : DataFrame, shape (n_rows, n_features)
            Features, columns in any order.

        Returns
        -------
        Series of float64
            ``risk``, indexed as X.
        """
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.Series(expit(self.decision_function(X)), index=index, name="risk")

    def risk_interval(self, X: pd.DataFrame, *, coverage: float = 0.9, groups: Any = None) -> pd.DataFrame:
        """Return how far the probability itself is known.

        The interval holds that of the calibration's line (how well its slope and level are known, households as
        clusters) and that of the outcomes without the line (:class:`riskml.model.venn_abers.VennAbers`); both count how
        far the level moves from one horizon to the next. With at least ``coverage`` it holds the share of returns among
        households of the same score in the coming horizon, as long as levels go on moving as they did. With ``groups``
        (Mondrian Venn-Abers: the outcomes of the row's own group) the same is said of the households of the same score
        *and group*, also of a group whose risk the model gets wrong; where levels move, of that group as far as its
        level moves with that of all. It always holds the risk, and says nothing of one household's fate.

        Parameters
        ----------
        X : DataFrame, shape (n_rows, n_features)
            Features.
        coverage : float, default 0.9
            Between 0 and 1.
        groups : Series or array of str, shape (n_rows,), optional
            The group of each row, as ``fit`` was given them. A group that training had too few outcomes of, or did not
            know, has the interval of all.

        Returns
        -------
        DataFrame
            ``risk_lower, risk_upper``, indexed as X; NaN where there was too little data to
            calibrate, or it was not asked for.

        Raises
        ------
        ValueError
            If the coverage is not between 0 and 1, X does not fit, or there are groups and ``fit`` was given none.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage must lie between 0 and 1, got {coverage}")
        margin = self._margin(X)
        if groups is not None and "interval_groups" not in self.fit_summary_:
            raise ValueError("the model knows no intervals by group: give groups= to fit, or none here")
        bounds = self.calibrator_.interval(margin, coverage, None if groups is None else _labels_of(groups, X))
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(bounds, index=index, columns=["risk_lower", "risk_upper"])

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
        known, given = set(self.feature_names_in_), [str(name) for name in X.columns]
        wrong = {
            "missing": [name for name in self.feature_names_in_ if name not in set(given)],
            "unknown to the model": [name for name in given if name not in known],
            "twice there": [str(name) for name in X.columns[X.columns.duplicated()]],
        }
        said = [f"{len(names)} {what}: {', '.join(names[:5])}" for what, names in wrong.items() if names]
        if said:
            # scikit-learn's own words first: its checks look for them.
            raise ValueError(
                "The feature names should match those that were passed during fit.\n"
                f"Columns: {'; '.join(said)}. Compute X with feature_table from data with the same tables."
            )
        return X[list(self.feature_names_in_)]

    def _margin(self, X: Any) -> FloatArray:
        check_is_fitted(self, "booster_")
        values = validate_data(self, self._aligned(X), reset=False, ensure_all_finite="allow-nan", dtype=_PRECISIONS)
        return np.asarray(self.booster_.predict(values, raw_score=True))

    def _trained(self, rows: Rows) -> Any:
        """Return the function that gives the margins of a booster trained on rows."""
        booster = self._boost(rows)
        return lambda X: np.concatenate([booster.predict(batch, raw_score=True) for batch in X.batches()])

    def _boost(self, rows: Rows) -> lgb.Booster:
        directions = self.dictionary_["direction"].astype(int).tolist()
        settings = {
            # The same loss, of outcomes that are yes or no, and of graded ones.
            "objective": "binary" if rows.target is None else "cross_entropy",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "min_child_samples": self.min_child_samples,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            # Few thresholds a column: smoother steps, and faster.
            "max_bin": 63,
            "lambda_l2": self.lambda_l2,
            "monotone_constraints": directions if self.monotone and any(directions) else None,
            "deterministic": True,
            # Each column's sums in the order of the rows, whatever the threads, and no second copy of all bins.
            "force_col_wise": True,
            "seed": self.random_state,
            "num_threads": self.n_jobs,
            "verbose": -1,
        }
        seen = rows.X.without_repeats()
        # The sample that bins are made from is read row by row: what fits a batch is faster in one piece.
        learned = rows.y if rows.target is None else rows.target
        data = lgb.Dataset(seen[:] if len(seen) <= seen.batch_size else seen, learned, weight=rows.weight)
        booster = lgb.train({k: v for k, v in settings.items() if v is not None}, data, self.n_estimators)
        return booster if rows.target is None else as_binary(booster)


def _summary(rows: Rows, calibration: Calibration, horizon_months: int) -> dict[str, Any]:
    """Return what the model learned from, as plain values."""
    said: dict[str, Any] = {
        "rows": len(rows.y),
        "events": int(rows.y.sum()),
        "horizon_months": int(horizon_months),
        "calibration_source": calibration.source,
        "calibration_reason": calibration.reason,
    }
    if rows.household is not None and rows.dates is not None:
        said["households"] = len(np.unique(rows.household))
        said["first_as_of_date"] = f"{rows.dates.min():%Y-%m-%d}"
        said["last_as_of_date"] = f"{rows.dates.max():%Y-%m-%d}"
    if rows.group is not None:
        own = sorted(calibration.group_curves)
        shared = sorted(set(pd.unique(rows.group)) - set(own))
        said["interval_groups"] = {"own": own, "shared": shared}
    return said


def _beside(given: Any, X: Any, name: str) -> pd.Series:
    """Return values given beside X, one a row, or refuse them."""
    values = pd.Series(given)
    if len(values) != len(X):
        raise ValueError(f"{name} must hold one value a row, got {len(values)} for {len(X)} rows")
    if isinstance(given, pd.Series) and isinstance(X, pd.DataFrame) and not given.index.equals(X.index):
        raise ValueError(f"{name} and X are indexed differently; put them in one order first")
    return values


def _labels_of(groups: Any, X: Any) -> NDArray[Any]:
    """Return the label of each row as text, ``missing`` where there is none."""
    labels = _beside(groups, X, "groups")
    return np.where(labels.isna(), "missing", labels.astype(str)).astype(object)


def default_grading(returns: int) -> float:
    """Return how softly the line divides outcomes of which so many are returns."""
    return float(np.clip(0.05 * np.cbrt(1000 / max(returns, 1)), 0.05, 0.1))


def _graded(codes: NDArray[np.int64], welfare: pd.Series, order: NDArray[np.int64], grading: float) -> FloatArray:
    """Return outcomes between 0 and 1 by the distance to the line on which households came out, in training order."""
    lines = welfare.to_numpy(dtype=np.float64)[order]
    known = ~np.isnan(lines)
    wrong = known & ((lines < 1) != (codes == 1))
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f"outcome_welfare contradicts y in {int(wrong.sum())} rows (first: {welfare.index[order[first]]}, welfare "
            f"{lines[first]:.4g} lines, y of class {codes[first]}); y is the second class where welfare is below 1"
        )
    # Welfare of nothing, or less, is as far below the line as any.
    with np.errstate(divide="ignore"):
        graded = expit(-np.log(np.maximum(lines, 0.0)) / grading)
    return np.where(known, graded, codes)


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
