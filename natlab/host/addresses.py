"""What a node may call its own address.

| kind | where it comes from | told to others |
|---|---|---|
| listen address | the listeners; a wildcard stands for every interface | as far as the listen-address filter allows |
| observed address | peers say in identify where they see us | once *activated*: 4 distinct observers agree |
| mapped address | the gateway opened a port for us | always |
| relayed address | reservations with relays | always |

A node behind a NAT knows its external endpoint only by being told, and any one peer could lie or be special: so an
address counts when four observers at distinct IPv4 addresses (IPv6: distinct /56) agree. Hole punching is less picky:
CONNECT carries every address that anybody saw (go-libp2p since v0.44).

An observation counts only for a connection from or to a port we listen on: the mapping of an ephemeral port leads
nowhere. It lasts as long as the observer's connections.

Source: go-libp2p v0.51 `p2p/host/observedaddrs/manager.go`, `p2p/protocol/identify/id.go`. *Not modelled*: deriving
the NAT's type from the observations.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from multiaddr import Multiaddr

from natlab.endpoint import Endpoint, parse_ip
from natlab.net import Network
from natlab.transport.connection import Connection
from natlab.wire import address

ACTIVATION_THRESHOLD = 4
"""Distinct observers that make an observed address one of ours."""
MAX_EXTERNAL = 3
"""Observed addresses used for each listening port."""
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))


@dataclass(slots=True)
class _Seen:
    """Who sees one of our listening ports at one external endpoint: observer group -> its connections, by number."""

    observers: dict[str, set[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of an observation: how many distinct observers the address has now."""

    address: Multiaddr
    observers: int

    @property
    def activated(self) -> bool:
        return self.observers >= ACTIVATION_THRESHOLD


class OwnAddresses:
    """The addresses of one node."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._listening: list[Endpoint] = []
        self._has_wildcard = False  # behind one is whatever interface there is now
        self._seen: dict[int, dict[Endpoint, _Seen]] = {}  # by listening port
        self._relayed: dict[Multiaddr, None] = {}
        self._mapped: dict[Multiaddr, None] = {}
        self._all: tuple[Multiaddr, ...] | None = None  # these two until something changes
        self._punchable: tuple[Multiaddr, ...] | None = None

    @property
    def listening(self) -> tuple[Endpoint, ...]:
        """What we listen at, wildcards as they are."""
        return tuple(self._listening)

    def listening_on(self, local: Endpoint) -> None:
        """A listener was opened."""
        self._listening.append(local)
        self._has_wildcard |= parse_ip(local.ip).is_unspecified
        self._changed()

    def set_mapped(self, externals: Iterable[Endpoint]) -> None:
        """Where our gateway lets strangers in now."""
        self._mapped = {address.from_endpoint(external): None for external in externals}
        self._changed()

    def set_relayed(self, addresses: Iterable[Multiaddr]) -> None:
        """The circuit addresses that reservations give us now."""
        self._relayed = dict.fromkeys(addresses)
        self._changed()

    @property
    def listen(self) -> tuple[Multiaddr, ...]:
        """Listen addresses, wildcards resolved to interfaces."""
        found: dict[Multiaddr, None] = {}
        for local in self._listening:
            for ip in self._interfaces(local):
                found.setdefault(address.from_endpoint(Endpoint(ip, local.port)))
        return tuple(found)

    @property
    def all(self) -> tuple[Multiaddr, ...]:
        """Everything we would tell anybody: listen, mapped, activated observed, relayed."""
        if self._all is None or self._has_wildcard:
            observed = self.observed(ACTIVATION_THRESHOLD)
            self._all = tuple(dict.fromkeys((*self.listen, *self._mapped, *observed, *self._relayed)))
        return self._all

    def punchable(self) -> tuple[Multiaddr, ...]:
        """What DCUtR's CONNECT carries: direct public addresses, those with a single observer included."""
        if self._punchable is None or self._has_wildcard:
            candidates = dict.fromkeys((*self.listen, *self._mapped, *self.observed(1)))
            self._punchable = tuple(own for own in candidates if address.is_public(own))
        return self._punchable

    def told_to(self, remote: Multiaddr) -> tuple[Multiaddr, ...]:
        """The listen-address filter: to loopback all, to a private address no loopback, to a public one only public."""
        if address.is_public(remote):
            return tuple(own for own in self.all if address.is_public(own))
        if is_loopback(remote):
            return self.all
        return tuple(own for own in self.all if not is_loopback(own))

    def observed(self, minimum: int) -> tuple[Multiaddr, ...]:
        """Observed addresses with at least `minimum` observers; most observers first, at most 3 for each port."""
        chosen: dict[Multiaddr, None] = {}
        for seen_at in self._seen.values():
            ranked = sorted(seen_at.items(), key=lambda item: (-len(item[1].observers), str(item[0])))
            for external, seen in ranked[:MAX_EXTERNAL]:
                if len(seen.observers) >= minimum:
                    chosen.setdefault(address.from_endpoint(external))
        return tuple(chosen)

    def observe(self, connection: Connection, observed: Multiaddr) -> Observation | None:
        """The peer at the other end says where it sees our end.

        Returns:
            None where that tells nothing: said before, through a relay, loopback, NAT64, not from a listening port.
        """
        if connection.relayed or not (
            address.is_direct_tcp(observed) and address.is_direct_tcp(connection.route.local)
        ):
            return None
        external = address.to_endpoint(observed)
        local = address.to_endpoint(connection.route.local)
        if _is_ignored(external) or not self._is_listening(local) or external.version != local.version:
            return None
        observer = _observer_group(address.to_endpoint(connection.route.remote))
        before = self._seen.get(local.port, {}).get(external)
        if before and connection.number in before.observers.get(observer, ()):
            return None
        self.forget(connection)  # it may have seen us elsewhere before
        seen = self._seen.setdefault(local.port, {}).setdefault(external, _Seen())
        seen.observers.setdefault(observer, set()).add(connection.number)
        self._changed()
        return Observation(observed, len(seen.observers))

    def forget(self, connection: Connection) -> None:
        """The connection is gone, and what was observed over it."""
        for seen_at in self._seen.values():
            for external, seen in list(seen_at.items()):
                for observer, connections in list(seen.observers.items()):
                    connections.discard(connection.number)
                    if not connections:
                        del seen.observers[observer]
                        self._changed()
                if not seen.observers:
                    del seen_at[external]

    def _changed(self) -> None:
        self._all = self._punchable = None

    def _is_listening(self, local: Endpoint) -> bool:
        return any(local.port == ours.port and local.ip in self._interfaces(ours) for ours in self._listening)

    def _interfaces(self, local: Endpoint) -> list[str]:
        if not parse_ip(local.ip).is_unspecified:
            return [local.ip]
        return [ip for ip in self._network.addresses() if parse_ip(ip).version == local.version]


def is_loopback(at: Multiaddr) -> bool:
    """Whether a direct TCP address is on this computer."""
    return address.is_direct_tcp(at) and address.to_endpoint(at).address.is_loopback


def _is_ignored(external: Endpoint) -> bool:
    ip = external.address
    return ip.is_loopback or ip.is_unspecified or any(ip in network for network in NAT64 if ip.version == 6)


def _observer_group(remote: Endpoint) -> str:
    """Who counts as one observer: an IPv4 address, or an IPv6 /56, which one household has."""
    if remote.version == 4:
        return remote.ip
    return str(ipaddress.IPv6Network(f"{remote.ip}/56", strict=False))
