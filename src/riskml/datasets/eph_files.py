"""The files of the EPH: INDEC's own text files, a pair a quarter, or a Parquet copy; poverty lines and equivalents."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from riskml.findings import DataRefused, Finding, in_words
from riskml.tables.validation import finding

KEY = ["CODUSU", "NRO_HOGAR", "ANO4", "TRIMESTRE"]
#: Columns read, by half of the pair.
COLUMNS: dict[str, tuple[str, ...]] = {
    "hogar": (
        *KEY,
        *("REGION", "AGLOMERADO", "PONDERA", "PONDIH", "ITF", "DECCFR", "IX_TOT", "IV12_1", "IV12_2", "IV12_3"),
        *("V1", "V2", "V21", *(f"V{number}" for number in range(3, 19)), "V19_A", "V19_B"),
        *(f"IV{number}" for number in range(1, 12)),
        *("II1", "II2", "II3", "II4_1", "II4_2", "II4_3", "II7", "II8", "II9"),
    ),
    "individual": (
        *(*KEY, "COMPONENTE", "CH03", "CH04", "CH06", "CH07", "CH08", "CH09", "CH10", "NIVEL_ED"),
        *("ESTADO", "CAT_OCUP", "CAT_INAC", "INTENSI", "PP03C", "PP04A", "PP04B_COD", "PP04C", "PP07C", "PP07H"),
        *("PP10A", "PP3E_TOT", "P21", "P47T", "T_VI", "V2_M", "V5_M"),
    ),
}
#: Columns that must be there, and those of them that must be filled in every row.
NEEDED: dict[str, tuple[str, ...]] = {
    "hogar": (*KEY, "REGION", "AGLOMERADO", "ITF", "PONDIH", "PONDERA"),
    "individual": (*KEY, "COMPONENTE", "CH03", "CH04", "CH06"),
}
FILLED: dict[str, tuple[str, ...]] = {
    "hogar": (*KEY, "REGION", "AGLOMERADO"),
    "individual": (*KEY, "COMPONENTE", "CH04", "CH06"),
}
LINE_COLUMNS, EQUIVALENCE_COLUMNS = ("REGION", "ANO4", "TRIMESTRE", "CBT"), ("CH04", "CH06", "adequi")
_COPIES = {"hogar": "households.parquet", "individual": "individuals.parquet"}
# Some downloads end in .txt.txt: the archive's name was kept when it was unpacked.
_OWN_NAME = re.compile(r"usu_(hogar|individual)_t([1-4])(\d\d)(?:\.txt)+", re.IGNORECASE)
_OTHER_SEPARATORS = {",": "','", "\t": "a tab", "|": "'|'"}

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`; ``{table}`` is the file.
MESSAGES: dict[str, tuple[str, str]] = {
    "half_of_a_pair": (
        "{count} quarters have only one of the two files (first: {first}). A quarter needs usu_hogar_T<q><yy>.txt and "
        "usu_individual_T<q><yy>.txt (a copy as Parquet, both halves). Add the missing file or take the other away.",
        "有 {count} 个季度只有两个文件之一(首例:{first})。每个季度需要 usu_hogar_T<q><yy>.txt 和 "
        "usu_individual_T<q><yy>.txt(Parquet 副本亦须两个文件齐全)。请补充缺少的文件或移走另一个。",
    ),
    "two_files": (
        "{count} files hold a half of a quarter that another file holds too (first: {first}). Keep one of them.",
        "有 {count} 个文件与另一文件属于同一季度的同一部分(首例:{first})。请只保留一个。",
    ),
    "unreadable_file": (
        "{table} cannot be read: {reason}. Take the file as the statistics office publishes it.",
        "无法读取 {table}:{reason}。请使用统计机构发布的原始文件。",
    ),
    "wrong_separator": (
        "{table}: the columns are not separated by {expected}; the first line is {first}. Save it with {expected} "
        "between the cells, as published.",
        "{table}:列与列之间不是以 {expected} 分隔;首行为 {first}。请使用原始文件或以 {expected} 分隔保存。",
    ),
    "wrong_number_of_cells": (
        "{table}: {count} rows do not have one cell a column (first: {first}). The file was cut short or changed; "
        "take it as published.",
        "{table}:有 {count} 行的单元格数与列数不符(首例:{first})。文件不完整或被改动,请使用发布的原始文件。",
    ),
    "missing_column": (
        "{table} lacks {count} columns without which nothing can be judged: {first}. Take the file as published.",
        "{table} 缺少 {count} 个必需的列:{first}。请使用发布的原始文件。",
    ),
    "not_a_number": (
        "{table}, column {column}: {count} cells are not numbers (first: {first}). Leave an unknown value empty.",
        "{table} 的 {column} 列有 {count} 个单元格不是数字(首例:{first})。不详的值请留空。",
    ),
    "empty_cell": (
        "{table}, column {column}: {count} cells are empty (first: {first}). Every row needs it. Take the file as "
        "published.",
        "{table} 的 {column} 列有 {count} 个单元格为空(首例:{first})。该列每行都必须有值,请使用发布的原始文件。",
    ),
    "not_in_both_halves": (
        "{count} {column} (first: {first}). The two files of a quarter do not belong together, or one was cut short; "
        "take both as published.",
        "有 {count} 条记录只出现在一个季度的两个文件之一中(首例:{first})。两个文件不匹配或不完整,"
        "请使用发布的原始文件。",
    ),
    "no_equivalence": (
        "adult_equivalence.csv has no row for the sex and age of {count} persons (first: {first}). Add it: without it "
        "nobody can tell how many share the household's income.",
        "adult_equivalence.csv 中没有 {count} 人的性别和年龄(首例:{first})。请补充,否则无法计算等价成人数。",
    ),
}


def refused_finding(rule: str, table: str, *, column: str = "", count: int = 1, first: str, **more: Any) -> Finding:
    """Return the finding of a rule of :data:`MESSAGES`, worded in both languages."""
    return finding(rule, table, column, count, first, messages=MESSAGES, **more)


def read_survey(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Return the households and the people of all quarters of a folder.

    Parameters
    ----------
    folder : Path
        Holds ``households.parquet`` and ``individuals.parquet``, or, itself or in subfolders, INDEC's own files.

    Returns
    -------
    hogar, individual : DataFrame
        ``CODUSU`` as text, the other :data:`COLUMNS` as float64, NaN where empty or where the file lacks the column.
    notes : tuple of str
        Which columns were absent from which files.

    Raises
    ------
    FileNotFoundError
        If there is no file of the survey.
    DataRefused
        If a file is one half of a pair, there twice, unreadable, or lacks a column, a number or a needed cell.
    """
    files, findings = _files(folder)
    if not files:
        raise _missing(
            f"{folder} holds neither households.parquet and individuals.parquet nor files usu_hogar_T<q><yy>.txt and "
            "usu_individual_T<q><yy>.txt",
            f"{folder} 中既没有 households.parquet 和 individuals.parquet,也没有 usu_hogar_T<q><yy>.txt 和 "
            "usu_individual_T<q><yy>.txt",
        )
    tables: dict[str, list[pd.DataFrame]] = {"hogar": [], "individual": []}
    notes = []
    for half, path in files:
        try:
            raw = _read_copy(path, COLUMNS[half]) if path.suffix == ".parquet" else _read_own(path, COLUMNS[half])
            tables[half].append(_typed(path.name, raw, COLUMNS[half], NEEDED[half], FILLED[half]))
        except DataRefused as refusal:
            findings += refusal.findings
            continue
        absent = [column for column in COLUMNS[half] if column not in raw]
        notes += [f"{path.name} has no columns {', '.join(absent)}: their values are missing"] if absent else []
    if findings:
        raise DataRefused(findings)
    hogar, individual = (pd.concat(tables[half], ignore_index=True) for half in ("hogar", "individual"))
    return hogar, individual, tuple(notes)


def read_small_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table of numbers that the user provides as CSV: poverty lines or adult equivalents.

    Parameters
    ----------
    path : Path
        The file.
    columns : tuple of str
        Columns it must have, filled in every row; others are not read.

    Returns
    -------
    DataFrame of float64
        ``columns`` in their order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataRefused
        If it cannot be read, or a column or a number is missing.
    """
    if not path.is_file():
        files = "households.parquet and individuals.parquet, or usu_hogar_T<q><yy>.txt and usu_individual_T<q><yy>.txt"
        raise _missing(
            f"{path} is missing; load_eph needs poverty_lines.csv, adult_equivalence.csv and the survey ({files})",
            f"缺少 {path};需要 poverty_lines.csv、adult_equivalence.csv 以及调查数据({files})",
        )
    return _typed(path.name, _read_text(path, columns, delimiter=","), columns, columns, columns)


def _missing(en: str, zh: str) -> FileNotFoundError:
    return FileNotFoundError(in_words(en, zh))


def _files(folder: Path) -> tuple[list[tuple[str, Path]], list[Finding]]:
    """Return half and path of every file to read, in the order of quarters, and what is wrong with the collection."""
    copies = [(half, folder / name) for half, name in _COPIES.items() if (folder / name).is_file()]
    if copies:
        return copies, _lonely({(half, "Parquet"): [path] for half, path in copies})
    found: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        match = _OWN_NAME.fullmatch(path.name)
        if match and path.is_file():
            half, quarter, year = match.groups()
            found.setdefault((half.lower(), f"20{year}Q{quarter}"), []).append(path)
    findings = _lonely(found)
    repeated = [paths for paths in found.values() if len(paths) > 1]
    if repeated:
        first = " and ".join(str(path.relative_to(folder)) for path in repeated[0][:2])
        count = sum(len(paths) - 1 for paths in repeated)
        findings.append(refused_finding("two_files", repeated[0][0].name, count=count, first=first))
    ordered = sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    return [(half, paths[0]) for (half, _), paths in ordered], findings


def _lonely(found: dict[tuple[str, str], list[Path]]) -> list[Finding]:
    other = {"hogar": "individual", "individual": "hogar"}
    alone = [(quarter, paths[0]) for (half, quarter), paths in found.items() if (other[half], quarter) not in found]
    if not alone:
        return []
    quarter, path = min(alone)
    first = path.name if quarter == "Parquet" else f"{quarter}, {path.name}"
    return [refused_finding("half_of_a_pair", path.name, count=len(alone), first=first)]


def _read_copy(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    try:
        raw = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    return raw[[column for column in columns if column in raw]]


def _read_own(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    return _read_text(path, columns, delimiter=";")


def _read_text(path: Path, columns: Iterable[str], *, delimiter: str) -> pd.DataFrame:
    """Return the wanted columns of a text file that has them, as text."""
    text = _decoded(path)
    header = [cell.strip() for cell in next(csv.reader(io.StringIO(text), delimiter=delimiter), [])]
    if len(header) == 1 and any(other in header[0] for other in (*_OTHER_SEPARATORS, ";")):
        raise DataRefused(
            [refused_finding("wrong_separator", path.name, first=repr(header[0][:60]), expected=delimiter)]
        )
    names = [_named(cell, columns) for cell in header]
    wanted = [column for column in columns if column in names]
    repeated = [column for column in wanted if names.count(column) > 1]
    if repeated:
        raise _unreadable(path, f"the first line names {repeated[0]} {names.count(repeated[0])} times")
    if not wanted:
        return pd.DataFrame()
    # Columns that are not read need a name of their own too.
    names = [name if name in wanted else f"{position}:{name}" for position, name in enumerate(names)]
    bad_rows: list[pacsv.InvalidRow] = []
    try:
        table = pacsv.read_csv(
            io.BytesIO(text.encode()),
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=_collecting(bad_rows)),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        raise _unreadable(path, str(error)) from error
    if bad_rows:
        first = f"line {bad_rows[0].number}: {bad_rows[0].actual_columns} cells, {bad_rows[0].expected_columns} columns"
        raise DataRefused([refused_finding("wrong_number_of_cells", path.name, count=len(bad_rows), first=first)])
    if not table.num_rows:
        raise _unreadable(path, "it has no rows")
    return table.to_pandas()


def _decoded(path: Path) -> str:
    """Return the text of a file in UTF-8 or, as older quarters are, in Latin-1 (which any bytes are)."""
    content = path.read_bytes()
    if not content.strip():
        raise _unreadable(path, "it is empty")
    if b"\0" in content:
        raise _unreadable(path, "it is not text")
    if content.count(b'"') % 2:
        raise _unreadable(path, "a quotation mark is not closed")
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _named(cell: str, columns: Iterable[str]) -> str:
    """Return the column that a cell of the first line names, in whatever case it is written."""
    return next((column for column in columns if column.upper() == cell.upper()), cell)


def _collecting(rows: list[pacsv.InvalidRow]) -> Callable[[pacsv.InvalidRow], str]:
    def collect(row: pacsv.InvalidRow) -> str:
        rows.append(row)
        return "skip"

    return collect


def _unreadable(path: Path, reason: str) -> DataRefused:
    return DataRefused([refused_finding("unreadable_file", path.name, first=path.name, reason=reason.strip()[:150])])


def _typed(
    name: str, raw: pd.DataFrame, columns: tuple[str, ...], needed: tuple[str, ...], filled: tuple[str, ...]
) -> pd.DataFrame:
    """Return all ``columns``: ``CODUSU`` as text, the rest as numbers, missing where empty or absent."""
    absent = [column for column in needed if column not in raw]
    if absent:
        listed = ", ".join(absent)
        raise DataRefused([refused_finding("missing_column", name, column=absent[0], count=len(absent), first=listed)])
    typed: dict[str, Any] = {}
    findings = []
    for column in columns:
        if column not in raw:
            typed[column] = np.full(len(raw), np.nan)
        elif column == "CODUSU":
            typed[column] = raw[column].astype(object).where(raw[column].notna(), "").astype(str).str.strip()
        else:
            typed[column], wrong = _numbers(raw[column])
            if wrong.any():
                first = f"row {int(wrong.argmax()) + 1}: {raw[column][wrong].iloc[0]!r}"
                findings.append(
                    refused_finding("not_a_number", name, column=column, count=int(wrong.sum()), first=first)
                )
    table = pd.DataFrame(typed)
    for column in filled:
        empty = (table[column] == "") if column == "CODUSU" else table[column].isna()
        if empty.any() and not any(found.column == column for found in findings):
            first = f"row {int(empty.to_numpy().argmax()) + 1}"
            findings.append(refused_finding("empty_cell", name, column=column, count=int(empty.sum()), first=first))
    if findings:
        raise DataRefused(findings)
    return table


def _numbers(cells: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return cells as numbers, with point or comma as decimal mark, and which of the filled ones are none."""
    if pd.api.types.is_numeric_dtype(cells):
        numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers, np.isinf(numbers)
    text = pc.utf8_trim_whitespace(pa.array(cells, type=pa.string(), from_pandas=True))
    text = pc.replace_substring(text, ",", ".")
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    try:
        numbers = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
    filled = text.is_valid().to_numpy(zero_copy_only=False)
    return numbers, filled & ~np.isfinite(numbers)
