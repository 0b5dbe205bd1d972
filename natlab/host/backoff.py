"""Dial backoff: an address that was dialled in vain is left alone for a while.

    failed dials in a row      1    2    3    4  ...  18 and more
    seconds left alone         5    6    9   14  ...  300           5 + (failed before)², at most 5 minutes

A connection to the peer, however it came about, clears its addresses. Hole punches neither ask nor count: they know
when the peer will be there. Source: go-libp2p `p2p/net/swarm/swarm_dial.go`.
"""

from __future__ import annotations

from multiaddr import Multiaddr

from natlab.wire.peer_id import PeerId

BASE = 5.0
FACTOR = 1.0
LONGEST = 300.0
MAX_PEERS = 1024
"""Peers remembered; ours."""


class Backoff:
    """The addresses that are left alone. All times are the loop's, in seconds."""

    def __init__(self) -> None:
        self._peers: dict[PeerId, dict[Multiaddr, tuple[int, float]]] = {}  # failures in a row, alone until

    def until(self, peer: PeerId, to: Multiaddr) -> float:
        """When the address may be dialled again; 0 if it was not dialled in vain."""
        return self._peers.get(peer, {}).get(to, (0, 0.0))[1]

    def failed(self, peer: PeerId, to: Multiaddr, now: float) -> None:
        addresses = self._peers.setdefault(peer, {})
        before, _ = addresses.get(to, (0, 0.0))
        addresses[to] = before + 1, now + min(BASE + FACTOR * before**2, LONGEST)
        if len(self._peers) > MAX_PEERS:
            del self._peers[next(iter(self._peers))]

    def connected(self, peer: PeerId) -> None:
        self._peers.pop(peer, None)
