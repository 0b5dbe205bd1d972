"""Which handler answers which protocol: the registry, and what happens to every stream a peer opens.

    stream opened by the peer ──> multistream-select (10 s) ──> the handler of the protocol
        │ too many                     │ none in common              │ it fails
        └──> reset                     └──> reset                    └──> reset, HandlerFailed

A handler is the node's boundary: whatever goes wrong in it becomes an event, and the node goes on. A `RefusedError` is
nothing wrong: the handler has said no to the peer, in the words of its protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from natlab.errors import ClosedError, NatlabError, RefusedError
from natlab.events import HandlerFailed
from natlab.host.record import Recorder
from natlab.transport.connection import Connection, MuxedStream
from natlab.transport.negotiate import answer, within_time

MAX_SERVED = 256
"""Streams of one connection that are served at a time; ours. A stream the peer has reset still counts while its handler
runs, so that opening and resetting streams does not pile up handlers."""
MAX_NAMES = 1536
"""Bytes of all protocol ids together: identify tells them all, in 4 KiB with everything else."""

Handler = Callable[[MuxedStream, Connection], Awaitable[None]]
"""What answers a protocol: awaited with each new stream, and the connection it came over."""


class Protocols:
    """The protocols a node answers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._handlers: dict[str, Handler] = {}
        self._served: Counter[int] = Counter()  # by connection number

    @property
    def names(self) -> tuple[str, ...]:
        """Protocol ids, in order of registration."""
        return tuple(self._handlers)

    def add(self, protocol: str, handler: Handler) -> None:
        """Raises ValueError if the protocol has a handler already, or all ids together are longer than `MAX_NAMES`."""
        if protocol in self._handlers:
            raise ValueError(f"{protocol} has a handler already; `unhandle` it first")
        if sum(map(len, (*self._handlers, protocol))) > MAX_NAMES:
            raise ValueError(f"{protocol} is one too many: identify has room for {MAX_NAMES} bytes of protocol ids")
        self._handlers[protocol] = handler

    def remove(self, protocol: str) -> None:
        self._handlers.pop(protocol, None)

    async def serve(self, stream: MuxedStream) -> None:
        """The life of one stream that a peer opened."""
        number = stream.connection.number
        if self._served[number] >= MAX_SERVED:
            stream.reset()
            return
        self._served[number] += 1
        try:
            await self._serve(stream)
        finally:
            self._served[number] -= 1
            if not self._served[number]:
                del self._served[number]

    async def _serve(self, stream: MuxedStream) -> None:
        try:
            async with within_time(stream):
                protocol = await answer(stream, self._handlers.__contains__)
        except NatlabError:  # nothing asked for that we speak, hung up, or no multistream; the stream is reset
            return
        handler = self._handlers.get(protocol)
        if handler is None:  # withdrawn meanwhile
            stream.reset()
            return
        await self._handle(protocol, handler, stream)

    async def _handle(self, protocol: str, handler: Handler, stream: MuxedStream) -> None:
        connection = stream.connection
        try:
            await handler(stream, connection)
        except RefusedError:
            await stream.close_write()
        except Exception as error:
            with suppress(ClosedError):
                await connection.drained()  # a reset overtakes what waits, and the peer should hear what was agreed
            stream.reset()
            if isinstance(error, ClosedError) and connection.closed is not None:
                return  # the connection ended, and every stream with it
            cause = str(error) if isinstance(error, NatlabError) else repr(error)
            self._recorder.emit(HandlerFailed(*self._recorder.here, str(connection.peer), protocol, cause))
