"""Which handler answers which protocol: the registry, and what happens to every stream a peer opens.

    stream opened by the peer ──> multistream-select (10 s) ──> the handler of the protocol ──> it returns
        │ too many                     │ none in common              │ it fails                   └──> closed
        └──> reset                     └──> reset                    └──> reset, HandlerFailed

A handler is the node's boundary: whatever goes wrong in it becomes an event, and the node goes on. A `RefusedError` is
nothing wrong: the handler has said no to the peer, in the words of its protocol. A stream lives as long as its handler;
only one whose stream becomes something else, a circuit, hands it on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from natlab.errors import ClosedError, NatlabError, RefusedError
from natlab.events import HandlerFailed
from natlab.host.record import Recorder
from natlab.transport.connection import Connection
from natlab.transport.negotiate import answer, within_time
from natlab.transport.stream import MuxedStream
from natlab.upgrade.multistream import encode

MAX_SERVED = 256
"""Streams of one connection that are served at a time; ours. A stream the peer has reset still counts while its handler
runs, so that opening and resetting streams does not pile up handlers."""
MAX_NAMES = 1536
"""Bytes of all protocol ids together: identify tells them all, in 4 KiB with everything else."""

Handler = Callable[[MuxedStream, Connection], Awaitable[None]]
"""What answers a protocol: awaited with each new stream, and the connection it came over."""


@dataclass(frozen=True, slots=True)
class _Answer:
    handler: Handler
    at_once: int
    keeps_stream: bool


class Protocols:
    """The protocols a node answers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._answers: dict[str, _Answer] = {}
        self._served: Counter[tuple[int, str]] = Counter()  # by connection number and protocol, "" for all

    @property
    def names(self) -> tuple[str, ...]:
        """Protocol ids, in order of registration."""
        return tuple(self._answers)

    def __contains__(self, protocol: str) -> bool:
        """Whether it is answered."""
        return protocol in self._answers

    def add(self, protocol: str, handler: Handler, *, at_once: int = MAX_SERVED, keeps_stream: bool = False) -> None:
        """Has `handler` answer the protocol.

        Args:
            at_once: streams of one connection it serves at a time; further ones are reset.
            keeps_stream: what the handler returns from lives on; else its stream is closed.

        Raises:
            ValueError: the protocol has a handler already, all ids together are longer than `MAX_NAMES`, it is no text
                that multistream can carry, or the handler is no function.
        """
        encode(protocol)
        if not callable(handler):
            raise ValueError(f"a handler is an async function of a stream and its connection, not {handler!r}")
        if protocol in self._answers:
            raise ValueError(f"{protocol} has a handler already; `unhandle` it first")
        if sum(map(len, (*self._answers, protocol))) > MAX_NAMES:
            raise ValueError(f"{protocol} is one too many: identify has room for {MAX_NAMES} bytes of protocol ids")
        self._answers[protocol] = _Answer(handler, at_once, keeps_stream)

    def remove(self, protocol: str) -> None:
        self._answers.pop(protocol, None)

    async def serve(self, stream: MuxedStream) -> None:
        """The life of one stream that a peer opened."""
        place = (stream.connection.number, "")
        if self._takes_place(place, MAX_SERVED, stream):
            try:
                await self._serve(stream)
            finally:
                self._leave(place)

    async def _serve(self, stream: MuxedStream) -> None:
        try:
            protocol = await within_time(stream, answer(stream, self.__contains__))
        except NatlabError:  # nothing asked for that we speak, hung up, or no multistream; the stream is reset
            return
        chosen = self._answers.get(protocol)
        if chosen is None:  # withdrawn meanwhile
            stream.reset()
            return
        place = (stream.connection.number, protocol)
        if self._takes_place(place, chosen.at_once, stream):
            try:
                await self._handle(protocol, chosen, stream)
            finally:
                self._leave(place)

    def _takes_place(self, place: tuple[int, str], most: int, stream: MuxedStream) -> bool:
        """Counts a stream while it is served; with `most` of them there already, it is reset: false."""
        if self._served[place] >= most:
            stream.reset()
            return False
        self._served[place] += 1
        return True

    def _leave(self, place: tuple[int, str]) -> None:
        self._served[place] -= 1
        if not self._served[place]:
            del self._served[place]

    async def _handle(self, protocol: str, chosen: _Answer, stream: MuxedStream) -> None:
        connection = stream.connection
        try:
            await chosen.handler(stream, connection)
            if not chosen.keeps_stream:
                await stream.close()
        except RefusedError:
            await stream.close()
        except Exception as error:
            with suppress(ClosedError):
                await connection.drained()  # a reset overtakes what waits, and the peer should hear what was agreed
            stream.reset()
            if isinstance(error, ClosedError) and connection.closed is not None:
                return  # the connection ended, and every stream with it
            cause = str(error) if isinstance(error, NatlabError) else repr(error)
            self._recorder.emit(HandlerFailed(*self._recorder.here, str(connection.peer), protocol, cause))
