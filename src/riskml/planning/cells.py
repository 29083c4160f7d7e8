"""Small tables that an office writes for a plan: read as text, with findings that name the cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from riskml.findings import DataRefused, Finding


def read_cells(path: str | Path, table: str) -> pd.DataFrame:
    """Read a CSV file (UTF-8 with or without mark, or GB18030) as text.

    Parameters
    ----------
    path : str or Path
        The file.
    table : str
        What to call it in findings.

    Returns
    -------
    DataFrame
        Every cell as text, ``""`` where empty.

    Raises
    ------
    DataRefused
        If there is no such file or it is not readable as CSV.
    """
    path = Path(path)
    if not path.is_file():
        raise DataRefused([finding(table, "no_file", "", 1, str(path), "there is no such file", "没有这个文件")])
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding=_encoding(path.read_bytes()))
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        en, zh = f"not a readable CSV file ({error})", f"不是可读取的CSV文件（{error}）"
        raise DataRefused([finding(table, "unreadable", "", 1, str(path), en, zh)]) from error


def as_text(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the columns as stripped text, ``""`` where missing or absent, rows numbered from 0."""
    cells = table.reindex(columns=columns).reset_index(drop=True).astype(object)
    return cells.where(cells.notna(), "").astype(str).apply(lambda column: column.str.strip())


def as_numbers(text: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the columns as float64, NaN where empty or no number."""
    return text[columns].apply(pd.to_numeric, errors="coerce").astype(np.float64)


def finding(table: str, rule: str, column: str, count: int, first: str, en: str, zh: str) -> Finding:
    """Return a finding; ``en`` and ``zh`` continue a sentence that begins with where."""
    where = f"{table}.{column}" if column else table
    return Finding(
        rule,
        table,
        column,
        count,
        first,
        f"{where} ({count}, first: {first}): {en}.",
        f"{where}（{count}处，首例：{first}）：{zh}。",
    )


def wrong_columns(table: pd.DataFrame, name: str, required: list[str], known: list[str]) -> Iterator[Finding]:
    """Yield findings for columns that are missing or unknown."""
    missing = [column for column in required if column not in table]
    unknown = [str(column) for column in table if column not in known]
    if missing:
        en, zh = "add the column", "缺少该列，请补充"
        yield finding(name, "missing_column", missing[0], len(missing), ", ".join(missing), en, zh)
    if unknown:
        listed = ", ".join(known)
        en, zh = f"unknown column; the columns are {listed}", f"未知的列；可用的列为{listed}"
        yield finding(name, "unknown_column", unknown[0], len(unknown), ", ".join(unknown), en, zh)


def wrong_numbers(table: str, text: pd.DataFrame, numbers: pd.DataFrame) -> Iterator[Finding]:
    """Yield findings for cells that are neither a finite number nor empty."""
    for name in numbers:
        wrong = (text[name] != "") & ~np.isfinite(numbers[name])
        en, zh = "expected a number or nothing", "应为数字或留空"
        yield from wrong_cells(table, text, str(name), wrong, "not_a_number", en, zh)


def wrong_cells(
    table: str, text: pd.DataFrame, column: str, wrong: pd.Series, rule: str, en: str, zh: str
) -> Iterator[Finding]:
    """Yield a finding for the rows that are wrong, naming the first by the table's first column."""
    wrong = wrong.astype(bool)
    if wrong.any():
        row, key = text[wrong].iloc[0], str(text.columns[0])
        first = f"{key} {row[key]!r}" + ("" if column == key else f", {row[column]!r}")
        yield finding(table, rule, column, int(wrong.sum()), first, en, zh)


def _encoding(content: bytes) -> str:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8-sig"
