"""From a journal to what a capture at some places would have seen.

                 inside │ home │ outside               each conversation has one pair of endpoints on each side:
    192.168.1.2:4001 ───┤      ├─── 11.0.0.1:4001      Wireshark can follow it only where both directions are seen
                        │      │                       on the same side

    the internet    every packet once, between the outermost boxes: as their hosts or the last box sent it
    a host          what passes its network card
    a box           two interfaces: "home inside" and "home outside"

A capture sees what passes a network card. What became of a packet further out on the link, where it was lost or copied,
no capture at this end can tell; the journal can (`lab.packets`). What never leaves a LAN, the internet does not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from natlab.endpoint import parse_ip
from natlab.events import Journal, PacketSeen, Verdict
from natlab.lab.topology import BOXES, CORE, Place, Topology
from natlab.packet import Packet
from natlab.wire.pcapng import Sighting

_ON_A_LINK = (Verdict.LOST, Verdict.DUPLICATED)
INSIDE, OUTSIDE = "inside", "outside"


def on_the_internet(journal: Journal, topology: Topology) -> Iterator[Sighting]:
    """Each packet once, as it set out between the outermost boxes, on one interface."""
    inside = _Inside(topology)
    for seen in journal.of(PacketSeen):
        place = topology[seen.place]
        if place.behind or not (seen.verdict is Verdict.SENT or inside.passed_on(seen)):
            continue
        if place.kind not in BOXES or not inside.is_for(place, seen.packet):
            yield Sighting(seen.time, CORE, seen.packet)


def seen_at(journal: Journal, topology: Topology, places: Iterable[str]) -> Iterator[Sighting]:
    """All that these places saw, with the rule where a packet was dropped."""
    inside, wanted = _Inside(topology), {name: topology[name] for name in places}
    for seen in journal.of(PacketSeen):
        place = wanted.get(seen.place)
        if place is None or seen.verdict in _ON_A_LINK:
            continue
        comment = f"{seen.verdict}: {seen.reason}" if seen.reason else ""
        sides = inside.sides(place, seen) if place.kind in BOXES else [("", seen.packet)]
        for side, packet in sides:
            yield Sighting(seen.time, f"{place.name} {side}".rstrip(), packet, comment)


def interfaces(topology: Topology, places: Sequence[str]) -> list[str]:
    """The names of the interfaces at which `seen_at` sees packets."""
    sides = {name: (INSIDE, OUTSIDE) if topology[name].kind in BOXES else ("",) for name in places}
    return [f"{name} {side}".rstrip() for name in places for side in sides[name]]


class _Inside:
    """Who is behind which box."""

    def __init__(self, topology: Topology) -> None:
        self._ips: dict[str, set[str]] = {}
        for place in topology:
            for box in topology.way_out(place.name)[1:]:
                self._ips.setdefault(box, set()).add(place.ip)

    def has(self, box: Place, ip: str) -> bool:
        return ip in self._ips.get(box.name, ())

    def is_for(self, box: Place, packet: Packet) -> bool:
        """Whether the packet goes to the inside."""
        ip = packet.destination.ip
        return self.has(box, ip) or parse_ip(ip).is_multicast

    def passed_on(self, seen: PacketSeen) -> bool:
        """Whether a box has let the packet out."""
        return seen.before is not None and seen.before.source.ip in self._ips.get(seen.place, ())

    def sides(self, box: Place, seen: PacketSeen) -> list[tuple[str, Packet]]:
        """On which side the box saw what: what it passes on twice, what it sends, keeps or drops once."""
        packet, before = seen.packet, seen.before
        came = INSIDE if self.has(box, (before or packet).source.ip) else OUTSIDE
        goes = INSIDE if self.is_for(box, packet) else OUTSIDE
        if before is None:
            return [(goes if seen.verdict is Verdict.SENT else came, packet)]
        return list(dict.fromkeys([(came, before), (goes, packet)]))
