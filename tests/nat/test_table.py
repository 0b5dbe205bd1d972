"""The table of a box: what it remembers, what it forgets, and that no flood makes it walk through what lives."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingCreated, MappingEnded
from natlab.nat import Behaviour, Drop, NatBox, NatConfig, PortAllocation
from natlab.nat.mapping import Session, mapping_key
from natlab.nat.table import Table
from natlab.packet import Flag, IPProtocol, Packet

UDP, TCP = IPProtocol.UDP, IPProtocol.TCP
EI, AD, APD = Behaviour
HOST, OTHER_HOST = Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.3", 4001)
EXTERNAL = Endpoint("11.0.0.1", 4001)
R, R_OTHER_PORT = Endpoint("12.0.0.1", 9000), Endpoint("12.0.0.1", 9001)
SECOND = 1_000_000_000


def spoken_to(*sessions: tuple[Endpoint, int], filtering: Behaviour = AD) -> Table:
    """A table with one mapping and these sessions, each with its end."""
    table = Table("box", NatConfig(filtering=filtering), Journal(()))
    mapping = table.add(mapping_key(EI, UDP, HOST, R), EXTERNAL, 0)
    for remote, expires in sessions:
        table.set_expiry(table.begin(mapping, remote, remote, 0), expires, 0)
    return table


def admitting(table: Table, remote: Endpoint, now: int) -> Session | None:
    return table.admitting(UDP, EXTERNAL, remote, now)


def test_of_several_sessions_the_oldest_that_lives_admits_and_those_before_it_are_forgotten() -> None:
    table = spoken_to((R, 10), (Endpoint(R.ip, 1), 30), (Endpoint(R.ip, 2), 40))
    first, second = admitting(table, R_OTHER_PORT, 9), admitting(table, R_OTHER_PORT, 10)
    assert first is not None and second is not None
    assert (first.remote.port, second.remote.port, len(table.outward), len(table.inward)) == (9000, 1, 2, 2)


@pytest.mark.parametrize("filtering", Behaviour)
def test_nobody_is_admitted_once_the_time_is_over_nor_elsewhere(filtering: Behaviour) -> None:
    table = spoken_to((R, 10), filtering=filtering)
    assert admitting(table, R, 9) is not None
    assert table.admitting(UDP, Endpoint("11.0.0.1", 4002), R, 9) is table.admitting(TCP, EXTERNAL, R, 9) is None
    assert admitting(table, R, 10) is None
    assert not table.outward


def test_a_mapping_that_is_over_is_told_of_with_what_its_last_session_was() -> None:
    """Though it was a stranger's packet that noticed."""
    journal = Journal()
    box = make_box(journal=journal)
    box.outbound(Packet(TCP, HOST, R, flags=Flag.SYN), 0)
    box.inbound(Packet(TCP, R, EXTERNAL, flags=Flag.SYN | Flag.ACK), 0)
    assert isinstance(box.inbound(Packet(TCP, R_OTHER_PORT, EXTERNAL, flags=Flag.SYN), 7440 * SECOND), Drop)
    (ended,) = journal.of(MappingEnded)
    assert (ended.time, ended.reason) == (7440, "idle: its TCP connection was silent for 7440 s")


def test_a_mapping_whose_only_conversation_another_host_takes_over_ends_then() -> None:
    journal = Journal()
    box = make_box(journal=journal, mapping=APD, port_allocation=PortAllocation.OVERLOADING)
    for n in range(5):
        box.outbound(Packet(UDP, Endpoint(f"192.168.1.{n + 2}", 4001), R), n * SECOND)
    assert [event.time for event in journal.of(MappingEnded)] == [1, 2, 3, 4]
    assert journal.of(MappingEnded)[0].reason == (
        "overloading: 192.168.1.3:4001 talks to 12.0.0.1:9000 from the same external port now"
    )
    arrived = box.inbound(Packet(UDP, R, EXTERNAL), 5 * SECOND)
    assert isinstance(arrived, Packet) and arrived.destination.ip == "192.168.1.6"


def test_a_port_forward_outlives_a_conversation_that_another_host_takes_over() -> None:
    box = make_box(mapping=APD, port_allocation=PortAllocation.OVERLOADING)
    box.forward(UDP, EXTERNAL, HOST, 0)
    box.outbound(Packet(UDP, HOST, R), 1)
    box.outbound(Packet(UDP, OTHER_HOST, R), 2)
    assert box.has_forward(UDP, HOST, 3)


def test_an_earlier_port_forward_is_used_again_when_a_later_one_is_taken_back() -> None:
    box = make_box()
    first, second = Endpoint("11.0.0.1", 5000), Endpoint("11.0.0.1", 6000)
    for external in (first, second):
        box.forward(UDP, external, HOST, 0)
    assert box.external_of(UDP, HOST, 1) == second
    box.unforward(UDP, second, 2)
    assert box.external_of(UDP, HOST, 3) == first
    box.unforward(UDP, first, 4)
    assert box.external_of(UDP, HOST, 5) is None


def test_everything_is_gone_when_everything_is_over() -> None:
    """No index keeps what another has forgotten."""
    box = make_box(filtering=AD, port_allocation=PortAllocation.OVERLAPPING, mapping=APD, checks_sequence_numbers=True)
    box.forward(UDP, Endpoint("11.0.0.1", 5000), HOST, 0, until=SECOND)
    for n in range(50):
        box.outbound(Packet(UDP, Endpoint("192.168.1.2", 4000 + n % 3), Endpoint("12.0.0.1", n + 1)), 0)
        box.inbound(Packet(UDP, Endpoint("13.0.0.1", n + 1), Endpoint("11.0.0.1", 5000)), 0)
    table = box._table
    kept = [value for value in vars(table).values() if isinstance(value, dict)]
    assert len(kept) == 9 and all(kept)
    box.expire(10**6 * SECOND)
    assert not any(kept)


# ---- floods


def make_box(journal: Journal | None = None, **axes: object) -> NatBox:
    return NatBox("box", NatConfig(**axes), "11.0.0.1", random.Random(1), journal or Journal(()))  # type: ignore[arg-type]


def steps(work: Callable[[], object]) -> int:
    """Lines of the box that ran: the same on every computer."""
    lines = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        is_ours = frame.f_globals["__name__"].startswith("natlab.")  # not a callback of the garbage collector
        return trace if is_ours else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def remote(n: int) -> Endpoint:
    return Endpoint(f"13.{n >> 8}.{n & 255}.1", 9)


@pytest.mark.parametrize(
    ("sentence", "axes", "outward", "inward"),
    [
        ("strangers whom filtering admits", {"filtering": EI}, [R], [remote(n) for n in range(600)]),
        ("ports of one remote", {"filtering": AD}, [R], [Endpoint(R.ip, n + 1) for n in range(600)]),
        ("strangers to a port that has many mappings", {"mapping": APD, "filtering": APD},
         [remote(n) for n in range(600)], [Endpoint("14.0.0.1", n + 1) for n in range(600)]),
        ("strangers to a port that many mappings overlap at",
         {"mapping": APD, "filtering": APD, "port_allocation": PortAllocation.OVERLAPPING},
         [remote(n) for n in range(600)], [Endpoint("14.0.0.1", n + 1) for n in range(600)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_last_packet_of_a_flood_costs_no_more_than_the_first(
    sentence: str, axes: dict[str, object], outward: list[Endpoint], inward: list[Endpoint]
) -> None:
    box = make_box(**axes)
    sent = [steps(lambda to=to: box.outbound(Packet(UDP, HOST, to), 0)) for to in outward]  # type: ignore[misc]
    came = [steps(lambda by=by: box.inbound(Packet(UDP, by, EXTERNAL), 1)) for by in inward]  # type: ignore[misc]
    assert len(sent) == 1 or sent[-1] <= sent[1]
    assert came[-1] <= came[1]


def test_the_journal_of_a_flood_is_balanced() -> None:
    journal = Journal((MappingCreated, MappingEnded))
    box = make_box(journal, mapping=APD, port_allocation=PortAllocation.OVERLOADING, session_limit=100)
    for n in range(1000):
        box.outbound(Packet(UDP, Endpoint(f"192.168.{n >> 8}.{n & 255}", 4001), remote(n % 7)), n)
    assert len(journal.of(MappingCreated)) - len(journal.of(MappingEnded)) == len(box._table.mappings) == 7
