"""Malawi's integrated household panel (IHPS) as monitoring tables: rural farm households, food consumption, drought."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from riskml.datasets.visits import visit_spells
from riskml.features.declarations import Latest
from riskml.findings import DataRefused, Finding, language
from riskml.tables.monitoring import Monitoring

#: Column of the survey -> measure.
#: What the file does not say, in English and Chinese; the card of a model learned from it repeats it.
_ASSUMED_KNOWN = (
    "All tables: the file says only the year of a wave; its answers are assumed known on 31 December, though some "
    "interviews may have been held after it.",
    "所有数据表：文件只给出调查年份，假定其内容于当年12月31日得知，但部分访问可能在此之后进行。",
)
_MEASURES = {
    "ssn_freemaize": "free_maize",
    "ssn_freefood": "free_food",
    "ssn_FCfW": "food_or_cash_for_work",
    "ssn_childfeed": "child_feeding",
}

#: Name, column of the survey, cause, unit, direction, English and Chinese label.
_TRAITS: tuple[tuple[str, str, str, str, int, str, str], ...] = (
    ("food_groups", "HDDS", "income", "count", -1, "food groups eaten", "食物种类数"),
    ("interview_month", "consumption_month", "other", "number", 0, "month of the food interview", "食物消费调查月份"),
    ("members", "hhsize", "labour", "count", 0, "members of the household", "家庭人口"),
    ("dependency", "dependency", "labour", "share", 1, "dependants against working age", "抚养比"),
    ("female_head", "fhead", "other", "flag", 0, "head is a woman", "女性户主"),
    ("no_adult_men", "noadultmales", "labour", "flag", 1, "no man of working age", "无成年男性"),
    ("age_of_head", "age_head", "labour", "years", 0, "age of the head", "户主年龄"),
    ("schooling_of_adults", "edu_adult", "labour", "years", -1, "schooling of the adults", "成年人受教育年数"),
    ("wealth", "wealth_index", "income", "grade", -1, "wealth (1 poorest to 3)", "财富等级（1最低至3）"),
    ("income_earner_left", "incmlft", "labour", "flag", 1, "an earner left the household", "有收入者离开"),
    ("remittances", "logremitt_MK_CPI2010", "income", "number", -1, "remittances (log kwacha of 2010)", "汇款（对数）"),
    ("land", "arable_land", "production", "number", -1, "arable land (hectares)", "耕地（公顷）"),
    ("crop_diversity", "cropdiv_SDI", "production", "number", -1, "diversity of crops", "作物多样性"),
    ("intercropping", "intercrop", "production", "flag", 0, "grows crops together", "间作"),
    ("sandy_loam", "soiltype_sandyloam", "production", "share", 0, "share of land on sandy loam", "沙壤土占比"),
    ("livestock", "TLU", "production", "number", -1, "livestock (tropical units)", "牲畜（热带单位）"),
    ("livestock_value", "lvstkvalue_log", "production", "number", -1, "value of livestock (log)", "牲畜价值（对数）"),
    ("livestock_sold", "TLUsold", "production", "number", 0, "livestock sold", "出售牲畜"),
    ("livestock_eaten", "TLUslaugh", "production", "number", 0, "livestock slaughtered", "屠宰牲畜"),
    ("livestock_bought", "TLUbought", "production", "number", 0, "livestock bought", "购入牲畜"),
    ("livestock_lost", "TLUlost", "production", "number", 1, "livestock lost", "损失牲畜"),
    ("livestock_given", "TLUgiveaway", "production", "number", 0, "livestock given away", "赠送牲畜"),
    ("farm_work", "PC_hhagr", "labour", "number", 0, "hours of own farm work per member", "人均自家农业劳动小时数"),
    ("business_work", "PC_hhbus", "employment", "number", 0, "hours of own business per member", "人均自营劳动小时数"),
    ("wage_work", "PC_wage", "employment", "number", 0, "hours of wage work per member", "人均受雇劳动小时数"),
    ("casual_work", "PC_cas", "employment", "number", 0, "hours of casual work per member", "人均零工小时数"),
    (
        "farm_work_women",
        "Fp_hhagr",
        "labour",
        "number",
        0,
        "women's part of own farm work (per cent)",
        "女性承担农业劳动（%）",
    ),
    (
        "business_work_women",
        "Fp_hhbus",
        "employment",
        "number",
        0,
        "women's part of business (per cent)",
        "女性承担经营（%）",
    ),
    (
        "wage_work_women",
        "Fp_wage",
        "employment",
        "number",
        0,
        "women's part of wage work (per cent)",
        "女性承担受雇（%）",
    ),
    (
        "casual_work_women",
        "Fp_casual",
        "employment",
        "number",
        0,
        "women's part of casual work (per cent)",
        "女性承担零工（%）",
    ),
    ("wetness", "spei_6", "disaster", "number", 0, "water balance of the season (SPEI)", "本季水分指数（SPEI）"),
    ("wetness_before", "spei_6_lag", "disaster", "number", 0, "water balance of the season before", "上季水分指数"),
    ("women_manage_land", "lm1fem", "other", "flag", 0, "women manage the land", "女性管理土地"),
    ("land_managed_jointly", "lm1joint", "other", "flag", 0, "land is managed jointly", "共同管理土地"),
    (
        "matrilocal",
        "comm_marriagetype_matri",
        "other",
        "flag",
        0,
        "community where couples live with her kin",
        "从妻居社区",
    ),
    ("matrilineal", "norm_berge", "other", "flag", 0, "community of matrilineal norms", "母系规范社区"),
    ("language", "lang_atlas", "other", "number", 0, "main language of the place (code)", "当地主要语言（代码）"),
)
_SENSITIVE = {"female_head", "matrilocal", "matrilineal", "language"}
_SHOCKS = (("drought", "drought", 0), ("flood", "flood", 0), ("droughtlag", "drought", 1))
_NEEDED = ("HHID", "year", "stratum", "EA", "FCS", "panelwgt")


def load_malawi(folder: str | Path, *, line: float = 42.0) -> Monitoring:
    """Read the Malawi IHPS panel of 2010, 2013 and 2016 as monitoring tables.

    Welfare is the food consumption score (0 to 112), the line a value of it. A wave is dated and known on the last
    day of its year: ask on 1 January 2011, 2014 or 2017, three years ahead with ``horizon_months=36``.

    Parameters
    ----------
    folder : str or Path
        Holds ``malawi_ihps.parquet``, the replication data of the reference as one row a household and wave.
    line : float, default 42
        Points of the score below which food consumption is not acceptable: 42, or 35 (in use where oil and sugar are
        eaten every day, the borders are 28 and 42; elsewhere 21 and 35).

    Returns
    -------
    Monitoring
        Judged on one score (``welfare_months=1``, ``max_age_months=1``, ``least_covered`` one month of 36). ``area_id``
        is stratum (one digit) and
        enumeration area (eight). Tables: ``households``, ``welfare``, ``disasters`` (drought and flood of the season
        of the wave and drought of the season before, by household), ``assistance`` (safety nets, open until a wave
        that does not report them), ``traits`` (the rest, each with a declared feature) and ``lines``. Columns of the
        file that are made from later waves (``eversplit``, ``split...``, ``consistent_mm``, ``sample...``,
        ``hh_diffcomm2010``) are not read.

    Raises
    ------
    FileNotFoundError
        If the folder lacks the file.
    DataRefused
        If the file cannot be read or lacks a column, or the tables break the contract.

    Notes
    -----
    There is no roster, so ``members`` and what rests on it are absent. Households that split are followed as
    several, so neighbours in the file may be kin.

    References
    ----------
    Ranucci, Romano and Tiberti (2024), "Weather Shocks and Resilience to Food Insecurity: Exploring the Role of
    Gender and Kinship Norms", World Development; on LSMS-ISA data of the World Bank. World Food Programme (2008), "Food
    consumption analysis: calculation and use of the food consumption score".

    Examples
    --------
    >>> load_malawi("no such folder")
    Traceback (most recent call last):
    FileNotFoundError: no such folder/malawi_ihps.parquet is missing; ...
    """
    path = Path(folder) / "malawi_ihps.parquet"
    if not path.is_file():
        raise FileNotFoundError(
            f"缺少 {path};需要每户每期一行的复现数据"
            if language() == "zh"
            else f"{path} is missing; load_malawi needs the replication data as one row a household and wave"
        )
    waves = _waves(_raw(path))
    dated = waves[["household_id", "date", "known_on"]]
    tables = {
        "households": waves[["household_id", "area_id", "known_on"]].assign(weight=waves["panelwgt"]),
        "welfare": dated.assign(months=1.0, value=waves["FCS"], units=1.0),
        "disasters": _disasters(waves),
        "assistance": _assistance(waves),
        "traits": dated.assign(**{name: waves[column] for name, column, *_ in _TRAITS}),
        "lines": pd.DataFrame(
            {"area_id": [""], "valid_from": ["2010-01-01"], "amount": [line], "unit": ["score"], "basis": ["food"]}
        ),
    }
    note = "Ranucci, Romano and Tiberti (2024), World Development; LSMS-ISA of the World Bank"
    return Monitoring(
        tables,
        welfare_months=1,
        max_age_months=1,
        least_covered=1 / 36,  # one visit in three years
        assumptions=(_ASSUMED_KNOWN,),
        features=_features(),
        notes=(note,),
    )


def _raw(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataRefused([_unreadable(path.name, str(error)[:150])]) from error


def _waves(raw: pd.DataFrame) -> pd.DataFrame:
    """Return one row a household and wave, sorted by both, with the dates and codes of the contract."""
    columns = {*_NEEDED, *_MEASURES, *(column for column, *_ in _SHOCKS), *(column for _, column, *_ in _TRAITS)}
    absent = sorted(columns - set(raw.columns))
    if absent:
        raise DataRefused([_absent_columns(absent)])
    waves = raw[sorted(columns)].astype(np.float64)
    waves["household_id"] = waves["HHID"].astype(int).astype(str)
    waves = waves.sort_values(["household_id", "year"], ignore_index=True)
    year = waves["year"].astype(int).astype(str)
    waves["start"] = pd.to_datetime(year + "-01-01")
    waves["date"] = waves["known_on"] = pd.to_datetime(year + "-12-31")
    waves["area_id"] = waves["stratum"].astype(int).astype(str) + waves["EA"].astype(int).astype(str).str.zfill(8)
    return waves


def _unreadable(name: str, reason: str) -> Finding:
    return Finding(
        "unreadable_file",
        name,
        "",
        1,
        name,
        f"{name} cannot be read as Parquet: {reason}. Write the replication data to it again",
        f"无法将 {name} 按 Parquet 读取：{reason}。请重新写入复现数据",
    )


def _absent_columns(absent: list[str]) -> Finding:
    listed = ", ".join(absent)
    return Finding(
        "missing_column",
        "malawi_ihps",
        absent[0],
        len(absent),
        listed,
        f"malawi_ihps.parquet lacks the columns {listed}; take the replication data as published",
        f"malawi_ihps.parquet 缺少列 {listed}；请使用发布的复现数据",
    )


def _disasters(waves: pd.DataFrame) -> pd.DataFrame:
    """Return one record a household and shock, dated at the harvest (30 April) of the season it struck."""
    shocks = []
    for column, kind, years_before in _SHOCKS:
        hit = waves[waves[column] == 1]
        day = hit["start"] + pd.DateOffset(months=4, days=-1) - pd.DateOffset(years=years_before)
        shocks.append(hit[["household_id", "known_on"]].assign(date=day, kind=kind))
    table = pd.concat(shocks, ignore_index=True)
    return table.assign(area_id="", record_id=table["kind"] + table["date"].dt.strftime("-%Y"))


def _assistance(waves: pd.DataFrame) -> pd.DataFrame:
    spells = []
    for column, measure in _MEASURES.items():
        visit = np.flatnonzero(waves[column] == 1)
        household = pd.factorize(waves["household_id"])[0][visit]
        spells.append(visit_spells(pd.DataFrame({"visit": visit, "key": household, "measure": measure}), waves))
    table = pd.concat(spells, ignore_index=True)
    return table.assign(record_id=table["measure"] + table["start"].dt.strftime("-%Y"))


def _features() -> tuple[Latest, ...]:
    return tuple(
        Latest(
            "traits",
            name,
            cause=cause,  # type: ignore[arg-type]
            unit=unit,  # type: ignore[arg-type]
            direction=direction,
            label_en=label_en,
            label_zh=label_zh,
            sensitive=name in _SENSITIVE,
        )
        for name, _, cause, unit, direction, label_en, label_zh in _TRAITS
    )
