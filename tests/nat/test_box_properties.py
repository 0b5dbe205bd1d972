"""What holds for every NAT box and every run of packets (hypothesis)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingCreated, MappingEnded
from natlab.nat import Behaviour, NatBox, NatConfig, PortAllocation
from natlab.nat.filtering import filter_key
from natlab.packet import Flag, IPProtocol, Packet

SYN = int(Flag.SYN)
SECOND = 1_000_000_000
BOX = "11.0.0.1"
HOSTS = [Endpoint(f"192.168.1.{n}", port) for n in (2, 3) for port in (4001, 4002)]
REMOTES = [Endpoint(f"1{n}.0.0.1", port) for n in (2, 3) for port in (9000, 9001)]
TIMEOUT = 100

configs = st.builds(
    NatConfig,
    mapping=st.sampled_from(Behaviour),
    filtering=st.sampled_from(Behaviour),
    port_allocation=st.sampled_from(PortAllocation),
    udp_timeout=st.just(TIMEOUT),
    udp_unanswered_timeout=st.just(TIMEOUT),
    tcp_established_timeout=st.just(TIMEOUT),
    tcp_transitory_timeout=st.just(TIMEOUT),
)
flags = st.sampled_from([int(f) for f in (Flag.SYN, Flag.SYN | Flag.ACK, Flag.ACK, Flag.FIN, Flag.RST)])


@dataclass(frozen=True)
class Move:
    """One packet: out from a host, or in from a remote to one of the external endpoints seen so far."""

    wait: int
    outbound: bool
    host: Endpoint
    remote: Endpoint
    target: int
    flags: int


moves = st.lists(
    st.builds(
        Move,
        wait=st.integers(0, TIMEOUT // 2),
        outbound=st.booleans(),
        host=st.sampled_from(HOSTS),
        remote=st.sampled_from(REMOTES),
        target=st.integers(0, 5),
        flags=flags,
    ),
    max_size=40,
)


@dataclass(frozen=True)
class Passed:
    """A packet that went through the box, at a time in seconds."""

    at: int
    before: Packet
    after: Packet
    outbound: bool


def play(box: NatBox, protocol: IPProtocol, script: list[Move]) -> list[Passed]:
    passed: list[Passed] = []
    seen: list[Endpoint] = []
    now = 0
    for move in script:
        now += move.wait
        external = seen[move.target % len(seen)] if seen else Endpoint(BOX, 4001)
        ends = (move.host, move.remote) if move.outbound else (move.remote, external)
        before = Packet(protocol, *ends, flags=move.flags)
        after = (box.outbound if move.outbound else box.inbound)(before, now * SECOND)
        if isinstance(after, Packet):
            passed.append(Passed(now, before, after, move.outbound))
            if move.outbound:
                seen.append(after.source)
    return passed


def make_box(config: NatConfig, journal: Journal) -> NatBox:
    return NatBox("box", config, BOX, random.Random(1), journal)


def owners(journal: Journal) -> list[tuple[str, Endpoint, Endpoint, float, float]]:
    ended = {event.mapping: event.time for event in journal.of(MappingEnded)}
    return [(e.protocol, e.external, e.internal, e.time, ended[e.mapping]) for e in journal.of(MappingCreated)]


@settings(max_examples=300, deadline=None)
@given(configs, st.sampled_from([IPProtocol.UDP, IPProtocol.TCP]), moves)
def test_no_two_internal_endpoints_hold_one_external_endpoint_at_a_time(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    journal = Journal()
    box = make_box(config, journal)
    play(box, protocol, script)
    box.expire(10**6 * SECOND)
    lives = owners(journal)
    for i, (protocol_a, external_a, internal_a, _, ended_a) in enumerate(lives):
        for protocol_b, external_b, internal_b, made_b, _ in lives[i + 1 :]:  # b was made later
            if (protocol_a, external_a) == (protocol_b, external_b) and internal_a != internal_b:
                assert made_b >= ended_a


@settings(max_examples=300, deadline=None)
@given(configs, moves)
def test_nothing_passes_that_filtering_refuses_or_that_is_over(config: NatConfig, script: list[Move]) -> None:
    passed = play(make_box(config, Journal(())), IPProtocol.UDP, script)
    for i, packet in enumerate(passed):
        if packet.outbound:
            continue
        key = filter_key(config.filtering, packet.before.source)
        assert any(
            sent.outbound
            and sent.at > packet.at - TIMEOUT
            and sent.after.source == packet.before.destination
            and sent.before.source == packet.after.destination
            and filter_key(config.filtering, sent.after.destination) == key
            for sent in passed[:i]
        )


@settings(max_examples=300, deadline=None)
@given(
    configs, st.sampled_from([IPProtocol.UDP, IPProtocol.TCP]), moves, st.sampled_from(HOSTS), st.sampled_from(REMOTES)
)
def test_translation_inverts(
    config: NatConfig, protocol: IPProtocol, script: list[Move], host: Endpoint, remote: Endpoint
) -> None:
    box = make_box(config, Journal(()))
    play(box, protocol, script)
    now = sum(move.wait for move in script) * SECOND
    out = box.outbound(Packet(protocol, host, remote, flags=SYN), now)
    assert isinstance(out, Packet)
    back = box.inbound(Packet(protocol, out.destination, out.source), now)
    assert isinstance(back, Packet)
    assert (back.source, back.destination) == (remote, host)


@settings(max_examples=100, deadline=None)
@given(configs, st.sampled_from([IPProtocol.UDP, IPProtocol.TCP]), moves)
def test_the_same_seed_gives_the_same_packets_and_the_same_journal(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    first, second = Journal(), Journal()
    assert play(make_box(config, first), protocol, script) == play(make_box(config, second), protocol, script)
    assert first.events == second.events
