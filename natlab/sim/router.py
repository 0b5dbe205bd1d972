"""Routers: the core of the internet, and the NAT router that a household sits behind.

              inside (its LAN)                                outside
    host ──┐                                                        ┌──> other networks
    host ──┼── forward ──> NatBox.outbound ──> uplink ──────────────┤
    host ──┘ <─ deliver ── NatBox.inbound <── receive <─────────────┘

The router has an address inside, too, its hosts' default gateway. Behind it is a host of its own, on which the
gateway services run (`natlab.portmap`), if the lab turns them on. What hosts multicast on the LAN reaches the router
alone, and what the router multicasts, every host: that is all that the services need.

Each router takes one from a packet's TTL, and says "time exceeded" to whoever sent a packet that has none left; the
core says "host unreachable" of an address that nobody has. Only packets with few hops left are counted down: no path
here is as long as the usual 64, and a new packet at every hop would cost more than the hop. The core belongs to no
network, so its errors come from 192.0.0.8, which RFC 7600 section 4.8 sets aside for routers without an address; its
IPv6 address is 2600::1.

A firewall is a NAT box that does not translate. All decisions about translation and filtering are `natlab.nat`'s; a
router only moves packets to and from it. A router for both versions of IP is two, one for each, on one cable: where
that cable ends `by_version` parts the packets, and only cables that carry both have it.

Routing is by exact address: this internet has as many addresses as hosts.

Not modelled: routing protocols, the TTL of packets with more than 32 hops left.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from natlab.endpoint import Endpoint
from natlab.events import Verdict
from natlab.nat import Drop, Held, NatBox, Wait
from natlab.packet import IcmpKind, Packet, echo_reply, icmp_error
from natlab.portmap import Gateway
from natlab.sim.addressing import Lan
from natlab.sim.capture import Tap
from natlab.sim.links import Deliver
from natlab.sim.loop import SimLoop
from natlab.sim.ports import MULTICAST_GROUPS

CORE_IP, CORE_IP6 = "192.0.0.8", "2600::1"
FEW_HOPS = 32


class Router:
    """Passes packets on by their destination address. The core of the internet is one.

    Args:
        own_ip: where its ICMP errors come from, towards the hosts attached to it.

    Attributes:
        name: what events and messages call it.
    """

    def __init__(self, name: str, own_ip: str, tap: Tap, flight: Callable[[], int]) -> None:
        self.name = name
        self._own_ip = own_ip
        self._tap = tap
        self._flight = flight
        self._routes: dict[str, Deliver] = {}

    def attach(self, ip: str, deliver: Deliver) -> None:
        """From now on packets to `ip` go to `deliver`."""
        self._routes[ip] = deliver

    def detach(self, ip: str) -> None:
        """From now on there is no way to `ip`."""
        del self._routes[ip]

    def way_to(self, ip: str) -> Deliver:
        """Where packets to `ip` go."""
        return self._routes[ip]

    def replug(self, cable: Deliver, deliver: Deliver) -> None:
        """Packets that went to `cable` go to `deliver` from now on."""
        self._routes.update({ip: deliver for ip, way in self._routes.items() if way == cable})

    def forward(self, packet: Packet) -> None:
        """A packet from one of the attached hosts."""
        if packet.ttl <= FEW_HOPS:
            if packet.ttl <= 1:
                self._expire(packet, self._own_ip, self._route)
                return
            packet = packet._replace(ttl=packet.ttl - 1)
        self._route(packet)

    def _route(self, packet: Packet) -> None:
        """To the attached host that it is for."""
        deliver = self._routes.get(packet.destination.ip)
        if deliver is not None:
            deliver(packet)
            return
        if self._tap.on:
            self._tap.seen(packet, Verdict.DROPPED, f"no route to {packet.destination.ip}")
        if packet.source.ip in self._routes:
            self._say(IcmpKind.HOST_UNREACHABLE, packet, self._own_ip, self._route)

    def _expire(self, packet: Packet, own_ip: str, back: Deliver) -> None:
        """A packet that may not be passed on, since it has made all its hops."""
        if self._tap.on:
            self._tap.seen(packet, Verdict.DROPPED, "TTL: it has no hop left")
        self._say(IcmpKind.TIME_EXCEEDED, packet, own_ip, back)

    def too_big_inward(self, packet: Packet, mtu: int) -> None:
        """A packet does not fit the link of an attached host; the news goes the way of that host's packets."""
        self._say(IcmpKind.TOO_BIG, packet, self._own_ip, self.forward, mtu)

    def _say(self, kind: IcmpKind, packet: Packet, own_ip: str, back: Deliver, mtu: int = 0) -> None:
        """Tells the sender of a packet what became of it."""
        error = icmp_error(kind, own_ip, packet, mtu)
        if error is not None:
            self._answer(error, back)

    def _answer(self, answer: Packet, back: Deliver) -> None:
        """Sends a packet of its own."""
        if self._tap.on:
            answer = answer._replace(flight=self._flight())
            self._tap.seen(answer, Verdict.SENT)
        back(answer)


def by_version(ipv4: Deliver, ipv6: Deliver) -> Deliver:
    """Where a cable ends that carries packets of both versions."""

    def carry(packet: Packet) -> None:
        (ipv6 if ":" in packet.destination.ip else ipv4)(packet)

    return carry


class NatRouter(Router):
    """A router with a NAT box, or a firewall, between its LAN and the network it hangs on.

    Attributes:
        box: the NAT box; `box.config` says how it behaves.
        lan: its network inside.
        behind: the router outside it, None for the core.
        translates: whether hosts inside have other addresses than outside.
        ipv6: what it is to IPv6 packets, a firewall; None if it forwards none.
        gateway_ip: its address inside.
        gateway: its gateway services, None if it has none.
    """

    def __init__(
        self, box: NatBox, lan: Lan, behind: NatRouter | None, loop: SimLoop, tap: Tap, flight: Callable[[], int]
    ) -> None:
        super().__init__(tap.place, lan.gateway, tap, flight)
        self.box = box
        self.lan = lan
        self.behind = behind
        self.translates = box.config.translates
        self.ipv6: NatRouter | None = None
        self._passed = Verdict.TRANSLATED if self.translates else Verdict.FORWARDED
        self._loop = loop
        self._uplink: Deliver
        self.gateway: Gateway | None = None
        self.gateway_ip = lan.gateway
        self._own: Deliver = self._unserved
        for ip in (self.gateway_ip, *MULTICAST_GROUPS):
            self.attach(ip, self._own)

    def __repr__(self) -> str:
        kind = "NAT" if self.translates else "firewall"
        return f"<{kind} {self.name} at {self.external_ip}, inside {self.lan.network}>"

    def run_gateway(self, gateway: Gateway, deliver: Deliver) -> None:
        """From now on packets to the router itself go to `deliver`, the host on which its services run."""
        self.gateway = gateway
        self._own = deliver
        for ip in (self.gateway_ip, *MULTICAST_GROUPS):
            self.attach(ip, deliver)

    def forward_port(self, protocol: int, external: Endpoint, internal: Endpoint) -> None:
        """Forwards a port by hand, for good. Errors are those of `NatBox.forward`."""
        self.box.forward(protocol, external, internal, self._loop.now_ns)

    def unforward_port(self, protocol: int, external: Endpoint) -> bool:
        """Takes a port forward back. False: there was none."""
        return self.box.unforward(protocol, external, self._loop.now_ns)

    def reboot(self, *external_ips: str) -> None:
        """Turns it off and on: it has forgotten its mappings, port forwards and leases. It may have other addresses."""
        self.box.reboot(self._loop.now_ns, *external_ips)
        if self.ipv6 is not None:
            self.ipv6.reboot()
        if self.gateway is not None:
            self.gateway.announce()

    @property
    def external_ip(self) -> str:
        """Its address outside, the first of several."""
        return self.box.external_ip

    def connect(self, uplink: Deliver) -> None:
        """Plugs in the cable to the network outside."""
        self._uplink = uplink
        if self.ipv6 is not None:
            self.ipv6.connect(uplink)

    def forward(self, packet: Packet) -> None:
        """A packet from inside: to a neighbour, or translated and out, or back in (hairpinning)."""
        neighbour = self._routes.get(packet.destination.ip)
        if neighbour is not None:
            if neighbour is self._own:
                neighbour(packet)
            else:
                self._pass(packet, packet, Verdict.FORWARDED, neighbour)
            return
        if packet.ttl <= FEW_HOPS and packet.destination.ip not in self.box.external_ips:
            if packet.ttl <= 1:
                self._expire(packet, self._own_ip, self._route)
                return
            packet = packet._replace(ttl=packet.ttl - 1)
        result = self.box.outbound(packet, self._loop.now_ns)
        if isinstance(result, Packet):
            self._pass(packet, result, self._passed, self._uplink)
        elif isinstance(result, Drop):
            self._drop(packet, result, self._route)
        else:
            self._pass(packet, result.packet, Verdict.TRANSLATED, self._route)

    def receive(self, packet: Packet) -> None:
        """A packet from outside: let in and translated, or dropped."""
        result = self.box.inbound(packet, self._loop.now_ns)
        if isinstance(result, Drop):
            self._drop(packet, result, self._uplink)
        elif result.ttl > FEW_HOPS:
            self._pass(packet, result, self._passed, self._route)
        elif result.ttl > 1:
            self._pass(packet, result._replace(ttl=result.ttl - 1), self._passed, self._route)
        else:
            self._expire(packet, self.external_ip, self._uplink)

    def too_big_outward(self, packet: Packet, mtu: int) -> None:
        """A packet does not fit the link outside (RFC 4787 REQ-13); the box translates what is said of it inward."""
        half = self.ipv6 if self.ipv6 is not None and packet.source.version == 6 else self
        half._say(IcmpKind.TOO_BIG, packet, half.external_ip, half.receive, mtu)

    def to_lan(self, packet: Packet) -> None:
        """A packet of the router's own host: to one of the LAN, or to all of them."""
        if packet.destination.ip not in MULTICAST_GROUPS:
            self._route(packet)
            return
        for deliver in dict.fromkeys(self._routes.values()):
            if deliver is not self._own:
                deliver(packet)

    def _unserved(self, packet: Packet) -> None:
        """A packet to the router itself: a ping is answered (RFC 1812 section 4.3.3.6)."""
        is_ping = packet.icmp is not None and packet.icmp.kind is IcmpKind.ECHO_REQUEST
        if self._tap.on and is_ping:
            self._tap.seen(packet, Verdict.DELIVERED)
        elif self._tap.on:
            self._tap.seen(packet, Verdict.DROPPED, f"{self.name} runs no gateway services")
        if is_ping:
            self._answer(echo_reply(packet), self._route)

    def _pass(self, before: Packet, packet: Packet, verdict: Verdict, then: Deliver) -> None:
        if self._tap.on:
            self._tap.seen(packet, verdict, before=before)
        then(packet)

    def _drop(self, packet: Packet, drop: Drop, back: Deliver) -> None:
        """Dropped packets vanish, or are answered (RST, ICMP) towards where they came from, now or later."""
        if self._tap.on and not isinstance(drop, Held):
            self._tap.seen(packet, Verdict.DROPPED, drop.reason)
        if drop.reply is None:
            return
        if drop.wait is None:
            self._answer(drop.reply, back)
        else:
            self._loop.call_at_ns(drop.wait.until, partial(self._answer_late, drop.reply, back), drop.wait)

    def _answer_late(self, reply: Packet, back: Deliver, wait: Wait) -> None:
        if self.box.still_due(wait, self._loop.now_ns):
            self._answer(reply, back)
