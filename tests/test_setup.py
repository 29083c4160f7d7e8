"""The set-up: what `./run` does on a strange machine, what the package promises to those who install it."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate
from packaging.requirements import Requirement

import riskml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
SUPPORTED = ("3.11", "3.12", "3.13")
NEVER_PINNED = {"pip", "setuptools"}


def run(
    folder: Path, *arguments: str, path: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a copy of ./run with only what stands in ``path`` besides the system's own tools."""
    searched = f"{path}:/usr/bin:/bin" if path else os.environ["PATH"]
    return subprocess.run(
        ["/bin/sh", str(folder / "run"), *arguments],
        env={"PATH": searched, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path):
    """Return a copy of the set-up files in a folder with a space and Chinese characters."""
    folder = tmp_path / "扶贫 risk"
    folder.mkdir()
    for name in ("run", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def fake_tools(folder: Path, **scripts: str) -> Path:
    """Write shell scripts into a folder of tools; the system's own Pythons and apt-get must not answer instead."""
    tools = folder / "tools"
    tools.mkdir()
    blocked = dict.fromkeys(("python3", "python3.11", "python3.12", "python3.13", "apt-get", "sudo"), "exit 1")
    for name, script in {**blocked, **{key.replace("_", "."): text for key, text in scripts.items()}}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    return tools


def fake_python(*, version: str = "3.12", venv: bool = True, gomp: bool = True) -> str:
    """Return a script that answers the questions of ./run as a Python of that kind and makes empty environments."""
    return f"""
case "$*" in
    *sys.version_info*) echo {version}; exit {int(version not in SUPPORTED)} ;;
    *ensurepip*) exit {int(not venv)} ;;
    *libgomp*) exit {int(not gomp)} ;;
    *'-m venv'*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python"; echo "made" >>"$HOME/log" ;;
    *'-m pip'*) echo "pip" >>"$HOME/log"; [ ! -f "$HOME/offline" ] ;;
esac"""


def log(folder: Path) -> list[str]:
    return (folder / "log").read_text().split() if (folder / "log").exists() else []


def test_a_done_set_up_is_skipped_and_a_half_done_one_is_done_again(folder):
    tools = fake_tools(folder, python3=fake_python())
    (folder / "offline").touch()
    assert run(folder, "setup", path=tools).returncode != 0
    (folder / "offline").unlink()
    assert run(folder, "setup", path=tools).returncode == 0
    assert log(folder) == ["made", "pip", "made", "pip", "pip"]
    assert run(folder, "setup", path=tools).returncode == 0
    assert log(folder) == ["made", "pip", "made", "pip", "pip"]


def test_changed_requirements_bring_a_finished_environment_up_to_date_without_making_it_anew(folder):
    tools = fake_tools(folder, python3=fake_python())
    run(folder, "setup", path=tools)
    with (folder / "constraints.txt").open("a") as constraints:
        constraints.write("# changed\n")
    assert run(folder, "setup", path=tools).returncode == 0
    assert log(folder) == ["made", "pip", "pip", "pip", "pip"]


def test_no_fitting_python_is_said_and_nothing_is_made(folder):
    tools = fake_tools(folder, python3=fake_python(version="3.10"), python3_13=fake_python(version="3.14"))
    answer = run(folder, "setup", path=tools)
    assert answer.returncode == 1
    assert "Python 3.11, 3.12 or 3.13" in answer.stderr
    assert not (folder / ".venv").exists()


def test_a_python_that_can_make_environments_is_preferred(folder):
    tools = fake_tools(folder, python3_13=fake_python(version="3.13", venv=False), python3=fake_python())
    assert "Python 3.12" in run(folder, "setup", path=tools).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs system packages unasked")
def test_root_installs_what_is_missing(folder):
    apt = 'echo "$@" >>"$HOME/apt"; [ "$1" = update ] || touch "$HOME/installed"'
    python = fake_python().replace("*ensurepip*) exit 0", '*ensurepip*) [ -f "$HOME/installed" ]; exit $?')
    tools = fake_tools(folder, python3=python, **{"apt-get": apt})
    assert run(folder, "setup", path=tools).returncode == 0
    asked = (folder / "apt").read_text()
    assert "update" in asked
    assert "python3.12-venv" in asked
    assert "libgomp1" not in asked


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs system packages unasked")
def test_the_spark_test_brings_pyspark_and_java_where_they_are_missing_and_runs_alone(folder):
    python = f"""case "$*" in
    *'import pyspark'*) exec grep -q spark "$HOME/log" ;;
    *'.[spark]'*) echo spark >>"$HOME/log"; exit ;;
    *'-m pytest'*) echo "$@" >>"$HOME/tested" ;;
    *'-m ruff'*) echo "$@" >>"$HOME/linted" ;;
esac
{fake_python()}"""
    java = 'exec [ -f "$HOME/installed" ]'
    apt = 'echo "$@" >>"$HOME/apt"; [ "$1" = update ] || touch "$HOME/installed"'
    tools = fake_tools(folder, python3=python, java=java, **{"apt-get": apt})
    for _ in range(2):
        assert run(folder, "test", "spark", "-x", path=tools).returncode == 0
    assert (folder / "tested").read_text().splitlines() == ["-m pytest tests/test_spark.py -x"] * 2
    assert not (folder / "linted").exists()
    assert log(folder) == ["made", "pip", "pip", "spark"]
    assert (folder / "apt").read_text().count("default-jre-headless") == 1


def test_without_root_or_sudo_the_exact_command_is_printed(folder):
    tools = fake_tools(folder, python3=fake_python(venv=False, gomp=False), id="echo 1000")
    answer = run(folder, "setup", path=tools)
    assert answer.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends python3.12-venv libgomp1" in answer.stderr


def test_a_folder_that_is_no_environment_is_not_cleared(folder):
    precious = folder / "precious"
    precious.mkdir()
    (precious / "letter").touch()
    tools = fake_tools(folder, python3=fake_python())
    answer = run(folder, "setup", path=tools, RISKML_VENV=str(precious))
    assert answer.returncode == 1
    assert (precious / "letter").exists()


def test_an_unknown_command_is_a_usage_error(folder):
    assert run(folder, "tset").returncode == 2
    assert run(folder).returncode == 2


@pytest.mark.parametrize("shell", ["sh", "dash"])
def test_run_is_plain_posix_shell(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    for script in ("run", ".ci/run"):
        subprocess.run([shell, "-n", str(ROOT / script)], check=True)
        assert os.access(ROOT / script, os.X_OK)


def test_no_network_host_is_written_into_the_set_up():
    for name in ("run", ".ci/run", "constraints.txt", "pyproject.toml"):
        assert not re.search(r"https?://|index-url|find-links|trusted-host", (ROOT / name).read_text()), name


@pytest.mark.parametrize("python", SUPPORTED)
def test_one_version_of_every_requirement_is_pinned_for_every_python(python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    pins = [pin.name for pin in CONSTRAINTS if pin.marker is None or pin.marker.evaluate(environment)]
    assert sorted(pins) == sorted(set(pins))
    extras = [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    asked = {Requirement(text).name.lower() for text in [*PROJECT["dependencies"], *extras]}
    assert asked <= set(pins)


@pytest.mark.parametrize("python", SUPPORTED)
def test_the_pins_lie_within_the_ranges_the_package_declares(python):
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        pins = [
            pin
            for pin in CONSTRAINTS
            if pin.name == requirement.name and (pin.marker is None or pin.marker.evaluate(environment))
        ]
        assert pins, requirement
        assert next(iter(pins[0].specifier)).version in requirement.specifier, requirement


def test_everything_installed_here_for_riskml_is_pinned():
    names = {pin.name for pin in CONSTRAINTS} | NEVER_PINNED
    todo, seen = ["riskml"], set()
    while todo:
        name = todo.pop()
        seen.add(name)
        for requirement in map(Requirement, importlib.metadata.requires(name) or []):
            wanted = requirement.marker is None or requirement.marker.evaluate(
                {"extra": "test" if name == "riskml" else ""}
            )
            needed = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if wanted and needed not in seen:
                todo.append(needed)
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in seen - {"riskml"}} <= names


def test_the_core_has_at_most_13_direct_dependencies():
    assert len(PROJECT["dependencies"]) <= 13


def test_the_version_is_the_same_everywhere():
    assert riskml.__version__ == PROJECT["version"]
    assert riskml.__version__ == importlib.metadata.version("riskml")


def test_a_type_checker_finds_the_types():
    assert (Path(riskml.__file__).parent / "py.typed").exists()


def test_import_and_help_load_no_numeric_library():
    heavy = {"numpy", "pandas", "scipy", "sklearn", "lightgbm", "numba", "shap", "matplotlib", "pyarrow", "jinja2"}
    for code in (
        "import riskml",
        "from riskml.cli import main; main(['--help'])",
        "from riskml.cli import main; main([])",
    ):
        script = f"import sys\n{code}\nprint('LOADED', *sorted({heavy!r} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "LOADED"


PUBLIC = sorted(set(riskml.__all__) - {"__version__", "datasets", "spark", "STANDARD"})
#: A docstring, a summary, every parameter under its own name and in order, what is returned.
ASKED_OF_DOCSTRINGS = {"GL08", "SS01", "PR01", "PR02", "PR03", "PR10", "RT01"}


def public_methods(cls: type) -> list[str]:
    """Return the methods and properties of a class that riskml wrote, not those it inherits from others."""
    return [
        name
        for base in cls.__mro__
        if base.__module__.startswith("riskml.")
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    ]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_loaded_and_is_documented(name):
    thing = getattr(riskml, name)
    assert callable(thing)
    names = [f"riskml.{name}"]
    if inspect.isclass(thing):
        names += [f"{thing.__module__}.{name}.{method}" for method in public_methods(thing)]
    for documented in names:
        faults = [fault for fault in validate(documented)["errors"] if fault[0] in ASKED_OF_DOCSTRINGS]
        assert not faults, (documented, faults)


def test_the_standard_features_are_public():
    assert len(riskml.feature_dictionary()) == sum(len(entry.features()) for entry in riskml.STANDARD)
