from natlab.sim.tcp_rto import RetransmissionTimeout

MS = 1_000_000


def test_before_any_sample_the_timeout_is_one_second() -> None:
    assert RetransmissionTimeout().rto == 1000 * MS


def test_the_first_sample_sets_srtt_and_half_of_it_as_variation() -> None:
    timeout = RetransmissionTimeout()
    timeout.sample(400 * MS)
    assert timeout.srtt == 400 * MS
    assert timeout.rto == 400 * MS + 4 * 200 * MS


def test_a_steady_path_comes_down_to_the_round_trip_and_200_ms() -> None:
    timeout = RetransmissionTimeout()
    for _ in range(40):
        timeout.sample(40 * MS)
    assert timeout.rto == 240 * MS


def test_a_later_sample_moves_srtt_by_an_eighth_and_the_variation_by_a_quarter() -> None:
    timeout = RetransmissionTimeout()
    timeout.sample(800 * MS)
    timeout.sample(1600 * MS)
    assert timeout.srtt == 900 * MS
    assert timeout.rto == 900 * MS + 4 * (300 + 200) * MS


def test_progress_undoes_the_doubling() -> None:
    timeout = RetransmissionTimeout()
    timeout.back_off()
    timeout.progress()
    assert timeout.rto == 1000 * MS
    timeout.sample(100 * MS)
    timeout.back_off()
    timeout.progress()
    assert timeout.rto == 300 * MS


def test_each_expiry_doubles_up_to_two_minutes_until_the_next_sample() -> None:
    timeout = RetransmissionTimeout()
    seen = []
    for _ in range(8):
        timeout.back_off()
        seen.append(timeout.rto // (1000 * MS))
    assert seen == [2, 4, 8, 16, 32, 64, 120, 120]
    timeout.sample(100 * MS)
    assert timeout.rto == 300 * MS


def test_after_a_repeated_syn_data_starts_with_three_seconds() -> None:
    timeout = RetransmissionTimeout()
    timeout.back_off()
    timeout.handshake_timed_out()
    assert timeout.rto == 3000 * MS
