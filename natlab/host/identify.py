"""Identify on every connection: what a node asks, what it answers, and what it does with what it hears.

    connection opened ──> we ask ──┬──> peerstore: the peer's addresses and protocols
                                   ├──> own addresses: where it sees us (AddressObserved)
                                   └──> hole punching, if it came in through a relay
    our addresses or protocols change ──> push to all peers that understand it

The dialogue is in `natlab.protocol.identify`. Source: libp2p specs `identify/README.md`; go-libp2p
`p2p/protocol/identify/id.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import accumulate

from multiaddr import Multiaddr

from natlab.errors import NatlabError
from natlab.events import AddressObserved
from natlab.host.core import Core
from natlab.protocol.identify import IDENTIFY_ID, PUSH_ID, Identity, listen, tell
from natlab.transport.connection import Connection
from natlab.transport.negotiate import negotiated
from natlab.transport.stream import MuxedStream
from natlab.transport.tasks import Tasks
from natlab.wire import address
from natlab.wire.envelope import PeerRecord

MAX_ASKED = 16
"""Identify or push streams of one connection that are served at a time. Source: go-libp2p `limits.go`."""
MAX_PUSHES = 32
"""Peers that are told of news at a time. Source: go-libp2p `p2p/protocol/identify/id.go`."""
PROTOCOL_VERSION = "ipfs/0.1.0"  # what go and js say; some peers look at it
MAX_TOLD = 1536
"""Bytes of the addresses we tell: how long those through a relay are is the relay's choice, and all that we say must
stay below 4 KiB."""


class IdentifyService:
    """Identify for one node.

    Args:
        agent: what we call this program.
        on_identified: told of each connection whose peer has said who it is.
        on_observed: told whenever our observed addresses may have changed.
    """

    def __init__(
        self,
        core: Core,
        agent: str,
        *,
        on_identified: Callable[[Connection], None],
        on_observed: Callable[[], None],
    ) -> None:
        self._core = core
        self._agent = agent
        self._on_identified = on_identified
        self._on_observed = on_observed
        self._done: dict[int, asyncio.Event] = {}  # by connection number
        self._told: tuple[object, ...] = ()
        self._recorded: tuple[Multiaddr, ...] | None = None
        self._signed_record = b""
        self._pushing = asyncio.Semaphore(MAX_PUSHES)
        self.tasks = Tasks()
        core.protocols.add(IDENTIFY_ID, self._answer, at_once=MAX_ASKED)
        core.protocols.add(PUSH_ID, self._pushed, at_once=MAX_ASKED)

    def opened(self, connection: Connection) -> None:
        """A connection is there: asks."""
        self._done[connection.number] = asyncio.Event()
        self.tasks.start(self._ask_first(connection), f"{self._core.recorder.place} identifies {connection.peer}")

    def closed(self, connection: Connection) -> None:
        """A connection is gone, and what was observed over it."""
        if done := self._done.pop(connection.number, None):
            done.set()
        self._core.own.forget(connection)
        self._on_observed()

    async def wait(self, connection: Connection) -> None:
        """Until the peer has identified itself, or failed to."""
        if done := self._done.get(connection.number):
            await done.wait()

    async def ask(self, connection: Connection) -> Identity:
        """Asks the peer anew.

        Raises:
            NegotiationError: it does not speak identify.
            ProtocolError, ClosedError, UnreachableError: it broke the dialogue, hung up, or did not answer.
        """
        stream = await negotiated(connection.open_stream(), IDENTIFY_ID)
        said = await listen(stream, connection.peer)
        self._heard(connection, said)
        return said

    def push(self, connections: tuple[Connection, ...]) -> None:
        """Tells all peers that understand it what is new, if anything is."""
        news = (self._core.own.all, self._core.protocols.names)
        if news == self._told:
            return
        self._told = news
        for connection in connections:
            if PUSH_ID in self._core.peerstore.identity(connection.peer).protocols:
                self.tasks.start(self._push_to(connection), f"{self._core.recorder.place} pushes to {connection.peer}")

    async def _ask_first(self, connection: Connection) -> None:
        try:
            await self.ask(connection)
        except NatlabError:  # a peer that does not identify itself is still a peer
            return
        finally:
            if done := self._done.pop(connection.number, None):
                done.set()
        self._on_identified(connection)

    async def _push_to(self, connection: Connection) -> None:
        async with self._pushing:
            try:
                stream = await negotiated(connection.open_stream(), PUSH_ID)
                await self._tell(stream, connection)
            except NatlabError:
                pass  # it will ask when it wants to know

    async def _answer(self, stream: MuxedStream, connection: Connection) -> None:
        await self._tell(stream, connection)

    async def _pushed(self, stream: MuxedStream, connection: Connection) -> None:
        said = await listen(stream, connection.peer)
        self._heard(connection, self._core.peerstore.identity(connection.peer).updated_by(said))

    async def _tell(self, stream: MuxedStream, connection: Connection) -> None:
        """Says what we say of ourselves on this connection."""
        told = _as_fit(self._core.own.told_to(connection.route.remote))
        said = Identity(
            agent_version=self._agent,
            protocol_version=PROTOCOL_VERSION,
            public_key=self._core.key.public,
            listen_addresses=told,
            protocols=self._core.protocols.names,
            observed_address=connection.route.remote,
        )
        await tell(stream, said, self._sign(told))

    def _sign(self, told: tuple[Multiaddr, ...]) -> bytes:
        """Our signed peer record: a new one, of a higher number, only when it says something else than the last."""
        if told != self._recorded:
            self._recorded = told
            record = PeerRecord(self._core.peer, int(self._core.network.now() * 1e9), told)
            self._signed_record = record.seal(self._core.key)
        return self._signed_record

    def _heard(self, connection: Connection, said: Identity) -> None:
        self._core.peerstore.identified(connection.peer, said)
        if said.observed_address is not None:
            self._observed(connection, said)

    def _observed(self, connection: Connection, said: Identity) -> None:
        assert said.observed_address is not None
        observed = address.without_peer(said.observed_address)
        observation = self._core.own.observe(connection, observed)
        if observation is None:
            return
        self._core.recorder.emit(
            AddressObserved(
                *self._core.recorder.here,
                str(connection.peer),
                address.text(observed),
                connection.number,
                observation.observers,
                observation.activated,
            )
        )
        self._on_observed()


def _as_fit(addresses: Sequence[Multiaddr]) -> tuple[Multiaddr, ...]:
    """As many of the first addresses as fit into `MAX_TOLD` bytes."""
    ends = accumulate(len(one.to_bytes()) for one in addresses)
    return tuple(one for one, end in zip(addresses, ends, strict=True) if end <= MAX_TOLD)
