"""The implementations that `loopback.py` compares: how to run each, and one class to drive them all.

Each is two processes of the same program: a listener, and a dialer that is told what to do on its stdin
(`peers/natlab_peer.py` lists the commands). They live in a network namespace that has only its loopback, so that
nothing they advertise or discover can be dialled outside.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from benchmarks.building import HERE, NotHere, kept, python_with_rivals, run

PEERS = HERE / "peers"
INTEROP = HERE.parent / "tests/interop/peers"  # whose lock files say which go-libp2p and js-libp2p are current
CLONE_NEWNET = 0x40000000  # unshare(2)


class Subject:
    """A listener and a dialer of one implementation, both running."""

    def __init__(self, command: list[str]) -> None:
        self._listener = _Process([*command, "--listen", "/ip4/127.0.0.1/tcp/0"])
        self._dialer = _Process(command)
        self._address = self._listener.hello["address"]

    def tell(self, verb: str, number: int) -> dict[str, Any]:
        """Has the dialer do something to the listener."""
        return self._dialer.ask(f"{verb} {self._address} {number}")

    def listener_bytes(self) -> int:
        """Resident memory of the listener, once it has given back what it does not need."""
        self._listener.ask("settle")
        return self._listener.resident_bytes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._dialer.end()
        self._listener.end()


class _Process:
    def __init__(self, command: list[str]) -> None:
        self._program = command[0]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hello = self._answer()

    def ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        return self._answer()

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    def end(self) -> None:
        """A dialer or listener that does not leave when its stdin ends is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._program} has ended; its stderr says why")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def empty_network() -> Iterator[None]:
    """Processes started inside have a network of their own: loopback, and nothing else.

    Raises:
        NotHere: that takes Linux, root and iproute2.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        raise NotHere("a network namespace needs Linux, root and iproute2")
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET):
            raise NotHere(f"no network namespace for us: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        try:
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


# How to run each


def natlab() -> list[str]:
    return [sys.executable, str(PEERS / "natlab_peer.py")]


def echo() -> list[str]:
    return [sys.executable, str(PEERS / "echo.py")]


def go(security: str) -> list[str]:
    locks, source = [INTEROP / "go/go.mod", INTEROP / "go/go.sum"], PEERS / "go/main.go"

    def build(target: Path) -> None:
        for path in (*locks, source):
            shutil.copy(path, target)
        run("go", "build", "-trimpath", "-o", "peer", ".", cwd=target, CGO_ENABLED="0")

    _need("go")
    return [str(kept("go", [*locks, source], build) / "peer"), "-security", security]


def py() -> list[str]:
    return [str(python_with_rivals()), str(PEERS / "py_peer.py")]


def js() -> list[str]:
    locks, source = [INTEROP / "js/package.json", INTEROP / "js/package-lock.json"], PEERS / "js/peer.js"

    def build(target: Path) -> None:
        for path in (*locks, source):
            shutil.copy(path, target)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=target)

    _need("npm")
    root = kept("js", [*locks, source], build)
    architecture = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    node = root / f"node_modules/node-linux-{architecture}/bin/node"
    if not node.exists():
        raise NotHere(f"npm has no node-linux-{architecture}")
    return [str(node), "--expose-gc", str(root / "peer.js")]


def _need(tool: str) -> None:
    if shutil.which(tool) is None:
        raise NotHere(f"{tool} is not installed")
