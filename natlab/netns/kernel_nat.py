"""Linux's own NAT as a box to be probed: nftables in a network namespace, between two TUN devices.

    inside  <─ tun ─>  routing, conntrack, nft  <─ tun ─>  outside
    192.168.1.0/24     192.168.1.1 | 11.0.0.1              everywhere else

Whoever holds the other ends of the TUN devices plays every computer on both sides. The kernel handles a packet while it
is being written to a TUN device, so what it causes can be read at once.

*Not modelled*: nothing: this is the original. Its timers run in real time.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, Self, TypeVar

from natlab.errors import DecodeError, LabError
from natlab.netns.namespace import Namespace
from natlab.packet import Packet
from natlab.wire import ip

__all__ = ["MASQUERADE", "KernelNat", "TunPlug"]

T = TypeVar("T")

MASQUERADE = """
table ip natlab {
    chain postrouting { type nat hook postrouting priority srcnat; oifname "outside" masquerade; }
}
"""
"""What `linux` stands for: the one rule, and nothing else."""

_SETTINGS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.icmp_ratelimit": 0,  # else the second ICMP error within a second is not sent
}


class TunPlug:
    """One side of the box. What the kernel cuts on its way out is put together again; it sends the pieces in order."""

    def __init__(self, tun: int) -> None:
        self._tun = tun
        self._begun = b""  # a packet whose last piece has not come yet

    def send(self, packet: Packet) -> None:
        os.write(self._tun, ip.encode(packet))

    def received(self) -> list[Packet]:
        packets = []
        while data := self._read():
            try:
                if whole := self._whole(data):
                    packets.append(ip.decode(whole))
            except DecodeError:  # the kernel looks for IPv6 routers
                continue
        return packets

    def _whole(self, data: bytes) -> bytes:
        """The packet that is complete now; b"" if a piece is missing."""
        more, offset = data[6] & 0x20, int.from_bytes(data[6:8], "big") & 0x1FFF
        if data[0] >> 4 != 4 or not (more or offset):
            return data
        self._begun = self._begun + data[20:] if offset else data
        if more:
            return b""
        length = len(self._begun).to_bytes(2, "big")
        header = self._begun[:2] + length + self._begun[4:6] + bytes(2) + self._begun[8:10] + bytes(2) + data[12:20]
        return header[:10] + ip.checksum(header).to_bytes(2, "big") + header[12:] + self._begun[20:]

    def _read(self) -> bytes:
        try:
            return os.read(self._tun, ip.MAX_PACKET)
        except BlockingIOError:
            return b""


class KernelNat:
    """A namespace that forwards between `inside` and `outside`, from `__enter__` to `__exit__`.

    Attributes:
        hosts: the addresses of those inside.
        settle: seconds after which what a packet causes at once can be read.

    Args:
        rules: for `nft -f`.
        settings: the kernel's numbers to change, e.g. `net.netfilter.nf_conntrack_tcp_be_liberal`.
        patience: seconds; no silence is tried that is longer, see `natlab.lab.report`.
    """

    hosts = tuple(f"192.168.1.{number}" for number in range(2, 10))
    settle = 0.002

    def __init__(self, rules: str = MASQUERADE, settings: dict[str, int] | None = None, patience: float = 5.0) -> None:
        self.patience = patience
        self._rules = rules
        self._settings = _SETTINGS | (settings or {})
        self._undo = ExitStack()
        self.inside: TunPlug
        self.outside: TunPlug

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._namespace = undo.enter_context(Namespace("box"))
            self.inside = self._plug(undo, "inside", "192.168.1.1", to="192.168.1.0/24")
            self.outside = self._plug(undo, "outside", "11.0.0.1", to="default")
            self._nft(self._rules)
            for key, value in self._settings.items():
                self._namespace.set(key, value)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    def get(self, key: str) -> int:
        """One of the kernel's numbers, e.g. `net.netfilter.nf_conntrack_udp_timeout`."""
        return self._namespace.get(key)

    def _plug(self, undo: ExitStack, device: str, address: str, to: str) -> TunPlug:
        tun = self._namespace.plug_in(address, device=device, to=to)
        undo.callback(os.close, tun)
        return TunPlug(tun)

    def _nft(self, rules: str) -> None:
        command = ["ip", "netns", "exec", self._namespace.name, "nft", "-f", "-"]
        done = subprocess.run(command, input=rules, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"nft refused the rules: {done.stderr.strip()}")
