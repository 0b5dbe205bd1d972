"""SimPy's side of `packets.py`: prints packets per second. Arguments: packets, burst, links, delay in nanoseconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import simpy

packets, burst, links, delay = map(int, sys.argv[1:])


def packet(env: simpy.Environment) -> Iterator[simpy.Event]:
    for _ in range(links):
        yield env.timeout(delay)


env = simpy.Environment()
started = time.perf_counter()
for _ in range(packets // burst):
    for _ in range(burst):
        env.process(packet(env))
    env.run()
print(packets / (time.perf_counter() - started))
