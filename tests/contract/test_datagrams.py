"""UDP: datagrams there and back, and what is lost."""

import asyncio

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError


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
