"""From files to monitoring tables and back: formats, encodings, and the mapping in ``monitoring.toml``."""

from __future__ import annotations

import codecs
import contextlib
import csv
import datetime
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from riskml.findings import DataRefused, Finding
from riskml.tables.contract import TABLES
from riskml.tables.monitoring import Monitoring
from riskml.tables.settings import SETTINGS_FILE, read_settings, settings_text
from riskml.tables.validation import finding

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "no_folder": (
        "There is no folder {first}. Give the folder that holds the monitoring tables.",
        "找不到文件夹 {first}。请指定存放监测数据表的文件夹。",
    ),
    "no_file": (
        "{first} named in monitoring.toml for the table {table} is not there. Correct the name or add the file.",
        "monitoring.toml 中为 {table} 指定的文件 {first} 不存在。请更正文件名或补充文件。",
    ),
    "two_files": (
        "The table {table} is there more than once: {first}. Keep one file, or name one in monitoring.toml.",
        "数据表 {table} 有多个文件:{first}。请只保留一个,或在 monitoring.toml 中指定。",
    ),
    "unreadable_file": (
        "{first} cannot be read as {expected}: {reason}. Export the table {table} again.",
        "无法将 {first} 按 {expected} 读取:{reason}。请重新导出数据表 {table}。",
    ),
    "wrong_outcome": (
        "monitoring.toml, outcomes: {first}. docs/data-contract.md shows their form.",
        "monitoring.toml 的 outcomes:{first}。格式见 docs/data-contract.md。",
    ),
    "unknown_encoding": (
        "{first} is neither UTF-8 nor GB18030 text. Save the table {table} as CSV in one of these.",
        "{first} 既不是 UTF-8 也不是 GB18030 文本。请将数据表 {table} 另存为其中一种编码的 CSV。",
    ),
    "repeated_header": (
        "{first}: the header names column '{column}' {count} times. Keep one column of that name.",
        "{first}:表头中列“{column}”出现了 {count} 次。同名列只能保留一列。",
    ),
    "excel_support_missing": (
        "{first} is an Excel file, which needs the package openpyxl: pip install 'riskml[excel]', or save {table} "
        "as CSV.",
        "{first} 是 Excel 文件,需要 openpyxl:请运行 pip install 'riskml[excel]',或将 {table} 另存为 CSV。",
    ),
    "unmapped_column": (
        "monitoring.toml takes {table}.{column} from the column '{first}', which {file} does not have. It has: "
        "{expected}.",
        "monitoring.toml 中 {table}.{column} 取自列“{first}”,但 {file} 中没有该列。现有的列:{expected}。",
    ),
    "no_such_mapping": (
        "monitoring.toml: '{first}' changes a column that the table {table} does not have. Correct the name.",
        "monitoring.toml:“{first}”所指的列在 {table} 中不存在。请更正列名。",
    ),
    "no_such_column": (
        "monitoring.toml declares a feature of {first}, but the table has no such numeric column. Add it or drop "
        "the feature.",
        "monitoring.toml 为 {first} 声明了特征,但表中没有这一数值列。请补充该列或去掉该特征。",
    ),
}

#: Pieces in which a table is read that memory cannot hold.
_BATCH_ROWS, _BATCH_BYTES = 200_000, 16 * 2**20
_FORMATS = {".parquet": "Parquet", ".csv": "CSV", ".xlsx": "Excel"}


def read_monitoring(folder: str | Path, *, known_until: Any = None) -> Monitoring:
    """Read the monitoring tables of a folder.

    Each table is a file named after it (``households.parquet``, ``incomes.csv``, ``members.xlsx``), or the file that
    ``monitoring.toml`` names; that file also maps the columns, codes, units and dates of the source to the contract, as
    ``docs/data-contract.md`` shows. CSV may be UTF-8, UTF-8 with a mark, or GB18030; which one it was stands in
    ``notes``. Ids are read as text: an Excel cell that holds an id as a number is refused.

    Parameters
    ----------
    folder : str or Path
        Folder of the tables.
    known_until : date, optional
        Replay an earlier extract: only what was known before this day.

    Returns
    -------
    Monitoring
        Validated tables, with the features declared in ``monitoring.toml``.

    Raises
    ------
    DataRefused
        If the folder, a file, ``monitoring.toml`` or the tables are wrong.

    Examples
    --------
    >>> import tempfile
    >>> from riskml.tables.monitoring import _example
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = write_monitoring(_example(), Path(place) / "county")
    ...     read_monitoring(folder, known_until="2024-03-01")
    Monitoring(2 households, tables households, incomes, lines, extract_on 2024-03-01)
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise _refused("no_folder", first=str(folder))
    settings = read_settings(folder)
    findings: list[Finding] = []
    tables, notes = {}, list(settings.get("notes", []))
    for name, path in _files(folder, settings.get("tables", {}), findings):
        how = settings.get("tables", {}).get(name, {})
        try:
            raw, note = _read(name, path, how)
            table = _mapped(name, path.name, raw, how)
            tables[name] = _with_numbers(table, _own_columns(settings, name))
            notes += [note] if note else []
        except DataRefused as refusal:
            findings += refusal.findings
    if findings:
        raise DataRefused(findings)
    declared = {name: how for name, how in settings.get("tables", {}).items() if name in tables}
    data = Monitoring(
        tables,
        welfare_months=settings.get("welfare", {}).get("months", 12),
        max_age_months=settings.get("welfare", {}).get("max_age_months"),
        least_covered=settings.get("welfare", {}).get("least_covered", 0.75),
        extract_on=settings.get("extract_on"),
        overwritten=tuple(name for name, how in declared.items() if how.get("overwritten")),
        assume_known_on={
            name: (how["assume_known_on"]["column"], how["assume_known_on"].get("days", 0))
            for name, how in declared.items()
            if "assume_known_on" in how
        },
        assumptions=tuple((en, zh) for en, zh in settings.get("assumptions", [])),
        features=declared_features(settings, tables),
        outcomes=declared_outcomes(settings.get("outcomes", {})),
        notes=(*notes, *unread_files(folder, settings)),
    )
    return data if known_until is None else data.known_by(known_until)


def table_batches(folder: Path, settings: dict[str, Any]) -> Iterator[tuple[str, Iterator[pd.DataFrame], str]]:
    """Yield the tables of a folder piece by piece, for tables that memory cannot hold.

    Parameters
    ----------
    folder : Path
        Folder of the tables.
    settings : dict
        As :func:`riskml.tables.settings.read_settings` gives them.

    Yields
    ------
    name : str
        Name of the table.
    batches : iterator of DataFrame
        Its rows, with the columns, codes, units and dates of the contract: the same that :func:`read_monitoring` reads.
        The first piece is there even if there are no rows.
    note : str
        What is worth noting about the file; may be empty.

    Raises
    ------
    DataRefused
        If the folder, a file or the mapping is wrong; while the pieces are read, too.
    """
    if not folder.is_dir():
        raise _refused("no_folder", first=str(folder))
    findings: list[Finding] = []
    files = list(_files(folder, settings.get("tables", {}), findings))
    if findings:
        raise DataRefused(findings)
    for name, path in files:
        raw, note = _batches(name, path, settings.get("tables", {}).get(name, {}))
        yield name, contract_batches(name, path.name, raw, settings), note


def contract_batches(
    name: str, source: str, raw: Iterable[pd.DataFrame], settings: dict[str, Any]
) -> Iterator[pd.DataFrame]:
    """Yield pieces of a raw table with the columns, codes, units and dates of the contract; ``source`` is its name."""
    how, declared = settings.get("tables", {}).get(name, {}), settings.get("features", {}).get(name, {})
    for batch in raw:
        yield _with_numbers(_mapped(name, source, batch, how), declared)


def unread_files(folder: Path, settings: dict[str, Any]) -> list[str]:
    """Return a note for every file of a folder that looks like a table and is none of those read."""
    read = {table["file"] for table in settings.get("tables", {}).values() if "file" in table}
    return [
        f"{path.name} was not read: no table is called {path.stem}"
        for path in sorted(folder.iterdir())
        if path.suffix in _FORMATS and path.stem not in TABLES and path.name not in read
    ]


def write_monitoring(data: Monitoring, folder: str | Path) -> Path:
    """Write monitoring data as Parquet and ``monitoring.toml``, so that :func:`read_monitoring` gives the same.

    The folder appears as a whole or not at all; one written before is replaced. ``truth`` is not written.

    Parameters
    ----------
    data : Monitoring
        What to write; its features must each be a :class:`riskml.features.declarations.Latest` or
        :class:`riskml.features.declarations.Season`.
    folder : str or Path
        Folder to write; its parents are made.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileExistsError
        If the folder (or a file of that name) holds anything but monitoring tables written before.

    Examples
    --------
    >>> import tempfile
    >>> from riskml.tables.monitoring import _example
    >>> with tempfile.TemporaryDirectory() as place:
    ...     folder = write_monitoring(_example(), Path(place) / "county")
    ...     sorted(path.name for path in folder.iterdir())
    ['households.parquet', 'incomes.parquet', 'lines.parquet', 'monitoring.toml']
    """
    folder = Path(folder)
    ours = {SETTINGS_FILE, *(f"{name}.parquet" for name in TABLES)}
    if folder.exists() and (not folder.is_dir() or not {path.name for path in folder.iterdir()} <= ours):
        raise FileExistsError(f"{folder} holds other things than monitoring tables; choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as place:
        written = Path(place) / "new"
        written.mkdir()
        for name, frame in data.tables.items():
            table = pa.Table.from_pandas(frame, preserve_index=False)
            pq.write_table(table, written / f"{name}.parquet", write_page_checksum=True, compression="zstd")
        (written / SETTINGS_FILE).write_text(settings_text(data), encoding="utf-8")
        if folder.exists():
            folder.rename(Path(place) / "old")
        written.rename(folder)
    return folder


def _refused(rule: str, *, table: str = "", column: str = "", count: int = 1, first: str, **more: Any) -> DataRefused:
    return DataRefused([finding(rule, table, column, count, first, messages=MESSAGES, **more)])


def _files(folder: Path, tables: dict[str, Any], findings: list[Finding]) -> Iterator[tuple[str, Path]]:
    for name in TABLES:
        if "file" in tables.get(name, {}):
            paths = [folder / tables[name]["file"]]
        else:
            paths = [path for suffix in _FORMATS if (path := folder / f"{name}{suffix}").is_file()]
        if len(paths) > 1:
            findings += _refused("two_files", table=name, first=", ".join(path.name for path in paths)).findings
        elif paths and not paths[0].is_file():
            findings += _refused("no_file", table=name, first=paths[0].name).findings
        elif paths:
            yield name, paths[0]


def _read(name: str, path: Path, settings: dict[str, Any]) -> tuple[pd.DataFrame, str]:
    """Return the raw table of a file, and what is worth noting about the file."""
    if path.suffix == ".parquet":
        return _read_parquet(name, path), ""
    if path.suffix == ".xlsx":
        return _read_excel(name, path, settings.get("sheet")), ""
    return _read_csv(name, path)


def _unreadable(name: str, path: Path, error: Any) -> DataRefused:
    expected = _FORMATS.get(path.suffix, "CSV")
    return _refused("unreadable_file", table=name, first=path.name, expected=expected, reason=str(error)[:120])


def _read_parquet(name: str, path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
        return table.to_pandas(date_as_object=False, ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(name, path, error) from error


def _batches(name: str, path: Path, settings: dict[str, Any]) -> tuple[Iterator[pd.DataFrame], str]:
    """Return the raw rows of a file piece by piece, and what is worth noting about the file."""
    if path.suffix == ".parquet":
        return _parquet_batches(name, path), ""
    if path.suffix == ".xlsx":
        return iter([_read_excel(name, path, settings.get("sheet"))]), ""
    return _csv_batches(name, path)


def _parquet_batches(name: str, path: Path) -> Iterator[pd.DataFrame]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file.schema_arrow.empty_table().to_pandas(date_as_object=False, ignore_metadata=True)
            for batch in file.iter_batches(_BATCH_ROWS):
                yield batch.to_pandas(date_as_object=False, ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(name, path, error) from error


def _read_csv(name: str, path: Path) -> tuple[pd.DataFrame, str]:
    batches, note = _csv_batches(name, path)
    return pd.concat(list(batches), ignore_index=True), note


def _csv_batches(name: str, path: Path) -> tuple[Iterator[pd.DataFrame], str]:
    encoding, label = _encoding(name, path)
    with path.open(encoding=encoding, newline="") as file:
        header = [cell.strip() for cell in next(csv.reader(file), [])]
    _refuse_repeats(name, path, header)
    return _csv_rows(name, path, encoding, header), f"{path.name}: {label}"


def _csv_rows(name: str, path: Path, encoding: str, header: list[str]) -> Iterator[pd.DataFrame]:
    # pandas would cut long rows, fill short ones and rename repeated columns without a word; pyarrow refuses.
    try:
        with pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(column_names=header, encoding=encoding, block_size=_BATCH_BYTES),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False, null_values=[]
            ),
        ) as reader:
            for number, batch in enumerate(reader):
                yield _without_empty_rows(batch.slice(0 if number else 1).to_pandas())
    except pa.ArrowException as error:
        raise _unreadable(name, path, error) from error


def _encoding(name: str, path: Path) -> tuple[str, str]:
    """Return the encoding of a text file and its name for people; refuse what no spreadsheet would have written."""
    with path.open("rb") as file:
        marked = file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    for encoding, label in (("utf-8-sig", "UTF-8 with mark" if marked else "UTF-8"), ("gb18030", "GB18030")):
        decoder = codecs.getincrementaldecoder(encoding)()
        n_quotes = 0
        with contextlib.suppress(UnicodeDecodeError), path.open("rb") as file:
            while block := file.read(_BATCH_BYTES):
                decoder.decode(block)
                if b"\0" in block:
                    raise _unreadable(name, path, "zero bytes in it")
                n_quotes += block.count(b'"')
            decoder.decode(b"", final=True)
            if n_quotes % 2:
                raise _unreadable(name, path, "a quotation mark is not closed")
            return encoding, label
    raise _refused("unknown_encoding", table=name, first=path.name)


def _read_excel(name: str, path: Path, sheet: str | None) -> pd.DataFrame:
    try:
        import openpyxl
    except ImportError as error:
        raise _refused("excel_support_missing", table=name, first=path.name) from error
    try:
        with contextlib.closing(openpyxl.load_workbook(path, read_only=True, data_only=True)) as book:
            rows = list((book[sheet] if sheet else book.worksheets[0]).values)
    except (zipfile.BadZipFile, KeyError, IndexError, ValueError, OSError, SyntaxError, EOFError, zlib.error) as error:
        raise _unreadable(name, path, error) from error
    header = ["" if cell is None else str(cell).strip() for cell in (rows[0] if rows else ())]
    _refuse_repeats(name, path, header)
    return _without_empty_rows(pd.DataFrame(rows[1:], columns=header, dtype=object))


def _refuse_repeats(name: str, path: Path, header: list[str]) -> None:
    for column in header:
        if header.count(column) > 1:
            times = header.count(column)
            raise _refused("repeated_header", table=name, column=column, count=times, first=path.name)


def _without_empty_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Spreadsheets leave rows without any content at the end."""
    if frame.empty:
        return frame
    empty = np.logical_and.reduce([((frame[name] == "") | frame[name].isna()).to_numpy(bool) for name in frame])
    return frame[~empty].reset_index(drop=True)


def _mapped(name: str, source: str, raw: pd.DataFrame, settings: dict[str, Any]) -> pd.DataFrame:
    """Return the table with the columns, codes, units and dates of the contract."""
    sources = settings.get("columns", {})
    for column, came_from in sources.items():
        if came_from not in raw:
            expected = ", ".join(map(str, raw.columns))
            raise _refused(
                "unmapped_column", table=name, column=column, first=came_from, file=source, expected=expected
            )
    taken = set(sources.values()) - set(TABLES[name].by_name)
    kept = [column for column in raw.columns if column not in taken and column not in sources]
    table = raw[kept]
    if sources:
        table = pd.concat([table, raw[list(sources.values())].set_axis(list(sources), axis=1)], axis=1)
    table = table.assign(**settings.get("constants", {}))
    for kind, change in (("codes", _recoded), ("units", _times), ("dates", _iso_dates)):
        for column, how in settings.get(kind, {}).items():
            if column not in table:
                raise _refused("no_such_mapping", table=name, column=column, first=f"tables.{name}.{kind}.{column}")
            table[column] = change(table[column], how)
    return table


def _recoded(values: pd.Series, codes: dict[str, Any]) -> pd.Series:
    """Replace the codes of the file; what is not among them stays, and is refused later if it does not fit."""
    place, distinct = pd.factorize(values.astype(object), use_na_sentinel=True)
    replaced = [codes.get(f"{value:g}" if isinstance(value, float) else str(value), value) for value in distinct]
    return pd.Series([*replaced, None], dtype=object).take(place).set_axis(values.index)


def _times(values: pd.Series, factor: float) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce") * factor
    return numbers.astype(object).where(numbers.notna(), values)


def _iso_dates(values: pd.Series, form: str) -> pd.Series:
    """Read dates of the given form; dates of Excel stay, what does not fit is marked so that it is refused."""
    place, distinct = pd.factorize(values.astype(object), use_na_sentinel=True)
    texts = pd.Series([str(value).strip() for value in distinct], dtype=object)
    days = pd.to_datetime(texts, format=form, errors="coerce")
    if re.fullmatch(r"(%[A-Za-z])+", form):
        # Without separators 2021031 would pass for the first of March.
        days = days.where(days.dt.strftime(form) == texts)
    read = days.dt.strftime("%Y-%m-%d").astype(object).where(days.notna(), "not " + form + ": " + texts)
    read = read.where(texts != "", None)
    is_date = np.array([isinstance(value, datetime.date) for value in distinct], dtype=bool)
    read = read.where(~is_date, pd.Series(distinct, dtype=object))
    return pd.Series([*read, None], dtype=object).take(place).set_axis(values.index)


def _own_columns(settings: dict[str, Any], name: str) -> list[str]:
    """Return the columns of a table that features and indicators of deprivation are declared over."""
    indicators = settings.get("outcomes", {}).get("deprivation", {}).get("indicators", {})
    judged = [how["column"] for how in indicators.values() if how.get("table") == name and "column" in how]
    return [*settings.get("features", {}).get(name, {}), *judged]


def _with_numbers(table: pd.DataFrame, declared: Iterable[str]) -> pd.DataFrame:
    """Text files know no types: turn the declared columns that hold only numbers into numbers, and no others.

    A telephone number nobody declared stays text and is left out.
    """
    changed = {}
    for column in (column for column in declared if column in table):
        values = table[column]
        if not pd.api.types.is_numeric_dtype(values):
            numbers = pd.to_numeric(values.astype(object).where(values != "", None), errors="coerce")
            if numbers.notna().sum() == ((values != "") & values.notna()).sum():
                changed[column] = numbers.astype(np.float64)
    return table.assign(**changed)


def declared_features(settings: dict[str, Any], tables: Mapping[str, pd.DataFrame]) -> tuple[Any, ...]:
    """Return the features that ``monitoring.toml`` declares; a column that is not there or no number is refused."""
    from riskml.features.declarations import Latest, Season  # not needed to read tables that declare none

    features: list[Any] = [Season()] if settings.get("season") else []
    for name, columns in settings.get("features", {}).items():
        for column, meaning in columns.items():
            if name not in tables or column not in tables[name] or not _is_number(name, tables[name], column):
                raise _refused("no_such_column", table=name, column=column, first=f"{name}.{column}")
            features.append(Latest(name, column, **meaning))
    return tuple(features)


def declared_outcomes(declared: dict[str, Any]) -> tuple[Any, ...]:
    """Return what ``monitoring.toml`` counts as a return besides welfare below the line."""
    from riskml.features.outcomes import outcome_from  # not needed to read tables that declare none

    try:
        return tuple(outcome_from(name, how) for name, how in declared.items())
    except (TypeError, ValueError) as error:
        raise _refused("wrong_outcome", first=str(error)) from error


def _is_number(name: str, table: pd.DataFrame, column: str) -> bool:
    known = TABLES[name].by_name.get(column)
    return pd.api.types.is_numeric_dtype(table[column]) if known is None else known.kind not in ("id", "text", "date")
