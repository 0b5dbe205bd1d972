"""Dial backoff: how long an address is left alone, and who asks."""

import asyncio

import pytest

from natlab.errors import UnreachableError
from natlab.host.backoff import LONGEST, MAX_PEERS, Backoff

AT = "/ip4/11.0.0.1/tcp/4001"


def test_five_seconds_and_the_square_of_the_failures_before():
    backoff, left = Backoff(), []
    for _ in range(20):
        backoff.failed("peer", AT, now=100.0)
        left.append(backoff.until("peer", AT) - 100.0)
    assert left[:4] == [5.0, 6.0, 9.0, 14.0] and left[17] == 294.0 and left[18:] == [LONGEST] * 2


def test_each_address_for_itself_and_a_connection_clears_all():
    backoff = Backoff()
    assert backoff.until("peer", AT) == 0
    backoff.failed("peer", AT, now=100.0)
    assert backoff.until("peer", "another") == backoff.until("another", AT) == 0
    backoff.connected("peer")
    backoff.connected("nobody")
    assert backoff.until("peer", AT) == 0


def test_what_is_remembered_is_bounded():
    backoff = Backoff()
    for peer in range(MAX_PEERS + 1):
        backoff.failed(peer, AT, now=100.0)
    assert (backoff.until(0, AT), backoff.until(1, AT)) == (0, 105.0)


def test_a_node_leaves_an_address_alone_and_says_so(sim):
    async def main(alice):
        async with sim.node("bob", listen=[]) as bob:
            where = sim.listen(bob._core.network)[0]
            there = f"{where}/p2p/{bob.peer_id}"
            for complaint in ("ECONNREFUSED", r"left alone for 5\.0 s more"):
                with pytest.raises(UnreachableError, match=complaint):
                    await alice.dial(there)
            await bob.listen(where)
            with pytest.raises(UnreachableError, match="dial backoff"):
                await alice.dial(there)
            await asyncio.sleep(5)
            await alice.dial(there)

    sim.run(main, "alice")


def test_a_hole_punch_asks_no_backoff(sim):
    async def main(alice, bob):
        alice._core.swarm._backoff.failed(bob.peer_id, bob.addresses[0], now=asyncio.get_running_loop().time())
        await alice._core.swarm.punch(bob.peer_id, bob.addresses, initiator=True, opened_by="hole punch")

    sim.run(main, "alice", "bob")


def test_a_connection_that_came_in_clears_it(sim):
    async def main(alice, bob):
        swarm, where = alice._core.swarm, bob.addresses[0]
        swarm._backoff.failed(bob.peer_id, where, now=asyncio.get_running_loop().time())
        await bob.dial(alice)
        assert swarm._backoff.until(bob.peer_id, where) == 0

    sim.run(main, "alice", "bob")
