"""Discovery over TCP, where it differs from UDP: the dial-back, and who may answer it. The grid is beside this file."""

import asyncio
from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import RefusedError, UnreachableError
from natlab.nat import NatConfig
from natlab.protocol import stun_server, tcp_discovery
from natlab.protocol.stun import read_stun
from natlab.protocol.stun_server import StunServer
from natlab.protocol.tcp_discovery import discover_tcp, tcp_port
from natlab.wire import stun
from natlab.wire.stun import ChangeRequest, ErrorCode, Message, MessageClass

BOTH = ChangeRequest(ip=True, port=True)


def test_all_questions_leave_from_one_port_and_the_answers_to_a_change_come_from_elsewhere(stun_world):
    server = stun_world.serve()
    client = stun_world.client(NatConfig(filtering="endpoint-independent"))
    discovery = stun_world.run(discover_tcp(client, client.ip, server.endpoint, Random(1)))
    assert [str(probe.answered_from) for probe in discovery.probes] == [
        "11.0.0.1:3478",
        "12.0.0.1:3478",
        "11.0.0.1:3478",
        "12.0.0.1:3479",
    ]
    assert len({probe.local for probe in discovery.probes}) == 2


def test_a_stranger_who_comes_first_is_not_taken_for_the_server(stun_world):
    server = stun_world.serve()
    client = stun_world.client()
    stranger = stun_world.internet.host("stranger")

    async def main():
        async with tcp_port(client, client.ip, Random(1)) as port:
            greedy = [await stranger.dial_tcp(port.local) for _ in range(3)]
            await greedy[0].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await greedy[1].close_write()
            await greedy[2].write(stun.encode(Message(MessageClass.SUCCESS_RESPONSE, bytes(12))))
            return await port.test("filtering II", "4.4", server.endpoint, BOTH)

    assert stun_world.run(main()).source == Endpoint("12.0.0.1", 3479)


def test_a_connection_without_the_response_is_not_let_in(stun_world, monkeypatch):
    """Somebody else may have accepted the server's dial-back: only what arrives here counts."""
    server = stun_world.serve()
    client = stun_world.client()

    async def hang_up(self, response, back):
        back.reset()
        del self._connections[back]

    async def main():
        async with tcp_port(client, client.ip, Random(1)) as port:
            return await port.test("filtering II", "4.4", server.endpoint, BOTH)

    monkeypatch.setattr(StunServer, "_deliver", hang_up)
    assert stun_world.run(main()) is None
    assert stun_world.loop.time() == pytest.approx(tcp_discovery.DELIVERY, abs=0.5)


def test_a_server_that_keeps_to_the_rfc_leaves_the_filtering_unknown(stun_world, monkeypatch):
    """RFC 8489 section 6.2.2: it MUST NOT open a connection back. coturn answers 400 instead."""
    client = stun_world.client()

    async def refuse(self, request, connection):
        response = self._response(request, connection.remote, connection.local)
        if not request.change_request:
            return response
        return Message(MessageClass.ERROR_RESPONSE, request.transaction_id, error=ErrorCode(400, "only UDP"))

    monkeypatch.setattr(StunServer, "_dial_back", refuse)
    server = stun_world.serve()
    with pytest.raises(RefusedError, match="400 only UDP"):
        stun_world.run(discover_tcp(client, client.ip, server.endpoint, Random(1)))


def test_dial_backs_go_to_whoever_asks_and_to_nobody_else(stun_world):
    """What a request claims in its attributes does not count: no stranger can be dialled by way of the server."""
    server = stun_world.serve()
    client, victim = stun_world.client(), stun_world.internet.host("victim")

    async def main():
        victims_door = await victim.listen_tcp(Endpoint(victim.ip, 80))
        listener = await client.listen_tcp(Endpoint(client.ip, 5000), reuse_port=True)
        connection = await client.dial_tcp(server.endpoint, local=listener.local, reuse_port=True)
        claims = Message(
            MessageClass.REQUEST,
            bytes(12),
            mapped_address=victims_door.local,
            xor_mapped_address=victims_door.local,
            response_origin=victims_door.local,
            change_request=BOTH,
        )
        await connection.write(stun.encode(claims))
        back = await listener.accept()
        assert (await read_stun(back)).mapped_address == listener.local
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await victims_door.accept()

    stun_world.run(main())


def test_a_silent_door_costs_the_server_five_seconds(stun_world):
    server = stun_world.serve()
    client = stun_world.client(NatConfig(filtering="address-and-port-dependent"))

    async def main():
        async with tcp_port(client, client.ip, Random(1)) as port:
            return await port.test("filtering II", "4.4", server.endpoint, BOTH)

    assert stun_world.run(main()) is None
    assert stun_world.loop.time() == pytest.approx(stun_server.DIAL_BACK_TIMEOUT + 4 * 0.02)


def test_the_ports_are_free_again_afterwards(stun_world):
    server = stun_world.serve()
    client = stun_world.client()

    async def main():
        async with tcp_port(client, client.ip, Random(1)) as port:
            await port.must("mapping I", "4.3", server.endpoint)
            used = port.local
        (await client.listen_tcp(used)).close()
        with pytest.raises(UnreachableError, match="no TCP connection"):
            async with tcp_port(client, client.ip, Random(1)) as port:
                await port.must("mapping I", "4.3", Endpoint(server.endpoint.ip, 9))

    stun_world.run(main())
