"""Duplication: copies, each a packet of its own in the record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.events import PacketSeen, Verdict


def test_the_share_of_copies_is_as_asked_for(line):
    link = line(duplication=0.1).send_all([(100, 0)] * 5000).settle()
    assert len(link.arrived) == pytest.approx(5500, abs=85)


def test_a_copy_follows_its_original_and_differs_in_the_flight_number_only(line):
    link = line(duplication=1.0).send_all([(100, 0), (200, 0)]).settle()
    packets = [packet for _, packet in link.arrived]
    assert link.order == [0, 0, 1, 1]
    assert packets[1] == packets[0]._replace(flight=packets[1].flight)
    assert len({packet.flight for packet in packets}) == 4


@given(seed=st.integers(0, 999), share=st.floats(0, 1))
def test_all_arrive_in_order_and_each_copy_is_written_down_with_what_it_copies(line, seed, share):
    link = line(duplication=share, seed=seed).send_all([(100, 0.001)] * 30).settle()
    made = link.journal.of(PacketSeen)
    assert all(seen.verdict is Verdict.DUPLICATED for seen in made)
    assert sorted(link.order) == link.order == sorted([*range(30), *(seen.before.seq for seen in made)])
    assert {packet.flight for _, packet in link.arrived} >= {seen.packet.flight for seen in made}


def test_what_nobody_records_is_copied_without_a_new_number(line):
    link = line(duplication=1.0)
    link.tap.on = False
    link.send()
    link.settle()
    assert link.arrived[0] == link.arrived[1]
