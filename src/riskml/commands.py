"""What the subcommands do: a few library calls each, with files before and after."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from riskml.buckets.importing import append_tables, import_tables
from riskml.buckets.scoring import score_store
from riskml.buckets.sources import open_source
from riskml.buckets.store import is_store, open_store
from riskml.buckets.training import sampled, sampled_training_set, training_dates_of
from riskml.datasets import load_eph, load_malawi, make_monitoring
from riskml.demo import tell_story
from riskml.explanation.change import explain_change
from riskml.features.audit import audit_features
from riskml.features.outcomes import learned_outcome, outcome_values
from riskml.features.panel import backtest_sets, feature_table, training_dates, training_set
from riskml.features.standard import STANDARD
from riskml.files import read_table, write_table
from riskml.findings import in_words, language
from riskml.model.classifier import RiskClassifier
from riskml.model.recalibration import last_learned, recalibrate, shift_base_rate
from riskml.model.store import check_fits, load_model, save_model
from riskml.output.missed import who_is_missed
from riskml.output.watchlists import WATCHLIST_COLUMNS, watchlist_changes
from riskml.planning.assist import match_assistance, plan_summary
from riskml.planning.measures import read_measures
from riskml.skill.backtest import compare, errors_by_group, fit_model
from riskml.steps import (
    N_CARDS,
    Answer,
    Tell,
    audit_lines,
    evidence_of,
    features_on,
    figures_text,
    ranked,
    read,
    records,
    write_html,
)
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import write_monitoring

#: Surveys that ``convert`` reads.
PANELS: dict[str, Callable[[Path], Monitoring]] = {"eph": load_eph, "malawi": load_malawi}
#: What a list must have to be planned with, reported or compared.
LIST_COLUMNS = tuple(name for name in WATCHLIST_COLUMNS if not name.startswith("risk_"))


def simulate(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the tables of a simulated county."""
    tell(in_words("simulating", "正在模拟"))
    data = make_monitoring(arguments.households, n_months=arguments.months, random_state=arguments.seed)
    return _written(data, arguments.folder)


def convert(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the monitoring tables of a household survey."""
    source, folder = arguments.source, arguments.folder
    tell(in_words(f"reading the survey in {source}", f"正在读取{source}中的调查数据"))
    data = PANELS[arguments.panel](source)
    tell(in_words(f"writing {folder}", f"正在写入{folder}"))
    return _written(data, folder)


def import_(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Make a store of the tables of a folder or database, or add to one."""
    source = open_source(arguments.source, settings=arguments.settings)
    limits: dict[str, Any] = {"memory_mb": arguments.memory, "tell": lambda en, zh: tell(in_words(en, zh))}
    if arguments.append:
        store = append_tables(source, arguments.store, **limits)
    else:
        store = import_tables(source, arguments.store, bucket_households=arguments.bucket_households, **limits)
    rows, notes = store.manifest["imports"][-1]["rows"], store.manifest["settings"]["notes"]
    lines = [*notes, *(f"{name:<12}{count:>12,}" for name, count in rows.items())]
    values = {"store": str(arguments.store), "buckets": store.n_buckets, "rows": rows, "notes": notes}
    return Answer(values, "\n".join([f"{arguments.store} ({store.n_buckets:,})", *lines]))


def check(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Say what is odd in monitoring tables."""
    data = read(arguments.data, tell)
    findings = data.check()
    said = findings[in_words("message_en", "message_zh")]
    lines = [*data.notes, *(f"{rule}: {text}" for rule, text in zip(findings["rule"], said, strict=True))]
    if findings.empty:
        lines.append(in_words("nothing odd was found", "未发现异常"))
    values: dict[str, Any] = {"findings": records(findings), "notes": list(data.notes)}
    if arguments.audit_as_of:
        tell(in_words("auditing the features", "正在审查特征"))
        audited = audit_features(data, (*STANDARD, *data.features), arguments.audit_as_of)
        values["audit"] = records(audited)
        lines += ["", in_words("audit of the features:", "特征审查："), *audit_lines(audited)]
    return Answer(values, "\n".join(lines))


def train(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Fit a model, measure it where a test date is given, and write its bundle."""
    outcome = {name: getattr(arguments, name) for name in ("horizon_months", "rule", "net_of_assistance", "outcome")}
    if is_store(arguments.data):
        return _train_from_store(arguments, outcome, tell)
    data = read(arguments.data, tell)
    tell(in_words("computing features and outcomes", "正在计算特征和结果"))
    if arguments.test_from is None:
        dates = training_dates(data, horizon_months=arguments.horizon_months, every_months=arguments.every_months)
        X, y = training_set(data, dates, **outcome)
    else:
        sets = backtest_sets(data, test_from=arguments.test_from, every_months=arguments.every_months, **outcome)
        X, y = sets[:2]
    rows, weight = sampled(y, arguments.keep_nonreturns)
    X, y = X[rows], y[rows]
    tell(in_words(f"learning from {len(y):,} rows", f"正在用{len(y):,}行数据训练"))
    learned = {**outcome, **outcome_values(data, arguments.outcome)}
    how: dict[str, Any] = {"n_trials": arguments.tune, "seed": arguments.seed}
    model = fit_model(data, X, y, outcome=learned, sample_weight=weight, **how)
    model.fit_summary_["keep_nonreturns"] = arguments.keep_nonreturns
    figures = None
    if arguments.test_from is not None:
        model.fit_summary_["known_by"] = arguments.test_from
        tell(in_words("comparing with the rivals", "正在与简单方法比较"))
        figures = compare(data, model, *sets, seed=arguments.seed)
    bundle = save_model(model, arguments.out, data=data, figures=figures)
    values = {
        "bundle": str(bundle),
        "fit": model.fit_summary_,
        "figures": None if figures is None else records(figures),
    }
    return Answer(values, str(bundle) if figures is None else f"{bundle}\n\n{figures_text(figures)}")


def evaluate(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Put a model and simple rivals in one table, on dates after all the model learned from."""
    data, model = read(arguments.data, tell), load_model(arguments.model)
    outcome = _outcome_of(model)
    known = _learned_until(model) + pd.DateOffset(months=outcome["horizon_months"])
    if pd.Timestamp(arguments.test_from) < known:
        raise ValueError(
            in_words(
                f"--test-from {arguments.test_from}: the model learned from outcomes up to {known:%Y-%m-%d}. "
                "Give that day or a later one, or train with an earlier --test-from.",
                f"--test-from {arguments.test_from}：模型已学习截至{known:%Y-%m-%d}的结果。"
                "请给出该日或更晚的日期，或用更早的 --test-from 重新训练。",
            )
        )
    if arguments.out is not None and not arguments.groups:
        raise ValueError(in_words("--out needs --groups COLUMN,...", "--out 需要同时给出 --groups COLUMN,..."))
    tell(in_words("computing features and outcomes", "正在计算特征和结果"))
    sets = backtest_sets(data, test_from=arguments.test_from, every_months=arguments.every_months, **outcome)
    check_fits(model, sets[2])
    tell(in_words("comparing with the rivals", "正在与简单方法比较"))
    figures = compare(data, model, *sets, seed=arguments.seed)
    values, text = {"test_from": arguments.test_from, "figures": records(figures)}, figures_text(figures)
    if arguments.groups:
        tell(in_words("looking at who is missed", "正在查看名单漏掉了谁"))
        how: dict[str, Any] = {"by": arguments.groups, "quota": arguments.quota, "seed": arguments.seed}
        errors = errors_by_group(data, model, *sets[2:], **how)
        for code in ("en", "zh"):
            errors[f"sentence_{code}"] = who_is_missed(errors, dictionary=model.dictionary_, language=code)
        if arguments.out is not None:
            write_table(errors, arguments.out)
        head = in_words(
            f"Whom a list of {arguments.quota:.0%} of the households misses:",
            f"名单取住户的{arguments.quota:.0%}时漏掉了谁：",
        )
        values |= {"quota": arguments.quota, "groups": records(errors)}
        text = "\n".join([text, "", head, *errors[f"sentence_{language()}"]])
    return Answer(values, text)


def recalibrated(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write a model with its level and slope brought up to what was known on a day."""
    data, model = read(arguments.data, tell).known_by(arguments.until), load_model(arguments.model)
    if arguments.without_outcomes:
        tell(in_words("computing features", "正在计算特征"))
        new = shift_base_rate(model, features_on(data, model, arguments.until))
    else:
        tell(in_words("computing features and outcomes", "正在计算特征和结果"))
        outcome = _outcome_of(model)
        dates = _newer_dates(data, model, arguments, outcome["horizon_months"])
        X, y = training_set(data, dates, **outcome)
        check_fits(model, X)
        new = recalibrate(model, X[list(model.feature_names_in_)], y)
    done = new.fit_summary_["recalibrations"][-1]
    done |= {"known_by": arguments.until}
    bundle = save_model(new, arguments.out, data=model.card_.get("data"))
    text = in_words(
        f"{bundle}: level moved by {done['level_moved']:+.3f} in log-odds, slope {done['slope']:.3f}",
        f"{bundle}：水平移动 {done['level_moved']:+.3f}（对数几率），斜率 {done['slope']:.3f}",
    )
    return Answer({"bundle": str(bundle), **done}, text)


def score(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the watchlist of a date."""
    if arguments.explain == "top" and arguments.top is None:
        raise ValueError(in_words("--explain top needs --top N", "--explain top 需要同时给出 --top N"))
    n_listed = None if arguments.explain == "top" else arguments.top
    n_explained = {"all": n_listed, "top": arguments.top, "none": 0}[arguments.explain]
    if is_store(arguments.data):
        store, model = open_store(arguments.data), load_model(arguments.model)
        limits: dict[str, Any] = {"n_listed": n_listed, "n_explained": n_explained, "n_jobs": arguments.jobs}
        n_cohort, n_written = score_store(store, model, arguments.as_of, arguments.out, **limits, tell=tell)
    else:
        data, model = read(arguments.data, tell), load_model(arguments.model)
        tell(in_words("scoring", "正在评分"))
        X = features_on(data, model, arguments.as_of)
        listed = ranked(data, model, X, n_listed=n_listed, n_explained=n_explained)
        write_table(listed, arguments.out)
        n_cohort, n_written = len(X), len(listed)
    values = {"out": str(arguments.out), "as_of_date": arguments.as_of, "n_cohort": n_cohort, "n_listed": n_written}
    text = in_words(
        f"{arguments.out}: {n_written:,} of {n_cohort:,} households at risk on {arguments.as_of}",
        f"{arguments.out}：{arguments.as_of}监测范围内{n_cohort:,}户，列入{n_written:,}户",
    )
    return Answer(values, text)


def plan(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Assign measures to a watchlist under a budget."""
    listed = read_table(arguments.watchlist, required=LIST_COLUMNS)
    measures = read_measures(arguments.measures)
    tell(in_words("planning", "正在编制计划"))
    proposed = match_assistance(listed, measures, budget=arguments.budget)
    write_table(proposed, arguments.out)
    funded = proposed[proposed["measure"] != ""]
    totals = {
        "n_funded": int(funded["household_id"].nunique()),
        "cost": float(funded["cost"].sum()),
        "returns_averted": float(funded["expected_points"].sum()),
    }
    summary = plan_summary(proposed)
    values = {"out": str(arguments.out), "budget": arguments.budget, **totals, "summary": records(summary)}
    return Answer(values, f"{arguments.out}\n{summary.to_string(index=False)}")


def report(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write a watchlist as one HTML file."""
    listed = read_table(arguments.watchlist, required=LIST_COLUMNS)
    proposed = None if arguments.plan is None else read_table(arguments.plan, required=("household_id", "measure"))
    model = None if arguments.model is None else load_model(arguments.model)
    evidence = None
    if arguments.data is not None and model is not None:
        evidence = evidence_of(read(arguments.data, tell), model, listed.head(N_CARDS))
    card = {} if model is None else model.card_
    figures = pd.DataFrame(card["figures"]) if "figures" in card else None
    missed = None if arguments.groups is None else read_table(arguments.groups, required=("sentence_en", "sentence_zh"))
    write_html(arguments.out, listed, plan=proposed, evidence=evidence, card=card, figures=figures, missed=missed)
    return Answer({"out": str(arguments.out)}, str(arguments.out))


def changes(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Say what is new since the previous watchlist."""
    previous, current = (read_table(path, required=LIST_COLUMNS) for path in (arguments.previous, arguments.current))
    reasons = None
    if arguments.data is not None or arguments.model is not None:
        reasons = _exact_reasons(arguments, previous, current, tell)
    changed = watchlist_changes(previous, current, n=arguments.top, reasons=reasons)
    if arguments.out is not None:
        write_table(changed, arguments.out)
    counts = changed["change"].value_counts().reindex(["entered", "stayed", "left"], fill_value=0)
    said = changed.loc[changed["change"] != "stayed", in_words("sentence_en", "sentence_zh")]
    lines = [", ".join(f"{name} {count:,}" for name, count in counts.items()), *said]
    values = {str(name): int(count) for name, count in counts.items()}
    return Answer({**values, "changes": records(changed)}, "\n".join(lines))


def demo(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Tell the whole story on a simulated county."""
    return tell_story(arguments.out, arguments.households, arguments.months, seed=arguments.seed, tell=tell)


RUN: dict[str, Callable[[argparse.Namespace, Tell], Answer]] = {
    "demo": demo,
    "simulate": simulate,
    "convert": convert,
    "import": import_,
    "check": check,
    "train": train,
    "evaluate": evaluate,
    "recalibrate": recalibrated,
    "score": score,
    "plan": plan,
    "report": report,
    "changes": changes,
}


def _train_from_store(arguments: argparse.Namespace, outcome: dict[str, Any], tell: Tell) -> Answer:
    """Fit a model on the rows of a store and write its bundle; figures are those of `riskml evaluate` on a folder."""
    if outcome["outcome"] != "welfare":
        raise ValueError(
            in_words(
                f"a store trains on the outcome 'welfare' only, not '{outcome['outcome']}'; train on a folder",
                f"数据仓只能按结果“welfare”训练，不能按“{outcome['outcome']}”；请用数据表文件夹训练",
            )
        )
    store = open_store(arguments.data)
    how: dict[str, Any] = {"known_by": arguments.test_from, "n_jobs": arguments.jobs}
    tell(in_words("computing features and outcomes", "正在计算特征和结果"))
    months = {"horizon_months": arguments.horizon_months, "every_months": arguments.every_months}
    dates = training_dates_of(store, **months, **how)
    X, y, weight = sampled_training_set(store, dates, keep_nonreturns=arguments.keep_nonreturns, **how, **outcome)
    tell(in_words(f"learning from {len(y):,} rows", f"正在用{len(y):,}行数据训练"))
    model = fit_model(store, X, y, outcome=outcome, sample_weight=weight, n_trials=arguments.tune, seed=arguments.seed)
    model.fit_summary_["keep_nonreturns"] = arguments.keep_nonreturns
    if arguments.test_from is not None:
        model.fit_summary_["known_by"] = arguments.test_from
    bundle = save_model(model, arguments.out, data=store.description())
    return Answer({"bundle": str(bundle), "fit": model.fit_summary_, "figures": None}, str(bundle))


def _exact_reasons(
    arguments: argparse.Namespace, previous: pd.DataFrame, current: pd.DataFrame, tell: Tell
) -> pd.DataFrame:
    """Return what moved the risks of the households on either list, from the tables and the model."""
    if arguments.data is None or arguments.model is None:
        raise ValueError(in_words("--data and --model belong together", "--data 与 --model 须同时给出"))
    data, model = read(arguments.data, tell), load_model(arguments.model)
    before = model if arguments.model_before is None else load_model(arguments.model_before)
    tell(in_words("explaining what changed", "正在解释变化"))
    listed = pd.concat([table[table["rank"] <= (arguments.top or len(table))] for table in (previous, current)])
    tables = []
    for table, used in ((previous, before), (current, model)):
        X = feature_table(data, table["as_of_date"].unique(), outcome=learned_outcome(used.fit_summary_))
        check_fits(used, X)
        tables.append(X[X.index.get_level_values(0).isin(listed["household_id"])])
    change = explain_change(model, *tables, data=data, model_before=before)
    for table, risk in ((previous, change.risk_before), (current, change.risk_now)):
        shown = table.set_index("household_id")["risk"].reindex(risk.index)
        other = (shown - risk).abs() > 1e-9
        if other.any():
            raise ValueError(
                in_words(
                    f"{int(other.sum())} risks of the list of {table['as_of_date'].iloc[0]:%Y-%m-%d} are not those of "
                    f"the model and tables given (first: {other.idxmax()}); give the ones it was made with (--model, "
                    "--model-before, --data), or none",
                    f"{table['as_of_date'].iloc[0]:%Y-%m-%d}名单中有{int(other.sum())}户的风险与所给模型和数据不符"
                    f"（首例：{other.idxmax()}）；请给出生成该名单的 --model、--model-before、--data，或都不给",
                )
            )
    return change.reasons(data)


def _outcome_of(model: RiskClassifier) -> dict[str, Any]:
    """Return what the labels of a model mean."""
    learned = {"rule": "at_horizon", "net_of_assistance": False, **model.fit_summary_}
    outcome = {name: learned[name] for name in ("horizon_months", "rule", "net_of_assistance")}
    return {**outcome, "outcome": learned_outcome(learned)}


def _learned_until(model: RiskClassifier) -> pd.Timestamp:
    """Return the newest as-of date a model has learned the outcomes of."""
    day = last_learned(model)
    if day is None:
        raise ValueError(
            in_words(
                "the model learned from rows without as-of dates, so nobody can say which outcomes are new to it",
                "模型由没有评估日期的数据训练而成，无法判断哪些结果是新的",
            )
        )
    return day


def _newer_dates(
    data: Monitoring, model: RiskClassifier, arguments: argparse.Namespace, horizon_months: int
) -> list[pd.Timestamp]:
    """Return the as-of dates of the newest twelve months whose outcome was known and is new to the model."""
    learned, until = _learned_until(model), pd.Timestamp(arguments.until)
    dates = training_dates(data, horizon_months=horizon_months, every_months=arguments.every_months)
    known = [day for day in dates if day + pd.DateOffset(months=horizon_months) <= until]
    newer = [day for day in known if day > learned]
    if not newer:
        raise ValueError(
            in_words(
                f"no outcome known on {until:%Y-%m-%d} is new to the model: it has learned from as-of dates up to "
                f"{learned:%Y-%m-%d}, and an outcome takes {horizon_months} months. Give a later --until.",
                f"{until:%Y-%m-%d}已知的结果中没有模型未学过的：模型已学习截至{learned:%Y-%m-%d}的评估日期，"
                f"结果需要{horizon_months}个月。请给出更晚的 --until。",
            )
        )
    return [day for day in newer if day > newer[-1] - pd.DateOffset(months=12)]


def _written(data: Monitoring, folder: Path) -> Answer:
    """Write monitoring tables and say what was written."""
    write_monitoring(data, folder)
    rows = {name: len(table) for name, table in data.tables.items()}
    lines = [*data.notes, *(f"{name:<12}{count:>10,}" for name, count in rows.items())]
    values = {"folder": str(folder), "rows": rows, "notes": list(data.notes)}
    return Answer(values, "\n".join([str(folder), *lines]))
