"""Endpoints as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint


@pytest.mark.parametrize(
    ("text", "ip", "port"),
    [
        ("11.0.0.1:4001", "11.0.0.1", 4001),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[2600::1]:65535", "2600::1", 65535),
        ("[2600:0:0::01]:80", "2600::1", 80),
        ("[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535", "::ffff:255.255.255.255", 65535),
    ],
)
def test_an_endpoint_is_read_and_its_text_reads_as_itself(text, ip, port):
    endpoint = Endpoint.parse(text)
    assert endpoint.address == Endpoint.of(ip, port).address and endpoint.port == port
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "IP:PORT"),
        ("11.0.0.1", "IP:PORT"),
        ("11.0.0.1:", "IP:PORT"),
        ("11.0.0.1:-1", "IP:PORT"),
        ("11.0.0.1:+80", "IP:PORT"),
        ("11.0.0.1: 80", "IP:PORT"),
        ("11.0.0.1:8_0", "IP:PORT"),
        ("11.0.0.1:\u0663", "IP:PORT"),
        ("11.0.0.1:\u00b2", "IP:PORT"),
        ("11.0.0.1:" + "1" * 5000, "IP:PORT"),
        ("1" * 5000 + ":80", "IP:PORT"),
        ("11.0.0.1:65536", "from 0 to 65535"),
        ("11.0.0.\u0661:80", "does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_what_is_no_endpoint_says_how_one_is_written(text, hint):
    with pytest.raises(ValueError, match=hint) as error:
        Endpoint.parse(text)
    assert len(str(error.value)) < 200


PIECES = st.sampled_from(
    ["11.0.0.1", "2600::1", "[", "]", ":", "::", "%", "/8", "80", "65536", "-", "\u0663", "\u00b2", "0" * 99]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=5).map("".join))
def test_any_text_is_an_endpoint_that_reads_as_itself_or_a_value_error(text):
    try:
        endpoint = Endpoint.parse(text)
    except ValueError:
        return
    assert text.endswith(f"{endpoint.port}") and 0 <= endpoint.port <= 65535
    assert Endpoint.parse(str(endpoint)) == endpoint
