"""NAT-PMP messages: RFC 6886's pictures byte by byte, round trips, and every way a stranger's bytes can be wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import DecodeError
from natlab.packet import IPProtocol
from natlab.wire import natpmp
from natlab.wire.natpmp import (
    AddressRequest,
    AddressResponse,
    ErrorResponse,
    MapRequest,
    MapResponse,
    Opcode,
    ResultCode,
    UnsupportedOpcode,
    UnsupportedVersion,
)

u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
maps = st.sampled_from([Opcode.MAP_UDP, Opcode.MAP_TCP])
requests = st.just(AddressRequest()) | st.builds(MapRequest, maps, u16, u16, u32)
addresses = st.ip_addresses(v=4).map(str)
full_responses = st.builds(AddressResponse, u16, u32, addresses) | st.builds(MapResponse, maps, u16, u32, u16, u16, u32)
errors = st.builds(ErrorResponse, st.integers(0, 127), st.integers(1, 2**16 - 1), u32)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (AddressRequest(), "00 00"),
        (AddressResponse(0, 4711, "11.0.0.1"), "00 80 0000 00001267 0b000001"),
        (MapRequest(Opcode.MAP_UDP, 4001, 4002, 7200), "00 01 0000 0fa1 0fa2 00001c20"),
        (MapRequest(Opcode.MAP_TCP, 4001, 0, 0), "00 02 0000 0fa1 0000 00000000"),
        (MapResponse(Opcode.MAP_TCP, 0, 4711, 4001, 4002, 3600), "00 82 0000 00001267 0fa1 0fa2 00000e10"),
        (ErrorResponse(5, ResultCode.UNSUPPORTED_OPCODE, 1), "00 85 0005 00000001"),
    ],
)
def test_messages_byte_by_byte(message: object, expected: str) -> None:
    data = bytes.fromhex(expected)
    assert natpmp.encode(message) == data  # type: ignore[arg-type]
    decode = natpmp.decode_request if data[1] < 128 else natpmp.decode_response
    assert decode(data) == message


@given(requests)
def test_a_request_survives_the_wire(request: natpmp.Request) -> None:
    assert natpmp.decode_request(natpmp.encode(request)) == request


@given(full_responses | errors)
def test_a_response_survives_the_wire(response: natpmp.Response) -> None:
    assert natpmp.decode_response(natpmp.encode(response)) == response


def test_opcodes_and_what_they_map() -> None:
    assert Opcode.mapping(IPProtocol.TCP) is Opcode.MAP_TCP and Opcode.MAP_TCP.protocol is IPProtocol.TCP
    assert Opcode.mapping(IPProtocol.UDP) is Opcode.MAP_UDP and Opcode.MAP_UDP.protocol is IPProtocol.UDP


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", DecodeError),
        (b"\0", DecodeError),
        (b"\0\x80", DecodeError),  # a response
        (b"\2\x81", DecodeError),  # a response of PCP
        (b"\0\1\0\0\x0f\xa1\0\0\0\0\x1c", DecodeError),  # one byte too short
        (bytes(1101), DecodeError),
        (b"\2\1", UnsupportedVersion),
        (b"\1\0", UnsupportedVersion),
        (b"\0\3", UnsupportedOpcode),
    ],
)
def test_what_is_no_request(data: bytes, error: type[DecodeError]) -> None:
    with pytest.raises(DecodeError) as raised:
        natpmp.decode_request(data)
    assert raised.type is error


def test_another_version_is_answered_with_the_one_spoken_here() -> None:
    """RFC 6886 section 3.5: version 0, result 1, the epoch."""
    answer = natpmp.unsupported(bytes((2, 1)) + bytes(58), UnsupportedVersion(), 9)
    assert answer == bytes.fromhex("00 80 0001 00000009")
    assert natpmp.decode_response(answer) == ErrorResponse(0, ResultCode.UNSUPPORTED_VERSION, 9)
    drawn = bytes.fromhex("00 00 0001 00000009")  # as section 3.5 draws it
    assert natpmp.decode_response(drawn) == ErrorResponse(0, ResultCode.UNSUPPORTED_VERSION, 9)


def test_another_opcode_gets_its_request_back_marked() -> None:
    request = bytes.fromhex("00 63 0000 01020304 05")
    assert natpmp.unsupported(request, UnsupportedOpcode(), 9) == bytes.fromhex("00 e3 0005 01020304 05")
    assert natpmp.unsupported(b"\0\x63", UnsupportedOpcode(), 9) == bytes.fromhex("00 e3 0005")


@pytest.mark.parametrize(
    "data", [b"", bytes(7), bytes(8), b"\2\x81" + bytes(58), b"\0\x80" + bytes(6), b"\0\x81" + bytes(10)]
)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(DecodeError):
        natpmp.decode_response(data)


@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_any_bytes_and_mutated_requests_are_decoded_or_refused(mutated, draw: st.DataObject) -> None:
    data = draw.draw(st.binary(max_size=80) | mutated(requests.map(natpmp.encode)))
    try:
        request = natpmp.decode_request(data)
        assert natpmp.decode_request(natpmp.encode(request)) == request
    except (UnsupportedVersion, UnsupportedOpcode) as error:
        assert len(natpmp.unsupported(data, error, 0)) <= max(8, len(data))  # nothing is amplified
    except DecodeError:
        pass


@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_any_bytes_and_mutated_responses_are_decoded_or_refused(mutated, draw: st.DataObject) -> None:
    data = draw.draw(st.binary(max_size=80) | mutated((full_responses | errors).map(natpmp.encode)))
    with contextlib.suppress(DecodeError):
        response = natpmp.decode_response(data)
        assert natpmp.decode_response(natpmp.encode(response)) == response
