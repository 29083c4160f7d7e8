"""The letter to a household: which data were used, what weighed, who decides, how to object and to whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskml.causes import CAUSES, cause_topic
from riskml.explanation.wording import dated, format_frequency
from riskml.findings import in_words
from riskml.output.letter_text import LETTER, RIGHTS
from riskml.output.pages import Language, column_name, environment, iso_day
from riskml.output.report_text import TABLE_NAMES
from riskml.output.watchlists import POINTS

#: Causes named as weighing against the household, or for it.
MAX_CAUSES = 3


def write_letter(
    path: str | Path,
    watchlist: pd.DataFrame,
    household_id: str,
    *,
    contact: str,
    evidence: pd.DataFrame | None = None,
    used: pd.DataFrame | None = None,
    dictionary: pd.DataFrame | None = None,
    language: Language = "en",
) -> None:
    """Write the explanation a listed household may ask for, as one HTML page to print and sign.

    It follows what China's Personal Information Protection Law (art. 24, 44-48) and the EU's GDPR (art. 13-15, 21, 22)
    ask of an explanation: the data used, what weighed, that a person decides, how to see and correct the data, to
    object and to complain. It is a draft for the office, which answers for it; it is not legal advice.

    It never promises help, and tells nothing of other households: neither rank nor length of the list.

    Parameters
    ----------
    path : str or Path
        The file to write.
    watchlist : DataFrame
        As :func:`riskml.watchlist` gives.
    household_id : str
        A household of the list.
    contact : str
        Who answers for the list: office, address, telephone; several lines may be given.
    evidence : DataFrame, optional
        As :meth:`riskml.Explanation.evidence` gives, with this household: what weighed is then said with its values and
        days.
    used : DataFrame, optional
        As :func:`riskml.data_used` gives for this household.
    dictionary : DataFrame, optional
        Of the model's features: the sensitive ones are named as used, as the law demands, without their value.
    language : {"en", "zh"}, default "en"
        Language of the letter.

    Raises
    ------
    ValueError
        If the household is not on the list or has no reasons there, there is no contact, or the language is another.
    OSError
        If the file cannot be written.
    """
    if language not in ("en", "zh"):
        raise ValueError(f"write_letter(language={language!r}): expected 'en' or 'zh'")
    if not contact.strip():
        raise ValueError(in_words("a letter needs a contact to object to", "告知书须写明可提出异议的联系单位"))
    rows = watchlist[watchlist["household_id"] == household_id]
    if rows.empty:
        raise ValueError(
            in_words(
                f"household_id {household_id!r} is not on this list; there is nothing to explain to it",
                f"名单中没有住户{household_id!r}，无需告知",
            )
        )
    row = {str(name): cell for name, cell in rows.iloc[0].items()}
    if any(pd.isna(row[name]) for name in POINTS):
        raise ValueError(
            in_words(
                f"household_id {household_id!r} stands in the table without reasons, below the list; a letter tells "
                "those on the list why they are (`riskml score --top N --explain all` explains everybody it writes)",
                f"住户{household_id!r}在表中没有原因说明，位于名单之下；告知书只向名单上的住户说明原因"
                "（riskml score --top N --explain all 会为所写的每户说明原因）",
            )
        )
    html = (
        environment(LETTER, language)
        .get_template("letter.html.j2")
        .render(
            language=language,
            household_id=household_id,
            as_of_date=iso_day(row["as_of_date"]),
            frequency=format_frequency(float(row["risk"]), language),
            raising=_raising(row, evidence, language),
            lowering=_lowering(row, language),
            used=[] if used is None else _used_rows(used, language),
            sensitive=_sensitive(dictionary, language),
            rights=[pair[language == "zh"] for pair in RIGHTS],
            contact=[line.strip() for line in contact.splitlines() if line.strip()],
        )
    )
    Path(path).write_text(html, encoding="utf-8")


def _raising(row: dict[str, Any], evidence: pd.DataFrame | None, language: Language) -> list[dict[str, Any]]:
    """Return the causes that raise the risk, most first, each with what was on file."""
    mine = [] if evidence is None else evidence[evidence["household_id"] == row["household_id"]].to_dict("records")
    named = [row[f"cause_{place}"] for place in range(1, MAX_CAUSES + 1)]
    named = [cause for cause in named if cause and row[f"points_{cause}"] > 0]
    raising = []
    for cause in named:
        behind: dict[str, list[dict[Any, Any]]] = {}
        for record in mine:
            if record["cause"] == cause:
                behind.setdefault(record["feature"], []).append(record)
        said = [dated(records, language) for records in behind.values()]
        raising.append({"topic": cause_topic(cause, language), "said": said})
    return raising


def _lowering(row: dict[str, Any], language: Language) -> list[str]:
    """Return what the causes are about that lower the risk, most first."""
    points = np.array([row[name] for name in POINTS], dtype=np.float64)
    order = [place for place in np.argsort(points, kind="stable")[:MAX_CAUSES] if points[place] <= -0.0005]
    return [cause_topic(list(CAUSES)[place], language) for place in order]


def _used_rows(used: pd.DataFrame, language: Language) -> list[dict[str, Any]]:
    rows = []
    for row in used.to_dict("records"):
        columns = [column for column in row["columns"].split(";") if column]
        names = [column_name(column, language) for column in columns]
        days = sorted({iso_day(day) for day in (row["first"], row["last"])} - {""})
        rows.append(
            {
                "table": TABLE_NAMES.get(row["table"], (row["table"], row["table"]))[language == "zh"],
                "columns": ("、" if language == "zh" else ", ").join(names),
                "n_records": row["n_records"],
                "days": " – ".join(days),
            }
        )
    return rows


def _sensitive(dictionary: pd.DataFrame | None, language: Language) -> list[str]:
    """Return what the sensitive features are about; empty where nothing sensitive was used."""
    if dictionary is None:
        return []
    entries = dictionary[dictionary["sensitive"].astype(bool)]
    return [str(entry[f"label_{language}"] or entry["label_en"] or entry["name"]) for _, entry in entries.iterrows()]
