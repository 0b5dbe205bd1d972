import pytest

from natlab.endpoint import Endpoint
from natlab.packet import IPProtocol, Packet
from natlab.sim.tcp_segment import ACK, FIN, RST, SYN, opens, reset_for, segment_length

US, THEM = Endpoint("11.0.0.1", 80), Endpoint("12.0.0.1", 4001)


def arrived(flags: int, payload: bytes = b"", seq: int = 0, ack: int = 0) -> Packet:
    return Packet(IPProtocol.TCP, THEM, US, payload, flags, seq, ack)


def test_syn_and_fin_count_like_bytes() -> None:
    assert segment_length(arrived(SYN)) == 1
    assert segment_length(arrived(FIN | ACK, b"abc")) == 4
    assert segment_length(arrived(RST)) == 0


@pytest.mark.parametrize(("flags", "answer"), [(SYN, True), (SYN | ACK, False), (SYN | RST, False), (ACK, False)])
def test_only_a_plain_syn_asks_for_a_connection(flags: int, answer: bool) -> None:
    assert opens(arrived(flags)) is answer


def test_a_syn_to_nobody_is_reset_and_acknowledged_so_that_the_dialer_believes_it() -> None:
    reset = reset_for(arrived(SYN, seq=0xFFFFFFFF))
    assert reset == Packet(IPProtocol.TCP, US, THEM, flags=RST | ACK, seq=0, ack=0)


def test_an_ack_to_nobody_is_reset_at_the_number_it_acknowledges() -> None:
    reset = reset_for(arrived(ACK, b"abc", seq=5, ack=77))
    assert reset == Packet(IPProtocol.TCP, US, THEM, flags=RST, seq=77)


def test_a_reset_is_never_answered() -> None:
    assert reset_for(arrived(RST | ACK)) is None
