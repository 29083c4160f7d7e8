"""How sure it is who belongs on a list: where the interval of the risk cannot tell, somebody must go and look."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskml.findings import in_words
from riskml.output.watchlists import WATCHLIST_COLUMNS

#: Columns of :func:`go_and_look`.
LOOK_COLUMNS = [*WATCHLIST_COLUMNS[:7], "cut_off", "listed", "standing"]


def go_and_look(scored: pd.DataFrame, *, n: int | None = None, threshold: float | None = None) -> pd.DataFrame:
    """Say of every household scored whether it surely belongs on the list, surely does not, or a visit must tell.

    A list ends at a cut-off risk. Who belongs on it is sure where the whole interval of the risk lies on one side of
    the cut-off; where the cut-off lies within it, the records cannot tell: go and look. Of a list of ``n`` the cut-off
    lies halfway between the risk of the last household on it and of the first below.

    The intervals count that the level of all risks may move, which moves the cut-off of a list of ``n`` as well and
    changes nobody's place; so too many are called unsure rather than too few.

    Parameters
    ----------
    scored : DataFrame
        Everybody scored on a date, with intervals: what ``riskml score`` writes without ``--top`` or with ``--explain
        top``, or :func:`riskml.watchlist` of all with ``intervals``.
    n : int, optional
        Households on the list: those of rank ``n`` or better.
    threshold : float, optional
        In place of ``n``: the risk from which on a household is on the list.

    Returns
    -------
    DataFrame
        In the order of ``scored``: ``household_id, as_of_date, area_id, rank, risk, risk_lower, risk_upper`` as given,
        ``cut_off`` (the risk the list ends at), ``listed`` (on the list), ``standing``: ``sure`` (interval above the
        cut-off), ``look`` (it holds the cut-off), ``below`` (interval under it).

    Raises
    ------
    ValueError
        If not exactly one of ``n`` and ``threshold`` is given or it does not fit, nobody is left below the list, or
        households have no interval.

    Examples
    --------
    >>> scored = pd.DataFrame({"household_id": list("abcd"), "as_of_date": pd.Timestamp("2024-12-01"), "area_id": "52"})
    >>> scored = scored.assign(rank=[1, 2, 3, 4], risk=[0.5, 0.3, 0.2, 0.1])
    >>> scored = scored.assign(risk_lower=scored["risk"] - 0.1, risk_upper=scored["risk"] + 0.1)
    >>> go_and_look(scored, n=2)[["household_id", "cut_off", "listed", "standing"]].values.tolist()
    [['a', 0.25, True, 'sure'], ['b', 0.25, True, 'look'], ['c', 0.25, False, 'look'], ['d', 0.25, False, 'below']]
    """
    if (n is None) == (threshold is None):
        raise ValueError("go_and_look: give n (households on the list) or threshold (a risk), one of the two")
    unknown = scored[["risk_lower", "risk_upper"]].isna().any(axis=1)
    if unknown.any():
        raise ValueError(
            in_words(
                f"{int(unknown.sum()):,} of {len(scored):,} households have no interval of their risk (first: "
                f"{scored.loc[unknown, 'household_id'].iloc[0]!r}), so nobody can say how sure the list is",
                f"{len(scored):,}户中有{int(unknown.sum()):,}户没有风险区间"
                f"（首例：{scored.loc[unknown, 'household_id'].iloc[0]!r}），无法判断名单有多确定",
            )
        )
    if n is not None:
        listed = scored["rank"] <= n
        cut_off = _end_of_list(scored, listed, n)
    elif threshold is not None and 0 < threshold < 1:
        listed, cut_off = scored["risk"] >= threshold, threshold
    else:
        raise ValueError(f"go_and_look: threshold must be a risk between 0 and 1, got {threshold}")
    standing = np.select([scored["risk_lower"] > cut_off, scored["risk_upper"] < cut_off], ["sure", "below"], "look")
    return scored.assign(cut_off=cut_off, listed=listed, standing=standing)[LOOK_COLUMNS]


def _end_of_list(scored: pd.DataFrame, listed: pd.Series, n: int) -> float:
    if listed.all() or not listed.any():
        raise ValueError(
            in_words(
                f"a list of {n:,} needs more households scored than that, to tell who stands just below it; "
                f"{len(scored):,} are given. Score everybody (`riskml score --top {n} --explain top`)",
                f"判断名单之下的住户，需要评分户数多于名单户数{n:,}；现有{len(scored):,}户。"
                f"请对所有住户评分（riskml score --top {n} --explain top）",
            )
        )
    return float(scored.loc[listed, "risk"].min() + scored.loc[~listed, "risk"].max()) / 2
