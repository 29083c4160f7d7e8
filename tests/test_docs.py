"""The pages say what the code says: names, files and links exist, and figures are those of code and benchmarks."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import riskml as rk
from riskml.skill.baselines import TRIGGERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = [path for folder in ("src", "tests", "benchmarks", "notebooks") for path in (ROOT / folder).rglob("*.py")]
METHOD = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")

on_every_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


def absent_names(text: str) -> list[str]:
    """Return the dotted names of the package in a text that lead nowhere."""
    names = re.findall(r"(?<![\w./])(?:riskml|rk)(?:\.[A-Za-z_]\w*)+", text)
    return [name for name in names if not exists(name.split(".")[1:])]


def exists(parts: list[str]) -> bool:
    thing, path = rk, "riskml"
    for part in parts:
        path += f".{part}"
        try:
            thing = getattr(thing, part) if hasattr(thing, part) else importlib.import_module(path)
        except ModuleNotFoundError:
            return False
    return True


def absent_files(text: str) -> list[str]:
    """Return the Python files named in a text (``split.py``, ``features/split.py``) that are nowhere."""
    names = re.findall(r"`([\w/.]+\.py)`", text)
    return [name for name in names if not any(f"/{path.relative_to(ROOT)}".endswith(f"/{name}") for path in SOURCES)]


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the relative links of a text that lead nowhere."""
    links = re.findall(r"\]\((?!https?://)([^)#\s]+)[^)]*\)", text)
    return [link for link in links if not (folder / link).exists()]


@on_every_page
def test_every_name_of_the_package_on_a_page_exists(page: Path) -> None:
    assert absent_names(page.read_text(encoding="utf-8")) == []


@on_every_page
def test_every_python_file_on_a_page_exists(page: Path) -> None:
    assert absent_files(page.read_text(encoding="utf-8")) == []


@on_every_page
def test_every_relative_link_on_a_page_leads_somewhere(page: Path) -> None:
    assert broken_links(page.read_text(encoding="utf-8"), page.parent) == []


def test_what_is_absent_is_found() -> None:
    text = "`rk.forget(data)`, `rk.Window.gone`, `riskml.features.gone`, `rk.explain(model, X)`, `riskml.tables.lines`"
    assert absent_names(text) == ["rk.forget", "rk.Window.gone", "riskml.features.gone"]
    assert absent_files("`split.py`, `features/split.py`, `model/split.py`, `plit.py`") == ["model/split.py", "plit.py"]
    text = "[a](docs/method.md), [b](docs/method.md#time), [c](docs/no.md#time), [d](https://example.org/no.md)"
    assert broken_links(text, ROOT) == ["docs/no.md"]


# --- the method notes ------------------------------------------------------------------------------------------------


def table_of(section: str) -> str:
    """Return what stands between the marks of a section of the method notes."""
    return METHOD.partition(f"<!-- {section}: begin -->\n\n")[2].partition(f"\n\n<!-- {section}: end -->")[0]


def as_table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def test_the_features_counted_in_the_method_notes_are_those_of_the_dictionary() -> None:
    dictionary = rk.feature_dictionary()
    rows = []
    for cause in [*rk.causes.CAUSES, "all"]:
        own = dictionary if cause == "all" else dictionary[dictionary["cause"] == cause]
        tables = own.groupby("table", sort=False).size()
        named = "" if cause == "all" else ", ".join(f"`{table}` {n}" for table, n in tables.items())
        rows.append([cause, len(own), *((own["direction"] == sign).sum() for sign in (1, -1, 0)), named])
    head = ["cause", "features", "more raises", "more lowers", "not known", "tables"]
    assert table_of("features") == as_table(head, rows)


def test_the_triggers_of_the_method_notes_are_those_of_the_code() -> None:
    label = rk.feature_dictionary().set_index("name")["label_en"]
    rows = [[f"`{name}`", f"{sign} {threshold:g}", label[name]] for name, sign, threshold in TRIGGERS]
    assert table_of("triggers") == as_table(["feature", "fires at", "meaning"], rows)


def test_the_random_split_of_the_method_notes_is_that_of_the_benchmark() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    measured = results.partition("<!-- random split -->\n")[2].partition("\n<!-- end of random split -->")[0]
    assert table_of("random split")
    assert measured.endswith(table_of("random split"))
