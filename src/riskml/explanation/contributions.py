"""Why a risk is what it is: contributions that add up to it, by cause, in points, in words, with the records behind.

Contributions are Shapley values of the trees (:mod:`riskml.explanation.shapley`, exact). Calibration is affine in the
log-odds, so they stay exact after it. A contribution says what the score rests on; it does not say what would happen
if the feature were changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from riskml.causes import CAUSES
from riskml.explanation.coalitions import (
    CausesAs,
    Game,
    cause_interactions,
    cause_values,
    places_of,
    ranked_by,
    summed,
)
from riskml.explanation.evidence import leading_record, records_of_causes
from riskml.explanation.on_file import on_file
from riskml.explanation.reach import in_reach, with_reach
from riskml.explanation.shapley import Prepared, prepare, shapley_values
from riskml.explanation.stability import LEAST_SHARE, cause_stability
from riskml.explanation.wording import UNSPOKEN, dated, phrase, sentences, uncertain
from riskml.features.standard import STANDARD
from riskml.model.booster_text import trees_of

if TYPE_CHECKING:
    from riskml.features.declarations import Declaration
    from riskml.model.classifier import RiskClassifier
    from riskml.tables.monitoring import Monitoring

FloatArray = NDArray[np.float64]
_KEYS = ["household_id", "as_of_date"]
_LEADING = [*_KEYS, "cause", "cause_points", "feature", "value", "points"]
#: A feature that help can change is named before one it cannot where it raises the risk by at least this share of it.
_COMPARABLE = 0.5
#: Booster -> its last background (as bytes) and what was prepared for it, so that only the first call pays.
_PREPARED: WeakKeyDictionary[lgb.Booster, tuple[bytes | None, Prepared]] = WeakKeyDictionary()


def explain(
    model: RiskClassifier,
    X: pd.DataFrame,
    *,
    background: pd.DataFrame | None = None,
    causes: CausesAs = "sum",
) -> Explanation:
    """Split the risk of every row into what each feature adds to it or takes from it.

    Parameters
    ----------
    model : RiskClassifier
        A fitted model.
    X : DataFrame of shape (n_rows, n_features)
        A feature table, with the columns of the model in any order.
    background : DataFrame of shape (n_background, n_features), optional
        Rows to compare with, such as 100 households of the same district: every explanation starts from their mean
        log-odds, and says what sets the row apart from them. By default it starts from the training rows, as the
        trees remember them.
    causes : {"sum", "players"}, default "sum"
        How points by cause, causes and reasons are counted: what the features of a cause get, summed; or what the
        cause gets as a player, all its features entering together (docs/explanations.md says where they differ).

    Returns
    -------
    Explanation
        Contributions in calibrated log-odds; ``base_value + values.sum(axis=1)`` is the log-odds of the risk.

    Raises
    ------
    ValueError
        If columns are missing or unknown to the model, the background has no rows, or ``causes`` is another.

    Notes
    -----
    Shapley values of Lundberg, Erion, Chen et al. 2020, "From local explanations to global understanding with
    explainable AI for trees", times the slope of the calibration. Without a background they are the path-dependent
    ones, as ``model.booster_.predict(X, pred_contrib=True)`` gives; with one, the interventional ones, the mean over
    its rows of the Shapley values of taking features from one row or the other.

    The first call for a booster and background makes tables (about 0.05 s for 600 trees of 8 leaves); the
    last ones are kept with the booster.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from riskml import RiskClassifier, explain
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(400, 2)), columns=["bills", "wage"])
    >>> y = (X["bills"] - X["wage"] + rng.normal(size=400) > 1).astype(int)
    >>> model = RiskClassifier().fit(X, y)
    >>> explanation = explain(model, X)
    >>> log_odds = explanation.base_value + explanation.values.sum(axis=1)
    >>> bool(np.allclose(1 / (1 + np.exp(-log_odds)), model.predict_risk(X)))
    True
    """
    if causes not in ("sum", "players"):
        raise ValueError(f"explain(causes={causes!r}): expected 'sum' or 'players'")
    risk = model.predict_risk(X)
    names = [str(name) for name in model.feature_names_in_]
    X = X[names]
    if background is not None:
        # Refuses columns that do not fit, as it did for X.
        model.predict_risk(background)
        background = background[names]
    prepared = _prepared(model.booster_, background)
    slope, intercept = model.calibration_
    rows = None if background is None else background.to_numpy(dtype=np.float64)
    players = places_of(model.dictionary_)
    return Explanation(
        values=slope * shapley_values(prepared, X.to_numpy(dtype=np.float64)),
        base_value=float(slope * prepared.base_value + intercept),
        risk=risk,
        X=X,
        dictionary=model.dictionary_.reset_index(drop=True),
        causes=causes,
        game=Game(trees_of(model.booster_), rows, players, slope),
        refits=tuple(Game(trees_of(booster), rows, players, slope) for booster in model.refits_),
    )


@dataclass(frozen=True, eq=False)
class Explanation:
    """What every feature adds to the risk of every row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features)
        Contributions in calibrated log-odds.
    base_value : float
        Log-odds where every row starts: the mean over the training rows, or over the background.
    risk : Series of length n_rows
        The calibrated risk, indexed as ``X``.
    X : DataFrame of shape (n_rows, n_features)
        The feature table, columns in the order of ``values``.
    dictionary : DataFrame of n_features rows
        Feature dictionary of these columns.
    causes : {"sum", "players"}, default "sum"
        How causes are counted.
    game : Game, optional
        What was explained, for causes as players and their interactions.
    refits : tuple of Game, default ()
        The same of the model's refits, for the stability of the first cause.
    """

    values: FloatArray
    base_value: float
    risk: pd.Series
    X: pd.DataFrame
    dictionary: pd.DataFrame
    causes: CausesAs = "sum"
    game: Game | None = None
    refits: tuple[Game, ...] = ()

    @property
    def base_risk(self) -> float:
        """Risk where every row starts, ``expit(base_value)``."""
        return float(expit(self.base_value))

    def take(self, index: pd.Index) -> Explanation:
        """Return the explanation of some rows, in the order asked.

        Parameters
        ----------
        index : Index
            ``(household_id, as_of_date)`` of the rows.

        Returns
        -------
        Explanation
            Of these rows only.

        Raises
        ------
        KeyError
            If a row of ``index`` is not explained here.
        """
        rows = self.X.index.get_indexer(index)
        if (rows < 0).any():
            raise KeyError(f"{index[rows < 0][0]} is not among the {len(self.X)} rows explained; explain it first")
        return replace(self, values=self.values[rows], risk=self.risk.iloc[rows], X=self.X.iloc[rows])

    def by_cause(self, causes: CausesAs | None = None) -> pd.DataFrame:
        """Return the contributions of the causes in log-odds.

        Parameters
        ----------
        causes : {"sum", "players"}, optional
            How they are counted; default as this explanation counts.

        Returns
        -------
        DataFrame of shape (n_rows, 13)
            One column per cause of :data:`riskml.causes.CAUSES`, indexed as ``X``; either way a row sums to
            ``values.sum(axis=1)``.

        Raises
        ------
        ValueError
            If ``causes`` is another, or players are asked of an explanation that was not made by :func:`explain`.
        """
        causes = causes or self.causes
        if causes not in ("sum", "players"):
            raise ValueError(f"by_cause({causes!r}): expected 'sum' or 'players'")
        values = self._played if causes == "players" else summed(self.values, places_of(self.dictionary))
        return pd.DataFrame(values, index=self.X.index, columns=list(CAUSES))

    def interactions(self, unit: Literal["log-odds", "points"] = "log-odds") -> pd.DataFrame:
        """Return what each cause adds alone and what each pair of causes adds, for the households explained.

        Half of the Shapley interaction index of two causes stands in the row of either; what a cause adds alone stands
        in its own column.

        Parameters
        ----------
        unit : {"log-odds", "points"}, default "log-odds"
            Points are the parts of the risk, on the straight line of :meth:`in_points`.

        Returns
        -------
        DataFrame of shape (n_rows * 13, 13)
            Indexed as ``X`` and by ``cause``, one column per cause. A row sums to what ``by_cause("players")`` gives
            the cause, the rows of a household to its log-odds less ``base_value`` (points: ``risk - base_risk``).

        Raises
        ------
        ValueError
            If ``unit`` is another, or the explanation was not made by :func:`explain`.

        Notes
        -----
        About 0.5 ms a household for 600 trees of 8 leaves; with a background of 100 rows 15 ms. Take the households
        of interest first (:meth:`take`).
        """
        if unit not in ("log-odds", "points"):
            raise ValueError(f"interactions(unit={unit!r}): expected 'log-odds' or 'points'")
        pairs = cause_interactions(self._game(), self.X.to_numpy(dtype=np.float64))
        if unit == "points":
            pairs = pairs * self._points_per_log_odds()[:, None, None]
        index = self.X.index.repeat(len(CAUSES)).to_frame(index=False).assign(cause=list(CAUSES) * len(self.X))
        names = list(CAUSES)
        return pd.DataFrame(pairs.reshape(-1, len(names)), index=pd.MultiIndex.from_frame(index), columns=names)

    def in_points(self, by: Literal["cause", "feature"] = "cause") -> pd.DataFrame:
        """Return the contributions as parts of the risk: the rows sum to ``risk - base_risk``.

        The risk is a bent function of the log-odds. Walking in a straight line from the base to the row, each feature
        gets the risk gained along its own share of the way (Aumann and Shapley 1974), which is
        ``values * (risk - base_risk) / sum of values``.

        Parameters
        ----------
        by : {"cause", "feature"}, default "cause"
            What the columns are.

        Returns
        -------
        DataFrame
            Probabilities (0.09 is nine percentage points), indexed as ``X``.

        Raises
        ------
        ValueError
            If ``by`` is neither ``"cause"`` nor ``"feature"``.
        """
        if by not in ("cause", "feature"):
            raise ValueError(f"in_points(by={by!r}): expected 'cause' or 'feature'")
        per_log_odds = self._points_per_log_odds()[:, None]
        if by == "cause" and self.causes == "players":
            return self.by_cause() * per_log_odds
        points = self.values * per_log_odds
        if by == "cause":
            sums = summed(points, places_of(self.dictionary))
            return pd.DataFrame(sums, index=self.X.index, columns=list(CAUSES))
        return pd.DataFrame(points, index=self.X.index, columns=self.X.columns)

    def top_causes(self, n: int = 3) -> pd.DataFrame:
        """Return the causes that raise the risk most.

        Parameters
        ----------
        n : int, default 3
            How many.

        Returns
        -------
        DataFrame of shape (n_rows, n)
            Columns ``cause_1`` to ``cause_n``, indexed as ``X``: causes with points above zero, most first (of two
            with the same points the first of :data:`riskml.causes.CAUSES`), then ``""``. ``cause_1`` is always
            filled: where no cause raises the risk it is the one that lowers it least, ``other`` if none has a part.
        """
        points = self.in_points().to_numpy()
        order = np.argsort(-ranked_by(points), axis=1, kind="stable")[:, :n]
        names = np.array(list(CAUSES), dtype=object)[order]
        keep = np.take_along_axis(points, order, axis=1) > 0
        keep[:, :1] = True
        return pd.DataFrame(
            np.where(keep, names, ""), index=self.X.index, columns=[f"cause_{k + 1}" for k in range(order.shape[1])]
        )

    def on_file(self) -> pd.DataFrame:
        """Return of which causes an adverse record is on file: what happened, not why the risk is high.

        Returns
        -------
        DataFrame of bool, shape (n_rows, 11)
            One column per cause but ``income`` and ``other``, indexed as ``X``: whether one of the features of
            :data:`riskml.explanation.on_file.ADVERSE` reaches its bound. What is sensitive does not count. False where
            nothing is known, or where the model does not know such a feature.
        """
        return on_file(self.X, self.dictionary)

    def leading_features(self, n_causes: int = 3, n_features: int = 2, *, sensitive: bool = False) -> pd.DataFrame:
        """Return the features that raise the risk most within the top causes.

        Features that must not be spelled out (``sensitive``) are left out, those with a value come before those
        without, and of several windows or statistics of one column only the strongest stands. What help can change
        comes before what it cannot where it raises the risk at least half as much as the strongest.

        Parameters
        ----------
        n_causes, n_features : int
            How many causes, and how many features of each.
        sensitive : bool, default False
            Spell out sensitive features as well: for who examines the model, not for cards, lists and letters.

        Returns
        -------
        DataFrame
            ``household_id, as_of_date, cause, cause_points, feature, value, points``: rows in the order of ``X``, then
            of the causes, then of the features. A cause raised by sensitive features alone has no row.
        """
        leading = self._leading(n_causes, n_features, sensitive)
        keys = {name: self.X.index.get_level_values(level)[leading["row"]] for level, name in enumerate(_KEYS)}
        return leading.drop(columns=["row", "position", "place"]).assign(**keys)[_LEADING]

    def reasons(self, data: Monitoring | None = None, *, features: Sequence[Declaration] = STANDARD) -> pd.DataFrame:
        """Return one readable sentence per row in English and in Chinese.

        It names the causes that raise the risk by at least a tenth of what the first one does, each with its points
        and its leading feature. A risk that nothing raises is said to be so. A main reason that the refits of the
        model, or the other way to count causes, put in doubt is said to be uncertain.

        Parameters
        ----------
        data : Monitoring, optional
            The tables the feature table was computed from. With them each reason has the day and the amount of the
            record that leads it, or says since when there is none.
        features : sequence of declarations, optional
            Where the features are declared; default :data:`riskml.STANDARD` and those of the data.

        Returns
        -------
        DataFrame
            ``reason_en, reason_zh``, indexed as ``X``.
        """
        causes = self.top_causes()
        points = self.in_points().to_numpy()
        columns = {cause: position for position, cause in enumerate(CAUSES)}
        phrases = self._phrases() if data is None else self._dated_phrases(data, features)
        doubts = self._doubts(causes["cause_1"])
        said_of = []
        for row, (risk, names) in enumerate(zip(self.risk, causes.to_numpy(), strict=True)):
            said = [name for name in names if name and points[row, columns[name]] >= 0.0005]
            said = [name for name in said if points[row, columns[name]] >= 0.1 * points[row, columns[said[0]]]]
            parts = [(name, points[row, columns[name]], *phrases.get((row, name), UNSPOKEN)) for name in said]
            whole = sentences(float(risk), self.base_risk, parts, dict(zip(CAUSES, points[row], strict=True)))
            doubt = uncertain(said[0], *doubts[row]) if said else ("", "")
            said_of.append(tuple(text + further for text, further in zip(whole, doubt, strict=True)))
        return pd.DataFrame(said_of, index=self.X.index, columns=["reason_en", "reason_zh"])

    def evidence(
        self, data: Monitoring, *, features: Sequence[Declaration] = STANDARD, sensitive: bool = False
    ) -> pd.DataFrame:
        """Return the records that stand behind every top cause, at least one of each.

        They are those of the leading features of the cause; where these rest on no record, of the next feature that
        raises the risk; where none does, because something is absent, the last such record before, or the one with
        which the household came on file. Records behind a sensitive feature stand without feature, column and value.

        Parameters
        ----------
        data : Monitoring
            The tables the feature table was computed from.
        features : sequence of declarations, optional
            Where the features are declared; default :data:`riskml.STANDARD` and those of the data.
        sensitive : bool, default False
            Spell out sensitive features as well: for who examines the model, not for cards, lists and letters.

        Returns
        -------
        DataFrame
            ``household_id, as_of_date, cause, feature, table, date, end, known_on, column, value, amount, entered,
            reason_en, reason_zh, actionable, points_actionable``: rows in the order of ``X``, then of causes and
            features, newest record first. ``value`` has amounts in lines of a year and is NaN where records are only
            counted, ``amount`` has them in currency as the record does (NaN where it is none); ``entered`` says whether
            the record entered the feature's value; the reasons are the feature with its value in words, ``actionable``
            says whether help can change it, ``points_actionable`` is what all such features add to the household's
            risk.
        """
        found = records_of_causes(self, data, features=features, sensitive=sensitive)
        return with_reach(found, self)

    def to_shap(self) -> Any:
        """Return the same values as a ``shap.Explanation``, for the pictures of the shap package.

        Returns
        -------
        shap.Explanation
            ``values`` and ``base_values`` in calibrated log-odds.
        """
        import shap

        return shap.Explanation(
            values=self.values,
            base_values=np.full(len(self.X), self.base_value),
            data=self.X.to_numpy(dtype=np.float64),
            feature_names=[str(name) for name in self.X.columns],
        )

    @cached_property
    def _played(self) -> FloatArray:
        return cause_values(self._game(), self.X.to_numpy(dtype=np.float64))

    def _game(self) -> Game:
        if self.game is None:
            raise ValueError("this explanation has no trees to ask; make it with explain(model, X)")
        return self.game

    def _points_per_log_odds(self) -> FloatArray:
        return points_per_log_odds(self.base_value, self.values.sum(axis=1))

    def _doubts(self, first: pd.Series) -> list[tuple[int | None, int, str]]:
        """Return per row in how many refits a doubtful first cause stays first, of how many, and who else is first.

        None where the refits do not put it in doubt; of the other way to count, where causes are players.
        """
        n, others = len(self.refits), [""] * len(first)
        times: list[int | None] = [None] * len(first)
        if n:
            shares = cause_stability(self)["share_first"]
            times = [round(share * n) if share < LEAST_SHARE else None for share in shares]
        if self.causes == "players":
            summed_first = replace(self, causes="sum").top_causes(1)["cause_1"]
            others = ["" if one == other else other for one, other in zip(first, summed_first, strict=True)]
        return list(zip(times, [n] * len(first), others, strict=True))

    def _best_features(self, cause: str, n_features: int, sensitive: bool) -> NDArray[np.int64]:
        """Return the positions of a cause's strongest raising features, (n_rows, at most n_features), -1 where none."""
        spoken = sensitive | ~self.dictionary["sensitive"].to_numpy(dtype=bool)
        mine = spoken & (self.dictionary["cause"] == cause).to_numpy()
        groups = self._column_groups()
        strongest, position = [], []
        for group in np.unique(groups[mine]):
            members = np.flatnonzero(mine & (groups == group))
            # A missing value may be a reason, but one that can be shown comes first.
            known = np.where(self.X.iloc[:, members].isna(), 1e-9, 1.0)
            strength = self.values[:, members] * known
            best = strength.argmax(axis=1)
            strongest.append(strength[np.arange(len(best)), best])
            position.append(members[best])
        if not strongest:
            return np.empty((len(self.X), 0), dtype=np.int64)
        strength, positions = np.column_stack(strongest), np.column_stack(position)
        comparable = strength >= _COMPARABLE * strength.max(axis=1, keepdims=True)
        first = comparable & in_reach(self.dictionary)[positions]
        order = np.lexsort((-strength, ~first))[:, :n_features]
        raising = np.take_along_axis(strength, order, axis=1) > 0
        return np.where(raising, np.take_along_axis(positions, order, axis=1), -1)

    def _column_groups(self) -> NDArray[np.int64]:
        """Return a number per feature, equal for the windows and statistics of one column of one table."""
        entries = self.dictionary
        own = entries["name"].astype(object)
        column = entries["column"].astype(object) if "column" in entries else pd.Series("", index=entries.index)
        keys = np.where(column == "", own, entries["table"].astype(object) + "." + column)
        return pd.factorize(keys)[0]

    def _leading(self, n_causes: int, n_features: int, sensitive: bool = False) -> pd.DataFrame:
        """Return the leading features with the position of their row, cause and place within the cause."""
        causes = self.top_causes(n_causes)
        cause_points, points = self.in_points(), self.in_points("feature").to_numpy()
        found = []
        for cause in CAUSES:
            best = self._best_features(cause, n_features, sensitive)
            for position, place in np.ndindex(causes.shape[1], best.shape[1]):
                row = np.flatnonzero((causes.iloc[:, position] == cause).to_numpy() & (best[:, place] >= 0))
                found.append(
                    pd.DataFrame(
                        {
                            "row": row,
                            "position": position,
                            "place": place,
                            "cause": cause,
                            "cause_points": cause_points[cause].to_numpy()[row],
                            "feature": self.X.columns.to_numpy(dtype=object)[best[row, place]],
                            "value": self.X.to_numpy(dtype=np.float64)[row, best[row, place]],
                            "points": points[row, best[row, place]],
                        }
                    )
                )
        return pd.concat(found).sort_values(["row", "position", "place"], ignore_index=True)

    def _phrases(self) -> dict[tuple[int, str], tuple[str, str]]:
        """Return the leading feature of each (row, cause) in words."""
        leading = self._leading(3, 1)
        said = self._words(leading["row"], leading["feature"])
        return dict(zip(zip(leading["row"], leading["cause"], strict=True), said, strict=True))

    def _dated_phrases(
        self, data: Monitoring, features: Sequence[Declaration]
    ) -> dict[tuple[int, str], tuple[str, str]]:
        """Return the leading feature of each (row, cause) in words, with the record that leads it."""
        found = leading_record(records_of_causes(self, data, features=features, n_features=1))
        row = self.X.index.get_indexer(pd.MultiIndex.from_frame(found[_KEYS]))
        behind: dict[tuple[int, str], list[dict[Any, Any]]] = {}
        for record, place in zip(found.to_dict("records"), row, strict=True):
            behind.setdefault((int(place), record["cause"]), []).append(record)
        return {key: (dated(records), dated(records, "zh")) for key, records in behind.items()}

    def _words(self, row: Iterable[int], feature: Iterable[str]) -> list[tuple[str, str]]:
        """Return features with their values in words, English and Chinese."""
        words = self.dictionary.set_index("name")[["label_en", "label_zh", "unit"]].T.to_dict("list")
        values, place = self.X.to_numpy(dtype=np.float64), {name: k for k, name in enumerate(self.X.columns)}
        return [phrase(name, values[k, place[name]], *words[name]) for k, name in zip(row, feature, strict=True)]


def _prepared(booster: lgb.Booster, background: pd.DataFrame | None) -> Prepared:
    """Return the tables of a booster and a background, made before or now."""
    rows = None if background is None else background.to_numpy(dtype=np.float64)
    key = None if rows is None else rows.tobytes()
    known = _PREPARED.get(booster)
    if known is None or known[0] != key:
        known = _PREPARED[booster] = (key, prepare(trees_of(booster), rows))
    return known[1]


def points_per_log_odds(base: float | FloatArray, total: FloatArray) -> FloatArray:
    """Return ``(expit(base + total) - expit(base)) / total`` without cancellation, its limit where total is 0."""
    high, low = np.maximum(base, base + total), np.minimum(base, base + total)
    size = np.abs(total)
    ratio = np.ones_like(size)
    np.divide(-np.expm1(-size), size, out=ratio, where=size > 0)
    return expit(high) * expit(-low) * ratio
