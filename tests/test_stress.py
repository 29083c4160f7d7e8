"""What imagined events would do: arithmetic of the answer, the smallest budget by brute force, the law's own events."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import stress as benchmark

import riskml as rk
from riskml.causes import CAUSES
from riskml.cli import main
from riskml.datasets import make_monitoring
from riskml.datasets.law import MEASURES, Event
from riskml.datasets.simulate import monitoring_under
from riskml.outlook.experience import far_from_past, out_of_range
from riskml.outlook.scenario import edited, scenario_from
from riskml.outlook.stress import budget_to_hold, stress
from riskml.planning.measures import check_measures, example_measures
from riskml.tables.reading import write_monitoring

N, N_MONTHS, AS_OF = 250, 30, "2023-06-01"
SLUMP = {"name": "slump", "part": [{"edits": [{"kind": "jobs_end", "which": "all", "share": 0.5}]}]}


@pytest.fixture(scope="module")
def data():
    return make_monitoring(N, n_months=N_MONTHS, random_state=4)


@pytest.fixture(scope="module")
def training(data):
    return rk.training_set(data, ["2021-10-01", "2022-02-01", "2022-05-01"], horizon_months=12)


@pytest.fixture(scope="module")
def model(training):
    return rk.RiskClassifier(n_estimators=30).fit(*training)


@pytest.fixture(scope="module")
def answer(data, model):
    village = data.tables["households"]["area_id"].max()
    part = {**SLUMP["part"][0], "areas": [village]}
    return stress(data, model, scenario_from({"name": "x", "part": [part]}), as_of_date=AS_OF, n_listed=20)


# --- the answer ------------------------------------------------------------------------------------------------------


def test_an_empty_scenario_moves_nothing_and_costs_nothing(data, model):
    nothing = scenario_from({"name": "nothing"})
    same = stress(data, model, nothing, as_of_date=AS_OF, measures=example_measures())
    risk = model.predict_risk(rk.feature_table(data, [AS_OF])[list(model.feature_names_in_)])
    households = same.households.set_index(["household_id", "as_of_date"]).loc[risk.index]
    np.testing.assert_allclose(households["risk_before"], risk, atol=1e-9)
    assert (households["change"] == 0).all()
    assert not households["touched"].any()
    assert (same.causes["change"] == 0).all()
    assert same.budget[["held", "budget", "households"]].iloc[0].tolist() == [True, 0.0, 0]
    assert len(same.warnings) == 1


def test_areas_and_causes_add_up_to_the_change_of_all(answer):
    whole, areas = answer.areas.iloc[0], answer.areas.iloc[1:]
    households = answer.households
    assert whole["households"] == areas["households"].sum() == len(households)
    for name in ("rate_before", "rate_after"):
        total = households[name.replace("rate", "risk")].sum()
        assert (areas[name] * areas["households"]).sum() == pytest.approx(total)
        assert whole[name] == pytest.approx(total / len(households))
    assert answer.causes["change"].sum() == pytest.approx(households["change"].sum())
    assert whole["change"] > 0


def test_who_crosses_the_cut_off_is_who_has_it_between_both_risks(answer):
    households, cut_off = answer.households, answer.cut_off
    assert cut_off == households["risk_before"].nlargest(20).iloc[-1]
    enters = (households["rank_before"] > 20) & (households["risk_after"] >= cut_off)
    assert (households["crosses"] == "enters").tolist() == enters.tolist()
    assert enters.sum() > 0


def test_only_the_area_struck_moves_but_for_features_of_the_area(data, answer):
    village = data.tables["households"]["area_id"].max()
    others = answer.households[answer.households["area_id"] != village]
    assert len(others) > 100
    assert (others["change"] == 0).all()
    assert answer.households.loc[answer.households["area_id"] == village, "touched"].any()


# --- the budget ------------------------------------------------------------------------------------------------------


def needs(risks: list[float]) -> pd.DataFrame:
    table = pd.DataFrame(
        {"household_id": [f"h{i}" for i in range(len(risks))], "as_of_date": pd.Timestamp("2024-01-01")}
    )
    return table.assign(risk=risks, **{f"points_{c}": np.array(risks) * (c == "illness") for c in CAUSES})


@pytest.mark.parametrize("to_avert", [0.01, 0.05, 0.1, 0.17])
def test_the_smallest_budget_is_that_of_all_plans(to_avert):
    risks, costs, effects = [0.3, 0.2, 0.1, 0.05], [700.0, 300.0], [0.5, 0.2]
    rows = [
        {"measure": f"m{i}", "causes": "illness", "cost": cost, "effect": effect, "effect_source": "assumed"}
        for i, (cost, effect) in enumerate(zip(costs, effects, strict=True))
    ]
    measures = check_measures(pd.DataFrame(rows))
    found = budget_to_hold(needs(risks), measures, expected=sum(risks) - to_avert).iloc[0]
    options = [(0.0, 0.0), *zip(costs, effects, strict=True)]
    plans = itertools.product(options, repeat=len(risks))
    held = [
        sum(cost for cost, _ in plan)
        for plan in plans
        if sum(risk * effect for risk, (_, effect) in zip(risks, plan, strict=True)) >= to_avert - 1e-9
    ]
    assert found["held"]
    assert min(held) <= found["budget"] <= 1.01 * min(held)
    assert found["averted"] >= to_avert - 1e-9


def test_what_no_budget_holds_is_said_with_what_is_missing():
    measures = example_measures()
    effect = measures.loc[measures["causes"].str.split(";").map(lambda causes: "illness" in causes), "effect"].max()
    found = budget_to_hold(needs([0.3, 0.2]), measures, expected=0.0).iloc[0]
    assert not found["held"]
    assert found["missing"] == pytest.approx(0.5 * (1 - effect))


# --- outside experience ----------------------------------------------------------------------------------------------


def test_no_row_of_the_training_is_out_of_range_and_one_beyond_it_is(model, training):
    X = training[0]
    assert not out_of_range(model, X).to_numpy().any()
    used = out_of_range(model, X).columns
    name = next(name for name in used if X[name].notna().any())
    beyond = X.head(1).assign(**{name: X[name].max() * 1.5 + 1})
    assert out_of_range(model, beyond)[name].tolist() == [True]
    missing = X.head(1).assign(**{name: np.nan})
    assert not out_of_range(model, missing)[name].any()


def test_combinations_that_no_household_ever_had_are_far_though_each_value_was_seen(data, model):
    X = rk.feature_table(data, [AS_OF])[list(model.feature_names_in_)]
    rng = np.random.default_rng(0)
    mixed = X.assign(**{name: rng.permutation(X[name].to_numpy()) for name in X})
    far = far_from_past(data, model, X, mixed)
    assert far["far_before"].mean() == pytest.approx(0.01, abs=0.01)
    assert far["far"].mean() > 0.2
    assert far_from_past(data, model, X, X)["far"].tolist() == far["far_before"].tolist()


def test_a_warning_names_the_features_beyond_the_training(data, model):
    flood = scenario_from({"name": "x", "part": [{"edits": [{"kind": "income", "source": "welfare", "change": 1.0}]}]})
    with pytest.raises(rk.DataRefused, match="needs the table welfare"):
        stress(data, model, flood, as_of_date=AS_OF)
    rich = {"edits": [{"kind": "income", "source": name, "change": 10.0} for name in ("wage", "business", "private")]}
    said = stress(data, model, scenario_from({"name": "x", "part": [rich]}), as_of_date=AS_OF)
    assert (said.households["n_outside"] > 0).mean() > 0.2
    text = "\n".join(en for en, _ in said.warnings)
    assert "outside all the model was trained on" in text
    assert any(label in text for label in said.outside["label_en"].head())


# --- the events of the law -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def district():
    return make_monitoring(120, n_months=20, random_state=2)


def test_an_event_that_does_nothing_gives_the_same_tables(district):
    same = monitoring_under(district.truth, Event(month=10))
    assert all(frame.equals(same.tables[name]) for name, frame in district.tables.items())


@pytest.mark.parametrize(
    "event",
    [
        Event(16, severity=np.full(120, 3, np.int8), hit=np.ones(120, bool)),
        Event(16, jobs_end=np.ones((2, 120), bool)),
        Event(16, price_fall=np.full(120, 0.7, np.float32)),
        Event(16, ended=tuple(MEASURES)),
    ],
    ids=["flood", "slump", "price", "transfers"],
)
def test_an_event_raises_true_risk_and_leaves_the_months_before_it_alone(district, event):
    truth = monitoring_under(district.truth, event).truth
    day = ["2022-08-01"]
    np.testing.assert_array_equal(truth.monthly_welfare[: 12 + 16], district.truth.monthly_welfare[: 12 + 16])
    risks = [each.risk(day, n_draws=30)["risk"].mean() for each in (district.truth, truth)]
    assert risks[1] > risks[0] + 0.005


def test_bills_of_the_law_are_multiplied_from_the_event_on(district):
    world = monitoring_under(district.truth, Event(10, bills=np.full(120, 3, np.float32)))
    costs = [np.asarray(each.truth.states["savings"]) for each in (district, world)]
    assert (costs[1][: 12 + 11] == costs[0][: 12 + 11]).all()
    assert costs[1][-1].sum() < costs[0][-1].sum()


def test_an_event_outside_the_recorded_months_is_refused(district):
    with pytest.raises(ValueError, match="one of the 20 recorded months"):
        monitoring_under(district.truth, Event(month=20))


def test_the_benchmark_strikes_the_jobs_that_the_scenario_ends_and_divides_means(data, monkeypatch):
    monkeypatch.setattr(benchmark, "N_MONTHS", N_MONTHS)
    as_of = data.truth.first_day + pd.DateOffset(months=N_MONTHS)
    scenario = benchmark.scenario_of("jobs", data)
    event = benchmark.event_of(scenario, data, as_of)
    struck = set(edited(data, scenario, as_of)[1]["household_id"])
    assert event.month == N_MONTHS - 3
    assert set(data.truth.household_ids[event.jobs_end.any(axis=0)]) == struck
    assert len(struck) > 5
    rows = [
        {"seed": i, "scenario": "jobs", "true": true, "imagined": 0.01, "seen": 0.02}
        for i, true in ((1, 0.01), (2, 0.03))
    ]
    others = ("true_before", "rate_before", "rank_all", "rank_struck", "rank_households", "fallen", "fallen_true")
    table = pd.DataFrame(rows).assign(**dict.fromkeys((*others, "fallen_model", "outside", "far", "first"), 0.5))
    # Means: true 0.02, imagined 0.01, seen 0.02.
    row = "| +2.00 (1.41) | +1.00 (0.00) | +50.00 (0.00) | +2.00 (0.00) | -1.00 (1.41) | 0.50 | 1.00 |"
    assert row in benchmark.text(table)


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_says_rates_areas_budget_and_warnings_in_both_languages(data, model, tmp_path, capsys):
    write_monitoring(data, tmp_path / "county")
    rk.save_model(model, tmp_path / "models")
    example_measures().to_csv(tmp_path / "measures.csv", index=False)
    (tmp_path / "slump.toml").write_text(
        'name = "slump"\nlabel_zh = "岗位减少"\n[[part]]\nedits = [{ kind = "jobs_end", which = "all" }]\n',
        encoding="utf-8",
    )
    line = f"stress {tmp_path}/county --model {tmp_path}/models --scenario {tmp_path}/slump.toml --as-of {AS_OF}"
    end = f" --measures {tmp_path}/measures.csv --area-digits 9 --tables {tmp_path}/tables --out {tmp_path}/stress.csv"
    assert main([*f"--json {line}{end}".split()]) == 0
    values = json.loads(capsys.readouterr().out)
    households = pd.read_csv(tmp_path / "stress.csv")
    assert values["event_on"] == "2023-03-01"
    assert values["areas"][0]["rate_after"] == pytest.approx(households["risk_after"].mean())
    assert values["n_entering"] == (households["crosses"] == "enters").sum()
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == {"areas", "causes", "edits", "outside", "budget"}
    assert main([*f"--lang zh {line} --out {tmp_path}/stress.csv".split()]) == 0
    said = capsys.readouterr().out
    assert "岗位减少" in said
    assert "并非事件本身的效果" in said
    (tmp_path / "slump.toml").write_text('name = "slump"\ncolour = 1\n', encoding="utf-8")
    assert main([*f"{line} --out {tmp_path}/stress.csv".split()]) == 3
    assert "colour" in capsys.readouterr().err
