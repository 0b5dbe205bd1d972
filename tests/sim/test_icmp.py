"""Pings, errors about what was sent, and TTLs, over the small internet."""

import asyncio

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Verdict
from natlab.nat import NatConfig
from natlab.packet import Icmp, IcmpKind, IPProtocol, Packet, echo_request, icmp_error
from natlab.sim.router import CORE_IP, FEW_HOPS

ANY = Endpoint("0.0.0.0", 0)


@pytest.fixture
def alice(world):
    return world.host("alice")


@pytest.fixture
def bob(world):
    return world.host("bob")


def test_a_ping_comes_back_with_the_bytes_that_were_sent(world, alice, bob):
    reply = world.run(alice.ping(bob.ip, identifier=7, sequence=9))
    assert reply._replace(flight=0) == Packet(
        IPProtocol.ICMP,
        Endpoint(bob.ip, 0),
        Endpoint(alice.ip, 7),
        bytes(56),
        seq=9,
        icmp=Icmp(IcmpKind.ECHO_REPLY),
    )
    assert world.loop.time() == pytest.approx(0.040)
    assert [event.verdict for event in world.packets("bob")] == [Verdict.DELIVERED, Verdict.SENT]


def test_each_waits_for_its_own_answer(world, alice, bob):
    async def main():
        return await asyncio.gather(
            *(alice.ping(bob.ip, identifier=identifier, sequence=n) for identifier in (1, 2) for n in (1, 2))
        )

    answers = world.run(main())
    assert [(reply.destination.port, reply.seq) for reply in answers] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_one_with_the_same_numbers_at_a_time(world, alice, bob):
    async def main():
        first = asyncio.ensure_future(alice.ping(bob.ip, identifier=1))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="under way"):
            await alice.ping(bob.ip, identifier=1)
        return await first

    assert world.run(main()) is not None


def test_an_answer_that_comes_too_late_or_to_nobody_is_dropped(world, alice, bob):
    assert world.run(alice.ping(bob.ip, timeout=0.030)) is None
    world.loop.advance(1)
    assert world.packets("alice")[-1].reason == "no ping waits for it"


@pytest.mark.parametrize(("ttl", "by"), [(1, "192.168.1.1"), (2, CORE_IP), (3, "12.0.0.1"), (4, None)])
def test_the_router_at_which_no_hop_is_left_says_so(world, ttl, by):
    """Three routers: alice's NAT box, the core, and bob's, whose error is about the packet as the outside knows it."""
    alice = world.host("alice", behind=world.nat("home", NatConfig(port_allocation="random")))
    office = world.nat("office", NatConfig())
    bob = world.host("bob", behind=office)
    inside, outside = Endpoint(bob.ip, 9), Endpoint(office.external_ip, 9)
    office.forward_port(IPProtocol.UDP, outside, inside)
    sent = Packet(IPProtocol.UDP, Endpoint(alice.ip, 5000), outside, b"probe", ttl=ttl)
    alice._transmit(sent)
    world.loop.advance(1)
    [arrived] = world.packets("alice")[1:]
    by, kind = (by, IcmpKind.TIME_EXCEEDED) if by else (office.external_ip, IcmpKind.PORT_UNREACHABLE)
    assert arrived.packet.source.ip == by and arrived.packet.icmp.kind is kind
    assert arrived.packet.quoted._replace(ttl=ttl, flight=0) == sent
    dropped = [event.reason for event in world.packets(verdict=Verdict.DROPPED)]
    assert ("TTL: it has no hop left" in dropped) is (kind is IcmpKind.TIME_EXCEEDED)


def test_a_packet_that_runs_out_of_hops_inside_opens_no_mapping(world):
    home = world.nat("home", NatConfig())
    alice = world.host("alice", behind=home)
    world.run(alice.ping("99.0.0.1", ttl=1))
    assert home.box._table.mappings == {}


def test_only_packets_with_few_hops_left_are_counted_down(world, alice, bob):
    for ttl, left in ((64, 64), (FEW_HOPS + 1, FEW_HOPS + 1), (FEW_HOPS, FEW_HOPS - 1), (2, 1)):
        world.run(alice.ping(bob.ip, ttl=ttl))
        assert [event.packet.ttl for event in world.packets("bob", Verdict.DELIVERED)][-1] == left


def test_there_is_no_error_about_an_error(world, alice):
    error = icmp_error(IcmpKind.TIME_EXCEEDED, alice.ip, echo_request(Endpoint("99.0.0.1", 1), alice.ip, 1))
    alice._transmit(error)
    world.loop.advance(1)
    assert [event.verdict for event in world.packets()] == [Verdict.SENT, Verdict.DROPPED]


def test_no_error_about_multicast(world, alice):
    alice.receive(Packet(IPProtocol.UDP, Endpoint("12.0.0.1", 1), Endpoint("224.0.0.1", 5350)))
    assert [event.verdict for event in world.packets()] == [Verdict.DROPPED]


def test_a_closed_port_on_loopback_says_so_too(world, alice):
    async def main():
        (await alice.bind_udp(ANY)).send(b"x", Endpoint("127.0.0.1", 9))

    world.run(main())
    assert [event.verdict for event in world.packets()] == [
        Verdict.SENT,
        Verdict.DROPPED,
        Verdict.SENT,
        Verdict.DROPPED,
    ]


def test_an_error_about_no_segment_in_flight_is_dropped(world, alice, bob):
    async def main():
        listener = await bob.listen_tcp(Endpoint(bob.ip, 80))
        return await alice.dial_tcp(listener.local), await listener.accept()

    dialled, _ = world.run(main())
    for local in (dialled.local, Endpoint(alice.ip, 1)):
        segment = Packet(IPProtocol.TCP, local, dialled.remote, seq=12345)
        alice.receive(icmp_error(IcmpKind.PORT_UNREACHABLE, bob.ip, segment))
        assert world.packets("alice")[-1].reason == "no connection has sent what it quotes"


def test_what_is_too_big_is_believed_only_if_a_socket_can_have_sent_it(world, alice, bob):
    """As on Linux 6.18: `ip route get` shows the MTU if, and only if, a socket is bound to the quoted source."""
    datagram = Packet(IPProtocol.UDP, Endpoint(alice.ip, 5000), Endpoint(bob.ip, 9), bytes(1400))
    news = icmp_error(IcmpKind.TOO_BIG, "99.0.0.1", datagram, 1280)
    alice.receive(news)
    assert world.packets("alice")[-1].reason == "no UDP socket can have sent what it quotes"
    assert not alice._path_mtu.known
    world.run(alice.bind_udp(Endpoint("0.0.0.0", 5000)))
    alice.receive(news)
    assert world.packets("alice")[-1].verdict is Verdict.DELIVERED and list(alice._path_mtu.known) == [bob.ip]
