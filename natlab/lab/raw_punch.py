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
from enum import StrEnum
from math import inf, nan
from random import Random
from typing import Literal, NamedTuple

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, LabError
from natlab.lab import bad_input
from natlab.lab.bare import BareHost, Refusal, attempt
from natlab.lab.bare_sockets import BareConnection, BareListener
from natlab.lab.lab import Lab
from natlab.protocol.stun import binding_request
from natlab.wire import stun

__all__ = ["Axes", "Meeting", "Outcome", "Transport", "meet", "punch", "two_hosts"]

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


def punch(lab: Lab, transport: Transport, *, gap: float = 0.0, pause: float = 0.0, aim: int = 0) -> Meeting:
    """Plays it between the hosts "alice" and "bob" of a lab with an "observer".

    Args:
        gap: seconds from Alice's first packet to Bob's.
        pause: seconds that step 2 takes.
        aim: how far above Alice's reported port Bob aims, since he foresees that it will be another one.

    Raises:
        LabError: a host of the scene is not there.
    """
    return lab.run(meet(lab, transport, gap=gap, pause=pause, aim=aim))


async def meet(lab: Lab, transport: Transport, *, gap: float = 0.0, pause: float = 0.0, aim: int = 0) -> Meeting:
    """`punch` for those who have other things going on in the lab at the same time.

    The sockets of both stay open, until they punch again: then all that they have is closed first.
    """
    if transport not in ("tcp", "udp"):
        raise ValueError(f'the transport is "tcp" or "udp", not {transport!r}')
    bad_input.check_seconds(gap, "gap=")
    bad_input.check_seconds(pause, "pause=")
    if missing := [name for name in CAST if name not in lab.hosts]:
        raise LabError(f"this lab lacks {', '.join(missing)}: make each with lab.host(name)")
    kind = _TcpEnd if transport == "tcp" else _UdpEnd
    alice, bob = kind(lab.hosts["alice"]), kind(lab.hosts["bob"])
    alice.host.close()
    bob.host.close()
    server = await lab.hosts["observer"].serve_stun()
    at_alice, at_bob = await alice.ready(server.endpoint), await bob.ready(server.endpoint)
    alice.expects, bob.expects = at_bob, Endpoint.of(at_alice.ip, at_alice.port + aim)
    await asyncio.sleep(pause)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(alice.send(0.0), bob.send(gap))
    alice.receiving.cancel()
    bob.receiving.cancel()
    await server.close()
    return _meeting(alice, bob, began)


class _End:
    """One of the two, and what it saw.

    Attributes:
        expects: where it believes the other to be: there it sends, from there it hopes to hear.
        surprised: whether it was reached from elsewhere, or by a SYN that did not meet its own.
        answered: loop time of the first answer to its own packets.
        lasts: whether there were answers to the end.
        receiving: the task that answers the other.
    """

    expects: Endpoint
    receiving: asyncio.Task[None]

    def __init__(self, host: BareHost) -> None:
        self.host = host
        self.surprised = self.lasts = False
        self.answered = inf

    async def ready(self, server: Endpoint) -> Endpoint:
        """Opens the port, begins to receive on it, and learns from the server where it is seen."""
        raise NotImplementedError

    async def send(self, after: float) -> None:
        raise NotImplementedError


def _meeting(alice: _End, bob: _End, began: float) -> Meeting:
    answered = min((end.answered for end in (alice, bob) if end.lasts), default=nan)
    match alice.lasts, bob.lasts:
        case True, True:
            outcome = Outcome.EACH if alice.surprised or bob.surprised else Outcome.CROSSED
        case True, False:
            outcome = Outcome.BOB
        case False, True:
            outcome = Outcome.ALICE
        case _:
            outcome = Outcome.NOBODY
    return Meeting(outcome, answered - began)


class _TcpEnd(_End):
    async def ready(self, server: Endpoint) -> Endpoint:
        """The connection to the server stays open, and so does the mapping."""
        listener = await self.host.listen(PORT, reuse_port=True)
        connection = await self.host.dial(server, PORT, reuse_port=True)
        await connection.write(stun.encode(binding_request(Random(0))))
        mapped = _mapped(await connection.read())
        self.receiving = asyncio.ensure_future(self._accept(listener))
        return mapped

    async def send(self, after: float) -> None:
        """Dials once. What it connects to counts if data flows both ways."""
        await asyncio.sleep(after)
        connection = await attempt(self.host.dial(self.expects, PORT, reuse_port=True, timeout=PATIENCE))
        if not isinstance(connection, Refusal):
            self.answered = asyncio.get_running_loop().time()
            self.lasts = await _greet(connection)

    async def _accept(self, listener: BareListener) -> None:
        while True:
            connection = await listener.accept()
            self.surprised = True
            await _greet(connection)


async def _greet(connection: BareConnection) -> bool:
    """Says hello, and whether the other end says it too."""
    with suppress(ClosedError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await connection.write(HELLO)
            return await connection.read() == HELLO
    return False


class _UdpEnd(_End):
    async def ready(self, server: Endpoint) -> Endpoint:
        self._socket = await self.host.udp(PORT)
        await self._socket.send(stun.encode(binding_request(Random(0))), server)
        mapped = _mapped((await self._socket.receive()).data)
        self.receiving = asyncio.ensure_future(self._answer())
        return mapped

    async def send(self, after: float) -> None:
        await asyncio.sleep(after)
        for number in range(KNOCKS):
            await self._socket.send(KNOCK + str(number).encode(), self.expects)
            await asyncio.sleep(KNOCK_INTERVAL)

    async def _answer(self) -> None:
        while True:
            datagram = await self._socket.receive()
            if datagram.data.startswith(KNOCK):
                self.surprised |= datagram.source != self.expects
                await self._socket.send(ANSWER + datagram.data, datagram.source)
            else:
                self.answered = min(self.answered, asyncio.get_running_loop().time())
                self.lasts = datagram.data == LAST_ANSWER


def _mapped(response: bytes) -> Endpoint:
    mapped = stun.decode(response).xor_mapped_address
    assert mapped is not None, "our own server says where it sees us"
    return mapped
