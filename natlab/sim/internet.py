"""A simulated internet: hosts and NAT routers around one core.

                         ┌───────── internet ─────────┐
                   9.5 ms│              │ 10 ms       │9.5 ms
            ┌────────────┴──┐       ┌───┴───┐     ┌───┴───────────┐
            │ home 11.0.0.1 │       │ relay │     │ office        │
            └──┬─────────┬──┘       └───────┘     └───┬───────────┘
         0.5 ms│   LAN   │                      0.5 ms│
            ┌──┴──┐   ┌──┴──┐                      ┌──┴──┐
            │alice│   │carol│                      │ bob │
            └─────┘   └─────┘                      └─────┘

By default any two hosts are 20 ms apart, one way, unless they share a LAN. The delay is not decoration: without it the
SYNs of two dials cannot cross, and a lab would show what no real network does.

Public addresses are ones that libp2p takes for public (go-multiaddr `manet.IsPublicAddr`): the ranges reserved for
documentation, which a tutorial would pick, silently switch hole punching off. Each public host lives in another first
octet, because js-libp2p counts AutoNAT verdicts by first octet. LANs are 192.168.1.0/24, 192.168.2.0/24, ...

Not modelled: IPv6, routes that differ between pairs of hosts, several interfaces on a host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from itertools import count
from random import Random

from natlab.errors import LabError
from natlab.events import Journal
from natlab.nat import NatBox, NatConfig
from natlab.sim.capture import Tap
from natlab.sim.host import Host
from natlab.sim.link import Deliver, delayed, lossy
from natlab.sim.loop import SimLoop
from natlab.sim.router import NatRouter, Router

CORE_DELAY = 0.010  # seconds from a public host to the core
LAN_DELAY = 0.0005  # seconds from a host to its NAT router
UPLINK_DELAY = CORE_DELAY - LAN_DELAY  # seconds from a NAT router to the core

# First octets without any network that `manet.IsPublicAddr`, or js-libp2p's rule, calls special.
PUBLIC_OCTETS = tuple(octet for octet in range(11, 224) if octet not in (100, 127, 169, 172, 192, 198, 203))

Delay = float | tuple[float, float]  # seconds one way; or (from the host, to the host)


class Internet:
    """Builds the topology of one lab, and knows it.

    Args:
        loop: the virtual time everything lives in.
        journal: where hosts, routers and NAT boxes emit their events.
        rng_for: the random numbers of an owner, by name; the same name always gives the same numbers.

    Attributes:
        hosts, nats: by name, in the order they were made.
    """

    def __init__(self, loop: SimLoop, journal: Journal, rng_for: Callable[[str], Random]) -> None:
        self.loop = loop
        self.journal = journal
        self.hosts: dict[str, Host] = {}
        self.nats: dict[str, NatRouter] = {}
        self._rng_for = rng_for
        self._flight = count(1).__next__
        self._core = Router("internet", self._tap("internet"))

    def host(
        self,
        name: str,
        address: str | None = None,
        *,
        behind: NatRouter | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
    ) -> Host:
        """Adds a computer, on the public internet or on the LAN of a NAT router.

        Args:
            address: its IPv4 address; None gives it the next free one of its network.
            delay: of its link, in seconds one way; a pair if the two directions differ.
            loss: probability that its link loses a packet, each way.

        Raises:
            LabError: the name or the address is taken.
            ValueError: not an IPv4 address of its network; a delay below 0, a loss outside 0 to 1.
        """
        self._check_name(name)
        ip = self._address(address, behind)
        host = Host(name, ip, self.loop, self._tap(name), self._rng_for(name), self._flight)
        default = CORE_DELAY if behind is None else LAN_DELAY
        self._plug(host.receive, host.connect, name, ip, behind, default if delay is None else delay, loss)
        self.hosts[name] = host
        return host

    def nat(
        self,
        name: str,
        config: NatConfig,
        address: str | None = None,
        *,
        behind: NatRouter | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
    ) -> NatRouter:
        """Adds a NAT router with a LAN of its own; `behind` another one for NAT behind NAT.

        Args and errors are those of `host`; `address` is the external one.
        """
        self._check_name(name)
        ip = self._address(address, behind)
        box = NatBox(name, config, ip, self._rng_for(name), self.journal)
        lan = f"192.168.{len(self.nats) + 1}"
        router = NatRouter(box, ip, lan, self.loop, self._tap(name), self._flight)
        default = UPLINK_DELAY if behind is None else LAN_DELAY
        self._plug(router.receive, router.connect, name, ip, behind, default if delay is None else delay, loss)
        self.nats[name] = router
        return router

    def _plug(
        self,
        receive: Deliver,
        connect: Callable[[Deliver], None],
        name: str,
        ip: str,
        behind: NatRouter | None,
        delay: Delay,
        loss: float,
    ) -> None:
        """Lays the cable between a new host or router and the router it hangs on."""
        parent = behind or self._core
        there, back = delay if isinstance(delay, tuple) else (delay, delay)
        if min(there, back) < 0 or not 0 <= loss <= 1:
            raise ValueError(f"a delay is at least 0 s and a loss between 0 and 1, not {delay} and {loss}")
        rng = self._rng_for(f"{name} link")
        tap = self._tap(name)

        def link(seconds: float, then: Deliver) -> Deliver:
            carry = delayed(self.loop, seconds, then)
            return lossy(rng, loss, tap, carry) if loss else carry

        parent.attach(ip, link(back, receive))
        connect(link(there, parent.forward))

    def _address(self, address: str | None, behind: NatRouter | None) -> str:
        if address is None:
            return self._next_public() if behind is None else _next_private(behind)
        wanted = ipaddress.IPv4Address(address)
        if wanted.is_loopback or wanted.is_multicast or wanted.is_reserved or wanted.is_unspecified:
            raise ValueError(f"{wanted} is no address that one host can have on a network")
        if behind is None:
            return str(wanted)
        if not str(wanted).startswith(f"{behind.lan}."):
            raise ValueError(f"a host behind {behind.name} has an address in {behind.lan}.0/24, not {wanted}")
        if wanted.packed[-1] in (0, 1, 255):
            raise LabError(f"{wanted} is taken: .1 is {behind.name} itself, .0 and .255 are the network as a whole")
        return str(wanted)

    def _next_public(self) -> str:
        """11.0.0.1, 12.0.0.1, ...: another first octet each time, while they last."""
        for last in range(1, 255):
            for octet in PUBLIC_OCTETS:
                if not self._core.taken(ip := f"{octet}.0.0.{last}"):
                    return ip
        raise LabError(f"this internet has {254 * len(PUBLIC_OCTETS)} public addresses, and all are taken")

    def _check_name(self, name: str) -> None:
        if name in self.hosts or name in self.nats:
            raise LabError(f"there is already a {name!r}: give each host and NAT its own name")

    def _tap(self, place: str) -> Tap:
        return Tap(place, self.loop, self.journal)


def _next_private(router: NatRouter) -> str:
    """.2, .3, ...; .1 is the router itself."""
    for last in range(2, 255):
        if not router.taken(ip := f"{router.lan}.{last}"):
            return ip
    raise LabError(f"the LAN of {router.name} has 253 addresses, and all are taken")
