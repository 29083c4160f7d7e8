"""A PostgreSQL database as a source, against a real server started for the test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import worlds

import riskml as rk
from riskml.buckets.importing import import_tables
from riskml.buckets.sources import open_source
from riskml.buckets.store import open_store, read_bucket
from riskml.cli import main

postgresql = pytest.importorskip("adbc_driver_postgresql.dbapi")


def _programs() -> Path | None:
    """Return the folder of the server's programs: Debian keeps them beside the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(path) for path in [shutil.which("initdb")] if path
    ]
    return found[-1].parent if found else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a PostgreSQL server on a free port of this machine; give its address."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    place = Path(tempfile.mkdtemp(prefix="riskml-postgres-"))
    # The server refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        shutil.chown(place, user)
    run_as = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={place} -c fsync=off"

    def run(*command: str) -> None:
        subprocess.run([*run_as, *command], check=True, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    try:
        run(str(programs / "initdb"), "-D", f"{place}/data", "-A", "trust", "-U", "office", "-E", "UTF8", "--no-sync")
        run(str(programs / "pg_ctl"), "-D", f"{place}/data", "-o", options, "-l", f"{place}/log", "-w", "start")
        try:
            yield f"postgresql://office@127.0.0.1:{port}/postgres"
        finally:
            run(str(programs / "pg_ctl"), "-D", f"{place}/data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(place)


def fill(address: str, tables: dict[str, pd.DataFrame], kinds: dict[str, str]) -> None:
    """Put tables into the database, with dates as dates and numbers as asked."""
    with postgresql.connect(address) as connection, connection.cursor() as cursor:
        for name, table in tables.items():
            cursor.execute(f"DROP TABLE IF EXISTS {name} CASCADE")
            cursor.adbc_ingest(name, pa.Table.from_pandas(table, preserve_index=False))
            for column, kind in kinds.items():
                if column in table:
                    cursor.execute(f"ALTER TABLE {name} ALTER COLUMN {column} TYPE {kind}")
        connection.commit()


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return worlds.random_tables(7)


def test_a_database_gives_the_same_tables_as_the_files(server, tables, tmp_path):
    fill(server, tables, {"known_on": "date", "wage": "numeric(14, 6)", "household_id": "character varying(20)"})
    store = import_tables(open_source(server), tmp_path / "store")
    held, data = read_bucket(store, 0), rk.Monitoring(tables)
    assert set(held.tables) == set(data.tables)
    for name, table in data.tables.items():
        order = [column for column in ("household_id", "known_on", *table.columns) if column in table]
        found, expected = (
            frame.sort_values(list(dict.fromkeys(order)), ignore_index=True)[table.columns]
            for frame in (held.tables[name], table)
        )
        pd.testing.assert_frame_equal(found, expected, rtol=1e-6)  # wages were cut to six decimals


def test_a_database_is_mapped_by_the_same_monitoring_toml(server, tables, tmp_path):
    fill(server, {"hu": tables["households"].rename(columns={"area_id": "place"}), **tables}, {})
    with postgresql.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE households")
        connection.commit()
    (tmp_path / "monitoring.toml").write_text(
        "[welfare]\nmonths = 6\n[tables.households]\nfile = 'hu'\ncolumns = { area_id = 'place' }\n"
        "[tables.incomes]\nunits = { wage = 2.0 }\n"
    )
    out = tmp_path / "store"
    assert main(["import", server, str(out), "--settings", str(tmp_path), "--json"]) == 0
    held = read_bucket(open_store(out), 0)
    assert held.welfare_months == 6
    assert held.tables["incomes"]["wage"].sum() == pytest.approx(2 * tables["incomes"]["wage"].sum())


def test_importing_writes_nothing_to_the_database(server, tables, tmp_path):
    fill(server, tables, {})
    with postgresql.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION meddle() RETURNS text AS $$ BEGIN CREATE TABLE traces (x int); "
            "RETURN 'x'; END $$ LANGUAGE plpgsql"
        )
        cursor.execute(
            "CREATE OR REPLACE VIEW visits AS SELECT meddle() AS household_id, known_on AS date, known_on "
            "FROM households"
        )
        connection.commit()
    with pytest.raises(OSError, match="read-only transaction"):
        import_tables(open_source(server), tmp_path / "store")
    with postgresql.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("DROP VIEW visits")
        connection.commit()
    assert not (tmp_path / "store").exists()


def test_a_database_that_cannot_be_reached_ends_with_1_and_says_why(tmp_path, capsys):
    address = "postgresql://office:secret@127.0.0.1:1/county"
    assert main(["import", address, str(tmp_path / "store")]) == 1
    said = capsys.readouterr().err
    assert "refused" in said
    assert "secret" not in said
