"""A made-up survey in the form of INDEC's EPH, and its files as INDEC publishes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from riskml.datasets.eph_files import COLUMNS

QUARTERS = [(2018, 1), (2018, 2), (2018, 3), (2018, 4), (2019, 1), (2019, 2), (2019, 3), (2019, 4)]
#: Pesos per adult equivalent and month, by region and quarter counted from 2018Q1: prices rise by a tenth a quarter.
LINE = {1: 1000.0, 40: 800.0}


def line_of(region: int, year: int, quarter: int) -> float:
    return round(LINE[region] * 1.1 ** ((year - 2018) * 4 + quarter - 1), 2)


def equivalents(sex: int, age: int) -> float:
    """Made up: a child under 15 counts half (0.35 under one year), a man 1, a woman 0.75."""
    if age < 15:
        return 0.35 if age < 1 else 0.5
    return 1.0 if sex == 1 else 0.75


def survey(
    n_households: int = 12, quarters: list[tuple[int, int]] = QUARTERS, *, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return households and people: a man, a woman, a child, visited every quarter; one visit in ten does not answer.

    Income is about the line, so that some households fall below it; all of it is the man's wage.
    """
    rng = np.random.default_rng(seed)
    households, people = [], []
    for number in range(n_households):
        region = (1, 40)[number % 2]
        poor = rng.normal(0, 0.3)
        for year, quarter in quarters:
            visit = {"CODUSU": f"TQR{number:05d}", "NRO_HOGAR": 1, "ANO4": year, "TRIMESTRE": quarter}
            answered = rng.random() > 0.1
            income = round(2.25 * line_of(region, year, quarter) * np.exp(0.25 + poor + rng.normal(0, 0.35)), 2)
            rest = dict.fromkeys([name for name in COLUMNS["hogar"] if name[0] in "IV" and name != "ITF"], 1.0)
            money = {
                "ITF": income * answered,
                "PONDERA": 100,
                "PONDIH": 110 * answered,
                "DECCFR": 5 if answered else 12,
            }
            place = {"REGION": region, "AGLOMERADO": 32 if region == 1 else 22}
            no = {f"V{strategy}": 2.0 for strategy in range(3, 19)}
            households.append({**visit, **rest, **place, **money, **no, "IX_TOT": 3, "V19_A": 2.0, "V19_B": 2.0})
            for member, (sex, age) in enumerate([(1, 40), (2, 38), (2, 9)], start=1):
                works = member == 1
                person = {"COMPONENTE": member, "CH03": member, "CH04": sex, "CH06": age, "CH07": 2, "CH08": 1}
                study = {"CH09": 1, "CH10": 1 if age < 18 else 2, "NIVEL_ED": 4 if age > 18 else 1}
                state = 1 if works else (3 if age > 18 else 4)
                job = {"ESTADO": state, "CAT_OCUP": 3 * works, "CAT_INAC": 0 if works else 4}
                more = {"INTENSI": 2.0, "PP03C": 1.0, "PP04A": 2.0, "PP04B_COD": 4803.0, "PP04C": 6.0, "PP07C": 2.0}
                more |= {"PP07H": 1.0, "PP3E_TOT": 40.0}
                pay = (income if answered else -9.0) if works else 0.0
                amounts = {"P21": pay, "P47T": pay, "T_VI": 0.0, "V2_M": 0.0, "V5_M": 0.0, "PP10A": np.nan}
                more = more if works else dict.fromkeys(more, np.nan)
                people.append({**visit, **person, **study, **job, **more, **amounts})
    return pd.DataFrame(households)[list(COLUMNS["hogar"])], pd.DataFrame(people)[list(COLUMNS["individual"])]


def write_small_tables(folder: Path, quarters: list[tuple[int, int]] = QUARTERS) -> None:
    """Write the poverty lines and adult equivalents of the made-up survey."""
    lines = [(r, year, quarter, 1.0, line_of(r, year, quarter)) for r in LINE for year, quarter in quarters]
    columns = ["REGION", "ANO4", "TRIMESTRE", "CBA", "CBT"]
    pd.DataFrame(lines, columns=columns).to_csv(folder / "poverty_lines.csv", index=False)
    units = [(sex, age, equivalents(sex, age)) for sex in (1, 2) for age in (-1, *range(1, 111))]
    pd.DataFrame(units, columns=["CH04", "CH06", "adequi"]).to_csv(folder / "adult_equivalence.csv", index=False)


def write_copies(folder: Path, hogar: pd.DataFrame, individual: pd.DataFrame) -> None:
    hogar.to_parquet(folder / "households.parquet")
    individual.to_parquet(folder / "individuals.parquet")


def write_own_files(folder: Path, hogar: pd.DataFrame, individual: pd.DataFrame) -> None:
    """Write a pair a quarter as INDEC does: first quarters quoted and in Latin-1, further columns, decimal commas."""
    for half, table in (("hogar", hogar), ("individual", individual)):
        for place, ((year, quarter), rows) in enumerate(table.groupby(["ANO4", "TRIMESTRE"])):
            older = place == 0
            text = own_text(rows, quoted=older, mark="," if older else ".")
            path = folder / f"usu_{half}_T{quarter}{year % 100:02d}.txt"
            path.write_bytes(text.encode("latin-1" if older else "utf-8"))


def own_text(rows: pd.DataFrame, *, quoted: bool = False, mark: str = ".") -> str:
    """Return rows as INDEC's text: whole numbers plain, others with the decimal mark, no answer as an empty cell."""
    cells = pd.DataFrame({name: [_cell(value, mark) for value in rows[name]] for name in rows})
    cells.insert(4, "OBSERVACION", "Ñandú y café")
    cells["CH05"] = "01/02/1980"
    return cells.to_csv(sep=";", index=False, quoting=1 if quoted else 0, lineterminator="\r\n")


def _cell(value: object, mark: str) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return " "
    return f"{float(value):.10g}".replace(".", mark)  # type: ignore[arg-type]
