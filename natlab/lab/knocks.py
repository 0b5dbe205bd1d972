"""Who was let in: what each NAT box did with each sender's last packet from outside.

box \\ sender                  12.0.0.1:7000   12.0.0.1:8000   13.0.0.1:7000
endpoint-independent          let in          let in          let in
address-dependent             let in          let in          dropped
address-and-port-dependent    let in          dropped         dropped
"""

from __future__ import annotations

import pandas as pd

from natlab.events import MappingCreated, PacketSeen, Verdict
from natlab.lab.lab import Lab
from natlab.lab.topology import BOXES

__all__ = ["knocks"]

LET_IN, DROPPED = "let in", "dropped"


def knocks(lab: Lab) -> pd.DataFrame:
    """A row for each NAT box or firewall, a column for each endpoint outside that sent to one, in the order they came.

    Who is not known by name, such as a host behind another NAT's second address, is called by its address.

    Returns:
        a table of strings, index `box`, columns `sender`: "let in", "dropped", or "" if it never sent to that box.
    """
    names = {ip: place.name for place in lab.places for ip in (place.ip6, place.ip) if ip}
    boxes = {place.name: {place.ip} for place in lab.places if place.kind in BOXES}
    found: dict[str, dict[str, str]] = {name: {} for name in boxes}
    for event in lab.journal.events:
        if isinstance(event, MappingCreated):  # one of several addresses, or that of a host behind a firewall
            boxes[event.place].add(event.external.ip)
        elif isinstance(event, PacketSeen) and event.place in boxes:
            packet = event.before or event.packet
            if packet.destination.ip in boxes[event.place] and packet.source.ip not in boxes[event.place]:
                name = names.get(packet.source.ip)
                sender = f"{name}:{packet.source.port}" if name else str(packet.source)
                found[event.place][sender] = DROPPED if event.verdict == Verdict.DROPPED else LET_IN
    table = pd.DataFrame.from_dict(found, orient="index", dtype="string").fillna("")
    return table.rename_axis(index="box", columns="sender")
