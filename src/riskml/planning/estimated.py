"""Effects estimated from the office's own history, written into its table of measures with interval and source."""

from __future__ import annotations

import numpy as np
import pandas as pd

from riskml.effects.estimate import Effects
from riskml.planning.measures import check_measures


def with_estimated_effects(measures: pd.DataFrame, effects: Effects) -> pd.DataFrame:
    """Return a table of measures in which effects that could be estimated replace those that stood there.

    What is written is the share of the risk that starting the measure took from those who started it
    (``effect_kind`` ``share_of_risk``). A table of measures holds no harm: an estimate or end below 0 is written as 0
    and the source says so. Measures of which no effect is stated, or whose control outcome failed, keep what they had.

    Parameters
    ----------
    measures : DataFrame
        As :func:`riskml.read_measures` gives it; its ``measure`` are the names in ``assistance.measure``.
    effects : Effects
        As :func:`riskml.estimate_effects` gives them.

    Returns
    -------
    DataFrame
        A new table of measures.

    Raises
    ------
    DataRefused
        If ``measures`` is not a table of measures.

    Examples
    --------
    >>> from riskml.planning.measures import example_measures
    >>> nothing = Effects(*(pd.DataFrame(columns=["measure", "passed"]) for _ in range(3)), {}, 12, 1)
    >>> bool((with_estimated_effects(example_measures(), nothing)["effect_source_kind"] == "estimate").any())
    False
    """
    table = check_measures(measures).set_index("measure")
    failed = set(effects.controls.loc[effects.controls["passed"] == 0, "measure"])
    for name in table.index.intersection(list(effects.trials)).difference(list(failed)):
        own = effects.table[(effects.table["measure"] == name) & (effects.table["by"] == "all")]
        row = own[own["estimand"] == "att"].iloc[0]
        found = row[["relative_reduction", "relative_lower", "relative_upper"]].to_numpy(dtype=np.float64)
        if np.isnan(found).any():
            continue
        table.loc[name, ["effect", "effect_lower", "effect_upper"]] = np.clip(found, 0.0, 1.0)
        days = effects.trials[name].index.get_level_values("as_of_date")
        table.loc[name, "effect_kind"] = "share_of_risk"
        table.loc[name, "effect_source_kind"] = "estimate"
        table.loc[name, "effect_source"] = (
            f"own history: {int(row['n_treated'])} starts from {days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}, "
            f"{effects.horizon_months} months ahead, doubly robust"
            + (f"; interval reaches {found[1]:.2f}, written as 0" if found[1] < 0 else "")
        )
    return check_measures(table.reset_index())
