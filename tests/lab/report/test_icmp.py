"""RFC 5508, and ICMP in RFC 4787 and RFC 5382: a box that keeps a rule conforms, a box that breaks it does not."""

import pytest

from natlab.endpoint import Endpoint
from natlab.packet import IcmpKind, IPProtocol, Packet, echo_reply, icmp_error

APD = "address-and-port-dependent"
PROBED, ENDS = "kinds reach the sender", {"icmp_errors_end_mappings": True}

ROWS = [
    ("4787 REQ-12", {}, "conforms", "it survives 6 kinds of errors"),
    ("4787 REQ-12", ENDS, "violates", "port unreachable ends it"),
    ("4787 REQ-12a", {}, "conforms", "from routers, too"),
    ("4787 REQ-12a", {"icmp_errors": "from-remote"}, "violates", "from the remote only"),
    ("4787 REQ-12a", {"icmp_errors": "dropped"}, "not applicable", "errors from nobody reach the sender"),
    ("4787 REQ-12b", {}, "conforms", f"5 of 5 {PROBED}, translated"),
    ("4787 REQ-12b", {"icmp_errors": "dropped"}, "violates", f"0 of 5 {PROBED}; lost: port unreachable for UDP"),
    ("4787 REQ-12b", {"icmp_errors": "from-remote"}, "violates", f"0 of 5 {PROBED}"),
    ("5382 REQ-9", {}, "conforms", f"5 of 5 {PROBED}, translated"),
    ("5382 REQ-9", {"icmp_errors": "dropped"}, "violates", "lost: port unreachable for TCP"),
    ("5382 REQ-10", {}, "conforms", "it survives 6 kinds of errors"),
    ("5382 REQ-10", {"checks_sequence_numbers": True}, "conforms", "it survives 6 kinds of errors"),
    ("5382 REQ-10", ENDS, "violates", "port unreachable ends it"),
    ("5508 REQ-1", {}, "conforms", "its reply comes back"),
    ("5508 REQ-1", {"icmp_queries": False}, "violates", "an echo request does not get out"),
    ("5508 REQ-1a", {}, "conforms", "endpoint-independent"),
    ("5508 REQ-1a", {"mapping": APD, "port_allocation": "random"}, "violates", "dependent"),
    ("5508 REQ-2", {}, "conforms", "60 s; 60 s needed"),
    ("5508 REQ-2", {"icmp_query_timeout": 59.0}, "violates", "59 s; 60 s needed"),
    ("5508 REQ-4", {}, "conforms", f"18 of 18 {PROBED}, translated"),
    ("5508 REQ-4", {"icmp_errors": "dropped"}, "violates", f"0 of 18 {PROBED}"),
    ("5508 REQ-4, none", {}, "conforms", "met with silence"),
    ("5508 REQ-5", {}, "conforms", "it reaches the remote, translated"),
    ("5508 REQ-5", {"icmp_errors": "dropped"}, "violates", "it does not get out"),
    ("5508 REQ-5, none", {}, "conforms", "met with silence"),
    ("5508 REQ-5, none", {"icmp_errors_leak": True}, "violates", "it leaves, from 192.168.1.2"),
    ("5508 REQ-6, refresh", {}, "conforms", "an error starts the 60 s not again"),
    ("5508 REQ-6", {}, "conforms", "it survives 6 kinds of errors"),
    ("5508 REQ-6", ENDS, "violates", "port unreachable ends it"),
    ("5508 REQ-7", {"hairpinning": "external-source"}, "conforms", "it reaches the sender, translated"),
    ("5508 REQ-7", {"hairpinning": "none"}, "violates", "nothing hairpins"),
    (
        "5508 REQ-7",
        {"hairpinning": "external-source", "icmp_errors": "dropped"},
        "violates",
        "does not reach the sender",
    ),
    ("5508 REQ-10a", {}, "conforms", "the sender is told, on both sides"),
    ("5508 REQ-10e", {}, "conforms", "no error is sent about an error"),
    ("5508 REQ-8", {}, "not applicable", "a host gets 1100 mappings and more"),
    (
        "5508 REQ-8",
        {"mappings_per_host": 64},
        "conforms",
        "mapping 65 of a host is refused by ICMP, administratively prohibited",
    ),
    (
        "5508 REQ-8",
        {"mappings_per_host": 64, "icmp_when_full": "host-unreachable"},
        "violates",
        "mapping 65 of a host is refused by ICMP, host unreachable",
    ),
    (
        "5508 REQ-8",
        {"mappings_per_host": 64, "icmp_when_full": "silence"},
        "violates",
        "mapping 65 of a host is dropped in silence",
    ),
]


@pytest.mark.parametrize(("name", "axes", "verdict", "words"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_the_probe_tells_a_box_that_keeps_the_rule_from_one_that_breaks_it(finding, name, axes, verdict, words):
    found = finding(f"RFC {name}", **axes)
    assert (str(found.verdict), words in found.measured) == (verdict, True), found


# What no axis breaks: boxes whose output is tampered with


def without_time_exceeded(came):
    return [packet for packet in came if packet.icmp is None or packet.icmp.kind is not IcmpKind.TIME_EXCEEDED]


def inside_without_time_exceeded(came):
    return [packet for packet in came if packet.destination.ip != "192.168.1.2"]


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (without_time_exceeded, "a sender inside and outside is not told"),
        (inside_without_time_exceeded, "a sender inside is not told"),
    ],
)
def test_a_router_that_keeps_quiet_about_the_last_hop_violates_rfc_5508_req_10a(finding, tamper, words):
    found = finding("RFC 5508 REQ-10a", tamper=tamper)
    assert (str(found.verdict), found.measured) == ("violates", words)


def test_a_router_that_answers_errors_with_errors_violates_rfc_5508_req_10e(finding):
    answer = icmp_error(IcmpKind.TIME_EXCEEDED, "11.0.0.1", Packet(IPProtocol.UDP, *[Endpoint("14.0.0.1", 1)] * 2))
    found = finding("RFC 5508 REQ-10e", tamper=lambda came: came or [answer])
    assert (str(found.verdict), found.measured) == ("violates", "an error about an error is sent")


def test_a_box_whose_pings_are_refreshed_by_errors_violates_rfc_5508_req_6(finding):
    """As if the session of the ping that was complained about lived on: its late reply comes in."""
    pings, complained = [], []

    def tamper(came):
        pings.extend(packet for packet in came if packet.icmp and packet.icmp.kind is IcmpKind.ECHO_REQUEST)
        complained.extend(packet.quoted for packet in came if packet.quoted)
        late = complained and not came
        return [echo_reply(complained[0])] if late else came

    found = finding("RFC 5508 REQ-6, refresh", tamper=tamper)
    assert (str(found.verdict), found.measured) == ("violates", "an error starts the 60 s again")
