"""Pictures of the tables: each function draws one table into one axes and returns it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from riskml.causes import CAUSES, cause_label, cause_topic
from riskml.explanation.wording import format_points, format_risk
from riskml.output.report_text import TABLE_NAMES
from riskml.output.watchlists import POINTS

if TYPE_CHECKING:
    from riskml.explanation.contributions import Explanation

#: Vermilion, blue and a grey, told apart by colour-blind readers (Okabe and Ito 2008) and three times as dark or light
#: as white paper. A sign stands beside every colour.
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

#: What the files of these fonts are called.
_CHINESE_FILES = ("cjk", "notosanssc", "sourcehansans", "pingfang", "heiti", "msyh", "simhei", "wqy", "droidsansfall")


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
    all_ = _say("all", "全体", language)
    returns = [_say("return" if n == 1 else "returns", "起返贫", language) for n in errors["events"]]
    names = [
        all_ if by == "all" else str(group) if by == "group" else f"{by}: {group}"
        for by, group in zip(errors["by"], errors["group"], strict=True)
    ]
    ax.set_yticks(at, [f"{name} ({n:,} {of})" for name, n, of in zip(names, errors["events"], returns, strict=True)])
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
    labels = [cause_topic(list(CAUSES)[place], language) for place in order]
    labels = [_say("starting point", "起点", language), *labels, _say("risk", "风险", language)]
    sizes, lefts = [base, *points[order], risk], [0.0, *begins, 0.0]
    colours = [LEVEL, *(UP if size > 0 else DOWN for size in points[order]), LEVEL]
    bars = ax.barh(np.arange(len(labels)), sizes, left=lefts, color=colours, tick_label=labels)
    texts = [format_risk(base), *(format_points(size) for size in points[order]), format_risk(risk)]
    ax.bar_label(bars, texts, padding=3)
    ax.invert_yaxis()
    ax.set_xlabel(_say("risk", "风险", language))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if risk >= 0.05 else f"{value:.1%}")
    ax.margins(x=0.12)
    return _end(ax, language)


def plot_risk_history(history: pd.DataFrame, *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw a household's risk over time, with a mark where records other than incomes arrived.

    Parameters
    ----------
    history : DataFrame
        As :func:`riskml.risk_history` gives.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        The line is broken, and the days are grey, where the household was not at risk: below the line already, or not
        known. The dotted line is the risk where every household starts.
    """
    ax, language = _begin(ax, language)
    days, risk = history["as_of_date"].to_numpy(), history["risk"].to_numpy(dtype=np.float64)
    ax.plot(days, risk, "o-", color=UP, markersize=4)
    ax.axhline(history["start"].iloc[0], color=LEVEL, linestyle=":", linewidth=1)
    for day in days[~history["at_risk"].to_numpy(dtype=bool)]:
        ax.axvline(day, color=LEVEL, linewidth=6, alpha=0.2)
    news = [tables.split(";") for tables in history["new_tables"]]
    rows = [name for name in TABLE_NAMES if name not in _REGULAR and any(name in tables for tables in news)]
    highest = max(float(np.nanmax(risk, initial=0.0)), float(history["start"].iloc[0]))
    for row, name in enumerate(rows):
        at = (1.14 + 0.09 * row) * highest
        arrived = [day for day, tables in zip(days, news, strict=True) if name in tables]
        ax.plot(arrived, [at] * len(arrived), "D", color=DOWN, markersize=4)
        said, place = TABLE_NAMES[name][language == "zh"], ("axes fraction", "data")
        ax.annotate(said, (-0.01, at), xycoords=place, fontsize=8, ha="right", va="center", color=DOWN)
    ax.set_ylim(0, (1.08 + 0.09 * len(rows)) * highest)
    ax.set_yticks([tick for tick in MaxNLocator(5).tick_values(0, highest) if 0 <= tick <= 1.04 * highest])
    ax.yaxis.set_major_formatter(lambda value, _: format_risk(value) if value else "0%")
    ax.set_xlabel(
        _say("asked on (blue: new records known by then)", "评分日期（蓝色：截至当日新登记的信息）", language)
    )
    ax.set_ylabel(_say("risk", "风险", language), y=0.25)
    ax.tick_params(axis="x", rotation=30)
    return _end(ax, language)


def plot_overall(
    explanation: Explanation, *, max_features: int = 10, ax: Axes | None = None, language: str = "en"
) -> Axes:
    """Draw what matters over all households: a point a household and feature, the features that move most on top.

    Drawn by the shap package from :meth:`riskml.Explanation.to_shap`, with its features called by their labels.

    Parameters
    ----------
    explanation : Explanation
        Of at least two households.
    max_features : int, default 10
        How many features have a row of their own.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        Right of the middle a record raises the risk, left of it lowers it; light is a high value, dark a low one
        (cividis, Nunez and others 2018), grey none on record.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of matplotlib, at shap's own import
        import shap

    ax, language = _begin(ax, language, size=(8.5, 0.45 * max_features + 1))
    labels = explanation.dictionary[[f"label_{language}", "label_en", "name"]].to_numpy(dtype=object)
    given = explanation.to_shap()
    given.feature_names = [next(str(word) for word in words if word) for words in labels]
    shown = given.shape[1] > max_features  # shap adds a row for the sum of the rest
    shap.plots.beeswarm(
        given, max_display=max_features + shown, color=plt.get_cmap("cividis"), ax=ax, show=False, plot_size=None,
        color_bar_label=_say("value", "数值", language),
    )  # fmt: skip
    rest = [label.get_text() for label in ax.get_yticklabels()]
    words = _say("all other features", "其余各项", language)
    ax.set_yticks(ax.get_yticks(), [words if text.startswith("Sum of ") else text for text in rest])
    bar = ax.figure.axes[-1]
    if bar is not ax:
        bar.set_yticks(bar.get_yticks(), [_say("low", "低", language), _say("high", "高", language)])
        _end(bar, language)
    ax.tick_params(axis="y", labelsize=9)
    ax.set_xlabel(_say("lowers the risk  ←     →  raises it", "降低风险  ←     →  升高风险", language))
    return _end(ax, language)


def plot_dependence(explanation: Explanation, feature: str, *, ax: Axes | None = None, language: str = "en") -> Axes:
    """Draw what one feature adds to the risk of each household against its value, and which way it may only go.

    Parameters
    ----------
    explanation : Explanation
        Of the households to draw.
    feature : str
        Name of a feature.
    ax : Axes, optional
        Where to draw; default: a new figure.
    language : {"en", "zh"}, default "en"
        Language of the labels; English, with a warning, where no font has Chinese.

    Returns
    -------
    Axes
        Points of risk against the value; households without a value stand left of the dashed line. The title says
        whether more of it may only raise the risk, only lower it, or either, as the dictionary has it. (What it adds
        to the log-odds then goes one way for households alike in all else; the points of different households need
        not.)

    Raises
    ------
    KeyError
        If the feature is not explained.
    """
    if feature not in explanation.X:
        raise KeyError(f"{feature!r} is not among the {explanation.X.shape[1]} features explained")
    ax, language = _begin(ax, language)
    entry = explanation.dictionary.set_index("name").loc[feature]
    value = explanation.X[feature].to_numpy(dtype=np.float64)
    points = 100 * explanation.in_points("feature")[feature].to_numpy()
    known = ~np.isnan(value)
    ax.axhline(0, color=LEVEL, linewidth=1)
    ax.scatter(value[known], points[known], s=9, color=DOWN, alpha=0.5, linewidth=0)
    if known.any() and not known.all():
        low, high = value[known].min(), value[known].max()
        width = (high - low) or 1.0
        ax.scatter(np.full((~known).sum(), low - 0.1 * width), points[~known], s=9, color=LEVEL, marker="x")
        ax.axvline(low - 0.05 * width, color=LEVEL, linestyle="--", linewidth=1)
        said = _say("not on record", "未记录", language)
        ax.annotate(said, (low - 0.1 * width, ax.get_ylim()[0]), rotation=90, fontsize=8, ha="right", va="bottom")
    direction = int(np.sign(entry.get("direction", 0)))
    ax.set_title(_say(*_DIRECTIONS[direction], language), fontsize=10, loc="left")
    unit = _say(*_UNITS.get(str(entry["unit"]), ("", "")), language)
    label = str(entry[f"label_{language}"] or entry["label_en"] or feature)
    ax.set_xlabel(f"{label} ({unit})" if unit and language == "en" else f"{label}（{unit}）" if unit else label)
    ax.set_ylabel(_say("points of risk", "风险百分点", language))
    return _end(ax, language)


#: Tables whose records come every month and are no news.
_REGULAR = ("incomes", "welfare")
#: What the dictionary's direction says.
_DIRECTIONS = {
    1: ("→ more of it may only raise the risk", "→ 数值越大，风险只升不降"),
    -1: ("→ more of it may only lower the risk", "→ 数值越大，风险只降不升"),
    0: ("the risk may go either way", "对风险的方向不设限"),
}
_UNITS = {
    "lines": ("poverty lines", "贫困线倍数"),
    "months": ("months", "月"),
    "days": ("days", "天"),
    "years": ("years", "年"),
}


def _begin(ax: Axes | None, language: str, size: tuple[float, float] = (6.4, 4.0)) -> tuple[Axes, str]:
    """Return the axes and the language that can be drawn."""
    if language == "zh" and not _chinese_fonts():
        warnings.warn(
            f"no font with Chinese is installed (looked for {', '.join(CHINESE_FONTS)}); the labels are in English",
            stacklevel=3,
        )
        language = "en"
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax, language


def _end(ax: Axes, language: str) -> Axes:
    """Set the fonts of every text drawn and take the frame away."""
    ax.spines[["top", "right"]].set_visible(False)
    if language == "zh":
        for text in [*ax.findobj(Text), *ax.get_xticklabels(), *ax.get_yticklabels()]:
            text.set_fontfamily([*_chinese_fonts(), "DejaVu Sans"])
    return ax


def _chinese_fonts() -> list[str]:
    """Return the installed families of CHINESE_FONTS; matplotlib's list may be older than the fonts, so look again."""
    if not _known_fonts():
        manager = font_manager.fontManager
        listed = {font.fname for font in manager.ttflist}
        for path in font_manager.findSystemFonts():
            if path not in listed and any(part in Path(path).stem.lower() for part in _CHINESE_FILES):
                manager.addfont(path)
    return _known_fonts()


def _known_fonts() -> list[str]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in CHINESE_FONTS if name in installed]


def _say(en: str, zh: str, language: str) -> str:
    return zh if language == "zh" else en
