"""The datagram that comes too early takes the port, and Linux's other ways with ports; measured on Linux 6.18."""

import random

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import Drop, NatBox, configure
from natlab.nat.unsolicited import LIMIT, Memory
from natlab.packet import Flag, IPProtocol, Packet

BOX = "11.0.0.1"
ALICE, BOB = Endpoint("192.168.1.2", 5000), Endpoint("192.168.1.3", 5000)
XENIA, YVES, ZOE = Endpoint("12.0.0.1", 7000), Endpoint("13.0.0.1", 7000), Endpoint("14.0.0.1", 7000)
SAME = Endpoint(BOX, 5000)
SECOND = 1_000_000_000


class Bench:
    """A box; `opens` gives the external endpoint of a first packet, `knocks` what becomes of one from outside."""

    def __init__(self, **axes):
        self.box = NatBox("box", configure("linux", **axes), BOX, random.Random(1), Journal(()))

    def opens(self, source, to, at=0.0, protocol=IPProtocol.UDP):
        out = self.box.outbound(packet(protocol, source, to), round(at * SECOND))
        assert isinstance(out, Packet)
        return out.source

    def knocks(self, source, at=0.0, protocol=IPProtocol.UDP, to=SAME):
        return self.box.inbound(packet(protocol, source, to), round(at * SECOND))


def packet(protocol, source, to):
    return Packet(protocol, source, to, flags=int(Flag.SYN) if protocol == IPProtocol.TCP else 0, seq=1)


def test_a_stray_takes_the_port_towards_its_sender_and_no_other():
    bench = Bench()
    assert isinstance(bench.knocks(XENIA), Drop)
    moved = bench.opens(ALICE, XENIA, at=1)
    assert moved != SAME and moved.ip == BOX
    assert bench.opens(BOB, YVES, at=1) == SAME


@pytest.mark.parametrize(("seconds", "free"), [(29, False), (30, True)])
def test_it_is_remembered_for_as_long_as_an_unanswered_conversation(seconds, free):
    bench = Bench()
    bench.knocks(XENIA, at=5)
    assert (bench.opens(ALICE, XENIA, at=5 + seconds) == SAME) == free


def test_each_further_one_starts_the_time_again():
    bench = Bench()
    bench.knocks(XENIA)
    bench.knocks(XENIA, at=20)
    assert bench.opens(ALICE, XENIA, at=40) != SAME


def test_a_box_with_a_door_is_had_as_well():
    bench = Bench()
    assert bench.opens(ALICE, YVES) == SAME
    bench.knocks(XENIA)
    moved = bench.opens(ALICE, XENIA)
    assert moved != SAME and bench.opens(ALICE, ZOE) == moved  # the latest is kept for further remotes


def test_a_rule_that_drops_what_is_unsolicited_is_a_cure():
    bench = Bench(strays_take_ports=False)
    bench.knocks(XENIA)
    assert bench.opens(ALICE, XENIA) == SAME


def test_a_stray_syn_does_no_harm():
    bench = Bench()
    answer = bench.knocks(XENIA, protocol=IPProtocol.TCP)
    assert isinstance(answer, Drop) and answer.reply is not None and answer.reply.flags & Flag.RST
    assert bench.opens(ALICE, XENIA, protocol=IPProtocol.TCP) == SAME


def test_two_hosts_share_a_port_as_long_as_they_talk_to_different_remotes():
    bench = Bench()
    assert bench.opens(ALICE, XENIA) == bench.opens(ALICE, YVES) == SAME
    assert bench.opens(BOB, ZOE) == SAME
    other = bench.opens(BOB, XENIA)
    assert other != SAME and bench.opens(BOB, YVES) == other
    assert bench.knocks(XENIA).destination == ALICE and bench.knocks(ZOE).destination == BOB
    assert bench.knocks(XENIA, to=other).destination == BOB


def test_a_reboot_forgets_strays():
    bench = Bench()
    bench.knocks(XENIA)
    bench.box.reboot(0)
    assert bench.opens(ALICE, XENIA) == SAME


def test_a_flood_of_strays_is_bounded():
    strays: Memory[tuple[int, Endpoint, Endpoint]] = Memory(30 * SECOND)
    for port in range(1, LIMIT + 2):
        strays.add((17, Endpoint("12.0.0.1", port), SAME), 0)
    assert not strays.holds((17, Endpoint("12.0.0.1", 1), SAME), 0)
    assert strays.holds((17, Endpoint("12.0.0.1", LIMIT + 1), SAME), 0)
