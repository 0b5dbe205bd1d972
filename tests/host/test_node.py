"""Two and three nodes, the same tests on the simulated internet and on this computer's loopback."""

import asyncio
import errno

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import (
    ClosedError,
    LabError,
    NegotiationError,
    SecurityError,
    SocketError,
    UnreachableError,
)
from natlab.events import ConnectionClosed, ConnectionOpened, HandlerFailed, RoundTripMeasured
from natlab.host import Node
from natlab.wire import address
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId

ECHO = "/echo/1.0.0"
STRANGER = PeerId.from_public_key(PrivateKey(bytes(32)).public)


async def echo(stream, connection):
    while data := await stream.read():
        await stream.write(data)
    await stream.close_write()


def test_dial_identify_and_ping(world):
    async def main(alice, bob):
        connection = await alice.dial(bob)
        assert connection.peer == bob.peer_id and not connection.relayed
        said = await alice.identify(bob)
        assert said.agent_version == "natlab"
        assert said.public_key is not None and bob.peer_id.matches(said.public_key)
        assert {"/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"} <= set(said.protocols)
        assert address.without_peer(bob.addresses[0]) in said.listen_addresses
        assert said.record.addresses == said.listen_addresses
        assert said.observed_address == connection.route.local, "dialled from the listening port"
        assert await alice.ping(bob) > 0
        assert await bob.ping(alice) > 0, "the listener may use the same connection"
        assert len(alice.connections) == len(bob.connections) == 1

    world.run(main, "alice", "bob")
    measured = [event.place for event in world.journal.of(RoundTripMeasured)]
    assert sorted(measured[:2]) == ["alice", "bob"], "by Yamux, at once"
    assert measured[2:] == ["alice", "bob"], "by the pings above"
    assert {(event.place, event.role) for event in world.journal.of(ConnectionOpened)} == {
        ("alice", "dialer"),
        ("bob", "listener"),
    }
    assert not world.journal.of(HandlerFailed)


def test_a_handler_that_returns_ends_its_stream(world):
    async def answer_once(stream, connection):
        await stream.write(await stream.read())

    async def main(alice, bob):
        bob.handle(ECHO, answer_once)
        stream = await alice.new_stream(bob, ECHO)
        await stream.write(b"once")
        assert [await stream.read(), await stream.read()] == [b"once", b""]
        await asyncio.sleep(0.1)
        (connection,) = bob.connections
        assert connection.streams == 0

    world.run(main, "alice", "bob")


def test_a_second_dial_gives_the_open_connection(world):
    async def main(alice, bob):
        one, two = await asyncio.gather(alice.dial(bob), alice.dial(bob))
        assert one is two is await alice.dial(bob.addresses[0]) is await alice.dial(bob.peer_id)

    world.run(main, "alice", "bob")


def test_two_who_dial_each_other_at_once(world):
    async def main(alice, bob):
        await asyncio.gather(alice.dial(bob), bob.dial(alice))
        assert await alice.ping(bob) > 0 and await bob.ping(alice) > 0

    world.run(main, "alice", "bob")


def test_dialled_again_after_the_connection_ended(world):
    async def main(alice, bob):
        await (await alice.dial(bob)).close()
        assert not alice.connections
        await alice.dial(bob)
        assert await alice.ping(bob) > 0

    world.run(main, "alice", "bob")


def test_a_peer_that_hangs_up_at_once(world):
    async def main(alice, bob):
        bob._core.swarm._on_opened = lambda connection: connection.end("enough")
        with pytest.raises(ClosedError):
            await alice.dial(bob)
        assert not alice.connections

    world.run(main, "alice", "bob")


def test_a_peer_that_goes_away_and_stays_is_dialled_again(world):
    async def main(alice, bob):
        first = await alice.dial(bob)
        bob.connections[0]._session.go_away()
        bob.connections[0].flush()
        await asyncio.sleep(0.1)
        second = await alice.dial(bob)
        assert second is not first and await alice.ping(bob) > 0

    world.run(main, "alice", "bob")


def test_a_protocol_of_ones_own(world):
    data = bytes(range(256)) * 4096

    async def main(alice, bob):
        bob.handle(ECHO, echo)
        stream = await alice.new_stream(bob, ECHO)

        async def send():
            await stream.write(data)
            await stream.close_write()

        sending = asyncio.ensure_future(send())
        received = b""
        while chunk := await stream.read():
            received += chunk
        await sending
        assert received == data
        with pytest.raises(ValueError, match="handler already"):
            bob.handle(ECHO, echo)
        bob.unhandle(ECHO)
        with pytest.raises(NegotiationError):
            await alice.new_stream(bob, ECHO)

    world.run(main, "alice", "bob")


def test_an_error_in_a_handler_resets_its_stream_and_nothing_else(world):
    async def broken(stream, connection):
        raise ZeroDivisionError("not a natlab error")

    async def main(alice, bob):
        bob.handle("/broken", broken)
        stream = await alice.new_stream(bob, "/broken")
        with pytest.raises(ClosedError):
            await stream.read()
        assert await alice.ping(bob) > 0

    world.run(main, "alice", "bob")
    (failed,) = world.journal.of(HandlerFailed)
    assert (failed.place, failed.protocol) == ("bob", "/broken") and "ZeroDivisionError" in failed.cause


def test_a_half_closed_stream_still_carries_the_answer(world):
    async def late(stream, connection):
        assert await stream.read() == b""
        await stream.write(b"you were done, I was not")
        await stream.close_write()

    async def main(alice, bob):
        bob.handle("/late", late)
        stream = await alice.new_stream(bob, "/late")
        await stream.close_write()
        assert await stream.read() == b"you were done, I was not"
        assert await stream.read() == b""

    world.run(main, "alice", "bob")


def test_the_wrong_peer_answers(world):
    async def main(alice, bob):
        with pytest.raises(SecurityError, match="expected peer"):
            await alice.dial(address.with_peer(bob.addresses[0], STRANGER))
        assert not alice.connections
        await alice.dial(bob)

    world.run(main, "alice", "bob")


def test_nobody_answers(world):
    async def main(alice, bob):
        gone = bob.addresses[0]
        await bob.close()
        with pytest.raises(UnreachableError) as unreachable:
            await alice.dial(gone)
        ((tried, cause),) = unreachable.value.attempts
        assert tried == str(gone) and isinstance(cause, SocketError)
        with pytest.raises(UnreachableError, match="no address"):
            await alice.dial(STRANGER)

    world.run(main, "alice", "bob")


@pytest.mark.parametrize(
    "given",
    [
        "", "nonsense", "11.0.0.1:4001", "/ip4/300.0.0.1/tcp/4001", "/ip4/11.0.0.1/tcp/99999", "/ip4/11.0.0.1/tcp",
        "/ip4/11.0.0.1/tcp/4001", "/ip4/11.0.0.1/tcp/4001/p2p/QmNotAPeer", None, 5,
    ],
)  # fmt: skip
def test_a_malformed_address_is_the_callers_mistake(world, given):
    async def main(alice):
        with pytest.raises(ValueError):
            await alice.dial(given)

    world.run(main, "alice")


def test_a_node_cannot_dial_itself(world):
    async def main(alice):
        with pytest.raises(ValueError, match="itself"):
            await alice.dial(alice)
        with pytest.raises(UnreachableError):
            await alice.dial(address.with_peer(alice.addresses[0], STRANGER))

    world.run(main, "alice")


def test_an_address_without_a_transport_here(world):
    async def main(alice):
        with pytest.raises(UnreachableError, match=r"no transport .*: this node dials /ip4/.../tcp"):
            await alice.dial(f"/ip4/11.0.0.1/udp/4001/quic-v1/p2p/{STRANGER}")
        with pytest.raises(ValueError, match="not a direct TCP address"):
            await alice.listen("/ip4/127.0.0.1/udp/0")

    world.run(main, "alice")


def test_both_ends_learn_that_a_connection_is_over(world):
    async def main(alice, bob):
        await alice.dial(bob)
        stream = await alice.new_stream(bob, "/ipfs/ping/1.0.0")
        await bob.close()
        with pytest.raises(ClosedError):
            await stream.read()
        assert not alice.connections

    world.run(main, "alice", "bob")
    assert {event.place for event in world.journal.of(ConnectionClosed)} == {"alice", "bob"}


def test_a_closed_node_says_so(world):
    async def main(alice, bob):
        await alice.close()
        await alice.close()
        for verb in (alice.dial(bob), alice.ping(bob), alice.listen("/ip4/127.0.0.1/tcp/0")):
            with pytest.raises(ClosedError, match="alice was closed"):
                await verb

    world.run(main, "alice", "bob")


def test_closing_while_a_dial_is_under_way(world):
    async def main(alice, bob):
        dialling = asyncio.ensure_future(alice.dial(bob))
        await asyncio.sleep(0)
        await alice.close()
        result = (await asyncio.gather(dialling, return_exceptions=True))[0]
        assert isinstance(result, ClosedError | UnreachableError)
        assert not alice.connections

    world.run(main, "alice", "bob")


def test_a_node_of_another_loop_says_so(world):
    node = world.node("alice")

    async def use():
        await node.close()  # nothing to close
        await node.ping(STRANGER)

    with pytest.raises(LabError, match="not been started"):
        asyncio.run(use())

    async def main(alice):
        return alice

    closed = world.run(main, "bob")
    with pytest.raises(LabError, match=r"lab\.run"):
        asyncio.run(closed.ping(STRANGER))


def test_by_default_a_node_listens_on_loopback_only():
    async def main():
        async with Node() as node:
            assert node.addresses and all(str(own).startswith("/ip4/127.0.0.1/tcp/") for own in node.addresses)
            assert node.name == str(node.peer_id)[-8:]

    asyncio.run(main())


def test_a_wildcard_stands_for_every_interface(sim):
    async def main(alice, bob):
        texts = [str(address.without_peer(own)) for own in alice.addresses]
        assert texts == ["/ip4/11.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]
        said = await bob.identify(alice)
        assert list(map(str, said.listen_addresses)) == texts[:1], "a public peer hears public addresses only"
        assert str(said.observed_address) == "/ip4/12.0.0.1/tcp/4001", "a wildcard listener dials from its port too"

    sim.run(main, "alice", "bob", listen=["/ip4/0.0.0.0/tcp/4001"])


def test_without_port_reuse_the_dial_leaves_from_another_port(world):
    async def main(alice, bob):
        connection = await alice.dial(bob)
        listening = [address.to_endpoint(own).port for own in alice.addresses]
        assert address.to_endpoint(connection.route.local).port not in listening
        assert not alice.observed_addresses

    world.run(main, "alice", "bob", reuse_port=False)


def test_a_node_without_listeners_dials(world):
    async def main(bob):
        async with world.node("alice", listen=()) as alice:
            assert alice.addresses == ()
            assert await alice.ping(bob) > 0

    world.run(main, "bob")


def test_a_taken_address_is_an_error_and_leaves_nothing_open(sim):
    async def main(alice):
        other = sim.node("bob", network=alice._core.network, listen=["/ip4/0.0.0.0/tcp/5", "/ip4/9.9.9.9/tcp/1"])
        with pytest.raises(SocketError):
            await other.start()
        (await alice._core.network.listen_tcp(Endpoint("0.0.0.0", 5))).close()

    sim.run(main, "alice")


def test_two_nodes_on_one_address(world):
    async def main(alice):
        taken = str(alice.addresses[0]).partition("/p2p/")[0]
        other = world.node("bob", network=alice._core.network, listen=[taken])
        with pytest.raises(SocketError) as refused:
            await other.start()
        assert refused.value.errno == errno.EADDRINUSE
        await alice.close()
        async with world.node("carol", network=alice._core.network, listen=[taken]):
            pass  # the address is free again

    world.run(main, "alice")


def test_the_same_seed_gives_the_same_journal(make_sim):
    def journal():
        world = make_sim(seed=3)

        async def main(alice, bob, carol):
            await asyncio.gather(alice.dial(bob), carol.dial(bob), carol.ping(alice))
            await bob.ping(carol)

        world.run(main, "alice", "bob", "carol")
        return world.journal.events

    assert journal() == journal()
