"""STUN messages: the vectors of RFC 5769, round trips, and every way a stranger's bytes can be wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.wire import stun
from natlab.wire.stun import Attribute, ChangeRequest, ErrorCode, Message, MessageClass

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rfc5769-stun.json").read_text())
ID = bytes(range(12))
HOME = Endpoint("11.0.0.1", 4001)
REQUEST = Message(MessageClass.REQUEST, ID)
RESPONSE = Message(
    MessageClass.SUCCESS_RESPONSE, ID, mapped_address=HOME, xor_mapped_address=HOME, response_origin=HOME
)

ports = st.integers(0, 65535)
endpoints = st.builds(lambda ip, port: Endpoint.of(str(ip), port), st.ip_addresses(), ports)
messages = st.builds(
    Message,
    st.sampled_from(MessageClass),
    st.binary(min_size=12, max_size=12),
    *[st.none() | endpoints] * 2,
    st.none() | st.builds(ChangeRequest, st.booleans(), st.booleans()).filter(bool),
    st.none() | ports,
    *[st.none() | endpoints] * 2,
    st.text(max_size=40),
    st.none() | st.builds(ErrorCode, st.integers(300, 699), st.text(max_size=40)),
    st.lists(ports, max_size=5).map(tuple),
)


def raw(*attributes: tuple[int, bytes], kind: int = 1) -> bytes:
    """A message with these attributes as they are."""
    body = b"".join(
        type.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)
        for type, value in attributes
    )
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + bytes.fromhex("2112a442") + ID + body


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_rfc_5769(name: str) -> None:
    vector = VECTORS[name]
    data = bytes.fromhex(vector["hex"])
    message = stun.decode(data)
    assert message.transaction_id == data[8:20]
    assert message.software == vector.get("software", "")
    assert message.message_class == (MessageClass.SUCCESS_RESPONSE if "response" in name else MessageClass.REQUEST)
    mapped = vector.get("xor_mapped_address")
    assert message.xor_mapped_address == (Endpoint.parse(mapped) if mapped else None)
    assert message.not_understood == tuple(vector["not_understood"])  # USERNAME, PRIORITY, MESSAGE-INTEGRITY, ...


@pytest.mark.parametrize("name", ["request", "ipv4_response", "ipv6_response"])
def test_a_flipped_bit_does_not_get_past_the_fingerprint(name: str) -> None:
    data = bytearray.fromhex(VECTORS[name]["hex"])
    data[30] ^= 1  # in SOFTWARE
    with pytest.raises(DecodeError, match="FINGERPRINT"):
        stun.decode(bytes(data))


def test_a_binding_request_byte_by_byte() -> None:
    encoded = stun.encode(replace(REQUEST, change_request=ChangeRequest(ip=True, port=True)))
    assert encoded[:28].hex() == "00010010" + "2112a442" + ID.hex() + "00030004" + "00000006"
    assert encoded[28:32].hex() == "80280004" and len(encoded) == 36


def test_an_error_response_byte_by_byte() -> None:
    refused = Message(MessageClass.ERROR_RESPONSE, ID, error=ErrorCode(420, "no"), unknown_attributes=(3, 0x26))
    attributes = stun.encode(refused)[20:-8].hex()
    assert attributes == "00090006" + "00000414" + b"no\0\0".hex() + "000a0004" + "00030026"


@given(messages)
def test_what_is_encoded_decodes_to_the_same(message: Message) -> None:
    assert stun.decode(stun.encode(message)) == message


@given(st.binary(max_size=100))
def test_strange_bytes_decode_or_are_refused(data: bytes) -> None:
    for candidate in (data, raw()[:20] + data, raw(*((kind, data[2:]) for kind in data[:2]))):
        try:
            stun.decode(candidate)
        except DecodeError:
            continue


@pytest.mark.parametrize(
    ("message", "attribute"),
    [
        (replace(REQUEST, change_request=ChangeRequest(ip=True, port=True)), "0003 0004 00000006"),
        (replace(REQUEST, response_port=4001), "0027 0004 0fa10000"),
        (replace(REQUEST, response_origin=HOME), "802b 0008 00010fa10b000001"),
        (replace(REQUEST, other_address=HOME), "802c 0008 00010fa10b000001"),
        (replace(REQUEST, error=ErrorCode(420), unknown_attributes=(0x1234,)), "000a 0002 12340000"),
        (replace(REQUEST, error=ErrorCode(420)), "0009 0004 00000414"),
    ],
)
def test_attributes_byte_by_byte(message: Message, attribute: str) -> None:
    """RFC 5780 section 7, RFC 8489 sections 14.8 and 14.13."""
    assert bytes.fromhex(attribute) in stun.encode(message)


@given(messages, st.data())
def test_a_message_cut_short_is_refused(message: Message, data: st.DataObject) -> None:
    encoded = stun.encode(message)
    with pytest.raises(DecodeError):
        stun.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(messages, st.data())
def test_every_flipped_bit_is_noticed_unless_it_hides_the_fingerprint(message: Message, data: st.DataObject) -> None:
    """CRC-32 finds any single one. FINGERPRINT is hidden by its own type, or by a longer attribute that swallows it."""
    encoded = bytearray(stun.encode(message))
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1))
    encoded[bit // 8] ^= 1 << bit % 8
    try:
        stun.decode(bytes(encoded))
    except DecodeError:
        return
    assert Attribute.FINGERPRINT not in types_in(bytes(encoded))


def types_in(encoded: bytes) -> list[int]:
    """The types of its attributes (RFC 8489 section 14: type, length, value, padding to four bytes)."""
    types, rest = [], encoded[20:]
    while rest:
        types.append(int.from_bytes(rest[:2]))
        rest = rest[4 + (int.from_bytes(rest[2:4]) + 3) // 4 * 4 :]
    return types


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "header"),
        (bytes(20), "not a STUN message"),
        (b"\x80" + raw()[1:], "not a STUN message"),
        (raw()[:2] + b"\0\2" + raw()[4:] + b"xx", "length is 2"),
        (raw()[:2] + b"\x08\0" + raw()[4:], "length is 2048"),
        (raw() + b"more", "bytes in 24"),
        (raw(kind=3), "method 0x3"),
        (raw(kind=0x11), "indication"),
        (raw()[:2] + b"\0\4" + raw()[4:] + b"\x80\x22\0\5", "cut short"),
        (raw((Attribute.XOR_MAPPED_ADDRESS, b"")), "family 0"),
        (raw((Attribute.MAPPED_ADDRESS, bytes.fromhex("000210000b000001"))), "family 2 in 8"),
        (raw((Attribute.MAPPED_ADDRESS, bytes.fromhex("00031000") + bytes(16))), "family 3"),
        (raw((Attribute.CHANGE_REQUEST, b"\0\0\0")), "3 bytes instead of 4"),
        (raw((Attribute.ERROR_CODE, b"\0\0\4")), "ERROR-CODE"),
        (raw((Attribute.ERROR_CODE, b"\0\0\7\0")), "class 7"),
        (raw((Attribute.ERROR_CODE, b"\0\0\4\x64")), "number 100"),
        (raw((Attribute.SOFTWARE, bytes(764))), "text of 764"),
        (raw((Attribute.UNKNOWN_ATTRIBUTES, b"\0\1\0")), "3 bytes"),
        (raw((Attribute.FINGERPRINT, b"\0\0\0\0")), "FINGERPRINT is wrong"),
        (raw((Attribute.FINGERPRINT, b"")), "FINGERPRINT is wrong"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, what: str) -> None:
    with pytest.raises(DecodeError, match=what):
        stun.decode(data)


def test_nothing_may_follow_the_fingerprint() -> None:
    encoded = stun.encode(REQUEST)
    longer = encoded[:2] + (len(encoded) - 20 + 4).to_bytes(2, "big") + encoded[4:-8]
    fingerprint = stun._fingerprint(longer)
    with pytest.raises(DecodeError, match="behind FINGERPRINT"):
        stun.decode(longer + encoded[-8:-4] + fingerprint + b"\x80\x22\0\0")


def test_the_first_of_two_counts_and_optional_ones_are_skipped() -> None:
    message = stun.decode(raw((0x8022, b"first"), (0x8022, b"second"), (0xC001, b"?"), (0x0006, b"me"), (0x0006, b"")))
    assert message == replace(REQUEST, software="first", not_understood=(6,))


def test_a_phrase_that_is_no_utf_8_does_not_spoil_the_message() -> None:
    message = stun.decode(raw((Attribute.ERROR_CODE, b"\0\0\4\x14\xff"), kind=0x111))
    assert message.error == ErrorCode(420, "\ufffd")


@pytest.mark.parametrize(
    ("message", "what"),
    [
        (replace(REQUEST, transaction_id=b"short"), "12 bytes"),
        (replace(REQUEST, software="x" * 764), "763 bytes"),
        (replace(REQUEST, error=ErrorCode(700)), "300 to 699"),
        (replace(RESPONSE, unknown_attributes=tuple(range(1000))), "2048 bytes"),
    ],
)
def test_what_cannot_be_sent_is_refused(message: Message, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        stun.encode(message)


def test_from_a_stream_the_header_says_how_much_follows() -> None:
    encoded = stun.encode(RESPONSE)
    assert stun.body_length(encoded[:20]) == len(encoded) - 20


def test_transaction_ids_come_from_the_random_numbers_given() -> None:
    assert (
        stun.new_transaction_id(Random(1)) == stun.new_transaction_id(Random(1)) != stun.new_transaction_id(Random(2))
    )
    assert len(stun.new_transaction_id(Random(1))) == 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (ChangeRequest(), ""),
        (ChangeRequest(ip=True), "change IP"),
        (ChangeRequest(port=True), "change port"),
        (ChangeRequest(ip=True, port=True), "change IP and port"),
    ],
)
def test_a_change_in_words(change: ChangeRequest, words: str) -> None:
    assert str(change) == words and bool(change) == bool(words)
