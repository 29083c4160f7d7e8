"""The difference of two risks is split exactly, and a single thing that moved gets all of it."""

from __future__ import annotations

import itertools
from math import factorial

import numpy as np
import pandas as pd
import pytest

from riskml import RiskClassifier, explain_change, feature_dictionary, feature_table, training_dates, training_set
from riskml.cli import main
from riskml.datasets import make_monitoring
from riskml.explanation.change import STEPS, _pair_values
from riskml.explanation.shapley import prepare, shapley_values
from riskml.model.booster_text import trees_of
from riskml.model.store import save_model
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import write_monitoring

BEFORE, NOW = pd.Timestamp("2023-09-01"), pd.Timestamp("2023-12-01")


@pytest.fixture(scope="module")
def county():
    return make_monitoring(400, n_months=36, random_state=4)


@pytest.fixture(scope="module")
def model(county) -> RiskClassifier:
    X, y = training_set(county, training_dates(county, horizon_months=6), horizon_months=6)
    settings = {"n_estimators": 120, "calibrate": False, "n_jobs": 1}
    return RiskClassifier(dictionary=feature_dictionary(), horizon_months=6, **settings).fit(X, y)


@pytest.fixture(scope="module")
def quarter(model, county):
    """Return the change of the county as it was, and its reasons; nobody changes them."""
    change = explain_change(model, *tables(county), data=county)
    return change, change.reasons(county)


def tables(data: Monitoring) -> tuple[pd.DataFrame, pd.DataFrame]:
    return feature_table(data, [BEFORE]), feature_table(data, [NOW])


def edited(data: Monitoring, name: str, rows: pd.DataFrame) -> Monitoring:
    """Return the data as known by BEFORE, with further rows in one table."""
    known = dict(data.known_by(BEFORE).tables)
    known[name] = pd.concat([known[name], rows], ignore_index=True)
    return Monitoring(known, extract_on=NOW)


def test_pair_values_are_those_of_a_background_of_one_row(model, county):
    X = feature_table(county, [NOW]).to_numpy()
    trees = trees_of(model.booster_)
    before, after = X[:15], X[15:30]
    found = _pair_values(trees, before, after)
    for row in range(len(before)):
        expected = shapley_values(prepare(trees, before[[row]]), after[[row]])[0]
        np.testing.assert_allclose(found[row], expected, atol=1e-12)


def test_pair_values_are_those_of_all_coalitions():
    rng = np.random.default_rng(2)
    X = pd.DataFrame(np.where(rng.random((600, 4)) < 0.2, np.nan, rng.normal(size=(600, 4))))
    y = (X[0].fillna(1) * X[1].fillna(-1) + X[2].fillna(0) > 0).astype(int)
    booster = RiskClassifier(n_estimators=30, calibrate=False, monotone=False).fit(X, y).booster_
    before, after = X.to_numpy()[:8], X.to_numpy()[8:16]
    worth = {
        coalition: booster.predict(np.where(np.isin(np.arange(4), coalition), after, before), raw_score=True)
        for size in range(5)
        for coalition in itertools.combinations(range(4), size)
    }
    expected = np.zeros((8, 4))
    for feature in range(4):
        for coalition in (c for c in worth if feature not in c):
            share = factorial(len(coalition)) * factorial(3 - len(coalition)) / factorial(4)
            expected[:, feature] += share * (worth[tuple(sorted((*coalition, feature)))] - worth[coalition])
    np.testing.assert_allclose(_pair_values(trees_of(booster), before, after), expected, atol=1e-12)


def test_parts_add_up_to_the_difference_of_the_risks(quarter):
    change, _ = quarter
    difference = (change.risk_now - change.risk_before).to_numpy()
    assert np.abs(difference).max() > 0.1
    np.testing.assert_allclose(change.in_points().sum(axis=1), difference, atol=1e-9)
    np.testing.assert_allclose(change.by_step().sum(axis=1), difference, atol=1e-9)
    by_cause = change.by_cause().sum(axis=1) + change.by_step()["model"]
    np.testing.assert_allclose(by_cause, difference, atol=1e-9)


def test_a_feature_that_alone_moved_gets_everything(model, county):
    before = feature_table(county, [BEFORE])
    now = before.assign(welfare=before["welfare"] * 0.6).rename({BEFORE: NOW}, level=1)
    change = explain_change(model, before, now)
    points = change.by_cause()
    cause = model.dictionary_.set_index("name").loc["welfare", "cause"]
    assert (points.drop(columns=cause) == 0).all(axis=None)
    assert (points[cause].abs() > 0.001).any()
    others = [k for k, name in enumerate(change.X_now.columns) if name != "welfare"]
    assert (change.values[:, others] == 0).all()


def test_where_nothing_was_recorded_only_time_moves_a_risk(model, county):
    data = Monitoring(dict(county.known_by(BEFORE).tables), extract_on=NOW)
    change = explain_change(model, *tables(data), data=data)
    steps = change.by_step()
    assert (steps[["model", "line", "records"]] == 0).all(axis=None)
    assert steps["time"].abs().max() > 0.001


def test_a_new_line_alone_gets_what_it_moved(model, county):
    # Records of the quarter are measured by the line known when they came in: the old one, or one a third higher.
    old = county.known_by(BEFORE).tables["lines"]
    raised = old.iloc[[-1]].assign(valid_from=BEFORE, known_on=BEFORE, amount=old["amount"].iloc[-1] * 1.3)
    known = dict(county.known_by(NOW).tables)
    same_line = Monitoring({**known, "lines": old}, extract_on=NOW)
    new_line = Monitoring({**known, "lines": pd.concat([old, raised], ignore_index=True)}, extract_on=NOW)
    without, change = (explain_change(model, *tables(data), data=data) for data in (same_line, new_line))
    both = change.risk_now.index.intersection(without.risk_now.index)
    assert (without.by_step()["line"] == 0).all()
    line = change.by_step()["line"]
    assert line.max() > 0.01
    moved = (change.line_values != 0).any(axis=0)
    # Tables without money do not hang on the line.
    assert not change.dictionary["table"][moved].isin(["members", "housing", "water", "status", "visits"]).any()
    # The other parts, in log-odds, are those without a new line.
    rows = [list(table.risk_now.index.get_indexer(both)) for table in (change, without)]
    np.testing.assert_allclose(change.values[rows[0]], without.values[rows[1]], atol=1e-12)
    place = int(line.to_numpy().argmax())
    assert "the changed line (+" in change.reasons()["sentence_en"].iloc[place]


def test_new_records_move_only_their_household_and_what_comes_from_their_table(model, county):
    known = county.known_by(BEFORE).tables
    households = feature_table(county, [BEFORE]).index.get_level_values(0)[:30]
    day = pd.Timestamp("2023-10-10")
    bill = known["medical"].iloc[np.zeros(30, dtype=int)].reset_index(drop=True)
    bill = bill.assign(household_id=households, date=day, known_on=day + pd.Timedelta(days=5))
    data = edited(county, "medical", bill.assign(cost=90_000.0, out_of_pocket=90_000.0))
    change = explain_change(model, *tables(data), data=data)
    moved = change.moved_by == "records"
    billed = change.risk_now.index.isin(households)
    from_bills = (change.dictionary["table"] == "medical") | change.dictionary["name"].str.startswith("medical")
    assert moved[billed].any(axis=1).all()
    assert not moved[~billed].any()
    assert not moved[:, ~from_bills.to_numpy()].any()
    records = change.by_step()["records"]
    assert records.max() > 0.005
    sentence = change.reasons(data).loc[records.idxmax(), "sentence_en"]
    assert "new records (+" in sentence
    assert sentence.endswith("2023-10-10).") or "2023-10-10);" in sentence


def test_a_new_model_alone_gets_everything(model, county):
    X = feature_table(county, [NOW])
    other = RiskClassifier(**{**model.get_params(), "n_estimators": 40})
    X_train, y = training_set(county, training_dates(county, horizon_months=6), horizon_months=6)
    other.fit(X_train, y)
    change = explain_change(model, X, X, model_before=other)
    steps = change.by_step()
    assert (steps.drop(columns="model") == 0).all(axis=None)
    np.testing.assert_allclose(steps["model"], (change.risk_now - change.risk_before), atol=1e-9)
    pd.testing.assert_series_equal(change.risk_before, other.predict_risk(X).droplevel(1))


def test_sensitive_features_are_never_named(model, quarter):
    hidden = model.dictionary_["label_en"][model.dictionary_["sensitive"]]
    said = " ".join(quarter[1]["sentence_en"])
    assert not any(label in said for label in hidden if label)


def test_other_data_and_mixed_dates_are_refused(model, county):
    before, now = tables(county)
    with pytest.raises(ValueError, match="the data do not give X_now for"):
        explain_change(model, before, now.assign(welfare=now["welfare"] + 1), data=county)
    with pytest.raises(ValueError, match="has 2 as-of dates"):
        explain_change(model, pd.concat([before, now]), now)
    with pytest.raises(ValueError, match="is there twice"):
        explain_change(model, before, pd.concat([now, now.iloc[:1]]))
    with pytest.raises(ValueError, match="indexed by"):
        explain_change(model, before.droplevel(1), now)


def test_households_in_one_table_only_are_left_out(model, county):
    before, now = tables(county)
    change = explain_change(model, before.iloc[10:], now.iloc[:-10])
    expected = now.iloc[:-10].index.get_level_values(0).intersection(before.iloc[10:].index.get_level_values(0))
    assert set(change.risk_now.index) == set(expected)
    with pytest.raises(ValueError, match="has 0 as-of dates"):
        explain_change(model, before.iloc[:0], now)


def test_sentences_say_direction_and_movers_in_both_languages(model, county, quarter):
    change, said = quarter
    moved = (change.risk_now - change.risk_before).to_numpy()
    top, bottom = moved.argmax(), moved.argmin()
    assert said["sentence_en"].iloc[top].startswith("Risk rose from ")
    assert said["sentence_en"].iloc[bottom].startswith("Risk fell from ")
    assert "升至" in said["sentence_zh"].iloc[top]
    assert any(STEPS[step][1] in said["sentence_zh"].iloc[top] for step in STEPS)
    assert not said["sentence_zh"].str.contains("record|points").any()
    still = explain_change(model, *(feature_table(county, [NOW]),) * 2).reasons()
    assert still["sentence_en"].str.startswith("Risk unchanged at ").all()


def test_the_command_says_what_moved_each_risk_and_refuses_another_model(tmp_path, capsys, county, model):
    write_monitoring(county, tmp_path / "county")
    bundle = str(save_model(model, tmp_path / "models", data=county))
    lists = []
    for day in (BEFORE, NOW):
        lists.append(str(tmp_path / f"{day:%Y%m}.csv"))
        score = ["score", str(tmp_path / "county"), "--model", bundle, "--as-of", f"{day:%Y-%m-%d}"]
        assert main([*score, "--out", lists[-1]]) == 0
    changes = ["changes", *lists, "--top", "30"]
    capsys.readouterr()
    assert main([*changes, "--data", str(tmp_path / "county"), "--model", bundle]) == 0
    said = capsys.readouterr().out
    assert "New on the list. Risk rose from " in said
    assert "new records (+" in said
    assert main([*changes, "--data", str(tmp_path / "county")]) == 1
    assert "belong together" in capsys.readouterr().err
    other = RiskClassifier(**{**model.get_params(), "n_estimators": 10})
    other.fit(*training_set(county, training_dates(county, horizon_months=6), horizon_months=6))
    save_model(other, tmp_path / "other", data=county)
    assert main([*changes, "--data", str(tmp_path / "county"), "--model", str(tmp_path / "other")]) == 1
    assert "are not those of the model and tables given" in capsys.readouterr().err
