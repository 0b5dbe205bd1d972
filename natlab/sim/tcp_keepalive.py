"""When to ask a silent peer whether it is still there (RFC 9293 section 3.8.4), and when to stop asking.

    last segment ── idle ──> probe ── interval ──> probe ── ... ── interval ──> given up: RST, ETIMEDOUT

A probe is a segment just before the peer's window; a living peer answers it with an ACK, and a NAT on the way
refreshes its mapping. Off unless a connection's settings ask for it.
"""

from __future__ import annotations

from natlab.sim.tcp_settings import Keepalive


class KeepaliveTimer:
    """Attributes: deadline, when to probe or give up, in nanoseconds; None while stopped."""

    __slots__ = ("_keepalive", "_probes", "deadline")

    def __init__(self, keepalive: Keepalive | None) -> None:
        self._keepalive = keepalive
        self._probes = 0
        self.deadline: int | None = None

    def heard(self, now: int) -> None:
        """A segment of the peer has come, on an open connection."""
        if self._keepalive is not None:
            self._probes = 0
            self.deadline = now + self._keepalive.idle

    def expired(self, now: int) -> bool:
        """Whether to probe once more; False when it is time to give up."""
        if self._keepalive is None or self._probes >= self._keepalive.probes:
            return False
        self._probes += 1
        self.deadline = now + self._keepalive.interval
        return True

    def stop(self) -> None:
        self.deadline = None
