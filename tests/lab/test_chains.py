"""Boxes in a row, hosts side by side, tunnels: what the tables and ladders show of each."""

from __future__ import annotations

import pytest

from natlab import Lab
from natlab.errors import LabError


def punched(lab: Lab, alice, bob, relay) -> bool:
    """Whether Bob's relayed connection to Alice becomes a direct one."""
    lab.run(alice.reserve(relay))
    lab.run(bob.dial(relay))
    lab.run(bob.dial(alice.address_via(relay)))
    lab.advance(30.0)
    return "success" in list(lab.punches.outcome)


def externals(lab: Lab) -> list[tuple[str, str, str]]:
    return list(lab.mappings[["box", "internal", "external"]].itertuples(index=False, name=None))


def test_double_nat_maps_twice():
    lab = Lab(7)
    relay = lab.node("relay")
    outer = lab.nat("home", name="provider's router")
    alice = lab.node("alice", lab.nat("home", name="own router", behind=outer))
    bob = lab.node("bob", lab.nat("office"))
    assert punched(lab, alice, bob, relay)
    assert externals(lab)[:2] == [
        ("own router", "192.168.2.2:4001", "192.168.1.2:4001"),
        ("provider's router", "192.168.1.2:4001", "12.0.0.1:4001"),
    ]
    header = lab.ladder("alice", "relay", "bob", until=0.1).text.splitlines()[0]
    assert [header.index(name) for name in ("alice", "own router", "provider's", "relay", "office", "bob")] == sorted(
        header.index(name) for name in ("alice", "own router", "provider's", "relay", "office", "bob")
    )


def test_behind_a_carriers_nat_homes_have_shared_addresses_and_ports_in_blocks():
    """RFC 6598: 100.64.0.0/10 between the carrier and its subscribers."""
    lab = Lab(7)
    relay = lab.node("relay")
    carrier = lab.nat("cgnat", external_addresses=1)
    homes = [lab.nat("home", name=f"home {number}", behind=carrier) for number in (1, 2)]
    alice, bob = (lab.node(name, home) for name, home in zip(("alice", "bob"), homes, strict=True))
    assert [home.external_ip for home in homes] == ["100.64.0.2", "100.64.0.3"]
    assert punched(lab, alice, bob, relay), "each reaches the other's external endpoint, by hairpinning"
    assert set(lab.mappings.query("box == 'cgnat'").internal) == {"100.64.0.2:4001", "100.64.0.3:4001"}
    ports = sorted(lab.mappings.query("box == 'cgnat'").external.str.split(":").str[1].astype(int))
    assert ports[1] - ports[0] > 0 and ports[0] // 1000 != ports[1] // 1000, "each subscriber has a block of its own"


def test_several_hosts_behind_one_box_want_one_port():
    lab = Lab(7)
    relay = lab.node("relay")
    home = lab.nat("home")
    people = [lab.node(name, home) for name in ("alice", "carol", "dave")]
    for person in people:
        lab.run(person.dial(relay))
    assert [internal for _, internal, _ in externals(lab)] == [f"192.168.1.{last}:4001" for last in (2, 3, 4)]
    assert len(set(lab.mappings.external)) == 3 and lab.mappings.external[0] == "12.0.0.1:4001"


def test_in_a_tunnel_a_host_has_the_nat_of_the_exit():
    lab = Lab(7)
    relay = lab.node("relay")
    exit_ = lab.nat("full-cone", name="vpn")
    alice = lab.node("alice", lab.nat("symmetric", name="hotel"), vpn=exit_)
    bob = lab.node("bob", lab.nat("office"))
    assert punched(lab, alice, bob, relay), "the hotel's NAT sees nothing but the tunnel"
    assert ("vpn", "192.168.1.3:4001", "12.0.0.1:4001") in externals(lab)
    assert list(lab.mappings.query("box == 'hotel'").protocol) == ["UDP"]
    assert "alice 192.168.1.3 (node, unknown) in a tunnel through hotel" in lab.draw().text
    header = lab.ladder("alice", "relay", "bob", until=0.1).text.splitlines()[0]
    assert header.index("alice") < header.index("hotel") < header.index("vpn") < header.index("relay")


@pytest.mark.parametrize(
    "build, sentence",
    [
        (lambda lab: lab.node("a", vpn="vpn"), "vpn= takes a NAT box of this lab"),
        (lambda lab: lab.nat("home", lan="192.168.1.0/24", behind=lab.nat("home")), "overlaps 192.168.1.0/24 of home"),
        (lambda lab: lab.nat("home", lan="100.65.0.0/16", behind=lab.nat("cgnat")), "overlaps 100.64.0.0/10 of cgnat"),
        (lambda lab: lab.nat("cgnat", lan="9.0.0.0/8"), "hosts behind a NAT have private addresses"),
        (
            lambda lab: [lab.host(f"h{n}", box) for box in [lab.nat("home", lan="10.0.0.0/29")] for n in range(6)],
            "lan=",
        ),
        (lambda lab: lab.nat("home", external_addresses=8, behind=lab.nat("home", lan="10.0.0.0/29")), "consecutive"),
        (lambda lab: lab.node("a", lab.nat("home"), ipv6=True), "a cannot have IPv6, home forwards none"),
        (lambda lab: lab.nat("home", ipv6="office"), "it may be True or one of 'firewall'"),
        (lambda lab: (lab.nat("firewall"), lab.host("a", address="11.0.0.7")), "behind firewall: put the host there"),
        (lambda lab: lab.nat("firewall", lan="192.168.0.0/24", mapping="address-dependent"), "mapping must stay"),
    ],
)
def test_a_topology_that_cannot_be_is_a_lab_error_that_says_what_to_change(build, sentence):
    with pytest.raises(LabError) as error:
        build(Lab())
    assert sentence in str(error.value)
