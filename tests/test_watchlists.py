"""The list, its changes and its cards."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from trees import explanation, keys

from riskml.causes import CAUSES
from riskml.output.watchlists import POINTS, WATCHLIST_COLUMNS, cards, watchlist, watchlist_changes
from riskml.planning.assist import match_assistance
from riskml.planning.measures import example_measures


@pytest.fixture
def why():
    values = [[1.0, 0.2, 0.1], [3.0, -1.0, 0.2], [0.0, -1.0, -0.5], [1.0, 0.2, 0.1], [0.5, 2.0, 0.3]]
    return explanation(
        values, np.ones((5, 3)), bills=("illness", "lines"), wage=("income", "lines"), roof=("housing", "grade")
    )


def test_the_list_has_exactly_the_columns_of_the_contract_and_ranks_by_risk(why):
    table = watchlist(why.risk, why)
    assert list(table) == WATCHLIST_COLUMNS
    assert WATCHLIST_COLUMNS[12:25] == [f"points_{cause}" for cause in CAUSES]
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    assert table["risk"].is_monotonic_decreasing
    assert table["household_id"].tolist() == ["h004", "h001", "h000", "h003", "h002"]
    assert table[["risk_lower", "risk_upper"]].isna().all(axis=None)
    assert (table["area_id"] == "").all()


def test_equal_risks_stand_in_the_order_of_their_ids_whatever_the_order_of_the_rows(why):
    turned = why.take(why.X.index[::-1])
    pd.testing.assert_frame_equal(watchlist(turned.risk, turned), watchlist(why.risk, why))


def test_points_lead_from_the_starting_point_to_the_risk(why):
    table = watchlist(why.risk, why)
    np.testing.assert_allclose(table["risk"] - table[POINTS].sum(axis=1), why.base_risk, atol=1e-12)


def test_areas_and_intervals_go_with_their_household(why):
    intervals = pd.DataFrame({"risk_lower": why.risk / 2, "risk_upper": why.risk * 1.5}).iloc[::-1]
    areas = [f"area of {household}" for household in why.X.index.get_level_values(0)]
    table = watchlist(why.risk, why, areas=areas, intervals=intervals, n=3)
    assert len(table) == 3
    assert (table["area_id"] == "area of " + table["household_id"]).all()
    np.testing.assert_allclose(table["risk_lower"], table["risk"] / 2)
    np.testing.assert_allclose(table["risk_upper"], table["risk"] * 1.5)


def test_only_the_households_of_the_list_need_an_explanation(why):
    first = watchlist(why.risk, why, n=2)
    some = why.take(pd.MultiIndex.from_frame(first[["household_id", "as_of_date"]]))
    pd.testing.assert_frame_equal(watchlist(why.risk, some, n=2), first)
    with pytest.raises(KeyError, match="explain it first"):
        watchlist(why.risk, some, n=3)


def test_a_plan_is_put_beside_the_households(why):
    table = watchlist(why.risk, why)
    plan = match_assistance(table, example_measures(), budget=4000, max_measures=2)
    planned = watchlist(why.risk, why, plan)
    assert list(planned) == [*WATCHLIST_COLUMNS, "measure", "cost"]
    assert planned["cost"].sum() == plan["cost"].sum() > 0
    assert (planned.loc[planned["measure"] == "", "cost"] == 0).all()
    assert planned["household_id"].tolist() == table["household_id"].tolist()


@pytest.mark.parametrize(
    ("risk", "message"),
    [
        (pd.Series([0.1], index=["h000"]), "indexed by"),
        (pd.Series(0.1, index=keys(2).append(keys(2, "2025-01-01"))), "2 as-of dates"),
        (pd.Series(0.1, index=keys(2).append(keys(1))), "'h000' is there twice"),
        (pd.Series([0.1, np.nan], index=keys(2)), "1 risks are missing"),
    ],
)
def test_risks_that_make_no_list_are_refused(why, risk, message):
    with pytest.raises(ValueError, match=message):
        watchlist(risk, why)


def two_lists():
    """Return lists of two dates: h000 rises by illness, h001 falls by income, h002 leaves the table, h003 is new."""
    meaning = {"bills": ("illness", "lines"), "wage": ("income", "lines")}
    before = explanation([[0.0, 0.5], [0.0, 2.0], [1.0, 0.0]], np.ones((3, 2)), **meaning)
    now = explanation([[2.0, 0.4], [0.0, 0.1], [1.0, 0.0], [1.5, 0.0]], np.ones((4, 2)), **meaning)
    now = now.take(now.X.index[[0, 1, 3]])
    return watchlist(before.risk, before), watchlist(now.risk, now)


def test_changes_say_who_entered_stayed_and_left_and_what_moved_the_risk():
    before, now = two_lists()
    changes = watchlist_changes(before, now).set_index("household_id")
    assert changes["change"].to_dict() == {"h000": "stayed", "h001": "stayed", "h002": "left", "h003": "entered"}
    assert changes["cause"].to_dict() == {"h000": "illness", "h001": "income", "h002": "illness", "h003": "illness"}
    for household, sign in (("h000", 1), ("h001", -1)):
        row = changes.loc[household]
        moved = sum(row[f"change_{cause}"] for cause in CAUSES)
        assert moved == pytest.approx(row["risk_now"] - row["risk_before"])
        assert np.sign(moved) == sign
    assert np.isnan(changes.loc["h002", "risk_now"])
    assert np.isnan(changes.loc["h003", "change_illness"])
    assert "rose from 7.6% to 35%, most by illness" in changes.loc["h000", "sentence_en"]
    assert "由7.6%升至35%" in changes.loc["h000", "sentence_zh"]
    assert changes.loc["h002", "sentence_en"].startswith("Off the list. Risk was 12%")
    assert changes.loc["h003", "sentence_en"].startswith("New on the list. Risk 18%, first illness")


def test_with_whole_tables_the_length_of_the_list_decides_who_entered_and_left():
    before, now = two_lists()
    changes = watchlist_changes(before, now, n=1)
    assert changes[["household_id", "change"]].to_numpy().tolist() == [["h000", "entered"], ["h001", "left"]]
    assert changes["rank_before"].tolist() == [3, 1]
    assert changes["rank_now"].tolist() == [1, 3]
    assert changes["sentence_en"].str.contains("most by").all()


def test_a_list_against_itself_has_no_changes():
    before, _ = two_lists()
    changes = watchlist_changes(before, before)
    assert (changes["change"] == "stayed").all()
    assert changes["sentence_en"].str.startswith("Risk unchanged at").all()
    assert (changes[[f"change_{cause}" for cause in CAUSES]] == 0).all(axis=None)


def test_a_household_twice_is_refused():
    before, now = two_lists()
    with pytest.raises(ValueError, match="'h001' is in a list twice"):
        watchlist_changes(pd.concat([before, before.head(1)]), now)


def test_a_cards_steps_lead_from_the_start_to_the_risk_largest_first(why):
    table = watchlist(why.risk, why)
    plan = match_assistance(table, example_measures(), budget=3000)
    found = cards(table, plan=plan, n_cards=2)
    assert [card.row["household_id"] for card in found] == ["h004", "h001"]
    for card in found:
        assert card.base_risk == pytest.approx(why.base_risk)
        assert card.base_risk + sum(points for _, points in card.steps) == pytest.approx(card.row["risk"])
        sizes = [abs(points) for _, points in card.steps]
        assert sizes == sorted(sizes, reverse=True)
        assert len(card.measures) == 1
