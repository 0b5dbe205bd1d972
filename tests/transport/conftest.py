"""Two hosts on a simulated internet, TCP between them, and two identities."""

import asyncio
import random
from types import SimpleNamespace

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.sim import Internet, SimLoop
from natlab.transport.connection import Connection, Route
from natlab.transport.upgrade import Credentials, upgrade
from natlab.wire import address
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId


@pytest.fixture
def run():
    """Runs `main(one, other)` with both ends of a TCP connection, in virtual time; then nothing may be left running."""

    def run_simulated(main, limit=600.0):
        loop = SimLoop()
        internet = Internet(loop, Journal(kinds=()), random.Random)
        here, there = internet.host("here"), internet.host("there")

        async def connected():
            listener = await there.listen_tcp(Endpoint(there.ip, 4001))
            dialled = await here.dial_tcp(listener.local)
            accepted = await listener.accept()
            listener.close()
            return await main(dialled, accepted)

        try:
            return loop.run(connected(), limit=limit)
        finally:
            loop.close()

    return run_simulated


@pytest.fixture(scope="session")
def credentials():
    """Three identities, each with random numbers of its own."""
    return [Credentials(PrivateKey.generate(random.Random(n)), random.Random(n)) for n in range(3)]


@pytest.fixture(scope="session")
def peer_ids(credentials):
    return [PeerId.from_public_key(one.key.public) for one in credentials]


@pytest.fixture
def connect(credentials):
    """Upgrades both ends of a byte stream and starts a connection on each."""

    async def connect_both(one, other, *, keepalive=None):
        ends = await asyncio.gather(
            upgrade(one, credentials[0], initiator=True), upgrade(other, credentials[1], initiator=False)
        )
        return [_started(end, keepalive) for end in ends]

    return connect_both


def _started(upgraded, keepalive):
    at = address.parse("/ip4/11.0.0.1/tcp/4001")
    log = SimpleNamespace(opened=asyncio.Queue(), closed=[], round_trips=[])
    connection = Connection(
        upgraded,
        Route(at, at, relayed=False, dialled=True, opened_by="dial", started=0.0),
        1,
        keepalive=keepalive,
        on_stream=log.opened.put_nowait,
        on_round_trip=lambda _, seconds: log.round_trips.append(seconds),
        on_closed=lambda _, reason: log.closed.append(reason),
    )
    connection.log = log
    connection.start()
    return connection
