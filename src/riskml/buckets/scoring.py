"""Scoring a store: one pure function mapped over its buckets, parts that outlive a crash, ranks merged at the end."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import riskml
from riskml.buckets.store import Store, bucket_of, flush_to_disk, read_bucket
from riskml.explanation.coalitions import CausesAs
from riskml.features.panel import cohort, feature_table
from riskml.files import TEXT, TEXT_PREFIXES, replacing, write_pieces
from riskml.findings import ModelRefused, in_words
from riskml.model.classifier import RiskClassifier
from riskml.model.store import check_fits
from riskml.output.cliff import CLIFF_COLUMNS, in_cliff_order
from riskml.output.watchlists import WATCHLIST_COLUMNS
from riskml.steps import Tell, cliff_of, nobody_at_risk, ranked, without_reasons
from riskml.tables.monitoring import Monitoring

#: Rows brought into memory at a time while the ranks are merged.
_MERGED_AT_ONCE = 100_000
#: Rows of a part that are read together.
_GROUP_ROWS = 8192


def score_store(
    store: Store,
    model: RiskClassifier,
    as_of_date: str,
    out: Path,
    *,
    n_listed: int | None = None,
    n_explained: int | None = None,
    causes: CausesAs = "sum",
    n_jobs: int = 1,
    tell: Tell | None = None,
) -> tuple[int, int, pd.DataFrame]:
    """Write the watchlist of a date for all households of a store.

    Every finished bucket is kept in ``<out>.parts``, under a name that stands for the store, the model, the date
    and what was asked; the same command run again after a crash goes on from there. The result is that of an unbroken
    run, byte for byte, whatever ``n_jobs``. The parts are removed when the watchlist is in place.

    Parameters
    ----------
    store : Store
        Where the tables are.
    model : RiskClassifier
        A fitted model.
    as_of_date : str
        The day the question is asked, such as ``"2024-12-01"``.
    out : Path
        File to write, ``.parquet`` or ``.csv``.
    n_listed : int, optional
        Only so many households, of the highest risk in the whole store.
    n_explained : int, optional
        Reasons for so many of them only. Each bucket explains as many of its own, since it does not know the others.
    causes : {"sum", "players"}, default "sum"
        How causes are counted, as in :func:`riskml.explain`.
    n_jobs : int, default 1
        Buckets computed at the same time, each in a process of its own and with its own memory.
    tell : callable, optional
        Is told how far the work is.

    Returns
    -------
    n_cohort, n_written : int
        Households at risk on the date, and those in the file.
    cliff : DataFrame
        The households at risk whose support ends soon (:func:`riskml.assistance_cliff`), in the file or not.

    Raises
    ------
    DataRefused
        If a file of the store is not what was written.
    ModelRefused
        If the store lacks what the model was trained on, or the model learned another outcome than welfare.
    ValueError
        If nobody is at risk on the date.
    """
    require_welfare(model)
    asked = {"as_of_date": as_of_date, "n_listed": n_listed, "n_explained": n_explained, "causes": causes}
    place = out.with_name(f"{out.name}.parts")
    parts_folder = place / _identity(store, model, asked)
    parts = [parts_folder / f"bucket-{bucket:05d}.parquet" for bucket in range(store.n_buckets)]
    waiting = [bucket for bucket, path in enumerate(parts) if not path.exists()]
    if tell is not None and len(waiting) < len(parts):
        n_done = len(parts) - len(waiting)
        tell(in_words(f"{n_done} of {len(parts)} buckets were done before", f"此前已完成{n_done}/{len(parts)}组"))
    # Processes are made anew by loky: a fork after threads of LightGBM or OpenMP hangs.
    workers = joblib.Parallel(n_jobs=n_jobs, backend="loky", return_as="generator_unordered")
    done = workers(joblib.delayed(_write_part)(store, bucket, model, parts[bucket], **asked) for bucket in waiting)
    for number, bucket in enumerate(done, start=len(parts) - len(waiting) + 1):
        if tell is not None:
            said = f"bucket {bucket + 1} done, {number} of {len(parts)}"
            tell(in_words(said, f"第{bucket + 1}组已完成，共{number}/{len(parts)}组"))
    n_cohort = sum(int(pq.read_schema(path).metadata[b"n_cohort"]) for path in parts)
    if not n_cohort:
        shutil.rmtree(place, ignore_errors=True)
        raise nobody_at_risk(as_of_date)
    n_written = write_pieces(_in_rank_order(parts, n_listed, n_explained), out, beside=parts_folder)
    flush_to_disk(out)
    flush_to_disk(out.parent)
    near = [pq.read_table(_cliff_beside(path)).to_pandas() for path in parts]
    cliff = in_cliff_order(pd.concat([table for table in near if len(table)] or near[:1]))
    shutil.rmtree(place, ignore_errors=True)
    return n_cohort, n_written, cliff


def require_welfare(model: RiskClassifier) -> None:
    """Refuse a model of another outcome than welfare: its cohort is not computed bucket by bucket.

    Raises
    ------
    ModelRefused
        If it learned another outcome.
    """
    learned = model.fit_summary_.get("outcome", "welfare")
    if learned != "welfare":
        raise ModelRefused(
            in_words(
                f"the model learned the outcome '{learned}'; a store is scored for 'welfare' only. Score a folder",
                f"模型学习的结果是“{learned}”，数据仓只能按“welfare”评分；请用数据表文件夹评分",
            )
        )


def score_bucket(
    store: Store,
    bucket: int,
    model: RiskClassifier,
    *,
    as_of_date: str,
    n_listed: int | None,
    n_explained: int | None,
    causes: CausesAs = "sum",
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Return the watchlist of one bucket, ranked within it, whose support ends soon, and how many it answers for.

    A pure function: the same in a loop, in another process or on another machine.
    """
    asked: dict[str, Any] = {"as_of_date": as_of_date, "n_listed": n_listed, "n_explained": n_explained}
    asked["causes"] = causes
    return score_data(read_bucket(store, bucket), bucket, store.manifest["first_areas"], model, **asked)


def score_data(
    data: Monitoring,
    bucket: int,
    first_areas: Sequence[str],
    model: RiskClassifier,
    *,
    as_of_date: str,
    n_listed: int | None,
    n_explained: int | None,
    causes: CausesAs = "sum",
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Do what :func:`score_bucket` does, given the tables of the bucket and the first area of every bucket."""
    X = feature_table(data, [as_of_date])
    check_fits(model, X)
    # Others who once lived here are answered for by the bucket in which they lived on the day.
    area_id = cohort(data, [as_of_date])["area_id"]
    X = X.loc[bucket_of(area_id, first_areas) == bucket, list(model.feature_names_in_)]
    if X.empty:
        return pd.DataFrame(columns=WATCHLIST_COLUMNS), pd.DataFrame(columns=CLIFF_COLUMNS), 0
    listed = ranked(data, model, X, n_listed=n_listed, n_explained=n_explained, causes=causes)
    return listed, cliff_of(data, model, X), len(X)


def _identity(store: Store, model: RiskClassifier, asked: dict[str, Any]) -> str:
    """Return a name for the run: the same only if store, model, date and all that was asked are the same."""
    learned = [
        [
            *(booster.model_to_string() for booster in (each.booster_, *each.refits_)),
            each.calibrator_.as_dict(),
            each.dictionary_.to_json(),
        ]
        for each in (model, model.net_)
        if each is not None
    ]
    whole = json.dumps([riskml.__version__, store.identity, learned, asked], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _write_part(store: Store, bucket: int, model: RiskClassifier, path: Path, **asked: Any) -> int:
    """Write the part of a bucket, whole or not at all; return its number."""
    listed, cliff, n_cohort = score_bucket(store, bucket, model, **asked)
    # Before the part, whose being there says that the bucket is done.
    with replacing(_cliff_beside(path)) as temporary:
        schema = pa.schema([(name, _kind(name)) for name in CLIFF_COLUMNS])
        pq.write_table(pa.Table.from_pandas(cliff, schema=schema, preserve_index=False), temporary)
        flush_to_disk(temporary)
    table = pa.Table.from_pandas(listed.drop(columns="rank"), schema=part_schema(), preserve_index=False)
    with replacing(path) as temporary:
        metadata = {"n_cohort": str(n_cohort)}
        pq.write_table(
            table.replace_schema_metadata(metadata), temporary, row_group_size=_GROUP_ROWS, write_page_checksum=True
        )
        flush_to_disk(temporary)
    # The next bucket should find the memory of this one.
    del listed, table
    gc.collect()
    pa.default_memory_pool().release_unused()
    return bucket


def part_schema() -> pa.Schema:
    """Return the columns of a part: those of a watchlist without the rank, which only all parts together give."""
    return pa.schema([(name, _kind(name)) for name in WATCHLIST_COLUMNS if name != "rank"])


def _cliff_beside(part: Path) -> Path:
    """Return where the households of a bucket are kept whose support ends soon."""
    return part.with_name(part.name.replace("bucket", "cliff"))


def _kind(name: str) -> pa.DataType:
    if name in TEXT or name.startswith(TEXT_PREFIXES):
        return pa.string()
    return pa.timestamp("s") if name == "as_of_date" or name.endswith("_on") else pa.float64()


def _in_rank_order(parts: Sequence[Path], n_listed: int | None, n_explained: int | None) -> Iterator[pd.DataFrame]:
    """Yield the rows of all parts by falling risk, equal risks by household, as one list with its ranks.

    Each part is in that order already. So the risks alone say which rows of each part stand in the next piece of the
    list, and no more than a piece is read at a time; households of one risk always stand in one piece.
    """
    falling = [-pq.read_table(path, columns=["risk"])["risk"].to_numpy() for path in parts]
    whole = np.sort(np.concatenate(falling))
    n_left = len(whole) if n_listed is None else min(n_listed, len(whole))
    bounds = np.unique(np.append(whole[_MERGED_AT_ONCE - 1 : n_left : _MERGED_AT_ONCE], whole[n_left - 1]))
    n_before = 0
    start = [0] * len(parts)
    for bound in bounds:
        stop = [int(np.searchsorted(risks, bound, side="right")) for risks in falling]
        rows = [_rows(path, *span) for path, *span in zip(parts, start, stop, strict=True) if span[0] < span[1]]
        piece = pa.concat_tables(rows).replace_schema_metadata(None).to_pandas()
        piece = piece.sort_values(["risk", "household_id"], ascending=[False, True], kind="stable", ignore_index=True)
        piece = piece.assign(rank=np.arange(n_before + 1, n_before + len(piece) + 1))[: n_left - n_before]
        n_before += len(piece)
        if n_explained is not None and n_before > n_explained:
            kept = max(n_explained - n_before + len(piece), 0)
            piece = pd.concat([piece[:kept], without_reasons(piece[kept:])] if kept else [without_reasons(piece)])
        yield piece[WATCHLIST_COLUMNS]
        start = stop


def _rows(path: Path, start: int, stop: int) -> pa.Table:
    """Return rows ``start`` to ``stop`` of a part, reading no more than the groups they stand in."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        metadata = file.metadata
        ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        groups = file.read_row_groups(range(first, last + 1))
    return groups.slice(start - (ends[first - 1] if first else 0), stop - start)
