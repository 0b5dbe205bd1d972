"""A listening TCP socket: who waits for it, what its close ends, and how much it keeps."""

import asyncio

import pytest

from natlab.errors import ClosedError


def reset_all(*connections):
    for connection in connections:
        connection.reset()


def test_a_closed_listener_frees_its_port_and_wakes_who_waits(place):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        waiting = asyncio.ensure_future(listener.accept())
        await asyncio.sleep(0.01)
        listener.close()
        listener.close()
        with pytest.raises(ClosedError):
            await waiting
        with pytest.raises(ClosedError):
            await listener.accept()
        (await place.there.listen_tcp(listener.local)).close()

    place.run(main())


def test_a_cancelled_accept_loses_no_connection(place):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await listener.accept()
        dialled = await place.here.dial_tcp(listener.local)
        accepted = await listener.accept()
        assert accepted.remote == dialled.local
        reset_all(dialled, accepted)
        listener.close()

    place.run(main())
