"""The same trees with a newer calibration: from new outcomes, or from new features where no outcome is known yet.

Both give a new model and leave the one given as it is. The calibration stays a line in the log-odds, so that
explanations stay exact and the order of households stays as it was (but for the slope's rounding).
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from riskml.findings import in_words
from riskml.model.calibration import (
    PRIOR_LEVEL_SD,
    PRIOR_SLOPE_SD,
    SLOPE_LIMITS,
    Calibration,
    household_sums,
    posterior_mode,
)
from riskml.model.classifier import RiskClassifier

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: No base rate moves further than this in log-odds between two trainings; features that ask for more are of another
#: population.
_FURTHEST = 3.0


def recalibrate(
    model: RiskClassifier, X: pd.DataFrame, y: pd.Series, *, sample_weight: ArrayLike | None = None
) -> RiskClassifier:
    """Return the model with its level and slope drawn to new outcomes.

    What is known of level and slope now is the prior: the level is normal around the present one with the variance
    ``level_se^2 + level_sd^2`` (it has moved for a horizon), the slope around the present one with ``slope_se^2``. So
    a hundred new returns set the level and hardly move the slope, and no outcome at all changes nothing. The interval
    follows: its standard errors are those of the posterior, its Venn-Abers steps (of groups too) move with the line.

    Parameters
    ----------
    model : RiskClassifier
        Fitted.
    X : DataFrame, shape (n_rows, n_features)
        Features on as-of dates after all the model learned from, indexed as :func:`riskml.training_set` gives them.
    y : Series, shape (n_rows,)
        What became of them: the two classes of the model, none missing.
    sample_weight : array, shape (n_rows,), optional
        Weights; only their proportions count.

    Returns
    -------
    RiskClassifier
        The same trees; ``fit_summary_["recalibrations"]`` says what was done, the newest last.

    Raises
    ------
    ValueError
        If outcomes are missing, too few or of other classes, or an as-of date is one the model has learned from.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"welfare": rng.uniform(1, 3, 800)})
    >>> y = pd.Series(rng.random(800) < 1 / X["welfare"] ** 3).astype(float)
    >>> model = RiskClassifier(n_estimators=50).fit(X, y)
    >>> twice = recalibrate(model, X, (y + (rng.random(800) < 0.2)).clip(upper=1))
    >>> bool(twice.predict_risk(X).mean() > model.predict_risk(X).mean() + 0.05)
    True
    """
    margin = model._margin(X)
    outcome = pd.Series(y)
    wrong = ~outcome.isin(model.classes_)
    if wrong.any() or not len(outcome):
        raise ValueError(
            f"y has {int(wrong.sum())} of {len(outcome)} outcomes that are missing or not of the model's classes; "
            "give observed outcomes only"
        )
    dates = _dates(X)
    learned = last_learned(model)
    if dates is not None and learned is not None and dates.min() <= learned:
        raise ValueError(
            f"the model has learned from as-of dates up to {learned:%Y-%m-%d}; outcomes to recalibrate with must be of "
            f"later dates, and the first is of {dates.min():%Y-%m-%d}"
        )
    weight = np.ones(len(margin)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    household = None if dates is None else pd.factorize(X.index.get_level_values(0))[0].astype(np.int64)
    labels = (outcome.to_numpy() == model.classes_[1]).astype(np.float64)
    updated = updated_calibration(model.calibrator_, margin, labels, weight / weight.mean(), household)
    said: dict[str, Any] = {"how": "new outcomes", "rows": len(margin), "events": int(labels.sum())}
    return _with_calibration(model, updated, said, dates)


def shift_base_rate(model: RiskClassifier, X: pd.DataFrame) -> RiskClassifier:
    """Return the model with its level at the base rate that the features of today speak for, without outcomes.

    Prior-shift correction of Saerens, Latinne and Decaestecker (2002): the base rate at which the mean of the risks,
    corrected for it, is that base rate (where their EM ends). It is right where *only* the base rate has moved: those
    who will return look as those who returned did, there are but more of them (Lipton, Wang and Smola 2018, label
    shift). Where a crisis makes households fall who look as safe as before, the features do not show it and the
    correction is wrong, even in its sign. New outcomes (:func:`recalibrate`) are better wherever there are any.

    Parameters
    ----------
    model : RiskClassifier
        Fitted, with a calibration.
    X : DataFrame, shape (n_rows, n_features)
        Features of all households at risk today.

    Returns
    -------
    RiskClassifier
        The same trees; ``fit_summary_["recalibrations"]`` says what was done, the newest last.

    Raises
    ------
    ValueError
        If the model has no calibration, or no base rate fits the features.
    """
    shifted = shifted_calibration(model.calibrator_, model._margin(X))
    said: dict[str, Any] = {"how": "base rate from features", "rows": len(X), "base_rate": shifted.base_rate}
    return _with_calibration(model, shifted, said, _dates(X))


def last_learned(model: RiskClassifier) -> pd.Timestamp | None:
    """Return the newest as-of date whose outcomes a model has learned from; None if its rows had no dates."""
    steps = [model.fit_summary_, *model.fit_summary_.get("recalibrations", [])]
    dates = [
        step["last_as_of_date"]
        for step in steps
        if step.get("how") != "base rate from features" and "last_as_of_date" in step
    ]
    return pd.Timestamp(max(dates)) if dates else None


def updated_calibration(
    known: Calibration, margin: FloatArray, y: FloatArray, weight: FloatArray, household: IntArray | None
) -> Calibration:
    """Return a calibration after new outcomes: the posterior mode of level and slope given what was known.

    Parameters
    ----------
    known : Calibration
        The present one. Where it was not learned, its prior is that of a first calibration.
    margin : ndarray of shape (n_rows,)
        Margins of the new rows.
    y : ndarray of shape (n_rows,)
        Outcomes 0/1.
    weight : ndarray of shape (n_rows,)
        Weights, mean 1.
    household : ndarray of shape (n_rows,), optional
        A number per household.

    Returns
    -------
    Calibration
        Level and slope with standard errors clustered by household, the prior counted as one more observation.
    """
    level_sd = known.level_sd or PRIOR_LEVEL_SD
    prior_sd = np.array([np.hypot(known.level_se, level_sd), known.slope_se or PRIOR_SLOPE_SD])
    precision = prior_sd**-2
    before = known.slope * known.centre + known.intercept
    design = np.column_stack([np.ones(len(margin)), margin - known.centre])
    found = posterior_mode(design, y, weight, np.array([before, known.slope]), precision)
    p = expit(design @ found)
    information = weight * p * (1 - p)
    score = np.column_stack(
        [household_sums(household, np.arange(len(y)), weight * (y - p) * column) for column in design.T]
    )
    bread = np.linalg.inv((design * information[:, None]).T @ design + np.diag(precision))
    covariance = bread @ (score.T @ score + np.diag(precision)) @ bread
    level, slope = float(found[0]), float(np.clip(found[1], *SLOPE_LIMITS))
    intercept = level - slope * known.centre
    stretch = slope / known.slope
    return replace(
        _moved(known, stretch, intercept - stretch * known.intercept),
        slope=slope,
        intercept=intercept,
        slope_se=float(np.sqrt(covariance[1, 1])),
        level_se=float(np.sqrt(covariance[0, 0])),
        level_sd=level_sd,
        source="new_outcomes" if known.source == "none" else known.source,
        reason="" if known.source == "none" else known.reason,
        base_rate=float(np.average(y, weights=weight)),
    )


def shifted_calibration(known: Calibration, margin: FloatArray) -> Calibration:
    """Return a calibration with the level of the base rate that margins without outcomes speak for.

    Parameters
    ----------
    known : Calibration
        The present one; its ``base_rate`` is where the correction starts.
    margin : ndarray of shape (n_rows,)
        Margins of all households today.

    Returns
    -------
    Calibration
        The level moved by ``logit(new base rate) - logit(base_rate)``.

    Raises
    ------
    ValueError
        If the calibration was not learned, or no base rate within a factor of twenty in odds fits.
    """
    if known.source == "none" or not 0 < known.base_rate < 1:
        raise ValueError(
            in_words(
                "the model was not calibrated, or its bundle is of the older format, so there is no base rate to "
                "correct; use outcomes, or train again",
                "模型未经校准，或模型包为旧格式，没有可修正的基础返贫率；请使用结果数据，或重新训练",
            )
        )
    z, start = known.log_odds(margin), logit(known.base_rate)

    def excess(move: float) -> float:
        """Return by how much the mean of the corrected risks exceeds the base rate they were corrected for."""
        return float(expit(z + move).mean() - expit(start + move))

    if not excess(-_FURTHEST) > 0 > excess(_FURTHEST):
        raise ValueError(
            in_words(
                "no base rate near that of the training fits these features: they are of another population. "
                "Wait for outcomes, or train again",
                "没有接近训练时的基础返贫率与这些特征相符：数据所属群体不同。请等待结果数据，或重新训练",
            )
        )
    move = float(brentq(excess, -_FURTHEST, _FURTHEST, xtol=1e-12))
    return replace(_moved(known, 1.0, move), intercept=known.intercept + move, base_rate=float(expit(start + move)))


def _moved(known: Calibration, stretch: float, move: float) -> Calibration:
    """Return a calibration whose Venn-Abers steps, those of the groups too, have moved with its line."""
    return replace(
        known,
        curve=None if known.curve is None else known.curve.moved(stretch, move),
        group_curves={name: curve.moved(stretch, move) for name, curve in known.group_curves.items()},
    )


def _with_calibration(
    model: RiskClassifier, calibration: Calibration, said: dict[str, Any], dates: pd.DatetimeIndex | None
) -> RiskClassifier:
    """Return the model with another calibration, and what was done in its summary."""
    if dates is not None:
        said |= {"first_as_of_date": f"{dates.min():%Y-%m-%d}", "last_as_of_date": f"{dates.max():%Y-%m-%d}"}
    before, now = model.calibrator_, calibration
    said |= {
        "slope_before": before.slope,
        "slope": now.slope,
        "level_moved": now.slope * now.centre + now.intercept - before.slope * now.centre - before.intercept,
    }
    new = copy(model)
    new.calibrator_ = calibration
    new.fit_summary_ = {**model.fit_summary_, "recalibrations": [*model.fit_summary_.get("recalibrations", []), said]}
    return new


def _dates(X: pd.DataFrame) -> pd.DatetimeIndex | None:
    return pd.DatetimeIndex(X.index.get_level_values("as_of_date")) if "as_of_date" in X.index.names else None
