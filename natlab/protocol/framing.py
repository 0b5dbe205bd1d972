"""Protobuf messages on a stream, each with its length in front, and a dialogue's bounds in time.

Identify, circuit relay and DCUtR all put the same frame around their messages:

    ┌──────────────────┬──────────────────────────┐
    │ length (uvarint) │ protobuf, `length` bytes │      multiformats unsigned-varint; relay/DCUtR.md "RPC messages"
    └──────────────────┴──────────────────────────┘

Two rules a reader has to keep:

- **Never one byte too many.** After the last message of hop or stop the stream *is* the circuit
  (relay/circuit-v2.md, "Connection Initiation"), and its next bytes belong to someone else's handshake. So the length
  is read byte by byte and the message by its length; no buffer stays behind.
- **Never more than promised.** A length above the protocol's maximum is refused before a byte of it is read.

*Not modelled*: proto2's `required`. Each dialogue checks the fields it needs.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, TypeVar

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message

from natlab.errors import ClosedError, DecodeError, RefusedError, UnreachableError
from natlab.net import Stream
from natlab.wire import varint

M = TypeVar("M", bound=Message)

MAX_LENGTH_BYTES = 2
"""Bytes a length may take: two hold up to 16,383, and no maximum of these protocols is above 8,192."""


async def read_message(stream: Stream, kind: type[M], maximum: int) -> M:
    """Reads exactly one message.

    Args:
        kind: the protobuf class to expect.
        maximum: largest message in bytes, its length prefix excluded.

    Raises:
        ClosedError: the stream was closed or reset before the message was whole.
        DecodeError: the message is too large, its length is no minimal uvarint, or it is no protobuf of that kind.
    """
    message = await read_message_or_end(stream, kind, maximum)
    if message is None:
        raise ClosedError(f"the peer closed the stream where a {kind.__name__} was due")
    return message


async def read_message_or_end(stream: Stream, kind: type[M], maximum: int) -> M | None:
    """Like `read_message`, but None where the peer closed the stream between two messages."""
    length = await _read_length(stream)
    if length is None:
        return None
    if length > maximum:
        raise DecodeError(f"a {kind.__name__} of {length} bytes; {maximum} at most")
    return parse(kind, await read_exactly(stream, length))


async def write_message(stream: Stream, message: Message) -> None:
    """Writes one message in one write, so that it also leaves as one frame.

    Raises:
        ClosedError: the stream was reset.
    """
    await stream.write(varint.prefixed(message.SerializeToString()))


async def read_exactly(stream: Stream, count: int) -> bytes:
    """Reads `count` bytes and not one more.

    Raises:
        ClosedError: the stream ended before.
    """
    data = b""
    while len(data) < count:
        chunk = await stream.read(count - len(data))
        if not chunk:
            raise ClosedError(f"the peer closed the stream after {len(data)} of {count} bytes")
        data += chunk
    return data


def parse(kind: type[M], data: bytes) -> M:
    """Parses a protobuf of a stranger.

    Raises:
        DecodeError: the bytes are no protobuf, or a field has another type, or a string is no UTF-8.
    """
    try:
        return kind.FromString(data)
    except ProtobufError as error:
        raise DecodeError(f"not a {kind.__name__}: {error}") from error


class dialogue:
    """Bounds a dialogue in time, and leaves no open stream behind if it goes wrong in any way, cancellation included.

    A refusal, the peer's or ours, ends it in order: our side is closed, so that what we answered still arrives.
    After anything else the stream is reset.

    Args:
        seconds: of the loop's time.
        what: names the dialogue in the error.

    Raises:
        UnreachableError: the time ran out.
    """

    __slots__ = ("_seconds", "_stream", "_timeout", "_what")

    def __init__(self, stream: Stream, seconds: float, what: str) -> None:
        self._stream = stream
        self._seconds = seconds
        self._what = what
        self._timeout = asyncio.timeout(seconds)

    def renew(self) -> None:
        """The peer has done its part: the time begins anew."""
        self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as late:
            self._stream.reset()
            raise UnreachableError(f"{self._what}: not finished within {self._seconds:g} s") from late
        if isinstance(error, RefusedError):
            await self._stream.close_write()
        elif error is not None:
            self._stream.reset()


async def _read_length(stream: Stream) -> int | None:
    """The uvarint in front of a message, or None at the end of the stream."""
    prefix = await stream.read(1)
    if not prefix:
        return None
    while (decoded := varint.decode(prefix)) is None:
        if len(prefix) == MAX_LENGTH_BYTES:
            raise DecodeError(f"a message length of more than {MAX_LENGTH_BYTES} bytes")
        prefix += await read_exactly(stream, 1)
    return decoded[0]
