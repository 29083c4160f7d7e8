"""The letter to a household: complete about its own data, silent about others, and no promise."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from test_report import ATTACK, Reader, parts
from trees import dictionary
from worlds import ASKED, random_tables

from riskml.explanation.used import data_used
from riskml.features.declarations import expand
from riskml.features.records import available
from riskml.features.standard import STANDARD
from riskml.output.letter import write_letter
from riskml.output.letter_text import LETTER, RIGHTS
from riskml.output.report_text import COLUMN_NAMES_ZH
from riskml.tables.contract import TABLES
from riskml.tables.monitoring import Monitoring

USED = pd.DataFrame(
    {
        "table": ["medical", "disasters"],
        "n_records": [3, 0],
        "first": [pd.Timestamp("2023-05-01"), pd.NaT],
        "last": [pd.Timestamp("2024-03-01"), pd.NaT],
        "columns": ["out_of_pocket;serious", ""],
    }
)
MEANING = dictionary(bills=("illness", "lines"), woman=("other", "flag", True))
CONTACT = "Office of Somewhere\nTel. 000-1234"


def letter(tmp_path, household_id, attack="522301", language="en", **change):
    table, more = parts(attack)
    given = {"contact": CONTACT, "evidence": more["evidence"], "used": USED, "dictionary": MEANING, **change}
    write_letter(tmp_path / "letter.html", table, household_id, language=language, **given)
    return (tmp_path / "letter.html").read_text(encoding="utf-8")


def words(html):
    return " ".join(Reader(re.search("<body.*</body>", html, re.DOTALL)[0]).text.split())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_letter_says_what_was_used_what_weighed_who_decides_and_how_to_object(tmp_path, language):
    evidence = parts()[1]["evidence"].assign(
        reason_en="bills: much", reason_zh="医疗费：多", end=pd.NaT, table="medical"
    )
    text = words(letter(tmp_path, "h001", language=language, evidence=evidence))
    zh = language == "zh"
    for key in ("what_text", "decided_text", "not_cause", "used_text"):
        assert LETTER[key][zh] in text
    assert ("医疗费：多，2024年3月1日" if zh else "bills: much, on 2024-03-01") in text
    assert ("自付费用、大病" if zh else "out of pocket, serious") in text
    assert "2023-05-01 – 2024-03-01" in text
    assert ("某woman" if zh else "the woman") in text
    assert all(pair[zh] in text for pair in RIGHTS)
    assert "Tel. 000-1234" in text
    assert "h001" in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_letter_tells_nothing_of_others_nor_of_the_list(tmp_path, language):
    table, _ = parts()
    text = words(letter(tmp_path, "h001", language=language))
    assert not [household for household in table["household_id"] if household != "h001" and household in text]
    assert not re.search(r"rank|\b4\b|名次|第\d|共4", text)


def test_the_letter_promises_nothing_and_has_no_jargon(tmp_path):
    english, chinese = (words(letter(tmp_path, "h001", language=language)) for language in ("en", "zh"))
    assert "promises no help" in english
    assert "不承诺给予帮扶" in chinese
    assert not re.search(r"you will (get|receive)|entitled|eligible|SHAP|log-odds|feature|model|points", english)
    assert not re.search(r"将获得|将享受|百分点|模型|特征", chinese)


def test_sensitive_traits_are_named_as_used_but_not_with_their_value_nor_as_what_weighed(tmp_path):
    text = words(letter(tmp_path, "h001"))
    assert text.count("the woman") == 1
    assert "the woman:" not in text
    none = words(letter(tmp_path, "h001", dictionary=MEANING[~MEANING["sensitive"]]))
    assert "special care" not in none


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_from_data_or_contact_becomes_html(tmp_path, language):
    used = USED.assign(table=ATTACK, columns=ATTACK)
    meaning = MEANING.assign(label_en=ATTACK, label_zh=ATTACK)
    html = letter(tmp_path, "h001", ATTACK, language, used=used, contact=ATTACK, dictionary=meaning)
    read = Reader(html)
    assert not {"script", "img", "iframe", "object", "link"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert read.text.count(ATTACK) >= 4
    assert read.open == []


def test_the_letter_loads_nothing(tmp_path):
    assert not re.search(r"<script|javascript:|https?://|url\(|@import|src=", letter(tmp_path, "h001"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"household_id": "h999"}, "'h999' is not on this list"),
        ({"contact": " \n "}, "needs a contact"),
        ({"language": "fr"}, "expected 'en' or 'zh'"),
    ],
)
def test_what_makes_no_letter_is_refused_and_nothing_is_written(tmp_path, change, message):
    table, _ = parts()
    given = {"household_id": "h001", "contact": CONTACT, **change}
    with pytest.raises(ValueError, match=message):
        write_letter(tmp_path / "letter.html", table, given.pop("household_id"), **given)
    assert not (tmp_path / "letter.html").exists()


def test_without_records_the_letter_names_what_it_is_about(tmp_path):
    text = words(letter(tmp_path, "h000", evidence=None, used=None, dictionary=None))
    assert LETTER["used"][0] not in text
    assert LETTER["raising"][0] in text


def test_every_text_of_the_letter_stands_in_both_languages():
    for english, chinese in [*LETTER.values(), *RIGHTS]:
        assert english.count("{}") == chinese.count("{}")
        assert english.count("|") == chinese.count("|")
        assert re.search("[\u4e00-\u9fff]", chinese)


def test_who_stands_in_the_table_without_reasons_gets_no_letter(tmp_path):
    table, _ = parts()
    points = [name for name in table if name.startswith("points_")]
    table.loc[table["household_id"] == "h001", points] = np.nan
    with pytest.raises(ValueError, match="'h001' stands in the table without reasons, below the list"):
        write_letter(tmp_path / "letter.html", table, "h001", contact=CONTACT)
    assert not (tmp_path / "letter.html").exists()


# --- the data used ---------------------------------------------------------------------------------------------------


class Fitted:
    """What ``data_used`` reads of a model: the names of its features, here all that some data have."""

    def __init__(self, data):
        self.feature_names_in_ = np.array([feature.name for feature in available(data, STANDARD)], dtype=object)


@pytest.fixture(scope="module")
def world():
    return Monitoring(random_tables(5, n_households=40))


def test_the_data_used_are_the_records_in_force_on_the_day(world):
    day = ASKED[1]
    for household in world.household_ids[:10]:
        used = data_used(world, Fitted(world), household, day).set_index("table")
        for name, row in used.iterrows():
            versions = world.versions(name)
            mine = versions[(versions["household_id"] == household) & (versions["known_on"] < day)]
            mine = mine[~(mine["superseded_on"] < day)]
            assert row["n_records"] == len(mine)
            assert pd.isna(row["first"]) == mine.empty


def test_what_becomes_known_later_was_not_used(world):
    day = ASKED[1]
    known = world.known_by(day)
    for household in known.household_ids[:5]:
        before, after = (data_used(data, Fitted(known), household, day) for data in (known, world))
        shared = after["table"].isin(before["table"])  # a table without a record before has no columns
        pd.testing.assert_frame_equal(before, after[shared].reset_index(drop=True))


def test_every_column_a_feature_reads_is_named_conditions_and_births_too(world):
    columns = data_used(world, Fitted(world), world.household_ids[0], ASKED[1]).set_index("table")["columns"]
    assert {"birth", "sex", "head", "disability", "labour"} <= set(columns["members"].split(";"))
    assert set(columns["medical"].split(";")) == {"out_of_pocket", "cost", "serious"}
    assert "wage" in columns["incomes"].split(";")
    assert "lines" not in columns.index


def test_an_unknown_household_has_no_data(world):
    with pytest.raises(KeyError, match="'nobody' is not in the data"):
        data_used(world, Fitted(world), "nobody", ASKED[1])


def test_features_that_nobody_declared_are_not_passed_over(world):
    model = Fitted(world)
    model.feature_names_in_ = np.append(model.feature_names_in_, "secret")
    with pytest.raises(ValueError, match=r"1 features of the model are not declared .* \(first: secret\)"):
        data_used(world, model, world.household_ids[0], ASKED[1])


def test_every_column_that_features_read_has_a_chinese_name():
    read = {
        column
        for feature in expand(STANDARD)
        for column in (feature.column, *(name for name, _, _ in feature.where))
        if column and feature.kernel in ("event", "spell", "roster") and column in TABLES[feature.table].by_name
    }
    assert read <= set(COLUMN_NAMES_ZH)
