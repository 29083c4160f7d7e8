"""What if: an event as edits of the tables, readable in a file, as if it had struck some months before the as-of date.

A model knows nothing but tables. So an imagined flood or slump is asked about as the tables would show it: the
records that the office would have had of it on the as-of date take the place of those it has, and features and
risks follow from them as on any other day. Nothing that was known before the day of the event is touched.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.features.panel import features_of
from riskml.findings import DataRefused, Finding, in_words
from riskml.outlook.edits import KINDS, REQUIRED, SHARE, Key, World, is_texts
from riskml.planning.eligibility import condition
from riskml.tables.monitoring import Monitoring
from riskml.tables.validation import finding

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "bad_scenario": (
        "The scenario {first} cannot be read: {reason}. Correct it; docs/stress.md shows its form.",
        "无法读取情景文件 {first}：{reason}。请更正，格式见 docs/stress.md。",
    ),
    "unknown_key": (
        "scenario: '{first}' is not a key of a scenario. Expected: {expected}.",
        "情景：“{first}”不是可用的键。应为：{expected}。",
    ),
    "missing_key": (
        "scenario: '{first}' is missing. Give {expected}.",
        "情景：缺少“{first}”。应为：{expected_zh}。",
    ),
    "wrong_key": (
        "scenario: '{first}' should be {expected}, got {came}.",
        "情景：“{first}”应为{expected_zh}，实际为 {came}。",
    ),
    "bad_condition": (
        "scenario: '{first}' is not a condition over the features of a household, `area_id` and `product`: {reason}.",
        "情景：“{first}”不是可用的条件（可用列：住户特征、area_id、product）：{reason}。",
    ),
    "nobody_there": (
        "scenario: no household of the data lives in the area '{first}' on the day of the event. Correct the code; a "
        "prefix of an area_id is an area.",
        "情景：事件当日数据中没有住户位于区域“{first}”。请更正区域代码（area_id 的前缀即为一个区域）。",
    ),
    "no_table": (
        "scenario: '{first}' needs the table {table}, which the data do not have. Leave the edit out.",
        "情景：“{first}”需要数据表 {table}，数据中没有该表。请去掉这一项。",
    ),
}

_TEXT = "a text"
#: What is expected, in Chinese: patterns of the English words.
_CHINESE = (
    (r"a list of texts", "文本列表"),
    (r"a list of tables", "表的列表"),
    (r"a text|short name", "文本"),
    (r"tables (.*)", r"表 \1"),
    (r"one of (.*)", r"下列之一：\1"),
    (r"a whole number from (\S+) to (\S+)", r"\1至\2的整数"),
    (r"a number from (\S+) to (\S+)", r"\1至\2的数"),
    (r"a share from (\S+) to (\S+)", r"\1至\2的比例"),
    (r"a grade from (\S+) to (\S+)", r"\1至\2的等级"),
    (r"(.*) or (\S+)", r"\1 或 \2"),
)


def in_chinese(expected: str) -> str:
    """Return what a key expects, in Chinese.

    Parameters
    ----------
    expected : str
        In English, in the words that :data:`_CHINESE` knows.

    Returns
    -------
    str
        In Chinese; names of columns and codes stay.

    Raises
    ------
    ValueError
        If the words are others.

    Examples
    --------
    >>> in_chinese("a share from 0 to 1"), in_chinese("one of away, near")
    ('0至1的比例', '下列之一：away, near')
    """
    for pattern, chinese in _CHINESE:
        if re.fullmatch(pattern, expected):
            return re.sub(pattern, chinese, expected)
    raise ValueError(f"no Chinese words for {expected!r}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(low: int, high: int) -> Any:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


#: Keys at the top of a scenario and of one of its parts.
SCENARIO_KEYS: dict[str, Key] = {
    "name": Key("short name", _TEXT, lambda value: _is_text(value) and value != ""),
    "label_en": Key("what happens, in English", _TEXT, _is_text, ""),
    "label_zh": Key("what happens, in Chinese", _TEXT, _is_text, ""),
    "months_ago": Key("months from the event to the as-of date", "a whole number from 1 to 12", _is_whole(1, 12), 3),
    "known_after_days": Key(
        "days after which the office knows of new records", "a whole number from 0 to 27", _is_whole(0, 27), 10
    ),
    "part": Key("whom it falls on and what it does, as often as needed", "tables [[part]]", _is_tables, []),
}
PART_KEYS: dict[str, Key] = {
    "areas": Key("codes of areas, prefixes included; empty: everywhere", "a list of texts", is_texts, []),
    "where": Key(
        "condition over the household's features on the day of the event, its `area_id` and its `product` (the kind "
        "of its newest production record), as in a table of measures; empty: everybody",
        _TEXT,
        _is_text,
        "",
    ),
    "share": Key("share of these households, drawn at random", "a share from 0 to 1", SHARE.valid, 1.0),
    "edits": Key("what it does to them: tables with the key `kind`", "a list of tables", _is_tables),
}


@dataclass(frozen=True)
class Part:
    """Whom a scenario falls on, and the edits it makes: mappings with ``kind`` and the keys of that kind."""

    areas: tuple[str, ...] = ()
    where: str = ""
    share: float = 1.0
    edits: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Scenario:
    """An event that did not happen, as edits of the tables. See ``docs/stress.md`` for every key.

    Parameters
    ----------
    name : str
        Short name.
    label_en, label_zh : str
        What happens, in English and Chinese.
    months_ago : int
        Months from the day of the event to the as-of date.
    known_after_days : int
        Days after the event on which the office knows of the new records.
    parts : tuple of Part
        Whom it falls on and what it does.
    """

    name: str
    label_en: str = ""
    label_zh: str = ""
    months_ago: int = 3
    known_after_days: int = 10
    parts: tuple[Part, ...] = ()

    @property
    def label(self) -> str:
        """The label in the language of messages, or else the name."""
        return in_words(self.label_en, self.label_zh) or self.name

    def day(self, as_of_date: object) -> pd.Timestamp:
        """Return the day of the event.

        Parameters
        ----------
        as_of_date : date
            The day the question is asked.

        Returns
        -------
        Timestamp
            ``months_ago`` months before it.
        """
        return pd.Timestamp(str(as_of_date)).normalize() - pd.DateOffset(months=self.months_ago)


def read_scenario(path: str | Path) -> Scenario:
    r"""Read a scenario from a TOML file.

    Parameters
    ----------
    path : str or Path
        The file; ``docs/stress.md`` shows every key.

    Returns
    -------
    Scenario
        With every default filled in.

    Raises
    ------
    DataRefused
        If the file cannot be read as TOML, a key is unknown, missing or of another kind, or a condition cannot be read;
        all such findings.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = Path(place) / "slump.toml"
    ...     part = "[[part]]\nedits = [{ kind = 'jobs_end', which = 'away', share = 0.2 }]"
    ...     _ = path.write_text("name = 'slump'\n" + part)
    ...     read_scenario(path).parts[0].edits[0]["which"]
    'away'
    """
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataRefused([_found("bad_scenario", str(path), reason=error)]) from error
    return scenario_from(given)


def scenario_from(given: Mapping[str, Any]) -> Scenario:
    """Return the scenario that plain values describe, as :func:`read_scenario` finds them in a file.

    Parameters
    ----------
    given : mapping
        The keys of the file.

    Returns
    -------
    Scenario
        With every default filled in.

    Raises
    ------
    DataRefused
        As :func:`read_scenario`.
    """
    findings = list(_findings(given))
    if findings:
        raise DataRefused(findings)
    values = _filled(given, SCENARIO_KEYS)
    parts = []
    for part in values.pop("part"):
        own = _filled(part, PART_KEYS)
        edits = [{"kind": edit["kind"], **_filled(edit, _keys_of(edit["kind"]))} for edit in own["edits"]]
        parts.append(Part(tuple(own["areas"]), own["where"], float(own["share"]), tuple(edits)))
    return Scenario(**values, parts=tuple(parts))


def apply_scenario(
    data: Monitoring, scenario: Scenario, as_of_date: object, *, random_state: int | None = 0
) -> Monitoring:
    """Return the tables as they would stand on a date, had the event of a scenario struck.

    Parameters
    ----------
    data : Monitoring
        The tables.
    scenario : Scenario
        The event.
    as_of_date : date
        The day the question is asked; the event struck ``scenario.months_ago`` months before.
    random_state : int or None, default 0
        Seed of the random shares. Who is drawn depends on it, the place of the part and the edit in the scenario, and
        the households known on the date.

    Returns
    -------
    Monitoring
        What was known by the as-of date, edited. What was known before the day of the event is as it was:
        ``apply_scenario(...).known_by(day)`` has the rows of ``data.known_by(day)``. Changes by a factor or a share are
        made anew each time it is applied; new records and ends of spells are the same ones again.

    Raises
    ------
    DataRefused
        If nobody lives in one of its areas, a condition names a column that is not there, or an edit needs a table that
        the data do not have.
    ValueError
        If the date is no date.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(60, n_months=24, random_state=0)
    >>> edit = {"kind": "jobs_end", "which": "all"}
    >>> slump = scenario_from({"name": "no jobs", "part": [{"edits": [edit]}]})
    >>> jobs = apply_scenario(data, slump, "2022-12-01").versions("employment")
    >>> int((jobs["end"] == "2022-09-01").sum()) > 20
    True
    """
    return edited(data, scenario, as_of_date, random_state=random_state)[0]


def edited(
    data: Monitoring, scenario: Scenario, as_of_date: object, *, random_state: int | None = 0
) -> tuple[Monitoring, pd.DataFrame]:
    """Return :func:`apply_scenario` and what it did.

    Parameters
    ----------
    data : Monitoring
        The tables.
    scenario : Scenario
        The event.
    as_of_date : date
        The day the question is asked.
    random_state : int or None, default 0
        Seed of the random shares.

    Returns
    -------
    data : Monitoring
        The edited tables.
    made : DataFrame
        ``part, edit`` (places from 1), ``kind, household_id, rows``: one row for each edit and household whose records
        it changed, and one with an empty ``household_id`` and 0 rows for an edit that changed none.
    """
    known = data.known_by(as_of_date)
    day = scenario.day(as_of_date)
    tables = {name: frame.reset_index(drop=True) for name, frame in known.tables.items()}
    world = World(known, tables, day, day + pd.Timedelta(days=scenario.known_after_days))
    made, columns = [], ["part", "edit", "kind", "household_id", "rows"]
    for place, edit, households in edits_of(known, scenario, day, random_state):
        touched = _made(world, households, edit, place, random_state).value_counts()
        rows = [(*place, edit["kind"], *each) for each in sorted(touched.items())]
        made.append(pd.DataFrame(rows or [(*place, edit["kind"], "", 0)], columns=columns))
    table = pd.concat(made, ignore_index=True) if made else pd.DataFrame(columns=columns)
    extract_on = max(known.extract_on, world.known_on) if len(table) else known.extract_on
    return replace(known, tables=world.tables, extract_on=extract_on, checked=False), table


def edits_of(
    data: Monitoring, scenario: Scenario, day: pd.Timestamp, seed: int | None
) -> Iterator[tuple[tuple[int, int], Mapping[str, Any], pd.Index]]:
    """Yield the edits of a scenario in order, each with its places and the households it falls on.

    Parameters
    ----------
    data : Monitoring
        The tables as known on the as-of date.
    scenario : Scenario
        The event.
    day : Timestamp
        Day of the event.
    seed : int or None
        Seed of the random shares.

    Yields
    ------
    place : tuple of (int, int)
        Of the part in the scenario and of the edit in the part, from 1.
    edit : mapping
        ``kind`` and the keys of that kind.
    households : Index of str
        Sorted.
    """
    for place, part in enumerate(scenario.parts, start=1):
        households = chosen(data, day, part, place, seed)
        for number, edit in enumerate(part.edits, start=1):
            share = 1.0 if edit["kind"] == "jobs_end" else edit["share"]  # that of jobs_end is one of jobs
            drawn = households[_drawn(data, (place, number), seed, share)(households)]
            yield (place, number), edit, drawn


def chosen(data: Monitoring, day: pd.Timestamp, part: Part, place: int, seed: int | None) -> pd.Index:
    """Return the households a part of a scenario falls on.

    Parameters
    ----------
    data : Monitoring
        The tables as known on the as-of date.
    day : Timestamp
        Day of the event.
    part : Part
        Areas, condition and share.
    place : int
        Place of the part in the scenario, from 1.
    seed : int or None
        Seed of the random share.

    Returns
    -------
    Index of str
        Households registered before the day and not gone by then, sorted.
    """
    registry = data.tables["households"]
    known = registry[(registry["known_on"] < day) & ~(registry["withdrawn"] == 1)]
    newest = known.sort_values("known_on", kind="stable").drop_duplicates("household_id", keep="last")
    there = newest[~(newest["left_on"] <= day)] if "left_on" in newest else newest
    area = there.set_index("household_id")["area_id"].sort_index()
    for code in part.areas:
        if not area.str.startswith(code).any():
            raise DataRefused([_found("nobody_there", code)])
    if part.areas:
        area = area[area.str.startswith(tuple(part.areas))]
    if part.where:
        area = area[_holds(data, day, area, part.where)]
    return area.index[_drawn(data, (place, 0), seed, part.share)(area.index)]


def _holds(data: Monitoring, day: pd.Timestamp, area: pd.Series, where: str) -> NDArray[np.bool_]:
    known = data.known_by(day)
    table = features_of(known, area.index, day).assign(area_id=area)
    if "production" in known.tables and "kind" in known.tables["production"]:
        records = known.versions("production")
        table["product"] = records.groupby("household_id")["kind"].last().reindex(area.index).fillna("")
    try:
        return condition(where)(table)
    except KeyError as error:
        raise DataRefused([_found("bad_condition", where, reason=f"no column {error}")]) from error


def _drawn(data: Monitoring, place: tuple[int, int], seed: int | None, share: float) -> Any:
    """Return a function that draws a share of households: the same ones, whoever else is asked about."""
    uniform = np.random.default_rng(None if seed is None else [seed, *place]).random(len(data.household_ids))
    return lambda households: uniform[data.household_ids.get_indexer(households)] < share


def _made(
    world: World, households: pd.Index, edit: Mapping[str, Any], place: tuple[int, int], seed: int | None
) -> pd.Series:
    """Make an edit; return the household of each row it changed."""
    make, table, _ = KINDS[edit["kind"]]
    table = edit.get("table", "welfare" if edit.get("source") == "welfare" else table)
    where = f"part {place[0]}, edit {place[1]} ({edit['kind']})"
    if table not in world.tables:
        raise DataRefused([_found("no_table", where, table=table)])
    rng = np.random.default_rng(None if seed is None else [seed, *place, 1])
    mark = f"scenario-{place[0]}-{place[1]}"
    if households.empty:
        return pd.Series(dtype=str)
    return make(world, households, edit, lambda n: rng.random(n) < edit["share"], mark)


def _findings(given: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _level("", given, SCENARIO_KEYS)
    for place, part in enumerate(_tables(given.get("part")), start=1):
        path = f"part[{place}]"
        yield from _level(path, part, PART_KEYS)
        if isinstance(part.get("where"), str):
            try:
                condition(part["where"])
            except ValueError as error:
                yield _found("bad_condition", f"{path}.where", reason=error)
        for number, edit in enumerate(_tables(part.get("edits")), start=1):
            own = f"{path}.edits[{number}]"
            kind = edit.get("kind")
            if not isinstance(kind, str) or kind not in KINDS:
                yield _found("wrong_key", f"{own}.kind", expected="one of " + ", ".join(KINDS), came=repr(kind))
            else:
                yield from _level(own, {k: v for k, v in edit.items() if k != "kind"}, _keys_of(kind))


def _level(path: str, level: Mapping[str, Any], keys: Mapping[str, Key]) -> Iterator[Finding]:
    for name, value in level.items():
        where = f"{path}.{name}" if path else name
        if name not in keys:
            yield _found("unknown_key", where, expected=", ".join(keys))
        elif not keys[name].valid(value):
            yield _found("wrong_key", where, expected=keys[name].expected, came=repr(value)[:60])
    for name, key in keys.items():
        if name not in level and key.default is REQUIRED:
            yield _found("missing_key", f"{path}.{name}" if path else name, expected=key.expected)


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return value if _is_tables(value) else []


def _keys_of(kind: str) -> dict[str, Key]:
    return {**KINDS[kind][2], "share": SHARE}


def _filled(given: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
    return {name: given.get(name, key.default) for name, key in keys.items()}


def _found(rule: str, first: str, *, table: str = "", **more: Any) -> Finding:
    if rule in ("wrong_key", "missing_key"):
        more["expected_zh"] = in_chinese(more["expected"])
    return finding(rule, table, "", 1, first, messages=MESSAGES, **more)
