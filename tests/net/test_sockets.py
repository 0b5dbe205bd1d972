"""What only the computer's own sockets can show; the rest of the seam is in tests/contract."""

import asyncio
import errno
import socket
import sys

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, SocketError
from natlab.net import sockets
from natlab.net.sockets import SystemNetwork

LOOPBACK = Endpoint("127.0.0.1", 0)
linux = pytest.mark.skipif(sys.platform != "linux", reason="a rule of Linux's port table")


def run(main):
    async def bounded():
        await asyncio.wait_for(main(SystemNetwork()), 10)
        await asyncio.sleep(0.01)  # asyncio takes a moment to close its transports

    asyncio.run(bounded())


async def connected(network, **dial):
    listener = await network.listen_tcp(LOOPBACK, reuse_port=True)
    dialled = await network.dial_tcp(listener.local, **dial)
    return listener, dialled, await listener.accept()


def test_loopback_is_the_last_of_the_addresses():
    assert SystemNetwork().addresses()[-1] == "127.0.0.1"


def test_handshakes_are_not_delayed_by_nagle():
    async def main(network):
        listener, dialled, accepted = await connected(network)
        for connection in (dialled, accepted):
            option = connection._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert option != 0
            connection.reset()
        listener.close()

    run(main)


@linux
def test_a_reset_frees_the_four_tuple_for_the_next_dial():
    async def main(network):
        mine = await network.listen_tcp(LOOPBACK, reuse_port=True)
        listener, dialled, accepted = await connected(network, local=mine.local, reuse_port=True)
        with pytest.raises(SocketError) as taken:
            await network.dial_tcp(listener.local, local=mine.local, reuse_port=True)
        assert taken.value.errno == errno.EADDRNOTAVAIL
        dialled.reset()
        with pytest.raises(ClosedError):
            await accepted.read()
        again = await network.dial_tcp(listener.local, local=mine.local, reuse_port=True)
        assert again.local == mine.local
        again.reset()
        mine.close()
        listener.close()

    run(main)


@linux
def test_a_cancelled_dial_frees_its_port():
    async def main(network):
        mine = await network.listen_tcp(LOOPBACK)
        port = Endpoint("127.0.0.1", mine.local.port)
        mine.close()
        full = socket.create_server(("127.0.0.1", 0), backlog=0)  # accepts nobody, so later SYNs stay unanswered
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await network.dial_tcp(Endpoint.of(*full.getsockname()), local=port)
        (await network.listen_tcp(port)).close()
        for one in (full, *crowd):
            one.close()

    run(main)


def test_a_reader_who_does_not_read_holds_the_writer_back():
    async def main(network):
        listener, dialled, accepted = await connected(network)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                while True:
                    await dialled.write(bytes(1 << 20))
        assert len(accepted._received) < sockets.READ_AHEAD + sockets.CHUNK
        dialled.reset()
        accepted.reset()
        listener.close()

    run(main)


def test_connections_that_nobody_accepts_are_bounded(monkeypatch):
    monkeypatch.setattr(sockets, "BACKLOG", 2)

    async def main(network):
        listener = await network.listen_tcp(LOOPBACK)
        dialled = [await network.dial_tcp(listener.local) for _ in range(3)]
        with pytest.raises(ClosedError):
            await dialled[2].read()
        listener.close()
        for connection in dialled:
            connection.reset()

    run(main)


def test_datagrams_that_nobody_reads_are_bounded(monkeypatch):
    monkeypatch.setattr(sockets, "DATAGRAMS_AHEAD", 2)

    async def main(network):
        receiver = await network.bind_udp(LOOPBACK)
        sender = await network.bind_udp(LOOPBACK)
        for number in range(5):
            sender.send(bytes([number]), receiver.local)
        for _ in range(20):  # asyncio takes one datagram a turn
            await asyncio.sleep(0.005)
        assert [(await receiver.receive())[0] for _ in range(2)] == [b"\0", b"\1"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await receiver.receive()
        sender.close()
        receiver.close()

    run(main)


def test_ipv6_loopback():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def main(network):
        try:
            listener = await network.listen_tcp(Endpoint("::1", 0))
        except SocketError as error:
            pytest.skip(f"no IPv6 loopback here: {error}")
        dialled = await network.dial_tcp(listener.local)
        assert dialled.remote == listener.local
        dialled.reset()
        listener.close()

    run(main)


def test_an_address_that_is_none_here_is_an_errno_too():
    async def main(network):
        nowhere = Endpoint.of("fe80::1%nowhere", 0)
        for verb in (network.listen_tcp, network.dial_tcp, network.bind_udp):
            with pytest.raises(SocketError) as refused:
                await verb(nowhere)
            assert refused.value.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # this one: no IPv6 at all

    run(main)
