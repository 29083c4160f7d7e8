"""Where a store's tables come from: a folder of files or a PostgreSQL database, both read piece by piece."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from riskml.findings import DataRefused
from riskml.tables.contract import TABLES
from riskml.tables.reading import contract_batches, table_batches, unread_files
from riskml.tables.settings import read_settings
from riskml.tables.validation import finding

_DATABASE = ("postgresql://", "postgres://")
#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "postgres_support_missing": (
        "Reading a PostgreSQL database needs the package adbc-driver-postgresql: pip install 'riskml[postgres]'.",
        "读取 PostgreSQL 数据库需要 adbc-driver-postgresql：请运行 pip install 'riskml[postgres]'。",
    ),
    "no_relation": (
        "The database has no table or view {first}, named in monitoring.toml for the table {table}. Correct the name.",
        "数据库中没有 monitoring.toml 为 {table} 指定的表或视图 {first}。请更正名称。",
    ),
}


@dataclass(frozen=True)
class Source:
    """Tables to import: where they are, and the settings of their ``monitoring.toml``."""

    place: str
    settings: dict[str, Any]

    def tables(self) -> Iterator[tuple[str, Iterator[pd.DataFrame], str]]:
        """Yield name, pieces and note of each table, as :func:`riskml.tables.reading.table_batches` does.

        Raises
        ------
        DataRefused
            If the tables cannot be read as such.
        OSError
            If the database cannot be read.
        """
        if is_database(self.place):
            return _database_tables(self.place, self.settings)
        return table_batches(Path(self.place), self.settings)

    def unread(self) -> list[str]:
        """Return a note for every file of a folder that is none of its tables."""
        return [] if is_database(self.place) else unread_files(Path(self.place), self.settings)


def is_database(place: str) -> bool:
    """Say whether a place is the address of a database, not a folder."""
    return place.startswith(_DATABASE)


def open_source(place: str, *, settings: Path | None = None) -> Source:
    """Return the source at a place.

    Parameters
    ----------
    place : str
        A folder, or the address of a database such as ``postgresql://reader@host/county``.
    settings : Path, optional
        Folder of the ``monitoring.toml``; by default that of the tables. In a database ``file`` names a table or view.

    Returns
    -------
    Source
        Nothing but the settings has been read.

    Raises
    ------
    DataRefused
        If ``monitoring.toml`` is wrong.
    """
    if settings is None and is_database(place):
        return Source(place, {})
    return Source(place, read_settings(Path(place) if settings is None else settings))


def _database_tables(address: str, settings: dict[str, Any]) -> Iterator[tuple[str, Iterator[pd.DataFrame], str]]:
    try:
        import adbc_driver_postgresql.dbapi as postgresql
    except ImportError as error:
        raise _refused("postgres_support_missing", "") from error
    try:
        with postgresql.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
            # One snapshot for all tables, and a promise to the database that nothing will be written.
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for name in TABLES:
                named = settings.get("tables", {}).get(name, {}).get("file")
                selection = _selection(cursor, named or name)
                if selection is None and named is not None:
                    raise _refused("no_relation", named, table=name)
                if selection is not None:
                    yield name, contract_batches(name, named or name, _rows(cursor, selection), settings), ""
            cursor.execute("ROLLBACK")
    except postgresql.Error as error:
        raise OSError(f"PostgreSQL: {str(error).strip()}") from error


def _selection(cursor: Any, relation: str) -> str | None:
    """Return the query that reads a table or view in types that files have too; None where there is none."""
    cursor.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        parameters=[relation],
    )
    columns = cursor.fetchall()
    if not columns:
        return None
    read_as = {"numeric": "::float8", "money": "::numeric::float8", "uuid": "::text", "character": "::text"}
    parts = []
    for column, kind in columns:
        quoted = '"' + column.replace('"', '""') + '"'
        parts.append(f"{quoted}{read_as.get(kind, '')} AS {quoted}")
    return f"SELECT {', '.join(parts)} FROM {relation}"


def _rows(cursor: Any, selection: str) -> Iterator[pd.DataFrame]:
    cursor.execute(selection)
    try:
        with contextlib.closing(cursor.fetch_record_batch()) as reader:
            yield reader.schema.empty_table().to_pandas(date_as_object=False)
            for batch in reader:
                yield batch.to_pandas(date_as_object=False)
    except (pa.ArrowException, OSError) as error:
        raise OSError(f"PostgreSQL: {str(error).strip()}") from error


def _refused(rule: str, first: str, *, table: str = "", **more: Any) -> DataRefused:
    return DataRefused([finding(rule, table, "", 1, first, messages=MESSAGES, **more)])
