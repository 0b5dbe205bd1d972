"""Presets: names for configurations, what their documentation says of them, and what a wrong name is answered with."""

from __future__ import annotations

from typing import Any

import pytest

from natlab import Lab
from natlab.errors import LabError
from natlab.lab.report import nat_report
from natlab.lab.which_nat import classify
from natlab.nat import PRESETS, Behaviour, Hairpinning, NatConfig, PortAllocation, catalogue, configure
from natlab.nat.catalogue import CATALOGUE

SHORT = {"EI": Behaviour.ENDPOINT_INDEPENDENT, "AD": Behaviour.ADDRESS_DEPENDENT}
SHORT["APD"] = Behaviour.ADDRESS_AND_PORT_DEPENDENT
LINES = [line.split() for line in (catalogue.__doc__ or "").splitlines()]
ROWS = {words[0]: words[1:] for words in LINES if len(words) == 9 and words[0] in PRESETS}
IN_EFFECT = {
    "linux": "EI",
    "pfsense-static-port": "EI",
    "firewall": "EI",
    "simple-security": "EI",
}  # the port stays the same


def test_a_preset_alone_and_with_an_axis_changed() -> None:
    assert configure("office") == PRESETS["office"]
    changed = configure("office", filtering="address-and-port-dependent", udp_timeout=30)
    assert changed.filtering is Behaviour.ADDRESS_AND_PORT_DEPENDENT
    assert (changed.udp_timeout, changed.mapping) == (30, PRESETS["office"].mapping)
    assert configure("rfc-compliant", hairpinning=None).hairpinning is Hairpinning.NONE


@pytest.mark.parametrize("name", PRESETS)
def test_the_table_at_the_top_of_the_file_is_true(name: str) -> None:
    config = PRESETS[name]
    mapping, filtering, ports, udp, tcp, stranger, hairpins, evidence = ROWS[name]
    assert SHORT[filtering] == config.filtering
    if config.translates:
        assert (SHORT[mapping], ports) == (config.mapping, config.port_allocation)
        assert hairpins == ("no" if config.hairpinning is Hairpinning.NONE else "yes")
    else:
        assert mapping == ports == hairpins == "none"
    assert udp == f"{config.udp_unanswered_timeout:g}/{config.udp_timeout:g}"
    assert tcp == f"{config.tcp_established_timeout:.0f}"
    assert stranger == config.unsolicited_syn
    assert evidence == CATALOGUE[name].evidence


@pytest.mark.parametrize("name", PRESETS)
def test_the_report_from_outside_measures_what_the_table_says(name: str) -> None:
    mapping, filtering, ports, udp, tcp, stranger, hairpins, _ = ROWS[name]
    measured = nat_report(name).table.set_index("requirement").measured
    assert measured["RFC 4787 REQ-5"].startswith("{} s unanswered, {} s answered;".format(*udp.split("/")))
    assert measured["RFC 5382 REQ-5"].startswith(f"{tcp} s open,")
    at_once, admitted = "answered at once" in measured["RFC 5382 REQ-4"], "admits" in measured["RFC 5382 REQ-4"]
    assert (at_once, admitted) == (stranger == "rst", filtering == "EI")
    found = {"none": "it does not translate", "no": "a host is not reached", "yes": "from the external endpoint"}
    alone = (mapping, filtering, ports) == ("APD", "APD", "random")  # then nobody is let in, hairpinned or not
    assert measured["RFC 4787 REQ-9"].startswith("the door that one remote sees" if alone else found[hairpins])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_host_behind_it_finds_the_behaviour_that_the_table_says(name: str, transport: str) -> None:
    found, _ = classify(7, name, transport)
    mapping, filtering = ROWS[name][:2]
    assert found.natted == PRESETS[name].translates
    assert (found.mapping, found.filtering) == (SHORT[IN_EFFECT.get(name, mapping)], SHORT[filtering])


def test_the_compliant_one_violates_nothing() -> None:
    assert not (nat_report("rfc-compliant").table.verdict == "violates").any()


def test_the_symmetric_preset_is_the_one_a_hole_punch_fails_at() -> None:
    config = PRESETS["symmetric"]
    assert config.mapping is Behaviour.ADDRESS_AND_PORT_DEPENDENT and config.port_allocation is PortAllocation.RANDOM


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_says_what_it_is_and_who_says_so(name: str) -> None:
    preset = CATALOGUE[name]
    assert preset.stands_for and preset.source
    assert not set(preset.also_called) & set(CATALOGUE)
    if preset.evidence in ("typical", "word"):
        assert "measured" not in preset.source


def test_in_a_cloud_each_host_has_an_address_of_its_own_and_keeps_its_ports() -> None:
    lab = Lab(7)
    vpc, peer = lab.nat("cloud"), lab.run(lab.host("peer").udp(7000))
    for number in range(8):
        lab.run(lab.run(lab.host(f"instance {number}", behind=vpc).udp(4001)).send("hello", peer))
    seen = [lab.run(peer.receive()).source for _ in range(8)]
    assert {source.port for source in seen} == {4001} and len({source.ip for source in seen}) == 8


def test_a_carrier_gives_each_subscriber_an_address_and_a_block_of_ports() -> None:
    lab = Lab(7)
    carrier, peer = lab.nat("cgnat"), lab.run(lab.host("peer").udp(7000))
    places = []
    for number in range(3):
        subscriber = lab.host(f"subscriber {number}", behind=carrier)
        for _ in range(5):
            lab.run(lab.run(subscriber.udp()).send("hello", peer))
        seen = [lab.run(peer.receive()).source for _ in range(5)]
        assert len({source.port for source in seen}) == 5
        places.append({(source.ip, (source.port - 1024) // 1000) for source in seen})
    assert [len(place) for place in places] == [1, 1, 1] and len(set.union(*places)) == 3


@pytest.mark.parametrize("name", PRESETS)
def test_without_translation_its_filtering_and_timers_are_left(name: str) -> None:
    firewall = configure(name, translates=False)
    assert (firewall.translates, firewall.filtering) == (False, PRESETS[name].filtering)
    assert firewall.udp_timeout == PRESETS[name].udp_timeout
    with pytest.raises(LabError, match="mapping must stay"):
        configure(name, translates=False, mapping="address-dependent")


def test_linux_with_other_ports_has_no_strays_that_take_them() -> None:
    assert PRESETS["linux"].strays_take_ports and not configure("linux", port_allocation="random").strays_take_ports
    with pytest.raises(LabError, match="or another port_allocation"):
        configure("linux", mapping="endpoint-independent")


def test_no_word_leads_two_ways() -> None:
    words = [word for preset in CATALOGUE.values() for word in preset.also_called]
    assert len(words) == len(set(words))


def test_no_two_names_for_the_same_box() -> None:
    assert len(set(PRESETS.values())) == len(PRESETS)
    assert PRESETS["home"] != NatConfig()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("hom", "home"),
        ("Linux", "linux"),
        ("full cone", "full-cone"),
        ("Full Cone NAT", "full-cone"),
        ("port restricted cone", "home"),
        ("symetric", "symmetric"),
        ("masquerade", "linux"),
        ("iptables", "linux"),
        ("CG-NAT", "cgnat"),
        ("carrier grade NAT", "cgnat"),
        ("OPNsense", "pfsense"),
        ("static_port", "pfsense-static-port"),
        ("RFC 4787", "rfc-compliant"),
        ("palo alto", "enterprise"),
        ("hard", "symmetric"),
        ("5G", "mobile"),
        ("1:1 NAT", "cloud"),
        ("AWS", "cloud"),
        ("IPv6", "simple-security"),
    ],
)
def test_another_word_for_a_preset_leads_to_it(typed: str, meant: str) -> None:
    with pytest.raises(LabError) as caught:
        configure(typed)
    assert f"there is no preset {typed!r}; did you mean {meant!r}, {CATALOGUE[meant].stands_for}?" in str(caught.value)


@pytest.mark.parametrize(
    ("preset", "axes", "message"),
    [
        ("zzz", {}, "there is no preset 'zzz' (there are: rfc-compliant, home"),
        ("", {}, "there is no preset '' (there are:"),
        (None, {}, "there is no preset None (there are:"),
        (["home"], {}, "there is no preset ['home']; did you mean 'home'"),
        ("home", {"filterin": "x"}, "there is no axis of a NAT 'filterin'; did you mean 'filtering'?"),
        ("home", {"filtering": "open"}, "filtering is one of endpoint-independent"),
        ("home", {"udp_timeout": -1}, "udp_timeout is a number of seconds"),
    ],
)
def test_a_mistake_is_a_lab_error_that_says_what_there_is(preset: Any, axes: dict[str, str], message: str) -> None:
    with pytest.raises(LabError) as caught:
        configure(preset, **axes)
    assert message in str(caught.value)
