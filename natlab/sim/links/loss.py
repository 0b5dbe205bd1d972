"""Packets that never arrive: each by its own bad luck, or many in a row.

    0.01                            1 % of all packets, each independently of the others
    GilbertElliott(p=0.01, r=0.25)  bursts of 4 packets on average, with 100 packets between them

The chain of Gilbert (1960) and Elliott (1963) is in one of two states, and every packet may change it:

             p
      ┌────────────>┐
    good           bad         a packet is lost with probability `good_loss` here, `bad_loss` there
      └<────────────┘          (1-k and 1-h in tc-netem(8), whose p and r these are)
             r

Real loss comes in bursts (RFC 3357), and it matters to whoever repeats a lost packet at once: under random loss the
second try is as likely to arrive as the first, inside a burst it is not.

Sources: E. N. Gilbert, "Capacity of a burst-noise channel", BSTJ 39 (1960); E. O. Elliott, "Estimates of error rates
for codes on burst-noise channels", BSTJ 42 (1963).

Not modelled: damaged packets. A wrong checksum would be dropped by the receiver, so they are lost here already.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from natlab.events import Verdict
from natlab.packet import Packet
from natlab.sim.capture import Tap
from natlab.sim.links.deliver import Deliver


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Loss in bursts. All four are probabilities per packet.

    Attributes:
        p: of going from good to bad.
        r: of going from bad to good; 1/r packets is how long bad lasts on average.
        bad_loss, good_loss: of losing a packet in that state.
    """

    p: float
    r: float
    bad_loss: float = 1.0
    good_loss: float = 0.0

    def __post_init__(self) -> None:
        for name in ("p", "r", "bad_loss", "good_loss"):
            check_probability(name, getattr(self, name))
        if self.p + self.r == 0:
            raise ValueError("p and r are both 0, so the link would never change: give a plain loss instead")

    @property
    def mean_loss(self) -> float:
        """The share of packets lost in the long run."""
        return (self.r * self.good_loss + self.p * self.bad_loss) / (self.p + self.r)


def check_probability(name: str, value: float) -> None:
    """Raises: ValueError, not between 0 and 1."""
    if not isinstance(value, float | int) or not 0 <= value <= 1:
        raise ValueError(f"{name} is a probability between 0 and 1, not {value!r}")


def lossy(rng: Random, probability: float, tap: Tap, then: Deliver) -> Deliver:
    """Each packet is lost with `probability`, independently of the others."""

    def carry(packet: Packet) -> None:
        if rng.random() >= probability:
            then(packet)
        elif tap.on:
            tap.seen(packet, Verdict.LOST, f"by chance, on a link with loss {probability:g}")

    return carry


def bursty(rng: Random, chain: GilbertElliott, tap: Tap, then: Deliver) -> Deliver:
    """Each packet fares as the state of the chain says, and may then change it. It begins good."""
    bad = False

    def carry(packet: Packet) -> None:
        nonlocal bad
        state, loss, change = ("bad", chain.bad_loss, chain.r) if bad else ("good", chain.good_loss, chain.p)
        lost, changes = rng.random() < loss, rng.random() < change
        bad ^= changes
        if not lost:
            then(packet)
        elif tap.on:
            tap.seen(packet, Verdict.LOST, f"by chance, on a link in its {state} state (Gilbert-Elliott)")

    return carry
