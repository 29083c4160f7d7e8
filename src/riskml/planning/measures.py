"""The table of measures: what helps against which cause, what it costs, for whom, and what is known of its effect.

A cost and an effect are facts of a place and a study. Where they are not known the cells stay empty; nothing is
filled in by this library, and an effect without a source is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from riskml.causes import CAUSES
from riskml.findings import DataRefused, Finding
from riskml.planning.cells import as_numbers, as_text, finding, read_cells, wrong_cells, wrong_columns, wrong_numbers
from riskml.planning.eligibility import condition

#: Columns of a table of measures and what they hold.
MEASURE_COLUMNS = {
    "measure": "short name, unique",
    "label_en": "name in English",
    "label_zh": "name in Chinese",
    "causes": "causes it fits, joined by ';'",
    "cost": "currency per household for the period planned; empty: not known, not planned with",
    "capacity": "households it can reach in the period; empty: no limit",
    "capacity_by_area": "households it can reach in areas, as '5223=40; 522301=15' (code=number); others: no limit",
    "months": "months it lasts once given; empty: once, or not known",
    "source": "name of the budget that pays for it; empty: any",
    "eligibility": "condition over the columns of the watchlist, as 'risk >= 0.1'; empty: everybody",
    "effect": "share (0 to 1) that it takes away; empty: not known, not planned with",
    "effect_kind": "of what: share_of_points of its causes (also if empty), or share_of_risk as an evaluation gives",
    "effect_lower": "lower end of an interval of the effect; may be empty",
    "effect_upper": "upper end of an interval of the effect; may be empty",
    "effect_source": "where the effect comes from: a study, an evaluation, an assumption that says so",
    "effect_source_kind": "trial, literature, estimate (from the office's own history) or assumption; may be empty",
    "excludes": "measures the same household cannot also get, joined by ';'",
}
_REQUIRED = ["measure", "causes", "cost", "effect", "effect_source"]
_NUMBERS = ["cost", "capacity", "months", "effect", "effect_lower", "effect_upper"]
#: Words that columns may hold; empty is the first of ``effect_kind``, and not said of ``effect_source_kind``.
EFFECT_KINDS = ("share_of_points", "share_of_risk")
EFFECT_SOURCE_KINDS = ("trial", "literature", "estimate", "assumption")


def read_measures(path: str | Path) -> pd.DataFrame:
    """Read a table of measures from a CSV file (UTF-8 with or without mark, or GB18030).

    Parameters
    ----------
    path : str or Path
        The file; columns as in :data:`MEASURE_COLUMNS`, of which ``measure, causes, cost, effect, effect_source`` must
        be there.

    Returns
    -------
    DataFrame
        All columns of :data:`MEASURE_COLUMNS`; numbers float64 (NaN where empty), the rest text (``""`` where empty).

    Raises
    ------
    DataRefused
        If the file is not such a table; every finding is named.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "measures.csv"
    >>> write_measures_template(path)
    >>> read_measures(path)[["measure", "causes", "cost"]].head(2)
                 measure                                 causes  cost
    0  health_assistance                                illness   NaN
    1  social_assistance                         illness;income   NaN
    >>> folder.cleanup()
    """
    return check_measures(read_cells(path, "measures"))


def write_measures_template(path: str | Path) -> None:
    """Write the official kinds of measure with cost, capacity and effect empty, to be filled in by the office.

    Parameters
    ----------
    path : str or Path
        The CSV file to write, UTF-8 with a mark so that spreadsheets show Chinese.
    """
    rows = [dict(zip(("measure", "label_en", "label_zh", "causes"), row, strict=True)) for row in _OFFICIAL]
    pd.DataFrame(rows, columns=list(MEASURE_COLUMNS)).to_csv(path, index=False, encoding="utf-8-sig")


def measure_name(measure: str, language: str = "en") -> str:
    """Return what an official kind of measure is called; another is called as it is written.

    Parameters
    ----------
    measure : str
        As in the table ``assistance`` or a table of measures.
    language : {"en", "zh"}, default "en"
        Language of the name.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> measure_name("health_assistance", "zh"), measure_name("own project")
    ('医疗救助', 'own project')
    """
    names = {row[0]: row[1:3] for row in _OFFICIAL}
    return names.get(measure, (measure, measure))[language == "zh"]


def example_measures() -> pd.DataFrame:
    """Return eight measures with costs and effects assumed for demonstrations; no study stands behind them.

    Returns
    -------
    DataFrame
        As :func:`read_measures` gives; ``effect_source`` says of each effect that it is an assumption.

    Examples
    --------
    >>> example_measures()["effect_source"].unique().tolist()
    ['assumption for the demonstration']
    """
    official = {row[0]: row for row in _OFFICIAL}
    rows = []
    for measure, cost, capacity, effect, lower, upper, excludes in _ASSUMED:
        _, label_en, label_zh, causes = official[measure]
        source = "assumption for the demonstration"
        numbers = {"cost": cost, "capacity": capacity, "effect": effect, "effect_lower": lower, "effect_upper": upper}
        row = {"measure": measure, "label_en": label_en, "label_zh": label_zh, "causes": causes, **numbers}
        rows.append(row | {"effect_source": source, "effect_source_kind": "assumption", "excludes": excludes})
    return check_measures(pd.DataFrame(rows))


def check_measures(measures: pd.DataFrame, *, for_planning: bool = False) -> pd.DataFrame:
    """Return a table of measures typed and complete, or refuse it with everything found.

    Parameters
    ----------
    measures : DataFrame
        Columns as in :data:`MEASURE_COLUMNS`, as numbers or as text.
    for_planning : bool, default False
        Also refuse measures without a cost or an effect.

    Returns
    -------
    DataFrame
        A new table, as :func:`read_measures` gives.

    Raises
    ------
    DataRefused
        If a column is missing or unknown, or a cell is not what its column holds.
    """
    findings = list(wrong_columns(measures, "measures", _REQUIRED, list(MEASURE_COLUMNS)))
    if not len(measures):
        findings.append(finding("measures", "empty_table", "", 0, "-", "the table has no measure", "表中没有任何措施"))
    if findings:
        raise DataRefused(findings)
    text = as_text(measures, list(MEASURE_COLUMNS))
    numbers = as_numbers(text, _NUMBERS)
    findings = [*_text_findings(text), *_number_findings(text, numbers)]
    if for_planning:
        findings += _unknown_findings(text, numbers)
    if findings:
        raise DataRefused(findings)
    return text.assign(**{name: numbers[name] for name in _NUMBERS})


def split_list(text: str) -> list[str]:
    """Return the entries of a cell that joins them by ``;``.

    Parameters
    ----------
    text : str
        The cell; spaces around entries and empty entries do not count.

    Returns
    -------
    list of str
        The entries.

    Examples
    --------
    >>> split_list("illness; income;")
    ['illness', 'income']
    """
    return [entry.strip() for entry in text.split(";") if entry.strip()]


def split_areas(text: str) -> dict[str, float]:
    """Return the numbers by area of a cell such as ``5223=40; 522301=15``.

    Parameters
    ----------
    text : str
        The cell.

    Returns
    -------
    dict of str to float
        By code of the area.

    Raises
    ------
    ValueError
        If an entry is not a code, ``=`` and a number of zero or more, or an area stands there twice.

    Examples
    --------
    >>> split_areas("5223=40; 522301=15")
    {'5223': 40.0, '522301': 15.0}
    """
    found: dict[str, float] = {}
    for entry in split_list(text):
        area, sign, number = (part.strip() for part in entry.partition("="))
        if not area or not sign or not re.fullmatch(r"\d+(\.\d+)?", number) or area in found:
            raise ValueError(entry)
        found[area] = float(number)
    return found


_OFFICIAL = (
    ("health_assistance", "health assistance", "医疗救助", "illness"),
    ("social_assistance", "social assistance", "社会救助", "illness;income"),
    (
        "minimum_income_guarantee",
        "minimum-income guarantee",
        "最低生活保障",
        "illness;disability;labour;income;assistance",
    ),
    ("disability_subsidy", "disability subsidies", "残疾人两项补贴", "disability"),
    ("public_service_post", "public-service post", "公益性岗位", "disability;labour;employment"),
    ("education_grant", "education grants", "教育资助", "schooling"),
    ("return_to_school", "return-to-school support", "控辍保学", "schooling"),
    ("disaster_relief", "relief", "受灾救助", "disaster"),
    ("rebuilding", "rebuilding after a disaster", "灾后重建", "disaster"),
    ("production_support", "production support", "生产恢复帮扶", "disaster;production"),
    ("temporary_relief", "temporary relief", "临时救助", "accident"),
    ("housing_repair", "repair or rebuilding of unsafe housing", "危房改造", "housing"),
    ("relocation", "relocation", "搬迁安置", "housing"),
    ("water_works", "drinking-water works", "饮水安全工程", "water"),
    ("elderly_care", "care for the old", "养老服务", "labour"),
    ("job_placement", "job placement", "就业推荐", "employment"),
    ("vocational_training", "vocational training", "技能培训", "employment"),
    ("travel_subsidy", "travel subsidy", "务工交通补助", "employment"),
    ("production_grant", "production grants", "产业奖补", "production"),
    ("micro_credit", "micro-credit", "小额信贷", "production"),
    ("insurance", "insurance", "保险保障", "production"),
    ("technical_support", "technical support", "技术帮扶", "production"),
    ("sales_channels", "sales channels", "产销对接", "production"),
)
#: measure, cost, capacity, effect, lower, upper, excludes: chosen to make a demonstration readable, not found anywhere.
_ASSUMED = (
    ("health_assistance", 3000, "", 0.30, 0.10, 0.50, ""),
    ("minimum_income_guarantee", 6000, 60, 0.50, 0.30, 0.70, "public_service_post"),
    ("public_service_post", 9000, 25, 0.45, 0.20, 0.70, ""),
    ("education_grant", 1500, "", 0.25, 0.05, 0.45, ""),
    ("production_grant", 4000, 40, 0.30, 0.10, 0.50, ""),
    ("temporary_relief", 2000, "", 0.20, 0.05, 0.35, ""),
    ("housing_repair", 14000, 10, 0.50, 0.20, 0.80, ""),
    ("job_placement", 1200, 50, 0.20, 0.05, 0.35, "public_service_post"),
)


def _text_findings(text: pd.DataFrame) -> Iterator[Finding]:
    names = text["measure"]
    yield from _cells(text, "measure", names == "", "no_name", "every measure needs a name", "每项措施都要有名称")
    twice = names.duplicated() & (names != "")
    yield from _cells(text, "measure", twice, "duplicate_measure", "a measure stands once", "措施名称不得重复")
    causes = text["causes"].map(split_list)
    known = ", ".join(CAUSES)
    en, zh = f"expected at least one of {known}", f"应至少填写下列之一：{known}"
    yield from _cells(text, "causes", causes.map(lambda found: not found), "no_cause", en, zh)
    en, zh = f"unknown cause; expected {known}, joined by ';'", f"未知的原因；应为{known}，以“;”分隔"
    yield from _cells(text, "causes", causes.map(lambda found: not set(found) <= set(CAUSES)), "unknown_cause", en, zh)
    excludes = text["excludes"].map(lambda cell: not set(split_list(cell)) <= set(names))
    en, zh = "names a measure that is not in this table", "提到了表中没有的措施"
    yield from _cells(text, "excludes", excludes, "unknown_measure", en, zh)
    for cell in text["eligibility"]:
        try:
            condition(cell)
        except ValueError as error:
            en, zh = f"is not a condition ({error})", f"不是可读取的条件（{error}）"
            yield finding("measures", "eligibility", "eligibility", 1, repr(cell), en, zh)
    for cell in text["capacity_by_area"]:
        try:
            split_areas(cell)
        except ValueError as error:
            en, zh = "expected areas once each, as '5223=40; 522301=15'", "应为“5223=40; 522301=15”，每个地区一次"
            yield finding("measures", "capacity_by_area", "capacity_by_area", 1, repr(str(error)), en, zh)
    for name, words in (("effect_kind", EFFECT_KINDS), ("effect_source_kind", EFFECT_SOURCE_KINDS)):
        en, zh = f"expected one of {', '.join(words)}, or nothing", f"应为{'、'.join(words)}之一，或留空"
        yield from _cells(text, name, ~text[name].isin(["", *words]), "unknown_word", en, zh)


def _number_findings(text: pd.DataFrame, numbers: pd.DataFrame) -> Iterator[Finding]:
    yield from wrong_numbers("measures", text, numbers)
    for name in ("cost", "capacity"):
        yield from _cells(text, name, numbers[name] < 0, "negative", "expected zero or more", "不得为负数")
    yield from _cells(text, "months", numbers["months"] <= 0, "not_positive", "expected more than zero", "应大于零")
    for name in ("effect", "effect_lower", "effect_upper"):
        beyond = (numbers[name] < 0) | (numbers[name] > 1)
        en, zh = "expected a share from 0 to 1", "应为0到1之间的比例"
        yield from _cells(text, name, beyond, "not_a_share", en, zh)
    crossed = (numbers["effect_lower"] > numbers["effect"]) | (numbers["effect_upper"] < numbers["effect"])
    en, zh = "the effect lies outside its own interval", "效果值落在其区间之外"
    yield from _cells(text, "effect", crossed, "crossed_interval", en, zh)
    unsourced = numbers["effect"].notna() & (text["effect_source"] == "")
    en, zh = "an effect needs a source; say 'assumption' if it is one", "效果必须注明来源；若为假设请写明“假设”"
    yield from _cells(text, "effect_source", unsourced, "no_source", en, zh)


def _unknown_findings(text: pd.DataFrame, numbers: pd.DataFrame) -> Iterator[Finding]:
    for name, what in (("cost", "费用"), ("effect", "效果")):
        en = f"a measure without {name} cannot be planned with; fill it in, with its source, or leave the measure out"
        zh = f"缺少{what}的措施不能用于计划；请填写并注明来源，或删去该措施"
        yield from _cells(text, name, numbers[name].isna(), f"no_{name}", en, zh)


def _cells(text: pd.DataFrame, column: str, wrong: pd.Series, rule: str, en: str, zh: str) -> Iterator[Finding]:
    return wrong_cells("measures", text, column, wrong, rule, en, zh)
