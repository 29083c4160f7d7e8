"""What a list gives and to whom: the field's figures of targeting, with benefits, welfare and the poorest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from riskml.skill.bootstrap import FloatArray, checked_rows, checked_scores, cluster_draws, compared
from riskml.skill.targeting import Cut, expected_list, list_cut

#: Figures of ``targeting_summary``, in its order.
FIGURES = (
    "exclusion_error",
    "inclusion_error",
    "coverage",
    "leakage",
    "cgh_returns",
    "cgh_poorest",
    "concentration",
    "welfare_error",
    "welfare_error_universal",
)


def targeting_summary(
    scores: Mapping[str, ArrayLike],
    y: ArrayLike,
    *,
    quota: float,
    welfare: ArrayLike | None = None,
    poorest: float = 0.4,
    benefit: ArrayLike | None = None,
    budget: float = 0.05,
    rho: float = 3.0,
    sample_weight: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    n_bootstrap: int = 0,
    random_state: int = 0,
    reference: str | None = None,
) -> pd.DataFrame:
    """Return the field's figures of targeting for the lists of several scores, beside each other.

    Parameters
    ----------
    scores : mapping of str to array, shape (n_rows,)
        Score of each model, higher is riskier.
    y : array, shape (n_rows,)
        Returned (1) or not (0).
    quota : float
        Share of the (weighted) households on the list if below 1, else their number.
    welfare : array, shape (n_rows,), optional
        Welfare or consumption in lines, above 0; without it the figures that need it are NaN. On the day of the list
        it says who is poor now, at the horizon who is poor when help would count.
    poorest : float, default 0.4
        Share of the households that count as the poorest.
    benefit : array, shape (n_rows,), optional
        What each household would get if it were on the list, in any unit: a cost, a size; default equal shares.
    budget : float, default 0.05
        Lines a household of the whole district, spread over the list in proportion to ``benefit``.
    rho : float, default 3.0
        Aversion to inequality of the utility ``c^(1 - rho) / (1 - rho)`` (1: log c); 0 asks only who gets how much.
    sample_weight : array, shape (n_rows,), optional
        Survey weights.
    clusters : array, shape (n_rows,), optional
        Clusters of the bootstrap; default each row its own.
    n_bootstrap : int, default 0
        Draws; 0 gives no intervals (NaN).
    random_state : int, default 0
        Seed of the draws.
    reference : str, optional
        Model the others are compared with; default the first.

    Returns
    -------
    DataFrame
        One row a model and figure: ``model, figure, value, lower, upper`` (95 %), ``difference`` (reference less this
        model), ``difference_lower, difference_upper`` (paired: the same draws), ``low, high`` (what an order of ties
        could make of the value). Figures:

        - ``exclusion_error``, ``inclusion_error``: as in :func:`riskml.targeting_errors`; ``coverage``: share of
          returns on the list;
        - ``leakage``: share of the benefits that goes to households that do not return;
        - ``cgh_returns``: share of the benefits that goes to returns, divided by their share of the households;
          ``cgh_poorest``: the same of the poorest (Coady, Grosh and Hoddinott 2004). 1 is a list drawn by lot;
        - ``concentration``: concentration coefficient of the benefits by welfare, -1 to 1, below 0 is in favour of the
          poor (Kakwani, Wagstaff and van Doorslaer 1997);
        - ``welfare_error``: share of the gain in social welfare (Hanna and Olken 2018) that the list forgoes against a
          list of the poorest with the same quota and budget; ``welfare_error_universal``: the same if the budget were
          spread over everybody (below 0 where that is better than a list of the poorest).

        NaN where nobody returned, nobody is listed, or welfare was not given.

    Raises
    ------
    ValueError
        As :func:`riskml.targeting_errors`; if welfare is not above 0, ``poorest`` not between 0 and 1, a benefit or the
        budget not positive, or rho below 0.

    Examples
    --------
    >>> scores, y = {"good": [4, 3, 2, 1], "bad": [1, 2, 3, 4]}, [1, 0, 0, 0]
    >>> table = targeting_summary(scores, y, quota=2, welfare=[1.0, 1.5, 2.0, 4.0], poorest=0.5)
    >>> table.pivot(index="figure", columns="model", values="value").loc[["coverage", "leakage", "cgh_poorest"]]
    model        bad  good
    figure
    coverage     0.0   1.0
    leakage      1.0   0.5
    cgh_poorest  0.0   2.0
    """
    risks, y_, weight, reference = checked_scores(scores, y, sample_weight, reference)
    welfare_, benefit_ = _checked_money(len(y_), welfare, benefit)
    if not 0 < poorest < 1:
        raise ValueError(f"poorest must be a share between 0 and 1, got {poorest}")
    if budget <= 0 or rho < 0:
        raise ValueError(f"budget must be positive and rho not negative, got {budget} and {rho}")
    settings = (y_, benefit_, welfare_, quota, poorest, budget, rho)
    draws = cluster_draws(clusters, len(y_), n_bootstrap, random_state)
    sampled = np.full((len(risks), len(draws), len(FIGURES)), np.nan)
    for place, draw in enumerate(draws):
        w = weight * draw
        for k, forms in enumerate(_forms(w, risks.values(), *settings)):
            sampled[k, place] = [form.value(w) for form in forms]
    of_all = dict(zip(risks, _forms(weight, risks.values(), *settings), strict=True))
    measured = {
        name: (np.array([form.value(weight) for form in forms]), sampled[k])
        for k, (name, forms) in enumerate(of_all.items())
    }
    table = pd.DataFrame(compared(measured, FIGURES, reference))
    table[["low", "high"]] = [form.bounds(weight) for forms in of_all.values() for form in forms]
    return table


def concentration_curve(
    welfare: ArrayLike,
    risk: ArrayLike,
    *,
    quota: float,
    benefit: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Return the share of a list's benefits that reaches the poorest 1 %, 2 %, ... of the households.

    Parameters
    ----------
    welfare : array, shape (n_rows,)
        Welfare or consumption in lines; only its order counts.
    risk : array, shape (n_rows,)
        Any score, higher is riskier.
    quota : float
        Share of the (weighted) households on the list if below 1, else their number.
    benefit : array, shape (n_rows,), optional
        What each household would get if it were on the list, in any unit; default equal shares.
    sample_weight : array, shape (n_rows,), optional
        Survey weights.

    Returns
    -------
    DataFrame
        ``households`` (share of the households, poorest first) and ``benefits`` (share of the benefits that these
        get); one row a distinct welfare, and nobody first. Above the diagonal it is in favour of the poor. The
        concentration coefficient of :func:`targeting_summary` is 1 less twice the area under it.

    Raises
    ------
    ValueError
        As :func:`riskml.targeting_errors`, or if a welfare is missing or a benefit not positive.

    Examples
    --------
    >>> concentration_curve([1, 2, 3, 4], [9, 8, 7, 6], quota=2)
       households  benefits
    0        0.00       0.0
    1        0.25       0.5
    2        0.50       1.0
    3        0.75       1.0
    4        1.00       1.0
    """
    _, risk_, weight = checked_rows(np.zeros(len(np.asarray(risk))), risk, sample_weight)
    welfare_, benefit_ = _checked_money(len(risk_), welfare, benefit, any_sign=True)
    paid = weight * benefit_ * list_cut(risk_, weight, quota).expected
    order = np.argsort(welfare_, kind="stable")
    last = np.append(np.diff(welfare_[order]) != 0, True)
    households, benefits = np.cumsum(weight[order])[last], np.cumsum(paid[order])[last]
    table = {"households": households / households[-1], "benefits": benefits / benefits[-1]}
    nobody = pd.DataFrame({"households": [0.0], "benefits": [0.0]})
    return pd.concat([nobody, pd.DataFrame(table)], ignore_index=True)


class _Form(NamedTuple):
    """A figure as a ratio of sums over the list: ``offset + sum(w x above) / sum(w x below)``; below None: one."""

    cut: Cut
    above: FloatArray
    below: FloatArray | None = None
    offset: float = 0.0

    def value(self, weight: FloatArray) -> float:
        x = weight * self.cut.expected
        below = 1.0 if self.below is None else float(x @ self.below)
        return self.offset + float(x @ self.above) / below if below > 0 else np.nan

    def bounds(self, weight: FloatArray) -> tuple[float, float]:
        """Return the least and the largest value over the orders of those tied at the cut."""
        middle = self.value(weight)
        if np.isnan(middle):
            return np.nan, np.nan
        low, high = (self._extreme(weight, middle - self.offset, sign) for sign in (-1.0, 1.0))
        return self.offset + low, self.offset + high

    def _extreme(self, weight: FloatArray, ratio: float, sign: float) -> float:
        """Return the extreme ratio by Dinkelbach's (1967) steps: the best list for a ratio, the ratio of that list."""
        sure, tied, left, _ = self.cut
        below = np.zeros(len(weight)) if self.below is None else self.below
        above_sure = float(weight[sure] @ self.above[sure])
        below_sure = 1.0 if self.below is None else float(weight[sure] @ below[sure])
        room, above, below = weight[tied], self.above[tied], below[tied]
        while True:
            order = np.argsort(-sign * (above - ratio * below), kind="stable")
            before = np.cumsum(room[order]) - room[order]
            taken = np.clip(left - before, 0, room[order])
            under = below_sure + float(taken @ below[order])
            better = (above_sure + float(taken @ above[order])) / under if under > 0 else ratio
            if sign * (better - ratio) <= 1e-12 * max(1.0, abs(ratio)):
                return ratio
            ratio = better


def _forms(
    w: FloatArray,
    risks: Iterable[FloatArray],
    y: FloatArray,
    benefit: FloatArray,
    welfare: FloatArray | None,
    quota: float,
    poorest: float,
    budget: float,
    rho: float,
) -> list[list[_Form]]:
    """Return the figures of each score under weights ``w``, in the order of ``FIGURES``."""
    total, returns, one = w.sum(), float(w @ y), np.ones(len(y))
    missing = np.full(len(y), np.nan)
    found = y / returns if returns > 0 else missing
    poor = rank = gain_best = None
    if welfare is not None:
        poor = expected_list(-welfare, w, poorest)
        rank = _fractional_rank(welfare, w)
        best = expected_list(-welfare, w, quota)
        gain_best = float((w * best) @ _gain(welfare, _amounts(benefit, best, w, budget), rho))
    forms = []
    for risk in risks:
        cut = list_cut(risk, w, quota)
        listed = [
            _Form(cut, -found, offset=1.0),
            _Form(cut, 1 - y, one),
            _Form(cut, found),
            _Form(cut, benefit * (1 - y), benefit),
            _Form(cut, benefit * found * total, benefit),
        ]
        if welfare is None or poor is None or rank is None or gain_best is None:
            listed += [_Form(cut, missing)] * 4
        else:
            gain = _gain(welfare, _amounts(benefit, cut.expected, w, budget), rho) / gain_best
            of_all = float(w @ _gain(welfare, _amounts(benefit, one, w, budget), rho)) / gain_best
            listed += [
                _Form(cut, benefit * poor / poorest, benefit),
                _Form(cut, benefit * (2 * rank - 1), benefit),
                _Form(cut, -gain, offset=1.0),
                _Form(cut, 0 * one, offset=1.0 - of_all),
            ]
        forms.append(listed)
    return forms


def _amounts(benefit: FloatArray, listed: FloatArray, weight: FloatArray, budget: float) -> FloatArray:
    """Return what each household gets if it is listed, so that the list costs the budget."""
    return benefit * budget * weight.sum() / float((weight * listed) @ benefit)


def _gain(welfare: FloatArray, amount: FloatArray, rho: float) -> FloatArray:
    """Return what an amount adds to the utility of each household, constant relative risk aversion ``rho``."""
    if rho == 1:
        return np.log1p(amount / welfare)
    return ((welfare + amount) ** (1 - rho) - welfare ** (1 - rho)) / (1 - rho)


def _fractional_rank(welfare: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the share of the households poorer than each, half of itself and its equals included."""
    _, place = np.unique(welfare, return_inverse=True)
    at = np.bincount(place, weights=weight)
    return ((np.cumsum(at) - at / 2) / weight.sum())[place]


def _checked_money(
    n: int, welfare: ArrayLike | None, benefit: ArrayLike | None, *, any_sign: bool = False
) -> tuple[Any, FloatArray]:
    """Return welfare and benefit as arrays, or say which rows cannot be used."""
    given = {"welfare": welfare, "benefit": benefit}
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in given.items() if values is not None}
    for name, values in arrays.items():
        if len(values) != n:
            raise ValueError(f"{name} must be of the length of y, got {len(values)} and {n}")
        wrong = ~np.isfinite(values) if name == "welfare" and any_sign else ~(np.isfinite(values) & (values > 0))
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"{name} is missing or not above 0 in {int(wrong.sum())} rows (first: row {first}, {values[first]}); "
                "leave these rows out, or set a floor (say 0.05 of the line) and say so"
            )
    return arrays.get("welfare"), arrays.get("benefit", np.ones(n))
