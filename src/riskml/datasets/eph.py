"""Argentina's permanent household survey (EPH) as monitoring tables: a rotating panel with official poverty lines.

A household of the EPH is visited in quarters q, q+1, q+4 and q+5. Each visit becomes records dated and known on the
last
day of its quarter, so the first day of the next quarter is the as-of date that sees it. Income is
that of one month; the household's share of the line is its income over the regional line
(``CBT``, the total basket per adult equivalent and month) times its adult equivalents.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.datasets import eph_traits
from riskml.datasets.visits import visit_spells
from riskml.findings import DataRefused, Finding
from riskml.tables import Monitoring

_KEY = ["CODUSU", "NRO_HOGAR", "ANO4", "TRIMESTRE"]
_HOUSEHOLD_COLUMNS = (
    *_KEY,
    *("REGION", "AGLOMERADO", "PONDERA", "PONDIH", "ITF", "DECCFR", "IX_TOT", "IV12_1", "IV12_2", "IV12_3"),
    *("V1", "V2", "V21", *(f"V{number}" for number in range(3, 19)), "V19_A", "V19_B"),
    *(f"IV{number}" for number in range(1, 12)),
    *("II1", "II2", "II3", "II4_1", "II4_2", "II4_3", "II7", "II8", "II9"),
)
_PERSON_COLUMNS = (
    *_KEY,
    *(
        "COMPONENTE",
        "CH03",
        "CH04",
        "CH06",
        "CH07",
        "CH08",
        "CH09",
        "CH10",
        "NIVEL_ED",
        "ESTADO",
        "CAT_OCUP",
        "CAT_INAC",
    ),
    *("INTENSI", "PP03C", "PP04A", "PP04B_COD", "PP04C", "PP07C", "PP07H", "PP10A", "PP3E_TOT"),
    *("P21", "P47T", "T_VI", "V2_M", "V5_M"),
)
_OWN_FILE = r"usu_{}_t\d{{3}}\.txt"
#: INDEC's levels: 1 primary incomplete, 2 primary, 3 secondary incomplete, 4 secondary, 5 university incomplete, 6
#: university, 7 none. The contract counts the highest level finished above secondary.
_EDUCATION = {7: 0.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 5.0, 5: 5.0, 6: 6.0}
#: Question of the household questionnaire -> measure. The answer "2" closes the support.
_MEASURES = {
    "V5": "social_assistance",
    "V6": "goods",
    "V11": "education_grant",
    "V4": "unemployment_benefit",
}
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
        ``households.parquet`` and ``individuals.parquet`` or INDEC's own files, a pair a quarter:
        ``usu_hogar_T<q><yy>.txt`` and ``usu_individual_T<q><yy>.txt`` (``;`` between columns, point or comma as
        decimal mark). Columns that a quarter lacks are missing.

    Returns
    -------
    Monitoring
        Judged on one month's income (``welfare_months=1``, ``max_age_months=1``). ``household_id`` is
        ``CODUSU-NRO_HOGAR``,
        ``area_id`` region and agglomeration (two digits each). Tables:

        - ``incomes``: pesos of one month, a row for each visit whose income was answered (``PONDIH`` above 0): a
        visit without
          answer has none, so it is missing and never zero. ``units`` are adult equivalents, ``weight`` is ``PONDIH``.
          Wages hold what second jobs pay; ``private`` all income that is neither work nor state support.
        - ``households``: one version a visit, with its survey weight (``PONDERA``).
        - ``members``, ``employment``, ``assistance``: running from the first visit that saw them until the first that
        did not.
          ``birth`` is the middle of the year that the age leaves open. Disability is known only of those who are not in
          the labour force because of it.
        - ``schooling``, ``housing``, ``water``, ``coping`` and ``traits``: what each visit found.

    Raises
    ------
    FileNotFoundError
        If the folder lacks one of the files.
    DataRefused
        If a file lacks a column without which nothing can be judged, holds text for a number, or the tables break the
        contract.

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
    folder = Path(folder)
    lines = _small_table(folder / "poverty_lines.csv")
    equivalence = _small_table(folder / "adult_equivalence.csv")
    visits, notes = _visits(_survey_table(folder, "hogar", _HOUSEHOLD_COLUMNS), lines)
    people = _people(_survey_table(folder, "individual", _PERSON_COLUMNS), visits, equivalence)
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
    return Monitoring(tables, welfare_months=1, max_age_months=1, features=eph_traits.features(), notes=notes)


def _small_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; load_eph needs poverty_lines.csv, adult_equivalence.csv and the survey's "
            "households and "
            "individuals (households.parquet and individuals.parquet, or usu_hogar_T<q><yy>.txt and "
            "usu_individual_T<q><yy>.txt)"
        )
    return pd.read_csv(path)


def _survey_table(folder: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the Parquet copy or all quarters' own files, with exactly ``columns``; absent ones missing."""
    copy = folder / {"hogar": "households.parquet", "individual": "individuals.parquet"}[name]
    if copy.is_file():
        raw = pd.read_parquet(copy)
    else:
        pattern = re.compile(_OWN_FILE.format(name), re.IGNORECASE)
        files = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
        if not files:
            raise FileNotFoundError(f"{folder} holds neither {copy.name} nor files usu_{name}_T<q><yy>.txt")
        raw = pd.concat([_own_file(path, columns) for path in files], ignore_index=True)
    absent = [column for column in (*_KEY, *_NEEDED[name]) if column not in raw]
    if absent:
        raise DataRefused([_absent_columns(name, absent)])
    raw = raw.reindex(columns=list(columns))
    numbers = [column for column in columns if column != "CODUSU"]
    return pd.concat([raw[["CODUSU"]].astype(str), raw[numbers].astype(np.float64)], axis=1)


_NEEDED = {
    "hogar": ("REGION", "AGLOMERADO", "ITF", "PONDIH", "PONDERA"),
    "individual": ("COMPONENTE", "CH03", "CH04", "CH06"),
}


def _own_file(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return one of INDEC's files; empty cells are missing, decimal commas points."""
    text = pd.read_csv(
        path, sep=";", dtype=str, encoding="latin-1", usecols=lambda name: name.strip().upper() in columns
    ).rename(columns=lambda name: name.strip().upper())
    table = {"CODUSU": text["CODUSU"].str.strip()} if "CODUSU" in text else {}
    for column in text.columns.drop("CODUSU", errors="ignore"):
        cells = text[column].str.strip().str.replace(",", ".", regex=False)
        numbers = pd.to_numeric(cells.where(cells != ""), errors="coerce")
        wrong = numbers.isna() & cells.notna() & (cells != "")
        if wrong.any():
            raise DataRefused([_not_a_number(path, column, int(wrong.sum()), cells[wrong].iloc[0])])
        table[column] = numbers
    return pd.DataFrame(table)


def _absent_columns(name: str, absent: list[str]) -> Finding:
    listed = ", ".join(absent)
    return Finding(
        "missing_column",
        name,
        absent[0],
        len(absent),
        listed,
        f"the EPH table {name} lacks the columns {listed}; take the file as the statistics office publishes it",
        f"EPH 表 {name} 缺少列 {listed}；请使用统计机构发布的原始文件",
    )


def _not_a_number(path: Path, column: str, count: int, first: str) -> Finding:
    return Finding(
        "not_a_number",
        path.name,
        column,
        count,
        first,
        f"{path.name}, column {column}: {count} cells are not numbers (first: {first!r}); take the file as published",
        f"{path.name} 的 {column} 列有 {count} 个单元格不是数字（首个：{first!r}）；请使用发布的原始文件",
    )


def _visits(hogar: pd.DataFrame, lines: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return one row a visit with a line, in the order of household and date, and what was left out.

    ``order`` counts a household's visits from 0.
    """
    quarter = hogar["ANO4"].astype(int) * 4 + hogar["TRIMESTRE"].astype(int) - 1
    amounts = lines.assign(quarter=lines["ANO4"] * 4 + lines["TRIMESTRE"] - 1, line=lines["CBT"])
    visits = hogar.assign(quarter=quarter).merge(amounts[["REGION", "quarter", "line"]], how="left")
    left_out = visits.loc[visits["line"].isna(), "quarter"].value_counts().sort_index()
    visits = visits[visits["line"].notna()]
    visits = visits.assign(household_id=visits["CODUSU"] + "-" + visits["NRO_HOGAR"].astype(int).astype(str))
    visits = visits.sort_values(["household_id", "quarter"], ignore_index=True)
    visits["start"] = _quarter_start(visits["quarter"])
    visits["known_on"] = _quarter_start(visits["quarter"] + 1) - pd.Timedelta(days=1)
    visits["area_id"] = _code(visits["REGION"]) + _code(visits["AGLOMERADO"])
    visits["answered"] = (visits["PONDIH"] > 0) & visits["ITF"].notna()
    visits["order"] = visits.groupby("household_id", sort=False).cumcount()
    notes = [
        f"{int(str(number)) // 4}Q{int(str(number)) % 4 + 1}: {count} visits left out, "
        "poverty_lines.csv has no line for them"
        for number, count in left_out.items()
    ]
    return visits, ("INDEC, Encuesta Permanente de Hogares", *notes)


def _quarter_start(quarter: pd.Series) -> pd.Series:
    """Return the first day of quarters counted from the year 0."""
    months = (quarter.to_numpy() - 1970 * 4) * 3
    return pd.Series(months.astype("datetime64[M]").astype("datetime64[s]"), index=quarter.index)


def _code(number: pd.Series) -> pd.Series:
    return number.astype(int).astype(str).str.zfill(2)


def _people(individual: pd.DataFrame, visits: pd.DataFrame, equivalence: pd.DataFrame) -> pd.DataFrame:
    """Return one row a person and visit, in the order of person and visit; ``visit`` is the row of ``visits``.

    Amounts below zero are INDEC's codes of a refused answer, hence missing.
    """
    position = visits[_KEY].assign(visit=np.arange(len(visits)))
    people = individual.merge(position, on=_KEY).drop(columns=_KEY)
    people = people.merge(equivalence, on=["CH04", "CH06"], how="left").rename(columns={"adequi": "units"})
    for column in ("P21", "P47T", "T_VI", "V2_M", "V5_M"):
        people[column] = people[column].where(people[column] >= 0)
    people["household"] = visits["order"].eq(0).cumsum().to_numpy()[people["visit"]]
    people["age"] = people["CH06"].clip(lower=0)
    return people.sort_values(["household", "COMPONENTE", "visit"], ignore_index=True)


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
    """Return the main job of every member at work; ``wage`` is what it pays, on own account too."""
    at_work = people[people["ESTADO"] == 1].reset_index(drop=True)
    seen = pd.DataFrame(
        {
            "key": _person_number(at_work),
            "visit": at_work["visit"],
            "member_id": _member_id(at_work),
            "wage": at_work["P21"],
            "informal": (at_work["PP07H"] == 2).astype(float).where(at_work["PP07H"].isin([1, 2])),
            "self_employed": at_work["CAT_OCUP"].isin([1, 2]).astype(float),
            "hours": at_work["PP3E_TOT"].where(at_work["PP3E_TOT"] < 168),
        }
    )
    return visit_spells(seen, visits)


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
        reported = np.flatnonzero(visits[code] == 1)
        household = visits["order"].eq(0).cumsum().to_numpy()[reported]
        seen = pd.DataFrame({"key": household, "visit": reported, "measure": measure, "amount": np.nan})
        if code == "V5":
            seen["amount"] = np.where(cash[reported] > 0, cash[reported], np.nan)
        spells.append(visit_spells(seen, visits))
    table = pd.concat(spells, ignore_index=True)
    table["record_id"] = table["measure"] + table["start"].dt.strftime("-%Y-%m")
    return table


def _housing(visits: pd.DataFrame) -> pd.DataFrame:
    """Return grades after INDEC's quality of materials: floor, roof and ceiling; hazards are flood and dump."""
    floor, roof = visits["IV3"], visits["IV4"]
    poor = (floor == 3) | (floor == 4) | roof.isin([6, 7])
    # Flats have no roof of their own to describe (9).
    closed = (visits["IV5"] == 1) | (roof == 9)
    grade = np.select([poor, floor == 2, ~closed], [4.0, 3.0, 2.0], 1.0)
    hazard = np.fmax(eph_traits.yes(visits["IV12_1"]), eph_traits.yes(visits["IV12_2"]))
    return _dated(visits).assign(
        grade=np.where(floor.between(1, 4), grade, np.nan),
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
    return pd.DataFrame(
        {
            "area_id": _code(lines["REGION"]),
            "valid_from": _quarter_start(lines["ANO4"] * 4 + lines["TRIMESTRE"] - 1),
            "amount": lines["CBT"],
            "unit": "person_month",
            "basis": "national",
            "source": "INDEC, canasta básica total, quarterly mean by region",
        }
    )
