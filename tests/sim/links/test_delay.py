"""Delay: fixed, varying, measured. None of them changes the order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.sim.links import Jitter, Trace


def test_a_fixed_delay_keeps_the_order(line):
    link = line(delay=0.020).send_all([(100, 0), (1400, 0), (100, 0)]).settle()
    assert link.times == [0.020] * 3
    assert link.order == [0, 1, 2]


def test_a_packet_in_flight_is_one_entry_of_the_heap(line):
    link = line()
    link.send_all([(100, 0)] * 50)
    assert len(link.loop._heap) == 50


def test_without_a_wish_the_delay_is_that_of_the_place(line):
    assert line().send_all([(100, 0)]).settle().times == [0.010]


def test_jitter_spreads_evenly_between_its_bounds(line):
    link = line(delay=Jitter(0.020, 0.060)).send_all([(100, 1.0)] * 2000).settle()
    delays = [time - number for number, time in enumerate(link.times, start=1)]
    assert all(0.020 <= delay < 0.0600001 for delay in delays)
    assert sum(delays) / len(delays) == pytest.approx(0.040, abs=0.001)
    below = [sum(delay < edge for delay in delays) for edge in (0.030, 0.040, 0.050)]
    assert below == [pytest.approx(expected, abs=80) for expected in (500, 1000, 1500)]


@given(seed=st.integers(0, 99), gaps=st.lists(st.floats(0, 0.02), min_size=1, max_size=30))
def test_jitter_never_lets_a_packet_overtake(line, seed, gaps):
    link = line(delay=Jitter(0, 0.1), seed=seed).send_all([(100, gap) for gap in gaps]).settle()
    assert link.order == sorted(link.order)
    assert len(link.order) == len(gaps)


def test_jitter_of_a_packet_is_its_own_unless_that_would_change_the_order(line):
    link = line(delay=Jitter(0, 0.1)).send_all([(100, 0)] * 100).settle()
    assert link.times == sorted(link.times)
    assert 3 < len(set(link.times)) < 30, "the records of a hundred draws, and whoever waits behind one"


def test_a_trace_gives_each_moment_its_delay_and_begins_again(line):
    link = line(delay=Trace([0.02, 0.3, 0.1], every=10))
    link.send_all([(100, 0), (100, 9.9), (100, 0.1), (100, 10), (100, 10)]).settle()
    sent = [0, 9.9, 10, 20, 30]
    assert [time - at for time, at in zip(link.times, sent, strict=True)] == pytest.approx([0.02, 0.02, 0.3, 0.1, 0.02])


def test_a_trace_that_falls_lets_nobody_overtake_either(line):
    link = line(delay=Trace((0.3, 0.02), every=1)).send_all([(100, 0.95), (100, 0.1)]).settle()
    assert link.times == pytest.approx([1.25, 1.25])
    assert link.order == [0, 1]


@pytest.mark.parametrize(
    "bounds", [(-0.1, 0.1), (0.2, 0.1), (0, float("inf")), (float("nan"), 1), ("a", "b"), (None, 1)]
)
def test_jitter_that_cannot_be(bounds):
    with pytest.raises(ValueError, match="a delay varies"):
        Jitter(*bounds)


@pytest.mark.parametrize(
    "wrong",
    [((), 1), ((0.1, -0.1), 1), ((float("nan"),), 1), ((0.1,), 0), ((0.1,), -1), (5, 1), (("a",), 1), ((0.1,), "x")],
)
def test_a_trace_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="trace"):
        Trace(*wrong)


def test_a_trace_is_a_value():
    assert Trace([0.1, 0.2]) == Trace((0.1, 0.2))
    assert hash(Trace([0.1])) == hash(Trace((0.1,)))
