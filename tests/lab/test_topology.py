"""What is connected to what."""

from __future__ import annotations

import pytest

from natlab.lab.topology import Kind, Place, Topology


@pytest.fixture
def nested() -> Topology:
    return Topology(
        [
            Place("isp", Kind.NAT, "11.0.0.1"),
            Place("home", Kind.NAT, "192.168.1.2", "isp"),
            Place("alice", Kind.NODE, "192.168.2.2", "home"),
            Place("relay", Kind.NODE, "12.0.0.1"),
        ]
    )


def test_the_way_out_leads_through_every_nat(nested):
    assert nested.way_out("alice") == ["alice", "home", "isp"] and nested.way_out("relay") == ["relay"]


def test_in_line_puts_the_public_in_the_middle(topology, nested):
    assert topology.in_line(["bob", "relay", "alice"]) == ["bob", "office", "relay", "home", "alice"]
    assert nested.in_line(["relay", "alice"]) == ["alice", "home", "isp", "relay"]
    assert nested.in_line(["alice"], core=True) == ["alice", "home", "isp", "internet"]


def test_two_behind_one_nat_share_its_line():
    places = [Place(name, Kind.NODE, ip, "home") for name, ip in (("alice", "192.168.1.2"), ("bob", "192.168.1.3"))]
    assert Topology([Place("home", Kind.NAT, "11.0.0.1"), *places]).in_line(["alice", "bob"]) == [
        "alice",
        "home",
        "bob",
    ]


def test_two_behind_one_nat_stand_together_where_somebody_is_public():
    places = [Place(name, Kind.HOST, ip, "home") for name, ip in (("alice", "192.168.1.2"), ("carol", "192.168.1.3"))]
    topology = Topology([Place("home", Kind.NAT, "11.0.0.1"), *places, Place("bob", Kind.HOST, "12.0.0.1")])
    assert topology.in_line(["alice", "bob", "carol"]) == ["alice", "carol", "home", "bob"]
    assert topology.in_line(["carol", "alice"], core=True) == ["carol", "alice", "home", "internet"]


def test_the_internet_is_a_place_but_not_one_that_was_built(topology):
    assert topology["internet"].kind == Kind.CORE and "internet" not in [place.name for place in topology]
