"""Groups: those of several columns and their combinations, against fairlearn; and who is missed, in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_score

import riskml as rk
from riskml.output.missed import who_is_missed
from riskml.skill.groups import FEW_EVENTS, chosen_groups
from riskml.skill.metrics import evaluate
from riskml.skill.targeting import targeting_errors

ERRORS = ["exclusion_error", "inclusion_error"]


@pytest.fixture(scope="module")
def district():
    """Return outcome, a score without ties, weights, and three columns of groups with a small and a missing one."""
    rng = np.random.default_rng(6)
    n = 900
    groups = pd.DataFrame(
        {
            "area": rng.choice(["east", "west", "far"], n, p=[0.6, 0.39, 0.01]),
            "head_female": rng.integers(0, 2, n).astype(float),
            "language": rng.choice(["a", "b"], n),
        }
    )
    groups.loc[:6, "head_female"] = np.nan
    risk = rng.permutation(n) / n
    y = (rng.random(n) < 0.1 + 0.4 * risk).astype(float)
    return y, risk, rng.integers(1, 4, n).astype(float), groups


def test_every_column_and_every_combination_is_there_and_counts_everybody_once(district):
    y, risk, _, groups = district
    table = targeting_errors(y, risk, quota=0.2, groups=groups)
    assert table.iloc[0][["by", "group", "n"]].tolist() == ["all", "all", len(y)]
    names = ["all", "area", "head_female", "language", "area × head_female", "area × language"]
    assert table["by"].unique().tolist() == [*names, "head_female × language", "area × head_female × language"]
    for _, part in table.groupby("by"):
        assert part["n"].sum() == len(y)
        assert part["events"].sum() == y.sum()
        assert part["missed"].sum() == pytest.approx(table["missed"][0])
        assert part["listed"].sum() == pytest.approx(0.2 * len(y))
    far = table.set_index(["by", "group"]).loc[("area × head_female", "far × 0")]
    assert far["n"] == ((groups["area"] == "far") & (groups["head_female"] == 0)).sum()


def test_a_small_and_a_missing_group_are_shown_and_marked(district):
    y, risk, _, groups = district
    table = targeting_errors(y, risk, quota=0.2, groups=groups, n_bootstrap=20).set_index(["by", "group"])
    far, unknown = table.loc[("area", "far")], table.loc[("head_female", "missing")]
    assert (far["n"], unknown["n"]) == ((groups["area"] == "far").sum(), 7)
    assert far["few_events"]
    assert unknown["few_events"]
    assert far["exclusion_error_upper"] - far["exclusion_error_lower"] > 0.4
    assert not table.loc[("area", "east"), "few_events"]
    assert table.loc[("area", "east"), "events"] >= FEW_EVENTS


def test_the_groups_of_one_column_are_those_of_the_same_column_alone(district):
    y, risk, weight, groups = district
    both = targeting_errors(y, risk, quota=0.2, groups=groups[["area"]], sample_weight=weight, n_bootstrap=10)
    alone = targeting_errors(y, risk, quota=0.2, groups=groups["area"], sample_weight=weight, n_bootstrap=10)
    pd.testing.assert_frame_equal(both[1:].reset_index(drop=True), alone)
    nobody = targeting_errors(y, risk, quota=0.2, sample_weight=weight, n_bootstrap=10)
    pd.testing.assert_frame_equal(both[:1], nobody)


def test_evaluate_shows_the_same_groups_and_agrees_at_the_cut_off(district):
    y, risk, weight, groups = district
    two = groups[["area", "language"]]
    figures = evaluate({"a": risk}, y, quota=[0.2], groups=two, sample_weight=weight, n_bootstrap=0)
    recall = figures[figures["figure"] == "recall@20%"].reset_index(drop=True)
    errors = targeting_errors(y, risk, quota=0.2, groups=two, sample_weight=weight)
    pd.testing.assert_frame_equal(
        recall[["by", "group", "n", "events", "few_events"]], errors[["by", "group", "n", "events", "few_events"]]
    )
    mixed = (errors["events"] < errors["n"]).to_numpy()
    np.testing.assert_allclose(recall["value"][mixed], 1 - errors["exclusion_error"][mixed])


def test_the_errors_of_groups_and_combinations_are_those_of_fairlearn(district):
    fairlearn = pytest.importorskip("fairlearn.metrics", reason="fairlearn is not installed (it is in the test extra)")
    y, risk, weight, groups = district
    groups = groups.fillna({"head_female": 2})
    # A list of definite households: weights would cut one in two.
    listed = (risk >= np.quantile(risk, 0.8)).astype(int)

    def inclusion_error(y_true, y_pred, sample_weight):
        return 1 - precision_score(y_true, y_pred, sample_weight=sample_weight, zero_division=np.nan)

    frames = {
        "count": fairlearn.count,
        "exclusion_error": fairlearn.false_negative_rate,
        "inclusion_error": inclusion_error,
    }
    names = list(groups)
    table = targeting_errors(y, risk, quota=float(weight @ listed), groups=groups, sample_weight=weight).set_index(
        ["by", "group"]
    )
    n_compared = 0
    for columns in [[names[0]], [names[1]], names[:2], names]:
        theirs = fairlearn.MetricFrame(
            metrics=frames,
            y_true=y,
            y_pred=listed,
            sensitive_features=groups[columns],
            sample_params={name: {"sample_weight": weight} for name in ERRORS},
        )
        np.testing.assert_allclose(
            table.loc[("all", "all"), ERRORS].astype(float), theirs.overall[ERRORS].astype(float)
        )
        for key, row in theirs.by_group.iterrows():
            values = [str(int(v)) if isinstance(v, float) else str(v) for v in (key if len(columns) > 1 else [key])]
            at = (" × ".join(columns), " × ".join(values))
            if at not in table.index:
                assert np.isnan(row["count"])  # fairlearn has a row for combinations that nobody is in
                continue
            ours = table.loc[at]
            assert ours["n"] == row["count"]
            if ours["events"]:  # fairlearn calls a rate without cases 0
                assert ours["exclusion_error"] == pytest.approx(row["exclusion_error"])
            if ours["listed"]:
                assert ours["inclusion_error"] == pytest.approx(row["inclusion_error"])
            n_compared += 1
    assert n_compared >= 15


def test_a_score_blind_to_a_trait_but_worse_for_its_households_is_seen():
    """A planted harm: the score says nothing of women who head households; a list misses them, and it shows."""
    rng = np.random.default_rng(8)
    woman = rng.random(4000) < 0.3
    true = rng.beta(1, 5, 4000)
    y = (rng.random(4000) < true).astype(float)
    seen = np.where(woman, 0.1, true)
    groups = pd.DataFrame({"head_female": woman.astype(float)})
    harmed = targeting_errors(y, seen, quota=0.1, groups=groups, n_bootstrap=50).set_index("group")
    assert harmed.loc["1", "exclusion_error_lower"] > harmed.loc["all", "exclusion_error"]
    fair = targeting_errors(y, true, quota=0.1, groups=groups, n_bootstrap=50).set_index("group")
    assert fair.loc["1", "exclusion_error_lower"] < fair.loc["all", "exclusion_error"]
    said = who_is_missed(harmed.reset_index(), dictionary=rk.feature_dictionary())
    assert "more than" in said[2]
    assert "fewer than" in said[1]


# --- which groups ----------------------------------------------------------------------------------------------------


@pytest.fixture
def chosen():
    index = pd.MultiIndex.from_product([["a", "b"], [pd.Timestamp("2024-01-01")]], names=["household_id", "as_of_date"])
    X = pd.DataFrame({"head_female": [0.0, 1.0], "members": [3.0, 4.0]}, index=index)
    people = pd.DataFrame({"area_id": ["110101", "110202"], "welfare": [1.1, 2.0], "weight": 1.0}, index=index)
    return lambda *names: chosen_groups(names, X, people, rk.feature_dictionary())


def test_groups_are_columns_of_the_features_or_the_cohort_or_the_beginning_of_an_area(chosen):
    assert chosen("area_id:4", "members").to_dict("list") == {"area_id:4": ["1101", "1102"], "members": [3, 4]}
    assert chosen("area_id")["area_id"].tolist() == ["110101", "110202"]


def test_sensitive_traits_are_those_the_dictionary_calls_so(chosen):
    marked = rk.feature_dictionary().query("sensitive")["name"].tolist()
    assert "head_female" in marked
    assert list(chosen("sensitive")) == ["head_female"]
    blind = rk.feature_dictionary().assign(sensitive=False)
    with pytest.raises(ValueError, match="no feature of these data is marked sensitive"):
        chosen_groups(["sensitive"], pd.DataFrame({"head_female": [1.0]}), pd.DataFrame(), blind)


def test_numbers_are_cut_where_it_is_said(chosen):
    assert chosen("welfare:1.5/2")["welfare:1.5/2"].tolist() == ["<1.5", "≥2"]  # 1.1 and 2.0
    assert chosen("members:1/3.5/9")["members:1/3.5/9"].tolist() == ["1–3.5", "3.5–9"]
    table = targeting_errors([1, 1], [2, 1], quota=1, groups=chosen("welfare:1.5/2").reset_index(drop=True))
    assert table["group"].tolist() == ["all", "<1.5", "≥2"]
    said = who_is_missed(table, dictionary=rk.feature_dictionary())[1]
    label = rk.feature_dictionary().set_index("name").loc["welfare", "label_en"]
    assert f"among households ({label}: <1.5) the list" in said


@pytest.mark.parametrize(
    ("name", "english", "chinese"),
    [
        ("nowhere", "'nowhere' is no column of the feature table", "都没有“nowhere”"),
        ("nowhere:4", "'nowhere:4' is no column", "都没有“nowhere:4”"),
        *((name, f"{name} cannot be read", f"无法识别 {name}") for name in ("area_id:x", "area_id:0", "area_id:4/6")),
        *((name, f"{name} cannot be read", f"无法识别 {name}") for name in ("welfare:x", "welfare:2/1", "welfare:nan")),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_no_group_is_named_in_both_languages(chosen, name, english, chinese, language, monkeypatch):
    monkeypatch.setenv("RISKML_LANG", language)
    with pytest.raises(ValueError, match=chinese if language == "zh" else english):
        chosen(name)


@pytest.mark.parametrize(("language", "words"), [("en", "cut the numbers into ranges"), ("zh", "先把数值分段")])
def test_numbers_are_not_taken_for_groups(language, words, monkeypatch):
    monkeypatch.setenv("RISKML_LANG", language)
    with pytest.raises(ValueError, match=words):
        targeting_errors(np.ones(600), np.ones(600), quota=0.1, groups=np.arange(600))


def test_groups_that_do_not_fit_are_refused():
    y = pd.Series([1, 0], index=["a", "b"])
    with pytest.raises(ValueError, match="indexed differently"):
        targeting_errors(y, [2, 1], quota=1, groups=pd.Series([1, 2], index=["b", "a"]))
    with pytest.raises(ValueError, match="of the length of y, got 3 and 2"):
        targeting_errors([1, 0], [2, 1], quota=1, groups=["a", "b", "c"])
    with pytest.raises(ValueError, match="joins the names of combinations"):
        targeting_errors([1, 0], [2, 1], quota=1, groups=["a × b", "c"])


# --- in words --------------------------------------------------------------------------------------------------------


def row(**given_):
    plain = {"by": "group", "group": "households without a worker", "n": 100, "events": 40, "missed": 31.0}
    error = {"exclusion_error": 0.775, "exclusion_error_lower": 0.62, "exclusion_error_upper": 0.89}
    return {**plain, "few_events": False, **error, **given_}


EVERYBODY = row(by="all", group="all", n=900, events=200, missed=110.0, exclusion_error=0.55)


@pytest.mark.parametrize(
    ("given_", "english", "chinese"),
    [
        (
            {},
            "Of 40 returns among households without a worker the list misses 31 (78%, interval 62-89%), "
            "more than 55% in all.",
            "households without a worker的40起返贫中，名单漏掉31起（78%，区间62%–89%），高于全体的55%。",
        ),
        (
            {"by": "head_female × area_id:4", "group": "1 × 1101", "exclusion_error_lower": 0.5},
            "Of 40 returns among households (head is a woman: yes, area: 1101...) the list misses 31 "
            "(78%, interval 50-89%), against 55% in all.",
            "住户（女性户主：是，地区：1101...）的40起返贫中，名单漏掉31起（78%，区间50%–89%），全体为55%。",
        ),
        (
            {"by": "able_share", "group": "missing", "events": 1, "missed": 0.5, "few_events": True}
            | {"exclusion_error": 0.5, "exclusion_error_lower": np.nan, "exclusion_error_upper": np.nan},
            "Of 1 return among households (share of members fully able to work: not on record) the list misses "
            "about 0.5 (50%), against 55% in all. Fewer than 30 returns: read the interval, not the share.",
            "住户（有劳动能力人口占比：未记录）的1起返贫中，名单漏掉约0.5起（50%），全体为55%。"
            "返贫不足30起：请看区间，不要只看比例。",
        ),
        (
            {"by": "sect", "group": "x", "exclusion_error": 0.6, "exclusion_error_lower": 0.5},
            "Of 40 returns among households (sect: x) the list misses 31 (60% with survey weights, interval 50-89%), "
            "against 55% in all.",
            "住户（sect：x）的40起返贫中，名单漏掉31起（60%，按抽样权重，区间50%–89%），全体为55%。",
        ),
        (
            {"by": "sect", "group": "x", "n": 12, "events": 0, "missed": 0.0, "exclusion_error": np.nan},
            "None of the 12 households (sect: x) returned: what the list would miss is not known.",
            "住户（sect：x）共12户，无人返贫：名单会漏掉多少无从得知。",
        ),
    ],
)
def test_who_is_missed_is_said_by_name(given_, english, chinese):
    errors = pd.DataFrame([EVERYBODY, row(**given_)])
    dictionary = rk.feature_dictionary()
    said = who_is_missed(errors, dictionary=dictionary)
    assert said[0] == "Of 200 returns the list misses 110 (55%, interval 62-89%)."
    assert said[1] == english
    assert who_is_missed(errors, dictionary=dictionary, language="zh")[1] == chinese


def test_a_table_without_everybody_is_said_without_the_comparison():
    said = who_is_missed(pd.DataFrame([row()]))
    assert said == ["Of 40 returns among households without a worker the list misses 31 (78%, interval 62-89%)."]
    with pytest.raises(ValueError, match="expected 'en' or 'zh'"):
        who_is_missed(pd.DataFrame([row()]), language="fr")
