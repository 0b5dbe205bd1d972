"""Unsigned varints: a number as 7 bits a byte, least significant first, the top bit set on all bytes but the last.

Specification: multiformats `unsigned-varint`. At most 9 bytes (63 bits), and only the shortest form is valid, so that
two different byte strings never mean the same value.

    300 = 0b10_0101100   ->   1_0101100  0_0000010   =   ac 02
"""

from __future__ import annotations

from natlab.errors import DecodeError

MAX_BYTES = 9  # unsigned-varint, "Practical maximum of 9 bytes"


def encode(value: int) -> bytes:
    """The shortest form of `value`.

    Raises:
        ValueError: negative, or over 63 bits.
    """
    if not 0 <= value < 1 << 7 * MAX_BYTES:
        raise ValueError(f"a varint holds 0 to 2**63 - 1, not {value}")
    if value <= 0x7F:
        return bytes((value,))  # as nearly all are
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode(data: bytes | bytearray | memoryview, start: int = 0) -> tuple[int, int] | None:
    """Reads a varint at `start`: the value and the offset behind it, or None while its last byte is not there yet.

    Raises:
        DecodeError: longer than 9 bytes, or not the shortest form.
    """
    if start < len(data) and data[start] < 0x80:
        return data[start], start + 1
    value = 0
    for index, byte in enumerate(data[start : start + MAX_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise DecodeError("varint not in its shortest form")
            return value, start + index + 1
    if len(data) - start >= MAX_BYTES:
        raise DecodeError(f"varint longer than {MAX_BYTES} bytes")
    return None


def prefixed(data: bytes) -> bytes:
    """`data` with its length in front, as libp2p writes every protobuf message."""
    return encode(len(data)) + data
