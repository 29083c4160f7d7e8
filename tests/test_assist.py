"""Measures, eligibility and planning: refusals, the best plan by brute force, limits that are kept."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csr_array
from trees import need

from riskml.causes import CAUSES
from riskml.findings import DataRefused
from riskml.planning.allocation import allocate
from riskml.planning.assist import NOT_FUNDED, PLAN_COLUMNS, match_assistance, plan_summary
from riskml.planning.eligibility import condition
from riskml.planning.measures import (
    MEASURE_COLUMNS,
    check_measures,
    example_measures,
    read_measures,
    write_measures_template,
)
from riskml.planning.prices import bound_at, find_prices
from riskml.planning.repair import repair
from riskml.tables.contract import MEASURES


def measure(name, causes, cost, effect, **more):
    return {"measure": name, "causes": causes, "cost": cost, "effect": effect, "effect_source": "assumed", **more}


def measures(*rows):
    return pd.DataFrame(list(rows))


def households(*points, risk=0.5, **columns):
    """Return need from one dict of points by cause a household."""
    table = pd.DataFrame(
        {"household_id": [f"h{k}" for k in range(len(points))], "as_of_date": pd.Timestamp("2024-12-01")}
    )
    table = table.assign(risk=risk, **columns)
    return table.assign(**{f"points_{c}": [float(entry.get(c, 0.0)) for entry in points] for c in CAUSES})


# --- conditions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [True, True, True]),
        ("risk >= 0.2", [True, False, False]),
        ("risk < 2e-1 and area_id == '5223'", [False, True, False]),
        ('not (risk > 0.1 or area_id != "5223")', [False, True, False]),
        ("risk > 0.1 or risk < 0.2 and area_id == 'no such'", [True, False, False]),
        ("not risk > 0.1", [False, True, True]),
        ("elders == 1", [True, False, False]),
        ("elders != 1", [False, True, False]),
        ("area_id == 5223", [False, False, False]),
        ("risk > '0.1'", [False, False, False]),
        ("points_illness > -.5", [True, True, True]),
    ],
)
def test_conditions_mean_what_they_say_and_missing_values_are_not_eligible(text, expected):
    table = pd.DataFrame(
        {"risk": [0.3, 0.1, 0.1], "area_id": ["5223", "5223", "52"], "elders": [1, 2, np.nan], "points_illness": 0.0}
    )
    assert condition(text)(table).tolist() == expected


@pytest.mark.parametrize(
    "text",
    ["risk", "risk >", "> 0.1", "risk > 0.1 and", "(risk > 0.1", "risk > 0.1)", "risk >> 1", "risk = 1", "1 < risk",
     "risk > area_id", "risk > 0.1 risk", "and", "not", "risk and 1", "risk > 'a", "__import__('os')", "risk.max > 1",
     "lambda: 0", "risk ( 1", "(" * 5000 + "risk > 1" + ")" * 5000, "not " * 5000 + "risk > 1"],
)  # fmt: skip
def test_what_is_not_a_condition_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|cannot read|more than"):
        condition(text)


# --- the table of measures ----------------------------------------------------------------------------------------


def test_the_template_names_the_official_measures_and_leaves_cost_and_effect_empty(tmp_path):
    path = tmp_path / "measures.csv"
    write_measures_template(path)
    table = read_measures(path)
    assert list(table) == list(MEASURE_COLUMNS)
    assert len(table) == 23
    assert table[["cost", "capacity", "effect", "effect_lower", "effect_upper"]].isna().all(axis=None)
    assert (table["effect_source"] == "").all()
    answered = set(";".join(table["causes"]).split(";"))
    assert answered == set(CAUSES) - {"other"}
    with pytest.raises(DataRefused, match="cannot be planned with") as refused:
        match_assistance(households({"illness": 0.1}), table, budget=1000)
    assert [(finding.rule, finding.count) for finding in refused.value.findings] == [("no_cost", 23), ("no_effect", 23)]


def test_the_official_measures_are_those_that_records_of_assistance_name(tmp_path):
    write_measures_template(tmp_path / "measures.csv")
    recorded = {name for names in MEASURES.values() for name in names}
    assert set(read_measures(tmp_path / "measures.csv")["measure"]) == recorded


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_measures_are_read_in_every_usual_encoding(tmp_path, encoding):
    path = tmp_path / "measures.csv"
    path.write_text(
        "measure,label_zh,causes,cost,effect,effect_source\na,医疗救助,illness,10,0.5,假设\n", encoding=encoding
    )
    table = read_measures(path)
    assert table["label_zh"].tolist() == ["医疗救助"]
    assert table["cost"].tolist() == [10.0]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"measure": ""}, "no_name"),
        ({"measure": "b"}, "duplicate_measure"),
        ({"causes": ""}, "no_cause"),
        ({"causes": "illness;sickness"}, "unknown_cause"),
        ({"cost": "a lot"}, "not_a_number"),
        ({"cost": "inf"}, "not_a_number"),
        ({"cost": -1}, "negative"),
        ({"capacity": -1}, "negative"),
        ({"effect": 30}, "not_a_share"),
        ({"effect_upper": 1.2}, "not_a_share"),
        ({"effect_lower": 0.6}, "crossed_interval"),
        ({"effect_source": ""}, "no_source"),
        ({"eligibility": "risk >"}, "eligibility"),
        ({"excludes": "c"}, "unknown_measure"),
        ({"colour": "red"}, "unknown_column"),
    ],
)
def test_wrong_measures_are_refused_in_both_languages(change, rule):
    table = measures(measure("a", "illness", 10, 0.5) | change, measure("b", "income", 10, 0.5))
    with pytest.raises(DataRefused) as refused:
        check_measures(table)
    finding = refused.value.findings[0]
    assert finding.rule == rule
    assert finding.en.startswith("measures")
    assert any("\u4e00" <= character <= "\u9fff" for character in finding.zh)


@pytest.mark.parametrize(
    ("content", "rule"),
    [(b"", "unreadable"), (b"measure\n", "missing_column"), (b"\xff\xff\xff", "unreadable"), (b'a,"b\n1', "unreadable"),
     (b"\x80\x04\x95\x10\x00\x00\x00", "unreadable")],
)  # fmt: skip
def test_files_that_are_no_measures_are_refused(tmp_path, content, rule):
    path = tmp_path / "measures.csv"
    path.write_bytes(content)
    with pytest.raises(DataRefused) as refused:
        read_measures(path)
    assert rule in {finding.rule for finding in refused.value.findings}


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataRefused, match="no such file"):
        read_measures(tmp_path / "measures.csv")


def test_checking_does_not_change_the_table_given():
    table = example_measures()
    before = table.copy()
    check_measures(table, for_planning=True)
    pd.testing.assert_frame_equal(table, before)


# --- allocation ---------------------------------------------------------------------------------------------------


def best_by_brute_force(gain, kind, use, limits):
    """Return the most that any allocation gains, minus infinity if none reaches the floors."""
    options = [[None, *np.flatnonzero(np.isfinite(row))] for row in gain]
    best = -np.inf
    for chosen in itertools.product(*options):
        taken = [(row, option) for row, option in enumerate(chosen) if option is not None]
        used = sum((use[:, kind[row] * gain.shape[1] + option] for row, option in taken), np.zeros(len(limits)))
        if (used <= limits + 1e-9).all():
            best = max(best, sum(gain[one] for one in taken))
    return best


def small_problem(seed, *, floor):
    """Return gains, kinds, uses and limits of a few households: money, places by kind, and a floor."""
    rng = np.random.default_rng(seed)
    n, n_packages, n_kinds = rng.integers(1, 6), rng.integers(1, 4), 2
    gain = np.where(rng.random((n, n_packages)) < 0.7, rng.integers(1, 9, (n, n_packages)) / 10, -np.inf)
    kind = rng.integers(0, n_kinds, n)
    cost = np.tile(rng.integers(1, 5, n_packages).astype(float), n_kinds)
    places = np.repeat([1.0, 0.0], n_packages)
    use, limits = [cost, places], [float(rng.integers(4, 12)), float(rng.integers(1, 4))]
    if floor:
        use.append(-np.repeat([0.0, 1.0], n_packages))
        limits.append(-float(rng.integers(1, 3)))
    return gain, kind, np.array(use), np.array(limits)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), floor=st.booleans())
def test_no_allocation_gains_more_than_the_one_found(seed, floor):
    gain, kind, use, limits = small_problem(seed, floor=floor)
    found = allocate(gain, kind, csr_array(use), limits)
    best = best_by_brute_force(gain, kind, use, limits)
    taken = np.flatnonzero(found.choice >= 0)
    used = use[:, kind[taken] * gain.shape[1] + found.choice[taken]].sum(axis=1)
    assert (used <= limits + 1e-9)[:2].all()
    assert found.gain == pytest.approx(gain[taken, found.choice[taken]].sum())
    assert found.floors_kept == (best > -np.inf)
    if found.floors_kept:
        assert found.gain == pytest.approx(best, rel=1e-6)
        assert best - 1e-9 <= found.bound <= best * (1 + 1e-5) + 1e-9


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_bound_is_the_optimum_of_the_relaxed_problem_and_the_prices_are_its_own(seed):
    rng = np.random.default_rng(seed)
    n, n_packages = 400, 3
    gain, kind = rng.random((n, n_packages)), np.zeros(n, dtype=np.int64)
    use = np.array([[3.0, 2.0, 1.0], [1.0, 0.0, 0.0]])
    limits = np.array([float(rng.integers(100, 300)), float(rng.integers(10, 40))])
    prices = find_prices(gain, kind, csr_array(use), limits)
    bound, _ = bound_at(gain, kind, csr_array(use), limits, prices)
    one_each = np.kron(np.eye(n), np.ones(n_packages))
    relaxed = linprog(
        -gain.ravel(), A_ub=np.vstack([one_each, np.tile(use, n)]), b_ub=np.append(np.ones(n), limits), bounds=(0, 1)
    )
    assert -relaxed.fun - 1e-9 <= bound <= -relaxed.fun * (1 + 1e-3)
    assert prices == pytest.approx(-relaxed.ineqlin.marginals[-2:], abs=0.02)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_repair_alone_keeps_every_limit_and_comes_near_the_best_that_branch_and_bound_finds(seed):
    rng = np.random.default_rng(seed)
    n, n_packages = 200, 4
    gain, kind = rng.random((n, n_packages)), rng.integers(0, 3, n)
    cost = np.tile([5.0, 3.0, 2.0, 1.0], 3)
    use = csr_array(np.vstack([cost, np.kron(np.eye(3), [1.0, 0, 0, 0]), -np.kron([0.0, 0.0, 1.0], np.ones(4))]))
    limits = np.array([150.0, 5.0, 8.0, 3.0, -20.0])
    prices = find_prices(gain, kind, use, limits)
    bound, wished = bound_at(gain, kind, use, limits, prices)
    choice = repair(gain, kind, use, limits, prices, wished)
    taken = np.flatnonzero(choice >= 0)
    used = use.toarray()[:, kind[taken] * n_packages + choice[taken]].sum(axis=1)
    assert (used <= limits).all()
    assert gain[taken, choice[taken]].sum() >= 0.99 * bound


def test_the_budget_is_kept_to_the_cent_where_the_solver_would_round():
    gain, cost = np.array([[1.0, -np.inf], [-np.inf, 1.0]]), csr_array(np.array([[5000.0, 5000.005]]))
    assert allocate(gain, np.array([0, 0]), cost, np.array([10_000.0])).gain == 1


def test_ten_thousand_households_and_eight_measures_take_seconds():
    table = need(10_000, scale=0.1)
    start = time.perf_counter()
    plan = match_assistance(table, example_measures(), budget=1_000_000)
    assert time.perf_counter() - start < 20
    assert plan["cost"].sum() <= 1_000_000


# --- plans --------------------------------------------------------------------------------------------------------


def best_plan_by_brute_force(table, kinds, budget, max_measures):
    """Return the most points that any plan averts, package by package, household by household."""
    names = list(kinds["measure"])
    packages = [c for size in range(max_measures + 1) for c in itertools.combinations(range(len(names)), size)]

    def averted(row, package):
        points = {c: max(row[f"points_{c}"], 0.0) for c in CAUSES}
        scale = min(1.0, row["risk"] / sum(points.values())) if sum(points.values()) else 0.0
        total = 0.0
        for cause, size in points.items():
            left = 1.0
            for one in package:
                left *= 1 - kinds["effect"][one] * (cause in kinds["causes"][one].split(";"))
            total += size * scale * (1 - left)
        return total

    best = 0.0
    for plan in itertools.product(packages, repeat=len(table)):
        cost = sum(kinds["cost"][one] for package in plan for one in package)
        places = [sum(one in package for package in plan) for one in range(len(names))]
        if cost <= budget and all(given <= kinds["capacity"][one] for one, given in enumerate(places)):
            best = max(
                best, sum(averted(row, package) for (_, row), package in zip(table.iterrows(), plan, strict=True))
            )
    return best


@pytest.mark.parametrize("max_measures", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_the_plan_averts_as_much_as_the_best_of_all_plans(seed, max_measures):
    table = need(4, seed=seed, scale=0.1)
    kinds = measures(
        measure("cash", "illness;income;labour", 3.0, 0.5, capacity=2.0),
        measure("care", "illness;disability", 1.0, 0.3, capacity=9.0),
        measure("work", "employment;income;labour;production", 2.0, 0.4, capacity=1.0),
    )
    plan = match_assistance(table, kinds, budget=5.0, max_measures=max_measures)
    expected = best_plan_by_brute_force(table, kinds, 5.0, max_measures)
    assert plan["expected_points"].sum() == pytest.approx(expected, rel=1e-6)
    assert plan["cost"].sum() <= 5.0
    assert plan.loc[plan["measure"] != "", "household_id"].value_counts().max() <= max_measures


def test_every_household_appears_and_those_without_a_measure_with_the_reason():
    table = households(
        {"illness": 0.2}, {"illness": 0.1}, {"water": 0.2}, {"housing": 0.2}, {"housing": 0.1}, area_id="52"
    )
    kinds = measures(
        measure("care", "illness", 100, 0.5),
        measure("grant", "schooling", 100, 0.5),
        measure("works", "water", 1, 0.5, eligibility="area_id == '53'"),
        measure("repair", "housing", 10, 0.5, capacity=1),
    )
    plan = match_assistance(table, kinds, budget=115)
    assert list(plan) == PLAN_COLUMNS
    assert plan["household_id"].tolist() == ["h0", "h1", "h2", "h3", "h4"]
    assert plan["measure"].tolist() == ["care", "", "", "repair", ""]
    assert plan["not_funded"].tolist() == ["", "budget", "not_eligible", "", "capacity"]
    assert plan["expected_points"].tolist() == pytest.approx([0.1, 0, 0, 0.1, 0])
    assert match_assistance(households({}, area_id=""), kinds, budget=1)["not_funded"].tolist() == ["no_fit"]
    assert set(plan["not_funded"]) - {""} <= set(NOT_FUNDED)
    assert (plan[["status", "reviewer", "decision", "reason"]] == "").all(axis=None)


def test_nothing_averts_more_than_the_risk_itself():
    table = households({"illness": 0.3, "income": 0.1, "assistance": -0.3}, risk=0.1)
    plan = match_assistance(table, measures(measure("cash", "illness;income", 1, 1.0)), budget=1)
    assert plan["expected_points"].tolist() == pytest.approx([0.1])


def test_two_measures_for_one_cause_avert_less_than_their_sum():
    kinds = measures(
        measure("a", "illness", 1, 0.5, effect_lower=0.2, effect_upper=0.6), measure("b", "illness", 1, 0.4)
    )
    plan = match_assistance(households({"illness": 0.2}), kinds, budget=2, max_measures=2)
    assert plan["expected_points"].sum() == pytest.approx(0.2 * (1 - 0.5 * 0.6))
    assert plan["expected_points"].tolist() == pytest.approx([0.14 * 5 / 9, 0.14 * 4 / 9])


def test_measures_that_exclude_one_another_are_not_given_together():
    kinds = measures(measure("a", "illness", 1, 0.5, excludes="b"), measure("b", "income", 1, 0.5))
    plan = match_assistance(households({"illness": 0.2, "income": 0.1}), kinds, budget=9, max_measures=2)
    assert plan["measure"].tolist() == ["a"]


def test_a_measure_that_adds_nothing_is_not_given():
    kinds = measures(measure("a", "illness", 0, 1.0), measure("b", "illness", 0, 0.5), measure("c", "income", 0, 0.0))
    plan = match_assistance(households({"illness": 0.2, "income": 0.1}), kinds, budget=9, max_measures=3)
    assert plan["measure"].tolist() == ["a"]


def test_the_plan_carries_the_cause_the_source_and_the_interval_of_the_effect():
    table = households({"illness": 0.02, "income": 0.1})
    kinds = measures(measure("cash", "illness;income", 1, 0.5, effect_lower=0.25, effect_upper=0.75, label_en="Cash"))
    row = match_assistance(table, kinds, budget=np.inf).iloc[0]
    assert (row["cause"], row["effect_source"], row["label_en"]) == ("income", "assumed", "Cash")
    assert (row["expected_points_lower"], row["expected_points_upper"]) == pytest.approx((0.03, 0.09))


def test_the_order_of_the_households_does_not_change_what_is_averted_or_the_order_of_the_plan():
    table = need(60, seed=2)
    plan = match_assistance(table, example_measures(), budget=50_000)
    turned = match_assistance(table.iloc[::-1], example_measures(), budget=50_000)
    assert turned["household_id"].tolist() == table["household_id"].tolist()[::-1]
    assert turned["expected_points"].sum() == pytest.approx(plan["expected_points"].sum(), rel=2e-6)


def test_without_money_only_what_is_free_is_given():
    kinds = measures(measure("a", "illness", 1, 0.5), measure("b", "illness", 0, 0.1))
    assert match_assistance(households({"illness": 0.2}), kinds, budget=0)["measure"].tolist() == ["b"]


def test_the_summary_adds_up_to_the_plan():
    plan = match_assistance(need(50), example_measures(), budget=30_000)
    summary = plan_summary(plan)
    assert summary["households"].sum() == len(plan)
    assert summary["cost"].sum() == plan["cost"].sum()
    assert summary["expected_points"].sum() == pytest.approx(plan["expected_points"].sum())
    unbounded = plan_summary(plan.assign(expected_points_lower=np.nan))
    assert unbounded["expected_points_lower"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"household_id": "h0"}, "twice"),
        ({"risk": np.nan}, "missing or infinite"),
        ({"points_water": np.inf}, "missing or infinite"),
    ],
)
def test_need_that_cannot_be_planned_for_is_refused(change, message):
    table = households({"illness": 0.2}, {"illness": 0.1}).assign(**change)
    with pytest.raises(ValueError, match=message):
        match_assistance(table, example_measures(), budget=1)


def test_missing_columns_are_named():
    table = households({"illness": 0.2})
    with pytest.raises(ValueError, match="need lacks points_water"):
        match_assistance(table.drop(columns="points_water"), example_measures(), budget=1)
    kinds = measures(measure("a", "illness", 1, 0.5, eligibility="elders > 1"))
    with pytest.raises(ValueError, match="eligibility of 'a' needs the column 'elders'"):
        match_assistance(table, kinds, budget=1)


@pytest.mark.parametrize("asked", [{"budget": -1}, {"budget": np.nan}, {"budget": 1, "max_measures": 0}])
def test_budgets_and_numbers_below_zero_are_refused(asked):
    with pytest.raises(ValueError, match="expected 0 or more, 1 or more"):
        match_assistance(households({"illness": 0.2}), example_measures(), **asked)
