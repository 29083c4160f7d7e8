from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from riskml.datasets import make_monitoring
from riskml.datasets.law import BURN_IN, CONSTANTS, HAZARDS, MEASURES, Rules, district_noise, draw_noise
from riskml.datasets.month import step
from riskml.datasets.office import CORRECTED, DELAYS, WITHDRAWN, line_amount
from riskml.datasets.truth import SHOCK_CAUSES
from riskml.features.outcomes import outcome_labels
from riskml.features.panel import cohort
from riskml.tables.contract import TABLES
from riskml.tables.monitoring import Monitoring

DAY = "2023-01-01"
DATES = ["2022-01-01", "2022-07-01", "2023-01-01", "2023-07-01", "2024-01-01"]


@pytest.fixture(scope="module")
def data():
    return make_monitoring(2500, random_state=7)


@pytest.fixture(scope="module")
def risk(data):
    return data.truth.risk([DAY], n_draws=100)


@pytest.fixture(scope="module")
def at_risk(data):
    """Index of the households truly at or above the line on the day."""
    welfare = data.truth.welfare([DAY])
    return welfare.index[(welfare >= 1).to_numpy()]


def newest(frame, key):
    return frame.sort_values([*key, "known_on"], kind="stable").drop_duplicates(key, keep="last")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_three_to_six_per_cent_of_those_at_risk_return_within_a_year(seed):
    truth = make_monitoring(1500, random_state=seed).truth
    welfare = truth.welfare(DATES)
    rows = welfare.index[(welfare >= 1).to_numpy()]
    assert 0.03 < truth.returned(rows).mean() < 0.06


def test_true_risk_is_the_share_that_returns(data, risk, at_risk):
    shown = risk.loc[at_risk, "risk"].to_numpy()
    returned = data.truth.returned(at_risk).to_numpy()
    for low, high in ((-0.01, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.0), (-0.01, 1.0)):
        chosen = (shown > low) & (shown <= high)
        expected, n = shown[chosen].mean(), chosen.sum()
        # Households of an area share shocks, so the error is larger than that of independent rows.
        error = 2 * np.sqrt(max(expected, 1 / n) * (1 - min(expected, 0.99)) / n)
        assert abs(returned[chosen].mean() - expected) < 3 * error + 0.01


def test_true_risk_ranks_returns_as_well_as_a_forecast_could(data, risk, at_risk):
    score = roc_auc_score(data.truth.returned(at_risk), risk.loc[at_risk, "risk"])
    assert 0.85 < score < 0.95


def test_standard_error_tells_how_far_two_runs_differ(risk, data):
    again = data.truth.risk([DAY], n_draws=30)
    apart = (risk["risk"] - again["risk"]) / np.hypot(risk["standard_error"], again["standard_error"])
    assert 0.5 < apart[(risk["risk"] > 0.1) & (risk["risk"] < 0.9)].std() < 1.2
    assert (risk["standard_error"] > 0).all()


def test_a_world_without_changes_is_the_world_itself(data):
    truth = data.truth
    some = np.array([3, 17, 18, 400, 2499])
    for start, stop in ((0, 20), (BURN_IN + 6, BURN_IN + 30)):
        np.testing.assert_array_equal(truth._again(some, start, stop), truth.monthly_welfare[start:stop, some])


def test_a_month_does_not_change_the_state_it_starts_from(data):
    truth = data.truth
    state = {name: values[20].copy() for name, values in truth.states.items()}
    step(state, truth.traits, district_noise(truth.seed, 8, truth.traits, truth.rules), 8, truth.rules)
    for name, values in state.items():
        np.testing.assert_array_equal(values, truth.states[name][20])


@pytest.mark.parametrize(
    ("name", "chance"),
    [
        (
            "illness",
            lambda s, t: (
                0.0040 * (1 + 1.5 * s["chronic"]) * (1 + 0.3 * s["present"][5:].sum(0)) * (1 + 0.6 * (s["water"] >= 3))
            ),
        ),
        ("failure", lambda s, t: 0.0042 * 2.0 * (t["land"] > 0.3)),
    ],
)
def test_events_happen_as_often_as_their_hazard_says(data, name, chance):
    truth = data.truth
    lanes = np.tile(np.arange(2500), 40)
    state = {key: values[BURN_IN + 5][..., lanes] for key, values in truth.states.items()}
    traits = {key: values[..., lanes] for key, values in truth.traits.items()}
    noise = draw_noise(np.random.default_rng(1), len(lanes))
    _, seen = step(state, traits, noise, 5, Rules(1))
    happened = {"illness": seen["ill"], "failure": seen["lost"] > 0}[name]
    expected = chance(state, traits).sum()
    assert abs(happened.sum() - expected) < 4 * np.sqrt(expected)


def test_newest_income_entries_add_up_to_true_welfare(data):
    incomes = newest(data.tables["incomes"], ["household_id", "date"])
    sources = incomes[["wage", "business", "property", "transfers", "private"]].sum(axis=1, skipna=False)
    whole = sources.notna()
    np.testing.assert_allclose((sources - incomes["expenses"])[whole], incomes["total"][whole], atol=0.02)
    late = incomes["known_on"] >= data.extract_on - pd.Timedelta(days=140)  # a correction may still be to come
    incomes = incomes[~late]
    month = (incomes["date"].dt.year - 2021) * 12 + incomes["date"].dt.month - 1
    place = data.truth.household_ids.get_indexer(incomes["household_id"])
    entered = 12 * incomes["total"] / incomes["units"] / line_amount(incomes["date"].dt.year)
    true = data.truth.monthly_welfare[BURN_IN + month.to_numpy(), place]
    np.testing.assert_allclose(entered, true, atol=1e-3)


def test_labels_from_the_tables_are_the_true_outcomes(data):
    rows = cohort(data, DATES).index
    for rule in ("at_horizon", "any"):
        label = outcome_labels(data, rows, horizon_months=12, rule=rule)
        seen = label.notna().to_numpy()
        true = data.truth.returned(rows, rule=rule)
        assert seen.mean() > 0.97
        # Months without an entry and corrections still to come move a household across the line now and then.
        assert (label[seen] == true[seen]).mean() > 0.995


@pytest.mark.parametrize("horizon", [3, 6, 12, 18])
def test_any_asks_every_month_end_with_half_the_months_behind_it(data, horizon, at_risk):
    rows = at_risk[:300]
    welfare = data.truth.monthly_welfare[BURN_IN + 24 :, data.truth.household_ids.get_indexer(rows.get_level_values(0))]
    judged = min(12, horizon)
    for rule, ends in (
        ("at_horizon", [horizon]),
        ("any", [month for month in range(1, horizon + 1) if month >= judged / 2]),
    ):
        expected = [any(column[max(end - judged, 0) : end].mean() < 1 for end in ends) for column in welfare.T]
        got = data.truth.returned(rows, horizon_months=horizon, rule=rule)
        np.testing.assert_array_equal(got, np.array(expected, dtype=float))


def test_an_outcome_beyond_the_last_month_is_missing(data, at_risk):
    late = pd.MultiIndex.from_product([["H000001"], pd.to_datetime(["2024-06-01"])], names=at_risk.names)
    assert data.truth.returned(late).isna().all()
    assert data.truth.outcome_under(late).isna().all(axis=None)


def test_every_cause_stands_behind_some_returns_and_none_behind_most(data):
    welfare = data.truth.welfare(DATES)
    shocks = data.truth.shocks(welfare.index[(welfare >= 1).to_numpy()])
    assert list(shocks) == [*SHOCK_CAUSES, "income"]
    share = shocks.mean()
    assert (share > 0.01).all()
    assert (share < 0.5).all()
    # Most returns have a shock without which they would not have happened.
    assert (shocks[list(SHOCK_CAUSES)].max(axis=1) == 1).mean() > 0.8


def test_a_disaster_is_behind_a_return_only_where_one_struck(data, at_risk):
    shocks = data.truth.shocks(at_risk)
    area = data.tables["households"].drop_duplicates("household_id").set_index("household_id")["area_id"]
    struck = data.tables["disasters"].query("area_id != ''")
    struck = struck[(struck["date"] >= "2022-01-01") & (struck["date"] < "2024-01-01")]
    places = tuple(struck["area_id"])
    for household, _ in shocks.index[shocks["disaster"] == 1]:
        assert area[household].startswith(places)


def test_shocks_are_told_only_of_returns(data, at_risk):
    returned = data.truth.returned(at_risk)
    pd.testing.assert_index_equal(data.truth.shocks(at_risk).index, at_risk[(returned == 1).to_numpy()])


def test_shocks_before_the_day_are_taken_out_alone(data, at_risk):
    truth = data.truth
    needed, before = truth.shocks(at_risk), truth.shocks(at_risk, before_only=True)
    pd.testing.assert_index_equal(before.index, needed.index)
    # A disaster that struck only after the day cannot be taken out.
    area = data.tables["households"].drop_duplicates("household_id").set_index("household_id")["area_id"]
    struck = data.tables["disasters"].query("area_id != '' and date >= '2022-01-01' and date < '2023-01-01'")["area_id"]
    late = [household for household, _ in needed.index if not area[household].startswith(tuple(struck))]
    assert (before.loc[late, "disaster"] == 0).all()
    assert 0 < (needed["disaster"] & ~before["disaster"].astype(bool)).sum() < needed["disaster"].sum()


def test_what_could_be_foreseen_is_as_often_so_as_foreseen(data, at_risk):
    truth = data.truth
    needed = truth.shocks(at_risk)
    likely = truth.likely_shocks(needed.index, n_draws=30)
    assert list(likely) == list(needed)
    told = likely.notna().all(axis=1)
    assert told.mean() > 0.9
    assert likely[told].ge(0).all(axis=None)
    assert likely[told].le(1).all(axis=None)
    # Every return counts alike; the largest of twelve gaps of two shares of so many returns stays well below this.
    assert (likely[told].mean() - needed[told].mean()).abs().max() < 0.15
    # And it is known of whom: better than the mean for everybody.
    error, blind = ((guess - needed[told]) ** 2 for guess in (likely[told], needed[told].mean()))
    assert error.mean(axis=None) < 0.8 * blind.mean(axis=None)


def test_each_measure_helps_on_average_and_harms_few(data, at_risk):
    returned = data.truth.returned(at_risk)
    under = data.truth.outcome_under(at_risk)
    effect = under.rsub(returned, axis=0).mean()
    assert list(under) == list(MEASURES)
    assert (effect > -0.001).all()
    assert effect["public_service_post"] > 0.01
    assert (under.gt(returned, axis=0).mean() < 0.005).all()


def test_the_supported_look_worse_although_support_helps(data, at_risk):
    truth = data.truth
    running = truth.states["support"][BURN_IN + 24] > 0
    returned = truth.returned(at_risk).to_numpy()
    lanes = truth.household_ids.get_indexer(at_risk.get_level_values(0))
    for name in ("minimum_income_guarantee", "public_service_post", "production_grant"):
        has = running[list(MEASURES).index(name), lanes]
        assert returned[has].mean() > returned[~has].mean()


def test_support_that_cannot_end_is_not_behind_a_return_of_the_unsupported(data, at_risk):
    shocks = data.truth.shocks(at_risk)
    lanes = data.truth.household_ids.get_indexer(shocks.index.get_level_values(0))
    never = (data.truth.states["support"][BURN_IN + 12 : BURN_IN + 36][..., lanes] == 0).all(axis=(0, 1))
    assert never.sum() > 5
    assert (shocks["assistance"][never] == 0).all()


def test_unknown_questions_are_refused(data, at_risk):
    with pytest.raises(ValueError, match="unknown measures \\['prayer'\\]"):
        data.truth.outcome_under(at_risk, ["prayer"])
    with pytest.raises(ValueError, match="first days of the months"):
        data.truth.risk(["2023-01-15"])
    with pytest.raises(ValueError, match="first days of the months"):
        data.truth.welfare(["2020-01-01"])
    with pytest.raises(ValueError, match="rule must be"):
        data.truth.returned(at_risk, rule="never")
    stranger = pd.MultiIndex.from_tuples([("H999999", pd.Timestamp(DAY))], names=at_risk.names)
    with pytest.raises(ValueError, match="'H999999' is not in"):
        data.truth.returned(stranger)
    for wrong in ({"n_households": 0}, {"n_months": 0}, {"start": "2021-01-05"}, {"scenario": "war"}):
        with pytest.raises(ValueError, match="must be"):
            make_monitoring(**{"n_households": 10, **wrong})


def test_the_tables_are_those_of_the_contract_and_pass_again(data):
    assert set(data.tables) == set(TABLES) - {"welfare", "traits"}
    again = Monitoring(data.tables, extract_on=data.extract_on)
    for name, frame in data.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], frame)
    assert len(data.check().query("severity == 'error'")) == 0


def test_the_same_seed_gives_the_same_tables():
    first, second = (make_monitoring(80, n_months=15, random_state=5) for _ in range(2))
    other = make_monitoring(80, n_months=15, random_state=6)
    generator = make_monitoring(80, n_months=15, random_state=np.random.default_rng(5))
    for name, frame in first.tables.items():
        pd.testing.assert_frame_equal(frame, second.tables[name])
        pd.testing.assert_frame_equal(frame, generator.tables[name])
    assert not first.tables["incomes"].equals(other.tables["incomes"])
    pd.testing.assert_frame_equal(
        first.truth.risk(["2022-01-01"], n_draws=9), second.truth.risk(["2022-01-01"], n_draws=9)
    )


@pytest.mark.parametrize("n_households", [1, 2, 30])
def test_small_and_short_districts_work(n_households):
    data = make_monitoring(n_households, n_months=3, random_state=2, start="2019-11-01")
    assert data.tables["incomes"]["date"].max() <= pd.Timestamp("2020-01-31")


@pytest.mark.parametrize("table", ["incomes", "medical", "production", "housing"])
def test_a_few_per_cent_of_entries_come_months_late(data, table):
    low, high, late = DELAYS[table]
    frame = newest(data.tables[table].iloc[::-1], list(TABLES[table].key)) if table == "housing" else data.tables[table]
    first = frame.sort_values("known_on").drop_duplicates(list(TABLES[table].key))
    first = first[(first["date"] > "2021-02-01") & (first["date"] < data.extract_on - pd.Timedelta(days=300))]
    registered = data.tables["households"].groupby("household_id")["known_on"].min()
    first = first[first["household_id"].map(registered) < pd.Timestamp("2021-01-01")]
    delay = (first["known_on"] - first["date"]).dt.days
    assert delay.min() >= low
    assert ((delay > high) & (delay < 60)).sum() == 0
    assert (delay >= 60).mean() == pytest.approx(late, abs=0.012)


@pytest.mark.parametrize("table", ["incomes", "medical"])
def test_a_few_per_cent_of_entries_are_corrected(data, table):
    frame = data.tables[table]
    frame = frame[frame["date"] < data.extract_on - pd.Timedelta(days=400)]
    frame = frame[frame["withdrawn"] != 1]
    versions = frame.groupby(list(TABLES[table].key)).size()
    assert (versions > 1).mean() == pytest.approx(CORRECTED[table], abs=0.006)


def test_withdrawn_bills_name_a_bill_entered_before(data):
    medical = data.tables["medical"]
    back = medical[medical["withdrawn"] == 1]
    entered = medical[medical["withdrawn"] == 0].set_index(["household_id", "record_id"])["known_on"]
    assert len(back) / len(medical) == pytest.approx(WITHDRAWN["medical"], abs=0.004)
    keys = pd.MultiIndex.from_frame(back[["household_id", "record_id"]])
    assert (entered.loc[keys].groupby(level=[0, 1]).min().reindex(keys).to_numpy() < back["known_on"].to_numpy()).all()


def test_some_income_entries_and_sources_are_missing(data):
    incomes = newest(data.tables["incomes"], ["household_id", "date"])
    assert incomes[["wage", "business"]].isna().any(axis=1).mean() == pytest.approx(0.02, abs=0.005)
    stayed = data.tables["households"].groupby("household_id")["left_on"].count() == 0
    entries = incomes[incomes["date"] < "2024-03-01"].groupby("household_id").size()[stayed]
    assert 1 - entries.mean() / 38 == pytest.approx(0.012, abs=0.004)


def test_disasters_hit_many_households_of_the_area_they_strike(data):
    truth = data.truth
    struck = data.tables["disasters"].query("area_id != ''")
    area = data.tables["households"].drop_duplicates("household_id").set_index("household_id")["area_id"]
    area = area[truth.household_ids]
    hit = []
    for place, date in zip(struck["area_id"], struck["date"], strict=True):
        month = (date.year - 2021) * 12 + date.month - 1
        inside = area.str.startswith(place).to_numpy()
        hit.append((truth.states["struck"][BURN_IN + month + 1, inside] == 5).mean())
        assert inside.sum() > 1
    assert len(hit) > 20
    assert 0.45 < np.mean(hit) < 0.85
    assert set(struck["area_id"].str.len()) == {9, 12}


def test_ends_of_jobs_are_learned_after_they_began(data):
    jobs = data.tables["employment"]
    ended = jobs["end_known_on"].notna()
    assert (jobs["end_known_on"] >= jobs["known_on"])[ended].all()
    assert ((jobs["end_known_on"] - jobs["end"]).dt.days >= 0)[ended].all()
    assert (jobs["end"].notna() == ended).all()


def test_a_disaster_scenario_strikes_every_second_township_in_one_month():
    data = make_monitoring(1300, n_months=24, random_state=3, scenario="disaster")
    quiet = make_monitoring(1300, n_months=24, random_state=3)
    struck = data.truth.states["struck"][BURN_IN + 17] == 5
    even = data.truth.traits["township"] % 2 == 0
    assert struck[even].mean() > 0.7
    assert struck[~even].mean() < 0.2
    before = slice(0, BURN_IN + 16)
    np.testing.assert_array_equal(data.truth.monthly_welfare[before], quiet.truth.monthly_welfare[before])


def test_a_policy_scenario_ends_all_public_service_posts():
    truth = make_monitoring(400, n_months=24, random_state=3, scenario="policy").truth
    posts = (truth.states["support"][:, list(MEASURES).index("public_service_post")] > 0).sum(axis=1)
    assert posts[BURN_IN + 16] > 10
    assert (posts[BURN_IN + 17 :] == 0).all()


def test_the_page_on_the_law_shows_the_numbers_of_the_code():
    page = (Path(__file__).parents[1] / "docs" / "simulator.md").read_text(encoding="utf-8")
    for hazard in HAZARDS.values():
        factors = ", ".join(f"{name} {factor:g}" for name, factor in hazard.factors.items()) or "-"
        assert (
            f"| `{hazard.name}` | {hazard.cause or '-'} | {hazard.monthly:.4f} | {factors} | {hazard.meaning} |" in page
        )
    for measure in MEASURES.values():
        terms = f"{measure.months[0]}-{measure.months[1]} | {measure.value:g} | {'yes' if measure.income else 'no'}"
        assert f"| `{measure.name}` | {terms} | {measure.effect} |" in page
    for name, (value, meaning) in CONSTANTS.items():
        assert f"| `{name}` | {value:.4g} | {meaning} |" in page
    for table, (low, high, late) in DELAYS.items():
        wrong, back = 100 * CORRECTED.get(table, 0), 100 * WITHDRAWN.get(table, 0)
        assert f"| {table} | {low}-{high} | {100 * late:g} % | {wrong:g} % | {back:g} % |" in page
