"""The rivals of the skill benchmark: the simple ones of the library, and learners of others tuned by their own means.

A learner sees training rows, their outcomes and the features of the test rows, never a test outcome. What it tunes, it
tunes on training rows of households that it has not learned from, later ones wherever the rows have more than one date:
the same household at two dates has nearly the same outcome, which would call for too large a model. FLAML and the EBM
hold out whole households in ways of their own.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, GroupShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import QuantileTransformer, SplineTransformer, StandardScaler

from riskml.features.split import as_of_dates_of
from riskml.skill import baselines

N_THREADS = 2


@dataclass(frozen=True)
class Rival:
    """A learner: its function, what it is set to, and the package it cannot do without.

    ``learn(X_train, y_train, X_test, **settings)`` returns the scores of the test rows.
    """

    learn: Callable[..., np.ndarray]
    settings: dict[str, Any] = field(default_factory=dict)
    package: str = "scikit-learn"

    @property
    def missing(self) -> bool:
        """Whether the package is not installed."""
        try:
            importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError:
            return True
        return False

    @property
    def identity(self) -> str:
        """What the scores depend on besides the rows: the function with its helpers, settings, version."""
        settings = json.dumps({name: str(value) for name, value in self.settings.items()}, sort_keys=True)
        return f"{_source(self.learn)}\n{settings}\n{self.package} {importlib.metadata.version(self.package)}"


def rivals() -> dict[str, Rival]:
    """Return all rivals by name, those of the library first."""
    simple = {name: Rival(_simple, {"name": name}) for name in baselines.rivals()}
    return simple | {
        "logistic, splines": Rival(_splines, {"knots": 5, "penalties": (0.00003, 0.0001, 0.0003, 0.001, 0.003)}),
        "plain LightGBM": Rival(
            _lightgbm,
            {"n_estimators": 300, "learning_rate": 0.03, "num_leaves": 15, "min_child_samples": 40},
            "lightgbm",
        ),
        "CatBoost": Rival(_catboost, {"most": 2000, "learning_rate": 0.03, "patience": 100}, "catboost"),
        "EBM": Rival(_ebm, {"outer_bags": 14, "interactions": 20}, "interpret-core"),
        "FLAML": Rival(_flaml, {"seconds": 120}, "flaml"),
    }


def newest_block(X: pd.DataFrame, share: float = 0.15) -> np.ndarray | None:
    """Return which rows are of the newest dates that together hold a share of the rows; None if all are of one date."""
    dates = as_of_dates_of(X)
    counts = pd.Series(1, index=dates).groupby(level=0).sum().sort_index()
    if len(counts) < 2:
        return None
    newer = counts[::-1].cumsum()
    first = min(newer.index[np.argmax(newer.to_numpy() >= share * len(X))], newer.index[0])
    return np.asarray(dates >= max(first, counts.index[1]))


def folds(X: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions to learn from and to judge on: of other households, and of the newest dates where there are more.

    Three folds of households; where all rows are of one date, nothing is later.
    """
    newest = newest_block(X)
    for fit, held in GroupKFold(3, shuffle=True, random_state=0).split(X, groups=X.index.get_level_values(0)):
        yield (fit, held) if newest is None else (fit[~newest[fit]], held[newest[held]])


def _simple(X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, *, name: str) -> np.ndarray:
    return baselines.rivals()[name].fit(X_train, y_train).predict_risk(X_test).to_numpy()


def _splines(
    X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, *, knots: int, penalties: tuple[float, ...]
) -> np.ndarray:
    """Cubic splines of every feature's rank beside its standard score; ridge penalty by log loss on held-out rows."""
    losses = np.zeros(len(penalties))
    for fit, held in folds(X_train):
        design = _design(knots).fit(X_train.iloc[fit])
        known, new = (design.transform(X_train.iloc[rows]).astype(np.float32) for rows in (fit, held))
        regression = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)
        for place, penalty in enumerate(penalties):
            regression.set_params(C=penalty).fit(known, y_train.iloc[fit])
            risk = regression.predict_proba(new)[:, 1].astype(np.float64)
            losses[place] += log_loss(y_train.iloc[held], risk, labels=[0, 1])
    best = penalties[int(losses.argmin())]
    design = _design(knots).fit(X_train)
    regression = LogisticRegression(C=best, max_iter=500, tol=1e-3)
    regression.fit(design.transform(X_train).astype(np.float32), y_train)
    return regression.predict_proba(design.transform(X_test).astype(np.float32))[:, 1].astype(np.float64)


def _design(knots: int) -> Pipeline:
    """Return standard scores and splines of ranks; features of few values give few different splines."""
    splines = make_pipeline(
        QuantileTransformer(n_quantiles=200, random_state=0), SplineTransformer(knots, include_bias=False)
    )
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        make_union(StandardScaler(), splines),
        StandardScaler(),
    )


def _lightgbm(X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, **settings: Any) -> np.ndarray:
    plain = lgb.LGBMClassifier(**settings, n_jobs=N_THREADS, verbose=-1)
    return plain.fit(X_train.to_numpy(), y_train).predict_proba(X_test.to_numpy())[:, 1]


def _catboost(
    X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, *, most: int, learning_rate: float, patience: int
) -> np.ndarray:
    """Learn from all rows with as many trees as early stopping on held-out rows asked for, in the mean of the folds."""
    from catboost import CatBoostClassifier

    fixed = {"learning_rate": learning_rate, "thread_count": N_THREADS, "random_seed": 0, "verbose": False}
    fixed |= {"allow_writing_files": False}
    wanted = []
    for fit, held in folds(X_train):
        early = CatBoostClassifier(iterations=most, early_stopping_rounds=patience, **fixed)
        early.fit(X_train.iloc[fit], y_train.iloc[fit], eval_set=(X_train.iloc[held], y_train.iloc[held]))
        wanted.append(early.get_best_iteration() + 1)
    machine = CatBoostClassifier(iterations=round(np.mean(wanted)), **fixed)
    return machine.fit(X_train, y_train).predict_proba(X_test)[:, 1]


def _ebm(
    X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, *, outer_bags: int, **settings: Any
) -> np.ndarray:
    """Learn InterpretML's explainable boosting machine; each of its bags stops early on households of its own."""
    from interpret.glassbox import ExplainableBoostingClassifier

    bags = np.ones((len(X_train), outer_bags), dtype=np.int8)
    splits = GroupShuffleSplit(outer_bags, test_size=0.15, random_state=0)
    for bag, (_, held) in zip(bags.T, splits.split(X_train, groups=X_train.index.get_level_values(0)), strict=True):
        bag[held] = -1
    machine = ExplainableBoostingClassifier(outer_bags=outer_bags, **settings, random_state=0, n_jobs=N_THREADS)
    return machine.fit(X_train, y_train, bags=bags).predict_proba(X_test)[:, 1]


def _flaml(X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame, *, seconds: int) -> np.ndarray:
    """Search learners and settings for log loss, with FLAML's folds of whole households."""
    from flaml import AutoML

    search = AutoML()
    search.fit(
        X_train=X_train.reset_index(drop=True),
        y_train=y_train.reset_index(drop=True),
        task="classification",
        metric="log_loss",
        time_budget=seconds,
        eval_method="cv",
        split_type="group",
        groups=pd.factorize(X_train.index.get_level_values(0))[0],
        n_jobs=N_THREADS,
        seed=0,
        verbose=0,
    )
    return search.predict_proba(X_test.reset_index(drop=True))[:, 1]


def _source(function: Callable[..., Any]) -> str:
    """Return the source of a function and of the functions of this module that it calls, and theirs."""
    if function is _simple:
        return Path(inspect.getfile(baselines)).read_text(encoding="utf-8")
    found, todo = {}, [function]
    while todo:
        one = todo.pop()
        if one.__name__ not in found:
            found[one.__name__] = inspect.getsource(one)
            called = (globals().get(name) for name in one.__code__.co_names)
            todo += [thing for thing in called if inspect.isfunction(thing) and thing.__module__ == __name__]
    return "\n".join(found[name] for name in sorted(found))
