"""How fast packets cross a simulated internet: host, NAT, NAT, host. Beside it a plain heap, SimPy and ns-3.

Every contestant carries the same load: datagrams of 1,200 bytes in bursts of 500, each over four links with a delay.

    host ──> NAT ──> core ──> NAT ──> host            four links, so four timed events for each packet

    natlab   what `Lab` does without a record: UDP sockets, two NAT boxes that translate and filter, four heap entries
    heap     the least a Python event loop can do: a packet is a tuple (time, number, function, argument), pushed,
             popped and called four times. No host, no NAT, no socket
    SimPy    its documented way: a process for each packet that waits for four timeouts. No host, no NAT, no socket
    ns-3     UDP sockets and IPv4 forwarding over four point-to-point links (C++, optimised). Debian's has no NAT, so
             its routers only forward

SimPy and ns-3 run as programs of their own (`simpy_packets.py`, `ns3_packets.cc`), which print packets per second.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from pathlib import Path
from random import Random

from benchmarks.building import NotHere, kept, python_with_rivals, run
from benchmarks.pairs import paired
from benchmarks.table import Aim, Row, Skipped
from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import NatConfig
from natlab.sim import Internet, SimLoop

HERE = Path(__file__).parent
PACKETS = 100_000
BURST = 500
LINKS = 4
DELAY_NS = 5_000_000
PORT = 4001


def rows() -> Iterator[Row | Skipped]:
    rivals = {
        "plain heap": (heap, Aim(0.12, at_least=True)),
        "SimPy": (simpy, None),
        "ns-3": (ns3, Aim(1.0, at_least=True)),
    }
    for name, (rival, aim) in rivals.items():
        what = "packets host-NAT-NAT-host"
        try:
            rival()  # builds it
            pair = paired(natlab, rival)
        except NotHere as reason:
            yield Skipped(f"{what}, {name}", str(reason))
        else:
            yield Row(what, "/s", pair.ours, name, pair.theirs, pair.ratio, aim)
    pair = paired(natlab_recording, natlab, pairs=3)
    yield Row("the same, every event recorded", "/s", pair.ours, "nothing recorded", pair.theirs, pair.ratio)


def natlab(journal: Journal | None = None) -> float:
    """Datagrams per second through two NATs."""
    loop = SimLoop()  # type: ignore[abstract]
    internet = Internet(loop, journal or Journal(()), Random)
    alice = internet.host("alice", behind=internet.nat("home", NatConfig()))
    bob = internet.host("bob", behind=internet.nat("office", NatConfig()))

    async def scenario() -> float:
        there = await bob.bind_udp(Endpoint("0.0.0.0", PORT))
        here = await alice.bind_udp(Endpoint("0.0.0.0", PORT))
        there.send(b"open the filter", Endpoint("11.0.0.1", PORT))
        started = time.perf_counter()
        for _ in range(PACKETS // BURST):
            for _ in range(BURST):
                here.send(bytes(1200), Endpoint("12.0.0.1", PORT))
            for _ in range(BURST):
                await there.receive()
        return PACKETS / (time.perf_counter() - started)

    return loop.run(scenario(), limit=1e6)


def natlab_recording() -> float:
    return natlab(Journal())


def heap() -> float:
    """Packets per second of a bare heap."""
    entries: list[tuple[int, int, Callable[[int], None], int]] = []
    number = now = 0

    def hop(links: int) -> None:
        nonlocal number
        if links:
            number += 1
            heappush(entries, (now + DELAY_NS, number, hop, links - 1))

    started = time.perf_counter()
    for _ in range(PACKETS // BURST):
        for _ in range(BURST):
            hop(LINKS)
        while entries:
            now, _, event, argument = heappop(entries)
            event(argument)
    return PACKETS / (time.perf_counter() - started)


def simpy() -> float:
    return _printed(str(python_with_rivals()), str(HERE / "simpy_packets.py"))


def ns3(links: int = LINKS) -> float:
    """Packets per second over so many links; builds it the first time."""

    def build(target: Path) -> None:
        modules = [f"-lns3-{module}" for module in ("point-to-point", "internet", "traffic-control", "network", "core")]
        run("g++", "-O2", "-std=c++17", "-o", str(target / "packets"), str(HERE / "ns3_packets.cc"), *modules)

    if shutil.which("g++") is None or not Path("/usr/include/ns3/core-module.h").exists():
        raise NotHere("needs g++ and Debian's libns3-dev")
    return _printed(str(kept("ns3", [HERE / "ns3_packets.cc"], build) / "packets"), links=links)


def _printed(*command: str, links: int = LINKS) -> float:
    """What a contestant's program prints, run with the same load."""
    load = [str(PACKETS), str(BURST), str(links), str(DELAY_NS)]
    return float(subprocess.run([*command, *load], check=True, capture_output=True, text=True).stdout)
