"""The whole story on a simulated county: ``riskml demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from riskml.assist import match_assistance
from riskml.backtest import compare, fit_model
from riskml.commands import N_CARDS, Answer, Tell, evidence_of, features_on, figures_text, in_words, ranked, records
from riskml.datasets import make_monitoring
from riskml.files import replacing, write_table
from riskml.findings import language
from riskml.measures import example_measures
from riskml.panel import backtest_sets, training_dates, training_set
from riskml.reading import write_monitoring
from riskml.report import write_report
from riskml.store import save_model

HORIZON_MONTHS = 12
#: Months of the simulation on which the backtest's model may learn: three quarters.
LEARNED = 0.75
#: Households that can be visited, as a share of those at risk, and money for each of them.
VISITED, MONEY = 0.1, 500.0


def tell_story(out: Path, n_households: int, n_months: int, *, seed: int, tell: Tell) -> Answer:
    """Simulate a county, learn, compare with the rivals out of time, score, explain, plan and report.

    Parameters
    ----------
    out : Path
        Folder for ``county/``, ``models/``, ``watchlist.parquet``, ``measures.csv``, ``plan.csv``, ``report.html``.
    n_households, n_months : int
        Size of the county.
    seed : int
        Of everything random.
    tell : callable
        Takes a line on how far the work is.

    Returns
    -------
    Answer
        The ten households at highest risk with reasons, and the figures beside the rivals'.

    Raises
    ------
    ValueError
        If there are too few months to learn from and to test on.
    """
    tell(in_words("simulating a county", "正在模拟一个县"))
    data = make_monitoring(n_households, n_months=n_months, random_state=seed)
    write_monitoring(data, out / "county")
