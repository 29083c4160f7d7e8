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
