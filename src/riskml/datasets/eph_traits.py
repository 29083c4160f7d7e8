"""What an EPH visit finds beyond the standard tables: dwelling, head, work, dependence on single incomes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.features.declarations import Latest

FloatArray = NDArray[np.float64]

#: Schooling in years by INDEC's level (7 none, 1 primary incomplete ... 6 university).
_YEARS = {7: 0.0, 1: 4.0, 2: 7.0, 3: 9.0, 4: 12.0, 5: 14.0, 6: 17.0}

#: Where a household lives counts in the points, and is not said to be a reason.
_PLACES = ("region", "agglomeration")
#: Column, cause, unit, direction, English and Chinese label.
_TRAITS: tuple[tuple[str, str, str, int, str, str], ...] = (
    ("region", "other", "number", 0, "region (number of the survey)", "所在大区（调查编号）"),
    ("agglomeration", "other", "number", 0, "agglomeration (number of the survey)", "所在城市群（调查编号）"),
    ("flat", "housing", "flag", 0, "lives in a flat", "居住公寓"),
    (
        "poor_dwelling",
        "housing",
        "flag",
        1,
        "lives in a rented room, a shack or a place not built for living",
        "居住单间、棚屋或非住宅",
    ),
    ("floor", "housing", "grade", 1, "floor (1 finished, 2 cement, 3 earth)", "地面（1铺装、2水泥、3泥土）"),
    ("no_ceiling", "housing", "flag", 1, "roof without ceiling", "屋顶无吊顶"),
    (
        "toilet",
        "housing",
        "grade",
        1,
        "toilet (1 with flush, 2 without, 3 latrine, 4 none)",
        "厕所（1水冲、2无水冲、3旱厕、4无）",
    ),
    ("shared_bathroom", "housing", "flag", 1, "bathroom outside the dwelling or shared", "卫生间在室外或共用"),
    (
        "drain",
        "housing",
        "grade",
        1,
        "drain (1 sewer, 2 septic tank, 3 pit, 4 hole)",
        "排水（1管网、2化粪池、3渗井、4土坑）",
    ),
    ("near_dump", "housing", "flag", 1, "near a dump", "靠近垃圾场"),
    ("flood_area", "housing", "flag", 1, "in an area prone to flood", "位于易涝区"),
    ("slum", "housing", "flag", 1, "in a slum", "位于棚户区"),
    ("rooms_of_dwelling", "housing", "count", -1, "rooms of the whole dwelling", "整套住房房间数"),
    ("bedrooms", "housing", "count", -1, "rooms for sleeping", "卧室数"),
    ("persons_per_bedroom", "housing", "number", 1, "persons per bedroom", "每间卧室人数"),
    ("own_kitchen", "housing", "flag", -1, "has a kitchen", "有厨房"),
    ("own_laundry", "housing", "flag", -1, "has a laundry", "有洗衣间"),
    ("own_garage", "housing", "flag", -1, "has a garage", "有车库"),
    ("owns_dwelling", "housing", "flag", 0, "owns dwelling and land", "拥有住房与土地"),
    ("rents", "housing", "flag", 0, "rents the dwelling", "租房居住"),
    (
        "insecure_tenure",
        "housing",
        "flag",
        1,
        "owns no land, or occupies with or without permission",
        "无土地产权或借住、占住",
    ),
    ("mains_gas", "housing", "flag", -1, "cooks with mains gas", "使用管道燃气做饭"),
    ("solid_fuel", "housing", "flag", 1, "cooks with wood, charcoal or kerosene", "使用柴炭或煤油做饭"),
    ("lives_on_work", "employment", "flag", 0, "lived on work in the last three months", "近三个月靠工作收入生活"),
    ("lives_on_pension", "income", "flag", 0, "lived on a pension in the last three months", "近三个月靠养老金生活"),
    ("pension_bonus", "income", "flag", 0, "a pension bonus is in the income of the month", "当月含养老金奖金"),
    (
        "severance_pay",
        "employment",
        "flag",
        0,
        "lived on severance pay in the last three months",
        "近三个月靠遣散费生活",
    ),
    ("goods_from_family", "income", "flag", 0, "goods from family or neighbours", "亲友邻里实物接济"),
    ("rent_or_capital", "income", "flag", -1, "rent, interest or profit from capital", "租金、利息或资本收益"),
    ("money_from_family", "income", "flag", 0, "money from outside the household", "户外亲属汇款"),
    ("kinds_of_support", "income", "count", 0, "kinds of income and help named", "收入与帮助来源种类数"),
    ("head_married", "other", "flag", 0, "head is married", "户主已婚"),
    ("head_in_union", "other", "flag", 0, "head lives in a union", "户主同居"),
    ("head_separated", "other", "flag", 0, "head is separated or divorced", "户主分居或离异"),
    ("head_widowed", "other", "flag", 0, "head is widowed", "户主丧偶"),
    ("single_parent", "labour", "flag", 1, "head without spouse, with children under 18", "单亲并有未成年子女"),
    ("head_schooling", "labour", "years", -1, "schooling of the head", "户主受教育年数"),
    ("head_uninsured", "illness", "flag", 1, "head without health insurance", "户主无医疗保险"),
    ("head_employed", "employment", "flag", 0, "head has work", "户主有工作"),
    ("head_unemployed", "employment", "flag", 1, "head is out of work", "户主失业"),
    ("head_formal", "employment", "flag", -1, "head is employed with pension contributions", "户主为正规雇员"),
    ("head_informal", "employment", "flag", 0, "head is employed without pension contributions", "户主为非正规雇员"),
    ("head_own_account", "employment", "flag", 0, "head works on own account", "户主自营就业"),
    ("head_public", "employment", "flag", -1, "head works for the state", "户主在公共部门就业"),
    ("head_hours", "employment", "number", 0, "hours of work a week of the head", "户主每周工作小时数"),
    ("head_underemployed", "employment", "flag", 1, "head wants more hours of work", "户主就业不足"),
    ("head_second_job", "employment", "flag", 0, "head has a second job", "户主有第二份工作"),
    ("head_fixed_term", "employment", "flag", 1, "head's job has an end date", "户主工作为有期限合同"),
    (
        "head_firm_size",
        "employment",
        "grade",
        -1,
        "size of the head's firm (1 alone to 12 over 500)",
        "户主单位规模（1独自至12五百人以上）",
    ),
    ("head_construction", "employment", "flag", 1, "head works in construction", "户主从事建筑业"),
    ("head_domestic", "employment", "flag", 1, "head works in other people's homes", "户主从事家政"),
    ("head_pensioner", "income", "flag", 0, "head draws a pension", "户主领取养老金"),
    ("spouse_employed", "employment", "flag", -1, "spouse has work", "配偶有工作"),
    ("spouse_formal", "employment", "flag", -1, "spouse is employed with pension contributions", "配偶为正规雇员"),
    ("spouse_schooling", "labour", "years", -1, "schooling of the spouse", "配偶受教育年数"),
    ("adult_equivalents", "labour", "number", 0, "adult equivalents", "等价成人数"),
    ("children_under_15", "labour", "count", 1, "children under 15", "15岁以下儿童人数"),
    ("dependants_per_adult", "labour", "number", 1, "members under 15 and over 64 per adult", "每名成人负担的老幼人数"),
    ("extended_kin", "labour", "count", 0, "members beyond couple and children", "核心家庭以外成员数"),
    ("adult_schooling", "labour", "years", -1, "schooling of the adults, average", "成年人平均受教育年数"),
    ("cannot_read", "labour", "count", 1, "adults who cannot read", "不识字成年人数"),
    ("unemployed", "employment", "count", 1, "members out of work", "失业人数"),
    ("long_search", "employment", "count", 1, "members looking for work for over six months", "求职超过六个月人数"),
    (
        "young_idle",
        "employment",
        "count",
        1,
        "members from 15 to 24 neither in school nor at work",
        "15至24岁未就学未就业人数",
    ),
    (
        "workers_with_insurance",
        "employment",
        "count",
        -1,
        "workers with insurance through work",
        "有职业医保的劳动者人数",
    ),
    ("workers_for_state", "employment", "count", -1, "workers of the state", "公共部门就业人数"),
    ("workers_construction", "employment", "count", 1, "workers in construction", "建筑业就业人数"),
    ("workers_domestic", "employment", "count", 1, "workers in other people's homes", "家政就业人数"),
    ("hours_per_adult", "employment", "number", 0, "hours of work a week per adult", "成年人人均每周工作小时数"),
    ("pensioners", "income", "count", 0, "members with a pension", "领取养老金人数"),
    ("receivers", "income", "count", 0, "members with an income", "有收入人数"),
    ("receivers_share", "income", "share", 0, "share of members with an income", "有收入成员占比"),
    ("largest_income_share", "income", "share", 0, "share of the largest personal income", "最大个人收入占比"),
    (
        "income_beside_largest",
        "income",
        "lines",
        -1,
        "income left without the largest earner",
        "失去最大收入者后的收入",
    ),
    ("formal_income", "employment", "lines", -1, "wages with pension contributions", "正规就业工资"),
    ("informal_income", "employment", "lines", 0, "wages without pension contributions", "非正规就业工资"),
    ("own_account_income", "production", "lines", 0, "income from own account", "自营收入"),
    ("pension_income", "income", "lines", 0, "pensions", "养老金收入"),
    ("secure_income", "income", "lines", -1, "formal wages and pensions", "正规工资与养老金"),
    ("head_income", "income", "lines", 0, "income of the head", "户主收入"),
    ("income_decile", "income", "grade", 0, "decile of income per person (1 lowest)", "人均收入十分位（1最低）"),
    (
        "equivalents_gained",
        "labour",
        "number",
        0,
        "adult equivalents more than at the visit before",
        "较上次走访新增等价成人数",
    ),
    ("unanswered_visits", "other", "count", 0, "earlier visits without an answer on income", "此前未答收入的走访次数"),
    ("visit_number", "other", "count", 0, "number of the visit", "走访序号"),
    ("calendar_quarter", "other", "number", 0, "quarter of the year", "季度"),
    ("phone_interview", "other", "flag", 0, "interviewed in 2020, by phone", "2020年电话访问"),
)


def features() -> tuple[Latest, ...]:
    """Return the declared features of the ``traits`` (and of ``coping`` beyond the contract), newest value each."""
    traits = tuple(
        Latest(
            "traits",
            column,
            cause=cause,  # type: ignore[arg-type]
            unit=unit,  # type: ignore[arg-type]
            direction=direction,
            label_en=label_en,
            label_zh=label_zh,
            actionable=column not in _PLACES,
            sensitive=column in _PLACES,
        )
        for column, cause, unit, direction, label_en, label_zh in _TRAITS
    )
    begged = Latest(
        "coping",
        "children_begged",
        cause="income",
        unit="flag",
        direction=1,
        label_en="children begged to help the household",
        label_zh="儿童乞讨补贴家用",
        sensitive=True,
    )
    return (*traits, begged)


def yes(answers: pd.Series) -> pd.Series:
    """Return 1 for INDEC's answer 1 (yes), 0 for 2 (no), NaN for anything else."""
    return (answers == 1).astype(np.float64).where(answers.isin([1, 2]))


def traits(visits: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Return the traits of each visit.

    Parameters
    ----------
    visits : DataFrame
        INDEC's household columns, and ``line`` (pesos per adult equivalent and month), ``order``, ``answered``.
    people : DataFrame
        INDEC's person columns, and ``visit`` (row of ``visits``), ``age``, ``units``; refused amounts are missing.

    Returns
    -------
    DataFrame
        float64, one row a visit, columns as declared. What needs an income is missing where none was answered;
        what needs a spouse is missing where there is none; a count or sum over members is missing where the answer of
        one of them is.
    """
    columns = {
        **_dwelling(visits),
        **_strategies(visits),
        **_head(visits, people),
        **_composition(visits, people),
        **_work(visits, people),
        **_income(visits, people),
        **_interview(visits, people),
    }
    return pd.DataFrame({name: np.asarray(columns[name], dtype=np.float64) for name, *_ in _TRAITS}, index=visits.index)


def _flag(condition: pd.Series, known: pd.Series) -> pd.Series:
    return condition.astype(np.float64).where(known)


def _dwelling(visits: pd.DataFrame) -> Mapping[str, pd.Series]:
    kind, tenure, fuel = visits["IV1"], visits["II7"], visits["II8"]
    bedrooms = visits["II2"].where(visits["II2"].between(1, 15))
    inside, shared = visits["IV9"], visits["II9"]
    return {
        "region": visits["REGION"],
        "agglomeration": visits["AGLOMERADO"],
        "flat": _flag(kind == 2, kind.between(1, 6)),
        "poor_dwelling": _flag(kind >= 3, kind.between(1, 6)),
        "floor": visits["IV3"].where(visits["IV3"].between(1, 3)),
        "no_ceiling": 1.0 - yes(visits["IV5"]),
        "toilet": visits["IV10"].where(visits["IV10"].between(1, 3)).mask(visits["IV8"] == 2, 4.0),
        "shared_bathroom": _flag(
            inside.between(2, 3) | shared.between(2, 3), inside.between(1, 3) | shared.between(1, 3)
        ),
        "drain": visits["IV11"].where(visits["IV11"].between(1, 4)).mask(visits["IV8"] == 2, 4.0),
        "near_dump": yes(visits["IV12_1"]),
        "flood_area": yes(visits["IV12_2"]),
        "slum": yes(visits["IV12_3"]),
        "rooms_of_dwelling": visits["IV2"].where(visits["IV2"].between(1, 30)),
        "bedrooms": bedrooms,
        "persons_per_bedroom": visits["IX_TOT"] / bedrooms,
        "own_kitchen": yes(visits["II4_1"]),
        "own_laundry": yes(visits["II4_2"]),
        "own_garage": yes(visits["II4_3"]),
        "owns_dwelling": _flag(tenure == 1, tenure.between(1, 9)),
        "rents": _flag(tenure == 3, tenure.between(1, 9)),
        "insecure_tenure": _flag(tenure.isin([2, 4, 5, 6, 7, 8, 9]), tenure.between(1, 9)),
        "mains_gas": _flag(fuel == 1, fuel.between(1, 4)),
        "solid_fuel": _flag(fuel == 3, fuel.between(1, 4)),
    }


def _strategies(visits: pd.DataFrame) -> Mapping[str, pd.Series]:
    named = ["V1", "V2", *(f"V{number}" for number in range(3, 13))]
    capital = pd.concat([yes(visits[code]) for code in ("V8", "V9", "V10")], axis=1)
    return {
        "lives_on_work": yes(visits["V1"]),
        "lives_on_pension": yes(visits["V2"]),
        "pension_bonus": yes(visits["V21"]),
        "severance_pay": yes(visits["V3"]),
        "goods_from_family": yes(visits["V7"]),
        "rent_or_capital": capital.max(axis=1).where(capital.notna().all(axis=1) | capital.eq(1).any(axis=1)),
        "money_from_family": yes(visits["V12"]),
        "kinds_of_support": (visits[named] == 1).sum(axis=1).where(visits[named].isin([1, 2]).all(axis=1)),
    }


#: Sector, number of jobs and end of the contract: the answers that are some.
_ANSWERS = {"PP04A": (1, 2, 3), "PP03C": (1, 2), "PP07C": (1, 2)}


def _head(visits: pd.DataFrame, people: pd.DataFrame) -> Mapping[str, pd.Series]:
    head, spouse = (_first(people[people["CH03"] == relation], visits) for relation in (1, 2))
    employee = (head["ESTADO"] == 1) & (head["CAT_OCUP"] == 3)
    state, marital, industry = head["ESTADO"], head["CH07"], _industry(head)
    at_work, asked, spouse_asked = state == 1, state.between(1, 4), spouse["ESTADO"].between(1, 4)
    minors = _count(people, people["age"] < 18, visits) > 0
    # Other codes stand for no answer, or not asked: the end of the contract of those who work in other people's homes.
    sector, second, term = (head[code].isin(answers) for code, answers in _ANSWERS.items())
    return {
        "head_married": _flag(marital == 2, marital.between(1, 5)),
        "head_in_union": _flag(marital == 1, marital.between(1, 5)),
        "head_separated": _flag(marital == 3, marital.between(1, 5)),
        "head_widowed": _flag(marital == 4, marital.between(1, 5)),
        "single_parent": _flag(spouse["CH03"].isna() & minors, asked),
        "head_schooling": head["NIVEL_ED"].map(_YEARS),
        "head_uninsured": _flag(head["CH08"] == 4, head["CH08"].notna() & (head["CH08"] != 9)),
        "head_employed": _flag(at_work, asked),
        "head_unemployed": _flag(state == 2, asked),
        "head_formal": _flag(employee & (head["PP07H"] == 1), asked),
        "head_informal": _flag(employee & (head["PP07H"] == 2), asked),
        "head_own_account": _flag(at_work & head["CAT_OCUP"].isin([1, 2]), asked),
        "head_public": _flag(at_work & (head["PP04A"] == 1), asked & (sector | ~at_work)),
        "head_hours": head["PP3E_TOT"].where(head["PP3E_TOT"] < 168).mask(~at_work & asked, 0.0),
        "head_underemployed": _flag(at_work & (head["INTENSI"] == 1), asked),
        "head_second_job": _flag(at_work & (head["PP03C"] == 2), asked & (second | ~at_work)),
        "head_fixed_term": _flag(employee & (head["PP07C"] == 1), asked & (term | ~employee)),
        "head_firm_size": head["PP04C"].where(at_work & head["PP04C"].between(1, 12)),
        "head_construction": _flag(at_work & (industry == 40), asked & (industry.notna() | ~at_work)),
        "head_domestic": _flag(at_work & (industry == 97), asked & (industry.notna() | ~at_work)),
        "head_pensioner": _flag(head["V2_M"] > 0, head["V2_M"].notna()),
        "spouse_employed": _flag(spouse["ESTADO"] == 1, spouse_asked),
        "spouse_formal": _flag((spouse["CAT_OCUP"] == 3) & (spouse["PP07H"] == 1), spouse_asked),
        "spouse_schooling": spouse["NIVEL_ED"].map(_YEARS),
    }


def _first(people: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return the first of ``people`` of each visit, a row of missing values where there is none."""
    return people.drop_duplicates("visit").set_index("visit").reindex(visits.index)


def _industry(people: pd.DataFrame) -> pd.Series:
    """Return the division (two digits) of the industry, which INDEC gives with two digits or four; 99 is unknown."""
    code = people["PP04B_COD"]
    division = (code // 100).where(code >= 100, code)
    return division.where(division.between(1, 98))


def _count(
    people: pd.DataFrame, which: pd.Series, visits: pd.DataFrame, *, known: pd.Series | None = None
) -> FloatArray:
    """Return how many people of each visit it is; NaN where it is not known of one of them."""
    return _total(people, which.astype(np.float64) if known is None else _flag(which, known), visits)


def _total(people: pd.DataFrame, values: pd.Series, visits: pd.DataFrame) -> FloatArray:
    """Return the sum over the people of each visit; NaN where one is missing."""
    return np.bincount(people["visit"], weights=values, minlength=len(visits)).astype(np.float64)


def _mean(people: pd.DataFrame, values: pd.Series, visits: pd.DataFrame) -> FloatArray:
    """Return the mean of the values that are there; NaN where there is none."""
    return _ratio(_total(people, values.fillna(0.0), visits), _count(people, values.notna(), visits))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)


def _composition(visits: pd.DataFrame, people: pd.DataFrame) -> Mapping[str, FloatArray]:
    adult = people["age"].between(18, 64)
    hours = people["PP3E_TOT"].where(people["PP3E_TOT"] < 168).mask(people["ESTADO"].between(2, 4), 0.0)
    children, old = _count(people, people["age"] < 15, visits), _count(people, people["age"] >= 65, visits)
    return {
        "adult_equivalents": _total(people, people["units"], visits),
        "children_under_15": children,
        "dependants_per_adult": (children + old)
        / np.maximum(_count(people, people["age"].between(15, 64), visits), 1.0),
        "extended_kin": _count(people, people["CH03"] >= 4, visits),
        "adult_schooling": _mean(people, people["NIVEL_ED"].map(_YEARS).where(people["age"] >= 18), visits),
        "cannot_read": _count(
            people,
            (people["CH09"] == 2) & (people["age"] >= 18),
            visits,
            known=people["CH09"].between(1, 3) | (people["age"] < 18),
        ),
        "hours_per_adult": _ratio(_total(people, hours, visits), _count(people, adult, visits)),
    }


def _work(visits: pd.DataFrame, people: pd.DataFrame) -> Mapping[str, FloatArray]:
    state, industry, insurance = people["ESTADO"], _industry(people), people["CH08"]
    at_work, asked = state == 1, state.between(1, 4)
    young = people["age"].between(15, 24)
    told = asked & (industry.notna() | ~at_work)
    conditions = {
        "unemployed": (state == 2, asked),
        "long_search": (
            (state == 2) & people["PP10A"].between(4, 5),
            asked & (people["PP10A"].between(1, 5) | (state != 2)),
        ),
        "young_idle": (
            young & ~at_work & (people["CH10"] != 1),
            ~young | at_work | (asked & people["CH10"].between(1, 3)),
        ),
        "workers_with_insurance": (
            at_work & ~insurance.isin([0, 4, 9]),
            asked & ((insurance.notna() & ~insurance.isin([0, 9])) | ~at_work),
        ),
        "workers_for_state": (at_work & (people["PP04A"] == 1), asked & (people["PP04A"].between(1, 3) | ~at_work)),
        "workers_construction": (at_work & (industry == 40), told),
        "workers_domestic": (at_work & (industry == 97), told),
        "pensioners": (people["V2_M"] > 0, people["V2_M"].notna()),
    }
    return {name: _count(people, which, visits, known=known) for name, (which, known) in conditions.items()}


def _income(visits: pd.DataFrame, people: pd.DataFrame) -> Mapping[str, FloatArray]:
    line = (visits["line"] * _total(people, people["units"], visits)).to_numpy()
    total = visits["ITF"].where(visits["answered"]).to_numpy()
    employee = people["CAT_OCUP"] == 3
    largest = np.full(len(visits), 0.0)
    np.maximum.at(largest, people["visit"], people["P47T"].fillna(0.0))
    personal = {
        "formal_income": people["P21"].where(employee & (people["PP07H"] == 1), 0.0),
        "informal_income": people["P21"].where(employee & (people["PP07H"] != 1), 0.0),
        "own_account_income": people["P21"].where(people["CAT_OCUP"].isin([1, 2]), 0.0),
        "pension_income": people["V2_M"],
        "head_income": people["P47T"].where(people["CH03"] == 1, 0.0),
    }
    amounts = {name: _total(people, values, visits) / line for name, values in personal.items()}
    receivers = np.where(visits["answered"], _count(people, people["P47T"] > 0, visits), np.nan)
    decile = visits["DECCFR"].where(visits["DECCFR"].between(1, 10) & visits["answered"])
    return {
        **amounts,
        "secure_income": amounts["formal_income"] + amounts["pension_income"],
        "receivers": receivers,
        "receivers_share": receivers / np.bincount(people["visit"], minlength=len(visits)),
        "largest_income_share": _ratio(largest, total),
        "income_beside_largest": (total - largest) / line,
        "income_decile": decile,
    }


def _interview(visits: pd.DataFrame, people: pd.DataFrame) -> Mapping[str, pd.Series]:
    first = visits["order"] == 0
    units = pd.Series(_total(people, people["units"], visits), index=visits.index)
    unanswered = (~visits["answered"]).astype(np.float64)
    so_far = unanswered.groupby(visits["household_id"], sort=False).cumsum() - unanswered
    return {
        "equivalents_gained": units.diff().where(~first),
        "unanswered_visits": so_far,
        "visit_number": visits["order"] + 1.0,
        "calendar_quarter": visits["TRIMESTRE"],
        "phone_interview": (visits["ANO4"] == 2020).astype(np.float64),
    }
