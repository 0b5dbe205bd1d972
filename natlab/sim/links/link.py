"""A link as it runs: two chains of middleware, and the plug at the head of each.

To cut a link is to plug what loses every packet in front of both chains; a link that was never cut has paid nothing
for it. What is on its way when the link is cut still arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from natlab.events import Verdict
from natlab.packet import Packet
from natlab.sim.capture import Tap
from natlab.sim.links.config import LinkConfig
from natlab.sim.links.delay import Jitter, Trace, delayed, jittered, traced
from natlab.sim.links.deliver import Deliver
from natlab.sim.links.duplication import duplicating
from natlab.sim.links.loss import GilbertElliott, bursty, lossy
from natlab.sim.links.mtu import TooBig, limited
from natlab.sim.links.queue import queued
from natlab.sim.links.reordering import reordering
from natlab.sim.loop import SimLoop

Plug = Callable[[Deliver], None]  # "from now on, packets go there"


def chain(
    config: LinkConfig,
    default_delay: float,
    loop: SimLoop,
    rng: Random,
    tap: Tap,
    flight: Callable[[], int],
    then: Deliver,
    too_big: TooBig | None = None,
) -> Deliver:
    """One direction: the middleware that `config` asks for, in the order of the package's picture.

    Args:
        default_delay: seconds, where the configuration leaves it open.
        rng: decides all chances of this link.
        flight: gives a new flight number, for copies.
        too_big: is told of packets longer than the MTU.
    """
    carry = _on_the_way(config.delay, default_delay, loop, rng, then)
    if config.reordering:
        carry = reordering(loop, rng, config.reordering, config.lateness, carry)
    if config.duplication:
        carry = duplicating(rng, config.duplication, tap, flight, carry)
    if isinstance(config.loss, GilbertElliott):
        carry = bursty(rng, config.loss, tap, carry)
    elif config.loss:
        carry = lossy(rng, config.loss, tap, carry)
    if config.rate < float("inf"):
        carry = queued(loop, config.rate, config.queue, tap, carry)
    if config.mtu is not None:
        carry = limited(config.mtu, None if config.black_hole else too_big, tap, carry)
    return carry


def _on_the_way(
    delay: float | Jitter | Trace | None, default: float, loop: SimLoop, rng: Random, then: Deliver
) -> Deliver:
    match delay:
        case None:
            return delayed(loop, default, then)
        case Jitter():
            return jittered(loop, rng, delay, then)
        case Trace():
            return traced(loop, delay, then)
        case _:
            return delayed(loop, delay, then)


class Link:
    """The cable of one place.

    Args:
        tap: of that place.
        ways: each direction's plug, and the chain that belongs there.
    """

    __slots__ = ("_cut", "_tap", "_ways")

    def __init__(self, tap: Tap, ways: Sequence[tuple[Plug, Deliver]]) -> None:
        self._tap = tap
        self._ways = ways
        self._cut = False

    @property
    def is_cut(self) -> bool:
        return self._cut

    def cut(self) -> None:
        """From now on no packet gets onto it, in either direction."""
        self._cut = True
        for plug, _ in self._ways:
            plug(self._lose)

    def heal(self) -> None:
        """It is as it was before `cut`."""
        self._cut = False
        for plug, head in self._ways:
            plug(head)

    def _lose(self, packet: Packet) -> None:
        if self._tap.on:
            self._tap.seen(packet, Verdict.LOST, f"the link of {self._tap.place} is cut")
