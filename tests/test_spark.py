"""Tables in Spark: the same numbers as from a folder, whatever moves; needs PySpark and Java (`./run test spark`)."""

from __future__ import annotations

import os
import shutil
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_buckets import AS_OF, with_moves

import riskml as rk
from riskml import spark
from riskml.findings import DataRefused
from riskml.steps import features_on, ranked

sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed; `./run test spark` installs it")
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    pytest.skip("Java is not installed; `./run test spark` installs it", allow_module_level=True)

from pyspark.errors import PythonException  # noqa: E402  only where there is PySpark
from pyspark.sql import functions as F  # noqa: E402

# PySpark 4.3 says so of its own pandas functions; only Arrow passes between it and riskml.
pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")

#: Tables whose columns are of the types that a warehouse would give them, which are not those of a Monitoring.
CASTS = {
    ("incomes", "months"): "int",
    ("incomes", "date"): "string",
    ("members", "birth"): "timestamp_ntz",
    ("members", "disability"): "boolean",
    ("housing", "grade"): "decimal(4,1)",
    ("housing", "known_on"): "timestamp_ntz",
}


@pytest.fixture(scope="module")
def session():
    """Return a local Spark with one core, whose workers are this Python."""
    builder = sql.SparkSession.builder.master("local[1]").appName("riskml")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "Asia/Shanghai",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def county():
    """Return a county in which households move, storms hit a village and a township, and a model of it."""
    data = rk.datasets.make_monitoring(360, n_months=24, random_state=3)
    tables = with_moves(dict(data.tables), 0)
    areas = sorted(tables["households"]["area_id"].unique())
    storms = pd.DataFrame(
        {
            "household_id": "",
            "area_id": [areas[0], areas[-1][:-3]],
            "date": pd.to_datetime(["2022-02-03", "2022-03-04"]),
            "known_on": pd.to_datetime(["2022-02-10", "2022-03-10"]),
            "record_id": ["storm 1", "storm 2"],
            "kind": "storm",
            "severity": [3.0, 2.0],
        }
    )
    tables["disasters"] = pd.concat([tables["disasters"], storms], ignore_index=True)
    data = rk.Monitoring(tables, extract_on=data.extract_on)
    dates = rk.training_dates(data, horizon_months=6)
    return data, rk.RiskClassifier().fit(*rk.training_set(data, dates, horizon_months=6))


@pytest.fixture(scope="module")
def tables(session, county):
    """Return the county's tables in Spark."""
    data, _ = county
    given = {name: in_spark(session, table) for name, table in data.tables.items()}
    for (name, column), kind in CASTS.items():
        given[name] = given[name].withColumn(column, F.col(column).cast(kind))
    return given


def in_spark(session, table: pd.DataFrame):
    """Return a typed table as a warehouse has it: missing ids and numbers null, days as dates."""
    rows = pa.Table.from_pandas(table, preserve_index=False)
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(place, field.name, rows[place].cast(pa.date32()))
        elif not pa.types.is_floating(field.type):
            values = pa.array([text or None for text in rows[place].to_pylist()], pa.string())
            rows = rows.set_column(place, field.name, values)
    return session.createDataFrame(rows)


def in_order(listed) -> pd.DataFrame:
    """Return a list from Spark by rank."""
    listed = listed.toArrow().to_pandas()
    return listed.sort_values(["risk", "household_id"], ascending=[False, True], ignore_index=True)


def of_folder(county) -> pd.DataFrame:
    data, model = county
    listed = ranked(data, model, features_on(data, model, AS_OF), n_listed=None, n_explained=None)
    return listed.drop(columns="rank")


def assert_same_list(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found.columns) == list(expected.columns)
    assert set(found["as_of_date"]) == {pd.Timestamp(AS_OF).date()}
    ends = [pd.to_datetime(listed["support_ends_on"]) for listed in (found, expected)]
    assert ends[0].notna().any()
    assert ends[0].astype("datetime64[s]").tolist() == ends[1].tolist()
    found, expected = (listed.drop(columns="support_ends_on") for listed in (found, expected))
    numbers = list(expected.select_dtypes("float"))
    texts = [name for name in expected if name not in (*numbers, "as_of_date")]
    assert found[texts].to_numpy().tolist() == expected[texts].to_numpy().tolist()
    np.testing.assert_allclose(found[numbers], expected[numbers], rtol=0, atol=1e-9, equal_nan=True)


def test_the_list_from_spark_is_that_of_the_folder(county, tables):
    _, model = county
    expected = of_folder(county)
    found = in_order(spark.score(tables, model, AS_OF, bucket_households=80))
    assert_same_list(found, expected)
    assert (expected["points_disaster"] != 0).any()
    assert found["household_id"].is_unique


def test_the_first_of_the_nation_are_explained_where_each_bucket_explains_its_first(county, tables):
    _, model = county
    found = in_order(spark.score(tables, model, AS_OF, bucket_households=80, n_explained=15))
    expected = of_folder(county)
    assert_same_list(found[:15], expected[:15])
    assert found["household_id"].tolist() == expected["household_id"].tolist()
    unexplained = found["cause_1"] == ""
    assert unexplained.any()
    assert found.loc[unexplained, "points_income"].isna().all()


def holds_only_where_they_live_now(households, bucket_households):
    """Plant a fault: a bucket holds the households that live there now, not those that ever did."""
    _, first_areas = honest_homes(households, bucket_households)
    newest = households.groupBy("household_id").agg(F.max_by("area_id", "known_on").alias("area_id"))
    now = [(row[0], int(spark.bucket_of([row[1]], first_areas)[0])) for row in newest.collect()]
    return households.sparkSession.createDataFrame(now, "household_id string, bucket int"), first_areas


def forgets_disasters_of_areas(table):
    """Plant a fault: what struck a whole area strikes nobody."""
    return honest_areas(table) if "amount" in table.columns else honest_areas(table)[:0]


honest_homes, honest_areas = spark._homes, spark._whole_areas


@pytest.mark.parametrize(
    ("name", "fault"), [("_homes", holds_only_where_they_live_now), ("_whole_areas", forgets_disasters_of_areas)]
)
def test_a_planted_fault_is_caught(county, tables, monkeypatch, name, fault):
    monkeypatch.setattr(spark, name, fault)
    found = in_order(spark.score(tables, county[1], AS_OF, bucket_households=80))
    with pytest.raises(AssertionError):
        assert_same_list(found, of_folder(county))


def test_every_value_comes_out_of_the_stack_as_it_went_in(session):
    numbers = [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("nan"), None, 1e15 + 0.125, -np.pi]
    ids = [f"{place:018d}" for place in range(len(numbers))]
    rows = {
        "first": pa.table(
            {
                "household_id": ids,
                "amount.a": pa.array(numbers),
                "`b`": pa.array(numbers[::-1]),
                "day": pa.array([0, -25567, 84370, None, 19000, 1, 2, 3], pa.date32()),
                "moment": pa.array([0, -1, 10**15 + 1, None, 1, 2, 3, 4], pa.timestamp("us")),
                "text": ["", None, "县 a", "'`\"\\", " ", "\n", "null", "0"],
            }
        ),
        "second": pa.table(
            {
                "household_id": ids,
                "whole": pa.array([2**53 - 1, -(2**53) + 1, 0, 1, 2, 3, 4, 5]),
                "flag": pa.array([True, False, None, True, False, None, True, False]),
                "money": pa.array([Decimal("0.10"), None, *map(Decimal, range(6))], pa.decimal128(12, 2)),
            }
        ),
    }
    given = {name: session.createDataFrame(table) for name, table in rows.items()}
    given["first"] = given["first"].withColumn("moment", F.col("moment").cast("timestamp_ntz"))
    stacked, layout = spark.stack(given)
    found = spark.unstack(stacked.toArrow(), layout)
    assert list(found) == list(rows)
    for name, table in rows.items():
        back = found[name].set_index("household_id").loc[ids]
        for column in table.column_names[1:]:
            if column == "moment":
                # createDataFrame took these as times of the session's zone, of which the cast shows the clock.
                expected = [row[0] for row in given[name].select(column).collect()]
            else:
                expected = table[column].to_pylist()
            for value, came in zip(expected, back[column], strict=True):
                if value is None or value != value:
                    assert pd.isna(came), column
                elif isinstance(value, float):
                    assert np.float64(value).tobytes() == np.float64(came).tobytes(), column
                else:
                    assert came == (pd.Timestamp(value) if hasattr(value, "year") else value), column


def test_what_can_be_refused_before_a_row_is_read_is_refused_at_once(county, tables):
    given = {**tables, "incomes": tables["incomes"].withColumn("household_id", F.lit(7)).drop("months")}
    del given["lines"]
    with pytest.raises(DataRefused) as refused:
        spark.score({**given, "animals": tables["lines"]}, county[1], AS_OF)
    found = {(one.rule, one.table, one.column) for one in refused.value.findings}
    assert found == {
        ("unknown_table", "animals", ""),
        ("missing_table", "lines", ""),
        ("id_not_string", "incomes", "household_id"),
        ("missing_column", "incomes", "months"),
    }


def test_what_a_bucket_refuses_is_said_in_the_same_words(county, tables):
    housing = tables["housing"].limit(1).withColumn("household_id", F.lit("nobody"))
    zoned = tables["water"].withColumn("date", F.col("date").cast("timestamp"))
    given = {**tables, "housing": tables["housing"].union(housing), "water": zoned}
    with pytest.raises(PythonException) as refused:
        spark.score(given, county[1], AS_OF).collect()
    assert "housing.household_id is not in households.household_id in 1 rows (first: household_id 'nobody'" in str(
        refused.value
    )
    assert "water.date is not a date" in str(refused.value)


def test_a_day_with_nobody_at_risk_gives_an_empty_list(county, tables):
    assert spark.score(tables, county[1], "1990-01-01").count() == 0
