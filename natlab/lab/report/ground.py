"""Where a NAT box stands while it is probed: between two plugs, in virtual time or in real time.

    computers inside ── plug `inside` ──[ box ]── plug `outside` ── computers on the internet

The prober (`prober.py`) plays every computer on both sides, packet by packet. So it sees what a peer can see and
nothing more, and it does not matter to it what the box is:

    Simulated                  a NAT router of `natlab.sim` with any configuration; time is virtual
    natlab.netns.KernelNat     Linux's nftables in a network namespace; time is real

The link outside takes packets of `MTU` bytes at most, the one inside longer ones.

*Not modelled*: time on links. Packets are there and back at once, so nothing crosses unless the prober lets it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import Protocol, Self, TypeVar

from natlab.events import Journal
from natlab.nat import NatConfig
from natlab.packet import Packet
from natlab.sim import Internet, SimLoop
from natlab.sim.capture import Tap
from natlab.sim.links.mtu import limited

__all__ = ["Ground", "Plug", "Simulated"]

T = TypeVar("T")

HOSTS = 8  # behind the box
MTU = 1400  # bytes, of the link outside
WEEKS = 3_000_000.0  # seconds; Linux keeps an idle TCP connection for 432,000


class Plug(Protocol):
    """One side of the box."""

    def send(self, packet: Packet) -> None:
        """Puts a packet on the cable, towards the box."""
        ...

    def received(self) -> list[Packet]:
        """What has come out of the box on this side since the last call, pieces of packets as pieces."""
        ...


class Ground(Protocol):
    """A box between two plugs, from `__enter__` to `__exit__`.

    Attributes:
        hosts: the addresses of the computers inside; those of all others are outside.
        mtu: of the link outside, in bytes.
        settle: seconds after which what a packet caused at once has come out.
        patience: seconds; no silence is tried that is longer.
    """

    hosts: tuple[str, ...]
    mtu: int
    settle: float
    patience: float

    @property
    def inside(self) -> Plug: ...

    @property
    def outside(self) -> Plug: ...

    def readdress(self, ip: str) -> None:
        """The network outside gives the box another address, as DHCP may."""
        ...

    def run(self, main: Awaitable[T]) -> T:
        """Runs the prober's coroutine to its end."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class SimulatedPlug:
    """A `Plug`."""

    def __init__(self, box_end: Callable[[Packet], None]) -> None:
        self.send = box_end
        self._arrived: deque[Packet] = deque()

    def arrives(self, packet: Packet) -> None:
        self._arrived.append(packet)

    def received(self) -> list[Packet]:
        arrived = list(self._arrived)
        self._arrived.clear()
        return arrived


class Simulated:
    """A simulated NAT router on a bench: a `Ground`.

    Args:
        config: how its box behaves.
        rng_for: the random numbers of an owner, by name.
    """

    mtu = MTU
    settle = 0.001
    patience = WEEKS

    def __init__(self, config: NatConfig, rng_for: Callable[[str], Random]) -> None:
        self._loop = SimLoop()  # type: ignore[abstract]  # what it lacks raises NotImplementedError
        journal = Journal(kinds=())
        self._router = router = Internet(self._loop, journal, rng_for).nat("box", config)
        self.inside = SimulatedPlug(router.forward)
        self.outside = SimulatedPlug(router.receive)
        self.hosts = tuple(str(router.lan.network[number]) for number in range(2, 2 + HOSTS))
        for ip in self.hosts:
            router.attach(ip, self.inside.arrives)
        tap = Tap("box", self._loop, journal)
        router.connect(limited(MTU, router.too_big_outward, tap, self.outside.arrives))  # instead of the internet

    def readdress(self, ip: str) -> None:
        self._router.reboot(ip, *self._router.box.external_ips[1:])

    def run(self, main: Awaitable[T]) -> T:
        return self._loop.run(main, limit=1000 * self.patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()
