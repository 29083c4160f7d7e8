"""Warnings: every rule is silent on good data and speaks when the one thing it watches is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from riskml.tables.monitoring import Monitoring
from riskml.tables.quality import RULES, _check_digit_fits, _official, check

Tables = dict[str, pd.DataFrame]
#: Resident identity number with a right check digit, of somebody born on 1990-03-07 (area code 11010519 is an example).
IDENTITY = "11010519900307001"


def check_digit(first_17: str) -> str:
    """ISO 7064 MOD 11-2 by its definition: the digits and the check digit, in powers of two, give 1 modulo 11."""
    for digit in "0123456789X":
        value = 10 if digit == "X" else int(digit)
        if (sum(int(d) * 2 ** (17 - place) for place, d in enumerate(first_17)) + value) % 11 == 1:
            return digit
    raise AssertionError("one of eleven digits must fit")


WIFE = IDENTITY + check_digit(IDENTITY)

GOOD: dict[str, dict[str, list[object]]] = {
    "households": {
        "household_id": ["1", "2", "3"],
        "area_id": ["5203", "5203", "5204"],
        "known_on": ["2020-01-01"] * 3,
        "lifted_on": ["2018-01-01", "2018-01-01", None],
        "left_on": [None] * 3,
    },
    "members": {
        "household_id": ["1", "1", "1", "2", "3"],
        "member_id": ["a", WIFE, "c", "a", "a"],
        "start": ["2015-01-01"] * 5,
        "end": [None] * 5,
        "end_known_on": [None] * 5,
        "known_on": ["2020-01-01"] * 5,
        "birth": ["1985-01-01", "1990-03-07", "2012-01-01", "1960-01-01", "1970-01-01"],
        "head": [1, 0, 0, 1, 1],
        "serious": [0, 0, 0, 1, 0],
        "insured": [1, 1, 1, 1, 1],
        "in_school": [0, 0, 1, 0, 0],
        "labour": [2, 0, 0, 1, 2],
    },
    "incomes": {
        "household_id": ["1", "1", "2", "2", "3", "3"],
        "date": ["2020-12-31", "2021-12-31"] * 3,
        "known_on": ["2021-01-20", "2022-01-20"] * 3,
        "months": [12] * 6,
        "wage": [30000, 32000, 9000, 9500, 15000, 15500],
        "business": [2000, 2000, 1500, 1500, 0, 0],
    },
    "medical": {
        "household_id": ["2"],
        "record_id": ["r1"],
        "member_id": ["a"],
        "date": ["2021-02-01"],
        "known_on": ["2021-03-01"],
        "cost": [9000],
        "out_of_pocket": [3000],
    },
    "housing": {
        "household_id": ["1", "2", "3"],
        "date": ["2021-06-01"] * 3,
        "known_on": ["2021-06-05"] * 3,
        "grade": [1, 2, 1],
    },
    "water": {
        "household_id": ["1", "2", "3"],
        "date": ["2021-06-01"] * 3,
        "known_on": ["2021-06-05"] * 3,
        "grade": [1, 2, 1],
    },
    "employment": {
        "household_id": ["1", "1", "3"],
        "member_id": ["a", "a", "a"],
        "start": ["2020-02-01", "2021-02-01", "2021-01-01"],
        "end": ["2020-12-31", None, None],
        "end_known_on": ["2021-01-15", None, None],
        "known_on": ["2020-02-10", "2021-02-10", "2021-01-10"],
        "away": [1, 1, 0],
        "public_post": [0, 0, 1],
    },
    "disasters": {
        "household_id": ["3", ""],
        "area_id": ["", "5203"],
        "record_id": ["d1", "d2"],
        "date": ["2021-01-15", "2021-07-01"],
        "known_on": ["2021-01-20", "2021-07-05"],
        "kind": ["hail", "flood"],
    },
    "assistance": {
        "household_id": ["2", "3", "3"],
        "record_id": ["m1", "m2", "m3"],
        "measure": ["health assistance", "job placement", "relief"],
        "start": ["2021-03-01", "2021-02-01", "2021-02-01"],
        "end": [None, None, "2021-08-31"],
        "known_on": ["2021-03-05", "2021-02-05", "2021-02-05"],
    },
    "status": {
        "household_id": ["2", "3"],
        "start": ["2021-02-15", "2021-01-20"],
        "end": [None, "2021-09-30"],
        "end_known_on": [None, "2021-10-05"],
        "known_on": ["2021-02-20", "2021-01-25"],
        "category": ["unstable", "sudden"],
        "risk_types": ["illness", "disaster"],
        "elimination": ["", "assisted"],
    },
    "lines": {
        "area_id": ["", ""],
        "valid_from": ["2015-01-01", "2021-01-01"],
        "amount": [4000.0, 4200.0],
        "unit": ["person_year", "person_year"],
    },
}


def tables_with(
    *changes: tuple[str, str, int, object], without: str = "", more: dict[str, list] | None = None
) -> Tables:
    """The good data with cells ``(table, column, row, value)`` changed, and rows added by ``more``."""
    tables = {name: pd.DataFrame(columns, dtype=object) for name, columns in GOOD.items() if name != without}
    for name, rows in (more or {}).items():
        tables[name] = pd.concat([tables[name], pd.DataFrame(rows, dtype=object)], ignore_index=True)
    for name, column, row, value in changes:
        tables[name].loc[row, column] = value
    return tables


def monitoring(*changes: tuple[str, str, int, object], without: str = "") -> Monitoring:
    return Monitoring(tables_with(*changes, without=without))


def found(data: Monitoring) -> dict[str, int]:
    return dict(check(data)[["rule", "count"]].itertuples(index=False, name=None))


def cells(*changes: tuple[str, str, int, object]) -> Tables:
    return tables_with(*changes)


def counties(cases: dict[str, Callable[[], Tables]]) -> Monitoring:
    """Return the tables of all cases as one district: each case a county, its code before areas and households."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for case, made in cases.items():
        code = county_of(case, cases)
        for name, frame in made().items():
            frame = frame.copy()
            if "area_id" in frame:
                whole = (frame["area_id"] == "") & (name == "disasters")
                frame["area_id"] = (code + frame["area_id"]).mask(whole, "")
            if "household_id" in frame:
                frame["household_id"] = (code + frame["household_id"]).mask(frame["household_id"] == "", "")
            parts.setdefault(name, []).append(frame)
    return Monitoring({name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()})


def county_of(case: str, cases: dict[str, Callable[[], Tables]]) -> str:
    return f"c{list(cases).index(case):02d}-"


SECOND_STATUS = {"household_id": "2", "start": "2021-06-01", "known_on": "2021-06-02", "category": "sudden"}
BAD = {
    "unsafe_water_not_monitored": lambda: cells(("water", "grade", 0, 4)),
    "unsafe_house_not_monitored": lambda: cells(("housing", "grade", 0, 3)),
    "out_of_school_not_monitored": lambda: cells(("members", "in_school", 2, 0)),
    "uninsured_illness_not_monitored": lambda: cells(("members", "serious", 0, 1), ("members", "insured", 0, 0)),
    "no_measure_in_time": lambda: cells(("assistance", "household_id", 0, "1")),
    "eliminated_too_soon": lambda: cells(("status", "end", 1, "2021-03-10")),
    "assisted_without_measure": lambda: cells(
        ("assistance", "household_id", 1, "1"), ("assistance", "household_id", 2, "1")
    ),
    "eliminated_below_line": lambda: cells(("incomes", "wage", 4, 3000)),
    "eliminated_without_matching_measure": lambda: cells(("status", "risk_types", 1, "disaster;schooling")),
    "unsafe_house_after_elimination": lambda: cells(
        ("housing", "grade", 2, 4), ("housing", "date", 2, "2021-12-01"), ("housing", "known_on", 2, "2021-12-05")
    ),
    "eliminated_without_labour": lambda: cells(("members", "labour", 4, 0)),
    "labour_risk_with_workers": lambda: cells(("status", "risk_types", 0, "labour")),
    "employment_risk_without_workers": lambda: cells(
        ("status", "risk_types", 0, "employment"), ("members", "labour", 3, 0)
    ),
    "illness_risk_without_cost": lambda: cells(("medical", "out_of_pocket", 0, 0)),
    "disaster_risk_without_disaster": lambda: cells(
        ("status", "risk_types", 0, "illness;disaster"), ("disasters", "area_id", 1, "5204")
    ),
    "disaster_without_type": lambda: cells(("disasters", "kind", 0, "other")),
    "public_post_at_wrong_age": lambda: cells(("members", "birth", 4, "1945-01-01")),
    "pupil_with_migrant_job": lambda: cells(("members", "in_school", 0, 1)),
    "migrant_job_without_end": lambda: cells(("employment", "end", 0, None), ("employment", "end_known_on", 0, None)),
    "job_of_somebody_who_left": lambda: cells(
        ("members", "end", 0, "2021-11-01"), ("members", "end_known_on", 0, "2021-11-05"), ("members", "head", 1, 1)
    ),
    "job_aid_without_wage": lambda: cells(("incomes", "wage", 5, 0), ("incomes", "business", 5, 9000)),
    "production_aid_without_business": lambda: cells(("assistance", "measure", 1, "产业奖补")),
    "monitored_twice": lambda: tables_with(more={"status": [SECOND_STATUS]}),
    "not_one_head": lambda: cells(("members", "head", 0, 0)),
    "implausible_age": lambda: cells(("members", "birth", 3, "1910-01-01")),
    "household_without_members": lambda: cells(
        ("members", "end", 3, "2022-01-20"), ("members", "end_known_on", 3, "2022-01-20")
    ),
    "welfare_not_known": lambda: cells(("incomes", "date", 1, "2019-12-31"), ("incomes", "known_on", 1, "2020-01-20")),
    "welfare_after_leaving": lambda: tables_with(
        more={
            "households": [
                {"household_id": "3", "area_id": "5204", "known_on": "2021-12-01", "left_on": "2021-11-30"},
            ]
        }
    ),
    "implausible_welfare": lambda: cells(("incomes", "wage", 0, 32_000_000)),
    "overlapping_income": lambda: cells(("incomes", "date", 0, "2021-03-31"), ("incomes", "known_on", 0, "2021-04-20")),
    "out_of_pocket_above_cost": lambda: cells(("medical", "out_of_pocket", 0, 9001)),
    "disaster_hits_nobody": lambda: cells(("disasters", "area_id", 1, "5205")),
    "falling_line": lambda: cells(("lines", "amount", 0, 4300)),
    "wrong_check_digit": lambda: cells(("members", "member_id", 1, WIFE[:-1] + ("0" if WIFE[-1] != "0" else "1"))),
    "wrong_length": lambda: cells(("members", "member_id", 1, WIFE + "7")),
    "birth_differs_from_id": lambda: cells(("members", "birth", 1, "1990-03-08")),
    "end_known_ahead": lambda: cells(("employment", "end_known_on", 0, None)),
    "unknown_member": lambda: cells(("medical", "member_id", 0, "z")),
    "entered_late": lambda: cells(("medical", "known_on", 0, "2021-08-15")),
    "known_on_copied": lambda: tables_with(
        more={
            "medical": [
                {
                    "household_id": "2",
                    "record_id": str(day),
                    "date": day,
                    "known_on": day,
                    "cost": 9.0,
                    "out_of_pocket": 1.0,
                }
                for day in pd.date_range("2021-03-01", periods=50).astype(str)
            ]
        }
    ),
}


#: A table's delays are judged as a whole, so this case cannot stand beside others; every other case is a county.
ALONE = "known_on_copied"
BESIDE = {rule: made for rule, made in BAD.items() if rule != ALONE}


@pytest.fixture(scope="module")
def findings() -> pd.DataFrame:
    """Return what is found where every county has one thing wrong, by rule."""
    table = check(counties(BESIDE))
    assert table["rule"].is_unique
    return table.set_index("rule", drop=False)


def test_good_data_give_an_empty_table_of_the_same_form(findings: pd.DataFrame) -> None:
    nothing = check(monitoring())
    assert len(nothing) == 0
    assert list(nothing.columns) == list(findings.columns)


@pytest.mark.parametrize("rule", BESIDE)
def test_a_rule_speaks_when_the_one_thing_it_watches_is_wrong(findings: pd.DataFrame, rule: str) -> None:
    # One case, in the rule's own county: so it is silent in all others, where something else is wrong.
    assert findings.loc[rule, "count"] == 1
    assert f"'{county_of(rule, BESIDE)}" in findings.loc[rule, "first"]


def test_no_rule_speaks_where_another_thing_is_wrong(findings: pd.DataFrame) -> None:
    assert set(findings.index) == set(BESIDE)
    assert found(Monitoring(BAD[ALONE]())) == {ALONE: 50}


def test_every_rule_is_tested_and_there_are_the_rules_of_practice() -> None:
    every_table = {"end_known_ahead", "unknown_member", "entered_late", "known_on_copied"}
    assert set(BAD) == {rule.name for rule in RULES} | every_table
    assert len(BAD) >= 24


def test_a_finding_names_the_table_the_case_and_what_to_do_in_both_languages() -> None:
    (finding,) = check(monitoring(("water", "grade", 0, 4))).itertuples(index=False)
    assert (finding.rule, finding.severity, finding.table, finding.column) == (
        "unsafe_water_not_monitored",
        "warning",
        "water",
        "grade",
    )
    for message in (finding.message_en, finding.message_zh):
        assert "household_id '1'" in message
        assert "{" not in message
    assert "Visit them" in finding.message_en
    assert "请入户核实" in finding.message_zh


@pytest.mark.parametrize("table", sorted(set(GOOD) - {"households", "incomes", "lines", "members"}))
def test_rules_are_skipped_where_the_table_they_need_is_absent(table: str) -> None:
    needing = {rule.name for rule in RULES if any(need.startswith(f"{table}.") for need in rule.needs)}
    assert needing.isdisjoint(found(monitoring(without=table)))


def test_the_smallest_data_can_be_checked() -> None:
    tables = {name: pd.DataFrame(GOOD[name], dtype=object) for name in ("households", "lines")}
    tables["incomes"] = pd.DataFrame(GOOD["incomes"], dtype=object).assign(units=2)
    assert len(Monitoring(tables).check()) == 0


CORRECTED = {"household_id": "1", "date": "2021-06-01", "known_on": "2021-09-01", "grade": 1}
NO_WAGE = (("incomes", "wage", 5, 0), ("incomes", "business", 5, 9000))
#: What looks wrong and is not: the rules that must stay silent, and the tables.
ALLOWED: dict[str, tuple[set[str], Callable[[], Tables]]] = {
    "a monitored household is not missed": (
        {"unsafe_water_not_monitored"},
        lambda: cells(("water", "grade", 1, 4)),
    ),
    "natural elimination may be quick": (
        {"eliminated_too_soon"},
        lambda: cells(("status", "end", 1, "2021-03-10"), ("status", "elimination", 1, "natural")),
    ),
    "moving away is not judged as elimination": (
        {"eliminated_below_line", "eliminated_without_labour"},
        lambda: cells(("status", "elimination", 1, "left"), ("members", "labour", 4, 0), ("incomes", "wage", 4, 100)),
    ),
    "an unemployment benefit is no job measure": (
        {"job_aid_without_wage"},
        lambda: cells(*NO_WAGE, ("assistance", "measure", 1, "unemployment_benefit")),
    ),
    "an early version replaced since does not count": (
        {"unsafe_water_not_monitored"},
        lambda: tables_with(("water", "grade", 0, 4), more={"water": [CORRECTED]}),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def found_in_allowed() -> set[str]:
    return set(found(counties({case: made for case, (_, made) in ALLOWED.items()})))


@pytest.mark.parametrize("case", ALLOWED)
def test_what_only_looks_wrong_is_not_reported_in_any_county(found_in_allowed: set[str], case: str) -> None:
    assert found_in_allowed.isdisjoint(ALLOWED[case][0])


def test_check_digits_agree_with_the_definition_of_iso_7064() -> None:
    rng = np.random.default_rng(7)
    numbers = ["".join(rng.choice(list("0123456789"), 17)) for _ in range(300)]
    right = pd.Series([number + check_digit(number) for number in numbers])
    assert _check_digit_fits(right).all()
    assert "X" in set(right.str[17])
    wrong = pd.Series(
        [number + "0123456789X"[("0123456789X".index(check_digit(number)) + 1) % 11] for number in numbers]
    )
    assert not _check_digit_fits(wrong).any()


@pytest.mark.parametrize(
    ("member_id", "looks_official"),
    [
        (WIFE, True),
        (WIFE + "43", True),
        (WIFE + "4312", True),
        ("1", False),
        ("520301202001010001", True),
        ("A-17", False),
    ],
)
def test_only_ids_of_the_official_form_are_judged(member_id: str, looks_official: bool) -> None:
    assert _official(pd.Series([member_id])).tolist() == [looks_official]
