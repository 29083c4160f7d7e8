"""Whom a list reaches and whom it misses: errors group by group, and the curve over lists of every length.

A list holds the highest scores up to a quota. Households tied at the cut are taken in equal shares, the expectation
over random orders among them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from riskml.skill.bootstrap import FloatArray, checked_rows, cluster_draws, share_interval
from riskml.skill.groups import FEW_EVENTS, memberships


def targeting_errors(
    y: ArrayLike,
    risk: ArrayLike,
    *,
    quota: float,
    groups: ArrayLike | pd.DataFrame | None = None,
    sample_weight: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    n_bootstrap: int = 0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return whom a list of the riskiest misses and whom it holds in vain, group by group.

    The list is that of the highest risks up to the quota, the same for all groups. Households tied at the cut are
    taken in equal shares (the expectation over random tie-breaking); ``_low`` and ``_high`` bound what an order
    among the ties could make of it.

    Parameters
    ----------
    y : array, shape (n_rows,)
        Returned (1) or not (0).
    risk : array, shape (n_rows,)
        Any score, higher is riskier.
    quota : float
        Share of the (weighted) households on the list if below 1, else their number.
    groups : array, shape (n_rows,), or DataFrame, optional
        Group of each row; default one group ``all``. Of a table's columns: everybody first, then the groups of each
        column, then those of every two columns together, and so on. Rows without a value are the group ``missing``.
    sample_weight : array, shape (n_rows,), optional
        Weights.
    clusters : array, shape (n_rows,), optional
        Clusters of the bootstrap; default each row its own.
    n_bootstrap : int, default 0
        Draws; 0 gives no intervals (NaN).
    random_state : int, default 0
        Seed of the draws.

    Returns
    -------
    DataFrame
        One row a group, however small: ``by`` (column or columns), ``group``, ``n`` and ``events`` (rows and returns
        among them), ``listed`` (weighted), ``missed`` (returns not on the list, in rows), ``few_events`` (fewer than
        :data:`riskml.skill.groups.FEW_EVENTS`: read the interval, not the value), ``exclusion_error`` (share of
        returns the list misses; NaN without returns), ``inclusion_error`` (share of the list that does not return; NaN
        if nobody is listed), each with ``_low, _high`` (ties) and ``_lower, _upper`` (95 % interval of the draws, never
        narrower than the exact one of as many independent rows).

    Raises
    ------
    ValueError
        If lengths differ, y is not 0/1, a value is missing, the quota not positive, or there are too many groups.

    Examples
    --------
    >>> targeting_errors([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], quota=0.5)[["exclusion_error", "inclusion_error"]]
       exclusion_error  inclusion_error
    0              0.5              0.5
    >>> groups = pd.DataFrame({"head": ["woman", "man", "woman", "man"]})
    >>> table = targeting_errors([1, 1, 1, 0], [0.9, 0.8, 0.2, 0.1], quota=0.5, groups=groups)
    >>> table[["by", "group", "n", "events", "missed", "exclusion_error"]]
         by  group  n  events  missed  exclusion_error
    0   all    all  4       3     1.0         0.333333
    1  head    man  2       1     0.0         0.000000
    2  head  woman  2       2     1.0         0.500000
    """
    y_, risk_, weight = checked_rows(y, risk, sample_weight)
    names, members = memberships(groups, y)
    draws = cluster_draws(clusters, len(y_), n_bootstrap, random_state)
    n, events = members @ np.ones(len(y_)), members @ y_

    def sums(multiplicity: FloatArray) -> tuple[FloatArray, Cut]:
        """Return by group: weight of returns and of others surely listed, the same of those tied, and all returns."""
        w = weight * multiplicity
        cut = list_cut(risk_, w, quota)
        returns, others = w * y_, w * (1 - y_)
        parts = [returns * cut.sure, others * cut.sure, returns * cut.tied, others * cut.tied, returns]
        return members @ np.array(parts).T, cut

    def errors(multiplicity: FloatArray) -> FloatArray:
        """Return exclusion and inclusion error of every group under a draw, shape (2, n_groups)."""
        by_group, cut = sums(multiplicity)
        found, in_vain = (by_group[:, :2] + cut.part * by_group[:, 2:4]).T
        return np.array([1 - _ratio(found, by_group[:, 4]), _ratio(in_vain, found + in_vain)])

    estimate, (by_group, cut) = errors(np.ones(len(y_))), sums(np.ones(len(y_)))
    sampled = np.array([errors(draw) for draw in draws]).reshape(len(draws), 2, len(names))
    listed = cut.expected
    w = weight * listed
    # Effective number of rows behind a share (Kish 1965); a household listed in part counts as that part of a row.
    effective = [
        _ratio((members @ (weight * y_)) ** 2, members @ (weight**2 * y_)),
        _ratio((members @ w) ** 2, members @ (weight * w)),
    ]
    table = pd.DataFrame(names, columns=["by", "group"])
    table["n"], table["events"] = n.astype(np.int64), events.astype(np.int64)
    table["listed"], table["missed"] = members @ w, members @ (y_ * (1 - listed))
    table["few_events"] = events < FEW_EVENTS
    for k, (name, bounds) in enumerate(_bounds_by_group(by_group, cut).items()):
        table[name], table[f"{name}_low"], table[f"{name}_high"] = estimate[k], *bounds
        between = [
            share_interval(share, size, sampled[:, k, i])
            for i, (share, size) in enumerate(zip(estimate[k], effective[k], strict=True))
        ]
        table[[f"{name}_lower", f"{name}_upper"]] = between
    return table


def targeting_curve(y: ArrayLike, risk: ArrayLike, *, sample_weight: ArrayLike | None = None) -> pd.DataFrame:
    """Return the share of returns found by lists of every length: the gain curve, with precision and lift.

    Parameters
    ----------
    y : array, shape (n_rows,)
        Returned (1) or not (0).
    risk : array, shape (n_rows,)
        Any score, higher is riskier.
    sample_weight : array, shape (n_rows,), optional
        Survey weights.

    Returns
    -------
    DataFrame
        ``quota`` (share of households listed), ``found`` (share of returns on the list), ``precision`` (share of the
        list that returns), ``lift`` (precision over the share that returns in all: how much better than a list drawn
        by lot); one row a distinct risk, and the empty list first (its precision and lift are NaN). Ties enter
        together. ``found`` and ``lift`` are NaN if nobody returned.

    Raises
    ------
    ValueError
        As :func:`targeting_errors`.

    Examples
    --------
    >>> targeting_curve([1, 0], [0.9, 0.1])
       quota  found  precision  lift
    0    0.0    0.0        NaN   NaN
    1    0.5    1.0        1.0   2.0
    2    1.0    1.0        0.5   1.0
    """
    y_, risk_, weight = checked_rows(y, risk, sample_weight)
    order = np.argsort(-risk_, kind="stable")
    last = np.append(np.diff(risk_[order]) != 0, True)
    listed, found = np.cumsum(weight[order])[last], np.cumsum((weight * y_)[order])[last]
    returns = np.full(len(found), found[-1])
    curve = pd.DataFrame({"quota": listed / listed[-1], "found": _ratio(found, returns)})
    curve["precision"] = _ratio(found, listed)
    curve["lift"] = _ratio(curve["precision"].to_numpy(), returns / listed[-1])
    empty = {"quota": [0.0], "found": [0.0 if found[-1] > 0 else np.nan], "precision": [np.nan], "lift": [np.nan]}
    return pd.concat([pd.DataFrame(empty), curve], ignore_index=True)


class Cut(NamedTuple):
    """Who is surely on a list, who is tied at its end, and the part of the tied for whom there is room."""

    sure: NDArray[np.bool_]
    tied: NDArray[np.bool_]
    left: float
    total_tied: float

    @property
    def part(self) -> float:
        """Return the part of each tied row that is on the list."""
        return min(1.0, self.left / self.total_tied) if self.total_tied > 0 else 0.0

    @property
    def expected(self) -> FloatArray:
        """Return the part of each row that is on the list, the tied in equal shares."""
        return np.where(self.sure, 1.0, np.where(self.tied, self.part, 0.0))


def expected_list(risk: FloatArray, weight: FloatArray, quota: float) -> FloatArray:
    """Return the part of each row that is on the list, the tied at its end in equal shares."""
    return list_cut(risk, weight, quota).expected


def list_cut(risk: FloatArray, weight: FloatArray, quota: float) -> Cut:
    """Return where the list of the highest scores up to a quota ends."""
    if quota <= 0:
        raise ValueError(f"quota must be positive, got {quota}")
    size = quota * weight.sum() if quota < 1 else float(quota)
    order = np.argsort(-risk, kind="stable")
    before = np.cumsum(weight[order]) - weight[order]
    end = risk[order][min(int(np.searchsorted(before, size, side="left")), len(risk)) - 1]
    sure, tied = risk > end, risk == end
    return Cut(sure, tied, max(size - weight[sure].sum(), 0.0), float(weight[tied].sum()))


def _bounds_by_group(by_group: FloatArray, cut: Cut) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return the least and the largest error of each group over the orders of those tied at the cut."""
    found, in_vain, tied_returns, tied_others, returns = by_group.T
    left = min(cut.left, cut.total_tied)
    elsewhere = cut.total_tied - tied_returns - tied_others

    def extreme(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how much of two kinds is taken when the first kind of the group comes first and the second last."""
        taken = np.minimum(left, first)
        return taken, np.clip(left - taken - elsewhere, 0, second)

    most_found, least_in_vain = extreme(tied_returns, tied_others)
    most_in_vain, least_found = extreme(tied_others, tied_returns)
    fewest = np.clip(left - tied_others - elsewhere, 0, tied_returns)
    low = _ratio(in_vain + least_in_vain, found + in_vain + most_found + least_in_vain)
    high = _ratio(in_vain + most_in_vain, found + in_vain + most_in_vain + least_found)
    # Where an order lists nobody of the group, those that list somebody decide: all of one kind.
    low = np.where(np.isnan(low) & (left > 0) & (tied_others > 0), 1.0, low)
    high = np.where(np.isnan(high) & (left > 0) & (tied_returns > 0), 0.0, high)
    exclusion = 1 - _ratio(found + most_found, returns), 1 - _ratio(found + fewest, returns)
    return {"exclusion_error": exclusion, "inclusion_error": (low, high)}


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return a ratio, NaN where nothing is below."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
