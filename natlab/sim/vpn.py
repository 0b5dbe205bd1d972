"""A VPN as a full tunnel: all packets of a host leave from somewhere else, where a NAT box translates them.

    alice 192.168.2.3 ─┐                                              ┌─ vpn 13.0.0.1, LAN 192.168.2.0/24
      TunnelClient     │                                              │    VpnServer 192.168.2.2, port 51820
      192.168.1.2      └── home ───────── internet ───────────────────┘
                      outer datagrams: home has a mapping for them        inner packets: vpn has one for each of alice's

The host has an address of the exit's LAN and no other. What it sends is put into a UDP datagram to the server, which
stands on that LAN behind a port forward; the server takes it out and hands it to the exit's router as if the host were
there. The way back needs the mapping at home: a server sends to where a client's last datagram came from (roaming, as
in WireGuard), so a silent client behind a NAT is lost when that mapping ends.

    outer  IP, UDP to port 51820, 32 bytes of header and tag (WireGuard's data message), the inner packet

Source: J. Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel" (NDSS 2017), sections 2.1 and 5.4.6.

Not modelled: handshakes, keys, encryption (the outer payload is zeros), keepalives, IPv6, tunnels for a part of the
traffic, what routers on the way say of outer datagrams that are too long, an exit that comes back by itself after a
reboot, which forgets its port forward; counters: where a link copies an outer datagram, what it carries arrives twice.
"""

from __future__ import annotations

from collections.abc import Callable

from natlab.endpoint import Endpoint
from natlab.events import Verdict
from natlab.packet import IcmpKind, IPProtocol, Packet, icmp_error
from natlab.sim.capture import Tap
from natlab.sim.links import Deliver

__all__ = ["PORT", "TunnelClient", "VpnServer"]

PORT = 51820  # WireGuard's usual one
_OVERHEAD = 32  # bytes: kind:1 | reserved:3 | receiver:4 | counter:8 | tag:16


class _Sealed(bytes):
    """The payload of an outer datagram: as long as it would be, and with what an eavesdropper would not see."""

    inner: Packet


def _sealed(inner: Packet) -> _Sealed:
    payload = _Sealed(inner.size + _OVERHEAD)
    payload.inner = inner
    return payload


class _End:
    """Either end of tunnels: outer datagrams out of and into one UDP endpoint."""

    def __init__(self, local: Endpoint, tap: Tap, flight: Callable[[], int]) -> None:
        self.local = local
        self._tap = tap
        self._flight = flight
        self._uplink: Deliver

    def connect(self, uplink: Deliver) -> None:
        """Plugs in the cable that outer datagrams leave by."""
        self._uplink = uplink

    def _wrap(self, inner: Packet, to: Endpoint) -> None:
        outer = Packet(IPProtocol.UDP, self.local, to, _sealed(inner))
        if self._tap.on:
            outer = outer._replace(flight=self._flight())
            self._tap.seen(outer, Verdict.SENT)
        self._uplink(outer)

    def _unwrap(self, outer: Packet) -> Packet | None:
        payload = outer.payload
        inner = payload.inner if outer.destination == self.local and isinstance(payload, _Sealed) else None
        if self._tap.on:
            verdict, reason = (Verdict.DELIVERED, "") if inner else (Verdict.DROPPED, "all but the tunnel is refused")
            self._tap.seen(outer, verdict, reason)
        return inner


class TunnelClient(_End):
    """The host's end. Its cable is the host's real one; the host's packets come to `send`.

    Attributes:
        name: the host's.
        local: its address on the network where the host really is.
    """

    def __init__(
        self, name: str, local: Endpoint, server: Endpoint, host: Deliver, tap: Tap, flight: Callable[[], int]
    ) -> None:
        super().__init__(local, tap, flight)
        self.name = name
        self._server = server
        self._host = host

    def send(self, inner: Packet) -> None:
        self._wrap(inner, self._server)

    def receive(self, outer: Packet) -> None:
        inner = self._unwrap(outer)
        if inner is not None:
            self._host(inner)

    def too_big_outward(self, outer: Packet, mtu: int) -> None:
        """An outer datagram does not fit the host's own link: the host learns how long inner packets may be."""
        inner = outer.payload.inner if isinstance(outer.payload, _Sealed) else outer
        error = icmp_error(IcmpKind.TOO_BIG, inner.source.ip, inner, mtu - (outer.size - inner.size))
        if error is not None:
            if self._tap.on:
                error = error._replace(flight=self._flight())
                self._tap.seen(error, Verdict.SENT)
            self._host(error)


class VpnServer(_End):
    """The end at the exit, for all clients.

    Args:
        forward: the exit's router, as hosts on its LAN use it.

    Attributes:
        external: where clients find it.
    """

    def __init__(
        self, local: Endpoint, external: Endpoint, forward: Deliver, tap: Tap, flight: Callable[[], int]
    ) -> None:
        super().__init__(local, tap, flight)
        self.external = external
        self.connect(forward)
        self._clients: dict[str, Endpoint] = {}  # inner address -> where its last datagram came from

    def receive(self, outer: Packet) -> None:
        inner = self._unwrap(outer)
        if inner is not None:
            self._clients[inner.source.ip] = outer.source
            self._uplink(inner)

    def deliver(self, inner: Packet) -> None:
        """A packet for one of the clients."""
        client = self._clients.get(inner.destination.ip)
        if client is not None:
            self._wrap(inner, client)
        elif self._tap.on:
            self._tap.seen(inner, Verdict.DROPPED, f"no datagram has come through the tunnel of {inner.destination.ip}")
