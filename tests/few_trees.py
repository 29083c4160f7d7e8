"""A preset of few trees, for tests of what goes before and after learning: commands, files, stores, words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from riskml.model.classifier import RiskClassifier

#: One thread: on so few rows two wait for one another longer than they work.
FEW_TREES = {"n_estimators": 60, "learning_rate": 0.1, "n_jobs": 1}


@contextmanager
def few_trees() -> Iterator[None]:
    """Let models whose number of trees nobody states learn a tenth of the usual number, in steps that are longer."""
    defaults = RiskClassifier.__init__.__kwdefaults__
    assert defaults["n_estimators"] == 600, "the preset has changed: is a tenth still few, and a tenth of its steps?"
    before = {name: defaults[name] for name in FEW_TREES}
    defaults.update(FEW_TREES)
    try:
        yield
    finally:
        defaults.update(before)
