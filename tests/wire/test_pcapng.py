"""Capture files: byte by byte, and as tshark reads them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.endpoint import Endpoint
from natlab.packet import Flag, IcmpKind, IPProtocol, Packet, echo_request, icmp_error
from natlab.wire import pcapng
from natlab.wire.ip import encode
from natlab.wire.pcapng import Sighting

A, B = Endpoint("192.168.1.2", 4001), Endpoint("12.0.0.1", 9000)
DATAGRAM = Packet(IPProtocol.UDP, A, B, b"hello")
SYN = Packet(IPProtocol.TCP, B, A, flags=int(Flag.SYN), seq=5, window=1 << 20)
OVER_IPV6 = Packet(IPProtocol.TCP, Endpoint("2600::1", 1), Endpoint("2600::2", 2), b"x", int(Flag.ACK), 6, 7, 8)
TSHARK = shutil.which("tshark")


def written(interfaces: list[str], sightings: list[Sighting], epoch: int = 0) -> bytes:
    file = io.BytesIO()
    assert pcapng.write(file, interfaces, sightings, epoch=epoch) == len(sightings)
    return file.getvalue()


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """(type, body) of each block; fails unless both lengths agree and the file ends with a block."""
    found = []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0 and struct.unpack_from("<I", data, length - 4) == (length,)
        found.append((kind, data[8 : length - 4]))
        data = data[length:]
    return found


def test_a_file_byte_by_byte() -> None:
    header, interface, packet = blocks(written(["home"], [Sighting(1.25, "home", DATAGRAM, "dropped")], epoch=100))
    assert header == (0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    name, resolution = b"\x02\0\x04\0home", b"\x09\0\x01\0\x09\0\0\0"
    assert interface == (1, struct.pack("<HHI", 101, 0, 65535) + name + resolution + bytes(4))
    time = 101_250_000_000
    fields = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, 33, 33)
    comment = b"\x01\0\x07\0dropped\0"
    assert packet == (6, fields + encode(DATAGRAM) + bytes(3) + comment + bytes(4))


def test_a_packet_without_a_comment_has_no_options() -> None:
    assert len(blocks(written(["home"], [Sighting(0.0, "home", DATAGRAM)]))[2][1]) == 20 + 36


def test_places_that_saw_nothing_are_interfaces_too() -> None:
    assert [kind for kind, _ in blocks(written(["alice", "home"], []))] == [0x0A0D0D0A, 1, 1]


@given(size=st.integers(0, 70), comment=st.text(max_size=20), name=st.text(max_size=20))
def test_blocks_are_whole_whatever_the_lengths(size: int, comment: str, name: str) -> None:
    seen = Sighting(0.0, name, DATAGRAM._replace(payload=bytes(size)), comment)
    assert [kind for kind, _ in blocks(written([name], [seen, seen]))] == [0x0A0D0D0A, 1, 6, 6]


@pytest.mark.parametrize(
    ("sighting", "epoch", "complaint"),
    [
        (Sighting(-1.0, "home", DATAGRAM), 0, "times from 0 to"),
        (Sighting(1.0, "home", DATAGRAM), 2**34 + 2**33, "times from 0 to"),
        (Sighting(1.0, "office", DATAGRAM), 0, "'office' is none of the interfaces: home"),
        (Sighting(1.0, "home", DATAGRAM, "x" * 65536), 0, "at most 65535 bytes"),
    ],
)
def test_what_the_format_cannot_hold_is_a_value_error(sighting: Sighting, epoch: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        written(["home"], [sighting], epoch)


def tshark(path: Path, *fields: str) -> list[list[str]]:
    options = [f"-o{protocol}.check_checksum:TRUE" for protocol in ("ip", "udp", "tcp")]  # it checks ICMP's always
    command = [str(TSHARK), "-n", "-r", str(path), *options, "-Tfields", *(f"-e{field}" for field in fields)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in run.stdout.splitlines()]


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_reads_what_was_written_and_finds_every_checksum_right(tmp_path: Path) -> None:
    path = tmp_path / "lab.pcapng"
    sightings = [
        Sighting(0.0, "alice", DATAGRAM),
        Sighting(0.020000001, "bob", SYN, "dropped: no mapping, überhaupt"),
        Sighting(3.0, "alice", OVER_IPV6),
    ]
    path.write_bytes(written(["alice", "home", "bob"], sightings, epoch=1_700_000_000))
    headers = ["ip.src", "ipv6.src", "udp.dstport", "tcp.dstport", "tcp.flags.str", "tcp.seq_raw"]
    checks = ["ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "_ws.malformed"]
    assert tshark(path, "frame.time_epoch", "frame.interface_name", "frame.comment") == [
        ["1700000000.000000000", "alice", ""],
        ["1700000000.020000001", "bob", "dropped: no mapping, überhaupt"],
        ["1700000003.000000000", "alice", ""],
    ]
    assert tshark(path, *headers, *checks) == [
        [A.ip, "", "9000", "", "", "", "1", "1", "", ""],
        [B.ip, "", "", "4001", "··········S·", "5", "1", "", "1", ""],
        ["", "2600::1", "", "2", "·······A····", "6", "", "", "1", ""],
    ]


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_reads_icmp_and_what_it_quotes(tmp_path: Path) -> None:
    path = tmp_path / "lab.pcapng"
    pings = [echo_request(Endpoint(A.ip, 77), B.ip, 3, b"hi"), echo_request(Endpoint("2600::1", 78), "2600::2", 4)]
    errors = [
        icmp_error(IcmpKind.TOO_BIG, "13.0.0.1", DATAGRAM, 1280),
        icmp_error(IcmpKind.PORT_UNREACHABLE, "2600::2", OVER_IPV6),
    ]
    path.write_bytes(written(["alice"], [Sighting(0.0, "alice", packet) for packet in (*pings, *errors) if packet]))
    v4 = ["icmp.type", "icmp.code", "icmp.ident", "icmp.seq", "icmp.mtu", "icmp.checksum.status"]
    v6 = ["icmpv6.type", "icmpv6.code", "icmpv6.echo.identifier", "icmpv6.checksum.status"]
    assert tshark(path, *v4, *v6, "ip.dst", "udp.dstport", "tcp.dstport", "_ws.malformed") == [
        ["8", "0", "77", "3", "", "1", "", "", "", "", B.ip, "", "", ""],
        ["", "", "", "", "", "", "128", "0", "0x004e", "1", "", "", "", ""],
        ["3", "4", "", "", "1280", "1", "", "", "", "", f"{A.ip},{B.ip}", "9000", "", ""],
        ["", "", "", "", "", "", "1", "4", "", "1", "", "", "2", ""],
    ]
