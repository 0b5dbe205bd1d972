"""The map of a lab."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from natlab import Lab
from natlab.errors import LabError
from natlab.events import Journal
from natlab.lab.draw import draw
from natlab.lab.svg import Area
from natlab.lab.topology import Kind
from natlab.lab.views import reachability

SVG = "{http://www.w3.org/2000/svg}"
CAST = ["relay", "alice", "bob"]


def test_the_map_names_places_verdicts_and_how_they_are_joined(journal, topology, names):
    figure = draw(topology, reachability(journal, names, CAST), CAST)
    assert figure.text.splitlines() == [
        "relay 13.0.0.1 (node, unknown)",
        "home 11.0.0.1 (NAT)",
        "  alice 192.168.1.2 (node, unknown)",
        "office 12.0.0.1 (NAT)",
        "  bob 192.168.2.2 (node, private)",
        "alice punched through to bob",
    ]
    assert ET.fromstring(figure.svg).get("role") == "img" and "punched" in figure.svg


def test_an_empty_lab_has_a_map_too(topology, names):
    figure = draw(topology, reachability(Journal(), names, ["relay"]), ["relay"])
    assert figure.text == "relay 13.0.0.1 (node, unknown)"


def test_a_map_of_nobody_says_what_to_make(topology):
    with pytest.raises(LabError, match=r"lab\.node"):
        draw(topology, reachability(Journal(), {}), [])


@pytest.fixture(params=[(1, 4), (2, 9)], ids=["one box", "two boxes"])
def busy(request) -> Lab:
    """Hosts behind one box or another, made in turns; all have dialled the relay above them."""
    lab, (boxes, hosts) = Lab(7), request.param
    relay, behind = lab.node("relay", ipv6=True), [lab.nat("home") for _ in range(boxes)]
    nodes = [lab.node(f"node {number}", behind=behind[number % boxes]) for number in range(hosts)]
    for node in nodes:
        lab.run(node.dial(relay))
    return lab


def test_no_words_lie_on_others_or_on_a_box_of_somebody_else(busy, check_apart):
    svg = busy.draw().svg
    words = {text: area for text, area in check_apart(svg).items() if "dialled" in text}
    boxes = [
        Area(x, x + float(box.get("width")), y, y + float(box.get("height")))
        for box in ET.fromstring(svg).iter(f"{SVG}rect")
        if box.get("rx")
        for x, y in [(float(box.get("x")), float(box.get("y")))]
    ]
    assert len(words) == len(busy.nodes) - 1 < len(boxes)
    assert not any(area.meets(box) for area in words.values() for box in boxes)


def test_neighbours_behind_one_box_stand_side_by_side(busy, check_apart):
    at = {text.partition(": ")[2]: area.left for text, area in check_apart(busy.draw().svg).items()}
    order = sorted(range(len(busy.nodes) - 1), key=lambda number: at[f"node {number}"])
    boxes = len([place for place in busy.places if place.kind == Kind.NAT])
    assert order == sorted(order, key=lambda number: number % boxes)


def test_a_box_is_as_wide_as_its_name_and_a_tunnel_is_told(check_apart):
    lab = Lab(7)
    exit_, home = lab.nat("home", name="exit"), lab.nat("home")
    lab.host("somebody whose name needs some room, yes", behind=home, vpn=exit_)
    lab.host("somebody else whose name needs some, too", behind=exit_)
    assert any("tunnel through home" in words for words in check_apart(lab.draw().svg))
