"""How many may return: the predictive distribution of counts per area, from risks and shared shocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from riskml.findings import in_words
from riskml.outlook.hierarchy import WHOLE, nodes_of, sums
from riskml.outlook.shocks import Shocks, centred_log_odds

#: Columns of :func:`area_outlook`.
OUTLOOK_COLUMNS = (
    *("level", "area_id", "households", "expected", "share"),
    *("lower_80", "upper_80", "lower_95", "upper_95", "exceeds", "probability"),
)
_COVERAGES = (80, 95)
#: Household-draws worked on at a time.
_AT_ONCE = 4_000_000


def area_outlook(
    risk: pd.DataFrame, shocks: Shocks, *, exceeds: float = 0.05, n_draws: int = 4000, random_state: int = 0
) -> pd.DataFrame:
    """Return how many households of every area may return: not only the mean, but how far it may be missed.

    Risks of single households say how many return on average. Households of an area fall together (a flood, a closed
    works, a bad year), so that the number spreads much wider around that mean than independent risks would have it.
    Here the shocks they share are drawn with what is known of their spread, and then who returns given them; the
    number in a larger area is the sum of those in its parts, draw by draw.

    Parameters
    ----------
    risk : DataFrame
        A row a household of one date: ``area_id`` and ``risk``. Everybody at risk, not only the head of a list.
    shocks : Shocks
        As :func:`riskml.learn_shocks` gives; :func:`riskml.outlook.shocks.no_shocks` for independent households.
    exceeds : float, default 0.05
        Share of households, above 0 and below 1, for ``probability``.
    n_draws : int, default 4000
        Draws, at least 200; the standard error of a probability of one half is then 0.008.
    random_state : int, default 0
        Seed.

    Returns
    -------
    DataFrame
        A row an area, larger levels first, then by code: ``level`` (``"all"`` or a name of ``shocks.levels``),
        ``area_id`` (``""`` for all), ``households``, ``expected`` (number of returns: the sum of risks), ``share``
        (of the households), ``lower_80, upper_80, lower_95, upper_95`` (number of returns: bounds of the central
        intervals, both included), ``exceeds`` as given, ``probability`` that more than this share returns.

    Raises
    ------
    ValueError
        If there is no household, a risk is not between 0 and 1, or ``exceeds`` or ``n_draws`` do not fit.

    Notes
    -----
    Counts are whole numbers, so that in small areas an interval holds more than it says. Only those at risk are
    counted: who is already below the line is not among them.

    Examples
    --------
    >>> from riskml.outlook.shocks import Shocks
    >>> risk = pd.DataFrame({"area_id": np.repeat(["0101", "0102"], 500), "risk": 0.05})
    >>> together = Shocks({"village": 4}, ((0.5, 0.3),))
    >>> area_outlook(risk, together)[["level", "households", "expected"]].round(6).values.tolist()
    [['all', 1000, 50.0], ['village', 500, 25.0], ['village', 500, 25.0]]
    """
    if not 0 < exceeds < 1:
        raise ValueError(f"area_outlook(exceeds={exceeds}): expected a share above 0 and below 1")
    draws = area_draws(risk, shocks, n_draws=n_draws, random_state=random_state)
    codes, parents = nodes_of(risk["area_id"], shocks.levels)
    names = [*reversed(list(shocks.levels)), WHOLE]
    households, expected, counts = np.ones(len(risk)), risk["risk"].to_numpy(np.float64), draws.to_numpy()
    tables = []
    for place, (level, code) in enumerate(zip(names, codes, strict=True)):
        households, expected = (sums(parents[place], part, len(code)) for part in (households, expected))
        if place:
            counts = _summed(counts, parents[place], len(code))
        tables.append(_described(level, code, households, expected, counts, exceeds))
    return pd.concat(reversed(tables), ignore_index=True)[list(OUTLOOK_COLUMNS)]


def area_draws(risk: pd.DataFrame, shocks: Shocks, *, n_draws: int = 4000, random_state: int = 0) -> pd.DataFrame:
    """Return draws of the number of returns in each smallest area; sums of rows are draws for larger areas.

    Parameters
    ----------
    risk : DataFrame
        As for :func:`area_outlook`.
    shocks : Shocks
        As for :func:`area_outlook`.
    n_draws : int, default 4000
        Draws, at least 200.
    random_state : int, default 0
        Seed. The same rows in another order give the same draws.

    Returns
    -------
    DataFrame of int32
        Indexed by ``area_id`` of the smallest level of ``shocks.levels``, sorted; a column a draw.

    Raises
    ------
    ValueError
        If there is no household, a risk is not between 0 and 1, or there are fewer than 200 draws.
    """
    _check(risk, n_draws)
    codes, parents = nodes_of(risk["area_id"], shocks.levels)
    rng = np.random.default_rng(random_state)
    spreads = np.array(shocks.spreads)
    # Every draw of the spreads is used as often as any other, but for the remainder.
    used = np.resize(rng.permutation(len(spreads)), n_draws)
    used.sort()
    shock = _drawn_shocks(spreads[used], codes, parents, rng)
    order = np.lexsort((risk["risk"].to_numpy(), parents[0]))
    sizes = np.bincount(parents[0], minlength=len(codes[0]))
    own = risk["risk"].to_numpy(np.float64)[order]
    total = np.sqrt((spreads**2).sum(axis=1))
    counts = np.empty((len(codes[0]), n_draws), dtype=np.int32)
    begins = np.concatenate([[0], np.cumsum(sizes)])
    for area in range(len(sizes)):
        mine = own[begins[area] : begins[area + 1]]
        counts[area] = _drawn_counts(mine, total, used, shock[area], rng)
    return pd.DataFrame(counts, index=pd.Index(codes[0], name="area_id"))


def most_within(households: ArrayLike, exceeds: float) -> NDArray[np.int64]:
    """Return the largest numbers of returns that do not exceed a share of the households.

    Parameters
    ----------
    households : array-like of int
        Households of areas.
    exceeds : float
        The share.

    Returns
    -------
    ndarray of int64
        Whole numbers.

    Examples
    --------
    3 of 60 do not exceed 0.05, whatever the quotient is rounded to:

    >>> most_within([50, 60], 0.05)
    array([2, 3])
    """
    return np.floor(exceeds * np.asarray(households) + 1e-9).astype(np.int64)


def _drawn_shocks(
    spreads: NDArray[np.float64], codes: list[pd.Index], parents: list[NDArray[np.int64]], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the sum of shocks of each smallest area in each draw, shape (n_areas, n_draws), the whole drawn first."""
    above = np.zeros((1, len(spreads)))
    for place in range(len(codes) - 1, -1, -1):
        spread = spreads[:, len(codes) - 1 - place]
        above = above + spread * rng.standard_normal((len(codes[place]), len(spreads)))
        if place:
            above = above[parents[place]]
    return above


def _drawn_counts(
    risk: NDArray[np.float64],
    total: NDArray[np.float64],
    used: NDArray[np.int64],
    shock: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Return drawn numbers of returns of the households of one area, given its shock in each draw."""
    counts = np.zeros(len(used), dtype=np.int32)
    drawn, of = np.unique(used, return_inverse=True)
    step = max(1, _AT_ONCE // len(used))
    for first in range(0, len(risk), step):
        part = risk[first : first + step]
        centre = np.array([centred_log_odds(part, float(total[k])) for k in drawn])
        p = expit(centre[of] + shock[:, None])
        counts += (rng.random(p.shape) < p).sum(axis=1, dtype=np.int32)
    return counts


def _summed(counts: NDArray[np.int32], parent: NDArray[np.int64], n: int) -> NDArray[np.int32]:
    total = np.zeros((n, counts.shape[1]), dtype=np.int32)
    np.add.at(total, parent, counts)
    return total


def _described(
    level: str,
    code: pd.Index,
    households: NDArray[np.float64],
    expected: NDArray[np.float64],
    counts: NDArray[np.int32],
    exceeds: float,
) -> pd.DataFrame:
    """Return the rows of one level."""
    table: dict[str, Any] = {
        "level": level,
        "area_id": code,
        "households": households.astype(np.int64),
        "expected": expected,
    }
    table |= {"share": expected / households, "exceeds": exceeds}
    for coverage in _COVERAGES:
        tails = (0.5 - coverage / 200, 0.5 + coverage / 200)
        low, high = np.quantile(counts, tails, axis=1, method="inverted_cdf")
        table |= {f"lower_{coverage}": low.astype(np.int64), f"upper_{coverage}": high.astype(np.int64)}
    within = most_within(households, exceeds)
    return pd.DataFrame(table | {"probability": (counts > within[:, None]).mean(axis=1)})


def _check(risk: pd.DataFrame, n_draws: int) -> None:
    missing = [name for name in ("area_id", "risk") if name not in risk.columns]
    if missing or risk.empty:
        raise ValueError(
            in_words(
                "an outlook needs a row a household with area_id and risk; "
                + (f"missing: {', '.join(missing)}" if missing else "there is none"),
                "展望需要每户一行，含 area_id 和 risk；" + (f"缺少：{', '.join(missing)}" if missing else "没有数据行"),
            )
        )
    wrong = ~((risk["risk"] > 0) & (risk["risk"] < 1))
    if wrong.any():
        raise ValueError(
            in_words(
                f"an outlook needs risks above 0 and below 1; {int(wrong.sum())} of {len(risk)} are not",
                f"展望需要大于0且小于1的风险；{len(risk)}行中有{int(wrong.sum())}行不符合",
            )
        )
    if n_draws < 200:
        raise ValueError(f"n_draws must be at least 200 for an interval of 95 %, got {n_draws}")
