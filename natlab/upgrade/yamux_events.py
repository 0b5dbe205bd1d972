"""What a Yamux session tells of what came in; `natlab.upgrade.yamux.Session.receive` returns it."""

from __future__ import annotations

from dataclasses import dataclass


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
    """The peer ended the stream (RST); unread data is gone. `code` is the application's, 0 if it gave none."""

    stream: int
    code: int


@dataclass(frozen=True, slots=True)
class StreamOverrun:
    """The session holds `MAX_UNREAD` bytes that nobody reads, and more came on this stream: we have reset it."""

    stream: int


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """The answer to the `Session.ping` that returned this number."""

    number: int


@dataclass(frozen=True, slots=True)
class GoneAway:
    """The peer ends the session: no new streams. `code` is a `GoAwayCode`, if the peer keeps to them."""

    code: int


Event = (
    StreamOpened
    | StreamReadable
    | StreamWritable
    | StreamFinished
    | StreamReset
    | StreamOverrun
    | PingAnswered
    | GoneAway
)
