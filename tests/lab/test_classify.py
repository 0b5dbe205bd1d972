"""`host.classify`: what a notebook asks and shows."""

from __future__ import annotations

from itertools import product

import pytest

from natlab import Lab
from natlab.errors import ProtocolError, UnreachableError
from natlab.lab.this_computer import this_computer
from natlab.nat import Behaviour
from natlab.protocol.stun_server import StunServer


def lab_with_server(**axes: str) -> tuple[Lab, StunServer]:
    lab = Lab(seed=3)
    lab.host("alice", behind=lab.nat("home", **axes))  # type: ignore[arg-type]
    return lab, lab.run(lab.host("stun").serve_stun(lab.host("stun 2")))


@pytest.mark.parametrize(("mapping", "filtering"), list(product(Behaviour, Behaviour)))
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_host_names_its_nat(mapping, filtering, transport):
    lab, server = lab_with_server(mapping=mapping, filtering=filtering, port_allocation="random")
    found = lab.run(lab.hosts["alice"].classify(server, transport))
    assert (found.mapping, found.filtering, found.natted) == (mapping, filtering, True)
    assert repr(found) == f"<{transport}: behind a NAT, mapping {mapping}, filtering {filtering}>"
    lab.close()


def test_the_probes_as_a_table():
    lab, server = lab_with_server(filtering="address-dependent")
    table = lab.run(lab.hosts["alice"].classify(server)).probes
    assert list(table.test) == ["mapping I", "mapping II", "filtering I", "filtering II", "filtering III"]
    assert list(table.asked) == ["", "", "", "change IP and port", "change port"]
    silent, answered = table.iloc[3], table.iloc[4]
    assert (silent.answered_by, silent.mapped) == ("nobody: silence", "")
    assert answered.answered_by == f"{server.endpoint.ip}:3479" and answered.mapped.startswith("11.0.0.1:")
    assert set(table.dtypes.astype(str)) == {"string"}
    lab.close()


def test_the_same_seed_asks_the_same():
    def packets():
        lab, server = lab_with_server()
        lab.run(lab.hosts["alice"].classify(server))
        table = lab.packets
        lab.close()
        return table

    assert packets().equals(packets())


def test_any_stun_server_by_its_endpoint():
    lab, server = lab_with_server()
    found = lab.run(lab.hosts["stun"].classify(str(server.endpoint)))
    assert repr(found) == "<udp: no NAT, mapping endpoint-independent, filtering endpoint-independent>"
    lab.run(server.close())
    with pytest.raises(UnreachableError):
        lab.run(lab.hosts["alice"].classify("12.0.0.1:3478"))
    lab.close()


def test_a_server_without_a_second_address_is_of_no_use():
    lab = Lab()
    server = lab.run(lab.host("stun").serve_stun())
    with pytest.raises(ProtocolError, match="no second address"):
        lab.run(lab.host("alice").classify(server))
    with pytest.raises(ValueError, match="quic"):
        lab.run(lab.hosts["alice"].classify(server, "quic"))
    lab.close()


def test_this_computer_serves_and_asks_too():
    here = this_computer()
    server = here.run(here.serve_stun(ports=(0xBAD0, 0xBAD1)))
    with pytest.raises(ProtocolError, match="no second address"):
        here.run(here.classify(server))
    here.run(server.close())
    here.close()
