"""A link under test: packets go in at chosen times, and come out with the time they took."""

from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal, PacketSeen, Verdict
from natlab.packet import IPProtocol, Packet
from natlab.sim import SimLoop
from natlab.sim.capture import Tap
from natlab.sim.links import LinkConfig, chain
from natlab.sim.loop import NANOSECONDS

HEADERS = 28  # bytes of an IPv4 and a UDP header


class Line:
    """One direction of a link with nothing around it.

    Attributes:
        arrived: (nanoseconds, packet), in the order they arrived.
    """

    def __init__(self, config=None, seed=1, **asked):
        self.loop, self.journal, self.arrived = SimLoop(), Journal(), []
        self.tap = Tap("alice", self.loop, self.journal)
        self.rng = Random(seed)
        self.sent = 0
        config = config or LinkConfig(**asked)
        self.carry = chain(config, 0.010, self.loop, self.rng, self.tap, self._flight, self._arrives)
        self._flights = 0

    def _flight(self):
        self._flights += 1
        return self._flights

    def _arrives(self, packet):
        self.arrived.append((self.loop.now_ns, packet))

    def send(self, size=100, after=0.0):
        """Lets `after` seconds pass, then sends a datagram of `size` bytes; `seq` counts them, from 0."""
        if after:
            self.loop.advance(after)
        ends = Endpoint("11.0.0.1", 1), Endpoint("12.0.0.1", 2)
        self.carry(Packet(IPProtocol.UDP, *ends, bytes(size - HEADERS), seq=self.sent, flight=self._flight()))
        self.sent += 1

    def send_all(self, packets):
        """(size, seconds after the one before) of each."""
        for size, after in packets:
            self.send(size, after)
        return self

    def settle(self):
        self.loop.advance(3600)
        return self

    @property
    def order(self):
        return [packet.seq for _, packet in self.arrived]

    @property
    def times(self):
        return [time / NANOSECONDS for time, _ in self.arrived]

    @property
    def lost(self):
        return [seen for seen in self.journal.of(PacketSeen) if seen.verdict is Verdict.LOST]


@pytest.fixture(scope="session")
def line():
    """Makes lines, one for each example of a property too."""
    return Line
