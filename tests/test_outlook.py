"""Outlooks of areas against exact laws: sums by convolution, integrals by quadrature, worlds of known shocks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import multivariate_normal

import riskml as rk
from riskml.cli import main
from riskml.files import read_table, write_table
from riskml.outlook import shocks as module
from riskml.outlook.areas import OUTLOOK_COLUMNS, area_draws, area_outlook, most_within
from riskml.outlook.backtests import backtest_outlooks, backtest_predictions, coverage_table
from riskml.outlook.hierarchy import checked_levels, found_levels, nodes_of
from riskml.outlook.shocks import Shocks, centred_log_odds, learn_shocks, no_shocks, shocks_of

#: Models are fitted here to be asked when and of whom, not how well: that hangs on no number of trees.
pytestmark = pytest.mark.usefixtures("few_trees")

LEVELS = {"township": 2, "village": 4}
OUTCOME = {"horizon_months": 12, "rule": "at_horizon", "net_of_assistance": False, "outcome": "welfare"}
risks = st.lists(st.floats(0.001, 0.9), min_size=1, max_size=40)


def world(
    rng: np.random.Generator,
    spreads: tuple[float, float, float],
    *,
    n_dates: int = 6,
    n_townships: int = 5,
    n_villages: int = 5,
    n_households: int = 30,
    every_months: int = 12,
) -> pd.DataFrame:
    """Return predictions and outcomes drawn from the law that outlooks assume."""
    total = float(np.sqrt(np.square(spreads).sum()))
    parts = []
    for date in range(n_dates):
        of_all = spreads[0] * rng.standard_normal()
        of_township = spreads[1] * rng.standard_normal(n_townships)
        of_village = spreads[2] * rng.standard_normal((n_townships, n_villages))
        shock = (of_all + of_township[:, None] + of_village).repeat(n_households)
        risk = expit(rng.normal(-2.5, 0.8, len(shock)))
        codes = [f"{t:02d}{v:02d}" for t in range(n_townships) for v in range(n_villages)]
        part = pd.DataFrame({"area_id": np.repeat(codes, n_households), "risk": risk})
        part["as_of_date"] = pd.Timestamp("2010-01-01") + pd.DateOffset(months=every_months * date)
        p = expit(centred_log_odds(risk, total) + shock)
        parts.append(part.assign(returned=(rng.random(len(p)) < p).astype(float)))
    return pd.concat(parts, ignore_index=True)


def exact_counts(risk: Any) -> np.ndarray:
    """Return the law of a sum of independent outcomes, by convolution."""
    law = np.ones(1)
    for p in risk:
        law = np.convolve(law, [1 - p, p])
    return law


# --- areas within areas -----------------------------------------------------------------------------------------------


def test_levels_are_those_of_official_codes_that_tell_areas_apart():
    codes = ["990121100201", "990121100202", "990121101201", "990122100201"]
    assert found_levels(codes) == {"county": 6, "township": 9, "village": 12}
    assert found_levels(codes[:2]) == {"village": 12}
    assert found_levels(["52"]) == {}
    assert found_levels(["a", "bcd"]) == {"area": 3}


def test_every_area_is_held_by_the_area_its_code_begins_with():
    codes, parents = nodes_of(pd.Series(["0102", "0201", "0101", "0102"]), LEVELS)
    assert [list(level) for level in codes] == [["0101", "0102", "0201"], ["01", "02"], [""]]
    assert [place.tolist() for place in parents] == [[1, 2, 0, 1], [0, 0, 1], [0, 0]]


@pytest.mark.parametrize("levels", [{"a": 4, "b": 2}, {"a": 0}, {"all": 2}, {"a": 2, "b": 2}])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ValueError, match="ascending"):
        checked_levels(levels)


# --- counts given shocks ----------------------------------------------------------------------------------------------


@given(risk=risks, seed=st.integers(0, 10))
@settings(max_examples=25, deadline=None)
def test_without_shocks_counts_follow_the_exact_law_of_independent_households(risk, seed):
    n = 4000
    draws = area_draws(pd.DataFrame({"area_id": "0101", "risk": risk}), no_shocks(LEVELS), n_draws=n, random_state=seed)
    drawn = (draws.to_numpy()[0][:, None] <= np.arange(len(risk) + 1)).mean(axis=0)
    # Dvoretzky, Kiefer, Wolfowitz and Massart: further than this once in 10^9 times.
    assert np.abs(drawn - np.cumsum(exact_counts(risk))).max() < np.sqrt(np.log(2e9) / (2 * n))


def test_without_shocks_bounds_are_those_of_the_exact_law():
    risk = np.linspace(0.02, 0.2, 200)
    row = area_outlook(pd.DataFrame({"area_id": "01", "risk": risk}), no_shocks({}), n_draws=40_000).iloc[0]
    below = np.cumsum(exact_counts(risk))
    for coverage in (80, 95):
        tail = (1 - coverage / 100) / 2
        assert abs(row[f"lower_{coverage}"] - np.searchsorted(below, tail)) <= 1
        assert abs(row[f"upper_{coverage}"] - np.searchsorted(below, 1 - tail)) <= 1
    assert row["probability"] == pytest.approx(1 - below[10], abs=0.01)  # more than 5 % of 200


def test_counts_of_larger_areas_are_sums_of_their_parts_draw_by_draw():
    now = world(np.random.default_rng(0), (0.3, 0.3, 0.3), n_dates=1)
    shocks = Shocks(LEVELS, ((0.3, 0.3, 0.3), (0.1, 0.5, 0.0)))
    table = area_outlook(now, shocks, random_state=5).set_index(["level", "area_id"])
    draws = area_draws(now, shocks, random_state=5)
    for township, own in draws.groupby(draws.index.str[:2]):
        summed = own.sum(axis=0).to_numpy()
        row = table.loc[("township", township)]
        assert row["lower_95"] == np.quantile(summed, 0.025, method="inverted_cdf")
        assert row["upper_80"] == np.quantile(summed, 0.9, method="inverted_cdf")
        assert row["probability"] == (summed > most_within(row["households"], 0.05)).mean()
    for column in ("households", "expected"):
        of_level = table.groupby("level")[column].sum()
        np.testing.assert_allclose(of_level, of_level["all"])
    assert table.loc[("all", ""), "expected"] == pytest.approx(now["risk"].sum())


def test_shocks_spread_counts_and_leave_their_mean_alone():
    now = world(np.random.default_rng(1), (0, 0, 0), n_dates=1)
    alone, together = (
        area_draws(now, shocks, n_draws=20_000).sum(axis=0)
        for shocks in (no_shocks(LEVELS), Shocks(LEVELS, ((0.6, 0.4, 0.2),)))
    )
    for draws in (alone, together):
        assert abs(draws.mean() - now["risk"].sum()) < 5 * draws.std() / np.sqrt(len(draws))
    # To first order the shock of the whole moves the count by 0.6 times the sum of p (1 - p).
    assert together.std() > 0.5 * 0.6 * (now["risk"] * (1 - now["risk"])).sum() > 2 * alone.std()


@given(risk=st.floats(0.001, 0.999), spread=st.floats(0, 2))
@settings(max_examples=50, deadline=None)
def test_the_mean_over_the_shocks_is_the_risk(risk, spread):
    centre = centred_log_odds(np.array([risk]), spread)[0]
    z = np.linspace(-8, 8, 4001)
    mean = (expit(centre + spread * z) * np.exp(-(z**2) / 2)).sum() / np.exp(-(z**2) / 2).sum()
    assert mean == pytest.approx(risk, abs=2e-3 * risk * (1 - risk) + 1e-5)


def test_the_order_of_rows_does_not_matter():
    now = world(np.random.default_rng(2), (0, 0, 0), n_dates=2)
    shocks = learn_shocks(now, horizon_months=12, levels=LEVELS)
    mixed = now.sample(frac=1, random_state=0)
    again = learn_shocks(mixed, horizon_months=12, levels=LEVELS)
    np.testing.assert_allclose(again.spreads, shocks.spreads, atol=2e-3)
    pd.testing.assert_frame_equal(area_outlook(mixed, shocks), area_outlook(now, shocks))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"risk": 0.0}, "above 0"),
        ({"risk": np.nan}, "above 0"),
        ({"area_id": None}, "area_id"),
    ],
)
def test_risks_that_are_none_are_refused(change, said):
    now = pd.DataFrame({"area_id": ["01"], "risk": [0.1]}).assign(**change)
    now = now.drop(columns=[name for name, value in change.items() if value is None])
    with pytest.raises(ValueError, match=said):
        area_outlook(now, no_shocks({}))


def test_an_outlook_refuses_what_makes_no_sense():
    now = pd.DataFrame({"area_id": ["01"], "risk": [0.1]})
    with pytest.raises(ValueError, match="exceeds"):
        area_outlook(now, no_shocks({}), exceeds=1.0)
    with pytest.raises(ValueError, match="200"):
        area_outlook(now, no_shocks({}), n_draws=10)
    with pytest.raises(ValueError, match="row a household"):
        area_outlook(now.iloc[:0], no_shocks({}))


# --- the spread of shocks ---------------------------------------------------------------------------------------------


def tree_of(rows: pd.DataFrame, levels: dict[str, int]) -> module._Tree:
    return module._Tree.of(rows, levels, 12)


@given(seed=st.integers(0, 1000), spreads=st.tuples(*[st.floats(0.05, 1.5)] * 3))
@settings(max_examples=25, deadline=None)
def test_the_tree_integrates_as_a_dense_gaussian_does(seed, spreads):
    rng = np.random.default_rng(seed)
    rows = world(rng, (0, 0, 0), n_dates=2, n_townships=2, n_villages=3, n_households=1)
    tree = tree_of(rows, LEVELS)
    n = tree.sizes[0]
    information, z = rng.uniform(0.2, 5, n), rng.normal(0, 1, n)
    constant, mode = tree._integrated(information, information * z, np.square(spreads)[::-1])
    codes, _ = nodes_of(rows["as_of_date"].dt.strftime("%Y") + rows["area_id"], {"date": 4, "t": 6, "v": 8})
    leaves = codes[0]
    same = [np.equal.outer(leaves.str[:length], leaves.str[:length]) for length in (4, 6, 8)]
    covariance = sum(spread**2 * one for spread, one in zip(spreads, same, strict=True))
    noise = np.diag(1 / information)
    # log of the integral of exp(score a - information a^2 / 2), by the density of z.
    expected = multivariate_normal(np.zeros(n), covariance + noise).logpdf(z)
    expected -= multivariate_normal(np.zeros(n), noise).logpdf(z)
    assert constant == pytest.approx(expected, abs=1e-8)
    np.testing.assert_allclose(mode, covariance @ np.linalg.solve(covariance + noise, z), atol=1e-8)


@pytest.mark.parametrize("spread", [0.1, 0.4, 0.8])
def test_the_likelihood_is_near_the_integral_by_quadrature(spread):
    rng = np.random.default_rng(4)
    risk = rng.uniform(0.02, 0.3, 120)
    returned = (rng.random(120) < risk * 1.5).astype(float)
    rows = pd.DataFrame({"area_id": "01", "as_of_date": pd.Timestamp("2020-01-01"), "risk": risk, "returned": returned})
    z = np.linspace(-8, 8, 2001)
    p = expit(centred_log_odds(risk, spread)[:, None] + spread * z)
    log_p = np.log(np.where(returned[:, None] == 1, p, 1 - p)).sum(axis=0)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    exact = np.log((np.exp(log_p - log_p.max()) * density).sum() * (z[1] - z[0])) + log_p.max()
    alone = np.log(np.where(returned == 1, risk, 1 - risk)).sum()
    tree = tree_of(rows, {})
    likelihood = tree.log_likelihood(np.array([spread])) - tree.log_likelihood(np.array([1e-6]))
    assert likelihood == pytest.approx(exact - alone, abs=0.05)


def test_many_dates_teach_the_spreads_they_were_drawn_with():
    truth = (0.4, 0.0, 0.5)
    rows = world(np.random.default_rng(7), truth, n_dates=40)
    table = learn_shocks(rows, horizon_months=12).summary().set_index("level")
    assert list(table.index) == ["all", "province", "prefecture"]
    for level, spread in zip(table.index, truth, strict=True):
        assert table.loc[level, "lower"] - 0.02 <= spread <= table.loc[level, "upper"] + 0.02
    assert table.loc["province", "upper"] < 0.2
    assert 0.35 < table.loc["prefecture", "median"] < 0.65


def test_intervals_of_new_dates_hold_what_they_say_where_independent_ones_do_not():
    judged: dict[bool, list[pd.DataFrame]] = {False: [], True: []}
    for seed in range(12):
        rows = world(np.random.default_rng(seed), (0.4, 0.3, 0.2), n_dates=6, n_households=24)
        last = rows["as_of_date"] == rows["as_of_date"].max()
        shocks = learn_shocks(rows[~last], horizon_months=12, levels=LEVELS, random_state=seed)
        for independent, held in judged.items():
            outlook = area_outlook(rows[last], no_shocks(LEVELS) if independent else shocks, n_draws=1000)
            counts = rows[last].groupby(rows["area_id"].str[:2])["returned"].sum()
            returned = [counts.sum(), *counts]
            held.append(outlook[outlook["level"] != "village"].assign(returned=returned))
    together, alone = (coverage_table(pd.concat(judged[way])).set_index("level") for way in (False, True))
    assert together.loc["township", "covered_80"] > 0.7
    assert together.loc["township", "covered_95"] > 0.87
    assert together.loc["all", "covered_95"] > 0.8
    assert alone.loc["township", "covered_80"] < 0.65
    assert alone.loc["all", "covered_95"] < 0.7


def test_little_known_of_the_spread_makes_intervals_wider():
    few, many = (world(np.random.default_rng(11), (0.4, 0.0, 0.0), n_dates=n) for n in (2, 30))
    few_known, much_known = (learn_shocks(rows, horizon_months=12, levels=LEVELS).summary() for rows in (few, many))
    width = [(table["upper"] / table["lower"])[0] for table in (few_known, much_known)]
    assert width[0] > 1.5 * width[1]


def test_dates_that_share_months_count_as_the_horizons_they_span():
    days = pd.date_range("2020-01-01", periods=41, freq="QS")
    weights = module._date_weights(days, 12)
    assert weights[20] == pytest.approx(1 / (1 + 2 * (0.75 + 0.5 + 0.25)))
    assert module._date_weights(days[::4], 12) == pytest.approx(1)
    assert weights.sum() == pytest.approx(120 / 12 + 1, abs=0.4)  # ten years and a horizon
    rows = world(np.random.default_rng(3), (0.4, 0.2, 0.2), n_dates=2)
    assert learn_shocks(rows, horizon_months=12).n_periods == 2


def test_shocks_survive_the_way_to_plain_values_and_damage_is_refused():
    shocks = Shocks(LEVELS, ((0.1, 0.2, 0.3),), 2.5, 100, "2023-01-01")
    assert shocks_of(shocks.as_dict()) == shocks
    for spreads in ([[0.1]], [[-0.1, 0.2, 0.3]], [[0.1, 0.2, float("nan")]]):
        with pytest.raises(ValueError, match="spreads"):
            shocks_of({**shocks.as_dict(), "spreads": spreads})


@pytest.mark.parametrize("change", [{"risk": 1.0}, {"returned": np.nan}, {"returned": 0.5}])
def test_predictions_that_are_none_are_refused(change):
    rows = world(np.random.default_rng(0), (0, 0, 0), n_dates=1).assign(**change)
    with pytest.raises(ValueError, match="rows have a risk"):
        learn_shocks(rows, horizon_months=12)


def test_missing_columns_are_named():
    with pytest.raises(ValueError, match="missing: returned"):
        learn_shocks(pd.DataFrame({"area_id": ["1"], "as_of_date": ["2020-01-01"], "risk": [0.1]}), horizon_months=12)


# --- earlier dates ----------------------------------------------------------------------------------------------------


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_N_PROPOSED", 60)


def outlooks_see_no_later_outcome() -> None:
    """Outcomes that were not known by a date change nothing of its outlook."""
    rows = world(np.random.default_rng(5), (0.5, 0.2, 0.2), n_dates=4, every_months=6, n_townships=2, n_villages=2)
    how = {"horizon_months": 12, "levels": LEVELS, "n_draws": 300}
    day = rows["as_of_date"].unique()[3]
    late = rows["as_of_date"] + pd.DateOffset(months=12) > day
    other = rows.assign(returned=rows["returned"].where(~late, 1 - rows["returned"]))
    told, untold = (backtest_outlooks(each, **how) for each in (rows, other))
    assert list(told["as_of_date"].unique()) == list(rows["as_of_date"].unique()[2:])
    columns = ["as_of_date", "area_id", "expected", "lower_80", "upper_80", "lower_95", "upper_95", "probability"]
    mine = told["as_of_date"] == day
    pd.testing.assert_frame_equal(told.loc[mine, columns], untold.loc[mine, columns])
    known = rows["as_of_date"] + pd.DateOffset(months=12) == day
    changed = rows.assign(returned=rows["returned"].where(~known, 1.0))
    assert not backtest_outlooks(changed, **how).loc[mine, columns].equals(told.loc[mine, columns])
    returned = rows.groupby(["as_of_date", "area_id"])["returned"].sum()
    villages = told[told["level"] == "village"]
    assert (
        villages["returned"].to_numpy()
        == returned.loc[list(zip(villages["as_of_date"], villages["area_id"], strict=True))]
    ).all()


@pytest.mark.usefixtures("_quick")
def test_outlooks_of_earlier_dates_see_no_later_outcome():
    outlooks_see_no_later_outcome()


#: Name of the fault: (module, right text, wrong text).
LIMIT = "+ pd.DateOffset(months=horizon_months) <= day"
FAULTS = {
    "an outlook sees outcomes of its own time": ("outlook.backtests", LIMIT, "< day"),
    "an outlook sees its own outcomes": ("outlook.backtests", LIMIT, "<= day"),
    "the newest known outcomes are left out": ("outlook.backtests", LIMIT, LIMIT.replace("<=", "<")),
}  # fmt: skip


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_of_time_is_caught(fault, plant: Callable[[str, str, str], None]):
    plant(*FAULTS[fault])
    with pytest.raises((AssertionError, ValueError)):
        outlooks_see_no_later_outcome()


def test_where_no_date_can_be_judged_the_table_is_empty_and_has_its_columns():
    rows = world(np.random.default_rng(5), (0, 0, 0), n_dates=1)
    empty = backtest_outlooks(rows, horizon_months=12)
    assert empty.empty
    assert {"as_of_date", "returned", "probability"} <= set(empty)
    assert coverage_table(empty).empty


@pytest.fixture(scope="module")
def county() -> rk.Monitoring:
    return rk.datasets.make_monitoring(900, n_months=48, random_state=3)


def test_predictions_of_earlier_dates_do_not_change_when_later_records_change(county):
    how: dict[str, Any] = {"outcome": OUTCOME, "every_months": 6}
    asked = backtest_predictions(county, **how)
    assert not asked.duplicated(["household_id", "as_of_date"]).any()
    day = asked["as_of_date"].drop_duplicates().sort_values().iloc[1]
    incomes = county.tables["incomes"].copy()
    incomes.loc[incomes["known_on"] >= day, ["wage", "business", "total"]] *= 0.5
    changed = backtest_predictions(rk.Monitoring({**county.tables, "incomes": incomes}), **how)
    keys = ["household_id", "as_of_date"]
    before, after = (table[table["as_of_date"] < day].set_index(keys) for table in (asked, changed))
    pd.testing.assert_frame_equal(before[["area_id", "risk"]], after.loc[before.index, ["area_id", "risk"]])
    assert not before["returned"].equals(after.loc[before.index, "returned"])
    truth = county.truth.returned(pd.MultiIndex.from_frame(asked[keys]), horizon_months=12)
    assert (truth.to_numpy() == asked["returned"].to_numpy()).mean() > 0.95


def test_a_backtest_of_too_few_months_is_refused(county):
    with pytest.raises(ValueError, match="too short for a backtest"):
        backtest_predictions(county, outcome=OUTCOME, until="2023-01-01")


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def work(county, tmp_path_factory) -> Path:
    """Return a folder with the county, a model, the outlook of a day and the predictions behind it."""
    folder = tmp_path_factory.mktemp("展望 outlook")
    rk.write_monitoring(county, folder / "county")
    assert run(folder, "train {}/county --every-months 6 --out {}/models") == 0
    asked = f"outlook {{}}/county --model {{}}/models --as-of {AS_OF} --every-months 6 --backtest {{}}/earlier.parquet"
    assert run(folder, f"{asked} --out {{}}/outlook.csv") == 0
    score = "score {}/county --model {}/models --as-of 2025-01-01"
    assert run(folder, f"{score} --explain none --out {{}}/scored.parquet") == 0
    assert run(folder, f"{score} --top 20 --out {{}}/list.parquet") == 0
    return folder


AS_OF = "2025-01-01"


def run(folder: Path, command: str) -> int:
    return main([argument.replace("{}", str(folder)) for argument in command.split()])


def test_the_command_writes_the_outlook_of_everybody_at_risk(work, county):
    table = read_table(work / "outlook.csv", required=OUTLOOK_COLUMNS)
    at_risk = rk.cohort(county, [AS_OF])
    assert table["level"].tolist()[0] == "all"
    assert table["area_id"].tolist()[0] == ""
    villages = table[table["level"] == "village"].set_index("area_id")["households"]
    assert villages.astype(int).to_dict() == at_risk["area_id"].value_counts().to_dict()
    model = rk.load_model(work / "models")
    X = rk.feature_table(county, [AS_OF])[list(model.feature_names_in_)]
    assert table["expected"].iloc[0] == pytest.approx(model.predict_risk(X).sum())
    earlier = read_table(work / "earlier.parquet")
    assert (earlier["as_of_date"] + pd.DateOffset(months=12) <= pd.Timestamp(AS_OF)).all()


def test_the_answer_has_alarms_and_their_record_in_words_and_as_json(work, capsys):
    command = "outlook {}/county --model {}/models --as-of 2025-01-01 --backtest {}/earlier.parquet --out {}/again.csv"
    assert run(work, f"--json {command} --alarm-at 0.3") == 0
    said = json.loads(capsys.readouterr().out)
    assert (work / "again.csv").exists()
    table = read_table(work / "again.csv")
    assert [row["area_id"] for row in said["alarms"]] == table.loc[table["probability"] >= 0.3, "area_id"].tolist()
    assert {row["level"] for row in said["earlier_alarms"]} <= set(table["level"])
    assert said["shocks"]["n_periods"] > 1
    before = read_table(work / "outlook.csv").drop(columns="alarm_at")
    pd.testing.assert_frame_equal(table.drop(columns="alarm_at"), before)
    command = "outlook {}/scored.parquet --backtest {}/earlier.parquet --out {}/again.csv"
    for language, word in (("en", "Alarms (probability from 30%)"), ("zh", "预警（概率30%及以上）")):
        assert run(work, f"--lang {language} {command} --alarm-at 0.3") == 0
        assert word in capsys.readouterr().out


def test_a_list_of_everybody_scored_gives_the_same_outlook_without_tables_or_model(work):
    assert run(work, "outlook {}/scored.parquet --backtest {}/earlier.parquet --out {}/from_list.csv") == 0
    pd.testing.assert_frame_equal(read_table(work / "from_list.csv"), read_table(work / "outlook.csv"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_has_a_section_on_areas(work, language):
    made = f"--lang {language} report --watchlist {{}}/list.parquet --outlook {{}}/outlook.csv --out {{}}/report.html"
    assert run(work, made) == 0
    html = (work / "report.html").read_text(encoding="utf-8")
    assert ("会不会出现规模性返贫" if language == "zh" else "Could whole areas fall back") in html
    assert html.count('<svg class="map"') == 1
    table = read_table(work / "outlook.csv")
    assert all(code in html for code in table["area_id"])
    assert "<script" not in html


def test_a_report_refuses_the_outlook_of_another_day(work, capsys):
    other = read_table(work / "outlook.csv").assign(as_of_date=pd.Timestamp("2024-12-01"))
    write_table(other, work / "other.csv")
    assert run(work, "report --watchlist {}/list.parquet --outlook {}/other.csv --out {}/none.html") == 1
    assert "2024-12-01" in capsys.readouterr().err
    assert not (work / "none.html").exists()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("outlook {}/county --as-of 2025-01-01 --out {}/x.csv", 1, "--model"),
        ("outlook {}/county --model {}/models --out {}/x.csv", 1, "--as-of"),
        ("outlook {}/earlier.parquet --out {}/x.csv", 1, "--backtest"),
        ("outlook {}/earlier.parquet --as-of 2025-01-01 --backtest {}/earlier.parquet --out {}/x.csv", 1, "--as-of"),
        ("outlook {}/outlook.csv --backtest {}/earlier.parquet --out {}/x.csv", 3, "household_id"),
        ("outlook {}/county --levels village --out {}/x.csv", 2, "county:6,township:9"),
        ("outlook {}/county --levels a:4,b:2 --model {}/models --as-of 2025-01-01 --backtest {}/earlier.parquet "
         "--out {}/x.csv", 1, "ascending"),
        ("outlook {}/county --exceeds 1 --out {}/x.csv", 2, "below 1"),
        ("outlook {}/county --model {}/models --as-of 2022-09-01 --backtest {}/earlier.parquet --out {}/x.csv", 1,
         "no prediction of an earlier date"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_its_reason(work, capsys, command, code, said):
    assert run(work, command) == code
    assert said in capsys.readouterr().err
    assert not (work / "x.csv").exists()
