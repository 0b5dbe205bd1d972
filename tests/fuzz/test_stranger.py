"""A stranger gets as far as it likes by the rules, then says anything: the node lives on, and nobody else notices.

how far      TCP │ Noise │ a stream of each protocol
from where   it dials us │ we dial it │ through a relay
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import NatlabError
from natlab.protocol.circuit import HOP_ID, STOP_ID
from natlab.protocol.dcutr import DCUTR_ID
from natlab.protocol.identify import IDENTIFY_ID, PUSH_ID
from natlab.protocol.ping import PING_ID
from natlab.transport import circuit
from natlab.transport.negotiate import answer, negotiated
from natlab.upgrade import multistream, noise
from natlab.upgrade.yamux_frame import Flag, FrameType, Header
from natlab.wire import address, varint
from natlab.wire.proto.circuit_pb2 import HopMessage, StopMessage
from natlab.wire.proto.dcutr_pb2 import HolePunch
from natlab.wire.proto.identify_pb2 import Identify

PUBLIC = address.parse("/ip4/99.0.0.1/tcp/4001").to_bytes()
PRIVATE = address.parse("/ip4/192.168.0.1/tcp/4001").to_bytes()
FRAMES = {
    IDENTIFY_ID: [Identify(listenAddrs=[PUBLIC], protocols=["/a"], observedAddr=PUBLIC, agentVersion="a")],
    PUSH_ID: [Identify(listenAddrs=[PUBLIC] * 300), Identify(observedAddr=PUBLIC, protocols=[PUSH_ID, DCUTR_ID])],
    HOP_ID: [
        HopMessage(type=HopMessage.RESERVE),
        HopMessage(type=HopMessage.CONNECT, peer={"id": b"\0\4abcd"}),
        HopMessage(type=HopMessage.STATUS, status="OK"),
        HopMessage(type=HopMessage.STATUS, status="OK", reservation={"expire": 1 << 60, "addrs": [PUBLIC] * 30}),
        HopMessage(type=HopMessage.STATUS, status="OK", reservation={"expire": (1 << 64) - 1, "voucher": b"v"}),
    ],
    STOP_ID: [
        StopMessage(type=StopMessage.CONNECT, peer={"id": b"\0\4abcd"}),
        StopMessage(type=StopMessage.STATUS, status="OK"),
    ],
    DCUTR_ID: [
        HolePunch(type=HolePunch.CONNECT, ObsAddrs=[PUBLIC, PRIVATE, b"junk"]),
        HolePunch(type=HolePunch.SYNC),
    ],
    PING_ID: [],
}
PROTOCOLS = list(FRAMES)
SENTENCES = [multistream.encode(line) for line in (multistream.PROTOCOL_ID, noise.PROTOCOL_ID, "na", *PROTOCOLS)]
HEADERS = st.builds(
    lambda kind, flags, stream, length: Header(kind, flags, stream, length).encode(),
    st.sampled_from(FrameType),
    st.integers(0, 15) | st.sampled_from([Flag.SYN, Flag.SYN | Flag.FIN, Flag.RST]),
    st.integers(0, 6),
    st.sampled_from([0, 1, 20, 1 << 18, (1 << 32) - 1]),
)
Script = list[bytes | str]


def garbled(frame: bytes, at: int, value: int) -> bytes:
    at %= len(frame)
    return frame[:at] + bytes([value]) + frame[at + 1 :]


def scripts(*frames: bytes) -> st.SearchStrategy[Script]:
    """Whole frames, cut ones, ones with a byte changed, junk, and what can be done to a stream."""
    whole = st.sampled_from([bytes(32), *frames])
    cut = st.builds(lambda frame, at: frame[: at % (len(frame) + 1)], whole, st.integers(0, 500))
    changed = st.builds(garbled, whole, st.integers(0, 500), st.integers(0, 255))
    acts = st.sampled_from(["close", "reset", "wait", "read"])
    return st.lists(whole | whole | cut | changed | st.binary(max_size=64) | acts, max_size=8)


def talk(protocol: str) -> st.SearchStrategy[tuple[str, Script]]:
    """A protocol, and what is said in it."""
    frames = [varint.prefixed(message.SerializeToString()) for message in FRAMES[protocol]]
    return st.tuples(st.just(protocol), scripts(*frames))


TALKS = st.sampled_from(PROTOCOLS).flatmap(talk)
OPENING = scripts(*SENTENCES)
YAMUX = st.lists(HEADERS | HEADERS | st.binary(min_size=1, max_size=40), max_size=20)
ANSWERS = OPENING | YAMUX.map(tuple) | st.fixed_dictionaries({name: talk(name) for name in PROTOCOLS})
"""What the stranger says on a byte stream: a list on itself, a tuple inside Noise, a dictionary in streams."""


async def play(stream, script: Script) -> None:
    """Says it on a stream, 10 ms a step."""
    with suppress(NatlabError):
        for step in script:
            await asyncio.sleep(0.01)
            match step:
                case "close":
                    await stream.close_write()
                case "reset":
                    stream.reset()
                    break
                case "wait":
                    await asyncio.sleep(30.0)
                case "read":
                    async with asyncio.timeout(1.0):
                        await stream.read()
                case _:
                    await stream.write(step)
        await asyncio.sleep(1.0)


async def playing(stream, script: Script) -> None:
    """The same, and whatever is left hangs up."""
    try:
        with suppress(TimeoutError):
            await play(stream, script)
    finally:
        stream.reset()


async def in_streams(connection, talks: list[tuple[str, Script]]) -> None:
    """Opens a stream for each talk, all at once."""

    async def one(protocol: str, script: Script) -> None:
        with suppress(NatlabError):
            await playing(await negotiated(connection.open_stream(), protocol), script)

    await asyncio.gather(*(one(*each) for each in talks))


def test_anything_on_tcp(world, few):
    @few
    @given(OPENING)
    def story(script):
        here = world()

        async def main():
            await playing(await here.tcp(), script)

        here.suffers(main())

    story()


def test_anything_inside_noise(world, few):
    @few
    @given(YAMUX, st.booleans())
    def story(frames, patient):
        here = world()

        async def main():
            upgraded = await here.upgraded(await here.tcp())
            with suppress(NatlabError):
                for frame in frames:
                    await upgraded.stream.write(frame)
                    await asyncio.sleep(0.01)
            await asyncio.sleep(30.0 if patient else 0.1)
            upgraded.stream.reset()

        here.suffers(main())

    story()


def test_anything_in_streams_of_every_protocol(world, few):
    @few
    @given(st.lists(TALKS, min_size=1, max_size=5))
    def story(talks):
        here = world()

        async def main():
            connection = await here.connected(await here.tcp())
            await in_streams(connection, talks)
            await connection.close()

        here.suffers(main())

    story()


@pytest.mark.parametrize("verb", ["dial", "ping", "identify", "reserve", "dial through"])
def test_we_turn_to_the_stranger(world, few, verb):
    """It listens, and answers with anything: to the handshake, in Yamux, or in the streams that we open."""

    @few
    @given(ANSWERS)
    def story(answers):
        here = world()

        async def main():
            listener = await here.stranger.listen_tcp(Endpoint(here.stranger.ip, 4001))
            answering = asyncio.ensure_future(answer_all(here, listener, answers))
            at = address.with_peer(address.from_endpoint(listener.local), here.peer)
            with suppress(NatlabError):
                match verb:
                    case "dial":
                        await here.victim.dial(at)
                    case "ping":
                        await here.victim.ping(at)
                    case "identify":
                        await here.victim.identify(at)
                    case "reserve":
                        await here.victim.reserve(at)
                    case "dial through":
                        await here.victim.dial(address.via_relay(at, here.friend.peer_id))
            listener.close()
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

        here.suffers(main())

    story()


def test_a_stranger_behind_a_relay(world, few):
    """It calls through an honest relay; we take it for a candidate to punch to, and open streams of our own."""

    @few
    @given(ANSWERS)
    def story(answers):
        here = world()

        async def main():
            host, port = Endpoint.of(here.relay.addresses[0].value_for_protocol("ip4"), 4001)
            to_relay = await here.connected(await here.stranger.dial_tcp(Endpoint(host, port)))
            below, _ = await circuit.dial(to_relay, here.victim.peer_id)
            await say(here, below, answers, initiator=True)
            await to_relay.close()

        here.suffers(main())

    story()


async def answer_all(here, listener, answers) -> None:
    while True:
        await say(here, await listener.accept(), answers, initiator=False)


async def say(here, below, answers, *, initiator: bool) -> None:
    """Says the answers on a byte stream, at the depth that their type stands for."""
    with suppress(NatlabError):
        if isinstance(answers, list):
            await playing(below, answers)
        elif isinstance(answers, tuple):
            upgraded = await here.upgraded(below, initiator=initiator)
            await playing(upgraded.stream, list(answers))
        else:
            connection = await here.connected(below, initiator=initiator)
            await asyncio.gather(in_their_streams(here, answers), in_streams(connection, list(answers.values())))
            await connection.close()


async def in_their_streams(here, answers) -> None:
    """Answers whatever streams are opened to the stranger within a minute."""

    async def one(stream) -> None:
        with suppress(NatlabError):
            protocol = await answer(stream, answers.__contains__)
            await playing(stream, answers[protocol][1])

    tasks = []
    for _ in range(60):
        await asyncio.sleep(1.0)
        while here.opened:
            tasks.append(asyncio.ensure_future(one(here.opened.pop(0))))
    await asyncio.gather(*tasks)
