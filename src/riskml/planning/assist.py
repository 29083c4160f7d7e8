"""What help fits, and what the budget can pay for.

A measure fits a household through its causes: it is expected to take away the share ``effect`` of the points of the
causes it answers. That is arithmetic on an assumption that has a source, not a finding of the model: points say what
the score rests on, and only the source of the effect can say what help changes.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.causes import CAUSES
from riskml.planning.allocation import allocate
from riskml.planning.eligibility import condition
from riskml.planning.measures import check_measures, split_list

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

#: Why a household has no measure: rule -> English, Chinese.
NOT_FUNDED = {
    "no_fit": ("no measure of the table fits its causes", "措施表中没有对应其致贫原因的措施"),
    "not_eligible": ("not eligible for the measures that fit", "不符合对应措施的条件"),
    "capacity": ("the measures that fit have no place left", "对应措施名额已满"),
    "budget": ("the budget goes further with other households", "预算用于其他家庭作用更大"),
}
PLAN_COLUMNS = [
    "household_id",
    "as_of_date",
    "measure",
    "label_en",
    "label_zh",
    "cause",
    "cost",
    "expected_points",
    "expected_points_lower",
    "expected_points_upper",
    "effect_source",
    "not_funded",
    "status",
    "reviewer",
    "decision",
    "reason",
]


def match_assistance(
    need: pd.DataFrame, measures: pd.DataFrame, *, budget: float, max_measures: int = 1
) -> pd.DataFrame:
    """Propose measures for households so that, under the budget, most returns to poverty are averted.

    A measure is expected to avert, for one household, ``effect`` times the positive points of its causes. Where the
    positive points of a household add up to more than its risk they are scaled down to it, so that nothing averts more
    than there is. Two measures for the same cause take away ``1 - (1 - effect_1) (1 - effect_2)`` of its points.

    Parameters
    ----------
    need : DataFrame
        A watchlist: ``household_id, as_of_date, risk``, ``points_<cause>`` of every cause, and the columns that
        conditions of eligibility name. One row a household.
    measures : DataFrame
        As :func:`riskml.read_measures` gives, every measure with cost and effect.
    budget : float
        Currency, as ``cost``; infinite: no limit.
    max_measures : int, default 1
        How many measures one household may get. The work grows with the number of combinations.

    Returns
    -------
    DataFrame
        One row per household and measure, in the order of ``need``; a household without a measure has one row too, with
        ``measure`` empty, ``cost`` and ``expected_points`` 0, and ``not_funded`` saying why (see :data:`NOT_FUNDED`).
        ``expected_points`` are probabilities: their sum is the expected number of returns averted; several measures of
        a household share its points by what each would avert alone; ``_lower`` and ``_upper`` come from the interval
        of the effect, NaN without one. ``cause`` is the one of the measure's causes with the most points.
        ``status, reviewer, decision, reason`` are empty: a person decides, and the decision is recorded there.

    Raises
    ------
    DataRefused
        If the measures are not such a table, or one of them has no cost or no effect.
    ValueError
        If ``need`` lacks a column, repeats a household, or has missing points; or the budget is negative.

    Warns
    -----
    UserWarning
        If the best plan could not be proved in time; otherwise it is within a millionth of the best.

    Notes
    -----
    It is planned with the effect of a measure on the household *with these points*, the same share for everybody. Who
    gains most from help need not be who is most at risk (Haushofer, Niehaus, Paramo, Miguel and Walker 2022).

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
    if not budget >= 0 or max_measures < 1:
        raise ValueError(
            f"match_assistance(budget={budget}, max_measures={max_measures}): expected 0 or more, 1 or more"
        )
    measures = check_measures(measures, for_planning=True)
    points = _points_to_avert(need)
    fits = _fits(measures)
    eligible = np.column_stack([_eligible(need, *row) for row in measures[["measure", "eligibility"]].to_numpy()])
    alone = (points @ fits.T) * measures["effect"].to_numpy()
    household, packages, gain = _packages(points, fits, measures, (alone > 0) & eligible, max_measures)
    use = np.column_stack([packages @ measures["cost"].to_numpy(), packages])
    capacity = measures["capacity"].fillna(np.inf).to_numpy()
    chosen = allocate(gain, household, use, np.append(budget, capacity)) if len(gain) else np.zeros(0, dtype=bool)
    given = np.zeros((len(need), len(measures)), dtype=bool)
    given[household[chosen]] = packages[chosen]
    funded = _funded(need, measures, points, fits, given)
    refused = _not_funded(need, given, alone > 0, eligible, capacity)
    plan = pd.concat([funded, refused]).sort_index(kind="stable").reset_index(drop=True)
    return plan.assign(status="", reviewer="", decision="", reason="")[PLAN_COLUMNS]


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


def _points_to_avert(need: pd.DataFrame) -> FloatArray:
    """Return the positive points by cause, (n_households, 13), scaled so that they do not exceed the risk."""
    columns = [f"points_{cause}" for cause in CAUSES]
    missing = [name for name in ["household_id", "as_of_date", "risk", *columns] if name not in need]
    if missing:
        raise ValueError(f"need lacks {', '.join(missing)}; a watchlist has them")
    if need["household_id"].duplicated().any():
        first = need.loc[need["household_id"].duplicated(), "household_id"].iloc[0]
        raise ValueError(f"need has household_id {first!r} twice; plan for one as-of date, one row a household")
    numbers = need[["risk", *columns]].to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("need has missing or infinite risk or points; leave those households out")
    points = np.maximum(numbers[:, 1:], 0.0)
    total = points.sum(axis=1)
    return (
        points * np.divide(np.minimum(numbers[:, 0], total), total, out=np.ones_like(total), where=total > 0)[:, None]
    )


def _fits(measures: pd.DataFrame) -> FloatArray:
    """Return which causes a measure answers, (n_measures, 13)."""
    return np.array([[float(cause in split_list(cell)) for cause in CAUSES] for cell in measures["causes"]])


def _eligible(need: pd.DataFrame, measure: str, text: str) -> BoolArray:
    try:
        return condition(text)(need)
    except KeyError as error:
        known = ", ".join(str(name) for name in need)
        raise ValueError(f"eligibility of {measure!r} needs the column {error}, need has {known}") from error


def _averted(points: FloatArray, fits: FloatArray, effect: FloatArray) -> FloatArray:
    """Return the points that measures avert together; ``effect`` (n_measures,) is 0 for those not given."""
    return points @ (1.0 - np.prod(1.0 - effect[:, None] * fits, axis=0))


def _packages(
    points: FloatArray, fits: FloatArray, measures: pd.DataFrame, open_: BoolArray, max_measures: int
) -> tuple[NDArray[np.int64], BoolArray, FloatArray]:
    """Return the options of every household: whose, which measures, what they avert; ordered by household.

    A measure that adds nothing to the others of its package makes the package pointless, so that it is left out.
    """
    names, effect = measures["measure"].to_numpy(), measures["effect"].to_numpy()
    excluded = [set(split_list(cell)) for cell in measures["excludes"]]
    found = []
    for size in range(1, max_measures + 1):
        for package in combinations(range(len(measures)), size):
            if any(names[a] in excluded[b] for a in package for b in package):
                continue
            given = np.isin(np.arange(len(measures)), package)
            rows = np.flatnonzero(open_[:, package].all(axis=1))
            averted = _averted(points[rows], fits, np.where(given, effect, 0.0))
            if size > 1:
                without = [
                    _averted(points[rows], fits, np.where(given & (np.arange(len(measures)) != one), effect, 0.0))
                    for one in package
                ]
                adds = averted > np.max(without, axis=0) + 1e-12
                rows, averted = rows[adds], averted[adds]
            found.append((rows, np.tile(given, (len(rows), 1)), averted))
    household, packages, gain = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(household, kind="stable")
    return household[order], packages[order], gain[order]


def _funded(
    need: pd.DataFrame, measures: pd.DataFrame, points: FloatArray, fits: FloatArray, given: BoolArray
) -> pd.DataFrame:
    """Return the rows of the measures given, indexed by the row of ``need``."""
    row, measure = np.nonzero(given)
    filed = np.where(fits[measure] > 0, points[row], -1.0)
    table = pd.DataFrame(
        {
            "household_id": need["household_id"].to_numpy()[row],
            "as_of_date": need["as_of_date"].to_numpy()[row],
            **{name: measures[name].to_numpy()[measure] for name in ("measure", "label_en", "label_zh")},
            "cause": np.array(list(CAUSES), dtype=object)[filed.argmax(axis=1)],
            "cost": measures["cost"].to_numpy()[measure],
            "effect_source": measures["effect_source"].to_numpy()[measure],
            "not_funded": "",
        },
        index=row,
    )
    for name in ("effect", "effect_lower", "effect_upper"):
        averted = _by_measure(points, fits, given, measures[name].to_numpy())
        table[name.replace("effect", "expected_points")] = averted[row, measure]
    return table


def _by_measure(points: FloatArray, fits: FloatArray, given: BoolArray, effect: FloatArray) -> FloatArray:
    """Return what each measure averts, (n_households, n_measures); the sum is what they avert together."""
    alone = np.where(given, (points @ fits.T) * effect, 0.0)
    left = np.ones_like(points)
    for measure in range(len(fits)):
        left = left * np.where(given[:, [measure]], 1.0 - effect[measure] * fits[measure], 1.0)
    together, total = (points * (1.0 - left)).sum(axis=1), alone.sum(axis=1)
    return alone * np.divide(together, total, out=np.zeros_like(total), where=total != 0)[:, None]


def _not_funded(
    need: pd.DataFrame, given: BoolArray, fitting: BoolArray, eligible: BoolArray, capacity: FloatArray
) -> pd.DataFrame:
    """Return the rows of the households without a measure, indexed by the row of ``need``."""
    row = np.flatnonzero(~given.any(axis=1))
    fitting, eligible = fitting[row], eligible[row]
    place_left = given.sum(axis=0) < np.floor(capacity)
    tests = [~fitting.any(axis=1), ~(fitting & eligible).any(axis=1), ~(fitting & eligible & place_left).any(axis=1)]
    table = need.iloc[row][["household_id", "as_of_date"]].set_axis(row)
    return table.assign(
        measure="",
        label_en="",
        label_zh="",
        cause="",
        cost=0.0,
        expected_points=0.0,
        expected_points_lower=0.0,
        expected_points_upper=0.0,
        effect_source="",
        not_funded=np.select(tests, ["no_fit", "not_eligible", "capacity"], "budget"),
    )
