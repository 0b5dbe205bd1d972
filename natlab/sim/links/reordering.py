"""Packets that arrive late, after others that were sent later.

    sent        1     2     3     4
                 ╲     ╲╌╌╌╌╌╲╌╌╌╌╌╲╌╌╌╌╮
    arrive        1           3     4    2        2 is reordered: its number is below one that came before it

That is RFC 4737's definition (section 3.3), and `lateness` its "late time offset" (section 4.3) when packets follow
each other closely. When nothing follows within the lateness, the late packet has overtaken nobody: reordering needs
traffic. TCP takes three packets that overtake one for a loss (RFC 5681 section 3.2).
"""

from __future__ import annotations

from random import Random

from natlab.packet import Packet
from natlab.sim.links.deliver import Deliver
from natlab.sim.loop import NANOSECONDS, SimLoop


def reordering(loop: SimLoop, rng: Random, probability: float, lateness: float, then: Deliver) -> Deliver:
    """Each packet is held back with `probability`, for `lateness` seconds; the others pass it."""
    late_ns = round(lateness * NANOSECONDS)

    def carry(packet: Packet) -> None:
        if rng.random() < probability:
            loop.call_at_ns(loop.now_ns + late_ns, then, packet)
        else:
            then(packet)

    return carry
