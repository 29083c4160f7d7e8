"""Trees as arrays: they predict as LightGBM does, and their Shapley values are those of every coalition by hand."""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.explanation import shapley, trees
from riskml.model import booster_text

#: RISKML_EXAMPLES=300 looks harder than the usual run.
CASES = settings(max_examples=int(os.environ.get("RISKML_EXAMPLES", "25")), deadline=None)
#: How missing values and zeros are treated in training, and whether the last column holds categories.
KINDS: dict[str, dict[str, Any]] = {
    "NaN is missing": {},
    "nothing is missing": {"use_missing": False},
    "zero is missing": {"zero_as_missing": True},
    "categories": {"categories": True},
    "categories, nothing is missing": {"categories": True, "use_missing": False},
    "categories, zero is missing": {"categories": True, "zero_as_missing": True},
    "half the rows a tree": {"bagging_fraction": 0.5, "bagging_freq": 1},
    "whole numbers without holes": {"holes": False},
}
#: Values at which trees have to decide with care.
ODD = [np.nan, 0.0, -0.0, 1e-36, -1e-36, 1e-34, np.inf, -np.inf, -1.0, -0.5, 3.7, 31.0, 32.0, 64.0, 2.0**31, 1e20]
SEEDS = st.integers(0, 100_000)


def trained(
    seed: int, *, n_features: int = 4, n_trees: int = 3, categories: bool = False, holes: bool = True, **further: Any
) -> tuple[lgb.Booster, np.ndarray]:
    """Return a small booster and its training rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, n_features)) if holes else rng.integers(-3, 4, (150, n_features)).astype(float)
    X[:, 0] = np.where(rng.random(150) < 0.3, 0.0, X[:, 0])
    if categories:
        X[:, -1] = rng.integers(0, 40, 150)
    if holes:
        X[rng.random(X.shape) < 0.15] = np.nan
    known = np.nan_to_num(X)
    target = known[:, 0] * known[:, 1] + known[:, 2] + (known[:, -1] % 3 == 0) + np.isnan(X[:, 1])
    asked = {"objective": "regression", "num_leaves": 7, "min_data_in_leaf": 2, "learning_rate": 0.5, "seed": seed}
    asked |= {"min_data_per_group": 2, "cat_smooth": 1.0, "max_cat_to_onehot": 1, "num_threads": 1, "verbose": -1}
    data = lgb.Dataset(X, target + rng.normal(size=150), categorical_feature=[n_features - 1] if categories else [])
    return lgb.train(asked | further, data, n_trees), X


def odd_rows(booster: lgb.Booster, X: np.ndarray, rng: np.random.Generator, n_rows: int) -> np.ndarray:
    """Return training rows of which a third of the values are thresholds or odd."""
    some = X[rng.integers(0, len(X), n_rows)]
    thresholds = booster_text.trees_of(booster).threshold
    return np.where(rng.random(some.shape) < 0.35, rng.choice([*ODD, *thresholds], some.shape), some)


@st.composite
def models(draw: Callable[..., Any]) -> tuple[lgb.Booster, np.ndarray, np.ndarray]:
    """Draw a booster, rows to explain and a background."""
    seed, kind, n_leaves = draw(SEEDS), draw(st.sampled_from(sorted(KINDS))), draw(st.sampled_from([2, 3, 7, 12]))
    booster, X = trained(seed, num_leaves=n_leaves, n_features=draw(st.integers(3, 5)), **KINDS[kind])
    rng = np.random.default_rng(seed)
    return booster, odd_rows(booster, X, rng, 12), odd_rows(booster, X, rng, 5)


def shares(booster: lgb.Booster, X: np.ndarray, background: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Return contributions and base value by riskml."""
    prepared = shapley.prepare(booster_text.trees_of(booster), background)
    return shapley.shapley_values(prepared, X, n_jobs=1), prepared.base_value


def by_coalitions(worth: Callable[[np.ndarray], np.ndarray], n: int) -> np.ndarray:
    """Return Shapley values by their definition, given the worth of coalitions (n_coalitions, n) of n features."""
    coalitions = np.array(list(itertools.product([False, True], repeat=n)))
    values = {tuple(coalition): value for coalition, value in zip(coalitions, worth(coalitions), strict=True)}
    total = np.zeros((n, *np.shape(values[tuple(coalitions[0])])))
    for without in coalitions:
        for feature in np.flatnonzero(~without):
            joined = without.copy()
            joined[feature] = True
            size = int(without.sum())
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            total[feature] += weight * (values[tuple(joined)] - values[tuple(without)])
    return total.T


def mixed(booster: lgb.Booster, X: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return interventional Shapley values from LightGBM's predictions for every mixture of every two rows."""

    def worth(coalitions: np.ndarray) -> np.ndarray:
        rows = np.where(coalitions[:, None, None, :], X[None, :, None, :], background[None, None, :, :])
        margins = booster.predict(rows.reshape(-1, X.shape[1]), raw_score=True)
        return margins.reshape(rows.shape[:3]).mean(axis=2)

    return by_coalitions(worth, X.shape[1])


def by_counts(booster: lgb.Booster, row: np.ndarray) -> np.ndarray:
    """Return path-dependent Shapley values from the booster's own dump, decided as its documentation says."""
    structures = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]

    def mean(node: dict[str, Any], known: np.ndarray) -> float:
        if "split_feature" not in node:
            return node["leaf_value"]
        left, right = node["left_child"], node["right_child"]
        if known[node["split_feature"]]:
            return mean(left if _goes_left(node, row[node["split_feature"]]) else right, known)
        counts = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
        return (counts[0] * mean(left, known) + counts[1] * mean(right, known)) / sum(counts)

    def worth(coalitions: np.ndarray) -> np.ndarray:
        return np.array([sum(mean(tree, known) for tree in structures) for known in coalitions])

    return by_coalitions(worth, len(row))


def _goes_left(node: dict[str, Any], value: float) -> bool:
    if node["decision_type"] == "==":
        return not math.isnan(value) and str(int(value)) in node["threshold"].split("||")
    if math.isnan(value) and node["missing_type"] != "NaN":
        value = 0.0
    if math.isnan(value) or (node["missing_type"] == "Zero" and value == 0.0):
        return bool(node["default_left"])
    return bool(value <= node["threshold"])


# --- against LightGBM and the definition ----------------------------------------------------------------------------


@CASES
@given(models())
def test_predictions_are_those_of_lightgbm(model):
    booster, X, _ = model
    ours = trees.margins(booster_text.trees_of(booster), X)
    np.testing.assert_allclose(ours, booster.predict(X, raw_score=True), rtol=0, atol=1e-12)


@CASES
@given(models())
def test_path_dependent_values_are_those_of_lightgbm(model):
    booster, X, _ = model
    values, base = shares(booster, X)
    expected = booster.predict(X, pred_contrib=True)
    np.testing.assert_allclose(values, expected[:, :-1], rtol=0, atol=1e-12)
    assert base == pytest.approx(expected[0, -1], abs=1e-12)


@CASES
@given(SEEDS, st.sampled_from(sorted(KINDS)))
def test_path_dependent_values_are_those_over_all_coalitions_by_the_counts_of_training_rows(seed, kind):
    booster, X = trained(seed, **KINDS[kind])
    np.testing.assert_allclose(shares(booster, X[:1])[0][0], by_counts(booster, X[0]), rtol=0, atol=1e-12)


@CASES
@given(models())
def test_interventional_values_are_those_over_all_coalitions_of_mixed_rows(model):
    booster, X, background = model
    values, base = shares(booster, X, background)
    np.testing.assert_allclose(values, mixed(booster, X, background), rtol=0, atol=1e-12)
    assert base == pytest.approx(booster.predict(background, raw_score=True).mean(), abs=1e-12)


@CASES
@given(models())
def test_values_and_base_add_up_to_the_margin(model):
    booster, X, background = model
    for compared in (None, background):
        values, base = shares(booster, X, compared)
        np.testing.assert_allclose(base + values.sum(axis=1), booster.predict(X, raw_score=True), rtol=0, atol=1e-10)


@pytest.mark.parametrize("max_bits", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_the_same_whatever_the_size_of_the_tables(monkeypatch, kind, max_bits):
    # With 0 and 1 leaves have too many features for a table, as those of deep trees have.
    monkeypatch.setattr(shapley, "MAX_BITS", max_bits)
    booster, X = trained(5, num_leaves=12, **KINDS[kind])
    X, background = odd_rows(booster, X, np.random.default_rng(1), 12), X[:5]
    np.testing.assert_allclose(shares(booster, X)[0], booster.predict(X, pred_contrib=True)[:, :-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(shares(booster, X, background)[0], mixed(booster, X, background), rtol=0, atol=1e-12)


def test_paths_with_more_features_than_a_table_holds_are_exact():
    rng = np.random.default_rng(0)
    X = rng.random((400, 11))
    # Each feature halves what is left of the others, so that a path runs through all of them.
    target = np.cumprod(X > 0.2, axis=1).sum(axis=1)
    asked = {"objective": "regression", "num_leaves": 14, "min_data_in_leaf": 2, "num_threads": 1, "verbose": -1}
    booster = lgb.train(asked, lgb.Dataset(X, target), 2)
    prepared = shapley.prepare(booster_text.trees_of(booster))
    assert prepared.units.n_bits.max() > shapley.MAX_BITS + 1
    values = shapley.shapley_values(prepared, X)
    np.testing.assert_allclose(values, booster.predict(X, pred_contrib=True)[:, :-1], rtol=0, atol=1e-12)
    chosen, background = X[-2:], X[:3]
    np.testing.assert_allclose(
        shares(booster, chosen, background)[0], mixed(booster, chosen, background), rtol=0, atol=1e-12
    )


def test_a_tree_of_one_leaf_explains_nothing():
    booster, X = trained(0, min_data_in_leaf=100)
    assert len(booster_text.trees_of(booster).feature) == 0
    for background in (None, X[:3]):
        values, base = shares(booster, X, background)
        assert (values == 0).all()
        np.testing.assert_allclose(base, booster.predict(X[:1], raw_score=True)[0], rtol=0, atol=1e-15)


# --- against shap ---------------------------------------------------------------------------------------------------


def by_shap(booster: lgb.Booster, X: np.ndarray, background: np.ndarray) -> np.ndarray:
    shap = pytest.importorskip("shap")
    explainer = shap.TreeExplainer(booster, data=background, feature_perturbation="interventional")
    return explainer.shap_values(X, check_additivity=False)


@pytest.mark.parametrize("kind", ["NaN is missing", "whole numbers without holes"])
def test_interventional_values_are_those_of_shap_for_splits_by_thresholds(kind):
    booster, X = trained(3, n_trees=10, **KINDS[kind])
    # shap keeps rows and thresholds in 32 bits.
    np.testing.assert_allclose(shares(booster, X, X[:20])[0], by_shap(booster, X, X[:20]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["categories", "zero is missing", "nothing is missing"])
def test_interventional_values_are_right_where_those_of_shap_are_not(kind):
    booster, X = trained(3, n_trees=10, **KINDS[kind])
    expected = mixed(booster, X, X[:20])
    np.testing.assert_allclose(shares(booster, X, X[:20])[0], expected, rtol=0, atol=1e-12)
    assert np.abs(by_shap(booster, X, X[:20]) - expected).max() > 0.1, "shap has learned this: say so in the docs"


# --- what must not matter -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compared", [False, True])
def test_a_row_is_explained_alike_whatever_the_order_the_batch_and_the_threads(compared):
    booster, X = trained(1, num_leaves=12)
    X = np.tile(odd_rows(booster, X, np.random.default_rng(0), 500), (5, 1))
    prepared = shapley.prepare(booster_text.trees_of(booster), X[:7] if compared else None)
    values = shapley.shapley_values(prepared, X, n_jobs=1)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(shapley.shapley_values(prepared, X[order], n_jobs=1), values[order])
    np.testing.assert_array_equal(shapley.shapley_values(prepared, np.asfortranarray(X), n_jobs=2), values)
    for n_jobs in (2, 3, 50):
        np.testing.assert_array_equal(shapley.shapley_values(prepared, X[:999], n_jobs=n_jobs), values[:999])
    for row in (0, 1, 1030, 2499):
        np.testing.assert_array_equal(shapley.shapley_values(prepared, X[row : row + 1])[0], values[row])
    assert shapley.shapley_values(prepared, X[:0]).shape == (0, X.shape[1])


def test_tables_that_do_not_fit_at_once_are_made_in_parts(monkeypatch):
    booster, X = trained(2, n_trees=12, num_leaves=12)
    whole = shapley.prepare(booster_text.trees_of(booster), X[:9])
    monkeypatch.setattr(shapley, "MAX_CELLS", len(whole.cells) // 3)
    parted = shapley.prepare(booster_text.trees_of(booster), X[:9])
    first_cell = parted.units.first_cell[parted.units.first_unit]
    assert parted.cells is None
    assert [start for start, _ in parted.parts] == [0, *(end for _, end in parted.parts[:-1])]
    assert max(first_cell[end] - first_cell[start] for start, end in parted.parts) <= len(whole.cells) // 3
    expected = shapley.shapley_values(whole, X)
    np.testing.assert_allclose(shapley.shapley_values(parted, X, n_jobs=2), expected, rtol=0, atol=1e-13)


def test_trees_that_learned_on_from_others_count_for_themselves():
    booster, X = trained(4)
    data = lgb.Dataset(X, np.nan_to_num(X[:, 0]), free_raw_data=False)
    further = lgb.train({"objective": "regression", "verbose": -1, "num_threads": 1}, data, 2, init_model=booster)
    for model in (booster, further):
        np.testing.assert_allclose(shares(model, X)[0], model.predict(X, pred_contrib=True)[:, :-1], rtol=0, atol=1e-12)


# --- what is refused ------------------------------------------------------------------------------------------------


def test_rows_of_other_columns_and_an_empty_background_are_refused():
    booster, X = trained(0)
    arrays = booster_text.trees_of(booster)
    for refused in (
        lambda: trees.margins(arrays, X[:, :3]),
        lambda: shapley.prepare(arrays, X[:, :3]),
        lambda: shapley.shapley_values(shapley.prepare(arrays), np.column_stack([X, X])),
        lambda: shapley.shapley_values(shapley.prepare(arrays), X[0]),
    ):
        with pytest.raises(ValueError, match="expected rows of 4 features, got an array of shape"):
            refused()
    with pytest.raises(ValueError, match="the background has no rows"):
        shapley.prepare(arrays, X[:0])


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({"objective": "multiclass", "num_class": 3}, "expected num_class=1, found '3'"),
        ({"linear_tree": True}, "has linear leaves"),
        ({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, "average_output"),
    ],
)
def test_boosters_of_another_kind_are_refused(further, message):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    data = lgb.Dataset(X, rng.integers(0, 3, 200))
    booster = lgb.train({"objective": "regression", "verbose": -1, "num_threads": 1, **further}, data, 2)
    with pytest.raises(ValueError, match=message):
        booster_text.trees_of(booster)


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("cat_boundaries=0", "cat_boundaries=1", "cat_boundaries"),
        ("cat_threshold=", "cat_threshold=9999999999 ", "cat_threshold"),
        ("num_cat=1", "num_cat=2", "not numbered from 0 to num_cat"),
        ("decision_type=9", "decision_type=8", "not numbered from 0 to num_cat"),
        ("decision_type=9", "decision_type=3", "a decision_type that no split has"),
        ("internal_count=150", "internal_count=149", "counts of rows that do not add up"),
    ],
)
def test_a_text_that_does_not_hold_together_is_refused(monkeypatch, line, wrong, message):
    booster, _ = trained(0, n_features=3, n_trees=1, num_leaves=3, categories=True)
    text = booster_text.write_booster(booster)
    assert line in text
    size = int(text.partition("tree_sizes=")[2].partition("\n")[0])
    damaged = text.replace(line, wrong, 1).replace(f"={size}\n", f"={size + len(wrong) - len(line)}\n", 1)
    monkeypatch.setattr(booster_text, "write_booster", lambda _: damaged)
    with pytest.raises(ValueError, match=message):
        booster_text.trees_of(booster)


@CASES
@given(st.data())
def test_whatever_happens_to_the_text_it_is_refused_or_the_values_still_add_up(data):
    booster, X = trained(0, n_trees=2, categories=True)
    text = booster_text.write_booster(booster)
    start, cut = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(0, 3))
    new = data.draw(st.text(st.sampled_from("0123456789-. =\nee+:"), max_size=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(booster_text, "write_booster", lambda _: text[:start] + new + text[start + cut :])
        try:
            arrays = booster_text.trees_of(booster)
        except ValueError:
            return
    prepared = shapley.prepare(arrays)
    total = prepared.base_value + shapley.shapley_values(prepared, X).sum(axis=1)
    margins = trees.margins(arrays, X)
    # Digits of a leaf may have become a number as large as 1e300.
    np.testing.assert_allclose(total, margins, rtol=1e-9, atol=1e-12 * np.abs(arrays.leaf_value).max())


# --- planted faults -------------------------------------------------------------------------------------------------

FAULTS = {
    "what equals the threshold goes right": ("explanation.trees", "value[row] <= threshold", "value[row] < threshold"),
    "NaN is compared as if it were a number": ("explanation.trees", "not value[row] > threshold", "value[row] <= threshold"),
    "the default direction is ignored": ("explanation.trees", "missing_left = decision & 2 != 0", "missing_left = True"),
    "zero is never missing": ("explanation.trees", "if value[row] == 0.0:", "if False:"),
    "NaN is missing where nothing is": ("explanation.trees", "if decision >= 4 else threshold >= 0.0", ""),
    "tiny values are not zero": ("explanation.trees", "values[np.abs(values) <= _ZERO] = 0.0", "pass"),
    "a category is rounded": ("explanation.trees", "category = int(value[row])", "category = round(value[row])"),
    "a category is not cut to a whole number": ("explanation.trees", "-1.0 < value[row] < 2147483648.0", "0.0 <= value[row] < 2147483648.0"),
    "categories above 31 are those below": ("explanation.trees", "words[category >> 5]", "words[0]"),
    "categories are read as thresholds": ("explanation.trees", "if decision & 1:", "if False:"),
    "children change sides": ("model.booster_text", "left, right = children", "right, left = children"),
    "bits of another split": ("model.booster_text", "n_words[nodes] = np.diff(bounds)", "n_words[nodes] = np.diff(bounds)[::-1]"),
    "the cover of the other child": ("explanation.shapley", "holds[0, k] *= rows / ", "holds[0, k] *= 1.0 - rows / "),
    "the cover of the last split of a feature only": ("explanation.shapley", "holds[0, k] *= rows", "holds[0, k] = rows"),
    "one condition of a feature is enough": ("explanation.shapley", "if pattern & mask[k] == wanted[k]:", "if pattern & mask[k] & wanted[k] or mask[k] == 0:"),
    "the background stays on its side": ("explanation.shapley", "row] != is_left:", "row] == is_left:"),
    "the background's last decision on a feature decides": ("explanation.shapley", "if goes_left[node - trees.first_node[tree], row] != is_left:\n                        holds[row, k] = 0.0", "holds[row, k] = float(goes_left[node - trees.first_node[tree], row] == is_left)"),
    "one background row less": ("explanation.shapley", "chance[pattern] /= n_background", "chance[pattern] /= n_background + 1"),
    "one point of the integral less": ("explanation.shapley", "m = (n + 1) // 2\n    for point", "m = max((n + 1) // 2 - 1, 1)\n    for point"),
    "absent features count for nothing": ("explanation.shapley", "table[k, held] -=", "table[k, held] -= 0.0 *"),
    "coalitions of all sizes weigh the same": ("explanation.shapley", "power[0, k + 1] = power[0, k] * t", "power[0, k + 1] = power[0, k] * 0.5"),
    "a feature above is not asked again inside": ("explanation.shapley", "bit = units.bit_of_node[node] if is_inside else slot[k]", "bit = slot[k]"),
    "the sides of the way down are not told apart": ("explanation.units", "units.left[look] = trees.left[node] == child", "units.left[look] = 1"),
    "one condition more than a byte holds": ("explanation.shapley", "MAX_BITS = 8", "MAX_BITS = 9"),
    "the last unit of a tree is left out": ("explanation.shapley", "for unit in range(units.first_unit[tree], units.first_unit[tree + 1]):", "for unit in range(units.first_unit[tree], units.first_unit[tree + 1] - 1):"),
    "the base is the mean of the leaves": ("explanation.shapley", "float((chance * trees.leaf_value).sum())", "float(trees.leaf_value.mean())"),
}  # fmt: skip


def differs() -> bool:
    """Return whether one of the comparisons above, on small boosters of every kind, finds a difference."""
    for seed, kind in enumerate(sorted(KINDS)):
        booster, X = trained(seed, n_trees=2, num_leaves=14, **KINDS[kind])
        rng = np.random.default_rng(seed)
        X, background = odd_rows(booster, X, rng, 20), odd_rows(booster, X, rng, 4)
        booster_text._TREES.clear()
        margins = booster.predict(X, raw_score=True)
        contributions = booster.predict(X, pred_contrib=True)
        pairs = [(trees.margins(booster_text.trees_of(booster), X), margins)]
        values, base = shares(booster, X)
        pairs += [(values, contributions[:, :-1]), (base, contributions[0, -1])]
        values, base = shares(booster, X, background)
        pairs += [(values, mixed(booster, X, background)), (base + values.sum(axis=1), margins)]
        if any(np.abs(ours - theirs).max() > 1e-12 for ours, theirs in pairs):
            return True
    return False


def test_without_a_fault_nothing_differs(plant):
    plant("explanation.shapley", "", "")
    assert not differs()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault, plant):
    plant(*FAULTS[fault])
    # Kernels call one another: with one of them in plain Python, those that call it must be too.
    if FAULTS[fault][0] != "explanation.shapley":
        plant("explanation.shapley", "", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert differs()
