"""The STUN client: its timers, what it takes for an answer and what not, over UDP and TCP."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, ProtocolError, RefusedError, UnreachableError
from natlab.nat import NatConfig
from natlab.protocol.stun import Answer, Timers, ask_tcp, ask_udp, binding_request, read_stun
from natlab.wire import stun
from natlab.wire.stun import ErrorCode, Message, MessageClass

RNG = Random(1)
SEEN = Endpoint("11.9.9.9", 9)


def success(request, **fields):
    return Message(MessageClass.SUCCESS_RESPONSE, request.transaction_id, xor_mapped_address=SEEN, **fields)


def raw(message, *attributes):
    """The message with these (type, four bytes) at its end, and no FINGERPRINT."""
    body = stun.encode(message)[20:-8] + b"".join(
        kind.to_bytes(2, "big") + b"\0\4" + value for kind, value in attributes
    )
    return stun.encode(message)[:2] + len(body).to_bytes(2, "big") + stun.encode(message)[4:20] + body


def asked_of(world, answer, *, over="udp"):
    """The client's answer from a server that `answer(data)` plays: a list of what it sends back."""
    client = world.client()

    async def udp():
        server = await world.first.bind_udp(Endpoint(world.first.ip, 3478))

        async def serve():
            while True:
                data, source = await server.receive()
                for reply in answer(stun.decode(data)):
                    server.send(reply, source)

        serving = asyncio.ensure_future(serve())
        socket = await client.bind_udp(Endpoint(client.ip, 5000))
        try:
            return await ask_udp(socket, server.local, binding_request(RNG))
        finally:
            serving.cancel()

    async def tcp():
        listener = await world.first.listen_tcp(Endpoint(world.first.ip, 3478))

        async def serve():
            connection = await listener.accept()
            for reply in answer(await read_stun(connection)):
                await connection.write(reply)

        serving = asyncio.ensure_future(serve())
        try:
            return await ask_tcp(await client.dial_tcp(listener.local), binding_request(RNG))
        finally:
            serving.cancel()

    return world.run(udp() if over == "udp" else tcp())


def test_the_default_timers_are_those_of_rfc_8489():
    assert list(Timers().waits()) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 8.0]
    assert Timers().total == 39.5
    assert Timers(rto=0.1, rc=2, rm=5).total == pytest.approx(0.6)


def test_seven_requests_and_it_gives_up_after_39_and_a_half_seconds(stun_world):
    with pytest.raises(UnreachableError, match="7 requests"):
        asked_of(stun_world, lambda request: [])
    assert stun_world.sent("client") == pytest.approx([0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5])
    assert stun_world.loop.time() == pytest.approx(39.5)


def test_it_repeats_until_it_is_answered_and_the_transaction_stays_the_same(stun_world):
    seen = []

    def third_time(request):
        seen.append(request)
        return [stun.encode(success(request))] if len(seen) == 3 else []

    assert asked_of(stun_world, third_time).mapped == SEEN
    assert len(set(seen)) == 1 and len(seen) == 3
    assert stun_world.loop.time() == pytest.approx(1.54)


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_what_is_no_answer_is_discarded(stun_world, over):
    def noise(request):
        other = replace(request, transaction_id=bytes(12))
        strange = [stun.encode(success(other, software="other"))]
        return [*strange, *([b"noise", stun.encode(request)] if over == "udp" else []), stun.encode(success(request))]

    answer = asked_of(stun_world, noise, over=over)
    assert answer.mapped == SEEN and answer.message.software == ""
    assert answer.source == Endpoint(stun_world.first.ip, 3478)


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_an_error_response_has_its_code(stun_world, over):
    error = ErrorCode(420, "Unknown Attribute")
    with pytest.raises(RefusedError, match="420 Unknown Attribute") as refused:
        asked_of(
            stun_world,
            lambda request: [stun.encode(Message(MessageClass.ERROR_RESPONSE, request.transaction_id, error=error))],
            over=over,
        )
    assert refused.value.status == 420


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_a_response_that_must_be_understood_and_is_not(stun_world, over):
    with pytest.raises(ProtocolError, match="cannot be understood"):
        asked_of(stun_world, lambda request: [raw(success(request), (0x7FFF, b"????"))], over=over)


def test_an_error_response_without_a_code(stun_world):
    with pytest.raises(ProtocolError, match="cannot be understood"):
        asked_of(
            stun_world, lambda request: [stun.encode(Message(MessageClass.ERROR_RESPONSE, request.transaction_id))]
        )


def test_a_response_that_does_not_say_where_it_saw_us():
    answer = Answer(Message(MessageClass.SUCCESS_RESPONSE, bytes(12)), SEEN)
    with pytest.raises(ProtocolError, match="XOR-MAPPED-ADDRESS"):
        _ = answer.mapped


def test_over_tcp_it_waits_as_long_and_does_not_repeat(stun_world):
    with pytest.raises(UnreachableError, match="over TCP"):
        asked_of(stun_world, lambda request: [], over="tcp")
    assert stun_world.loop.time() == pytest.approx(39.54)  # the handshake came first


def test_a_connection_that_ends_is_no_answer(stun_world):
    client = stun_world.client()

    async def main():
        listener = await stun_world.first.listen_tcp(Endpoint(stun_world.first.ip, 3478))
        connection = await client.dial_tcp(listener.local)
        accepted = await listener.accept()
        await accepted.write(stun.encode(binding_request(RNG))[:25])
        await accepted.close_write()
        await ask_tcp(connection, binding_request(RNG))

    with pytest.raises(UnreachableError) as caught:
        stun_world.run(main())
    assert isinstance(caught.value.__cause__, ClosedError)


def test_behind_a_nat_the_answer_is_its_external_endpoint(stun_world):
    server = stun_world.serve(sites=1)
    client = stun_world.client(NatConfig(port_allocation="random"))

    async def main():
        socket = await client.bind_udp(Endpoint(client.ip, 5000))
        udp = await ask_udp(socket, server.endpoint, binding_request(RNG))
        tcp = await ask_tcp(await client.dial_tcp(server.endpoint), binding_request(RNG))
        return udp.mapped, tcp.mapped

    box = stun_world.internet.nats["nat"]
    for mapped in stun_world.run(main()):
        assert mapped.ip == box.external_ip and mapped.port != 5000


def test_on_a_link_that_loses_half_of_all_packets_it_gets_its_answer(stun_world):
    server = stun_world.serve(sites=1)
    client = stun_world.client(loss=0.5)

    async def main():
        socket = await client.bind_udp(Endpoint(client.ip, 5000))
        return [(await ask_udp(socket, server.endpoint, binding_request(RNG))).mapped for _ in range(5)]

    assert set(stun_world.run(main())) == {Endpoint(client.ip, 5000)}
    assert stun_world.loop.time() > 0.5
