"""UPnP's Internet Gateway Device: the oldest way to ask for a port, and the longest.

Specifications: UPnP InternetGatewayDevice:1 (2001) and :2 (2010), of these the service WANIPConnection:1 and :2. Four
steps where NAT-PMP has one:

    control point                                       gateway
       │ ── M-SEARCH, multicast ──────────────────────> │   is there a gateway?                  `ssdp.py`
       │ <─ LOCATION ────────────────────────────────── │
       │ ══ GET the description, XML over HTTP ═══════> │   where is WANIPConnection?            `http.py`
       │ <═ controlURL ════════════════════════════════ │
       │ ══ POST AddPortMapping, SOAP ════════════════> │   external port 4001 is mine
       │ <═ an empty answer, or a fault, e.g. 718 ═════ │   the port is somebody else's
       │ ══ POST GetExternalIPAddress ════════════════> │   and at which address?

This is the control point's side; the gateway's is `igd_gateway.py`.

What differs from the newer protocols:

- The client names the external port, and gets that one or a fault. IGD 2 has AddAnyPortMapping, which finds another.
- The client names the internal host as well. Early gateways believed it, so anybody inside could open anybody's port;
  this one does not (606), as version 2 demands.
- Leases: version 1 may know only ones that never end (fault 725), which outlive the program that asked. In version 2
  they end within a week, and 0 means a week.
- No epoch: after a reboot the client notices nothing until it asks again.

*Not modelled*: events, PPP, IPv6 firewalls, mappings for one remote host or turned off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from natlab.endpoint import Endpoint
from natlab.errors import ProtocolError, RefusedError
from natlab.net import Network
from natlab.packet import IPProtocol
from natlab.portmap import ssdp
from natlab.portmap.http import fetch
from natlab.wire import http, soap
from natlab.wire.soap import Action, Fault

__all__ = [
    "CONFLICT",
    "DEVICES",
    "ONLY_PERMANENT",
    "WAN_IP_CONNECTION",
    "Control",
    "add_any_port_mapping",
    "add_port_mapping",
    "call",
    "delete_port_mapping",
    "discover",
    "external_ip",
]

DEVICES = tuple(f"urn:schemas-upnp-org:device:InternetGatewayDevice:{version}" for version in (2, 1))
CONFLICT, ONLY_PERMANENT = 718, 725
"""Two faults after which a control point tries something else (WANIPConnection:1 section 2.4.16)."""
WAN_IP_CONNECTION = "urn:schemas-upnp-org:service:WANIPConnection:"


@dataclass(frozen=True, slots=True)
class Control:
    """Where a gateway takes orders. Attributes: server and path of its control URL; service, its type."""

    server: Endpoint
    path: str
    service: str

    @property
    def version(self) -> int:
        return 2 if self.service.endswith(":2") else 1


async def discover(network: Network, ip: str, gateway: str | None = None) -> Control:
    """Finds the gateway, reads its description, and returns where it takes orders.

    Args:
        ip: this computer's address on the LAN.
        gateway: the only one that counts, by its address.

    Raises:
        UnreachableError: there is none.
        ProtocolError: it is none, by its description.
    """
    found = await ssdp.search(network, ip, DEVICES, gateway)
    server, path = ssdp.parse_url(found.location)
    response = await fetch(network, server, http.encode(f"GET {path} HTTP/1.1", _fields(server)))
    if response.status != 200:
        raise ProtocolError(f"{found.location} answers {response.start}")
    for service in soap.decode_description(response.body):
        if service.type in (f"{WAN_IP_CONNECTION}1", f"{WAN_IP_CONNECTION}2"):
            return _control(found.location, server, service)
    raise ProtocolError(f"{found.location} describes no WANIPConnection")


def _control(location: str, server: Endpoint, service: soap.Service) -> Control:
    try:
        at, path = ssdp.parse_url(urljoin(location, service.control_url))
    except ValueError as error:
        raise ProtocolError(f"{location} has a control URL that is none: {error}") from error
    if at.ip != server.ip:
        raise ProtocolError(f"{location} sends us to somebody else: {service.control_url}")
    return Control(at, path, service.type)


async def call(network: Network, control: Control, action: str, **arguments: str | int) -> Mapping[str, str]:
    """One action; its result by name.

    Raises:
        RefusedError: a fault; `.status` is its number.
        UnreachableError: no answer.
        ProtocolError: an answer that is none.
    """
    body = soap.encode_action(Action(control.service, action, {name: str(value) for name, value in arguments.items()}))
    fields = _fields(control.server) | {
        "Content-Type": 'text/xml; charset="utf-8"',
        "SOAPAction": f'"{control.service}#{action}"',
    }
    response = await fetch(network, control.server, http.encode(f"POST {control.path} HTTP/1.1", fields, body))
    result = soap.decode(response.body)
    if isinstance(result, Fault):
        raise RefusedError(f"{control.server.ip} answers {result.code} {result.description}", result.code)
    if result.name != f"{action}Response":
        raise ProtocolError(f"{control.server.ip} answers {action} with {result.name}")
    return result.arguments


async def external_ip(network: Network, control: Control) -> str:
    """The gateway's external address, as it says. Errors are those of `call`."""
    text = (await call(network, control, "GetExternalIPAddress")).get("NewExternalIPAddress", "")
    try:
        return Endpoint.of(text.strip(), 0).ip
    except ValueError as error:
        raise ProtocolError(f"{control.server.ip} has no external address: {text[:40]!r}") from error


async def add_port_mapping(
    network: Network, control: Control, protocol: int, external_port: int, internal: Endpoint, lease: int
) -> None:
    """Opens exactly this external port or renews it; `lease` in seconds, 0 for one without end.

    Raises: as `call`; 718 if somebody else has the port, 725 if leases may not end.
    """
    await call(network, control, "AddPortMapping", **_arguments(protocol, external_port, internal, lease))


async def add_any_port_mapping(
    network: Network, control: Control, protocol: int, external_port: int, internal: Endpoint, lease: int
) -> int:
    """IGD 2: opens this external port or another one, and returns it. Errors are those of `call`."""
    arguments = _arguments(protocol, external_port, internal, lease)
    result = await call(network, control, "AddAnyPortMapping", **arguments)
    port = result.get("NewReservedPort", "").strip()
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise ProtocolError(f"{control.server.ip} reserves no port: {port[:20]!r}")
    return int(port)


async def delete_port_mapping(network: Network, control: Control, protocol: int, external_port: int) -> None:
    """Gives a port back. Errors are those of `call`; 714 if it was not open."""
    await call(
        network,
        control,
        "DeletePortMapping",
        NewRemoteHost="",
        NewExternalPort=external_port,
        NewProtocol=IPProtocol(protocol).name,
    )


def _arguments(protocol: int, external_port: int, internal: Endpoint, lease: int) -> dict[str, str | int]:
    return {
        "NewRemoteHost": "",
        "NewExternalPort": external_port,
        "NewProtocol": IPProtocol(protocol).name,
        "NewInternalPort": internal.port,
        "NewInternalClient": internal.ip,
        "NewEnabled": 1,
        "NewPortMappingDescription": "natlab",
        "NewLeaseDuration": lease,
    }


def _fields(server: Endpoint) -> dict[str, str]:
    return {"Host": str(server), "Connection": "close", "User-Agent": "natlab UPnP/1.1 natlab/1.0"}
