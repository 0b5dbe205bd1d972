"""Port allocation (RFC 4787 section 4.2.1)."""

from __future__ import annotations

import random

import pytest

from natlab.endpoint import Endpoint
from natlab.nat.config import PortAllocation
from natlab.nat.ports import DYNAMIC_PORTS, allocate, random_free_port

HOST, OTHER = Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.3", 4001)
PRESERVING, RANDOM = PortAllocation


@pytest.mark.parametrize(
    ("sentence", "held", "preserved"),
    [
        ("a free port is preserved", {}, True),
        ("a port of one's own is preserved again", {4001: HOST}, True),
        ("RFC 4787 REQ-3: a port of another is never shared", {4001: OTHER}, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_preserving(sentence: str, held: dict[int, Endpoint], preserved: bool) -> None:
    port = allocate(PRESERVING, HOST, held.get, random.Random(1))
    assert (port == HOST.port) is preserved
    assert port in DYNAMIC_PORTS


def test_random_ignores_the_internal_port_and_shares_nothing_even_with_itself() -> None:
    rng = random.Random(1)
    held: dict[int, Endpoint] = {}
    for _ in range(1000):
        port = allocate(RANDOM, HOST, held.get, rng)
        assert port not in held and port in DYNAMIC_PORTS
        held[port] = HOST
    assert len(held) == 1000


def test_the_last_free_port_is_found_from_anywhere() -> None:
    for seed in range(20):
        assert random_free_port(lambda port: port == 1024, random.Random(seed)) == 1024


def test_the_same_seed_gives_the_same_ports() -> None:
    ports = [[random_free_port(lambda _: True, rng) for _ in range(5)] for rng in (random.Random(7), random.Random(7))]
    assert ports[0] == ports[1]
    assert ports[0] != [random_free_port(lambda _: True, random.Random(8))] * 5
