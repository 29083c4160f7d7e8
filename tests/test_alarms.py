"""Alarms by arithmetic: who is alarmed, how often that was right, and what is said in both languages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskml.outlook.alarms import alarm_table, alarms

cells = st.tuples(st.integers(1, 120), st.integers(0, 20), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]))


def judged(rows: list[tuple[int, int, float]], level: str = "village") -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["households", "returned", "probability"])
    return table.assign(level=level, exceeds=0.05)


@given(rows=st.lists(cells, min_size=1, max_size=30), at=st.sampled_from([0.2, 0.5, 0.6]))
@settings(max_examples=60, deadline=None)
def test_figures_are_those_of_counting_one_by_one(rows, at):
    row = alarm_table(judged(rows), at=[at]).iloc[0]
    hits = missed = false = quiet = 0
    for households, returned, probability in rows:
        exceeded, alarmed = 20 * returned > households, probability >= at
        hits += exceeded and alarmed
        missed += exceeded and not alarmed
        false += alarmed and not exceeded
        quiet += not exceeded and not alarmed
    assert (row["area_dates"], row["exceeded"], row["alarmed"], row["hits"]) == (
        len(rows), hits + missed, hits + false, hits,
    )  # fmt: skip
    for name, part, of in (
        ("detection", hits, hits + missed),
        ("false_alarms", false, hits + false),
        ("false_alarm_rate", false, false + quiet),
    ):
        assert np.isnan(row[name]) if of == 0 else row[name] == part / of


def test_each_level_is_judged_by_itself_in_its_order():
    both = pd.concat([judged([(100, 9, 0.9)], "all"), judged([(50, 0, 0.9), (50, 3, 0.1)], "village")])
    table = alarm_table(both, at=[0.5, 0.95])
    assert table[["level", "at", "hits", "exceeded", "alarmed"]].values.tolist() == [
        ["all", 0.5, 1, 1, 1], ["all", 0.95, 0, 1, 0], ["village", 0.5, 0, 1, 1], ["village", 0.95, 0, 1, 0],
    ]  # fmt: skip
    assert table["sentence_en"].iloc[2] == (
        "village, alarm from 50%: 0 of the 1 areas where more than 5% returned were alarmed; 1 of 1 alarms were false"
    )
    assert table["sentence_zh"].iloc[2] == "村，概率达50%即预警：返贫超过5%的1个地区中有0个被预警；1次预警中有1次为误报"


def outlook() -> pd.DataFrame:
    table = pd.DataFrame({"level": ["all", "township"], "area_id": ["", "52"], "households": [1200.0, 300.0]})
    table = table.assign(expected=[40.0, 21.04], exceeds=0.025, probability=[0.5, 0.49])
    return table.assign(lower_95=[20.0, 9.0], upper_95=[90.0, 41.0])


def test_an_alarm_says_area_probability_and_how_many():
    whole, township = alarms(outlook(), at=0.4).to_dict("records")
    assert whole["sentence_en"] == (
        "all: probability 50% that more than 2.5% of its 1,200 households return; 40.0 expected, 20 to 90 with 95%"
    )
    assert township["sentence_zh"] == "乡镇 52：49%的概率有超过2.5%的住户返贫（共300户），预计21.0户，95%区间9至41户"


def test_an_area_is_alarmed_from_the_probability_on_and_not_below():
    assert alarms(outlook(), at=0.5)["level"].tolist() == ["all"]
    assert alarms(outlook(), at=0.51).empty
    assert {"sentence_en", "sentence_zh"} <= set(alarms(outlook(), at=0.51))


@pytest.mark.parametrize("at", [0, 1, -0.5])
def test_a_probability_that_is_none_is_refused(at):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        alarms(outlook(), at=at)
    with pytest.raises(ValueError, match="above 0 and below 1"):
        alarm_table(judged([(1, 1, 0.5)]), at=[at])
