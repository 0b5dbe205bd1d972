"""PCP messages: RFC 6887's pictures byte by byte, round trips, and every way a stranger's bytes can be wrong."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.wire import pcp
from natlab.wire.pcp import BadRequest, Filter, Mapping, Opcode, OptionCode, Request, Response, ResultCode

NONCE = bytes(range(12))
MAPPING = Mapping(NONCE, 6, 4001, Endpoint("11.0.0.1", 4002))
MAP = Request(Opcode.MAP, 7200, "192.168.1.2", MAPPING)
HEADER = "02 01 0000 00001c20 00000000000000000000ffffc0a80102"
BODY = "000102030405060708090a0b 06 000000 0fa1 0fa2 00000000000000000000ffff0b000001"

u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
ips = st.ip_addresses().map(str).filter(lambda ip: not ip.startswith("::ffff:"))
endpoints = st.builds(Endpoint, ips, u16)
mappings = st.builds(Mapping, st.binary(min_size=12, max_size=12), st.integers(0, 255), u16, endpoints)
networks = st.ip_addresses().filter(lambda ip: ip.version == 4 or ip.ipv4_mapped is None).map(ip_network)
filters = st.lists(st.builds(Filter, networks, u16) | st.builds(Filter, st.none(), u16), max_size=5).map(tuple)
third_parties = st.none() | ips
requests = (
    st.builds(Request, st.just(Opcode.ANNOUNCE), u32, ips)
    | st.builds(Request, st.just(Opcode.MAP), u32, ips, mappings, third_parties, st.booleans(), filters)
    | st.builds(Request, st.just(Opcode.PEER), u32, ips, st.builds(replace, mappings, remote=endpoints), third_parties)
)
responses = (
    st.builds(Response, st.just(Opcode.ANNOUNCE), st.integers(0, 255), u32, u32)
    | st.builds(Response, st.just(Opcode.MAP), st.just(0), u32, u32, mappings, st.booleans(), filters)
    | st.builds(Response, st.just(Opcode.MAP), st.integers(1, 255), u32, u32, mappings)
    | st.builds(
        Response, st.just(Opcode.PEER), st.integers(0, 255), u32, u32, st.builds(replace, mappings, remote=endpoints)
    )
)


def test_a_map_request_byte_by_byte() -> None:
    data = bytes.fromhex(HEADER + BODY)
    assert pcp.encode_request(MAP) == data and len(data) == 60
    assert pcp.decode_request(data) == MAP


def test_options_byte_by_byte() -> None:
    request = replace(MAP, prefer_failure=True, filters=(Filter(ip_network("12.0.0.0/8"), 9),))
    tail = "02 00 0000  03 00 0014 00 68 0009 00000000000000000000ffff0c000000"
    assert pcp.encode_request(request) == bytes.fromhex(HEADER + BODY + tail)


def test_a_map_response_byte_by_byte() -> None:
    response = Response(Opcode.MAP, ResultCode.SUCCESS, 7200, 4711, MAPPING)
    data = bytes.fromhex("02 81 00 00 00001c20 00001267 000000000000000000000000" + BODY)
    assert pcp.encode_response(response) == data
    assert pcp.decode_response(data) == response


@given(requests)
def test_a_request_survives_the_wire(request: Request) -> None:
    assert pcp.decode_request(pcp.encode_request(request)) == request


@given(responses)
def test_a_response_survives_the_wire(response: Response) -> None:
    assert pcp.decode_response(pcp.encode_response(response)) == response


def option(code: int, value: bytes) -> bytes:
    return bytes((code, 0)) + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


GOOD = bytes.fromhex(HEADER + BODY)
IP = bytes(16)


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"\1" + GOOD[1:], ResultCode.UNSUPP_VERSION),
        (b"\0\0", ResultCode.UNSUPP_VERSION),
        (b"\2\1", ResultCode.MALFORMED_REQUEST),
        (GOOD[:56], ResultCode.MALFORMED_REQUEST),
        (GOOD + b"\0", ResultCode.MALFORMED_REQUEST),
        (GOOD + option(200, bytes(1040)), ResultCode.MALFORMED_REQUEST),  # 1104 bytes
        (b"\2\3" + GOOD[2:], ResultCode.UNSUPP_OPCODE),
        (b"\2\2" + GOOD[2:], ResultCode.MALFORMED_REQUEST),  # too short for PEER
        (GOOD + option(4, b""), ResultCode.UNSUPP_OPTION),
        (GOOD + option(127, b""), ResultCode.UNSUPP_OPTION),
        (GOOD + option(0, b""), ResultCode.UNSUPP_OPTION),
        (GOOD + option(1, bytes(4)), ResultCode.MALFORMED_OPTION),
        (GOOD + option(1, IP) * 2, ResultCode.MALFORMED_OPTION),
        (GOOD + option(2, b"1234"), ResultCode.MALFORMED_OPTION),
        (GOOD + option(2, b"") * 2, ResultCode.MALFORMED_OPTION),
        (GOOD + option(3, bytes(16)), ResultCode.MALFORMED_OPTION),
        (GOOD + option(3, bytes((0, 95, 0, 0)) + bytes(10) + b"\xff\xff" + bytes(4)), ResultCode.MALFORMED_OPTION),
        (GOOD + option(3, bytes((0, 129, 0, 0)) + IP), ResultCode.MALFORMED_OPTION),
        (GOOD + b"\x80\0\xff\xff", ResultCode.MALFORMED_OPTION),  # longer than the message
        (b"\2\0" + GOOD[2:24] + option(2, b""), ResultCode.MALFORMED_OPTION),  # of MAP only
    ],
)
def test_a_bad_request_is_named_and_comes_back_whole(data: bytes, result: ResultCode) -> None:
    with pytest.raises(BadRequest) as bad:
        pcp.decode_request(data)
    assert bad.value.result is result
    answer = pcp.error_response(data, result, 1800, 7)
    assert len(answer) % 4 == 0 and len(answer) <= max(24, len(data) + 3) and len(answer) <= 1100
    assert answer[:4] == bytes((2, data[1] | 128, 0, result)) and answer[24:].startswith(data[24:1100])
    assert pcp.decode_response(answer).result == result


def test_rfc_6887_section_7_4_numbers_its_results_without_a_gap() -> None:
    assert [code.value for code in ResultCode] == list(range(14))


def test_an_option_that_may_be_ignored_is() -> None:
    assert pcp.decode_request(GOOD + option(128, b"abc") + option(255, b"")) == MAP


@pytest.mark.parametrize("data", [b"", b"\2", b"\2\x81", b"\0\x80", b"\1\x81" + bytes(58)])
def test_what_is_no_request_is_ignored(data: bytes) -> None:
    with pytest.raises(DecodeError) as raised:
        pcp.decode_request(data)
    assert raised.type is DecodeError


@pytest.mark.parametrize(
    "data", [b"", GOOD, b"\0\x81" + GOOD[2:], b"\2\x81\0\0" + bytes(20), b"\2\x83\0\0" + bytes(20), bytes(1104)]
)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(DecodeError):
        pcp.decode_response(data)


@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_any_bytes_and_mutated_requests_are_decoded_or_refused(mutated, draw: st.DataObject) -> None:
    data = draw.draw(st.binary(max_size=120) | mutated(requests.map(pcp.encode_request)))
    try:
        request = pcp.decode_request(data)
        assert pcp.decode_request(pcp.encode_request(request)) == request
    except BadRequest as bad:
        assert len(pcp.error_response(data, bad.result, 0, 0)) <= max(24, len(data) + 3)
    except DecodeError:
        pass


@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_any_bytes_and_mutated_responses_are_decoded_or_refused(mutated, draw: st.DataObject) -> None:
    data = draw.draw(st.binary(max_size=120) | mutated(responses.map(pcp.encode_response)))
    with contextlib.suppress(DecodeError):
        response = pcp.decode_response(data)
        assert pcp.decode_response(pcp.encode_response(response)) == response


values = st.sampled_from([20, 0, 4, 16, 20]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
options = st.builds(option, st.sampled_from([*OptionCode, 200]), values)


@given(st.lists(options, min_size=1, max_size=4))
def test_any_options_are_decoded_or_refused(tail: list[bytes]) -> None:
    request, response = GOOD, pcp.encode_response(Response(Opcode.MAP, 0, 7200, 4711, MAPPING))
    for decode, message in ((pcp.decode_request, request), (pcp.decode_response, response)):
        with contextlib.suppress(DecodeError):
            decode(message + b"".join(tail))
