"""What a node knows of other peers: where they say they are, and what they said of themselves.

Everything in here was told by strangers, so all of it is bounded: the peers, and the addresses of each.

*Not modelled*: times to live. Peers that are not connected are forgotten when room is needed, the longest unheard of
first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from multiaddr import Multiaddr

from natlab.protocol.identify import Identity
from natlab.wire import address
from natlab.wire.peer_id import PeerId

MAX_PEERS = 1024
"""Peers remembered; ours."""
MAX_ADDRESSES = 64
"""Addresses remembered of one peer. Source: go-libp2p v0.49 `pstoremem/addr_book.go`."""


UNHEARD = Identity()
"""What a peer has said of itself before it said anything."""


@dataclass(slots=True)
class KnownPeer:
    """Attributes:
    addresses: without `/p2p/ID` at the end, in the order heard.
    identity: what identify said last; its addresses are cut to `MAX_ADDRESSES`, and the signed record is left out.
    """

    addresses: dict[Multiaddr, None] = field(default_factory=dict)
    identity: Identity = UNHEARD


class Peerstore:
    """The node's address book."""

    def __init__(self) -> None:
        self._peers: dict[PeerId, KnownPeer] = {}  # the one heard of last stands last

    def addresses(self, peer: PeerId) -> tuple[Multiaddr, ...]:
        """Where the peer may be, in the order heard, without `/p2p/ID` at the end."""
        known = self._peers.get(peer)
        return tuple(known.addresses) if known else ()

    def identity(self, peer: PeerId) -> Identity:
        """What the peer said of itself last, see `KnownPeer`; `UNHEARD` before it said anything."""
        known = self._peers.get(peer)
        return known.identity if known else UNHEARD

    def add(self, peer: PeerId, addresses: Iterable[Multiaddr]) -> None:
        """Remembers addresses, with or without the peer's `/p2p/ID`; beyond `MAX_ADDRESSES` new ones are dropped."""
        known = self._heard_of(peer)
        for one in addresses:
            if len(known.addresses) < MAX_ADDRESSES:
                known.addresses.setdefault(address.without_peer(one))

    def identified(self, peer: PeerId, said: Identity) -> None:
        """Takes in what the peer said; a signed record replaces the addresses, being the peer's own whole list."""
        known = self._heard_of(peer)
        known.identity = replace(said, listen_addresses=said.listen_addresses[:MAX_ADDRESSES], record=None)
        if said.record is not None:
            known.addresses.clear()
        self.add(peer, (*(said.record.addresses if said.record else ()), *said.listen_addresses))

    def _heard_of(self, peer: PeerId) -> KnownPeer:
        known = self._peers.pop(peer, None) or KnownPeer()
        while len(self._peers) >= MAX_PEERS:
            del self._peers[next(iter(self._peers))]
        self._peers[peer] = known
        return known
