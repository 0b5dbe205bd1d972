"""What every `natlab.net.Network` must do: the same tests on the simulated internet and on the computer's loopback.

Three places to run: two hosts of the simulated internet, one simulated host with itself, and the computer's own
sockets on 127.0.0.1. What only a network with delay or loss can show is tested in tests/sim.
"""

import asyncio
import errno
from dataclasses import dataclass
from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, SocketError
from natlab.events import Journal
from natlab.net import Network
from natlab.net.sockets import SystemNetwork
from natlab.sim import Internet, SimLoop

SECONDS = 20.0  # for one test, in the network's own time


@dataclass
class Place:
    """Two networks that reach each other, the address of the second, and how to run a coroutine there."""

    here: Network
    there: Network
    address: str
    run: object

    def at(self, port=0):
        return Endpoint(self.address, port)


def simulated(loop, hosts):
    internet = Internet(loop, Journal(kinds=()), Random)
    made = [internet.host(f"host {n}") for n in range(hosts)]
    address = made[-1].ip if hosts > 1 else "127.0.0.1"
    return Place(made[0], made[-1], address, lambda coroutine: loop.run(coroutine, limit=SECONDS))


async def settled(main):
    """asyncio takes a moment to close its transports."""
    result = await asyncio.wait_for(main, SECONDS)
    await asyncio.sleep(0.01)
    return result


@pytest.fixture(params=["sim, two hosts", "sim, loopback", "system, loopback"])
def place(request):
    if request.param.startswith("system"):
        network = SystemNetwork()
        yield Place(network, network, "127.0.0.1", lambda main: asyncio.run(settled(main)))
        return
    loop = SimLoop()
    yield simulated(loop, hosts=2 if "two" in request.param else 1)
    loop.close()


async def pair(place):
    """A connection and its other end."""
    listener = await place.there.listen_tcp(place.at())
    dialled = await place.here.dial_tcp(listener.local)
    accepted = await listener.accept()
    listener.close()
    return dialled, accepted


async def read_all(stream):
    received = b""
    while chunk := await stream.read():
        received += chunk
    return received


async def errno_of(awaitable):
    with pytest.raises(SocketError) as refused:
        await awaitable
    return errno.errorcode[refused.value.errno]


def reset_all(*connections):
    for connection in connections:
        connection.reset()


def test_both_ends_agree_on_who_they_are(place):
    async def main():
        dialled, accepted = await pair(place)
        assert (dialled.local, dialled.remote) == (accepted.remote, accepted.local)
        assert dialled.remote.ip == place.address and dialled.local.port != 0
        reset_all(dialled, accepted)

    place.run(main())


def test_bytes_arrive_whole_and_in_order_both_ways_at_once(place):
    data = bytes(range(256)) * 4096

    async def send(stream):
        await stream.write(data)
        await stream.close_write()

    async def main():
        dialled, accepted = await pair(place)
        _, _, one, two = await asyncio.gather(send(dialled), send(accepted), read_all(dialled), read_all(accepted))
        assert one == two == data
        reset_all(dialled, accepted)

    place.run(main())


def test_read_gives_no_more_than_asked_for(place):
    async def main():
        dialled, accepted = await pair(place)
        await dialled.write(b"abcdef")
        await dialled.close_write()
        parts = [await accepted.read(4), await accepted.read(1), await accepted.read(), await accepted.read()]
        assert parts == [b"abcd", b"e", b"f", b""]
        reset_all(dialled, accepted)

    place.run(main())


def test_a_closed_side_still_reads_and_writes_no_more(place):
    async def main():
        dialled, accepted = await pair(place)
        await dialled.close_write()
        await dialled.close_write()
        assert await accepted.read() == b""
        await accepted.write(b"still talking")
        assert await dialled.read() == b"still talking"
        with pytest.raises(ClosedError):
            await dialled.write(b"x")
        reset_all(dialled, accepted)

    place.run(main())


def test_after_both_have_closed_reading_gives_the_end(place):
    async def main():
        dialled, accepted = await pair(place)
        await dialled.close_write()
        assert await accepted.read() == b""
        await accepted.close_write()
        assert [await dialled.read(), await dialled.read(), await accepted.read()] == [b"", b"", b""]

    place.run(main())


def test_reset_ends_both_directions_at_both_ends(place):
    async def main():
        dialled, accepted = await pair(place)
        readers = [asyncio.ensure_future(end.read()) for end in (dialled, accepted)]
        await asyncio.sleep(0)
        dialled.reset()
        dialled.reset()
        results = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(result) for result in results] == [ClosedError, ClosedError]
        for end in (dialled, accepted):
            with pytest.raises(ClosedError):
                await end.write(b"x")
            with pytest.raises(ClosedError):
                await end.read()
            await end.close_write()

    place.run(main())


def test_a_cancelled_read_loses_no_bytes(place):
    async def main():
        dialled, accepted = await pair(place)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await accepted.read()
        await dialled.write(b"late")
        assert await accepted.read() == b"late"
        reset_all(dialled, accepted)

    place.run(main())


def test_nobody_listens(place):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        port = listener.local.port
        listener.close()
        return await errno_of(place.here.dial_tcp(place.at(port)))

    assert place.run(main()) == "ECONNREFUSED"


def test_a_foreign_address_cannot_be_bound(place):
    async def main():
        foreign = Endpoint("192.0.2.1", 0)
        return [await errno_of(place.here.listen_tcp(foreign)), await errno_of(place.here.bind_udp(foreign))]

    assert place.run(main()) == ["EADDRNOTAVAIL", "EADDRNOTAVAIL"]


@pytest.mark.parametrize(("first", "second"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("kind", ["listen_tcp", "bind_udp"])
def test_a_port_is_shared_only_if_both_say_so(place, kind, first, second):
    async def main():
        bind = getattr(place.there, kind)
        one = await bind(place.at(), reuse_port=first)
        try:
            if first and second:
                (await bind(one.local, reuse_port=second)).close()
            else:
                assert await errno_of(bind(one.local, reuse_port=second)) == "EADDRINUSE"
        finally:
            one.close()

    place.run(main())


def test_a_listening_port_dials_if_both_say_so(place):
    async def main():
        target = await place.there.listen_tcp(place.at())
        home = await place.here.listen_tcp(Endpoint("0.0.0.0", 0), reuse_port=True)
        refused = await errno_of(place.here.dial_tcp(target.local, local=home.local))
        dialled = await place.here.dial_tcp(target.local, local=home.local, reuse_port=True)
        accepted = await target.accept()
        assert dialled.local.port == home.local.port
        reset_all(dialled, accepted)
        target.close()
        home.close()
        return refused

    assert place.run(main()) == "EADDRINUSE"


def test_a_4_tuple_is_taken_until_it_is_reset(place):
    async def main():
        target = await place.there.listen_tcp(place.at())
        first = await place.here.dial_tcp(target.local, reuse_port=True, local=Endpoint("0.0.0.0", 0))
        accepted = await target.accept()

        async def again():
            return await place.here.dial_tcp(target.local, local=first.local, reuse_port=True)

        taken = await errno_of(again())
        first.reset()
        with pytest.raises(ClosedError):
            await accepted.read()
        second = await again()
        assert (second.local, second.remote) == (first.local, first.remote)
        reset_all(second, await target.accept())
        target.close()
        return taken

    assert place.run(main()) == "EADDRNOTAVAIL"


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


def test_time_and_addresses(place):
    assert place.here.now() > 1_700_000_000
    addresses = place.here.addresses()
    assert addresses[-1] == "127.0.0.1" and len(set(addresses)) == len(addresses)
