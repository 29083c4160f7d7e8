"""Which data of a household a score rests on, whether they weighed or not: what it has a right to be told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from riskml.features.records import available
from riskml.features.standard import STANDARD
from riskml.findings import in_words

if TYPE_CHECKING:
    from riskml.features.declarations import Declaration, Feature
    from riskml.model.classifier import RiskClassifier
    from riskml.tables.monitoring import Monitoring


def data_used(
    data: Monitoring,
    model: RiskClassifier,
    household_id: str,
    as_of_date: object,
    *,
    features: Sequence[Declaration] = STANDARD,
) -> pd.DataFrame:
    """Return the tables that the features of a model read, and what they held of a household on a day.

    Parameters
    ----------
    data : Monitoring
        The tables.
    model : RiskClassifier
        A fitted model.
    household_id : str
        The household.
    as_of_date : date
        The day the question was asked; only records known before it count.
    features : sequence of declarations, optional
        Where the features are declared; default :data:`riskml.STANDARD` and those of the data.

    Returns
    -------
    DataFrame
        One row a table, most records first: ``table, n_records`` (versions in force on the day, 0 where the table
        holds none), ``first, last`` (days of the oldest and the newest record, NaT where none), ``columns`` (all that
        features read of it, conditions and births included, joined by ``;``; empty where records are only counted, or a
        function of one's own may read any). Incomes of neighbours are of other households and not listed.

    Raises
    ------
    KeyError
        If the household is not in the data.
    ValueError
        If a feature of the model is declared nowhere, or the data lack its table.

    Examples
    --------
    >>> from riskml import RiskClassifier, training_dates, training_set
    >>> from riskml.datasets import make_monitoring
    >>> data = make_monitoring(60, n_months=30, random_state=3)
    >>> X, y = training_set(data, training_dates(data, horizon_months=6), horizon_months=6)
    >>> used = data_used(data, RiskClassifier(n_estimators=5).fit(X, y), "H000001", "2023-01-01")
    >>> used["table"].iloc[0]
    'incomes'
    """
    if household_id not in set(data.household_ids):
        raise KeyError(f"household_id {household_id!r} is not in the data")
    day = pd.Timestamp(str(as_of_date))
    declared = {feature.name: feature for feature in available(data, (*features, *data.features))}
    read: dict[str, list[str]] = {}
    unknown = [str(name) for name in model.feature_names_in_ if name not in declared]
    if unknown:
        raise ValueError(
            in_words(
                f"{len(unknown)} features of the model are not declared for these data (first: {unknown[0]}), so "
                "nobody can say which records they read",
                f"模型有{len(unknown)}个特征在这些数据中没有声明（首例：{unknown[0]}），无法说明其读取了哪些记录",
            )
        )
    for name in model.feature_names_in_:
        for table, column in _read(declared[name], declared):
            # Welfare records are made of incomes where there is no table of them.
            of_incomes = table == "welfare" and "welfare" not in data.tables
            read.setdefault("incomes" if of_incomes else table, []).append("" if of_incomes else column)
    rows = []
    for table, columns in read.items():
        versions = data.versions(table)
        known = (versions["household_id"] == household_id) & (versions["known_on"] < day)
        records = versions[known & ~(versions["superseded_on"] < day)]
        date = next((records[name] for name in ("date", "start") if name in records), records["known_on"])
        said = ";".join(dict.fromkeys(column for column in columns if column))
        rows.append((table, len(records), date.min(), date.max(), said))
    used = pd.DataFrame(rows, columns=["table", "n_records", "first", "last", "columns"])
    return used.sort_values("n_records", ascending=False, kind="stable", ignore_index=True)


def _read(feature: Feature, declared: dict[str, Feature]) -> Iterator[tuple[str, str]]:
    """Yield (table, column) of all that a feature reads, column empty where rows are only counted."""
    if feature.kernel == "derived":
        for name in feature.inputs:
            yield from _read(declared[name], declared)
    elif feature.kernel == "custom":
        yield from ((table, "") for table in feature.tables)
    elif feature.kernel not in ("neighbours", "season"):
        yield feature.table, feature.column or ""
        yield from ((feature.table, column) for column, _, _ in feature.where)
        if any(map(math.isfinite, feature.ages)) or feature.stat == "max_age":
            yield feature.table, "birth"
