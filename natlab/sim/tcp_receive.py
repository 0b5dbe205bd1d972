"""The receiving half of a TCP connection: the receive window, and putting segments in order (RFC 9293 3.8.6, 3.10.7.4).

       read by the user        not yet read           window: what the peer may send
    ───────────────────────┬──────────────────┬──────────────────────────────────────┐
                           │     readable     │      [held]        [held]            │
    ───────────────────────┴──────────────────┴──────────────────────────────────────┘
                                          RCV.NXT                            RCV.NXT + RCV.WND

Segments that arrive early are held; together they never take more than the buffer. The right edge of the window never
moves left. It moves right in steps worth sending for (silly window avoidance, section 3.8.6.2.2).
"""

from __future__ import annotations

from bisect import insort


class ReceiveSide:
    """Attributes: rcv_nxt, the next sequence number expected; finished, whether the peer's FIN has been reached."""

    __slots__ = ("_edge", "_fin", "_held", "_held_octets", "_ready", "_size", "_step", "finished", "rcv_nxt")

    def __init__(self, irs: int, size: int, mss: int) -> None:
        """`irs` is the sequence number of the peer's SYN; `size` the bytes of buffer."""
        self.rcv_nxt = irs + 1
        self.finished = False
        self._size = size
        self._step = max(1, min(size // 2, mss))
        self._edge = self.rcv_nxt + size
        self._ready = bytearray()
        self._held: list[tuple[int, bytes]] = []  # by sequence number
        self._held_octets = 0
        self._fin: int | None = None

    @property
    def readable(self) -> int:
        """Bytes in order and not yet read."""
        return len(self._ready)

    @property
    def has_gap(self) -> bool:
        """Something has come early, and what is before it is missing."""
        return bool(self._held)

    def acceptable(self, seq: int, length: int) -> bool:
        """The four cases of RFC 9293 section 3.10.7.4, first step. `length` counts SYN and FIN."""
        if length == 0:
            return seq == self.rcv_nxt or self.rcv_nxt <= seq < self._edge
        return self.rcv_nxt < self._edge and seq < self._edge and seq + length > self.rcv_nxt

    def window(self) -> int:
        """RCV.WND to put into a segment that is sent now."""
        edge = self.rcv_nxt + self._size - len(self._ready)
        if edge - self._edge >= self._step:
            self._edge = edge
        return max(0, self._edge - self.rcv_nxt)

    def window_update_due(self) -> bool:
        """Whether reading has opened the window so far that the peer should hear of it: as Linux, twofold."""
        known = max(0, self._edge - self.rcv_nxt)
        room = self._size - len(self._ready)
        return 2 * known <= self._size and room - known >= max(known, self._step)

    def accept(self, seq: int, payload: bytes, fin: bool) -> None:
        """Takes what an acceptable segment carries: at once, or held until what is missing before it has come."""
        if self.finished:
            return  # "Segment text should be ignored" once the FIN is in
        if fin and seq + len(payload) < max(self._edge, self.rcv_nxt + 1):
            self._fin = seq + len(payload)
        start = max(seq, self.rcv_nxt)
        payload = payload[start - seq : max(0, self._edge - seq)]
        if start == self.rcv_nxt:
            self._append(payload)
        elif payload and self._held_octets + len(payload) <= self._size:
            insort(self._held, (start, payload))
            self._held_octets += len(payload)
        if self.rcv_nxt == self._fin:
            self.rcv_nxt += 1
            self.finished = True

    def read(self, limit: int) -> bytes:
        """At most `limit` bytes; `b""` when none are there."""
        data = bytes(memoryview(self._ready)[:limit])
        del self._ready[:limit]
        return data

    def discard(self) -> None:
        """Forgets what was not read, and the FIN: the user has aborted, the stream has no orderly end."""
        self.finished = False
        self._ready.clear()
        self._held.clear()

    def _append(self, payload: bytes) -> None:
        """Adds `payload` at RCV.NXT, and then whatever was held for that moment."""
        self._ready += payload
        self.rcv_nxt += len(payload)
        due = 0
        for seq, held in self._held:
            if seq > self.rcv_nxt:
                break
            due += 1
            self._held_octets -= len(held)
            fresh = held[self.rcv_nxt - seq :]
            self._ready += fresh
            self.rcv_nxt += len(fresh)
        del self._held[:due]
