"""Scores of the skill benchmark, kept in a folder: what was computed once for the same rows and model is not again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import os
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from cases import Case
from rivals import Rival

import riskml.model
from riskml.features.dictionary import feature_dictionary
from riskml.features.standard import STANDARD
from riskml.skill.backtest import fit_model

RISKML, TRUTH = "riskml", "true risk"
#: What riskml learns of the training rows.
LEARNED = ["returned", "outcome_welfare"]


@dataclass(frozen=True)
class Score:
    """Scores of the test rows, and what learning and scoring took: seconds on the clock and of this process's CPU."""

    risk: pd.Series
    wall_seconds: float
    cpu_seconds: float


def all_scores(case: Case, name: str, rivals: Mapping[str, Rival], folder: Path) -> dict[str, Score]:
    """Return the scores of riskml and the rivals, computing those that the folder does not hold.

    Nothing here reads a test outcome. A file is named after the case, the model and a hash of all the scores depend on:
    training rows and outcomes, test rows, and the model's own code, settings and version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = _rows(case)
    scores = {}
    for model, rival in {RISKML: None, **rivals}.items():
        identity = _riskml(case) if rival is None else rival.identity
        digest = hashlib.sha256(f"{rows}\n{identity}".encode()).hexdigest()[:16]
        path = folder / f"{_slug(name)}.{_slug(model)}.{digest}.npz"
        if not path.exists():
            _keep(path, case, rival)
        with np.load(path) as kept:
            risk = pd.Series(kept["risk"], index=case.X_test.index, name="risk")
            scores[model] = Score(risk, float(kept["wall_seconds"]), float(kept["cpu_seconds"]))
    return scores


def _keep(path: Path, case: Case, rival: Rival | None) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    if rival is None:
        outcome = {"horizon_months": case.horizon_months, "rule": "at_horizon", "net_of_assistance": False}
        model = fit_model(case.data, case.X_train, case.labels[LEARNED], outcome=outcome)
        risk = model.predict_risk(case.X_test).to_numpy()
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what other packages say of their own ways
            risk = rival.learn(case.X_train, case.y_train, case.X_test, **rival.settings)
    # Written under another name first: a benchmark that was killed leaves no half a file.
    unfinished = path.with_name(f".{os.getpid()}.npz")
    np.savez(unfinished, risk=risk, wall_seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu)
    unfinished.replace(path)


def _riskml(case: Case) -> str:
    """Return the fingerprint of riskml's model: its code, what decided the outcomes, meanings of features, LightGBM."""
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(riskml.model.__path__[0]).glob("*.py"))]
    dictionary = feature_dictionary((*STANDARD, *case.data.features)).to_csv()
    version = importlib.metadata.version("lightgbm")
    welfare = hashlib.sha256(case.labels["outcome_welfare"].to_numpy().tobytes()).hexdigest()
    return "\n".join([*code, inspect.getsource(fit_model), dictionary, version, str(case.horizon_months), welfare])


def _rows(case: Case) -> str:
    """Return a hash of training rows and outcomes and of the test rows."""
    digest = hashlib.sha256()
    for X in (case.X_train, case.X_test):
        digest.update("\n".join(X.columns).encode())
        digest.update(pd.util.hash_pandas_object(X.index.to_frame(index=False), index=False).to_numpy().tobytes())
        digest.update(np.ascontiguousarray(X.to_numpy(dtype=np.float64)).tobytes())
    digest.update(case.y_train.to_numpy(dtype=np.float64).tobytes())
    return digest.hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name)
