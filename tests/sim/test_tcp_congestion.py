from natlab.sim.tcp_congestion import Congestion

MSS = 1000


def in_flight(segments: int) -> Congestion:
    congestion = Congestion(MSS, iss=0)
    congestion.cwnd = segments * MSS
    return congestion


def test_it_begins_with_ten_segments() -> None:
    assert Congestion(MSS, iss=0).cwnd == 10 * MSS


def test_in_slow_start_every_acknowledged_segment_adds_one() -> None:
    congestion = in_flight(10)
    for number in range(10):
        assert not congestion.acknowledged((number + 1) * MSS, MSS)
    assert congestion.cwnd == 20 * MSS


def test_in_slow_start_a_stretched_acknowledgement_adds_no_more_than_one_segment() -> None:
    congestion = in_flight(10)
    congestion.acknowledged(5 * MSS, 5 * MSS)
    assert congestion.cwnd == 11 * MSS


def test_above_ssthresh_a_whole_window_adds_about_one_segment() -> None:
    congestion = in_flight(10)
    congestion.ssthresh = 5 * MSS
    for number in range(10):
        congestion.acknowledged((number + 1) * MSS, MSS)
    assert 10.9 * MSS < congestion.cwnd <= 11 * MSS


def test_the_third_duplicate_and_only_the_third_calls_the_segment_lost() -> None:
    congestion = in_flight(10)
    assert [congestion.duplicate(1, 10 * MSS) for _ in range(5)] == [False, False, True, False, False]
    assert congestion.ssthresh == (10 * MSS - 1) // 2
    assert congestion.cwnd == congestion.ssthresh + 3 * MSS + 2 * MSS


def test_an_acknowledgement_between_duplicates_starts_the_count_anew() -> None:
    congestion = in_flight(10)
    congestion.duplicate(1, 10 * MSS)
    congestion.duplicate(1, 10 * MSS)
    congestion.acknowledged(1 + MSS, MSS)
    assert not congestion.duplicate(1 + MSS, 10 * MSS)


def test_a_partial_acknowledgement_in_recovery_says_the_next_segment_is_lost_too() -> None:
    congestion = in_flight(10)
    for _ in range(3):
        congestion.duplicate(1, 10 * MSS)
    before = congestion.cwnd
    assert congestion.acknowledged(1 + 2 * MSS, 2 * MSS)
    assert congestion.cwnd == before - MSS
    assert congestion.recovering


def test_recovery_ends_with_half_the_window_once_all_that_was_in_flight_is_acknowledged() -> None:
    congestion = in_flight(10)
    for _ in range(3):
        congestion.duplicate(1, 10 * MSS)
    assert not congestion.acknowledged(10 * MSS, 10 * MSS - 1)
    assert not congestion.recovering
    assert congestion.cwnd == congestion.ssthresh


def test_a_timeout_starts_over_with_one_segment() -> None:
    congestion = in_flight(10)
    congestion.timed_out(0, 10 * MSS)
    assert (congestion.cwnd, congestion.ssthresh) == (MSS, 5 * MSS)


def test_a_timeout_ends_fast_recovery() -> None:
    congestion = in_flight(10)
    for _ in range(3):
        congestion.duplicate(1, 10 * MSS)
    congestion.timed_out(1, 10 * MSS)
    assert not congestion.acknowledged(1 + MSS, MSS)
    assert congestion.cwnd == 2 * MSS


def test_duplicates_caused_by_resending_after_a_timeout_do_not_count_as_loss() -> None:
    congestion = in_flight(10)
    congestion.timed_out(1, 10 * MSS)
    assert not any(congestion.duplicate(1 + 4 * MSS, 10 * MSS) for _ in range(5))


def test_ssthresh_is_never_less_than_two_segments() -> None:
    congestion = in_flight(1)
    congestion.timed_out(0, MSS)
    assert congestion.ssthresh == 2 * MSS
