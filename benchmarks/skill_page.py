"""The page and the picture of the skill benchmark: figures of every model, and riskml beside the best rival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cases import Case, subsets
from results import machine, markdown
from scipy.special import logit
from scores import RISKML, TRUTH, Score
from sklearn.linear_model import LogisticRegression

from riskml.features.panel import cohort
from riskml.features.split import as_of_dates_of
from riskml.output.plots import DOWN, LEVEL, UP
from riskml.skill.lead_time import lead_time, lead_time_summary
from riskml.skill.metrics import evaluate

DRAWS = 200
QUOTA = (0.05, 0.1, 0.2)
WHOLE = "all"
#: The rule of today's offices, and how many households of each month its list and riskml's hold.
RULES, LISTED = "trigger rules", 0.05
#: Figure -> its short name.
FIGURES = {
    "auroc": "AUROC",
    "average_precision": "avg. precision",
    "brier": "Brier",
    "log_loss": "log loss",
    "calibration_slope": "slope",
    "calibration_intercept": "intercept",
    **{f"recall@{share:.0%}": f"recall {share:.0%}" for share in QUOTA},
}
COMPARED = ("average_precision", "log_loss", "recall@5%")
#: Figures by which the best rival is named; for those of the second kind less is better.
JUDGED, LESS_IS_BETTER = ("average_precision", "log_loss"), ("log_loss",)


@dataclass(frozen=True)
class Measured:
    """A case with its figures: ``tables`` by group (``all`` the whole), long, one row a model and figure.

    ``gain, gain_lower, gain_upper`` are riskml against the model, positive where riskml is better. ``seconds`` holds
    those on the clock and of the CPU, by model. ``hindsight`` is the row of the rival best in average precision in a
    table of the same kind, where a blend of all models chosen on the test rows stands in riskml's place.
    """

    name: str
    said: str
    tables: dict[str, pd.DataFrame]
    groups: dict[str, str]
    seconds: pd.DataFrame
    hindsight: pd.DataFrame
    leads: pd.DataFrame | None = None


def measured(
    name: str, case: Case, scores: Mapping[str, Score], lists: Mapping[str, Score] | None = None, *, n_draws: int
) -> Measured:
    """Measure all models on a case and, on the real panels, on the groups that policy asks about.

    ``lists`` are scores for ``case.X_lists``: from them comes how long before its return a household was listed.
    """
    risks = {model: score.risk for model, score in scores.items()}
    if case.truth is not None:
        risks[TRUTH] = case.truth
    inside = {WHOLE: np.ones(len(case.y_test), dtype=bool)}
    if case.truth is None:
        inside |= {group: rows.to_numpy() for group, rows in subsets(case.X_test).items()}
    tables, groups = {}, {}
    for group, rows in inside.items():
        y = case.y_test[rows]
        if not 0 < y.mean() < 1:
            continue
        part = {model: risk[rows] for model, risk in risks.items()}
        table = evaluate(part, y, quota=QUOTA, clusters=case.area_id[rows].to_numpy(), n_bootstrap=n_draws)
        tables[group] = _with_gain(table)
        groups[group] = f"{len(y):,} test rows, {y.mean():.1%} returned"
    said = (
        f"{len(case.y_train):,} training rows, {case.y_train.mean():.1%} returned; {groups[WHOLE]}; "
        f"{case.X_train.shape[1]} features; intervals from draws of {case.area_id.nunique()} areas."
    )
    spent = {model: (score.wall_seconds, score.cpu_seconds) for model, score in scores.items()}
    seconds = pd.DataFrame.from_dict(spent, orient="index", columns=["wall", "cpu"])
    leads = _leads(case, lists, n_draws) if lists else None
    return Measured(name, said, tables, groups, seconds, _hindsight(case, risks, tables[WHOLE], n_draws), leads)


def summary(found: list[Measured]) -> pd.DataFrame:
    """Return riskml beside the best rival: one row a case, group and judged figure, with the gain and its interval.

    The best rival is the one that is best on the test rows, which none could know beforehand.
    """
    rows = []
    for one in found:
        for group, table in one.tables.items():
            for figure in JUDGED:
                own = table[(table["figure"] == figure) & ~table["model"].isin([RISKML, TRUTH])].dropna(subset="value")
                best = own.loc[own["value"].idxmin() if figure in LESS_IS_BETTER else own["value"].idxmax()]
                gain = best[["gain", "gain_lower", "gain_upper"]].to_dict()
                rows.append({"case": one.name, "group": group, "figure": figure, "rival": best["model"], **gain})
    return pd.DataFrame(rows)


def verdict(table: pd.DataFrame) -> str:
    """Say in words, for whole cases and for groups, how often riskml holds up against the best rival and is ahead."""
    said = []
    for what, part in (("cases", table[table["group"] == WHOLE]), ("groups", table[table["group"] != WHOLE])):
        if part.empty:
            continue
        holds = part.assign(holds=part["gain_upper"] >= 0, ahead=part["gain_lower"] > 0, better=part["gain"] > 0)
        by = holds.pivot(index=["case", "group"], columns="figure", values=["holds", "ahead", "better"]).astype(bool)
        n = len(by)
        words = [
            f"{FIGURES[figure].replace('avg.', 'average')}: at least as good on {by['holds', figure].sum()} of {n}, "
            f"strictly ahead on {by['ahead', figure].sum()} of {n}, the better figure on {by['better', figure].sum()}"
            for figure in JUDGED
        ]
        both = [int(by[kind].all(axis=1).sum()) for kind in ("holds", "ahead")]
        words.append(f"both at once: at least as good on {both[0]} of {n}, strictly ahead on {both[1]}")
        said += [f"On the {n} {what}, riskml against the best rival of each:", "\n".join(f"- {word}" for word in words)]
    return "\n\n".join(said)


def by_rival(found: list[Measured]) -> list[list[str]]:
    """Return, for every rival, on how many whole cases riskml is strictly ahead of it and behind it."""
    tables = pd.concat([one.tables[WHOLE] for one in found])
    tables = tables[~tables["model"].isin([RISKML, TRUTH])].dropna(subset="gain")
    rows = [["rival", *(f"{FIGURES[figure]}, {what}" for figure in JUDGED for what in ("ahead", "behind"))]]
    for rival in tables["model"].unique():
        row = [rival]
        for figure in JUDGED:
            own = tables[(tables["model"] == rival) & (tables["figure"] == figure)]
            for n in ((own["gain_lower"] > 0).sum(), (own["gain_upper"] < 0).sum()):
                row.append(f"{n} of {len(own)}" if len(own) else "-")
        rows.append(row)
    return rows


def page(found: list[Measured], *, n_draws: int, left_out: Mapping[str, str] | None = None) -> str:
    """Return the section of RESULTS.md: summary, verdict in words, then every case; ``left_out``: rival to reason."""
    table = summary(found)
    absent = "".join(f" Left out: {name} ({reason})." for name, reason in (left_out or {}).items())
    parts = [
        "## Skill out of time",
        f"`python benchmarks/skill.py`, {n_draws} draws of whole areas, 95 % intervals, paired. {machine()}{absent}",
        "Differences compare riskml with a rival on the same draws, **positive where riskml is better**: average "
        "precision and recall are riskml less the rival, log loss is the rival less riskml. *At least as good*: the "
        "interval is not wholly below zero. *Strictly ahead*: wholly above zero. The best rival is chosen on the test "
        "rows, in its favour.",
        _summary_table(table, found),
        verdict(table),
        "Against one rival at a time, the same for all cases, which could be chosen beforehand: on how many cases "
        "riskml is strictly ahead, and on how many it is behind (the interval wholly below zero).",
        markdown(by_rival(found)),
        _hindsight_part(found),
        *_lead_part(found),
        "![Average precision, riskml less each rival, by case](../docs/skill.svg)",
        "Recall: share of the returns on a list of that share of the households. Seconds of learning and scoring are "
        "those on the clock and, of the process itself, on the CPU: where the clock ran much further, the machine was "
        "shared with other work, which shortens what FLAML can search in its time. Rows count alike (no survey "
        "weights). Groups are parts of the test households of their case.",
    ]
    for one in found:
        parts += [f"### {one.name}", one.said]
        for group, figures in one.tables.items():
            if group != WHOLE:
                parts.append(f"Test households {group}: {one.groups[group]}.")
            parts.append(_case_table(figures, one.seconds if group == WHOLE else None))
    return "\n\n".join(parts)


def draw(found: list[Measured], path: Path) -> None:
    """Draw the gain in average precision over each rival with its interval, a panel a case."""
    n_columns = min(4, len(found))
    n_rows = -(-len(found) // n_columns)
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "skill", "font.size": 8}):
        figure, panels = plt.subplots(
            n_rows, n_columns, figsize=(2.6 * n_columns + 1, 2.3 * n_rows + 0.5), sharey=True, layout="constrained"
        )
        for one, ax in zip(found, np.atleast_1d(panels).ravel(), strict=False):
            table = one.tables[WHOLE]
            rows = table[(table["figure"] == "average_precision") & ~table["model"].isin([RISKML, TRUTH])]
            for _, row in rows.iterrows():
                colour = DOWN if row["gain_lower"] > 0 else UP if row["gain_upper"] < 0 else LEVEL
                ax.plot([row["gain_lower"], row["gain_upper"]], [row["model"]] * 2, color=colour, linewidth=1.2)
                ax.plot(row["gain"], row["model"], "o", color=colour, markersize=3.5)
            ax.axvline(0, color="black", linewidth=0.8)
            ax.set_title(_in_lines(one.name), fontsize=8)
            ax.spines[["top", "right"]].set_visible(False)
        for ax in np.atleast_1d(panels).ravel()[len(found) :]:
            ax.set_visible(False)
        np.atleast_1d(panels).ravel()[0].invert_yaxis()
        figure.supxlabel(
            "average precision, riskml less the rival, 95 % interval (blue: wholly above zero; orange: wholly below)"
        )
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _hindsight(case: Case, risks: Mapping[str, pd.Series], table: pd.DataFrame, n_draws: int) -> pd.DataFrame:
    """Return the best rival in average precision beside the blend of all models that the test rows themselves choose.

    A logistic regression of the test outcomes on the log-odds of every model that gives probabilities.
    """
    figures = table.set_index(["figure", "model"])["value"]
    models = [name for name, loss in figures["log_loss"].items() if name != TRUTH and not np.isnan(loss)]
    log_odds = logit(np.clip(np.column_stack([risks[name] for name in models]), 1e-6, 1 - 1e-6))
    chosen = LogisticRegression(C=1e4, max_iter=5000).fit(log_odds, case.y_test).predict_proba(log_odds)[:, 1]
    rival = figures["average_precision"].drop([RISKML, TRUTH], errors="ignore").idxmax()
    part = {"blend": pd.Series(chosen, index=case.y_test.index), rival: risks[rival]}
    beside = evaluate(part, case.y_test, clusters=case.area_id.to_numpy(), n_bootstrap=n_draws)
    return _with_gain(beside).query("figure == 'average_precision' and model == @rival")


def _hindsight_part(found: list[Measured]) -> str:
    """Return how far ahead of the best rival anybody could be who mixes these models knowing the answers."""
    rows = [["case", "best rival in avg. precision", "a blend chosen on the test rows, less the rival"]]
    best = [one.hindsight.iloc[0] for one in found]
    rows += [[one.name, row["model"], _gain(row)] for one, row in zip(found, best, strict=True)]
    n_ahead = sum(row["gain_lower"] > 0 for row in best)
    return (
        "How much there is to win: all models mixed by weights fitted to the test outcomes themselves, which nobody "
        f"has beforehand. Such a blend is strictly ahead of the best rival on {n_ahead} of {len(found)} cases.\n\n"
        + markdown(rows)
    )


def _leads(case: Case, lists: Mapping[str, Score], n_draws: int) -> pd.DataFrame:
    """Return how long before their return households were listed by riskml and by the rules, and by whom earlier.

    ``ever_listed`` is the expected number of all households that were on any list.
    """
    risks = {name: score.risk for name, score in lists.items()}
    days = as_of_dates_of(case.X_lists)
    households = case.X_lists.index.get_level_values("household_id").unique()
    everybody = lead_time(risks, pd.Series(days.max() + pd.Timedelta(days=1), index=households), quota=LISTED)
    leads = lead_time(risks, case.returned_on, quota=LISTED)
    areas = cohort(case.data, [days.min()])["area_id"].droplevel("as_of_date")
    # A household that was not in the cohort on the first day is a cluster of its own.
    clusters = areas.reindex(leads["household_id"].unique())
    clusters = clusters.where(clusters.notna(), clusters.index.to_series())
    table = lead_time_summary(leads, clusters=clusters, n_bootstrap=n_draws).set_index("model")
    return table.assign(ever_listed=everybody.groupby("model")["listed"].sum())


def _with_gain(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the differences round where less is better, their bounds with them."""
    turned = table["figure"].isin(LESS_IS_BETTER)
    gain, lower, upper = (table[f"difference{end}"] for end in ("", "_lower", "_upper"))
    return table.assign(
        gain=gain.where(~turned, -gain),
        gain_lower=lower.where(~turned, -upper),
        gain_upper=upper.where(~turned, -lower),
    )


def _summary_table(table: pd.DataFrame, found: list[Measured]) -> str:
    seconds = {one.name: one.seconds.loc[RISKML] for one in found}
    head = ["case", "households", "best rival in avg. precision", "difference", "best rival in log loss", "difference"]
    rows = [[*head, "riskml learned in s (CPU s)"]]
    for group_is_whole in (True, False):
        part = table[(table["group"] == WHOLE) == group_is_whole]
        for (case, group), own in part.groupby(["case", "group"], sort=False):
            by = own.set_index("figure")
            cells = [text for figure in JUDGED for text in (by.loc[figure, "rival"], _gain(by.loc[figure]))]
            rows.append([str(case), str(group), *cells, _seconds(seconds[case]) if group_is_whole else ""])
    return markdown(rows)


def _lead_part(found: list[Measured]) -> list[str]:
    """Return the table of lead times, and what it counts, if a case has monthly lists."""
    rows = [["case", "returned", "by", "ever listed", "found", "months before", "found by both", "riskml earlier"]]
    for one in found:
        for name, own in () if one.leads is None else one.leads.iterrows():
            bounds = f"{own['lead_over_lower']:+.1f} to {own['lead_over_upper']:+.1f}"
            beside = ["", ""] if name == RISKML else [f"{own['n_both']:.0f}", f"{own['lead_over']:+.1f} ({bounds})"]
            counts = [f"{own['ever_listed']:.0f}", f"{own['share_listed']:.0%}", f"{own['lead_months']:.1f}"]
            rows.append([one.name, f"{own['returns']:.0f}", str(name), *counts, *beside])
    if len(rows) == 1:
        return []
    return [
        f"Lead time over the {RULES}. Each month of the test, riskml and the rules list {LISTED:.0%} of that month's "
        "households. Returned: households whose true welfare over twelve months first is below the line on the first "
        "day of one of these months. Ever listed: how many different households were on any of the lists; a list that "
        "changes more from month to month sends officers to more doors. Found: share of the returns that were on a "
        "list before, and how many months before they first were. Riskml earlier: months by which riskml's list first "
        "holds those that both find, with interval. Who is on the first list may have been due earlier; these leads "
        "are cut short, for both alike.",
        markdown(rows),
    ]


def _case_table(table: pd.DataFrame, seconds: pd.DataFrame | None) -> str:
    head = ["model", *FIGURES.values(), *(f"difference, {FIGURES[figure]}" for figure in COMPARED)]
    rows = [head if seconds is None else [*head, "s (CPU s)"]]
    for model in table["model"].unique():
        own = table[table["model"] == model].set_index("figure")
        values = [_number(own.loc[figure, "value"]) for figure in FIGURES]
        gains = ["" if model == RISKML else _gain(own.loc[figure]) for figure in COMPARED]
        row = [model, *values, *gains]
        if seconds is not None:
            row.append(_seconds(seconds.loc[model]) if model in seconds.index else "")
        rows.append(row)
    return markdown(rows)


def _seconds(spent: pd.Series) -> str:
    return f"{spent['wall']:.0f} ({spent['cpu']:.0f})"


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _gain(row: pd.Series) -> str:
    if np.isnan(row["gain"]):
        return "-"
    return f"{row['gain']:+.3f} ({row['gain_lower']:+.3f} to {row['gain_upper']:+.3f})"


def _in_lines(name: str) -> str:
    """Break a case's name after its first comma."""
    first, _, rest = name.partition(", ")
    return f"{first},\n{rest}" if rest else first
