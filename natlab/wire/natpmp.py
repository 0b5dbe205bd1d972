"""NAT-PMP messages: "which address do I have outside?" and "open this port for me, for so long".

Specification: RFC 6886 sections 3.2, 3.3 and 3.5. Whole datagrams, numbers in network byte order:

    address request     version 0 | opcode 0
            response    version 0 | opcode 128 | result:16 | epoch:32 | external address:32
    mapping request     version 0 | opcode | 0:16 | internal port:16 | external port:16 | lifetime:32
            response    version 0 | opcode + 128 | result:16 | epoch:32 | internal port:16 | external port:16
                        | lifetime:32                                         opcode 1 maps UDP, 2 maps TCP

`epoch` counts the seconds since the gateway last forgot its mappings. There is no transaction number: a response
repeats what identifies its request, and asking twice is asking once.

A request of another version or with another opcode is answered too (section 3.5), so that a client which speaks PCP
learns at once, without waiting, that it must speak NAT-PMP here: `UnsupportedVersion`, `UnsupportedOpcode`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from natlab.errors import DecodeError
from natlab.packet import IPProtocol

__all__ = [
    "VERSION",
    "AddressRequest",
    "AddressResponse",
    "ErrorResponse",
    "MapRequest",
    "MapResponse",
    "Opcode",
    "Request",
    "Response",
    "ResultCode",
    "UnsupportedOpcode",
    "UnsupportedVersion",
    "decode_request",
    "decode_response",
    "encode",
    "unsupported",
]

VERSION = 0
IS_RESPONSE = 128
MAX_MESSAGE = 1100
"""Bytes of a datagram that is looked at: the limit of PCP (RFC 6887 section 7), which shares the port."""

_OPCODES = range(3)
_ADDRESS = struct.Struct("!BBHI4s")
_MAP_REQUEST = struct.Struct("!BBHHHI")
_MAP_RESPONSE = struct.Struct("!BBHIHHI")
_ERROR = struct.Struct("!BBHI")


class Opcode(IntEnum):
    EXTERNAL_ADDRESS = 0
    MAP_UDP = 1
    MAP_TCP = 2

    @classmethod
    def mapping(cls, protocol: int) -> Opcode:
        return cls.MAP_TCP if protocol == IPProtocol.TCP else cls.MAP_UDP

    @property
    def protocol(self) -> IPProtocol:
        """Of the two mapping opcodes: what they map."""
        return IPProtocol.TCP if self is Opcode.MAP_TCP else IPProtocol.UDP


class ResultCode(IntEnum):
    """RFC 6886 section 3.5. Others are as fatal as these."""

    SUCCESS = 0
    UNSUPPORTED_VERSION = 1
    NOT_AUTHORIZED = 2
    NETWORK_FAILURE = 3
    OUT_OF_RESOURCES = 4
    UNSUPPORTED_OPCODE = 5


@dataclass(frozen=True, slots=True)
class AddressRequest:
    """Which external address does this gateway have?"""


@dataclass(frozen=True, slots=True)
class AddressResponse:
    """Attributes: result, a `ResultCode` or another number; epoch in seconds; external_ip, canonical text."""

    result: int
    epoch: int
    external_ip: str


@dataclass(frozen=True, slots=True)
class MapRequest:
    """Open a port.

    Attributes:
        opcode: MAP_UDP or MAP_TCP.
        internal_port: 0 with lifetime 0 means all of this protocol.
        external_port: what the client would like; 0 for any.
        lifetime: seconds; 0 closes the port.
    """

    opcode: Opcode
    internal_port: int
    external_port: int
    lifetime: int


@dataclass(frozen=True, slots=True)
class MapResponse:
    """What the client got: `external_port` and `lifetime` are 0 where the port is closed."""

    opcode: Opcode
    result: int
    epoch: int
    internal_port: int
    external_port: int
    lifetime: int


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A response too short for its opcode, or to an opcode this file does not know: it only tells what went wrong."""

    opcode: int
    result: int
    epoch: int


Request = AddressRequest | MapRequest
Response = AddressResponse | MapResponse | ErrorResponse


class UnsupportedVersion(DecodeError):
    """A request of another version than 0."""


class UnsupportedOpcode(DecodeError):
    """A request for something that NAT-PMP has not."""


def encode(message: Request | Response) -> bytes:
    match message:
        case AddressRequest():
            return bytes((VERSION, Opcode.EXTERNAL_ADDRESS))
        case MapRequest(opcode, internal, external, lifetime):
            return _MAP_REQUEST.pack(VERSION, opcode, 0, internal, external, lifetime)
        case AddressResponse(result, epoch, ip):
            return _ADDRESS.pack(VERSION, IS_RESPONSE, result, epoch, IPv4Address(ip).packed)
        case MapResponse(opcode, result, epoch, internal, external, lifetime):
            return _MAP_RESPONSE.pack(VERSION, opcode | IS_RESPONSE, result, epoch, internal, external, lifetime)
        case ErrorResponse(opcode, result, epoch):
            return _ERROR.pack(VERSION, opcode | IS_RESPONSE, result, epoch)


def decode_request(data: bytes) -> Request:
    """Reads what a client sent. What follows a message is ignored.

    Raises:
        UnsupportedVersion, UnsupportedOpcode: to be answered with `unsupported`.
        DecodeError: too short or too long, or a response: to be ignored.
    """
    _check_length(data, 2)
    version, opcode = data[:2]
    if opcode >= IS_RESPONSE:
        raise DecodeError("a response, not a request")
    if version != VERSION:
        raise UnsupportedVersion(f"version {version}")
    if opcode not in _OPCODES:
        raise UnsupportedOpcode(f"opcode {opcode}")
    if opcode == Opcode.EXTERNAL_ADDRESS:
        return AddressRequest()
    _check_length(data, _MAP_REQUEST.size)
    _, _, _, internal, external, lifetime = _MAP_REQUEST.unpack_from(data)
    return MapRequest(Opcode(opcode), internal, external, lifetime)


def unsupported(request: bytes, error: UnsupportedVersion | UnsupportedOpcode, epoch: int) -> bytes:
    """The answer to such a request (section 3.5): the version that is spoken here, or the request itself, marked."""
    if isinstance(error, UnsupportedVersion):
        return encode(ErrorResponse(Opcode.EXTERNAL_ADDRESS, ResultCode.UNSUPPORTED_VERSION, epoch))
    return encode(ErrorResponse(request[1], ResultCode.UNSUPPORTED_OPCODE, epoch))[:4] + request[4:]


def decode_response(data: bytes) -> Response:
    """Reads what a gateway sent, asked or unasked.

    Raises:
        DecodeError: not NAT-PMP, or a request.
    """
    _check_length(data, _ERROR.size)
    version, opcode, result, epoch = _ERROR.unpack_from(data)
    unsupported_version = result == ResultCode.UNSUPPORTED_VERSION  # section 3.5 draws its opcode as 0
    if version != VERSION or not (opcode & IS_RESPONSE or unsupported_version):
        raise DecodeError(f"version {version}, opcode {opcode} is no NAT-PMP response")
    asked = opcode & ~IS_RESPONSE
    if asked == Opcode.EXTERNAL_ADDRESS and len(data) >= _ADDRESS.size:
        return AddressResponse(result, epoch, str(IPv4Address(data[8:12])))
    if asked in (Opcode.MAP_UDP, Opcode.MAP_TCP) and len(data) >= _MAP_RESPONSE.size:
        return MapResponse(Opcode(asked), result, epoch, *_MAP_RESPONSE.unpack_from(data)[4:])
    if result == ResultCode.SUCCESS:
        raise DecodeError("a NAT-PMP response that ends too early")
    return ErrorResponse(asked, result, epoch)


def _check_length(data: bytes, least: int) -> None:
    if not least <= len(data) <= MAX_MESSAGE:
        raise DecodeError(f"{len(data)} bytes where NAT-PMP has {least} to {MAX_MESSAGE}")
