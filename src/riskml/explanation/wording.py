"""Risks, points and values in words, English and Chinese: what a sentence or a card says about a number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskml.causes import cause_topic
from riskml.tables.contract import TABLES


def format_risk(risk: float) -> str:
    """Return a risk as a percentage with sensible digits.

    Parameters
    ----------
    risk : float
        A probability; NaN gives an empty text.

    Returns
    -------
    str
        One digit below 10% and above 99%, else none.

    Examples
    --------
    >>> [format_risk(risk) for risk in (0.234, 0.0234, 0.0002, 0.9996, float("nan"))]
    ['23%', '2.3%', '<0.1%', '>99.9%', '']
    """
    if np.isnan(risk):
        return ""
    if risk < 0.0005:
        return "<0.1%"
    if risk > 0.9995:
        return ">99.9%"
    return f"{risk:.1%}" if risk < 0.0995 or risk > 0.9905 else f"{risk:.0%}"


def format_frequency(risk: float, language: str = "en") -> str:
    """Return a risk as a number of households out of 100, or of 1,000 where that says more.

    Parameters
    ----------
    risk : float
        A probability; NaN gives an empty text.
    language : {"en", "zh"}, default "en"
        Language of the words.

    Returns
    -------
    str
        What a risk means among many households, never none and never all of them.

    Examples
    --------
    >>> [format_frequency(risk) for risk in (0.234, 0.0234, 0.0002)]
    ['about 23 of 100 such households', 'about 23 of 1,000 such households', 'fewer than 1 of 1,000 such households']
    """
    if np.isnan(risk):
        return ""
    zh = language == "zh"
    if risk < 0.0005:
        return "每1,000户这样的住户中不到1户" if zh else "fewer than 1 of 1,000 such households"
    of = 1000 if risk < 0.0995 or risk > 0.9905 else 100
    number = min(max(round(risk * of), 1), of - 1)
    return f"每{of:,}户这样的住户中约{number}户" if zh else f"about {number:,} of {of:,} such households"


def format_points(points: float) -> str:
    """Return a part of a risk in percentage points, signed, with one digit.

    Parameters
    ----------
    points : float
        A difference of probabilities; 0.09 is nine percentage points.

    Returns
    -------
    str
        Number and sign, without a unit; what rounds to nothing has no sign.

    Examples
    --------
    >>> [format_points(points) for points in (0.0934, -0.02, 0.0001)]
    ['+9.3', '-2.0', '0.0']
    """
    text = f"{100 * points:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def format_value(value: float, unit: str, language: str = "en") -> str:
    """Return a feature's value with its unit in words.

    Parameters
    ----------
    value : float
        The value; NaN is said to be not on record.
    unit : str
        Unit of the feature dictionary; an unknown one is left out.
    language : {"en", "zh"}, default "en"
        Language of the words.

    Returns
    -------
    str
        Number and unit.

    Examples
    --------
    >>> format_value(0.6213, "lines"), format_value(1.0, "months"), format_value(3.0, "grade", "zh")
    ('0.62 of the poverty line', '1 month', '3级')
    >>> format_value(1.35, "lines"), format_value(0.276, "share"), format_value(1.0, "flag")
    ('1.35 times the poverty line', '28%', 'yes')
    """
    zh = language == "zh"
    if np.isnan(value):
        return "未记录" if zh else "not on record"
    if unit == "flag" and value in (0.0, 1.0):
        return ("否", "是")[int(value)] if zh else ("no", "yes")[int(value)]
    if unit in ("lines", "count", "number") and value == 0:
        return "无" if zh else "none"
    number = _number(100 * value if unit == "share" else value, _DIGITS.get(unit, 1))
    if unit == "lines" and value >= 1 and not zh:
        return f"{number} times the poverty line"
    words = _UNIT_WORDS.get(unit, ("{}", "{}"))[zh].format(number)
    return words.removesuffix("s") if number == "1" and unit in ("months", "days", "years") else words


def phrase(feature: str, value: float, label_en: str, label_zh: str, unit: str) -> tuple[str, str]:
    """Return a feature and its value in words, English and Chinese.

    Days since something are said as days ago, differences and trends as up or down, codes of schooling and severity in
    their words, numbers of people and of times in Chinese with their classifier.

    Parameters
    ----------
    feature : str
        Name of the feature, said where it has no label.
    value : float
        Its value; NaN is said to be not on record.
    label_en, label_zh, unit : str
        From the feature dictionary.

    Returns
    -------
    tuple of str
        English, Chinese.

    Examples
    --------
    >>> phrase("bills_sum_12m", 0.62, "own payments for health in the last 12 months", "近12个月自付医疗费", "lines")[0]
    'own payments for health in the last 12 months: 0.62 of the poverty line'
    >>> phrase("visits_days_since", 31.0, "visit, days since the last", "距最近一次走访的天数", "days")
    ('last visit: 31 days ago', '最近一次走访：31天前')
    """
    label_en = label_en or feature
    label_zh = label_zh or label_en
    scale = next((words for topic, words in _SCALES.items() if unit == "grade" and topic in label_en), None)
    if scale is not None and value in range(len(scale)):
        return f"{label_en}: {scale[int(value)][0]}", f"{label_zh}：{scale[int(value)][1]}"
    named = [_named(label, value) if unit == "grade" else "" for label in (label_en, label_zh)]
    if all(named):
        return named[0], named[1]
    return _in_english(label_en, value, unit), _in_chinese(label_zh, value, unit)


def sentences(
    risk: float,
    base: float,
    parts: list[tuple[str, float, str, str]],
    points: Mapping[str, float] | None = None,
) -> tuple[str, str]:
    """Return a household's sentence, English and Chinese: its risk, what raises it, what lowers it.

    Parameters
    ----------
    risk : float
        Its risk.
    base : float
        The risk where every household starts.
    parts : list of (cause, points, phrase_en, phrase_zh)
        The causes that raise it and are to be said, most points first; may be empty.
    points : mapping of str to float, optional
        Points by cause; the one that lowers the risk most is said, and where the risk lies below the start the next
        one too. Default: nothing is said of what lowers it.

    Returns
    -------
    tuple of str
        English, Chinese.

    Examples
    --------
    >>> bills = ("illness", 0.08, "own payments: 0.62 of the poverty line", "自付医疗费：贫困线的0.62倍")
    >>> sentences(0.12, 0.03, [bills])[0]
    'Risk 12%, raised by health (+8.0 points; own payments: 0.62 of the poverty line).'
    >>> print(sentences(0.01, 0.03, [], {"income": -0.02, "illness": 0.0})[1])
    返贫风险1.0%，低于各户共同的起点3.0%。降低因素：收入方面（-2.0个百分点）。现有记录中没有升高因素。
    """
    shown, start = format_risk(risk), format_risk(base)
    english, chinese, follows = f"Risk {shown}", f"返贫风险{shown}", (", ", "，")
    if shown == start:
        english, chinese = f"{english}, where every household starts", f"{chinese}，与各户共同的起点相同"
    elif risk < base:
        english = f"{english}, below the {start} where every household starts"
        chinese = f"{chinese}，低于各户共同的起点{start}"
    if shown == start or risk < base or not parts:
        follows = (": ", "。")
    said = [("nothing on file raises it", "现有记录中没有升高因素")]
    if parts:
        raising_en = [f"{cause_topic(cause)} ({format_points(size)} points; {en})" for cause, size, en, _ in parts]
        raising_zh = [
            f"{cause_topic(cause, 'zh')}（{format_points(size)}个百分点，{zh}）" for cause, size, _, zh in parts
        ]
        said = [(f"raised by {_listed(raising_en)}", f"升高因素：{'；'.join(raising_zh)}")]
    lowering = _lowering(points or {}, n=1 if risk > base else 2)
    if lowering:
        lower_en = [f"{cause_topic(cause)} ({format_points(size)} points)" for cause, size in lowering]
        lower_zh = [f"{cause_topic(cause, 'zh')}方面（{format_points(size)}个百分点）" for cause, size in lowering]
        lowered = f"lowered by records of {_listed(lower_en)}", f"降低因素：{'；'.join(lower_zh)}"
        # What explains where the risk lies comes first.
        said = [lowered, *said] if risk < base else [*said, lowered]
    return (
        f"{english}{follows[0]}{'; '.join(en for en, _ in said)}.",
        f"{chinese}{follows[1]}{'。'.join(zh for _, zh in said)}。",
    )


def uncertain(cause: str, times_first: int | None, n_refits: int, other: str = "") -> tuple[str, str]:
    """Return what puts a main reason in doubt, English and Chinese, to stand behind a household's sentence.

    Parameters
    ----------
    cause : str
        The first cause said.
    times_first, n_refits : int
        In how many refits it stays first, of how many; None where they do not put it in doubt.
    other : str, default ""
        The cause that comes first counted feature by feature; empty if it is the same.

    Returns
    -------
    tuple of str
        A further sentence after a space, empty where nothing puts it in doubt.

    Examples
    --------
    >>> uncertain("illness", 7, 20)[0].partition(": ")[2]
    'computed again from other samples of households, health came first in only 7 of 20 cases.'
    >>> print(uncertain("illness", None, 20, "employment")[1])
    首要因素不确定：逐项计算时，排在首位的是务工就业。
    """
    said = []
    if times_first is not None:
        cases_en = f"in only {times_first} of {n_refits} cases" if times_first else f"in none of {n_refits} cases"
        cases_zh = f"只有{times_first}次" if times_first else "一次也没有"
        said.append(
            (
                f"computed again from other samples of households, {cause_topic(cause)} came first {cases_en}",
                f"用其他住户样本重新计算{n_refits}次，{cause_topic(cause, 'zh')}{cases_zh}排在首位",
            )
        )
    if other:
        said.append(
            (
                f"counted feature by feature, {cause_topic(other)} comes first",
                f"逐项计算时，排在首位的是{cause_topic(other, 'zh')}",
            )
        )
    if not said:
        return "", ""
    return (
        f" The main reason is uncertain: {'; '.join(en for en, _ in said)}.",
        f"首要因素不确定：{'；'.join(zh for _, zh in said)}。",
    )


def when(records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the day that matters of the records behind a reason, English and Chinese.

    Parameters
    ----------
    records : sequence of mappings
        Rows of the evidence of one household and feature, with ``as_of_date, table, date, end``.

    Returns
    -------
    tuple of str
        The day a running spell ends (the first one), or one that is over ended (the last one), or the newest record's;
        with its amount in currency where it has one (of several bills or losses the largest); empty for members, whose
        records have no such day, and where nothing has a date.

    Examples
    --------
    >>> day, end = pd.Timestamp("2024-12-01"), pd.Timestamp("2025-01-15")
    >>> when([{"as_of_date": day, "table": "assistance", "date": pd.Timestamp("2023-01-16"), "end": end}])
    ('ends on 2025-01-15', '2025年1月15日到期')
    """
    records = [record for record in records if record["table"] not in ("members", "households")]
    ends = [(record["end"], record["end"] >= record["as_of_date"]) for record in records if pd.notna(record["end"])]
    coming, over = ([end for end, ahead in ends if ahead is side] for side in (True, False))
    if coming:
        return f"ends on {_day(min(coming))}", f"{_day(min(coming), 'zh')}到期"
    if over:
        return f"ended on {_day(max(over))}", f"{_day(max(over), 'zh')}已结束"
    records = [record for record in records if pd.notna(record["date"])]
    if not records:
        return "", ""
    # A month's income is one of many alike; of bills and losses the largest weighs most.
    largest = [record for record in records if record["table"] != "incomes" and record.get("amount", 0) > 0]
    if largest:
        leading, most = max(largest, key=lambda record: record["amount"]), ("largest record", "最大一笔")
    else:
        leading, most = max(records, key=lambda record: record["date"]), ("newest record", "最近一次")
    most = most if len(records) > 1 else ("", "")
    on, on_zh = ("since", "始于") if leading["table"] in _SPELLS else ("on", "")
    day, day_zh = _day(leading["date"]), on_zh + _day(leading["date"], "zh")
    if not leading.get("amount", 0) > 0:
        return f"{most[0]} {on} {day}".lstrip(), f"{most[1]}{day_zh}"
    amount = f"{leading['amount']:,.0f}"
    return f"{most[0]}: {amount} {on} {day}".lstrip(": "), f"{most[1]}{day_zh}，金额{amount}"


def dated(records: Sequence[Mapping[str, Any]], language: str = "en") -> str:
    """Return a reason with the day that matters.

    Parameters
    ----------
    records : sequence of mappings
        Rows of the evidence of one household and feature, at least one.
    language : {"en", "zh"}, default "en"
        Language of the words.

    Returns
    -------
    str
        The reason, then what :func:`when` says; "ended" is not said twice. A reason that rests on no record says so
        itself, and one that is not spelled out has no day.
    """
    reason, day = str(records[0][f"reason_{language}"]), when(records)[language == "zh"]
    if not records[0].get("entered", True) or not records[0].get("feature", reason):
        return reason
    if reason.endswith((" ago", "前")):
        day = day.replace("ended on", "on").removesuffix("已结束")
    return reason + ("，" if language == "zh" else ", ") * bool(day) + day


def absent(day: Any, *, registered: bool) -> tuple[str, str]:
    """Return since when there is no record of what a reason speaks of, English and Chinese.

    Parameters
    ----------
    day : date
        Of the last such record, or the day the household came on file.
    registered : bool
        Whether it is the latter.

    Returns
    -------
    tuple of str
        English, Chinese.

    Examples
    --------
    >>> absent("2021-03-01", registered=True)[0], absent("2019-03-04", registered=False)[1]
    ('no such record since it came on file on 2021-03-01', '最近一条此类记录在2019年3月4日')
    """
    if registered:
        return f"no such record since it came on file on {_day(day)}", f"自{_day(day, 'zh')}建档以来没有此类记录"
    return f"last such record on {_day(day)}", f"最近一条此类记录在{_day(day, 'zh')}"


#: Tables of spells, which last.
_SPELLS = frozenset(name for name, table in TABLES.items() if table.kind == "spell")
#: Words around a value, English and Chinese, by unit of the feature dictionary.
_UNIT_WORDS = {
    "lines": ("{} of the poverty line", "贫困线的{}倍"),
    "share": ("{}%", "{}%"),
    "months": ("{} months", "{}个月"),
    "days": ("{} days", "{}天"),
    "years": ("{} years", "{}年"),
    "age": ("{} years", "{}岁"),
    "grade": ("grade {}", "{}级"),
}
#: Digits after the point by unit; one for the others, a zero there is left out.
_DIGITS = {"lines": 2, "share": 0, "days": 0, "years": 0, "age": 0}
#: What is said where only features that must not be spelled out stand behind a cause.
UNSPOKEN = ("circumstances not spelled out here", "具体情况此处不列出")


#: Words of the codes of the tables, by what the English label of their feature holds.
_SCALES: dict[str, tuple[tuple[str, str], ...]] = {
    "education": (
        ("none", "未上学"),
        ("primary school not finished", "小学未毕业"),
        ("primary school", "小学"),
        ("lower secondary school not finished", "初中未毕业"),
        ("lower secondary school", "初中"),
        ("upper secondary school", "高中"),
        ("higher", "大专及以上"),
    ),
    "stage of schooling": (
        ("pre-school", "学前"),
        ("primary school", "小学"),
        ("lower secondary school", "初中"),
        ("upper secondary school", "高中"),
        ("higher", "大专及以上"),
    ),
    "severity": (("none", "无"), ("light", "轻"), ("serious", "重"), ("severe", "特重")),
}
#: A label that lists all its codes, as "drain (1 sewer, 2 septic tank, 3 pit, 4 hole)".
_CODES = re.compile(r"[(（](\d+ ?[^,、()（）]+(?:(?:, |、)\d+ ?[^,、()（）]+)+)[)）]$")
#: How labels end that say how long ago something was, and what is said instead, with days and without.
_AGO_EN = {
    ", days since the last": ("last {}: {} ago", "{}: none on record"),
    ", days since the last ended": ("{}: last ended {} ago", "{}: no end on record"),
    ", days since the longest running began": ("{}: for {}", "{}: none running"),
}
#: Parts of labels of differences and trends, whose values go up or down.
_CHANGES_EN, _CHANGES_ZH = (
    (" less that of ", "yearly trend", "change of", " against a quarter of "),
    ("变化", "变动", "之差"),
)
#: What a number of something is followed by in Chinese, by the end of its label.
_CLASSIFIERS = {
    ("人数", "人口"): "人",
    ("次数",): "次",
    ("房间数",): "间",
    ("务工", "监测"): "次",
    ("岗位",): "个",
    ("措施", "救助", "资助", "支持", "工程", "帮扶", "照护"): "项",
}


def _named(label: str, value: float) -> str:
    """Return the word for a code that the label lists with all others, empty where it does not."""
    codes = _CODES.search(label)
    words = dict(re.findall(r"(\d+) ?([^,、()（）]+)", codes[1])) if codes else {}
    word = words.get(f"{value:g}")
    return f"{label[: codes.start()].strip()}{'：' if '（' in label else ': '}{word}" if codes and word else ""


def _in_english(label: str, value: float, unit: str) -> str:
    for ending, (known, unknown) in _AGO_EN.items():
        if unit == "days" and label.endswith(ending):
            thing = label.removesuffix(ending).replace("records", "record")
            return unknown.format(thing) if np.isnan(value) else known.format(thing, _span(value))
    if any(part in label for part in _CHANGES_EN) and not np.isnan(value):
        size = format_value(abs(value), unit)
        moved = f"{'down' if value < 0 else 'up'} by {size}" if _number(abs(value), 2) != "0.00" else "unchanged"
        return f"{label.replace(' less that of ', ' against ')}: {moved}"
    return f"{label}: {format_value(value, unit)}"


def _in_chinese(label: str, value: float, unit: str) -> str:
    if unit == "days" and label.startswith("距最近一次") and label.endswith("的天数"):
        thing = label.removeprefix("距最近一次").removesuffix("的天数")
        return f"没有{thing}的记录" if np.isnan(value) else f"最近一次{thing}：{_span(value, 'zh')}前"
    if unit == "days" and label.endswith("持续天数") and not np.isnan(value):
        return f"{label.removesuffix('持续天数')}：已持续{_span(value, 'zh')}"
    if any(part in label for part in _CHANGES_ZH) and not np.isnan(value):
        if _number(abs(value), 2) == "0.00":
            return f"{label}：无变化"
        down, up = ("减少", "增加") if unit in ("lines", "months", "count") else ("下降", "上升")
        return f"{label}：{down if value < 0 else up}{format_value(abs(value), unit, 'zh')}"
    if unit == "count" and not np.isnan(value):
        classifiers = (word for endings, word in _CLASSIFIERS.items() if label.endswith(endings))
        return f"{label}：{_number(value, 1)}{next(classifiers, '')}"
    return f"{label}：{format_value(value, 'age' if unit == 'years' and '年龄' in label else unit, 'zh')}"


def _span(days: float, language: str = "en") -> str:
    """Return days as days, from two years on as years."""
    if days < 730:
        return format_value(days, "days", language)
    years = f"{days / 365.25:.0f}"
    return f"约{years}年" if language == "zh" else f"about {years} years"


def _lowering(points: Mapping[str, float], n: int) -> list[tuple[str, float]]:
    """Return the causes that lower a risk most, without those of less than a tenth of the first one's points."""
    named = [pair for pair in points.items() if pair[0] != "other"]
    lowest = sorted(named, key=lambda pair: pair[1])[:n]
    return [(cause, part) for cause, part in lowest if part <= -0.0005 and part <= 0.1 * lowest[0][1]]


def _day(day: Any, language: str = "en") -> str:
    day = pd.Timestamp(day)
    return f"{day.year}年{day.month}月{day.day}日" if language == "zh" else f"{day:%Y-%m-%d}"


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _number(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if digits == 1 else text
    return text if text.strip("-0.,") else text.removeprefix("-")
