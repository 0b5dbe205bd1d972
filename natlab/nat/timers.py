"""How long a session lives without traffic, and which packets start its timer again.

UDP (RFC 4787 section 4.3). Two timers: the short one until the remote has answered, the long one from then on. RFC 4787
makes no difference between them, and REQ-5 demands 120 s of both. Which packets start the timer again is the *refresh
behaviour*:

    refresh     restarted by packets     consequence
    outbound    from inside              the host alone decides; what RFC 4787 REQ-6 demands at least
    inbound     from outside             a mute listener stays reachable, a mute talker does not: violates REQ-6
    both        from either side         whoever is admitted can keep the door open for as long as it likes

Linux has a rule of its own. A conversation earns the long timer when it is still alive some time after its first
packet (`udp_stream_after`, 2 s there). Measured on Linux 6.18, seconds left after each packet:

    0 s    out    30     the first packet
    0.1 s  in     30     the answer starts the short timer again; it never earns the long one, however late it comes
    1.8 s  out    30     answered, but not yet for 2 s
    2.2 s  in    120     still alive: from now on each packet, of either direction, starts the long timer
    0, 3, 5 s, out only  30 each: without an answer it is no conversation

TCP (RFC 5382 REQ-5, RFC 7857 section 2). The state of the connection (`tcp_session.py`) chooses the timer:

    CLOSED, OUT_SYN, IN_SYN   opening        tcp_transitory_timeout
    ESTABLISHED               established    tcp_established_timeout
    OUT_FIN, IN_FIN           one FIN        tcp_closing_timeout, by default the established one
    BOTH_FIN                  closing        tcp_last_ack_timeout, by default that of TIME_WAIT
    TIME_WAIT                 TIME_WAIT      tcp_time_wait_timeout, by default the transitory one
    RESET                     an RST         tcp_reset_timeout, by default the transitory one

ICMP (RFC 5508 REQ-2). A ping's session lives `icmp_query_timeout` after the last request; replies change nothing.

Not modelled: Linux's separate timers for a SYN received, and for segments that nobody acknowledges.
"""

from __future__ import annotations

from natlab.nat.config import NatConfig, UdpRefresh
from natlab.nat.mapping import Mapping, Session
from natlab.nat.tcp_session import LONG_LIVED, TcpState
from natlab.packet import IPProtocol

__all__ = ["Timers"]

SECOND = 1_000_000_000  # nanoseconds


class Timers:
    """The timers of one box, in integer nanoseconds.

    Attributes:
        udp: the long one.
        icmp: that of pings.
        tcp: one for each `TcpState`.
    """

    def __init__(self, config: NatConfig) -> None:
        self._config = config
        self.udp = round(config.udp_timeout * SECOND)
        self._udp_unanswered = round(config.udp_unanswered_timeout * SECOND)
        self._stream_after = round(config.udp_stream_after * SECOND)
        self._outbound_refreshes = config.udp_refresh is not UdpRefresh.INBOUND
        self._inbound_refreshes = config.udp_refresh is not UdpRefresh.OUTBOUND
        self.icmp = round(config.icmp_query_timeout * SECOND)
        self.tcp = [round(_tcp_seconds(config, state) * SECOND) for state in TcpState]

    def first(self, protocol: int) -> int:
        """How long a new mapping lives if nothing more happens."""
        if protocol == IPProtocol.UDP:
            return self._udp_unanswered
        return self.tcp[TcpState.OUT_SYN] if protocol == IPProtocol.TCP else self.icmp

    def after_outbound(self, session: Session, now: int) -> int:
        """When a UDP session that sends now ends. Not asked for a steady one, whose answer is now + `udp`."""
        timeout = self._earned(session, now)
        return now + timeout if self._outbound_refreshes or not session.expires else session.expires

    def after_inbound(self, session: Session, now: int) -> int:
        """When a UDP session that receives now ends. Not asked for a steady one, whose end stays."""
        first_answer = not session.answered
        if not self._stream_after:
            session.answered = True
        timeout = self._earned(session, now)
        session.answered = True
        if self._inbound_refreshes:
            return max(session.expires, now + timeout)
        if first_answer and not self._stream_after:
            return session.expires + self.udp - self._udp_unanswered  # the long timer, from the last outbound datagram
        return session.expires

    def _earned(self, session: Session, now: int) -> int:
        if not session.answered or now < session.began + self._stream_after:
            return self._udp_unanswered
        session.steady = self._outbound_refreshes and not self._inbound_refreshes
        return self.udp

    def reason(self, mapping: Mapping) -> str:
        """Why the mapping ended when its time was over, as a sentence."""
        if mapping.open_until and mapping.open_until == mapping.expires:
            return "port forward: its lease was over"
        last = max(mapping.sessions, key=lambda session: session.expires, default=None)
        if mapping.protocol == IPProtocol.UDP:
            return self._udp_reason(last, mapping)
        if mapping.protocol == IPProtocol.ICMP:
            return f"idle: no ping was sent through it for {self._config.icmp_query_timeout:g} s"
        state = last.state if last else TcpState.CLOSED
        seconds = _tcp_seconds(self._config, state)
        if state is TcpState.ESTABLISHED:
            return f"idle: its TCP connection was silent for {seconds:g} s"
        if state in LONG_LIVED:
            return f"closing: one side of its TCP connection was over, the other silent for {seconds:g} s"
        return f"transitory: its TCP connection did not open, or was over, for {seconds:g} s"

    def _udp_reason(self, last: Session | None, mapping: Mapping) -> str:
        long = last and last.answered and last.expires - last.began >= self._stream_after + self.udp
        seconds = self._config.udp_timeout if long else self._config.udp_unanswered_timeout
        verb = {UdpRefresh.OUTBOUND: "was sent", UdpRefresh.INBOUND: "was received", UdpRefresh.BOTH: "passed"}
        return f"idle: nothing {verb[self._config.udp_refresh]} through it for {seconds:g} s"


def _tcp_seconds(config: NatConfig, state: TcpState) -> float:
    established, transitory = config.tcp_established_timeout, config.tcp_transitory_timeout
    time_wait = transitory if config.tcp_time_wait_timeout is None else config.tcp_time_wait_timeout
    match state:
        case TcpState.ESTABLISHED:
            return established
        case TcpState.OUT_FIN | TcpState.IN_FIN:
            return established if config.tcp_closing_timeout is None else config.tcp_closing_timeout
        case TcpState.BOTH_FIN:
            return time_wait if config.tcp_last_ack_timeout is None else config.tcp_last_ack_timeout
        case TcpState.TIME_WAIT:
            return time_wait
        case TcpState.RESET:
            return transitory if config.tcp_reset_timeout is None else config.tcp_reset_timeout
        case _:
            return transitory
