"""Every pair of NATs: 9 kinds in front of Alice by 9 in front of Bob, and what becomes of their hole punch.

    punch_grid(seed, "tcp")       a table: 81 pairs, raw sockets (`natlab.lab.raw_punch`), before any libp2p
    picture(table)                the same as a heat map
    go_libp2p()                   what real libp2p nodes did behind Linux's NATs, for comparison

The rule. Y's packets reach X at the endpoint that was reported for X, if

    X maps endpoint-independently, so that endpoint is the one it uses towards Y, and admits where Y comes from: it
        filters by address at most, or Y maps endpoint-independently too and so comes from the endpoint X has sent to;
    or X filters endpoint-independently: then the mapping that was reported admits everybody.

They meet if Y reaches X or X reaches Y. This is the rule that real go-libp2p followed behind Linux's NATs
(`data/README.md`), with one difference: libp2p's two ends have roles, and where only one direction works it may take a
third attempt. Here nobody has a role. Chance does not enter: external ports are random, but nobody guesses.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from natlab.errors import LabError
from natlab.lab.figure import Figure
from natlab.lab.heat_map import Shade, heat_map
from natlab.lab.palette import BLUE, FAINT, GREEN, VERMILION, YELLOW
from natlab.lab.progress import Progress, counted
from natlab.lab.raw_punch import Meeting, Outcome, Transport, punch, two_hosts
from natlab.lab.views.frame import frame
from natlab.nat import Behaviour

__all__ = ["BOXES", "PAIRS", "Box", "GridRow", "go_libp2p", "is_reached", "picture", "punch_grid", "rule"]

MEASURED = Path(__file__).parents[2] / "data" / "measured" / "go-go-tcp.csv"

_INDEPENDENT = Behaviour.ENDPOINT_INDEPENDENT
_SHORT = dict(zip(Behaviour, ("EI", "AD", "APD"), strict=True))
NOTE = "mapping/filtering: EI endpoint-independent, AD address-dependent, APD address-and-port-dependent"


class Box(NamedTuple):
    """A NAT by the two axes that decide a punch; as text "EI/APD"."""

    mapping: Behaviour
    filtering: Behaviour

    def __str__(self) -> str:
        return f"{_SHORT[self.mapping]}/{_SHORT[self.filtering]}"


BOXES = [Box(*behaviours) for behaviours in product(Behaviour, repeat=2)]
PAIRS: list[tuple[Box, Box]] = [(alice, bob) for alice in BOXES for bob in BOXES]


class GridRow(NamedTuple):
    """
    Columns:
        transport: string, tcp or udp.
        alice, bob: string, the NAT in front of each as MAPPING/FILTERING: EI, AD or APD (`NOTE`).
        outcome: string, a word of `natlab.lab.raw_punch.Outcome`.
        rule: string, the same as the rule at the top of this file foretells it.
        seconds: float64, from Alice's first packet to the first answer; NaN if there is none.
    """

    transport: str
    alice: str
    bob: str
    outcome: str
    rule: str
    seconds: float


def is_reached(x: Box, y: Box) -> bool:
    """Whether packets of the host behind `y` reach the endpoint that was reported for the host behind `x`."""
    if x.filtering is _INDEPENDENT:
        return True
    comes_from_where_x_sends = y.mapping is _INDEPENDENT
    return x.mapping is _INDEPENDENT and (x.filtering is Behaviour.ADDRESS_DEPENDENT or comes_from_where_x_sends)


def rule(alice: Box, bob: Box) -> Outcome:
    """What the rule foretells, for random ports and a link slower than the gap between the two."""
    match is_reached(alice, bob), is_reached(bob, alice):
        case True, True:
            both_as_reported = alice.mapping is bob.mapping is _INDEPENDENT
            return Outcome.CROSSED if both_as_reported else Outcome.EACH
        case True, False:
            return Outcome.ALICE
        case False, True:
            return Outcome.BOB
        case _:
            return Outcome.NOBODY


def punch_grid(
    seed: int, transport: Transport, *, gap: float = 0.0, progress: Progress | None = None, **axes: str | float
) -> pd.DataFrame:
    """Plays all 81 pairs, each in a lab of its own; a second or less. Columns as `GridRow`.

    Args:
        gap: seconds from Alice's first packet to Bob's.
        progress: called with (done, 81), for example `natlab.lab.progress.show`.
        axes: what else both boxes have, as in `Lab.nat`; ports are random unless `port_allocation` says otherwise.

    Raises:
        LabError: no such axis or value.
        KeyboardInterrupt: Ctrl-C, between two cells or in one; nothing is left half done.
    """
    both = {"port_allocation": "random", **axes}
    return frame(GridRow, (_row(seed, transport, pair, gap, both) for pair in counted(PAIRS, progress)))


def _row(seed: int, transport: Transport, pair: tuple[Box, Box], gap: float, axes: dict[str, str | float]) -> GridRow:
    alice, bob = pair
    outcome, seconds = _play(seed, transport, alice, bob, gap, axes)
    return GridRow(transport, str(alice), str(bob), outcome, rule(alice, bob), seconds)


def _play(seed: int, transport: Transport, alice: Box, bob: Box, gap: float, axes: dict[str, str | float]) -> Meeting:
    lab = two_hosts(seed, {**alice._asdict(), **axes}, {**bob._asdict(), **axes}, record=())
    try:
        return punch(lab, transport, gap=gap)
    finally:
        lab.close()


_SHADES: dict[str, Shade] = {
    Outcome.CROSSED: Shade(GREEN, "><", "crossed: each hears the other from the reported endpoint"),
    Outcome.BOB: Shade(VERMILION, "B", "only Bob is reached, and answers"),
    Outcome.ALICE: Shade(BLUE, "A", "only Alice is reached, and answers"),
    Outcome.EACH: Shade(YELLOW, "A B", "each is reached, from an endpoint that nobody reported"),
    Outcome.NOBODY: Shade(FAINT, "–", "nobody is reached"),
}


def picture(grid: pd.DataFrame) -> Figure:
    """The heat map of what `punch_grid` returned.

    Raises:
        LabError: it is more than one such table, or a part of one.
    """
    names = [str(box) for box in BOXES]
    if sorted(zip(grid.alice, grid.bob, strict=True)) != sorted(product(names, names)):
        raise LabError("the picture takes the whole table of punch_grid, each pair of boxes once")
    table = grid.pivot_table(index="alice", columns="bob", values="outcome", aggfunc="first")
    table = table.loc[names, names].rename_axis(index="Alice's NAT", columns="Bob's NAT")
    met = (grid.outcome != Outcome.NOBODY).sum()
    title = f"{met} of {len(grid)} pairs of NATs let a raw {grid.transport.iloc[0].upper()} hole punch through"
    return heat_map(table, _SHADES, title=title, note=NOTE, group=3)


def go_libp2p() -> pd.DataFrame:
    """What go-libp2p v0.51 did in the same pairs, in the same order: listener as Alice, dialer as Bob.

    Returns:
        columns as `data/README.md` describes them; `attempt` is "never" where no punch succeeded.

    Raises:
        LabError: natlab was installed without its repository, which has the measurements.
    """
    if not MEASURED.exists():
        raise LabError(f"the measurements are in natlab's repository, and {MEASURED} is not there: run it from a clone")
    return pd.read_csv(MEASURED).fillna({"attempt": "never"})
