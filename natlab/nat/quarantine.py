"""Quarantine: the box that holds one unexpected packet against its sender.

Some boxes take a packet that nobody asked for as a scan, and shut its sender out for a while, also from mappings that
would admit it. A hole punch through such a box works only if the peer's first packet comes after the own one went out:

    peer ── SYN ──> ✗        too early: nothing was sent to the peer yet
    host ── SYN ──────────>  now it was
    peer ── SYN ──> ✗        quarantined all the same

No RFC asks for this. RFC 4787 REQ-8 knows filtering by what was sent, not by what came; go-libp2p's spec waits RTT/2
before the second side dials, which is the cure.
"""

from __future__ import annotations

__all__ = ["Quarantine"]

LIMIT = 4096  # remote addresses; beyond it the one shut out longest is let go


class Quarantine:
    """Who is shut out, and until when; times in integer nanoseconds.

    Args:
        duration: how long an address is shut out after each unexpected packet.

    Attributes:
        until: when each remote address that was shut out is let in again; empty if nobody was, which is quick to ask.
    """

    def __init__(self, duration: int) -> None:
        self._duration = duration
        self.until: dict[str, int] = {}

    def add(self, ip: str, now: int) -> None:
        if not self._duration:
            return
        self.until.pop(ip, None)
        if len(self.until) >= LIMIT:
            del self.until[next(iter(self.until))]
        self.until[ip] = now + self._duration

    def holds(self, ip: str, now: int) -> bool:
        if self.until.get(ip, 0) > now:
            return True
        self.until.pop(ip, None)
        return False
