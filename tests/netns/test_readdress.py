"""The bytes after translation, compared with what the reader of packets (all checksums checked) makes of them."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.netns.readdress import readdress
from natlab.packet import Flag, IcmpKind, IPProtocol, Packet, echo_reply, echo_request, icmp_error
from natlab.wire import ip

INSIDE, OUTSIDE, REMOTE = Endpoint("192.168.1.2", 4001), Endpoint("11.0.0.1", 61000), Endpoint("12.0.0.1", 9)

endpoints = st.builds(
    lambda number, port: Endpoint.of(".".join(map(str, struct.pack("!I", number))), port),
    st.integers(0, 2**32 - 1),
    st.integers(0, 65535),
)


@given(st.sampled_from([6, 17]), endpoints, endpoints, endpoints, endpoints, st.binary(max_size=50))
def test_it_is_what_writing_the_packet_anew_gives(protocol, source, destination, new_source, new_destination, payload):
    packet = Packet(protocol, source, destination, payload, seq=7 if protocol == 6 else 0)
    translated = packet._replace(source=new_source, destination=new_destination)
    assert ip.decode(readdress(ip.encode(packet), translated)) == translated


@given(endpoints, endpoints, endpoints, st.integers(0, 255), st.binary(max_size=50))
def test_a_ping_too_with_its_identifier(source, to, new_source, ttl, payload):
    ping = echo_request(source, to.ip, 3, payload)
    translated = ping._replace(source=new_source, ttl=ttl)
    assert ip.decode(readdress(ip.encode(ping), translated)) == translated
    reply, back = echo_reply(translated), echo_reply(ping)
    assert ip.decode(readdress(ip.encode(reply), back)) == back


@given(st.sampled_from([1, 6, 17]), endpoints, endpoints, endpoints, st.binary(max_size=50), st.integers(8, 90))
def test_and_what_an_icmp_error_quotes_as_far_as_it_is_there(protocol, inside, outside, remote, payload, room):
    sent = Packet(protocol, inside, remote, payload, seq=7 if protocol == 6 else 0)
    if protocol == 1:
        sent = echo_request(inside, remote.ip, 3, payload)
    error = icmp_error(IcmpKind.TIME_EXCEEDED, "99.0.0.1", sent._replace(source=outside))
    data = cut(ip.encode(error), 28 + 20 + room)
    quoted = ip.decode(data).quoted
    translated = error._replace(
        destination=Endpoint(inside.ip, 0), icmp=error.icmp._replace(quoted=quoted._replace(source=inside))
    )
    arrived = readdress(data, translated)
    assert ip.decode(arrived) == translated
    if 28 + 20 + room >= error.size:
        assert arrived[28:] == ip.encode(sent)  # the quoted checksums are right too


def cut(data: bytes, length: int) -> bytes:
    """An IPv4 packet with an ICMP error, not longer than this, its checksums put right."""
    cut = bytearray(data[:length])
    cut[2:4] = len(cut).to_bytes(2, "big")
    for at, part in ((10, slice(0, 20)), (22, slice(20, None))):
        cut[at : at + 2] = bytes(2)
        cut[at : at + 2] = ip.checksum(bytes(cut[part])).to_bytes(2, "big")
    return bytes(cut)


def with_options(packet: Packet, ip_options: bytes, tcp_options: bytes) -> bytes:
    """As a kernel writes it: options in both headers, checksums right."""
    data = bytearray(ip.encode(packet))
    segment = bytearray(data[20:] + tcp_options)
    segment[12] = (5 + len(tcp_options) // 4) << 4
    segment[16:18] = bytes(2)
    pseudo_header = bytes(data[12:20]) + struct.pack("!HH", IPProtocol.TCP, len(segment))
    segment[16:18] = ip.checksum(pseudo_header + segment).to_bytes(2, "big")
    header = bytearray(data[:20] + ip_options)
    header[0] = 0x40 | (5 + len(ip_options) // 4)
    header[2:4] = (len(header) + len(segment)).to_bytes(2, "big")
    header[10:12] = bytes(2)
    header[10:12] = ip.checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header + segment)


def test_options_and_all_else_stay_as_they_were():
    syn = Packet(IPProtocol.TCP, INSIDE, REMOTE, flags=Flag.SYN, seq=5)
    ip_options, tcp_options = b"\x94\x04\0\0", b"\x02\x04\x05\xb4\x01\x03\x03\x07"  # router alert; MSS, window scale
    before = with_options(syn, ip_options, tcp_options)
    after = readdress(before, syn._replace(source=OUTSIDE))
    assert ip.decode(after) == syn._replace(source=OUTSIDE)
    assert after[20:24] == ip_options and after[-8:] == tcp_options
    changed = {n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}
    assert changed <= {10, 11, *range(12, 16), 24, 25, 40, 41}  # checksum, source, port, checksum


def test_no_udp_checksum_stays_none():
    datagram = Packet(IPProtocol.UDP, INSIDE, REMOTE, b"data")
    before = bytearray(ip.encode(datagram))
    before[26:28] = bytes(2)
    after = readdress(bytes(before), datagram._replace(source=OUTSIDE))
    assert after[26:28] == bytes(2)
    assert ip.decode(after).source == OUTSIDE


def test_a_udp_checksum_that_comes_out_as_0_is_written_as_all_ones():
    """RFC 768: 0 would say that there is none."""
    for number in range(2**16):
        datagram = Packet(IPProtocol.UDP, INSIDE, REMOTE, number.to_bytes(2, "big"))
        translated = datagram._replace(source=OUTSIDE)
        if ip.encode(translated)[26:28] == b"\xff\xff":
            assert readdress(ip.encode(datagram), translated)[26:28] == b"\xff\xff"
            return
    pytest.fail("no payload gave the sum 0")


def test_a_damaged_packet_leaves_damaged():
    syn = Packet(IPProtocol.TCP, INSIDE, REMOTE, flags=Flag.SYN)
    data = bytearray(ip.encode(syn))
    data[-1] ^= 1
    translated = syn._replace(source=OUTSIDE)
    assert ip.checksum(readdress(bytes(data), translated)[:20]) == 0
    with pytest.raises(DecodeError, match="TCP checksum"):
        ip.decode(readdress(bytes(data), translated))


TCP = Packet(IPProtocol.TCP, INSIDE, REMOTE, b"data", flags=Flag.SYN, seq=5)
UDP, PING = Packet(IPProtocol.UDP, INSIDE, REMOTE, b"data"), echo_request(INSIDE, REMOTE.ip, 3, b"data")
ERRORS = [icmp_error(IcmpKind.TIME_EXCEEDED, "99.0.0.1", packet) for packet in (UDP, TCP, PING)]
KERNELS = [
    with_options(TCP, b"\x94\x04\0\0", b"\x02\x04\x05\xb4"),
    *(ip.encode(packet) for packet in (UDP, TCP, PING, echo_reply(PING), *ERRORS)),
    *(cut(ip.encode(error), 28 + 20 + 8) for error in ERRORS),
]


def righted(data: bytes) -> bytes:
    """The checksums of an IPv4 packet put right, as a stranger can; that of UDP left out (RFC 768)."""
    if len(data) < 20:
        return data
    header, length = 4 * (data[0] & 15), int.from_bytes(data[2:4], "big")
    fixed = bytearray(data)
    fixed[10:12] = bytes(2)
    fixed[10:12] = ip.checksum(bytes(fixed[:header])).to_bytes(2, "big")
    at = header + {1: 2, 6: 16, 17: 6}.get(fixed[9], 2)
    fixed[at : at + 2] = bytes(2)
    if fixed[9] != IPProtocol.UDP and at + 2 <= len(data):
        pseudo_header = fixed[12:20] + struct.pack("!HH", 6, max(length - header, 0)) if fixed[9] == 6 else b""
        fixed[at : at + 2] = ip.checksum(bytes(pseudo_header + fixed[header:length])).to_bytes(2, "big")
    return bytes(fixed)


def through_a_box(packet):
    """Another source, and the hop that a router takes; what is quoted likewise."""
    if packet.quoted is not None:
        quoted = through_a_box(packet.quoted)
        return packet._replace(source=Endpoint(OUTSIDE.ip, 0), icmp=packet.icmp._replace(quoted=quoted))
    if packet.icmp is not None and packet.icmp.kind is IcmpKind.ECHO_REPLY:
        return packet._replace(destination=OUTSIDE, ttl=packet.ttl // 2)
    return packet._replace(source=OUTSIDE, ttl=packet.ttl // 2)


@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_whatever_a_kernel_writes_is_refused_when_read_or_readdressed_as_the_box_decided(mutated, draw):
    data = draw.draw(mutated(st.sampled_from(KERNELS)))
    data = draw.draw(st.sampled_from([data, righted(data), righted(data)]))
    try:
        packet = ip.decode(data)
    except DecodeError:
        return
    if packet.source.version == 4:
        translated = through_a_box(packet)
        assert ip.decode(readdress(data, translated)) == translated
