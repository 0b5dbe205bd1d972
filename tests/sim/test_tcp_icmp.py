"""What an ICMP error does to a connection in each state. That Linux does the same: tests/contract/test_icmp.py."""

import errno
import random

import pytest

from natlab.endpoint import Endpoint
from natlab.packet import Icmp, IcmpKind, IPProtocol, Packet
from natlab.sim.tcp import Tcb
from natlab.sim.tcp_icmp import ERRNO
from natlab.sim.tcp_segment import ACK, SYN
from natlab.sim.tcp_settings import SECOND
from natlab.sim.tcp_state import State

A, B = Endpoint("11.0.0.1", 4001), Endpoint("12.0.0.1", 4001)
ERRORS = list(ERRNO)


def dialling() -> tuple[Tcb, Packet]:
    """A dial, and its SYN."""
    tcb = Tcb.active_open(A, B, 0, random.Random(1))
    [syn] = tcb.take_segments()
    return tcb, syn


def established() -> tuple[Tcb, Packet]:
    """An open connection with a segment in flight."""
    tcb, syn = dialling()
    peer = Tcb.passive_open(syn, 0, random.Random(2))
    tcb.segment_arrives(peer.take_segments()[0], SECOND)
    tcb.take_segments()
    tcb.send(b"data", SECOND)
    [segment] = tcb.take_segments()
    return tcb, segment


@pytest.mark.parametrize("kind", ERRORS)
def test_rfc_5461_a_dial_ends_with_any_error(kind: IcmpKind) -> None:
    tcb, syn = dialling()
    assert tcb.error_arrives(Icmp(kind), syn.seq, SECOND)
    assert (tcb.state, tcb.error) == (State.CLOSED, ERRNO[kind])


@pytest.mark.parametrize("kind", ERRORS)
def test_a_dial_that_met_another_is_still_one(kind: IcmpKind) -> None:
    tcb, syn = dialling()
    tcb.segment_arrives(Packet(IPProtocol.TCP, B, A, flags=SYN, seq=5), 1)
    assert tcb.state is State.SYN_RECEIVED
    assert tcb.error_arrives(Icmp(kind), syn.seq, SECOND)
    assert tcb.state is State.CLOSED


@pytest.mark.parametrize("kind", ERRORS)
def test_a_listener_gives_a_handshake_up_only_if_there_is_no_way(kind: IcmpKind) -> None:
    tcb = Tcb.passive_open(Packet(IPProtocol.TCP, B, A, flags=SYN, seq=5), 0, random.Random(1))
    [syn_ack] = tcb.take_segments()
    assert tcb.error_arrives(Icmp(kind), syn_ack.seq, SECOND)
    assert (tcb.state is State.CLOSED) is (kind in (IcmpKind.NETWORK_UNREACHABLE, IcmpKind.HOST_UNREACHABLE))


@pytest.mark.parametrize("kind", ERRORS)
def test_rfc_5382_req_10_a_connection_that_stands_is_not_ended_but_remembers_why(kind: IcmpKind) -> None:
    tcb, segment = established()
    assert tcb.error_arrives(Icmp(kind), segment.seq, SECOND)
    assert (tcb.state, tcb.error) == (State.ESTABLISHED, None)
    while tcb.deadline is not None:
        tcb.timer_expired(tcb.deadline)
    assert (tcb.state, tcb.error) == (State.CLOSED, ERRNO[kind])


def test_an_acknowledgement_shows_that_the_error_has_passed() -> None:
    tcb, segment = established()
    tcb.error_arrives(Icmp(IcmpKind.HOST_UNREACHABLE), segment.seq, SECOND)
    ack = Packet(
        IPProtocol.TCP, B, A, flags=ACK, seq=segment.ack, ack=(segment.seq + len(segment.payload)) % 2**32, window=1000
    )
    tcb.segment_arrives(ack, 2 * SECOND)
    tcb.send(b"more", 2 * SECOND)
    while tcb.deadline is not None:
        tcb.timer_expired(tcb.deadline)
    assert tcb.error == errno.ETIMEDOUT


@pytest.mark.parametrize("offset", [-1, 4, 2**31])
def test_rfc_5927_an_error_about_a_number_that_is_not_in_flight_is_a_guess(offset: int) -> None:
    tcb, segment = established()
    assert not tcb.error_arrives(Icmp(IcmpKind.PORT_UNREACHABLE), (segment.seq + offset) % 2**32, SECOND)
    tcb, syn = dialling()
    assert not tcb.error_arrives(Icmp(IcmpKind.PORT_UNREACHABLE), (syn.seq + 1) % 2**32, SECOND)
    assert tcb.state is State.SYN_SENT


def test_rfc_1191_too_big_makes_segments_shorter_and_sends_what_is_in_flight_again() -> None:
    tcb, _ = established()
    tcb.send(bytes(3000), SECOND)
    before = tcb.take_segments()
    assert tcb.error_arrives(Icmp(IcmpKind.TOO_BIG, mtu=1000), before[-1].seq, SECOND)
    again = tcb.take_segments()
    assert {len(segment.payload) for segment in again[:-1]} == {960}
    assert sum(len(segment.payload) for segment in again) == 3004
    assert tcb.error_arrives(Icmp(IcmpKind.TOO_BIG, mtu=1200), again[0].seq, SECOND)  # no larger than before
    assert tcb.take_segments() == [] and tcb.state is State.ESTABLISHED


def test_an_mtu_below_552_is_a_forgery() -> None:
    tcb, segment = established()
    tcb.send(bytes(3000), SECOND)
    tcb.take_segments()
    tcb.error_arrives(Icmp(IcmpKind.TOO_BIG, mtu=68), segment.seq, SECOND)
    assert {len(segment.payload) for segment in tcb.take_segments()[:-1]} == {512}
