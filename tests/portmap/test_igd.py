"""UPnP's Internet Gateway Device, both roles, on a simulated LAN."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, ProtocolError, RefusedError, UnreachableError
from natlab.packet import IPProtocol
from natlab.portmap import igd, igd_gateway
from natlab.portmap.http import respond, serve
from natlab.wire.http import Message
from natlab.wire.soap import Action, encode_action

TCP, UDP = IPProtocol.TCP, IPProtocol.UDP
V1, V2 = (f"urn:schemas-upnp-org:service:WANIPConnection:{version}" for version in (1, 2))


class Desk:
    """Alice at her gateway: `desk.call("GetStatusInfo")`, as somebody else with `host=`."""

    def __init__(self, house) -> None:
        self.house = house
        self.control = house.run(igd.discover(house.alice, house.alice.ip, "192.168.1.1"))

    def call(self, action, host=None, **arguments):
        return self.house.run(igd.call(host or self.house.alice, self.control, action, **arguments))

    def add(self, action="AddPortMapping", host=None, port=4001, inside=4001, **changes):
        host = host or self.house.alice
        arguments = igd._arguments(UDP, port, Endpoint(host.ip, inside), 3600) | changes
        return self.call(action, host, **{name: value for name, value in arguments.items() if value is not None})

    def fault(self, call, *arguments, **changes):
        with pytest.raises(RefusedError) as refused:
            call(*arguments, **changes)
        return refused.value.status


def test_a_port_is_opened_seen_and_given_back(home) -> None:
    house = home()
    desk, socket = Desk(house), house.udp(house.alice, 4001)
    assert desk.control.service == V2 and desk.control.version == 2
    external = Endpoint(house.run(igd.external_ip(house.alice, desk.control)), 4001)
    assert external.ip == house.router.external_ip
    house.run(igd.add_port_mapping(house.alice, desk.control, UDP, 4001, socket.local, 3600))
    assert house.gets_through(external, socket)
    entry = desk.call("GetSpecificPortMappingEntry", NewRemoteHost="", NewExternalPort=4001, NewProtocol="UDP")
    assert (entry["NewInternalClient"], entry["NewInternalPort"]) == (house.alice.ip, "4001")
    assert 3590 < int(entry["NewLeaseDuration"]) <= 3600 and entry["NewPortMappingDescription"] == "natlab"
    listed = desk.call("GetGenericPortMappingEntry", NewPortMappingIndex=0)
    assert (listed["NewExternalPort"], listed["NewProtocol"]) == ("4001", "UDP")
    house.run(igd.delete_port_mapping(house.alice, desk.control, UDP, 4001))
    assert list(house.leases) == []


def test_718_the_port_is_somebody_elses_and_any_other_will_do(home) -> None:
    house = home()
    desk = Desk(house)
    desk.add(host=house.carol)
    assert desk.fault(desk.add) == 718
    internal = Endpoint(house.alice.ip, 4001)
    port = house.run(igd.add_any_port_mapping(house.alice, desk.control, UDP, 4001, internal, 3600))
    assert port != 4001 and house.leases.at(UDP, port).internal == internal


def test_a_host_may_point_its_external_port_elsewhere(home) -> None:
    house = home()
    desk = Desk(house)
    desk.add(inside=4001)
    desk.add(inside=4002)
    assert [lease.internal.port for lease in house.leases] == [4002]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"NewExternalPort": None}, 402),
        ({"NewExternalPort": "x"}, 402),
        ({"NewExternalPort": 65536}, 402),
        ({"NewExternalPort": "9" * 500}, 402),
        ({"NewProtocol": "SCTP"}, 402),
        ({"NewLeaseDuration": -1}, 402),
        ({"NewRemoteHost": "12.0.0.1"}, 726),
        ({"NewExternalPort": 0}, 716),
        ({"NewInternalPort": 0}, 732),
        ({"NewInternalClient": "192.168.1.3"}, 606),  # a port for somebody else
        ({"NewInternalClient": "my computer"}, 606),
        ({"NewEnabled": 0}, 501),
        ({"NewExternalPort": 80}, 718),  # below 1024 the gateway keeps them
    ],
)
def test_what_is_refused_and_its_number(home, changes, code: int) -> None:
    house = home()
    desk = Desk(house)
    assert desk.fault(desk.add, **changes) == code
    assert list(house.leases) == []


def test_401_what_there_is_not(home) -> None:
    house = home(igd=1)
    desk = Desk(house)
    assert desk.control.service == V1
    for action in ("RequestConnection", "AddAnyPortMapping"):
        assert desk.fault(desk.add, action) == 401
    common = igd.Control(desk.control.server, "/common", igd_gateway.WAN_COMMON)
    with pytest.raises(RefusedError) as refused:
        house.run(igd.call(house.alice, common, "GetCommonLinkProperties"))
    assert refused.value.status == 401


def test_713_and_714_what_is_not_there(home) -> None:
    house = home()
    desk = Desk(house)
    assert desk.fault(desk.call, "GetGenericPortMappingEntry", NewPortMappingIndex=0) == 713
    which = {"NewRemoteHost": "", "NewExternalPort": 4001, "NewProtocol": "TCP"}
    for action in ("GetSpecificPortMappingEntry", "DeletePortMapping"):
        assert desk.fault(desk.call, action, **which) == 714


def test_606_another_hosts_port_is_not_given_back(home) -> None:
    house = home()
    desk = Desk(house)
    desk.add(host=house.carol)
    which = {"NewRemoteHost": "", "NewExternalPort": 4001, "NewProtocol": "UDP"}
    assert desk.fault(desk.call, "DeletePortMapping", **which) == 606
    house = home(refuses=True)
    assert Desk(house).fault(Desk(house).add) == 606


@pytest.mark.parametrize(("version", "code"), [(2, 728), (1, 501)])
def test_too_many(home, version: int, code: int) -> None:
    house = home(igd=version, leases_per_host=1)
    desk = Desk(house)
    desk.add()
    desk.add()
    assert desk.fault(desk.add, port=4002, inside=4002) == code


def test_725_version_1_may_know_only_leases_without_end(home) -> None:
    house = home(igd=1, permanent_only=True)
    desk = Desk(house)
    assert desk.fault(desk.add) == 725
    desk.add(NewLeaseDuration=0)
    house.loop.advance(10**7)
    assert house.leases.at(UDP, 4001) is not None


@pytest.mark.parametrize(("asked", "got"), [(0, 604_800), (60, 60), (10**6, 604_800)])
def test_version_2_has_leases_of_a_week_at_most(home, asked: int, got: int) -> None:
    house = home()
    Desk(house).add(NewLeaseDuration=asked)
    assert house.leases.at(UDP, 4001).seconds(house.loop.now_ns) == got


def test_what_else_control_points_ask(home) -> None:
    house = home()
    desk = Desk(house)
    assert desk.call("GetStatusInfo")["NewConnectionStatus"] == "Connected"
    assert desk.call("GetConnectionTypeInfo")["NewConnectionType"] == "IP_Routed"
    assert desk.call("GetNATRSIPStatus")["NewNATEnabled"] == "1"


def device(house) -> igd_gateway.Device:
    return igd_gateway.Device("192.168.1.1", house.leases)


@pytest.mark.parametrize(
    ("start", "status"),
    [("GET /WANIPConnection.xml HTTP/1.1", b"404"), ("PUT /control HTTP/1.1", b"405"), ("POST /x HTTP/1.1", b"404")],
)
def test_other_requests(home, start: str, status: bytes) -> None:
    assert device(home()).answer_http(Message(start, {}), Endpoint("192.168.1.2", 1)).startswith(b"HTTP/1.1 " + status)


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


def test_arbitrary_requests_are_answered_or_refused(home) -> None:
    gateway = device(home())

    @given(st.binary(max_size=200), st.sampled_from(["GET", "POST", ""]), st.sampled_from(["/control", "/common", "*"]))
    def check(body: bytes, method: str, path: str) -> None:
        gateway.answer_search(body)
        try:
            answer = gateway.answer_http(Message(f"{method} {path} HTTP/1.1", {}, body), Endpoint("192.168.1.2", 1))
        except DecodeError:
            return
        assert answer.startswith(b"HTTP/1.1 ")

    check()
