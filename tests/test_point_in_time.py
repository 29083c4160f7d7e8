"""No look-ahead: what was not yet known changes nothing; and the faults that would let it in are caught."""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import reference
import worlds
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml.features import windows
from riskml.features.declarations import Feature, Latest, Neighbours, Newest, Roster, Spell, Window, expand
from riskml.tables.contract import TABLES

DATES = [pd.Timestamp("2020-11-01"), pd.Timestamp("2021-03-31"), pd.Timestamp("2022-02-01")]
#: RISKML_EXAMPLES=300 looks harder than the usual run.
CASES = settings(max_examples=int(os.environ.get("RISKML_EXAMPLES", "15")), deadline=None)
SEEDS = st.integers(0, 100_000)
Tables = dict[str, pd.DataFrame]


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


def features_on(tables: Tables, *days: pd.Timestamp) -> pd.DataFrame:
    return rk.feature_table(rk.Monitoring(tables), days)


def of_households(tables: Tables, household_ids: set[str]) -> Tables:
    """Return the tables of some households only, with the lines and the disasters of areas."""
    return {
        name: frame if name == "lines" else frame[frame["household_id"].isin(household_ids | {""})]
        for name, frame in tables.items()
    }


@CASES
@given(SEEDS, st.sampled_from(DATES))
def test_features_do_not_change_when_records_not_yet_known_change(seed: int, day: pd.Timestamp) -> None:
    tables = worlds.random_tables(seed, n_households=6)
    scrambled = scrambled_from(tables, day, seed)
    pd.testing.assert_frame_equal(features_on(tables, day), features_on(scrambled, day), check_exact=True)
    cohorts = [rk.cohort(rk.Monitoring(t), [day]) for t in (tables, scrambled)]
    pd.testing.assert_frame_equal(*cohorts, check_exact=True)


@CASES
@given(SEEDS, st.sampled_from(DATES))
def test_features_are_those_of_the_data_as_they_were_that_day(seed: int, day: pd.Timestamp) -> None:
    data = rk.Monitoring(worlds.random_tables(seed, n_households=6))
    pd.testing.assert_frame_equal(
        rk.feature_table(data, [day]), rk.feature_table(data.known_by(day), [day]), check_exact=True
    )


@CASES
@given(SEEDS, st.sampled_from(DATES), st.integers(0, 40))
def test_a_late_record_changes_features_only_from_the_day_after_it_was_known(
    seed: int, day: pd.Timestamp, days: int
) -> None:
    tables = worlds.random_tables(seed, n_households=4)
    known = day + pd.Timedelta(days=days)
    bill = {
        "household_id": "1001", "date": known - pd.Timedelta(days=100), "known_on": known, "record_id": "late",
        "cost": 9e5, "out_of_pocket": 8e5, "serious": 1.0, "withdrawn": 0.0,
    }  # fmt: skip
    late = {**tables, "medical": pd.concat([tables["medical"], pd.DataFrame([bill])], ignore_index=True)}
    after = known + pd.Timedelta(days=1)
    X, X_late = (features_on(t, known - pd.Timedelta(days=1), known, after) for t in (tables, late))
    changed = (X.fillna(-1) != X_late.fillna(-1)).any(axis=1)
    assert set(changed[changed].index) == {("1001", after)} & set(X.index)


@CASES
@given(SEEDS, st.integers(1, 12))
def test_moving_all_dates_by_whole_calendar_cycles_changes_nothing(seed: int, cycles: int) -> None:
    tables = worlds.random_tables(seed, n_households=4)
    shift = pd.Timedelta(days=1461 * cycles)  # four years: the calendar repeats
    moved = {
        name: frame.assign(**{c: frame[c] + shift for c in frame.columns if frame[c].dtype.kind == "M"})
        for name, frame in tables.items()
    }
    X, X_moved = features_on(tables, *DATES), features_on(moved, *(day + shift for day in DATES))
    np.testing.assert_array_equal(X.to_numpy(), X_moved.to_numpy())


@CASES
@given(SEEDS)
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    tables = worlds.random_tables(seed, n_households=6)
    mixed = {name: frame.sample(frac=1, random_state=seed) for name, frame in tables.items()}
    X, X_mixed = (features_on(t, *DATES) for t in (tables, mixed))
    pd.testing.assert_frame_equal(X, X_mixed, check_exact=True)


@CASES
@given(SEEDS)
def test_an_area_alone_agrees_bit_for_bit_with_all_areas(seed: int) -> None:
    tables = worlds.random_tables(seed, n_households=6)
    households = tables["households"]
    county = set(households.loc[households["area_id"].str.startswith("52"), "household_id"])
    X, X_county = (features_on(t, *DATES) for t in (tables, of_households(tables, county)))
    pd.testing.assert_frame_equal(X[X.index.get_level_values(0).isin(county)], X_county, check_exact=True)


@CASES
@given(SEEDS)
def test_a_household_alone_agrees_bit_for_bit_but_for_its_neighbours(seed: int) -> None:
    tables = worlds.random_tables(seed, n_households=6)
    X = features_on(tables, *DATES)
    own = [feature.name for feature in expand(rk.STANDARD) if feature.name in X and not _needs_others(feature)]
    for household in X.index.unique(0)[:2]:
        alone = features_on(of_households(tables, {household}), *DATES)
        pd.testing.assert_frame_equal(X.loc[[household], own], alone[own], check_exact=True)


def _needs_others(feature: Feature) -> bool:
    declared = {f.name: f for f in expand(rk.STANDARD)}
    return feature.kernel == "neighbours" or any(_needs_others(declared[name]) for name in feature.inputs)


@CASES
@given(SEEDS)
def test_training_and_scoring_agree_bit_for_bit_on_the_same_date(seed: int) -> None:
    data = rk.Monitoring(worlds.random_tables(seed, n_households=5))
    X = rk.feature_table(data, DATES)
    alone = pd.concat([rk.feature_table(data, [day]) for day in DATES]).sort_index()
    pd.testing.assert_frame_equal(X, alone, check_exact=True)
    X_train, y = rk.training_set(data, DATES, horizon_months=6)
    pd.testing.assert_frame_equal(X_train, X.loc[y.index], check_exact=True)


@CASES
@given(SEEDS, st.sampled_from(["at_horizon", "any"]))
def test_labels_do_not_change_when_records_before_the_as_of_date_change(seed: int, rule: str) -> None:
    tables = worlds.random_tables(seed, n_households=5)
    assert labels_look_ahead_only(tables, rule)


def labels_look_ahead_only(tables: Tables, rule: str) -> bool:
    before = tables["incomes"]["date"] < DATES[1]
    rich = {**tables, "incomes": tables["incomes"].assign(wage=tables["incomes"]["wage"].where(~before, 1e7))}
    y, y_rich = (labels_on(rk.Monitoring(t), DATES[1], 12, rule) for t in (tables, rich))
    return y.equals(y_rich)


@CASES
@given(SEEDS)
def test_the_training_half_of_a_backtest_does_not_change_when_later_news_changes(seed: int) -> None:
    tables = worlds.random_tables(seed, n_households=6)
    try:
        halves = [backtest_training(rk.Monitoring(t)) for t in (tables, scrambled_from(tables, DATES[2], seed))]
    except ValueError as error:
        assume("as-of date to" not in str(error) and "too short" not in str(error))
        raise
    pd.testing.assert_frame_equal(*halves, check_exact=True)


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


# --- planted faults -------------------------------------------------------------------------------------------------

#: Name of the fault: (module, right text, wrong text). Each must be caught by one of the checks below.
FAULTS = {
    "the event's date instead of the day it was known": (
        "features.records", 'known=windows.days(frame["known_on"])', 'known=windows.days(frame["start"] if "start" in frame else frame["date"])',
    ),
    "known on the day itself counts": ("features.windows", "return known < day and superseded >= day", "return known <= day and superseded >= day"),
    "what was known on the day before does not count": ("features.windows", "return known < day and superseded >= day", "return known < day - 1 and superseded >= day - 1"),
    "a correction applies before it was known": ("features.windows", "return known < day and superseded >= day", "return known < day and superseded == NEVER"),
    "a correction applies a day early": ("features.windows", "return known < day and superseded >= day", "return known < day and superseded > day"),
    "a correction applies a day late": ("features.windows", "return known < day and superseded >= day", "return known < day and superseded >= day - 1"),
    "a replaced version still counts": ("features.windows", "return known < day and superseded >= day", "return known < day"),
    "a withdrawn record still counts": ("tables.monitoring", '[~(frame["withdrawn"] == 1)]', ""),
    "the window is a day too long": ("features.windows", "date[seen[position]] >= first", "date[seen[position]] >= first - 1"),
    "the window is a day too short": ("features.windows", "date[seen[position]] >= first", "date[seen[position]] > first"),
    "the newest record is joined whenever it was known": ("features.windows", "if date[record] >= day or not _visible(known[record], superseded[record], day):", "if date[record] >= day:"),
    "of records of one day a later correction decides which is newest": ("features.windows", "if not ahead.all():\n        order = np.lexsort((known,", "if True:\n        order = np.lexsort((-superseded.astype(np.int64), known,"),
    "the end of a spell is used before it was known": ("tables.monitoring", 'end=versions["end"].mask(late)', 'end=versions["end"]'),
    "an end learned later is not known to the data of that day": ("tables.monitoring", 'rows["end"].mask(later)', 'rows["end"]'),
    "a spell that ended on the day before still runs": ("features.windows", "active = start[record] <= day and end[record] >= day", "active = start[record] <= day and end[record] >= day - 1"),
    "people who are not yet known count": ("features.windows", "if not _visible(known[record], superseded[record], day):\n                    continue\n                value = values[record, column]\n                age", "value = values[record, column]\n                age"),
    "people who come later count": ("features.windows", "elif start[record] <= day and end[record] > day:", "elif end[record] > day:"),
    "the registry's newest version is used for every date": ("features.windows", "if _visible(known[record], superseded[record], day):\n                out[row] = record", "out[row] = record"),
    "disasters follow households to where they move later": ("tables.monitoring", '& ~(lived["next_known"] <= told)', '& lived["next_known"].isna()'),
    "a line of a later date": ("tables.lines", 'line_amounts(data.tables["lines"], area, day, known_by=known_on', 'line_amounts(data.tables["lines"], area, known_on, known_by=known_on'),
    "a line that was published later": ("tables.lines", " & (known_on[line] <= known_by[rows])", ""),
    "the line of the place they move to later": ("tables.lines", 'area = _households_known(data, household, known_on)["area_id"]', "area = data.area_of(household)"),
    "members who were entered later share an amount": ("tables.lines", "known_by=known_on.iloc[rest])\n    rest", "known_by=[data.extract_on] * len(rest))\n    rest"),
    "units that were stated later share an amount": ("tables.lines", "place = _last_known(records, household_id, known_by)", "place = _last_known(records, household_id, known_by + pd.Timedelta(days=400))"),
    "neighbours include the household itself": ("features.records", "minlength=group.max(initial=0) + 1)[group] - counts", "minlength=group.max(initial=0) + 1)[group]"),
    "neighbours are seen a year ahead": ("features.records", "now = welfare_on(data, *everyone, as_of_dates)", "now = welfare_on(data, *everyone, as_of_dates + pd.DateOffset(months=12))"),
    "neighbours are those of the place they move to later": ("features.records", 'codes, _ = pd.factorize(versions["area_id"], sort=True)', 'codes, _ = pd.factorize(data.area_of(versions["household_id"]), sort=True)'),
    "welfare of long ago passes for today's": ("features.windows", "if date[newest] < oldest[as_of[row]] or date[record]", "if date[record]"),
    "households that have left are still at risk": ("features.panel", "there &= left >= windows.days(dates)[as_of]", "there &= left < windows.NEVER + 1.0"),
    "the label looks back before the as-of date": ("features.panel", "else start[row], as_of_day[row])", "else start[row] - 400, as_of_day[row] - 400)"),
    "the label's horizon begins a year early": ("features.panel", "end = as_of + pd.DateOffset(months=horizon_months)", "end = as_of"),
    "the label holds the first versions of outcomes": ("features.panel", 'frame = frame[frame["superseded_on"].isna()]', 'frame = frame.drop_duplicates(["household_id", "date"])'),
    "a backtest trains on what was learned after it began": ("features.panel", "past = data.known_by(start)", "past = data"),
}  # fmt: skip


#: Features short enough to be compared with the plain-Python account of them.
FEW = (
    Window("medical", "out_of_pocket", months=(3, 12), stats=("count", "sum", "last")),
    Window("incomes", "wage", months=(12,), stats=("mean",)),
    Window("disasters", "loss", months=(12,), stats=("count", "sum")),
    Window("households", "lifted_on", months=(np.inf,), stats=("days_since",)),
    Latest("housing", "grade"),
    Spell("employment", "wage", stats=("active", "paid", "ended", "ending")),
    Spell("assistance", stats=("active", "ended")),
    Roster("people"),
    Newest("welfare", "welfare"),
    Neighbours("neighbours_below", "below"),
    Neighbours("neighbours_returned", "returned"),
)


def caught(n_worlds: int = 3) -> bool:
    """Return whether one of the checks of this file, run on a few small worlds, finds a difference."""
    raw = [worlds.random_tables(seed, n_households=12, rate=8) for seed in range(n_worlds)]
    told = [(tables, rk.Monitoring(tables), seed) for seed, tables in enumerate(raw)]
    return not all(check(*world) for check in CHECKS for world in told)


def _as_reference(tables: Tables, data: rk.Monitoring, seed: int) -> bool:
    rows = reference.as_dicts(tables)
    at_risk = reference.cohort(rows, DATES)
    X = rk.feature_table(data, DATES, features=FEW)
    if list(X.index) != list(at_risk) or list(rk.cohort(data, DATES)["area_id"]) != [
        row[0] for row in at_risk.values()
    ]:
        return False
    columns = {feature.name: feature for feature in expand(FEW)}
    return all(
        np.isclose(value, _reference_value(rows, columns[name], household, day), rtol=1e-9, equal_nan=True)
        for (household, day), row in X.iterrows()
        for name, value in row.items()
    )


def _as_if_later_news_were_other(tables: Tables, data: rk.Monitoring, seed: int) -> bool:
    other = rk.Monitoring(scrambled_from(tables, DATES[2], seed))
    return all(rk.feature_table(data, [day]).equals(rk.feature_table(other, [day])) for day in DATES[1:])


def _as_known_by_the_day(tables: Tables, data: rk.Monitoring, seed: int) -> bool:
    return all(rk.feature_table(data, [day]).equals(rk.feature_table(data.known_by(day), [day])) for day in DATES[1:])


def _backtest_as_if_later_news_were_other(tables: Tables, data: rk.Monitoring, seed: int) -> bool:
    other = scrambled_from(tables, DATES[2], seed)
    return backtest_training(data).equals(backtest_training(rk.Monitoring(other)))


def _reference_value(tables: dict, feature: Feature, household: str, day: pd.Timestamp) -> float:
    if feature.kernel == "newest":
        return reference.welfare_on(tables, household, day)
    if feature.kernel == "neighbours":
        return reference.neighbours(tables, household, day, feature.stat)
    return reference.feature_value(tables, feature, household, day)


def labels_on(data: rk.Monitoring, day: pd.Timestamp, horizon: int, rule: str = "at_horizon") -> pd.Series:
    index = pd.MultiIndex.from_product([data.household_ids, [day]], names=["household_id", "as_of_date"])
    return rk.outcome_labels(data, index, horizon_months=horizon, rule=rule)


def _labels_as_reference(tables: Tables, data: rk.Monitoring, seed: int) -> bool:
    rows = reference.as_dicts(tables)
    for horizon in (3, 12):
        y = pd.concat([labels_on(data, day, horizon) for day in DATES])
        expected = [reference.label(rows, household, day, horizon=horizon) for household, day in y.index]
        if not np.array_equal(y, expected, equal_nan=True):
            return False
    return True


def backtest_training(data: rk.Monitoring) -> pd.DataFrame:
    X, y, *_ = rk.backtest_sets(data, test_from=DATES[2], horizon_months=3, features=FEW[:3])
    return X.assign(returned=y)


CHECKS = (
    _as_reference,
    _labels_as_reference,
    _as_known_by_the_day,
    _as_if_later_news_were_other,
    _backtest_as_if_later_news_were_other,
    lambda tables, data, seed: labels_look_ahead_only(tables, "at_horizon"),
)


def test_without_a_fault_nothing_is_caught() -> None:
    assert not caught()


@pytest.mark.parametrize(
    "module", ["features.windows", "features.records", "features.panel", "tables.monitoring", "tables.lines"]
)
def test_planting_changes_nothing_but_the_fault(module: str, plant: Callable[[str, str, str], None]) -> None:
    plant(module, "def ", "def ")
    assert not caught(n_worlds=1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, plant: Callable[[str, str, str], None]) -> None:
    plant(*FAULTS[fault])
    assert caught()


def test_every_window_statistic_has_a_name_in_both_languages() -> None:
    from riskml.features.declarations import _STAT_LABELS

    assert set(_STAT_LABELS) >= set(windows.EVENT_STATS) | set(windows.SPELL_STATS)
