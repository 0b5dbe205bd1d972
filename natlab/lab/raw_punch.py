"""One hole punch with nothing but sockets: two bare hosts behind NATs, before any libp2p.

    alice ── home ── internet ── office ── bob
                        │
                     observer                          a STUN server (RFC 8489)

    1   each asks the observer, from the port it will punch from: where do you see me?
    2   each is told the other's answer, out of band: no packet carries it
    3   both at once, or Bob `gap` seconds after Alice
            TCP   dial the reported endpoint, from a port that also listens (SO_REUSEPORT)
            UDP   send three knocks to the reported endpoint
    4   whoever is reached answers to where the packet came from: TCP by itself, over UDP the program does

Nobody has a role, so one direction is enough: if Alice's packets reach Bob, his answers reach her by the same session.
It has to last: over TCP data must flow both ways, over UDP the last knock must be answered as the first was.
What can become of it is `Outcome`.

    crossed            each hears the other from the endpoint that was reported; for TCP a simultaneous open
    bob is reached     Alice's packets get in, Bob's do not; for TCP Bob's listener accepts
    alice is reached   the other way round
    each is reached    both get in, but not from where they were expected; for TCP two connections, each accepts one
    nobody             no packet gets in, or no answer gets back

Not modelled: a second attempt, other candidates than the reported endpoint (RFC 8445 has them).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import inf, nan
from random import Random
from typing import Literal, NamedTuple

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, LabError
from natlab.lab.bare import BareConnection, BareHost, BareListener, BareUdpSocket, Refusal, attempt
from natlab.lab.lab import Lab
from natlab.protocol.stun import binding_request
from natlab.wire import stun

__all__ = ["Axes", "Meeting", "Outcome", "Transport", "punch", "two_hosts"]

Transport = Literal["tcp", "udp"]
Axes = Mapping[str, str | float]

CAST = ("alice", "bob", "observer")
PORT = 4001
KNOCKS = 3
KNOCK_INTERVAL = 0.5  # seconds
HELLO, KNOCK, ANSWER = b"hello", b"knock ", b"answer to "
LAST_ANSWER = ANSWER + KNOCK + str(KNOCKS - 1).encode()
PATIENCE = 3.0  # seconds: three SYNs, or three knocks and the way back


class Outcome(StrEnum):
    """See the top of this file."""

    CROSSED = "crossed"
    BOB = "bob is reached"
    ALICE = "alice is reached"
    EACH = "each is reached"
    NOBODY = "nobody"


class Meeting(NamedTuple):
    """What became of a punch. `seconds` is from Alice's first packet to the first answer; NaN if there is none."""

    outcome: Outcome
    seconds: float


def two_hosts(seed: int, home: Axes, office: Axes, *, record: tuple[()] | None = None) -> Lab:
    """The scene above.

    Args:
        home, office: axes of the two NAT boxes, as in `Lab.nat`; the others are those of the preset "home".
        record: () for a sweep that looks at outcomes only.
    """
    lab = Lab(seed, record=record)
    for name, box, axes in (("alice", "home", home), ("bob", "office", office)):
        lab.host(name, behind=lab.nat("home", name=box, **axes))  # type: ignore[arg-type]  # axes only
    lab.host("observer")
    return lab


def punch(lab: Lab, transport: Transport, *, gap: float = 0.0) -> Meeting:
    """Plays it between the hosts "alice" and "bob" of a lab with an "observer"; three virtual seconds at most.

    Args:
        gap: seconds from Alice's first packet to Bob's.

    Raises:
        LabError: a host of the scene is not there.
    """
    if transport not in ("tcp", "udp"):
        raise ValueError(f'the transport is "tcp" or "udp", not {transport!r}')
    if not gap >= 0:
        raise ValueError(f"Bob sends {gap!r} s after Alice: write a number of 0 or more, or let them change places")
    if missing := [name for name in CAST if name not in lab.hosts]:
        raise LabError(f"this lab lacks {', '.join(missing)}: make each with lab.host(name)")
    return lab.run((_over_tcp if transport == "tcp" else _over_udp)(lab, gap))


@dataclass(slots=True)
class _End:
    """One of the two, and what it saw.

    Attributes:
        reported: where the observer saw it.
        heard: where the first knock or SYN of the other, if it was no answer, came from.
        answered: loop time of the first answer to its own.
        lasts: whether there were answers to the end.
    """

    host: BareHost
    reported: Endpoint
    heard: Endpoint | None = None
    answered: float = inf
    lasts: bool = False


def _meeting(alice: _End, bob: _End, crossed: bool, began: float) -> Meeting:
    answered = min((end.answered for end in (alice, bob) if end.lasts), default=nan)
    match alice.lasts, bob.lasts:
        case True, True:
            outcome = Outcome.CROSSED if crossed else Outcome.EACH
        case True, False:
            outcome = Outcome.BOB
        case False, True:
            outcome = Outcome.ALICE
        case _:
            outcome = Outcome.NOBODY
    return Meeting(outcome, answered - began)


# ---- TCP


async def _over_tcp(lab: Lab, gap: float) -> Meeting:
    loop = asyncio.get_running_loop()
    server = await lab.hosts["observer"].serve_stun()
    listeners = [await lab.hosts[name].listen(PORT, reuse_port=True) for name in ("alice", "bob")]
    alice, bob = [await _asked_over_tcp(listener, server.endpoint) for listener in listeners]
    accepting = [
        asyncio.ensure_future(_accept(end, listener)) for end, listener in zip((alice, bob), listeners, strict=True)
    ]
    began = loop.time()
    await asyncio.gather(_dial(alice, bob.reported, 0.0), _dial(bob, alice.reported, gap))
    for task in accepting:
        task.cancel()
    return _meeting(alice, bob, crossed=alice.heard is None and bob.heard is None, began=began)


async def _asked_over_tcp(listener: BareListener, server: Endpoint) -> _End:
    """The connection to the observer stays open, and so does the mapping."""
    connection = await listener.host.dial(server, listener.local.port, reuse_port=True)
    await connection.write(stun.encode(binding_request(Random(0))))
    return _End(listener.host, _mapped(await connection.read()))


async def _accept(end: _End, listener: BareListener) -> None:
    while True:
        connection = await listener.accept()
        end.heard = end.heard or connection.remote
        await _greet(connection)


async def _dial(end: _End, to: Endpoint, after: float) -> None:
    """Dials once. What it connects to counts if data flows both ways."""
    await asyncio.sleep(after)
    connection = await attempt(end.host.dial(to, PORT, reuse_port=True, timeout=PATIENCE))
    if isinstance(connection, Refusal):
        return
    end.answered = asyncio.get_running_loop().time()
    end.lasts = await _greet(connection)


async def _greet(connection: BareConnection) -> bool:
    """Says hello, and whether the other end says it too."""
    with suppress(ClosedError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await connection.write(HELLO)
            return await connection.read() == HELLO
    return False


# ---- UDP


async def _over_udp(lab: Lab, gap: float) -> Meeting:
    loop = asyncio.get_running_loop()
    server = await lab.hosts["observer"].serve_stun()
    sockets = [await lab.hosts[name].udp(PORT) for name in ("alice", "bob")]
    alice, bob = [await _asked_over_udp(socket, server.endpoint) for socket in sockets]
    receiving = [
        asyncio.ensure_future(_receive(end, socket)) for end, socket in zip((alice, bob), sockets, strict=True)
    ]
    began = loop.time()
    await asyncio.gather(_knock(sockets[0], bob.reported, 0.0), _knock(sockets[1], alice.reported, gap))
    for task in receiving:
        task.cancel()
    return _meeting(alice, bob, crossed=(alice.heard, bob.heard) == (bob.reported, alice.reported), began=began)


async def _asked_over_udp(socket: BareUdpSocket, server: Endpoint) -> _End:
    await socket.send(stun.encode(binding_request(Random(0))), server)
    return _End(socket.host, _mapped((await socket.receive()).data))


async def _knock(socket: BareUdpSocket, to: Endpoint, after: float) -> None:
    await asyncio.sleep(after)
    for number in range(KNOCKS):
        await socket.send(KNOCK + str(number).encode(), to)
        await asyncio.sleep(KNOCK_INTERVAL)


async def _receive(end: _End, socket: BareUdpSocket) -> None:
    while True:
        datagram = await socket.receive()
        if datagram.data.startswith(KNOCK):
            end.heard = end.heard or datagram.source
            await socket.send(ANSWER + datagram.data, datagram.source)
        else:
            end.answered = min(end.answered, asyncio.get_running_loop().time())
            end.lasts = datagram.data == LAST_ANSWER


def _mapped(response: bytes) -> Endpoint:
    mapped = stun.decode(response).xor_mapped_address
    assert mapped is not None, "our own server says where it sees us"
    return mapped
