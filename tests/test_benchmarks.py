"""The skill benchmark on a small county, and on Malawi where its data are: its page says what the scores give."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import cases
import causes
import dates as asked_dates
import effects
import few_rows
import first_cause
import grading
import net
import numpy as np
import outlook
import pandas as pd
import plan as planned
import preset
import pytest
import rivals
import scores
import skill
import skill_page
from cases import Case
from level import table as level_table
from rivals import Rival
from scores import Score
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

#: What a page of a benchmark says of its figures hangs on no number of trees.
pytestmark = pytest.mark.usefixtures("few_trees")

N_DRAWS = 20
#: What makes each learner fast; how well it does is not asked here.
HURRIED = {
    "logistic, splines": {"knots": 3, "penalties": (0.001, 0.01)},
    "plain LightGBM": {"n_estimators": 30, "learning_rate": 0.1},
    "CatBoost": {"most": 30, "learning_rate": 0.1, "patience": 5},
    "EBM": {"interactions": 0, "outer_bags": 1, "max_rounds": 20},
    "FLAML": {"seconds": 5},
}
SIMPLE = [name for name in rivals.rivals() if name not in HURRIED]


def hurried() -> dict[str, Rival]:
    """Return the rivals whose packages are installed, at settings that take little time."""
    return {
        name: dataclasses.replace(rival, settings=HURRIED.get(name, rival.settings))
        for name, rival in rivals.rivals().items()
        if not rival.missing
    }


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "N_THREADS", 1)


@pytest.fixture(scope="module")
def county() -> Case:
    return cases.simulated_case(scenario="quiet", seed=1, n_households=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scores")


@pytest.fixture(scope="module")
def scored(county: Case, folder: Path) -> dict[str, Score]:
    quick = {name: rival for name, rival in hurried().items() if name in (*SIMPLE, "plain LightGBM")}
    return scores.all_scores(county, "county", quick, folder)


@pytest.fixture(scope="module")
def lists(county: Case, folder: Path) -> dict[str, Score]:
    return skill.list_scores(county, "county", rivals.rivals()[skill_page.RULES], folder)


@pytest.fixture(scope="module")
def found(county: Case, scored: Mapping[str, Score], lists: Mapping[str, Score]) -> skill_page.Measured:
    return skill_page.measured("county", county, scored, lists, n_draws=N_DRAWS)


def table_after(page: str, heading: str) -> pd.DataFrame:
    """Return the first Markdown table after a heading, every cell as text."""
    lines = page.partition(heading)[2].splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return pd.DataFrame(rows[2:], columns=rows[0])


# --- the scores ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HURRIED)
def test_every_learner_gives_a_probability_for_every_test_row(name, county, tmp_path):
    rival = hurried().get(name)
    if rival is None:
        pytest.skip(f"{rivals.rivals()[name].package} is not installed")
    few = dataclasses.replace(
        county,
        X_train=county.X_train.iloc[:, :20],
        X_test=county.X_test.iloc[:, :20],
    )
    (score,) = (
        found for model, found in scores.all_scores(few, "county", {name: rival}, tmp_path).items() if model == name
    )
    assert score.risk.index.equals(county.X_test.index)
    assert score.risk.between(0, 1).all()
    assert score.risk.nunique() > 10


def test_resumed_scores_equal_fresh_ones(county, scored, folder, tmp_path):
    chosen = {name: hurried()[name] for name in scored if name != scores.RISKML}
    half = tmp_path / "half"
    shutil.copytree(folder, half)
    kept = sorted(half.glob("*.npz"))
    for path in kept[::2]:
        path.unlink()
    again = scores.all_scores(county, "county", chosen, half)
    assert sorted(path.name for path in half.glob("*.npz")) == [path.name for path in kept]
    for name, score in scored.items():
        np.testing.assert_array_equal(again[name].risk, score.risk)


def test_kept_scores_are_read_and_not_computed_again(county, scored, folder, monkeypatch):
    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(scores, "_keep", never)
    chosen = {name: hurried()[name] for name in scored if name != scores.RISKML}
    scores.all_scores(county, "county", chosen, folder)
    changed = dataclasses.replace(county, labels=county.labels.assign(returned=1 - county.y_train))
    with pytest.raises(AssertionError, match="computed again"):
        scores.all_scores(changed, "county", chosen, folder)


def test_changed_code_of_the_model_changes_the_name_of_riskmls_scores_only(county, folder, scored, monkeypatch):
    computed = []
    monkeypatch.setattr(scores, "_riskml", lambda case: "other code")
    keep = scores._keep
    monkeypatch.setattr(scores, "_keep", lambda path, *rest: (computed.append(path.name), keep(path, *rest)))
    chosen = {name: hurried()[name] for name in scored if name != scores.RISKML}
    scores.all_scores(county, "county", chosen, folder)
    assert [name.split(".")[1] for name in computed] == ["riskml"]


def test_the_welfare_behind_the_outcomes_changes_riskmls_scores_only(county, folder, scored, monkeypatch):
    computed = []
    monkeypatch.setattr(scores, "_keep", lambda path, *rest: computed.append(path.name))
    welfare = county.labels["outcome_welfare"]
    other = dataclasses.replace(county, labels=county.labels.assign(outcome_welfare=welfare**2))
    chosen = {name: hurried()[name] for name in scored if name != scores.RISKML}
    with pytest.raises(FileNotFoundError):
        scores.all_scores(other, "county", chosen, folder)
    assert [name.split(".")[1] for name in computed] == ["riskml"]


def test_no_score_uses_a_test_outcome(county, scored, tmp_path):
    mixed = np.random.default_rng(0).permutation(county.y_test.to_numpy())
    assert (mixed != county.y_test.to_numpy()).any()
    other = dataclasses.replace(county, y_test=pd.Series(mixed, index=county.y_test.index))
    chosen = {name: hurried()[name] for name in scored if name != scores.RISKML}
    for name, score in scores.all_scores(other, "county", chosen, tmp_path).items():
        np.testing.assert_array_equal(score.risk, scored[name].risk)


def test_a_hash_that_forgets_the_training_outcomes_would_be_caught(county, scored, folder, monkeypatch):
    rows = scores._rows
    monkeypatch.setattr(scores, "_rows", lambda case: rows(dataclasses.replace(case, labels=county.labels)))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_kept_scores_are_read_and_not_computed_again(county, scored, folder, monkeypatch)


def test_rows_held_out_to_tune_are_later_and_of_other_households(county):
    household, dates = (county.X_train.index.get_level_values(level) for level in ("household_id", "as_of_date"))
    judged = []
    for fit, held in rivals.folds(county.X_train):
        assert dates[held].min() > dates[fit].max()
        assert not set(household[held]) & set(household[fit])
        judged += held.tolist()
    newest = rivals.newest_block(county.X_train)
    assert newest is not None
    assert newest.mean() >= 0.15
    assert sorted(judged) == np.flatnonzero(newest).tolist()


def test_where_all_rows_are_of_one_date_other_households_are_held_out(county):
    one_date = county.X_train[county.X_train.index.get_level_values("as_of_date") == "2022-09-01"]
    assert rivals.newest_block(one_date) is None
    judged = [row for fit, held in rivals.folds(one_date) for row in held]
    assert sorted(judged) == list(range(len(one_date)))


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_table_holds_every_model_and_the_true_risk(found, scored):
    page = skill_page.page([found], n_draws=N_DRAWS)
    assert list(table_after(page, "### county")["model"]) == [*scored, scores.TRUTH]


def test_figures_are_those_of_scikit_learn(found, county, scored):
    table = found.tables["all"].set_index(["model", "figure"])["value"]
    for name in ("riskml", "logistic regression"):
        risk = scored[name].risk
        assert table[name, "auroc"] == pytest.approx(roc_auc_score(county.y_test, risk))
        assert table[name, "average_precision"] == pytest.approx(average_precision_score(county.y_test, risk))
        assert table[name, "brier"] == pytest.approx(brier_score_loss(county.y_test, risk.clip(1e-6, 1 - 1e-6)))
        assert table[name, "log_loss"] == pytest.approx(log_loss(county.y_test, risk.clip(1e-6, 1 - 1e-6)))


def test_a_positive_difference_says_that_riskml_is_better(found):
    for figure, sign in (("average_precision", 1), ("recall@5%", 1), ("log_loss", -1)):
        every = found.tables["all"]
        own = every[every["figure"] == figure].set_index("model")
        riskml = own.loc["riskml", "value"]
        np.testing.assert_allclose(own["gain"], sign * (riskml - own["value"]), atol=1e-12)
        known = own.dropna(subset="gain")
        assert len(known)
        assert (known["gain_lower"] <= known["gain_upper"]).all()


def test_the_best_rival_is_the_best_and_never_riskml_or_the_truth(found):
    table = skill_page.summary([found]).set_index("figure")
    values = found.tables["all"].pivot(index="model", columns="figure", values="value").drop(["riskml", "true risk"])
    assert table.loc["average_precision", "rival"] == values["average_precision"].idxmax()
    assert table.loc["log_loss", "rival"] == values["log_loss"].idxmin()


def test_a_log_loss_that_is_not_turned_round_would_be_caught(county, scored, monkeypatch):
    monkeypatch.setattr(skill_page, "LESS_IS_BETTER", ())
    wrong = skill_page.measured("county", county, scored, n_draws=N_DRAWS)
    for check in (
        test_a_positive_difference_says_that_riskml_is_better,
        test_the_best_rival_is_the_best_and_never_riskml_or_the_truth,
    ):
        with pytest.raises(AssertionError):
            check(wrong)


def test_against_one_rival_the_cases_are_counted(found):
    head, *rows = skill_page.by_rival([found, found])
    table = pd.DataFrame(rows, columns=head).set_index("rival")
    own = found.tables[skill_page.WHOLE]
    own = own[own["figure"] == "average_precision"].set_index("model")
    for rival, said in table["avg. precision, ahead"].items():
        assert said == f"{2 * int(own.loc[rival, 'gain_lower'] > 0)} of 2"
    assert table.loc["trigger rules", "log loss, behind"] == "-"
    behind = dataclasses.replace(
        found, tables={skill_page.WHOLE: own.reset_index().assign(gain_lower=-2, gain_upper=-1)}
    )
    assert {row[2] for row in skill_page.by_rival([behind])[1:]} == {"1 of 1"}


def test_the_verdict_counts_intervals():
    gains = {"a": (0.02, 0.01, 0.03), "b": (0.01, -0.01, 0.03), "c": (-0.01, -0.02, -0.005)}
    rows = [
        {"case": case, "group": "all", "figure": figure, "rival": "x", "gain": g, "gain_lower": low, "gain_upper": high}
        for case, (g, low, high) in gains.items()
        for figure in skill_page.JUDGED
    ]
    rows[1] |= {"gain": 0.001, "gain_lower": -0.001, "gain_upper": 0.003}  # case a in log loss: level
    said = skill_page.verdict(pd.DataFrame(rows))
    assert "average precision: at least as good on 2 of 3, strictly ahead on 1 of 3, the better figure on 2" in said
    assert "log loss: at least as good on 2 of 3, strictly ahead on 0 of 3, the better figure on 2" in said
    assert "both at once: at least as good on 2 of 3, strictly ahead on 0" in said


def test_lead_times_are_those_counted_by_hand(found, county, lists):
    n_dates = county.X_lists.index.get_level_values("as_of_date").nunique()
    assert n_dates == cases.TESTED_MONTHS
    ever = {}
    first: dict[str, dict[str, pd.Timestamp]] = {}
    for name, score in lists.items():
        first[name] = {}
        for day, risk in score.risk.groupby(level="as_of_date"):
            # No two are equal at the end of a list here, so a list needs no lot but for its last, partial place.
            for household in risk.droplevel("as_of_date").nlargest(int(skill_page.LISTED * len(risk))).index:
                first[name].setdefault(household, day)
        ever[name] = len(first[name])
    returned = county.returned_on
    for name, own in found.leads.iterrows():
        hits = [household for household, day in returned.items() if first[name].get(household, day) < day]
        assert own["returns"] == len(returned)
        assert own["share_listed"] * len(returned) == pytest.approx(len(hits), abs=3)
        assert own["ever_listed"] == pytest.approx(ever[name], abs=n_dates)


def test_households_return_on_the_first_month_below_the_line(county):
    months = county.X_lists.index.get_level_values("as_of_date").unique().sort_values()
    days = [*months, months[-1] + pd.DateOffset(months=1)]
    welfare = county.data.truth.welfare(days)
    assert len(county.returned_on) > 0
    for household, day in county.returned_on.items():
        own = welfare.loc[household]
        assert own[day] < 1
        assert (own[own.index < day] >= 1).all()


def test_the_picture_shows_every_rival_and_its_text_can_be_read(found, tmp_path):
    skill_page.draw([found, found], tmp_path / "skill.svg")
    text = (tmp_path / "skill.svg").read_text()
    for name in found.seconds.index.drop("riskml"):
        assert f">{name}<" in text
    assert len(text) < 100_000
    first = text
    skill_page.draw([found, found], tmp_path / "skill.svg")
    assert (tmp_path / "skill.svg").read_text() == first


def test_malawi_is_measured_by_the_same_functions(real_data, tmp_path):
    name = "Malawi, food consumption below 42, 2016"
    made = cases.cases(real_data)
    if name not in made:
        pytest.skip(f"no malawi_ihps in {real_data}")
    case = made[name]()
    chosen = {model: hurried()[model] for model in ("income ranking", "logistic regression", "plain LightGBM")}
    one = skill_page.measured(name, case, scores.all_scores(case, name, chosen, tmp_path), n_draws=N_DRAWS)
    assert list(one.tables) == ["all", "at 1 to 1.5 lines"]
    page = skill_page.page([one], n_draws=N_DRAWS, left_out={"EBM": "interpret-core is not installed"})
    assert "Left out: EBM (interpret-core is not installed)." in page
    assert list(table_after(page, f"### {name}")["model"]) == ["riskml", *chosen]


# --- outlooks of areas ------------------------------------------------------------------------------------------------


def _world(seed: int, first: str) -> pd.DataFrame:
    """Return predictions of three dates on which all of the two counties fall together, or stay together."""
    rng = np.random.default_rng(seed)
    days = [pd.Timestamp(first) + pd.DateOffset(months=12 * k) for k in range(3)]
    codes = [f"99012{c}10{t}201" for c in (1, 2) for t in (0, 1)]
    rows = pd.MultiIndex.from_product([days, np.repeat(codes, 40)], names=["as_of_date", "area_id"]).to_frame(
        index=False
    )
    risk = rows["as_of_date"].map(dict(zip(days, (0.12, 0.02, 0.2), strict=True)))
    return rows.assign(risk=0.08, returned=(rng.random(len(rows)) < risk).astype(float))


def test_outlooks_of_worlds_are_kept_and_judged_by_what_came(tmp_path, monkeypatch):
    worlds = {"quiet-1": "2022-07-01", "disaster-1": "2022-07-01", "disaster-2": "2022-07-01", "eph": "2018-07-01"}
    made = {
        name: outlook.measured(tmp_path, name, lambda first=first, seed=seed: _world(seed, first))
        for seed, (name, first) in enumerate(worlds.items())
    }

    def never() -> pd.DataFrame:
        raise AssertionError("computed again")

    for name, table in made.items():
        pd.testing.assert_frame_equal(outlook.measured(tmp_path, name, never), table)
    page = outlook.page(made)
    for before, names, of_strike in (
        ("3 simulated counties", ("quiet-1", "disaster-1", "disaster-2"), False),
        ("The same on the 2", ("disaster-1", "disaster-2"), True),
        ("Argentina's EPH", ("eph",), None),
    ):
        told = table_after(page, before).set_index(["areas", "way"])
        rows = pd.concat([made[name] for name in names])
        if of_strike is not None:
            # The strike comes after two thirds of the 60 months from 2021 on: in May 2024, within a year of this date.
            struck = rows["world"].str.startswith("disaster") & (rows["as_of_date"] == pd.Timestamp("2023-07-01"))
            rows = rows[struck == of_strike]
        for (level, way), own in rows.groupby(["level", "way"]):
            held = ((own["lower_80"] <= own["returned"]) & (own["returned"] <= own["upper_80"])).mean()
            assert told.loc[(level, way), "80 % held"].startswith(f"{held:.0%} (")
            assert told.loc[(level, way), "area-dates"] == f"{len(own):,}"
    assert len(table_after(page, "Alarms in the EPH")) == 2 * len(outlook.ALARMS_AT) * 3


def test_a_small_county_is_asked_on_dates_after_what_its_models_learned(monkeypatch):
    monkeypatch.setattr(outlook, "N_MONTHS", 36)
    predictions = outlook.worlds(n_households=900, seeds=[1])["disaster-1"]()
    assert predictions["as_of_date"].min() >= pd.Timestamp("2022-07-01")
    assert predictions["risk"].between(0, 1, inclusive="neither").all()
    assert 0 < predictions["returned"].mean() < 0.3


# --- the first cause -----------------------------------------------------------------------------------------------


def test_the_first_cause_is_counted_over_households_as_by_hand():
    county = first_cause.measured(1, 120, n_refits=2)
    households = county["households"]
    assert households["share_first"].isin([0, 0.5, 1]).all()
    assert households["listed"].sum() == round(0.1 * len(households))
    asked = county["households"].assign(needed=1.0)[:4]
    asked["share_first"], asked["listed"] = [0.25, 0.5, 1.0, 1.0], [True, False, False, True]
    page = first_cause.page([{**county, "households": asked}], 120, "a command")
    assert "| less than half of the refits | 25.0% | 50.0% | 1 | 100% |" in page
    assert "| more, not all | 0.0% | 0.0% | 0 | - |" in page
    assert "uncertain (first in less than 50% of the refits) for 25.0% of all households and 50.0% of the list" in page


# --- the risk net of assistance ---------------------------------------------------------------------------------------


def cliff_table() -> pd.DataFrame:
    """Return ten households, five of them on the cliff, with risks and outcomes of one's choice."""
    on = np.arange(10) < 5
    return pd.DataFrame(
        {
            "risk": [0.5, 0.4, 0.3, 0.2, 0.1] * 2,
            "risk_net": [0.5, 0.6, 0.7, 0.8, 0.9] * 2,
            "model": [0.4, 0.6, 0.7, 0.8, 0.9] * 2,
            "true": [0.1] * 10,
            "true_net": [0.6, 0.6, 0.7, 0.8, 0.9] * 2,
            "ended": [0.1, 0.2, 0.3, 0.4, 0.5] * 2,
            "returned": [1, 0, 0, 0, 0, 1, 1, 0, 0, 0],
            "needed": [0, np.nan, np.nan, np.nan, np.nan, 1, 1, np.nan, np.nan, np.nan],
            "cliff": on,
            "listed": ~on,
        }
    )


def test_figures_of_the_cliff_are_those_of_arithmetic() -> None:
    far = net.distances(cliff_table())
    assert far["mae_risk"] == pytest.approx(np.mean([0.1, 0.2, 0.4, 0.6, 0.8]))
    assert far["mae_net"] == pytest.approx(0.1 / 5)
    assert far["mae_model"] == pytest.approx(0.2 / 5)
    assert far["gain_floor"] == pytest.approx(0.1 / 5)
    found = net.on_the_cliff(cliff_table())
    assert (found["n"], found["share"], found["off_list"]) == (5, 0.5, 1.0)
    assert (found["returned"], found["returned_rest"]) == (0.2, 0.4)
    assert (found["needed"], found["needed_rest"]) == (0.0, 1.0)
    # Who returned has the highest risk and the lowest net of assistance; what ending adds rises with the latter.
    assert (found["auc_risk"], found["auc_net"]) == (1.0, 0.0)
    assert (found["rank_risk"], found["rank_net"]) == (pytest.approx(-1), pytest.approx(1))
    assert (found["hit_risk"], found["hit_net"]) == (1.0, 0.0)
    assert (found["added_risk"], found["added_net"]) == (0.0, pytest.approx(0.4))


def test_the_net_benchmark_says_every_figure_with_its_interval() -> None:
    names = [*net.DISTANCES, *net.CLIFF]
    assert set(names) == set(net.distances(cliff_table())) | set(net.on_the_cliff(cliff_table()))
    figures = pd.DataFrame({name: [0.1, 0.3] for name in names})
    rows = net.rows_of(figures, net.DISTANCES)
    # Of two values the interval is their mean and t(0.975, 1) = 12.706 standard errors of 0.1.
    assert rows[1][1:] == ["0.200", f"{0.2 - 1.2706:.3f} to {0.2 + 1.2706:.3f}"]
    assert len(rows) == 1 + len(net.DISTANCES)


def test_plans_come_nearer_to_the_bound_than_rankings_and_as_near_as_branch_and_bound() -> None:
    asked = planned.problem(400)
    ways = {name: way(*asked) for name, way in planned.WAYS.items()}
    bound = ways["riskml"]["bound"]
    assert ways["riskml"]["averted"] == pytest.approx(ways["HiGHS alone"]["averted"], rel=1e-3)
    assert ways["HiGHS alone"]["averted"] <= bound * (1 + 1e-9)
    assert ways["ranking by risk"]["averted"] < 0.95 * bound
    assert ways["ranking by gain per cost"]["averted"] < 0.99 * bound


def test_effects_are_put_beside_the_truth_of_the_county_they_come_from():
    found = effects.world(2, measures=("production_grant",), n_households=700, n_months=36, n_draws=2)
    row = found.iloc[0]
    assert row["n_treated"] >= 50
    assert row["lower"] < row["difference"] < row["upper"]
    assert -1 < row["truth"] < 0 < row["naive"]
    table = effects.section(found, 1)
    assert f"| production_grant | 1 | 0 | {100 * row['truth']:+.1f} | {100 * row['difference']:+.1f} |" in table


def test_a_measure_that_is_refused_counts_as_refused():
    found = effects.world(2, measures=("housing_repair",), n_households=60, n_months=30, n_draws=1)
    assert "| housing_repair | 0 | 1 |" in effects.section(found, 1)


# --- causes against the truth ----------------------------------------------------------------------------------------


def test_f1_counts_pairs_and_the_best_set_is_the_best_to_expect():
    named, needed = np.array([[1, 1, 0], [0, 1, 0]], bool), np.array([[1, 0, 0], [0, 1, 1]], bool)
    assert causes.f1(named, needed) == 2 * 2 / (3 + 3)
    assert causes.f1(named, needed, np.array([1.0, 0.0])) == 2 * 1 / (2 + 1)
    chance = pd.DataFrame([[0.9, 0.5], [0.3, 0.1]])
    expected = {}
    for size in range(1, 5):
        chosen = sorted(chance.to_numpy().ravel())[-size:]
        expected[size] = 2 * sum(chosen) / (size + 1.8)
    assert causes.best_set(chance).to_numpy().sum() == max(expected, key=expected.__getitem__)


def test_the_page_of_causes_holds_every_way_and_is_not_computed_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(causes, "N_FUTURES", 10)
    one = causes.kept(tmp_path, 1, 250)
    made = list(tmp_path.iterdir())
    monkeypatch.setattr(causes, "pickle", type("Reading", (), {"loads": staticmethod(causes.pickle.loads)}))
    assert causes.kept(tmp_path, 1, 250)["needed"].equals(one["needed"])
    assert list(tmp_path.iterdir()) == made
    assert {"needed", "likely", "riskml", "shap", "global"} <= set(one)
    assert one["needed"].index.equals(one["X"].index)
    page = causes.page({1: one, 2: one}, 250)
    table = table_after(page, "## Causes")
    assert len(table) == 6
    figures = table["F1, all returns"].str.split(" ").str[0].astype(float)
    assert figures.between(0, 1).all()
    # Taught by itself, a learner knows more than what others name.
    assert figures[4] > figures[[0, 2, 3]].max()
    assert (table["causes a return"].iloc[[2, 3]] == "3.0").all()


def test_the_level_table_splits_an_error_into_the_models_and_the_years() -> None:
    rows = [
        (seed, county, day, 100.0, returned, true, 20.0, 30.0)
        for seed in (1, 2)
        for county, returned in (("a", 20.0), ("b", 5.0))
        for day, true in ((pd.Timestamp("2025-01-01"), 20.0), (pd.Timestamp("2025-04-01"), 10.0))
    ]
    names = ["seed", "county", "as_of_date", "n", "returned", "true", "predicted", "loss"]
    head, only = level_table(pd.DataFrame(rows, columns=names).assign(features="standard"))
    assert len(head) == len(only)
    # 60 true of 80 predicted; 40 of 40 in January; 20 of 40 after it; 40 and 10 returned where 30 were due.
    assert only[1:] == [
        f"{np.log(60 / 80):+.2f} ± 0.00",
        "+0.00 ± 0.00",
        f"{np.log(20 / 40):+.2f} ± 0.00",
        f"{-np.log(30 / 40):.2f}",
        f"{(np.log(40 / 30) + np.log(30 / 10)) / 2:.2f}",
        "0.30000",
    ]


# --- few rows --------------------------------------------------------------------------------------------------------


def test_few_rows_are_judged_beside_logistic_regression_with_an_interval_of_the_difference(county, monkeypatch):
    monkeypatch.setattr(few_rows, "N_BOOTSTRAP", N_DRAWS)
    monkeypatch.setattr(few_rows, "unfitted", partial(preset.unfitted, n_estimators=30))
    rows = list(few_rows.rows_of("county", county, 300, n_samples=1))
    for row, (figure, direct) in zip(rows, few_rows.FIGURES.items(), strict=True):
        risks, returns = few_rows.learned(county, 300, 1)
        mine, other = (direct(county.y_test, risks[way][0]) for way in few_rows.WAYS)
        assert row[:4] == [f"county, 300 rows, {returns:.0f} returns", figure, f"{mine:.3f}", f"{other:.3f}"]
        low, high = (float(end) for end in row[4].partition("(")[2].rstrip(")").split(" to "))
        assert low < mine - other < high


def test_a_model_beside_itself_differs_by_nothing(county, monkeypatch):
    class Deaf(few_rows.LogisticBaseline):
        def fit(self, X, y, outcome_welfare):
            return super().fit(X, y)

    monkeypatch.setattr(few_rows, "unfitted", lambda case, calibrate: Deaf())
    assert {row[4] for row in few_rows.rows_of("county", county, 300, n_samples=1)} == {"+0.000 (+0.000 to +0.000)"}


# --- graded outcomes -------------------------------------------------------------------------------------------------


def test_graded_outcomes_lie_on_the_side_of_yes_or_no(county):
    graded, plain = grading.targets_of(county)
    np.testing.assert_array_equal(plain, county.y_train)
    np.testing.assert_array_equal(graded > 0.5, plain == 1)
    assert ((graded > 0.01) & (graded < 0.99)).mean() > 0.05


def test_a_learner_that_hears_no_difference_makes_none(county, monkeypatch):
    monkeypatch.setattr(grading, "LEARNERS", {"deaf": lambda case, _: -case.X_test["welfare"].to_numpy()})
    monkeypatch.setattr(grading, "N_BOOTSTRAP", N_DRAWS)
    (row,) = grading.rows_of("county", county)
    assert {row[3], row[5]} == {"+0.0000 (+0.0000 to +0.0000)"}
    margin = -county.X_test["welfare"].to_numpy()
    assert row[2] == f"{average_precision_score(county.y_test, margin):.3f}"


def test_riskml_learns_what_the_table_says(county, monkeypatch):
    monkeypatch.setattr(grading, "unfitted", partial(preset.unfitted, n_estimators=20))
    graded, plain = (grading._riskml(county, targets) for targets in grading.targets_of(county))
    alone = preset.unfitted(county, n_estimators=20).fit(county.X_train, county.y_train)
    np.testing.assert_array_equal(plain, alone.decision_function(county.X_test))
    assert (graded != plain).any()


def test_a_choice_within_the_training_rows_sees_no_test(county):
    within = preset._within(county)
    assert len(within) == 3
    for one in within:
        assert one.X_test.index.isin(county.X_train.index).all()
        assert not set(one.X_test.index.get_level_values(0)) & set(one.X_train.index.get_level_values(0))
        assert one.y_test.equals(county.y_train.loc[one.X_test.index])


def test_more_dates_give_more_rows_and_the_same_test():
    found = asked_dates.of_county(1, n_households=150)
    n_rows = [row[0] for row in found]
    assert n_rows[0] > 2 * n_rows[1] > 3 * n_rows[2]
    for row in found:
        assert len(row) == len(asked_dates.HEAD) - 1
        assert all(np.isfinite(row))
