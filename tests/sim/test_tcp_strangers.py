"""Segments of anybody who knows the 4-tuple: any flags, any numbers near the windows, at any time.

RFC 5961's blind attacker is one of them. Whatever comes, the machine stays in its states and within its buffers, and
answers with no more segments than it was sent.
"""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError
from natlab.packet import Flag, IPProtocol, Packet
from natlab.sim.tcp import Tcb
from natlab.sim.tcp_settings import SECOND, TcpSettings
from natlab.sim.tcp_state import State

US, THEM = Endpoint("11.0.0.1", 4001), Endpoint("12.0.0.1", 4001)
SETTINGS = TcpSettings(send_buffer=4000, receive_buffer=3000, mss=500)
IRS = 2**32 - 700  # the stranger's numbers wrap soon
NEAR = st.integers(-1, 2) | st.sampled_from([-1000, 499, 500, 2999, 3000, 3001, 2**31 - 1, 2**31])
SEGMENTS = st.tuples(
    st.just("segment"),
    st.sampled_from([Flag.SYN, Flag.ACK, Flag.SYN | Flag.ACK, Flag.ACK | Flag.FIN, Flag.RST]) | st.integers(0, 255),
    NEAR,  # from the end of what the stranger has sent
    NEAR,  # from the end of what we have sent
    st.integers(0, 1200),
    st.sampled_from([0, 1, 500, 65535]),
)
VERBS = st.sampled_from([("send",), ("receive",), ("close",), ("expire",), ("wait",)])


class Scene:
    """One connection, and a stranger who sees all that it sends."""

    def __init__(self, passive: bool) -> None:
        self.now = 0
        self.theirs, self.ours = IRS, 0  # next sequence numbers
        rng = random.Random(1)
        if passive:
            self.end = Tcb.passive_open(self.segment(Flag.SYN, 0, 0, 0, 1000), 0, rng, SETTINGS)
            self.theirs += 1
        else:
            self.end = Tcb.active_open(US, THEM, 0, rng, SETTINGS)
        self.sent()

    def segment(self, flags: int, seq: int, ack: int, length: int, window: int) -> Packet:
        numbers = [(base + offset) % 2**32 for base, offset in ((self.theirs, seq), (self.ours, ack))]
        return Packet(IPProtocol.TCP, THEM, US, bytes(length), int(flags), *numbers, window=window)

    def sent(self) -> int:
        """Looks at what has been sent, and says how many segments that were."""
        segments = self.end.take_segments()
        for packet in segments:
            self.ours = (packet.seq + len(packet.payload) + bool(packet.flags & (Flag.SYN | Flag.FIN))) % 2**32
        return len(segments)

    def arrives(self, packet: Packet) -> None:
        held = self.end.writable
        self.end.segment_arrives(packet, self.now)
        if packet.seq == self.theirs and self.end.state is not State.CLOSED:
            syn_fin = bool(packet.flags & Flag.SYN) + bool(packet.flags & Flag.FIN)
            self.theirs = (self.theirs + len(packet.payload) + syn_fin) % 2**32
        freed = self.end.writable - held
        assert self.sent() <= 2 + (SETTINGS.send_buffer + max(freed, 0)) // SETTINGS.mss

    def does(self, verb: str) -> None:
        end = self.end
        match verb:
            case "send":
                try:
                    assert 0 <= end.send(bytes(1500), self.now) <= 1500
                except ClosedError:
                    assert not end.writable
            case "receive":
                end.receive(700, self.now)
            case "close":
                end.close(self.now)
            case "expire" if end.deadline is not None:
                self.now = max(self.now, end.deadline)
                end.timer_expired(self.now)
            case "wait":
                self.now += SECOND // 3
        self.sent()


@settings(max_examples=3 * settings.default.max_examples)
@given(st.booleans(), st.lists(SEGMENTS | SEGMENTS | VERBS, max_size=40))
def test_any_segments_leave_the_machine_in_its_bounds(passive: bool, steps: list[tuple]) -> None:
    scene = Scene(passive)
    for kind, *values in steps:
        if kind == "segment":
            scene.arrives(scene.segment(*values))
        else:
            scene.does(kind)
        end = scene.end
        assert end.readable <= SETTINGS.receive_buffer
        assert sum(len(held) for _, held in end._rcv._held) <= SETTINGS.receive_buffer
        assert 0 <= end.writable <= SETTINGS.send_buffer
        assert end.deadline is None or end.state is not State.CLOSED
        assert end.error is None or end.state is State.CLOSED


@given(st.booleans(), st.lists(SEGMENTS, max_size=15))
def test_silence_after_it_ends_every_connection_that_was_closed_by_us(passive: bool, steps: list[tuple]) -> None:
    """No segments of a stranger keep a closed connection, and its 4-tuple, for ever."""
    scene = Scene(passive)
    for _, *values in steps:
        scene.arrives(scene.segment(*values))
    scene.does("close")
    for _ in range(40):
        scene.does("expire")
    assert scene.end.deadline is None
    assert scene.end.state in (State.CLOSED, State.FIN_WAIT_2)
