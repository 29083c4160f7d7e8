"""The report: one file, no script, nothing of the data read as HTML, complete in both languages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from trees import explanation

from riskml.explanation.wording import format_points, format_risk
from riskml.output.certainty import go_and_look
from riskml.output.report import MAX_LOOK, write_report
from riskml.output.report_text import COLUMN_NAMES_ZH, FIGURE_AT_QUOTA, FIGURES, LIMITS, TABLE_NAMES, TEXT
from riskml.output.watchlists import watchlist, watchlist_changes
from riskml.planning.assist import match_assistance
from riskml.planning.measures import example_measures

ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def parts(attack="522301", n_rows=4):
    """Return a watchlist, and all that can go with it, with a text of one's choice in every text cell."""
    rng = np.random.default_rng(0)
    why = explanation(
        rng.normal([1.0, 0.0, 0.0], 1, (n_rows, 3)),
        np.ones((n_rows, 3)),
        bills=("illness", "lines"),
        wage=("income", "lines"),
        roof=("housing", "grade"),
    )
    intervals = pd.DataFrame({"risk_lower": why.risk * 0.8, "risk_upper": why.risk * 1.2})
    table = watchlist(why.risk, why, areas=[attack] * n_rows, intervals=intervals)
    measures = example_measures().assign(label_en=attack, label_zh=attack, effect_source=attack)
    evidence = table[["household_id", "as_of_date"]].assign(
        cause="illness", feature="bills", table=attack, column=attack,
        date=pd.Timestamp("2024-03-01"), end=pd.NaT, known_on=pd.Timestamp("2024-03-09"), value=0.5, amount=np.nan,
        reason_en=attack, reason_zh=attack, actionable=True, points_actionable=0.123,
    )  # fmt: skip
    figures = pd.DataFrame(
        [("riskml", "all", "auroc", 0.871, 0.85, 0.89), (attack, "all", "auroc", 0.7, 0.68, 0.72),
         ("riskml", "all", "recall@10%", 0.402, 0.35, 0.45), ("riskml", "5223", "auroc", 0.123, 0.1, 0.2)],
        columns=["model", "group", "figure", "value", "lower", "upper"],
    )  # fmt: skip
    more = {
        "plan": match_assistance(table, measures, budget=7000),
        "evidence": evidence,
        "figures": figures,
        "changes": watchlist_changes(table, table).assign(change="entered", sentence_en=attack, sentence_zh=attack),
        "missed": [attack],
        "look": go_and_look(table, threshold=1.1 * table["risk"].max()),
        "card": {attack: attack, "tables": [attack], "figures": {"not": "plain"}},
    }
    return table, more


class Reader(HTMLParser):
    """The tags, attributes and text of a page; complains of tags that are not closed."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page(path, table, language="en", **more):
    write_report(path, table, language=language, **more)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_from_the_data_becomes_html(tmp_path, language):
    table, more = parts(ATTACK)
    table["household_id"] = ATTACK + table["household_id"]
    table["reason_en"] = table["reason_zh"] = ATTACK
    for name in ("plan", "evidence", "changes"):
        more[name]["household_id"] = ATTACK + more[name]["household_id"]
    read = Reader(page(tmp_path / "report.html", table, language, **more))
    assert not {"script", "img", "iframe", "object", "link"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert read.text.count(ATTACK) > 20
    assert read.open == []


def test_the_page_loads_nothing_and_holds_no_script(tmp_path):
    table, more = parts()
    html = page(tmp_path / "report.html", table, **more)
    assert not re.search(r"<script|javascript:|https?://|url\(|@import|src=", html)


@pytest.mark.parametrize(("language", "tag"), [("en", "en"), ("zh", "zh-CN")])
def test_the_page_says_its_language_and_has_table_headers(tmp_path, language, tag):
    table, more = parts()
    read = Reader(page(tmp_path / "report.html", table, language, **more))
    assert ("lang", tag) in read.attributes
    assert ("scope", "col") in read.attributes
    assert ("scope", "row") in read.attributes


def test_every_picture_has_a_title_a_description_and_its_labels_as_text(tmp_path):
    table, more = parts()
    html = page(tmp_path / "report.html", table, **more)
    pictures = re.findall(r'<svg[^>]*role="img".*?</svg>', html, re.DOTALL)
    assert len(pictures) == len(table)
    for picture, row in zip(pictures, table.to_dict("records"), strict=True):
        title, desc = re.search(r'aria-labelledby="(\S+) (\S+)"', picture).groups()
        assert re.search(f'<title id="{title}">.+</title>', picture)
        said = re.search(f'<desc id="{desc}">(.+)</desc>', picture)[1]
        assert said.endswith(f"risk of this household {format_risk(row['risk'])}")
        assert format_points(row["points_illness"]) in re.findall(r"<text[^>]*>(.+?)</text>", picture)
        assert "<path" not in picture
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_chinese_page_has_no_english_words_of_its_own(tmp_path):
    table, more = parts()
    more["figures"] = more["figures"].iloc[[0, 2]]
    read = Reader(page(tmp_path / "report.html", table, "zh", **(more | {"card": None})))
    body = read.text.split("</style>")[-1].split("}")[-1]
    words = set(re.findall(r"[A-Za-z]{3,}", body))
    assert words - {"bills", "wage", "roof"} == {"riskml", "AUROC"}


def test_every_text_stands_in_both_languages():
    pairs = [*TEXT.values(), *LIMITS, *TABLE_NAMES.values(), *FIGURES.values(), *FIGURE_AT_QUOTA.values()]
    for english, chinese in pairs:
        assert english
        assert chinese
        assert english.count("{}") == chinese.count("{}")
    for key, (english, chinese) in TEXT.items():
        assert re.search("[\u4e00-\u9fff]", chinese), key
        assert english.count("|") == chinese.count("|")
    assert all(COLUMN_NAMES_ZH.values())


def test_the_page_shows_the_numbers_of_the_tables(tmp_path):
    table, more = parts()
    read = Reader(page(tmp_path / "report.html", table, **more))
    text = " ".join(read.text.split())
    assert f"{table['risk'].sum():.1f}" in text
    assert "7,000" not in text  # a budget is not a cost
    assert f"{more['plan']['cost'].sum():,.0f}" in text
    assert "0.871(0.850 – 0.890)" in text
    assert "later returns on a list of 10%" in text
    assert "0.123" not in text  # a group's figure is not everybody's
    assert "2024-03-09" in text
    assert all(row in text for row in table["reason_en"])


def test_without_figures_the_page_warns(tmp_path):
    table, _ = parts()
    assert TEXT["no_figures"][0] in page(tmp_path / "report.html", table)


def test_the_bars_of_a_card_lead_from_the_start_to_the_risk(tmp_path):
    table, _ = parts(n_rows=1)
    read = page(tmp_path / "report.html", table)
    bars = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="17" class="(\w+)"', read)
    x, width = (np.array([float(bar[place]) for bar in bars]) for place in (0, 1))
    at = x[0] + width[0]
    for left, size, (_, _, kind) in zip(x[1:-1], width[1:-1], bars[1:-1], strict=True):
        at = at + size if kind == "up" else at - size
        assert (left + size if kind == "up" else left) == pytest.approx(at, abs=0.3)
    assert at == pytest.approx(x[-1] + width[-1], abs=0.3)


def split_card(tmp_path, language="en", **change):
    """Return the page of one household with a bill (help can change it) and an age (it cannot) behind its risk."""
    table, more = parts(n_rows=1)
    bill = more["evidence"].assign(
        table="medical", column="out_of_pocket", reason_en="bills: much", reason_zh="医疗费：多"
    )
    age = bill.assign(
        feature="age", cause="labour", table="members", column="birth", value=np.nan, actionable=False,
        reason_en="age: 71 years", reason_zh="年龄：71岁",
    )  # fmt: skip
    evidence = pd.concat([age, bill]).assign(**change)
    return page(tmp_path / "report.html", table, language, evidence=evidence)


def test_a_card_leads_with_what_help_can_change(tmp_path):
    text = split_card(tmp_path)
    order = [text.index(said) for said in ("What help can change", "bills: much", "What it cannot", "age: 71 years")]
    assert order == sorted(order)
    assert order[-1] < text.index("From the starting point")
    assert "help can act: +12.3 points" in text


def test_a_card_without_anything_help_can_change_says_so(tmp_path):
    text = split_card(tmp_path, actionable=False)
    assert TEXT["nothing_actionable"][0] in text
    assert TEXT["nothing_actionable"][1] in split_card(tmp_path, "zh", actionable=False)


@pytest.mark.parametrize(
    ("date", "end", "english", "chinese"),
    [
        ("2024-03-01", None, "bills: much, on 2024-03-01", "医疗费：多，2024年3月1日"),
        ("2024-03-01", "2025-01-15", "bills: much, ends on 2025-01-15", "医疗费：多，2025年1月15日到期"),
        ("2024-03-01", "2024-11-30", "bills: much, ended on 2024-11-30", "医疗费：多，2024年11月30日已结束"),
    ],
)
def test_a_reason_says_the_day_that_matters(tmp_path, date, end, english, chinese):
    given = {"date": pd.Timestamp(date), "end": pd.Timestamp(end) if end else pd.NaT}
    assert english in split_card(tmp_path, **given)
    assert chinese in split_card(tmp_path, "zh", **given)


def test_amounts_stand_in_currency_beside_lines_where_the_line_is_known(tmp_path):
    assert "<td>3,100 (0.50 of the poverty line)</td>" in split_card(tmp_path, amount=3100.0)
    assert "<td>3,100（贫困线的0.50倍）</td>" in split_card(tmp_path, "zh", amount=3100.0)
    assert "<td>0.50 of the poverty line</td>" in split_card(tmp_path, amount=np.nan)
    assert "<td>0</td>" in split_card(tmp_path, amount=0.0, value=0.0)


def test_a_long_list_is_cut_and_says_so(tmp_path):
    table, _ = parts(n_rows=1)
    table = pd.concat([table] * 520, ignore_index=True)
    html = page(tmp_path / "report.html", table, n_cards=3)
    assert "20 more households follow" in html
    assert html.count('<article class="card">') == 3


def test_a_plan_read_back_from_a_file_is_shown_as_well(tmp_path):
    from riskml.files import read_table, write_table

    table, more = parts()
    write_table(table, tmp_path / "list.csv")
    write_table(more["plan"], tmp_path / "plan.csv")
    read_back = {name: read_table(tmp_path / f"{name}.csv") for name in ("list", "plan")}
    html = page(tmp_path / "report.html", read_back["list"], plan=read_back["plan"])
    assert html == page(tmp_path / "again.html", table, plan=more["plan"])


def test_an_empty_list_and_another_language_are_refused(tmp_path):
    table, _ = parts()
    with pytest.raises(ValueError, match="no household"):
        write_report(tmp_path / "report.html", table.head(0))
    with pytest.raises(ValueError, match="expected 'en' or 'zh'"):
        write_report(tmp_path / "report.html", table, language="fr")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_says_how_sure_the_list_is_and_names_those_below_it_to_go_and_look_at(tmp_path, language):
    table, _ = parts(n_rows=60)
    # Of the 20 on the list, those whose interval lies above the cut-off; below, the 35 whose interval reaches it.
    cut_off = (table["risk"][19] + table["risk"][20]) / 2
    table["risk_lower"] = np.where(np.arange(60) < 12, cut_off + 1e-6, 0.001)
    table["risk_upper"] = np.where(np.arange(60) < 55, 0.999, cut_off - 1e-6)
    write_report(tmp_path / "list.html", table.head(20), look=go_and_look(table, n=20), language=language)
    html = (tmp_path / "list.html").read_text(encoding="utf-8")
    section = html[html.index(TEXT["look"][language == "zh"]) :].partition("</section>")[0]
    said = [
        int(number)
        for number in re.findall(r"(?<![\d.])\d+(?![\d.%])", re.sub(r"<table.*?</table>", "", section, flags=re.S))
    ]
    assert [number for number in said if number > 4] == [20, 12, 8, 35, 35 - MAX_LOOK]
    named = re.findall(r'<th scope="row">(.*?)</th>', section)
    assert named == table["household_id"][20 : 20 + MAX_LOOK].tolist()


def test_a_report_without_everybody_scored_has_no_such_section(tmp_path):
    write_report(tmp_path / "list.html", parts()[0])
    assert TEXT["look"][0] not in (tmp_path / "list.html").read_text(encoding="utf-8")
