"""The steps that several subcommands share: reading, scoring, listing, reporting, saying."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskml.buckets.store import is_store
from riskml.explanation.coalitions import CausesAs
from riskml.explanation.contributions import Explanation, explain
from riskml.features.assistance import running_support
from riskml.features.outcomes import learned_outcome
from riskml.features.panel import cohort, feature_table
from riskml.files import replacing
from riskml.findings import in_words, language
from riskml.model.classifier import RiskClassifier
from riskml.model.net import net_risk
from riskml.model.store import check_fits
from riskml.output.cliff import assistance_cliff, ends_soon
from riskml.output.report import write_report
from riskml.output.watchlists import POINTS, WATCHLIST_COLUMNS, watchlist
from riskml.skill.groups import group_labels
from riskml.tables.monitoring import Monitoring
from riskml.tables.reading import read_monitoring

Tell = Callable[[str], None]
#: Households with a card in the report.
N_CARDS = 20
#: What a list must have to be planned with, reported or compared.
LIST_COLUMNS = tuple(name for name in WATCHLIST_COLUMNS if not name.startswith(("risk_", "support", "on_file")))
_SAID = ("cause_", "on_file", "reason_")
_WHY = ("points_", *_SAID)
_SHOWN = ("auroc", "average_precision", "brier", "calibration_slope")


@dataclass(frozen=True)
class Answer:
    """What a command found, as plain values (``--json``) and in words."""

    values: dict[str, Any]
    text: str


def read(folder: Path, tell: Tell) -> Monitoring:
    """Read the tables of a folder."""
    if is_store(folder):
        raise ValueError(
            in_words(
                f"{folder} is a store; of the commands that read tables, train and score take one",
                f"{folder} 是数据仓；读取数据表的命令中，只有 train 和 score 可以使用数据仓",
            )
        )
    tell(in_words(f"reading {folder}", f"正在读取{folder}"))
    return read_monitoring(folder)


def features_on(data: Monitoring, model: RiskClassifier, as_of_date: object) -> pd.DataFrame:
    """Return the features of those at risk of the model's outcome, in its columns; data without them are refused."""
    X = feature_table(data, [as_of_date], outcome=learned_outcome(model.fit_summary_))
    check_fits(model, X)
    if X.empty:
        raise nobody_at_risk(as_of_date)
    return X[list(model.feature_names_in_)]


def risks_of_areas(data: Monitoring, model: RiskClassifier, X: pd.DataFrame) -> pd.DataFrame:
    """Return everybody at risk with where they live: what an outlook is made from."""
    at_risk = cohort(data, X.index.unique("as_of_date"), outcome=learned_outcome(model.fit_summary_)).loc[X.index]
    return model.predict_risk(X).to_frame("risk").assign(area_id=at_risk["area_id"]).reset_index()


def nobody_at_risk(as_of_date: object) -> ValueError:
    """Return the error that says there is nobody to score."""
    return ValueError(
        in_words(
            f"no household is at risk on {as_of_date}: none was known by then that was not poor already "
            "(where welfare decides: with welfare at or above the line)",
            f"{as_of_date}没有监测范围内的住户：当时没有已知且尚未陷入该结果的住户（按收入判断时：收入已知且不低于贫困线）",
        )
    )


def ranked(
    data: Monitoring,
    model: RiskClassifier,
    X: pd.DataFrame,
    *,
    n_listed: int | None,
    n_explained: int | None,
    causes: CausesAs = "sum",
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
    at_risk = cohort(data, X.index.unique("as_of_date"), outcome=learned_outcome(model.fit_summary_)).loc[X.index]
    areas = at_risk["area_id"].to_numpy()
    by = model.fit_summary_.get("interval_groups", {}).get("by")
    groups = None if by is None else group_labels(by, X, at_risk, model.dictionary_)
    intervals = model.risk_interval(X, groups=groups)
    net = net_risk(model, X, groups=groups, supported=pd.concat([risk, intervals], axis=1))
    support = running_support(data, _multi(X.index))
    parts = []
    if n > 0:
        why = explain(model, X[:n], causes=causes)
        beside: dict[str, Any] = {"intervals": intervals[:n], "net": net[:n], "support": support[:n]}
        parts.append(watchlist(risk[:n], why, areas=areas[:n], **beside, data=data))
    if n < len(X):
        rest = pd.concat([risk, intervals, net, support], axis=1)[n:].reset_index()
        parts.append(without_reasons(rest.assign(area_id=areas[n:], rank=range(n + 1, len(X) + 1))))
    return pd.concat(parts, ignore_index=True)


def cliff_of(data: Monitoring, model: RiskClassifier, X: pd.DataFrame) -> pd.DataFrame:
    """Return the assistance cliff of everybody scored, on a list or not: most of them stand below its end."""
    support = running_support(data, _multi(X.index)).reset_index()
    soon = ends_soon(support["support_ends_on"], support["as_of_date"]).to_numpy()
    X, support = X[soon], support[soon]
    if X.empty:
        return assistance_cliff(support.reindex(columns=WATCHLIST_COLUMNS))
    areas = cohort(data, X.index.unique("as_of_date")).loc[X.index, "area_id"].to_numpy()
    risks = pd.concat([model.predict_risk(X), net_risk(model, X)], axis=1)
    return assistance_cliff(support.assign(area_id=areas, **{str(name): risks[name].to_numpy() for name in risks}))


def without_reasons(listed: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a watchlist with points missing and causes and reasons empty."""
    kept = [name for name in WATCHLIST_COLUMNS if not name.startswith(_WHY) and name in listed]
    said = (name for name in WATCHLIST_COLUMNS if name.startswith(_SAID))
    return listed[kept].reindex(columns=WATCHLIST_COLUMNS).assign(**dict.fromkeys(said, ""))


def _multi(index: pd.Index) -> pd.MultiIndex:
    assert isinstance(index, pd.MultiIndex)
    return index


def write_html(
    path: Path,
    listed: pd.DataFrame,
    *,
    plan: pd.DataFrame | None,
    evidence: pd.DataFrame | None,
    card: Mapping[str, Any],
    figures: pd.DataFrame | None,
    missed: pd.DataFrame | None = None,
    look: pd.DataFrame | None = None,
    outlook: pd.DataFrame | None = None,
    limits: pd.DataFrame | None = None,
    cliff: pd.DataFrame | None = None,
) -> None:
    """Write the report in the language of the messages, whole or not at all."""
    given: dict[str, Any] = {
        "plan": plan,
        "evidence": evidence,
        "card": card,
        "figures": figures,
        "look": look,
        "outlook": outlook,
        "limits": limits,
        "cliff": cliff,
    }
    if missed is not None:
        given["missed"] = missed[f"sentence_{language()}"].tolist()
    with replacing(path) as temporary:
        write_report(temporary, listed, **given, language=language(), n_cards=N_CARDS)


def evidence_of(
    data: Monitoring, model: RiskClassifier, listed: pd.DataFrame, *, sensitive: bool = False
) -> pd.DataFrame:
    """Return the records behind the reasons of a list; with ``sensitive`` those of sensitive traits spelled out."""
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
    return _as_listed(listed, model, X.loc[wanted]).evidence(data, sensitive=sensitive)


def _as_listed(listed: pd.DataFrame, model: RiskClassifier, X: pd.DataFrame) -> Explanation:
    """Return the explanation of the households of a list, its causes counted as those of the list were."""
    ways = [explain(model, X, causes=causes) for causes in ("sum", "players")]
    return min(ways, key=lambda why: np.nansum(np.abs(why.in_points().to_numpy() - listed[POINTS].to_numpy())))


def figures_text(figures: pd.DataFrame) -> str:
    """Return a table of figures as text: one line a model, ``value (lower to upper)`` of the figures that rank."""
    shown = figures[figures["figure"].isin(_SHOWN) | figures["figure"].str.startswith("recall@")]
    numbers = shown[["value", "lower", "upper"]].to_numpy()
    cells = ["-" if v != v else f"{v:.3f} ({low:.3f} to {high:.3f})" for v, low, high in numbers]
    table = shown.assign(cell=cells).pivot(index="model", columns="figure", values="cell")
    return table.loc[shown["model"].unique(), shown["figure"].unique()].rename_axis(None).to_string()


def audit_lines(audited: pd.DataFrame) -> list[str]:
    """Return an audit of features as text: one line a verdict and its reason, with the features it is on."""
    verdicts = {"leaks": in_words("leaks", "看到未来"), "cannot tell": in_words("cannot tell", "无法判断"), "ok": "ok"}
    remark = in_words("remark_en", "remark_zh")
    lines = []
    for verdict, said in verdicts.items():
        for reason, features in audited[audited["verdict"] == verdict].groupby(remark, sort=False)["feature"]:
            names = ", ".join(features[:5]) + (", ..." if len(features) > 5 else "")
            lines.append(f"{said} ({len(features)}): " + (f"{reason!s} [{names}]" if reason else names))
    return lines


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain values: dates as text, missing as None."""
    dates = table.select_dtypes("datetime").columns
    table = table.assign(**{name: table[name].dt.strftime("%Y-%m-%d") for name in dates})
    return json.loads(table.to_json(orient="records", double_precision=15))
