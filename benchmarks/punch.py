"""What a simulated hole punch costs: processor time of this process, in milliseconds.

    whole   make the lab (a relay, two NATs, two nodes), reserve, dial through the relay, punch, until both ends have a
            direct connection. Four encrypted connections come about on the way, each at both of its ends, and identify
            is exchanged over each: with the relay twice, through it, and direct.
    punch   of that, from the relayed connection on: CONNECT, CONNECT, SYNC, the SYNs that cross, Noise and identify
            at both ends of the direct connection.

The crypto floor (`floor.py`) of one handshake stands beside the punch and, four times, beside the whole.
Neither records packets, as a sweep would not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from benchmarks.floor import handshake_seconds
from benchmarks.pairs import paired
from benchmarks.table import Aim, Row
from natlab import Lab
from natlab.host import Node
from natlab.lab.lab import OUTCOMES

HANDSHAKES = 4
REPEAT = 5
AIM = Aim(10, unit="ms")
SEEDS = count(1)  # a new lab each time: signatures and addresses of one that was before are remembered


def rows() -> Iterator[Row]:
    for what, part, handshakes in (("CPU of a whole hole punch", 0, HANDSHAKES), ("of it, the punch itself", 1, 1)):

        def ours(part: int = part) -> float:
            return min(hole_punch()[part] for _ in range(REPEAT))

        def floor(handshakes: int = handshakes) -> float:
            return 1000 * handshakes * handshake_seconds()

        pair = paired(ours, floor)
        yield Row(what, "ms", pair.ours, f"{handshakes} x crypto floor", pair.theirs, pair.ratio)
        yield Row(what, "ms", pair.ours, aim=AIM)


def hole_punch() -> tuple[float, float]:
    """Milliseconds of processor time: the whole, and the punch alone."""
    began = time.process_time()
    lab = Lab(seed=next(SEEDS), record=OUTCOMES)
    relay = lab.node("relay")
    alice = lab.node("alice", behind=lab.nat("home"))
    bob = lab.node("bob", behind=lab.nat("office"))
    lab.run(alice.reserve(relay))
    lab.run(bob.dial(alice.address_via(relay)))
    relayed = time.process_time()
    while not (has_direct(alice, bob) and has_direct(bob, alice)):
        lab.advance(0.1)
    punched = time.process_time()
    lab.close()
    return 1000 * (punched - began), 1000 * (punched - relayed)


def has_direct(node: Node, other: Node) -> bool:
    return any(not connection.relayed for connection in node.connections_to(other))
