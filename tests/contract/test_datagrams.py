"""UDP: datagrams there and back, and what is lost."""

import asyncio

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError
from natlab.nat import NatConfig


def test_datagrams_there_and_back(place):
    async def main():
        server = await place.there.bind_udp(place.at())
        client = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        client.send(b"question", server.local)
        question, asker = await server.receive()
        server.send(b"answer", asker)
        assert (question, await client.receive()) == (b"question", (b"answer", server.local))
        server.close()
        client.close()

    place.run(main())


def test_a_closed_udp_socket_wakes_who_waits_and_sends_nothing(place):
    async def main():
        socket = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        waiting = asyncio.ensure_future(socket.receive())
        await asyncio.sleep(0.01)
        socket.close()
        socket.close()
        with pytest.raises(ClosedError):
            await waiting
        socket.send(b"x", place.at(9))
        with pytest.raises(ClosedError):
            await socket.receive()

    place.run(main())


def test_a_datagram_for_nobody_is_simply_lost(place):
    async def main():
        gone = await place.there.bind_udp(place.at())
        gone.close()
        socket = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        for _ in range(3):
            socket.send(b"x", gone.local)
            await asyncio.sleep(0.01)
        socket.close()

    place.run(main())


def test_datagrams_keep_their_bounds_and_may_be_empty(place):
    async def main():
        server = await place.there.bind_udp(place.at())
        client = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        sent = [b"one", b"", bytes(1472)]  # the last one fills an Ethernet frame
        for data in sent:
            client.send(data, server.local)
        assert [(await server.receive())[0] for _ in sent] == sent
        server.close()
        client.close()

    place.run(main())


def test_a_datagram_too_long_for_ip_is_lost(place):
    """65,507 bytes are the most: the length field of IPv4 counts the headers too."""

    async def main():
        server = await place.there.bind_udp(place.at())
        client = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        client.send(bytes(65_508), server.local)
        client.send(b"next", server.local)
        assert (await server.receive())[0] == b"next"
        server.close()
        client.close()

    place.run(main())


def test_a_cancelled_receive_loses_nothing(place):
    async def main():
        server = await place.there.bind_udp(place.at())
        client = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await server.receive()
        client.send(b"late", server.local)
        assert (await server.receive())[0] == b"late"
        server.close()
        client.close()

    place.run(main())


def test_one_address_is_preferred_to_the_wildcard(place):
    async def main():
        wildcard = await place.there.bind_udp(Endpoint("0.0.0.0", 0), reuse_port=True)
        specific = await place.there.bind_udp(place.at(wildcard.local.port), reuse_port=True)
        client = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        for _ in range(8):
            client.send(b"x", specific.local)
            assert (await specific.receive())[0] == b"x"
        for socket in (wildcard, specific, client):
            socket.close()

    place.run(main())


def test_sockets_that_share_a_port_get_each_datagram_once_and_one_sender_stays_with_one(place):
    async def main():
        sharing = [await place.there.bind_udp(place.at(), reuse_port=True)]
        sharing.append(await place.there.bind_udp(sharing[0].local, reuse_port=True))
        client = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        receiving = [asyncio.ensure_future(socket.receive()) for socket in sharing]
        for number in (1, 2):
            client.send(bytes([number]), sharing[0].local)
        await asyncio.wait(receiving, return_when=asyncio.FIRST_COMPLETED)
        (chosen,) = [socket for socket, waiting in zip(sharing, receiving, strict=True) if waiting.done()]
        assert (await chosen.receive())[0] == b"\2"
        assert [waiting.done() for waiting in receiving].count(True) == 1
        for waiting in receiving:
            waiting.cancel()
        for socket in (*sharing, client):
            socket.close()

    place.run(main())


def test_to_send_to_the_wildcard_is_to_send_to_oneself(place):
    async def main():
        server = await place.here.bind_udp(Endpoint("0.0.0.0", 0))
        server.send(b"me", server.local)
        assert await server.receive() == (b"me", Endpoint("127.0.0.1", server.local.port))
        server.close()

    place.run(main())


def test_loopback_is_not_reached_from_outside(two_hosts):
    async def main():
        inside = await two_hosts.there.bind_udp(Endpoint("127.0.0.1", 0))
        client = await two_hosts.here.bind_udp(Endpoint("0.0.0.0", 0))
        client.send(b"x", two_hosts.at(inside.local.port))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await inside.receive()
        inside.close()
        client.close()

    two_hosts.run(main())


def test_two_nats_let_in_who_was_sent_to(new_ground):
    """UDP hole punching (RFC 5128 section 3.3): the first datagram opens the own NAT, and may be lost at the other."""
    with new_ground() as ground:
        observer = ground.host("observer")
        a, b = (ground.host(name, NatConfig(filtering="address-and-port-dependent")) for name in "ab")

        async def main():
            meeting_point = await observer.bind_udp(Endpoint(observer.addresses()[0], 0))
            sockets = [await host.bind_udp(Endpoint("0.0.0.0", 4001)) for host in (a, b)]
            seen = []
            for socket in sockets:
                socket.send(b"hello", meeting_point.local)
                seen.append((await meeting_point.receive())[1])
            sockets[0].send(b"lost", seen[1])
            await asyncio.sleep(0.05)
            sockets[1].send(b"punched", seen[0])
            assert await sockets[0].receive() == (b"punched", seen[1])
            sockets[0].send(b"through", seen[1])
            assert await sockets[1].receive() == (b"through", seen[0])
            for socket in (meeting_point, *sockets):
                socket.close()

        ground.run(main())
