"""Timers as stories: packets, and when the mapping ends after them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingEnded
from natlab.nat import PRESETS, Behaviour, Drop, NatBox, NatConfig, UdpRefresh
from natlab.packet import Flag, IPProtocol, Packet

SECOND = 1_000_000_000
HOST, REMOTE, EXTERNAL = Endpoint("192.168.1.2", 4001), Endpoint("12.0.0.1", 9000), Endpoint("11.0.0.1", 4001)
SYN, ACK, FIN, RST = int(Flag.SYN), int(Flag.ACK), int(Flag.FIN), int(Flag.RST)
LINUX = PRESETS["linux"]
INBOUND = NatConfig(udp_refresh=UdpRefresh.INBOUND)
BOTH = NatConfig(udp_refresh=UdpRefresh.BOTH)
SHORT_LONG = {"udp_timeout": 120, "udp_unanswered_timeout": 30}


@dataclass(frozen=True)
class Story:
    """Packets as (seconds, "out" or "in", TCP flags), and the second at which the mapping is over."""

    requirement: str
    sentence: str
    config: NatConfig
    packets: list[tuple[float, str] | tuple[float, str, int]]
    over: float
    protocol: IPProtocol = field(default=IPProtocol.UDP)


def tcp(requirement: str, sentence: str, config: NatConfig, then: list[tuple[float, str, int]], over: float) -> Story:
    """A story after a handshake from inside at 0 s."""
    handshake = [(0, "out", SYN), (0, "in", SYN | ACK), (0, "out", ACK)]
    return Story(requirement, sentence, config, [*handshake, *then], over, IPProtocol.TCP)


CLOSING = NatConfig(tcp_closing_timeout=60, tcp_last_ack_timeout=5, tcp_time_wait_timeout=20, tcp_reset_timeout=10)
STORIES = [
    Story("RFC 4787 REQ-6", "refreshed by outbound: an inbound datagram changes nothing", NatConfig(),
          [(0, "out"), (200, "in")], 300),
    Story("RFC 4787 REQ-6", "refreshed by both: it starts the timer again", BOTH, [(0, "out"), (200, "in")], 500),
    Story("RFC 4787 REQ-6", "refreshed by both: so does an outbound one", BOTH, [(0, "out"), (200, "out")], 500),
    Story("RFC 4787 REQ-6", "violated by inbound refresh: who only talks loses the mapping", INBOUND,
          [(0, "out"), (100, "out"), (299, "out")], 300),
    Story("RFC 4787 section 4.3", "inbound refresh: who only listens keeps it", INBOUND,
          [(0, "out"), (299, "in"), (598, "in")], 898),
    Story("RFC 4787 REQ-5", "the answer earns the long timer, counted from the last outbound datagram",
          NatConfig(**SHORT_LONG), [(0, "out"), (10, "in")], 120),
    Story("RFC 4787 REQ-5", "without an answer the short timer runs, however often the host sends",
          NatConfig(**SHORT_LONG), [(0, "out"), (10, "out")], 40),
    Story("RFC 4787 REQ-5", "refreshed by both, the answer itself starts the long timer",
          NatConfig(udp_refresh=UdpRefresh.BOTH, **SHORT_LONG), [(0, "out"), (10, "in")], 130),
    Story("Linux 6.18", "one datagram: 30 s", LINUX, [(0, "out")], 30),
    Story("Linux 6.18", "the answer starts the 30 s again", LINUX, [(0, "out"), (0.5, "in")], 30.5),
    Story("Linux 6.18", "a late answer earns no more than an early one", LINUX, [(0, "out"), (3, "in")], 33),
    Story("Linux 6.18", "the next datagram does, from inside", LINUX, [(0, "out"), (3, "in"), (3.2, "out")], 123.2),
    Story("Linux 6.18", "or from outside", LINUX, [(0, "out"), (3, "in"), (4.1, "in")], 124.1),
    Story("Linux 6.18", "within two seconds all is one exchange", LINUX,
          [(0, "out"), (0.1, "in"), (0.2, "out"), (1.2, "in"), (1.8, "out")], 31.8),
    Story("Linux 6.18", "after two seconds it is a conversation", LINUX,
          [(0, "out"), (0.1, "in"), (1.8, "in"), (2.2, "in")], 122.2),
    Story("Linux 6.18", "without an answer it never is", LINUX, [(0, "out"), (3, "out"), (5, "out")], 35),
    tcp("RFC 5382 REQ-5", "established: two hours and four minutes", NatConfig(), [], 7440),
    tcp("RFC 6146", "by default a FIN of one side alone changes nothing", NatConfig(), [(1, "out", FIN | ACK)], 7441),
    tcp("RFC 7857 section 2", "by default an RST starts the four minutes", NatConfig(), [(1, "in", RST)], 241),
    tcp("RFC 5382 REQ-5", "one FIN: the closing timer", CLOSING, [(1, "out", FIN | ACK)], 61),
    tcp("RFC 5382 REQ-5", "which both directions start again", CLOSING, [(1, "out", FIN | ACK), (50, "in", ACK)], 110),
    tcp("RFC 5382 REQ-5", "a FIN of each: closing", CLOSING, [(1, "in", FIN | ACK), (2, "out", FIN | ACK)], 7),
    tcp(
        "RFC 5382 section 5", "and an ACK: TIME_WAIT", CLOSING,
        [(1, "in", FIN | ACK), (2, "out", FIN | ACK), (3, "in", ACK), (4, "out", ACK)], 24,
    ),
    tcp("RFC 5382 REQ-5", "an RST: its own timer", CLOSING, [(1, "in", RST | ACK)], 11),
    tcp("Linux 6.18", "ten seconds after an RST", LINUX, [(1, "in", RST | ACK)], 11),
    tcp("Linux 6.18", "five days of silence", LINUX, [], 432_000),
]  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.requirement}: {story.sentence}")
def test_when_a_mapping_is_over(story: Story) -> None:
    journal = Journal()
    box = NatBox("box", story.config, EXTERNAL.ip, random.Random(1), journal)
    for at, direction, *flags in story.packets:
        ends = (HOST, REMOTE) if direction == "out" else (REMOTE, EXTERNAL)
        translate = box.outbound if direction == "out" else box.inbound
        packet = Packet(story.protocol, *ends, flags=flags[0] if flags else 0)
        assert isinstance(translate(packet, round(at * SECOND)), Packet)
    box.expire(10**9 * SECOND)
    (ended,) = journal.of(MappingEnded)
    assert ended.time == pytest.approx(story.over)


def ended_because(config: NatConfig, *packets: Packet) -> str:
    journal = Journal()
    box = NatBox("box", config, EXTERNAL.ip, random.Random(1), journal)
    for packet in packets:
        passed = (box.outbound if packet.source == HOST else box.inbound)(packet, 5 * SECOND)
        assert not isinstance(passed, Drop)
    box.expire(10**9 * SECOND)
    return journal.of(MappingEnded)[0].reason


def test_a_reason_names_what_was_missing_and_how_long() -> None:
    hello, answer = Packet(IPProtocol.UDP, HOST, REMOTE), Packet(IPProtocol.UDP, REMOTE, EXTERNAL)
    assert ended_because(INBOUND, hello) == "idle: nothing was received through it for 300 s"
    assert ended_because(LINUX, hello, answer) == "idle: nothing passed through it for 30 s"
    assert ended_because(NatConfig(**SHORT_LONG), hello) == "idle: nothing was sent through it for 30 s"
    assert ended_because(NatConfig(**SHORT_LONG), hello, answer) == "idle: nothing was sent through it for 120 s"
    syn, syn_ack = Packet(IPProtocol.TCP, HOST, REMOTE, flags=SYN), Packet(IPProtocol.TCP, REMOTE, EXTERNAL, flags=SYN)
    fin = Packet(IPProtocol.TCP, HOST, REMOTE, flags=FIN)
    closed = ended_because(CLOSING, syn, syn_ack, fin)
    assert closed == "closing: one side of its TCP connection was over, the other silent for 60 s"


def test_a_stranger_that_is_let_in_keeps_the_door_open_where_inbound_refreshes() -> None:
    box = NatBox("box", NatConfig(filtering=Behaviour.ENDPOINT_INDEPENDENT, udp_refresh="both"), EXTERNAL.ip,
                 random.Random(1), Journal(()))  # type: ignore[arg-type] # fmt: skip
    box.outbound(Packet(IPProtocol.UDP, HOST, REMOTE), 0)
    stranger = Packet(IPProtocol.UDP, Endpoint("66.0.0.1", 6), EXTERNAL)
    assert all(isinstance(box.inbound(stranger, at * 299 * SECOND), Packet) for at in range(1, 10))
