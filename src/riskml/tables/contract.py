"""The tables a district has, as data: which columns, of what kind and unit, and what they mean.

Every row of a monitoring table is one *version* of a record. Rows with the same key replace one
another: from the day a version is known (strictly after its ``known_on``) it stands in place of the
version before it. A version with ``withdrawn`` set takes the record back. So late entries,
corrections, spells whose end is learned later and changing rosters are all the same thing, and one
rule (``known_on < as_of_date <= known_on of the next version``) says what existed for a date.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ColumnKind = Literal["id", "text", "date", "amount", "number", "flag", "code"]
TableKind = Literal["registry", "roster", "event", "snapshot", "spell", "lines"]


@dataclass(frozen=True)
class Column:
    """A column of a monitoring table.

    ``amount`` is money in the currency of the lines (or the unit of a score) and is divided by the line
    before it becomes a feature; ``number`` is any other number; ``flag`` is 0/1; ``code`` is an ordered
    whole number; ``id`` is text that is never read as a number. ``positive`` asks for values above zero.
    """

    name: str
    kind: ColumnKind
    meaning: str
    unit: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    positive: bool = False


@dataclass(frozen=True)
class Table:
    """A monitoring table: its kind, the key that makes two rows versions of one record, its columns.

    Kinds: ``registry`` (one record a household), ``roster`` (people, latest known state), ``event``
    (something that happened on ``date``), ``snapshot`` (what a check found on ``date``; the newest
    counts), ``spell`` (from ``start`` to ``end``; an empty end is open), ``lines`` (poverty lines).
    Columns beyond the contract are kept when numeric, so that features of one's own can use them.
    """

    name: str
    kind: TableKind
    key: tuple[str, ...]
    meaning: str
    columns: tuple[Column, ...]
    required: bool = False
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})


_HOUSEHOLD = Column("household_id", "id", "the household", required=True)
_KNOWN = Column("known_on", "date", "day the office learned of this version of the record", required=True)
_WITHDRAWN = Column("withdrawn", "flag", "1: the record with this key was a mistake and is taken back")
_END_KNOWN = Column(
    "end_known_on", "date", "day the office learned of the end, when later than known_on; read as a second version"
)


def _dated(what: str) -> tuple[Column, ...]:
    return _HOUSEHOLD, Column("date", "date", what, required=True), _KNOWN, _WITHDRAWN


def _spell(first: str, last: str) -> tuple[Column, ...]:
    return (
        _HOUSEHOLD,
        Column("start", "date", first, required=True),
        Column("end", "date", f"{last}; empty while it lasts"),
        _KNOWN,
        _END_KNOWN,
        _WITHDRAWN,
    )


_MEMBER = Column("member_id", "id", "the person; unique within the household")
_RECORD = Column("record_id", "id", "the record; unique within the household", required=True)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "households",
            "registry",
            ("household_id",),
            "the households the office watches",
            (
                _HOUSEHOLD,
                Column(
                    "area_id", "id", "where it lives: hierarchical code, a prefix is the larger area", required=True
                ),
                Column(
                    "known_on", "date", "day the household was registered, or this version was entered", required=True
                ),
                Column(
                    "lifted_on",
                    "date",
                    "day it was recorded as lifted out of poverty; empty if never registered as poor",
                ),
                Column("left_on", "date", "day it moved away or died out; from then on it is not observed"),
                Column("weight", "number", "survey weight", "households", minimum=0),
                _WITHDRAWN,
            ),
            required=True,
        ),
        Table(
            "members",
            "roster",
            ("household_id", "member_id"),
            "the people who live together and share income; the newest version is a person's state",
            (
                *_spell("day the person joined the household", "day the person left or died"),
                Column("member_id", "id", "the person; unique within the household", required=True),
                Column("birth", "date", "date of birth"),
                Column("sex", "text", "sex", choices=("f", "m")),
                Column("head", "flag", "head of the household"),
                Column("disability", "flag", "has a recognised disability"),
                Column("chronic", "flag", "has a chronic illness"),
                Column("serious", "flag", "has a serious illness"),
                Column("insured", "flag", "has health insurance"),
                Column("in_school", "flag", "attends school or training"),
                Column(
                    "education",
                    "code",
                    "0 none, 1 primary not finished, 2 primary, 3 lower secondary not finished, 4 lower secondary, "
                    "5 upper secondary, 6 higher",
                    minimum=0,
                    maximum=6,
                ),
                Column("labour", "code", "ability to work: 0 none, 1 weak, 2 full", minimum=0, maximum=2),
            ),
        ),
        Table(
            "incomes",
            "event",
            ("household_id", "date"),
            "income of the whole household over a period, by source; net income decides who is below the line",
            (
                *_dated("last day of the period"),
                Column("months", "number", "length of the period", "months", required=True, positive=True),
                Column("wage", "amount", "wages and salaries", "currency per period"),
                Column("business", "amount", "farming and own business, before costs", "currency per period"),
                Column("property", "amount", "rent, interest, dividends, land shares", "currency per period"),
                Column(
                    "transfers",
                    "amount",
                    "public transfers: social assistance, subsidies, allowances",
                    "currency per period",
                ),
                Column(
                    "private",
                    "amount",
                    "pensions earned, remittances and other private transfers",
                    "currency per period",
                ),
                Column("expenses", "amount", "costs of farming and business", "currency per period"),
                Column("total", "amount", "net income; if empty, the sources less expenses", "currency per period"),
                Column(
                    "units",
                    "number",
                    "persons or adult equivalents who share it; if empty, the members known when it was entered",
                    "persons",
                    positive=True,
                ),
            ),
        ),
        Table(
            "welfare",
            "event",
            ("household_id", "date"),
            "welfare measured otherwise than as income: consumption, or a score; decides if present",
            (
                *_dated("day of the measurement, or last day of the period"),
                Column(
                    "months", "number", "length of the period; 1 for a score", "months", required=True, positive=True
                ),
                Column(
                    "value", "amount", "consumption in the currency of the lines, or a score in theirs", required=True
                ),
                Column(
                    "units",
                    "number",
                    "persons or adult equivalents who share it; 1 for a score",
                    "persons",
                    positive=True,
                ),
            ),
        ),
        Table(
            "medical",
            "event",
            ("household_id", "record_id"),
            "medical bills",
            (
                *_dated("day of treatment or of the bill"),
                _RECORD,
                _MEMBER,
                Column("cost", "amount", "whole cost", "currency", minimum=0),
                Column(
                    "out_of_pocket", "amount", "what the household paid itself", "currency", required=True, minimum=0
                ),
                Column("serious", "flag", "a serious illness"),
            ),
        ),
        Table(
            "schooling",
            "event",
            ("household_id", "member_id", "date"),
            "school terms of the children: enrolment, drop-out, cost",
            (
                *_dated("day of the term's registration"),
                Column("member_id", "id", "the pupil", required=True),
                Column(
                    "stage",
                    "code",
                    "0 pre-school, 1 primary, 2 lower secondary, 3 upper secondary, 4 higher",
                    minimum=0,
                    maximum=4,
                ),
                Column("enrolled", "flag", "enrolled that term"),
                Column("dropped_out", "flag", "left school before finishing compulsory education"),
                Column("cost", "amount", "what the household pays", "currency", minimum=0),
            ),
        ),
        Table(
            "housing",
            "snapshot",
            ("household_id", "date"),
            "checks of the dwelling",
            (
                *_dated("day of the check"),
                Column(
                    "grade", "code", "1 safe (A), 2 (B), 3 partly unsafe (C), 4 dangerous (D)", minimum=1, maximum=4
                ),
                Column("rooms", "number", "rooms for living", "rooms", minimum=0),
                Column("hazard", "flag", "in a place prone to flood, landslide or dumping"),
            ),
        ),
        Table(
            "water",
            "snapshot",
            ("household_id", "date"),
            "checks of the drinking water",
            (
                *_dated("day of the check"),
                Column("grade", "code", "1 safe and piped, 2 safe, 3 short or far, 4 unsafe", minimum=1, maximum=4),
            ),
        ),
        Table(
            "employment",
            "spell",
            ("household_id", "member_id", "start"),
            "jobs of the members",
            (
                *_spell("first day of the job", "last day of the job"),
                Column("member_id", "id", "the worker", required=True),
                Column("away", "flag", "works away from home (migrant job)"),
                Column("wage", "amount", "pay", "currency per month", minimum=0),
                Column("public_post", "flag", "public-service post"),
                Column("informal", "flag", "no contract or pension contribution"),
                Column("self_employed", "flag", "works on own account"),
                Column("hours", "number", "hours a week", "hours", minimum=0),
            ),
        ),
        Table(
            "production",
            "event",
            ("household_id", "record_id"),
            "farming and business: losses and price shocks",
            (
                *_dated("day of the loss or of the price report"),
                _RECORD,
                Column("kind", "text", "crop, livestock, business or what the office calls it"),
                Column("loss", "amount", "value lost", "currency", minimum=0),
                Column(
                    "price_change",
                    "number",
                    "change of the selling price against a year before, -0.5 = halved",
                    "share",
                ),
            ),
        ),
        Table(
            "disasters",
            "event",
            ("household_id", "area_id", "record_id"),
            "disasters and accidents, of a household or of a whole area (one of household_id and area_id is filled)",
            (
                Column("household_id", "id", "the household hit; empty for an area"),
                Column("area_id", "id", "the area hit, every household in it; empty for one household"),
                Column("date", "date", "day it struck", required=True),
                _KNOWN,
                _WITHDRAWN,
                Column("record_id", "id", "the record", required=True),
                Column(
                    "kind",
                    "text",
                    "what struck; fire, traffic and accident are accidents, the rest natural disasters",
                    required=True,
                    choices=(
                        "flood",
                        "drought",
                        "storm",
                        "hail",
                        "frost",
                        "landslide",
                        "earthquake",
                        "pest",
                        "epidemic",
                        "fire",
                        "traffic",
                        "accident",
                        "other",
                    ),
                ),
                Column("severity", "code", "1 light, 2 serious, 3 severe", minimum=0, maximum=3),
                Column("loss", "amount", "value lost by the household", "currency", minimum=0),
            ),
        ),
        Table(
            "assistance",
            "spell",
            ("household_id", "record_id"),
            "help the household receives; a single payment is a spell of one month",
            (
                *_spell("first day of the support", "last day of the support, also when planned ahead"),
                _RECORD,
                Column("measure", "text", "name of the measure", required=True),
                Column("amount", "amount", "value of the support", "currency per month", minimum=0),
            ),
        ),
        Table(
            "visits",
            "event",
            ("household_id", "date"),
            "visits of officers and own declarations",
            (
                *_dated("day of the visit or declaration"),
                Column("declared", "flag", "the household declared itself at risk"),
                Column("concern", "code", "the officer's judgement: 0 none, 1 some, 2 serious", minimum=0, maximum=2),
            ),
        ),
        Table(
            "status",
            "spell",
            ("household_id", "start"),
            "official monitoring category, from identification to risk elimination",
            (
                *_spell("day of identification", "day of risk elimination"),
                Column(
                    "category",
                    "text",
                    "unstable lifted household, marginal household, household in sudden severe difficulty",
                    required=True,
                    choices=("unstable", "marginal", "sudden"),
                ),
                Column("risk_types", "text", "official risk types as causes, joined by ';'"),
                Column("elimination", "text", "how the risk ended", choices=("assisted", "natural", "left")),
            ),
        ),
        Table(
            "coping",
            "snapshot",
            ("household_id", "date"),
            "what the household did to get by in the last months, as told at a visit",
            (
                *_dated("day of the visit"),
                Column("spent_savings", "flag", "spent savings"),
                Column("borrowed_family", "flag", "borrowed from family or friends"),
                Column("borrowed_bank", "flag", "borrowed from a bank or lender"),
                Column("bought_on_credit", "flag", "bought on credit or by instalments"),
                Column("sold_belongings", "flag", "sold belongings"),
                Column("children_worked", "flag", "children helped with money through work"),
            ),
        ),
        Table(
            "traits",
            "snapshot",
            ("household_id", "date"),
            "further household characteristics observed at a visit: any numeric columns, described in monitoring.toml",
            _dated("day of the visit"),
        ),
        Table(
            "lines",
            "lines",
            ("area_id", "valid_from"),
            "poverty lines: for an area (and all areas below it) from a day on",
            (
                Column(
                    "area_id", "id", "area the line holds for; empty for everywhere; the longest matching prefix counts"
                ),
                Column("valid_from", "date", "first day", required=True),
                Column("valid_to", "date", "last day; empty until the next line"),
                Column("known_on", "date", "day it was published; if empty, known when it takes effect"),
                Column("amount", "number", "the line", "see unit", required=True, positive=True),
                Column(
                    "unit",
                    "text",
                    "what the amount is for: one person (or adult equivalent) and a year, month or day; or a score",
                    required=True,
                    choices=("person_year", "person_month", "person_day", "score"),
                ),
                Column("basis", "text", "national, provincial, international, relative, or as the office calls it"),
                Column("source", "text", "where the line was published"),
            ),
            required=True,
        ),
    )
}

#: Kinds of event in ``disasters`` that are accidents of one household, not natural disasters.
ACCIDENTS = ("fire", "traffic", "accident")

#: Names of the kinds of help that ``assistance.measure`` and the table of measures use. Other names are
#: allowed; these are the ones the standard features count one by one, in groups.
MEASURES: dict[str, tuple[str, ...]] = {
    "cash": ("minimum_income_guarantee", "social_assistance", "temporary_relief", "disability_subsidy"),
    "health": ("health_assistance",),
    "education": ("education_grant", "return_to_school"),
    "housing": ("housing_repair", "relocation"),
    "water": ("water_works",),
    "disaster": ("disaster_relief", "rebuilding"),
    "production": (
        *("production_grant", "production_support", "micro_credit", "insurance", "technical_support"),
        "sales_channels",
    ),
    "job": ("job_placement", "vocational_training", "travel_subsidy", "public_service_post"),
    "care": ("elderly_care",),
}


def as_markdown() -> str:
    """Return the tables of the contract as Markdown, one section a table, for ``docs/data-contract.md``.

    Examples
    --------
    >>> as_markdown().splitlines()[0]
    '### `households` (required)'
    """
    parts = []
    for table in TABLES.values():
        parts += [f"### `{table.name}`{' (required)' if table.required else ''}", ""]
        key = ", ".join(f"`{name}`" for name in table.key)
        parts += [f"{table.meaning[0].upper()}{table.meaning[1:]}. Kind: {table.kind}. Key: {key}.", ""]
        parts += ["| column | kind | required | unit | meaning |", "|---|---|---|---|---|"]
        for column in table.columns:
            required = "yes" if column.required else ""
            parts.append(f"| `{column.name}` | {column.kind} | {required} | {column.unit} | {_limits(column)} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _limits(column: Column) -> str:
    """Return the meaning of a column with the values it may have."""
    words = [column.meaning]
    if column.choices:
        words.append("one of " + ", ".join(f"`{choice}`" for choice in column.choices))
    if column.positive:
        words.append("above 0")
    if column.minimum is not None and column.kind != "code":
        words.append(f"at least {column.minimum:g}")
    return "; ".join(words)
