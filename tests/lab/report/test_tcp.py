"""RFC 5382 and RFC 7857, requirement by requirement: a box that keeps it conforms, a box that breaks it does not."""

import pytest

from natlab.packet import Flag

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"
PASSED = "all segments passed"

ROWS = [
    ("5382 REQ-1", {}, "conforms", EI),
    ("5382 REQ-1", {"mapping": APD, "port_allocation": "random"}, "violates", APD),
    ("5382 REQ-1, early", {}, "conforms", "leaves from the same endpoint"),
    ("5382 REQ-1, early", {"mapping": APD, "port_allocation": "random"}, "not applicable", "an endpoint of its own"),
    ("5382 REQ-2", {}, "conforms", PASSED),
    ("5382 REQ-2", {"checks_sequence_numbers": True}, "conforms", PASSED),
    ("5382 REQ-2, outside", {}, "conforms", PASSED),
    ("5382 REQ-2, outside", {"filtering": EI, "checks_sequence_numbers": True}, "conforms", PASSED),
    ("5382 REQ-2, outside", {"filtering": APD}, "not applicable", "no connection from outside is let in"),
    ("5382 REQ-2a", {}, "conforms", PASSED),
    ("5382 REQ-2a", {"checks_sequence_numbers": True, "filtering": APD}, "conforms", PASSED),
    ("5382 REQ-2, redial", {}, "conforms", PASSED),
    (
        "5382 REQ-2, redial",
        {"checks_sequence_numbers": True},
        "violates",
        "the listener's SYN ACK, with a number of its",
    ),
    ("5382 REQ-3", {"filtering": EI}, "conforms", EI),
    ("5382 REQ-3", {"filtering": APD}, "violates", APD),
    ("5382 REQ-4", {}, "conforms", "silence for 6 s, and on"),
    ("5382 REQ-4", {"unsolicited_syn": "rst"}, "violates", "answered at once: RST ACK"),
    ("5382 REQ-4", {"unsolicited_syn": "icmp"}, "violates", "answered at once: ICMP"),
    ("5382 REQ-4", {"unsolicited_syn": "wait"}, "conforms", "silence for 6 s, then ICMP"),
    ("5382 REQ-4", {"filtering": EI}, "conforms", "no SYN is unsolicited"),
    ("5382 REQ-4, early", {}, "conforms", "never answered"),
    ("5382 REQ-4, early", {"unsolicited_syn": "wait"}, "conforms", "never answered"),
    ("5382 REQ-4, early", {"unsolicited_syn": "rst"}, "violates", "answered at once: RST ACK"),
    ("5382 REQ-4, early", {"filtering": EI}, "conforms", "no SYN is unsolicited"),
    (
        "5382 REQ-4, early",
        {"unsolicited_syn": "wait", "mapping": APD, "port_allocation": "random"},
        "not applicable",
        "leaves from another endpoint",
    ),
    ("5382 REQ-5", {}, "conforms", "7440 s open, 7440 s half closed; 7440 s needed"),
    ("5382 REQ-5", {"tcp_established_timeout": 7439.0}, "violates", "7439 s open, 7439 s half closed; 7440 s needed"),
    ("5382 REQ-5", {"tcp_closing_timeout": 60.0}, "violates", "7440 s open, 60 s half closed"),
    ("5382 REQ-5, short", {}, "conforms", "240 s opening, 240 s closing; 240 s needed"),
    ("5382 REQ-5, short", {"tcp_last_ack_timeout": 30.0}, "violates", "240 s opening, 30 s closing"),
    ("5382 REQ-5, short", {"tcp_time_wait_timeout": 45.0, "tcp_last_ack_timeout": 240.0}, "conforms", "240 s closing"),
    ("5382 REQ-5, short", {"tcp_transitory_timeout": 239.0}, "violates", "239 s opening, 239 s closing"),
    ("5382 REQ-6", {}, "conforms", "a SIP call came through as sent"),
    ("5382 REQ-7", {}, "conforms", "two hosts are never seen at one endpoint"),
    (
        "5382 REQ-7",
        {"port_allocation": "overloading"},
        "violates",
        "two hosts are seen at 11.0.0.1:",
    ),
    ("5382 REQ-8", {"hairpinning": "external-source"}, "conforms", "from the external endpoint"),
    ("5382 REQ-8", {"hairpinning": "none"}, "violates", "a host is not reached"),
    ("7857 2.2", {}, "conforms", "240 s after an RST"),
    ("7857 2.2", {"tcp_reset_timeout": 10.0}, "violates", "10 s after an RST"),
]


def without_syn_acks(came):
    return [packet for packet in came if packet.flags != int(Flag.SYN | Flag.ACK)]


def from_another_port(came):
    """A box that has forgotten where an earlier SYN left from, and gives later ones another port."""
    return [
        packet._replace(source=packet.source._replace(port=9)) if packet.seq > 2_000_000 else packet for packet in came
    ]


@pytest.mark.parametrize(
    ("name", "tamper", "words"),
    [
        ("REQ-2, outside", without_syn_acks, "the SYN ACK did not pass"),
        ("REQ-1, early", from_another_port, "leaves from another endpoint"),
    ],
)
def test_a_box_that_breaks_it_in_a_way_of_its_own_does_not_conform(finding, name, tamper, words):
    found = finding(f"RFC 5382 {name}", tamper=tamper)
    assert (str(found.verdict), words in found.measured) == ("violates", True), found


@pytest.mark.parametrize(("name", "axes", "verdict", "words"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_the_probe_tells_a_box_that_keeps_the_rule_from_one_that_breaks_it(finding, name, axes, verdict, words):
    found = finding(f"RFC {name}", **axes)
    assert (str(found.verdict), words in found.measured) == (verdict, True), found
