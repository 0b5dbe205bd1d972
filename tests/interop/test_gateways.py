"""Our clients ask miniupnpd for ports, and upnpc and natpmpc ask our gateway, in network namespaces.

    alice 192.168.1.2 ──── 192.168.1.1 router 12.0.0.1 ──── 12.0.0.2 stranger

miniupnpd (Debian package `miniupnpd-nftables`) speaks UPnP, NAT-PMP and PCP, and forwards with Linux's own NAT; whether
a port is open a stranger finds out. upnpc and natpmpc (`miniupnpc`, `natpmpc`) are the clients of the same authors;
tshark reads what we write.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from natlab import netns
from natlab.endpoint import Endpoint
from natlab.errors import RefusedError, SocketError
from natlab.events import Journal
from natlab.nat import NatBox, NatConfig
from natlab.net.sockets import SystemNetwork
from natlab.packet import IPProtocol
from natlab.portmap import Gateway, GatewayConfig, Leases, PortMapper, Service, igd, natpmp, pcp
from natlab.wire.pcp import Mapping

TCP, UDP = IPProtocol.TCP, IPProtocol.UDP
ALICE, INSIDE, OUTSIDE, STRANGER = "192.168.1.2", "192.168.1.1", "12.0.0.1", "12.0.0.2"
NONCE = bytes(range(12))

NFT = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop; ct state established accept; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""


class Ground:
    """Three computers; the one in the middle has both networks."""

    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo
        self.alice, self.router, self.stranger = (
            undo.enter_context(netns.Namespace(name)) for name in ("alice", "router", "stranger")
        )
        for link, far, near_ip, far_ip in (
            ("lan", self.alice, INSIDE, ALICE),
            ("wan", self.stranger, OUTSIDE, STRANGER),
        ):
            ip(f"-n {self.router.name} link add {link} type veth peer name {link} netns {far.name}")
            for namespace, address in ((self.router, near_ip), (far, far_ip)):
                ip(f"-n {namespace.name} addr add {address}/24 dev {link}")
                ip(f"-n {namespace.name} link set {link} up")
        ip(f"-n {self.alice.name} route add default via {INSIDE}")
        ip(f"-n {self.router.name} route add 224.0.0.0/4 dev lan")
        self.router.set("net.ipv4.ip_forward", 1)

    def network(self, namespace: netns.Namespace) -> SystemNetwork:
        return SystemNetwork(namespace.open_socket)

    def start(self, namespace: netns.Namespace, *command: str) -> None:
        inside = ["ip", "netns", "exec", namespace.name, *command]
        process = subprocess.Popen(inside, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._undo.callback(process.wait)
        self._undo.callback(process.kill)  # miniupnpd takes up to half a minute to end by itself

    def miniupnpd(self, directory: Path, **options: str) -> None:
        """Starts miniupnpd; it answers when this returns."""
        inside = ["ip", "netns", "exec", self.router.name]
        subprocess.run([*inside, "nft", "-f", "-"], input=NFT.encode(), check=True)
        config = {
            "ext_ifname": "wan",
            "listening_ip": "lan",
            "enable_natpmp": "yes",
            "enable_upnp": "yes",
            "secure_mode": "yes",
            "uuid": "00000000-0000-4000-8000-000000000001",
            "upnp_table_name": "filter",
            "upnp_nat_table_name": "filter",
            "upnp_forward_chain": "miniupnpd",
            "upnp_nat_chain": "prerouting_miniupnpd",
            "upnp_nat_postrouting_chain": "postrouting_miniupnpd",
        } | options
        rules = ["allow 1024-65535 192.168.1.0/24 1024-65535", "deny 0-65535 0.0.0.0/0 0-65535"]
        file = directory / "miniupnpd.conf"
        file.write_text("\n".join([*(f"{name}={value}" for name, value in config.items()), *rules]) + "\n")
        self.start(self.router, "miniupnpd", "-d", "-f", str(file), "-P", f"{directory}/pid")

    async def gets_in(self, external: Endpoint, port: int) -> bool:
        """Whether the stranger's TCP connection to an external endpoint reaches Alice's listener."""
        listener = await self.network(self.alice).listen_tcp(Endpoint(ALICE, port))
        try:
            async with asyncio.timeout(1.0):
                connection = await self.network(self.stranger).dial_tcp(external)
                accepted = await listener.accept()
        except (TimeoutError, SocketError):
            return False
        finally:
            listener.close()
        connection.reset()
        return accepted.remote.ip == STRANGER


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)


def needs(*programs: str) -> None:
    packages = {"miniupnpd": "miniupnpd-nftables", "nft": "nftables", "upnpc": "miniupnpc"}
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"there is no `{program}` (package {packages.get(program, program)})")


@pytest.fixture
def ground() -> Iterator[Ground]:
    if reason := netns.why_not():
        pytest.skip(reason)
    with ExitStack() as undo:
        yield Ground(undo)


def run(main, seconds=60.0):
    async def timed():
        result = await asyncio.wait_for(main, seconds)
        await asyncio.sleep(0.01)  # asyncio takes a moment to close its transports
        return result

    return asyncio.run(timed())


def test_linux_tells_its_default_gateway(ground: Ground) -> None:
    code = "from natlab.net.sockets import SystemNetwork; print(SystemNetwork().gateway())"
    for namespace, gateway in ((ground.alice, INSIDE), (ground.stranger, "None")):
        inside = ["ip", "netns", "exec", namespace.name, sys.executable, "-c", code]
        assert subprocess.run(inside, capture_output=True, text=True, check=True).stdout.strip() == gateway


# ---- our clients, miniupnpd


@pytest.mark.parametrize("service", list(Service))
def test_miniupnpd_opens_a_port_by_each_protocol(ground: Ground, tmp_path: Path, service: Service) -> None:
    needs("miniupnpd", "nft")
    ground.miniupnpd(tmp_path)

    async def main() -> None:
        mapper = PortMapper(ground.network(ground.alice), ALICE, INSIDE, Random(1), (service,))
        await asyncio.sleep(0.5)  # until it is up
        mapping = await mapper.open(TCP, 4001, lifetime=600)
        assert (mapping.service, mapping.external) == (service, Endpoint(OUTSIDE, 4001)) and mapping.looks_public
        assert await ground.gets_in(mapping.external, 4001)
        await mapping.close()
        assert not await ground.gets_in(mapping.external, 4001)
        mapper.abandon()

    run(main())


async def codes(network: SystemNetwork) -> dict[str, int]:
    """What a gateway answers to the same questions: result codes of PCP and NAT-PMP, faults of UPnP, 0 for success."""
    found: dict[str, int] = {}
    socket = await network.bind_udp(Endpoint(ALICE, 0))

    async def note(name: str, asking) -> None:
        try:
            await asking
            found[name] = 0
        except RefusedError as error:
            found[name] = error.status

    async def pcp_map(
        name: str, mapping: Mapping, lifetime: int = 600, third_party: str | None = None, **options
    ) -> None:
        request = pcp.Request(pcp.Opcode.MAP, lifetime, options.pop("client", ALICE), mapping, third_party, **options)
        await note(name, pcp.ask(socket, INSIDE, request, Random(1), pcp.Timers(0.5, tries=3)))

    any_port = Endpoint("0.0.0.0", 0)
    ours = Mapping(NONCE, TCP, 5000, any_port)
    await pcp_map("PCP: a port", ours)
    await pcp_map("PCP: again", ours)
    await pcp_map("PCP: give back", ours, lifetime=0)
    await pcp_map("PCP: SCTP's port", Mapping(NONCE, 132, 5000, any_port))
    await pcp_map("PCP: all protocols, one port", Mapping(NONCE, 0, 5000, any_port))
    await pcp_map("PCP: I am somebody else", ours, client="192.168.1.9")
    await pcp_map("PCP: for somebody else", ours, third_party="192.168.1.9")
    await pcp_map("PCP: for myself as a third party", ours, third_party=ALICE)
    await pcp_map("PCP: PREFER_FAILURE, no port named", ours, prefer_failure=True)
    await pcp_map("PCP: a port for the next question", Mapping(NONCE, TCP, 5001, Endpoint("0.0.0.0", 5001)))
    taken = Mapping(NONCE, TCP, 5002, Endpoint(OUTSIDE, 5001))
    await pcp_map("PCP: a taken port or none", taken, prefer_failure=True)
    await note("PCP: ANNOUNCE", pcp.announce(socket, INSIDE, Random(1), pcp.Timers(0.5, tries=3)))
    await pcp_map("PCP: another nonce renews", Mapping(bytes(12), TCP, 5001, Endpoint("0.0.0.0", 5001)))

    await note("NAT-PMP: the address", natpmp.external_address(socket, INSIDE))
    await note("NAT-PMP: a port", natpmp.map_port(socket, INSIDE, UDP, 6000, 6000, 600))
    await note("NAT-PMP: give back twice", natpmp.unmap_port(socket, INSIDE, UDP, 6000))
    await note("NAT-PMP: give back twice", natpmp.unmap_port(socket, INSIDE, UDP, 6000))
    await note("NAT-PMP: all of UDP", natpmp.unmap_port(socket, INSIDE, UDP, 0))

    control = await igd.discover(network, ALICE, INSIDE)

    async def upnp(name: str, action: str = "AddPortMapping", **changes: str | int) -> None:
        arguments = igd._arguments(TCP, 7000, Endpoint(ALICE, 7000), 600) | changes
        await note(f"UPnP: {name}", igd.call(network, control, action, **arguments))

    which = {"NewRemoteHost": "", "NewExternalPort": 7000, "NewProtocol": "TCP"}
    await upnp("a port")
    await upnp("again")
    await upnp("for somebody else", NewExternalPort=7001, NewInternalClient="192.168.1.9")
    await upnp("port 0", NewExternalPort=0)
    await upnp("an action that is none", action="OpenSesame")
    await upnp("any port", action="AddAnyPortMapping", NewExternalPort=7002, NewInternalPort=7002)
    for name, action in (("look", "GetSpecificPortMappingEntry"), ("give back", "DeletePortMapping")):
        await note(f"UPnP: {name}", igd.call(network, control, action, **which))
        await note(
            f"UPnP: {name}, nothing there", igd.call(network, control, action, **which | {"NewExternalPort": 7999})
        )
    await note("UPnP: entry 99", igd.call(network, control, "GetGenericPortMappingEntry", NewPortMappingIndex=99))
    await note("UPnP: no argument", igd.call(network, control, "DeletePortMapping"))
    socket.close()
    return found


#: Where the two differ: ours, miniupnpd 2.3.1's, and what the specifications say.
DIFFERENCES = {
    "PCP: SCTP's port": (9, 0),  # it opens no such port: UNSUPP_PROTOCOL
    "PCP: a taken port or none": (11, 0),  # section 13.2: CANNOT_PROVIDE_EXTERNAL
    "PCP: another nonce renews": (2, 0),  # section 11.3: NOT_AUTHORIZED
    "UPnP: for somebody else": (606, 718),  # WANIPConnection:2 section 2.5.16: 606
    "UPnP: give back, nothing there": (714, 0),  # section 2.5.18: 714
}


def our_gateway(ground: Ground, **axes: object) -> tuple[Gateway, Leases]:
    """Ours in place of miniupnpd: its services on the router's sockets, its NAT box without a wire."""
    box = NatBox("router", NatConfig(), OUTSIDE, Random(1), Journal(kinds=()))
    loop = asyncio.get_running_loop()
    config = GatewayConfig(**axes)  # type: ignore[arg-type]
    leases = Leases(box, config, Random(2), Journal(kinds=()), lambda: round(loop.time() * 1e9))
    return Gateway(ground.network(ground.router), INSIDE, leases), leases


def test_the_same_questions_to_miniupnpd_and_to_ours(ground: Ground, tmp_path: Path) -> None:
    needs("miniupnpd", "nft")

    async def ours() -> dict[str, int]:
        gateway, _ = our_gateway(ground)
        async with gateway:
            return await codes(ground.network(ground.alice))

    async def theirs() -> dict[str, int]:
        await asyncio.sleep(0.5)  # until it is up
        return await codes(ground.network(ground.alice))

    here = run(ours())
    ground.miniupnpd(tmp_path)
    there = run(theirs())
    assert {name: (here[name], there[name]) for name in here if here[name] != there[name]} == DIFFERENCES


# ---- others' clients, our gateway


async def ask(ground: Ground, *command: str) -> str:
    """What a program in Alice's namespace says."""
    inside = ["ip", "netns", "exec", ground.alice.name, *command]
    process = await asyncio.create_subprocess_exec(
        *inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    said, _ = await process.communicate()
    return said.decode()


def test_natpmpc_opens_and_closes_a_port_of_ours(ground: Ground) -> None:
    needs("natpmpc")

    async def main() -> None:
        gateway, leases = our_gateway(ground)
        async with gateway:
            said = await ask(ground, "natpmpc", "-g", INSIDE, "-a", "4001", "4001", "tcp", "600")
            assert f"Public IP address : {OUTSIDE}" in said
            assert "Mapped public port 4001 protocol TCP to local port 4001 liftime 600" in said  # its word
            lease = leases.at(TCP, 4001)
            assert lease is not None and lease.internal == Endpoint(ALICE, 4001)
            await ask(ground, "natpmpc", "-g", INSIDE, "-a", "0", "4001", "tcp", "0")
            assert list(leases) == []

    run(main())


@pytest.mark.parametrize("igd_version", [1, 2])
def test_upnpc_finds_our_gateway_and_opens_lists_and_closes_a_port(ground: Ground, igd_version: int) -> None:
    needs("upnpc")

    async def main() -> None:
        gateway, leases = our_gateway(ground, igd=igd_version)
        async with gateway:
            said = await ask(ground, "upnpc", "-m", "lan", "-e", "mine", "-a", ALICE, "4001", "4002", "TCP", "600")
            assert f"Found valid IGD : http://{INSIDE}:49152/control" in said, said
            assert f"ExternalIPAddress = {OUTSIDE}" in said
            assert f"external {OUTSIDE}:4002 TCP is redirected to internal {ALICE}:4001 (duration=600)" in said
            lease = leases.at(TCP, 4002)
            assert lease is not None and (lease.internal, lease.description) == (Endpoint(ALICE, 4001), "mine")
            known = ("upnpc", "-u", f"http://{INSIDE}:49152/description.xml")  # no search: that takes two seconds
            assert f"TCP  4002->{ALICE}:4001" in await ask(ground, *known, "-l")
            if igd_version == 2:
                said = await ask(ground, *known, "-n", ALICE, "4005", "4002", "TCP", "600")
                assert f"is redirected to internal {ALICE}:4005" in said, said
            assert "code 606" in await ask(ground, *known, "-a", "192.168.1.9", "4001", "4003", "TCP", "600")
            await ask(ground, *known, "-d", "4002", "TCP")
            assert leases.at(TCP, 4002) is None

    run(main())


def test_a_reboot_of_ours_is_heard_by_multicast(ground: Ground) -> None:
    async def main() -> None:
        gateway, leases = our_gateway(ground)
        async with gateway:
            mapper = PortMapper(ground.network(ground.alice), ALICE, INSIDE, Random(1))
            mapping = await mapper.open(TCP, 4001)
            await asyncio.sleep(3.0)  # less would be within what clocks may differ
            leases._box.reboot(leases.now_ns)
            gateway.announce()
            async with asyncio.timeout(8.0):
                while mapping.renewals == 0:  # noqa: ASYNC110  # nothing tells
                    await asyncio.sleep(0.1)
            assert leases.at(TCP, 4001) is not None
            await mapper.close()
            await asyncio.sleep(0.1)

    run(main())
