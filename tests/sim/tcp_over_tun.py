"""Our TCP and the kernel's, one conversation over a TUN device. Run inside `unshare -rn`; prints one JSON object.

argv: who dials ("kernel", "we", "both"), percent of segments lost each way
"""

import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError
from natlab.packet import Packet
from natlab.sim.tcp import Tcb
from natlab.sim.tcp_segment import opens
from natlab.sim.tcp_state import State
from natlab.wire import ip

KERNEL, US = Endpoint("10.9.0.1", 4001), Endpoint("10.9.0.2", 4002)
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
ONE_WAY = 0.010  # seconds
PATIENCE = 60.0


def open_tun() -> int:
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"natlab0", IFF_TUN | IFF_NO_PI))
    # We send no options. Linux, whose SYN offers window scale, forgets in a simultaneous open that it was not taken up.
    Path("/proc/sys/net/ipv4/tcp_window_scaling").write_text("0")
    for command in ("addr add 10.9.0.1/24 dev natlab0", "link set natlab0 up"):
        subprocess.run(["ip", *command.split()], check=True)
    return tun


class Link:
    """Our end of the TUN device: one connection, delay and loss in both directions."""

    def __init__(self, tun: int, loss: float) -> None:
        self.tun = tun
        self.loss = loss
        self.rng = random.Random(5)
        self.end: Tcb | None = None
        self.in_flight: list[tuple[float, int, bool, Packet]] = []
        self._count = 0

    def turn(self) -> None:
        """Waits a millisecond at most, then does what is due."""
        if select.select([self.tun], [], [], 0.001)[0]:
            self._read()
        while self.in_flight and self.in_flight[0][0] <= time.monotonic():
            _, _, outward, packet = heapq.heappop(self.in_flight)
            if outward:
                os.write(self.tun, ip.encode(packet))
            else:
                self._arrive(packet)
        if self.end is not None:
            if self.end.deadline is not None and self.end.deadline <= time.monotonic_ns():
                self.end.timer_expired(time.monotonic_ns())
            self.end.acknowledge(time.monotonic_ns())
            for packet in self.end.take_segments():
                self._put(packet, outward=True)

    def _read(self) -> None:
        try:
            packet = ip.decode(os.read(self.tun, 65535))
        except DecodeError:
            return  # IPv6 neighbour discovery and the like
        if packet.destination == US:
            self._put(packet, outward=False)

    def _put(self, packet: Packet, outward: bool) -> None:
        self._count += 1
        if self.rng.random() >= self.loss:
            heapq.heappush(self.in_flight, (time.monotonic() + ONE_WAY, self._count, outward, packet))

    def _arrive(self, packet: Packet) -> None:
        if self.end is not None:
            self.end.segment_arrives(packet, time.monotonic_ns())
        elif opens(packet):
            self.end = Tcb.passive_open(packet, time.monotonic_ns(), self.rng)


def kernel_socket(listens: bool) -> socket.socket:
    own = socket.socket()
    own.bind(KERNEL)
    if listens:
        own.listen()
    return own


def kernel_side(own: socket.socket, listens: bool, data: bytes, received: bytearray) -> None:
    """The kernel's program: connects or accepts, then sends all of `data` while it reads to the end."""
    if not listens:
        own.connect(US)
    connection = own.accept()[0] if listens else own
    writing = threading.Thread(target=lambda: (connection.sendall(data), connection.shutdown(socket.SHUT_WR)))
    writing.start()
    while piece := connection.recv(65536):
        received += piece
    writing.join()


def our_side(link: Link, data: bytes) -> bytes:
    """Sends `data`, closes, and returns what the kernel sent before it closed."""
    received = bytearray()
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        link.turn()
        end = link.end
        if end is None or not end.opened:
            continue
        if data:
            data = data[end.send(data, time.monotonic_ns()) :]
        elif end.state not in (State.CLOSED, State.TIME_WAIT):
            end.close(time.monotonic_ns())
        received += end.receive(65536, time.monotonic_ns())
        if end.state in (State.CLOSED, State.TIME_WAIT) and not end.readable:
            break
    return bytes(received)


def main(who: str, percent: str) -> None:
    link = Link(open_tun(), int(percent) / 100)
    rng = random.Random(1)
    ours, kernels = rng.randbytes(150_000), rng.randbytes(250_000)
    heard = bytearray()
    listens = who == "we"
    conversation = (kernel_socket(listens), listens, kernels, heard)
    kernel = threading.Thread(target=kernel_side, args=conversation, daemon=True)
    kernel.start()
    while who == "both" and not link.in_flight:
        link.turn()  # until the kernel's SYN is under way: ours will cross it
    if who != "kernel":
        link.end = Tcb.active_open(US, KERNEL, time.monotonic_ns(), link.rng)
    received = our_side(link, ours)
    give_up = time.monotonic() + PATIENCE
    while kernel.is_alive() and time.monotonic() < give_up:
        link.turn()
    error = link.end.error if link.end is not None else None
    print(json.dumps({"we heard all": received == kernels, "kernel heard all": heard == ours, "error": error}))


if __name__ == "__main__":
    main(*sys.argv[1:])
