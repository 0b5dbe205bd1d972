"""A link that takes no packet longer than its MTU, and the news of it: path MTU discovery (RFC 1191, RFC 8201).

    alice ── 1500 bytes ──> home ✗ MTU 1280
    alice <── ICMP packet too big, MTU 1280 ── home        so alice's TCP cuts its segments shorter, and sends again

Every packet here says "don't fragment", as Linux's do: so it is dropped, and the router at that end of the link tells
the sender. TCP needs the news: a handshake and small messages pass, and the first full segment is lost, again and
again, if nobody says why. Routers and firewalls that keep ICMP errors to themselves make such black holes (RFC 2923):
`black_hole=True` here, or a NAT box with `icmp_errors="dropped"` behind the link.

Tunnels are why links have such MTUs. A datagram that is too long is lost, and its sender, whose socket is not
connected, is not told: QUIC starts with packets of 1200 bytes (RFC 9000 section 14) and probes for more by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from natlab.events import Verdict
from natlab.packet import Packet
from natlab.sim.capture import Tap
from natlab.sim.links.deliver import Deliver

TooBig = Callable[[Packet, int], None]  # the packet, and the MTU that it does not fit into


def limited(mtu: int, too_big: TooBig | None, tap: Tap, then: Deliver) -> Deliver:
    """Only packets of at most `mtu` bytes, IP header included, pass; `too_big` is told of the others."""

    def carry(packet: Packet) -> None:
        size = packet.size
        if size <= mtu:
            then(packet)
            return
        if tap.on:
            tap.seen(packet, Verdict.LOST, f"its {size} bytes do not fit the link's MTU of {mtu}")
        if too_big is not None:
            too_big(packet, mtu)

    return carry
