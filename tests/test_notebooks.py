"""Every notebook runs from its first cell to its last, without a warning, and ends with what it cannot tell."""

from __future__ import annotations

import runpy
import zlib
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
#: Notebooks that read the real panels, and how much of them is about those.
ON_REAL_DATA = {"eph": "all of it", "why": "its last part, if they are there"}
#: Of ten households of the EPH, how many the notebooks are given; ``why`` takes the first of them in any case.
OF_TEN = 3


@pytest.fixture(scope="module")
def some_of_the_survey(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of real data with some households of the EPH: what the notebooks do hangs on no size."""
    whole, folder = real_data / "eph", tmp_path_factory.mktemp("data") / "eph"
    folder.mkdir()
    for name in ("poverty_lines.csv", "adult_equivalence.csv"):
        (folder / name).write_bytes((whole / name).read_bytes())
    for name in ("households.parquet", "individuals.parquet"):
        rows = pd.read_parquet(whole / name)
        household = (rows["CODUSU"] + "-" + rows["NRO_HOGAR"].astype(str)).astype("category")
        chosen = np.array([zlib.crc32(each.encode()) % 10 < OF_TEN for each in household.cat.categories])
        rows[chosen[household.cat.codes]].to_parquet(folder / name)
    return folder.parent


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.py")))
def test_a_notebook_runs_to_its_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if name in ON_REAL_DATA:
        try:
            monkeypatch.setenv("RISKML_DATA", str(request.getfixturevalue("some_of_the_survey")))
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
