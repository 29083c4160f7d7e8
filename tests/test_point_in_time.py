"""No look-ahead: what was not yet known changes nothing, and a household's features are its own, to the last bit.

A case is one random world of six households in two counties (``worlds.py``): late, corrected, re-keyed and withdrawn
records, spells whose end is learned later, moves, changing rosters and lines. Sixty worlds are stacked in one set of
tables, where they cannot touch one another, and a property is tried on six stacks: 360 cases each. With
``RISKML_EXAMPLES=300`` it is tried on 300 stacks, 18,000 cases each. The household in a message names the world:
12003 is the fourth household of the twelfth world of its seed. The stacks are drawn anew in every run, and all
properties are tried on the same ones, so that each is made once; a message names its seed, and with
``RISKML_FIRST_SEED`` the stacks from that seed on are drawn again.
"""

from __future__ import annotations

import functools
import os
import random

import numpy as np
import pandas as pd
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml.features import windows
from riskml.features.declarations import Feature, Window, expand
from riskml.features.known import known_on, recorded
from riskml.tables.contract import TABLES

DATES = [pd.Timestamp("2020-11-01"), pd.Timestamp("2021-03-31"), pd.Timestamp("2022-02-01")]
N_WORLDS, N_STACKS = 60, int(os.environ.get("RISKML_EXAMPLES", "6"))
CASES = settings(max_examples=N_STACKS, deadline=None)
FIRST_SEED = int(os.environ.get("RISKML_FIRST_SEED", random.randrange(100_000)))
SEEDS = st.integers(FIRST_SEED, FIRST_SEED + N_STACKS - 1)
Tables = dict[str, pd.DataFrame]


@functools.lru_cache(maxsize=6)
def stack(seed: int) -> Tables:
    return worlds.random_tables(seed, n_households=6, n_worlds=N_WORLDS)


def everything_seen(known: Tables, as_of_date: pd.Timestamp) -> pd.Series:
    """Add up all that a plain function is shown of a household: every number, and every day as days to the date."""
    shown = []
    for frame in known.values():
        days = frame.select_dtypes("datetime").apply(lambda day: (as_of_date - day).dt.days)
        numbers = pd.concat([frame.select_dtypes("number"), days], axis=1).fillna(-1.0)
        shown.append(numbers.sum(axis=1).groupby(frame["household_id"]).sum())
    return pd.concat(shown).groupby(level=0).sum()


SHOWN = ("households", "members", "welfare", "medical", "employment", "assistance", "housing", "disasters")
FEATURES = (*rk.STANDARD, rk.Custom("everything_seen", everything_seen, tables=SHOWN))


def features_of(data: rk.Monitoring, *days: pd.Timestamp) -> pd.DataFrame:
    return rk.feature_table(data, days, features=FEATURES)


def features_on(tables: Tables, *days: pd.Timestamp) -> pd.DataFrame:
    return features_of(rk.Monitoring(tables), *days)


@functools.lru_cache(maxsize=6)
def data_of(seed: int) -> rk.Monitoring:
    return rk.Monitoring(stack(seed))


@functools.lru_cache(maxsize=6)
def features_of_stack(seed: int) -> pd.DataFrame:
    """Return the features of a stack on all dates; to be compared with, not to be changed."""
    return features_of(data_of(seed), *DATES)


def scrambled_from(tables: Tables, day: pd.Timestamp, seed: int) -> Tables:
    """Return tables that tell the same until ``day``: what is known later is dropped, changed or added to."""
    rng = np.random.default_rng(seed)
    return {name: _scrambled(name, frame, day, rng) for name, frame in tables.items()}


def _scrambled(name: str, frame: pd.DataFrame, day: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    key = [*TABLES[name].key, "known_on"]
    if name == "lines":
        frame = frame.assign(known_on=frame["known_on"].fillna(frame["valid_from"]))
    frame = frame.sort_values("known_on", kind="stable", ignore_index=True)
    if "end_known_on" in frame:
        frame["end"] = frame["end"].where(~(frame["end_known_on"] >= day), _some_end(frame, rng))
    # Three records in ten get a version that is known from the day on, half of them on the very day.
    again = frame[rng.random(len(frame)) < 0.3]
    told = day + pd.to_timedelta(rng.choice([0, 0, 1, 40], len(again)), unit="D")
    again = again.assign(known_on=again["known_on"].where(again["known_on"] > told, told))
    if "end_known_on" in frame:
        again["end_known_on"] = again["end_known_on"].where(again["end_known_on"] > again["known_on"])
    both = pd.concat([frame, again], ignore_index=True).drop_duplicates(key, ignore_index=True)
    later = (both["known_on"] >= day).to_numpy()
    kept = ~later | (rng.random(len(both)) < 0.7)
    untouched = {*key, "start", "end_known_on", "valid_from", "valid_to"}
    if name in ("households", "members"):  # someone must stay in every household that has records
        untouched.add("withdrawn")
        kept |= ~both["household_id"].duplicated().to_numpy()
    for column in (column for column in both if column not in untouched):
        other = frame[column].sample(len(both), replace=True, random_state=rng).set_axis(both.index)
        if column == "end":
            other = _some_end(both, rng).where(both["end"].notna())
        elif other.dtype.kind == "M":  # nobody can state a day that is still to come
            other = other.where(~(other > both["known_on"]), both[column])
        both[column] = both[column].where(~later, other)
    return both[kept]


def _some_end(frame: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    return frame["start"] + pd.to_timedelta(rng.integers(0, 900, len(frame)), unit="D").to_numpy()


def of_households(tables: Tables, household_ids: set[str]) -> Tables:
    """Return the tables of some households only, with the lines and the disasters of areas."""
    return {
        name: frame if name == "lines" else frame[frame["household_id"].isin(household_ids | {""})]
        for name, frame in tables.items()
    }


@CASES
@given(SEEDS, st.sampled_from(DATES))
def test_features_do_not_change_when_records_not_yet_known_change(seed: int, day: pd.Timestamp) -> None:
    data, other = data_of(seed), rk.Monitoring(scrambled_from(stack(seed), day, seed))
    pd.testing.assert_frame_equal(features_of(data, day), features_of(other, day), check_exact=True)
    pd.testing.assert_frame_equal(rk.cohort(data, [day]), rk.cohort(other, [day]), check_exact=True)


@CASES
@given(SEEDS, st.sampled_from(DATES))
def test_features_do_not_change_when_records_not_yet_known_are_dropped(seed: int, day: pd.Timestamp) -> None:
    data = data_of(seed)
    then = data.known_by(day)
    pd.testing.assert_frame_equal(features_of(data, day), features_of(then, day), check_exact=True)
    for table in SHOWN:  # what a plain function is shown is what the data of that day held, row by row
        held = recorded(then, table).query("superseded_on.isna()")
        held = held.drop(columns=["superseded_on", "household_position"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(known_on(data, table, day), held, check_exact=True)


#: By table: the columns of a record that happened a hundred days before it was known.
LATE = {
    "medical": {"record_id": "late", "cost": 9e5, "out_of_pocket": 8e5, "serious": 1.0},
    "housing": {"grade": 4.0, "rooms": 1.0},
    "members": {"member_id": "late", "birth": pd.Timestamp("1980-01-01"), "labour": 2.0},
    "employment": {"member_id": "late", "wage": 9e5, "away": 1.0},
    "disasters": {"area_id": "", "record_id": "late", "kind": "flood", "severity": 3.0, "loss": 9e5},
}


@CASES
@given(SEEDS, st.sampled_from(DATES), st.integers(0, 40), st.sampled_from(sorted(LATE)))
def test_a_late_record_changes_features_only_from_the_day_after_it_was_known(
    seed: int, day: pd.Timestamp, days: int, table: str
) -> None:
    tables = stack(seed)
    known = day + pd.Timedelta(days=days)
    households = [f"{1000 * world + 1}" for world in range(1, N_WORLDS + 1)]
    happened = "start" if "start" in tables[table] else "date"
    record = {happened: known - pd.Timedelta(days=100), "known_on": known, "withdrawn": 0.0, **LATE[table]}
    news = pd.DataFrame({"household_id": households, **record})
    late = {**tables, table: pd.concat([tables[table], news], ignore_index=True)}
    after = known + pd.Timedelta(days=1)
    days_asked = known - pd.Timedelta(days=1), known, after
    X, X_late = features_of(data_of(seed), *days_asked), features_on(late, *days_asked)
    own = {(household, after) for household in households}
    # An income that came in on the same day is shared by one more: the household may join or leave those at risk, and
    # its neighbours have another neighbour.
    assert set(X.index) ^ set(X_late.index) <= (own if table == "members" else set())
    both = X.index.intersection(X_late.index)
    own_columns = [c for c in X if table != "members" or not c.startswith("neighbours")]
    changed = (X.loc[both, own_columns].fillna(-1) != X_late.loc[both, own_columns].fillna(-1)).any(axis=1)
    assert set(changed[changed].index) == own & set(both)
    before = both[both.get_level_values("as_of_date") < after]
    pd.testing.assert_frame_equal(X.loc[before], X_late.loc[before], check_exact=True)


@CASES
@given(SEEDS, st.integers(1, 12))
def test_moving_all_dates_by_whole_calendar_cycles_changes_nothing(seed: int, cycles: int) -> None:
    tables = stack(seed)
    shift = pd.Timedelta(days=1461 * cycles)  # four years: the calendar repeats
    moved = {
        name: frame.assign(**{c: frame[c] + shift for c in frame.columns if frame[c].dtype.kind == "M"})
        for name, frame in tables.items()
    }
    X, X_moved = features_of_stack(seed), features_on(moved, *(day + shift for day in DATES))
    np.testing.assert_array_equal(X.to_numpy(), X_moved.to_numpy())


@CASES
@given(SEEDS)
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    tables = stack(seed)
    mixed = {name: frame.sample(frac=1, random_state=seed) for name, frame in tables.items()}
    X, X_mixed = features_of_stack(seed), features_on(mixed, *DATES)
    pd.testing.assert_frame_equal(X, X_mixed, check_exact=True)


@CASES
@given(SEEDS)
def test_a_bucket_of_areas_agrees_bit_for_bit_with_all_areas(seed: int) -> None:
    tables = stack(seed)
    county = tables["households"]["area_id"].str[:-1].astype(int)
    bucket = set(tables["households"].loc[county % 2 == 0, "household_id"])
    X, X_bucket = features_of_stack(seed), features_on(of_households(tables, bucket), *DATES)
    pd.testing.assert_frame_equal(X[X.index.get_level_values(0).isin(bucket)], X_bucket, check_exact=True)


@CASES
@given(SEEDS, st.integers(0, 5))
def test_a_household_alone_agrees_bit_for_bit_but_for_its_neighbours(seed: int, i: int) -> None:
    tables = stack(seed)
    X = features_of_stack(seed)
    own = [feature.name for feature in expand(FEATURES) if feature.name in X and not _needs_others(feature)]
    alone = {f"{1000 * world + i}" for world in range(1, N_WORLDS + 1)}  # one of each world: nobody is near another
    X_alone = features_on(of_households(tables, alone), *DATES)
    pd.testing.assert_frame_equal(X.loc[X.index.get_level_values(0).isin(alone), own], X_alone[own], check_exact=True)


def _needs_others(feature: Feature) -> bool:
    declared = {f.name: f for f in expand(rk.STANDARD)}
    return feature.kernel == "neighbours" or any(_needs_others(declared[name]) for name in feature.inputs)


@CASES
@given(SEEDS)
def test_training_and_scoring_agree_bit_for_bit_on_the_same_date(seed: int) -> None:
    data, X = data_of(seed), features_of_stack(seed)
    alone = pd.concat([features_of(data, day) for day in DATES]).sort_index()
    pd.testing.assert_frame_equal(X, alone, check_exact=True)
    X_train, y = rk.training_set(data, DATES, horizon_months=6, features=FEATURES)
    pd.testing.assert_frame_equal(X_train, X.loc[y.index], check_exact=True)


@CASES
@given(SEEDS, st.sampled_from(["at_horizon", "any"]))
def test_labels_do_not_change_when_records_before_the_as_of_date_change(seed: int, rule: str) -> None:
    assert labels_look_ahead_only(stack(seed), rule)


def labels_look_ahead_only(tables: Tables, rule: str) -> bool:
    before = tables["incomes"]["date"] < DATES[1]
    rich = {**tables, "incomes": tables["incomes"].assign(wage=tables["incomes"]["wage"].where(~before, 1e7))}
    y, y_rich = (labels_on(rk.Monitoring(t), DATES[1], 12, rule) for t in (tables, rich))
    return y.equals(y_rich)


def labels_on(data: rk.Monitoring, day: pd.Timestamp, horizon: int, rule: str = "at_horizon") -> pd.Series:
    index = pd.MultiIndex.from_product([data.household_ids, [day]], names=["household_id", "as_of_date"])
    return rk.outcome_labels(data, index, horizon_months=horizon, rule=rule)


@CASES
@given(SEEDS)
def test_the_training_half_of_a_backtest_does_not_change_when_later_news_changes(seed: int) -> None:
    other = rk.Monitoring(scrambled_from(stack(seed), DATES[2], seed))
    halves = [backtest_training(data) for data in (data_of(seed), other)]
    pd.testing.assert_frame_equal(*halves, check_exact=True)


def backtest_training(data: rk.Monitoring) -> pd.DataFrame:
    few = (Window("medical", "out_of_pocket", months=(3, 12), stats=("count", "sum")), rk.Latest("housing", "grade"))
    X, y, *_ = rk.backtest_sets(data, test_from=DATES[2], horizon_months=3, features=few)
    return X.assign(returned=y)


def test_features_of_the_simulator_do_not_change_when_records_not_yet_known_change() -> None:
    from riskml.datasets import make_monitoring

    day = pd.Timestamp("2022-07-01")
    for seed in range(3):
        data = make_monitoring(150, n_months=30, random_state=seed)
        again = rk.Monitoring(scrambled_from(dict(data.tables), day, seed))
        pd.testing.assert_frame_equal(rk.feature_table(data, [day]), rk.feature_table(again, [day]), check_exact=True)


def test_which_of_two_records_of_a_day_is_newest_does_not_hang_on_a_later_correction() -> None:
    tables = worlds.random_tables(0, n_households=4)
    bills = pd.DataFrame({"household_id": "1001", "date": DATES[0], "known_on": DATES[0], "record_id": ["a", "b"]})
    bills = bills.assign(out_of_pocket=[100.0, 50.0], withdrawn=0.0)
    corrected = pd.concat([bills, bills.iloc[:1].assign(known_on=DATES[2])])
    newest = (Window("medical", "out_of_pocket", stats=("last",)),)
    X, X_corrected = (
        rk.feature_table(rk.Monitoring({**tables, "medical": medical}), [DATES[1]], features=newest)
        for medical in (bills, corrected)
    )
    assert X.loc["1001"].notna().all(axis=None)
    pd.testing.assert_frame_equal(X, X_corrected)


def test_a_household_that_moves_keeps_the_disasters_of_where_it_lived() -> None:
    tables = worlds.random_tables(0, n_households=4)
    moved = {"household_id": "1001", "area_id": "521", "known_on": DATES[1], "withdrawn": 0.0}
    stayed = tables["households"].drop_duplicates("household_id").assign(area_id="520")
    floods = pd.DataFrame({"household_id": "", "area_id": ["520", "521"], "record_id": ["old home", "new home"]})
    floods = floods.assign(date=DATES[0], known_on=DATES[0], kind="flood", withdrawn=0.0)
    # The loss in the old home is corrected after the move: who was hit stays the same.
    floods = pd.concat([floods, floods.iloc[:1].assign(known_on=DATES[2])])
    households = pd.concat([stayed, pd.DataFrame([moved])])
    versions = rk.Monitoring({**tables, "households": households, "disasters": floods}).versions("disasters")
    assert set(versions.loc[versions["household_id"] == "1001", "record_id"]) == {"old home"}
    assert (versions["household_id"] == "1001").sum() == 2


def test_every_window_statistic_has_a_name_in_both_languages() -> None:
    from riskml.features.declarations import _STAT_LABELS

    assert set(_STAT_LABELS) >= set(windows.EVENT_STATS) | set(windows.SPELL_STATS)
