"""The command: the whole chain through files, and one clear message with the right exit code when it cannot be."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

import indec
import numpy as np
import pandas as pd
import pytest

from riskml import commands
from riskml.causes import CAUSES
from riskml.cli import build_parser, main
from riskml.explanation.wording import format_risk
from riskml.features.panel import feature_table
from riskml.files import read_table, write_table
from riskml.planning.measures import example_measures, read_measures
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import read_monitoring, write_monitoring

COLUMNS = [
    *("household_id", "as_of_date", "area_id", "rank", "risk", "risk_lower", "risk_upper"),
    *("risk_net", "risk_net_lower", "risk_net_upper", "support", "support_ends_on"),
    *(f"points_{cause}" for cause in CAUSES),
    *("cause_1", "cause_2", "cause_3", "on_file", "reason_en", "reason_zh"),
]
ROOT = Path(__file__).resolve().parents[1]
TEST_FROM, AS_OF, LATER = "2023-01-01", "2023-11-01", "2023-12-01"
pytestmark = pytest.mark.usefixtures("few_trees")


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """Return a folder with a simulated county, a trained model, two watchlists, measures and a plan."""
    work = tmp_path_factory.mktemp("扶贫 work")
    write_table(example_measures(), work / "measures.csv")
    for command in (
        "simulate {}/county --households 400 --months 36 --seed 3",
        f"train {{}}/county --test-from {TEST_FROM} --out {{}}/models --seed 1",
        f"score {{}}/county --model {{}}/models --as-of {AS_OF} --out {{}}/before.parquet",
        f"score {{}}/county --model {{}}/models --as-of {LATER} --top 40 --out {{}}/list.parquet",
        "plan {}/list.parquet --measures {}/measures.csv --budget 30000 --out {}/plan.csv",
    ):
        assert riskml(work, command) == 0, command
    return work


def riskml(work: Path, command: str) -> int:
    """Run a command in which ``{}`` stands for the folder."""
    return main([argument.replace("{}", str(work)) for argument in command.split()])


def test_a_list_has_the_promised_columns_one_row_a_household_in_the_order_of_risk(work):
    listed = read_table(work / "before.parquet")
    assert list(listed.columns) == COLUMNS
    assert listed["household_id"].is_unique
    assert listed["rank"].tolist() == list(range(1, len(listed) + 1))
    assert listed["risk"].is_monotonic_decreasing
    assert (listed["as_of_date"] == pd.Timestamp(AS_OF)).all()
    assert (listed["risk_lower"] <= listed["risk"]).all()
    assert (listed["risk"] <= listed["risk_upper"]).all()
    assert listed["area_id"].str.len().min() > 0


def test_the_points_of_every_household_add_up_to_its_risk_less_the_same_base(work):
    listed = read_table(work / "before.parquet")
    base = listed["risk"] - listed[[f"points_{cause}" for cause in CAUSES]].sum(axis=1)
    assert np.ptp(base) < 1e-9


def test_the_list_is_the_same_when_it_is_made_again_and_as_csv(work):
    riskml(work, f"score {{}}/county --model {{}}/models --as-of {AS_OF} --out {{}}/again.parquet")
    riskml(work, f"score {{}}/county --model {{}}/models --as-of {AS_OF} --out {{}}/again.csv")
    first, again = read_table(work / "before.parquet"), read_table(work / "again.parquet")
    pd.testing.assert_frame_equal(first, again)
    from_csv = read_table(work / "again.csv")
    assert from_csv["household_id"].tolist() == first["household_id"].tolist()
    assert from_csv["reason_zh"].tolist() == first["reason_zh"].tolist()
    np.testing.assert_allclose(from_csv["risk"], first["risk"], rtol=1e-12)


def test_top_cuts_the_list_and_explain_says_how_many_reasons_are_given(work, capsys):
    whole = read_table(work / "before.parquet")
    score = f"score {{}}/county --model {{}}/models --as-of {AS_OF} --out {{}}/some.parquet"
    riskml(work, f"{score} --top 15")
    pd.testing.assert_frame_equal(read_table(work / "some.parquet"), whole.head(15))
    riskml(work, f"{score} --top 15 --explain top")
    some = read_table(work / "some.parquet")
    assert some["risk"].tolist() == whole["risk"].tolist()
    assert (some["reason_en"] != "").tolist() == [True] * 15 + [False] * (len(whole) - 15)
    riskml(work, f"{score} --explain none")
    none = read_table(work / "some.parquet")
    assert list(none.columns) == COLUMNS
    assert none["household_id"].tolist() == whole["household_id"].tolist()
    assert none[[f"points_{cause}" for cause in CAUSES]].isna().all(axis=None)
    capsys.readouterr()
    assert riskml(work, f"{score} --explain top") == 1
    assert "--top" in capsys.readouterr().err


def test_a_plan_keeps_budgets_floors_and_decisions_and_says_what_limits_are_worth(work, capsys):
    (work / "budgets.csv").write_text("source,area_id,amount\n,,40000\n,99,20000\n", encoding="utf-8")
    (work / "floors.csv").write_text("condition,households\nrank > 30,2\n", encoding="utf-8")
    made = "plan {}/list.parquet --measures {}/measures.csv --data {}/county "
    made += "--budgets {}/budgets.csv --floors {}/floors.csv"
    capsys.readouterr()
    assert (
        riskml(work, made + " --max-measures 2 --welfare-weight 1 --limits {}/limits.csv --out {}/full.csv --json") == 0
    )
    said = json.loads(capsys.readouterr().out)
    plan, limits = read_table(work / "full.csv"), read_table(work / "limits.csv")
    assert plan["cost"].sum() <= 20_000
    assert said["gap"] <= 0.01
    assert said["objective"] == "returns_averted_weighted_by_welfare"
    floor = limits[limits["limit"] == "floor_households"].iloc[0]
    late = read_table(work / "list.parquet").query("rank > 30")["household_id"]
    assert plan.loc[plan["measure"] != "", "household_id"].isin(late).sum() >= 2 == floor["amount"]
    proposed = plan.index[plan["measure"] != ""]
    plan.loc[proposed[0], ["decision", "reason"]] = ["approved", "visited"]
    plan.loc[proposed[1], ["decision", "reason"]] = ["refused", "moved away"]
    write_table(plan, work / "reviewed.csv")
    assert riskml(work, "--lang zh " + made + " --previous {}/reviewed.csv --out {}/again.csv") == 0
    text = capsys.readouterr().out
    again = read_table(work / "again.csv")
    assert "已证明" in text
    assert "预算" in text
    assert again.loc[again["reason"] == "visited", "measure"].tolist() == [plan.loc[proposed[0], "measure"]]
    kept = again[again["reason"] == "moved away"]
    assert kept[["measure", "formerly", "not_funded"]].to_numpy().tolist() == [
        ["", plan.loc[proposed[1], "measure"], "refused"]
    ]
    report = (
        "--lang en report --watchlist {}/list.parquet --plan {}/full.csv --limits {}/limits.csv --out {}/planned.html"
    )
    assert riskml(work, report) == 0
    html = (work / "planned.html").read_text(encoding="utf-8")
    assert "What the plan uses, and what one more would avert" in html
    assert "Without a measure, at highest risk" in html


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("--budget 1 --budgets {}/measures.csv", 2),
        ("", 2),
        ("--budget 1 --welfare-weight x", 2),
        ("--budget 1 --previous {}/nowhere.csv", 2),
        ("--budgets {}/measures.csv", 3),
        ("--budget 1 --floors {}/measures.csv", 3),
        ("--budget 1 --welfare-weight 1", 1),
        ("--budget 1 --previous {}/list.parquet", 1),
    ],
)
def test_what_a_plan_cannot_be_made_with_has_its_exit_code(work, more, code):
    assert riskml(work, "plan {}/list.parquet --measures {}/measures.csv --out {}/none.csv " + more) == code
    assert not (work / "none.csv").exists()


def test_a_plan_stays_within_the_budget_and_names_the_source_of_every_effect(work):
    plan = read_table(work / "plan.csv")
    assert 0 < plan["cost"].sum() <= 30000
    assert set(plan["household_id"]) == set(read_table(work / "list.parquet")["household_id"])
    assert (plan.loc[plan["measure"] != "", "effect_source"] == "assumption for the demonstration").all()


def test_recalibrate_writes_a_bundle_with_the_level_of_the_outcomes_known_by_then(work, tmp_path, capsys):
    command = f"recalibrate {{}}/county --model {{}}/models --out {tmp_path} --until 2023-12-01"
    assert riskml(work, f"{command} --json") == 0
    done = json.loads(capsys.readouterr().out)
    # Trained on what was known in 2023-01, a horizon of a year: new are the as-of dates of 2022.
    assert done["how"] == "new outcomes"
    assert "2022-01-01" <= done["first_as_of_date"] <= done["last_as_of_date"] <= "2022-12-01"
    new, old = (next(folder.glob("*/calibration.json")) for folder in (tmp_path, work / "models"))
    assert json.loads(new.read_text())["intercept"] != json.loads(old.read_text())["intercept"]
    assert (new.parent / "model.txt").read_bytes() == (old.parent / "model.txt").read_bytes()
    card = (new.parent / "CARD.md").read_text(encoding="utf-8")
    assert "## Recalibration" in card
    assert "known by: 2023-12-01" in card
    assert "## Data" in card
    # What it has learned it cannot learn again, nor be judged on.
    again = f"recalibrate {{}}/county --model {tmp_path} --out {tmp_path} --until 2023-12-01"
    assert riskml(work, again) == 1
    assert "is new to the model" in capsys.readouterr().err
    assert riskml(work, again.replace("2023-12-01", "2022-12-01")) == 1
    assert "is new to the model" in capsys.readouterr().err
    assert riskml(work, f"evaluate {{}}/county --model {tmp_path} --test-from {TEST_FROM}") == 1
    assert "learned from outcomes up to" in capsys.readouterr().err


def test_recalibrate_without_outcomes_looks_at_the_features_of_the_day(work, tmp_path, capsys):
    command = f"recalibrate {{}}/county --model {{}}/models --out {tmp_path} --until {AS_OF} --without-outcomes"
    assert riskml(work, f"{command} --json") == 0
    done = json.loads(capsys.readouterr().out)
    assert done["how"] == "base rate from features"
    assert done["last_as_of_date"] == AS_OF
    assert done["slope"] == done["slope_before"]


def test_evaluate_puts_model_and_rivals_in_one_table_and_agrees_with_train(work, capsys):
    assert riskml(work, f"evaluate {{}}/county --model {{}}/models --test-from {TEST_FROM} --json") == 0
    figures = pd.DataFrame(json.loads(capsys.readouterr().out)["figures"])
    assert {"riskml", "trigger rules", "income ranking"} <= set(figures["model"])
    assert (figures["lower"].dropna() <= figures["upper"].dropna()).all()
    card = json.loads(next((work / "models").glob("*/card.json")).read_text())
    auroc = figures.query("model == 'riskml' and figure == 'auroc'")["value"].item()
    of_train = pd.DataFrame(card["figures"]).query("model == 'riskml' and figure == 'auroc'")["value"].item()
    assert auroc == pytest.approx(of_train)


def test_evaluate_says_whom_the_list_misses_by_columns_of_features_and_areas(work, capsys):
    evaluate = (
        f"evaluate {{}}/county --model {{}}/models --test-from {TEST_FROM} --groups area_id:9,sensitive --quota 0.2"
    )
    assert riskml(work, f"{evaluate} --json") == 0
    answer = json.loads(capsys.readouterr().out)
    groups = pd.DataFrame(answer["groups"])
    assert groups["by"].unique().tolist() == [
        "all",
        *("area_id:9", "head_female", "coping_children_worked"),
        *("area_id:9 × head_female", "area_id:9 × coping_children_worked", "head_female × coping_children_worked"),
        "area_id:9 × head_female × coping_children_worked",
    ]
    recall = pd.DataFrame(answer["figures"]).query("model == 'riskml' and figure == 'recall@20%'")["value"].item()
    assert groups["exclusion_error"][0] == pytest.approx(1 - recall)
    for _, part in groups.groupby("by"):
        assert part["n"].sum() == groups["n"][0]
        assert part["events"].sum() == groups["events"][0]
    known = groups[groups["events"] > 0]
    assert (known["exclusion_error_lower"] <= known["exclusion_error"]).all()
    assert (known["exclusion_error"] <= known["exclusion_error_upper"]).all()
    assert riskml(work, f"{evaluate} --lang zh") == 0
    said = capsys.readouterr().out
    assert f"{groups['events'][0]:,}起返贫中，名单漏掉" in said
    assert said.count("住户（") == len(groups) - 1
    assert riskml(work, f"{evaluate} --out {{}}/missed.csv") == 0
    report = "report --watchlist {}/list.parquet --groups {}/missed.csv --out {}/missed.html"
    for language in ("en", "zh"):
        assert riskml(work, f"{report} --lang {language}") == 0
        html = (work / "missed.html").read_text(encoding="utf-8")
        assert all(escape(sentence) in html for sentence in groups[f"sentence_{language}"])
    capsys.readouterr()
    assert (
        riskml(work, f"evaluate {{}}/county --model {{}}/models --test-from {TEST_FROM} --lang en --out {{}}/none.csv")
        == 1
    )
    assert "--out needs --groups" in capsys.readouterr().err


def test_evaluate_gives_every_table_of_skill_as_json_as_files_and_in_words(work, tmp_path, capsys):
    evaluate = f"evaluate {{}}/county --model {{}}/models --test-from {TEST_FROM} --quota 0.2 --tables {tmp_path}/t"
    assert riskml(work, f"{evaluate} --groups head_female --json") == 0
    answer = json.loads(capsys.readouterr().out)
    names = ["figures", "targeting", "concentration", "decision", "calibration", "groups"]
    assert sorted(path.stem for path in (tmp_path / "t").iterdir()) == sorted(names)
    tables = {name: pd.DataFrame(answer[name]) for name in names}
    for name, table in tables.items():
        written = read_table(tmp_path / "t" / f"{name}.csv")
        assert list(written.columns) == list(table.columns)
        assert len(written) == len(table)
    # Each figure that two tables give is the same in both.
    of_model = tables["targeting"].query("model == 'riskml'").set_index("figure")["value"]
    assert of_model["exclusion_error"] == pytest.approx(tables["groups"]["exclusion_error"][0])
    recall = tables["figures"].query("model == 'riskml' and figure == 'recall@20%'")["value"].item()
    assert of_model["coverage"] == pytest.approx(recall)
    curve = tables["concentration"].query("model == 'riskml'")
    under = np.trapezoid(curve["benefits"], curve["households"])
    # At hundredths: the area of a piecewise line, but for the bends between.
    assert of_model["concentration"] == pytest.approx(1 - 2 * under, abs=0.01)
    assert curve.query("households == 0.4")["benefits"].item() / 0.4 == pytest.approx(of_model["cgh_poorest"], abs=0.05)
    bins = tables["calibration"].query("model == 'riskml'")
    assert bins["n"].sum() == tables["figures"]["n"][0]
    assert "income ranking" not in set(tables["decision"]["model"]) | set(tables["calibration"]["model"])
    assert riskml(work, f"{evaluate} --lang zh") == 0
    assert "帮扶给了谁" in capsys.readouterr().out


def test_train_puts_whom_the_list_misses_on_the_card_and_the_report_says_it(work, tmp_path, capsys):
    train = f"train {{}}/county --out {tmp_path}/m --seed 1 --groups head_female --quota 0.2"
    assert riskml(work, train) == 1
    assert "--groups needs --test-from" in capsys.readouterr().err
    assert riskml(work, f"{train} --test-from {TEST_FROM} --json") == 0
    groups = pd.DataFrame(json.loads(capsys.readouterr().out)["groups"])
    text = next(tmp_path.glob("m/*/CARD.md")).read_text(encoding="utf-8")
    assert "## Whom a list of 20% of the households missed" in text
    assert all(f"- {sentence}" in text for name in ("sentence_en", "sentence_zh") for sentence in groups[name])
    # The same that evaluate says of the model on these dates.
    evaluate = f"evaluate {{}}/county --model {tmp_path}/m --test-from {TEST_FROM} --groups head_female --quota 0.2"
    evaluate += " --seed 1"
    assert riskml(work, f"{evaluate} --json") == 0
    again = pd.DataFrame(json.loads(capsys.readouterr().out)["groups"])
    assert again["sentence_en"].tolist() == groups["sentence_en"].tolist()
    report = f"report --watchlist {{}}/list.parquet --model {tmp_path}/m --out {tmp_path}/r.html"
    assert riskml(work, report) == 0
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert all(escape(sentence) in html for sentence in groups["sentence_en"])


def test_households_that_were_lost_are_stood_for_where_asked_and_there_are_any(work, tmp_path, capsys):
    train = f"train {{}} --test-from {TEST_FROM} --every-months 6 --weigh-lost --json --out {tmp_path}/m"
    assert riskml(work, train.replace("{}", "{}/county")) == 1
    assert "weights for those lost need at least 20" in capsys.readouterr().err
    data = read_monitoring(work / "county")
    incomes = data.tables["incomes"]
    # Every third household is last heard of early in 2022.
    gone = incomes["household_id"].isin(incomes["household_id"].unique()[::3]) & (incomes["date"] >= "2022-03-01")
    write_monitoring(Monitoring({**data.tables, "incomes": incomes[~gone]}), tmp_path / "lost")
    assert riskml(tmp_path, train.replace("{}", "{}/lost")) == 0
    fit = json.loads(capsys.readouterr().out)["fit"]
    assert 0.3 < fit["weighed_lost"]["effective_share"] <= 1 <= fit["weighed_lost"]["largest_weight"]
    assert "weighed lost" in next(tmp_path.glob("m/*/CARD.md")).read_text(encoding="utf-8")


def test_a_column_to_group_by_that_does_not_exist_is_named(work, capsys):
    evaluate = f"evaluate {{}}/county --model {{}}/models --test-from {TEST_FROM}"
    assert riskml(work, f"{evaluate} --groups nowhere") == 1
    assert "'nowhere' is no column of the feature table or of the cohort" in capsys.readouterr().err
    assert riskml(work, f"{evaluate} --groups welfare --lang zh") == 1
    assert "最多可显示50组" in capsys.readouterr().err


def test_a_model_is_not_tested_on_what_it_learned_from(work, capsys):
    assert riskml(work, "evaluate {}/county --model {}/models --test-from 2022-06-01") == 1
    assert "learned from outcomes up to" in capsys.readouterr().err


def test_intervals_by_group_are_learned_by_train_used_by_score_and_told_by_the_card(work, tmp_path, capsys):
    train = f"train {{}}/county --test-from {TEST_FROM} --out {tmp_path} --seed 1 --interval-groups"
    assert riskml(work, f"{train} area_id:9,head_female --json") == 0
    groups = json.loads(capsys.readouterr().out)["fit"]["interval_groups"]
    assert groups["by"] == ["area_id:9", "head_female"]
    assert all(re.fullmatch(r"\d{9} × (0|1|missing)", name) for name in groups["own"] + groups["shared"])
    bundle = next(tmp_path.glob("*-????????"))
    assert set(json.loads((bundle / "calibration.json").read_text())["group_curves"]) == set(groups["own"]) != set()
    assert "(area_id:9, head_female) whose own outcomes give" in (bundle / "CARD.md").read_text(encoding="utf-8")
    score = f"score {{}}/county --as-of {AS_OF} --explain none --out {tmp_path}/list.parquet --model"
    riskml(work, f"{score} {tmp_path}")
    own = read_table(tmp_path / "list.parquet")
    whole = read_table(work / "before.parquet")
    pd.testing.assert_series_equal(own["risk"], whole["risk"])
    label = own["area_id"].str[:9] + " × " + head_female(work, own).map({0.0: "0", 1.0: "1"}).fillna("missing")
    in_groups = label.isin(groups["own"]).to_numpy()
    assert in_groups.any()
    differ = (own["risk_lower"] != whole["risk_lower"]) | (own["risk_upper"] != whole["risk_upper"])
    assert differ[in_groups].any()
    assert not differ[~in_groups].any()
    capsys.readouterr()
    assert riskml(work, f"{train} nowhere") == 1
    assert "'nowhere' is no column of the feature table or of the cohort" in capsys.readouterr().err


def head_female(work: Path, listed: pd.DataFrame) -> pd.Series:
    X = feature_table(read_monitoring(work / "county"), [AS_OF])
    return X["head_female"].droplevel("as_of_date").loc[listed["household_id"]].reset_index(drop=True)


def test_the_bundle_says_what_was_learned(work):
    card = json.loads(next((work / "models").glob("*/card.json")).read_text())
    learned = card["training"]
    assert learned["rule"] == "at_horizon"
    assert learned["net_of_assistance"] is False
    assert learned["known_by"] == TEST_FROM
    end = pd.Timestamp(learned["last_as_of_date"]) + pd.DateOffset(months=learned["horizon_months"])
    assert end <= pd.Timestamp(TEST_FROM)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_is_one_file_without_script(work, language):
    command = (
        "report --watchlist {}/list.parquet --plan {}/plan.csv --model {}/models --data {}/county --out {}/report.html"
    )
    assert riskml(work, f"{command} --lang {language}") == 0
    html = (work / "report.html").read_text(encoding="utf-8")
    assert f'lang="{language}' in html
    assert "<script" not in html
    listed = read_table(work / "list.parquet")
    assert listed["household_id"].iloc[0] in html
    assert ("返贫风险" in html) == (language == "zh")


def test_the_report_says_how_sure_the_list_is_and_where_to_go_and_look(work, tmp_path, capsys):
    score = f"score {{}}/county --model {{}}/models --as-of {AS_OF} --top 30 --out {tmp_path}"
    assert riskml(work, f"{score}/all.parquet --explain top") == 0
    scored = read_table(work / "before.parquet")
    cut_off = scored["risk"][29:31].mean()
    n_sure = (scored["risk_lower"] > cut_off).sum()
    n_look = ((scored["risk_upper"] >= cut_off) & (scored["rank"] > 30)).sum()
    report = f"report --top 30 --out {tmp_path}/r.html --watchlist {tmp_path}"
    capsys.readouterr()
    assert riskml(work, f"{report}/all.parquet --json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["cut_off"] == pytest.approx(cut_off)
    assert (answer["n_sure"], answer["n_look_below"]) == (n_sure, n_look)
    assert riskml(work, f"{report}/all.parquet --lang zh") == 0
    assert f"前30户中{n_sure}户确定应列入；其余各户及其后{n_look}户" in capsys.readouterr().out
    assert riskml(work, f"{report}/all.parquet --lang en") == 0
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"The list of 30 ends at a risk of {format_risk(cut_off)}. {n_sure} of the households on it" in html
    assert html.count('<article class="card">') == 20
    # Of a list alone nobody can say who stands just below it.
    assert riskml(work, f"{score}/list.parquet") == 0
    assert riskml(work, f"{report}/list.parquet") == 1
    assert "needs more households scored" in capsys.readouterr().err


def test_changes_name_every_household_of_both_lists_once(work, capsys):
    assert riskml(work, "changes {}/before.parquet {}/list.parquet --top 40 --out {}/changes.csv --json") == 0
    answer = json.loads(capsys.readouterr().out)
    before, now = (read_table(work / name).head(40) for name in ("before.parquet", "list.parquet"))
    entered = set(now["household_id"]) - set(before["household_id"])
    left = set(before["household_id"]) - set(now["household_id"])
    assert (answer["entered"], answer["left"]) == (len(entered), len(left))
    changed = read_table(work / "changes.csv")
    assert set(changed.loc[changed["change"] == "entered", "household_id"]) == entered


def test_check_says_what_is_odd_in_both_languages(work, capsys):
    assert riskml(work, "check {}/county --json") == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert all(finding["message_en"] and finding["message_zh"] for finding in findings)
    assert riskml(work, "--lang zh check {}/county") == 0
    said = capsys.readouterr().out
    assert all(finding["message_zh"] in said for finding in findings)


def test_results_go_to_stdout_and_nothing_to_stderr_where_nobody_watches(work, capsys):
    riskml(work, "plan {}/list.parquet --measures {}/measures.csv --budget 1000 --out {}/small.csv")
    said = capsys.readouterr()
    assert "small.csv" in said.out
    assert said.err == ""


def test_effects_say_of_every_measure_what_was_found_or_why_not(work, capsys):
    command = "effects {}/county --measures {}/measures.csv --every-months 6 --out {}/effects.csv"
    assert riskml(work, f"{command} --measures-out {{}}/estimated.csv --json") == 0
    said = json.loads(capsys.readouterr().out)
    table = read_table(work / "effects.csv")
    assert set(table["measure"]) == set(example_measures()["measure"])
    stated = table["refused_en"].fillna("") == ""
    assert (stated == table["difference"].notna()).all()
    assert len(said["sentences"]) == table["measure"].nunique()
    # Five dates of 400 households are too few for any effect: the measures keep what is assumed of them.
    assert not stated.any()
    pd.testing.assert_frame_equal(read_measures(work / "estimated.csv"), example_measures())
    assert riskml(work, "effects {}/county --out {}/effects.csv --measures-out {}/estimated.csv") == 1
    assert "--measures" in capsys.readouterr().err


def test_json_is_one_object_and_may_stand_before_or_after_the_command(work, capsys):
    plan = "plan {}/list.parquet --measures {}/measures.csv --budget 1000 --out {}/small.csv"
    riskml(work, f"--json {plan}")
    before = json.loads(capsys.readouterr().out)
    riskml(work, f"{plan} --json")
    assert json.loads(capsys.readouterr().out) == before
    assert before["cost"] <= 1000


@pytest.mark.parametrize(
    "command",
    [
        "",
        "tell",
        "check",
        "check {}/nowhere",
        "train {}/county --test-from yesterday --out {}/m",
        "train {}/county --test-from 2023-02-30 --out {}/m",
        "train {}/county --horizon-months 0 --out {}/m",
        "train {}/county --horizon-months twelve --out {}/m",
        "train {}/county --rule sometimes --out {}/m",
        "evaluate {}/county --model {}/models --test-from 2023-01-01 --groups a,,b",
        "evaluate {}/county --model {}/models --test-from 2023-01-01 --groups a,a",
        "evaluate {}/county --model {}/models --test-from 2023-01-01 --groups a --quota 1",
        "evaluate {}/county --model {}/models --test-from 2023-01-01 --groups a --quota 0",
        "score {}/county --model {}/models --as-of 20231101 --out {}/x.csv",
        "score {}/county --model {}/nowhere --as-of 2023-11-01 --out {}/x.csv",
        "score {}/county --model {}/models --as-of 2023-11-01 --out {}/x.xlsx",
        "score {}/county --model {}/models --as-of 2023-11-01 --top -5 --out {}/x.csv",
        "plan {}/nowhere.csv --measures {}/measures.csv --budget 1 --out {}/x.csv",
        "plan {}/list.parquet --measures {}/measures.csv --budget=-1 --out {}/x.csv",
        "plan {}/list.parquet --measures {}/measures.csv --budget nan --out {}/x.csv",
        "changes {}/list.parquet {}/list.html",
        "--lang fr check {}/county",
        "convert chfs {}/county {}/x",
        "convert eph {}/nowhere {}/x",
        "convert eph {}/county",
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_wrong_usage_ends_with_2_and_a_last_line_that_says_why(work, capsys, command, language, monkeypatch):
    monkeypatch.setenv("RISKML_LANG", language)
    assert riskml(work, command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "error:" in said.err.splitlines()[-1]


def broken_county(work: Path, tmp_path: Path, table: str, **columns: object) -> Path:
    """Return a copy of the county in which columns of a table are changed."""
    county = tmp_path / "county"
    shutil.copytree(work / "county", county)
    frame = pd.read_parquet(county / f"{table}.parquet")
    frame.assign(**columns).to_parquet(county / f"{table}.parquet")
    return county


@pytest.mark.parametrize("command", ["check {}", "train {} --out {}/../models", "train {} --out {}/../m --lang zh"])
def test_refused_data_end_with_3_and_name_table_and_column(work, tmp_path, capsys, command):
    county = broken_county(work, tmp_path, "incomes", wage=np.inf)
    assert riskml(county, command) == 3
    said = capsys.readouterr().err
    assert "incomes" in said
    assert "wage" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "damage", [lambda text: text[: len(text) // 2], lambda text: text.replace(b"1", b"2", 1), lambda _: b""]
)
@pytest.mark.parametrize("name", ["model.txt", "calibration.json", "manifest.json"])
def test_a_damaged_model_ends_with_4(work, tmp_path, capsys, name, damage):
    shutil.copytree(work / "models", tmp_path / "models")
    path = next((tmp_path / "models").glob(f"*/{name}"))
    path.write_bytes(damage(path.read_bytes()))
    (tmp_path / "county").symlink_to(work / "county")
    assert riskml(tmp_path, f"score {{}}/county --model {{}}/models --as-of {AS_OF} --out {{}}/x.csv") == 4
    assert "model refused" in capsys.readouterr().err
    assert not (tmp_path / "x.csv").exists()


def test_data_without_a_table_of_the_model_end_with_4(work, tmp_path, capsys):
    shutil.copytree(work / "county", tmp_path / "county")
    (tmp_path / "county" / "medical.parquet").unlink()
    (tmp_path / "models").symlink_to(work / "models")
    assert riskml(tmp_path, f"score {{}}/county --model {{}}/models --as-of {AS_OF} --out {{}}/x.csv") == 4
    assert "medical" in capsys.readouterr().err


def test_a_file_that_is_no_list_ends_with_3(work, capsys):
    assert riskml(work, "plan {}/measures.csv --measures {}/measures.csv --budget 1 --out {}/x.csv") == 3
    assert "household_id" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_ends_with_1(work, capsys):
    (work / "file").touch()
    assert riskml(work, "changes {}/list.parquet {}/list.parquet --out {}/file/x.csv") == 1
    assert riskml(work, "simulate {}/file --households 20 --months 13") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_day_with_nobody_at_risk_ends_with_1_and_says_so(work, capsys):
    assert riskml(work, "score {}/county --model {}/models --as-of 1990-01-01 --out {}/x.csv") == 1
    assert "no household is at risk" in capsys.readouterr().err


def test_too_short_a_record_ends_with_1_and_says_so(work, tmp_path, capsys):
    assert riskml(tmp_path, "simulate {}/short --households 30 --months 14") == 0
    assert riskml(tmp_path, "train {}/short --out {}/models") == 1
    assert "too short" in capsys.readouterr().err


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Path:
    """Return a folder with a made-up survey in INDEC's own files."""
    folder = tmp_path_factory.mktemp("EPH encuesta")
    (folder / "raw").mkdir()
    indec.write_small_tables(folder / "raw")
    indec.write_own_files(folder / "raw", *indec.survey(300))
    return folder


def test_a_converted_survey_is_checked_learned_from_and_scored_like_any_other_data(survey, capsys):
    assert riskml(survey, "convert eph {}/raw {}/tables --json") == 0
    answer = json.loads(capsys.readouterr().out)
    data = read_monitoring(survey / "tables")
    assert answer["rows"] == {name: len(table) for name, table in data.tables.items()}
    assert answer["rows"]["households"] == 300 * len(indec.QUARTERS)
    assert answer["notes"] == list(data.notes) == ["INDEC, Encuesta Permanente de Hogares"]
    assert riskml(survey, "check {}/tables") == 0
    assert riskml(survey, "train {}/tables --test-from 2019-07-01 --horizon-months 6 --out {}/models") == 0
    assert riskml(survey, "score {}/tables --model {}/models --as-of 2020-01-01 --top 10 --out {}/list.csv") == 0
    listed = read_table(survey / "list.csv")
    assert len(listed) == 10
    assert listed["household_id"].str.fullmatch(r"TQR\d{5}-1").all()


def test_a_converted_survey_replaces_tables_written_before_and_nothing_else(survey, tmp_path, capsys):
    assert riskml(survey, "convert eph {}/raw {}/again") == 0
    assert riskml(survey, "convert eph {}/raw {}/again") == 0
    assert riskml(survey, "convert eph {}/raw {}/raw") == 1
    assert "holds other things than monitoring tables" in capsys.readouterr().err


@pytest.mark.parametrize(("language", "said"), [("en", "is missing"), ("zh", "缺少")])
@pytest.mark.parametrize("panel", ["eph", "malawi"])
def test_a_folder_without_the_survey_ends_with_1_and_names_the_file(tmp_path, capsys, panel, language, said):
    assert riskml(tmp_path, f"convert {panel} {{}} {{}}/x --lang {language}") == 1
    error = capsys.readouterr().err
    assert said in error
    assert {"eph": "poverty_lines.csv", "malawi": "malawi_ihps.parquet"}[panel] in error
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "en", "zh"),
    [
        ("--test-from 2030-01-01", "no as-of date to test on", "没有可用于测试的评估日期"),
        ("--horizon-months 90", "are too short for half a judging period", "时间过短"),
        ("--test-from 2023-01-01 --tune 2", "as-of dates from", "个不早于"),
    ],
)
def test_training_that_the_records_are_too_short_for_is_refused_in_both_languages(work, capsys, options, en, zh):
    for language, said in (("en", en), ("zh", zh)):
        assert riskml(work, f"train {{}}/county {options} --out {{}}/never --lang {language}") == 1
        assert said in capsys.readouterr().err
    assert not (work / "never").exists()


@pytest.mark.parametrize(("language", "said"), [("en", "data refused"), ("zh", "数据未被接受")])
def test_a_refused_survey_ends_with_3_and_names_the_file(survey, tmp_path, capsys, language, said):
    shutil.copytree(survey / "raw", tmp_path / "raw")
    (tmp_path / "raw" / "usu_individual_T119.txt").unlink()
    assert riskml(tmp_path, f"convert eph {{}}/raw {{}}/x --lang {language}") == 3
    error = capsys.readouterr().err
    assert said in error
    assert "usu_hogar_T119.txt" in error
    assert not (tmp_path / "x").exists()


def test_an_interruption_ends_with_130(work, monkeypatch, capsys):
    def interrupted(arguments: object, tell: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.RUN, "check", interrupted)
    assert riskml(work, "check {}/county") == 130
    assert capsys.readouterr().err == "riskml: interrupted\n"


def test_the_command_is_installed_and_is_the_module(work):
    script = Path(sys.executable).parent / "riskml"
    for command in ([str(script)], [sys.executable, "-m", "riskml"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("riskml ")


def test_a_household_of_the_list_gets_its_letter(work, capsys):
    household = read_table(work / "list.parquet")["household_id"].iloc[0]
    report = f"report --watchlist {{}}/list.parquet --letter {household} --model {{}}/models --data {{}}/county"
    assert riskml(work, f"{report} --contact OfficeA,Tel.000 --out {{}}/letter.html --lang zh") == 0
    html = (work / "letter.html").read_text(encoding="utf-8")
    assert household in html
    assert "OfficeA,Tel.000" in html
    assert "医疗费用" in html
    assert riskml(work, f"{report} --out {{}}/no.html --lang en") == 1
    assert "--contact is missing" in capsys.readouterr().err
    assert riskml(work, report.replace(household, "nobody") + " --contact A --out {}/no.html --lang zh") == 1
    assert "名单中没有住户" in capsys.readouterr().err
    assert not (work / "no.html").exists()


def test_who_examines_the_model_gets_every_record_with_sensitive_traits_spelled_out(work, capsys):
    report = "report --watchlist {}/list.parquet --model {}/models --audit --out {}/audit.csv"
    assert riskml(work, f"{report} --lang en") == 1
    assert "--audit needs --data and --model" in capsys.readouterr().err
    assert not (work / "audit.csv").exists()
    assert riskml(work, f"{report} --data {{}}/county --lang en") == 0
    assert "not for cards, lists or letters" in capsys.readouterr().out
    audited, listed = pd.read_csv(work / "audit.csv", dtype=str), read_table(work / "list.parquet")
    causes = listed.set_index("household_id")[["cause_1", "cause_2", "cause_3"]].stack()
    named = {(household, cause) for (household, _), cause in causes.items() if cause}
    assert set(audited[["household_id", "cause"]].itertuples(index=False, name=None)) == named
    assert audited["feature"].notna().all()
    assert (audited["sensitive"].isin(["1", "True"]) == (audited["feature"] == "head_female")).all()


def test_a_reader_that_leaves_is_no_error_to_report(work):
    done = subprocess.run(
        f'"{sys.executable}" -m riskml --json changes "{work}/before.parquet" "{work}/list.parquet" | head -c 1',
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_the_demo_tells_the_whole_story(tmp_path, capsys):
    assert riskml(tmp_path, "demo --out {}/demo --households 250 --months 42 --seed 2") == 0
    said = capsys.readouterr().out.splitlines()
    ranks = [line.split()[0] for line in said if "  Risk " in line]
    assert ranks == [str(rank) for rank in range(1, 11)]
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    names = {"county", "models", "watchlist.parquet", "cliff.parquet", "measures.csv", "plan.csv", "limits.csv"}
    # Too few returns of so small a county tell how households fall together, so that it has no outlook.
    assert written == {*names, "report.html"}
    plan = read_table(tmp_path / "demo" / "plan.csv")
    assert plan["cost"].sum() <= 500 * len(read_table(tmp_path / "demo" / "watchlist.parquet"))


def test_the_first_watchlist_of_the_readme_is_a_list_of_ten(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 11
    exec(compile(code, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 1 + 10


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("README.md", {"check", "train", "evaluate", "score", "effects", "plan", "outlook", "stress", "report"}),
        ("docs/outlook.md", {"outlook", "report"}),
        ("docs/real-panels.md", {"convert", "check", "train", "score"}),
        ("docs/stress.md", {"stress"}),
    ],
)
def test_every_command_shown_to_readers_is_one_the_parser_knows(page, expected):
    text = (ROOT / page).read_text(encoding="utf-8")
    commands_shown = [shlex.split(line, comments=True)[1:] for line in text.splitlines() if line.startswith("riskml ")]
    assert {line[0] for line in commands_shown} >= expected
    for line in commands_shown:
        parser = build_parser()
        for action in parser._subparsers._group_actions[0].choices[line[0]]._actions:
            action.type = None if action.type is not int else int
        assert parser.parse_args(line).command == line[0]
