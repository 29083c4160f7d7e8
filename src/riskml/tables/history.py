"""Tables whose source keeps no history: since when their rows count, and which days they say nothing of.

A source that overwrites its rows in place shows one state, that of the extract. What it held on an earlier day is not
known, so data with such a table refuse every question about a day up to the extract. A user who accepts the risk says
so with ``assume_known_on``: each row, as it reads now, counts from some days after one of its own dates. That is an
assumption and stays one: it is kept in words with the data and written on the card of every model that learns from
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from riskml.findings import DataRefused, Finding
from riskml.tables.contract import TABLES
from riskml.tables.validation import finding, first_case, read_date

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "no_extract_day": (
        "The rows of {table} have no day of entry of their own, so extract_on is needed: the day the tables were "
        "extracted, the last on which a row can have become known. Give it.",
        "{table} 的行没有录入日期,因此需要 extract_on:即数据提取日,任何一行最晚在该日得知。请填写。",
    ),
    "known_on_overwritten": (
        "{where} of a table that is overwritten in place does not say since when its rows read as they do ({count} "
        "rows, first: {first}). Leave the column out, or accept it in so many words: "
        "assume_known_on of column 'known_on'.",
        "{table} 的行会被就地覆盖,{where} 不能说明各行从何时起就是现在的内容({count} 行,首例:{first})。"
        "请去掉该列,或明确接受:assume_known_on 取“known_on”列。",
    ),
    "known_on_twice": (
        "{where} is there, and assume_known_on takes the day from '{first}'. Keep one of the two.",
        "{where} 已存在,而 assume_known_on 又取自“{first}”。两者只能保留一个。",
    ),
    "no_assumed_column": (
        "assume_known_on takes the day from {table}.{first}, which is not there. It has: {expected}.",
        "assume_known_on 取自 {table}.{first},但没有该列。现有的列:{expected}。",
    ),
    "no_history": (
        "{table} is overwritten in place and shows only what it held on {extract_on}: it says nothing of {first} "
        "({count} of the days asked). Ask about {from_day} or a later day, leave the table out, or say since when "
        "its rows may be assumed known (assume_known_on in monitoring.toml; docs/data-contract.md says what "
        "that risks).",
        "{table} 的行会被就地覆盖,只反映 {extract_on} 的情况,不能说明 {first} 的情况(所问日期中有 {count} 个)。"
        "请改问 {from_day} 或以后的日期,去掉该表,或说明可以假定各行从何时得知"
        "(monitoring.toml 中的 assume_known_on;其风险见 docs/data-contract.md)。",
    ),
}

#: Dates of a row that come to be known later than the row: filled in when they happen.
_LATER = {"registry": ("lifted_on", "left_on"), "roster": ("end",), "spell": ("end",)}


def with_known_on(
    tables: Mapping[str, Any],
    *,
    extract_on: pd.Timestamp | None,
    overwritten: Iterable[str],
    assume_known_on: Mapping[str, tuple[str, int]],
) -> tuple[dict[str, Any], list[Finding], list[tuple[str, str]]]:
    """Fill ``known_on`` of tables whose source has no day of entry, or whose day of entry does not say enough.

    Without an assumption every row is known on the day of the extract. With one it is known ``days`` after its
    ``column``, and a date of the row that is filled in when it happens (``end``, ``lifted_on``, ``left_on``) is
    learned as many days after it: the end as ``end_known_on``, the others as versions of their own. Nothing
    is known later than the extract that shows it.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Raw tables.
    extract_on : Timestamp, optional
        Day of the extract; needed if a table is named in the other two.
    overwritten : iterable of str
        Tables overwritten in place.
    assume_known_on : mapping of str to (str, int)
        By table: a column with dates, and how many days after them a row is known.

    Returns
    -------
    tables : dict of str to DataFrame
        With ``known_on``; the caller's frames are not changed.
    findings : list of Finding
        What is wrong with the declarations.
    assumptions : list of (str, str)
        One sentence in English and Chinese a table with an assumption.

    Raises
    ------
    ValueError
        If a table is named that is not there, or days are not a whole number from 0.
    """
    filled, findings, assumptions = dict(tables), [], []
    for name in dict.fromkeys([*overwritten, *assume_known_on]):
        if name not in TABLES or not isinstance(tables.get(name), pd.DataFrame):
            raise ValueError(f"overwritten and assume_known_on name {name!r}; the tables are {', '.join(tables)}")
        frame, column_days = tables[name], assume_known_on.get(name)
        found = _declaration_findings(name, frame, extract_on, column_days)
        findings += found
        if found or extract_on is None:
            filled[name] = frame.assign(known_on=pd.NaT)
        elif column_days is None:
            filled[name] = frame.assign(known_on=extract_on)
        else:
            filled[name] = _assumed(name, frame, *column_days, extract_on)
            assumptions.append(_in_words(name, *column_days, extract_on, name in set(overwritten)))
    return filled, findings, assumptions


def require_history(data: Monitoring, days: Iterable[Any]) -> None:
    """Refuse days of which a table of the data says nothing, because its source is overwritten in place.

    Parameters
    ----------
    data : Monitoring
        The tables.
    days : iterable of dates
        The days asked about.

    Raises
    ------
    DataRefused
        If a day is not after the extract and a table is overwritten; one finding a table.
    """
    early = sorted({day for day in map(pd.Timestamp, days) if day <= data.extract_on}) if data.overwritten else []
    if early:
        words = {"extract_on": data.extract_on.date(), "from_day": (data.extract_on + pd.Timedelta(days=1)).date()}
        first = f"{early[0]:%Y-%m-%d}"
        raise DataRefused(
            [
                finding("no_history", name, "", len(early), first, messages=MESSAGES, **words)
                for name in data.overwritten
            ]
        )


def _declaration_findings(
    name: str, frame: pd.DataFrame, extract_on: pd.Timestamp | None, column_days: tuple[str, int] | None
) -> list[Finding]:
    if extract_on is None:
        return [finding("no_extract_day", name, "", len(frame), "", messages=MESSAGES)]
    if column_days is None:
        # Tables of a Monitoring are given back with the day of the extract in known_on.
        known_on = read_date(frame["known_on"])[0] if "known_on" in frame else np.array([], "datetime64[s]")
        other = known_on != np.datetime64(extract_on, "s")
        if not other.any():
            return []
        first = first_case(frame, int(other.argmax()), "known_on")
        return [finding("known_on_overwritten", name, "known_on", int(other.sum()), first, messages=MESSAGES)]
    column, days = column_days
    if not isinstance(days, int) or isinstance(days, bool) or days < 0:
        raise ValueError(f"assume_known_on of {name!r}: days must be a whole number from 0, not {days!r}")
    if column not in frame:
        expected = ", ".join(map(str, frame.columns))
        return [finding("no_assumed_column", name, column, 1, column, messages=MESSAGES, expected=expected)]
    if "known_on" in frame and column != "known_on":
        return [finding("known_on_twice", name, "known_on", 1, column, messages=MESSAGES)]
    return []


def _assumed(name: str, frame: pd.DataFrame, column: str, days: int, extract_on: pd.Timestamp) -> pd.DataFrame:
    """Return the rows with the day they are assumed known on, and with the day their later dates are."""
    frame = frame.reset_index(drop=True)
    kind = TABLES[name].kind
    known_on, unread = _learned(frame[column], days, extract_on)
    later = {fact: _learned(frame[fact], days, extract_on)[0] for fact in _LATER.get(kind, ()) if fact in frame}
    if unread.any():  # the cells stay as they are, to be refused by name with whatever else is wrong
        return frame.assign(known_on=frame[column])
    if column not in TABLES[name].by_name:
        frame = frame.drop(columns=column)
    frame = frame.assign(known_on=known_on)
    if kind == "registry":
        return _registry_versions(frame, later)
    if "end" in later and "end_known_on" not in frame:
        frame["end_known_on"] = later["end"].where(later["end"] > known_on)
    return frame


def _learned(dates: pd.Series, days: int, extract_on: pd.Timestamp) -> tuple[pd.Series, np.ndarray]:
    """Days on which dates are taken to be learned, and the rows that hold no date but something else."""
    read, unread, _ = read_date(dates)
    learned = pd.Series(read, index=dates.index) + pd.Timedelta(days=days)
    return learned.where(~(learned > extract_on), extract_on), unread


def _registry_versions(frame: pd.DataFrame, later: dict[str, pd.Series]) -> pd.DataFrame:
    """Return each row as it was entered, and again from each day on which one of its later dates was learned."""
    days = [frame["known_on"]]
    for learned in later.values():
        new = np.logical_and.reduce([learned > days[0], *(learned != day for day in days[1:])])
        days.append(learned.where(new))
    versions = [
        frame.assign(known_on=day, **{fact: frame[fact].mask(learned > day) for fact, learned in later.items()})
        for day in days
    ]
    kept = [versions[0], *(version[version["known_on"].notna()] for version in versions[1:])]
    return pd.concat(kept).sort_index(kind="stable").reset_index(drop=True)


def _in_words(name: str, column: str, days: int, extract_on: pd.Timestamp, overwritten: bool) -> tuple[str, str]:
    when_en = f"{days} days after the day in '{column}'" if days else f"on the day in '{column}'"
    when_zh = f"“{column}”所载日期之后 {days} 天" if days else f"“{column}”所载日期"
    dates = _LATER.get(TABLES[name].kind, ())
    dates_en = f", and {' or '.join(dates)} likewise" if dates else ""
    dates_zh = f",{'、'.join(dates)} 亦同" if dates else ""
    why_en, why_zh = "its source does not say when rows were entered", "其来源没有录入日期"
    risk_en = risk_zh = ""
    if overwritten:
        why_en, why_zh = "its source overwrites rows in place", "其来源会就地覆盖各行"
        risk_en = (
            " What was changed later shows on earlier dates too, which may make results look better than they are."
        )
        risk_zh = "后来的更改会出现在更早的日期上,结果可能虚高。"
    return (
        f"{name}: {why_en}. Each row, as it reads on {extract_on:%Y-%m-%d}, is assumed known {when_en}{dates_en}."
        + risk_en,
        f"{name}:{why_zh}。假定各行以 {extract_on:%Y-%m-%d} 的内容,于{when_zh}得知{dates_zh}。{risk_zh}",
    )
