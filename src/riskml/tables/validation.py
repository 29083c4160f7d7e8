"""What may enter a :class:`riskml.Monitoring`: every table typed, every wrong cell found and named."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from riskml.causes import CAUSES
from riskml.findings import DataRefused, Finding
from riskml.tables.contract import TABLES, Column, Table
from riskml.tables.keys import RowKeys, arrow_text, household_ids_of, keys_of, letters, record_codes, row_keys

#: Rule -> message in English and Chinese. ``{where}`` is table.column, ``{first}`` the first case.
MESSAGES: dict[str, tuple[str, str]] = {
    "unknown_table": (
        "'{table}' is not a table of the contract. Expected some of: {expected}. Rename it or leave it out.",
        "“{table}”不是约定的数据表。应为:{expected}。请改名或去掉该表。",
    ),
    "not_a_table": (
        "'{table}' should be a pandas DataFrame but is {came}. Pass a DataFrame.",
        "“{table}”应为 pandas DataFrame,实际为 {came}。请传入 DataFrame。",
    ),
    "missing_table": (
        "The table {table} is missing. It is required: {meaning}.",
        "缺少必需的数据表 {table}({meaning})。请补充。",
    ),
    "missing_column": (
        "{where} is missing ({meaning}). Add the column, or map it in monitoring.toml.",
        "缺少列 {where}({meaning})。请补充该列,或在 monitoring.toml 中对应。",
    ),
    "duplicate_column": (
        "{where} occurs {count} times. Keep one column of that name.",
        "列 {where} 出现了 {count} 次。同名列只能保留一列。",
    ),
    "empty_table": (
        "{table} has no rows. At least one household is needed.",
        "{table} 没有数据行。至少需要一户。",
    ),
    "id_is_number": (
        "{where} arrived as a number in {count} rows (first: {first}). Numbers lose leading zeros, and "
        "spreadsheets keep only "
        "15 of 18 digits, which merges people. Export the column as text.",
        "{where} 有 {count} 行是数字而不是文本(首例:{first})。数字会丢失前导零,电子表格只保留 18 位中的 15 位,"
        "会把不同的人合并。"
        "请以文本格式导出该列。",
    ),
    "empty_id": (
        "{where} is empty in {count} rows (first: {first}). Every row needs it. Fill it or leave the rows out.",
        "{where} 有 {count} 行为空(首例:{first})。每行都必须填写。请补填或去掉这些行。",
    ),
    "not_text": (
        "{where} should be text but is not in {count} rows (first: {first}). Map its codes to text in monitoring.toml.",
        "{where} 应为文本,有 {count} 行不是(首例:{first})。请在 monitoring.toml 中把代码对应为文本。",
    ),
    "not_a_date": (
        "{where} is not a date in {count} rows (first: {first}). Expected dates without time zone, or text like "
        "2021-03-01; "
        "give other formats in monitoring.toml.",
        "{where} 有 {count} 行不是日期(首例:{first})。应为不带时区的日期或 2021-03-01 形式的文本;其他格式请在 "
        "monitoring.toml 中说明。",
    ),
    "date_out_of_range": (
        "{where} lies outside the years 1900 to 2200 in {count} rows (first: {first}). Leave an unknown date empty.",
        "{where} 有 {count} 行不在 1900 至 2200 年之间(首例:{first})。日期不详时请留空。",
    ),
    "missing_date": (
        "{where} is empty in {count} rows (first: {first}). Without it nobody can tell when the record counts. "
        "Fill it.",
        "{where} 有 {count} 行为空(首例:{first})。没有该日期就无法判断记录何时有效。请补填。",
    ),
    "missing_value": (
        "{where} is empty in {count} rows (first: {first}). It is required: {meaning}.",
        "{where} 有 {count} 行为空(首例:{first})。该项必填({meaning})。",
    ),
    "not_a_number": (
        "{where} is not a number in {count} rows (first: {first}). Write plain digits like 1234.5 and leave "
        "unknown values empty.",
        "{where} 有 {count} 行不是数字(首例:{first})。请写成 1234.5 这样的数字,不详的值留空。",
    ),
    "infinite": (
        "{where} is infinite in {count} rows (first: {first}). Leave an unknown value empty.",
        "{where} 有 {count} 行为无穷大(首例:{first})。不详的值请留空。",
    ),
    "below_minimum": (
        "{where} is below {minimum:g} in {count} rows (first: {first}). Leave a missing answer empty; codes like "
        "-9 are not values.",
        "{where} 有 {count} 行小于 {minimum:g}(首例:{first})。未回答请留空,-9 之类的代码不是数值。",
    ),
    "above_maximum": (
        "{where} is above {maximum:g} in {count} rows (first: {first}). Expected: {meaning}. Map other codes in "
        "monitoring.toml.",
        "{where} 有 {count} 行大于 {maximum:g}(首例:{first})。应为:{meaning}。其他代码请在 monitoring.toml 中对应。",
    ),
    "not_positive": (
        "{where} is not above zero in {count} rows (first: {first}). It divides other values, so it must be positive.",
        "{where} 有 {count} 行不大于零(首例:{first})。该值用作除数,必须为正。",
    ),
    "not_a_flag": (
        "{where} should be 0 or 1 but is not in {count} rows (first: {first}). Map other codes in monitoring.toml.",
        "{where} 应为 0 或 1,有 {count} 行不是(首例:{first})。其他代码请在 monitoring.toml 中对应。",
    ),
    "not_a_code": (
        "{where} should be a whole number but is not in {count} rows (first: {first}). Expected: {meaning}.",
        "{where} 应为整数,有 {count} 行不是(首例:{first})。应为:{meaning}。",
    ),
    "unknown_choice": (
        "{where} has an unknown code in {count} rows (first: {first}). Expected one of: {expected}. Map it in "
        "monitoring.toml.",
        "{where} 有 {count} 行代码不明(首例:{first})。应为:{expected}。请在 monitoring.toml 中对应。",
    ),
    "unknown_cause": (
        "{where} names an unknown cause in {count} rows (first: {first}). Expected some of: {expected}, joined by ';'.",
        "{where} 有 {count} 行的风险类型不明(首例:{first})。应为以下各项,以“;”分隔:{expected}。",
    ),
    "unknown_household": (
        "{where} is not in households.household_id in {count} rows (first: {first}). Add the household or leave "
        "its records out.",
        "{where} 有 {count} 行在 households.household_id 中找不到(首例:{first})。请补充该户或去掉其记录。",
    ),
    "duplicate_key": (
        "{table} has {count} rows with the same {column} and known_on as another row (first: {first}). Of two "
        "versions known on the "
        "same day nobody can say which counts. Keep one, or give the correction its own known_on.",
        "{table} 有 {count} 行的 {column} 与 known_on 同另一行相同(首例:{first})。"
        "同一天得知的两个版本无法判断以哪个为准。"
        "请只保留一行,或为更正填写其自己的 known_on。",
    ),
    "known_before_date": (
        "{table}.known_on is before {where} in {count} rows (first: {first}). A record cannot be known before it "
        "happens. "
        "Correct the date, or enter the news as a version of its own with a later known_on.",
        "{table}.known_on 早于 {where} 的有 {count} 行(首例:{first})。事情发生之前不可能得知。"
        "请更正日期,或将其作为 known_on 更晚的另一版本录入。",
    ),
    "end_before_start": (
        "{where} is before its first day in {count} rows (first: {first}). Correct the dates, or leave an unknown "
        "end empty.",
        "{where} 早于起始日的有 {count} 行(首例:{first})。请更正日期,结束日不详时请留空。",
    ),
    "end_known_without_end": (
        "{where} is filled but end is empty in {count} rows (first: {first}). Fill end, or empty end_known_on.",
        "{where} 已填写而 end 为空的有 {count} 行(首例:{first})。请补填 end 或清空 end_known_on。",
    ),
    "after_extract": (
        "{where} is after the day of the extract, {extract_on}, in {count} rows (first: {first}). Correct the date "
        "or extract_on.",
        "{where} 晚于数据提取日 {extract_on} 的有 {count} 行(首例:{first})。请更正日期或 extract_on。",
    ),
    "household_or_area": (
        "{table} needs exactly one of household_id and area_id, but {count} rows have both or neither (first: "
        "{first}).",
        "{table} 的 household_id 与 area_id 必须且只能填一项,有 {count} 行两项都填或都未填(首例:{first})。",
    ),
    "missing_line": (
        "No line holds for the area and date of {count} rows of {table} (first: {first}), among the lines known on "
        "their known_on. "
        "Add a row to lines for that area and day, or for a larger area.",
        "{table} 有 {count} 行的地区和日期没有当时已知的贫困线(首例:{first})。请在 lines 中补充该地区(或上级地区)"
        "当日有效的贫困线。",
    ),
    "no_units": (
        "How many people share the household was not known for {count} rows of {table} on their known_on (first: "
        "{first}). "
        "Fill incomes.units, or enter members known by then.",
        "{table} 有 {count} 行在 known_on 当日不知道家庭人口数(首例:{first})。请填写 incomes.units,"
        "或补充当时已知的 members。",
    ),
}

#: Dates that are facts: a version cannot state them before they happened. A planned spell may be entered ahead.
_FACTS = {"event": ("date",), "snapshot": ("date",), "registry": ("lifted_on", "left_on"), "roster": ("birth",)}

#: Optional columns that say when a record counts: added, empty, where the caller has none.
_TIMING = ("known_on", "end", "end_known_on", "withdrawn", "left_on", "valid_to")

#: What a spreadsheet leaves of a long identifier (5.22301E+17), and of a column with a gap (1042.0).
_NUMBER_REMAINS = r"\d\.\d+E\+\d+|\d+\.0"
_ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"
_FIRST_DAY, _LAST_DAY = np.datetime64("1900-01-01", "s"), np.datetime64("2200-12-31", "s")


def typed_tables(
    tables: Mapping[str, pd.DataFrame], *, extract_on: pd.Timestamp | None = None, found_before: Sequence[Finding] = ()
) -> tuple[dict[str, pd.DataFrame], dict[str, RowKeys], list[str]]:
    """Return the tables typed as the contract says, or refuse them with all findings at once.

    Ids and text are ``str`` afterwards (missing ``""``), dates ``datetime64[s]`` cut to the day (missing ``NaT``), the
    rest ``float64`` (missing ``NaN``). Ids, and the columns that say when a record counts, are there in every table;
    other optional columns only where the caller has them. Further numeric columns are kept. The caller's
    frames are not changed.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Raw tables by their name in :data:`riskml.tables.contract.TABLES`.
    extract_on : Timestamp, optional
        Day of the extract; nothing may be known later.
    found_before : sequence of Finding, optional
        What was already found wrong, to be told with the rest; the cells of those tables are not looked at.

    Returns
    -------
    typed : dict of str to DataFrame
        Typed copies.
    keys : dict of str to RowKeys
        Household and repeated records of their rows.
    notes : list of str
        Columns that were left out because they are neither in the contract nor numeric.

    Raises
    ------
    DataRefused
        If anything is wrong; ``findings`` holds all of it.

    Examples
    --------
    >>> lines = pd.DataFrame({"area_id": [52], "valid_from": ["2024-13-01"], "amount": [0], "unit": ["person_year"]})
    >>> try:
    ...     typed_tables({"lines": lines})
    ... except DataRefused as refusal:
    ...     [found.rule for found in refusal.findings]
    ['missing_table', 'missing_table', 'id_is_number', 'not_a_date', 'not_positive']
    """
    findings = [*found_before, *_table_findings(tables)]
    refused = {finding.table for finding in findings}
    typed: dict[str, pd.DataFrame] = {}
    keys: dict[str, RowKeys] = {}
    notes: list[str] = []
    registered: pd.Index = pd.Index([], dtype=str)
    for name in (name for name in TABLES if name in tables and name not in refused):
        typed[name], unread, of_rows = typed_rows(name, tables[name], extract_on=extract_on)
        if name == "households":
            registered = household_ids_of(typed[name])
        keys[name] = row_keys(TABLES[name], typed[name], registered)
        notes += left_out(name, tables[name], typed[name])
        findings += of_rows
        findings += record_findings(name, typed, keys, unread)
    if findings:
        raise DataRefused(findings)
    return typed, keys, notes


def typed_rows(
    name: str, frame: pd.DataFrame, *, extract_on: pd.Timestamp | None = None
) -> tuple[pd.DataFrame, dict[str, np.ndarray], list[Finding]]:
    """Return a table, or some rows of it, typed; and what is wrong with single rows.

    Parameters
    ----------
    name : str
        Name of the table.
    frame : DataFrame
        Its raw rows, with the columns that :func:`column_findings` asks for; not changed.
    extract_on : Timestamp, optional
        Day of the extract; nothing may be known later.

    Returns
    -------
    typed : DataFrame
        As :func:`typed_tables` describes it.
    unread : dict of str to ndarray of bool
        By column, the rows that could not be read.
    findings : list of Finding
        All that can be said of a row without looking at another.
    """
    table, findings = TABLES[name], list[Finding]()
    typed, unread = _typed_table(table, frame, findings)
    findings += _cell_findings(table, typed, unread)
    findings += _order_findings(table, typed, extract_on)
    return typed, unread, findings


def record_findings(
    name: str,
    typed: Mapping[str, pd.DataFrame],
    keys: Mapping[str, RowKeys] | None = None,
    unread: Mapping[str, np.ndarray] | None = None,
) -> list[Finding]:
    """Return what is wrong with the rows of a typed table beside one another, and beside the households.

    Parameters
    ----------
    name : str
        Name of the table.
    typed : mapping of str to DataFrame
        The table and ``households``, typed.
    keys : mapping of str to RowKeys, optional
        Of these tables, where they are known already.
    unread : mapping of str to ndarray of bool, optional
        As :func:`typed_rows` gives it, so that no row is reported twice.

    Returns
    -------
    list of Finding
        Two versions known on one day, records of unknown households.
    """
    keys = keys_of({part: typed[part] for part in ("households", name) if part in typed}) if keys is None else keys
    return [
        *_version_findings(TABLES[name], typed[name], keys[name], unread or {}),
        *_household_findings(name, typed, keys),
    ]


def column_findings(name: str, frame: pd.DataFrame) -> list[Finding]:
    """Return a finding for every column of a raw table that is there twice, or required and not there."""
    findings = []
    for column in TABLES[name].columns:
        times = int((frame.columns == column.name).sum())
        if times > 1:
            findings.append(finding("duplicate_column", name, column.name, times, column.name))
        if times == 0 and column.required:
            findings.append(finding("missing_column", name, column.name, 1, column.name, meaning=column.meaning))
    return findings


def missing_tables(names: Iterable[str]) -> list[Finding]:
    """Return a finding for every table that is required and not among ``names``."""
    present = set(names)
    missing = [table for table in TABLES.values() if table.required and table.name not in present]
    findings = [finding("missing_table", table.name, "", 1, table.name, meaning=table.meaning) for table in missing]
    if not present & {"incomes", "welfare"}:
        meaning = f"or welfare: {TABLES['incomes'].meaning}"
        findings.append(finding("missing_table", "incomes", "", 1, "incomes", meaning=meaning))
    return findings


def added_up(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings of parts of tables as one a rule, table and column: counts summed, first case kept."""
    first: dict[tuple[str, str, str], Finding] = {}
    counts: dict[tuple[str, str, str], int] = {}
    for one in findings:
        key = one.rule, one.table, one.column
        first.setdefault(key, one)
        counts[key] = counts.get(key, 0) + one.count
    return [finding(*key, counts[key], one.first, **one.words) for key, one in first.items()]


def left_out(name: str, raw: pd.DataFrame, typed: pd.DataFrame) -> list[str]:
    """Return a note for every column of a raw table that its typed table does not have."""
    names = [column for column in raw.columns if column not in typed.columns]
    return [f"{name}.{column} was left out: not in the contract and not numeric" for column in names]


def finding(
    rule: str,
    table: str,
    column: str,
    count: int,
    first: str,
    *,
    messages: Mapping[str, tuple[str, str]] = MESSAGES,
    **more: Any,
) -> Finding:
    """Return the finding of a rule of ``messages``, worded in both languages."""
    words = {"table": table, "column": column, "where": f"{table}.{column}", "count": count, "first": first, **more}
    en, zh = (text.format(**words) for text in messages[rule])
    return Finding(rule, table, column, count, first, en, zh, {"messages": messages, **more})


def found(rule: str, table: str, column: str, frame: pd.DataFrame, bad: Any, **more: Any) -> list[Finding]:
    """Return one finding for the rows of ``frame`` where ``bad``, or none if there are no such rows."""
    bad = np.asarray(bad, dtype=bool)
    if not bad.any():
        return []
    first = first_case(frame, int(bad.argmax()), column)
    return [finding(rule, table, column, int(bad.sum()), first, **more)]


def first_case(frame: pd.DataFrame, row: int, column: str = "") -> str:
    """Say which row it is, in words that find it again in the source: id, day, and the value of ``column``."""
    ids = ("household_id", "area_id", "member_id", "record_id")
    days = ("date", "start", "valid_from")
    cells = {name: frame[name].iloc[row] for name in (*ids, *days, column) if name in frame}
    words = [f"{name} '{cells[name]}'" for name in ids if name in cells and str(cells[name]) not in ("", "nan")]
    words += [str(cells[name])[:10] for name in days if name in cells and not pd.isna(cells[name])]
    if column in cells and column not in (*ids, *days):
        words.append(f"{column} {_shown(cells[column])}")
    return ", ".join(words) or f"row {row + 1}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)[:10] if isinstance(value, datetime.date) else str(value)


def _table_findings(tables: Mapping[str, pd.DataFrame]) -> Iterator[Finding]:
    for name, frame in tables.items():
        if name not in TABLES:
            yield finding("unknown_table", str(name), "", 1, str(name), expected=", ".join(TABLES))
        elif not isinstance(frame, pd.DataFrame):
            yield finding("not_a_table", name, "", 1, name, came=type(frame).__name__)
        else:
            yield from column_findings(name, frame)
            if name == "households" and frame.empty:
                yield finding("empty_table", name, "", 0, "")
    yield from missing_tables(tables)


def _typed_table(
    table: Table, frame: pd.DataFrame, findings: list[Finding]
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the typed table and, for each column, the rows that could not be read; add their findings."""
    columns: dict[str, Any] = {}
    unread: dict[str, np.ndarray] = {}
    for column in table.columns:
        if column.name in frame:
            columns[column.name], unread[column.name], rule = _READERS[column.kind](frame[column.name])
            findings += found(rule, table.name, column.name, frame, unread[column.name])
        elif column.kind == "id" or column.name in _TIMING:
            columns[column.name] = _missing(column, len(frame))
            unread[column.name] = np.zeros(len(frame), dtype=bool)
    for name in frame.columns:
        if isinstance(name, str) and name not in columns and pd.api.types.is_numeric_dtype(frame[name]):
            columns[name] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.DataFrame(columns), unread


def _missing(column: Column, n_rows: int) -> Any:
    if column.kind == "id":
        return pd.Series("", index=range(n_rows), dtype=str)
    return np.full(n_rows, np.datetime64("NaT"), "datetime64[s]") if column.kind == "date" else np.full(n_rows, np.nan)


def _text(values: pd.Series) -> tuple[pd.Series, np.ndarray, str]:
    """Typed text, the rows that held something else, and the rule that says so."""
    values = values.reset_index(drop=True)
    if isinstance(values.dtype, pd.StringDtype):
        return values.fillna("").astype(str), np.zeros(len(values), dtype=bool), "not_text"
    values = values.astype(object)
    unread = values.notna() & ~_are(values, str)
    return values.where(values.notna() & ~unread, "").astype(str), unread.to_numpy(dtype=bool), "not_text"


def _id(values: pd.Series) -> tuple[pd.Series, np.ndarray, str]:
    text, unread, _ = _text(values)
    texts = arrow_text(text)
    if (letters(texts) == ord(".")).any():
        unread = unread | pc.match_substring_regex(texts, rf"^({_NUMBER_REMAINS})$").to_numpy(zero_copy_only=False)
    return text, unread, "id_is_number"


def read_date(values: pd.Series) -> tuple[np.ndarray, np.ndarray, str]:
    """Return days, the rows that hold something else, and the rule that says so."""
    present = values.notna().to_numpy(dtype=bool)
    if pd.api.types.is_datetime64_dtype(values.dtype):
        return values.to_numpy().astype("datetime64[D]").astype("datetime64[s]"), np.zeros_like(present), "not_a_date"
    values = values.astype(object)
    # Few days repeat over many rows: each is parsed once.
    codes, distinct = pd.factorize(values.where(_are(values, str, datetime.date) | ~present, "no date"))
    days = np.array([*(_day(value) for value in distinct), None], dtype="datetime64[D]").astype("datetime64[s]")[codes]
    empty = np.array([*(value == "" for value in distinct), True])[codes]
    return days, np.isnat(days) & ~empty, "not_a_date"


def _day(value: str | datetime.date) -> datetime.date | None:
    """Return the day of a date or of ISO text, None if it is none or has a time zone."""
    text = value if isinstance(value, str) else value.isoformat()
    if re.fullmatch(_ISO_DATE, text) is None:
        return None
    try:
        return datetime.date.fromisoformat(text[:10])
    except ValueError:
        return None


def _number(values: pd.Series) -> tuple[np.ndarray, np.ndarray, str]:
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(values), dtype=bool), "not_a_number"
    values = values.astype(object)
    readable = values.where(_are(values, str, int, float, decimal.Decimal, np.number) | values.isna(), "no number")
    present = (readable.notna() & (readable != "")).to_numpy(dtype=bool)
    numbers = pd.to_numeric(readable, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers, present & np.isnan(numbers), "not_a_number"


def _are(values: pd.Series, *kinds: type) -> np.ndarray:
    """Which of the values are of one of the kinds; a look at the whole column spares the look at each value."""
    if str in kinds and pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        return np.ones(len(values), dtype=bool)
    return np.fromiter((isinstance(value, kinds) for value in values), bool, len(values))


_READERS: dict[str, Callable[[pd.Series], tuple[Any, np.ndarray, str]]] = {
    "id": _id,
    "text": _text,
    "date": read_date,
    "amount": _number,
    "number": _number,
    "flag": _number,
    "code": _number,
}


def _cell_findings(table: Table, frame: pd.DataFrame, unread: dict[str, np.ndarray]) -> Iterator[Finding]:
    for column in (column for column in table.columns if column.name in frame):
        values = frame[column.name]
        if column.required and column.kind != "amount":
            empty = ((values == "") | values.isna()).to_numpy(dtype=bool) & ~unread[column.name]
            rule = {"id": "empty_id", "date": "missing_date"}.get(column.kind, "missing_value")
            yield from found(rule, table.name, column.name, frame, empty, meaning=column.meaning)
        if column.kind == "text":
            yield from _choice_findings(table.name, column, frame)
        elif column.kind == "date":
            outside = (values < _FIRST_DAY) | (values > _LAST_DAY)
            yield from found("date_out_of_range", table.name, column.name, frame, outside)
        elif column.kind != "id":
            yield from _number_findings(table.name, column, frame)
    for name in (name for name in frame.columns if name not in table.by_name):
        yield from found("infinite", table.name, name, frame, np.isinf(frame[name]))


def _choice_findings(name: str, column: Column, frame: pd.DataFrame) -> Iterator[Finding]:
    values = frame[column.name]
    if column.choices:
        unknown = ~values.isin(["", *column.choices]).to_numpy(dtype=bool)
        yield from found("unknown_choice", name, column.name, frame, unknown, expected=", ".join(column.choices))
    if (name, column.name) == ("status", "risk_types"):
        codes, distinct = pd.factorize(values)
        unknown = np.array([not set(text.split(";")) <= {"", *CAUSES} for text in distinct], dtype=bool)[codes]
        yield from found("unknown_cause", name, column.name, frame, unknown, expected=", ".join(CAUSES))


def _number_findings(name: str, column: Column, frame: pd.DataFrame) -> Iterator[Finding]:
    values = frame[column.name].to_numpy()
    finite = np.isfinite(values)
    wrong = {"infinite": np.isinf(values)}
    if column.kind == "flag":
        wrong["not_a_flag"] = finite & (values != 0) & (values != 1)
    if column.kind == "code":
        wrong["not_a_code"] = finite & (values != np.round(values))
    if column.positive:
        wrong["not_positive"] = finite & (values <= 0)
    if column.minimum is not None:
        wrong["below_minimum"] = finite & (values < column.minimum)
    if column.maximum is not None:
        wrong["above_maximum"] = finite & (values > column.maximum)
    words = {"meaning": column.meaning, "minimum": column.minimum, "maximum": column.maximum}
    for rule, bad in wrong.items():
        yield from found(rule, name, column.name, frame, bad, **words)


def _order_findings(table: Table, frame: pd.DataFrame, extract_on: pd.Timestamp | None) -> Iterator[Finding]:
    for column in (column for column in _FACTS.get(table.kind, ()) if column in frame):
        yield from found("known_before_date", table.name, column, frame, frame[column] > frame["known_on"])
    first, last = ("valid_from", "valid_to") if table.kind == "lines" else ("start", "end")
    if last in frame:
        yield from found("end_before_start", table.name, last, frame, frame[last] < frame[first])
    if "end_known_on" in frame:
        without = frame["end_known_on"].notna() & frame["end"].isna()
        yield from found("end_known_without_end", table.name, "end_known_on", frame, without)
    if extract_on is not None and table.kind != "lines":
        for column in ("known_on", "end_known_on"):
            if column in frame:
                later = frame[column] > extract_on
                yield from found("after_extract", table.name, column, frame, later, extract_on=extract_on.date())


def _version_findings(
    table: Table, frame: pd.DataFrame, keys: RowKeys, unread: Mapping[str, np.ndarray]
) -> Iterator[Finding]:
    same = np.zeros(len(frame), dtype=bool)
    same[keys.repeated] = pd.Series(record_codes(table, frame.iloc[keys.repeated], "known_on")).duplicated().to_numpy()
    nothing = np.zeros(len(frame), dtype=bool)
    readable = ~np.logical_or.reduce([unread.get(name, nothing) for name in (*table.key, "known_on")])
    yield from found("duplicate_key", table.name, ", ".join(table.key), frame, same & readable)


def _household_findings(name: str, typed: Mapping[str, pd.DataFrame], keys: Mapping[str, RowKeys]) -> Iterator[Finding]:
    frame = typed[name]
    if name == "disasters":
        both_or_none = (frame["household_id"] == "") == (frame["area_id"] == "")
        yield from found("household_or_area", name, "household_id", frame, both_or_none)
    if name not in ("households", "lines") and "households" in typed:
        # A position of -1, the household of no row, looks at the last element.
        kept = np.zeros(keys["households"].household.max(initial=-1) + 2, dtype=bool)
        kept[keys["households"].household[typed["households"]["withdrawn"] != 1]] = True
        unknown = ~kept[keys[name].household] & (frame["household_id"] != "").to_numpy(dtype=bool)
        yield from found("unknown_household", name, "household_id", frame, unknown)
