"""`lab.observations`: who told whom which observed address, over which connection.

A node cannot see the endpoint its NAT gave it; its peers can, and identify carries what they see
(specs `identify/README.md`, observedAddr). Before a node advertises such an address, go-libp2p wants to hear it from
four observers; DCUtR's CONNECT sends it after one.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from natlab.events import AddressObserved, Journal
from natlab.lab.views.frame import Names, frame, who


class ObservationRow(NamedTuple):
    """
    Columns:
        time: float64, seconds since the lab began.
        node: string, who was told.
        observer: string, who told it.
        address: string, the multiaddr at which the observer sees the node.
        connection: int64, number of the connection, counted by the node that was told.
        observers: int64, how many have reported this address so far.
        activated: bool, enough of them to advertise it.
    """

    time: float
    node: str
    observer: str
    address: str
    connection: int
    observers: int
    activated: bool


def observations(journal: Journal, names: Names) -> pd.DataFrame:
    """One row for each report that counts, in the order received; columns as `ObservationRow`.

    Not for one over a connection from a port where nobody listens: no mapping leads from there to a listener. Nor for
    one through a relay, of loopback, or said before.
    """
    return frame(ObservationRow, (_row(event, names) for event in journal.of(AddressObserved)))


def _row(event: AddressObserved, names: Names) -> ObservationRow:
    return ObservationRow(
        time=event.time,
        node=event.place,
        observer=who(event.observer, names),
        address=event.address,
        connection=event.connection,
        observers=event.observers,
        activated=event.activated,
    )
