"""The trap of a lab without delay: as real go-libp2p and Linux fall into it, and what helps."""

import pytest

from natlab.lab.zero_delay import punch_again, zero_delay_trap


def test_the_punch_fails_without_delay_and_works_with_delay_or_liberal_checks():
    table = zero_delay_trap(1)
    assert list(table.delay) == [0.0, 0.02, 0.0] and list(table.checks_sequence_numbers) == [True, True, False]
    assert list(table.outcome) == ["nobody", "crossed", "bob is reached"]


@pytest.mark.parametrize("seed", range(5))
def test_chance_has_no_part_in_it(seed):
    assert zero_delay_trap(seed).equals(zero_delay_trap(1))


@pytest.mark.parametrize(("delay", "outcome"), [(0.009, "nobody"), (0.011, "crossed")])
def test_what_counts_is_whether_the_syn_is_there_before_the_other_end_dials(delay, outcome):
    assert punch_again(1, delay).outcome == outcome
