"""Pieces of packets through a NAT box (RFC 4787 section 11). How they are put together: tests/wire/test_fragments.py"""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import Drop, Held, NatBox, NatConfig
from natlab.packet import IPProtocol, Packet
from natlab.wire.fragments import cut

ALICE, OUTSIDE, BOB = Endpoint("192.168.1.2", 4001), Endpoint("11.0.0.1", 4001), Endpoint("12.0.0.1", 9000)
LONG = Packet(IPProtocol.UDP, ALICE, BOB, bytes(1400), df=False)
ANSWER = Packet(IPProtocol.UDP, BOB, OUTSIDE, bytes(1400), df=False)


def make_box(fragments: str) -> NatBox:
    config = NatConfig(fragments=fragments)  # type: ignore[arg-type]
    return NatBox("box", config, OUTSIDE.ip, random.Random(1), Journal(()))


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("fragments", ["out-of-order", "first-come", "in-order", "none"])
def test_rfc_4787_req_14_in_which_order_pieces_pass_both_ways(fragments: str, order: tuple[int, ...]) -> None:
    box = make_box(fragments)
    passes = fragments in ("out-of-order", "first-come") or (fragments == "in-order" and order == (0, 1, 2))
    box.outbound(Packet(IPProtocol.UDP, ALICE, BOB), 0)
    for verb, packet, translated in (
        (box.outbound, LONG, LONG._replace(source=OUTSIDE)),
        (box.inbound, ANSWER, ANSWER._replace(destination=ALICE)),
    ):
        found = list(cut(packet, 600, 1))
        results = [verb(found[place], 1) for place in order]
        assert (results[-1] == translated) is passes
        assert all(isinstance(result, Drop) for result in results[:-1])
        if passes:
            assert all(isinstance(result, Held) for result in results[:-1])


def test_a_piece_that_is_not_kept_is_a_drop_with_its_reason() -> None:
    box = make_box("out-of-order")
    first, *_ = cut(LONG, 600, 1)
    assert isinstance(box.outbound(first, 0), Held)
    again = box.outbound(first, 0)
    assert isinstance(again, Drop) and not isinstance(again, Held) and "given up" in again.reason


def test_the_whole_is_filtered_and_a_stranger_s_pieces_end_there() -> None:
    box = make_box("out-of-order")
    box.outbound(Packet(IPProtocol.UDP, ALICE, BOB), 0)
    stranger = ANSWER._replace(source=Endpoint("66.0.0.1", 6))
    *_, last = [box.inbound(piece, 1) for piece in cut(stranger, 600, 1)]
    assert isinstance(last, Drop) and last.reason.startswith("filtering")


def test_a_reboot_forgets_the_pieces_too() -> None:
    box = make_box("out-of-order")
    first, *others = cut(LONG, 600, 1)
    box.outbound(first, 0)
    box.reboot(1)
    assert all(isinstance(box.outbound(piece, 2), Held) for piece in others)
