"""A capture file that Wireshark, tshark and tcpdump open.

The classic pcap format (draft-ietf-opsawg-pcap), little-endian, with nanosecond times, link type RAW (101): each
record is an IP packet without any link header.

    file header    magic a1b23c4d:32 | major 2:16 | minor 4:16 | reserved:64 | snapshot length:32 | link type:32
    record         seconds:32 | nanoseconds:32 | captured length:32 | original length:32 | packet

Not modelled: reading such files, the block format of pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO

from natlab.packet import Packet
from natlab.wire.ip import MAX_PACKET, encode

__all__ = ["write"]

_MAGIC_NANOSECONDS = 0xA1B23C4D
_LINKTYPE_RAW = 101
_FILE_HEADER = struct.Struct("<IHHIIII")
_RECORD = struct.Struct("<IIII")


def write(file: BinaryIO, packets: Iterable[tuple[float, Packet]], *, epoch: int = 0) -> int:
    """Writes a whole capture file and returns the number of packets in it.

    Args:
        file: opened for writing in binary mode.
        packets: each with its time in seconds since the lab began, in order.
        epoch: Unix time in seconds at which the lab began, 0 to 2**32 - 1.

    Raises:
        ValueError: a packet has no byte form (`natlab.wire.ip.encode`), or a time does not fit 32 bits of seconds.
    """
    file.write(_FILE_HEADER.pack(_MAGIC_NANOSECONDS, 2, 4, 0, 0, MAX_PACKET, _LINKTYPE_RAW))
    count = 0
    for time, packet in packets:
        file.write(_record(time, packet, epoch))
        count += 1
    return count


def _record(time: float, packet: Packet, epoch: int) -> bytes:
    seconds, nanoseconds = divmod(round(time * 1e9) + epoch * 1_000_000_000, 1_000_000_000)
    if not 0 <= seconds < 2**32:
        raise ValueError(f"a capture holds times from 0 to 2**32 seconds, not {seconds}")
    data = encode(packet)
    return _RECORD.pack(seconds, nanoseconds, len(data), len(data)) + data
