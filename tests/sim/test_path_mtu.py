"""What a host remembers of paths; what it does with datagrams is in tests/sim/links/test_mtu.py."""

from natlab.endpoint import Endpoint
from natlab.packet import IPProtocol, Packet
from natlab.sim.path_mtu import EXPIRES, MOST, PathMtu

BOB, CAROL = Endpoint("12.0.0.1", 9), Endpoint("13.0.0.1", 9)


def datagram(to: Endpoint) -> Packet:
    return Packet(IPProtocol.UDP, Endpoint("11.0.0.1", 1), to, bytes(1400))


def test_as_measured_on_linux() -> None:
    path_mtu = PathMtu()
    path_mtu.learn(BOB.ip, 1280, 0)
    assert [piece.size for piece in path_mtu.pieces(datagram(BOB), 1)] == [1276, 172]
    assert not any(piece.df for piece in path_mtu.pieces(datagram(BOB), 1))


def test_what_fits_and_what_goes_elsewhere_stays_whole() -> None:
    path_mtu = PathMtu()
    path_mtu.learn(BOB.ip, 1428, 0)
    assert path_mtu.pieces(datagram(BOB), 1) == (datagram(BOB),)
    path_mtu.learn(BOB.ip, 1280, 0)
    assert path_mtu.pieces(datagram(CAROL), 1) == (datagram(CAROL),)


def test_it_forgets_after_ten_minutes_and_believes_in_no_mtu_below_552() -> None:
    path_mtu = PathMtu()
    path_mtu.learn(BOB.ip, 100, 0)
    assert (
        max(piece.size for piece in path_mtu.pieces(datagram(BOB), EXPIRES - 1)) == 548
    )  # pieces end at multiples of 8
    assert path_mtu.pieces(datagram(BOB), EXPIRES) == (datagram(BOB),)


def test_news_of_a_known_path_makes_it_the_last_to_be_forgotten() -> None:
    path_mtu = PathMtu()
    for ip in (BOB.ip, CAROL.ip, BOB.ip):
        path_mtu.learn(ip, 1280, 0)
    assert list(path_mtu.known) == [CAROL.ip, BOB.ip]


def test_errors_about_ever_more_destinations_cost_no_more_than_a_full_table() -> None:
    path_mtu = PathMtu()
    for number in range(2 * MOST):
        path_mtu.learn(f"99.0.{number // 256}.{number % 256}", 1280, 0)
    assert len(path_mtu.known) == MOST
