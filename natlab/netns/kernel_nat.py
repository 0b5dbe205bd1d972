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

from natlab.endpoint import Endpoint
from natlab.errors import DecodeError, LabError
from natlab.netns.namespace import Namespace
from natlab.packet import Fragment, IPProtocol, Packet
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
    """One side of the box."""

    def __init__(self, tun: int) -> None:
        self._tun = tun
        self._begun: list[bytes] = []  # pieces of a packet, of which some have not come yet

    def send(self, packet: Packet) -> None:
        os.write(self._tun, ip.encode(packet))

    def received(self) -> list[Packet]:
        packets: list[Packet] = []
        while data := self._read():
            try:
                packets += self._pieces(data) if _is_piece(data) else [ip.decode(data)]
            except DecodeError:  # the kernel looks for IPv6 routers
                continue
        return packets

    def _pieces(self, data: bytes) -> list[Packet]:
        """The pieces of a packet in the order in which they came, once all are there: each knows the whole."""
        self._begun.append(data)
        begun = sorted(self._begun, key=_offset)
        body = b"".join(piece[20:] for piece in begun)
        if _has_more(begun[-1]) or len(body) != _offset(begun[-1]) + len(begun[-1]) - 20:
            return []
        pieces, self._begun = self._begun, []
        whole = ip.decode(_header_of(begun[0], 20 + len(body)) + body)
        ends = Endpoint(whole.source.ip, 0), Endpoint(whole.destination.ip, 0)
        return [Packet(IPProtocol.FRAGMENT, *ends, df=False, fragment=_fragment(piece, whole)) for piece in pieces]

    def _read(self) -> bytes:
        try:
            return os.read(self._tun, ip.MAX_PACKET)
        except BlockingIOError:
            return b""


def _is_piece(data: bytes) -> bool:
    return data[0] >> 4 == 4 and (_has_more(data) or _offset(data) > 0)


def _has_more(data: bytes) -> bool:
    return bool(data[6] & 0x20)  # flags:3 | fragment offset:13


def _offset(data: bytes) -> int:
    return 8 * (int.from_bytes(data[6:8], "big") & 0x1FFF)


def _fragment(data: bytes, whole: Packet) -> Fragment:
    return Fragment(whole, int.from_bytes(data[4:6], "big"), _offset(data), len(data) - 20, _has_more(data))


def _header_of(piece: bytes, length: int) -> bytes:
    """The IPv4 header of the whole packet that begins with this piece."""
    header = piece[:2] + length.to_bytes(2, "big") + piece[4:6] + bytes(2) + piece[8:10] + bytes(2) + piece[12:20]
    return header[:10] + ip.checksum(header).to_bytes(2, "big") + header[12:]


class KernelNat:
    """A namespace that forwards between `inside` and `outside`, from `__enter__` to `__exit__`.

    Attributes:
        hosts: the addresses of those inside.
        mtu: of the link outside, in bytes; inside it is 1500.
        settle: seconds after which what a packet causes at once can be read.

    Args:
        rules: for `nft -f`.
        settings: the kernel's numbers to change, e.g. `net.netfilter.nf_conntrack_tcp_be_liberal`.
        patience: seconds; no silence is tried that is longer, see `natlab.lab.report`.
    """

    hosts = tuple(f"192.168.1.{number}" for number in range(2, 10))
    mtu = 1400
    settle = 0.002

    def __init__(self, rules: str = MASQUERADE, settings: dict[str, int] | None = None, patience: float = 5.0) -> None:
        self.patience = patience
        self._rules = rules
        self._settings = _SETTINGS | (settings or {})
        self._undo = ExitStack()
        self._external = "11.0.0.1"
        self.inside: TunPlug
        self.outside: TunPlug

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._namespace = undo.enter_context(Namespace("box"))
            self.inside = self._plug(undo, "inside", "192.168.1.1", to="192.168.1.0/24")
            self.outside = self._plug(undo, "outside", self._external, to="default", mtu=self.mtu)
            self._nft(self._rules)
            for key, value in self._settings.items():
                self._namespace.set(key, value)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    def readdress(self, ip: str) -> None:
        """The network outside gives the box another address."""
        self._namespace.readdress("outside", self._external, ip)
        self._external = ip

    def get(self, key: str) -> int:
        """One of the kernel's numbers, e.g. `net.netfilter.nf_conntrack_udp_timeout`."""
        return self._namespace.get(key)

    def _plug(self, undo: ExitStack, device: str, address: str, to: str, mtu: int = 1500) -> TunPlug:
        tun = self._namespace.plug_in(address, device=device, to=to, mtu=mtu)
        undo.callback(os.close, tun)
        return TunPlug(tun)

    def _nft(self, rules: str) -> None:
        command = ["ip", "netns", "exec", self._namespace.name, "nft", "-f", "-"]
        done = subprocess.run(command, input=rules, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"nft refused the rules: {done.stderr.strip()}")
