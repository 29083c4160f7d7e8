"""Aid hides risk: the risk net of assistance beside the risk, the support that runs, and the cliff where it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml import steps
from riskml.cli import main
from riskml.features import assistance
from riskml.features.assistance import net_labels, running_support
from riskml.files import read_table
from riskml.findings import ModelRefused
from riskml.model.net import NET_COLUMNS, fit_net, net_risk
from riskml.output.cliff import CLIFF_COLUMNS, assistance_cliff
from riskml.skill.backtest import fit_model

#: What a risk net of assistance promises hangs on no number of trees.
pytestmark = pytest.mark.usefixtures("few_trees")

OUTCOME = {"horizon_months": 12, "rule": "at_horizon", "net_of_assistance": False, "outcome": "welfare"}
AS_OF = "2023-12-01"
N_EXAMPLES = 4
#: The standard feature that counts the measures running.
RUNNING = next(each for each in rk.STANDARD if each.table == "assistance" and each.stats == ("active",))


@pytest.fixture(scope="module")
def county() -> rk.Monitoring:
    return rk.datasets.make_monitoring(200, n_months=36, random_state=3)


@pytest.fixture(scope="module")
def learned(county) -> tuple[rk.RiskClassifier, pd.DataFrame, pd.Series, pd.Series]:
    """Return a model with the risk net of assistance beside it, and what both learned from."""
    dates = rk.training_dates(county, horizon_months=12, every_months=6)
    X, y = rk.training_set(county, dates, horizon_months=12)
    y_net = net_labels(county, y, **OUTCOME)
    return fit_net(rk.RiskClassifier(n_estimators=60, n_jobs=1).fit(X, y), X, y_net), X, y, y_net


# The support that runs


def table(*spells: tuple[str, str, str | None, str, str | None]) -> dict[str, pd.DataFrame]:
    """Return tables of one household with spells of (measure, start, end, known_on, end_known_on)."""
    columns = ["measure", "start", "end", "known_on", "end_known_on"]
    support = pd.DataFrame(spells, columns=columns).assign(household_id="a")
    support["record_id"] = [f"r{place}" for place in range(len(spells))]
    for name in columns[1:]:
        support[name] = pd.to_datetime(support[name])
    day = pd.Timestamp("2020-01-01")
    return {
        "households": pd.DataFrame({"household_id": ["a"], "area_id": ["52"], "known_on": [day]}),
        "lines": pd.DataFrame({"area_id": [""], "valid_from": [day], "amount": [4000.0], "unit": ["person_year"]}),
        "incomes": pd.DataFrame(
            {"household_id": ["a"], "date": [day], "known_on": [day], "months": [1.0], "total": [900.0], "units": [2.0]}
        ),
        "assistance": support,
    }


def support_on(day: str, *spells: tuple[str, str, str | None, str, str | None]) -> tuple[str, str]:
    index = pd.MultiIndex.from_tuples([("a", pd.Timestamp(day))], names=["household_id", "as_of_date"])
    row = running_support(rk.Monitoring(table(*spells)), index).iloc[0]
    return row["support"], "" if pd.isna(row["support_ends_on"]) else f"{row['support_ends_on']:%Y-%m-%d}"


POST = ("post", "2023-01-01", "2023-06-30", "2023-01-10", None)


@pytest.mark.parametrize(
    ("day", "spells", "expected"),
    [
        # Known strictly before the day; a spell covers its first and its last day.
        ("2023-01-10", [POST], ("", "")),
        ("2023-01-11", [POST], ("post", "2023-06-30")),
        ("2023-06-30", [POST], ("post", "2023-06-30")),
        ("2023-07-01", [POST], ("", "")),
        # An end counts from the day after it was known; until then the spell goes on.
        ("2023-04-01", [(*POST[:4], "2023-04-01")], ("post", "")),
        ("2023-04-02", [(*POST[:4], "2023-04-01")], ("post", "2023-06-30")),
        # A renewal that is entered is no end, with a free day between it is one.
        ("2023-05-01", [POST, ("post", "2023-07-01", "2023-12-31", "2023-04-01", None)], ("post", "2023-12-31")),
        ("2023-04-01", [POST, ("post", "2023-07-01", "2023-12-31", "2023-04-01", None)], ("post", "2023-06-30")),
        ("2023-05-01", [POST, ("post", "2023-07-02", "2023-12-31", "2023-04-01", None)], ("post", "2023-06-30")),
        # Another measure is not a renewal; the one that ends first stands in front, one without an end last.
        (
            "2023-05-01",
            [("grant", "2023-01-01", None, "2023-01-02", None), POST],
            ("post;grant", "2023-06-30"),
        ),
        # A short spell inside a longer one of the same measure does not end the support.
        ("2023-02-01", [POST, ("post", "2023-01-15", "2023-02-15", "2023-01-20", None)], ("post", "2023-06-30")),
    ],
)
def test_support_is_what_was_known_to_run_and_ends_where_no_spell_goes_on(day, spells, expected):
    assert support_on(day, *spells) == expected


@settings(max_examples=N_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6))
def test_support_does_not_change_when_what_was_not_yet_known_changes(seed):
    assert_point_in_time(seed)


def assert_point_in_time(seed: int) -> None:
    """Check that support on a day is that of the data as they stood, and that of the standard features."""
    tables = worlds.random_tables(seed, n_households=12, n_worlds=4)
    # Only what decides who is at risk, and the support: checking the others anew for each day is what takes the time.
    used = ("households", "lines", "incomes", "members", "assistance")
    data = rk.Monitoring({name: tables[name] for name in used})
    for day in worlds.ASKED[::3]:
        X = rk.feature_table(data, [day], features=[RUNNING])
        whole = running_support(data, X.index)
        pd.testing.assert_frame_equal(whole, running_support(data.known_by(day), X.index))
        np.testing.assert_array_equal(whole["support"] != "", X["support"] > 0)


def test_planted_faults_of_time_are_caught(monkeypatch):
    honest = assistance.known_on
    faults = [
        lambda data, name, day: honest(data, name, day + pd.Timedelta(days=40)),
        lambda data, name, day: data.versions(name)[data.versions(name)["superseded_on"].isna()],
    ]
    for fault in faults:
        monkeypatch.setattr(assistance, "known_on", fault)
        with pytest.raises(AssertionError):
            assert_point_in_time(0)


# The two risks


def test_labels_net_of_assistance_hold_every_return_of_the_same_rows(county, learned):
    _, X, y, y_net = learned
    assert y_net.index.equals(X.index)
    assert (y_net[y == 1] == 1).all()
    assert 0 < y.sum() < y_net.sum()
    assert net_labels(county, y, **{**OUTCOME, "net_of_assistance": True}).isna().all()
    assert net_labels(county, y, **{**OUTCOME, "outcome": "status"}).isna().all()


def test_the_true_risk_net_of_transfers_is_that_of_the_same_futures_and_of_the_net_labels(county):
    day = "2023-01-01"
    plain, net = (county.truth.risk([day], n_draws=50, net_of_assistance=without)["risk"] for without in (False, True))
    assert (net >= plain).all()
    index = rk.cohort(county, [day]).index
    y = rk.outcome_labels(county, index, horizon_months=12, net_of_assistance=True)
    risk = net.loc[index]
    # The number of returns is a sum of independent draws of these risks but for shocks of areas: five errors.
    assert y.sum() == pytest.approx(risk.sum(), abs=5 * np.sqrt((risk * (1 - risk)).sum() + 0.25 * 50))


def test_the_risk_is_bit_for_bit_that_of_a_model_alone_and_nowhere_above_the_risk_net_of_assistance(learned):
    model, X, y, y_net = learned
    alone = rk.RiskClassifier(n_estimators=60, n_jobs=1).fit(X, y)
    pd.testing.assert_series_equal(model.predict_risk(X), alone.predict_risk(X), check_exact=True)
    beside = net_risk(model, X)
    assert list(beside) == NET_COLUMNS
    assert (beside["risk_net"] >= model.predict_risk(X)).all()
    assert (beside["risk_net"] >= model.net_.predict_risk(X)).all()
    assert beside["risk_net"].mean() == pytest.approx(y_net.mean(), rel=0.25)
    assert net_risk(alone, X).isna().all(axis=None)


def test_rows_that_are_there_for_the_net_labels_alone_do_not_touch_the_model(county, learned):
    _, X, y, y_net = learned
    X = X.iloc[:, :25]
    own = np.random.default_rng(0).random(len(y)) < 0.7
    settings_ = {"outcome": OUTCOME, "seed": 1}
    alone = fit_model(county, X[own], y[own], **settings_)
    labels = pd.DataFrame({"returned": y, "weight": own.astype(float), "returned_net": y_net, "weight_net": 1.0})
    both = fit_model(county, X, labels, **settings_)
    pd.testing.assert_series_equal(alone.predict_risk(X), both.predict_risk(X), check_exact=True)
    assert (alone.net_ is None, both.net_ is None) == (True, False)
    assert both.net_.fit_summary_["rows"] == len(y)
    assert both.net_.fit_summary_["net_of_assistance"] is True
    # Where no transfer is recorded a second risk would be the first one.
    assert fit_model(county, X, labels.assign(returned_net=y), **settings_).net_ is None


def test_a_bundle_keeps_both_models_and_refuses_half_of_the_second(learned, tmp_path):
    model, X, _, _ = learned
    bundle = rk.save_model(model, tmp_path)
    back = rk.load_model(bundle)
    pd.testing.assert_frame_equal(net_risk(back, X), net_risk(model, X), check_exact=True)
    assert "Net of assistance" in (bundle / "CARD.md").read_text(encoding="utf-8")
    for change in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes() + b" ")):
        for path in sorted(bundle.glob("net-*")):
            content = path.read_bytes()
            change(path)
            with pytest.raises(ModelRefused, match=path.name):
                rk.load_model(bundle)
            path.write_bytes(content)
    # All of the second model taken away: the manifest still names it.
    for path in bundle.glob("net-*"):
        path.unlink()
    with pytest.raises(ModelRefused, match=r"net-calibration\.json"):
        rk.load_model(bundle)


# The cliff


def scored() -> pd.DataFrame:
    rows = [
        ("in time, safe with help", "post;grant", "2024-02-29", 0.01, 0.50),
        ("in time, at risk anyway", "grant", "2023-12-01", 0.40, 0.45),
        ("a day too late", "post", "2024-03-01", 0.90, 0.95),
        ("no end known", "post", None, 0.80, 0.85),
        ("no support", "", None, 0.70, 0.75),
    ]
    listed = pd.DataFrame(rows, columns=["household_id", "support", "support_ends_on", "risk", "risk_net"])
    listed["support_ends_on"] = pd.to_datetime(listed["support_ends_on"])
    return listed.assign(as_of_date=pd.Timestamp(AS_OF), area_id="52")


def test_the_cliff_holds_support_that_ends_within_the_months_the_riskiest_without_it_first():
    cliff = assistance_cliff(scored())
    assert list(cliff) == CLIFF_COLUMNS
    assert cliff["household_id"].tolist() == ["in time, safe with help", "in time, at risk anyway"]
    assert cliff["measure"].tolist() == ["post", "grant"]
    assert cliff["difference"].tolist() == [0.50 - 0.01, 0.45 - 0.40]
    assert len(assistance_cliff(scored(), months=4)) == 3
    # Without a second model the risk orders them.
    plain = assistance_cliff(scored().assign(risk_net=np.nan))
    assert plain["household_id"].tolist() == ["in time, at risk anyway", "in time, safe with help"]
    with pytest.raises(ValueError, match="1 or more"):
        assistance_cliff(scored(), months=0)


def test_the_cliff_of_everybody_scored_is_that_of_the_list_of_all(county, learned):
    model = learned[0]
    X = rk.feature_table(county, [AS_OF])[list(model.feature_names_in_)]
    everybody = steps.ranked(county, model, X, n_listed=None, n_explained=5)
    assert len(everybody) == len(X)
    assert (everybody["risk_net"] >= everybody["risk"]).all()
    cliff = steps.cliff_of(county, model, X)
    pd.testing.assert_frame_equal(cliff, assistance_cliff(everybody), check_dtype=False)
    # The same households that the feature of ends within three months counts, but for renewals.
    counted = X["support_ending_3m"].droplevel("as_of_date").reindex(cliff["household_id"])
    assert len(cliff) > 0
    assert (counted > 0).all()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_says_whose_support_ends_and_both_risks(county, learned, tmp_path, language):
    model = learned[0]
    X = rk.feature_table(county, [AS_OF])[list(model.feature_names_in_)]
    listed = steps.ranked(county, model, X, n_listed=30, n_explained=30)
    cliff = steps.cliff_of(county, model, X)
    rk.write_report(tmp_path / "r.html", listed, cliff=cliff, language=language)
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert ("未来三个月内到期的帮扶" if language == "zh" else "Support that ends within three months") in html
    assert all(household in html for household in cliff["household_id"].head(20))
    n_off = (~cliff["household_id"].isin(listed["household_id"])).sum()
    assert (f"其中{n_off}户不在" if language == "zh" else f"{n_off} of them not on this list") in html
    assert html.count('<p class="net">') == 20
    # A list made before these columns, and a model without a second one, give the report as it was.
    older = listed.drop(columns=[*NET_COLUMNS, "support", "support_ends_on"])
    rk.write_report(tmp_path / "old.html", older, language=language)
    old = (tmp_path / "old.html").read_text(encoding="utf-8")
    assert 'class="net"' not in old
    assert 'class="support"' not in old
    assert "Net of assistance" not in old
    assert "未来三个月" not in old


# The command


@pytest.fixture(scope="module")
def work(county, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("到期 net")
    rk.write_monitoring(county, place / "county")
    train = ["train", str(place / "county"), "--every-months", "6", "--out", str(place / "models")]
    assert main([*train, "--keep-nonreturns", "0.5"]) == 0
    return place


def test_score_prints_and_writes_the_cliff_of_everybody_and_recalibrate_keeps_both_risks(work, tmp_path, capsys):
    score = ["score", str(work / "county"), "--as-of", AS_OF, "--top", "10", "--cliff", str(tmp_path / "cliff.csv")]
    assert main([*score, "--model", str(work / "models"), "--out", str(tmp_path / "list.csv")]) == 0
    said = capsys.readouterr().out
    cliff, listed = read_table(tmp_path / "cliff.csv"), read_table(tmp_path / "list.csv")
    assert list(cliff) == CLIFF_COLUMNS
    assert cliff["support_ends_on"].dtype.kind == "M"
    assert f"Support that ends within 3 months: {len(cliff)} households" in said
    assert all(household in said for household in cliff["household_id"].head(5))
    assert listed["risk_net"].notna().all()
    assert not set(cliff["household_id"]) <= set(listed["household_id"])
    command = ["recalibrate", str(work / "county"), "--model", str(work / "models"), "--until", AS_OF]
    assert main([*command, "--without-outcomes", "--out", str(tmp_path / "new")]) == 0
    bundle = next((tmp_path / "new").glob("*-????????"))
    for name in ("card.json", "net-card.json"):
        assert json.loads((bundle / name).read_text(encoding="utf-8"))["training"]["recalibrations"]


def test_train_says_net_of_assistance_on_the_card_unless_told_not_to(work, tmp_path):
    bundle = next((work / "models").glob("*-????????"))
    net = json.loads((bundle / "net-card.json").read_text(encoding="utf-8"))["training"]
    main_ = json.loads((bundle / "card.json").read_text(encoding="utf-8"))["training"]
    assert (net["net_of_assistance"], main_["net_of_assistance"]) == (True, False)
    assert net["events"] > main_["events"]
    train = ["train", str(work / "county"), "--every-months", "6", "--keep-nonreturns", "0.5", "--without-net"]
    assert main([*train, "--out", str(tmp_path)]) == 0
    alone = next(tmp_path.glob("*-????????"))
    assert not list(alone.glob("net-*"))
    assert (alone / "model.txt").read_bytes() == (bundle / "model.txt").read_bytes()
    assert (alone / "calibration.json").read_bytes() == (bundle / "calibration.json").read_bytes()
