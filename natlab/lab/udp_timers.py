"""How long may a UDP conversation be silent? Measured from outside, by knocking.

    alice ── box ── internet ── bob
      │ ────────────────────────> │     alice sends; if bob has answered, once more 3 s later
      │         silence           │     nothing at all for so many seconds
      │ <──────────────────────── │     bob knocks: let in, or is the mapping gone?

Repeated with other silences, this finds the box's timer to the second without a look inside, and so whether the box
conforms to RFC 4787 REQ-5: two minutes at least (REQ-5a, shorter timers for well-known ports, does not apply here).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from natlab.events import PacketSeen, Verdict
from natlab.lab.checks import Feedback
from natlab.lab.lab import Lab
from natlab.lab.views.frame import frame

__all__ = ["check_keepalive", "closes_after", "conformance", "let_in_after"]

REQUIRED = 120  # seconds, RFC 4787 REQ-5
CONVERSATION = 3.0  # seconds; Linux takes nothing for a conversation that is over within 2 s
LONGEST = 3600  # seconds that `closes_after` tries at most


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
    lab = Lab(seed, record=(PacketSeen,))
    alice = lab.run(lab.host("alice", behind=lab.nat(preset)).udp(5000))
    bob = lab.run(lab.host("bob").udp(7000))
    lab.run(alice.send("hello", bob))
    door = lab.run(bob.receive()).source
    if answered:
        lab.run(bob.send("welcome", door))
        lab.run(alice.receive())
        lab.advance(CONVERSATION)
        lab.run(alice.send("thanks", bob))
    for _ in range(keepalives):
        lab.advance(silence)
        lab.run(alice.send("still here", bob))
    lab.advance(silence)
    lab.run(bob.send("knock", door))
    lab.advance(1.0)
    return lab.journal.of(PacketSeen)[-1].verdict == Verdict.DELIVERED


def closes_after(seed: int, preset: str = "home", *, answered: bool = False) -> int:
    """The shortest silence, in whole seconds, after which Bob is no longer let in; at most `LONGEST`."""
    silences = range(1, LONGEST)
    return 1 + bisect_left(silences, True, key=lambda s: not let_in_after(seed, s, preset, answered=answered))


def conformance(seed: int, presets: Sequence[str]) -> pd.DataFrame:
    """The timers of some NAT boxes beside what RFC 4787 REQ-5 demands; columns as `TimerRow`."""
    return frame(TimerRow, (_row(seed, preset, answered) for preset in presets for answered in (False, True)))


def _row(seed: int, preset: str, answered: bool) -> TimerRow:
    measured = closes_after(seed, preset, answered=answered)
    verdict = "conforms" if measured >= REQUIRED else "violates REQ-5"
    return TimerRow(preset, answered, measured, REQUIRED, verdict)


def check_keepalive(seed: int, preset: str, seconds: int | str | None) -> Feedback:
    """Checks a guess at the longest interval between keepalives that lets a silent Bob in at any time."""
    if not isinstance(seconds, int):
        return Feedback(False, "Write a whole number of seconds. After how long a silence was the door closed?")
    if seconds <= 0:
        return Feedback(False, "Time goes forward only: write a number greater than 0.")
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
