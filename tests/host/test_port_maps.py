"""A node whose gateway opens its port: what it tells others, and what becomes of it."""

from __future__ import annotations

import pytest

from natlab import Lab
from natlab.errors import UnreachableError
from natlab.portmap import GatewayConfig


@pytest.fixture
def lab():
    lab = Lab(seed=1)
    lab.home = lab.nat("home", gateway=("nat-pmp", "pcp", "upnp"))
    lab.alice = lab.node("alice", behind=lab.home)
    lab.bob = lab.node("bob")
    yield lab
    lab.close()


def mapped(lab: Lab) -> list[str]:
    return [str(one) for one in lab.alice.addresses if lab.home.external_ip in str(one)]


def test_a_node_is_dialled_at_its_mapped_address(lab: Lab) -> None:
    assert mapped(lab) == []
    (mapping,) = lab.run(lab.alice.map_ports())
    (address,) = mapped(lab)
    assert address.startswith(f"/ip4/{lab.home.external_ip}/tcp/{mapping.external.port}/p2p/")
    connection = lab.run(lab.bob.dial(address))
    assert connection.peer == lab.alice.peer_id and not connection.relayed


def test_peers_are_told_at_once(lab: Lab) -> None:
    lab.run(lab.alice.dial(lab.bob.addresses[0]))
    lab.run(lab.alice.map_ports())
    lab.advance(1.0)
    known = lab.bob._core.peerstore.addresses(lab.alice.peer_id)
    assert any(lab.home.external_ip in str(one) for one in known)


def test_the_address_lasts_as_long_as_its_lease_is_renewed(lab: Lab) -> None:
    lab.run(lab.alice.map_ports())
    lab.advance(600.0)
    assert len(mapped(lab)) == 1
    lab.partition("alice")
    lab.advance(120.0)
    assert mapped(lab) == []
    lab.heal("alice")
    lab.advance(60.0)
    assert len(mapped(lab)) == 1


def test_closing_gives_the_port_back(lab: Lab) -> None:
    lab.run(lab.alice.map_ports())
    lab.run(lab.alice.close())
    assert list(lab.port_mappings.ended_by) == ["released: its host gave it back"]


def test_a_lying_gateway_is_passed_on_as_it_is() -> None:
    lab = Lab(seed=1)
    alice = lab.node("alice", behind=lab.nat("home", gateway=GatewayConfig(reports="10.9.9.9")))
    lab.run(alice.map_ports())
    assert any("/ip4/10.9.9.9/tcp/4001" in str(one) for one in alice.addresses)


def test_no_gateway(lab: Lab) -> None:
    with pytest.raises(UnreachableError, match="no gateway"):
        lab.run(lab.bob.map_ports())
