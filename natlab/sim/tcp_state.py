"""The states of a TCP connection and the ways between them (RFC 9293 section 3.3.2).

On an arrow stands what happens and, after a slash, what is sent.

                      ┌────────┐
    SYN / SYN,ACK ┌───┤ CLOSED ├───┐ dial / SYN
                  ▼   └────────┘   ▼
      ┌──────────────┐          ┌──────────┐
      │ SYN-RECEIVED │◄─────────┤ SYN-SENT │   SYN / SYN,ACK: simultaneous open
      └───────────┬──┘          └──┬───────┘
       ACK of SYN │                │ SYN,ACK / ACK
                  ▼                ▼
                 ┌──────────────────┐
    close / FIN  │   ESTABLISHED    │  FIN / ACK
          ┌──────┴──────────────────┴──────────────┐
          ▼                                        ▼
    ┌────────────┐  FIN / ACK   ┌─────────┐   ┌────────────┐
    │ FIN-WAIT-1 ├─────────────►│ CLOSING │   │ CLOSE-WAIT │
    └─────┬──────┘              └────┬────┘   └─────┬──────┘
          │ ACK of FIN    ACK of FIN │              │ close / FIN
          ▼                          ▼              ▼
    ┌────────────┐  FIN / ACK  ┌───────────┐   ┌──────────┐
    │ FIN-WAIT-2 ├────────────►│ TIME-WAIT │   │ LAST-ACK │
    └────────────┘             └─────┬─────┘   └────┬─────┘
                               2 MSL │              │ ACK of FIN
                                     ▼              ▼
                                   CLOSED         CLOSED

Any state goes to CLOSED on RST, on `abort` and when the peer stays silent too long. A dial that is closed before it is
answered goes there too. LISTEN is no state here: a port listens, and a SYN to it makes a connection in SYN-RECEIVED.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """RFC 9293 section 3.3.2, in its spelling."""

    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"
    CLOSED = "CLOSED"


RESET_WORTHY = frozenset({State.SYN_RECEIVED, State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSE_WAIT})
"""Where an abort sends RST (RFC 9293 section 3.10.5): the peer may take the connection for alive."""

AFTER_CLOSE = {State.ESTABLISHED: State.FIN_WAIT_1, State.CLOSE_WAIT: State.LAST_ACK}
AFTER_ACK_OF_FIN = {
    State.FIN_WAIT_1: State.FIN_WAIT_2,
    State.CLOSING: State.TIME_WAIT,
    State.LAST_ACK: State.CLOSED,
}
AFTER_PEERS_FIN = {
    State.ESTABLISHED: State.CLOSE_WAIT,
    State.FIN_WAIT_1: State.CLOSING,
    State.FIN_WAIT_2: State.TIME_WAIT,
}
"""The arrows of the picture's lower half; other states stay."""
