"""Benefits of lists: closed forms, every order of ties, and what must not change a figure."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.skill.benefits import FIGURES, concentration_curve, targeting_summary
from riskml.skill.targeting import targeting_errors

ERRORS = ["exclusion_error", "inclusion_error"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    risk = np.round(rng.beta(1, 6, 400), 2)
    return (rng.random(400) < risk).astype(float), risk, rng.integers(1, 4, 400).astype(float)


def figures(*args, model="a", **settings):
    """Return the values of one score by figure."""
    table = targeting_summary({model: args[1]}, args[0], **settings)
    return table.set_index("figure")


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_the_figures_of_a_list_are_those_worked_out_by_hand():
    y = [1, 0, 1, 0, 0]
    risk, welfare, benefit = [5, 4, 3, 2, 1], [1.0, 4.0, 2.0, 1.5, 3.0], [2.0, 3.0, 1.0, 1.0, 1.0]
    got = figures(y, risk, quota=2, welfare=welfare, poorest=0.4, benefit=benefit, budget=0.2, rho=2.0)["value"]
    assert got["exclusion_error"] == pytest.approx(1 / 2)
    assert got["inclusion_error"] == pytest.approx(1 / 2)
    assert got["coverage"] == pytest.approx(1 / 2)
    assert got["leakage"] == pytest.approx(3 / (2 + 3))
    assert got["cgh_returns"] == pytest.approx((2 / 5) / (2 / 5))
    # The poorest 40 % of five are the households with 1.0 and 1.5; the first gets 2 of 5.
    assert got["cgh_poorest"] == pytest.approx((2 / 5) / 0.4)
    # Ranks of 1.0 and 4.0 are 0.1 and 0.9: (2 x (2 x 0.1 - 1) + 3 x (2 x 0.9 - 1)) / 5.
    assert got["concentration"] == pytest.approx((2 * -0.8 + 3 * 0.8) / 5)
    # 0.2 lines x 5 households = 1 line; u(c) = -1/c. The list gives 0.4 to welfare 1 and 0.6 to welfare 4; the list of
    # the poorest gives 2/3 to welfare 1 and 1/3 to 1.5; everybody gets in proportion 2:3:1:1:1.
    of_list = (1 / 1 - 1 / 1.4) + (1 / 4 - 1 / 4.6)
    of_best = (1 / 1 - 1 / (1 + 2 / 3)) + (1 / 1.5 - 1 / (1.5 + 1 / 3))
    of_all = sum(1 / c - 1 / (c + b / 8) for c, b in zip(welfare, benefit, strict=True))
    assert got["welfare_error"] == pytest.approx(1 - of_list / of_best)
    assert got["welfare_error_universal"] == pytest.approx(1 - of_all / of_best)


def test_the_index_is_that_of_the_example_of_its_authors():
    # Where 60 % of the benefits go to the poorest 40 % it is 60 / 40 = 1.5: 6 of the 10 listed are among them.
    welfare, risk = np.arange(1.0, 101), np.zeros(100)
    risk[[*range(6), *range(90, 94)]] = 1
    assert figures(np.zeros(100), risk, quota=10, welfare=welfare)["value"]["cgh_poorest"] == pytest.approx(1.5)


def test_a_list_of_the_poorest_reaches_the_ends_of_the_scales_and_a_lottery_their_middle():
    rng = np.random.default_rng(3)
    welfare = rng.uniform(1, 3, 1000)
    best = figures(welfare < 1.2, -welfare, quota=0.2, welfare=welfare, poorest=0.2)["value"]
    assert best["cgh_poorest"] == pytest.approx(1 / 0.2)
    assert best["concentration"] == pytest.approx(0.2 - 1)  # all to the poorest fifth: their mean rank is 0.1
    assert best["welfare_error"] == pytest.approx(0)
    lottery = figures(welfare < 1.2, np.zeros(1000), quota=0.2, welfare=welfare, poorest=0.2)["value"]
    assert lottery["cgh_poorest"] == pytest.approx(1)
    assert lottery["cgh_returns"] == pytest.approx(1)
    assert lottery["coverage"] == pytest.approx(0.2)
    assert lottery["concentration"] == pytest.approx(0, abs=1e-12)


def test_without_aversion_to_inequality_every_list_of_one_budget_is_worth_the_same(rows):
    y, risk, weight = rows
    welfare = 1 + np.arange(400) / 100
    got = figures(y, risk, quota=0.1, welfare=welfare, rho=0.0, sample_weight=weight)["value"]
    np.testing.assert_allclose(got[["welfare_error", "welfare_error_universal"]], 0, atol=1e-12)


def test_log_utility_is_the_limit_of_the_others():
    y, risk, welfare = [1, 0, 0, 1], [3, 4, 1, 2], [1.0, 3.0, 2.0, 1.4]
    at = [
        figures(y, risk, quota=2, welfare=welfare, rho=rho)["value"]["welfare_error"] for rho in (1 - 1e-6, 1, 1 + 1e-6)
    ]
    assert at[0] == pytest.approx(at[1], abs=1e-5)
    assert at[2] == pytest.approx(at[1], abs=1e-5)


def test_the_concentration_coefficient_is_one_less_twice_the_area_under_its_curve(rows):
    y, risk, weight = rows
    welfare, benefit = np.round(1 + np.random.default_rng(5).gamma(2, 1, 400), 1), 1 + np.arange(400) % 3
    curve = concentration_curve(welfare, risk, quota=0.15, benefit=benefit, sample_weight=weight)
    assert curve.iloc[0].tolist() == [0, 0]
    assert curve.iloc[-1].tolist() == [1, 1]
    got = figures(y, risk, quota=0.15, welfare=welfare, benefit=benefit, sample_weight=weight)["value"]
    area = np.trapezoid(curve["benefits"], curve["households"])
    assert got["concentration"] == pytest.approx(1 - 2 * area)
    # Covariance form of Kakwani, Wagstaff and van Doorslaer: 2 cov(benefit, rank) / mean benefit, rows spelled out.
    spelled = np.repeat(np.arange(400), weight.astype(int))
    paid = np.interp(welfare, np.unique(welfare), np.diff(curve["benefits"]) / np.diff(curve["households"]))[spelled]
    rank = (pd.Series(welfare[spelled]).rank() - 0.5) / len(spelled)
    assert got["concentration"] == pytest.approx(2 * np.cov(paid, rank, bias=True)[0, 1] / paid.mean())


# --- orders of ties --------------------------------------------------------------------------------------------------


def by_hand(y, listed, welfare, benefit, poorest, budget, rho):
    """Return the figures of one definite list of equal rows."""
    y, welfare, benefit = (np.asarray(values, dtype=float) for values in (y, welfare, benefit))
    paid = benefit[listed].sum()
    n_poor = round(poorest * len(y))
    poor = np.isin(np.arange(len(y)), np.argsort(welfare)[:n_poor])
    rank = (np.argsort(np.argsort(welfare)) + 0.5) / len(y)
    return {
        "exclusion_error": 1 - y[listed].sum() / y.sum() if y.any() else np.nan,
        "coverage": y[listed].sum() / y.sum() if y.any() else np.nan,
        "inclusion_error": 1 - y[listed].mean(),
        "leakage": (benefit * (1 - y))[listed].sum() / paid,
        "cgh_returns": (benefit * y)[listed].sum() / paid / y.mean() if y.any() else np.nan,
        "cgh_poorest": (benefit * poor)[listed].sum() / paid / (n_poor / len(y)),
        "concentration": (benefit * (2 * rank - 1))[listed].sum() / paid,
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(1, 3)), min_size=2, max_size=6), st.data())
def test_low_and_high_are_the_extremes_over_every_order_of_ties_even_where_benefits_differ(triples, data):
    y, risk, benefit = (np.array(column) for column in zip(*triples, strict=True))
    n_listed, n_poor = data.draw(st.integers(1, len(y))), data.draw(st.integers(1, len(y) - 1))
    welfare = 1 + np.array(data.draw(st.permutations(range(len(y)))), dtype=float)
    settings_ = {"welfare": welfare, "benefit": benefit, "poorest": n_poor / len(y), "budget": 0.1, "rho": 2.0}
    got = figures(y, risk, quota=n_listed, **settings_)
    over = pd.DataFrame(
        [
            by_hand(y, list(order)[:n_listed], **settings_)
            for order in permutations(range(len(y)))
            if (np.diff(risk[list(order)]) <= 0).all()
        ]
    )
    for figure in over:
        if over[figure].isna().all():
            assert got.loc[figure, ["value", "low", "high"]].isna().all()
            continue
        assert got.loc[figure, "low"] == pytest.approx(over[figure].min())
        assert got.loc[figure, "high"] == pytest.approx(over[figure].max())
        if (benefit == benefit[0]).all() or figure in ("exclusion_error", "coverage", "inclusion_error"):
            assert got.loc[figure, "value"] == pytest.approx(over[figure].mean())


def test_a_list_that_takes_ties_in_the_order_of_the_file_is_found_out(monkeypatch):
    """A planted fault: the first of the tied are listed, as sorting alone does."""
    y, risk = np.array([1.0, 0, 0, 1]), np.array([1.0, 1, 1, 1])
    swapped = np.array([1, 0, 3, 2])
    true = targeting_errors(y, risk, quota=2), targeting_errors(y[swapped], risk[swapped], quota=2)
    pd.testing.assert_frame_equal(*true)

    def first_of_the_tied(self):
        part = np.zeros(len(self.tied))
        part[: int(self.left)] = 1.0
        return part

    monkeypatch.setattr("riskml.skill.targeting.Cut.expected", property(first_of_the_tied))
    planted = [figures(y[order], risk, quota=1)["value"]["coverage"] for order in (np.arange(4), swapped)]
    assert planted == [1 / 2, 0]


# --- what must not change it -----------------------------------------------------------------------------------------

tables = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed))


def drawn(rng):
    n = int(rng.integers(4, 30))
    y, risk = rng.integers(0, 2, n), rng.integers(0, 5, n)
    weight, benefit = rng.integers(1, 4, n), rng.integers(1, 4, n).astype(float)
    y[0] = 1
    return y, risk, {"welfare": np.round(1 + rng.gamma(2, 1, n), 1), "benefit": benefit, "sample_weight": weight}


def values(y, risk, given_, **more):
    return figures(y, risk, quota=0.3, **given_, **more)[["value", "low", "high"]].to_numpy(float)


@settings(deadline=None, max_examples=30)
@given(tables)
def test_a_row_of_weight_two_counts_as_two_rows(rng):
    y, risk, given_ = drawn(rng)
    spelled = np.repeat(np.arange(len(y)), given_["sample_weight"])
    apart = {name: column[spelled] for name, column in given_.items() if name != "sample_weight"}
    # Rows of one household are apart there, and some may be listed without the others: the same shares, same bounds.
    np.testing.assert_allclose(values(y[spelled], risk[spelled], apart), values(y, risk, given_), atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(tables)
def test_the_order_of_rows_does_not_matter(rng):
    y, risk, given_ = drawn(rng)
    order = rng.permutation(len(y))
    moved = {name: column[order] for name, column in given_.items()}
    np.testing.assert_allclose(values(y[order], risk[order], moved), values(y, risk, given_), atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(tables)
def test_only_the_order_of_the_score_counts_and_only_the_scale_of_money_does_not(rng):
    y, risk, given_ = drawn(rng)
    np.testing.assert_allclose(values(y, np.exp(risk) - 7, given_), values(y, risk, given_), atol=1e-9)
    scaled = {**given_, "benefit": 5 * given_["benefit"], "sample_weight": 7 * given_["sample_weight"]}
    np.testing.assert_allclose(values(y, risk, scaled), values(y, risk, given_), atol=1e-9)
    # Utility is that of constant relative aversion: welfare and budget in another currency change nothing.
    abroad = {**given_, "welfare": 3 * given_["welfare"]}
    np.testing.assert_allclose(
        values(y, risk, abroad, budget=3 * 0.05), values(y, risk, given_, budget=0.05), atol=1e-9
    )


@settings(deadline=None, max_examples=30)
@given(tables)
def test_the_summary_agrees_with_the_errors_and_the_curves(rng):
    y, risk, given_ = drawn(rng)
    weight = given_["sample_weight"]
    got = figures(y, risk, quota=0.3, welfare=given_["welfare"], sample_weight=weight)
    row = targeting_errors(y, risk, quota=0.3, sample_weight=weight).iloc[0]
    for name in ERRORS:
        wanted = row[[name, f"{name}_low", f"{name}_high"]].astype(float)
        np.testing.assert_allclose(got.loc[name, ["value", "low", "high"]].astype(float), wanted, atol=1e-9)
    assert got.loc["leakage", "value"] == pytest.approx(got.loc["inclusion_error", "value"])
    # Share of returns reached = index x quota, where benefits are equal.
    assert got.loc["coverage", "value"] == pytest.approx(got.loc["cgh_returns", "value"] * 0.3)


def test_models_are_compared_on_the_same_draws(rows):
    y, risk, weight = rows
    table = targeting_summary(
        {"one": risk, "twin": risk, "lot": np.zeros(400)},
        y,
        quota=0.1,
        welfare=1 + np.arange(400) / 50,
        sample_weight=weight,
        clusters=np.arange(400) // 10,
        n_bootstrap=30,
    )
    twin = table[table["model"] == "twin"]
    assert (twin[["difference", "difference_lower", "difference_upper"]] == 0).all(axis=None)
    assert table["figure"].tolist() == [*FIGURES] * 3
    inside = table[["lower", "value", "upper"]].to_numpy()
    assert (np.diff(inside[: len(FIGURES)], axis=1) >= 0).all()
    lot = table[(table["model"] == "lot") & (table["figure"] == "coverage")].iloc[0]
    assert lot["lower"] == pytest.approx(0.1)
    assert lot["difference_lower"] > 0


def test_without_welfare_its_figures_are_missing_and_the_others_are_there():
    got = figures([1, 0, 0], [3, 2, 1], quota=1)["value"]
    assert got[["cgh_poorest", "concentration", "welfare_error", "welfare_error_universal"]].isna().all()
    assert got[["exclusion_error", "inclusion_error", "leakage"]].tolist() == [0, 0, 0]
    nobody = figures([0, 0], [2, 1], quota=1, welfare=[1, 2])["value"]
    assert nobody[["coverage", "exclusion_error", "cgh_returns"]].isna().all()
    assert nobody["leakage"] == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quota": 0}, "quota must be positive"),
        ({"welfare": [1, 0, 2]}, r"welfare is missing or not above 0 in 1 rows \(first: row 1, 0.0\)"),
        ({"welfare": [1, np.nan, np.nan]}, "missing or not above 0 in 2 rows"),
        ({"benefit": [1, 1, -1]}, "benefit is missing or not above 0 in 1 rows"),
        ({"welfare": [1, 2]}, "of the length of y, got 2 and 3"),
        ({"poorest": 1.0}, "poorest must be a share"),
        ({"budget": 0}, "budget must be positive"),
        ({"rho": -1}, "rho not negative"),
        ({"reference": "b"}, "not among the models"),
    ],
)
def test_what_cannot_be_used_is_refused_and_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        targeting_summary({"a": [3, 2, 1]}, [1, 0, 0], **{"quota": 1, **wrong})
    with pytest.raises(ValueError, match="scores is empty"):
        targeting_summary({}, [1, 0], quota=1)


def test_a_curve_takes_welfare_of_any_sign_but_not_a_missing_one():
    curve = concentration_curve([-1, 2], [1, 0], quota=1)
    assert curve["benefits"].tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="welfare is missing"):
        concentration_curve([np.nan, 2], [1, 0], quota=1)
