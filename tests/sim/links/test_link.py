"""The whole chain: conservation, order, seeds; and a link that is cut and healed."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.events import LinkCut, LinkHealed, PacketSeen, Verdict
from natlab.nat import NatConfig
from natlab.sim.links import GilbertElliott, Jitter, LinkConfig, Trace

some = st.sampled_from([0.0, 0.2, 0.7])
configs = st.builds(
    LinkConfig,
    delay=st.sampled_from([None, 0.0, 0.03, Jitter(0.01, 0.05), Trace((0.05, 0.01), 0.02)]),
    loss=st.one_of(some, st.just(GilbertElliott(0.2, 0.5))),
    reordering=some,
    duplication=some,
    rate=st.sampled_from([20_000.0, 1e6, float("inf")]),
    queue=st.sampled_from([0, 500, 65_536]),
)
packets = st.lists(st.tuples(st.integers(28, 1500), st.sampled_from([0, 0.001, 0.02])), max_size=25)
seeds = st.integers(0, 999)


def tally(link):
    """How many were sent or copied, have arrived, were lost, and are still on their way."""
    verdicts = Counter(seen.verdict for seen in link.journal.of(PacketSeen))
    waiting = len(link.loop._heap)
    return link.sent + verdicts[Verdict.DUPLICATED], len(link.arrived), verdicts[Verdict.LOST], waiting


@given(config=configs, packets=packets, seed=seeds)
def test_every_packet_arrives_is_lost_with_a_reason_or_is_on_its_way(line, config, packets, seed):
    link = line(config, seed)
    for size, after in packets:
        link.send(size, after)
        made, arrived, lost, waiting = tally(link)
        assert made >= arrived + lost
        assert bool(waiting) >= (made > arrived + lost)
    made, arrived, lost, waiting = tally(link.settle())
    assert (made, waiting) == (arrived + lost, 0)
    assert all(seen.reason for seen in link.journal.of(PacketSeen))


@given(config=configs, packets=packets, seed=seeds)
def test_without_reordering_the_order_is_kept_whatever_else_happens(line, config, packets, seed):
    link = line(config, seed).send_all(packets).settle()
    assert config.reordering or link.order == sorted(link.order)


@given(config=configs, packets=packets, seed=seeds)
def test_a_seed_repeats_everything(line, config, packets, seed):
    one, other = (line(config, seed).send_all(packets).settle() for _ in range(2))
    assert (one.arrived, one.journal.events) == (other.arrived, other.journal.events)


def test_another_seed_is_another_history(line):
    one, other = (line(seed=seed, loss=0.5).send_all([(100, 0)] * 50).settle() for seed in (1, 2))
    assert one.order != other.order


def exchange(world, sender, receiver, at):
    """Sends a numbered datagram at each time; the numbers that arrive."""

    async def main():
        there = await receiver.bind_udp(Endpoint("0.0.0.0", 9))
        here = await sender.bind_udp(Endpoint("0.0.0.0", 9))
        for number, time in enumerate(at):
            await asyncio.sleep(time - world.loop.time())
            here.send(bytes([number]), Endpoint(receiver.ip, 9))
        await asyncio.sleep(1)
        here.close()
        there.close()

    world.run(main())
    seen = world.packets(receiver.name, Verdict.DELIVERED)
    return [event.packet.payload[0] for event in seen if event.time >= at[0]]


def test_a_cut_link_loses_what_is_sent_until_it_heals_but_not_what_is_on_its_way(world):
    a, b = world.host("a"), world.host("b")
    world.loop.call_at(1.005, world.internet.partition, "a")
    world.loop.call_at(2.0, world.internet.heal, "a")
    assert exchange(world, a, b, [1.0, 1.1, 1.9, 2.1]) == [0, 3]
    assert [(seen.place, seen.reason) for seen in world.packets(verdict=Verdict.LOST)] == [
        ("a", "the link of a is cut")
    ] * 2
    assert [event.time for event in world.journal.of(LinkCut)] == [1.005]
    assert [event.time for event in world.journal.of(LinkHealed)] == [2.0]


def test_it_is_cut_in_both_directions(world):
    a, b = world.host("a"), world.host("b")
    world.internet.partition("a")
    assert exchange(world, b, a, [0.5]) == []
    assert world.packets(verdict=Verdict.LOST)[0].reason == "the link of a is cut"


def test_twice_is_once(world):
    a, b = world.host("a"), world.host("b")
    for verb in (world.internet.heal, world.internet.partition, world.internet.partition, world.internet.heal):
        verb("a")
    assert [type(event) for event in world.journal.events] == [LinkCut, LinkHealed]
    assert exchange(world, a, b, [0.5]) == [0]


def test_a_cut_uplink_partitions_a_household_from_the_rest_but_not_from_itself(world):
    home = world.nat("home", NatConfig())
    alice, carol = world.host("alice", behind=home), world.host("carol", behind=home)
    bob = world.host("bob")
    world.internet.partition("home")
    assert exchange(world, alice, carol, [0.1]) == [0]
    assert exchange(world, alice, bob, [2.0]) == []
    assert world.packets(verdict=Verdict.LOST)[0].reason == "the link of home is cut"


def test_tcp_survives_a_partition_shorter_than_its_patience(world):
    a, b = world.host("a"), world.host("b")
    world.loop.call_at(0.5, world.internet.partition, "b")
    world.loop.call_at(5.0, world.internet.heal, "b")

    async def main():
        listener = await b.listen_tcp(Endpoint("0.0.0.0", 80))
        dialled = await a.dial_tcp(Endpoint(b.ip, 80))
        accepted = await listener.accept()
        await asyncio.sleep(1.0)
        await dialled.write(b"still there?")
        return await accepted.read(), world.loop.time()

    data, when = world.run(main())
    assert data == b"still there?"
    assert 5.0 < when < 10.0


@pytest.mark.parametrize(
    "link",
    [
        LinkConfig(loss=GilbertElliott(0.02, 0.4)),
        LinkConfig(delay=Jitter(0.005, 0.05), duplication=0.1),
        LinkConfig(reordering=0.1, lateness=0.003),
        (LinkConfig(rate=50_000, queue=20_000), LinkConfig(rate=200_000)),
    ],
    ids=["bursts", "jitter and copies", "reordering", "slow up, queue"],
)
def test_tcp_delivers_all_bytes_in_order_over_any_of_them(world, link):
    a, b = world.host("a", link=link), world.host("b")
    data = bytes(range(256)) * 400

    async def main():
        listener = await b.listen_tcp(Endpoint("0.0.0.0", 80))
        dialled = await a.dial_tcp(Endpoint(b.ip, 80))
        accepted = await listener.accept()
        await dialled.write(data)
        await dialled.close_write()
        received = b""
        while piece := await accepted.read():
            received += piece
        return received

    assert world.run(main()) == data


def test_a_limited_rate_limits_tcp_too(world):
    a, b = world.host("a", link=LinkConfig(rate=100_000)), world.host("b")

    async def main():
        listener = await b.listen_tcp(Endpoint("0.0.0.0", 80))
        dialled = await a.dial_tcp(Endpoint(b.ip, 80))
        accepted = await listener.accept()
        began, received = world.loop.time(), 0
        await dialled.write(bytes(100_000))
        await dialled.close_write()
        while piece := await accepted.read():
            received += len(piece)
        return received / (world.loop.time() - began)

    assert 80_000 < world.run(main()) < 100_000
