"""Guessing the port of a NAT that gives each destination another one: the odds, by formula and by trying it out.

    alice ── hard NAT ── internet ── easy NAT ── bob      hard: mapping address-and-port-dependent, ports at random
       256 sockets, each sends one packet to Bob:         256 doors in Alice's NAT, each for Bob's endpoint alone
       Bob sends probes to random ports of her NAT:       one of them has to find a door

    One hard side    P(n) = 1 - C(N - k, n) / C(N, n)     n probes at distinct ports, k doors among N ports
    Two hard sides   P(n) = 1 - exp(-a·b / N²)            a and b packets; two of them have to guess each other's port

It is the birthday paradox: k·n pairs of a door and a probe, so 256 of each are likely to meet among 64,512 ports. The
idea, and the numbers in `PUBLISHED`, are from D. Anderson, "How NAT traversal works" (tailscale.com, 2020).

`first_hit` tries it out against a real box (`natlab.nat.NatBox`): the sockets' packets make its mappings, the probes
are its inbound packets, and nobody looks inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Journal
from natlab.lab import bad_input
from natlab.lab.chart import Line, chart
from natlab.lab.figure import Figure
from natlab.lab.palette import BLUE, INK, VERMILION
from natlab.lab.progress import Progress, counted
from natlab.lab.seed import rng_for
from natlab.lab.views.frame import frame
from natlab.nat import Behaviour, NatBox, NatConfig, PortAllocation
from natlab.packet import IPProtocol, Packet

__all__ = [
    "PORTS",
    "PUBLISHED",
    "compare",
    "compare_two_hard",
    "first_hit",
    "first_hits",
    "odds",
    "odds_two_hard",
    "picture",
    "two_hard",
]

PORTS = range(1024, 65536)
"""Where Bob guesses: 64,512 ports, all above the system's (RFC 4787 section 4.2.2)."""

SOCKETS = 256
PUBLISHED = {174: 0.50, 256: 0.64, 1024: 0.98, 2048: 0.999}
"""Probes to one hard side with 256 sockets -> the chance to meet, as published."""

HARD = NatConfig(
    mapping=Behaviour.ADDRESS_AND_PORT_DEPENDENT,
    filtering=Behaviour.ADDRESS_AND_PORT_DEPENDENT,
    port_allocation=PortAllocation.RANDOM,
)
ALICE, BOB = "11.0.0.1", Endpoint("12.0.0.1", 4001)
CONFIDENCE = 1.96  # standard deviations on either side hold 95 %


class OddsRow(NamedTuple):
    """
    Columns:
        probes: int64, how many Bob sends.
        published: float64, the chance that one is let in, as published.
        formula: float64, the same by the formula.
        measured: float64, the part of all tries in which one was.
        low, high: float64, 95 % confidence that the measured chance is between them (Wilson's interval).
        agrees: bool, whether the formula is between them.
    """

    probes: int
    published: float
    formula: float
    measured: float
    low: float
    high: float
    agrees: bool


class TwoHardRow(NamedTuple):
    """
    Columns:
        packets: int64, how many each side sends.
        ports: int64, how many ports each box has.
        formula, measured, low, high, agrees: as in `OddsRow`.
    """

    packets: int
    ports: int
    formula: float
    measured: float
    low: float
    high: float
    agrees: bool


def odds(probes: int, sockets: int = SOCKETS, ports: int = len(PORTS)) -> float:
    """The chance that one of the probes, all at distinct ports, finds one of the sockets' ports."""
    bad_input.check_whole(ports, "ports=", least=1)
    bad_input.check_whole(sockets, "sockets=", least=1, most=ports)
    bad_input.check_whole(probes, "the number of probes")
    missed = 1.0
    for probe in range(min(probes, ports)):
        missed *= max(0, ports - sockets - probe) / (ports - probe)
    return 1 - missed


def odds_two_hard(packets: float, others: float | None = None, ports: int = len(PORTS)) -> float:
    """The chance if neither side knows the other's port, and each packet is a new guess from a new port."""
    return 1 - math.exp(-packets * (packets if others is None else others) / ports**2)


def first_hit(seed: int, sockets: int = SOCKETS, probes: int = 2048, config: NatConfig = HARD) -> int | None:
    """Alice opens her doors, Bob probes: the number of the first probe that is let in, from 1; None if none was."""
    bad_input.check_whole(probes, "the number of probes", most=len(PORTS))
    bad_input.check_whole(sockets, "sockets=", most=len(PORTS))
    chance = rng_for(seed, "bob")
    box = NatBox("hard", config, ALICE, rng_for(seed, "hard"), Journal(()))
    for number in range(sockets):
        box.outbound(Packet(IPProtocol.UDP, Endpoint("192.168.1.2", 10_000 + number), BOB), 0)
    for number, port in enumerate(chance.sample(PORTS, probes), 1):
        if isinstance(box.inbound(Packet(IPProtocol.UDP, BOB, Endpoint(ALICE, port)), 0), Packet):
            return number
    return None


def first_hits(
    seed: int, tries: int, progress: Progress | None = None, sockets: int = SOCKETS, config: NatConfig = HARD
) -> list[int | None]:
    """`first_hit` again and again, each time with other chances."""
    seeds = _seeds(seed, "one hard side", tries)
    return [first_hit(each, sockets, config=config) for each in counted(seeds, progress)]


def _seeds(seed: int, what: str, tries: int) -> list[int]:
    """Other chances for each try."""
    bad_input.check_whole(tries, "tries=")
    chance = rng_for(seed, what)
    return [chance.getrandbits(32) for _ in range(tries)]


def compare(hits: Sequence[int | None]) -> pd.DataFrame:
    """Tries beside the formula and what was published; columns as `OddsRow`.

    Raises:
        LabError: no tries.
    """
    return frame(OddsRow, (_row(hits, probes, published) for probes, published in PUBLISHED.items()))


def _row(hits: Sequence[int | None], probes: int, published: float) -> OddsRow:
    measured, low, high = _share(hits, probes)
    return OddsRow(probes, published, odds(probes), measured, low, high, low <= odds(probes) <= high)


def _share(hits: Sequence[int | None], probes: int) -> tuple[float, float, float]:
    """The part of the tries that hit within so many probes, and its confidence interval (Wilson 1927)."""
    if not hits:
        raise LabError("there is nothing to compare without a try: first_hits(seed, tries=100)")
    count = len(hits)
    part = sum(hit is not None and hit <= probes for hit in hits) / count
    z = CONFIDENCE**2 / count
    middle, spread = part + z / 2, CONFIDENCE * math.sqrt(part * (1 - part) / count + z / (4 * count))
    return part, (middle - spread) / (1 + z), (middle + spread) / (1 + z)


def picture(hits: Sequence[int | None]) -> Figure:
    """The chance over the number of probes: by the formula, in the tries (with their intervals), and as published."""
    steps = [*range(0, 2049, 32)]
    measured = [(probes, *_share(hits, probes)) for probes in (32, 64, 128, *PUBLISHED, 512, 1536)]
    lines = [
        Line("formula", BLUE, [(probes, odds(probes)) for probes in steps]),
        Line(f"{len(hits)} tries, with 95 % confidence", VERMILION, ranges=measured),
        Line("published", INK, crosses=list(PUBLISHED.items())),
    ]
    title = f"One hard side, {SOCKETS} sockets: the chance that a probe gets in"
    holds = sum(low <= odds(probes) <= high for probes, _, low, high in measured)
    words = "; ".join(f"after {probes} probes {part:.0%}" for probes, part, *_ in sorted(measured))
    alt = f"The curve rises fast and flattens. {holds} of {len(measured)} intervals hold the formula: {words}."
    return chart(lines, title=title, x="probes", y="chance to meet", alt=alt)


# ---- two hard sides


def two_hard(seed: int, packets: int, ports: int = 128) -> bool:
    """Both boxes are hard, and have only `ports` ports, so that it does not take all day: does any packet get in?

    They take turns. Each packet leaves from a new port, and goes to one that its sender guesses.

    Raises:
        LabError: more packets than ports: the mapping of each holds one as long as it lives.
    """
    bad_input.check_whole(ports, "ports=", least=1, most=len(PORTS))
    bad_input.check_whole(packets, "the number of packets")
    if packets > ports:
        raise LabError(f"each packet takes a port of its own, and a box has {ports}: send no more than that")
    config = replace(HARD, port_range=(PORTS[0], PORTS[ports - 1]))
    alice, bob = (NatBox(ip, config, ip, rng_for(seed, ip), Journal(())) for ip in (ALICE, BOB.ip))
    chance = rng_for(seed, "guesses")
    for number in range(packets):
        internal = Endpoint("192.168.1.2", 10_000 + number)
        for near, far in ((alice, bob), (bob, alice)):
            guess = Endpoint(far.external_ip, chance.choice(PORTS[:ports]))
            sent = near.outbound(Packet(IPProtocol.UDP, internal, guess), 0)
            if isinstance(sent, Packet) and isinstance(far.inbound(sent, 0), Packet):
                return True
    return False


def compare_two_hard(seed: int, packets: Sequence[int], tries: int, ports: int = 128) -> pd.DataFrame:
    """Tries with two hard sides beside the formula; columns as `TwoHardRow`."""
    return frame(TwoHardRow, (_two_hard_row(seed, each, tries, ports) for each in packets))


def _two_hard_row(seed: int, packets: int, tries: int, ports: int) -> TwoHardRow:
    seeds = _seeds(seed, f"{packets} packets each", tries)
    hits = [1 if two_hard(each, packets, ports) else None for each in seeds]
    formula, (measured, low, high) = odds_two_hard(packets, ports=ports), _share(hits, 1)
    return TwoHardRow(packets, ports, formula, measured, low, high, low <= formula <= high)
