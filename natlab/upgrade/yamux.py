"""Yamux: many streams over one connection, each with a window of its own.

Specification: libp2p specs `yamux/README.md` (r0); frames are in `yamux_frame`, events in `yamux_events`. Limits are
those of go-yamux v5, unless they say "ours".

    client (dialer)                                        server (listener)
       │── WINDOW_UPDATE SYN stream 1 ──────────────────────────>│   open; data may follow at once
       │── DATA stream 1, 100 bytes ────────────────────────────>│
       │<──────────────────────── WINDOW_UPDATE ACK stream 1 ────│   accepted (RST: refused)
       │<──────────────────────── DATA FIN stream 1, 20 bytes ───│   half-closed: the server is done
       │<──────────────────────── WINDOW_UPDATE stream 1 ────────│   the application has read: send so much more
       │── DATA FIN stream 1 ───────────────────────────────────>│   both are done: the stream is gone

Flow control: whoever receives says how much may come. A stream begins with 256 KiB; when the application has taken
half of the window, that much is granted anew. A window that is being used up doubles, to at most 1 MiB, because one
window per round trip is all the speed there is. Data beyond the window is a protocol error.

Frames for streams that are not there (any more) are skipped: they were under way when the stream was reset.

Keepalive is the caller's: it owns the clock, sends `ping` and gives up when no `PingAnswered` comes.

The session as a whole has no window. So what nobody has read is counted, and the stream whose data would make it more
than 16 MiB is reset: a peer cannot fill our memory through many streams.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from natlab.errors import ClosedError, ProtocolError, RefusedError
from natlab.upgrade.yamux_events import (
    Event,
    GoneAway,
    PingAnswered,
    StreamFinished,
    StreamOpened,
    StreamOverrun,
    StreamReadable,
    StreamReset,
    StreamWritable,
)
from natlab.upgrade.yamux_frame import ACK, FIN, HEADER_BYTES, RST, SESSION, SYN, FrameType, GoAwayCode, Header
from natlab.wire.inbox import Inbox

__all__ = [
    "Event",
    "GoAwayCode",
    "GoneAway",
    "PingAnswered",
    "Session",
    "StreamFinished",
    "StreamOpened",
    "StreamOverrun",
    "StreamReadable",
    "StreamReset",
    "StreamWritable",
]

PROTOCOL_ID = "/yamux/1.0.0"
INITIAL_WINDOW = 256 * 1024  # yamux/README.md, "Flow Control"
MAX_WINDOW = 1024 * 1024  # ours; go-yamux has 16 MiB
MAX_DATA = 65535 - 16 - HEADER_BYTES  # ours: data in one frame, so that the frame fills one Noise message
ACK_BACKLOG = 256  # yamux/README.md, "ACK backlog & backpressure"
MAX_INBOUND_STREAMS = 512  # ours; go-yamux has 1000
MAX_UNREAD = 16 * 1024 * 1024  # ours, as much as one window of go-yamux; go-libp2p allows a connection 32 MiB
_MAX_NUMBER = 2**32 - 1


@dataclass(slots=True)
class _Stream:
    """Our half of a stream. At all times receive_window + len(received) + credit == granted."""

    acknowledged: bool
    send_window: int = INITIAL_WINDOW
    granted: int = INITIAL_WINDOW  # the size of the receive window now
    receive_window: int = INITIAL_WINDOW  # what the peer may still send
    credit: int = 0  # read by the application, not yet given back to the peer
    received: Inbox = field(default_factory=Inbox)
    write_closed: bool = False
    read_closed: bool = False

    @property
    def over(self) -> bool:
        return self.write_closed and self.read_closed and not self.received


class Session:
    """One end of a connection full of streams, without any I/O.

    After every call, write `data_to_send()`. Feed `receive` only after that write went through: it is what keeps
    answers to a flood of pings from piling up here.

    Args:
        client: whether we are the dialer (Noise initiator); the client's stream IDs are odd.

    Attributes:
        bytes_to_send: how many bytes `data_to_send` has.
    """

    def __init__(self, *, client: bool) -> None:
        self.bytes_to_send = 0
        self._streams: dict[int, _Stream] = {}
        self._ours = 1 if client else 0  # the parity of our stream IDs
        self._next_stream = 1 if client else 2
        self._unacknowledged = 0
        self._inbound = 0  # streams the peer opened
        self._unread = 0  # bytes of all streams
        self._pings = 0
        self._we_go = self._peer_goes = False
        self._to_send: list[bytes | memoryview] = []
        self._events: list[Event] = []
        self._header = b""  # of the frame that is coming in
        self._body: tuple[int, int] = (SESSION, 0)  # the stream and flags of the DATA frame that is coming in
        self._body_left = 0

    @property
    def going(self) -> bool:
        """One end has gone away: open streams may end in peace, but nobody opens new ones."""
        return self._we_go or self._peer_goes

    def data_to_send(self, limit: int = sys.maxsize) -> bytes:
        """Bytes to write now, at most `limit` of them (enough for a frame); they are handed out once."""
        pieces = 0
        for piece in self._to_send:
            limit -= len(piece)
            if limit < 0:
                break
            pieces += 1
        data = b"".join(self._to_send[:pieces])
        del self._to_send[:pieces]
        self.bytes_to_send -= len(data)
        return data

    def receive(self, data: bytes) -> list[Event]:
        """Takes what the peer sent, in pieces of any size, and tells what happened.

        Raises:
            ProtocolError: the peer broke a rule. `data_to_send()` has the go-away that says so; write it and close.
        """
        view = memoryview(data)
        try:
            while view:
                view = self._receive_body(view) if self._body_left else self._receive_header(view)
        except ProtocolError:
            self.go_away(GoAwayCode.PROTOCOL_ERROR)
            raise
        events, self._events = self._events, []
        return events

    def open_stream(self) -> int:
        """Opens a stream and returns its ID; it may be written to at once.

        Raises:
            ClosedError: the peer or we have gone away.
            RefusedError: 256 streams of ours are still not acknowledged; try again later.
        """
        if self.going or self._next_stream > _MAX_NUMBER:
            raise ClosedError("the Yamux session takes no new streams")
        if self._unacknowledged >= ACK_BACKLOG:
            raise RefusedError(f"the peer has not acknowledged our last {ACK_BACKLOG} streams", status=0)
        stream = self._next_stream
        self._next_stream += 2
        self._unacknowledged += 1
        self._streams[stream] = _Stream(acknowledged=False)
        self._send(FrameType.WINDOW_UPDATE, SYN, stream)
        return stream

    def write(self, stream: int, data: bytes | memoryview) -> int:
        """Queues as much of `data` as the peer's window allows and returns how many bytes that was.

        Less than all of it: the rest must wait for `StreamWritable`.

        Raises:
            ClosedError: the stream is over, or we have closed our side of it.
        """
        state = self._streams.get(stream)
        if state is None or state.write_closed:
            raise ClosedError(f"Yamux stream {stream} is closed for writing")
        view = memoryview(data)[: state.send_window]
        state.send_window -= len(view)
        for start in range(0, len(view), MAX_DATA):
            chunk = view[start : start + MAX_DATA]
            self._send(FrameType.DATA, 0, stream, len(chunk))
            self._to_send.append(chunk)
        self.bytes_to_send += len(view)
        return len(view)

    def read(self, stream: int, limit: int = 65536) -> bytes:
        """Takes up to `limit` bytes that have come, and lets the peer send as many more.

        `b""` when there are none: wait for `StreamReadable`, unless `StreamFinished` or `StreamReset` has been.
        """
        state = self._streams.get(stream)
        if state is None or not state.received:
            return b""
        data = state.received.take(limit)
        self._unread -= len(data)
        state.credit += len(data)
        if state.credit >= state.granted // 2 and not state.read_closed:
            self._grant(stream, state)
        self._forget_if_over(stream, state)
        return data

    def close_write(self, stream: int) -> None:
        """Says that we will send no more on this stream (FIN). Harmless if that was said, or the stream is over."""
        state = self._streams.get(stream)
        if state is None or state.write_closed:
            return
        state.write_closed = True
        self._send(FrameType.DATA, FIN, stream)
        self._forget_if_over(stream, state)

    def close_read(self, stream: int) -> None:
        """Reads no more: what has come is gone, and what still comes is skipped. Follows `close_write`."""
        state = self._streams.get(stream)
        if state is not None and state.write_closed:
            self._forget(stream)

    def reset(self, stream: int, code: int = 0) -> None:
        """Ends the stream in both directions (RST) with an error code. Harmless if the stream is over."""
        if stream in self._streams:
            self._forget(stream)
            self._send(FrameType.WINDOW_UPDATE, RST, stream, code)

    def ping(self) -> int:
        """Sends a ping and returns its number; `PingAnswered` will carry the same."""
        self._pings = (self._pings + 1) & _MAX_NUMBER
        self._send(FrameType.PING, SYN, SESSION, self._pings)
        return self._pings

    def go_away(self, code: GoAwayCode = GoAwayCode.NORMAL) -> None:
        """Announces that we end the session: streams the peer opens from now on are refused. Twice is harmless."""
        if not self._we_go:
            self._we_go = True
            self._send(FrameType.GO_AWAY, 0, SESSION, code)

    # What comes in

    def _receive_header(self, view: memoryview) -> memoryview:
        missing = HEADER_BYTES - len(self._header)
        self._header += view[:missing]
        if len(self._header) == HEADER_BYTES:
            header, self._header = Header.decode(self._header), b""
            self._on_frame(header)
        return view[missing:]

    def _receive_body(self, view: memoryview) -> memoryview:
        chunk = view[: self._body_left]
        self._body_left -= len(chunk)
        stream, flags = self._body
        if state := self._streams.get(stream):
            state.received.put(chunk)
            self._unread += len(chunk)
            self._events.append(StreamReadable(stream))
            if self._unread > MAX_UNREAD:
                self.reset(stream)
                self._events.append(StreamOverrun(stream))
            elif self._body_left == 0 and flags & FIN:
                self._on_fin(stream, state)
        return view[len(chunk) :]

    def _on_frame(self, header: Header) -> None:
        match header.type:
            case FrameType.DATA | FrameType.WINDOW_UPDATE:
                self._on_stream_frame(header)
            case FrameType.PING if header.flags & SYN:
                self._send(FrameType.PING, ACK, SESSION, header.length)
            case FrameType.PING:
                self._events.append(PingAnswered(header.length))
            case FrameType.GO_AWAY:
                self._peer_goes = True
                self._events.append(GoneAway(header.length))

    def _on_stream_frame(self, header: Header) -> None:
        if header.stream == SESSION:
            raise ProtocolError(f"{header.type.name} frame for stream 0, which is the session")
        if header.flags & SYN:
            self._on_syn(header.stream)
        state = self._streams.get(header.stream)
        if header.type is FrameType.DATA:  # data for a stream that is not there must not reach one we open meanwhile
            self._body, self._body_left = (header.stream if state else SESSION, header.flags), header.length
        if state is None:
            return
        if header.flags & ACK:
            self._acknowledge(state)
        if header.flags & RST:
            self._forget(header.stream)
            code = header.length if header.type is FrameType.WINDOW_UPDATE else 0
            self._events.append(StreamReset(header.stream, code))
        elif header.type is FrameType.DATA:
            self._on_data(header, state)
        else:
            self._on_window_update(header, state)

    def _on_syn(self, stream: int) -> None:
        if stream % 2 == self._ours:
            raise ProtocolError(f"the peer opened stream {stream}, a number that is ours to open")
        if stream in self._streams:
            raise ProtocolError(f"the peer opened stream {stream} twice")
        if self._we_go or self._inbound >= MAX_INBOUND_STREAMS:
            self._send(FrameType.WINDOW_UPDATE, RST, stream)
            return
        self._inbound += 1
        self._streams[stream] = _Stream(acknowledged=True)
        self._send(FrameType.WINDOW_UPDATE, ACK, stream)
        self._events.append(StreamOpened(stream))

    def _on_data(self, header: Header, state: _Stream) -> None:
        if header.length > state.receive_window:
            raise ProtocolError(f"{header.length} bytes on stream {header.stream}, {state.receive_window} were allowed")
        if header.length and state.read_closed:
            raise ProtocolError(f"data on stream {header.stream} after its FIN")
        state.receive_window -= header.length
        if header.length == 0 and header.flags & FIN:
            self._on_fin(header.stream, state)

    def _on_window_update(self, header: Header, state: _Stream) -> None:
        state.send_window += header.length
        if state.send_window > _MAX_NUMBER:
            raise ProtocolError(f"the window of stream {header.stream} grew beyond 32 bits")
        if header.length and not state.write_closed:
            self._events.append(StreamWritable(header.stream))
        if header.flags & FIN:
            self._on_fin(header.stream, state)

    def _on_fin(self, stream: int, state: _Stream) -> None:
        if not state.read_closed:
            state.read_closed = True
            self._events.append(StreamFinished(stream))
        self._forget_if_over(stream, state)

    # What goes out, and what is kept

    def _send(self, kind: FrameType, flags: int, stream: int, length: int = 0) -> None:
        self._to_send.append(Header(kind, flags, stream, length).encode())
        self.bytes_to_send += HEADER_BYTES

    def _grant(self, stream: int, state: _Stream) -> None:
        """Gives back what was read; the window was in use, so it also doubles, up to `MAX_WINDOW`."""
        growth = min(state.granted, MAX_WINDOW - state.granted)
        self._send(FrameType.WINDOW_UPDATE, 0, stream, state.credit + growth)
        state.receive_window += state.credit + growth
        state.granted += growth
        state.credit = 0

    def _acknowledge(self, state: _Stream) -> None:
        if not state.acknowledged:
            state.acknowledged = True
            self._unacknowledged -= 1

    def _forget_if_over(self, stream: int, state: _Stream) -> None:
        if state.over:
            self._forget(stream)

    def _forget(self, stream: int) -> None:
        state = self._streams.pop(stream)
        self._unread -= len(state.received)
        self._acknowledge(state)
        self._inbound -= stream % 2 != self._ours
