"""RFC 6888, requirement by requirement: a box that keeps it conforms, a box that breaks it does not."""

import pytest

from natlab.lab.report import CARRIERS_REQUIREMENTS, REQUIREMENTS, nat_report

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"
OPEN = {"filtering": EI}
FEW, FULL = {"mappings_per_host": 64}, {"session_limit": 64}

ROWS = [
    ("REQ-2", {}, "not applicable", "8 hosts are all seen at one address"),
    ("REQ-2", {"external_addresses": 3}, "conforms", "a host is seen at one address"),
    ("REQ-2", {"external_addresses": 3, "pooling": "arbitrary"}, "violates", "a host is seen at up to 3 addresses"),
    ("REQ-2", {"translates": False}, "not applicable", "it does not translate"),
    ("REQ-4", {}, "not applicable", "a host gets 1100 mappings and more"),
    ("REQ-4", FEW, "conforms", "a host gets 64 mappings, and then others still get one"),
    ("REQ-4", {"port_block": 100}, "conforms", "a host gets 100 mappings, and then others still get one"),
    ("REQ-4", FULL, "violates", "a host gets 64 mappings, and then others get none either"),
    ("REQ-4", {"port_range": (2000, 2063)}, "violates", "a host gets 64 mappings, and then others get none either"),
    ("REQ-5", FEW, "not applicable", "a host gets 1100 remotes of one port and more"),
    ("REQ-5", FEW | {"mapping": APD}, "conforms", "a host gets 64 remotes of one port, and then others still get one"),
    ("REQ-5", FULL, "violates", "a host gets 64 remotes of one port, and then others get none either"),
    ("REQ-7", OPEN, "conforms", f"{EI} for UDP, {EI} for TCP"),
    ("REQ-7", {}, "violates", f"{AD} for UDP, {AD} for TCP"),
    ("REQ-8", OPEN, "violates", "1000 of 1000 ports go to another host after 1 s or less"),
    ("REQ-8", OPEN | {"port_allocation": "random"}, "violates", " of 1000 ports go to another host after 1 s or less"),
    ("REQ-8", OPEN | {"port_reuse_delay": 60.0}, "violates", " of 1000 ports go to another host after 118 s or less"),
    ("REQ-8", OPEN | {"port_reuse_delay": 120.0}, "conforms", "of 1000 ports none goes to another host within 118 s"),
    ("REQ-8", OPEN | {"port_block": 1000}, "conforms", "of 1000 ports none goes to another host within 118 s"),
    ("REQ-8", OPEN | {"udp_unanswered_timeout": 1e9}, "not measured", "takes 120 s after the timer"),
    ("REQ-8", {}, "not applicable", f"REQ-8c: ports may be used again at once if filtering is {AD}"),
    ("REQ-8", {"translates": False}, "not applicable", "it does not translate"),
    ("REQ-11", {}, "not applicable", "a host gets 1100 mappings and more"),
    ("REQ-11", FEW, "conforms", "mapping 65 of a host is refused, and all others stay"),
    ("REQ-11b", {}, "not applicable", "a host gets 1100 mappings and more"),
    ("REQ-11b", FEW, "violates", "mapping 65 of a host is refused by ICMP, administratively prohibited"),
    ("REQ-11b", FEW | {"icmp_when_full": "silence"}, "violates", "mapping 65 of a host is dropped in silence"),
    ("REQ-11b", FEW | {"icmp_when_full": "host-unreachable"}, "conforms", "refused by ICMP, host unreachable"),
    ("REQ-14", {"port_block": 100}, "conforms", "each of 8 hosts has a range of ports: a line in a log for each host"),
    ("REQ-14", {"external_addresses": 8}, "conforms", "each of 8 hosts has a range of ports"),
    ("REQ-14", {"port_allocation": "random"}, "violates", "the ports of 8 hosts lie mixed: a line in a log for each"),
    ("REQ-14", {}, "violates", "the ports of 8 hosts lie mixed: a line in a log for each"),
    ("REQ-15", {"port_allocation": "random"}, "conforms", "10 ports follow no rule that is easily seen"),
    ("REQ-15", {}, "violates", "a port is the one inside"),
    ("REQ-15", {"port_allocation": "sequential", "port_stride": 7}, "violates", "each port is 7 above the last one"),
    ("REQ-15", {"port_allocation": "random", "mappings_per_host": 5}, "not measured", "of 10 ports could be opened"),
]


@pytest.mark.parametrize(("number", "axes", "verdict", "words"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_the_probe_tells_a_box_that_keeps_the_rule_from_one_that_breaks_it(finding, number, axes, verdict, words):
    found = finding(f"RFC 6888 {number}", **axes)
    assert (str(found.verdict), words in found.measured) == (verdict, True), found


def test_a_box_that_ends_mappings_to_make_room_violates_rfc_6888_req_11(finding):
    """No axis of ours does so: here the three oldest no longer hear answers."""

    def tamper(came):
        inside = came and came[0].destination.ip == "192.168.1.2" and came[0].icmp is None
        return came[3:] if inside else came

    found = finding("RFC 6888 REQ-11", tamper=tamper, mappings_per_host=64)
    assert (str(found.verdict), found.measured) == ("violates", "3 of 64 mappings ended to make room")


def test_a_carriers_report_has_these_rows_besides_and_others_do_not():
    report = nat_report("cgnat", 1, carrier=True)
    assert len(report.rows) == len(CARRIERS_REQUIREMENTS) > len(REQUIREMENTS) == len(nat_report("cgnat", 1).rows)
    assert [name for name in report.violated() if name.startswith("RFC 6888")] == []
    assert "RFC 5508 REQ-8" in report.violated()  # RFC 6888 REQ-11 wants another ICMP error
