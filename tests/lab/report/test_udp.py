"""RFC 4787, requirement by requirement: a box that keeps it conforms, a box that breaks it does not."""

import pytest

from natlab.endpoint import Endpoint
from natlab.packet import IPProtocol, Packet

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"

ROWS = [
    ("REQ-1", {}, "conforms", EI),
    ("REQ-1", {"mapping": AD, "port_allocation": "random"}, "violates", AD),
    ("REQ-1", {"mapping": APD, "port_allocation": "random"}, "violates", APD),
    ("REQ-1", {"mapping": APD}, "conforms", EI),  # it looks so, as long as nobody else wants the port: see REQ-11
    ("REQ-2", {}, "not applicable", "8 hosts are all seen at one address"),
    ("REQ-3", {}, "conforms", "two hosts are never seen at one endpoint"),
    ("REQ-3", {"port_allocation": "overloading"}, "violates", "two hosts are seen at 11.0.0.1:"),
    ("REQ-3a", {"port_range": (20000, 30000)}, "violates", "port 500 became 2"),
    ("REQ-3a", {"port_allocation": "overloading"}, "conforms", "ports below 1024 stay below, others above"),
    ("REQ-4", {"port_parity": True}, "conforms", "20 of 20 ports stayed even or odd"),
    ("REQ-4", {"port_allocation": "random"}, "violates", "of 20 ports stayed even or odd"),
    ("REQ-5", {}, "conforms", "300 s unanswered, 300 s answered; 120 s needed"),
    ("REQ-5", {"udp_timeout": 119.0}, "violates", "300 s unanswered, 119 s answered; 120 s needed"),
    ("REQ-5", {"udp_unanswered_timeout": 30.0}, "violates", "30 s unanswered, 300 s answered; 120 s needed"),
    ("REQ-5", {"udp_timeout": 1e9, "udp_unanswered_timeout": 1e9}, "conforms", "more than 3000000 s unanswered"),
    ("REQ-5c", {}, "conforms", "300 s needed"),
    ("REQ-5c", {"udp_timeout": 299.0}, "violates", "300 s unanswered, 299 s answered; 300 s needed"),
    ("REQ-6", {}, "conforms", "a datagram from inside starts the 300 s again"),
    ("REQ-6", {"udp_refresh": "inbound"}, "violates", "a datagram from inside starts the 300 s not again"),
    ("REQ-7", {}, "conforms", "a host has it inside, and all hosts talk to those outside"),
    ("REQ-7", {"external_addresses": 3}, "conforms", "all hosts talk"),
    ("REQ-7", {"confuses_addresses": True}, "violates", "has 192.168.1.3 outside, and 192.168.1.3 inside is cut off"),
    ("REQ-7", {"translates": False}, "not applicable", "it does not translate"),
    ("REQ-8", {"filtering": EI}, "conforms", EI),
    ("REQ-8", {"filtering": AD}, "conforms", AD),
    ("REQ-8", {"filtering": APD}, "violates", APD),
    ("REQ-9", {"hairpinning": "external-source"}, "conforms", "from the external endpoint, as if from outside"),
    ("REQ-9", {"hairpinning": "external-source", "filtering": APD}, "conforms", "from the external endpoint"),
    ("REQ-9", {"hairpinning": "internal-source"}, "violates", "seen outside at 11.0.0.1:"),
    ("REQ-9", {"hairpinning": "none"}, "violates", "a host is not reached at its external endpoint from inside"),
    (
        "REQ-9",
        {"hairpinning": "none", "mapping": APD, "filtering": APD, "port_allocation": "random"},
        "not applicable",
        "lets no other in",
    ),
    ("REQ-10", {}, "conforms", "a SIP call came through as sent"),
    ("REQ-11", {}, "conforms", "the same when two hosts want one port"),
    ("REQ-11", {"mapping": APD, "port_allocation": "random"}, "conforms", "the same"),
    ("REQ-11", {"mapping": APD}, "violates", f"when two hosts want one port: {EI}, then {APD}"),
    ("REQ-11, early", {}, "conforms", "leaves from the same endpoint"),
]


@pytest.mark.parametrize(("number", "axes", "verdict", "words"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_the_probe_tells_a_box_that_keeps_the_rule_from_one_that_breaks_it(finding, number, axes, verdict, words):
    found = finding(f"RFC 4787 {number}", **axes)
    assert (str(found.verdict), words in found.measured) == (verdict, True), found


def test_rfc_7857_section_7_1_an_error_from_inside_is_no_refresh(finding):
    found = finding("RFC 7857 7.1")
    assert (str(found.verdict), found.measured) == ("conforms", "an error from inside starts the 300 s not again")
    found = finding("RFC 7857 7.1", udp_timeout=1e9)
    assert (str(found.verdict), "longer than" in found.measured) == ("not measured", True)


def test_a_box_that_takes_it_for_one_violates_it(finding):
    """As if the late knock of xenia, whom alice has complained about, were let in."""
    last, complained = [], []

    def tamper(came):
        last.extend(packet for packet in came if packet.protocol == IPProtocol.UDP and packet.source.ip == "11.0.0.1")
        complained.extend(packet for packet in came if packet.quoted)
        if came or not complained:
            return came
        xenia, door = last[-1].destination, last[-1].source
        return [Packet(IPProtocol.UDP, xenia, Endpoint("192.168.1.2", door.port))]

    found = finding("RFC 7857 7.1", tamper=tamper)
    assert (str(found.verdict), found.measured) == ("violates", "an error from inside starts the 300 s again")
