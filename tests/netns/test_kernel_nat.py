"""Linux's NAT between two plugs: facts of nft's masquerade that the comparison with "linux" rests on."""

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.netns import KernelNat
from natlab.packet import IPProtocol, Packet

ALICE, XENIA = Endpoint("192.168.1.2", 5000), Endpoint("12.0.0.1", 7000)


def test_a_datagram_goes_out_translated_and_its_answer_comes_back(namespaces, nft):
    with KernelNat() as box:
        box.inside.send(Packet(IPProtocol.UDP, ALICE, XENIA, b"hello"))
        (seen,) = box.outside.received()
        assert (seen.source, seen.destination, seen.payload) == (Endpoint("11.0.0.1", 5000), XENIA, b"hello")
        box.outside.send(Packet(IPProtocol.UDP, XENIA, seen.source, b"welcome"))
        (answer,) = box.inside.received()
        assert (answer.source, answer.destination, answer.payload) == (XENIA, ALICE, b"welcome")


def test_a_datagram_too_long_for_the_link_outside_comes_in_pieces_that_know_the_whole(namespaces, nft):
    with KernelNat() as box:
        box.inside.send(Packet(IPProtocol.UDP, ALICE, XENIA, bytes(box.mtu), df=False))
        pieces = [packet.fragment for packet in box.outside.received()]
        assert [(piece.offset, piece.length, piece.more) for piece in pieces] == [(0, 1376, True), (1376, 32, False)]
        assert {piece.whole.payload for piece in pieces} == {bytes(box.mtu)}
        assert {piece.whole.source for piece in pieces} == {Endpoint("11.0.0.1", 5000)}


def test_another_address_outside_is_the_one_that_remotes_see(namespaces, nft):
    with KernelNat() as box:
        box.readdress("11.0.0.9")
        box.inside.send(Packet(IPProtocol.UDP, ALICE, XENIA, b"hello"))
        (seen,) = box.outside.received()
        assert seen.source == Endpoint("11.0.0.9", 5000)


def test_settings_are_those_of_its_namespace(namespaces, nft):
    key = "net.netfilter.nf_conntrack_udp_timeout"
    with KernelNat(settings={key: 7}) as box:
        assert box.get(key) == 7
    with KernelNat() as box:
        assert box.get(key) == 30


def test_rules_that_nft_does_not_understand_are_refused_and_nothing_is_left_behind(namespaces, nft):
    for _ in range(2):  # the second namespace of this name would be in the way of a first one
        with pytest.raises(LabError, match="nft refused the rules"), KernelNat(rules="nonsense"):
            pass
