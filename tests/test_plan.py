"""Plans with many limits: every row keeps every rule, no plan averts more, decisions stay; planted faults are caught."""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import functools
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import need

from riskml.causes import CAUSES
from riskml.datasets import make_monitoring
from riskml.findings import DataRefused
from riskml.planning.assist import NOT_FUNDED, make_plan, match_assistance, plan_summary
from riskml.planning.limits import read_budgets, read_floors
from riskml.planning.measures import check_measures, example_measures
from riskml.planning.received import received_on
from riskml.planning.sensitivity import n_changed, plan_sensitivity

#: A condition, and the same in Python.
ELIGIBILITY = {
    "": lambda row: True,
    "elders >= 1": lambda row: row["elders"] >= 1,
    "risk > 0.2": lambda row: row["risk"] > 0.2,
}
NAMES = ("cash", "care", "work")


class Case:
    """A small problem with every kind of limit, and the rules of a plan in plain Python."""

    def __init__(self, seed, n=3):
        rng = np.random.default_rng(seed)
        table = need(n, seed=seed, scale=0.1)
        areas = rng.choice(["522301", "522302", "5224"], n)
        self.need = table.assign(
            area_id=areas, elders=rng.integers(0, 2, n).astype(float), welfare=rng.uniform(1, 2, n)
        )
        self.measures = check_measures(self._measures(rng))
        total = float(rng.integers(2, 9))
        self.budgets = pd.DataFrame(
            [("", "", total), ("health", "5223", float(rng.integers(1, 6))), ("labour", "", float(rng.integers(1, 6)))],
            columns=["source", "area_id", "amount"],
        )
        if rng.random() < 0.3:
            self.budgets = self.budgets.iloc[1:]
            self.measures = self.measures.assign(source=self.measures["source"].replace("", "labour"))
        pairs = pd.DataFrame(
            [(h, m) for h in table["household_id"] for m in NAMES], columns=["household_id", "measure"]
        )
        self.received = pairs[rng.random(len(pairs)) < 0.2]
        decision = rng.choice(["approved", "refused", ""], len(pairs), p=[0.12, 0.12, 0.76])
        self.previous = pairs.assign(cost=1.0, status="", reviewer="", decision=decision, reason="")
        self.max_measures, self.weight = int(rng.integers(1, 3)), float(rng.choice([0.0, 1.5]))
        self.floors = pd.DataFrame(
            {"condition": ["elders >= 1"], "area_id": [""], "households": [float(rng.integers(0, 3))]}
        )
        self.rows = {row["household_id"]: row for row in self.need.to_dict("records")}
        self.kinds = {row["measure"]: row for row in self.measures.to_dict("records")}
        self.approved, self.refused = (
            {h: set() for h in self.rows} | self._by_household(self.previous[decision == word]) for word in ("approved", "refused")
        )  # fmt: skip
        self.has = {h: set() for h in self.rows} | self._by_household(self.received)

    @staticmethod
    def _measures(rng):
        causes = ("illness;income", "illness;disability;labour", "employment;income;production")
        return pd.DataFrame(
            {
                "measure": NAMES,
                "causes": causes,
                "cost": rng.integers(1, 4, 3).astype(float),
                "capacity": rng.choice([1.0, 2.0, np.nan], 3),
                "capacity_by_area": rng.choice(["", "5223=1", "522301=1; 5224=0"], 3),
                "source": ["health", rng.choice(["health", ""]), "labour"],
                "eligibility": rng.choice(list(ELIGIBILITY), 3),
                "effect": rng.choice([0.3, 0.5, 0.8], 3),
                "effect_kind": rng.choice(["", "share_of_risk"], 3, p=[0.7, 0.3]),
                "effect_source": "assumed",
                "excludes": [rng.choice(["", "work"]), rng.choice(["", "cash"]), ""],
            }
        )

    @staticmethod
    def _by_household(table):
        return {h: set(rows["measure"]) for h, rows in table.groupby("household_id")}

    def plan(self, **more):
        return make_plan(
            self.need, self.measures, budget=self.budgets, max_measures=self.max_measures, floors=self.floors,
            received=self.received, welfare_weight=self.weight, previous=self.previous, **more,
        )  # fmt: skip

    def excluded(self, one, other):
        return other in self.kinds[one]["excludes"].split(";") or one in self.kinds[other]["excludes"].split(";")

    def may(self, household, measure):
        """Return whether a household may get a measure, apart from money, places and what else it gets."""
        row, kind = self.rows[household], self.kinds[measure]
        held = self.has[household] | self.approved[household]
        return (
            any(row[f"points_{cause}"] > 0 for cause in kind["causes"].split(";"))
            and ELIGIBILITY[kind["eligibility"]](row)
            and measure not in held | self.refused[household]
            and not any(self.excluded(measure, other) for other in held)
            and any(self.pays(budget, household, measure) for budget in self.budgets.to_dict("records"))
        )

    def pays(self, budget, household, measure):
        area, source = self.rows[household]["area_id"], self.kinds[measure]["source"]
        return budget["source"] in ("", source) and area.startswith(budget["area_id"])

    def broken(self, new):
        """Return the rules that ``new`` (household -> measures on top of what is approved) breaks."""
        found = []
        for household, measures in new.items():
            found += [("may not", household, m) for m in measures if not self.may(household, m)]
            if any(self.excluded(a, b) for a, b in itertools.combinations(measures, 2)):
                found.append(("excluded", household))
            if measures and len(measures | self.approved[household]) > self.max_measures:
                found.append(("too many", household))
        given = [(h, m, self.kinds[m]["cost"]) for h, measures in new.items() for m in measures]
        promised = [(h, m, 1.0) for h, measures in self.approved.items() for m in measures]
        for budget in self.budgets.to_dict("records"):
            fresh, old = (sum(c for h, m, c in some if self.pays(budget, h, m)) for some in (given, promised))
            if fresh > 0 and fresh + old > budget["amount"]:
                found.append(("budget", budget["source"], budget["area_id"]))
        for name, kind in self.kinds.items():
            places = {} if np.isnan(kind["capacity"]) else {"": kind["capacity"]}
            places |= {
                e.split("=")[0].strip(): float(e.split("=")[1]) for e in kind["capacity_by_area"].split(";") if e
            }
            for area, number in places.items():
                fresh, old = (
                    sum(m == name and self.rows[h]["area_id"].startswith(area) for h, m, _ in some) for some in (given, promised)
                )  # fmt: skip
                if fresh and fresh + old > number:
                    found.append(("capacity", name, area))
        return found

    def floor_reached(self, new):
        group = [h for h, row in self.rows.items() if row["elders"] >= 1]
        return sum(bool(new[h] | self.approved[h]) for h in group) >= self.floors["households"].iloc[0]

    def averted(self, household, measures):
        row = self.rows[household]
        points = {c: max(row[f"points_{c}"], 0.0) for c in CAUSES}
        scale = min(1.0, row["risk"] / sum(points.values())) if sum(points.values()) else 0.0
        rest = np.prod([1 - self.kinds[m]["effect"] for m in measures if self.kinds[m]["effect_kind"]])
        left = {
            c: np.prod([1 - self.kinds[m]["effect"] for m in measures if not self.kinds[m]["effect_kind"] and c in self.kinds[m]["causes"].split(";")])
            for c in CAUSES
        }  # fmt: skip
        taken = sum(scale * points[c] * (1 - left[c]) for c in CAUSES)
        return row["risk"] * (1 - rest) + rest * taken

    def worth(self, new):
        return sum(
            (self.averted(h, measures | self.approved[h]) - self.averted(h, self.approved[h]))
            * self.rows[h]["welfare"] ** -self.weight
            for h, measures in new.items()
        )

    def best(self):
        """Return the most that any plan within the rules is worth, floor reached; None if none reaches it."""
        packages = [set(c) for size in range(self.max_measures + 1) for c in itertools.combinations(NAMES, size)]
        open_ = [[p for p in packages if not self.broken({h: p})] for h in self.rows]
        best = None
        for chosen in itertools.product(*open_):
            new = dict(zip(self.rows, chosen, strict=True))
            if self.floor_reached(new) and not self.broken(new):
                best = max(best or 0.0, self.worth(new))
        return best

    def new_of(self, table):
        """Return what a plan's table gives on top of what was approved."""
        given = self._by_household(table[table["measure"] != ""])
        return {h: given.get(h, set()) - self.approved[h] for h in self.rows}


@functools.cache
def solved(seed):
    """Return a case and the most that a plan for it can be worth."""
    case = Case(seed)
    return case, case.best()


def plan_is_right(seed):
    """Return whether the plan of case number ``seed`` keeps every rule, says what it is worth, and none is worth more."""
    case, best = solved(seed)
    plan = case.plan()
    new = case.new_of(plan.table)
    standing = case._by_household(plan.table[plan.table["measure"] != ""])
    if case.broken(new) or any(not approved <= standing.get(h, set()) for h, approved in case.approved.items()):
        return False
    if best is None:
        return bool(np.isnan(plan.gap))
    return bool(
        case.floor_reached(new)
        and np.isclose(plan.value, case.worth(new), atol=1e-9)
        and np.isclose(plan.value, best, rtol=1e-6, atol=1e-9)
        and plan.bound >= best - 1e-9
        and plan.table["expected_points"].sum() == pytest.approx(
            sum(case.averted(h, new[h] | case.approved[h]) for h in case.rows)
        )
    )  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_row_keeps_every_rule_and_no_plan_averts_more(seed):
    assert plan_is_right(seed)


#: Cases that a fault must be caught on: chosen so that each fault shows on one of them, to keep the tests quick.
CASES = (0, 2, 3, 4, 8, 9, 15, 21, 34, 48)
#: Name of the fault: (module, right text, wrong text).
FAULTS = {
    "what was refused is proposed again": ("planning.assist", '& ~rights["refused"] & payable', "& payable"),
    "who is not eligible gets it": ("planning.assist", 'rights["fits"] & rights["eligible"]', 'rights["fits"]'),
    "what a household has is given again": ("planning.assist", '& ~rights["not_again"] & ~', "& ~"),
    "what it has does not exclude": ("planning.assist", "has | (has @ excludes)", "has"),
    "approved rows use nothing": (
        "planning.assist",
        "(dtype=np.float64) - promised, is_floor",
        "(dtype=np.float64), is_floor",
    ),
    "no budget need pay": ("planning.assist", "payable = limits.payable[limits.kind]", "payable = True"),
    "what alone exceeds a limit stays open": ("planning.assist", "if closed.any():", "if False:"),
    "exclusion holds one way": ("planning.options", "return one_way | one_way.T", "return one_way"),
    "packages exclude nothing": ("planning.options", "if not excludes[np.ix_(package, package)].any()", ""),
    "a share of the risk is taken as one of points": (
        "planning.options",
        '(measures["effect_kind"] == "share_of_risk")',
        '(measures["effect_kind"] == "")',
    ),
    "what is approved counts nothing towards the number": (
        "planning.options",
        "package.sum() + base.sum() > most",
        "package.sum() > most",
    ),
    "budgets pay outside their area": (
        "planning.limits",
        "member[row] = by_prefix[prefix][pattern]",
        "member[row] = True",
    ),
    "a budget pays for every source": (
        "planning.limits",
        'np.where((measures["source"] == source) | (source == ""), cost, 0.0)',
        'np.where(source == "", cost, 0.0)',
    ),
    "a floor is for everybody": ("planning.limits", "member[row] &= in_group[text][first]", "pass"),
    "welfare is not weighed": ("planning.assist", "return welfare**-welfare_weight", "return welfare**0"),
    "an approved row is dropped": ("planning.assist", 'given = new | rights["approved"]', "given = new"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault, plant):
    plant(*FAULTS[fault])
    assert not all(plan_is_right(seed) for seed in CASES)


def test_planting_changes_nothing_but_the_fault(plant):
    for module in sorted({module for module, *_ in FAULTS.values()}):
        plant(module, "def ", "def ")
    assert all(plan_is_right(seed) for seed in CASES)


# --- one rule at a time -----------------------------------------------------------------------------------------------


def kinds(*rows):
    """Return measures from (name, cause, cost, effect) and further columns."""
    names = ("measure", "causes", "cost", "effect")
    return pd.DataFrame(
        [dict(zip(names, row[:4], strict=True)) | (row[4] if len(row) > 4 else {}) for row in rows]
    ).assign(effect_source="assumed")


def households(*points, **columns):
    """Return need from one dict of points by cause a household."""
    table = pd.DataFrame(
        {"household_id": [f"h{k}" for k in range(len(points))], "as_of_date": pd.Timestamp("2024-12-01")}
    )
    return table.assign(
        risk=0.5, **{f"points_{c}": [float(entry.get(c, 0.0)) for entry in points] for c in CAUSES}, **columns
    )


def floor_counts_households():
    """Return whether a second measure for one household is not taken for a second household."""
    table = households({"illness": 0.2, "income": 0.1}, {"illness": 0.1}, elders=1.0)
    previous = match_assistance(table, kinds(("cash", "income", 1, 0.5)), budget=1).assign(decision="approved").head(1)
    floor = pd.DataFrame({"condition": ["elders == 1"], "households": [2]})
    measures = kinds(("cash", "income", 1, 0.5), ("care", "illness", 1, 0.5))
    plan = match_assistance(table, measures, budget=2, max_measures=2, floors=floor, previous=previous)
    return set(plan.loc[plan["measure"] != "", "household_id"]) == {"h0", "h1"}


def test_a_floor_counts_households_not_measures():
    assert floor_counts_households()


def test_a_household_counted_twice_for_a_floor_is_caught(plant):
    plant("planning.limits", "limits.member[row] & ~(limits.served & once[row])", "limits.member[row]")
    assert not floor_counts_households()


def test_money_by_source_pays_only_for_its_measures_and_what_nobody_pays_for_is_refused():
    table = households({"illness": 0.2}, {"income": 0.4})
    measures = kinds(
        ("care", "illness", 2, 0.5, {"source": "health"}), ("cash", "income", 2, 0.5, {"source": "welfare"})
    )
    plan = match_assistance(table, measures, budget={"health": 2, "welfare": 1})
    assert plan[["measure", "source", "not_funded"]].to_numpy().tolist() == [["care", "health", ""], ["", "", "budget"]]
    with pytest.raises(DataRefused, match="no budget pays for it"):
        match_assistance(table, measures, budget={"health": 2})


def test_a_household_outside_every_budgets_area_is_told_so():
    table = households({"illness": 0.2}, {"illness": 0.4}, area_id=["5223", "5224"])
    budgets = pd.DataFrame({"area_id": ["5223"], "amount": [9]})
    plan = match_assistance(table, kinds(("care", "illness", 1, 0.5)), budget=budgets)
    assert plan["not_funded"].tolist() == ["", "no_budget"]
    with pytest.raises(ValueError, match="names an area"):
        match_assistance(table.drop(columns="area_id"), kinds(("care", "illness", 1, 0.5)), budget=budgets)


def test_what_is_received_or_refused_is_said():
    table = households({"illness": 0.2}, {"illness": 0.2}, {"illness": 0.2}, {"income": 0.2})
    measures = kinds(("care", "illness", 1, 0.5), ("cash", "income", 1, 0.5, {"excludes": "care"}))
    received = pd.DataFrame({"household_id": ["h0", "h3", "h9"], "measure": ["care", "care", "care"]})
    previous = match_assistance(table, measures, budget=9)
    previous.loc[1, ["decision", "reason"]] = ["refused", "moves away"]
    plan = match_assistance(table, measures, budget=9, received=received, previous=previous)
    assert plan[["household_id", "not_funded", "formerly", "reason"]].to_numpy().tolist() == [
        ["h0", "received", "", ""],
        ["h1", "refused", "care", "moves away"],
        ["h2", "", "", ""],
        ["h3", "received", "", ""],
    ]
    assert set(plan["not_funded"]) - {""} <= set(NOT_FUNDED)


def test_a_share_of_the_money_goes_to_the_group_or_the_plan_says_what_was_reached():
    table = households(*[{"illness": 0.4}] * 4, *[{"illness": 0.1}] * 4, area_id=["a"] * 4 + ["b"] * 4)
    measures = kinds(("care", "illness", 1, 0.5))
    floors = pd.DataFrame({"area_id": ["b"], "money_share": [0.5]})
    plan = make_plan(table, measures, budget=4, floors=floors)
    assert plan.table.groupby("area_id")["cost"].sum().tolist() == [2, 2]
    assert plan.gap == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="no budget is the total"):
        match_assistance(table, measures, budget=np.inf, floors=floors)
    short = make_plan(table.head(5), measures, budget=4, floors=floors)
    row = short.limits[short.limits["limit"] == "floor_money"].iloc[0]
    assert (row["amount"], row["used"], row["left"]) == (2, 1, 1)
    assert np.isnan(short.gap)


def test_shadow_prices_say_what_one_more_unit_averts():
    table = need(3000, scale=0.1)
    measures = example_measures()
    plan = make_plan(table, measures, budget=900_000)
    price = plan.limits.set_index(["limit", "measure"])["shadow_price"]
    more = make_plan(table, measures, budget=930_000)
    assert more.value - plan.value == pytest.approx(30_000 * price["budget", ""], rel=0.1)
    scarce = plan.limits.query("limit == 'capacity' and left == 0 and shadow_price > 0")["measure"].iloc[0]
    wider = measures.assign(capacity=measures["capacity"] + 5.0 * (measures["measure"] == scarce))
    assert make_plan(table, wider, budget=900_000).value - plan.value == pytest.approx(
        5 * price["capacity", scarce], rel=0.2
    )


def test_used_and_left_are_what_the_rows_add_up_to():
    case = Case(11)
    plan = case.plan()
    given = plan.table[plan.table["measure"] != ""]
    for row in plan.limits.to_dict("records"):
        inside = given[given["area_id"].str.startswith(row["area_id"])]
        if row["limit"] == "budget":
            expected = inside.loc[inside["source"].eq(row["source"]) | (row["source"] == ""), "cost"].sum()
        elif row["limit"] == "capacity":
            expected = (inside["measure"] == row["measure"]).sum()
        else:
            continue
        assert row["used"] == expected
        assert row["left"] == row["amount"] - expected


def test_welfare_decides_where_it_is_weighed_and_must_be_known():
    table = households({"illness": 0.20}, {"illness": 0.15}, welfare=[2.0, 1.0])
    measures = kinds(("care", "illness", 1, 0.5))
    assert match_assistance(table, measures, budget=1)["measure"].tolist() == ["care", ""]
    plan = make_plan(table, measures, budget=1, welfare_weight=1)
    assert plan.table["measure"].tolist() == ["", "care"]
    assert plan.value == pytest.approx(0.5 * 0.15 / 1.0)
    with pytest.raises(ValueError, match="missing or not above zero"):
        make_plan(table.assign(welfare=[np.nan, 1]), measures, budget=1, welfare_weight=1)
    with pytest.raises(ValueError, match="needs the column 'welfare'"):
        make_plan(table.drop(columns="welfare"), measures, budget=1, welfare_weight=1)


def test_a_share_of_the_risk_is_taken_of_what_shares_of_points_leave():
    table = households({"illness": 0.2, "income": 0.1})
    measures = kinds(("care", "illness", 1, 0.5), ("cash", "income", 1, 0.4, {"effect_kind": "share_of_risk"}))
    plan = match_assistance(table, measures, budget=9, max_measures=2)
    assert plan["expected_points"].sum() == pytest.approx(0.5 - (0.5 - 0.5 * 0.2) * (1 - 0.4))


# --- decisions --------------------------------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_nothing_that_people_wrote_is_lost_and_planning_again_changes_nothing_more(seed):
    rng = np.random.default_rng(seed)
    table = need(6, seed=seed, scale=0.1).assign(area_id="5223")
    first = match_assistance(table, example_measures(), budget=20_000)
    decision = np.where(first["measure"] != "", rng.choice(["approved", "refused", ""], len(first)), "")
    notes = [f"note {k}" if rng.random() < 0.6 else "" for k in range(len(first))]
    first = first.assign(decision=decision, reason=notes, reviewer="Li")
    listed = table.iloc[rng.permutation(6)[:5]]
    again = match_assistance(listed, example_measures(), budget=12_000, previous=first)

    def about(plan):
        return plan["measure"].where(plan["measure"] != "", plan["formerly"])

    told = set(zip(again["household_id"], about(again), again["decision"], again["reason"], strict=True))
    assert set(zip(first["household_id"], about(first), first["decision"], first["reason"], strict=True)) <= told
    standing = first[first["decision"] == "approved"].merge(again, on=["household_id", "measure", "cost", "decision"])
    assert len(standing) == (first["decision"] == "approved").sum()
    refused = first.loc[first["decision"] == "refused", ["household_id", "measure"]]
    assert not len(refused.merge(again, on=["household_id", "measure"]))
    new = again[(again["measure"] != "") & (again["decision"] != "approved")]
    promised = first.loc[first["decision"] == "approved", "cost"].sum()
    assert new["cost"].sum() <= max(12_000 - promised, 0)
    pd.testing.assert_frame_equal(match_assistance(listed, example_measures(), budget=12_000, previous=again), again)


def test_approved_rows_keep_the_cost_they_were_approved_with_and_use_the_budget():
    table = households({"illness": 0.2}, {"illness": 0.3})
    measures = kinds(("care", "illness", 10, 0.5))
    previous = match_assistance(table, measures, budget=20).assign(decision=["同意", ""], cost=[14.0, 10.0])
    plan = make_plan(table, measures, budget=20, previous=previous)
    assert plan.table["cost"].tolist() == [14, 0]
    assert plan.limits.loc[0, ["used", "left"]].tolist() == [14, 6]
    gone = make_plan(table.tail(1), measures, budget=20, previous=previous)
    assert gone.table[["household_id", "measure", "not_funded"]].to_numpy().tolist() == [
        ["h1", "", "budget"],
        ["h0", "care", ""],
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"decision": "maybe"}, "expected one of approved"),
        ({"decision": "approved", "measure": ""}, "cannot be approved"),
    ],
)
def test_decisions_that_cannot_be_read_are_refused(change, error):
    table = households({"illness": 0.2})
    previous = match_assistance(table, kinds(("care", "illness", 1, 0.5)), budget=1)
    with pytest.raises(DataRefused, match=error):
        match_assistance(table, kinds(("care", "illness", 1, 0.5)), budget=1, previous=previous.assign(**change))


# --- effects at their ends, what is received, files ---------------------------------------------------------------------


def test_effects_at_their_ends_move_the_plan_as_planning_with_them_would():
    table = need(200, scale=0.1)
    measures = example_measures()
    plan = make_plan(table, measures, budget=100_000)
    moved = plan_sensitivity(plan, table, measures, budget=100_000).set_index("effects")
    low = make_plan(table, measures.assign(effect=measures["effect_lower"]), budget=100_000)
    assert moved.loc["lower", "averted"] == pytest.approx(low.value, rel=1e-3)
    assert moved.loc["lower", "households_changed"] == n_changed(plan.table, low.table) > 0
    assert moved.loc["planned", ["households_changed", "averted"]].tolist() == pytest.approx([0, plan.value])
    assert moved.loc["lower", "averted_by_plan"] <= moved.loc["lower", "averted"] * (1 + 1e-3)
    assert moved["averted"].is_monotonic_increasing


def test_what_is_received_is_what_runs_on_the_day_and_was_known():
    data = make_monitoring(80, n_months=30, random_state=3)
    day = pd.Timestamp("2021-09-01")
    rows = data.tables["assistance"]
    rows = rows[(rows["known_on"] < day) & (rows["start"] < day)]
    ended = (rows["end"] < day) & ~(rows["end_known_on"] >= day)
    expected = set(rows.loc[~ended, ["household_id", "measure"]].itertuples(index=False, name=None))
    found = set(received_on(data, day).itertuples(index=False, name=None))
    assert found
    assert found <= expected


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_budgets, "source,amount\na,-1\n", "expected an amount"),
        (read_budgets, "source,amount\na,\n", "expected an amount"),
        (read_budgets, "source,amount\na,1\na,2\n", "stand once"),
        (read_budgets, "source,money\na,1\n", "add the column"),
        (read_budgets, "source,amount\n", "no budget"),
        (read_floors, "condition,households\nrisk >,1\n", "is not a condition"),
        (read_floors, "condition,households,money_share\nrisk > 1,1,0.5\n", "one of them"),
        (read_floors, "condition,money_share\nrisk > 1,1.5\n", "from 0 to 1"),
        (read_floors, "condition,households\nrisk > 1,many\n", "expected a number"),
        (read_floors, "condition,households\nrisk > 1,-2\n", "zero or more"),
    ],
)
def test_budgets_and_floors_that_are_none_are_refused(tmp_path, read, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataRefused, match=message) as refused:
        read(path)
    assert any("\u4e00" <= character <= "\u9fff" for character in refused.value.findings[0].zh)


def test_two_hundred_villages_with_places_of_their_own_are_planned_close_to_the_bound():
    table = need(5000, scale=0.1)
    villages = [f"52{k % 200:03d}" for k in range(5000)]
    places = "; ".join(f"52{k:03d}=1" for k in range(200))
    measures = example_measures().assign(
        capacity_by_area=lambda t: np.where(t["measure"] == "health_assistance", places, "")
    )
    plan = make_plan(table.assign(area_id=villages), measures, budget=1_000_000)
    given = plan.table[plan.table["measure"] == "health_assistance"]
    assert given.groupby("area_id").size().max() == 1
    assert plan.gap < 0.005
    assert plan_summary(plan.table)["cost"].sum() <= 1_000_000
