"""What a function brings along besides its arguments: tables it closes over, names of its module, attributes.

A function can only be given what was known, but nothing stops it from holding the full tables. So an audit looks for
tables within its reach, and puts others in their place.
"""

from __future__ import annotations

import copy
import functools
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskml.tables.monitoring import Monitoring

#: Collections up to this length pass for settings (bounds of classes, weights), not for data.
_FEW = 30
#: Where the code of others lies, which is not looked into.
_OTHERS = (
    *(sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]),
)


def tables_held(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield the tables within a function's reach, each under the name the function knows it by.

    Parameters
    ----------
    function : callable
        Plain function, partial, method or object that can be called. Functions it calls by name are followed; those
        of libraries, and what classes hold, are not.

    Yields
    ------
    name : str
        Name, or path of names (``tables.medical``).
    table : Monitoring, DataFrame, Series, ndarray or collection of more than 30
        The table.
    """
    found: dict[int, tuple[str, Any]] = {}

    def note(name: str, table: Any) -> Any:
        """Remember a table and leave it in its place."""
        found.setdefault(id(table), (name, table))
        return table

    _rebuilt("", function, note, {})
    yield from found.values()


def is_dated(table: Any) -> bool:
    """Return whether a table says itself what was known when: monitoring data, or a frame with ``known_on``."""
    return isinstance(table, Monitoring) or (isinstance(table, pd.DataFrame) and "known_on" in table)


def with_tables(function: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the same function with other tables in its reach.

    Parameters
    ----------
    function : callable
        As in :func:`tables_held`.
    change : callable
        Takes a table and returns what the function finds in its place.

    Returns
    -------
    callable
        A copy; the function given is not touched.
    """
    return _rebuilt("", function, lambda _, table: change(table), {})


def _rebuilt(name: str, value: Any, change: Callable[[str, Any], Any], seen: dict[int, Any]) -> Any:
    """Return a value with the tables in it changed."""
    if id(value) in seen:
        return seen[id(value)]
    if _is_table(value):
        return change(name, value)

    def inside(part: Any, key: object) -> Any:
        return _rebuilt(f"{name}.{key}" if name else str(key), part, change, seen)

    if isinstance(value, dict):
        return {key: inside(part, key) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(inside(part, i) for i, part in enumerate(value))
    if isinstance(value, functools.partial):
        named = {key: inside(part, key) for key, part in value.keywords.items()}
        return functools.partial(
            inside(value.func, "func"), *(inside(part, i) for i, part in enumerate(value.args)), **named
        )
    if isinstance(value, types.MethodType):
        return types.MethodType(inside(value.__func__, "self"), inside(value.__self__, "self"))
    if isinstance(value, types.FunctionType) and _is_users(value.__module__):
        return _rebuilt_function(value, inside, seen)
    if callable(value) and isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
        return inside(value.__wrapped__, "wrapped")  # what lru_cache remembers is asked anew
    if (
        hasattr(value, "__dict__")
        and not isinstance(value, type | types.ModuleType)
        and _is_users(type(value).__module__)
    ):
        seen[id(value)] = other = copy.copy(value)
        vars(other).update({key: inside(part, key) for key, part in vars(value).items()})
        return other
    return value


def _is_table(value: Any) -> bool:
    if isinstance(value, dict | list | tuple | set | frozenset):
        return len(value) > _FEW
    return isinstance(value, Monitoring | pd.DataFrame | pd.Series) or (
        isinstance(value, np.ndarray) and value.size > _FEW
    )


def _rebuilt_function(
    function: types.FunctionType, inside: Callable[[Any, object], Any], seen: dict[int, Any]
) -> types.FunctionType:
    code, held = function.__code__, function.__closure__ or ()
    scope, cells = dict(function.__globals__), tuple(types.CellType() for _ in held)
    # Known before it is complete: a function that calls itself finds the copy.
    seen[id(function)] = rebuilt = types.FunctionType(code, scope, function.__name__, None, cells)
    for name in _names(code) & set(scope):
        scope[name] = inside(scope[name], name)
    for name, cell, other in zip(code.co_freevars, held, cells, strict=True):
        if cell != types.CellType():  # not empty
            other.cell_contents = inside(cell.cell_contents, name)
    rebuilt.__defaults__ = inside(function.__defaults__, "default")
    rebuilt.__kwdefaults__ = inside(function.__kwdefaults__, "default")
    rebuilt.__dict__.update({name: inside(part, name) for name, part in vars(function).items()})
    return rebuilt


def _names(code: types.CodeType) -> set[str]:
    """Return the names a function looks up outside, those of the functions written inside it included."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_users(module: str | None) -> bool:
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    return module != "builtins" and (file is None or not file.startswith(_OTHERS))
