"""Hole punching: when a node begins DCUtR, when it answers, and with which addresses.

    a relayed connection came in ──> the peer has identified itself ──> we begin      (`initiate`)
    a stream on a relayed connection that we dialled ───────────────> we answer     (`respond`)
    a stream on any other connection ───────────────────────────────> reset

The handler is offered only while we know a public address of ours: without one there is nothing to be dialled at. The
dials go to everything known of the peer, not only to what CONNECT said (go-libp2p `p2p/net/swarm/dial_worker.go`).

The dialogue is in `natlab.protocol.dcutr`, the dials are in `Swarm.punch`. Source: libp2p specs `relay/DCUtR.md`;
go-libp2p `p2p/protocol/holepunch/svc.go`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from multiaddr import Multiaddr

from natlab.errors import NatlabError, ProtocolError, UnreachableError
from natlab.events import MessageSeen, PunchDialled, PunchEnded
from natlab.host.core import Core
from natlab.protocol.dcutr import (
    ATTEMPTS,
    DCUTR_ID,
    AttemptNoted,
    DialsNoted,
    MessageNoted,
    Role,
    RoleProfile,
    initiate,
    respond,
)
from natlab.transport.connection import Connection
from natlab.transport.negotiate import negotiated
from natlab.transport.stream import MuxedStream
from natlab.transport.tasks import Tasks
from natlab.wire import address
from natlab.wire.peer_id import PeerId


class HolePunching:
    """DCUtR for one node, in the roles of `profile`."""

    def __init__(self, core: Core, profile: RoleProfile) -> None:
        self._core = core
        self._profile = profile
        self._attempts: dict[int, int] = {}  # answered so far on each relayed connection, by its number
        self._answering: Counter[int] = Counter()  # of these, those that still dial
        self._busy: dict[PeerId, None] = {}
        self.tasks = Tasks()
        core.swarm.protect(self._busy.__contains__)

    def addresses_changed(self) -> None:
        """Offers or withdraws the handler."""
        offered, has_hole = DCUTR_ID in self._core.protocols, bool(self._core.own.punchable())
        if has_hole and not offered:
            self._core.protocols.add(DCUTR_ID, self._answer)
        elif offered and not has_hole:
            self._core.protocols.remove(DCUTR_ID)

    def identified(self, connection: Connection) -> None:
        """The peer has said who it is: if it came in through a relay, we begin."""
        if not connection.relayed or connection.route.dialled or connection.peer in self._busy:
            return
        if self._core.swarm.direct_to(connection.peer) or not self._core.own.punchable():
            return
        self._busy[connection.peer] = None
        self.tasks.start(self._begin(connection), f"{self._core.recorder.place} punches to {connection.peer}")

    def closed(self, connection: Connection) -> None:
        self._attempts.pop(connection.number, None)

    async def _begin(self, connection: Connection) -> None:
        punch = _Punch(self._core, connection.peer)
        try:
            await initiate(
                lambda: negotiated(connection.open_stream(), DCUTR_ID),
                punch.dial,
                own_addresses=self._core.own.punchable,
                peer_addresses=self._core.peerstore.addresses(connection.peer),
                note=punch.note,
                profile=self._profile,
            )
        except NatlabError:
            pass  # each attempt is in the journal; the relayed connection stays
        finally:
            del self._busy[connection.peer]

    async def _answer(self, stream: MuxedStream, connection: Connection) -> None:
        if not connection.relayed or not connection.route.dialled:
            raise ProtocolError("DCUtR may only be begun by the end that accepted a relayed connection")
        if self._answering[connection.number] >= ATTEMPTS:
            raise ProtocolError(f"DCUtR: more than {ATTEMPTS} attempts at once")
        self._answering[connection.number] += 1
        try:
            await self._respond(stream, connection)
        finally:
            self._answering[connection.number] -= 1
            if not self._answering[connection.number]:
                del self._answering[connection.number]

    async def _respond(self, stream: MuxedStream, connection: Connection) -> None:
        attempt = self._attempts[connection.number] = self._attempts.get(connection.number, 0) + 1
        punch = _Punch(self._core, connection.peer)
        with suppress(UnreachableError):  # our dials failed; the other end knows the outcome, and notes it
            await respond(
                stream,
                punch.dial,
                own_addresses=self._core.own.punchable(),
                note=punch.note,
                profile=self._profile,
                attempt=attempt,
            )


class _Punch:
    """What one dialogue asks of the node: dials, and a pen."""

    def __init__(self, core: Core, peer: PeerId) -> None:
        self._core = core
        self._peer = peer
        self._attempt = 0

    async def dial(self, addresses: Sequence[Multiaddr], role: Role) -> Connection:
        """Dials what CONNECT said and all that is known besides, at once."""
        known = dict.fromkeys(map(address.without_peer, (*addresses, *self._core.peerstore.addresses(self._peer))))
        return await self._core.swarm.punch(
            self._peer,
            [one for one in known if address.is_direct_tcp(one)],
            initiator=role is Role.CLIENT,
            opened_by="hole punch" if self._attempt else "reversal",
        )

    def note(self, noted: MessageNoted | DialsNoted | AttemptNoted) -> None:
        """Writes what happens into the journal."""
        here, peer = self._core.recorder.here, str(self._peer)
        match noted:
            case MessageNoted(name, sent):
                self._core.recorder.emit(MessageSeen(*here, peer, DCUTR_ID, name, sent))
            case DialsNoted(role, attempt):
                self._attempt = attempt
                self._core.recorder.emit(PunchDialled(*here, peer, role.value, attempt))
            case AttemptNoted(attempt, rtt, outcome):
                self._core.recorder.emit(PunchEnded(*here, peer, "tcp", attempt, rtt, outcome))
