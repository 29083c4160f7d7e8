"""Result files: whole or not there, the same after reading, harmless in a spreadsheet."""

from __future__ import annotations

import csv

import pandas as pd
import pytest

from riskml.files import read_table, replacing, write_table
from riskml.findings import DataRefused


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "household_id": ["052230119880101001", "-7", "NA"],
            "as_of_date": pd.to_datetime(["2024-12-01"] * 3),
            "rank": [1.0, 2.0, 3.0],
            "risk": [0.25, 0.125, float("nan")],
            "cause_1": ["illness", "", "=1+1"],
            "reason_zh": ["自付医疗费，占收入的40%", "@村", "+86"],
        }
    )


@pytest.mark.parametrize("name", ["list.parquet", "list.csv"])
def test_a_table_is_the_same_after_writing_and_reading(table, tmp_path, name):
    write_table(table, tmp_path / "扶贫 list" / name)
    again = read_table(tmp_path / "扶贫 list" / name)
    assert again["household_id"].tolist() == ["052230119880101001", "-7", "NA"]
    assert again["reason_zh"].tolist() == table["reason_zh"].tolist()
    assert again["cause_1"].tolist() == table["cause_1"].tolist()
    assert again["as_of_date"].tolist() == table["as_of_date"].tolist()
    pd.testing.assert_series_equal(again["risk"], table["risk"])


def test_no_cell_of_a_csv_is_a_formula(table, tmp_path):
    write_table(table, tmp_path / "list.csv")
    with (tmp_path / "list.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=1+1" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r", "-"))]


def test_negative_numbers_stay_numbers_in_a_csv(tmp_path):
    write_table(pd.DataFrame({"points_illness": [-0.5]}), tmp_path / "list.csv")
    assert (tmp_path / "list.csv").read_text(encoding="utf-8-sig") == "points_illness\n-0.5\n"


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:  # noqa: PT012 - it comes inside the writing
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["list.csv"]


@pytest.mark.parametrize("content", [b"", b"PAR1 no", b"\xff\xfe\x00bad", b"not a table"])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "list.parquet"
    path.write_bytes(content)
    with pytest.raises(DataRefused, match=r"list\.parquet"):
        read_table(path)


def test_a_damaged_parquet_file_is_refused(table, tmp_path):
    path = tmp_path / "list.parquet"
    write_table(table, path)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataRefused):
        read_table(path)


def test_missing_columns_are_named(table, tmp_path):
    write_table(table.drop(columns="risk"), tmp_path / "list.csv")
    with pytest.raises(DataRefused, match="risk, area_id"):
        read_table(tmp_path / "list.csv", required=("household_id", "risk", "area_id"))


def test_ids_that_are_numbers_are_refused(tmp_path):
    pd.DataFrame({"household_id": [52230119880101001]}).to_parquet(tmp_path / "list.parquet")
    with pytest.raises(DataRefused, match="household_id"):
        read_table(tmp_path / "list.parquet")


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "list.csv")
