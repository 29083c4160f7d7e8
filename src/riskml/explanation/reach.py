"""What help can change of a risk, and what it cannot: its points split by what the dictionary says of each feature.

Points say what a score rests on. That help can change a record (a bill, a job, a roof) and not another (an age, the
number of members) says where to act; it does not say how far the risk would fall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from riskml.explanation.contributions import Explanation


def points_in_reach(explanation: Explanation) -> pd.DataFrame:
    """Split each risk into points of features that help can change, and of those it cannot.

    Parameters
    ----------
    explanation : Explanation
        Of n rows. A dictionary without ``actionable`` says that help can change nothing.

    Returns
    -------
    DataFrame of shape (n_rows, 2)
        ``points_actionable, points_fixed``, probabilities, indexed as ``X``; a row sums to the risk less the risk where
        every household starts. What is sensitive counts as fixed.

    Examples
    --------
    >>> from riskml import RiskClassifier, explain
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(400, 2)), columns=["welfare", "head_age"])
    >>> model = RiskClassifier().fit(X, (X.sum(axis=1) + rng.normal(size=400) < -1).astype(int))
    >>> why = explain(model, X)
    >>> bool(np.allclose(points_in_reach(why).sum(axis=1), why.risk - why.base_risk))
    True
    """
    points = explanation.in_points("feature").to_numpy()
    reached = in_reach(explanation.dictionary)
    return pd.DataFrame(
        {"points_actionable": points[:, reached].sum(axis=1), "points_fixed": points[:, ~reached].sum(axis=1)},
        index=explanation.X.index,
    )


def with_reach(evidence: pd.DataFrame, explanation: Explanation) -> pd.DataFrame:
    """Add to records whether help can change what they speak of, and the points of all it can change.

    Parameters
    ----------
    evidence : DataFrame
        ``household_id, as_of_date, feature`` and others: records behind features of the explanation.
    explanation : Explanation
        Holds at least these households and features.

    Returns
    -------
    DataFrame
        With ``actionable`` (bool, of the feature) and ``points_actionable`` (probability, of the household).
    """
    reached = dict(zip(explanation.dictionary["name"], in_reach(explanation.dictionary), strict=True))
    row = explanation.X.index.get_indexer(pd.MultiIndex.from_frame(evidence[["household_id", "as_of_date"]]))
    points = points_in_reach(explanation)["points_actionable"].to_numpy()[row]
    return evidence.assign(actionable=evidence["feature"].map(reached).eq(True), points_actionable=points)


def in_reach(dictionary: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which features help can change.

    Parameters
    ----------
    dictionary : DataFrame of n_features rows
        A feature dictionary; one without ``actionable`` says that help can change nothing.

    Returns
    -------
    ndarray of bool, shape (n_features,)
        False for what is sensitive, whatever else is said of it.
    """
    actionable = dictionary["actionable"] if "actionable" in dictionary else pd.Series(False, index=dictionary.index)
    return actionable.to_numpy(dtype=bool) & ~dictionary["sensitive"].to_numpy(dtype=bool)
