"""The model: a scikit-learn estimator whose answers do not hang on order, threads or the unknown."""

# ruff: noqa: E501 - a fault is one line, its right and wrong text side by side

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from riskml.explanation.contributions import explain
from riskml.features.dictionary import feature_dictionary
from riskml.model.classifier import RiskClassifier, default_grading
from riskml.model.store import load_model, save_model

NAMES = ["welfare", "medical_out_of_pocket_sum_12m", "jobs", "members", "own_measure"]
DATES = pd.date_range("2020-01-01", periods=6, freq="6MS")
#: LightGBM on its own fails up to four of these checks; a booster behind scikit-learn's validation fails none.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks([RiskClassifier(n_estimators=5)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_it_keeps_the_rules_of_scikit_learn(estimator, check):
    check(estimator)


def district(seed=0, n_households=250):
    """Rows of households on dates; more welfare and jobs lower the risk, medical cost raises it."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [[f"h{k:04d}" for k in range(n_households)], DATES], names=["household_id", "as_of_date"]
    )
    X = pd.DataFrame(rng.gamma(2, 1, (len(index), len(NAMES))), index=index, columns=NAMES)
    X = X.mask(rng.random(X.shape) < 0.05)
    known = X.fillna(2)
    z = 0.5 - 1.2 * known["welfare"] + 0.5 * known["medical_out_of_pocket_sum_12m"] - 0.5 * known["jobs"]
    return X, pd.Series((rng.random(len(X)) < expit(z)).astype(float), index=index, name="returned")


@pytest.fixture(scope="module")
def fitted():
    X, y = district()
    return RiskClassifier(n_estimators=60).fit(X, y), X, y


def test_the_order_of_rows_has_no_influence(fitted):
    model, X, y = fitted
    order = np.random.default_rng(1).permutation(len(X))
    again = clone(model).fit(X.iloc[order], y.iloc[order])
    assert again.calibration_ == model.calibration_
    pd.testing.assert_series_equal(again.predict_risk(X), model.predict_risk(X), check_exact=True)
    # The planted fault: without their index the rows cannot be sorted, and the order shows.
    shuffled = clone(model).fit(X.iloc[order].to_numpy(), y.iloc[order])
    straight = clone(model).fit(X.to_numpy(), y)
    assert (shuffled.predict_proba(X.to_numpy()) != straight.predict_proba(X.to_numpy())).any()


def test_the_number_of_threads_has_no_influence():
    X, y = district(n_households=100)
    one, two = (RiskClassifier(n_estimators=10, n_jobs=n).fit(X, y) for n in (1, 2))
    pd.testing.assert_series_equal(one.predict_risk(X), two.predict_risk(X), check_exact=True)
    assert one.calibrator_ == two.calibrator_


def test_columns_are_found_by_name_in_any_order(fitted):
    model, X, _ = fitted
    pd.testing.assert_series_equal(model.predict_risk(X[NAMES[::-1]]), model.predict_risk(X), check_exact=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.drop(columns=["jobs", "welfare"]), "2 missing: welfare, jobs"),
        (lambda X: X.assign(new=1.0), "1 unknown to the model: new"),
        (lambda X: X[[*NAMES, "jobs"]], "1 twice there: jobs"),
        (lambda X: X.assign(jobs=np.inf), "infinity"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(fitted, change, message):
    model, X, _ = fitted
    with pytest.raises(ValueError, match=message):
        model.predict_risk(change(X.head()))


def test_outcomes_that_were_not_observed_are_refused(fitted):
    _, X, y = fitted
    with pytest.raises(ValueError, match="missing in 7 rows"):
        RiskClassifier().fit(X, y.mask(np.arange(len(y)) < 7))


@pytest.mark.parametrize("settings", [{"num_leaves": 32}, {"num_leaves": 1}, {"max_depth": 9}, {"max_depth": 0}])
def test_trees_too_large_to_explain_are_refused(fitted, settings):
    _, X, y = fitted
    with pytest.raises(ValueError, match="trees have 2 to 31 leaves and depth 1 to 8"):
        RiskClassifier(**settings).fit(X, y)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1499), st.sampled_from(NAMES[:3]))
def test_risk_follows_the_directions_of_the_dictionary_everywhere(fitted, row, name):
    model, X, _ = fitted
    direction = feature_dictionary().set_index("name").loc[name, "direction"]
    grid = pd.concat([X.iloc[[row]]] * 30).assign(**{name: np.linspace(0, 12, 30)})
    assert (direction * np.diff(model.predict_risk(grid)) >= 0).all()


def test_without_directions_noise_would_break_them():
    # The planted fault: the same data with monotone=False.
    X, y = district(seed=2, n_households=60)
    model = RiskClassifier(n_estimators=60, monotone=False, min_child_samples=5).fit(X, y)
    grid = pd.concat([X.iloc[[0]]] * 100).assign(welfare=np.linspace(0, 12, 100))
    assert (np.diff(model.predict_risk(grid)) > 0).any()


def test_the_dictionary_says_what_each_column_means(fitted):
    model, _, _ = fitted
    meaning = model.dictionary_.set_index("name")
    assert list(meaning.index) == NAMES
    assert meaning["cause"].tolist() == ["income", "illness", "employment", "labour", "other"]
    assert meaning["direction"].tolist() == [-1, 1, -1, 0, 0]


def test_only_proportions_of_weights_count_and_rows_of_no_weight_not_at_all(fitted):
    _, X, y = fitted
    weight = np.random.default_rng(3).uniform(0.5, 2, len(X)) * (np.arange(len(X)) % 3 > 0)
    base = RiskClassifier(n_estimators=20).fit(X, y, sample_weight=weight)
    scaled = RiskClassifier(n_estimators=20).fit(X, y, sample_weight=weight * 8)
    without = RiskClassifier(n_estimators=20).fit(X[weight > 0], y[weight > 0], sample_weight=weight[weight > 0])
    for other in (scaled, without):
        np.testing.assert_allclose(other.predict_risk(X), base.predict_risk(X), rtol=1e-9)


def test_risk_is_affine_in_the_log_odds_of_the_trees(fitted):
    model, X, _ = fitted
    slope, intercept = model.calibration_
    margin = model.booster_.predict(X[NAMES].to_numpy(), raw_score=True)
    np.testing.assert_allclose(model.decision_function(X), slope * margin + intercept, rtol=1e-12)
    np.testing.assert_allclose(model.predict_risk(X), expit(slope * margin + intercept), rtol=1e-12)
    plain = RiskClassifier(n_estimators=5, calibrate=False).fit(X, district()[1])
    assert plain.calibration_ == (1, 0)


def test_risk_is_near_the_truth_that_made_the_data():
    X, y = district(seed=4, n_households=600)
    model = RiskClassifier().fit(X, y)
    new, outcome = district(seed=5, n_households=600)
    risk = model.predict_risk(new)
    assert risk.index.equals(new.index)
    assert risk.mean() == pytest.approx(outcome.mean(), abs=0.03)
    tenth = pd.qcut(risk, 10, labels=False)
    observed, expected = outcome.groupby(tenth).mean(), risk.groupby(tenth).mean()
    # 360 rows a tenth: three standard errors of a share are at most 0.08.
    np.testing.assert_allclose(observed, expected, atol=0.08)


def test_the_interval_holds_the_risk_and_widens_with_the_coverage(fitted):
    model, X, _ = fitted
    risk = model.predict_risk(X)
    narrow, wide = model.risk_interval(X, coverage=0.5), model.risk_interval(X, coverage=0.95)
    assert narrow.index.equals(X.index)
    assert ((narrow["risk_lower"] <= risk) & (risk <= narrow["risk_upper"])).all()
    # Where no row of so low a score returned, no lower bound but 0 is honest at any coverage; above, so with 1.
    assert ((wide["risk_lower"] < narrow["risk_lower"]) | (narrow["risk_lower"] == 0)).all()
    assert ((narrow["risk_upper"] < wide["risk_upper"]) | (narrow["risk_upper"] == 1)).all()
    assert (narrow["risk_lower"] > 0).mean() > 0.5
    assert (narrow["risk_upper"] < 1).mean() > 0.9
    with pytest.raises(ValueError, match="coverage"):
        model.risk_interval(X, coverage=90)


def test_groups_change_the_intervals_of_those_with_outcomes_enough_and_nothing_else(fitted):
    model, X, y = fitted
    groups = pd.Series(np.where(X["members"] > 2, "large", "small"), index=X.index)
    groups.iloc[:8] = None
    grouped = clone(model).fit(X, y, groups=groups)
    assert grouped.fit_summary_["interval_groups"] == {"own": ["large", "small"], "shared": ["missing"]}
    pd.testing.assert_series_equal(grouped.predict_risk(X), model.predict_risk(X), check_exact=True)
    whole = model.risk_interval(X)
    pd.testing.assert_frame_equal(grouped.risk_interval(X), whole, check_exact=True)
    own = grouped.risk_interval(X, groups=groups)
    assert (own[:8] == whole[:8]).all(axis=None)
    assert (own[8:] != whole[8:]).any(axis=None)
    unknown = grouped.risk_interval(X, groups=np.full(len(X), "elsewhere"))
    pd.testing.assert_frame_equal(unknown, whole, check_exact=True)
    order = np.random.default_rng(2).permutation(len(X))
    again = clone(model).fit(X.iloc[order], y.iloc[order], groups=groups.iloc[order])
    assert again.calibrator_ == grouped.calibrator_


def test_groups_that_do_not_fit_are_refused(fitted):
    model, X, y = fitted
    with pytest.raises(ValueError, match="one value a row, got 3"):
        clone(model).fit(X, y, groups=["a", "b", "c"])
    with pytest.raises(ValueError, match="indexed differently"):
        clone(model).fit(X, y, groups=pd.Series("a", index=X.index[::-1]))
    with pytest.raises(ValueError, match="knows no intervals by group"):
        model.risk_interval(X, groups=np.full(len(X), "a"))


def test_the_summary_is_plain_and_counts_what_was_learned_from(fitted):
    model, X, y = fitted
    assert json.loads(json.dumps(model.fit_summary_)) == model.fit_summary_
    expected = {
        "rows": len(X),
        "events": int(y.sum()),
        "households": 250,
        "horizon_months": 12,
        "first_as_of_date": "2020-01-01",
        "last_as_of_date": "2022-07-01",
        "calibration_source": "forward_chained",
        "calibration_reason": "",
    }
    assert model.fit_summary_ == expected


def test_a_column_that_repeats_another_changes_no_risk(fitted):
    _, X, y = fitted
    # A constant and a repeated column are both left alone by the trees.
    twice, constant = X.assign(again=X.iloc[:, 0]), X.assign(again=1.0)
    models = [RiskClassifier(n_estimators=40, calibrate=False).fit(table, y) for table in (twice, constant)]
    assert "again" in models[0].feature_names_in_
    assert models[0].booster_.feature_importance()[-1] == 0
    np.testing.assert_array_equal(models[0].predict_risk(twice), models[1].predict_risk(constant))


# --- outcomes by how far below or above the line households came out -------------------------------------------------


def law(seed, n_rows=400):
    """Rows, the welfare they came to, and the true chance that it is below the line."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n_rows, 6)), columns=[f"x{k}" for k in range(6)])
    centre = 0.35 + 0.25 * X["x0"] + 0.15 * X["x1"] - 0.1 * np.abs(X["x2"])
    return X, np.exp(centre + 0.25 * rng.normal(size=n_rows)), pd.Series(norm.cdf(-centre / 0.25))


def test_from_the_welfare_behind_the_outcomes_the_true_risk_is_learned_better():
    missed = []
    for seed in range(6):
        X, welfare, _ = law(seed)
        y = (welfare < 1).astype(float)
        asked, _, true = law(100 + seed, 2000)
        told = RiskClassifier().fit(X, y, outcome_welfare=welfare).predict_risk(asked)
        alone = RiskClassifier().fit(X, y).predict_risk(asked)
        missed.append([((risk - true) ** 2).mean() for risk in (told, alone)])
    told, alone = np.array(missed).T
    assert (told < alone).all()
    assert told.mean() < 0.95 * alone.mean()


def test_the_level_is_that_of_the_returns_however_softly_the_line_divides():
    X, welfare, _ = law(1, 3000)
    y = (welfare < 1).astype(float)
    for grading in (0.05, 0.5):
        risk = RiskClassifier(n_estimators=60, grading=grading).fit(X, y, outcome_welfare=welfare).predict_risk(X)
        assert risk.mean() == pytest.approx(y.mean(), rel=0.05)


def test_without_welfare_or_without_grading_outcomes_are_yes_or_no():
    X, welfare, _ = law(2)
    y = (welfare < 1).astype(float)
    alone = RiskClassifier(n_estimators=20).fit(X, y).predict_risk(X)
    sharp = RiskClassifier(n_estimators=20, grading=0.0).fit(X, y, outcome_welfare=welfare).predict_risk(X)
    pd.testing.assert_series_equal(sharp, alone, check_exact=True)
    unknown = RiskClassifier(n_estimators=20).fit(X, y, outcome_welfare=np.full(len(y), np.nan)).predict_risk(X)
    pd.testing.assert_series_equal(unknown, alone, check_exact=True)
    # Where welfare is known of few rows the others stay yes or no; LightGBM sums the same loss in another order.
    few = welfare.where(np.arange(len(y)) < 1)
    almost = RiskClassifier(n_estimators=20).fit(X, y, outcome_welfare=few).predict_risk(X)
    np.testing.assert_allclose(almost, alone, rtol=0.02)
    told = RiskClassifier(n_estimators=20).fit(X, y, outcome_welfare=welfare).predict_risk(X)
    assert (told - alone).abs().max() > 0.01


def test_graded_outcomes_go_with_their_rows(fitted):
    _, X, y = fitted
    welfare = pd.Series(np.where(y == 1, 0.9, 1.4) + 0.05 * np.random.default_rng(0).random(len(y)), index=y.index)
    model = RiskClassifier(n_estimators=30).fit(X, y, outcome_welfare=welfare)
    order = np.random.default_rng(1).permutation(len(X))
    again = clone(model).fit(X.iloc[order], y.iloc[order], outcome_welfare=welfare.iloc[order])
    pd.testing.assert_series_equal(again.predict_risk(X), model.predict_risk(X), check_exact=True)
    # Rows of weight 0 are not there, whatever is said of them.
    odd, weight = welfare.copy(), np.ones(len(y))
    odd.iloc[:50], weight[:50] = 1 / odd.iloc[:50], 0
    one = clone(model).fit(X, y, weight, outcome_welfare=odd)
    other = clone(model).fit(X.iloc[50:], y.iloc[50:], outcome_welfare=welfare.iloc[50:])
    pd.testing.assert_series_equal(one.predict_risk(X), other.predict_risk(X), check_exact=True)


def test_a_model_of_graded_outcomes_is_kept_and_explained_like_any(fitted, tmp_path):
    _, X, y = fitted
    welfare = pd.Series(np.where(y == 1, 0.0, 1.4), index=y.index)
    model = RiskClassifier(n_estimators=30).fit(X, y, outcome_welfare=welfare)
    back = load_model(save_model(model, tmp_path))
    pd.testing.assert_series_equal(back.predict_risk(X), model.predict_risk(X), check_exact=True)
    assert back.fit_summary_["grading"] == model.fit_summary_["grading"] > 0.05
    why = explain(model, X)
    np.testing.assert_allclose(why.values.sum(axis=1) + why.base_value, model.decision_function(X), atol=1e-9)


@pytest.mark.parametrize("grading", [-0.05, np.nan, np.inf])
def test_a_line_softer_than_nothing_is_refused(grading):
    X, welfare, _ = law(3)
    with pytest.raises(ValueError, match="grading must be None or a number from 0 on"):
        RiskClassifier(n_estimators=5, grading=grading).fit(X, (welfare < 1).astype(float), outcome_welfare=welfare)


@pytest.mark.parametrize(("returns", "grading"), [(1, 0.1), (125, 0.1), (296.3, 0.075), (1000, 0.05), (10**6, 0.05)])
def test_the_fewer_returned_the_softer_the_line(returns, grading):
    assert default_grading(returns) == pytest.approx(grading, rel=1e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda w: w.iloc[:-1], "outcome_welfare must hold one value a row, got 399 for 400 rows"),
        (lambda w: w.sort_values(), "outcome_welfare and X are indexed differently"),
        (lambda w: w.where(w.index != 7, 2 - w), "contradicts y in 1 rows \\(first: 7, welfare"),
    ],
)
def test_welfare_that_does_not_fit_the_outcomes_is_refused(given, said):
    X, welfare, _ = law(3)
    with pytest.raises(ValueError, match=said):
        RiskClassifier(n_estimators=5).fit(X, (welfare < 1).astype(float), outcome_welfare=given(welfare))


def all_hold(fitted):
    test_from_the_welfare_behind_the_outcomes_the_true_risk_is_learned_better()
    test_graded_outcomes_go_with_their_rows(fitted)
    test_welfare_that_does_not_fit_the_outcomes_is_refused(lambda w: w.where(w.index != 7, 2 - w), "contradicts")


GRADING_FAULTS = {
    "the graded outcome rises with welfare": ("expit(-np.log(", "expit(np.log("),
    "graded outcomes stay in the order in which they were given": ("to_numpy(dtype=np.float64)[order]", "to_numpy(dtype=np.float64)"),
    "whatever is said of welfare is believed": ("if wrong.any():", "if False:"),
}  # fmt: skip


@pytest.mark.parametrize("fault", GRADING_FAULTS)
def test_a_fault_planted_in_the_grading_is_caught(fault, plant, fitted):
    plant("model.classifier", *GRADING_FAULTS[fault])
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        all_hold(fitted)
