"""A limited rate and a drop-tail queue, checked against the laws any such queue obeys."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from natlab.sim.loop import NANOSECONDS

traffic = st.lists(st.tuples(st.integers(28, 1500), st.sampled_from([0, 0, 0, 0.001, 0.05])), min_size=1, max_size=40)
rates = st.floats(500, 1e7)
limits = st.integers(0, 20_000)


def test_a_packet_takes_as_long_as_its_bytes(line):
    link = line(delay=0, rate=1000).send_all([(500, 0), (250, 0), (250, 10)]).settle()
    assert link.times == [0.5, 0.75, 10.25]


def test_what_finds_no_room_is_dropped_and_says_so(line):
    link = line(rate=1000, queue=250).send_all([(100, 0)] * 5).settle()
    assert link.order == [0, 1, 2], "one being sent, two waiting"
    assert [event.reason for event in link.lost] == ["the link's queue is full: 200 of 250 bytes wait"] * 2


def test_a_smaller_packet_may_still_find_room(line):
    assert line(rate=1000, queue=250).send_all([(100, 0)] * 4 + [(50, 0)]).settle().order == [0, 1, 2, 4]


def test_an_idle_link_takes_a_packet_of_any_size(line):
    link = line(rate=1000, queue=0).send_all([(1500, 0), (1500, 2), (28, 1)]).settle()
    assert link.order == [0, 1]


def test_a_full_queue_delays_by_its_length_over_the_rate(line):
    link = line(delay=0, rate=10_000, queue=5_000).send_all([(100, 0.001)] * 500).settle()
    waits = [time - 0.001 * (packet.seq + 1) for time, (_, packet) in zip(link.times, link.arrived, strict=True)]
    assert max(waits) == pytest.approx(5_000 / 10_000 + 100 / 10_000, abs=0.02)
    assert len(link.lost) == 500 - len(link.order) > 200


@given(packets=traffic, rate=rates, limit=limits)
@example([(100, 0)] * 40, 1000.0, 100)
def test_over_no_window_does_more_pass_than_the_rate_allows(line, packets, rate, limit):
    arrived = line(delay=0, rate=rate, queue=limit).send_all(packets).settle().arrived
    for first in range(len(arrived)):
        passed = 0
        for time, packet in arrived[first + 1 :]:
            passed += packet.size
            assert passed <= rate * (time - arrived[first][0]) / NANOSECONDS * (1 + 1e-9)


@given(packets=traffic, rate=rates, limit=limits)
def test_first_in_first_out_and_what_does_not_come_out_is_written_down(line, packets, rate, limit):
    link = line(rate=rate, queue=limit).send_all(packets).settle()
    assert link.order == sorted(link.order)
    assert sorted(link.order + [event.packet.seq for event in link.lost]) == list(range(len(packets)))


@given(packets=traffic, rate=rates)
def test_it_never_idles_while_something_waits(line, packets, rate):
    link = line(delay=0, rate=rate, queue=10**9).send_all(packets).settle()
    sent, now = [], 0
    for _, after in packets:
        now += round(after * NANOSECONDS)
        sent.append(now)
    for (left, _), (time, packet) in pairwise([(0, None), *link.arrived]):
        began = max(left, sent[packet.seq])
        assert 0 <= time - began - packet.size * NANOSECONDS / rate <= 1


@given(packets=traffic, rate=rates, limit=limits)
def test_no_more_waits_than_the_limit(line, packets, rate, limit):
    link = line(delay=0, rate=rate, queue=limit).send_all(packets).settle()
    begins = {packet.seq: time - packet.size * NANOSECONDS / rate for time, packet in link.arrived}
    now = 0
    for seq, (_, after) in enumerate(packets):
        now += round(after * NANOSECONDS)
        waiting = [packets[other][0] for other in begins if other <= seq and begins[other] > now + 1]
        assert sum(waiting) <= limit
