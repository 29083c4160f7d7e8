"""Whether an effect may be believed: overlap, too few cases, a control that help cannot change, hidden reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskml.effects.doubly_robust import Average, FloatArray
from riskml.tables.lines import welfare_records

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: With fewer starts, or returns among them, no effect is stated.
LEAST_TREATED, LEAST_RETURNS = 50, 5
#: With fewer effective rows without the measure there is nobody to compare with.
LEAST_EFFECTIVE = 50.0
#: Beyond these chances of a start the other side is missing.
RARE, SURE = 0.02, 0.95
#: Share of the rows, or of those who started, that may lie beyond them.
MOST_BEYOND = 0.1
OVERLAP_COLUMNS = (
    *("n_rows", "n_treated", "n_left_out", "share_left_out", "effective_untreated"),
    *(f"p{level:02d}_{who}" for who in ("treated", "untreated") for level in (5, 50, 95)),
    *("share_rare", "share_sure"),
)
CONTROL_COLUMNS = ("check", "n_rows", "value", "lower", "upper", "passed")
#: Months before the as-of date in which the control outcome ends: features say most of what came later.
_CONTROL_ENDS, _CONTROL_BEGINS = 12, 24


def overlap_row(propensity: FloatArray, treated: FloatArray, effective: float, n_left_out: int) -> dict[str, Any]:
    """Return how far those who started and those who did not can be compared.

    Parameters
    ----------
    propensity : ndarray of shape (n_rows,)
        Chance of a start.
    treated : ndarray of 0 and 1, shape (n_rows,)
        Who started.
    effective : float
        Effective rows without the measure, weighted to be like those who started.
    n_left_out : int
        Rows left out because practice hardly ever gives the measure to households like them.

    Returns
    -------
    dict
        ``n_rows, n_treated, n_left_out, share_left_out, effective_untreated``; quantiles of the propensity
        (``p05, p50, p95``) with ``_treated`` or ``_untreated``; ``share_rare`` of the rows below :data:`RARE`,
        ``share_sure`` of those who started above :data:`SURE`.
    """
    d = treated.astype(bool)
    quantiles = [float(np.quantile(propensity[rows], q)) for rows in (d, ~d) for q in (0.05, 0.5, 0.95)]
    share_left_out = n_left_out / (n_left_out + len(d))
    beyond = float((propensity < RARE).mean()), float((propensity[d] > SURE).mean())
    values = (len(d), int(d.sum()), n_left_out, share_left_out, effective, *quantiles, *beyond)
    return dict(zip(OVERLAP_COLUMNS, values, strict=True))


def too_few(treated: FloatArray, y: FloatArray, least: int = LEAST_TREATED) -> tuple[str, str]:
    """Return why there are too few cases, in English and Chinese; empty where there are enough.

    Parameters
    ----------
    treated : ndarray of 0 and 1, shape (n_rows,)
        Who started.
    y : ndarray of 0 and 1, shape (n_rows,)
        Who returned.
    least : int, optional
        Starts needed.

    Returns
    -------
    tuple of str
        The reason.
    """
    n, returns, others = int(treated.sum()), int((treated * y).sum()), int(((1 - treated) * y).sum())
    if n < least:
        return (
            f"{n} starts with a known outcome, at least {least} are needed; add as-of dates or areas",
            f"结果已知的开始帮扶只有{n}次，至少需要{least}次；请增加评估日期或地区",
        )
    if min(returns, others) < LEAST_RETURNS:
        return (
            f"{returns} returns among {n} starts and {others} among the others, at least {LEAST_RETURNS} of each are "
            "needed; add as-of dates or areas",
            f"{n}次开始帮扶中有{returns}次返贫，其余中有{others}次，至少各需{LEAST_RETURNS}次；请增加评估日期或地区",
        )
    return "", ""


def unexplained(typical: float) -> tuple[str, str]:
    """Return why nobody is known to be like those who started, in English and Chinese; empty where some are.

    Parameters
    ----------
    typical : float
        Median chance of a start of those who started.

    Returns
    -------
    tuple of str
        The reason.
    """
    if typical >= RARE:
        return "", ""
    return (
        f"half of those who started it had a chance below {RARE:.0%} by the records: who gets it is decided by what "
        "the records do not hold, so nobody is known to be like them",
        f"按现有记录，开始得到者中有一半的概率低于{RARE:.0%}：由谁得到取决于记录之外的情况，无法找到与之相似的住户",
    )


def no_overlap(row: dict[str, Any], estimand: str) -> tuple[str, str]:
    """Return why an average over these households cannot be had, in English and Chinese; empty where it can.

    Parameters
    ----------
    row : dict
        As :func:`overlap_row` gives it.
    estimand : str
        ``att``, ``ato`` or ``ate``.

    Returns
    -------
    tuple of str
        The reason.
    """
    if not row["effective_untreated"] >= LEAST_EFFECTIVE:
        return (
            f"only {row['effective_untreated']:.0f} effective households without the measure are like those with it, "
            f"at least {LEAST_EFFECTIVE:.0f} are needed: practice gives it to nearly all who are like them",
            f"与得到帮扶者相似而未得到者，有效户数仅{row['effective_untreated']:.0f}，至少需要{LEAST_EFFECTIVE:.0f}："
            "现行做法几乎给予了所有相似住户",
        )
    if any(unknown := unexplained(row["p50_treated"])):
        return unknown
    if estimand != "ato" and row["share_sure"] > MOST_BEYOND:
        return (
            f"{row['share_sure']:.0%} of those who started it had to get it (chance above {SURE:.0%}): nobody like "
            "them went without",
            f"开始得到者中有{row['share_sure']:.0%}几乎必然得到（概率高于{SURE:.0%}），没有相似而未得到的住户可比",
        )
    if estimand == "ate" and row["share_rare"] > MOST_BEYOND:
        return (
            f"{row['share_rare']:.0%} of the households hardly ever get it (chance below {RARE:.0%}): what it would do "
            "for them, practice does not tell",
            f"{row['share_rare']:.0%}的住户几乎从未得到（概率低于{RARE:.0%}）：现行做法无法说明它对这些住户的作用",
        )
    return "", ""


def e_value(ratio: float, lower: float, upper: float) -> tuple[float, float]:
    """Return how strong a hidden reason would have to be to explain the effect away, and its interval.

    The E-value is the least risk ratio that a reason nobody recorded must have both with getting the measure and with
    returning, beyond all that is adjusted for, to turn the ratio found into 1: ``r + sqrt(r (r - 1))`` with ``r`` the
    ratio or its inverse, whichever is above 1. That of the interval is of its end nearer to 1, and 1 if it holds 1.

    Parameters
    ----------
    ratio, lower, upper : float
        Risk with the measure over risk without, and its interval.

    Returns
    -------
    value, of_interval : float
        At least 1; NaN where the ratio is.

    References
    ----------
    VanderWeele, Ding (2017). Sensitivity analysis in observational research: introducing the E-value. *Annals of
    Internal Medicine* 167.

    Examples
    --------
    >>> e_value(0.5, 0.4, 0.8)[0] == 2 + 2**0.5, e_value(0.9, 0.7, 1.2)[1]
    (True, 1.0)
    """
    if not ratio > 0:
        return np.nan, np.nan
    nearest = 1.0 if lower <= 1 <= upper else (upper if ratio < 1 else lower)
    away, near = (max(r, 1 / r) for r in (ratio, nearest))
    return float(away + np.sqrt(away * (away - 1))), float(near + np.sqrt(near * (near - 1)))


def earlier_welfare(data: Monitoring, index: pd.MultiIndex) -> pd.Series:
    """Return what help that starts cannot change: mean welfare in the year before the last.

    Parameters
    ----------
    data : Monitoring
        The tables.
    index : MultiIndex
        ``(household_id, as_of_date)``.

    Returns
    -------
    Series of float64
        Mean welfare in lines of the records dated from 24 to 12 months before the as-of date (that day not counted),
        in the newest version, weighted by months; at most 3 lines; NaN where they cover less than half a year.
    """
    records = welfare_records(data)
    records = records[records["superseded_on"].isna()]
    place = pd.Index(data.household_ids)
    who = place.get_indexer(index.get_level_values("household_id"))
    days = pd.DatetimeIndex(index.get_level_values("as_of_date"))
    lane, date = records["household_position"].to_numpy(), records["date"]
    months, welfare = records["months"].to_numpy(dtype=np.float64), records["welfare"].to_numpy(dtype=np.float64)
    out = np.full(len(index), np.nan)
    for day in days.unique():
        first, last = (day - pd.DateOffset(months=n) for n in (_CONTROL_BEGINS, _CONTROL_ENDS))
        within = ((date >= first) & (date < last)).to_numpy()
        total = np.bincount(lane[within], months[within], minlength=len(place))
        sums = np.bincount(lane[within], months[within] * welfare[within], minlength=len(place))
        mean = np.divide(sums, total, out=np.full(len(place), np.nan), where=total >= 6)
        rows = days == day
        out[rows] = np.minimum(mean[who[rows]], 3.0)
    return pd.Series(out, index=index, name="earlier_welfare")


def control_row(check: str, average: Average | None, n_rows: int) -> dict[str, Any]:
    """Return a control outcome's row: the difference found where there is none, and whether the interval holds 0.

    Parameters
    ----------
    check : str
        Name of the control.
    average : Average or None
        What was found; None where it could not be judged.
    n_rows : int
        Rows with the control outcome.

    Returns
    -------
    dict
        ``check, n_rows, value, lower, upper, passed`` (1, 0, NaN where it could not be judged).
    """
    if average is None:
        return dict(zip(CONTROL_COLUMNS, (check, n_rows, *[np.nan] * 4), strict=True))
    lower, upper = average.interval
    values = (check, n_rows, average.difference, lower, upper, float(lower <= 0 <= upper))
    return dict(zip(CONTROL_COLUMNS, values, strict=True))
