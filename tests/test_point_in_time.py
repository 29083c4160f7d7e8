"""No look-ahead: what was not yet known changes nothing; and the faults that would let it in are caught."""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml import panel, records, windows
from riskml.contract import TABLES

DATES = [pd.Timestamp("2020-11-01"), pd.Timestamp("2021-03-31"), pd.Timestamp("2022-02-01")]
CASES = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Tables = dict[str, pd.DataFrame]


def scrambled_from(tables: Tables, day: pd.Timestamp, seed: int) -> Tables:
    """Return tables in which every version known on or after ``day`` is dropped or has other values."""
    rng = np.random.default_rng(seed)
    out = {}
    for name, frame in tables.items():
        frame = frame.copy()
        if "end_known_on" in frame:
            late = frame["end_known_on"] >= day
            # An end that is learned later may turn out to be another.
            frame.loc[late, "end"] = frame.loc[late, "start"] + np.timedelta64(int(rng.integers(0, 900)), "D")
        if name != "lines":
            later = (frame["known_on"] >= day).to_numpy()
            dropped = later & (rng.random(len(frame)) < 0.5)
            if name == "households":
                dropped &= frame["household_id"].duplicated(keep="first").to_numpy()
            kinds = {
                c.name: c.kind for c in TABLES[name].columns if c.name in frame and c.name not in ("months", "units")
            }
            for column, kind in kinds.items():
                if kind == "amount" or column == "price_change":
                    other = frame[column] * rng.choice([1.0, 2.0, 3.0], len(frame))
                elif kind == "flag":
                    other = rng.integers(0, 2, len(frame)).astype(float)
                else:
                    continue
                frame[column] = frame[column].where(~later, other)
            frame = frame[~dropped]
        out[name] = frame
    return out


def features_on(tables: Tables, day: pd.Timestamp) -> pd.DataFrame:
    return rk.feature_table(rk.Monitoring(tables), [day])


@CASES
@given(st.integers(0, 10_000), st.sampled_from(DATES))
def test_features_do_not_change_when_records_not_yet_known_change(seed: int, day: pd.Timestamp) -> None:
    tables = worlds.random_tables(seed, n_households=5)
    pd.testing.assert_frame_equal(
        features_on(tables, day), features_on(scrambled_from(tables, day, seed), day), check_exact=True
    )


@CASES
@given(st.integers(0, 10_000), st.sampled_from(DATES))
def test_features_are_those_of_the_data_as_they_were_that_day(seed: int, day: pd.Timestamp) -> None:
    data = rk.Monitoring(worlds.random_tables(seed, n_households=5))
    pd.testing.assert_frame_equal(
        rk.feature_table(data, [day]), rk.feature_table(data.known_by(day), [day]), check_exact=True
    )


@CASES
@given(st.integers(0, 10_000))
def test_a_late_record_changes_features_only_from_the_day_after_it_was_known(seed: int) -> None:
    tables = worlds.random_tables(seed, n_households=4)
    known = pd.Timestamp("2021-09-10")
    bill = {
        "household_id": "1000", "date": pd.Timestamp("2021-06-10"), "known_on": known, "record_id": "late",
        "cost": 9e5, "out_of_pocket": 8e5, "serious": 1.0, "withdrawn": 0.0,
    }  # fmt: skip
    late = {**tables, "medical": pd.concat([tables["medical"], pd.DataFrame([bill])], ignore_index=True)}
    before, on_the_day, after = known - pd.Timedelta(days=1), known, known + pd.Timedelta(days=1)
    X, X_late = (rk.feature_table(rk.Monitoring(t), [before, on_the_day, after]) for t in (tables, late))
    changed = (X.fillna(-1) != X_late.fillna(-1)).any(axis=1)
    assert set(changed[changed].index) <= {("1000", after)}
    if ("1000", after) in X.index:
        assert changed["1000", after]


@CASES
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_moving_all_dates_by_whole_calendar_cycles_changes_nothing(seed: int, cycles: int) -> None:
    tables = worlds.random_tables(seed, n_households=4)
    shift = pd.Timedelta(days=1461 * cycles)  # four years: the calendar repeats
    moved = {
        name: frame.assign(**{c: frame[c] + shift for c in frame.columns if frame[c].dtype.kind == "M"})
        for name, frame in tables.items()
    }
    X = rk.feature_table(rk.Monitoring(tables), DATES)
    X_moved = rk.feature_table(rk.Monitoring(moved), [day + shift for day in DATES])
    np.testing.assert_array_equal(X.to_numpy(), X_moved.to_numpy())


@CASES
@given(st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    tables = worlds.random_tables(seed, n_households=5)
    mixed = {name: frame.sample(frac=1, random_state=seed) for name, frame in tables.items()}
    X, X_mixed = (rk.feature_table(rk.Monitoring(t), DATES) for t in (tables, mixed))
    pd.testing.assert_frame_equal(X, X_mixed, check_exact=True)


@CASES
@given(st.integers(0, 10_000))
def test_an_area_alone_agrees_bit_for_bit_with_all_areas(seed: int) -> None:
    tables = worlds.random_tables(seed, n_households=6)
    X = rk.feature_table(rk.Monitoring(tables), DATES)
    area = tables["households"].drop_duplicates("household_id").set_index("household_id")["area_id"]
    alone = set(area.index[area == "520"])
    part = {
        name: frame if name == "lines" else frame[frame["household_id"].isin(alone | {""})]
        for name, frame in tables.items()
    }
    X_alone = rk.feature_table(rk.Monitoring(part), DATES)
    pd.testing.assert_frame_equal(X[X.index.get_level_values(0).isin(alone)], X_alone, check_exact=True)


@CASES
@given(st.integers(0, 10_000))
def test_many_dates_at_once_agree_bit_for_bit_with_one_at_a_time(seed: int) -> None:
    data = rk.Monitoring(worlds.random_tables(seed, n_households=5))
    X = rk.feature_table(data, DATES)
    alone = pd.concat([rk.feature_table(data, [day]) for day in DATES]).sort_index()
    pd.testing.assert_frame_equal(X, alone, check_exact=True)


@CASES
@given(st.integers(0, 10_000), st.sampled_from(["at_horizon", "any"]))
def test_labels_do_not_change_when_records_before_the_as_of_date_change(seed: int, rule: str) -> None:
    tables = worlds.random_tables(seed, n_households=5)
    data = rk.Monitoring(tables)
    day = DATES[0]
    index = rk.feature_table(data, [day]).index
    before = tables["incomes"]["date"] < day
    changed = tables["incomes"].assign(wage=tables["incomes"]["wage"].where(~before, 1e7))
    y, y_changed = (
        rk.outcome_labels(d, index, horizon_months=12, rule=rule)
        for d in (data, rk.Monitoring({**tables, "incomes": changed}))
    )
    pd.testing.assert_series_equal(y, y_changed)


def test_features_of_the_simulator_do_not_change_when_records_not_yet_known_change() -> None:
    for seed in range(3):
        from riskml.datasets import make_monitoring

        data = make_monitoring(150, n_months=30, random_state=seed)
        day = pd.Timestamp("2022-07-01")
        tables = {name: frame.copy() for name, frame in data.tables.items()}
        again = rk.Monitoring(scrambled_from(tables, day, seed))
        pd.testing.assert_frame_equal(rk.feature_table(data, [day]), rk.feature_table(again, [day]), check_exact=True)


# --- planted faults -------------------------------------------------------------------------------------------------

#: Name of the fault: (module, right text, wrong text). Each must be caught by one of the checks below.
FAULTS = {
    "the event's date instead of the day it was known": (
        "records", 'known=windows.days(frame["known_on"])', 'known=windows.days(frame["start"] if "start" in frame else frame["date"])',
    ),
    "known on the day itself counts": ("windows", "return known < day and superseded >= day", "return known <= day and superseded >= day"),
    "a correction applies before it was known": ("windows", "return known < day and superseded >= day", "return known < day and superseded == NEVER"),
    "a replaced version still counts": ("windows", "return known < day and superseded >= day", "return known < day"),
    "the window is a day too long": ("windows", "date[seen[position]] >= first", "date[seen[position]] >= first - 1"),
    "the window is a day too short": ("windows", "date[seen[position]] >= first", "date[seen[position]] > first"),
    "the newest record is joined whenever it was known": ("windows", "if date[record] >= day or not _visible(known[record], superseded[record], day):", "if date[record] >= day:"),
    "ends of spells are seen before they were known": ("windows", "if np.isnan(value) or not _visible(known[record], superseded[record], day):", "if np.isnan(value) or (not _visible(known[record], superseded[record], day) and end[record] == NEVER):"),
    "people who are not yet known count": ("windows", "if not _visible(known[record], superseded[record], day):\n                    continue\n                value = values[record, column]\n                age", "value = values[record, column]\n                age"),
    "neighbours include the household itself": ("records", "minlength=group.max(initial=0) + 1)[group] - counts", "minlength=group.max(initial=0) + 1)[group]"),
    "neighbours are seen a year ahead": ("records", "now = welfare_on(data, *everyone, as_of_dates)", "now = welfare_on(data, *everyone, as_of_dates + pd.DateOffset(months=12))"),
    "welfare of long ago passes for today's": ("windows", "if date[newest] < oldest[as_of[row]] or date[record]", "if date[record]"),
    "the label looks back before the as-of date": ("panel", "else start[row], as_of_day[row])", "else start[row] - 400, as_of_day[row] - 400)"),
    "the label's horizon begins a year early": ("panel", "end = as_of + pd.DateOffset(months=horizon_months)", "end = as_of"),
}  # fmt: skip


def _mutated(module: str, right: str, wrong: str):  # type: ignore[no-untyped-def]
    """Return the module with one text replaced, its kernels as plain Python."""
    path = Path(sys.modules[f"riskml.{module}"].__file__ or "")
    source = path.read_text(encoding="utf-8")
    assert right in source, f"the right text of this fault is no longer in {path.name}: {right}"
    source = source.replace(right, wrong)
    source = source.replace("from numba import njit", "def njit(**options):\n    return lambda function: function")
    spec = importlib.util.spec_from_loader(f"mutated_{module}", loader=None)
    assert spec is not None
    mutant = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = mutant
    exec(compile(source, f"mutated {path.name}", "exec"), mutant.__dict__)
    return mutant


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def planted(name: str) -> None:
        module, right, wrong = FAULTS[name]
        mutant = _mutated(module, right, wrong)
        if module == "windows":
            monkeypatch.setattr(records, "windows", mutant)
            monkeypatch.setattr(panel, "windows", mutant)
        elif module == "records":
            for function in ("compute", "available", "welfare_on", "household_version"):
                monkeypatch.setattr(panel, function, getattr(mutant, function))
        else:
            monkeypatch.setattr(rk, "outcome_labels", mutant.outcome_labels, raising=False)

    return planted


def caught() -> bool:
    """Return whether one of the checks of this file, run on a few small worlds, finds a difference."""
    for seed in range(3):
        tables = worlds.random_tables(seed, n_households=6, rate=12)
        for day in DATES[1:]:
            X = features_on(tables, day)
            if not X.equals(features_on(scrambled_from(tables, day, seed), day)):
                return True
            if not _as_reference(tables, X):
                return True
        data = rk.Monitoring(tables)
        if not _labels_are_right(data) or not _labels_look_ahead_only(tables):
            return True
    return False


def _as_reference(tables: Tables, X: pd.DataFrame) -> bool:
    """Compare a few features whose definition is short enough to write down here."""
    for (household, day), row in X.iterrows():
        bills = tables["medical"]
        bills = bills[(bills["household_id"] == household) & (bills["known_on"] < day)].sort_values("known_on")
        bills = bills.drop_duplicates("record_id", keep="last")
        bills = bills[(bills["withdrawn"] == 0) & (bills["date"] >= day - pd.DateOffset(months=12))]
        if row["medical_out_of_pocket_count_12m"] != bills["out_of_pocket"].notna().sum():
            return False
        incomes = tables["incomes"]
        incomes = incomes[(incomes["household_id"] == household) & (incomes["known_on"] < day)]
        if incomes["date"].max() < day - pd.DateOffset(months=12):
            return False
    data = rk.Monitoring(tables)
    everyone = rk.cohort(data, X.index.get_level_values(1).unique())
    below = records.welfare_on(
        data,
        np.arange(len(data.household_ids)),
        np.zeros(len(data.household_ids), dtype=np.int64),
        pd.DatetimeIndex([X.index[0][1]]) if len(X) else pd.DatetimeIndex([DATES[1]]),
    )[:, 0]
    area = data.area_of(data.household_ids)
    registered = tables["households"].groupby("household_id")["known_on"].min()
    for (household, day), row in X.iterrows():
        others = [
            float(welfare < 1)
            for other, where, welfare in zip(data.household_ids, area, below, strict=True)
            if other != household
            and where == everyone.loc[(household, day), "area_id"]
            and not np.isnan(welfare)
            and registered[other] < day
        ]
        expected = np.mean(others) if others else np.nan
        if not np.isclose(row["neighbours_below_line"], expected, equal_nan=True):
            return False
    return True


def _labels_are_right(data: rk.Monitoring) -> bool:
    index = pd.MultiIndex.from_product([data.household_ids, [DATES[0]]], names=["household_id", "as_of_date"])
    y = rk.outcome_labels(data, index, horizon_months=12)
    frame = records.welfare_records(data)
    frame = frame[
        frame["superseded_on"].isna()
        & (frame["date"] >= DATES[0])
        & (frame["date"] < DATES[0] + pd.DateOffset(months=12))
    ]
    means = frame.groupby("household_id")["welfare"].mean()
    expected = (means < 1).astype(float).reindex(data.household_ids)
    observed = y.notna().to_numpy()
    return observed.any() and (y.to_numpy()[observed] == expected.to_numpy()[observed]).all()


def _labels_look_ahead_only(tables: Tables) -> bool:
    y = []
    for wage in (0.0, 1e7):
        before = tables["incomes"]["date"] < DATES[1]
        changed = tables["incomes"].assign(wage=tables["incomes"]["wage"].where(~before, wage))
        data = rk.Monitoring({**tables, "incomes": changed})
        index = pd.MultiIndex.from_product([data.household_ids, [DATES[1]]], names=["household_id", "as_of_date"])
        y.append(rk.outcome_labels(data, index, horizon_months=12))
    return y[0].equals(y[1])


def test_without_a_fault_nothing_is_caught() -> None:
    assert not caught()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, plant: Callable[[str], None]) -> None:
    plant(fault)
    assert caught()


def test_every_window_statistic_has_a_name_in_both_languages() -> None:
    from riskml.features import _STAT_LABELS

    assert set(_STAT_LABELS) >= set(windows.EVENT_STATS) | set(windows.SPELL_STATS)
