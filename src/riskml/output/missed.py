"""Who is missed by a list, said by name: the table of errors by group as sentences, English and Chinese."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal

import numpy as np
import pandas as pd

from riskml.explanation.wording import format_value, phrase
from riskml.skill.groups import FEW_EVENTS, MISSING, SEPARATOR

_COHORT = {
    "area_id": ("area", "地区"),
    "welfare": ("income in poverty lines", "收入（贫困线倍数）"),
    "weight": ("survey weight", "抽样权重"),
}


def who_is_missed(
    errors: pd.DataFrame, *, dictionary: pd.DataFrame | None = None, language: Literal["en", "zh"] = "en"
) -> list[str]:
    """Return a sentence a group: how many of its returns the list misses, how surely, and beside everybody.

    Parameters
    ----------
    errors : DataFrame
        As :func:`riskml.targeting_errors` gives it; of a table of groups it holds everybody as well. Groups of a column
        without a name stand in the sentence as they are: call them ``households without a worker``.
    dictionary : DataFrame, optional
        As :func:`riskml.feature_dictionary` gives it: a column found there is called by its label, its values get
        their unit.
    language : {"en", "zh"}, default "en"
        Language of the sentences.

    Returns
    -------
    list of str
        In the order of the table, none left out: a group without returns says so, one with few says that too. A
        difference is called more or fewer only where the interval of the group lies beyond the value of everybody.

    Raises
    ------
    ValueError
        If the language is another.

    Examples
    --------
    >>> from riskml import targeting_errors
    >>> head = pd.DataFrame({"head": ["man"] * 50 + ["woman"] * 50})
    >>> for sentence in who_is_missed(targeting_errors([1] * 100, range(100), quota=30, groups=head)):
    ...     print(sentence)
    Of 100 returns the list misses 70 (70%).
    Of 50 returns among households (head: man) the list misses 50 (100%), against 70% in all.
    Of 50 returns among households (head: woman) the list misses 20 (40%), against 70% in all.
    """
    if language not in ("en", "zh"):
        raise ValueError(f"who_is_missed(language={language!r}): expected 'en' or 'zh'")
    known = {} if dictionary is None else dictionary.set_index("name").to_dict("index")
    everybody = errors.loc[errors["by"] == "all", "exclusion_error"]
    overall = float(everybody.iloc[0]) if len(everybody) else np.nan
    sentence = _chinese if language == "zh" else _english
    return [sentence(row, _who(row, known, language), overall) for row in errors.to_dict("records")]


def _who(row: dict[Hashable, Any], known: dict[Hashable, Any], language: str) -> str:
    """Return the group in words; empty for everybody."""
    if row["by"] in ("all", "group"):
        return "" if row["by"] == "all" else str(row["group"])
    pairs = zip(row["by"].split(SEPARATOR), row["group"].split(SEPARATOR), strict=True)
    said = [_named(column, value, known)[language == "zh"] for column, value in pairs]
    return f"住户（{'，'.join(said)}）" if language == "zh" else f"households ({', '.join(said)})"


def _named(column: str, value: str, known: dict[Hashable, Any]) -> tuple[str, str]:
    """Return a column and a value of it in words, English and Chinese."""
    name, _, how = column.partition(":")
    feature = known.get(name)
    if feature is not None and not how and (value == MISSING or _is_number(value)):
        number = np.nan if value == MISSING else float(value)
        return phrase(column, number, feature["label_en"], feature["label_zh"], feature["unit"])
    labels = _COHORT.get(name, (name, name)) if feature is None else (feature["label_en"], feature["label_zh"])
    said = [format_value(np.nan, "", code) if value == MISSING else value for code in ("en", "zh")]
    more = "..." if name == "area_id" and how and value != MISSING else ""
    return f"{labels[0]}: {said[0]}{more}", f"{labels[1]}：{said[1]}{more}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).removeprefix("-").isdecimal()


def _english(row: dict[Hashable, Any], who: str, overall: float) -> str:
    among = f" among {who}" if who else ""
    if row["events"] == 0:
        return f"None of the {row['n']:,} {who or 'households'} returned: what the list would miss is not known."
    where = f" ({_share(row, ' with survey weights')}{_between(row, ', interval {:.0f}-{:.0f}%')})"
    returns = "1 return" if row["events"] == 1 else f"{row['events']:,} returns"
    said = f"Of {returns}{among} the list misses {_count(row['missed'], 'about ')}{where}"
    if who and not np.isnan(overall):
        said += f", {_beside(row, overall, ('more than', 'fewer than', 'against'))} {overall:.0%} in all"
    few = f" Fewer than {FEW_EVENTS} returns: read the interval, not the share." if row["few_events"] else ""
    return f"{said}.{few}"


def _chinese(row: dict[Hashable, Any], who: str, overall: float) -> str:
    among = f"{who}的" if who else ""
    if row["events"] == 0:
        return f"{who or '住户'}共{row['n']:,}户，无人返贫：名单会漏掉多少无从得知。"
    where = f"（{_share(row, '，按抽样权重')}{_between(row, '，区间{:.0f}%–{:.0f}%')}）"
    said = f"{among}{row['events']:,}起返贫中，名单漏掉{_count(row['missed'], '约')}起{where}"
    if who and not np.isnan(overall):
        said += f"，{_beside(row, overall, ('高于全体的', '低于全体的', '全体为'))}{overall:.0%}"
    few = f"返贫不足{FEW_EVENTS}起：请看区间，不要只看比例。" if row["few_events"] else ""
    return f"{said}。{few}"


def _count(missed: float, about: str) -> str:
    """Return a number of returns; ties at the list's end make it an expectation."""
    if abs(missed - round(missed)) < 1e-6:
        return f"{missed:,.0f}"
    return f"{about}{missed:,.1f}" if missed < 10 else f"{about}{missed:,.0f}"


def _share(row: dict[Hashable, Any], weighted: str) -> str:
    """Return the share missed, and say so where weights make it another than that of the rows."""
    apart = abs(row["missed"] / row["events"] - row["exclusion_error"]) > 0.005
    return f"{row['exclusion_error']:.0%}{weighted if apart else ''}"


def _between(row: dict[Hashable, Any], words: str) -> str:
    lower, upper = row["exclusion_error_lower"], row["exclusion_error_upper"]
    return "" if np.isnan(lower) else words.format(100 * lower, 100 * upper)


def _beside(row: dict[Hashable, Any], overall: float, words: tuple[str, str, str]) -> str:
    if row["exclusion_error_lower"] > overall:
        return words[0]
    return words[1] if row["exclusion_error_upper"] < overall else words[2]
