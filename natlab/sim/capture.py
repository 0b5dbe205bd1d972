"""Where packets are written down: one `Tap` in each host, router and link.

A tap that nobody asked for costs the packet one look at `on`. It is decided when the lab is built:

    if tap.on:
        tap.seen(packet, Verdict.DELIVERED)
"""

from __future__ import annotations

from natlab.events import Journal, PacketSeen, Verdict
from natlab.packet import Packet
from natlab.sim.loop import SimLoop


class Tap:
    """Attributes: place, the name that events carry; on, whether the journal keeps packets at all."""

    __slots__ = ("_journal", "_loop", "on", "place")

    def __init__(self, place: str, loop: SimLoop, journal: Journal) -> None:
        self.place = place
        self.on = journal.wants(PacketSeen)
        self._loop = loop
        self._journal = journal

    def seen(self, packet: Packet, verdict: Verdict, reason: str = "", before: Packet | None = None) -> None:
        self._journal.emit(PacketSeen(self._loop.time(), self.place, packet, verdict, reason, before))
