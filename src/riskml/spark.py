"""Scoring tables that live in Spark: the function that scores a bucket of a store, run under ``applyInArrow``.

Buckets are those of :mod:`riskml.buckets.store`: an area is never split, a bucket holds every household that ever lived
in one of its areas, with all its records, and answers for those whose area, as known on the date, is its own. Here
they are not written: Spark brings the rows of a bucket together. For that the rows of all tables are stacked into one
DataFrame, the values of each row in one array for each Spark type, so that no value is converted on the way. ``lines``
and the disasters of whole areas are few and go to every bucket with the function.

Needs the extra ``spark`` (PySpark 4), Java 17 or later, and riskml installed on every executor.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from riskml.buckets.scoring import part_schema, require_welfare, score_data
from riskml.buckets.store import SHARED, bucket_of, first_areas_of, with_disasters_of_areas
from riskml.findings import DataRefused, Finding
from riskml.model.classifier import RiskClassifier
from riskml.model.store import load_model, save_model
from riskml.tables.contract import TABLES
from riskml.tables.monitoring import Monitoring
from riskml.tables.validation import column_findings, finding, missing_tables

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Rule -> message in English and Chinese, as in :data:`riskml.tables.validation.MESSAGES`.
MESSAGES: dict[str, tuple[str, str]] = {
    "id_not_string": (
        "{where} is {first} in Spark, expected string. Numbers lose leading zeros, and an id once read as a number may "
        "already have lost digits. Read the column as string.",
        "{where} 在 Spark 中的类型是 {first}，应为 string。数字会丢失前导零，读成数字的编号可能已丢失位数。"
        "请将该列读取为 string。",
    ),
}
#: Columns of the stacked tables besides those that hold values.
_TABLE, _HOUSEHOLD, _BUCKET = "table", "household_id", "bucket"


def score(
    tables: Mapping[str, DataFrame],
    model: RiskClassifier,
    as_of_date: str,
    *,
    n_explained: int | None = None,
    bucket_households: int = 10_000,
    **monitoring: Any,
) -> DataFrame:
    """Return the risks of a date, with reasons, of all households of tables in Spark.

    The values are those of ``riskml score`` on the same tables. Two small jobs run at once (households of each area;
    lines and disasters of areas); the rest runs when the result is used. Cache tables that are costly to read.

    Parameters
    ----------
    tables : mapping of str to Spark DataFrame
        Tables of :data:`riskml.tables.contract.TABLES` by name, as :class:`riskml.Monitoring` takes them: ids are
        ``string``, dates ``date`` (or ``timestamp_ntz``, or text like 2021-03-01; not ``timestamp``, which has a time
        zone). Numeric columns beyond the contract are kept, others left out.
    model : RiskClassifier
        A fitted model. Executors get it as a bundle and load it with :func:`riskml.load_model`.
    as_of_date : str
        The day the question is asked, such as ``"2024-12-01"``.
    n_explained : int, optional
        Reasons for the first so many households of each bucket only, since a bucket does not know the others: enough
        for the first so many of the nation. Default: for all.
    bucket_households : int, default 10_000
        About how many households a bucket holds. All its records are in the memory of one Python worker at once: half a
        gigabyte, and about 27 MB for each 1,000 households of 50 records.
    **monitoring
        ``welfare_months, max_age_months, extract_on, features`` of :class:`riskml.Monitoring`.

    Returns
    -------
    Spark DataFrame
        One row a household at risk, in no order: the columns of :func:`riskml.watchlist` except ``rank``, with
        ``as_of_date`` and ``support_ends_on`` of type ``date``. The rank is the place by falling ``risk``, equal risks
        by ``household_id``; order by these and take the first N. Empty if nobody is at risk. ``points_<cause>`` are
        NaN, causes and reasons empty where not explained. Since everybody is there, the assistance cliff is the rows
        whose ``support_ends_on`` lies within three months.

    Raises
    ------
    DataRefused
        If a table or column is missing, or an id is no string. All else that is refused is found bucket by bucket
        where the result is used: Spark then raises ``PythonException`` with the same words, and the counts are those of
        one bucket.
    ModelRefused
        If the model learned another outcome than welfare.

    Examples
    --------
    >>> tables = {name: spark.read.parquet(f"{place}/{name}") for name in names}  # doctest: +SKIP
    >>> listed = rk.spark.score(tables, rk.load_model("models/nation"), "2024-12-01")  # doctest: +SKIP
    >>> listed.orderBy(listed["risk"].desc(), "household_id").limit(50_000).write.parquet("watchlist")  # doctest: +SKIP
    """
    require_welfare(model)
    findings = _findings(tables)
    if findings:
        raise DataRefused(findings)
    taken = {name: _taken(name, tables[name]) for name in TABLES if name in tables}
    homes, first_areas = _homes(taken["households"], bucket_households)
    shared = {name: _whole_areas(taken[name]) for name in SHARED if name in taken}
    stacked, layout = stack({name: table for name, table in taken.items() if name != "lines"})
    task = _Task(layout, shared, first_areas, _bundle_of(model), as_of_date, n_explained, monitoring)
    # Records of households that are nowhere go to the first bucket, which refuses them.
    rows = stacked.join(homes, _HOUSEHOLD, "left").drop(_HOUSEHOLD).fillna(0, [_BUCKET])
    return rows.groupBy(_BUCKET).applyInArrow(
        lambda key, bucket_rows: task.score(key[0].as_py(), bucket_rows), _result_columns()
    )


def stack(tables: Mapping[str, DataFrame]) -> tuple[DataFrame, dict[str, dict[str, list[str]]]]:
    """Return the rows of all tables, except disasters of whole areas, as one DataFrame; and what stands where.

    Parameters
    ----------
    tables : mapping of str to Spark DataFrame
        Each with ``household_id`` (``disasters`` may lack it).

    Returns
    -------
    stacked : Spark DataFrame
        ``table``, ``household_id``, and for each Spark type that occurs an array of the row's values of this type.
    layout : dict of dict of list of str
        By table and array, the columns whose values the array holds, in order.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType

    arrays: dict[Any, str] = {}
    layout: dict[str, dict[str, list[str]]] = {}
    for name, table in tables.items():
        layout[name] = {}
        for field in table.schema:
            array = arrays.setdefault(field.dataType, f"values_{len(arrays)}")
            layout[name].setdefault(array, []).append(field.name)
    parts = []
    for name, table in tables.items():
        household_id = F.col(_HOUSEHOLD) if _HOUSEHOLD in table.columns else F.lit("")
        own = table.where(household_id != "") if name in SHARED else table
        values = [
            F.array(*map(_column, layout[name][array]))
            if array in layout[name]
            else F.lit(None).cast(ArrayType(data_type))
            for data_type, array in arrays.items()
        ]
        named = [value.alias(array) for value, array in zip(values, arrays.values(), strict=True)]
        parts.append(own.select(F.lit(name).alias(_TABLE), household_id.alias(_HOUSEHOLD), *named))
    return functools.reduce(lambda one, other: one.union(other), parts), layout


def unstack(rows: pa.Table, layout: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, pd.DataFrame]:
    """Return the tables whose rows were stacked, with every value as it was."""
    tables = {}
    for name, arrays in layout.items():
        own = rows.filter(pc.equal(rows[_TABLE], name))
        columns = {}
        for array, names in arrays.items():
            values = own[array].combine_chunks().flatten()
            for place, column in enumerate(names):
                columns[column] = values.take(pa.array(np.arange(place, len(values), len(names))))
        tables[name] = _frame(pa.table(columns))
    return tables


@dataclass(frozen=True)
class _Task:
    """What an executor needs to score a bucket, besides its rows."""

    layout: Mapping[str, Mapping[str, Sequence[str]]]
    shared: Mapping[str, pa.Table]
    first_areas: Sequence[str]
    bundle: tuple[str, tuple[tuple[str, bytes], ...]]
    as_of_date: str
    n_explained: int | None
    monitoring: Mapping[str, Any]

    def score(self, bucket: int, rows: pa.Table) -> pa.Table:
        tables = unstack(rows, self.layout)
        if "disasters" in tables:
            tables["disasters"] = with_disasters_of_areas(tables, _frame(self.shared["disasters"]))
        data = Monitoring({**tables, "lines": _frame(self.shared["lines"])}, **self.monitoring)
        asked: dict[str, Any] = {"as_of_date": self.as_of_date, "n_listed": None, "n_explained": self.n_explained}
        listed, *_ = score_data(data, bucket, self.first_areas, _loaded(self.bundle), **asked)
        part = pa.Table.from_pandas(listed.drop(columns="rank"), schema=part_schema(), preserve_index=False)
        return part.cast(_result_schema()).replace_schema_metadata(None)


def _findings(tables: Mapping[str, DataFrame]) -> list[Finding]:
    """Return what can be said of the tables before any row is read."""
    from pyspark.sql.types import StringType

    expected = ", ".join(TABLES)
    findings = [finding("unknown_table", name, "", 1, name, expected=expected) for name in tables if name not in TABLES]
    findings += missing_tables(tables)
    for name in (name for name in TABLES if name in tables):
        findings += column_findings(name, pd.DataFrame(columns=tables[name].columns))
        for field in tables[name].schema:
            if _is_id(name, field.name) and not isinstance(field.dataType, StringType):
                came = field.dataType.simpleString()
                findings.append(finding("id_not_string", name, field.name, 1, came, messages=MESSAGES))
    return findings


def _taken(name: str, table: DataFrame) -> DataFrame:
    """Return the columns that a Monitoring would keep; missing ids are empty text, as there."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import BooleanType, NumericType

    return table.select(
        [
            F.coalesce(_column(field.name), F.lit("")).alias(field.name)
            if _is_id(name, field.name)
            else _column(field.name)
            for field in table.schema
            if field.name in TABLES[name].by_name or isinstance(field.dataType, (NumericType, BooleanType))
        ]
    )


def _homes(households: DataFrame, bucket_households: int) -> tuple[DataFrame, list[str]]:
    """Return in which buckets each household ever lived, and the first area of each bucket."""
    from pyspark.sql import functions as F

    counted = households.groupBy("area_id").agg(F.countDistinct(_HOUSEHOLD)).collect()
    counts = sorted((area, count) for area, count in counted)
    first_areas = first_areas_of(counts, bucket_households)
    areas = [area for area, _ in counts]
    numbered = list(zip(areas, bucket_of(areas, first_areas).tolist(), strict=True))
    of_area = households.sparkSession.createDataFrame(numbered, f"area_id string, {_BUCKET} int")
    return households.join(F.broadcast(of_area), "area_id").select(_HOUSEHOLD, _BUCKET).distinct(), first_areas


def _whole_areas(table: DataFrame) -> pa.Table:
    """Return the rows of a table that belong to no household."""
    from pyspark.sql import functions as F

    return (table.where(F.col(_HOUSEHOLD) == "") if _HOUSEHOLD in table.columns else table).toArrow()


def _bundle_of(model: RiskClassifier) -> tuple[str, tuple[tuple[str, bytes], ...]]:
    """Return the name of a model's bundle, and its files."""
    with tempfile.TemporaryDirectory(prefix="riskml-bundle-") as place:
        bundle = save_model(model, place)
        return bundle.name, tuple((path.name, path.read_bytes()) for path in sorted(bundle.iterdir()))


@lru_cache(maxsize=1)
def _loaded(bundle: tuple[str, Iterable[tuple[str, bytes]]]) -> RiskClassifier:
    """Return the model of a bundle; a worker asks for the same one with every bucket."""
    name, files = bundle
    with tempfile.TemporaryDirectory(prefix="riskml-bundle-") as place:
        folder = Path(place) / name
        folder.mkdir()
        for file, content in files:
            (folder / file).write_bytes(content)
        return load_model(folder)


def _result_schema() -> pa.Schema:
    """Return the columns of a part with dates as Spark has them."""
    dated = pa.types.is_timestamp
    fields = [pa.field(field.name, pa.date32()) if dated(field.type) else field for field in part_schema()]
    return pa.schema(fields)


def _result_columns() -> str:
    """Return the columns of the result as Spark writes a schema."""
    kinds = {pa.string(): "string", pa.date32(): "date", pa.float64(): "double"}
    return ", ".join(f"{field.name} {kinds[field.type]}" for field in _result_schema())


def _is_id(table: str, column: str) -> bool:
    return column in TABLES[table].by_name and TABLES[table].by_name[column].kind == "id"


def _column(name: str) -> Column:
    """Return a column by its name, whatever characters are in it."""
    from pyspark.sql import functions as F

    return F.col("`" + name.replace("`", "``") + "`")


def _frame(rows: pa.Table) -> pd.DataFrame:
    return rows.to_pandas(date_as_object=False)
