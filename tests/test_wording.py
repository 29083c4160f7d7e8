"""Numbers in words, in both languages."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from trees import explanation

from riskml.causes import CAUSES, TOPICS
from riskml.explanation.wording import format_frequency, format_points, format_risk, format_value, phrase, when
from riskml.features.dictionary import feature_dictionary

#: What no village officer must be asked to read.
JARGON = re.compile(
    r"SHAP|Shapley|log-odds|logit|margin|coalition|feature|nan|None|inf\b|causes? it|because|leads to|e[+-]\d"
)
JARGON_ZH = re.compile(r"SHAP|对数|特征|沙普利|导致|造成|nan|None|[a-z]{2}")


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        (0.6213, "lines", "0.62 of the poverty line", "贫困线的0.62倍"),
        (1.349, "lines", "1.35 times the poverty line", "贫困线的1.35倍"),
        (-0.2, "lines", "-0.20 of the poverty line", "贫困线的-0.20倍"),
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
        (0.0, "count", "none", "无"),
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


def test_a_code_that_the_label_explains_is_said_in_its_word():
    labels = "drain (1 sewer, 2 septic tank, 3 pit, 4 hole)", "排水（1管网、2化粪池、3渗井、4土坑）"
    assert phrase("drain", 2.0, *labels, "grade") == ("drain: septic tank", "排水：化粪池")
    assert phrase("drain", 2.5, *labels, "grade") == (f"{labels[0]}: grade 2.5", f"{labels[1]}：2.5级")


def test_a_feature_without_a_label_is_called_by_its_name():
    assert phrase("own_index", 2.0, "", "", "number") == ("own_index: 2", "own_index：2")


@pytest.mark.parametrize("points", [0.0001, -0.0001, 0.0])
def test_points_that_round_to_nothing_have_no_sign(points):
    assert format_points(points) == "0.0"


def test_no_risk_is_said_to_be_nothing_or_certain():
    assert [format_risk(risk) for risk in (0.0, 1e-9, 1.0)] == ["<0.1%", "<0.1%", ">99.9%"]


@pytest.mark.parametrize(
    ("risk", "english", "chinese"),
    [
        (0.18, "about 18 of 100 such households", "每100户这样的住户中约18户"),
        (0.0006, "about 1 of 1,000 such households", "每1,000户这样的住户中约1户"),
        (0.0001, "fewer than 1 of 1,000 such households", "每1,000户这样的住户中不到1户"),
        (0.99999, "about 999 of 1,000 such households", "每1,000户这样的住户中约999户"),
        (float("nan"), "", ""),
    ],
)
def test_a_risk_is_said_as_so_many_of_a_hundred_or_a_thousand(risk, english, chinese):
    assert (format_frequency(risk), format_frequency(risk, "zh")) == (english, chinese)


def test_the_day_of_several_spells_is_the_first_that_ends_or_the_last_that_ended():
    day = pd.Timestamp("2024-12-01")

    def spell(end):
        return {
            "as_of_date": day,
            "table": "assistance",
            "date": day - pd.DateOffset(years=1),
            "end": pd.Timestamp(end),
        }

    assert when([spell("2025-03-01"), spell("2025-01-15"), spell("2024-06-01")])[0] == "ends on 2025-01-15"
    assert when([spell("2024-10-31"), spell("2024-06-01")])[0] == "ended on 2024-10-31"
    assert when([spell("2024-12-01")])[0] == "ends on 2024-12-01"
    assert when([{**spell(None), "end": pd.NaT}, {**spell(None), "end": pd.NaT}])[1] == "最近一次始于2023年12月1日"
    assert when([{**spell("2025-01-15"), "table": "members"}]) == ("", "")
    assert when([]) == ("", "")


# --- phrases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), 0.0, 0.004, 0.3, 1.0, 2.0, 2.5, 12.0, 31.0, 1500.0, -0.3, -0.004])
def test_every_feature_can_be_said_in_both_languages_whatever_its_value(value):
    for row in feature_dictionary().itertuples():
        english, chinese = phrase(row.name, value, row.label_en, row.label_zh, row.unit)
        assert not JARGON.search(english), english
        assert not JARGON_ZH.search(chinese), chinese
        assert "_" not in english
        for text in (english, chinese):
            assert "  " not in text
            assert not re.search(r"-0(\.0+)?(?![\d.])", text), text
            assert "%" not in text or re.search(r"\d ?%", text)


@pytest.mark.parametrize(
    ("name", "value", "english", "chinese"),
    [
        ("visits_days_since", 1, "last visit: 1 day ago", "最近一次走访：1天前"),
        ("lifted_days_since", 1491, "last lifting out of poverty: about 4 years ago", "最近一次脱贫：约4年前"),
        ("disaster_days_since", float("nan"), "natural disaster: none on record", "没有自然灾害的记录"),
        (
            "income_below_line_days_since",
            31,
            "last income record below the line: 31 days ago",
            "最近一次收入低于贫困线：31天前",
        ),
        ("jobs_days_since_end", 12, "job: last ended 12 days ago", "最近一次务工结束：12天前"),
        ("jobs_days_since_end", float("nan"), "job: no end on record", "没有务工结束的记录"),
        ("monitored_days_since_start", 40, "officially monitored: for 40 days", "监测对象：已持续40天"),
        (
            "income_wage_change_3_12",
            -0.79,
            "wages of the last 3 months against that of the last 12: down by 0.79 of the poverty line",
            "近3个月工资性收入较近12个月的变化：减少贫困线的0.79倍",
        ),
        (
            "income_change_3_12",
            0.001,
            "income of the last 3 months against that of the last 12: unchanged",
            "近3个月收入较近12个月的变化：无变化",
        ),
        (
            "income_slope_12m",
            0.3,
            "income, yearly trend over the last 12 months: up by 0.30 of the poverty line",
            "近12个月收入年度变化趋势：增加贫困线的0.30倍",
        ),
        ("production_price_change_last_12m", -0.12, "change of selling prices: down by 12%", "产品价格变动：下降12%"),
        ("head_education", 1, "education of the head: primary school not finished", "户主受教育程度：小学未毕业"),
        ("adult_education_mean", 2.5, "education of the adults: grade 2.5", "成年人平均受教育程度：2.5级"),
        (
            "disaster_severity_max_12m",
            3,
            "severity of natural disasters, highest in the last 12 months: severe",
            "近12个月自然灾害程度最高值：特重",
        ),
        (
            "housing_grade",
            3,
            "safety grade of the house (1 safe to 4 dangerous): grade 3",
            "住房安全等级（1安全至4危险）：3级",
        ),
        ("members", 1, "members of the household: 1", "家庭人口：1人"),
        ("members_able", 0, "members fully able to work: none", "有劳动能力人数：0人"),
        (
            "medical_serious_count_12m",
            2,
            "treatment of a serious illness, number in the last 12 months: 2",
            "近12个月大病治疗次数：2次",
        ),
        (
            "support_ending_3m",
            1,
            "support measure, ending within the next 3 months: 1",
            "未来3个月内将结束的帮扶措施：1项",
        ),
        (
            "medical_out_of_pocket_sum_12m",
            0,
            "medical cost paid out of pocket, total of the last 12 months: none",
            "近12个月自付医疗费用合计：无",
        ),
        ("job_hours_active_sum", 0, "hours of work a week: none", "每周工作小时数：无"),
        ("welfare", float("nan"), "income against the poverty line: not on record", "人均收入与贫困线之比：未记录"),
    ],
)
def test_a_feature_is_said_as_people_say_it(name, value, english, chinese):
    row = feature_dictionary().set_index("name").loc[name]
    expected = english.replace("against that of", "against")
    assert phrase(name, value, row["label_en"], row["label_zh"], row["unit"]) == (expected, chinese)


# --- sentences: the awkward cases ------------------------------------------------------------------------------------

MEANING = {
    "bills": ("illness", "lines"),
    "wage": ("income", "lines"),
    "roof": ("housing", "grade"),
    "woman": ("other", "flag", True),
    "heads": ("labour", "count"),
}


def said(risk, values, X=(0.62, 1.5, 3.0, 1.0, 1.0), base=0.03):
    """Return the sentences of a household with a given risk, whose contributions stand in the proportions given."""
    values = np.array(values, dtype=float)
    if values.sum():
        values *= (logit(risk) - logit(base)) / values.sum()
    return explanation([values], [X], base_value=logit(base), **MEANING).reasons().iloc[0].tolist()


def test_missing_data_as_the_main_reason_is_said_to_be_missing():
    english, chinese = said(0.2, [0, 1, 0, 0, 0], X=(0.62, float("nan"), 3, 1, 1))
    assert english == "Risk 20%, raised by income (+17.0 points; the wage: not on record)."
    assert chinese == "返贫风险20%，升高因素：收入（+17.0个百分点，某wage：未记录）。"
    assert "low" not in english  # an income nobody wrote down is not a low one


def test_protective_records_only():
    english, chinese = said(0.01, [1, 2, 0, 0, 0])
    assert english == (
        "Risk 1.0%, below the 3.0% where every household starts: "
        "lowered by records of income (-1.3 points) and health (-0.7 points); nothing on file raises it."
    )
    assert chinese == (
        "返贫风险1.0%，低于各户共同的起点3.0%。降低因素：收入方面（-1.3个百分点）；健康方面（-0.7个百分点）。现有记录中没有升高因素。"
    )


def test_ties_are_said_in_the_order_of_the_causes():
    english, _ = said(0.2, [1, 1, 1, 0, 0])
    assert re.findall(r"(\w+) \(\+5.7 points", english) == ["health", "housing", "income"]


def test_a_risk_that_reads_like_the_start_is_not_said_to_lie_below_it():
    english, chinese = said(0.0299, [-1, 0.9, 0, 0, 0])
    assert english.startswith("Risk 3.0%, where every household starts: ")
    assert chinese.startswith("返贫风险3.0%，与各户共同的起点相同。")
    assert "below" not in english


def test_a_very_low_and_a_very_high_risk_are_not_said_to_be_nothing_or_certain():
    low, low_zh = said(0.0002, [1, 2, 0, 0, 0])
    assert low.startswith("Risk <0.1%, below the 3.0% where every household starts: ")
    assert low_zh.startswith("返贫风险<0.1%，")
    high, high_zh = said(0.9999, [1, 2, 0, 0, 0])
    assert high.startswith("Risk >99.9%, raised by income (+64.7 points; ")
    assert high_zh.startswith("返贫风险>99.9%，")


def test_zero_values_are_said_to_be_none():
    english, chinese = said(0.2, [0, 1, 0, 0, 0.5], X=(0.62, 0, 3, 1, 0))
    assert "the wage: none" in english
    assert "the heads: none" in english
    assert "某wage：无" in chinese


def test_a_household_of_one_has_one_member_and_no_plural():
    english, _ = said(0.2, [0, 0, 0, 0, 1])
    assert english == "Risk 20%, raised by members and labour (+17.0 points; the heads: 1)."


def test_sensitive_traits_count_and_are_not_spelled_out():
    english, chinese = said(0.2, [0, 0, 0, 1, 0])
    assert english == "Risk 20%, raised by other records (+17.0 points; circumstances not spelled out here)."
    assert chinese == "返贫风险20%，升高因素：其他情况（+17.0个百分点，具体情况此处不列出）。"


def test_parts_that_round_to_nothing_are_not_said():
    english, chinese = said(0.0304, [1, -0.2, 0, 0, 0])
    assert "0.0 points" not in english
    assert "0.0个" not in chinese


def test_what_others_said_of_nothing_at_all():
    english, chinese = said(0.03, [0, 0, 0, 0, 0])
    assert english == "Risk 3.0%, where every household starts: nothing on file raises it."
    assert chinese == "返贫风险3.0%，与各户共同的起点相同。现有记录中没有升高因素。"


def test_every_cause_has_a_topic_that_is_true_both_ways():
    assert list(TOPICS) == list(CAUSES)
    for english, chinese in TOPICS.values():
        assert not re.search("low|unsafe|failed|lack|unstable|ended", english)
        assert not re.search("因|不稳|失败|缺|偏低|到期", chinese)


def test_sentences_are_free_of_jargon_and_of_words_of_effect():
    rng = np.random.default_rng(0)
    values, X = rng.normal(0, 1, (300, 5)), rng.choice([0, 0.3, 1, 2, np.nan], (300, 5))
    why = explanation(values, X, **MEANING)
    why.dictionary["label_zh"] = ["医疗费", "工资", "住房", "某项", "人数"]
    for english, chinese in why.reasons().to_numpy():
        assert not JARGON.search(english), english
        assert not JARGON_ZH.search(chinese), chinese
        assert english.count("(") == english.count(")")
        assert english.endswith(".")
        assert chinese.endswith("。")
        assert not re.search(r"[.。]{2}|；。|, \.|  ", english + chinese)
