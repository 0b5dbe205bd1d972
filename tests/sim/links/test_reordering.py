"""Reordering: late packets, counted as RFC 4737 counts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

STREAM = [(100, 0.001)] * 2000


def reordered(order):
    """RFC 4737 section 3.3: a packet is reordered if its number is below one that came before it."""
    expected, late = 0, 0
    for number in order:
        late += number < expected
        expected = max(expected, number + 1)
    return late


def test_the_share_of_late_packets_is_as_asked_for(line):
    link = line(reordering=0.1).send_all(STREAM).settle()
    assert reordered(link.order) == pytest.approx(200, abs=50)
    assert sorted(link.order) == list(range(2000))


def test_a_late_packet_is_late_by_the_lateness(line):
    link = line(delay=0.020, reordering=0.1, lateness=0.0055).send_all(STREAM).settle()
    delays = {
        round(time - 0.001 * (packet.seq + 1), 6) for time, (_, packet) in zip(link.times, link.arrived, strict=True)
    }
    assert delays == {0.020, 0.0255}


def test_where_nothing_follows_soon_nothing_is_reordered(line):
    link = line(reordering=0.5, lateness=0.010).send_all([(100, 0.020)] * 100).settle()
    assert reordered(link.order) == 0


@given(seed=st.integers(0, 999), share=st.floats(0, 1), gaps=st.lists(st.floats(0, 0.02), max_size=30))
def test_nothing_is_lost_and_nobody_is_later_than_the_lateness(line, seed, share, gaps):
    link = line(delay=0, reordering=share, lateness=0.005, seed=seed).send_all([(100, gap) for gap in gaps])
    assert sorted(link.settle().order) == list(range(len(gaps)))
    sent = [sum(round(gap * 1e9) for gap in gaps[: number + 1]) for number in range(len(gaps))]
    assert all(time - sent[packet.seq] in (0, 5_000_000) for time, packet in link.arrived)
