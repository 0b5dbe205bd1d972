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
from natlab.lab.topology import BOXES, CORE, Kind, Place, Topology
from natlab.packet import Packet
from natlab.sim.router import CORE_IP
from natlab.wire.pcapng import Sighting

_ON_A_LINK = (Verdict.LOST, Verdict.DUPLICATED)
INSIDE, OUTSIDE = "inside", "outside"


def on_the_internet(journal: Journal, topology: Topology) -> Iterator[Sighting]:
    """Each packet once, as it set out between the outermost boxes, on one interface."""
    sides = _Sides(topology)
    for seen in journal.of(PacketSeen):
        place = topology[seen.place]
        if not place.behind and sides.sets_out(place, seen):
            yield Sighting(seen.time, CORE, seen.packet)


def seen_at(journal: Journal, topology: Topology, places: Iterable[str]) -> Iterator[Sighting]:
    """All that these places saw, with the rule where a packet was dropped."""
    sides, wanted = _Sides(topology), {name: topology[name] for name in places}
    for seen in journal.of(PacketSeen):
        place = wanted.get(seen.place)
        if place is None or seen.verdict in _ON_A_LINK:
            continue
        comment = f"{seen.verdict}: {seen.reason}" if seen.reason else ""
        for side, packet in sides.of(place, seen) if place.kind in BOXES else [("", seen.packet)]:
            yield Sighting(seen.time, f"{place.name} {side}".rstrip(), packet, comment)


def interfaces(topology: Topology, places: Sequence[str]) -> list[str]:
    """The names of the interfaces at which `seen_at` sees packets."""
    sides = {name: (INSIDE, OUTSIDE) if topology[name].kind in BOXES else ("",) for name in places}
    return [f"{name} {side}".rstrip() for name in places for side in sides[name]]


class _Sides:
    """Which side of a box is which, told by the addresses alone: a NAT box leaves nobody's address as it was."""

    def __init__(self, topology: Topology) -> None:
        self._behind: dict[str, set[str]] = {}  # box -> the addresses of all behind it
        for place in topology:
            for box in topology.way_out(place.name)[1:]:
                self._behind.setdefault(box, set()).update(filter(None, (place.ip, place.ip6)))

    def sets_out(self, place: Place, seen: PacketSeen) -> bool:
        """Whether a packet leaves its host, or the box in front of it, for what lies outside."""
        if place.kind not in BOXES:
            return seen.verdict is Verdict.SENT
        return (seen.before is not None or seen.verdict is Verdict.SENT) and self.of(place, seen)[-1][0] == OUTSIDE

    def of(self, box: Place, seen: PacketSeen) -> list[tuple[str, Packet]]:
        """On which side the box saw what: what it passes on twice, what it sends, keeps or drops once."""
        packet, before = seen.packet, seen.before
        if before is None:
            return [(self._of_one(box, packet, seen.verdict is Verdict.SENT), packet)]
        is_out = packet.source.ip != before.source.ip
        is_in = packet.destination.ip != before.destination.ip
        if not is_out and not is_in:  # a firewall, or neighbours
            is_out, is_in = (self._has(box, ip) for ip in (packet.source.ip, packet.destination.ip))
        both = (INSIDE if is_out else OUTSIDE, before), (INSIDE if is_in else OUTSIDE, packet)
        return list(dict.fromkeys(both))

    def _of_one(self, box: Place, packet: Packet, is_sent: bool) -> str:
        ends = packet.source.ip, packet.destination.ip
        if ends[0] == CORE_IP or (box.kind is Kind.NAT and box.ip in ends):
            return OUTSIDE
        if self._has(box, ends[is_sent]) or not all(parse_ip(ip).is_global for ip in ends):
            return INSIDE
        return OUTSIDE

    def _has(self, box: Place, ip: str) -> bool:
        return ip in self._behind.get(box.name, ())
