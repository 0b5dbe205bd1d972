"""ICMP messages as bytes: vectors made by hand, what a quotation may lack, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.packet import Flag, Icmp, IcmpKind, IPProtocol, Packet, echo_request, icmp_error
from natlab.wire import icmp, ip

UDP, TCP = IPProtocol.UDP, IPProtocol.TCP
ALICE, BOB = Endpoint("192.168.1.2", 4001), Endpoint("12.0.0.1", 9000)
ALICE_V6, BOB_V6 = Endpoint("2600::1", 4001), Endpoint("2600::2", 9000)
SYN = Packet(TCP, ALICE, BOB, flags=int(Flag.SYN), seq=2**31, window=65535)


def test_a_ping_byte_by_byte() -> None:
    data = ip.encode(echo_request(Endpoint(ALICE.ip, 0x1234), BOB.ip, 5, b"hi"))
    # type 8, code 0; checksum ~(0800 + 1234 + 0005 + 6869); identifier, sequence
    assert data[9] == 1 and data[20:].hex() == "0800" + "7d5d" + "1234" + "0005" + b"hi".hex()


def test_over_ipv6_the_numbers_differ_and_the_checksum_covers_the_addresses() -> None:
    ping = echo_request(Endpoint(ALICE_V6.ip, 0x1234), BOB_V6.ip, 5, b"hi")
    data = ip.encode(ping)
    assert (data[6], data[40], data[41]) == (58, 128, 0)
    assert ip.decode(data) == ping
    elsewhere = bytearray(data)
    elsewhere[39] ^= 1
    with pytest.raises(DecodeError, match="ICMP checksum"):
        ip.decode(bytes(elsewhere))


NUMBERS = {  # as IANA lists them: ICMP, ICMPv6
    "echo request": ((8, 0), (128, 0)),
    "echo reply": ((0, 0), (129, 0)),
    "network unreachable": ((3, 0), (1, 0)),
    "host unreachable": ((3, 1), (1, 3)),
    "port unreachable": ((3, 3), (1, 4)),
    "administratively prohibited": ((3, 13), (1, 1)),
    "packet too big": ((3, 4), (2, 0)),
    "time exceeded": ((11, 0), (3, 0)),
    "reassembly time exceeded": ((11, 1), (3, 1)),
}


@pytest.mark.parametrize("kind", IcmpKind)
def test_each_kind_has_its_numbers_in_both_versions(kind: IcmpKind) -> None:
    for version, numbers in zip((4, 6), NUMBERS[kind], strict=True):
        assert tuple(icmp.encode(icmp.Message(kind, b"body"), version)[:2]) == numbers
        assert icmp.decode(icmp.encode(icmp.Message(kind, b"body"), version), version) == icmp.Message(kind, b"body")


@pytest.mark.parametrize(("version", "type_and_code"), [(4, (3, 4)), (6, (2, 0))])
def test_rfc_1191_and_rfc_4443_an_mtu_is_the_last_16_or_32_bits(version: int, type_and_code: tuple[int, int]) -> None:
    data = icmp.encode(icmp.Message(IcmpKind.TOO_BIG, b"", mtu=1280), version)
    assert (data[0], data[1]) == type_and_code
    assert data[2:] == bytes(4) + (1280).to_bytes(2, "big")


def test_an_error_is_at_most_576_bytes_or_1280_over_ipv6_and_quotes_so_much_of_the_packet() -> None:
    for ends, most in (((ALICE, BOB), 576), ((ALICE_V6, BOB_V6), 1280)):
        datagram = Packet(UDP, *ends, bytes(range(256)) * 8)
        error = icmp_error(IcmpKind.PORT_UNREACHABLE, ends[1].ip, datagram)
        assert error is not None
        data = ip.encode(error)
        assert len(data) == error.size == most
        quoted = ip.decode(data).quoted
        assert quoted is not None
        assert quoted._replace(payload=b"") == datagram._replace(payload=b"")
        assert datagram.payload.startswith(quoted.payload)
        header = 20 if most == 576 else 40
        assert (
            data[header + 8 : header + 8 + 20] == ip.encode(datagram)[:20]
        )  # the header, its length that of the whole


def quoting(data: bytes) -> bytes:
    """A port unreachable from BOB to ALICE that quotes these bytes."""
    bare = icmp.encode(icmp.Message(IcmpKind.PORT_UNREACHABLE, data), 4)
    message = bare[:2] + ip.checksum(bare).to_bytes(2, "big") + bare[4:]
    carrier = bytearray(ip.encode(Packet(UDP, BOB, ALICE))[:20])
    carrier[2:4], carrier[9], carrier[10:12] = (20 + len(message)).to_bytes(2, "big"), 1, bytes(2)
    carrier[10:12] = ip.checksum(bytes(carrier)).to_bytes(2, "big")
    return bytes(carrier) + message


@pytest.mark.parametrize("length", range(28, 40))
def test_rfc_792_eight_bytes_behind_the_ip_header_are_enough(length: int) -> None:
    quoted = ip.decode(quoting(ip.encode(SYN)[:length])).quoted
    assert quoted == Packet(TCP, ALICE, BOB, seq=SYN.seq)
    assert ip.decode(quoting(ip.encode(SYN))).quoted == SYN


def test_rfc_5508_req_3_the_quoted_ip_header_is_checked_its_options_skipped_and_the_transport_checksum_ignored() -> (
    None
):
    quoted = bytearray(ip.encode(SYN))
    quoted[36] ^= 1
    assert ip.decode(quoting(bytes(quoted))).quoted == SYN
    quoted[8] ^= 1
    with pytest.raises(DecodeError, match="IPv4 header checksum"):
        ip.decode(quoting(bytes(quoted)))
    header = bytearray(ip.encode(SYN)[:20]) + b"\x94\x04\0\0"
    header[0], header[2:4], header[10:12] = 0x46, (44).to_bytes(2, "big"), b"\0\0"
    header[10:12] = ip.checksum(bytes(header)).to_bytes(2, "big")
    assert ip.decode(quoting(bytes(header) + ip.encode(SYN)[20:])).quoted == SYN


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "its own IP version"),
        (ip.encode(Packet(UDP, ALICE_V6, BOB_V6)), "its own IP version"),
        (ip.encode(SYN)[:19], "header cut short"),
        (ip.encode(SYN)[:27], "not 7"),
        (quoting(ip.encode(SYN)), "about an ICMP error"),
    ],
)
def test_a_quotation_that_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        ip.decode(quoting(data))


@given(st.binary(max_size=80))
def test_no_quotation_of_a_stranger_raises_anything_else(data: bytes) -> None:
    for quoted in (data, ip.encode(SYN)[: len(data)] + data, ip.encode(SYN)[:20] + data):
        try:
            error = ip.decode(quoting(quoted))
        except DecodeError:
            continue
        assert ip.decode(ip.encode(error)) == error


@pytest.mark.parametrize("data", [b"", bytes(7), bytes([3, 5]) + bytes(6), bytes([13]) + bytes(7)])
def test_what_is_short_or_unknown_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"cut short|not known here"):
        icmp.decode(data, 4)


def test_there_is_no_error_about_an_error() -> None:
    error = icmp_error(IcmpKind.TIME_EXCEEDED, "13.0.0.1", SYN)
    assert error == Packet(
        IPProtocol.ICMP, Endpoint("13.0.0.1", 0), Endpoint(ALICE.ip, 0), icmp=Icmp(IcmpKind.TIME_EXCEEDED, SYN)
    )
    assert icmp_error(IcmpKind.TIME_EXCEEDED, "13.0.0.1", error) is None


def test_it_says_what_it_is_in_words() -> None:
    error = icmp_error(IcmpKind.TOO_BIG, "13.0.0.1", SYN, 1280)
    assert error is not None
    assert str(error.icmp) == "packet too big (MTU 1280), for TCP 192.168.1.2:4001 to 12.0.0.1:9000"
