"""Big labs: 100, 1,000 and 10,000 hosts, each with a libp2p node on it.

    start    make the hosts and their nodes, all listening
    connect  every second one dials its neighbour, identify included
    idle     a virtual hour in which nothing happens but the keepalives: a Yamux ping every 30 s from each end
    memory   resident memory of the process per host, all of them connected

The largest labs idle for fewer virtual minutes, and the time is scaled up to the hour. Each size is measured once, in a
process of its own (memory never shrinks back), and nothing is recorded.

    python -m benchmarks.hosts 1000        prints start, connect, idle (seconds) and memory (bytes per host)
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row
from natlab import Lab
from natlab.host import Node

SIZES = (100, 1_000, 10_000)
HOUR = 3600.0
HOST_HOURS = 1_000  # idle time to measure, in hosts times hours


def rows() -> Iterator[Row]:
    for size in SIZES:
        printed = subprocess.run(
            [sys.executable, "-m", "benchmarks.hosts", str(size)], check=True, capture_output=True, text=True
        ).stdout
        start, connect, idle, memory = map(float, printed.split())
        yield Row(f"{size:,} hosts: start", "s", start)
        yield Row(f"{size:,} hosts: half dial the other half", "s", connect)
        yield Row(f"{size:,} hosts: an idle virtual hour", "s", idle)
        yield Row(f"{size:,} hosts: memory of each", "KiB", memory / 1024)


def measure(size: int) -> tuple[float, float, float, float]:
    before = resident_bytes()
    began = time.perf_counter()
    lab = Lab(seed=1, record=())
    nodes = [lab.node(f"node {number}") for number in range(size)]
    started = time.perf_counter()
    lab.run(dial_neighbours(nodes), limit=HOUR)
    connected = time.perf_counter()
    gc.collect()
    memory = (resident_bytes() - before) / size
    seconds = min(HOUR, HOUR * HOST_HOURS / size)
    idle_from = time.perf_counter()
    lab.advance(seconds)
    idle = (time.perf_counter() - idle_from) * HOUR / seconds
    return started - began, connected - started, idle, memory


async def dial_neighbours(nodes: list[Node]) -> None:
    for dialer, listener in zip(nodes[::2], nodes[1::2], strict=True):
        await dialer.dial(listener)


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


if __name__ == "__main__":
    print(*measure(int(sys.argv[1])))
