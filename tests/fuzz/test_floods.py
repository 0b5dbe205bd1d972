"""A stranger who asks for too much: memory, tasks and work stay bounded, and the friend is served meanwhile.

Bounds here are about twice what was measured; without the limits under test each is passed by far.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import suppress

import pytest

from natlab.errors import NatlabError
from natlab.host.protocols import MAX_SERVED
from natlab.host.trimming import MAX_CONNECTIONS
from natlab.protocol.circuit import HOP_ID
from natlab.protocol.framing import write_message
from natlab.protocol.identify import IDENTIFY_ID, PUSH_ID
from natlab.protocol.ping import PING_ID
from natlab.transport.negotiate import negotiated
from natlab.transport.upgrade import ACCEPT_TIMEOUT
from natlab.upgrade import multistream
from natlab.upgrade.yamux_frame import Flag, FrameType, Header
from natlab.wire import address
from natlab.wire.proto.identify_pb2 import Identify

MEGABYTE = 1 << 20


@pytest.fixture
def memory(world):
    """Call it to learn the most memory in use since the test began, in bytes.

    What libraries load when first used does not count. What other tests have left is set aside: the more there is, the
    later Python looks for garbage in cycles.
    """
    world().suffers(asyncio.sleep(1.0))
    gc.collect()
    gc.freeze()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    gc.unfreeze()


def opening(stream: int, protocol: str) -> bytes:
    """One frame that opens a stream and asks for a protocol."""
    text = multistream.encode(multistream.PROTOCOL_ID) + multistream.encode(protocol)
    return Header(FrameType.DATA, Flag.SYN, stream, len(text)).encode() + text


def reset(stream: int) -> bytes:
    return Header(FrameType.WINDOW_UPDATE, Flag.RST, stream, 0).encode()


def test_connections_that_say_nothing(world):
    """Half-open ones fill every place there is; when their time is up, there is room again."""
    here = world()

    async def main():
        silent = [await here.tcp() for _ in range(MAX_CONNECTIONS + 50)]
        await asyncio.sleep(1.0)
        swarm = here.victim._core.swarm
        assert swarm._upgrading + len(swarm.connections) == MAX_CONNECTIONS
        assert await here.friend.ping(here.victim) > 0
        await asyncio.sleep(ACCEPT_TIMEOUT)
        assert swarm._upgrading == 0
        assert (await here.connected(await here.tcp())).closed is None
        for tcp in silent:
            tcp.reset()

    here.suffers(main())


@pytest.mark.parametrize("protocol", [IDENTIFY_ID, PING_ID, HOP_ID, "/unknown"])
def test_streams_opened_and_reset_without_reading_an_answer(world, memory, protocol):
    """Each handler has something to say that does not get through; handlers and answers must not pile up."""
    here = world()
    most = 0

    async def main():
        nonlocal most
        upgraded = await here.upgraded(await here.tcp())
        with suppress(NatlabError):
            for first in range(1, 12_001, 400):
                streams = range(first, first + 400, 2)
                await upgraded.stream.write(b"".join(opening(stream, protocol) for stream in streams))
                await asyncio.sleep(0.06)
                most = max(most, len(here.running()))
                await upgraded.stream.write(b"".join(map(reset, streams)))
        assert await here.friend.ping(here.victim) > 0

    here.suffers(main())
    assert most <= len(here.running_before) + MAX_SERVED + 10
    assert memory() < 8 * MEGABYTE


def test_frames_that_ask_for_answers_which_are_never_read(world, memory):
    """More streams than there are places: a reset for each, which waits to be sent."""
    here = world()

    async def main():
        upgraded = await here.upgraded(await here.tcp())
        flood = b"".join(Header(FrameType.WINDOW_UPDATE, Flag.SYN, 2 * n + 1, 0).encode() for n in range(5000))
        with suppress(NatlabError, TimeoutError):
            async with asyncio.timeout(60.0):
                while True:
                    await upgraded.stream.write(flood)
        assert await here.friend.ping(here.victim) > 0

    here.suffers(main())
    assert memory() < 8 * MEGABYTE


def test_identities_as_large_as_they_may_be(world, memory):
    """Ten messages of 8 KiB each time, pushed again and again."""
    here = world()
    addresses = [address.parse(f"/ip4/60.0.{n // 256}.{n % 256}/tcp/4001").to_bytes() for n in range(1000)]

    async def main():
        connection = await here.connected(await here.tcp())
        for number in range(30):
            stream = await negotiated(connection.open_stream(), PUSH_ID)
            for first in range(0, 1000, 100):
                protocols = [f"/protocol/{number}/{name}" for name in range(first, first + 150)]
                await write_message(stream, Identify(listenAddrs=addresses[first : first + 100], protocols=protocols))
            await stream.close_write()
            await asyncio.sleep(0.5)
        assert len(here.victim._core.peerstore.identity(here.peer).protocols) == 1024
        await connection.close()

    here.suffers(main())
    assert memory() < 3 * MEGABYTE
