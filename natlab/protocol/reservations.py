"""What a relay has promised to whom: reservations and circuits, counted against its limits.

Spec: libp2p/specs `relay/circuit-v2.md`, "Reservation" and "Connection Initiation", which leaves the numbers to the
relay; those of `RelayLimits` are go-libp2p's (`p2p/protocol/circuitv2/relay/resources.go`).

A table, not a service: no clock and no stream. Time comes in, a grant or a `RefusedError` with the spec's status
comes out.

    reserve ──> held ──reserve again──> held until later
                 ├── `expires` passes ──> gone, the next time anybody asks
                 └── `release`: the peer disconnected ──> gone ("If the peer disconnects, the reservation is no
                                                              longer valid")

*Not modelled*: filtering by access lists (`PERMISSION_DENIED`), limits per autonomous system, rates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from natlab.errors import RefusedError
from natlab.protocol.circuit import Limit, Status
from natlab.wire.peer_id import PeerId


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """How much a relay gives.

    Attributes:
        ttl: seconds a reservation lasts.
        reservations: held at once, by all peers together. Each peer has one at most; asking again renews it.
        reservations_per_ip: held at once by peers seen at one IP address.
        circuits_per_peer: open at once from or to one peer.
        circuit: what each circuit may last and carry.
    """

    ttl: int = 3600
    reservations: int = 128
    reservations_per_ip: int = 8
    circuits_per_peer: int = 16
    circuit: Limit = field(default=Limit(duration=120, data=128 * 1024))


@dataclass(frozen=True, slots=True)
class _Place:
    expires: int
    ip: str


class Reservations:
    """The relay's table. All times are Unix times in seconds."""

    def __init__(self, limits: RelayLimits) -> None:
        self.limits = limits
        self._places: dict[PeerId, _Place] = {}
        self._circuits: Counter[PeerId] = Counter()

    def reserve(self, peer: PeerId, ip: str, now: float) -> int:
        """Grants or renews a place.

        Args:
            ip: the address the peer is seen at, as canonical text.

        Returns:
            When it expires.

        Raises:
            RefusedError: the table is full, or too many come from this address (`RESERVATION_REFUSED`).
        """
        self._drop_expired(now)
        others = [place for holder, place in self._places.items() if holder != peer]
        if len(others) >= self.limits.reservations:
            raise RefusedError("all places are taken", Status.RESERVATION_REFUSED)
        if sum(place.ip == ip for place in others) >= self.limits.reservations_per_ip:
            raise RefusedError(f"too many reservations from {ip}", Status.RESERVATION_REFUSED)
        self._places[peer] = _Place(int(now) + self.limits.ttl, ip)
        return self._places[peer].expires

    def holds(self, peer: PeerId, now: float) -> bool:
        """Whether the peer has a place that has not expired."""
        self._drop_expired(now)
        return peer in self._places

    def __contains__(self, peer: PeerId) -> bool:
        """Whether the peer has a place, be it one that has just expired."""
        return peer in self._places

    def release(self, peer: PeerId) -> None:
        """The peer's last connection is gone, and its reservation with it. Harmless if it has none."""
        self._places.pop(peer, None)

    def open_circuit(self, source: PeerId, target: PeerId, now: float) -> None:
        """Counts a circuit from `source` to `target`; `close_circuit` must follow.

        Raises:
            RefusedError: the target has no reservation (`NO_RESERVATION`), or either has too many circuits
                (`RESOURCE_LIMIT_EXCEEDED`).
        """
        if not self.holds(target, now):
            raise RefusedError(f"{target} has no reservation", Status.NO_RESERVATION)
        for peer in (source, target):
            if self._circuits[peer] >= self.limits.circuits_per_peer:
                raise RefusedError(f"too many circuits of {peer}", Status.RESOURCE_LIMIT_EXCEEDED)
        self._circuits.update((source, target))

    def close_circuit(self, source: PeerId, target: PeerId) -> None:
        """The circuit is over."""
        self._circuits.subtract((source, target))
        self._circuits = +self._circuits

    def _drop_expired(self, now: float) -> None:
        self._places = {peer: place for peer, place in self._places.items() if now < place.expires}
