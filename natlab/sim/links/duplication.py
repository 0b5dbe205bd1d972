"""Packets that arrive twice: IP never promised that they do not (RFC 5560 measures it).

TCP and QUIC know a packet they have seen. A plain datagram protocol must.

The copy is a packet of its own in the record, with its own flight number; its first row says "duplicated".
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from natlab.events import Verdict
from natlab.packet import Packet
from natlab.sim.capture import Tap
from natlab.sim.links.deliver import Deliver


def duplicating(rng: Random, probability: float, tap: Tap, flight: Callable[[], int], then: Deliver) -> Deliver:
    """Each packet goes on, and with `probability` a copy of it follows at once.

    Args:
        flight: gives a new flight number.
    """

    def carry(packet: Packet) -> None:
        then(packet)
        if rng.random() < probability:
            then(_copy(packet))

    def _copy(packet: Packet) -> Packet:
        if not tap.on:
            return packet
        copy = packet._replace(flight=flight())
        tap.seen(copy, Verdict.DUPLICATED, f"copy of flight {packet.flight}, made by a link", before=packet)
        return copy

    return carry
