"""What counts as a return: welfare, official status, deprivation; and what is not known of those not seen."""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import dataclasses
import functools
import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import reference
import worlds

import riskml as rk
from riskml.cli import main
from riskml.features.outcomes import learned_outcome, outcome_from, outcome_values
from riskml.features.panel import cohort
from riskml.findings import DataRefused, ModelRefused
from riskml.tables.reading import read_monitoring, write_monitoring

#: What an outcome means hangs on no number of trees.
pytestmark = pytest.mark.usefixtures("few_trees")

ASKED = pd.Timestamp("2023-01-01")
LINE = 4000.0


def watched(
    incomes: dict[str, list[tuple[str, float, float]]],
    *,
    status: list[dict] | None = None,
    extract="2024-06-01",
    **more,
) -> rk.Monitoring:
    """Return one-person households with incomes (date, months, lines a year) and official status."""
    rows = [
        {"household_id": household, "date": date, "months": months, "total": lines * LINE * months / 12, "units": 1}
        for household, records in incomes.items()
        for date, months, lines in records
    ]
    frame = pd.DataFrame(rows).assign(known_on=lambda f: pd.to_datetime(f["date"]) + pd.Timedelta(days=5))
    tables = {
        "households": pd.DataFrame({"household_id": list(incomes), "area_id": "52", "known_on": "2021-01-01"}),
        "incomes": frame,
        "lines": pd.DataFrame({"area_id": [""], "valid_from": ["2020-01-01"], "amount": LINE, "unit": "person_year"}),
    }
    if status is not None:
        tables["status"] = pd.DataFrame(status).assign(category=lambda f: f.get("category", "unstable"))
    return rk.Monitoring({**tables, **more.pop("tables", {})}, extract_on=extract, **more)


def months(first: int, last: int, lines: float = 2.0) -> list[tuple[str, float, float]]:
    """Return a record a month, counted from the as-of date's (0)."""
    ends = pd.date_range("2022-01-31", periods=36, freq="ME")
    return [(f"{ends[12 + month]:%Y-%m-%d}", 1.0, lines) for month in range(first, last)]


def label(data: rk.Monitoring, household: str = "a", **how) -> float:
    index = pd.MultiIndex.from_tuples([(household, ASKED)], names=["household_id", "as_of_date"])
    return rk.outcome_labels(data, index, **{"horizon_months": 12, **how}).iloc[0]


# --- welfare ---------------------------------------------------------------------------------------------------------


@functools.cache
def random_world(seed: int) -> tuple[dict[str, pd.DataFrame], rk.Monitoring]:
    tables = worlds.random_tables(seed, n_households=6)
    return tables, rk.Monitoring(tables)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", ["at_horizon", "any"])
@pytest.mark.parametrize("horizon", [3, 12])
def test_labels_are_those_of_a_second_account_in_plain_python(seed: int, rule: str, horizon: int) -> None:
    tables, data = random_world(seed)
    days = pd.DatetimeIndex(["2021-07-01", "2022-01-01", "2022-02-28"])
    index = pd.MultiIndex.from_product([data.household_ids, days], names=["household_id", "as_of_date"])
    y = rk.outcome_labels(data, index, horizon_months=horizon, rule=rule)
    told = reference.as_dicts(tables)
    expected = [reference.label(told, household, day, horizon=horizon, rule=rule) for household, day in index]
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("net", [False, True])
@pytest.mark.parametrize("rule", ["at_horizon", "any"])
def test_the_welfare_that_decided_is_that_of_a_second_account_and_agrees_with_the_label(rule: str, net: bool) -> None:
    days = pd.DatetimeIndex(["2021-07-01", "2022-01-01", "2022-02-28"])
    how, seen = {"rule": rule, "net_of_assistance": net}, []
    for seed in range(4):
        tables, data = random_world(seed)
        index = pd.MultiIndex.from_product([data.household_ids, days], names=["household_id", "as_of_date"])
        lowest = rk.outcome_welfare(data, index, horizon_months=12, **how)
        told = reference.as_dicts(tables)
        expected = [reference.welfare_after(told, one, day, horizon=12, rule=rule, net=net) for one, day in index]
        np.testing.assert_allclose(lowest, expected, rtol=1e-12)
        labels = rk.outcome_labels(data, index, horizon_months=12, **how)
        np.testing.assert_array_equal(labels, np.where(lowest.isna(), np.nan, lowest < 1))
        seen += list(labels)
    assert set(seen) > {0.0, 1.0}


def test_an_outcome_that_welfare_does_not_decide_has_none(county) -> None:
    index = cohort(county, [DAY]).index
    assert rk.outcome_welfare(county, index, horizon_months=12, outcome="status").isna().all()
    with pytest.raises(ValueError, match="net_of_assistance belongs to the outcome 'welfare'"):
        rk.outcome_welfare(county, index, horizon_months=12, outcome="status", net_of_assistance=True)


def test_six_months_of_twelve_do_not_show_that_a_household_stayed_above() -> None:
    data = watched({"a": months(0, 12), "b": months(0, 6), "c": months(0, 8), "d": months(0, 9)})
    found = [label(data, household, rule="any") for household in "abcd"]
    np.testing.assert_array_equal(found, [0.0, np.nan, np.nan, 0.0])  # nine of twelve are the default share, 0.75


def test_a_return_that_was_seen_needs_no_more_months() -> None:
    data = watched({"a": [*months(0, 3), *months(3, 6, 0.0)]})
    # Three months at 2 lines and three at 0 are a mean of 1: not below. One month more at 0 is.
    assert np.isnan(label(data, rule="any"))
    assert label(watched({"a": [*months(0, 3), *months(3, 7, 0.0)]}), rule="any") == 1.0


def test_a_record_covers_only_those_of_its_months_that_lie_in_the_horizon() -> None:
    data = watched({"a": [("2023-06-30", 12.0, 2.0)], "b": [("2023-06-30", 12.0, 2.0), ("2023-12-31", 6.0, 2.0)]})
    assert np.isnan(label(data, "a", rule="any"))
    assert label(data, "b", rule="any") == 0.0


def test_a_survey_says_how_seldom_it_visits() -> None:
    twice, once = [("2023-03-31", 1.0, 2.0), ("2023-12-31", 1.0, 2.0)], [("2023-12-31", 1.0, 2.0)]
    seldom = {"welfare_months": 1, "max_age_months": 1}
    incomes = {"a": twice, "b": once, "c": [("2023-12-31", 1.0, 0.5)]}
    found = [label(watched(incomes, **seldom, least_covered=2 / 12), household, rule="any") for household in "abc"]
    np.testing.assert_array_equal(found, [0.0, np.nan, 1.0])
    assert np.isnan(label(watched(incomes, **seldom), "a", rule="any"))


def test_who_is_marked_as_observed_does_not_hang_on_what_came_of_it() -> None:
    gone = {"a": [*months(0, 3), *months(3, 7, 0.0)], "b": months(0, 7), "c": months(0, 12), "d": months(0, 12, 0.2)}
    data = watched(gone)
    index = pd.MultiIndex.from_product([list(gone), [ASKED]], names=["household_id", "as_of_date"])
    seen = rk.observed_to_horizon(data, index, horizon_months=12, rule="any")
    assert seen.tolist() == [False, False, True, True]
    assert rk.outcome_labels(data, index, horizon_months=12, rule="any").fillna(-1).tolist() == [1, -1, 0, 1]


def test_nobody_is_learned_from_who_was_seen_only_because_of_a_return() -> None:
    # a returned and was lost: had it stayed above the line, nobody would know.
    gone = {"a": [*months(-6, 3), *months(3, 7, 0.0)], "b": months(-6, 7), "c": months(-6, 12), "d": months(-6, 0)}
    gone["d"] = [*gone["d"], *months(0, 12, 0.2)]
    data = watched(gone)
    _, y = rk.training_set(data, [ASKED], horizon_months=12, rule="any", features=())
    assert y.droplevel("as_of_date").to_dict() == {"c": 0.0, "d": 1.0}


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_of_the_horizon_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="least_covered must be above 0 and at most 1"):
        watched({"a": months(0, 12)}, least_covered=share)


# --- official status -------------------------------------------------------------------------------------------------

SPELLS = [
    {"household_id": "runs", "start": "2023-09-01", "end": None, "known_on": "2023-09-10"},
    {"household_id": "over", "start": "2023-02-01", "end": "2023-11-30", "known_on": "2023-02-10"},
    {"household_id": "lastday", "start": "2023-02-01", "end": "2023-12-31", "known_on": "2023-02-10"},
    {"household_id": "early", "start": "2022-06-01", "end": None, "known_on": "2022-06-10"},
    {"household_id": "entered late", "start": "2022-12-01", "end": None, "known_on": "2023-02-01"},
    {"household_id": "same day", "start": "2022-12-20", "end": None, "known_on": "2023-01-01"},
    {"household_id": "after", "start": "2024-01-01", "end": None, "known_on": "2024-01-10"},
    {"household_id": "past", "start": "2021-06-01", "end": "2022-06-01", "known_on": "2021-06-10"},
]  # fmt: skip
OTHER = {"household_id": "other", "start": "2023-09-01", "end": None, "known_on": "2023-09-10", "category": "sudden"}
HOUSEHOLDS = [*(spell["household_id"] for spell in SPELLS), "none", "gone", "other"]


def with_status(**more) -> rk.Monitoring:
    incomes = {household: months(-12, 12) for household in HOUSEHOLDS} | {"gone": months(-12, 4)}
    spells = pd.DataFrame([*SPELLS, OTHER])
    spells["category"] = spells["category"].fillna("unstable")
    return watched(incomes, status=spells.to_dict("records"), **more)


@pytest.mark.parametrize(
    ("rule", "returned"),
    [("at_horizon", ["runs", "lastday", "other"]), ("any", ["runs", "over", "lastday", "other"])],
)
def test_official_status_is_a_spell_that_began_within_the_horizon(rule: str, returned: list[str]) -> None:
    data = with_status()
    found = {household: label(data, household, rule=rule, outcome="status") for household in HOUSEHOLDS}
    # Whom the office had already, known or entered later, cannot return; nor is one who left safe.
    unknown = ["early", "entered late", "same day", "gone"]
    expected = {h: np.nan if h in unknown else float(h in returned) for h in HOUSEHOLDS}
    assert pd.Series(found).equals(pd.Series(expected))


def test_the_cohort_of_a_status_holds_those_the_office_did_not_have_on_that_day() -> None:
    at_risk = cohort(with_status(), [ASKED], outcome="status").index.get_level_values(0)
    assert set(at_risk) == set(HOUSEHOLDS) - {"early"}  # of "entered late" and "same day" it did not yet know


def test_which_categories_count_is_the_datas_or_the_callers() -> None:
    only = rk.OfficialStatus(["unstable"])
    assert label(with_status(), "other", outcome="status") == 1.0
    assert label(with_status(), "other", outcome=only) == 0.0
    assert label(with_status(outcomes=(only,)), "other", outcome="status") == 0.0
    with pytest.raises(ValueError, match="categories must be some of unstable, marginal, sudden, not \\['poor'\\]"):
        rk.OfficialStatus(["poor"])


def test_nobody_is_safe_by_data_that_end_before_the_horizon() -> None:
    data = with_status().known_by("2023-12-20")
    assert np.isnan(label(data, "none", outcome="status"))
    assert label(data, "runs", outcome="status") == 1.0


def test_a_household_recorded_as_moved_away_is_not_safe() -> None:
    data = with_status()
    households = data.tables["households"].assign(left_on=pd.NaT)
    left = households[households["household_id"] == "none"].assign(left_on="2023-12-01", known_on="2023-12-10")
    moved = rk.Monitoring({**data.tables, "households": pd.concat([households, left])}, extract_on=data.extract_on)
    assert label(data, "none", outcome="status") == 0.0
    assert np.isnan(label(moved, "none", outcome="status"))


# --- every outcome looks one way -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def county() -> rk.Monitoring:
    return rk.datasets.make_monitoring(300, n_months=36, random_state=5)


OUTCOMES = ["welfare", "status", "deprivation"]
DAY = pd.Timestamp("2022-07-01")
FEW = (rk.Latest("housing", "grade"), rk.Window("incomes", "wage", months=(12,), stats=("mean",)))


@pytest.mark.parametrize("horizon", [6, 12])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_labels_do_not_change_when_records_that_ended_before_the_as_of_date_change(
    county, outcome: str, horizon: int
) -> None:
    index = cohort(county, [DAY], outcome=outcome).index
    y = rk.outcome_labels(county, index, horizon_months=horizon, outcome=outcome)
    tables = dict(county.tables)
    for name, column in (("incomes", "wage"), ("incomes", "total"), ("housing", "grade"), ("water", "grade")):
        before = tables[name]["date"] < DAY
        tables[name] = tables[name].assign(**{column: tables[name][column].mask(before, 1.0)})
    for name in ("medical", "schooling"):
        tables[name] = tables[name][tables[name]["date"] >= DAY]
    spells = tables["status"].set_index(["household_id", "start"])
    over = spells.index[spells["end"] < DAY]
    assert len(over) > 0
    tables["status"] = spells[~spells.index.isin(over)].reset_index()
    other = rk.outcome_labels(
        rk.Monitoring(tables, extract_on=county.extract_on), index, horizon_months=horizon, outcome=outcome
    )
    assert 0 < y.mean() < 1
    pd.testing.assert_series_equal(y, other)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_cohort_and_features_are_those_of_the_data_as_they_stood(county, outcome: str) -> None:
    now, then = (cohort(data, [DAY], outcome=outcome) for data in (county, county.known_by(DAY)))
    pd.testing.assert_frame_equal(now, then)
    X = rk.feature_table(county, [DAY], features=FEW, outcome=outcome)
    assert X.index.equals(now.index)


@pytest.mark.parametrize("outcome", ["status", "deprivation"])
def test_training_sets_and_backtests_carry_the_outcome(county, outcome: str) -> None:
    X, y = rk.training_set(county, [DAY], horizon_months=12, features=FEW, outcome=outcome)
    labels = rk.outcome_labels(county, cohort(county, [DAY], outcome=outcome).index, horizon_months=12, outcome=outcome)
    pd.testing.assert_series_equal(y, labels.dropna())
    assert X.index.equals(y.index)
    _, y_train, _, y_test = rk.backtest_sets(
        county, test_from="2022-10-01", horizon_months=6, every_months=6, features=FEW, outcome=outcome
    )
    later = county.known_by("2022-10-01")
    again = rk.outcome_labels(later, y_train.index, horizon_months=6, outcome=outcome)
    pd.testing.assert_series_equal(y_train, again)
    assert len(y_test) > 100


def test_one_income_indicator_is_the_label_of_welfare(county) -> None:
    income = next(each for each in rk.Deprivation().indicators if each.name == "income")
    alone = rk.Deprivation([income], cutoff=1.0)
    index = cohort(county, [DAY]).index
    by_score = rk.outcome_labels(county, index, horizon_months=12, outcome=alone)
    by_welfare = rk.outcome_labels(county, index, horizon_months=12)
    both = by_score.notna() & by_welfare.notna()
    assert both.mean() > 0.95
    pd.testing.assert_series_equal(by_score[both], by_welfare[both])


FAULTS = {
    "a status entered on the day itself is known": ("outcomes", '(spells["known_on"] < day)', '(spells["known_on"] <= day)'),
    "a status is known before it was entered": ("outcomes", 'running = known & (spells["start"] <= day)', 'running = (spells["start"] <= day)'),
    "whom the office had already is safe": ("outcomes", 'np.where(np.isin(own, before["household_position"]), np.nan, known)', "known"),
    "whoever was lost is safe": ("outcomes", "there & enough[rows] &", "there &"),
    "whoever moved away is safe": ("outcomes", "safe = there &", "safe ="),
    "a status that began before the as-of date is a return": ("outcomes", 'newest[(newest["start"] >= day) & (newest["start"] < horizon)]', 'newest[newest["start"] < horizon]'),
    "a status after the horizon is a return": ("outcomes", '& (newest["start"] < horizon)]', '& (newest["start"] <= horizon)]'),
    "data that end before the horizon say who is safe": ("outcomes", "& (horizon <= data.extract_on)", ""),
    "deprivation is judged by records from before the as-of date": ("deprivation", 'known, start = of_all["superseded_on"].isna(), max(start, first)', 'known = of_all["superseded_on"].isna()'),
    "deprivation is known before it was entered": ("deprivation", 'known = (of_all["known_on"] < end) & ~(of_all["superseded_on"] < end)', 'known = of_all["superseded_on"].isna()'),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_planted_in_the_outcomes_is_caught(fault: str, plant, county) -> None:
    module, right, wrong = FAULTS[fault]
    plant(f"features.{module}", right, wrong)
    assert not all_hold(county)


def test_without_a_fault_the_outcomes_hold(county) -> None:
    assert all_hold(county)


def all_hold(county: rk.Monitoring) -> bool:
    """Return whether the tests above hold."""
    try:
        for rule, returned in (
            ("at_horizon", ["runs", "lastday", "other"]),
            ("any", ["runs", "over", "lastday", "other"]),
        ):
            test_official_status_is_a_spell_that_began_within_the_horizon(rule, returned)
        test_the_cohort_of_a_status_holds_those_the_office_did_not_have_on_that_day()
        test_nobody_is_safe_by_data_that_end_before_the_horizon()
        test_a_household_recorded_as_moved_away_is_not_safe()
        for outcome in ("status", "deprivation"):
            test_cohort_and_features_are_those_of_the_data_as_they_stood(county, outcome)
            test_labels_do_not_change_when_records_that_ended_before_the_as_of_date_change(county, outcome, 6)
    except AssertionError:
        return False
    return True


# --- what is refused, and what is written down -----------------------------------------------------------------------


@pytest.mark.parametrize(("language", "said"), [("en", "the data do not have"), ("zh", "数据中没有")])
def test_data_without_the_table_of_the_outcome_are_refused(monkeypatch, language: str, said: str) -> None:
    monkeypatch.setenv("RISKML_LANG", language)
    data = watched({"a": months(-12, 12)})
    with pytest.raises(DataRefused, match=said):
        cohort(data, [ASKED], outcome="status")
    with pytest.raises(DataRefused, match="schooling"):
        cohort(data, [ASKED], outcome="deprivation")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"outcome": "income"}, "outcome must be one of welfare, status, deprivation"),
        ({"outcome": "deprivation", "rule": "any"}, "judged at the horizon"),
        ({"outcome": "status", "net_of_assistance": True}, "belongs to the outcome 'welfare'"),
    ],
)
def test_what_does_not_go_together_is_refused(asked: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        label(with_status(), "none", **asked)


MINE = rk.Deprivation(
    [
        rk.Indicator(name="food", dimension="food", table="traits", column="meals", sign="<", cutoff=2.0, weight=0.6),
        rk.Indicator(
            name="bills", dimension="care", table="medical", stat="count", sign=">", cutoff=3.0, weight=0.4, nothing=0.0
        ),
    ],
    cutoff=0.6,
    missing="reweight",
)


@pytest.mark.parametrize("outcome", ["welfare", "status", rk.OfficialStatus(["sudden"]), "deprivation", MINE])
def test_a_models_summary_says_its_outcome_in_plain_values_and_gives_it_back(outcome) -> None:
    said = json.loads(json.dumps(outcome_values(with_status(), outcome), allow_nan=False))
    again = learned_outcome(said)
    assert outcome_values(with_status(), again) == said
    assert again == {"status": rk.OfficialStatus(), "deprivation": rk.Deprivation()}.get(outcome, outcome)
    assert learned_outcome({}) == "welfare"


def test_outcomes_and_the_covered_share_survive_writing(tmp_path: Path) -> None:
    data = with_status(outcomes=(rk.OfficialStatus(["sudden"]), MINE), least_covered=0.5)
    again = read_monitoring(write_monitoring(data, tmp_path / "county"))
    assert again.outcomes == data.outcomes
    assert again.least_covered == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[outcomes.wealth]", "'outcomes.wealth' is not a setting"),
        ("[outcomes.status]\ncategories = ['poor']", "categories must be some of"),
        ("[outcomes.deprivation.indicators.a]\ntable = 'lines'\nsign = '<'\ncutoff = 1", "dimension"),
        (
            "[outcomes.deprivation.indicators.a]\nmonth = 3",
            "'outcomes.deprivation.indicators.a.month' is not a setting",
        ),
        ("[welfare]\nleast_covered = 2", "should be a share above 0 and at most 1"),
    ],
)
def test_a_wrong_outcome_in_monitoring_toml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    folder = write_monitoring(with_status(), tmp_path / "county")
    (folder / "monitoring.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataRefused, match=said):
        read_monitoring(folder)


def test_the_command_learns_judges_and_scores_an_official_status(tmp_path: Path, capsys, county) -> None:
    write_monitoring(county, tmp_path / "county")

    def riskml(command: str) -> int:
        return main(shlex.split(command.format(tmp_path)))

    train = "train {0}/county --outcome status --test-from 2022-07-01 --every-months 6 --horizon-months 6"
    assert riskml(f"{train} --out {{0}}/models --json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["fit"]["outcome"] == "status"
    assert said["fit"]["outcome_definition"] == {"categories": ["unstable", "marginal", "sudden"]}
    assert riskml("evaluate {0}/county --model {0}/models --test-from 2022-07-01 --horizon-months 6") == 2
    capsys.readouterr()
    assert riskml("evaluate {0}/county --model {0}/models --test-from 2022-07-01 --every-months 6 --json") == 0
    assert json.loads(capsys.readouterr().out)["figures"] == said["figures"]
    assert riskml("score {0}/county --model {0}/models --as-of 2023-06-01 --out {0}/list.csv") == 0
    listed = pd.read_csv(tmp_path / "list.csv", dtype={"household_id": str})
    assert set(listed["household_id"]) == set(
        cohort(county, ["2023-06-01"], outcome="status").index.get_level_values(0)
    )
    card = next((tmp_path / "models").glob("*/CARD.md")).read_text(encoding="utf-8")
    assert "- outcome: status" in card
    assert "whom the office will identify" in card
    assert riskml("train {0}/county --outcome deprivation --rule any --out {0}/models") == 1
    assert "judged at the horizon" in capsys.readouterr().err


def test_a_store_refuses_other_outcomes_with_a_clear_message(tmp_path: Path, capsys, county) -> None:
    write_monitoring(county, tmp_path / "county")
    assert main(["import", str(tmp_path / "county"), str(tmp_path / "store")]) == 0
    asked = ["--outcome", "status", "--out", str(tmp_path / "models")]
    assert main(["train", str(tmp_path / "store"), *asked]) == 1
    assert "a store trains on the outcome 'welfare' only" in capsys.readouterr().err
    from riskml.buckets.scoring import require_welfare

    model = rk.RiskClassifier()
    model.fit_summary_ = {"outcome": "status"}
    with pytest.raises(ModelRefused, match="a store is scored for 'welfare' only"):
        require_welfare(model)


def test_a_column_of_an_indicator_is_read_from_text_too(tmp_path: Path) -> None:
    folder = write_monitoring(with_status(), tmp_path / "county")
    traits = pd.DataFrame({"household_id": HOUSEHOLDS, "date": "2022-12-01", "known_on": "2022-12-02", "meals": 1.0})
    traits.to_csv(folder / "traits.csv", index=False)
    food = "[outcomes.deprivation.indicators.food]\ndimension = 'food'\ntable = 'traits'\ncolumn = 'meals'\nsign = '<'"
    with (folder / "monitoring.toml").open("a", encoding="utf-8") as settings:
        settings.write(f"\n[outcomes.deprivation]\ncutoff = 0.5\n{food}\ncutoff = 2\n")
    table = rk.deprivation_table(read_monitoring(folder), [ASKED])
    assert table["food"].tolist() == [1.0] * len(HOUSEHOLDS)


def test_data_keep_their_outcomes_when_looked_at_as_of_a_day() -> None:
    data = with_status(outcomes=(rk.OfficialStatus(["sudden"]),), least_covered=0.5)
    assert data.known_by("2023-10-01").outcomes == data.outcomes
    assert data.known_by("2023-10-01").least_covered == 0.5
    assert dataclasses.replace(data).outcomes == data.outcomes
    assert outcome_from("status") == "status"
