"""Two numbers that turn margins into probabilities, learned on rows the trees have not seen.

A margin is the log-odds that a booster gives. Calibration is affine in it, ``slope * margin + intercept``, so that
contributions stay exact after it. The slope is learned forward in time (does the model rank too boldly?), the level on
the newest outcomes (how many return now?): a past model's error of level says more about the years it missed than
about the model in use, which has seen them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from sklearn.model_selection import StratifiedKFold

from riskml.features.split import TemporalSplit
from riskml.model.venn_abers import VennAbers, venn_abers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: How far slopes lie from 1 and the level of one year from that of the year before, as standard deviations in log-odds.
#: The second is what the Argentine panel shows (base rates of 8 to 17 % in three years). With many events they matter
#: little.
PRIOR_SLOPE_SD, PRIOR_LEVEL_SD = 0.25, 0.3
SLOPE_LIMITS = (0.5, 2.0)
#: Fewer returns than this teach nothing about calibration.
LEAST_EVENTS = 10
_N_FOLDS, _N_BLOCKS = 3, 3


@dataclass(frozen=True)
class Calibration:
    """The calibration and how well it is known.

    Attributes
    ----------
    slope, intercept : float
        Calibrated log-odds are ``slope * margin + intercept``.
    centre : float
        Mean margin of the rows the level was learned on, each by its information ``risk x (1 - risk)``: there an error
        of the slope leaves the level alone.
    slope_se, level_se : float
        Standard errors of the slope and of the level at ``centre`` (clustered by household; the prior counted).
    level_sd : float
        Standard deviation of the level from one horizon to the next; 0 where rows have no dates.
    source : str
        Where the slope came from: ``forward_chained``, ``household_folds``, ``row_folds``, ``new_outcomes``,
        ``none``.
    reason : str
        Why not something better, ``""`` if nothing is better.
    base_rate : float
        Share that returned among the rows the level was learned on; 0 where it is not known.
    curve : VennAbers, optional
        What their outcomes say of each margin without the line; None where nothing was learned.
    group_curves : mapping of str to VennAbers
        The same from the rows of one group alone, for the groups with outcomes enough.
    """

    slope: float = 1.0
    intercept: float = 0.0
    centre: float = 0.0
    slope_se: float = 0.0
    level_se: float = 0.0
    level_sd: float = 0.0
    source: str = "none"
    reason: str = ""
    base_rate: float = 0.0
    curve: VennAbers | None = None
    group_curves: Mapping[str, VennAbers] = field(default_factory=dict)

    def log_odds(self, margin: FloatArray) -> FloatArray:
        """Return the calibrated log-odds of margins."""
        return self.slope * margin + self.intercept

    def interval(self, margin: FloatArray, coverage: float, groups: NDArray[Any] | None = None) -> FloatArray:
        """Return lower and upper risk, shape (n_rows, 2); NaN where nothing was learned of the calibration.

        From the lower bound of two intervals to the upper: that of the line, right if risk is affine in the log-odds,
        and that of the Venn-Abers steps, right if risk rises with the margin. Both count how far the level moves. The
        steps are those of the row's group where it has its own, else those of all rows.
        """
        if self.source == "none":
            return np.full((len(margin), 2), np.nan)
        quantile, level_variance = ndtri(0.5 + coverage / 2), self.level_se**2 + self.level_sd**2
        z = self.log_odds(margin)
        half = quantile * np.sqrt(level_variance + (self.slope_se * (margin - self.centre)) ** 2)
        lower, upper = z - half, z + half
        if self.curve is not None:
            steps = self.curve.interval(margin, coverage)
            for name, curve in {} if groups is None else self.group_curves.items():
                own = groups == name
                steps[own] = curve.interval(margin[own], coverage)
            low, centre, high = logit(steps).T
            half = quantile * np.sqrt(level_variance)
            # At a low coverage both bounds may lie on one side of the centre.
            lower = np.minimum(lower, centre - np.hypot(np.maximum(centre - low, 0), half))
            upper = np.maximum(upper, centre + np.hypot(np.maximum(high - centre, 0), half))
        return expit(np.column_stack([lower, upper]))

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Rows:
    """Training rows with what calibration must know of them.

    Attributes
    ----------
    X : MatrixRows or ndarray of shape (n_rows, n_features)
        Features; of the former, positions give views.
    y, weight : ndarray of shape (n_rows,)
        Outcome 0/1 and weight (mean 1).
    household : ndarray of shape (n_rows,), optional
        A number per household; None where rows have no households.
    dates : DatetimeIndex of length n_rows, optional
        As-of dates; None where rows have none.
    group : ndarray of str, shape (n_rows,), optional
        Whose outcomes give the interval; None where there are no groups.
    target : ndarray of float64, shape (n_rows,), optional
        Graded outcomes between 0 and 1 that trees learn in place of ``y``; None where they learn ``y``.
    """

    X: Any
    y: IntArray
    weight: FloatArray
    household: IntArray | None = None
    dates: pd.DatetimeIndex | None = None
    group: NDArray[Any] | None = None
    target: FloatArray | None = None

    def take(self, rows: IntArray) -> Rows:
        """Return some of the rows."""
        household = None if self.household is None else self.household[rows]
        dates = None if self.dates is None else self.dates[rows]
        group = None if self.group is None else self.group[rows]
        target = None if self.target is None else self.target[rows]
        return Rows(self.X[rows], self.y[rows], self.weight[rows], household, dates, group, target)


#: Trains on the rows given and returns the margins of further features.
Trainer = Callable[[Rows], Callable[[Any], FloatArray]]


def calibrate(rows: Rows, train: Trainer, *, horizon_months: int, seed: int) -> Calibration:
    """Learn the calibration of a model on rows its trees have not seen.

    The slope comes from forward-chained margins: each block of later dates is scored by a model trained on rows whose
    outcome lay wholly before it, and every block has a level of its own, so that drift does not pass for boldness.
    Blocks whose past is under a quarter of the rows are left out, since a model of so few rows is bolder than the one
    in use. The level comes from margins of folds of households, on the as-of dates of the newest twelve months. Both
    are posterior modes under the priors ``PRIOR_SLOPE_SD`` and ``PRIOR_LEVEL_SD``. The Venn-Abers steps of the interval
    are those of the rows and margins of the level; a group with :data:`LEAST_EVENTS` rows of either outcome among them
    has steps of its own too.

    Parameters
    ----------
    rows : Rows
        The training rows.
    train : callable
        Trains a model on rows and returns the function that gives margins.
    horizon_months : int
        Months from the as-of date to the outcome.
    seed : int
        For the folds.

    Returns
    -------
    Calibration
        With slope 1 and intercept 0 where there are too few returns to learn from.
    """
    events = int(min(rows.y.sum(), len(rows.y) - rows.y.sum()))
    if events < LEAST_EVENTS:
        return Calibration(reason=f"{events} rows of the rarer outcome; calibration needs {LEAST_EVENTS}")
    # Features are many and margins few: keep only the latter of every fold.
    margin = _fold_margins(rows, train, seed)
    blocks, reason = _forward_blocks(rows, horizon_months)
    if blocks:
        fitted = _slope_of(rows, [(past, block, _margins(rows, train, past, block)) for past, block in blocks])
        source = "forward_chained"
    else:
        everything = np.arange(len(rows.y))
        fitted = _slope_of(rows, [(everything, everything, margin)])
        source = "row_folds" if rows.household is None else "household_folds"
    known = Calibration(slope=fitted[0], slope_se=fitted[1], source=source, reason=reason)
    return _with_level(known, rows, margin, horizon_months)


def fit_affine(
    margin: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    block: IntArray | None = None,
    *,
    prior_sd: float = np.inf,
) -> tuple[float, FloatArray]:
    """Fit one slope and a level per block by logistic regression (Cox 1958), the slope drawn to 1 by a normal prior.

    Parameters
    ----------
    margin : ndarray of shape (n_rows,)
        Log-odds.
    y : ndarray of shape (n_rows,)
        Outcomes 0/1.
    weight : ndarray of shape (n_rows,)
        Weights.
    block : ndarray of shape (n_rows,), optional
        Block numbers from 0; default one block.
    prior_sd : float, default inf
        Standard deviation of the prior of the slope; infinite: none.

    Returns
    -------
    slope : float
        The slope.
    levels : ndarray of shape (n_blocks,)
        Level of each block.

    References
    ----------
    Cox, D. R. (1958). Two further applications of a model for binary regression. Biometrika 45.
    """
    number = np.zeros(len(margin), dtype=np.int64) if block is None else block
    member = (number[:, None] == np.arange(number.max() + 1)).astype(np.float64)
    design = np.column_stack([margin, member])
    precision = np.zeros(design.shape[1])
    precision[0] = prior_sd**-2
    # A whisper of a prior on the levels keeps a block with one outcome only finite.
    precision[1:] = 1e-6
    prior = np.zeros(design.shape[1])
    prior[0] = 1.0
    found = posterior_mode(design, y, weight, prior, precision)
    return float(found[0]), found[1:]


def posterior_mode(
    design: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    prior: FloatArray,
    precision: FloatArray,
    offset: float | FloatArray = 0.0,
) -> FloatArray:
    """Return the posterior mode of a logistic regression with independent normal priors."""
    found = prior.copy()
    objective = _log_posterior(found, design, y, weight, prior, precision, offset)
    for _ in range(100):
        p = expit(design @ found + offset)
        gradient = design.T @ (weight * (y - p)) - precision * (found - prior)
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(precision + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        while (trial := _log_posterior(found + step, design, y, weight, prior, precision, offset)) < objective - 1e-12:
            step = step / 2
        found, objective = found + step, trial
        if np.abs(step).max() < 1e-10:
            break
    return found


def _log_posterior(
    found: FloatArray,
    design: FloatArray,
    y: FloatArray,
    weight: FloatArray,
    prior: FloatArray,
    precision: FloatArray,
    offset: float | FloatArray,
) -> float:
    z = design @ found + offset
    return float(weight @ (y * z - np.logaddexp(0, z)) - precision @ (found - prior) ** 2 / 2)


def _margins(rows: Rows, train: Trainer, past: IntArray, block: IntArray) -> FloatArray:
    return train(rows.take(past))(rows.X[block])


def _fold_margins(rows: Rows, train: Trainer, seed: int) -> FloatArray:
    """Return the margin of every row from a model that saw neither the row nor its household."""
    margin = np.empty(len(rows.y))
    for rest, fold in _folds(rows, seed):
        margin[fold] = _margins(rows, train, rest, fold)
    return margin


def _folds(rows: Rows, seed: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield folds of whole households, with events spread evenly: those that ever returned, and the others."""
    household = np.arange(len(rows.y)) if rows.household is None else rows.household
    ever = np.zeros(household.max() + 1, dtype=np.int64)
    np.maximum.at(ever, household, rows.y)
    folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=seed)
    for _, chosen in folds.split(np.zeros(len(ever)), ever):
        inside = np.zeros(len(ever), dtype=bool)
        inside[chosen] = True
        yield np.flatnonzero(~inside[household]), np.flatnonzero(inside[household])


def _forward_blocks(rows: Rows, horizon_months: int) -> tuple[list[tuple[IntArray, IntArray]], str]:
    """Return (past, block) positions, and why there are none."""
    if rows.dates is None:
        return [], "rows have no as-of dates"
    index = pd.MultiIndex.from_arrays([np.arange(len(rows.y)), rows.dates], names=["row", "as_of_date"])
    first = rows.dates.min() + pd.DateOffset(months=horizon_months)
    n_blocks = min(_N_BLOCKS, rows.dates[rows.dates >= first].nunique())
    if not n_blocks:
        return [], f"all as-of dates lie within one horizon of {horizon_months} months"
    splits = TemporalSplit(n_blocks, horizon_months=horizon_months).split(pd.DataFrame(index=index))
    kept = [(past, block) for past, block in splits if 4 * len(past) >= len(rows.y) and _has_events(rows, past, block)]
    return kept, "" if kept else "too few rows or returns a horizon before later dates"


def _has_events(rows: Rows, *parts: IntArray) -> bool:
    return all(LEAST_EVENTS <= rows.y[part].sum() <= len(part) - LEAST_EVENTS for part in parts)


def _slope_of(rows: Rows, scored: list[tuple[IntArray, IntArray, FloatArray]]) -> tuple[float, float]:
    """Return the slope over scored blocks, within its limits, and its standard error."""
    position = np.concatenate([block for _, block, _ in scored])
    number = np.repeat(np.arange(len(scored)), [len(block) for _, block, _ in scored])
    margin = np.concatenate([margins for _, _, margins in scored])
    y, weight = rows.y[position].astype(np.float64), rows.weight[position]
    slope, levels = fit_affine(margin, y, weight, number, prior_sd=PRIOR_SLOPE_SD)
    p = expit(slope * margin + levels[number])
    information = weight * p * (1 - p)
    centred = margin - (np.bincount(number, information * margin) / np.bincount(number, information))[number]
    score = household_sums(rows.household, position, weight * (y - p) * centred)
    precision = PRIOR_SLOPE_SD**-2
    error = np.sqrt(score @ score + precision) / (information @ centred**2 + precision)
    return float(np.clip(slope, *SLOPE_LIMITS)), float(error)


def _with_level(known: Calibration, rows: Rows, margin: FloatArray, horizon_months: int) -> Calibration:
    """Return the calibration with the level of the newest outcomes and how much levels move."""
    z = known.slope * margin
    overall, _ = _level(rows, z, np.arange(len(z)), 0.0, np.inf)
    if rows.dates is None:
        newest, sd = np.arange(len(z)), 0.0
    else:
        newest = np.flatnonzero(rows.dates > rows.dates.max() - pd.DateOffset(months=12))
        sd = _level_sd(rows, z, overall, horizon_months)
    level, error = _level(rows, z, newest, overall, PRIOR_LEVEL_SD)
    y, weight, p = rows.y[newest].astype(np.float64), rows.weight[newest], expit(z[newest] + level)
    return replace(
        known,
        intercept=level,
        level_se=error,
        level_sd=sd,
        centre=float(np.average(margin[newest], weights=weight * p * (1 - p))),
        base_rate=float(np.average(y, weights=weight)),
        curve=_curve(rows, margin, z + level, newest),
        group_curves=_group_curves(rows, margin, z, newest, level),
    )


def _curve(rows: Rows, margin: FloatArray, log_odds: FloatArray, part: IntArray) -> VennAbers:
    """Return the Venn-Abers steps of a part, with the design effect of its households and weights."""
    y, weight, p = rows.y[part].astype(np.float64), rows.weight[part], expit(log_odds[part])
    score = household_sums(rows.household, part, weight * (y - p))
    design_effect = max(1.0, float(score @ score / (weight * p * (1 - p)).sum()))
    return venn_abers(margin[part], y, weight, p, design_effect=design_effect)


def _group_curves(rows: Rows, margin: FloatArray, z: FloatArray, part: IntArray, level: float) -> dict[str, VennAbers]:
    """Return the steps of each group of a part with outcomes enough (Mondrian: a category is its own population)."""
    if rows.group is None:
        return {}
    curves = {}
    for name, place in pd.Series(part).groupby(rows.group[part]).indices.items():
        own = part[place]
        if _has_events(rows, own):
            # At the group's own level: residuals about a wrong one would pass for rows that say the same.
            own_level, _ = _level(rows, z, own, level, PRIOR_LEVEL_SD)
            curves[str(name)] = _curve(rows, margin, z + own_level, own)
    return curves


def _level(rows: Rows, z: FloatArray, part: IntArray, prior: float, prior_sd: float) -> tuple[float, float]:
    """Return the level at which a part's risks sum to its returns, drawn to a prior, and its standard error."""
    y, weight, precision = rows.y[part].astype(np.float64), rows.weight[part], prior_sd**-2
    level = float(
        posterior_mode(np.ones((len(part), 1)), y, weight, np.array([prior]), np.array([precision]), z[part])[0]
    )
    p = expit(z[part] + level)
    score = household_sums(rows.household, part, weight * (y - p))
    return level, float(np.sqrt(score @ score + precision) / (weight @ (p * (1 - p)) + precision))


def _level_sd(rows: Rows, z: FloatArray, overall: float, horizon_months: int) -> float:
    """Return how far the level moves from one horizon to the next, the prior counted as two observed moves."""
    assert rows.dates is not None
    newest, levels = rows.dates.max(), []
    while newest >= rows.dates.min():
        before = newest - pd.DateOffset(months=horizon_months)
        part = np.flatnonzero((rows.dates > before) & (rows.dates <= newest))
        if _has_events(rows, part):
            levels.append(_level(rows, z, part, overall, np.inf)[0])
        newest = before
    moves = np.diff(levels)
    return float(np.sqrt((2 * PRIOR_LEVEL_SD**2 + moves @ moves) / (2 + len(moves))))


def household_sums(household: IntArray | None, part: IntArray, values: FloatArray) -> FloatArray:
    """Return the sums by household of the values of some rows; the values where rows have no households."""
    return values if household is None else np.bincount(household[part], values).astype(np.float64)
