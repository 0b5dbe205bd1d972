"""How fast packets cross the simulated internet: host, NAT, NAT, host.

    python benchmarks/packets.py

Each packet is four events: out of the host, out of its NAT, into the other NAT, to the other host. The yardstick is
the least any event loop in Python could do for them: a heap of tuples, pushed and popped as often, with a call each.
Prints packets per second of both and their ratio, which is what can be compared between computers.
"""

from __future__ import annotations

import time
from heapq import heappop, heappush
from random import Random

from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import NatConfig
from natlab.sim import Internet, SimLoop

PACKETS = 100_000
IN_FLIGHT = 500
EVENTS = 4  # of one packet


def simulated(journal: Journal) -> float:
    """Seconds for `PACKETS` datagrams through two NATs."""
    loop = SimLoop()
    internet = Internet(loop, journal, Random)
    alice = internet.host("alice", behind=internet.nat("home", NatConfig()))
    bob = internet.host("bob", behind=internet.nat("office", NatConfig()))
    port = 4001

    async def main() -> float:
        there = await bob.bind_udp(Endpoint("0.0.0.0", port))
        here = await alice.bind_udp(Endpoint("0.0.0.0", port))
        there.send(b"open the filter", Endpoint("11.0.0.1", port))
        started = time.perf_counter()
        for _ in range(PACKETS // IN_FLIGHT):
            for _ in range(IN_FLIGHT):
                here.send(b"x" * 1200, Endpoint("12.0.0.1", port))
            for _ in range(IN_FLIGHT):
                await there.receive()
        return time.perf_counter() - started

    return loop.run(main(), limit=1e6)


def yardstick() -> float:
    """Seconds for as many events on a bare heap."""
    heap: list[tuple[int, int]] = []
    now = sequence = 0

    def event() -> None:
        pass

    started = time.perf_counter()
    for _ in range(PACKETS * EVENTS // IN_FLIGHT):
        for _ in range(IN_FLIGHT):
            sequence += 1
            heappush(heap, (now + 20_000_000, sequence))
        for _ in range(IN_FLIGHT):
            now, _ = heappop(heap)
            event()
    return time.perf_counter() - started


def main() -> None:
    bare = min(yardstick() for _ in range(3))
    print(f"bare heap        {PACKETS / bare:>9,.0f} packets' worth of events/s")
    for name, kinds in (("nothing recorded", ()), ("all recorded", None)):
        seconds = min(simulated(Journal(kinds)) for _ in range(3))
        print(f"{name:16} {PACKETS / seconds:>9,.0f} packets/s, {seconds / bare:.1f} times the bare heap")


if __name__ == "__main__":
    main()
