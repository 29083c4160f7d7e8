"""What people decided about a plan, kept when it is made again."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.findings import DataRefused, in_words
from riskml.planning.cells import as_text, wrong_cells
from riskml.planning.limits import Limits

FloatArray = NDArray[np.float64]

#: Columns that people fill in.
REVIEW_COLUMNS = ["status", "reviewer", "decision", "reason"]
#: What ``decision`` may say, and how it is read. Empty: not decided.
DECISIONS = {
    "": "",
    "approved": "approved",
    "同意": "approved",
    "批准": "approved",
    "refused": "refused",
    "不同意": "refused",
    "不批准": "refused",
}


def earlier_rows(previous: pd.DataFrame | None) -> pd.DataFrame:
    """Return the rows of an earlier plan that people wrote something into.

    Parameters
    ----------
    previous : DataFrame or None
        As :func:`riskml.match_assistance` gave it, reviewed; None: there was none.

    Returns
    -------
    DataFrame
        Its rows with status, reviewer, decision or reason filled in, and two columns more: ``about``, the measure the
        row is about, and ``decided``: ``approved``, ``refused`` or empty.

    Raises
    ------
    ValueError
        If it lacks a column or has a household and measure twice.
    DataRefused
        If a decision is another word than those of :data:`DECISIONS`.
    """
    if previous is None:
        previous = pd.DataFrame(columns=["household_id", "as_of_date", "measure", "cost", *REVIEW_COLUMNS])
    missing = [name for name in ("household_id", "measure", "cost", *REVIEW_COLUMNS) if name not in previous]
    if missing:
        names = ", ".join(missing)
        raise ValueError(
            in_words(
                f"the previous plan lacks {names}; give a file that `riskml plan` wrote",
                f"上期计划缺少列{names}；请使用 riskml plan 生成的文件",
            )
        )
    texts = as_text(previous, ["household_id", "measure", "formerly", "area_id", "source", *REVIEW_COLUMNS])
    rows = previous.reset_index(drop=True).assign(**{str(name): texts[name] for name in texts})
    decided = rows["decision"].str.lower().map(DECISIONS)
    known = ", ".join(word for word in DECISIONS if word)
    en, zh = f"expected one of {known}, or nothing", f"应为{known}之一，或留空"
    findings = list(wrong_cells("previous", texts, "decision", decided.isna(), "unknown_word", en, zh))
    if findings:
        raise DataRefused(findings)
    rows = rows.assign(about=rows["measure"].where(rows["measure"] != "", rows["formerly"]), decided=decided)
    rows = rows[(rows[REVIEW_COLUMNS] != "").any(axis=1)].reset_index(drop=True)
    twice = rows.duplicated(["household_id", "about"])
    if twice.any():
        one = rows[twice].iloc[0]
        who = f"household_id {one['household_id']!r}, {one['about']!r}"
        raise ValueError(
            in_words(f"the previous plan has {who} twice; keep one row", f"上期计划中{who}重复，请保留一行")
        )
    approved_nothing = (rows["decided"] == "approved") & (rows["measure"] == "")
    en, zh = "a row without a measure cannot be approved", "没有措施的行不能批准"
    findings = list(wrong_cells("previous", rows, "decision", approved_nothing, "nothing_to_approve", en, zh))
    if findings:
        raise DataRefused(findings)
    return rows


def promised_use(approved: pd.DataFrame, need: pd.DataFrame, measures: pd.DataFrame, limits: Limits) -> FloatArray:
    """Return what approved rows use of each limit, or add to each floor.

    Parameters
    ----------
    approved : DataFrame
        Rows of :func:`earlier_rows`; they cost what stands in them.
    need, measures : DataFrame
        Households and measures of the new plan. A row of a household that is no longer there, or of a measure that is
        no longer in the table, still uses its budget.
    limits : Limits
        Of the new plan.

    Returns
    -------
    ndarray of shape (n_limits,)
        Currency or number.
    """
    at = pd.Index(need["household_id"]).get_indexer(pd.Index(approved["household_id"]))
    present = at >= 0
    area = approved["area_id"].to_numpy(dtype=object)
    if "area_id" in need and len(at):
        area = np.where(present, need["area_id"].to_numpy(dtype=object)[at], area)
    sources = dict(zip(measures["measure"], measures["source"], strict=True))
    named = [sources.get(name, kept) for name, kept in approved[["measure", "source"]].to_numpy()]
    source = np.array(named, dtype=object)
    cost = approved["cost"].to_numpy(dtype=np.float64)
    used = np.zeros(len(limits.table))
    for row, limit in enumerate(limits.table.to_dict("records")):
        inside = np.array([str(code).startswith(limit["area_id"]) for code in area], dtype=bool)
        if limit["condition"]:
            inside = present & limits.member[row][limits.kind[np.maximum(at, 0)]] if len(need) else inside & False
        if limit["limit"] in ("budget", "floor_money"):
            used[row] = cost[inside & ((source == limit["source"]) | (limit["source"] == ""))].sum()
        elif limit["limit"] == "capacity":
            used[row] = (inside & (approved["measure"] == limit["measure"]).to_numpy()).sum()
        else:
            used[row] = approved["household_id"][inside].nunique()
    return used


def with_review(plan: pd.DataFrame, earlier: pd.DataFrame, order: pd.Index) -> pd.DataFrame:
    """Return a plan with what people wrote into the earlier one; nothing they wrote is lost.

    Parameters
    ----------
    plan : DataFrame
        The new plan: ``household_id, measure, formerly, not_funded`` and the rest of its columns.
    earlier : DataFrame
        As :func:`earlier_rows` gives.
    order : Index
        The households in the order of the list.

    Returns
    -------
    DataFrame
        Rows of the plan with the texts of the same household and measure; approved ones with the cost they were
        approved with. What was written about a measure that is not proposed now gets a row without a measure,
        ``formerly`` naming it; an approved one stays as it was.
    """
    plan = plan.assign(**dict.fromkeys(REVIEW_COLUMNS, ""))
    if not len(earlier):
        return plan
    keys = pd.MultiIndex.from_frame(plan[["household_id", "measure"]])
    at = keys.get_indexer(pd.MultiIndex.from_frame(earlier[["household_id", "about"]]))
    found = at >= 0
    for name in REVIEW_COLUMNS:
        column = plan[name].to_numpy(dtype=object).copy()
        column[at[found]] = earlier[name].to_numpy(dtype=object)[found]
        plan[name] = column
    approved = (earlier["decided"] == "approved").to_numpy()
    cost = plan["cost"].to_numpy().copy()
    cost[at[found & approved]] = earlier["cost"].to_numpy(dtype=np.float64)[found & approved]
    plan["cost"] = cost
    kept = _kept_rows(earlier[~found], plan)
    standing = set(kept.loc[kept["measure"] != "", "household_id"])
    told = set(kept.loc[kept["not_funded"] == "refused", "household_id"])
    said = (plan["measure"] == "") & (
        plan["household_id"].isin(standing) | (plan["household_id"].isin(told) & (plan["not_funded"] == "refused"))
    )
    # A generic row goes only where a kept row says the same or more, and nobody wrote into it.
    said &= (plan[REVIEW_COLUMNS] == "").all(axis=1)
    whole = pd.concat([plan[~said], kept], ignore_index=True)
    place = order.get_indexer(pd.Index(whole["household_id"]))
    place = np.where(place >= 0, place, len(order))
    return whole.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)


def _kept_rows(rows: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """Return earlier rows that the new plan does not have, in its columns."""
    approved = (rows["decided"] == "approved").to_numpy()
    refused = (rows["decided"] == "refused").to_numpy()
    text = as_text(rows, [str(name) for name in plan if name not in (*_NUMBERS, "as_of_date")])
    for name in ("measure", "label_en", "label_zh", "cause", "source", "effect_source"):
        text[name] = text[name].where(approved, "")
    text["formerly"] = rows["about"].reset_index(drop=True).where(~approved, "")
    text["not_funded"] = np.select([approved, refused], ["", "refused"], "no_longer")
    numbers = rows.reindex(columns=_NUMBERS).astype(np.float64).reset_index(drop=True)
    numbers[~approved] = [np.nan, 0.0, 0.0, 0.0, 0.0]
    dates = pd.to_datetime(rows.reindex(columns=["as_of_date"])["as_of_date"]).reset_index(drop=True)
    return pd.concat([text, numbers, dates.astype(plan["as_of_date"].dtype)], axis=1)[list(plan)]


_NUMBERS = ["months", "cost", "expected_points", "expected_points_lower", "expected_points_upper"]
