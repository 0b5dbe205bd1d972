"""What a lab does with its gateways: which services they run, and which ports are forwarded by hand."""

from __future__ import annotations

from collections.abc import Iterable

from natlab.endpoint import Endpoint
from natlab.errors import LabError
from natlab.lab import bad_input
from natlab.lab.topology import Place
from natlab.packet import IPProtocol
from natlab.portmap import GatewayConfig
from natlab.sim import NatRouter

_PROTOCOLS = {"tcp": IPProtocol.TCP, "udp": IPProtocol.UDP}


def configure(gateway: GatewayConfig | Iterable[str]) -> GatewayConfig | None:
    """What `lab.nat(gateway=...)` asks for; None for nothing.

    Raises:
        LabError: a service that does not exist.
    """
    if isinstance(gateway, GatewayConfig):
        return gateway
    if not isinstance(gateway, Iterable):
        raise LabError(f'gateway= names services, gateway=("nat-pmp", "pcp", "upnp"), not {gateway!r}')
    try:
        config = GatewayConfig(services=(gateway,) if isinstance(gateway, str) else tuple(gateway))  # type: ignore[arg-type]
    except ValueError as error:
        raise LabError(str(error)) from error
    return config if config.services else None


def forward(router: NatRouter, host: Place, protocol: str, port: int, to_port: int | None, ipv6: bool) -> Endpoint:
    """A port forward without an end; see `Lab.forward`. In a firewall, it is a hole for one endpoint."""
    if host.behind != router.name:
        where = f"behind {host.behind}" if host.behind else "on the public internet"
        raise LabError(f"{host.name} is {where}, not behind {router.name}: forward to a computer behind {router.name}")
    to_port = port if to_port is None else to_port
    bad_input.check_port(port, "a port forward")
    bad_input.check_port(to_port, "to_port=")
    if ipv6 and not host.ip6:
        raise LabError(f"{host.name} has no IPv6 address: make it with ipv6=True, or leave ipv6= out")
    if not ipv6 and ":" in host.ip:
        raise LabError(f"{host.name} has no IPv4 address: open the port of its IPv6 address, with ipv6=True")
    router, ip = (_half(router, True), host.ip6) if ipv6 else (router, host.ip)
    if not router.translates and port != to_port:
        raise LabError(f"{router.name} is a firewall here and changes no ports: leave to_port= out")
    external_ip = router.external_ip if router.translates else ip
    external, internal = Endpoint.of(external_ip, port), Endpoint.of(ip, to_port)
    router.forward_port(_protocol(protocol), external, internal)
    return external


def unforward(router: NatRouter, protocol: str, port: int, ipv6: bool) -> None:
    """See `Lab.unforward`."""
    router = _half(router, ipv6)
    ips = (router.external_ip,) if router.translates else tuple(router.lan)
    ended = [router.unforward_port(_protocol(protocol), Endpoint.of(ip, port)) for ip in ips]
    if not any(ended):
        raise LabError(f"{router.name} forwards no {protocol} port {port}: which port, and which protocol=, was it?")


def _half(router: NatRouter, ipv6: bool) -> NatRouter:
    """The router as one version of IP knows it."""
    if not ipv6:
        return router
    if router.ipv6 is None:
        raise LabError(f"{router.name} forwards no IPv6: make it with ipv6=True")
    return router.ipv6


def _protocol(name: str) -> IPProtocol:
    if name not in _PROTOCOLS:
        raise LabError(f'the protocol is "tcp" or "udp", not {name!r}')
    return _PROTOCOLS[name]
