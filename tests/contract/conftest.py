"""Where the contract tests run: grounds, on which a test builds the hosts and NATs it needs, and places.

    ground       hosts                            NAT boxes and delay        time
    Simulated    natlab.sim                       natlab.sim, natlab.nat     virtual, exact
    Namespaces   Linux's TCP, one namespace each  natlab.netns, natlab.nat   real
                                                  or Linux's nftables

A place is two networks that reach each other; two of the four are one computer with itself, where nothing takes time.
"""

import asyncio
import errno
import os
import shutil
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from random import Random

import pytest

from natlab import netns
from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.events import Journal
from natlab.nat import NatBox, NatConfig
from natlab.net import Network
from natlab.net.sockets import SystemNetwork
from natlab.sim import Internet, SimLoop
from natlab.wire import ip

SECONDS = 20.0  # for one test in real time
DELAY = 0.001  # seconds to the middle of the internet, where a test does not ask for another
NFTABLES = """
table ip natlab {
    chain postrouting { type nat hook postrouting priority srcnat; oifname != "inside" masquerade; }
    chain input { type filter hook input priority filter; iifname != "inside" ct state { new, invalid } drop; }
}
"""
"""Linux's own NAT; its second chain keeps it from answering a stray SYN with RST."""
why_not = cache(netns.why_not)


class Simulated:
    """The simulated internet."""

    exact = True
    lateness = 0.0

    def __enter__(self):
        self.loop = SimLoop()
        self.internet = Internet(self.loop, Journal(kinds=()), Random)
        return self

    def __exit__(self, *_):
        self.loop.close()

    def host(self, name, nat=None, delay=DELAY):
        if nat is None:
            return self.internet.host(name, delay=delay)
        return self.internet.host(name, behind=self.internet.nat(f"{name}'s NAT", nat, delay=delay), delay=0)

    @contextmanager
    def no_route_to(self, address):
        """Within it the internet knows no way to an address, and says so."""
        core = self.internet._core[4]
        way = core.way_to(address)
        core.detach(address)
        yield
        core.attach(address, way)

    def silence(self):
        """An endpoint that does not answer: a NAT box with nobody behind it."""
        return Endpoint(self.internet.nat("silent", NatConfig(), delay=DELAY).external_ip, 80)

    def run(self, main):
        return self.loop.run(main)


class Namespaces:
    """Network namespaces, joined by a wire."""

    exact = False

    def __enter__(self):
        self.undo = ExitStack()
        self.wire = netns.Wire()
        self.undo.callback(self.wire.close)
        self.cables = []
        self.count = 0
        return self

    def __exit__(self, *_):
        self.undo.close()

    @property
    def lateness(self):
        return self.wire.lateness

    def host(self, name, nat=None, delay=DELAY):
        """The NAT: natlab's box of that configuration, or Linux's own, named by what it is told to be."""
        namespace = self.undo.enter_context(netns.Namespace(name))
        namespace.set("net.ipv4.tcp_syn_linear_timeouts", 0)
        namespace.set("net.ipv4.tcp_syn_retries", 1)  # a SYN at 0 and at 1 s; ETIMEDOUT at 3 s instead of 131
        self.count += 1
        public, private = f"{10 + self.count}.0.0.1", f"192.168.{self.count}.2"
        there, back = delay if isinstance(delay, tuple) else (delay, delay)
        if nat in ("strict", "liberal"):
            self.wire.attach(self.nftables(namespace, private, nat), public, there=there, back=back)
        else:
            box = NatBox(name, nat, public, Random(name), Journal(kinds=())) if nat else None
            self.wire.attach(namespace, private if nat else public, box=box, there=there, back=back)
        return SystemNetwork(namespace.open_socket)

    def nftables(self, host, private, kind):
        """A namespace with Linux's NAT, and a cable between it and the host's."""
        box = self.undo.enter_context(netns.Namespace(f"box{self.count}"))
        box.set("net.ipv4.ip_forward", 1)
        subprocess.run(["ip", "netns", "exec", box.name, "nft", "-f", "-"], input=NFTABLES, text=True, check=True)
        box.set("net.netfilter.nf_conntrack_tcp_be_liberal", int(kind == "liberal"))
        ends = host.plug_in(private), box.plug_in(f"192.168.{self.count}.1", device="inside", to=f"{private}/32")
        for end in ends:
            self.undo.callback(os.close, end)
        self.cables += [ends, ends[::-1]]
        return box

    @contextmanager
    def no_route_to(self, address):
        end = self.wire._ends.pop(address)
        yield
        self.wire._ends[address] = end

    def silence(self):
        self.host("silent", NatConfig())
        return Endpoint(f"{10 + self.count}.0.0.1", 80)

    def run(self, main):
        async def on_the_wire():
            for cable in self.cables:
                asyncio.get_running_loop().add_reader(cable[0], carry, *cable)
            async with self.wire:
                return await settled(main)

        return asyncio.run(on_the_wire())


def carry(tun, other):
    """A packet from one end of a cable to the other."""
    with suppress(BlockingIOError):
        os.write(other, os.read(tun, ip.MAX_PACKET))


async def close_in_order(first, second):
    """Both ends of a connection; the first to close ends in TIME-WAIT."""
    for closing, waiting in ((first, second), (second, first)):
        await closing.close_write()
        assert await waiting.read() == b""


async def settled(main):
    """asyncio takes a moment to close its transports."""
    result = await asyncio.wait_for(main, SECONDS)
    await asyncio.sleep(0.01)
    return result


@pytest.fixture
def simulated():
    return Simulated


@pytest.fixture(params=["simulated", "namespaces"])
def new_ground(request):
    """Makes a ground, to be used as a context manager: both know `host`, `run`, `exact` and `lateness`."""
    if request.param == "simulated":
        return Simulated
    if reason := why_not():
        pytest.skip(reason)
    return Namespaces


@pytest.fixture
def nftables():
    """The namespaces, with Linux's own NAT."""
    if reason := why_not() or ("" if shutil.which("nft") else "there is no `nft` command (package nftables)"):
        pytest.skip(reason)
    return Namespaces


def pytest_terminal_summary(terminalreporter):
    """With -v: the table of simultaneous opens, as it was measured."""
    if terminalreporter.config.option.verbose < 0:  # as the project runs pytest, with -q
        return
    for report in terminalreporter.getreports("passed"):
        measured = dict(report.user_properties)
        if "seconds" in measured:
            seconds, late = 1000 * measured["seconds"], 1000 * measured["late"]
            terminalreporter.write_line(
                f"{seconds:8.1f} ms, {late:5.1f} ms late  {report.nodeid.partition('[')[2][:-1]}"
            )


@dataclass
class Place:
    """Two networks that reach each other, the address of the second, how to run a coroutine there, and, where packets
    take time, an endpoint that does not answer."""

    here: Network
    there: Network
    address: str
    run: object
    silence: Endpoint | None = None

    def at(self, port=0):
        """An endpoint there."""
        return Endpoint(self.address, port)

    def home(self, port=0):
        """An endpoint here."""
        return Endpoint(self.address if self.here is self.there else self.here.addresses()[0], port)

    async def pair(self):
        """A connection and its other end."""
        listener = await self.there.listen_tcp(self.at())
        dialled = await self.here.dial_tcp(listener.local)
        accepted = await listener.accept()
        listener.close()
        return dialled, accepted


@contextmanager
def two_hosts_on(ground_type):
    with ground_type() as ground:
        here, there = ground.host("here"), ground.host("there")
        yield Place(here, there, there.addresses()[0], ground.run, ground.silence())


@contextmanager
def simulated_loopback():
    with Simulated() as ground:
        host = ground.host("computer")
        yield Place(host, host, "127.0.0.1", ground.run)


@contextmanager
def system_loopback():
    network = SystemNetwork()
    yield Place(network, network, "127.0.0.1", lambda main: asyncio.run(settled(main)))


TWO_HOSTS = {"sim, two hosts": Simulated, "system, two namespaces": Namespaces}
LOOPBACKS = {"sim, loopback": simulated_loopback, "system, loopback": system_loopback}


def place_of(request):
    name = request.param
    if name in LOOPBACKS:
        return LOOPBACKS[name]()
    if TWO_HOSTS[name] is Namespaces and (reason := why_not()):
        pytest.skip(reason)
    return two_hosts_on(TWO_HOSTS[name])


@pytest.fixture(params=[*TWO_HOSTS, *LOOPBACKS])
def place(request):
    """Each of the four places."""
    with place_of(request) as place:
        yield place


@pytest.fixture(params=TWO_HOSTS)
def two_hosts(request):
    """The two places where packets take time, and can get lost."""
    with place_of(request) as place:
        yield place


@pytest.fixture(params=LOOPBACKS)
def loopback(request):
    """The two places where nothing takes time."""
    with place_of(request) as place:
        yield place


@pytest.fixture(name="close_in_order")
def _close_in_order():
    return close_in_order


@pytest.fixture
def errno_of():
    """Awaits what must fail with a SocketError, and gives the name of its number."""

    async def errno_of(awaitable):
        with pytest.raises(SocketError) as refused:
            await awaitable
        return errno.errorcode[refused.value.errno]

    return errno_of
