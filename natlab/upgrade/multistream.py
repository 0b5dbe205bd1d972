"""multistream-select 1.0: agree on one protocol, by the dialer naming what it wants until the listener says yes.

Specification: multiformats `multistream-select` README; libp2p specs `connections/README.md`, "Protocol Negotiation".

    dialer                                        listener
      │──── /multistream/1.0.0  /tls/1.0.0 ─────────>│     header and first proposal travel together
      │<─── /multistream/1.0.0  na ──────────────────│     not that one
      │──── /noise ─────────────────────────────────>│
      │<─── /noise ──────────────────────────────────│     agreed: what follows belongs to the protocol

    message:  varint length | text | "\\n"              the length counts the newline

The listener's header waits for the dialer's, so that header and answer travel together too.

A dialer that has one proposal left may send its protocol's first bytes right behind it, as rust-libp2p does; so the
listener keeps what follows the line it agreed to (`rest`).

`/libp2p/simultaneous-connect` (go-libp2p up to v0.31) is a protocol like any other that we do not speak: `na`.

Not modelled: `ls`, which current peers do not offer either (it is answered `na`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache

from natlab.errors import ClosedError, DecodeError, NegotiationError, ProtocolError
from natlab.wire import varint

PROTOCOL_ID = "/multistream/1.0.0"
NOT_AVAILABLE = "na"
MAX_MESSAGE = 1024  # go-multistream: a longer message is an error
MAX_PROPOSALS = 128  # ours: how often a listener says na


class _Negotiation(ABC):
    """What both roles share: lines in, lines out, and the result.

    Attributes:
        protocol: what was agreed, None until then.
        rest: the bytes that came behind the last line of the negotiation; they belong to the protocol.
    """

    def __init__(self) -> None:
        self.protocol: str | None = None
        self.rest = b""
        self._received = bytearray()
        self._to_send = b""
        self._header_seen = self._greeted = False

    def data_to_send(self) -> bytes:
        """Bytes to write now; they are handed out once."""
        data, self._to_send = self._to_send, b""
        return data

    def receive(self, data: bytes) -> None:
        """Takes what the peer sent, in pieces of any size; `b""` says that it has closed its side.

        Raises:
            DecodeError: no multistream message, or longer than `MAX_MESSAGE`.
            ProtocolError: the peer does not open with `/multistream/1.0.0`, or breaks the order.
            NegotiationError: no protocol in common.
            ClosedError: closed before anything was agreed.
        """
        if self.protocol is not None:
            self.rest += data
            return
        if not data:
            raise ClosedError("the peer closed the stream during multistream negotiation")
        self._received += data
        while self.protocol is None and (line := _take_line(self._received)) is not None:
            self._on_line(line)
        if self.protocol is not None:
            self.rest = bytes(self._received)

    def _on_line(self, line: str) -> None:
        if self._header_seen:
            self._on_message(line)
        elif line == PROTOCOL_ID:
            self._header_seen = True
            self._greet()
        else:
            raise ProtocolError(f"the peer does not speak {PROTOCOL_ID}: {line[:80]!r}")

    @abstractmethod
    def _on_message(self, line: str) -> None:
        """A line of the peer's that comes behind its header."""

    def _greet(self) -> None:
        """Sends our header, unless that was done."""
        if not self._greeted:
            self._greeted = True
            self._send(PROTOCOL_ID)

    def _send(self, line: str) -> None:
        self._to_send += encode(line)


class Dialer(_Negotiation):
    """The end that proposes.

    Args:
        proposals: protocol IDs in order of preference, at least one.
    """

    def __init__(self, proposals: Sequence[str]) -> None:
        super().__init__()
        if not proposals:
            raise ValueError("propose at least one protocol")
        self._proposals = list(proposals)
        self._greet()
        self._send(self._proposals[0])

    def _on_message(self, line: str) -> None:
        proposed = self._proposals.pop(0)
        if line == proposed:
            self.protocol = proposed
        elif line != NOT_AVAILABLE:
            raise ProtocolError(f"answer to {proposed!r} is neither that nor {NOT_AVAILABLE!r}: {line[:80]!r}")
        elif not self._proposals:
            raise NegotiationError(f"the peer does not speak {proposed}, the last of our proposals")
        else:
            self._send(self._proposals[0])


class Listener(_Negotiation):
    """The end that answers.

    Args:
        supports: whether we speak a protocol ID.
    """

    def __init__(self, supports: Callable[[str], bool]) -> None:
        super().__init__()
        self._supports = supports
        self._refused = 0

    def _on_message(self, line: str) -> None:
        if self._supports(line):
            self.protocol = line
            self._send(line)
            return
        self._refused += 1
        if self._refused > MAX_PROPOSALS:
            raise NegotiationError(f"the peer proposed {self._refused} protocols, none of which we speak")
        self._send(NOT_AVAILABLE)


def encode(line: str) -> bytes:
    """One message: varint length, text, newline.

    Raises:
        ValueError: empty, longer than `MAX_MESSAGE`, with a newline in it, or no text at all.
    """
    if not isinstance(line, str):
        raise ValueError(f"not a protocol ID that multistream can carry: {str(line)[:80]!r}")
    return _encode(line)


@lru_cache(maxsize=64)  # the same few, again and again
def _encode(line: str) -> bytes:
    if not line or "\n" in line or len(text := line.encode() + b"\n") > MAX_MESSAGE:
        raise ValueError(f"not a protocol ID that multistream can carry: {line[:80]!r}")
    return varint.prefixed(text)


def _take_line(buffer: bytearray) -> str | None:
    """Removes the first message from `buffer` and returns its text; None while it is incomplete."""
    prefix = varint.decode(buffer)
    if prefix is None:
        return None
    length, start = prefix
    if length > MAX_MESSAGE:
        raise DecodeError(f"multistream message of {length} bytes; at most {MAX_MESSAGE} are accepted")
    if len(buffer) < start + length:
        return None
    text = bytes(buffer[start : start + length])
    del buffer[: start + length]
    if not text.endswith(b"\n"):
        raise DecodeError("multistream message without a newline at its end")
    try:
        return text[:-1].decode()
    except UnicodeDecodeError as error:
        raise DecodeError("multistream message is not UTF-8") from error
