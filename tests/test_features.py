"""Values of features against a second, plain-Python account of what they are."""

from __future__ import annotations

import statistics
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import reference
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml.features import windows
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


def with_large_amounts(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tables with a trillion on top of every amount of every record, incomes aside."""
    amounts = {
        "medical": ("out_of_pocket",),
        "disasters": ("loss",),
        "employment": ("wage",),
        "assistance": ("amount",),
    }
    return {
        name: frame.assign(**{column: frame[column] + 1e12 for column in amounts.get(name, ())})
        for name, frame in tables.items()
    }


@pytest.mark.parametrize("large", [False, True], ids=["", "large amounts"])
@pytest.mark.parametrize("seed", range(2))
def test_every_statistic_equals_the_plain_python_reference(seed: int, large: bool) -> None:
    tables = worlds.random_tables(seed, n_households=6, n_worlds=8)
    tables = with_large_amounts(tables) if large else tables
    X = rk.feature_table(rk.Monitoring(tables), DATES, features=EVERY_STATISTIC)
    assert len(X) > 70
    columns = {feature.name: feature for feature in expand(EVERY_STATISTIC)}
    told = reference.as_dicts(tables)
    assert list(X.columns) == list(columns)
    for (household, day), row in X.iterrows():
        for name, value in row.items():
            expected = reference.feature_value(told, columns[name], household, day)
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), (household, day, name)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 40),
    st.sampled_from([0.0, 1e6, -1e9, 1e12, -1e12]),
    st.sampled_from([0.1, 1.0, 1e3]),
)
def test_moments_of_large_amounts_keep_nine_digits(seed: int, n: int, offset: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    day = np.sort(19_000 - rng.integers(1, 1200, n)).astype(np.int32)
    values = offset + rng.normal(0, spread, n)
    records = windows.arrange(
        np.zeros(n, np.int64), 1, date=day, known=day, superseded=np.full(n, windows.NEVER), values=values[:, None]
    )
    stats = [windows.EVENT_STATS.index(stat) for stat in ("mean", "std", "slope")]
    row = np.zeros(1, np.int64)
    asked, first = np.array([19_000], np.int32), np.array([[windows.ALWAYS]], np.int32)
    table, requests = np.empty((1, 3), order="F"), np.array([(0, 0, stat, i) for i, stat in enumerate(stats)])
    windows.event_statistics(records, row, row, asked, first, requests, table)
    found = table[0]
    exact = [Fraction(value) for value in values]
    assert found[0] == pytest.approx(float(sum(exact) / n), rel=1e-9, abs=1e-9 * spread)
    assert found[1] == pytest.approx(float(statistics.stdev(exact)), rel=1e-9)
    assert found[2] == pytest.approx(reference.slope(day.tolist(), values.tolist()), rel=1e-9, nan_ok=True)
    assert np.isnan(found[2]) == (len(set(day)) == 1)


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


def bills_to_income(known: dict[str, pd.DataFrame], as_of_date: pd.Timestamp) -> pd.Series:
    """Bills of the last hundred days over the income of the newest month, in lines a year both."""
    recent = known["medical"][known["medical"]["date"] >= as_of_date - pd.Timedelta(days=100)]
    newest = known["welfare"].drop_duplicates("household_id", keep="last").set_index("household_id")["welfare"]
    return recent.groupby("household_id")["out_of_pocket"].sum() / newest


def test_a_plain_function_over_known_records_equals_the_reference() -> None:
    tables = worlds.random_tables(5, n_households=6, n_worlds=20)
    own = rk.Custom("own", bills_to_income, tables=("medical", "welfare"))
    half = Derived("half", lambda own: own / 2, ("own",))
    X = rk.feature_table(rk.Monitoring(tables), DATES, features=(own, half))
    told = reference.as_dicts(tables)
    for (household, day), value in X["own"].items():
        rows = reference.known_rows(told, "incomes", household, day)
        incomes = [(row["date"], row["known_on"], reference.welfare(told, household, row)) for row in rows]
        newest = max(entry for entry in incomes if not np.isnan(entry[2]))[2]
        bills = [
            reference.in_lines(told, "medical", row, household, "out_of_pocket")
            for row in reference.known_rows(told, "medical", household, day)
            if row["date"] >= day - pd.Timedelta(days=100)
        ]
        expected = np.nansum(bills) / newest if bills else np.nan
        assert value == pytest.approx(expected, rel=1e-9, nan_ok=True)
    assert X["own"].notna().sum() > 20
    np.testing.assert_array_equal(X["half"], X["own"] / 2)


WRONG_ANSWERS = {
    "a frame": (lambda known, day: known["medical"], "must return a Series of numbers, not DataFrame"),
    "texts": (lambda known, day: known["medical"].set_index("household_id")["record_id"], "not a Series of str"),
    "row numbers": (lambda known, day: known["medical"]["cost"], "must be indexed by household_id.* 0 is no household"),
    "several a household": (
        lambda known, day: known["medical"].set_index("household_id")["cost"],
        r"indexed by household_id, each once; '\d+' is there twice",
    ),
}


@pytest.mark.parametrize("answer", WRONG_ANSWERS)
def test_a_function_that_does_not_answer_by_household_is_refused(answer: str) -> None:
    function, said = WRONG_ANSWERS[answer]
    own = rk.Custom("own", function, tables=("medical",))
    with pytest.raises(ValueError, match=said):
        rk.feature_table(rk.Monitoring(worlds.random_tables(1)), DATES, features=(own,))


@pytest.mark.parametrize("tables", [(), ("lines",), ("medicals",)])
def test_a_function_must_name_tables_with_records_of_households(tables: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="tables of feature 'own' must be some of households, members"):
        expand((rk.Custom("own", bills_to_income, tables=tables),))


def test_features_of_absent_tables_are_left_out() -> None:
    tables = worlds.random_tables(1)
    del tables["medical"]
    own = rk.Custom("own", bills_to_income, tables=("medical", "welfare"))
    columns = available(rk.Monitoring(tables), (*rk.STANDARD, own))
    assert "own" not in {c.name for c in columns}
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


@pytest.mark.parametrize("seed", range(2))
def test_rows_behind_have_amounts_in_currency_as_the_records_do(seed: int) -> None:
    data = rk.Monitoring(worlds.random_tables(seed))
    names = ["medical_out_of_pocket_sum_12m", "income_wage_mean_12m", "medical_serious_count_12m", "welfare"]
    rows = rows_behind(data, rk.feature_table(data, DATES).index, names)
    money = rows[rows["column"].isin(["out_of_pocket", "wage"]) & rows["table"].isin(["medical", "incomes"])]
    assert len(money) > 20
    assert money["amount"].notna().all()
    for row in money.itertuples():
        table = data.versions(row.table)
        same = (table["household_id"] == row.household_id) & (table["date"] == row.date)
        assert row.amount in set(table.loc[same & (table["known_on"] == row.known_on), row.column])
    # What is no amount of one record has none.
    assert rows.drop(money.index)["amount"].isna().all()


def test_a_count_of_heads_is_a_yes_or_no_where_its_declaration_says_so():
    units = rk.feature_dictionary().set_index("name")["unit"]
    assert units["head_female"] == "flag"
    head = Roster("head_female", where=(("head", "==", 1),), unit="flag", cause="other", label_en="head is a woman")
    assert head.features()[0].unit == "flag"
    assert Roster("children", ages=(0, 16), unit="number").features()[0].unit == "count"
