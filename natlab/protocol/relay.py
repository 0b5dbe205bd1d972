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
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from multiaddr import Multiaddr

from natlab.errors import ClosedError, NatlabError, RefusedError
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


@dataclass(frozen=True, slots=True)
class Carried:
    """A circuit that a relay has carried: whom it led to, and why it ended."""

    target: PeerId
    end: CircuitEnd


async def serve_hop(
    stream: Stream,
    client: Client,
    *,
    relay: RelaySelf,
    table: Reservations,
    now: Callable[[], float],
    open_stop: Callable[[PeerId], Awaitable[Stream]],
) -> Carried | None:
    """Serves one hop stream, to the end of the circuit if there is one.

    Args:
        now: gives Unix time in seconds.
        open_stop: opens a stop stream on an existing connection to the peer; raises `NatlabError` if there is none.

    Returns:
        The circuit, once it has ended; None after a reservation.

    Raises:
        RefusedError: we answered with a refusal; `status` is the answer.
        ClosedError: the client closed or reset the stream before it was answered.
        UnreachableError: the client did not say what it wants within `HOP_TIMEOUT`.
    """
    async with _answered(stream, HOP_TIMEOUT, "serving hop"):
        request = await read_request(stream, HopMessage)
        _check_request(request, client)
        if request.type == HopMessage.RESERVE:
            await write_message(stream, _reservation(client, relay, table, now()))
            await stream.close_write()
            return None
        target = peer_id_of(request)
        table.open_circuit(client.peer, target, now())
    try:
        limit = table.limits.circuit
        async with _answered(stream, HOP_TIMEOUT, "connecting a circuit"):
            stop = await _reach(target, client.peer, limit, open_stop)
            await _confirm(stream, stop, limit)
        return Carried(target, await splice(stream, stop, limit))
    finally:
        table.close_circuit(client.peer, target)


async def splice(left: Stream, right: Stream, limit: Limit) -> CircuitEnd:
    """Makes two streams one circuit until it ends; within `limit`, all bytes and both half-closes go through.

    When it ends by reset or limit, both streams are reset; so they are on cancellation.
    """
    ends: tuple[CircuitEnd, ...] = ()
    try:
        async with asyncio.timeout(limit.duration or None):
            ends = tuple(await asyncio.gather(_relay(left, right, limit.data), _relay(right, left, limit.data)))
    except TimeoutError:
        return CircuitEnd.DURATION_LIMIT
    finally:
        if ends != (CircuitEnd.CLOSED, CircuitEnd.CLOSED):
            left.reset()
            right.reset()
    return next((end for end in (CircuitEnd.DATA_LIMIT, CircuitEnd.RESET) if end in ends), CircuitEnd.CLOSED)


async def _relay(source: Stream, sink: Stream, data: int) -> CircuitEnd:
    """One direction. Ending it early resets both streams, which ends the other direction too."""
    allowance = data or sys.maxsize
    try:
        while chunk := await source.read(min(BUFFER, allowance) or 1):
            if not allowance:
                return _break_off(source, sink, CircuitEnd.DATA_LIMIT)
            await sink.write(chunk)
            allowance -= len(chunk)
        await sink.close_write()
    except ClosedError:
        return _break_off(source, sink, CircuitEnd.RESET)
    return CircuitEnd.CLOSED


def _break_off(source: Stream, sink: Stream, end: CircuitEnd) -> CircuitEnd:
    source.reset()
    sink.reset()
    return end


@asynccontextmanager
async def _answered(stream: Stream, seconds: float, what: str) -> AsyncIterator[None]:
    """A `dialogue` on hop in which every refusal of ours is also sent."""
    async with dialogue(stream, seconds, what):
        try:
            yield
        except RefusedError as refusal:
            await write_message(stream, HopMessage(type=HopMessage.STATUS, status=Status(refusal.status).name))
            raise


def _check_request(request: HopMessage, client: Client) -> None:
    if not request.HasField("type") or request.type not in (HopMessage.RESERVE, HopMessage.CONNECT):
        raise RefusedError(f"hop: type {request.type} where a request was due", Status.UNEXPECTED_MESSAGE)
    if client.relayed:
        raise RefusedError("a request over a relayed connection", Status.PERMISSION_DENIED)


def _reservation(client: Client, relay: RelaySelf, table: Reservations, now: float) -> HopMessage:
    """Makes or renews a reservation, and the answer that says so."""
    expires = table.reserve(client.peer, client.ip, now)
    return HopMessage(
        type=HopMessage.STATUS,
        status=Status.OK.name,
        reservation=circuit_pb2.Reservation(
            expire=expires,
            addrs=[address.with_peer(own, relay.peer).to_bytes() for own in relay.addresses if address.is_public(own)],
            voucher=Voucher(relay.peer, client.peer, expires).seal(relay.key),
        ),
        limit=_limit_message(table.limits.circuit),
    )


async def _reach(
    target: PeerId, source: PeerId, limit: Limit, open_stop: Callable[[PeerId], Awaitable[Stream]]
) -> Stream:
    """The stop dialogue, as the relay: a stream on which the target has said OK.

    Raises:
        RefusedError: it was not to be had, for whatever reason (`CONNECTION_FAILED`).
    """
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            stop = await open_stop(target)
            async with dialogue(stop, STOP_TIMEOUT, "stop"):
                peer = circuit_pb2.Peer(id=bytes(source))
                await write_message(stop, StopMessage(type=StopMessage.CONNECT, peer=peer, limit=_limit_message(limit)))
                answer = await read_message(stop, StopMessage, MAX_MESSAGE)
                if answer.type != StopMessage.STATUS or int(answer.status) != Status.OK:
                    raise RefusedError(f"the target answered {status_name(answer.status)}", int(answer.status))
    except (NatlabError, TimeoutError) as error:
        raise RefusedError(f"{target} cannot be reached: {error}", Status.CONNECTION_FAILED) from error
    return stop


async def _confirm(stream: Stream, stop: Stream, limit: Limit) -> None:
    """Tells the client; from then on both streams are the circuit."""
    try:
        message = HopMessage(type=HopMessage.STATUS, status=Status.OK.name, limit=_limit_message(limit))
        await write_message(stream, message)
    except BaseException:
        stop.reset()
        raise


def _limit_message(limit: Limit) -> circuit_pb2.Limit:
    return circuit_pb2.Limit(duration=limit.duration, data=limit.data)
