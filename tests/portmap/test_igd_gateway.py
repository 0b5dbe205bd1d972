"""UPnP's Internet Gateway Device, the gateway's side: what it does, what it refuses, and by which number."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, RefusedError
from natlab.packet import IPProtocol
from natlab.portmap import igd, igd_gateway
from natlab.wire import http
from natlab.wire.http import Message
from natlab.wire.soap import Action, Fault, decode, encode_action

UDP = IPProtocol.UDP
V1 = "urn:schemas-upnp-org:service:WANIPConnection:1"


def test_718_the_port_is_somebody_elses_and_any_other_will_do(home, desk) -> None:
    house = home()
    alice = desk(house)
    alice.add(host=house.carol)
    assert alice.fault(alice.add) == 718
    internal = Endpoint(house.alice.ip, 4001)
    port = house.run(igd.add_any_port_mapping(house.alice, alice.control, UDP, 4001, internal, 3600))
    assert port != 4001 and house.leases.at(UDP, port).internal == internal


def test_the_last_port_is_one(home, desk) -> None:
    house = home()
    desk(house).add(port=65535, inside=65535)
    assert house.leases.at(UDP, 65535).internal.port == 65535


def test_a_host_may_point_its_external_port_elsewhere(home, desk) -> None:
    house = home()
    alice = desk(house)
    alice.add(inside=4001)
    alice.add(inside=4002)
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
def test_what_is_refused_and_its_number(home, desk, changes, code: int) -> None:
    house = home()
    alice = desk(house)
    assert alice.fault(alice.add, **changes) == code
    assert list(house.leases) == []


def test_a_description_is_kept_as_far_as_it_can_be_shown_again(home, desk) -> None:
    alice = desk(home())
    alice.add(NewPortMappingDescription="<my>\t&\n" + "é" * 200)
    which = {"NewRemoteHost": "", "NewExternalPort": 4001, "NewProtocol": "UDP"}
    entry = alice.call("GetSpecificPortMappingEntry", **which)
    assert entry["NewPortMappingDescription"] == "<my>&" + "é" * 95


def test_control_characters_in_a_description_come_to_nothing(home) -> None:
    house = home()
    gateway, body = device(house), encode_action(Action(V1, "AddPortMapping", igd_arguments("a@b")))
    body = body.replace(b"a@b", b"a&#13;b")  # XML's way to say carriage return
    for request in (body, encode_action(Action(V1, "GetGenericPortMappingEntry", {"NewPortMappingIndex": "0"}))):
        answer = gateway.answer_http(Message("POST /control HTTP/1.1", {}, request), Endpoint("192.168.1.2", 1))
        assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"<NewPortMappingDescription>ab</NewPortMappingDescription>" in answer


def igd_arguments(description: str) -> dict[str, str]:
    arguments = igd._arguments(UDP, 4001, Endpoint("192.168.1.2", 4001), 60)
    return {name: str(value) for name, value in arguments.items()} | {"NewPortMappingDescription": description}


def test_401_what_there_is_not(home, desk) -> None:
    house = home(igd=1)
    alice = desk(house)
    assert alice.control.service == V1
    for action in ("RequestConnection", "AddAnyPortMapping"):
        assert alice.fault(alice.add, action) == 401
    common = igd.Control(alice.control.server, "/common", igd_gateway.WAN_COMMON)
    with pytest.raises(RefusedError) as refused:
        house.run(igd.call(house.alice, common, "GetCommonLinkProperties"))
    assert refused.value.status == 401


def test_713_and_714_what_is_not_there(home, desk) -> None:
    house = home()
    alice = desk(house)
    assert alice.fault(alice.call, "GetGenericPortMappingEntry", NewPortMappingIndex=0) == 713
    which = {"NewRemoteHost": "", "NewExternalPort": 4001, "NewProtocol": "TCP"}
    for action in ("GetSpecificPortMappingEntry", "DeletePortMapping"):
        assert alice.fault(alice.call, action, **which) == 714


def test_606_another_hosts_port_is_not_given_back(home, desk) -> None:
    house = home()
    alice = desk(house)
    alice.add(host=house.carol)
    which = {"NewRemoteHost": "", "NewExternalPort": 4001, "NewProtocol": "UDP"}
    assert alice.fault(alice.call, "DeletePortMapping", **which) == 606
    house = home(refuses=True)
    assert desk(house).fault(desk(house).add) == 606


@pytest.mark.parametrize(("version", "code"), [(2, 728), (1, 501)])
def test_too_many(home, desk, version: int, code: int) -> None:
    house = home(igd=version, leases_per_host=1)
    alice = desk(house)
    alice.add()
    alice.add()
    assert alice.fault(alice.add, port=4002, inside=4002) == code


def test_725_version_1_may_know_only_leases_without_end(home, desk) -> None:
    house = home(igd=1, permanent_only=True)
    alice = desk(house)
    assert alice.fault(alice.add) == 725
    alice.add(NewLeaseDuration=0)
    house.loop.advance(10**7)
    assert house.leases.at(UDP, 4001) is not None


@pytest.mark.parametrize(("asked", "got"), [(0, 604_800), (60, 60), (10**6, 604_800)])
def test_version_2_has_leases_of_a_week_at_most(home, desk, asked: int, got: int) -> None:
    house = home()
    desk(house).add(NewLeaseDuration=asked)
    assert house.leases.at(UDP, 4001).seconds(house.loop.now_ns) == got


def test_what_else_control_points_ask(home, desk) -> None:
    house = home()
    alice = desk(house)
    assert alice.call("GetStatusInfo")["NewConnectionStatus"] == "Connected"
    assert alice.call("GetConnectionTypeInfo")["NewConnectionType"] == "IP_Routed"
    assert alice.call("GetNATRSIPStatus")["NewNATEnabled"] == "1"


def device(house) -> igd_gateway.Device:
    return igd_gateway.Device("192.168.1.1", house.leases)


@pytest.mark.parametrize(
    ("start", "status"),
    [("GET /WANIPConnection.xml HTTP/1.1", b"404"), ("PUT /control HTTP/1.1", b"405"), ("POST /x HTTP/1.1", b"404")],
)
def test_other_requests(home, start: str, status: bytes) -> None:
    assert device(home()).answer_http(Message(start, {}), Endpoint("192.168.1.2", 1)).startswith(b"HTTP/1.1 " + status)


WORDS = [
    "",
    "0",
    "1",
    "4001",
    "65536",
    "-1",
    "9" * 5000,
    "²",
    "\u0663",
    "0x10",
    "1_0",
    "TCP",
    "UDP",
    "true",
    "*",
    "é\t<",
]
HOSTS = ["192.168.1.2", "192.168.1.3", "12.0.0.1", "::1"]


@pytest.mark.parametrize("version", [1, 2])
def test_any_actions_are_answered_or_refused_and_open_only_their_sender_s_ports(home, mutated, version) -> None:
    good = igd_arguments("x") | {"NewPortMappingIndex": "0"}
    changes = st.dictionaries(st.sampled_from(sorted(good)), st.sampled_from(WORDS + HOSTS), max_size=2)
    names = st.sampled_from([*igd_gateway._ACTIONS, "Foo", *["AddPortMapping"] * 4])
    services = st.sampled_from([V1, V1, V1, V1, "urn:x"])
    actions = st.builds(lambda service, name, other: Action(service, name, good | other), services, names, changes)
    bodies = actions.map(encode_action)

    @given(st.lists(st.tuples(bodies | mutated(bodies), st.sampled_from(HOSTS[:2])), min_size=5, max_size=30))
    def story(said) -> None:
        house = home(igd=version, leases_per_host=2)
        gateway, asked = device(house), set()
        for body, ip in said:
            asked.add(ip)
            try:
                answer = gateway.answer_http(Message("POST /control HTTP/1.1", {}, body), Endpoint(ip, 1))
            except DecodeError:
                continue
            result = decode(http.decode(answer).body)
            assert isinstance(result, Fault) or result.name.endswith("Response")
            hosts = [lease.internal.ip for lease in house.leases]
            assert set(hosts) <= asked and all(hosts.count(ip) <= 2 for ip in asked)

    story()


def test_any_requests_and_searches_are_answered_or_refused(home, mutated) -> None:
    gateway = device(home())
    description, action = b"GET /description.xml HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /common HTTP/1.1\r\n\r\n<a/>"
    search = http.encode("M-SEARCH * HTTP/1.1", {"Man": '"ssdp:discover"', "ST": igd.DEVICES[1]})

    @given(st.binary(max_size=200) | mutated(st.sampled_from([description, action, search])))
    def check(data: bytes) -> None:
        if (found := gateway.answer_search(data)) is not None:
            assert http.decode(found).status == 200
        with contextlib.suppress(DecodeError):
            answer = http.decode(gateway.answer_http(http.decode(data), Endpoint(HOSTS[0], 1)))
            assert answer.status in (200, 404, 405, 500)

    check()
