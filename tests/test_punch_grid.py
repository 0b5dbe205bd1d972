"""DCUtR over TCP through every pair of NATs: 9 x 9, beside what real go-libp2p did behind Linux's own NATs.

`data/measured/go-go-tcp.csv` says for each pair whether go-libp2p v0.51 punched, and on which attempt. Each cell is run
here with natlab's node in the simulated internet, the same way: a relay and four observers on public addresses, 20 ms
one way. The listener reserves, the dialer dials it through the relay, so the listener starts DCUtR ("initiator").
Which packets arrive is the rule of raw punches (`natlab.lab.punch_grid`); libp2p's roles decide what they are good for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from natlab import Lab
from natlab.events import PunchEnded
from natlab.lab.lab import OUTCOMES
from natlab.lab.punch_grid import PAIRS, Box, is_reached
from natlab.nat import Behaviour
from natlab.protocol.dcutr import GO_V048, SPEC, RoleProfile

MEASURED = Path(__file__).parent.parent / "data" / "measured" / "go-go-tcp.csv"
EI = Behaviour.ENDPOINT_INDEPENDENT
WHO = ("listener", "dialer")


def rule(listener: Box, dialer: Box, profile: RoleProfile = GO_V048) -> str:
    """The attempt that succeeds: "reversal", "1", "3", or "" for none."""
    if dialer == Box(EI, EI):
        return "reversal"  # the dialer advertises an address at which anyone reaches it
    if is_reached(listener, dialer):
        return "1"  # the dialer's packets arrive: they cross the listener's, or land on its listening socket
    if is_reached(dialer, listener) and profile is GO_V048:
        return "3"  # only the listener's arrive, on a listening socket: two servers, until the third attempt's swap
    return ""


def measured() -> dict[tuple[Box, Box], str]:
    """Real go-libp2p's attempt for each pair (facts: `data/README.md`)."""

    def rows() -> Iterator[tuple[tuple[Box, Box], str]]:
        with MEASURED.open(newline="") as file:
            for row in csv.DictReader(file):
                boxes = [Box(Behaviour(row[f"{who}_mapping"]), Behaviour(row[f"{who}_filtering"])) for who in WHO]
                yield (boxes[0], boxes[1]), row["attempt"]

    return dict(rows())


def punch(listener: Box, dialer: Box, *, ports: str = "random", profile: RoleProfile = GO_V048) -> str:
    """Runs one cell: the attempt by which a direct connection came about, "" if none did."""
    lab = Lab(seed=1, record=OUTCOMES)
    relay = lab.node("relay")
    crowd = lab.crowd(4)
    nodes = {}
    for who, box in zip(WHO, (listener, dialer), strict=True):
        nat = lab.nat(name=f"{who}'s NAT", mapping=box.mapping, filtering=box.filtering, port_allocation=ports)
        nodes[who] = lab.node(who, behind=nat, hole_punching=profile)
        for observer in crowd:
            lab.run(nodes[who].dial(observer.addresses[0]))
    lab.run(nodes["listener"].reserve(relay))
    lab.advance(5.0)
    lab.run(nodes["dialer"].dial(nodes["listener"].address_via(relay)))
    lab.advance(60.0)
    succeeded = [end.attempt for end in lab.journal.of(PunchEnded) if end.outcome == "success"]
    lab.close()
    return "".join("reversal" if attempt == 0 else str(attempt) for attempt in succeeded)


def named(pair: tuple[Box, Box]) -> str:
    return f"{pair[0]} listener, {pair[1]} dialer"


GO = measured()
SWAPPED = [pair for pair in PAIRS if GO[pair] == "3"]
"""The cells that only the swap of roles on attempt 3 rescues. The listener's packets alone get through."""
NEVER = [pair for pair in PAIRS if GO[pair] == ""]


def test_the_measured_table_is_whole() -> None:
    assert list(GO) == PAIRS
    counts = {attempt: list(GO.values()).count(attempt) for attempt in ("reversal", "1", "3", "")}
    assert counts == {"reversal": 9, "1": 34, "3": 14, "": 24}


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_outcome_and_attempt_are_those_of_go_libp2p_and_of_the_rule(pair: tuple[Box, Box]) -> None:
    assert punch(*pair) == GO[pair] == rule(*pair)


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_with_the_roles_of_the_spec_the_third_attempt_rescues_nobody(pair: tuple[Box, Box]) -> None:
    expected = "" if pair in SWAPPED else GO[pair]
    assert punch(*pair, profile=SPEC) == expected == rule(*pair, SPEC)


def test_the_cells_that_the_roles_of_the_spec_lose() -> None:
    """In each the listener's packets reach the dialer, and none of the dialer's reach the listener."""
    assert sorted(map(named, SWAPPED)) == [
        "AD/AD listener, AD/EI dialer",
        "AD/AD listener, APD/EI dialer",
        "AD/AD listener, EI/AD dialer",
        "AD/APD listener, AD/EI dialer",
        "AD/APD listener, APD/EI dialer",
        "AD/APD listener, EI/AD dialer",
        "APD/AD listener, AD/EI dialer",
        "APD/AD listener, APD/EI dialer",
        "APD/AD listener, EI/AD dialer",
        "APD/APD listener, AD/EI dialer",
        "APD/APD listener, APD/EI dialer",
        "APD/APD listener, EI/AD dialer",
        "EI/APD listener, AD/EI dialer",
        "EI/APD listener, APD/EI dialer",
    ]


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_port_preservation_makes_every_pair_punch(pair: tuple[Box, Box]) -> None:
    """Each internal port stands outside under the same number for every remote: endpoint-independent in effect."""
    seen_as = [Box(EI, box.filtering) for box in pair]
    assert punch(*pair, ports="preserving") == rule(*seen_as)


def test_the_cells_that_port_preservation_rescues() -> None:
    assert len(NEVER) == 24
    assert all(is_reached(Box(EI, listener.filtering), Box(EI, dialer.filtering)) for listener, dialer in NEVER)
