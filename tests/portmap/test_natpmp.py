"""NAT-PMP, both roles, on a simulated LAN. The ids are RFC 6886's sections."""

from __future__ import annotations

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import RefusedError, UnreachableError
from natlab.events import PacketSeen, PortMapped, PortUnmapped, Verdict
from natlab.nat import NatConfig
from natlab.packet import IPProtocol
from natlab.portmap import natpmp
from natlab.portmap.natpmp import Epoch, Timers
from natlab.wire.natpmp import ErrorResponse, MapResponse, Opcode, ResultCode, decode_response

TCP, UDP = IPProtocol.TCP, IPProtocol.UDP
GATEWAY = "192.168.1.1"
SOON = Timers(tries=2)


def map_port(home, host, protocol, port, wanted=0, lifetime=7200):
    return home.run(natpmp.map_port(home.udp(host), GATEWAY, protocol, port, wanted, lifetime))


def test_3_2_the_external_address(home) -> None:
    house = home()
    house.loop.advance(5.0)
    response = house.run(natpmp.external_address(house.udp(house.alice), GATEWAY))
    assert (response.external_ip, response.epoch) == (house.router.external_ip, 5)


def test_3_3_a_port_is_opened_to_a_stranger_and_only_for_what_was_asked(home) -> None:
    house = home()
    socket = house.udp(house.alice, 4001)
    external = Endpoint(house.router.external_ip, 4001)
    assert not house.gets_through(external, socket)
    response = map_port(house, house.alice, UDP, 4001, 4001, lifetime=3600)
    assert response == MapResponse(Opcode.MAP_UDP, 0, response.epoch, 4001, 4001, 3600)
    assert house.gets_through(external, socket)
    assert house.leases.at(TCP, 4001) is None


def test_3_3_a_taken_port_means_another_one_and_asking_twice_is_asking_once(home) -> None:
    house = home()
    assert map_port(house, house.alice, TCP, 4001, 4001).external_port == 4001
    other = map_port(house, house.carol, TCP, 4001, 4001).external_port
    assert other not in (0, 4001)
    assert map_port(house, house.carol, TCP, 4001, 4001).external_port == other
    assert [event.renewed for event in house.journal.of(PortMapped)] == [False, False, True]


def test_3_3_the_companion_port_is_kept_for_the_same_host(home) -> None:
    house = home()
    map_port(house, house.alice, TCP, 4001, 4001)
    assert map_port(house, house.carol, UDP, 4001, 4001).external_port != 4001
    assert map_port(house, house.alice, UDP, 4001, 4001).external_port == 4001


def test_3_3_a_mapping_that_packets_made_is_found_again(home) -> None:
    house = home(NatConfig(port_allocation="random"))
    socket = house.udp(house.alice, 4001)
    socket.send(b"hello", Endpoint(house.bob.ip, 9))
    house.loop.advance(1.0)
    seen = next(event.packet.source for event in house.journal.of(PacketSeen) if event.place == "bob")
    assert seen.port != 4001
    assert map_port(house, house.alice, UDP, 4001, 4001).external_port == seen.port


def test_3_3_a_lease_is_cut_short_never_longer_and_ends_by_itself(home) -> None:
    house = home(longest=100, shortest=1)
    socket = house.udp(house.alice, 4001)
    assert map_port(house, house.alice, UDP, 4001, 4001, lifetime=50).lifetime == 50
    assert map_port(house, house.alice, UDP, 4001, 4001, lifetime=5000).lifetime == 100
    house.loop.advance(99.0)
    assert house.gets_through(Endpoint(house.router.external_ip, 4001), socket)
    house.loop.advance(400.0)
    assert not house.gets_through(Endpoint(house.router.external_ip, 4001), socket)
    assert house.leases.at(UDP, 4001) is None
    assert house.journal.of(PortUnmapped)[0].time == pytest.approx(100.0015)


def test_3_4_a_port_is_given_back_twice_and_all_ports_at_once(home) -> None:
    house = home()
    for port in (1, 2):
        map_port(house, house.alice, UDP, 4000 + port)
    map_port(house, house.alice, TCP, 4001)
    map_port(house, house.carol, UDP, 4001)
    socket = house.udp(house.alice)
    for _ in range(2):
        response = house.run(natpmp.unmap_port(socket, GATEWAY, UDP, 4001))
        assert (response.internal_port, response.external_port, response.lifetime) == (4001, 0, 0)
    assert house.run(natpmp.unmap_port(socket, GATEWAY, UDP, 0)).internal_port == 0
    assert [(lease.internal.ip, lease.protocol) for lease in house.leases] == [
        (house.alice.ip, TCP),
        (house.carol.ip, UDP),
    ]


def test_3_4_what_was_forwarded_by_hand_is_not_given_back(home) -> None:
    house = home()
    external, internal = Endpoint(house.router.external_ip, 4001), Endpoint(house.alice.ip, 4001)
    house.router.forward_port(TCP, external, internal)
    with pytest.raises(RefusedError, match="NOT_AUTHORIZED") as refused:
        house.run(natpmp.unmap_port(house.udp(house.alice), GATEWAY, TCP, 4001))
    assert refused.value.status == ResultCode.NOT_AUTHORIZED
    assert map_port(house, house.alice, TCP, 4001).external_port == 4001  # it is open, and stays so
    house.loop.advance(10_000.0)
    assert house.box.holder(TCP, external, house.loop.now_ns) == internal


def test_3_5_turned_off_is_said(home) -> None:
    house = home(refuses=True)
    socket = house.udp(house.alice)
    for asking in (natpmp.external_address(socket, GATEWAY), natpmp.map_port(socket, GATEWAY, TCP, 4001)):
        with pytest.raises(RefusedError) as refused:
            house.run(asking)
        assert refused.value.status == ResultCode.NOT_AUTHORIZED


def test_3_5_a_flood_meets_the_quota_of_its_host_and_spares_the_others(home) -> None:
    house = home(leases_per_host=3, leases=5)
    for port in range(3):
        map_port(house, house.alice, UDP, 5000 + port)
    with pytest.raises(RefusedError) as refused:
        map_port(house, house.alice, UDP, 6000)
    assert refused.value.status == ResultCode.OUT_OF_RESOURCES
    map_port(house, house.alice, UDP, 5000)  # renewing is no more
    for port in range(2):
        map_port(house, house.carol, UDP, 5000 + port)
    with pytest.raises(RefusedError):
        map_port(house, house.carol, UDP, 5002)
    assert len(list(house.leases)) == 5


def test_3_5_a_pcp_request_learns_that_only_nat_pmp_is_spoken(home) -> None:
    house = home(services=("nat-pmp",))
    socket = house.udp(house.alice)
    socket.send(bytes((2, 1)) + bytes(58), Endpoint(GATEWAY, natpmp.PORT))
    data, _ = house.run(socket.receive())
    assert decode_response(data) == ErrorResponse(0, ResultCode.UNSUPPORTED_VERSION, 0)


def test_3_1_a_silent_gateway_is_asked_nine_times_in_128_seconds(home) -> None:
    house = home(services=())
    began = house.loop.time()
    with pytest.raises(UnreachableError, match="9 requests"):
        house.run(natpmp.external_address(house.udp(house.alice), GATEWAY))
    assert house.loop.time() - began == pytest.approx(127.75)
    seen = house.journal.of(PacketSeen)
    sent = [event.time for event in seen if event.place == "alice" and event.verdict is Verdict.SENT]
    assert [round(time - began, 3) for time in sent] == [0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 63.75]


def test_3_2_an_answer_from_elsewhere_is_no_answer(home) -> None:
    house = home(services=())
    forger = house.udp(house.carol, natpmp.PORT)
    socket = house.udp(house.alice, 4000)
    forged = natpmp.natpmp.encode(natpmp.AddressResponse(0, 1, "66.0.0.6"))
    for _ in range(3):
        forger.send(forged, Endpoint(house.alice.ip, 4000))
    with pytest.raises(UnreachableError):
        house.run(natpmp.external_address(socket, GATEWAY, SOON))


@pytest.mark.parametrize(
    "other",
    [
        natpmp.MapResponse(natpmp.Opcode.MAP_UDP, 0, 1, 4002, 4002, 100),
        natpmp.MapResponse(natpmp.Opcode.MAP_TCP, 0, 1, 4001, 4001, 100),
        natpmp.AddressResponse(0, 1, "11.0.0.1"),
    ],
    ids=["another port", "another protocol", "another question"],
)
def test_3_2_an_answer_to_something_else_is_no_answer(home, monkeypatch, other) -> None:
    house = home()
    monkeypatch.setattr(natpmp, "answer", lambda *_: natpmp.natpmp.encode(other))
    with pytest.raises(UnreachableError):
        house.run(natpmp.map_port(house.udp(house.alice), GATEWAY, UDP, 4001, timers=SOON))


def test_3_5_a_result_code_of_the_future_is_an_error_too(home, monkeypatch) -> None:
    house = home()
    monkeypatch.setattr(natpmp, "answer", lambda *_: bytes((0, 128, 0, len(ResultCode))) + bytes(8))
    with pytest.raises(RefusedError, match="answers result code 6"):
        house.run(natpmp.external_address(house.udp(house.alice), GATEWAY))


def test_3_3_nothing_is_answered_outside(home) -> None:
    house = home()
    with pytest.raises(UnreachableError):
        house.run(natpmp.external_address(house.udp(house.bob), house.router.external_ip, SOON))


def test_3_2_1_a_reboot_is_announced_ten_times_to_everybody_inside(home) -> None:
    house = home(services=("nat-pmp",))
    map_port(house, house.alice, UDP, 4001, 4001)
    ears = [house.run(host.bind_udp(natpmp.ANNOUNCEMENTS, reuse_port=True)) for host in (house.alice, house.carol)]
    house.loop.advance(100.0)
    house.router.reboot()
    assert list(house.leases) == []
    house.loop.advance(200.0)
    for ear in ears:
        heard = [decode_response(house.run(ear.receive())[0]).epoch for _ in range(10)]
        assert heard == [0, 0, 0, 1, 3, 7, 15, 31, 63, 127]


@pytest.mark.parametrize(
    ("before", "elapsed", "after", "lost"),
    [
        (100, 60.0, 160, False),
        (100, 80.0, 170, False),  # its clock is slow by an eighth
        (100, 80.0, 168, False),  # and two seconds more are granted
        (100, 80.0, 167, True),
        (100, 60.0, 1, True),
        (100, 60.0, 1000, False),
        (0, 1.0, 0, False),
    ],
)
def test_3_6_what_an_epoch_tells(before: int, elapsed: float, after: int, lost: bool) -> None:
    epoch = Epoch()
    assert not epoch.shows_loss(before, 7.0)
    assert epoch.shows_loss(after, 7.0 + elapsed) is lost
