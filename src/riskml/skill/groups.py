"""Groups of rows: those of each column, and every combination that occurs; none is left out for being small."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from riskml.findings import in_words

#: Between the columns, and the values, of a combination.
SEPARATOR = " × "
#: Group of the rows without a value.
MISSING = "missing"
#: With fewer events than this a share is not known better than to 18 points either way (1.96 / sqrt(4 x 30)).
FEW_EVENTS = 30
#: More groups than this are not a table to read.
MAX_GROUPS = 500
#: A column of numbers with more values than this is an amount, not a code of groups.
MAX_NUMBERS = 50
#: Of a table's groups in ``chosen_groups``: those that the dictionary calls sensitive.
SENSITIVE = "sensitive"


def memberships(groups: ArrayLike | pd.DataFrame | None, y: ArrayLike) -> tuple[list[tuple[str, str]], csr_array]:
    """Return the names of all groups and who is in them.

    Parameters
    ----------
    groups : array, shape (n_rows,), or DataFrame, optional
        One column, or several: then everybody comes first, then the groups of each column, of every two and so on.
        Rows without a value are the group ``missing``.
    y : array, shape (n_rows,)
        What the groups are of; where both are pandas' their indexes must be the same.

    Returns
    -------
    names : list of (by, group)
        Column (or columns, joined by :data:`SEPARATOR`) and value (or values). A column without a name is ``group``.
    members : sparse array, shape (n_groups, n_rows)
        1 where a row is in a group.

    Raises
    ------
    ValueError
        If lengths or indexes differ, there are more than :data:`MAX_GROUPS` groups or a column has more than
        :data:`MAX_NUMBERS` numbers, or a name holds the separator.
    """
    n = len(np.asarray(y))
    if isinstance(groups, pd.Series | pd.DataFrame) and isinstance(y, pd.Series) and not groups.index.equals(y.index):
        raise ValueError("groups and y are indexed differently; put them in one order first")
    if isinstance(groups, pd.DataFrame):
        columns = [groups.iloc[:, i].rename(str(name)) for i, name in enumerate(groups.columns)]
    elif groups is None:
        columns = []
    else:
        alone = pd.Series(groups) if not isinstance(groups, pd.Series) else groups
        columns = [alone.rename("group" if alone.name is None else str(alone.name))]
    if columns and len(columns[0]) != n:
        raise ValueError(f"groups must be of the length of y, got {len(columns[0])} and {n}")
    coded = [(str(column.name), *_coded(column)) for column in columns]
    names, rows, columns_of = [], [], []
    if groups is None or isinstance(groups, pd.DataFrame):
        names, rows, columns_of = [("all", "all")], [np.zeros(n, dtype=np.int64)], [np.arange(n)]
    for size in range(1, len(coded) + 1):
        for chosen in combinations(coded, size):
            code = np.zeros(n, dtype=np.int64)
            for _, own, values in chosen:
                code = code * len(values) + own
            present, place = np.unique(code, return_inverse=True)
            if len(names) + len(present) > MAX_GROUPS:
                raise ValueError(_too_many([name for name, _, _ in chosen], len(present), MAX_GROUPS))
            rows.append(place + len(names))
            columns_of.append(np.arange(n))
            names += [_named(chosen, int(number)) for number in present]
    at = (np.concatenate(rows), np.concatenate(columns_of))
    return names, csr_array((np.ones(len(at[0])), at), shape=(len(names), n))


def chosen_groups(
    names: Sequence[str], X: pd.DataFrame, people: pd.DataFrame, dictionary: pd.DataFrame
) -> pd.DataFrame:
    """Return columns to group by, of the feature table or of the cohort.

    Parameters
    ----------
    names : sequence of str
        Columns of ``X`` or ``people``; ``area_id:4`` is the first four characters of the area's code,
        ``welfare:1.25/1.5`` numbers cut at these values (below 1.25, from it to below 1.5, from 1.5 on), ``sensitive``
        every feature that the dictionary calls sensitive.
    X : DataFrame
        As :func:`riskml.feature_table` gives it.
    people : DataFrame
        As :func:`riskml.cohort` gives it, for the same rows.
    dictionary : DataFrame
        As :func:`riskml.feature_dictionary` gives it.

    Returns
    -------
    DataFrame
        One column a name, indexed as ``X``.

    Raises
    ------
    ValueError
        If a name is no column, what follows it does not fit, or nothing is sensitive.
    """
    marked = dictionary.loc[dictionary["sensitive"].eq(True), "name"]
    wanted: list[str] = []
    for name in names:
        wanted += [trait for trait in marked if trait in X] if name == SENSITIVE else [name]
    columns = {}
    for name in wanted:
        column, _, how = name.partition(":")
        table = people if column in people else X
        if column not in table:
            raise ValueError(_unknown(name, people))
        columns[name] = _in_parts(table[column], how) if how else table[column]
    if not columns:
        raise ValueError(_none_sensitive())
    return pd.DataFrame(columns, index=X.index)


def group_labels(names: Sequence[str], X: pd.DataFrame, people: pd.DataFrame, dictionary: pd.DataFrame) -> pd.Series:
    """Return one label a row: the values of all columns named, joined by :data:`SEPARATOR`.

    Parameters
    ----------
    names : sequence of str
        As in :func:`chosen_groups`; of several columns the combination is the group.
    X : DataFrame
        As in :func:`chosen_groups`.
    people : DataFrame
        As in :func:`chosen_groups`.
    dictionary : DataFrame
        As in :func:`chosen_groups`.

    Returns
    -------
    Series of str
        ``group``, indexed as ``X``; a value that is not there is ``missing``.

    Raises
    ------
    ValueError
        As in :func:`chosen_groups`, or if a column has more than :data:`MAX_NUMBERS` numbers.
    """
    columns = chosen_groups(names, X, people, dictionary)
    parts = []
    for name in columns:
        codes, texts = _coded(columns[name])
        parts.append(np.array(texts, dtype=object)[codes])
    labels = [SEPARATOR.join(values) for values in zip(*parts, strict=True)]
    return pd.Series(labels, index=X.index, name="group", dtype=object)


def _in_parts(column: pd.Series, how: str) -> pd.Series:
    """Return the beginnings of texts, or the ranges of numbers: ``<1.25``, ``1.25–1.5``, ``≥1.5``."""
    if not pd.api.types.is_numeric_dtype(column):
        if not (how.isdecimal() and int(how) > 0):
            raise ValueError(_unfit(str(column.name), how))
        return column.str[: int(how)]
    try:
        cuts = [float(cut) for cut in how.split("/")]
    except ValueError:
        raise ValueError(_unfit(str(column.name), how)) from None
    if not (np.diff(cuts) > 0).all() or not np.isfinite(cuts).all():
        raise ValueError(_unfit(str(column.name), how))
    between = [f"{low:g}–{high:g}" for low, high in pairwise(cuts)]
    labels = [f"<{cuts[0]:g}", *between, f"≥{cuts[-1]:g}"]
    return pd.cut(column, [-np.inf, *cuts, np.inf], right=False, labels=labels)


def _coded(column: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Return the place of each row's value among the sorted values, and these as text; missing last."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MAX_NUMBERS:
        raise ValueError(_too_many([str(column.name)], column.nunique(), MAX_NUMBERS))
    codes, values = pd.factorize(column, sort=True)
    texts = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values]
    if (codes < 0).any():
        codes, texts = np.where(codes < 0, len(texts), codes), [*texts, MISSING]
    for text in (str(column.name), *texts):
        if SEPARATOR in text:
            raise ValueError(f"groups: {text!r} holds {SEPARATOR!r}, which joins the names of combinations; rename it")
    return codes.astype(np.int64), texts


def _named(chosen: tuple[tuple[str, NDArray[np.int64], list[str]], ...], code: int) -> tuple[str, str]:
    said = []
    for _, _, values in reversed(chosen):
        code, own = divmod(code, len(values))
        said.append(values[own])
    return SEPARATOR.join(name for name, _, _ in chosen), SEPARATOR.join(reversed(said))


def _too_many(names: Sequence[str], count: int, most: int) -> str:
    by = SEPARATOR.join(names)
    return in_words(
        f"groups: {by} has {count:,} groups, at most {most} can be shown. Give fewer columns, or cut the numbers into "
        "ranges first (`riskml evaluate`: welfare:1.25/1.5 cuts at these values, area_id:4 takes four characters).",
        f"分组：{by}有{count:,}组，最多可显示{most}组。请减少列，或先把数值分段"
        "（riskml evaluate 中 welfare:1.25/1.5 按这些值分段，area_id:4 取编码前四位）。",
    )


def _unknown(name: str, people: pd.DataFrame) -> str:
    own = ", ".join(people.columns)
    return in_words(
        f"groups: {name!r} is no column of the feature table or of the cohort ({own}); {SENSITIVE} stands for "
        "every sensitive feature.",
        f"分组：特征表和监测范围（{own}）中都没有“{name}”；{SENSITIVE} 表示所有敏感特征。",
    )


def _unfit(name: str, how: str) -> str:
    return in_words(
        f"groups: {name}:{how} cannot be read. Text is cut to its first characters (area_id:4), numbers at values that "
        "rise (welfare:1.25/1.5).",
        f"分组：无法识别 {name}:{how}。文本可取前几位（area_id:4），数值按递增的分界值分段（welfare:1.25/1.5）。",
    )


def _none_sensitive() -> str:
    return in_words(
        "groups: no column to group by (no feature of these data is marked sensitive)",
        "分组：没有可用的列（这些数据没有标为敏感的特征）",
    )
