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

from riskml.assist import match_assistance, plan_summary
from riskml.backtest import compare, figures_text, fit
from riskml.causes import CAUSES
from riskml.datasets import make_monitoring
from riskml.explain import explain
from riskml.files import read_table, replacing, write_table
from riskml.findings import language
from riskml.measures import read_measures
from riskml.model import RiskClassifier
from riskml.panel import backtest_sets, feature_table, training_dates, training_set
from riskml.reading import read_monitoring, write_monitoring
from riskml.report import write_report
from riskml.store import check_fits, load_model, save_model
from riskml.tables import Monitoring
from riskml.watchlist import WATCHLIST_COLUMNS, watchlist, watchlist_changes

Tell = Callable[[str], None]
