"""Links with an MTU: what passes, who is told what, and what TCP makes of it."""

import asyncio
import contextlib

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Verdict
from natlab.nat import NatConfig
from natlab.packet import IcmpKind, IPProtocol
from natlab.sim import LinkConfig
from natlab.sim.router import CORE_IP, CORE_IP6

TUNNEL = LinkConfig(mtu=1280)
WIDE = LinkConfig()
MEGABYTE = bytes(range(256)) * 4096


def upload(world, sender, receiver, data=MEGABYTE, limit=60.0, ipv6=False):
    """Sends data over TCP: what arrives within `limit` seconds."""

    async def main():
        listener = await receiver.listen_tcp(Endpoint("::" if ipv6 else "0.0.0.0", 80))
        dialled = await sender.dial_tcp(Endpoint(receiver.ip6 if ipv6 else receiver.ip, 80))
        accepted = await listener.accept()

        async def send():
            await dialled.write(data)
            await dialled.close_write()

        sending, received = asyncio.ensure_future(send()), bytearray()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while piece := await accepted.read():
                    received += piece
        sending.cancel()
        return bytes(received)

    return world.run(main())


def told(world, place):
    """The MTUs that arrived at a host as news, and who sent it."""
    errors = [event.packet for event in world.packets(place) if event.packet.icmp is not None]
    return {(error.icmp.mtu, error.source.ip) for error in errors if error.icmp.kind is IcmpKind.TOO_BIG}


def sizes(world, place, verdict):
    """Of the packets with payload."""
    return [event.packet.size for event in world.packets(place, verdict) if event.packet.payload]


@pytest.mark.parametrize(("payload", "passes"), [(1252, True), (1253, False)])
def test_the_mtu_counts_the_ip_header(world, payload, passes):
    alice, bob = world.host("alice", link=(WIDE, TUNNEL)), world.host("bob")

    async def main():
        await alice.bind_udp(Endpoint("0.0.0.0", 9))
        (await bob.bind_udp(Endpoint("0.0.0.0", 0))).send(bytes(payload), Endpoint(alice.ip, 9))
        await asyncio.sleep(1)

    world.run(main())
    reasons = [event.reason for event in world.packets(verdict=Verdict.LOST)]
    assert reasons == ([] if passes else ["its 1281 bytes do not fit the link's MTU of 1280"])
    assert told(world, "bob") == (set() if passes else {(1280, CORE_IP)})


def test_rfc_1191_tcp_cuts_its_segments_to_what_the_path_takes_and_loses_no_time(world):
    alice, bob = world.host("alice"), world.host("bob", link=(WIDE, TUNNEL))
    assert upload(world, alice, bob) == MEGABYTE
    sent, lost = sizes(world, "alice", Verdict.SENT), sizes(world, "bob", Verdict.LOST)
    assert lost == 10 * [1500]  # the first flight
    assert sent[:10] == lost and max(sent[10:]) == 1280
    assert told(world, "alice") == {(1280, CORE_IP)}
    first_again = next(event.time for event in world.packets("alice") if event.packet.size == 1280)
    assert first_again == pytest.approx(0.060 + 0.020)  # bob has accepted; then a round trip to the core, no timeout


def test_on_the_sender_s_own_link_it_knows_at_once(world):
    alice, bob = world.host("alice", link=(TUNNEL, WIDE)), world.host("bob")
    assert upload(world, alice, bob) == MEGABYTE
    assert told(world, "alice") == {(1280, alice.ip)}


@pytest.mark.parametrize("downstream", [False, True], ids=["the box's uplink", "the link to the host inside"])
def test_rfc_4787_req_13_the_news_passes_a_nat_box_from_either_side(world, downstream):
    home = world.nat("home", NatConfig(port_allocation="random"), link=WIDE if downstream else TUNNEL)
    alice = world.host("alice", behind=home, link=TUNNEL if downstream else WIDE)
    bob = world.host("bob")
    assert upload(world, alice, bob) == MEGABYTE
    assert told(world, "alice") == {(1280, alice.ip if downstream else home.external_ip)}


@pytest.mark.parametrize("narrow", ["host", "router, outward", "far host, inward"])
def test_rfc_8201_the_news_comes_over_ipv6_too_from_whoever_is_in_front_of_the_link(world, narrow):
    links = {place: {"link": (TUNNEL, WIDE) if "inward" not in place else (WIDE, TUNNEL)} for place in (narrow,)}
    home = world.nat("home", NatConfig(), ipv6=NatConfig(translates=False), **links.get("router, outward", {}))
    alice = world.host("alice", behind=home, ipv6=True, **links.get("host", {}))
    bob = world.host("bob", ipv6=True, **links.get("far host, inward", {}))
    assert upload(world, alice, bob, ipv6=True) == MEGABYTE
    says = {"host": alice.ip6, "router, outward": home.ipv6.external_ip, "far host, inward": CORE_IP6}
    assert told(world, "alice") == {(1280, says[narrow])}


def test_rfc_5508_req_5_the_news_of_a_link_inside_reaches_who_sends_from_outside(world):
    home = world.nat("home", NatConfig(), link=WIDE)
    alice, bob = world.host("alice", behind=home, link=(WIDE, TUNNEL)), world.host("bob")

    async def main():
        listener = await bob.listen_tcp(Endpoint("0.0.0.0", 80))
        dialled = await alice.dial_tcp(Endpoint(bob.ip, 80))
        accepted = await listener.accept()
        await accepted.write(bytes(100_000))
        return len(await dialled.read())

    assert world.run(main()) > 0
    assert told(world, "bob") == {(1280, home.external_ip)}


@pytest.mark.parametrize("cause", ["the link", "the box"])
def test_rfc_2923_a_black_hole_lets_the_handshake_pass_and_nothing_that_is_full(world, cause):
    link = LinkConfig(mtu=1280, black_hole=cause == "the link")
    home = world.nat("home", NatConfig(icmp_errors="dropped" if cause == "the box" else "translated"), link=link)
    alice, bob = world.host("alice", behind=home), world.host("bob")
    assert upload(world, alice, bob, b"short") == b"short"
    assert upload(world, alice, world.host("carol"), limit=30.0) == b""
    assert told(world, "alice") == set()


@pytest.mark.parametrize(("fragments", "arrive"), [("out-of-order", 2), ("none", 0)])
def test_rfc_4787_req_14_a_host_cuts_its_datagrams_once_it_was_told_and_the_box_puts_them_together(
    world, fragments, arrive
):
    """As Linux's UDP sockets do (`natlab/sim/path_mtu.py`): the first one is lost, and all later ones are cut."""
    alice = world.host("alice", behind=world.nat("home", NatConfig(fragments=fragments)))
    bob = world.host("bob", link=(WIDE, TUNNEL))

    async def main():
        there, here = await bob.bind_udp(Endpoint("0.0.0.0", 9)), await alice.bind_udp(Endpoint("0.0.0.0", 5000))
        received = []
        reading = asyncio.ensure_future(receive(there, received))
        for number in range(3):
            here.send(bytes([number]) * 1400, Endpoint(bob.ip, 9))
            await asyncio.sleep(1)
        reading.cancel()
        return received

    async def receive(socket, received):
        while True:
            received.append(await socket.receive())

    assert world.run(main()) == [(bytes([n]) * 1400, Endpoint("11.0.0.1", 5000)) for n in (1, 2)][:arrive]
    assert told(world, "alice") == {(1280, CORE_IP)}


def test_pieces_are_lost_one_by_one_and_with_one_the_whole(world):
    alice, bob = world.host("alice", link=(LinkConfig(loss=0.5), WIDE)), world.host("bob")
    alice._path_mtu.learn(bob.ip, 1280, 0)

    async def main():
        await bob.bind_udp(Endpoint("0.0.0.0", 9))
        socket = await alice.bind_udp(Endpoint("0.0.0.0", 0))
        for _ in range(200):
            socket.send(bytes(1400), Endpoint(bob.ip, 9))
        await asyncio.sleep(1)

    world.run(main())
    arrived, lost = world.packets("bob", Verdict.DELIVERED), world.packets("alice", Verdict.LOST)
    assert 20 < len(arrived) < 80  # a quarter
    assert 150 < len(lost) < 250 and {event.packet.protocol for event in lost} == {IPProtocol.FRAGMENT}
    assert {len(event.packet.payload) for event in arrived} == {1400}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"mtu": 575}, "576 to 65535"), ({"mtu": 65536}, "576 to 65535"), ({"black_hole": True}, "give the link an mtu")],
)
def test_nonsense_is_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        LinkConfig(**options)
