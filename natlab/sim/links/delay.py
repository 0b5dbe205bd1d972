"""How long a packet is on its way: always the same, more or less, or as somebody measured it.

    0.020                     every packet takes 20 ms
    Jitter(0.015, 0.040)      each takes its own time, 15 to 40 ms
    Trace((0.02, 0.3), 60)    20 ms for the first minute, 300 ms for the second, and over again

A packet in flight is one entry of the loop's heap. None of these changes the order: on most real paths delay varies
because queues do, and a queue keeps the order. So a packet whose own time would be shorter arrives with the one that
was sent before it (RFC 3393 is about such variation, RFC 4737 about the other kind: `reordering`).

Not modelled: correlation from one packet to the next, other distributions. A trace gives both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from natlab.packet import Packet
from natlab.sim.links.deliver import Deliver
from natlab.sim.loop import NANOSECONDS, SimLoop


@dataclass(frozen=True, slots=True)
class Jitter:
    """Attributes: least and most, the seconds between which each packet's delay lies, all equally likely."""

    least: float
    most: float

    def __post_init__(self) -> None:
        if not _is_delay(self.least) or not _is_delay(self.most) or self.least > self.most:
            raise ValueError(f"a delay varies between 0 s and more, not from {self.least!r} to {self.most!r}")


@dataclass(frozen=True, slots=True)
class Trace:
    """A delay that changes as time passes.

    Attributes:
        delays: seconds one way, at least one; after the last comes the first again.
        every: seconds of the lab's time for which each of them holds.
    """

    delays: Sequence[float]
    every: float = 1.0

    def __post_init__(self) -> None:
        try:
            delays = tuple(float(delay) for delay in self.delays)
        except (TypeError, ValueError):
            delays = ()
        object.__setattr__(self, "delays", delays)
        if not delays or not all(map(_is_delay, delays)):
            raise ValueError("a trace has one delay or more, each a number of seconds, 0 or more")
        if not _is_delay(self.every) or self.every < 1 / NANOSECONDS:
            raise ValueError(f"each delay of a trace holds for some time, not for {self.every!r} s")


def _is_delay(given: object) -> bool:
    return isinstance(given, float | int) and 0 <= given < math.inf


def delayed(loop: SimLoop, seconds: float, then: Deliver) -> Deliver:
    """Every packet arrives `seconds` later, in the order sent."""
    delay_ns = round(seconds * NANOSECONDS)
    call_at_ns = loop.call_at_ns

    def carry(packet: Packet) -> None:
        call_at_ns(loop.now_ns + delay_ns, then, packet)

    return carry


def jittered(loop: SimLoop, rng: Random, jitter: Jitter, then: Deliver) -> Deliver:
    """Each packet has a delay of its own, and none overtakes another."""
    least, most = round(jitter.least * NANOSECONDS), round(jitter.most * NANOSECONDS)
    return _varying(loop, lambda: rng.randint(least, most), then)


def traced(loop: SimLoop, trace: Trace, then: Deliver) -> Deliver:
    """The delay is what the trace says for the time at which the packet is sent."""
    delays = [round(delay * NANOSECONDS) for delay in trace.delays]
    every = round(trace.every * NANOSECONDS)
    return _varying(loop, lambda: delays[loop.now_ns // every % len(delays)], then)


def _varying(loop: SimLoop, delay_ns: Callable[[], int], then: Deliver) -> Deliver:
    last_arrival = 0

    def carry(packet: Packet) -> None:
        nonlocal last_arrival
        last_arrival = max(last_arrival, loop.now_ns + delay_ns())
        loop.call_at_ns(last_arrival, then, packet)

    return carry
