"""Where a host's mappings may lie: on which external address, and on which of its ports.

IP pooling (RFC 4787 section 4.1), for a box with several external addresses:

    paired      all mappings of a host on one address, the same for all its protocols and remotes (REQ-2 recommends it)
    arbitrary   each new mapping on any of them: a peer sees one host under several addresses

Port blocks (RFC 7422). A carrier must be able to say which subscriber was behind an address and a port. With blocks of
fixed size, dealt out by the internal address alone, it needs to keep no log:

    address and block number = internal address modulo all blocks          blocks of 1000, two addresses
    100.64.0.0   11.0.0.1, ports 1024 - 2023                               64 on each, 128 subscribers
    100.64.0.1   11.0.0.1, ports 2024 - 3023

Subscribers with consecutive addresses share no block as long as there are no more of them than blocks; beyond that two
share a block, but never a port. A host cannot have more ports than its block has.

Nothing here is remembered per host, so floods of forged internal addresses cost no memory.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from natlab.endpoint import parse_ip
from natlab.nat.config import NatConfig, Pooling

__all__ = ["DYNAMIC_PORTS", "Pool", "Share"]

LOW_PORTS = range(1, 1024)
DYNAMIC_PORTS = range(1024, 65536)  # RFC 4787 REQ-3a: a port above 1023 stays above 1023


class Share(NamedTuple):
    """An external address, the ports on it to choose from, and those that may be preserved.

    Attributes:
        low_ports: those to choose from for an internal port below 1024 (RFC 4787 REQ-3a).
    """

    ip: str
    ports: range
    low_ports: range
    preservable: range


class Pool:
    """The external addresses of one box."""

    def __init__(self, config: NatConfig, ips: Sequence[str], rng: random.Random) -> None:
        self._ips = ips
        self._rng = rng
        self._is_paired = config.pooling is Pooling.PAIRED
        self._block = config.port_block
        if config.port_range is None:
            self._ports, self._low_ports, self._preservable = DYNAMIC_PORTS, LOW_PORTS, range(1, 65536)
        else:
            first, last = config.port_range
            self._ports = self._low_ports = self._preservable = range(first, last + 1)

    def share_of(self, internal_ip: str) -> Share:
        """What a new mapping of this host may use."""
        if self._block is not None:
            return self._block_of(internal_ip, self._block)
        if len(self._ips) == 1:
            ip = self._ips[0]
        elif self._is_paired:
            ip = self._ips[int(parse_ip(internal_ip)) % len(self._ips)]
        else:
            ip = self._rng.choice(self._ips)
        return Share(ip, self._ports, self._low_ports, self._preservable)

    def _block_of(self, internal_ip: str, size: int) -> Share:
        per_address = len(self._ports) // size
        which, number = divmod(int(parse_ip(internal_ip)) % (per_address * len(self._ips)), per_address)
        block = self._ports[number * size : (number + 1) * size]
        return Share(self._ips[which], block, block, block)
