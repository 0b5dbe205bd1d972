"""ICMP messages as bytes: what stands behind the IP header (RFC 792, RFC 4443).

    every message    type:8 | code:8 | checksum:16 | rest:32 | body
    echo             rest: identifier:16 | sequence:16             body: what the reply sends back
    error            rest: 0, or next-hop MTU                      body: the packet it is about, from its IP header on
                     ICMP:   0:16 | MTU:16  (RFC 1191)
                     ICMPv6: MTU:32

    what it says                   ICMP (RFC 792)    ICMPv6 (RFC 4443)
    echo request                        8, 0             128, 0
    echo reply                          0, 0             129, 0
    network unreachable                 3, 0               1, 0    no route
    host unreachable                    3, 1               1, 3    address unreachable
    port unreachable                    3, 3               1, 4
    administratively prohibited         3, 13              1, 1
    packet too big                      3, 4               2, 0    "fragmentation needed and DF set" in RFC 792
    time exceeded                      11, 0               3, 0
    reassembly time exceeded           11, 1               3, 1

The checksum covers the message; over IPv6 also the pseudo-header, which is why `ip.py` writes it.

Not modelled: all other types and codes (refused), the extensions of RFC 4884.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from natlab.errors import DecodeError
from natlab.packet import IcmpKind

__all__ = ["HEADER", "Message", "decode", "encode"]

HEADER = 8  # bytes

_HEADER = struct.Struct("!BBHHH")
_V4 = {
    IcmpKind.ECHO_REQUEST: (8, 0),
    IcmpKind.ECHO_REPLY: (0, 0),
    IcmpKind.NETWORK_UNREACHABLE: (3, 0),
    IcmpKind.HOST_UNREACHABLE: (3, 1),
    IcmpKind.PORT_UNREACHABLE: (3, 3),
    IcmpKind.PROHIBITED: (3, 13),
    IcmpKind.TOO_BIG: (3, 4),
    IcmpKind.TIME_EXCEEDED: (11, 0),
    IcmpKind.REASSEMBLY_TIME_EXCEEDED: (11, 1),
}
_V6 = {
    IcmpKind.ECHO_REQUEST: (128, 0),
    IcmpKind.ECHO_REPLY: (129, 0),
    IcmpKind.NETWORK_UNREACHABLE: (1, 0),
    IcmpKind.HOST_UNREACHABLE: (1, 3),
    IcmpKind.PORT_UNREACHABLE: (1, 4),
    IcmpKind.PROHIBITED: (1, 1),
    IcmpKind.TOO_BIG: (2, 0),
    IcmpKind.TIME_EXCEEDED: (3, 0),
    IcmpKind.REASSEMBLY_TIME_EXCEEDED: (3, 1),
}
_NUMBERS = {4: _V4, 6: _V6}
_KINDS = {version: {number: kind for kind, number in table.items()} for version, table in _NUMBERS.items()}
_ECHOES = (IcmpKind.ECHO_REQUEST, IcmpKind.ECHO_REPLY)


class Message(NamedTuple):
    """One message. An echo has an identifier and a sequence number, TOO_BIG an MTU; the body is as in the picture."""

    kind: IcmpKind
    body: bytes
    identifier: int = 0
    sequence: int = 0
    mtu: int = 0

    @property
    def is_error(self) -> bool:
        return self.kind not in _ECHOES


def encode(message: Message, version: int) -> bytes:
    """The message with 0 for its checksum. `version` is IP's, 4 or 6."""
    rest = message.identifier, message.sequence
    if message.mtu:
        rest = (0, min(message.mtu, 0xFFFF)) if version == 4 else divmod(message.mtu, 1 << 16)
    return _HEADER.pack(*_NUMBERS[version][message.kind], 0, *rest) + message.body


def decode(data: bytes, version: int) -> Message:
    """Reads a message whose checksum is known to be right.

    Raises:
        DecodeError: cut short, or a type and code that are not in the table.
    """
    if len(data) < HEADER:
        raise DecodeError(f"ICMP header cut short: {len(data)} of {HEADER} bytes")
    number, code, _, high, low = _HEADER.unpack_from(data)
    kind = _KINDS[version].get((number, code))
    if kind is None:
        raise DecodeError(f"ICMP type {number}, code {code} over IPv{version} is not known here")
    body = data[HEADER:]
    if kind in _ECHOES:
        return Message(kind, body, high, low)
    mtu = (low if version == 4 else (high << 16) + low) if kind is IcmpKind.TOO_BIG else 0
    return Message(kind, body, mtu=mtu)
