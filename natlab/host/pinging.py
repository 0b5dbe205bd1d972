"""Ping for one node: what spans several streams, and so no single dialogue can keep.

"The dialing peer MUST NOT keep more than one outbound stream to the listening peer for pinging": pings over one
connection take turns. "The listening peer SHOULD accept at most two streams per peer": further ones are reset.

The dialogue is in `natlab.protocol.ping`. Source: libp2p specs `ping/ping.md`.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from weakref import WeakValueDictionary

from natlab.errors import ClosedError, UnreachableError
from natlab.events import RoundTripMeasured
from natlab.host.core import Core
from natlab.protocol.ping import MAX_ANSWERED, PING_ID, answer_pings, ping
from natlab.transport.connection import Connection
from natlab.transport.negotiate import negotiated
from natlab.transport.stream import MuxedStream


class Pinging:
    """Pings peers, and answers theirs.

    Args:
        rng: chooses the payloads.
    """

    def __init__(self, core: Core, rng: random.Random) -> None:
        self._core = core
        self._rng = rng
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # gone with the last ping
        core.protocols.add(PING_ID, _answer, at_once=MAX_ANSWERED)

    async def ping(self, connection: Connection) -> float:
        """The round-trip time of one ping in seconds."""
        async with self._turns.setdefault(connection.number, asyncio.Lock()):
            stream = await negotiated(connection.open_stream(), PING_ID)
            seconds = await ping(stream, self._rng)
            await stream.close_write()
        here, peer = self._core.recorder.here, str(connection.peer)
        self._core.recorder.emit(RoundTripMeasured(*here, connection.number, peer, seconds))
        return seconds


async def _answer(stream: MuxedStream, _: Connection) -> None:
    with suppress(UnreachableError, ClosedError):  # a peer that pings no more has done nothing wrong
        await answer_pings(stream)
