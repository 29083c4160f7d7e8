"""Risks, points and values in words, English and Chinese: what a sentence or a card says about a number."""

from __future__ import annotations

import numpy as np

from riskml.causes import cause_label


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


def format_points(points: float) -> str:
    """Return a part of a risk in percentage points, signed, with one digit.

    Parameters
    ----------
    points : float
        A difference of probabilities; 0.09 is nine percentage points.

    Returns
    -------
    str
        Number and sign, without a unit.

    Examples
    --------
    >>> [format_points(points) for points in (0.0934, -0.02, 0.0001)]
    ['+9.3', '-2.0', '+0.0']
    """
    return f"{100 * points:+.1f}".replace("-0.0", "+0.0")


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
    ('0.62 of the line', '1 month', '3级')
    >>> format_value(1.35, "lines"), format_value(0.276, "share"), format_value(1.0, "flag")
    ('1.35 times the line', '28%', 'yes')
    """
    if np.isnan(value):
        return "未记录" if language == "zh" else "not on record"
    if unit == "flag" and value in (0.0, 1.0):
        return ("否", "是")[int(value)] if language == "zh" else ("no", "yes")[int(value)]
    if unit == "lines" and value == 0:
        return "无" if language == "zh" else "none"
    number = _number(100 * value if unit == "share" else value, _DIGITS.get(unit, 1))
    if unit == "lines" and value >= 1 and language == "en":
        return f"{number} times the line"
    words = _UNIT_WORDS.get(unit, ("{}", "{}"))[language == "zh"].format(number)
    return words.removesuffix("s") if number == "1" and unit in ("months", "days", "years") else words


def phrase(feature: str, value: float, label_en: str, label_zh: str, unit: str) -> tuple[str, str]:
    """Return a feature and its value in words, English and Chinese.

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
    'own payments for health in the last 12 months: 0.62 of the line'
    """
    unit_zh = "age" if unit == "years" and "年龄" in label_zh else unit
    return (
        f"{label_en or feature}: {format_value(value, unit)}",
        f"{label_zh or label_en or feature}：{format_value(value, unit_zh, 'zh')}",
    )


def sentences(risk: float, base: float, parts: list[tuple[str, float, str, str]]) -> tuple[str, str]:
    """Return a household's sentence, English and Chinese.

    Parameters
    ----------
    risk : float
        Its risk.
    base : float
        The risk where every household starts.
    parts : list of (cause, points, phrase_en, phrase_zh)
        The causes to be said, most points first; may be empty.

    Returns
    -------
    tuple of str
        English, Chinese.

    Examples
    --------
    >>> sentences(0.12, 0.03, [("illness", 0.08, "own payments: 0.62 of the line", "自付医疗费：贫困线的0.62倍")])[0]
    'Risk 12%, raised by illness (+8.0 points; own payments: 0.62 of the line).'
    """
    if not parts:
        return (
            f"Risk {format_risk(risk)}: nothing on file raises it above the starting point of {format_risk(base)}.",
            f"返贫风险{format_risk(risk)}：现有记录中没有使其高于起点{format_risk(base)}的因素。",
        )
    english = "; ".join(
        f"{cause_label(cause)} ({format_points(points)} points; {en})" for cause, points, en, _ in parts
    )
    chinese = "；".join(
        f"{cause_label(cause, 'zh')}（{format_points(points)}个百分点，{zh}）" for cause, points, _, zh in parts
    )
    if risk < base:
        return (
            f"Risk {format_risk(risk)}, below the starting point of {format_risk(base)}; raised by {english}.",
            f"返贫风险{format_risk(risk)}，低于起点{format_risk(base)}；使其升高的因素：{chinese}。",
        )
    return (
        f"Risk {format_risk(risk)}, raised by {english}.",
        f"返贫风险{format_risk(risk)}，主要因素：{chinese}。",
    )


#: Words around a value, English and Chinese, by unit of the feature dictionary.
_UNIT_WORDS = {
    "lines": ("{} of the line", "贫困线的{}倍"),
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


def _number(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits == 1 else text
