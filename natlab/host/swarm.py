"""The swarm: all connections of a node, how they come about, and which one to use.

    dial    TCP from the listening port (port reuse), or a circuit ──> upgrade as initiator ──┐
    accept  a listener, or a relay's stop stream ───────────────────> upgrade as responder ──┤──> connections
    punch   all addresses at once, upgraded in DCUtR's role ─────────────────────────────────┘

Dials leave from a port we listen on (`listeners`). If the 4-tuple is taken, or two ordinary dials met in a simultaneous
open for which nobody has agreed on roles, an ordinary dial falls back on another port. A punch must not, for it would
open the wrong hole. There, EADDRNOTAVAIL says that the peer's SYN has come in already, and the accepted connection is
the punch's.

For new streams direct connections go before relayed ones, then older ones first.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from weakref import WeakValueDictionary

from multiaddr import Multiaddr

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, DecodeError, NatlabError, SocketError, UnreachableError
from natlab.events import ConnectionClosed, ConnectionOpened, DialFailed, RoundTripMeasured
from natlab.host.backoff import Backoff
from natlab.host.listeners import Listeners
from natlab.host.record import Recorder
from natlab.host.trimming import HIGH_WATER, MAX_CONNECTIONS, to_trim
from natlab.net import ByteStream, Network, TcpConnection, TcpListener
from natlab.transport import circuit
from natlab.transport.connection import Connection, Route
from natlab.transport.stream import MuxedStream
from natlab.transport.tasks import Tasks, first_success
from natlab.transport.upgrade import Credentials, upgrade
from natlab.wire import address
from natlab.wire.peer_id import PeerId

TCP_CONNECT_TIMEOUT = 5.0
"""Seconds for a TCP handshake. Source: go-libp2p `p2p/transport/tcp/tcp.go`."""
DIAL_TIMEOUT = 15.0
"""Seconds for one address, handshakes included. Source: go-libp2p `p2p/net/swarm/swarm.go`."""
RELAY_DELAY = 0.5
"""Seconds that direct addresses are ahead of relayed ones. Source: go-libp2p `p2p/net/swarm/dial_ranker.go`."""
DIALS_PER_PEER = 8
"""Dials to one peer at a time. Source: go-libp2p `p2p/net/swarm/swarm_dial.go`."""
DIALS_PER_PUNCH = 16
"""Dials of a hole punch at a time; ours. More would let a peer have us knock at strangers' doors."""


class Swarm:
    """The connections of one node.

    Args:
        keepalive: see `Node`.
        on_stream: told of each stream a peer opens.
        on_opened, on_closed: told of each connection, once.
    """

    def __init__(
        self,
        network: Network,
        credentials: Credentials,
        recorder: Recorder,
        *,
        keepalive: float | None,
        reuse_port: bool,
        on_stream: Callable[[MuxedStream], None],
        on_opened: Callable[[Connection], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        self._network = network
        self._credentials = credentials
        self._recorder = recorder
        self._keepalive = keepalive
        self._on_stream = on_stream
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._listeners = Listeners(network, reuse_port=reuse_port)
        self._connections: dict[int, Connection] = {}  # by number, so oldest first
        self._made = 0
        self._upgrading = 0
        self._is_closed = False
        self._punching: dict[PeerId, dict[asyncio.Future[Connection], str]] = {}  # who waits, and for what
        self._locks: WeakValueDictionary[PeerId, asyncio.Lock] = WeakValueDictionary()  # gone with the last dial
        self._tasks = Tasks()
        self._ending = Tasks()
        self._backoff = Backoff()
        self._protected: list[Callable[[PeerId], bool]] = [self._punching.__contains__]

    @property
    def connections(self) -> tuple[Connection, ...]:
        return tuple(self._connections.values())

    def to(self, peer: PeerId) -> tuple[Connection, ...]:
        """The open connections to a peer that take new streams, best first."""
        found = [known for known in self._connections.values() if known.peer == peer and known.takes_streams]
        return tuple(sorted(found, key=lambda connection: (connection.relayed, connection.number)))

    def direct_to(self, peer: PeerId) -> Connection | None:
        return next((connection for connection in self.to(peer) if not connection.relayed), None)

    def protect(self, rule: Callable[[PeerId], bool]) -> None:
        """Peers of whom `rule` says yes keep their connections when there are too many."""
        self._protected.append(rule)

    # ---- accepting

    async def listen(self, local: Endpoint) -> Endpoint:
        """Raises SocketError."""
        listener = await self._listeners.open(local)
        self._tasks.start(self._accept_all(listener), f"{self._recorder.place} listens on {listener.local}")
        return listener.local

    async def _accept_all(self, listener: TcpListener) -> None:
        while True:
            try:
                tcp = await listener.accept()
            except ClosedError:
                return
            if len(self._connections) + self._upgrading >= MAX_CONNECTIONS:
                tcp.reset()
                continue
            route = self._route(tcp, dialled=False, opened_by="dial")
            self._tasks.start(self._accept(tcp, route), f"{self._recorder.place} upgrades {tcp.remote}")

    async def _accept(self, tcp: TcpConnection, route: Route) -> None:
        self._upgrading += 1
        try:
            await self.establish(tcp, route, initiator=False)
        except NatlabError:
            pass  # a stranger that spoke no libp2p, or changed its mind; `upgrade` has reset the connection
        finally:
            self._upgrading -= 1

    async def establish(
        self, below: ByteStream, route: Route, *, initiator: bool, expected: PeerId | None = None
    ) -> Connection:
        """Upgrades a byte stream and makes it one of our connections.

        Raises what `upgrade` raises, and ClosedError if the node has closed or has connections enough.
        """
        upgraded = await upgrade(below, self._credentials, initiator=initiator, expected=expected)
        if self._is_closed or (not route.dialled and len(self._connections) >= MAX_CONNECTIONS):
            below.reset()
            raise ClosedError("the node takes no more connections")
        self._made += 1
        if not route.dialled and not route.relayed:  # accepted while we were dialling the same peer: the punch's
            route = replace(route, opened_by=next(iter(self._punching.get(upgraded.peer, {}).values()), "dial"))
        connection = Connection(
            upgraded,
            route,
            self._made,
            keepalive=self._keepalive,
            on_stream=self._on_stream,
            on_round_trip=self._measured,
            on_closed=self._closed,
        )
        self._connections[connection.number] = connection
        self._backoff.connected(connection.peer)
        connection.start()
        self._opened(connection)
        self._trim()
        return connection

    def _trim(self) -> None:
        if len(self._connections) <= HIGH_WATER:
            return
        now = asyncio.get_running_loop().time()
        for connection in to_trim(self.connections, now, lambda peer: any(rule(peer) for rule in self._protected)):
            self._end(connection, f"given up: more than {HIGH_WATER} connections")

    # ---- dialling

    async def dial(self, peer: PeerId, addresses: Sequence[Multiaddr]) -> Connection:
        """Dials the peer; direct addresses have a head start. Two dials to one peer take turns.

        Raises:
            UnreachableError: no address works; if there is only one, what went wrong with it is raised as it is.
        """
        lock = self._locks.setdefault(peer, asyncio.Lock())
        async with lock:
            usable = self.to(peer) if all(map(address.is_relayed, addresses)) else [self.direct_to(peer)]
            return next(iter(usable), None) or await self._dial_all(peer, addresses)

    async def _dial_all(self, peer: PeerId, addresses: Sequence[Multiaddr]) -> Connection:
        foreign = [to for to in dict.fromkeys(addresses) if not self._listeners.is_own(to)]
        chosen = sorted(foreign, key=_has_no_transport)[:DIALS_PER_PEER]
        if not chosen:
            raise UnreachableError(f"no address of {peer} is known")
        any_direct = not all(map(address.is_relayed, chosen))
        outcome = await first_success([self._dial_one(peer, to, any_direct) for to in chosen], NatlabError)
        return _connection_of(peer, chosen, outcome)

    async def _dial_one(self, peer: PeerId, to: Multiaddr, any_direct: bool) -> Connection:
        if any_direct and address.is_relayed(to):
            await asyncio.sleep(RELAY_DELAY)
        self._check_backoff(peer, to)
        try:
            with self._noting_failure(peer, to):
                async with asyncio.timeout(DIAL_TIMEOUT):
                    if address.is_relayed(to):
                        return await self._dial_circuit(peer, to)
                    return await self._dial_direct(peer, to, initiator=True, opened_by="dial", other_port=True)
        except NatlabError:
            self._backoff.failed(peer, to, asyncio.get_running_loop().time())
            raise

    def _check_backoff(self, peer: PeerId, to: Multiaddr) -> None:
        """Raises UnreachableError."""
        left = self._backoff.until(peer, to) - asyncio.get_running_loop().time()
        if left > 0:
            raise UnreachableError(f"it was dialled in vain, and is left alone for {left:.1f} s more (dial backoff)")

    async def _dial_circuit(self, peer: PeerId, to: Multiaddr) -> Connection:
        relay_address, _ = address.split_relay(to)
        relay = address.peer_of(relay_address)
        if relay is None or relay == peer:
            raise UnreachableError(f"{to} names no relay to dial through")
        through = await self.dial(relay, [relay_address])
        below, route = await circuit.dial(through, peer)
        return await self.establish(below, route, initiator=True, expected=peer)

    async def _dial_direct(
        self, peer: PeerId, to: Multiaddr, *, initiator: bool, opened_by: str, other_port: bool
    ) -> Connection:
        """One TCP dial and its upgrade. `other_port` allows another local port if the listening one is of no use."""
        if not address.is_direct_tcp(to):
            raise UnreachableError(f"no transport for {to}: this node dials /ip4/.../tcp/... and /ip6/.../tcp/...")
        remote = address.to_endpoint(to)
        local = self._listeners.to_dial_from(remote)
        try:
            return await self._dial_from(local, remote, peer, initiator, opened_by)
        except (SocketError, DecodeError) as error:
            if not (other_port and local and _other_port_helps(error)):
                raise
        return await self._dial_from(None, remote, peer, initiator, opened_by)

    async def _dial_from(
        self, local: Endpoint | None, remote: Endpoint, peer: PeerId, initiator: bool, opened_by: str
    ) -> Connection:
        started = asyncio.get_running_loop().time()
        tcp = await self._connect(remote, local)
        route = self._route(tcp, dialled=True, opened_by=opened_by, started=started)
        return await self.establish(tcp, route, initiator=initiator, expected=peer)

    async def _connect(self, remote: Endpoint, local: Endpoint | None) -> TcpConnection:
        try:
            async with asyncio.timeout(TCP_CONNECT_TIMEOUT):
                return await self._network.dial_tcp(remote, local=local, reuse_port=local is not None)
        except TimeoutError as error:
            raise SocketError(errno.ETIMEDOUT, f"{remote} within {TCP_CONNECT_TIMEOUT:g} s") from error

    # ---- hole punching

    async def punch(
        self, peer: PeerId, addresses: Sequence[Multiaddr], *, initiator: bool, opened_by: str
    ) -> Connection:
        """Dials all addresses at once until a direct connection stands, dialled by us or accepted meanwhile.

        Dials that are not needed any more are reset, so that their 4-tuples are free for the next attempt.

        Raises:
            UnreachableError: every dial failed.
        """
        if direct := self.direct_to(peer):
            return direct
        accepted = self._next_direct(peer, opened_by)
        try:
            chosen = [to for to in addresses if not self._listeners.is_own(to)][:DIALS_PER_PUNCH]
            attempts = [self._punch_one(peer, to, accepted, initiator, opened_by) for to in chosen]
            outcome = await first_success(attempts, NatlabError, instead=accepted)
            return _connection_of(peer, chosen, outcome)
        finally:
            accepted.cancel()

    async def _punch_one(
        self, peer: PeerId, to: Multiaddr, accepted: asyncio.Future[Connection], initiator: bool, opened_by: str
    ) -> Connection:
        with self._noting_failure(peer, to):
            try:
                return await self._dial_direct(peer, to, initiator=initiator, opened_by=opened_by, other_port=False)
            except SocketError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                return await asyncio.shield(accepted)  # the peer's SYN was here first

    def _next_direct(self, peer: PeerId, opened_by: str) -> asyncio.Future[Connection]:
        """Done as soon as there is a direct connection to the peer; cancel it when that matters no more."""
        future: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        waiting = self._punching.setdefault(peer, {})
        waiting[future] = opened_by

        def forget(done: asyncio.Future[Connection]) -> None:
            del waiting[done]
            if not waiting and self._punching.get(peer) is waiting:
                del self._punching[peer]

        future.add_done_callback(forget)
        return future

    # ---- ending

    async def close(self) -> None:
        """Closes listeners and connections, and waits until nothing runs any more. No new connection is made."""
        self._is_closed = True
        self._listeners.close()
        await self._tasks.close()
        for relayed in (True, False):  # circuits before what carries them
            for connection in self.connections:
                if connection.relayed is relayed:
                    self._end(connection)
            await self._ending.join()

    def _opened(self, connection: Connection) -> None:
        route = connection.route
        if self._recorder.wants(ConnectionOpened):
            self._recorder.emit(
                ConnectionOpened(
                    *self._recorder.here,
                    connection.number,
                    str(connection.peer),
                    "dialer" if route.dialled else "listener",
                    "tcp",
                    "relayed" if route.relayed else "direct",
                    route.opened_by,
                    address.text(route.local),
                    address.text(route.remote),
                    asyncio.get_running_loop().time() - route.started,
                )
            )
        self._on_opened(connection)
        if not connection.relayed:
            for waiting in list(self._punching.get(connection.peer, ())):
                if not waiting.done():
                    waiting.set_result(connection)

    def _measured(self, connection: Connection, seconds: float) -> None:
        peer = str(connection.peer)
        self._recorder.emit(RoundTripMeasured(*self._recorder.here, connection.number, peer, seconds))

    def _closed(self, connection: Connection, reason: str) -> None:
        del self._connections[connection.number]
        self._recorder.emit(ConnectionClosed(*self._recorder.here, connection.number, str(connection.peer), reason))
        self._on_closed(connection)
        self._end(connection)

    def _end(self, connection: Connection, reason: str = "closed by us") -> None:
        name = f"{self._recorder.place} ends its connection {connection.number} to {connection.peer}"
        self._ending.start(connection.close(reason), name)

    def _route(self, tcp: TcpConnection, *, dialled: bool, opened_by: str, started: float | None = None) -> Route:
        return Route(
            local=address.from_endpoint(tcp.local),
            remote=address.from_endpoint(tcp.remote),
            relayed=False,
            dialled=dialled,
            opened_by=opened_by,
            started=asyncio.get_running_loop().time() if started is None else started,
        )

    @contextmanager
    def _noting_failure(self, peer: PeerId, to: Multiaddr) -> Iterator[None]:
        """Around the dial of one address: its failure becomes an event, and running out of time an error of ours."""
        try:
            yield
        except NatlabError as error:
            self._dial_failed(peer, to, error)
            raise
        except TimeoutError as error:
            late = UnreachableError(f"no connection within {DIAL_TIMEOUT:g} s")
            self._dial_failed(peer, to, late)
            raise late from error

    def _dial_failed(self, peer: PeerId, to: Multiaddr, cause: NatlabError) -> None:
        self._recorder.emit(DialFailed(*self._recorder.here, str(peer), str(to), str(cause)))


def _has_no_transport(to: Multiaddr) -> bool:
    return not (address.is_relayed(to) or address.is_direct_tcp(to))


def _other_port_helps(error: SocketError | DecodeError) -> bool:
    """The 4-tuple is taken; or the SYNs of two ordinary dials have crossed, and both ends speak as initiator."""
    return isinstance(error, DecodeError) or error.errno in (errno.EADDRNOTAVAIL, errno.EADDRINUSE)


def _connection_of(peer: PeerId, addresses: Sequence[Multiaddr], outcome: Connection | list[Exception]) -> Connection:
    """What `first_success` brought: the connection, or the errors as one."""
    if isinstance(outcome, Connection):
        return outcome
    if len(outcome) == 1 and not isinstance(outcome[0], SocketError | ClosedError | UnreachableError):
        raise outcome[0]  # somebody answered, and the error says what was wrong with the answer
    raise UnreachableError(f"{peer} cannot be reached", list(zip(map(str, addresses), outcome, strict=True)))
