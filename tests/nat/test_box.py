"""What a NAT box does with packets, as tables whose rows are sentences and whose ids are requirements of the RFCs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingCreated, MappingEnded, MappingRefreshed
from natlab.nat import PRESETS, Behaviour, Drop, NatBox, NatConfig, PortAllocation, UnsolicitedSyn
from natlab.packet import Flag, IPProtocol, Packet

UDP, TCP = IPProtocol.UDP, IPProtocol.TCP
SYN, ACK, FIN, RST = int(Flag.SYN), int(Flag.ACK), int(Flag.FIN), int(Flag.RST)
EI, AD, APD = Behaviour
BOX = "11.0.0.1"
HOST = Endpoint("192.168.1.2", 4001)
OTHER_HOST = Endpoint("192.168.1.3", 4001)
R1 = Endpoint("12.0.0.1", 9000)
R1_OTHER_PORT = Endpoint("12.0.0.1", 9001)
R2 = Endpoint("13.0.0.1", 9000)
SECOND = 1_000_000_000


def make_box(config: NatConfig, journal: Journal | None = None) -> NatBox:
    return NatBox("box", config, BOX, random.Random(1), journal or Journal(()))


def random_ports(**axes: object) -> NatConfig:
    return NatConfig(port_allocation=PortAllocation.RANDOM, **axes)  # type: ignore[arg-type]


# The two axes: all nine pairs, for both protocols

PAIRS = pytest.mark.parametrize(("mapping", "filtering"), [(m, f) for m in Behaviour for f in Behaviour])
PROTOCOLS = pytest.mark.parametrize("protocol", [UDP, TCP], ids=["UDP", "TCP"])


@PAIRS
@PROTOCOLS
def test_mapping_gives_one_external_endpoint_for_each_key(
    protocol: IPProtocol, mapping: Behaviour, filtering: Behaviour
) -> None:
    box = make_box(random_ports(mapping=mapping, filtering=filtering))
    seen = {box.outbound(Packet(protocol, HOST, to, flags=SYN), 0).source for to in (R1, R1_OTHER_PORT, R2)}  # type: ignore[union-attr]
    assert len(seen) == {EI: 1, AD: 2, APD: 3}[mapping]


@PAIRS
@PROTOCOLS
def test_filtering_admits_those_with_the_key_of_one_that_was_sent_to(
    protocol: IPProtocol, mapping: Behaviour, filtering: Behaviour
) -> None:
    box = make_box(random_ports(mapping=mapping, filtering=filtering))
    sent = box.outbound(Packet(protocol, HOST, R1, flags=SYN), 0)
    assert isinstance(sent, Packet)
    admitted = {
        remote
        for remote in (R1, R1_OTHER_PORT, R2)
        if isinstance(box.inbound(Packet(protocol, remote, sent.source, flags=SYN), 1), Packet)
    }
    assert admitted == {EI: {R1, R1_OTHER_PORT, R2}, AD: {R1, R1_OTHER_PORT}, APD: {R1}}[filtering]


@PAIRS
@PROTOCOLS
def test_a_reply_to_an_admitted_packet_leaves_by_the_mapping_it_came_in_by(
    protocol: IPProtocol, mapping: Behaviour, filtering: Behaviour
) -> None:
    box = make_box(random_ports(mapping=mapping, filtering=filtering))
    first = box.outbound(Packet(protocol, HOST, R1, flags=SYN), 0)
    box.outbound(Packet(protocol, HOST, R2, flags=SYN), 0)  # R2 may have a mapping of its own
    assert isinstance(first, Packet)
    for remote in (R1, R1_OTHER_PORT, R2):
        arrived = box.inbound(Packet(protocol, remote, first.source, flags=SYN), 1)
        if isinstance(arrived, Packet):
            reply = box.outbound(Packet(protocol, HOST, arrived.source, flags=SYN | ACK), 2)
            assert isinstance(reply, Packet)
            assert (reply.source, reply.destination) == (first.source, remote)


# One rule a row: a story of packets with their times in seconds


@dataclass(frozen=True)
class Step:
    """A packet, and what becomes of it: it passes, or is dropped for a reason that contains `refused`."""

    at: float
    remote: Endpoint = R1
    host: Endpoint = HOST
    flags: int = 0
    refused: str = ""


class Out(Step):
    pass


class In(Step):
    """Aimed at the external endpoint of the latest outbound packet."""


@dataclass(frozen=True)
class Row:
    requirement: str
    sentence: str
    protocol: IPProtocol
    config: NatConfig
    steps: list[Step] = field(default_factory=list)


RFC = NatConfig(filtering=APD)
LINUX = PRESETS["linux"]
ROWS = [
    Row(
        "RFC 4787 REQ-5", "a UDP mapping lives for its timer", UDP, RFC,
        [Out(0), In(299.999999)],
    ),
    Row(
        "RFC 4787 REQ-5", "a UDP mapping is over when its timer has run out", UDP, RFC,
        [Out(0), In(300, refused="no mapping")],
    ),
    Row(
        "RFC 4787 REQ-6", "an outbound datagram starts the timer again", UDP, RFC,
        [Out(0), Out(200), In(499)],
    ),
    Row(
        "RFC 4787 REQ-6", "an inbound datagram does not: a stranger can keep nothing open", UDP, RFC,
        [Out(0), In(200), In(300, refused="no mapping")],
    ),
    Row(
        "RFC 4787 REQ-6", "what was spoken to long ago is forgotten, even while the mapping lives on", UDP, RFC,
        [Out(0, R1), Out(299, R2), In(299.5, R1), In(300, R1, refused="address-and-port-dependent"), In(300, R2)],
    ),
    Row(
        "RFC 4787 REQ-9", "a packet to the box's own address is dropped by a box that does not hairpin", UDP,
        replace(RFC, hairpinning=None),
        [Out(0, Endpoint(BOX, 4001), refused="hairpinning")],
    ),
    Row(
        "RFC 4787 REQ-5", "Linux gives a remote that has not answered 30 s", UDP, LINUX,
        [Out(0), In(30, refused="no mapping")],
    ),
    Row(
        "RFC 4787 REQ-8", "an admitted stranger cannot prolong its own admission", UDP, NatConfig(filtering=AD),
        [Out(0, R1), In(200, R1_OTHER_PORT), In(299, R1_OTHER_PORT), In(300, R1_OTHER_PORT, refused="no mapping")],
    ),
    Row(
        "RFC 4787 REQ-8", "an answer to an admitted stranger does", UDP, NatConfig(filtering=AD),
        [Out(0, R1), In(200, R1_OTHER_PORT), Out(299, R1_OTHER_PORT), In(400, R1_OTHER_PORT)],
    ),
    Row(
        "RFC 4787 REQ-8", "its first datagram is no answer, and earns it no longer timer", UDP,
        NatConfig(filtering=AD, udp_timeout=120, udp_unanswered_timeout=30),
        [Out(0, R1), In(10, R1_OTHER_PORT), In(30, R1_OTHER_PORT, refused="no mapping")],
    ),
    Row(
        "RFC 5382 REQ-3", "an admitted stranger's SYNs cannot prolong its own admission", TCP, NatConfig(filtering=AD),
        [Out(0, R1, flags=SYN), In(200, R1_OTHER_PORT, flags=SYN), In(239, R1_OTHER_PORT, flags=SYN),
         In(240, R1_OTHER_PORT, flags=SYN, refused="no mapping")],
    ),
    Row(
        "RFC 5382 REQ-1", "only a SYN opens a mapping", TCP, RFC,
        [Out(0, flags=ACK, refused="only a SYN"), Out(0, flags=SYN | ACK, refused="only a SYN")],
    ),
    Row(
        "RFC 5382 REQ-2", "a handshake opens: SYN, SYN ACK, ACK", TCP, RFC,
        [Out(0, flags=SYN), In(0.04, flags=SYN | ACK), Out(0.04, flags=ACK), In(7440, flags=ACK)],
    ),
    Row(
        "RFC 5382 REQ-2", "a simultaneous open opens: SYN, SYN, SYN ACK, SYN ACK", TCP, RFC,
        [Out(0, flags=SYN), In(0.02, flags=SYN), Out(0.02, flags=SYN | ACK), In(0.04, flags=SYN | ACK),
         In(7440, flags=ACK)],
    ),
    Row(
        "RFC 5382 REQ-4", "a refused SYN gets silence; when the host dials at last, its repetition passes", TCP, RFC,
        [Out(0, R2, flags=SYN), In(0, R1, flags=SYN, refused="filtering"), Out(1, R1, flags=SYN),
         In(1.02, R1, flags=SYN)],
    ),
    Row(
        "RFC 5382 REQ-5", "a SYN that nobody answers is forgotten after 240 s", TCP, RFC,
        [Out(0, flags=SYN), In(240, flags=SYN | ACK, refused="no mapping")],
    ),
    Row(
        "RFC 5382 REQ-5", "an established connection may be silent for 7440 s", TCP, RFC,
        [Out(0, flags=SYN), In(0, flags=SYN | ACK), Out(0, flags=ACK), Out(7439, flags=ACK), In(14878, flags=ACK)],
    ),
    Row(
        "RFC 5382 REQ-5", "then the box forgets it, and the host's next segment goes nowhere", TCP, RFC,
        [Out(0, flags=SYN), In(0, flags=SYN | ACK), Out(7440, flags=ACK, refused="no TCP session")],
    ),
    Row(
        "RFC 5382 REQ-5", "packets of either direction keep an established connection", TCP, RFC,
        [Out(0, flags=SYN), In(0, flags=SYN | ACK), In(7000, flags=ACK), In(14000, flags=ACK), Out(21000, flags=ACK)],
    ),
    Row(
        "RFC 5382 REQ-5", "after one FIN the other direction may go on", TCP, RFC,
        [Out(0, flags=SYN), In(0, flags=SYN | ACK), Out(1, flags=FIN | ACK), In(5000, flags=ACK)],
    ),
    Row(
        "RFC 5382 REQ-5", "after both FINs the transitory timer runs", TCP, RFC,
        [Out(0, flags=SYN), In(0, flags=SYN | ACK), Out(1, flags=FIN | ACK), In(2, flags=FIN | ACK),
         Out(2, flags=ACK), In(242, flags=ACK, refused="no mapping")],
    ),
    Row(
        "RFC 5382 REQ-5", "after an RST from outside the transitory timer runs", TCP, RFC,
        [Out(0, flags=SYN), In(0, flags=SYN | ACK), In(2, flags=RST), In(242, flags=ACK, refused="no mapping")],
    ),
    Row(
        "RFC 5382 REQ-5", "a SYN after the end is a new connection, as when a hole punch is tried again", TCP, RFC,
        [Out(0, flags=SYN), In(0, flags=SYN | ACK), In(2, flags=RST), Out(200, flags=SYN), In(201, flags=SYN | ACK),
         In(7640, flags=ACK)],
    ),
    Row(
        "RFC 5382 REQ-5", "one connection's end does not end the mapping of another", TCP, RFC,
        [Out(0, R1, flags=SYN), In(0, R1, flags=SYN | ACK), Out(0, R2, flags=SYN), In(0, R2, flags=SYN | ACK),
         In(1, R1, flags=RST), In(7439, R2, flags=ACK), In(7439, R1, flags=ACK, refused="filtering")],
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.requirement}: {row.sentence}")
def test_rule(row: Row) -> None:
    box = make_box(row.config)
    external = Endpoint(BOX, HOST.port)
    for step in row.steps:
        ends = (step.host, step.remote) if isinstance(step, Out) else (step.remote, external)
        translate = box.outbound if isinstance(step, Out) else box.inbound
        result = translate(Packet(row.protocol, *ends, flags=step.flags), round(step.at * SECOND))
        if step.refused:
            assert isinstance(result, Drop) and step.refused in result.reason, f"{step}: {result}"
            assert result.reply is None
        else:
            assert isinstance(result, Packet), f"{step}: {result}"
            external = result.source if isinstance(step, Out) else external


# Ports


def external_port(box: NatBox, host: Endpoint, remote: Endpoint, at: float = 0) -> int:
    sent = box.outbound(Packet(UDP, host, remote), round(at * SECOND))
    assert isinstance(sent, Packet)
    return sent.source.port


def test_rfc_4787_req_3_a_taken_port_is_not_shared_the_second_host_gets_another_for_every_destination() -> None:
    box = make_box(NatConfig())
    assert external_port(box, HOST, R1) == 4001
    second = external_port(box, OTHER_HOST, R1)
    assert second != 4001
    assert external_port(box, OTHER_HOST, R2) == second


def test_a_port_is_free_again_when_its_mapping_is_over() -> None:
    box = make_box(NatConfig())
    assert external_port(box, HOST, R1) == 4001
    assert external_port(box, OTHER_HOST, R1, at=300) == 4001


def test_a_mapping_that_is_over_is_made_anew_with_another_random_port() -> None:
    journal = Journal()
    box = make_box(random_ports(), journal)
    assert external_port(box, HOST, R1) != external_port(box, HOST, R2, at=300)
    assert [type(event) for event in journal.events] == [MappingCreated, MappingEnded, MappingCreated]


def test_udp_and_tcp_ports_are_apart() -> None:
    box = make_box(NatConfig())
    assert external_port(box, HOST, R1) == 4001
    sent = box.outbound(Packet(TCP, OTHER_HOST, R1, flags=SYN), 0)
    assert isinstance(sent, Packet) and sent.source.port == 4001


@pytest.mark.parametrize("mapping", [AD, APD])
def test_preserving_makes_a_mapping_that_depends_on_the_remote_look_endpoint_independent(mapping: Behaviour) -> None:
    journal = Journal()
    box = make_box(NatConfig(mapping=mapping, filtering=APD), journal)
    assert {external_port(box, HOST, remote) for remote in (R1, R2)} == {4001}
    assert [event.remote for event in journal.of(MappingCreated)] == (
        ["12.0.0.1", "13.0.0.1"] if mapping is AD else ["12.0.0.1:9000", "13.0.0.1:9000"]
    )
    for remote in (R1, R2):
        assert isinstance(box.inbound(Packet(UDP, remote, Endpoint(BOX, 4001)), 1), Packet)


# Unsolicited SYNs


@pytest.mark.parametrize("known", [False, True], ids=["no mapping", "refused by filtering"])
def test_rfc_5382_req_4_an_rst_answers_a_refused_syn_only_if_so_configured(known: bool) -> None:
    for answer in (UnsolicitedSyn.DROP, UnsolicitedSyn.RST):  # the others in `test_icmp_errors.py`
        box = make_box(NatConfig(filtering=APD, unsolicited_syn=answer))
        if known:
            box.outbound(Packet(TCP, HOST, R2, flags=SYN), 0)
        syn = Packet(TCP, R1, Endpoint(BOX, 4001), flags=SYN, seq=2**32 - 1)
        dropped = box.inbound(syn, 1)
        assert isinstance(dropped, Drop)
        expected = Packet(TCP, syn.destination, syn.source, flags=RST | ACK, seq=0, ack=0)
        assert dropped.reply == (expected if answer is UnsolicitedSyn.RST else None)


@pytest.mark.parametrize("flags", [SYN | ACK, ACK, RST, FIN | ACK])
def test_nothing_but_a_syn_is_answered_with_an_rst(flags: int) -> None:
    box = make_box(NatConfig(unsolicited_syn=UnsolicitedSyn.RST))
    dropped = box.inbound(Packet(TCP, R1, Endpoint(BOX, 4001), flags=flags), 0)
    assert isinstance(dropped, Drop) and dropped.reply is None


def test_a_datagram_is_never_answered_with_an_rst() -> None:
    box = make_box(NatConfig(unsolicited_syn=UnsolicitedSyn.RST))
    dropped = box.inbound(Packet(UDP, R1, Endpoint(BOX, 4001), flags=SYN), 0)
    assert isinstance(dropped, Drop) and dropped.reply is None


# The clash, and what translation leaves alone


@PROTOCOLS
def test_a_remote_that_comes_in_by_another_mapping_is_shown_under_another_port(protocol: IPProtocol) -> None:
    box = make_box(random_ports(mapping=APD, filtering=EI))
    first = box.outbound(Packet(protocol, HOST, R2, flags=SYN), 0)
    dial = box.outbound(Packet(protocol, HOST, R1, flags=SYN), 0)
    assert isinstance(first, Packet) and isinstance(dial, Packet)
    arrived = box.inbound(Packet(protocol, R1, first.source, flags=SYN), 1)
    again = box.inbound(Packet(protocol, R1, first.source, flags=SYN), 2)
    assert isinstance(arrived, Packet) and arrived == again
    assert arrived.source.ip == R1.ip and arrived.source.port != R1.port
    for remote, external in ((R1, dial.source), (arrived.source, first.source)):
        sent = box.outbound(Packet(protocol, HOST, remote, flags=ACK), 3)
        assert isinstance(sent, Packet) and (sent.source, sent.destination) == (external, R1)


def test_translation_changes_one_endpoint_and_nothing_else() -> None:
    box = make_box(NatConfig())
    packet = Packet(TCP, HOST, R1, b"data", SYN, seq=1, ack=2, window=3, flight=4, ttl=5)
    assert box.outbound(packet, 0) == packet._replace(source=Endpoint(BOX, 4001))
    reply = Packet(TCP, R1, Endpoint(BOX, 4001), b"more", SYN | ACK, seq=6, ack=7, window=8, flight=9, ttl=10)
    assert box.inbound(reply, 1) == reply._replace(destination=HOST)


# The journal


def test_the_journal_tells_a_mapping_s_life() -> None:
    journal = Journal()
    box = make_box(NatConfig(), journal)
    external_port(box, HOST, R1)
    external_port(box, HOST, R2, at=100)
    box.expire(1000 * SECOND)
    assert journal.events == [
        MappingCreated(0.0, "box", 1, "UDP", HOST, Endpoint(BOX, 4001), "", 300.0),
        MappingRefreshed(100.0, "box", 1, 400.0),
        MappingEnded(400.0, "box", 1, "idle: nothing was sent through it for 300 s"),
    ]


@pytest.mark.parametrize(
    ("steps", "ended", "reason"),
    [
        ([Out(0, flags=SYN)], 240.0, "transitory"),
        ([Out(0, flags=SYN), In(1, flags=SYN | ACK)], 7441.0, "silent for 7440 s"),
        ([Out(0, flags=SYN), In(1, flags=SYN | ACK), In(2, flags=RST)], 242.0, "transitory"),
    ],
    ids=["never opened", "established", "reset"],
)
def test_the_journal_tells_why_and_when_a_tcp_mapping_ended(steps: list[Step], ended: float, reason: str) -> None:
    journal = Journal()
    box = make_box(NatConfig(), journal)
    for step in steps:
        if isinstance(step, Out):
            box.outbound(Packet(TCP, HOST, R1, flags=step.flags), round(step.at * SECOND))
        else:
            box.inbound(Packet(TCP, R1, Endpoint(BOX, 4001), flags=step.flags), round(step.at * SECOND))
    box.expire(10**6 * SECOND)
    (event,) = journal.of(MappingEnded)
    assert event.time == ended and reason in event.reason


def test_strangers_cannot_fill_the_box_for_ever() -> None:
    box = make_box(NatConfig(filtering=EI, session_limit=2000))
    external_port(box, HOST, R1)
    results = [box.inbound(Packet(UDP, Endpoint("14.0.0.1", n), Endpoint(BOX, 4001)), 1) for n in range(3000)]
    assert sum(isinstance(result, Packet) for result in results) == 1999
    refused = box.outbound(Packet(UDP, OTHER_HOST, R1), 1)
    assert isinstance(refused, Drop) and refused.reason == "no room: the box already has 2000 sessions"
    assert external_port(box, OTHER_HOST, R1, at=300) == 4001


def test_a_box_is_given_as_many_addresses_as_it_is_configured_for() -> None:
    with pytest.raises(ValueError, match="box has 2 external addresses by its configuration, but was given 1"):
        make_box(NatConfig(external_addresses=2))
