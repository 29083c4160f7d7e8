"""What the subcommands do: a few library calls each, with files before and after."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from riskml.assist import match_assistance, plan_summary
from riskml.backtest import compare, fit_model
from riskml.datasets import load_eph, load_malawi, make_monitoring
from riskml.explanation import explain
from riskml.files import read_table, replacing, write_table
from riskml.findings import language
from riskml.measures import read_measures
from riskml.model import RiskClassifier
from riskml.panel import backtest_sets, feature_table, training_dates, training_set
from riskml.reading import read_monitoring, write_monitoring
from riskml.report import write_report
from riskml.store import check_fits, load_model, save_model
from riskml.tables import Monitoring
from riskml.watchlists import WATCHLIST_COLUMNS, watchlist, watchlist_changes

Tell = Callable[[str], None]
#: Surveys that ``convert`` reads.
PANELS: dict[str, Callable[[Path], Monitoring]] = {"eph": load_eph, "malawi": load_malawi}
#: What a list must have to be planned with, reported or compared.
LIST_COLUMNS = tuple(name for name in WATCHLIST_COLUMNS if not name.startswith("risk_"))


@dataclass(frozen=True)
class Answer:
    """What a command found, as plain values (``--json``) and in words."""

    values: dict[str, Any]
    text: str


def simulate(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the tables of a simulated county."""
    tell(in_words("simulating", "正在模拟"))
    data = make_monitoring(arguments.households, n_months=arguments.months, random_state=arguments.seed)
    return written(data, arguments.folder)


def convert(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the monitoring tables of a household survey."""
    source, folder = arguments.source, arguments.folder
    tell(in_words(f"reading the survey in {source}", f"正在读取{source}中的调查数据"))
    data = PANELS[arguments.panel](source)
    tell(in_words(f"writing {folder}", f"正在写入{folder}"))
    return written(data, folder)


def check(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Say what is odd in monitoring tables."""
    data = read(arguments.data, tell)
    findings = data.check()
    said = findings[in_words("message_en", "message_zh")]
    lines = [*data.notes, *(f"{rule}: {text}" for rule, text in zip(findings["rule"], said, strict=True))]
    if findings.empty:
        lines.append(in_words("nothing odd was found", "未发现异常"))
    return Answer({"findings": records(findings), "notes": list(data.notes)}, "\n".join(lines))


def train(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Fit a model, measure it where a test date is given, and write its bundle."""
    data = read(arguments.data, tell)
    outcome = {name: getattr(arguments, name) for name in ("horizon_months", "rule", "net_of_assistance")}
    tell(in_words("computing features and outcomes", "正在计算特征和结果"))
    if arguments.test_from is None:
        dates = training_dates(data, horizon_months=arguments.horizon_months, every_months=arguments.every_months)
        X, y = training_set(data, dates, **outcome)
    else:
        sets = backtest_sets(data, test_from=arguments.test_from, every_months=arguments.every_months, **outcome)
        X, y = sets[:2]
    tell(in_words(f"learning from {len(y):,} rows", f"正在用{len(y):,}行数据训练"))
    model = fit_model(data, X, y, outcome=outcome, seed=arguments.seed)
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
    learned = {"rule": "at_horizon", "net_of_assistance": False, **model.fit_summary_}
    known = pd.Timestamp(learned["last_as_of_date"]) + pd.DateOffset(months=learned["horizon_months"])
    if pd.Timestamp(arguments.test_from) < known:
        raise ValueError(
            in_words(
                f"--test-from {arguments.test_from}: the model learned from outcomes up to {known:%Y-%m-%d}. "
                "Give that day or a later one, or train with an earlier --test-from.",
                f"--test-from {arguments.test_from}：模型已学习截至{known:%Y-%m-%d}的结果。"
                "请给出该日或更晚的日期，或用更早的 --test-from 重新训练。",
            )
        )
    tell(in_words("computing features and outcomes", "正在计算特征和结果"))
    outcome = {name: learned[name] for name in ("horizon_months", "rule", "net_of_assistance")}
    sets = backtest_sets(data, test_from=arguments.test_from, every_months=arguments.every_months, **outcome)
    check_fits(model, sets[2])
    tell(in_words("comparing with the rivals", "正在与简单方法比较"))
    figures = compare(data, model, *sets, seed=arguments.seed)
    return Answer({"test_from": arguments.test_from, "figures": records(figures)}, figures_text(figures))


def score(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the watchlist of a date."""
    if arguments.explain == "top" and arguments.top is None:
        raise ValueError(in_words("--explain top needs --top N", "--explain top 需要同时给出 --top N"))
    data, model = read(arguments.data, tell), load_model(arguments.model)
    tell(in_words("scoring", "正在评分"))
    X = features_on(data, model, arguments.as_of)
    n_listed = None if arguments.explain == "top" else arguments.top
    n_explained = {"all": n_listed, "top": arguments.top, "none": 0}[arguments.explain]
    listed = ranked(data, model, X, n_listed=n_listed, n_explained=n_explained)
    write_table(listed, arguments.out)
    values = {"out": str(arguments.out), "as_of_date": arguments.as_of, "n_cohort": len(X), "n_listed": len(listed)}
    text = in_words(
        f"{arguments.out}: {len(listed):,} of {len(X):,} households at risk on {arguments.as_of}",
        f"{arguments.out}：{arguments.as_of}监测范围内{len(X):,}户，列入{len(listed):,}户",
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
    write_html(arguments.out, listed, plan=proposed, evidence=evidence, card=card, figures=figures)
    return Answer({"out": str(arguments.out)}, str(arguments.out))


def changes(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Say what is new since the previous watchlist."""
    previous, current = (read_table(path, required=LIST_COLUMNS) for path in (arguments.previous, arguments.current))
    changed = watchlist_changes(previous, current, n=arguments.top)
    if arguments.out is not None:
        write_table(changed, arguments.out)
    counts = changed["change"].value_counts().reindex(["entered", "stayed", "left"], fill_value=0)
    said = changed.loc[changed["change"] != "stayed", in_words("sentence_en", "sentence_zh")]
    lines = [", ".join(f"{name} {count:,}" for name, count in counts.items()), *said]
    values = {str(name): int(count) for name, count in counts.items()}
    return Answer({**values, "changes": records(changed)}, "\n".join(lines))


def demo(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Tell the whole story on a simulated county."""
    from riskml.demo import tell_story  # built on the commands' own steps

    return tell_story(arguments.out, arguments.households, arguments.months, seed=arguments.seed, tell=tell)


RUN: dict[str, Callable[[argparse.Namespace, Tell], Answer]] = {
    "demo": demo,
    "simulate": simulate,
    "convert": convert,
    "check": check,
    "train": train,
    "evaluate": evaluate,
    "score": score,
    "plan": plan,
    "report": report,
    "changes": changes,
}


def in_words(en: str, zh: str) -> str:
    """Return the English or the Chinese text, as the user asked."""
    return zh if language() == "zh" else en


def written(data: Monitoring, folder: Path) -> Answer:
    """Write monitoring tables and say what was written."""
    write_monitoring(data, folder)
    rows = {name: len(table) for name, table in data.tables.items()}
    lines = [*data.notes, *(f"{name:<12}{count:>10,}" for name, count in rows.items())]
    values = {"folder": str(folder), "rows": rows, "notes": list(data.notes)}
    return Answer(values, "\n".join([str(folder), *lines]))


def read(folder: Path, tell: Tell) -> Monitoring:
    """Read the tables of a folder."""
    tell(in_words(f"reading {folder}", f"正在读取{folder}"))
    return read_monitoring(folder)


def features_on(data: Monitoring, model: RiskClassifier, as_of_date: object) -> pd.DataFrame:
    """Return the feature table of a date in the columns of the model; data without them are refused."""
    X = feature_table(data, [as_of_date])
    check_fits(model, X)
    if X.empty:
        raise ValueError(
            in_words(
                f"no household is at risk on {as_of_date}: none was known by then with welfare at or above the line",
                f"{as_of_date}没有监测范围内的住户：当时没有已知且收入不低于贫困线的住户",
            )
        )
    return X[list(model.feature_names_in_)]


def ranked(
    data: Monitoring, model: RiskClassifier, X: pd.DataFrame, *, n_listed: int | None, n_explained: int | None
) -> pd.DataFrame:
    """Return the first ``n_listed`` households, the first ``n_explained`` of them with reasons (None: all)."""
    risk = model.predict_risk(X)
    order = (
        risk.reset_index()
        .sort_values(["risk", "household_id"], ascending=[False, True], kind="stable")
        .index[:n_listed]
    )
    X, risk = X.iloc[order], risk.iloc[order]
    n = len(X) if n_explained is None else n_explained
    areas = data.area_of(X.index.get_level_values("household_id"))
    intervals = model.risk_interval(X)
    parts = []
    if n > 0:
        parts.append(watchlist(risk[:n], explain(model, X[:n]), areas=areas[:n], intervals=intervals[:n]))
    if n < len(X):
        rest = pd.concat([risk, intervals], axis=1)[n:].reset_index()
        rest = rest.assign(area_id=areas[n:], rank=range(n + 1, len(X) + 1)).reindex(columns=WATCHLIST_COLUMNS)
        parts.append(rest.assign(**dict.fromkeys((c for c in WATCHLIST_COLUMNS if c.startswith(_SAID)), "")))
    return pd.concat(parts, ignore_index=True)


def write_html(
    path: Path,
    listed: pd.DataFrame,
    *,
    plan: pd.DataFrame | None,
    evidence: pd.DataFrame | None,
    card: Mapping[str, Any],
    figures: pd.DataFrame | None,
) -> None:
    """Write the report in the language of the messages, whole or not at all."""
    spoken: Literal["en", "zh"] = "zh" if language() == "zh" else "en"
    given: dict[str, Any] = {"plan": plan, "evidence": evidence, "card": card, "figures": figures}
    with replacing(path) as temporary:
        write_report(temporary, listed, **given, language=spoken, n_cards=N_CARDS)


def evidence_of(data: Monitoring, model: RiskClassifier, listed: pd.DataFrame) -> pd.DataFrame:
    """Return the records behind the reasons of a list."""
    wanted = pd.MultiIndex.from_frame(listed[["household_id", "as_of_date"]])
    X = features_on(data, model, listed["as_of_date"].iloc[0])
    absent = wanted[~wanted.isin(X.index)]
    if len(absent):
        raise ValueError(
            in_words(
                f"the data do not hold the watchlist's household {absent[0][0]!r}; give the data it was scored on",
                f"数据中没有名单上的住户{absent[0][0]!r}，请使用评分时的数据",
            )
        )
    return explain(model, X.loc[wanted]).evidence(data)


def figures_text(figures: pd.DataFrame) -> str:
    """Return a table of figures as text: one line a model, ``value (lower to upper)`` of the figures that rank."""
    shown = figures[figures["figure"].isin(_SHOWN) | figures["figure"].str.startswith("recall@")]
    numbers = shown[["value", "lower", "upper"]].to_numpy()
    cells = ["-" if v != v else f"{v:.3f} ({low:.3f} to {high:.3f})" for v, low, high in numbers]
    table = shown.assign(cell=cells).pivot(index="model", columns="figure", values="cell")
    return table.loc[shown["model"].unique(), shown["figure"].unique()].rename_axis(None).to_string()


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain values: dates as text, missing as None."""
    dates = table.select_dtypes("datetime").columns
    table = table.assign(**{name: table[name].dt.strftime("%Y-%m-%d") for name in dates})
    return json.loads(table.to_json(orient="records", double_precision=15))


N_CARDS = 20
_SAID = ("cause_", "reason_")
_SHOWN = ("auroc", "average_precision", "brier", "calibration_slope")
