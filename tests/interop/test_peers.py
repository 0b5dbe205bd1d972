"""Our node meets nodes that nobody here wrote: go-libp2p, js-libp2p and Kubo, over real sockets.

Every test runs against each of them. Kubo's library has no ping and no identify to call; with Kubo only our side asks.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

from natlab.errors import SecurityError
from natlab.host import Node
from natlab.protocol.reservations import RelayLimits
from natlab.transport.connection import Connection
from natlab.wire.peer_id import PeerId

pytestmark = pytest.mark.timeout(600)  # the first run builds and installs the peers

AGENT = {"go": "go-libp2p", "js": "js-libp2p", "kubo": "kubo"}
OUR = ("12.0.0.1", "13.0.0.1")


def our_node(n: int = 0, **options: Any) -> Node:
    return Node(listen=[f"/ip4/{OUR[n]}/tcp/4001"], **options)


def our_address(node: Node, n: int = 0) -> str:
    return f"/ip4/{OUR[n]}/tcp/4001/p2p/{node.peer_id}"


async def connection_with(node: Node, peer: Any, *, relayed: bool) -> Connection:
    """Our connection with the peer, once we have it; a dialer may be done with the handshake a moment before us."""
    for _ in range(1000):
        for connection in node.connections_to(PeerId.parse(peer.id)):
            if connection.relayed == relayed:
                return connection
        await asyncio.sleep(0.01)
    pytest.fail(f"no such connection, only {node.connections}")


def bounded(scenario: Coroutine[Any, Any, None], seconds: float = 30.0) -> None:
    """Run a scenario on the operating system's loop; one that hangs fails."""
    asyncio.run(asyncio.wait_for(scenario, seconds))


def test_we_dial_identify_and_ping(kind, start_peer):
    async def scenario():
        async with start_peer() as peer, our_node() as node:
            connection = await node.dial(peer.address)
            identity = await node.identify(connection.peer)
            assert str(connection.peer) == peer.id
            assert AGENT[kind] in identity.agent_version
            assert {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"} <= set(identity.protocols)
            assert str(PeerId.from_public_key(identity.public_key)) == peer.id
            assert peer.address.removesuffix(f"/p2p/{peer.id}") in map(str, identity.listen_addresses)
            assert str(identity.observed_address).startswith(f"/ip4/{OUR[0]}/tcp/4001"), "dialled from the listen port"
            assert 0 < await node.ping(connection.peer) < 5

    bounded(scenario())


def test_they_dial_identify_and_ping(kind, start_peer):
    async def scenario():
        async with start_peer() as peer, our_node() as node:
            await peer.tell("dial", our_address(node))
            if kind != "kubo":
                identity = await peer.tell("identify", str(node.peer_id))
                assert identity["agent"].startswith("natlab")
                assert {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"} <= set(identity["protocols"])
                assert (await peer.tell("ping", str(node.peer_id)))["rtt"] < 5
            connection = await connection_with(node, peer, relayed=False)
            assert 0 < await node.ping(connection.peer) < 5

    bounded(scenario())


def test_we_reserve_on_their_relay_and_they_dial_us_through_it(kind, start_peer):
    async def scenario():
        async with start_peer(0, relay=True) as relay, start_peer(1) as peer, our_node(hole_punching=None) as node:
            reservation = await node.reserve(relay.address)
            assert relay.address in map(str, reservation.addresses)
            assert reservation.voucher is not None
            await peer.tell("dial", str(node.address_via(relay.address)))
            connection = await connection_with(node, peer, relayed=True)
            if kind != "kubo":
                assert (await peer.tell("ping", str(node.peer_id)))["rtt"] < 5
            assert 0 < await node.ping(connection.peer) < 5

    bounded(scenario())


def test_we_meet_each_other_through_their_relay(start_peer):
    async def scenario():
        async with (
            start_peer(relay=True) as relay,
            our_node(0, hole_punching=None) as alice,
            our_node(1, hole_punching=None) as bob,
        ):
            await alice.reserve(relay.address)
            connection = await bob.dial(alice.address_via(relay.address))
            assert connection.relayed
            assert 0 < await bob.ping(alice.peer_id) < 5

    bounded(scenario())


def test_they_dial_us_through_a_relay_and_we_dial_back_directly(start_peer):
    """Connection reversal, the first step of DCUtR: they listen at a public address, and identify told us."""

    async def scenario():
        async with start_peer(0, relay=True) as relay, start_peer(1) as peer, our_node() as node:
            await node.reserve(relay.address)
            await peer.tell("dial", str(node.address_via(relay.address)))
            await connection_with(node, peer, relayed=False)

    bounded(scenario())


@pytest.mark.parametrize("kind", ["go", "js"], indirect=True, scope="module")
def test_they_reserve_on_our_relay_and_are_dialled_through_it(start_peer):
    async def scenario():
        async with (
            our_node(0, relay_service=RelayLimits()) as relay,
            start_peer() as peer,
            our_node(1, hole_punching=None) as node,
        ):
            given = (await peer.tell("reserve", our_address(relay)))["addresses"]
            assert any(our_address(relay) in address for address in given)
            connection = await node.dial(f"{our_address(relay)}/p2p-circuit/p2p/{peer.id}")
            assert connection.relayed
            assert 0 < await node.ping(connection.peer) < 5

    bounded(scenario())


def test_another_identity_than_the_one_dialled_is_refused(start_peer):
    async def scenario():
        async with start_peer() as peer, our_node(0) as node, our_node(1) as other:
            with pytest.raises(SecurityError):
                await node.dial(peer.address.replace(peer.id, str(other.peer_id)))
            assert node.connections == ()

    bounded(scenario())


def test_from_a_shell(kind, start_peer):
    async def shell(*arguments):
        command = (sys.executable, "-m", "natlab", *arguments)
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")
        return out.decode()

    async def scenario():
        async with start_peer() as peer:
            told = await shell("identify", peer.address)
            assert re.search(rf"^agent .*{AGENT[kind]}", told, re.MULTILINE)
            assert re.search(r"^sees us at +/ip4/[\d.]+/tcp/\d+", told, re.MULTILINE)
            assert "/ipfs/ping/1.0.0" in told.split("protocols")[1]
            assert re.search(r"[\d.]+ ms$", await shell("ping", peer.address), re.MULTILINE)

    bounded(scenario())
