from hypothesis import given
from hypothesis import strategies as st

from natlab.sim.tcp_receive import ReceiveSide

IRS = 1000
FIRST = IRS + 1


def receiver(size: int = 100, mss: int = 10) -> ReceiveSide:
    return ReceiveSide(IRS, size, mss)


def test_what_comes_in_order_can_be_read_at_once() -> None:
    side = receiver()
    side.accept(FIRST, b"hello", fin=False)
    assert side.rcv_nxt == FIRST + 5
    assert side.read(3) + side.read(10) == b"hello"


def test_what_comes_early_waits_for_what_is_missing() -> None:
    side = receiver()
    side.accept(FIRST + 5, b"world", fin=True)
    assert (side.readable, side.rcv_nxt, side.finished) == (0, FIRST, False)
    side.accept(FIRST, b"hello", fin=False)
    assert side.read(100) == b"helloworld"
    assert side.finished
    assert side.rcv_nxt == FIRST + 11


def test_text_after_the_fin_is_ignored() -> None:
    side = receiver()
    side.accept(FIRST, b"a", fin=True)
    side.accept(FIRST + 2, b"b", fin=False)
    assert side.read(10) == b"a"


def test_the_four_cases_of_acceptability() -> None:
    side = receiver(size=10, mss=5)
    assert side.acceptable(FIRST, 0)
    assert side.acceptable(FIRST + 9, 0)
    assert not side.acceptable(FIRST - 1, 0)
    assert not side.acceptable(FIRST + 10, 0)
    assert side.acceptable(FIRST - 3, 4)
    assert not side.acceptable(FIRST - 3, 3)
    assert side.acceptable(FIRST + 9, 5)
    assert not side.acceptable(FIRST + 10, 1)
    side.accept(FIRST, bytes(10), fin=False)
    assert side.window() == 0
    assert side.acceptable(FIRST + 10, 0)
    assert not side.acceptable(FIRST + 10, 1)


def test_what_lies_beyond_the_window_is_cut_off() -> None:
    side = receiver(size=4, mss=2)
    side.accept(FIRST, b"abcdef", fin=True)
    assert side.read(10) == b"abcd"
    assert not side.finished


def test_the_right_edge_moves_only_by_a_step_worth_sending() -> None:
    side = receiver(size=100, mss=10)
    side.accept(FIRST, bytes(50), fin=False)
    assert side.window() == 50
    side.read(9)
    assert side.window() == 50
    side.read(1)
    assert side.window() == 60


def test_an_update_is_due_when_reading_has_doubled_a_small_window() -> None:
    side = receiver(size=100, mss=10)
    side.accept(FIRST, bytes(95), fin=False)
    assert side.window() == 5
    side.read(9)
    assert not side.window_update_due()
    side.read(1)
    assert side.window_update_due()
    assert side.window() == 15
    assert not side.window_update_due()


def test_a_large_window_needs_no_update() -> None:
    side = receiver(size=100, mss=10)
    side.accept(FIRST, bytes(40), fin=False)
    side.window()
    side.read(40)
    assert not side.window_update_due()


def test_a_stranger_cannot_make_it_hold_more_than_the_buffer() -> None:
    side = receiver(size=100, mss=10)
    for number in range(1000):
        side.accept(FIRST + 1 + number % 50, bytes(50), fin=False)
    assert side._held_octets <= 100
    side.accept(FIRST, bytes(100), fin=False)
    assert side.readable == 100
    assert side._held == []
    assert side._held_octets == 0


def test_aborting_forgets_what_was_not_read() -> None:
    side = receiver()
    side.accept(FIRST, b"a", fin=False)
    side.discard()
    assert side.readable == 0


@given(st.binary(min_size=1, max_size=60), st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), max_size=40))
def test_any_cover_of_the_stream_in_any_order_gives_the_stream(data: bytes, pieces: list[tuple[int, int]]) -> None:
    side = receiver(size=100, mss=10)
    in_order = [(start, 7) for start in range(0, len(data), 7)]
    for start, length in pieces + in_order:
        piece = data[start : start + length]
        if piece:
            side.accept(FIRST + start, piece, fin=start + length >= len(data))
    assert side.read(1000) == data
    assert side.finished
