"""A node and its relays: reservations kept with others, circuits taken in, and the relay service for others.

    we reserve     hop RESERVE ──> the address through the relay is ours ──> renewed 2 min before it expires
                                                                        └──> gone with the connection to the relay
    we are called  stop CONNECT from a relay we reserved with ──> circuit ──> upgraded as responder
    we are a relay hop from anybody ──> `natlab.protocol.relay`

The dialogues are in `natlab.protocol.circuit` and `.relay`. Source: libp2p specs `relay/circuit-v2.md`; numbers of
go-libp2p `p2p/host/autorelay/relay_finder.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from multiaddr import Multiaddr

from natlab.errors import ClosedError, NatlabError, ProtocolError, RefusedError
from natlab.events import CircuitEnded, Reserved
from natlab.host.core import Core
from natlab.net import Stream
from natlab.protocol.circuit import HOP_ID, STOP_ID, Reservation, Status, reserve, status_name
from natlab.protocol.relay import Carried, CircuitEnd, Client, RelaySelf, serve_hop
from natlab.protocol.reservations import RelayLimits, Reservations
from natlab.transport import circuit
from natlab.transport.connection import Connection
from natlab.transport.negotiate import negotiated
from natlab.transport.stream import MuxedStream
from natlab.transport.tasks import Tasks
from natlab.wire import address
from natlab.wire.peer_id import PeerId

RENEW_BEFORE = 120.0
"""Seconds before a reservation expires at which it is renewed."""
MAX_CIRCUITS = 128
"""Hop or stop streams of one connection that are served at a time. Source: go-libp2p `limits.go`."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A reservation of ours, and the connection it lives and dies with. `over` is set once it is lost or replaced."""

    reservation: Reservation
    connection: Connection
    over: asyncio.Event


class RelayClient:
    """Our reservations, and the circuits that come in by them.

    Args:
        on_changed: told when our relayed addresses have changed.
    """

    def __init__(self, core: Core, *, on_changed: Callable[[], None]) -> None:
        self._core = core
        self._on_changed = on_changed
        self._held: dict[PeerId, _Held] = {}
        self.tasks = Tasks()
        core.swarm.protect(self._held.__contains__)
        core.protocols.add(STOP_ID, self._called, at_once=MAX_CIRCUITS, keeps_stream=True)

    async def reserve(self, connection: Connection) -> Reservation:
        """Reserves with the relay at the other end, and keeps the reservation alive.

        Raises:
            RefusedError: it said no.
            NegotiationError: it is no relay.
            ClosedError: the connection ended.
        """
        reservation = await self._ask(connection)
        connection.check_open()
        if before := self._held.get(connection.peer):
            before.over.set()
        held = self._hold(_Held(reservation, connection, asyncio.Event()))
        self.tasks.start(self._renew(held), f"{self._core.recorder.place} renews with {connection.peer}")
        return reservation

    def address_via(self, relay: PeerId) -> Multiaddr | None:
        """Our first address through a relay we have reserved with."""
        held = self._held.get(relay)
        return self._through(held)[0] if held else None

    def closed(self, connection: Connection) -> None:
        """A connection is gone, and the reservation with it."""
        held = self._held.get(connection.peer)
        if held and held.connection is connection:
            self._lose(held)

    async def _ask(self, connection: Connection) -> Reservation:
        relay, now = connection.peer, self._core.network.now()
        try:
            stream = await negotiated(connection.open_stream(), HOP_ID)
            reservation = await reserve(stream, relay=relay, own=self._core.peer, now=now)
        except NatlabError as error:
            self._note(relay, status_name(error.status) if isinstance(error, RefusedError) else str(error), 0.0)
            raise
        self._note(relay, Status.OK.name, reservation.expires)
        return reservation

    def _note(self, relay: PeerId, status: str, expires: float) -> None:
        self._core.recorder.emit(Reserved(*self._core.recorder.here, str(relay), status, expires))

    async def _renew(self, held: _Held) -> None:
        """Renews it again and again, as long as it is the one we hold with this relay."""
        while not await self._over_before_renewal(held):
            try:
                reservation = await self._ask(held.connection)
            except NatlabError:
                self._lose(held)
                return
            if not held.over.is_set():
                held = self._hold(replace(held, reservation=reservation))

    async def _over_before_renewal(self, held: _Held) -> bool:
        """Waits until it is to be renewed; true if it was over before."""
        left = held.reservation.expires - self._core.network.now()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(left - RENEW_BEFORE, 1.0)):
                await held.over.wait()
        return held.over.is_set()

    def _hold(self, held: _Held) -> _Held:
        self._held[held.connection.peer] = held
        self._changed()
        return held

    def _lose(self, held: _Held) -> None:
        if not held.over.is_set():
            held.over.set()
            del self._held[held.connection.peer]
            self._changed()

    def _changed(self) -> None:
        self._core.own.set_relayed(through for held in self._held.values() for through in self._through(held))
        self._on_changed()

    def _through(self, held: _Held) -> list[Multiaddr]:
        """The addresses the relay gave; it gives public ones only, and with none left the one we reached it at."""
        given = [one for one in held.reservation.addresses if not address.is_relayed(one)]
        relay = held.connection.peer
        return [address.via_relay(address.with_peer(one, relay)) for one in given or [held.connection.route.remote]]

    async def _called(self, stream: MuxedStream, connection: Connection) -> None:
        """Somebody calls us through a relay."""
        if connection.peer not in self._held:
            raise ProtocolError("a circuit from a relay we have no reservation with")
        source, route = await circuit.accept(stream)
        await self._core.swarm.establish(stream, route, initiator=False, expected=source)


class RelayService:
    """The relay for others, within `limits`."""

    def __init__(self, core: Core, limits: RelayLimits) -> None:
        self._core = core
        self._table = Reservations(limits)
        core.swarm.protect(self._table.__contains__)
        core.protocols.add(HOP_ID, self._serve, at_once=MAX_CIRCUITS)

    def closed(self, connection: Connection) -> None:
        """A connection is gone; with the last one to a peer goes its reservation."""
        if not self._core.swarm.direct_to(connection.peer):
            self._table.release(connection.peer)

    async def _serve(self, stream: MuxedStream, connection: Connection) -> None:
        remote = connection.route.remote
        ip = "" if connection.relayed else address.to_endpoint(remote).ip
        served = await serve_hop(
            stream,
            Client(connection.peer, ip, connection.relayed),
            relay=RelaySelf(self._core.key, [own for own in self._core.own.all if not address.is_relayed(own)]),
            table=self._table,
            now=self._core.network.now,
            open_stop=self._open_stop,
        )
        if served:
            here, reason = self._core.recorder.here, self._why(served, connection)
            self._core.recorder.emit(CircuitEnded(*here, str(connection.peer), str(served.target), reason))

    def _why(self, served: Carried, source: Connection) -> str:
        limit = self._table.limits.circuit
        match served.end:
            case CircuitEnd.DATA_LIMIT:
                return f"relay limit: {limit.data / 1024:g} KiB"
            case CircuitEnd.DURATION_LIMIT:
                return f"relay limit: {limit.duration} s"
            case CircuitEnd.RESET if source.closed is not None:
                return f"the relay has lost {source.peer}"
            case CircuitEnd.RESET if not self._core.swarm.direct_to(served.target):
                return f"the relay has lost {served.target}"
            case CircuitEnd.RESET:
                return "reset by one end"
            case CircuitEnd.CLOSED:
                return "closed by both ends"

    async def _open_stop(self, target: PeerId) -> Stream:
        connection = self._core.swarm.direct_to(target)
        if connection is None:
            raise ClosedError(f"no connection to {target}")
        return await negotiated(connection.open_stream(), STOP_ID)
