"""SSDP, both roles, on a simulated LAN."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, UnreachableError
from natlab.events import PacketSeen
from natlab.portmap import ssdp
from natlab.wire import http

IGD = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
NAME = "uuid:1"
WHERE = "http://192.168.1.1:49152/description.xml"


def question(target: str, start: str = "M-SEARCH * HTTP/1.1", man: str = '"ssdp:discover"') -> bytes:
    return http.encode(start, {"Host": "239.255.255.250:1900", "Man": man, "MX": "2", "ST": target})


@pytest.mark.parametrize(("target", "answered"), [(IGD, IGD), ("ssdp:all", IGD), (NAME, NAME)])
def test_what_a_device_answers_to(target: str, answered: str) -> None:
    answer = ssdp.answer(question(target), (IGD,), NAME, WHERE)
    assert answer is not None
    message = http.decode(answer)
    assert (message.status, message.fields["st"], message.fields["location"]) == (200, answered, WHERE)


@pytest.mark.parametrize(
    "data",
    [
        question("urn:schemas-upnp-org:device:MediaServer:1"),
        question(IGD, start="NOTIFY * HTTP/1.1"),
        question(IGD, man="ssdp:discover"),
        b"",
        b"\xff" * 100,
    ],
)
def test_what_a_device_is_silent_about(data: bytes) -> None:
    assert ssdp.answer(data, (IGD,), NAME, WHERE) is None


def test_the_group_is_ssdp_s() -> None:
    """UPnP Device Architecture 2.0 section 1.3.2."""
    assert str(ssdp.GROUP) == "239.255.255.250:1900"


def test_the_gateway_is_found(home) -> None:
    house = home()
    found = house.run(ssdp.search(house.alice, house.alice.ip, ["urn:x", IGD]))
    assert found == ssdp.Found(IGD, WHERE)


def test_nobody_answers_after_three_searches(home) -> None:
    house = home(services=("pcp",))
    with pytest.raises(UnreachableError, match="3 searches"):
        house.run(ssdp.search(house.alice, house.alice.ip, [IGD]))
    assert house.loop.time() == pytest.approx(3.0)


FORGED = (
    "http://12.0.0.1/",
    "http://localhost/",
    "ftp://192.168.1.3/",
    "http://u@192.168.1.3/",
    "http://[::1",
    "http://192.168.1.3:99999/",
    "http://192.168.1.3:80/a b",
    "http://192.168.1.3:80/\xe9",
    "",
)


@pytest.mark.parametrize("location", FORGED)
def test_an_answer_that_points_elsewhere_does_not_count(home, location: str) -> None:
    with pytest.raises(UnreachableError):
        carol_answers(home(services=()), location)


def test_an_answer_that_points_to_its_sender_counts_unless_only_the_gateway_does(home) -> None:
    own = "http://192.168.1.3:80/"
    assert carol_answers(home(services=()), own).location == own
    with pytest.raises(UnreachableError):
        carol_answers(home(services=()), own, only="192.168.1.1")


def carol_answers(house, location: str, only: str | None = None):
    """What Alice finds when Carol answers her search with this location."""
    forger = house.udp(house.carol, 1901)

    async def searching():
        task = asyncio.ensure_future(ssdp.search(house.alice, house.alice.ip, [IGD], only))
        await asyncio.sleep(0.1)
        asker = next(e.packet.source for e in house.journal.of(PacketSeen) if e.packet.destination == ssdp.GROUP)
        forger.send(http.encode("HTTP/1.1 200 OK", {"ST": IGD, "Location": location}), asker)
        return await task

    return house.run(searching())


def test_urls() -> None:
    assert ssdp.parse_url("http://192.168.1.1:80/a/b?c=d") == (Endpoint("192.168.1.1", 80), "/a/b?c=d")
    assert ssdp.parse_url("http://192.168.1.1") == (Endpoint("192.168.1.1", 80), "/")


PARTS = [
    "http://",
    "192.168.1.1",
    "[::1]",
    ":80",
    ":99999",
    ":0",
    ":²",
    "//evil/",
    "/",
    "/a",
    "?b",
    "#c",
    "@",
    "[",
    "]",
    " ",
    "\n",
]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=6).map("".join))
def test_any_url_is_one_that_http_can_ask_for_or_is_refused(url: str) -> None:
    for maybe in (url, f"http://192.168.1.1{url}"):
        try:
            server, path = ssdp.parse_url(maybe)
        except ValueError:
            continue
        request = http.decode(http.encode(f"GET {path} HTTP/1.1", {}))
        assert request.request == ("GET", path) and path.startswith("/")
        assert server == Endpoint.of(server.ip, server.port)


@given(st.data())
def test_any_answer_to_a_search_is_understood_or_refused(mutated, draw: st.DataObject) -> None:
    location = f"http://192.168.1.1{draw.draw(st.sampled_from(PARTS))}"
    good = http.encode("HTTP/1.1 200 OK", {"ST": IGD, "Location": location.strip()})
    with contextlib.suppress(DecodeError):
        ssdp._found(draw.draw(mutated(st.just(good) | st.binary(max_size=200))))
