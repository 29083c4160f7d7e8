"""The watchlist as one HTML file to read, print and take along: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment

import riskml
from riskml.causes import CAUSES, cause_label, cause_topic
from riskml.explanation.wording import dated, format_frequency, format_points, format_risk, format_value
from riskml.model.net import NET_COLUMNS
from riskml.output.cliff import assistance_cliff
from riskml.output.outlook_section import outlook_section
from riskml.output.pages import Language, column_name, environment, iso_day
from riskml.output.report_text import FIGURE_AT_QUOTA, FIGURES, LIMITS, TABLE_NAMES, TEXT
from riskml.output.watchlists import POINTS, Card, cards
from riskml.planning.assist import NOT_FUNDED, plan_summary
from riskml.planning.limits import limit_name
from riskml.planning.measures import measure_name
from riskml.tables.contract import TABLES

#: Rows of the list, and of the changes, that the report shows; the rest is in the tables.
MAX_ROWS = 500
#: Households of the assistance cliff that the report names.
MAX_CLIFF = 20
#: Households below the list that the report names to go and look at.
MAX_LOOK = 20
#: Households without a measure that the report names, and the money that its shadow prices are for.
MAX_LEFT_OUT = 20
MONEY_STEP = 10_000
#: Records shown of each reason on a card.
MAX_RECORDS = 3
#: Steps shown on a card; smaller ones are added up.
MAX_STEPS = 6
#: What a list made before these columns were written has in their place.
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(NET_COLUMNS, np.nan),
    "support": "",
    "support_ends_on": pd.Series(pd.NaT, dtype="datetime64[s]").iloc[0],
    "on_file": "",
}


def write_report(
    path: str | Path,
    watchlist: pd.DataFrame,
    *,
    plan: pd.DataFrame | None = None,
    limits: pd.DataFrame | None = None,
    evidence: pd.DataFrame | None = None,
    card: Mapping[str, Any] | None = None,
    figures: pd.DataFrame | None = None,
    changes: pd.DataFrame | None = None,
    missed: Sequence[str] = (),
    look: pd.DataFrame | None = None,
    outlook: pd.DataFrame | None = None,
    cliff: pd.DataFrame | None = None,
    language: Language = "en",
    n_cards: int = 20,
) -> None:
    """Write a watchlist, its reasons, the plan and the limits of both as one HTML file.

    Text from the data is escaped, the file holds no script and loads nothing. In print each household's card begins a
    new page.

    Parameters
    ----------
    path : str or Path
        The file to write.
    watchlist : DataFrame
        As :func:`riskml.watchlist` gives, at least one row.
    plan : DataFrame, optional
        As :func:`riskml.match_assistance` gives.
    limits : DataFrame, optional
        The limits of the plan, as ``limits`` of :class:`riskml.planning.assist.Plan`.
    evidence : DataFrame, optional
        As :meth:`riskml.Explanation.evidence` gives, at least for the households with a card.
    card : mapping, optional
        The model's card; its plain entries are shown.
    figures : DataFrame, optional
        As :func:`riskml.evaluate` gives, without groups. If there are none the report says that the list's quality is
        not known.
    changes : DataFrame, optional
        As :func:`riskml.watchlist_changes` gives; those who entered or left are shown.
    missed : sequence of str, default ()
        Sentences in the report's language as :func:`riskml.who_is_missed` gives them.
    look : DataFrame, optional
        As :func:`riskml.go_and_look` gives, for everybody scored: who is near the end of the list.
    outlook : DataFrame, optional
        As :func:`riskml.area_outlook` gives, for everybody scored: how many of each area may return.
    cliff : DataFrame, optional
        As :func:`riskml.assistance_cliff` gives, best for everybody scored; default: that of the watchlist.
    language : {"en", "zh"}, default "en"
        Language of the report.
    n_cards : int, default 20
        Number of households with a card of their own, from the top of the list.

    Raises
    ------
    ValueError
        If the watchlist is empty or the language is another.
    OSError
        If the file cannot be written.
    """
    if watchlist.empty:
        raise ValueError("write_report: the watchlist has no household")
    if language not in ("en", "zh"):
        raise ValueError(f"write_report(language={language!r}): expected 'en' or 'zh'")
    watchlist = watchlist.assign(**{name: _EMPTY[name] for name in _EMPTY if name not in watchlist})
    html = (
        _environment(language)
        .get_template("report.html.j2")
        .render(
            language=language,
            version=riskml.__version__,
            as_of_date=iso_day(watchlist["as_of_date"].iloc[0]),
            summary=_summary(watchlist, plan, changes, language),
            causes=_cause_rows(watchlist),
            rows=_list_rows(watchlist, plan, language),
            n_more=max(len(watchlist) - MAX_ROWS, 0),
            plan=None if plan is None else _plan_rows(plan, language),
            plan_limits=[] if plan is None or limits is None else _limit_rows(limits, language),
            left_out=[] if plan is None else _left_out(watchlist, plan, language),
            changes=None
            if changes is None
            else changes[changes["change"] != "stayed"].head(MAX_ROWS).to_dict("records"),
            cards=[_card(one, language) for one in cards(watchlist, plan=plan, evidence=evidence, n_cards=n_cards)],
            n_listed=len(watchlist),
            has_net=bool(watchlist["risk_net"].notna().any()),
            cliff=_cliff(assistance_cliff(watchlist) if cliff is None else cliff, watchlist, language),
            look=None if look is None else _look(look),
            outlook=None if outlook is None else outlook_section(outlook, language),
            figures=None if figures is None else _figure_rows(figures, language),
            missed=list(missed),
            facts=_facts(card or {}),
            limits=[pair[language == "zh"] for pair in LIMITS],
        )
    )
    Path(path).write_text(html, encoding="utf-8")


def _environment(language: Language) -> Environment:
    made = environment(TEXT, language)
    made.filters.update(
        risk=format_risk,
        frequency=lambda risk: format_frequency(risk, language),
        points=format_points,
        cause=lambda cause: cause_label(cause, language) if cause else "",
        topic=lambda cause: cause_topic(cause, language),
        money=lambda amount: f"{amount:,.0f}",
        whole=lambda number: "" if pd.isna(number) else f"{number:.0f}",
    )
    return made


def _summary(
    watchlist: pd.DataFrame, plan: pd.DataFrame | None, changes: pd.DataFrame | None, language: Language
) -> list[tuple[str, str, str]]:
    """Return (number, key of its text, remark)."""
    rows = [(f"{len(watchlist):,}", "n_listed", ""), (f"{watchlist['risk'].sum():,.1f}", "expected_returns", "")]
    if plan is not None:
        given = plan[plan["measure"] != ""]
        low, high = (given[f"expected_points_{end}"].sum(skipna=False) for end in ("lower", "upper"))
        between = TEXT["between"][language == "zh"].format(f"{low:,.1f}", f"{high:,.1f}")
        rows += [
            (f"{given['household_id'].nunique():,}", "n_funded", ""),
            (f"{given['cost'].sum():,.0f}", "plan_cost", ""),
            (f"{given['expected_points'].sum():,.1f}", "averted", between if np.isfinite([low, high]).all() else ""),
        ]
    if changes is not None:
        rows += [(f"{(changes['change'] == kind).sum():,}", f"n_{kind}", "") for kind in ("entered", "left")]
    return rows


def _cause_rows(watchlist: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the causes over the list, most households first."""
    top = watchlist[["cause_1", "cause_2", "cause_3"]]
    counts = {cause: int((top == cause).any(axis=1).sum()) for cause in CAUSES}
    most = max(counts.values())
    return [
        {"cause": cause, "count": counts[cause], "share": counts[cause] / max(most, 1), "points": float(points)}
        for cause, points in zip(CAUSES, watchlist[POINTS].mean(), strict=True)
        if counts[cause] or abs(points) >= 0.0005
    ]


def _list_rows(watchlist: pd.DataFrame, plan: pd.DataFrame | None, language: Language) -> list[dict[str, Any]]:
    """Return the first rows of the list with the label of the measure proposed."""
    table = watchlist.head(MAX_ROWS).rename(columns={f"reason_{language}": "why"})
    for name, ends in (("interval", ["risk_lower", "risk_upper"]), ("interval_net", NET_COLUMNS[1:])):
        table = table.assign(**{name: [_interval(*pair) for pair in table[ends].to_numpy(float)]})
    table["on_file"] = [_topics(causes, language) for causes in table["on_file"]]
    if plan is not None:
        given = plan[plan["measure"] != ""].groupby("household_id")[f"label_{language}"].agg("; ".join)
        table["proposed"] = table["household_id"].map(given).fillna("").to_numpy()
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _plan_rows(plan: pd.DataFrame, language: Language) -> list[dict[str, Any]]:
    rows = []
    for row in plan_summary(plan).to_dict("records"):
        reason = NOT_FUNDED[row["not_funded"]][language == "zh"] if row["not_funded"] else ""
        name = TEXT["none"][language == "zh"].format(reason) if reason else row[f"label_{language}"] or row["measure"]
        averted = f"{row['expected_points']:.2f}" + _brackets(
            row["expected_points_lower"], row["expected_points_upper"]
        )
        shown = {key: row[key] for key in ("households", "cost", "effect_source")}
        rows.append({"name": name, "averted": "" if reason else averted, **shown})
    return rows


def _limit_rows(limits: pd.DataFrame, language: Language) -> list[dict[str, Any]]:
    """Return budgets, places and floors with what is used of each and what one more would avert."""
    rows = []
    for row in limits.to_dict("records"):
        money = row["limit"] in ("budget", "floor_money")
        worth = row["shadow_price"] * (MONEY_STEP if money else 1)
        unit = TEXT["per_money" if money else "per_place"][language == "zh"]
        price = TEXT["price_unknown"][language == "zh"] if np.isnan(worth) else f"{worth:.3f} {unit}"
        if row["limit"].startswith("floor") and worth > 0:
            price = f"−{price}"
        share = min(row["used"] / row["amount"], 1.0) if row["amount"] > 0 else 0.0
        shown = {"used": row["used"], "amount": row["amount"], "share": share, "price": price}
        rows.append({"name": limit_name(row, language), **shown})
    return rows


def _left_out(watchlist: pd.DataFrame, plan: pd.DataFrame, language: Language) -> list[dict[str, Any]]:
    """Return the households of highest risk that no measure is proposed for, and why."""
    helped = plan.loc[plan["measure"] != "", "household_id"]
    first = plan[~plan["household_id"].isin(helped)].drop_duplicates("household_id")
    why = first.set_index("household_id")["not_funded"]
    rows = watchlist[watchlist["household_id"].isin(why.index)].sort_values("rank").head(MAX_LEFT_OUT)
    kept = ("rank", "household_id", "area_id", "risk", "cause_1")
    return [
        {**{name: row[name] for name in kept}, "why": NOT_FUNDED[why[row["household_id"]]][language == "zh"]}
        for row in rows.to_dict("records")
    ]


def _card(card: Card, language: Language) -> dict[str, Any]:
    """Return a card with its picture and its records in words."""
    funded = [row for row in card.measures if row["measure"]]
    refused = [NOT_FUNDED[row["not_funded"]][language == "zh"] for row in card.measures if row["not_funded"]]
    return {
        **card.row,
        "why": card.row[f"reason_{language}"],
        "interval": _interval(card.row["risk_lower"], card.row["risk_upper"]),
        "interval_net": _interval(card.row["risk_net_lower"], card.row["risk_net_upper"]),
        "support": _supports(card.row["support"], language),
        "support_ends_on": iso_day(card.row["support_ends_on"]),
        "on_file": _topics(card.row["on_file"], language),
        "bars": _bars(card, language),
        "measures": [{**row, "name": row[f"label_{language}"] or row["measure"]} for row in funded],
        "refused": refused[0] if refused else "",
        "parts": _parts(card.evidence, language),
    }


def _topics(causes: str, language: Language) -> str:
    """Return what the records of some causes, joined by ``;``, are about."""
    return ("、" if language == "zh" else ", ").join(
        cause_topic(cause, language) for cause in causes.split(";") if cause
    )


def _bars(card: Card, language: Language) -> list[dict[str, Any]]:
    """Return the bars of the picture from the starting point to the risk: where they begin and end, as shares of it."""
    shown = [step for step in card.steps[:MAX_STEPS] if abs(step[1]) >= 0.0005]
    rest = float(card.row["risk"]) - card.base_risk - sum(points for _, points in shown)
    steps = [(cause_topic(cause, language), points) for cause, points in shown]
    if abs(rest) >= 0.0005:
        steps.append((TEXT["rest"][language == "zh"], rest))
    ends = card.base_risk + np.cumsum([0.0, *(points for _, points in steps)])
    low, high = min(0.0, ends.min()), max(ends.max(), 0.01)
    bars = [(TEXT["start"][language == "zh"], 0.0, ends[0], format_risk(card.base_risk), "level")]
    for (label, points), begin, end in zip(steps, ends[:-1], ends[1:], strict=True):
        bars.append((label, begin, end, format_points(points), "up" if points > 0 else "down"))
    bars.append((TEXT["total"][language == "zh"], 0.0, card.row["risk"], format_risk(card.row["risk"]), "level"))
    return [
        {
            "label": label,
            "left": float(min(begin, end) - low) / float(high - low),
            "width": abs(float(end - begin)) / float(high - low),
            "text": text,
            "kind": kind,
        }
        for label, begin, end, text, kind in bars
    ]


def _parts(evidence: list[dict[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Return what help can change, then what it cannot, each with its reasons."""
    if not evidence:
        return []
    split = [[record for record in evidence if bool(record["actionable"]) is side] for side in (True, False)]
    points = format_points(float(evidence[0]["points_actionable"]))
    notes = TEXT["points_actionable"][language == "zh"].format(points), TEXT["fixed_note"][language == "zh"]
    parts = [
        {"key": key, "note": note, "reasons": _reasons(records, language)}
        for key, note, records in zip(("actionable", "fixed"), notes, split, strict=True)
    ]
    return [part for part in parts if part["reasons"] or part["key"] == "actionable"]


def _reasons(evidence: list[dict[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Return the reasons that rest on records, each with the day that matters and its newest records."""
    behind: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in evidence:
        behind.setdefault((record["cause"], record["feature"]), []).append(record)
    reasons = []
    for records in behind.values():
        shown = [_record(record, language) for record in records[:MAX_RECORDS]]
        n_more = max(len(records) - MAX_RECORDS, 0)
        reasons.append(
            {"cause": records[0]["cause"], "why": dated(records, language), "records": shown, "n_more": n_more}
        )
    return reasons


def _record(record: dict[str, Any], language: Language) -> dict[str, str]:
    table, column = record["table"], record["column"] or ""
    unit = "lines" if column in ("welfare", "welfare_net") else ""
    if table in TABLES and column in TABLES[table].by_name:
        unit = {"amount": "lines", "flag": "flag"}.get(TABLES[table].by_name[column].kind, "")
    value = "" if pd.isna(record["value"]) else format_value(float(record["value"]), unit, language)
    if pd.notna(record["amount"]):
        currency = f"{record['amount']:,.0f}"
        value = (
            currency
            if not value or not record["amount"]
            else f"{currency}（{value}）"
            if language == "zh"
            else f"{currency} ({value})"
        )
    dates = [day for day in (iso_day(record["date"]), iso_day(record["end"])) if day]
    return {
        "table": TABLE_NAMES.get(table, (table, table))[language == "zh"],
        "date": " – ".join(dates),
        "known_on": iso_day(record["known_on"]),
        "column": column_name(column, language),
        "value": value,
    }


def _figure_rows(
    figures: pd.DataFrame, language: Language
) -> tuple[list[str], list[tuple[str, list[tuple[str, str]]]]]:
    """Return the headings, and per model the figures over everybody with their intervals."""
    overall = figures[figures["group"] == "all"]
    names = [name for name in overall["figure"].unique() if _figure_name(name, language)]
    names.sort(key=lambda name: ("@" in name, list(FIGURES).index(name) if name in FIGURES else 0))
    cells = {
        (row["model"], row["figure"]): (f"{row['value']:.3f}", _brackets(row["lower"], row["upper"]).strip())
        for row in overall.to_dict("records")
        if not pd.isna(row["value"])
    }
    rows = [
        (str(model), [cells.get((model, name), ("–", "")) for name in names]) for model in overall["model"].unique()
    ]
    return [_figure_name(name, language) for name in names], rows


def _figure_name(name: str, language: Language) -> str:
    if name in FIGURES:
        return FIGURES[name][language == "zh"]
    kind, _, quota = name.partition("@")
    return FIGURE_AT_QUOTA[kind][language == "zh"].format(quota) if kind in FIGURE_AT_QUOTA else ""


def _facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the plain entries of the model's card."""
    return [
        (str(name).replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
        for name, value in card.items()
        if isinstance(value, str | int | float)
        or (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value))
    ]


def _cliff(cliff: pd.DataFrame, watchlist: pd.DataFrame, language: Language) -> dict[str, Any]:
    """Return how many households' support ends soon, and the first of them with their place on the list."""
    place = cliff["household_id"].map(watchlist.drop_duplicates("household_id").set_index("household_id")["rank"])
    shown = cliff.assign(rank=place).head(MAX_CLIFF).to_dict("records")
    rows = [
        {
            **{str(name): cell for name, cell in row.items()},
            "measure": measure_name(row["measure"], language),
            "support": _supports(row["support"], language),
            "support_ends_on": iso_day(row["support_ends_on"]),
        }
        for row in shown
    ]
    return {"rows": rows, "n": len(cliff), "n_off": int(place.isna().sum()), "n_more": len(cliff) - len(rows)}


def _supports(support: str, language: Language) -> str:
    """Return the names of the measures that run."""
    names = [measure_name(name, language) for name in support.split(";") if name]
    return ("、" if language == "zh" else ", ").join(names)


def _look(look: pd.DataFrame) -> dict[str, Any]:
    """Return how sure the list is, and the first of those below it for whom a visit must tell."""
    unsure = look["standing"] == "look"
    below = look[unsure & ~look["listed"]].sort_values("rank")
    shown = below.head(MAX_LOOK).to_dict("records")
    return {
        "cut_off": float(look["cut_off"].iloc[0]),
        "n_sure": int((look["standing"] == "sure").sum()),
        "n_listed": int((unsure & look["listed"]).sum()),
        "n_below": len(below),
        "rows": [{**row, "interval": _interval(row["risk_lower"], row["risk_upper"])} for row in shown],
        "n_more": len(below) - len(shown),
    }


def _interval(low: float, high: float) -> str:
    return "" if np.isnan(low) or np.isnan(high) else f"{format_risk(low)} – {format_risk(high)}"


def _brackets(low: float, high: float) -> str:
    digits = 3 if high <= 1 else 2
    return "" if pd.isna(low) or pd.isna(high) else f" ({low:.{digits}f} – {high:.{digits}f})"
