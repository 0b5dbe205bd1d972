"""Reservations, circuits, and the relay service, between three nodes."""

import asyncio

import pytest

from natlab.errors import ClosedError, NatlabError, NegotiationError, RefusedError
from natlab.events import CircuitEnded, ConnectionOpened, HandlerFailed, PacketSeen, Reserved
from natlab.host import relaying
from natlab.protocol.circuit import HOP_ID, STOP_ID, Limit, Status
from natlab.protocol.framing import write_message
from natlab.protocol.reservations import RelayLimits
from natlab.wire import address
from natlab.wire.proto import circuit_pb2
from natlab.wire.proto.circuit_pb2 import StopMessage


async def echo(stream, connection):
    while data := await stream.read():
        await stream.write(data)
    await stream.close_write()


def with_relay(world, main, *names, limits=None, **options):
    """A relay and others that never punch."""

    async def scenario(*nodes):
        async with world.node("relay", relay_service=limits or RelayLimits()) as relay:
            return await main(relay, *nodes)

    return world.run(scenario, *names, hole_punching=None, **options)


def test_a_connection_through_a_relay(world):
    async def main(relay, alice, bob):
        reservation = await alice.reserve(relay)
        assert reservation.expires > relay._core.network.now() + 3000
        assert reservation.voucher.peer == alice.peer_id and reservation.voucher.relay == relay.peer_id
        through = alice.address_via(relay)
        assert through in alice.addresses and str(through).endswith(f"/p2p-circuit/p2p/{alice.peer_id}")
        connection = await bob.dial(through)
        assert connection.relayed and connection.peer == alice.peer_id
        assert await bob.ping(alice) > 0 and await alice.ping(bob) > 0
        assert (await bob.identify(alice)).observed_address == connection.route.remote
        assert not bob.observed_addresses or all(not address.is_relayed(own) for own in bob.observed_addresses)

    with_relay(world, main, "alice", "bob")
    assert not world.journal.of(HandlerFailed)
    assert [(event.relay != "", event.status) for event in world.journal.of(Reserved)] == [(True, "OK")]
    paths = [(event.place, event.role) for event in world.journal.of(ConnectionOpened) if event.path == "relayed"]
    assert paths == [("bob", "dialer"), ("alice", "listener")]


def test_the_relays_public_address_is_what_it_gives_out(sim):
    async def main(relay, alice):
        reservation = await alice.reserve(relay)
        assert reservation.addresses == relay.addresses

    with_relay(sim, main, "alice")


def test_an_address_via_a_relay_before_the_reservation(world):
    async def main(relay, alice, bob):
        with pytest.raises(ValueError, match="reserve"):
            alice.address_via(relay.peer_id)
        with pytest.raises(RefusedError) as refused:
            await bob.dial(alice.address_via(relay))
        assert refused.value.status == Status.NO_RESERVATION

    with_relay(world, main, "alice", "bob")


def test_a_full_relay_refuses(world):
    async def main(relay, alice, bob):
        await alice.reserve(relay)
        with pytest.raises(RefusedError) as refused:
            await bob.reserve(relay)
        assert refused.value.status == Status.RESERVATION_REFUSED
        assert all(not address.is_relayed(own) for own in bob.addresses)

    with_relay(world, main, "alice", "bob", limits=RelayLimits(reservations=1))
    assert [event.status for event in world.journal.of(Reserved)] == ["OK", "RESERVATION_REFUSED"]
    assert not world.journal.of(HandlerFailed), "a refusal is an answer, not a failure"


def test_not_a_relay(world):
    async def main(alice, bob):
        with pytest.raises(NegotiationError):
            await alice.reserve(bob)

    world.run(main, "alice", "bob")


def test_the_reservation_ends_with_the_connection_to_the_relay(world):
    async def main(relay, alice, bob):
        await alice.reserve(relay)
        through = alice.address_via(relay)
        (connection,) = alice.connections_to(relay)
        await connection.close()
        assert all(not address.is_relayed(own) for own in alice.addresses)
        await asyncio.sleep(0.1)
        with pytest.raises(RefusedError) as refused:
            await bob.dial(through)
        assert refused.value.status == Status.NO_RESERVATION

    with_relay(world, main, "alice", "bob")


def test_a_reservation_is_renewed(sim):
    async def main(relay, alice, bob):
        first = await alice.reserve(relay)
        await asyncio.sleep(400)
        assert alice._relays._held[relay.peer_id].reservation.expires > first.expires
        await bob.dial(alice.address_via(relay))

    with_relay(sim, main, "alice", "bob", limits=RelayLimits(ttl=300))
    assert len(sim.journal.of(Reserved)) >= 2


def test_a_second_reservation_replaces_the_first(sim):
    """Over another connection to the same relay: that one it lives with from then on, and it is renewed once."""

    async def main(relay, alice):
        await alice.reserve(relay)
        (first,) = alice.connections_to(relay)
        remote = address.to_endpoint(first.route.remote)
        second = await alice._core.swarm._dial_from(None, remote, relay.peer_id, True, "dial")
        await alice._relays.reserve(second)
        await asyncio.sleep(300 - relaying.RENEW_BEFORE + 5)
        assert len(sim.journal.of(Reserved)) == 3
        await first.close()
        assert any(address.is_relayed(own) for own in alice.addresses)
        await second.close()
        assert not any(address.is_relayed(own) for own in alice.addresses)

    with_relay(sim, main, "alice", limits=RelayLimits(ttl=300))


def test_nothing_waits_for_the_end_of_a_reservation_that_is_lost(sim):
    """However late a relay says that would be."""

    async def main(relay, alice):
        await alice.reserve(relay)
        assert any("renews" in task.get_name() for task in asyncio.all_tasks())
        await relay.close()
        await asyncio.sleep(1)
        assert not any("renews" in task.get_name() for task in asyncio.all_tasks())

    with_relay(sim, main, "alice", limits=RelayLimits(ttl=1 << 62))


def test_a_reservation_that_is_not_renewed_is_lost(sim):
    async def main(relay, alice):
        await alice.reserve(relay)
        relay.unhandle(HOP_ID)
        await asyncio.sleep(300 - relaying.RENEW_BEFORE + 5)
        assert all(not address.is_relayed(own) for own in alice.addresses)

    with_relay(sim, main, "alice", limits=RelayLimits(ttl=300))


def circuit_ends(world):
    return [(event.place, event.reason) for event in world.journal.of(CircuitEnded)]


@pytest.mark.parametrize(
    ("limit", "why"), [(Limit(5, data=0), "relay limit: 5 s"), (Limit(0, data=1 << 16), "relay limit: 64 KiB")]
)
def test_past_its_limit_a_circuit_ends(sim, limit, why):
    async def main(relay, alice, bob):
        alice.handle("/echo", echo)
        await alice.reserve(relay)
        await bob.dial(alice.address_via(relay))
        stream = await bob.new_stream(alice, "/echo")
        with pytest.raises(ClosedError):
            while True:
                await stream.write(bytes(1024))
                await stream.read()
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        assert not bob.connections_to(alice) and bob.connections_to(relay)
        assert not alice.connections_to(bob)

    with_relay(sim, main, "alice", "bob", limits=RelayLimits(circuit=limit))
    assert circuit_ends(sim) == [("relay", why)]


@pytest.mark.parametrize(
    ("who", "whom", "why"),
    [("bob", "alice", "reset by one end"), ("bob", "relay", "lost bob"), ("alice", "relay", "lost alice")],
)
def test_a_relay_knows_who_left_a_circuit(sim, who, whom, why):
    async def main(relay, alice, bob):
        nodes = {node.name: node for node in (relay, alice, bob)}
        await alice.reserve(relay)
        await bob.dial(alice.address_via(relay))
        await nodes[who].connections_to(nodes[whom])[0].close()
        await asyncio.sleep(1)
        return {str(node.peer_id): name for name, node in nodes.items()}

    names = with_relay(sim, main, "alice", "bob")
    ((place, reason),) = circuit_ends(sim)
    for peer, name in names.items():
        reason = reason.replace(peer, name)
    assert place == "relay" and reason.endswith(why)


def test_a_circuit_from_a_relay_we_did_not_ask_is_refused(world):
    async def main(relay, alice):
        await relay.dial(alice)
        stream = await relay.new_stream(alice, STOP_ID)
        caller = circuit_pb2.Peer(id=bytes(relay.peer_id))
        await write_message(stream, StopMessage(type=StopMessage.CONNECT, peer=caller))
        with pytest.raises(ClosedError, match="reset"):
            await stream.read()
        assert not any(connection.relayed for connection in alice.connections)

    with_relay(world, main, "alice")
    assert [event.place for event in world.journal.of(HandlerFailed)] == ["alice"]


def test_the_relay_dies_under_a_circuit(world):
    async def main(relay, alice, bob):
        await alice.reserve(relay)
        await bob.dial(alice.address_via(relay))
        await relay.close()
        with pytest.raises(NatlabError):
            await bob.ping(alice.peer_id)
        assert not bob.connections_to(alice)

    with_relay(world, main, "alice", "bob")


def test_direct_addresses_have_a_head_start(sim):
    async def main(relay, alice, bob):
        await alice.reserve(relay)
        connection = await bob.dial(alice)
        assert not connection.relayed
        await asyncio.sleep(5)
        assert len(bob.connections) == 1, "the relayed dial was not needed"
        relays = address.to_endpoint(relay.addresses[0])
        assert not [s for s in sim.journal.of(PacketSeen) if s.place == "bob" and s.packet.destination == relays]

    with_relay(sim, main, "alice", "bob")
