"""Which connections go when there are too many."""

import asyncio
from types import SimpleNamespace

import pytest

from natlab.events import ConnectionClosed
from natlab.host import swarm, trimming
from natlab.host.trimming import GRACE, LOW_WATER, to_trim
from natlab.protocol.reservations import RelayLimits

NOW = 1000.0


def connection(number, *, age=GRACE, streams=0, dialled=False, peer="", takes_streams=True):
    route = SimpleNamespace(started=NOW - age, dialled=dialled)
    return SimpleNamespace(number=number, route=route, streams=streams, peer=peer, takes_streams=takes_streams)


def trimmed(*special, others=LOW_WATER, spared=()):
    """The numbers of those that go, of `others` well used connections and these."""
    well_used = [connection(1000 + number, streams=9, dialled=True) for number in range(others)]
    return [one.number for one in to_trim([*special, *well_used], NOW, spared.__contains__)]


def test_down_to_the_low_water():
    assert trimmed(others=LOW_WATER) == []
    assert trimmed(others=LOW_WATER + 3) == [1000, 1001, 1002]


@pytest.mark.parametrize(
    ("sooner", "later"),
    [
        (connection(2), connection(1, streams=1)),
        (connection(2, streams=5), connection(1, streams=1, dialled=True)),
        (connection(2), connection(1, dialled=True)),
        (connection(2, streams=1), connection(1, streams=2)),
        (connection(1), connection(2)),
    ],
    ids=["no stream", "accepted, both with streams", "accepted", "fewer streams", "older"],
)
def test_the_least_used_go_first(sooner, later):
    assert trimmed(later, sooner) == [sooner.number, later.number]


@pytest.mark.parametrize(
    "spared",
    [connection(1, age=GRACE - 0.1), connection(1, peer="relay"), connection(1, takes_streams=False)],
    ids=["younger than a minute", "protected", "going already"],
)
def test_some_are_spared(spared):
    assert trimmed(spared, connection(2), spared={"relay"}) == [2]


def test_a_node_gives_up_what_is_idle_and_keeps_who_has_reserved(sim, monkeypatch):
    monkeypatch.setattr(swarm, "HIGH_WATER", 3)
    monkeypatch.setattr(trimming, "LOW_WATER", 1)

    async def main(reserved, idle, idle_too, newcomer):
        async with sim.node("relay", relay_service=RelayLimits()) as relay:
            await reserved.reserve(relay)
            for node in (idle, idle_too):
                await node.dial(relay)
            await asyncio.sleep(GRACE)
            await newcomer.dial(relay)
            await asyncio.sleep(2)
            assert [one.peer for one in relay.connections] == [one.peer_id for one in (reserved, idle_too, newcomer)]

    sim.run(main, "reserved", "idle", "idle too", "newcomer", hole_punching=None)
    assert sim.journal.of(ConnectionClosed)[0].reason == "given up: more than 3 connections"
