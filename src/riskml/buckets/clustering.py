"""Rows on their way into a store: typed in pieces, kept in DuckDB, and written by bucket within a memory limit."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from riskml.buckets.sources import Source
from riskml.buckets.store import (
    SHARED,
    Store,
    column_kinds,
    file_of,
    flush_to_disk,
    parquet_writer,
    schema_of,
    verified,
)
from riskml.findings import DataRefused, Finding
from riskml.tables.contract import TABLES
from riskml.tables.validation import added_up, column_findings, finding, first_case, found, left_out, typed_rows

Tell = Callable[[str, str], None]
#: Settings in ``monitoring.toml`` that a store follows, and those of a table: what each row alone means.
_TAKEN = ("extract_on", "notes", "welfare", "tables", "season", "features")
_TAKEN_OF_TABLE = ("file", "sheet", "columns", "constants", "codes", "units", "dates")
#: Rows of a row group: few enough that the ids of a group fit its dictionary.
_GROUP_ROWS = 2**17

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "changing_column": (
        "{where} holds numbers in some rows and something else in others, so the store cannot say what it is. Make "
        "all of it numbers, or leave the column out.",
        "{where} 部分行是数字、部分行不是，无法确定其类型。请统一为数字或去掉该列。",
    ),
    "not_new": (
        "{where} is {day} or earlier in {count} rows (first: {first}), but the store is complete up to that day. "
        "Append only what became known later (an end learned later is a version of its own, with its own known_on), or "
        "import everything into a new store.",
        "{where} 有 {count} 行不晚于 {day}（首例：{first}），而数据仓截至该日已完整。只能追加此后得知的记录"
        "（后来得知的结束日请作为另一版本录入，填写其自己的 known_on），或将全部数据导入新的数据仓。",
    ),
    "untaken_setting": (
        "monitoring.toml: a store cannot follow '{first}'. There it takes {expected}. Import tables without it.",
        "monitoring.toml：数据仓不支持“{first}”，此处只支持 {expected}。请去掉后再导入。",
    ),
}


@contextlib.contextmanager
def staging(folder: Path, memory_mb: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a database for rows on their way, in a folder of its own that is gone afterwards."""
    place = folder / "staging"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    config: dict[str, Any] = {
        # DuckDB's limit leaves out some of what it allocates.
        "memory_limit": f"{memory_mb * 4 // 5}MB",
        "temp_directory": str(place / "spilled"),
        "preserve_insertion_order": "false",
    }
    try:
        with contextlib.closing(duckdb.connect(str(place / "rows.duckdb"), config=config)) as database:
            yield database
    finally:
        shutil.rmtree(place, ignore_errors=True)


def staged(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    *,
    extract_on: pd.Timestamp | None,
    known_after: pd.Timestamp | None = None,
    tell: Tell | None = None,
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Read the tables of the source, typed, into the database; return their columns and notes, or refuse them."""
    kinds: dict[str, dict[str, str]] = {}
    findings = _untaken(source.settings)
    notes: list[str] = []
    omitted: list[str] = []
    for name, batches, note in source.tables():
        said(tell, f"reading {name}", f"正在读取 {name}")
        notes += [note] if note else []
        n_rows = 0
        try:
            for batch in batches:
                if name not in kinds and (wrong := column_findings(name, batch)):
                    findings += wrong
                    break
                typed, _, of_rows = typed_rows(name, batch, extract_on=extract_on)
                if name not in kinds:
                    kinds[name] = column_kinds(typed)
                    omitted += left_out(name, batch, typed)
                    create(database, name, kinds[name])
                of_rows += _changed(name, kinds[name], typed)
                if known_after is not None:
                    of_rows += _known_before(name, typed, known_after)
                findings = added_up([*findings, *of_rows])
                n_rows += len(batch)
                if not findings and len(batch):
                    _insert(database, name, typed, kinds[name])
        except DataRefused as refusal:
            findings += refusal.findings
        if name in kinds and not findings:
            _expect(n_rows, _count(database, name), name)
        if name == "households" and name in kinds and not n_rows and known_after is None:
            findings.append(finding("empty_table", name, "", 0, ""))
    if findings:
        raise DataRefused(findings)
    return kinds, [*notes, *source.unread(), *omitted]


def create(database: duckdb.DuckDBPyConnection, name: str, kinds: Mapping[str, str]) -> None:
    """Make an empty table of some columns."""
    types = {"text": "VARCHAR", "date": "DATE", "number": "DOUBLE"}
    columns = ", ".join(f"{_quoted(column)} {types[kind]}" for column, kind in kinds.items())
    database.execute(f"CREATE TABLE {name} ({columns})")


def newest_day(database: duckdb.DuckDBPyConnection, kinds: Mapping[str, Mapping[str, str]]) -> pd.Timestamp | None:
    """Return the last day anything was learned. Lines are left out: they may be published ahead."""
    days = [
        database.sql(f"SELECT max({column}) FROM {name}").fetchall()[0][0]
        for name, columns in kinds.items()
        for column in ("known_on", "end_known_on")
        if name != "lines" and column in columns
    ]
    return max((pd.Timestamp(day) for day in days if day is not None), default=None)


def households_of_areas(database: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """Return of each area, in the order of the codes, how many households ever lived there."""
    return database.sql(
        "SELECT area_id, count(DISTINCT household_id) FROM households GROUP BY area_id ORDER BY area_id"
    ).fetchall()


def join_buckets(database: duckdb.DuckDBPyConnection, first_areas: list[str], store: Store | None = None) -> None:
    """Say of each staged household in which buckets it lives; bring what the store has of those new in a bucket.

    Parameters
    ----------
    database : DuckDBPyConnection
        With the staged tables.
    first_areas : list of str
        First area of each bucket.
    store : Store, optional
        What was imported before.
    """
    database.execute("CREATE TABLE buckets (first_area VARCHAR, bucket INTEGER)")
    database.register("numbered", pa.table({"first_area": first_areas, "bucket": range(len(first_areas))}))
    database.execute("INSERT INTO buckets SELECT * FROM numbered")
    database.unregister("numbered")
    database.execute("CREATE TABLE members_of (household_id VARCHAR, bucket INTEGER)")
    if store is not None:
        _load_members(database, store)
    database.execute(
        "CREATE TABLE arrived AS SELECT DISTINCT household_id, bucket "
        "FROM households ASOF JOIN buckets ON households.area_id >= buckets.first_area "
        "ANTI JOIN members_of USING (household_id, bucket)"
    )
    if store is not None:
        _bring_records(database, store)
    database.execute("INSERT INTO members_of SELECT * FROM arrived")


def written(
    database: duckdb.DuckDBPyConnection, folder: Path, kinds: Mapping[str, Mapping[str, str]], tell: Tell | None
) -> dict[str, Any]:
    """Write what is staged, one file a bucket and table; return the import's entry of the manifest."""
    n_rows: dict[Path, int] = {}
    for name, columns in kinds.items():
        said(tell, f"clustering {name}", f"正在归并 {name}")
        schema = schema_of(columns)
        if name != "lines":
            _refuse_strays(database, name)
            n_written = 0
            for bucket, rows in _by_bucket(_clustered(database, name, columns)):
                path = folder / file_of(name, bucket)
                n_rows[path] = _write(path, schema, rows)
                n_written += n_rows[path]
            _expect(_count(database, f"({_belonging(database, name, columns)})"), n_written, name)
        if name in SHARED:
            where = "" if name == "lines" else "WHERE household_id = ''"
            order = ", ".join(_quoted(column) for column in columns)
            shared = database.sql(f"SELECT * FROM {name} {where} ORDER BY {order}").to_arrow_table()
            path = folder / file_of(name, None)
            n_rows[path] = _write(path, schema, iter([shared]))
    files = {}
    for path in sorted(n_rows):
        flush_to_disk(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[path.relative_to(folder).as_posix()] = {"rows": n_rows[path], "sha256": digest}
    return {"folder": folder.name, "rows": {name: _count(database, name) for name in kinds}, "files": files}


def count_households(database: duckdb.DuckDBPyConnection) -> int:
    """Return how many households live in any bucket."""
    return _count(database, "(SELECT DISTINCT household_id FROM members_of)")


def said(tell: Tell | None, en: str, zh: str) -> None:
    """Say how far the work is, if somebody listens."""
    if tell is not None:
        tell(en, zh)


def _untaken(settings: Mapping[str, Any]) -> list[Finding]:
    """Return findings for settings that a store does not follow."""
    places: dict[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {"": (settings, _TAKEN)}
    places |= {f"tables.{name}.": (how, _TAKEN_OF_TABLE) for name, how in settings.get("tables", {}).items()}
    return [
        finding("untaken_setting", "", "", 1, place + key, messages=MESSAGES, expected=", ".join(taken))
        for place, (given, taken) in places.items()
        for key in given
        if key not in taken
    ]


def _insert(database: duckdb.DuckDBPyConnection, name: str, typed: pd.DataFrame, kinds: Mapping[str, str]) -> None:
    rows = pa.Table.from_pandas(typed, preserve_index=False).cast(schema_of(kinds))
    database.register("batch", rows)
    database.execute(f"INSERT INTO {name} SELECT * FROM batch")
    database.unregister("batch")


def _changed(name: str, kinds: Mapping[str, str], typed: pd.DataFrame) -> list[Finding]:
    odd = sorted(set(kinds) ^ set(map(str, typed.columns)))
    return [finding("changing_column", name, column, 1, column, messages=MESSAGES) for column in odd]


def _known_before(name: str, typed: pd.DataFrame, day: pd.Timestamp) -> list[Finding]:
    known_on = typed["known_on"].fillna(typed["valid_from"]) if name == "lines" else typed["known_on"]
    words: dict[str, Any] = {"messages": MESSAGES, "day": f"{day:%Y-%m-%d}"}
    return found("not_new", name, "known_on", typed, known_on <= day, **words)


def _load_members(database: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Note which households the buckets of a store hold."""
    for bucket in range(store.n_buckets):
        # A household may stand in the files of several imports.
        held = [verified(store, file).select(["household_id"]) for file in store.files("households", bucket)]
        database.register("held", pa.concat_tables(held))
        database.execute("INSERT INTO members_of SELECT DISTINCT household_id, ? FROM held", [bucket])
        database.unregister("held")


def _bring_records(database: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Copy the earlier records of households that moved from a bucket where they are."""
    database.execute(
        "CREATE TABLE movers AS SELECT household_id, arrived.bucket, min(members_of.bucket) AS before "
        "FROM arrived JOIN members_of USING (household_id) GROUP BY ALL"
    )
    for name, kinds in store.manifest["tables"].items():
        if name == "lines":
            continue
        columns = ", ".join(_quoted(column) for column in kinds)
        database.execute(f"CREATE TABLE brought_{name} AS SELECT 0 AS bucket, * FROM {name} LIMIT 0")
        for (before,) in database.sql("SELECT DISTINCT before FROM movers").fetchall():
            for file in store.files(name, before):
                database.register("held", verified(store, file))
                database.execute(
                    f"INSERT INTO brought_{name} SELECT bucket, {columns} FROM held "
                    "JOIN movers USING (household_id) WHERE before = ?",
                    [before],
                )
                database.unregister("held")


def _refuse_strays(database: duckdb.DuckDBPyConnection, name: str) -> None:
    """Refuse records of households that are in no bucket."""
    stray = f"FROM {name} ANTI JOIN members_of USING (household_id) WHERE household_id <> ''"
    n_rows = _count(database, f"(SELECT household_id {stray})")
    if n_rows:
        first = first_case(database.sql(f"SELECT {name}.* {stray} LIMIT 1").df(), 0, "household_id")
        raise DataRefused([finding("unknown_household", name, "household_id", n_rows, first)])


def _belonging(database: duckdb.DuckDBPyConnection, name: str, kinds: Mapping[str, str]) -> str:
    """Return the query of a table's rows with the bucket they belong to, once for each if there are several."""
    columns = ", ".join(_quoted(column) for column in kinds)
    brought = database.sql(f"SELECT 1 FROM duckdb_tables() WHERE table_name = 'brought_{name}'").fetchall()
    return f"SELECT bucket, {columns} FROM {name} JOIN members_of USING (household_id)" + (
        f" UNION ALL SELECT bucket, {columns} FROM brought_{name}" if brought else ""
    )


def _clustered(database: duckdb.DuckDBPyConnection, name: str, kinds: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table by bucket, household, day, known day and key."""
    day = next((column for column in ("date", "start") if column in kinds), "known_on")
    order = dict.fromkeys(["bucket", "household_id", day, "known_on", *TABLES[name].key])
    # Not execute: an Arrow reader of its pending result lost rows without a word (2.0.1). Rows are counted besides.
    yield from database.sql(f"{_belonging(database, name, kinds)} ORDER BY {', '.join(order)}").to_arrow_reader(
        _GROUP_ROWS
    )


def _count(database: duckdb.DuckDBPyConnection, rows: str) -> int:
    return database.sql(f"SELECT count(*) FROM {rows}").fetchall()[0][0]


def _expect(expected: int, came: int, name: str) -> None:
    if expected != came:
        raise OSError(f"{came:,} of {expected:,} rows of {name} came through DuckDB; nothing was written")


def _by_bucket(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Iterator[pa.Table]]]:
    """Split rows that are in order of their bucket; take those of one before asking for the next."""
    pieces = _pieces(batches)
    following = next(pieces, None)

    def of_bucket(bucket: int) -> Iterator[pa.Table]:
        nonlocal following
        while following is not None and following[0] == bucket:
            yield following[1]
            following = next(pieces, None)

    while following is not None:
        yield following[0], of_bucket(following[0])


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.Table]]:
    for batch in batches:
        table = pa.Table.from_batches([batch])
        bucket = table["bucket"].to_numpy()
        table = table.drop_columns("bucket")
        starts = np.flatnonzero(np.diff(bucket, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(bucket)], strict=True):
            yield int(bucket[start]), table.slice(start, stop - start)


def _write(path: Path, schema: pa.Schema, rows: Iterable[pa.Table]) -> int:
    """Write rows in groups of one size, whatever pieces they come in; return how many there were."""
    n_rows = 0
    waiting = schema.empty_table()
    with parquet_writer(path, schema) as writer:
        for piece in rows:
            waiting = pa.concat_tables([waiting, piece.cast(schema)])
            while len(waiting) >= _GROUP_ROWS:
                writer.write_table(waiting.slice(0, _GROUP_ROWS))
                waiting = waiting.slice(_GROUP_ROWS)
            n_rows += len(piece)
        writer.write_table(waiting)
    return n_rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
