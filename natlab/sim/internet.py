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

Who has which address is `addressing.py`'s matter. Behind a firewall, a box that does not translate, hosts are known
outside by their own addresses: every router out to the next NAT box or the core knows the way to them.

What a link does besides is `natlab.sim.links`. Cutting one partitions the internet: what is behind it from the rest.

Not modelled: IPv6, routes that differ between pairs of hosts, several interfaces on a host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from random import Random

from natlab.errors import LabError
from natlab.events import Journal, LinkCut, LinkHealed, Rebooted
from natlab.nat import NatBox, NatConfig
from natlab.portmap import Gateway, GatewayConfig, Leases
from natlab.sim.addressing import Addresses, Lan, Lans, Public
from natlab.sim.capture import Tap
from natlab.sim.host import Host
from natlab.sim.links import Delay, Deliver, Link, LinkConfig, LinkConfigs, both_ways, chain
from natlab.sim.loop import SimLoop
from natlab.sim.router import CORE_IP, NatRouter, Router

CORE_DELAY = 0.010  # seconds from a public host to the core
LAN_DELAY = 0.0005  # seconds from a host to its NAT router
UPLINK_DELAY = CORE_DELAY - LAN_DELAY  # seconds from a NAT router to the core


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
        self._core = Router("internet", CORE_IP, self._tap("internet"), self._flight)
        self._public = Public()
        self._lans = Lans(self._public)

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
        """Adds a computer, on the public internet or on the LAN of a NAT router or firewall.

        Args:
            address: its IPv4 address; None gives it the next free one of its network.
            delay: of its link, in seconds one way; a pair if the two directions differ.
            loss: probability that its link loses a packet, each way.
            link: all about its link, instead of those two; a pair if the two directions differ.

        Raises:
            LabError: the name or the address is taken, no address is left, or `link` comes with `delay` or `loss`.
            ValueError: not an IPv4 address of its network; a delay below 0, a loss outside 0 to 1.
        """
        self._check_name(name)
        ways = both_ways(link, delay, loss)
        ips = self._outside(behind).take(name, address)
        host = Host(name, ips[0], self.loop, self._tap(name), self._rng_for(name), self._flight)
        host.gateway_ip = behind.gateway_ip if behind else None
        self._plug(host, ips, behind, CORE_DELAY if behind is None else LAN_DELAY, ways)
        self.hosts[name] = host
        return host

    def nat(
        self,
        name: str,
        config: NatConfig,
        address: str | None = None,
        *,
        behind: NatRouter | None = None,
        lan: str | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
        link: LinkConfigs | None = None,
        gateway: GatewayConfig | None = None,
    ) -> NatRouter:
        """Adds a NAT router or firewall with a LAN of its own; `behind` another one for NAT behind NAT.

        Args and errors are those of `host`, and:
            address: the external one, the first of several.
            lan: its network inside, e.g. "10.0.0.0/8"; None for the next free one.
            gateway: what answers at its internal address, from `router.gateway.start()` on.

        Raises:
            LabError: also when the LAN overlaps a network on the way out.
        """
        self._check_name(name)
        if gateway is not None and not config.translates:  # RFC 6886 section 3.8
            raise LabError(
                f"{name} is a firewall and has no ports to give out (RFC 6886 section 3.8): leave gateway out"
            )
        ways = both_ways(link, delay, loss)
        inside = self._lan_for(name, config, address, behind, lan)
        if config.translates:
            ips = self._outside(behind).take(name, address, config.external_addresses)
        else:
            ips = (inside.gateway,)
        box = NatBox(name, config, ips[0], self._rng_for(name), self.journal, ips[1:], inside.gateway)
        router = NatRouter(box, inside, behind, self.loop, self._tap(name), self._flight)
        self._plug(router, ips, behind, UPLINK_DELAY if behind is None else LAN_DELAY, ways)
        if gateway is not None:
            self._add_services(router, gateway)
        self.nats[name] = router
        return router

    def reboot(self, name: str, new_address: bool = False) -> None:
        """A NAT router or firewall forgets all it remembers, at once; if asked to, it has another address afterwards.

        Raises:
            LabError: a firewall has no address of its own.
        """
        router = self.nats[name]
        if new_address and not router.translates:
            raise LabError(f"{name} does not translate, so it has no address to change: reboot it without new_address")
        router.reboot(*(self._move(router) if new_address else ()))
        self.journal.emit(Rebooted(self.loop.time(), name, router.box.external_ips))

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
        ips: tuple[str, ...],
        behind: NatRouter | None,
        delay: float,
        ways: tuple[LinkConfig, LinkConfig],
    ) -> None:
        """Lays the cable between a new host or router and the router it hangs on."""
        parent = behind or self._core
        rng, tap = self._rng_for(f"{end.name} link"), self._tap(end.name)
        there, back = (
            chain(config, delay, self.loop, rng, tap, self._flight, then, too_big)
            for config, then, too_big in zip(
                ways, (parent.forward, end.receive), (end.too_big_outward, parent.too_big_inward), strict=True
            )
        )
        self._attach(ips, behind, back)
        end.connect(there)
        self._links[end.name] = Link(tap, ((end.connect, there), (partial(_replug, parent, end), back)))

    def _attach(self, ips: tuple[str, ...], behind: NatRouter | None, deliver: Deliver) -> None:
        """Packets to `ips` go to `deliver` from the router `behind`; those further out learn the way there."""
        for router, inner in self._on_the_way(behind):
            for ip in ips:
                router.attach(ip, router.way_to(inner.external_ip) if inner else deliver)

    def _move(self, router: NatRouter) -> tuple[str, ...]:
        """Other external addresses for a router, on the cable that it has."""
        old, outside = router.box.external_ips, self._outside(router.behind)
        new = outside.take(router.name, count=len(old))
        self._attach(new, router.behind, (router.behind or self._core).way_to(old[0]))
        self._detach(old, router.behind)
        outside.give_back(old)
        return new

    def _detach(self, ips: tuple[str, ...], behind: NatRouter | None) -> None:
        for router, _ in self._on_the_way(behind):
            for ip in ips:
                router.detach(ip)

    def _on_the_way(self, behind: NatRouter | None) -> Iterator[tuple[Router, NatRouter | None]]:
        """The routers that know an address on the network of `behind`, each with the one that is next inside."""
        yield behind or self._core, None
        while behind is not None and not behind.translates:
            yield behind.behind or self._core, behind
            behind = behind.behind

    def _outside(self, behind: NatRouter | None) -> Addresses:
        """The network that a host or box behind `behind` hangs on."""
        return self._public if behind is None else behind.lan

    def _lan_for(
        self, name: str, config: NatConfig, address: str | None, behind: NatRouter | None, wanted: str | None
    ) -> Lan:
        around, is_public = [], True
        while behind is not None:
            around.append(behind.lan)
            is_public = is_public and not behind.translates
            behind = behind.behind
        if config.translates:
            return self._lans.behind_nat(name, wanted, around)
        if address is not None:
            raise LabError(f"{name} does not translate: it has no address to choose, but a network, lan='11.0.0.0/24'")
        return self._lans.behind_firewall(name, wanted, around, is_public)

    def _check_name(self, name: str) -> None:
        if name in self.hosts or name in self.nats:
            raise LabError(f"there is already a {name!r}: give each host and NAT its own name")

    def _tap(self, place: str) -> Tap:
        return Tap(place, self.loop, self.journal)


def _replug(parent: Router, end: Host | NatRouter, deliver: Deliver) -> None:
    """The cable of a host or router ends elsewhere now."""
    parent.replug(end.ip if isinstance(end, Host) else end.external_ip, deliver)
