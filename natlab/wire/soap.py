"""What UPnP says in XML: an action with its arguments, a result, a fault; and which services a device has.

Specifications: UPnP Device Architecture 2.0 sections 2.3 (description) and 3.2 (control).

    <s:Envelope>
      <s:Body>                              call                    result                          fault
        <u:AddPortMapping>                  the action's name       the same and "Response"         s:Fault
          <NewExternalPort>4001</...>       its arguments           what it returns                 errorCode, ...

XML from strangers is read with care: bounded, no deeper than need be, and without document types, whose entities can
make a kilobyte a gigabyte ("billion laughs") or fetch files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from natlab.errors import DecodeError

__all__ = [
    "Action",
    "Fault",
    "Service",
    "decode",
    "decode_description",
    "encode_action",
    "encode_fault",
]

MAX_XML = 1 << 16
MAX_DEPTH = 24
MAX_ARGUMENTS = 32

_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_CONTROL = "urn:schemas-upnp-org:control-1-0"
_DEVICE = "urn:schemas-upnp-org:device-1-0"


@dataclass(frozen=True, slots=True)
class Action:
    """A call, or its result: then the name ends in "Response".

    Attributes:
        service: the type of the service, e.g. "urn:schemas-upnp-org:service:WANIPConnection:1".
        name: e.g. "AddPortMapping".
        arguments: text by name, in order.
    """

    service: str
    name: str
    arguments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """An action that failed, and why."""

    code: int
    description: str


@dataclass(frozen=True, slots=True)
class Service:
    """One service of a device description. Attributes: type; control_url, as it stands there."""

    type: str
    control_url: str


def encode_action(action: Action) -> bytes:
    """Raises ValueError for text that XML cannot say."""
    arguments = "".join(f"<{name}>{_text(value)}</{name}>" for name, value in action.arguments.items())
    return _envelope(f"<u:{action.name} xmlns:u={quoteattr(action.service)}>{arguments}</u:{action.name}>")


def encode_fault(fault: Fault) -> bytes:
    error = f"<errorCode>{fault.code}</errorCode><errorDescription>{_text(fault.description)}</errorDescription>"
    detail = f'<detail><UPnPError xmlns="{_CONTROL}">{error}</UPnPError></detail>'
    return _envelope(f"<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring>{detail}</s:Fault>")


def decode(data: bytes) -> Action | Fault:
    """Reads a call, result or fault.

    Raises:
        DecodeError: no XML, or none of these.
    """
    content = list(_parse(data).iterfind(f"{{{_ENVELOPE}}}Body/*"))
    if len(content) != 1:
        raise DecodeError(f"a SOAP envelope with {len(content)} things in it")
    service, name = _split(content[0])
    if (service, name) == (_ENVELOPE, "Fault"):
        return _fault(content[0])
    arguments = {_split(child)[1]: child.text or "" for child in content[0]}
    if len(content[0]) > MAX_ARGUMENTS:
        raise DecodeError(f"{len(content[0])} arguments of {name}")
    return Action(service, name, arguments)


def decode_description(data: bytes) -> list[Service]:
    """The services of a device and of the devices in it, in the order they stand there.

    Raises:
        DecodeError: no XML.
    """
    return list(_services(_parse(data)))


def _parse(data: bytes) -> Element:
    """The root element of a small, plain document.

    Raises:
        DecodeError: no XML in UTF-8, or too large, too deep, or with a document type.
    """
    if len(data) > MAX_XML:
        raise DecodeError(f"{len(data)} bytes of XML; {MAX_XML} are read at most")
    try:
        text = data.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise DecodeError("XML with a document type: its entities are not safe")
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise DecodeError(f"no XML: {error}") from error
    _check_depth(root)
    return root


def _check_depth(root: Element) -> None:
    level = [root]
    for _ in range(MAX_DEPTH):
        level = [child for element in level for child in element]
    if level:
        raise DecodeError(f"XML nested more than {MAX_DEPTH} deep")


def _services(root: Element) -> Iterator[Service]:
    for service in root.iter(f"{{{_DEVICE}}}service"):
        texts = {_split(child)[1]: (child.text or "").strip() for child in service}
        if texts.get("serviceType") and texts.get("controlURL"):
            yield Service(texts["serviceType"], texts["controlURL"])


def _fault(element: Element) -> Fault:
    code = element.findtext(f".//{{{_CONTROL}}}errorCode", "").strip()
    if not (code.isascii() and code.isdigit() and len(code) < 6):
        raise DecodeError("a SOAP fault without a UPnP error code")
    return Fault(int(code), element.findtext(f".//{{{_CONTROL}}}errorDescription", "").strip())


def _split(element: Element) -> tuple[str, str]:
    """Namespace and name of `{namespace}name`."""
    namespace, _, name = element.tag[1:].partition("}") if element.tag[:1] == "{" else ("", "", element.tag)
    return namespace, name


def _envelope(body: str) -> bytes:
    opening = f'<s:Envelope xmlns:s="{_ENVELOPE}" s:encodingStyle="{_ENCODING}">'
    return f'<?xml version="1.0"?>\n{opening}<s:Body>{body}</s:Body></s:Envelope>\n'.encode()


def _text(value: str) -> str:
    if any(ord(character) < 32 and character not in "\t\n" for character in value):
        raise ValueError(f"XML cannot say {value!r}")
    return escape(value)
