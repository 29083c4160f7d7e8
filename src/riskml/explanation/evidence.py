"""The records behind every cause that is named: those of its leading features, of the next ones, or what is absent.

A cause may be named because nothing happened: no job, no income for months. Then no record entered the values of its
features, and what stands behind it is the last such record before, or the day since when the office would know of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from riskml.explanation.wording import UNSPOKEN, absent
from riskml.features.records import last_rows, registrations, rows_of_each

if TYPE_CHECKING:
    from riskml.explanation.contributions import Explanation
    from riskml.features.declarations import Declaration
    from riskml.tables.monitoring import Monitoring

_KEYS = ["household_id", "as_of_date"]
#: What is known of a record.
_RECORD = ["table", "date", "end", "known_on", "column", "value", "amount"]
_ORDER = ["row", "position", "place"]
_WANTED = [*_ORDER, "cause", "feature"]


def records_of_causes(
    why: Explanation,
    data: Monitoring,
    *,
    features: Sequence[Declaration],
    n_features: int = 2,
    sensitive: bool = False,
) -> pd.DataFrame:
    """Return the records behind the causes named of every row, at least one of each cause.

    Parameters
    ----------
    why : Explanation
        Of the rows.
    data : Monitoring
        The tables the features were computed from.
    features : sequence of declarations
        Where the features are declared, beside those of the data.
    n_features : int, default 2
        Leading features a cause.
    sensitive : bool, default False
        Whether sensitive features are spelled out.

    Returns
    -------
    DataFrame
        ``household_id, as_of_date, cause, feature, table, date, end, known_on, column, value, amount, entered,
        reason_en, reason_zh``: rows in the order of ``why.X``, then of causes and features, newest record first.
    """
    leading = why._leading(3, n_features, sensitive)[_WANTED]
    named = _named(why)
    found = _behind(why, data, leading, features)
    found = pd.concat([found, _next(why, data, _without(named, found), features, sensitive)], ignore_index=True)
    bare = _without(named, found)
    unspoken = np.zeros(len(bare), dtype=bool) if sensitive else _unspoken(why, bare)
    hidden = _hidden(why, data, bare[unspoken], features)
    nothing = _nothing(why, data, _without(bare, hidden), leading, features)
    words = why._words(found["row"], found["feature"])
    found = found.assign(entered=True, reason_en=[en for en, _ in words], reason_zh=[zh for _, zh in words])
    whole = pd.concat([part for part in (found, hidden, nothing) if len(part)] or [found], ignore_index=True)
    whole = whole.sort_values([*_ORDER, "date"], ascending=[True, True, True, False], kind="stable", ignore_index=True)
    return whole[[*_KEYS, "cause", "feature", *_RECORD, "entered", "reason_en", "reason_zh"]]


def leading_record(found: pd.DataFrame) -> pd.DataFrame:
    """Return of each cause the few records that decide what :func:`riskml.explanation.wording.when` says of all.

    Parameters
    ----------
    found : DataFrame
        As :func:`records_of_causes` gives it, with one feature a cause.

    Returns
    -------
    DataFrame
        At most five rows a household, date and cause: the first end to come, the last that is over, the largest amount,
        the newest and the oldest record.
    """
    dated = ~found["table"].isin(["members", "households"])
    found = found.assign(dated=dated).sort_values("dated", ascending=False, kind="stable")
    keys = [*_KEYS, "cause"]
    ahead = (found["end"] >= found["as_of_date"]).to_numpy()
    ends, spent = found["end"], found["amount"].where(found["table"] != "incomes")
    orders = [(ends.where(ahead), True), (ends.where(~ahead), False), (spent.astype(np.float64), False)]
    orders += [(found["date"].where(found["dated"]), ascending) for ascending in (True, False)]
    kept = [found.drop_duplicates(keys).index]
    for value, ascending in orders:
        order = value.dropna().sort_values(ascending=ascending, kind="stable").index
        kept.append(found.loc[order].drop_duplicates(keys).index)
    return found.loc[np.unique(np.concatenate(kept))].drop(columns="dated")


def _named(why: Explanation) -> pd.DataFrame:
    """Return every cause named: ``row, position, cause``."""
    causes = why.top_causes().to_numpy()
    row, position = np.nonzero(causes != "")
    return pd.DataFrame({"row": row, "position": position, "cause": causes[row, position]})


def _without(named: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return the causes named that have no record yet."""
    have = pd.MultiIndex.from_frame(found[["row", "position"]])
    return named[~pd.MultiIndex.from_frame(named[["row", "position"]]).isin(have)].reset_index(drop=True)


def _behind(why: Explanation, data: Monitoring, wanted: pd.DataFrame, features: Sequence[Declaration]) -> pd.DataFrame:
    """Return the records that entered the features wanted (``row, position, place, cause, feature``)."""
    wanted = wanted.assign(**_keys(why, wanted["row"]))
    each = {str(name): pd.MultiIndex.from_frame(rows[_KEYS]) for name, rows in wanted.groupby("feature", sort=False)}
    return _joined(wanted, [rows_of_each(data, each, features)], [*_KEYS, "feature"])


def _joined(wanted: pd.DataFrame, pieces: Sequence[pd.DataFrame], on: Sequence[str]) -> pd.DataFrame:
    """Return what is wanted with its records: no rows where there are none."""
    filled = [piece for piece in pieces if len(piece)]
    if not filled:
        return wanted.iloc[:0].assign(**{name: pd.Series(dtype=object) for name in _RECORD})
    return wanted.merge(pd.concat(filled, ignore_index=True), on=list(on), how="inner")


def _next(
    why: Explanation, data: Monitoring, bare: pd.DataFrame, features: Sequence[Declaration], sensitive: bool
) -> pd.DataFrame:
    """Return the records of the strongest feature that has some, of causes whose leading features have none.

    Where nothing raises a risk, and a cause stands for the one that lowers it least, any of its features may.
    """
    entries, pieces = why.dictionary, [bare.iloc[:0].assign(place=0, feature="")]
    for cause, mine in bare.groupby("cause"):
        spoken = (entries["cause"] == cause) & (sensitive | ~entries["sensitive"].astype(bool))
        places = np.flatnonzero(spoken)
        strength = why.values[mine["row"].to_numpy()][:, places]
        raises = (strength > 0) | (why.values[mine["row"]][:, entries["cause"] == cause].max(axis=1) <= 0)[:, None]
        pairs = mine.iloc[np.repeat(np.arange(len(mine)), len(places))].assign(
            feature=np.tile(entries["name"].to_numpy(dtype=object)[places], len(mine)),
            place=np.argsort(np.argsort(-strength, axis=1, kind="stable"), axis=1).ravel(),
        )
        pieces.append(pairs[raises.ravel()])
    some = _behind(why, data, pd.concat([piece for piece in pieces if len(piece)] or pieces[:1]), features)
    return some[some["place"] == some.groupby(["row", "position"])["place"].transform("min")]


def _unspoken(why: Explanation, bare: pd.DataFrame) -> np.ndarray:
    """Return which causes are raised by sensitive features alone."""
    raised = [_raising(why, row, cause, sensitive=False) for row, cause in _pairs(bare)]
    hidden = [_raising(why, row, cause, sensitive=True) for row, cause in _pairs(bare)]
    return np.array([not spoken and bool(secret) for spoken, secret in zip(raised, hidden, strict=True)], dtype=bool)


def _hidden(why: Explanation, data: Monitoring, bare: pd.DataFrame, features: Sequence[Declaration]) -> pd.DataFrame:
    """Return the records behind causes raised by sensitive features alone, without feature, column and value."""
    names = [_raising(why, row, cause, sensitive=True)[0] for row, cause in _pairs(bare)]
    some = _behind(why, data, bare.assign(place=0, feature=names), features)
    some = some.assign(feature="", column="", value=np.nan, amount=np.nan, entered=True)
    some = some.assign(reason_en=UNSPOKEN[0], reason_zh=UNSPOKEN[1])
    return some.drop_duplicates(["row", "position", "table", "date", "known_on"])


def _nothing(
    why: Explanation, data: Monitoring, bare: pd.DataFrame, leading: pd.DataFrame, features: Sequence[Declaration]
) -> pd.DataFrame:
    """Return the last such record before, or the registration, for causes behind which there is no record."""
    first = leading[leading["place"] == 0].set_index(["row", "position"])["feature"].to_dict()
    feature = np.array(
        [
            first.get((row, position)) or _strongest(why, row, cause)
            for row, position, cause in bare[["row", "position", "cause"]].itertuples(index=False)
        ],
        dtype=object,
    )
    bare = bare.assign(place=0, feature=feature, entered=False, **_keys(why, bare["row"]))
    index = pd.MultiIndex.from_frame(bare[_KEYS])
    names = dict.fromkeys(name for name in feature if name)
    last = [last_rows(data, index[feature == name], name, features) for name in names]
    before = _joined(bare, last, [*_KEYS, "feature"])
    since = _joined(_without(bare, before), [registrations(data, index)], _KEYS)
    said = [_said_absent(why, rows, registered) for rows, registered in ((before, False), (since, True))]
    return pd.concat([piece for piece in said if len(piece)] or said[:1], ignore_index=True)


def _said_absent(why: Explanation, rows: pd.DataFrame, registered: bool) -> pd.DataFrame:
    """Return rows with their feature in words and since when there is no such record."""
    spoken = rows["feature"] != ""
    words = iter(why._words(rows["row"][spoken], rows["feature"][spoken]))
    english, chinese = [], []
    for feature, day in zip(rows["feature"], rows["date"], strict=True):
        what, since = (next(words), absent(day, registered=registered)) if feature else (UNSPOKEN, None)
        english.append(f"{what[0]}; {since[0]}" if since else what[0])
        chinese.append(f"{what[1]}；{since[1]}" if since else what[1])
    return rows.assign(reason_en=english, reason_zh=chinese)


def _strongest(why: Explanation, row: int, cause: str) -> str:
    """Return the feature of a cause that lowers a row's risk least, empty where a sensitive one raises it."""
    if _raising(why, row, cause, sensitive=True):
        return ""
    names, causes, secret = _entries(why)
    places = np.flatnonzero((causes == cause) & ~secret)
    return str(names[places[why.values[row, places].argmax()]]) if len(places) else ""


def _raising(why: Explanation, row: int, cause: str, *, sensitive: bool) -> list[str]:
    """Return the features of a cause that raise a row's risk, sensitive or not, strongest first."""
    names, causes, secret = _entries(why)
    places = np.flatnonzero((causes == cause) & (secret == sensitive) & (why.values[row] > 0))
    return names[places[np.argsort(-why.values[row, places], kind="stable")]].tolist()


def _entries(why: Explanation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return names, causes and sensitivity of the features as plain arrays, which are asked row by row."""
    entries = why.dictionary
    return (
        entries["name"].to_numpy(dtype=object),
        entries["cause"].to_numpy(dtype=object),
        entries["sensitive"].to_numpy(dtype=bool),
    )


def _pairs(named: pd.DataFrame) -> Iterable[tuple[int, str]]:
    return zip(named["row"], named["cause"], strict=True)


def _keys(why: Explanation, rows: pd.Series) -> dict[str, pd.Index]:
    """Return household and date of rows of an explanation, as columns."""
    taken = why.X.index.take(rows.to_numpy(dtype=np.int64))
    return {name: taken.get_level_values(level) for level, name in enumerate(_KEYS)}
