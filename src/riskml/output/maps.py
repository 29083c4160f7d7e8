"""Areas as a picture without map files: a tile an area, in blocks of the areas they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from riskml.outlook.hierarchy import WHOLE, level_label
from riskml.output.pages import Language, environment

#: Probabilities at which the colour of a tile changes, and the colours: one hue from light to dark, so that the order
#: is seen by everybody and in grey print. The number stands in the tile as well.
STEPS = (0.1, 0.25, 0.5, 0.75)
COLOURS = ("#fff7ec", "#fdd49e", "#fc8d59", "#d7301f", "#7f0000")
_INKS = ("#1b1f24", "#1b1f24", "#1b1f24", "#ffffff", "#ffffff")
#: More tiles than this cannot be read; the level above is drawn then.
MAX_TILES = 600
_WIDTH, _TILE, _HEIGHT, _GAP, _LINE = 720, 54, 38, 6, 22
_PER_ROW = (_WIDTH + _GAP) // (_TILE + _GAP)

_TEXT: dict[str, tuple[str, str]] = {
    "title": (
        "Probability that more than {}% of the households of an area return to poverty",
        "各地区返贫户占比超过{}%的概率",
    ),
    "description": (
        "One tile for each {}, {} in all, in blocks of the areas they belong to; the number is the probability in "
        "percent, darker is higher. Highest: {}. Tiles stand in order of their codes, not as they lie.",
        "每个{}一格，共{}格，按所属地区分组；格内数字为概率（%），颜色越深概率越高。最高：{}。"
        "各格按代码排列，不代表实际位置。",
    ),
    "tile": (
        "{}: probability {:.0%}, {:.1f} of {:,.0f} households expected, {:,.0f} to {:,.0f} with 95%",
        "{}：概率{:.0%}，预计{:.1f}户（共{:,.0f}户），95%区间{:,.0f}至{:,.0f}户",
    ),
    "below": ("below {:.0%}", "低于{:.0%}"),
    "from": ("from {:.0%}", "{:.0%}及以上"),
    "alarm": ("alarm, from {:.0%}", "预警：{:.0%}及以上"),
}


def tile_map(
    outlook: pd.DataFrame,
    *,
    at: float = 0.5,
    names: Mapping[str, str] | None = None,
    language: Language = "en",
) -> str:
    """Return the probabilities of an outlook as a picture of tiles (SVG).

    Areas are in blocks of the areas they belong to, in order of their codes: no map file is needed, and none is
    imitated. What is said by colour is said by a number too, and alarmed areas have a thick border.

    Parameters
    ----------
    outlook : DataFrame
        As :func:`riskml.area_outlook` gives. The smallest areas are drawn, or the smallest of which there are at most
        :data:`MAX_TILES`.
    at : float, default 0.5
        Probability from which an area is alarmed.
    names : mapping of str to str, optional
        Names of areas by code; without one the code stands there, on a tile its last characters.
    language : {"en", "zh"}, default "en"
        Language.

    Returns
    -------
    str
        One ``<svg>`` element with title and description, for screens, print and readers aloud; text is text, and what
        comes from data is escaped.

    Examples
    --------
    >>> outlook = pd.DataFrame({"level": ["all", "village"], "area_id": ["", "0102"], "households": 90})
    >>> outlook = outlook.assign(expected=4.0, lower_95=1, upper_95=9, exceeds=0.05, probability=0.4)
    >>> svg = tile_map(outlook, names={"0102": "<b>Stone Bridge</b>"})
    >>> "&lt;b&gt;Stone" in svg, "<b>" in svg
    (True, False)
    """
    names = names or {}
    levels = list(outlook["level"].unique())
    sizes = outlook["level"].value_counts()
    drawn = [level for level in levels if sizes[level] <= MAX_TILES][-1]
    tiles = outlook[outlook["level"] == drawn].sort_values("area_id")
    above = outlook[outlook["level"].isin(levels[: levels.index(drawn)]) & (outlook["area_id"] != "")]
    blocks, placed, height = _placed(tiles, above, names, language)
    shown = [_tile(row, spot, block, at, names, language) for row, (spot, block) in placed]
    highest = max(tiles.to_dict("records"), key=lambda row: row["probability"])
    exceeds = f"{100 * float(tiles['exceeds'].iloc[0]):.3g}"
    made = environment(_TEXT, language)
    words: Any = made.globals["text"]
    return made.get_template("map.svg.j2").render(
        width=_WIDTH,
        height=height + 2 * _LINE,
        title=words("title", exceeds),
        description=words("description", level_label(drawn, language), len(tiles), _said(highest, names, language)),
        blocks=blocks,
        tiles=shown,
        tile_width=_TILE,
        tile_height=_HEIGHT,
        legend=_legend(words),
        legend_y=height + _LINE / 2,
        alarm_x=(len(COLOURS)) * 112,
        alarm_said=words("alarm", at),
    )


def area_name(level: str, area_id: str, names: Mapping[str, str], language: Language) -> str:
    """Return what an area is called: its level and its name, or its code where it has none.

    Parameters
    ----------
    level, area_id : str
        As in an outlook.
    names : mapping of str to str
        Names of areas by code.
    language : {"en", "zh"}
        Language.

    Returns
    -------
    str
        ``township 520301104``; of everybody only ``all``.
    """
    label = level_label(level, language)
    return label if level == WHOLE else f"{label} {names.get(area_id, area_id)}"


def _placed(
    tiles: pd.DataFrame, above: pd.DataFrame, names: Mapping[str, str], language: Language
) -> tuple[list[dict[str, Any]], list[tuple[dict[str, Any], tuple[tuple[int, int], str]]], int]:
    """Return headings, rows with the place of their tile and the code of their block, and the height of all."""
    larger = list(zip(above["level"], above["area_id"], strict=True))
    blocks: list[dict[str, Any]] = []
    placed: list[tuple[dict[str, Any], tuple[tuple[int, int], str]]] = []
    y, column, path = 0, 0, None
    for found in tiles.to_dict("records"):
        row = {str(name): value for name, value in found.items()}
        own = [(level, code) for level, code in larger if row["area_id"].startswith(code)]
        if own != path:
            if path is not None:
                y += _HEIGHT + _GAP
            for depth, (level, code) in enumerate(own):
                if path is None or depth >= len(path) or own[: depth + 1] != path[: depth + 1]:
                    y += _LINE
                    blocks.append(
                        {"x": 0, "y": y - 7, "name": area_name(level, code, names, language), "top": depth == 0}
                    )
            column, path = 0, own
        elif column == _PER_ROW:
            column, y = 0, y + _HEIGHT + _GAP
        placed.append((row, ((column * (_TILE + _GAP) + 2, y + 2), own[-1][1] if own else "")))
        column += 1
    return blocks, placed, y + _HEIGHT + _GAP


def _tile(
    row: dict[str, Any], spot: tuple[int, int], block: str, at: float, names: Mapping[str, str], language: Language
) -> dict[str, Any]:
    step = int(np.searchsorted(STEPS, row["probability"], side="right"))
    name = names.get(row["area_id"], row["area_id"][len(block) :]) or row["area_id"]
    return {
        "x": spot[0],
        "y": spot[1],
        "fill": COLOURS[step],
        "ink": _INKS[step],
        "name": name if len(name) <= 8 else name[:7] + "…",
        "number": f"{100 * row['probability']:.0f}",
        "alarmed": row["probability"] >= at,
        "said": _said(row, names, language),
    }


def _said(row: dict[str, Any], names: Mapping[str, str], language: Language) -> str:
    area = area_name(row["level"], row["area_id"], names, language)
    numbers = (row[name] for name in ("probability", "expected", "households", "lower_95", "upper_95"))
    return _TEXT["tile"][language == "zh"].format(area, *numbers)


def _legend(words: Any) -> Sequence[dict[str, Any]]:
    said = [words("below", STEPS[0]), *(words("from", step) for step in STEPS)]
    return [{"x": 2 + place * 112, "fill": COLOURS[place], "said": each} for place, each in enumerate(said)]
