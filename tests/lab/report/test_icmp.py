"""RFC 5508, and ICMP in RFC 4787 and RFC 5382: a box that keeps a rule conforms, a box that breaks it does not."""

import pytest

APD = "address-and-port-dependent"
PROBED, ENDS = "kinds reach the sender", {"icmp_errors_end_mappings": True}

ROWS = [
    ("4787 REQ-12", {}, "conforms", "it survives 6 kinds of errors"),
    ("4787 REQ-12", ENDS, "violates", "port unreachable ends it"),
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
    ("5508 REQ-8", {}, "not applicable", "a host gets 1100 mappings and more"),
    ("5508 REQ-8", {"mappings_per_host": 64}, "conforms", "mapping 65 of a host is refused by ICMP"),
    (
        "5508 REQ-8",
        {"mappings_per_host": 64, "icmp_when_full": False},
        "violates",
        "mapping 65 of a host is dropped in silence",
    ),
]


@pytest.mark.parametrize(("name", "axes", "verdict", "words"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_the_probe_tells_a_box_that_keeps_the_rule_from_one_that_breaks_it(finding, name, axes, verdict, words):
    found = finding(f"RFC {name}", **axes)
    assert (str(found.verdict), words in found.measured) == (verdict, True), found
