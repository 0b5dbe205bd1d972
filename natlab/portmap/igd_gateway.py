"""UPnP's Internet Gateway Device, the gateway's side: a description, and actions on the table of leases.

Specifications: UPnP InternetGatewayDevice:1 (2001) and :2 (2010); see `igd.py` for the exchange. The device is three
devices, one in the other, as the specification wants it, and only the innermost has a service that matters:

    InternetGatewayDevice > WANDevice > WANConnectionDevice > WANIPConnection, control URL /control

Version 2 answers searches for version 1, and calls of it.

*Not modelled*: events, service descriptions (SCPD: the URL is there, the document is not), DeletePortMappingRange and
GetListOfPortMappings, mappings for one remote host (726) or turned off (501).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import NAMESPACE_OID, uuid5

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.packet import IPProtocol
from natlab.portmap import ssdp
from natlab.portmap.config import Service
from natlab.portmap.http import respond
from natlab.portmap.igd import DEVICES, WAN_IP_CONNECTION
from natlab.portmap.leases import Denial, Lease, Leases, Wish
from natlab.wire import soap
from natlab.wire.http import Message
from natlab.wire.soap import Action, Fault

__all__ = ["PORT", "Device", "ErrorCode"]

PORT = 49152
"""Where this gateway serves its documents; any port would do, the search tells it."""
WAN_COMMON = "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1"
WEEK = 604_800


class ErrorCode:
    """WANIPConnection:2 section 2.5, and UPnP Device Architecture 2.0 section 3.2.2; with their names there."""

    INVALID_ACTION = Fault(401, "Invalid Action")
    INVALID_ARGS = Fault(402, "Invalid Args")
    ACTION_FAILED = Fault(501, "Action Failed")
    NOT_AUTHORIZED = Fault(606, "Action not authorized")
    BAD_INDEX = Fault(713, "SpecifiedArrayIndexInvalid")
    NO_SUCH_ENTRY = Fault(714, "NoSuchEntryInArray")
    NO_WILDCARD = Fault(716, "WildCardNotPermittedInExtPort")
    CONFLICT = Fault(718, "ConflictInMappingEntry")
    ONLY_PERMANENT = Fault(725, "OnlyPermanentLeasesSupported")
    ONLY_ANY_REMOTE = Fault(726, "RemoteHostOnlySupportsWildcard")
    NO_PORT_MAPS = Fault(728, "NoPortMapsAvailable")
    NO_WILDCARD_INSIDE = Fault(732, "WildCardNotPermittedInIntPort")


class Device:
    """The gateway's side: answers searches, requests for its description, and actions.

    Args:
        ip: its address inside.
        leases: its table.
        port: where it serves HTTP.
    """

    def __init__(self, ip: str, leases: Leases, port: int = PORT) -> None:
        self._leases = leases
        self._version = leases.config.igd
        self._name = f"uuid:{uuid5(NAMESPACE_OID, f'natlab gateway {ip}')}"
        self._location = f"http://{Endpoint(ip, port)}/description.xml"
        devices = DEVICES[-self._version :]  # version 2 is a version 1, too
        self._services = [f"{WAN_IP_CONNECTION}{version}" for version in range(self._version, 0, -1)]
        self._targets = (*devices, *self._services, "upnp:rootdevice")

    def answer_search(self, data: bytes) -> bytes | None:
        """The answer to a datagram at the SSDP group, or None for silence."""
        return ssdp.answer(data, self._targets, self._name, self._location)

    def answer_http(self, request: Message, source: Endpoint) -> bytes:
        """The response to a request from inside."""
        match request.request:
            case "GET", "/description.xml":
                return respond("200 OK", _description(self._version, self._name))
            case "POST", "/control" | "/common" as path:
                return self._control(path, request, source)
            case "GET" | "POST", _:
                return respond("404 Not Found")
        return respond("405 Method Not Allowed")

    def _control(self, path: str, request: Message, source: Endpoint) -> bytes:
        action = soap.decode(request.body)
        if isinstance(action, Fault):
            raise DecodeError("a fault is no action")
        result = self._perform(path, action, source)
        if isinstance(result, Fault):
            return respond("500 Internal Server Error", soap.encode_fault(result))
        return respond("200 OK", soap.encode_action(Action(action.service, f"{action.name}Response", result)))

    def _perform(self, path: str, action: Action, source: Endpoint) -> dict[str, str] | Fault:
        perform = _ACTIONS.get(action.name)
        if path != "/control" or action.service not in self._services or perform is None:
            return ErrorCode.INVALID_ACTION
        if action.name in _VERSION_2 and self._version == 1:
            return ErrorCode.INVALID_ACTION
        try:
            return perform(self._leases, _Arguments(action.arguments), source.ip)
        except _No as no:
            return no.fault


class _No(Exception):
    """An action that fails, inside this file."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Arguments:
    """The arguments of an action, read one by one: 402 for what is missing or wrong."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def text(self, name: str) -> str:
        if name not in self._texts:
            raise _No(ErrorCode.INVALID_ARGS)
        return self._texts[name].strip()

    def number(self, name: str, most: int = 65535) -> int:
        text = self.text(name)
        if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= most):
            raise _No(ErrorCode.INVALID_ARGS)
        return int(text)

    def protocol(self) -> IPProtocol:
        name = self.text("NewProtocol")
        if name not in ("TCP", "UDP"):
            raise _No(ErrorCode.INVALID_ARGS)
        return IPProtocol[name]


def _wish(leases: Leases, arguments: _Arguments, client: str, exact: bool) -> Wish:
    """What an action asks for, if it may."""
    protocol, port = arguments.protocol(), arguments.number("NewExternalPort")
    internal = Endpoint(arguments.text("NewInternalClient"), arguments.number("NewInternalPort"))
    if arguments.text("NewRemoteHost"):
        raise _No(ErrorCode.ONLY_ANY_REMOTE)
    if port == 0 and exact:
        raise _No(ErrorCode.NO_WILDCARD)
    if internal.port == 0:
        raise _No(ErrorCode.NO_WILDCARD_INSIDE)
    if internal.ip != client:
        raise _No(ErrorCode.NOT_AUTHORIZED)
    if arguments.text("NewEnabled") not in ("1", "true", "yes"):
        raise _No(ErrorCode.ACTION_FAILED)
    seconds = _lease_duration(leases, arguments.number("NewLeaseDuration", 2**32 - 1))
    description = "".join(filter(str.isprintable, arguments.text("NewPortMappingDescription")))[:100]
    return Wish(
        service=Service.UPNP,
        protocol=protocol,
        internal=internal,
        port=port,
        seconds=seconds,
        exact=exact,
        description=description,
    )


def _add(leases: Leases, wish: Wish) -> Lease:
    if wish.exact:
        _make_way(leases, wish)
    granted = leases.grant(wish)
    if isinstance(granted, Denial):
        raise _No(_FAULTS[granted] if leases.config.igd == 2 or granted not in _FULL else ErrorCode.ACTION_FAILED)
    return granted


def _lease_duration(leases: Leases, seconds: int) -> int | None:
    """None for ever. Version 2: a week at most, and 0 is a week (WANIPConnection:2 section 2.3.16)."""
    if leases.config.permanent_only and seconds:
        raise _No(ErrorCode.ONLY_PERMANENT)
    if leases.config.igd == 2:
        return min(seconds or WEEK, WEEK)
    return seconds or None


def _make_way(leases: Leases, wish: Wish) -> None:
    """A client may point its external port to another internal one (WANIPConnection:2 section 2.5.16)."""
    lease = leases.at(wish.protocol, wish.port)
    if lease is not None and lease.internal != wish.internal and lease.internal.ip == wish.internal.ip:
        leases.release(lease, "replaced: its host asked for another internal port")


def _add_port_mapping(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    _add(leases, _wish(leases, arguments, client, exact=True))
    return {}


def _add_any_port_mapping(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    return {"NewReservedPort": str(_add(leases, _wish(leases, arguments, client, exact=False)).external.port)}


def _delete_port_mapping(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    lease = _specific(leases, arguments)
    if lease.internal.ip != client:
        raise _No(ErrorCode.NOT_AUTHORIZED)
    leases.release(lease)
    return {}


def _specific_entry(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    return _entry(leases, _specific(leases, arguments))


def _specific(leases: Leases, arguments: _Arguments) -> Lease:
    lease = leases.at(arguments.protocol(), arguments.number("NewExternalPort"))
    if lease is None or arguments.text("NewRemoteHost"):
        raise _No(ErrorCode.NO_SUCH_ENTRY)
    return lease


def _generic_entry(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    index, entries = arguments.number("NewPortMappingIndex"), list(leases)
    if index >= len(entries):
        raise _No(ErrorCode.BAD_INDEX)
    lease = entries[index]
    names = {"NewRemoteHost": "", "NewExternalPort": str(lease.external.port)}
    return names | {"NewProtocol": IPProtocol(lease.protocol).name} | _entry(leases, lease)


def _entry(leases: Leases, lease: Lease) -> dict[str, str]:
    return {
        "NewInternalPort": str(lease.internal.port),
        "NewInternalClient": lease.internal.ip,
        "NewEnabled": "1",
        "NewPortMappingDescription": lease.description,
        "NewLeaseDuration": str(lease.seconds(leases.now_ns)),
    }


def _external_ip_address(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    return {"NewExternalIPAddress": leases.external_ip}


def _status_info(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    names = {"NewConnectionStatus": "Connected", "NewLastConnectionError": "ERROR_NONE"}
    return names | {"NewUptime": str(leases.epoch)}


def _connection_type(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    return {"NewConnectionType": "IP_Routed", "NewPossibleConnectionTypes": "IP_Routed"}


def _nat_status(leases: Leases, arguments: _Arguments, client: str) -> dict[str, str]:
    return {"NewRSIPAvailable": "0", "NewNATEnabled": "1"}


_ACTIONS: dict[str, Callable[[Leases, _Arguments, str], dict[str, str]]] = {
    "AddPortMapping": _add_port_mapping,
    "AddAnyPortMapping": _add_any_port_mapping,
    "DeletePortMapping": _delete_port_mapping,
    "GetSpecificPortMappingEntry": _specific_entry,
    "GetGenericPortMappingEntry": _generic_entry,
    "GetExternalIPAddress": _external_ip_address,
    "GetStatusInfo": _status_info,
    "GetConnectionTypeInfo": _connection_type,
    "GetNATRSIPStatus": _nat_status,
}
_VERSION_2 = ("AddAnyPortMapping",)
_FULL = (Denial.QUOTA, Denial.FULL)
_FAULTS = {
    Denial.NOT_AUTHORIZED: ErrorCode.NOT_AUTHORIZED,
    Denial.QUOTA: ErrorCode.NO_PORT_MAPS,
    Denial.FULL: ErrorCode.NO_PORT_MAPS,
    Denial.TAKEN: ErrorCode.CONFLICT,
}


def _description(version: int, name: str) -> bytes:
    """The device, the device in it, the device in that one, and there the service that matters."""
    connection = _device("WANConnectionDevice", version, name, _service(f"{WAN_IP_CONNECTION}{version}", "/control"))
    common = _service(WAN_COMMON, "/common")
    wan = _device("WANDevice", version, name, f"{common}<deviceList>{connection}</deviceList>")
    gateway = _device("InternetGatewayDevice", version, name, f"<deviceList>{wan}</deviceList>")
    head = '<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0">'
    return f"{head}<specVersion><major>1</major><minor>1</minor></specVersion>{gateway}</root>\n".encode()


def _device(kind: str, version: int, name: str, content: str) -> str:
    unique = name if kind == "InternetGatewayDevice" else f"uuid:{uuid5(NAMESPACE_OID, name + kind)}"
    return (
        f"<device><deviceType>urn:schemas-upnp-org:device:{kind}:{version}</deviceType>"
        f"<friendlyName>natlab {kind}</friendlyName><manufacturer>natlab</manufacturer>"
        f"<modelName>natlab</modelName><UDN>{unique}</UDN>{content}</device>"
    )


def _service(kind: str, path: str) -> str:
    name = kind.split(":")[-2]
    return (
        f"<serviceList><service><serviceType>{kind}</serviceType>"
        f"<serviceId>urn:upnp-org:serviceId:{name}1</serviceId><SCPDURL>/{name}.xml</SCPDURL>"
        f"<controlURL>{path}</controlURL><eventSubURL></eventSubURL></service></serviceList>"
    )
