"""What a host has learnt about paths that take no long packets, and what it does then with datagrams.

Linux (IP_PMTUDISC_WANT, its default; measured on 6.18 with 1400 bytes and a "packet too big" for 1280):

    the first datagram     1428 bytes, DF                         lost; the error is no news for the program
    all later ones         1276 bytes, more fragments, and 172    neither with DF

It believes an error only if a socket can have sent what that quotes (`icmp.py`), and in no MTU below 552, and forgets
after ten minutes (net.ipv4.route.mtu_expires). TCP has its own memory (`tcp_icmp.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from natlab.packet import Packet
from natlab.sim.tcp_icmp import LEAST_MTU
from natlab.sim.tcp_settings import SECOND
from natlab.wire.fragments import cut

__all__ = ["PathMtu"]

EXPIRES = 600 * SECOND
MOST = 1024  # destinations; the oldest gives way


class PathMtu:
    """Attributes: known, each destination's MTU and until when it holds; empty at most hosts, which is quick to ask."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, int]] = {}
        self._numbers = count(1)

    def learn(self, ip: str, mtu: int, now: int) -> None:
        self.known.pop(ip, None)
        if len(self.known) >= MOST:
            del self.known[next(iter(self.known))]
        self.known[ip] = max(mtu, LEAST_MTU), now + EXPIRES

    def pieces(self, packet: Packet, now: int) -> Sequence[Packet]:
        """The packet as it may leave: whole, or cut."""
        mtu, expires = self.known.get(packet.destination.ip, (0, 0))
        if expires <= now or packet.size <= mtu:
            return (packet,)
        return tuple(cut(packet._replace(df=False), mtu, next(self._numbers) % 2**16))
