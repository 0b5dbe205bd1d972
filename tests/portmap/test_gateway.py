"""The gateway's sockets: what is opened, what a flood does, what is said after a reboot."""

from __future__ import annotations

from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import SocketError, UnreachableError
from natlab.nat import NatConfig
from natlab.packet import IPProtocol
from natlab.portmap import Gateway, natpmp, ssdp
from natlab.portmap.natpmp import Timers

GATEWAY = "192.168.1.1"
ALL = ("nat-pmp", "pcp", "upnp")


@pytest.mark.parametrize(
    ("services", "udp", "searched"),
    [
        ((), False, False),
        (("nat-pmp",), True, False),
        (("pcp",), True, False),
        (("upnp",), False, True),
        (ALL, True, True),
    ],
)
def test_it_listens_for_what_it_serves_and_for_nothing_else(home, services, udp: bool, searched: bool) -> None:
    house = home(services=services)
    sockets = house.gateway._network._udp._sockets
    assert (Endpoint(GATEWAY, natpmp.PORT) in sockets, ssdp.GROUP in sockets) == (udp, searched)
    house.run(house.gateway.close())
    assert sockets == {} and not house.gateway._tasks


def test_closed_it_answers_nobody_and_the_leases_stay(home) -> None:
    house = home()
    socket = house.udp(house.alice)
    house.run(natpmp.map_port(socket, GATEWAY, IPProtocol.UDP, 4001))
    house.run(house.gateway.close())
    with pytest.raises(UnreachableError):
        house.run(natpmp.external_address(socket, GATEWAY, Timers(tries=1)))
    assert len(list(house.leases)) == 1


def test_a_port_that_is_taken_leaves_none_open(home) -> None:
    house = home()
    second = Gateway(house.gateway._network, GATEWAY, house.leases)
    with pytest.raises(SocketError, match="EADDRINUSE"):
        house.run(second.start())
    assert not second._tasks


def test_many_reboots_are_announced_by_one_voice_and_none_when_it_is_closed(home) -> None:
    house = home(services=("nat-pmp",))
    ear = house.run(house.alice.bind_udp(natpmp.ANNOUNCEMENTS))
    for _ in range(20):
        house.router.reboot()
        house.loop.advance(0.1)
    house.loop.advance(200.0)
    assert len(ear._queue) == 20 + 9
    house.router.reboot()
    house.run(house.gateway.close())
    house.router.reboot()
    house.loop.advance(200.0)
    assert len(ear._queue) == 20 + 9 and not house.gateway._tasks


def test_nobody_is_told_of_a_reboot_by_upnp(home) -> None:
    house = home(services=("upnp",))
    ear = house.run(house.alice.bind_udp(natpmp.ANNOUNCEMENTS))
    house.router.reboot()
    house.loop.advance(200.0)
    assert not ear._queue


def test_a_flood_of_anything_leaves_the_others_served_and_the_table_bounded(home) -> None:
    house = home(NatConfig(), leases_per_host=8)
    rng = Random(5)
    flood, friend = house.udp(house.carol), house.udp(house.alice)
    for number in range(3000):
        port = natpmp.PORT if number % 2 else ssdp.GROUP.port
        to = Endpoint(GATEWAY if number % 2 else ssdp.GROUP.ip, port)
        good = bytes((0, 1, 0, 0)) + rng.randbytes(2) + bytes(2) + b"\0\0\1\0"
        flood.send(good if number % 4 == 1 else rng.randbytes(rng.randrange(64)), to)
        if number % 100 == 0:
            house.loop.advance(0.01)
    house.loop.advance(1.0)
    assert sum(lease.internal.ip == house.carol.ip for lease in house.leases) == 8
    response = house.run(natpmp.map_port(friend, GATEWAY, IPProtocol.UDP, 4001, 4001))
    assert response.external_port == 4001
