"""The subcommands that learn and judge: train, evaluate, recalibrate."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd

from riskml.buckets.store import Store, is_store, open_store
from riskml.buckets.training import sampled_with_net, training_dates_of, training_set_with_net
from riskml.features.assistance import net_labels, training_labels
from riskml.features.censoring import effective_sample_size, weighed_training_set
from riskml.features.outcomes import learned_outcome, outcome_values
from riskml.features.panel import backtest_dates, backtest_sets, training_dates, training_set
from riskml.files import write_table
from riskml.findings import in_words, language
from riskml.model.classifier import RiskClassifier
from riskml.model.recalibration import last_learned, recalibrate, shift_base_rate
from riskml.model.refits import with_refits
from riskml.model.store import check_fits, load_model, save_model
from riskml.output.missed import who_is_missed
from riskml.skill.backtest import compare, errors_by_group, fit_model, judge
from riskml.steps import Answer, Tell, features_on, figures_text, read, records
from riskml.tables.monitoring import Monitoring

#: Figures of :func:`riskml.targeting_summary` that the text shows; files and ``--json`` have all.
_TARGETING = ("coverage", "leakage", "cgh_returns", "cgh_poorest", "welfare_error")


def train(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Fit a model, measure it where a test date is given, and write its bundle."""
    outcome = {name: getattr(arguments, name) for name in ("horizon_months", "rule", "net_of_assistance", "outcome")}
    if is_store(arguments.data):
        return _train_from_store(arguments, outcome, tell)
    if arguments.groups and arguments.test_from is None:
        raise ValueError(in_words("--groups needs --test-from DATE", "--groups 需要同时给出 --test-from DATE"))
    data = read(arguments.data, tell)
    tell(in_words("computing features and outcomes", "正在计算特征和结果"))
    months = {"horizon_months": arguments.horizon_months, "every_months": arguments.every_months}
    if arguments.test_from is None:
        past, dates = data, training_dates(data, **months)
    else:
        past, dates, test_dates = backtest_dates(data, test_from=arguments.test_from, **months)
    if arguments.weigh_lost:
        X, y, stand_for = weighed_training_set(past, dates, random_state=arguments.seed, **outcome)
    else:
        X, y = training_set(past, dates, **outcome)
        stand_for = np.ones(len(y))
    rows, labels = sampled_with_net(training_labels(past, y, **outcome), arguments.keep_nonreturns)
    labels[["weight", "weight_net"]] = labels[["weight", "weight_net"]].mul(stand_for[rows], axis=0)
    sets = None if arguments.test_from is None else (X, y, *training_set(data, test_dates, **outcome))
    learned = {**outcome, **outcome_values(data, arguments.outcome)}
    how: dict[str, Any] = {
        "interval_groups": arguments.interval_groups,
        "n_trials": arguments.tune,
        "seed": arguments.seed,
    }
    model = _fitted(data, X[rows], labels, learned, arguments, tell, **how)
    if arguments.weigh_lost:
        # Of the observed rows alone: what the weights for those lost cost.
        share = effective_sample_size(stand_for) / len(stand_for)
        model.fit_summary_["weighed_lost"] = {"effective_share": share, "largest_weight": float(stand_for.max())}
    figures = missed = None
    if sets is not None:
        model.fit_summary_["known_by"] = arguments.test_from
        tell(in_words("comparing with the rivals", "正在与简单方法比较"))
        figures = compare(data, model, *sets, seed=arguments.seed)
        if arguments.groups:
            missed = _whom_it_misses(data, model, *sets[2:], arguments, tell)
    bundle = save_model(model, arguments.out, data=data, figures=figures, missed=missed)
    values = {
        "bundle": str(bundle),
        "fit": model.fit_summary_,
        "figures": None if figures is None else records(figures),
    }
    text = str(bundle) if figures is None else f"{bundle}\n\n{figures_text(figures)}"
    if missed is not None:
        values["groups"] = records(missed)
        text = "\n".join([text, "", *_missed_lines(missed)])
    return Answer(values, text)


def evaluate(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Put a model and simple rivals in one table, on dates after all the model learned from."""
    data, model = read(arguments.data, tell), load_model(arguments.model)
    outcome = outcome_of(model)
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
    tables = judge(data, model, *sets, quota=arguments.quota, seed=arguments.seed)
    said = [figures_text(tables["figures"]), "", *_targeting_lines(tables["targeting"], arguments.quota)]
    if arguments.groups:
        tables["groups"] = _whom_it_misses(data, model, *sets[2:], arguments, tell)
        said += ["", *_missed_lines(tables["groups"])]
        if arguments.out is not None:
            write_table(tables["groups"], arguments.out)
    if arguments.tables is not None:
        arguments.tables.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            write_table(table, arguments.tables / f"{name}.csv")
    values = {"test_from": arguments.test_from, "quota": arguments.quota}
    return Answer({**values, **{name: records(table) for name, table in tables.items()}}, "\n".join(said))


def _whom_it_misses(
    data: Monitoring,
    model: RiskClassifier,
    X_test: pd.DataFrame,
    y_test: pd.Series,
    arguments: argparse.Namespace,
    tell: Tell,
) -> pd.DataFrame:
    """Return the errors of the list by group, with the length of the list and a sentence in both languages."""
    tell(in_words("looking at who is missed", "正在查看名单漏掉了谁"))
    how: dict[str, Any] = {"by": arguments.groups, "quota": arguments.quota, "seed": arguments.seed}
    errors = errors_by_group(data, model, X_test, y_test, **how).assign(quota=arguments.quota)
    for code in ("en", "zh"):
        errors[f"sentence_{code}"] = who_is_missed(errors, dictionary=model.dictionary_, language=code)
    return errors


def _missed_lines(errors: pd.DataFrame) -> list[str]:
    quota = errors["quota"].iloc[0]
    head = in_words(f"Whom a list of {quota:.0%} of the households misses:", f"名单取住户的{quota:.0%}时漏掉了谁：")
    return [head, *errors[f"sentence_{language()}"]]


def _targeting_lines(table: pd.DataFrame, quota: float) -> list[str]:
    """Return what lists of the models give and to whom, one line a model, of the figures that could be had."""
    shown = table[table["figure"].isin(_TARGETING) & table["value"].notna()]
    numbers = shown[["value", "lower", "upper"]].to_numpy()
    cells = [f"{v:.3f} ({low:.3f} to {high:.3f})" for v, low, high in numbers]
    wide = shown.assign(cell=cells).pivot(index="model", columns="figure", values="cell")
    wide = wide.loc[shown["model"].unique(), shown["figure"].unique()].rename_axis(None).rename_axis(columns=None)
    head = in_words(
        f"What a list of {quota:.0%} of the households gives, and to whom (docs/method.md, section 8):",
        f"名单取住户的{quota:.0%}时，帮扶给了谁（见 docs/method.md 第8节）：",
    )
    return [head, wide.to_string()]


def recalibrated(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write a model with its level and slope brought up to what was known on a day."""
    data, model = read(arguments.data, tell).known_by(arguments.until), load_model(arguments.model)
    if arguments.without_outcomes:
        tell(in_words("computing features", "正在计算特征"))
        X = features_on(data, model, arguments.until)
        new = shift_base_rate(model, X)
        new.net_ = None if model.net_ is None else shift_base_rate(model.net_, X)
    else:
        tell(in_words("computing features and outcomes", "正在计算特征和结果"))
        outcome = outcome_of(model)
        dates = _newer_dates(data, model, arguments, outcome["horizon_months"])
        X, y = training_set(data, dates, **outcome)
        check_fits(model, X)
        X = X[list(model.feature_names_in_)]
        new = recalibrate(model, X, y)
        if model.net_ is not None:
            y_net = net_labels(data, y, **outcome).dropna()
            new.net_ = recalibrate(model.net_, X.loc[y_net.index], y_net)
    done = new.fit_summary_["recalibrations"][-1]
    done |= {"known_by": arguments.until}
    bundle = save_model(new, arguments.out, data=model.card_.get("data"))
    text = in_words(
        f"{bundle}: level moved by {done['level_moved']:+.3f} in log-odds, slope {done['slope']:.3f}",
        f"{bundle}：水平移动 {done['level_moved']:+.3f}（对数几率），斜率 {done['slope']:.3f}",
    )
    return Answer({"bundle": str(bundle), **done}, text)


def _train_from_store(arguments: argparse.Namespace, outcome: dict[str, Any], tell: Tell) -> Answer:
    """Fit a model on the rows of a store and write its bundle; figures are those of `riskml evaluate` on a folder."""
    if outcome["outcome"] != "welfare":
        raise ValueError(
            in_words(
                f"a store trains on the outcome 'welfare' only, not '{outcome['outcome']}'; train on a folder",
                f"数据仓只能按结果“welfare”训练，不能按“{outcome['outcome']}”；请用数据表文件夹训练",
            )
        )
    asked = {
        "--interval-groups": arguments.interval_groups,
        "--groups": arguments.groups,
        "--weigh-lost": arguments.weigh_lost,
    }
    for option in (name for name, given in asked.items() if given):
        raise ValueError(
            in_words(
                f"{option} needs a folder of tables; a store trains without it",
                f"{option} 需要数据表文件夹；数据仓训练时不能使用",
            )
        )
    store = open_store(arguments.data)
    how: dict[str, Any] = {"known_by": arguments.test_from, "n_jobs": arguments.jobs}
    tell(in_words("computing features and outcomes", "正在计算特征和结果"))
    months = {"horizon_months": arguments.horizon_months, "every_months": arguments.every_months}
    dates = training_dates_of(store, **months, **how)
    X, labels = training_set_with_net(store, dates, keep_nonreturns=arguments.keep_nonreturns, **how, **outcome)
    model = _fitted(store, X, labels, outcome, arguments, tell, n_trials=arguments.tune, seed=arguments.seed)
    if arguments.test_from is not None:
        model.fit_summary_["known_by"] = arguments.test_from
    bundle = save_model(model, arguments.out, data=store.description())
    return Answer({"bundle": str(bundle), "fit": model.fit_summary_, "figures": None}, str(bundle))


def _fitted(
    data: Monitoring | Store,
    X: pd.DataFrame,
    labels: pd.DataFrame,
    learned: dict[str, Any],
    arguments: argparse.Namespace,
    tell: Tell,
    **how: Any,
) -> RiskClassifier:
    """Fit the model and, unless told not to, that of the risk net of assistance beside it."""
    tell(in_words(f"learning from {len(X):,} rows", f"正在用{len(X):,}行数据训练"))
    if arguments.without_net:
        labels = labels.drop(columns="returned_net")
    model = fit_model(data, X, labels, outcome=learned, **how)
    own = labels["weight"].to_numpy() > 0
    model = _with_refits(model, X[own], labels[own], arguments, tell)
    for fitted in (model, model.net_):
        if fitted is not None:
            fitted.fit_summary_["keep_nonreturns"] = arguments.keep_nonreturns
    return model


def _with_refits(
    model: RiskClassifier,
    X: pd.DataFrame,
    labels: pd.DataFrame,
    arguments: argparse.Namespace,
    tell: Tell,
) -> RiskClassifier:
    """Return the model with the refits asked for."""
    if not arguments.stability:
        return model
    n = arguments.stability
    tell(in_words(f"learning {n} refits on other draws of the households", f"正在用其他住户抽样重新训练{n}次"))
    return with_refits(
        model,
        X,
        labels["returned"],
        n_refits=n,
        sample_weight=labels["weight"].to_numpy(),
        outcome_welfare=labels["outcome_welfare"],
        random_state=arguments.seed,
    )


def outcome_of(model: RiskClassifier) -> dict[str, Any]:
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
