"""What is connected to what, as values: the part of a lab that pictures need.

internet ── office ── bob        Place("office", NAT, behind="")   Place("bob", NODE, behind="office")
   │
   └────── relay                 Place("relay", NODE, behind="")
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    NODE = "node"  # a libp2p node on its host
    HOST = "host"  # a bare computer
    NAT = "NAT"
    FIREWALL = "firewall"
    CORE = "core"  # the internet itself, where packets to nobody end


COMPUTERS = (Kind.NODE, Kind.HOST)  # where packets begin and end
BOXES = (Kind.NAT, Kind.FIREWALL)  # what hosts are behind


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere a packet can be.

    Attributes:
        name: unique in its lab.
        kind: what stands there.
        ip: its address on the side of the internet.
        behind: name of the box in front of it, "" on the public internet.
        ip6: its IPv6 address, "" for none; the same as `ip` if it has no other.
        through: name of the box that its tunnel to `behind` goes through, "" for none.
    """

    name: str
    kind: Kind
    ip: str
    behind: str = ""
    ip6: str = ""
    through: str = ""

    @property
    def ips(self) -> str:
        """Its addresses, IPv4 first."""
        return ", ".join(dict.fromkeys(filter(None, (self.ip, self.ip6))))


CORE = "internet"


class Topology:
    """The places of a lab, in the order they were built, and the internet between them."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = {place.name: place for place in (*places, Place(CORE, Kind.CORE, ""))}

    def __iter__(self) -> Iterator[Place]:
        """All places but the internet."""
        return (place for place in self._places.values() if place.kind != Kind.CORE)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Place:
        return self._places[name]

    def way_out(self, name: str) -> list[str]:
        """The place and every box between it and the internet, inside first."""
        way = [name]
        while behind := self._places[way[-1]].behind:
            way.append(behind)
        return way

    def _line_out(self, name: str) -> list[str]:
        """`way_out`, with the boxes that a tunnel goes through."""
        way, through = self.way_out(name), self._places[name].through
        return [name, *(self.way_out(through) if through else []), *way[1:]]

    def in_line(self, hosts: Sequence[str], core: bool = False) -> list[str]:
        """The places between these hosts, left to right: the first one's NATs, who is public, then the others' NATs.

        Who shares the first one's NAT stands on its side, if anybody is public.

        Args:
            core: with the internet, before those who are public.

        >>> places = [Place("home", Kind.NAT, "11.0.0.1"), Place("alice", Kind.NODE, "192.168.1.2", "home")]
        >>> Topology([*places, Place("relay", Kind.NODE, "12.0.0.1")]).in_line(["alice", "relay"])
        ['alice', 'home', 'relay']
        """
        hidden = [host for host in hosts if self._places[host].behind]
        public = [host for host in hosts if not self._places[host].behind]
        near = [host for host in hidden if self.way_out(host)[-1] == self.way_out(hidden[0])[-1]]
        near = near if public or core else hidden[:1]
        left = [place for host in near for place in self._line_out(host)]
        left.sort(key=lambda place: len(self.way_out(place)), reverse=True)
        right = [place for host in hidden for place in reversed(self._line_out(host))]
        return list(dict.fromkeys([*left, *([CORE] if core else []), *public, *right]))
