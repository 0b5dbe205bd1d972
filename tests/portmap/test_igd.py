"""UPnP's Internet Gateway Device, the control point's side, on a simulated LAN."""

from __future__ import annotations

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, ProtocolError, UnreachableError
from natlab.packet import IPProtocol
from natlab.portmap import igd, ssdp
from natlab.portmap.http import respond, serve
from natlab.wire.soap import Action, encode_action

UDP = IPProtocol.UDP
V1, V2 = (f"urn:schemas-upnp-org:service:WANIPConnection:{version}" for version in (1, 2))


def test_a_port_is_opened_seen_and_given_back(home, desk) -> None:
    house = home()
    alice, socket = desk(house), house.udp(house.alice, 4001)
    assert alice.control.service == V2 and alice.control.version == 2
    external = Endpoint(house.run(igd.external_ip(house.alice, alice.control)), 4001)
    assert external.ip == house.router.external_ip
    house.run(igd.add_port_mapping(house.alice, alice.control, UDP, 4001, socket.local, 3600))
    assert house.gets_through(external, socket)
    entry = alice.call("GetSpecificPortMappingEntry", NewRemoteHost="", NewExternalPort=4001, NewProtocol="UDP")
    assert (entry["NewInternalClient"], entry["NewInternalPort"]) == (house.alice.ip, "4001")
    assert 3590 < int(entry["NewLeaseDuration"]) <= 3600 and entry["NewPortMappingDescription"] == "natlab"
    listed = alice.call("GetGenericPortMappingEntry", NewPortMappingIndex=0)
    assert (listed["NewExternalPort"], listed["NewProtocol"]) == ("4001", "UDP")
    house.run(igd.delete_port_mapping(house.alice, alice.control, UDP, 4001))
    assert list(house.leases) == []


LIE = encode_action(Action(V1, "GetExternalIPAddressResponse", {"NewExternalIPAddress": "here"}))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (respond("404 Not Found"), ProtocolError),
        (respond("200 OK", b"<x/>"), ProtocolError),
        (respond("200 OK", b"not xml"), DecodeError),
        (respond("200 OK", LIE), ProtocolError),
    ],
)
def test_a_strange_gateway_is_not_believed(home, answer: bytes, error: type[Exception]) -> None:
    house = home(services=())
    listener = house.run(house.carol.listen_tcp(Endpoint(house.carol.ip, 80)))
    house.loop.create_task(serve(listener, lambda request, source: answer))
    with pytest.raises(error):
        house.run(igd.external_ip(house.alice, igd.Control(listener.local, "/", V1)))


@pytest.mark.parametrize("ending", ["", "0", "3", "1\nX-Forged: yes", "1\u00e9"])
def test_a_service_of_another_type_is_none(home, ending: str, monkeypatch) -> None:
    """Its type goes into a header field of ours."""
    house = home(services=())
    listener = house.run(house.carol.listen_tcp(Endpoint(house.carol.ip, 80)))
    description = (
        f'<root xmlns="urn:schemas-upnp-org:device-1-0"><service><serviceType>{V1[:-1]}{ending}</serviceType>'
        "<controlURL>/c</controlURL></service></root>"
    ).encode()
    house.loop.create_task(serve(listener, lambda request, source: respond("200 OK", description)))

    async def search(*_: object) -> ssdp.Found:
        return ssdp.Found(igd.DEVICES[0], f"http://{listener.local}/d.xml")

    monkeypatch.setattr(ssdp, "search", search)
    with pytest.raises(ProtocolError, match="describes no WANIPConnection"):
        house.run(igd.discover(house.alice, house.alice.ip))


@pytest.mark.parametrize("port", ["", "0", "65536", "0655351", "-1", "\u0662"])
def test_a_reserved_port_that_is_none(home, port: str) -> None:
    house = home(services=())
    listener = house.run(house.carol.listen_tcp(Endpoint(house.carol.ip, 80)))
    answer = encode_action(Action(V2, "AddAnyPortMappingResponse", {"NewReservedPort": port}))
    house.loop.create_task(serve(listener, lambda request, source: respond("200 OK", answer)))
    wish = UDP, 4001, Endpoint(house.alice.ip, 4001), 3600
    with pytest.raises(ProtocolError, match="reserves no port"):
        house.run(igd.add_any_port_mapping(house.alice, igd.Control(listener.local, "/", V2), *wish))


@pytest.mark.parametrize(
    ("url", "good"), [("/c", True), ("http://192.168.1.1:9/c", True), ("http://12.0.0.1/c", False), ("c:d", False)]
)
def test_a_control_url_stays_on_its_gateway(url: str, good: bool) -> None:
    server = Endpoint("192.168.1.1", 80)
    service = igd.soap.Service(V1, url)
    if good:
        assert igd._control("http://192.168.1.1/d.xml", server, service).server.ip == server.ip
    else:
        with pytest.raises(ProtocolError):
            igd._control("http://192.168.1.1/d.xml", server, service)


def test_no_gateway_at_all(home) -> None:
    house = home(services=("nat-pmp",))
    with pytest.raises(UnreachableError):
        house.run(igd.discover(house.alice, house.alice.ip))
