"""How long may it be silent? The search for a timer from outside, by knocking.

    something is opened, then nothing at all for so many seconds, then a knock: is it still there?

Each knock takes a conversation of its own, since it would start the timer of the one it tries again. They all wait at
the same time: first with silences of 1, 2, 4, ... seconds, then with several between the last that was let in and the
first that was not, until these are a second apart. A timer of 432,000 s takes no more knocks than one of 30 s, in
virtual time no time at all, and in real time hardly longer than the timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Alive", "shortest_fatal"]

Alive = Callable[[float], Awaitable[bool]]
"""Opens something, is silent for so many seconds, knocks: whether it was still there."""

AT_ONCE = 16  # knocks a round


async def shortest_fatal(alive: Alive, patience: float) -> int | None:
    """The shortest silence, in whole seconds, that ends it; None if it outlives all that patience allows to try."""
    ladder = [1 << power for power in range(32) if 1 << power <= patience]
    if not ladder:
        return None
    if ladder[-1] < int(patience):
        ladder.append(int(patience))
    low, high = await _between(alive, 0, ladder)
    while high is not None and high - low > 1:
        step = max(1, (high - low) // (AT_ONCE + 1))
        low, between = await _between(alive, low, list(range(low + step, high, step)))
        high = between or high
    return high


async def _between(alive: Alive, low: int, silences: list[int]) -> tuple[int, int | None]:
    """The last silence that was survived (at least `low`), and the first one after it that was not."""
    survived = await asyncio.gather(*(alive(silence) for silence in silences))
    for silence, was_alive in zip(silences, survived, strict=True):
        if not was_alive:
            return low, silence
        low = silence
    return low, None
