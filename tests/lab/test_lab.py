"""The lab as a person meets it: build, run, look; wrong use says what to do; one seed gives one journal."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys

import pytest

from natlab import GilbertElliott, Jitter, LinkConfig, Trace
from natlab.endpoint import Endpoint
from natlab.errors import DeadlockError, LabError, UnreachableError
from natlab.events import PunchEnded
from natlab.lab import OUTCOMES, Lab
from natlab.lab.bare import BareHost
from natlab.lab.scenes import two_behind_nats
from natlab.protocol.ping import PING_ID


@pytest.fixture(scope="module")
def punched() -> Lab:
    return two_behind_nats(7)


def test_two_behind_nats_end_up_with_a_direct_connection(punched):
    (punch,) = punched.punches.itertuples()
    assert (punch.initiator, punch.responder, punch.attempt, punch.outcome) == ("alice", "bob", 1, "success")
    assert punch.rtt == pytest.approx(0.080) and punch.sync_error == pytest.approx(0.0)
    direct = punched.connections.query("path == 'direct' and opened_by == 'hole punch'")
    assert len(direct) == 1 and {direct.dialer.iloc[0], direct.listener.iloc[0]} == {"alice", "bob"}
    assert punched.reachability.edges["alice", "bob"]["how"] == "punched"


def test_the_syns_of_the_punch_cross(punched):
    packets = punched.packets.query("flags == 'SYN' and time > 2.1")
    (out, back) = (packets[packets.place == name].query("verdict == 'sent'").time.iloc[0] for name in ("alice", "bob"))
    arrivals = packets.query("verdict == 'delivered'").set_index("place").time
    assert out < arrivals["alice"] and back < arrivals["bob"], "each was sent before the other arrived"


def test_a_hard_nat_cannot_be_punched_and_a_preserving_one_can():
    hard = {"mapping": "address-and-port-dependent", "port_allocation": "random"}
    assert list(two_behind_nats(7, office=hard).punches.outcome.str.contains("success")) == [False] * 3
    lucky = two_behind_nats(7, office={**hard, "port_allocation": "preserving"})
    assert list(lucky.punches.outcome) == ["success"]


def test_the_crowd_lives_in_different_first_octets_and_activates_an_address():
    lab = Lab()
    crowd = lab.crowd(4)
    assert len({place.ip.split(".")[0] for place in lab.places}) == 4
    alice = lab.node("alice", behind=lab.nat("home"))
    for observer in crowd:
        lab.run(alice.dial(observer))
    assert list(lab.observations.query("node == 'alice'").activated) == [False, False, False, True]


def test_two_behind_firewalls_punch_with_addresses_of_their_own():
    lab = Lab(7)
    relay = lab.node("relay")
    alice, bob = (lab.node(name, behind=lab.nat("firewall", name=f"{name}'s")) for name in ("alice", "bob"))
    lab.run(alice.reserve(relay))
    lab.run(bob.dial(relay))
    lab.run(bob.dial(alice.address_via(relay)))
    lab.advance(30.0)
    reversal, punch = lab.punches.itertuples()
    assert reversal.attempt == 0 and "ETIMEDOUT" in reversal.outcome, "a public address invites a direct dial"
    assert (punch.attempt, punch.outcome) == (1, "success")
    assert lab.reachability.edges["alice", "bob"]["how"] == "punched"
    assert (lab.mappings.internal == lab.mappings.external).all() and set(lab.mappings.box) == {"alice's", "bob's"}
    assert "firewall 12.0.0.1" in lab.ladder("alice", "bob").svg and "(firewall)" in lab.draw().text


def test_mappings_show_which_address_of_a_pool_each_one_has():
    lab = Lab(3)
    alice = lab.host("alice", behind=lab.nat("home", name="carrier", external_addresses=4, pooling="arbitrary"))
    bob = lab.host("bob")
    for port in range(5000, 5020):
        lab.run(lab.run(alice.udp(port)).send("hello", f"{bob.ip}:9"))
    lab.advance(1.0)
    pool = {f"11.0.0.{last}" for last in (1, 2, 3, 4)}
    assert set(lab.mappings.external.str.split(":").str[0]) == pool


def test_a_reboot_ends_every_mapping_and_may_change_the_address():
    lab = Lab(7)
    alice, bob = lab.host("alice", behind=lab.nat("home")), lab.host("bob")
    socket = lab.run(alice.udp(5000))
    lab.run(socket.send("hello", f"{bob.ip}:9"))
    lab.at(5.0, lab.reboot, "home", True)
    lab.advance(10.0)
    lab.run(socket.send("hello again", f"{bob.ip}:9"))
    lab.advance(1.0)
    assert list(lab.mappings.external) == ["11.0.0.1:5000", "13.0.0.1:5000"]
    assert list(lab.mappings.ended_by.str.contains("reboot")) == [True, False]
    assert {place.name: place.ip for place in lab.places}["home"] == "13.0.0.1"
    assert "now at 13.0.0.1" in lab.ladder("alice", "bob", show=("note", "udp")).text


def punched_over_ipv6(**which: bool) -> Lab:
    """Two nodes behind firewalls with IPv6, and a relay."""
    lab = Lab(7)
    relay = lab.node("relay", ipv6=True, **which)
    houses = [lab.nat("home", name=f"house {number}", ipv6=True) for number in (1, 2)]
    alice, bob = (
        lab.node(name, house, ipv6=True, **which) for name, house in zip(("alice", "bob"), houses, strict=True)
    )
    lab.run(alice.reserve(relay))
    lab.run(bob.dial(relay))
    lab.run(bob.dial(alice.address_via(relay)))
    lab.advance(30.0)
    return lab


def test_two_behind_ipv6_firewalls_punch():
    lab = punched_over_ipv6(ipv4=False)
    reversal, punch = lab.punches.itertuples()
    assert reversal.attempt == 0 and "ETIMEDOUT" in reversal.outcome
    assert (punch.attempt, punch.outcome, punch.sync_error) == (1, "success", pytest.approx(0.0))
    assert lab.reachability.edges["alice", "bob"]["how"] == "punched"
    assert (lab.mappings.internal == lab.mappings.external).all(), "nothing is translated"
    assert set(lab.mappings.internal) == {"[2600:2:0:1::2]:4001", "[2600:3:0:1::2]:4001"}
    assert "/ip6/2600:2:0:1::2/tcp/4001" in set(lab.observations.address)
    assert "[2600:3:0:1::2]:4001" in lab.ladder("alice", "bob").text and "2600:2:0:1::2" in lab.draw().svg


def test_with_both_versions_of_ip_either_may_carry_the_punch():
    lab = punched_over_ipv6()
    assert list(lab.punches.outcome)[-1] == "success"
    crossed = lab.packets.query("flags == 'SYN' and place == 'alice' and verdict == 'delivered'")
    assert {source[0] == "[" for source in crossed.source} == {True, False}
    assert set(lab.mappings.query("box == 'house 1'").protocol) == {"TCP"} and lab.mappings.box.nunique() == 2


def test_ipv6_observers_in_different_56_activate_an_address():
    lab = Lab()
    alice = lab.node("alice", lab.nat("home", ipv6=True), ipv4=False, ipv6=True)
    for observer in lab.crowd(4, ipv6=True):
        lab.run(alice.dial(observer))
    assert list(lab.observations.query("node == 'alice'").activated) == [False, False, False, True]


def test_over_simple_security_ipv6_lets_in_whoever_comes_to_an_open_port():
    """RFC 6092 REC-33: filtering is endpoint-independent by default."""
    lab = Lab(7)
    alice = lab.node("alice", lab.nat("home", ipv6="simple-security"), ipv6=True)
    relay, bob = (lab.node(name, ipv6=True) for name in ("relay", "bob"))
    lab.run(alice.dial(relay))
    connection = lab.run(bob.dial(alice))
    assert str(connection.route.remote).startswith("/ip6/")


@pytest.mark.parametrize(
    "build, hint",
    [
        (lambda lab: (lab.node("a", address="11.0.0.9"), lab.node("b", address="11.0.0.9")), "11.0.0.9"),
        (lambda lab: (lab.node("a"), lab.node("a")), "name"),
        (lambda lab: lab.nat("hom"), "home"),
        (lambda lab: lab.nat("home", filterin="x"), "filtering"),
        (lambda lab: lab.nat("home", filtering="address"), "address-dependent"),
        (lambda lab: lab.node("a", behind="home"), "lab.nat"),
        (lambda lab: lab.node("a", behind=Lab().nat("home")), "lab.nat"),
        (lambda lab: lab.nat("firewall", external_addresses=2), "external_addresses must stay 1"),
        (lambda lab: (lab.nat("home"), lab.nat("office"), lab.reboot("hom")), "there are: home, office"),
        (lambda lab: (lab.nat("firewall"), lab.reboot("firewall", new_address=True)), "without new_address"),
        (lambda lab: lab.ladder("nobody"), "nobody"),
        (lambda lab: lab.draw("nobody"), "nobody"),
        (lambda lab: lab.pcap("unwritten.pcap", "nobody"), "nobody"),
    ],
)
def test_an_ill_posed_experiment_is_a_lab_error_that_says_what_to_change(build, hint):
    with pytest.raises(LabError) as error:
        build(Lab())
    assert hint in str(error.value)


def test_a_verb_awaited_outside_lab_run_says_so():
    lab = Lab()
    relay, alice = lab.node("relay"), lab.node("alice")
    connection = lab.run(alice.dial(relay))
    stream = lab.run(alice.new_stream(relay, PING_ID))

    async def cell() -> None:
        of_the_node = alice.dial(relay), alice.ping(relay), alice.identify(relay), alice.reserve(relay), alice.close()
        of_what_it_gave = connection.ping(), connection.close(), stream.read(), stream.write(b"?"), stream.close_write()
        for verb in (*of_the_node, *of_what_it_gave):
            with pytest.raises(LabError, match=r"lab\.run"):
                await verb

    asyncio.run(cell())
    assert lab.run(alice.ping(relay)) == pytest.approx(0.040)


def test_run_and_arun_work_inside_a_running_loop():
    async def cell() -> tuple[float, float, bool]:
        lab = Lab()
        relay, alice = lab.node("relay"), lab.node("alice")
        breaths: list[float] = []

        async def other_work() -> None:
            while True:
                await asyncio.sleep(0)
                breaths.append(lab.now)

        task = asyncio.ensure_future(other_work())
        result = lab.run(alice.ping(relay)), await lab.arun(alice.ping(relay))
        await lab.arun(_slowly(alice, relay))
        task.cancel()
        return *result, len(breaths) > 2

    async def _slowly(alice, relay) -> None:
        for _ in range(100):
            await alice.ping(relay)

    assert asyncio.run(cell()) == (pytest.approx(0.040), pytest.approx(0.040), True)


def test_arun_raises_what_the_awaitable_raises_and_names_what_waits():
    lab = Lab()
    alice = lab.node("alice", keepalive=None)

    async def cell() -> None:
        with pytest.raises(UnreachableError):
            await lab.arun(alice.dial("/ip4/99.0.0.1/tcp/1/p2p/" + str(alice.peer_id)[:-4] + "1234"))
        with pytest.raises(DeadlockError):
            await lab.arun(asyncio.Event().wait())

    asyncio.run(cell())


def test_an_arun_past_its_limit_says_which_and_the_next_one_is_not_cut_short():
    lab = Lab()

    async def ticks() -> None:
        for _ in range(20):
            await asyncio.sleep(0.7)

    async def cell() -> None:
        for _ in range(2):
            with pytest.raises(DeadlockError, match=r"[05]\.000 s 5 virtual seconds have passed"):
                await lab.arun(ticks(), limit=5.0)
        gone: list[float] = []
        lab._loop.call_at(12.0, gone.append, lab.now)
        await lab.arun(asyncio.sleep(3.0))
        assert gone and lab.now == 13.0

    asyncio.run(cell())


def test_a_run_within_a_run_says_what_to_write_instead(recwarn):
    lab = Lab()

    async def wrong() -> None:
        with pytest.raises(LabError, match="await the verb itself"):
            lab.run(asyncio.sleep(1.0))
        with pytest.raises(LabError, match="await the verb itself"):
            await lab.arun(asyncio.sleep(1.0))
        await asyncio.sleep(1.0)

    lab.run(wrong())
    assert lab.now == 1.0 and not recwarn.list


def test_a_cancelled_arun_leaves_nothing_running():
    lab = Lab()
    log: list[str] = []

    async def forever() -> None:
        try:
            while not log:
                await asyncio.sleep(0.001)
                await asyncio.sleep(0.001)
        finally:
            log.append("ended")

    async def cell() -> None:
        task = asyncio.ensure_future(lab.arun(forever(), limit=1e9))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cell())
    assert log == ["ended"] and not lab.step()


def test_control_c_stops_the_run_and_the_lab_goes_on():
    lab = Lab()
    relay, alice = lab.node("relay"), lab.node("alice")

    async def interrupted() -> None:
        await asyncio.sleep(1.0)
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(1.0)

    with pytest.raises(KeyboardInterrupt):
        lab.run(interrupted())
    assert lab.now == 1.0 and lab.run(alice.ping(relay)) == pytest.approx(0.040)


def test_advance_and_step_move_virtual_time():
    lab = Lab()
    lab.node("alice")
    lab.advance(2.5)
    assert lab.now == 2.5 and repr(lab) == "<Lab seed=0 at 2.500 s: alice>"
    assert lab.step() is False, "a node with nothing to do schedules nothing"


def test_a_sweep_records_outcomes_only():
    lab = Lab(7, record=OUTCOMES)
    relay = lab.node("relay")
    alice, bob = (lab.node(name, behind=lab.nat("home")) for name in ("alice", "bob"))
    lab.run(alice.reserve(relay))
    lab.run(bob.dial(alice.address_via(relay)))
    lab.advance(30.0)
    assert [punch.outcome for punch in lab.journal.of(PunchEnded)] == ["success"]
    assert {type(event) for event in lab.journal.events} <= set(OUTCOMES)


def test_boxes_of_one_preset_get_numbered_names():
    lab = Lab()
    assert [lab.nat("home").name for _ in range(3)] == ["home", "home 2", "home 3"]
    assert lab.nat("office", name="cafe").name == "cafe"


async def _datagrams(
    lab: Lab, sender: BareHost, receiver: BareHost, at: list[float], to: Endpoint | None = None
) -> None:
    """One datagram at each time, to the receiver's socket or another endpoint."""
    there, socket = await receiver.udp(9), await sender.udp(9)
    for time in at:
        await asyncio.sleep(time - lab.now)
        await socket.send(b"x", to or there)
    await asyncio.sleep(0.5)


@pytest.mark.parametrize(
    "link",
    [
        LinkConfig(delay=Jitter(0.01, 0.1), loss=GilbertElliott(0.05, 0.5)),
        LinkConfig(delay=Trace([0.01, 0.1]), reordering=0.1, duplication=0.1),
        (LinkConfig(rate=20_000, queue=10_000), LinkConfig(rate=100_000)),
    ],
    ids=["bursts", "disorder", "asymmetric rate"],
)
def test_nodes_talk_over_any_link(link):
    lab = Lab(1)
    relay, alice = lab.node("relay"), lab.node("alice", lab.nat("home", link=link), link=link)
    connection = lab.run(alice.dial(relay))
    assert lab.run(alice.ping(connection.peer)) > 0.019


def test_what_is_partitioned_is_lost_until_it_heals():
    lab = Lab()
    home, bob = lab.nat("home"), lab.host("bob")
    alice = lab.host("alice", home)
    lab.at(1.0, lab.partition, "home", "bob")
    lab.at(2.0, lab.heal, "home")
    lab.at(3.0, lab.heal, "bob")
    lab.run(_datagrams(lab, alice, bob, [0.5, 1.5, 2.5, 3.5]))
    assert list(lab.packets.query("verdict == 'delivered'").time.round(2)) == [0.52, 3.52]
    assert list(lab.packets.query("verdict == 'lost'").reason) == [f"the link of {x} is cut" for x in ("home", "bob")]
    lines = lab.ladder().text.splitlines()
    assert [" ".join(line.split()) for line in lines if "link" in line and "lost" not in line] == [
        "1.000 │ ● │ link cut",
        "1.000 │ │ ● link cut",
        "2.000 │ ● │ link healed",
        "3.000 │ │ ● link healed",
    ]


def test_a_relay_that_is_cut_off_is_noticed_and_can_be_dialled_again():
    lab = Lab(1)
    relay, alice = lab.node("relay"), lab.node("alice", keepalive=5.0)
    lab.run(alice.dial(relay))
    lab.partition("relay")
    lab.advance(60)
    assert not alice.connections
    lab.heal("relay")
    lab.run(alice.dial(relay))
    assert len(alice.connections) == 1


@pytest.mark.parametrize("verb", [Lab.partition, Lab.heal])
def test_only_places_of_the_lab_can_be_cut_off(verb):
    lab = Lab()
    lab.host("alice")
    with pytest.raises(LabError, match=r"no 'alic' in this lab; did you mean 'alice'\? \(there are: alice\)"):
        verb(lab, "alice", "alic")


def test_what_is_to_happen_at_a_time_must_lie_ahead_and_its_error_surfaces():
    lab = Lab()
    lab.advance(1.0)
    with pytest.raises(ValueError, match=r"it is 1\.000 s already"):
        lab.at(0.5, lab.partition, "relay")
    lab.at(2.0, lab.partition, "relay")
    with pytest.raises(LabError, match="no 'relay'"):
        lab.advance(2.0)


def test_a_closed_lab_keeps_its_journal(tmp_path):
    lab = Lab()
    relay, alice = lab.node("relay"), lab.node("alice")
    lab.run(alice.dial(relay))
    lab.close()
    assert len(lab.connections) == 1
    with pytest.raises(LabError):
        lab.advance(1.0)


DIGEST = """
import hashlib, sys
from natlab.lab.scenes import two_behind_nats
ballast = [object() for _ in range(int(sys.argv[2]))]
lab = two_behind_nats(int(sys.argv[1]))
print(hashlib.sha256("\\n".join(map(repr, lab.journal.events)).encode()).hexdigest())
"""


def _digest_in_another_process(seed: int, hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", DIGEST, str(seed), str(hash_seed * 1000)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_the_same_seed_gives_the_same_journal_in_every_process(punched):
    here = hashlib.sha256("\n".join(map(repr, punched.journal.events)).encode()).hexdigest()
    assert {_digest_in_another_process(7, hash_seed) for hash_seed in (1, 2)} == {here}


def test_another_seed_gives_other_keys_and_ports(punched):
    other = two_behind_nats(8)
    assert other.nodes["alice"].peer_id != punched.nodes["alice"].peer_id
    external = [set(lab.mappings.query("box == 'office'").external) for lab in (punched, other)]
    assert external[0].isdisjoint(external[1])
