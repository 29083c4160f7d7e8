"""What help can change and what it cannot: two parts that add up, and nothing sensitive in the first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from trees import explanation

from riskml.explanation.reach import points_in_reach, with_reach

MEANING = {"bills": ("illness", "lines"), "age": ("labour", "years"), "woman": ("other", "flag", True)}


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_the_two_parts_add_up_to_the_risk_less_the_start(values):
    why = explanation([values], np.ones((1, 3)), **MEANING)
    parts, points = points_in_reach(why).iloc[0], why.in_points("feature").iloc[0]
    np.testing.assert_allclose(parts.sum(), why.risk.iloc[0] - why.base_risk, atol=1e-12)
    # Bills can be changed; ages cannot; a trait of a person is no lever, whatever its dictionary says.
    np.testing.assert_allclose(parts.to_numpy(), [points["bills"], points["age"] + points["woman"]], atol=1e-12)


def test_records_say_whether_help_can_change_them_and_what_it_could_reach_in_all():
    why = explanation([[1.0, 0.5, 0.2], [0.1, -1.0, 0.0]], np.ones((2, 3)), **MEANING)
    keys = why.X.index.to_frame(index=False)
    evidence = pd.concat([keys.iloc[[1, 0, 0]]], ignore_index=True).assign(feature=["age", "bills", "age"])
    marked = with_reach(evidence, why)
    assert marked["actionable"].tolist() == [False, True, False]
    reach = points_in_reach(why)["points_actionable"].to_numpy()
    np.testing.assert_array_equal(marked["points_actionable"], reach[[1, 0, 0]])


def test_a_dictionary_that_does_not_say_what_help_can_change_has_nothing_in_reach():
    why = explanation([[1.0, 0.5, 0.2]], np.ones((1, 3)), **MEANING)
    why = type(why)(why.values, why.base_value, why.risk, why.X, why.dictionary.drop(columns="actionable"))
    assert points_in_reach(why)["points_actionable"].tolist() == [0.0]


def test_no_records_stay_no_records():
    why = explanation([[1.0, 0.5, 0.2]], np.ones((1, 3)), **MEANING)
    none = why.X.index.to_frame(index=False).assign(feature="bills").head(0)
    assert list(with_reach(none, why)) == ["household_id", "as_of_date", "feature", "actionable", "points_actionable"]
