"""Monitoring: what is refused, what is typed, and which version of a record counts on which day."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.findings import DataRefused
from riskml.tables.lines import in_lines
from riskml.tables.monitoring import Monitoring
from riskml.tables.validation import MESSAGES

NO_DATE = pd.NaT


def tables(**changed: object) -> dict[str, pd.DataFrame]:
    """Two households with a month of income, a bill, a job and a line; ``table=dict`` changes columns."""
    good = {
        "households": {"household_id": ["01", "02"], "area_id": "520301", "known_on": "2020-01-01"},
        "members": {
            "household_id": ["01", "01", "02"],
            "member_id": ["a", "b", "a"],
            "start": "2019-01-01",
            "known_on": "2020-01-01",
        },
        "incomes": {
            "household_id": ["01", "02"],
            "date": "2021-01-31",
            "known_on": "2021-02-05",
            "months": 1,
            "wage": 500.0,
        },
        "medical": {
            "household_id": ["01", "01"],
            "record_id": ["r1", "r2"],
            "date": ["2021-03-01", "2021-03-02"],
            "known_on": "2021-03-10",
            "out_of_pocket": [80.0, 90.0],
        },
        "employment": {
            "household_id": ["01"],
            "member_id": ["a"],
            "start": ["2020-06-01"],
            "end": [None],
            "known_on": ["2020-06-05"],
            "wage": [2000.0],
        },
        "lines": {"area_id": [""], "valid_from": "2019-01-01", "amount": 4000.0, "unit": "person_year"},
    }
    built = {name: pd.DataFrame(columns) for name, columns in good.items()}
    for name, change in changed.items():
        if change is None:
            del built[name]
        else:
            built[name] = built[name].assign(**change) if name in built else pd.DataFrame(change)  # type: ignore[arg-type]
    return built


def refused(raw: dict[str, pd.DataFrame], **settings: object) -> list[str]:
    with pytest.raises(DataRefused) as refusal:
        Monitoring(raw, **settings)  # type: ignore[arg-type]
    return [finding.rule for finding in refusal.value.findings]


def disaster(**columns: object) -> dict[str, object]:
    base = {"household_id": [""], "area_id": ["5203"], "date": ["2021-07-01"], "known_on": ["2021-07-03"]}
    return {**base, "record_id": ["d1"], "kind": ["flood"], **columns}


BAD = {
    "a table nobody knows": ("unknown_table", tables(incmes={"household_id": ["01"]})),
    "a table that is a list": ("not_a_table", {**tables(), "medical": [1, 2]}),
    "no households": ("missing_table", tables(households=None)),
    "no lines": ("missing_table", tables(lines=None)),
    "neither incomes nor welfare": ("missing_table", tables(incomes=None)),
    "a column gone": ("missing_column", {**tables(), "medical": tables()["medical"].drop(columns="known_on")}),
    "a column twice": ("duplicate_column", {**tables(), "medical": tables()["medical"].iloc[:, [0, 1, 2, 3, 4, 4]]}),
    "households without rows": ("empty_table", {**tables(), "households": tables()["households"].iloc[:0]}),
    "a whole-number id": ("id_is_number", tables(households={"household_id": [1, 2]})),
    "an id turned to float by a gap": ("id_is_number", tables(medical={"record_id": [1.0, np.nan]})),
    "an id mixed with numbers": ("id_is_number", tables(medical={"record_id": ["r1", 7]})),
    "an id from a spreadsheet": ("id_is_number", tables(medical={"record_id": ["5.22301E+17", "r2"]})),
    "an id with .0": ("id_is_number", tables(medical={"record_id": ["1042.0", "r2"]})),
    "an empty id": ("empty_id", tables(medical={"record_id": ["", "r2"]})),
    "a missing area": ("empty_id", tables(households={"area_id": [None, "52"]})),
    "text that is a number": ("not_text", tables(members={"sex": [1, 2, 1]})),
    "an impossible date": ("not_a_date", tables(medical={"date": ["2021-02-30", "2021-03-02"]})),
    "a date as a number": ("not_a_date", tables(medical={"date": [20210301, 20210302]})),
    "a date in words": ("not_a_date", tables(medical={"date": ["last week", "2021-03-02"]})),
    "a date with a time zone": ("not_a_date", tables(medical={"date": pd.to_datetime(["2021-03-01"] * 2, utc=True)})),
    "a text date with a time zone": ("not_a_date", tables(medical={"date": ["2021-03-01T00:00:00Z", "2021-03-02"]})),
    "a list as a date": ("not_a_date", tables(medical={"date": [[2021], "2021-03-02"]})),
    "the year 2999": ("date_out_of_range", tables(employment={"end": [datetime.date(2999, 12, 31)]})),
    "the year 1066": ("date_out_of_range", tables(employment={"start": np.array(["1066-10-14"], "datetime64[s]")})),
    "no date": ("missing_date", tables(medical={"date": ["", "2021-03-02"]})),
    "no known_on": ("missing_date", tables(medical={"known_on": [None, "2021-03-10"]})),
    "no months": ("missing_value", tables(incomes={"months": [np.nan, 1]})),
    "no line amount": ("missing_value", tables(lines={"amount": [np.nan]})),
    "no kind of disaster": ("missing_value", tables(disasters=disaster(kind=[""]))),
    "an amount in words": ("not_a_number", tables(medical={"out_of_pocket": ["eighty", "90"]})),
    "an amount with a comma": ("not_a_number", tables(medical={"out_of_pocket": ["1,080", "90"]})),
    "a list as an amount": ("not_a_number", tables(medical={"out_of_pocket": [[80], 90]})),
    "a date as an amount": ("not_a_number", tables(medical={"out_of_pocket": pd.to_datetime(["2021-03-01"] * 2)})),
    "an infinite amount": ("infinite", tables(medical={"out_of_pocket": [np.inf, 90]})),
    "infinity as text": ("infinite", tables(medical={"out_of_pocket": ["inf", "90"]})),
    "an infinite column of one's own": ("infinite", tables(medical={"nights": [np.inf, 1]})),
    "-9 for no answer": ("below_minimum", tables(medical={"out_of_pocket": [-9, 90]})),
    "a grade that does not exist": ("above_maximum", tables(members={"labour": [0, 2, 3]})),
    "a period of no months": ("not_positive", tables(incomes={"months": [0, 1]})),
    "shared by nobody": ("not_positive", tables(incomes={"units": [0, 1]})),
    "a line of zero": ("not_positive", tables(lines={"amount": [0]})),
    "a negative line": ("not_positive", tables(lines={"amount": [-4000]})),
    "a flag of 2": ("not_a_flag", tables(members={"chronic": [0, 1, 2]})),
    "half a grade": ("not_a_code", tables(members={"labour": [0, 1.5, 2]})),
    "an unknown choice": ("unknown_choice", tables(members={"sex": ["f", "m", "w"]})),
    "an unknown unit of a line": ("unknown_choice", tables(lines={"unit": ["family"]})),
    "an unknown cause": (
        "unknown_cause",
        tables(
            status={
                "household_id": ["01"],
                "start": ["2021-01-01"],
                "known_on": ["2021-01-02"],
                "category": ["sudden"],
                "risk_types": ["illness;bad luck"],
            }
        ),
    ),
    "a household nobody registered": ("unknown_household", tables(medical={"household_id": ["01", "03"]})),
    "a household whose registration was a mistake": (
        "unknown_household",
        tables(households={"withdrawn": [0, 1]}),
    ),
    "the same key twice": ("duplicate_key", tables(medical={"record_id": "r1"})),
    "the same line twice": ("duplicate_key", {**tables(), "lines": pd.concat([tables()["lines"]] * 2)}),
    "known before it happened": ("known_before_date", tables(medical={"known_on": "2021-03-01"})),
    "moved away in the future": ("known_before_date", tables(households={"left_on": ["2022-01-01", None]})),
    "born in the future": ("known_before_date", tables(members={"birth": ["1980-01-01", "2020-01-02", None]})),
    "ended before it began": ("end_before_start", tables(employment={"end": ["2020-05-31"]})),
    "a line that ends before it holds": ("end_before_start", tables(lines={"valid_to": ["2018-12-31"]})),
    "an end that is known and empty": ("end_known_without_end", tables(employment={"end_known_on": ["2021-01-01"]})),
    "a disaster of nobody": ("household_or_area", tables(disasters=disaster(area_id=[""]))),
    "a disaster of both": ("household_or_area", tables(disasters=disaster(household_id=["01"]))),
    "no line that early": ("missing_line", tables(lines={"valid_from": ["2021-02-01"]})),
    "no line at all": ("missing_line", {**tables(), "lines": tables()["lines"].iloc[:0]}),
    "no line there": ("missing_line", tables(lines={"area_id": ["53"]})),
    "no line known by then": ("missing_line", tables(lines={"known_on": ["2021-03-05"]})),
    "a line that has ended": ("missing_line", tables(lines={"valid_to": ["2021-02-28"]})),
    "no member known by then": ("no_units", tables(members={"known_on": ["2021-02-06", "2021-02-06", "2020-01-01"]})),
    "no members at all": ("no_units", tables(members=None)),
}


@pytest.mark.parametrize(("rule", "raw"), BAD.values(), ids=BAD)
def test_bad_tables_are_refused_with_the_rule_that_names_the_fault(rule: str, raw: dict[str, pd.DataFrame]) -> None:
    assert rule in refused(raw)


def test_every_refusal_is_tested() -> None:
    assert {rule for rule, _ in BAD.values()} | {"after_extract"} == set(MESSAGES)


def test_the_tables_of_these_tests_are_good() -> None:
    Monitoring(tables())
    Monitoring(tables(disasters=disaster()))


def test_one_fault_gives_one_finding() -> None:
    assert refused(tables(medical={"date": ["2021-02-30", "2021-03-02"]})) == ["not_a_date"]
    assert refused(tables(medical={"record_id": [1, 2]})) == ["id_is_number"]


def test_all_findings_are_reported_at_once() -> None:
    raw = tables(medical={"known_on": "2021-03-01", "out_of_pocket": [np.inf, -1]}, members={"chronic": [0, 1, 5]})
    assert sorted(refused(raw)) == ["below_minimum", "infinite", "known_before_date", "not_a_flag"]


def test_a_finding_names_table_column_count_and_first_case_in_both_languages() -> None:
    with pytest.raises(DataRefused) as refusal:
        Monitoring(tables(medical={"known_on": "2021-03-01"}))
    (finding,) = refusal.value.findings
    assert (finding.table, finding.column, finding.count) == ("medical", "date", 1)
    for text in (finding.en, finding.zh):
        assert "medical.date" in text
        assert "household_id '01'" in text
        assert "2021-03-02" in text
    assert "不可能得知" in finding.zh


def test_messages_follow_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKML_LANG", "zh")
    with pytest.raises(DataRefused, match="缺少必需的数据表 lines"):
        Monitoring(tables(lines=None))


def test_nothing_may_be_known_after_the_day_of_the_extract() -> None:
    assert refused(tables(), extract_on="2021-03-09") == ["after_extract"]
    assert Monitoring(tables(), extract_on="2021-03-10").extract_on == pd.Timestamp("2021-03-10")
    ended = {"end": ["2021-01-01"], "end_known_on": ["2021-03-11"]}
    assert refused(tables(employment=ended), extract_on="2021-03-10") == ["after_extract"]


def test_the_extract_is_dated_by_the_newest_record_unless_given() -> None:
    assert Monitoring(tables()).extract_on == pd.Timestamp("2021-03-10")
    ended = {"end": ["2021-01-01"], "end_known_on": ["2021-04-01"]}
    assert Monitoring(tables(employment=ended)).extract_on == pd.Timestamp("2021-04-01")


@pytest.mark.parametrize("months", [{"welfare_months": 0}, {"max_age_months": 0}])
def test_a_welfare_window_without_months_is_refused(months: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Monitoring(tables(), **months)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "dates",
    [
        ["2021-03-01", "2021-03-02"],
        ["2021-03-01 14:30", "2021-03-02T08:00:00.5"],
        [datetime.date(2021, 3, 1), datetime.datetime(2021, 3, 2, 9)],
        np.array(["2021-03-01", "2021-03-02"], "datetime64[D]"),
        np.array(["2021-03-01T14:30", "2021-03-02"], "datetime64[ns]"),
        pd.Categorical(["2021-03-01", "2021-03-02"]),
    ],
)
def test_dates_of_every_form_become_whole_days(dates: object) -> None:
    day = Monitoring(tables(medical={"date": dates})).tables["medical"]["date"]
    assert day.dtype == "datetime64[s]"
    assert day.tolist() == [pd.Timestamp("2021-03-01"), pd.Timestamp("2021-03-02")]


def test_days_before_1970_are_cut_to_the_same_day() -> None:
    born = np.array(["1950-06-01T23:59:59", "1969-12-31T12:00:00", "NaT"], "datetime64[us]")
    births = Monitoring(tables(members={"birth": born})).tables["members"]["birth"]
    assert births.dropna().tolist() == [pd.Timestamp("1950-06-01"), pd.Timestamp("1969-12-31")]


def test_columns_are_typed_kept_when_numeric_and_not_invented() -> None:
    data = Monitoring(tables(medical={"nights": pd.array([3, None], "Int64"), "remark": ["x", "y"]}))
    medical = data.tables["medical"]
    assert medical["member_id"].tolist() == ["", ""]
    assert medical["withdrawn"].isna().all()
    assert medical["out_of_pocket"].dtype == medical["nights"].dtype == medical["withdrawn"].dtype == np.float64
    assert medical["nights"].tolist()[0] == 3
    assert {"cost", "remark"}.isdisjoint(medical.columns)
    assert any("remark" in note for note in data.notes)


def test_numbers_may_arrive_as_text_and_flags_as_bool() -> None:
    raw = tables(medical={"out_of_pocket": ["80", ""], "serious": [True, False]})
    medical = Monitoring(raw).tables["medical"]
    assert medical["out_of_pocket"].tolist()[0] == 80
    assert np.isnan(medical["out_of_pocket"][1])
    assert medical["serious"].tolist() == [1, 0]


def test_the_callers_frames_are_not_changed() -> None:
    raw = tables()
    before = {name: frame.copy(deep=True) for name, frame in raw.items()}
    data = Monitoring(raw)
    data.versions("medical")
    data.known_by("2021-03-05")
    for name, frame in raw.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_typed_tables_give_the_same_again() -> None:
    data = Monitoring(tables(disasters=disaster()))
    again = Monitoring(data.tables)
    for name, frame in data.tables.items():
        pd.testing.assert_frame_equal(frame, again.tables[name])


def medical_versions(rows: list[tuple[str, str, str, float, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["record_id", "date", "known_on", "out_of_pocket", "withdrawn"])
    return Monitoring({**tables(), "medical": frame.assign(household_id="01")}).versions("medical")


def test_a_correction_takes_the_place_of_what_was_known() -> None:
    versions = medical_versions([("r1", "2021-03-01", "2021-06-02", 100, 0), ("r1", "2021-03-01", "2021-03-10", 80, 0)])
    assert versions["out_of_pocket"].tolist() == [80, 100]
    assert versions["superseded_on"].tolist() == [pd.Timestamp("2021-06-02"), NO_DATE]


def test_a_withdrawn_record_is_gone_from_the_day_it_was_withdrawn() -> None:
    versions = medical_versions([("r1", "2021-03-01", "2021-03-10", 80, 0), ("r1", "2021-03-01", "2021-04-01", 80, 1)])
    assert versions["superseded_on"].tolist() == [pd.Timestamp("2021-04-01")]
    assert "withdrawn" not in versions


def spells(employment: pd.DataFrame) -> list[list[str]]:
    """End, known_on and superseded_on of each version as text."""
    versions = Monitoring({**tables(), "employment": employment}).versions("employment")
    return [
        [str(day)[:10] for day in row] for row in versions[["end", "known_on", "superseded_on"]].itertuples(index=False)
    ]


def job(**columns: object) -> list[list[str]]:
    frame = tables()["employment"].assign(end="2021-05-31", end_known_on="2021-07-15")
    return spells(frame.assign(**columns))


def test_an_end_learned_later_is_a_second_version() -> None:
    assert job() == [
        ["NaT", "2020-06-05", "2021-07-15"],
        ["2021-05-31", "2021-07-15", "NaT"],
    ]


def test_an_end_known_from_the_beginning_is_one_version() -> None:
    assert len(job(end_known_on=["2020-06-05"])) == 1
    assert job(end_known_on=[None]) == [["2021-05-31", "2020-06-05", "NaT"]]


def test_a_version_replaced_before_its_end_was_learned_never_shows_that_end() -> None:
    first = tables()["employment"].assign(end="2021-05-31", end_known_on="2021-07-15")
    second = first.assign(known_on="2021-01-10", end="2021-06-30", end_known_on="2021-07-15")
    assert spells(pd.concat([first, second])) == [
        ["NaT", "2020-06-05", "2021-01-10"],
        ["NaT", "2021-01-10", "2021-07-15"],
        ["2021-06-30", "2021-07-15", "NaT"],
    ]


def test_a_version_entered_after_the_end_was_learned_takes_its_place() -> None:
    first = tables()["employment"].assign(end="2021-05-31", end_known_on="2021-07-15")
    second = first.assign(known_on="2021-09-01", end="2021-06-30", end_known_on=None)
    assert spells(pd.concat([second, first])) == [
        ["NaT", "2020-06-05", "2021-07-15"],
        ["2021-05-31", "2021-07-15", "2021-09-01"],
        ["2021-06-30", "2021-09-01", "NaT"],
    ]


def test_a_disaster_of_an_area_reaches_every_household_whose_code_it_begins() -> None:
    households = pd.DataFrame(
        {
            "household_id": ["c", "b", "a", "a"],
            "area_id": ["5204", "520301", "5203", "5299"],
            "known_on": ["2020-01-01", "2020-01-01", "2021-01-01", "2020-01-01"],
        }
    )
    raw = {
        "households": households,
        "incomes": tables()["incomes"].iloc[:0],
        "lines": tables()["lines"],
        "disasters": pd.DataFrame(
            {
                "household_id": ["", "c", ""],
                "area_id": ["5203", "", "99"],
                "record_id": ["area", "own", "elsewhere"],
                "date": "2021-07-01",
                "known_on": "2021-07-03",
                "kind": "flood",
            }
        ),
    }
    data = Monitoring(raw)
    versions = data.versions("disasters")
    assert versions[["household_id", "record_id"]].to_numpy().tolist() == [["a", "area"], ["b", "area"], ["c", "own"]]
    assert data.area_of(["c", "a"]).tolist() == ["5204", "5203"]
    with pytest.raises(KeyError, match="'d' is not in the data"):
        data.area_of(["d"])


def test_versions_of_lines_or_of_an_absent_table_are_refused() -> None:
    for name in ("lines", "coping"):
        with pytest.raises(KeyError, match=f"'{name}' has no versions"):
            Monitoring(tables()).versions(name)


def test_known_by_keeps_only_what_was_known_before_the_day() -> None:
    raw = tables(
        employment={"end": ["2021-05-31"], "end_known_on": ["2021-07-15"]},
        medical={"known_on": ["2021-03-10", "2021-03-11"]},
    )
    data = Monitoring(raw)
    early = data.known_by("2021-03-11")
    assert early.tables["medical"]["record_id"].tolist() == ["r1"]
    assert early.tables["employment"][["end", "end_known_on"]].isna().all(axis=None)
    assert early.extract_on == pd.Timestamp("2021-03-11")
    assert data.known_by("2021-07-15").tables["employment"]["end"].isna().all()
    assert data.known_by("2021-07-16").tables["employment"]["end"].notna().all()
    assert data.known_by("2030-01-01").extract_on == data.extract_on


def test_known_by_leaves_out_households_not_registered_yet_with_their_records() -> None:
    raw = tables(households={"known_on": ["2020-01-01", "2021-06-01"]})
    early = Monitoring(raw).known_by("2021-05-01")
    assert set(early.tables["incomes"]["household_id"]) == {"01"}
    with pytest.raises(DataRefused):
        early.known_by("2019-01-01")


@pytest.mark.parametrize("seed", range(3))
def test_what_was_known_by_a_day_would_pass_every_check_and_measures_as_before(seed) -> None:
    data = Monitoring(worlds.random_tables(seed, n_households=8, n_worlds=3))
    for day in worlds.ASKED:
        early = data.known_by(day)
        again = dataclasses.replace(early, checked=False)
        for name, frame in early.tables.items():
            pd.testing.assert_frame_equal(frame, again.tables[name])
            if name != "lines":
                pd.testing.assert_frame_equal(in_lines(early, name), in_lines(again, name))


_days = st.integers(0, 12)
_record = st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), _days, _days, st.booleans())


def brute_force(rows: pd.DataFrame, as_of: pd.Timestamp) -> set[tuple[object, ...]]:
    """The newest known version of each record, in plain Python."""
    newest: dict[tuple[str, str], tuple[object, ...]] = {}
    for row in rows.sort_values("known_on").itertuples():
        if row.known_on < as_of:
            newest[row.household_id, row.record_id] = (
                row.household_id,
                row.record_id,
                row.out_of_pocket,
                row.withdrawn,
            )
    return {record[:3] for record in newest.values() if not record[3]}


@settings(max_examples=15, deadline=None)
@given(st.lists(_record, min_size=1, max_size=25, unique_by=lambda record: (record[0], record[1], record[3])))
def test_versions_are_the_newest_known_rows_on_every_day(records: list[tuple]) -> None:
    first = pd.Timestamp("2021-01-01")
    rows = pd.DataFrame(records, columns=["household_id", "record_id", "date", "known_on", "withdrawn"])
    rows["date"] = first
    rows["known_on"] = first + pd.to_timedelta(rows["known_on"], unit="D")
    rows["out_of_pocket"] = np.arange(len(rows), dtype=float)
    households = pd.DataFrame({"household_id": list("abc"), "area_id": "52", "known_on": "2020-01-01"})
    members = households.assign(member_id="m", start="2020-01-01")
    raw = {**tables(employment=None), "households": households, "members": members, "medical": rows}
    raw["incomes"] = raw["incomes"].iloc[:0]
    versions = Monitoring(raw).versions("medical")
    for day in pd.date_range(first, periods=14):
        visible = versions[(versions["known_on"] < day) & ~(versions["superseded_on"] < day)]
        shown = visible[["household_id", "record_id", "out_of_pocket"]]
        assert set(shown.itertuples(index=False, name=None)) == brute_force(rows, day)


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    n_rows = 300
    medical = pd.DataFrame(
        {
            "household_id": rng.choice(["01", "02"], n_rows),
            "record_id": [f"r{number}" for number in range(n_rows)],
            "date": pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 5, n_rows), unit="D"),
            "known_on": pd.Timestamp("2021-03-10") + pd.to_timedelta(rng.integers(0, 5, n_rows), unit="D"),
            "out_of_pocket": rng.integers(0, 9, n_rows),
        }
    )
    one = Monitoring({**tables(), "medical": medical}).versions("medical")
    other = Monitoring({**tables(), "medical": medical.sample(frac=1, random_state=1)}).versions("medical")
    pd.testing.assert_frame_equal(one, other)
    order = ["household_id", "date", "known_on", "record_id"]
    pd.testing.assert_frame_equal(one, one.sort_values(order, ignore_index=True))
