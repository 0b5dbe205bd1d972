"""Pings of one node: they take turns, and a peer may end one as it likes."""

import asyncio

from natlab.events import HandlerFailed
from natlab.protocol.ping import PING_ID


def test_pings_to_one_peer_take_turns(world):
    """ping.md: one outbound stream; the other end answers two at a time and resets a third."""

    async def main(alice, bob):
        await alice.dial(bob)
        assert all(seconds > 0 for seconds in await asyncio.gather(*(alice.ping(bob) for _ in range(8))))
        assert not alice._pinging._turns

    world.run(main, "alice", "bob")


def test_a_peer_that_resets_its_ping_stream_has_done_nothing_wrong(world):
    async def main(alice, bob):
        stream = await alice.new_stream(bob, PING_ID)
        stream.reset()
        assert await alice.ping(bob) > 0

    world.run(main, "alice", "bob")
    assert not world.journal.of(HandlerFailed)
