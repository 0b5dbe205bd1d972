"""The shapes, the colours and the figure."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from natlab.lab import svg
from natlab.lab.figure import Figure
from natlab.lab.palette import colour


def test_text_from_elsewhere_cannot_break_out_of_the_picture():
    evil = '<script>"&'
    root = ET.fromstring(svg.document(10, 10, evil, evil, [svg.text((0, 0), evil)]))
    assert root.get("aria-label") == evil and [child.text for child in root if child.text] == [evil] * 3


def test_numbers_are_short_and_the_same_everywhere():
    assert svg.line([(0.04, 12.0), (1 / 3, 2.96)], "#000") == (
        '<polyline points="0,12 0.3,3" fill="none" stroke="#000" stroke-width="1"/>'
    )


def test_an_arrow_head_points_the_way_the_arrow_goes():
    right = svg.arrow_head((0, 0), (100, 0), "#000").split('"')[1].split()
    assert right[0] == "100,0" and all(float(corner.split(",")[0]) < 100 for corner in right[1:])


def test_one_colour_per_name_in_every_process():
    assert colour("alice") == "#0072B2" and colour("bob") == "#D55E00" and colour("relay") == "#009E73"
    assert colour("crowd 1") == colour("crowd 1") != colour("crowd 3")


def test_a_figure_is_an_image_with_alt_text_in_a_notebook_and_text_elsewhere(tmp_path):
    figure = Figure("A <title>", "What it shows", '<svg xmlns="http://www.w3.org/2000/svg"/>', "plain")
    page = ET.fromstring(figure._repr_html_().replace('100%">', '100%"/>'))
    assert page.get("alt") == "A <title>. What it shows" and page.get("src").startswith("data:image/svg+xml,%3Csvg")
    assert repr(figure) == "plain" and figure._repr_svg_() == figure.svg
    figure.save(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text() == figure.svg


@pytest.mark.parametrize("words, pixels", [("", 0.0), ("SYN", 18.0)])
def test_text_widths_do_not_depend_on_fonts(words, pixels):
    assert svg.text_width(words) == pixels
