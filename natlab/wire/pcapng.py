"""A capture file that Wireshark and tshark open, with a network interface for each place that packets were seen at.

pcapng (draft-ietf-opsawg-pcapng), little-endian. A file is a row of blocks, each as long as it says at both ends:

    block                       type:32 | length:32 | body, padded to 32 bits | length:32

    Section Header       once   magic 1a2b3c4d:32 | major 1:16 | minor 0:16 | section length, -1 for unknown:64
    Interface            each   link type:16 | reserved:16 | snapshot length:32 | options: its name, nanoseconds
    Enhanced Packet      each   interface:32 | time:64, high half first | captured length:32 | original length:32 |
                                packet, padded to 32 bits | options: a comment

    option                      code:16 | length:16 | value, padded to 32 bits;  0:32 ends a block's options

The link type is RAW: a packet begins with its IP header. In Wireshark `frame.interface_name` tells the place, and
`frame.comment` what became of the packet there.

Not modelled: reading such files, sections in the other byte order, statistics, name resolution.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from natlab.packet import Packet
from natlab.wire.ip import MAX_PACKET, encode

__all__ = ["Sighting", "write"]

_SECTION_HEADER, _INTERFACE, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 6  # block types
_COMMENT, _IF_NAME, _IF_TSRESOL = 1, 2, 9  # options
_MAGIC = 0x1A2B3C4D
_LINKTYPE_RAW = 101
_NANOSECONDS = 9  # if_tsresol: times count units of 10 to the power of -9 seconds
_LONGEST_OPTION = 65535  # bytes: its length field has 16 bits


@dataclass(frozen=True, slots=True)
class Sighting:
    """One packet at one place.

    Attributes:
        time: seconds since the lab began.
        interface: the place.
        comment: shown with the packet; "" for none. At most 65535 bytes in UTF-8.
    """

    time: float
    interface: str
    packet: Packet
    comment: str = ""


def write(file: BinaryIO, interfaces: Sequence[str], sightings: Iterable[Sighting], *, epoch: int = 0) -> int:
    """Writes a whole capture file and returns the number of packets in it.

    Args:
        file: opened for writing in binary mode.
        interfaces: all places, also those that saw nothing.
        sightings: in order of time.
        epoch: Unix time in seconds at which the lab began.

    Raises:
        ValueError: a packet has no byte form (`natlab.wire.ip.encode`), a time does not fit 64 bits of nanoseconds, a
            name or comment is too long, or a place is none of `interfaces`.
    """
    file.write(_block(_SECTION_HEADER, struct.pack("<IHHq", _MAGIC, 1, 0, -1)))
    for name in interfaces:
        options = _option(_IF_NAME, name.encode()) + _option(_IF_TSRESOL, bytes([_NANOSECONDS]))
        file.write(_block(_INTERFACE, struct.pack("<HHI", _LINKTYPE_RAW, 0, MAX_PACKET) + _ended(options)))
    numbers = {name: number for number, name in enumerate(interfaces)}
    count = 0
    for sighting in sightings:
        if sighting.interface not in numbers:
            raise ValueError(f"{sighting.interface!r} is none of the interfaces: {', '.join(interfaces)}")
        file.write(_enhanced_packet(numbers[sighting.interface], sighting, epoch))
        count += 1
    return count


def _enhanced_packet(interface: int, sighting: Sighting, epoch: int) -> bytes:
    time = round(sighting.time * 1e9) + epoch * 1_000_000_000
    if not 0 <= time < 2**64:
        raise ValueError(f"a capture holds times from 0 to 2**64 nanoseconds, not {time}")
    data = encode(sighting.packet)
    # interface:32 | time:64, high half first | captured length:32 | original length:32
    fields = struct.pack("<IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(data), len(data))
    options = _option(_COMMENT, sighting.comment.encode()) if sighting.comment else b""
    return _block(_ENHANCED_PACKET, fields + _padded(data) + _ended(options))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    if len(value) > _LONGEST_OPTION:
        raise ValueError(f"a name or comment has at most {_LONGEST_OPTION} bytes, this one has {len(value)}")
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _ended(options: bytes) -> bytes:
    return options + bytes(4) if options else b""


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
