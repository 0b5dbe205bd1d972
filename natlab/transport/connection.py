"""A connection: an encrypted stream to one peer that carries many streams, each a `natlab.net.Stream`.

Three tasks live as long as the connection, around the sans-io session of `natlab.upgrade.yamux`:

    reader      bytes from the peer ──> session ──> events wake the streams they are about
    writer      what the session has to send ──> the peer; the only one that writes, so that a cancelled caller never
                leaves half an encrypted message behind
    keepalive   a Yamux ping every so often; the connection dies if its answer does not come. It also keeps the NAT
                mappings on the path alive, so a lesson can switch it off

A stream waits on an event of its own; whoever is woken looks at the session again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from multiaddr import Multiaddr

from natlab.errors import ClosedError, LabError, NatlabError, ProtocolError
from natlab.transport.tasks import Tasks
from natlab.transport.upgrade import Upgraded
from natlab.upgrade import noise, yamux
from natlab.wire.peer_id import PeerId

WRITE_TIMEOUT = 10.0
"""Seconds the peer may refuse to take bytes, or to answer a keepalive. Source: go-yamux v5 `mux.go`."""
WRITE_SIZE = noise.MAX_PLAINTEXT
"""Bytes handed down at once: one encrypted message. A slow path may take long for much, but not for each."""
WRITE_AHEAD = 1 << 16
"""Bytes of all streams that may wait for the writer before whoever writes more has to wait too. What is written in one
go, a message and the end of its stream for example, then leaves in one go."""
UNANSWERED = 1 << 22
"""Bytes read while our own bytes do not get through. Reading on avoids that two full pipes wait for each other; the
bound keeps answers to a flood of pings from piling up."""
GOODBYE_TIMEOUT = 1.0
"""Seconds for the go-away to leave before the connection is reset; ours."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a connection came about.

    Attributes:
        local, remote: the two ends as multiaddrs without peer ids; through a relay, `.../p2p/RELAY/p2p-circuit`.
        relayed: whether it is a circuit.
        dialled: whether this node dialled it. On a simultaneous open both did.
        opened_by: "dial", "reversal" or "hole punch".
        started: loop time in seconds when it began to be made.
    """

    local: Multiaddr
    remote: Multiaddr
    relayed: bool
    dialled: bool
    opened_by: str
    started: float


class Connection:
    """An open connection. `start` sets it going.

    Args:
        upgraded: what the upgrade resulted in.
        route: how it came about.
        number: counts the connections of this node.
        keepalive: seconds between keepalive pings; None for none.
        on_stream: told of every stream the peer opens.
        on_closed: told once, when it is over.

    Attributes:
        peer: who is at the other end, proven.
        closed: why it is over; None while it is open.
    """

    def __init__(
        self,
        upgraded: Upgraded,
        route: Route,
        number: int,
        *,
        keepalive: float | None,
        on_stream: Callable[[MuxedStream], None],
        on_closed: Callable[[Connection, str], None],
    ) -> None:
        self.peer: PeerId = upgraded.peer
        self.route = route
        self.number = number
        self.closed: str | None = None
        self._secure = upgraded.stream
        self._session = upgraded.session
        self._keepalive = keepalive
        self._on_stream = on_stream
        self._on_closed = on_closed
        self._streams: dict[int, MuxedStream] = {}
        self._pings: dict[int, asyncio.Future[None]] = {}
        self._unanswered = 0  # bytes read since the last write went through
        self._to_write = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        path = "relayed" if self.route.relayed else "direct"
        return f"<Connection {self.number} {path} to {self.peer} at {self.route.remote}>"

    @property
    def relayed(self) -> bool:
        return self.route.relayed

    @property
    def takes_streams(self) -> bool:
        """Whether new streams may be opened: not after its end, nor once one end has announced it (Yamux go-away)."""
        return self.closed is None and not self._session.going

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def start(self) -> None:
        name = repr(self)
        self._tasks.start(self._read_all(), f"reader of {name}")
        self._tasks.start(self._write_all(), f"writer of {name}")
        if self._keepalive is not None:
            self._tasks.start(self._keep_alive(self._keepalive), f"keepalive of {name}")

    def open_stream(self) -> MuxedStream:
        """Opens a stream; the peer learns of it with our first bytes.

        Raises:
            ClosedError: the connection is over.
            RefusedError: too many of our streams are waiting for the peer already.
        """
        self.check_open()
        stream = MuxedStream(self, self._session, self._session.open_stream())
        self._streams[stream.id] = stream
        self.flush()
        return stream

    async def ping(self) -> float:
        """One Yamux ping: the round-trip time in seconds.

        Raises:
            ClosedError: the connection is over, or the answer did not come within `WRITE_TIMEOUT`.
        """
        self.check_loop()
        self.check_open()
        loop = asyncio.get_running_loop()
        sent = loop.time()
        number = self._session.ping()
        self._pings[number] = answered = loop.create_future()
        self.flush()
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await answered
        except TimeoutError as error:
            raise ClosedError(f"no answer to a keepalive for {WRITE_TIMEOUT:g} s") from error
        finally:
            self._pings.pop(number, None)
        return loop.time() - sent

    async def close(self, reason: str = "closed by us") -> None:
        """Says goodbye, and returns when nothing of the connection runs any more. Twice is harmless."""
        self.check_loop()
        if self.closed is None:
            self._session.go_away()
            await self._goodbye()
        self.end(reason)
        await self._tasks.close()

    def end(self, reason: str) -> None:
        """Ends it at once (RST below). Twice is harmless."""
        if self.closed is not None:
            return
        self.closed = f"the connection is over: {reason}"
        self._tasks.cancel()
        self._secure.reset()
        for stream in list(self._streams.values()):
            stream.connection_ended()
        self._streams.clear()
        for answered in self._pings.values():
            if not answered.done():
                answered.set_exception(ClosedError(self.closed))
        self._written.set()
        self._on_closed(self, reason)

    def flush(self) -> None:
        """Has the writer send what the session has to send."""
        if self.closed is None and self._session.bytes_to_send:
            self._written.clear()
            self._to_write.set()

    async def room(self) -> None:
        """Waits while more than `WRITE_AHEAD` bytes are to be sent. Raises what `drained` raises."""
        if self._session.bytes_to_send > WRITE_AHEAD:
            await self._written.wait()
        self.check_open()

    async def drained(self) -> None:
        """Waits until all that was to be sent has gone to the stream below.

        Raises:
            ClosedError: the connection ended.
        """
        await self._written.wait()
        self.check_open()

    def check_open(self) -> None:
        """Raises ClosedError if the connection is over."""
        if self.closed is not None:
            raise ClosedError(self.closed)

    def check_loop(self) -> None:
        """Raises LabError where another loop runs than the one it lives in: an `await` outside `lab.run`."""
        if asyncio.get_running_loop() is not self._loop:
            raise LabError(f"{self!r} lives in another event loop: in a lab, hand its verbs to lab.run(...)")

    def forget(self, stream: MuxedStream) -> None:
        """The stream has ended on both sides."""
        self._streams.pop(stream.id, None)

    async def _goodbye(self) -> None:
        """Lets the go-away leave; a peer that takes no bytes has had its chance."""
        self.flush()
        with suppress(TimeoutError, ClosedError):
            async with asyncio.timeout(GOODBYE_TIMEOUT):
                await self.drained()

    async def _read_all(self) -> None:
        try:
            while data := await self._secure.read():
                for event in self._session.receive(data):
                    self._on_event(event)
                self.flush()
                self._unanswered += len(data)
                if self._unanswered > UNANSWERED:
                    await self.drained()
            self.end("closed by the peer")
        except ProtocolError as error:
            await self._goodbye()
            self.end(str(error))
        except NatlabError as error:
            self.end(str(error))

    async def _write_all(self) -> None:
        try:
            async with asyncio.timeout(None) as patience:
                while True:
                    await self._to_write.wait()
                    self._to_write.clear()
                    while data := self._session.data_to_send(WRITE_SIZE):
                        patience.reschedule(self._loop.time() + WRITE_TIMEOUT)
                        await self._secure.write(data)
                        self._unanswered = 0
                    patience.reschedule(None)
                    if not self._to_write.is_set():
                        self._written.set()
        except TimeoutError:
            self.end(f"the peer takes no bytes for {WRITE_TIMEOUT:g} s")
        except NatlabError as error:
            self.end(str(error))

    async def _keep_alive(self, every: float) -> None:
        try:
            while True:
                await asyncio.sleep(every)
                await self.ping()
        except ClosedError as error:
            self.end(str(error))

    def _on_event(self, event: yamux.Event) -> None:
        match event:
            case yamux.StreamOpened(number):
                opened = self._streams[number] = MuxedStream(self, self._session, number)
                self._on_stream(opened)
            case yamux.StreamReadable(number):
                if stream := self._streams.get(number):
                    stream.readable.set()
            case yamux.StreamWritable(number):
                if stream := self._streams.get(number):
                    stream.writable.set()
            case yamux.StreamFinished(number):
                if stream := self._streams.get(number):
                    stream.peer_finished()
            case yamux.StreamReset(number, _):
                if ended := self._streams.pop(number, None):
                    ended.peer_reset()
            case yamux.PingAnswered(number):
                if (answered := self._pings.get(number)) and not answered.done():
                    answered.set_result(None)
            case yamux.GoneAway():
                pass  # see `takes_streams`


class MuxedStream:
    """One stream of a connection: a `natlab.net.Stream`.

    Attributes:
        id: the Yamux stream number.
        connection: what it runs over.
        readable, writable: set when there may be more to read or room to write.
    """

    def __init__(self, connection: Connection, session: yamux.Session, number: int) -> None:
        self.id = number
        self.connection = connection
        self.readable = asyncio.Event()
        self.writable = asyncio.Event()
        self._session = session
        self._ahead = b""
        self._finished = False  # the peer has closed its side
        self._write_closed = False
        self._closed: str | None = None

    async def read(self, limit: int = 65536) -> bytes:
        self.connection.check_loop()
        while True:
            if self._ahead:
                data, self._ahead = self._ahead[:limit], self._ahead[limit:]
                return data
            if self._closed is not None:
                raise ClosedError(self._closed)
            if data := self._session.read(self.id, limit):
                self.connection.flush()  # the window it opens
                return data
            if self._finished:
                return b""
            self.readable.clear()
            await self.readable.wait()

    async def write(self, data: bytes) -> None:
        self.connection.check_loop()
        left = memoryview(bytes(data))  # what waits must not change; free of cost for bytes
        while True:
            if self._closed is not None:
                raise ClosedError(self._closed)
            if self._write_closed:
                raise ClosedError("this side of the stream is closed")
            self.writable.clear()
            left = left[self._session.write(self.id, left) :]
            self.connection.flush()
            await self.connection.room()
            if not left:
                return
            await self.writable.wait()

    async def close_write(self) -> None:
        self.connection.check_loop()
        if self._write_closed or self._closed is not None:
            return
        self._write_closed = True
        self._session.close_write(self.id)
        self.connection.flush()
        if self._finished:
            self.connection.forget(self)

    def reset(self) -> None:
        if self._closed is not None:
            return
        self._end("the stream was reset by us")
        self._session.reset(self.id)
        self.connection.flush()
        self.connection.forget(self)

    def unread(self, data: bytes) -> None:
        """The next `read` gives `data` again, before anything else."""
        self._ahead = data + self._ahead

    # What the connection calls

    def peer_finished(self) -> None:
        self._finished = True
        self.readable.set()
        if self._write_closed:
            self.connection.forget(self)

    def peer_reset(self) -> None:
        self._end("the stream was reset by the peer")

    def connection_ended(self) -> None:
        self._end(str(self.connection.closed))

    def _end(self, reason: str) -> None:
        self._closed = self._closed or reason
        self._ahead = b""
        self.readable.set()
        self.writable.set()
