"""The lesson's scenes show what it says, and its checks hint at the first thing that is wrong."""

from __future__ import annotations

import pytest

from natlab.lab.hard_nats import (
    PAIRS,
    carrier,
    check_block,
    check_change,
    check_pairs,
    hairpins,
    layers,
    neighbours,
    ports_seen,
    rivals,
)
from natlab.lab.punch_grid import BOXES, rule
from natlab.lab.raw_punch import Outcome, punch


def test_ports_that_can_be_foreseen_and_ports_that_cannot():
    table = ports_seen(7)
    counted, drawn, kept = (table.loc[way] for way in ("sequential", "random", "preserving"))
    assert list(counted - counted.iloc[0]) == [0, 1, 2]
    assert drawn.nunique() == 3 and set(drawn.diff().dropna()) != {1}
    assert set(kept) == {4001}


def test_a_prediction_holds_until_the_neighbour_sends():
    assert list(neighbours(7, [0, 1, 4]).outcome) == ["crossed", "nobody", "nobody"]
    assert list(neighbours(7, [0, 2], aim=3).outcome) == ["nobody", "crossed"]


def test_preserved_ports_hold_until_two_want_one():
    alone, _ = rivals(7, neighbour=False)
    with_carol, lab = rivals(7, neighbour=True)
    assert (alone, with_carol) == (Outcome.CROSSED, Outcome.NOBODY)
    owners = lab.mappings.query("external == '11.0.0.1:4001'").internal
    assert set(owners) == {"192.168.1.3:4001"}


def test_two_boxes_filter_and_map_like_the_stricter():
    table = layers(7, [("full-cone", None), ("full-cone", "home"), ("home", "mobile"), ("symmetric", "cgnat")])
    independent, dependent = "endpoint-independent", "address-and-port-dependent"
    assert list(table.mapping) == [independent, independent, dependent, dependent]
    assert list(table.filtering) == [independent, dependent, dependent, dependent]


@pytest.mark.parametrize(
    ("transport", "without_routers"), [("udp", "each is reached"), ("tcp", "nobody")], ids=["udp", "tcp"]
)
def test_neighbours_of_one_carrier_need_its_hairpinning(transport, without_routers):
    """With the internal source the answer does not come from where it was asked: TCP does not know it, UDP may."""
    table = hairpins(7, transport)
    assert list(table["each behind a router"]) == ["nobody", "nobody", "crossed"]
    assert list(table["no routers"]) == ["nobody", without_routers, "crossed"]


def test_both_are_seen_at_the_carriers_own_address():
    lab = carrier(7, "external-source")
    assert punch(lab, "udp", gap=0.01).outcome == Outcome.CROSSED
    boxes = lab.mappings.set_index("box").external
    assert boxes["home"].startswith("100.64.") and {ip.split(":")[0] for ip in boxes["carrier"]} == {"11.0.0.1"}


def test_the_pairs_of_the_exercise_are_those_of_the_rule():
    boxes = {str(box): box for box in BOXES}
    meet = "".join(letter for letter, pair in PAIRS.items() if rule(*map(boxes.get, pair)) != Outcome.NOBODY)
    assert check_pairs(7, meet).right and meet == "ABD"


@pytest.mark.parametrize(
    ("letters", "hint"),
    [("?", "Write the letters"), ("", "Write the letters"), ("AX", "there are A, B"), ("A", "at B")],
)
def test_other_pairs_get_a_hint(letters, hint):
    feedback = check_pairs(7, letters)
    assert not feedback.right and hint in feedback.words


@pytest.mark.parametrize(
    ("axes", "right", "hint"),
    [
        (None, False, "one axis"),
        ({"filtering": "endpoint-independent", "mapping": "endpoint-independent"}, False, "One axis is enough"),
        ({"filtering": "address-dependent"}, False, "still do not meet"),
        ({"port_allocation": "sequential"}, False, "still do not meet"),
        ({"port_allocation": "lucky"}, False, "lucky"),
        ({"filtering": "endpoint-independent"}, True, "alice is reached"),
        ({"mapping": "endpoint-independent"}, True, "crossed"),
        ({"port_allocation": "preserving"}, True, "crossed"),
    ],
)
def test_one_axis_of_hers(axes, right, hint):
    feedback = check_change(7, axes)
    assert feedback.right == right and hint in feedback.words


@pytest.mark.parametrize(
    ("probes", "right", "hint"),
    [
        (None, False, "whole number"),
        (True, False, "whole number"),
        (0, False, "whole number"),
        (2, False, "45%"),
        (3, True, "59%"),
        (4, False, "fewest"),
    ],
)
def test_a_block_of_ports(probes, right, hint):
    feedback = check_block(probes)
    assert feedback.right == right and hint in feedback.words
