"""Ping: is the peer alive, and how far away is it?

Spec: libp2p/specs `ping/ping.md`, r0 2022-11-04. The *dialing peer* opens the stream, the *listening peer* echoes.

    dialing peer                     listening peer
        │ ──── 32 random bytes ────────────> │
        │ <─── the same 32 bytes ─────────── │     RTT: from the write to the last byte of the echo
        │               ...                  │     MAY repeat on the same stream
        │ ──── closes its side ────────────> │
        │ <─── closes its side ───────────── │

"The dialing peer MUST NOT keep more than one outbound stream" and "The listening peer SHOULD accept at most two streams
per peer" are the node's to keep: no single dialogue sees the others.
"""

from __future__ import annotations

import asyncio
import random

from natlab.errors import ProtocolError
from natlab.net import Stream
from natlab.protocol.framing import dialogue, read_exactly

PING_ID = "/ipfs/ping/1.0.0"
PING_SIZE = 32
"""Bytes of a ping's payload."""
PING_TIMEOUT = 10.0
"""Seconds the dialing peer waits for an echo. Source: go-libp2p `p2p/protocol/ping/ping.go`."""
PING_IDLE = 60.0
"""Seconds the listening peer waits for the next ping before it gives the stream up."""
MAX_ANSWERED = 2
"""Ping streams of one connection that are answered at a time."""


async def ping(stream: Stream, rng: random.Random) -> float:
    """The dialing peer's part: one ping. May be called again on the same stream; `stream.close_write` ends it.

    Args:
        rng: chooses the payload.

    Returns:
        The round-trip time in seconds.

    Raises:
        ProtocolError: the echo differs from what was sent.
        ClosedError: the peer closed or reset the stream before the echo was whole.
        UnreachableError: no echo within `PING_TIMEOUT`.
    """
    clock = asyncio.get_running_loop().time
    async with dialogue(stream, PING_TIMEOUT, "ping"):
        payload = rng.randbytes(PING_SIZE)
        sent = clock()
        await stream.write(payload)
        if await read_exactly(stream, PING_SIZE) != payload:
            raise ProtocolError("the echo of a ping differs from what was sent")
        return clock() - sent


async def answer_pings(stream: Stream) -> None:
    """The listening peer's part: echoes until the dialing peer closes its side, then closes ours.

    Raises:
        ClosedError: the stream was reset, or it ended within a payload.
        UnreachableError: no whole ping within `PING_IDLE`.
    """
    async with dialogue(stream, PING_IDLE, "waiting for a ping") as patience:
        while first := await stream.read(PING_SIZE):
            await stream.write(first + await read_exactly(stream, PING_SIZE - len(first)))
            patience.renew()
        await stream.close_write()
