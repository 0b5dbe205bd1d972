"""What holds for every NAT box and every run of packets (hypothesis), whatever its configuration."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingCreated, MappingEnded
from natlab.nat import Behaviour, Drop, Hairpinning, NatBox, NatConfig, Pooling, PortAllocation, UdpRefresh
from natlab.nat.filtering import filter_key
from natlab.packet import Flag, IcmpKind, IPProtocol, Packet, icmp_error

SYN = int(Flag.SYN)
SECOND = 1_000_000_000
BOX = ["11.0.0.1", "11.0.0.2", "11.0.0.3"]
HOSTS = [Endpoint(f"192.168.1.{n}", port) for n in (2, 3) for port in (4001, 4002)]
REMOTES = [Endpoint(f"1{n}.0.0.1", port) for n in (2, 3) for port in (9000, 9001)]
TIMEOUT = 100
PROTOCOLS = st.sampled_from([IPProtocol.UDP, IPProtocol.TCP])
LIMITS = ("limit", "ports", "no room")  # how the reasons begin for which a box that has run out may drop


@st.composite
def configs(draw: st.DrawFn) -> NatConfig:
    """Any axes that do not contradict each other, all timers the same."""
    allocation = draw(st.sampled_from(PortAllocation))
    pooling = draw(st.sampled_from(Pooling))
    overlaps = allocation is PortAllocation.OVERLAPPING
    return NatConfig(
        mapping=Behaviour.ADDRESS_AND_PORT_DEPENDENT if overlaps else draw(st.sampled_from(Behaviour)),
        filtering=draw(st.sampled_from(Behaviour)),
        port_allocation=allocation,
        port_stride=draw(st.integers(1, 3)) if allocation is PortAllocation.SEQUENTIAL else 1,
        port_parity=draw(st.booleans()),
        port_range=draw(st.sampled_from([None, (4000, 4007)])),
        port_block=draw(st.sampled_from([None, 4])) if pooling is Pooling.PAIRED else None,
        external_addresses=draw(st.integers(1, len(BOX))),
        pooling=pooling,
        udp_timeout=TIMEOUT,
        udp_unanswered_timeout=TIMEOUT,
        udp_stream_after=draw(st.sampled_from([0, 20])),
        udp_refresh=draw(st.sampled_from(UdpRefresh)),
        tcp_established_timeout=TIMEOUT,
        tcp_transitory_timeout=TIMEOUT,
        hairpinning=draw(st.sampled_from(Hairpinning)),
        strays_take_ports=overlaps and draw(st.booleans()),
        mappings_per_host=draw(st.sampled_from([None, 2])),
        session_limit=draw(st.sampled_from([4, 32_768])),
    )


@dataclass(frozen=True)
class Move:
    """One packet: out from a host, or in from a remote to one of the external endpoints seen so far."""

    wait: int
    outbound: bool
    host: Endpoint
    remote: Endpoint
    target: int
    flags: int


flags = st.sampled_from([int(f) for f in (Flag.SYN, Flag.SYN | Flag.ACK, Flag.ACK, Flag.FIN, Flag.RST)])
waits, hosts, remotes = st.integers(0, TIMEOUT // 2), st.sampled_from(HOSTS), st.sampled_from(REMOTES)
moves = st.lists(st.builds(Move, waits, st.booleans(), hosts, remotes, st.integers(0, 5), flags), max_size=40)


@dataclass(frozen=True)
class Passed:
    """A packet that went through the box, at a time in seconds."""

    at: int
    before: Packet
    after: Packet
    outbound: bool


def make_box(config: NatConfig, journal: Journal) -> NatBox:
    return NatBox("box", config, BOX[0], random.Random(1), journal, BOX[1 : config.external_addresses])


def play(box: NatBox, protocol: IPProtocol, script: list[Move]) -> list[Passed]:
    passed: list[Passed] = []
    seen: list[Endpoint] = []
    now = 0
    for move in script:
        now += move.wait
        external = seen[move.target % len(seen)] if seen else Endpoint(BOX[0], 4001)
        ends = (move.host, move.remote) if move.outbound else (move.remote, external)
        before = Packet(protocol, *ends, flags=move.flags)
        after = (box.outbound if move.outbound else box.inbound)(before, now * SECOND)
        if isinstance(after, Packet):
            passed.append(Passed(now, before, after, move.outbound))
            if move.outbound:
                seen.append(after.source)
    return passed


def owners(journal: Journal, overlapping: bool) -> list[tuple[tuple[str, ...], Endpoint, float, float]]:
    """What each mapping holds, who has it, from when to when. Where ports overlap, it is a port towards one remote."""
    ended = {event.mapping: event.time for event in journal.of(MappingEnded)}
    return [
        ((e.protocol, str(e.external), e.remote if overlapping else ""), e.internal, e.time, ended[e.mapping])
        for e in journal.of(MappingCreated)
    ]


@settings(max_examples=200, deadline=None)
@given(configs(), PROTOCOLS, moves)
def test_no_two_internal_endpoints_hold_one_external_endpoint_at_a_time_unless_it_is_overloaded(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    journal = Journal()
    box = make_box(config, journal)
    play(box, protocol, script)
    box.expire(10**6 * SECOND)
    lives = owners(journal, config.port_allocation is PortAllocation.OVERLAPPING)
    for i, (held_a, internal_a, _, ended_a) in enumerate(lives):
        for held_b, internal_b, made_b, _ in lives[i + 1 :]:  # b was made later
            if held_a == held_b and internal_a != internal_b:
                assert made_b >= ended_a or config.port_allocation is PortAllocation.OVERLOADING


@settings(max_examples=200, deadline=None)
@given(configs(), moves)
def test_nothing_passes_that_filtering_refuses_or_that_is_over(config: NatConfig, script: list[Move]) -> None:
    passed = play(make_box(config, Journal(())), IPProtocol.UDP, script)
    open_until: dict[tuple[Endpoint, Endpoint, object], int] = {}  # internal, external, key of the remote
    for packet in passed:
        before, after = packet.before, packet.after
        if packet.outbound:
            key = filter_key(config.filtering, after.destination)
            open_until[before.source, after.source, key] = packet.at + TIMEOUT
        else:
            way = after.destination, before.destination, filter_key(config.filtering, before.source)
            assert packet.at < open_until.get(way, 0)
            if config.udp_refresh is not UdpRefresh.OUTBOUND:
                open_until[way] = packet.at + TIMEOUT


@settings(max_examples=200, deadline=None)
@given(configs(), PROTOCOLS, moves, remotes)
def test_what_is_over_passes_nothing(
    config: NatConfig, protocol: IPProtocol, script: list[Move], remote: Endpoint
) -> None:
    box = make_box(config, Journal(()))
    passed = play(box, protocol, script)
    now = (sum(move.wait for move in script) + TIMEOUT) * SECOND
    for packet in passed:
        if packet.outbound:
            assert isinstance(box.inbound(Packet(protocol, remote, packet.after.source, flags=SYN), now), Drop)


@settings(max_examples=200, deadline=None)
@given(configs(), PROTOCOLS, moves, hosts, remotes)
def test_translation_inverts(
    config: NatConfig, protocol: IPProtocol, script: list[Move], host: Endpoint, remote: Endpoint
) -> None:
    box = make_box(config, Journal(()))
    play(box, protocol, script)
    now = sum(move.wait for move in script) * SECOND
    out = box.outbound(Packet(protocol, host, remote, flags=SYN), now)
    if isinstance(out, Drop):
        assert out.reason.startswith(LIMITS)
        return
    assert isinstance(out, Packet) and out.source.ip in BOX[: config.external_addresses]
    back = box.inbound(Packet(protocol, out.destination, out.source), now)
    assert isinstance(back, Packet)
    assert (back.source, back.destination) == (remote, host)


@settings(max_examples=20, deadline=None)
@given(configs(), PROTOCOLS, st.integers(1, 3))
def test_floods_from_both_sides_fill_no_more_than_the_limits(
    config: NatConfig, protocol: IPProtocol, seed: int
) -> None:
    journal = Journal((MappingCreated, MappingEnded))
    box = make_box(config, journal)
    chance = random.Random(seed)
    passed = 0
    for n in range(300):
        stranger = Endpoint(f"{chance.randint(11, 99)}.0.0.1", n + 1)
        target = Endpoint(chance.choice(box.external_ips), chance.choice([4001, *range(4000, 4010)]))
        inside = Endpoint(f"192.168.1.{chance.randint(2, 250)}", chance.randint(1, 65535))
        passed += isinstance(
            box.outbound(Packet(protocol, inside, chance.choice([stranger, target]), flags=SYN), n), Packet
        )
        passed += isinstance(box.inbound(Packet(protocol, stranger, target, flags=SYN), n), Packet)
        living = len(journal.of(MappingCreated)) - len(journal.of(MappingEnded))
        assert living <= config.session_limit
    if config.session_limit == 4:
        assert passed <= 2 * 4  # each session's first packet, and at most its answer


@settings(max_examples=100, deadline=None)
@given(configs(), PROTOCOLS, moves)
def test_the_same_seed_gives_the_same_packets_and_the_same_journal(
    config: NatConfig, protocol: IPProtocol, script: list[Move]
) -> None:
    first, second = Journal(), Journal()
    assert play(make_box(config, first), protocol, script) == play(make_box(config, second), protocol, script)
    assert first.events == second.events


@settings(max_examples=200, deadline=None)
@given(configs(), PROTOCOLS, moves, hosts, remotes)
def test_an_icmp_error_is_about_what_its_receiver_has_sent_and_leaves_no_trace(
    config: NatConfig, protocol: IPProtocol, script: list[Move], host: Endpoint, remote: Endpoint
) -> None:
    journal = Journal()
    box = make_box(config, journal)
    play(box, protocol, script)
    now = sum(move.wait for move in script) * SECOND
    sent = Packet(protocol, host, remote, flags=SYN)
    out = box.outbound(sent, now)
    if isinstance(out, Drop):
        return
    assert isinstance(out, Packet)
    answer = Packet(protocol, out.destination, out.source)
    back = box.inbound(answer, now)
    assert isinstance(back, Packet)
    before = list(journal.events)
    for verb, packet, quoted, to in ((box.inbound, out, sent, host), (box.outbound, back, answer, remote)):
        error = icmp_error(IcmpKind.TIME_EXCEEDED, "99.0.0.1", packet)
        assert error is not None
        arrived = verb(error, now)
        assert isinstance(arrived, Packet) and arrived.quoted == quoted and arrived.destination.ip == to.ip
    assert journal.events == before
