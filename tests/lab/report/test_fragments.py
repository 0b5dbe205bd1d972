"""RFC 4787 sections 10 and 11: a box that keeps a rule conforms, a box that breaks it does not."""

import pytest

OUT_OF_ORDER, AFTER = "pieces pass, in and out of order", "after 6000 first pieces whose others never come, "

ROWS = [
    ("REQ-13", {}, "conforms", "its sender is told: packet too big, MTU 1400"),
    ("REQ-13", {"icmp_errors": "dropped"}, "violates", "it is dropped, and the sender is not told why"),
    ("REQ-13", {"translates": False}, "conforms", "its sender is told: packet too big, MTU 1400"),
    ("REQ-13a", {}, "conforms", "it arrives in 2 pieces"),
    ("REQ-13a, order", {}, "conforms", "they begin at bytes 0, 1376"),
    ("REQ-14", {}, "conforms", OUT_OF_ORDER),
    ("REQ-14", {"fragments": "first-come"}, "conforms", OUT_OF_ORDER),
    ("REQ-14", {"fragments": "in-order"}, "violates", "pieces pass in order only"),
    ("REQ-14", {"fragments": "none"}, "violates", "pieces do not pass"),
    ("REQ-14a", {}, "conforms", AFTER + "others still pass"),
    ("REQ-14a", {"fragments": "in-order"}, "conforms", AFTER + "others still pass"),
    ("REQ-14a", {"fragments": "first-come"}, "violates", AFTER + "pieces do not pass"),
    ("REQ-14a", {"fragments": "none"}, "not measured", "pieces do not pass without a flood either"),
]


@pytest.mark.parametrize(("number", "axes", "verdict", "words"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_the_probe_tells_a_box_that_keeps_the_rule_from_one_that_breaks_it(finding, number, axes, verdict, words):
    found = finding(f"RFC 4787 {number}", **axes)
    assert (str(found.verdict), words in found.measured) == (verdict, True), found


# What no axis breaks: boxes whose output is tampered with


def pieces_dropped(came):
    return [packet for packet in came if packet.fragment is None]


def backwards(came):
    return came[::-1]


def with_a_wrong_mtu(came):
    return [packet._replace(icmp=packet.icmp._replace(mtu=0)) if packet.quoted else packet for packet in came]


@pytest.mark.parametrize(
    ("number", "tamper", "verdict", "words"),
    [
        ("REQ-13", with_a_wrong_mtu, "violates", "its sender is told: packet too big, MTU 0"),
        ("REQ-13a", pieces_dropped, "violates", "it does not arrive whole"),
        ("REQ-13a, order", backwards, "violates", "they begin at bytes 1376, 0"),
        ("REQ-13a, order", pieces_dropped, "not measured", "it does not come out in pieces"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_box_that_breaks_it_in_a_way_of_its_own_does_not_conform(finding, number, tamper, verdict, words):
    found = finding(f"RFC 4787 {number}", tamper=tamper)
    assert (str(found.verdict), found.measured) == (verdict, words)
