"""How long to wait for an acknowledgement before sending again: RFC 6298, with Linux's numbers.

    first sample R      SRTT = R            RTTVAR = R / 2                                   (2.2)
    each further R'     RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R'|,  SRTT = 7/8 SRTT + 1/8 R'      (2.3)
    always              RTO = SRTT + max(G, 4 RTTVAR)
    timer expires       RTO doubles                                                          (5.5)
    progress            RTO is again what the samples say

Linux has no lower bound on the sum as the RFC's (2.4) has; it takes G, the "clock granularity", as 200 ms, so on a
quick path the RTO is the round-trip time plus 200 ms. The RFC keeps a doubled RTO until there is a new sample, which
a segment sent twice never gives (Karn's algorithm, section 3). Linux measures such segments too, by timestamps, and so
comes back with the next acknowledgement; without the option we come back as it does, to the samples we have.
"""

from __future__ import annotations

from natlab.sim.tcp_settings import SECOND

INITIAL_RTO = 1 * SECOND  # (2.1)
FALLBACK_RTO = 3 * SECOND  # (5.7)
MAX_RTO = 120 * SECOND
GRANULARITY = SECOND // 5


class RetransmissionTimeout:
    """The estimator. All times are integer nanoseconds; `rto` is the timeout to use now."""

    __slots__ = ("_base", "_rttvar", "rto", "srtt")

    def __init__(self) -> None:
        self.rto = self._base = INITIAL_RTO
        self.srtt: int | None = None
        self._rttvar = 0

    def sample(self, rtt: int) -> None:
        """Takes one measurement. Never of a segment that was sent twice (section 3)."""
        if self.srtt is None:
            self.srtt, self._rttvar = rtt, rtt // 2
        else:
            self._rttvar = (3 * self._rttvar + abs(self.srtt - rtt)) // 4
            self.srtt = (7 * self.srtt + rtt) // 8
        self.rto = self._base = min(self.srtt + max(GRANULARITY, 4 * self._rttvar), MAX_RTO)

    def back_off(self) -> None:
        """(5.5) The timer expired."""
        self.rto = min(2 * self.rto, MAX_RTO)

    def progress(self) -> None:
        """Something new was acknowledged: what timeouts did to the RTO is over."""
        self.rto = self._base

    def handshake_timed_out(self) -> None:
        """(5.7) The SYN had to be repeated: data starts with 3 s, since nothing was measured."""
        self.rto = self._base = FALLBACK_RTO
