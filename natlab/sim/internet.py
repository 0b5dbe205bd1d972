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

A host has IPv4, IPv6 or both, on one cable. IPv6 is never translated: a router that forwards it is a firewall to it.

Not modelled: routes that differ between pairs of hosts, several interfaces on a host.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Journal, LinkCut, LinkHealed, Rebooted
from natlab.nat import NatBox, NatConfig
from natlab.packet import IPProtocol
from natlab.portmap import Gateway, GatewayConfig, Leases
from natlab.sim.addressing import Addresses, Lan, Lans, Public, Public6
from natlab.sim.capture import Tap
from natlab.sim.host import Host
from natlab.sim.line import Line, plug_at, too_big_at
from natlab.sim.links import Delay, Deliver, Link, LinkConfig, LinkConfigs, both_ways, chain
from natlab.sim.loop import SimLoop
from natlab.sim.router import CORE_IP, CORE_IP6, NatRouter, Router, by_version
from natlab.sim.vpn import PORT, TunnelClient, VpnServer

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
        self._core = {
            version: Router("internet", ip, self._tap("internet"), self._flight)
            for version, ip in ((4, CORE_IP), (6, CORE_IP6))
        }
        self._public, self._public6 = Public(), Public6()
        self._public.take("the internet", CORE_IP)
        self._public6.take("the internet", CORE_IP6)
        self._lans = Lans(self._public)
        self._vpn_servers: dict[str, VpnServer] = {}

    def host(
        self,
        name: str,
        address: str | None = None,
        *,
        ipv4: bool = True,
        ipv6: bool | str = False,
        behind: NatRouter | None = None,
        vpn: NatRouter | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
        link: LinkConfigs | None = None,
    ) -> Host:
        """Adds a computer, on the public internet or on the LAN of a NAT router or firewall.

        Args:
            address: its IPv4 address; None gives it the next free one of its network.
            ipv4, ipv6: which of the two it has; an IPv6 address may be chosen, `ipv6="2600:7::1"`.
            vpn: the box through which all its packets leave (`vpn.py`); it is part of that box's LAN then, and what is
                asked for above is the address that its tunnel ends at.
            delay: of its link, in seconds one way; a pair if the two directions differ.
            loss: probability that its link loses a packet, each way.
            link: all about its link, instead of those two; a pair if the two directions differ.

        Raises:
            LabError: the name or the address is taken, no address is left, it has neither IPv4 nor IPv6, its router has
                no IPv6, `link` comes with `delay` or `loss`, or its tunnel would carry IPv6, or lead through itself or
                to a box that it cannot reach.
            ValueError: not an address of its network; a delay below 0, a loss outside 0 to 1.
        """
        self._check_name(name)
        ways = both_ways(link, delay, loss)
        wanted = _wanted(name, address, ipv4, ipv6)
        if vpn is not None:
            _check_tunnel(name, vpn, behind, wanted)
        lines = [self._line(name, behind, version) for version in wanted]
        for line, chosen in zip(lines, wanted.values(), strict=True):
            if chosen is not None:  # both are looked at before one is taken
                self._outside(line).check(chosen)
        if vpn is not None:
            self._serve_vpn(vpn)
        for line, chosen in zip(lines, wanted.values(), strict=True):
            line.ips = self._outside(line).take(name, chosen)
        ips = [ip for line in lines for ip in line.ips] if vpn is None else vpn.lan.take(name)
        host = Host(name, ips, self.loop, self._tap(name), self._rng_for(name), self._flight)
        router = vpn or behind
        host.gateway_ip = router.gateway_ip if router and 4 in wanted else None
        end = host if vpn is None else self._tunnel(host, lines[0].ips[0], vpn)
        self._plug(end, lines, end.receive, CORE_DELAY if behind is None else LAN_DELAY, ways)
        self.hosts[name] = host
        return host

    def _tunnel(self, host: Host, underlay: str, exit_: NatRouter) -> TunnelClient:
        """Puts a tunnel between a host and its cable."""
        server = self._vpn_servers[exit_.name]
        local, tap = Endpoint(underlay, PORT), self._tap(host.name)
        client = TunnelClient(host.name, local, server.external, host.receive, tap, self._flight)
        host.connect(client.send)
        exit_.attach(host.ip, server.deliver)
        return client

    def _serve_vpn(self, exit_: NatRouter) -> None:
        """Sets up a server on the LAN of the exit, behind a port forward, unless there is one."""
        if exit_.name in self._vpn_servers:
            return
        (ip,) = exit_.lan.take(f"{exit_.name}'s VPN server")
        local = Endpoint(ip, PORT)
        external = Endpoint(exit_.external_ip, PORT) if exit_.translates else local
        server = VpnServer(local, external, exit_.forward, self._tap(exit_.name), self._flight)
        self._attach(Line(exit_, self._core[4]), (ip,), server.receive)
        exit_.forward_port(IPProtocol.UDP, external, local)
        self._vpn_servers[exit_.name] = server

    def nat(
        self,
        name: str,
        config: NatConfig,
        address: str | None = None,
        *,
        behind: NatRouter | None = None,
        lan: str | None = None,
        ipv6: NatConfig | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
        link: LinkConfigs | None = None,
        gateway: GatewayConfig | None = None,
    ) -> NatRouter:
        """Adds a NAT router or firewall with a LAN of its own; `behind` another one for NAT behind NAT.

        Args and errors are those of `host`, and:
            address: the external one, the first of several.
            lan: its network inside, e.g. "10.0.0.0/8"; None for the next free one.
            ipv6: what it is to IPv6, a firewall; None for a router that forwards none.
            gateway: what answers at its internal address, from `router.gateway.start()` on.

        Raises:
            LabError: also when the LAN overlaps a network on the way out, or the router outside has no IPv6.
        """
        self._check_name(name)
        if gateway is not None and not config.translates:  # RFC 6886 section 3.8
            raise LabError(
                f"{name} is a firewall and has no ports to give out (RFC 6886 section 3.8): leave gateway out"
            )
        ways = both_ways(link, delay, loss)
        lines = [self._line(name, behind, version) for version in ((4, 6) if ipv6 else (4,))]
        inside = self._lan_for(name, config, address, behind, lan)
        if config.translates:
            lines[0].ips = self._outside(lines[0]).take(name, address, config.external_addresses)
        else:
            lines[0].ips = (inside.gateway,)
        router = self._router(name, config, lines[0], inside)
        if ipv6:
            inside6 = self._public6.lan(name)
            lines[1].ips = (inside6.gateway,)
            router.ipv6 = self._router(name, ipv6, lines[1], inside6, router.box)
        receive = by_version(router.receive, router.ipv6.receive) if router.ipv6 else router.receive
        self._plug(router, lines, receive, UPLINK_DELAY if behind is None else LAN_DELAY, ways)
        if gateway is not None:
            self._add_services(router, gateway)
        self.nats[name] = router
        return router

    def _router(self, name: str, config: NatConfig, line: Line, inside: Lan, beside: NatBox | None = None) -> NatRouter:
        """One half of a router, for one version of IP; `beside` is the box of the other half."""
        rng = self._rng_for(name if beside is None else f"{name} IPv6")
        box = NatBox(name, config, line.ips[0], rng, self.journal, line.ips[1:], inside.gateway, beside)
        return NatRouter(box, inside, line.behind, self.loop, self._tap(name), self._flight)

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
        host = Host(router.name, (router.gateway_ip,), self.loop, self._tap(router.name), rng, self._flight)
        host.connect(router.to_lan)
        leases = Leases(router.box, config, rng, self.journal, lambda: self.loop.now_ns)
        router.run_gateway(Gateway(host, router.gateway_ip, leases), host.receive)

    def _plug(
        self,
        end: Host | NatRouter | TunnelClient,
        lines: Sequence[Line],
        receive: Deliver,
        delay: float,
        ways: tuple[LinkConfig, LinkConfig],
    ) -> None:
        """Lays the cable between a new host or router and the router it hangs on."""
        rng, tap = self._rng_for(f"{end.name} link"), self._tap(end.name)
        parents = [line.parent for line in lines]
        forward = by_version(parents[0].forward, parents[1].forward) if len(parents) > 1 else parents[0].forward
        there, back = (
            chain(config, delay, self.loop, rng, tap, self._flight, then, too_big)
            for config, then, too_big in zip(
                ways, (forward, receive), (end.too_big_outward, too_big_at(parents)), strict=True
            )
        )
        for line in lines:
            self._attach(line, line.ips, back)
        end.connect(there)
        self._links[end.name] = Link(tap, ((end.connect, there), (plug_at(parents, back), back)))

    def _line(self, name: str, behind: NatRouter | None, version: int) -> Line:
        """Where a new host or router hangs, for one version of IP."""
        core = self._core[version]
        if behind is None or version == 4:
            return Line(behind, core)
        if behind.ipv6 is None:
            raise LabError(f"{name} cannot have IPv6, {behind.name} forwards none: make {behind.name} with ipv6=True")
        return Line(behind.ipv6, core)

    def _attach(self, line: Line, ips: tuple[str, ...], deliver: Deliver) -> None:
        """Packets to `ips` go to `deliver` from the router they hang on; those further out learn the way there."""
        for router, inner in line.on_the_way():
            for ip in ips:
                router.attach(ip, router.way_to(inner.external_ip) if inner else deliver)

    def _move(self, router: NatRouter) -> tuple[str, ...]:
        """Other external addresses for a router, on the cable that it has."""
        line = Line(router.behind, self._core[4])
        old, outside = router.box.external_ips, self._outside(line)
        new = outside.take(router.name, count=len(old))
        self._attach(line, new, line.parent.way_to(old[0]))
        for outer, _ in line.on_the_way():
            for ip in old:
                outer.detach(ip)
        outside.give_back(old)
        return new

    def _outside(self, line: Line) -> Addresses:
        """The network that whoever hangs on this line is part of."""
        return line.behind.lan if line.behind else self._public if line.parent is self._core[4] else self._public6

    def _lan_for(
        self, name: str, config: NatConfig, address: str | None, behind: NatRouter | None, wanted: str | None
    ) -> Lan:
        around = [box.lan for box in _ways_out(behind)]
        if config.translates:
            return self._lans.behind_nat(name, wanted, around)
        if address is not None:
            raise LabError(f"{name} does not translate: it has no address to choose, but a network, lan='11.0.0.0/24'")
        is_public = not any(box.translates for box in _ways_out(behind))
        return self._lans.behind_firewall(name, wanted, around, is_public)

    def _check_name(self, name: str) -> None:
        if name in self.hosts or name in self.nats:
            raise LabError(f"there is already a {name!r}: give each host and NAT its own name")

    def _tap(self, place: str) -> Tap:
        return Tap(place, self.loop, self.journal)


def _wanted(name: str, address: str | None, ipv4: bool, ipv6: bool | str) -> dict[int, str | None]:
    """The versions of IP that a host is to have, each with the address it asks for."""
    if not isinstance(ipv6, bool | str):
        raise ValueError(f"ipv6= is True, False or an address such as '2600:7::1', not {ipv6!r}")
    if not isinstance(ipv4, bool):
        raise ValueError(f"ipv4= is True or False, not {ipv4!r}")
    if not ipv4 and not ipv6:
        raise LabError(f"{name} has neither IPv4 nor IPv6: leave ipv4=False out, or add ipv6=True")
    if not ipv4 and address is not None:
        raise LabError(f"{name} has no IPv4, so address= cannot be had: choose an IPv6 address with ipv6='2600:7::1'")
    wanted = {4: address} if ipv4 else {}
    return wanted | ({6: ipv6 if isinstance(ipv6, str) else None} if ipv6 else {})


def _check_tunnel(name: str, vpn: NatRouter, behind: NatRouter | None, wanted: Collection[int]) -> None:
    if 6 in wanted:
        raise LabError(f"{name}'s tunnel carries no IPv6: leave ipv6= or vpn= out")
    if vpn in _ways_out(behind):
        raise LabError(
            f"{name} is behind {vpn.name} already, and a tunnel to it would lead through itself: no vpn= then"
        )
    hidden = [box.name for box in _ways_out(vpn.behind) if box.translates]
    if hidden:
        raise LabError(f"{name} cannot reach {vpn.name} behind {hidden[0]}: vpn= takes a box on the public internet")


def _ways_out(router: NatRouter | None) -> Iterator[NatRouter]:
    """The router, and those outside it."""
    while router is not None:
        yield router
        router = router.behind
