"""A listening TCP socket: who waits for it, what its close ends, and how much it keeps."""

import asyncio
from contextlib import suppress

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, SocketError


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


def test_connections_are_accepted_in_the_order_they_came(place):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        dialled = [await place.here.dial_tcp(listener.local) for _ in range(3)]
        accepted = [await listener.accept() for _ in dialled]
        assert [end.remote for end in accepted] == [end.local for end in dialled]
        reset_all(*dialled, *accepted)
        listener.close()

    place.run(main())


def test_each_connection_is_accepted_once(place):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        waiting = [asyncio.ensure_future(listener.accept()) for _ in range(3)]
        dialled = [await place.here.dial_tcp(listener.local) for _ in waiting]
        accepted = await asyncio.gather(*waiting)
        assert {end.remote for end in accepted} == {end.local for end in dialled}
        reset_all(*dialled, *accepted)
        listener.close()

    place.run(main())


def test_a_closed_listener_resets_who_was_not_accepted_and_spares_who_was(place):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        first = await place.here.dial_tcp(listener.local)
        accepted = await listener.accept()
        second = await place.here.dial_tcp(listener.local)
        await asyncio.sleep(0.02)
        listener.close()
        with pytest.raises(ClosedError):
            await second.read()
        await accepted.write(b"still here")
        assert await first.read() == b"still here"
        reset_all(first, accepted, second)

    place.run(main())


def test_a_port_can_be_listened_on_again_while_its_connections_live_or_linger(place, close_in_order):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        ends = [(await place.here.dial_tcp(listener.local), await listener.accept()) for _ in range(2)]
        await close_in_order(*reversed(ends[0]))  # the listener's side stays in TIME-WAIT
        listener.close()
        again = await place.there.listen_tcp(listener.local)
        reset_all(*ends[1])
        again.close()

    place.run(main())


def test_the_wildcard_listens_on_every_address(place):
    async def main():
        listener = await place.there.listen_tcp(Endpoint("0.0.0.0", 0))
        assert listener.local.ip == "0.0.0.0"
        port = listener.local.port
        for network, ip in ((place.here, place.address), (place.there, "127.0.0.1")):
            dialled = await network.dial_tcp(Endpoint(ip, port))
            accepted = await listener.accept()
            assert accepted.local == Endpoint(ip, port) == dialled.remote
            reset_all(dialled, accepted)
        listener.close()

    place.run(main())


def test_one_address_is_preferred_to_the_wildcard(place):
    async def main():
        wildcard = await place.there.listen_tcp(Endpoint("0.0.0.0", 0), reuse_port=True)
        specific = await place.there.listen_tcp(place.at(wildcard.local.port), reuse_port=True)
        dialled = await place.here.dial_tcp(specific.local)
        accepted = await specific.accept()
        assert accepted.remote == dialled.local
        reset_all(dialled, accepted)
        wildcard.close()
        specific.close()

    place.run(main())


def test_loopback_is_not_reached_from_outside(two_hosts, errno_of):
    async def main():
        listener = await two_hosts.there.listen_tcp(Endpoint("127.0.0.1", 0))
        refused = await errno_of(two_hosts.here.dial_tcp(two_hosts.at(listener.local.port)))
        listener.close()
        return refused

    assert two_hosts.run(main()) == "ECONNREFUSED"


def test_listeners_that_share_a_port_share_its_connections(place):
    """Which of them gets one is not promised; each connection goes to exactly one."""

    async def main():
        one = await place.there.listen_tcp(place.at(), reuse_port=True)
        other = await place.there.listen_tcp(one.local, reuse_port=True)
        accepting = [asyncio.ensure_future(listener.accept()) for listener in (one, other)]
        dialled = []
        while not all(waiting.done() for waiting in accepting):
            assert len(dialled) < 64
            dialled.append(await place.here.dial_tcp(one.local))
            await asyncio.sleep(0.01)
        accepted = [waiting.result() for waiting in accepting]
        assert {end.remote for end in accepted} <= {end.local for end in dialled}
        one.close()
        other.close()
        reset_all(*dialled, *accepted)

    place.run(main())


def test_connections_that_nobody_accepts_are_bounded(place):
    """The first 128 wait. A further one gets no answer (sim), or is reset (the computer's own sockets)."""

    async def turned_away(listener):
        """Dials, and stays; returns once it is not to be."""
        with suppress(SocketError):
            dialled = await place.here.dial_tcp(listener.local)
            with suppress(ClosedError):
                await dialled.read()
            dialled.reset()

    async def main():
        listener = await place.there.listen_tcp(place.at())
        dials = [asyncio.ensure_future(turned_away(listener)) for _ in range(136)]
        for _, one in zip(range(8), asyncio.as_completed(dials), strict=False):
            await one
        accepted = [await listener.accept() for _ in range(128)]
        assert sum(dial.done() for dial in dials) == 8
        reset_all(*accepted)
        await asyncio.gather(*dials)
        listener.close()

    place.run(main())
