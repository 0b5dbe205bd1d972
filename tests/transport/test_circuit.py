"""The circuit transport: two ends and a relay between them that only splices."""

import asyncio

import pytest

from natlab.errors import NegotiationError, RefusedError, SecurityError
from natlab.protocol import circuit as dialogue
from natlab.protocol.circuit import Status
from natlab.transport import circuit
from natlab.transport.negotiate import answer
from natlab.transport.upgrade import upgrade
from natlab.wire import varint
from natlab.wire.proto.circuit_pb2 import HopMessage, StopMessage

RELAY = "/ip4/11.0.0.1/tcp/4001/p2p/{}/p2p-circuit"


def frame(message):
    return varint.prefixed(message.SerializeToString())


async def relay_says(relay, protocols, *messages):
    """The relay's end of a hop stream: reads the request, answers, and hands the stream over."""
    stream = await relay.log.opened.get()
    await answer(stream, protocols.__contains__)
    await stream.read()
    for message in messages:
        await stream.write(frame(message))
    return stream


OK = HopMessage(type=HopMessage.STATUS, status="OK")


def test_after_ok_the_stream_is_the_circuit(run, connect, credentials, peer_ids):
    async def main(one, other):
        here, relay = await connect(one, other)
        serving = asyncio.ensure_future(relay_says(relay, {dialogue.HOP_ID}, OK))
        below, route = await circuit.dial(here, peer_ids[2])
        assert (route.relayed, route.dialled, route.opened_by) == (True, True, "dial")
        assert str(route.remote) == str(route.local) == RELAY.format(peer_ids[1])
        ours, theirs = await asyncio.gather(
            upgrade(below, credentials[0], initiator=True, expected=peer_ids[2]),
            upgrade(await serving, credentials[2], initiator=False),
        )
        assert (ours.peer, theirs.peer) == (peer_ids[2], peer_ids[0])
        await here.close()
        await relay.close()

    run(main)


def test_a_refused_circuit(run, connect, peer_ids):
    async def main(one, other):
        here, relay = await connect(one, other)
        refusal = HopMessage(type=HopMessage.STATUS, status="NO_RESERVATION")
        serving = asyncio.ensure_future(relay_says(relay, {dialogue.HOP_ID}, refusal))
        with pytest.raises(RefusedError) as refused:
            await circuit.dial(here, peer_ids[2])
        assert refused.value.status == Status.NO_RESERVATION
        await serving
        await here.close()
        await relay.close()

    run(main)


def test_a_peer_that_is_no_relay(run, connect, peer_ids):
    async def main(one, other):
        here, relay = await connect(one, other)
        serving = asyncio.ensure_future(relay_says(relay, {"/other"}))
        with pytest.raises(NegotiationError):
            await circuit.dial(here, peer_ids[2])
        serving.cancel()
        await here.close()
        await relay.close()

    run(main)


def test_who_calls_is_what_the_relay_says_until_proven(run, connect, peer_ids):
    async def main(one, other):
        here, relay = await connect(one, other)
        stop = relay.open_stream()
        await stop.write(frame(StopMessage(type=StopMessage.CONNECT, peer={"id": bytes(peer_ids[2])})))
        source, route = await circuit.accept(await here.log.opened.get())
        assert source == peer_ids[2]
        assert (route.relayed, route.dialled) == (True, False)
        assert str(route.remote) == RELAY.format(peer_ids[1])
        assert (await stop.read())[1:] == StopMessage(type=StopMessage.STATUS, status="OK").SerializeToString()
        await here.close()
        await relay.close()

    run(main)


def test_a_relay_that_breaks_the_dialogue(run, connect):
    async def main(one, other):
        here, relay = await connect(one, other)
        stop = relay.open_stream()
        await stop.write(b"\x05hello")
        with pytest.raises(RefusedError) as refused:
            await circuit.accept(await here.log.opened.get())
        assert refused.value.status == Status.MALFORMED_MESSAGE
        await here.close()
        await relay.close()

    run(main)


def test_no_circuit_over_a_circuit(run, connect):
    async def main(one, other):
        here, relay = await connect(one, other)
        stop = relay.open_stream()
        await stop.write(b"\x00")
        stream = await here.log.opened.get()
        here.route = here.route.__class__(here.route.local, here.route.remote, True, True, "dial", 0.0)
        with pytest.raises(SecurityError):
            await circuit.accept(stream)
        await here.close()
        await relay.close()

    run(main)
