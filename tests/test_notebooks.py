"""Every notebook runs from its first cell to its last, without a warning, and ends with what it cannot tell."""

from __future__ import annotations

import functools
import runpy
from collections.abc import Iterator
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest

import riskml as rk

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
#: Notebooks that read the real panels, and how much of them is about those.
ON_REAL_DATA = {"eph": "all of it", "why": "its last part, if they are there"}


@pytest.fixture(scope="module", autouse=True)
def _survey_read_once() -> Iterator[None]:
    """Let the notebooks that read the survey share it; none of them changes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rk.datasets, "load_eph", functools.cache(rk.datasets.load_eph))
        yield


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.py")))
def test_a_notebook_runs_to_its_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if name in ON_REAL_DATA:
        try:
            monkeypatch.setenv("RISKML_DATA", str(request.getfixturevalue("real_data")))
        except pytest.skip.Exception:
            if ON_REAL_DATA[name] == "all of it":
                raise
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(NOTEBOOKS / f"{name}.py"), run_name="__main__")
    plt.close("all")


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.py")))
def test_a_notebook_opens_with_its_question_in_two_languages_and_ends_with_its_limits(name: str) -> None:
    cells = jupytext.read(NOTEBOOKS / f"{name}.py")["cells"]
    words = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
    assert "中文摘要" in words[0]
    assert "?" in "".join(words[:2])
    assert "cannot" in words[-1]
