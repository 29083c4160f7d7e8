"""What moved a risk from one date to the next: new records, the passing of time, the line, the model; by cause.

The difference is split by feature, by the Shapley values of taking every feature from before or from now: a feature
that did not move gets exactly nothing. Each feature is then filed under what moved it. To see that, the features are
computed again for today, with the records known before, and with all records but the line known before: what the line
moves is filed under the line; of the rest, a feature that new records change under them, and any other moved because
time passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from riskml.causes import CAUSES, cause_topic
from riskml.explanation.contributions import points_per_log_odds
from riskml.explanation.trees import BLOCK_ROWS, columns, decide, max_nodes
from riskml.explanation.wording import format_points, format_risk, format_value
from riskml.features.panel import features_of
from riskml.features.records import rows_behind
from riskml.features.standard import STANDARD
from riskml.model.booster_text import Trees, trees_of

if TYPE_CHECKING:
    from riskml.features.declarations import Declaration
    from riskml.model.classifier import RiskClassifier
    from riskml.tables.monitoring import Monitoring

FloatArray = NDArray[np.float64]

#: What moves a risk, with its name in words.
STEPS = {
    "model": ("the new model", "模型更新"),
    "time": ("the passing of time", "时间推移"),
    "line": ("the changed line", "贫困线调整"),
    "records": ("new records", "新登记的信息"),
}
#: A step with less than this share of the first one's points is not said.
_LEAST_SHARE = 0.2
_KEYS = ["household_id", "as_of_date"]


def explain_change(
    model: RiskClassifier,
    X_before: pd.DataFrame,
    X_now: pd.DataFrame,
    *,
    data: Monitoring | None = None,
    model_before: RiskClassifier | None = None,
    features: Sequence[Declaration] = STANDARD,
) -> Change:
    """Split the difference of two risks of each household into what moved it.

    Parameters
    ----------
    model : RiskClassifier
        The model in use now.
    X_before, X_now : DataFrame of shape (n_rows, n_features)
        Feature tables of one as-of date each, indexed by ``(household_id, as_of_date)``, with the columns of the models
        and perhaps others. Households in both are explained.
    data : Monitoring, optional
        The tables ``X_now`` was computed from. With them the passing of time, a changed line and new records are told
        apart; without them all that moved in the features counts as new records.
    model_before : RiskClassifier, optional
        The model in use before; default the same.
    features : sequence of declarations, optional
        Where the features are declared; default :data:`riskml.STANDARD` and those of the data.

    Returns
    -------
    Change
        One row a household that is in both tables, in the order of ``X_now``.

    Raises
    ------
    ValueError
        If a table has several as-of dates or none, a household twice, columns that do not fit the model, or values
        that the data do not give.

    Notes
    -----
    Within the features these are baseline Shapley values (Sundararajan and Najmi 2020, "The many Shapley values for
    model explanation"), exact for trees. A change of model is measured on the features of before and not split by
    feature.

    Examples
    --------
    >>> from riskml import RiskClassifier
    >>> rng = np.random.default_rng(0)
    >>> index = pd.MultiIndex.from_product([["a", "b"], pd.to_datetime(["2024-01-01"])], names=_KEYS)
    >>> X = pd.DataFrame(rng.normal(size=(400, 2)), columns=["bills", "wage"])
    >>> model = RiskClassifier().fit(X, (X["bills"] - X["wage"] > 1).astype(int))
    >>> before = pd.DataFrame({"bills": [0.0, 1.0], "wage": [0.5, 0.5]}, index=index)
    >>> now = before.assign(bills=[2.0, 1.0]).rename({before.index[0][1]: pd.Timestamp("2024-02-01")}, level=1)
    >>> change = explain_change(model, before, now)
    >>> bool(np.allclose(change.by_step().sum(axis=1), change.risk_now - change.risk_before))
    True
    """
    days = _day_of(X_before), _day_of(X_now)
    before, now = X_before.droplevel(1), X_now.droplevel(1)
    both = now.index[now.index.isin(before.index)]
    first = model if model_before is None else model_before
    earlier = _columns_of(first, before.loc[both])
    risk_before, start = first.predict_risk(earlier), first.decision_function(earlier)
    before, now = (_columns_of(model, X.loc[both]) for X in (before, now))
    risk_now, same = model.predict_risk(now), model.decision_function(before)
    names = [str(name) for name in model.feature_names_in_]
    before, now = before[names], now[names]
    aged, old_line = (before, now) if data is None or not len(both) else _between(data, now, days, features)
    slope, _ = model.calibration_
    trees = trees_of(model.booster_)
    first_step, last_step = (
        (X.to_numpy(dtype=np.float64) for X in pair) for pair in ((before, old_line), (old_line, now))
    )
    moved = before.ne(old_line).to_numpy() & ~(before.isna() & old_line.isna()).to_numpy()
    news = aged.ne(old_line).to_numpy() & ~(aged.isna() & old_line.isna()).to_numpy()
    return Change(
        values=slope * _pair_values(trees, *first_step),
        moved_by=np.where(moved, np.where(news, "records", "time"), ""),
        line_values=slope * _pair_values(trees, *last_step),
        model_value=same - start,
        start=start,
        risk_before=risk_before,
        risk_now=risk_now,
        X_before=before,
        X_old_line=old_line,
        X_now=now,
        days=days,
        dictionary=model.dictionary_.reset_index(drop=True),
    )


@dataclass(frozen=True, eq=False)
class Change:
    """What moved the risk of each household between two dates.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Calibrated log-odds that each feature added, with the line known before.
    moved_by : ndarray of str, shape (n_rows, n_features)
        What moved it so: ``time`` or ``records``; empty where it did not move.
    line_values : ndarray of shape (n_rows, n_features)
        Calibrated log-odds that each feature added because a line is now known that was not known before.
    model_value : ndarray of shape (n_rows,)
        Log-odds that the new model added.
    start : ndarray of shape (n_rows,)
        Log-odds before.
    risk_before, risk_now : Series of length n_rows
        Risks, indexed by ``household_id``.
    X_before, X_old_line, X_now : DataFrame of shape (n_rows, n_features)
        The features before, now with the line known before, and now; indexed by ``household_id``.
    days : tuple of Timestamp
        As-of dates before and now.
    dictionary : DataFrame of n_features rows
        Feature dictionary of the columns.
    """

    values: FloatArray
    moved_by: NDArray[np.str_]
    line_values: FloatArray
    model_value: FloatArray
    start: FloatArray
    risk_before: pd.Series
    risk_now: pd.Series
    X_before: pd.DataFrame
    X_old_line: pd.DataFrame
    X_now: pd.DataFrame
    days: tuple[pd.Timestamp, pd.Timestamp]
    dictionary: pd.DataFrame

    def in_points(self) -> pd.DataFrame:
        """Return what each mover and cause moved, as parts of the difference of the risks.

        Returns
        -------
        DataFrame of shape (n_rows, 40)
            Probabilities (0.09 is nine percentage points), indexed by ``household_id``; columns ``("model", "")`` and
            ``(step, cause)``. A row sums to ``risk_now - risk_before``; parts are carried over from log-odds along a
            straight line, as in :meth:`riskml.Explanation.in_points`.
        """
        total = self.model_value + self.values.sum(axis=1) + self.line_values.sum(axis=1)
        scale = points_per_log_odds(self.start, total)
        parts = {("model", ""): self.model_value * scale}
        for step in list(STEPS)[1:]:
            points = self._values_of(step) * scale[:, None]
            for cause in CAUSES:
                parts[step, cause] = points[:, (self.dictionary["cause"] == cause).to_numpy()].sum(axis=1)
        return pd.DataFrame(parts, index=self.risk_now.index).rename_axis(columns=["step", "cause"])

    def by_step(self) -> pd.DataFrame:
        """Return the points of the model, the passing of time, the line and new records.

        Returns
        -------
        DataFrame of shape (n_rows, 4)
            Columns :data:`STEPS`, indexed by ``household_id``; a row sums to ``risk_now - risk_before``.
        """
        return self.in_points().T.groupby(level="step", sort=False).sum().T[list(STEPS)]

    def by_cause(self) -> pd.DataFrame:
        """Return the points of each cause over all steps but the model, which has no cause.

        Returns
        -------
        DataFrame of shape (n_rows, 13)
            One column a cause, indexed by ``household_id``.
        """
        points = self.in_points().drop(columns="model", level="step")
        return points.T.groupby(level="cause", sort=False).sum().T[list(CAUSES)]

    def reasons(self, data: Monitoring | None = None, *, features: Sequence[Declaration] = STANDARD) -> pd.DataFrame:
        """Return one readable sentence a household in English and in Chinese.

        It names the steps that moved the risk the way it went, most points first, each with the feature that moved it
        most, its value before and after, and with data the day of the newest new record behind it.

        Parameters
        ----------
        data : Monitoring, optional
            The tables ``X_now`` was computed from.
        features : sequence of declarations, optional
            Where the features are declared.

        Returns
        -------
        DataFrame
            ``sentence_en, sentence_zh``, indexed by ``household_id``.
        """
        steps = self.by_step().to_numpy()
        direction = np.where(self.risk_now.to_numpy() < self.risk_before.to_numpy(), -1.0, 1.0)
        leading = {step: self._leading(step, direction) for step in list(STEPS)[1:]}
        newest = {} if data is None else self._newest(data, leading["records"], features)
        said = []
        for row, household in enumerate(self.risk_now.index):
            towards = steps[row] * direction[row]
            least = max(0.0005, _LEAST_SHARE * towards.max())
            parts = []
            for k in np.argsort(-towards, kind="stable"):
                step = list(STEPS)[k]
                if towards[k] >= least:
                    place = leading[step][row] if step in leading else -1
                    day = newest.get(household) if step == "records" else None
                    parts.append(self._part(step, steps[row, k], row, place, day))
            said.append(_sentence(self.risk_before.iloc[row], self.risk_now.iloc[row], parts))
        return pd.DataFrame(said, index=self.risk_now.index, columns=["sentence_en", "sentence_zh"])

    def _values_of(self, step: str) -> FloatArray:
        """Return the log-odds that features added in a step."""
        return self.line_values if step == "line" else np.where(self.moved_by == step, self.values, 0.0)

    def _leading(self, step: str, direction: FloatArray) -> NDArray[np.int64]:
        """Return the position of the feature that moved each row most the way it went, -1 where none may be named."""
        spoken = ~self.dictionary["sensitive"].to_numpy(dtype=bool)
        towards = np.where(spoken, self._values_of(step) * direction[:, None], 0.0)
        best = towards.argmax(axis=1)
        return np.where(towards[np.arange(len(best)), best] > 0, best, -1)

    def _newest(
        self, data: Monitoring, leading: NDArray[np.int64], features: Sequence[Declaration]
    ) -> dict[str, pd.Timestamp]:
        """Return the day of the newest record behind each household's leading feature that was not known before."""
        found: dict[str, pd.Timestamp] = {}
        names = self.dictionary["name"].to_numpy()
        for place in np.unique(leading[leading >= 0]):
            households = self.risk_now.index[leading == place]
            index = pd.MultiIndex.from_product([households, [self.days[1]]], names=_KEYS)
            rows = rows_behind(data, index, [names[place]], features)
            news = rows[rows["known_on"] >= self.days[0]]
            ended = news["end"].notna() & (news["end"] < self.days[1])
            newest = news["end"].where(ended, news["date"]).groupby(news["household_id"]).max()
            found.update(zip(newest.index, newest, strict=True))
        return found

    def _part(self, step: str, points: float, row: int, place: int, day: pd.Timestamp | None) -> tuple[str, str]:
        """Return a mover with its points, its leading feature and the day of the newest record in words."""
        said = [
            f"{STEPS[step][0]} ({format_points(points)} points",
            f"{STEPS[step][1]}（{format_points(points)}个百分点",
        ]
        if place >= 0:
            feature = {str(name): str(value) for name, value in self.dictionary.iloc[place].items()}
            tables = (self.X_old_line if step == "line" else self.X_before, self.X_now)
            for k, (language, mark, colon, comma) in enumerate((("en", "; ", ": ", ", "), ("zh", "；", "：", "，"))):
                was, now = (
                    format_value(X.to_numpy(dtype=np.float64)[row, place], feature["unit"], language) for X in tables
                )
                label = feature[f"label_{language}"] or feature["label_en"]
                said[k] += f"{mark}{cause_topic(feature['cause'], language)}{colon}{label}{comma}{was} → {now}"
                said[k] += "" if day is None or pd.isna(day) else f"{comma}{day:%Y-%m-%d}"
        return f"{said[0]})", f"{said[1]}）"


def _sentence(before: float, now: float, parts: list[tuple[str, str]]) -> tuple[str, str]:
    was, is_now = format_risk(before), format_risk(now)
    if was == is_now or not parts:
        return f"Risk unchanged at {is_now}.", f"返贫风险{is_now}，无变化。"
    verb_en, verb_zh = ("rose", "升至") if now > before else ("fell", "降至")
    return (
        f"Risk {verb_en} from {was} to {is_now}: {'; '.join(en for en, _ in parts)}.",
        f"返贫风险由{was}{verb_zh}{is_now}：{'；'.join(zh for _, zh in parts)}。",
    )


def _day_of(X: pd.DataFrame) -> pd.Timestamp:
    """Return the one as-of date of a feature table."""
    if X.index.nlevels != 2:
        raise ValueError("explain_change: tables must be indexed by (household_id, as_of_date), as feature_table gives")
    days = X.index.get_level_values(1).unique()
    if len(days) != 1:
        raise ValueError(f"explain_change: a table has {len(days)} as-of dates; choose one before and one now")
    households = X.index.get_level_values(0)
    if households.has_duplicates:
        raise ValueError(f"explain_change: household_id {households[households.duplicated()][0]!r} is there twice")
    return pd.Timestamp(days[0])


def _columns_of(model: RiskClassifier, X: pd.DataFrame) -> pd.DataFrame:
    """Return the columns the model knows; it says itself what is missing."""
    return X.loc[:, X.columns.isin(model.feature_names_in_)]


def _between(
    data: Monitoring, now: pd.DataFrame, days: tuple[pd.Timestamp, pd.Timestamp], features: Sequence[Declaration]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the features of now with the records known before, and with all records but the line known before.

    Data that do not give the features of now are refused.
    """
    then = data.known_by(days[0])
    old_line = replace(data, tables={**data.tables, "lines": then.tables["lines"]}, checked=False)
    computed, aged, lined = (
        # A table without a record before has no columns yet.
        features_of(known, now.index, days[1], features=features).reindex(columns=now.columns)
        for known in (data, then, old_line)
    )
    wrong = (computed.ne(now) & ~(computed.isna() & now.isna())).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"explain_change: the data do not give X_now for {int(wrong.sum())} of {len(now)} households (first: "
            f"{now.index[wrong][0]}); pass the data it was computed from"
        )
    return aged, lined


def _pair_values(trees: Trees, before: FloatArray, after: FloatArray) -> FloatArray:
    """Return the Shapley values of taking each feature from ``after`` instead of ``before``, row by row, in margins."""
    out = np.zeros_like(before)
    for start in range(0, len(before), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        _add_pairs(trees, columns(trees, before[block]), columns(trees, after[block]), out[block])
    return out


@njit(cache=True, nogil=True)
def _add_pairs(trees, before, after, out):  # type: ignore[no-untyped-def]
    """Add, leaf by leaf, the Shapley values of pairs of rows.

    A leaf is reached by a coalition that holds the p features that only the row after fulfils and none of the q that
    only the row before does, if the others on its path are fulfilled by both: (p-1)! q! / (p+q)! for each of the
    first, -p! (q-1)! / (p+q)! for each of the second.
    """
    n_rows = before.shape[1]
    shape = (max_nodes(trees), n_rows)
    left_before, left_after = np.empty(shape, dtype=np.uint8), np.empty(shape, dtype=np.uint8)
    feature = np.empty(shape[0] + 1, dtype=np.int64)
    holds = np.empty((2, shape[0] + 1), dtype=np.uint8)
    for tree in range(len(trees.first_node) - 1):
        first, end = trees.first_node[tree], trees.first_node[tree + 1]
        decide(trees, tree, before, left_before)
        decide(trees, tree, after, left_after)
        for row in range(n_rows):
            moved = False
            for node in range(end - first):
                moved |= left_before[node, row] != left_after[node, row]
            if not moved:
                continue
            for leaf in range(trees.first_leaf[tree], trees.first_leaf[tree + 1]):
                n = 0
                child = -1 - leaf
                node = trees.leaf_parent[leaf]
                while node >= 0:
                    k = 0
                    while k < n and feature[k] != trees.feature[node]:
                        k += 1
                    if k == n:
                        feature[n] = trees.feature[node]
                        holds[0, n] = holds[1, n] = 1
                        n += 1
                    is_left = trees.left[node] == child
                    holds[0, k] &= left_before[node - first, row] == is_left
                    holds[1, k] &= left_after[node - first, row] == is_left
                    child = node
                    node = trees.parent[node]
                p = q = 0
                reached = True
                for k in range(n):
                    if holds[0, k] and not holds[1, k]:
                        q += 1
                    elif holds[1, k] and not holds[0, k]:
                        p += 1
                    elif not holds[0, k]:
                        reached = False
                if not reached or p + q == 0:
                    continue
                # (p-1)! q! / (p+q)! = 1 / (p binomial(p+q, p)), and the other likewise.
                ways = 1.0
                for k in range(1, p + 1):
                    ways = ways * (q + k) / k
                for k in range(n):
                    if holds[1, k] and not holds[0, k]:
                        out[row, feature[k]] += trees.leaf_value[leaf] / (p * ways)
                    elif holds[0, k] and not holds[1, k]:
                        out[row, feature[k]] -= trees.leaf_value[leaf] / (q * ways)
