"""The TCP state machine of a NAT (RFC 5382 REQ-2 and REQ-5, RFC 6146 section 3.5.2.2)."""

from __future__ import annotations

import itertools

import pytest

from natlab.nat.tcp_session import LONG_LIVED, TcpState, next_state
from natlab.packet import Flag

OUT, IN = True, False
SYN, ACK, FIN, RST = int(Flag.SYN), int(Flag.ACK), int(Flag.FIN), int(Flag.RST)
S = TcpState
HANDSHAKE = [(SYN, OUT), (SYN | ACK, IN), (ACK, OUT)]

STORIES = [
    ("a SYN out opens half", [(SYN, OUT)], S.OUT_SYN),
    ("its repetition changes nothing", [(SYN, OUT), (SYN, OUT)], S.OUT_SYN),
    ("an RST that refuses it changes nothing", [(SYN, OUT), (RST | ACK, IN)], S.OUT_SYN),
    ("a SYN in opens half", [(SYN, IN)], S.IN_SYN),
    ("a handshake from inside", HANDSHAKE, S.ESTABLISHED),
    ("a handshake from outside", [(SYN, IN), (SYN | ACK, OUT), (ACK, IN)], S.ESTABLISHED),
    ("REQ-2: a simultaneous open", [(SYN, OUT), (SYN, IN), (SYN | ACK, OUT), (SYN | ACK, IN)], S.ESTABLISHED),
    ("data changes nothing", [*HANDSHAKE, (ACK, IN), (ACK, OUT)], S.ESTABLISHED),
    ("data alone opens nothing", [(ACK, IN), (ACK, OUT)], S.CLOSED),
    ("a FIN out", [*HANDSHAKE, (FIN | ACK, OUT), (ACK, IN)], S.OUT_FIN),
    ("a FIN in", [*HANDSHAKE, (FIN | ACK, IN), (ACK, OUT)], S.IN_FIN),
    ("a FIN twice from one side", [*HANDSHAKE, (FIN | ACK, IN), (FIN | ACK, IN)], S.IN_FIN),
    ("both FINs, outbound first", [*HANDSHAKE, (FIN | ACK, OUT), (FIN | ACK, IN)], S.BOTH_FIN),
    ("both FINs, inbound first", [*HANDSHAKE, (FIN | ACK, IN), (FIN | ACK, OUT)], S.BOTH_FIN),
    ("the last ACK, out", [*HANDSHAKE, (FIN | ACK, OUT), (FIN | ACK, IN), (ACK, OUT)], S.TIME_WAIT),
    ("the last ACK, in", [*HANDSHAKE, (FIN | ACK, IN), (FIN | ACK, OUT), (ACK, IN)], S.TIME_WAIT),
    ("the last FIN again", [*HANDSHAKE, (FIN, OUT), (FIN, IN), (ACK, OUT), (FIN, IN)], S.TIME_WAIT),
    ("an RST after both FINs changes nothing", [*HANDSHAKE, (FIN, OUT), (FIN, IN), (ACK, OUT), (RST, IN)], S.TIME_WAIT),
    ("a new SYN in TIME_WAIT", [*HANDSHAKE, (FIN, OUT), (FIN, IN), (ACK, OUT), (SYN, OUT)], S.OUT_SYN),
    ("an RST in", [*HANDSHAKE, (RST, IN)], S.RESET),
    ("an RST out, after a FIN", [*HANDSHAKE, (FIN, IN), (RST, OUT)], S.RESET),
    ("a new SYN after an RST", [*HANDSHAKE, (RST, OUT), (SYN, OUT)], S.OUT_SYN),
    ("a new SYN from outside after both FINs", [*HANDSHAKE, (FIN, OUT), (FIN, IN), (SYN, IN)], S.IN_SYN),
]


@pytest.mark.parametrize(("sentence", "segments", "state"), STORIES, ids=[story[0] for story in STORIES])
def test_story(sentence: str, segments: list[tuple[int, bool]], state: TcpState) -> None:
    now = S.CLOSED
    for flags, outbound in segments:
        now = next_state(now, flags, outbound)
    assert now is state


def test_the_long_timer_runs_from_both_syns_to_both_fins() -> None:
    state, long = S.CLOSED, []
    for flags, outbound in [*HANDSHAKE, (FIN, OUT), (ACK, IN), (FIN, IN), (ACK, OUT)]:
        state = next_state(state, flags, outbound)
        long.append(state in LONG_LIVED)
    assert long == [False, True, True, True, True, False, False]


def test_no_run_of_segments_from_one_side_alone_establishes() -> None:
    for side in (OUT, IN):
        for segments in itertools.product([SYN, SYN | ACK, ACK, FIN, RST], repeat=4):
            state = S.CLOSED
            for flags in segments:
                state = next_state(state, flags, side)
                assert state not in LONG_LIVED
