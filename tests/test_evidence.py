"""Evidence: every cause named rests on a record or says since when there is none; amounts; what stays hidden."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from trees import explanation
from worlds import ASKED, random_tables

from riskml.explanation import evidence
from riskml.explanation.contributions import Explanation
from riskml.explanation.evidence import leading_record, records_of_causes
from riskml.explanation.wording import UNSPOKEN, absent, dated, when
from riskml.features.declarations import Custom
from riskml.features.dictionary import feature_dictionary
from riskml.features.panel import feature_table
from riskml.features.records import last_rows, rows_behind
from riskml.features.standard import STANDARD
from riskml.tables.monitoring import Monitoring

SENSITIVE = set(feature_dictionary().query("sensitive")["name"])


def explained(data, X, seed):
    """Return an explanation in which few features have a part, so that causes often rest on a single one."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=X.shape) * (rng.random(X.shape) < rng.choice([0.01, 0.03, 0.2], (len(X), 1)))
    meaning = feature_dictionary().set_index("name").loc[list(X.columns)].reset_index()
    return Explanation(values, -3.0, pd.Series(expit(-3 + values.sum(axis=1)), index=X.index), X, meaning)


#: Features that alone raise the risk of a household each, most of them because of what is not on file.
ALONE = (
    "head_female",
    "accident_days_since",
    "disaster_count_3m",
    "jobs_ended_3m",
    "support_ended_3m",
    "medical_serious_count_3m",
)


@pytest.fixture(scope="module")
def world():
    data = Monitoring(random_tables(5, n_households=16))
    why = explained(data, feature_table(data, [ASKED[1]]), 0)
    assert len(why.X) > len(ALONE)
    for row, name in enumerate(ALONE):
        why.values[row] = np.where(why.X.columns == name, 1.0, 0.0)
    return data, why


def check_every_cause_has_a_record(data, why, **options):
    found = why.evidence(data, **options)
    top = why.top_causes().stack()
    named = {(*key[:2], cause) for key, cause in top[top != ""].items()}
    assert set(found[["household_id", "as_of_date", "cause"]].itertuples(index=False, name=None)) == named
    assert (found["known_on"] < found["as_of_date"]).all()
    assert found["date"].notna().all()
    assert (found[["reason_en", "reason_zh"]] != "").all(axis=None)
    return found


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_cause_named_has_a_record_known_before_the_day(seed):
    data = Monitoring(random_tables(seed, n_households=5))
    X = feature_table(data, [ASKED[1]])
    found = check_every_cause_has_a_record(data, explained(data, X, seed))
    # What entered a feature is exactly what its value is made of.
    for feature, rows in found[found["entered"] & (found["feature"] != "")].groupby("feature"):
        index = pd.MultiIndex.from_frame(rows[["household_id", "as_of_date"]].drop_duplicates())
        assert len(rows_behind(data, index, [feature])) == len(rows)
        assert not SENSITIVE & {feature}


@pytest.fixture(scope="module")
def few_rows(world):
    """Return the data, the explanation of a few rows, and how many records entered its features."""
    data, why = world
    few = why.take(why.X.index[:8])
    return data, few, few.evidence(data)["entered"].sum()


@pytest.mark.parametrize("step", ["_nothing", "_hidden", "_next"])
def test_a_step_that_finds_nothing_would_be_caught(few_rows, monkeypatch, step):
    data, few, entered = few_rows
    true = getattr(evidence, step)
    monkeypatch.setattr(evidence, step, lambda *given: true(*given).iloc[:0])
    if step == "_nothing":
        with pytest.raises(AssertionError):
            check_every_cause_has_a_record(data, few)
    else:
        # A cause is then said to rest on nothing although something is on file.
        assert few.evidence(data)["entered"].sum() < entered


def test_what_is_absent_is_said_with_the_last_record_or_the_day_it_came_on_file(world):
    data, why = world
    nothing = why.evidence(data).query("not entered and feature != ''")
    assert len(nothing)
    first_known = data.tables["households"].groupby("household_id")["known_on"].min()
    for row in nothing.to_dict("records"):
        index = pd.MultiIndex.from_tuples([(row["household_id"], row["as_of_date"])], names=why.X.index.names)
        assert rows_behind(data, index, [row["feature"]]).empty
        last = last_rows(data, index, row["feature"])
        if len(last):
            assert row["date"] == last["date"].iloc[0] < row["as_of_date"]
        else:
            assert row["table"] == "households"
            assert row["date"] == first_known[row["household_id"]]
        for language in ("en", "zh"):
            said = absent(row["date"], registered=last.empty)[language == "zh"]
            assert dated([row], language).endswith(said)


def test_the_last_record_before_a_window_is_the_newest_known_that_the_feature_would_count():
    tables = random_tables(5, n_households=8)
    household = tables["households"]["household_id"].iloc[0]
    bills = pd.DataFrame(
        {
            "household_id": household, "record_id": ["a", "b", "c", "d"],
            "date": pd.to_datetime(["2018-01-05", "2018-06-01", "2019-02-01", "2019-03-01"]),
            # The third became known too late; the fourth is no bill.
            "known_on": pd.to_datetime(["2018-02-01", "2018-07-01", "2030-01-01", "2019-04-01"]),
            "cost": 900.0, "out_of_pocket": [100.0, 200.0, 300.0, np.nan],
        }
    )  # fmt: skip
    data = Monitoring({**tables, "medical": bills})
    index = pd.MultiIndex.from_tuples([(household, pd.Timestamp("2023-01-01"))], names=["household_id", "as_of_date"])
    last = last_rows(data, index, "medical_out_of_pocket_sum_12m")
    assert last[["date", "amount"]].to_numpy().tolist() == [[pd.Timestamp("2018-06-01"), 200.0]]
    assert rows_behind(data, index, ["medical_out_of_pocket_sum_12m"]).empty


def test_a_cause_raised_by_a_sensitive_trait_alone_shows_its_record_but_not_its_value(world):
    data, why = world
    only = np.zeros(why.values.shape)
    only[:, why.X.columns.get_loc("head_female")] = 1.0
    risk = pd.Series(expit(-2.0), index=why.X.index)
    why = Explanation(only, -3.0, risk, why.X, why.dictionary)
    found = check_every_cause_has_a_record(data, why)
    assert (found["reason_en"] == UNSPOKEN[0]).all()
    assert (found["reason_zh"] == UNSPOKEN[1]).all()
    assert (found[["feature", "column"]] == "").all(axis=None)
    assert found[["value", "amount"]].isna().all(axis=None)
    assert not found["actionable"].any()
    assert dated(found.to_dict("records")[:1]) == UNSPOKEN[0]
    assert why.reasons(data)["reason_en"].str.contains(UNSPOKEN[0]).all()
    # Who examines the model asks for it in so many words.
    spelled = check_every_cause_has_a_record(data, why, sensitive=True)
    assert (spelled["feature"] == "head_female").all()
    assert spelled["reason_en"].str.contains("head").all()
    assert why.leading_features(sensitive=True)["feature"].unique().tolist() == ["head_female"]
    assert why.leading_features().empty


def test_neighbours_rest_on_the_households_own_area_and_show_no_others(world):
    data, why = world
    rows = rows_behind(data, why.X.index, ["neighbours_income"])
    assert (rows["table"] == "households").all()
    assert rows["household_id"].tolist() == sorted(why.X.index.get_level_values(0))
    assert (rows["known_on"] < ASKED[1]).all()


def test_a_function_of_ones_own_rests_on_all_it_was_given_of_the_household(world):
    data, _ = world
    visited = Custom(
        "visited", lambda tables, day: tables["medical"].groupby("household_id").size(), tables=("medical",),
        cause="other", unit="count", label_en="visits", label_zh="走访",
    )  # fmt: skip
    X = feature_table(data, [ASKED[1]], features=(*STANDARD, visited))
    rows = rows_behind(data, X.index, ["visited"], (*STANDARD, visited))
    counts = rows.groupby("household_id").size().reindex(X.index.get_level_values(0), fill_value=0)
    np.testing.assert_array_equal(counts, X["visited"].fillna(0))


def test_a_reason_with_data_has_the_day_and_amount_of_its_leading_record(world):
    data, why = world
    plain, full = why.reasons(), why.reasons(data)
    assert (full["reason_en"].str.len() >= plain["reason_en"].str.len()).mean() > 0.5
    assert full["reason_en"].str.contains(r"\d{4}-\d\d-\d\d").mean() > 0.5
    assert full["reason_zh"].str.contains(r"\d{4}年\d+月\d+日").mean() > 0.5
    pd.testing.assert_frame_equal(why.take(why.X.index[2:3]).reasons(data), full[2:3])


def test_the_few_records_kept_for_a_sentence_say_what_all_say(world):
    data, why = world
    found = records_of_causes(why, data, features=STANDARD, n_features=1)
    few = leading_record(found)
    assert len(few) < len(found)
    assert few.groupby(["household_id", "cause"]).size().max() <= 5
    kept = {key: rows.to_dict("records") for key, rows in few.groupby(["household_id", "cause"])}
    for key, rows in found.groupby(["household_id", "cause"]):
        assert when(kept[key]) == when(rows.to_dict("records"))


def test_what_help_can_change_is_named_first_where_both_raise_the_risk_comparably():
    meaning = {"age": ("labour", "years"), "job": ("labour", "count"), "heads": ("labour", "count")}
    why = explanation([[1.0, 0.5, 0.3], [1.0, 0.49, 0.3]], np.ones((2, 3)), **meaning)
    why.dictionary["actionable"] = [False, True, True]
    named = why.leading_features(n_features=3).groupby("household_id")["feature"].agg(list)
    assert named["h000"] == ["job", "age", "heads"]
    assert named["h001"] == ["age", "job", "heads"]


def bill(day, amount, table="medical", end=None):
    dates = {"as_of_date": pd.Timestamp("2024-12-01"), "date": pd.Timestamp(day), "end": pd.Timestamp(end)}
    return {**dates, "table": table, "amount": amount}


@pytest.mark.parametrize(
    ("records", "english", "chinese"),
    [
        ([bill("2024-03-05", 8500.0)], "8,500 on 2024-03-05", "2024年3月5日，金额8,500"),
        (
            [bill("2024-03-05", 8500.0), bill("2024-07-01", 90.0)],
            "largest record: 8,500 on 2024-03-05",
            "最大一笔2024年3月5日，金额8,500",
        ),
        (
            [bill("2024-03-31", 900.0, "incomes"), bill("2024-04-30", 700.0, "incomes")],
            "newest record: 700 on 2024-04-30",
            "最近一次2024年4月30日，金额700",
        ),
        ([bill("2024-03-05", 0.0)], "on 2024-03-05", "2024年3月5日"),
        ([bill("2024-03-05", np.nan)], "on 2024-03-05", "2024年3月5日"),
        ([bill("2024-03-05", 2000.0, "employment")], "2,000 since 2024-03-05", "始于2024年3月5日，金额2,000"),
        ([bill("2023-03-05", 2000.0, "employment", "2024-09-01")], "ended on 2024-09-01", "2024年9月1日已结束"),
        ([bill("2000-03-05", np.nan, "members")], "", ""),
    ],
)
def test_the_day_that_matters_comes_with_its_amount(records, english, chinese):
    assert when(records) == (english, chinese)


def test_what_the_office_did_is_not_what_help_can_change():
    meaning = feature_dictionary().set_index("name")["actionable"]
    office = ("visits_days_since", "housing_check_days_since", "lifted_days_since", "monitored")
    for name in (*office, "income_records_count_12m", "members_in_school", "members_able", "head_age"):
        assert not meaning[name]
    for name in ("jobs", "housing_grade", "medical_out_of_pocket_sum_12m", "support_ending_3m", "income_mean_12m"):
        assert meaning[name]
