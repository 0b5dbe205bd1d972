"""The topology: addresses, names, delays."""

import asyncio

import pytest

from natlab.endpoint import Endpoint, parse_ip
from natlab.errors import LabError
from natlab.events import MappingCreated, Rebooted, Verdict
from natlab.nat import NatConfig
from natlab.sim import LinkConfig


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
        world.host("alice", f"192.168.1.{last}", behind=home)


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
        await b.bind_udp(Endpoint("0.0.0.0", 9))
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


# ---- firewalls: hosts keep their addresses


def reaches(world, sender, to, port=9, wildcard="0.0.0.0", ip=None):
    """Whether a datagram to a socket on that port arrives, and from where it seems to come."""

    async def main():
        here, there = await sender.bind_udp(Endpoint(wildcard, 5000)), await to.bind_udp(Endpoint(wildcard, port))
        here.send(b"x", Endpoint(ip or to.ip, port))
        try:
            async with asyncio.timeout(1):
                return (await there.receive())[1]
        except TimeoutError:
            return None
        finally:
            here.close()
            there.close()

    return world.run(main())


FIREWALL = NatConfig(translates=False, filtering="address-and-port-dependent")


def test_behind_a_firewall_a_host_is_seen_at_its_own_public_address(world):
    wall = world.nat("wall", FIREWALL)
    alice, bob = world.host("alice", behind=wall), world.host("bob")
    assert parse_ip(alice.ip).is_global and alice.ip != wall.external_ip
    assert reaches(world, alice, bob) == Endpoint(alice.ip, 5000)
    assert [event.verdict for event in world.packets("wall")] == [Verdict.FORWARDED]


def test_a_stranger_does_not_get_in_and_whoever_was_spoken_to_does(world):
    alice, bob = world.host("alice", behind=world.nat("wall", FIREWALL)), world.host("bob")
    assert reaches(world, bob, alice, 5000) is None
    assert world.packets("wall")[-1].verdict is Verdict.DROPPED
    reaches(world, alice, bob, 5000)
    assert reaches(world, bob, alice, 5000) == Endpoint(bob.ip, 5000)


def test_firewalls_and_nats_stand_behind_each_other(world):
    outer = world.nat("outer", FIREWALL)
    inner = world.nat("inner", FIREWALL, behind=outer)
    home = world.nat("home", NatConfig(), behind=inner)
    last = world.nat("last", FIREWALL, behind=home)
    alice, carol, bob = world.host("alice", behind=last), world.host("carol", behind=inner), world.host("bob")
    assert reaches(world, alice, bob) == Endpoint(home.external_ip, 5000)
    assert reaches(world, carol, bob) == Endpoint(carol.ip, 5000)
    assert reaches(world, bob, carol, 5000) is None and reaches(world, carol, bob, 5000)
    assert reaches(world, bob, carol, 5000) == Endpoint(bob.ip, 5000)


def test_a_cut_firewall_cuts_off_whoever_is_behind_it_even_who_came_later(world):
    wall = world.nat("wall", NatConfig(translates=False, filtering="endpoint-independent"))
    alice, bob = world.host("alice", behind=wall), world.host("bob")
    world.internet.partition("wall")
    carol = world.host("carol", behind=wall)
    assert reaches(world, alice, bob) is None and reaches(world, bob, carol) is None
    assert {event.reason for event in world.packets("wall", Verdict.LOST)} == {"the link of wall is cut"}
    world.internet.heal("wall")
    assert reaches(world, carol, bob, 5000) and reaches(world, bob, carol, 5000)


# ---- several addresses, and new ones


def sources(world, host, server, count):
    """The addresses at which a server sees `count` sockets of a host."""

    async def main():
        there = await server.bind_udp(Endpoint("0.0.0.0", 9))
        seen = []
        for _ in range(count):
            (await host.bind_udp(Endpoint("0.0.0.0", 0))).send(b"x", Endpoint(server.ip, 9))
            seen.append((await there.receive())[1].ip)
        return seen

    return world.run(main())


@pytest.mark.parametrize("pooling, addresses", [("paired", 1), ("arbitrary", 4)])
def test_a_box_with_several_addresses_is_reached_at_each(world, pooling, addresses):
    box = world.nat("carrier", NatConfig(external_addresses=4, pooling=pooling))
    seen = set(sources(world, world.host("alice", behind=box), world.host("server"), 30))
    assert len(seen) == addresses and seen <= set(box.box.external_ips)
    stranger = world.host("stranger")
    for number, ip in enumerate(box.box.external_ips, 1):
        one_way_out(world, stranger, Endpoint(ip, 9))
        assert len(world.packets("carrier", Verdict.DROPPED)) == number


def one_way_out(world, sender, to):
    async def main():
        (await sender.bind_udp(Endpoint("0.0.0.0", 0))).send(b"x", to)
        await asyncio.sleep(1)

    world.run(main())


def test_after_a_reboot_the_door_is_shut(world):
    alice, bob = world.host("alice", behind=world.nat("home", NatConfig())), world.host("bob")
    outside = reaches(world, alice, bob)
    world.internet.reboot("home")
    one_way_out(world, bob, outside)
    assert "no mapping" in world.packets("home", Verdict.DROPPED)[-1].reason


def test_a_reboot_may_bring_another_address_and_the_way_there(world):
    carrier = world.nat("carrier", NatConfig())
    home = world.nat("home", NatConfig(), behind=carrier)
    alice, bob = world.host("alice", behind=home), world.host("bob")
    before = [router.external_ip for router in (carrier, home)]
    for name in ("carrier", "home"):
        world.internet.reboot(name, new_address=True)
    assert not {carrier.external_ip, home.external_ip} & set(before)
    assert reaches(world, alice, bob, 5000) == Endpoint(carrier.external_ip, 5000)
    one_way_out(world, bob, Endpoint(before[0], 9))
    assert world.packets("internet", Verdict.DROPPED)[-1].reason == f"no route to {before[0]}"
    assert [(event.place, event.external_ips) for event in world.journal.of(Rebooted)] == [
        ("carrier", (carrier.external_ip,)),
        ("home", (home.external_ip,)),
    ]


def test_a_rebooted_box_can_be_cut_off_at_its_new_address(world):
    alice, bob = world.host("alice", behind=world.nat("home", NatConfig())), world.host("bob")
    world.internet.reboot("home", new_address=True)
    world.internet.partition("home")
    assert reaches(world, alice, bob) is None
    world.internet.heal("home")
    assert reaches(world, alice, bob)


# ---- IPv6


def reaches6(world, sender, to, port=9):
    """As `reaches`, over IPv6."""
    return reaches(world, sender, to, port, wildcard="::", ip=to.ip6)


def test_behind_a_nat_ipv6_is_not_translated_but_filtered(world):
    home = world.nat("home", NatConfig(), ipv6=FIREWALL)
    alice, bob = world.host("alice", behind=home, ipv6=True), world.host("bob", ipv6=True)
    assert alice.ip6.startswith("2600:1:0:1::") and alice.ip.startswith("192.168.")
    assert reaches6(world, bob, alice, 5000) is None
    assert reaches6(world, alice, bob, 5000) == Endpoint(alice.ip6, 5000)
    assert reaches6(world, bob, alice, 5000) == Endpoint(bob.ip6, 5000)
    assert reaches(world, alice, bob) == Endpoint(home.external_ip, 5000)
    verdicts = [(event.packet.source.version, event.verdict) for event in world.packets("home")]
    assert verdicts == [(6, "dropped"), (6, "forwarded"), (6, "forwarded"), (4, "translated")]


def test_neighbours_talk_over_ipv6_without_the_firewall(world):
    home = world.nat("home", NatConfig(), ipv6=FIREWALL)
    alice, carol = (world.host(name, behind=home, ipv4=False, ipv6=True) for name in ("alice", "carol"))
    assert reaches6(world, alice, carol) and reaches6(world, carol, alice)
    assert alice.gateway() is None, "whom one asks for ports is known by IPv4 only"
    assert not world.journal.of(MappingCreated)


def test_mappings_of_both_versions_are_counted_together(world):
    home = world.nat("home", NatConfig(), ipv6=FIREWALL)
    alice, bob = world.host("alice", behind=home, ipv6=True), world.host("bob", ipv6=True)
    reaches(world, alice, bob)
    reaches6(world, alice, bob)
    assert [(event.place, event.mapping) for event in world.journal.of(MappingCreated)] == [("home", 1), ("home", 2)]


def test_ipv6_behind_two_boxes(world):
    outer = world.nat("outer", NatConfig(), ipv6=FIREWALL)
    inner = world.nat("inner", NatConfig(), behind=outer, ipv6=FIREWALL)
    alice, bob = world.host("alice", behind=inner, ipv6=True), world.host("bob", ipv4=False, ipv6=True)
    assert reaches6(world, alice, bob, 5000) == Endpoint(alice.ip6, 5000)
    assert reaches6(world, bob, alice, 5000)
    world.internet.reboot("outer")
    assert reaches6(world, bob, alice, 5000) is None


def test_a_cut_link_carries_neither_version(world):
    alice = world.host("alice", behind=world.nat("home", NatConfig(), ipv6=FIREWALL), ipv6=True)
    bob = world.host("bob", ipv6=True)
    world.internet.partition("home")
    assert reaches6(world, alice, bob, 5000) is None and reaches(world, alice, bob, 5000) is None
    world.internet.heal("home")
    assert reaches6(world, alice, bob, 5000) and reaches6(world, bob, alice, 5000)


def test_both_versions_share_a_link(world):
    alice, bob = world.host("alice", ipv6=True, link=LinkConfig(rate=1000.0)), world.host("bob", ipv6=True)

    async def main():
        socket = await bob.bind_udp(Endpoint("::", 9))
        (await alice.bind_udp(Endpoint("0.0.0.0", 0))).send(bytes(972), Endpoint(bob.ip, 9))
        (await alice.bind_udp(Endpoint("::", 0))).send(bytes(952), Endpoint(bob.ip6, 9))
        await socket.receive()
        return world.loop.time()

    assert world.run(main()) == pytest.approx(2.020), "1000 bytes of IPv4 go first, at 1000 bytes per second"


@pytest.mark.parametrize(
    "build, sentence",
    [
        (lambda world: world.host("a", ipv4=False), "neither IPv4 nor IPv6: leave ipv4=False out, or add ipv6=True"),
        (lambda world: world.host("a", "11.0.0.1", ipv4=False, ipv6=True), "choose an IPv6 address with ipv6="),
        (lambda world: world.host("a", behind=world.nat("h", NatConfig()), ipv6=True), "h forwards none"),
        (
            lambda world: world.nat("h", NatConfig(), behind=world.nat("c", NatConfig()), ipv6=FIREWALL),
            "h cannot have IPv6, c forwards none: make c with ipv6=True",
        ),
        (lambda world: (world.host("a", ipv6="2600:7::1"), world.host("b", ipv6="2600:7::1")), "already a's address"),
        (lambda world: (world.nat("w", FIREWALL), world.internet.reboot("w", True)), "it has no address to change"),
        (lambda world: world.nat("w", FIREWALL, "11.0.0.1"), "it has no address to choose, but a network, lan="),
        (
            lambda world: world.nat("h", NatConfig(), behind=world.nat("c", NatConfig()), lan="192.168.1.0/24"),
            "overlaps",
        ),
    ],
)
def test_a_topology_that_cannot_be_is_a_lab_error_that_says_what_to_change(world, build, sentence):
    with pytest.raises(LabError) as error:
        build(world)
    assert sentence in str(error.value)
