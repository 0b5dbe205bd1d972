"""DCUtR: from a relayed connection to a direct one, by dialling each other at the same moment.

Spec: libp2p/specs `relay/DCUtR.md`, r1 2021-11-20; the step numbers below are its own.
`A` dialled `B` through a relay, so `B` is the end that *accepted* the relayed connection. `B` begins: it is the
*initiator* of this protocol, `A` the *responder*.

         A (responder)                     relay                     B (initiator)
         │ ═══════════════ relayed connection, opened by A ════════════════> │
         │                                                                   │
         │ <──────────── dials A directly: connection reversal ───────────── │   only if A has a public address
         │                                                                   │
    ┌─── │ <──────────────── step 1: opens /libp2p/dcutr ─────────────────── │
    │    │ <──────────────── step 2: CONNECT, B's addresses ──────────────── │ ──┐
    │    │ ───────────────── step 3: CONNECT, A's addresses ───────────────> │ ──┴ RTT of the relayed path
    │    │ <──────────────── step 4: SYNC ────────────────────────────────── │ ──┐
    │    │ ───── step 5: dials B at once ──────> ╲ ╱                         │   │ waits RTT / 2
    │    │                                        ╳ the SYNs cross           │ <─┘
    │    │                                       ╱ ╲ <─ step 5: dials A ──── │
    └─── │ step 6: on failure again from step 1, three attempts in all ───── │

Why RTT / 2: SYNC needs about that long to reach A, so both dial at the same instant, and each SYN leaves through its
own NAT, making the mapping, before the other's SYN arrives there. The error of that guess is the difference between
the relayed path's two directions. Each attempt measures anew, "to prevent a flawed RTT measurement on the first
attempt to distort all following retry attempts" (FAQ).

A simultaneous open has no dialer, so step 5 names one: A is the client, B the server, in every protocol above TCP.
Implementations have differed in this, hence `RoleProfile`.

Left to the node, because it needs to know the connection below the stream:

- Who may open the stream. Only B may; an end refuses `/libp2p/dcutr` on a relayed connection it accepted itself, and
  on every connection that is not relayed.
- When to begin: after identify, and not if a direct connection exists already.
- Step 6's other half: cancelling dials once one connection stands, moving new streams over, closing the relayed one.

*Not modelled*: QUIC addresses (step 5's random packets), predicted addresses (step 2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from multiaddr import Multiaddr

from natlab.errors import NatlabError, ProtocolError, UnreachableError
from natlab.net import Stream
from natlab.protocol.framing import dialogue, read_message, write_message
from natlab.wire import address
from natlab.wire.proto.dcutr_pb2 import HolePunch

DCUTR_ID = "/libp2p/dcutr"
ATTEMPTS = 3
"""Attempts in all: "Inbound peers SHOULD retry twice (thus a total of 3 attempts)" (step 6)."""
MAX_MESSAGE = 4096
"""Bytes: "SHOULD refuse encoded RPC messages larger than 4 KiB" ("RPC messages")."""
MAX_ADDRESSES = 20
"""Addresses sent in a CONNECT, taken from one, or dialled for the reversal. The spec names no number.
Source: rust-libp2p `protocols/dcutr`."""
STREAM_TIMEOUT = 60.0
"""Seconds for the messages of one attempt. Source: go-libp2p `p2p/protocol/holepunch/svc.go`."""
DIAL_TIMEOUT = 10.0
"""Seconds for connection reversal, and for the dials of each attempt. Source: the same."""

CONNECT, SYNC = HolePunch.CONNECT, HolePunch.SYNC
C = TypeVar("C")


class Role(StrEnum):
    """Which end of the protocols above TCP one is on a connection that both ends dialled (step 5)."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class RoleProfile:
    """Who is client and who is server, as one implementation has it.

    Attributes:
        name: where it is found.
        initiator: B's role on attempts 1, 2 and 3.
        responder: A's role on every attempt.
    """

    name: str
    initiator: tuple[Role, Role, Role]
    responder: Role


SPEC = RoleProfile("specs relay/DCUtR.md step 5; rust, js", (Role.SERVER,) * 3, Role.CLIENT)
GO_V029 = RoleProfile("go-libp2p v0.29 to v0.40, both reversed", (Role.CLIENT,) * 3, Role.SERVER)
GO_V048 = RoleProfile("go-libp2p since v0.48", (Role.SERVER, Role.SERVER, Role.CLIENT), Role.CLIENT)
"""The default. With the spec's roles a pair of NATs that lets only B's packets through never punches: they land on A's
*listening* socket, which makes A the server, as B already is. On attempt 3 B tries the other role."""


@dataclass(frozen=True, slots=True)
class MessageNoted:
    """CONNECT or SYNC went by. `sent` tells whether we sent it."""

    name: str
    sent: bool


@dataclass(frozen=True, slots=True)
class DialsNoted:
    """We begin to dial every address of the other end. Reversal is attempt 0."""

    role: Role
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptNoted:
    """B's outcome of one attempt: "success" or the cause. `rtt` in seconds, 0 for reversal, which is attempt 0."""

    attempt: int
    rtt: float
    outcome: str


Note = Callable[[MessageNoted | DialsNoted | AttemptNoted], None]
"""Told what happens, while it happens, so that a node can put it in its journal."""
Dial = Callable[[Sequence[Multiaddr], Role], Awaitable[C]]
"""Dials all addresses at once, each from the listening port (port reuse), and upgrades the first connection that
stands in the given role; where the peer's SYN came in first, the accepted connection counts. Raises `NatlabError`."""


async def initiate(
    open_stream: Callable[[], Awaitable[Stream]],
    dial: Dial[C],
    *,
    own_addresses: Callable[[], Sequence[Multiaddr]],
    peer_addresses: Sequence[Multiaddr],
    note: Note,
    profile: RoleProfile = GO_V048,
) -> C:
    """B's part, whole: connection reversal, then up to three attempts.

    Args:
        open_stream: opens a new `/libp2p/dcutr` stream to A on the relayed connection.
        dial: see `Dial`; called with `Role.CLIENT` for the reversal, which is an ordinary dial.
        own_addresses: our direct addresses, listened on or observed, asked for anew on every attempt.
        peer_addresses: what A advertised by identify.

    Returns:
        The direct connection, as `dial` made it.

    Raises:
        UnreachableError: every dial failed; `attempts` holds the reversal (if tried) and the three causes. Or A did
            not answer in time, or we have no public address to be dialled at.
        ProtocolError: A broke the dialogue.
        ClosedError, NegotiationError: A refuses `/libp2p/dcutr`, or the stream ended early.
    """
    failures: list[tuple[str, Exception]] = []
    if any(_is_punchable(known) for known in peer_addresses):
        direct = [known for known in peer_addresses if not address.is_relayed(known)][:MAX_ADDRESSES]
        try:
            return await _dial_noted(dial, direct, Role.CLIENT, 0, 0.0, note)
        except NatlabError as error:
            failures.append(("connection reversal", error))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            stream = await open_stream()  # step 1
            rtt, remote = await _exchange(stream, own_addresses(), note)  # steps 2 to 4
        except NatlabError as error:
            note(AttemptNoted(attempt, 0.0, str(error)))
            raise
        await asyncio.sleep(rtt / 2)  # step 4: the timer for half the RTT
        try:
            return await _dial_noted(dial, remote, profile.initiator[attempt - 1], attempt, rtt, note)  # step 5
        except NatlabError as error:
            failures.append((f"attempt {attempt}", error))  # step 6: back to step 1
    raise UnreachableError("hole punching failed", failures)


async def respond(
    stream: Stream,
    dial: Dial[C],
    *,
    own_addresses: Sequence[Multiaddr],
    note: Note,
    profile: RoleProfile = GO_V048,
    attempt: int = 1,
) -> C:
    """A's part of one attempt, on the stream B opened for it.

    Args:
        own_addresses: our direct addresses, listened on or observed.
        attempt: counted by the node, only to be noted; the protocol does not tell.

    Returns:
        The direct connection, as `dial` made it.

    Raises:
        ProtocolError: B broke the dialogue.
        ClosedError: the stream ended before SYNC.
        UnreachableError: the dials failed, B fell silent, or we have no public address to be dialled at.
    """
    async with dialogue(stream, STREAM_TIMEOUT, "DCUtR"):
        ours = _to_send(own_addresses)
        remote = await _receive(stream, CONNECT, note)  # step 2
        await _send(stream, CONNECT, note, ours)  # step 3
        await _receive(stream, SYNC, note)  # step 4
        await stream.close_write()
    note(DialsNoted(profile.responder, attempt))
    return await _in_time(dial(remote, profile.responder))  # step 5: "immediately dials"


async def _exchange(stream: Stream, own: Sequence[Multiaddr], note: Note) -> tuple[float, Sequence[Multiaddr]]:
    """B's messages: the RTT in seconds "between sending the initial Connect and receiving the response", and A's
    addresses."""
    clock = asyncio.get_running_loop().time
    async with dialogue(stream, STREAM_TIMEOUT, "DCUtR"):
        ours = _to_send(own)
        started = clock()
        await _send(stream, CONNECT, note, ours)  # step 2
        remote = await _receive(stream, CONNECT, note)  # step 3
        rtt = clock() - started
        await _send(stream, SYNC, note)  # step 4
        await stream.close_write()
    return rtt, remote


async def _dial_noted(
    dial: Dial[C], remote: Sequence[Multiaddr], role: Role, attempt: int, rtt: float, note: Note
) -> C:
    """Dials, and notes the beginning and the outcome."""
    note(DialsNoted(role, attempt))
    try:
        connection = await _in_time(dial(remote, role))
    except NatlabError as error:
        note(AttemptNoted(attempt, rtt, str(error)))
        raise
    note(AttemptNoted(attempt, rtt, "success"))
    return connection


async def _in_time(dialling: Awaitable[C]) -> C:
    try:
        async with asyncio.timeout(DIAL_TIMEOUT):
            return await dialling
    except TimeoutError as error:
        raise UnreachableError(f"no direct connection within {DIAL_TIMEOUT:g} s") from error


async def _send(stream: Stream, kind: HolePunch.Type, note: Note, addresses: Sequence[Multiaddr] = ()) -> None:
    note(MessageNoted(HolePunch.Type.Name(kind), sent=True))
    await write_message(stream, HolePunch(type=kind, ObsAddrs=[ours.to_bytes() for ours in addresses]))


async def _receive(stream: Stream, due: HolePunch.Type, note: Note) -> tuple[Multiaddr, ...]:
    """Reads the message that is due; of a CONNECT, the addresses to dial.

    Relay addresses are left out: a circuit is what we have already. Private ones stay, as in go-libp2p: two peers
    behind one NAT meet on them.
    """
    message = await read_message(stream, HolePunch, MAX_MESSAGE)
    if message.type != due:
        raise ProtocolError(f"DCUtR: type {message.type} where {HolePunch.Type.Name(due)} was due")
    note(MessageNoted(HolePunch.Type.Name(due), sent=False))
    known = address.decode_known(message.ObsAddrs[:MAX_ADDRESSES])
    remote = tuple(theirs for theirs in known if not address.is_relayed(theirs))
    if due == CONNECT and not remote:
        raise ProtocolError("DCUtR: a CONNECT without an address that can be dialled")
    return remote


def _to_send(own: Sequence[Multiaddr]) -> list[Multiaddr]:
    """What goes into our CONNECT: public addresses, without circuits.

    Raises:
        UnreachableError: none is left; without one the other end has nowhere to dial.
    """
    ours = [mine for mine in own if _is_punchable(mine)][:MAX_ADDRESSES]
    if not ours:
        raise UnreachableError("DCUtR: no public address of ours is known, so there is nothing to be dialled at")
    return ours


def _is_punchable(candidate: Multiaddr) -> bool:
    return address.is_public(candidate) and not address.is_relayed(candidate)
