"""The sending half of a TCP connection: what is in flight, what may follow, what must be sent again.

       acknowledged           in flight              may be sent now          must wait
    ───────────────────┬────────────────────────┬──────────────────────┬──────────────────────
      SYN  bytes ...   │                        │                      │    ... bytes  FIN
    ───────────────────┴────────────────────────┴──────────────────────┴──────────────────────
                    SND.UNA                  SND.NXT         SND.UNA + min(SND.WND, cwnd)

SYN and FIN have a place in the sequence like any byte (RFC 9293 section 3.4), so one timer and one queue carry the
handshake, the data and the close. After a timeout SND.NXT goes back to SND.UNA and sending starts over from there;
SND.MAX remembers how far it had been.

The timer is the retransmission timer (RFC 6298 section 5) while something is in flight. With nothing in flight and
data that the peer's window keeps back, it is the persist timer: it asks, by a segment that lies just before the window,
for an answer that tells the window (section 3.8.6.1; Linux probes so, without sending a byte of new data).

*Not modelled*: Nagle's algorithm (every program here would switch it off), SACK, timestamps.
"""

from __future__ import annotations

from typing import NamedTuple

from natlab.sim.tcp_congestion import Congestion
from natlab.sim.tcp_rto import MAX_RTO, RetransmissionTimeout
from natlab.sim.tcp_segment import FIN, PSH, SYN
from natlab.sim.tcp_settings import TcpSettings


class Outgoing(NamedTuple):
    """A segment without the fields that belong to the receiving half."""

    seq: int
    flags: int
    payload: bytes

    @property
    def end(self) -> int:
        """The sequence number after it: SYN and FIN count one each."""
        end = self.seq + len(self.payload)
        return end + bool(self.flags & SYN) + bool(self.flags & FIN) if self.flags else end


class SendSide:
    """All times are integer nanoseconds; sequence numbers do not wrap (`tcp_sequence`).

    Attributes:
        active: we dialled.
        snd_una, snd_nxt, snd_max: oldest unacknowledged, next to send, highest ever sent plus one.
        fin_queued: no more will be written; the FIN follows the last byte.
        deadline: when to call `timer_expired`, or None.
    """

    __slots__ = (
        "_base",
        "_buffer",
        "_max_wnd",
        "_mss",
        "_override",
        "_probe",
        "_resend",
        "_retries",
        "_settings",
        "_snd_wnd",
        "_syn_linear",
        "_timed",
        "_timeouts",
        "_wl",
        "active",
        "congestion",
        "deadline",
        "fin_queued",
        "iss",
        "rto",
        "snd_max",
        "snd_nxt",
        "snd_una",
    )

    def __init__(self, iss: int, settings: TcpSettings, *, active: bool) -> None:
        self.active = active
        self.iss = self.snd_una = self.snd_nxt = self.snd_max = iss
        self.fin_queued = False
        self.deadline: int | None = None
        self.rto = RetransmissionTimeout()
        self.congestion = Congestion(settings.mss, iss)
        self._mss = settings.mss
        self._settings = settings
        self._buffer = bytearray()
        self._base = iss + 1  # sequence number of the buffer's first byte
        self._snd_wnd = 0
        self._max_wnd = 0
        self._wl = (0, 0)  # SND.WL1, SND.WL2
        self._timed: tuple[int, int] | None = None  # the acknowledgement that ends the measurement, and its start
        self._timeouts = 0  # since the last progress
        self._syn_linear = settings.syn_linear_timeouts if active else 0
        self._retries = self._syn_linear + settings.syn_retries if active else settings.synack_retries
        self._resend = self._probe = self._override = False

    @property
    def synchronized(self) -> bool:
        """Our SYN is acknowledged."""
        return self.snd_una > self.iss

    @property
    def fin_acknowledged(self) -> bool:
        return self.fin_queued and self.snd_una == self._end

    @property
    def unacknowledged(self) -> int:
        """Bytes written and not yet acknowledged."""
        return len(self._buffer)

    @property
    def _end(self) -> int:
        return self._base + len(self._buffer) + self.fin_queued

    def write(self, data: bytes | memoryview) -> int:
        """Takes as much of `data` as there is room for; returns how many bytes."""
        taken = data[: max(0, self._settings.send_buffer - len(self._buffer))]
        self._buffer += taken
        return len(taken)

    def resend(self) -> None:
        """Makes `segments` begin with the oldest unacknowledged segment."""
        self._resend = True

    def segments(self, now: int) -> list[Outgoing]:
        """What is to be sent now. It counts as sent: the timer runs."""
        sending: list[Outgoing] = []
        if self._probe:
            self._probe = False
            sending.append(Outgoing(self.snd_una - 1, 0, b""))
        if self._resend and self.snd_una < self.snd_max:
            self._timed = None  # Karn: an acknowledgement would not tell which of the two it answers
            sending.append(self._sent(self._cut(self.snd_una, self.snd_max - self.snd_una)))
        self._resend = False
        while (room := self._room()) > 0:
            if self._timed is None and self.snd_nxt == self.snd_max:
                self._timed = (self.snd_nxt + 1, now)
            sending.append(self._sent(self._cut(self.snd_nxt, room)))
        self._override = False
        self._set_timer(now)
        return sending

    def acknowledged(self, ack: int, now: int) -> None:
        """SND.UNA < SEG.ACK =< SND.MAX: something new has arrived."""
        if self._timed is not None and ack >= self._timed[0]:
            self.rto.sample(now - self._timed[1])
            self._timed = None
        if not self.synchronized:
            if self._timeouts:
                self.rto.handshake_timed_out()
            self._retries = self._settings.data_retries
        elif self.congestion.acknowledged(ack, ack - self.snd_una):
            self._resend = True
        octets = min(max(0, ack - self._base), len(self._buffer))
        del self._buffer[:octets]
        self._base += octets
        self.snd_una = ack
        self.snd_nxt = max(self.snd_nxt, ack)
        self.rto.progress()
        self._timeouts = 0
        self.deadline = None  # RFC 6298 (5.3): the timer starts anew, or stops

    def duplicate_ack(self, window: int) -> None:
        """An ACK without text for SND.UNA while data is in flight: RFC 5681 section 2, if the window is the same."""
        if self.snd_una < self.snd_max and window == self._snd_wnd:
            self._resend |= self.congestion.duplicate(self.snd_una, self.snd_max)

    def update_window(self, seq: int, ack: int, window: int) -> None:
        """SND.WND from a segment, unless the segment is older than the last that told it (section 3.10.7.4, ACK)."""
        if self._wl > (told := (seq, ack)):
            return
        self._wl = told
        if window != self._snd_wnd and self.snd_una == self.snd_max:
            self.deadline = None  # the persist timer's work is done, or begins anew
            self._timeouts = 0
        self._snd_wnd = window
        if window > self._max_wnd:
            self._max_wnd = window

    def probe_answered(self) -> None:
        """The peer is alive, its window still closed: probe on without end (RFC 9293 section 3.8.6.1)."""
        if self.snd_una == self.snd_max:
            self._timeouts = min(self._timeouts, self._retries - 1)

    def timer_expired(self, now: int) -> bool:
        """Prepares the retransmission or probe. Returns False when it is time to give up."""
        self.deadline = None
        if self._timeouts >= self._retries:
            return False
        self._timeouts += 1
        if self.snd_una == self.snd_max:
            self._probe, self._override = self._snd_wnd == 0, True
            return True
        if self.synchronized:
            self.congestion.timed_out(self.snd_una, self.snd_max)
        if self.synchronized or self._timeouts > self._syn_linear:
            self.rto.back_off()
        self.snd_nxt = self.snd_una
        self._resend = True
        return True

    def lower_mss(self, mss: int) -> None:
        """The path takes no longer segments than that: what is in flight goes again, cut anew."""
        if mss < self._mss:
            self._mss = self.congestion.mss = mss
            self._timed = None
            self.snd_nxt = self.snd_una

    def stop(self) -> None:
        """Nothing will be sent any more."""
        self._buffer.clear()
        self.deadline = None

    def _room(self) -> int:
        """How much sequence space the next segment may fill, 0 when none is to be sent.

        Silly window avoidance (section 3.8.6.2.1): a full segment, or all there is, or half the peer's largest window,
        or else wait for the timer.
        """
        if self.snd_una == self.iss:
            return int(self.snd_nxt == self.iss)  # our SYN
        pending = self._base + len(self._buffer) + self.fin_queued - self.snd_nxt
        if not pending:
            return 0  # as after most of what arrives
        usable = self.snd_una + min(self._snd_wnd, self.congestion.cwnd) - self.snd_nxt
        size = min(pending, usable)
        worthwhile = size == pending or size >= self._mss or 2 * size >= self._max_wnd or self._override
        return size if worthwhile else 0

    def _cut(self, seq: int, room: int) -> Outgoing:
        """The segment at `seq`, of one MSS and `room` sequence numbers at most."""
        if seq == self.iss:
            return Outgoing(seq, SYN, b"")
        offset = seq - self._base
        payload = bytes(memoryview(self._buffer)[offset : offset + min(room, self._mss)])
        last = offset + len(payload) == len(self._buffer)
        flags = PSH if last and payload else 0
        if last and self.fin_queued and len(payload) < room:
            flags |= FIN
        return Outgoing(seq, flags, payload)

    def _sent(self, segment: Outgoing) -> Outgoing:
        end = segment.end
        if end > self.snd_nxt:
            self.snd_nxt = end
        if end > self.snd_max:
            self.snd_max = end
        return segment

    def _set_timer(self, now: int) -> None:
        """Retransmission timer, persist timer or none; a timer that runs already runs on."""
        if self.snd_una < self.snd_max:
            self.deadline = self.deadline or now + self.rto.rto
        elif self.synchronized and self.snd_una < self._end:
            self.deadline = self.deadline or now + min(self.rto.rto << self._timeouts, MAX_RTO)
        else:
            self.deadline = None
