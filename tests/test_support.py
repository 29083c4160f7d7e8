"""Support that ends for good: sums done by hand, both risks as bounds, and the simulated district that lives it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml.datasets import make_monitoring
from riskml.datasets.law import MEASURES, Event
from riskml.datasets.simulate import monitoring_under
from riskml.features.assistance import training_labels
from riskml.model.net import fit_net
from riskml.outlook import support
from riskml.outlook.scenario import scenario_from
from riskml.planning.measures import example_measures

AS_OF = "2021-04-01"
OUTCOME = {"horizon_months": 12, "rule": "at_horizon", "net_of_assistance": False, "outcome": "welfare"}


def ending(**edit):
    """Return a scenario in which support ends, three months before the as-of date."""
    return scenario_from({"name": "end", "part": [{"edits": [{"kind": "support_ends", **edit}]}]})


def county(transfers: dict[str, float], *spells: tuple[str, str, float, str, str | None]) -> rk.Monitoring:
    """Return households with the same transfers every month, and spells of (household, measure, amount, start, end)."""
    names, day = sorted(transfers), pd.Timestamp("2019-12-01")
    months = pd.date_range("2019-12-31", "2021-03-31", freq="ME")
    incomes = pd.DataFrame([(name, month, transfers[name]) for name in names for month in months])
    incomes = incomes.set_axis(["household_id", "date", "transfers"], axis=1)
    paid = pd.DataFrame(spells, columns=["household_id", "measure", "amount", "start", "end"])
    paid[["start", "end"]] = paid[["start", "end"]].apply(pd.to_datetime)
    return rk.Monitoring(
        {
            "households": pd.DataFrame({"household_id": names, "area_id": "52", "known_on": day}),
            "lines": pd.DataFrame({"area_id": [""], "valid_from": [day], "amount": [4000.0], "unit": ["person_year"]}),
            "incomes": incomes.assign(
                known_on=incomes["date"], months=1.0, wage=500.0, total=500.0 + incomes["transfers"], units=1.0
            ),
            "assistance": paid.assign(known_on=paid["start"], record_id=[f"r{i}" for i in range(len(paid))]),
        }
    )


GUARANTEE, REPAIR = "minimum_income_guarantee", "housing_repair"


def told() -> rk.Monitoring:
    return county(
        {"all": 100.0, "pension": 300.0, "new": 60.0, "over": 250.0, "house": 300.0, "none": 0.0, "old": 300.0},
        ("all", GUARANTEE, 100.0, "2020-01-01", None),
        ("pension", GUARANTEE, 100.0, "2020-01-01", "2021-12-31"),
        ("new", GUARANTEE, 60.0, "2020-01-01", "2020-12-31"),  # over when the event strikes, on the day itself,
        ("new", "temporary_relief", 60.0, "2021-02-01", None),  # and other support begins later
        ("over", GUARANTEE, 250.0, "2020-01-01", "2020-10-31"),
        ("house", REPAIR, 900.0, "2020-06-01", None),
    )


def assert_shares_are_those_of_the_amounts():
    share = support.share_ending(told(), ending(), AS_OF)
    # Records of 15 months count, January 2020 to March 2021. "all": 100 of 100 end; "pension": 100 of 300; "over": 250
    # were paid in 10 of the 15, so that 250 x 5 / 15 go on and nothing ends; "house": help in kind takes no transfers
    # with it; "none": has only what it could have got; "new": 60 end, and 60 of January 2021 were paid by neither.
    by_hand = {"all": 1, "pension": 1 / 3, "over": 0, "house": 0, "none": 1, "old": 0, "new": 60 / (60 + 60 / 15)}
    assert share.to_dict() == pytest.approx(by_hand)


def test_the_share_that_ends_is_that_of_the_amounts_not_of_pensions():
    assert_shares_are_those_of_the_amounts()


def test_support_that_is_not_named_goes_on_and_may_come():
    data = told()
    some = support.share_ending(data, ending(measures=["temporary_relief"]), AS_OF)
    # Of "new" 60 end; 12 of the 15 months were paid by the guarantee, which goes on and is not taken out.
    assert some.to_dict() == pytest.approx(
        {"all": 0, "pension": 0, "over": 0, "house": 0, "none": 0, "old": 0, "new": 60 / (60 + 60 * 13 / 15)}
    )
    both = [{"kind": "support_ends", "measures": [name]} for name in ("temporary_relief", GUARANTEE)]
    twice = support.share_ending(data, scenario_from({"name": "both", "part": [{"edits": both}]}), AS_OF)
    assert twice[["all", "pension", "none"]].tolist() == pytest.approx([1, 1 / 3, 0])


def test_only_whom_the_edit_falls_on_has_a_share():
    assert support.share_ending(told(), scenario_from({"name": "nothing"}), AS_OF).empty
    part = {"where": "members_60 > 0", "edits": [{"kind": "support_ends", "share": 0.5}]}
    data = make_monitoring(60, n_months=24, random_state=0)
    share = support.share_ending(data, scenario_from({"name": "x", "part": [part]}), "2022-12-01")
    old = rk.feature_table(data, ["2022-09-01"]).droplevel("as_of_date")["members_60"]
    assert 3 < len(share) < (old > 0).sum()
    assert (old.reindex(share.index).dropna() > 0).all()


@pytest.mark.parametrize("missing", ["transfers", "amount"])
def test_without_transfers_or_amounts_nobody_has_a_share(missing):
    table = "incomes" if missing == "transfers" else "assistance"
    tables = told().tables
    tables = {**tables, table: tables[table].drop(columns=missing)}
    assert support.share_ending(rk.Monitoring(tables), ending(), AS_OF).empty


# --- both risks as bounds --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned():
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([[f"h{i}" for i in range(600)], [pd.Timestamp(AS_OF)]])
    X = pd.DataFrame(
        {"welfare": rng.uniform(1, 3, 600), "income_transfers_sum_12m": rng.uniform(0, 1, 600)},
        index=index.set_names(["household_id", "as_of_date"]),
    )
    later = X["welfare"] + rng.normal(0, 0.5, 600)
    model = rk.RiskClassifier(n_estimators=30, n_jobs=1).fit(X, (later < 1).astype(float))
    return fit_net(model, X, (later - X["income_transfers_sum_12m"] < 1).astype(float)), X


def assert_between(model, X, share):
    net = model.net_.predict_risk(X)
    risk = model.predict_risk(X).sample(frac=1, random_state=0).set_axis(X.index)  # so that some lie above the other
    added = support.net_points(model, X, risk, share)
    ends = share.reindex(X.index.get_level_values("household_id")).to_numpy()
    by_hand = [max(n - r, 0) * (0 if np.isnan(e) else e) for r, n, e in zip(risk, net, ends, strict=True)]
    np.testing.assert_allclose(added, by_hand, atol=1e-12)
    assert (net < risk).any()
    assert added.max() > 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_risk_goes_the_share_of_the_way_to_the_risk_net_of_assistance(learned, seed):
    model, X = learned
    rng = np.random.default_rng(seed)
    share = pd.Series(rng.random(400), index=[f"h{i}" for i in rng.permutation(600)[:400]])
    assert_between(model, X, share)


def test_a_model_without_a_second_one_adds_nothing(learned):
    model, X = learned
    alone = rk.RiskClassifier(n_estimators=5, n_jobs=1).fit(X, (X["welfare"] < 1.5).astype(float))
    everybody = pd.Series(1.0, index=X.index.get_level_values("household_id"))
    assert (support.net_points(alone, X, model.predict_risk(X) * 0.1, everybody) == 0).all()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("- paid_in(records, support)", ""),
        ('~(support["end"] <= world.day)', "support['start'].notna()"),
        ("ends / (ends + goes_on)", "(ends / ends)"),
        ('support["measure"].isin(edit["paid_in_transfers"])', 'support["amount"].notna()'),
        ("world.day - pd.DateOffset(months=12)", "world.day"),
        ('.drop_duplicates(["household_id", "measure"], keep="last")', ".iloc[:-1]"),
    ],
)
def test_a_fault_in_the_share_would_be_found(plant, right, wrong):
    plant("outlook.support", right, wrong)
    with pytest.raises((AssertionError, KeyError)):
        assert_shares_are_those_of_the_amounts()


@pytest.mark.parametrize("wrong", ["clip(lower=0.0)", "mul(ends)"])
def test_a_fault_in_the_way_between_both_risks_would_be_found(plant, learned, wrong):
    plant("outlook.support", "clip(lower=0.0) * ends", wrong)
    with pytest.raises(AssertionError):
        assert_between(*learned, pd.Series(np.linspace(0, 1, 400), index=[f"h{i}" for i in range(400)]))


# --- the district that lives it --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived():
    """Return the answers with and without the second model, and the true change of the same households."""
    data = make_monitoring(250, n_months=36, random_state=2)
    day = data.truth.first_day + pd.DateOffset(months=36)
    X, y = rk.training_set(data, rk.training_dates(data, horizon_months=12, every_months=6), horizon_months=12)
    labels = training_labels(data, y, **OUTCOME)
    model = rk.RiskClassifier(n_estimators=300, n_jobs=1).fit(X, y, outcome_welfare=labels["outcome_welfare"])
    cash = [name for name, measure in MEASURES.items() if measure.income or name == GUARANTEE]
    scenario = ending(paid_in_transfers=cash)
    alone = rk.stress(data, model, scenario, as_of_date=day, measures=example_measures())
    fit_net(model, X, labels["returned_net"], outcome_welfare=labels["outcome_welfare_net"])
    both = rk.stress(data, model, scenario, as_of_date=day, measures=example_measures())
    world = monitoring_under(data.truth, Event(36 - scenario.months_ago, ended=tuple(MEASURES)))
    risks = [each.risk([day], n_draws=30)["risk"].droplevel("as_of_date") for each in (data.truth, world.truth)]
    return alone, both, (risks[1] - risks[0]).reindex(both.households["household_id"])


def test_with_the_second_model_the_answer_is_nearer_the_truth(lived):
    alone, both, true = lived
    off = [abs(each.areas["change"].iloc[0] - true.mean()) for each in (alone, both)]
    assert off[1] < 0.6 * off[0]
    assert both.areas["change"].iloc[0] < 1.3 * true.mean()
    first = alone.households.set_index("household_id")["change"].reindex(true.index)
    change = both.households.set_index("household_id")["change"]
    assert (change - true).abs().mean() < (first - true).abs().mean()


def test_what_comes_from_the_second_model_is_all_that_is_added_and_counts_as_assistance(lived):
    alone, both, _ = lived
    first, second = (each.households.set_index("household_id").sort_index() for each in (alone, both))
    np.testing.assert_allclose(second["risk_after"], first["risk_after"] + second["from_net"], atol=1e-12)
    assert (alone.households["from_net"] == 0).all()
    total = both.households["from_net"].sum()
    moved = [each.causes.set_index("cause")["change"] for each in (alone, both)]
    difference = moved[1] - moved[0]
    assert difference["assistance"] == pytest.approx(total)
    assert difference.abs().sum() == pytest.approx(total)
    assert both.areas["from_net"].iloc[0] == pytest.approx(total / len(second))
    assert both.budget["expected_with"].iloc[0] == pytest.approx(alone.budget["expected_with"].iloc[0] + total)
    assert both.budget["averted"].iloc[0] > alone.budget["averted"].iloc[0]


def test_the_answer_says_what_the_second_model_gave_or_that_there_is_none(lived):
    alone, both, _ = lived
    said = ["\n".join(f"{en}\n{zh}" for en, zh in each.warnings) for each in (alone, both)]
    total, n = both.households["from_net"].sum(), (both.households["from_net"] > 0).sum()
    assert "no risk net of assistance beside it" in said[0]
    assert "该模型没有" in said[0]
    assert f"{total:.1f} of these" in said[1]
    assert f"{n:,} households" in said[1]
    assert f"{total:.1f}户来自第二个模型" in said[1]
