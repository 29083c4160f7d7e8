"""What help fits, and what the budget can pay for.

A measure fits a household through its causes: it is expected to take away the share ``effect`` of the points of the
causes it answers, or of the risk. That is arithmetic on an assumption that has a source, not a finding of the model:
points say what the score rests on, and only the source of the effect can say what help changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.causes import CAUSES
from riskml.findings import in_words
from riskml.planning import options
from riskml.planning.allocation import Allocation, allocate
from riskml.planning.limits import (
    LIMIT_COLUMNS,
    Limits,
    check_budgets,
    check_floors,
    is_floor,
    limits_of,
    solver_limits,
)
from riskml.planning.measures import check_measures
from riskml.planning.review import REVIEW_COLUMNS, earlier_rows, promised_use, with_review

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: Why a row has no measure: rule -> English, Chinese.
NOT_FUNDED = {
    "no_fit": ("no measure of the table fits its causes", "措施表中没有对应其致贫原因的措施"),
    "not_eligible": ("not eligible for the measures that fit", "不符合对应措施的条件"),
    "received": ("it has what fits already, or what it has excludes it", "已享受对应措施，或与已享受的措施互斥"),
    "refused": ("a person decided against it", "经审核不予安排"),
    "no_budget": ("no budget pays for what fits where it lives", "所在地区没有支付对应措施的预算"),
    "capacity": ("the measures that fit have no place left", "对应措施名额已满"),
    "budget": ("the budget goes further with other households", "预算用于其他家庭作用更大"),
    "no_longer": ("no longer proposed; what was noted is kept", "不再建议，保留原有记录"),
}
PLAN_COLUMNS = [
    "household_id",
    "as_of_date",
    "area_id",
    "measure",
    "label_en",
    "label_zh",
    "cause",
    "source",
    "months",
    "cost",
    "expected_points",
    "expected_points_lower",
    "expected_points_upper",
    "effect_source",
    "not_funded",
    "formerly",
    *REVIEW_COLUMNS,
]


@dataclass(frozen=True)
class Plan:
    """A plan, its limits, and how far it can be from the best.

    Attributes
    ----------
    table : DataFrame
        As :func:`match_assistance` gives.
    limits : DataFrame
        A row a budget, capacity and floor: ``limit`` (``budget``, ``capacity``, ``floor_households``, ``floor_money``),
        ``source, measure, label_en, label_zh, condition, area_id``, ``amount`` (of a floor: what was asked), ``used``
        (of a floor: what was reached), ``left`` and ``shadow_price``: what one more unit (of currency, or a household)
        would add to the objective, of a floor what one unit less to reach would add; NaN where there is nothing to
        start with.
    welfare_weight : float
        The objective: 0 for expected returns averted, else each weighted by ``welfare`` to minus this power.
    value : float
        The objective over what is newly proposed.
    bound : float
        What no plan with these limits exceeds.
    """

    table: pd.DataFrame
    limits: pd.DataFrame
    welfare_weight: float
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """Share of the bound by which the best plan may be better; NaN where a floor is not reached."""
        floors = self.limits[self.limits["limit"].str.startswith("floor")]
        if (floors["left"] > 1e-9 * floors["amount"]).any():
            return float("nan")
        return max(0.0, 1.0 - self.value / self.bound) if self.bound > 0 else 0.0


def match_assistance(
    need: pd.DataFrame,
    measures: pd.DataFrame,
    *,
    budget: float | Mapping[str, float] | pd.DataFrame,
    max_measures: int = 1,
    floors: pd.DataFrame | None = None,
    received: pd.DataFrame | None = None,
    welfare_weight: float = 0.0,
    previous: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Propose measures for households so that, within the limits, most returns to poverty are averted.

    A measure is expected to avert, for one household, ``effect`` times the positive points of its causes (or times the
    risk, by ``effect_kind``). Where the positive points of a household add up to more than its risk they are scaled
    down to it, so that nothing averts more than there is. Two measures for the same cause take away
    ``1 - (1 - effect_1) (1 - effect_2)`` of its points; shares of the risk are taken of what these leave.

    Parameters
    ----------
    need : DataFrame
        A watchlist: ``household_id, as_of_date, risk``, ``points_<cause>`` of every cause, and the columns that
        conditions name; ``area_id`` if a limit names an area. One row a household.
    measures : DataFrame
        As :func:`riskml.read_measures` gives, every measure with cost and effect.
    budget : float, mapping or DataFrame
        Currency, as ``cost``: one amount for everything (infinite: no limit), amounts by ``source`` of the measures, or
        a table with the columns :data:`riskml.planning.limits.BUDGET_COLUMNS`. A measure is paid by every budget that
        covers its source and the household's area; where none does it is not given.
    max_measures : int, default 1
        How many measures one household may get. The work grows with the number of combinations.
    floors : DataFrame, optional
        Columns :data:`riskml.planning.limits.FLOOR_COLUMNS`: at least so many households of a group, or so large a
        share of the total budget. Where fewer households have an option at all the floor falls to that;
        ``Plan.limits`` says what was reached.
    received : DataFrame, optional
        ``household_id, measure``: what households have, as :func:`riskml.planning.received.received_on` gives. They do
        not get it again, nor what it excludes.
    welfare_weight : float, default 0
        Weigh each household's returns averted by ``welfare ** -welfare_weight`` (``welfare`` in ``need``, in poverty
        lines): more for the poorer. 0: all alike.
    previous : DataFrame, optional
        An earlier plan with what people wrote into ``status, reviewer, decision, reason``
        (:data:`riskml.planning.review.DECISIONS`): approved rows stay and use their budget, refused ones are not
        proposed again, texts are kept.

    Returns
    -------
    DataFrame
        One row per household and measure, in the order of ``need``; a household without a measure has one row too, with
        ``measure`` empty, ``cost`` and ``expected_points`` 0, and ``not_funded`` saying why (see :data:`NOT_FUNDED`).
        ``expected_points`` are probabilities: their sum is the expected number of returns averted; several measures of
        a household share its points by what each would avert alone; ``_lower`` and ``_upper`` come from the interval
        of the effect, NaN without one. ``cause`` is the one of the measure's causes with the most points.
        ``status, reviewer, decision, reason`` are for people, empty at first; ``formerly`` names the measure that a
        kept text is about where it is not proposed now.

    Raises
    ------
    DataRefused
        If measures, budgets or floors are not such tables, a measure has no cost or no effect or is paid by no budget,
        or a decision of ``previous`` is not known.
    ValueError
        If ``need`` lacks a column, repeats a household, or has missing points; or a number asked is below zero.

    See Also
    --------
    make_plan : The same plan with its shadow prices and gap.

    Notes
    -----
    It is planned with the effect of a measure on the household *with these points*, the same share for everybody. Who
    gains most from help need not be who is most at risk (Haushofer, Niehaus, Paramo, Miguel and Walker 2022). Welfare
    weights are those of Atkinson (1970), "On the measurement of inequality".

    Examples
    --------
    >>> from riskml.planning.measures import example_measures
    >>> need = pd.DataFrame({"household_id": ["a", "b"], "as_of_date": pd.Timestamp("2024-12-01"), "risk": [0.3, 0.2]})
    >>> need = need.assign(**{f"points_{cause}": 0.0 for cause in CAUSES})
    >>> need["points_illness"] = [0.2, 0.1]
    >>> plan = match_assistance(need, example_measures(), budget=3000)
    >>> plan[["household_id", "measure", "cost", "expected_points", "not_funded"]]
      household_id            measure    cost  expected_points not_funded
    0            a  health_assistance  3000.0             0.06
    1            b                        0.0             0.00     budget
    """
    return make_plan(
        need, measures, budget=budget, max_measures=max_measures, floors=floors, received=received,
        welfare_weight=welfare_weight, previous=previous,
    ).table  # fmt: skip


def make_plan(
    need: pd.DataFrame,
    measures: pd.DataFrame,
    *,
    budget: float | Mapping[str, float] | pd.DataFrame,
    max_measures: int = 1,
    floors: pd.DataFrame | None = None,
    received: pd.DataFrame | None = None,
    welfare_weight: float = 0.0,
    previous: pd.DataFrame | None = None,
) -> Plan:
    """Return the plan of :func:`match_assistance` with its limits, their shadow prices, and its gap.

    Parameters
    ----------
    need, measures : DataFrame
        As in :func:`match_assistance`, as is all that follows.
    budget : float, mapping or DataFrame
        Currency.
    max_measures : int, default 1
        Measures a household may get.
    floors, received : DataFrame, optional
        What groups must get, what households have.
    welfare_weight : float, default 0
        The power of the welfare weight.
    previous : DataFrame, optional
        An earlier plan with decisions.

    Returns
    -------
    Plan
        The plan.

    Raises
    ------
    DataRefused, ValueError
        As in :func:`match_assistance`.

    Examples
    --------
    >>> from riskml.planning.measures import example_measures
    >>> need = pd.DataFrame({"household_id": ["a", "b"], "as_of_date": pd.Timestamp("2024-12-01"), "risk": [0.3, 0.2]})
    >>> need = need.assign(**{f"points_{cause}": 0.0 for cause in CAUSES}).assign(points_illness=[0.2, 0.1])
    >>> plan = make_plan(need, example_measures(), budget=3000)
    >>> round(plan.value, 6), plan.gap
    (0.06, 0.0)
    """
    _check_asked(budget, max_measures, welfare_weight)
    measures = check_measures(measures, for_planning=True)
    budgets, floors, earlier = check_budgets(budget), check_floors(floors), earlier_rows(previous)
    points = options.points_to_avert(need)
    risk, weight = need["risk"].to_numpy(dtype=np.float64), _weights(need, welfare_weight)
    rights = _rights(need, measures, points, received, earlier)
    approved = earlier[earlier["decided"] == "approved"]
    served = np.logical_or.reduce(rights["approved"], axis=1)
    limits = limits_of(need, measures, budgets, floors, served)
    promised = promised_use(approved, need, measures, limits)
    may = _open(rights, limits)
    packages = options.packages_of(options.excluding(measures), max_measures)
    effects = options.effects_of(measures)
    gain = options.gains(points, risk, effects, packages, may, rights["approved"])
    gain *= weight[:, None]
    found, prices = _solve(gain, need["household_id"], limits, packages, promised)
    del gain  # with a million households the largest array there is
    new = np.zeros_like(may)
    new[found.choice >= 0] = packages[found.choice[found.choice >= 0]]
    given = new | rights["approved"]
    used = promised + _used(limits, packages, found.choice)
    table = pd.concat([_funded(need, measures, points, given), _without(need, rights, limits, given, used)]).sort_index(
        kind="stable"
    )
    table = with_review(table.reset_index(drop=True), earlier, pd.Index(need["household_id"]))
    return Plan(table[PLAN_COLUMNS], _limit_rows(limits, used, prices), welfare_weight, found.gain, found.bound)


def plan_summary(plan: pd.DataFrame) -> pd.DataFrame:
    """Return what a plan comes to, by measure and for the households without one.

    Parameters
    ----------
    plan : DataFrame
        As :func:`match_assistance` gives.

    Returns
    -------
    DataFrame
        ``measure, label_en, label_zh, not_funded, households, cost, expected_points, expected_points_lower,
        expected_points_upper, effect_source``: a row per measure given (dearest first in sum), then one per reason of
        having none. The points are expected numbers of returns averted; a bound is NaN if any effect has none.
    """
    sums = ["cost", "expected_points", "expected_points_lower", "expected_points_upper"]
    grouped = plan.groupby(["measure", "label_en", "label_zh", "not_funded", "effect_source"], sort=True)
    table = grouped[sums].sum(min_count=0).where(grouped[sums].count().eq(grouped.size(), axis=0))
    table.insert(0, "households", grouped.size())
    table = table.reset_index().sort_values(["cost", "households"], ascending=False, kind="stable", ignore_index=True)
    return table[["measure", "label_en", "label_zh", "not_funded", "households", *sums, "effect_source"]]


def _check_asked(budget: object, max_measures: int, welfare_weight: float) -> None:
    if (isinstance(budget, int | float) and not budget >= 0) or max_measures < 1 or not 0 <= welfare_weight < np.inf:
        raise ValueError(
            f"match_assistance(budget={budget}, max_measures={max_measures}, welfare_weight={welfare_weight}): "
            "expected 0 or more, 1 or more, 0 or more"
        )


def _weights(need: pd.DataFrame, welfare_weight: float) -> FloatArray:
    """Return what a return averted counts for each household."""
    if not welfare_weight:
        return np.ones(len(need))
    if "welfare" not in need:
        raise ValueError(
            in_words(
                f"welfare_weight={welfare_weight} needs the column 'welfare' (in poverty lines) in the list; the "
                "command takes it from --data",
                f"welfare_weight={welfare_weight}需要名单中有welfare列（以贫困线为单位）；命令行可用 --data 取得",
            )
        )
    welfare = need["welfare"].to_numpy(dtype=np.float64)
    if not ((welfare > 0) & np.isfinite(welfare)).all():
        raise ValueError(
            in_words(
                "welfare is missing or not above zero for some households of the list; leave those out",
                "名单中有住户的welfare缺失或不大于零，请先去除",
            )
        )
    return welfare**-welfare_weight


def _rights(
    need: pd.DataFrame, measures: pd.DataFrame, points: FloatArray, received: pd.DataFrame | None, earlier: pd.DataFrame
) -> dict[str, BoolArray]:
    """Return, each (n_households, n_measures): what fits, who may get it, who has it, what was refused and approved."""
    none = np.zeros((len(need), len(measures)), dtype=bool)
    if received is not None and not {"household_id", "measure"} <= set(received):
        raise ValueError("received needs the columns household_id and measure")
    excludes = options.excluding(measures)
    about = earlier[["household_id", "about"]].set_axis(["household_id", "measure"], axis=1)
    approved, refused = (
        options.pairs(need, measures, about[earlier["decided"] == word]) if len(earlier) else none
        for word in ("approved", "refused")
    )
    has = approved | (none if received is None else options.pairs(need, measures, received))
    return {
        "fits": options.fitting(points, options.effects_of(measures)),
        "eligible": options.eligible(need, measures),
        "not_again": has | (has @ excludes),
        "refused": refused,
        "approved": approved,
    }


def _open(rights: dict[str, BoolArray], limits: Limits) -> BoolArray:
    """Return what may be given to whom, money and places apart."""
    payable = limits.payable[limits.kind]
    return rights["fits"] & rights["eligible"] & ~rights["not_again"] & ~rights["refused"] & payable


def _solve(
    gain: FloatArray, household: pd.Series, limits: Limits, packages: BoolArray, promised: FloatArray
) -> tuple[Allocation, FloatArray]:
    """Return the allocation and the price of every limit (NaN where there was nothing to start with)."""
    room, floors = limits.table["amount"].to_numpy(dtype=np.float64) - promised, is_floor(limits)
    per_package, closed = limits.per_package(packages), np.zeros((limits.member.shape[1], len(packages)), dtype=bool)
    for row in np.flatnonzero(~floors & np.isfinite(room)):
        too_much = (per_package[row] > 0) & (per_package[row] > room[row] * (1 + 1e-10))
        closed |= limits.member[row][:, None] & too_much
    if closed.any():
        gain[closed[limits.kind]] = -np.inf
    reachable = np.array([_reachable(gain, limits, per_package, row) if floors[row] else 0 for row in range(len(room))])
    room = np.where(floors, np.minimum(room, reachable), room)
    rows = np.isfinite(room) & (room > 0)
    use, limit = solver_limits(limits, packages, room, rows)
    # Equal plans must not depend on the order of the rows.
    order = np.argsort(household.to_numpy(dtype=object), kind="stable")
    found = allocate(gain[order], limits.kind[order], use, limit)
    choice = np.empty_like(found.choice)
    choice[order] = found.choice
    prices = np.where(np.isfinite(room) & (room <= 0) & ~floors, np.nan, 0.0)
    prices[rows] = found.prices
    return Allocation(choice, found.gain, found.bound, found.prices, found.floors_kept), prices


def _reachable(gain: FloatArray, limits: Limits, per_package: FloatArray, row: int) -> float:
    """Return how far a floor could be reached if there were no other limit."""
    inside = limits.member[row][limits.kind]
    if limits.table["limit"].iloc[row] == "floor_households":
        inside &= ~limits.served[limits.kind]
    return float(np.where(np.isfinite(gain[inside]), per_package[row], 0.0).max(axis=1, initial=0.0).sum())


def _used(limits: Limits, packages: BoolArray, choice: IntArray) -> FloatArray:
    """Return what the choices use of every limit, or add to a floor."""
    shape = (limits.member.shape[1], len(packages))
    chosen = np.flatnonzero(choice >= 0)
    counts = np.bincount(limits.kind[chosen] * shape[1] + choice[chosen], minlength=shape[0] * shape[1])
    everything = np.ones(len(limits.table), dtype=bool)
    use, _ = solver_limits(limits, packages, np.ones(len(limits.table)), everything)
    return np.abs(use @ counts.astype(np.float64))


def _limit_rows(limits: Limits, used: FloatArray, prices: FloatArray) -> pd.DataFrame:
    amount = limits.table["amount"].to_numpy(dtype=np.float64)
    left = np.where(is_floor(limits), np.maximum(amount - used, 0.0), amount - used)
    return limits.table.assign(used=used, left=left, shadow_price=prices)[LIMIT_COLUMNS]


def _area(need: pd.DataFrame) -> NDArray[np.object_]:
    return need["area_id"].to_numpy(dtype=object) if "area_id" in need else np.full(len(need), "", dtype=object)


def _funded(need: pd.DataFrame, measures: pd.DataFrame, points: FloatArray, given: BoolArray) -> pd.DataFrame:
    """Return the rows of the measures given, indexed by the row of ``need``."""
    helped = np.flatnonzero(given.any(axis=1))
    points, risk, given = points[helped], need["risk"].to_numpy(dtype=np.float64)[helped], given[helped]
    row, measure = np.nonzero(given)
    fits = options.effects_of(measures).fits
    filed = np.where(fits[measure] > 0, points[row], -1.0)
    kept = ("measure", "label_en", "label_zh", "source", "months", "cost", "effect_source")
    table = pd.DataFrame(
        {
            "household_id": need["household_id"].to_numpy()[helped][row],
            "as_of_date": need["as_of_date"].to_numpy()[helped][row],
            "area_id": _area(need)[helped][row],
            **{name: measures[name].to_numpy()[measure] for name in kept},
            "cause": np.array(list(CAUSES), dtype=object)[filed.argmax(axis=1)],
            "not_funded": "",
            "formerly": "",
        },
        index=helped[row],
    )
    for name in ("effect", "effect_lower", "effect_upper"):
        averted = options.averted_by_measure(points, risk, options.effects_of(measures, name), given)
        table[name.replace("effect", "expected_points")] = averted[row, measure]
    return table


def _without(
    need: pd.DataFrame, rights: dict[str, BoolArray], limits: Limits, given: BoolArray, used: FloatArray
) -> pd.DataFrame:
    """Return the rows of the households without a measure, indexed by the row of ``need``."""
    row = np.flatnonzero(~given.any(axis=1))
    kind = limits.kind[row]
    still = rights["fits"][row]
    tests = [~still.any(axis=1)]
    hurdles = {
        "eligible": rights["eligible"],
        "received": ~rights["not_again"],
        "refused": ~rights["refused"],
    }
    for passed in [*(hurdle[row] for hurdle in hurdles.values()), limits.payable[kind], _places(limits, used)[kind]]:
        still = still & passed
        tests.append(~still.any(axis=1))
    reasons = ["no_fit", "not_eligible", "received", "refused", "no_budget", "capacity"]
    table = pd.DataFrame(
        {
            "household_id": need["household_id"].to_numpy()[row],
            "as_of_date": need["as_of_date"].to_numpy()[row],
            "area_id": _area(need)[row],
        },
        index=row,
    )
    empty = dict.fromkeys(("measure", "label_en", "label_zh", "source", "cause", "effect_source", "formerly"), "")
    nothing = dict.fromkeys(("cost", "expected_points", "expected_points_lower", "expected_points_upper"), 0.0)
    return table.assign(**empty, **nothing, months=np.nan, not_funded=np.select(tests, reasons, "budget"))


def _places(limits: Limits, used: FloatArray) -> BoolArray:
    """Return whether a measure has a place left for households of a kind, (n_kinds, n_measures)."""
    left = np.ones((limits.member.shape[1], limits.per_measure.shape[1]), dtype=bool)
    full = limits.table["amount"].to_numpy(dtype=np.float64) - used < 1
    for row in np.flatnonzero((limits.table["limit"] == "capacity").to_numpy() & full):
        left &= ~(limits.member[row][:, None] & (limits.per_measure[row] > 0))
    return left
