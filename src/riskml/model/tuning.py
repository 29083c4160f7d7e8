"""A search for better settings than the preset, on earlier dates only, and what it gained on later ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from riskml.features.split import TemporalSplit
from riskml.findings import in_words
from riskml.model.calibration import fit_affine
from riskml.model.classifier import RiskClassifier

if TYPE_CHECKING:
    import optuna

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Fewer returns than this in a block cannot tell two settings apart.
LEAST_RETURNS = 20
_DRAWS = 500


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Parameters
    ----------
    model : RiskClassifier
        Unfitted, with the settings found if they won on the newest dates, else the one that was given.
    settings : dict
        Parameters in which the best of the search differs from the model given, whether it won or not.
    gain, gain_lower, gain_upper : float
        Log loss of the model given less that of the settings found, on the newest block of dates, which took no part in
        the search; its 95 % interval draws households. Positive: the search won.
    trials : DataFrame
        One row a trial, in order: the parameters and ``loss``, the mean over the blocks of the search.
    judged_from : Timestamp
        First as-of date of the newest block.
    """

    model: RiskClassifier
    settings: dict[str, Any]
    gain: float
    gain_lower: float
    gain_upper: float
    trials: pd.DataFrame
    judged_from: pd.Timestamp

    def __str__(self) -> str:
        """Say what was gained."""
        done = "the settings found are used" if self.gain > 0 else "the preset stays"
        return (
            f"{len(self.trials)} trials; on the dates from {self.judged_from:%Y-%m-%d}, which the search did not see, "
            f"log loss is {self.gain:+.5f} better ({self.gain_lower:+.5f} to {self.gain_upper:+.5f}); {done}"
        )


def tune(
    X: pd.DataFrame,
    y: pd.Series,
    *,
    horizon_months: int,
    sample_weight: NDArray[np.float64] | None = None,
    outcome_welfare: pd.Series | None = None,
    model: RiskClassifier | None = None,
    n_trials: int = 30,
    n_blocks: int = 3,
    random_state: int = 0,
) -> Tuning:
    """Search settings of the classifier by Optuna (extra ``tune``), on temporal folds only.

    The as-of dates are cut into blocks (:class:`riskml.TemporalSplit`); a block is scored by a model of the rows whose
    outcome lay wholly before it. All blocks but the newest decide the search, by log loss after a Cox fit of level and
    slope within the block, since those are learned anew by calibration whatever the settings. The newest block then
    says what the search gained. Where that is nothing, the model given is returned.

    Parameters
    ----------
    X : DataFrame, shape (n_rows, n_features)
        Features indexed by ``(household_id, as_of_date)``.
    y : Series, shape (n_rows,)
        Labels 0/1.
    horizon_months : int
        Months from the as-of date to the outcome.
    sample_weight : ndarray of float64, shape (n_rows,), optional
        Weights, for learning and for the losses.
    outcome_welfare : Series, shape (n_rows,), optional
        Welfare that decided the labels, as for :meth:`riskml.RiskClassifier.fit`; losses are those of the labels.
    model : RiskClassifier, optional
        What to start from and to compare with; default the preset.
    n_trials : int, default 30
        Settings tried, the model given among them.
    n_blocks : int, default 3
        Blocks of dates, the newest included.
    random_state : int, default 0
        Seed of the search (tree-structured Parzen estimator; Bergstra et al. 2011).

    Returns
    -------
    Tuning
        With the model to fit.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    ValueError
        If there are fewer than two blocks, too few dates for them, or fewer than 20 returns before or in one.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            in_words("tuning needs Optuna: pip install 'riskml[tune]'", "调参需要 Optuna：pip install 'riskml[tune]'")
        ) from error
    if n_blocks < 2:
        raise ValueError(f"n_blocks must be at least 2: one to choose by and the newest to judge by; got {n_blocks}")
    given = clone(RiskClassifier(horizon_months=horizon_months) if model is None else model)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    blocks = list(_blocks(X, y, n_blocks, horizon_months))

    def losses(tried: RiskClassifier, past: IntArray, block: IntArray) -> FloatArray:
        """Return the weighted log loss of each row of a block, after level and slope are fitted to the block."""
        welfare = None if outcome_welfare is None else outcome_welfare.iloc[past]
        fitted = clone(tried).set_params(calibrate=False)
        fitted.fit(X.iloc[past], y.iloc[past], weight[past], outcome_welfare=welfare)
        margin, outcome = fitted.decision_function(X.iloc[block]), y.iloc[block].to_numpy(dtype=np.float64)
        slope, levels = fit_affine(margin, outcome, weight[block])
        z = slope * margin + levels[0]
        return weight[block] * (np.logaddexp(0, z) - outcome * z)

    def loss(trial: optuna.Trial) -> float:
        """Return the mean loss of a trial over the blocks of the search."""
        tried = clone(given).set_params(**_suggested(trial, given))
        return float(np.mean([losses(tried, *rows).sum() / weight[rows[1]].sum() for rows in blocks[:-1]]))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=random_state))
    study.enqueue_trial({name: getattr(given, name) for name in _SPACE})
    study.optimize(loss, n_trials=n_trials)
    found = {name: value for name, value in study.best_params.items() if value != getattr(given, name)}
    past, newest = blocks[-1]
    better = losses(given, past, newest) - losses(clone(given).set_params(**found), past, newest)
    gain, lower, upper = _mean_of(better, weight[newest], X.index.get_level_values(0)[newest], random_state)
    trials = pd.DataFrame([{**trial.params, "loss": trial.value} for trial in study.trials])
    judged_from = X.index.get_level_values("as_of_date")[newest].min()
    return Tuning(given.set_params(**found) if gain > 0 else given, found, gain, lower, upper, trials, judged_from)


#: What is searched: lowest, highest, and whether steps are equal ratios.
_SPACE: dict[str, tuple[float, float, bool]] = {
    "n_estimators": (150, 900, True),
    "learning_rate": (0.01, 0.06, True),
    "num_leaves": (3, 16, True),
    "max_depth": (2, 7, False),
    "min_child_samples": (5, 200, True),
    "feature_fraction": (0.05, 0.6, True),
    "bagging_fraction": (0.3, 0.9, False),
    "lambda_l2": (0.5, 100.0, True),
}


def _suggested(trial: optuna.Trial, given: RiskClassifier) -> dict[str, float]:
    """Return the parameters of a trial, from ranges that hold those of the model given."""
    tried: dict[str, float] = {}
    for name, (low, high, ratios) in _SPACE.items():
        value = getattr(given, name)
        suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
        tried[name] = suggest(name, min(low, value), max(high, value), log=ratios)  # type: ignore[arg-type]
    return tried


def _blocks(X: pd.DataFrame, y: pd.Series, n_blocks: int, horizon_months: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield rows before and in each block; refuse blocks that cannot tell settings apart."""
    for past, block in TemporalSplit(n_blocks, horizon_months=horizon_months).split(X):
        returns = min(int(y.iloc[past].sum()), int(y.iloc[block].sum()))
        if returns < LEAST_RETURNS:
            raise ValueError(
                in_words(
                    f"a block of dates has {returns} returns before or in it, and tuning needs {LEAST_RETURNS}; "
                    "add dates or lower n_blocks",
                    f"某一时段内或其之前只有{returns}起返贫，调参至少需要{LEAST_RETURNS}起；请增加日期或减小 n_blocks",
                )
            )
        yield past, block


def _mean_of(better: FloatArray, weight: FloatArray, household: pd.Index, seed: int) -> tuple[float, float, float]:
    """Return the weighted mean of what is summed, and its 95 % interval when households are drawn."""
    codes = pd.factorize(household)[0]
    sums, sizes = np.bincount(codes, better), np.bincount(codes, weight)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (_DRAWS, len(sums)))
    lower, upper = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return float(sums.sum() / sizes.sum()), float(lower), float(upper)
