"""How far a household's main reason is luck: whether its first cause stays first when the model is learned again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from riskml.causes import CAUSES
from riskml.explanation.coalitions import cause_values, ranked_by

if TYPE_CHECKING:
    from riskml.explanation.contributions import Explanation

#: A main reason that stays first in a smaller share of the refits is said to be uncertain: others together came first
#: more often.
LEAST_SHARE = 0.5


def cause_stability(explanation: Explanation) -> pd.DataFrame:
    """Return how often each household's first cause stays first over the refits of the model.

    Parameters
    ----------
    explanation : Explanation
        By a model that has refits (:func:`riskml.with_refits`, ``riskml train --stability N``).

    Returns
    -------
    DataFrame of shape (n_rows, 2)
        ``first_cause`` (``cause_1`` of :meth:`riskml.Explanation.top_causes`) and ``share_first`` (share of the refits
        in which the same cause is first, counted the same way, against the same background), indexed as ``X``.

    Raises
    ------
    ValueError
        If the model has no refits.

    Examples
    --------
    >>> from riskml import RiskClassifier, explain, with_refits
    >>> rng = np.random.default_rng(0)
    >>> names = ["welfare", "medical_out_of_pocket_sum_12m"]
    >>> X = pd.DataFrame(rng.gamma(2, 1, size=(400, 2)), columns=names)
    >>> y = (X["welfare"] + 0.1 * rng.normal(size=400) < 1).astype(int)
    >>> model = with_refits(RiskClassifier(n_estimators=50).fit(X, y), X, y, n_refits=5)
    >>> poorest = X.sort_values("welfare").head(1)
    >>> cause_stability(explain(model, poorest)).to_numpy().tolist()
    [['income', 1.0]]
    """
    if not explanation.refits:
        raise ValueError("the model has no refits; make them with with_refits, or train with --stability N")
    values = explanation.X.to_numpy(dtype=np.float64)
    first = explanation.top_causes(1)["cause_1"]
    place = np.array([list(CAUSES).index(cause) for cause in first], dtype=np.int64)
    times = np.zeros(len(first))
    for refit in explanation.refits:
        times += ranked_by(cause_values(refit, values, explanation.causes)).argmax(axis=1) == place
    return pd.DataFrame({"first_cause": first, "share_first": times / len(explanation.refits)}, index=first.index)
