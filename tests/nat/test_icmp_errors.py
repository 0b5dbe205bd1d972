"""ICMP through the box: pings, and errors about what passed. Rows are sentences, ids requirement numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal, MappingEnded, MappingRefreshed
from natlab.nat import Behaviour, Drop, Hairpinned, NatBox, NatConfig
from natlab.packet import Flag, Icmp, IcmpKind, IPProtocol, Packet, describe, echo_reply, echo_request, icmp_error

UDP, TCP, ICMP = IPProtocol.UDP, IPProtocol.TCP, IPProtocol.ICMP
SYN = int(Flag.SYN)
SECOND = 1_000_000_000
EI, AD, APD = Behaviour
BOX = "11.0.0.1"
ALICE, CAROL = Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.3", 5001)
ALICE_OUTSIDE, CAROL_OUTSIDE = Endpoint(BOX, 4001), Endpoint(BOX, 5001)
BOB, ROUTER, INNER_ROUTER = Endpoint("12.0.0.1", 9000), "99.0.0.1", "192.168.1.99"


def make_box(journal: Journal | None = None, **axes: object) -> NatBox:
    return NatBox("box", NatConfig(**axes), BOX, random.Random(1), journal or Journal(()))  # type: ignore[arg-type]


def error(packet: Packet, by: str, kind: IcmpKind = IcmpKind.HOST_UNREACHABLE, mtu: int = 0) -> Packet:
    made = icmp_error(kind, by, packet, mtu)
    assert made is not None
    return made


def passed(result: object) -> Packet:
    assert isinstance(result, Packet), result
    return result


def reason(result: object) -> str:
    assert isinstance(result, Drop), result
    return result.reason


# Pings


def test_rfc_5508_req_1_a_ping_goes_out_under_another_identifier_and_its_reply_comes_back() -> None:
    box = make_box(filtering=APD, port_allocation="random")
    asked = echo_request(Endpoint(ALICE.ip, 77), BOB.ip, 3, b"hello")
    outside = passed(box.outbound(asked, 0))
    assert outside == asked._replace(source=outside.source)
    assert outside.source.ip == BOX and outside.source.port != 77
    assert box.inbound(echo_reply(outside), 1) == echo_reply(asked)


def test_rfc_5508_req_1_two_hosts_with_one_identifier_are_kept_apart() -> None:
    box = make_box()
    pings = [echo_request(Endpoint(host.ip, 77), BOB.ip, 1) for host in (ALICE, CAROL)]
    outside = [passed(box.outbound(ping, 0)) for ping in pings]
    assert outside[0].source == Endpoint(BOX, 77) != outside[1].source
    assert [box.inbound(echo_reply(ping), 1) for ping in outside] == [echo_reply(ping) for ping in pings]


@pytest.mark.parametrize(("mapping", "same"), [(EI, True), (AD, False), (APD, False)])
def test_rfc_5508_req_1a_the_identifier_is_mapped_as_a_port_is(mapping: Behaviour, same: bool) -> None:
    box = make_box(mapping=mapping, port_allocation="random")
    sources = {passed(box.outbound(echo_request(ALICE, to, 1), 0)).source for to in ("12.0.0.1", "13.0.0.1")}
    assert (len(sources) == 1) is same


@pytest.mark.parametrize(("seconds", "alive"), [(59.9, True), (60.0, False)])
def test_rfc_5508_req_2_a_ping_has_60_s_and_a_reply_does_not_prolong_them(seconds: float, alive: bool) -> None:
    box = make_box()
    outside = passed(box.outbound(echo_request(ALICE, BOB.ip, 1), 0))
    box.inbound(echo_reply(outside), 30 * SECOND)
    assert isinstance(box.inbound(echo_reply(outside), round(seconds * SECOND)), Packet) is alive


def test_rfc_5508_req_2_the_timer_is_an_axis_and_each_request_starts_it_again() -> None:
    journal = Journal()
    box = make_box(journal, icmp_query_timeout=10)
    for second in (0, 9, 18):
        outside = passed(box.outbound(echo_request(ALICE, BOB.ip, 1), second * SECOND))
    assert "nothing inside uses 11.0.0.1:4001 for ICMP" in reason(box.inbound(echo_reply(outside), 28 * SECOND))
    assert [(end.time, end.reason) for end in journal.of(MappingEnded)] == [
        (28.0, "idle: no ping was sent through it for 10 s")
    ]


@pytest.mark.parametrize(
    ("filtering", "admitted"), [(EI, {"12.0.0.1", "66.0.0.1"}), (AD, {"12.0.0.1"}), (APD, {"12.0.0.1"})]
)
def test_replies_are_filtered_as_configured(filtering: Behaviour, admitted: set[str]) -> None:
    box = make_box(filtering=filtering)
    outside = passed(box.outbound(echo_request(ALICE, BOB.ip, 1), 0))
    replies = [echo_reply(outside)._replace(source=Endpoint(ip, 0)) for ip in ("12.0.0.1", "66.0.0.1")]
    assert {reply.source.ip for reply in replies if isinstance(box.inbound(reply, 1), Packet)} == admitted


def test_only_a_request_opens_and_only_if_the_box_lets_pings_out() -> None:
    request = echo_request(ALICE, BOB.ip, 1)
    assert "only an echo request opens one" in reason(
        make_box().outbound(echo_reply(request)._replace(source=ALICE), 0)
    )
    assert reason(make_box(icmp_queries=False).outbound(request, 0)).startswith("ICMP queries")


def test_rfc_5508_req_1_a_reply_from_inside_has_no_part_in_the_session_of_a_ping_with_its_identifier() -> None:
    """With identifier 0 request and reply have the same two ends. Linux: icmp_packet in nf_conntrack_proto_icmp.c."""
    box, ping = make_box(), echo_request(ALICE._replace(port=0), BOB.ip, 1)
    outside = passed(box.outbound(ping, 0))
    reply = echo_reply(ping)._replace(source=ping.source, destination=Endpoint(BOB.ip, 0))
    assert "nobody asked for echo reply" in reason(box.outbound(reply, 30 * SECOND))
    assert isinstance(box.inbound(echo_reply(outside), 59 * SECOND), Packet)
    assert isinstance(box.inbound(echo_reply(outside), 60 * SECOND), Drop)  # it has prolonged nothing


def test_refreshes_are_told_of_pings_too() -> None:
    journal = Journal()
    box = make_box(journal)
    for second in (0, 1):
        box.outbound(echo_request(ALICE, BOB.ip, 1), second * SECOND)
    assert [refresh.expires for refresh in journal.of(MappingRefreshed)] == [61.0]


# Errors


def conversations(box: NatBox) -> Iterator[tuple[Packet, Packet]]:
    """A packet of each protocol as Alice sent it, and as it left the box."""
    for sent in (Packet(UDP, ALICE, BOB, b"x"), Packet(TCP, ALICE, BOB, flags=SYN), echo_request(ALICE, BOB.ip, 1)):
        yield sent, passed(box.outbound(sent, 0))


def test_rfc_5508_req_4_an_error_from_outside_is_about_what_the_host_inside_has_sent() -> None:
    for sent, outside in conversations(make_box(port_allocation="random")):
        box = make_box(port_allocation="random")
        outside = passed(box.outbound(sent, 0))
        arrived = box.inbound(error(outside, ROUTER, IcmpKind.TOO_BIG, 1280), 1)
        assert arrived == Packet(
            ICMP, Endpoint(ROUTER, 0), Endpoint(ALICE.ip, 0), icmp=Icmp(IcmpKind.TOO_BIG, sent, 1280)
        )


def test_rfc_5508_req_5_an_error_from_inside_comes_from_the_external_address() -> None:
    for by in (ALICE.ip, INNER_ROUTER):
        box = make_box(port_allocation="random")
        outside = passed(box.outbound(Packet(UDP, ALICE, BOB), 0))
        answer = Packet(UDP, BOB, outside.source, b"answer")
        inside = passed(box.inbound(answer, 1))
        left = box.outbound(error(inside, by, IcmpKind.PORT_UNREACHABLE), 2)
        assert left == Packet(ICMP, Endpoint(BOX, 0), Endpoint(BOB.ip, 0), icmp=Icmp(IcmpKind.PORT_UNREACHABLE, answer))


def test_rfc_5508_req_5_with_a_firewall_it_keeps_the_address_it_has() -> None:
    box = make_box(translates=False)
    box.outbound(Packet(UDP, ALICE, BOB), 0)
    inside = passed(box.inbound(Packet(UDP, BOB, ALICE), 1))
    unreachable = error(inside, INNER_ROUTER)
    assert box.outbound(unreachable, 2) == unreachable


def test_rfc_5508_req_4_the_clash_the_remote_is_quoted_as_the_host_has_seen_it() -> None:
    box = make_box(mapping=APD, filtering=EI, port_allocation="random")
    box.outbound(Packet(UDP, ALICE, BOB), 0)
    other = passed(box.outbound(Packet(UDP, ALICE, Endpoint("13.0.0.1", 1)), 0)).source
    seen = passed(box.inbound(Packet(UDP, BOB, other), 1)).source
    assert seen.ip == BOB.ip and seen.port != BOB.port
    outside = passed(box.outbound(Packet(UDP, ALICE, seen), 2))
    assert outside == Packet(UDP, other, BOB)
    assert passed(box.inbound(error(outside, ROUTER), 3)).quoted == Packet(UDP, ALICE, seen)


STRANGE = [
    ("RFC 5508 REQ-4: a mapping is not enough, the session must be there", Packet(UDP, ALICE_OUTSIDE, CAROL)),
    ("RFC 5508 REQ-4: another protocol's session is none", Packet(TCP, ALICE_OUTSIDE, BOB)),
    ("RFC 5508 REQ-4: another port's session is none", Packet(UDP, CAROL_OUTSIDE, BOB)),
    ("a packet that came in is none that went out", Packet(UDP, BOB, ALICE_OUTSIDE)),
]


@pytest.mark.parametrize(("sentence", "quoted"), STRANGE, ids=[sentence for sentence, _ in STRANGE])
def test_an_error_about_nothing_that_was_sent_is_dropped(sentence: str, quoted: Packet) -> None:
    box = make_box()
    box.outbound(Packet(UDP, ALICE, BOB), 0)
    assert reason(box.inbound(error(quoted, ROUTER), 1)) == (
        f"ICMP error: no session has sent what it quotes, {describe(quoted)} (RFC 5508 REQ-4, REQ-5)"
    )


def test_rfc_5508_req_5_from_inside_neither() -> None:
    box = make_box()
    box.outbound(Packet(UDP, ALICE, BOB), 0)
    assert "no session" in reason(box.outbound(error(Packet(UDP, BOB, CAROL), CAROL.ip), 1))
    assert "no session" in reason(box.outbound(error(Packet(UDP, BOB, ALICE), ALICE.ip), 300 * SECOND))


def test_from_inside_linux_lets_it_out_as_it_is_and_from_outside_it_does_not() -> None:
    box = make_box(icmp_errors_leak=True)
    box.outbound(Packet(UDP, ALICE, BOB), 0)
    about_nothing = error(Packet(UDP, BOB, CAROL), CAROL.ip)
    assert box.outbound(about_nothing, 1) == about_nothing
    assert "no session" in reason(box.inbound(error(Packet(UDP, ALICE_OUTSIDE, CAROL), ROUTER), 1))
    box = make_box(icmp_errors_leak=True, icmp_errors="dropped")
    assert reason(box.outbound(about_nothing, 1)).startswith("ICMP errors (dropped)")


def test_rfc_4787_req_12_and_rfc_5382_req_10_an_error_opens_refreshes_and_ends_nothing() -> None:
    for protocol in (UDP, TCP, ICMP):
        journal = Journal()
        box = make_box(journal, udp_timeout=100, udp_unanswered_timeout=100, udp_refresh="both")
        sent = dict(zip((UDP, TCP, ICMP), conversations(make_box()), strict=True))[protocol][0]
        outside = passed(box.outbound(sent, 0))
        before = list(journal.events)
        for second in range(1, 50):
            passed(box.inbound(error(outside, ROUTER, IcmpKind.PORT_UNREACHABLE), second * SECOND))
        assert journal.events == before
        assert box.outbound(sent, 50 * SECOND) == outside


def test_a_box_that_ends_mappings_for_an_error_violates_rfc_4787_req_12() -> None:
    journal = Journal()
    box = make_box(journal, icmp_errors_end_mappings=True)
    outside = passed(box.outbound(Packet(UDP, ALICE, BOB), 0))
    assert passed(box.inbound(error(outside, ROUTER), SECOND)).destination.ip == ALICE.ip
    assert [(end.time, end.reason) for end in journal.of(MappingEnded)] == [
        (1.0, "ICMP error: this box ends mappings for it")
    ]
    assert reason(box.inbound(Packet(UDP, BOB, outside.source), 2 * SECOND)).startswith("no mapping")
    assert "no session" in reason(box.inbound(error(outside, ROUTER), 2 * SECOND))


def test_but_it_ends_no_port_forward() -> None:
    box = make_box(icmp_errors_end_mappings=True)
    box.forward(UDP, Endpoint(BOX, 5000), ALICE, 0)
    for second in (1, 2):
        outside = passed(box.outbound(Packet(UDP, ALICE, BOB), second * SECOND))
        assert outside.source.port == 5000
        passed(box.inbound(error(outside, ROUTER), second * SECOND))


@pytest.mark.parametrize(
    ("policy", "from_router", "from_remote"),
    [("translated", True, True), ("from-remote", False, True), ("dropped", False, False)],
)
def test_rfc_4787_req_12a_errors_are_not_filtered_by_where_they_come_from(
    policy: str, from_router: bool, from_remote: bool
) -> None:
    box = make_box(icmp_errors=policy)
    outside = passed(box.outbound(Packet(UDP, ALICE, BOB), 0))
    for by, passes in ((ROUTER, from_router), (BOB.ip, from_remote)):
        result = box.inbound(error(outside, by), 1)
        assert isinstance(result, Packet) if passes else reason(result).startswith(f"ICMP errors ({policy})")


def test_rfc_5508_req_7_an_error_about_a_hairpinned_packet_goes_back_to_its_sender() -> None:
    box = make_box(filtering=EI, hairpinning="external-source", port_allocation="random")
    carol_outside = passed(box.outbound(Packet(UDP, CAROL, BOB), 0)).source
    sent = Packet(UDP, ALICE, carol_outside, b"x")
    arrived = box.outbound(sent, 1)
    assert isinstance(arrived, Hairpinned)
    closed = error(arrived.packet, CAROL.ip, IcmpKind.PORT_UNREACHABLE)
    assert box.outbound(closed, 2) == Hairpinned(
        Packet(ICMP, Endpoint(BOX, 0), Endpoint(ALICE.ip, 0), icmp=Icmp(IcmpKind.PORT_UNREACHABLE, sent))
    )


def test_identifier_0_is_no_trap() -> None:
    """An error has no port, which looks like an identifier of 0."""
    for box in (make_box(), make_box(translates=False)):
        ping, datagram = echo_request(Endpoint(ALICE.ip, 0), BOB.ip, 1), Packet(UDP, ALICE, BOB)
        pinged, sent = passed(box.outbound(ping, 0)), passed(box.outbound(datagram, 0))
        assert passed(box.inbound(error(sent, BOB.ip), 1)).quoted == datagram
        assert passed(box.inbound(error(pinged, BOB.ip), 1)).quoted == ping
        answer = Packet(UDP, BOB, sent.source)
        assert passed(box.outbound(error(passed(box.inbound(answer, 1)), ALICE.ip), 2)).quoted == answer
