"""Values of features against a second, plain-Python account of what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import reference
import worlds

import riskml as rk
from riskml.features.declarations import Derived, Latest, Roster, Spell, Window, expand
from riskml.features.records import available, rows_behind
from riskml.features.windows import EVENT_STATS, ROSTER_STATS, SPELL_STATS

EVENTS = tuple(stat for stat in EVENT_STATS if stat != "days_since")
EVERY_STATISTIC = (
    Window("medical", "out_of_pocket", months=(3, 6, 12, 36), stats=(*EVENTS, "days_since")),
    Window("medical", None, months=(12,), stats=("count", "days_since"), where=(("serious", "==", 1),), name="serious"),
    Window("welfare", "welfare", months=(3, 12), stats=EVENTS, name="income"),
    Window("welfare", "welfare", months=(12,), stats=("count",), where=(("welfare", "<", 1.5),), name="low"),
    Window("incomes", "wage", months=(12,), stats=("mean",)),
    Window("production", "price_change", months=(np.inf,), stats=("min", "last")),
    Window("disasters", "loss", months=(12, 36), stats=("sum", "count")),
    Window("disasters", None, months=(36,), stats=("count",), where=(("kind", "not in", ("fire",)),), name="natural"),
    Window("households", "lifted_on", months=(np.inf,), stats=("days_since",), name="lifted"),
    Latest("housing", "grade"),
    Spell("employment", "wage", months=(3, 12), stats=SPELL_STATS, name="pay"),
    Spell("employment", months=(12,), stats=SPELL_STATS, where=(("away", "==", 1),), name="away"),
    Spell("assistance", "amount", months=(3, 12), stats=SPELL_STATS, name="support"),
    Spell("assistance", stats=("active",), where=(("measure", "in", ("own_measure",)),), name="own"),
    *(Roster(f"people_{stat}", "education", stat, months=12) for stat in ROSTER_STATS),
    Roster("children", ages=(0, 16)),
    Roster("able_adults", ages=(16, 60), where=(("labour", "==", 2),)),
)
DATES = [pd.Timestamp("2020-08-01"), pd.Timestamp("2021-03-31"), pd.Timestamp("2022-02-01")]


@pytest.mark.parametrize("seed", range(4))
def test_every_statistic_equals_the_plain_python_reference(seed: int) -> None:
    tables = worlds.random_tables(seed)
    data = rk.Monitoring(tables)
    X = rk.feature_table(data, DATES, features=EVERY_STATISTIC)
    assert len(X) > 4
    columns = {feature.name: feature for feature in expand(EVERY_STATISTIC)}
    tables = reference.as_dicts(tables)
    assert list(X.columns) == list(columns)
    for (household, day), row in X.iterrows():
        for name, value in row.items():
            expected = reference.feature_value(tables, columns[name], household, day)
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), (household, day, name)


def test_spread_and_trend_of_large_amounts_keep_their_digits() -> None:
    tables = worlds.random_tables(0, n_households=2)
    ends = pd.date_range("2021-01-31", periods=10, freq="ME")
    tables["incomes"] = pd.DataFrame(
        {"household_id": "1000", "date": ends, "known_on": ends, "months": 1.0, "wage": 1e6}
    )
    tables["households"] = tables["households"].drop_duplicates("household_id")
    days = pd.date_range("2021-01-15", periods=10, freq="30D")
    values = 1e12 + np.arange(10.0)
    tables["medical"] = pd.DataFrame(
        {
            "household_id": "1000",
            "date": days,
            "known_on": days,
            "record_id": [f"{i}" for i in range(10)],
            "out_of_pocket": 1.0,
        }
    ).assign(cost=values, out_of_pocket=values)
    tables["lines"] = tables["lines"].iloc[:1].assign(amount=1.0)
    tables["members"] = tables["members"].query("household_id != '1000' or member_id == '0'")
    data = rk.Monitoring(tables)
    window = Window("medical", "cost", months=(12,), stats=("std", "slope"))
    X = rk.feature_table(data, ["2021-12-01"], features=(window,)).loc["1000"]
    assert X["medical_cost_std_12m"].item() == pytest.approx(np.std(np.arange(10.0), ddof=1), rel=1e-3)
    assert X["medical_cost_slope_12m"].item() == pytest.approx(365.25 / 30, rel=1e-3)


def test_standard_has_at_least_150_features_over_all_causes_with_labels_in_both_languages() -> None:
    dictionary = rk.feature_dictionary()
    assert len(dictionary) >= 150
    assert set(dictionary["cause"]) == set(rk.causes.CAUSES)
    assert dictionary["name"].is_unique
    assert (dictionary["label_en"].str.len() > 3).all()
    assert (dictionary["label_zh"].str.len() > 1).all()
    assert dictionary["label_en"].is_unique
    assert dictionary["label_zh"].is_unique
    assert set(dictionary["direction"]) == {-1, 0, 1}


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two features are called 'housing_grade'"):
        expand((Latest("housing", "grade"), Latest("housing", "grade")))


def test_a_derived_feature_must_come_after_its_inputs() -> None:
    with pytest.raises(ValueError, match="which must be declared before it"):
        expand((Derived("twice", np.add, ("housing_grade", "housing_grade")), Latest("housing", "grade")))


def test_features_of_absent_tables_are_left_out() -> None:
    tables = worlds.random_tables(1)
    del tables["medical"]
    columns = available(rk.Monitoring(tables), rk.STANDARD)
    assert not {c.name for c in columns} & set(rk.feature_dictionary().query("table == 'medical'")["name"])


@pytest.mark.parametrize("seed", range(2))
def test_rows_behind_a_sum_or_count_add_up_to_it(seed: int) -> None:
    data = rk.Monitoring(worlds.random_tables(seed))
    features = tuple(
        f
        for f in expand(EVERY_STATISTIC)
        if f.stat in ("sum", "count", "active", "active_sum", "ended", "ending", "started", "last")
    )
    X = rk.feature_table(data, DATES, features=EVERY_STATISTIC)
    rows = rows_behind(data, X.index, [f.name for f in features], EVERY_STATISTIC)
    sums = rows.groupby(["feature", "household_id", "as_of_date"])["value"].sum()
    counts = rows.groupby(["feature", "household_id", "as_of_date"]).size()
    for feature in features:
        for (household, day), value in X[feature.name].items():
            behind = sums if feature.column and feature.stat in ("sum", "active_sum", "last") else counts
            found = behind.get((feature.name, household, day), 0.0)
            assert found == pytest.approx(0.0 if np.isnan(value) else value, rel=1e-9, abs=1e-12), (
                feature.name,
                household,
                day,
            )


def test_rows_behind_a_derived_feature_are_those_of_its_inputs() -> None:
    data = rk.Monitoring(worlds.random_tables(3))
    index = rk.feature_table(data, DATES).index
    rows = rows_behind(data, index, ["medical_share_of_income_12m"])
    assert set(rows["table"]) == {"medical", "welfare"}
    assert (rows["known_on"] < rows["as_of_date"]).all()
