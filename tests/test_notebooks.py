"""Every notebook runs from its first cell to its last, without a warning, and ends with what it cannot tell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
#: Notebooks that need the real panels.
ON_REAL_DATA = {"eph"}


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.py")))
def test_a_notebook_runs_to_its_end(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONWARNINGS": "error"}
    if name in ON_REAL_DATA:
        environment["RISKML_DATA"] = str(request.getfixturevalue("real_data"))
    done = subprocess.run(
        [sys.executable, str(NOTEBOOKS / f"{name}.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.py")))
def test_a_notebook_opens_with_its_question_in_two_languages_and_ends_with_its_limits(name: str) -> None:
    cells = jupytext.read(NOTEBOOKS / f"{name}.py")["cells"]
    words = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
    assert "中文摘要" in words[0]
    assert "?" in "".join(words[:2])
    assert "cannot" in words[-1]
