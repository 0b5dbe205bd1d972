"""Circuit relay v2 as its clients speak it: reserve a place, connect through a relay, be connected to.

Spec: libp2p/specs `relay/circuit-v2.md`, r3 2023-02-28. Two protocols: *hop* between a client and the relay, *stop*
between the relay and the target. The relay's own part is in `natlab.protocol.relay`.

    A, private (target)                R, the relay                     B (initiator)
    │ ── hop RESERVE ─────────────────> │                                │
    │ <─ hop STATUS OK, reservation ─── │     expiry, addresses, voucher, limit
    │                                   │                                │
    │              ...                  │ <──────────── hop CONNECT A ── │
    │ <─ stop CONNECT, from B ───────── │                                │
    │ ── stop STATUS OK ──────────────> │                                │
    │                                   │ ── hop STATUS OK, limit ─────> │
    │ <═════════════════ the two streams are one circuit now ══════════> │     upgraded like a TCP connection

| function | role | protocol |
|---|---|---|
| `reserve` | A: asks for a reservation, and again before it expires | hop |
| `connect` | B: asks to be connected to A | hop |
| `accept` | A: lets the relay connect B to it | stop |

A *voucher* is the relay's signature under "this peer may be reached through me until then". It is only advisory; a
relay that sends none (rust-libp2p) is as good, so `Reservation.voucher` may be None, but a voucher that is there must
be about this relay and us (as go-libp2p checks).

*Not modelled*: active relays (a relay that dials the target; deprecated), presenting vouchers to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from multiaddr import Multiaddr

from natlab.errors import DecodeError, ProtocolError, RefusedError, SecurityError
from natlab.net import Stream
from natlab.protocol.framing import dialogue, read_message, write_message
from natlab.wire import address
from natlab.wire.envelope import Voucher
from natlab.wire.peer_id import PeerId
from natlab.wire.proto import circuit_pb2
from natlab.wire.proto.circuit_pb2 import HopMessage, StopMessage

HOP_ID = "/libp2p/circuit/relay/0.2.0/hop"
STOP_ID = "/libp2p/circuit/relay/0.2.0/stop"
MAX_MESSAGE = 4096
"""Bytes of a hop or stop message. Source: go-libp2p `p2p/protocol/circuitv2/relay/relay.go`."""
MAX_ADDRESSES = 20
"""Relay addresses taken from a reservation; our own bound, the spec has none."""
RESERVE_TIMEOUT = 60.0
"""Seconds for a reservation. Source: go-libp2p `p2p/protocol/circuitv2/client`."""
CONNECT_TIMEOUT = 60.0
"""Seconds until a relay has connected us. Source: the same."""
ACCEPT_TIMEOUT = 10.0
"""Seconds for the stop dialogue at the target. Source: the same."""


class Status(IntEnum):
    """circuit-v2.md, "Protobuf": what a relay or a target answers. `UNUSED` also stands for no status at all."""

    UNUSED = 0
    OK = 100
    RESERVATION_REFUSED = 200
    RESOURCE_LIMIT_EXCEEDED = 201
    PERMISSION_DENIED = 202
    CONNECTION_FAILED = 203
    NO_RESERVATION = 204
    MALFORMED_MESSAGE = 400
    UNEXPECTED_MESSAGE = 401


@dataclass(frozen=True, slots=True)
class Limit:
    """What a relay grants one circuit ("Reservation").

    Attributes:
        duration: seconds; 0 for no limit.
        data: bytes in each direction; 0 for no limit.
    """

    duration: int
    data: int


M = TypeVar("M", HopMessage, StopMessage)
UNLIMITED = Limit(duration=0, data=0)
"""What an omitted `limit` field says."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place on a relay.

    Attributes:
        expires: Unix time in seconds. It ends earlier if the connection to the relay does.
        addresses: the relay's public addresses, each with its peer ID and without `/p2p-circuit`. Empty if the relay
            named none: then only the address it was dialled at is known.
        limit: what a circuit to us may last and carry.
        voucher: checked; None if the relay sends none.
    """

    expires: float
    addresses: tuple[Multiaddr, ...]
    limit: Limit
    voucher: Voucher | None


async def reserve(stream: Stream, *, relay: PeerId, own: PeerId, now: float) -> Reservation:
    """A's part of a reservation, on a hop stream.

    Args:
        relay: the peer at the other end.
        own: our own peer ID, which the voucher must name.
        now: Unix time in seconds; a reservation must not have expired already.

    Raises:
        RefusedError: the relay said no; `status` is a `Status`.
        SecurityError: the voucher is not this relay's signature, or not about us.
        ProtocolError: the answer breaks the protocol, or the reservation has expired already.
        ClosedError: the stream ended before the answer.
        UnreachableError: no answer within `RESERVE_TIMEOUT`.
    """
    async with dialogue(stream, RESERVE_TIMEOUT, "reserving"):
        await write_message(stream, HopMessage(type=HopMessage.RESERVE))
        answer = await _read_ok(stream, "the reservation")
        if not answer.HasField("reservation"):
            raise ProtocolError("the relay accepted, but sent no reservation")
        granted = answer.reservation
        if granted.expire <= now:
            raise ProtocolError(f"the reservation expired at {granted.expire}, and it is {now:.0f} now")
        voucher = _check_voucher(granted.voucher, relay, own) if granted.voucher else None
        await stream.close_write()
    addresses = address.decode_known(granted.addrs[:MAX_ADDRESSES])
    return Reservation(float(granted.expire), addresses, limit_of(answer), voucher)


async def connect(stream: Stream, *, target: PeerId) -> Limit:
    """B's part: afterwards `stream` is the circuit to `target`, and not a byte of it has been read.

    Raises:
        RefusedError: the relay said no; `status` is a `Status`, e.g. `NO_RESERVATION`.
        ProtocolError: the answer breaks the protocol.
        ClosedError: the stream ended before the answer.
        UnreachableError: no answer within `CONNECT_TIMEOUT`.
    """
    async with dialogue(stream, CONNECT_TIMEOUT, f"connecting to {target} through a relay"):
        peer = circuit_pb2.Peer(id=bytes(target))
        await write_message(stream, HopMessage(type=HopMessage.CONNECT, peer=peer))
        return limit_of(await _read_ok(stream, "the connection"))


async def accept(stream: Stream) -> tuple[PeerId, Limit]:
    """A's part of a circuit, on a stop stream: afterwards `stream` is the circuit.

    Who the relay says is calling is a claim; the security handshake over the circuit proves it.

    Returns:
        The initiator's peer ID, and the circuit's limit.

    Raises:
        RefusedError: the relay's message was answered with a refusal: `MALFORMED_MESSAGE` or `UNEXPECTED_MESSAGE`.
        ClosedError: the stream ended before the message.
        UnreachableError: no message within `ACCEPT_TIMEOUT`.
    """
    async with dialogue(stream, ACCEPT_TIMEOUT, "accepting a circuit"):
        try:
            message = await _read_stop_connect(stream)
            source = peer_id_of(message)
        except RefusedError as refusal:
            await write_message(stream, StopMessage(type=StopMessage.STATUS, status=Status(refusal.status).name))
            raise
        await write_message(stream, StopMessage(type=StopMessage.STATUS, status=Status.OK.name))
    return source, limit_of(message)


def limit_of(message: HopMessage | StopMessage) -> Limit:
    """The limit a message carries; no field, no limit ("Reservation")."""
    return Limit(message.limit.duration, message.limit.data) if message.HasField("limit") else UNLIMITED


def peer_id_of(message: HopMessage | StopMessage) -> PeerId:
    """Whom a CONNECT is about: at hop the target, at stop the initiator.

    Raises:
        RefusedError: no peer ID in it; the status is `MALFORMED_MESSAGE`.
    """
    try:
        return PeerId.from_bytes(message.peer.id)
    except DecodeError as error:
        raise RefusedError(f"CONNECT without a valid peer ID: {error}", Status.MALFORMED_MESSAGE) from error


async def read_request(stream: Stream, kind: type[M]) -> M:
    """Reads the message that opens a hop or stop dialogue.

    Raises:
        RefusedError: it does not parse; the status is `MALFORMED_MESSAGE`.
        ClosedError: the stream ended before the message was whole.
    """
    try:
        return await read_message(stream, kind, MAX_MESSAGE)
    except DecodeError as error:
        raise RefusedError(str(error), Status.MALFORMED_MESSAGE) from error


async def _read_stop_connect(stream: Stream) -> StopMessage:
    message = await read_request(stream, StopMessage)
    if not message.HasField("type") or message.type != StopMessage.CONNECT:
        raise RefusedError(f"stop: type {message.type} where CONNECT was due", Status.UNEXPECTED_MESSAGE)
    return message


async def _read_ok(stream: Stream, what: str) -> HopMessage:
    """The relay's answer, if it is yes."""
    answer = await read_message(stream, HopMessage, MAX_MESSAGE)
    if answer.type != HopMessage.STATUS:
        raise ProtocolError(f"hop: type {answer.type} where STATUS was due")
    if int(answer.status) != Status.OK:
        raise RefusedError(f"the relay refused {what}: {status_name(answer.status)}", int(answer.status))
    return answer


def status_name(status: int) -> str:
    """The spec's word for a status, or the bare number of one it does not know."""
    return Status(status).name if status in Status.__members__.values() else f"status {status}"


def _check_voucher(envelope: bytes, relay: PeerId, own: PeerId) -> Voucher:
    """Checks that it is signed, and that it is this relay's promise to us ("Reservation Vouchers")."""
    voucher = Voucher.unseal(envelope)
    if voucher.relay != relay:
        raise SecurityError(f"a voucher of the relay {voucher.relay}, not of {relay}")
    if voucher.peer != own:
        raise SecurityError(f"a voucher for {voucher.peer}, not for {own}")
    return voucher
