"""IPv4 and IPv6 packets as bytes: where a packet of the lab meets Wireshark or a TUN device.

    encode    Packet -> header, TCP, UDP or ICMP header, payload, with all checksums
    decode    the reverse; checks every length and every checksum

    IPv4 (RFC 791)    version:4 IHL:4 | DSCP:8 | length:16 | id:16 | flags, offset:16 | TTL:8 | protocol:8 |
                      checksum:16 | source:32 | destination:32
    IPv6 (RFC 8200)   version:4 class:8 label:20 | payload length:16 | next header:8 | hop limit:8 |
                      source:128 | destination:128
    UDP (RFC 768)     source:16 | destination:16 | length:16 | checksum:16
    TCP (RFC 9293)    source:16 | destination:16 | sequence:32 | acknowledgement:32 |
                      data offset:4 reserved:4 flags:8 | window:16 | checksum:16 | urgent:16
    ICMP              see `icmp.py`

Checksums are the 16-bit ones' complement sum of RFC 1071; UDP's, TCP's and ICMPv6's also cover a pseudo-header with
the addresses, which is why a NAT box cannot leave them alone.

An ICMP error quotes a packet, of which it holds the beginning only: as many bytes as `natlab.packet.quotable` says when
written, IP header and eight bytes at least when read (RFC 792). The quoted IP header's checksum must be right, the
quoted transport header's is not looked at (RFC 5508 REQ-3), since it may cover what is not there.

Not modelled: reading fragments and other IPv6 extension headers (refused), IPv4 and TCP options (skipped when read),
the TCP window scale (a window above 65535 is written as 65535), `Packet.flight` (0 when read).
"""

from __future__ import annotations

import ipaddress
import struct

from natlab.endpoint import Endpoint, parse_ip
from natlab.errors import DecodeError
from natlab.packet import Fragment, Icmp, IcmpKind, IPProtocol, Packet, quotable
from natlab.wire import icmp

__all__ = ["MAX_PACKET", "checksum", "decode", "encode"]

MAX_PACKET = 65535  # bytes: the length fields of IPv4 and UDP have 16 bits

_UDP, _TCP, _ICMP = int(IPProtocol.UDP), int(IPProtocol.TCP), int(IPProtocol.ICMP)
_ICMPV6 = 58
_LEAST_QUOTED = 8  # bytes behind the quoted IP header (RFC 792): TCP's and UDP's ports, an echo's identifier
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_UDP_HEADER = struct.Struct("!HHHH")
_TCP_HEADER = struct.Struct("!HHIIBBHHH")
_DONT_FRAGMENT, _MORE_FRAGMENTS = 0x4000, 0x2000
_FLAGS = 6  # bytes into the IPv4 header
_FRAGMENT = 0x3FFF  # more fragments:1 | offset:13


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): 0 over data that includes its own, correct checksum.

    2**16 is 1 modulo 65535, so the ones' complement sum of the 16-bit words is the whole number modulo 65535.
    """
    number = int.from_bytes(data, "big") << (8 * (len(data) % 2))
    total = number % 0xFFFF or (0xFFFF if number else 0)
    return 0xFFFF - total


def encode(packet: Packet) -> bytes:
    """The packet from its IP header on.

    Raises:
        ValueError: of no protocol known here, endpoints of two IP versions, or longer than `MAX_PACKET`.
    """
    if packet.source.version != packet.destination.version:
        raise ValueError(f"{packet.source} and {packet.destination} are not of one IP version")
    if packet.size > MAX_PACKET:
        raise ValueError(f"a packet has at most {MAX_PACKET} bytes, this one would have {packet.size}")
    source, destination = parse_ip(packet.source.ip).packed, parse_ip(packet.destination.ip).packed
    if packet.fragment is not None:
        transport = _encode_fragment(packet.fragment, len(source) == 16)
    else:
        transport = _encode_transport(packet, source + destination)
    if len(source) == 4:
        return _ipv4_header(packet, source, destination, len(transport)) + transport
    protocol = _ICMPV6 if packet.protocol == _ICMP else int(packet.protocol)
    return _IPV6.pack(6 << 28, len(transport), protocol, packet.ttl, source, destination) + transport


def decode(data: bytes) -> Packet:
    """Reads one IP packet; bytes after its length are ignored (link padding).

    Raises:
        DecodeError: cut short, a length that cannot be, a wrong checksum, a fragment, or a protocol or ICMP message
            not known here.
    """
    version = data[0] >> 4 if data else 0
    if version == 4:
        return _decode_ipv4(data)
    if version == 6:
        return _decode_ipv6(data)
    raise DecodeError(f"not an IP packet: version {version}" if data else "not an IP packet: no bytes")


def _ipv4_header(packet: Packet, source: bytes, destination: bytes, length: int) -> bytes:
    # version, header length:8 | DSCP:8 | length:16 | id:16 | flags, offset:16 | TTL:8 | protocol:8 | checksum:16
    protocol, number, flags = packet.protocol, 0, _DONT_FRAGMENT if packet.df else 0
    if (piece := packet.fragment) is not None:
        protocol, number = piece.whole.protocol, piece.identification
        flags = (_MORE_FRAGMENTS if piece.more else 0) | piece.offset // 8
    fields = (0x45, 0, 20 + length, number, flags, packet.ttl, protocol)
    return _IPV4.pack(*fields, checksum(_IPV4.pack(*fields, 0, source, destination)), source, destination)


def _encode_fragment(piece: Fragment, is_v6: bool) -> bytes:
    """A piece as it is on the wire; over IPv6 with a header of its own (RFC 8200 section 4.5)."""
    data = encode(piece.whole)[40 if is_v6 else 20 :][piece.offset : piece.offset + piece.length]
    if not is_v6:
        return data
    protocol = _ICMPV6 if piece.whole.protocol == _ICMP else piece.whole.protocol
    return struct.pack("!BBHI", protocol, 0, piece.offset | piece.more, piece.identification) + data


def _encode_transport(packet: Packet, addresses: bytes) -> bytes:
    """The transport header and payload. `addresses` is source and destination, packed."""
    ports = (packet.source.port, packet.destination.port)
    if packet.protocol == _UDP:
        length = 8 + len(packet.payload)
        bare = _UDP_HEADER.pack(*ports, length, 0) + packet.payload
        # RFC 768: a checksum that comes out as 0 is sent as all ones; 0 means "none"
        return _UDP_HEADER.pack(*ports, length, _checksum(_UDP, addresses, bare) or 0xFFFF) + packet.payload
    if packet.protocol == _TCP:
        fields = (*ports, packet.seq, packet.ack, 5 << 4, packet.flags, min(packet.window, 0xFFFF))
        bare = _TCP_HEADER.pack(*fields, 0, 0) + packet.payload
        return _TCP_HEADER.pack(*fields, _checksum(_TCP, addresses, bare), 0) + packet.payload
    if packet.protocol == _ICMP and packet.icmp is not None:
        return _encode_icmp(packet, packet.icmp, addresses)
    raise ValueError(f"only UDP, TCP and ICMP packets have a byte form here, not protocol {packet.protocol}")


def _encode_icmp(packet: Packet, message: Icmp, addresses: bytes) -> bytes:
    version = packet.source.version
    body = packet.payload
    if message.quoted is not None:
        body = encode(message.quoted)[: quotable(40 if version == 6 else 20)]
    identifier = packet.source.port or packet.destination.port
    bare = icmp.encode(icmp.Message(message.kind, body, identifier, packet.seq, message.mtu), version)
    total = checksum(bare) if version == 4 else _checksum(_ICMPV6, addresses, bare)
    return bare[:2] + total.to_bytes(2, "big") + bare[4:]


def _checksum(protocol: int, addresses: bytes, transport: bytes) -> int:
    """With the pseudo-header of RFC 768, RFC 9293 or RFC 8200 section 8.1: as 16-bit sums they are all the same."""
    return checksum(addresses + struct.pack("!II", len(transport), protocol) + transport)


def _decode_ipv4(data: bytes) -> Packet:
    header, total, ttl, protocol, source, destination = _read_ipv4(data)
    if total > len(data):
        raise DecodeError(f"IPv4 lengths do not fit: header {header}, packet {total}, received {len(data)}")
    packet = _decode_transport(protocol, source, destination, data[header:total], ttl)
    return packet if data[_FLAGS] & _DONT_FRAGMENT >> 8 else packet._replace(df=False)


def _read_ipv4(data: bytes) -> tuple[int, int, int, int, bytes, bytes]:
    """The header of what may be the beginning of a packet only: its length, the packet's, and its other fields."""
    if len(data) < _IPV4.size:
        raise DecodeError(f"IPv4 header cut short: {len(data)} of {_IPV4.size} bytes")
    first, _, total, _, fragment, ttl, protocol, _, source, destination = _IPV4.unpack_from(data)
    header = 4 * (first & 0x0F)
    if not (20 <= header <= total and header <= len(data)):
        raise DecodeError(f"IPv4 lengths do not fit: header {header}, packet {total}, received {len(data)}")
    if checksum(data[:header]):
        raise DecodeError("IPv4 header checksum is wrong")
    if fragment & _FRAGMENT:
        raise DecodeError("IPv4 fragments are not supported")
    if protocol == _ICMPV6:
        raise DecodeError("ICMPv6 over IPv4")
    return header, total, ttl, protocol, source, destination


def _decode_ipv6(data: bytes) -> Packet:
    length, ttl, protocol, source, destination = _read_ipv6(data)
    if len(data) < _IPV6.size + length:
        raise DecodeError(f"IPv6 payload cut short: {len(data) - _IPV6.size} of {length} bytes")
    return _decode_transport(protocol, source, destination, data[_IPV6.size : _IPV6.size + length], ttl)


def _read_ipv6(data: bytes) -> tuple[int, int, int, bytes, bytes]:
    if len(data) < _IPV6.size:
        raise DecodeError(f"IPv6 header cut short: {len(data)} of {_IPV6.size} bytes")
    _, length, protocol, ttl, source, destination = _IPV6.unpack_from(data)
    if protocol == _ICMP:
        raise DecodeError("ICMP of IPv4 over IPv6")
    return length, ttl, _ICMP if protocol == _ICMPV6 else protocol, source, destination


def _decode_transport(protocol: int, source: bytes, destination: bytes, data: bytes, ttl: int) -> Packet:
    if protocol == _UDP:
        return _decode_udp(source, destination, data, ttl)
    if protocol == _TCP:
        return _decode_tcp(source, destination, data, ttl)
    if protocol == _ICMP:
        return _decode_icmp(source, destination, data, ttl)
    raise DecodeError(f"neither UDP, TCP nor ICMP: protocol {protocol}")


def _decode_udp(source: bytes, destination: bytes, data: bytes, ttl: int) -> Packet:
    if len(data) < _UDP_HEADER.size:
        raise DecodeError(f"UDP header cut short: {len(data)} of {_UDP_HEADER.size} bytes")
    source_port, destination_port, length, sent = _UDP_HEADER.unpack_from(data)
    if not _UDP_HEADER.size <= length <= len(data):
        raise DecodeError(f"UDP length does not fit: {length} of {len(data)} bytes")
    unchecked = sent == 0 and len(source) == 4  # RFC 8200 section 8.1: over IPv6 it is mandatory
    if not unchecked and _checksum(_UDP, source + destination, data[:length]):
        raise DecodeError("UDP checksum is wrong")
    return Packet(
        _UDP,
        _endpoint(source, source_port),
        _endpoint(destination, destination_port),
        data[_UDP_HEADER.size : length],
        ttl=ttl,
    )


def _decode_tcp(source: bytes, destination: bytes, data: bytes, ttl: int) -> Packet:
    if len(data) < _TCP_HEADER.size:
        raise DecodeError(f"TCP header cut short: {len(data)} of {_TCP_HEADER.size} bytes")
    source_port, destination_port, seq, ack, offset, flags, window, _, _ = _TCP_HEADER.unpack_from(data)
    header = 4 * (offset >> 4)
    if not _TCP_HEADER.size <= header <= len(data):
        raise DecodeError(f"TCP data offset does not fit: {header} of {len(data)} bytes")
    if _checksum(_TCP, source + destination, data):
        raise DecodeError("TCP checksum is wrong")
    ends = _endpoint(source, source_port), _endpoint(destination, destination_port)
    return Packet(_TCP, *ends, data[header:], flags, seq, ack, window, ttl=ttl)


def _decode_icmp(source: bytes, destination: bytes, data: bytes, ttl: int) -> Packet:
    is_v4 = len(source) == 4
    if checksum(data) if is_v4 else _checksum(_ICMPV6, source + destination, data):
        raise DecodeError("ICMP checksum is wrong")
    message = icmp.decode(data, 4 if is_v4 else 6)
    if message.is_error:
        about = Icmp(message.kind, _decode_quoted(message.body, is_v4), message.mtu)
        return Packet(_ICMP, _endpoint(source, 0), _endpoint(destination, 0), ttl=ttl, icmp=about)
    return _echo(message, source, destination, message.body, ttl)


def _echo(message: icmp.Message, source: bytes, destination: bytes, payload: bytes, ttl: int) -> Packet:
    """The identifier belongs to whoever asks."""
    asks = message.kind is IcmpKind.ECHO_REQUEST
    ends = (
        _endpoint(source, message.identifier if asks else 0),
        _endpoint(destination, 0 if asks else message.identifier),
    )
    return Packet(_ICMP, *ends, payload, seq=message.sequence, ttl=ttl, icmp=Icmp(message.kind))


def _decode_quoted(data: bytes, is_v4: bool) -> Packet:
    """The packet that an error is about, as far as it is there."""
    if not data or data[0] >> 4 != (4 if is_v4 else 6):
        raise DecodeError("an ICMP error quotes a packet of its own IP version")
    if is_v4:
        header, total, ttl, protocol, source, destination = _read_ipv4(data)
    else:
        length, ttl, protocol, source, destination = _read_ipv6(data)
        header, total = _IPV6.size, _IPV6.size + length
    quoted = data[header:total]
    if len(quoted) < _LEAST_QUOTED:
        raise DecodeError(f"an ICMP error quotes {_LEAST_QUOTED} bytes behind the IP header, not {len(quoted)}")
    if protocol == _ICMP:
        message = icmp.decode(quoted, 4 if is_v4 else 6)
        if message.is_error:
            raise DecodeError("an ICMP error about an ICMP error")
        return _echo(message, source, destination, message.body, ttl)
    if protocol not in (_UDP, _TCP):
        raise DecodeError(f"an ICMP error about neither UDP, TCP nor an echo: protocol {protocol}")
    ports = struct.unpack_from("!HH", quoted)
    ends = _endpoint(source, ports[0]), _endpoint(destination, ports[1])
    if protocol == _UDP:
        return Packet(_UDP, *ends, quoted[_UDP_HEADER.size :], ttl=ttl)
    return _quoted_tcp(ends, quoted, ttl)


def _quoted_tcp(ends: tuple[Endpoint, Endpoint], quoted: bytes, ttl: int) -> Packet:
    if len(quoted) < _TCP_HEADER.size:
        return Packet(_TCP, *ends, seq=int.from_bytes(quoted[4:8], "big"), ttl=ttl)
    _, _, seq, ack, offset, flags, window, _, _ = _TCP_HEADER.unpack_from(quoted)
    payload = quoted[max(4 * (offset >> 4), _TCP_HEADER.size) :]
    return Packet(_TCP, *ends, payload, flags, seq, ack, window, ttl=ttl)


def _endpoint(packed: bytes, port: int) -> Endpoint:
    return Endpoint(str(ipaddress.ip_address(packed)), port)
