"""multistream-select on a stream: the shell around the state machine of `natlab.upgrade.multistream`.

A peer may pipeline: its protocol's first bytes can stand right behind the line that agrees on the protocol
(rust-libp2p does so). They belong to whoever speaks next, so they go back into the stream: `unread`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from natlab.errors import UnreachableError
from natlab.net import Stream
from natlab.upgrade import multistream

STREAM_TIMEOUT = 10.0
"""Seconds for the negotiation on one stream. Source: go-libp2p `p2p/host/basic/basic_host.go`."""


class Unreadable(Protocol):
    """A stream that takes back what was read too much."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    def unread(self, data: bytes) -> None:
        """The next `read` gives `data` again, before anything else."""
        ...


class Resettable(Unreadable, Protocol):
    """The same, with an end."""

    def reset(self) -> None: ...


class Machine(Protocol):
    """A sans-io state machine: bytes in, bytes out."""

    def data_to_send(self) -> bytes: ...

    def receive(self, data: bytes) -> None: ...


S = TypeVar("S", bound=Resettable)


class Buffered:
    """Any `Stream`, made to take back bytes."""

    def __init__(self, below: Stream) -> None:
        self._below = below
        self._ahead = b""

    async def read(self) -> bytes:
        if not self._ahead:
            return await self._below.read()
        data, self._ahead = self._ahead, b""
        return data

    async def write(self, data: bytes) -> None:
        await self._below.write(data)

    def unread(self, data: bytes) -> None:
        self._ahead = data + self._ahead

    def reset(self) -> None:
        self._below.reset()


async def propose(stream: Unreadable, proposals: Sequence[str]) -> str:
    """The dialer's part: the protocol the peer agreed to.

    Raises:
        NegotiationError: the peer speaks none of them.
        ProtocolError: what it says is not multistream-select.
        ClosedError: it hung up.
    """
    return await _run(multistream.Dialer(proposals), stream)


async def answer(stream: Unreadable, supports: Callable[[str], bool]) -> str:
    """The listener's part: the protocol the peer proposed and we speak.

    Raises:
        NegotiationError: the peer proposed too many we do not.
        ProtocolError: what it says is not multistream-select.
        ClosedError: it hung up.
    """
    return await _run(multistream.Listener(supports), stream)


async def negotiated(stream: S, protocol: str) -> S:
    """The dialer's part for a fresh stream and one protocol: the same stream, ready to speak it; or it is reset.

    Raises:
        NegotiationError: the peer does not speak it.
        UnreachableError: no answer within `STREAM_TIMEOUT`.
        ProtocolError, ClosedError: as for `propose`.
    """
    await within_time(stream, propose(stream, [protocol]))
    return stream


async def within_time(stream: Resettable, negotiation: Coroutine[Any, Any, str]) -> str:
    """What is agreed within `STREAM_TIMEOUT`; if the negotiation fails, the stream is reset."""
    try:
        async with asyncio.timeout(STREAM_TIMEOUT):
            return await negotiation
    except TimeoutError as error:
        stream.reset()
        raise UnreachableError(f"the peer agreed on no protocol within {STREAM_TIMEOUT:g} s") from error
    except BaseException:
        stream.reset()
        raise


async def drive(machine: Machine, stream: Unreadable, finished: Callable[[], bool]) -> None:
    """Carries bytes between a state machine and a stream until `finished`, and sends what it has to say last."""
    while True:
        if data := machine.data_to_send():
            await stream.write(data)
        if finished():
            return
        machine.receive(await stream.read())


async def _run(negotiation: multistream.Dialer | multistream.Listener, stream: Unreadable) -> str:
    await drive(negotiation, stream, lambda: negotiation.protocol is not None)
    stream.unread(negotiation.rest)
    assert negotiation.protocol is not None
    return negotiation.protocol
