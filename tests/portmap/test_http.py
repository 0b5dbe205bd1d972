"""HTTP exchanges on a simulated LAN: bounds in bytes and in time, on both sides."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, DecodeError, UnreachableError
from natlab.portmap import http
from natlab.portmap.http import fetch, respond, serve
from natlab.wire import http as wire

GET = wire.encode("GET / HTTP/1.1", {})


@pytest.fixture
def lan(home):
    """Carol serves, Alice asks; `lan.ask(bytes)` writes them as they are and returns all that comes back."""
    house = home(services=())
    house.server = Endpoint(house.carol.ip, 80)
    listener = house.run(house.carol.listen_tcp(house.server))
    house.seen = []

    def handler(request, source):
        house.seen.append((request, source))
        return respond("200 OK", b"<hello/>")

    house.task = house.loop.create_task(serve(listener, handler))

    async def ask(data):
        connection = await house.alice.dial_tcp(house.server)
        await connection.write(data)
        answer = b""
        while chunk := await connection.read():
            answer += chunk
        await connection.close_write()
        return answer

    house.ask = lambda data: house.run(ask(data))
    return house


def test_one_exchange(lan) -> None:
    response = lan.run(fetch(lan.alice, lan.server, GET))
    assert (response.status, response.body) == (200, b"<hello/>")
    ((request, source),) = lan.seen
    assert request.request == ("GET", "/") and source.ip == lan.alice.ip


def test_a_request_in_pieces_with_a_body(lan) -> None:
    async def slowly():
        connection = await lan.alice.dial_tcp(lan.server)
        for byte in wire.encode("POST / HTTP/1.1", {}, b"body"):
            await connection.write(bytes((byte,)))
            await asyncio.sleep(0.001)
        return await connection.read()

    assert lan.run(slowly()).startswith(b"HTTP/1.1 200 OK")
    assert lan.seen[0][0].body == b"body"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", b"a" * 9000, b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n"]
)
def test_a_bad_request_is_answered_400(lan, data: bytes) -> None:
    assert lan.ask(data).startswith(b"HTTP/1.1 400")
    assert lan.seen == []


def test_a_silent_client_is_reset_after_ten_seconds_and_a_seventeenth_at_once(lan) -> None:
    async def flood():
        return [await lan.alice.dial_tcp(lan.server) for _ in range(17)]

    connections = lan.run(flood())
    with pytest.raises(ClosedError):
        lan.run(connections[16].read(), limit=1.0)
    began = lan.loop.time()
    with pytest.raises(ClosedError):
        lan.run(connections[0].read())
    assert lan.loop.time() - began == pytest.approx(http.TIMEOUT, abs=0.1)
    assert lan.run(fetch(lan.alice, lan.server, GET)).status == 200


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", b"ab"),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", b"abc"),  # until the connection ends
    ],
)
def test_what_a_client_makes_of_an_answer(home, answer: bytes, body: bytes) -> None:
    assert _fetch_from(home, answer).body == body


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(70_000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_a_client_refuses(home, answer: bytes) -> None:
    with pytest.raises(DecodeError):
        _fetch_from(home, answer)


def test_nobody_there_and_nobody_answering(home) -> None:
    house = home(services=())
    with pytest.raises(UnreachableError):
        house.run(fetch(house.alice, Endpoint(house.carol.ip, 80), GET))
    house.run(house.carol.listen_tcp(Endpoint(house.carol.ip, 80)))
    began = house.loop.time()
    with pytest.raises(UnreachableError):
        house.run(fetch(house.alice, Endpoint(house.carol.ip, 80), GET))
    assert house.loop.time() - began == pytest.approx(http.TIMEOUT)


ANSWERS = [wire.encode("HTTP/1.1 200 OK", {"Server": "x"}, b"<hello/>"), b"HTTP/1.1 200 OK\r\n\r\n<hello/>"]


@pytest.mark.parametrize("answer", ANSWERS, ids=["with a length", "until the end"])
def test_wherever_an_answer_is_split_it_is_the_same(home, answer: bytes) -> None:
    for at in range(1, len(answer)):
        assert _fetch_from(home, answer[:at], answer[at:]).body == b"<hello/>"


def test_any_answer_is_understood_or_refused(home, few, mutated) -> None:
    @few
    @given(st.lists(mutated(st.sampled_from(ANSWERS)) | st.binary(max_size=9), min_size=1, max_size=3))
    def check(pieces) -> None:
        with suppress(DecodeError):
            assert len(_fetch_from(home, *pieces).body) <= wire.MAX_BODY

    check()


def test_any_requests_are_answered_and_the_next_client_too(lan, few, mutated) -> None:
    good = st.sampled_from([GET, wire.encode("POST / HTTP/1.1", {}, b"body")])

    @few
    @given(st.lists(mutated(good) | st.binary(max_size=9), min_size=1, max_size=3), st.booleans())
    def check(pieces, hangs_up: bool) -> None:
        async def client() -> bytes:
            connection = await lan.alice.dial_tcp(lan.server)
            with suppress(ClosedError):
                for piece in pieces:
                    await connection.write(piece)
                    await asyncio.sleep(0.01)
                if hangs_up:
                    await connection.close_write()
                return await connection.read()
            return b""

        assert lan.run(client())[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 400", b"")
        assert lan.run(fetch(lan.alice, lan.server, GET)).status == 200

    check()


def _fetch_from(home, *answer: bytes):
    """What `fetch` returns if a server says this, piece by piece, whatever it was asked, and ends."""
    house = home(services=())
    server = Endpoint(house.carol.ip, 80)

    async def exchange():
        listener = await house.carol.listen_tcp(server)
        task = asyncio.ensure_future(fetch(house.alice, server, GET))
        connection = await listener.accept()
        await connection.read()
        try:
            for piece in answer:
                await connection.write(piece)
                await asyncio.sleep(0.01)
            await connection.close_write()
        except ClosedError:  # the client has had enough
            pass
        return await task

    return house.run(exchange())
