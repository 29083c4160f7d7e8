"""The section of the report on whole areas: alarms, tiles, and the table of areas within areas."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from riskml.outlook.alarms import alarms
from riskml.outlook.hierarchy import WHOLE
from riskml.output.maps import area_name, tile_map
from riskml.output.pages import Language
from riskml.output.report_text import TEXT

#: Areas that the table shows, and alarms written out; smaller areas are left to the file of the outlook.
MAX_AREAS, MAX_ALARMS = 250, 20


def outlook_section(outlook: pd.DataFrame, language: Language) -> dict[str, Any]:
    """Return what the report's section on areas shows.

    Parameters
    ----------
    outlook : DataFrame
        As :func:`riskml.area_outlook` gives; with a column ``alarm_at`` (``riskml outlook`` writes it) alarms are those
        of that probability, else of one half.
    language : {"en", "zh"}
        Language.

    Returns
    -------
    dict
        ``said``, ``alarms`` (sentences), ``n_more``, ``map`` (SVG), ``exceeds``, ``rows`` of the table.
    """
    at = float(outlook["alarm_at"].iloc[0]) if "alarm_at" in outlook else 0.5
    exceeds = f"{100 * float(outlook['exceeds'].iloc[0]):.3g}"
    whole = outlook[outlook["level"] == WHOLE].iloc[0]
    said = TEXT["outlook_whole"][language == "zh"].format(
        f"{whole['households']:,.0f}",
        f"{whole['expected']:,.1f}",
        *(f"{whole[name]:,.0f}" for name in ("lower_95", "upper_95")),
        exceeds,
        f"{whole['probability']:.0%}",
    )
    found = alarms(outlook, at=at)[f"sentence_{language}"].tolist()
    return {
        "said": said,
        "alarms": found[:MAX_ALARMS] or [TEXT["outlook_none"][language == "zh"]],
        "n_more": max(len(found) - MAX_ALARMS, 0),
        "map": Markup(tile_map(outlook, at=at, language=language)),
        "exceeds": exceeds,
        "rows": _rows(outlook, language),
    }


def _rows(outlook: pd.DataFrame, language: Language) -> list[dict[str, Any]]:
    """Return the rows of the table: every area after the one it belongs to, as many levels as there is room for."""
    levels = list(outlook["level"].unique())
    while len(levels) > 1 and outlook["level"].isin(levels).sum() > MAX_AREAS:
        levels.pop()
    shown = outlook[outlook["level"].isin(levels)]
    # A code is the beginning of those it holds, and sorts before them.
    return [
        {
            "name": area_name(row["level"], row["area_id"], {}, language),
            "depth": levels.index(row["level"]),
            "households": f"{row['households']:,.0f}",
            "expected": f"{row['expected']:,.1f}",
            "share": f"{row['share']:.1%}",
            "interval_80": f"{row['lower_80']:,.0f} – {row['upper_80']:,.0f}",
            "interval_95": f"{row['lower_95']:,.0f} – {row['upper_95']:,.0f}",
            "probability": f"{row['probability']:.0%}",
        }
        for row in shown.sort_values("area_id", kind="stable").to_dict("records")
    ]
