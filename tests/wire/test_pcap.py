"""Capture files: byte by byte, and as tshark reads them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from natlab.endpoint import Endpoint
from natlab.packet import Flag, IPProtocol, Packet
from natlab.wire import pcap
from natlab.wire.ip import encode

A, B = Endpoint("192.168.1.2", 4001), Endpoint("12.0.0.1", 9000)
DATAGRAM = Packet(IPProtocol.UDP, A, B, b"hello")
SYN = Packet(IPProtocol.TCP, B, A, flags=int(Flag.SYN), seq=5, window=1 << 20)
OVER_IPV6 = Packet(IPProtocol.TCP, Endpoint("2600::1", 1), Endpoint("2600::2", 2), b"x", int(Flag.ACK), 6, 7, 8)
TSHARK = shutil.which("tshark")


def test_a_file_byte_by_byte() -> None:
    file = io.BytesIO()
    assert pcap.write(file, [(1.25, DATAGRAM)], epoch=100) == 1
    header = struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    record = struct.pack("<IIII", 101, 250_000_000, 33, 33)
    assert file.getvalue() == header + record + encode(DATAGRAM)


def test_no_packets_make_a_valid_file() -> None:
    file = io.BytesIO()
    assert pcap.write(file, []) == 0
    assert len(file.getvalue()) == 24


@pytest.mark.parametrize(("time", "epoch"), [(-1.0, 0), (1.0, 2**32 - 1)])
def test_a_time_outside_the_format_is_a_value_error(time: float, epoch: int) -> None:
    with pytest.raises(ValueError, match="times from 0 to"):
        pcap.write(io.BytesIO(), [(time, DATAGRAM)], epoch=epoch)


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_reads_what_was_written_and_finds_every_checksum_right(tmp_path: Path) -> None:
    path = tmp_path / "lab.pcap"
    with path.open("wb") as file:
        pcap.write(file, [(0.0, DATAGRAM), (0.020000001, SYN), (3.0, OVER_IPV6)], epoch=1_700_000_000)
    fields = ["frame.time_epoch", "ip.src", "ipv6.src", "udp.dstport", "tcp.dstport", "tcp.flags.str", "tcp.seq_raw"]
    options = [f"-o{protocol}.check_checksum:TRUE" for protocol in ("ip", "udp", "tcp")]
    command = [str(TSHARK), "-n", "-r", str(path), *options, "-Tfields", *(f"-e{field}" for field in fields)]
    checks = ["ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "_ws.malformed"]
    run = subprocess.run(
        [*command, *(f"-e{c}" for c in checks)], capture_output=True, text=True, check=True, timeout=60
    )
    assert [line.split("\t") for line in run.stdout.splitlines()] == [
        ["1700000000.000000000", A.ip, "", "9000", "", "", "", "1", "1", "", ""],
        ["1700000000.020000001", B.ip, "", "", "4001", "··········S·", "5", "1", "", "1", ""],
        ["1700000003.000000000", "", "2600::1", "", "2", "·······A····", "6", "", "", "1", ""],
    ]
