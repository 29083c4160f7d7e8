"""Doubly robust averages: what a treatment did on average, from two guesses of which one must be right.

With treatment ``D``, outcome ``Y``, features ``X``, propensity ``e = P(D = 1 | X)`` and the risks ``m0, m1`` without
and with treatment, the scores of a row are (Robins, Rotnitzky, Zhao 1994)

    without: m0 + (1 - D) (Y - m0) / (1 - e)        with: m1 + D (Y - m1) / e

Each guess is made for a household by models that have seen neither it nor its neighbours (Chernozhukov et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.model_selection import GroupKFold

FloatArray = NDArray[np.float64]
Estimand = Literal["att", "ato", "ate"]
#: Estimands, and whom they average over.
ESTIMANDS: dict[str, tuple[str, str]] = {
    "att": ("those who started it", "实际开始得到帮扶者"),
    "ato": ("those who could as well have started it as not", "开始与否皆有可能者"),
    "ate": ("all whom practice gives it", "现行做法可及的全部住户"),
}
#: Half the width of a 95 % interval in standard errors.
Z95 = 1.959964
#: Small trees, drawn in strongly. Fewer, or a fifth of the columns a tree, leave the chance of a start too flat: the
#: comparison then holds households that could not have got the measure.
_TREES: dict[str, Any] = {
    "objective": "binary",
    "num_leaves": 8,
    "learning_rate": 0.1,
    "min_data_in_leaf": 40,
    "lambda_l2": 10.0,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 63,
    "bin_construct_sample_cnt": 5000,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
_N_TREES = 80
#: Trees that turn the risk of those not treated into that of the few treated.
_N_MORE = 15
#: Untreated rows that the first look at who is ever treated learns from, at most.
_N_LOOKED_AT = 10_000
#: Probabilities are kept this far from 0 and 1, so that odds are finite.
_EDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Guesses:
    """What is guessed of every row, by models that have not seen its fold.

    Attributes
    ----------
    propensity : ndarray of shape (n_rows,)
        Probability of treatment.
    untreated, treated : ndarray of shape (n_rows,)
        Expected outcome without and with treatment.
    """

    propensity: FloatArray
    untreated: FloatArray
    treated: FloatArray

    def of(self, rows: NDArray) -> Guesses:
        """Return the guesses of some rows.

        Parameters
        ----------
        rows : ndarray
            Positions, or a mask.

        Returns
        -------
        Guesses
            Of these rows.
        """
        return Guesses(self.propensity[rows], self.untreated[rows], self.treated[rows])


@dataclass(frozen=True)
class Average:
    """An average effect with its standard error.

    Attributes
    ----------
    difference : float
        Mean outcome with minus mean outcome without treatment.
    standard_error : float
        Of the difference, over clusters.
    untreated, treated : float
        Mean outcome of the same rows without and with treatment.
    log_ratio_error : float
        Standard error of ``log(treated / untreated)``; NaN where one of them is not positive.
    effective : float
        Untreated rows of equal weight that would say as much as those weighted (Kish).
    """

    difference: float
    standard_error: float
    untreated: float
    treated: float
    log_ratio_error: float
    effective: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference."""
        return self.difference - Z95 * self.standard_error, self.difference + Z95 * self.standard_error

    @property
    def ratio_interval(self) -> tuple[float, float, float]:
        """The risk ratio with its 95 % interval; NaN where it has none."""
        if not (self.untreated > 0 and self.treated > 0):
            return np.nan, np.nan, np.nan
        ratio, factor = self.treated / self.untreated, float(np.exp(Z95 * self.log_ratio_error))
        return ratio, ratio / factor, ratio * factor


def rough_propensity(
    X: pd.DataFrame, treated: ArrayLike, *, folds_of: ArrayLike, n_folds: int = 5, random_state: int = 0
) -> FloatArray:
    """Return a first look at who is treated, learned on those treated and a sample of the others.

    It tells whom practice hardly ever treats. They say nothing of the effect and are better left out before anything
    finer is learned; whether a row stays then depends on its features alone, never on whether it was treated.

    Parameters
    ----------
    X : DataFrame, shape (n_rows, n_features)
        What happened before treatment; may hold NaN.
    treated : array-like of 0 and 1, shape (n_rows,)
        The treatment.
    folds_of : array-like, shape (n_rows,)
        Rows of one value stay in one fold.
    n_folds : int, default 5
        Folds.
    random_state : int, default 0
        Of folds, sample and trees.

    Returns
    -------
    ndarray of shape (n_rows,)
        Probability of treatment, by a model that has not seen the row's fold.
    """
    values, d = X.to_numpy(dtype=np.float32), np.asarray(treated, dtype=bool)
    odds, rng = np.empty(len(d)), np.random.default_rng(random_state)
    for train, test in _folds(folds_of, n_folds, random_state):
        treated_rows, others = train[d[train]], train[~d[train]]
        looked_at = rng.choice(others, min(len(others), _N_LOOKED_AT), replace=False)
        rows = np.sort(np.concatenate([treated_rows, looked_at]))
        found = _predicted(_boosted(values[rows], d[rows], random_state), values[test])
        odds[test] = found / (1 - found) * len(looked_at) / max(len(others), 1)
    return odds / (1 + odds)


def cross_fit(
    X: pd.DataFrame,
    treated: ArrayLike,
    y: ArrayLike,
    *,
    folds_of: ArrayLike,
    n_folds: int = 5,
    random_state: int = 0,
    propensity: ArrayLike | None = None,
) -> Guesses:
    """Guess propensity and expected outcomes of every row by LightGBM models that have not seen its fold.

    The outcome with treatment starts from that without and is corrected by a few trees on those treated, who are few.

    Parameters
    ----------
    X : DataFrame, shape (n_rows, n_features)
        What happened before treatment; may hold NaN.
    treated : array-like of 0 and 1, shape (n_rows,)
        The treatment.
    y : array-like of float, shape (n_rows,)
        The outcome: 0 and 1, or any number.
    folds_of : array-like, shape (n_rows,)
        Rows of one value stay in one fold: households, or the areas they live in.
    n_folds : int, default 5
        Folds; fewer if there are fewer values of ``folds_of``.
    random_state : int, default 0
        Of folds and trees.
    propensity : array-like of float, shape (n_rows,), optional
        Probability of treatment where it is known: drawn by lot, or guessed before.

    Returns
    -------
    Guesses
        In the order of the rows.
    """
    values, d, outcome = X.to_numpy(dtype=np.float32), np.asarray(treated, dtype=bool), np.asarray(y, dtype=np.float64)
    binary = bool(np.isin(outcome, (0, 1)).all())
    chance, m0, m1 = np.empty(len(d)), np.empty(len(d)), np.empty(len(d))
    for train, test in _folds(folds_of, n_folds, random_state):
        if propensity is None:
            chance[test] = _predicted(_boosted(values[train], d[train], random_state), values[test])
        untreated, helped = train[~d[train]], train[d[train]]
        base = _boosted(values[untreated], outcome[untreated], random_state, binary=binary)
        more = _boosted(
            values[helped],
            outcome[helped],
            random_state,
            binary=binary,
            start=_predicted(base, values[helped], raw=True),
            n_trees=_N_MORE,
        )
        m0[test] = _predicted(base, values[test])
        added = _predicted(more, values[test], raw=True)
        m1[test] = expit(logit(_inside(m0[test])) + added) if binary else m0[test] + added
    return Guesses(_inside(chance if propensity is None else propensity), m0, m1)


def average_effect(
    guesses: Guesses,
    treated: ArrayLike,
    y: ArrayLike,
    *,
    clusters: ArrayLike,
    estimand: Estimand = "att",
    where: ArrayLike | None = None,
) -> Average:
    """Return the doubly robust average effect with a standard error over clusters.

    With the weights ``h`` of the rows averaged over (``att``: e, ``ato``: e (1 - e), ``ate``: 1)::

        sum of h (m1 - m0) + D h/e (Y - m1) - (1 - D) h/(1 - e) (Y - m0)   over   sum of h

    For ``att`` the rows treated take the place of ``h``, so that ``m1`` is not needed: the mean of ``Y`` among them
    stands against the mean of ``m0`` among them, corrected by the residuals of the untreated with weights ``e/(1-e)``.
    The standard error comes from the influence of each row, summed by cluster; for ``ato`` it holds that of the
    guessed weights too (Crump et al. 2006).

    Parameters
    ----------
    guesses : Guesses
        As :func:`cross_fit` gives them, or one's own.
    treated : array-like of 0 and 1, shape (n_rows,)
        The treatment.
    y : array-like of float, shape (n_rows,)
        The outcome.
    clusters : array-like, shape (n_rows,)
        Rows that belong together: the household.
    estimand : {"att", "ato", "ate"}, default "att"
        Whom the average is over: those treated, those of whom it was most open (Li, Morgan, Zaslavsky 2018), all.
    where : array-like of bool, optional
        A group of rows; default all.

    Returns
    -------
    Average
        Of the group.

    Raises
    ------
    ValueError
        If the estimand is unknown, or nobody in the group was treated or everybody was.

    Examples
    --------
    >>> treated, y = np.array([1, 1, 0, 0, 0, 0]), np.array([1, 0, 1, 1, 1, 0])
    >>> flat = Guesses(np.full(6, 1 / 3), np.full(6, 0.75), np.full(6, 0.5))
    >>> average_effect(flat, treated, y, clusters=range(6)).difference
    -0.25
    """
    if estimand not in ESTIMANDS:
        raise ValueError(f"estimand must be one of {', '.join(ESTIMANDS)}, got {estimand!r}")
    d, outcome = np.asarray(treated, dtype=np.float64), np.asarray(y, dtype=np.float64)
    group = np.asarray(clusters)
    if where is not None:
        rows = np.flatnonzero(np.asarray(where))
        guesses, d, outcome, group = guesses.of(rows), d[rows], outcome[rows], group[rows]
    if not 0 < d.sum() < len(d):
        raise ValueError(f"{int(d.sum())} of {len(d)} rows were treated; an effect needs both treated and untreated")
    e, m0, m1 = guesses.propensity, guesses.untreated, guesses.treated
    if estimand == "att":
        # Weights that sum to the number treated (Hájek) keep the mean within the range of the outcomes.
        weight = (1 - d) * e / (1 - e)
        weight *= d.sum() / weight.sum()
        h = d
        with_, without = d * outcome, d * m0 + weight * (outcome - m0)
        drift = np.zeros_like(e)
    else:
        h = e * (1 - e) if estimand == "ato" else np.ones_like(e)
        weight = (1 - d) * h / (1 - e)
        with_ = h * m1 + d * h / e * (outcome - m1)
        without = h * m0 + weight * (outcome - m0)
        drift = (1 - 2 * e) * (d - e) if estimand == "ato" else np.zeros_like(e)
    total = h.sum()
    risk_with, risk_without = with_.sum() / total, without.sum() / total
    influence_with = with_ - h * risk_with + drift * (m1 - risk_with)
    influence_without = without - h * risk_without + drift * (m0 - risk_without)
    error = _clustered(influence_with - influence_without, group) / total
    log_error = np.nan
    if risk_with > 0 and risk_without > 0:
        log_error = _clustered(influence_with / risk_with - influence_without / risk_without, group) / total
    effective = float(weight.sum() ** 2 / (weight @ weight))
    difference = float(risk_with - risk_without)
    return Average(difference, error, float(risk_without), float(risk_with), log_error, effective)


def _clustered(influence: FloatArray, clusters: NDArray) -> float:
    """Return the root of the sum of squared sums by cluster, for so many clusters."""
    sums = np.bincount(pd.factorize(clusters)[0], influence)
    return float(np.sqrt((sums @ sums) * len(sums) / max(len(sums) - 1, 1)))


def _folds(folds_of: ArrayLike, n_folds: int, random_state: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    groups = pd.factorize(np.asarray(folds_of))[0]
    n_groups = int(groups.max()) + 1
    if n_groups < 2:
        raise ValueError("all rows are of one household or area; guesses by models that have not seen it need more")
    return list(
        GroupKFold(min(n_folds, n_groups), shuffle=True, random_state=random_state).split(groups, groups=groups)
    )


def _boosted(
    values: NDArray[np.float32],
    target: NDArray,
    random_state: int,
    *,
    binary: bool = True,
    start: FloatArray | None = None,
    n_trees: int | None = None,
) -> lgb.Booster:
    parameters = {**_TREES, "seed": random_state, "objective": "binary" if binary else "regression"}
    data = lgb.Dataset(values, label=target.astype(np.float64), init_score=start, params=parameters)
    return lgb.train(parameters, data, num_boost_round=n_trees or _N_TREES)


def _predicted(booster: lgb.Booster, values: NDArray[np.float32], *, raw: bool = False) -> FloatArray:
    return np.asarray(booster.predict(values, raw_score=raw), dtype=np.float64)


def _inside(probability: ArrayLike) -> FloatArray:
    return np.clip(np.asarray(probability, dtype=np.float64), _EDGE, 1 - _EDGE)
