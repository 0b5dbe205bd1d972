"""What routers do with packets; what NAT boxes decide is tested in tests/nat."""

import asyncio

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.events import Verdict
from natlab.nat import NatConfig
from natlab.packet import Icmp, IcmpKind
from natlab.portmap import GatewayConfig
from natlab.sim.router import CORE_IP


def send(world, host, to, port=5000):
    async def main():
        socket = await host.bind_udp(Endpoint("0.0.0.0", port))
        socket.send(b"hello", to)
        await asyncio.sleep(1)
        socket.close()

    world.run(main())


def test_the_core_drops_what_it_has_no_route_for_and_says_so(world):
    alice = world.host("alice")
    send(world, alice, Endpoint("192.168.1.2", 9))
    dropped, answer = world.packets("internet")
    assert dropped.verdict is Verdict.DROPPED and dropped.reason == "no route to 192.168.1.2"
    assert answer.packet.icmp == Icmp(IcmpKind.HOST_UNREACHABLE, dropped.packet)
    assert (answer.packet.source.ip, answer.packet.destination.ip) == (CORE_IP, alice.ip)
    assert world.packets("alice")[-1].packet == answer.packet


def test_a_packet_keeps_its_number_from_hop_to_hop(world):
    alice = world.host("alice", behind=world.nat("home", NatConfig()))
    bob = world.host("bob")
    send(world, alice, Endpoint(bob.ip, 9))
    hops = [event for event in world.packets() if event.packet.icmp is None]
    assert [(event.place, event.verdict) for event in hops] == [
        ("alice", Verdict.SENT),
        ("home", Verdict.TRANSLATED),
        ("bob", Verdict.DROPPED),
    ]
    assert len({event.packet.flight for event in hops}) == 1 and hops[0].packet.flight > 0
    assert hops[1].before.source == Endpoint("192.168.1.2", 5000)
    assert hops[1].packet.source == Endpoint("11.0.0.1", 5000)
    assert hops[2].reason == "no UDP socket on port 9"


def test_what_the_nat_does_not_let_in_is_dropped_with_its_reason(world):
    home = world.nat("home", NatConfig())
    world.host("alice", behind=home)
    send(world, world.host("bob"), Endpoint(home.external_ip, 4001))
    [event] = world.packets("home")
    assert event.verdict is Verdict.DROPPED and event.reason


def test_an_rst_of_the_nat_box_travels_back_with_a_number_of_its_own(world):
    home = world.nat("home", NatConfig(unsolicited_syn="rst"))
    bob = world.host("bob")
    with pytest.raises(SocketError, match="ECONNREFUSED"):
        world.run(bob.dial_tcp(Endpoint(home.external_ip, 4001)))
    dropped, answer = world.packets("home")
    assert (dropped.verdict, answer.verdict, answer.packet.flag_names) == (Verdict.DROPPED, Verdict.SENT, "RST ACK")
    assert answer.packet.flight not in (0, dropped.packet.flight)
    assert world.loop.time() == pytest.approx(0.039)


def test_nat_behind_nat(world):
    carrier = world.nat("carrier", NatConfig())
    home = world.nat("home", NatConfig(), behind=carrier)
    alice, bob = world.host("alice", behind=home), world.host("bob")

    async def main():
        server = await bob.bind_udp(Endpoint("0.0.0.0", 9))
        client = await alice.bind_udp(Endpoint("0.0.0.0", 5000))
        client.send(b"ping", Endpoint(bob.ip, 9))
        data, source = await server.receive()
        server.send(data, source)
        return source, await client.receive()

    source, answer = world.run(main())
    assert source.ip == carrier.external_ip and home.external_ip.startswith("192.168.1.")
    assert answer == (b"ping", Endpoint(bob.ip, 9))


def test_rfc_5382_req_4_the_answer_to_a_stranger_s_syn_leaves_6_s_later(world):
    home = world.nat("home", NatConfig(unsolicited_syn="wait"))
    bob = world.host("bob")

    async def main():
        dialling = asyncio.ensure_future(bob.dial_tcp(Endpoint(home.external_ip, 4001)))
        await asyncio.sleep(7)
        dialling.cancel()

    world.run(main())
    first = world.packets("home")[0]
    answer = next(event for event in world.packets("home") if event.verdict is Verdict.SENT)
    assert first.verdict is Verdict.DROPPED
    assert answer.time == pytest.approx(first.time + 6) and answer.packet.quoted._replace(flight=0) == (
        first.packet._replace(flight=0)
    )


def test_rfc_5382_req_4_and_does_not_leave_if_the_host_inside_has_dialled_back(world):
    home = world.nat("home", NatConfig(unsolicited_syn="wait"))
    alice, bob = world.host("alice", behind=home), world.host("bob")

    async def main():
        theirs = asyncio.ensure_future(bob.dial_tcp(Endpoint(home.external_ip, 4001), local=Endpoint("0.0.0.0", 9000)))
        await asyncio.sleep(0.5)
        await alice.dial_tcp(Endpoint(bob.ip, 9000), local=Endpoint("0.0.0.0", 4001))
        await theirs
        await asyncio.sleep(7)

    world.run(main())
    assert Verdict.DROPPED in [event.verdict for event in world.packets("home")]
    assert Verdict.SENT not in [event.verdict for event in world.packets("home")]


# The router itself


def served(world, **axes):
    """A household whose router runs its services, and its two hosts."""
    home = world.nat("home", NatConfig(), gateway=GatewayConfig(**axes))
    world.run(home.gateway.start())
    return home, world.host("alice", behind=home), world.host("carol", behind=home)


def test_without_services_a_packet_to_the_router_ends_there(world):
    alice = world.host("alice", behind=world.nat("home", NatConfig()))
    send(world, alice, Endpoint("192.168.1.1", 5351))
    assert [(event.place, event.reason) for event in world.packets()][1:] == [("home", "home runs no gateway services")]


def test_a_packet_to_the_router_is_seen_there_once(world):
    _, alice, _ = served(world)
    send(world, alice, Endpoint("192.168.1.1", 9))
    assert [(event.place, event.verdict) for event in world.packets()][:2] == [
        ("alice", Verdict.SENT),
        ("home", Verdict.DROPPED),
    ]


def test_what_hosts_multicast_reaches_the_router_and_what_it_multicasts_reaches_all_hosts(world):
    home, alice, carol = served(world, services=("nat-pmp",))
    ears = [world.run(host.bind_udp(Endpoint("224.0.0.1", 5350))) for host in (alice, carol)]
    send(world, alice, Endpoint("224.0.0.1", 5350))
    assert world.packets("carol") == [] and world.packets("home")[0].verdict is Verdict.DROPPED
    home.reboot()
    for ear in ears:
        assert world.run(ear.receive())[1] == Endpoint("192.168.1.1", 5351)


def test_a_host_joins_the_groups_there_are_and_no_others(world):
    alice = world.host("alice")
    with pytest.raises(SocketError, match="EADDRNOTAVAIL"):
        world.run(alice.bind_udp(Endpoint("224.0.0.251", 5353)))


def test_each_host_knows_its_gateway(world):
    outer = world.nat("outer", NatConfig())
    inner = world.nat("inner", NatConfig(), behind=outer)
    assert world.host("alice", behind=inner).gateway() == inner.gateway_ip == "192.168.2.1"
    assert world.host("carol", behind=outer).gateway() == outer.gateway_ip == "192.168.1.1"
    assert world.host("bob").gateway() is None


def test_a_forward_by_hand_and_back(world):
    home = world.nat("home", NatConfig())
    alice, bob = world.host("alice", behind=home), world.host("bob")
    external, internal = Endpoint(home.external_ip, 9), Endpoint(alice.ip, 9)
    home.forward_port(17, external, internal)
    send(world, bob, external)
    home.unforward_port(17, external)
    send(world, bob, external, port=5001)
    knocks = [event for event in world.packets("home") if event.packet.source.ip == bob.ip]
    assert [event.verdict for event in knocks] == [Verdict.TRANSLATED, Verdict.DROPPED]


def test_a_ping_of_the_router_itself_is_delivered_there_and_answered(world):
    alice = world.host("alice", behind=world.nat("home", NatConfig()))
    assert world.run(alice.ping(alice.gateway_ip)) is not None
    seen = [(event.place, event.verdict) for event in world.packets()]
    assert seen == [("alice", "sent"), ("home", "delivered"), ("home", "sent"), ("alice", "delivered")]
