"""Our STUN client asks coturn, and coturn's client asks our server, in network namespaces with our NAT box between.

coturn (Debian package `coturn`, see `.ci/run`) serves behaviour discovery when it has two addresses.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from random import Random

import pytest

from natlab import netns
from natlab.endpoint import Endpoint
from natlab.errors import RefusedError
from natlab.events import Journal
from natlab.nat import Behaviour, NatBox, NatConfig
from natlab.net.sockets import SystemNetwork
from natlab.protocol.behaviour_discovery import discover_udp, mapping_tests, survives_silence
from natlab.protocol.stun import Timers
from natlab.protocol.stun_server import Site, StunServer
from natlab.protocol.tcp_discovery import discover_tcp, tcp_port

A1, A2 = "12.0.0.1", "13.0.0.1"
SERVER = Endpoint(A1, 3478)
SOON = Timers(rto=0.2, rc=2, rm=3)  # a silence takes 0.8 s
NINE = list(product(Behaviour, Behaviour))


class Ground:
    """A computer for the server, with two addresses, and any number of others."""

    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo
        self._count = 0
        self.wire = netns.Wire()
        undo.callback(self.wire.close)
        self.server = undo.enter_context(netns.Namespace("stun"))
        self.wire.attach(self.server, A1, there=0.001, back=0.001, also=(A2,))

    def computer(self, nat: NatConfig | None = None) -> tuple[netns.Namespace, str]:
        """Another computer, public or behind a NAT box of its own, and its address."""
        self._count += 1
        namespace = self._undo.enter_context(netns.Namespace(f"c{self._count}"))
        public, private = f"14.0.0.{self._count}", f"192.168.{self._count}.2"
        box = nat and NatBox(namespace.name, nat, public, Random(1), Journal(kinds=()))
        self.wire.attach(namespace, private if box else public, box=box, there=0.001, back=0.001)
        return namespace, private if box else public

    def coturn(self, directory: Path) -> None:
        """Starts coturn; it answers when this returns."""
        options = f"-n -S --no-cli --no-tls --no-dtls -L {A1} -L {A2} --no-stdout-log --simple-log"
        inside = ["ip", "netns", "exec", self.server.name, "turnserver", *options.split()]
        process = subprocess.Popen(
            [*inside, "--log-file", f"{directory}/log", "--pidfile", f"{directory}/pid", "--db", f"{directory}/db"],
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._undo.callback(process.wait)
        self._undo.callback(process.terminate)


@pytest.fixture
def ground() -> Iterator[Ground]:
    for program in ("turnserver", "turnutils_natdiscovery"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no `{program}` (package coturn)")
    if reason := netns.why_not():
        pytest.skip(reason)
    with ExitStack() as undo:
        yield Ground(undo)


def run(ground, main, seconds=30.0):
    async def on_the_wire():
        async with ground.wire:
            result = await asyncio.wait_for(main, seconds)
            await asyncio.sleep(0.01)  # asyncio takes a moment to close its transports
            return result

    return asyncio.run(on_the_wire())


def nat(mapping, filtering):
    return NatConfig(mapping=mapping, filtering=filtering, port_allocation="random")


def test_what_our_client_learns_from_coturn(ground, tmp_path):
    """All nine classes over UDP at once; mapping over TCP too. Filtering over TCP it refuses, as RFC 8489 demands."""
    ground.coturn(tmp_path)
    clients = [(*ground.computer(nat(*cell)), cell) for cell in NINE]
    public, ip = ground.computer()

    async def discover(namespace, ip, cell):
        network = SystemNetwork(namespace.open_socket)
        found = await discover_udp(network, ip, SERVER, Random(1), SOON)
        async with tcp_port(network, ip, Random(1)) as port:
            _, over_tcp = await mapping_tests(port, SERVER)
        return cell, (found.mapping, found.filtering), found.natted, found.mangled, over_tcp

    async def main():
        network = SystemNetwork(public.open_socket)
        first = await discover_udp(network, ip, SERVER, Random(1))  # its default timers wait until coturn is up
        cells = await asyncio.gather(*(discover(*client) for client in clients))
        alive = await survives_silence(network, ip, SERVER, 0.1, Random(1), SOON)
        with pytest.raises(RefusedError) as refused:
            await discover_tcp(network, ip, SERVER, Random(1), SOON)
        return first, cells, alive, refused.value.status

    first, cells, alive, status = run(ground, main())
    assert not first.natted and first.filtering == Behaviour.ENDPOINT_INDEPENDENT and alive
    for cell, found, natted, mangled, over_tcp in cells:
        assert (found, natted, mangled, over_tcp) == (cell, True, False, cell[0])
    assert status == 400


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (None, ["No NAT! (Endpoint Independent Mapping)", "NAT with Endpoint Independent Filtering!"]),
        (NINE[7], ["NAT with Address and Port Dependent Mapping!", "NAT with Address Dependent Filtering!"]),
    ],
)
def test_what_coturns_client_learns_from_our_server(ground, cell, words):
    client, ip = ground.computer(cell and nat(*cell))

    async def main():
        network = SystemNetwork(ground.server.open_socket)
        async with StunServer(Site(network, A1), Site(network, A2)):
            asking = f"ip netns exec {client.name} turnutils_natdiscovery -m -f -L {ip} {A1}".split()
            process = await asyncio.create_subprocess_exec(*asking, stdout=subprocess.PIPE)
            said, _ = await process.communicate()
            return said.decode()

    said = run(ground, main())
    verdicts = re.findall(r"^N.*!.*$", said, re.MULTILINE)
    assert set(words) <= set(verdicts) and ("No NAT" in said) == (cell is None), said
