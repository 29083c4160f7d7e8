"""What is promised to those who decide whether to use riskml, on three simulated counties and on broken input."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import riskml as rk
from riskml.cli import main
from riskml.datasets import make_monitoring
from riskml.features.panel import cohort
from riskml.skill.backtest import fit_model
from riskml.skill.baselines import rivals
from riskml.tables.reading import write_monitoring

OUTCOME = {"horizon_months": 12, "rule": "at_horizon", "net_of_assistance": False}
N_VISITED = 0.1
Frames = dict[str, pd.DataFrame]


@pytest.fixture(scope="module", params=[1, 2, 3])
def tested(request):
    """Return a county, a model that knew what was known fifteen months before its end, and the test after that."""
    data = make_monitoring(3000, n_months=48, random_state=request.param)
    end = data.tables["incomes"]["date"].max() + pd.DateOffset(days=1)
    test_from = end - pd.DateOffset(months=15)
    sets = rk.backtest_sets(data, test_from=test_from, horizon_months=12)
    welfare = rk.outcome_welfare(data.known_by(test_from), sets[1].index, **OUTCOME)
    labels = pd.DataFrame({"returned": sets[1], "outcome_welfare": welfare})
    return data, fit_model(data, sets[0], labels, outcome=OUTCOME), sets


@pytest.fixture(scope="module")
def figures(tested):
    data, model, (X_train, y_train, X_test, y_test) = tested
    triggers = rivals()["trigger rules"].fit(X_train, y_train)
    return rk.evaluate(
        {"riskml": model.predict_risk(X_test), "trigger rules": triggers.predict_risk(X_test)},
        y_test,
        quota=[N_VISITED],
        clusters=cohort(data, X_test.index.unique("as_of_date"))["area_id"].loc[X_test.index],
    ).set_index(["model", "figure"])


def test_the_list_finds_more_of_the_later_returns_than_trigger_rules_with_as_many_visits(figures):
    assert figures.loc[("trigger rules", f"recall@{N_VISITED:.0%}"), "difference_lower"] > 0


def test_the_calibration_slope_out_of_time_is_near_one(figures):
    assert 0.8 <= figures.loc[("riskml", "calibration_slope"), "value"] <= 1.2


def test_every_household_of_a_list_has_a_reason_with_a_record_and_points_that_add_up(tested):
    data, model, _ = tested
    X = rk.feature_table(data, [data.extract_on])[list(model.feature_names_in_)]
    risk, explanation = model.predict_risk(X), rk.explain(model, X)
    points = explanation.in_points().sum(axis=1) + explanation.base_risk
    np.testing.assert_allclose(points, risk, rtol=0, atol=1e-9)
    listed = rk.watchlist(explanation.risk, explanation, n=200)
    assert listed["risk"].to_list() == risk.nlargest(200).to_list()
    index = pd.MultiIndex.from_frame(listed[["household_id", "as_of_date"]])
    evidence = explanation.take(index).evidence(data)
    assert set(evidence["household_id"]) == set(listed["household_id"])
    assert (evidence["known_on"] < data.extract_on).all()


def test_the_labels_window_begins_after_the_as_of_date(tested):
    data, _, (X_train, y_train, *_) = tested
    early = {**data.tables, "incomes": data.tables["incomes"].copy()}
    day = X_train.index.get_level_values("as_of_date").max()
    before = early["incomes"]["date"] < day
    early["incomes"].loc[before, "wage"] = 0.0
    index = y_train.index[y_train.index.get_level_values("as_of_date") == day]
    labels = [rk.outcome_labels(d, index, horizon_months=12) for d in (data, rk.Monitoring(early))]
    pd.testing.assert_series_equal(*labels)


@pytest.mark.parametrize("command", [["-c", "import riskml"], ["-m", "riskml", "--help"]])
def test_start_up_loads_no_numeric_library_and_is_quick(command):
    def seconds() -> float:
        """Return the processor time of the command: how long it takes where nothing else runs."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", *command], check=True, capture_output=True, text=True
    ).stderr
    names = {line.split("|")[-1].strip().split(".")[0] for line in loaded.splitlines()}
    assert not names & {"numpy", "pandas", "lightgbm", "numba", "shap", "sklearn", "scipy", "pyarrow", "matplotlib"}
    assert min(seconds() for _ in range(5)) < 0.3


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> tuple[object, Frames]:
    """Return a folder with a small county as Parquet, and its tables."""
    folder = tmp_path_factory.mktemp("county")
    data = make_monitoring(60, n_months=24, random_state=0)
    write_monitoring(data, folder)
    return folder, dict(data.tables)


def _with(table: str, **columns: object) -> Callable[[Frames], Frames]:
    """Return a fault: the first row of a table gets other values."""

    def broken(tables: Frames) -> Frames:
        frame = tables[table].astype(dict.fromkeys(columns, object))
        for name, value in columns.items():
            frame.loc[0, name] = value
        return {table: frame}

    return broken


#: Fault -> (table and column that the message must name, what makes it).
FAULTS: dict[str, tuple[tuple[str, ...], Callable[[Frames], Frames]]] = {
    "an unknown household": (("incomes", "household_id"), _with("incomes", household_id="nobody")),
    "a record known before it happened": (("incomes", "known_on"), _with("incomes", known_on="2001-01-01")),
    "a date after the extract": (("medical", "known_on"), _with("medical", date="2150-01-01", known_on="2150-01-02")),
    "a day that is no day": (("medical", "date"), _with("medical", date="31 June")),
    "a missing date": (("medical", "known_on"), _with("medical", known_on=None)),
    "an infinite amount": (("incomes", "wage"), _with("incomes", wage="inf")),
    "an amount in words": (("incomes", "wage"), _with("incomes", wage="about 500")),
    "a code for no answer": (("medical", "out_of_pocket"), _with("medical", out_of_pocket="-9")),
    "months of nothing": (("incomes", "months"), _with("incomes", months="0")),
    "a grade beyond the scale": (("housing", "grade"), _with("housing", grade="17")),
    "a flag of two": (("medical", "serious"), _with("medical", serious="2")),
    "an unknown sex": (("members", "sex"), _with("members", sex="?")),
    "an unknown cause": (("status", "risk_types"), _with("status", risk_types="bad luck")),
    "a spell that ends before it begins": (("members", "end"), _with("members", end="1901-01-01")),
    "the same record twice": (("incomes",), lambda t: {"incomes": pd.concat([t["incomes"], t["incomes"].head(1)])}),
    "ids that arrived as numbers": (
        ("incomes", "household_id"),
        lambda t: {"incomes": t["incomes"].assign(household_id=np.arange(len(t["incomes"]), dtype=np.float64))},
    ),
    "an empty id": (("households", "household_id"), _with("households", household_id="")),
    "a column that is missing": (("incomes", "date"), lambda t: {"incomes": t["incomes"].drop(columns="date")}),
    "no lines": (("lines",), lambda t: {"lines": t["lines"].iloc[:0]}),
    "a line of nothing": (("lines", "amount"), _with("lines", amount="0")),
    "no line for the years": (("lines",), lambda t: {"lines": t["lines"].assign(valid_from="2190-01-01", known_on="")}),
    "nobody": (("households",), lambda t: {"households": t["households"].iloc[:0]}),
    "a disaster of nowhere": (("disasters",), _with("disasters", household_id="", area_id="")),
    "a lifting still to come": (("households", "lifted_on"), _with("households", lifted_on="2150-01-01")),
}


#: Tables without which others cannot be judged; the rest would only be read and found good in every case.
NEEDED = ("households", "members", "incomes", "lines")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_bad_table_ends_with_3_and_a_message_that_names_where(county, tmp_path, capsys, fault, language):
    folder, tables = county
    named, break_ = FAULTS[fault]
    broken = break_(tables)
    for path in folder.iterdir():
        if path.stem in (*NEEDED, "monitoring", *broken):
            (tmp_path / path.name).symlink_to(path)
    for table, frame in broken.items():
        (tmp_path / f"{table}.parquet").unlink()
        frame.to_csv(tmp_path / f"{table}.csv", index=False)
    if fault == "ids that arrived as numbers":  # text files have no numbers
        (tmp_path / "incomes.csv").unlink()
        broken["incomes"].to_parquet(tmp_path / "incomes.parquet")
    assert main(["--lang", language, "check", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for name in named:
        assert name in said
