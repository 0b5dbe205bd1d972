"""The lab: an internet of one's own, and everything that happened in it.

    build    lab.nat(...)  lab.node(...)  lab.host(...)  lab.crowd(...)  lab.forward(...)
    run      lab.run(coroutine)  await lab.arun(coroutine)  lab.advance(seconds)  lab.step()
    break    lab.partition(name)  lab.heal(name)  lab.reboot(name)  lab.at(seconds, lab.partition, name)
    look     lab.packets  lab.mappings  lab.observations  lab.connections  lab.punches  lab.reachability
             lab.ladder(...)  lab.replay(...)  lab.draw(...)  lab.pcap(path)    (all in `natlab.lab.look`)
    judge    lab.nat_report(box)

Time is virtual: it stands still between cells and jumps to the next event inside `run`. The same seed gives the same
journal, packet for packet. Whatever is shown is computed from the journal, so looking changes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import (
    ConnectionClosed,
    ConnectionOpened,
    DialFailed,
    Event,
    HandlerFailed,
    Journal,
    PunchEnded,
    Reserved,
)
from natlab.host import Node
from natlab.lab import bad_input, gateways
from natlab.lab.bare import BareHost
from natlab.lab.boxes import carrier_lan, ipv6_firewall
from natlab.lab.look import Look
from natlab.lab.report import Report, report_on
from natlab.lab.run import Run
from natlab.lab.seed import rng_for
from natlab.lab.topology import Kind, Place
from natlab.nat import configure
from natlab.portmap import GatewayConfig
from natlab.protocol.dcutr import GO_V048, RoleProfile
from natlab.protocol.reservations import RelayLimits
from natlab.sim import Host, Internet, NatRouter
from natlab.sim.links import Delay, LinkConfigs
from natlab.wire.address import from_endpoint as address_of
from natlab.wire.keys import PrivateKey

PORT = 4001  # libp2p's usual TCP port, at which every node of a lab listens
OUTCOMES: tuple[type[Event], ...] = (
    ConnectionOpened,
    ConnectionClosed,
    DialFailed,
    HandlerFailed,
    PunchEnded,
    Reserved,
)
"""What a sweep over many labs records: `Lab(seed, record=OUTCOMES)`. Packets cost the most and are left out."""


class Lab(Run, Look):
    """A simulated internet with libp2p nodes on it.

    Args:
        seed: every chance in the lab follows from it.
        record: the kinds of events to keep; None keeps all.

    Attributes:
        journal: everything that happened, in order.
        nodes, hosts: libp2p nodes and bare computers by name, in the order they were made.
    """

    def __init__(self, seed: int = 0, *, record: Iterable[type[Event]] | None = None) -> None:
        bad_input.check_whole(seed, "a seed")
        Run.__init__(self)
        Look.__init__(self, Journal(bad_input.event_kinds(record)))
        self.seed = seed
        self.hosts: dict[str, BareHost] = {}
        self._internet = Internet(self._loop, self.journal, self._rng)

    def __repr__(self) -> str:
        return f"<Lab seed={self.seed} at {self.now:.3f} s: {', '.join(self._cast()) or 'empty'}>"

    def _rng(self, owner: str) -> random.Random:
        return rng_for(self.seed, owner)

    # ---- build

    def nat(
        self,
        preset: str = "home",
        *,
        name: str | None = None,
        address: str | None = None,
        behind: NatRouter | None = None,
        lan: str | None = None,
        ipv6: bool | str | Mapping[str, str | float] = False,
        link: LinkConfigs | None = None,
        gateway: GatewayConfig | Iterable[str] = (),
        **axes: str | float,
    ) -> NatRouter:
        """Adds a NAT box or a firewall, with a LAN of its own.

        Args:
            preset: a name from the table `natlab.lab.presets()`.
            name: what tables call it; the preset's name unless that is taken ("home", "home 2", ...).
            address: its external IPv4 address, or the first of several; the next free public one by default.
            behind: another NAT box, for NAT behind NAT.
            lan: its network inside, "10.0.0.0/8"; the next free one by default, for a carrier 100.64.0.0/10.
            ipv6: whether it forwards IPv6, as a firewall: True for the preset "firewall", or the name of another such
                preset, or the axes in which it differs from it, `{"filtering": "endpoint-independent"}`.
            link: its uplink, as in `node`.
            gateway: by which protocols hosts may ask it for ports, of "nat-pmp", "pcp" and "upnp"; by default it is
                deaf. A `natlab.portmap.GatewayConfig` says more.
            axes: what differs from the preset: `mapping="address-and-port-dependent"`, `port_allocation="random"`, ...

        Raises:
            LabError: no such preset or axis, the name or address is taken, the LAN overlaps another network, or the lab
                was closed.
        """
        config = configure(preset, **axes)
        name = self._free_name(preset) if name is None else name
        self._check_place(name, behind)
        services = gateways.configure(gateway)
        if services is not None:
            self._check_idle("to start a gateway's services")
        firewall, lan = ipv6_firewall(ipv6), lan or carrier_lan(preset, behind)
        router = self._internet.nat(
            name, config, address, behind=behind, lan=lan, ipv6=firewall, link=link, gateway=services
        )
        if router.gateway is not None:
            self.run(router.gateway.start())
        kind = Kind.NAT if router.translates else Kind.FIREWALL
        ip6 = router.ipv6.external_ip if router.ipv6 else ""
        self._places.append(Place(name, kind, router.external_ip, behind.name if behind else "", ip6))
        return router

    def node(
        self,
        name: str,
        behind: NatRouter | None = None,
        *,
        address: str | None = None,
        ipv4: bool = True,
        ipv6: bool | str = False,
        vpn: NatRouter | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
        link: LinkConfigs | None = None,
        relay_service: RelayLimits | bool | None = None,
        hole_punching: RoleProfile | None = GO_V048,
        keepalive: float | None = 30.0,
        reuse_port: bool = True,
    ) -> Node:
        """Adds a computer with a libp2p node on it, listening on TCP port 4001.

        Args:
            behind: the NAT box in front of it, made by `lab.nat`; None is the public internet.
            address: its IPv4 address; the next free one by default.
            ipv4, ipv6: which of the two it has; `ipv6="2600:7::1"` chooses the address.
            vpn: a public box through which all its packets leave, in a tunnel; it has an address of that box's LAN.
            delay: of its link in seconds one way, 0.01 in public; a pair if the two directions differ.
            loss: probability that its link loses a packet, each way.
            link: all about its link, instead of those two: a `LinkConfig`; a pair if the two directions differ.
            relay_service: whether it relays for others, or its limits; None: public nodes do, others do not.
            hole_punching: DCUtR role profile, None for a node that never punches.
            keepalive: seconds between pings on an idle connection; None for never, so that mappings may die.
            reuse_port: dial from the listening port.

        Raises:
            LabError: the name or address is taken, or none is left; neither IPv4 nor IPv6, or behind a box without
                IPv6; `link` comes with `delay` or `loss`; a tunnel for IPv6, or to where the node cannot reach; the
                lab was closed.
            ValueError: an argument that is not of its kind; the message says what is.
        """
        self._check_place(name, behind, vpn)
        self._check_idle("to make a node")
        bad_input.check_node(relay_service, hole_punching, keepalive, reuse_port)
        host = self._internet.host(
            name, address, ipv4=ipv4, ipv6=ipv6, behind=behind, vpn=vpn, delay=delay, loss=loss, link=link
        )
        self._places.append(_place_of(host, Kind.NODE, behind, vpn))
        node = Node(
            host,
            key=PrivateKey.generate(self._rng(f"{name} key")),
            rng=self._rng(f"{name} node"),
            journal=self.journal,
            name=name,
            listen=[address_of(Endpoint(ip, PORT)) for ip in host.ips],
            relay_service=_limits(behind is None if relay_service is None else relay_service),
            hole_punching=hole_punching,
            keepalive=keepalive,
            reuse_port=reuse_port,
        )
        self.run(node.start())
        self.nodes[name] = node
        return node

    def host(
        self,
        name: str,
        behind: NatRouter | None = None,
        *,
        address: str | None = None,
        ipv4: bool = True,
        ipv6: bool | str = False,
        vpn: NatRouter | None = None,
        delay: Delay | None = None,
        loss: float = 0.0,
        link: LinkConfigs | None = None,
    ) -> BareHost:
        """Adds a bare computer: sockets, no libp2p. Arguments and errors are those of `node`."""
        self._check_place(name, behind, vpn)
        host = self._internet.host(
            name, address, ipv4=ipv4, ipv6=ipv6, behind=behind, vpn=vpn, delay=delay, loss=loss, link=link
        )
        self._places.append(_place_of(host, Kind.HOST, behind, vpn))
        self.hosts[name] = BareHost(name, host.ip, host, self._rng(f"{name} bare"), host.ip6)
        return self.hosts[name]

    def crowd(self, number: int, *, ipv6: bool = False) -> list[Node]:
        """Adds public nodes on distinct addresses, each in another first octet: observers, to be dialled.

        A node advertises an observed address only after four observers; pictures leave the crowd out.

        Raises:
            ValueError: no whole number, or below 0.
        """
        bad_input.check_whole(number, "how many are in a crowd")
        bad_input.check_flag(ipv6, "ipv6=")
        return [self._one_more(ipv6) for _ in range(number)]

    def _one_more(self, ipv6: bool) -> Node:
        node = self.node(f"crowd {len(self._crowd) + 1}", ipv6=ipv6)
        self._crowd.append(node.name)
        return node

    def _free_name(self, preset: str) -> str:
        taken = {place.name for place in self._places}
        numbered = (f"{preset} {number}" for number in range(2, len(taken) + 3))
        return next(name for name in (preset, *numbered) if name not in taken)

    def _check_place(self, name: str, behind: NatRouter | None, vpn: NatRouter | None = None) -> None:
        """Whether something of this name can be plugged in behind these boxes."""
        self._check_open()
        bad_input.check_name(name)
        for word, box in (("behind", behind), ("vpn", vpn)):
            if box is not None and box not in self._internet.nats.values():
                raise LabError(f"{word}= takes a NAT box of this lab, made by lab.nat(...), not {box!r}")

    def forward(
        self,
        nat: NatRouter | str,
        port: int,
        host: BareHost | Node | str,
        *,
        protocol: str = "tcp",
        to_port: int | None = None,
        ipv6: bool = False,
    ) -> Endpoint:
        """Forwards a port by hand, for good, and returns the external endpoint.

        Args:
            nat: the NAT box, or its name.
            port: its external port.
            host: whom it leads to: a computer behind that NAT, or another NAT box there.
            protocol: "tcp" or "udp".
            to_port: the port inside; the same by default.
            ipv6: opens the port of the host's IPv6 address, where nothing is translated.

        Raises:
            LabError: no such NAT or host, it is not behind this NAT, or somebody else has the port.
            ValueError: no port.
        """
        bad_input.check_flag(ipv6, "ipv6=")
        return gateways.forward(self._nat(nat), self._place(host), protocol, port, to_port, ipv6)

    def unforward(self, nat: NatRouter | str, port: int, *, protocol: str = "tcp", ipv6: bool = False) -> None:
        """Takes a port forward back, and ends the conversations through it.

        Raises:
            LabError: no such NAT, or no such port is forwarded there.
            ValueError: no port.
        """
        bad_input.check_flag(ipv6, "ipv6=")
        gateways.unforward(self._nat(nat), protocol, port, ipv6)

    def _nat(self, nat: NatRouter | str) -> NatRouter:
        self._check_open()
        nats = self._internet.nats
        for name, known in nats.items():
            if nat is known or nat == name:
                return known
        raise _stranger(nat, nats) if isinstance(nat, NatRouter) else bad_input.unknown(nat, nats, "NAT ")

    def _place(self, host: BareHost | Node | NatRouter | str) -> Place:
        made = {**self._internet.nats, **self.nodes, **self.hosts}
        for place in self._places:
            if host is made[place.name] or host == place.name:
                return place
        raise bad_input.unknown(host, made) if isinstance(host, str) else _stranger(host, made)

    # ---- break

    def reboot(self, nat: NatRouter | str, new_address: bool = False) -> None:
        """Turns a NAT or firewall off and on: it forgets mappings, port forwards and leases, and says so on its LAN.

        Args:
            new_address: whether its provider gives it another external address.

        Raises:
            LabError: no such NAT, or a firewall, which has no address of its own, is to have another one.
        """
        name = self._nat(nat).name
        bad_input.check_flag(new_address, "new_address=")
        self._internet.reboot(name, new_address)
        index = self._places.index(self._place(name))
        self._places[index] = replace(self._places[index], ip=self._internet.nats[name].external_ip)

    def partition(self, *names: str) -> None:
        """Cuts the link of each host or NAT: it, with all that is behind it, no longer reaches the rest.

        Raises:
            LabError: no such place, or none at all.
        """
        for name in self._cuttable(names):
            self._internet.partition(name)

    def heal(self, *names: str) -> None:
        """Undoes `partition`; connections that were patient enough go on. Errors are those of `partition`."""
        for name in self._cuttable(names):
            self._internet.heal(name)

    def _cuttable(self, names: Sequence[str]) -> Sequence[str]:
        self._check_open()
        if not names:
            raise LabError("whose link? Name one or more hosts or NAT boxes")
        return self._known(names)

    # ---- measure

    def nat_report(self, box: NatRouter | str, carrier: bool = False) -> Report:
        """Which rules of the RFCs a NAT box keeps, each measured by probes; a twin of it is probed, on a bench.

        Args:
            carrier: whether it is also measured by what is asked of a carrier's NAT (RFC 6888).

        Raises:
            LabError: it is no NAT box of this lab.
        """
        nat = self._nat(box)
        bad_input.check_flag(carrier, "carrier=")
        return report_on(nat.name, nat.box.config, self.seed, carrier)


def _stranger(thing: object, known: Iterable[str]) -> LabError:
    """The complaint about a thing that was not made by this lab."""
    return LabError(f"{thing!r} is not of this lab: name one of {', '.join(known) or 'its places; there are none yet'}")


def _place_of(host: Host, kind: Kind, behind: NatRouter | None, vpn: NatRouter | None) -> Place:
    box, tunnel = (behind, None) if vpn is None else (vpn, behind)
    return Place(host.name, kind, host.ip, box.name if box else "", host.ip6, tunnel.name if tunnel else "")


def _limits(service: RelayLimits | bool) -> RelayLimits | None:
    """What the node takes: limits, or None for no service."""
    return service if isinstance(service, RelayLimits) else RelayLimits() if service else None
