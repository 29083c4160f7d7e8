"""Argentina's permanent household survey (EPH) as monitoring tables: a rotating panel with official poverty lines.

A household of the EPH is visited in quarters q, q+1, q+4 and q+5. Each visit becomes records dated and known on the
last day of its quarter, so the first day of the next quarter is the as-of date that sees it. Income is that of one
month; the household's welfare is its income over the regional line (``CBT``, the total basket per adult equivalent
and month) times its adult equivalents.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.datasets import eph_traits
from riskml.datasets.eph_files import (
    EQUIVALENCE_COLUMNS,
    KEY,
    LINE_COLUMNS,
    read_small_table,
    read_survey,
    refused_finding,
)
from riskml.datasets.visits import visit_spells
from riskml.findings import DataRefused
from riskml.tables.monitoring import Monitoring

#: INDEC's levels: 1 primary incomplete, 2 primary, 3 secondary incomplete, 4 secondary, 5 university incomplete, 6
#: university, 7 none. The contract counts the highest level finished above secondary.
#: What the files do not say, in English and Chinese; the card of a model learned from them repeats it.
_ASSUMED_KNOWN = (
    "All tables: the files say only the quarter of an interview; its answers are assumed known on the quarter's last "
    "day. Readers of the published files had them some months later.",
    "所有数据表：文件只给出访问所在的季度，假定其内容于该季度最后一日得知；公开文件的读者要晚几个月才能看到。",
)
_EDUCATION = {7: 0.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 5.0, 5: 5.0, 6: 6.0}
#: Question of the household questionnaire -> measure. The answer 2 closes the support, no answer (9) does not.
_MEASURES = {"V5": "social_assistance", "V6": "goods", "V11": "education_grant", "V4": "unemployment_benefit"}
_COPING = {
    "V13": "spent_savings",
    "V14": "borrowed_family",
    "V15": "borrowed_bank",
    "V16": "bought_on_credit",
    "V17": "sold_belongings",
    "V19_A": "children_worked",
    "V19_B": "children_begged",
}


def load_eph(folder: str | Path) -> Monitoring:
    """Read the EPH of Argentina's statistics office (INDEC) as monitoring tables.

    What a visit found is dated and known on the last day of its quarter; ask on the first day of the next
    one (``"2019-01-01"`` sees the visits of 2018Q4), a year ahead with ``horizon_months=12``, a quarter
    ahead with 3. Quarters without a line in ``poverty_lines.csv`` are left out, and ``notes`` says which.

    Parameters
    ----------
    folder : str or Path
        Holds ``poverty_lines.csv`` (``REGION, ANO4, TRIMESTRE, CBT``: pesos per adult equivalent and month),
        ``adult_equivalence.csv`` (``CH04, CH06, adequi``: sex, age, units; age -1 is under one year) and either
        ``households.parquet`` and ``individuals.parquet`` or, there or in subfolders, INDEC's own files, a pair a
        quarter: ``usu_hogar_T<q><yy>.txt`` and ``usu_individual_T<q><yy>.txt`` (``;`` between the cells, point or
        comma as decimal mark, UTF-8 or Latin-1). Columns that a quarter lacks are missing, and ``notes`` says which.

    Returns
    -------
    Monitoring
        Judged on one month's income (``welfare_months=1``, ``max_age_months=1``, ``least_covered`` two months of
        twelve). ``household_id`` is
        ``CODUSU-NRO_HOGAR``, ``area_id`` region and agglomeration (two digits each). Tables:

        - ``incomes``: pesos of one month, a row for each visit whose income was answered (``PONDIH`` above 0); a
          visit without answer has none, so it is missing and never zero. ``units`` are adult equivalents, ``weight``
          is ``PONDIH``. Wages hold what second jobs pay; ``private`` all income that is neither work nor state
          support.
        - ``households``: one version a visit, with its survey weight (``PONDERA``).
        - ``members``, ``employment``, ``assistance``: running from the first visit that saw them until the first that
          did not. ``birth`` is the middle of the year that the age leaves open. Disability is known only of those who
          are not in the labour force because of it.
        - ``schooling``, ``housing``, ``water``, ``coping`` and ``traits``: what each visit found; NaN where it got no
          answer.
        - ``lines``: by region and quarter, known on the last day of the quarter.

    Raises
    ------
    FileNotFoundError
        If the folder lacks one of the files.
    DataRefused
        If a file is one half of a pair, is there twice, cannot be read, lacks a column or a cell without which
        nothing can be judged, or holds text for a number; if the halves do not fit each other; or if the tables break
        the contract.

    Notes
    -----
    A household is a dwelling slot: in about one pair of visits a year apart in eight another family lives there.
    Interviews of 2020 were held by phone. The survey is urban. Credit "INDEC, Encuesta Permanente de Hogares".

    References
    ----------
    INDEC, "Encuesta Permanente de Hogares: diseño de registro y estructura para las bases preliminares"; INDEC
    (2016), "La medición de la pobreza y la indigencia en la Argentina", Metodología 22 (the housing grades follow
    its quality of materials).

    Examples
    --------
    >>> load_eph("no such folder")
    Traceback (most recent call last):
    FileNotFoundError: no such folder/poverty_lines.csv is missing; load_eph needs ...
    """
    tables, notes = _tables(Path(folder))
    return Monitoring(
        tables,
        welfare_months=1,
        max_age_months=1,
        least_covered=2 / 12,  # the rotation meets a household twice in the year ahead, for a month's income each
        assumptions=(_ASSUMED_KNOWN,),
        features=eph_traits.features(),
        notes=notes,
    )


def _tables(folder: Path) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Return the tables and notes; the raw survey, as large again, is let go of here."""
    lines = read_small_table(folder / "poverty_lines.csv", LINE_COLUMNS)
    equivalence = read_small_table(folder / "adult_equivalence.csv", EQUIVALENCE_COLUMNS)
    hogar, individual, absent = read_survey(folder)
    visits, left_out, notes = _visits(hogar, lines)
    people = _people(individual, visits, left_out, equivalence)
    tables = {
        "households": visits[["household_id", "area_id", "known_on"]].assign(weight=visits["PONDERA"]),
        "members": _members(people, visits),
        "incomes": _incomes(people, visits),
        "employment": _employment(people, visits),
        "schooling": _schooling(people, visits),
        "assistance": _assistance(people, visits),
        "housing": _housing(visits),
        "water": _water(visits),
        "coping": _dated(visits).assign(**{name: eph_traits.yes(visits[code]) for code, name in _COPING.items()}),
        "traits": pd.concat([_dated(visits), eph_traits.traits(visits, people)], axis=1),
        "lines": _lines(lines),
    }
    return tables, (*notes, *absent)


def _visits(hogar: pd.DataFrame, lines: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Return one row a visit with a line, in the order of household and date; the visits without; and notes.

    ``order`` counts a household's visits from 0.
    """
    quarter = hogar["ANO4"].astype(int) * 4 + hogar["TRIMESTRE"].astype(int) - 1
    amounts = lines.assign(quarter=lines["ANO4"] * 4 + lines["TRIMESTRE"] - 1, line=lines["CBT"])
    visits = hogar.assign(quarter=quarter).merge(amounts[["REGION", "quarter", "line"]], how="left")
    left_out = visits[visits["line"].isna()]
    visits = visits[visits["line"].notna()]
    visits = visits.assign(household_id=visits["CODUSU"] + "-" + visits["NRO_HOGAR"].astype(int).astype(str))
    visits = visits.sort_values(["household_id", "quarter"], ignore_index=True)
    visits["start"] = _quarter_start(visits["quarter"])
    visits["known_on"] = _quarter_start(visits["quarter"] + 1) - pd.Timedelta(days=1)
    visits["area_id"] = _code(visits["REGION"]) + _code(visits["AGLOMERADO"])
    visits["answered"] = (visits["PONDIH"] > 0) & (visits["ITF"] >= 0)
    visits["order"] = visits.groupby("household_id", sort=False).cumcount()
    notes = [
        f"{int(str(number)) // 4}Q{int(str(number)) % 4 + 1}: {count} visits left out, "
        "poverty_lines.csv has no line for them"
        for number, count in left_out["quarter"].value_counts().sort_index().items()
    ]
    return visits, left_out, ("INDEC, Encuesta Permanente de Hogares", *notes)


def _quarter_start(quarter: pd.Series) -> pd.Series:
    """Return the first day of quarters counted from the year 0."""
    months = (quarter.to_numpy() - 1970 * 4) * 3
    return pd.Series(months.astype("datetime64[M]").astype("datetime64[s]"), index=quarter.index)


def _code(number: pd.Series) -> pd.Series:
    return number.astype(int).astype(str).str.zfill(2)


def _people(
    individual: pd.DataFrame, visits: pd.DataFrame, left_out: pd.DataFrame, equivalence: pd.DataFrame
) -> pd.DataFrame:
    """Return one row a person and visit, in the order of person and visit; ``visit`` is the row of ``visits``.

    Amounts below zero are INDEC's codes of a refused answer, hence missing.
    """
    position = visits[KEY].assign(visit=np.arange(len(visits)))
    visit = individual[KEY].merge(position, on=KEY, how="left")["visit"]
    _refuse_unpaired(individual.loc[visit.isna(), KEY], visit.dropna(), visits, left_out)
    people = individual.drop(columns=KEY).assign(visit=visit)[visit.notna()].astype({"visit": np.int64})
    people = people.merge(equivalence, on=["CH04", "CH06"], how="left").rename(columns={"adequi": "units"})
    unknown = people["units"].isna()
    if unknown.any():
        first = people.loc[unknown, ["CH04", "CH06"]].iloc[0]
        words = f"CH04 {first['CH04']:g}, CH06 {first['CH06']:g}"
        raise DataRefused(
            [refused_finding("no_equivalence", "adult_equivalence.csv", count=int(unknown.sum()), first=words)]
        )
    for column in ("P21", "P47T", "T_VI", "V2_M", "V5_M"):
        people[column] = people[column].where(people[column] >= 0)
    people["household"] = visits["order"].eq(0).cumsum().to_numpy()[people["visit"]]
    people["age"] = people["CH06"].clip(lower=0)
    return people.sort_values(["household", "COMPONENTE", "visit"], ignore_index=True)


def _refuse_unpaired(homeless: pd.DataFrame, visit: pd.Series, visits: pd.DataFrame, left_out: pd.DataFrame) -> None:
    """Refuse persons without a household and households without a person: a file was cut short."""
    lost = homeless.merge(left_out[KEY], how="left", indicator=True).query("_merge == 'left_only'")
    empty = visits[~visits.index.isin(visit)]
    findings = []
    for half, rows, what in (
        ("individual", lost, "persons have no household"),
        ("hogar", empty, "households no person"),
    ):
        if len(rows):
            visit = rows.iloc[0]
            first = (
                f"CODUSU {visit['CODUSU']}, NRO_HOGAR {visit['NRO_HOGAR']:g}, {visit['ANO4']:g}Q{visit['TRIMESTRE']:g}"
            )
            findings.append(refused_finding("not_in_both_halves", half, column=what, count=len(rows), first=first))
    if findings:
        raise DataRefused(findings)


def _dated(visits: pd.DataFrame) -> pd.DataFrame:
    return visits[["household_id", "known_on"]].assign(date=visits["known_on"])


def _person_number(people: pd.DataFrame) -> NDArray[np.int64]:
    """Return one number a person of a household, the same at all visits."""
    return (people["household"] * 100 + people["COMPONENTE"].astype(int)).to_numpy()


def _members(people: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    working_age = (people["age"] >= 15) & (people["age"] < 65)
    disabled = people["CAT_INAC"] == 6
    old_at_work = (people["age"] >= 65) & (people["ESTADO"] == 1)
    seen = pd.DataFrame(
        {
            "key": _person_number(people),
            "visit": people["visit"],
            "member_id": _member_id(people),
            "birth": _birth(people, visits),
            "sex": np.where(people["CH04"] == 1, "m", "f"),
            "head": (people["CH03"] == 1).astype(float),
            "disability": disabled.astype(float).where(people["CAT_INAC"].notna()),
            "insured": (people["CH08"] != 4).astype(float).where(people["CH08"].between(1, 8) | (people["CH08"] > 9)),
            "in_school": (people["CH10"] == 1).astype(float).where(people["CH10"].between(0, 3)),
            "education": people["NIVEL_ED"].map(_EDUCATION),
            "labour": np.select([disabled, working_age, old_at_work], [0.0, 2.0, 1.0], 0.0),
        }
    )
    members = visit_spells(seen, visits)
    # When those found at the first visit joined was not asked; since birth makes nobody look newly arrived.
    first = visits.groupby("household_id")["start"].first().reindex(members["household_id"]).to_numpy()
    return members.assign(start=members["start"].mask(members["start"] == first, members["birth"]))


def _member_id(people: pd.DataFrame) -> pd.Series:
    return people["COMPONENTE"].astype(int).astype(str)


def _birth(people: pd.DataFrame, visits: pd.DataFrame) -> NDArray[np.datetime64]:
    """Return the middle of the year in which a person of that age at that visit was born."""
    month = visits["start"].to_numpy()[people["visit"]].astype("datetime64[M]") + 2
    born = month - (people["age"].to_numpy().astype(int) * 12 + 6)
    return born.astype("datetime64[s]")


def _incomes(people: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return the income of the visits that answered it, by source; a source with a refused answer is missing."""
    own_account = people["CAT_OCUP"].isin([1, 2])
    sources = {
        "business": people["P21"].where(own_account, 0.0),
        "wage": people["P47T"] - people["T_VI"] - people["P21"].where(own_account, 0.0),
        "transfers": people["V5_M"],
        "private": people["T_VI"] - people["V5_M"],
        "units": people["units"],
    }
    amounts = {name: _sum_of_all(part.to_numpy(), people["visit"].to_numpy(), visits) for name, part in sources.items()}
    incomes = _dated(visits).assign(months=1.0, total=visits["ITF"], weight=visits["PONDIH"], **amounts)
    return incomes[visits["answered"]]


def _sum_of_all(values: NDArray[np.float64], visit: NDArray[np.int64], visits: pd.DataFrame) -> NDArray[np.float64]:
    """Return the sum over each visit's people; NaN where one of them is missing."""
    return np.bincount(visit, weights=values, minlength=len(visits)).astype(np.float64)


def _employment(people: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return the main job of every member at work; ``wage`` is what it pays, on own account too.

    Who was not interviewed in person (``ESTADO`` 0) is taken to have kept the job of the visit before.
    """
    state, person = people["ESTADO"], pd.Series(_person_number(people), index=people.index)
    not_asked = (state == 0) & (state.shift() == 1) & (person == person.shift())
    at_work = people[(state == 1) | not_asked].reset_index(drop=True)
    asked = at_work["ESTADO"] == 1
    seen = pd.DataFrame(
        {
            "key": _person_number(at_work),
            "visit": at_work["visit"],
            "member_id": _member_id(at_work),
            "wage": at_work["P21"].where(asked),
            "informal": (at_work["PP07H"] == 2).astype(float).where(at_work["PP07H"].isin([1, 2])),
            "self_employed": at_work["CAT_OCUP"].isin([1, 2]).astype(float).where(asked),
            "hours": at_work["PP3E_TOT"].where(at_work["PP3E_TOT"] < 168),
        }
    )
    return _up_to_the_day_before(visit_spells(seen, visits))


def _up_to_the_day_before(spells: pd.DataFrame) -> pd.DataFrame:
    """Return jobs or support whose ``end`` is their last day: they were over when a visit did not find them."""
    return spells.assign(end=spells["end"] - pd.Timedelta(days=1))


def _schooling(people: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return enrolment of children from 5 to 17, the ages of compulsory school."""
    known = people["CH10"].isin([1, 2, 3])
    pupils = people[known & people["age"].between(5, 17)]
    dates = _dated(visits).take(pupils["visit"].to_numpy()).reset_index(drop=True)
    age, attends = pupils["age"], pupils["CH10"]
    finished = pupils["NIVEL_ED"].isin([4, 5, 6])
    return dates.assign(
        member_id=_member_id(pupils).to_numpy(),
        stage=np.digitize(age, [6, 12, 15]).astype(float),
        enrolled=(attends == 1).to_numpy(dtype=float),
        dropped_out=((attends == 2) & ~finished).to_numpy(dtype=float),
    )


def _assistance(people: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return support that visits report; its amount (pesos a month) is known of cash only."""
    cash = _sum_of_all(people["V5_M"].to_numpy(), people["visit"].to_numpy(), visits)
    spells = []
    for code, measure in _MEASURES.items():
        answered = np.flatnonzero(visits[code].isin([1, 2]))
        asked = visits.iloc[answered].reset_index(drop=True)
        reported = np.flatnonzero(asked[code] == 1)
        household = pd.factorize(asked["household_id"])[0][reported]
        seen = pd.DataFrame({"key": household, "visit": reported, "measure": measure, "amount": np.nan})
        if code == "V5":
            amount = cash[answered[reported]]
            seen["amount"] = np.where(amount > 0, amount, np.nan)
        spells.append(visit_spells(seen, asked))
    table = _up_to_the_day_before(pd.concat(spells, ignore_index=True))
    table["record_id"] = table["measure"] + table["start"].dt.strftime("-%Y-%m")
    return table


def _housing(visits: pd.DataFrame) -> pd.DataFrame:
    """Return grades after INDEC's quality of materials: floor, roof and ceiling; hazards are flood and dump."""
    floor, roof = visits["IV3"], visits["IV4"]
    poor = (floor == 3) | (floor == 4) | roof.isin([6, 7])
    # Flats have no roof of their own to describe (9).
    closed = (visits["IV5"] == 1) | (roof == 9)
    known = floor.between(1, 4) & roof.between(1, 9) & visits["IV5"].isin([1, 2])
    grade = np.select([poor, floor == 2, ~closed], [4.0, 3.0, 2.0], 1.0)
    hazard = np.fmax(eph_traits.yes(visits["IV12_1"]), eph_traits.yes(visits["IV12_2"]))
    return _dated(visits).assign(
        grade=np.where(known, grade, np.nan),
        rooms=visits["II1"].where(visits["II1"].between(1, 30)),
        hazard=hazard,
    )


def _water(visits: pd.DataFrame) -> pd.DataFrame:
    """Return grades by where the water comes from (mains, pump, else) and how near it is tapped."""
    source, place = visits["IV7"], visits["IV6"]
    conditions = [source.isin([3, 4]), (place == 3) | ((place == 2) & (source == 2)), (place == 2) | (source == 2)]
    grade = np.select(conditions, [4.0, 3.0, 2.0], 1.0)
    return _dated(visits).assign(grade=np.where(source.between(1, 4) & place.between(1, 3), grade, np.nan))


def _lines(lines: pd.DataFrame) -> pd.DataFrame:
    quarter = lines["ANO4"].astype(int) * 4 + lines["TRIMESTRE"].astype(int) - 1
    return pd.DataFrame(
        {
            "area_id": _code(lines["REGION"]),
            "valid_from": _quarter_start(quarter),
            # The mean of a quarter's months exists when the quarter is over.
            "known_on": _quarter_start(quarter + 1) - pd.Timedelta(days=1),
            "amount": lines["CBT"],
            "unit": "person_month",
            "basis": "national",
            "source": "INDEC, canasta básica total, quarterly mean by region",
        }
    )
