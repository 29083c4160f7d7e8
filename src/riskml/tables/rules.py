"""The rules of monitoring practice: who should be monitored, helped in time, and not written off too early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from riskml.tables.lines import welfare_records
from riskml.tables.validation import first_case

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

#: Parts of the names of measures (regular expressions), for rules that ask whether a measure fits.
_HEALTH_AID = ("health", "medical", "minimum", "医", "低保", "救助")
_SCHOOL_AID = ("education", "school", "tuition", "教育", "助学", "雨露")
_JOB_AID = ("job", "(?<!un)employment", "public post", "public-service post", "就业", "务工", "公益")
_FARM_AID = ("production", "credit", "industry", "产业", "信贷", "养殖", "种植")


class Now:
    """The newest version of every record, and what the rules ask of it again and again."""

    def __init__(self, data: Monitoring) -> None:
        self.data = data
        self.day = data.extract_on
        self._newest: dict[str, pd.DataFrame] = {}

    def __getitem__(self, table: str) -> pd.DataFrame:
        if table not in self._newest:
            versions = self.data.versions(table)
            self._newest[table] = versions[versions["superseded_on"].isna()]
        return self._newest[table]

    def last(self, table: str) -> pd.DataFrame:
        """Return the last check of each household."""
        return self[table].drop_duplicates("household_id", keep="last")

    @cached_property
    def lifted_not_monitored(self) -> pd.Index:
        """Return households lifted out of poverty, still there, without an open monitoring category."""
        households = self["households"]
        there = households["lifted_on"].notna() & households["left_on"].isna()
        monitored = self.running("status")["household_id"]
        return pd.Index(households.loc[there, "household_id"]).difference(pd.Index(monitored))

    @cached_property
    def members(self) -> pd.DataFrame:
        """Return the members who are there on the day of the extract, with their age in years."""
        members = self["members"]
        there = members[(members["start"] <= self.day) & ~(members["end"] <= self.day)]
        return there.assign(age=years(there["birth"], self.day)) if "birth" in there else there

    @cached_property
    def can_work(self) -> pd.Series:
        """Return for each household the share of its members who can work at all."""
        known = self.members[self.members["labour"].notna()]
        return (known["labour"] >= 1).groupby(known["household_id"]).mean()

    def running(self, table: str) -> pd.DataFrame:
        """Return the spells that have begun and not ended."""
        spells = self[table]
        return spells[(spells["start"] <= self.day) & ~(spells["end"] < self.day)]

    def at_risk(self, cause: str) -> pd.DataFrame:
        """Return the households monitored now for a cause."""
        status = self.running("status")
        return status[_has_cause(status, cause)]

    def helped(self, status: pd.DataFrame, *, names: tuple[str, ...] = ()) -> np.ndarray:
        """Return which of the status spells any measure (with such a name) overlaps."""
        help_ = self["assistance"] if not names else self["assistance"][_named(self["assistance"]["measure"], names)]
        spells = status[["household_id", "start", "end"]].assign(place=np.arange(len(status)))
        pairs = spells.merge(help_[["household_id", "start", "end"]], on="household_id", suffixes=("", "_help"))
        both = ~(pairs["start_help"] > pairs["end"]) & ~(pairs["end_help"] < pairs["start"])
        return np.isin(np.arange(len(status)), pairs.loc[both, "place"])

    @cached_property
    def closed(self) -> pd.DataFrame:
        """Return risks marked eliminated, other than by leaving."""
        status = self["status"]
        over = status[status["end"] <= self.day]
        return over[over["elimination"] != "left"] if "elimination" in over else over


@dataclass(frozen=True)
class Rule:
    """A rule: what it needs, which rows it finds, and how it says so (``{count}``, ``{first}``)."""

    name: str
    cases: Callable[[Now], pd.DataFrame]
    needs: tuple[str, ...]
    en: str
    zh: str
    severity: str = "warning"

    @property
    def table(self) -> str:
        """The table in which the rows stand."""
        return self.needs[0].partition(".")[0]

    @property
    def column(self) -> str:
        """The column that looks wrong."""
        return self.needs[0].partition(".")[2]

    def applies(self, data: Monitoring) -> bool:
        """Return whether the data have all columns the rule needs."""
        wanted = [need.split(".") for need in self.needs]
        return all(table in data.tables and column in data.tables[table] for table, column in wanted)

    def found(self, cases: pd.DataFrame) -> list[object]:
        """Return count, first case and messages."""
        first = first_case(cases, 0, self.column)
        words = {"count": len(cases), "first": first}
        return [len(cases), first, self.en.format(**words), self.zh.format(**words)]


RULES: list[Rule] = []


def rule(
    *needs: str, en: str, zh: str, severity: str = "warning"
) -> Callable[[Callable[[Now], pd.DataFrame]], Callable[[Now], pd.DataFrame]]:
    """Declare the function below as a rule; it is called what the rule is called."""

    def declare(cases: Callable[[Now], pd.DataFrame]) -> Callable[[Now], pd.DataFrame]:
        """Keep the rule and return its function as it is."""
        RULES.append(Rule(cases.__name__.strip("_"), cases, needs, en, zh, severity))
        return cases

    return declare


# Inclusion: households that should be monitored but are not.


@rule(
    "water.grade",
    "households.lifted_on",
    "status.start",
    en="{count} lifted households with unsafe drinking water are not monitored (first: {first}). Visit them, or "
    "enter the repair.",
    zh="{count} 户脱贫户饮水不安全但未纳入监测(首例:{first})。请入户核实,或补录整改情况。",
)
def _unsafe_water_not_monitored(now: Now) -> pd.DataFrame:
    water = now.last("water")
    return water[(water["grade"] >= 4) & water["household_id"].isin(now.lifted_not_monitored)]


@rule(
    "housing.grade",
    "households.lifted_on",
    "status.start",
    en="{count} lifted households in an unsafe house are not monitored (first: {first}). Visit them, or enter the "
    "repair.",
    zh="{count} 户脱贫户住房为 C 级或 D 级但未纳入监测(首例:{first})。请入户核实,或补录改造情况。",
)
def _unsafe_house_not_monitored(now: Now) -> pd.DataFrame:
    housing = now.last("housing")
    return housing[(housing["grade"] >= 3) & housing["household_id"].isin(now.lifted_not_monitored)]


@rule(
    "members.in_school",
    "members.birth",
    "households.lifted_on",
    "status.start",
    en="{count} children of 7 to 15 in lifted households are out of school and the household is not monitored "
    "(first: {first}). "
    "Ask the school, or correct the entry.",
    zh="脱贫户中有 {count} 名 7 至 15 岁儿童未在校且该户未纳入监测(首例:{first})。请与学校核实,或更正记录。",
)
def _out_of_school_not_monitored(now: Now) -> pd.DataFrame:
    members = now.members
    child = (members["age"] >= 7) & (members["age"] < 16) & (members["in_school"] == 0)
    return members[child & members["household_id"].isin(now.lifted_not_monitored)]


@rule(
    "members.insured",
    "members.serious",
    "households.lifted_on",
    "status.start",
    en="{count} seriously ill members of lifted households have no health insurance and the household is not "
    "monitored (first: "
    "{first}). Help them to insure, or correct the entry.",
    zh="脱贫户中有 {count} 名大病成员未参加医疗保险且该户未纳入监测(首例:{first})。请协助参保,或更正记录。",
)
def _uninsured_illness_not_monitored(now: Now) -> pd.DataFrame:
    members = now.members
    ill = (members["serious"] == 1) & (members["insured"] == 0)
    return members[ill & members["household_id"].isin(now.lifted_not_monitored)]


# Timeliness: help or entries that come late.


@rule(
    "status.start",
    "assistance.measure",
    en="{count} households were identified more than a month ago and have no measure yet (first: {first}). Agree "
    "on one, or enter it.",
    zh="{count} 户识别已超过一个月但尚无帮扶措施(首例:{first})。请落实或补录措施。",
)
def _no_measure_in_time(now: Now) -> pd.DataFrame:
    status = now.running("status")
    status = status[status["start"] < now.day - pd.DateOffset(months=1)]
    return status[~now.helped(status)]


@rule(
    "status.end",
    "status.elimination",
    en="{count} risks were marked eliminated within two months of identification (first: {first}). Check that "
    "income has been stable.",
    zh="{count} 条风险在识别后两个月内即标注消除(首例:{first})。请核实收入是否稳定。",
)
def _eliminated_too_soon(now: Now) -> pd.DataFrame:
    closed = now.closed
    soon = closed["end"] < closed["start"] + pd.DateOffset(months=2)
    return closed[soon & (closed["elimination"] != "natural")]


# Elimination: risks closed although something speaks against it.


@rule(
    "status.elimination",
    "assistance.measure",
    en="{count} risks are marked as eliminated by assistance but no measure was running (first: {first}). Enter it,"
    " or mark as natural.",
    zh="{count} 条风险标注为帮扶消除,但期间没有任何措施(首例:{first})。请补录措施,或改为自然消除。",
)
def _assisted_without_measure(now: Now) -> pd.DataFrame:
    closed = now.closed
    return closed[(closed["elimination"] == "assisted") & ~now.helped(closed)]


@rule(
    "status.end",
    en="{count} risks were marked eliminated while welfare was below the line (first: {first}). Check the income, "
    "or open the risk again.",
    zh="{count} 条风险在收入低于标准时标注消除(首例:{first})。请核实收入,或重新纳入监测。",
)
def _eliminated_below_line(now: Now) -> pd.DataFrame:
    records = welfare_records(now.data)
    records = records[records["superseded_on"].isna()]
    closed = now.closed.assign(place=np.arange(len(now.closed)))
    pairs = closed[["household_id", "end", "place"]].merge(records, on="household_id")
    months_ago = pairs["end"] - pd.DateOffset(months=now.data.welfare_months)
    pairs = pairs[(pairs["date"] <= pairs["end"]) & (pairs["date"] > months_ago)]
    weighted = (pairs["welfare"] * pairs["months"]).groupby(pairs["place"]).sum()
    welfare = weighted / pairs["months"].groupby(pairs["place"]).sum()
    return closed[closed["place"].isin(welfare.index[welfare < 1])].drop(columns="place")


@rule(
    "status.risk_types",
    "status.elimination",
    "assistance.measure",
    en="{count} illness or schooling risks were eliminated without a health or education measure (first: {first}). "
    "Enter it, or check.",
    zh="{count} 条因病或因学风险消除时没有相应的医疗或教育措施(首例:{first})。请补录或核实。",
)
def _eliminated_without_matching_measure(now: Now) -> pd.DataFrame:
    closed = now.closed[now.closed["elimination"] == "assisted"]
    illness = _has_cause(closed, "illness") & ~now.helped(closed, names=_HEALTH_AID)
    schooling = _has_cause(closed, "schooling") & ~now.helped(closed, names=_SCHOOL_AID)
    return closed[illness | schooling]


@rule(
    "housing.grade",
    "status.end",
    en="{count} houses were found unsafe after the household's risk was eliminated (first: {first}). Visit, and "
    "open the risk again.",
    zh="{count} 户在风险消除后住房被鉴定为不安全(首例:{first})。请入户核实并重新纳入监测。",
)
def _unsafe_house_after_elimination(now: Now) -> pd.DataFrame:
    housing = now.last("housing")
    unsafe = housing[(housing["grade"] >= 3) & ~housing["household_id"].isin(now.running("status")["household_id"])]
    return unsafe[unsafe["date"] > newest_day(now.closed, "end", unsafe["household_id"])]


@rule(
    "status.end",
    "members.labour",
    en="{count} risks of households in which nobody can work were marked eliminated (first: {first}). Such "
    "households stay monitored.",
    zh="{count} 户无劳动能力家庭被标注风险消除(首例:{first})。此类家庭应持续监测。",
)
def _eliminated_without_labour(now: Now) -> pd.DataFrame:
    nobody = now.can_work.index[now.can_work == 0]
    return now.closed[now.closed["household_id"].isin(nobody)]


# Consistency: records that contradict each other.


@rule(
    "status.risk_types",
    "members.labour",
    en="{count} households are monitored for lack of labour although half or more of the members can work (first: "
    "{first}). "
    "Correct one of the two.",
    zh="{count} 户风险类型为缺劳动力,但一半以上成员有劳动能力(首例:{first})。请更正其中一项。",
)
def _labour_risk_with_workers(now: Now) -> pd.DataFrame:
    status = now.at_risk("labour")
    return status[status["household_id"].isin(now.can_work.index[now.can_work >= 0.5])]


@rule(
    "status.risk_types",
    "members.labour",
    en="{count} households are monitored for unstable employment although nobody can work (first: {first}). "
    "Correct one of the two.",
    zh="{count} 户风险类型为务工就业不稳,但无人有劳动能力(首例:{first})。请更正其中一项。",
)
def _employment_risk_without_workers(now: Now) -> pd.DataFrame:
    status = now.at_risk("employment")
    return status[status["household_id"].isin(now.can_work.index[now.can_work == 0])]


@rule(
    "status.risk_types",
    "medical.out_of_pocket",
    en="{count} households are monitored for illness without any out-of-pocket cost since a year before (first: "
    "{first}). Enter the bills.",
    zh="{count} 户因病监测,但识别前一年以来没有自付医疗费用(首例:{first})。请补录医疗支出。",
)
def _illness_risk_without_cost(now: Now) -> pd.DataFrame:
    medical = now["medical"]
    return _nothing_since(now.at_risk("illness"), medical[medical["out_of_pocket"] > 0])


@rule(
    "status.risk_types",
    "disasters.kind",
    en="{count} households are monitored for a natural disaster that is not in the table disasters (first: {first})"
    ". Enter what struck.",
    zh="{count} 户因自然灾害监测,但灾害表中没有记录(首例:{first})。请补录灾害。",
)
def _disaster_risk_without_disaster(now: Now) -> pd.DataFrame:
    return _nothing_since(now.at_risk("disaster"), now["disasters"])


@rule(
    "disasters.kind",
    en="{count} disasters are of the kind 'other' (first: {first}). Say what struck: the cause depends on it.",
    zh="{count} 条灾害记录类型为“other”(首例:{first})。请写明灾害类型,原因判断以此为据。",
    severity="note",
)
def _disaster_without_type(now: Now) -> pd.DataFrame:
    return now["disasters"][now["disasters"]["kind"] == "other"]


@rule(
    "employment.public_post",
    "members.birth",
    en="{count} public-service posts are held by somebody under 16 or over 70 (first: {first}). Check the age and "
    "the post.",
    zh="{count} 个公益性岗位由 16 岁以下或 70 岁以上人员担任(首例:{first})。请核实年龄与岗位。",
)
def _public_post_at_wrong_age(now: Now) -> pd.DataFrame:
    jobs = _joined(now.running("employment"), now["members"], "birth")
    age = years(jobs["birth"], now.day)
    return jobs[(jobs["public_post"] == 1) & ((age < 16) | (age >= 71))]


@rule(
    "employment.away",
    "members.in_school",
    en="{count} migrant jobs are held by somebody who attends school (first: {first}). Correct one of the two.",
    zh="{count} 名在校成员登记有外出务工(首例:{first})。请更正其中一项。",
)
def _pupil_with_migrant_job(now: Now) -> pd.DataFrame:
    jobs = _joined(now.running("employment"), now.members, "in_school")
    return jobs[(jobs["away"] == 1) & (jobs["in_school"] == 1)]


@rule(
    "employment.end",
    "employment.away",
    en="{count} migrant jobs have no end although the same person began another one later (first: {first}). Enter "
    "when they ended.",
    zh="{count} 条外出务工记录没有结束日期,但同一人之后又有新的外出务工(首例:{first})。请补录结束日期。",
)
def _migrant_job_without_end(now: Now) -> pd.DataFrame:
    away = now["employment"][now["employment"]["away"] == 1]
    return away[away["end"].isna() & away.duplicated(["household_id", "member_id"], keep="last")]


@rule(
    "employment.member_id",
    "members.end",
    en="{count} jobs run on although the person has left the household (first: {first}). Enter the end of the job.",
    zh="{count} 条就业记录仍在进行,但该成员已离开家庭(首例:{first})。请补录就业结束日期。",
)
def _job_of_somebody_who_left(now: Now) -> pd.DataFrame:
    jobs = _joined(now.running("employment"), now["members"].rename(columns={"end": "gone"}), "gone")
    return jobs[jobs["gone"] <= now.day]


@rule(
    "assistance.measure",
    "incomes.wage",
    en="{count} households have a running job measure but no wage in the last year (first: {first}). Check whether "
    "the job was taken up.",
    zh="{count} 户享受就业帮扶,但近一年没有工资性收入(首例:{first})。请核实是否上岗。",
)
def _job_aid_without_wage(now: Now) -> pd.DataFrame:
    return _aid_without(now, _JOB_AID, "wage")


@rule(
    "assistance.measure",
    "incomes.business",
    en="{count} households have a running production measure but no business income in the last year (first: "
    "{first}). "
    "Check what became of it.",
    zh="{count} 户享受产业帮扶,但近一年没有经营性收入(首例:{first})。请核实产业情况。",
)
def _production_aid_without_business(now: Now) -> pd.DataFrame:
    return _aid_without(now, _FARM_AID, "business")


@rule(
    "status.start",
    en="{count} households have two open monitoring categories (first: {first}). Close one.",
    zh="{count} 户同时有两个未结束的监测类别(首例:{first})。请结束其中一个。",
)
def _monitored_twice(now: Now) -> pd.DataFrame:
    status = now.running("status")
    return status[status.duplicated("household_id")]


def _has_cause(status: pd.DataFrame, cause: str) -> pd.Series:
    return (";" + status["risk_types"] + ";").str.contains(f";{cause};", regex=False)


def _named(measures: pd.Series, parts: tuple[str, ...]) -> pd.Series:
    return measures.str.lower().str.replace("_", " ").str.contains("|".join(parts))


def years(birth: pd.Series, day: pd.Timestamp) -> pd.Series:
    """Return ages in years on a day, NaN where the date of birth is missing."""
    return (day - birth).dt.days / 365.25


def newest_day(frame: pd.DataFrame, column: str, household_id: pd.Series) -> pd.Series:
    """Return the newest ``column`` of each household asked for, NaT where it has none."""
    newest = frame.groupby("household_id")[column].max()
    return newest.reindex(household_id).set_axis(household_id.index)


def _joined(frame: pd.DataFrame, members: pd.DataFrame, column: str) -> pd.DataFrame:
    return frame.merge(members[["household_id", "member_id", column]], on=["household_id", "member_id"])


def _nothing_since(status: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Rows of status without an event of the household since a year before identification."""
    newest = newest_day(events, "date", status["household_id"])
    return status[~(newest >= status["start"] - pd.DateOffset(years=1))]


def _aid_without(now: Now, parts: tuple[str, ...], source: str) -> pd.DataFrame:
    """Return running measures so named, over three months old, of households without income of the source."""
    aid = now.running("assistance")
    aid = aid[_named(aid["measure"], parts) & (aid["start"] < now.day - pd.DateOffset(months=3))]
    incomes = now["incomes"][now["incomes"]["date"] >= now.day - pd.DateOffset(months=12)]
    largest = aid["household_id"].map(incomes.groupby("household_id")[source].max())
    return aid[aid["household_id"].isin(incomes["household_id"]) & ~(largest > 0)]
