"""Gateways in a lab: services, forwards by hand, reboots, and the tables that show them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from natlab import Lab
from natlab.endpoint import Endpoint
from natlab.errors import LabError, SocketError, UnreachableError
from natlab.packet import IPProtocol
from natlab.portmap import GatewayConfig, natpmp

TSHARK = shutil.which("tshark")


def ask(lab: Lab, host, port: int, lifetime: int = 7200):  # type: ignore[no-untyped-def]
    async def dialogue() -> object:
        socket = await host._network.bind_udp(Endpoint(host.ip, 0))
        return await natpmp.map_port(socket, host._network.gateway(), IPProtocol.TCP, port, port, lifetime)

    return lab.run(dialogue())


def test_a_forward_by_hand_opens_a_port_to_strangers_until_it_is_taken_back() -> None:
    lab = Lab(seed=1)
    home = lab.nat("home")
    alice, bob = lab.host("alice", behind=home), lab.host("bob")
    listener = lab.run(alice.listen(4001))
    external = lab.forward("home", 8000, alice, to_port=4001)
    assert external == Endpoint(home.external_ip, 8000)
    lab.run(bob.dial(external))
    assert lab.run(listener.accept()).remote.ip == bob.ip
    lab.unforward(home, 8000)
    with pytest.raises(SocketError, match="no answer"):
        lab.run(bob.dial(external))
    assert list(lab.mappings.ended_by) == ["port forward: taken back"]


def test_a_forward_in_a_firewall_is_a_hole_for_one_endpoint() -> None:
    lab = Lab(seed=1)
    wall = lab.nat("firewall", name="wall")
    alice, bob = lab.host("alice", behind=wall), lab.host("bob")
    lab.run(alice.listen(4001))
    assert lab.forward(wall, 4001, alice) == Endpoint(alice.ip, 4001)
    lab.run(bob.dial(f"{alice.ip}:4001"))
    with pytest.raises(LabError, match="is a firewall and has no ports to give out"):
        lab.nat("firewall", gateway="pcp")
    lab.unforward(wall, 4001)
    with pytest.raises(SocketError, match="no answer"):
        lab.run(bob.dial(f"{alice.ip}:4001"))
    with pytest.raises(LabError, match="changes no ports: leave to_port= out"):
        lab.forward(wall, 4001, alice, to_port=4002)


def test_a_port_may_be_opened_to_ipv6() -> None:
    lab = Lab(seed=1)
    home = lab.nat("home", ipv6=True)
    alice, bob = lab.host("alice", behind=home, ipv6=True), lab.host("bob", ipv6=True)
    listener = lab.run(alice.listen(4001, ipv6=True))
    assert lab.forward(home, 4001, alice, ipv6=True) == listener.local
    lab.run(bob.dial(listener))
    lab.unforward(home, 4001, ipv6=True)
    with pytest.raises(SocketError, match="no answer"):
        lab.run(bob.dial(listener))


def test_a_port_of_no_ipv6_cannot_be_opened() -> None:
    lab = Lab(seed=1)
    home, six = lab.nat("home"), lab.nat("home", name="six", ipv6=True)
    lab.host("alice", behind=six)
    with pytest.raises(LabError, match="alice has no IPv6 address: make it with ipv6=True"):
        lab.forward(six, 4001, "alice", ipv6=True)
    with pytest.raises(LabError, match="home forwards no IPv6: make it with ipv6=True"):
        lab.unforward(home, 4001, ipv6=True)


def test_a_forward_leads_through_two_boxes() -> None:
    lab = Lab(seed=1)
    outer = lab.nat("home", name="outer")
    inner = lab.nat("home", name="inner", behind=outer)
    alice, bob = lab.host("alice", behind=inner), lab.host("bob")
    lab.run(alice.listen(4001))
    lab.forward(outer, 4001, inner)
    lab.forward(inner, 4001, alice)
    lab.run(bob.dial(f"{outer.external_ip}:4001"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hme", 1, "alice"), "no NAT 'hme' in this lab"),
        (("home", 1, "zoe"), "no 'zoe'"),
        (("home", 1, "bob"), "bob is on the public internet, not behind home"),
        (("office", 1, "alice"), "alice is behind home, not behind office"),
    ],
)
def test_a_forward_that_cannot_be_says_what_to_change(arguments: tuple[str, int, str], message: str) -> None:
    lab = Lab(seed=1)
    lab.host("alice", behind=lab.nat("home"))
    lab.nat("office")
    lab.host("bob")
    with pytest.raises(LabError, match=message):
        lab.forward(*arguments)
    with pytest.raises(LabError, match='"tcp" or "udp"'):
        lab.forward("home", 1, "alice", protocol="sctp")


def test_leases_and_refusals_in_tables() -> None:
    lab = Lab(seed=1)
    home = lab.nat("home", gateway=GatewayConfig(leases_per_host=1))
    alice = lab.host("alice", behind=home)
    ask(lab, alice, 4001, lifetime=100)
    ask(lab, alice, 4001, lifetime=100)
    with pytest.raises(Exception, match="OUT_OF_RESOURCES"):
        ask(lab, alice, 4002)
    first, refused = lab.port_mappings.itertuples(index=False)
    assert (first.box, first.service, first.protocol, first.renewals, first.ended_by) == (
        "home",
        "nat-pmp",
        "TCP",
        1,
        "",
    )
    assert (first.internal, first.external) == ("192.168.1.2:4001", f"{home.external_ip}:4001")
    assert refused.external == "" and refused.ended_by.startswith("refused: quota")
    lab.advance(200.0)
    home.box.expire(200 * 10**9)
    assert lab.port_mappings.ended_by[0] == "its lease was over"
    assert lab.mappings.ended_by[0] == "port forward: its lease was over"


def test_a_reboot_ends_leases() -> None:
    lab = Lab(seed=1)
    home = lab.nat("home", gateway=("nat-pmp",))
    ask(lab, lab.host("alice", behind=home), 4001)
    lab.advance(10.0)
    lab.reboot("home")
    lab.advance(1.0)
    assert list(lab.port_mappings.ended_by) == ["reboot: the gateway forgot everything"]
    with pytest.raises(LabError, match="no NAT"):
        lab.reboot("alice")


def test_a_host_asks_for_a_port_and_a_stranger_gets_in() -> None:
    lab = Lab(seed=1)
    home = lab.nat("home", gateway=("nat-pmp", "pcp", "upnp"))
    alice, bob = lab.host("alice", behind=home), lab.host("bob")
    listener = lab.run(alice.listen(4001))
    mapping = lab.run(alice.map_port(4001, "tcp", lifetime=600))
    lab.advance(3600.0)
    lab.run(bob.dial(mapping.external))
    assert lab.run(listener.accept()).remote.ip == bob.ip
    (row,) = lab.port_mappings.itertuples(index=False)
    assert (row.service, row.ended_by) == ("pcp", "") and row.renewals == mapping.renewals > 9
    lab.run(mapping.close())
    assert list(lab.port_mappings.ended_by) == ["released: its host gave it back"]
    alice.close()


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_understands_both_sides(tmp_path: Path) -> None:
    lab = Lab(seed=1)
    alice = lab.host("alice", behind=lab.nat("home", gateway=("nat-pmp", "pcp", "upnp")))
    for by in ("pcp", "nat-pmp", "upnp"):
        lab.run(lab.run(alice.map_port(4001, by=by)).close())
    lab.reboot("home")
    lab.advance(0.2)
    lab.pcap(tmp_path / "alice.pcapng", "alice")
    columns = "_ws.col.Protocol", "_ws.col.Info", "_ws.malformed"
    command = [str(TSHARK), "-n", "-r", str(tmp_path / "alice.pcapng"), "-Tfields", *(f"-e{name}" for name in columns)]
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    seen = [line.split("\t") for line in read]
    assert not any(malformed for *_, malformed in seen)
    assert [info for protocol, info, _ in seen if protocol in ("PCP v2", "NAT-PMP")] == [
        *("Map Request: 4001 -> 4001 [TCP]", "Map Response: 4001 -> 4001 [TCP]") * 2,
        *("Map TCP Request", "Map TCP Response", "External Address Request", "External Address Response"),
        *("Map TCP Request", "Map TCP Response"),
        *("External Address Response", "Announce Response"),
    ]
    assert sum(protocol == "HTTP/XML" and info.startswith("HTTP/1.1 200 OK") for protocol, info, _ in seen) >= 3
    assert any(protocol == "SSDP" for protocol, *_ in seen)


def test_behind_two_nats_the_inner_gateway_reports_a_private_address() -> None:
    lab = Lab(seed=1)
    inner = lab.nat("home", behind=lab.nat("home", name="carrier"), gateway=("upnp",))
    mapping = lab.run(lab.host("alice", behind=inner).map_port(4001, by="upnp"))
    assert str(mapping.external) == f"{inner.external_ip}:4001" and not mapping.looks_public


def test_asking_for_a_port_the_wrong_way() -> None:
    lab = Lab(seed=1)
    bob = lab.host("bob")
    with pytest.raises(UnreachableError, match="bob has no gateway that it knows of"):
        lab.run(bob.map_port(4001))
    with pytest.raises(ValueError, match='"tcp" or "udp"'):
        lab.run(bob.map_port(4001, "sctp"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="did you mean nat-pmp"):
        lab.run(lab.host("alice", behind=lab.nat("home")).map_port(4001, by="natpmp"))


def test_an_unknown_service_is_named() -> None:
    with pytest.raises(LabError, match="did you mean upnp"):
        Lab().nat("home", gateway=("upmp",))


def test_without_services_the_router_is_deaf_and_says_so_in_the_journal() -> None:
    lab = Lab(seed=1)
    alice = lab.host("alice", behind=lab.nat("home"))
    socket = lab.run(alice.udp())
    lab.run(socket.send(b"\0\0", "192.168.1.1:5351"))
    lab.advance(1.0)
    assert lab.packets.reason.iloc[-1] == "home runs no gateway services"


def test_a_question_to_the_gateway_is_one_arrow_in_the_ladder() -> None:
    lab = Lab(seed=1)
    alice = lab.host("alice", behind=lab.nat("home", gateway="nat-pmp"))
    ask(lab, alice, 4001)
    assert list(lab.packets.place) == ["alice", "home", "home", "alice"]
    assert list(lab.packets.verdict) == ["sent", "delivered"] * 2
