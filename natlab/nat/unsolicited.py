"""What a packet that nobody asked for leaves behind at some boxes: it comes too early, and spoils the punch to come.

Strays. Linux tracks every packet that it lets in, also one from outside that nobody asked for and that goes to the box
itself. Its pair of endpoints is taken from then on, and an external port is free for a remote only if that pair is:

    xenia:7000 ── hole punch, too early ──> box:5000     remembered for 30 s: xenia:7000 with box:5000
    alice:5000 ──────> xenia:7000                        leaves from box:31337: box:5000 is not free for xenia:7000
    xenia waits for box:5000, and the punch fails

A rule that drops what is unsolicited (`ct state new drop`, on the way in) cures it: what is dropped is not remembered.
Measured on Linux 6.18. TCP has no such trap there: the box answers a stray SYN with an RST, which ends it at once.

Quarantine. Some boxes take a packet that nobody asked for as a scan, and shut its sender out for a while, also from
mappings that would admit it. A hole punch through such a box works only if the peer's first packet comes after the own
one went out:

    peer ── SYN ──> ✗        too early: nothing was sent to the peer yet
    host ── SYN ──────────>  now it was
    peer ── SYN ──> ✗        quarantined all the same

No RFC asks for this. RFC 4787 REQ-8 knows filtering by what was sent, not by what came; go-libp2p's spec waits RTT/2
before the second side dials, which is the cure.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["LIMIT", "Memory"]

LIMIT = 4096  # pairs of endpoints, or addresses; beyond it the oldest is forgotten

Key = TypeVar("Key")


class Memory(Generic[Key]):
    """What is remembered for a while; times in integer nanoseconds.

    Args:
        duration: how long after it was last added; 0 for not at all.

    Attributes:
        until: until when, of each; empty if there was nothing, which is quick to ask.
    """

    def __init__(self, duration: int) -> None:
        self._duration = duration
        self.until: dict[Key, int] = {}

    def add(self, key: Key, now: int) -> None:
        if not self._duration:
            return
        self.until.pop(key, None)
        if len(self.until) >= LIMIT:
            del self.until[next(iter(self.until))]
        self.until[key] = now + self._duration

    def holds(self, key: Key, now: int) -> bool:
        if self.until.get(key, 0) > now:
            return True
        self.until.pop(key, None)
        return False
