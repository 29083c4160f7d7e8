"""How households of an area fall together: shared shocks to the log-odds of return, learned from earlier predictions.

On a date, the log-odds of household ``i`` in village ``v`` of township ``t`` are::

    a(risk_i, s) + u_all + u_t + u_v,    u_level ~ N(0, s_level^2), independent of one another and from date to date

``a`` puts the log-odds where the mean over the shocks is the risk, so that shocks spread outcomes and leave their
mean alone. The spreads ``s`` are few and little is known of them (of the spread of the whole, a number a period), so
they are not estimated and then believed: the posterior under a weak prior is drawn, and every draw of an outlook uses
other spreads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize
from scipy.special import expit, log_expit, logit
from scipy.stats import multivariate_t

from riskml.findings import in_words
from riskml.outlook.hierarchy import WHOLE, checked_levels, found_levels, nodes_of, sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Scale and degrees of freedom of the half-t prior of a spread (Gelman 2006). The scale is how far the level of one
#: year lies from that of the year before, as the Argentine panel shows (:mod:`riskml.model.calibration`).
PRIOR_SCALE, PRIOR_DF = 0.3, 4.0
#: Spreads below the first are as good as none; beyond the second nothing is foretold any more.
SPREAD_LIMITS = (0.01, 3.0)
_N_PROPOSED, _N_KEPT = 400, 200
_N_GROUPS = 10
#: Points of the log-odds and of the shock at which ``a`` is worked out.
_GRID = np.linspace(-12.0, 12.0, 97)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Shocks:
    """What is known of the spread of shared shocks.

    Parameters
    ----------
    levels : dict of str to int
        Levels of areas below the whole, largest areas first: name to characters of the code.
    spreads : tuple of tuple of float
        Draws from the posterior: each the standard deviations, in log-odds, of the shocks of the whole and then of
        each level.
    n_periods : float
        How many horizons without overlap the dates are worth; 0 where nothing was learned.
    n_rows : int
        Household-dates learned from.
    last_date : str
        Newest as-of date learned from, ``""`` where there is none.
    """

    levels: dict[str, int]
    spreads: tuple[tuple[float, ...], ...]
    n_periods: float = 0.0
    n_rows: int = 0
    last_date: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain values.

        Returns
        -------
        dict
            Attribute to value.
        """
        return asdict(self)

    def summary(self) -> pd.DataFrame:
        """Return the spreads as a table.

        Returns
        -------
        DataFrame
            One row a level, the whole first: ``level``, ``median``, ``lower``, ``upper`` (90 % of the posterior) of
            the standard deviation in log-odds.
        """
        lower, median, upper = np.quantile(np.array(self.spreads), [0.05, 0.5, 0.95], axis=0)
        names = [WHOLE, *self.levels]
        return pd.DataFrame({"level": names, "median": median, "lower": lower, "upper": upper})


def no_shocks(levels: Mapping[str, int]) -> Shocks:
    """Return shocks of no spread: households that fall independently of one another, as a plain sum of risks assumes.

    Parameters
    ----------
    levels : mapping of str to int
        Levels of areas, largest first.

    Returns
    -------
    Shocks
        All spreads 0.

    Examples
    --------
    >>> no_shocks({"village": 12}).spreads
    ((0.0, 0.0),)
    """
    return Shocks(checked_levels(levels), ((0.0,) * (len(levels) + 1),))


def learn_shocks(
    predictions: pd.DataFrame,
    *,
    horizon_months: int,
    levels: Mapping[str, int] | None = None,
    random_state: int = 0,
) -> Shocks:
    """Learn how far shared shocks spread the outcomes of areas around predictions made before them.

    The likelihood of the spreads integrates the shocks of every date out by Laplace's approximation, exactly along the
    tree of areas. Dates closer than the horizon share months of outcomes, so that they say nearly the same: each
    date's log-likelihood is weighted by one over the number of dates it overlaps with (a composite likelihood, Varin,
    Reid and Firth 2011), with the share of months in common as the measure. The posterior under a half-t prior
    (:data:`PRIOR_SCALE`, :data:`PRIOR_DF`) is drawn by importance sampling around its mode.

    A model whose level is wrong for years shows as shocks of the whole: the deviation is not subtracted, it is feared
    again. Shocks are normal and of one date only; an area that always returns more than its risks say is likewise
    feared, not foretold.

    Parameters
    ----------
    predictions : DataFrame
        A row a household and date, predicted by a model that had seen nothing of the outcome: ``area_id``,
        ``as_of_date``, ``risk`` (above 0, below 1), ``returned`` (0 or 1). As :func:`riskml.backtest_predictions`.
    horizon_months : int
        Months from the as-of date to the outcome.
    levels : mapping of str to int, optional
        Levels of areas, largest first: name to characters of the code. By default those of
        :func:`riskml.outlook.hierarchy.found_levels`.
    random_state : int, default 0
        Seed of the draws.

    Returns
    -------
    Shocks
        With 200 draws of the spreads.

    Raises
    ------
    ValueError
        If there is no row, a column is missing, a risk is not between 0 and 1 or an outcome not 0 or 1.

    References
    ----------
    Gelman (2006), "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1(3).
    Varin, Reid and Firth (2011), "An overview of composite likelihood methods", Statistica Sinica 21(1).

    Examples
    --------
    Whole villages that return, and whole villages that do not, at a risk of one half:

    >>> areas = np.repeat(["a", "b", "c", "d"], 25)
    >>> rows = pd.DataFrame({"area_id": areas, "as_of_date": pd.Timestamp("2023-01-01"), "risk": 0.5})
    >>> rows["returned"] = np.isin(areas, ["a", "c"]).astype(float)
    >>> shocks = learn_shocks(rows, horizon_months=12)
    >>> bool(shocks.summary().set_index("level").loc["area", "median"] > 1)
    True
    """
    rows = _checked(predictions)
    levels = found_levels(rows["area_id"]) if levels is None else checked_levels(levels)
    tree = _Tree.of(rows, levels, horizon_months)

    def log_posterior(log_spreads: FloatArray) -> float:
        """Return the log-density of the logarithms of the spreads, but for a constant."""
        spreads = np.exp(log_spreads)
        # Of a density of the spread to one of its logarithm.
        prior = log_spreads - (PRIOR_DF + 1) / 2 * np.log1p((spreads / PRIOR_SCALE) ** 2 / PRIOR_DF)
        return tree.log_likelihood(spreads) + float(prior.sum())

    rng = np.random.default_rng(random_state)
    drawn = _drawn(log_posterior, len(levels) + 1, rng)
    return Shocks(
        levels,
        tuple(tuple(round(float(value), 4) for value in row) for row in np.exp(drawn)),
        round(float(tree.date_weight.sum()), 2),
        len(rows),
        f"{rows['as_of_date'].max():%Y-%m-%d}",
    )


def shocks_of(given: Mapping[str, Any]) -> Shocks:
    """Return shocks from their plain values (:meth:`Shocks.as_dict`), or say that they are none.

    Parameters
    ----------
    given : mapping
        Plain values.

    Returns
    -------
    Shocks
        The same.

    Raises
    ------
    ValueError
        If spreads are negative, not finite, or not one for every level.
    """
    levels = checked_levels({str(name): int(length) for name, length in given["levels"].items()})
    spreads = np.array(given["spreads"], dtype=np.float64)
    if spreads.ndim != 2 or spreads.shape[1] != len(levels) + 1 or not ((spreads >= 0) & (spreads <= 10)).all():
        raise ValueError(f"spreads of shocks: expected rows of {len(levels) + 1} numbers from 0 to 10")
    draws = tuple(tuple(float(value) for value in row) for row in spreads)
    return Shocks(levels, draws, float(given["n_periods"]), int(given["n_rows"]), str(given["last_date"]))


def centred_log_odds(risk: FloatArray, spread: float) -> FloatArray:
    """Return the log-odds whose mean risk over normal shocks of a spread is the risk given.

    Parameters
    ----------
    risk : ndarray of float64
        Above 0 and below 1.
    spread : float
        Standard deviation of all shocks together, in log-odds.

    Returns
    -------
    ndarray of float64
        ``logit(risk)`` for no spread; to about 1e-4 otherwise.

    Examples
    --------
    >>> x = centred_log_odds(np.array([0.05]), 1.0)
    >>> bool(abs((expit(x[0] + _NODES) * _WEIGHTS).sum() - 0.05) < 1e-4)
    True
    """
    own = logit(risk)
    if spread == 0:
        return own
    means = logit(expit(_GRID[:, None] + spread * _NODES) @ _WEIGHTS)
    return np.interp(own, means, _GRID)


@dataclass(frozen=True)
class _Tree:
    """The rows of all dates as a forest: a tree of areas a date; levels go from the smallest area to the whole.

    Households of one smallest area and date whose risks are near are taken as households of one risk, the mean of
    theirs: ``risk`` of a group, how many ``households``, and how many of them ``returned``.
    """

    risk: FloatArray
    households: FloatArray
    returned: FloatArray
    parents: list[IntArray]
    sizes: list[int]
    node_weight: list[FloatArray]
    date_weight: FloatArray

    @classmethod
    def of(cls, rows: pd.DataFrame, levels: Mapping[str, int], horizon_months: int) -> _Tree:
        date, days = pd.factorize(rows["as_of_date"], sort=True)
        weight = _date_weights(pd.DatetimeIndex(days), horizon_months)
        # A tree for every date: its number stands before the code.
        prefix = pd.Series([f"{place:04d}" for place in date], index=rows.index)
        codes, parents = nodes_of(
            prefix + rows["area_id"].astype(str), {WHOLE: 4} | {name: 4 + length for name, length in levels.items()}
        )
        # The last level of nodes_of, everybody on all dates, has no shock.
        codes, parents = codes[:-1], parents[:-1]
        node_weight = [weight[level.str[:4].astype(int)] for level in codes]
        group, leaf = _groups(parents[0], rows["risk"].to_numpy(np.float64))
        households, risk, returned = (
            sums(group, values, len(leaf)) for values in (np.ones(len(rows)), rows["risk"], rows["returned"])
        )
        sizes = [len(level) for level in codes]
        return cls(risk / households, households, returned, [leaf, *parents[1:]], sizes, node_weight, weight)

    def log_likelihood(self, spreads: FloatArray) -> float:
        """Return the log-likelihood of the spreads (the whole first), the shocks integrated out (Laplace)."""
        variances = spreads[::-1] ** 2
        centre = centred_log_odds(self.risk, float(np.sqrt(variances.sum())))
        leaf, n = self.parents[0], self.sizes[0]
        shock = np.zeros(n)
        for _ in range(40):
            odds = centre + shock[leaf]
            p = expit(odds)
            information = sums(leaf, self.households * p * (1 - p), n)
            gradient = sums(leaf, self.returned - self.households * p, n)
            constant, new = self._integrated(information, gradient + information * shock, variances)
            step = np.clip(new - shock, -1.0, 1.0)
            shock = shock + step
            if np.abs(step).max() < 1e-3:  # an error of the mode is squared in the integral
                break
        # The Gaussian that stands for the likelihood of a leaf, put back at its mode.
        stayed = self.households - self.returned
        fit = sums(leaf, self.returned * log_expit(odds) + stayed * log_expit(-odds), n)
        at = shock - step
        offset = fit - gradient * at - information * at**2 / 2
        return float((offset * self.node_weight[0]).sum()) + constant

    def _integrated(
        self, information: FloatArray, score: FloatArray, variances: FloatArray
    ) -> tuple[float, FloatArray]:
        """Integrate ``exp(score a - information a^2 / 2)`` over the shocks, from the leaves up.

        Returns the logarithm of the integral, dates weighted, and the mode of the sum of shocks above each leaf.
        """
        total, kept = 0.0, []
        for place, variance in enumerate(variances):
            if place:
                information = sums(self.parents[place], information, self.sizes[place])
                score = sums(self.parents[place], score, self.sizes[place])
            shrink = 1 / (1 + information * variance)
            kept.append((information, score, shrink))
            gain = (np.log(shrink) + variance * score**2 * shrink) / 2
            total += float((gain * self.node_weight[place]).sum())
            information, score = information * shrink, score * shrink
        above = np.zeros(self.sizes[-1])
        for place in range(len(variances) - 1, -1, -1):
            information, score, shrink = kept[place]
            above = above + variances[place] * (score - information * above) * shrink
            if place:
                above = above[self.parents[place]]
        return total, above


def _groups(leaf: IntArray, risk: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the group of each row, and the leaf of each group: up to ten of a leaf, of neighbouring risks."""
    order = np.lexsort((risk, leaf))
    size = np.bincount(leaf)
    rank = np.empty(len(leaf), dtype=np.int64)
    rank[order] = np.arange(len(leaf)) - np.repeat(np.cumsum(size) - size, size)
    key = leaf * _N_GROUPS + rank * _N_GROUPS // size[leaf]
    found, group = np.unique(key, return_inverse=True)
    return group.astype(np.int64), found // _N_GROUPS


def _date_weights(days: pd.DatetimeIndex, horizon_months: int) -> FloatArray:
    """Return one over the number of dates each date overlaps with, itself included, by the share of months shared."""
    months = (days.year * 12 + days.month + (days.day - 1) / 31).to_numpy(np.float64)
    shared = np.clip(1 - np.abs(months[:, None] - months[None, :]) / horizon_months, 0, None)
    return 1 / shared.sum(axis=1)


def _drawn(log_posterior: Any, n: int, rng: np.random.Generator) -> FloatArray:
    """Return equally likely draws of the logarithms of the spreads, shape (200, n)."""
    limits = np.log(np.array(SPREAD_LIMITS))
    found = minimize(  # type: ignore[call-overload]
        lambda x: -log_posterior(x), np.full(n, np.log(0.2)), method="L-BFGS-B", bounds=Bounds(*limits)
    )
    proposal: Any = multivariate_t(found.x, _covariance(log_posterior, found.x), df=4, seed=rng)
    points = proposal.rvs(_N_PROPOSED).reshape(_N_PROPOSED, n)
    points = points[((points >= limits[0]) & (points <= limits[1])).all(axis=1)]
    weight = np.array([log_posterior(point) for point in points]) - np.asarray(proposal.logpdf(points)).reshape(-1)
    weight = np.exp(weight - weight.max())
    # Systematic resampling: as even as the weights allow.
    edges = (np.arange(_N_KEPT) + rng.random()) / _N_KEPT
    return points[np.searchsorted(np.cumsum(weight) / weight.sum(), edges)]


def _covariance(log_posterior: Any, mode: FloatArray) -> FloatArray:
    """Return the inverse of the curvature at the mode, kept between spreads known to a tenth and to a factor of 4."""
    n, step = len(mode), 0.1
    shifts = np.eye(n) * step
    curvature = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            corners = [
                log_posterior(mode + a * shifts[i] + b * shifts[j]) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            ]
            corner = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * step**2)
            curvature[i, j] = curvature[j, i] = -corner
    values, vectors = np.linalg.eigh(curvature)
    return (vectors / np.clip(values, 0.5, 100.0)) @ vectors.T


def _checked(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that are needed, or say what is wrong with them."""
    needed = ["area_id", "as_of_date", "risk", "returned"]
    missing = [name for name in needed if name not in predictions.columns]
    if missing or predictions.empty:
        raise ValueError(
            in_words(
                f"predictions of earlier dates: expected rows with the columns {', '.join(needed)}; "
                + (f"missing: {', '.join(missing)}" if missing else "there is no row"),
                f"以往日期的预测：应有列{', '.join(needed)}；"
                + (f"缺少：{', '.join(missing)}" if missing else "没有数据行"),
            )
        )
    risk, returned = predictions["risk"].to_numpy(np.float64), predictions["returned"].to_numpy(np.float64)
    wrong = ~((risk > 0) & (risk < 1) & np.isin(returned, (0, 1)))
    if wrong.any():
        raise ValueError(
            in_words(
                f"predictions of earlier dates: {int(wrong.sum())} rows have a risk not between 0 and 1 or an outcome "
                "other than 0 and 1; leave out rows whose outcome was not observed",
                f"以往日期的预测：{int(wrong.sum())}行的风险不在0与1之间，或结果不是0或1；请去掉结果未被观察到的行",
            )
        )
    return predictions[needed]
