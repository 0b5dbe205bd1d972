"""Strays: the datagram that comes too early, and takes the place of the conversation that it wanted to join.

Linux tracks every packet that it lets in, also one from outside that nobody asked for and that goes to the box itself.
Its pair of endpoints is taken from then on, and an external port is free for a remote only if that pair is:

    xenia:7000 ── hole punch, too early ──> box:5000     remembered for 30 s: xenia:7000 with box:5000
    alice:5000 ──────> xenia:7000                        leaves from box:31337: box:5000 is not free for xenia:7000
    xenia waits for box:5000, and the punch fails

A rule that drops what is unsolicited (`ct state new drop`, on the way in) cures it: what is dropped is not remembered.
Measured on Linux 6.18. TCP has no such trap there: the box answers a stray SYN with an RST, which ends it at once.
"""

from __future__ import annotations

from natlab.endpoint import Endpoint

__all__ = ["Strays"]

LIMIT = 4096  # pairs of endpoints; beyond it the oldest is forgotten

Pair = tuple[int, Endpoint, Endpoint]  # protocol, remote, external


class Strays:
    """Which pairs of endpoints strays have taken, and until when; times in integer nanoseconds.

    Args:
        duration: how long a stray is remembered after it has come, or come again; 0 for not at all.
    """

    def __init__(self, duration: int) -> None:
        self._duration = duration
        self._until: dict[Pair, int] = {}

    def add(self, pair: Pair, now: int) -> None:
        if not self._duration:
            return
        self._until.pop(pair, None)
        if len(self._until) >= LIMIT:
            del self._until[next(iter(self._until))]
        self._until[pair] = now + self._duration

    def took(self, pair: Pair, now: int) -> bool:
        return self._until.get(pair, 0) > now

    def clear(self) -> None:
        self._until.clear()
