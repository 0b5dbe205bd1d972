"""The checks of the exercises: the right answer is right, others get a hint that does not give it away."""

from __future__ import annotations

import math

import pytest

from natlab.errors import UnreachableError
from natlab.events import MessageSeen
from natlab.lab import Lab, checks, firewalls_and_nats, hard_nats, port_reuse, which_nat
from natlab.lab.scenes import two_behind_nats
from natlab.lab.six_packets import check_filtering, check_table, six_packets
from natlab.lab.udp_timers import check_keepalive

HARD = {"mapping": "address-and-port-dependent", "port_allocation": "random"}


@pytest.fixture(scope="module")
def refused() -> Lab:
    """Bob has dialled Alice's observed address in vain."""
    lab = Lab(7)
    relay = lab.node("relay")
    alice, bob = lab.node("alice", behind=lab.nat("home")), lab.node("bob", behind=lab.nat("office"))
    lab.run(alice.dial(relay))
    with pytest.raises(UnreachableError):
        lab.run(bob.dial(f"{alice.observed_addresses[0]}/p2p/{alice.peer_id}"))
    return lab


def test_where_it_ended(refused):
    assert checks.where_it_ended(refused, "home").right
    for wrong in ("office", "alice", "?", None):
        answer = checks.where_it_ended(refused, wrong)
        assert not answer.right and repr(answer).startswith("Not yet. ")
    assert "run the dial first" in checks.where_it_ended(Lab(), "home").words


def test_dial_time():
    lab = two_behind_nats(7)
    (sync,) = [seen.time for seen in lab.journal.of(MessageSeen) if seen.name == "SYNC" and seen.sent]
    assert repr(checks.dial_time(lab, sync + 0.040)).startswith("Right. ")
    assert "dials alone" in checks.dial_time(lab, sync).words
    assert "round trip" in checks.dial_time(lab, 1.0).words
    assert "SYNC" in checks.dial_time(lab, None).words
    assert "no SYNC" in checks.dial_time(Lab(), 1.0).words
    for odd in (10**400, -1, math.nan, True):
        assert "a time in seconds" in checks.dial_time(lab, odd).words


@pytest.mark.parametrize("none", [None, "?", 5])
def test_no_lab_gets_a_hint(none):
    assert "Hand over the lab" in checks.where_it_ended(none, "home").words
    assert "Hand over the lab" in checks.dial_time(none, 1.0).words


@pytest.mark.parametrize("filtering", ["address-dependent", "endpoint-independent"])
def test_a_more_liberal_filtering_rescues_the_punch(filtering):
    assert checks.rescues(7, HARD, {"filtering": filtering}).right


@pytest.mark.parametrize(
    "home, hint",
    [
        ({}, "Which rule"),
        (None, "Which rule"),
        ({"filtering": "address-and-port-dependent"}, "another port"),
        ({"filtering": "nonsense"}, "endpoint-independent"),
        ({"mapping": "endpoint-independent"}, "only her box's filtering"),
    ],
)
def test_other_answers_get_a_hint(home, hint):
    answer = checks.rescues(7, HARD, home)
    assert not answer.right and hint in answer.words


ODD = [None, "?", 5, 1.5, True, [], ["x"], [None], {}, {"x": 1}, {5: 1}, ("a", "b"), b"x", object()]
SIX = six_packets(7)
CHECKS = {
    "rescues": lambda answer: checks.rescues(7, HARD, answer),
    "boxes": which_nat.check_boxes,
    "disguise": lambda answer: which_nat.check_disguise(7, answer),
    "sharing": port_reuse.check_sharing,
    "refused": port_reuse.check_refused,
    "let in": lambda answer: port_reuse.check_let_in(7, answer),
    "pairs": lambda answer: hard_nats.check_pairs(7, answer),
    "change": lambda answer: hard_nats.check_change(7, answer),
    "block": hard_nats.check_block,
    "comparison": firewalls_and_nats.check_comparison,
    "neighbour": lambda answer: firewalls_and_nats.check_neighbour(7, answer),
    "keepalive": lambda answer: check_keepalive(7, "linux", answer),
    "filtering": lambda answer: check_filtering(7, answer),
    "table": lambda answer: check_table(SIX, answer, {1: 1}),
    "rows": lambda answer: check_table(SIX, [("alice:5000", 5000)], answer),
    "row": lambda answer: check_table(SIX, [answer], {1: 1}),
    "port": lambda answer: check_table(SIX, [("alice:5000", answer)], {1: 1}),
    "not the six packets": lambda answer: check_table(Lab(1), [], {}),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_an_answer_of_any_kind_gets_a_hint(check):
    for odd in ODD:
        feedback = check(odd)
        assert not feedback.right and feedback.words


def test_the_first_lessons_checks_take_any_answer_too(refused):
    punched = two_behind_nats(7)
    for odd in ODD:
        assert not checks.where_it_ended(refused, odd).right and not checks.dial_time(punched, odd).right
