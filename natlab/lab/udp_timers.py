"""How long may a UDP conversation be silent? Measured from outside, by knocking.

    alice ── box ── internet ── bob
      │ ────────────────────────> │     alice sends; if bob has answered, once more 3 s later
      │         silence           │     nothing at all for so many seconds
      │ <──────────────────────── │     bob knocks: let in, or is the mapping gone?

Repeated with other silences, this finds the box's timer to the second without a look inside, and so whether the box
conforms to RFC 4787 REQ-5: two minutes at least (REQ-5a, shorter timers for well-known ports, does not apply here).
`natlab.lab.report` does so for every rule of the RFCs; its bench and its probes are used here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import pandas as pd

from natlab.lab import bad_input
from natlab.lab.checks import Feedback
from natlab.lab.report import udp
from natlab.lab.report.ground import Simulated
from natlab.lab.report.prober import Prober
from natlab.lab.seed import rng_for
from natlab.lab.views.frame import frame
from natlab.nat import configure

__all__ = ["check_keepalive", "closes_after", "conformance", "let_in_after"]

T = TypeVar("T")

A_DAY = 86_400  # seconds


class TimerRow(NamedTuple):
    """
    Columns:
        preset: string, the NAT box.
        answered: bool, whether the remote had answered before the silence.
        closes_after: int64, seconds of silence after which the remote is no longer let in.
        required: int64, seconds that RFC 4787 REQ-5 demands.
        verdict: string, "conforms" or "violates REQ-5".
    """

    preset: str
    answered: bool
    closes_after: int
    required: int
    verdict: str


def let_in_after(
    seed: int, silence: float, preset: str = "home", *, answered: bool = False, keepalives: int = 0
) -> bool:
    """Whether Bob's packet still reaches Alice after a silence.

    Args:
        silence: seconds between Alice's last packet and Bob's knock.
        preset: the NAT box in front of Alice, as in `Lab.nat`.
        answered: whether Bob has answered her before.
        keepalives: how many more packets Alice sends before, `silence` seconds apart.
    """
    bad_input.check_seconds(silence, "the silence")
    return _measured(
        seed, preset, lambda prober: udp.alive(prober, silence, answered=answered, keepalives=[silence] * keepalives)
    )


def closes_after(seed: int, preset: str = "home", *, answered: bool = False) -> int:
    """The shortest silence, in whole seconds, after which Bob is no longer let in; at most `Simulated.patience`."""
    found = _measured(seed, preset, lambda prober: udp.closes_after(prober, answered))
    return int(Simulated.patience) if found is None else found


def _measured(seed: int, preset: str, probe: Callable[[Prober], Awaitable[T]]) -> T:
    with Simulated(configure(preset), partial(rng_for, seed)) as bench:
        return bench.run(probe(Prober(bench)))


def conformance(seed: int, presets: Sequence[str]) -> pd.DataFrame:
    """The timers of some NAT boxes beside what RFC 4787 REQ-5 demands; columns as `TimerRow`."""
    boxes = bad_input.checked_several(presets, "presets")
    return frame(TimerRow, (_row(seed, preset, answered) for preset in boxes for answered in (False, True)))


def _row(seed: int, preset: str, answered: bool) -> TimerRow:
    measured = closes_after(seed, preset, answered=answered)
    verdict = "conforms" if measured >= udp.TWO_MINUTES else "violates REQ-5"
    return TimerRow(preset, answered, measured, udp.TWO_MINUTES, verdict)


def check_keepalive(seed: int, preset: str, seconds: int | str | None) -> Feedback:
    """Checks a guess at the longest interval between keepalives that lets a silent Bob in at any time."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return Feedback(False, "Write a whole number of seconds. After how long a silence was the door closed?")
    if not 0 < seconds <= A_DAY:
        return Feedback(False, f"Write a number from 1 to {A_DAY}: no box waits longer than a day.")
    if not let_in_after(seed, seconds, preset, keepalives=3):
        return Feedback(
            False,
            f"Bob knocked {seconds} s after a keepalive and was dropped. Each keepalive must come before the end.",
        )
    if let_in_after(seed, seconds + 1, preset, keepalives=3):
        return Feedback(False, "Bob is let in, but so he is with fewer packets: what is the longest interval?")
    return Feedback(
        True,
        "A packet may be lost, so take half of it in practice: go-libp2p's QUIC sends a keepalive every 15 s.",
    )
