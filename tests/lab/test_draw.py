"""The map of a lab."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from natlab.errors import LabError
from natlab.events import Journal
from natlab.lab.draw import draw
from natlab.lab.views import reachability

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
