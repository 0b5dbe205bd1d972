from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal, PacketSeen, Verdict
from natlab.packet import IPProtocol, Packet
from natlab.sim.capture import Tap
from natlab.sim.link import delayed, lossy
from natlab.sim.loop import SimLoop

PACKET = Packet(IPProtocol.UDP, Endpoint("11.0.0.1", 1), Endpoint("12.0.0.1", 2), b"x")


def test_delay_keeps_the_order():
    loop, arrived = SimLoop(), []
    carry = delayed(loop, 0.020, lambda packet: arrived.append((loop.time(), packet.payload)))
    carry(PACKET)
    carry(PACKET._replace(payload=b"y"))
    loop.advance(1)
    assert arrived == [(0.020, b"x"), (0.020, b"y")]


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 1000, 1000), (0.3, 650, 750), (1.0, 0, 0)])
def test_loss_is_what_it_says_and_what_is_lost_is_written_down(probability, low, high):
    journal, arrived = Journal(), []
    carry = lossy(Random(1), probability, Tap("alice", SimLoop(), journal), arrived.append)
    for _ in range(1000):
        carry(PACKET)
    assert low <= len(arrived) <= high
    lost = journal.of(PacketSeen)
    assert len(lost) == 1000 - len(arrived)
    assert all(event.verdict is Verdict.LOST and event.place == "alice" for event in lost)


def test_a_tap_nobody_asked_for_is_off():
    assert not Tap("alice", SimLoop(), Journal(kinds=())).on
