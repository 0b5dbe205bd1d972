"""What the exercises of the notebooks check answers with.

Each check compares an answer with what the lab's journal says, and answers with a hint, never with the solution.
`None` or "?" is "not answered yet". An answer of another kind than was asked for gets a hint too, never an error; so
does a lab that is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from natlab.errors import LabError
from natlab.events import MessageSeen, PacketSeen, PunchDialled, Verdict
from natlab.lab.lab import Lab
from natlab.lab.scenes import two_behind_nats

_TOLERANCE = 0.0005  # seconds
_LONG = 1e9  # seconds, longer than any lesson


@dataclass(frozen=True, slots=True, repr=False)
class Feedback:
    """The answer to an answer: `right`, and words for the reader."""

    right: bool
    words: str

    def __repr__(self) -> str:
        return ("Right. " if self.right else "Not yet. ") + self.words


_NO_LAB = Feedback(False, "Hand over the lab that you have run, and then your answer.")


def is_change(answer: object) -> TypeGuard[Mapping[str, str | float]]:
    """Whether it names axes of a NAT box, as in {"filtering": ...}."""
    return isinstance(answer, Mapping) and len(answer) > 0 and all(isinstance(axis, str) for axis in answer)


def where_it_ended(lab: Lab, place: str | None) -> Feedback:
    """Checks a guess at which place the first dropped packet ended."""
    if not isinstance(lab, Lab):
        return _NO_LAB
    ends = [seen.place for seen in lab.journal.of(PacketSeen) if seen.verdict == Verdict.DROPPED]
    if not ends:
        return Feedback(False, "Nothing was dropped so far: run the dial first.")
    if place not in [known.name for known in lab.places]:
        return Feedback(False, f"Write one of these: {', '.join(known.name for known in lab.places)}.")
    if place == ends[0]:
        return Feedback(True, "It got that far and no further; the ladder below names the rule.")
    return Feedback(
        False, "Follow the packet: its own NAT lets out what comes from inside. Who is the first to ask why?"
    )


def dial_time(lab: Lab, seconds: float | str | None) -> Feedback:
    """Checks at which time DCUtR's initiator has to dial, given when it sent SYNC (specs `relay/DCUtR.md`, step 4)."""
    if not isinstance(lab, Lab):
        return _NO_LAB
    syncs = [seen for seen in lab.journal.of(MessageSeen) if seen.name == "SYNC" and seen.sent]
    if not syncs:
        return Feedback(False, "There was no SYNC yet: let Bob dial through the relay first.")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < _LONG:
        return Feedback(False, "Write a time in seconds: when SYNC left, and then how long?")
    dials = [dial for dial in lab.journal.of(PunchDialled) if dial.place == syncs[0].place and dial.attempt > 0]
    if abs(seconds - dials[0].time) < _TOLERANCE:
        return Feedback(True, "At that moment SYNC arrives at the other end, which dials at once.")
    if abs(seconds - syncs[0].time) < _TOLERANCE:
        return Feedback(False, "That is when SYNC leaves. The other end has not got it yet: who dials now dials alone.")
    return Feedback(False, "SYNC needs half a round trip, and lab.punches has the round trip in its column rtt.")


def rescues(seed: int, office: Mapping[str, str | float], home: Mapping[str, str | float] | None) -> Feedback:
    """Checks whether a change of Alice's NAT lets them meet in spite of Bob's, by playing the scene with it."""
    if not is_change(home):
        return Feedback(False, 'Write what to change, e.g. {"filtering": ...}. Which rule dropped Bob\'s SYN?')
    if set(home) - {"filtering"}:
        return Feedback(False, "Change only her box's filtering: how she is seen is not what failed.")
    try:
        outcome = two_behind_nats(seed, home=home, office=office).punches.outcome
    except LabError as error:
        return Feedback(False, str(error))
    if (outcome == "success").any():
        return Feedback(True, f"They meet on attempt {len(outcome)}: Bob's SYN may come from a port she never sent to.")
    return Feedback(False, "Still no. Alice has sent to Bob's address, only to another port of it: who may answer?")
