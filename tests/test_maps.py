"""The picture of tiles: every area once, in the block it belongs to, said in text, and nothing from data as code."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

import riskml as rk
from riskml.outlook.areas import area_outlook
from riskml.outlook.shocks import no_shocks
from riskml.output import maps
from riskml.output.outlook_section import MAX_AREAS, outlook_section

NS = "{http://www.w3.org/2000/svg}"
BAD = '<script>alert("x")</script>'


def outlook(n_counties: int = 2, n_townships: int = 2, n_villages: int = 3) -> pd.DataFrame:
    codes = [f"99012{c}10{t}20{v}" for c in range(n_counties) for t in range(n_townships) for v in range(n_villages)]
    risk = np.random.default_rng(0).uniform(0.01, 0.12, 40 * len(codes))
    rows = pd.DataFrame({"area_id": np.repeat(codes, 40), "risk": risk})
    return area_outlook(rows, no_shocks({"county": 6, "township": 9, "village": 12}), n_draws=200)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{NS}text")]


def rectangles(svg: str) -> list[tuple[float, ...]]:
    shapes = ElementTree.fromstring(svg).iter(f"{NS}rect")
    return [tuple(float(shape.get(key) or 0) for key in ("x", "y", "width", "height")) for shape in shapes]


def test_every_village_has_one_tile_with_its_number_under_the_area_it_belongs_to():
    table = outlook()
    svg = rk.tile_map(table)
    villages = table[table["level"] == "village"]
    titles = [element.text for element in ElementTree.fromstring(svg).iter(f"{NS}title")][1:]
    assert [title.partition(":")[0] for title in titles] == [f"village {code}" for code in villages["area_id"]]
    root = ElementTree.fromstring(svg)
    headings = {
        (text.text or "").removeprefix("township "): float(text.get("y") or 0)
        for text in root.findall(f"{NS}text")
        if (text.text or "").startswith("township ")
    }
    assert list(headings) == table.loc[table["level"] == "township", "area_id"].tolist()
    for code, group in zip(villages["area_id"], root.iter(f"{NS}g"), strict=True):
        top = float(group[1].get("y") or 0)
        assert [town for town, y in headings.items() if y < top][-1] == code[:9]
    found = texts(svg)
    numbers = [said for row in villages.itertuples() for said in (row.area_id[9:], f"{100 * row.probability:.0f}")]
    tiles = found[len(table) - len(villages) - 1 :][: len(numbers)]
    assert tiles == numbers


def test_no_two_tiles_overlap_and_all_lie_on_the_picture():
    svg = rk.tile_map(outlook(n_villages=9))
    root = ElementTree.fromstring(svg)
    width, height = (float(root.get(key) or 0) for key in ("width", "height"))
    shapes = rectangles(svg)
    assert len(shapes) == 2 * 2 * 9 + len(maps.COLOURS) + 1
    for i, (x, y, w, h) in enumerate(shapes):
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        for x2, y2, w2, h2 in shapes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_picture_has_a_title_and_a_description_read_aloud_first(language):
    svg = rk.tile_map(outlook(), language=language)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "map-title map-desc"
    title, description = root[0], root[1]
    assert (title.get("id"), description.get("id")) == ("map-title", "map-desc")
    assert "5%" in (title.text or "")
    assert ("12格" if language == "zh" else "12 in all") in (description.text or "")


def test_names_from_data_are_text_and_never_code():
    table = outlook()
    names = dict.fromkeys(table["area_id"], BAD)
    svg = rk.tile_map(table, names=names)
    assert "<script" not in svg
    assert f"township {BAD}" in texts(svg)
    codes = table.assign(area_id=table["area_id"].where(table["level"] != "village", BAD + table["area_id"]))
    for svg in (rk.tile_map(codes), str(outlook_section(codes, "en")["map"])):
        assert "<script" not in svg


def test_colours_change_where_the_legend_says_and_alarms_have_a_border():
    table = outlook(1, 1, 5)
    table.loc[table["level"] == "village", "probability"] = [0.0999, 0.1, 0.4999, 0.5, 1.0]
    svg = rk.tile_map(table, at=0.5)
    shapes = [shape.get("style") or "" for shape in ElementTree.fromstring(svg).iter(f"{NS}rect")][:5]
    assert [style[5:12] for style in shapes] == [maps.COLOURS[place] for place in (0, 1, 2, 3, 4)]
    assert ["stroke-width:2.5" in style for style in shapes] == [False, False, False, True, True]
    assert [said for said in texts(svg) if said in ("10", "50", "100")] == ["10", "10", "50", "50", "100"]


def test_what_is_too_many_for_tiles_is_drawn_a_level_above(monkeypatch):
    monkeypatch.setattr(maps, "MAX_TILES", 5)
    svg = rk.tile_map(outlook())
    assert "One tile for each township, 4 in all" in svg


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_shows_areas_after_the_area_they_belong_to(language, tmp_path):
    table = outlook()
    section = outlook_section(table, language)
    assert len(section["rows"]) == len(table)
    assert [row["depth"] for row in section["rows"]][:4] == [0, 1, 2, 3]
    assert section["rows"][0]["households"] == "480"


def test_a_table_too_long_leaves_the_smallest_areas_to_the_file():
    table = outlook(2, 9, 9).pipe(lambda t: pd.concat([t, t[t["level"] == "village"]] * 2))
    assert len(table) > MAX_AREAS
    assert {row["depth"] for row in outlook_section(table, "en")["rows"]} == {0, 1, 2}
