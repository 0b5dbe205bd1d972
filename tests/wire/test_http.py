"""HTTP messages: round trips, bounds, and every way a stranger's bytes can be wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import DecodeError
from natlab.wire import http
from natlab.wire.http import Message


def test_a_message_byte_by_byte() -> None:
    data = http.encode("POST /control HTTP/1.1", {"Host": "192.168.1.1:80"}, b"<x/>")
    assert data == b"POST /control HTTP/1.1\r\nHost: 192.168.1.1:80\r\nContent-Length: 4\r\n\r\n<x/>"
    message = http.decode(data)
    assert (message.request, message.body) == (("POST", "/control"), b"<x/>")
    assert message.fields["host"] == "192.168.1.1:80" and message.content_length == 4


def test_a_response() -> None:
    assert http.decode(b"HTTP/1.1 200 OK\r\nEXT:\r\n\r\n").status == 200
    assert http.decode(b"HTTP/1.0 404\r\n\r\n").status == 404


tokens = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20).map(str.lower)


@given(
    tokens,
    st.dictionaries(tokens.filter(lambda name: name != "content-length"), tokens, max_size=10),
    st.binary(max_size=50),
)
def test_a_message_survives_the_wire(start: str, fields: dict[str, str], body: bytes) -> None:
    message = http.decode(http.encode(start, fields, body))
    length = {"content-length": str(len(body))} if body else {}
    assert message == Message(start, fields | length, body)


@pytest.mark.parametrize("line", ["a\r\nb", "a\nb"])
def test_a_line_stays_one_line(line: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        http.encode("GET / HTTP/1.1", {"X": line})


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nno colon",
        b"GET / HTTP/1.1\r\n: no name",
        b"GET / HTTP/1.1\r\n folded: line",
        b"x" * 8193,
        b"GET / HTTP/1.1" + b"\r\na: b" * 65,
    ],
)
def test_what_is_no_head(data: bytes) -> None:
    with pytest.raises(DecodeError):
        http.decode_head(data)


@pytest.mark.parametrize("start", ["", "GET /", "GET / HTCPCP/1.0", "GET / / HTTP/1.1"])
def test_what_is_no_request(start: str) -> None:
    with pytest.raises(DecodeError):
        _ = Message(start, {}).request


@pytest.mark.parametrize("start", ["", "HTTP/1.1", "HTTP/1.1 OK", "HTTP/1.1 ²00 OK", "ICY 200 OK"])
def test_what_is_no_response(start: str) -> None:
    with pytest.raises(DecodeError):
        _ = Message(start, {}).status


@pytest.mark.parametrize("text", ["-1", "65537", "1e3", "²", "9" * 400, ""])
def test_a_length_that_is_none_or_too_large(text: str) -> None:
    with pytest.raises(DecodeError):
        _ = Message("", {"content-length": text}).content_length


def test_a_chunked_body_is_not_guessed_at() -> None:
    with pytest.raises(DecodeError, match="chunked"):
        _ = Message("", {"transfer-encoding": "chunked"}).content_length


@given(
    st.binary(max_size=300) | st.binary(max_size=300).map(lambda tail: b"HTTP/1.1 200 OK\r\nContent-Length: " + tail)
)
def test_arbitrary_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        message = http.decode(data)
    except DecodeError:
        return
    for look in ("request", "status", "content_length"):
        with contextlib.suppress(DecodeError):
            getattr(message, look)
