"""The trap of labs without delay: a hole punch that works everywhere but there.

    bob ── SYN, seq 1000 ──> his box ──> ✗ alice's box      some time ago, in vain; his box remembers the number
    alice ── SYN ──────────────────────> his box ──> bob    the punch: it is let in, since he has sent to her
                                                            before he dials her: his *listener* answers
    bob ── SYN ACK, seq 7777 ──> ✗ his box                  another number than that of his SYN: "invalid"
    bob dials, 10 ms later                                  EADDRNOTAVAIL: the listener has the connection already

With delay on the links his dial leaves before her SYN is there, the two cross, and all numbers are as expected. A box
that does not look at sequence numbers (Linux: `nf_conntrack_tcp_be_liberal`) lets the listener's answer pass too.

Real go-libp2p never punched through two such Linux boxes on links without delay, and always did with 20 ms or with
liberal checks. `natlab.lab.report` measures the same of one box, as RFC 5382 "REQ-2, redial" and "REQ-2a", and holds it
against nftables.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from natlab.lab.bare import Refusal, attempt
from natlab.lab.lab import Lab
from natlab.lab.raw_punch import PORT, Meeting, punch
from natlab.lab.views.frame import frame
from natlab.sim.links import LinkConfig

__all__ = ["TrapRow", "punch_again", "zero_delay_trap"]

GAP = 0.010  # seconds from alice's dial to bob's
EARLIER = 0.5  # seconds that bob's first dial waits for an answer


class TrapRow(NamedTuple):
    """
    Columns:
        delay: float64, seconds one way between the hosts.
        checks_sequence_numbers: bool, whether the boxes do.
        outcome: string, "crossed", "bob is reached", "nobody"; see `natlab.lab.raw_punch`.
    """

    delay: float
    checks_sequence_numbers: bool
    outcome: str


def punch_again(seed: int, delay: float, *, checks_sequence_numbers: bool = True) -> Meeting:
    """A TCP hole punch between two Linux boxes after Bob has dialled Alice in vain.

    Args:
        delay: seconds one way between the two hosts.
        checks_sequence_numbers: whether the boxes look at TCP's numbers; Linux does unless told to be liberal.
    """
    lab = Lab(seed, record=())
    for name, box in (("alice", "home"), ("bob", "office")):
        nat = lab.nat(
            "linux",
            name=box,
            link=LinkConfig(delay=delay / 2),
            checks_sequence_numbers=checks_sequence_numbers,
            unsolicited_syn="drop",
        )
        lab.host(name, behind=nat, delay=0.0)
    lab.host("observer", delay=delay / 2)
    bob, door = lab.hosts["bob"], f"{lab.places[0].ip}:{PORT}"
    assert isinstance(lab.run(attempt(bob.dial(door, PORT, reuse_port=True, timeout=EARLIER))), Refusal)
    return punch(lab, "tcp", gap=GAP)


def zero_delay_trap(seed: int) -> pd.DataFrame:
    """Into the trap, and out of it by delay or by liberal checks; columns as `TrapRow`."""
    cases = ((0.0, True), (0.020, True), (0.0, False))
    return frame(
        TrapRow,
        (
            TrapRow(delay, strict, punch_again(seed, delay, checks_sequence_numbers=strict).outcome)
            for delay, strict in cases
        ),
    )
