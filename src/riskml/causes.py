"""Causes of a return to poverty: the one list that features, explanations and measures share."""

from __future__ import annotations

from typing import Literal

Cause = Literal[
    "illness",
    "disability",
    "schooling",
    "disaster",
    "accident",
    "housing",
    "water",
    "labour",
    "employment",
    "production",
    "income",
    "assistance",
    "other",
]

#: Order of the causes in every table and picture, with their English and Chinese labels.
#: The first eleven but ``income`` are the official risk types; ``income`` (low or falling income
#: with none of the others behind it) and ``assistance`` (support that ended or is about to end)
#: are added because monitoring data show both.
CAUSES: dict[Cause, tuple[str, str]] = {
    "illness": ("illness", "因病"),
    "disability": ("disability", "因残"),
    "schooling": ("schooling", "因学"),
    "disaster": ("natural disaster", "因自然灾害"),
    "accident": ("accident", "因意外事故"),
    "housing": ("unsafe housing", "因安全住房"),
    "water": ("unsafe drinking water", "因安全饮水"),
    "labour": ("lack of labour", "缺劳动力"),
    "employment": ("unstable employment", "务工就业不稳"),
    "production": ("failed production", "产业失败"),
    "income": ("low or falling income", "收入偏低或下降"),
    "assistance": ("support ended or ending", "帮扶到期"),
    "other": ("other", "其他"),
}

#: What the records of a cause are about, with English and Chinese labels: for sentences and pictures, where the same
#: records may raise a risk or lower it.
TOPICS: dict[Cause, tuple[str, str]] = {
    "illness": ("health", "健康"),
    "disability": ("disability", "残疾"),
    "schooling": ("schooling", "就学"),
    "disaster": ("natural disasters", "自然灾害"),
    "accident": ("accidents", "意外事故"),
    "housing": ("housing", "住房"),
    "water": ("drinking water", "饮水"),
    "labour": ("members and labour", "人口与劳动力"),
    "employment": ("employment", "务工就业"),
    "production": ("farm and business", "生产经营"),
    "income": ("income", "收入"),
    "assistance": ("support", "帮扶"),
    "other": ("other records", "其他情况"),
}


def cause_label(cause: str, language: str = "en") -> str:
    """Return the label of a cause in English (``"en"``) or Chinese (``"zh"``).

    Parameters
    ----------
    cause : str
        One of :data:`CAUSES`.
    language : {"en", "zh"}, default "en"
        Language of the label.

    Returns
    -------
    str
        The label.

    Raises
    ------
    KeyError
        If ``cause`` is not one of :data:`CAUSES`.

    Examples
    --------
    >>> cause_label("illness")
    'illness'
    >>> cause_label("schooling", "zh")
    '因学'
    """
    return CAUSES[cause][language == "zh"]  # type: ignore[index]


def cause_topic(cause: str, language: str = "en") -> str:
    """Return what the records of a cause are about, in English (``"en"``) or Chinese (``"zh"``).

    Parameters
    ----------
    cause : str
        One of :data:`CAUSES`.
    language : {"en", "zh"}, default "en"
        Language of the label.

    Returns
    -------
    str
        The label, true of records that raise a risk and of records that lower it.

    Raises
    ------
    KeyError
        If ``cause`` is not one of :data:`CAUSES`.

    Examples
    --------
    >>> cause_label("assistance"), cause_topic("assistance")
    ('support ended or ending', 'support')
    """
    return TOPICS[cause][language == "zh"]  # type: ignore[index]
