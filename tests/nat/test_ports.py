"""Port allocation (RFC 4787 section 4.2), port blocks (RFC 7422)."""

from __future__ import annotations

import random

import pytest

from natlab.endpoint import Endpoint
from natlab.nat.config import NatConfig
from natlab.nat.pool import DYNAMIC_PORTS, Pool
from natlab.nat.ports import Ports, random_free_port

BOX = "11.0.0.1"
HOST, OTHER = Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.3", 4001)


class Allocation:
    """The ports of a box on which nothing ends."""

    def __init__(self, **axes: object) -> None:
        config = NatConfig(**axes)  # type: ignore[arg-type]
        self.ports = Ports(config, random.Random(1))
        self.pool = Pool(config, [BOX], random.Random(1))
        self.held: dict[Endpoint, Endpoint] = {}

    def port(self, internal: Endpoint = HOST) -> int | None:
        external = self.ports.allocate(internal, self.pool.share_of(internal.ip), self.held.get)
        if external is not None:
            self.held[external] = internal
        return external and external.port


@pytest.mark.parametrize(
    ("sentence", "allocation", "holder", "port"),
    [
        ("a free port is preserved", "preserving", None, 4001),
        ("a port of one's own is preserved again", "preserving", HOST, 4001),
        ("RFC 4787 REQ-3: a port of another is never shared", "preserving", OTHER, "another"),
        ("without a second choice there is none", "preserving-or-drop", OTHER, None),
        ("but the first is the same", "preserving-or-drop", HOST, 4001),
        ("overloading shares it: RFC 4787 REQ-3 and RFC 5382 REQ-7 forbid that", "overloading", OTHER, 4001),
        ("random ignores it", "random", None, "another"),
        ("so does sequential", "sequential", None, "another"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_which_port(sentence: str, allocation: str, holder: Endpoint | None, port: int | str | None) -> None:
    ports = Allocation(port_allocation=allocation)
    if holder:
        ports.held[Endpoint(BOX, HOST.port)] = holder
    given = ports.port()
    assert given == port if port != "another" else given in DYNAMIC_PORTS and given != HOST.port


def test_rfc_4787_req_3a_a_low_port_becomes_a_low_one() -> None:
    ports = Allocation(port_allocation="random")
    assert all(1 <= (ports.port(HOST._replace(port=500)) or 0) < 1024 for _ in range(100))
    ranged = Allocation(port_allocation="random", port_range=(4000, 4010))
    assert 4000 <= (ranged.port(HOST._replace(port=500)) or 0) <= 4010


def test_random_shares_nothing_even_with_itself() -> None:
    ports = Allocation(port_allocation="random")
    assert len({ports.port() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("stride", [1, 2, 7])
def test_sequential_ports_are_a_stride_apart_so_that_the_third_can_be_told_from_two(stride: int) -> None:
    ports = Allocation(port_allocation="sequential", port_stride=stride)
    a, b, c = (ports.port(host) for host in (HOST, OTHER, HOST))
    assert a and b and c
    assert (b - a, c - b) == (stride, stride)


def test_sequential_ports_skip_what_is_held_and_go_around() -> None:
    ports = Allocation(port_allocation="sequential", port_range=(5000, 5004))
    ports.held[Endpoint(BOX, 5002)] = OTHER
    given = [ports.port() for _ in range(5)]
    assert sorted(port for port in given if port) == [5000, 5001, 5003, 5004]
    assert given[-1] is None  # RFC 4787 section 4.2: none is left, and none is taken away


@pytest.mark.parametrize("allocation", ["random", "sequential", "preserving"])
def test_rfc_4787_req_4_even_stays_even_and_odd_stays_odd(allocation: str) -> None:
    ports = Allocation(port_allocation=allocation, port_parity=True)
    for n in range(50):
        internal = Endpoint(HOST.ip, 5000 + n // 2)
        port = ports.port(internal)
        assert port is not None and port % 2 == internal.port % 2


@pytest.mark.parametrize("allocation", ["random", "sequential"])
def test_a_range_with_no_port_of_that_parity_gives_none(allocation: str) -> None:
    ports = Allocation(port_allocation=allocation, port_parity=True, port_range=(5001, 5001))
    assert (ports.port(Endpoint(HOST.ip, 5)), ports.port(Endpoint(HOST.ip, 4))) == (5001, None)


def test_a_range_holds_for_preserved_ports_too_and_its_end_is_the_end() -> None:
    ports = Allocation(port_range=(20_000, 20_009))
    given = [ports.port() for _ in range(11)]
    assert sorted(port for port in given if port) == list(range(20_000, 20_010)) and given[-1] is None


def test_rfc_4787_req_3_a_well_known_port_is_preserved_where_no_range_forbids() -> None:
    assert Allocation().port(Endpoint(HOST.ip, 53)) == 53


def test_rfc_7422_a_block_for_each_subscriber_told_from_its_address_alone() -> None:
    ports = Allocation(port_allocation="random", port_block=100)
    blocks = {}
    for n in range(2, 12):
        internal = Endpoint(f"192.168.1.{n}", 4001)
        given = [port for port in (ports.port(internal) for _ in range(101)) if port]
        assert len(given) == 100 and max(given) - min(given) == 99  # the block is full, the 101st gets nothing
        blocks[internal.ip] = min(given)
    assert len(set(blocks.values())) == 10
    again = Allocation(port_allocation="sequential", port_block=100)
    assert all(0 <= (again.port(Endpoint(ip, 1)) or 0) - first < 100 for ip, first in blocks.items())


def test_the_last_free_port_is_found_from_anywhere() -> None:
    for seed in range(20):
        assert random_free_port(lambda port: port == 1024, random.Random(seed)) == 1024


def test_the_same_seed_gives_the_same_ports() -> None:
    ports = [[random_free_port(lambda _: True, rng) for _ in range(5)] for rng in (random.Random(7), random.Random(7))]
    assert ports[0] == ports[1]
    assert ports[0] != [random_free_port(lambda _: True, random.Random(8))] * 5
