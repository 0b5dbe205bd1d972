"""Hole punching between two simulated NATs: which attempt, how long, and what it leaves behind.

All 81 pairs of NATs, against what go-libp2p measured, are another test's; here are the rules one by one.
"""

import asyncio

import pytest

from natlab.errors import ClosedError
from natlab.events import ConnectionOpened, HandlerFailed, MessageSeen, PunchDialled, PunchEnded
from natlab.protocol.dcutr import DCUTR_ID, GO_V029, GO_V048, SPEC
from natlab.protocol.reservations import RelayLimits
from natlab.transport.negotiate import propose

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"


class Punch:
    """Alice reserved on the relay behind one NAT; bob, behind another, dials her through it. Then 60 seconds."""

    def __init__(self, world, alice, bob, *, profiles=(GO_V048, GO_V048), observers=4, ports="random"):
        self.world = world
        self.nats = (world.nat("alice's NAT", *alice, ports), world.nat("bob's NAT", *bob, ports))
        self.profiles = profiles
        self.crowd = [f"crowd {number}" for number in range(observers)]

    def run(self, after=None):
        """The attempt that succeeded (0 is reversal, None none) and seconds since bob dialled."""

        async def main(*crowd):
            relay = self.world.node("relay", relay_service=RelayLimits())
            alice = self.world.node("alice", behind=self.nats[0], hole_punching=self.profiles[0])
            bob = self.world.node("bob", behind=self.nats[1], hole_punching=self.profiles[1])
            async with relay, alice, bob:
                for node in (alice, bob):
                    for peer in crowd:
                        await node.dial(peer)
                await alice.reserve(relay)
                await bob.dial(relay)
                began = asyncio.get_running_loop().time()
                await bob.dial(alice.address_via(relay))
                await asyncio.sleep(60)
                won = [event for event in self.world.journal.of(PunchEnded) if event.outcome == "success"]
                direct = [connection for connection in bob.connections_to(alice) if not connection.relayed]
                assert len(direct) == len(won) == len([c for c in alice.connections_to(bob) if not c.relayed])
                if after:
                    await after(relay, alice, bob)
                return (won[0].attempt, won[0].time - began) if won else (None, None)

        return self.world.run(main, *self.crowd)


@pytest.mark.parametrize(
    ("alice", "bob", "attempt", "seconds"),
    [
        ((EI, APD), (EI, EI), 0, 0.53),
        ((EI, AD), (AD, AD), 1, 0.74),
        ((EI, AD), (EI, AD), 1, 5.76),
        ((EI, APD), (AD, EI), 3, 21.0),
        ((AD, AD), (EI, AD), 3, 26.0),
        ((APD, APD), (APD, APD), None, None),
    ],
    ids=[
        "bob is open to anyone: alice dials him, connection reversal",
        "bob advertises nothing: no reversal is tried, the SYNs meet at once",
        "reversal times out after 5 s, then the SYNs meet",
        "only alice's SYN gets through: two servers, until she turns client",
        "the same after a reversal that timed out",
        "each NAT expects the other at a port it does not use",
    ],
)
def test_which_attempt_and_when(sim, alice, bob, attempt, seconds):
    got, took = Punch(sim, alice, bob).run()
    assert got == attempt
    assert took == (None if seconds is None else pytest.approx(seconds, abs=0.3))
    assert not sim.journal.of(HandlerFailed)


def test_fixed_roles_lose_what_the_third_attempt_would_win(sim):
    assert Punch(sim, (EI, APD), (AD, EI), profiles=(SPEC, SPEC)).run() == (None, None)


def test_old_and_new_roles_do_not_meet(sim):
    """go-libp2p up to v0.40 has them the other way round: both ends speak as client, or both wait as server."""
    attempt, _ = Punch(sim, (EI, AD), (EI, AD), profiles=(GO_V029, SPEC)).run()
    assert attempt is None


def test_old_roles_among_themselves(sim):
    attempt, _ = Punch(sim, (EI, AD), (EI, AD), profiles=(GO_V029, GO_V029)).run()
    assert attempt == 1


def test_port_preservation_makes_the_guess_come_true(sim):
    attempt, _ = Punch(sim, (APD, APD), (APD, APD), ports="preserving").run()
    assert attempt == 1


def test_one_observer_is_enough_to_punch_but_not_for_reversal(sim):
    """The relay alone: an address with one observer goes into CONNECT, but is not advertised."""
    attempt, took = Punch(sim, (EI, APD), (EI, EI), observers=0).run()
    assert (attempt, took) == (1, pytest.approx(0.74, abs=0.3))


def test_afterwards_new_streams_go_direct_and_the_relayed_connection_stays(sim):
    async def after(relay, alice, bob):
        assert [connection.relayed for connection in bob.connections_to(alice)] == [False, True]
        assert await bob.ping(alice) == pytest.approx(0.04), "20 ms each way; 80 through the relay"
        stream = await alice.new_stream(bob, "/ipfs/ping/1.0.0")
        assert not stream.connection.relayed

    Punch(sim, (EI, AD), (EI, AD)).run(after)


def test_the_events_tell_the_story_in_order(sim):
    Punch(sim, (EI, AD), (AD, AD)).run()
    kinds = (MessageSeen, PunchDialled, PunchEnded)
    told = [event for event in sim.journal.events if isinstance(event, kinds)]
    lines = [
        f"{event.place} {'sends' if event.sent else 'hears'} {event.name}"
        if isinstance(event, MessageSeen)
        else f"{event.place} dials as {event.role}"
        if isinstance(event, PunchDialled)
        else f"{event.place} {event.outcome}"
        for event in told
    ]
    assert lines[:5] == [
        "alice sends CONNECT",
        "bob hears CONNECT",
        "bob sends CONNECT",
        "alice hears CONNECT",
        "alice sends SYNC",
    ]
    assert sorted(lines[5:8]) == ["alice dials as server", "bob dials as client", "bob hears SYNC"]
    assert lines[8:] == ["alice success"]
    dials = [event.time for event in told if isinstance(event, PunchDialled)]
    assert abs(dials[0] - dials[1]) < 0.001, "both dial at the same moment"
    punched = [e for e in sim.journal.of(ConnectionOpened) if e.opened_by == "hole punch"]
    assert {event.place for event in punched} == {"alice", "bob"}


def test_a_failed_punch_leaves_nothing_half_open(sim):
    async def after(relay, alice, bob):
        assert await bob.ping(alice) > 0, "the relayed connection is still there"
        assert not alice._core.swarm._punching and not bob._core.swarm._punching
        assert not alice._punching._busy

    Punch(sim, (APD, APD), (APD, APD)).run(after)


def test_without_hole_punching_nothing_is_tried(sim):
    attempt, _ = Punch(sim, (EI, EI), (EI, EI), profiles=(None, None)).run()
    assert attempt is None
    assert not sim.journal.of(PunchEnded) and not sim.journal.of(MessageSeen)


def test_dcutr_is_offered_only_with_a_public_address(sim):
    nat = sim.nat("home", EI, AD)

    async def main(bob):
        async with sim.node("alice", behind=nat) as alice:
            assert DCUTR_ID not in alice._core.protocols.names
            assert DCUTR_ID in bob._core.protocols.names, "its listen address is public"
            connection = await alice.dial(bob)
            assert DCUTR_ID in alice._core.protocols.names
            await connection.close()
            assert DCUTR_ID not in alice._core.protocols.names

    sim.run(main, "bob")


def test_dcutr_on_a_direct_connection_is_reset(sim):
    async def main(alice, bob):
        await alice.dial(bob)
        stream = await alice.new_stream(bob, DCUTR_ID)
        with pytest.raises(ClosedError):
            await stream.read()

    sim.run(main, "alice", "bob")
    assert [event.protocol for event in sim.journal.of(HandlerFailed)] == [DCUTR_ID]


def test_only_the_end_that_accepted_the_circuit_may_begin(sim):
    async def after(relay, alice, bob):
        stream = bob.connections_to(alice)[-1].open_stream()
        with pytest.raises(ClosedError):
            await propose(stream, [DCUTR_ID])
            await stream.read()

    Punch(sim, (APD, APD), (APD, APD)).run(after)


def test_a_peer_without_dcutr_is_left_on_the_relay(sim):
    attempt, _ = Punch(sim, (EI, AD), (AD, AD), profiles=(GO_V048, None)).run()
    assert attempt is None
    (ended,) = sim.journal.of(PunchEnded)
    assert "does not speak" in ended.outcome


def test_the_same_seed_gives_the_same_journal_and_another_seed_other_ports(make_sim):
    def journal(seed):
        world = make_sim(seed)
        Punch(world, (EI, AD), (EI, AD)).run()
        return world.journal.events

    first = journal(1)
    assert first == journal(1)
    assert first != journal(2)
