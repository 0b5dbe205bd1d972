"""`lab.packets`: each packet at each place it passed.

One packet crosses several places: the host that sent it, the NAT boxes on its way, the host it was for. `flight` is
the same in all of them, and source and destination are what the header said when the packet *left* the place, so
reading one flight down the table shows each translation.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from natlab.events import Journal, PacketSeen
from natlab.lab.views.frame import frame
from natlab.packet import IPProtocol, Packet, describe, end_of


class PacketRow(NamedTuple):
    """
    Columns:
        time: float64, seconds since the lab began.
        place: string, host or NAT box.
        flight: int64, one number per packet, kept across translation.
        protocol: string, TCP, UDP or ICMP; FRAGMENT for a piece.
        source, destination: string, IP:PORT as the packet left this place; an ICMP echo has its identifier for the
            port of whoever asked, and where ICMP has none it is the address alone.
        flags: string, TCP control bits (RFC 9293 section 3.1), "" for UDP; for ICMP what it says, and of which packet;
            for a piece which bytes it has.
        size: int64, bytes with IP and transport headers.
        verdict: string, sent, forwarded, translated, delivered, dropped, lost or duplicated.
        reason: string, what dropped, lost or copied it; "" otherwise.
    """

    time: float
    place: str
    flight: int
    protocol: str
    source: str
    destination: str
    flags: str
    size: int
    verdict: str
    reason: str


def packets(journal: Journal) -> pd.DataFrame:
    """One row for each packet at each place, in the order it happened; columns as `PacketRow`."""
    return frame(PacketRow, (_row(seen) for seen in journal.of(PacketSeen)))


def _row(seen: PacketSeen) -> PacketRow:
    packet = seen.packet
    return PacketRow(
        time=seen.time,
        place=seen.place,
        flight=packet.flight,
        protocol=IPProtocol(packet.protocol).name,
        source=end_of(packet, packet.source),
        destination=end_of(packet, packet.destination),
        flags=_flags(packet),
        size=packet.size,
        verdict=seen.verdict.value,
        reason=seen.reason,
    )


def _flags(packet: Packet) -> str:
    if packet.fragment is not None:
        return describe(packet)
    return packet.flag_names if packet.icmp is None else str(packet.icmp)
