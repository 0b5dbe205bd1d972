"""Who was let in: what each NAT box did with each sender's last packet from outside.

box \\ sender                  12.0.0.1:7000   12.0.0.1:8000   13.0.0.1:7000
endpoint-independent          let in          let in          let in
address-dependent             let in          let in          dropped
address-and-port-dependent    let in          dropped         dropped
"""

from __future__ import annotations

import pandas as pd

from natlab.events import PacketSeen, Verdict
from natlab.lab.lab import Lab
from natlab.lab.topology import BOXES

__all__ = ["knocks"]

LET_IN, DROPPED = "let in", "dropped"


def knocks(lab: Lab) -> pd.DataFrame:
    """A row for each NAT box, a column for each endpoint on the internet that sent to one, in the order they came.

    Returns:
        a table of strings, index `box`, columns `sender`: "let in", "dropped", or "" if it never sent to that box.
    """
    names = {place.ip: place.name for place in lab.places}
    boxes = {place.name: place.ip for place in lab.places if place.kind in BOXES}
    found: dict[str, dict[str, str]] = {name: {} for name in boxes}
    for seen in lab.journal.of(PacketSeen):
        packet = seen.before or seen.packet
        if packet.destination.ip == boxes.get(seen.place):
            sender = f"{names[packet.source.ip]}:{packet.source.port}"
            found[seen.place][sender] = DROPPED if seen.verdict == Verdict.DROPPED else LET_IN
    table = pd.DataFrame.from_dict(found, orient="index", dtype="string").fillna("")
    return table.rename_axis(index="box", columns="sender")
