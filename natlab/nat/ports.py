"""Which external port a new mapping gets (RFC 4787 section 4.2).

    preserving           internal port 4001 -> external port 4001, if no other internal endpoint holds it; else a
                         random one
    preserving-or-drop   the same, but without a second choice: the second host gets nothing
    sequential           the port after the last one given out (`port_stride` after it): who sees two mappings knows
                         the third
    random               a random one each time
    overlapping          internal port 4001 -> external port 4001, even if another internal endpoint holds it, while the
                         two talk to different remotes; towards a remote of both, the later one gets another port
    overloading          internal port 4001 -> external port 4001, even if another internal endpoint holds it. The box
                         tells them apart by the remote; of two that talk to one remote, only the later one hears it

Except for overlapping and overloading, which RFC 4787 REQ-3 and RFC 5382 REQ-7 forbid, a port is held by one internal
endpoint at a time. Several mappings of one internal endpoint may share a port, and under "preserving" they do. That is
why a box whose mapping depends on the remote, but which preserves ports, looks endpoint-independent from outside until
two hosts want one port.

"overlapping" is Linux's way (RFC 7857 section 3 has the word). A host whose port is contested keeps the one that it got
instead for all further remotes, if it is free towards them.

`port_parity` keeps even ports even and odd ones odd (RFC 4787 REQ-4; RTP took the even port and RTCP the odd one
above). Not modelled: port contiguity (RFC 4787 section 4.2.3 asks for none).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from natlab.endpoint import Endpoint
from natlab.nat.config import NatConfig, PortAllocation
from natlab.nat.pool import DYNAMIC_PORTS, Share

__all__ = ["Ports", "random_free_port"]

Holder = Callable[[Endpoint], Endpoint | None]


class Ports:
    """Gives out the ports of one box."""

    def __init__(self, config: NatConfig, rng: random.Random) -> None:
        self._allocation = config.port_allocation
        self._stride = config.port_stride
        self._keeps_parity = config.port_parity
        self._rng = rng
        self._last: dict[tuple[str, int], int] = {}  # sequential: external address, first of the ports -> index

    def allocate(
        self, internal: Endpoint, share: Share, holder: Holder, latest: Endpoint | None = None
    ) -> Endpoint | None:
        """The external endpoint for a new mapping of `internal`, or None if there is none left.

        Args:
            share: the address and ports to choose from.
            holder: which internal endpoint holds an external endpoint now, None if it is free.
            latest: overlapping only: the external endpoint of its latest mapping.
        """
        if latest is not None and holder(latest) in (None, internal):
            return latest
        if self._allocation in _PRESERVING and internal.port in share.preservable:
            same = Endpoint(share.ip, internal.port)
            if self._allocation is PortAllocation.OVERLOADING or holder(same) in (None, internal):
                return same
        if self._allocation is PortAllocation.PRESERVING_OR_DROP:
            return None
        ports = share.low_ports if internal.port < 1024 else share.ports
        if self._keeps_parity:
            ports = ports[(internal.port - ports.start) % 2 :: 2]
        if not ports:
            return None
        start = self._start(share.ip, ports)
        for i in range(start, start + len(ports)):
            external = Endpoint(share.ip, ports[i % len(ports)])
            if holder(external) is None:
                self._last[share.ip, ports.start] = i % len(ports)
                return external
        return None

    def _start(self, ip: str, ports: range) -> int:
        """The index of the port to try first."""
        last = self._last.get((ip, ports.start))
        if self._allocation is PortAllocation.SEQUENTIAL and last is not None:
            return (last + self._stride) % len(ports)
        return self._rng.randrange(len(ports))


_PRESERVING = (
    PortAllocation.PRESERVING,
    PortAllocation.PRESERVING_OR_DROP,
    PortAllocation.OVERLAPPING,
    PortAllocation.OVERLOADING,
)


def random_free_port(free: Callable[[int], bool], rng: random.Random) -> int:
    """From a random place upwards (and around), the first free port. One is: a box has fewer sessions than ports."""
    count = len(DYNAMIC_PORTS)
    start = rng.randrange(count)
    return next(port for i in range(count) if free(port := DYNAMIC_PORTS[(start + i) % count]))
