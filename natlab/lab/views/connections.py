"""`lab.connections`: each connection between two nodes, seen from both ends as one row.

Each end reports what it knows, under a number of its own. The view joins the two reports: the dialer's and the
listener's, of the same transport and path, in the order they were opened. A peer that is not in the lab reports
nothing, and its row stands alone. Why a circuit ended the relay knows best: both ends only see a reset.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from natlab.events import CircuitEnded, ConnectionClosed, ConnectionOpened, Journal, RoundTripMeasured
from natlab.lab.views.frame import Names, frame, named, who

_RELAY = re.compile(r"/p2p/([^/]+)/p2p-circuit")


class ConnectionRow(NamedTuple):
    """
    Columns:
        opened: float64, seconds since the lab began: secured at the end that was first.
        dialer, listener: string, the two nodes; in a hole punch both dialled, and it means nothing.
        transport: string, tcp.
        path: string, direct or relayed.
        opened_by: string, dial, reversal or hole punch.
        setup: float64, seconds from the dial to the secured connection.
        rtt: float64, seconds, the last round trip measured; NaN before any.
        closed: float64, seconds since the lab began; NaN while open.
        closed_why: string, in the words of whoever ended it, e.g. "relay limit: 128 KiB"; "" while open.
    """

    opened: float
    dialer: str
    listener: str
    transport: str
    path: str
    opened_by: str
    setup: float
    rtt: float
    closed: float
    closed_why: str


@dataclass(slots=True)
class Life:
    """One connection while its events are read: the reports of its ends, and what became of it.

    Attributes:
        dialer, listener: names of the two nodes.
        reports: one or two events, the first to report first.
        rtt, closed: seconds; NaN until known.
    """

    dialer: str
    listener: str
    reports: list[ConnectionOpened]
    rtt: float = math.nan
    closed: float = math.nan
    closed_why: str = ""

    @property
    def path(self) -> str:
        return self.reports[0].path

    @property
    def opened_by(self) -> str:
        """The more telling of the two reports: a listener cannot know why it was dialled."""
        return next((r.opened_by for r in self.reports if r.opened_by != "dial"), "dial")

    def awaits(self, report: ConnectionOpened, names: Names) -> bool:
        """Whether the report is the missing other end of this connection."""
        first = self.reports[0]
        return (
            len(self.reports) == 1
            and (first.transport, first.path) == (report.transport, report.path)
            and (first.place, who(first.peer, names)) == (who(report.peer, names), report.place)
            and (first.role != report.role or report.opened_by == "hole punch")  # there both ends dialled
        )


def connections(journal: Journal, names: Names) -> pd.DataFrame:
    """One row for each connection, in the order opened; columns as `ConnectionRow`."""
    return frame(ConnectionRow, (_row(life) for life in lives(journal, names)))


def relay_of(report: ConnectionOpened, names: Names) -> str:
    """The relay that a connection runs through, "" for a direct one."""
    found = _RELAY.search(report.remote)
    return who(found[1], names) if found else ""


def lives(journal: Journal, names: Names) -> list[Life]:
    """Every connection of the journal, its two ends joined, in the order opened."""
    made: list[Life] = []
    by_end: dict[tuple[str, int], Life] = {}
    between: dict[frozenset[str], list[Life]] = {}  # two nodes -> their connections that are open
    for event in journal.events:
        match event:
            case ConnectionOpened():
                joined = _join(event, between, names)
                by_end[event.place, event.connection] = joined
                made += [joined] if len(joined.reports) == 1 else []
            case RoundTripMeasured() if life := by_end.get((event.place, event.connection)):
                life.rtt = event.seconds
            case ConnectionClosed() if life := by_end.get((event.place, event.connection)):
                if math.isnan(life.closed):
                    life.closed, life.closed_why = event.time, life.closed_why or event.reason
            case CircuitEnded():
                _circuit_ended(event, between, names)
            case _:
                pass
    return made


def _join(report: ConnectionOpened, between: dict[frozenset[str], list[Life]], names: Names) -> Life:
    """Adds a report to the connection it belongs to, or starts a new one."""
    ends = (report.place, who(report.peer, names))
    known = [life for life in between.get(frozenset(ends), []) if math.isnan(life.closed)]
    between[frozenset(ends)] = known
    for life in known:
        if life.awaits(report, names):
            life.reports.append(report)
            return life
    dialer, listener = ends if report.role == "dialer" else ends[::-1]
    known.append(Life(dialer, listener, [report]))
    return known[-1]


def _circuit_ended(event: CircuitEnded, between: dict[frozenset[str], list[Life]], names: Names) -> None:
    """The relay has ended it, unless one of its ends had done so before."""
    ends = who(event.source, names), who(event.target, names)
    for life in between.get(frozenset(ends), []):
        is_it = (life.dialer, life.listener) == ends and relay_of(life.reports[0], names) == event.place
        if is_it and math.isnan(life.closed):
            life.closed_why = named(event.reason, names)
            return


def _row(life: Life) -> ConnectionRow:
    first = life.reports[0]
    return ConnectionRow(
        opened=first.time,
        dialer=life.dialer,
        listener=life.listener,
        transport=first.transport,
        path=life.path,
        opened_by=life.opened_by,
        setup=_dialers(life.reports).seconds,
        rtt=life.rtt,
        closed=life.closed,
        closed_why=life.closed_why,
    )


def _dialers(reports: Iterable[ConnectionOpened]) -> ConnectionOpened:
    """The dialer's report if it is there, else the only one."""
    return min(reports, key=lambda report: report.role != "dialer")
