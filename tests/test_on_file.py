"""What is on file of a household: what happened to it, as the office knew it on the day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import explanation

import riskml as rk
from riskml.causes import CAUSES, TOPICS
from riskml.explanation import on_file as module
from riskml.explanation.contributions import Explanation
from riskml.explanation.on_file import ADVERSE, on_file
from riskml.features.dictionary import feature_dictionary
from riskml.output.report import write_report
from riskml.output.watchlists import watchlist
from riskml.steps import LIST_COLUMNS, without_reasons

DAY = "2023-06-01"
#: Where the office enters each shock: the day it happened, and all else the record says.
SHOCKS = {
    "employment": ("employment", {"start": "2021-03-01", "end": "2023-03-01", "end_known_on": "2023-04-10"}),
    "accident": ("disasters", {"date": "2023-03-01", "kind": "accident", "severity": 2.0}),
    "disaster": ("disasters", {"date": "2023-03-01", "kind": "flood", "severity": 2.0}),
    "illness": ("medical", {"date": "2023-03-01", "cost": 9000.0, "out_of_pocket": 800.0, "serious": 1.0}),
    "schooling": ("schooling", {"date": "2023-03-01", "dropped_out": 1.0, "enrolled": 0.0}),
    "production": ("production", {"date": "2023-03-01", "kind": "crop", "loss": 500.0}),
    "housing": ("housing", {"date": "2023-03-01", "grade": 4.0}),
    "water": ("water", {"date": "2023-03-01", "grade": 4.0}),
}


def struck(cause: str) -> rk.Monitoring:
    """Return two households; the first is struck on 2023-03-01, which the office enters on 2023-04-10."""
    households = pd.DataFrame({"household_id": ["a", "b"], "area_id": "1", "known_on": pd.Timestamp("2021-01-05")})
    members = households[["household_id", "known_on"]].assign(
        member_id=["a1", "b1"], birth=pd.Timestamp("1980-01-01"), start=pd.Timestamp("2010-01-01"), disability=0.0
    )
    dates = pd.date_range("2022-01-01", "2023-05-01", freq="MS")
    incomes = households[["household_id"]].merge(pd.DataFrame({"date": dates}), how="cross")
    incomes = incomes.assign(known_on=incomes["date"] + pd.Timedelta(days=8), months=1.0, wage=900.0)
    lines = pd.DataFrame(
        {"area_id": [""], "valid_from": [pd.Timestamp("2020-01-01")], "known_on": [pd.Timestamp("2020-01-01")],
         "amount": [3000.0], "unit": ["person_year"]}
    )  # fmt: skip
    table, record = SHOCKS[cause]
    days = {name: pd.Timestamp(value) if str(value)[:2] == "20" else value for name, value in record.items()}
    known_on = pd.Timestamp("2021-03-05" if cause == "employment" else "2023-04-10")
    row = {"household_id": "a", "record_id": "1", "member_id": "a1", "area_id": "", "known_on": known_on, **days}
    extra = pd.DataFrame([row])
    kept = [column.name for column in rk.tables.contract.TABLES[table].columns if column.name in extra]
    tables = {"households": households, "members": members, "incomes": incomes, "lines": lines, table: extra[kept]}
    return rk.Monitoring(tables, extract_on=pd.Timestamp("2023-12-01"))


def found_on(data: rk.Monitoring, day: str) -> pd.DataFrame:
    X = rk.feature_table(data, [day])
    return on_file(X, feature_dictionary()).droplevel("as_of_date")


@pytest.mark.parametrize("cause", list(SHOCKS))
def test_a_shock_is_on_file_under_its_cause_of_its_household_once_it_is_known(cause):
    data = struck(cause)
    found = found_on(data, DAY)
    assert found.loc["a"][lambda row: row].index.tolist() == [cause]
    assert not found.loc["b"].any()
    # It had happened by then, and nobody had entered it; what is entered on the day is not seen yet.
    for day in ("2023-04-01", "2023-04-10"):
        assert not found_on(data, day).any(axis=None)
    assert found_on(data, "2023-04-11").loc["a", cause]


def test_every_mark_is_a_feature_of_its_cause_that_may_be_spelled_out_and_raises_the_risk():
    meaning = feature_dictionary().set_index("name")
    for cause, marks in ADVERSE.items():
        assert set(meaning.loc[list(marks), "cause"]) == {cause}
        assert not meaning.loc[list(marks), "sensitive"].any()
        sides = meaning.loc[list(marks), "direction"].to_numpy() * np.sign(list(marks.values()))
        assert (sides >= 0).all()
    assert set(CAUSES) - set(ADVERSE) == {"income", "other"}


@settings(deadline=None)
@given(st.lists(st.floats(-2, 5) | st.just(np.nan), min_size=15, max_size=15), st.integers(0, 15))
def test_a_cause_is_on_file_exactly_where_a_feature_that_is_not_sensitive_reaches_its_bound(values, hidden):
    marks = [(cause, name, bound) for cause, bounds in ADVERSE.items() for name, bound in bounds.items()]
    names = [name for _, name, _ in marks]
    X = pd.DataFrame([values], columns=names)
    meaning = pd.DataFrame({"name": names, "sensitive": [place == hidden for place in range(15)]})
    expected = set()
    for place, ((cause, _, bound), value) in enumerate(zip(marks, values, strict=True)):
        if place != hidden and (value >= bound if bound > 0 else value <= bound):
            expected.add(cause)
    found = on_file(X, meaning)
    assert list(found) == [cause for cause in CAUSES if cause in ADVERSE]
    assert set(found.columns[found.iloc[0]]) == expected


def listed() -> tuple[Explanation, pd.DataFrame]:
    meaning = {"jobs_ended_12m": ("employment", "count"), "production_loss_count_12m": ("production", "count")}
    why = explanation([[1.0, 0.5], [0.5, 0.0], [0.1, 0.0]], [[1, 2], [1, 0], [0, np.nan]], **meaning)
    return why, watchlist(why.risk, why)


def test_the_list_has_the_causes_on_file_after_those_by_points():
    why, table = listed()
    assert table["on_file"].tolist() == ["employment;production", "employment", ""]
    assert list(table).index("on_file") == list(table).index("cause_3") + 1
    assert why.on_file().to_numpy().sum() == 3
    assert (without_reasons(table)["on_file"] == "").all()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Adverse records on file (last 12 months, or as it stands): employment, farm and business"),
        ("zh", "不利记录（近12个月内，或目前状况）：务工就业、生产经营"),
    ],
)
def test_card_and_list_say_what_is_on_file_and_older_lists_still_make_a_report(tmp_path, language, said):
    _, table = listed()
    start = said[: -len("employment, farm and business" if language == "en" else "务工就业、生产经营")]
    write_report(tmp_path / "new.html", table, language=language, n_cards=2)
    new = (tmp_path / "new.html").read_text(encoding="utf-8")
    # Two in the list and on a card each; who has nothing on file has no such line.
    assert (new.count(said), new.count(start)) == (2, 4)
    assert TOPICS["employment"][language == "zh"] in new
    older = table.drop(columns="on_file")
    assert set(LIST_COLUMNS) <= set(older)
    write_report(tmp_path / "old.html", older, language=language)
    assert start not in (tmp_path / "old.html").read_text(encoding="utf-8")


def test_a_bound_that_everybody_reaches_would_be_caught(monkeypatch):
    monkeypatch.setitem(module.ADVERSE, "labour", {"members": 1})
    with pytest.raises(AssertionError):
        test_a_shock_is_on_file_under_its_cause_of_its_household_once_it_is_known("water")
