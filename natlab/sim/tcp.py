"""TCP as a state machine: segments and time in, segments and time out. RFC 9293, no I/O, no clock.

The states and the ways between them are drawn in `tcp_state`. A connection has two halves: `tcp_send`, `tcp_receive`.

Two dials that cross, which is what a hole punch is (RFC 9293 figure 8):

    1.  SYN-SENT      <SEQ=100><SYN> ──────╮  ╭────── <SEQ=300><SYN>           SYN-SENT
    2.  SYN-RECEIVED  <────────────────────│──╯
    3.                                     ╰──────────────────────>  SYN-RECEIVED
    4.                <SEQ=100><ACK=301><SYN,ACK> ─╮  ╭─ <SEQ=300><ACK=101><SYN,ACK>
    5.  ESTABLISHED   <────────────────────────────│──╯
    6.                                             ╰──────────────>  ESTABLISHED

If one SYN is lost on the way (a NAT that has not seen its own host's SYN yet drops it), the end that got the other SYN
answers SYN,ACK from SYN-SENT and the exchange continues as an ordinary handshake.

An ACK may wait for text to carry it (RFC 9293 section 3.8.6.3), as with Linux in a dialogue, whose ends, once they have
answered text with text, go on to do so:

    first     ── text ──> <── ACK ── <── text ── ── ACK ──>            then     ── text ──> <── text ── ── text ──> ...

The owner calls a verb (`segment_arrives`, `timer_expired`, `send`, `receive`, `close`, `abort`), then sends what
`take_segments` gives, and looks at `deadline`, `opened`, `readable`, `at_end`, `writable`, `state` and `error`. If
`ack_waits`, it calls `acknowledge` when the program has had its say.
LISTEN is no state of a connection but of a port: a SYN to a listener makes a `Tcb` by `Tcb.passive_open`. A segment
for which there is neither is answered by `tcp_segment.reset_for`.

*Not modelled*: options (windows are unscaled, the MSS is a setting, no SACK, no timestamps); ACKs that wait for longer
than this instant (Linux: 40 ms and more); urgent data; data on a SYN; the rate limit on challenge ACKs other than for
segments out of the window; the lower bound on old ACKs (RFC 5961 section 5); the FIN-WAIT-2 timeout of orphans.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Mapping

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError
from natlab.packet import Icmp, IcmpKind, IPProtocol, Packet
from natlab.sim.tcp_icmp import ERRNO, ends, mss_for
from natlab.sim.tcp_keepalive import KeepaliveTimer
from natlab.sim.tcp_receive import ReceiveSide
from natlab.sim.tcp_segment import ACK, FIN, RST, SYN, opens, reset_for, segment_length
from natlab.sim.tcp_send import SendSide
from natlab.sim.tcp_sequence import from_wire, to_wire
from natlab.sim.tcp_settings import SECOND, TcpSettings
from natlab.sim.tcp_state import AFTER_ACK_OF_FIN, AFTER_CLOSE, AFTER_PEERS_FIN, RESET_WORTHY, State

DEFAULTS = TcpSettings()
INVALID_RATE_LIMIT = SECOND // 2
"""Linux answers at most two empty segments out of the window per second (tcp_invalid_ratelimit): no ACK loops."""


class Tcb:
    """One connection: RFC 9293's transmission control block. All times are integer nanoseconds.

    Make one with `active_open` or `passive_open`.

    Attributes:
        local, remote: the two ends of the 4-tuple.
        state: at CLOSED the 4-tuple is free.
        error: why it ended: ECONNREFUSED, ECONNRESET, ETIMEDOUT, ECONNABORTED (our own), as in `tcp_icmp`, or None.
        opened: the handshake has been completed; stays True.
        ack_waits: an ACK is due that text may carry, if there is some at once; else `acknowledge` sends it.
    """

    def __init__(self, local: Endpoint, remote: Endpoint, settings: TcpSettings, send_side: SendSide) -> None:
        self.local = local
        self.remote = remote
        self.state = State.SYN_SENT
        self.error: int | None = None
        self.opened = False
        self.ack_waits = False
        self._settings = settings
        self._snd = send_side
        self._irs = 0  # these two are replaced when the peer's SYN tells IRS
        self._rcv = ReceiveSide(0, settings.receive_buffer, settings.mss)
        self._outbox: list[Packet] = []
        self._ack_due = False
        self._converses = False  # we have answered text with text
        self._time_wait_ends: int | None = None
        self._soft_error: int | None = None
        self._keepalive = KeepaliveTimer(settings.keepalive)
        self._next_invalid_answer = 0

    @classmethod
    def active_open(
        cls, local: Endpoint, remote: Endpoint, now: int, rng: random.Random, settings: TcpSettings = DEFAULTS
    ) -> Tcb:
        """Dials: SYN-SENT, a SYN to send. `rng` gives the initial sequence number."""
        tcb = cls(local, remote, settings, SendSide(rng.getrandbits(32), settings, active=True))
        tcb._output(now)
        return tcb

    @classmethod
    def passive_open(cls, syn: Packet, now: int, rng: random.Random, settings: TcpSettings = DEFAULTS) -> Tcb:
        """A listener's answer to a SYN: SYN-RECEIVED, a SYN,ACK to send.

        Raises:
            ValueError: not a plain SYN; whatever else reaches a listener is answered by `reset_for`.
        """
        if not opens(syn):
            raise ValueError(f"a connection begins with a SYN, not with {syn.flag_names or 'no flags'}")
        tcb = cls(syn.destination, syn.source, settings, SendSide(rng.getrandbits(32), settings, active=False))
        tcb._synchronize(syn)
        tcb.state = State.SYN_RECEIVED
        tcb._output(now)
        return tcb

    # What the owner looks at.

    @property
    def deadline(self) -> int | None:
        """When to call `timer_expired`, in nanoseconds, or None."""
        if self._time_wait_ends is None and self._keepalive.deadline is None:  # as nearly always
            return self._snd.deadline
        times = (self._snd.deadline, self._time_wait_ends, self._keepalive.deadline)
        return min((time for time in times if time is not None), default=None)

    @property
    def readable(self) -> int:
        """Bytes that `receive` would give now. What came before a RST can still be read."""
        return self._rcv.readable

    @property
    def at_end(self) -> bool:
        """The peer has sent FIN and all before it has been read."""
        return self._rcv.finished and not self._rcv.readable

    @property
    def writable(self) -> int:
        """Bytes that `send` would take now; 0 when the buffer is full, or our side is closed."""
        if self.state is State.CLOSED or self._snd.fin_queued:
            return 0
        return self._settings.send_buffer - self._snd.unacknowledged

    def take_segments(self) -> list[Packet]:
        """The segments to send, in order; each is given once."""
        segments = self._outbox
        if segments:
            self._outbox = []
        return segments

    def may_be_replaced_by(self, syn: Packet) -> bool:
        """Whether a SYN to this 4-tuple in TIME-WAIT may open a new connection, if somebody listens.

        RFC 6191 tells a new SYN from a late copy of the old one by its timestamp, as Linux does; here, where there
        are no timestamps, by its sequence number.
        """
        return opens(syn) and self.state is State.TIME_WAIT and syn.seq != self._irs

    # What the owner does.

    def send(self, data: bytes | memoryview, now: int) -> int:
        """Queues data, also before the handshake is over. Returns how many bytes were taken: see `writable`.

        Raises:
            ClosedError: our side is closed, or the connection has ended.
        """
        if self.state is State.CLOSED or self._snd.fin_queued:
            raise ClosedError("this side of the connection is closed")
        taken = self._snd.write(data)
        self._output(now)
        return taken

    def receive(self, limit: int, now: int) -> bytes:
        """At most `limit` bytes, `b""` when there are none (`at_end` tells whether any will come)."""
        data = self._rcv.read(limit)
        if self._rcv.window_update_due() and self.opened and not self._rcv.finished and self.state is not State.CLOSED:
            self._ack_due = True
            self._output(now)
        return data

    def close(self, now: int) -> None:
        """Closes our side: FIN after the last byte. Receiving goes on. Closing twice is harmless."""
        if self.state is State.SYN_SENT:
            self._enter_closed(None)
        if self.state is State.CLOSED or self._snd.fin_queued:
            return
        self._snd.fin_queued = True
        self._follow(AFTER_CLOSE, now)
        self._output(now)

    def abort(self, now: int) -> None:
        """Ends both directions at once, with RST where the peer may know of the connection (SO_LINGER 0)."""
        if self.state in RESET_WORTHY:
            self._emit(self._snd.snd_max, RST, b"")
        self._rcv.discard()
        if self.state is not State.CLOSED:
            self._enter_closed(errno.ECONNABORTED)

    def acknowledge(self, now: int) -> None:
        """The program has had its say: an ACK that still waits for text goes without."""
        if self.ack_waits:
            self._ack_due = True
            self._output(now)

    def timer_expired(self, now: int) -> None:
        """To be called when `deadline` has come; earlier calls do nothing."""
        if self._time_wait_ends is not None and now >= self._time_wait_ends:
            self._enter_closed(None)
        if self._snd.deadline is not None and now >= self._snd.deadline and not self._snd.timer_expired(now):
            self._enter_closed(self._soft_error or errno.ETIMEDOUT)
        if self._keepalive.deadline is not None and now >= self._keepalive.deadline:
            self._keep_alive(now)
        self._output(now)

    def segment_arrives(self, packet: Packet, now: int) -> None:
        """One segment of this 4-tuple (section 3.10.7)."""
        if self._keepalive.deadline is not None:
            self._keepalive.heard(now)
        if self.state is State.CLOSED:
            return
        if self.state is State.SYN_SENT:
            self._arrives_in_syn_sent(packet, now)
        elif packet.flags & SYN and self.state is State.SYN_RECEIVED and packet.seq == self._irs:
            self._syn_arrives_in_syn_received(packet, now)
        else:
            self._arrives(packet, now)
        self._output(now)

    def error_arrives(self, error: Icmp, seq: int, now: int) -> bool:
        """An ICMP error about our segment `seq`: whether that is in flight, so that it counts (`tcp_icmp`)."""
        if not self._snd.snd_una <= from_wire(seq, self._snd.snd_una) < self._snd.snd_max:
            return False
        if error.kind is IcmpKind.TOO_BIG:
            self._snd.lower_mss(mss_for(error.mtu, self.local.version))
            self._output(now)
        else:
            self._soft_error = ERRNO[error.kind]
            if ends(error.kind, self.state, self._snd.active):
                self._enter_closed(self._soft_error)
        return True

    # Section 3.10.7.3: SYN-SENT.

    def _arrives_in_syn_sent(self, packet: Packet, now: int) -> None:
        ack = from_wire(packet.ack, self._snd.snd_una)
        if packet.flags & ACK and not self._snd.iss < ack <= self._snd.snd_max:
            self._send_reset_for(packet)
        elif packet.flags & RST:
            if packet.flags & ACK:
                self._enter_closed(errno.ECONNREFUSED)
        elif packet.flags & SYN:
            self._synchronize(packet)
            if packet.flags & ACK:
                self._ack_due = True
                self._establish(packet, ack, now)
            else:  # simultaneous open: our SYN goes out again, as SYN,ACK
                self.state = State.SYN_RECEIVED
                self._snd.resend()

    def _synchronize(self, syn: Packet) -> None:
        """IRS is known."""
        self._irs = syn.seq
        self._rcv = ReceiveSide(syn.seq, self._settings.receive_buffer, self._settings.mss)

    def _syn_arrives_in_syn_received(self, packet: Packet, now: int) -> None:
        """The peer's SYN again: with ACK it is figure 8's last step, without it did not get our SYN,ACK.

        The sequence number lies before the window, so section 3.10.7.4 as written would drop both.
        """
        ack = from_wire(packet.ack, self._snd.snd_una)
        if packet.flags & RST:
            return
        if not packet.flags & ACK:
            self._snd.resend()
        elif ack == self._snd.snd_max:
            self._establish(packet, ack, now)
        else:
            self._send_reset_for(packet)

    def _establish(self, packet: Packet, ack: int, now: int) -> None:
        self.state = State.ESTABLISHED
        self.opened = True
        self._keepalive.heard(now)
        self._snd.acknowledged(ack, now)
        self._snd.update_window(self._sequence(packet), ack, packet.window)
        if self._snd.fin_queued:
            self._follow(AFTER_CLOSE, now)

    # Section 3.10.7.4: the other states, in the order of its steps.

    def _arrives(self, packet: Packet, now: int) -> None:
        seq, length, flags = self._sequence(packet), segment_length(packet), packet.flags
        if not self._rcv.acceptable(seq, length):
            self._unacceptable(packet, now)
        elif flags & RST:
            self._reset_arrives(seq)
        elif flags & SYN:
            self._ack_due = True  # a challenge ACK (RFC 5961 section 4)
        elif flags & ACK and self._ack_arrives(packet, seq, length, now) and length:
            self._text_arrives(packet, seq, now)

    def _unacceptable(self, packet: Packet, now: int) -> None:
        """First step: "an acknowledgment should be sent in reply (unless the RST bit is set)"."""
        if packet.flags & RST:
            return
        if self.state is State.TIME_WAIT and packet.flags & FIN:
            self._start_time_wait(now)  # our ACK of it was lost
        if packet.payload or packet.flags & FIN or now >= self._next_invalid_answer:
            self._next_invalid_answer = now + INVALID_RATE_LIMIT
            self._ack_due = True

    def _reset_arrives(self, seq: int) -> None:
        """Second step, with RFC 5961 section 3: only the exact next sequence number resets."""
        if seq != self._rcv.rcv_nxt:
            self._ack_due = True
        elif self.state in (State.CLOSING, State.LAST_ACK, State.TIME_WAIT):
            self._enter_closed(None)
        else:
            self._enter_closed(errno.ECONNRESET if self.opened else errno.ECONNREFUSED)

    def _ack_arrives(self, packet: Packet, seq: int, length: int, now: int) -> bool:
        """Fifth step. Returns whether the segment's text may be looked at."""
        snd = self._snd
        ack = from_wire(packet.ack, snd.snd_una)
        if self.state is State.SYN_RECEIVED:
            if not snd.snd_una < ack <= snd.snd_max:
                self._send_reset_for(packet)
                return False
            self._establish(packet, ack, now)
        elif ack > snd.snd_max:
            self._ack_due = True
            return False
        elif ack > snd.snd_una:
            snd.acknowledged(ack, now)
        elif ack == snd.snd_una:
            snd.probe_answered()
            if length == 0:
                snd.duplicate_ack(packet.window)
        if ack >= snd.snd_una:
            self._soft_error = None
            snd.update_window(seq, ack, packet.window)
        if snd.fin_queued and snd.fin_acknowledged:
            self._follow(AFTER_ACK_OF_FIN, now)
        return self.state is not State.CLOSED

    def _text_arrives(self, packet: Packet, seq: int, now: int) -> None:
        """Seventh and eighth step: text and FIN."""
        if self._converses and self._ack_may_wait(seq, len(packet.payload)):
            self.ack_waits = True
        else:
            self._ack_due = True
        finished_before = self._rcv.finished
        self._rcv.accept(seq, packet.payload, bool(packet.flags & FIN))
        if self._rcv.finished and not finished_before:
            self._follow(AFTER_PEERS_FIN, now)

    def _ack_may_wait(self, seq: int, octets: int) -> bool:
        """Not where it tells of a loss (RFC 5681 section 4.2), nor that of a full segment: slow start counts them."""
        return seq == self._rcv.rcv_nxt and not self._rcv.has_gap and octets < self._settings.mss

    def _sequence(self, packet: Packet) -> int:
        return from_wire(packet.seq, self._rcv.rcv_nxt)

    # Transitions.

    def _follow(self, arrows: Mapping[State, State], now: int) -> None:
        match arrows.get(self.state):
            case State.TIME_WAIT:
                self._start_time_wait(now)
            case State.CLOSED:
                self._enter_closed(None)
            case State() as following:
                self.state = following

    def _start_time_wait(self, now: int) -> None:
        self.state = State.TIME_WAIT
        self._keepalive.stop()
        self._time_wait_ends = now + self._settings.time_wait

    def _enter_closed(self, error: int | None) -> None:
        self.state = State.CLOSED
        self.error = error
        self._snd.stop()
        self._keepalive.stop()
        self._time_wait_ends = None
        self._ack_due = self.ack_waits = False

    # Output.

    def _keep_alive(self, now: int) -> None:
        if self._keepalive.expired(now):
            self._emit(self._snd.snd_una - 1, 0, b"")  # SEG.SEQ = SND.NXT-1 (section 3.8.4)
        else:
            self._emit(self._snd.snd_max, RST, b"")
            self._enter_closed(self._soft_error or errno.ETIMEDOUT)

    def _send_reset_for(self, packet: Packet) -> None:
        reset = reset_for(packet)
        if reset is not None:
            self._outbox.append(reset)

    def _output(self, now: int) -> None:
        if self.state is State.CLOSED:
            return
        for seq, flags, payload in self._snd.segments(now):
            self._emit(seq, flags, payload)
        if self._ack_due:
            self._emit(self._snd.snd_max, 0, b"")

    def _emit(self, seq: int, flags: int, payload: bytes) -> None:
        ack, window = 0, self._settings.receive_buffer
        if self.state is not State.SYN_SENT:
            flags |= ACK
            ack, window = to_wire(self._rcv.rcv_nxt), self._rcv.window()
            self._ack_due = self.ack_waits = False
            if payload and self._rcv.rcv_nxt > self._irs + 1:
                self._converses = True
        self._outbox.append(Packet(IPProtocol.TCP, self.local, self.remote, payload, flags, to_wire(seq), ack, window))
