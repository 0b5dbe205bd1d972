"""What the lesson that compares firewalls and NATs plays, shows and checks.

    alice ── her box ──┐               ┌── their box ──┬── bob
                       ├── internet ───┤               └── carol
                       │               └── dave
                                                        dave is public and tells people where he sees them

A box is any preset: "firewall" translates nothing, the others are NATs. Everything is UDP, as long as nothing else is
said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import NamedTuple, TypeVar

import pandas as pd

from natlab.endpoint import Endpoint
from natlab.errors import LabError, NatlabError
from natlab.events import PacketSeen, Verdict
from natlab.lab import bad_input
from natlab.lab.bare_sockets import BareUdpSocket
from natlab.lab.checks import Feedback, is_change
from natlab.lab.lab import Lab
from natlab.lab.udp_timers import let_in_after
from natlab.lab.views.frame import frame

__all__ = [
    "check_comparison",
    "check_neighbour",
    "grid",
    "intervals",
    "neighbour",
    "outcome",
    "seen_from",
    "three_packets",
    "together",
    "two_behind",
    "where_after_silence",
]

T = TypeVar("T")

SILENCE = 301.0  # seconds, longer than any preset's UDP timer
MEET, MISS = "they meet", "they miss"


class IntervalRow(NamedTuple):
    """
    Columns:
        every: int64, seconds between two packets of Alice's.
        packets_an_hour: int64, how many these are.
        let_in: bool, whether Bob reaches her just before the next of them.
    """

    every: int
    packets_an_hour: int
    let_in: bool


class SilenceRow(NamedTuple):
    """
    Columns:
        box: string, the preset.
        before, after: string, where Bob sees Alice before and after a silence of 301 s.
        same: bool.
    """

    box: str
    before: str
    after: str
    same: bool


class Couple(NamedTuple):
    """A lab with an open UDP socket for each person."""

    lab: Lab
    alice: BareUdpSocket
    bob: BareUdpSocket
    carol: BareUdpSocket
    dave: BareUdpSocket


async def together(*verbs: Awaitable[T]) -> list[T]:
    """Several verbs at once, as when people on the telephone say "now"; their results in the same order."""
    for verb in verbs:
        bad_input.check_awaitable(verb, "together")
    return await asyncio.gather(*verbs)


async def outcome(ping: Awaitable[float]) -> str:
    """What comes of a ping, in words."""
    bad_input.check_awaitable(ping, "outcome")
    try:
        return f"answered after {1000 * await ping:.0f} ms"
    except NatlabError as error:
        return f"no answer: {error}"


def three_packets(seed: int, box: str) -> Lab:
    """Alice, behind a box, sends to Bob; Bob answers; Carol, who was sent nothing, knocks at the same endpoint."""
    lab = Lab(seed)
    alice = lab.run(lab.host("alice", behind=lab.nat(box)).udp(5000))
    bob, carol = lab.run(lab.host("bob").udp(7000)), lab.run(lab.host("carol").udp(7000))
    lab.run(alice.send("hello", bob))
    door = lab.run(bob.receive()).source
    for number, sender in enumerate((bob, carol), 1):
        lab.advance(number / 10 - lab.now)
        lab.run(sender.send("hello, Alice", door))
    lab.advance(1.0 - lab.now)
    return lab


def two_behind(seed: int, hers: str, theirs: str, *, ipv6: bool = False, **axes: str | float) -> Couple:
    """Alice behind one box, Bob and Carol behind another, Dave in public.

    Args:
        hers, theirs: presets of the boxes.
        ipv6: whether everybody has IPv6 as well, to which the boxes are firewalls.
        axes: what differs from the presets, the same for both.
    """
    lab = Lab(seed)
    left = lab.nat(hers, name=f"her {hers}", ipv6=ipv6, **axes)  # type: ignore[arg-type]  # axes only
    right = lab.nat(theirs, name=f"his {theirs}", ipv6=ipv6, **axes)  # type: ignore[arg-type]
    places = {"alice": left, "bob": right, "carol": right, "dave": None}
    hosts = [lab.host(name, behind=box, ipv6=ipv6) for name, box in places.items()]
    return Couple(lab, *(lab.run(host.udp(5000)) for host in hosts))


def seen_from(couple: Couple, who: BareUdpSocket) -> Endpoint:
    """Where Dave sees this socket: it asks him, and he answers."""
    lab, dave = couple.lab, couple.dave
    lab.run(who.send("where do you see me?", dave))
    source = lab.run(dave.receive()).source
    lab.run(dave.send(str(source), source))
    return Endpoint.parse(lab.run(_heard_from(dave, who)))


async def _heard_from(sender: BareUdpSocket, receiver: BareUdpSocket) -> str:
    """What the sender, who is public, has to say; what others sent before is passed over."""
    while (datagram := await receiver.receive()).source != sender.local:
        pass
    return datagram.data.decode()


def grid(seed: int, boxes: Sequence[str]) -> pd.DataFrame:
    """Whether Alice and Bob meet, for each pair of boxes, when Dave has told each where he sees the other.

    Returns:
        a table of strings, index Alice's box, columns Bob's: "they meet" or "they miss".
    """
    boxes = bad_input.checked_several(boxes, "boxes")
    verdicts = {pair: MEET if _meet(seed, *pair) else MISS for pair in product(boxes, boxes)}
    rows = [[verdicts[hers, theirs] for theirs in boxes] for hers in boxes]
    return pd.DataFrame(rows, index=boxes, columns=boxes, dtype="string").rename_axis(
        index="alice behind", columns="bob behind"
    )


def _meet(seed: int, hers: str, theirs: str) -> bool:
    couple = two_behind(seed, hers, theirs)
    lab, alice, bob = couple[:3]
    at_alice, at_bob = seen_from(couple, alice), seen_from(couple, bob)
    return all(lab.run(together(_call(alice, at_bob), _call(bob, at_alice))))


async def _call(socket: BareUdpSocket, to: Endpoint) -> bool:
    """Sends a few times to where the other should be, or to where it was heard; whether it was heard."""
    heard = False
    for _ in range(4):
        await socket.send("are you there?", to)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                to = (await socket.receive()).source
                heard = True
    return heard


def intervals(seed: int, box: str, every: Sequence[int]) -> pd.DataFrame:
    """How often Alice must speak if Bob, who never answers, is to reach her at any time; columns as `IntervalRow`."""
    for gap in every:
        bad_input.check_whole(gap, "seconds between two packets", least=1)
    rows = (IntervalRow(gap, 3600 // gap, let_in_after(seed, gap - 0.1, box, keepalives=3)) for gap in every)
    return frame(IntervalRow, rows)


def where_after_silence(seed: int, boxes: Sequence[str]) -> pd.DataFrame:
    """Where Bob sees Alice before and after a long silence; columns as `SilenceRow`."""
    return frame(SilenceRow, (_after_silence(seed, box) for box in bad_input.checked_several(boxes, "boxes")))


def _after_silence(seed: int, box: str) -> SilenceRow:
    lab = Lab(seed)
    alice = lab.run(lab.host("alice", behind=lab.nat(box)).udp(5000))
    bob = lab.run(lab.host("bob").udp(7000))
    seen = []
    for _ in range(2):
        lab.run(alice.send("hello", bob))
        seen.append(str(lab.run(bob.receive()).source))
        lab.advance(SILENCE)
    before, after = seen
    return SilenceRow(box, before, after, before == after)


def neighbour(seed: int, hers: str, theirs: str, **axes: str | float) -> Couple:
    """Alice punches for Bob; then Bob tries her, and Carol, who sits behind Bob's box and was told nothing by Alice.

    By default both boxes filter by address. Arguments as `two_behind`.
    """
    couple = two_behind(seed, hers, theirs, ipv6=False, **{"filtering": "address-dependent", **axes})
    lab, alice, bob, carol, _ = couple
    at_alice, at_bob = seen_from(couple, alice), seen_from(couple, bob)
    seen_from(couple, carol)
    lab.advance(1.0 - lab.now)
    for sender, to in ((alice, at_bob), (bob, at_alice), (carol, at_alice)):
        lab.run(sender.send("hello", to))
        lab.advance(0.1)
    return couple


# ---- checks

_STATEMENTS = {
    "A": ("both", "who was let in below, Bob or Carol, when there was no NAT at all?"),
    "B": ("firewall", "whom did Alice and Bob have to ask, in the two punches?"),
    "C": ("both", "does a box without NAT remember for ever? The table of the firewall has a column `expires`."),
    "D": ("NAT", "look at `where_after_silence` again: whose endpoint changed?"),
    "E": ("NAT", "what was the address of Carol, and what was Bob's?"),
}
_WORDS = ("firewall", "NAT", "both")


def check_comparison(answers: Mapping[str, str]) -> Feedback:
    """Checks of which box each of the statements A to E is true: "firewall", "NAT" or "both"."""
    for letter, (truth, hint) in _STATEMENTS.items():
        answer = answers.get(letter) if isinstance(answers, Mapping) else None
        if answer not in _WORDS:
            return Feedback(False, f'For {letter} write "firewall", "NAT" or "both".')
        if answer != truth:
            return Feedback(False, f"Look again at {letter}: {hint}")
    return Feedback(True, "What is true of both is the trick; what is true of NATs alone is what can go wrong with it.")


def check_neighbour(seed: int, axes: Mapping[str, str] | None) -> Feedback:
    """Checks whether a change of both offices lets Bob in and keeps his neighbour Carol out, by playing it."""
    if not is_change(axes):
        return Feedback(False, 'Write what to change, e.g. {"filtering": ...}. What do Bob and Carol not share?')
    if set(axes) != {"filtering"}:
        return Feedback(False, "Change the filtering alone: it is the rule on who may come in.")
    try:
        lab = neighbour(seed, "office", "office", **axes).lab
    except LabError as error:
        return Feedback(False, str(error))
    if lab.journal.of(PacketSeen)[-1].verdict is Verdict.DELIVERED:
        return Feedback(False, "Carol still gets in: her packets come from Bob's address. What else do they carry?")
    return Feedback(True, "They share the address and not the port, so the box has to look at both.")
