"""Looking at a lab: tables, ladders, maps and captures, all of them views of its journal.

    tables     lab.packets  lab.mappings  lab.observations  lab.connections  lab.punches
               lab.port_mappings; LabError if the lab was told not to record what they show
    graph      lab.reachability
    pictures   lab.ladder(...)  lab.replay(...)  lab.draw(...)
    capture    lab.pcap(path)

Whatever is shown is computed from the journal when asked for, so looking changes nothing.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import networkx as nx
import pandas as pd

from natlab.errors import LabError
from natlab.events import (
    AddressObserved,
    ConnectionOpened,
    Event,
    Journal,
    MappingCreated,
    MessageSeen,
    PacketSeen,
    PortMapped,
    PunchEnded,
)
from natlab.host import Node
from natlab.lab import bad_input, capture, views
from natlab.lab import draw as drawing
from natlab.lab import ladder as ladders
from natlab.lab.figure import Figure
from natlab.lab.topology import COMPUTERS, CORE, Place, Topology
from natlab.sim.host import EPOCH
from natlab.wire import pcapng

if TYPE_CHECKING:
    from ipywidgets import VBox

CAPTURES = (".pcapng", ".pcap")
_MAPPING_COLUMNS = ("box", "internal", "external", "remote", "created", "last_used")


class Look(ABC):
    """What a lab shows of itself.

    Attributes:
        journal: everything that happened, in order.
        nodes: libp2p nodes by name, in the order they were made.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.nodes: dict[str, Node] = {}
        self._places: list[Place] = []
        self._crowd: list[str] = []  # names of helpers, which pictures leave out

    @property
    @abstractmethod
    def now(self) -> float:
        """Virtual seconds since the lab began."""

    @property
    def packets(self) -> pd.DataFrame:
        """Each packet at each place; columns: `natlab.lab.views.packets`."""
        self._check_recorded(PacketSeen)
        return views.packets(self.journal)

    @property
    def mappings(self) -> pd.DataFrame:
        """Each NAT mapping over its life; columns: `natlab.lab.views.mappings`."""
        self._check_recorded(MappingCreated)
        return views.mappings(self.journal, self.now)

    @property
    def port_mappings(self) -> pd.DataFrame:
        """Each port a gateway was asked for; columns: `natlab.lab.views.port_mappings`."""
        self._check_recorded(PortMapped)
        return views.port_mappings(self.journal, self.now)

    @property
    def observations(self) -> pd.DataFrame:
        """Who told whom which observed address; columns: `natlab.lab.views.observations`."""
        self._check_recorded(AddressObserved)
        return views.observations(self.journal, self._names)

    @property
    def connections(self) -> pd.DataFrame:
        """Each connection, both ends in one row; columns: `natlab.lab.views.connections`."""
        self._check_recorded(ConnectionOpened)
        return views.connections(self.journal, self._names)

    @property
    def punches(self) -> pd.DataFrame:
        """Each attempt at a hole punch; columns: `natlab.lab.views.punches`."""
        self._check_recorded(PunchEnded)
        return views.punches(self.journal, self._names)

    @property
    def reachability(self) -> nx.DiGraph[str]:
        """Who can reach whom and how, by what happened; attributes: `natlab.lab.views.reachability`."""
        return views.reachability(self.journal, self._names, self.nodes)

    def ladder(
        self,
        *hosts: str,
        since: float = 0.0,
        until: float = math.inf,
        show: Collection[str] = ladders.SHOWN,
    ) -> Figure:
        """The packet ladder: a line per host and NAT box, time downward, an arrow per packet and message.

        Args:
            hosts: who gets a line, left to right; everybody but the crowd by default.
            since, until: seconds since the lab began.
            show: words of `natlab.lab.ladder.SHOWABLE`; by default not the data inside connections.

        Raises:
            LabError: no such host, or no such thing to show.
            ValueError: `since` after `until`, or no times.
        """
        line = self._window(hosts, since, until)
        events = self.journal.events
        return ladders.ladder(events, self._topology, self._names, line, since=since, until=until, show=show)

    def replay(
        self,
        *hosts: str,
        since: float = 0.0,
        until: float = math.inf,
        show: Collection[str] = ladders.SHOWN,
    ) -> VBox:
        """The ladder to leaf through, with the mappings of each moment: a Jupyter widget. Arguments as `ladder`.

        Raises:
            LabError: no such host or thing to show, or nothing happened in this time.
        """
        from natlab.lab.replay import replay  # the widget library loads when first used

        line, events = self._window(hosts, since, until), self.journal.events
        moments = ladders.moments(events, self._topology, self._names, line, since=since, until=until, show=show)
        return replay(
            moments,
            lambda begin, end: self.ladder(*line, since=begin, until=end, show=show),
            lambda moment: views.mappings(self.journal.until(moment), moment)[list(_MAPPING_COLUMNS)],
        )

    def draw(self, *hosts: str) -> Figure:
        """Who is where and who can reach whom: everybody but the crowd by default.

        Raises:
            LabError: no such host.
        """
        return drawing.draw(self._topology, self.reachability, self._known(hosts) or self._cast())

    def pcap(self, path: str | Path, *places: str) -> int:
        """Writes packets to a capture file (pcapng) for Wireshark and returns their number.

        By default it is a capture on the internet, outside of all NAT boxes: each packet once, with the addresses it
        has there, so that Wireshark can follow each conversation in both directions.

        Args:
            places: hosts and boxes, to capture what they saw instead. Each is an interface of the file, a box two: what
                it saw inside and outside. A packet that was dropped carries the rule as its comment.

        Raises:
            LabError: no such place, or the file cannot be written.
        """
        self._check_recorded(PacketSeen)
        if self._known(places):
            cards = capture.interfaces(self._topology, places)
            seen = capture.seen_at(self.journal, self._topology, places)
        else:
            cards, seen = [CORE], capture.on_the_internet(self.journal, self._topology)
        with _file(path) as file:
            return pcapng.write(file, cards, seen, epoch=int(EPOCH))

    @property
    def places(self) -> tuple[Place, ...]:
        """The hosts and NAT boxes, in the order they were made."""
        return tuple(self._places)

    @property
    def _topology(self) -> Topology:
        return Topology(self._places)

    @property
    def _names(self) -> dict[str, str]:
        return {str(node.peer_id): name for name, node in self.nodes.items()}

    def _known(self, names: Sequence[str]) -> Sequence[str]:
        """The names as they came, all of them places of this lab."""
        known = [place.name for place in self._places]
        for name in names:
            if name not in known:
                raise bad_input.unknown(name, known)
        return names

    def _check_recorded(self, *kinds: type[Event]) -> None:
        """An empty table would say that nothing happened. One of these kinds is enough."""
        if not any(map(self.journal.wants, kinds)):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise LabError(f"this lab does not record {names}, which this shows: leave record= of Lab(...) out")

    def _window(self, hosts: Sequence[str], since: float, until: float) -> Sequence[str]:
        """Whose lines a ladder has, once the times are checked."""
        self._check_recorded(PacketSeen, MessageSeen, ConnectionOpened)
        bad_input.check_time(since, "since=")
        bad_input.check_time(until, "until=")
        if since > until:
            raise ValueError(f"nothing lies between since={since} and until={until}: exchange them")
        return self._known(hosts) or self._cast()

    def _cast(self) -> tuple[str, ...]:
        return tuple(p.name for p in self._places if p.kind in COMPUTERS and p.name not in self._crowd)


def _file(path: str | Path) -> BinaryIO:
    """The file to write to; raises LabError if it cannot be written."""
    bad_input.check_one_of(path, (str, Path), "a capture goes to a file, such as 'lab.pcapng'")
    if Path(path).suffix not in CAPTURES:
        raise LabError(f"{path} is no name for a capture, and may be a file of another kind: end it in {CAPTURES[0]}")
    try:
        return Path(path).open("wb")
    except OSError as error:
        raise LabError(f"{path} cannot be written: {error.strerror}") from error
