"""The EPH: published poverty rates, transitions, what is missing, and INDEC's own files."""

from __future__ import annotations

from pathlib import Path

import indec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from riskml.datasets import load_eph
from riskml.datasets.eph_files import KEY
from riskml.features.outcomes import outcome_labels
from riskml.features.panel import cohort, feature_table
from riskml.findings import DataRefused, message
from riskml.tables.lines import household_units, welfare_records
from riskml.tables.monitoring import Monitoring

#: First days after the quarters 2016Q2 to 2021Q4.
AS_OF = pd.date_range("2016-07-01", "2022-01-01", freq="QS")


@pytest.fixture(scope="module")
def folder(real_data) -> Path:
    return real_data / "eph"


@pytest.fixture(scope="module")
def eph(folder) -> Monitoring:
    return load_eph(folder)


@pytest.fixture(scope="module")
def at_risk(eph) -> pd.DataFrame:
    """Return the households at risk after each quarter, with what came of them a year and a quarter later."""
    rows = cohort(eph, AS_OF)
    return rows.assign(**{f"in_{months}": outcome_labels(eph, rows.index, horizon_months=months) for months in (3, 12)})


@pytest.fixture(scope="module")
def raw(folder) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return households and people of some dwellings as the files have them."""
    dwellings = pq.read_table(folder / "households.parquet", columns=["CODUSU"])["CODUSU"].unique().to_pylist()
    chosen = [("CODUSU", "in", sorted(dwellings)[::150])]
    return tuple(pd.read_parquet(folder / f"{name}.parquet", filters=chosen) for name in ("households", "individuals"))


@pytest.fixture
def made_up(tmp_path) -> Path:
    """Return a folder with a made-up survey in INDEC's own files."""
    indec.write_small_tables(tmp_path)
    indec.write_own_files(tmp_path, *indec.survey())
    return tmp_path


def load_copies(folder: Path, hogar: pd.DataFrame, individual: pd.DataFrame, lines_from: Path | None) -> Monitoring:
    """Load rows written as Parquet into an empty folder, with the lines and equivalents of another."""
    folder.mkdir()
    small_tables(folder, lines_from)
    indec.write_copies(folder, hogar, individual)
    return load_eph(folder)


def small_tables(folder: Path, source: Path | None) -> None:
    if source is None:
        indec.write_small_tables(folder)
    else:
        for name in ("poverty_lines.csv", "adult_equivalence.csv"):
            (folder / name).write_bytes((source / name).read_bytes())


def assert_same(one: Monitoring, other: Monitoring) -> None:
    assert list(one.tables) == list(other.tables)
    for name, frame in one.tables.items():
        pd.testing.assert_frame_equal(frame, other.tables[name])


def refused(folder: Path) -> list[tuple[str, str, str, int]]:
    """Return rule, file, column and count of every finding; each must say so in both languages."""
    with pytest.raises(DataRefused) as refusal:
        load_eph(folder)
    for finding in refusal.value.findings:
        assert finding.en != finding.zh
        assert finding.first in finding.en or finding.first == finding.table
        assert message(finding) in str(refusal.value)
    return [(found.rule, found.table, found.column, found.count) for found in refusal.value.findings]


def change(path: Path, old: str, new: str, *, times: int = 1) -> None:
    """Replace text in a file written by ``indec``, which must be there."""
    text = path.read_text("latin-1")
    assert old in text
    path.write_text(text.replace(old, new, times), "latin-1", newline="")


# Against what the statistics office published, and the counts that others made from the same files.


def test_the_poverty_rates_of_persons_are_those_of_the_files_and_close_to_the_published_ones(eph):
    records, incomes = welfare_records(eph), eph.versions("incomes")
    assert records["household_id"].equals(incomes["household_id"])
    persons = household_units(eph, records["household_id"], records["date"], known_by=records["known_on"])
    weight = incomes["weight"] * persons
    quarter = records["date"].dt.year * 4 + records["date"].dt.quarter - 1
    rate = (weight * (records["welfare"] < 1)).groupby(quarter).sum() / weight.groupby(quarter).sum() * 100
    half_year = rate.groupby(rate.index // 2).mean()
    found = half_year.loc[2016 * 2 + 1 : 2019 * 2 + 1].round(1).tolist()
    assert found == [30.3, 28.5, 25.6, 27.3, 31.8, 35.3, 35.7]
    published = [30.3, 28.6, 25.7, 27.3, 32.0, 35.4, 35.5]
    np.testing.assert_allclose(found, published, atol=0.21)


def test_the_transitions_are_those_counted_from_the_files(at_risk):
    a_year_later, a_quarter_later = at_risk["in_12"].dropna(), at_risk["in_3"].dropna()
    assert (len(a_year_later), round(a_year_later.mean(), 3)) == (70_776, 0.129)
    assert (len(a_quarter_later), round(a_quarter_later.mean(), 3)) == (89_557, 0.105)


def test_the_share_of_returns_drifts_as_counted_from_the_files(at_risk):
    share = at_risk["in_12"].groupby("as_of_date").mean()
    assert round(share["2017-01-01"], 3) == 0.078
    assert round(share["2019-07-01"], 3) == 0.174


def test_households_near_the_line_return_as_counted_from_the_files(at_risk):
    near = at_risk.loc[at_risk["welfare"] < 1.5, "in_12"].dropna()
    assert (len(near), round(near.mean(), 2)) == (17_419, 0.33)


def test_strict_returners_are_those_counted_from_the_files(eph, at_risk):
    records = welfare_records(eph)
    first_below = records[records["welfare"] < 1].groupby("household_id")["date"].min()
    as_of = at_risk.index.get_level_values("as_of_date")
    was_below = at_risk.index.get_level_values("household_id").map(first_below) < as_of
    returners = at_risk.index[was_below]
    # The next visit that answered is 1, 3, 4 or 5 quarters away.
    at_next = pd.Series(np.nan, index=returners)
    for months in (3, 9, 12, 15):
        at_next = at_next.fillna(outcome_labels(eph, returners, horizon_months=months))
    at_next = at_next.dropna()
    assert (len(at_next), round(at_next.mean(), 2)) == (7_680, 0.41)


# What is missing, and when it was known.


def test_a_visit_without_an_answer_on_income_has_no_income_and_a_true_zero_stays_one(eph, folder):
    visits = pd.read_parquet(folder / "households.parquet", columns=[*KEY, "PONDIH", "ITF"])
    visits = visits[visits["ANO4"] < 2022]
    answered = visits["PONDIH"] > 0
    incomes = eph.tables["incomes"]
    assert len(incomes) == answered.sum()
    assert len(visits) - len(incomes) == 75_961
    assert (incomes["total"] == 0).sum() == (answered & (visits["ITF"] == 0)).sum() == 2_167


def test_no_code_of_a_refused_answer_becomes_an_amount(eph):
    amounts = ["wage", "business", "transfers", "private", "total"]
    assert (eph.tables["incomes"][amounts].min() >= 0).all()
    assert eph.tables["employment"]["wage"].min() >= 0
    assert eph.tables["employment"]["hours"].max() < 168
    assert eph.tables["assistance"]["amount"].min() > 0


def test_a_quarter_without_a_line_is_left_out_and_said_so(eph):
    assert eph.extract_on == pd.Timestamp("2021-12-31")
    assert any("2022Q1: 16898 visits left out" in note for note in eph.notes)


def test_ids_are_text(eph):
    assert all(isinstance(value, str) for value in eph.household_ids[:100])
    households = eph.tables["households"]
    assert households["household_id"].str.fullmatch(r"TQ[A-Z]+\d+-\d+").all()
    assert households["area_id"].str.fullmatch(r"(01|4[0-4])\d\d").all()
    assert set(households["area_id"].str[:2]) == set(eph.tables["lines"]["area_id"])


def test_a_visit_is_known_on_the_last_day_of_its_quarter_never_before_its_date(eph):
    for name, table in eph.tables.items():
        if name != "lines":
            assert (table["known_on"] + pd.Timedelta(days=1)).isin(AS_OF).all()
            assert (table["known_on"] >= table.get("date", table.get("start", table["known_on"]))).all()
    # Nothing of a quarter is seen on its last day, all of it on the next.
    day = pd.Timestamp("2018-12-31")
    assert cohort(eph, [day]).empty
    assert len(cohort(eph, [day + pd.Timedelta(days=1)])) > 10_000


def test_a_line_counts_only_when_its_quarter_is_over(eph):
    lines = eph.tables["lines"]
    assert (lines["known_on"] == lines["valid_from"] + pd.offsets.QuarterEnd(startingMonth=3)).all()


def test_what_a_base_quarter_sees_does_not_change_with_later_quarters(raw, folder, tmp_path):
    base = pd.Timestamp("2019-01-01")
    whole = load_copies(tmp_path / "whole", *raw, lines_from=folder)
    past = load_copies(tmp_path / "past", *(table[table["ANO4"] < 2019] for table in raw), lines_from=folder)
    X = feature_table(whole, [base])
    assert len(X) > 20
    pd.testing.assert_frame_equal(X, feature_table(whole.known_by(base), [base]))
    pd.testing.assert_frame_equal(X, feature_table(past, [base]))


# INDEC's own files.


@pytest.fixture(scope="module")
def planted(raw) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return three quarters of the raw rows with every kind of no answer planted in some."""
    wanted = [(2018, 3), (2018, 4), (2019, 3)]
    hogar, individual = (
        table[pd.MultiIndex.from_frame(table[["ANO4", "TRIMESTRE"]]).isin(wanted)].reset_index(drop=True)
        for table in raw
    )
    assert len(hogar) > 200
    first, second, third = (hogar.loc[place, KEY].tolist() for place in (0, 1, 2))
    hogar.loc[0, ["ITF", "PONDIH", "DECCFR"]] = [0, 0, 12]
    hogar.loc[1, ["V5", "V13", "IV3", "IV7", "II1", "II7", "IV12_1"]] = 9
    hogar.loc[1, "II1"] = 99
    hogar.loc[2, ["IV5", "V1"]] = pd.NA
    of_first, of_second, of_third = ((individual[KEY] == key).all(axis=1) for key in (first, second, third))
    individual.loc[of_first, ["P21", "P47T", "T_VI", "V2_M", "V5_M"]] = -9
    individual.loc[of_second, ["CH08", "CH09", "CH10", "PP07H", "PP07C"]] = 9
    individual.loc[of_second, "PP3E_TOT"] = 999
    individual.loc[of_third, ["PP3E_TOT", "CAT_INAC"]] = pd.NA
    return hogar, individual


def test_own_files_give_the_same_tables_as_the_parquet_copies(planted, folder, tmp_path):
    copies = load_copies(tmp_path / "copies", *planted, lines_from=folder)
    own = tmp_path / "own"
    own.mkdir()
    small_tables(own, folder)
    indec.write_own_files(own, *planted)
    assert len(list(own.glob("*.txt"))) == 6
    assert_same(load_eph(own), copies)


def test_planted_refusals_are_missing_and_not_zero(planted, folder, tmp_path):
    data = load_copies(tmp_path / "copies", *planted, lines_from=folder)
    hogar = planted[0]
    ids = (hogar["CODUSU"] + "-" + hogar["NRO_HOGAR"].astype(str)).tolist()
    quarter = pd.PeriodIndex.from_fields(year=hogar["ANO4"][:3], quarter=hogar["TRIMESTRE"][:3], freq="Q")
    days = quarter.end_time.normalize()

    def of(table: str, place: int) -> pd.DataFrame:
        frame = data.tables[table]
        found = frame[(frame["household_id"] == ids[place]) & (frame["known_on"] == days[place])]
        return found[found["end"].isna()] if "end" in found else found

    assert of("incomes", 0).empty
    assert of("traits", 0)[["income_beside_largest", "receivers", "pensioners", "head_income"]].isna().all(axis=None)
    assert of("traits", 0)["adult_equivalents"].notna().all()
    assert of("coping", 1)["spent_savings"].isna().all()
    assert of("housing", 1)[["grade", "rooms"]].isna().all(axis=None)
    assert of("water", 1)["grade"].isna().all()
    assert of("members", 1)[["insured", "in_school"]].isna().all(axis=None)
    assert of("employment", 1)[["hours", "informal"]].isna().all(axis=None)
    assert of("traits", 1)[["slum", "near_dump", "insecure_tenure", "kinds_of_support"]].notna().sum(axis=None) <= 2
    assert of("traits", 2)["kinds_of_support"].isna().all()


def test_own_files_are_found_in_subfolders_and_in_any_case(made_up, tmp_path):
    plain = load_eph(made_up)
    for place, path in enumerate(sorted(made_up.glob("usu_*.txt"))):
        below = made_up / f"EPH_usu_{place // 4}"
        below.mkdir(exist_ok=True)
        path.rename(below / (path.name.upper() if place % 2 else path.name.replace("_T", "_t")))
    assert_same(load_eph(made_up), plain)
    assert plain.notes == ("INDEC, Encuesta Permanente de Hogares",)


def test_income_is_measured_in_the_line_of_its_region_and_quarter_per_adult_equivalent(made_up):
    hogar, _ = indec.survey()
    hogar = hogar[hogar["PONDIH"] > 0]
    units = 1.0 + 0.75 + 0.5
    lines = [indec.line_of(*row) for row in zip(hogar["REGION"], hogar["ANO4"], hogar["TRIMESTRE"], strict=True)]
    expected = pd.Series((hogar["ITF"] / (np.array(lines) * units)).to_numpy())
    records = welfare_records(load_eph(made_up))
    pd.testing.assert_series_equal(records["welfare"], expected, check_names=False)


def test_columns_that_a_quarter_lacks_are_missing_and_said_so(made_up):
    path = made_up / "usu_hogar_T219.txt"
    change(path, "IV12_3", "FORMERLY")
    data = load_eph(made_up)
    assert "usu_hogar_T219.txt has no columns IV12_3: their values are missing" in data.notes
    slum = data.tables["traits"].set_index("date")["slum"]
    assert slum["2019-06-30"].isna().all()
    assert slum.drop(pd.Timestamp("2019-06-30")).notna().all()


def test_jobs_end_the_day_before_the_visit_that_does_not_find_them_and_go_on_where_nobody_was_interviewed(tmp_path):
    hogar, individual = indec.survey(2)
    first = (individual["COMPONENTE"] == 1) & (individual["CODUSU"] == "TQR00000")
    other = (individual["COMPONENTE"] == 1) & (individual["CODUSU"] == "TQR00001")
    third_visit = (individual["ANO4"] == 2018) & (individual["TRIMESTRE"] == 3)
    individual.loc[first & third_visit, "ESTADO"] = 2
    individual.loc[other & third_visit, "ESTADO"] = 0
    jobs = load_copies(tmp_path / "copies", hogar, individual, None).tables["employment"]
    ended = jobs[jobs["end"].notna()]
    assert ended["household_id"].tolist() == ["TQR00000-1"]
    assert ended[["end", "known_on"]].astype(str).to_numpy().tolist() == [["2018-09-29", "2018-09-30"]]
    of_other = jobs[jobs["household_id"] == "TQR00001-1"]
    assert (of_other["start"] == pd.Timestamp("2018-01-01")).all()
    assert of_other["wage"].isna().iloc[2]


def test_support_goes_on_where_a_visit_got_no_answer(tmp_path):
    hogar, individual = indec.survey(2)
    visit = hogar["ANO4"] * 4 + hogar["TRIMESTRE"] - 2018 * 4 - 1
    hogar.loc[visit <= 1, "V5"] = 1
    hogar.loc[(visit == 1) & (hogar["CODUSU"] == "TQR00000"), "V5"] = 9
    hogar.loc[(visit == 2) & (hogar["CODUSU"] == "TQR00000"), "V5"] = 1
    support = load_copies(tmp_path / "copies", hogar, individual, None).tables["assistance"]
    assert (support["start"] == pd.Timestamp("2018-01-01")).all()
    last = support.groupby("household_id")["end"].max()
    assert last.astype(str).to_dict() == {"TQR00000-1": "2018-12-30", "TQR00001-1": "2018-09-29"}


# Files that must be refused.


def test_half_of_a_pair_is_refused(made_up):
    (made_up / "usu_individual_T119.txt").unlink()
    (made_up / "usu_hogar_T418.txt").unlink()
    assert refused(made_up) == [("half_of_a_pair", "usu_individual_T418.txt", "", 2)]


def test_half_of_the_parquet_copies_is_refused(tmp_path):
    indec.write_small_tables(tmp_path)
    indec.write_copies(tmp_path, *indec.survey())
    (tmp_path / "individuals.parquet").unlink()
    assert refused(tmp_path) == [("half_of_a_pair", "households.parquet", "", 1)]


def test_a_quarter_that_is_there_twice_is_refused(made_up):
    (made_up / "again").mkdir()
    (made_up / "again" / "usu_hogar_T119.TXT").write_bytes((made_up / "usu_hogar_T119.txt").read_bytes())
    assert [found[0] for found in refused(made_up)] == ["two_files"]


def test_a_missing_column_is_refused_with_file_and_column(made_up):
    change(made_up / "usu_hogar_T119.txt", "PONDIH", "PONDIH2")
    change(made_up / "usu_individual_T219.txt", "CH06", "EDAD")
    assert refused(made_up) == [
        ("missing_column", "usu_hogar_T119.txt", "PONDIH", 1),
        ("missing_column", "usu_individual_T219.txt", "CH06", 1),
    ]


@pytest.mark.parametrize("separator", [",", "\t", "|"])
def test_a_wrong_separator_is_refused(made_up, separator):
    change(made_up / "usu_individual_T219.txt", ";", separator, times=-1)
    assert refused(made_up) == [("wrong_separator", "usu_individual_T219.txt", "", 1)]


def test_text_for_a_number_is_refused_with_count_and_first_case(made_up):
    path = made_up / "usu_hogar_T319.txt"
    lines = path.read_text("latin-1").splitlines(keepends=True)
    place = lines[0].split(";").index("ITF")
    for row in (2, 5):
        cells = lines[row].split(";")
        cells[place] = "1.234,50"
        lines[row] = ";".join(cells)
    path.write_text("".join(lines), "latin-1", newline="")
    assert refused(made_up) == [("not_a_number", "usu_hogar_T319.txt", "ITF", 2)]


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda content: b"", "unreadable_file"),
        (lambda content: b"PK\x03\x04\0\0" + content, "unreadable_file"),
        (lambda content: content.splitlines(keepends=True)[0], "unreadable_file"),
        (lambda content: content.replace(b"TQR", b'"TQR', 1), "unreadable_file"),
        (lambda content: content[: -len(content.splitlines()[-1]) // 2], "wrong_number_of_cells"),
    ],
    ids=["empty", "zip", "header only", "open quotation mark", "cut short"],
)
def test_an_unreadable_file_is_refused_by_name(made_up, damage, rule):
    path = made_up / "usu_hogar_T319.txt"
    path.write_bytes(damage(path.read_bytes()))
    assert refused(made_up) == [(rule, path.name, "", 1)]


def test_a_damaged_parquet_copy_is_refused_by_name(tmp_path):
    indec.write_small_tables(tmp_path)
    indec.write_copies(tmp_path, *indec.survey())
    path = tmp_path / "individuals.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(tmp_path) == [("unreadable_file", path.name, "", 1)]


def test_halves_that_do_not_fit_each_other_are_refused(made_up):
    path = made_up / "usu_individual_T319.txt"
    lines = path.read_text("latin-1").splitlines(keepends=True)
    path.write_text("".join(lines[:-6]), "latin-1", newline="")
    change(made_up / "usu_individual_T419.txt", "TQR00003", "TQR99999", times=3)
    assert [(rule, table, count) for rule, table, _, count in refused(made_up)] == [
        ("not_in_both_halves", "individual", 3),
        ("not_in_both_halves", "hogar", 3),
    ]


def test_a_person_without_adult_equivalents_is_refused(made_up):
    change(made_up / "adult_equivalence.csv", "\n2,9,0.5\n", "\n")
    assert refused(made_up) == [("no_equivalence", "adult_equivalence.csv", "", 12 * 8)]


@pytest.mark.parametrize(
    ("name", "old", "new", "rule"),
    [
        ("poverty_lines.csv", "CBT", "LINE", "missing_column"),
        ("poverty_lines.csv", ",1000.0", ",about 1000", "not_a_number"),
        ("poverty_lines.csv", ",1000.0", ",", "empty_cell"),
        ("poverty_lines.csv", "REGION,ANO4,TRIMESTRE,CBA,CBT", "REGION;ANO4;TRIMESTRE;CBA;CBT", "wrong_separator"),
        ("adult_equivalence.csv", "adequi", "units", "missing_column"),
        ("adult_equivalence.csv", "1,40,1.0", "1,40", "wrong_number_of_cells"),
    ],
)
def test_lines_and_equivalents_must_be_whole(made_up, name, old, new, rule):
    change(made_up / name, old, new)
    assert [found[:2] for found in refused(made_up)] == [(rule, name)]


def test_a_folder_without_the_survey_or_the_lines_is_no_survey(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"poverty_lines\.csv"):
        load_eph(tmp_path)
    indec.write_small_tables(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"usu_hogar_T"):
        load_eph(tmp_path)


def test_every_trait_has_a_declared_feature(made_up):
    data = load_eph(made_up)
    declared = {(feature.table, feature.column) for feature in data.features}
    extra = set(data.tables["traits"]) - {"household_id", "date", "known_on", "withdrawn"}
    assert {column for table, column in declared if table == "traits"} == extra
