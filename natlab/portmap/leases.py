"""The gateway's table: who inside has been given which external port, by which protocol, and until when.

One table for all protocols, so that what UPnP gave away PCP cannot give again. Each lease is a port forward of the NAT
box (`NatBox.forward`), which does the translating; the table adds what only the services need to know.

    grant ──> lease ──grant again──> the same lease, until later
                ├── `until` passes ──> gone, the next time anybody asks
                ├── `release` ──> gone, with the conversations through it
                └── the box reboots ──> gone, and `epoch` begins at zero: that is how clients notice

A grant is limited: ports below `first_port` belong to the gateway, each host has a quota, and so have all together.
Whoever holds a port for one transport protocol keeps others from it for the other one too (RFC 6886 section 3.3).

*Not modelled*: leases on other external addresses than the box's first one.

No protocol's words here, and no clock: virtual time comes in, a `Lease` or a `Denial` comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from natlab.endpoint import Endpoint
from natlab.events import Journal, PortMapped, PortMapRefused, PortUnmapped
from natlab.nat import FOREVER, NatBox
from natlab.nat.mapping import Remotes
from natlab.packet import IPProtocol
from natlab.portmap.config import GatewayConfig, Service

__all__ = ["Denial", "Lease", "Leases", "Wish"]

_SECOND = 1_000_000_000


class Denial(StrEnum):
    """Why there is no lease; each protocol has its own number for it."""

    NOT_AUTHORIZED = "not authorized: port mapping is turned off here"
    QUOTA = "quota: this host has as many leases as one may have"
    FULL = "full: the gateway has no more leases, or no more ports"
    TAKEN = "taken: the one port that would do is not to be had"


@dataclass(frozen=True, slots=True)
class Lease:
    """One port, given away.

    Attributes:
        protocol: UDP or TCP, an `IPProtocol`.
        internal, external: the two endpoints.
        until: virtual time in nanoseconds, or `FOREVER`.
        service: the protocol by which it was asked for.
        remotes: who may send there; empty for everybody.
        nonce: PCP: what a client must know to change it.
        description: UPnP: what the client calls it.
    """

    protocol: int
    internal: Endpoint
    external: Endpoint
    until: int
    service: Service
    remotes: Remotes = ()
    nonce: bytes = b""
    description: str = ""

    def seconds(self, now_ns: int) -> int:
        """How long it lasts yet; 0 for one without an end, as UPnP writes it."""
        return 0 if self.until == FOREVER else max(0, -(-(self.until - now_ns) // _SECOND))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a host asks for, whatever the protocol.

    Attributes:
        port: the external port it would like; 0 for any.
        seconds: how long; None for ever.
        exact: that port or none. Otherwise one that the internal endpoint is visible at already comes first.
        remotes, nonce, description: as in `Lease`.
    """

    service: Service
    protocol: int
    internal: Endpoint
    port: int
    seconds: int | None
    exact: bool = False
    remotes: Remotes = ()
    nonce: bytes = b""
    description: str = ""


class Leases:
    """The table of one box.

    Args:
        rng: where "any port" comes from.
        journal: where its events go.
        now_ns: the box's time.
    """

    def __init__(
        self, box: NatBox, config: GatewayConfig, rng: Random, journal: Journal, now_ns: Callable[[], int]
    ) -> None:
        self.config = config
        self._box = box
        self._rng = rng
        self._journal = journal
        self._now = now_ns
        self._seen_up_since = box.up_since
        self._leases: dict[tuple[int, int], Lease] = {}  # by protocol and external port, oldest first

    @property
    def external_ip(self) -> str:
        """The external address that clients are told: the box's, unless the router lies."""
        return self.config.reports or self._box.external_ip

    @property
    def epoch(self) -> int:
        """Seconds since the table was last empty by accident."""
        self._sweep()
        return (self._now() - self._box.up_since) // _SECOND

    @property
    def now_ns(self) -> int:
        return self._now()

    def __iter__(self) -> Iterator[Lease]:
        self._sweep()
        return iter(list(self._leases.values()))

    def at(self, protocol: int, port: int) -> Lease | None:
        """The lease of an external port."""
        self._sweep()
        return self._leases.get((protocol, port))

    def of(self, protocol: int, internal: Endpoint) -> Lease | None:
        """The first lease of an internal endpoint."""
        return next((lease for lease in self if (lease.protocol, lease.internal) == (protocol, internal)), None)

    def visible(self, protocol: int, internal: Endpoint) -> Endpoint | None:
        """Where the world finds an internal endpoint already, by a lease, a forward made by hand, or what it sent."""
        return self._box.external_of(protocol, internal, self._now())

    def has_manual(self, protocol: int, internal: Endpoint) -> bool:
        """Whether somebody has forwarded a port to this internal endpoint by hand; no service may take that back."""
        return self.of(protocol, internal) is None and self._box.has_forward(protocol, internal, self._now())

    def grant(self, wish: Wish) -> Lease | Denial:
        """Gives a port to an internal endpoint, or renews what it has."""
        self._sweep()
        granted = self._granted(wish)
        if isinstance(granted, Denial):
            self._emit_refusal(wish, granted)
            return granted
        if self._is_manual(wish.protocol, wish.internal, granted.external.port):
            return granted  # open already, and for longer
        self._box.forward(wish.protocol, granted.external, wish.internal, self._now(), granted.until, wish.remotes)
        key = wish.protocol, granted.external.port
        self._emit_grant(granted, renewed=key in self._leases)
        self._leases[key] = granted
        return granted

    def release(self, lease: Lease, reason: str = "released: its host gave it back") -> None:
        """Ends a lease, and the conversations through it."""
        if self._leases.pop((lease.protocol, lease.external.port), None) is None:
            return
        self._box.unforward(lease.protocol, lease.external, self._now())
        self._emit_end(lease, reason, self._now())

    def _granted(self, wish: Wish) -> Lease | Denial:
        if self.config.refuses:
            return Denial.NOT_AUTHORIZED
        port = self._choose(wish)
        if port is None:
            return Denial.TAKEN if wish.exact else Denial.FULL
        if (wish.protocol, port) not in self._leases:
            if (
                sum(lease.internal.ip == wish.internal.ip for lease in self._leases.values())
                >= self.config.leases_per_host
            ):
                return Denial.QUOTA
            if len(self._leases) >= self.config.leases:
                return Denial.FULL
        until = FOREVER if wish.seconds is None else self._now() + wish.seconds * _SECOND
        external = Endpoint(self._box.external_ip, port)
        kept = wish.remotes, wish.nonce, wish.description
        return Lease(wish.protocol, wish.internal, external, until, wish.service, *kept)

    def _choose(self, wish: Wish) -> int | None:
        """RFC 6886 section 3.3: a mapping that exists for whatever reason, else the port suggested, else any."""

        def free(port: int) -> bool:
            return self._is_free(wish.protocol, wish.internal, port)

        if wish.exact:
            return wish.port if free(wish.port) else None
        visible = self.visible(wish.protocol, wish.internal)
        ours = visible is not None and visible.ip == self._box.external_ip
        for port in (visible.port if visible and ours else 0, wish.port):
            if port and free(port):
                return port
        ports = range(self.config.first_port, 65536)
        start = self._rng.randrange(len(ports))
        around = (ports[(start + i) % len(ports)] for i in range(len(ports)))
        return next(filter(free, around), None)

    def _is_free(self, protocol: int, internal: Endpoint, port: int) -> bool:
        external = Endpoint(self._box.external_ip, port)
        if port < self.config.first_port or self._box.other_holder(protocol, external, internal, self._now()):
            return False
        companion = self._leases.get((_other(protocol), port))
        return companion is None or companion.internal.ip == internal.ip

    def _is_manual(self, protocol: int, internal: Endpoint, port: int) -> bool:
        return (protocol, port) not in self._leases and self.has_manual(protocol, internal)

    def _sweep(self) -> None:
        """Drops what is over: by its own time, or because the box has forgotten it."""
        now, up_since = self._now(), self._box.up_since
        if up_since != self._seen_up_since:
            self._seen_up_since = up_since
            self._end(list(self._leases), "reboot: the gateway forgot everything", up_since)
        self._end([key for key, lease in self._leases.items() if lease.until <= now], "its lease was over", None)

    def _end(self, keys: list[tuple[int, int]], reason: str, at: int | None) -> None:
        for key in keys:
            lease = self._leases.pop(key)
            self._emit_end(lease, reason, lease.until if at is None else min(at, lease.until))

    def _emit_grant(self, lease: Lease, renewed: bool) -> None:
        if self._journal.wants(PortMapped):
            expires = math.inf if lease.until == FOREVER else lease.until / _SECOND
            names = lease.service.value, IPProtocol(lease.protocol).name
            self._journal.emit(
                PortMapped(self._seconds(), self._box.name, *names, lease.internal, lease.external, expires, renewed)
            )

    def _emit_refusal(self, wish: Wish, why: Denial) -> None:
        if self._journal.wants(PortMapRefused):
            names = wish.service.value, IPProtocol(wish.protocol).name
            self._journal.emit(PortMapRefused(self._seconds(), self._box.name, *names, wish.internal, why.value))

    def _emit_end(self, lease: Lease, reason: str, at_ns: int) -> None:
        if self._journal.wants(PortUnmapped):
            name = IPProtocol(lease.protocol).name
            self._journal.emit(PortUnmapped(at_ns / _SECOND, self._box.name, name, lease.external, reason))

    def _seconds(self) -> float:
        return self._now() / _SECOND


def _other(protocol: int) -> int:
    return IPProtocol.TCP if protocol == IPProtocol.UDP else IPProtocol.UDP
