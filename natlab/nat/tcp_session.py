"""What a NAT box knows of a TCP connection: the flags that passed, and in which direction.

RFC 5382 REQ-5 wants two timers, one for established connections and one for those that open or close. Which of them
runs is decided by the state machine of RFC 6146 section 3.5.2.2 (there for NAT64: its "V6" is our outbound, its "V4"
our inbound), with one state for each thing seen:

    state          seen so far                       SYN out   SYN in    FIN out   FIN in    RST      timer
    CLOSED         nothing that opens                OUT_SYN   IN_SYN                                 transitory
    OUT_SYN        SYN from the internal host                  ESTABL.                                transitory
    IN_SYN         SYN from the remote               ESTABL.                                          transitory
    ESTABLISHED    SYN each way                                          OUT_FIN   IN_FIN    RESET    established
    OUT_FIN        FIN from the internal host                                      BOTH_FIN  RESET    established
    IN_FIN         FIN from the remote                                   BOTH_FIN            RESET    established
    BOTH_FIN       FIN each way                      OUT_SYN   IN_SYN                                 transitory
    TIME_WAIT      then an ACK, either way           OUT_SYN   IN_SYN                                 transitory
    RESET          RST either way                    OUT_SYN   IN_SYN                                 transitory

An empty cell leaves the state. "SYN each way" is an ordinary handshake (SYN, SYN ACK) and a simultaneous open (SYN,
SYN) alike, as RFC 5382 REQ-2 demands. TIME_WAIT is not RFC 6146's: RFC 5382 section 5 tells it from the phase that
closes, and asks for no timer of it. A SYN after the end is a new connection on the same endpoints: hole punching dials
them again and again.

Not modelled: the return from RESET when data still flows. Numbers are not looked at here (`tcp_window.py` does), so
without sequence checks a forged RST shortens the timer.
"""

from __future__ import annotations

from enum import IntEnum

from natlab.packet import Flag

__all__ = ["LONG_LIVED", "TcpState", "next_state"]

_SYN, _FIN, _RST = int(Flag.SYN), int(Flag.FIN), int(Flag.RST)
_CONTROL = _SYN | _FIN | _RST


class TcpState(IntEnum):
    """See the table above."""

    CLOSED = 0
    OUT_SYN = 1
    IN_SYN = 2
    ESTABLISHED = 3
    OUT_FIN = 4
    IN_FIN = 5
    BOTH_FIN = 6
    RESET = 7
    TIME_WAIT = 8


LONG_LIVED = frozenset({TcpState.ESTABLISHED, TcpState.OUT_FIN, TcpState.IN_FIN})  # the established timer runs

_BOTH_FIN = TcpState.BOTH_FIN
_OUTBOUND, _INBOUND = True, False
_TRANSITIONS = {
    (TcpState.CLOSED, _SYN, _OUTBOUND): TcpState.OUT_SYN,
    (TcpState.CLOSED, _SYN, _INBOUND): TcpState.IN_SYN,
    (TcpState.OUT_SYN, _SYN, _INBOUND): TcpState.ESTABLISHED,
    (TcpState.IN_SYN, _SYN, _OUTBOUND): TcpState.ESTABLISHED,
    (TcpState.ESTABLISHED, _FIN, _OUTBOUND): TcpState.OUT_FIN,
    (TcpState.ESTABLISHED, _FIN, _INBOUND): TcpState.IN_FIN,
    (TcpState.OUT_FIN, _FIN, _INBOUND): TcpState.BOTH_FIN,
    (TcpState.IN_FIN, _FIN, _OUTBOUND): TcpState.BOTH_FIN,
    (TcpState.BOTH_FIN, _SYN, _OUTBOUND): TcpState.OUT_SYN,
    (TcpState.BOTH_FIN, _SYN, _INBOUND): TcpState.IN_SYN,
    (TcpState.TIME_WAIT, _SYN, _OUTBOUND): TcpState.OUT_SYN,
    (TcpState.TIME_WAIT, _SYN, _INBOUND): TcpState.IN_SYN,
    (TcpState.RESET, _SYN, _OUTBOUND): TcpState.OUT_SYN,
    (TcpState.RESET, _SYN, _INBOUND): TcpState.IN_SYN,
}


def next_state(state: TcpState, flags: int, outbound: bool) -> TcpState:
    """The state after a segment with these `flags` has passed."""
    if not flags & _CONTROL:
        return state if state is not _BOTH_FIN else TcpState.TIME_WAIT
    if flags & _RST:
        return TcpState.RESET if state in LONG_LIVED else state
    return _TRANSITIONS.get((state, flags & _SYN or _FIN, outbound), state)
