"""The gateway's sockets: what is opened, what a flood does, what is said after a reboot."""

from __future__ import annotations

from ipaddress import ip_network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import SocketError, UnreachableError
from natlab.nat import NatConfig
from natlab.packet import IPProtocol
from natlab.portmap import Gateway, natpmp, pcp, ssdp
from natlab.portmap.natpmp import Timers
from natlab.wire import natpmp as natpmp_wire
from natlab.wire import pcp as pcp_wire
from natlab.wire.natpmp import AddressRequest, MapRequest
from natlab.wire.pcp import Filter, Mapping, Opcode, Request

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


ALICE, CAROL = Endpoint("192.168.1.2", 5000), Endpoint("192.168.1.3", 5000)
MAPS = [Mapping(bytes(12), 17, 4001, Endpoint("0.0.0.0", external)) for external in (0, 4001)]
PEER = Mapping(bytes(12), 17, 4001, Endpoint("0.0.0.0", 0), Endpoint("12.0.0.1", 9))
ALL_OF_IT = Mapping(bytes(12), 0, 0, Endpoint("0.0.0.0", 0))
ONLY = Filter(ip_network("12.0.0.0/8"), 7)
GOOD = {
    natpmp: [
        natpmp_wire.encode(AddressRequest()),
        *(natpmp_wire.encode(MapRequest(opcode, 4001, 0, 3600)) for opcode in (1, 2)),
        *(natpmp_wire.encode(MapRequest(1, port, 0, 0)) for port in (0, 4001)),
    ],
    pcp: [
        pcp_wire.encode_request(request)
        for request in (
            Request(Opcode.ANNOUNCE, 0, ALICE.ip),
            *(Request(Opcode.MAP, 3600, ALICE.ip, mapping, filters=(ONLY,)) for mapping in MAPS),
            Request(Opcode.MAP, 3600, CAROL.ip, MAPS[1], prefer_failure=True),
            *(Request(Opcode.MAP, 0, ALICE.ip, mapping) for mapping in (MAPS[0], ALL_OF_IT)),
            *(Request(Opcode.PEER, 3600, client.ip, PEER) for client in (ALICE, CAROL)),
        )
    ],
}


@pytest.mark.parametrize("protocol", GOOD, ids=["nat-pmp", "pcp"])
def test_any_datagrams_are_answered_by_the_rules_and_open_only_their_sender_s_ports(home, mutated, protocol) -> None:
    datagrams = st.tuples(mutated(st.sampled_from(GOOD[protocol])), st.sampled_from([ALICE, CAROL]))

    @given(st.lists(datagrams, min_size=5, max_size=30))
    def story(said) -> None:
        house = home(leases_per_host=2)
        asked = set()
        for data, source in said:
            asked.add(source.ip)
            answer = protocol.answer(house.leases, data, source)
            if answer is not None:
                assert answer[1] & 128 and len(answer) <= max(24, len(data) + 3)
            hosts = [lease.internal.ip for lease in house.leases]
            assert set(hosts) <= asked and all(hosts.count(ip) <= 2 for ip in asked)

    story()
