"""A table of words becomes coloured cells with marks, a legend with numbers, and text."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from natlab.errors import LabError
from natlab.lab.heat_map import Shade, heat_map

SHADES = {
    "yes": Shade("#009E73", "+", "it works"),
    "no": Shade("#c8c8c8", "-", "it does not"),
    "never": Shade("#000000", "!", "does not occur"),
}
TABLE = pd.DataFrame([["yes", "no", "yes"]], index=["row <1>"], columns=["a", "b", "c"]).rename_axis(
    index="rows", columns="columns"
)


def texts(figure):
    return [element.text for element in ET.fromstring(figure.svg).iter("{http://www.w3.org/2000/svg}text")]


def test_cells_legend_and_text():
    figure = heat_map(TABLE, SHADES, title="Title", note="A note.")
    assert texts(figure).count("+") == 3 and texts(figure).count("-") == 2 and "!" not in texts(figure)
    assert {"row <1>", "a", "b", "c", "rows ↓", "columns →", "it works: 2", "A note."} <= set(texts(figure))
    assert figure.alt == "1 rows (rows) by 3 columns (columns). it works: 2; it does not: 1. A note."
    assert "row <1>" in figure.text and "+  it works" in figure.text and "!" not in figure.text


def test_groups_stand_apart():
    def left_edges(group):
        root = ET.fromstring(heat_map(TABLE, SHADES, title="", group=group).svg)
        return [float(box.get("x")) for box in root.iter("{http://www.w3.org/2000/svg}rect") if box.get("x")][:3]

    together, apart = left_edges(3), left_edges(2)
    assert together[:2] == apart[:2] and apart[2] > together[2]


def test_a_word_without_a_colour_is_refused():
    with pytest.raises(LabError, match="no colour for 'maybe'"):
        heat_map(TABLE.replace("no", "maybe"), SHADES, title="")


def test_long_labels_get_the_room_they_need_and_stand_upright():
    long = TABLE.rename(index={"row <1>": "a row with a name that is long"}, columns={"a": "a long column"})
    root = ET.fromstring(heat_map(long, SHADES, title="").svg)
    labels = {each.text: each for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "rotate(-90" in labels["a long column"].get("transform") and "rotate(-90" in labels["b"].get("transform")
    assert float(labels["a row with a name that is long"].get("x")) >= 6.0 * len("a row with a name that is long")
    assert not any(each.get("transform") for each in ET.fromstring(heat_map(TABLE, SHADES, title="").svg).iter())


def test_each_mark_of_the_legend_stands_before_its_words_and_none_lie_on_others(check_apart):
    areas = {words.partition(": ")[2]: at for words, at in check_apart(heat_map(TABLE, SHADES, title="T").svg).items()}
    for mark, words in (("+", "it works: 2"), ("-", "it does not: 1")):
        assert areas[mark].top == areas[words].top and areas[mark].right < areas[words].left
