"""What past help did: known effects are found, wrong guesses are made up for, what cannot be told is refused."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import riskml as rk
from riskml.datasets.law import MEASURE_NAMES
from riskml.effects import checks
from riskml.effects.doubly_robust import Guesses, average_effect, cross_fit, rough_propensity
from riskml.effects.estimate import Effects, Trial, estimate_effects
from riskml.effects.history import AREA_RATE, OWN_STARTS, as_happened, help_before, treatment_table
from riskml.effects.policy import policy_value
from riskml.effects.words import effect_sentences
from riskml.planning.estimated import with_estimated_effects
from riskml.planning.measures import example_measures
from riskml.tables.lines import welfare_records

DAY = pd.Timestamp("2022-07-01")
EFFECT = -0.1


def drawn(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, Guesses]:
    """Return features, treatment, outcome and the true guesses of a law: help goes to those in need and lowers risk."""
    rng = np.random.default_rng(seed)
    need, other = rng.normal(size=n), rng.normal(size=n)
    e = expit(1.5 * need - 1)
    m0 = np.clip(0.4 + 0.2 * need, 0.11, 0.95)
    treated = (rng.random(n) < e).astype(float)
    y = (rng.random(n) < m0 + EFFECT * treated).astype(float)
    return pd.DataFrame({"need": need, "other": other}), treated, y, Guesses(e, m0, m0 + EFFECT)


def test_the_naive_comparison_has_the_wrong_sign_and_the_doubly_robust_one_finds_the_effect():
    X, treated, y, _ = drawn(8000, seed=1)
    guesses = cross_fit(X, treated, y, folds_of=np.arange(8000))
    assert y[treated == 1].mean() - y[treated == 0].mean() > 0.05
    for estimand in ("att", "ato"):
        found = average_effect(guesses, treated, y, clusters=np.arange(8000), estimand=estimand)
        assert found.difference == pytest.approx(EFFECT, abs=3 * found.standard_error)
        assert found.standard_error < 0.025
        assert found.difference == pytest.approx(found.treated - found.untreated)


@pytest.mark.parametrize("estimand", ["att", "ate"])
@pytest.mark.parametrize("wrong", ["propensity", "risks"])
def test_one_wrong_guess_is_made_up_for_by_the_other_and_two_are_not(estimand, wrong):
    _, treated, y, right = drawn(40_000, seed=2)
    flat_e, flat_m = np.full(len(y), treated.mean()), np.full(len(y), y.mean())
    one = (
        Guesses(flat_e, right.untreated, right.treated)
        if wrong == "propensity"
        else Guesses(right.propensity, flat_m, flat_m)
    )
    both = Guesses(flat_e, flat_m, flat_m)
    clusters = np.arange(len(y))
    assert average_effect(one, treated, y, clusters=clusters, estimand=estimand).difference == pytest.approx(
        EFFECT, abs=0.03
    )
    assert average_effect(both, treated, y, clusters=clusters, estimand=estimand).difference > 0


def test_intervals_hold_the_truth_in_95_of_100_samples():
    within = []
    for seed in range(400):
        _, treated, y, guesses = drawn(500, seed=100 + seed)
        lower, upper = average_effect(guesses, treated, y, clusters=np.arange(500)).interval
        within.append(lower <= EFFECT <= upper)
    # 400 draws of a share of 0.95: standard error 0.011.
    assert 0.915 < np.mean(within) < 0.985


@given(st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_copies_of_a_household_add_no_certainty(copies, seed):
    _, treated, y, guesses = drawn(60, seed=seed)
    if not 0 < treated.sum() < 60:
        return
    again = np.tile(np.arange(60), copies)
    once = average_effect(guesses, treated, y, clusters=np.arange(60))
    many = average_effect(guesses.of(again), treated[again], y[again], clusters=again)
    assert many.difference == pytest.approx(once.difference)
    assert many.standard_error == pytest.approx(once.standard_error)
    apart = average_effect(guesses.of(again), treated[again], y[again], clusters=np.arange(len(again)))
    assert apart.standard_error < once.standard_error


def test_the_average_over_a_saturated_table_is_that_of_the_cells():
    # Two kinds of household, each with its own effect; guesses are the shares of the cells, so residuals cancel.
    kind = np.repeat([0, 1], [40, 60])
    treated = np.r_[np.repeat([1, 0], [10, 30]), np.repeat([1, 0], [30, 30])].astype(float)
    y = np.r_[
        np.repeat([1, 0], [2, 8]), np.repeat([1, 0], [15, 15]), np.repeat([1, 0], [12, 18]), np.repeat([1, 0], [24, 6])
    ]
    m1, m0 = np.array([0.2, 0.4])[kind], np.array([0.5, 0.8])[kind]
    guesses = Guesses(np.array([10 / 40, 30 / 60])[kind], m0, m1)
    effects = {"att": (10 * -0.3 + 30 * -0.4) / 40, "ate": (40 * -0.3 + 60 * -0.4) / 100}
    h = np.array([40 * 3 / 16, 60 / 4])
    effects["ato"] = float(h @ [-0.3, -0.4] / h.sum())
    for estimand, expected in effects.items():
        found = average_effect(guesses, treated, y, clusters=np.arange(100), estimand=estimand)
        assert found.difference == pytest.approx(expected), estimand


def test_whom_practice_never_treats_is_left_out_whether_or_not_they_return():
    rng = np.random.default_rng(3)
    need = np.repeat([0.0, 1.0], [3000, 1000])
    X = pd.DataFrame({"need": need})
    treated = (rng.random(4000) < 0.2 * need).astype(float)
    kept = rough_propensity(X, treated, folds_of=np.arange(4000)) >= 0.25 * treated.mean()
    assert kept[need == 1].all()
    assert not kept[need == 0].any()


@pytest.fixture(scope="module")
def county() -> rk.Monitoring:
    return rk.datasets.make_monitoring(250, n_months=30, random_state=5)


def test_what_happens_from_the_as_of_date_on_does_not_change_what_is_adjusted_for(county):
    X = rk.feature_table(as_happened(county), [DAY])
    changed = {}
    for name, frame in county.tables.items():
        day = "date" if "date" in frame else "start" if "start" in frame else None
        kept = frame if name in ("lines", "members", "households") else frame[frame[day] < DAY]
        if "end_known_on" in kept and name != "members":
            # An end that comes later may be anything, as long as it was not planned ahead.
            late = (kept["end"] >= DAY) & kept["end_known_on"].notna()
            kept = kept.assign(end=kept["end"].mask(late), end_known_on=kept["end_known_on"].mask(late))
        changed[name] = kept
    before = rk.Monitoring(changed, extract_on=county.extract_on)
    pd.testing.assert_frame_equal(rk.feature_table(as_happened(before), [DAY]), X)


def test_a_bill_entered_late_is_adjusted_for_and_a_withdrawn_one_is_not(county):
    medical = county.tables["medical"]
    household = rk.feature_table(as_happened(county), [DAY]).index[0][0]
    late = medical.iloc[:1].assign(
        household_id=household, record_id="late", date=DAY - pd.Timedelta(days=3), known_on=DAY + pd.Timedelta(days=60)
    )
    back = late.assign(record_id="back")
    taken = back.assign(known_on=DAY + pd.Timedelta(days=90), withdrawn=1.0)
    tables = {**county.tables, "medical": pd.concat([medical, late, back, taken], ignore_index=True)}
    counts = [
        rk.feature_table(as_happened(data), [DAY]).loc[(household, DAY), "medical_out_of_pocket_count_12m"]
        for data in (county, rk.Monitoring(tables, extract_on=county.extract_on))
    ]
    assert np.nan_to_num(counts[1]) == np.nan_to_num(counts[0]) + 1


def test_starts_are_those_of_the_law_and_running_measures_are_not_asked_about(county):
    truth = county.truth
    index = pd.MultiIndex.from_product([truth.household_ids, [DAY]], names=["household_id", "as_of_date"])
    names = list(MEASURE_NAMES)
    started = treatment_table(county, names, index)
    position = 12 + (DAY.year - truth.first_day.year) * 12 + DAY.month - truth.first_day.month
    registered = (
        county.tables["households"].groupby("household_id")["known_on"].min().reindex(truth.household_ids) < DAY
    )
    for name in names:
        left = truth.states["support"][:, MEASURE_NAMES.index(name)]
        before, now = left[position - 1] > 0, left[position] > 0
        expected = np.where(before & now, np.nan, (now & ~before).astype(float))
        found = started[name].to_numpy()
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        # A measure whose last month was the one before still ran then, and may start again at once.
        assert (same | before)[registered.to_numpy()].all()
    assert (started == 1).to_numpy().sum() > 5


def test_a_window_that_is_not_over_and_a_missing_table_are_refused(county):
    index = pd.MultiIndex.from_product(
        [county.household_ids, [county.extract_on]], names=["household_id", "as_of_date"]
    )
    with pytest.raises(ValueError, match="after the extract"):
        treatment_table(county, ["health_assistance"], index)
    without = rk.Monitoring({k: v for k, v in county.tables.items() if k != "assistance"}, extract_on=county.extract_on)
    with pytest.raises(ValueError, match="need the table assistance"):
        treatment_table(without, ["health_assistance"], index)


def test_help_before_counts_starts_before_the_date_in_the_area(county):
    index = pd.MultiIndex.from_product([county.household_ids, [DAY]], names=["household_id", "as_of_date"])
    found = help_before(county, "health_assistance", index)
    spells = county.tables["assistance"].drop_duplicates(["household_id", "record_id"], keep="last")
    spells = spells[spells["start"] < DAY]
    own = spells[spells["measure"] == "health_assistance"].groupby("household_id").size()
    assert found[OWN_STARTS].droplevel(1).to_dict() == own.reindex(county.household_ids, fill_value=0).to_dict()
    area = pd.Series(county.area_of(county.household_ids), index=county.household_ids)
    years = (DAY - county.tables["assistance"]["start"].min()).days / 365.25
    by_area = area.loc[spells["household_id"]].value_counts() / area.value_counts() / years
    expected = area.map(by_area.fillna(0))
    np.testing.assert_allclose(found[AREA_RATE].to_numpy(), expected.to_numpy())


def test_deciding_as_the_officers_did_changes_nothing_and_not_helping_raises_the_risk(county):
    X = rk.feature_table(as_happened(county), [DAY])
    started = treatment_table(county, ["production_grant", "public_service_post"], X.index)
    truth = county.truth
    lived = truth.returned(X.index)
    as_lived = started.where(started.notna())
    pd.testing.assert_series_equal(truth.returned_if(X.index, as_lived), lived)
    helped = X.index[(started == 1).any(axis=1)]
    chances = [
        truth.returned_if(helped, pd.DataFrame({name: np.full(len(helped), s) for name in started}), n_draws=40).mean()
        for s in (1.0, 0.0)
    ]
    assert chances[0] < chances[1]
    with pytest.raises(ValueError, match="unknown measures"):
        truth.returned_if(helped, pd.DataFrame({"prayer": np.ones(len(helped))}))


def test_too_few_starts_are_refused_with_the_number_found_in_both_languages(county):
    effects = estimate_effects(county, ["housing_repair", "never_given"], [DAY], horizon_months=12)
    table = effects.table
    assert table["difference"].isna().all()
    assert table["refused_en"].str.contains("starts with a known outcome, at least 50 are needed").all()
    assert table["refused_zh"].str.contains("至少需要50次").all()
    assert effects.trials == {}
    assert effects.overlap.empty
    said = effect_sentences(effects)
    assert said["sentence_en"].str.contains("no effect is stated").all()


def test_no_effect_is_stated_without_overlap():
    e, d = np.r_[np.full(100, 0.99), np.full(100, 0.01)], np.repeat([1.0, 0.0], 100)
    row = checks.overlap_row(e, d, effective=80.0, n_left_out=50)
    assert "had to get it" in checks.no_overlap(row, "att")[0]
    assert "hardly ever get it" in checks.no_overlap(row | {"share_sure": 0.0}, "ate")[0]
    assert "effective households" in checks.no_overlap(row | {"effective_untreated": 12.0}, "ato")[0]
    assert "records do not hold" in checks.no_overlap(row | {"p50_treated": 0.01}, "att")[0]
    assert checks.no_overlap(row | {"share_sure": 0.0}, "att") == ("", "")
    assert row["share_left_out"] == 50 / 250


def test_the_e_value_is_that_of_the_paper():
    # VanderWeele and Ding (2017), the example of maternal smoking: risk ratio 3.9 (1.8 to 8.7), E-values 7.2 and 3.0.
    value, of_interval = checks.e_value(3.9, 1.8, 8.7)
    assert (round(value, 1), round(of_interval, 1)) == (7.3, 3.0)
    assert checks.e_value(1 / 3.9, 1 / 8.7, 1 / 1.8) == pytest.approx((value, of_interval))
    assert checks.e_value(0.8, 0.5, 1.1)[1] == 1
    assert np.isnan(checks.e_value(np.nan, np.nan, np.nan)).all()


def test_earlier_welfare_is_the_mean_of_the_records_of_the_year_before_the_last():
    data = rk.datasets.make_monitoring(40, n_months=30, random_state=1)
    day = pd.Timestamp("2023-06-01")
    index = pd.MultiIndex.from_product([data.household_ids, [day]], names=["household_id", "as_of_date"])
    found = checks.earlier_welfare(data, index)
    records = welfare_records(data)
    household = data.household_ids[7]
    own = records[(records["household_id"] == household) & records["superseded_on"].isna()]
    own = own[(own["date"] >= "2021-06-01") & (own["date"] < "2022-06-01")]
    assert found.loc[(household, day)] == pytest.approx(min(np.average(own["welfare"], weights=own["months"]), 3))


def test_estimates_enter_the_table_of_measures_with_interval_and_source():
    trial = trial_of(1500, seed=21)
    row = {"measure": "job_placement", "by": "all", "estimand": "att", "n_treated": 400}
    numbers = {"relative_reduction": 0.3, "relative_lower": -0.1, "relative_upper": 0.6}
    table = pd.DataFrame([row | numbers])
    controls = pd.DataFrame([{"measure": "job_placement", "passed": 1.0}])
    effects = Effects(table, pd.DataFrame(), controls, {"job_placement": trial}, 12, 1)
    before = example_measures().set_index("measure")
    after = with_estimated_effects(example_measures(), effects).set_index("measure")
    own = after.loc["job_placement"]
    assert own[["effect", "effect_lower", "effect_upper"]].tolist() == [0.3, 0.0, 0.6]
    assert (own["effect_kind"], own["effect_source_kind"]) == ("share_of_risk", "estimate")
    assert own["effect_source"].endswith("interval reaches -0.10, written as 0")
    pd.testing.assert_frame_equal(after.drop("job_placement"), before.drop("job_placement"))
    doubted = dataclasses.replace(effects, controls=controls.assign(passed=0.0))
    pd.testing.assert_frame_equal(with_estimated_effects(example_measures(), doubted), example_measures())


def test_sentences_say_what_was_found_and_what_speaks_against_it():
    row = {"measure": "grant", "by": "all", "estimand": "att", "refused_en": "", "refused_zh": "", "naive": 0.031}
    numbers = {"risk_with": 0.08, "risk_without": 0.12, "lower": -0.07, "upper": -0.01}
    table = pd.DataFrame([row | numbers | {"e_value": 2.4, "e_value_interval": 1.3}])
    checks = ("earlier_welfare", "placebo_outcome")
    controls = pd.DataFrame([{"measure": "grant", "check": check, "passed": 0.0} for check in checks])
    effects = Effects(table, pd.DataFrame(), controls, {}, 12, 1)
    said = effect_sentences(effects).iloc[0]
    assert "8.0% returned within 12 months" in said["sentence_en"]
    assert "about 12% would have (95 % interval −7.0 to −1.0 points)" in said["sentence_en"]
    assert "3.1 points more often than others at risk" in said["sentence_en"]
    assert "2.4-fold to explain this away, 1.3-fold" in said["sentence_en"]
    assert "Do not rely on it: the same comparison finds a difference in the welfare" in said["sentence_en"]
    assert "Do not rely on it: the same comparison finds a difference in returns that were drawn" in said["sentence_en"]
    assert said["sentence_zh"].count("请勿依赖此结果") == 2
    open_ = dataclasses.replace(effects, table=table.assign(upper=0.02), controls=controls.assign(passed=1.0))
    said = effect_sentences(open_).iloc[0]
    assert "these data cannot tell" in said["sentence_en"]
    assert "无法判断" in said["sentence_zh"]
    assert "-fold" not in said["sentence_en"]


#: Faults of the average, of which each must fail the test beside it.
FAULTS = {
    "weights forgotten": ("(1 - d) * e / (1 - e)", "(1 - d) * 1.0", "wrong risks"),
    "residuals forgotten": ("d * m0 + weight * (outcome - m0)", "d * m0", "wrong risks"),
    "the guess forgotten": ("d * m0 + weight * (outcome - m0)", "weight * outcome", "wrong propensity"),
    "rows taken one by one": ("pd.factorize(clusters)[0]", "np.arange(len(influence))", "copies"),
}


def caught(average, Guesses, how: str) -> bool:
    _, treated, y, right = drawn(20_000, seed=2)
    flat = np.full(len(y), y.mean())
    if how == "copies":
        again = np.tile(np.arange(200), 5)
        few = Guesses(right.propensity[:200], right.untreated[:200], right.treated[:200])
        once = average(few, treated[:200], y[:200], clusters=np.arange(200))
        many = average(few.of(again), treated[again], y[again], clusters=again)
        return bool(many.standard_error < 0.9 * once.standard_error)
    if how == "wrong risks":
        guesses = Guesses(right.propensity, flat, flat)
    else:
        guesses = Guesses(np.full(len(y), treated.mean()), right.untreated, right.treated)
    return bool(abs(average(guesses, treated, y, clusters=np.arange(len(y))).difference - EFFECT) > 0.03)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_the_average_is_caught(fault, monkeypatch):
    from riskml.effects import doubly_robust

    right, wrong, how = FAULTS[fault]
    source = inspect.getsource(doubly_robust)
    assert source.count(right) == 1
    assert not caught(average_effect, Guesses, how)
    module = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)
    exec(compile(source.replace(right, wrong), "planted", "exec"), module.__dict__)
    assert caught(module.average_effect, module.Guesses, how)


def trial_of(n: int, seed: int) -> Trial:
    _, treated, y, guesses = drawn(n, seed)
    index = pd.MultiIndex.from_product([[f"H{i}" for i in range(n)], [DAY]], names=["household_id", "as_of_date"])
    return Trial(index, treated, y, guesses, np.full(n, "x", dtype=object), 0, 0.0)


def effects_of(trial: Trial) -> Effects:
    nothing = pd.DataFrame()
    return Effects(nothing, nothing, nothing, {"grant": trial}, 12, 1)


def test_a_plan_is_worth_what_the_law_says_within_its_interval():
    within, values = [], []
    for seed in range(40):
        trial = trial_of(1500, seed=500 + seed)
        chosen = trial.guesses.untreated > 0.4
        plan = trial.index[chosen].to_frame(index=False).assign(measure="grant")
        value = policy_value(effects_of(trial), plan).iloc[-1]
        # Each start takes away a tenth of a return; the office gave so many.
        true = -EFFECT * (chosen.sum() - trial.treated.sum())
        within.append(value["lower"] <= true <= value["upper"])
        values.append((value["averted"] - true) / value["standard_error"])
    assert np.mean(within) >= 0.85
    assert abs(np.mean(values)) < 3 / np.sqrt(40)


def test_a_plan_for_those_whom_practice_never_helps_is_counted_and_not_valued():
    trial = trial_of(400, seed=9)
    rare = trial.guesses.propensity < checks.RARE
    far = Trial(
        trial.index,
        trial.treated,
        trial.y,
        Guesses(np.where(rare | (np.arange(400) < 200), 0.001, 0.5), trial.guesses.untreated, trial.guesses.treated),
        trial.area_id,
        0,
        0.0,
    )
    plan = trial.index.to_frame(index=False).assign(measure="grant")
    value = policy_value(effects_of(far), plan).iloc[0]
    assert value["n_outside"] >= 200
    assert np.isnan(value["averted"])
    assert "hardly ever gave" in value["refused_en"]
    with pytest.raises(ValueError, match="no row of the plan"):
        policy_value(effects_of(trial), plan.assign(measure="another"))
    with pytest.raises(ValueError, match="lacks the column"):
        policy_value(effects_of(trial), plan[["household_id", "measure"]])


def test_econml_finds_the_same_average_from_the_same_folds():
    econml = pytest.importorskip("econml.dr", reason="econml is an extra (riskml[bench])")
    from sklearn.linear_model import LinearRegression, LogisticRegression

    X, treated, y, _ = drawn(3000, seed=4)
    rng = np.random.default_rng(0)
    fold = rng.permutation(np.arange(3000) % 2)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in (0, 1)]
    learner = econml.LinearDRLearner(
        model_propensity=LogisticRegression(C=1e6),
        model_regression=LinearRegression(),
        min_propensity=1e-6,
        cv=splits,
    )
    learner.fit(y, treated, X=None, W=X.to_numpy())
    e, m0, m1 = (np.empty(3000) for _ in range(3))
    for train, test in splits:
        x = X.to_numpy()
        e[test] = LogisticRegression(C=1e6).fit(x[train], treated[train]).predict_proba(x[test])[:, 1]
        both = LinearRegression().fit(np.c_[x[train], treated[train]], y[train])
        m0[test], m1[test] = (both.predict(np.c_[x[test], np.full(len(test), s)]) for s in (0, 1))
    ours = average_effect(Guesses(e, m0, m1), treated, y, clusters=np.arange(3000), estimand="ate")
    theirs = learner.intercept__inference(T=1)
    assert ours.difference == pytest.approx(float(np.ravel(theirs.point_estimate)[0]), abs=2e-3)
    assert ours.standard_error == pytest.approx(float(np.ravel(theirs.stderr)[0]), rel=0.02)
