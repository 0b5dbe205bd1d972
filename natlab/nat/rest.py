"""Rest: an external port whose mapping is over goes to no new one for a while (RFC 6888 REQ-8, 120 s).

    0 s      alice's mapping of 11.0.0.1:5000 ends; her remotes do not know, and still send there
    119 s    bob wants port 5000, and gets another
    120 s    it is free

Where anybody may send to a port, bob would get what is meant for alice. A port of a block (`pool.py`) needs no rest:
the next one to have it is the same host. Ports that hosts share, "overlapping" and "overloading", have none.
"""

from __future__ import annotations

from natlab.endpoint import Endpoint

__all__ = ["Rest"]


class Rest:
    """Which external endpoints of one box rest, and until when; times in integer nanoseconds.

    Args:
        duration: how long one rests after its mapping; 0 for not at all.
    """

    def __init__(self, duration: int) -> None:
        self._duration = duration
        self._until: dict[tuple[int, Endpoint], int] = {}

    def begin(self, protocol: int, external: Endpoint, at: int) -> None:
        """A mapping of this endpoint has ended then."""
        if self._duration:
            self._until[protocol, external] = at + self._duration

    def has(self, protocol: int, external: Endpoint, now: int) -> bool:
        """Whether it rests."""
        return self._until.get((protocol, external), 0) > now

    def expire(self, now: int) -> None:
        """Forgets what has rested. There are no more of them than ports in between."""
        self._until = {place: until for place, until in self._until.items() if until > now}

    def clear(self) -> None:
        self._until.clear()
