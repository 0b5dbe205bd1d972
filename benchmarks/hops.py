"""What a packet of a simulated internet costs at each hop, in a crowd, and what a host costs: `packets.py` taken apart.

hops     a chain of n NAT boxes behind each other; one more of them is one link, one mapping and one filter more

             host ──> NAT ──> ... ──> NAT ──> core ──> host          n + 2 links, n translations

         "a link and a NAT box" is the slope from one box to five; half of the path without a box stands beside it,
         which has the sockets at both ends in it. ns-3: the slope over as many routers more, each a link and an
         IPv4 look-up (Debian's has no NAT).
crowd    100,000 packets between 10, 100, 1,000 and 10,000 hosts, half of them behind NAT boxes, twenty to a box.
         Every pair of hosts talks, in turn, so nothing stays in a cache. The ratio is to the smallest crowd.
memory   resident memory of the process for each bare host, and for each box with a host of its own behind it, each
         with an open UDP socket and one mapping. In a process of its own: memory never shrinks back.

python -m benchmarks.hops public 10000      prints bytes for each of so many ("public" or "behind")
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from random import Random

from benchmarks.building import NotHere
from benchmarks.hosts import resident_bytes
from benchmarks.packets import BURST, ns3
from benchmarks.pairs import paired
from benchmarks.table import Aim, Row, Skipped
from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import NatConfig
from natlab.net import UdpSocket
from natlab.sim import Internet, SimLoop

CHAIN = (1, 5)  # NAT boxes
CROWDS = (10, 100, 1_000, 10_000)
BEHIND_ONE = 20  # hosts behind each box of a crowd
PACKETS = 100_000
PORT = 4001
FLAT = Aim(2.0)  # what a packet in the largest crowd may cost, of one in the smallest


def rows() -> Iterator[Row | Skipped]:
    try:
        ns3(2)  # builds it
        pair = paired(slope(chain), slope(lambda boxes: 1e6 / ns3(boxes + 2)))
    except NotHere as reason:
        yield Skipped("a link and a NAT box, each packet", str(reason))
        yield Row("a link and a NAT box, each packet", "us", slope(chain)())
    else:
        yield Row("a link and a NAT box, each packet", "us", pair.ours, "ns-3, no NAT", pair.theirs, pair.ratio, Aim(1))
    pair = paired(lambda: chain(0) / 2, slope(chain))
    yield Row("half of a path without a box", "us", pair.ours, "a link and a NAT box", pair.theirs, pair.ratio)
    for size in CROWDS[1:]:
        pair = paired(lambda size=size: crowd(size), lambda: crowd(CROWDS[0]), pairs=3)  # type: ignore[misc]
        aim = FLAT if size == CROWDS[-1] else None
        yield Row(f"a packet among {size:,} hosts", "us", pair.ours, f"among {CROWDS[0]}", pair.theirs, pair.ratio, aim)
    for kind, what in (("public", "a bare host"), ("behind", "a NAT box with a bare host")):
        command = [sys.executable, "-m", "benchmarks.hops", kind, str(CROWDS[-1])]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        yield Row(f"memory of {what}", "KiB", float(printed) / 1024)


def slope(microseconds: Callable[[int], float]) -> Callable[[], float]:
    """Measures what each hop more takes, from the shortest chain to the longest."""
    shortest, longest = CHAIN
    return lambda: (microseconds(longest) - microseconds(shortest)) / (longest - shortest)


def chain(boxes: int) -> float:
    """Microseconds a packet takes from behind so many NAT boxes to a public host."""
    loop, internet = _internet()
    behind = None
    for number in range(boxes):
        behind = internet.nat(f"nat {number}", NatConfig(), behind=behind)
    alice, bob = internet.host("alice", behind=behind), internet.host("bob")

    async def scenario() -> float:
        there = await bob.bind_udp(Endpoint("0.0.0.0", PORT))
        here = await alice.bind_udp(Endpoint("0.0.0.0", PORT))
        return await _exchange([(here, Endpoint(bob.ip, PORT), there)])

    return loop.run(scenario(), limit=1e6)


def crowd(size: int) -> float:
    """Microseconds a packet takes among so many hosts, from one behind a NAT box to a public one."""
    loop, internet = _internet()

    async def scenario() -> float:
        return await _exchange([await _pair(internet, number) for number in range(size // 2)])

    return loop.run(scenario(), limit=1e6)


async def _pair(internet: Internet, number: int) -> tuple[UdpSocket, Endpoint, UdpSocket]:
    home = f"nat {number // BEHIND_ONE}"
    box = internet.nats.get(home) or internet.nat(home, NatConfig())
    alice, bob = internet.host(f"alice {number}", behind=box), internet.host(f"bob {number}")
    here = await alice.bind_udp(Endpoint("0.0.0.0", PORT))
    there = await bob.bind_udp(Endpoint("0.0.0.0", PORT))
    return here, Endpoint(bob.ip, PORT), there


async def _exchange(pairs: list[tuple[UdpSocket, Endpoint, UdpSocket]]) -> float:
    """Bursts of packets, one pair after the other; the first of each pair, which makes its mapping, does not count."""
    for here, to, there in pairs:
        here.send(b"hello", to)
        await there.receive()
    gc.collect()
    each = max(1, BURST // len(pairs))
    sent, began = 0, time.perf_counter()
    while sent < PACKETS:
        for first in range(0, len(pairs), BURST):
            some = pairs[first : first + BURST]
            for here, to, _ in some:
                for _ in range(each):
                    here.send(bytes(1200), to)
            for _, _, there in some:
                for _ in range(each):
                    await there.receive()
            sent += each * len(some)
    return 1e6 * (time.perf_counter() - began) / sent


def _internet() -> tuple[SimLoop, Internet]:
    loop = SimLoop()  # type: ignore[abstract]
    return loop, Internet(loop, Journal(()), Random)


def memory(kind: str, number: int) -> float:
    """Bytes of resident memory for each of so many bare hosts, or boxes with one behind them."""
    loop, internet = _internet()
    gc.collect()
    before = resident_bytes()

    async def scenario() -> None:
        for count in range(number):
            box = internet.nat(f"nat {count}", NatConfig()) if kind == "behind" else None
            host = internet.host(f"host {count}", behind=box)
            (await host.bind_udp(Endpoint("0.0.0.0", PORT))).send(b"hello", Endpoint("9.9.9.9", PORT))

    loop.run(scenario())
    loop.advance(1.0)
    gc.collect()
    return (resident_bytes() - before) / number


if __name__ == "__main__":
    print(memory(sys.argv[1], int(sys.argv[2])))
