"""What a NAT box says itself. Rows are sentences, ids requirement numbers."""

from __future__ import annotations

import random

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import Drop, NatBox, NatConfig, Wait
from natlab.packet import Flag, IcmpKind, IPProtocol, Packet, echo_reply, echo_request, icmp_error

UDP, TCP = IPProtocol.UDP, IPProtocol.TCP
SYN, ACK = int(Flag.SYN), int(Flag.ACK)
SECOND = 1_000_000_000
BOX = "11.0.0.1"
ALICE, CAROL = Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.3", 5001)
ALICE_OUTSIDE, CAROL_OUTSIDE = Endpoint(BOX, 4001), Endpoint(BOX, 5001)
BOB = Endpoint("12.0.0.1", 9000)


def make_box(**axes: object) -> NatBox:
    config = NatConfig(**axes)  # type: ignore[arg-type]
    return NatBox("box", config, BOX, random.Random(1), Journal(()), internal_ip="192.168.1.1")


def error(packet: Packet, by: str, kind: IcmpKind) -> Packet:
    made = icmp_error(kind, by, packet)
    assert made is not None
    return made


@pytest.mark.parametrize("answers", [True, False])
def test_rfc_1122_a_ping_to_the_box_itself_is_answered_from_either_side_or_not(answers: bool) -> None:
    box = make_box(answers_ping=answers)
    for source, verb in ((BOB, box.inbound), (ALICE, box.outbound)):
        asked = echo_request(source, BOX, 1, b"you")
        dropped = verb(asked, 0)
        assert isinstance(dropped, Drop)
        assert dropped.reply == (echo_reply(asked) if answers else None)


def stranger_s_syn() -> Packet:
    return Packet(TCP, BOB, ALICE_OUTSIDE, flags=SYN, seq=7)


def test_rfc_5382_req_4_icmp_at_once_is_what_it_forbids() -> None:
    dropped = make_box(unsolicited_syn="icmp").inbound(stranger_s_syn(), 0)
    assert isinstance(dropped, Drop)
    assert dropped.reply == error(stranger_s_syn(), BOX, IcmpKind.PORT_UNREACHABLE) and dropped.wait is None


def test_rfc_5382_req_4_after_6_s_the_stranger_is_told() -> None:
    box = make_box(unsolicited_syn="wait")
    dropped = box.inbound(stranger_s_syn(), SECOND)
    assert isinstance(dropped, Drop) and dropped.wait is not None
    assert dropped.wait.until == 7 * SECOND
    assert dropped.reply == error(stranger_s_syn(), BOX, IcmpKind.PORT_UNREACHABLE)
    assert box.still_due(dropped.wait, 7 * SECOND)


@pytest.mark.parametrize(
    ("sentence", "syn", "due"),
    [
        ("a SYN of the pair makes it needless", Packet(TCP, ALICE, BOB, flags=SYN), False),
        ("one to another remote does not", Packet(TCP, ALICE, CAROL, flags=SYN), True),
        ("one from another port does not", Packet(TCP, CAROL, BOB, flags=SYN), True),
        ("a datagram does not", Packet(UDP, ALICE, BOB), True),
    ],
)
def test_rfc_5382_req_4_unless_the_host_inside_dials_the_stranger(sentence: str, syn: Packet, due: bool) -> None:
    box = make_box(unsolicited_syn="wait")
    dropped = box.inbound(stranger_s_syn(), 0)
    box.outbound(syn, 5 * SECOND)
    assert isinstance(dropped, Drop) and dropped.wait is not None
    assert box.still_due(dropped.wait, 6 * SECOND) is due


def test_what_is_no_syn_gets_no_answer() -> None:
    for answer in ("icmp", "wait", "rst"):
        box = make_box(unsolicited_syn=answer)
        for packet in (Packet(UDP, BOB, ALICE_OUTSIDE), Packet(TCP, BOB, ALICE_OUTSIDE, flags=SYN | ACK)):
            dropped = box.inbound(packet, 0)
            assert isinstance(dropped, Drop) and dropped.reply is None and dropped.wait is None


def test_a_hairpinned_syn_is_answered_inside_about_what_was_sent() -> None:
    syn = Packet(TCP, ALICE, CAROL_OUTSIDE, flags=SYN)
    for answer, wait in (("icmp", None), ("wait", Wait(6 * SECOND, (TCP, ALICE_OUTSIDE, CAROL_OUTSIDE)))):
        box = make_box(hairpinning="external-source", unsolicited_syn=answer)
        dropped = box.outbound(syn, 0)
        assert isinstance(dropped, Drop)
        assert dropped.reply == error(syn, BOX, IcmpKind.PORT_UNREACHABLE) and dropped.wait == wait
        if wait:
            box.outbound(Packet(TCP, CAROL, ALICE_OUTSIDE, flags=SYN), SECOND)
            assert not box.still_due(wait, 6 * SECOND)


@pytest.mark.parametrize(
    ("tells", "kind"),
    [("silence", None), ("prohibited", IcmpKind.PROHIBITED), ("host-unreachable", IcmpKind.HOST_UNREACHABLE)],
)
@pytest.mark.parametrize(
    "limit", [{"mappings_per_host": 1}, {"session_limit": 1}, {"port_range": (5000, 5000), "port_parity": True}]
)
def test_rfc_5508_req_8_and_rfc_6888_req_11_who_gets_no_session_is_told_so(
    limit: dict[str, object], tells: str, kind: IcmpKind | None
) -> None:
    box = make_box(icmp_when_full=tells, **limit)
    first, second = (Packet(UDP, Endpoint(ALICE.ip, port), BOB) for port in (4002, 4004))
    assert isinstance(box.outbound(first, 0), Packet)
    refused = box.outbound(second, 1)
    assert isinstance(refused, Drop)
    assert refused.reply == (error(second, "192.168.1.1", kind) if kind else None)
