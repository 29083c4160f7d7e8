"""Explanations: they add up, agree with shap and with an integral, name causes in words, and rest on records."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import expit, logit
from trees import Trees, dictionary, explanation, keys
from worlds import ASKED, random_tables

from riskml.causes import CAUSES
from riskml.explanation import contributions
from riskml.explanation.contributions import explain
from riskml.explanation.shapley import prepare
from riskml.features.dictionary import feature_dictionary
from riskml.features.panel import feature_table
from riskml.model.classifier import RiskClassifier
from riskml.tables.monitoring import Monitoring

log_odds = st.floats(-8, 8, allow_nan=False)


@pytest.fixture(scope="module")
def bills():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(300, 4)), columns=["bills", "wage", "grade", "losses"], index=keys(300))
    X = X.mask(rng.random(X.shape) < 0.1)
    y = (X["bills"].fillna(0) - X["wage"].fillna(0) + rng.normal(size=300) > 1).astype(float)
    meaning = dictionary(
        bills=("illness", "lines"), wage=("income", "lines"), grade=("housing", "grade"), losses=("illness", "lines")
    )
    return Trees(X, y, meaning), X


@pytest.fixture(scope="module")
def district():
    data = Monitoring(random_tables(5, n_households=60))
    X = feature_table(data, [ASKED[1]])
    y = np.random.default_rng(0).random(len(X)) < expit(3 - 2 * X["welfare"])
    return data, Trees(X, y.astype(float), feature_dictionary()), X


def test_contributions_add_up_to_the_log_odds_and_points_to_the_risk(bills):
    model, X = bills
    why = explain(model, X)
    np.testing.assert_allclose(why.base_value + why.values.sum(axis=1), logit(model.predict_risk(X)), atol=1e-9)
    for by in ("cause", "feature"):
        np.testing.assert_allclose(why.in_points(by).sum(axis=1), why.risk - why.base_risk, rtol=0, atol=1e-9)
    np.testing.assert_allclose(why.by_cause().sum(axis=1), why.values.sum(axis=1), atol=1e-12)
    assert list(why.by_cause()) == list(CAUSES)


def test_a_household_alone_is_explained_to_the_last_bit_as_among_others(district):
    _, model, X = district
    whole = explain(model, X)
    for n_rows in (1, 2, 3, 7):
        part = explain(model, X[5 : 5 + n_rows])
        for by in ("cause", "feature"):
            expected = whole.in_points(by)[5 : 5 + n_rows]
            pd.testing.assert_frame_equal(part.in_points(by), expected, check_exact=True)


def test_contributions_are_those_of_shap_times_the_slope_of_the_calibration(bills):
    shap = pytest.importorskip("shap")
    model, X = bills
    explainer = shap.TreeExplainer(model.booster_)
    why = explain(model, X)
    np.testing.assert_allclose(why.values, 0.8 * explainer(X.to_numpy()).values, atol=1e-9)
    assert why.base_value == pytest.approx(0.8 * float(np.ravel(explainer.expected_value)[-1]) - 0.3, abs=1e-9)


def test_contributions_are_shapley_values_over_all_orders_of_the_features():
    """Brute force: each feature enters in every order; an absent one is averaged by the trees' own counts."""
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"], index=keys(80))
    model = Trees(X, (X["a"] * X["b"] + X["c"] > 0).astype(float), dictionary(**dict.fromkeys("abc", ("other", ""))))
    trees = model.booster_.dump_model()["tree_info"]
    row = X.to_numpy()[7]
    expected = np.zeros(3)
    orders = list(itertools.permutations(range(3)))
    for order in orders:
        known: set[int] = set()
        for feature in order:
            gain = _mean(trees, row, known | {feature}) - _mean(trees, row, known)
            expected[feature] += gain / len(orders)
            known.add(feature)
    np.testing.assert_allclose(explain(model, X).values[7], 0.8 * expected, atol=1e-9)


def _mean(trees, row, known):
    def walk(node):
        if "leaf_value" in node:
            return node["leaf_value"]
        left, right = node["left_child"], node["right_child"]
        if node["split_feature"] in known:
            return walk(left if row[node["split_feature"]] <= node["threshold"] else right)
        sizes = [child.get("leaf_count", child.get("internal_count")) for child in (left, right)]
        return (sizes[0] * walk(left) + sizes[1] * walk(right)) / sum(sizes)

    return sum(walk(tree["tree_structure"]) for tree in trees)


def test_with_a_background_every_row_starts_from_its_mean_log_odds_and_values_are_those_of_mixed_rows(bills):
    model, X = bills
    background = X[:20]
    why = explain(model, X, background=background)
    assert why.base_value == pytest.approx(logit(model.predict_risk(background)).mean(), abs=1e-12)
    np.testing.assert_allclose(why.base_value + why.values.sum(axis=1), logit(model.predict_risk(X)), atol=1e-9)
    row = X.iloc[[33]]
    expected = np.zeros(4)
    orders = list(itertools.permutations(X.columns))
    for order in orders:
        met = background.set_axis(keys(20))
        before = logit(model.predict_risk(met)).mean()
        for name in order:
            met = met.assign(**{name: row[name].iloc[0]})
            after = logit(model.predict_risk(met)).mean()
            expected[X.columns.get_loc(name)] += (after - before) / len(orders)
            before = after
    np.testing.assert_allclose(explain(model, row, background=background).values[0], expected, atol=1e-12)


def test_a_background_fits_the_model_or_is_refused(bills):
    model, X = bills
    turned = X[X.columns[::-1]]
    np.testing.assert_array_equal(
        explain(model, X, background=turned[:9]).values, explain(model, X, background=X[:9]).values
    )
    named = RiskClassifier(dictionary=model.dictionary_.assign(direction=0, actionable=False), n_estimators=5)
    named.fit(X, np.arange(len(X)) % 2)
    with pytest.raises(ValueError, match="1 missing: wage"):
        explain(named, X, background=X.drop(columns="wage"))
    with pytest.raises(ValueError, match="0 sample"):
        explain(named, X, background=X[:0])


def test_tables_are_made_once_for_a_booster_and_a_background(bills, monkeypatch):
    model, X = bills
    model = Trees(X, X["bills"].fillna(0) > 1, model.dictionary_)
    made = []
    monkeypatch.setattr(contributions, "prepare", lambda *given: made.append(given) or prepare(*given))
    for background in (None, None, X[:5], X[:5].copy(), X[:6], None):
        explain(model, X[:3], background=background)
    assert [None if rows is None else len(rows) for _, rows in made] == [None, 5, 6, None]


def test_columns_in_another_order_give_the_same_explanation(bills):
    model, X = bills
    np.testing.assert_array_equal(explain(model, X[X.columns[::-1]]).values, explain(model, X).values)


def test_an_empty_table_has_an_empty_explanation_with_the_same_start(bills):
    model, X = bills
    # A booster refuses no rows, as the model itself does not.
    model_of_none = Trees.__new__(Trees)
    model_of_none.__dict__ = model.__dict__ | {"predict_risk": lambda X: pd.Series(dtype=float, index=X.index)}
    none = explain(model_of_none, X.iloc[:0])
    assert none.values.shape == (0, 4)
    assert none.base_value == explain(model, X).base_value
    assert none.in_points().shape == (0, 13)


@settings(max_examples=60, deadline=None)
@given(base=log_odds, values=st.lists(log_odds, min_size=2, max_size=2))
def test_points_are_the_integral_along_the_straight_line_of_log_odds(base, values):
    why = explanation([values], [[1, 1]], base_value=base, a=("illness", ""), b=("income", ""))
    points = why.in_points().iloc[0]
    total = sum(values)
    for cause, value in zip(("illness", "income"), values, strict=True):
        slope = quad(lambda way: expit(base + way * total) * expit(-base - way * total), 0, 1, epsabs=1e-13)[0]
        assert points[cause] == pytest.approx(value * slope, abs=1e-10)


@pytest.mark.parametrize("sum_", [0.0, 1e-300, 1e-16, -1e-12, 1e-8, 900.0, -900.0])
def test_points_are_right_where_the_contributions_cancel_or_are_huge(sum_):
    base = -2.0
    why = explanation([[2.0, sum_ - 2.0]], [[1, 1]], base_value=base, a=("illness", ""), b=("income", ""))
    points = why.in_points("feature").to_numpy()[0]
    assert np.isfinite(points).all()
    assert points.sum() == pytest.approx(float(expit(base + why.values.sum()) - expit(base)), abs=1e-12)
    if abs(sum_) < 1e-6:
        assert points[0] == pytest.approx(2.0 * expit(base) * expit(-base), rel=1e-6)


def test_top_causes_are_those_with_positive_points_and_the_first_is_always_named():
    why = explanation(
        [[0.5, 1.0, -2.0], [-1.0, -0.5, -2.0], [0.3, 0.3, 0.3]],
        np.ones((3, 3)),
        a=("housing", ""), b=("illness", ""), c=("income", ""),
    )  # fmt: skip
    top = why.top_causes(3).to_numpy().tolist()
    assert top[0] == ["illness", "housing", ""]
    assert top[1] == ["illness", "", ""]
    assert top[2] == ["illness", "housing", "income"]


def test_a_risk_without_any_contribution_is_filed_under_other():
    assert explanation([[0.0]], [[1.0]], a=("illness", "")).top_causes(2).to_numpy().tolist() == [["other", ""]]


def test_the_sentence_names_causes_values_units_and_points_and_no_jargon():
    why = explanation([[2.0, -0.5]], [[0.62, 1.5]], bills=("illness", "lines"), wage=("income", "lines"))
    sentence = why.reasons().iloc[0]
    risk = expit(-1.5)
    points = 100 * 2.0 * (risk - expit(-3.0)) / 1.5
    assert sentence["reason_en"] == (
        f"Risk 18%, raised by health (+{points:.1f} points; the bills: 0.62 of the poverty line); "
        f"lowered by records of income (-{points / 4:.1f} points)."
    )
    assert sentence["reason_zh"] == (
        f"返贫风险18%，升高因素：健康（+{points:.1f}个百分点，某bills：贫困线的0.62倍）。"
        f"降低因素：收入方面（-{points / 4:.1f}个百分点）。"
    )


def test_a_risk_that_nothing_raises_is_said_to_be_so():
    why = explanation([[-1.0, -0.5]], [[0.1, 3.0]], bills=("illness", "lines"), wage=("income", "lines"))
    lost = 100 * (expit(-3.0) - expit(-4.5)) / 1.5
    assert why.reasons()["reason_en"].iloc[0] == (
        "Risk 1.1%, below the 4.7% where every household starts: "
        f"lowered by records of health (-{lost:.1f} points) and income (-{lost / 2:.1f} points); "
        "nothing on file raises it."
    )


def test_a_low_risk_with_something_raising_it_is_said_to_be_below_the_start():
    why = explanation([[0.5, -2.0]], [[0.1, 3.0]], bills=("illness", "lines"), wage=("income", "lines"))
    sentence = why.reasons()["reason_en"].iloc[0]
    assert sentence.startswith("Risk 1.1%, below the 4.7% where every household starts: lowered by records of income")
    assert "; raised by health (+" in sentence


def test_a_value_on_record_is_named_before_a_stronger_missing_one():
    why = explanation([[1.0, 0.2]], [[np.nan, 3.0]], bills=("illness", "lines"), days=("illness", "days"))
    assert "the days: 3 days" in why.reasons()["reason_en"].iloc[0]
    alone = explanation([[1.0]], [[np.nan]], bills=("illness", "lines"))
    assert "the bills: not on record" in alone.reasons()["reason_en"].iloc[0]


def test_sensitive_features_count_but_are_not_spelled_out():
    why = explanation([[2.0, -0.1]], [[1.0, 0.0]], woman=("other", "flag", True), bills=("illness", "lines"))
    assert why.in_points()["other"].iloc[0] > 0
    assert "woman" not in why.reasons().iloc[0].str.cat()
    assert "other records (+" in why.reasons()["reason_en"].iloc[0]
    assert why.leading_features().empty


def test_of_several_windows_of_one_column_only_the_strongest_is_named():
    why = explanation(
        [[1.0, 0.9, 0.2]],
        [[1, 2, 3]],
        bills_3m=("illness", "lines"),
        bills_12m=("illness", "lines"),
        ill=("illness", "count"),
    )
    why.dictionary["column"] = ["out_of_pocket", "out_of_pocket", "serious"]
    assert why.leading_features()["feature"].tolist() == ["bills_3m", "ill"]


def test_taking_rows_takes_their_explanations_and_refuses_others(bills):
    model, X = bills
    why = explain(model, X)
    some = why.take(X.index[[5, 2]])
    np.testing.assert_array_equal(some.values, why.values[[5, 2]])
    pd.testing.assert_series_equal(some.risk, why.risk.iloc[[5, 2]])
    with pytest.raises(KeyError, match="not among the 300 rows explained"):
        why.take(keys(301)[-1:])


def test_only_causes_and_features_can_be_asked_for(bills):
    with pytest.raises(ValueError, match="expected 'cause' or 'feature'"):
        explain(*bills).in_points("table")


def test_the_shap_object_carries_the_same_numbers(bills):
    pytest.importorskip("shap")
    why = explain(*bills)
    carried = why.to_shap()
    np.testing.assert_array_equal(carried.values, why.values)
    assert carried.base_values[0] == why.base_value
    assert carried.feature_names == list(why.X)


def test_every_household_has_a_reason_with_a_record_known_before_the_day(district):
    data, model, X = district
    why = explain(model, X)
    evidence = why.evidence(data)
    assert set(evidence["household_id"]) == set(X.index.get_level_values(0))
    assert (evidence["known_on"] < evidence["as_of_date"]).all()
    assert set(evidence["cause"]) <= set(CAUSES)
    order = evidence["household_id"].drop_duplicates().tolist()
    assert order == X.index.get_level_values(0).tolist()


def test_evidence_shows_the_records_that_make_up_the_value(district):
    data, model, X = district
    evidence = explain(model, X).evidence(data)
    bills = evidence[evidence["feature"] == "medical_out_of_pocket_sum_12m"]
    for household, rows in bills.groupby("household_id"):
        assert rows["value"].sum() == pytest.approx(X["medical_out_of_pocket_sum_12m"].xs(household).iloc[0])


def test_no_sensitive_feature_is_shown_as_evidence(district):
    data, model, X = district
    meaning = model.dictionary_
    hidden = set(meaning.loc[meaning["sensitive"].astype(bool), "name"])
    assert hidden
    assert not hidden & set(explain(model, X).evidence(data)["feature"])
