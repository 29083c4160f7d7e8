"""Numbers in words, in both languages."""

from __future__ import annotations

import pytest

from riskml.explanation.wording import format_points, format_risk, format_value, phrase


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        (0.6213, "lines", "0.62 of the line", "贫困线的0.62倍"),
        (1.349, "lines", "1.35 times the line", "贫困线的1.35倍"),
        (-0.2, "lines", "-0.20 of the line", "贫困线的-0.20倍"),
        (0.0, "lines", "none", "无"),
        (0.276, "share", "28%", "28%"),
        (1.0, "months", "1 month", "1个月"),
        (2.5, "months", "2.5 months", "2.5个月"),
        (78.0, "days", "78 days", "78天"),
        (40.7, "years", "41 years", "41年"),
        (3.0, "grade", "grade 3", "3级"),
        (1.0, "flag", "yes", "是"),
        (0.0, "flag", "no", "否"),
        (4.0, "count", "4", "4"),
        (1234.5, "number", "1,234.5", "1,234.5"),
        (float("nan"), "lines", "not on record", "未记录"),
        (2.0, "a new unit", "2", "2"),
    ],
)
def test_a_value_is_said_with_its_unit(value, unit, english, chinese):
    assert format_value(value, unit) == english
    assert format_value(value, unit, "zh") == chinese


def test_an_age_is_counted_in_years_of_age_in_chinese():
    assert phrase("head_age", 40.7, "age of the head", "户主年龄", "years") == (
        "age of the head: 41 years",
        "户主年龄：41岁",
    )


def test_a_feature_without_a_label_is_called_by_its_name():
    assert phrase("own_index", 2.0, "", "", "number") == ("own_index: 2", "own_index：2")


@pytest.mark.parametrize("points", [0.0001, -0.0001, 0.0])
def test_no_points_are_never_said_to_be_minus_nothing(points):
    assert format_points(points) == "+0.0"


def test_no_risk_is_said_to_be_nothing_or_certain():
    assert [format_risk(risk) for risk in (0.0, 1e-9, 1.0)] == ["<0.1%", "<0.1%", ">99.9%"]
