"""What a link does to a packet, as middleware: each function wraps the next place a packet goes to.

    host ──> lossy ──> delayed ──> router

A packet in flight is one entry of the loop's heap: no task, no queue, no object of its own.

Not modelled: bandwidth and queues, reordering and duplication, MTU. One direction is one chain, so a link may be slower
one way than the other.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from natlab.events import Verdict
from natlab.packet import Packet
from natlab.sim.capture import Tap
from natlab.sim.loop import NANOSECONDS, SimLoop

Deliver = Callable[[Packet], None]


def delayed(loop: SimLoop, seconds: float, then: Deliver) -> Deliver:
    """Every packet arrives `seconds` later, in the order sent."""
    delay_ns = round(seconds * NANOSECONDS)
    call_at_ns = loop.call_at_ns

    def carry(packet: Packet) -> None:
        call_at_ns(loop.now_ns + delay_ns, then, packet)

    return carry


def lossy(rng: Random, probability: float, tap: Tap, then: Deliver) -> Deliver:
    """Each packet is lost with `probability`, independently of the others."""

    def carry(packet: Packet) -> None:
        if rng.random() >= probability:
            then(packet)
        elif tap.on:
            tap.seen(packet, Verdict.LOST, f"lost on a link with loss {probability:g}")

    return carry
