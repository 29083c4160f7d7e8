"""The ranked list of households, what changed since the last one, and the content of one household's card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.causes import CAUSES, cause_label
from riskml.explanation.on_file import causes_joined
from riskml.explanation.wording import format_points, format_risk
from riskml.features.assistance import SUPPORT_COLUMNS
from riskml.model.net import NET_COLUMNS

if TYPE_CHECKING:
    from riskml.explanation.contributions import Explanation
    from riskml.tables.monitoring import Monitoring

#: Points by cause, in the order of :data:`riskml.causes.CAUSES`.
POINTS = [f"points_{cause}" for cause in CAUSES]
#: Columns of a watchlist; with a plan ``measure`` and ``cost`` follow.
WATCHLIST_COLUMNS = [
    "household_id",
    "as_of_date",
    "area_id",
    "rank",
    "risk",
    "risk_lower",
    "risk_upper",
    *NET_COLUMNS,
    *SUPPORT_COLUMNS,
    *POINTS,
    "cause_1",
    "cause_2",
    "cause_3",
    "on_file",
    "reason_en",
    "reason_zh",
]


#: What stands beside the risk where it was not given: intervals, the risk net of assistance, the support that runs.
_NOT_GIVEN: tuple[dict[str, Any], ...] = (
    {"risk_lower": np.nan, "risk_upper": np.nan},
    dict.fromkeys(NET_COLUMNS, np.nan),
    {"support": "", "support_ends_on": np.datetime64("NaT", "s")},
)


def watchlist(
    risk: pd.Series,
    explanation: Explanation,
    plan: pd.DataFrame | None = None,
    *,
    n: int | None = None,
    areas: Sequence[str] | NDArray[Any] | None = None,
    intervals: pd.DataFrame | None = None,
    data: Monitoring | None = None,
    net: pd.DataFrame | None = None,
    support: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Rank households by risk and say of each why.

    Parameters
    ----------
    risk : Series of length n_rows
        Calibrated risks of one as-of date, indexed by ``(household_id, as_of_date)``.
    explanation : Explanation
        Explains at least the households that come on the list.
    plan : DataFrame, optional
        As :func:`riskml.match_assistance` gives; its measures are put beside the households.
    n : int, optional
        Length of the list; default: everybody.
    areas : array-like of str of length n_rows, optional
        Area code of each row of ``risk``, as :func:`riskml.cohort` gives it.
    intervals : DataFrame, optional
        ``risk_lower, risk_upper`` for the rows of ``risk``, as ``model.risk_interval(X)`` gives.
    data : Monitoring, optional
        The tables the features were computed from: with them the reasons have days and amounts.
    net : DataFrame, optional
        The risk net of assistance for the rows of ``risk``, as :func:`riskml.net_risk` gives.
    support : DataFrame, optional
        The support that runs, for the rows of ``risk``, as :func:`riskml.running_support` gives.

    Returns
    -------
    DataFrame
        Columns :data:`WATCHLIST_COLUMNS`, rank 1 (highest risk) first, equal risks by ``household_id``.
        ``risk_lower`` and ``risk_upper`` are NaN without ``intervals``, ``risk_net`` and its ends without ``net``;
        ``on_file`` has the causes of which an adverse record is on file, joined by ``;`` (empty: none);
        ``area_id`` is empty without ``areas``, ``support`` empty and ``support_ends_on`` NaT without ``support``. With
        a plan also ``measure`` (several joined by ``;``, empty: none) and ``cost`` (currency, their sum).

    Raises
    ------
    ValueError
        If ``risk`` has more than one as-of date, a household twice, or missing values.
    KeyError
        If a household of the list is not explained, or is missing in what is given beside the risk.
    """
    _check(risk)
    keys = risk.index.to_frame(index=False).set_axis(["household_id", "as_of_date"], axis=1)
    table = keys.assign(area_id="" if areas is None else np.asarray(areas, dtype=object), risk=risk.to_numpy())
    order = table.sort_values(["risk", "household_id"], ascending=[False, True], kind="stable").index[:n]
    table, index = table.loc[order].reset_index(drop=True), risk.index[order]
    why = explanation.take(index)
    given = [
        pd.DataFrame(empty, index=index) if beside is None else beside.loc[index, list(empty)]
        for beside, empty in zip((intervals, net, support), _NOT_GIVEN, strict=True)
    ]
    said = [why.top_causes(3), causes_joined(why.on_file()).to_frame(), why.reasons(data)]
    parts = [why.in_points().set_axis(POINTS, axis=1), *said, *given]
    table = pd.concat([table, *(part.reset_index(drop=True) for part in parts)], axis=1)
    table["rank"] = np.arange(1, len(table) + 1)
    table = table[WATCHLIST_COLUMNS]
    return (
        table
        if plan is None
        else table.merge(_given(plan), on="household_id", how="left", validate="1:1").fillna(
            {"measure": "", "cost": 0.0}
        )
    )


def watchlist_changes(
    previous: pd.DataFrame, current: pd.DataFrame, *, n: int | None = None, reasons: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Say who entered and who left the list, and what moved the risk of each.

    Parameters
    ----------
    previous, current : DataFrame
        Watchlists of two as-of dates, explained by the same model. When they hold more than the list (everybody
        scored), what moved can also be said of those who entered or left.
    n : int, optional
        Length of the list: households of rank ``n`` or better are on it. Default: all rows.
    reasons : DataFrame, optional
        ``sentence_en, sentence_zh`` by household, as :meth:`riskml.Change.reasons` gives: what moved each risk,
        exactly. Without them a sentence compares the points of the two tables.

    Returns
    -------
    DataFrame
        ``household_id, area_id, change`` (``entered``, ``stayed``, ``left``), ``rank_before, rank_now, risk_before,
        risk_now`` (NaN where the table has no such household), ``change_<cause>`` (difference of the points, NaN
        unless in both), ``cause`` (the one whose points moved most in the direction of the risk; the first cause where
        there is only one table), ``sentence_en, sentence_zh``. Entered first, by rank now; then stayed; then left.

    Raises
    ------
    ValueError
        If a table has a household twice.
    """
    before, now = (_one_each(table, n) for table in (previous, current))
    both = before.add_suffix("_before").join(now.add_suffix("_now"), how="outer")
    listed_before, listed_now = both["listed_before"].eq(True), both["listed_now"].eq(True)
    both = both[listed_before | listed_now]
    changes = pd.DataFrame(index=both.index)
    changes["area_id"] = both["area_id_now"].fillna(both["area_id_before"])
    changes["change"] = np.select([~listed_before[both.index], ~listed_now[both.index]], ["entered", "left"], "stayed")
    for name in ("rank", "risk"):
        changes[[f"{name}_before", f"{name}_now"]] = both[[f"{name}_before", f"{name}_now"]].astype(np.float64)
    for cause in CAUSES:
        changes[f"change_{cause}"] = both[f"points_{cause}_now"] - both[f"points_{cause}_before"]
    changes["cause"] = _moved_most(changes, both["cause_1_now"].fillna(both["cause_1_before"]))
    exact = {} if reasons is None else dict(zip(reasons.index, reasons.to_numpy().tolist(), strict=True))
    sentences = [
        _change_sentences(row, exact.get(name)) for name, row in zip(both.index, _records(changes), strict=True)
    ]
    changes["sentence_en"], changes["sentence_zh"] = ([pair[k] for pair in sentences] for k in (0, 1))
    changes["order"] = changes["change"].map({"entered": 0, "stayed": 1, "left": 2})
    changes = changes.reset_index(names="household_id")
    changes = changes.sort_values(
        ["order", "rank_now", "rank_before", "household_id"], kind="stable", ignore_index=True
    )
    return changes.drop(columns="order")


def cards(
    watchlist: pd.DataFrame,
    *,
    plan: pd.DataFrame | None = None,
    evidence: pd.DataFrame | None = None,
    n_cards: int = 20,
) -> list[Card]:
    """Return the content of the first households' cards.

    Parameters
    ----------
    watchlist : DataFrame
        As :func:`watchlist` gives.
    plan : DataFrame, optional
        As :func:`riskml.match_assistance` gives.
    evidence : DataFrame, optional
        As :meth:`riskml.Explanation.evidence` gives.
    n_cards : int, default 20
        How many.

    Returns
    -------
    list of Card
        In the order of the list.
    """
    measures = {} if plan is None else dict(tuple(plan.groupby("household_id", sort=False)))
    records = {} if evidence is None else dict(tuple(evidence.groupby("household_id", sort=False)))
    return [
        Card(
            row=row,
            base_risk=float(row["risk"] - sum(row[name] for name in POINTS)),
            steps=sorted(((cause, float(row[f"points_{cause}"])) for cause in CAUSES), key=lambda step: -abs(step[1])),
            measures=_records(measures.get(row["household_id"])),
            evidence=_records(records.get(row["household_id"])),
        )
        for row in _records(watchlist.head(n_cards))
    ]


@dataclass(frozen=True)
class Card:
    """What a household's card shows.

    Attributes
    ----------
    row : dict
        The household's row of the watchlist.
    base_risk : float
        The risk where every household starts.
    steps : list of (cause, points)
        From ``base_risk`` to the risk: they add up to it. Largest first.
    measures : list of dict
        The household's rows of the plan.
    evidence : list of dict
        The records behind the reasons.
    """

    row: dict[str, Any]
    base_risk: float
    steps: list[tuple[str, float]]
    measures: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


def _check(risk: pd.Series) -> None:
    if risk.index.nlevels != 2:
        raise ValueError("watchlist: risk must be indexed by (household_id, as_of_date), as predict_risk(X) gives")
    dates = risk.index.get_level_values(1).unique()
    if len(dates) > 1:
        raise ValueError(
            f"watchlist: risk has {len(dates)} as-of dates; choose one, as risk.xs(date, level=1, drop_level=False)"
        )
    if risk.index.has_duplicates:
        raise ValueError(f"watchlist: household_id {risk.index[risk.index.duplicated()][0][0]!r} is there twice")
    if risk.isna().any():
        raise ValueError(f"watchlist: {int(risk.isna().sum())} risks are missing; drop those households first")


def _given(plan: pd.DataFrame) -> pd.DataFrame:
    """Return the measures and the cost per household of a plan."""
    given = plan[plan["measure"] != ""].groupby("household_id", sort=False)
    return pd.DataFrame({"measure": given["measure"].agg(";".join), "cost": given["cost"].sum()}).reset_index()


def _one_each(table: pd.DataFrame, n: int | None) -> pd.DataFrame:
    if table["household_id"].duplicated().any():
        first = table.loc[table["household_id"].duplicated(), "household_id"].iloc[0]
        raise ValueError(
            f"watchlist_changes: household_id {first!r} is in a list twice; compare one as-of date with one"
        )
    columns = ["area_id", "rank", "risk", *POINTS, "cause_1"]
    return table.set_index("household_id")[columns].assign(listed=True if n is None else table["rank"].to_numpy() <= n)


def _moved_most(changes: pd.DataFrame, otherwise: pd.Series) -> pd.Series:
    """Return the cause whose points moved most in the direction in which the risk moved."""
    moves = changes[[f"change_{cause}" for cause in CAUSES]].to_numpy(dtype=np.float64)
    direction = np.where(changes["risk_now"] < changes["risk_before"], -1.0, 1.0)
    most = np.nan_to_num(moves * direction[:, None], nan=0.0).argmax(axis=1)
    return otherwise.where(np.isnan(moves[:, 0]), np.array(list(CAUSES), dtype=object)[most])


def _change_sentences(row: dict[str, Any], exact: list[str] | None) -> tuple[str, str]:
    """Return what changed for one household, English and Chinese."""
    before, now = format_risk(row["risk_before"]), format_risk(row["risk_now"])
    start_en, start_zh = _CHANGE_WORDS[row["change"]]
    if exact is not None:
        return start_en + exact[0], start_zh + exact[1]
    cause_en, cause_zh = cause_label(row["cause"]), cause_label(row["cause"], "zh")
    if not before:
        return (
            f"{start_en}Risk {now}, first {cause_en}; not in the previous table.",
            f"{start_zh}返贫风险{now}，首要因素：{cause_zh}；上期表中没有该户。",
        )
    if not now:
        return (
            f"{start_en}Risk was {before}; not in the current table.",
            f"{start_zh}上期返贫风险{before}；本期表中没有该户。",
        )
    if before == now:
        return f"{start_en}Risk unchanged at {now}.", f"{start_zh}返贫风险{now}，无变化。"
    verb_en, verb_zh = ("rose", "升至") if row["risk_now"] > row["risk_before"] else ("fell", "降至")
    points = format_points(row[f"change_{row['cause']}"])
    return (
        f"{start_en}Risk {verb_en} from {before} to {now}, most by {cause_en} ({points} points).",
        f"{start_zh}返贫风险由{before}{verb_zh}{now}，变化最大的因素：{cause_zh}（{points}个百分点）。",
    )


_CHANGE_WORDS = {
    "entered": ("New on the list. ", "新进入名单。"),
    "stayed": ("", ""),
    "left": ("Off the list. ", "退出名单。"),
}


def _records(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    return (
        [] if table is None else [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]
    )
