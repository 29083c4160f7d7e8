"""From tables of any size to a store: typed in pieces, clustered within a memory limit, checked, renamed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskml.buckets.clustering import (
    Tell,
    count_households,
    create,
    households_of_areas,
    join_buckets,
    newest_day,
    said,
    staged,
    staging,
    written,
)
from riskml.buckets.sources import Source
from riskml.buckets.store import (
    SHARED,
    Store,
    first_areas_of,
    flush_to_disk,
    open_store,
    read_bucket,
    read_table,
    schema_of,
    write_manifest,
)
from riskml.findings import DataRefused, Finding
from riskml.tables.lines import line_findings
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import declared_features
from riskml.tables.validation import added_up, finding, missing_tables, record_findings

#: Households checked beside one another at a time.
_CHECKED_AT_ONCE = 20_000

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "other_columns": (
        "{table} has other columns than in the store: {first}. Append the columns the store has ({expected}), or "
        "import everything into a new store.",
        "{table} 的列与数据仓中的不同：{first}。请提供数据仓已有的列（{expected}），或将全部数据导入新的数据仓。",
    ),
    "new_table": (
        "The store has no table {table}. Leave it out, or import everything into a new store.",
        "数据仓中没有数据表 {table}。请去掉该表，或将全部数据导入新的数据仓。",
    ),
    "other_settings": (
        "monitoring.toml: [{first}] differs from that of the store. Leave it out, or import everything into a "
        "new store.",
        "monitoring.toml 中的 [{first}] 与数据仓的不同。请去掉，或将全部数据导入新的数据仓。",
    ),
}


def import_tables(
    source: Source, folder: Path, *, bucket_households: int = 50_000, memory_mb: int = 1000, tell: Tell | None = None
) -> Store:
    """Make a store of the tables of a source.

    Parameters
    ----------
    source : Source
        Where the tables are.
    folder : Path
        The store to make. It appears whole or not at all.
    bucket_households : int, default 50_000
        About how many households a bucket holds: areas are added, in the order of their codes, as long as there are no
        more; one area is never split.
    memory_mb : int, default 1000
        Memory of DuckDB in megabytes; what does not fit is kept on the disk beside the store meanwhile.
    tell : callable, optional
        Is told, in English and Chinese, how far the work is.

    Returns
    -------
    Store
        The store, opened.

    Raises
    ------
    DataRefused
        If anything is wrong with the tables, as :class:`riskml.Monitoring` would refuse them.
    FileExistsError
        If there is something at ``folder`` already.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; --append adds to a store, or choose another folder")
    making = folder.with_name(f".{folder.name}.importing")
    settings = {
        "welfare": {"months": 12, **source.settings.get("welfare", {})},
        "season": source.settings.get("season", False),
        "features": source.settings.get("features", {}),
        "notes": source.settings.get("notes", []),
    }
    settings["welfare"].setdefault("max_age_months", settings["welfare"]["months"])
    settings["welfare"].setdefault("least_covered", 0.75)
    given = source.settings.get("extract_on")
    shutil.rmtree(making, ignore_errors=True)
    with _removed_on_failure([making]):
        with staging(making, memory_mb) as database:
            extract_on = None if given is None else pd.Timestamp(str(given))
            kinds, notes = staged(database, source, extract_on=extract_on, tell=tell)
            settings["notes"] = [*settings["notes"], *notes]
            findings = missing_tables(kinds)
            if findings:
                raise DataRefused(findings)
            declared_features(settings, _empty(kinds))
            extract_on = extract_on or newest_day(database, kinds)
            said(tell, "clustering", "正在归并")
            first_areas = first_areas_of(households_of_areas(database), bucket_households)
            join_buckets(database, first_areas)
            part = written(database, making / "000", kinds, tell)
            n_households = count_households(database)
        manifest = {
            "n_households": n_households,
            "extract_on": f"{extract_on:%Y-%m-%d}",
            "settings": settings,
            "tables": kinds,
            "first_areas": first_areas,
            "imports": [part],
        }
        _check(Store(making, manifest), part, tell)
        write_manifest(making, manifest)
        making.rename(folder)
        flush_to_disk(folder.parent)
    return open_store(folder)


def append_tables(source: Source, folder: Path, *, memory_mb: int = 1000, tell: Tell | None = None) -> Store:
    """Add to a store what became known since it was last written; no file of it is rewritten.

    A household that moves into a bucket's areas brings all its earlier records with it.

    Parameters
    ----------
    source : Source
        Tables with the new rows only: each known after the store's ``extract_on``. Tables without news may be absent.
    folder : Path
        The store. It holds either all that is new or nothing of it.
    memory_mb : int, default 1000
        Memory of DuckDB in megabytes.
    tell : callable, optional
        Is told, in English and Chinese, how far the work is.

    Returns
    -------
    Store
        The store, opened again.

    Raises
    ------
    DataRefused
        If there is no store, the tables are not like its own, or a row was known before.
    """
    store = open_store(folder)
    manifest = store.manifest
    findings = [
        finding("other_settings", "", "", 1, part, messages=MESSAGES)
        for part in ("welfare", "features")
        if part in source.settings and not source.settings[part].items() <= manifest["settings"][part].items()
    ]
    seasonal = manifest["settings"].get("season", False)
    if source.settings.get("season", seasonal) != seasonal:
        findings.append(finding("other_settings", "", "", 1, "season", messages=MESSAGES))
    if findings:
        raise DataRefused(findings)
    source = Source(source.place, {**source.settings, "features": manifest["settings"]["features"]})
    complete_to = pd.Timestamp(manifest["extract_on"])
    given = source.settings.get("extract_on")
    part_folder = folder / f"{len(manifest['imports']):03d}"
    shutil.rmtree(part_folder, ignore_errors=True)
    with _removed_on_failure([part_folder]):
        with staging(folder, memory_mb) as database:
            extract_on = None if given is None else pd.Timestamp(str(given))
            kinds, _ = staged(database, source, extract_on=extract_on, known_after=complete_to, tell=tell)
            findings = _unlike(kinds, manifest["tables"])
            if findings:
                raise DataRefused(findings)
            extract_on = extract_on or newest_day(database, kinds) or complete_to
            for name, columns in manifest["tables"].items():
                if name not in kinds:
                    create(database, name, columns)
            said(tell, "clustering", "正在归并")
            join_buckets(database, manifest["first_areas"], store)
            part = written(database, part_folder, manifest["tables"], tell)
            n_households = count_households(database)
        longer = {**manifest, "extract_on": f"{max(extract_on, complete_to):%Y-%m-%d}", "n_households": n_households}
        longer["imports"] = [*manifest["imports"], part]
        del longer["sha256"]
        _check(Store(folder, longer), part, tell)
        write_manifest(folder, longer)
    return open_store(folder)


@contextlib.contextmanager
def _removed_on_failure(folders: list[Path]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _unlike(kinds: Mapping[str, Mapping[str, str]], expected: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Return findings for tables and columns that are not those of the store."""
    findings = []
    for name, columns in kinds.items():
        if name not in expected:
            findings.append(finding("new_table", name, "", 1, name, messages=MESSAGES))
        elif odd := sorted(set(columns) ^ set(expected[name])):
            words: dict[str, Any] = {"messages": MESSAGES, "expected": ", ".join(expected[name])}
            findings.append(finding("other_columns", name, odd[0], len(odd), ", ".join(odd), **words))
    return findings


def _empty(kinds: Mapping[str, Mapping[str, str]]) -> dict[str, pd.DataFrame]:
    return {name: schema_of(columns).empty_table().to_pandas() for name, columns in kinds.items()}


def _check(store: Store, part: Mapping[str, Any], tell: Tell | None) -> None:
    """Refuse a store whose new rows do not go with one another or with those before."""
    shared = {name: read_table(store, name) for name in SHARED if name in store.manifest["tables"]}
    findings = [found for name in shared for found in record_findings(name, shared)]
    with_news = sorted({file.partition("/")[0] for file in part["files"] if "/" in file})
    for bucket in (int(name.removeprefix("bucket-")) for name in with_news):
        said(tell, f"checking bucket {bucket + 1} of {store.n_buckets}", f"正在检查第{bucket + 1}/{store.n_buckets}组")
        for data in _in_turn(store, bucket):
            own = {**data.tables}
            if "disasters" in own:
                own["disasters"] = own["disasters"][own["disasters"]["household_id"] != ""]
            of_records = [found for name in own if name != "lines" for found in record_findings(name, own)]
            findings = added_up([*findings, *of_records, *line_findings(data)])
    if findings:
        raise DataRefused(findings)


def _in_turn(store: Store, bucket: int) -> Iterator[Monitoring]:
    """Yield the data of some thousand households of a bucket after the other, each in one bucket only."""
    data = read_bucket(store, bucket)
    versions = data.tables["households"]
    homes = pd.Series(store.bucket_of(versions["area_id"]), index=versions["household_id"]).groupby(level=0).min()
    mine = homes.index[homes.to_numpy() == bucket]
    turn = {
        name: np.where(frame["household_id"] == "", -2, mine.get_indexer(pd.Index(frame["household_id"])))
        for name, frame in data.tables.items()
        if name != "lines"
    }
    for first in range(0, len(mine), _CHECKED_AT_ONCE):
        tables = dict(data.tables)
        for name, place in turn.items():
            tables[name] = tables[name][(place == -2) | ((place >= first) & (place < first + _CHECKED_AT_ONCE))]
        yield Monitoring(tables, extract_on=data.extract_on, checked=True)
