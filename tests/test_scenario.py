"""Scenarios: what is refused, what an edit writes, and that nothing known before the event is touched."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml.datasets import make_monitoring
from riskml.findings import DataRefused
from riskml.outlook.edits import KINDS, SHARE
from riskml.outlook.scenario import (
    PART_KEYS,
    SCENARIO_KEYS,
    apply_scenario,
    edited,
    in_chinese,
    read_scenario,
    scenario_from,
)
from riskml.tables.monitoring import Monitoring

ROOT = Path(__file__).resolve().parents[1]
AS_OF, DAY = pd.Timestamp("2023-04-01"), pd.Timestamp("2023-01-01")
EDITS = {
    "disaster": {"what": "flood", "severity": 3, "loss": 0.2},
    "loss": {"of": "crop", "size": 0.5},
    "price": {"of": "crop", "change": -0.5, "fades": 0.05},
    "income": {"source": "private", "change": -1.0},
    "jobs_end": {"which": "away"},
    "bills": {"factor": 2.0},
    "support_ends": {},
    "grade": {"table": "housing", "grade": 4},
}


@pytest.fixture(scope="module")
def data() -> Monitoring:
    return make_monitoring(100, n_months=28, random_state=5)


def one(kind: str, **part):
    """Return a scenario of one edit of a kind."""
    return scenario_from({"name": kind, "part": [{"edits": [{"kind": kind, **EDITS[kind]}], **part}]})


@pytest.fixture(scope="module")
def imagined(data):
    """Return a function that gives the tables under an edit of a kind, and what it did, each made once."""
    return functools.cache(lambda kind: edited(data, one(kind), AS_OF))


@pytest.fixture(scope="module")
def half(data):
    """Return a function that gives the same where the edit falls on half of the households."""
    return functools.cache(lambda kind: edited(data, one(kind, share=0.5), AS_OF))


def newest(data: Monitoring, table: str, key: list[str]) -> pd.DataFrame:
    """Return the newest version of each record known on the as-of date."""
    frame = data.known_by(AS_OF).tables[table]
    frame = frame.sort_values("known_on", kind="stable").drop_duplicates(key, keep="last")
    return frame[~(frame["withdrawn"] == 1)].set_index(key).sort_index()


def known_rows(data: Monitoring, table: str) -> pd.DataFrame:
    """Return the rows known before the event, their ends if known by then."""
    frame = data.tables[table]
    frame = frame[frame["known_on"] < DAY]
    if "end" in frame:
        later = frame["end_known_on"] >= DAY
        frame = frame.assign(end=frame["end"].mask(later), end_known_on=frame["end_known_on"].mask(later))
    return frame


def same_rows(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables hold the same rows, in any order and with or without empty columns."""
    columns = list(one.columns)
    if one.reset_index(drop=True).equals(other[columns].reset_index(drop=True)):
        return True  # in the same order too
    rows = [frame[columns].astype(str).sort_values(columns).reset_index(drop=True) for frame in (one, other)]
    return rows[0].equals(rows[1])


# --- what is promised of every edit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_known_before_the_event_is_as_it_was(data, half, kind):
    assert_untouched(data, half(kind)[0])


def assert_untouched(data, world):
    for name in data.tables:
        if name != "lines":
            assert same_rows(known_rows(data, name), known_rows(world, name)), name


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_changes_something_and_says_whose_records(data, half, kind):
    world, made = half(kind)
    known = data.known_by(AS_OF)
    touched = set(made["household_id"])
    assert made["rows"].sum() > 0
    for name, table in known.tables.items():
        if "household_id" in table and name != "households":
            others = [frame[~frame["household_id"].isin(touched)] for frame in (table, world.tables[name])]
            assert same_rows(*others), name
    assert any(not same_rows(known.tables[name], world.tables[name]) for name in known.tables)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("bills", "income", "price", "support_ends")])
def test_new_records_and_ends_of_spells_are_the_same_when_applied_again(data, imagined, kind):
    once = imagined(kind)[0]
    versions = [frame.versions(KINDS[kind][1]) for frame in (once, apply_scenario(once, one(kind), AS_OF))]
    columns = [name for name in versions[0] if name not in ("superseded_on", "known_on", "loss")]
    now = [frame[frame["superseded_on"].isna()][columns].drop_duplicates() for frame in versions]
    assert same_rows(*now)


def test_the_same_seed_draws_the_same_households_and_another_draws_others(data):
    scenario = one("disaster", share=0.5)
    drawn = [set(edited(data, scenario, AS_OF, random_state=seed)[1]["household_id"]) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 0.3 < len(drawn[0]) / 100 < 0.7


def test_an_empty_scenario_changes_nothing(data):
    after, made = edited(data, scenario_from({"name": "nothing"}), AS_OF)
    known = data.known_by(AS_OF)
    assert made.empty
    assert after.extract_on == known.extract_on
    assert all(same_rows(known.tables[name], after.tables[name]) for name in known.tables)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=4),
    months_ago=st.integers(1, 12),
    share=st.floats(0, 1),
    known_after_days=st.integers(0, 27),
)
def test_no_feature_of_a_day_up_to_the_event_moves(data, kinds, months_ago, share, known_after_days):
    parts = [{"share": share, "edits": [{"kind": kind, **EDITS[kind]} for kind in kinds]}]
    given_values = {"name": "any", "months_ago": months_ago, "known_after_days": known_after_days, "part": parts}
    scenario = scenario_from(given_values)
    after = apply_scenario(data, scenario, AS_OF)
    X = [rk.feature_table(tables, [scenario.day(AS_OF)]) for tables in (data, after)]
    pd.testing.assert_frame_equal(*X, check_dtype=False)


def test_a_fault_in_the_edits_would_be_found(data, plant):
    plant("outlook.edits", '& (frame["known_on"] >= self.day)', "")
    with pytest.raises(AssertionError):
        assert_untouched(data, apply_scenario(data, one("jobs_end"), AS_OF))


# --- what each edit writes -------------------------------------------------------------------------------------------


def test_a_flood_of_one_village_reaches_its_households_alone(data):
    village = data.tables["households"]["area_id"].min()
    there = set(data.tables["households"].loc[data.tables["households"]["area_id"] == village, "household_id"])
    _, made = edited(data, one("disaster", areas=[village]), AS_OF)
    assert set(made["household_id"]) <= there
    assert len(made) > 10
    X = [
        rk.feature_table(tables, [AS_OF])
        for tables in (data, apply_scenario(data, one("disaster", areas=[village]), AS_OF))
    ]
    moved = (X[0] != X[1]) & ~(X[0].isna() & X[1].isna())
    others = ~X[0].index.get_level_values("household_id").isin(there)
    assert not moved[others].to_numpy().any()
    assert set(moved.columns[moved.any()]) == {
        *("disaster_days_since", "disaster_count_3m", "disaster_count_12m", "disaster_count_36m"),
        *("disaster_severity_max_3m", "disaster_severity_max_12m", "disaster_loss_sum_12m", "disaster_loss_sum_36m"),
    }


def test_the_loss_of_a_disaster_is_in_years_at_the_line_of_the_household(data, imagined):
    X = rk.feature_table(imagined("disaster")[0], [AS_OF])
    was = rk.feature_table(data, [AS_OF]).loc[X.index, "disaster_loss_sum_12m"].fillna(0)
    # A loss of 0.2 years of the household's line on the day of the event; members who came or went since aside.
    np.testing.assert_allclose((X["disaster_loss_sum_12m"] - was).median(), 0.2, atol=1e-6)


def test_a_halved_income_halves_the_months_since_and_fades(data):
    scenario = scenario_from(
        {"name": "half", "part": [{"edits": [{"kind": "income", "source": "private", "change": -0.5, "fades": 0.2}]}]}
    )
    key = ["household_id", "date"]
    before, after = (newest(tables, "incomes", key) for tables in (data, apply_scenario(data, scenario, AS_OF)))
    ratio = (after["private"] / before["private"]).groupby("date").mean()
    assert (ratio[ratio.index < DAY].dropna() == 1).all()
    expected = {"2023-01-31": 1 - 0.5, "2023-02-28": 1 - 0.5 * 0.8}
    for day, share in expected.items():
        assert ratio[pd.Timestamp(day)] == pytest.approx(share)
    np.testing.assert_allclose(after["total"] - before["total"], after["private"] - before["private"], atol=1e-6)


def test_a_year_of_income_is_changed_for_the_share_of_it_that_came_after_the_event():
    tables = {
        "households": pd.DataFrame({"household_id": ["1"], "area_id": "52", "known_on": "2020-01-01"}),
        "incomes": pd.DataFrame(
            {
                "household_id": ["1"],
                "date": "2023-02-28",
                "known_on": "2023-03-10",
                "months": 12,
                "wage": 3650.0,
                "units": 1,
            }
        ),
        "lines": pd.DataFrame({"area_id": "", "valid_from": ["2020-01-01"], "amount": 4000, "unit": "person_year"}),
    }
    data = Monitoring(tables, extract_on="2023-04-01")
    scenario = scenario_from({"name": "x", "part": [{"edits": [{"kind": "income", "source": "wage", "change": -1.0}]}]})
    wage = apply_scenario(data, scenario, AS_OF).tables["incomes"]["wage"]
    assert wage.tolist() == pytest.approx([3650 * (1 - (31 + 28) / 365)])


def test_jobs_that_end_take_their_share_of_the_wages_with_them(data, imagined):
    world, made = imagined("jobs_end")
    key = ["household_id", "member_id", "start"]
    before, after = (newest(tables, "employment", key) for tables in (data, world))
    ended = after[(after["end"] == DAY) & (before["end"].reindex(after.index) != DAY)]
    assert len(ended) == made["rows"].sum() > 10
    assert (ended["away"] == 1).all()
    running = before[(before.index.get_level_values("start") < DAY) & ~(before["end"] <= DAY)]
    pay = running.groupby("household_id")["wage"].sum()
    share = (ended.groupby("household_id")["wage"].sum() / pay).dropna()
    income = [
        newest(tables, "incomes", ["household_id", "date"])["wage"].xs(pd.Timestamp("2023-01-31"), level="date")
        for tables in (data, world)
    ]
    ratio = (income[1] / income[0]).reindex(share.index).dropna()
    np.testing.assert_allclose(ratio, 1 - share[ratio.index], atol=1e-6)
    assert (ratio < 0.999).sum() > 5


def test_bills_double_from_the_event_on(data, imagined):
    key = ["household_id", "record_id"]
    before, after = (newest(tables, "medical", key) for tables in (data, imagined("bills")[0]))
    since = (before["date"] >= DAY) & (before["known_on"] >= DAY)
    assert since.sum() > 5
    np.testing.assert_allclose(after["out_of_pocket"], before["out_of_pocket"] * np.where(since, 2, 1))


def test_no_support_runs_after_it_ended_and_what_it_paid_is_gone_from_the_transfers(data, imagined):
    world = imagined("support_ends")[0]
    known = [tables.known_by(AS_OF).versions("assistance") for tables in (data, world)]
    running = [((f["start"] <= AS_OF) & ~(f["end"] < AS_OF) & f["superseded_on"].isna()).sum() for f in known]
    assert running[0] > 10
    assert running[1] == 0
    guarantee = newest(data, "assistance", ["household_id", "record_id"]).reset_index()
    guarantee = guarantee[guarantee["measure"] == "minimum_income_guarantee"]
    guarantee = guarantee[(guarantee["start"] < DAY) & ~(guarantee["end"] <= pd.Timestamp("2023-02-28"))]
    paid = guarantee.drop_duplicates("household_id", keep=False).set_index("household_id")["amount"]
    key = ["household_id", "date"]
    lost = newest(data, "incomes", key)["transfers"] - newest(world, "incomes", key)["transfers"]
    lost = lost.xs(pd.Timestamp("2023-01-31"), level="date").reindex(paid.index).dropna()
    assert len(lost) > 3
    assert (
        lost
        >= 0.99
        * paid[lost.index].clip(
            upper=newest(data, "incomes", key)["transfers"].xs(pd.Timestamp("2023-01-31"), level="date")
        )
    ).all()


def test_a_check_finds_nothing_better_than_it_was_and_keeps_what_else_is_known(data, imagined):
    X = [rk.feature_table(tables, [AS_OF]) for tables in (data, imagined("grade")[0])]
    known = X[0]["housing_grade"].notna()
    assert (X[1].loc[known, "housing_grade"] == 4).all()
    pd.testing.assert_series_equal(X[0]["housing_rooms"], X[1]["housing_rooms"])


def test_households_are_chosen_by_what_was_known_of_them_on_the_day_of_the_event(data):
    X = rk.feature_table(data, [DAY]).droplevel("as_of_date")
    _, made = edited(data, one("disaster", where="members_60 > 0 and product == 'crop'"), AS_OF)
    chosen = set(made["household_id"]) & set(X.index)
    kinds = data.known_by(DAY).versions("production").groupby("household_id")["kind"].last()
    assert chosen == set(X.index[(X["members_60"] > 0) & (kinds.reindex(X.index) == "crop")])
    assert len(chosen) > 5


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_values", "said"),
    [
        ({}, "'name' is missing"),
        ({"name": "x", "months": 3}, "'months' is not a key of a scenario"),
        ({"name": "x", "months_ago": 0}, "'months_ago' should be a whole number from 1 to 12, got 0"),
        ({"name": "x", "months_ago": True}, "'months_ago' should be"),
        (
            {"name": "x", "part": [{"edits": [{"kind": "quake"}]}]},
            r"part\[1\].edits\[1\].kind' should be one of disaster",
        ),
        ({"name": "x", "part": [{"edits": [{"kind": "bills"}]}]}, r"part\[1\].edits\[1\].factor' is missing"),
        (
            {"name": "x", "part": [{"area": ["1"], "edits": []}]},
            r"'part\[1\].area' is not a key.*Expected: areas, where",
        ),
        ({"name": "x", "part": [{"edits": [{"kind": "bills", "factor": "2"}]}]}, "should be a number from 0 to 100"),
        ({"name": "x", "part": [{"where": "members >", "edits": []}]}, "is not a condition"),
        ({"name": "x", "part": {"edits": []}}, r"'part' should be tables \[\[part\]\]"),
    ],
)
def test_a_wrong_scenario_is_refused_in_both_languages(given_values, said, monkeypatch):
    with pytest.raises(DataRefused, match=said):
        scenario_from(given_values)
    monkeypatch.setenv("RISKML_LANG", "zh")
    with pytest.raises(DataRefused, match="情景"):
        scenario_from(given_values)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(DataRefused) as refused:
        scenario_from({"months_ago": 99, "colour": "red"})
    assert [finding.rule for finding in refused.value.findings] == ["wrong_key", "unknown_key", "missing_key"]


@pytest.mark.parametrize(
    ("scenario", "rule"),
    [
        (one("disaster", areas=["12345"]), "nobody_there"),
        (one("disaster", where="colour == 'red'"), "bad_condition"),
    ],
)
def test_a_scenario_that_does_not_fit_the_data_is_refused(data, scenario, rule):
    with pytest.raises(DataRefused) as refused:
        apply_scenario(data, scenario, AS_OF)
    assert refused.value.findings[0].rule == rule


def test_an_edit_of_an_absent_table_is_refused(data):
    without = Monitoring({name: frame for name, frame in data.tables.items() if name != "medical"})
    with pytest.raises(DataRefused, match=r"part 1, edit 1 \(bills\)' needs the table medical"):
        apply_scenario(without, one("bills"), AS_OF)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(DataRefused, match=r"cannot be read.*docs/stress.md"):
        read_scenario(path)


# --- the page --------------------------------------------------------------------------------------------------------


def test_every_example_can_be_read_and_applied():
    data = make_monitoring(1000, n_months=18, random_state=1)
    for path in sorted((ROOT / "docs" / "scenarios").glob("*.toml")):
        scenario = read_scenario(path)
        assert scenario.name == path.stem
        assert scenario.label_en
        assert scenario.label_zh
        assert edited(data, scenario, "2022-07-01")[1].groupby(["part", "edit"])["rows"].sum().gt(0).all(), path


def test_the_page_has_every_key_and_nothing_else():
    page = (ROOT / "docs" / "stress.md").read_text(encoding="utf-8")
    rows = [("file", name, key) for name, key in SCENARIO_KEYS.items()]
    rows += [("`[[part]]`", name, key) for name, key in PART_KEYS.items()]
    rows += [(f"`{kind}`", name, key) for kind, (_, _, keys) in KINDS.items() for name, key in keys.items()]
    lines = ["| in | key | what | expected | default |", "|---|---|---|---|---|"]
    for where, name, key in rows:
        default = "required" if not isinstance(key.default, str | int | float | list) else f"`{key.default!r}`"
        lines.append(f"| {where} | `{name}` | {key.meaning} | {key.expected} | {default} |")
    table = page.partition("<!-- keys: begin -->\n\n")[2].partition("\n\n<!-- keys: end -->")[0]
    assert table == "\n".join(lines)


def test_what_every_key_expects_is_said_in_chinese_too():
    keys = [*SCENARIO_KEYS.values(), *PART_KEYS.values(), SHARE]
    keys += [key for _, _, own in KINDS.values() for key in own.values()]
    for key in keys:
        assert re.search("[\u4e00-\u9fff]", in_chinese(key.expected)), key.expected
        assert not re.search(r"\b(from|to|of|or|list|one)\b", in_chinese(key.expected)), key.expected
    with pytest.raises(DataRefused) as refused:
        scenario_from({"name": "x", "part": [{"edits": [{"kind": "flod"}]}]})
    assert "应为下列之一：disaster, " in refused.value.findings[0].zh
