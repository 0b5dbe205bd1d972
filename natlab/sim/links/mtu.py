"""A link that takes no packet longer than its MTU, and the news of it: path MTU discovery (RFC 1191, RFC 8201).

    alice ── 1500 bytes ──> home ✗ MTU 1280
    alice <── ICMP packet too big, MTU 1280 ── home        so alice's TCP cuts its segments shorter, and sends again

Most packets say "don't fragment", as Linux's do: so it is dropped, and the router at that end of the link tells the
sender. Others are cut (`natlab.wire.fragments`), over IPv4 only: IPv6 leaves that to the sender.

TCP needs the news: a handshake and small messages pass, and the first full segment is lost, again and again, if nobody
says why. Routers and firewalls that keep ICMP errors to themselves make such black holes (RFC 2923): `black_hole=True`
here, or a NAT box with `icmp_errors="dropped"` behind the link.

Tunnels are why links have such MTUs. The first datagram that is too long is lost, and the program, whose socket is
not connected, is not told; its host is, and cuts the next ones itself (`natlab.sim.path_mtu`). QUIC will have none of
that: it starts with packets of 1200 bytes (RFC 9000 section 14) and probes for more.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from natlab.events import Verdict
from natlab.packet import Packet
from natlab.sim.capture import Tap
from natlab.sim.links.deliver import Deliver
from natlab.wire.fragments import cut

TooBig = Callable[[Packet, int], None]  # the packet, and the MTU that it does not fit into


def limited(mtu: int, too_big: TooBig | None, tap: Tap, then: Deliver) -> Deliver:
    """Only packets of at most `mtu` bytes, IP header included, pass; `too_big` is told of the others."""

    numbers = count(1)

    def carry(packet: Packet) -> None:
        size = packet.size
        if size <= mtu:
            then(packet)
            return
        if not packet.df and packet.source.version == 4:
            for piece in cut(packet, mtu, next(numbers) % 2**16):
                then(piece)
            return
        if tap.on:
            tap.seen(packet, Verdict.LOST, f"its {size} bytes do not fit the link's MTU of {mtu}")
        if too_big is not None:
            too_big(packet, mtu)

    return carry
