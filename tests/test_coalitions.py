"""Causes as players: equal to every coalition of causes by hand, and adding up to the risk shown."""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import itertools
import math

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_trees import CASES, KINDS, SEEDS, _goes_left, odd_rows, trained
from trees import Trees, dictionary, explanation, keys

from riskml import steps
from riskml.causes import CAUSES
from riskml.explanation import coalitions
from riskml.explanation.coalitions import Game, cause_interactions, cause_values
from riskml.explanation.contributions import explain
from riskml.explanation.shapley import prepare, shapley_values
from riskml.model.booster_text import trees_of
from riskml.output.watchlists import watchlist

N_FEATURES = 5


@st.composite
def games(draw):
    """Draw a booster, its game and rows; features are shared out among a few causes, some of which have none."""
    seed, kind = draw(SEEDS), draw(st.sampled_from(sorted(KINDS)))
    booster, X = trained(seed, num_leaves=draw(st.sampled_from([2, 5, 12])), n_features=N_FEATURES, **KINDS[kind])
    players = np.array(draw(st.lists(st.sampled_from([0, 1, 4, 12]), min_size=N_FEATURES, max_size=N_FEATURES)))
    rng = np.random.default_rng(seed)
    trees = trees_of(booster)
    if draw(st.booleans()):
        # The counts are walked by plain Python, which does not cut what LightGBM takes for zero.
        return booster, Game(trees, None, players, 0.7), X[rng.integers(0, len(X), 3)]
    return booster, Game(trees, odd_rows(booster, X, rng, 4), players, 0.7), odd_rows(booster, X, rng, 3)


def worths(booster, game, row):
    """Return {causes known: log-odds} of a row, from LightGBM's own predictions or the counts in its dump."""
    found = {}
    for n_known in range(len(CAUSES) + 1):
        for known in itertools.combinations(sorted(set(game.players)), n_known):
            features = np.isin(game.players, known)
            if game.background is None:
                trees = booster.dump_model()["tree_info"]
                worth = sum(_mean(tree["tree_structure"], row, features) for tree in trees)
            else:
                worth = booster.predict(np.where(features, row, game.background), raw_score=True).mean()
            found[frozenset(known)] = game.slope * worth
    return found


def _mean(node, row, known):
    """Return the mean of the leaves below a node; a node whose feature is not known splits as its counts say."""
    if "split_feature" not in node:
        return node["leaf_value"]
    children = node["left_child"], node["right_child"]
    if known[node["split_feature"]]:
        return _mean(children[not _goes_left(node, row[node["split_feature"]])], row, known)
    counts = [child.get("internal_count", child.get("leaf_count")) for child in children]
    return sum(count * _mean(child, row, known) for count, child in zip(counts, children, strict=True)) / sum(counts)


def by_definition(worth):
    """Return Shapley values (13,) and interactions (13, 13; off the diagonal) of a game given as {coalition: worth}."""
    everyone = max(worth, key=len)
    n = len(everyone)
    values, pairs = np.zeros(len(CAUSES)), np.zeros((len(CAUSES), len(CAUSES)))
    for known, base in worth.items():
        size, absent = len(known), everyone - known
        for one in absent:
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            values[one] += weight * (worth[known | {one}] - base)
        for one, other in itertools.permutations(absent, 2):
            weight = math.factorial(size) * math.factorial(n - size - 2) / math.factorial(n - 1)
            both, each = worth[known | {one, other}], worth[known | {one}] + worth[known | {other}]
            pairs[one, other] += weight * (both - each + base) / 2
    return values, pairs


@CASES
@given(games())
def test_values_and_pairs_of_causes_are_those_over_all_coalitions_of_causes(drawn):
    booster, game, X = drawn
    values, pairs = cause_values(game, X), cause_interactions(game, X)
    own = np.arange(len(CAUSES))
    for row in range(len(X)):
        expected, expected_pairs = by_definition(worths(booster, game, X[row]))
        np.testing.assert_allclose(values[row], expected, rtol=0, atol=1e-12)
        alone = pairs[row][own, own].copy()
        pairs[row][own, own] = 0.0
        np.testing.assert_allclose(pairs[row], expected_pairs, rtol=0, atol=1e-12)
        np.testing.assert_allclose(alone + expected_pairs.sum(axis=1), expected, rtol=0, atol=1e-12)


@CASES
@given(games())
def test_where_every_cause_has_one_feature_it_gets_what_the_feature_gets(drawn):
    _, game, X = drawn
    alone = game._replace(players=np.array([3, 0, 7, 12, 5]))
    features = game.slope * shapley_values(prepare(game.trees, game.background), X)
    for causes in ("players", "sum"):
        np.testing.assert_allclose(cause_values(alone, X, causes)[:, alone.players], features, rtol=0, atol=1e-12)


@CASES
@given(games())
def test_either_way_to_count_adds_up_to_the_margin(drawn):
    booster, game, X = drawn
    moved = game.slope * (
        booster.predict(X, raw_score=True) - prepare(game.trees, game.background, players=game.players).base_value
    )
    for causes in ("players", "sum"):
        np.testing.assert_allclose(cause_values(game, X, causes).sum(axis=1), moved, rtol=0, atol=1e-10)
    np.testing.assert_allclose(cause_interactions(game, X).sum(axis=(1, 2)), moved, rtol=0, atol=1e-10)


def all_hold(n_features):
    """Return a tree that adds 1 where every one of the features is 1, and 0 elsewhere."""
    X = np.array(list(itertools.product([0.0, 1.0], repeat=n_features)) * 4)
    asked = {"objective": "regression", "learning_rate": 1.0, "num_leaves": n_features + 1, "min_data_in_leaf": 1}
    asked |= {"boost_from_average": False, "min_sum_hessian_in_leaf": 0.0, "num_threads": 1, "verbose": -1}
    booster = lgb.train(asked, lgb.Dataset(X, X.prod(axis=1), params={"min_data_in_bin": 1}), 1)
    np.testing.assert_allclose(booster.predict(X), X.prod(axis=1), atol=1e-6)
    return booster


@pytest.mark.parametrize("n_features", [3, 6])
def test_a_cause_of_many_features_is_favoured_by_their_sum_and_not_as_a_player(n_features):
    # All conditions hold together or nothing counts: n features get 1/n each, two causes 1/2 each.
    booster = all_hold(n_features)
    players = np.array([0] * (n_features - 1) + [8])
    game = Game(trees_of(booster), np.zeros((1, n_features)), players, 1.0)
    row = np.ones((1, n_features))
    many, few = (n_features - 1) / n_features, 1 / n_features
    np.testing.assert_allclose(cause_values(game, row, "sum")[0, [0, 8]], [many, few], atol=1e-6)
    np.testing.assert_allclose(cause_values(game, row)[0, [0, 8]], [1 / 2, 1 / 2], atol=1e-6)
    # And it is the pair that counts: neither adds anything alone.
    pairs = cause_interactions(game, row)[0][np.ix_([0, 8], [0, 8])]
    np.testing.assert_allclose(pairs, [[0, 1 / 2], [1 / 2, 0]], atol=1e-6)


def test_paths_with_more_causes_than_a_table_has_bits_are_exact():
    booster, n = all_hold(10), 10
    game = Game(trees_of(booster), np.zeros((1, n)), np.arange(n), 1.0)
    np.testing.assert_allclose(cause_values(game, np.ones((1, n)))[0, :n], np.full(n, 1 / n), atol=1e-6)
    # The worth is t^n where all are present with chance t: its second derivative by two of them has the integral 1/(n-1).
    pairs = cause_interactions(game, np.ones((1, n)))[0]
    np.testing.assert_allclose(pairs[np.triu_indices(n, 1)], 1 / (n - 1) / 2, atol=1e-6)


# --- explanations ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_and_rows():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(300, 4)), columns=["bills", "wage", "grade", "losses"], index=keys(300))
    X = X.mask(rng.random(X.shape) < 0.1)
    known = X.fillna(0)
    y = (known["bills"] * known["losses"] - known["wage"] + rng.normal(size=300) > 1).astype(float)
    meaning = dictionary(
        bills=("illness", "lines"), wage=("income", "lines"), grade=("housing", "grade"), losses=("illness", "lines")
    )
    return Trees(X, y, meaning), X


@pytest.mark.parametrize("compared", [False, True])
def test_points_and_pairs_of_an_explanation_add_up_to_the_risk(model_and_rows, compared):
    model, X = model_and_rows
    why = explain(model, X, background=X[:20] if compared else None, causes="players")
    np.testing.assert_allclose(why.in_points().sum(axis=1), why.risk - why.base_risk, rtol=0, atol=1e-9)
    sums, played = why.by_cause("sum"), why.by_cause()
    np.testing.assert_allclose(played.sum(axis=1), sums.sum(axis=1), rtol=0, atol=1e-9)
    assert np.abs(played - sums).max().max() > 0.01
    some = why.take(X.index[:5])
    pairs = some.interactions()
    assert list(pairs.index.names) == ["household_id", "as_of_date", "cause"]
    assert pairs.index[14] == (*X.index[1], "disability")
    np.testing.assert_allclose(pairs.sum(axis=1), played[:5].stack(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(some.interactions("points").sum(axis=1), why.in_points()[:5].stack(), rtol=0, atol=1e-12)


def test_a_household_alone_is_counted_to_the_last_bit_as_among_others(model_and_rows):
    model, X = model_and_rows
    whole = explain(model, X, causes="players")
    part = explain(model, X[7:8], causes="players")
    pd.testing.assert_frame_equal(part.in_points(), whole.in_points()[7:8], check_exact=True)
    pd.testing.assert_frame_equal(part.interactions(), whole.interactions()[7 * 13 : 8 * 13], check_exact=True)


def test_where_the_two_ways_put_another_cause_first_the_reason_says_so(model_and_rows):
    model, X = model_and_rows
    sums, played = explain(model, X), explain(model, X, causes="players")
    other = sums.top_causes(1)["cause_1"] != played.top_causes(1)["cause_1"]
    raised = played.in_points().max(axis=1) >= 0.0005
    said = played.reasons()
    assert (other & raised).any()
    assert (said["reason_en"].str.contains("The main reason is uncertain: counted feature by") == other & raised).all()
    assert (said["reason_zh"].str.contains("首要因素不确定：逐项计算时，排在首位的是") == other & raised).all()
    assert not sums.reasons()["reason_en"].str.contains("uncertain").any()


@pytest.mark.parametrize("causes", ["sum", "players"])
def test_records_of_a_list_are_those_of_its_own_way_to_count(model_and_rows, causes):
    model, X = model_and_rows
    why = explain(model, X, causes=causes)
    listed = watchlist(why.risk, why, n=30)
    again = steps._as_listed(listed, model, X.loc[pd.MultiIndex.from_frame(listed[["household_id", "as_of_date"]])])
    assert (again.top_causes()["cause_1"].to_numpy() == listed["cause_1"].to_numpy()).all()
    assert again.causes == causes


def test_another_way_to_count_is_refused_and_so_are_players_without_trees(model_and_rows):
    model, X = model_and_rows
    with pytest.raises(ValueError, match=r"explain\(causes='owen'\)"):
        explain(model, X, causes="owen")
    why = explain(model, X[:2])
    with pytest.raises(ValueError, match="by_cause"):
        why.by_cause("owen")
    with pytest.raises(ValueError, match="interactions"):
        why.interactions("percent")
    by_hand = explanation([[1.0]], [[1.0]], bills=("illness", "lines"))
    for asked in (lambda: by_hand.by_cause("players"), by_hand.interactions):
        with pytest.raises(ValueError, match=r"make it with explain\(model, X\)"):
            asked()


# --- planted faults -------------------------------------------------------------------------------------------------

FAULTS = {
    "one condition of a cause is enough": ("explanation.coalitions", "here[row, k] = 0.0", "here[row, k] = 1.0 if n else 0.0"),
    "the cover of a cause's last split only": ("explanation.coalitions", "there[0, k] *= passed", "there[0, k] = passed"),
    "the background's conditions are forgotten": ("explanation.coalitions", "there[row, k] = 0.0", "pass"),
    "the other factors of a pair are left out": ("explanation.coalitions", "if k not in (i, j):", "if False:"),
    "a pair's own factors count too": ("explanation.coalitions", "if k not in (i, j):", "if True:"),
    "one point of the integral less": ("explanation.coalitions", "m = n // 2", "m = max(n // 2 - 1, 1)"),
    "pairs count twice": ("explanation.coalitions", "/ len(there) / 2.0", "/ len(there)"),
    "pairs are not taken from what a cause adds alone": ("explanation.coalitions", "- pairs.sum(axis=2)", ""),
    "features stay players": ("explanation.coalitions", ", players=game.players)", ", players=np.arange(len(game.players)))"),
    "the slope is forgotten": ("explanation.coalitions", "pairs *= game.slope", "pass"),
}  # fmt: skip


def differs() -> bool:
    """Return whether values or pairs of small boosters differ from the sums over all coalitions."""
    for seed, compared in ((1, False), (2, True), (3, True)):
        booster, X = trained(seed, n_features=N_FEATURES, n_trees=2, num_leaves=14)
        game = Game(trees_of(booster), X[5:8] if compared else None, np.array([0, 1, 2, 4, 0]), 0.7)
        values, pairs = coalitions.cause_values(game, X[:3]), coalitions.cause_interactions(game, X[:3])
        for row in range(3):
            expected, expected_pairs = by_definition(worths(booster, game, X[row]))
            np.fill_diagonal(expected_pairs, expected - expected_pairs.sum(axis=1))
            if max(np.abs(values[row] - expected).max(), np.abs(pairs[row] - expected_pairs).max()) > 1e-12:
                return True
    return False


def test_without_a_fault_nothing_differs(plant):
    plant("explanation.coalitions", "", "")
    assert not differs()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault, plant):
    plant(*FAULTS[fault])
    assert differs()
