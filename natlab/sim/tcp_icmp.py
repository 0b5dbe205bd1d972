"""What an ICMP error does to a TCP connection: RFC 1122 section 4.2.3.9 and RFC 5461, as Linux has it.

RFC 1122 knows soft errors, which a connection survives, and hard ones, which it should not. Anybody on the way can
forge either, so Linux lets no error end a connection that stands (RFC 5461 section 4.1; RFC 5382 REQ-10 asks the same
of a NAT box). It remembers the last one, and gives it as the reason when the connection times out. A handshake is
different: there any error ends the wait, which spares a dial more than two minutes (RFC 5461 section 4.2).

    where the connection is                  what an error does
    SYN-SENT, SYN-RECEIVED after a dial      ends it, with the errno below
    SYN-RECEIVED at a listener               only network and host unreachable end it
    any other                                remembered, in place of ETIMEDOUT

    error                          errno             error                          errno
    network unreachable            ENETUNREACH       port unreachable               ECONNREFUSED
    host unreachable               EHOSTUNREACH      administratively prohibited    EHOSTUNREACH
    time exceeded                  EHOSTUNREACH

An error counts only if the segment it quotes is in flight (RFC 5927 section 4.1): its number is at or above SND.UNA
and below SND.MAX.

"Packet too big" is no error but news: the segments become as short as the path needs them (RFC 1191), and what is in
flight is sent again at once, without a word to congestion control. Linux believes in no MTU below 552.

Sources: Linux `tcp_v4_err`, `tcp_req_err`, `icmp_err_convert`; `tests/contract/test_icmp.py` asks the kernel.
*Not modelled*: that Linux takes back a doubled timeout on "unreachable" (RFC 6069); routers that do not say which MTU
(before RFC 1191); a path MTU that other connections to the same host know of, and that is tried again after 10 minutes.
"""

from __future__ import annotations

import errno

from natlab.packet import IcmpKind
from natlab.sim.tcp_state import State

__all__ = ["ERRNO", "LEAST_MTU", "ends", "mss_for"]

LEAST_MTU = 552  # net.ipv4.route.min_pmtu

ERRNO = {
    IcmpKind.NETWORK_UNREACHABLE: errno.ENETUNREACH,
    IcmpKind.HOST_UNREACHABLE: errno.EHOSTUNREACH,
    IcmpKind.PORT_UNREACHABLE: errno.ECONNREFUSED,
    IcmpKind.PROHIBITED: errno.EHOSTUNREACH,
    IcmpKind.TIME_EXCEEDED: errno.EHOSTUNREACH,
    IcmpKind.REASSEMBLY_TIME_EXCEEDED: errno.EHOSTUNREACH,
}

_ENDS_A_LISTENER_S = (IcmpKind.NETWORK_UNREACHABLE, IcmpKind.HOST_UNREACHABLE)


def ends(kind: IcmpKind, state: State, dialled: bool) -> bool:
    """Whether the error ends a connection in this state, one that was dialled or one of a listener."""
    if state is State.SYN_SENT:
        return True
    return state is State.SYN_RECEIVED and (dialled or kind in _ENDS_A_LISTENER_S)


def mss_for(mtu: int, ip_version: int) -> int:
    """How many bytes of payload a packet of `mtu` bytes holds."""
    return max(mtu, LEAST_MTU) - (60 if ip_version == 6 else 40)
