"""One version of IP on a cable: which router it leads to, and how the routers further out learn what is at its end.

    internet ── firewall ── home ── alice      the firewall and the core must know home's address; not alice's, since
                                               home translates

A cable that carries both versions has two lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from natlab.packet import Packet
from natlab.sim.links import Deliver, Plug, TooBig
from natlab.sim.router import NatRouter, Router

__all__ = ["Line", "plug_at", "too_big_at"]


@dataclass(slots=True)
class Line:
    """One version of IP on a new cable.

    Attributes:
        behind: the router it leads to, None for the core.
        core: of this version.
        ips: the addresses at the new end.
    """

    behind: NatRouter | None
    core: Router
    ips: tuple[str, ...] = ()

    @property
    def parent(self) -> Router:
        return self.behind or self.core

    def on_the_way(self) -> Iterator[tuple[Router, NatRouter | None]]:
        """The routers that know an address at this end, each with the one that is next inside."""
        yield self.parent, None
        behind = self.behind
        while behind is not None and not behind.translates:
            yield behind.behind or self.core, behind
            behind = behind.behind


def too_big_at(routers: Sequence[Router]) -> TooBig:
    """Who is told of a packet that does not fit into a cable: the router, or its half for that version of IP."""

    def tell(packet: Packet, mtu: int) -> None:
        routers[-1 if packet.source.version == 6 else 0].too_big_inward(packet, mtu)

    return tell


def plug_at(routers: Sequence[Router], cable: Deliver) -> Plug:
    """Where a cable ends at one router, or at the two halves of one."""

    def plug(deliver: Deliver) -> None:
        nonlocal cable
        for router in routers:
            router.replug(cable, deliver)
        cable = deliver

    return plug
