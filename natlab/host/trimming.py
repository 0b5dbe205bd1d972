"""Which connections a node gives up when it has too many.

    connections
    up to 192, the high water    all stay
    more                         down to 160, the low water, the least used are closed
    256                          nobody else is let in

Least used is what carries no stream, then what was accepted and not dialled, then what carries few streams, then the
oldest. Spared are connections younger than a minute, and those to protected peers: relays that hold a place for us,
peers we hold a place for, peers that a hole punch is about.

Source: go-libp2p `p2p/net/connmgr/connmgr.go`, `defaults.go`. *Not modelled*: tags that make one peer worth more than
another; trimming by the clock: here only a new connection can set it off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from natlab.transport.connection import Connection
from natlab.wire.peer_id import PeerId

LOW_WATER = 160
HIGH_WATER = 192
MAX_CONNECTIONS = 256
"""Connections at which a node accepts no more; ours. go-libp2p counts memory and file descriptors instead."""
GRACE = 60.0
"""Seconds in which a new connection may prove useful."""


def to_trim(connections: Iterable[Connection], now: float, is_protected: Callable[[PeerId], bool]) -> list[Connection]:
    """The connections to close, least used first, once there are more than `HIGH_WATER`.

    Args:
        now: the loop's time in seconds.
    """
    old = [connection for connection in connections if now - connection.route.started >= GRACE]
    spare = [connection for connection in old if connection.takes_streams and not is_protected(connection.peer)]
    return sorted(spare, key=_use)[: max(len(spare) - LOW_WATER, 0)]


def _use(connection: Connection) -> tuple[bool, bool, int, int]:
    return connection.streams > 0, connection.route.dialled, connection.streams, connection.number
