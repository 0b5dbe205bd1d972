"""Sequence checks as stories: which segments belong to the connection."""

from __future__ import annotations

import pytest

from natlab.endpoint import Endpoint
from natlab.nat.tcp_window import TcpWindow
from natlab.packet import Flag, IPProtocol, Packet

OUT, IN = True, False
SYN, ACK, FIN, RST = int(Flag.SYN), int(Flag.ACK), int(Flag.FIN), int(Flag.RST)
HERE, THERE = Endpoint("192.168.1.2", 4001), Endpoint("12.0.0.1", 9000)
WINDOW = 1000


def seg(flags: int, seq: int, ack: int = 0, data: int = 0, window: int = WINDOW) -> Packet:
    return Packet(IPProtocol.TCP, HERE, THERE, bytes(data), flags, seq % 2**32, ack % 2**32, window)


def opened(isn: int) -> list[tuple[Packet, bool]]:
    return [(seg(SYN, isn), OUT), (seg(SYN | ACK, 5000, isn + 1), IN), (seg(ACK, isn + 1, 5001), OUT)]


@pytest.mark.parametrize("isn", [100, 2**32 - 1, 2**32 - 50], ids=["small", "wraps at once", "wraps soon"])
@pytest.mark.parametrize(
    ("sentence", "direction", "flags", "offset", "ack", "data", "accepted"),
    [
        ("the next data", OUT, ACK, 1, 5001, 10, True),
        ("data further on in the window, as after a loss", OUT, ACK, 500, 5001, 10, True),
        ("data at the end of the window", OUT, ACK, 1001, 5001, 1, True),
        ("data beyond the window", OUT, ACK, 1002, 5001, 1, False),
        ("a retransmission", OUT, ACK, 0, 5001, 1, True),
        ("something far too old", OUT, ACK, -1100, 5001, 1, False),
        ("an ACK of what was never sent", OUT, ACK, 1, 5002, 0, False),
        ("an ACK of less", OUT, ACK, 1, 5000, 0, True),
        ("a FIN in its place", OUT, FIN | ACK, 1, 5001, 0, True),
        ("an RST in the window", OUT, RST, 1, 0, 0, True),
        ("an RST that guesses", OUT, RST, 70_000, 0, 0, False),
        ("another SYN ACK", OUT, SYN | ACK, 9000, 5001, 0, False),
        ("a new SYN", OUT, SYN, 90_000, 0, 0, True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_belongs_to_an_open_connection(
    isn: int, sentence: str, direction: bool, flags: int, offset: int, ack: int, data: int, accepted: bool
) -> None:
    window = TcpWindow()
    assert all(window.accepts(segment, way) for segment, way in opened(isn))
    assert window.accepts(seg(flags, isn + offset, ack, data), direction) is accepted


def test_rfc_5382_req_2_a_simultaneous_open_passes() -> None:
    window = TcpWindow()
    story = [(seg(SYN, 100), OUT), (seg(SYN, 900), IN), (seg(SYN | ACK, 100, 901), OUT), (seg(SYN | ACK, 900, 101), IN)]
    assert all(window.accepts(segment, way) for segment, way in story)


def test_the_refusal_of_a_syn_passes_and_a_forged_one_does_not() -> None:
    for ack, accepted in ((101, True), (4711, False)):
        window = TcpWindow()
        window.accepts(seg(SYN, 100), OUT)
        assert window.accepts(seg(RST | ACK, 0, ack), IN) is accepted


ENDS = {
    "its SYN is refused": [(seg(SYN, 100), OUT), (seg(RST | ACK, 0, 101), IN)],
    "an RST": [*opened(100), (seg(RST, 5001), IN)],
    "a FIN of each": [*opened(100), (seg(FIN | ACK, 101, 5001), OUT), (seg(FIN | ACK, 5001, 102), IN)],
}


@pytest.mark.parametrize(("opener", "answerer"), [(OUT, IN), (IN, OUT)], ids=["from inside", "from outside"])
@pytest.mark.parametrize("end", ENDS)
def test_after_the_end_the_same_ports_may_connect_again_with_new_numbers(
    end: str, opener: bool, answerer: bool
) -> None:
    """As a hole punch does that is tried again."""
    window = TcpWindow()
    story = [*ENDS[end], (seg(SYN, 10**9), opener), (seg(SYN | ACK, 2 * 10**9, 10**9 + 1), answerer)]
    assert [window.accepts(segment, way) for segment, way in story] == [True] * len(story)


def test_one_fin_is_not_the_end() -> None:
    window = TcpWindow()
    story = [*opened(100), (seg(FIN | ACK, 101, 5001), OUT), (seg(SYN, 10**9), OUT)]
    assert all(window.accepts(segment, way) for segment, way in story)
    assert not window.accepts(seg(SYN | ACK, 2 * 10**9, 10**9 + 1), IN)


def test_the_window_moves_with_the_acks() -> None:
    window = TcpWindow()
    for segment, way in opened(100):
        window.accepts(segment, way)
    for n in range(20):
        assert window.accepts(seg(ACK, 101 + n * 1000, 5001, 1000), OUT)
        assert window.accepts(seg(ACK, 5001, 101 + (n + 1) * 1000), IN)
    assert not window.accepts(seg(ACK, 101, 5001, 10), OUT)  # twenty windows old
