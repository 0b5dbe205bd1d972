"""What a link is asked to be: one frozen value for each direction.

    LinkConfig(loss=0.01)                                  a wireless hop that loses 1 % each way
    LinkConfig(delay=Jitter(0.020, 0.080))                 a busy one
    LinkConfig(rate=125_000), LinkConfig(rate=1_250_000)   1 Mbit/s from the place, 10 Mbit/s to it
    LinkConfig(mtu=1280)                                   the least that IPv6 allows, as many tunnels have it

Whatever is left out is off, and costs a packet nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from natlab.errors import LabError
from natlab.sim.links.delay import Jitter, Trace
from natlab.sim.links.loss import GilbertElliott, check_probability
from natlab.wire.ip import MAX_PACKET

LEAST_MTU = 576  # bytes that every host must take (RFC 791), and an ICMP error's most
Delay = float | tuple[float, float]  # seconds one way; or (from the place, to the place)
Loss = float | GilbertElliott


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """One direction of a link.

    Attributes:
        delay: seconds, or a `Jitter` or `Trace`; None is what such a link has by default.
        loss: probability of losing a packet, or a `GilbertElliott` for bursts.
        reordering: probability that a packet is held back and others pass it.
        lateness: seconds for which it is.
        duplication: probability that a packet arrives twice.
        rate: bytes per second, headers included; infinite by default.
        queue: bytes that may wait where the rate is limited; more are dropped.
        mtu: bytes of the longest packet that passes, IP header included; None for no limit.
        black_hole: whether nobody is told of a packet that is too long (`mtu.py`).

    Raises:
        ValueError: not a probability, or a number that is negative or no number where that makes no sense.
    """

    delay: float | Jitter | Trace | None = None
    loss: Loss = 0.0
    reordering: float = 0.0
    lateness: float = 0.010
    duplication: float = 0.0
    rate: float = math.inf
    queue: int = 65_536
    mtu: int | None = None
    black_hole: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.delay, float | int | Jitter | Trace | None):
            raise ValueError(f"a delay is a number of seconds, a Jitter(...) or a Trace(...), not {self.delay!r}")
        if isinstance(self.delay, float | int) and not 0 <= self.delay < math.inf:
            raise ValueError(f"a delay is at least 0 s, not {self.delay}")
        if not isinstance(self.loss, GilbertElliott):
            check_probability("loss", self.loss)
        check_probability("reordering", self.reordering)
        check_probability("duplication", self.duplication)
        if not _is_number(self.lateness) or not 0 <= self.lateness < math.inf:
            raise ValueError(f"lateness is at least 0 s, not {self.lateness!r}")
        if not _is_number(self.rate) or not self.rate > 0:
            raise ValueError(f"a rate is a number of bytes per second above 0, not {self.rate!r}")
        if not _is_number(self.queue) or not self.queue >= 0:
            raise ValueError(f"a queue is a number of bytes, 0 or more, not {self.queue!r}")
        if self.mtu is not None and (not isinstance(self.mtu, int) or not LEAST_MTU <= self.mtu <= MAX_PACKET):
            raise ValueError(f"an MTU is {LEAST_MTU} to {MAX_PACKET} whole bytes, or None, not {self.mtu!r}")
        if self.black_hole and self.mtu is None:
            raise ValueError("black_hole is about packets that are too long: give the link an mtu")


def _is_number(given: object) -> bool:
    return isinstance(given, float | int)


LinkConfigs = LinkConfig | tuple[LinkConfig, LinkConfig]  # for both directions; or (from the place, to the place)


def both_ways(link: LinkConfigs | None, delay: Delay | None, loss: float) -> tuple[LinkConfig, LinkConfig]:
    """The two directions, from the place and to it, however they were asked for.

    Raises:
        LabError: asked for in both ways.
        ValueError: neither one nor a pair.
    """
    for given, kind in ((delay, "delay"), (link, "LinkConfig")):
        if isinstance(given, tuple) and len(given) != 2:
            raise ValueError(
                f"one {kind} for both directions, or a pair: (from the place, to the place), not {given!r}"
            )
    if link is None:
        there, back = delay if isinstance(delay, tuple) else (delay, delay)
        return LinkConfig(there, loss), LinkConfig(back, loss)
    if not all(isinstance(one, LinkConfig) for one in (link if isinstance(link, tuple) else (link,))):
        raise ValueError(f"link= takes a LinkConfig(...), or a pair of them, not {link!r}")
    if delay is not None or loss:
        raise LabError("link= says all about a link: put delay= and loss= into its LinkConfig(...)")
    return link if isinstance(link, tuple) else (link, link)
