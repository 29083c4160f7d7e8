"""Areas within areas: the levels that the codes of areas name, and who belongs to which area of a level."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from riskml.findings import in_words

#: Levels of official area codes (GB/T 2260 and the statistical codes below it): characters of the code.
OFFICIAL_LEVELS = {"province": 2, "prefecture": 4, "county": 6, "township": 9, "village": 12}

#: Name of the level that holds everybody.
WHOLE = "all"


def found_levels(area_id: ArrayLike) -> dict[str, int]:
    """Return the levels of the official codes that tell these areas apart, largest areas first.

    A level is left out where it names no more areas than the one above it: a single county has no level ``county``
    beside that of everybody.

    Parameters
    ----------
    area_id : array-like of str
        Codes of areas.

    Returns
    -------
    dict of str to int
        Name of the level to the characters of its code. Codes that are not of an official length have one more level,
        ``area``: the whole code.

    Examples
    --------
    >>> found_levels(["990121100201", "990121100202", "990121101201"])
    {'township': 9, 'village': 12}
    >>> found_levels(["0102", "0103", "4001"])
    {'province': 2, 'prefecture': 4}
    >>> found_levels(["north", "south"])
    {'area': 5}
    """
    codes = np.unique(np.asarray(area_id, dtype=str))
    longest = max((len(code) for code in codes), default=0)
    levels = {name: length for name, length in OFFICIAL_LEVELS.items() if length <= longest}
    if longest not in OFFICIAL_LEVELS.values():
        levels = {"area": longest}
    kept, n_above = {}, 1
    for name, length in levels.items():
        n = len({code[:length] for code in codes})
        if n > n_above:
            kept[name], n_above = length, n
    return kept


def checked_levels(levels: Mapping[str, int]) -> dict[str, int]:
    """Return levels as they are, or say what is wrong with them.

    Parameters
    ----------
    levels : mapping of str to int
        Name to characters of the code.

    Returns
    -------
    dict of str to int
        The same.

    Raises
    ------
    ValueError
        If lengths are not whole, positive and ascending, or a level has the name of that of everybody.
    """
    lengths = list(levels.values())
    if any(length < 1 for length in lengths) or sorted(set(lengths)) != lengths or WHOLE in levels:
        raise ValueError(
            in_words(
                f"levels of areas {dict(levels)}: expected names (not '{WHOLE}') with ascending numbers of characters "
                "of the code, largest areas first, as county:6,township:9,village:12",
                f"地区层级{dict(levels)}：应为名称（不能是“{WHOLE}”）和递增的代码位数，先大后小，"
                "例如 county:6,township:9,village:12",
            )
        )
    return dict(levels)


def nodes_of(area_id: pd.Series, levels: Mapping[str, int]) -> tuple[list[pd.Index], list[NDArray[np.int64]]]:
    """Return the areas of every level, smallest first, and for each area the place of its parent a level up.

    Parameters
    ----------
    area_id : Series of str
        Codes, one a row.
    levels : mapping of str to int
        Largest areas first.

    Returns
    -------
    codes : list of Index
        Codes of the areas of a level; that of everybody, ``""``, comes last.
    parents : list of ndarray of int64
        First the place of each row's area among the smallest, then of each area's parent.
    """
    codes: list[pd.Index] = []
    parents: list[NDArray[np.int64]] = []
    below = pd.Index(area_id.astype(str))
    for length in [*reversed(list(levels.values())), 0]:
        place, found = pd.factorize(below.str[:length], sort=True)
        parents.append(place.astype(np.int64))
        codes.append(pd.Index(found))
        below = codes[-1]
    return codes, parents


def sums(place: NDArray[np.int64], values: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return the sums of values that belong to the same of ``n`` areas.

    Parameters
    ----------
    place : ndarray of int64
        The area of each value.
    values : array-like of float
        Values.
    n : int
        Number of areas.

    Returns
    -------
    ndarray of float64, shape (n,)
        Sums; 0 for an area without value.
    """
    return np.asarray(np.bincount(place, np.asarray(values, dtype=np.float64), n), dtype=np.float64)


def level_label(level: str, language: str) -> str:
    """Return what a level is called; names of one's own are left as they are.

    Parameters
    ----------
    level : str
        Name of a level, or ``"all"``.
    language : {"en", "zh"}
        Language.

    Returns
    -------
    str
        Its name.
    """
    return _LABELS.get(level, (level, level))[language == "zh"]


_LABELS = {
    WHOLE: ("all", "全部"),
    "province": ("province", "省"),
    "prefecture": ("prefecture", "市"),
    "county": ("county", "县"),
    "township": ("township", "乡镇"),
    "village": ("village", "村"),
    "area": ("area", "地区"),
}
