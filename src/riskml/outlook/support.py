"""Support that ends and is not given again: what the records cannot show, taken from the risk net of assistance.

A model has seen support end where officers thought that it was no longer needed, and other support follow. What comes
of households that are never helped again stands in no record; what would have come of them without transfers does, for
income is recorded by source. The second model of a bundle (:mod:`riskml.model.net`) learned that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from riskml.model.classifier import RiskClassifier
from riskml.outlook.edits import World, newest, paid_in
from riskml.outlook.scenario import Scenario, edits_of
from riskml.tables.monitoring import Monitoring

#: Transfers up to this are none, in years at the line of the whole household: amounts and months are rounded.
_NOTHING = 0.01


def share_ending(
    data: Monitoring, scenario: Scenario, as_of_date: object, *, random_state: int | None = 0
) -> pd.Series:
    """Return the share of each household's public transfers that a scenario ends.

    What ends are the amounts of the support named in ``paid_in_transfers`` that has not ended by the day of the event.
    What goes on, pensions for example, are the transfers recorded from a year before the event on, less all that such
    support paid in them. Whoever receives neither has only help to come to lose: 1 if every measure ends, else 0.

    Parameters
    ----------
    data : Monitoring
        The tables, without the event.
    scenario : Scenario
        The event.
    as_of_date : date
        The day the question is asked.
    random_state : int or None, default 0
        Seed of the random shares.

    Returns
    -------
    Series of float64
        From 0 to 1, by ``household_id``, of the households that an edit ``support_ends`` falls on; the shares of
        several edits add up to 1 at most. Empty where transfers or amounts of support are not recorded. A spell
        without an amount counts as nothing that ends.

    Examples
    --------
    >>> from riskml.datasets import make_monitoring
    >>> from riskml.outlook.scenario import scenario_from
    >>> data = make_monitoring(60, n_months=24, random_state=0)
    >>> end = scenario_from({"name": "end", "part": [{"edits": [{"kind": "support_ends"}]}]})
    >>> share = share_ending(data, end, "2022-12-01")
    >>> len(share), bool(share.between(0, 1).all())
    (59, True)
    """
    known, day = data.known_by(as_of_date), scenario.day(as_of_date)
    shares = pd.Series(dtype=np.float64, index=pd.Index([], dtype=object))
    if "transfers" in known.tables.get("incomes", ()) and "amount" in known.tables.get("assistance", ()):
        world = World(known, dict(known.tables), day, day)
        for _, edit, households in edits_of(known, scenario, day, random_state):
            if edit["kind"] == "support_ends":
                shares = shares.add(_share_of_one(world, households, edit), fill_value=0.0)
    return shares.clip(upper=1.0)


def net_points(model: RiskClassifier, X: pd.DataFrame, risk: pd.Series, share: pd.Series) -> pd.Series:
    """Return what the risk net of assistance adds to the risk where transfers end and are not given again.

    The outcome net of assistance takes away every public transfer. Where only a share of them ends, that share of the
    way from the risk to the risk net of assistance is gone, and none where the second model says less.

    Parameters
    ----------
    model : RiskClassifier
        With a second model beside it; one without adds nothing.
    X : DataFrame of shape (n_rows, n_features)
        Features with the event, indexed by ``(household_id, as_of_date)``.
    risk : Series of float64, shape (n_rows,)
        Risk with the event, of the first model.
    share : Series of float64
        As :func:`share_ending` gives; households not in it lose nothing.

    Returns
    -------
    Series of float64
        Points of probability, none below 0, indexed as ``X``.
    """
    if model.net_ is None:
        return pd.Series(0.0, index=X.index)
    ends = share.reindex(X.index.get_level_values("household_id")).fillna(0.0).to_numpy()
    return (model.net_.predict_risk(X) - risk).clip(lower=0.0) * ends


def support_in_words(households: pd.DataFrame, *, has_net: bool) -> tuple[str, str]:
    """Return what of an answer comes from the risk net of assistance, and what of the end of support is in none.

    Parameters
    ----------
    households : DataFrame
        ``change, from_net`` of each household, as in :class:`riskml.outlook.stress.Stress`.
    has_net : bool
        Whether the model has the risk net of assistance beside it.

    Returns
    -------
    tuple of (str, str)
        English and Chinese.
    """
    if not has_net:
        return (
            "The model has no risk net of assistance beside it (trained --without-net, on labels net already, or no "
            "transfers are recorded): the answer holds nothing of what follows if no help is given again. In simulated "
            "worlds it was less than a fifth of the truth.",
            "该模型没有“扣除转移性收入的风险”（训练时使用了 --without-net、结果本已扣除，或数据中没有转移性收入）："
            "回答未计入“此后不再有帮扶”的后果。在模拟数据中，回答不足真实变化的五分之一。",
        )
    n, added = int((households["from_net"] > 0).sum()), households["from_net"].sum()
    total = households["change"].sum()
    return (
        f"{added:.1f} of these {total:+.1f} returns come from the second model, the risk net of assistance: {n:,} "
        "households whose cash support ends, by the share of their transfers that it is, or who receive no transfers "
        "and could get none. Not covered: posts, help in kind, support without an amount on record, and help that "
        "households with other transfers would have got later. In simulated worlds the answer was three fifths of the "
        "truth.",
        f"这{total:+.1f}户中有{added:.1f}户来自第二个模型（扣除转移性收入的风险）：涉及{n:,}户，其现金帮扶终止（按其占转移性收入的"
        "比例计入），或目前没有转移性收入、今后也得不到。未计入：公益性岗位、实物帮扶、没有金额记录的帮扶，以及仍有其他转移性收入的"
        "住户今后本可得到的帮扶。在模拟数据中，回答约为真实变化的五分之三。",
    )


def _share_of_one(world: World, households: pd.Index, edit: Mapping[str, Any]) -> pd.Series:
    """Return the share that one edit ends, of the households it falls on."""
    support, records = (
        newest(name, frame[frame["household_id"].isin(households)])
        for name, frame in ((name, world.tables[name]) for name in ("assistance", "incomes"))
    )
    every = not edit["measures"]
    named = support["measure"].isin(edit["measures"]) | every
    support = support[named & support["measure"].isin(edit["paid_in_transfers"])]
    records = records[records["date"] > world.day - pd.DateOffset(months=12)]
    other = (records["transfers"] - paid_in(records, support)).clip(lower=0.0)
    sums = records.assign(other=other).groupby("household_id")[["other", "months"]].sum()
    goes_on = (sums["other"] * 12 / sums["months"]).reindex(households).fillna(0.0)
    ending = support[~(support["end"] <= world.day)].sort_values("start", kind="stable")
    ending = ending.drop_duplicates(["household_id", "measure"], keep="last")
    ends = (ending.groupby("household_id")["amount"].sum() * 12).reindex(households).fillna(0.0)
    nothing = (goes_on <= _NOTHING * world.year_of_line(households)) & every
    return (ends / (ends + goes_on)).where(ends > 0, nothing.astype(np.float64))
