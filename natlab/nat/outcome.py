"""What a NAT box does with a packet, other than passing it on: it drops it, or sends it back inside.

A drop may come with an answer to the sender, and the answer may have to wait (RFC 5382 REQ-4). A box has no clock, so
it is whoever drives it that waits:

    box.inbound(syn, t) ──> Drop(reason, reply, Wait(until=t + 6 s, ...))
            at t + 6 s      box.still_due(wait, now)?  yes: send the reply    no: forget it
"""

from __future__ import annotations

from dataclasses import dataclass

from natlab.endpoint import Endpoint
from natlab.packet import Packet

__all__ = ["Drop", "Hairpinned", "Held", "Wait"]


@dataclass(frozen=True, slots=True)
class Wait:
    """A reply that is to be sent later, unless the host inside has dialled the sender by then.

    Attributes:
        until: virtual time in nanoseconds.
        pair: protocol, remote and external endpoint of the session that makes the reply needless.
    """

    until: int
    pair: tuple[int, Endpoint, Endpoint]


@dataclass(frozen=True, slots=True)
class Drop:
    """A packet that went no further.

    Attributes:
        reason: a sentence that names the rule.
        reply: what the box sends back to the sender, or None for silence.
        wait: when it sends that; None is at once.
    """

    reason: str
    reply: Packet | None = None
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Held(Drop):
    """A piece of a packet, which the box keeps until it has the others (RFC 4787 REQ-14)."""


@dataclass(frozen=True, slots=True)
class Hairpinned:
    """A packet from inside that goes back inside. `packet` is as the other host gets it."""

    packet: Packet
