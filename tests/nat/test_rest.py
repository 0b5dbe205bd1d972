"""Ports that rest before they are given out again; what a box does with it: test_axes.py."""

from natlab.endpoint import Endpoint
from natlab.nat.rest import Rest
from natlab.packet import IPProtocol

UDP, TCP = int(IPProtocol.UDP), int(IPProtocol.TCP)
PORT, OTHER = Endpoint("11.0.0.1", 5000), Endpoint("11.0.0.1", 5001)


def test_an_endpoint_rests_for_one_protocol_from_the_end_of_its_mapping_on() -> None:
    rest = Rest(120)
    rest.begin(UDP, PORT, 300)
    assert [rest.has(UDP, PORT, now) for now in (300, 419, 420)] == [True, True, False]
    assert not rest.has(TCP, PORT, 300) and not rest.has(UDP, OTHER, 300)


def test_without_a_duration_nothing_rests_and_nothing_is_remembered() -> None:
    rest = Rest(0)
    rest.begin(UDP, PORT, 300)
    assert not rest.has(UDP, PORT, 300) and not rest._until


def test_it_forgets_what_has_rested_or_all_of_it() -> None:
    rest = Rest(120)
    rest.begin(UDP, PORT, 0)
    rest.begin(UDP, OTHER, 100)
    rest.expire(120)
    assert list(rest._until) == [(UDP, OTHER)]
    rest.clear()
    assert not rest.has(UDP, OTHER, 120)
