"""The Yamux frame: a header of twelve bytes, and data behind it in frames of type DATA.

Specification: libp2p specs `yamux/README.md` (r0), "Framing".

    version:1 | type:1 | flags:2 | stream:4 | length:4                         all big-endian

| type | length means |
|---|---|
| DATA 0 | bytes of data behind the header |
| WINDOW_UPDATE 1 | how many more bytes the peer may send; with RST, an error code |
| PING 2 | a number, to be sent back unchanged |
| GO_AWAY 3 | why the session ends (`GoAwayCode`) |

SYN opens a stream (and asks, in a PING), ACK accepts it (and answers), FIN closes one direction, RST ends both.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

from natlab.errors import ProtocolError

HEADER_BYTES = 12
SESSION = 0  # the stream ID of PING and GO_AWAY
_LAYOUT = struct.Struct(">BBHII")


class FrameType(IntEnum):
    DATA = 0
    WINDOW_UPDATE = 1
    PING = 2
    GO_AWAY = 3


_TYPES = tuple(FrameType)


class Flag(IntFlag):
    SYN = 1
    ACK = 2
    FIN = 4
    RST = 8


SYN, ACK, FIN, RST = int(Flag.SYN), int(Flag.ACK), int(Flag.FIN), int(Flag.RST)
"""The flags as plain ints: an `IntFlag` operation costs a microsecond."""


class GoAwayCode(IntEnum):
    NORMAL = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2


class Header(NamedTuple):
    """A frame's header. `flags` is a plain int: see `Flag`."""

    type: FrameType
    flags: int
    stream: int
    length: int

    def encode(self) -> bytes:
        return _LAYOUT.pack(0, *self)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Reads `HEADER_BYTES` bytes; unknown flags are kept, and mean nothing.

        Raises:
            ProtocolError: a version other than 0, or an unknown type.
        """
        version, kind, flags, stream, length = _LAYOUT.unpack(data)
        if version != 0:
            raise ProtocolError(f"Yamux version {version}, expected 0")
        if kind > FrameType.GO_AWAY:
            raise ProtocolError(f"unknown Yamux frame type {kind}")
        return cls(_TYPES[kind], flags, stream, length)
