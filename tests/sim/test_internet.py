"""The topology: addresses, names, delays."""

import asyncio

import pytest

from natlab.endpoint import Endpoint, parse_ip
from natlab.errors import LabError
from natlab.events import Verdict
from natlab.nat import NatConfig


def test_public_hosts_live_in_different_first_octets_that_count_as_public(world):
    hosts = [world.host(f"h{n}").ip for n in range(250)]
    assert len(set(hosts)) == 250
    assert len({ip.split(".")[0] for ip in hosts[:100]}) == 100
    assert all(parse_ip(ip).is_global for ip in hosts)


def test_lans_have_private_addresses_of_their_own(world):
    home, office = world.nat("home", NatConfig()), world.nat("office", NatConfig())
    alice, carol = world.host("alice", behind=home), world.host("carol", behind=home)
    bob = world.host("bob", behind=office)
    assert [host.ip for host in (alice, carol, bob)] == ["192.168.1.2", "192.168.1.3", "192.168.2.2"]
    assert alice.addresses() == ["192.168.1.2", "127.0.0.1"]
    assert home.external_ip != office.external_ip


def test_an_address_may_be_chosen_once(world):
    assert world.host("relay", "73.0.0.5").ip == "73.0.0.5"
    with pytest.raises(LabError, match=r"73\.0\.0\.5 is already"):
        world.host("other", "73.0.0.5")
    assert "other" not in world.internet.hosts
    world.host("other")


@pytest.mark.parametrize("make", ["host", "nat"])
def test_a_name_is_taken_by_hosts_and_nats_alike(world, make):
    world.host("alice")
    with pytest.raises(LabError, match="already a 'alice'"):
        world.host("alice") if make == "host" else world.nat("alice", NatConfig())


NO_HOSTS = "300.0.0.1", "2600::1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"


@pytest.mark.parametrize(
    "wrong", [*({"address": ip} for ip in NO_HOSTS), {"delay": -1.0}, {"loss": 1.5}, {"delay": (0.1, -0.1)}]
)
def test_impossible_wishes(world, wrong):
    with pytest.raises(ValueError):
        world.host("alice", **wrong)
    world.host("alice")


def test_an_address_behind_a_nat_must_be_in_its_lan(world):
    home = world.nat("home", NatConfig())
    with pytest.raises(ValueError, match=r"192\.168\.1\.0/24"):
        world.host("alice", "10.0.0.1", behind=home)


@pytest.mark.parametrize("last", [0, 1, 255])
def test_the_routers_own_address_is_taken(world, last):
    home = world.nat("home", NatConfig())
    with pytest.raises(LabError, match=r"\.1 is home itself"):
        world.host("alice", f"{home.lan}.{last}", behind=home)


def test_a_lan_can_be_full(world):
    home = world.nat("home", NatConfig())
    for n in range(253):
        world.host(f"h{n}", behind=home)
    with pytest.raises(LabError, match="all are taken"):
        world.host("one too many", behind=home)


def one_way(world, sender, receiver, to=None):
    """The time when a datagram sent now arrives."""

    async def main():
        socket = await receiver.bind_udp(Endpoint("0.0.0.0", 9))
        (await sender.bind_udp(Endpoint("0.0.0.0", 0))).send(b"x", to or Endpoint(receiver.ip, 9))
        await socket.receive()
        return world.loop.time()

    return world.run(main())


def test_any_two_hosts_are_20_ms_apart(world):
    assert one_way(world, world.host("a"), world.host("b")) == pytest.approx(0.020)


def test_also_from_behind_a_nat(world):
    alice = world.host("alice", behind=world.nat("home", NatConfig()))
    assert one_way(world, alice, world.host("b")) == pytest.approx(0.020)


def test_neighbours_on_a_lan_are_close(world):
    home = world.nat("home", NatConfig())
    a, b = world.host("a", behind=home), world.host("b", behind=home)
    assert one_way(world, a, b) == pytest.approx(0.001)
    assert [event.verdict for event in world.packets("home")] == [Verdict.FORWARDED]


def test_delays_can_differ_by_direction(world):
    far = world.host("far", delay=(0.300, 0.001))
    near = world.host("near", delay=0.0)
    assert one_way(world, far, near) == pytest.approx(0.300)
    assert one_way(world, near, far) == pytest.approx(0.300 + 0.001)


def test_a_link_with_loss_loses(world):
    a, b = world.host("a", loss=0.5), world.host("b")

    async def main():
        socket = await a.bind_udp(Endpoint("0.0.0.0", 0))
        for _ in range(100):
            socket.send(b"x", Endpoint(b.ip, 9))
        await asyncio.sleep(1)

    world.run(main())
    lost = len(world.packets("a", Verdict.LOST))
    assert 30 < lost < 70
    assert len(world.packets("b")) == 100 - lost


def test_the_same_seed_gives_the_same_journal_and_another_seed_another(another_world):
    def history(seed):
        world = another_world(seed)
        alice = world.host("alice", behind=world.nat("home", NatConfig(port_allocation="random")), loss=0.2)
        bob = world.host("bob")

        async def main():
            listener = await bob.listen_tcp(Endpoint("0.0.0.0", 80))
            dialled = await alice.dial_tcp(Endpoint(bob.ip, 80))
            accepted = await listener.accept()
            await dialled.write(b"x" * 100_000)
            received = 0
            while received < 100_000:
                received += len(await accepted.read())

        world.run(main())
        return world.journal.events

    assert history(1) == history(1)
    assert history(1) != history(2)
