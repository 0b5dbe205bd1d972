"""The lab: an internet of one's own, and everything that happened in it.

    build    lab.nat(...)  lab.node(...)  lab.host(...)  lab.crowd(...)
    run      lab.run(coroutine)  await lab.arun(coroutine)  lab.advance(seconds)  lab.step()
    break    lab.partition(name)  lab.heal(name)  lab.at(seconds, lab.partition, name)
    look     lab.packets  lab.mappings  lab.observations  lab.connections  lab.punches  lab.reachability
             lab.ladder(...)  lab.replay(...)  lab.draw(...)  lab.pcap(path)

Time is virtual: it stands still between cells and jumps to the next event inside `run`. The same seed gives the same
journal, packet for packet. Whatever is shown is computed from the journal, so looking changes nothing.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, Unpack

import networkx as nx
import pandas as pd

from natlab.errors import LabError
from natlab.events import (
    ConnectionClosed,
    ConnectionOpened,
    DialFailed,
    Event,
    HandlerFailed,
    Journal,
    PunchEnded,
    Reserved,
)
from natlab.host import Node
from natlab.lab import capture, views
from natlab.lab import draw as drawing
from natlab.lab import ladder as ladders
from natlab.lab.bare import BareHost
from natlab.lab.figure import Figure
from natlab.lab.seed import rng_for
from natlab.lab.topology import COMPUTERS, Kind, Place, Topology
from natlab.nat import configure
from natlab.protocol.dcutr import GO_V048, RoleProfile
from natlab.protocol.reservations import RelayLimits
from natlab.sim import Internet, NatRouter, SimLoop
from natlab.sim.host import EPOCH
from natlab.sim.links import Delay, LinkConfigs
from natlab.wire import pcapng
from natlab.wire.keys import PrivateKey

if TYPE_CHECKING:
    from ipywidgets import VBox

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PORT = 4001  # libp2p's usual TCP port, at which every node of a lab listens
OUTCOMES: tuple[type[Event], ...] = (
    ConnectionOpened,
    ConnectionClosed,
    DialFailed,
    HandlerFailed,
    PunchEnded,
    Reserved,
)
"""What a sweep over many labs records: `Lab(seed, record=OUTCOMES)`. Packets cost the most and are left out."""

_MAPPING_COLUMNS = ("box", "internal", "external", "remote", "created", "last_used")
_SLICE = 200  # events between two breaths of the outer loop in `arun`


class Lab:
    """A simulated internet with libp2p nodes on it.

    Args:
        seed: every chance in the lab follows from it.
        record: the kinds of events to keep; None keeps all.

    Attributes:
        journal: everything that happened, in order.
        nodes, hosts: libp2p nodes and bare computers by name, in the order they were made.
    """

    def __init__(self, seed: int = 0, *, record: Iterable[type[Event]] | None = None) -> None:
        self.seed = seed
        self.journal = Journal(record)
        self.nodes: dict[str, Node] = {}
        self.hosts: dict[str, BareHost] = {}
        self._loop = SimLoop()  # type: ignore[abstract]  # what it lacks raises NotImplementedError
        self._internet = Internet(self._loop, self.journal, self._rng)
        self._places: list[Place] = []
        self._crowd: list[str] = []

    def __repr__(self) -> str:
        return f"<Lab seed={self.seed} at {self.now:.3f} s: {', '.join(self._cast()) or 'empty'}>"

    def _rng(self, owner: str) -> random.Random:
        return rng_for(self.seed, owner)

    # ---- build

    def nat(
        self,
        preset: str = "home",
        *,
        name: str | None = None,
        address: str | None = None,
        behind: NatRouter | None = None,
        link: LinkConfigs | None = None,
        **axes: str | float,
    ) -> NatRouter:
        """Adds a NAT box with a LAN of its own.

        Args:
            preset: a name from `natlab.nat.PRESETS`.
            name: what tables call it; the preset's name unless that is taken ("home", "home 2", ...).
            address: its external IPv4 address; the next free public one by default.
            behind: another NAT box, for NAT behind NAT.
            link: its uplink, as in `node`.
            axes: what differs from the preset: `mapping="address-and-port-dependent"`, `port_allocation="random"`, ...

        Raises:
            LabError: no such preset or axis, or the name or address is taken.
        """
        config = configure(preset, **axes)
        self._check_behind(behind)
        name = name or self._free_name(preset)
        router = self._internet.nat(name, config, address, behind=behind, link=link)
        self._places.append(Place(name, Kind.NAT, router.external_ip, behind.name if behind else ""))
        return router

    def node(
        self,
        name: str,
        behind: NatRouter | None = None,
        *,
        address: str | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
        link: LinkConfigs | None = None,
        relay_service: RelayLimits | bool | None = None,
        hole_punching: RoleProfile | None = GO_V048,
        keepalive: float | None = 30.0,
        reuse_port: bool = True,
    ) -> Node:
        """Adds a computer with a libp2p node on it, listening on TCP port 4001.

        Args:
            behind: the NAT box in front of it, made by `lab.nat`; None is the public internet.
            address: its IPv4 address; the next free one by default.
            delay: of its link in seconds one way, 0.01 in public; a pair if the two directions differ.
            loss: probability that its link loses a packet, each way.
            link: all about its link, instead of those two: a `LinkConfig`; a pair if the two directions differ.
            relay_service: whether it relays for others, or its limits; None: public nodes do, others do not.
            hole_punching: DCUtR role profile, None for a node that never punches.
            keepalive: seconds between pings on an idle connection; None for never, so that mappings may die.
            reuse_port: dial from the listening port.

        Raises:
            LabError: the name or address is taken, or `link` comes with `delay` or `loss`.
        """
        self._check_behind(behind)
        host = self._internet.host(name, address, behind=behind, delay=delay, loss=loss, link=link)
        self._places.append(Place(name, Kind.NODE, host.ip, behind.name if behind else ""))
        node = Node(
            host,
            key=PrivateKey.generate(self._rng(f"{name} key")),
            rng=self._rng(f"{name} node"),
            journal=self.journal,
            name=name,
            listen=[f"/ip4/{host.ip}/tcp/{PORT}"],
            relay_service=_limits(behind is None if relay_service is None else relay_service),
            hole_punching=hole_punching,
            keepalive=keepalive,
            reuse_port=reuse_port,
        )
        self.run(node.start())
        self.nodes[name] = node
        return node

    def host(
        self,
        name: str,
        behind: NatRouter | None = None,
        *,
        address: str | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
        link: LinkConfigs | None = None,
    ) -> BareHost:
        """Adds a bare computer: sockets, no libp2p. Arguments and errors are those of `node`."""
        self._check_behind(behind)
        host = self._internet.host(name, address, behind=behind, delay=delay, loss=loss, link=link)
        self._places.append(Place(name, Kind.HOST, host.ip, behind.name if behind else ""))
        self.hosts[name] = BareHost(name, host.ip, host, self._rng(f"{name} bare"))
        return self.hosts[name]

    def crowd(self, number: int) -> list[Node]:
        """Adds public nodes on distinct addresses, each in another first octet: observers, to be dialled.

        A node advertises an observed address only after four observers; pictures leave the crowd out.
        """
        names = [f"crowd {len(self._crowd) + count}" for count in range(1, number + 1)]
        self._crowd += names
        return [self.node(name) for name in names]

    def _free_name(self, preset: str) -> str:
        taken = {place.name for place in self._places}
        numbered = (f"{preset} {number}" for number in range(2, len(taken) + 3))
        return next(name for name in (preset, *numbered) if name not in taken)

    def _check_behind(self, behind: NatRouter | None) -> None:
        if behind is not None and behind not in self._internet.nats.values():
            raise LabError(f"behind= takes a NAT box of this lab, made by lab.nat(...), not {behind!r}")

    # ---- break

    def partition(self, *names: str) -> None:
        """Cuts the link of each host or NAT: it, with all that is behind it, no longer reaches the rest.

        Raises:
            LabError: no such place.
        """
        for name in self._known(names):
            self._internet.partition(name)

    def heal(self, *names: str) -> None:
        """Undoes `partition`; connections that were patient enough go on. Errors are those of `partition`."""
        for name in self._known(names):
            self._internet.heal(name)

    def at(self, seconds: float, verb: Callable[[Unpack[Ts]], None], *arguments: *Ts) -> None:
        """Does something at a later time: `lab.at(5.0, lab.partition, "relay")`.

        Args:
            seconds: since the lab began.
            verb: an ordinary function; what it raises, the run under way raises.

        Raises:
            ValueError: the time has passed.
        """
        if seconds < self.now:
            raise ValueError(f"it is {self.now:.3f} s already: choose a later time than {seconds} s")
        self._loop.call_at(seconds, verb, *arguments)

    # ---- run

    @property
    def now(self) -> float:
        """Virtual seconds since the lab began."""
        return self._loop.time()

    def run(self, awaitable: Awaitable[T], limit: float = 600.0) -> T:
        """Lets virtual time pass until the awaitable is done, and returns its result.

        Works in a script and inside a notebook's running loop.

        Args:
            limit: virtual seconds it may take.

        Raises:
            DeadlockError: it can never be done, or the limit has passed; the message names what waits.
            LabError: called from inside the simulation.
        """
        return self._loop.run(awaitable, limit)

    async def arun(self, awaitable: Awaitable[T], limit: float = 600.0) -> T:
        """`run` for a notebook that has other things to do: gives way to its loop every few hundred events."""
        task, end = asyncio.ensure_future(awaitable, loop=self._loop), self.now + limit
        task.add_done_callback(self._loop.halt)  # at the very event at which `run` would stop
        try:
            while self._slice(task, end):  # noqa: ASYNC110  # it gives way between slices, and waits for nothing
                await asyncio.sleep(0)
            return task.result() if task.done() else self._loop.run(task, end - self.now)
        finally:
            if task.cancel():
                self._loop.advance(0.0)

    def _slice(self, task: asyncio.Future[T], end: float) -> bool:
        """Runs some events; False once the task is done or nothing is left to happen before the end."""
        return all(not task.done() and self._loop.step(end) for _ in range(_SLICE))

    def advance(self, seconds: float) -> None:
        """Lets virtual seconds pass, and all that happens in them."""
        self._loop.advance(seconds)

    def step(self) -> bool:
        """Lets the next event happen, and what follows from it at once; False when nothing is left to happen."""
        return self._loop.step()

    def close(self) -> None:
        """Ends everything that runs in the lab. The journal stays."""
        self._loop.close()

    # ---- look

    @property
    def packets(self) -> pd.DataFrame:
        """Each packet at each place; columns: `natlab.lab.views.packets`."""
        return views.packets(self.journal)

    @property
    def mappings(self) -> pd.DataFrame:
        """Each NAT mapping over its life; columns: `natlab.lab.views.mappings`."""
        return views.mappings(self.journal, self.now)

    @property
    def observations(self) -> pd.DataFrame:
        """Who told whom which observed address; columns: `natlab.lab.views.observations`."""
        return views.observations(self.journal, self._names)

    @property
    def connections(self) -> pd.DataFrame:
        """Each connection, both ends in one row; columns: `natlab.lab.views.connections`."""
        return views.connections(self.journal, self._names)

    @property
    def punches(self) -> pd.DataFrame:
        """Each attempt at a hole punch; columns: `natlab.lab.views.punches`."""
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
        """
        line = self._known(hosts) or self._cast()
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

        line, events = hosts or self._cast(), self.journal.events
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

        Each host or NAT box is an interface of the file; a packet that was dropped carries the rule as its comment.

        Args:
            places: hosts and NAT boxes, to capture what they saw; by default each packet once, as first sent.

        Raises:
            LabError: no such place.
        """
        seen = capture.seen_at(self.journal, self._known(places)) if places else capture.first_sent(self.journal)
        with Path(path).open("wb") as file:
            return pcapng.write(file, places or [place.name for place in self._places], seen, epoch=int(EPOCH))

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
                raise LabError(f"there is no {name!r} in this lab (there are: {', '.join(known) or 'none yet'})")
        return names

    def _cast(self) -> tuple[str, ...]:
        return tuple(p.name for p in self._places if p.kind in COMPUTERS and p.name not in self._crowd)


def _limits(service: RelayLimits | bool) -> RelayLimits | None:
    """What the node takes: limits, or None for no service."""
    return service if isinstance(service, RelayLimits) else RelayLimits() if service else None
