"""The card of a model: what it learned from, how good it was beside the rivals, what it is for and not for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

import riskml
from riskml.model.classifier import RiskClassifier

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

_SAID = {
    "intended_use": (
        "Rank the households at risk for a visit by an officer, who sees the reasons and decides.",
        "为入户走访排序；干部查看原因后作出决定。",
    ),
    "not_for": (
        "Refusing or ending help, deciding without a person, or places and times unlike those it learned from.",
        "不得用于拒绝或终止帮扶，不得脱离人工自动决定，不得用于与训练数据差异较大的地区或时期。",
    ),
}
_LIMITS = (
    (
        "A reason says what the score rests on, not what would change the outcome.",
        "原因说明评分的依据，并不说明改变它会带来什么结果。",
    ),
    (
        "Households whose outcome was not observed are not in the figures.",
        "结果未被观察到的住户不在评估数字之内。",
    ),
    (
        "The level of risk is that of the newest outcomes it learned from; compare it with each month's new outcomes.",
        "风险水平以训练时最新的结果为准，请每月与新的结果对照。",
    ),
    ("People who are not registered are not seen at all.", "未登记的人完全不在视野之内。"),
)
_LIMITS_OF_OUTCOME: dict[str, tuple[tuple[str, str], ...]] = {
    "status": (
        (
            "It foretells whom the office will identify, which is not who will be poor: whom the office overlooks "
            "today, the model will overlook tomorrow.",
            "模型预测的是哪些户会被识别，而不是哪些户会返贫：今天被遗漏的户，明天也会被模型遗漏。",
        ),
    ),
    "deprivation": (
        (
            "Deprivation is what its indicators, cut-offs and weights say; others would name other households.",
            "多维剥夺取决于所用的指标、临界值和权重；换一套标准，识别出的住户会不同。",
        ),
    ),
}


def model_card(
    model: RiskClassifier,
    *,
    data: Monitoring | Mapping[str, Any] | None = None,
    figures: pd.DataFrame | None = None,
    missed: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return the card of a fitted model as plain JSON values.

    Parameters
    ----------
    model : RiskClassifier
        Fitted.
    data : Monitoring or mapping, optional
        The data it was trained on, or what the card says of them.
    figures : DataFrame, optional
        Table of :func:`riskml.evaluate` beside the rivals.
    missed : DataFrame, optional
        Whom a list of the model misses: table of :func:`riskml.targeting_errors` with the columns ``quota`` (length of
        the list as a share), ``sentence_en`` and ``sentence_zh`` (:func:`riskml.who_is_missed`).

    Returns
    -------
    dict
        ``riskml`` (version), ``training`` (rows, households, events, dates, horizon), ``settings``, ``calibration``,
        ``n_features``, ``tables_needed``, ``intended_use``, ``not_for``, ``limits`` (each English and Chinese),
        ``net`` where the model has the risk net of assistance beside it, and where given ``data``, ``figures`` and
        ``missed``.
    """
    learned = model.fit_summary_.get("outcome", "welfare")
    card: dict[str, Any] = {
        "riskml": riskml.__version__,
        "training": model.fit_summary_,
        "settings": {name: value for name, value in model.get_params().items() if name != "dictionary"},
        "calibration": {name: value for name, value in model.calibrator_.as_dict().items() if "curve" not in name},
        "n_features": len(model.dictionary_),
        "tables_needed": sorted({table for table in model.dictionary_["table"] if table}),
        **{key: {"en": en, "zh": zh} for key, (en, zh) in _SAID.items()},
        "limits": [{"en": en, "zh": zh} for en, zh in (*_LIMITS, *_LIMITS_OF_OUTCOME.get(learned, ()))],
    }
    if model.net_ is not None:
        learned_net = model.net_.fit_summary_
        card["net"] = {name: learned_net[name] for name in ("rows", "events")} | {
            "calibration": list(model.net_.calibration_)
        }
    if isinstance(data, Mapping):
        card["data"] = dict(data)
    elif data is not None:
        card["data"] = {
            "households": len(data.household_ids),
            "tables": {name: len(table) for name, table in data.tables.items()},
            "extract_on": f"{data.extract_on:%Y-%m-%d}",
            "welfare_months": data.welfare_months,
            "notes": list(data.notes),
            "assumptions": [{"en": en, "zh": zh} for en, zh in data.assumptions],
        }
    if figures is not None:
        card["figures"] = json.loads(figures.to_json(orient="records", double_precision=10))
    if missed is not None:
        card["missed"] = json.loads(missed.to_json(orient="records", double_precision=10))
    return card


def card_text(card: Mapping[str, Any]) -> str:
    """Return a card as Markdown, in English with a summary in Chinese.

    Parameters
    ----------
    card : mapping
        As :func:`model_card` returns it.

    Returns
    -------
    str
        Markdown.
    """
    calibration = card["calibration"]
    source = calibration["source"].replace("_", " ") + (f" ({calibration['reason']})" if calibration["reason"] else "")
    lines = ["# Model card", "", card["intended_use"]["en"], "", f"Not for: {card['not_for']['en']}", ""]
    lines += ["## Training", "", *_said(card["training"])]
    lines += [f"- features: {card['n_features']}, from the tables {', '.join(card['tables_needed'])}"]
    lines += [
        f"- calibration: slope {calibration['slope']:.3f}, intercept {calibration['intercept']:.3f}; {source}",
        "",
    ]
    lines += _net_lines(card.get("net"))
    lines += _interval_lines(card["training"].get("interval_groups"))
    lines += _recalibration_lines(card["training"].get("recalibrations", []))
    lines += [*_data_lines(card.get("data")), *_figure_lines(card.get("figures"))]
    missed = card.get("missed", [])
    lines += _missed_lines(missed, "## Whom a list of {:.0%} of the households missed", "en")
    lines += ["## Limits", "", *(f"- {limit['en']}" for limit in card["limits"]), ""]
    lines += ["## 摘要", "", f"用途：{card['intended_use']['zh']}", "", f"不适用：{card['not_for']['zh']}", ""]
    lines += _missed_lines(missed, "名单取住户的{:.0%}时漏掉了谁：", "zh")
    assumed = card.get("data", {}).get("assumptions", [])
    lines += ["假设：", "", *(f"- {each['zh']}" for each in assumed), "", "局限：", ""] if assumed else []
    return "\n".join([*lines, *(f"- {limit['zh']}" for limit in card["limits"]), ""])


def _said(values: Mapping[str, Any]) -> list[str]:
    own = ("interval_groups", "recalibrations")
    return [f"- {key.replace('_', ' ')}: {value}" for key, value in values.items() if key not in own]


def _net_lines(net: Mapping[str, Any] | None) -> list[str]:
    if net is None:
        return []
    slope, intercept = net["calibration"]
    said = (
        f"A second model of the same rows, {net['rows']:,}, of which {net['events']:,} were below the line without "
        f"public transfers; calibration: slope {slope:.3f}, intercept {intercept:.3f}."
    )
    return ["## Net of assistance", "", said, ""]


def _interval_lines(groups: Mapping[str, Any] | None) -> list[str]:
    if groups is None:
        return []
    by = f" ({', '.join(groups['by'])})" if "by" in groups else ""
    said = {
        "own": f"Groups{by} whose own outcomes give the interval of their risks",
        "shared": "Groups with too few outcomes of their own, which have the interval of all",
    }
    lines = [f"- {words}: {len(groups[key])}{_first(groups[key])}" for key, words in said.items()]
    return ["## Intervals by group", "", *lines, ""]


def _first(names: list[str]) -> str:
    return f" ({', '.join(names[:10])}{', ...' if len(names) > 10 else ''})" if names else ""


def _recalibration_lines(steps: list[Mapping[str, Any]]) -> list[str]:
    if not steps:
        return []
    lines = ["## Recalibration", "", "The trees are those of the training; slope and level of the risk are newer.", ""]
    for step in steps:
        numbers = {key: round(value, 4) if isinstance(value, float) else value for key, value in step.items()}
        lines += ["- " + ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in numbers.items())]
    return [*lines, ""]


def _data_lines(data: Mapping[str, Any] | None) -> list[str]:
    if data is None:
        return []
    tables = ", ".join(f"{name} ({rows:,})" for name, rows in data["tables"].items())
    said = f"{data['households']:,} households, extract of {data['extract_on']}. Rows: {tables}."
    lines = ["## Data", "", said, "", *(f"- {note}" for note in data["notes"]), ""]
    assumed = [f"- {each['en']}" for each in data.get("assumptions", [])]
    if assumed:
        lines += ["## Assumptions", "", "The figures hold only as far as these do.", "", *assumed, ""]
    return lines


def _figure_lines(figures: list[Mapping[str, Any]] | None) -> list[str]:
    if figures is None:
        return []
    rows = [
        f"| {row['group']} | {row['model']} | {row['figure']} | {row['value']:.3f} | {_span(row)} |"
        for row in figures
        if row["value"] is not None
    ]
    head = ["| group | model | figure | value | 95 % interval |", "|---|---|---|---|---|"]
    return ["## Out of time, beside the rivals", "", *head, *rows, ""]


def _missed_lines(missed: list[Mapping[str, Any]], head: str, code: str) -> list[str]:
    if not missed:
        return []
    return [head.format(missed[0]["quota"]), "", *(f"- {row[f'sentence_{code}']}" for row in missed), ""]


def _span(row: Mapping[str, Any]) -> str:
    return "" if row["lower"] is None else f"{row['lower']:.3f} to {row['upper']:.3f}"
