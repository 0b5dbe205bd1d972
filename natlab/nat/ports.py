"""Which external port a new mapping gets (RFC 4787 section 4.2.1).

    preserving   internal port 4001 -> external port 4001, if no other internal endpoint holds it; else a random one
    random       a random one each time

A port is held by one internal endpoint at a time: no port overloading (RFC 4787 REQ-3, RFC 5382 REQ-7). Several
mappings of one internal endpoint may share a port, and under "preserving" they do. That is why a box whose mapping
depends on the remote, but which preserves ports, looks endpoint-independent from outside until two hosts want one
port.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from natlab.endpoint import Endpoint
from natlab.nat.config import PortAllocation

__all__ = ["DYNAMIC_PORTS", "allocate", "random_free_port"]

DYNAMIC_PORTS = range(1024, 65536)  # RFC 4787 section 4.2.2: a port above 1023 stays above 1023


def allocate(
    allocation: PortAllocation, internal: Endpoint, holder: Callable[[int], Endpoint | None], rng: random.Random
) -> int:
    """The external port for a new mapping of `internal`.

    Args:
        holder: which internal endpoint holds an external port now, None if it is free.
    """
    if allocation is PortAllocation.PRESERVING and holder(internal.port) in (None, internal):
        return internal.port
    return random_free_port(lambda port: holder(port) is None, rng)


def random_free_port(free: Callable[[int], bool], rng: random.Random) -> int:
    """From a random place upwards (and around), the first free port. One is: a box has fewer sessions than ports."""
    count = len(DYNAMIC_PORTS)
    start = rng.randrange(count)
    return next(port for i in range(count) if free(port := DYNAMIC_PORTS[(start + i) % count]))
