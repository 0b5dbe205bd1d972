"""The checks of the exercises: the right answer is right, others get a hint that does not give it away."""

from __future__ import annotations

import pytest

from natlab.errors import UnreachableError
from natlab.events import MessageSeen
from natlab.lab import Lab, checks
from natlab.lab.scenes import two_behind_nats

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
