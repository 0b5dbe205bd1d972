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

What a link does besides is `natlab.sim.links`. Cutting one partitions the internet: what is behind it from the rest.

Not modelled: IPv6, routes that differ between pairs of hosts, several interfaces on a host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

from natlab.errors import LabError
from natlab.events import Journal, LinkCut, LinkHealed
from natlab.nat import NatBox, NatConfig
from natlab.portmap import Gateway, GatewayConfig, Leases
from natlab.sim.capture import Tap
from natlab.sim.host import Host
from natlab.sim.links import Delay, Link, LinkConfig, LinkConfigs, both_ways, chain
from natlab.sim.loop import SimLoop
from natlab.sim.router import NatRouter, Router

CORE_DELAY = 0.010  # seconds from a public host to the core
LAN_DELAY = 0.0005  # seconds from a host to its NAT router
UPLINK_DELAY = CORE_DELAY - LAN_DELAY  # seconds from a NAT router to the core

# First octets without any network that `manet.IsPublicAddr`, or js-libp2p's rule, calls special.
PUBLIC_OCTETS = tuple(octet for octet in range(11, 224) if octet not in (100, 127, 169, 172, 192, 198, 203))


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
        self._links: dict[str, Link] = {}
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
        link: LinkConfigs | None = None,
    ) -> Host:
        """Adds a computer, on the public internet or on the LAN of a NAT router.

        Args:
            address: its IPv4 address; None gives it the next free one of its network.
            delay: of its link, in seconds one way; a pair if the two directions differ.
            loss: probability that its link loses a packet, each way.
            link: all about its link, instead of those two; a pair if the two directions differ.

        Raises:
            LabError: the name or the address is taken, or `link` comes with `delay` or `loss`.
            ValueError: not an IPv4 address of its network; a delay below 0, a loss outside 0 to 1.
        """
        self._check_name(name)
        ways = both_ways(link, delay, loss)
        ip = self._address(address, behind)
        host = Host(name, ip, self.loop, self._tap(name), self._rng_for(name), self._flight)
        host.gateway_ip = behind.gateway_ip if behind else None
        self._plug(host, ip, behind, CORE_DELAY if behind is None else LAN_DELAY, ways)
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
        link: LinkConfigs | None = None,
        gateway: GatewayConfig | None = None,
    ) -> NatRouter:
        """Adds a NAT router with a LAN of its own; `behind` another one for NAT behind NAT.

        Args and errors are those of `host`; `address` is the external one. What answers at its internal address, if
        `gateway` asks for services, begins with `router.gateway.start()`.
        """
        self._check_name(name)
        ways = both_ways(link, delay, loss)
        ip = self._address(address, behind)
        if not config.translates or config.external_addresses > 1:
            raise LabError(
                f"{name}: here a box translates and has one address: leave translates, external_addresses out"
            )
        box = NatBox(name, config, ip, self._rng_for(name), self.journal)
        lan = f"192.168.{len(self.nats) + 1}"
        router = NatRouter(box, ip, lan, self.loop, self._tap(name), self._flight)
        self._plug(router, ip, behind, UPLINK_DELAY if behind is None else LAN_DELAY, ways)
        if gateway is not None:
            self._add_services(router, gateway)
        self.nats[name] = router
        return router

    def partition(self, name: str) -> None:
        """Cuts the link of a host or NAT: it and what is behind it no longer reach the rest. Twice is once."""
        link = self._links[name]
        if not link.is_cut:
            link.cut()
            self.journal.emit(LinkCut(self.loop.time(), name))

    def heal(self, name: str) -> None:
        """Undoes `partition`."""
        link = self._links[name]
        if link.is_cut:
            link.heal()
            self.journal.emit(LinkHealed(self.loop.time(), name))

    def _add_services(self, router: NatRouter, config: GatewayConfig) -> None:
        """Puts the host behind the router's address inside on which its services run. It shares the router's name."""
        rng = self._rng_for(f"{router.name} gateway")
        host = Host(router.name, router.gateway_ip, self.loop, self._tap(router.name), rng, self._flight)
        host.connect(router.to_lan)
        leases = Leases(router.box, config, rng, self.journal, lambda: self.loop.now_ns)
        router.run_gateway(Gateway(host, router.gateway_ip, leases), host.receive)

    def _plug(
        self,
        end: Host | NatRouter,
        ip: str,
        behind: NatRouter | None,
        delay: float,
        ways: tuple[LinkConfig, LinkConfig],
    ) -> None:
        """Lays the cable between a new host or router and the router it hangs on."""
        parent = behind or self._core
        rng, tap = self._rng_for(f"{end.name} link"), self._tap(end.name)
        there, back = (
            chain(config, delay, self.loop, rng, tap, self._flight, then)
            for config, then in zip(ways, (parent.forward, end.receive), strict=True)
        )
        parent.attach(ip, back)
        end.connect(there)
        self._links[end.name] = Link(tap, ((end.connect, there), (partial(parent.reattach, ip), back)))

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
