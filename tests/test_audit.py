"""The audit of a user's own features: cheats are caught however they cheat, honest ones pass, and doubt is said."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds

import riskml as rk
from riskml.cli import main
from riskml.features.held import tables_held

TABLES = worlds.random_tables(7, n_households=40)
DATA = rk.Monitoring(TABLES)
DATES = ["2021-03-31", "2022-02-01"]
TESTS = ["dropped", "scrambled", "held", "strangers", "row_order", "other_areas", "splitting"]
MEDICAL = TABLES["medical"]
Known = dict[str, pd.DataFrame]


def audited(*features: rk.Custom | rk.Latest | rk.Derived, data: rk.Monitoring = DATA) -> pd.DataFrame:
    return rk.audit_features(data, features, DATES).set_index("feature")


def custom(function: Callable, name: str = "own") -> rk.Custom:
    return rk.Custom(name, function, tables=("medical", "households"))


def sums(bills: pd.DataFrame) -> pd.Series:
    return bills.groupby("household_id")["out_of_pocket"].sum()


# --- cheats ---------------------------------------------------------------------------------------------------------


def all_bills_of_the_module(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return sums(MEDICAL)


def bills_that_had_happened(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return sums(MEDICAL[MEDICAL["date"] < as_of_date])


def scaled_by_all_rows(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return sums(known["medical"]) / MEDICAL["out_of_pocket"].std()


def ends_as_they_turned_out(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    jobs = DATA.tables["employment"]
    return jobs[jobs["known_on"] < as_of_date].assign(open=jobs["end"].isna()).groupby("household_id")["open"].sum()


def newest_grade_joined(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return DATA.versions("housing").drop_duplicates("household_id", keep="last").set_index("household_id")["grade"]


def with_a_dict() -> Callable:
    told = sums(MEDICAL).to_dict()
    return lambda known, as_of_date: pd.Series({one: told.get(one, 0.0) for one in known["medical"]["household_id"]})


def with_a_series() -> Callable:
    told = sums(MEDICAL)
    return lambda known, as_of_date: told.reindex(known["medical"]["household_id"].unique())


def with_a_mapping_of_tables() -> Callable:
    raw = {"medical": MEDICAL, "lines": TABLES["lines"]}
    return lambda known, as_of_date: sums(raw["medical"])


def with_a_default() -> Callable:
    return lambda known, as_of_date, bills=MEDICAL: sums(bills)


def with_a_partial() -> Callable:
    def added(bills: pd.DataFrame, known: Known, as_of_date: pd.Timestamp) -> pd.Series:
        return sums(bills)

    return functools.partial(added, MEDICAL)


def with_a_helper() -> Callable:
    def helper() -> pd.DataFrame:
        return MEDICAL

    return lambda known, as_of_date: sums(helper())


def with_a_memory() -> Callable:
    @functools.lru_cache
    def spread() -> float:
        return MEDICAL["out_of_pocket"].std()

    return lambda known, as_of_date: sums(known["medical"]) / spread()


def with_an_attribute(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return sums(known["medical"]) / with_an_attribute.bills["out_of_pocket"].mean()  # type: ignore[attr-defined]


with_an_attribute.bills = MEDICAL  # type: ignore[attr-defined]


class Lookup:
    """An object that brings its table along."""

    def __init__(self, bills: pd.DataFrame) -> None:
        self.bills = bills

    def __call__(self, known: Known, as_of_date: pd.Timestamp) -> pd.Series:
        return sums(self.bills)

    def asked(self, known: Known, as_of_date: pd.Timestamp) -> pd.Series:
        return sums(self.bills[self.bills["date"] < as_of_date])


def label(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    households = known["households"]["household_id"].unique()
    index = pd.MultiIndex.from_product([households, [as_of_date]], names=["household_id", "as_of_date"])
    return rk.outcome_labels(DATA, index, horizon_months=6).droplevel("as_of_date")


CHEATS = {
    "all bills, from a table of the module": all_bills_of_the_module,
    "the event's date instead of the day it was known": bills_that_had_happened,
    "scaled by the spread of all rows": scaled_by_all_rows,
    "ends of spells as they turned out": ends_as_they_turned_out,
    "the newest snapshot joined": newest_grade_joined,
    "the label itself": label,
    "sums computed before, in a dict": with_a_dict(),
    "sums computed before, in a Series": with_a_series(),
    "a mapping of raw tables": with_a_mapping_of_tables(),
    "a table as a default argument": with_a_default(),
    "a table in a partial": with_a_partial(),
    "a table in a helper's reach": with_a_helper(),
    "a spread that was remembered": with_a_memory(),
    "a table as an attribute of the function": with_an_attribute,
    "a table in an object": Lookup(MEDICAL),
    "a table behind a method": Lookup(MEDICAL).asked,
}


# --- honest features ------------------------------------------------------------------------------------------------


def costliest_patient(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return known["medical"].groupby(["household_id", "member_id"])["out_of_pocket"].sum().groupby("household_id").max()


def bills_of_the_village(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    lives = known["households"].set_index("household_id")["area_id"]
    village = known["medical"]["household_id"].map(lives)
    mean = known["medical"].groupby(village)["out_of_pocket"].mean()
    return lives.map(mean)


def with_thresholds() -> Callable:
    bounds = {"small": 50.0, "large": 5000.0}
    weights = np.array([1.0, 2.0])
    return lambda known, as_of_date: sums(known["medical"]).clip(*bounds.values()) * weights[0]


def filtered_by_hand(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    bills = MEDICAL[MEDICAL["known_on"] < as_of_date].sort_values("known_on")
    bills = bills.drop_duplicates(["household_id", "record_id"], keep="last")
    return sums(bills[bills["withdrawn"] != 1])


def itself(known: Known, as_of_date: pd.Timestamp, depth: int = 2) -> pd.Series:
    return sums(known["medical"]) if depth == 0 else itself(known, as_of_date, depth - 1)


def changes_what_it_is_given(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    known["medical"]["out_of_pocket"] *= 2
    return sums(known["medical"])


HONEST = {
    "a sum of what is known": costliest_patient,
    "the mean of the village": bills_of_the_village,
    "with settings of its own": with_thresholds(),
    "over the whole table, filtered by hand as it should be": filtered_by_hand,
    "a function that calls itself": itself,
    "a function that changes what it is given": changes_what_it_is_given,
}


# --- doubtful ones --------------------------------------------------------------------------------------------------

ALTITUDE = pd.Series(np.linspace(500.0, 2000.0, 4), index=["520", "521", "530", "531"])


def high_up(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return known["households"].set_index("household_id")["area_id"].map(ALTITUDE)


def rank(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
    return sums(known["medical"]).rank(pct=True)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return the audit of all of them at once."""
    file = tmp_path_factory.mktemp("files") / "bills.csv"
    MEDICAL.to_csv(file, index=False)

    def from_a_file(known: Known, as_of_date: pd.Timestamp) -> pd.Series:
        return sums(pd.read_csv(file, dtype={"household_id": str}))

    doubtful = {"from a file": from_a_file, "by altitude": high_up, "rank": rank}
    own = [custom(function, name) for name, function in {**CHEATS, **HONEST, **doubtful}.items()]
    cheat, honest = next(iter(CHEATS)), next(iter(HONEST))
    twice = [rk.Derived(f"twice {name}", lambda own: 2 * own, (name,)) for name in (cheat, honest)]
    return audited(*own, *twice)


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_feature_that_looks_ahead_is_caught(verdicts: pd.DataFrame, cheat: str) -> None:
    verdict = verdicts.loc[cheat]
    assert verdict["verdict"] == "leaks", verdict["remark_en"]
    assert verdict["remark_en"]
    assert verdict["remark_zh"]


def test_a_feature_that_reads_a_file_is_caught_by_the_names_alone(verdicts: pd.DataFrame) -> None:
    verdict = verdicts.loc["from a file"]
    assert verdict["verdict"] == "leaks"
    assert "other names" in verdict["remark_en"]
    assert verdict[["dropped", "scrambled", "held"]].eq(0).all()


@pytest.mark.parametrize("honest", HONEST)
def test_an_honest_feature_passes(verdicts: pd.DataFrame, honest: str) -> None:
    verdict = verdicts.loc[honest]
    assert verdict["verdict"] == "ok", verdict["remark_en"]
    assert verdict["n_values"] > 10
    assert verdict["known_late"] > 0
    assert verdict[TESTS].eq(0).all()


def test_a_table_that_does_not_say_when_it_was_known_leaves_doubt(verdicts: pd.DataFrame) -> None:
    verdict = verdicts.loc["by altitude"]
    assert verdict["verdict"] == "cannot tell"
    assert "it holds ALTITUDE" in verdict["remark_en"]


def test_a_rank_over_the_whole_country_is_no_leak_but_hangs_on_other_areas(verdicts: pd.DataFrame) -> None:
    verdict = verdicts.loc["rank"]
    assert verdict["verdict"] == "ok"
    assert verdict["other_areas"] > 0
    assert "other areas" in verdict["remark_en"]


def test_a_derived_feature_is_judged_with_what_it_is_derived_from(verdicts: pd.DataFrame) -> None:
    derived = verdicts[verdicts.index.str.startswith("twice ")]
    assert derived["verdict"].tolist() == ["leaks", "ok"]


def test_what_one_custom_feature_does_to_its_tables_does_not_reach_the_next() -> None:
    twice = rk.Custom("twice", changes_what_it_is_given, tables=("medical",))
    once = rk.Custom("once", costliest_patient, tables=("medical",))
    X = rk.feature_table(DATA, DATES, features=(twice, once))
    X_alone = rk.feature_table(DATA, DATES, features=(once,))
    pd.testing.assert_frame_equal(X[["once"]], X_alone)


def test_no_standard_feature_leaks_and_those_with_late_records_pass() -> None:
    verdicts = rk.audit_features(DATA, rk.STANDARD, DATES).set_index("feature")
    assert not (verdicts["verdict"] == "leaks").any()
    assert verdicts.loc[["welfare", "medical_out_of_pocket_sum_12m", "members", "jobs"], "verdict"].eq("ok").all()
    assert (verdicts["verdict"] == "ok").sum() > 100
    assert (verdicts.loc[verdicts["n_values"] > 0, TESTS].drop(columns="held") == 0).all(axis=None)


# --- doubt ----------------------------------------------------------------------------------------------------------


def test_on_a_date_after_all_news_nothing_can_be_told() -> None:
    verdict = rk.audit_features(DATA.known_by(DATES[1]), [custom(costliest_patient)], DATES[1:]).loc[0]
    assert verdict["verdict"] == "cannot tell"
    assert "ask earlier dates" in verdict["remark_en"]
    assert verdict["known_after"] == 0


def test_without_late_records_a_leak_could_not_have_shown() -> None:
    bills = MEDICAL[MEDICAL["withdrawn"] != 1].drop_duplicates(["household_id", "record_id"])
    bills = bills[~bills["date"].isin(pd.to_datetime(DATES) - pd.Timedelta(days=1))].assign(known_on=bills["date"])
    costliest = rk.Custom("own", costliest_patient, tables=("medical",))
    verdict = audited(costliest, data=rk.Monitoring({**TABLES, "medical": bills})).loc["own"]
    assert verdict["verdict"] == "cannot tell"
    assert "became known only later" in verdict["remark_en"]
    assert verdict["known_after"] > 0
    assert verdict["known_late"] == 0


def test_a_feature_the_data_have_no_table_for_is_said_so() -> None:
    tables = {name: frame for name, frame in TABLES.items() if name != "housing"}
    verdicts = audited(rk.Latest("housing", "grade"), custom(costliest_patient), data=rk.Monitoring(tables))
    assert verdicts.loc["housing_grade", ["verdict", "n_values"]].tolist() == ["cannot tell", 0]
    assert "lack its tables" in verdicts.loc["housing_grade", "remark_en"]


# --- the rest -------------------------------------------------------------------------------------------------------


def test_the_audit_leaves_functions_and_tables_as_they_were() -> None:
    before = {name: frame.copy() for name, frame in TABLES.items()}
    function = with_a_mapping_of_tables()
    held = dict(tables_held(function))
    rk.audit_features(DATA, [custom(function)], DATES[:1])
    assert {name: id(table) for name, table in tables_held(function)} == {n: id(t) for n, t in held.items()}
    assert held["raw.medical"] is MEDICAL
    for name, frame in before.items():
        pd.testing.assert_frame_equal(TABLES[name], frame)


def test_no_date_is_refused() -> None:
    with pytest.raises(ValueError, match="as_of_dates is empty"):
        rk.audit_features(DATA, rk.STANDARD, [])


def test_the_command_audits_all_features_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(rk.write_monitoring(DATA, tmp_path / "county"))
    assert main(["check", folder, "--audit-as-of", DATES[0], "--json"]) == 0
    audit = pd.DataFrame(json.loads(capsys.readouterr().out)["audit"])
    assert audit["feature"].tolist() == rk.feature_dictionary()["name"].tolist()
    assert set(audit["verdict"]) == {"ok", "cannot tell"}
    assert main(["check", folder, "--audit-as-of", "2031-01-01", "--lang", "zh"]) == 0
    assert "无法判断" in capsys.readouterr().out
