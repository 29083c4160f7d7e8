"""Refits and the stability of the main reason: how often it stays first, in words, in a bundle, on the command line."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from few_trees import few_trees
from hypothesis import given, settings
from hypothesis import strategies as st
from test_store import sealed
from trees import keys

from riskml.cli import main
from riskml.explanation import stability
from riskml.explanation.contributions import explain
from riskml.explanation.stability import cause_stability
from riskml.files import read_table
from riskml.findings import ModelRefused
from riskml.model.classifier import RiskClassifier
from riskml.model.recalibration import shift_base_rate
from riskml.model.refits import with_refits
from riskml.model.store import load_model, save_model

#: One feature of income and one of illness that count alike.
NAMES = ["welfare", "medical_out_of_pocket_sum_12m"]
N_REFITS = 8


def training_rows(seed=0, n_households=150):
    rng = np.random.default_rng(seed)
    days = pd.date_range("2020-01-01", periods=4, freq="6MS")
    index = pd.MultiIndex.from_product(
        [[f"h{k}" for k in range(n_households)], days], names=["household_id", "as_of_date"]
    )
    X = pd.DataFrame(rng.normal(size=(len(index), 2)), index=index, columns=NAMES)
    y = (X[NAMES[1]] - X[NAMES[0]] + 0.5 * rng.normal(size=len(X)) > 1).astype(float)
    return X, y


@pytest.fixture(scope="module")
def learned():
    X, y = training_rows()
    return with_refits(RiskClassifier(n_estimators=25, n_jobs=1).fit(X, y), X, y, n_refits=N_REFITS), X, y


#: Ill, poor, and both alike.
ASKED = pd.DataFrame({NAMES[0]: [0.0, -2.0, -1.0], NAMES[1]: [2.0, 0.0, 1.0]}, index=keys(3))


def test_the_share_is_counted_over_models_learned_from_draws_of_whole_households():
    X, y = training_rows(1)
    model = RiskClassifier(n_estimators=20, n_jobs=1, random_state=3).fit(X, y)
    shares = cause_stability(explain(with_refits(model, X, y, n_refits=5, random_state=7), ASKED))
    rng = np.random.default_rng(7)
    names = np.unique(X.index.get_level_values(0))
    times = np.zeros(3)
    first = explain(model, ASKED).top_causes(1)["cause_1"]
    for _ in range(5):
        # A household drawn twice counts twice, with all its rows.
        drawn = pd.Series(names[rng.integers(0, len(names), len(names))]).value_counts()
        weight = drawn.reindex(X.index.get_level_values(0), fill_value=0).to_numpy(dtype=float)
        seed = int(rng.integers(2**31))
        refit = RiskClassifier(n_estimators=20, n_jobs=1, random_state=seed, calibrate=False).fit(X, y, weight)
        times += (explain(refit, ASKED).top_causes(1)["cause_1"] == first).to_numpy()
    assert (shares["share_first"] == times / 5).all()
    assert (shares["first_cause"] == first).all()


def test_a_clear_reason_stays_first_and_one_between_two_alike_does_not():
    # Over many counties: what weighs as much as another is first about as often as not.
    found = []
    for seed in range(4):
        X, y = training_rows(seed, n_households=60)
        model = with_refits(RiskClassifier(n_estimators=15, n_jobs=1).fit(X, y), X, y, n_refits=6)
        found.append(cause_stability(explain(model, ASKED))["share_first"].to_numpy())
    clear_ill, clear_poor, between = np.mean(found, axis=0)
    assert min(clear_ill, clear_poor) == 1.0
    assert between < 0.95


def test_neither_the_order_of_rows_nor_that_of_columns_changes_the_refits(learned):
    model, X, y = learned
    order = np.random.default_rng(0).permutation(len(X))
    again = with_refits(model, X.iloc[order][NAMES[::-1]], y.iloc[order], n_refits=N_REFITS)
    for one, other in zip(model.refits_, again.refits_, strict=True):
        assert one.model_to_string() == other.model_to_string()


def test_weights_of_training_are_those_of_the_refits(learned):
    model, X, y = learned
    weight = np.where(X.index.get_level_values(0) < "h3", 0.0, 1.0)
    kept = weight > 0
    some = with_refits(model, X, y, n_refits=2, sample_weight=weight)
    # Households without weight are drawn and count for nothing: a booster learns from the others alone.
    assert max(booster.trees_to_dataframe()["count"].max() for booster in some.refits_) <= kept.sum() * 0.5
    assert max(booster.trees_to_dataframe()["count"].max() for booster in model.refits_) > kept.sum() * 0.28


def test_the_model_itself_predicts_and_explains_as_before(learned):
    model, X, y = learned
    plain = RiskClassifier(n_estimators=25, n_jobs=1).fit(X, y)
    assert plain.refits_ == ()
    pd.testing.assert_series_equal(model.predict_risk(X), plain.predict_risk(X), check_exact=True)
    assert "refits" not in plain.fit_summary_
    assert model.fit_summary_["refits"] == N_REFITS
    assert len(shift_base_rate(model, X).refits_) == N_REFITS


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from(["sum", "players"]), st.booleans())
def test_shares_are_counts_over_the_refits_and_of_the_row_alone(learned, seed, causes, compared):
    model, X, _ = learned
    rows = X.sample(5, random_state=seed)
    why = explain(model, rows, causes=causes, background=X[:7] if compared else None)
    shares = cause_stability(why)
    assert shares.index.equals(rows.index)
    assert (shares["share_first"] * N_REFITS % 1 == 0).all()
    assert shares["share_first"].between(0, 1).all()
    pd.testing.assert_frame_equal(cause_stability(why.take(rows.index[2:3])), shares[2:3], check_exact=True)
    # The model as its own refit names what it names.
    sure = explain(model, rows, causes=causes)
    own = type(sure)(**{**vars(sure), "refits": (sure.game,) * 3})
    assert (cause_stability(own)["share_first"] == 1).all()


def test_an_uncertain_main_reason_is_said_to_be_so_and_a_sure_one_is_not(learned, monkeypatch):
    model, X, y = learned
    why = explain(model, X)
    shares = cause_stability(why)["share_first"]
    raised = why.in_points().max(axis=1) >= 0.0005
    monkeypatch.setattr("riskml.explanation.contributions.LEAST_SHARE", 0.75)
    doubtful = (shares < 0.75) & raised
    assert 0 < doubtful.sum() < len(X)
    said = why.reasons()
    assert (said["reason_en"].str.contains("The main reason is uncertain") == doubtful).all()
    assert (said["reason_zh"].str.contains("首要因素不确定") == doubtful).all()
    row = doubtful.idxmax()
    times = round(shares[row] * N_REFITS)
    assert f"came first in only {times} of {N_REFITS} cases." in said.loc[row, "reason_en"]
    # A model without refits says what it always said, and the others start with the same words.
    plain = explain(RiskClassifier(n_estimators=25, n_jobs=1).fit(X, y), X).reasons()
    assert not plain["reason_en"].str.contains("uncertain").any()
    assert all(text.startswith(start) for text, start in zip(said["reason_en"], plain["reason_en"], strict=True))


def test_a_model_without_refits_has_no_stability_and_none_at_all_are_refused(learned):
    model, X, y = learned
    plain = RiskClassifier(n_estimators=5, calibrate=False, n_jobs=1).fit(X, y)
    with pytest.raises(ValueError, match="--stability N"):
        cause_stability(explain(plain, X[:3]))
    with pytest.raises(ValueError, match="n_refits must be at least 1, got 0"):
        with_refits(model, X, y, n_refits=0)
    assert 0 < stability.LEAST_SHARE <= 1


# --- in a bundle ----------------------------------------------------------------------------------------------------


def test_refits_come_back_from_a_bundle_and_name_the_same_shares(learned, tmp_path):
    model, X, _ = learned
    bundle = save_model(model, tmp_path)
    back = load_model(bundle)
    expected = cause_stability(explain(model, X))
    pd.testing.assert_frame_equal(cause_stability(explain(back, X)), expected, check_exact=True)
    assert "- refits: 8" in (bundle / "CARD.md").read_text(encoding="utf-8")
    again = save_model(back, tmp_path / "again")
    assert (again / "refits.txt").read_bytes() == (bundle / "refits.txt").read_bytes()


def test_a_bundle_without_refits_has_no_such_file_and_is_sound(learned, tmp_path):
    _, X, y = learned
    bundle = save_model(RiskClassifier(n_estimators=5, n_jobs=1).fit(X, y), tmp_path)
    assert not (bundle / "refits.txt").exists()
    assert load_model(bundle).refits_ == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: text.rindex("end of trees\n")],
        lambda text: text[: text.index("end of trees\n") + len("end of trees\n")],
        lambda text: text + text[: text.index("end of trees\n") + len("end of trees\n")],
        lambda text: text + "\n",
        lambda text: text.replace("max_feature_idx=1", "max_feature_idx=7"),
        lambda text: text.replace("leaf_value=", "leaf_worth=", 1),
        lambda text: "",
        lambda text: "\x00",
    ],
)
def test_damaged_refits_are_refused_even_under_a_right_hash(learned, tmp_path, change):
    bundle = save_model(learned[0], tmp_path)
    with pytest.raises(ModelRefused, match=r"refits\.txt"):
        load_model(sealed(bundle, refits_txt=change))


def test_refits_gone_added_or_not_of_the_manifest_are_refused(learned, tmp_path):
    model, X, y = learned
    bundle = save_model(model, tmp_path)
    text = (bundle / "refits.txt").read_bytes()
    (bundle / "refits.txt").unlink()
    with pytest.raises(ModelRefused, match=r"refits\.txt"):
        load_model(bundle)
    (bundle / "refits.txt").write_bytes(text[:-1] + b" ")
    with pytest.raises(ModelRefused, match=r"refits\.txt"):
        load_model(bundle)
    plain = save_model(RiskClassifier(n_estimators=5, n_jobs=1).fit(X, y), tmp_path / "plain")
    (plain / "refits.txt").write_bytes(text)
    with pytest.raises(ModelRefused, match=r"refits\.txt"):
        load_model(plain)
    manifest = json.loads((plain / "manifest.json").read_text())
    manifest["files"]["refits.txt"] = hashlib.sha256(text).hexdigest()
    (plain / "manifest.json").write_text(json.dumps(manifest))
    # A right hash, and a card that knows of none.
    with pytest.raises(ModelRefused, match="expected 0 boosters"):
        load_model(sealed(plain))


# --- from the command line ------------------------------------------------------------------------------------------


def test_train_keeps_refits_and_score_words_what_they_put_in_doubt(tmp_path, capsys):
    county, models = tmp_path / "county", tmp_path / "models"
    assert main(["simulate", str(county), "--households", "150", "--months", "28", "--seed", "3", "--quiet"]) == 0
    with few_trees():
        train = ["train", str(county), "--out", str(models), "--every-months", "6", "--stability", "2", "--quiet"]
        assert main(train) == 0
    model = load_model(models)
    assert len(model.refits_) == 2
    day = "2022-06-01"
    for causes in ("sum", "players"):
        out = tmp_path / f"{causes}.parquet"
        asked = ["score", str(county), "--model", str(models), "--as-of", day, "--out", str(out), "--causes", causes]
        assert main([*asked, "--quiet"]) == 0
        listed = read_table(out)
        doubtful = listed["reason_en"].str.contains("The main reason is uncertain: computed again from other samples")
        assert 0 < doubtful.sum() < len(listed)
    capsys.readouterr()
