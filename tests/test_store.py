"""Bundles: they come back bit for bit, or are refused by name, never with a crash or a silent answer."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.explanation.contributions import explain
from riskml.findings import ModelRefused
from riskml.model.booster_text import read_booster, write_booster
from riskml.model.classifier import RiskClassifier
from riskml.model.recalibration import shift_base_rate
from riskml.model.store import FILES, check_fits, load_model, save_model
from riskml.skill.metrics import evaluate

NAMES = ["welfare", "medical_out_of_pocket_sum_12m", "jobs", "own_measure"]


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [[f"h{k}" for k in range(150)], pd.date_range("2020-01-01", periods=4, freq="6MS")],
        names=["household_id", "as_of_date"],
    )
    X = pd.DataFrame(rng.gamma(2, 1, (len(index), len(NAMES))), index=index, columns=NAMES)
    X = X.mask(rng.random(X.shape) < 0.1)
    y = (X["welfare"].fillna(2) + rng.normal(0, 1, len(X)) < 1.2).astype(float)
    return RiskClassifier(n_estimators=30).fit(X, y), X, y


@pytest.fixture(scope="module")
def written(fitted, tmp_path_factory):
    model, X, y = fitted
    figures = evaluate({"riskml": model.predict_risk(X), "income ranking": -X["welfare"].fillna(9)}, y, n_bootstrap=5)
    return save_model(model, tmp_path_factory.mktemp("models"), figures=figures)


@pytest.fixture
def bundle(written, tmp_path):
    return shutil.copytree(written, tmp_path / written.name)


def sealed(bundle, **changes):
    """Change files (name with _ for .) and seal the bundle anew, as somebody would who knows the manifest."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    for key, change in changes.items():
        name = "CARD.md" if key == "CARD_md" else key.replace("_", ".")
        text = change((bundle / name).read_text(encoding="utf-8"))
        (bundle / name).write_text(text, encoding="utf-8")
        manifest["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()[:8]
    return bundle.rename(bundle.with_name(f"{bundle.name[:-8]}{digest}"))


def test_a_model_comes_back_bit_for_bit(fitted, bundle):
    model, X, _ = fitted
    back = load_model(bundle)
    pd.testing.assert_series_equal(back.predict_risk(X), model.predict_risk(X), check_exact=True)
    pd.testing.assert_frame_equal(back.risk_interval(X), model.risk_interval(X), check_exact=True)
    why, other = explain(back, X), explain(model, X)
    assert (why.values == other.values).all()
    assert why.base_value == other.base_value
    assert (back.fit_summary_, back.calibrator_) == (model.fit_summary_, model.calibrator_)
    assert {k: v for k, v in back.get_params().items() if k != "dictionary"} == {
        k: v for k, v in model.get_params().items() if k != "dictionary"
    }
    shown = ["name", "cause", "unit", "direction", "table", "label_en", "label_zh", "actionable", "sensitive"]
    pd.testing.assert_frame_equal(back.dictionary_[shown], model.dictionary_[shown], check_dtype=False)


def test_a_loaded_model_written_again_is_the_same_bundle(bundle, tmp_path):
    again = save_model(load_model(bundle), tmp_path / "again")
    for name in ("model.txt", "calibration.json", "features.json"):
        assert (again / name).read_bytes() == (bundle / name).read_bytes()


@pytest.mark.filterwarnings("ignore:LightGBM binary classifier")
def test_shap_reads_a_loaded_model(fitted, bundle):
    shap = pytest.importorskip("shap")
    _, X, _ = fitted
    model = load_model(bundle)
    values = shap.TreeExplainer(model.booster_).shap_values(X.to_numpy()[:20])
    np.testing.assert_allclose(explain(model, X[:20]).values, model.calibration_[0] * values, atol=1e-9)


def test_a_folder_of_bundles_stands_for_the_newest(fitted, tmp_path):
    model, X, y = fitted
    old = save_model(RiskClassifier(n_estimators=2, calibrate=False).fit(X, y), tmp_path)
    old.rename(old.with_name("20200101T000000Z" + old.name[16:]))
    save_model(model, tmp_path)
    (tmp_path / "notes").mkdir()
    assert load_model(tmp_path).n_estimators == 30


def test_the_card_says_what_it_learned_from_and_how_good_it_was(written):
    text = (written / "CARD.md").read_text(encoding="utf-8")
    assert "- rows: 600" in text
    assert "| all | income ranking | auroc |" in text
    assert "Not for: Refusing or ending help" in text
    assert "不得用于拒绝或终止帮扶" in text
    card = json.loads((written / "card.json").read_text(encoding="utf-8"))
    assert card["tables_needed"] == ["employment", "medical", "welfare"]
    assert {row["model"] for row in card["figures"]} == {"riskml", "income ranking"}


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_flipped_bit_anywhere_is_noticed(bundle, name):
    body = (bundle / name).read_bytes()
    for position in np.linspace(0, len(body) - 1, 25).astype(int):
        (bundle / name).write_bytes(body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :])
        with pytest.raises(ModelRefused, match=re.escape(name)):
            load_model(bundle)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_file_cut_emptied_or_gone_is_named(bundle, name):
    body = (bundle / name).read_bytes()
    for damage in (body[: len(body) // 2], body[:-1], b""):
        (bundle / name).write_bytes(damage)
        with pytest.raises(ModelRefused, match=re.escape(name)):
            load_model(bundle)
    (bundle / name).unlink()
    with pytest.raises(ModelRefused, match=re.escape(name)):
        load_model(bundle)


def test_files_that_do_not_belong_are_refused(bundle):
    (bundle / "model.pkl").write_bytes(b"x")
    with pytest.raises(ModelRefused, match=r"model\.pkl"):
        load_model(bundle)


class Trap:
    """Would write a file if it were ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", FILES[:4])
def test_a_pickle_in_place_of_a_file_is_refused_and_never_run(bundle, tmp_path, name):
    poison = pickle.dumps(Trap(tmp_path / "ran"), protocol=0).decode("ascii")
    bundle = sealed(bundle, **{name.replace(".", "_"): lambda _: poison})
    with pytest.raises(ModelRefused, match=re.escape(name)):
        load_model(bundle)
    assert not (tmp_path / "ran").exists()


def test_a_renamed_bundle_a_file_and_an_empty_folder_are_refused(bundle, tmp_path):
    with pytest.raises(ModelRefused, match="no model bundle"):
        load_model(bundle / "model.txt")
    with pytest.raises(ModelRefused, match="no model bundle"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(ModelRefused, match="renamed"):
        load_model(bundle.rename(tmp_path / "best"))


def swap(old, new, count=1):
    """Replace, and make sure that there was something to replace."""

    def change(text):
        assert old in text
        return text.replace(old, new, count)

    return change


def pattern(old, new):
    def change(text):
        changed, found = re.subn(old, new, text, count=1, flags=re.M)
        assert found
        return changed

    return change


@pytest.mark.parametrize(
    "change",
    [
        swap("tree\n", "bush\n"),
        swap("version=v4", "version=v9"),
        swap("num_class=1", "num_class=2"),
        swap("num_tree_per_iteration=1", "num_tree_per_iteration=7"),
        swap("max_feature_idx=3", "max_feature_idx=300"),
        swap("objective=binary sigmoid:1", "objective=regression"),
        swap("feature_names=Column_0 Column_1", "feature_names=Column_1 Column_0"),
        swap("feature_infos=", "feature_infos=none "),
        swap("end of trees\n", ""),
        swap("end of trees\n", "end of trees\nparameters:\n"),
        pattern(r"^tree_sizes=\d+", "tree_sizes=99999999"),
        pattern(r"^tree_sizes=\d+ ", "tree_sizes="),
        pattern(r"^num_leaves=\d+$", "num_leaves=400000000"),
        pattern(r"^num_leaves=\d+$", "num_leaves=-3"),
        pattern(r"^num_cat=0", "num_cat=1"),
        pattern(r"^is_linear=0", "is_linear=1"),
        pattern(r"^split_feature=\d+", "split_feature=9"),
        pattern(r"^split_feature=(\d+) ", r"split_feature=\1 \1 "),
        pattern(r"^left_child=-?\d+", "left_child=7777777"),
        pattern(r"^left_child=-?\d+", "left_child=-999"),
        pattern(r"^right_child=-?\d+", "right_child=0"),
        pattern(r"^decision_type=\d+", "decision_type=1"),
        pattern(r"^threshold=\S+", "threshold=nan"),
        pattern(r"^threshold=\S+", "threshold=1e999"),
        pattern(r"^leaf_value=\S+", "leaf_value=inf"),
        pattern(r"^leaf_value=\S+ ", "leaf_value="),
        pattern(r"^leaf_count=\d+", "leaf_count=1_0"),
        pattern(r"^leaf_count=\d+", "leaf_count=9999"),
        pattern(r"^internal_count=\d+", "internal_count=9999"),
        pattern(r"^shrinkage=\S+", "shrinkage=much"),
        pattern(r"^internal_value=", "internal_worth="),
        lambda text: text[: len(text) // 2],
        lambda text: text + "\x00",
        lambda text: text.replace("Tree=1\n", "Tree=5\n"),
        lambda text: "",
    ],
)
def test_a_damaged_model_text_is_refused_even_under_a_right_hash(bundle, change):
    with pytest.raises(ModelRefused, match=r"model\.txt"):
        load_model(sealed(bundle, model_txt=change))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_happens_to_the_text_it_is_refused_or_still_a_sound_tree(fitted, data):
    model, X, _ = fitted
    text = write_booster(model.booster_)
    start = data.draw(st.integers(0, len(text) - 1))
    cut = data.draw(st.integers(0, 3))
    new = data.draw(st.text(st.sampled_from("0123456789-. =\nee+"), max_size=3))
    try:
        booster = read_booster(text[:start] + new + text[start + cut :], n_features=len(NAMES))
    except ValueError:
        return
    # Digits of a value may change: then the trees are others, but sound, and the hash is what tells.
    assert np.isfinite(booster.predict(X.to_numpy())).all()


def test_trees_that_part_the_missing_from_the_rest_are_kept(fitted):
    # LightGBM writes such a split with an infinite threshold.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    X[::2] = np.nan
    y = (np.isnan(X[:, 0]) ^ (rng.random(400) < 0.1)).astype(int)
    settings = {"objective": "binary", "num_leaves": 2, "verbose": -1, "num_threads": 1, "max_bin": 2}
    booster = lgb.train(settings, lgb.Dataset(X, y), 3)
    text = write_booster(booster)
    assert (read_booster(text, n_features=1).predict(X) == booster.predict(X)).all()
    infinite = re.sub(r"^threshold=\S+", "threshold=inf", text, flags=re.M)
    longer = len(infinite) - len(text)
    sizes = [int(size) for size in re.search(r"^tree_sizes=(.*)$", text, re.M).group(1).split()]
    assert longer % len(sizes) == 0
    shifted = " ".join(str(size + longer // len(sizes)) for size in sizes)
    infinite = re.sub(r"^tree_sizes=.*$", f"tree_sizes={shifted}", infinite, flags=re.M)
    assert np.isfinite(read_booster(infinite, n_features=1).predict(X)).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("calibration_json", swap('"slope": ', '"slope": -')),
        ("calibration_json", pattern(r'"slope": [\d.]+', '"slope": NaN')),
        ("calibration_json", pattern(r'"intercept": [-\d.]+', '"intercept": "0"')),
        ("calibration_json", swap('"centre"', '"center"')),
        ("calibration_json", lambda text: "[" * 100_000),
        ("calibration_json", swap('"p0"', '"p2"')),
        ("calibration_json", swap('"p1"', '"p0"')),
        ("calibration_json", pattern(r'"design_effect": [\d.]+', '"design_effect": 0.5')),
        ("calibration_json", pattern(r'"thresholds": \[\s+[-\d.]+', '"thresholds": [ 99')),
        ("calibration_json", pattern(r'"thresholds": \[\s+[-\d.]+,', '"thresholds": [')),
        ("calibration_json", pattern(r'"p1": \[\s+[-\d.e]+', '"p1": [ 1.5')),
        ("calibration_json", swap('"group_curves": {}', '"group_curves": []')),
        ("calibration_json", swap('"group_curves": {}', '"group_curves": {"a": null}')),
        ("calibration_json", swap('"group_curves": {}', '"group_curves": {"a": {"p0": [0.1], "p1": [0.2]}}')),
        ("features_json", swap('"cause": "income"', '"cause": "laziness"')),
        ("features_json", swap('"direction": -1', '"direction": -2')),
        ("features_json", swap('"name": "jobs"', '"name": "welfare"')),
        ("features_json", lambda text: "[]"),
        ("features_json", lambda text: json.dumps(json.loads(text)[:-1])),
        ("card_json", lambda text: "{}"),
        ("card_json", swap('"n_jobs"', '"command"')),
        ("card_json", lambda text: "not json"),
    ],
)
def test_json_of_another_structure_is_refused_even_under_a_right_hash(bundle, name, change):
    # Fewer features than the booster has show in model.txt.
    with pytest.raises(ModelRefused, match=rf"{name.replace('_', '.')}|model\.txt"):
        load_model(sealed(bundle, **{name: change}))


def test_a_bundle_of_the_format_before_gives_its_risks_and_the_interval_of_the_line(fitted, bundle):
    model, X, _ = fitted
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["recalibrations"]
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "format": 1}))

    def before(text):
        return json.dumps(
            {name: v for name, v in json.loads(text).items() if name not in ("base_rate", "curve", "group_curves")}
        )

    old = load_model(sealed(bundle, calibration_json=before))
    pd.testing.assert_series_equal(old.predict_risk(X), model.predict_risk(X), check_exact=True)
    line = replace(model.calibrator_, curve=None).interval(model._margin(X), 0.9)
    np.testing.assert_array_equal(old.risk_interval(X).to_numpy(), line)
    with pytest.raises(ValueError, match="older format"):
        shift_base_rate(old, X)


def test_a_bundle_without_intervals_by_group_is_read_as_it_was(fitted, bundle):
    model, X, _ = fitted
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))

    def before(text):
        return json.dumps({name: value for name, value in json.loads(text).items() if name != "group_curves"})

    old = load_model(sealed(bundle, calibration_json=before))
    pd.testing.assert_frame_equal(old.risk_interval(X), model.risk_interval(X), check_exact=True)


def test_a_manifest_of_another_format_is_refused(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "format": 5}))
    with pytest.raises(ModelRefused, match=r"manifest\.json"):
        load_model(sealed(bundle))


def test_refusals_speak_chinese_where_asked(bundle, monkeypatch):
    monkeypatch.setenv("RISKML_LANG", "zh")
    (bundle / "model.txt").write_bytes(b"x")
    with pytest.raises(ModelRefused, match="被拒绝"):
        load_model(bundle)


def test_data_without_a_table_the_model_needs_are_refused_by_its_name(fitted):
    model, X, _ = fitted
    check_fits(model, X.assign(further=1.0))
    with pytest.raises(ModelRefused, match="tables: medical"):
        check_fits(model, X.drop(columns="medical_out_of_pocket_sum_12m"))


def test_a_model_without_names_or_with_other_classes_is_not_written(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    with pytest.raises(ValueError, match="fitted on a DataFrame with outcomes 0 and 1"):
        save_model(RiskClassifier(n_estimators=2).fit(X, y), tmp_path)
    named = pd.DataFrame(X, columns=["a", "b"])
    with pytest.raises(ValueError, match="fitted on a DataFrame with outcomes 0 and 1"):
        save_model(RiskClassifier(n_estimators=2).fit(named, np.where(y, "yes", "no")), tmp_path)
    assert not list(tmp_path.iterdir())
