"""How long before a return a household was on a list: months won over another rule for the same households."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from riskml.skill.bootstrap import FloatArray, cluster_draws, interval
from riskml.skill.targeting import expected_list

#: What is known of a household's lead.
STATUS = ("listed", "from_the_start", "never_listed", "not_scored")


def lead_time(
    scores: Mapping[str, pd.Series],
    returned_on: pd.Series,
    *,
    quota: float,
    sample_weight: pd.Series | None = None,
) -> pd.DataFrame:
    """Return how many months before its return each household first came on the list of its date.

    On every as-of date the list holds the highest scores of that date up to the quota. Households tied at its end are
    listed by lot, drawn anew each date; the figures are expectations over the draws. Only dates before the return
    count.

    Parameters
    ----------
    scores : mapping of str to Series
        Score of each model, higher is riskier, indexed by ``(household_id, as_of_date)``, all of the same rows: those
        of the whole cohort on every date, not only of households that returned.
    returned_on : Series
        Day of the return by ``household_id``; households that are missing, or have NaT, did not return and have no row.
    quota : float
        Share of the (weighted) households of a date on its list if below 1, else their number.
    sample_weight : Series, optional
        Survey weights, indexed as the scores.

    Returns
    -------
    DataFrame
        One row a model and household that returned: ``model, household_id, returned_on, n_dates`` (lists before the
        return it was scored for), ``first_listed_on`` (first date it could be listed; NaT if none), ``listed``
        (probability that it was on any of the lists: 0 or 1 but for ties), ``lead_months`` (whole months from first
        listed to the return, given that it was listed; NaN where it never was), ``status``: ``listed``;
        ``from_the_start`` (listed on its first date, so it may have been due earlier: the lead is at least this);
        ``never_listed``; ``not_scored`` (no date before the return).

    Raises
    ------
    ValueError
        If there is no score, indexes differ or repeat, a score is missing, or the quota not positive.

    Examples
    --------
    >>> dates = pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"])
    >>> rows = pd.MultiIndex.from_product([["a", "b"], dates], names=["household_id", "as_of_date"])
    >>> score = pd.Series([0.1, 0.9, 0.9, 0.5, 0.5, 0.5], index=rows)
    >>> table = lead_time({"model": score}, pd.Series({"a": pd.Timestamp("2024-05-01")}), quota=1)
    >>> table[["household_id", "first_listed_on", "lead_months", "status"]]
      household_id first_listed_on  lead_months  status
    0            a      2024-02-01          3.0  listed
    """
    rows = _checked(scores, sample_weight)
    returned = pd.to_datetime(returned_on.dropna()).rename("returned_on").rename_axis("household_id").sort_index()
    weight = np.ones(len(rows)) if sample_weight is None else sample_weight.to_numpy(dtype=np.float64)
    on_date = rows.groupby("as_of_date", sort=False).indices
    tables = []
    for name, score in scores.items():
        risk, part = score.to_numpy(dtype=np.float64), np.zeros(len(rows))
        for places in on_date.values():
            part[places] = expected_list(risk[places], weight[places], quota)
        seen = rows.assign(part=part).merge(returned.reset_index(), on="household_id")
        seen = seen[seen["as_of_date"] < seen["returned_on"]].sort_values(["household_id", "as_of_date"])
        tables.append(_leads(seen, returned).assign(model=name))
    table = pd.concat(tables, ignore_index=True)
    return table[["model", *(column for column in table if column != "model")]]


def lead_time_summary(
    leads: pd.DataFrame,
    *,
    sample_weight: pd.Series | None = None,
    clusters: pd.Series | None = None,
    n_bootstrap: int = 200,
    random_state: int = 0,
    reference: str | None = None,
) -> pd.DataFrame:
    """Return mean leads, what they leave out, and the months one model wins over another for the same households.

    Parameters
    ----------
    leads : DataFrame
        As :func:`riskml.lead_time` gives it.
    sample_weight : Series, optional
        Survey weight by ``household_id``.
    clusters : Series, optional
        Cluster by ``household_id``; default each household its own.
    n_bootstrap : int, default 200
        Draws; 0 gives no intervals (NaN).
    random_state : int, default 0
        Seed of the draws.
    reference : str, optional
        Model the others are compared with; default the first.

    Returns
    -------
    DataFrame
        One row a model: ``model, returns`` (households that returned), and how many of them are ``listed``,
        ``from_the_start``, ``never_listed``, ``not_scored`` (counts of the states of :func:`riskml.lead_time`; a lead
        from the start is cut short, one never listed is in no mean); ``share_listed`` (weighted, ties in expectation,
        of those scored), ``lead_months`` (weighted mean over those listed; NaN if none) with ``lower, upper`` (95 %);
        for households that both the reference and this model list: ``n_both``, ``lead_over`` (mean lead of the
        reference less that of this model, months; NaN if there are none) with ``lead_over_lower, lead_over_upper``
        (paired); ``only_reference`` and ``only_this``: expected number of households that just one of them lists.

    Raises
    ------
    ValueError
        If the reference is not among the models, or a household has no weight or cluster.

    Examples
    --------
    >>> dates = pd.to_datetime(["2024-01-01", "2024-02-01"])
    >>> rows = pd.MultiIndex.from_product([["a", "b"], dates], names=["household_id", "as_of_date"])
    >>> scores = {"early": pd.Series([2, 2, 1, 1], index=rows), "late": pd.Series([1, 2, 2, 1], index=rows)}
    >>> leads = lead_time(scores, pd.Series({"a": pd.Timestamp("2024-03-01")}), quota=1)
    >>> lead_time_summary(leads, n_bootstrap=0)[["model", "listed", "from_the_start", "lead_months", "lead_over"]]
       model  listed  from_the_start  lead_months  lead_over
    0  early       0               1          2.0        0.0
    1   late       1               0          1.0        1.0
    """
    models = list(leads["model"].unique())
    reference = models[0] if reference is None else reference
    if reference not in models:
        raise ValueError(f"reference {reference!r} is not among the models {models}")
    by_model = {name: leads[leads["model"] == name].set_index("household_id").sort_index() for name in models}
    households = by_model[reference].index
    weight = np.ones(len(households)) if sample_weight is None else _of(households, sample_weight, "sample_weight")
    codes = None if clusters is None else _of(households, clusters, "clusters")
    draws = cluster_draws(codes, len(households), n_bootstrap, random_state)
    weights = np.vstack([np.ones(len(households)), draws]) * weight
    best = by_model[reference]
    rows = []
    for name, own in by_model.items():
        scored = (own["n_dates"] > 0).to_numpy(dtype=np.float64)
        p, lead = own["listed"].to_numpy(), own["lead_months"].fillna(0).to_numpy()
        p_best, lead_best = best["listed"].to_numpy(), best["lead_months"].fillna(0).to_numpy()
        both = np.minimum(p, p_best) if name == reference else p * p_best
        mean, gap = _mean(lead, weights * p), _mean(lead_best - lead, weights * both)
        (lower, upper), (low, high) = interval(mean[1:]), interval(gap[1:])
        states = own["status"].value_counts()
        rows.append(
            {
                "model": name,
                "returns": len(own),
                **{state: int(states.get(state, 0)) for state in STATUS},
                "share_listed": _mean(p, weights[:1] * scored)[0],
                "lead_months": mean[0],
                "lower": lower,
                "upper": upper,
                "n_both": float(both.sum()),
                "lead_over": gap[0],
                "lead_over_lower": low,
                "lead_over_upper": high,
                "only_reference": float((p_best - both).sum()),
                "only_this": float((p - both).sum()),
            }
        )
    return pd.DataFrame(rows)


def _leads(seen: pd.DataFrame, returned: pd.Series) -> pd.DataFrame:
    """Return the leads of one model from the part of every list before the return that each household has."""
    household = seen["household_id"]
    # Not on any list before this one, and on this one.
    never = (1 - seen["part"]).groupby(household).cumprod()
    enters = seen["part"] * never.groupby(household).shift(fill_value=1.0)
    months = _whole_months(seen["as_of_date"], seen["returned_on"])
    listed = enters.groupby(household).sum()
    possible = seen[seen["part"] > 0]
    table = returned.to_frame()
    table["n_dates"] = seen.groupby("household_id").size().reindex(table.index, fill_value=0).astype(np.int64)
    table["first_listed_on"] = possible.groupby("household_id")["as_of_date"].first().reindex(table.index)
    table["listed"] = listed.reindex(table.index, fill_value=0.0).clip(0, 1)
    lead = (enters * months).groupby(household).sum() / listed.where(listed > 0)
    table["lead_months"] = lead.reindex(table.index)
    first = seen.groupby("household_id")["as_of_date"].first().reindex(table.index)
    choices = [table["n_dates"] == 0, table["first_listed_on"].isna(), table["first_listed_on"] == first]
    table["status"] = np.select(choices, ["not_scored", "never_listed", "from_the_start"], default="listed")
    return table.reset_index()


def _whole_months(start: pd.Series, end: pd.Series) -> pd.Series:
    """Return the months completed between two days."""
    months = 12 * (end.dt.year - start.dt.year) + end.dt.month - start.dt.month
    return (months - (end.dt.day < start.dt.day)).astype(np.float64)


def _mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted mean under each row of weights; NaN where all are nothing."""
    total = weights.sum(axis=1)
    return np.divide(weights @ values, total, out=np.full(len(total), np.nan), where=total > 0)


def _checked(scores: Mapping[str, pd.Series], weight: pd.Series | None) -> pd.DataFrame:
    """Return household and date of every row, or say what is wrong with the scores."""
    if not scores:
        raise ValueError("scores is empty; give at least one model")
    index = next(iter(scores.values())).index
    if list(index.names) != ["household_id", "as_of_date"] or not index.is_unique:
        raise ValueError("scores must be indexed by (household_id, as_of_date), each once")
    for name, score in {**scores, **({} if weight is None else {"sample_weight": weight})}.items():
        if not score.index.equals(index):
            raise ValueError(f"{name!r} is indexed differently from the first score; put all in one order first")
        if score.isna().any():
            raise ValueError(f"{name!r} is missing in {int(score.isna().sum())} rows")
    return index.to_frame(index=False)


def _of(households: pd.Index, values: pd.Series, name: str) -> np.ndarray:
    found = values.reindex(households)
    if found.isna().any():
        first = found.index[found.isna()][0]
        raise ValueError(f"{name} is missing for {int(found.isna().sum())} households (first: {first!r})")
    return found.to_numpy()
