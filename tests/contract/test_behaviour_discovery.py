"""One client and one server of RFC 5780, simulated and with a kernel's sockets, find the same NAT."""

import asyncio
import sys
from random import Random

import pytest

from natlab.nat import Behaviour, NatConfig
from natlab.net.sockets import SystemNetwork
from natlab.protocol.behaviour_discovery import discover_udp, hairpins, survives_silence
from natlab.protocol.stun import Timers
from natlab.protocol.stun_server import Site, StunServer
from natlab.protocol.tcp_discovery import discover_tcp

EI, AD, APD = Behaviour
SOON = Timers(rto=0.2, rc=2, rm=3)  # a silence takes 0.8 s


@pytest.mark.parametrize(("mapping", "filtering"), [(EI, EI), (APD, AD)])
def test_it_names_the_nat(new_ground, mapping, filtering):
    with new_ground() as ground:
        first, second = ground.host("stun"), ground.host("stun2")
        client = ground.host("client", NatConfig(mapping=mapping, filtering=filtering, port_allocation="random"))
        ip = client.addresses()[0]

        async def main():
            async with StunServer(*(Site(network, network.addresses()[0]) for network in (first, second))) as server:
                udp = await discover_udp(client, ip, server.endpoint, Random(1), SOON)
                tcp = await discover_tcp(client, ip, server.endpoint, Random(1))
            return udp, tcp

        for found in ground.run(main()):
            assert (found.natted, found.mapping, found.filtering) == (True, mapping, filtering), found.transport


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 as its own")
def test_on_this_computer_there_is_no_nat():
    network = SystemNetwork()

    async def main():
        async with StunServer(Site(network, "127.0.0.1"), Site(network, "127.0.0.2"), (0xBAD2, 0xBAD3)) as server:
            asked = (network, "127.0.0.1", server.endpoint)
            found = [await discover(*asked, Random(1), SOON) for discover in (discover_udp, discover_tcp)]
            assert await hairpins(*asked, Random(1), SOON)
            assert await survives_silence(*asked, 0.01, Random(1), SOON)
        await asyncio.sleep(0.01)  # asyncio takes a moment to close its transports
        return found

    for found in asyncio.run(main()):
        assert (found.natted, found.mapping, found.filtering) == (False, EI, EI)
