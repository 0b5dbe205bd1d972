"""How connections come about, and what strangers can do to it."""

import asyncio
import errno

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import NatlabError, UnreachableError
from natlab.events import ConnectionOpened, DialFailed
from natlab.host import swarm
from natlab.nat import NatConfig
from natlab.transport import negotiate, upgrade
from natlab.upgrade import multistream, noise
from natlab.wire import address
from natlab.wire.keys import PrivateKey

HEADER = multistream.encode(multistream.PROTOCOL_ID)
AGREED = HEADER + multistream.encode(noise.PROTOCOL_ID)
HANDSHAKE = b"\x00\x20" + bytes(32)  # a first Noise message, of a key nobody has

LISTENERS = {
    "hangs up": b"",
    "speaks HTTP": b"HTTP/1.1 400 Bad Request\r\n" + b"Content-Length: 0\r\n" * 5,
    "sends an oversize line": b"\xff\xff\x03" + bytes(4000),
    "has no security protocol": HEADER + multistream.encode("na"),
    "answers another protocol": HEADER + multistream.encode("/tls/1.0.0"),
    "garbles the handshake": AGREED + b"\x00\x60" + bytes(96),
    "sends an empty handshake": AGREED + b"\x00\x00",
}
DIALERS = {**LISTENERS, "garbles its last message": AGREED + HANDSHAKE + b"\x00\x60" + bytes(96)}


async def on_the_way(world, node, saying, *, closes):
    """A listener at another port that says its piece to everybody; its address."""
    network = node._core.network
    ip = address.to_endpoint(node.addresses[0]).ip
    listener = await network.listen_tcp(Endpoint(ip, 0))

    async def serve():
        tcp = await listener.accept()
        await tcp.write(saying)
        if closes:
            await tcp.close_write()
        try:
            while await tcp.read():
                pass
        except NatlabError:
            pass
        tcp.reset()
        listener.close()

    return address.with_peer(address.from_endpoint(listener.local), node.peer_id), asyncio.ensure_future(serve())


@pytest.mark.parametrize("saying", LISTENERS.values(), ids=LISTENERS)
def test_dialling_a_stranger_that_speaks_garbage(world, saying):
    async def main(alice, bob):
        there, serving = await on_the_way(world, bob, saying, closes=True)
        with pytest.raises(NatlabError) as error:
            await alice.dial(there)
        assert saying == b"" or not isinstance(error.value, UnreachableError), "the error says what was wrong"
        assert not alice.connections
        await serving
        await alice.dial(bob)

    world.run(main, "alice", "bob", reuse_port=False)
    assert [event.place for event in world.journal.of(DialFailed)] == ["alice"]


@pytest.mark.parametrize("saying", DIALERS.values(), ids=DIALERS)
def test_a_stranger_that_dials_and_speaks_garbage(world, saying):
    async def main(alice, bob):
        tcp = await alice._core.network.dial_tcp(address.to_endpoint(bob.addresses[0]))
        await tcp.write(saying)
        await tcp.close_write()
        with pytest.raises(NatlabError):
            while await tcp.read():
                pass
            raise NatlabError("ended in order")
        tcp.reset()
        assert not bob.connections
        await alice.dial(bob)

    world.run(main, "alice", "bob")


@pytest.mark.parametrize("saying", [b"", HEADER, AGREED, AGREED + HANDSHAKE], ids=["", "header", "agreed", "handshake"])
def test_a_silent_stranger_is_given_up(sim, saying):
    async def main(alice, bob):
        loop = asyncio.get_running_loop()
        there, serving = await on_the_way(sim, bob, saying, closes=False)
        started = loop.time()
        with pytest.raises(NatlabError):
            await alice.dial(there)
        assert loop.time() - started <= swarm.DIAL_TIMEOUT + 0.2
        await serving
        tcp = await alice._core.network.dial_tcp(address.to_endpoint(bob.addresses[0]))
        await tcp.write(saying)
        started = loop.time()
        with pytest.raises(NatlabError):
            while True:
                await tcp.read()
        assert loop.time() - started <= upgrade.ACCEPT_TIMEOUT + 0.2
        tcp.reset()

    sim.run(main, "alice", "bob")


def test_a_peer_that_agrees_on_no_stream_protocol(sim):
    """A whole connection, and then silence on every stream."""

    async def main(alice, bob):
        bob._core.protocols.serve = lambda stream: asyncio.sleep(1000)
        loop = asyncio.get_running_loop()
        await alice.dial(bob)
        started = loop.time()
        with pytest.raises(UnreachableError):
            await alice.ping(bob)
        assert loop.time() - started == pytest.approx(negotiate.STREAM_TIMEOUT)

    sim.run(main, "alice", "bob")


def test_connections_are_bounded(world, monkeypatch):
    monkeypatch.setattr(swarm, "MAX_CONNECTIONS", 1)

    async def main(alice, bob, carol):
        await alice.dial(bob)
        with pytest.raises(NatlabError):
            await carol.dial(bob)
        assert await alice.ping(bob) > 0

    world.run(main, "alice", "bob", "carol")


def test_a_taken_four_tuple_makes_the_dial_leave_from_another_port(world):
    async def main(alice, bob):
        local, remote = (address.to_endpoint(node.addresses[0]) for node in (alice, bob))
        taken = await alice._core.network.dial_tcp(remote, local=local, reuse_port=True)
        connection = await alice.dial(bob)
        assert address.to_endpoint(connection.route.local).port != local.port
        taken.reset()

    world.run(main, "alice", "bob")


def test_nobody_home_takes_five_seconds(sim):
    """A NAT box that drops what comes: no RST, only silence."""
    silent = sim.internet.nat("silent", NatConfig()).external_ip

    async def main(alice):
        loop = asyncio.get_running_loop()
        nobody = PrivateKey(bytes(32))
        started = loop.time()
        with pytest.raises(UnreachableError) as error:
            await alice.dial(f"/ip4/{silent}/tcp/4001/p2p/{swarm.PeerId.from_public_key(nobody.public)}")
        assert error.value.attempts[0][1].errno == errno.ETIMEDOUT
        assert loop.time() - started == pytest.approx(swarm.TCP_CONNECT_TIMEOUT)

    sim.run(main, "alice")


def test_one_good_address_among_bad_ones_is_enough(sim):
    async def main(alice, bob):
        loop = asyncio.get_running_loop()
        started = loop.time()
        good = bob.addresses[0]
        bad = [address.parse(f"/ip4/{first}.0.0.1/tcp/4001") for first in range(60, 66)]
        connection = await alice._core.swarm.dial(bob.peer_id, [*bad, good])
        assert connection.route.remote == address.without_peer(good)
        assert loop.time() - started < 0.5

    sim.run(main, "alice", "bob")


def test_all_bad_addresses_are_told_in_order(sim):
    async def main(alice, bob):
        bad = [address.parse(f"/ip4/{first}.0.0.1/tcp/4001") for first in (60, 61)]
        with pytest.raises(UnreachableError) as error:
            await alice._core.swarm.dial(bob.peer_id, bad)
        assert [tried for tried, _ in error.value.attempts] == list(map(str, bad))

    sim.run(main, "alice", "bob")
    assert len(sim.journal.of(DialFailed)) == 2


def test_the_yamux_peer_that_breaks_the_rules_loses_its_connection(world):
    async def main(alice, bob):
        connection = await alice.dial(bob)
        await connection._secure.write(b"\x09" * 12)
        with pytest.raises(NatlabError):
            await alice.ping(connection.peer)
            await asyncio.sleep(0.1)
            await alice.ping(connection.peer)
        await alice.dial(bob)

    world.run(main, "alice", "bob")


def test_events_of_one_connection_carry_its_path(world):
    async def main(alice, bob):
        await alice.dial(bob)

    world.run(main, "alice", "bob")
    dialled, accepted = world.journal.of(ConnectionOpened)
    assert (dialled.local, dialled.remote) == (accepted.remote, accepted.local)
    assert {(event.path, event.opened_by, event.transport) for event in (dialled, accepted)} == {
        ("direct", "dial", "tcp")
    }


def test_addresses_we_have_no_transport_for_do_not_crowd_out_the_others(sim):
    async def main(alice, bob):
        quic = [address.parse(f"/ip4/60.0.0.{n}/udp/4001/quic-v1") for n in range(swarm.DIALS_PER_PEER)]
        await alice._core.swarm.dial(bob.peer_id, [*quic, *bob.addresses])

    sim.run(main, "alice", "bob")


def test_a_punch_knocks_at_a_bounded_number_of_doors(sim):
    async def main(alice, bob):
        doors = [address.parse(f"/ip4/60.0.0.1/tcp/{port}") for port in range(1, 100)]
        with pytest.raises(UnreachableError) as error:
            await alice._core.swarm.punch(bob.peer_id, doors, initiator=True, opened_by="hole punch")
        assert len(error.value.attempts) == swarm.DIALS_PER_PUNCH

    sim.run(main, "alice", "bob")


def test_dials_to_one_peer_take_turns(sim, monkeypatch):
    """Also when a third comes in the very moment in which the first ends and the second has not yet begun."""
    under_way = []

    async def failing(peer, addresses):
        assert not under_way
        under_way.append(peer)
        await asyncio.sleep(1)
        under_way.pop()
        raise UnreachableError("nobody")

    async def main(alice, bob):
        monkeypatch.setattr(alice._core.swarm, "_dial_all", failing)

        async def dial():
            with pytest.raises(UnreachableError):
                await alice.dial(bob)

        async def two():
            await dial()
            await dial()

        await asyncio.gather(two(), dial())
        assert not alice._core.swarm._locks

    sim.run(main, "alice", "bob")
