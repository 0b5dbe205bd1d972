"""One raw punch, looked at packet by packet; the table of all pairs is in test_punch_grid.py."""

from __future__ import annotations

import math

import pytest

from natlab.errors import LabError
from natlab.lab import Lab
from natlab.lab.raw_punch import Outcome, punch, two_hosts

SYMMETRIC = {
    "mapping": "address-and-port-dependent",
    "filtering": "address-and-port-dependent",
    "port_allocation": "random",
}
HOME = {"port_allocation": "random"}


def packets(lab, place, verdict):
    return lab.packets.query("place == @place and verdict == @verdict")


def test_tcp_syns_cross_and_nobody_accepts():
    lab = two_hosts(1, HOME, HOME)
    assert punch(lab, "tcp") == (Outcome.CROSSED, pytest.approx(0.040))
    assert [list(lab.hosts[name].sockets.made_by) for name in ("alice", "bob")] == [["listen", "dial", "dial"]] * 2


def test_udp_knocks_cross_and_all_are_answered():
    lab = two_hosts(1, HOME, HOME)
    assert punch(lab, "udp") == (Outcome.CROSSED, pytest.approx(0.040))
    for name in ("alice", "bob"):
        received = packets(lab, name, "delivered").query("protocol == 'UDP'")
        assert len(received) == 1 + 3 + 3  # the observer's word, knocks, answers


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_who_is_reached_answers_to_where_it_came_from(transport):
    lab = two_hosts(1, SYMMETRIC, {"filtering": "address-dependent", **HOME})
    assert punch(lab, transport).outcome == Outcome.BOB
    came_from = {source for source in packets(lab, "bob", "delivered").source if source.startswith("11.")}
    answered = set(packets(lab, "bob", "sent").destination)
    assert came_from and came_from < answered


def test_no_packet_carries_the_endpoints():
    """They are told out of band: but for the observer's, there is no packet before the first SYN to the other."""
    lab = two_hosts(1, HOME, HOME)
    punch(lab, "tcp")
    sent = lab.packets.query("verdict == 'sent' and place in ('alice', 'bob')")
    to_the_other = sent[~sent.destination.str.startswith("13.")]
    assert list(to_the_other["flags"][:2]) == ["SYN", "SYN"] and to_the_other.index[0] > sent.index[4]


def test_nobody_meets_and_no_time_is_told():
    outcome, seconds = punch(two_hosts(1, SYMMETRIC, SYMMETRIC, record=()), "tcp")
    assert outcome == Outcome.NOBODY and math.isnan(seconds)


def test_a_connection_that_is_cut_off_at_once_is_none():
    """Alice's SYN is welcome, but Bob's own SYN, sent meanwhile, puts him in quarantine at hers."""
    home = {"filtering": "address-dependent", "mapping": "address-dependent", "quarantine": 300.0, **HOME}
    office = {"filtering": "endpoint-independent", **HOME}
    lab = two_hosts(1, home, office)
    assert punch(lab, "tcp", gap=0.030).outcome == Outcome.NOBODY
    assert "dial" in list(lab.hosts["alice"].sockets.made_by)[2:], "her dial did connect"


def test_a_lab_without_the_three_says_whom_it_lacks():
    lab = Lab(1)
    lab.host("alice")
    with pytest.raises(LabError, match="bob, observer"):
        punch(lab, "udp")


def test_the_same_seed_gives_the_same_journal():
    first, second = (two_hosts(5, {"filtering": "address-dependent", **HOME}, SYMMETRIC) for _ in range(2))
    assert punch(first, "tcp") == punch(second, "tcp")
    assert first.journal.events == second.journal.events


def test_bob_may_aim_above_the_reported_port():
    """A box that counts gives the next destination the next port."""
    home = {**SYMMETRIC, "port_allocation": "sequential"}
    outcomes = [punch(two_hosts(1, home, HOME), "udp", aim=aim).outcome for aim in (0, 1, 2)]
    assert outcomes == [Outcome.NOBODY, Outcome.CROSSED, Outcome.NOBODY]


def test_a_pause_passes_before_the_first_packet_to_the_other():
    lab = two_hosts(1, HOME, HOME)
    punch(lab, "udp", pause=10.0)
    assert (lab.packets.query("place == 'alice' and verdict == 'sent'").time.diff().max()) > 10


@pytest.mark.parametrize("first", ["tcp", "udp"])
def test_the_same_two_may_punch_again(first):
    lab = two_hosts(1, HOME, HOME)
    assert [punch(lab, transport).outcome for transport in (first, "udp", "tcp", "tcp")] == [Outcome.CROSSED] * 4


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [({"pause": -1}, "pause= is"), ({"gap": math.inf}, "gap= is"), ({"aim": 99_999}, "a port is a number")],
    ids=str,
)
def test_what_cannot_be_is_refused(wrong, hint):
    with pytest.raises(ValueError, match=hint):
        punch(two_hosts(1, HOME, HOME), "udp", **wrong)
