"""Routers: the core of the internet, and the NAT router that a household sits behind.

              inside (LAN 192.168.n.0/24)                     outside
    host ──┐                                                        ┌──> other networks
    host ──┼── forward ──> NatBox.outbound ──> uplink ──────────────┤
    host ──┘ <─ deliver ── NatBox.inbound <── receive <─────────────┘

The router has an address inside, too: .1, its hosts' default gateway. Behind it is a host of its own, on which the
gateway services run (`natlab.portmap`), if the lab turns them on. What hosts multicast on the LAN reaches the router
alone, and what the router multicasts, every host: that is all that the services need.

All decisions about translation and filtering are `natlab.nat`'s; a router only moves packets to and from it.
Routing is by exact address: this internet has as many addresses as hosts.

Not modelled: routing protocols, TTL, ICMP errors.
"""

from __future__ import annotations

from collections.abc import Callable

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.events import Verdict
from natlab.nat import Drop, NatBox
from natlab.packet import Packet
from natlab.portmap import Gateway
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
        """From now on packets to `ip` go to `deliver`.

        Raises:
            LabError: another host has this address.
        """
        if ip in self._routes:
            raise LabError(f"{ip} is already somebody's address on {self.name}: give each host its own")
        self._routes[ip] = deliver

    def reattach(self, ip: str, deliver: Deliver) -> None:
        """The cable of `ip`, which is attached, ends elsewhere now."""
        self._routes[ip] = deliver

    def taken(self, ip: str) -> bool:
        return ip in self._routes

    def forward(self, packet: Packet) -> None:
        """A packet from one of the attached hosts."""
        deliver = self._routes.get(packet.destination.ip)
        if deliver is not None:
            deliver(packet)
        elif self._tap.on:
            self._tap.seen(packet, Verdict.DROPPED, f"no route to {packet.destination.ip}")


class NatRouter(Router):
    """A router with a NAT box between its LAN and the network it hangs on.

    Attributes:
        box: the NAT box; `box.config` says how it behaves.
        external_ip: its address outside.
        lan: the first three octets of its network inside, e.g. `192.168.1`.
        gateway_ip: its address inside.
        gateway: its gateway services, None if it has none.
    """

    def __init__(
        self, box: NatBox, external_ip: str, lan: str, loop: SimLoop, tap: Tap, flight: Callable[[], int]
    ) -> None:
        super().__init__(tap.place, tap)
        self.box = box
        self.external_ip = external_ip
        self.lan = lan
        self._loop = loop
        self._flight = flight
        self._uplink: Deliver
        self.gateway: Gateway | None = None
        self.gateway_ip = f"{lan}.1"
        self._own: Deliver = self._unserved
        for ip in (self.gateway_ip, *MULTICAST_GROUPS):
            self.attach(ip, self._own)

    def run_gateway(self, gateway: Gateway, deliver: Deliver) -> None:
        """From now on packets to the router itself go to `deliver`, the host on which its services run."""
        self.gateway = gateway
        self._own = deliver
        for ip in (self.gateway_ip, *MULTICAST_GROUPS):
            self.reattach(ip, deliver)

    def forward_port(self, protocol: int, external: Endpoint, internal: Endpoint) -> None:
        """Forwards a port by hand, for good. Errors are those of `NatBox.forward`."""
        self.box.forward(protocol, external, internal, self._loop.now_ns)

    def unforward_port(self, protocol: int, external: Endpoint) -> None:
        """Takes a port forward back."""
        self.box.unforward(protocol, external, self._loop.now_ns)

    def reboot(self) -> None:
        """Turns the router off and on: it has forgotten its mappings, port forwards and leases."""
        self.box.reboot(self._loop.now_ns)
        if self.gateway is not None:
            self.gateway.announce()

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
        """Dropped packets vanish, or are answered (RST) towards where they came from."""
        if self._tap.on:
            self._tap.seen(packet, Verdict.DROPPED, drop.reason)
        reply = drop.reply
        if reply is not None:
            if self._tap.on:
                reply = reply._replace(flight=self._flight())
                self._tap.seen(reply, Verdict.SENT)
            back(reply)
