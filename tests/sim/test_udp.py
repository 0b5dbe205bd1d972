import asyncio
import errno

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, LabError, SocketError
from natlab.events import Verdict
from natlab.packet import Icmp, IcmpKind
from natlab.sim.udp import RECEIVE_QUEUE

ANY = Endpoint("0.0.0.0", 0)


@pytest.fixture
def alice(world):
    return world.host("alice")


@pytest.fixture
def bob(world):
    return world.host("bob")


def test_a_datagram_and_its_answer(world, alice, bob):
    async def main():
        server, client = await bob.bind_udp(Endpoint(bob.ip, 53)), await alice.bind_udp(ANY)
        client.send(b"question", server.local)
        question, source = await server.receive()
        server.send(b"answer", source)
        return question, await client.receive(), source

    question, answer, source = world.run(main())
    assert (question, answer) == (b"question", (b"answer", Endpoint(bob.ip, 53)))
    assert source.ip == alice.ip


def test_a_datagram_for_nobody_is_dropped_and_says_so(world, alice, bob):
    async def main():
        (await alice.bind_udp(ANY)).send(b"?", Endpoint(bob.ip, 53))
        await asyncio.sleep(1)

    world.run(main())
    event, answer = world.packets("bob")
    assert (event.verdict, event.reason) == (Verdict.DROPPED, "no UDP socket on port 53")
    assert answer.packet.icmp == Icmp(IcmpKind.PORT_UNREACHABLE, event.packet)
    last = world.packets("alice")[-1]
    assert (last.verdict, last.reason) == (Verdict.DROPPED, "a UDP socket that is not connected is told of no error")


def test_a_datagram_to_the_other_version_of_ip_is_never_sent(world):
    hosts = [world.host("four"), world.host("six", ipv4=False, ipv6=True), world.host("both", ipv6=True)]

    async def main():
        for host in hosts:
            for wildcard in ("0.0.0.0", "::"):
                socket = await host.bind_udp(Endpoint(wildcard, 0))
                for to in ("99.0.0.1", "2600:99::1"):
                    socket.send(b"?", Endpoint(to, 53))

    world.run(main())
    sent = [(event.place, event.packet.destination.ip) for event in world.packets(verdict=Verdict.SENT)]
    assert sent == [("four", "99.0.0.1"), ("six", "2600:99::1"), ("both", "99.0.0.1"), ("both", "2600:99::1")]


def test_the_exact_address_is_preferred_over_the_wildcard(world, alice, bob):
    async def main():
        wild = await bob.bind_udp(Endpoint("0.0.0.0", 53), reuse_port=True)
        exact = await bob.bind_udp(Endpoint(bob.ip, 53), reuse_port=True)
        client = await alice.bind_udp(ANY)
        client.send(b"1", Endpoint(bob.ip, 53))
        first = await exact.receive()
        exact.close()
        client.send(b"2", Endpoint(bob.ip, 53))
        return first[0], (await wild.receive())[0]

    assert world.run(main()) == (b"1", b"2")


def test_sockets_that_share_a_port_split_the_senders_between_them(world, alice, bob):
    async def main():
        sharing = [await bob.bind_udp(Endpoint("0.0.0.0", 53), reuse_port=True) for _ in range(2)]
        clients = [await alice.bind_udp(ANY) for _ in range(40)]
        for client in clients:
            client.send(b"a", Endpoint(bob.ip, 53))
            client.send(b"b", Endpoint(bob.ip, 53))
        await asyncio.sleep(1)
        return [[await socket.receive() for _ in range(len(socket._queue))] for socket in sharing]

    one, two = world.run(main())
    senders = [{source for _, source in got} for got in (one, two)]
    assert not senders[0] & senders[1] and min(map(len, senders)) > 5
    assert len(one) + len(two) == 80


def test_the_receive_queue_is_bounded(world, alice, bob):
    async def main():
        await bob.bind_udp(Endpoint("0.0.0.0", 53))
        client = await alice.bind_udp(ANY)
        for _ in range(RECEIVE_QUEUE + 3):
            client.send(b"x", Endpoint(bob.ip, 53))
        await asyncio.sleep(1)

    world.run(main())
    dropped = world.packets("bob", Verdict.DROPPED)
    assert [event.reason for event in dropped] == ["receive queue full"] * 3


def test_ports_conflict_by_linux_rules_and_are_freed_by_close(world, alice):
    async def main():
        first = await alice.bind_udp(Endpoint("0.0.0.0", 53))
        with pytest.raises(SocketError) as refused:
            await alice.bind_udp(Endpoint(alice.ip, 53))
        first.close()
        first.close()
        await alice.bind_udp(Endpoint(alice.ip, 53))
        return refused.value.errno

    assert world.run(main()) == errno.EADDRINUSE


def test_close_wakes_the_reader(world, alice):
    async def main():
        socket = await alice.bind_udp(ANY)
        reader = asyncio.ensure_future(socket.receive())
        await asyncio.sleep(1)
        socket.close()
        with pytest.raises(ClosedError):
            await reader
        socket.send(b"lost", Endpoint(alice.ip, 9))
        with pytest.raises(ClosedError):
            await socket.receive()

    world.run(main())
    assert not world.packets()


def test_a_cancelled_reader_takes_no_datagram_with_it(world, alice):
    async def main():
        socket = await alice.bind_udp(Endpoint("127.0.0.1", 53))
        readers = [asyncio.ensure_future(socket.receive()) for _ in range(2)]
        await asyncio.sleep(1)
        socket.send(b"for the second", socket.local)
        readers[0].cancel()
        return await readers[1]

    assert world.run(main()) == (b"for the second", Endpoint("127.0.0.1", 53))


def test_loopback_takes_no_time(world, alice):
    async def main():
        socket = await alice.bind_udp(Endpoint("0.0.0.0", 53))
        socket.send(b"x", Endpoint("127.0.0.1", 53))
        socket.send(b"y", Endpoint(alice.ip, 53))
        return [(await socket.receive())[1].ip for _ in range(2)], world.loop.now_ns

    assert world.run(main()) == (["127.0.0.1", alice.ip], 0)


def test_awaited_outside_the_simulation(world, alice):
    socket = world.run(alice.bind_udp(ANY))
    for verb in (lambda: alice.bind_udp(ANY), socket.receive):
        with pytest.raises(LabError, match=r"lab\.run"):
            asyncio.run(verb())
