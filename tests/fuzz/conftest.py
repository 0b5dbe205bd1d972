"""A node among friends, and a stranger who speaks as much of libp2p as it likes before it says anything.

victim    a node with every service, which relays for others and has reserved with `relay`
friend    an honest node, connected to the victim all the time
stranger  a bare computer: bytes on TCP, or inside Noise, or in a stream of a real connection
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Coroutine

import pytest

from natlab.endpoint import Endpoint
from natlab.events import HandlerFailed, Journal
from natlab.host import Node
from natlab.net import Stream
from natlab.protocol.reservations import RelayLimits
from natlab.sim import Internet, SimLoop
from natlab.transport.connection import Connection, Route
from natlab.transport.stream import MuxedStream
from natlab.transport.upgrade import Credentials, Upgraded, upgrade
from natlab.wire import address
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId

PORT = 4001
FOREIGN = re.compile(r"^\w+\(")  # the repr of an exception that is not ours
LONGEST = 200.0  # virtual seconds after which nothing that a stranger began may go on


def rng_for(owner: str) -> random.Random:
    return random.Random(int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8], "big"))


class World:
    """Victim, friend and stranger on a simulated internet."""

    def __init__(self) -> None:
        self.loop = SimLoop()
        self.journal = Journal([HandlerFailed])
        self.internet = Internet(self.loop, self.journal, rng_for)
        self.relay, self.victim, self.friend = self.node("relay"), self.node("victim"), self.node("friend")
        self.stranger = self.internet.host("stranger")
        self.credentials = Credentials(PrivateKey.generate(rng_for("stranger")), rng_for("stranger's chance"))
        self.opened: list[MuxedStream] = []  # streams that others opened to the stranger
        self._secured: list[Upgraded] = []  # all that the stranger has to hang up in the end
        self.loop.run(self._befriend())
        self.running_before = self.running()
        self.friendship = self.victim.connections_to(self.friend)[0].number

    def node(self, name: str) -> Node:
        host = self.internet.host(name)
        listen = [f"/ip4/{host.ip}/tcp/{PORT}"]
        node = Node(
            host, rng=rng_for(name), journal=self.journal, name=name, listen=listen, relay_service=RelayLimits()
        )
        self.loop.run(node.start())
        return node

    async def _befriend(self) -> None:
        await self.friend.dial(self.victim)
        await self.victim.reserve(self.relay)
        await asyncio.sleep(1.0)

    @property
    def peer(self) -> PeerId:
        """The stranger's."""
        return PeerId.from_public_key(self.credentials.key.public)

    def running(self) -> list[str]:
        """The tasks of all nodes."""
        return sorted(task.get_name() for task in asyncio.all_tasks(self.loop))

    def suffers(self, story: Coroutine[object, object, None]) -> None:
        """Lets the stranger do its worst; afterwards all must be as it was, and nobody else has noticed."""
        try:
            self.loop.run(story)
            self.loop.run(self._afterwards())
            assert self.running() == self.running_before
        finally:
            self.loop.close()

    async def _afterwards(self) -> None:
        for upgraded in self._secured:
            upgraded.stream.reset()
        await asyncio.sleep(LONGEST)
        assert [one.number for one in self.victim.connections_to(self.friend)] == [self.friendship]
        assert self.victim.connections_to(self.peer) == ()
        await self.friend.ping(self.victim)
        await self.victim.ping(self.friend)
        await asyncio.sleep(1.0)
        foreign = [event for event in self.journal.of(HandlerFailed) if FOREIGN.match(event.cause)]
        assert foreign == []

    # ---- what the stranger can do

    async def tcp(self) -> Stream:
        """A TCP connection to the victim."""
        return await self.stranger.dial_tcp(Endpoint.of(self.victim.addresses[0].value_for_protocol("ip4"), PORT))

    async def upgraded(self, below: Stream, *, initiator: bool = True) -> Upgraded:
        """Noise and Yamux, spoken as they should be."""
        self._secured.append(await upgrade(below, self.credentials, initiator=initiator))
        return self._secured[-1]

    async def connected(self, below: Stream, *, initiator: bool = True) -> Connection:
        """A whole connection; the victim's streams come to `opened`, where nobody answers them."""
        upgraded = await self.upgraded(below, initiator=initiator)
        at = address.parse("/ip4/11.0.0.1/tcp/4001")
        route = Route(at, at, relayed=False, dialled=initiator, opened_by="dial", started=0.0)
        connection = Connection(
            upgraded,
            route,
            1,
            keepalive=None,
            on_stream=self.opened.append,
            on_round_trip=lambda *_: None,
            on_closed=lambda *_: None,
        )
        connection.start()
        return connection


@pytest.fixture(scope="session")
def world() -> type[World]:
    return World
