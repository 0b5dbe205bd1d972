"""SOAP and device descriptions: round trips, bounds, and hostile XML."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import DecodeError
from natlab.portmap.igd_gateway import _description
from natlab.wire import soap
from natlab.wire.soap import Action, Fault, Service

WAN = "urn:schemas-upnp-org:service:WANIPConnection:1"
names = st.from_regex(r"\A[A-Z][A-Za-z]{0,20}\Z")
texts = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cn")), max_size=30)
actions = st.builds(Action, st.just(WAN), names, st.dictionaries(names, texts, max_size=8))


@given(actions)
def test_an_action_survives_the_wire(action: Action) -> None:
    assert soap.decode(soap.encode_action(action)) == action


@given(st.integers(0, 99999), texts.map(str.strip))
def test_a_fault_survives_the_wire(code: int, description: str) -> None:
    assert soap.decode(soap.encode_fault(Fault(code, description))) == Fault(code, description)


def test_what_a_real_gateway_says() -> None:
    """A fault as miniupnpd 2.3 sends it, with other prefixes than ours and no line breaks."""
    data = (
        b'<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        b's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><s:Fault><faultcode>s:Client</faultcode>'
        b"<faultstring>UPnPError</faultstring><detail>"
        b'<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>718</errorCode>'
        b"<errorDescription>ConflictInMappingEntry</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>"
    )
    assert soap.decode(data) == Fault(718, "ConflictInMappingEntry")


def test_services_wherever_they_stand() -> None:
    def service(name: str) -> str:
        return f"<service><serviceType> {name} </serviceType><controlURL>/{name}</controlURL></service>"

    half = "<service><serviceType>c</serviceType></service>"
    inner = f"<device>{service('a')}{half}<device>{service('b')}</device></device>"
    data = f'<root xmlns="urn:schemas-upnp-org:device-1-0">{inner}</root>'.encode()
    assert soap.decode_description(data) == [Service("a", "/a"), Service("b", "/b")]


def test_a_service_name_stays_inside_its_quotes() -> None:
    action = Action('urn:x" y="', "Add", {"A": "<b>&"})
    assert soap.decode(soap.encode_action(action)) == action


def test_text_that_xml_cannot_say() -> None:
    with pytest.raises(ValueError, match="cannot say"):
        soap.encode_action(Action(WAN, "Add", {"A": "\0"}))


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<x>",
        b"<x/><y/>",
        BOMB,
        BOMB.decode().encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-16"?>' + BOMB,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<x>&y;</x>",
        b"<a>" * 25 + b"</a>" * 25,
        b"<a>" * 9000 + b"</a>" * 9000,
        b"<x>" + b" " * 65536 + b"</x>",
        b"\xff\xfe",
        ENVELOPE.format("").encode(),
        ENVELOPE.format("<a/><b/>").encode(),
        ENVELOPE.format("<s:Fault/>").encode(),
        ENVELOPE.format("<a>" + "<b/>" * 33 + "</a>").encode(),
    ],
    ids=str,
)
def test_what_is_no_action_and_what_would_blow_up(data: bytes) -> None:
    with pytest.raises(DecodeError):
        soap.decode(data)


FAULT = soap.encode_fault(Fault(718, "Conflict"))
CODES = ["", "718", " 7 ", "-1", "999999", "²", "\u0663"]
WORDS = st.sampled_from(["", " ", "/c", WAN, "&#x1;", "&lt;", "<![CDATA[<a>]]>", "<!-- -->", "<?a b?>", "\0"])


def elements(names: list[str], content: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("<{0}>{1}</{0}>".format, st.sampled_from(names), content)


def some(content: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(content, max_size=4).map("".join)


services = elements(["service"], some(elements(["serviceType", "controlURL"], WORDS)))
trees = st.recursive(services | WORDS, lambda inside: elements(["device", "service"], some(inside)), max_leaves=8)
descriptions = some(trees).map(f'<root xmlns="{soap._DEVICE}">{{}}</root>'.format).map(str.encode)


@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_any_bytes_and_mutated_documents_are_decoded_or_refused(mutated, draw: st.DataObject) -> None:
    faults = st.sampled_from(CODES).map(lambda code: FAULT.replace(b"718", code.encode()))
    documents = actions.map(soap.encode_action) | faults | st.just(_description(2, "uuid:1")) | descriptions
    data = draw.draw(st.binary(max_size=300) | mutated(documents))
    with contextlib.suppress(DecodeError):
        said = soap.decode(data)
        assert isinstance(said, Fault) or len(said.arguments) <= soap.MAX_ARGUMENTS
    with contextlib.suppress(DecodeError):
        assert all(service.type and service.control_url for service in soap.decode_description(data))
