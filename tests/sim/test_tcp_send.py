from itertools import pairwise

import pytest

from natlab.sim.tcp_segment import FIN, PSH, SYN
from natlab.sim.tcp_send import Outgoing, SendSide
from natlab.sim.tcp_settings import SECOND, TcpSettings

ISS = 100
FIRST = ISS + 1
MS = SECOND // 1000
SETTINGS = TcpSettings(mss=10, send_buffer=1000)


def sender(window: int = 1000, settings: TcpSettings = SETTINGS, rtt: int = 100 * MS) -> SendSide:
    """A sender whose SYN went out at 0 and was acknowledged after `rtt`."""
    side = SendSide(ISS, settings, active=True)
    assert list(side.segments(0)) == [Outgoing(ISS, SYN, b"")]
    side.acknowledged(FIRST, rtt)
    side.update_window(1, FIRST, window)
    assert list(side.segments(rtt)) == []
    return side


def expire(side: SendSide) -> tuple[int, list[Outgoing]]:
    """Lets the timer expire: when it did, and what was sent then."""
    assert side.deadline is not None
    now = side.deadline
    assert side.timer_expired(now)
    return now, list(side.segments(now))


def payloads(segments: list[Outgoing]) -> list[bytes]:
    return [segment.payload for segment in segments]


def test_a_syn_is_repeated_steadily_and_then_at_doubling_intervals_as_linux_does() -> None:
    side = SendSide(ISS, TcpSettings(), active=True)
    list(side.segments(0))
    times = []
    for _ in range(10):
        now, segments = expire(side)
        assert segments == [Outgoing(ISS, SYN, b"")]
        times.append(now // SECOND)
    assert times == [1, 2, 3, 4, 5, 7, 11, 19, 35, 67]
    assert side.deadline == 131 * SECOND
    assert not side.timer_expired(131 * SECOND)


def test_a_listener_repeats_its_syn_ack_five_times() -> None:
    side = SendSide(ISS, TcpSettings(), active=False)
    list(side.segments(0))
    assert [expire(side)[0] // SECOND for _ in range(5)] == [1, 3, 7, 15, 31]
    assert side.deadline == 63 * SECOND
    assert not side.timer_expired(63 * SECOND)


def test_data_is_cut_at_the_mss_and_the_last_piece_is_pushed() -> None:
    side = sender()
    side.write(bytes(25))
    assert [(segment.seq - FIRST, len(segment.payload), segment.flags) for segment in side.segments(0)] == [
        (0, 10, 0),
        (10, 10, 0),
        (20, 5, PSH),
    ]


def test_the_buffer_takes_only_what_it_has_room_for() -> None:
    side = sender()
    assert side.write(bytes(900)) == 900
    assert side.write(bytes(900)) == 100
    assert side.write(b"more") == 0
    assert side.unacknowledged == 1000


def test_data_before_the_handshake_waits_for_it() -> None:
    side = SendSide(ISS, SETTINGS, active=True)
    side.write(b"early")
    assert list(side.segments(0)) == [Outgoing(ISS, SYN, b"")]
    side.acknowledged(FIRST, 1)
    side.update_window(1, FIRST, 100)
    assert payloads(list(side.segments(1))) == [b"early"]


def test_the_fin_rides_on_the_last_segment_or_alone() -> None:
    side = sender()
    side.write(b"bye")
    side.fin_queued = True
    assert list(side.segments(0)) == [Outgoing(FIRST, PSH | FIN, b"bye")]
    side.acknowledged(FIRST + 4, 1)
    assert side.fin_acknowledged
    alone = sender()
    alone.fin_queued = True
    assert list(alone.segments(0)) == [Outgoing(FIRST, FIN, b"")]


def test_no_more_is_sent_than_the_peers_window() -> None:
    side = sender(window=20)
    side.write(bytes(100))
    assert len(list(side.segments(0))) == 2
    side.acknowledged(FIRST + 10, 1)
    side.update_window(1, FIRST + 10, 20)
    assert len(list(side.segments(1))) == 1


def test_no_more_is_sent_than_the_congestion_window() -> None:
    side = sender()
    side.write(bytes(1000))
    assert len(list(side.segments(0))) == 10


def test_a_crumb_of_window_is_not_used_until_the_timer_says_so() -> None:
    side = sender(window=100)
    side.write(bytes(100))
    assert len(list(side.segments(0))) == 10
    side.acknowledged(FIRST + 100, 100 * MS)
    side.update_window(1, FIRST + 100, 4)
    side.write(bytes(50))
    assert list(side.segments(100 * MS)) == []
    _, segments = expire(side)
    assert payloads(segments) == [bytes(4)]


def test_the_timer_waits_for_rto_and_restarts_with_each_new_acknowledgement() -> None:
    side = sender()
    side.write(bytes(20))
    list(side.segments(0))
    assert side.rto.rto == 300 * MS
    assert side.deadline == 300 * MS
    side.acknowledged(FIRST + 10, 90 * MS)
    list(side.segments(90 * MS))
    assert side.deadline == 90 * MS + side.rto.rto
    side.acknowledged(FIRST + 20, 95 * MS)
    list(side.segments(95 * MS))
    assert side.deadline is None


def test_after_a_timeout_everything_is_sent_again_beginning_with_one_segment() -> None:
    side = sender()
    side.write(b"0123456789" * 3)
    list(side.segments(0))
    now, segments = expire(side)
    assert [segment.seq for segment in segments] == [FIRST]
    assert side.deadline == now + 600 * MS
    side.acknowledged(FIRST + 10, now)
    assert [segment.seq for segment in side.segments(now)] == [FIRST + 10, FIRST + 20]


def test_progress_after_a_timeout_brings_the_timer_back_to_what_was_measured() -> None:
    side = sender()
    side.write(bytes(20))
    list(side.segments(0))
    expire(side)
    now, _ = expire(side)
    side.acknowledged(FIRST + 10, now)
    list(side.segments(now))
    assert side.deadline == now + 300 * MS


def test_an_acknowledgement_of_more_than_was_sent_again_skips_the_rest() -> None:
    side = sender()
    side.write(bytes(30))
    list(side.segments(0))
    expire(side)
    side.acknowledged(FIRST + 30, 400 * MS)
    assert list(side.segments(400 * MS)) == []
    assert side.deadline is None


def test_a_segment_sent_twice_is_never_measured() -> None:
    side = sender()
    side.write(bytes(10))
    list(side.segments(0))
    now, _ = expire(side)
    side.acknowledged(FIRST + 10, now + 1)
    assert side.rto.srtt == 100 * MS


def test_after_a_repeated_syn_the_timeout_of_data_is_three_seconds() -> None:
    side = SendSide(ISS, SETTINGS, active=True)
    list(side.segments(0))
    expire(side)
    side.acknowledged(FIRST, SECOND + 1)
    assert side.rto.rto == 3 * SECOND


def test_three_duplicate_acks_resend_the_oldest_segment_at_once() -> None:
    side = sender()
    side.write(bytes(60))
    list(side.segments(0))
    for expected in (0, 0, 1, 0):
        side.duplicate_ack(window=1000)
        assert len(list(side.segments(1))) == expected
    side.acknowledged(FIRST + 60, 2)
    assert list(side.segments(2)) == []


def test_an_ack_that_changes_the_window_is_no_duplicate() -> None:
    side = sender()
    side.write(bytes(60))
    list(side.segments(0))
    for window in (1001, 1002, 1003, 1004):
        side.duplicate_ack(window)
    assert list(side.segments(1)) == []


def test_a_partial_acknowledgement_in_recovery_resends_the_next_hole() -> None:
    side = sender()
    side.write(bytes(60))
    list(side.segments(0))
    for _ in range(3):
        side.duplicate_ack(window=1000)
    list(side.segments(1))
    side.acknowledged(FIRST + 20, 2)
    assert [segment.seq for segment in side.segments(2)] == [FIRST + 20]


def test_a_closed_window_is_probed_at_growing_intervals_for_as_long_as_the_peer_answers() -> None:
    side = sender(window=0)
    side.write(b"waiting")
    assert list(side.segments(0)) == []
    times = []
    for _ in range(40):
        now, segments = expire(side)
        assert segments == [Outgoing(FIRST - 1, 0, b"")]
        times.append(now)
        side.probe_answered()
    gaps = [(late - early) // MS for early, late in pairwise(times)]
    assert gaps[:4] == [600, 1200, 2400, 4800]
    assert gaps[-1] == 120_000
    side.update_window(1, FIRST, 100)
    assert payloads(list(side.segments(now))) == [b"waiting"]
    assert side.deadline == now + side.rto.rto


def test_a_closed_window_and_a_silent_peer_end_the_connection() -> None:
    side = sender(window=0, settings=TcpSettings(data_retries=3))
    side.write(b"waiting")
    list(side.segments(0))
    for _ in range(3):
        expire(side)
    assert side.deadline is not None
    assert not side.timer_expired(side.deadline)


def test_a_fin_behind_a_closed_window_waits_and_is_probed_for() -> None:
    side = sender(window=0)
    side.fin_queued = True
    assert list(side.segments(0)) == []
    assert side.deadline is not None


def test_an_older_segment_does_not_set_the_window_back() -> None:
    side = sender(window=0)
    side.write(bytes(20))
    side.update_window(5, FIRST, 20)
    side.update_window(4, FIRST, 0)
    assert len(list(side.segments(0))) == 2


def test_in_flight_data_is_resent_even_into_a_window_that_has_shrunk() -> None:
    side = sender(window=30)
    side.write(bytes(30))
    list(side.segments(0))
    side.update_window(2, FIRST, 0)
    _, segments = expire(side)
    assert payloads(segments) == [bytes(10)]


@pytest.mark.parametrize("retries", [1, 2])
def test_data_is_given_up_after_the_set_number_of_retries(retries: int) -> None:
    side = sender(settings=TcpSettings(data_retries=retries))
    side.write(b"x")
    list(side.segments(0))
    for _ in range(retries):
        expire(side)
    assert side.deadline is not None
    assert not side.timer_expired(side.deadline)
