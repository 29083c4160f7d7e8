"""What a plan may use and what it must reach: budgets by source and area, capacities, floors for groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from riskml.findings import DataRefused, Finding, in_words
from riskml.planning.cells import (
    as_numbers,
    as_text,
    finding,
    read_cells,
    wrong_cells,
    wrong_columns,
    wrong_numbers,
)
from riskml.planning.eligibility import condition
from riskml.planning.measures import split_areas

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: Columns of a table of budgets and what they hold.
BUDGET_COLUMNS = {
    "source": "name of the budget, as `source` of the measures it pays for; empty: pays for any measure",
    "area_id": "code of the area whose households it is for, a prefix; empty: all",
    "amount": "currency for the period planned",
}
#: Columns of a table of floors and what they hold.
FLOOR_COLUMNS = {
    "condition": "who belongs to the group: a condition over the columns of the watchlist; empty: everybody",
    "area_id": "code of the area, a prefix; empty: all",
    "households": "at least so many households of the group get a measure; may be empty",
    "money_share": "at least this share (0 to 1) of the total budget goes to the group; may be empty",
}
#: Columns of the table of limits that comes with a plan.
LIMIT_COLUMNS = [
    "limit",
    "source",
    "measure",
    "label_en",
    "label_zh",
    "condition",
    "area_id",
    "amount",
    "used",
    "left",
    "shadow_price",
]


#: What a limit is called: kind -> English, Chinese; ``{}`` is the source, measure or condition.
LIMIT_NAMES = {
    "budget": ("budget {}", "预算{}"),
    "capacity": ("places of {}", "名额：{}"),
    "floor_households": ("at least so many households {}", "户数下限{}"),
    "floor_money": ("at least so much money {}", "资金下限{}"),
}


def limit_name(row: Mapping[Any, Any], language: str) -> str:
    """Return what a limit is about, in words.

    Parameters
    ----------
    row : mapping
        A row of ``Plan.limits``.
    language : {"en", "zh"}
        The language.

    Returns
    -------
    str
        Its kind, and its source, measure, condition and area where it has them.

    Examples
    --------
    >>> row = {"limit": "capacity", "source": "", "measure": "cash", "label_en": "Cash", "condition": ""}
    >>> limit_name({**row, "area_id": "5223"}, "en")
    'places of Cash, area 5223'
    """
    chinese = language == "zh"
    said = row["source"] or row[f"label_{language}"] or row["measure"] or row["condition"]
    name = LIMIT_NAMES[row["limit"]][chinese].format(said).strip()
    return name + (f"，地区{row['area_id']}" if chinese else f", area {row['area_id']}") if row["area_id"] else name


def read_budgets(path: str | Path) -> pd.DataFrame:
    """Read a table of budgets from a CSV file (UTF-8 or GB18030).

    Parameters
    ----------
    path : str or Path
        The file; columns as in :data:`BUDGET_COLUMNS`, of which ``amount`` must be there.

    Returns
    -------
    DataFrame
        All columns of :data:`BUDGET_COLUMNS`; ``amount`` float64, the rest text.

    Raises
    ------
    DataRefused
        If the file is not such a table; every finding is named.
    """
    return check_budgets(read_cells(path, "budgets"))


def read_floors(path: str | Path) -> pd.DataFrame:
    """Read a table of floors from a CSV file (UTF-8 or GB18030).

    Parameters
    ----------
    path : str or Path
        The file; columns as in :data:`FLOOR_COLUMNS`.

    Returns
    -------
    DataFrame
        All columns of :data:`FLOOR_COLUMNS`; numbers float64 (NaN where empty), the rest text.

    Raises
    ------
    DataRefused
        If the file is not such a table; every finding is named.
    """
    return check_floors(read_cells(path, "floors"))


def check_budgets(budget: float | Mapping[str, float] | pd.DataFrame) -> pd.DataFrame:
    """Return budgets as a table, or refuse them.

    Parameters
    ----------
    budget : float, mapping or DataFrame
        One amount for everything, amounts by source, or a table with the columns :data:`BUDGET_COLUMNS`.

    Returns
    -------
    DataFrame
        As :func:`read_budgets` gives.

    Raises
    ------
    DataRefused
        If an amount is missing or below zero, or a source and area stand twice.

    Examples
    --------
    >>> check_budgets({"health": 5000, "labour": 2000})
       source area_id  amount
    0  health          5000.0
    1  labour          2000.0
    """
    if isinstance(budget, Mapping):
        budget = pd.DataFrame({"source": list(budget), "amount": list(budget.values())})
    if not isinstance(budget, pd.DataFrame):
        budget = pd.DataFrame({"source": [""], "amount": [budget]})
    findings = list(wrong_columns(budget, "budgets", ["amount"], list(BUDGET_COLUMNS)))
    if findings:
        raise DataRefused(findings)
    text = as_text(budget, list(BUDGET_COLUMNS))
    amount = as_numbers(text, ["amount"])["amount"]
    findings = list(_budget_findings(text, amount))
    if findings:
        raise DataRefused(findings)
    return text.assign(amount=amount)


def check_floors(floors: pd.DataFrame | None) -> pd.DataFrame:
    """Return floors as a table, or refuse them.

    Parameters
    ----------
    floors : DataFrame or None
        Columns as in :data:`FLOOR_COLUMNS`; None: no floor.

    Returns
    -------
    DataFrame
        As :func:`read_floors` gives.

    Raises
    ------
    DataRefused
        If a floor asks for nothing or for both, its condition cannot be read, or a number is not what it should be.
    """
    floors = pd.DataFrame(columns=list(FLOOR_COLUMNS)) if floors is None else floors
    findings = list(wrong_columns(floors, "floors", [], list(FLOOR_COLUMNS)))
    if findings:
        raise DataRefused(findings)
    text = as_text(floors, list(FLOOR_COLUMNS))
    numbers = as_numbers(text, ["households", "money_share"])
    findings = [*wrong_numbers("floors", text, numbers), *_floor_findings(text, numbers)]
    if findings:
        raise DataRefused(findings)
    return text.assign(households=numbers["households"], money_share=numbers["money_share"])


def _budget_findings(text: pd.DataFrame, amount: pd.Series) -> Iterator[Finding]:
    if not len(text):
        yield finding("budgets", "empty_table", "", 0, "-", "the table has no budget", "表中没有任何预算")
    en, zh = "expected an amount of 0 or more", "应为大于等于0的金额"
    yield from wrong_cells("budgets", text, "amount", ~(amount >= 0), "negative", en, zh)
    en, zh = "a source and area stand once", "同一来源和地区只能出现一次"
    yield from wrong_cells("budgets", text, "source", text[["source", "area_id"]].duplicated(), "duplicate", en, zh)


def _floor_findings(text: pd.DataFrame, numbers: pd.DataFrame) -> Iterator[Finding]:
    for cell in text["condition"]:
        try:
            condition(cell)
        except ValueError as error:
            en, zh = f"is not a condition ({error})", f"不是可读取的条件（{error}）"
            yield finding("floors", "condition", "condition", 1, repr(cell), en, zh)
    one = numbers.notna().sum(axis=1) == 1
    en, zh = "fill in households or money_share, one of them", "请填写households或money_share之一"
    yield from wrong_cells("floors", text, "households", ~one, "not_one", en, zh)
    en, zh = "expected zero or more", "不得为负数"
    yield from wrong_cells("floors", text, "households", numbers["households"] < 0, "negative", en, zh)
    beyond = (numbers["money_share"] < 0) | (numbers["money_share"] > 1)
    en, zh = "expected a share from 0 to 1", "应为0到1之间的比例"
    yield from wrong_cells("floors", text, "money_share", beyond, "not_a_share", en, zh)


@dataclass(frozen=True)
class Limits:
    """The limits of a plan over kinds of household: all of one kind fall under the same limits.

    Attributes
    ----------
    table : DataFrame
        A row a limit: ``limit`` (``budget``, ``capacity``, ``floor_households``, ``floor_money``), ``source, measure,
        condition, area_id, amount``; floors last.
    kind : ndarray of int, shape (n_households,)
        Kind of each household.
    member : ndarray of bool, shape (n_limits, n_kinds)
        Whether a limit is about households of a kind.
    served : ndarray of bool, shape (n_kinds,)
        Whether households of a kind have a measure already, so that another one is no further household served.
    per_measure : ndarray of shape (n_limits, n_measures)
        What a measure uses of a limit; of a floor, what it adds to it.
    payable : ndarray of bool, shape (n_kinds, n_measures)
        Whether some budget pays for a measure at a household of a kind.
    """

    table: pd.DataFrame
    kind: IntArray
    member: BoolArray
    served: BoolArray
    per_measure: FloatArray
    payable: BoolArray

    def per_package(self, packages: BoolArray) -> FloatArray:
        """Return what packages use of each limit, (n_limits, n_packages); a household counts once."""
        used = self.per_measure @ packages.T.astype(np.float64)
        once = (self.table["limit"] == "floor_households").to_numpy()
        return np.where(once[:, None], np.minimum(used, 1.0), used)


def limits_of(
    need: pd.DataFrame, measures: pd.DataFrame, budgets: pd.DataFrame, floors: pd.DataFrame, served: BoolArray
) -> Limits:
    """Return the limits that budgets, capacities and floors set for these households.

    Parameters
    ----------
    need : DataFrame
        A watchlist, one row a household; ``area_id`` and columns of conditions if a limit names them.
    measures, budgets, floors : DataFrame
        As :func:`riskml.planning.measures.check_measures`, :func:`check_budgets` and :func:`check_floors` give.
    served : ndarray of bool, shape (n_households,)
        Whether a household has an approved measure.

    Returns
    -------
    Limits
        Kinds of household, and who and what falls under each limit.

    Raises
    ------
    ValueError
        If ``need`` lacks a column that a limit names, or a share of money is asked without a total budget.
    DataRefused
        If a measure names a source that no budget has.
    """
    table = _limit_table(measures, budgets, floors)
    _check_sources(measures, budgets)
    kind, member, served = _kinds(need, table, served)
    cost = measures["cost"].to_numpy()
    payers = table[table["limit"] == "budget"]
    payable = np.zeros((member.shape[1], len(measures)), dtype=bool)
    for row, source in zip(payers.index, payers["source"], strict=True):
        paid = (measures["source"] == source).to_numpy() | (source == "")
        payable |= member[row][:, None] & paid
    per_measure = np.zeros((len(table), len(measures)))
    for row, (what, source, measure) in enumerate(table[["limit", "source", "measure"]].to_numpy()):
        if what in ("budget", "floor_money"):
            per_measure[row] = np.where((measures["source"] == source) | (source == ""), cost, 0.0)
        else:
            per_measure[row] = (measures["measure"] == measure) | (what == "floor_households")
    return Limits(table, kind, member, served, per_measure, payable)


def solver_limits(
    limits: Limits, packages: BoolArray, room: FloatArray, rows: BoolArray
) -> tuple[csr_array, FloatArray]:
    """Return some limits as the solver takes them.

    Parameters
    ----------
    limits : Limits
        All limits.
    packages : ndarray of bool, shape (n_packages, n_measures)
        The measures of each package.
    room : ndarray of shape (n_limits,)
        What is left of a limit, or still to be reached of a floor.
    rows : ndarray of bool, shape (n_limits,)
        The limits wanted.

    Returns
    -------
    use : csr_array of shape (n_rows, n_kinds * n_packages)
        What a package at a kind uses, below zero for floors.
    limit : ndarray of shape (n_rows,)
        ``room``, below zero for floors.
    """
    per_package = limits.per_package(packages)
    n_kinds, n_packages = limits.member.shape[1], len(packages)
    at, column, amount = [], [], []
    signs = np.where(is_floor(limits), -1.0, 1.0)
    once = (limits.table["limit"] == "floor_households").to_numpy()
    for place, row in enumerate(np.flatnonzero(rows)):
        counted = limits.member[row] & ~(limits.served & once[row])
        kinds, used = np.flatnonzero(counted), np.flatnonzero(per_package[row])
        at.append(np.full(len(kinds) * len(used), place))
        column.append((kinds[:, None] * n_packages + used).ravel())
        amount.append(np.tile(signs[row] * per_package[row, used], len(kinds)))
    shape = (int(rows.sum()), n_kinds * n_packages)
    if not at:
        return csr_array(shape), np.empty(0)
    cells = (np.concatenate(amount), (np.concatenate(at), np.concatenate(column)))
    return csr_array(coo_array(cells, shape=shape)), (signs * room)[rows]


def is_floor(limits: Limits) -> BoolArray:
    """Return which limits are floors."""
    return limits.table["limit"].str.startswith("floor").to_numpy(dtype=bool)


def _limit_table(measures: pd.DataFrame, budgets: pd.DataFrame, floors: pd.DataFrame) -> pd.DataFrame:
    blank = dict.fromkeys(("source", "measure", "label_en", "label_zh", "condition", "area_id"), "")
    rows = [{**blank, "limit": "budget", **row} for row in budgets.to_dict("records")]
    for measure in measures.to_dict("records"):
        total = {} if np.isnan(measure["capacity"]) else {"": measure["capacity"]}
        named = {name: measure[name] for name in ("measure", "label_en", "label_zh")}
        for area, places in {**total, **split_areas(measure["capacity_by_area"])}.items():
            rows.append({**blank, "limit": "capacity", **named, "area_id": area, "amount": np.floor(places)})
    for floor in floors.to_dict("records"):
        by_number = not np.isnan(floor["households"])
        amount = np.ceil(floor["households"]) if by_number else floor["money_share"] * _total_budget(budgets)
        what = "floor_households" if by_number else "floor_money"
        who = {name: floor[name] for name in ("condition", "area_id")}
        rows.append({**blank, "limit": what, **who, "amount": amount})
    return pd.DataFrame(rows, columns=["limit", *blank, "amount"])


def _total_budget(budgets: pd.DataFrame) -> float:
    total = budgets.loc[(budgets["source"] == "") & (budgets["area_id"] == ""), "amount"]
    if len(total) != 1 or not np.isfinite(total.iloc[0]):
        raise ValueError(
            in_words(
                "a floor asks for a share of the money, but no budget is the total: give a finite budget for "
                "everything (a row with source and area_id empty), or ask for a number of households",
                "下限要求资金比例，但没有总预算：请给出一行source和area_id为空的有限预算，或改为要求户数",
            )
        )
    return float(total.iloc[0])


def _check_sources(measures: pd.DataFrame, budgets: pd.DataFrame) -> None:
    """Refuse a measure that no budget pays for: it would never be given, without a word."""
    unpaid = (measures["source"] != "") & ~measures["source"].isin(budgets["source"])
    if not (budgets["source"] == "").any():
        unpaid |= measures["source"] == ""
    known = ", ".join(repr(source) for source in budgets["source"].unique())
    en = f"no budget pays for it; the budgets are {known} ('' pays for any)"
    zh = f"没有预算支付该措施；现有预算为{known}（''表示可支付任何措施）"
    findings = list(wrong_cells("measures", measures.astype(str), "source", unpaid, "unpaid", en, zh))
    if findings:
        raise DataRefused(findings)


def _kinds(need: pd.DataFrame, table: pd.DataFrame, served: BoolArray) -> tuple[IntArray, BoolArray, BoolArray]:
    """Return the kind of each household, which limits each kind falls under, and which kinds are served already."""
    if (table["area_id"] != "").any() and "area_id" not in need:
        raise ValueError(
            in_words(
                "a limit names an area, but the list has no column area_id; `riskml score` writes it",
                "限额指定了地区，但名单没有area_id列；riskml score 会写出该列",
            )
        )
    areas = need["area_id"] if "area_id" in need else pd.Series("", index=need.index)
    code, names = pd.factorize(areas.astype(str), sort=True)
    wanted = table["area_id"].unique()
    inside = np.array([[name.startswith(prefix) for prefix in wanted] for name in names]).reshape(-1, len(wanted))
    patterns, of_area = np.unique(inside, axis=0, return_inverse=True)
    kind = np.unique(of_area.ravel()[code], return_inverse=True)[1]
    groups = [text for text in table["condition"].unique() if text]
    in_group = {text: _in_group(need, text) for text in groups}
    for inside_group in [*in_group.values(), *([served] if served.any() else [])]:
        kind = np.unique(kind * 2 + inside_group, return_inverse=True)[1]
    first = np.unique(kind, return_index=True)[1]
    by_prefix = dict(zip(wanted, patterns.T, strict=True))
    pattern = of_area.ravel()[code][first]
    member = np.ones((len(table), len(first)), dtype=bool)
    for row, (text, prefix) in enumerate(table[["condition", "area_id"]].to_numpy()):
        member[row] = by_prefix[prefix][pattern]
        if text:
            member[row] &= in_group[text][first]
    return kind.astype(np.int64), member, served[first]


def _in_group(need: pd.DataFrame, text: str) -> BoolArray:
    try:
        return condition(text)(need)
    except KeyError as error:
        known = ", ".join(str(name) for name in need)
        raise ValueError(
            in_words(
                f"floor {text!r} needs the column {error}, the list has {known}",
                f"下限{text!r}需要列{error}，名单中有{known}",
            )
        ) from error
