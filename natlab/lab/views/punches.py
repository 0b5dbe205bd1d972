"""`lab.punches`: each attempt at a hole punch, as its initiator saw it (specs `relay/DCUtR.md`).

The initiator measures the round trip of CONNECT, sends SYNC and waits half of it, so that both ends dial at the same
moment. `sync_error` is how far they missed: the responder's dial minus the initiator's, by a clock that neither has.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from natlab.events import Journal, PunchDialled, PunchEnded
from natlab.lab.views.frame import Names, frame, named, who


class PunchRow(NamedTuple):
    """
    Columns:
        ended: float64, seconds since the lab began.
        initiator: string, the node that accepted the relayed connection and started DCUtR.
        responder: string, its peer.
        transport: string, tcp.
        attempt: int64, 1 to 3; 0 is connection reversal, a plain dial tried first.
        rtt: float64, seconds from CONNECT sent to CONNECT received; NaN without one.
        sync_error: float64, seconds from the initiator's dial to the responder's; NaN unless both dialled.
        outcome: string, "success" or what went wrong.
    """

    ended: float
    initiator: str
    responder: str
    transport: str
    attempt: int
    rtt: float
    sync_error: float
    outcome: str


def punches(journal: Journal, names: Names) -> pd.DataFrame:
    """One row for each attempt, in the order they ended; columns as `PunchRow`."""
    rows: list[PunchRow] = []
    dialled: dict[tuple[str, str], float] = {}  # (who, to whom) -> when, for the attempt under way
    for event in journal.events:
        match event:
            case PunchDialled():
                dialled[event.place, who(event.peer, names)] = event.time
            case PunchEnded():
                responder = who(event.peer, names)
                ours = dialled.pop((event.place, responder), math.nan)
                theirs = dialled.pop((responder, event.place), math.nan)
                rows.append(_row(event, responder, theirs - ours, named(event.outcome, names)))
            case _:
                pass
    return frame(PunchRow, rows)


def _row(event: PunchEnded, responder: str, sync_error: float, outcome: str) -> PunchRow:
    return PunchRow(
        ended=event.time,
        initiator=event.place,
        responder=responder,
        transport=event.transport,
        attempt=event.attempt,
        rtt=event.rtt or math.nan,
        sync_error=sync_error,
        outcome=outcome,
    )
