"""Effects in careful words, English and Chinese: what was found, what it rests on, what cannot be told."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskml.effects.estimate import Effects
from riskml.explanation.wording import format_risk

#: What a control that failed says.
_DOUBTS = {
    "earlier_welfare": (
        "the same comparison finds a difference in the welfare of the year before the last, which help cannot change",
        "同样的比较在帮扶不可能影响的前年收入上也发现了差异",
    ),
    "placebo_outcome": (
        "the same comparison finds a difference in returns that were drawn by lot as if the measure did nothing",
        "同样的比较在假定措施毫无作用而随机抽取的返贫结果上也发现了差异",
    ),
}


def effect_sentences(effects: Effects) -> pd.DataFrame:
    """Return for each measure what was found about those who started it, and what speaks for and against it.

    Parameters
    ----------
    effects : Effects
        As :func:`riskml.estimate_effects` gives them.

    Returns
    -------
    DataFrame
        One row a measure: ``measure, sentence_en, sentence_zh``.
    """
    whole = effects.table[(effects.table["by"] == "all") & (effects.table["estimand"] == "att")]
    failed = effects.controls[effects.controls["passed"] == 0].groupby("measure")["check"].agg(set)
    rows = []
    for row in whole.to_dict("records"):
        en, zh = _sentence(row, effects.horizon_months, doubts=failed.get(row["measure"], set()))
        rows.append({"measure": row["measure"], "sentence_en": en, "sentence_zh": zh})
    return pd.DataFrame(rows, columns=["measure", "sentence_en", "sentence_zh"])


def _sentence(row: dict, months: int, *, doubts: set[str]) -> tuple[str, str]:
    name = row["measure"]
    if row["refused_en"]:
        return (
            f"{name}: no effect is stated: {row['refused_en']}.",
            f"{name}：不给出效果：{row['refused_zh']}。",
        )
    with_, without = format_risk(max(row["risk_with"], 0.0)), format_risk(max(row["risk_without"], 0.0))
    span = _span(row["lower"], row["upper"])
    en = (
        f"{name}: of those who started it {with_} returned within {months} months; had they not started it then, about "
        f"{without} would have"
    )
    zh = f"{name}：开始得到帮扶者在{months}个月内返贫{with_}；若当时没有开始，估计约为{without}"
    if row["lower"] <= 0 <= row["upper"]:
        en += f". Whether it lowered the risk these data cannot tell ({span[0]})."
        zh += f"。这些数据无法判断它是否降低了风险（{span[1]}）。"
    else:
        en += f" ({span[0]})."
        zh += f"（{span[1]}）。"
    en += f" Compared without adjustment they return {_points(row['naive'])[0]} than others at risk."
    zh += f"不作调整而直接比较，其返贫率比其他监测户{_points(row['naive'])[1]}。"
    if not row["lower"] <= 0 <= row["upper"]:
        strength, least = f"{row['e_value']:.1f}", f"{row['e_value_interval']:.1f}"
        en += (
            f" A reason nobody recorded would have to raise both getting it and returning {strength}-fold to explain "
            f"this away, {least}-fold for the interval to hold no difference."
        )
        zh += (
            f"只有当某个未记录的原因使得到帮扶和返贫的可能性都达到{strength}倍时，才足以完全解释这一差异；"
            f"达到{least}倍时，区间即包含无差异。"
        )
    for check in sorted(doubts):
        en += f" Do not rely on it: {_DOUBTS[check][0]}."
        zh += f"请勿依赖此结果：{_DOUBTS[check][1]}。"
    return en, zh


def _points(difference: float) -> tuple[str, str]:
    """Return a difference of risks in words."""
    size = f"{100 * abs(difference):.1f}"
    if np.isnan(difference) or size == "0.0":
        return "no more and no less often", "没有差别"
    return (
        (f"{size} points more often", f"高{size}个百分点")
        if difference > 0
        else (f"{size} points less often", f"低{size}个百分点")
    )


def _span(lower: float, upper: float) -> tuple[str, str]:
    """Return an interval of a difference in points, the better end first."""
    low, high = 100 * lower, 100 * upper
    return (
        f"95 % interval {low:+.1f} to {high:+.1f} points".replace("-", "−"),
        f"95%区间{low:+.1f}至{high:+.1f}个百分点".replace("-", "−"),
    )
