"""What every test shares: single-threaded engines under pytest-xdist, and where the real data are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two workers with two threads each wait for one another on two cores; set before LightGBM and numba are loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.pop("RISKML_LANG", None)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real panels (``RISKML_DATA``), or skip the test where it is absent."""
    folder = Path(os.environ.get("RISKML_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set RISKML_DATA")
    return folder
