"""When to raise the alarm over an area, and how often such alarms were right."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from riskml.findings import in_words
from riskml.outlook.areas import most_within
from riskml.outlook.hierarchy import WHOLE, level_label


def alarms(outlook: pd.DataFrame, *, at: float = 0.5) -> pd.DataFrame:
    """Return the areas where more than the chosen share returns with at least the chosen probability.

    Parameters
    ----------
    outlook : DataFrame
        As :func:`riskml.area_outlook` gives; its ``exceeds`` is the share.
    at : float, default 0.5
        Probability from which an area is alarmed, above 0 and below 1.

    Returns
    -------
    DataFrame
        The rows of ``outlook`` concerned, in its order, with ``sentence_en`` and ``sentence_zh``.

    Raises
    ------
    ValueError
        If ``at`` is not above 0 and below 1.

    Examples
    --------
    >>> outlook = pd.DataFrame({"level": ["all", "township"], "area_id": ["", "520301104"], "households": [2000, 300]})
    >>> outlook = outlook.assign(expected=[80.0, 21.0], exceeds=0.05, probability=[0.2, 0.75])
    >>> outlook = outlook.assign(lower_95=[50, 9], upper_95=[140, 41])
    >>> print(*alarms(outlook)["sentence_en"])
    township 520301104: probability 75% that more than 5% of its 300 households return; 21.0 expected, 9 to 41 with 95%
    """
    _check_level(at)
    found = outlook[outlook["probability"] >= at]
    for code in ("en", "zh"):
        found = found.assign(**{f"sentence_{code}": [_alarm(row, code) for row in found.to_dict("records")]})
    return found


def alarm_table(backtests: pd.DataFrame, *, at: Sequence[float] = (0.2, 0.5, 0.8)) -> pd.DataFrame:
    """Say how often alarms at these probabilities would have been right, and how many areas they would have missed.

    Parameters
    ----------
    backtests : DataFrame
        As :func:`riskml.outlook.backtests.backtest_outlooks` gives.
    at : sequence of float, default (0.2, 0.5, 0.8)
        Probabilities from which an area is alarmed, each above 0 and below 1.

    Returns
    -------
    DataFrame
        A row a level and probability: ``level``, ``at``, ``exceeds``, ``area_dates`` (areas times dates), ``exceeded``
        (of them: more than the share returned), ``alarmed``, ``hits`` (both), ``detection`` (hits of the exceeded; NaN
        where none exceeded), ``false_alarms`` (alarms that were none, of the alarms; NaN without alarm),
        ``false_alarm_rate`` (of the areas that did not exceed; NaN where all did), ``sentence_en``, ``sentence_zh``.

    Raises
    ------
    ValueError
        If a probability is not above 0 and below 1.

    Examples
    --------
    >>> rows = pd.DataFrame({"level": "village", "households": 50, "returned": [4, 1, 5, 2], "exceeds": 0.05})
    >>> table = alarm_table(rows.assign(probability=[0.6, 0.7, 0.3, 0.1]), at=[0.5])
    >>> table[["exceeded", "alarmed", "hits", "detection", "false_alarms", "false_alarm_rate"]].values.tolist()
    [[2.0, 2.0, 1.0, 0.5, 0.5, 0.5]]
    >>> print(table["sentence_en"].iloc[0])
    village, alarm from 50%: 1 of the 2 areas where more than 5% returned were alarmed; 1 of 2 alarms were false
    """
    rows = []
    for level, judged in backtests.groupby("level", sort=False):
        exceeds = float(judged["exceeds"].iloc[0])
        exceeded = judged["returned"] > most_within(judged["households"], exceeds)
        for threshold in at:
            _check_level(threshold)
            alarmed = judged["probability"] >= threshold
            hits, n_exceeded, n_alarmed = int((alarmed & exceeded).sum()), int(exceeded.sum()), int(alarmed.sum())
            row = {
                "level": level,
                "at": threshold,
                "exceeds": exceeds,
                "area_dates": len(judged),
                "exceeded": n_exceeded,
                "alarmed": n_alarmed,
                "hits": hits,
                "detection": _share(hits, n_exceeded),
                "false_alarms": _share(n_alarmed - hits, n_alarmed),
                "false_alarm_rate": _share(n_alarmed - hits, len(judged) - n_exceeded),
            }
            rows.append(row | {f"sentence_{code}": _record(row, code) for code in ("en", "zh")})
    return pd.DataFrame(rows)


def _share(part: int, of: int) -> float:
    return part / of if of else float("nan")


def _alarm(row: dict, language: str) -> str:
    area = level_label(row["level"], language) + (f" {row['area_id']}" if row["level"] != WHOLE else "")
    said = (
        "{}: probability {:.0%} that more than {:.3g}% of its {:,.0f} households return; {:.1f} expected, {:,.0f} to "
        "{:,.0f} with 95%",
        "{}：{:.0%}的概率有超过{:.3g}%的住户返贫（共{:,.0f}户），预计{:.1f}户，95%区间{:,.0f}至{:,.0f}户",
    )[language == "zh"]
    numbers = (row[name] for name in ("households", "expected", "lower_95", "upper_95"))
    return said.format(area, row["probability"], 100 * row["exceeds"], *numbers)


def _record(row: dict, language: str) -> str:
    said = (
        "{0}, alarm from {1:.0%}: {2} of the {3} areas where more than {4:.3g}% returned were alarmed; {5} of {6} "
        "alarms were false",
        "{0}，概率达{1:.0%}即预警：返贫超过{4:.3g}%的{3}个地区中有{2}个被预警；{6}次预警中有{5}次为误报",
    )[language == "zh"]
    false = row["alarmed"] - row["hits"]
    exceeds = 100 * row["exceeds"]
    label = level_label(row["level"], language)
    return said.format(label, row["at"], row["hits"], row["exceeded"], exceeds, false, row["alarmed"])


def _check_level(at: float) -> None:
    if not 0 < at < 1:
        raise ValueError(
            in_words(
                f"an alarm needs a probability above 0 and below 1, got {at}",
                f"预警概率应大于0且小于1，给出的是{at}",
            )
        )
