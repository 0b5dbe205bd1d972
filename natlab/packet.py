"""A packet as a value: what hosts send, links carry and NAT boxes rewrite.

Bytes, checksums and header layouts exist only where a packet meets the real world: `natlab.wire.ip` writes them for
capture files and TUN devices. A packet is a NamedTuple: immutable, and cheap to make at every hop.

Not modelled: IP fragments, DSCP, TCP urgent data.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple

from natlab.endpoint import Endpoint


class IPProtocol(IntEnum):
    """IANA protocol numbers."""

    ICMP = 1
    TCP = 6
    UDP = 17


class Flag(IntFlag):
    """TCP control bits (RFC 9293 section 3.1)."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16


class Packet(NamedTuple):
    """One UDP datagram or TCP segment.

    Attributes:
        protocol: UDP or TCP, an `IPProtocol` (a plain int compares equal).
        source, destination: the endpoints in the header as it is now; a NAT box changes them.
        payload: the bytes it carries.
        flags: TCP control bits, a plain int (an `IntFlag` operation costs a microsecond).
        seq, ack: TCP sequence and acknowledgement numbers, 0 to 2**32 - 1.
        window: TCP receive window in bytes, already scaled.
        flight: number given by the first sender and kept across translation; the same packet at every hop.
        ttl: hops left.
    """

    protocol: int
    source: Endpoint
    destination: Endpoint
    payload: bytes = b""
    flags: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0
    flight: int = 0
    ttl: int = 64

    @property
    def size(self) -> int:
        """Bytes on the wire: IP header, transport header, payload (no options)."""
        ip = 40 if ":" in self.source.ip else 20
        return ip + (20 if self.protocol == IPProtocol.TCP else 8) + len(self.payload)

    @property
    def flag_names(self) -> str:
        """`SYN`, `SYN ACK`, ... in header order; empty for UDP."""
        return " ".join(str(flag.name) for flag in Flag if self.flags & flag)
