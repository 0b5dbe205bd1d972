"""Pieces of packets at a NAT box (RFC 4787 section 11): put together, for only the first has ports to translate.

    fragments=      pieces in order    out of order    while too many others wait for theirs (REQ-14a)
    out-of-order    pass               pass            pass: the oldest are given up
    first-come      pass               pass            dropped, for 30 s: Linux's way
    in-order        pass               dropped         pass
    none            dropped            dropped         dropped

The packet leaves whole; a link that needs to will cut it again.
"""

from __future__ import annotations

from natlab.nat.config import Fragments
from natlab.nat.outcome import Drop, Held
from natlab.packet import Packet
from natlab.wire.fragments import KEPT, Reassembly

__all__ = ["Pieces"]


class Pieces:
    """The pieces that wait for their others at one box."""

    def __init__(self, policy: Fragments) -> None:
        self._policy = policy
        self._reassembly = Reassembly(policy is Fragments.IN_ORDER, policy is Fragments.FIRST_COME)

    def add(self, packet: Packet, now: int) -> Packet | Drop:
        """The packet that this piece completes; `now` is in nanoseconds."""
        if self._policy is Fragments.NONE:
            return Drop("fragments (none): this box drops pieces of packets (RFC 4787 REQ-14)")
        result = self._reassembly.add(packet, now)
        if isinstance(result, Packet):
            return result
        return Held(result) if result == KEPT else Drop(result)

    def clear(self) -> None:
        self._reassembly.clear()
