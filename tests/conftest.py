"""What every test shares: single-threaded engines under pytest-xdist, and where the real data are."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Two workers with two threads each wait for one another on two cores; set before LightGBM and numba are loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "agg")

# On a machine that is busy with other things an example takes as long as it takes; that is no fault of what it shows.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_finish() -> None:
    """Let models of a worker learn on one thread, and collections of garbage pass over all that was loaded."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        from riskml.model.classifier import RiskClassifier

        RiskClassifier.__init__.__kwdefaults__["n_jobs"] = 1
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let messages be English, and put back the language that ``--lang`` sets, for the tests that follow."""
    monkeypatch.setenv("RISKML_LANG", "en")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real panels (``RISKML_DATA``), or skip the test where it is absent."""
    folder = Path(os.environ.get("RISKML_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set RISKML_DATA")
    return folder


@pytest.fixture(scope="module", name="few_trees")
def _few_trees() -> Iterator[None]:
    """Let the models of a module have few trees, for tests of what does not hang on how many there are."""
    from few_trees import few_trees

    with few_trees():
        yield


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Return a function that puts another text into a module, its kernels as plain Python, until the test is over."""

    def planted(module: str, right: str, wrong: str) -> None:
        home = sys.modules[f"riskml.{module}"]
        source = Path(home.__file__ or "").read_text(encoding="utf-8")
        assert right in source, f"the right text of this fault is no longer in {module}.py: {right}"
        source = source.replace(right, wrong).replace("@numba.njit(cache=True)", "")
        source = source.replace("from numba import njit", "def njit(**options):\n    return lambda function: function")
        mutant = importlib.util.module_from_spec(
            importlib.util.spec_from_loader(f"mutated_{module.replace('.', '_')}", loader=None)
        )  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, mutant.__name__, mutant)
        exec(compile(source, f"mutated {module}.py", "exec"), mutant.__dict__)
        users = [user for key, user in sys.modules.items() if key.startswith(("riskml.", "test_"))]
        for name, held in list(vars(home).items()):
            other = vars(mutant).get(name)
            if isinstance(other, types.FunctionType) and other.__module__ == mutant.__name__:
                for user in (user for user in users if vars(user).get(name) is held):
                    monkeypatch.setattr(user, name, other)
            elif isinstance(held, type) and held.__module__ == home.__name__:
                for method, its in vars(other).items():
                    changed = isinstance(its, types.FunctionType) and its.__code__ != vars(held)[method].__code__
                    if changed:
                        monkeypatch.setattr(held, method, its)
                # One class for both: a kernel compiled for the mutant's own would stay in numba's cache on disk.
                setattr(mutant, name, held)

    return planted
