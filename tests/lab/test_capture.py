"""What a capture at some place would have seen: each conversation with one pair of endpoints on each side of a box."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
import subprocess
from collections import Counter

import pytest

from natlab.lab import Lab, capture
from natlab.lab.bare import attempt
from natlab.lab.scenes import two_behind_nats
from natlab.lab.topology import Topology
from natlab.sim.router import CORE_IP


@pytest.fixture(scope="module")
def punched() -> Lab:
    return two_behind_nats(7)


def on_the_internet(lab):
    return list(capture.on_the_internet(lab.journal, Topology(lab.places)))


def seen_at(lab, *places):
    """The packets of each interface."""
    found = {name: [] for name in capture.interfaces(Topology(lab.places), places)}
    for sighting in capture.seen_at(lab.journal, Topology(lab.places), places):
        found[sighting.interface].append(sighting.packet)
    return found


async def greet(alice, server):
    """A datagram there, and one back to where it came from."""
    hers, servers = await alice.udp(9), await server.udp(9)
    await hers.send("hello", servers)
    await servers.send("hello", (await servers.receive()).source)
    await hers.receive()


def conversations(packets):
    """How many packets went each way, by the pair of endpoints."""
    counted = Counter((packet.source, packet.destination) for packet in packets)
    return {(a, b): (counted[a, b], counted[b, a]) for a, b in counted if a < b or (b, a) not in counted}


def test_on_the_internet_each_packet_is_seen_once_and_both_ways(punched):
    packets = [sighting.packet for sighting in on_the_internet(punched)]
    sent = punched.packets.query("verdict == 'sent'")
    assert len({packet.flight for packet in packets}) == len(packets) == len(sent)
    assert all(
        ipaddress.ip_address(end.ip).is_global for packet in packets for end in (packet.source, packet.destination)
    )
    answered = [ways for ways in conversations(packets).values() if min(ways) > 0]
    assert len(answered) == 3, "each with the relay, and the two with each other: the SYN of a punch is not a stray one"


@pytest.mark.parametrize("box", ["home", "office"])
def test_a_box_has_two_sides_and_a_conversation_its_own_endpoints_on_each(punched, box):
    host = {"home": "alice", "office": "bob"}[box]
    sides = seen_at(punched, box, host)
    inside, outside, at_host = (sides[name] for name in (f"{box} inside", f"{box} outside", host))
    ip = {place.name: place.ip for place in punched.places}
    for packets, own in ((inside, ip[host]), (outside, ip[box])):
        assert packets and all(own in (packet.source.ip, packet.destination.ip) for packet in packets)
    assert conversations(inside) == conversations(at_host)


def test_what_a_box_drops_it_saw_on_the_side_it_came_from():
    lab = Lab()
    lab.nat("home")
    stranger = lab.host("stranger")

    async def knock():
        await (await stranger.udp(9)).send("anybody?", "11.0.0.1:9")
        await asyncio.sleep(1)

    lab.run(knock())
    sides = seen_at(lab, "home")
    assert not sides["home inside"]
    assert [packet.source.ip for packet in sides["home outside"]] == [stranger.ip]


def test_hairpinned_packets_and_neighbours_stay_inside():
    lab = Lab()
    home = lab.nat(
        "home", hairpinning="external-source", mapping="endpoint-independent", filtering="endpoint-independent"
    )
    alice, carol, server = lab.host("alice", home), lab.host("carol", home), lab.host("server")

    async def talk():
        sockets = [await host.udp(9) for host in (alice, carol, server)]
        await sockets[1].send("what is my endpoint?", sockets[2])
        outside = (await sockets[2].receive()).source
        await sockets[0].send("hairpinned", outside)
        await sockets[1].receive()
        await sockets[0].send("neighbour", sockets[1])
        await sockets[1].receive()

    lab.run(talk())
    assert len(on_the_internet(lab)) == 1
    sides = seen_at(lab, "home")
    assert (len(sides["home inside"]), len(sides["home outside"])) == (1 + 2 + 1, 1)


def test_behind_two_boxes_only_the_outer_one_sends_on_the_internet():
    lab = Lab()
    carrier = lab.nat("cgnat")
    alice, server = lab.host("alice", lab.nat("home", behind=carrier)), lab.host("server")

    lab.run(greet(alice, server))
    packets = [sighting.packet for sighting in on_the_internet(lab)]
    assert [packet.source.ip for packet in packets] == [carrier.external_ip, server.ip]


def test_behind_a_firewall_hosts_send_with_their_own_addresses():
    lab = Lab()
    alice, server = lab.host("alice", lab.nat("firewall")), lab.host("server")

    lab.run(greet(alice, server))
    assert [sighting.packet.source.ip for sighting in on_the_internet(lab)] == [alice.ip, server.ip]
    assert [len(packets) for packets in seen_at(lab, "firewall").values()] == [2, 2]


def test_what_a_firewall_answers_in_a_hosts_name_and_drops_of_the_internets_it_has_outside():
    lab = Lab(1)
    alice = lab.host("alice", behind=lab.nat("firewall", unsolicited_syn="rst", icmp_errors="dropped"))
    bob = lab.host("bob")
    lab.run(attempt(bob.dial(f"{alice.ip}:80")))
    lab.run(lab.run(alice.udp(9)).send("x", "99.0.0.1:9"))
    lab.advance(1.0)
    sides = seen_at(lab, "firewall")
    assert [packet.flag_names for packet in sides["firewall outside"]] == ["SYN", "RST ACK", "", ""]
    assert str(sides["firewall outside"][-1].icmp).startswith("host unreachable")
    assert len(sides["firewall inside"]) == 1
    assert [seen.packet.source.ip for seen in on_the_internet(lab)] == [bob.ip, alice.ip, alice.ip, CORE_IP]


def test_a_tunnel_is_seen_as_what_it_is_and_what_is_in_it_only_beyond_its_end():
    lab = Lab()
    company, home = lab.nat("office"), lab.nat("home")
    alice, server = lab.host("alice", home, vpn=company), lab.host("server")

    lab.run(greet(alice, server))
    packets = [sighting.packet for sighting in on_the_internet(lab)]
    assert [packet.source.ip for packet in packets] == [
        home.external_ip,
        company.external_ip,
        server.ip,
        company.external_ip,
    ]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="there is no `tshark` command")
def test_wireshark_follows_every_conversation_without_complaint(punched, tmp_path):
    """No packet looks like a repetition of another; the only repeated ones are SYNs that found nobody."""
    file = tmp_path / "lab.pcapng"
    assert punched.pcap(file) == len(on_the_internet(punched))
    command = ["tshark", "-r", file, "-Y", "tcp.analysis.flags && !(tcp.flags.syn == 1)", "-T", "fields"]
    complaints = subprocess.run(
        [*command, "-e", "_ws.expert.message"], capture_output=True, text=True, check=True
    ).stdout
    assert complaints == ""
