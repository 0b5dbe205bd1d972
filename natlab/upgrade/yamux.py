"""Yamux (signatures; bodies follow)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

PROTOCOL_ID = "/yamux/1.0.0"


class GoAwayCode(IntEnum):
    NORMAL = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream; it is acknowledged already."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamReadable:
    """Data came: `Session.read` has it."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamWritable:
    """The peer opened its window: `Session.write` takes more."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamFinished:
    """The peer will send no more on this stream (FIN); what came before can still be read."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer ended the stream (RST); unread data is gone."""

    stream: int
    code: int


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """The answer to `Session.ping`."""

    number: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The peer ends the session: no new streams. `code` is a `GoAwayCode`, if the peer knows them."""

    code: int


Event = StreamOpened | StreamReadable | StreamWritable | StreamFinished | StreamReset | PingAnswered | GoneAway


class Session:
    """One end of a connection full of streams, without any I/O.

    After every call, write `data_to_send()`. Feed `receive` only after that write went through: it is what keeps
    answers to a flood of pings from piling up.

    Args:
        client: whether we dialled (were Noise initiator); the client's stream IDs are odd.
    """

    def __init__(self, *, client: bool) -> None:
        raise NotImplementedError

    def data_to_send(self) -> bytes:
        """Bytes to write now; they are handed out once."""
        raise NotImplementedError

    def receive(self, data: bytes) -> list[Event]:
        """Takes what the peer sent, in pieces of any size, and tells what happened.

        Raises:
            ProtocolError: the peer broke a rule. `data_to_send()` has the go-away for it; then close the connection.
        """
        raise NotImplementedError

    def open_stream(self) -> int:
        """Opens a stream and returns its ID; it may be written to at once.

        Raises:
            ClosedError: the peer or we have gone away.
            RefusedError: 256 streams of ours are still not acknowledged; try later.
        """
        raise NotImplementedError

    def write(self, stream: int, data: bytes) -> int:
        """Queues as much of `data` as the peer's window allows and returns how many bytes that was; 0: wait for
        `StreamWritable`.

        Raises:
            ClosedError: no such stream, or its writing side is closed.
        """
        raise NotImplementedError

    def read(self, stream: int, limit: int = 65536) -> bytes:
        """Takes up to `limit` bytes that have come, `b""` if there are none, and lets the peer send as many more.

        Raises:
            ClosedError: the stream was reset.
        """
        raise NotImplementedError

    def close_write(self, stream: int) -> None:
        """Says that we will send no more on this stream (FIN). Twice is harmless."""
        raise NotImplementedError

    def reset(self, stream: int, code: int = 0) -> None:
        """Ends the stream in both directions (RST). Harmless if it has ended already."""
        raise NotImplementedError

    def ping(self) -> int:
        """Sends a ping and returns its number; `PingAnswered` will carry the same."""
        raise NotImplementedError

    def go_away(self, code: GoAwayCode = GoAwayCode.NORMAL) -> None:
        """Announces that we end the session; the peer must open no more streams. Twice is harmless."""
        raise NotImplementedError
