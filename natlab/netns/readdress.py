"""A NAT box's decision, carried over to the bytes of a packet: new addresses, new ports, and nothing else.

The bytes are changed in place instead of being written anew from a `Packet`, so that all that natlab does not model
stays as the kernel wrote it: TCP options above all, but also DSCP, identification and the urgent pointer.

    IPv4 (RFC 791)    checksum at 10, source at 12, destination at 16
    UDP (RFC 768)     ports at 0 and 2, checksum at 6         TCP (RFC 9293)    ports at 0 and 2, checksum at 16

Checksums are updated, not computed again (RFC 1624 equation 3): the cost does not depend on the length, and a packet
that came damaged leaves damaged. HC is the old checksum, m and m' the old and the new words:

    HC' = ~(~HC + ~m + m')

*Not modelled*: IPv6; ICMP errors, which quote a packet inside.
"""

from __future__ import annotations

import struct

from natlab.endpoint import Endpoint, parse_ip
from natlab.packet import IPProtocol, Packet

__all__ = ["readdress"]

_ADDRESSES = slice(12, 20)  # source:32 | destination:32
_IP_CHECKSUM = 10
_TRANSPORT_CHECKSUM = {int(IPProtocol.TCP): 16, int(IPProtocol.UDP): 6}  # bytes into the transport header


def readdress(data: bytes, packet: Packet) -> bytes:
    """The IPv4 packet `data` with the source and destination of `packet`, its translation.

    `data` is one that `natlab.wire.ip.decode` reads: all offsets used here have been checked there.
    """
    changed = bytearray(data)
    transport = 4 * (data[0] & 0x0F)
    ports = slice(transport, transport + 4)  # source:16 | destination:16
    old_addresses, old_ports = data[_ADDRESSES], data[ports]
    changed[_ADDRESSES] = addresses = _packed(packet.source) + _packed(packet.destination)
    changed[ports] = new_ports = struct.pack("!HH", packet.source.port, packet.destination.port)
    _update(changed, _IP_CHECKSUM, old_addresses, addresses)
    at = transport + _TRANSPORT_CHECKSUM[packet.protocol]
    is_udp = packet.protocol == IPProtocol.UDP
    if not is_udp or any(data[at : at + 2]):  # RFC 768: 0 means that the sender made no checksum
        _update(changed, at, old_addresses + old_ports, addresses + new_ports)
        if is_udp and not any(changed[at : at + 2]):
            changed[at : at + 2] = b"\xff\xff"
    return bytes(changed)


def _packed(end: Endpoint) -> bytes:
    return parse_ip(end.ip).packed


def _update(data: bytearray, at: int, old: bytes, new: bytes) -> None:
    """RFC 1624 equation 3, on the checksum at offset `at`, for words `old` that have become `new`."""
    words = f"!{len(old) // 2}H"
    total = 0xFFFF - int.from_bytes(data[at : at + 2], "big")
    total += sum(0xFFFF - word for word in struct.unpack(words, old)) + sum(struct.unpack(words, new))
    struct.pack_into("!H", data, at, 0xFFFF - (total % 0xFFFF or 0xFFFF))  # 2**16 is 1 modulo 65535, as in RFC 1071
