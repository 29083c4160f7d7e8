"""Who may get a measure: a condition such as ``points_illness >= 0.02 and not (risk < 0.05)``, read without ``eval``.

``condition = clause ("or" clause)*``, ``clause = term ("and" term)*``,
``term = "not" term | "(" condition ")" | comparison``,
``comparison = column operator value`` with ``== != < <= > >=`` and a number or a quoted text as value.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
_Test = Callable[[pd.DataFrame], BoolArray]


def condition(text: str) -> Callable[[pd.DataFrame], BoolArray]:
    """Read a condition.

    Parameters
    ----------
    text : str
        The condition over the columns of a table; empty: everybody.

    Returns
    -------
    callable
        Takes a DataFrame, returns a bool array with one entry a row. Where a value is missing, or a number is
        compared with text, a comparison is false: who is not known to be eligible is not.

    Raises
    ------
    ValueError
        If the text is not a condition. The callable raises ``KeyError`` for a column the table does not have.

    Examples
    --------
    >>> table = pd.DataFrame({"risk": [0.2, 0.04], "area_id": ["5223", "5224"]})
    >>> condition("risk >= 0.1 or area_id == '5224'")(table).tolist()
    [True, True]
    >>> condition("not risk >= 0.1")(table).tolist()
    [False, True]
    """
    reader = _Reader(_tokens(text), text)
    if not reader.tokens:
        return lambda table: np.ones(len(table), dtype=bool)
    test = reader.either(depth=0)
    if reader.tokens:
        raise reader.wrong("'and', 'or' or the end")
    return test


_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>==|!=|<=|>=|<|>|\(|\))|(?P<word>[^\W\d]\w*))"
)
_OPERATORS: dict[str, Callable[[pd.Series, object], pd.Series]] = {
    "==": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,  # type: ignore[operator]
    "<=": lambda column, value: column <= value,  # type: ignore[operator]
    ">": lambda column, value: column > value,  # type: ignore[operator]
    ">=": lambda column, value: column >= value,  # type: ignore[operator]
}
#: Deeper brackets than anybody writes, far from Python's own limit.
_MAX_DEPTH = 50


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{text!r}: cannot read {text[position:].strip()[:20]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    return found


def _compare(name: str, operator: str, value: float | str) -> _Test:
    def test(table: pd.DataFrame) -> BoolArray:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column) == isinstance(value, str):
            return np.zeros(len(table), dtype=bool)
        return (_OPERATORS[operator](column, value) & column.notna()).to_numpy(dtype=bool)

    return test


class _Reader:
    """The tokens not yet read, and one method per rule of the grammar."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self.tokens = tokens
        self.text = text

    def either(self, depth: int) -> _Test:
        tests = [self.both(depth)]
        while self.take("or"):
            tests.append(self.both(depth))
        return lambda table: np.logical_or.reduce([test(table) for test in tests])

    def both(self, depth: int) -> _Test:
        tests = [self.term(depth)]
        while self.take("and"):
            tests.append(self.term(depth))
        return lambda table: np.logical_and.reduce([test(table) for test in tests])

    def term(self, depth: int) -> _Test:
        if depth > _MAX_DEPTH:
            raise ValueError(f"{self.text[:60]!r}...: more than {_MAX_DEPTH} brackets or 'not' inside one another")
        if self.take("not"):
            test = self.term(depth + 1)
            return lambda table: ~test(table)
        if self.take("("):
            test = self.either(depth + 1)
            if not self.take(")"):
                raise self.wrong("')'")
            return test
        return self.comparison()

    def comparison(self) -> _Test:
        name = self.next("word", "a column")
        operator = self.next("sign", "one of " + " ".join(_OPERATORS))
        if operator not in _OPERATORS:
            raise ValueError(f"{self.text!r}: expected one of {' '.join(_OPERATORS)} after {name!r}, got {operator!r}")
        if self.tokens and self.tokens[0][0] == "text":
            return _compare(name, operator, self.next("text", "")[1:-1])
        return _compare(name, operator, float(self.next("number", "a number or a quoted text")))

    def take(self, word: str) -> bool:
        if self.tokens and self.tokens[0][1] == word:
            self.tokens.pop(0)
            return True
        return False

    def next(self, kind: str, expected: str) -> str:
        if not self.tokens or self.tokens[0][0] != kind or self.tokens[0][1] in ("and", "or", "not"):
            raise self.wrong(expected)
        return self.tokens.pop(0)[1]

    def wrong(self, expected: str) -> ValueError:
        got = repr(self.tokens[0][1]) if self.tokens else "the end"
        return ValueError(f"{self.text!r}: expected {expected}, got {got}")
