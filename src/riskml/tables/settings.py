"""``monitoring.toml``: how the files of a folder become the tables of the contract."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from riskml.causes import CAUSES
from riskml.findings import DataRefused, Finding
from riskml.tables.contract import TABLES
from riskml.tables.validation import finding

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

SETTINGS_FILE = "monitoring.toml"

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "bad_settings": (
        "monitoring.toml cannot be read: {reason}. Correct it; docs/data-contract.md shows its form.",
        "无法读取 monitoring.toml:{reason}。请更正,格式见 docs/data-contract.md。",
    ),
    "unknown_setting": (
        "monitoring.toml: '{first}' is not a setting. Expected: {expected}.",
        "monitoring.toml:“{first}”不是可用的设置。应为:{expected}。",
    ),
    "wrong_setting": (
        "monitoring.toml: '{first}' should be {expected}.",
        "monitoring.toml:“{first}”应为 {expected}。",
    ),
}

#: Setting -> the types it may have and how a reader would say so; one level of monitoring.toml each.
_TOP: dict[str, tuple[Any, str]] = {
    "extract_on": (object, "a date such as 2024-12-31"),
    "notes": (list, "a list of texts"),
    "assumptions": (list, 'a list of pairs of texts, ["in English", "in Chinese"]'),
    "welfare": (dict, "a table"),
    "tables": (dict, "a table"),
    "season": (bool, "true or false"),
    "features": (dict, "a table"),
    "outcomes": (dict, "a table"),
}
_WELFARE: dict[str, tuple[Any, str]] = {
    "months": (int, "a whole number above zero"),
    "max_age_months": (int, "a whole number above zero"),
    "least_covered": ((int, float), "a share above 0 and at most 1"),
}
_OUTCOMES: dict[str, tuple[Any, str]] = {
    "status": (dict, "a table"),
    "deprivation": (dict, "a table"),
}
_STATUS: dict[str, tuple[Any, str]] = {"categories": (list, "a list of official categories")}
_DEPRIVATION: dict[str, tuple[Any, str]] = {
    "cutoff": ((int, float), "a share above 0 and at most 1"),
    "missing": (str, "'nan' or 'reweight'"),
    "indicators": (dict, "a table"),
}
_INDICATOR: dict[str, tuple[Any, str]] = {
    "dimension": (str, "a text"),
    "table": (str, "the name of a table with a date"),
    "column": (str, "the name of a column"),
    "stat": (str, "one of last, max, min, sum, mean, count"),
    "sign": (str, "one of <, <=, >, >=, =="),
    "cutoff": ((int, float), "a number"),
    "months": (int, "a whole number above zero"),
    "nothing": ((int, float), "a number"),
    "weight": ((int, float), "a share"),
}
_TABLE: dict[str, tuple[Any, str]] = {
    "file": (str, "a file name"),
    "sheet": (str, "the name of a sheet"),
    "columns": (dict, "a table: column of the contract = column of the file"),
    "constants": (dict, "a table: column of the contract = value for all rows"),
    "codes": (dict, "a table: column of the contract = {code of the file = code of the contract}"),
    "units": (dict, "a table: column of the contract = factor"),
    "dates": (dict, "a table: column of the contract = format such as '%Y年%m月%d日'"),
    "overwritten": (bool, "true or false"),
    "assume_known_on": (dict, "a table: { column = a column of dates, days = a whole number from 0 }"),
}
_ASSUMED: dict[str, tuple[Any, str]] = {
    "column": (str, "the name of a column of dates"),
    "days": (int, "a whole number from 0"),
}
_FEATURE: dict[str, tuple[Any, str]] = {
    "cause": (str, f"one of {', '.join(CAUSES)}"),
    "unit": (str, "one of lines, share, count, months, days, grade, flag, years, number"),
    "direction": (int, "1 (more raises risk), -1 (lowers it) or 0 (unknown)"),
    "label_en": (str, "a text"),
    "label_zh": (str, "a text"),
    "name": (str, "a text"),
    "actionable": (bool, "true or false"),
    "sensitive": (bool, "true or false"),
}
_FEATURE_NEEDS = ("cause", "unit", "direction", "label_en", "label_zh")
_UNITS = ("lines", "share", "count", "months", "days", "grade", "flag", "years", "number")


def read_settings(folder: Path) -> dict[str, Any]:
    r"""Return the settings of a folder, checked key by key.

    Parameters
    ----------
    folder : Path
        Folder that may hold a ``monitoring.toml``; ``docs/data-contract.md`` shows its form.

    Returns
    -------
    dict
        As written in the file; empty if there is none.

    Raises
    ------
    DataRefused
        If the file cannot be read, or a setting is unknown or of the wrong kind; all such findings.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     _ = (Path(place) / SETTINGS_FILE).write_text("[welfare]\nmonths = 6")
    ...     read_settings(Path(place))
    {'welfare': {'months': 6}}
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as error:
        found = finding("bad_settings", "", "", 1, SETTINGS_FILE, messages=MESSAGES, reason=error)
        raise DataRefused([found]) from error
    findings = list(_findings(settings))
    if findings:
        raise DataRefused(findings)
    return settings


def settings_text(data: Monitoring) -> str:
    """Return the ``monitoring.toml`` that goes with the tables of ``data`` when they are written."""

    # A JSON string, number, boolean or list of strings is written the same in TOML.
    def line(key: str, value: Any) -> str:
        """Return one line of TOML."""
        return f"{key} = {json.dumps(value, ensure_ascii=False)}"

    lines = [f"extract_on = {data.extract_on.date()}", line("notes", list(data.notes))]
    lines += [line("assumptions", data.assumptions)] if data.assumptions else []
    # The season alone is a feature of no table.
    of_tables = [feature for feature in data.features if hasattr(feature, "table")]
    lines += [line("season", True)] if len(of_tables) < len(data.features) else []
    lines += ["", "[welfare]", line("months", data.welfare_months), line("max_age_months", data.max_age_months)]
    lines += [line("least_covered", data.least_covered)]
    for name in data.overwritten:
        lines += ["", f"[tables.{name}]", line("overwritten", True)]
    for feature in of_tables:
        lines += ["", f"[features.{feature.table}.{json.dumps(feature.column, ensure_ascii=False)}]"]
        lines += [line(key, getattr(feature, key)) for key in _FEATURE if getattr(feature, key) != ""]
    for outcome in data.outcomes:
        lines += _outcome_lines(outcome)
    return "\n".join([*lines, ""])


def _outcome_lines(outcome: Any) -> list[str]:
    settings = outcome.settings()
    indicators = settings.pop("indicators", {})
    parts = {f"outcomes.{outcome.name}": settings}
    for name, indicator in indicators.items():
        parts[f"outcomes.{outcome.name}.indicators.{json.dumps(name, ensure_ascii=False)}"] = indicator
    return [
        text
        for part, values in parts.items()
        for text in (
            "",
            f"[{part}]",
            *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()),
        )
    ]


def _findings(settings: dict[str, Any]) -> Iterator[Finding]:
    yield from _level("", settings, _TOP)
    day = str(settings.get("extract_on", "2000-01-01"))
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) or pd.isna(pd.to_datetime(day, errors="coerce")):
        yield _wrong("extract_on", _TOP)
    for pair in settings["assumptions"] if isinstance(settings.get("assumptions"), list) else ():
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            yield _wrong("assumptions", _TOP)
    welfare = settings.get("welfare", {})
    yield from _level("welfare", welfare, _WELFARE)
    for key, value in _items(welfare):
        least_covered = key == "least_covered" and isinstance(value, int | float)
        if (least_covered and not 0 < value <= 1) or (not least_covered and isinstance(value, int) and value < 1):
            yield _wrong(f"welfare.{key}", _WELFARE)
    yield from _outcome_findings(settings.get("outcomes", {}))
    for name, table in _items(settings.get("tables")):
        yield from _table_findings(name, table)
    for name, columns in _items(settings.get("features")):
        yield from _named_table("features", name, columns)
        for column, feature in _items(columns):
            yield from _feature_findings(f"features.{name}.{column}", feature)


def _table_findings(name: str, table: Any) -> Iterator[Finding]:
    yield from _named_table("tables", name, table)
    yield from _level(f"tables.{name}", table, _TABLE)
    values: dict[str, Any] = {"columns": str, "codes": dict, "units": (int, float), "dates": str}
    for kind, how in _items(table):
        for column, value in _items(how) if kind in values else ():
            if not isinstance(value, values[kind]) or isinstance(value, bool):
                yield _wrong(f"tables.{name}.{kind}.{column}", {column: _TABLE[kind]})
    assumed = dict(_items(table)).get("assume_known_on")
    yield from _level(f"tables.{name}.assume_known_on", assumed, _ASSUMED)
    if isinstance(assumed, dict) and "column" not in assumed:
        yield _wrong(f"tables.{name}.assume_known_on.column", _ASSUMED)
    days = dict(_items(assumed)).get("days")
    if isinstance(days, int) and days < 0:
        yield _wrong(f"tables.{name}.assume_known_on.days", _ASSUMED)


def _feature_findings(path: str, feature: Any) -> Iterator[Finding]:
    if not isinstance(feature, dict):
        yield _wrong(path, {})
    yield from _level(path, feature, _FEATURE)
    meaning = dict(_items(feature))
    for key in (key for key in _FEATURE_NEEDS if isinstance(feature, dict) and key not in meaning):
        yield _wrong(f"{path}.{key}", _FEATURE)
    for key, allowed in (("cause", tuple(CAUSES)), ("unit", _UNITS), ("direction", (-1, 0, 1))):
        if key in meaning and meaning[key] not in allowed:
            yield _wrong(f"{path}.{key}", _FEATURE)


def _outcome_findings(outcomes: Any) -> Iterator[Finding]:
    """Yield findings for keys; what the values may be is for the outcomes themselves to say."""
    yield from _level("outcomes", outcomes, _OUTCOMES)
    given = dict(_items(outcomes))
    yield from _level("outcomes.status", given.get("status"), _STATUS)
    yield from _level("outcomes.deprivation", given.get("deprivation"), _DEPRIVATION)
    for name, indicator in _items(dict(_items(given.get("deprivation"))).get("indicators")):
        path = f"outcomes.deprivation.indicators.{name}"
        if not isinstance(indicator, dict):
            yield _wrong(path, {})
        yield from _level(path, indicator, _INDICATOR)


def _named_table(part: str, name: str, value: Any) -> Iterator[Finding]:
    if name not in TABLES:
        yield _unknown(f"{part}.{name}", TABLES)
    elif not isinstance(value, dict):
        yield _wrong(f"{part}.{name}", {})


def _level(path: str, level: Any, expected: dict[str, tuple[Any, str]]) -> Iterator[Finding]:
    """Yield findings for keys of one level that are unknown or of another kind than expected."""
    for key, value in _items(level):
        where = f"{path}.{key}" if path else key
        if key not in expected:
            yield _unknown(where, expected)
        elif not isinstance(value, expected[key][0]) or (isinstance(value, bool) and expected[key][0] is not bool):
            yield _wrong(where, expected)


def _items(part: Any) -> list[tuple[str, Any]]:
    return list(part.items()) if isinstance(part, dict) else []


def _unknown(path: str, expected: dict[str, Any]) -> Finding:
    return finding("unknown_setting", "", "", 1, path, messages=MESSAGES, expected=", ".join(expected))


def _wrong(path: str, expected: dict[str, tuple[Any, str]]) -> Finding:
    form = expected.get(path.rpartition(".")[2], (dict, "a table"))[1]
    return finding("wrong_setting", "", "", 1, path, messages=MESSAGES, expected=form)
