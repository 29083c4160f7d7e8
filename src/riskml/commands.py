"""What the subcommands do: a few library calls each, with files before and after."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskml.assist import match_assistance, read_measures
from riskml.baselines import rivals
from riskml.causes import CAUSES
from riskml.datasets import make_monitoring
from riskml.explain import explain
from riskml.files import read_table, replacing, write_table
from riskml.findings import DataRefused, ModelRefused, language
from riskml.metrics import evaluate
from riskml.model import RiskClassifier
from riskml.panel import backtest_sets, cohort, feature_table, training_dates, training_set
from riskml.reading import read_monitoring, write_monitoring
from riskml.report import write_report
from riskml.store import check_fits, load_model, save_model
from riskml.tables import Monitoring
from riskml.watchlist import watchlist, watchlist_changes

Tell = Callable[[str], None]
#: Shares of the cohort that can be visited, at which lists are compared.
QUOTAS = (0.05, 0.1, 0.2)
_LIST_COLUMNS = ("household_id", "as_of_date", "area_id", "rank", "risk", *(f"points_{cause}" for cause in CAUSES))


@dataclass(frozen=True)
class Answer:
    """What a command found: plain values for ``--json``, the same in words, and tables already written."""

    values: dict[str, Any]
    text: str
