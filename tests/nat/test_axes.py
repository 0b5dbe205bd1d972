"""The axes that are off by default, one by one: what each does to packets, and the requirement it is about."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Journal, MappingEnded
from natlab.nat import Behaviour, Drop, Hairpinned, Hairpinning, NatBox, NatConfig
from natlab.nat.unsolicited import LIMIT
from natlab.packet import Flag, IPProtocol, Packet

UDP, TCP = IPProtocol.UDP, IPProtocol.TCP
SYN, ACK, RST = int(Flag.SYN), int(Flag.ACK), int(Flag.RST)
SECOND = 1_000_000_000
EI, AD, APD = Behaviour
BOX = "11.0.0.1"
ALICE, CAROL = Endpoint("192.168.1.2", 4001), Endpoint("192.168.1.3", 5001)
ALICE_OUTSIDE, CAROL_OUTSIDE = Endpoint(BOX, 4001), Endpoint(BOX, 5001)
BOB, STRANGER = Endpoint("12.0.0.1", 9000), Endpoint("66.0.0.1", 6)


def make_box(journal: Journal | None = None, **axes: object) -> NatBox:
    return NatBox("box", NatConfig(**axes), BOX, random.Random(1), journal or Journal(()))  # type: ignore[arg-type]


def udp(source: Endpoint, destination: Endpoint) -> Packet:
    return Packet(UDP, source, destination)


def reason(result: object) -> str:
    assert isinstance(result, Drop), result
    return result.reason


# Ports that rest


@pytest.mark.parametrize(("seconds", "same"), [(419, False), (420, True)])
def test_rfc_6888_req_8_a_port_goes_to_no_other_mapping_before_its_rest_is_over(seconds: int, same: bool) -> None:
    box = make_box(port_reuse_delay=120)
    carol = Endpoint(CAROL.ip, ALICE.port)
    assert box.outbound(udp(ALICE, BOB), 0) == udp(ALICE_OUTSIDE, BOB)
    sent = box.outbound(udp(carol, BOB), seconds * SECOND)  # alice's mapping was over at 300 s
    assert (sent == udp(ALICE_OUTSIDE, BOB)) is same
    assert box.outbound(Packet(TCP, carol, BOB, flags=SYN), SECOND) == Packet(TCP, ALICE_OUTSIDE, BOB, flags=SYN)


def test_a_host_does_not_get_its_own_port_back_either_and_a_reboot_forgets_all_rest() -> None:
    box = make_box(port_reuse_delay=120)
    box.outbound(udp(ALICE, BOB), 0)
    assert box.outbound(udp(ALICE, BOB), 301 * SECOND) != udp(ALICE_OUTSIDE, BOB)
    box.reboot(302 * SECOND)
    assert box.outbound(udp(ALICE, BOB), 303 * SECOND) == udp(ALICE_OUTSIDE, BOB)


def test_what_has_rested_is_not_remembered() -> None:
    box = make_box(port_reuse_delay=120)
    for number in range(100):
        box.outbound(udp(Endpoint(ALICE.ip, 5000 + number), BOB), number * 1000 * SECOND)
        box.expire(number * 1000 * SECOND)
    assert len(box._table.rest._until) == 0
    box.expire(99_310 * SECOND)
    assert len(box._table.rest._until) == 1


# The box's own address inside


@pytest.mark.parametrize("confused", [False, True])
def test_rfc_4787_req_7_a_host_inside_may_have_the_address_that_the_box_has_outside(confused: bool) -> None:
    box = make_box(confuses_addresses=confused)
    twin = Endpoint(BOX, 4001)
    sent = box.outbound(udp(twin, BOB), 0)
    if confused:
        assert reason(sent) == f"conflict: {BOX} is this box's own address outside (RFC 4787 REQ-7)"
    else:
        assert sent == udp(Endpoint(BOX, 4001), BOB)
        assert box.inbound(udp(BOB, Endpoint(BOX, 4001)), 1) == udp(BOB, twin)
    assert box.outbound(udp(ALICE, BOB), 2) != sent


# Hairpinning


@pytest.mark.parametrize(
    ("sentence", "hairpinning", "seen_as"),
    [
        (
            "RFC 4787 REQ-9, RFC 5382 REQ-8: it comes from the sender's external endpoint",
            "external-source",
            ALICE_OUTSIDE,
        ),
        ("else from its internal one, which the answer will bypass the box for", "internal-source", ALICE),
        ("or not at all", None, None),
    ],
)
@pytest.mark.parametrize("protocol", [UDP, TCP], ids=["UDP", "TCP"])
def test_hairpinning(
    protocol: IPProtocol, sentence: str, hairpinning: Hairpinning | None, seen_as: Endpoint | None
) -> None:
    box = make_box(filtering=EI, hairpinning=hairpinning)
    box.outbound(Packet(protocol, CAROL, BOB, flags=SYN), 0)
    result = box.outbound(Packet(protocol, ALICE, CAROL_OUTSIDE, b"hi", SYN), 1)
    if seen_as is None:
        assert reason(result).startswith("hairpinning")
    else:
        assert result == Hairpinned(Packet(protocol, seen_as, CAROL, b"hi", SYN))


def test_rfc_4787_req_9_the_answer_to_a_hairpinned_packet_comes_from_where_it_was_sent() -> None:
    box = make_box(filtering=EI, hairpinning="external-source")
    box.outbound(udp(CAROL, BOB), 0)
    arrived = box.outbound(udp(ALICE, CAROL_OUTSIDE), 1)
    assert isinstance(arrived, Hairpinned)
    assert box.outbound(udp(CAROL, arrived.packet.source), 2) == Hairpinned(udp(CAROL_OUTSIDE, ALICE))


def test_filtering_holds_for_hairpinned_packets_too() -> None:
    box = make_box(filtering=APD, hairpinning="external-source")
    box.outbound(udp(CAROL, BOB), 0)
    assert reason(box.outbound(udp(ALICE, CAROL_OUTSIDE), 1)).startswith("hairpinning: filtering (address-and-port")
    assert isinstance(box.outbound(udp(CAROL, ALICE_OUTSIDE), 2), Hairpinned)  # a hole punch within one household
    assert isinstance(box.outbound(udp(ALICE, CAROL_OUTSIDE), 3), Hairpinned)


def test_an_rst_for_a_hairpinned_syn_goes_back_inside() -> None:
    box = make_box(hairpinning="external-source", unsolicited_syn="rst")
    result = box.outbound(Packet(TCP, ALICE, CAROL_OUTSIDE, flags=SYN, seq=7), 0)
    assert isinstance(result, Drop)
    assert result.reply == Packet(TCP, CAROL_OUTSIDE, ALICE, flags=RST | ACK, ack=8)


# Overloading


def test_rfc_4787_req_3_overloading_lets_two_hosts_have_one_port_and_loses_one_of_them_at_a_common_remote() -> None:
    box = make_box(filtering=APD, port_allocation="overloading")
    twin, other_remote = Endpoint(CAROL.ip, ALICE.port), Endpoint("13.0.0.1", 9000)
    assert {box.outbound(udp(host, BOB), 0) for host in (ALICE, twin)} == {udp(ALICE_OUTSIDE, BOB)}
    assert box.inbound(udp(BOB, ALICE_OUTSIDE), 1) == udp(BOB, twin)  # the later one hears it
    assert box.outbound(udp(ALICE, other_remote), 2) == udp(ALICE_OUTSIDE, other_remote)
    assert box.inbound(udp(other_remote, ALICE_OUTSIDE), 3) == udp(other_remote, ALICE)  # told apart by the remote


# Limits


def test_rfc_6888_req_4_a_host_has_so_many_mappings_and_no_more_until_one_is_over() -> None:
    box = make_box(mappings_per_host=2)
    ports = [Endpoint(ALICE.ip, port) for port in (1, 2, 3)]
    results = [box.outbound(udp(port, BOB), n * SECOND) for n, port in enumerate(ports)]
    assert reason(results[2]) == f"limit: {ALICE.ip} already has 2 mappings (RFC 6888 REQ-4)"
    assert isinstance(box.outbound(udp(ports[0], STRANGER), 3 * SECOND), Packet)  # no new mapping
    assert isinstance(box.outbound(udp(CAROL, BOB), 3 * SECOND), Packet)  # another host
    assert isinstance(box.outbound(udp(ports[2], BOB), 301 * SECOND), Packet)


# Reboot


def test_a_reboot_forgets_all_and_says_so_and_may_bring_another_address() -> None:
    journal = Journal()
    box = make_box(journal, filtering=EI)
    box.outbound(udp(ALICE, BOB), 0)
    box.forward(UDP, CAROL_OUTSIDE, CAROL, 0)
    box.reboot(5 * SECOND, "11.0.0.99")
    assert [(event.time, event.reason) for event in journal.of(MappingEnded)] == 2 * [
        (5.0, "reboot: the box forgot everything")
    ]
    assert reason(box.inbound(udp(BOB, ALICE_OUTSIDE), 6 * SECOND)).startswith("no mapping")
    assert box.outbound(udp(ALICE, BOB), 7 * SECOND) == udp(Endpoint("11.0.0.99", 4001), BOB)


def test_a_tcp_connection_does_not_outlive_a_reboot() -> None:
    box = make_box()
    box.outbound(Packet(TCP, ALICE, BOB, flags=SYN), 0)
    box.reboot(1)
    assert "only a SYN opens one" in reason(box.outbound(Packet(TCP, ALICE, BOB, flags=ACK), 2))


# Quarantine


def test_quarantine_shuts_out_who_came_too_early_and_the_punch_fails() -> None:
    box = make_box(filtering=APD, quarantine=10)
    box.outbound(udp(ALICE, STRANGER), 0)
    assert reason(box.inbound(udp(BOB, ALICE_OUTSIDE), 1)).startswith("filtering")
    box.outbound(udp(ALICE, BOB), 2)
    assert (
        reason(box.inbound(udp(BOB, ALICE_OUTSIDE), 3)) == "quarantine: 12.0.0.1 has sent something unexpected lately"
    )
    assert isinstance(box.inbound(udp(STRANGER, ALICE_OUTSIDE), 4), Packet)  # nobody else suffers
    assert isinstance(box.inbound(udp(BOB, ALICE_OUTSIDE), 10 * SECOND + 1), Packet)


def test_a_packet_that_hairpins_in_vain_shuts_out_no_neighbour() -> None:
    """It comes from the box's own address, which all hosts inside have in common."""
    box = make_box(filtering=APD, quarantine=10, hairpinning="external-source")
    box.outbound(udp(CAROL, BOB), 0)
    assert reason(box.outbound(udp(ALICE, CAROL_OUTSIDE), 1)).startswith("hairpinning: filtering")
    assert isinstance(box.outbound(udp(CAROL, ALICE_OUTSIDE), 2), Hairpinned)


def test_quarantine_is_bounded() -> None:
    box = make_box(quarantine=10)
    for n in range(LIMIT + 10):
        box.inbound(udp(Endpoint(f"12.{n // 65536}.{n // 256 % 256}.{n % 256}", 1), ALICE_OUTSIDE), n)
    assert len(box._quarantine.until) == LIMIT


# Static port forwards


def test_a_port_forward_admits_everybody_whatever_the_filtering() -> None:
    box = make_box(filtering=APD, mapping=APD, port_allocation="random")
    box.forward(TCP, ALICE_OUTSIDE, ALICE, 0)
    syn = Packet(TCP, STRANGER, ALICE_OUTSIDE, flags=SYN)
    assert box.inbound(syn, 10**6 * SECOND) == syn._replace(destination=ALICE)
    answer = Packet(TCP, ALICE, STRANGER, flags=SYN | ACK)
    assert box.outbound(answer, 10**6 * SECOND) == answer._replace(source=ALICE_OUTSIDE)
    assert box.outbound(Packet(TCP, ALICE, BOB, flags=SYN), 1) == Packet(TCP, ALICE_OUTSIDE, BOB, flags=SYN)


def test_one_port_on_two_external_addresses_may_be_forwarded_to_one_host() -> None:
    box = NatBox("box", NatConfig(external_addresses=2), BOX, random.Random(1), Journal(()), ["11.0.0.2"])
    for ip, remote in ((BOX, STRANGER), ("11.0.0.2", BOB)):
        box.forward(UDP, Endpoint(ip, 4001), ALICE, 0)
        assert box.inbound(udp(remote, Endpoint(ip, 4001)), 1) == udp(remote, ALICE)


def test_a_port_forward_ends_with_its_lease_unless_it_is_renewed() -> None:
    box = make_box(filtering=APD)
    box.forward(UDP, ALICE_OUTSIDE, ALICE, 0, until=100 * SECOND)
    assert isinstance(box.inbound(udp(STRANGER, ALICE_OUTSIDE), 99 * SECOND), Packet)
    box.forward(UDP, ALICE_OUTSIDE, ALICE, 99 * SECOND, until=200 * SECOND)
    assert isinstance(box.inbound(udp(STRANGER, ALICE_OUTSIDE), 199 * SECOND), Packet)
    assert reason(box.inbound(udp(STRANGER, ALICE_OUTSIDE), 200 * SECOND)).startswith("no mapping")


def test_a_port_forward_for_some_remotes_admits_no_others() -> None:
    box = make_box(filtering=APD)
    box.forward(UDP, ALICE_OUTSIDE, ALICE, 0, remotes=((ip_network("12.0.0.0/24"), 9000), (ip_network("2600::/16"), 0)))
    assert isinstance(box.inbound(udp(BOB, ALICE_OUTSIDE), 1), Packet)
    for other in (STRANGER, Endpoint(BOB.ip, 9001)):
        assert reason(box.inbound(udp(other, ALICE_OUTSIDE), 1)).startswith("filtering")
    box.forward(UDP, ALICE_OUTSIDE, ALICE, 1)
    assert isinstance(box.inbound(udp(STRANGER, ALICE_OUTSIDE), 2), Packet)


def test_who_holds_an_endpoint_and_where_everybody_sees_it() -> None:
    box = make_box(udp_timeout=10, udp_unanswered_timeout=10)
    assert box.other_holder(UDP, ALICE_OUTSIDE, CAROL, 0) is box.external_of(UDP, ALICE, 0) is None
    box.outbound(udp(ALICE, BOB), 0)
    assert (box.other_holder(UDP, ALICE_OUTSIDE, CAROL, 1), box.external_of(UDP, ALICE, 1)) == (ALICE, ALICE_OUTSIDE)
    assert box.other_holder(UDP, ALICE_OUTSIDE, ALICE, 1) is box.other_holder(TCP, ALICE_OUTSIDE, CAROL, 1) is None
    assert box.other_holder(UDP, ALICE_OUTSIDE, CAROL, 10 * SECOND) is None and not box.has_forward(UDP, ALICE, 1)
    assert box.external_of(UDP, ALICE, 10 * SECOND) is None
    box.forward(UDP, CAROL_OUTSIDE, ALICE, 0, until=20 * SECOND)
    assert box.external_of(UDP, ALICE, 19 * SECOND) == CAROL_OUTSIDE and box.has_forward(UDP, ALICE, 19 * SECOND)
    assert box.external_of(UDP, ALICE, 20 * SECOND) is None and not box.has_forward(UDP, ALICE, 20 * SECOND)


def test_where_everybody_sees_an_endpoint_has_no_answer_if_it_depends_on_who_looks() -> None:
    box = make_box(mapping=APD)
    box.outbound(udp(ALICE, BOB), 0)
    assert box.external_of(UDP, ALICE, 1) is None


def test_a_reboot_is_noted() -> None:
    box = make_box()
    assert box.up_since == 0
    box.reboot(7 * SECOND)
    assert box.up_since == 7 * SECOND


def test_a_lease_that_is_over_says_so() -> None:
    box = make_box(journal := Journal())
    box.forward(UDP, ALICE_OUTSIDE, ALICE, 0, until=100 * SECOND)
    box.expire(100 * SECOND)
    assert [event.reason for event in journal.of(MappingEnded)] == ["port forward: its lease was over"]


def test_a_port_forward_that_is_taken_back_is_over_at_once() -> None:
    box = make_box()
    box.forward(UDP, ALICE_OUTSIDE, ALICE, 0)
    assert box.unforward(UDP, ALICE_OUTSIDE, 1)
    assert not box.unforward(UDP, ALICE_OUTSIDE, 1)
    assert reason(box.inbound(udp(STRANGER, ALICE_OUTSIDE), 2)).startswith("no mapping")


def test_a_forward_of_the_port_one_has_opens_it_to_everybody_and_breaks_nothing() -> None:
    box = make_box(filtering=APD)
    box.outbound(udp(ALICE, BOB), 0)
    box.forward(UDP, ALICE_OUTSIDE, ALICE, 1)
    assert box.inbound(udp(BOB, ALICE_OUTSIDE), 2) == udp(BOB, ALICE)
    assert box.inbound(udp(STRANGER, ALICE_OUTSIDE), 3) == udp(STRANGER, ALICE)
    assert box.outbound(udp(ALICE, STRANGER), 4) == udp(ALICE_OUTSIDE, STRANGER)


@pytest.mark.parametrize(
    ("external", "message"),
    [
        (ALICE_OUTSIDE, "11.0.0.1:4001 belongs to 192.168.1.2:4001: take another port"),
        (Endpoint("14.0.0.1", 1), "14.0.0.1:1 is no endpoint of box: forward a port of 11.0.0.1"),
    ],
)
def test_a_forward_that_cannot_be_says_why(external: Endpoint, message: str) -> None:
    box = make_box()
    box.outbound(udp(ALICE, BOB), 0)
    with pytest.raises(LabError, match=message):
        box.forward(UDP, external, CAROL, 1)


# Firewall only


@pytest.mark.parametrize(
    ("inside", "bob", "stranger"),
    [
        (Endpoint("15.0.0.2", 4001), BOB, STRANGER),
        (Endpoint("2600::2", 4001), Endpoint("2601::1", 9000), Endpoint("2602::1", 6)),
    ],
    ids=["IPv4", "IPv6"],
)
def test_rfc_6092_a_firewall_filters_and_changes_no_endpoint(
    inside: Endpoint, bob: Endpoint, stranger: Endpoint
) -> None:
    box = make_box(translates=False, filtering=APD)
    assert reason(box.inbound(udp(bob, inside), 0)).startswith("filtering")
    assert box.outbound(udp(inside, bob), 1) == udp(inside, bob)
    assert box.inbound(udp(bob, inside), 2) == udp(bob, inside)
    assert reason(box.inbound(udp(stranger, inside), 3)).startswith("filtering")
    box.forward(UDP, inside, inside, 4)
    assert box.inbound(udp(stranger, inside), 5) == udp(stranger, inside)
    assert reason(box.inbound(udp(bob, inside._replace(port=1)), 6)).startswith("filtering")


# Sequence checks


def test_the_trap_of_strict_boxes_a_listeners_syn_ack_does_not_continue_the_dialers_syn() -> None:
    for strict in (True, False):
        box = make_box(checks_sequence_numbers=strict)
        box.outbound(Packet(TCP, ALICE, BOB, flags=SYN, seq=1000), 0)
        assert isinstance(box.inbound(Packet(TCP, BOB, ALICE_OUTSIDE, flags=SYN, seq=50), 1), Packet)
        of_listener = box.outbound(Packet(TCP, ALICE, BOB, flags=SYN | ACK, seq=7777, ack=51), 2)
        of_dialer = box.outbound(Packet(TCP, ALICE, BOB, flags=SYN | ACK, seq=1000, ack=51), 3)
        assert isinstance(of_dialer, Packet)
        assert isinstance(of_listener, Drop) is strict
    assert "sequence check" in reason(
        make_strict().outbound(Packet(TCP, ALICE, BOB, flags=SYN | ACK, seq=7777, ack=51), 2)
    )


def make_strict() -> NatBox:
    box = make_box(checks_sequence_numbers=True)
    box.outbound(Packet(TCP, ALICE, BOB, flags=SYN, seq=1000), 0)
    box.inbound(Packet(TCP, BOB, ALICE_OUTSIDE, flags=SYN, seq=50), 1)
    return box


def test_a_forged_rst_ends_a_connection_unless_numbers_are_checked() -> None:
    for strict in (True, False):
        box = make_box(checks_sequence_numbers=strict)
        for packet in (Packet(TCP, ALICE, BOB, flags=SYN, seq=1000, window=100),
                       Packet(TCP, BOB, ALICE_OUTSIDE, flags=SYN | ACK, seq=50, ack=1001, window=100),
                       Packet(TCP, ALICE, BOB, flags=ACK, seq=1001, ack=51, window=100)):  # fmt: skip
            (box.outbound if packet.source == ALICE else box.inbound)(packet, 0)
        box.inbound(Packet(TCP, BOB, ALICE_OUTSIDE, flags=RST, seq=99_999), 1)
        later = box.inbound(Packet(TCP, BOB, ALICE_OUTSIDE, flags=ACK, seq=51, ack=1001, window=100), 300 * SECOND)
        assert isinstance(later, Packet) is strict
