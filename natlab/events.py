"""What can happen in a lab: one frozen value per kind of event, and the journal that keeps them.

Hosts, NAT boxes and nodes emit events into one `Journal`; tables, graphs, ladders and tests are views of it.
Recording is a choice: a journal made for some kinds only keeps those, and whoever emits asks `wants(kind)` first, so
what nobody asked to record costs one attribute look-up.

`time` is in seconds since the lab began; `place` is the name of the host, NAT box or node where it happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from natlab.endpoint import Endpoint
from natlab.packet import Packet


class Verdict(StrEnum):
    """What became of a packet at one place."""

    SENT = "sent"  # left the host that made it
    FORWARDED = "forwarded"  # went through a router unchanged
    TRANSLATED = "translated"  # went through a NAT box; `packet` is as it left
    DELIVERED = "delivered"  # reached a socket
    DROPPED = "dropped"  # refused here; `reason` names the rule
    LOST = "lost"  # lost on a link; `reason` says how
    DUPLICATED = "duplicated"  # a copy, made by a link; `before` is what it copies


@dataclass(frozen=True, slots=True)
class Event:
    """Attributes: time in seconds since the lab began; place, the name of whoever emitted it."""

    time: float
    place: str


@dataclass(frozen=True, slots=True)
class PacketSeen(Event):
    """A packet at one place. `before` is the packet as it came in, where a NAT box rewrote it or a link copied it."""

    packet: Packet
    verdict: Verdict
    reason: str = ""
    before: Packet | None = None


@dataclass(frozen=True, slots=True)
class LinkCut(Event):
    """The link of `place` was cut: it and what is behind it are partitioned from the rest."""


@dataclass(frozen=True, slots=True)
class LinkHealed(Event):
    """The link of `place` works again."""


@dataclass(frozen=True, slots=True)
class Rebooted(Event):
    """A NAT box forgot everything. `external_ips` are its addresses since then."""

    external_ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MappingCreated(Event):
    """A NAT box (`place`) made a mapping. `remote` is what the mapping depends on, "" for endpoint-independent."""

    mapping: int
    protocol: str
    internal: Endpoint
    external: Endpoint
    remote: str
    expires: float


@dataclass(frozen=True, slots=True)
class MappingRefreshed(Event):
    """A packet used a mapping; it now ends at `expires` unless used again."""

    mapping: int
    expires: float


@dataclass(frozen=True, slots=True)
class MappingEnded(Event):
    """A mapping is gone. Mappings expire lazily: `time` is when it ended, not when the box noticed."""

    mapping: int
    reason: str


@dataclass(frozen=True, slots=True)
class PortMapped(Event):
    """A gateway (`place`) gave a host an external port, or `renewed` it. `service` is "nat-pmp", "pcp" or "upnp"."""

    service: str
    protocol: str
    internal: Endpoint
    external: Endpoint
    expires: float
    renewed: bool


@dataclass(frozen=True, slots=True)
class PortUnmapped(Event):
    """A lease of a gateway is over. Leases lapse lazily: `time` is when it ended, not when the gateway noticed."""

    protocol: str
    external: Endpoint
    reason: str


@dataclass(frozen=True, slots=True)
class PortMapRefused(Event):
    """A gateway (`place`) did not give a host a port, and why."""

    service: str
    protocol: str
    internal: Endpoint
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionOpened(Event):
    """A node has a new, secured connection. One event at each end.

    `connection` numbers the connections of one node. `role` is "dialer" or "listener"; `path` is "direct" or
    "relayed"; `opened_by` is "dial", "reversal" or "hole punch"; `local` and `remote` are multiaddrs as text.
    """

    connection: int
    peer: str
    role: str
    transport: str
    path: str
    opened_by: str
    local: str
    remote: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ConnectionClosed(Event):
    connection: int
    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class RoundTripMeasured(Event):
    """A ping over a connection: Yamux's, at once and with each keepalive, or the ping protocol's."""

    connection: int
    peer: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AddressObserved(Event):
    """`place` was told by `observer` that it is seen at `address`. `observers` counts distinct ones so far."""

    observer: str
    address: str
    connection: int
    observers: int
    activated: bool


@dataclass(frozen=True, slots=True)
class DialFailed(Event):
    """One address of a dial did not work out."""

    peer: str
    address: str
    cause: str


@dataclass(frozen=True, slots=True)
class MessageSeen(Event):
    """A message of a dialogue, e.g. DCUtR's CONNECT. `sent` tells which end `place` is."""

    peer: str
    protocol: str
    name: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Reserved(Event):
    """`place` asked `relay` for a reservation and was answered. `expires` is Unix time, 0 when refused."""

    relay: str
    status: str
    expires: float


@dataclass(frozen=True, slots=True)
class CircuitEnded(Event):
    """A relay (`place`) carries a circuit no longer. `source` dialled `target` through it."""

    source: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class PunchDialled(Event):
    """One end starts its dials for a hole punch. The two ends' times differ by the sync error."""

    peer: str
    role: str
    attempt: int


@dataclass(frozen=True, slots=True)
class PunchEnded(Event):
    """One attempt as its initiator saw it. `attempt` 0 is connection reversal; `outcome` "success" or the cause."""

    peer: str
    transport: str
    attempt: int
    rtt: float
    outcome: str


@dataclass(frozen=True, slots=True)
class HandlerFailed(Event):
    """A protocol handler ended with an error; the stream was reset and the node goes on."""

    peer: str
    protocol: str
    cause: str


E = TypeVar("E", bound=Event)


class Journal:
    """The record of one lab, in the order things happened.

    Args:
        kinds: the event classes to keep; None keeps all, an empty tuple none.
    """

    def __init__(self, kinds: Iterable[type[Event]] | None = None) -> None:
        self.events: list[Event] = []
        self._kinds = None if kinds is None else frozenset(kinds)

    def wants(self, kind: type[Event]) -> bool:
        return self._kinds is None or kind in self._kinds

    def emit(self, event: Event) -> None:
        if self._kinds is None or type(event) in self._kinds:
            self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """All events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    def until(self, time: float) -> Journal:
        """The journal as it stood at `time`, in seconds since the lab began."""
        earlier = Journal()
        earlier.events = [event for event in self.events if event.time <= time]
        return earlier
