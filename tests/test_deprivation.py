"""Deprivation in several dimensions: its authors' worked example, another library, arithmetic, and who is left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mpitb import MPIToolbox

import riskml as rk
from riskml.features.panel import cohort


def indicators(names: str, weights: list[float] | None = None) -> list[rk.Indicator]:
    return [
        rk.Indicator(name=n, dimension=n, table="traits", column=n, sign="<", cutoff=1.0, weight=w)
        for n, w in zip(names, weights or [None] * len(names), strict=True)
    ]


#: Four persons in income, years of schooling, health and insurance, with cut-offs 13, 12, 3 and 1: the example of
#: Alkire and Foster (2011), as their institute (OPHI) teaches it.
ACHIEVEMENTS = np.array([[13.1, 14, 4, 1], [15.2, 7, 5, 0], [12.5, 10, 1, 0], [20.0, 11, 3, 1]])
EXAMPLE = pd.DataFrame((ACHIEVEMENTS < [13, 12, 3, 1]).astype(float), columns=list("abcd"))


def test_the_worked_example_of_alkire_and_foster() -> None:
    whole = rk.adjusted_headcount(EXAMPLE, rk.Deprivation(indicators("abcd"), cutoff=2 / 4)).iloc[0]
    # Two of four are deprived in two or more; they lack 2 and 4 of 4.
    assert (whole["H"], whole["A"], whole["M0"]) == (2 / 4, (2 / 4 + 4 / 4) / 2, 6 / 16)
    assert whole[[f"censored_{n}" for n in "abcd"]].tolist() == [1 / 4, 2 / 4, 1 / 4, 2 / 4]


@pytest.mark.parametrize(("cutoff", "poor"), [(1 / 4, 3), (1 / 2, 2), (3 / 4, 1), (1.0, 1)])
def test_the_cutoff_runs_from_union_to_intersection(cutoff: float, poor: int) -> None:
    assert rk.adjusted_headcount(EXAMPLE, rk.Deprivation(indicators("abcd"), cutoff=cutoff))["H"].item() == poor / 4


def test_weighted_and_grouped_figures_are_those_of_the_mpitb_package() -> None:
    rng = np.random.default_rng(0)
    names, weights = list("abcde"), [0.3, 0.15, 0.22, 0.13, 0.2]
    frame = pd.DataFrame((rng.random((500, 5)) < 0.3).astype(float), columns=names)
    frame = frame.assign(weight=rng.uniform(0.5, 3, 500), area=rng.choice(["n", "s"], 500))
    theirs = MPIToolbox()
    theirs.svyset(weight="weight")
    theirs.set(name="mine", dimensions=[([name], name) for name in names])
    definition = rk.Deprivation(indicators("abcde", weights), cutoff=0.4)
    ours = rk.adjusted_headcount(frame, definition, groups=frame["area"], sample_weight=frame["weight"])
    for _, row in ours.iterrows():
        part = frame if row["group"] == "all" else frame[frame["area"] == row["group"]]
        given_weights = dict(zip(names, weights, strict=True))
        told = theirs.est(
            part.copy(), name="mine", klist=[40], weights=given_weights, svy=True, lframe="t", replace=True
        )
        told = pd.DataFrame(theirs.results["t"] if told is None else told)
        for figure in ("H", "A", "M0"):
            assert row[figure] == pytest.approx(told.loc[told["measure"] == figure, "b"].item(), rel=1e-12)
        censored = told[(told["measure"] == "hdk") & (told["k"] == 40)].set_index("indicator")["b"]
        for name in names:
            assert row[f"censored_{name}"] == pytest.approx(censored[name], rel=1e-12)


MATRICES = arrays(np.float64, st.tuples(st.integers(1, 30), st.just(4)), elements=st.sampled_from([0.0, 1.0]))


@settings(max_examples=60, deadline=None)
@given(MATRICES, st.sampled_from([0.25, 1 / 3, 0.5, 0.7, 1.0]), st.integers(0, 2**31))
def test_it_decomposes_by_group_and_by_indicator(matrix: np.ndarray, cutoff: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = np.array([0.1, 0.4, 0.3, 0.2])
    frame = pd.DataFrame(matrix, columns=list("abcd"))
    definition = rk.Deprivation(indicators("abcd", list(weight)), cutoff=cutoff)
    survey, groups = rng.uniform(0.1, 5, len(frame)), rng.choice(list("xyz"), len(frame))
    table = rk.adjusted_headcount(frame, definition, groups=groups, sample_weight=survey)
    whole, parts = table.iloc[0], table.iloc[1:]
    assert whole["M0"] == pytest.approx((parts["M0"] * parts["weight"]).sum() / parts["weight"].sum())
    assert whole["M0"] == pytest.approx(whole[[f"censored_{n}" for n in "abcd"]].to_numpy(dtype=float) @ weight)
    # In plain words: who reaches the cut-off, and what they lack.
    score = [float(sum(w for w, lacks in zip(weight, row, strict=True) if lacks)) for row in matrix]
    poor = [s >= cutoff - 1e-9 for s in score]
    expected = sum(w * s for w, s, p in zip(survey, score, poor, strict=True) if p) / survey.sum()
    assert whole["M0"] == pytest.approx(expected)
    assert whole["H"] == pytest.approx(sum(w for w, p in zip(survey, poor, strict=True) if p) / survey.sum())


@settings(max_examples=60, deadline=None)
@given(MATRICES, st.integers(0, 3))
def test_one_more_deprivation_never_lowers_a_score(matrix: np.ndarray, column: int) -> None:
    definition = rk.Deprivation(indicators("abcd"))
    frame = pd.DataFrame(matrix, columns=list("abcd"))
    more = frame.assign(**{"abcd"[column]: 1.0})
    assert (definition.score(more) >= definition.score(frame)).all()


def test_a_score_that_equals_the_cutoff_on_paper_is_poor() -> None:
    frame = pd.DataFrame([[1.0, 1.0, 1.0, 0.0, 0.0]], columns=list("abcde"))
    tenths = rk.Deprivation(indicators("abcde", [0.1, 0.1, 0.1, 0.3, 0.4]), cutoff=0.3)
    assert 0.1 + 0.1 + 0.1 != 0.3
    assert tenths.poor(tenths.score(frame)).tolist() == [1.0]


def test_a_missing_indicator_makes_the_score_missing_unless_one_reweights() -> None:
    frame = pd.DataFrame([[1, 0, 0, np.nan], [1, 1, np.nan, np.nan], [1, np.nan, np.nan, np.nan]], columns=list("abcd"))
    assert rk.Deprivation(indicators("abcd")).score(frame).isna().all()
    again = rk.Deprivation(indicators("abcd"), missing="reweight")
    np.testing.assert_allclose(again.score(frame), [1 / 3, 1.0, np.nan])
    row = rk.adjusted_headcount(frame, again).iloc[0]
    assert (row["n"], row["n_missing"], row["H"]) == (2, 1, 1.0)


def test_nobody_poor_has_no_intensity_but_a_headcount_of_nothing() -> None:
    row = rk.adjusted_headcount(EXAMPLE * 0, rk.Deprivation(indicators("abcd"))).iloc[0]
    assert (row["H"], row["M0"]) == (0.0, 0.0)
    assert np.isnan(row["A"])


def test_dimensions_weigh_the_same_however_many_indicators_they_have() -> None:
    two = [rk.Indicator(name=n, dimension="x", table="traits", column=n, sign="<", cutoff=1.0) for n in "ab"]
    assert rk.Deprivation([*two, *indicators("c")]).weights() == {"a": 0.25, "b": 0.25, "c": 0.5}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: rk.Deprivation([]), "each with a name of its own"),
        (lambda: rk.Deprivation(indicators("aa")), "each with a name of its own"),
        (lambda: rk.Deprivation(indicators("ab", [0.5, 0.6])), "summing to 1.1"),
        (lambda: rk.Deprivation([*indicators("a", [1.0]), *indicators("b")]), "1 of 2 are given"),
        (lambda: rk.Deprivation(cutoff=0.0), "cutoff must be above 0"),
        (lambda: rk.Deprivation(missing="zero"), "missing must be 'nan' or 'reweight'"),
        (lambda: rk.Indicator(name="a", dimension="a", table="members", sign="<", cutoff=1.0), "table must be one of"),
        (
            lambda: rk.Indicator(name="a", dimension="a", table="water", column="grade", sign="!", cutoff=1.0),
            "sign must",
        ),
        (
            lambda: rk.Indicator(name="a", dimension="a", table="water", sign="<", cutoff=1.0),
            "a column unless it counts",
        ),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(wrong, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wrong()


# --- from the tables -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def county() -> rk.Monitoring:
    return rk.datasets.make_monitoring(150, n_months=30, random_state=2)


def test_the_table_of_deprivations_is_that_of_the_known_records_in_plain_python(county) -> None:
    day = pd.Timestamp("2022-12-01")
    table = rk.deprivation_table(county, [day]).droplevel("as_of_date")
    begin = day - pd.DateOffset(months=12)
    from riskml.tables.lines import in_lines

    def seen(frame: pd.DataFrame, household: str) -> pd.DataFrame:
        rows = [
            row
            for _, row in frame[frame["household_id"] == household].iterrows()
            if row["known_on"] < day and not row["superseded_on"] < day and begin <= row["date"] < day
        ]
        return pd.DataFrame(rows, columns=frame.columns)

    frames = {name: in_lines(county, name) for name in ("housing", "water", "schooling", "medical")}
    for household in county.household_ids[::3]:
        rows = {name: seen(frame, household) for name, frame in frames.items()}
        for name in ("housing", "water"):
            grades = rows[name]["grade"].dropna().tolist()
            np.testing.assert_equal(table.loc[household, name], float(grades[-1] >= 3) if grades else np.nan)
        assert table.loc[household, "schooling"] == float((rows["schooling"]["dropped_out"] == 1).any())
        assert table.loc[household, "medical"] == float(rows["medical"]["out_of_pocket"].sum() >= 0.25)


def test_who_is_deprived_already_is_not_at_risk_of_it(county) -> None:
    day = pd.Timestamp("2022-12-01")
    poor = rk.deprivation_table(county, [day])["poor"]
    at_risk = cohort(county, [day], outcome="deprivation")
    assert (poor.loc[at_risk.index] == 0).all()
    left_out = poor.index.difference(at_risk.index)
    assert (poor.loc[left_out] == 1).any()
    # Who is below the line in income only is at risk of deprivation, and who is poor in two other ways is not.
    assert (at_risk["welfare"] < 1).any()


def test_a_column_of_ones_own_can_be_food(county) -> None:
    ids = county.household_ids
    traits = pd.DataFrame(
        {"household_id": ids, "date": "2022-11-01", "known_on": "2022-11-02", "fcs": 20.0 + np.arange(len(ids))}
    )
    data = rk.Monitoring({**county.tables, "traits": traits}, extract_on=county.extract_on)
    food = rk.Indicator(name="food", dimension="food", table="traits", column="fcs", sign="<", cutoff=42.0)
    table = rk.deprivation_table(data, ["2022-12-01"], deprivation=rk.Deprivation([food, *rk.Deprivation().indicators]))
    assert table["food"].sum() == 22  # 20 to 41
    assert rk.Deprivation([food, *rk.Deprivation().indicators]).weights()["food"] == pytest.approx(1 / 6)


def test_a_survey_that_asks_for_one_months_income_is_judged_on_one_month(county) -> None:
    day = pd.Timestamp("2022-12-01")
    once = county.tables["incomes"][county.tables["incomes"]["date"] == "2022-11-30"]
    once = once.sort_values("known_on").drop_duplicates("household_id").assign(known_on=day - pd.Timedelta(days=1))
    survey = rk.Monitoring({**county.tables, "incomes": once}, welfare_months=1, extract_on=county.extract_on)
    income = rk.deprivation_table(survey, [day])["income"].droplevel("as_of_date")
    assert income.notna().sum() == once["household_id"].nunique()
    monthly = rk.Monitoring({**county.tables, "incomes": once}, welfare_months=12, extract_on=county.extract_on)
    assert rk.deprivation_table(monthly, [day])["income"].isna().all()
