from hypothesis import given
from hypothesis import strategies as st

from natlab.sim.tcp_sequence import from_wire, to_wire

NUMBERS = st.integers(min_value=-(2**20), max_value=2**40)
DISTANCES = st.integers(min_value=-(2**31), max_value=2**31 - 1)


@given(NUMBERS, DISTANCES)
def test_a_number_less_than_half_the_circle_away_comes_back(near: int, distance: int) -> None:
    assert from_wire(to_wire(near + distance), near) == near + distance


def test_the_number_after_the_last_is_zero_on_the_wire_and_one_more_inside() -> None:
    assert to_wire(0xFFFFFFFF + 1) == 0
    assert from_wire(0, 0xFFFFFFFF) == 2**32
    assert from_wire(0xFFFFFFFF, 2**32) == 0xFFFFFFFF
