"""What could be given: which measures are open to a household, packages of them, and what each is expected to avert."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.causes import CAUSES
from riskml.planning.eligibility import condition
from riskml.planning.measures import split_list

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Effects:
    """What measures are assumed to take away.

    Attributes
    ----------
    fits : ndarray of shape (n_measures, 13)
        1 where a measure answers a cause.
    effect : ndarray of shape (n_measures,)
        The share it takes away.
    of_risk : ndarray of bool, shape (n_measures,)
        Whether that is a share of the risk; else of the points of its causes.
    """

    fits: FloatArray
    effect: FloatArray
    of_risk: BoolArray


def effects_of(measures: pd.DataFrame, column: str = "effect") -> Effects:
    """Return the effects of a checked table of measures: ``effect``, ``effect_lower`` or ``effect_upper``."""
    fits = np.array([[float(cause in split_list(cell)) for cause in CAUSES] for cell in measures["causes"]])
    return Effects(fits, measures[column].to_numpy(), (measures["effect_kind"] == "share_of_risk").to_numpy())


def points_to_avert(need: pd.DataFrame) -> FloatArray:
    """Return the positive points by cause, (n_households, 13), scaled so that they do not exceed the risk.

    Parameters
    ----------
    need : DataFrame
        A watchlist, one row a household.

    Returns
    -------
    ndarray of shape (n_households, 13)
        Points of :data:`riskml.causes.CAUSES`, zero or more.

    Raises
    ------
    ValueError
        If a column is missing, a household is there twice, or a risk or points are missing.
    """
    columns = [f"points_{cause}" for cause in CAUSES]
    missing = [name for name in ["household_id", "as_of_date", "risk", *columns] if name not in need]
    if missing:
        raise ValueError(f"need lacks {', '.join(missing)}; a watchlist has them")
    if need["household_id"].duplicated().any():
        first = need.loc[need["household_id"].duplicated(), "household_id"].iloc[0]
        raise ValueError(f"need has household_id {first!r} twice; plan for one as-of date, one row a household")
    risk, points = need["risk"].to_numpy(dtype=np.float64), need[columns].to_numpy(dtype=np.float64)
    if not np.isfinite(risk).all() or not np.isfinite(points).all():
        raise ValueError("need has missing or infinite risk or points; leave those households out")
    points = np.maximum(points, 0.0)
    total = points.sum(axis=1)
    points *= np.divide(np.minimum(risk, total), total, out=np.ones_like(total), where=total > 0)[:, None]
    return points


def fitting(points: FloatArray, effects: Effects) -> BoolArray:
    """Return which measures answer a cause of a household, and take something away, (n_households, n_measures)."""
    return (points @ effects.fits.T > 0) & (effects.effect > 0)


def eligible(need: pd.DataFrame, measures: pd.DataFrame) -> BoolArray:
    """Return who may get what by the conditions of the measures, (n_households, n_measures)."""
    return np.column_stack([_meets(need, *row) for row in measures[["measure", "eligibility"]].to_numpy()])


def excluding(measures: pd.DataFrame) -> BoolArray:
    """Return which measures exclude one another, (n_measures, n_measures), symmetric."""
    names = measures["measure"].to_numpy()
    one_way = np.array([np.isin(names, split_list(cell)) for cell in measures["excludes"]])
    return one_way | one_way.T


def pairs(need: pd.DataFrame, measures: pd.DataFrame, table: pd.DataFrame) -> BoolArray:
    """Return which household and measure stand together in a table, (n_households, n_measures); others do not count."""
    at = pd.Index(need["household_id"]).get_indexer(pd.Index(table["household_id"]))
    kind = pd.Index(measures["measure"]).get_indexer(pd.Index(table["measure"]))
    known = (at >= 0) & (kind >= 0)
    found = np.zeros((len(need), len(measures)), dtype=bool)
    found[at[known], kind[known]] = True
    return found


def packages_of(excludes: BoolArray, max_measures: int) -> BoolArray:
    """Return the packages of up to so many measures that do not exclude one another, (n_packages, n_measures)."""
    n = len(excludes)
    found = [
        np.isin(np.arange(n), package)
        for size in range(1, max_measures + 1)
        for package in combinations(range(n), size)
        if not excludes[np.ix_(package, package)].any()
    ]
    return np.array(found, dtype=bool).reshape(-1, n)


def averted(points: FloatArray, risk: FloatArray, effects: Effects, given: BoolArray) -> FloatArray:
    """Return what measures avert together, (n_households,).

    Parameters
    ----------
    points : ndarray of shape (n_households, 13)
        As :func:`points_to_avert` gives.
    risk : ndarray of shape (n_households,)
        The risks.
    effects : Effects
        Of all measures.
    given : ndarray of bool, shape (n_measures,) or (n_households, n_measures)
        The measures given.

    Returns
    -------
    ndarray of shape (n_households,)
        Probabilities, at most the risk. Shares of the risk are taken of what shares of points leave.
    """
    share = np.where(given, effects.effect, 0.0)
    rest = np.prod(1.0 - np.where(effects.of_risk, share, 0.0), axis=-1)
    left: FloatArray = np.ones((*share.shape[:-1], len(CAUSES)))
    for measure in np.flatnonzero(~effects.of_risk):
        left = left * (1.0 - share[..., [measure]] * effects.fits[measure])
    # One package for all is a product of matrices.
    answered = points @ (1.0 - left) if left.ndim == 1 else (points * (1.0 - left)).sum(axis=1)
    return risk * (1.0 - rest) + rest * answered


def averted_by_measure(points: FloatArray, risk: FloatArray, effects: Effects, given: BoolArray) -> FloatArray:
    """Return what each measure averts, (n_households, n_measures): the whole shared by what each averts alone."""
    alone = np.where(effects.of_risk, risk[:, None], points @ effects.fits.T) * effects.effect
    alone = np.where(given, alone, 0.0)
    total = alone.sum(axis=1)
    return (
        alone
        * np.divide(averted(points, risk, effects, given), total, out=np.zeros_like(total), where=total != 0)[:, None]
    )


def gains(
    points: FloatArray, risk: FloatArray, effects: Effects, packages: BoolArray, open_: BoolArray, has: BoolArray
) -> FloatArray:
    """Return what packages avert on top of what a household has been promised.

    Parameters
    ----------
    points, risk, effects : arrays
        As in :func:`averted`.
    packages : ndarray of bool, shape (n_packages, n_measures)
        As :func:`packages_of` gives.
    open_ : ndarray of bool, shape (n_households, n_measures)
        What may be given to whom.
    has : ndarray of bool, shape (n_households, n_measures)
        What is promised; it counts towards the largest size of a package.

    Returns
    -------
    ndarray of shape (n_households, n_packages)
        Minus infinity where a package may not be given, or one of its measures adds nothing to the others.
    """
    gain = np.full((len(points), len(packages)), -np.inf)
    promised = np.unique(has, axis=0, return_inverse=True) if has.any() else None
    bases, which = promised or (np.zeros((1, has.shape[1]), dtype=bool), np.zeros(len(has), dtype=np.int64))
    most = packages.sum(axis=1).max(initial=0)
    for number, base in enumerate(bases):
        inside = which.ravel() == number
        for place, package in enumerate(packages):
            if package.sum() + base.sum() > most:
                continue
            rows = np.flatnonzero(inside & open_[:, package].all(axis=1))
            gain[rows, place] = _added(points[rows], risk[rows], effects, package, base)
    return gain


def _added(points: FloatArray, risk: FloatArray, effects: Effects, package: BoolArray, base: BoolArray) -> FloatArray:
    """Return what a package adds to a base, minus infinity where one of its measures adds nothing."""
    whole = averted(points, risk, effects, package | base)
    added = whole - averted(points, risk, effects, base) if base.any() else whole
    pointless = added <= (1e-12 if base.any() else 0.0)
    if package.sum() > 1:
        for measure in np.flatnonzero(package):
            others = (package | base) & (np.arange(len(package)) != measure)
            pointless |= whole <= averted(points, risk, effects, others) + 1e-12
    return np.where(pointless, -np.inf, added)


def _meets(need: pd.DataFrame, measure: str, text: str) -> BoolArray:
    try:
        return condition(text)(need)
    except KeyError as error:
        known = ", ".join(str(name) for name in need)
        raise ValueError(f"eligibility of {measure!r} needs the column {error}, need has {known}") from error
