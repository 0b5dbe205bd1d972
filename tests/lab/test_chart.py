"""Lines, ranges and crosses stand where their numbers say, between axes that begin at 0."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from natlab.lab.chart import Line, _scale, chart

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("largest", "step", "end"),
    [(2048, 500, 2500), (1.0, 0.2, 1.0), (0.9999, 0.2, 1.0), (7, 2, 8), (1500, 500, 1500), (30, 10, 30)],
)
def test_axes_end_at_a_round_number(largest, step, end):
    assert _scale(largest) == pytest.approx((step, end))


def test_what_is_drawn_is_where_the_numbers_are(check_apart):
    lines = [
        Line("a line", "#111111", points=[(0, 0), (10, 1)]),
        Line("ranges", "#222222", ranges=[(5, 0.5, 0.25, 0.75)]),
        Line("crosses", "#333333", crosses=[(10, 0.5)]),
    ]
    figure = chart(lines, title="T <1>", x="things", y="part", alt="What it shows.")
    check_apart(figure.svg)
    root = ET.fromstring(figure.svg)
    drawn = {
        line.get("stroke"): [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in reversed(list(root.iter(f"{SVG}polyline")))  # the first one of a colour is not the legend's
    }
    (left, bottom), (right, top) = drawn["#111111"]
    assert left < right and top < bottom
    (x, low), (x_again, high) = drawn["#222222"]
    assert x == x_again == (left + right) / 2
    assert low == pytest.approx(bottom - (bottom - top) / 4) and high == pytest.approx(top + (bottom - top) / 4)
    dot = root.find(f"{SVG}circle")
    assert (float(dot.get("cx")), float(dot.get("cy"))) == (x, (top + bottom) / 2)
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"T <1>", "things", "part", "a line", "ranges", "crosses", "0", "10", "0.2", "1"} <= set(words)
    at = {text.text: (float(text.get("x")), float(text.get("y"))) for text in root.iter(f"{SVG}text")}
    assert at["10"][0] == right and at["4"][0] == pytest.approx(left + 0.4 * (right - left)), (
        "numbers below their marks"
    )
    assert at["1"][1] == top + 4 and at["0.4"][1] == pytest.approx(bottom - 0.4 * (bottom - top) + 4), "and beside"


def test_its_text_tells_some_of_the_numbers():
    figure = chart([Line("squares", "#111111", [(n, n * n) for n in range(100)])], title="T", x="n", y="n²", alt="A.")
    assert figure.text.splitlines()[1].startswith("squares: (0, 0), (12, 144)") and len(figure.text) < 200


def test_nothing_but_zeros_has_axes_too():
    figure = chart([Line("nothing", "#111111", [(0, 0)])], title="t", x="x", y="y", alt="nothing")
    assert ">1</text>" in figure.svg


def test_each_line_of_the_legend_begins_with_its_sign():
    lines = [
        Line("a line", "#111111", points=[(0, 0), (10, 1)]),
        Line("ranges", "#222222", ranges=[(5, 0.5, 0.25, 0.75)]),
        Line("crosses", "#333333", crosses=[(10, 0.5)]),
    ]
    root = ET.fromstring(chart(lines, title="T", x="things", y="part", alt="").svg)
    shapes = [(shape.tag.removeprefix(SVG), shape) for shape in root]
    for tag, colour, words in (("polyline", "#111111", "a line"), ("circle", "#222222", "ranges")):
        (at,) = [float(text.get("y")) for _, text in shapes if text.text == words]
        signs = [shape for kind, shape in shapes if kind == tag and colour in (shape.get("stroke"), shape.get("fill"))]
        heights = [float(shape.get("cy") or shape.get("points").split(",")[1].split()[0]) for shape in signs]
        assert at - 4 in heights
