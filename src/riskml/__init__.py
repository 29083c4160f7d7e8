"""Tell early, honestly and explainably which households are about to fall back into poverty."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: Public name -> module that holds it; loaded on first use, so that ``import riskml`` is instant.
_HOME = {
    "read_monitoring": "reading",
    "write_monitoring": "reading",
    "Monitoring": "tables",
    "DataRefused": "findings",
    "ModelRefused": "findings",
    "feature_table": "panel",
    "feature_dictionary": "features",
    "STANDARD": "standard",
    "Window": "features",
    "Spell": "features",
    "Roster": "features",
    "Latest": "features",
    "Derived": "features",
    "cohort": "panel",
    "outcome_labels": "panel",
    "training_set": "panel",
    "training_dates": "panel",
    "backtest_sets": "panel",
    "TemporalSplit": "split",
    "temporal_train_test_split": "split",
    "RiskClassifier": "model",
    "explain": "explanation",
    "Explanation": "explanation",
    "targeting_errors": "metrics",
    "targeting_curve": "metrics",
    "calibration_table": "metrics",
    "evaluate": "metrics",
    "match_assistance": "assist",
    "read_measures": "measures",
    "watchlist": "watchlists",
    "watchlist_changes": "watchlists",
    "write_report": "report",
    "drift_table": "drift",
    "save_model": "store",
    "load_model": "store",
}

__all__ = ["__version__", "datasets", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("riskml.datasets")
    if name in _HOME:
        return getattr(importlib.import_module(f"riskml.{_HOME[name]}"), name)
    raise AttributeError(f"module 'riskml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
