"""Timers are found to the second, however long, in few rounds."""

import asyncio

import pytest

from natlab.lab.report.silence import shortest_fatal
from natlab.sim import SimLoop


def search(timer, patience=3_000_000.0):
    """The result, how many knocks it took, and the virtual seconds."""
    loop, knocks = SimLoop(), []

    async def alive(silence):
        knocks.append(silence)
        await asyncio.sleep(silence)
        return silence < timer

    found = loop.run(shortest_fatal(alive, patience), limit=1e9)
    seconds = loop.time()
    loop.close()
    return found, len(knocks), seconds


@pytest.mark.parametrize("timer", [1, 2, 3, 29, 30, 31, 64, 120, 300, 7440, 432_000, 2_999_999])
def test_it_is_found_to_the_second(timer):
    found, knocks, _ = search(timer)
    assert found == timer and knocks < 120


def test_half_seconds_count_as_whole():
    assert search(29.5)[0] == 30


def test_what_outlives_patience_has_none():
    assert search(500, patience=400.0)[0] is None
    assert search(400, patience=400.0)[0] == 400
    assert search(1, patience=0.5)[0] is None


def test_in_real_time_it_would_take_little_longer_than_the_ladder_and_the_timer():
    _, _, seconds = search(30, patience=130.0)
    assert seconds == 130 + 31
