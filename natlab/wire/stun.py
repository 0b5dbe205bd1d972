"""STUN messages: a question that any server on the internet can answer, "from which endpoint do you see me?"

Specifications: RFC 8489 sections 5 and 14; the attributes of NAT behaviour discovery are RFC 5780 section 7.

     0 0 | class and method:14 | length:16          length counts what follows the header, always a multiple of 4
     magic cookie 0x2112A442:32
     transaction ID:96                              chosen by the client, at random
     attributes: type:16 | length:16 | value, filled up with zeros to a multiple of 4
                 ...
                 FINGERPRINT, the last one: a CRC-32 of all before it

The XOR in XOR-MAPPED-ADDRESS is not for secrecy. Some NATs replace any bytes in a payload that look like an address
they translate (a "generic ALG", RFC 5780 section 3.6); a server that says it in both forms lets the client notice.

Attribute types below 0x8000 are *comprehension-required*: whoever does not know one may not act as if it were not
there. Those this file does not know are listed in `Message.not_understood`; it skips the others it does not know.

Not modelled: authentication (USERNAME, MESSAGE-INTEGRITY and what belongs to it: not understood), indications and
methods other than Binding, PADDING, and the messages of RFC 3489, which have no magic cookie.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import TypeVar
from zlib import crc32

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError

__all__ = [
    "HEADER_SIZE",
    "MAX_MESSAGE",
    "Attribute",
    "ChangeRequest",
    "ErrorCode",
    "Message",
    "MessageClass",
    "body_length",
    "decode",
    "encode",
    "new_transaction_id",
]

T = TypeVar("T")

MAGIC_COOKIE = 0x2112A442
HEADER_SIZE = 20
MAX_MESSAGE = 2048
"""Bytes of a message that is read at all. RFC 8489 section 6.1 keeps messages below the path's MTU."""
MAX_TEXT = 763
"""Bytes of a SOFTWARE or reason phrase (RFC 8489 sections 14.14 and 14.8: below 128 characters)."""

_BINDING = 0x001
_METHOD_BITS, _CLASS_BITS = 0x3EEF, 0x0110  # section 5: the class sits in the middle of the method
_FINGERPRINT_XOR = 0x5354554E  # "STUN"
_HEADER = struct.Struct("!HHI12s")
_TLV = struct.Struct("!HH")


class MessageClass(IntEnum):
    """RFC 8489 section 5, as the two bits stand in the message type; indications (0x010) are not modelled."""

    REQUEST = 0x000
    SUCCESS_RESPONSE = 0x100
    ERROR_RESPONSE = 0x110


class Attribute(IntEnum):
    """Attribute types (RFC 8489 section 18.3.1, RFC 5780 section 9.1)."""

    MAPPED_ADDRESS = 0x0001
    CHANGE_REQUEST = 0x0003
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    XOR_MAPPED_ADDRESS = 0x0020
    RESPONSE_PORT = 0x0027
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    RESPONSE_ORIGIN = 0x802B
    OTHER_ADDRESS = 0x802C


_KNOWN = frozenset(Attribute)


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """CHANGE-REQUEST: from where the response shall come (RFC 5780 section 7.2)."""

    ip: bool = False
    port: bool = False

    def __bool__(self) -> bool:
        return self.ip or self.port

    def __str__(self) -> str:
        what = [word for word, wanted in (("IP", self.ip), ("port", self.port)) if wanted]
        return f"change {' and '.join(what)}" if what else ""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """ERROR-CODE: a number from 300 to 699 and a phrase for people (RFC 8489 section 14.8)."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A Binding Request or its response. An attribute that is not there is None, or empty.

    Attributes:
        message_class: request, success response or error response.
        transaction_id: 12 bytes that tie a response to its request.
        mapped_address, xor_mapped_address: the endpoint from which the server saw the request.
        change_request: request only.
        response_port: request only, the port that the response shall go to (RFC 5780 section 7.5).
        response_origin: the endpoint from which the server sends the response (RFC 5780 section 7.3).
        other_address: the server's endpoint that differs in address and port (RFC 5780 section 7.4).
        software: what the sender runs.
        error: error response only.
        unknown_attributes: with error 420, the types the server did not know.
        not_understood: comprehension-required types that `decode` met and does not know; not encoded.
    """

    message_class: MessageClass
    transaction_id: bytes
    mapped_address: Endpoint | None = None
    xor_mapped_address: Endpoint | None = None
    change_request: ChangeRequest | None = None
    response_port: int | None = None
    response_origin: Endpoint | None = None
    other_address: Endpoint | None = None
    software: str = ""
    error: ErrorCode | None = None
    unknown_attributes: tuple[int, ...] = ()
    not_understood: tuple[int, ...] = ()


def new_transaction_id(rng: Random) -> bytes:
    """96 random bits (RFC 8489 section 6.1)."""
    return rng.randbytes(12)


# ---- writing


def encode(message: Message) -> bytes:
    """The message with a FINGERPRINT at its end.

    Raises:
        ValueError: a transaction ID that is not 12 bytes, a text longer than `MAX_TEXT`, an error code outside 300 to
            699, or more attributes than fit.
    """
    if len(message.transaction_id) != 12:
        raise ValueError(f"a transaction ID has 12 bytes, not {len(message.transaction_id)}")
    values = _values(message)
    body = b"".join(_TLV.pack(kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in values)
    if HEADER_SIZE + len(body) + 8 > MAX_MESSAGE:
        raise ValueError(f"a message has at most {MAX_MESSAGE} bytes")
    kind = message.message_class | _BINDING
    covered = _HEADER.pack(kind, len(body) + 8, MAGIC_COOKIE, message.transaction_id) + body
    return covered + _TLV.pack(Attribute.FINGERPRINT, 4) + _fingerprint(covered)


def _values(message: Message) -> Iterator[tuple[Attribute, bytes]]:
    """The attributes that are there, as bytes."""
    if message.software:
        yield Attribute.SOFTWARE, _text(message.software)
    if message.error is not None:
        yield Attribute.ERROR_CODE, _encode_error(message.error)
    if message.unknown_attributes:
        types = message.unknown_attributes
        yield Attribute.UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(types)}H", *types)
    if message.change_request:  # none is sent to ask for no change
        flags = message.change_request.ip << 2 | message.change_request.port << 1
        yield Attribute.CHANGE_REQUEST, struct.pack("!I", flags)
    if message.response_port is not None:
        yield Attribute.RESPONSE_PORT, struct.pack("!HH", message.response_port, 0)
    if message.xor_mapped_address is not None:
        value = _encode_address(message.xor_mapped_address)
        yield Attribute.XOR_MAPPED_ADDRESS, _xor_address(value, message.transaction_id)
    for kind, endpoint in (
        (Attribute.MAPPED_ADDRESS, message.mapped_address),
        (Attribute.RESPONSE_ORIGIN, message.response_origin),
        (Attribute.OTHER_ADDRESS, message.other_address),
    ):
        if endpoint is not None:
            yield kind, _encode_address(endpoint)


def _text(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > MAX_TEXT:
        raise ValueError(f"a text in a STUN message has at most {MAX_TEXT} bytes, not {len(encoded)}")
    return encoded


def _encode_error(error: ErrorCode) -> bytes:
    if not 300 <= error.code <= 699:
        raise ValueError(f"a STUN error code is a number from 300 to 699, not {error.code}")
    # reserved:21 | class:3 | number:8 | reason phrase
    return struct.pack("!HBB", 0, *divmod(error.code, 100)) + _text(error.reason)


def _encode_address(endpoint: Endpoint) -> bytes:
    # zero:8 | family:8 | port:16 | address:32 or 128
    family = 1 if endpoint.version == 4 else 2
    return struct.pack("!BBH", 0, family, endpoint.port) + endpoint.address.packed


def _xor_address(value: bytes, transaction_id: bytes) -> bytes:
    """RFC 8489 section 14.2: the port with the cookie's upper half, the address with cookie and transaction ID."""
    key = struct.pack("!HHI", 0, MAGIC_COOKIE >> 16, MAGIC_COOKIE) + transaction_id
    return bytes(byte ^ other for byte, other in zip(value, key, strict=False))


def _fingerprint(covered: bytes) -> bytes:
    """RFC 8489 section 14.7. `covered` is everything before, its length field counting the FINGERPRINT already."""
    return struct.pack("!I", crc32(covered) ^ _FINGERPRINT_XOR)


# ---- reading


def body_length(header: bytes) -> int:
    """How many bytes follow the header, to be read from a stream.

    Raises:
        DecodeError: these 20 bytes are no STUN header, or announce more than `MAX_MESSAGE`.
    """
    if len(header) != HEADER_SIZE:
        raise DecodeError(f"a STUN header has {HEADER_SIZE} bytes, not {len(header)}")
    kind, length, cookie, _ = _HEADER.unpack(header)
    if kind & 0xC000 or cookie != MAGIC_COOKIE:
        raise DecodeError("not a STUN message")
    if length % 4 or HEADER_SIZE + length > MAX_MESSAGE:
        raise DecodeError(f"a STUN message whose length is {length}")
    return int(length)


def decode(data: bytes) -> Message:
    """Reads one whole message. Of an attribute that is there twice the first counts (RFC 8489 section 14).

    Raises:
        DecodeError: not STUN, not the Binding method, an indication, longer than `MAX_MESSAGE`, cut short, an attribute
            whose value does not parse, or a wrong FINGERPRINT.
    """
    length = body_length(data[:HEADER_SIZE])
    if len(data) != HEADER_SIZE + length:
        raise DecodeError(f"a STUN message of {HEADER_SIZE + length} bytes in {len(data)}")
    kind, _, _, transaction_id = _HEADER.unpack_from(data)
    if kind & _METHOD_BITS != _BINDING:
        raise DecodeError(f"STUN method {kind & _METHOD_BITS:#x}; only Binding is known here")
    try:
        message_class = MessageClass(kind & _CLASS_BITS)
    except ValueError:
        raise DecodeError("a STUN indication: there is nothing to do for it") from None
    return _message(message_class, transaction_id, _attributes(data))


def _attributes(data: bytes) -> dict[int, bytes]:
    """The attributes by type, in order; checks FINGERPRINT, and that it is the last."""
    found: dict[int, bytes] = {}
    offset = HEADER_SIZE
    while offset < len(data):
        if Attribute.FINGERPRINT in found:
            raise DecodeError("an attribute behind FINGERPRINT")
        kind, length = _TLV.unpack_from(data, offset)
        value = data[offset + 4 : offset + 4 + length]
        if len(value) != length:
            raise DecodeError(f"STUN attribute {kind:#06x} cut short: {len(value)} of {length} bytes")
        if kind == Attribute.FINGERPRINT and value != _fingerprint(data[:offset]):
            raise DecodeError("the FINGERPRINT is wrong")
        found.setdefault(kind, value)
        offset += 4 + length + -length % 4
    return found


def _message(message_class: MessageClass, transaction_id: bytes, found: dict[int, bytes]) -> Message:
    def read(kind: Attribute, reader: Callable[[bytes], T]) -> T | None:
        return reader(found[kind]) if kind in found else None

    return Message(
        message_class,
        transaction_id,
        read(Attribute.MAPPED_ADDRESS, _decode_address),
        read(Attribute.XOR_MAPPED_ADDRESS, lambda value: _decode_address(_xor_address(value, transaction_id))),
        read(Attribute.CHANGE_REQUEST, _decode_change),
        read(Attribute.RESPONSE_PORT, lambda value: _unpack("!HH", value)[0]),
        read(Attribute.RESPONSE_ORIGIN, _decode_address),
        read(Attribute.OTHER_ADDRESS, _decode_address),
        read(Attribute.SOFTWARE, _decode_text) or "",
        read(Attribute.ERROR_CODE, _decode_error),
        read(Attribute.UNKNOWN_ATTRIBUTES, _decode_types) or (),
        tuple(kind for kind in found if kind < 0x8000 and kind not in _KNOWN),
    )


def _unpack(form: str, value: bytes) -> tuple[int, ...]:
    if len(value) != struct.calcsize(form):
        raise DecodeError(f"a STUN attribute of {len(value)} bytes instead of {struct.calcsize(form)}")
    return struct.unpack(form, value)


def _decode_address(value: bytes) -> Endpoint:
    family, size = (value[1] if len(value) > 1 else 0), len(value)
    if (family, size) not in ((1, 8), (2, 20)):
        raise DecodeError(f"an address of family {family} in {size} bytes")
    address = IPv4Address(value[4:]) if family == 1 else IPv6Address(value[4:])
    return Endpoint(str(address), int.from_bytes(value[2:4], "big"))


def _decode_change(value: bytes) -> ChangeRequest:
    (flags,) = _unpack("!I", value)
    return ChangeRequest(ip=bool(flags & 4), port=bool(flags & 2))


def _decode_error(value: bytes) -> ErrorCode:
    if len(value) < 4:
        raise DecodeError("ERROR-CODE cut short")
    hundreds, number = value[2] & 7, value[3]
    if not 3 <= hundreds <= 6 or number > 99:
        raise DecodeError(f"no STUN error code: class {hundreds}, number {number}")
    return ErrorCode(100 * hundreds + number, _decode_text(value[4:]))


def _decode_text(value: bytes) -> str:
    """For people only, so bytes that are no UTF-8 do not spoil the message."""
    if len(value) > MAX_TEXT:
        raise DecodeError(f"a text of {len(value)} bytes in a STUN message")
    return value.decode(errors="replace")


def _decode_types(value: bytes) -> tuple[int, ...]:
    return _unpack(f"!{len(value) // 2}H", value)
