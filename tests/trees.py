"""A fitted model as explanations see it, from a few boosted trees, and explanations made by hand."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
from scipy.special import expit

from riskml.causes import CAUSES
from riskml.explanation.contributions import Explanation


class Trees:
    """What ``explain`` reads of a model: booster, calibration, dictionary, names, risk."""

    def __init__(self, X, y, dictionary, calibration=(0.8, -0.3)):
        self.dictionary_ = dictionary.set_index("name").loc[list(X.columns)].reset_index()
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        self.calibration_ = calibration
        self.refits_ = ()
        settings = {"objective": "binary", "num_leaves": 7, "min_data_in_leaf": 3, "verbose": -1, "num_threads": 1}
        self.booster_ = lightgbm.train(settings, lightgbm.Dataset(X.to_numpy(), np.asarray(y)), 30)

    def predict_risk(self, X):
        margin = self.booster_.predict(X[list(self.feature_names_in_)].to_numpy(), raw_score=True)
        return pd.Series(expit(self.calibration_[0] * margin + self.calibration_[1]), index=X.index, name="risk")


def keys(n_rows, as_of_date="2024-12-01"):
    """Return an index of households h000, h001, ... on one date."""
    households = [f"h{row:03d}" for row in range(n_rows)]
    return pd.MultiIndex.from_product([households, [pd.Timestamp(as_of_date)]], names=["household_id", "as_of_date"])


def dictionary(**features):
    """Return a feature dictionary from ``name=(cause, unit)`` or ``name=(cause, unit, sensitive)``."""
    return pd.DataFrame(
        [
            {
                "name": name,
                "cause": cause,
                "unit": unit,
                "table": "traits",
                "column": name,
                "label_en": f"the {name}",
                "label_zh": f"某{name}",
                "actionable": cause != "labour",
                "sensitive": bool(sensitive),
            }
            for name, (cause, unit, *sensitive) in features.items()
        ]
    )


def explanation(values, X, base_value=-3.0, **features):
    """Return an explanation with given contributions in log-odds."""
    values = np.asarray(values, dtype=float)
    X = pd.DataFrame(np.asarray(X, dtype=float), index=keys(len(values)), columns=list(features))
    risk = pd.Series(expit(base_value + values.sum(axis=1)), index=X.index, name="risk")
    return Explanation(values, base_value, risk, X, dictionary(**features))


def need(n_rows, seed=0, scale=0.05):
    """Return a watchlist-like table with random points by cause and the risk that follows from them."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, scale, (n_rows, len(CAUSES))) * (rng.random((n_rows, len(CAUSES))) < 0.4)
    index = keys(n_rows).to_frame(index=False)
    table = index.assign(risk=np.clip(0.05 + points.sum(axis=1), 0.001, 0.99))
    return table.assign(**{f"points_{cause}": points[:, place] for place, cause in enumerate(CAUSES)})
