"""PCP messages: NAT-PMP grown up, with IPv6, a nonce, options, and the host's own address in every request.

Specification: RFC 6887 sections 7, 11 to 14. Datagrams of at most 1100 bytes, a multiple of four:

    request      version:8 = 2 | 0, opcode:7 | 0:16           | lifetime:32 | client's address:128
    response     version:8 = 2 | 1, opcode:7 | 0:8 | result:8 | lifetime:32 | epoch:32 | 0:96
    MAP, then    nonce:96 | protocol:8 | 0:24 | internal port:16 | external port:16 | external address:128
    PEER, then   the same | remote port:16 | 0:16 | remote address:128
    ANNOUNCE     nothing more
    options      code:8 | 0:8 | length:16 | value, filled up with zeros to a multiple of 4

An IPv4 address is written as ::ffff:a.b.c.d. A request that fails comes back whole, under a response header, so that
its sender knows it again. The header begins like NAT-PMP's, which is how a client of one learns from a gateway of the
other which one it speaks: see `natlab.portmap.pcp`.

Options with a code below 128 must be understood or refused (UNSUPP_OPTION); others may be ignored, and are.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError

__all__ = [
    "MAX_MESSAGE",
    "NONCE_SIZE",
    "VERSION",
    "BadRequest",
    "Filter",
    "Mapping",
    "Opcode",
    "OptionCode",
    "Request",
    "Response",
    "ResultCode",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
    "error_response",
]

VERSION = 2
MAX_MESSAGE = 1100
NONCE_SIZE = 12
IS_RESPONSE = 128
MANDATORY = range(128)

_REQUEST = struct.Struct("!BBHI16s")
_RESPONSE = struct.Struct("!BBBBII12s")
_MAP = struct.Struct("!12sB3xHH16s")
_PEER = struct.Struct("!HH16s")
_OPTION = struct.Struct("!BBH")
_FILTER = struct.Struct("!BBH16s")
HEADER_SIZE = _REQUEST.size  # 24, of a response too


class Opcode(IntEnum):
    ANNOUNCE = 0
    MAP = 1
    PEER = 2


class OptionCode(IntEnum):
    THIRD_PARTY = 1
    PREFER_FAILURE = 2
    FILTER = 3


class ResultCode(IntEnum):
    """RFC 6887 section 7.4. What a client sees of another number is an error, too."""

    SUCCESS = 0
    UNSUPP_VERSION = 1
    NOT_AUTHORIZED = 2
    MALFORMED_REQUEST = 3
    UNSUPP_OPCODE = 4
    UNSUPP_OPTION = 5
    MALFORMED_OPTION = 6
    NETWORK_FAILURE = 7
    NO_RESOURCES = 8
    UNSUPP_PROTOCOL = 9
    USER_EX_QUOTA = 10
    CANNOT_PROVIDE_EXTERNAL = 11
    ADDRESS_MISMATCH = 12
    EXCESSIVE_REMOTE_PEERS = 13


@dataclass(frozen=True, slots=True)
class Filter:
    """FILTER: who may use a mapping (section 13.3). `remote` None takes the filters away; port 0 is any."""

    remote: IPv4Network | IPv6Network | None
    port: int = 0


@dataclass(frozen=True, slots=True)
class Mapping:
    """What MAP and PEER are about.

    Attributes:
        nonce: 12 bytes, the client's secret: who knows it may change the mapping.
        protocol: an IANA number, 0 for all.
        internal_port: 0 for all.
        external: suggested or assigned; all zero for any.
        remote: PEER only: whom the mapping is towards.
    """

    nonce: bytes
    protocol: int
    internal_port: int
    external: Endpoint
    remote: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Attributes: lifetime in seconds, 0 to delete; client_ip, as the client knows its address; mapping, but for
    ANNOUNCE; third_party, the address of another host; the rest are options, too."""

    opcode: Opcode
    lifetime: int
    client_ip: str
    mapping: Mapping | None = None
    third_party: str | None = None
    prefer_failure: bool = False
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """Attributes: result, a `ResultCode` or another number; lifetime in seconds: of the mapping, or until it makes
    sense to ask again; epoch in seconds; mapping, as assigned, or of the request if that failed. `opcode` may be one
    that this file does not know."""

    opcode: int
    result: int
    lifetime: int
    epoch: int
    mapping: Mapping | None = None
    prefer_failure: bool = False
    filters: tuple[Filter, ...] = ()


class BadRequest(DecodeError):
    """A request that must be answered with an error: `error_response(data, error.result, ...)`."""

    def __init__(self, result: ResultCode, message: str) -> None:
        super().__init__(message)
        self.result = result


def encode_request(request: Request) -> bytes:
    header = _REQUEST.pack(VERSION, request.opcode, 0, request.lifetime, _pack_ip(request.client_ip))
    third_party = [(OptionCode.THIRD_PARTY, _pack_ip(request.third_party))] if request.third_party else []
    return header + _pack_mapping(request.mapping) + _pack_options(third_party, request)


def encode_response(response: Response) -> bytes:
    opcode = response.opcode | IS_RESPONSE
    header = _RESPONSE.pack(VERSION, opcode, 0, response.result, response.lifetime, response.epoch, bytes(12))
    return header + _pack_mapping(response.mapping) + _pack_options([], response)


def error_response(request: bytes, result: ResultCode, lifetime: int, epoch: int) -> bytes:
    """The request itself under a response header (section 8.2), at most 1100 bytes and a multiple of four."""
    opcode = request[1] | IS_RESPONSE
    body = request[HEADER_SIZE:MAX_MESSAGE]
    header = _RESPONSE.pack(VERSION, opcode, 0, result, lifetime, epoch, request[12:24].ljust(12, b"\0"))
    return header + body + bytes(-len(body) % 4)


def decode_request(data: bytes) -> Request:
    """Reads what a client sent.

    Raises:
        BadRequest: to be answered with its result code.
        DecodeError: to be ignored: too short, or a response.
    """
    if len(data) < 2 or data[1] & IS_RESPONSE:
        raise DecodeError("no request")
    if data[0] != VERSION:
        raise BadRequest(ResultCode.UNSUPP_VERSION, f"version {data[0]}")
    if not HEADER_SIZE <= len(data) <= MAX_MESSAGE or len(data) % 4:
        raise BadRequest(ResultCode.MALFORMED_REQUEST, f"{len(data)} bytes")
    _, number, _, lifetime, client = _REQUEST.unpack_from(data)
    if number >= len(Opcode):
        raise BadRequest(ResultCode.UNSUPP_OPCODE, f"opcode {number}")
    opcode = Opcode(number)
    if len(data) < HEADER_SIZE + _SIZES[opcode]:
        raise BadRequest(ResultCode.MALFORMED_REQUEST, f"{len(data)} bytes are no {opcode.name}")
    options = _Options(opcode, data[HEADER_SIZE + _SIZES[opcode] :])
    mapping = _unpack_mapping(opcode, data)
    return Request(
        opcode, lifetime, _unpack_ip(client), mapping, options.third_party, options.prefer_failure, options.filters
    )


def decode_response(data: bytes) -> Response:
    """Reads what a gateway sent, asked or unasked. Options are read where the request succeeded.

    Raises:
        DecodeError: not PCP of version 2, a request, or cut short.
    """
    if not HEADER_SIZE <= len(data) <= MAX_MESSAGE or data[0] != VERSION or not data[1] & IS_RESPONSE:
        raise DecodeError("no PCP response")
    _, opcode, _, result, lifetime, epoch, _ = _RESPONSE.unpack_from(data)
    opcode &= ~IS_RESPONSE
    if opcode >= len(Opcode) or len(data) < HEADER_SIZE + _SIZES[Opcode(opcode)]:
        if result == ResultCode.SUCCESS:
            raise DecodeError(f"a PCP response with opcode {opcode} that cannot be understood")
        return Response(opcode, result, lifetime, epoch)
    mapping = _unpack_mapping(Opcode(opcode), data)
    if result != ResultCode.SUCCESS:
        return Response(opcode, result, lifetime, epoch, mapping)
    options = _Options(Opcode(opcode), data[HEADER_SIZE + _SIZES[Opcode(opcode)] :])
    return Response(opcode, result, lifetime, epoch, mapping, options.prefer_failure, options.filters)


_SIZES = {Opcode.ANNOUNCE: 0, Opcode.MAP: _MAP.size, Opcode.PEER: _MAP.size + _PEER.size}


# ---- mappings


def _pack_mapping(mapping: Mapping | None) -> bytes:
    if mapping is None:
        return b""
    ip = _pack_ip(mapping.external.ip)
    data = _MAP.pack(mapping.nonce, mapping.protocol, mapping.internal_port, mapping.external.port, ip)
    return data if mapping.remote is None else data + _PEER.pack(mapping.remote.port, 0, _pack_ip(mapping.remote.ip))


def _unpack_mapping(opcode: Opcode, data: bytes) -> Mapping | None:
    if opcode is Opcode.ANNOUNCE:
        return None
    nonce, protocol, internal, port, ip = _MAP.unpack_from(data, HEADER_SIZE)
    remote = None
    if opcode is Opcode.PEER:
        remote_port, _, remote_ip = _PEER.unpack_from(data, HEADER_SIZE + _MAP.size)
        remote = Endpoint(_unpack_ip(remote_ip), remote_port)
    return Mapping(nonce, protocol, internal, Endpoint(_unpack_ip(ip), port), remote)


def _pack_ip(ip: str) -> bytes:
    address = ipaddress.ip_address(ip)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def _unpack_ip(data: bytes) -> str:
    address = IPv6Address(data)
    return str(address.ipv4_mapped or address)


# ---- options


def _pack_options(first: list[tuple[OptionCode, bytes]], message: Request | Response) -> bytes:
    options = [*first]
    if message.prefer_failure:
        options.append((OptionCode.PREFER_FAILURE, b""))
    options += [(OptionCode.FILTER, _pack_filter(item)) for item in message.filters]
    return b"".join(_OPTION.pack(code, 0, len(value)) + value + bytes(-len(value) % 4) for code, value in options)


def _pack_filter(item: Filter) -> bytes:
    if item.remote is None:
        return _FILTER.pack(0, 0, item.port, bytes(16))
    prefix = item.remote.prefixlen + (96 if item.remote.version == 4 else 0)
    return _FILTER.pack(0, prefix, item.port, _pack_ip(str(item.remote.network_address)))


class _Options:
    """The options behind a request or response, checked one by one (section 7.3)."""

    def __init__(self, opcode: Opcode, data: bytes) -> None:
        self.third_party: str | None = None
        self.prefer_failure = False
        self.filters: tuple[Filter, ...] = ()
        for code, value in _split(data):
            self._take(opcode, code, value)

    def _take(self, opcode: Opcode, code: int, value: bytes) -> None:
        if code == OptionCode.THIRD_PARTY and opcode is not Opcode.ANNOUNCE:
            if len(value) != 16 or self.third_party is not None:
                raise BadRequest(ResultCode.MALFORMED_OPTION, "THIRD_PARTY is one address, once")
            self.third_party = _unpack_ip(value)
        elif code == OptionCode.PREFER_FAILURE and opcode is Opcode.MAP:
            if value or self.prefer_failure:
                raise BadRequest(ResultCode.MALFORMED_OPTION, "PREFER_FAILURE is empty, and once")
            self.prefer_failure = True
        elif code == OptionCode.FILTER and opcode is Opcode.MAP:
            self.filters += (_unpack_filter(value),)
        elif 0 < code <= len(OptionCode):
            raise BadRequest(ResultCode.MALFORMED_OPTION, f"{OptionCode(code).name} does not go with {opcode.name}")
        elif code in MANDATORY:
            raise BadRequest(ResultCode.UNSUPP_OPTION, f"option {code} must be understood, and is not")


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if len(data) - at < _OPTION.size:
            raise BadRequest(ResultCode.MALFORMED_OPTION, "the last option is cut short")
        code, _, length = _OPTION.unpack_from(data, at)
        at += _OPTION.size
        if length > len(data) - at:
            raise BadRequest(ResultCode.MALFORMED_OPTION, f"option {code} is longer than the message")
        yield code, data[at : at + length]
        at += length + -length % 4


def _unpack_filter(value: bytes) -> Filter:
    if len(value) != _FILTER.size:
        raise BadRequest(ResultCode.MALFORMED_OPTION, f"a FILTER of {len(value)} bytes")
    _, prefix, port, packed = _FILTER.unpack(value)
    if prefix == 0:
        return Filter(None, port)
    ip = ipaddress.ip_address(_unpack_ip(packed))
    length = prefix - (96 if ip.version == 4 else 0)
    if not 0 <= length <= ip.max_prefixlen:
        raise BadRequest(ResultCode.MALFORMED_OPTION, f"a FILTER for {prefix} bits of {ip}")
    network = ipaddress.ip_network((ip, length), strict=False)
    return Filter(network, port)
