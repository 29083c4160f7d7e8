"""The feature dictionary: what every column of the feature table means, one row each."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from riskml.features.declarations import Declaration, expand
from riskml.features.standard import STANDARD


def feature_dictionary(features: Sequence[Declaration] = STANDARD) -> pd.DataFrame:
    """Return what every feature means, one row each.

    Parameters
    ----------
    features : sequence of declarations, optional
        Default: :data:`riskml.STANDARD`.

    Returns
    -------
    DataFrame
        ``name, cause, unit, direction`` (1 more of it raises the risk, -1 lowers it, 0 unknown), ``window``
        (months back; infinite: all history; NaN: the state on the day), ``table, column, stat, label_en, label_zh,
        actionable,
        sensitive``.

    Examples
    --------
    >>> feature_dictionary().set_index("name").loc["medical_out_of_pocket_sum_12m", "cause"]
    'illness'
    """
    columns = expand(features)
    rows = [
        {
            "name": feature.name,
            "cause": feature.cause,
            "unit": feature.unit,
            "direction": feature.direction,
            "window": feature.window,
            "table": feature.table,
            "column": feature.column or "",
            "stat": feature.stat,
            "label_en": feature.label_en,
            "label_zh": feature.label_zh,
            "actionable": feature.actionable,
            "sensitive": feature.sensitive,
        }
        for feature in columns
    ]
    return pd.DataFrame(rows)
