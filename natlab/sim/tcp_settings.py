"""What one may choose about a TCP connection. The defaults are those of Linux 6.18.

Linux sends a SYN at 0, 1, 2, 3, 4, 5, 7, 11, 19, 35 and 67 s and gives up at 131 s: four retransmissions at a steady
second (tcp_syn_linear_timeouts), then six that double (tcp_syn_retries). A SYN,ACK is repeated five times and given
up at 63 s. Data and FIN are repeated fifteen times, a quarter of an hour or more.
"""

from __future__ import annotations

from dataclasses import dataclass

from natlab.endpoint import Endpoint

SECOND = 1_000_000_000
"""Nanoseconds in a second: time inside the simulator is an integer number of nanoseconds."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Probes on a silent connection (RFC 9293 section 3.8.4), off unless asked for.

    Attributes:
        idle: nanoseconds of silence before the first probe.
        interval: nanoseconds between probes.
        probes: unanswered probes after which the connection is given up with ETIMEDOUT.
    """

    idle: int = 7200 * SECOND
    interval: int = 75 * SECOND
    probes: int = 9


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """Attributes:
    mss: bytes of payload in one segment, at most.
    send_buffer: bytes taken from the user and not yet acknowledged, at most.
    receive_buffer: bytes received and not yet read, at most: the largest window (no window scale option).
    syn_linear_timeouts: SYN retransmissions before the timeout begins to double.
    syn_retries: further SYN retransmissions, doubling; then ETIMEDOUT.
    synack_retries: retransmissions of a listener's SYN,ACK.
    data_retries: retransmissions of the same data or FIN, or unanswered window probes; then ETIMEDOUT.
    time_wait: nanoseconds in TIME-WAIT, 2 MSL.
    """

    mss: int = 1460
    send_buffer: int = 131072
    receive_buffer: int = 65535
    syn_linear_timeouts: int = 4
    syn_retries: int = 6
    synack_retries: int = 5
    data_retries: int = 15
    time_wait: int = 60 * SECOND
    keepalive: Keepalive | None = None

    def __post_init__(self) -> None:
        if self.mss < 1 or self.send_buffer < 1 or self.data_retries < 1:
            raise ValueError("mss, send_buffer and data_retries are at least 1")
        if not 1 <= self.receive_buffer <= 65535:
            raise ValueError("receive_buffer is 1 to 65535 bytes: windows are not scaled")


_IPV4, _IPV6 = TcpSettings(), TcpSettings(mss=1440)


def settings_for(remote: Endpoint) -> TcpSettings:
    """The defaults towards `remote`: a segment fills an Ethernet frame, and IPv6's header is 20 bytes longer."""
    return _IPV6 if remote.version == 6 else _IPV4
