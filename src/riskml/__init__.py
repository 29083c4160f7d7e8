"""Tell early, honestly and explainably which households are about to fall back into poverty."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: Public name -> module that holds it; loaded on first use, so that ``import riskml`` is instant.
_HOME = {
    "read_monitoring": "tables.reading",
    "write_monitoring": "tables.reading",
    "Monitoring": "tables.monitoring",
    "DataRefused": "findings",
    "ModelRefused": "findings",
    "feature_table": "features.panel",
    "feature_dictionary": "features.dictionary",
    "STANDARD": "features.standard",
    "Window": "features.declarations",
    "Spell": "features.declarations",
    "Roster": "features.declarations",
    "Latest": "features.declarations",
    "Season": "features.declarations",
    "Derived": "features.declarations",
    "Custom": "features.declarations",
    "audit_features": "features.audit",
    "cohort": "features.panel",
    "outcome_labels": "features.outcomes",
    "outcome_welfare": "features.outcomes",
    "observed_to_horizon": "features.outcomes",
    "OfficialStatus": "features.outcomes",
    "Deprivation": "features.deprivation",
    "Indicator": "features.deprivation",
    "deprivation_table": "features.deprivation",
    "adjusted_headcount": "features.deprivation",
    "running_support": "features.assistance",
    "censoring_weights": "features.censoring",
    "effective_sample_size": "features.censoring",
    "training_set": "features.panel",
    "training_dates": "features.panel",
    "backtest_sets": "features.panel",
    "TemporalSplit": "features.split",
    "temporal_train_test_split": "features.split",
    "RiskClassifier": "model.classifier",
    "with_refits": "model.refits",
    "fit_net": "model.net",
    "net_risk": "model.net",
    "tune": "model.tuning",
    "Tuning": "model.tuning",
    "recalibrate": "model.recalibration",
    "shift_base_rate": "model.recalibration",
    "explain": "explanation.contributions",
    "Explanation": "explanation.contributions",
    "points_in_reach": "explanation.reach",
    "cause_stability": "explanation.stability",
    "risk_history": "explanation.history",
    "data_used": "explanation.used",
    "explain_change": "explanation.change",
    "Change": "explanation.change",
    "targeting_errors": "skill.targeting",
    "targeting_summary": "skill.benefits",
    "targeting_curve": "skill.targeting",
    "concentration_curve": "skill.benefits",
    "decision_curve": "skill.decision",
    "lead_time": "skill.lead_time",
    "lead_time_summary": "skill.lead_time",
    "calibration_table": "skill.metrics",
    "evaluate": "skill.metrics",
    "learn_shocks": "outlook.shocks",
    "Shocks": "outlook.shocks",
    "area_outlook": "outlook.areas",
    "backtest_predictions": "outlook.backtests",
    "backtest_outlooks": "outlook.backtests",
    "alarms": "outlook.alarms",
    "alarm_table": "outlook.alarms",
    "tile_map": "output.maps",
    "estimate_effects": "effects.estimate",
    "policy_value": "effects.policy",
    "match_assistance": "planning.assist",
    "read_measures": "planning.measures",
    "Scenario": "outlook.scenario",
    "read_scenario": "outlook.scenario",
    "apply_scenario": "outlook.scenario",
    "stress": "outlook.stress",
    "Stress": "outlook.stress",
    "who_is_missed": "output.missed",
    "assistance_cliff": "output.cliff",
    "go_and_look": "output.certainty",
    "watchlist": "output.watchlists",
    "watchlist_changes": "output.watchlists",
    "write_report": "output.report",
    "write_letter": "output.letter",
    "drift_table": "model.drift",
    "save_model": "model.store",
    "load_model": "model.store",
}

#: Modules that are public as such.
_MODULES = ("datasets", "spark")

__all__ = ["__version__", *_MODULES, *_HOME]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"riskml.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"riskml.{_HOME[name]}"), name)
    raise AttributeError(f"module 'riskml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
