"""How much to have in flight: slow start, congestion avoidance, fast retransmit, fast recovery.

RFC 5681, with the NewReno answer to partial acknowledgements (RFC 6582) and an initial window of ten segments
(RFC 6928). `cwnd` and `ssthresh` are bytes.

    cwnd
      |          / lost: three duplicate ACKs        x timeout: one segment, then slow start up to ssthresh
      |        /|       /                           x|
      |      /  | ___ /  <- one MSS per round trip / |          /
      |   __|   |/  (congestion avoidance)           |     ___/
      |  /  slow start: doubles each round trip      |   _/
      +---------------------------------------------------------- time

*Not modelled*: SACK, limited transmit, CUBIC, pacing, ECN, shrinking after idleness.
"""

from __future__ import annotations

INITIAL_SEGMENTS = 10
DUPLICATES = 3


class Congestion:
    """The congestion state of one direction of one connection.

    Attributes:
        mss: bytes in a full segment.
        cwnd: bytes that may be unacknowledged.
        ssthresh: below it slow start, above it congestion avoidance.
        recovering: in fast recovery, until everything sent before it began (`recover`) is acknowledged.
    """

    __slots__ = ("_duplicates", "_recover", "cwnd", "mss", "recovering", "ssthresh")

    def __init__(self, mss: int, iss: int) -> None:
        self.mss = mss
        self.cwnd = INITIAL_SEGMENTS * mss
        self.ssthresh = 1 << 62
        self.recovering = False
        self._recover = iss
        self._duplicates = 0

    def acknowledged(self, ack: int, octets: int) -> bool:
        """`octets` more are acknowledged, up to `ack`. Returns whether the next segment is known to be lost as well."""
        self._duplicates = 0
        if not self.recovering:
            slow_start = self.cwnd < self.ssthresh
            self.cwnd += min(octets, self.mss) if slow_start else max(1, self.mss * self.mss // self.cwnd)
            return False
        if ack >= self._recover:
            self.recovering = False
            self.cwnd = self.ssthresh
            return False
        # A partial acknowledgement (RFC 6582 section 3.2 step 3): deflate by what left the network, add one segment.
        self.cwnd = max(self.cwnd - octets + self.mss, self.mss)
        return True

    def duplicate(self, snd_una: int, snd_max: int) -> bool:
        """One more duplicate ACK. Returns whether it is the third, so that SND.UNA's segment counts as lost."""
        self._duplicates += 1
        if self.recovering:
            self.cwnd += self.mss  # a segment has left the network (RFC 5681 section 3.2 step 4)
            return False
        if self._duplicates < DUPLICATES or snd_una <= self._recover:
            return False
        self.recovering = True
        self._recover = snd_max
        self._halve(snd_max - snd_una)
        self.cwnd = self.ssthresh + DUPLICATES * self.mss
        return True

    def timed_out(self, snd_una: int, snd_max: int) -> None:
        """The retransmission timer expired: start over with one segment (RFC 5681 section 3.1)."""
        self._halve(snd_max - snd_una)
        self.cwnd = self.mss
        self.recovering = False
        self._recover = snd_max
        self._duplicates = 0

    def _halve(self, flight_size: int) -> None:
        self.ssthresh = max(flight_size // 2, 2 * self.mss)  # RFC 5681 equation (4)
