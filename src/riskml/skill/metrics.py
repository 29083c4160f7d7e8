"""How good a ranking and a probability are, at equal workload, by group and with intervals.

Every table is long: one row a group and figure, intervals from a bootstrap that draws whole clusters
(villages, households), weights as survey weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from riskml.model.calibration import fit_affine

FloatArray = NDArray[np.float64]
_PROBABILITY = ("brier", "log_loss", "calibration_slope", "calibration_intercept")


def targeting_errors(
    y: ArrayLike,
    risk: ArrayLike,
    *,
    quota: float,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    n_bootstrap: int = 0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Return whom a list of the riskiest misses and whom it holds in vain.

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
    groups : array, shape (n_rows,), optional
        Group of each row; default one group ``all``.
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
        One row a group: ``group, n, events, listed`` (weighted), ``exclusion_error`` (share of returns the list misses;
        NaN without returns), ``inclusion_error`` (share of the list that does not return; NaN if nobody is listed),
        each with ``_low, _high``
        (ties) and ``_lower, _upper`` (95 % interval).

    Raises
    ------
    ValueError
        If lengths differ, y is not 0/1, a value is missing or the quota not positive.

    Examples
    --------
    >>> targeting_errors([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], quota=0.5)[["exclusion_error", "inclusion_error"]]
       exclusion_error  inclusion_error
    0              0.5              0.5
    """
    y_, risk_, weight = _checked(y, risk, sample_weight)
    group = np.full(len(y_), "all") if groups is None else np.asarray(groups).astype(str)
    if quota <= 0:
        raise ValueError(f"quota must be positive, got {quota}")
    draws = _draws(clusters, len(y_), n_bootstrap, random_state)
    names = np.unique(group)

    def errors(multiplicity: FloatArray) -> FloatArray:
        """Return the figures of every group under a draw."""
        listed = _listed(y_, risk_, weight * multiplicity, quota)
        return np.array([_errors(y_, weight * multiplicity * (group == name), listed) for name in names])

    estimate = errors(np.ones(len(y_)))
    sampled = np.array([errors(draw) for draw in draws]) if len(draws) else None
    rows = []
    for i, name in enumerate(names):
        inside = group == name
        row: dict[str, Any] = {"group": name, "n": int(inside.sum()), "events": int(y_[inside].sum())}
        row["listed"] = estimate[i, 6]
        for k, figure in enumerate(("exclusion_error", "inclusion_error")):
            row |= {
                figure: estimate[i, 3 * k],
                f"{figure}_low": estimate[i, 3 * k + 1],
                f"{figure}_high": estimate[i, 3 * k + 2],
            }
            row[f"{figure}_lower"], row[f"{figure}_upper"] = _interval(
                None if sampled is None else sampled[:, i, 3 * k]
            )
        rows.append(row)
    return pd.DataFrame(rows)


def targeting_curve(y: ArrayLike, risk: ArrayLike, *, sample_weight: ArrayLike | None = None) -> pd.DataFrame:
    """Return the share of returns found by lists of every length.

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
        ``quota`` (share of households listed), ``found`` (share of returns on the list), ``precision``; one row a
        distinct risk, and the
        empty list first. Ties enter together.

    Examples
    --------
    >>> targeting_curve([1, 0], [0.9, 0.1])["found"].tolist()
    [0.0, 1.0, 1.0]
    """
    y_, risk_, weight = _checked(y, risk, sample_weight)
    order = np.argsort(-risk_, kind="stable")
    last = np.append(np.diff(risk_[order]) != 0, True)
    listed, found = np.cumsum(weight[order])[last], np.cumsum((weight * y_)[order])[last]
    curve = pd.DataFrame({"quota": listed / weight.sum(), "found": found / found[-1], "precision": found / listed})
    return pd.concat([pd.DataFrame({"quota": [0.0], "found": [0.0], "precision": [np.nan]}), curve], ignore_index=True)


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
    y_, risk_, weight = _checked(y, risk, sample_weight)
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
    groups: ArrayLike | None = None,
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
    groups : array, shape (n_rows,), optional
        As in :func:`targeting_errors`.
    sample_weight : array, shape (n_rows,), optional
        As in :func:`targeting_errors`.
    clusters : array, shape (n_rows,), optional
        As in :func:`targeting_errors`.
    n_bootstrap : int, default 200
        As in :func:`targeting_errors`.
    random_state : int, default 0
        As in :func:`targeting_errors`.
    reference : str, optional
        Model the others are compared with; default the first.

    Returns
    -------
    DataFrame
        One row a group, model and figure: ``group, model, figure, value, lower, upper`` (95 %), ``difference``
        (reference less this model),
        ``difference_lower, difference_upper`` (paired: the same draws), ``n, events``. Figures: ``auroc,
        average_precision,
        brier, log_loss, calibration_slope, calibration_intercept`` (NaN for rankings), ``recall@5%`` and so on (list
        of the whole district). NaN where a
        group has no return or nothing else.

    Raises
    ------
    ValueError
        If there is no score, the reference is not among them, or as in :func:`targeting_errors`.

    Examples
    --------
    >>> table = evaluate({"good": [0.9, 0.1, 0.8, 0.2], "bad": [0.2, 0.9, 0.1, 0.8]}, [1, 0, 1, 0], n_bootstrap=0)
    >>> table.query("figure == 'auroc'")["value"].tolist()
    [1.0, 0.0]
    """
    if not scores:
        raise ValueError("scores is empty; give at least one model")
    reference = next(iter(scores)) if reference is None else reference
    if reference not in scores:
        raise ValueError(f"reference {reference!r} is not among the models {list(scores)}")
    checked = {name: _checked(y, score, sample_weight) for name, score in scores.items()}
    y_, _, weight = checked[reference]
    group = np.full(len(y_), "all") if groups is None else np.asarray(groups).astype(str)
    draws = _draws(clusters, len(y_), n_bootstrap, random_state)
    values: dict[tuple[str, str], tuple[FloatArray, FloatArray]] = {}
    figures = _figures(quota)
    for name, (_, risk, _) in checked.items():
        for inside in np.unique(group):
            figure = _measured(y_, risk, group == inside, figures, quota)
            sampled = np.array([figure(weight * draw) for draw in draws]).reshape(len(draws), len(figures))
            values[inside, name] = figure(weight), sampled
    rows = []
    for inside in np.unique(group):
        best, best_sampled = values[inside, reference]
        for name in checked:
            estimate, sampled = values[inside, name]
            for k, figure_name in enumerate(figures):
                lower, upper = _interval(sampled[:, k] if len(draws) else None)
                low, high = _interval(best_sampled[:, k] - sampled[:, k] if len(draws) else None)
                rows.append(
                    {
                        "group": inside,
                        "model": name,
                        "figure": figure_name,
                        "value": estimate[k],
                        "lower": lower,
                        "upper": upper,
                        "difference": best[k] - estimate[k],
                        "difference_lower": low,
                        "difference_upper": high,
                        "n": int((group == inside).sum()),
                        "events": int(y_[group == inside].sum()),
                    }
                )
    return pd.DataFrame(rows)


def calibration_slope(y: ArrayLike, risk: ArrayLike, *, sample_weight: ArrayLike | None = None) -> tuple[float, float]:
    """Return slope and intercept of the observed log-odds on the predicted ones; 1 and 0 are perfect.

    NaN where only one class occurs. Risks are kept within 1e-6 and 1 - 1e-6.
    """
    y_, risk_, weight = _checked(y, risk, sample_weight)
    if len(np.unique(y_[weight > 0])) < 2:
        return np.nan, np.nan
    slope, levels = fit_affine(logit(np.clip(risk_, 1e-6, 1 - 1e-6)), y_, weight)
    return slope, float(levels[0])


def _checked(y: ArrayLike, risk: ArrayLike, weight: ArrayLike | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    if (
        isinstance(y, pd.Series)
        and isinstance(risk, pd.Series)
        and len(y) == len(risk)
        and not y.index.equals(risk.index)
    ):
        raise ValueError("y and risk are indexed differently; put them in one order first")
    y_, risk_ = np.asarray(y, dtype=np.float64), np.asarray(risk, dtype=np.float64)
    weight_ = np.ones(len(y_)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not len(y_) == len(risk_) == len(weight_):
        raise ValueError(
            f"y, risk and sample_weight must be of one length, got {len(y_)}, {len(risk_)}, {len(weight_)}"
        )
    if not np.isin(y_, (0, 1)).all():
        raise ValueError("y must be 0 or 1; leave out rows whose outcome was not observed")
    if np.isnan(risk_).any() or np.isnan(weight_).any():
        raise ValueError(f"risk or sample_weight is missing in {int((np.isnan(risk_) | np.isnan(weight_)).sum())} rows")
    return y_, risk_, weight_


def _draws(clusters: ArrayLike | None, n: int, n_bootstrap: int, seed: int) -> FloatArray:
    """Return how often each row is drawn when whole clusters are drawn with replacement, shape (n_bootstrap, n)."""
    codes = np.arange(n) if clusters is None else pd.factorize(np.asarray(clusters))[0]
    rng, size = np.random.default_rng(seed), int(codes.max(initial=0)) + 1
    draws = [np.bincount(rng.integers(0, size, size), minlength=size)[codes] for _ in range(n_bootstrap)]
    return np.array(draws, dtype=np.float64).reshape(n_bootstrap, n)


def _interval(sampled: FloatArray | None) -> tuple[float, float]:
    if sampled is None or np.isnan(sampled).all():
        return np.nan, np.nan
    lower, upper = np.nanquantile(sampled, [0.025, 0.975])
    return float(lower), float(upper)


def _listed(y: FloatArray, risk: FloatArray, weight: FloatArray, quota: float) -> FloatArray:
    """Return the part of each row that is on the list: expected, returns last, returns first among ties."""
    size = quota * weight.sum() if quota < 1 else float(quota)
    order = np.argsort(-risk, kind="stable")
    before = np.cumsum(weight[order]) - weight[order]
    cut = risk[order][min(int(np.searchsorted(before, size, side="left")), len(risk)) - 1]
    sure, tied = risk > cut, risk == cut
    left = max(size - weight[sure].sum(), 0.0)
    parts = [np.where(sure, 1.0, np.where(tied, min(1.0, left / max(weight[tied].sum(), 1e-300)), 0.0))]
    for first in (tied & (y == 0), tied & (y == 1)):
        room = min(left, weight[first].sum())
        second = tied & ~first
        part = np.where(sure, 1.0, 0.0)
        part[first] = room / max(weight[first].sum(), 1e-300)
        part[second] = min(1.0, (left - room) / max(weight[second].sum(), 1e-300))
        parts.append(part)
    return np.array(parts)


def _errors(y: FloatArray, weight: FloatArray, listed: FloatArray) -> FloatArray:
    """Return exclusion error (expected, low, high), inclusion error (same) and the weight on the list."""
    returns, on_list = weight @ y, listed @ weight
    missed = 1 - listed @ (weight * y) / returns if returns > 0 else np.full(3, np.nan)
    in_vain = np.divide(listed @ (weight * (1 - y)), on_list, out=np.full(3, np.nan), where=on_list > 0)
    return np.array([missed[0], missed[2], missed[1], in_vain[0], in_vain[2], in_vain[1], on_list[0]])


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
