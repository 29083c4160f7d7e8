"""Files to tables and back: formats, encodings, the mapping, and files that must be refused."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from riskml.features.declarations import Latest, Season
from riskml.findings import DataRefused
from riskml.tables.contract import as_markdown
from riskml.tables.lines import welfare_records
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import read_monitoring, write_monitoring
from riskml.tables.settings import read_settings

EXAMPLE = Path(__file__).parents[1] / "docs" / "example"
TABLES = {
    "households": "household_id,area_id,known_on\n001,5203,2020-01-01\nNA,5203,2020-01-01\n",
    "incomes": "household_id,date,known_on,months,wage,units\n"
    "001,2021-01-31,2021-02-05,1,500,2\nNA,2021-01-31,2021-02-06,1,,3\n",
    "lines": "area_id,valid_from,amount,unit,basis\n,2020-01-01,4000,person_year,国家标准\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def refused(folder: Path) -> list[str]:
    with pytest.raises(DataRefused) as refusal:
        read_monitoring(folder)
    return [finding.rule for finding in refusal.value.findings]


def assert_same(one: Monitoring, other: Monitoring) -> None:
    assert list(one.tables) == list(other.tables)
    for name, frame in one.tables.items():
        pd.testing.assert_frame_equal(frame, other.tables[name])
    for setting in ("welfare_months", "max_age_months", "extract_on", "features", "notes"):
        assert getattr(one, setting) == getattr(other, setting)


def test_csv_keeps_ids_as_text_and_a_village_called_na(folder: Path) -> None:
    data = read_monitoring(folder)
    assert data.tables["households"]["household_id"].tolist() == ["001", "NA"]
    wage = data.tables["incomes"]["wage"]
    assert wage.tolist()[0] == 500
    assert np.isnan(wage[1])


@pytest.mark.parametrize(
    ("encoding", "noted"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8 with mark"), ("gb18030", "GB18030")]
)
def test_the_encoding_of_a_csv_file_is_recognised_and_noted(folder: Path, encoding: str, noted: str) -> None:
    (folder / "lines.csv").write_text(TABLES["lines"], encoding=encoding)
    data = read_monitoring(folder)
    assert data.tables["lines"]["basis"].tolist() == ["国家标准"]
    assert f"lines.csv: {noted}" in data.notes


def test_windows_line_ends_quotes_and_empty_rows_are_read(folder: Path) -> None:
    text = 'area_id,valid_from,amount,unit,basis\r\n,2020-01-01,4000,person_year,"a, ""b""\nc"\r\n,,,,\r\n\r\n'
    (folder / "lines.csv").write_bytes(text.encode())
    assert read_monitoring(folder).tables["lines"]["basis"].tolist() == ['a, "b"\nc']


def test_a_folder_may_mix_formats(folder: Path) -> None:
    expected = read_monitoring(folder)
    (folder / "incomes.csv").unlink()
    incomes = pd.DataFrame(
        {
            "household_id": ["001", "NA"],
            "date": pd.to_datetime(["2021-01-31"] * 2).date,
            "known_on": pd.to_datetime(["2021-02-05", "2021-02-06"]),
            "months": pd.array([1, 1], "Int8"),
            "wage": [500, None],
            "units": [2, 3],
        }
    )
    pq.write_table(pa.Table.from_pandas(incomes), folder / "incomes.parquet")
    pd.testing.assert_frame_equal(read_monitoring(folder).tables["incomes"], expected.tables["incomes"])


def excel(path: Path, rows: list[list[object]]) -> None:
    book = openpyxl.Workbook()
    book.active.title = "first"
    for row in rows:
        book.active.append(row)
    book.create_sheet("second").append(["something else"])
    book.save(path)


def test_excel_is_read_with_ids_as_text_cells(folder: Path) -> None:
    expected = read_monitoring(folder)
    (folder / "households.csv").unlink()
    rows = [
        ["household_id", "area_id", "known_on"],
        ["001", "5203", pd.Timestamp("2020-01-01")],
        ["NA", "5203", "2020-01-01"],
    ]
    excel(folder / "households.xlsx", [*rows, [None, None, None]])
    pd.testing.assert_frame_equal(read_monitoring(folder).tables["households"], expected.tables["households"])


def test_a_numeric_id_cell_of_excel_is_refused(folder: Path) -> None:
    (folder / "households.csv").unlink()
    rows = [
        ["household_id", "area_id", "known_on"],
        [522301202001010001, "5203", "2020-01-01"],
        ["NA", "5203", "2020-01-01"],
    ]
    excel(folder / "households.xlsx", rows)
    assert "id_is_number" in refused(folder)


def test_a_date_format_does_not_touch_dates_of_excel(folder: Path) -> None:
    expected = read_monitoring(folder)
    (folder / "households.csv").unlink()
    rows = [
        ["household_id", "area_id", "known_on"],
        ["001", "5203", pd.Timestamp("2020-01-01")],
        ["NA", "5203", "1.1.2020"],
    ]
    excel(folder / "households.xlsx", rows)
    data = read_monitoring(with_settings(folder, "[tables.households]\ndates = { known_on = '%d.%m.%Y' }"))
    pd.testing.assert_frame_equal(data.tables["households"], expected.tables["households"])


def test_a_sheet_is_chosen_by_name(folder: Path) -> None:
    (folder / "households.csv").rename(folder / "old.txt")
    excel(folder / "households.xlsx", [["household_id", "area_id", "known_on"], ["001", "5203", "2020-01-01"]])
    (folder / "monitoring.toml").write_text('[tables.households]\nsheet = "second"', encoding="utf-8")
    assert set(refused(folder)) == {"missing_column", "empty_table"}
    (folder / "monitoring.toml").write_text('[tables.households]\nsheet = "third"', encoding="utf-8")
    assert refused(folder) == ["unreadable_file"]


def test_the_example_with_chinese_columns_is_read_as_its_settings_say() -> None:
    data = read_monitoring(EXAMPLE)
    members = data.tables["members"].set_index(["household_id", "member_id"])
    assert members.loc[("0001", "1"), "birth"] == pd.Timestamp("1968-04-12")
    assert members.loc[("0001", "2"), ["sex", "head", "labour"]].tolist() == ["f", 0, 1]
    assert data.tables["medical"].loc[0, "date"] == pd.Timestamp("2022-05-18")
    assert data.tables["housing"]["grade"].tolist() == [1, 2, 1, 1, 3, 1]
    assert data.tables["incomes"].loc[0, ["wage", "months"]].tolist() == [24000, 12]
    assert (data.welfare_months, data.max_age_months) == (12, 15)
    assert data.features == (
        Latest(
            "traits",
            "land_mu",
            cause="production",
            unit="number",
            direction=-1,
            label_en="farm land (mu)",
            label_zh="耕地面积(亩)",
        ),
    )
    # Household 0001 in 2022: 1.3 + 0.5 + 0.2 - 0.2 ten thousand yuan for three persons at a line of 6800.
    welfare = welfare_records(data)
    newest = welfare[(welfare["household_id"] == "0001") & welfare["superseded_on"].isna()].iloc[-1]
    assert newest["welfare"] == pytest.approx(18000 / (3 * 6800))
    assert newest["welfare_net"] == pytest.approx(16000 / (3 * 6800))


def test_telephone_numbers_nobody_declared_are_left_out_and_this_is_noted() -> None:
    data = read_monitoring(EXAMPLE)
    assert "联系电话" not in data.tables["members"]
    assert any("联系电话" in note for note in data.notes)


def test_an_earlier_extract_can_be_replayed() -> None:
    early = read_monitoring(EXAMPLE, known_until="2023-02-28")
    assert early.extract_on == pd.Timestamp("2023-02-28")
    incomes = early.tables["incomes"]
    assert incomes["known_on"].max() == pd.Timestamp("2023-01-19")
    assert len(incomes) == len(read_monitoring(EXAMPLE).tables["incomes"]) - 1


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    data = read_monitoring(EXAMPLE)
    folder = write_monitoring(data, tmp_path / "县 county" / "new")
    assert_same(data, read_monitoring(folder))
    again = write_monitoring(data.known_by("2022-06-01"), folder)
    assert read_monitoring(again).extract_on == pd.Timestamp("2022-06-01")
    assert [path.name for path in folder.parent.iterdir()] == ["new"]


def test_columns_of_ones_own_and_all_settings_survive_writing(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, text in TABLES.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    raw = read_monitoring(folder).tables
    feature = Latest(
        "incomes", "phone days", cause="income", unit="days", label_en='a "b"', label_zh="天", sensitive=True
    )
    tables = {**raw, "incomes": raw["incomes"].assign(**{"phone days": [3.5, np.nan]})}
    data = Monitoring(
        tables,
        welfare_months=1,
        max_age_months=3,
        extract_on="2022-01-01",
        features=(Season(), feature),
        notes=('一\n"二"',),
    )
    assert_same(data, read_monitoring(write_monitoring(data, tmp_path / "written")))


def test_a_folder_with_other_things_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(FileExistsError, match="other things"):
        write_monitoring(read_monitoring(EXAMPLE), tmp_path)
    assert (tmp_path / "thesis.docx").read_text() == "years of work"
    with pytest.raises(FileExistsError):
        write_monitoring(read_monitoring(EXAMPLE), tmp_path / "thesis.docx")


def test_a_write_that_fails_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = read_monitoring(EXAMPLE)
    folder = write_monitoring(data, tmp_path / "county")

    def full(*args: object, **settings: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="no space"):
        write_monitoring(data, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["county"]
    assert_same(data, read_monitoring(folder))


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("incomes.csv", b"", "unreadable_file"),
        ("incomes.csv", b"\xff\xfe\x00\xd8\xff\xff", "unknown_encoding"),
        ("incomes.csv", TABLES["incomes"].encode("utf-16"), "unknown_encoding"),
        ("incomes.csv", pickle.dumps({"a": 1}), "unknown_encoding"),
        ("incomes.csv", pickle.dumps({"a": 1}, protocol=0), "missing_column"),
        ("incomes.csv", TABLES["incomes"].encode()[:-5], "unreadable_file"),
        ("incomes.csv", TABLES["incomes"].encode() + b"001,2021-02-28,2021-03-05,1,500,2,7\n", "unreadable_file"),
        ("incomes.csv", TABLES["incomes"].encode() + b'001,"2021-02-28,2021-03-05,1,500,2\n', "unreadable_file"),
        ("incomes.csv", TABLES["incomes"].replace("units", "wage").encode(), "repeated_header"),
        ("incomes.parquet", b"", "unreadable_file"),
        ("incomes.parquet", b"PAR1 this is not a table PAR1", "unreadable_file"),
        ("incomes.parquet", pickle.dumps({"a": 1}), "unreadable_file"),
        ("incomes.xlsx", b"PK\x03\x04 cut off", "unreadable_file"),
        ("incomes.xlsx", pickle.dumps({"a": 1}), "unreadable_file"),
    ],
)
def test_damaged_and_foreign_files_are_refused(folder: Path, name: str, content: bytes, rule: str) -> None:
    (folder / "incomes.csv").unlink()
    (folder / name).write_bytes(content)
    assert rule in refused(folder)


def test_a_zip_that_is_no_workbook_is_refused(folder: Path) -> None:
    (folder / "incomes.csv").unlink()
    shutil.make_archive(str(folder / "incomes"), "zip", EXAMPLE)
    (folder / "incomes.zip").rename(folder / "incomes.xlsx")
    assert refused(folder) == ["unreadable_file"]


def test_no_flipped_or_missing_byte_of_a_parquet_file_changes_a_table_in_silence(tmp_path: Path) -> None:
    data = read_monitoring(EXAMPLE)
    folder = write_monitoring(data, tmp_path / "county")
    path = folder / "incomes.parquet"
    content = path.read_bytes()
    data_pages = content.rindex(b"PAR1", 0, -8) + 4
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    rng = np.random.default_rng(5)
    n_refused = 0
    for place in rng.integers(data_pages, footer, 60):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :])
        try:
            assert_same(read_monitoring(folder), data)
        except DataRefused:
            n_refused += 1
    assert n_refused > 30
    for length in rng.integers(0, len(content), 10):
        path.write_bytes(content[:length])
        assert refused(folder) == ["unreadable_file"]


def test_there_must_be_a_folder_and_tables_in_it(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == ["no_folder"]
    assert refused(tmp_path) == ["missing_table"] * 3


def test_two_files_of_one_table_are_refused(folder: Path) -> None:
    pq.write_table(pa.table({"household_id": ["001"]}), folder / "incomes.parquet")
    assert refused(folder) == ["two_files"]


def test_a_file_that_looks_like_a_table_but_is_none_is_noted(folder: Path) -> None:
    (folder / "income.csv").write_text("household_id\n", encoding="utf-8")
    assert "income.csv was not read: no table is called income" in read_monitoring(folder).notes


def with_settings(folder: Path, text: str) -> Path:
    (folder / "monitoring.toml").write_text(text, encoding="utf-8")
    return folder


BAD_SETTINGS = {
    "extract_on = ": ["bad_settings"],
    "extract_on = 'soon'": ["wrong_setting"],
    "extract_on = 2021-02-30": ["bad_settings"],
    "colour = 1": ["unknown_setting"],
    "welfare = 12": ["wrong_setting"],
    "[welfare]\nmonths = true": ["wrong_setting"],
    "[welfare]\nmonths = 0": ["wrong_setting"],
    "[welfare]\nmonth = 12": ["unknown_setting"],
    "[tables.income]\nfile = 'x.csv'": ["unknown_setting"],
    "[tables]\nincomes = 'x.csv'": ["wrong_setting"],
    "season = 'harvest'": ["wrong_setting"],
    "[tables.incomes]\ncolums = {}": ["unknown_setting"],
    "[tables.incomes]\nfile = 'x.csv'": ["no_file"],
    "[tables.incomes]\ncolumns = { wage = 3 }": ["wrong_setting"],
    "[tables.incomes]\ncolumns = { wage = '工资' }": ["unmapped_column"],
    "[tables.incomes]\nunits = { wage = '万元' }": ["wrong_setting"],
    "[tables.incomes]\ndates = { date = 8 }": ["wrong_setting"],
    "[tables.incomes]\ncodes = { wage = 8 }": ["wrong_setting"],
    "[tables.incomes]\nunits = { salary = 10 }": ["no_such_mapping"],
    "[tables.incomes]\ndates = { date = '%Y%m%d' }": ["not_a_date"],
    "[features.incomes]\nunits = 1": ["wrong_setting"],
    "[features.incomes.units]\ncause = 'income'": ["wrong_setting"] * 4,
    "[features.incomes.units]\ncause = 'weather'\nunit = 'yuan'\ndirection = 2\nlabel_en = 'a'\nlabel_zh = 'a'": [
        "wrong_setting"
    ]
    * 3,
    "[features.incomes.salary]\ncause = 'income'\nunit = 'number'\ndirection = 0\nlabel_en = 'a'\nlabel_zh = 'a'": [
        "no_such_column"
    ],
}


@pytest.mark.parametrize(("text", "rules"), BAD_SETTINGS.items(), ids=BAD_SETTINGS)
def test_wrong_settings_are_refused_by_name(folder: Path, text: str, rules: list[str]) -> None:
    assert refused(with_settings(folder, text)) == rules


def test_settings_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "monitoring.toml").write_bytes("# 监测".encode("gb18030"))
    assert refused(folder) == ["bad_settings"]


def test_dates_without_separators_must_have_all_their_digits(folder: Path) -> None:
    short = TABLES["incomes"].replace("2021-01-31", "20210131", 1).replace("2021-01-31", "2021131", 1)
    (folder / "incomes.csv").write_text(short, encoding="utf-8")
    assert refused(with_settings(folder, "[tables.incomes]\ndates = { date = '%Y%m%d' }")) == ["not_a_date"]


def test_codes_that_are_numbers_in_the_file_can_be_mapped(folder: Path) -> None:
    frame = pd.DataFrame({"household_id": ["001", "NA"], "member_id": ["a", "a"], "sex": [1.0, 2.0], "chronic": [1, 9]})
    frame = frame.assign(start="2020-01-01", known_on="2020-01-01")
    pq.write_table(pa.Table.from_pandas(frame), folder / "members.parquet")
    settings = "[tables.members.codes]\nsex = { 1 = 'm', 2 = 'f' }\nchronic = { 9 = '' }"
    members = read_monitoring(with_settings(folder, settings)).tables["members"]
    assert members["sex"].tolist() == ["m", "f"]
    assert members["chronic"].tolist()[0] == 1
    assert np.isnan(members["chronic"][1])


def test_one_column_of_a_file_may_serve_twice(folder: Path) -> None:
    settings = with_settings(folder, "[tables.households]\ncolumns = { lifted_on = 'known_on' }")
    households = read_monitoring(settings).tables["households"]
    assert households["lifted_on"].tolist() == households["known_on"].tolist()


def test_findings_of_several_files_are_reported_at_once(folder: Path) -> None:
    (folder / "incomes.csv").write_bytes(b"")
    (folder / "lines.csv").write_bytes(b"\xff\xff\xff")
    assert refused(folder) == ["unreadable_file", "unknown_encoding"]


def test_the_data_contract_page_lists_the_tables_as_they_are() -> None:
    page = (EXAMPLE.parent / "data-contract.md").read_text(encoding="utf-8")
    tables = page.partition("<!-- tables: begin -->\n\n")[2].partition("\n<!-- tables: end -->")[0]
    assert tables == as_markdown()


def test_the_settings_of_the_data_contract_page_are_settings(tmp_path: Path) -> None:
    page = (EXAMPLE.parent / "data-contract.md").read_text(encoding="utf-8")
    shown = page.partition("```toml\n")[2].partition("```")[0]
    settings = read_settings(with_settings(tmp_path, shown))
    assert set(settings) == {"extract_on", "assumptions", "season", "welfare", "tables", "features", "outcomes"}
