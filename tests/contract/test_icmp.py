"""What sockets learn from ICMP errors, on the simulator and from Linux (RFC 5461; see `natlab/sim/tcp_icmp.py`)."""

import asyncio

import pytest

from natlab.endpoint import Endpoint
from natlab.nat import NatConfig


def test_an_address_without_a_route_is_unreachable_at_once(two_hosts, errno_of):
    assert two_hosts.run(errno_of(two_hosts.here.dial_tcp(Endpoint("99.0.0.1", 80)))) == "EHOSTUNREACH"


def test_port_unreachable_refuses_a_dial(new_ground, errno_of):
    """RFC 5382 REQ-4 wants six seconds of silence first, for the sake of those who dial."""
    with new_ground() as ground:
        here, _ = ground.host("here"), ground.host("there", NatConfig(unsolicited_syn="icmp"))
        assert ground.run(errno_of(here.dial_tcp(Endpoint("12.0.0.1", 80)))) == "ECONNREFUSED"


def test_administratively_prohibited_ends_a_dial(new_ground, errno_of):
    """RFC 5508 REQ-8: the sender learns that the box makes no session for it."""
    with new_ground() as ground:
        here, there = ground.host("here", NatConfig(mappings_per_host=1)), ground.host("there")

        async def main():
            listener = await there.listen_tcp(Endpoint(there.addresses()[0], 0))
            first = await here.dial_tcp(listener.local)
            name = await errno_of(here.dial_tcp(listener.local))
            first.reset()
            listener.close()
            return name

        assert ground.run(main()) == "EHOSTUNREACH"


@pytest.mark.parametrize("box", [None, NatConfig()], ids=["on the internet", "behind a NAT box"])
def test_a_connection_that_stands_survives_an_error_and_goes_on_when_there_is_a_way_again(new_ground, box):
    """RFC 5461 section 4.1; of the box RFC 5382 REQ-10 demands it."""
    with new_ground() as ground:
        here, there = ground.host("here", box), ground.host("there")
        address = there.addresses()[0]

        async def main():
            listener = await there.listen_tcp(Endpoint(address, 0))
            dialled = await here.dial_tcp(listener.local)
            accepted = await listener.accept()
            with ground.no_route_to(address):
                await dialled.write(b"still here")
                await asyncio.sleep(0.1)  # the error has come back
            data = await accepted.read()
            for end in (dialled, accepted):
                end.reset()
            listener.close()
            return data

        assert ground.run(main()) == b"still here"


def test_a_socket_that_is_not_connected_hears_of_no_error_and_goes_on(two_hosts):
    async def main():
        socket, listener = (
            await two_hosts.here.bind_udp(two_hosts.home()),
            await two_hosts.there.bind_udp(two_hosts.at()),
        )
        gone = await two_hosts.there.bind_udp(two_hosts.at())
        gone.close()
        for _ in range(3):
            socket.send(b"to nobody", gone.local)
            await asyncio.sleep(0.01)
        socket.send(b"to somebody", listener.local)
        data, _ = await listener.receive()
        for used in (socket, listener):
            used.close()
        return data

    assert two_hosts.run(main()) == b"to somebody"
