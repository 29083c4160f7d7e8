"""Rules that warn: what looks wrong in monitoring data but does not forbid the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from riskml.tables.contract import TABLES
from riskml.tables.lines import welfare_records
from riskml.tables.rules import RULES, Now, newest_day, rule
from riskml.tables.validation import first_case

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

_COLUMNS = ["rule", "severity", "table", "column", "count", "first", "message_en", "message_zh"]
_TOO_LATE_DAYS = 180
_FEW_ROWS = 50
_SPAN_OF_LIFE_YEARS = 110
#: Welfare beyond this many lines is more often a wrong unit (yuan for ten thousand yuan) than wealth.
_IMPLAUSIBLE_LINES = 50


def check(data: Monitoring) -> pd.DataFrame:
    """Return what looks wrong in the data as they are on the day of the extract.

    The rules are those of monitoring practice: households that should be monitored but are not (inclusion), help that
    is late (timeliness), risks closed too early (elimination), records that contradict each other (consistency)
    and identifiers of the wrong form (format). A rule is skipped where the data lack a column it needs. None of
    them proves a mistake; each names households to look at.

    Parameters
    ----------
    data : Monitoring
        The monitoring tables.

    Returns
    -------
    DataFrame
        One row for each rule that found something: ``rule, severity`` (``"warning"`` or ``"note"``), ``table, column,
        count`` (rows or households concerned), ``first`` (the first of them), ``message_en, message_zh``.

    Examples
    --------
    >>> from riskml.tables.monitoring import _example
    >>> check(_example())[["rule", "count"]]
                    rule  count
    0  welfare_not_known      1
    """
    now = Now(data)
    rows = [
        [each.name, each.severity, each.table, each.column, *each.found(cases)]
        for each in RULES
        if each.applies(data) and len(cases := each.cases(now))
    ]
    rows += [*_every_table(data), *_without_history(data)]
    return pd.DataFrame(rows, columns=_COLUMNS)


@rule(
    "members.head",
    en="{count} households do not have exactly one head (first: {first}). Mark one member as head.",
    zh="{count} 户的户主不是恰好一人(首例:{first})。请标明一名户主。",
    severity="note",
)
def _not_one_head(now: Now) -> pd.DataFrame:
    heads = (now.members["head"] == 1).groupby(now.members["household_id"]).sum()
    return pd.DataFrame({"household_id": heads.index[heads != 1]})


@rule(
    "members.birth",
    en="{count} members are over 110 years old (first: {first}). Check the date of birth, or enter the death.",
    zh="{count} 名成员年龄超过 110 岁(首例:{first})。请核实出生日期,或登记死亡。",
)
def _implausible_age(now: Now) -> pd.DataFrame:
    return now.members[now.members["age"] > _SPAN_OF_LIFE_YEARS]


@rule(
    "households.household_id",
    "members.member_id",
    en="{count} households have no members (first: {first}). Enter them: the units of the household come from the "
    "roster.",
    zh="{count} 户没有家庭成员记录(首例:{first})。请补录,家庭人口数据此计算。",
)
def _household_without_members(now: Now) -> pd.DataFrame:
    households = now["households"]
    there = households[households["left_on"].isna()]
    return there[~there["household_id"].isin(now.members["household_id"])]


@rule(
    "households.household_id",
    en="{count} households have no welfare record recent enough to judge them (first: {first}). Ask for their income.",
    zh="{count} 户没有足够新的收入记录,无法判断(首例:{first})。请补充收入数据。",
)
def _welfare_not_known(now: Now) -> pd.DataFrame:
    records = welfare_records(now.data)
    recent = records["date"] >= now.day - pd.DateOffset(months=now.data.max_age_months or now.data.welfare_months)
    known = records.loc[recent & records["superseded_on"].isna(), "household_id"]
    households = now["households"]
    return households[households["left_on"].isna() & ~households["household_id"].isin(known)]


@rule(
    "households.left_on",
    en="{count} welfare records are of a household that had left by then (first: {first}). Correct the day it left,"
    " or the record.",
    zh="{count} 条收入记录的日期晚于该户离开日期(首例:{first})。请更正离开日期或收入记录。",
)
def _welfare_after_leaving(now: Now) -> pd.DataFrame:
    records = welfare_records(now.data)
    after = records["date"] > newest_day(now["households"], "left_on", records["household_id"])
    return records.loc[after & records["superseded_on"].isna(), ["household_id", "date"]]


@rule(
    "incomes.date",
    en="{count} welfare records are above 50 lines or below minus 50 (first: {first}). Check the unit: yuan or ten "
    "thousand yuan.",
    zh="{count} 条收入记录超过贫困线的 50 倍(首例:{first})。请检查单位是元还是万元。",
)
def _implausible_welfare(now: Now) -> pd.DataFrame:
    records = welfare_records(now.data)
    beyond = records["superseded_on"].isna() & (records["welfare"].abs() > _IMPLAUSIBLE_LINES)
    return records.loc[beyond, ["household_id", "date"]]


@rule(
    "incomes.months",
    en="{count} income periods overlap the one before (first: {first}). Income would count twice; correct date or "
    "months.",
    zh="{count} 条收入记录的期间与前一条重叠(首例:{first})。收入会被重复计算,请更正日期或月数。",
)
def _overlapping_income(now: Now) -> pd.DataFrame:
    incomes = now["incomes"]
    days = incomes["date"].diff().dt.days
    same = incomes["household_id"] == incomes["household_id"].shift()
    # Half a month of slack: periods end on different days of the month.
    return incomes[same & (days < (incomes["months"] - 0.5) * 30.4)]


@rule(
    "medical.out_of_pocket",
    "medical.cost",
    en="{count} medical bills have more paid out of pocket than the whole cost (first: {first}). Correct one of "
    "the two.",
    zh="{count} 条医疗记录自付费用大于总费用(首例:{first})。请更正其中一项。",
)
def _out_of_pocket_above_cost(now: Now) -> pd.DataFrame:
    return now["medical"][now["medical"]["out_of_pocket"] > now["medical"]["cost"]]


@rule(
    "disasters.area_id",
    en="{count} disasters hit an area without households (first: {first}). Check the code: its beginning must be "
    "that of households.",
    zh="{count} 条灾害记录的地区没有任何农户(首例:{first})。请检查地区代码,应为农户地区代码的前缀。",
)
def _disaster_hits_nobody(now: Now) -> pd.DataFrame:
    raw = now.data.tables["disasters"]
    areas = now.data.area_of(now.data.household_ids)
    beginnings = {str(area)[:length] for area in set(areas) for length in range(1, len(str(area)) + 1)}
    return raw[(raw["area_id"] != "") & ~raw["area_id"].isin(beginnings)]


@rule(
    "lines.amount",
    en="{count} lines are lower than the one before in the same area (first: {first}). Check amount and unit.",
    zh="{count} 条贫困线低于同一地区的前一条(首例:{first})。请检查金额和单位。",
    severity="note",
)
def _falling_line(now: Now) -> pd.DataFrame:
    lines = now.data.tables["lines"].sort_values(["area_id", "unit", "valid_from"])
    same = (lines[["area_id", "unit"]] == lines[["area_id", "unit"]].shift()).all(axis=1)
    return lines[same & (lines["amount"].diff() < 0)]


# Format: identifiers. They are reported, never refused for their form.


@rule(
    "members.member_id",
    en="{count} resident identity numbers have a wrong check digit (first: {first}). Compare with the document.",
    zh="{count} 个身份证号校验码不正确(首例:{first})。请与证件核对。",
    severity="note",
)
def _wrong_check_digit(now: Now) -> pd.DataFrame:
    members = now["members"]
    ids = members["member_id"].str.upper()
    return members[_official(ids) & ids.str.len().isin([18, 20, 22]) & ~_check_digit_fits(ids)]


@rule(
    "members.member_id",
    en="{count} official identifiers do not have 18, 20 or 22 characters (first: {first}). Compare with the document.",
    zh="{count} 个证件号码不是 18、20 或 22 位(首例:{first})。请与证件核对。",
    severity="note",
)
def _wrong_length(now: Now) -> pd.DataFrame:
    members = now["members"]
    return members[_official(members["member_id"]) & ~members["member_id"].str.len().isin([18, 20, 22])]


@rule(
    "members.birth",
    "members.member_id",
    en="{count} dates of birth differ from the one in the identity number (first: {first}). Correct one of the two.",
    zh="{count} 名成员的出生日期与身份证号不一致(首例:{first})。请更正其中一项。",
)
def _birth_differs_from_id(now: Now) -> pd.DataFrame:
    members = now["members"][_official(now["members"]["member_id"])]
    born = pd.to_datetime(members["member_id"].str[6:14], format="%Y%m%d", errors="coerce")
    return members[members["birth"].notna() & (members["birth"] != born)]


def _every_table(data: Monitoring) -> Iterator[list[object]]:
    """Yield findings about ``known_on`` and people, for every table they concern."""
    for name, table in TABLES.items():
        if name not in data.tables or name == "lines":
            continue
        frame = data.tables[name]
        if name in ("members", "employment", "status"):
            yield from _row("end_known_ahead", name, "end", frame, _ahead(frame))
        if "member_id" in frame and name != "members" and "members" in data.tables:
            yield from _row("unknown_member", name, "member_id", frame, _not_in(frame, data.tables["members"]))
        if table.kind in ("event", "snapshot"):
            delay = frame["known_on"] - frame["date"]
            yield from _row("entered_late", name, "known_on", frame, delay > pd.Timedelta(days=_TOO_LATE_DAYS))
            copied = (delay == pd.Timedelta(0)) & (len(frame) >= _FEW_ROWS)
            if copied.mean() > 0.95:
                yield from _row("known_on_copied", name, "known_on", frame, copied)


_EVERY_TABLE = {
    "end_known_ahead": (
        "warning",
        "{where} lies after known_on in {count} rows without end_known_on (first: {first}), as if the future had "
        "been known. "
        "Fill end_known_on with the day the end was entered, or results will look better than they are.",
        "{where} 晚于 known_on 且未填 end_known_on 的有 {count} 行(首例:{first}),等于提前知道了结局。"
        "请在 end_known_on 填写录入结束的日期,否则结果会虚高。",
    ),
    "unknown_member": (
        "warning",
        "{where} is not among the members of the household in {count} rows (first: {first}). Enter the person, or "
        "correct the id.",
        "{where} 有 {count} 行不在该户成员中(首例:{first})。请补录成员或更正编号。",
    ),
    "entered_late": (
        "note",
        "{count} rows of {table} were entered more than 180 days after they happened (first: {first}). Until then "
        "no list could use them.",
        "{table} 有 {count} 行在发生 180 天之后才录入(首例:{first})。在此之前任何名单都无法使用。",
    ),
    "known_on_copied": (
        "warning",
        "{where} equals the date in {count} rows, nearly all (first: {first}). If known_on was copied because the "
        "day of entry is not "
        "kept, results will look better than they are.",
        "{where} 几乎全部({count} 行)等于发生日期(首例:{first})。如果是因为没有录入日期而照抄,结果会虚高。",
    ),
}


_NO_HISTORY = (
    "{table} is overwritten in place and shows only what it held on {extract_on}. No question about that day or an "
    "earlier one is answered, so no model can learn from these data. Keep the extracts of every month, or say since "
    "when its rows may be assumed known (assume_known_on in monitoring.toml).",
    "{table} 的行会被就地覆盖,只反映 {extract_on} 的情况。对该日或更早日期的提问一律不予回答,"
    "因此不能用这些数据训练模型。"
    "请逐月保留提取的数据,或说明可以假定各行从何时得知(monitoring.toml 中的 assume_known_on)。",
)


def _without_history(data: Monitoring) -> Iterator[list[object]]:
    """Yield what was declared or assumed where the source does not say when rows were known."""
    for name in data.overwritten:
        en, zh = (text.format(table=name, extract_on=data.extract_on.date()) for text in _NO_HISTORY)
        yield ["no_history", "note", name, "", len(data.tables[name]), "", en, zh]
    for en, zh in data.assumptions:
        yield ["assumption", "note", "", "", 1, "", en, zh]


def _row(rule: str, table: str, column: str, frame: pd.DataFrame, bad: pd.Series) -> Iterator[list[object]]:
    cases = frame[bad]
    if len(cases):
        severity, en, zh = _EVERY_TABLE[rule]
        first = first_case(cases, 0, column)
        words = {"where": f"{table}.{column}", "table": table, "count": len(cases), "first": first}
        yield [rule, severity, table, column, len(cases), first, en.format(**words), zh.format(**words)]


def _ahead(spells: pd.DataFrame) -> pd.Series:
    return (spells["end"] > spells["known_on"]) & spells["end_known_on"].isna()


def _not_in(frame: pd.DataFrame, members: pd.DataFrame) -> pd.Series:
    people = pd.MultiIndex.from_frame(members[["household_id", "member_id"]])
    known = pd.MultiIndex.from_frame(frame[["household_id", "member_id"]]).isin(people)
    return (frame["member_id"] != "") & ~known


def _official(ids: pd.Series) -> pd.Series:
    """Ids that look like resident identity or disability numbers: long, of digits, with a birth date inside."""
    digits = ids.str.fullmatch(r"\d{16,21}[\dXx]|\d{17}[\dXx]\d+")
    born = pd.to_datetime(ids.str[6:14].where(digits), format="%Y%m%d", errors="coerce")
    return born.notna() & (born > pd.Timestamp("1900-01-01")) & (born < pd.Timestamp("2100-01-01"))


def _check_digit_fits(ids: pd.Series) -> pd.Series:
    """Whether the 18th character is the check digit of the first 17 (ISO 7064, MOD 11-2)."""
    weights = [2**power % 11 for power in range(17, 0, -1)]
    digits = ids.str[:17].where(ids.str[:17].str.fullmatch(r"\d{17}"), "0" * 17)
    total = sum(digits.str[place].astype(int) * weight for place, weight in enumerate(weights))
    expected = ((12 - total % 11) % 11).astype(str).replace("10", "X")
    return ids.str[17] == expected
