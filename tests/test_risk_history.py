"""A household's risk over time: what would have been said on each day, and what came in between."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from riskml.causes import CAUSES
from riskml.datasets import make_monitoring
from riskml.explanation.history import risk_history
from riskml.features.panel import cohort, feature_table, training_dates, training_set
from riskml.model.classifier import RiskClassifier

DAYS = pd.date_range("2022-06-01", "2023-06-01", freq="MS")


@pytest.fixture(scope="module")
def county():
    data = make_monitoring(150, n_months=30, random_state=3)
    X, y = training_set(data, training_dates(data, horizon_months=6), horizon_months=6)
    return data, RiskClassifier(n_estimators=10).fit(X, y)


@pytest.fixture(scope="module")
def watched(county):
    """Return a household that was at risk on some days and not on others."""
    data, _ = county
    days = cohort(data, DAYS).groupby("household_id").size()
    return days[days == len(DAYS) // 2].index[0]


def test_each_day_has_the_risk_that_the_list_of_that_day_would_have_shown(county, watched):
    data, model = county
    history = risk_history(data, model, watched, DAYS)
    risk = model.predict_risk(feature_table(data, DAYS)).xs(watched, level="household_id").reindex(DAYS)
    np.testing.assert_allclose(history["risk"], risk, rtol=1e-12)
    assert history["at_risk"].tolist() == risk.notna().tolist()
    assert set(history["at_risk"]) == {True, False}


def test_points_lead_from_the_start_to_each_risk(county, watched):
    history = risk_history(*county, watched, DAYS)
    points = history[[f"points_{cause}" for cause in CAUSES]]
    np.testing.assert_allclose(history["start"] + points.sum(axis=1, skipna=False), history["risk"], atol=1e-12)


def test_a_day_does_not_see_what_became_known_later(county, watched):
    data, model = county
    whole = risk_history(data, model, watched, DAYS)
    then = risk_history(data.known_by(DAYS[5]), model, watched, DAYS[:6])
    pd.testing.assert_frame_equal(then, whole[:6], check_exact=True)


def test_records_are_counted_on_the_first_day_that_sees_them(county, watched):
    data, model = county
    history = risk_history(data, model, watched, DAYS[::-1])
    tables = [table for name, table in data.tables.items() if name != "lines"]
    known = pd.concat([table.loc[table["household_id"] == watched, "known_on"] for table in tables])
    expected = [0, *(((known >= since) & (known < until)).sum() for since, until in pairwise(DAYS))]
    assert history["new_records"].tolist() == expected
    assert history["new_tables"].iloc[0] == ""
    assert all(bool(tables) == bool(n) for tables, n in zip(history["new_tables"], expected, strict=True))


def test_an_unknown_household_and_no_day_are_refused(county):
    with pytest.raises(KeyError, match="'nobody' is not in the data"):
        risk_history(*county, "nobody", DAYS)
    with pytest.raises(ValueError, match="at least one as-of date"):
        risk_history(*county, "H000001", [])
