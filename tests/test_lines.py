"""Poverty lines: which holds, who shares it, and money measured in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.datasets import make_monitoring
from riskml.findings import DataRefused
from riskml.tables.lines import (
    household_units,
    in_lines,
    line_amounts,
    published_lines,
    relative_lines,
    welfare_records,
)
from riskml.tables.monitoring import Monitoring

DAY = pd.Timestamp("2021-01-01")


def line_table(rows: list[tuple]) -> pd.DataFrame:
    lines = pd.DataFrame(rows, columns=["area_id", "valid_from", "valid_to", "known_on", "amount", "unit"])
    for column in ("valid_from", "valid_to", "known_on"):
        lines[column] = pd.to_datetime(lines[column])
    return lines


def line_by_hand(lines: pd.DataFrame, area: str, date: pd.Timestamp, known_by: pd.Timestamp, score: bool) -> float:
    """The definition, row by row."""
    best, amount = None, np.nan
    for row in lines.itertuples():
        known_on = row.valid_from if pd.isna(row.known_on) else row.known_on
        holds = row.valid_from <= date and (pd.isna(row.valid_to) or date <= row.valid_to) and known_on <= known_by
        if holds and area.startswith(row.area_id) and (row.unit == "score") == score:
            rank = (len(row.area_id), row.valid_from, known_on)
            if best is None or rank > best:
                times = {"person_year": 1, "person_month": 12, "person_day": 365, "score": 1}[row.unit]
                best, amount = rank, row.amount * times
    return amount


_day = st.integers(0, 20)
_line = st.tuples(
    st.sampled_from(["", "5", "52", "5203", "53"]),
    _day,
    st.one_of(st.none(), st.integers(0, 9)),
    st.one_of(st.none(), _day),
    st.sampled_from(["person_year", "person_month", "person_day", "score"]),
)
_question = st.tuples(st.sampled_from(["", "5", "52", "520301", "5301", "61"]), _day, _day, st.booleans())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_line, max_size=12, unique_by=lambda line: (line[0], line[1], line[1] if line[3] is None else line[3])),
    st.lists(_question, min_size=1, max_size=8),
)
def test_the_line_is_the_one_the_definition_names(lines: list[tuple], questions: list[tuple]) -> None:
    def day(number: int | None) -> pd.Timestamp | None:
        return None if number is None else DAY + pd.Timedelta(days=number)

    table = line_table(
        [
            (area, day(first), None if length is None else day(first + length), day(known), 1000.0 + place, unit)
            for place, (area, first, length, known, unit) in enumerate(lines)
        ]
    )
    for score in (False, True):
        areas, dates, known = ([question[place] for question in questions] for place in range(3))
        found = line_amounts(table, areas, [day(d) for d in dates], known_by=[day(d) for d in known], score=score)
        expected = [
            line_by_hand(table, area, DAY + pd.Timedelta(days=date), DAY + pd.Timedelta(days=by), score)
            for area, date, by, _ in questions
        ]
        np.testing.assert_array_equal(found, expected)


def test_one_area_or_one_date_stands_for_all() -> None:
    lines = line_table([("", "2020-01-01", None, None, 10.0, "person_month")])
    assert line_amounts(lines, "52", "2021-01-01").tolist() == [120.0]
    assert line_amounts(lines, ["52", "53"], "2021-01-01").tolist() == [120.0, 120.0]
    assert line_amounts(lines, "52", ["2021-01-01", "2019-12-31"]).tolist()[0] == 120.0
    assert np.isnan(line_amounts(lines, "52", "2019-12-31")).all()


def test_a_corrected_line_counts_from_the_day_it_was_known() -> None:
    lines = line_table(
        [
            ("", "2021-01-01", None, None, 4000.0, "person_year"),
            ("", "2021-01-01", None, "2021-06-01", 4200.0, "person_year"),
        ]
    )
    known_by = ["2021-05-31", "2021-06-01"]
    assert line_amounts(lines, "52", "2021-03-01", known_by=known_by).tolist() == [4000.0, 4200.0]


HOUSEHOLDS = pd.DataFrame({"household_id": ["1", "2"], "area_id": ["52", "53"], "known_on": "2020-01-01"})
LINES = line_table(
    [("", "2020-01-01", None, None, 4000.0, "person_year"), ("53", "2021-01-01", None, None, 6000.0, "person_year")]
)
MEMBERS = pd.DataFrame(
    {
        "household_id": ["1", "1", "1", "2"],
        "member_id": ["a", "b", "c", "a"],
        "start": ["2010-01-01", "2010-01-01", "2021-05-01", "2010-01-01"],
        "end": [None, "2021-03-15", None, None],
        "end_known_on": [None, "2021-04-01", None, None],
        "known_on": ["2020-01-01", "2020-01-01", "2021-05-10", "2020-01-01"],
    }
)


def income(**columns: object) -> pd.DataFrame:
    base = {"household_id": ["1"], "date": ["2021-02-28"], "known_on": ["2021-03-05"], "months": [1]}
    return pd.DataFrame({**base, **columns})


def data_of(**tables: pd.DataFrame) -> Monitoring:
    return Monitoring({"households": HOUSEHOLDS, "members": MEMBERS, "lines": LINES, "incomes": income(), **tables})


def test_units_are_the_members_there_on_the_date_as_known_by_then() -> None:
    data = data_of()
    dates = ["2021-03-14", "2021-03-15", "2021-03-15", "2021-05-01", "2021-05-01"]
    known_by = ["2021-12-31", "2021-12-31", "2021-03-31", "2021-05-09", "2021-05-10"]
    #  b leaves on the 15th, which was learned on 1 April; c comes on 1 May, which was learned on the 10th.
    assert household_units(data, "1", dates, known_by=known_by).tolist() == [2, 1, 2, 1, 2]
    assert np.isnan(household_units(data, ["1", "9"], "2021-01-01", known_by=["2019-12-31", "2022-01-01"])).all()


def test_units_before_the_roster_begins_are_those_of_its_first_day() -> None:
    members = pd.DataFrame(
        {
            "household_id": "1",
            "member_id": ["a", "b"],
            "start": "2021-02-01",
            "end": ["2021-06-30", None],
            "known_on": "2021-02-02",
        }
    )
    data = data_of(members=members, households=HOUSEHOLDS, incomes=income().iloc[:0])
    assert household_units(data, "1", ["2021-01-31", "2021-07-01"], known_by="2021-12-31").tolist() == [2, 1]
    gone = members.assign(end=["2021-06-30", "2021-07-31"])
    assert household_units(
        data_of(members=gone, incomes=income().iloc[:0]), "1", "2021-12-01", known_by="2022-01-01"
    ) == [1]


def test_an_amount_is_divided_by_line_and_units_of_its_date() -> None:
    bills = pd.DataFrame(
        {
            "household_id": ["1", "2"],
            "record_id": ["r", "r"],
            "date": ["2021-02-10", "2021-02-10"],
            "known_on": ["2021-02-20", "2021-02-20"],
            "out_of_pocket": [2000.0, 3000.0],
        }
    )
    in_years = in_lines(data_of(medical=bills), "medical")["out_of_pocket"]
    assert in_years.tolist() == [2000 / (4000 * 2), 3000 / (6000 * 1)]


def test_amounts_per_month_are_annualised_and_measured_on_the_day_they_were_entered() -> None:
    jobs = pd.DataFrame(
        {
            "household_id": "2",
            "member_id": ["a", "a", "a"],
            "start": ["2015-01-01", "2016-01-01", "2022-01-01"],
            "end": [None, "2020-12-31", None],
            "known_on": ["2021-05-01", "2021-05-01", "2021-05-01"],
            "wage": [1000.0, 1000.0, 1000.0],
        }
    )
    wage = in_lines(data_of(employment=jobs), "employment")["wage"]
    # Running and planned: the line of 2021. Over by the end of 2020: the line of that day.
    assert wage.tolist() == [12 * 1000 / 6000, 12 * 1000 / 4000, 12 * 1000 / 6000]


def test_no_later_news_enters_the_divisor() -> None:
    before = in_lines(data_of(incomes=income(wage=700.0)), "incomes")
    late_members = pd.concat([MEMBERS, MEMBERS.iloc[:1].assign(member_id="z", known_on="2021-03-06")])
    late_lines = pd.concat([LINES, line_table([("52", "2021-01-01", None, "2021-03-06", 9000.0, "person_year")])])
    moved = pd.concat([HOUSEHOLDS, HOUSEHOLDS.iloc[:1].assign(area_id="53", known_on="2021-03-06")])
    for later in ({"members": late_members}, {"lines": late_lines}, {"households": moved}):
        after = in_lines(data_of(incomes=income(wage=700.0), **later), "incomes")
        pd.testing.assert_frame_equal(before, after)


def test_news_of_the_very_day_does_enter_the_divisor() -> None:
    lines = pd.concat([LINES, line_table([("52", "2021-01-01", None, "2021-03-05", 9000.0, "person_year")])])
    assert in_lines(data_of(incomes=income(wage=900.0), lines=lines), "incomes")["wage"].tolist() == [900 / (9000 * 2)]


def test_stated_units_come_before_the_members_and_serve_the_other_tables() -> None:
    bill = pd.DataFrame(
        {
            "household_id": "1",
            "record_id": ["before", "after"],
            "date": ["2021-03-01", "2021-03-01"],
            "known_on": ["2021-03-04", "2021-03-05"],
            "out_of_pocket": 1000.0,
        }
    )
    data = data_of(incomes=income(total=1000.0, units=2.5), medical=bill)
    assert in_lines(data, "incomes")["total"].tolist() == [1000 / (4000 * 2.5)]
    # The income with its 2.5 units was learned on 5 March; before, the roster of two counts.
    assert in_lines(data, "medical")["out_of_pocket"].tolist() == [1000 / (4000 * 2), 1000 / (4000 * 2.5)]


def test_units_stated_earlier_serve_an_income_without_them_where_nobody_entered_members() -> None:
    incomes = income(
        household_id=["1", "1"],
        date=["2021-02-28", "2021-03-31"],
        known_on=["2021-03-05", "2021-04-05"],
        months=[1, 1],
        total=[800.0, 800.0],
        units=[4.0, np.nan],
    )
    raw = {"households": HOUSEHOLDS, "lines": LINES, "incomes": incomes}
    assert in_lines(Monitoring(raw), "incomes")["total"].tolist() == [800 / 16000, 800 / 16000]
    with pytest.raises(DataRefused, match="How many people"):
        Monitoring({**raw, "incomes": incomes.assign(units=[np.nan, 4.0])})


def test_welfare_is_net_income_annualised_in_lines() -> None:
    sources = {"wage": 500.0, "business": 300.0, "transfers": 100.0, "expenses": 250.0, "months": 3}
    records = welfare_records(data_of(incomes=income(**sources)))
    assert records["welfare"].tolist() == pytest.approx([(500 + 300 + 100 - 250) * 4 / (4000 * 2)])
    assert records["welfare_net"].tolist() == pytest.approx([(500 + 300 - 250) * 4 / (4000 * 2)])
    assert list(records.columns) == [
        "household_id",
        "household_position",
        "date",
        "known_on",
        "superseded_on",
        "months",
        "welfare",
        "welfare_net",
    ]


def test_a_given_total_counts_before_the_sources() -> None:
    records = welfare_records(data_of(incomes=income(wage=500.0, total=800.0, transfers=[np.nan])))
    assert records["welfare"].tolist() == records["welfare_net"].tolist() == pytest.approx([800 * 12 / 8000])


def test_an_income_nobody_answered_is_left_out_and_never_zero() -> None:
    records = welfare_records(data_of(incomes=income(wage=[np.nan], expenses=[50.0])))
    assert len(records) == 0


def test_a_score_is_divided_by_its_line_alone() -> None:
    lines = line_table([("", "2010-01-01", None, None, 42.0, "score")])
    scores = pd.DataFrame(
        {"household_id": ["1"], "date": ["2020-06-30"], "known_on": ["2020-07-01"], "months": 1, "value": 63.0}
    )
    bill = pd.DataFrame(
        {
            "household_id": ["1"],
            "record_id": "r",
            "date": "2020-06-01",
            "known_on": "2020-06-02",
            "out_of_pocket": 100.0,
        }
    )
    raw = {"households": HOUSEHOLDS, "members": MEMBERS, "lines": lines, "welfare": scores, "medical": bill}
    data = Monitoring(raw)
    assert welfare_records(data)["welfare"].tolist() == [63 / 42]
    assert welfare_records(data)["welfare_net"].isna().all()
    assert in_lines(data, "medical")["out_of_pocket"].isna().all()


def test_a_score_and_money_may_stand_side_by_side() -> None:
    lines = pd.concat([LINES, line_table([("", "2010-01-01", None, None, 42.0, "score")])])
    scores = pd.DataFrame(
        {"household_id": ["1"], "date": ["2020-06-30"], "known_on": ["2020-07-01"], "months": 1, "value": 63.0}
    )
    data = data_of(lines=lines, welfare=scores, incomes=income(wage=900.0))
    assert welfare_records(data)["welfare"].tolist() == [63 / 42]
    assert in_lines(data, "incomes")["wage"].tolist() == [900 / (4000 * 2)]


def test_consumption_is_annualised_and_shared() -> None:
    consumption = income(value=1500.0, months=3, units=5)
    raw = {"households": HOUSEHOLDS, "lines": LINES, "welfare": consumption}
    assert welfare_records(Monitoring(raw))["welfare"].tolist() == [1500 * 4 / (4000 * 5)]


def two_years(values: list[float], **columns: object) -> Monitoring:
    """Households with one yearly income each in 2020, known in time."""
    ids = [str(number) for number in range(len(values))]
    base = {"household_id": ids, "area_id": "5201", "known_on": "2020-01-01"}
    households = pd.DataFrame(
        {**base, **{name: columns.pop(name) for name in ("weight", "area_id") if name in columns}}
    )
    incomes = pd.DataFrame(
        {
            "household_id": ids,
            "date": "2020-12-01",
            "known_on": "2020-12-20",
            "months": 12,
            "total": values,
            "units": 1.0,
        }
    )
    late = pd.DataFrame(
        {"household_id": ids, "date": "2021-12-01", "known_on": "2021-12-20", "months": 12, "total": 1.0, "units": 1.0}
    )
    incomes = incomes.assign(**columns)
    return Monitoring({"households": households, "lines": LINES, "incomes": pd.concat([incomes, late])})


def test_a_relative_line_is_a_share_of_the_weighted_median_of_the_year_before() -> None:
    lines = relative_lines(two_years([100.0, 300.0, 200.0], weight=[1, 1, 1]), share=0.5)
    assert lines[["area_id", "amount", "unit", "basis"]].to_numpy().tolist() == [["", 100.0, "person_year", "relative"]]
    assert lines["valid_from"].tolist() == lines["known_on"].tolist() == [pd.Timestamp("2021-01-01")]
    # 100 stands for five households, so it is the median.
    assert relative_lines(two_years([100.0, 300.0, 200.0], weight=[5, 1, 1]), share=0.5)["amount"].tolist() == [50.0]
    # Five persons share 1500: 300 each, and they count five times.
    shared = two_years([100.0, 1500.0, 200.0], units=[1.0, 5.0, 1.0])
    assert relative_lines(shared, share=0.5)["amount"].tolist() == [150.0]


def test_a_relative_line_sees_nothing_entered_after_its_year_began() -> None:
    data = two_years([100.0, 300.0, 200.0], known_on=["2020-12-20", "2021-01-01", "2020-12-20"])
    assert relative_lines(data, share=1)["amount"].tolist() == [100.0]
    with_later_years = relative_lines(two_years([100.0, 300.0, 200.0]), share=1)
    assert with_later_years["valid_from"].max() == pd.Timestamp("2021-01-01")


def test_relative_lines_of_areas_are_medians_of_their_own() -> None:
    data = two_years([100.0, 300.0, 200.0], area_id=["5201", "5302", "5303"])
    lines = relative_lines(data, share=1, area_digits=2)
    assert dict(zip(lines["area_id"], lines["amount"], strict=True)) == {"52": 100.0, "53": 200.0}
    assert len(Monitoring({**data.tables, "lines": pd.concat([LINES, lines])}).tables["lines"]) == 4


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_share_outside_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        relative_lines(two_years([1.0]), share=share)


def test_published_lines_carry_their_source_and_fit_the_table_lines() -> None:
    lines = published_lines()
    assert (lines["source"] != "").all()
    assert lines["amount"].tolist() == [2300, 4000, 6000, 8500, 3.0, 4.2, 8.3]
    chosen = lines[lines["basis"] == "national"]
    assert len(Monitoring({"households": HOUSEHOLDS, "incomes": income(), "lines": chosen}).tables["lines"]) == 2


@pytest.mark.parametrize("day", ["2022-03-01", "2023-07-15"])
def test_amounts_in_lines_are_the_same_without_what_was_not_known_yet(day: str) -> None:
    data = make_monitoring(150, n_months=36, random_state=3)
    early, as_of = data.known_by(day), pd.Timestamp(day)

    def visible(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame[(frame["known_on"] < as_of) & ~(frame["superseded_on"] < as_of)]
        frame = frame[frame["household_id"].isin(early.household_ids)]
        return frame.drop(columns="superseded_on").reset_index(drop=True)

    for table in sorted(set(data.tables) - {"lines", "households"}):
        pd.testing.assert_frame_equal(visible(in_lines(data, table)), visible(in_lines(early, table)))
    pd.testing.assert_frame_equal(visible(welfare_records(data)), visible(welfare_records(early)))


def test_no_area_has_no_line_and_no_household_no_units():
    data = make_monitoring(20, n_months=12, random_state=0)
    day = pd.Timestamp("2021-06-01")
    assert line_amounts(data.tables["lines"], [], day, known_by=day).shape == (0,)
    assert household_units(data, np.array([], dtype=object), day, known_by=day).shape == (0,)
