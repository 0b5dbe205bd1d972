"""The lesson's scenes show what they claim, and its checks hint at the first thing that is wrong."""

from __future__ import annotations

import pytest

from natlab import Lab
from natlab.errors import UnreachableError
from natlab.events import PacketSeen, Verdict
from natlab.lab.firewalls_and_nats import (
    check_comparison,
    check_neighbour,
    grid,
    intervals,
    neighbour,
    outcome,
    seen_from,
    three_packets,
    together,
    two_behind,
    where_after_silence,
)
from natlab.lab.udp_timers import conformance
from natlab.lab.which_nat import verdicts

RIGHT = {"A": "both", "B": "firewall", "C": "both", "D": "NAT", "E": "NAT"}


def arrivals(lab, place):
    return [seen for seen in lab.journal.of(PacketSeen) if (seen.place, seen.verdict) == (place, Verdict.DELIVERED)]


@pytest.mark.parametrize(("box", "translated"), [("firewall", False), ("home", True)])
def test_a_firewall_and_a_nat_let_the_same_packets_in(box, translated):
    lab = three_packets(7, box)
    assert [len(arrivals(lab, who)) for who in ("alice", "bob", "carol")] == [1, 1, 0]
    (dropped,) = [seen for seen in lab.journal.of(PacketSeen) if seen.verdict is Verdict.DROPPED]
    assert dropped.place == box and dropped.reason.startswith("filtering (address-and-port-dependent)")
    (mapping,) = lab.mappings.itertuples()
    assert (mapping.internal != mapping.external) == translated


@pytest.mark.parametrize("box", ["firewall", "home", "office"])
def test_dave_tells_where_he_sees_somebody(box):
    couple = two_behind(7, box, box)
    seen = seen_from(couple, couple.alice)
    (mapping,) = couple.lab.mappings.itertuples()
    assert mapping.external == str(seen)
    assert (seen == couple.alice.local) == (box == "firewall")


def test_a_firewall_names_filtering_for_a_port_that_somebody_uses():
    lab, alice, bob, *_ = two_behind(7, "firewall", "firewall")
    lab.run(alice.send("hello", bob))
    lab.advance(1.0)
    assert lab.packets.iloc[-1].reason.startswith("filtering")


def test_dials_at_once_make_one_connection():
    lab = two_behind(7, "firewall", "firewall").lab
    alice, bob = lab.hosts["alice"], lab.hosts["bob"]
    ends = lab.run(together(alice.dial(f"{bob.ip}:9", from_port=9), bob.dial(f"{alice.ip}:9", from_port=9)))
    assert [end.local for end in ends] == [end.remote for end in reversed(ends)]


def test_over_ipv6_two_routers_are_firewalls_and_nobody_is_asked_for_an_address():
    lab = two_behind(7, "home", "symmetric", ipv6=True).lab
    alice, bob = lab.hosts["alice"], lab.hosts["bob"]
    dials = alice.dial(f"[{bob.ip6}]:9", from_port=9), bob.dial(f"[{alice.ip6}]:9", from_port=9)
    assert [end.local.ip for end in lab.run(together(*dials))] == [alice.ip6, bob.ip6]
    assert (lab.mappings.internal == lab.mappings.external).all()


def test_who_meets_whom():
    """One side's packets must reach the endpoint that was observed for the other (facts of real go-libp2p agree)."""
    table = grid(7, ["firewall", "office", "symmetric"])
    assert table.loc["firewall"].to_list() == ["they meet", "they meet", "they miss"]
    assert table.loc["office"].to_list() == ["they meet", "they meet", "they meet"]
    assert table.loc["symmetric"].to_list() == ["they miss", "they meet", "they miss"]


def test_intervals_end_at_the_timer():
    table = intervals(7, "linux", [10, 30, 31])
    assert table.let_in.to_list() == [True, True, False] and table.packets_an_hour.to_list() == [360, 120, 116]


def test_after_a_silence_only_a_box_with_random_ports_moves():
    table = where_after_silence(7, ["firewall", "home", "office"])
    assert table.same.to_list() == [True, True, False]
    assert table.before.str.rsplit(":").str[0].nunique() == 2  # NATs at one address, the firewall's host at its own


@pytest.mark.parametrize(("box", "reached"), [("office", [True, True]), ("firewall", [True, False])])
def test_a_neighbour_shares_the_address_behind_a_nat_only(box, reached):
    lab = neighbour(7, box, box).lab
    late = [seen for seen in arrivals(lab, "alice") if seen.time > 1.0]
    assert [any(seen.time < 1.15 for seen in late), any(seen.time > 1.15 for seen in late)] == reached


def test_a_ping_in_words():
    async def fails():
        raise UnreachableError("nobody there")

    async def works():
        return 0.04

    lab = Lab(7)
    assert lab.run(outcome(works())) == "answered after 40 ms"
    assert lab.run(outcome(fails())) == "no answer: nobody there"


@pytest.mark.parametrize(
    ("answers", "right", "hint"),
    [
        ({}, False, "For A write"),
        (dict.fromkeys("ABCDE", "?"), False, "For A write"),
        (RIGHT | {"A": "NAT"}, False, "again at A"),
        (RIGHT | {"B": "both"}, False, "again at B"),
        (RIGHT | {"C": "NAT"}, False, "again at C"),
        (RIGHT | {"E": "both"}, False, "again at E"),
        (RIGHT, True, "trick"),
    ],
)
def test_the_comparison(answers, right, hint):
    feedback = check_comparison(answers)
    assert feedback.right == right and hint in feedback.words


@pytest.mark.parametrize(
    ("axes", "right", "hint"),
    [
        (None, False, "share"),
        ({"mapping": "address-dependent"}, False, "filtering alone"),
        ({"filtering": "open"}, False, "one of"),
        ({"filtering": "endpoint-independent"}, False, "Carol still gets in"),
        ({"filtering": "address-and-port-dependent"}, True, "port"),
    ],
)
def test_keeping_the_neighbour_out(axes, right, hint):
    feedback = check_neighbour(7, axes)
    assert feedback.right == right and hint in feedback.words


@pytest.mark.parametrize("verb", [together, outcome])
def test_what_is_no_verb_is_told_how_one_looks(verb):
    for given, hint in ((5, "not 5"), (Lab, r"call it, Lab\(...\)")):
        with pytest.raises(ValueError, match=f"{verb.__name__} takes what a verb returns.*{hint}"):
            Lab(1).run(verb(given))


@pytest.mark.parametrize("wrong", [0, -5, 0.5, "x"])
def test_an_interval_is_a_whole_number_of_seconds(wrong):
    with pytest.raises(ValueError, match="whole number, 1 or more"):
        intervals(7, "linux", [wrong])


@pytest.mark.parametrize("table", [grid, where_after_silence, conformance, verdicts])
def test_one_preset_is_put_in_a_list(table):
    with pytest.raises(ValueError, match=r"\['home'\] if it is one"):
        table(7, "home")


def test_whoever_asks_again_is_told_again_whatever_came_meanwhile():
    couple = two_behind(7, "home", "home")
    lab, alice, bob = couple[:3]
    at_alice, at_bob = seen_from(couple, alice), seen_from(couple, bob)
    for sender, to in ((alice, at_bob), (bob, at_alice), (alice, at_bob)):
        lab.run(sender.send("hello", to))
        lab.advance(0.1)
    assert (seen_from(couple, alice), seen_from(couple, bob)) == (at_alice, at_bob)
