"""A store: monitoring tables clustered into buckets of areas, checked once, each file under a SHA-256 hash.

A bucket is a run of area codes in their order. It holds every household that ever lived in one of its areas, with all
its records, and answers for those whose area, as known on the date asked, is one of its own. So everything that the
features of these households look at is in the bucket: their own records, and the other households of their area.
``lines`` and the disasters of whole areas are few and kept once.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import riskml
from riskml.findings import DataRefused
from riskml.tables.contract import TABLES
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import declared_features
from riskml.tables.validation import finding

MANIFEST = "manifest.json"
#: Tables kept once; ``disasters`` here are those of whole areas.
SHARED = ("lines", "disasters")
_FORMAT = 1
_ROW_GROUP = 2**17

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "no_store": (
        "{first} holds no store. Make one with `riskml import SOURCE {first}`.",
        "{first} 中没有数据仓。请用 riskml import SOURCE {first} 生成。",
    ),
    "damaged_store": (
        "{first} of the store is not what was written: {reason}. Restore it from a copy, or import the tables again.",
        "数据仓中的 {first} 与写入时不一致：{reason}。请从备份恢复，或重新导入数据表。",
    ),
}


@dataclass(frozen=True)
class Store:
    """An opened store.

    Attributes
    ----------
    folder : Path
        Where it is.
    manifest : dict
        What it holds: ``n_households``, ``extract_on``, ``settings`` (of ``monitoring.toml``), ``tables`` (kind of each
        column), ``first_areas`` (of each bucket; a bucket ends where the next begins), ``imports`` (the files of each
        import with row counts and hashes), ``sha256`` (of the rest).
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def n_buckets(self) -> int:
        """Number of buckets."""
        return len(self.manifest["first_areas"])

    @property
    def identity(self) -> str:
        """SHA-256 of all that is in the store."""
        return self.manifest["sha256"]

    @property
    def features(self) -> tuple[Any, ...]:
        """Features declared with the tables."""
        columns = self.manifest["tables"]
        tables = {name: schema_of(kinds).empty_table().to_pandas() for name, kinds in columns.items()}
        return declared_features(self.manifest["settings"], tables)

    def description(self) -> dict[str, Any]:
        """Return what the card of a model says of the data it learned from."""
        rows = [part["rows"] for part in self.manifest["imports"]]
        return {
            "households": self.manifest["n_households"],
            "tables": {name: sum(counts.get(name, 0) for counts in rows) for name in self.manifest["tables"]},
            "extract_on": self.manifest["extract_on"],
            "welfare_months": self.manifest["settings"]["welfare"]["months"],
            "notes": self.manifest["settings"]["notes"],
        }

    def files(self, name: str, bucket: int | None = None) -> list[str]:
        """Return the files of a table in a bucket (None: those kept once), oldest first, by their name in the store."""
        return [
            f"{part['folder']}/{relative}"
            for part in self.manifest["imports"]
            if (relative := file_of(name, bucket)) in part["files"]
        ]

    def bucket_of(self, area_ids: Iterable[str]) -> np.ndarray:
        """Return the number of the bucket of each area; any code belongs to one, also one never seen."""
        return bucket_of(area_ids, self.manifest["first_areas"])


def first_areas_of(counts: Iterable[tuple[str, int]], bucket_households: int) -> list[str]:
    """Return the first area code of each bucket; the first bucket begins before every code.

    Parameters
    ----------
    counts : iterable of (str, int)
        Areas in the order of their codes, with the number of households that ever lived there.
    bucket_households : int
        About how many a bucket holds.
    """
    first_areas, n_households = [""], 0
    for area, count in counts:
        if n_households and n_households + count > bucket_households:
            first_areas.append(area)
            n_households = 0
        n_households += count
    return first_areas


def bucket_of(area_ids: Iterable[str], first_areas: Sequence[str]) -> np.ndarray:
    """Return the number of the bucket of each area, given the first area of each bucket."""
    places, distinct = pd.factorize(pd.Index(area_ids))
    return np.array([bisect.bisect_right(first_areas, area) - 1 for area in distinct], dtype=np.int64)[places]


def with_disasters_of_areas(tables: Mapping[str, pd.DataFrame], disasters: pd.DataFrame) -> pd.DataFrame:
    """Return the disasters of a bucket's tables with those of whole areas where one of its households ever lived."""
    areas = tables["households"]["area_id"].unique()
    parts = [tables["disasters"], _of_areas(disasters, areas)]
    return pd.concat([frame for frame in parts if len(frame)] or parts[:1], ignore_index=True)


def is_store(folder: Path) -> bool:
    """Say whether a folder holds a store."""
    return (folder / MANIFEST).is_file()


def open_store(folder: str | Path) -> Store:
    """Open a store.

    Parameters
    ----------
    folder : str or Path
        As ``riskml import`` wrote it.

    Returns
    -------
    Store
        Its manifest, checked against its own hash; tables are read by :func:`read_bucket`.

    Raises
    ------
    DataRefused
        If there is none, or its manifest is not what was written.
    """
    folder = Path(folder)
    if not is_store(folder):
        raise _refused("no_store", str(folder))
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        written = manifest.pop("sha256")
    except (ValueError, KeyError, AttributeError) as error:
        raise _refused("damaged_store", MANIFEST, reason=error) from error
    if written != _sha256(manifest) or manifest["format"] != _FORMAT:
        raise _refused("damaged_store", MANIFEST, reason="SHA-256, 格式 / format")
    return Store(folder, {**manifest, "sha256": written})


def read_bucket(store: Store, bucket: int) -> Monitoring:
    """Return the monitoring data of one bucket.

    Parameters
    ----------
    store : Store
        The store.
    bucket : int
        From 0 to ``store.n_buckets - 1``.

    Returns
    -------
    Monitoring
        All households that ever lived in the bucket's areas, with all tables of the store.

    Raises
    ------
    DataRefused
        If a file is not what was written: it is hashed first, then those same bytes are parsed.
    """
    settings, columns = store.manifest["settings"], store.manifest["tables"]
    tables = {name: read_table(store, name, bucket) for name in columns if name != "lines"}
    tables["lines"] = read_table(store, "lines")
    if "disasters" in tables:
        tables["disasters"] = with_disasters_of_areas(tables, read_table(store, "disasters"))
    tables = {name: tables[name] for name in TABLES if name in tables}
    return Monitoring(
        tables,
        welfare_months=settings["welfare"]["months"],
        max_age_months=settings["welfare"]["max_age_months"],
        least_covered=settings["welfare"].get("least_covered", 0.75),
        extract_on=store.manifest["extract_on"],
        features=store.features,
        notes=tuple(settings["notes"]),
        checked=True,
    )


def read_table(store: Store, name: str, bucket: int | None = None) -> pd.DataFrame:
    """Return a table of a bucket, or (None) what is kept of it once, typed as in a :class:`riskml.Monitoring`."""
    schema = schema_of(store.manifest["tables"][name])
    parts = [verified(store, file) for file in store.files(name, bucket)]
    table = pa.concat_tables([schema.empty_table(), *parts])
    # In a Monitoring dates are whole seconds and missing numbers NaN, which is what pandas makes of nulls.
    dates = {i: table[i].cast(pa.timestamp("s")) for i, field in enumerate(schema) if pa.types.is_date(field.type)}
    for i, column in dates.items():
        table = table.set_column(i, schema.names[i], column)
    return table.to_pandas(self_destruct=True, split_blocks=True)


def verified(store: Store, file: str) -> pa.Table:
    """Return the contents of a file whose bytes are those that were written."""
    folder, _, relative = file.partition("/")
    entry = next(part["files"][relative] for part in store.manifest["imports"] if part["folder"] == folder)
    try:
        content = (store.folder / file).read_bytes()
    except FileNotFoundError as error:
        raise _refused("damaged_store", file, reason="the file is missing / 文件缺失") from error
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _refused("damaged_store", file, reason="SHA-256")
    return pq.read_table(pa.BufferReader(content), page_checksum_verification=True)


def file_of(name: str, bucket: int | None) -> str:
    """Return where a table of a bucket (None: what is kept once) stands within an import."""
    return f"{name}.parquet" if bucket is None else f"bucket-{bucket:05d}/{name}.parquet"


def column_kinds(frame: pd.DataFrame) -> dict[str, str]:
    """Return of each column of a typed table whether it holds ``text``, a ``date`` or a ``number``."""
    return {
        str(name): "date" if values.dtype.kind == "M" else "number" if values.dtype.kind == "f" else "text"
        for name, values in frame.items()
    }


def schema_of(kinds: Mapping[str, str]) -> pa.Schema:
    """Return the columns of a table as its files have them."""
    types = {"text": pa.string(), "date": pa.date32(), "number": pa.float64()}
    return pa.schema([(name, types[kind]) for name, kind in kinds.items()])


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Return a writer of a file of a store; every page has a checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True, use_dictionary=texts)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Put a manifest with its own hash in place, whole or not at all."""
    content = {"format": _FORMAT, "riskml": riskml.__version__, **manifest}
    content["sha256"] = _sha256(content)
    temporary = folder / f".{MANIFEST}"
    temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False), encoding="utf-8")
    flush_to_disk(temporary)
    temporary.replace(folder / MANIFEST)
    flush_to_disk(folder)


def flush_to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _of_areas(disasters: pd.DataFrame, areas: Iterable[str]) -> pd.DataFrame:
    """Return the disasters of areas that are, or hold, one of ``areas``."""
    hit = pa.array(disasters["area_id"], type=pa.string())
    known = pa.array(areas, type=pa.string())
    lengths = pc.utf8_length(hit)
    keep = np.zeros(len(disasters), dtype=bool)
    for length in pc.unique(lengths).to_pylist():
        prefixes = pc.unique(pc.utf8_slice_codeunits(known, 0, length))
        keep |= pc.and_(pc.equal(lengths, length), pc.is_in(hit, prefixes)).to_numpy(zero_copy_only=False)
    return disasters[keep]


def _refused(rule: str, first: str, **more: Any) -> DataRefused:
    return DataRefused([finding(rule, "", "", 1, first, messages=MESSAGES, **more)])
