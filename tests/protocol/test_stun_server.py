"""The STUN server: RFC 5780 table 1, what it refuses, what it ignores, and that strangers cannot hold it."""

import asyncio
import errno
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, RefusedError, SocketError, UnreachableError
from natlab.events import Journal
from natlab.protocol import stun_server
from natlab.protocol.stun import Timers, ask_tcp, ask_udp, binding_request
from natlab.protocol.stun_server import Site, StunServer
from natlab.sim import Internet, SimLoop
from natlab.wire import stun
from natlab.wire.stun import Attribute, ChangeRequest, Message, MessageClass

RNG = Random(1)
ONCE = Timers(rto=1.0, rc=1, rm=1)
SITES = {"A1": "11.0.0.1", "A2": "12.0.0.1"}
PORTS = {"P1": 3478, "P2": 3479}


def at(name):
    ip, port = name.split(":")
    return Endpoint(SITES[ip], PORTS[port])


def other(pair, one):
    return next(name for name in pair if name != one)


@pytest.mark.parametrize("asked", [f"{ip}:{port}" for ip in SITES for port in PORTS])
@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True), (True, True)])
def test_rfc_5780_table_1(stun_world, asked, flags):
    stun_world.serve()
    client = stun_world.client()
    change = ChangeRequest(*flags)

    async def main():
        socket = await client.bind_udp(Endpoint(client.ip, 5000))
        return await ask_udp(socket, at(asked), binding_request(RNG, change=change), ONCE)

    answer = stun_world.run(main())
    ip, port = asked.split(":")
    origin = f"{other(SITES, ip) if change.ip else ip}:{other(PORTS, port) if change.port else port}"
    assert answer.source == answer.message.response_origin == at(origin)
    assert answer.message.other_address == at(f"{other(SITES, ip)}:{other(PORTS, port)}")
    assert answer.message.mapped_address == answer.mapped == Endpoint(client.ip, 5000)
    assert answer.message.software == "natlab"


def test_with_one_address_it_is_a_plain_server(stun_world):
    """RFC 5780 section 6: no OTHER-ADDRESS, and 420 to CHANGE-REQUEST."""
    server = stun_world.serve(sites=1)
    client = stun_world.client()

    async def main():
        socket = await client.bind_udp(Endpoint(client.ip, 5000))
        plain = await ask_udp(socket, server.endpoint, binding_request(RNG), ONCE)
        with pytest.raises(RefusedError) as refused:
            await ask_udp(socket, server.endpoint, binding_request(RNG, change=ChangeRequest(port=True)), ONCE)
        with pytest.raises(UnreachableError):
            await ask_udp(socket, Endpoint(server.endpoint.ip, 3479), binding_request(RNG), ONCE)
        return plain, refused.value

    plain, refused = stun_world.run(main())
    assert plain.message.other_address is None and plain.message.response_origin == server.endpoint
    assert refused.status == 420
    assert repr(server) == "<STUN server at 11.0.0.1:3478>"


def test_a_response_to_another_port(stun_world):
    server = stun_world.serve(sites=1)
    client = stun_world.client()

    async def main():
        x = await client.bind_udp(Endpoint(client.ip, 5000))
        y = await client.bind_udp(Endpoint(client.ip, 6000))
        return await ask_udp(y, server.endpoint, binding_request(RNG, response_port=5000), ONCE, answer_at=x)

    assert stun_world.run(main()).mapped.port == 6000


def raw_answer(world, data, wait=1.0):
    """What the server sends back for this datagram, decoded; None for silence."""
    client = world.client()

    async def main():
        socket = await client.bind_udp(Endpoint(client.ip, 5000))
        socket.send(data, Endpoint(world.first.ip, 3478))
        try:
            async with asyncio.timeout(wait):
                return stun.decode((await socket.receive())[0])
        except TimeoutError:
            return None

    return world.run(main())


def test_what_it_must_understand_and_does_not_it_names(stun_world):
    stun_world.serve()
    request = stun.encode(binding_request(RNG))
    body = b"".join(kind.to_bytes(2, "big") + b"\0\0" for kind in (0x0026, 0x7000, 0x8000, 0x7001))
    answer = raw_answer(stun_world, request[:2] + len(body).to_bytes(2, "big") + request[4:20] + body)
    assert answer.message_class is MessageClass.ERROR_RESPONSE and answer.error.code == 420
    assert answer.unknown_attributes == (0x0026, 0x7000, 0x7001)


def test_of_too_many_it_names_as_many_as_fit(stun_world):
    stun_world.serve()
    request = stun.encode(binding_request(RNG))
    body = b"".join(kind.to_bytes(2, "big") + b"\0\0" for kind in range(0x7000, 0x7000 + 500))
    answer = raw_answer(stun_world, request[:2] + len(body).to_bytes(2, "big") + request[4:20] + body)
    assert answer.unknown_attributes == tuple(range(0x7000, 0x7040))


@pytest.mark.parametrize("message_class", [MessageClass.SUCCESS_RESPONSE, MessageClass.ERROR_RESPONSE])
def test_a_response_is_no_question(stun_world, message_class):
    """Else two servers could be made to answer each other for ever."""
    stun_world.serve()
    assert raw_answer(stun_world, stun.encode(Message(message_class, bytes(12)))) is None


def test_a_retransmitted_request_is_answered_the_same(stun_world):
    """RFC 8489 section 6.3.1: the Binding method is idempotent."""
    stun_world.serve()
    client = stun_world.client()

    async def main():
        socket = await client.bind_udp(Endpoint(client.ip, 5000))
        request = stun.encode(binding_request(RNG))
        socket.send(request, Endpoint(stun_world.first.ip, 3478))
        socket.send(request, Endpoint(stun_world.first.ip, 3478))
        return [await socket.receive() for _ in range(2)]

    one, two = stun_world.run(main())
    assert one == two


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_strangers_do_not_stop_it(junk, as_header):
    loop = SimLoop()
    internet = Internet(loop, Journal(kinds=()), Random)
    host, client = internet.host("stun"), internet.host("client")

    async def main():
        async with StunServer(Site(host, host.ip)) as server:
            socket = await client.bind_udp(Endpoint(client.ip, 5000))
            connection = await client.dial_tcp(server.endpoint)
            head = stun.encode(binding_request(RNG))[: 20 if as_header else 0]
            for data in junk:
                socket.send(head + data, server.endpoint)
                try:
                    await connection.write(head + data)
                except ClosedError:  # it has hung up on us
                    connection = await client.dial_tcp(server.endpoint)
            assert (await ask_udp(socket, server.endpoint, binding_request(RNG))).mapped == socket.local
            fresh = await client.dial_tcp(server.endpoint)
            assert (await ask_tcp(fresh, binding_request(RNG))).mapped == fresh.local

    loop.run(main())
    loop.close()


# ---- TCP


def test_several_questions_over_one_connection(stun_world):
    server = stun_world.serve()
    client = stun_world.client()

    async def main():
        connection = await client.dial_tcp(server.endpoint)
        answers = [await ask_tcp(connection, binding_request(RNG)) for _ in range(3)]
        await connection.close_write()
        assert await connection.read() == b""  # it closes when we do
        return connection.local, answers

    local, answers = stun_world.run(main())
    assert [answer.mapped for answer in answers] == [local] * 3


def test_a_dial_back_that_nobody_accepts_is_447(stun_world):
    stun_world.serve()
    client = stun_world.client()

    async def main():
        connection = await client.dial_tcp(at("A1:P1"))
        with pytest.raises(RefusedError, match="ECONNREFUSED") as refused:
            await ask_tcp(connection, binding_request(RNG, change=ChangeRequest(ip=True, port=True)))
        return refused.value.status

    assert stun_world.run(main()) == 447


def test_a_client_that_says_nothing_is_dropped_after_a_minute(stun_world):
    server = stun_world.serve()
    client = stun_world.client()

    async def main():
        connection = await client.dial_tcp(server.endpoint)
        with pytest.raises(ClosedError):
            await connection.read()

    stun_world.run(main())
    assert stun_world.loop.time() == pytest.approx(60.08)  # accepted 60 ms after the first SYN, and 20 ms back


def test_connections_are_bounded(stun_world, monkeypatch):
    monkeypatch.setattr(stun_server, "CONNECTIONS", 2)
    server = stun_world.serve()
    client = stun_world.client()

    async def main():
        held = [await client.dial_tcp(server.endpoint) for _ in range(2)]
        await asyncio.sleep(0.1)
        third = await client.dial_tcp(server.endpoint)
        with pytest.raises(ClosedError):
            await third.read()
        held[0].reset()
        await asyncio.sleep(0.1)
        return await ask_tcp(await client.dial_tcp(server.endpoint), binding_request(RNG))

    assert stun_world.run(main()).mapped.ip == client.ip


# ---- its life


def test_it_frees_its_ports_and_leaves_nothing_running(stun_world):
    server = stun_world.serve()
    client = stun_world.client()

    async def main():
        connection = await client.dial_tcp(server.endpoint)
        await ask_tcp(connection, binding_request(RNG))
        await server.close()
        with pytest.raises(ClosedError):
            await connection.read()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    stun_world.run(main())
    stun_world.serve()


def test_a_port_that_is_taken_lets_go_of_the_others(stun_world):
    first, second = stun_world.first, stun_world.second

    async def main():
        held = await second.bind_udp(Endpoint(second.ip, 3479))
        server = StunServer(Site(first, first.ip), Site(second, second.ip))
        with pytest.raises(SocketError) as refused:
            await server.start()
        held.close()
        await server.start()
        return refused.value.errno, repr(server)

    assert stun_world.run(main()) == (
        errno.EADDRINUSE,
        "<STUN server at 11.0.0.1:3478, also 12.0.0.1:3479>",
    )


@pytest.mark.parametrize(("ips", "ports"), [(("11.0.0.1", "11.0.0.1"), (1, 2)), (("11.0.0.1", "12.0.0.1"), (1, 1))])
def test_two_of_each_or_none(stun_world, ips, ports):
    with pytest.raises(ValueError, match="two different"):
        StunServer(*(Site(stun_world.first, ip) for ip in ips), ports)


def test_its_answer_names_the_attribute_it_refuses(stun_world):
    stun_world.serve(sites=1)
    answer = raw_answer(stun_world, stun.encode(binding_request(RNG, change=ChangeRequest(ip=True))))
    assert answer.unknown_attributes == (Attribute.CHANGE_REQUEST,)
