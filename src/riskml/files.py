"""Result files: written whole or not at all, readable by a spreadsheet without running what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from riskml.findings import DataRefused, Finding

#: Columns of result files that are text; all others are numbers, ``*_on`` and ``as_of_date`` dates.
TEXT = (
    *("household_id", "area_id", "level", "measure", "support", "cause", "on_file", "change"),
    *("source", "formerly", "limit", "condition"),
    *("effect_source", "not_funded", "status", "reviewer", "decision", "reason"),
)
TEXT_PREFIXES = ("cause_", "reason_", "sentence_", "label_")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def replacing(path: Path, *, beside: Path | None = None) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block ends well.

    Parameters
    ----------
    path : Path
        The file to write; its folder is made if need be.
    beside : Path, optional
        Folder on the same disk for the temporary file; by default that of ``path``.

    Yields
    ------
    Path
        Where to write. After an exception it is deleted and ``path`` is as it was.

    Raises
    ------
    OSError
        If the folder or file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = (beside or path.parent) / f".{os.getpid()}{path.suffix}"
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a result table as Parquet or, by its ending, as CSV.

    CSV is UTF-8 with mark (so that spreadsheets show Chinese) and a text that a spreadsheet would take for a
    formula (one that starts with ``= + - @``, tab or return) gets a leading apostrophe.

    Parameters
    ----------
    table : DataFrame
        The table; its index is not written.
    path : Path
        Ends in ``.parquet`` or ``.csv``.

    Raises
    ------
    OSError
        If it cannot be written; a file already there is then as it was.
    """
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            _defused(table).to_csv(temporary, index=False, encoding="utf-8-sig", lineterminator="\n")
        else:
            table.to_parquet(temporary, index=False, write_page_checksum=True)


def write_pieces(pieces: Iterable[pd.DataFrame], path: Path, *, beside: Path | None = None) -> int:
    """Write a result table that comes in pieces, as :func:`write_table` would write the whole.

    Parameters
    ----------
    pieces : iterable of DataFrame
        Its rows in order, at least one piece; all with the same columns.
    path : Path
        Ends in ``.parquet`` or ``.csv``.
    beside : Path, optional
        Folder on the same disk to write in first; by default that of ``path``.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    OSError
        If it cannot be written; a file already there is then as it was.
    """
    n_rows = 0
    with replacing(path, beside=beside) as temporary, ExitStack() as opened:
        for piece in pieces:
            if path.suffix == ".csv":
                # The mark and the header stand only at the beginning.
                how = {"mode": "a", "header": False, "encoding": "utf-8"} if n_rows else {"encoding": "utf-8-sig"}
                _defused(piece).to_csv(temporary, index=False, lineterminator="\n", **how)
            else:
                rows = pa.Table.from_pandas(piece, preserve_index=False)
                if not n_rows:
                    writer = opened.enter_context(pq.ParquetWriter(temporary, rows.schema, write_page_checksum=True))
                writer.write_table(rows)
            n_rows += len(piece)
    return n_rows


def read_table(path: Path, *, required: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that :func:`write_table` wrote; identifiers stay text.

    Parameters
    ----------
    path : Path
        Ends in ``.parquet`` or ``.csv``.
    required : sequence of str
        Columns it must have.

    Returns
    -------
    DataFrame
        Text columns as text (missing ``""``), ``as_of_date`` and ``*_on`` as dates, everything else as numbers.

    Raises
    ------
    DataRefused
        If it cannot be read as such a table, or a required column is missing.
    OSError
        If there is no such file.
    """
    try:
        table = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (ValueError, OSError) as error:  # pyarrow tells of damage by OSError
        raise DataRefused([_unreadable(path, error)]) from error
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise DataRefused([_missing_columns(path, missing)])
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path, engine="pyarrow", page_checksum_verification=True)
    for name in table.columns:
        if _is_text(name) and not _holds_text(table[name]):
            raise ValueError(f"column {name} holds {table[name].dtype}, not text")
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    for name in table.columns:
        if name == "as_of_date" or name.endswith("_on"):
            table[name] = pd.to_datetime(table[name].replace("", None), format="%Y-%m-%d")
        elif _is_text(name):
            table[name] = table[name].str.replace(r"^'(?=[=+\-@\t\r])", "", regex=True)
        else:
            table[name] = _as_numbers(table[name])
    return table


def _as_numbers(column: pd.Series) -> pd.Series:
    """Return numbers, or the text as it is for a column this package did not write."""
    try:
        return pd.to_numeric(column.replace("", None)).astype("float64")
    except ValueError:
        return column


def _is_text(name: str) -> bool:
    return name in TEXT or name.startswith(TEXT_PREFIXES)


def _holds_text(column: pd.Series) -> bool:
    return bool(
        pd.api.types.is_string_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype) or column.isna().all()
    )


def _defused(table: pd.DataFrame) -> pd.DataFrame:
    def defuse(value: object) -> object:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(defuse) for name in texts})


def _unreadable(path: Path, error: Exception) -> Finding:
    return Finding(
        "unreadable_file",
        path.name,
        "",
        1,
        "",
        f"{path} cannot be read as a table of riskml ({error}). Write it again with `riskml score` or `riskml plan`.",
        f"无法读取{path}（{error}）。请用 riskml score 或 riskml plan 重新生成。",
    )


def _missing_columns(path: Path, missing: Sequence[str]) -> Finding:
    names = ", ".join(missing)
    return Finding(
        "missing_column",
        path.name,
        missing[0],
        len(missing),
        "",
        f"{path} lacks the columns {names}. Give a file that `riskml score` wrote.",
        f"{path}缺少列：{names}。请使用 riskml score 生成的文件。",
    )
