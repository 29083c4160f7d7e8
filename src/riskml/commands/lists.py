"""The subcommands that write what people read: score, report, changes."""

from __future__ import annotations

import argparse
from typing import Any

import pandas as pd

from riskml.buckets.scoring import score_store
from riskml.buckets.store import is_store, open_store
from riskml.explanation.change import explain_change
from riskml.explanation.used import data_used
from riskml.explanation.wording import format_risk
from riskml.features.outcomes import learned_outcome
from riskml.features.panel import feature_table
from riskml.files import read_table, replacing, write_table
from riskml.findings import in_words, language
from riskml.model.store import check_fits, load_model
from riskml.outlook.areas import OUTLOOK_COLUMNS
from riskml.output.certainty import go_and_look
from riskml.output.cliff import CLIFF_COLUMNS, CLIFF_MONTHS
from riskml.output.letter import write_letter
from riskml.output.watchlists import watchlist_changes
from riskml.steps import (
    LIST_COLUMNS,
    N_CARDS,
    Answer,
    Tell,
    cliff_of,
    evidence_of,
    features_on,
    ranked,
    read,
    records,
    write_html,
)

#: Households of the assistance cliff that are named on the screen.
N_CLIFF = 5


def score(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write the watchlist of a date."""
    if arguments.explain == "top" and arguments.top is None:
        raise ValueError(in_words("--explain top needs --top N", "--explain top 需要同时给出 --top N"))
    n_listed = None if arguments.explain == "top" else arguments.top
    n_explained = {"all": n_listed, "top": arguments.top, "none": 0}[arguments.explain]
    limits: dict[str, Any] = {"n_listed": n_listed, "n_explained": n_explained, "causes": arguments.causes}
    if is_store(arguments.data):
        store, model = open_store(arguments.data), load_model(arguments.model)
        how = {**limits, "n_jobs": arguments.jobs, "tell": tell}
        n_cohort, n_written, cliff = score_store(store, model, arguments.as_of, arguments.out, **how)
    else:
        data, model = read(arguments.data, tell), load_model(arguments.model)
        tell(in_words("scoring", "正在评分"))
        X = features_on(data, model, arguments.as_of)
        listed = ranked(data, model, X, **limits)
        write_table(listed, arguments.out)
        n_cohort, n_written, cliff = len(X), len(listed), cliff_of(data, model, X)
    if arguments.cliff is not None:
        write_table(cliff, arguments.cliff)
    values = {"out": str(arguments.out), "as_of_date": arguments.as_of, "n_cohort": n_cohort, "n_listed": n_written}
    values["n_support_ends"] = len(cliff)
    text = in_words(
        f"{arguments.out}: {n_written:,} of {n_cohort:,} households at risk on {arguments.as_of}",
        f"{arguments.out}：{arguments.as_of}监测范围内{n_cohort:,}户，列入{n_written:,}户",
    )
    return Answer(values, "\n".join([text, *_cliff_lines(cliff)]))


def _cliff_lines(cliff: pd.DataFrame) -> list[str]:
    """Return in words how many households' support ends soon, and the first of them."""
    head = in_words(
        f"Support that ends within {CLIFF_MONTHS} months: {len(cliff):,} households, on the list or not; the first by "
        "risk net of assistance (--cliff FILE writes all):",
        f"未来{CLIFF_MONTHS}个月内帮扶到期：{len(cliff):,}户（含名单之外），按扣除转移性收入后的风险排列，最前的是"
        "（--cliff FILE 写出全部）：",
    )
    lines = [head] if len(cliff) else []
    for row in cliff.head(N_CLIFF).to_dict("records"):
        day, risk = f"{row['support_ends_on']:%Y-%m-%d}", format_risk(row["risk"])
        net = format_risk(row["risk_net"]) or in_words("not known", "未知")
        lines.append(
            in_words(
                f"  {row['household_id']}  {row['measure']} until {day}: risk {risk}, net of assistance {net}",
                f"  {row['household_id']}  {row['measure']}，{day}到期：风险{risk}，扣除转移性收入后{net}",
            )
        )
    return lines


def _sureness(look: pd.DataFrame) -> tuple[dict[str, Any], str]:
    """Return how sure a list is, as plain values and in words."""
    n_sure = int((look["standing"] == "sure").sum())
    n_look = int(((look["standing"] == "look") & ~look["listed"]).sum())
    values = {"cut_off": float(look["cut_off"].iloc[0]), "n_sure": n_sure, "n_look_below": n_look}
    said = in_words(
        f"\nOf the first {look['listed'].sum():,}, {n_sure:,} surely belong there; for the others, and for {n_look:,} "
        "households below, the records cannot tell: go and look",
        f"\n前{look['listed'].sum():,}户中{n_sure:,}户确定应列入；其余各户及其后{n_look:,}户仅凭记录无法判断，需上门核实",
    )
    return values, said


def report(arguments: argparse.Namespace, tell: Tell) -> Answer:
    """Write a watchlist as one HTML file."""
    intervals = () if arguments.top is None else ("risk_lower", "risk_upper")
    listed = read_table(arguments.watchlist, required=(*LIST_COLUMNS, *intervals))
    look, said = None, ""
    sureness: dict[str, Any] = {}
    if arguments.top is not None:
        look = go_and_look(listed, n=arguments.top)
        sureness, said = _sureness(look)
        listed = listed[listed["rank"] <= arguments.top]
    if arguments.letter is not None or arguments.contact is not None:
        return _letter(arguments, listed, tell)
    if arguments.audit:
        return _audit(arguments, listed, tell)
    proposed = None if arguments.plan is None else read_table(arguments.plan, required=("household_id", "measure"))
    limits = None if arguments.limits is None else read_table(arguments.limits, required=("limit", "shadow_price"))
    model = None if arguments.model is None else load_model(arguments.model)
    evidence = None
    if arguments.data is not None and model is not None:
        evidence = evidence_of(read(arguments.data, tell), model, listed.head(N_CARDS))
    card = {} if model is None else model.card_
    figures = pd.DataFrame(card["figures"]) if "figures" in card else None
    missed = pd.DataFrame(card["missed"]) if "missed" in card else None
    if arguments.groups is not None:
        missed = read_table(arguments.groups, required=("sentence_en", "sentence_zh"))
    given: dict[str, Any] = {"plan": proposed, "evidence": evidence, "card": card, "figures": figures}
    if arguments.outlook is not None:
        given["outlook"] = _outlook_beside(arguments, listed)
    if arguments.cliff is not None:
        given["cliff"] = read_table(arguments.cliff, required=CLIFF_COLUMNS)
    write_html(arguments.out, listed, **given, missed=missed, look=look, limits=limits)
    return Answer({"out": str(arguments.out), **sureness}, str(arguments.out) + said)


def _outlook_beside(arguments: argparse.Namespace, listed: pd.DataFrame) -> pd.DataFrame:
    """Return the outlook of the day of the list; that of another day is refused."""
    found = read_table(arguments.outlook, required=(*OUTLOOK_COLUMNS, "as_of_date"))
    days = [table["as_of_date"].iloc[0] for table in (found, listed)]
    if days[0] != days[1]:
        raise ValueError(
            in_words(
                f"{arguments.outlook} is the outlook of {days[0]:%Y-%m-%d} and the list is of {days[1]:%Y-%m-%d}; give "
                "both of one day",
                f"{arguments.outlook} 是{days[0]:%Y-%m-%d}的展望，而名单是{days[1]:%Y-%m-%d}的；"
                "请给出同一日期的两个文件",
            )
        )
    return found


def _audit(arguments: argparse.Namespace, listed: pd.DataFrame, tell: Tell) -> Answer:
    """Write every record behind the causes named of a whole list, sensitive traits spelled out."""
    if arguments.data is None or arguments.model is None:
        raise ValueError(in_words("--audit needs --data and --model", "--audit 需要同时给出 --data 和 --model"))
    data, model = read(arguments.data, tell), load_model(arguments.model)
    found = evidence_of(data, model, listed, sensitive=True)
    hidden = model.dictionary_.loc[model.dictionary_["sensitive"], "name"]
    found["sensitive"] = found["feature"].isin(hidden)
    write_table(found, arguments.out)
    n_causes, n_sensitive = found.groupby(["household_id", "cause"]).ngroups, int(found["sensitive"].sum())
    values = {"out": str(arguments.out), "n_causes": n_causes, "n_records": len(found), "n_sensitive": n_sensitive}
    said = in_words(
        f"{arguments.out}: {len(found):,} records behind {n_causes:,} causes named, {n_sensitive:,} of them sensitive; "
        "not for cards, lists or letters",
        f"{arguments.out}：{n_causes:,}项原因背后的{len(found):,}条记录，其中敏感信息{n_sensitive:,}条；不得用于卡片、名单或告知书",
    )
    return Answer(values, said)


def _letter(arguments: argparse.Namespace, listed: pd.DataFrame, tell: Tell) -> Answer:
    """Write the explanation for one household of the list."""
    for name in ("letter", "contact", "model", "data"):
        if getattr(arguments, name) is None:
            raise ValueError(
                in_words(
                    f"a letter needs --letter, --contact, --model and --data; --{name} is missing",
                    f"生成告知书需要 --letter、--contact、--model 和 --data；缺少 --{name}",
                )
            )
    household = listed[listed["household_id"] == arguments.letter]
    given: dict[str, Any] = {"contact": arguments.contact, "language": language()}
    if len(household):
        data, model = read(arguments.data, tell), load_model(arguments.model)
        given["evidence"] = evidence_of(data, model, household)
        given["used"] = data_used(data, model, arguments.letter, household["as_of_date"].iloc[0])
        given["dictionary"] = model.dictionary_
    with replacing(arguments.out) as temporary:
        write_letter(temporary, listed, arguments.letter, **given)
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
