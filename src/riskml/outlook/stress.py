"""What an imagined event would do: to whom, where, through which causes, and what it would cost to hold the rate.

The tables are edited as a scenario says (:mod:`riskml.outlook.scenario`), features and risks are computed as on any
other day, and the two answers are set side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from riskml.causes import CAUSES
from riskml.explanation.contributions import explain
from riskml.features.outcomes import learned_outcome
from riskml.features.panel import cohort, feature_table, features_of
from riskml.findings import in_words
from riskml.model.classifier import RiskClassifier
from riskml.model.store import check_fits
from riskml.outlook.experience import far_from_past, out_of_range
from riskml.outlook.scenario import Scenario, edited
from riskml.outlook.support import net_points, share_ending, support_in_words
from riskml.output.watchlists import watchlist
from riskml.planning.assist import match_assistance
from riskml.tables.monitoring import Monitoring

#: Length of the list whose cut-off counts as the list's, as a share of the households, if none is given.
_LISTED = 0.1
#: How near the smallest budget is searched, as a share of it.
_TOLERANCE = 0.01
#: Returns that are rounding, not need.
_SLACK = 1e-9
#: A share of households outside experience above which it is said.
_SAID_FROM = 0.01


@dataclass(frozen=True, eq=False, repr=False)
class Stress:
    """Risk without and with an imagined event.

    Parameters
    ----------
    households : DataFrame
        One row a household at risk without the event, the highest risk with it first: ``household_id, as_of_date,
        area_id, touched`` (its own records were edited), ``risk_before, risk_after, from_net`` (what of it comes
        from the risk net of assistance, :func:`riskml.outlook.support.net_points`), ``change, rank_before, rank_after,
        crosses`` (``enters`` if the risk passes the cut-off, ``leaves`` if it falls below it, else empty),
        ``below_line`` (with the event it is already in the state that the outcome names, or its welfare is no longer
        known), ``cause`` (the one whose points rose most, empty if none rose), ``n_outside`` (features outside the
        training's range that are not so without the event), ``far`` (unlike every household of the past).
    areas : DataFrame
        ``area_id`` (empty: all), ``households, touched, rate_before, rate_after, change`` (expected share that
        returns), ``from_net`` (what of the change comes from the second model), ``entering``, the areas with the
        largest change first after the whole.
    causes : DataFrame
        ``cause, expected_before, expected_after, change``: points summed over the households, that is expected returns
        above the base rate; the changes sum to the change in expected returns. What comes from the second model
        counts as ``assistance``. Largest change first.
    edits : DataFrame
        ``part, edit, kind, households, rows``: what each edit changed.
    outside : DataFrame
        ``feature, label_en, label_zh, share_before, share_after``: features with more values outside the training's
        range than without the event, the most first.
    budget : DataFrame
        One row if measures were given, else none: see :func:`budget_to_hold`.
    cut_off : float
        Risk of the last household of the list without the event.
    warnings : tuple of (str, str)
        What to know beside the figures, English and Chinese.
    """

    households: pd.DataFrame
    areas: pd.DataFrame
    causes: pd.DataFrame
    edits: pd.DataFrame
    outside: pd.DataFrame
    budget: pd.DataFrame
    cut_off: float
    warnings: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        whole = self.areas.iloc[0]
        return (
            f"Stress({len(self.households):,} households, expected rate {whole['rate_before']:.1%} without, "
            f"{whole['rate_after']:.1%} with the event)"
        )


def stress(
    data: Monitoring,
    model: RiskClassifier,
    scenario: Scenario,
    *,
    as_of_date: object,
    measures: pd.DataFrame | None = None,
    n_listed: int | None = None,
    area_digits: int | None = None,
    random_state: int | None = 0,
) -> Stress:
    """Return what a model expects with and without the event of a scenario.

    Parameters
    ----------
    data : Monitoring
        The tables.
    model : RiskClassifier
        Fitted or loaded.
    scenario : Scenario
        The event, as :func:`riskml.read_scenario` gives it.
    as_of_date : date
        The day the question is asked; the event struck ``scenario.months_ago`` months before.
    measures : DataFrame, optional
        As :func:`riskml.read_measures` gives: find the budget that would hold the rate.
    n_listed : int, optional
        Length of the list without the event, whose last risk is the cut-off; default: a tenth of the households.
    area_digits : int, optional
        First characters of the area codes that make an area of the answer; default: the whole code.
    random_state : int or None, default 0
        Seed of everything random.

    Returns
    -------
    Stress
        Households, areas, causes, budget, and what to know beside them.

    Raises
    ------
    DataRefused
        If the scenario does not fit the data (:func:`riskml.apply_scenario`), or the measures are no such table.
    ModelRefused
        If the data lack features of the model.
    ValueError
        If no household is at risk on the date.

    Notes
    -----
    This is what the model has learned to expect of households *whose records look like that*, not an effect: it knows
    an event only by what such records were followed by in the past. Where support ends, no past shows what follows if
    none is given again; there the risk net of assistance of a second model takes its part (``from_net``), if the model
    has one. ``docs/stress.md`` holds answers against simulated worlds in which the event truly struck.

    Examples
    --------
    >>> from riskml import RiskClassifier, training_dates, training_set
    >>> from riskml.datasets import make_monitoring
    >>> from riskml.outlook.scenario import scenario_from
    >>> data = make_monitoring(250, n_months=36, random_state=0)
    >>> dates = training_dates(data, horizon_months=12, every_months=6)
    >>> model = RiskClassifier(n_estimators=20).fit(*training_set(data, dates, horizon_months=12))
    >>> slump = scenario_from({"name": "slump", "part": [{"edits": [{"kind": "jobs_end", "which": "all"}]}]})
    >>> answer = stress(data, model, slump, as_of_date="2023-12-01")
    >>> bool(answer.areas["rate_after"].iloc[0] > answer.areas["rate_before"].iloc[0])
    True
    """
    outcome = learned_outcome(model.fit_summary_)
    before = feature_table(data, [as_of_date], outcome=outcome)
    check_fits(model, before)
    if before.empty:
        raise ValueError(in_words(f"no household is at risk on {as_of_date}", f"{as_of_date}没有监测范围内的住户"))
    before = before[list(model.feature_names_in_)]
    world, made = edited(data, scenario, as_of_date, random_state=random_state)
    ids = before.index.get_level_values("household_id")
    after = features_of(world, ids, as_of_date)[list(before.columns)].set_axis(before.index)
    why = [explain(model, X) for X in (before, after)]
    share = share_ending(data, scenario, as_of_date, random_state=random_state)
    from_net = net_points(model, after, why[1].risk, share)
    risks, points = [each.risk for each in why], [each.in_points() for each in why]
    risks[1], points[1] = risks[1] + from_net, points[1].assign(assistance=points[1]["assistance"] + from_net)
    at_risk = cohort(data, [as_of_date], outcome=outcome)["area_id"].reindex(before.index)
    still = before.index.isin(cohort(world, [as_of_date], outcome=outcome).index)
    outside = [out_of_range(model, X) for X in (before, after)]
    far = far_from_past(data, model, before, after, random_state=random_state)
    n = max(1, round(_LISTED * len(ids))) if n_listed is None else min(n_listed, len(ids))
    households, cut_off = _households(risks, points, at_risk, n)
    households["from_net"] = from_net.to_numpy()
    households["touched"] = ids.isin(made["household_id"])
    households["below_line"] = ~still
    households["n_outside"] = (outside[1] & ~outside[0]).sum(axis=1).to_numpy()
    households["far"] = far["far"].to_numpy()
    moved = _features_outside(model, *outside)
    budget = pd.DataFrame()
    if measures is not None:
        need = watchlist(risks[1], why[1], areas=at_risk.to_numpy())
        need["points_assistance"] += from_net.droplevel("as_of_date").reindex(need["household_id"]).to_numpy()
        budget = budget_to_hold(need, measures, expected=float(risks[0].sum()))
    edits = made.groupby(["part", "edit", "kind"], as_index=False).agg(
        households=("household_id", lambda names: int((names != "").sum())), rows=("rows", "sum")
    )
    return Stress(
        households[_COLUMNS].sort_values(["risk_after", "household_id"], ascending=[False, True], ignore_index=True),
        _areas(households, area_digits),
        _causes(points),
        edits,
        moved,
        budget,
        cut_off,
        tuple(_warnings(households, edits, moved, far, has_net=model.net_ is not None)),
    )


def budget_to_hold(need: pd.DataFrame, measures: pd.DataFrame, *, expected: float) -> pd.DataFrame:
    """Return the smallest budget whose averted returns bring the expected number of returns down to a given one.

    What a budget averts is that of the best plan (:func:`riskml.match_assistance`, one measure a household); it
    never falls as the budget grows, so that the smallest is found by halving.

    Parameters
    ----------
    need : DataFrame
        A watchlist of everybody, with points.
    measures : DataFrame
        As :func:`riskml.read_measures` gives, every measure with cost and effect.
    expected : float
        Expected number of returns to come down to.

    Returns
    -------
    DataFrame
        One row: ``expected_without, expected_with`` (returns), ``held`` (bool), ``budget`` (currency; enough, and at
        most one in a hundred more than the smallest; 0 if the rate need not be held; if not held, the cost of the plan
        that averts most), ``averted, averted_lower, averted_upper`` (expected returns at that budget, and at the ends
        of the effects' intervals; NaN where an effect given has none), ``households`` (with a measure), ``missing``
        (returns that no budget averts, 0 if held).

    Raises
    ------
    DataRefused
        If the measures are not such a table, or one has no cost or no effect.

    Examples
    --------
    >>> from riskml.planning.measures import example_measures
    >>> need = pd.DataFrame({"household_id": ["a", "b"], "as_of_date": pd.Timestamp("2024-12-01"), "risk": [0.3, 0.2]})
    >>> need = need.assign(**{f"points_{cause}": 0.0 for cause in CAUSES})
    >>> need["points_illness"] = [0.2, 0.1]
    >>> row = budget_to_hold(need, example_measures(), expected=0.45).iloc[0]
    >>> bool(row["held"]), round(row["budget"], -2), round(row["averted"], 2)
    (True, np.float64(3000.0), np.float64(0.06))
    """
    total = float(need["risk"].sum())
    to_avert = total - expected - _SLACK
    low, high = 0.0, np.inf
    plan = match_assistance(need, measures, budget=0.0 if to_avert <= 0 else high)
    most = _averted(plan)
    held = most >= to_avert or to_avert <= 0
    if held and to_avert > 0:
        high = float(plan["cost"].sum())
        while high - low > _TOLERANCE * high:
            middle = (low + high) / 2
            tried = match_assistance(need, measures, budget=middle)
            if _averted(tried) >= to_avert:
                plan, high = tried, min(middle, float(tried["cost"].sum()))
            else:
                low = middle
    funded = plan[plan["measure"] != ""]
    row = {
        "expected_without": expected,
        "expected_with": total,
        "held": bool(held),
        "budget": float(funded["cost"].sum()),
        **{name: float(funded[f"expected_points{end}"].sum(skipna=False)) for name, end in _ENDS.items()},
        "households": int(funded["household_id"].nunique()),
        "missing": 0.0 if held else total - expected - most,
    }
    return pd.DataFrame([row])


_ENDS = {"averted": "", "averted_lower": "_lower", "averted_upper": "_upper"}
#: Kinds of edit, and what the comparison with simulated worlds (docs/stress.md) says of answers to them.
_KNOWN_FAULTS = (
    (
        ("bills", "price"),
        "Such an event lasts, but the records show only the months since, and the model expects the recovery and the "
        "new help that followed in the past: in simulated worlds the answer was several times too small. Read the "
        "order of households and areas rather than the size.",
        "此类事件会持续，而记录只反映事件后的几个月，模型仍按以往经验预期恢复和新的帮扶：在模拟数据中，回答比真实变化小数倍。"
        "宜看住户和区域的排序，而不是数值大小。",
    ),
    (
        ("disaster", "loss"),
        "The edits know no relief, and the model takes a sudden loss for a lasting one: in simulated worlds the answer "
        "was about twice too large.",
        "情景中没有救助，模型又把一时的损失当作长期损失：在模拟数据中，回答约为真实变化的两倍。",
    ),
)
_COLUMNS = [
    "household_id",
    "as_of_date",
    "area_id",
    "touched",
    "risk_before",
    "risk_after",
    "from_net",
    "change",
    "rank_before",
    "rank_after",
    "crosses",
    "below_line",
    "cause",
    "n_outside",
    "far",
]


def _averted(plan: pd.DataFrame) -> float:
    return float(plan["expected_points"].sum())


def _households(
    risks: list[pd.Series], points: list[pd.DataFrame], area: pd.Series, n: int
) -> tuple[pd.DataFrame, float]:
    """Return the households with both risks and what crosses the cut-off, and the cut-off."""
    before, after = risks
    table = before.index.to_frame(index=False)
    table["area_id"] = area.to_numpy()
    table["risk_before"], table["risk_after"] = before.to_numpy(), after.to_numpy()
    table["change"] = table["risk_after"] - table["risk_before"]
    for name in ("before", "after"):
        order = table.sort_values([f"risk_{name}", "household_id"], ascending=[False, True], kind="stable").index
        table.loc[order, f"rank_{name}"] = np.arange(1.0, len(table) + 1)
    cut_off = float(table.loc[table["rank_before"] == n, "risk_before"].iloc[0])
    above_before, above = table["rank_before"] <= n, table["risk_after"] >= cut_off
    table["crosses"] = np.select([above & ~above_before, above_before & ~above], ["enters", "leaves"], "")
    moved = (points[1] - points[0])[list(CAUSES)]
    rose = moved.max(axis=1).to_numpy() > 1e-9
    table["cause"] = np.where(rose, moved.idxmax(axis=1).to_numpy(dtype=object), "")
    return table.astype({"rank_before": int, "rank_after": int}), cut_off


def _areas(households: pd.DataFrame, digits: int | None) -> pd.DataFrame:
    """Return expected rates by area, after those of all."""
    whole = households.assign(area_id="")
    parts = households.assign(area_id=households["area_id"].str[:digits])
    tables = []
    for table in (whole, parts):
        grouped = table.groupby("area_id").agg(
            households=("risk_before", "size"),
            touched=("touched", "sum"),
            rate_before=("risk_before", "mean"),
            rate_after=("risk_after", "mean"),
            from_net=("from_net", "mean"),
            entering=("crosses", lambda crosses: int((crosses == "enters").sum())),
        )
        grouped.insert(4, "change", grouped["rate_after"] - grouped["rate_before"])
        tables.append(grouped.reset_index().sort_values(["change", "area_id"], ascending=[False, True]))
    return pd.concat(tables, ignore_index=True)


def _causes(points: list[pd.DataFrame]) -> pd.DataFrame:
    before, after = (each.sum() for each in points)
    table = pd.DataFrame({"expected_before": before, "expected_after": after}).rename_axis("cause").reset_index()
    table["change"] = table["expected_after"] - table["expected_before"]
    return table.sort_values("change", ascending=False, key=abs, kind="stable", ignore_index=True)


def _features_outside(model: RiskClassifier, before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    shares = pd.DataFrame({"share_before": before.mean(), "share_after": after.mean()}).rename_axis("feature")
    labels = model.dictionary_.set_index("name")[["label_en", "label_zh"]]
    table = labels.join(shares, how="inner").rename_axis("feature").reset_index()
    table = table[table["share_after"] > table["share_before"]]
    return table.sort_values(["share_after", "feature"], ascending=[False, True], ignore_index=True)


def _warnings(
    households: pd.DataFrame, edits: pd.DataFrame, outside: pd.DataFrame, far: pd.DataFrame, *, has_net: bool
) -> Any:
    yield (
        "What the model expects of households whose records look like that; not what the event itself does.",
        "这是模型对“记录呈现如此”的住户的预期，并非事件本身的效果。",
    )
    for kinds, *said in _KNOWN_FAULTS:
        if edits["kind"].isin(kinds).any():
            yield tuple(said)
    if (edits["kind"] == "support_ends").any():
        yield support_in_words(households, has_net=has_net)
    for edit in edits[edits["rows"] == 0].itertuples():
        yield (
            f"Edit {edit.edit} of part {edit.part} ({edit.kind}) changed no record.",
            f"第{edit.part}部分第{edit.edit}项（{edit.kind}）没有改动任何记录。",
        )
    n_below = int(households["below_line"].sum())
    if n_below:
        yield (
            f"{n_below:,} households are already below the line by the as-of date with the event, or their welfare is "
            "no longer known; the model learned only from households above it: their risk rests on no experience.",
            f"情景下有{n_below:,}户在基准日已低于贫困线，或收入不再可知；模型只从线上住户学习，对这些户的风险没有经验依据。",
        )
    share = float((households["n_outside"] > 0).mean())
    if share >= _SAID_FROM:
        named = outside.head(5)
        yield (
            f"{share:.0%} of the households have values outside all the model was trained on "
            f"({'; '.join(named['label_en'])}); beyond that edge its answer no longer changes.",
            f"{share:.0%}的住户有超出训练数据范围的取值（{'；'.join(named['label_zh'])}）；超出边界后模型的回答不再变化。",
        )
    unlike = float(far["far"].mean()), float(far["far_before"].mean())
    if unlike[0] - unlike[1] >= _SAID_FROM:
        yield (
            f"{unlike[0]:.0%} of the households would be unlike every household of the past ({unlike[1]:.0%} are so "
            "without the event): for them the answer rests on no experience.",
            f"{unlike[0]:.0%}的住户将与以往任何住户都不相似（无此事件时为{unlike[1]:.0%}）：对这些户的回答没有经验依据。",
        )
