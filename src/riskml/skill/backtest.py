"""The honest comparison: model and rivals learn from what was known on a day, and are judged on the dates after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.features.dictionary import feature_dictionary
from riskml.features.outcomes import learned_outcome
from riskml.features.panel import cohort
from riskml.features.standard import STANDARD
from riskml.findings import in_words
from riskml.model.classifier import RiskClassifier
from riskml.model.net import fit_net
from riskml.model.tuning import tune
from riskml.skill.baselines import rivals
from riskml.skill.benefits import concentration_curve, targeting_summary
from riskml.skill.decision import decision_curve
from riskml.skill.groups import chosen_groups, group_labels
from riskml.skill.metrics import calibration_table, evaluate
from riskml.skill.targeting import targeting_errors
from riskml.tables.monitoring import Monitoring

if TYPE_CHECKING:
    from riskml.buckets.store import Store

#: With fewer areas than this, households are drawn for the intervals instead of whole areas.
MIN_AREAS = 20


def fit_model(
    data: Monitoring | Store,
    X: pd.DataFrame,
    labels: pd.DataFrame | pd.Series,
    *,
    outcome: dict[str, Any],
    interval_groups: Sequence[str] = (),
    n_trials: int = 0,
    seed: int = 0,
) -> RiskClassifier:
    """Fit the model on a training set, with the meanings of the data's own features too.

    Parameters
    ----------
    data : Monitoring or Store
        The tables the training set comes from.
    X : DataFrame, shape (n_rows, n_features)
        As :func:`riskml.training_set` gives it.
    labels : DataFrame or Series, shape (n_rows,)
        What came of the rows (:func:`riskml.features.assistance.training_labels`): ``returned`` and, each optional,
        ``outcome_welfare``, ``weight`` and the same net of assistance, ``returned_net, outcome_welfare_net,
        weight_net`` (default: the first weights). Where ``returned_net`` has both classes and differs from
        ``returned`` somewhere, the model of the risk net of assistance is fitted too and put beside the model
        (``net_``); where no transfer is recorded a second risk would be the first, and say that aid does nothing. A
        Series is ``returned`` alone.
    outcome : dict
        What the labels mean: ``horizon_months, rule, net_of_assistance``; kept in ``fit_summary_``.
    interval_groups : sequence of str, default ()
        Columns whose combinations get intervals of their own, named as in :func:`riskml.skill.groups.chosen_groups`;
        kept in ``fit_summary_["interval_groups"]["by"]``, so that whoever scores can group alike. Of a folder's data
        only.
    n_trials : int, default 0
        Settings to try first (:func:`riskml.tune`); what that gained is kept in ``fit_summary_``.
    seed : int, default 0
        Of the model and the search.

    Returns
    -------
    RiskClassifier
        Fitted.

    Raises
    ------
    ValueError
        If nobody or everybody of the training set returned, or the groups cannot be made.
    """
    dictionary = feature_dictionary((*STANDARD, *data.features))
    model = RiskClassifier(dictionary=dictionary, horizon_months=outcome["horizon_months"], random_state=seed)
    searched: dict[str, Any] = {}
    told = labels.to_frame("returned") if isinstance(labels, pd.Series) else labels
    y, welfare = told["returned"], told.get("outcome_welfare")
    weight = np.asarray(told.get("weight", np.ones(len(told))), dtype=np.float64)
    if n_trials:
        # Rows of weight 0 are there for the net model only.
        own = weight > 0
        found = tune(
            X[own],
            y[own],
            model=model,
            n_trials=n_trials,
            sample_weight=weight[own],
            outcome_welfare=None if welfare is None else welfare[own],
            random_state=seed,
            horizon_months=outcome["horizon_months"],
        )
        model, searched = found.model, {"tuning": str(found), "tuned_settings": found.settings}
    groups = None
    if interval_groups:
        groups = group_labels(interval_groups, X, _people(data, outcome, X), dictionary)
    model.fit(X, y, weight, groups, welfare)
    model.fit_summary_.update(outcome | searched)
    y_net = told.get("returned_net")
    if y_net is not None and y_net.nunique() == 2 and (y_net - y).any():
        fit_net(model, X, y_net, told.get("weight_net", weight), groups, told.get("outcome_welfare_net"))
    for fitted in (model, model.net_):
        if interval_groups and fitted is not None:
            fitted.fit_summary_["interval_groups"]["by"] = list(interval_groups)
    return model


def compare(
    data: Monitoring,
    model: RiskClassifier,
    X_train: pd.DataFrame,
    y_train: pd.Series,
    X_test: pd.DataFrame,
    y_test: pd.Series,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Put the model and the simple rivals in one table, on the test set.

    Parameters
    ----------
    data : Monitoring
        The tables, for survey weights and areas.
    model : RiskClassifier
        A fitted model that saw nothing of the test.
    X_train, y_train : DataFrame, Series
        What the rivals learn from.
    X_test, y_test : DataFrame, Series
        What all are judged on.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    DataFrame
        As :func:`riskml.evaluate` gives it, the model under the name ``riskml``. Intervals draw whole areas, because
        shocks hit whole areas; households where there are fewer than :data:`MIN_AREAS` areas.
    """
    people = _people(data, model.fit_summary_, X_test)
    weight, clusters = people["weight"].to_numpy(), _clusters(people)
    scores = _scores(model, X_train, y_train, X_test)
    return evaluate(scores, y_test, sample_weight=weight, clusters=clusters, random_state=seed)


def judge(
    data: Monitoring,
    model: RiskClassifier,
    X_train: pd.DataFrame,
    y_train: pd.Series,
    X_test: pd.DataFrame,
    y_test: pd.Series,
    *,
    quota: float = 0.1,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Put the model and the simple rivals beside each other in every table there is, on the test set.

    Parameters
    ----------
    data : Monitoring
        The tables, for survey weights, areas and welfare on the day.
    model : RiskClassifier
        A fitted model that saw nothing of the test.
    X_train, y_train : DataFrame, Series
        What the rivals learn from.
    X_test, y_test : DataFrame, Series
        What all are judged on.
    quota : float, default 0.1
        Length of the list of ``targeting`` and ``concentration``, as a share of the households.
    n_bootstrap : int, default 200
        Draws of the intervals.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    dict of str to DataFrame
        ``figures`` (:func:`compare`), ``targeting`` (:func:`riskml.targeting_summary`, equal benefits),
        ``concentration`` (:func:`riskml.concentration_curve` at every hundredth of the households, one model after the
        other), ``decision`` (:func:`riskml.decision_curve`) and ``calibration`` (:func:`riskml.calibration_table`, with
        a column ``model``). Scores that are rankings are in neither of the last two. Where welfare on the day is not
        known of everybody (it is where welfare decides), ``targeting`` has NaN for what needs it and there is no
        ``concentration``.
    """
    people = _people(data, model.fit_summary_, X_test)
    scores = _scores(model, X_train, y_train, X_test)
    probabilities = {name: risk for name, risk in scores.items() if ((risk >= 0) & (risk <= 1)).all()}
    weight = people["weight"].to_numpy()
    drawn: dict[str, Any] = {"sample_weight": weight, "clusters": _clusters(people), "random_state": seed}
    drawn["n_bootstrap"] = n_bootstrap
    welfare = people["welfare"] if (people["welfare"] > 0).all() else None
    tables = {
        "figures": evaluate(scores, y_test, **drawn),
        "targeting": targeting_summary(scores, y_test, quota=quota, welfare=welfare, **drawn),
    }
    if welfare is not None:
        at = np.arange(101) / 100
        curves = {
            name: concentration_curve(welfare, risk, quota=quota, sample_weight=weight) for name, risk in scores.items()
        }
        shares = {name: np.interp(at, curve["households"], curve["benefits"]) for name, curve in curves.items()}
        tables["concentration"] = _stacked(
            {name: pd.DataFrame({"households": at, "benefits": share}) for name, share in shares.items()}
        )
    tables["decision"] = decision_curve(probabilities, y_test, **drawn)
    tables["calibration"] = _stacked(
        {name: calibration_table(y_test, risk, sample_weight=weight) for name, risk in probabilities.items()}
    )
    return tables


def errors_by_group(
    data: Monitoring,
    model: RiskClassifier,
    X_test: pd.DataFrame,
    y_test: pd.Series,
    *,
    by: Sequence[str],
    quota: float = 0.1,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Say whom the model's list misses and whom it holds in vain, by columns of the feature table or the cohort.

    Parameters
    ----------
    data : Monitoring
        The tables, for survey weights and areas.
    model : RiskClassifier
        A fitted model that saw nothing of the test.
    X_test, y_test : DataFrame, Series
        What it is judged on.
    by : sequence of str
        As in :func:`riskml.skill.groups.chosen_groups`.
    quota : float, default 0.1
        Length of the list: share of the households if below 1, else their number.
    n_bootstrap : int, default 200
        Draws of the intervals.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    DataFrame
        As :func:`riskml.targeting_errors` gives it; intervals as in :func:`compare`.

    Raises
    ------
    ValueError
        If a name is no column, or there are too many groups.
    """
    people = _people(data, model.fit_summary_, X_test)
    return targeting_errors(
        y_test,
        model.predict_risk(X_test[list(model.feature_names_in_)]),
        quota=quota,
        groups=chosen_groups(by, X_test, people, model.dictionary_),
        sample_weight=people["weight"],
        clusters=_clusters(people),
        n_bootstrap=n_bootstrap,
        random_state=seed,
    )


def _scores(
    model: RiskClassifier, X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame
) -> dict[str, pd.Series]:
    """Return the scores of the model and of the rivals, which learn first."""
    scores = {"riskml": model.predict_risk(X_test[list(model.feature_names_in_)])}
    for name, rival in rivals().items():
        scores[name] = rival.fit(X_train, y_train).predict_risk(X_test)
    return scores


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return tables of several models as one, with a column ``model`` first."""
    return pd.concat(tables, names=["model"]).reset_index(level="model").reset_index(drop=True)


def _people(data: Monitoring | Store, learned: Mapping[str, Any], X: pd.DataFrame) -> pd.DataFrame:
    """Return the cohort rows of a training or test set: those at risk of the outcome that was learned."""
    if not isinstance(data, Monitoring):
        raise ValueError(
            in_words(
                "intervals by group are learned from a folder of tables only, not from a store",
                "分组区间只能从数据表文件夹学习，不能从数据仓学习",
            )
        )
    dates = X.index.get_level_values("as_of_date").unique()
    return cohort(data, dates, outcome=learned_outcome(learned)).loc[X.index]


def _clusters(people: pd.DataFrame) -> NDArray[Any]:
    """Return what the bootstrap draws: areas, or households where there are few areas."""
    areas, households = people["area_id"], people.index.get_level_values("household_id")
    return areas.to_numpy() if areas.nunique() >= MIN_AREAS else households.to_numpy()
