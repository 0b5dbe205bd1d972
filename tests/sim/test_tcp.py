"""One end and a scripted peer: every transition of RFC 9293 figure 5, resets, challenge ACKs, TIME-WAIT, keepalive."""

import errno
import random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError
from natlab.packet import Flag, IPProtocol, Packet
from natlab.sim.tcp import Tcb
from natlab.sim.tcp_segment import segment_length
from natlab.sim.tcp_sequence import to_wire
from natlab.sim.tcp_settings import SECOND, Keepalive, TcpSettings
from natlab.sim.tcp_state import State

US, THEM = Endpoint("11.0.0.1", 4001), Endpoint("12.0.0.1", 4001)
THEIR_ISS = 0xFFFFFFFE  # so that every test crosses the wrap
MS = SECOND // 1000
S = State


class Scene:
    """A `Tcb` and what its peer does, as words: segments by their flags, "dial", "listen", "close", "abort", "expire".

    `SYN`, `FIN ACK`, ... come from the peer with its next sequence number and acknowledge all we have sent; a trailing
    `*` acknowledges all but our last octet (so not our FIN), `data ACK` carries five bytes.
    """

    def __init__(self, settings: TcpSettings | None = None) -> None:
        self.settings = settings or TcpSettings()
        self.rng = random.Random(7)
        self.now = 0
        self.their_next = THEIR_ISS
        self.our_next = 0
        self.tcb: Tcb | None = None

    @property
    def end(self) -> Tcb:
        assert self.tcb is not None
        return self.tcb

    def sent(self) -> list[str]:
        """Flags of what our end sends now."""
        segments = self.end.take_segments()
        for segment in segments:
            if not segment.flags & Flag.RST:
                self.our_next = max(self.our_next, segment.seq + segment_length(segment))
        return [segment.flag_names for segment in segments]

    def arrive(self, words: str, seq: int | None = None, ack: int | None = None, window: int = 65535) -> list[str]:
        """A segment of the peer arrives; returns what our end answers."""
        names = words.rstrip("*").split()
        payload = b"hello" if "data" in names else b""
        flags = sum(Flag[name] for name in names if name != "data")
        acked = self.our_next - words.endswith("*") if ack is None else ack
        number = self.their_next if seq is None else seq
        packet = Packet(IPProtocol.TCP, THEM, US, payload, flags, to_wire(number), to_wire(acked), window)
        if seq is None and not flags & Flag.RST:
            self.their_next += segment_length(packet)
        if self.tcb is None:
            self.tcb = Tcb.passive_open(packet, self.now, self.rng, self.settings)
        else:
            self.tcb.segment_arrives(packet, self.now)
        return self.sent()

    def do(self, word: str) -> list[str]:
        self.now += MS
        match word:
            case "dial":
                self.tcb = Tcb.active_open(US, THEM, self.now, self.rng, self.settings)
            case "close":
                self.end.close(self.now)
            case "abort":
                self.end.abort(self.now)
            case "expire":
                assert self.end.deadline is not None
                self.now = self.end.deadline
                self.end.timer_expired(self.now)
            case _:
                return self.arrive(word)
        return self.sent()

    def play(self, script: str) -> list[str]:
        """Does what the comma-separated script says; returns what our end sent at the last step."""
        sent: list[str] = []
        for word in script.split(", "):
            sent = self.do(word)
        return sent


OPEN = "dial, SYN ACK"

TRANSITIONS = [
    ("a dial sends SYN", "dial", S.SYN_SENT, ["SYN"]),
    ("a listener answers SYN with SYN,ACK", "SYN", S.SYN_RECEIVED, ["SYN ACK"]),
    ("the dialer acknowledges SYN,ACK and is open", "dial, SYN ACK", S.ESTABLISHED, ["ACK"]),
    ("the listener's end is open with the ACK of its SYN", "SYN, ACK", S.ESTABLISHED, []),
    ("a SYN that crosses ours is answered SYN,ACK: simultaneous open", "dial, SYN", S.SYN_RECEIVED, ["SYN ACK"]),
    ("simultaneous open ends with the peer's ACK", "dial, SYN, ACK", S.ESTABLISHED, []),
    ("a dial closed before an answer is forgotten", "dial, close", S.CLOSED, []),
    ("a close before the handshake's end waits for it", "SYN, close", S.SYN_RECEIVED, []),
    ("and then sends FIN", "SYN, close, ACK", S.FIN_WAIT_1, ["FIN ACK"]),
    ("closing an open connection sends FIN", f"{OPEN}, close", S.FIN_WAIT_1, ["FIN ACK"]),
    ("closing twice is harmless", f"{OPEN}, close, close", S.FIN_WAIT_1, []),
    ("the ACK of our FIN leaves the peer's side open", f"{OPEN}, close, ACK", S.FIN_WAIT_2, []),
    ("the peer's FIN then ends the conversation", f"{OPEN}, close, ACK, FIN ACK", S.TIME_WAIT, ["ACK"]),
    ("FIN and the ACK of ours in one segment", f"{OPEN}, close, FIN ACK", S.TIME_WAIT, ["ACK"]),
    ("FINs that cross: simultaneous close", f"{OPEN}, close, FIN ACK*", S.CLOSING, ["ACK"]),
    ("simultaneous close ends with the ACK of our FIN", f"{OPEN}, close, FIN ACK*, ACK", S.TIME_WAIT, []),
    ("the peer's FIN is acknowledged, our side stays open", f"{OPEN}, FIN ACK", S.CLOSE_WAIT, ["ACK"]),
    ("closing after the peer sends our FIN", f"{OPEN}, FIN ACK, close", S.LAST_ACK, ["FIN ACK"]),
    ("the ACK of it ends the connection at once", f"{OPEN}, FIN ACK, close, ACK", S.CLOSED, []),
    ("FIN with the ACK of our SYN", "SYN, FIN ACK", S.CLOSE_WAIT, ["ACK"]),
    ("a SYN,ACK that carries FIN opens and half-closes", "dial, SYN ACK, FIN ACK", S.CLOSE_WAIT, ["ACK"]),
    ("TIME-WAIT passes after 2 MSL", f"{OPEN}, close, FIN ACK, expire", S.CLOSED, []),
    ("a lost SYN is sent again", "dial, expire", S.SYN_SENT, ["SYN"]),
    ("a lost SYN,ACK is sent again", "SYN, expire", S.SYN_RECEIVED, ["SYN ACK"]),
    ("also in simultaneous open", "dial, SYN, expire", S.SYN_RECEIVED, ["SYN ACK"]),
    ("a lost FIN is sent again", f"{OPEN}, close, expire", S.FIN_WAIT_1, ["FIN ACK"]),
    ("a RST answering our SYN refuses the dial", "dial, RST ACK", S.CLOSED, []),
    ("a RST without ACK proves nothing to a dialer", "dial, RST", S.SYN_SENT, []),
    ("a RST in simultaneous open refuses the dial", "dial, SYN, RST", S.CLOSED, []),
    ("a RST ends a half-open passive connection", "SYN, RST", S.CLOSED, []),
    ("a RST resets an open connection", f"{OPEN}, RST", S.CLOSED, []),
    ("a RST resets a half-closed one", f"{OPEN}, close, ACK, RST", S.CLOSED, []),
    ("a RST ends TIME-WAIT", f"{OPEN}, close, FIN ACK, RST", S.CLOSED, []),
    ("a RST ends LAST-ACK", f"{OPEN}, FIN ACK, close, RST", S.CLOSED, []),
    ("aborting a dial sends nothing", "dial, abort", S.CLOSED, []),
    ("aborting during the handshake sends RST", "SYN, abort", S.CLOSED, ["RST ACK"]),
    ("aborting an open connection sends RST", f"{OPEN}, abort", S.CLOSED, ["RST ACK"]),
    ("aborting in FIN-WAIT-2 sends RST", f"{OPEN}, close, ACK, abort", S.CLOSED, ["RST ACK"]),
    ("aborting in LAST-ACK sends nothing", f"{OPEN}, FIN ACK, close, abort", S.CLOSED, []),
    ("aborting in TIME-WAIT sends nothing", f"{OPEN}, close, FIN ACK, abort", S.CLOSED, []),
    ("aborting twice sends one RST", f"{OPEN}, abort, abort", S.CLOSED, []),
]


@pytest.mark.parametrize(("script", "state", "sent"), [row[1:] for row in TRANSITIONS], ids=[r[0] for r in TRANSITIONS])
def test_transitions(script: str, state: State, sent: list[str]) -> None:
    scene = Scene()
    assert scene.play(script) == sent
    assert scene.end.state is state


def test_the_table_visits_every_state() -> None:
    assert {row[2] for row in TRANSITIONS} == set(State)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("dial, RST ACK", errno.ECONNREFUSED),
        ("dial, SYN, RST", errno.ECONNREFUSED),
        (f"{OPEN}, RST", errno.ECONNRESET),
        (f"{OPEN}, FIN ACK, RST", errno.ECONNRESET),
        (f"{OPEN}, close, RST", errno.ECONNRESET),
        (f"{OPEN}, abort", errno.ECONNABORTED),
        ("dial, " + ", ".join(["expire"] * 11), errno.ETIMEDOUT),
        ("SYN, " + ", ".join(["expire"] * 6), errno.ETIMEDOUT),
        (f"{OPEN}, close, " + ", ".join(["expire"] * 16), errno.ETIMEDOUT),
        (f"{OPEN}, FIN ACK, close, ACK", None),
        (f"{OPEN}, close, FIN ACK, RST", None),
        (f"{OPEN}, close, FIN ACK, expire", None),
    ],
)
def test_how_a_connection_ended_is_told_by_its_errno(script: str, error: int | None) -> None:
    scene = Scene()
    scene.play(script)
    assert scene.end.state is S.CLOSED
    assert scene.end.error == error
    assert scene.end.deadline is None


def test_a_dial_into_silence_times_out_after_linuxs_131_seconds() -> None:
    scene = Scene()
    scene.play("dial, " + ", ".join(["expire"] * 11))
    assert scene.now == 131 * SECOND + MS


def test_a_silent_peer_is_given_up_after_about_a_quarter_of_an_hour() -> None:
    scene = Scene()
    scene.play(OPEN)
    scene.end.send(b"anybody?", scene.now)
    scene.play(", ".join(["expire"] * 16))
    assert 15 * 60 * SECOND < scene.now < 20 * 60 * SECOND


# Opening.


def test_opened_stays_true_from_the_handshake_on() -> None:
    scene = Scene()
    scene.play("dial")
    assert not scene.end.opened
    scene.play("SYN ACK")
    assert scene.end.opened
    scene.play("RST")
    assert scene.end.opened


def test_simultaneous_open_ends_with_the_crossing_syn_ack_and_needs_no_further_segment() -> None:
    scene = Scene()
    scene.play("dial, SYN")
    assert scene.arrive("SYN ACK", seq=THEIR_ISS) == []
    assert scene.end.state is S.ESTABLISHED


def test_the_syn_ack_of_simultaneous_open_has_the_sequence_number_of_the_syn() -> None:
    scene = Scene()
    first = Tcb.active_open(US, THEM, 0, scene.rng)
    syn = first.take_segments()[0]
    first.segment_arrives(Packet(IPProtocol.TCP, THEM, US, flags=Flag.SYN, seq=500, window=1000), 1)
    syn_ack = first.take_segments()[0]
    assert (syn_ack.seq, syn_ack.ack) == (syn.seq, 501)


def test_a_repeated_syn_gets_the_syn_ack_again() -> None:
    scene = Scene()
    scene.play("SYN")
    assert scene.arrive("SYN", seq=THEIR_ISS) == ["SYN ACK"]


def test_a_repeated_syn_ack_to_an_open_end_is_answered_with_an_ack() -> None:
    scene = Scene()
    scene.play(OPEN)
    assert scene.arrive("SYN ACK", seq=THEIR_ISS) == ["ACK"]
    assert scene.end.state is S.ESTABLISHED


@pytest.mark.parametrize("offset", [-1, 1], ids=["of nothing sent", "of more than was sent"])
def test_an_ack_in_syn_sent_of_another_number_is_an_old_connections_and_is_reset(offset: int) -> None:
    scene = Scene()
    scene.play("dial")
    wrong = scene.our_next + offset
    assert scene.arrive("SYN ACK", ack=wrong) == ["RST"]
    assert scene.arrive("RST ACK", ack=wrong) == []
    assert scene.end.state is S.SYN_SENT


def test_a_wrong_ack_in_syn_received_is_reset_without_harm() -> None:
    scene = Scene()
    scene.play("SYN")
    assert scene.arrive("ACK", ack=scene.our_next + 5) == ["RST"]
    assert scene.arrive("SYN ACK", seq=THEIR_ISS, ack=scene.our_next + 5) == ["RST"]
    assert scene.end.state is S.SYN_RECEIVED


def test_a_connection_begins_with_a_syn_only() -> None:
    with pytest.raises(ValueError, match="begins with a SYN, not with SYN ACK"):
        Scene().arrive("SYN ACK")


# Data.


def test_text_is_acknowledged_at_once_and_readable_before_and_after_the_fin() -> None:
    scene = Scene()
    scene.play(OPEN)
    assert scene.play("data ACK") == ["ACK"]
    scene.play("FIN ACK")
    assert (scene.end.readable, scene.end.at_end) == (5, False)
    assert scene.end.receive(100, scene.now) == b"hello"
    assert scene.end.at_end
    assert scene.end.receive(100, scene.now) == b""


def test_half_close_lets_the_other_direction_go_on() -> None:
    scene = Scene()
    scene.play(f"{OPEN}, close, ACK")
    assert scene.play("data ACK") == ["ACK"]
    assert scene.end.receive(100, scene.now) == b"hello"
    other = Scene()
    other.play(f"{OPEN}, FIN ACK")
    other.end.send(b"still here", other.now)
    assert other.sent() == ["PSH ACK"]


def test_data_with_the_last_ack_of_the_handshake_is_taken() -> None:
    scene = Scene()
    assert scene.play("SYN, data ACK") == ["ACK"]
    assert scene.end.receive(100, scene.now) == b"hello"


def test_fin_waits_for_the_data_before_it() -> None:
    scene = Scene()
    scene.play("dial")
    scene.end.send(b"x", scene.now)
    assert scene.play("SYN ACK") == ["PSH ACK"]
    scene.end.close(scene.now)
    assert scene.sent() == ["FIN ACK"]


def test_text_before_a_reset_can_still_be_read() -> None:
    scene = Scene()
    scene.play(f"{OPEN}, data ACK, RST")
    assert scene.end.receive(100, scene.now) == b"hello"
    assert not scene.end.at_end


def test_after_our_abort_nothing_is_left_to_read_and_there_is_no_orderly_end() -> None:
    scene = Scene()
    scene.play(f"{OPEN}, data ACK, FIN ACK, abort")
    assert scene.end.readable == 0
    assert not scene.end.at_end


@pytest.mark.parametrize("ending", ["close", "RST", "abort"])
def test_sending_on_a_closed_side_says_so(ending: str) -> None:
    scene = Scene()
    scene.play(f"{OPEN}, {ending}")
    assert scene.end.writable == 0
    with pytest.raises(ClosedError):
        scene.end.send(b"x", scene.now)


def test_writable_is_the_room_in_the_send_buffer() -> None:
    scene = Scene(TcpSettings(send_buffer=10))
    scene.play(OPEN)
    assert scene.end.send(b"123456789abcdef", scene.now) == 10
    assert scene.end.writable == 0
    scene.sent()
    scene.play("ACK")
    assert scene.end.writable == 10


def test_reading_from_a_full_buffer_tells_the_peer_that_the_window_is_open_again() -> None:
    scene = Scene(TcpSettings(receive_buffer=5))
    scene.play(OPEN)
    scene.arrive("data ACK")
    assert scene.end.receive(100, scene.now) == b"hello"
    update = scene.end.take_segments()
    assert [(segment.flag_names, segment.window) for segment in update] == [("ACK", 5)]


def test_after_the_peers_fin_nobody_needs_to_hear_of_the_window() -> None:
    scene = Scene(TcpSettings(receive_buffer=6))
    scene.play(f"{OPEN}, data ACK, FIN ACK")
    assert scene.end.receive(100, scene.now) == b"hello"
    assert scene.sent() == []


def test_an_ack_sent_while_data_is_being_resent_lies_beyond_all_data_sent() -> None:
    """Behind it, at the number gone back to, the peer would find it before its window."""
    scene = Scene(TcpSettings(mss=10))
    scene.play(OPEN)
    scene.end.send(bytes(30), scene.now)
    scene.sent()
    beyond = scene.our_next
    scene.play("expire")
    scene.end.segment_arrives(
        Packet(IPProtocol.TCP, THEM, US, b"hello", Flag.ACK, to_wire(scene.their_next), beyond - 30, 5), scene.now
    )
    assert [segment.seq for segment in scene.end.take_segments()] == [beyond]


# Segments that do not fit: RFC 9293 section 3.10.7.4 and RFC 5961.


@pytest.mark.parametrize("state_script", [OPEN, f"{OPEN}, close", f"{OPEN}, close, ACK", f"{OPEN}, FIN ACK", "SYN"])
def test_a_reset_in_the_window_but_not_at_its_edge_is_challenged(state_script: str) -> None:
    scene = Scene()
    scene.play(state_script)
    before = scene.end.state
    assert scene.arrive("RST", seq=scene.their_next + 10) == ["ACK"]
    assert scene.end.state is before


def test_a_reset_out_of_the_window_is_ignored() -> None:
    scene = Scene()
    scene.play(OPEN)
    assert scene.arrive("RST", seq=scene.their_next - 1) == []
    assert scene.arrive("RST", seq=scene.their_next + 70000) == []
    assert scene.end.state is S.ESTABLISHED


def test_a_syn_on_an_open_connection_is_challenged() -> None:
    scene = Scene()
    scene.play(OPEN)
    assert scene.arrive("SYN", seq=scene.their_next + 10) == ["ACK"]
    assert scene.end.state is S.ESTABLISHED


def test_a_peer_that_has_forgotten_the_connection_learns_it_by_its_own_syn() -> None:
    """The challenge ACK makes the peer's SYN-SENT send a RST with just the number that resets (section 3.5.1)."""
    scene = Scene()
    scene.play(OPEN)
    reborn = Tcb.active_open(THEM, US, scene.now, random.Random(1))
    scene.end.segment_arrives(reborn.take_segments()[0], scene.now)
    reborn.segment_arrives(scene.end.take_segments()[0], scene.now)
    scene.end.segment_arrives(reborn.take_segments()[0], scene.now)
    assert scene.end.error == errno.ECONNRESET
    assert reborn.state is S.SYN_SENT


def test_an_ack_of_what_was_never_sent_is_answered_and_its_text_dropped() -> None:
    scene = Scene()
    scene.play(OPEN)
    assert scene.arrive("data ACK", ack=scene.our_next + 1) == ["ACK"]
    assert scene.end.readable == 0


def test_a_segment_without_ack_is_dropped() -> None:
    scene = Scene()
    scene.play(OPEN)
    assert scene.arrive("data") == []
    assert scene.end.readable == 0


def test_empty_segments_out_of_the_window_are_answered_twice_a_second_at_most() -> None:
    scene = Scene()
    scene.play(OPEN)
    stray = scene.their_next - 1
    assert [scene.arrive("ACK", seq=stray) for _ in range(3)] == [["ACK"], [], []]
    scene.now += SECOND // 2
    assert scene.arrive("ACK", seq=stray) == ["ACK"]


def test_two_ends_that_disagree_about_everything_do_not_answer_each_other_for_ever() -> None:
    one, two = Scene(), Scene()
    two.their_next = 12345
    one.play(OPEN)
    two.play(OPEN)
    one.end.send(b"x", 0)
    exchanged = 0
    left, right = one.end, two.end
    while (segments := left.take_segments()) and exchanged < 100:
        for segment in segments:
            exchanged += 1
            right.segment_arrives(segment, 0)
        left, right = right, left
    assert exchanged < 10


# TIME-WAIT.


def test_a_repeated_fin_in_time_wait_is_acknowledged_and_the_wait_begins_anew() -> None:
    scene = Scene()
    scene.play(f"{OPEN}, close, FIN ACK")
    scene.now += 30 * SECOND
    assert scene.arrive("FIN ACK", seq=scene.their_next - 1) == ["ACK"]
    assert scene.end.deadline == scene.now + 60 * SECOND


@pytest.mark.parametrize(("seq", "allowed"), [(THEIR_ISS, False), (THEIR_ISS + 1, True), (THEIR_ISS - 9, True)])
def test_a_new_syn_but_no_copy_of_the_old_one_may_replace_time_wait(seq: int, allowed: bool) -> None:
    scene = Scene()
    scene.play(f"{OPEN}, close, FIN ACK")
    syn = Packet(IPProtocol.TCP, THEM, US, flags=Flag.SYN, seq=seq)
    assert scene.end.may_be_replaced_by(syn) is allowed
    assert not scene.end.may_be_replaced_by(syn._replace(flags=Flag.SYN | Flag.ACK))


def test_an_open_connection_is_never_replaced() -> None:
    scene = Scene()
    scene.play(OPEN)
    syn = Packet(IPProtocol.TCP, THEM, US, flags=Flag.SYN, seq=to_wire(scene.their_next + 5))
    assert not scene.end.may_be_replaced_by(syn)


# Keepalive.

PATIENCE = TcpSettings(keepalive=Keepalive(idle=15 * SECOND, interval=5 * SECOND, probes=3))


def test_without_being_asked_an_idle_connection_sends_nothing() -> None:
    scene = Scene()
    scene.play(OPEN)
    assert scene.end.deadline is None


def test_a_silent_peer_is_probed_and_given_up_with_a_reset() -> None:
    scene = Scene(PATIENCE)
    scene.play(OPEN)
    opened = scene.now
    assert [scene.do("expire") for _ in range(3)] == [["ACK"]] * 3
    assert scene.do("expire") == ["RST ACK"]
    assert scene.end.error == errno.ETIMEDOUT
    assert scene.now == opened + (15 + 3 * 5) * SECOND


def test_a_probe_lies_just_before_the_window_so_that_a_living_peer_answers() -> None:
    scene, peer = Scene(PATIENCE), Scene()
    scene.play("dial")
    peer.tcb = Tcb.passive_open(
        Packet(IPProtocol.TCP, US, THEM, flags=Flag.SYN, seq=to_wire(scene.our_next - 1), window=65535), 0, peer.rng
    )
    scene.end.segment_arrives(peer.end.take_segments()[0], scene.now)
    peer.end.segment_arrives(scene.end.take_segments()[0], scene.now)
    assert scene.end.deadline is not None
    scene.now = scene.end.deadline
    scene.end.timer_expired(scene.now)
    peer.end.segment_arrives(scene.end.take_segments()[0], scene.now)
    scene.end.segment_arrives(peer.end.take_segments()[0], scene.now)
    assert scene.end.deadline == scene.now + 15 * SECOND
