"""A full tunnel: the path is the exit's, the delay is that of both ways, and the outer datagrams need a NAT mapping."""

from __future__ import annotations

import asyncio

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Verdict
from natlab.nat import NatConfig
from natlab.packet import IPProtocol, Packet
from natlab.sim import LinkConfig
from natlab.sim.vpn import PORT

HOME = NatConfig(filtering="address-and-port-dependent")


@pytest.fixture
def tunnelled(world):
    """Alice behind a NAT, her packets leave at the exit; a server."""
    exit_, home = world.nat("exit", HOME), world.nat("home", HOME)
    return world.host("alice", behind=home, vpn=exit_), exit_, home, world.host("server")


def talk(world, client, server, silence=0.0):
    """Sends to the server, which answers after a while: whom it saw, and when the answer came."""

    async def main():
        there, here = await server.bind_udp(Endpoint("0.0.0.0", 9)), await client.bind_udp(Endpoint("0.0.0.0", 5000))
        here.send(b"ping", Endpoint(server.ip, 9))
        data, source = await there.receive()
        await asyncio.sleep(silence)
        there.send(data, source)
        try:
            async with asyncio.timeout(1):
                await here.receive()
        except TimeoutError:
            return source, None
        finally:
            here.close()
            there.close()
        return source, world.loop.time()

    return world.run(main())


def test_the_host_is_seen_at_the_exit_and_answers_come_back_through_the_tunnel(world, tunnelled):
    alice, exit_, _, server = tunnelled
    source, came = talk(world, alice, server)
    assert source == Endpoint(exit_.external_ip, 5000) and alice.ip.startswith("192.168.1.")
    there = 0.0005 + 0.0095 + 0.0095 + 0.0095 + 0.010  # alice, home, core, exit, core, server
    assert came == pytest.approx(2 * there)


def test_what_home_sees_is_one_conversation_with_the_exit(world, tunnelled):
    alice, exit_, _, server = tunnelled
    talk(world, alice, server)
    seen = [event.packet for event in world.packets("home")]
    assert {(packet.protocol, packet.payload.strip(b"\0")) for packet in seen} == {(IPProtocol.UDP, b"")}
    assert seen[0].destination == Endpoint(exit_.external_ip, PORT)
    assert [packet.size for packet in seen] == [20 + 8 + 32 + 20 + 8 + 4] * 2


def test_a_packet_keeps_its_number_inside_the_tunnel(world, tunnelled):
    alice, _, _, server = tunnelled
    talk(world, alice, server)
    first = world.packets("alice", Verdict.SENT)[0].packet.flight
    places = [(event.place, event.verdict) for event in world.packets() if event.packet.flight == first]
    assert places == [("alice", "sent"), ("exit", "translated"), ("server", "delivered")]


def test_when_the_mapping_at_home_has_ended_the_answer_is_lost(world):
    home = world.nat("home", NatConfig(udp_timeout=30.0, udp_unanswered_timeout=30.0))
    alice, server = world.host("alice", behind=home, vpn=world.nat("exit", HOME)), world.host("server")
    assert talk(world, alice, server, silence=60)[1] is None
    assert world.packets("home")[-1].verdict is Verdict.DROPPED and not world.packets("exit", Verdict.DROPPED)
    assert talk(world, alice, server)[1], "what she sends opens another way"


def test_nobody_but_the_tunnel_is_let_in(world, tunnelled):
    _, exit_, _, server = tunnelled

    async def knock():
        (await server.bind_udp(Endpoint("0.0.0.0", 7))).send(b"let me in", Endpoint(exit_.external_ip, PORT))
        await asyncio.sleep(1)

    world.run(knock())
    assert world.packets("exit")[-1].reason == "all but the tunnel is refused"


def test_a_client_that_never_spoke_cannot_be_reached(world, tunnelled):
    alice, exit_, _, server = tunnelled
    exit_.forward(Packet(IPProtocol.UDP, Endpoint(server.ip, 9), Endpoint(alice.ip, 9)))
    assert world.packets("exit")[-1].reason == f"no datagram has come through the tunnel of {alice.ip}"


def test_two_clients_meet_inside(world, tunnelled):
    alice, exit_, _, _ = tunnelled
    carol = world.host("carol", vpn=exit_)

    async def main():
        here, there = await alice.bind_udp(Endpoint("0.0.0.0", 5)), await carol.bind_udp(Endpoint("0.0.0.0", 5))
        there.send(b"I am here", Endpoint(exit_.lan.gateway, 9))
        await asyncio.sleep(1)
        here.send(b"hi", Endpoint(carol.ip, 5))
        return await there.receive()

    assert world.run(main()) == (b"hi", Endpoint(alice.ip, 5))


def test_a_cut_link_cuts_the_tunnel(world, tunnelled):
    alice, _, _, server = tunnelled
    world.internet.partition("alice")

    async def main():
        (await alice.bind_udp(Endpoint("0.0.0.0", 5000))).send(b"ping", Endpoint(server.ip, 9))
        await asyncio.sleep(1)

    world.run(main())
    assert world.packets()[-1].verdict is Verdict.LOST
    world.internet.heal("alice")
    assert talk(world, world.host("bob"), server)[1]


def test_tcp_learns_that_a_tunnel_takes_shorter_packets(world):
    exit_ = world.nat("exit", HOME)
    alice, server = world.host("alice", vpn=exit_, link=LinkConfig(mtu=1500)), world.host("server")

    async def main():
        listener = await server.listen_tcp(Endpoint("0.0.0.0", 80))
        dialled = await alice.dial_tcp(Endpoint(server.ip, 80))
        accepted = await listener.accept()
        await dialled.write(bytes(20_000))
        received = 0
        while received < 20_000:
            received += len(await accepted.read())

    world.run(main())
    assert max(event.packet.size for event in world.packets("server", Verdict.DELIVERED)) == 1500 - 60
    assert len(world.packets("alice", Verdict.LOST)) >= 1, "the first full segment told of it"


def test_behind_a_firewall_the_exit_gives_a_public_address(world):
    wall = world.nat("wall", NatConfig(translates=False))
    alice, server = world.host("alice", vpn=wall), world.host("server")
    assert talk(world, alice, server)[0] == Endpoint(alice.ip, 5000) and alice.ip.startswith("11.0.0.")


def exit_and(world, **more):
    return world.nat("exit", HOME, **more)


@pytest.mark.parametrize(
    "build, sentence",
    [
        (lambda world: world.host("a", ipv6=True, vpn=exit_and(world)), "carries no IPv6: leave ipv6= or vpn= out"),
        (lambda world: (box := exit_and(world), world.host("a", behind=box, vpn=box)), "would lead through itself"),
        (
            lambda world: world.host("a", vpn=exit_and(world, behind=world.nat("office", HOME))),
            "a cannot reach exit behind office: vpn= takes a box on the public internet",
        ),
    ],
)
def test_a_tunnel_that_leads_nowhere_is_a_lab_error(world, build, sentence):
    with pytest.raises(LabError) as error:
        build(world)
    assert sentence in str(error.value)
