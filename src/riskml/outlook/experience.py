"""Whether households are asked about whose like the model has seen: feature by feature, and all together.

Trees answer beyond the values they learned from with the answer at the edge, and between them with whatever the
splits happen to give. A number comes out in every case; that it rests on no experience has to be said beside it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from riskml.features.panel import features_of
from riskml.model.classifier import RiskClassifier
from riskml.tables.monitoring import Monitoring

FloatArray = NDArray[np.float64]

#: Features, those with the most gain, in which households are compared all together.
_N_COMPARED = 15
#: Households and past dates that stand for what the data have seen.
_N_HOUSEHOLDS, _N_DATES = 3000, 6
#: A household is far from experience when it is farther than this share of the households are today.
_USUAL = 0.99


def out_of_range(model: RiskClassifier, X: pd.DataFrame) -> pd.DataFrame:
    """Return which values lie outside those a model was trained on.

    Parameters
    ----------
    model : RiskClassifier
        Fitted or loaded; its booster keeps the smallest and the largest value of every feature of the training.
    X : DataFrame of shape (n_rows, n_features)
        Features.

    Returns
    -------
    DataFrame of bool, shape (n_rows, n_used)
        Indexed as ``X``, one column a feature that the trees use; False where the value is missing.
    """
    ranges = model.booster_.dump_model(start_iteration=0, num_iteration=1)["feature_infos"]
    own_names = dict(zip(model.dictionary_["name"], model.booster_.feature_name(), strict=True))
    outside = {}
    for name in (name for name, gain in _gain(model).items() if gain > 0):
        low, high = (ranges[own_names[name]][end] for end in ("min_value", "max_value"))
        # The booster keeps its ranges with about 17 digits in text; a value at the edge is inside.
        slack = 1e-9 * max(abs(low), abs(high), 1.0)
        outside[name] = (X[name] < low - slack) | (X[name] > high + slack)
    return pd.DataFrame(outside, index=X.index)


def far_from_past(
    data: Monitoring,
    model: RiskClassifier,
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    random_state: int | None = 0,
) -> pd.DataFrame:
    """Return which households are unlike every other household of the training's dates, as they are and as imagined.

    Households are compared in the fifteen features with the most gain, each as its rank among the past values (missing
    is a value of its own), by Euclidean distance to the nearest other household of up to six as-of dates from the
    first the model learned from to today. Far is who is farther than 99 in 100 households are as they are. A
    household's own past is left out: one half of the households is compared with the other.

    Parameters
    ----------
    data : Monitoring
        The tables the past is taken from.
    model : RiskClassifier
        Fitted or loaded.
    before, after : DataFrame of shape (n_rows, n_features)
        Features of the same households on one date, indexed by ``(household_id, as_of_date)``: as they are, imagined.
    random_state : int or None, default 0
        Seed of the halves, and of the households that stand for all where there are more than 3,000.

    Returns
    -------
    DataFrame of bool, shape (n_rows, 2)
        Indexed as ``before``: ``far_before``, ``far``.
    """
    gain = _gain(model)
    compared = sorted(gain, key=lambda name: (-gain[name], name))[:_N_COMPARED]
    today = before.index.get_level_values("as_of_date")[0]
    first = min(pd.Timestamp(model.fit_summary_["first_as_of_date"]), today)
    days = pd.DatetimeIndex(np.linspace(first.value, today.value, _N_DATES).astype("datetime64[ns]")).normalize()
    rng = np.random.default_rng(random_state)
    ids = before.index.get_level_values("household_id")
    half = rng.random(len(ids)) < 0.5
    kept = np.sort(rng.permutation(len(ids))[:_N_HOUSEHOLDS])
    known = [_known_on(data, ids[kept], day) for day in days.unique()]
    past = [features_of(data, there, day)[compared] for there, day in zip(known, days.unique(), strict=True)]
    in_half = np.concatenate([half[ids.get_indexer(each.index)] for each in past])
    rows = pd.concat(past).to_numpy(dtype=np.float64)
    distance = {}
    for name, X in (("before", before), ("after", after)):
        distance[name] = np.zeros(len(X))
        for side in (True, False):
            reference, asked = rows[in_half != side], half == side
            if len(reference) and asked.any():
                tree = cKDTree(_ranked(reference, reference))
                near, _ = tree.query(_ranked(reference, X[compared].to_numpy(dtype=np.float64)[asked]))
                distance[name][asked] = near
    limit = np.quantile(distance["before"], _USUAL)
    return pd.DataFrame(
        {"far_before": distance["before"] > limit, "far": distance["after"] > limit}, index=before.index
    )


def _gain(model: RiskClassifier) -> dict[str, float]:
    return dict(zip(model.dictionary_["name"], model.booster_.feature_importance("gain").tolist(), strict=True))


def _known_on(data: Monitoring, ids: pd.Index, day: pd.Timestamp) -> pd.Index:
    registry = data.tables["households"]
    return ids[ids.isin(registry.loc[registry["known_on"] < day, "household_id"])]


def _ranked(reference: FloatArray, values: FloatArray) -> FloatArray:
    """Return each column as its rank among the reference, 0 to 1; missing values lie half the range away."""
    out = np.empty_like(values)
    for column in range(values.shape[1]):
        known = np.sort(reference[~np.isnan(reference[:, column]), column])
        place = np.searchsorted(known, values[:, column], side="left") + np.searchsorted(
            known, values[:, column], side="right"
        )
        out[:, column] = np.where(np.isnan(values[:, column]), -0.5, place / max(2 * len(known), 1))
    return out
