"""What the pages made from templates share: the environment that escapes, and how days and columns are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from riskml.output.report_text import COLUMN_NAMES_EN, COLUMN_NAMES_ZH

Language = Literal["en", "zh"]


def environment(texts: Mapping[str, tuple[str, str]], language: Language) -> Environment:
    """Return the environment of the templates; ``text(key, *values)`` in them is a text in the page's language.

    Parameters
    ----------
    texts : mapping of str to tuple of str
        Key to English and Chinese, with ``{}`` where values go.
    language : {"en", "zh"}
        Language of the page.

    Returns
    -------
    jinja2.Environment
        It escapes what comes from data, and refuses a name it does not know.
    """
    made = Environment(
        loader=PackageLoader("riskml.output"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    made.globals.update(text=lambda key, *values: texts[key][language == "zh"].format(*values))
    return made


def iso_day(value: Any) -> str:
    """Return a day as 2024-12-01, empty where there is none."""
    return "" if pd.isna(value) else f"{pd.Timestamp(value):%Y-%m-%d}"


def column_name(column: str, language: Language) -> str:
    """Return what a column of a table is called; in English often its own name."""
    english = COLUMN_NAMES_EN.get(column, column.replace("_", " "))
    return COLUMN_NAMES_ZH.get(column, english) if language == "zh" else english
