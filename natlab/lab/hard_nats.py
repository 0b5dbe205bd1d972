"""What the lesson on hard NATs plays, shows and checks.

    alice ── home ────┐                                        alice ── home ──┐
    carol ── home     ├── internet ── observer                 bob ── home 2 ──┴── carrier ── internet ── observer
    bob ──── office ──┘

Left: one pair of boxes, and a neighbour behind Alice's. Right: two homes of one carrier (RFC 6598 addresses between).
All punches are those of `natlab.lab.raw_punch`: one try, raw sockets, at the endpoint that the observer reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from natlab.errors import LabError
from natlab.lab.bare import BareHost
from natlab.lab.checks import Feedback, is_change
from natlab.lab.lab import Lab
from natlab.lab.port_prediction import odds
from natlab.lab.punch_grid import BOXES
from natlab.lab.raw_punch import Axes, Outcome, Transport, meet, punch, two_hosts
from natlab.lab.views.frame import frame
from natlab.nat import Hairpinning, PortAllocation

__all__ = [
    "SYMMETRIC",
    "carrier",
    "check_block",
    "check_change",
    "check_pairs",
    "hairpins",
    "layers",
    "neighbours",
    "ports_seen",
    "rivals",
]

PORT = 4001
BLOCK = 1000  # ports that a carrier gives each subscriber (RFC 7422 has examples)
SYMMETRIC: Axes = {
    "mapping": "address-and-port-dependent",
    "filtering": "address-and-port-dependent",
    "port_allocation": "random",
}
HOME: Axes = {"port_allocation": "random"}


class NeighbourRow(NamedTuple):
    """
    Columns:
        packets: int64, how many the neighbour sends, each to another destination, between report and punch.
        aim: int64, how far above the reported port Bob aims.
        outcome: string, of the punch.
    """

    packets: int
    aim: int
    outcome: str


class LayersRow(NamedTuple):
    """
    Columns:
        home, carrier: string, the presets of the boxes; "none" for no second one.
        mapping, filtering: string, of the two together, as measured by RFC 5780's tests.
    """

    home: str
    carrier: str
    mapping: str
    filtering: str


# ---- ports that can be foreseen, or not


def ports_seen(seed: int) -> pd.DataFrame:
    """Alice asks three observers from one socket: which external port does each see?

    Returns:
        a row for each way to allocate ports, a column for each observer; int64.
    """
    ways = (PortAllocation.SEQUENTIAL, PortAllocation.RANDOM, PortAllocation.PRESERVING)
    rows = [_ports_of(seed, {**SYMMETRIC, "port_allocation": way}) for way in ways]
    return pd.DataFrame(rows, index=list(map(str, ways)), columns=["observer 1", "observer 2", "observer 3"])


def _ports_of(seed: int, axes: Axes) -> list[int]:
    lab = Lab(seed)
    alice = lab.host("alice", behind=lab.nat("home", **axes))  # type: ignore[arg-type]  # axes only
    socket = lab.run(alice.udp(PORT))
    ports = []
    for number in (1, 2, 3):
        seen_by = lab.run(lab.host(f"observer {number}").udp(PORT))
        lab.run(socket.send("where do you see me?", seen_by))
        ports.append(lab.run(seen_by.receive()).source.port)
    return ports


def rivals(seed: int, *, neighbour: bool) -> tuple[Outcome, Lab]:
    """A UDP punch between two boxes that map by destination, but preserve ports; and the lab, to look into.

    Args:
        neighbour: whether Carol, behind Alice's box, uses her own port 4001 before Alice does.
    """
    axes = {**SYMMETRIC, "port_allocation": "preserving"}
    lab = _with_neighbour(seed, axes, axes)
    if neighbour:
        lab.run(_talk(lab.hosts["carol"], lab.hosts["observer"].ip, [PORT], from_port=PORT))
    return punch(lab, "udp").outcome, lab


def neighbours(seed: int, packets: Sequence[int], aim: int = 1) -> pd.DataFrame:
    """Alice's box numbers its mappings one after the other, Bob aims at the next one; columns as `NeighbourRow`."""
    return frame(NeighbourRow, (NeighbourRow(number, aim, _beside(seed, number, aim)) for number in packets))


def _beside(seed: int, packets: int, aim: int) -> Outcome:
    lab = _with_neighbour(seed, {**SYMMETRIC, "port_allocation": "sequential"}, HOME)
    carol, observer = lab.hosts["carol"], lab.hosts["observer"]

    async def both() -> Outcome:
        talk = asyncio.ensure_future(_talk(carol, observer.ip, range(5000, 5000 + packets), after=0.5))
        meeting = await meet(lab, "udp", pause=1.0, aim=aim)
        await talk
        return meeting.outcome

    return lab.run(both())


def _with_neighbour(seed: int, home: Axes, office: Axes) -> Lab:
    """The scene on the left, at the top of this file."""
    lab = Lab(seed)
    boxes = [lab.nat("home", name=name, **axes) for name, axes in (("home", home), ("office", office))]  # type: ignore[arg-type]  # axes only
    for name, box in zip(("alice", "carol", "bob"), (boxes[0], *boxes), strict=True):
        lab.host(name, behind=box)
    lab.host("observer")
    return lab


async def _talk(host: BareHost, to: str, ports: Sequence[int], *, from_port: int = 0, after: float = 0.0) -> None:
    """Sends a datagram to each of these ports."""
    await asyncio.sleep(after)
    socket = await host.udp(from_port)
    for port in ports:
        await socket.send("hello", f"{to}:{port}")


# ---- several boxes on the way


def carrier(seed: int, hairpinning: str = "none", *, homes: bool = True) -> Lab:
    """Alice and Bob are subscribers of one carrier.

    Args:
        homes: whether each has a router of their own; without, it is the carrier's box alone.
    """
    lab = Lab(seed)
    box = lab.nat("cgnat", name="carrier", external_addresses=1, lan="100.64.0.0/10", hairpinning=hairpinning)
    for name, home in (("alice", "home"), ("bob", "home 2")):
        lab.host(name, behind=lab.nat("home", name=home, behind=box) if homes else box)
    lab.host("observer")
    return lab


def hairpins(seed: int, transport: Transport = "udp") -> pd.DataFrame:
    """What becomes of a punch between two subscribers, by the carrier's hairpinning.

    Returns:
        a row for each kind of hairpinning, columns "each behind a router" and "no routers": `Outcome`, strings.
    """
    columns = {"each behind a router": True, "no routers": False}
    rows = [
        [str(punch(carrier(seed, kind, homes=homes), transport).outcome) for homes in columns.values()]
        for kind in Hairpinning
    ]
    return pd.DataFrame(rows, index=list(map(str, Hairpinning)), columns=list(columns), dtype="string")


def layers(seed: int, pairs: Sequence[tuple[str, str | None]]) -> pd.DataFrame:
    """What a host measures behind a box of its own and a carrier's behind it; columns as `LayersRow`."""
    return frame(LayersRow, (_measured(seed, *pair) for pair in pairs))


def _measured(seed: int, home: str, outer: str | None) -> LayersRow:
    lab = Lab(seed, record=())
    box = lab.nat(outer, name="carrier") if outer else None
    alice = lab.host("alice", behind=lab.nat(home, name="home", behind=box))
    server = lab.run(lab.host("stun").serve_stun(lab.host("stun 2")))
    found = lab.run(alice.classify(server))
    return LayersRow(home, outer or "none", str(found.mapping), str(found.filtering))


# ---- checks

PAIRS = {
    "A": ("EI/APD", "EI/APD"),
    "B": ("APD/APD", "EI/AD"),
    "C": ("APD/APD", "EI/APD"),
    "D": ("APD/APD", "AD/EI"),
    "E": ("AD/AD", "AD/AD"),
}
"""Letter -> the boxes of Alice and Bob, as `natlab.lab.punch_grid` writes them."""


def check_pairs(seed: int, letters: str | None) -> Feedback:
    """Checks which of `PAIRS` meet, by playing all."""
    if not isinstance(letters, str) or not letters.strip(" ,") or set(letters.upper()) - set(PAIRS) - set(" ,"):
        return Feedback(
            False, f'Write the letters of the pairs that meet, for example "AB"; there are {", ".join(PAIRS)}.'
        )
    for letter, pair in PAIRS.items():
        boxes = {str(box): box for box in BOXES}
        home, office = ({**boxes[name]._asdict(), "port_allocation": "random"} for name in pair)
        met = punch(two_hosts(seed, home, office, record=()), "udp").outcome != Outcome.NOBODY
        if met != (letter in letters.upper()):
            return Feedback(False, f"Look again at {letter}, {' and '.join(pair)}: {_HINT}")
    return Feedback(True, "One direction is enough, and no filter on one side gives it.")


_HINT = "is one of them found where the observer saw it, by a packet that its own box lets in?"


def check_change(seed: int, axes: Axes | None) -> Feedback:
    """Checks whether a change of Alice's "symmetric" box lets her meet Bob at home, by playing it."""
    if not is_change(axes):
        return Feedback(False, 'Write one axis, e.g. {"port_allocation": ...}. Which question does Bob\'s packet fail?')
    if len(axes) > 1:
        return Feedback(False, "One axis is enough: leave the others as they are.")
    try:
        outcome = punch(two_hosts(seed, {**SYMMETRIC, **axes}, HOME), "udp").outcome
    except LabError as error:
        return Feedback(False, str(error))
    if outcome == Outcome.NOBODY:
        return Feedback(False, "They still do not meet. Where would Bob's packets have to arrive, and be let in?")
    return Feedback(True, f"Now it says: {outcome}. There are three such axes; a user can seldom turn any of them.")


def check_block(probes: int | None) -> Feedback:
    """Checks how many probes give Bob an even chance if Alice has 256 sockets in a block of `BLOCK` ports he knows."""
    right = next(number for number in range(1, BLOCK) if odds(number, ports=BLOCK) >= 0.5)
    if not isinstance(probes, int) or isinstance(probes, bool) or probes < 1:
        return Feedback(
            False, "Write a whole number of probes. How many of the ports that Bob guesses among are doors?"
        )
    if probes == right:
        return Feedback(True, f"{odds(right, ports=BLOCK):.0%}. Fewer ports for each subscriber: easier to guess.")
    if probes < right:
        return Feedback(False, f"With {probes} the chance is {odds(probes, ports=BLOCK):.0%}: not even yet.")
    return Feedback(False, "That is more than an even chance: a quarter of the block are doors. What is the fewest?")
