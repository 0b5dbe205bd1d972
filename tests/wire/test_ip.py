"""Packets as IP bytes: fixed vectors, round trips, and every way a stranger's bytes can be wrong."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.packet import Flag, Icmp, IcmpKind, IPProtocol, Packet, echo_reply, echo_request
from natlab.wire.ip import MAX_PACKET, checksum, decode, encode

UDP, TCP = IPProtocol.UDP, IPProtocol.TCP
V4 = Endpoint("192.168.1.2", 4001), Endpoint("12.0.0.1", 9000)
V6 = Endpoint("2600::1", 4001), Endpoint("2600::2", 9000)
UDP_V4 = Packet(UDP, *V4, b"hello")
TCP_V6 = Packet(TCP, *V6, b"hello", int(Flag.PSH | Flag.ACK), seq=2**32 - 1, ack=7, window=1000, ttl=3)

ports = st.integers(0, 65535)
words = st.integers(0, 2**32 - 1)


ERRORS = [kind for kind in IcmpKind if "echo" not in kind]
PING_V4 = echo_request(Endpoint("192.168.1.2", 77), "12.0.0.1", 3, b"hello")
ERROR_V4 = Packet(IPProtocol.ICMP, Endpoint("11.0.0.1", 0), Endpoint("192.168.1.2", 0), icmp=Icmp(ERRORS[0], UDP_V4))
TOO_BIG_V6 = Packet(
    IPProtocol.ICMP, Endpoint("2600::9", 0), Endpoint("2600::1", 0), icmp=Icmp(IcmpKind.TOO_BIG, TCP_V6, 1280)
)
SAMPLES = {
    "UDP over IPv4": UDP_V4,
    "TCP over IPv6": TCP_V6,
    "ping over IPv4": PING_V4,
    "error over IPv4": ERROR_V4,
    "error over IPv6": TOO_BIG_V6,
}


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    ips = st.ip_addresses(v=draw(st.sampled_from([4, 6]))).map(str)
    packet = draw(conversations(ips))
    if draw(st.booleans()):
        return packet
    kind = draw(st.sampled_from(ERRORS))
    error = Icmp(kind, packet, draw(ports) if kind is IcmpKind.TOO_BIG else 0)
    ends = Endpoint(draw(ips), 0), Endpoint(draw(ips), 0)
    return Packet(IPProtocol.ICMP, *ends, ttl=draw(st.integers(0, 255)), icmp=error)


@st.composite
def conversations(draw: st.DrawFn, ips: st.SearchStrategy[str]) -> Packet:
    ends = Endpoint(draw(ips), draw(ports)), Endpoint(draw(ips), draw(ports))
    payload, ttl = draw(st.binary(max_size=100)), draw(st.integers(0, 255))
    match draw(st.sampled_from(["UDP", "TCP", "request", "reply"])):
        case "UDP":
            return Packet(UDP, *ends, payload, ttl=ttl)
        case "TCP":
            numbers = draw(words), draw(words), draw(ports)
            return Packet(TCP, *ends, payload, draw(st.integers(0, 255)), *numbers, ttl=ttl)
        case "request":
            return echo_request(ends[0], ends[1].ip, draw(ports), payload, ttl)
        case _:
            return echo_reply(echo_request(ends[0], ends[1].ip, draw(ports), payload))._replace(ttl=ttl)


def test_whether_it_may_be_cut_is_a_bit_of_ipv4_s_header() -> None:
    may = UDP_V4._replace(df=False)
    assert ip_flags(may) == 0 and ip_flags(UDP_V4) == 0x40
    assert decode(encode(may)) == may


def ip_flags(packet: Packet) -> int:
    return encode(packet)[6]


@given(packets())
def test_what_is_encoded_decodes_to_the_same(packet: Packet) -> None:
    data = encode(packet)
    assert len(data) == packet.size
    assert decode(data) == packet
    assert decode(data + b"padding") == packet


def rfc_1071_sum(data: bytes) -> int:
    """RFC 1071 as its section 4.1 does it: add the words, fold the carries."""
    total: int = sum(word for (word,) in struct.iter_unpack("!H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(max_size=200))
def test_the_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    assert checksum(data) == rfc_1071_sum(data)


def test_the_example_of_rfc_1071_section_3() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_udp_over_ipv4_byte_by_byte() -> None:
    header = "4500 0021 0000 4000 4011" + "6d21" + "c0a80102 0c000001"
    assert encode(UDP_V4).hex() == (header + "0fa1 2328 000d" + "bb8d").replace(" ", "") + b"hello".hex()


def test_a_udp_checksum_of_zero_is_sent_as_all_ones() -> None:
    for word in range(65536):
        data = encode(Packet(UDP, *V4, word.to_bytes(2, "big")))
        if data[26:28] == b"\xff\xff":
            break
        assert data[26:28] != b"\0\0"
    assert decode(data).payload == word.to_bytes(2, "big")


def test_udp_over_ipv4_may_lack_a_checksum_but_not_over_ipv6() -> None:
    v4, v6 = bytearray(encode(UDP_V4)), bytearray(encode(Packet(UDP, *V6, b"hello")))
    v4[26:28] = v6[46:48] = b"\0\0"
    assert decode(bytes(v4)) == UDP_V4
    with pytest.raises(DecodeError, match="UDP checksum"):
        decode(bytes(v6))


def test_a_window_that_does_not_fit_is_written_as_the_largest() -> None:
    assert decode(encode(TCP_V6._replace(window=1 << 20))).window == 65535


@pytest.mark.parametrize("packet", SAMPLES.values(), ids=SAMPLES)
def test_any_flipped_bit_is_noticed_or_is_in_a_field_without_checksum(packet: Packet) -> None:
    data = encode(packet)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            result = decode(bytes(flipped))
        except DecodeError:
            continue
        assert result._replace(ttl=packet.ttl) == packet  # IPv6 does not protect its traffic class, label, hop limit


@pytest.mark.parametrize("packet", SAMPLES.values(), ids=SAMPLES)
def test_every_cut_is_noticed(packet: Packet) -> None:
    data = encode(packet)
    for length in range(len(data)):
        with pytest.raises(DecodeError):
            decode(data[:length])


@given(packets(), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_under_right_checksums(packet: Packet, changes: list[tuple[int, int]]) -> None:
    """Checksums keep no stranger out, who can compute them: the lengths must be checked for themselves."""
    data = bytearray(encode(packet))
    for place, value in changes:
        data[place % len(data)] = value
    if data[0] >> 4 == 4:
        header = 4 * (data[0] & 15)
        data[10:12] = bytes(2)
        data[10:12] = checksum(bytes(data[:header])).to_bytes(2, "big")
        if data[9] == UDP:
            data[header + 6 : header + 8] = bytes(2)  # RFC 768: none was computed
        if data[9] == IPProtocol.ICMP:
            length = int.from_bytes(data[2:4], "big")
            data[header + 2 : header + 4] = bytes(2)
            data[header + 2 : header + 4] = checksum(bytes(data[header:length])).to_bytes(2, "big")
    try:
        result = decode(bytes(data))
    except DecodeError:
        return
    assert result.size <= len(data)
    assert decode(encode(result)) == result


@given(st.binary(max_size=80))
def test_no_bytes_of_a_stranger_raise_anything_else(data: bytes) -> None:
    for first in (data[:1], b"\x45", b"\x60"):
        try:
            decode(first + data[1:])
        except DecodeError as error:
            assert str(error)


def with_ipv4_header(**changes: int) -> bytes:
    """`UDP_V4` with fields of its IPv4 header changed and the header checksum put right."""
    data = bytearray(encode(UDP_V4))
    for field, value in changes.items():
        offset = {"ihl": 0, "length": 2, "fragment": 6, "protocol": 9}[field]
        size = 1 if field in ("ihl", "protocol") else 2
        data[offset : offset + size] = (0x40 | value if field == "ihl" else value).to_bytes(size, "big")
    data[10:12] = b"\0\0"
    data[10:12] = checksum(bytes(data[: 4 * (data[0] & 15)])).to_bytes(2, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no bytes"),
        (b"\x50" + bytes(40), "version 5"),
        (with_ipv4_header(ihl=4), "header 16"),
        (with_ipv4_header(length=19), "packet 19"),
        (with_ipv4_header(length=60), "packet 60"),
        (with_ipv4_header(length=32), "UDP length does not fit: 13 of 12"),
        (with_ipv4_header(fragment=0x2000), "fragments"),
        (with_ipv4_header(fragment=1), "fragments"),
        (with_ipv4_header(protocol=1), "ICMP checksum"),
        (with_ipv4_header(protocol=2), "protocol 2"),
        (with_ipv4_header(protocol=58), "ICMPv6 over IPv4"),
        (with_ipv4_header(protocol=6), "TCP header cut short"),
        (encode(TOO_BIG_V6)[:6] + b"\1" + encode(TOO_BIG_V6)[7:], "ICMP of IPv4 over IPv6"),
    ],
)
def test_a_refusal_says_why(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert message in str(caught.value)


def test_options_are_skipped() -> None:
    header = bytearray(encode(UDP_V4)[:20]) + b"\x01\x01\x01\x00"
    header[0], header[2:4], header[10:12] = 0x46, (37).to_bytes(2, "big"), b"\0\0"
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    assert decode(bytes(header) + encode(UDP_V4)[20:]) == UDP_V4


def test_a_datagram_ends_where_its_own_length_says() -> None:
    data = bytearray(encode(UDP_V4))
    data[24:26] = (10).to_bytes(2, "big")
    data[26:28] = b"\0\0"  # no checksum
    assert decode(bytes(data)).payload == b"he"


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (Packet(UDP, V4[0], V6[0]), "not of one IP version"),
        (Packet(IPProtocol.ICMP, *V4), "not protocol 1"),
        (Packet(2, *V4), "not protocol 2"),
        (Packet(UDP, *V4, bytes(MAX_PACKET)), "at most 65535 bytes"),
    ],
)
def test_what_has_no_byte_form_is_a_value_error(packet: Packet, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode(packet)
