"""A network namespace: a network stack of its own inside this computer, with its own addresses, ports and routes.

    with Namespace("alice") as alice:              ip netns add natlab-<process>-alice
        alice.plug_in("192.168.1.2")               a TUN device with that address, and the way to everywhere
        SystemNetwork(alice.open_socket)           sockets of that stack, used from here like any other
                                                   ip netns del, also after an error or Ctrl-C

A thread is in one namespace at a time (setns(2)), but a socket stays in the one it was made in. So this process visits
a namespace for one system call and comes back; no second process or thread is needed. Other programs go there by name:
`ip netns exec natlab-<process>-alice curl ...`.

A killed process can not remove its namespaces. They carry its number, and the next process that makes one removes those
of processes that are no more.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from natlab.errors import LabError

__all__ = ["Namespace", "why_not"]

TUN = Path("/dev/net/tun")
DEVICE = "natlab"  # the TUN device's name, the same in each namespace that has only one
PREFIX = "natlab-"
NAMES = Path("/run/netns")
_OWN = Path("/proc/thread-self/ns/net")

# linux/sched.h, linux/if_tun.h
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000  # IP packets, without a header of four bytes in front


def why_not() -> str:
    """Why this computer cannot run namespaces, or an empty text: it can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "making network namespaces takes root"
    if not TUN.exists():
        return f"there is no {TUN}"
    if shutil.which("ip") is None:
        return "there is no `ip` command (package iproute2)"
    try:
        with Namespace("probe") as probe:
            os.close(probe.plug_in("192.0.2.1"))
    except (LabError, OSError) as error:
        return f"no namespaces here: {error}"
    return ""


class Namespace:
    """One network namespace, there from `__enter__` to `__exit__`.

    Args:
        label: a short name for it, one of its kind in this process.

    Attributes:
        name: what `ip netns` calls it.
    """

    def __init__(self, label: str) -> None:
        self.name = f"{PREFIX}{os.getpid()}-{label}"
        self._fd = -1

    def __enter__(self) -> Self:
        _remove_orphans()
        _ip("netns", "add", self.name)
        try:
            self._fd = os.open(NAMES / self.name, os.O_RDONLY | os.O_CLOEXEC)
            _ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        _ip("netns", "del", self.name)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Within it, this thread is in the namespace: for what is made there, and for /proc/sys/net.

        Nothing may be awaited meanwhile: the whole event loop has moved.
        """
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self._fd)
            yield
        finally:
            _setns(home)
            os.close(home)

    def open_socket(self, family: socket.AddressFamily, kind: socket.SocketKind, protocol: int = 0) -> socket.socket:
        """A socket of this namespace."""
        with self.entered():
            return socket.socket(family, kind, protocol)

    def plug_in(self, *addresses: str, device: str = DEVICE, to: str = "default", mtu: int = 1500) -> int:
        """Gives the namespace addresses and a route, all on one TUN device. It sends from the first.

        Args:
            device: its name in the namespace.
            to: where the route leads: everywhere, or a network such as 192.168.1.0/24.
            mtu: the longest packet that the namespace sends there, in bytes.

        Returns:
            The file descriptor of its other end: whole IP packets, one for each read and write, without blocking.
        """
        with self.entered():
            tun = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
            for address in addresses:
                _ip("-n", self.name, "addr", "add", f"{address}/32", "dev", device)
            _ip("-n", self.name, "link", "set", device, "mtu", str(mtu), "up")
            _ip("-n", self.name, "route", "add", to, "dev", device)
        except BaseException:
            os.close(tun)
            raise
        return tun

    def readdress(self, device: str, old: str, new: str) -> None:
        """Gives a TUN device another address."""
        _ip("-n", self.name, "addr", "add", f"{new}/32", "dev", device)
        _ip("-n", self.name, "addr", "del", f"{old}/32", "dev", device)

    def set(self, key: str, value: int | str) -> None:
        """Sets one of the kernel's numbers for this namespace, e.g. `net.ipv4.tcp_syn_retries`."""
        with self.entered():
            Path("/proc/sys", *key.split(".")).write_text(str(value))

    def get(self, key: str) -> int:
        """Reads one of them."""
        with self.entered():
            return int(Path("/proc/sys", *key.split(".")).read_text())


def _remove_orphans() -> None:
    """Removes the namespaces of processes that were killed."""
    for path in sorted(NAMES.glob(f"{PREFIX}*-*")):
        process = path.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists():
            with suppress(LabError):  # another process may have done it just now
                _ip("netns", "del", path.name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")


def _setns(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns is there only from Python 3.12 on
    if libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
