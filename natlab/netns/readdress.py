"""A NAT box's decision, carried over to the bytes of a packet: new addresses, ports and TTL, and nothing else.

The bytes are changed in place instead of being written anew from a `Packet`, so that all that natlab does not model
stays as the kernel wrote it: TCP options above all, but also DSCP, identification and the urgent pointer.

    IPv4 (RFC 791)    TTL at 8, checksum at 10, source at 12, destination at 16
    UDP (RFC 768)     ports at 0 and 2, checksum at 6         TCP (RFC 9293)    ports at 0 and 2, checksum at 16
    ICMP (RFC 792)    checksum at 2, an echo's identifier at 4; an error quotes a packet from 8 on

The packet that an ICMP error quotes is readdressed in the same way, as far as it is there (RFC 5508 REQ-4a, REQ-5a).

Checksums are updated, not computed again (RFC 1624 equation 3): the cost does not depend on the length, and a packet
that came damaged leaves damaged. HC is the old checksum, m and m' the old and the new words:

    HC' = ~(~HC + ~m + m')

*Not modelled*: IPv6.
"""

from __future__ import annotations

import struct

from natlab.endpoint import Endpoint, parse_ip
from natlab.packet import IPProtocol, Packet

__all__ = ["readdress"]

_TTL_AND_PROTOCOL = slice(8, 10)
_ADDRESSES = slice(12, 20)  # source:32 | destination:32
_IP_CHECKSUM = 10
_TRANSPORT_CHECKSUM = {int(IPProtocol.TCP): 16, int(IPProtocol.UDP): 6}  # bytes into the transport header
_ICMP_CHECKSUM, _IDENTIFIER, _QUOTED = 2, 4, 8


def readdress(data: bytes, packet: Packet) -> bytes:
    """The IPv4 packet `data` with the source, destination and TTL of `packet`, its translation.

    `data` is one that `natlab.wire.ip.decode` reads, or the beginning of one that an ICMP error quotes: all offsets
    used here have been checked there.
    """
    changed = bytearray(data)
    changed[_TTL_AND_PROTOCOL.start] = packet.ttl
    changed[_ADDRESSES] = _packed(packet.source) + _packed(packet.destination)
    for words in (_TTL_AND_PROTOCOL, _ADDRESSES):
        _update(changed, _IP_CHECKSUM, data[words], changed[words])
    transport = 4 * (data[0] & 0x0F)
    if packet.protocol == IPProtocol.ICMP:
        _readdress_icmp(changed, transport, packet)
    else:
        _readdress_ports(changed, transport, packet, data[_ADDRESSES])
    return bytes(changed)


def _readdress_ports(changed: bytearray, transport: int, packet: Packet, old_addresses: bytes) -> None:
    ports = slice(transport, transport + 4)  # source:16 | destination:16
    old_ports = changed[ports]
    changed[ports] = struct.pack("!HH", packet.source.port, packet.destination.port)
    at = transport + _TRANSPORT_CHECKSUM[packet.protocol]
    is_udp = packet.protocol == IPProtocol.UDP
    if at + 2 > len(changed) or (is_udp and not any(changed[at : at + 2])):
        return  # not quoted; or RFC 768: 0 means that the sender made no checksum
    _update(changed, at, old_addresses + old_ports, changed[_ADDRESSES] + changed[ports])
    if is_udp and not any(changed[at : at + 2]):
        changed[at : at + 2] = b"\xff\xff"


def _readdress_icmp(changed: bytearray, transport: int, packet: Packet) -> None:
    """The identifier of an echo, or the packet that an error quotes; ICMP's checksum covers no addresses."""
    at = transport + _ICMP_CHECKSUM
    if packet.quoted is None:
        part = slice(transport + _IDENTIFIER, transport + _IDENTIFIER + 2)
        new = struct.pack("!H", packet.source.port or packet.destination.port)
    else:
        part = slice(transport + _QUOTED, len(changed))
        new = readdress(bytes(changed[part]), packet.quoted)
    old, changed[part] = bytes(changed[part]), new
    odd = bytes(len(old) % 2)
    _update(changed, at, old + odd, new + odd)


def _packed(end: Endpoint) -> bytes:
    return parse_ip(end.ip).packed


def _update(data: bytearray, at: int, old: bytes | bytearray, new: bytes | bytearray) -> None:
    """RFC 1624 equation 3, on the checksum at offset `at`, for words `old` that have become `new`."""
    words = f"!{len(old) // 2}H"
    total = 0xFFFF - int.from_bytes(data[at : at + 2], "big")
    total += sum(0xFFFF - word for word in struct.unpack(words, old)) + sum(struct.unpack(words, new))
    struct.pack_into("!H", data, at, 0xFFFF - (total % 0xFFFF or 0xFFFF))  # 2**16 is 1 modulo 65535, as in RFC 1071
