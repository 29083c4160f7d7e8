"""Pictures of the tables: each function draws one table into one axes and returns it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes

from riskml.causes import CAUSES, cause_label
from riskml.explanation.wording import format_points, format_risk
from riskml.output.watchlists import POINTS

#: Colours told apart by colour-blind readers (Okabe and Ito 2008).
UP, DOWN, LEVEL = "#d55e00", "#0072b2", "#6b7280"
#: Font families with Chinese, the usual ones of each system.
CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "Heiti SC",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
)


def plot_targeting_curve(curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw the share of later returns found against the length of the list, one line a model.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        What :func:`riskml.targeting_curve` gives, by name of the model.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        With the lines and the diagonal that a list drawn by lot gives.
    """
    ax, language = _begin(ax, language)
    for name, curve in curves.items():
        ax.plot(curve["quota"], curve["found"], label=name)
    ax.plot([0, 1], [0, 1], color=LEVEL, linestyle=":", linewidth=1)
    ax.set(xlim=(0, 1), ylim=(0, 1.01))
    ax.set_xlabel(_say("share of households on the list", "名单占住户比例", language))
    ax.set_ylabel(_say("share of later returns on the list", "名单覆盖的后续返贫比例", language))
    ax.legend(frameon=False)
    return _end(ax, language)


def plot_calibration(table: pd.DataFrame, *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw the share that returned against the risk given, one point a bin of risks, with its interval.

    Parameters
    ----------
    table : DataFrame
        As :func:`riskml.calibration_table` gives.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        On the dotted diagonal risks mean what they say.
    """
    ax, language = _begin(ax, language)
    ax.vlines(table["expected"], table["observed_lower"], table["observed_upper"], color=DOWN, linewidth=1)
    ax.plot(table["expected"], table["observed"], "o", color=DOWN, markersize=5)
    highest = 1.05 * max(table["expected"].max(), table["observed_upper"].max())
    ax.plot([0, highest], [0, highest], color=LEVEL, linestyle=":", linewidth=1)
    ax.set_xlabel(_say("risk given", "预测风险", language))
    ax.set_ylabel(_say("share that returned", "实际返贫比例", language))
    return _end(ax, language)


def plot_concentration(curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw the share of a list's benefits against the share of the households, poorest first, one line a model.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        What :func:`riskml.concentration_curve` gives, by name of the model.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        Above the dotted diagonal, that of a list drawn by lot, the poorer get more.
    """
    ax, language = _begin(ax, language)
    for name, curve in curves.items():
        ax.plot(curve["households"], curve["benefits"], label=name)
    ax.plot([0, 1], [0, 1], color=LEVEL, linestyle=":", linewidth=1)
    ax.set(xlim=(0, 1), ylim=(0, 1.01))
    ax.set_xlabel(_say("share of households, poorest first", "住户比例（由贫到富）", language))
    ax.set_ylabel(_say("share of the list's benefits", "名单帮扶所占比例", language))
    ax.legend(frameon=False)
    return _end(ax, language)


def plot_decision(curve: pd.DataFrame, *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw the net benefit of visiting from a risk on, one line a model, with the interval of the first.

    Parameters
    ----------
    curve : DataFrame
        As :func:`riskml.decision_curve` gives.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        Visiting everybody and nobody are dotted: a model below either should not be used at that threshold. Visiting
        everybody is cut off where it costs more than the best model gives.
    """
    ax, language = _begin(ax, language)
    rules = {
        "everybody": _say("visit everybody", "走访所有住户", language),
        "nobody": _say("visit nobody", "不走访", language),
    }
    for place, (name, line) in enumerate(curve.groupby("model", sort=False)):
        how: dict[str, Any] = {"color": LEVEL, "linestyle": ":", "linewidth": 1} if name in rules else {}
        (drawn,) = ax.plot(line["threshold"], line["net_benefit"], label=rules.get(str(name), str(name)), **how)
        if place == 0:
            ax.fill_between(line["threshold"], line["lower"], line["upper"], color=drawn.get_color(), alpha=0.15)
    highest = float(curve["net_benefit"].max())
    ax.set_ylim(-0.25 * highest, 1.1 * highest)
    ax.set_xlabel(_say("risk from which a household is visited", "开始走访的风险值", language))
    ax.set_ylabel(_say("net benefit (returns a household)", "净收益（每户返贫数）", language))
    ax.legend(frameon=False)
    return _end(ax, language)


def plot_groups(errors: pd.DataFrame, *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw the share of returns that a list misses, one line a group, with its interval.

    Parameters
    ----------
    errors : DataFrame
        As :func:`riskml.targeting_errors` gives, with ``groups=`` a table or a column.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        In the order of the table, first on top; the share of everybody dotted. Groups with few returns are hollow,
        those without any stand without a mark.
    """
    ax, language = _begin(ax, language)
    at = np.arange(len(errors))
    ax.hlines(at, errors["exclusion_error_lower"], errors["exclusion_error_upper"], color=UP, linewidth=1)
    for few, fill in ((False, UP), (True, "white")):
        own = (errors["few_events"] == few).to_numpy()
        ax.plot(errors.loc[own, "exclusion_error"], at[own], "o", color=UP, markerfacecolor=fill, markersize=5)
    everybody = errors.loc[errors["by"] == "all", "exclusion_error"]
    if len(everybody):
        ax.axvline(everybody.iloc[0], color=LEVEL, linestyle=":", linewidth=1)
    all_, returns = _say("all", "全体", language), _say("returns", "起返贫", language)
    names = [
        all_ if by == "all" else str(group) if by == "group" else f"{by}: {group}"
        for by, group in zip(errors["by"], errors["group"], strict=True)
    ]
    ax.set_yticks(at, [f"{name} ({n:,} {returns})" for name, n in zip(names, errors["events"], strict=True)])
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel(_say("share of returns the list misses", "名单漏掉的返贫比例", language))
    return _end(ax, language)


def plot_causes(watchlist: pd.DataFrame, *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw how many households of a list have each cause among their first three.

    Parameters
    ----------
    watchlist : DataFrame
        As :func:`riskml.watchlist` gives.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        One bar a cause that occurs, the most frequent on top.
    """
    ax, language = _begin(ax, language)
    top = watchlist[["cause_1", "cause_2", "cause_3"]]
    counts = {cause: int((top == cause).any(axis=1).sum()) for cause in CAUSES}
    shown = sorted((cause for cause in CAUSES if counts[cause]), key=lambda cause: counts[cause])
    bars = ax.barh([cause_label(cause, language) for cause in shown], [counts[cause] for cause in shown], color=UP)
    ax.bar_label(bars, padding=3)
    ax.set_xlabel(_say("households", "户数", language))
    return _end(ax, language)


def plot_household(row: pd.Series, *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw one household's way from the starting point to its risk, a step a cause.

    Parameters
    ----------
    row : Series
        A row of a watchlist.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        Steps that raise the risk and steps that lower it, largest first, below the starting point; the risk last.
    """
    ax, language = _begin(ax, language)
    points = row[POINTS].to_numpy(dtype=np.float64)
    order = np.argsort(-np.abs(points), kind="stable")
    order = order[np.abs(points[order]) >= 0.0005]
    base, risk = float(row["risk"] - points.sum()), float(row["risk"])
    begins = base + np.cumsum([0.0, *points[order]])[:-1]
    labels = [cause_label(list(CAUSES)[place], language) for place in order]
    labels = [_say("starting point", "起点", language), *labels, _say("risk", "风险", language)]
    sizes, lefts = [base, *points[order], risk], [0.0, *begins, 0.0]
    colours = [LEVEL, *(UP if size > 0 else DOWN for size in points[order]), LEVEL]
    bars = ax.barh(np.arange(len(labels)), sizes, left=lefts, color=colours, tick_label=labels)
    texts = [format_risk(base), *(format_points(size) for size in points[order]), format_risk(risk)]
    ax.bar_label(bars, texts, padding=3)
    ax.invert_yaxis()
    ax.set_xlabel(_say("risk", "风险", language))
    ax.margins(x=0.12)
    return _end(ax, language)


def _begin(ax: Axes | None, language: str) -> tuple[Axes, str]:
    """Return the axes and the language that can be drawn."""
    if language == "zh" and not _chinese_fonts():
        warnings.warn(
            f"no font with Chinese is installed (looked for {', '.join(CHINESE_FONTS)}); the labels are in English",
            stacklevel=3,
        )
        language = "en"
    return plt.subplots(figsize=(6.4, 4.0), layout="constrained")[1] if ax is None else ax, language


def _end(ax: Axes, language: str) -> Axes:
    """Set the fonts of every text drawn and take the frame away."""
    ax.spines[["top", "right"]].set_visible(False)
    if language == "zh":
        legend = ax.get_legend()
        texts = [*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.xaxis.label, ax.yaxis.label]
        for text in [*texts, *(legend.get_texts() if legend else [])]:
            text.set_fontfamily([*_chinese_fonts(), "DejaVu Sans"])
    return ax


def _chinese_fonts() -> list[str]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in CHINESE_FONTS if name in installed]


def _say(en: str, zh: str, language: str) -> str:
    return zh if language == "zh" else en
