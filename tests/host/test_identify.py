"""Identify as a service: who learns what, and when."""

import asyncio

from natlab.errors import NatlabError
from natlab.events import AddressObserved, HandlerFailed
from natlab.host import identify
from natlab.protocol.identify import IDENTIFY_ID, IDENTIFY_TIMEOUT, PUSH_ID
from natlab.transport.negotiate import STREAM_TIMEOUT
from natlab.wire import address


def test_both_ends_identify_each_other_by_themselves(world):
    async def main(alice, bob):
        await alice.dial(bob)
        assert alice._core.peerstore.identity(bob.peer_id).agent_version == "bob/1"
        await asyncio.sleep(0.1)
        assert bob._core.peerstore.identity(alice.peer_id).agent_version == "bob/1"

    world.run(main, "alice", "bob", agent="bob/1")


def test_a_node_behind_a_nat_learns_its_external_endpoint(sim):
    nat = sim.nat("home", "endpoint-independent", "endpoint-independent")

    async def main(*crowd):
        async with sim.node("alice", behind=nat) as alice:
            for number, peer in enumerate(crowd, 1):
                await alice.dial(peer)
                external = [own for own in alice.addresses if address.is_public(own)]
                assert len(external) == (number >= 4)
                assert len(alice.observed_addresses) == 1
            assert address.to_endpoint(external[0]).ip == nat.external_ip
            for connection in alice.connections[:2]:
                await connection.close()
            assert not any(address.is_public(own) for own in alice.addresses)

    sim.run(main, *(f"crowd {n}" for n in range(4)))
    seen = [event for event in sim.journal.of(AddressObserved) if event.place == "alice"]
    assert [(event.observers, event.activated) for event in seen] == [(1, False), (2, False), (3, False), (4, True)]


def test_news_are_pushed_to_those_who_are_connected(world):
    async def main(alice, bob):
        await alice.dial(bob)
        await asyncio.sleep(0.1)
        new = await alice.listen(str(address.without_peer(alice.addresses[0])).rsplit("/", 1)[0] + "/0")
        await asyncio.sleep(0.1)
        assert address.without_peer(new) in bob._core.peerstore.addresses(alice.peer_id)

    world.run(main, "alice", "bob")
    assert not world.journal.of(HandlerFailed)


def test_a_record_is_signed_anew_only_when_it_says_something_new(world):
    async def main(alice, bob):
        connection = await bob.dial(alice)

        async def record():
            return (await bob._identify.ask(connection)).record

        first = await record()
        assert await record() == first
        await alice.listen(str(address.without_peer(alice.addresses[0])).rsplit("/", 1)[0] + "/0")
        second = await record()
        assert second.seq > first.seq and len(second.addresses) == 2

    world.run(main, "alice", "bob")


def test_a_peer_that_does_not_identify_itself_is_still_a_peer(sim):
    async def main(alice, bob):
        bob.unhandle(IDENTIFY_ID)
        bob.unhandle(PUSH_ID)
        await alice.dial(bob)
        assert await alice.ping(bob) > 0

    sim.run(main, "alice", "bob")


def test_a_peer_that_never_finishes_identifying_itself(sim):
    async def silent(stream, connection):
        await asyncio.sleep(100)

    async def garbled(stream, connection):
        await stream.write(b"\xff\xff\xff")

    async def main(alice, bob, carol):
        for node, handler in ((bob, silent), (carol, garbled)):
            node.unhandle(IDENTIFY_ID)
            node.handle(IDENTIFY_ID, handler)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await alice.dial(bob)
        assert loop.time() - started < IDENTIFY_TIMEOUT + 1
        await alice.dial(carol)
        try:
            await alice.identify(carol)
        except NatlabError:
            return
        raise AssertionError("garbage was taken for an identity")

    sim.run(main, "alice", "bob", "carol")


def test_what_is_told_fits_however_long_relays_make_our_addresses(world):
    long = [address.parse(f"/dns/{'a' * 60}.{'b' * 60}.{'c' * 60}{number}/tcp/1/p2p-circuit") for number in range(20)]

    async def main(alice, bob):
        await alice.dial(bob)
        await asyncio.sleep(0.1)
        alice._core.own.set_relayed(long)
        alice._identify.push(alice.connections)
        assert (await bob.identify(alice)).listen_addresses[1] == long[0]
        await asyncio.sleep(0.1)
        assert long[0] in bob._core.peerstore.addresses(alice.peer_id)

    world.run(main, "alice", "bob")
    assert not world.journal.of(HandlerFailed)


def test_news_go_to_a_few_peers_at_a_time(sim, monkeypatch):
    """Three peers, two at a time, and no answer from any: the third is told when the first two have had their time."""
    monkeypatch.setattr(identify, "MAX_PUSHES", 2)
    asked = []

    async def silent(stream):
        asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1000)

    async def main(*peers):
        async with sim.node("alice") as alice:
            for peer in peers:
                await peer.dial(alice)
            await asyncio.sleep(1)
            for peer in peers:
                peer._core.protocols.serve = silent
            begin = asyncio.get_running_loop().time()
            await alice.listen(f"/ip4/{alice._core.network.ip}/tcp/4002")
            await asyncio.sleep(30)
            return [round(time - begin) for time in asked]

    assert sim.run(main, "bob", "carol", "dave") == [0, 0, STREAM_TIMEOUT]
