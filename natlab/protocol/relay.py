"""Circuit relay v2 as the relay speaks it: one hop dialogue, then the splicing of two streams.

Spec: libp2p/specs `relay/circuit-v2.md`, r3 2023-02-28; the ladder is in `natlab.protocol.circuit`.

    hop message of the client          answer
    ───────────────────────────────    ──────────────────────────────────────────────────────────────────
    RESERVE                            OK with reservation and limit; RESERVATION_REFUSED
    CONNECT                            OK with limit, then the circuit; NO_RESERVATION,
                                       RESOURCE_LIMIT_EXCEEDED, CONNECTION_FAILED
    either, over a relayed connection  PERMISSION_DENIED (the two notes "should not accept ... over already
                                       relayed connections")
    anything else                      UNEXPECTED_MESSAGE; bytes that do not parse: MALFORMED_MESSAGE

A circuit has a limit in time, and one in bytes for each direction; past either, "the relay should reset the stream to
the source and the stream to the destination".

Left to the node: `Reservations.release` when a peer's last connection closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from multiaddr import Multiaddr

from natlab.errors import ClosedError, NatlabError, RefusedError, UnreachableError
from natlab.net import Stream
from natlab.protocol.circuit import MAX_MESSAGE, Limit, Status, peer_id_of, read_request, status_name
from natlab.protocol.framing import dialogue, read_message, write_message
from natlab.protocol.reservations import Reservations
from natlab.wire import address
from natlab.wire.envelope import Voucher
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId
from natlab.wire.proto import circuit_pb2
from natlab.wire.proto.circuit_pb2 import HopMessage, StopMessage

HOP_TIMEOUT = 60.0
"""Seconds for the hop dialogue. Source: go-libp2p `p2p/protocol/circuitv2/relay/relay.go`, StreamTimeout."""
STOP_TIMEOUT = 30.0
"""Seconds to reach the target and hear its answer. Source: the same, ConnectTimeout."""
BUFFER = 2048
"""Bytes a relay reads at once. Source: go-libp2p `resources.go`, BufferSize."""


@dataclass(frozen=True, slots=True)
class Client:
    """The peer at the other end of a hop stream.

    Attributes:
        peer: proven by its security handshake.
        ip: where it is seen, as canonical text; "" over a relayed connection.
        relayed: whether its connection to us is itself relayed.
    """

    peer: PeerId
    ip: str
    relayed: bool


@dataclass(frozen=True, slots=True)
class RelaySelf:
    """What a relay puts into its answers.

    Attributes:
        key: signs the vouchers.
        addresses: where clients reach the relay, with or without its `/p2p/...`; only public ones are given out.
    """

    key: PrivateKey
    addresses: Sequence[Multiaddr]

    @property
    def peer(self) -> PeerId:
        return PeerId.from_public_key(self.key.public)


class CircuitEnd(StrEnum):
    """Why a circuit is over."""

    CLOSED = "closed"  # both ends closed their side
    RESET = "reset"  # one end reset it
    DATA_LIMIT = "data limit"
    DURATION_LIMIT = "duration limit"


async def serve_hop(
    stream: Stream,
    client: Client,
    *,
    relay: RelaySelf,
    table: Reservations,
    now: float,
    open_stop: Callable[[PeerId], Awaitable[Stream]],
) -> CircuitEnd | None:
    """Serves one hop stream, to the end of the circuit if there is one.

    Args:
        now: Unix time in seconds.
        open_stop: opens a stop stream on an existing connection to the peer; raises `NatlabError` if there is none.

    Returns:
        How the circuit ended; None after a reservation.

    Raises:
        RefusedError: we answered with a refusal; `status` is the answer.
        ClosedError: the client closed or reset the stream before it was answered.
        UnreachableError: the client did not say what it wants within `HOP_TIMEOUT`.
    """
    async with dialogue(stream, HOP_TIMEOUT, "serving hop"):
        try:
            request = await read_request(stream, HopMessage)
            _check_request(request, client)
            if request.type == HopMessage.RESERVE:
                await write_message(stream, _grant(client, relay, table, now))
                await stream.close_write()
                return None
            target = peer_id_of(request)
            table.open_circuit(client.peer, target, now)
        except RefusedError as refusal:
            await write_message(stream, HopMessage(type=HopMessage.STATUS, status=Status(refusal.status).name))
            raise
