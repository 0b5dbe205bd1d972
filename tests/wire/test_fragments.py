"""Packets cut into pieces and put together again; and what a stranger's pieces may not do."""

from __future__ import annotations

import random
import shutil
import subprocess
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.packet import Fragment, IPProtocol, Packet, echo_request
from natlab.wire import ip, pcapng
from natlab.wire.fragments import FIRST_COME_MOST, KEPT, MOST, TIMEOUT, Reassembly, cut
from natlab.wire.pcapng import Sighting

A, B = Endpoint("192.168.1.2", 4001), Endpoint("12.0.0.1", 9000)
A_V6, B_V6 = Endpoint("2600::1", 4001), Endpoint("2600::2", 9000)
LONG = Packet(IPProtocol.UDP, A, B, bytes(range(256)) * 6, flight=7, df=False)
LONG_V6 = Packet(IPProtocol.UDP, A_V6, B_V6, bytes(range(256)) * 6, df=False)
TSHARK = shutil.which("tshark")


def pieces(packet: Packet = LONG, mtu: int = 600, number: int = 1) -> list[Packet]:
    return list(cut(packet, mtu, number))


@pytest.mark.parametrize("packet", [LONG, LONG_V6, echo_request(A, B.ip, 1, bytes(1400))], ids=["v4", "v6", "ping"])
@pytest.mark.parametrize("mtu", [576, 601, 1280])
def test_pieces_fit_the_mtu_begin_at_multiples_of_8_and_make_up_the_whole(packet: Packet, mtu: int) -> None:
    header = 40 if ":" in packet.source.ip else 20
    found = pieces(packet, mtu)
    assert len(found) > 1 and all(piece.size <= mtu and piece.flight == packet.flight for piece in found)
    bodies = []
    for piece in found:
        data = ip.encode(piece)
        assert len(data) == piece.size and piece.fragment is not None and piece.fragment.offset % 8 == 0
        assert piece.source.port == piece.destination.port == 0
        bodies.append(data[header + (8 if header == 40 else 0) :])
    assert b"".join(bodies) == ip.encode(packet)[header:]
    assert [piece.fragment.more for piece in found if piece.fragment] == [True] * (len(found) - 1) + [False]


def test_the_header_of_a_piece_byte_by_byte() -> None:
    first, *_, last = pieces(number=0x1234)
    assert ip.encode(first)[4:8].hex() == "1234" + "2000"  # identification, more fragments
    assert ip.encode(last)[4:8].hex() == "1234" + f"{last.fragment.offset // 8:04x}"  # type: ignore[union-attr]


@given(st.permutations(range(3)))
def test_whatever_the_order_the_last_one_completes_it(order: list[int]) -> None:
    reassembly, all_of_it = Reassembly(), pieces()
    results = [reassembly.add(all_of_it[number], 0) for number in order]
    assert results[:-1] == [KEPT] * 2 and results[-1] == LONG


def test_pieces_may_be_cut_again() -> None:
    reassembly = Reassembly()
    again = [smaller for piece in pieces(mtu=1280) for smaller in cut(piece, 600, 99)]
    random.Random(1).shuffle(again)
    assert [reassembly.add(piece, 0) for piece in again][-1] == LONG


def test_in_order_means_from_the_first_to_the_last() -> None:
    strict = Reassembly(in_order=True)
    for number, order in enumerate(permutations(range(3))):
        found = pieces(number=number)
        results = [strict.add(found[place], 0) for place in order]
        assert (LONG in results) is (order == (0, 1, 2))


def test_rfc_5722_pieces_that_overlap_end_it_all() -> None:
    reassembly = Reassembly()
    one, two, three = pieces()
    assert isinstance(reassembly.add(one, 0), str)
    assert "given up" in str(reassembly.add(one, 0))
    assert isinstance(reassembly.add(two, 0), str) and isinstance(reassembly.add(three, 0), str)


odd_pieces = st.builds(
    lambda offset, length, more: Fragment(LONG, 1, 8 * offset, 8 * length, more),
    st.integers(0, 2),
    st.sampled_from([1, 1, 2, 0]),
    st.booleans(),
)


@settings(max_examples=5 * settings.default.max_examples)
@given(st.lists(odd_pieces, min_size=2, max_size=30), st.booleans(), st.booleans())
def test_any_pieces_make_a_whole_only_if_each_byte_came_and_came_once(said, in_order: bool, first_come: bool) -> None:
    reassembly, carrier = Reassembly(in_order, first_come), pieces()[0]
    kept: list[Fragment] = []
    for piece in said:
        answer = reassembly.add(carrier._replace(fragment=piece), 0)
        kept.append(piece)
        if isinstance(answer, Packet):
            end = max(one.offset + one.length for one in kept if not one.more)
            came = sorted(byte for one in kept for byte in range(one.offset, one.offset + one.length))
            assert answer == LONG and came == list(range(end))
        if answer != KEPT:
            kept.clear()


def test_a_datagram_that_never_ends_is_given_up_when_it_is_longer_than_any_can_be() -> None:
    reassembly, carrier = Reassembly(), pieces()[0]
    endless = (carrier._replace(fragment=Fragment(LONG, 1, offset, 1000, True)) for offset in range(0, 66_000, 1000))
    answers = [reassembly.add(piece, 0) for piece in endless]
    assert answers[:-1] == [KEPT] * 65 and "given up" in str(answers[-1]) and not reassembly._waiting


def test_packets_with_other_numbers_or_ends_do_not_mix() -> None:
    reassembly = Reassembly()
    others = [pieces(number=2), pieces(LONG._replace(source=Endpoint("192.168.1.3", 4001)))]
    for other in others:
        assert isinstance(reassembly.add(other[0], 0), str)
    assert [reassembly.add(piece, 0) for piece in pieces()][-1] == LONG
    for other in others:
        assert [reassembly.add(piece, 0) for piece in other[1:]][-1] == other[0].fragment.whole  # type: ignore[union-attr]


@pytest.mark.parametrize(("late", "whole"), [(TIMEOUT - 1, True), (TIMEOUT, False)])
def test_what_waits_too_long_is_forgotten(late: int, whole: bool) -> None:
    reassembly = Reassembly()
    *early, last = pieces()
    for piece in early:
        reassembly.add(piece, 0)
    assert isinstance(reassembly.add(last, late), Packet) is whole


def test_rfc_4787_req_14a_a_flood_of_first_pieces_costs_no_more_than_a_full_table() -> None:
    reassembly = Reassembly()
    for number in range(10 * MOST):
        reassembly.add(pieces(number=number)[0], 0)
    assert len(reassembly._waiting) == MOST
    assert [reassembly.add(piece, 0) for piece in pieces(number=10**6)][-1] == LONG


def test_who_keeps_those_that_came_first_takes_no_others_until_their_time_is_over() -> None:
    reassembly = Reassembly(first_come=True)
    for number in range(FIRST_COME_MOST):
        reassembly.add(pieces(number=number)[0], 0)
    one, two, three = pieces(number=10**6)
    assert "came first" in str(reassembly.add(one, TIMEOUT - 1))
    assert len(reassembly._waiting) == FIRST_COME_MOST
    assert [reassembly.add(piece, 0) for piece in pieces(number=0)[1:]][-1] == LONG
    assert [reassembly.add(piece, TIMEOUT) for piece in (one, two, three)][-1] == LONG


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_puts_them_together(tmp_path: Path) -> None:
    path = tmp_path / "pieces.pcapng"
    with path.open("wb") as file:
        sent = [*pieces(mtu=1280), *pieces(LONG_V6, 1280)]
        pcapng.write(file, ["alice"], [Sighting(0.0, "alice", piece) for piece in sent])
    fields = ("ip.reassembled.length", "ipv6.reassembled.length", "udp.dstport", "udp.checksum.status")
    command = [str(TSHARK), "-n", "-r", str(path), "-oudp.check_checksum:TRUE", "-Tfields", *(f"-e{f}" for f in fields)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert [line.split("\t") for line in run.stdout.splitlines()] == [
        ["", "", "", ""],
        ["1544", "", "9000", "1"],
        ["", "", "", ""],
        ["", "1544", "9000", "1"],
    ]
