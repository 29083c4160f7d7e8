"""How good a ranking and a probability are, at equal workload, by group and with intervals; calibration.

Every table is long: one row a group and figure, intervals from a bootstrap that draws whole clusters
(villages, households), weights as survey weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from riskml.model.calibration import fit_affine
from riskml.skill.bootstrap import FloatArray, checked_rows, checked_scores, cluster_draws, compared
from riskml.skill.groups import FEW_EVENTS, memberships

_PROBABILITY = ("brier", "log_loss", "calibration_slope", "calibration_intercept")


def calibration_table(
    y: ArrayLike, risk: ArrayLike, *, n_bins: int = 10, sample_weight: ArrayLike | None = None
) -> pd.DataFrame:
    """Return expected and observed shares of returns in bins of equal (weighted) size by risk.

    Parameters
    ----------
    y : array, shape (n_rows,)
        Returned (1) or not (0).
    risk : array, shape (n_rows,)
        Probability of returning.
    n_bins : int, default 10
        How many bins there are at most.
    sample_weight : array, shape (n_rows,), optional
        Survey weights.

    Returns
    -------
    DataFrame
        One row a bin, lowest risk first: ``n, expected`` (mean risk), ``observed`` (share that returned),
        ``observed_lower,
        observed_upper`` (95 % Wilson interval on the number of rows). Equal risks stay in one bin.

    Examples
    --------
    >>> calibration_table([0, 1], [0.2, 0.8], n_bins=1)[["expected", "observed"]].values.tolist()
    [[0.5, 0.5]]
    """
    y_, risk_, weight = checked_rows(y, risk, sample_weight)
    order = np.argsort(risk_, kind="stable")
    place = np.empty(len(y_))
    place[order] = np.cumsum(weight[order]) - weight[order] / 2
    bins = np.minimum((place / weight.sum() * n_bins).astype(int), n_bins - 1)
    # A risk that straddles an edge goes to the bin of its first household.
    bins = pd.Series(bins).groupby(risk_).transform("min").to_numpy()
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        n, observed = int(inside.sum()), float(np.average(y_[inside], weights=weight[inside]))
        middle, reach = (
            (observed + 1.92 / n) / (1 + 3.84 / n),
            1.96 * np.sqrt(observed * (1 - observed) / n + 0.96 / n**2),
        )
        rows.append(
            {
                "n": n,
                "expected": float(np.average(risk_[inside], weights=weight[inside])),
                "observed": observed,
                "observed_lower": max(0.0, middle - reach / (1 + 3.84 / n)),
                "observed_upper": min(1.0, middle + reach / (1 + 3.84 / n)),
            }
        )
    return pd.DataFrame(rows)


def evaluate(
    scores: Mapping[str, ArrayLike],
    y: ArrayLike,
    *,
    quota: Sequence[float] = (0.05, 0.1, 0.2),
    groups: ArrayLike | pd.DataFrame | None = None,
    sample_weight: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    n_bootstrap: int = 200,
    random_state: int = 0,
    reference: str | None = None,
) -> pd.DataFrame:
    """Return the figures of several scores on the same rows, with intervals and differences to one of them.

    Parameters
    ----------
    scores : mapping of str to array, shape (n_rows,)
        Score of each model; those within 0 and 1 are taken for probabilities, others for rankings.
    y : array, shape (n_rows,)
        Returned (1) or not (0).
    quota : sequence of float
        Lengths of the list for ``recall@``, as shares of the households.
    groups : array, shape (n_rows,), or DataFrame, optional
        As in :func:`riskml.targeting_errors`.
    sample_weight : array, shape (n_rows,), optional
        As in :func:`riskml.targeting_errors`.
    clusters : array, shape (n_rows,), optional
        As in :func:`riskml.targeting_errors`.
    n_bootstrap : int, default 200
        As in :func:`riskml.targeting_errors`.
    random_state : int, default 0
        As in :func:`riskml.targeting_errors`.
    reference : str, optional
        Model the others are compared with; default the first.

    Returns
    -------
    DataFrame
        One row a group, model and figure: ``by, group, model, figure, value, lower, upper`` (95 %), ``difference``
        (reference less this model), ``difference_lower, difference_upper`` (paired: the same draws), ``n, events``,
        ``few_events`` (fewer than :data:`riskml.skill.groups.FEW_EVENTS`: drawn intervals are too narrow there; those
        of :func:`riskml.targeting_errors` are not). Figures: ``auroc, average_precision, brier, log_loss,
        calibration_slope, calibration_intercept`` (NaN for rankings), ``recall@5%`` and so on (list of the whole
        district). NaN where a group has no return or nothing else.

    Raises
    ------
    ValueError
        If there is no score, the reference is not among them, or as in :func:`riskml.targeting_errors`.

    Examples
    --------
    >>> table = evaluate({"good": [0.9, 0.1, 0.8, 0.2], "bad": [0.2, 0.9, 0.1, 0.8]}, [1, 0, 1, 0], n_bootstrap=0)
    >>> table.query("figure == 'auroc'")["value"].tolist()
    [1.0, 0.0]
    """
    risks, y_, weight, reference = checked_scores(scores, y, sample_weight, reference)
    names, members = memberships(groups, y)
    draws = cluster_draws(clusters, len(y_), n_bootstrap, random_state)
    figures, rows = _figures(quota), []
    for place, (by, group) in enumerate(names):
        inside = members[[place]].toarray()[0] > 0
        measured = {}
        for name, risk in risks.items():
            figure = _measured(y_, risk, inside, figures, quota)
            sampled = np.array([figure(weight * draw) for draw in draws]).reshape(len(draws), len(figures))
            measured[name] = figure(weight), sampled
        events = int(y_[inside].sum())
        counts = {"n": int(inside.sum()), "events": events, "few_events": events < FEW_EVENTS}
        rows += [{"by": by, "group": group, **row, **counts} for row in compared(measured, figures, reference)]
    return pd.DataFrame(rows)


def calibration_slope(y: ArrayLike, risk: ArrayLike, *, sample_weight: ArrayLike | None = None) -> tuple[float, float]:
    """Return slope and intercept of the observed log-odds on the predicted ones; 1 and 0 are perfect.

    NaN where only one class occurs. Risks are kept within 1e-6 and 1 - 1e-6.
    """
    y_, risk_, weight = checked_rows(y, risk, sample_weight)
    if len(np.unique(y_[weight > 0])) < 2:
        return np.nan, np.nan
    slope, levels = fit_affine(logit(np.clip(risk_, 1e-6, 1 - 1e-6)), y_, weight)
    return slope, float(levels[0])


def _figures(quota: Sequence[float]) -> list[str]:
    return ["auroc", "average_precision", *_PROBABILITY, *(f"recall@{share:.0%}" for share in quota)]


def _measured(
    y: FloatArray, risk: FloatArray, inside: NDArray[np.bool_], figures: list[str], quota: Sequence[float]
) -> Callable[[FloatArray], FloatArray]:
    """Return a function from weights to the figures of one score in one group; it sorts once for all draws."""
    probability = bool(((risk >= 0) & (risk <= 1)).all())
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(-risk[rows], kind="stable")]
    y_sorted, first = y[rows], np.flatnonzero(np.append(True, np.diff(risk[rows]) != 0))
    p = np.clip(risk[rows], 1e-6, 1 - 1e-6) if probability else risk[rows]
    margin = logit(p) if probability else p
    everyone = np.argsort(-risk, kind="stable")
    ties = np.flatnonzero(np.append(True, np.diff(risk[everyone]) != 0))
    y_inside = (y * inside)[everyone]

    def figure(weight: FloatArray) -> FloatArray:
        out = np.full(len(figures), np.nan)
        w = weight[rows]
        good, bad = w @ y_sorted, w @ (1 - y_sorted)
        if good <= 0 or bad <= 0:
            return out
        returned, safe = np.add.reduceat(w * y_sorted, first), np.add.reduceat(w * (1 - y_sorted), first)
        found, listed = np.cumsum(returned), np.cumsum(returned + safe)
        out[0] = (safe * (found - returned / 2)).sum() / (good * bad)
        out[1] = (returned * np.divide(found, listed, out=np.zeros_like(found), where=listed > 0)).sum() / good
        if probability:
            out[2] = w @ (p - y_sorted) ** 2 / w.sum()
            out[3] = -(w @ (y_sorted * np.log(p) + (1 - y_sorted) * np.log1p(-p))) / w.sum()
            slope, levels = fit_affine(margin[w > 0], y_sorted[w > 0], w[w > 0])
            out[4:6] = slope, levels[0]
        # The list is the district's; within ties it grows in equal shares, so its recall is linear there.
        w = weight[everyone]
        length = np.append(0.0, np.cumsum(np.add.reduceat(w, ties)))
        recall = np.append(0.0, np.cumsum(np.add.reduceat(w * y_inside, ties))) / good
        out[6:] = np.interp(np.array(quota) * length[-1], length, recall)
        return out

    return figure
