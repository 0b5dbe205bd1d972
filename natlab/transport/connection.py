"""A connection: an encrypted stream to one peer that carries many streams (`stream.py`).

Around the sans-io session of `natlab.upgrade.yamux` there are two plain functions and a timer, and no task while
nothing happens: most connections of a node are idle, and a task for each would be most of their memory.

    _read_in     called when the stream below has changed: bytes from the peer ──> session ──> events wake the streams
                 they are about
    _write_out   called at the end of each turn of the loop in which the session got something to send, so that what is
                 written in one go, a message and the end of its stream for example, leaves in one go (in a lab, all of
                 one instant). Nobody else writes: a cancelled caller never leaves half an encrypted message behind
    keepalive    a Yamux ping at once, and again every so often: the round-trip time, as go-yamux measures it. The
                 connection dies if the answer does not come. It also keeps the NAT mappings on the path alive, so a
                 lesson can switch all but the first off
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from multiaddr import Multiaddr

from natlab.errors import ClosedError, LabError, NatlabError, ProtocolError
from natlab.net.waiting import Waiters, end_of_turn
from natlab.transport.stream import MuxedStream
from natlab.transport.upgrade import Upgraded
from natlab.upgrade import noise, yamux
from natlab.wire.peer_id import PeerId

WRITE_TIMEOUT = 10.0
"""Seconds the peer may refuse to take bytes, or to answer a keepalive. Source: go-yamux v5 `mux.go`."""
WRITE_SIZE = noise.MAX_PLAINTEXT
"""Bytes handed down at once: one encrypted message. A slow path may take long for much, but not for each."""
WRITE_AHEAD = 1 << 16
"""Bytes of all streams that may wait to be written out before whoever writes more has to wait too."""
UNANSWERED = 1 << 22
"""Bytes read while our own bytes do not get through. Reading on avoids that two full pipes wait for each other; the
bound keeps answers to a flood of pings from piling up."""
NO_ANSWER = f"no answer to a keepalive for {WRITE_TIMEOUT:g} s"
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
        keepalive: seconds between keepalive pings; None for none but the first.
        on_stream: told of every stream the peer opens.
        on_round_trip: told of each round-trip time of a keepalive, in seconds.
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
        on_round_trip: Callable[[Connection, float], None],
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
        self._on_round_trip = on_round_trip
        self._on_closed = on_closed
        self._streams: dict[int, MuxedStream] = {}
        self._pings: dict[int, asyncio.Future[None]] = {}
        self._unanswered = 0  # bytes read since the last write went through
        self._reading = self._writing = False  # what either does below may be the change that calls it again
        self._flushing = False  # `_write_out` will be called at the end of this turn
        self._crowded = False  # a stream waits for room
        self._patience: asyncio.TimerHandle | None = None  # runs while the stream below takes no more
        self._asked = (0, 0.0)  # the number of a keepalive that is not answered yet, and when it was sent
        self._rest: asyncio.Handle | None = None  # until the next keepalive, or until its answer is late
        self._written = Waiters()
        self._loop = asyncio.get_running_loop()
        self._at_end_of_turn = end_of_turn(self._loop)

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

    def room(self) -> bool:
        """Whether its streams may write more; if not, they are woken once what they have written is on its way."""
        self._crowded = self._session.bytes_to_send > WRITE_AHEAD
        return not self._crowded

    def start(self) -> None:
        self._secure.watch(self._changed)
        self._loop.call_soon(self._changed)
        self._rest = self._loop.call_soon(self._keep_alive)  # to leave together with the first stream

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
            raise ClosedError(NO_ANSWER) from error
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

    def end(self, reason: str) -> None:
        """Ends it at once (RST below). Twice is harmless."""
        if self.closed is not None:
            return
        self.closed = f"the connection is over: {reason}"
        for timer in filter(None, (self._rest, self._patience)):
            timer.cancel()
        self._secure.watch(None)
        self._secure.reset()
        for stream in list(self._streams.values()):
            stream.connection_ended()
        self._streams.clear()
        for answered in self._pings.values():
            if not answered.done():
                answered.set_exception(ClosedError(self.closed))
        self._written.wake()
        self._on_closed(self, reason)

    def flush(self) -> None:
        """Has what the session has to send written out at the end of this turn, or once the stream below has room."""
        if self._session.bytes_to_send and not self._secure.unsent:
            self._write_out_soon()

    def _write_out_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._at_end_of_turn(self._write_out)

    async def drained(self) -> None:
        """Waits until all that was to be sent has gone to the stream below.

        Raises:
            ClosedError: the connection ended.
        """
        while self.closed is None and self._has_to_send:
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

    @property
    def _has_to_send(self) -> bool:
        return bool(self._session.bytes_to_send or self._secure.unsent)

    async def _goodbye(self) -> None:
        """Lets the go-away leave; a peer that takes no bytes has had its chance."""
        self.flush()
        with suppress(TimeoutError, ClosedError):
            async with asyncio.timeout(GOODBYE_TIMEOUT):
                await self.drained()

    def _changed(self) -> None:
        """The stream below may have something for us, or room."""
        if self._reading or self.closed is not None:
            return
        self._reading = True
        try:
            self._read_in()
        except ProtocolError as error:
            self._write_out()  # the go-away that says so
            self.end(str(error))
        except NatlabError as error:
            self.end(str(error))
        finally:
            self._reading = False
        if self._secure.unsent:
            self._write_out()

    def _read_in(self) -> None:
        while self._unanswered <= UNANSWERED or not self._has_to_send:
            data = self._secure.read_now()
            if data is None:
                break
            if not data:
                self.end("closed by the peer")
                break
            self._unanswered += len(data)
            for event in self._session.receive(data):
                self._on_event(event)
            self._write_out_soon()  # whoever was woken has something to send by then, perhaps

    def _write_out(self) -> None:
        self._flushing = False
        if self._writing or self.closed is not None:
            return
        gone, self._writing = 0, True
        try:
            if self._secure.unsent:
                gone = self._secure.write_now(b"")
            while self._session.bytes_to_send and not self._secure.unsent:
                gone += self._secure.write_now(self._session.data_to_send(WRITE_SIZE))
        except NatlabError as error:
            self.end(str(error))
        finally:
            self._writing = False
        if gone:
            self._wrote()
        if self._secure.unsent and self._patience is None:
            late = f"the peer takes no bytes for {WRITE_TIMEOUT:g} s"
            self._patience = self._loop.call_later(WRITE_TIMEOUT, self.end, late)

    def _wrote(self) -> None:
        """Something has gone to the stream below: the peer takes bytes."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._crowded and self.room():
            for stream in list(self._streams.values()):
                stream.changes.wake()
        self._written.wake()
        has_stalled, self._unanswered = self._unanswered > UNANSWERED, 0
        if has_stalled:
            self._changed()

    def _keep_alive(self) -> None:
        self._asked = self._session.ping(), self._loop.time()
        self.flush()
        self._rest = self._loop.call_later(WRITE_TIMEOUT, self.end, NO_ANSWER)

    def _kept_alive(self) -> None:
        (_, sent), self._asked = self._asked, (0, 0.0)
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._keepalive is not None:
            self._rest = self._loop.call_at(sent + self._keepalive, self._keep_alive)
        self._on_round_trip(self, self._loop.time() - sent)

    def _on_event(self, event: yamux.Event) -> None:
        match event:
            case yamux.StreamOpened(number):
                opened = self._streams[number] = MuxedStream(self, self._session, number)
                self._on_stream(opened)
            case yamux.StreamReadable(number):
                if stream := self._streams.get(number):
                    stream.changes.wake()
            case yamux.StreamWritable(number):
                if stream := self._streams.get(number):
                    stream.changes.wake()
            case yamux.StreamFinished(number):
                if stream := self._streams.get(number):
                    stream.peer_finished()
            case yamux.StreamReset(number, _):
                if ended := self._streams.pop(number, None):
                    ended.peer_reset()
            case yamux.StreamOverrun(number):
                if ended := self._streams.pop(number, None):
                    ended.overrun()
            case yamux.PingAnswered(number) if number == self._asked[0]:
                self._kept_alive()
            case yamux.PingAnswered(number):
                if (answered := self._pings.get(number)) and not answered.done():
                    answered.set_result(None)
            case yamux.GoneAway():
                pass  # see `takes_streams`
