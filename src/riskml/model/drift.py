"""What has moved between the features a model learned from and those it is asked about now."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from riskml.model.classifier import RiskClassifier

#: A population stability index above this is commonly called a shift that matters.
_SHIFT = 0.25


def drift_table(
    reference: pd.DataFrame, current: pd.DataFrame, *, model: RiskClassifier | None = None, n_bins: int = 10
) -> pd.DataFrame:
    """Return for each feature how far its distribution has moved, the largest first.

    Parameters
    ----------
    reference, current : DataFrame
        Features at training and now.
    model : RiskClassifier, optional
        Gives each feature's share of the trees' gain, to tell whether a shift matters.
    n_bins : int, default 10
        Bins of the stability index, at quantiles of the reference; missing values are one more.

    Returns
    -------
    DataFrame
        ``feature, cause`` (empty without model), ``psi`` (population stability index; 0 no shift), ``ks``
        (Kolmogorov-Smirnov distance of the present values; NaN if one side has none), ``missing_before,
        missing_now, mean_before, mean_now, importance`` (share of gain; NaN without model), ``matters`` (psi above
        0.25 and, with a model, at least one in a hundred of the gain).

    Raises
    ------
    ValueError
        If the two have no column in common or one has no rows.

    Examples
    --------
    >>> before = pd.DataFrame({"a": np.arange(100.0), "b": np.arange(100.0)})
    >>> drift_table(before, before.assign(a=before["a"] + 50))["feature"].tolist()
    ['a', 'b']
    """
    names = [name for name in reference.columns if name in set(current.columns)]
    if not names or not len(reference) or not len(current):
        raise ValueError("reference and current need rows and at least one column in common")
    gain, cause = {}, {}
    if model is not None:
        gain = dict(zip(model.dictionary_["name"], model.booster_.feature_importance("gain"), strict=True))
        cause = dict(zip(model.dictionary_["name"], model.dictionary_["cause"], strict=True))
    whole = sum(gain.values()) or 1.0
    rows = []
    for name in names:
        before, now = (frame[name].to_numpy(dtype=np.float64) for frame in (reference, current))
        present, present_now = before[~np.isnan(before)], now[~np.isnan(now)]
        psi = _stability(before, now, n_bins)
        importance = gain.get(name, 0.0) / whole if model is not None else np.nan
        rows.append(
            {
                "feature": name,
                "cause": cause.get(name, ""),
                "psi": psi,
                "ks": ks_2samp(present, present_now).statistic if len(present) and len(present_now) else np.nan,
                "missing_before": 1 - len(present) / len(before),
                "missing_now": 1 - len(present_now) / len(now),
                "mean_before": present.mean() if len(present) else np.nan,
                "mean_now": present_now.mean() if len(present_now) else np.nan,
                "importance": importance,
                "matters": bool(psi > _SHIFT and not importance < 0.01),
            }
        )
    return pd.DataFrame(rows).sort_values("psi", ascending=False, kind="stable", ignore_index=True)


def _stability(before: NDArray[np.float64], now: NDArray[np.float64], n_bins: int) -> float:
    edges = (
        np.unique(np.nanquantile(before, np.linspace(0, 1, n_bins + 1)[1:-1]))
        if (~np.isnan(before)).any()
        else np.array([])
    )
    places = []
    for values in (before, now):
        # Below, on and above each edge: rare flags and constants have quantiles that many rows share.
        place = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
        places.append(np.bincount(np.where(np.isnan(values), 2 * len(edges) + 1, place), minlength=2 * len(edges) + 2))
    used = (places[0] > 0) | (places[1] > 0)
    # Half a household in every bin keeps empty ones finite.
    shares = [(counts[used] + 0.5) / (counts[used] + 0.5).sum() for counts in places]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
