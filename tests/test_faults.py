"""Planted faults: every way to see too much that we could think of is put into the code, and must be caught.

A fault is a right text of a module and a wrong one in its place, run as plain Python. The checks are those of the property
tests and of the plain-Python reference, on a few small worlds; for what is learned from features, sums done by hand.
"""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import reference
import worlds
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_point_in_time import (
    DATES,
    FEATURES,
    Tables,
    backtest_training,
    labels_look_ahead_only,
    labels_on,
    scrambled_from,
)

import riskml as rk
from riskml.features import windows
from riskml.features.declarations import Feature, Latest, Neighbours, Newest, Roster, Spell, Window, expand
from riskml.findings import DataRefused
from riskml.model.calibration import Rows, calibrate
from riskml.skill import backtest
from riskml.skill.baselines import rivals

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
    "a withdrawn record still counts": ("tables.monitoring", "versions[~withdrawn] if withdrawn.any() else versions", "versions"),
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
    "a line of a later date": ("tables.lines", '_lines_on(data._cache["lines", kind], area, day, known_on', '_lines_on(data._cache["lines", kind], area, known_on, known_on'),
    "a line that was published later": ("tables.lines", " and known_on[line] <= known_by[i]", ""),
    "the line of the place they move to later": ("tables.lines", "_households_known(data, household, known_on)]", "_households_known(data, household, known_on + 10**4)]"),
    "members who were entered later share an amount": ("tables.lines", "_members_on(data, household[rest], day[rest], known_on[rest])", "_members_on(data, household[rest], day[rest], known_on[rest] + 10**4)"),
    "units that were stated later share an amount": ("tables.lines", "place = _last_known(_offsets(data, owner), known_on, household, known_by)", "place = _last_known(_offsets(data, owner), known_on, household, known_by + 400)"),
    "neighbours include the household itself": ("features.records", "minlength=group.max(initial=0) + 1)[group] - counts", "minlength=group.max(initial=0) + 1)[group]"),
    "neighbours are seen a year ahead": ("features.records", "now = welfare_on(data, *everyone, as_of_dates)", "now = welfare_on(data, *everyone, as_of_dates + pd.DateOffset(months=12))"),
    "neighbours are those of the place they move to later": ("features.records", 'codes, _ = pd.factorize(versions["area_id"], sort=True)', 'codes, _ = pd.factorize(data.area_of(versions["household_id"]), sort=True)'),
    "welfare of long ago passes for today's": ("features.windows", "if date[newest] < oldest[as_of[row]] or date[record]", "if date[record]"),
    "households that have left are still at risk": ("features.panel", "there &= left >= windows.days(dates)[as_of]", "there &= left < windows.NEVER + 1.0"),
    "the label looks back before the as-of date": ("features.outcomes", "else start[row], as_of_day[row])", "else start[row] - 400, as_of_day[row] - 400)"),
    "the label's horizon begins a year early": ("features.outcomes", "return household, as_of, as_of + pd.DateOffset(months=horizon_months)", "return household, as_of, as_of"),
    "the label holds the first versions of outcomes": ("features.outcomes", 'frame = frame[frame["superseded_on"].isna()]', 'frame = frame.drop_duplicates(["household_id", "date"])'),
    "a household seen for half of the horizon counts as safe": ("features.outcomes", "np.where(np.isnan(lowest) | ~enough, np.nan, 0.0)", "np.where(np.isnan(lowest), np.nan, 0.0)"),
    "months that two records share count twice": ("features.outcomes", "min(date[newest] + 1, reached)", "date[newest] + 31"),
    "a backtest trains on what was learned after it began": ("features.panel", "past = data.known_by(start)", "past = data"),
    "the latest snapshot is joined whenever it was known": ("features.windows", "if date[record] < day and _visible(known[record], superseded[record], day):", "if superseded[record] == NEVER:"),
    "the window reaches into that of the label": ("features.records", "rows = household, as_of, windows.days(as_of_dates)", "rows = household, as_of, windows.days(as_of_dates + pd.DateOffset(months=3))"),
    "people stay with the household they were entered under by mistake": ("tables.monitoring", "known_on[rows[1:][replaced]]", 'np.where(frame["withdrawn"].to_numpy()[rows[1:][replaced]] == 1, np.datetime64("NaT"), known_on[rows[1:][replaced]])'),
    "a record that was withdrawn never comes back": ("tables.monitoring", 'withdrawn = versions["withdrawn"] == 1\n', 'withdrawn = (versions["withdrawn"] == 1).groupby(record_codes(table, frame)).transform("max").astype(bool)\n'),
    "moments lose the digits of large amounts": ("features.windows", "base = value", "base = 0.0"),
    "a plain function is shown what was entered on the day itself": ("features.known", 'there = (versions["known_on"] < as_of_date)', 'there = (versions["known_on"] <= as_of_date)'),
    "a plain function is shown corrections made later": ("features.known", '& ~(versions["superseded_on"] < as_of_date)', '& versions["superseded_on"].isna()'),
    "a plain function is told which versions will be replaced": ("features.known", 'drop(columns="superseded_on")', "drop(columns=[])"),
    "a plain function is shown households that are registered later": ("features.known", 'there &= registered.get_indexer(pd.Index(versions["household_id"])) >= 0', "pass"),
    "a table overwritten in place answers for the day of its extract": ("tables.history", "if day <= data.extract_on", "if day < data.extract_on"),
    "a table overwritten in place is known as early as its dates": ("tables.history", "filled[name] = frame.assign(known_on=extract_on)", 'filled[name] = frame.assign(known_on=frame["start"])'),
    "an end that was filled in later is known with its row": ("tables.history", 'frame["end_known_on"] = later["end"].where(later["end"] > known_on)', "pass"),
}  # fmt: skip

#: The same for what is learned from features.
FAULTS_OF_LEARNING = {
    "the scaler is fitted on the rows that are scored": ("skill.baselines", "StandardScaler(), last)", "__import__('sklearn').preprocessing.FunctionTransformer(lambda X: (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)), last)"),
    "medians for missing values come from the rows that are scored": ("skill.baselines", 'SimpleImputer(strategy="median", keep_empty_features=True)', "__import__('sklearn').preprocessing.FunctionTransformer(lambda X: X.fillna(X.median()).fillna(0))"),
    "rivals are fitted on all rows": ("skill.backtest", "_scores(model, X_train, y_train, X_test)\n", "_scores(model, pd.concat([X_train, X_test]), pd.concat([y_train, y_test]), X_test)\n"),
    "training outcomes lie inside the test window": ("features.split", "train = np.flatnonzero(dates + pd.DateOffset(months=self.horizon_months) <= block[0])", "train = np.flatnonzero(dates < block[0])"),
    "a split leaves no horizon before the test": ("features.split", "train = np.asarray(dates + pd.DateOffset(months=horizon_months) <= start)", "train = np.asarray(dates < start)"),
    "the calibration looks at rows the trees have seen": ("model.calibration", "train(rows.take(past))(rows.X[block])", "train(rows)(rows.X[block])"),
    "the calibration learns from outcomes of the block it is judged on": ("model.calibration", "TemporalSplit(n_blocks, horizon_months=horizon_months).split", "TemporalSplit(n_blocks, horizon_months=0).split"),
    "a household is on both sides of a fold of the calibration": ("model.calibration", "household = np.arange(len(rows.y)) if rows.household is None else rows.household", "household = np.arange(len(rows.y))"),
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


def everybody_seen(known: Tables, as_of_date: pd.Timestamp) -> pd.Series:
    """Count the records a plain function is shown, for whoever they are."""
    return pd.Series(float(sum(map(len, known.values()))), index=known["households"]["household_id"].unique())


ALL = (*FEW, FEATURES[-1], rk.Custom("everybody_seen", everybody_seen, tables=("households", "disasters")))


@functools.cache
def world() -> Tables:
    return worlds.random_tables(3, n_households=12, n_worlds=4, rate=8)


@functools.cache
def told() -> reference.Told:
    return reference.as_dicts(world())


@functools.cache
def other_news() -> Tables:
    """Return the world with other news from the last date on."""
    return scrambled_from(world(), DATES[2], 3)


# What the plain-Python account says is the same whatever is planted.
_reference_cohort = functools.cache(lambda: reference.cohort(told(), DATES))


@functools.cache
def _reference_label(household: str, day: pd.Timestamp, horizon: int, rule: str) -> float:
    return reference.label(told(), household, day, horizon=horizon, rule=rule)


def caught() -> bool:
    """Return whether a check finds something wrong, on four small worlds."""
    data = rk.Monitoring(world())
    return not all(check(data) for check in CHECKS)


def _as_reference(data: rk.Monitoring) -> bool:
    at_risk = _reference_cohort()
    X = rk.feature_table(data, DATES, features=FEW)
    areas = [row[0] for row in at_risk.values()]
    if list(X.index) != list(at_risk) or list(rk.cohort(data, DATES)["area_id"]) != areas:
        return False
    columns = {feature.name: feature for feature in expand(FEW)}
    return all(
        np.isclose(value, _reference_value(columns[name], household, day), rtol=1e-9, equal_nan=True)
        for (household, day), row in X.iterrows()
        for name, value in row.items()
    )


@functools.cache
def _reference_value(feature: Feature, household: str, day: pd.Timestamp) -> float:
    if feature.kernel == "newest":
        return reference.welfare_on(told(), household, day)
    if feature.kernel == "neighbours":
        return reference.neighbours(told(), household, day, feature.stat)
    return reference.feature_value(told(), feature, household, day)


def _labels_as_reference(data: rk.Monitoring) -> bool:
    for horizon in (3, 12):
        for rule in ("at_horizon", "any"):
            y = pd.concat([labels_on(data, day, horizon, rule) for day in DATES])
            expected = [_reference_label(household, day, horizon, rule) for household, day in y.index]
            if not np.array_equal(y, expected, equal_nan=True):
                return False
    return True


def _as_known_by_the_day(data: rk.Monitoring) -> bool:
    return all(features(data, day).equals(features(data.known_by(day), day)) for day in DATES[1:])


def _as_if_later_news_were_other(data: rk.Monitoring) -> bool:
    other = rk.Monitoring(other_news())
    return all(features(data, day).equals(features(other, day)) for day in DATES[1:])


def features(data: rk.Monitoring, day: pd.Timestamp) -> pd.DataFrame:
    return rk.feature_table(data, [day], features=ALL)


def _backtest_as_if_later_news_were_other(data: rk.Monitoring) -> bool:
    other = rk.Monitoring(other_news())
    return backtest_training(data).equals(backtest_training(other))


def _labels_look_ahead_only(data: rk.Monitoring) -> bool:
    return labels_look_ahead_only(world(), "at_horizon")


def _large_amounts_keep_their_digits(data: rk.Monitoring) -> bool:
    day, n = np.arange(18_000, 18_100, 10, dtype=np.int32), 10
    values = 1e12 + np.sqrt(np.arange(10.0))
    records = windows.arrange(
        np.zeros(n, np.int64), 1, date=day, known=day, superseded=np.full(n, windows.NEVER), values=values[:, None]
    )  # fmt: skip
    request, found = np.array([(0, 0, windows.EVENT_STATS.index("std"), 0)]), np.empty((1, 1), order="F")
    row, first = np.zeros(1, np.int64), np.array([[windows.ALWAYS]], np.int32)
    windows.event_statistics(records, row, row, np.array([18_200], np.int32), first, request, found)
    return bool(np.isclose(found[0, 0], np.std(values - 1e12, ddof=1), rtol=1e-9))


EXTRACT = pd.Timestamp("2022-12-31")


def _tables_without_history_are_as_their_history(data: rk.Monitoring) -> bool:
    """Jobs and their ends entered twenty days late: refused without an assumption, equal to the truth with the true one."""
    history = worlds.entered_after(20, world(), EXTRACT)
    jobs = history["employment"].drop(columns=["known_on", "end_known_on"])
    given = {"extract_on": EXTRACT, "overwritten": ("employment",)}
    without = rk.Monitoring({**history, "employment": jobs}, **given)
    with_it = rk.Monitoring({**history, "employment": jobs}, **given, assume_known_on={"employment": ("start", 20)})
    entered = history["employment"].assign(known_on=EXTRACT, end_known_on=pd.NaT)
    return (
        _refused(without, DATES[1])
        and _refused(without, EXTRACT)
        and without.tables["employment"]["known_on"].eq(EXTRACT).all()
        and _jobs(without, EXTRACT + pd.Timedelta(days=1)).equals(
            _jobs(rk.Monitoring({**history, "employment": entered}), EXTRACT + pd.Timedelta(days=1))
        )
        and all(_jobs(with_it, day).equals(_jobs(rk.Monitoring(history), day)) for day in DATES)
    )


def _refused(data: rk.Monitoring, day: pd.Timestamp) -> bool:
    try:
        rk.feature_table(data, [day], features=FEW[:1])
    except DataRefused:
        return True
    return False


def _jobs(data: rk.Monitoring, day: pd.Timestamp) -> pd.DataFrame:
    return rk.feature_table(data, [day], features=[each for each in FEW if each.table == "employment"])


#: The cheap ones first: a fault is caught by the first that fails.
CHECKS = (
    _large_amounts_keep_their_digits,
    _labels_look_ahead_only,
    _as_reference,
    _labels_as_reference,
    _as_known_by_the_day,
    _as_if_later_news_were_other,
    _backtest_as_if_later_news_were_other,
    _tables_without_history_are_as_their_history,
)


def test_without_a_fault_nothing_is_caught() -> None:
    assert not caught()


def test_planting_changes_nothing_but_the_fault(plant: Callable[[str, str, str], None]) -> None:
    for module in sorted({module for module, *_ in FAULTS.values()}):
        plant(module, "def ", "def ")
    assert not caught()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, plant: Callable[[str, str, str], None]) -> None:
    plant(*FAULTS[fault])
    assert caught()


# --- what is learned from features ----------------------------------------------------------------------------------


@functools.cache
def training() -> tuple[rk.Monitoring, pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    data = rk.datasets.make_monitoring(150, n_months=36, random_state=5)
    return data, *rk.backtest_sets(data, test_from="2023-01-01", horizon_months=6, every_months=2, features=FEW)


def _rivals_learn_from_the_training_set_alone() -> bool:
    """The figure of the logistic regression is that of one that scikit-learn fitted on the training rows."""
    data, X_train, y_train, X_test, y_test = training()
    model = rk.RiskClassifier(n_estimators=2, calibrate=False).fit(X_train, y_train)
    figures = backtest.compare(data, model, X_train, y_train, X_test, y_test)
    found = figures.query("model == 'logistic regression' and figure == 'auroc' and group == 'all'")["value"].item()
    by_hand = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)
    )  # fmt: skip
    risk = by_hand.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    return bool(np.isclose(found, roc_auc_score(y_test, risk), rtol=1e-9))


def _a_row_is_scored_alike_whatever_is_scored_with_it() -> bool:
    """In every fold of a split: what was fitted stays fitted, though the other rows become quite other ones."""
    _, X, y, *_ = training()
    for train, test in rk.TemporalSplit(2, horizon_months=6).split(X):
        others = X.iloc[test] * 3 + 1
        for rival in rivals().values():
            fitted = rival.fit(X.iloc[train], y.iloc[train])
            few = test[:5]
            together = fitted.predict_risk(pd.concat([X.iloc[few], others]))[: len(few)]
            if not np.allclose(together, fitted.predict_risk(X.iloc[few]), rtol=1e-9):
                return False
    return True


def _no_outcome_of_training_reaches_the_test() -> bool:
    _, X, y, *_ = training()
    day, horizon = X.index.get_level_values("as_of_date"), pd.DateOffset(months=6)
    folds = rk.TemporalSplit(2, horizon_months=6).split(X)
    apart = all((day[train] + horizon).max() <= day[test].min() for train, test in folds)
    X_train, X_test, *_ = rk.temporal_train_test_split(X, y, test_from=day.unique().sort_values()[-2], horizon_months=6)
    first = X_test.index.get_level_values("as_of_date").min()
    return apart and (X_train.index.get_level_values("as_of_date") + horizon).max() <= first


def _calibration_scores_only_what_was_not_learned_from() -> bool:
    """No row is scored by a model that saw its household, or (forward in time) an outcome that was still open."""
    dates = pd.date_range("2020-01-01", periods=8, freq="3MS")
    household, day = np.repeat(np.arange(60), 8), np.tile(np.arange(8), 60)
    X = np.column_stack([household, day]).astype(np.float64)
    y = ((np.random.default_rng(0).random(len(X)) < 0.4) & (household % 2 == 0)).astype(np.int64)
    rows = Rows(X, y, np.ones(len(X)), household, dates[day])
    fair = []

    def train(past: Rows) -> Callable[[np.ndarray], np.ndarray]:
        def margins(block: np.ndarray) -> np.ndarray:
            same = np.isin(block[:, 0], past.X[:, 0]).any()
            last_outcome = dates[int(past.X[:, 1].max())] + pd.DateOffset(months=6)
            fair.append(not same or last_outcome <= dates[int(block[:, 1].min())])
            return block[:, 0] / 60 - 0.5

        return margins

    calibrate(rows, train, horizon_months=6, seed=0)
    return len(fair) > 3 and all(fair)


CHECKS_OF_LEARNING = (
    _no_outcome_of_training_reaches_the_test,
    _calibration_scores_only_what_was_not_learned_from,
    _a_row_is_scored_alike_whatever_is_scored_with_it,
    _rivals_learn_from_the_training_set_alone,
)


@pytest.mark.parametrize("check", CHECKS_OF_LEARNING)
def test_learning_without_a_fault_passes(check: Callable[[], bool]) -> None:
    assert check()


@pytest.mark.parametrize("fault", FAULTS_OF_LEARNING)
def test_a_fault_planted_in_learning_is_caught(fault: str, plant: Callable[[str, str, str], None]) -> None:
    training()
    plant(*FAULTS_OF_LEARNING[fault])
    assert not all(check() for check in CHECKS_OF_LEARNING)


@pytest.mark.parametrize(
    "fault", ["known on the day itself counts", "the latest snapshot is joined whenever it was known"]
)
def test_the_audit_calls_a_fault_in_the_kernel_a_leak(fault: str, plant: Callable[[str, str, str], None]) -> None:
    plant(*FAULTS[fault])
    verdicts = rk.audit_features(rk.Monitoring(world()), (Latest("housing", "grade"),), DATES[1:])
    assert verdicts["verdict"].tolist() == ["leaks"]
