"""The node: a libp2p host, written once, living on any `natlab.net.Network`.

    async with Node(listen=["/ip4/127.0.0.1/tcp/0"]) as node:
        connection = await node.dial("/ip4/127.0.0.1/tcp/4001/p2p/12D3Koo...")
        seconds = await node.ping(connection.peer)

One file per concern stands behind this face:

    Node ──> swarm       connections: dial, accept, upgrade, which one to use
             listeners   where it listens, and the port it dials from
             backoff     addresses dialled in vain are left alone for a while
             trimming    which connections go when there are too many
         ──> protocols   which handler answers which protocol id
         ──> addresses   what this node may call its own address; what peers said they see
         ──> peerstore   what is known of other peers
         ──> identify    said on every new connection, by both ends
         ──> pinging     one ping of a peer at a time, two answered
         ──> relay       circuit-v2: the service, and reservations with others
         ──> punching    DCUtR, after every relayed connection that came in
         ──> port maps   ports that the gateway keeps open for us

Everything happens on the running asyncio loop: the operating system's, or the lab's simulated one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from types import TracebackType
from typing import Self, TypeAlias

from multiaddr import Multiaddr

from natlab.errors import ClosedError, LabError
from natlab.events import Journal
from natlab.host.addresses import OwnAddresses
from natlab.host.core import Core
from natlab.host.identify import IdentifyService
from natlab.host.peerstore import Peerstore
from natlab.host.pinging import Pinging
from natlab.host.port_maps import PortMaps
from natlab.host.protocols import Handler, Protocols
from natlab.host.punching import HolePunching
from natlab.host.record import Recorder
from natlab.host.relaying import RelayClient, RelayService
from natlab.host.swarm import Swarm
from natlab.net import Network
from natlab.net.sockets import SystemNetwork
from natlab.portmap import PortMapping
from natlab.protocol.circuit import Reservation
from natlab.protocol.dcutr import GO_V048, RoleProfile
from natlab.protocol.identify import Identity
from natlab.protocol.reservations import RelayLimits
from natlab.transport.connection import Connection
from natlab.transport.negotiate import negotiated
from natlab.transport.stream import MuxedStream
from natlab.transport.tasks import Tasks
from natlab.transport.upgrade import Credentials
from natlab.upgrade.multistream import encode
from natlab.wire import address
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId

Target: TypeAlias = "Node | PeerId | Multiaddr | str"
"""Whom a verb is about: a peer already known, an address ending in `/p2p/ID`, or (in a lab) the node itself."""

DEFAULT_LISTEN = ("/ip4/127.0.0.1/tcp/0",)


class Node:
    """A libp2p node over TCP: Noise, Yamux, identify, ping, circuit relay v2, DCUtR.

    Events name peers by `str(peer_id)`.

    Args:
        network: where it lives; None is this computer's own sockets.
        key: its identity, Ed25519; None makes a new one from `rng`.
        rng: every chance the node takes; None is the operating system's randomness.
        journal: where it records its events; None records nothing.
        name: its name in the journal (`Event.place`); "" is the end of its peer id.
        listen: multiaddrs to listen on at start. Only loopback by default. `/ip4/0.0.0.0/tcp/4001` is every interface.
        relay_service: serve others as circuit relay v2, within these limits; None for no service.
        hole_punching: DCUtR role profile; None for a node that never punches.
        keepalive: seconds between Yamux pings on each connection; None for none but the first, which measures the
            round trip, so that NAT mappings may die.
        reuse_port: dial from the listening port (SO_REUSEPORT), the precondition of TCP hole punching.
        agent: what identify calls this program.

    Attributes:
        name: its name in the journal.
        peer_id: who it is.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        key: PrivateKey | None = None,
        rng: random.Random | None = None,
        journal: Journal | None = None,
        name: str = "",
        listen: Iterable[Multiaddr | str] = DEFAULT_LISTEN,
        relay_service: RelayLimits | None = None,
        hole_punching: RoleProfile | None = GO_V048,
        keepalive: float | None = 30.0,
        reuse_port: bool = True,
        agent: str = "natlab",
    ) -> None:
        self._rng = rng or random.SystemRandom()
        key = key or PrivateKey.generate(self._rng)
        self.peer_id = PeerId.from_public_key(key.public)
        self.name = name or str(self.peer_id)[-8:]
        self._at_start = [_multiaddr(one) for one in listen]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._tasks = Tasks()
        core = self._core = self._make_core(
            network or SystemNetwork(), key, Recorder(journal, self.name), keepalive, reuse_port
        )
        self._pinging = Pinging(core, self._rng)
        self._identify = IdentifyService(core, agent, on_identified=self._on_identified, on_observed=self._on_addresses)
        self._relays = RelayClient(core, on_changed=self._on_addresses)
        self._relay_service = RelayService(core, relay_service) if relay_service else None
        self._punching = HolePunching(core, hole_punching) if hole_punching else None
        self._port_maps = PortMaps(core, self._rng, on_changed=self._on_addresses)

    def _make_core(
        self, network: Network, key: PrivateKey, recorder: Recorder, keepalive: float | None, reuse_port: bool
    ) -> Core:
        swarm = Swarm(
            network,
            Credentials(key, self._rng),
            recorder,
            keepalive=keepalive,
            reuse_port=reuse_port,
            on_stream=self._on_stream,
            on_opened=self._on_opened,
            on_closed=self._on_closed,
        )
        own, protocols = OwnAddresses(network), Protocols(recorder)
        return Core(key, self.peer_id, network, recorder, protocols, own, Peerstore(), swarm)

    def __repr__(self) -> str:
        return f"<Node {self.name} {self.peer_id}>"

    @property
    def addresses(self) -> tuple[Multiaddr, ...]:
        """Where others may dial it, each ending in `/p2p/ID`: listened on, mapped, observed and activated, relayed."""
        return tuple(address.with_peer(own, self.peer_id) for own in self._core.own.all)

    @property
    def observed_addresses(self) -> tuple[Multiaddr, ...]:
        """Where at least one peer sees it, most observers first; what a CONNECT would carry."""
        return self._core.own.observed(1)

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The open connections, oldest first."""
        return self._core.swarm.connections

    def connections_to(self, target: Target) -> tuple[Connection, ...]:
        """The open connections to one peer, the one new streams use first: direct before relayed, then oldest."""
        return self._core.swarm.to(_peer_of(target))

    def address_via(self, relay: Target) -> Multiaddr:
        """This node's address through `relay`: `<relay address>/p2p/RELAY/p2p-circuit/p2p/ID`.

        Raises:
            ValueError: it has not reserved with that relay, and no address of the relay is known; or it is this node.
        """
        peer, addresses = self._resolve(relay)
        if peer == self.peer_id:
            raise ValueError("a node is no relay for itself: name another one")
        through = self._relays.address_via(peer)
        if through is None:
            direct = [one for one in addresses if not address.is_relayed(one)]
            if not direct:
                raise ValueError(f"no address of {peer} is known: reserve with it first, or give its address")
            through = address.via_relay(address.with_peer(direct[0], peer))
        return address.with_peer(through, self.peer_id)

    # ---- verbs

    async def start(self) -> None:
        """Listens on the addresses asked for. `async with` calls it.

        Raises:
            SocketError: not an address of this computer, or taken by a program that does not share its port.
        """
        self._loop = asyncio.get_running_loop()
        try:
            for one in self._at_start:
                await self.listen(one)
        except BaseException:
            await self.close()
            raise

    async def listen(self, on: Multiaddr | str) -> Multiaddr:
        """Listens on one more address, and returns it with the real port and `/p2p/ID`.

        Raises:
            ValueError: not a TCP address, or one that leads to another peer.
            SocketError: not an address of this computer, or taken by a program that does not share its port.
            ClosedError: the node was closed.
        """
        self._check_open()
        where = _multiaddr(on)
        if address.peer_of(where) not in (None, self.peer_id):
            raise ValueError(f"{where} names another peer: leave out its /p2p/..., nobody can listen in its name")
        local = await self._core.swarm.listen(address.to_endpoint(where))
        self._core.own.listening_on(local)
        self._on_addresses()
        return address.with_peer(address.from_endpoint(local), self.peer_id)

    async def dial(self, target: Target) -> Connection:
        """Connects, or returns the open connection there is. Identify has been exchanged when it returns.

        Raises:
            ValueError: the address is malformed, or does not say which peer (`/p2p/ID`), or that peer is this node.
            LabError: in a lab, a node of another one.
            UnreachableError: no address answered; `.attempts` says why, one by one.
            SecurityError: somebody else answered.
            ProtocolError, NegotiationError: what answered speaks no libp2p, or none in common.
            ClosedError: the peer ended the connection at once; the message says why.
            RefusedError: the relay refused the circuit.
        """
        self._check_open()
        peer, addresses = self._resolve(target)
        if peer == self.peer_id:
            raise ValueError("a node cannot dial itself")
        connection = await self._core.swarm.dial(peer, addresses)
        self._core.peerstore.add(peer, addresses)
        await self._identify.wait(connection)
        connection.check_open()
        return connection

    async def new_stream(self, target: Target, protocol: str) -> MuxedStream:
        """Opens a stream over the best connection (dials if there is none) and agrees on `protocol`.

        Raises:
            ValueError: it is no text that multistream can carry.
            NegotiationError: the peer does not speak it.
            ClosedError, UnreachableError: the peer hung up, or did not answer.
        """
        encode(protocol)
        connection = await self._connection_to(target)
        return await negotiated(connection.open_stream(), protocol)

    async def ping(self, target: Target) -> float:
        """The round-trip time of one ping in seconds; dials first if need be. Raises what `new_stream` raises.

        Pings over one connection take turns (ping.md: one outbound stream per peer).
        """
        return await self._pinging.ping(await self._connection_to(target))

    async def identify(self, target: Target) -> Identity:
        """What the peer says of itself, asked anew: agent, protocols, addresses, the address it sees us at.

        Raises what `new_stream` raises, and `ProtocolError` if the peer breaks identify's rules.
        """
        return await self._identify.ask(await self._connection_to(target))

    async def reserve(self, relay: Target) -> Reservation:
        """Asks a relay to take connections in for us; from then on `addresses` lists the relayed address.

        The reservation is renewed by itself, and lost with the connection to the relay.

        Raises:
            RefusedError: the relay said no; `.status` is circuit-v2's status code.
            NegotiationError: it is no relay.
        """
        return await self._relays.reserve(await self.dial(relay))

    async def map_ports(self, gateway: str | None = None) -> tuple[PortMapping, ...]:
        """Asks the gateway to open each port it listens on; while it does, `addresses` lists where that is.

        Args:
            gateway: its address, if it is not this computer's default gateway.

        Raises:
            UnreachableError: there is no gateway, or it gave out no port; `.attempts` says why.
        """
        self._check_open()
        return await self._port_maps.open(gateway)

    def handle(self, protocol: str, handler: Handler) -> None:
        """Answers `protocol` with `handler(stream, connection)`.

        The stream is closed when the handler returns. An error in it becomes a `HandlerFailed` event, and the stream is
        reset.

        Raises:
            ValueError: the protocol has a handler already.
        """
        self._core.protocols.add(protocol, handler)

    def unhandle(self, protocol: str) -> None:
        """No longer answers `protocol`."""
        self._core.protocols.remove(protocol)

    async def close(self) -> None:
        """Closes every connection and listener, and waits until nothing of the node runs. Twice is harmless."""
        if self._loop is None:
            return
        self._check_loop()
        self._is_closed = True
        if self._punching:
            await self._punching.tasks.close()
        await self._port_maps.close()
        await self._relays.tasks.close()
        await self._identify.tasks.close()
        await self._core.swarm.close()
        await self._tasks.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ---- what the swarm and the services tell

    def _on_stream(self, stream: MuxedStream) -> None:
        self._tasks.start(self._core.protocols.serve(stream), f"{self.name} answers {stream.connection.peer}")

    def _on_opened(self, connection: Connection) -> None:
        self._identify.opened(connection)

    def _on_closed(self, connection: Connection) -> None:
        self._identify.closed(connection)
        self._relays.closed(connection)
        if self._relay_service:
            self._relay_service.closed(connection)
        if self._punching:
            self._punching.closed(connection)

    def _on_identified(self, connection: Connection) -> None:
        if self._punching:
            self._punching.identified(connection)

    def _on_addresses(self) -> None:
        """Our addresses may have changed."""
        if self._punching:
            self._punching.addresses_changed()
        self._identify.push(self._core.swarm.connections)

    # ---- targets

    async def _connection_to(self, target: Target) -> Connection:
        """The best open connection, or a new one."""
        self._check_open()
        open_now = self._core.swarm.to(_peer_of(target))
        return open_now[0] if open_now else await self.dial(target)

    def _resolve(self, target: Target) -> tuple[PeerId, tuple[Multiaddr, ...]]:
        """Who is meant, and where it may be; a bare peer ID stands for all addresses known of it."""
        peer = _peer_of(target)
        if isinstance(target, Node):
            if target._loop is not self._loop and not isinstance(self._core.network, SystemNetwork):
                raise LabError(f"{target.name} is not of the same lab as {self.name}: name a node that is")
            return peer, target.addresses
        if isinstance(target, PeerId):
            return peer, self._core.peerstore.addresses(peer)
        return peer, (_multiaddr(target),)

    def _check_open(self) -> None:
        """Raises LabError as `_check_loop` does, and ClosedError after `close`."""
        self._check_loop()
        if self._is_closed:
            raise ClosedError(f"{self.name} was closed")

    def _check_loop(self) -> None:
        """A node lives in the loop it was started in.

        Raises:
            LabError: another loop is running; in a lab, only `lab.run` enters the simulated one.
        """
        if self._loop is None:
            raise LabError(f"{self.name} has not been started: use `async with Node(...) as node`")
        if asyncio.get_running_loop() is not self._loop:
            raise LabError(
                f"{self.name} lives in another event loop: in a lab, write lab.run(node.verb(...)); a node on this "
                "computer's own network is awaited where it was started"
            )


def _multiaddr(given: Multiaddr | str) -> Multiaddr:
    """Raises ValueError."""
    if not isinstance(given, str | Multiaddr):
        raise ValueError(f"an address is a multiaddr such as /ip4/127.0.0.1/tcp/4001, or its text, not {given!r}")
    return address.parse(given) if isinstance(given, str) else given


def _peer_of(target: Target) -> PeerId:
    """Raises ValueError."""
    if isinstance(target, Node):
        return target.peer_id
    if isinstance(target, PeerId):
        return target
    peer = address.peer_of(_multiaddr(target))
    if peer is None:
        raise ValueError(f"{target} does not say which peer it leads to: it must end in /p2p/<peer ID>")
    return peer
