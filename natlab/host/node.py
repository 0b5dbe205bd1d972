"""The node: a libp2p host, written once, living on any `natlab.net.Network`.

    async with Node(listen=["/ip4/127.0.0.1/tcp/0"]) as node:
        connection = await node.dial("/ip4/127.0.0.1/tcp/4001/p2p/12D3Koo...")
        seconds = await node.ping(connection.peer)

One file per concern stands behind this face:

    Node ──> swarm       connections: dial, accept, upgrade, which one to use
         ──> protocols   which handler answers which protocol id
         ──> addresses   what this node may call its own address; what peers said they see
         ──> peerstore   what is known of other peers
         ──> identify    said on every new connection, by both ends
         ──> relay       circuit-v2: the service, and reservations with others
         ──> punching    DCUtR, after every relayed connection that came in

Everything happens on the running asyncio loop: the operating system's, or the lab's simulated one.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from multiaddr import Multiaddr

if TYPE_CHECKING:
    from natlab.events import Journal
    from natlab.net import Network, Stream
    from natlab.protocol.circuit import Reservation
    from natlab.protocol.dcutr import RoleProfile
    from natlab.protocol.identify import Identity
    from natlab.transport.connection import Connection
    from natlab.wire.keys import PrivateKey
    from natlab.wire.peer_id import PeerId

#: Whom a verb is about: a peer already known, an address ending in /p2p/ID, or (in a lab) the node itself.
Target = "Node | PeerId | Multiaddr | str"
#: What answers a protocol: awaited with each new stream and the connection it came over.
Handler = "Callable[[Stream, Connection], Awaitable[None]]"

DEFAULT_LISTEN = ("/ip4/127.0.0.1/tcp/0",)


class Node:
    """A libp2p node over TCP: Noise, Yamux, identify, ping, circuit relay v2, DCUtR.

    Args:
        network: where it lives; None is this computer's own sockets.
        key: its identity, Ed25519; None makes a new one from `rng`.
        rng: every chance the node takes; None is the operating system's randomness.
        journal: where it records its events; None records nothing.
        name: its name in the journal (`Event.place`); "" is the end of its peer id.
        listen: multiaddrs to listen on at start. Only loopback by default. `/ip4/0.0.0.0/tcp/4001` is every interface.
        relay_service: serve others as circuit relay v2.
        hole_punching: DCUtR role profile, None for a node that never punches.
        keepalive: seconds between Yamux pings on each connection; None for never, so that NAT mappings may die.
        reuse_port: dial from the listen port (SO_REUSEPORT), the precondition of TCP hole punching.
        agent: what identify calls this program.
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
        relay_service: bool = False,
        hole_punching: RoleProfile | None = ...,
        keepalive: float | None = 30.0,
        reuse_port: bool = True,
        agent: str = "natlab",
    ) -> None: ...

    @property
    def name(self) -> str:
        """Its name in the journal."""

    @property
    def peer_id(self) -> PeerId:
        """Who it is. Events name peers by `str(peer_id)`."""

    @property
    def addresses(self) -> tuple[Multiaddr, ...]:
        """Where others may dial it, each ending in `/p2p/ID`: listen addresses, activated observed ones, relayed ones."""

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The open connections, oldest first."""

    def connections_to(self, peer: PeerId) -> tuple[Connection, ...]:
        """The open connections to one peer, the one new streams use first: direct before relayed, then oldest."""

    def address_via(self, relay: Target) -> Multiaddr:
        """This node's address through `relay`: `<relay address>/p2p/RELAY/p2p-circuit/p2p/ID`.

        Raises:
            ValueError: no address of the relay is known.
        """

    async def start(self) -> None:
        """Listens on the addresses asked for. `async with` calls it.

        Raises:
            SocketError: an address is taken, or not this computer's.
        """

    async def listen(self, address: Multiaddr | str) -> Multiaddr:
        """Listens on one more address, and returns it with the real port and `/p2p/ID`.

        Raises:
            ValueError: not a TCP address.
            SocketError: the address is taken, or not this computer's.
        """

    async def dial(self, target: Target) -> Connection:
        """Connects, or returns the open connection there is. Identify has been exchanged when it returns.

        Raises:
            ValueError: the address is malformed, or says not which peer (`/p2p/ID`).
            UnreachableError: no address answered; `.attempts` says why, one by one.
            SecurityError: somebody else answered.
            ProtocolError, NegotiationError: what answered speaks no libp2p, or none in common.
            RefusedError: the relay refused the circuit.
        """

    async def ping(self, target: Target) -> float:
        """The round-trip time in seconds of one ping; dials first if need be."""

    async def identify(self, target: Target) -> Identity:
        """What the peer says of itself, asked anew: agent, protocols, addresses, the address it sees us at."""

    async def reserve(self, relay: Target) -> Reservation:
        """Asks a relay to take connections in for us; from then on `addresses` lists the relayed address. Renewed by itself.

        Raises:
            RefusedError: the relay said no; `.status` is circuit-v2's status code.
        """

    async def new_stream(self, target: Target, protocol: str) -> Stream:
        """Opens a stream over the best connection (dials if there is none) and agrees on `protocol`.

        Raises:
            NegotiationError: the peer does not speak it.
        """

    def handle(self, protocol: str, handler: Handler) -> None:
        """Answers `protocol` with `handler(stream, connection)`. An error in it becomes a HandlerFailed event and a reset stream.

        Raises:
            ValueError: the protocol has a handler already.
        """

    def unhandle(self, protocol: str) -> None:
        """No longer answers `protocol`."""

    async def close(self) -> None:
        """Closes every connection and listener and waits until nothing of the node runs. Twice is harmless."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
