"""Routers: the core of the internet, and the NAT router that a household sits behind.

              inside (its LAN)                                outside
    host ──┐                                                        ┌──> other networks
    host ──┼── forward ──> NatBox.outbound ──> uplink ──────────────┤
    host ──┘ <─ deliver ── NatBox.inbound <── receive <─────────────┘

The router has an address inside, too, its hosts' default gateway. Behind it is a host of its own, on which the
gateway services run (`natlab.portmap`), if the lab turns them on. What hosts multicast on the LAN reaches the router
alone, and what the router multicasts, every host: that is all that the services need.

A firewall is a NAT box that does not translate. All decisions about translation and filtering are `natlab.nat`'s; a
router only moves packets to and from it.
Routing is by exact address: this internet has as many addresses as hosts.

Not modelled: routing protocols, TTL, ICMP errors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from natlab.endpoint import Endpoint
from natlab.events import Verdict
from natlab.nat import Drop, NatBox, Wait
from natlab.packet import Packet
from natlab.portmap import Gateway
from natlab.sim.addressing import Lan
from natlab.sim.capture import Tap
from natlab.sim.links import Deliver
from natlab.sim.loop import SimLoop
from natlab.sim.ports import MULTICAST_GROUPS


class Router:
    """Passes packets on by their destination address. The core of the internet is one.

    Attributes:
        name: what events and messages call it.
    """

    def __init__(self, name: str, tap: Tap) -> None:
        self.name = name
        self._tap = tap
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

    def replug(self, ip: str, deliver: Deliver) -> None:
        """The cable on which `ip` is reached, with whatever else is reached by it, ends elsewhere now."""
        cable = self._routes[ip]
        self._routes.update({other: deliver for other, way in self._routes.items() if way == cable})

    def forward(self, packet: Packet) -> None:
        """A packet from one of the attached hosts."""
        deliver = self._routes.get(packet.destination.ip)
        if deliver is not None:
            deliver(packet)
        elif self._tap.on:
            self._tap.seen(packet, Verdict.DROPPED, f"no route to {packet.destination.ip}")


class NatRouter(Router):
    """A router with a NAT box, or a firewall, between its LAN and the network it hangs on.

    Attributes:
        box: the NAT box; `box.config` says how it behaves.
        lan: its network inside.
        behind: the router outside it, None for the core.
        translates: whether hosts inside have other addresses than outside.
        gateway_ip: its address inside.
        gateway: its gateway services, None if it has none.
    """

    def __init__(
        self, box: NatBox, lan: Lan, behind: NatRouter | None, loop: SimLoop, tap: Tap, flight: Callable[[], int]
    ) -> None:
        super().__init__(tap.place, tap)
        self.box = box
        self.lan = lan
        self.behind = behind
        self.translates = box.config.translates
        self._loop = loop
        self._flight = flight
        self._uplink: Deliver
        self.gateway: Gateway | None = None
        self.gateway_ip = lan.gateway
        self._own: Deliver = self._unserved
        for ip in (self.gateway_ip, *MULTICAST_GROUPS):
            self.attach(ip, self._own)

    def run_gateway(self, gateway: Gateway, deliver: Deliver) -> None:
        """From now on packets to the router itself go to `deliver`, the host on which its services run."""
        self.gateway = gateway
        self._own = deliver
        for ip in (self.gateway_ip, *MULTICAST_GROUPS):
            self.attach(ip, deliver)

    def forward_port(self, protocol: int, external: Endpoint, internal: Endpoint) -> None:
        """Forwards a port by hand, for good. Errors are those of `NatBox.forward`."""
        self.box.forward(protocol, external, internal, self._loop.now_ns)

    def unforward_port(self, protocol: int, external: Endpoint) -> None:
        """Takes a port forward back."""
        self.box.unforward(protocol, external, self._loop.now_ns)

    def reboot(self, *external_ips: str) -> None:
        """Turns it off and on: it has forgotten its mappings, port forwards and leases. It may have other addresses."""
        self.box.reboot(self._loop.now_ns, *external_ips)
        if self.gateway is not None:
            self.gateway.announce()

    @property
    def external_ip(self) -> str:
        """Its address outside, the first of several."""
        return self.box.external_ip

    def connect(self, uplink: Deliver) -> None:
        """Plugs in the cable to the network outside."""
        self._uplink = uplink

    def forward(self, packet: Packet) -> None:
        """A packet from inside: to a neighbour, or translated and out, or back in (hairpinning)."""
        neighbour = self._routes.get(packet.destination.ip)
        if neighbour is not None:
            if neighbour is self._own:
                neighbour(packet)
            else:
                self._pass(packet, packet, Verdict.FORWARDED, neighbour)
            return
        result = self.box.outbound(packet, self._loop.now_ns)
        if isinstance(result, Packet):
            self._pass(packet, result, Verdict.TRANSLATED, self._uplink)
        elif isinstance(result, Drop):
            self._drop(packet, result, super().forward)
        else:
            self._pass(packet, result.packet, Verdict.TRANSLATED, super().forward)

    def receive(self, packet: Packet) -> None:
        """A packet from outside: let in and translated, or dropped."""
        result = self.box.inbound(packet, self._loop.now_ns)
        if isinstance(result, Drop):
            self._drop(packet, result, self._uplink)
        else:
            self._pass(packet, result, Verdict.TRANSLATED, super().forward)

    def to_lan(self, packet: Packet) -> None:
        """A packet of the router's own host: to one of the LAN, or to all of them."""
        if packet.destination.ip not in MULTICAST_GROUPS:
            super().forward(packet)
            return
        for deliver in list(self._routes.values()):
            if deliver is not self._own:
                deliver(packet)

    def _unserved(self, packet: Packet) -> None:
        if self._tap.on:
            self._tap.seen(packet, Verdict.DROPPED, f"{self.name} runs no gateway services")

    def _pass(self, before: Packet, packet: Packet, verdict: Verdict, then: Deliver) -> None:
        if self._tap.on:
            self._tap.seen(packet, verdict, before=before)
        then(packet)

    def _drop(self, packet: Packet, drop: Drop, back: Deliver) -> None:
        """Dropped packets vanish, or are answered (RST, ICMP) towards where they came from, now or later."""
        if self._tap.on:
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

    def _answer(self, reply: Packet, back: Deliver) -> None:
        if self._tap.on:
            reply = reply._replace(flight=self._flight())
            self._tap.seen(reply, Verdict.SENT)
        back(reply)
