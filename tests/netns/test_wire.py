"""The wire: delay, the NAT boxes on it, and what it drops."""

import asyncio
import errno
import socket
import struct
import subprocess
from random import Random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import LabError, SocketError
from natlab.events import Journal
from natlab.nat import NatBox, NatConfig, answers
from natlab.net.sockets import SystemNetwork
from natlab.netns import Namespace, Wire
from natlab.packet import IPProtocol

pytestmark = pytest.mark.usefixtures("namespaces")
ANY = Endpoint("0.0.0.0", 0)
IP_RECVERR = 11  # linux/in.h


@pytest.fixture
def ends():
    with Namespace("alice") as alice, Namespace("bob") as bob:
        wire = Wire()
        yield wire, alice, bob
        wire.close()


def run(wire, main):
    async def on_the_wire():
        async with wire:
            result = await asyncio.wait_for(main, 10)
            await asyncio.sleep(0.01)  # asyncio takes a moment to close its transports
            return result

    return asyncio.run(on_the_wire())


def test_each_way_has_its_delay(ends):
    wire, alice, bob = ends
    wire.attach(alice, "11.0.0.1", there=0.050, back=0.010)
    wire.attach(bob, "12.0.0.1", there=0.020, back=0.030)
    networks = [SystemNetwork(end.open_socket) for end in (alice, bob)]

    async def main():
        sockets = [await network.bind_udp(Endpoint(network.addresses()[0], 0)) for network in networks]
        took = []
        for sender, receiver in (sockets, sockets[::-1]):
            begin = asyncio.get_running_loop().time()
            sender.send(b"x", receiver.local)
            await receiver.receive()
            took.append(asyncio.get_running_loop().time() - begin)
        for end in sockets:
            end.close()
        return took

    there, back = run(wire, main())
    assert there >= 0.080 and 0.030 <= back < there


def test_what_a_box_drops_is_gone_and_its_reply_comes_back(ends):
    wire, alice, bob = ends
    box = NatBox("home", NatConfig(unsolicited_syn="rst"), "12.0.0.1", Random(1), Journal(kinds=()))
    wire.attach(alice, "11.0.0.1", there=0.0, back=0.0)
    wire.attach(bob, "192.168.1.2", box=box, there=0.0, back=0.0)

    async def main():
        with pytest.raises(SocketError, match="ECONNREFUSED"):
            await SystemNetwork(alice.open_socket).dial_tcp(Endpoint("12.0.0.1", 80))

    run(wire, main())


def test_rfc_5382_req_4_a_reply_that_waits_comes_when_its_time_has_come(ends, monkeypatch):
    monkeypatch.setattr(answers, "PATIENCE", 100_000_000)  # instead of 6 s
    wire, alice, bob = ends
    box = NatBox("home", NatConfig(unsolicited_syn="wait"), "12.0.0.1", Random(1), Journal(kinds=()))
    wire.attach(alice, "11.0.0.1", there=0.0, back=0.0)
    wire.attach(bob, "192.168.1.2", box=box, there=0.0, back=0.0)

    async def main():
        begin = asyncio.get_running_loop().time()
        with pytest.raises(SocketError, match="ECONNREFUSED"):
            await SystemNetwork(alice.open_socket).dial_tcp(Endpoint("12.0.0.1", 80))
        return asyncio.get_running_loop().time() - begin

    assert run(wire, main()) >= 0.1


def test_a_megabyte_passes_through_a_nat_unharmed(ends):
    """Window scaling, timestamps and selective acknowledgements are options, and stay."""
    wire, alice, bob = ends
    box = NatBox("home", NatConfig(port_allocation="random"), "11.0.0.1", Random(1), Journal(kinds=()))
    wire.attach(alice, "192.168.1.2", box=box, there=0.001, back=0.001)
    wire.attach(bob, "12.0.0.1", there=0.001, back=0.001)
    data = Random(1).randbytes(1 << 20)

    async def main():
        listener = await SystemNetwork(bob.open_socket).listen_tcp(ANY)
        dialled = await SystemNetwork(alice.open_socket).dial_tcp(Endpoint("12.0.0.1", listener.local.port))
        accepted = await listener.accept()
        assert accepted.remote.ip == "11.0.0.1" and accepted.remote.port != dialled.local.port

        async def send():
            await dialled.write(data)
            await dialled.close_write()

        sending = asyncio.ensure_future(send())
        received = bytearray()
        while piece := await accepted.read():
            received += piece
        await sending
        dialled.reset()
        accepted.reset()
        listener.close()
        return bytes(received)

    assert run(wire, main()) == data


@pytest.fixture
def two_boxes(ends):
    """Alice and Bob, each behind a box; Bob's lets everybody in at port 9."""
    wire, alice, bob = ends
    homes = [
        NatBox("home", NatConfig(port_allocation="random"), "11.0.0.1", Random(1), Journal(kinds=())),
        NatBox("office", NatConfig(), "12.0.0.1", Random(2), Journal(kinds=())),
    ]
    wire.attach(alice, "192.168.1.2", box=homes[0], there=0.005, back=0.005)
    wire.attach(bob, "192.168.2.2", box=homes[1], there=0.005, back=0.005)
    homes[1].forward(IPProtocol.UDP, Endpoint("12.0.0.1", 9), Endpoint("192.168.2.2", 9), 0)
    return wire, alice, bob


def connected(namespace, to, ttl=64):
    """A connected UDP socket of the kernel, which hears of ICMP errors, and the addresses that they came from."""
    made = namespace.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    made.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    made.connect(to)
    made.setblocking(False)
    return made


async def error_at(made):
    """The errno, the ICMP type and code, and who sent the error (struct sock_extended_err, then a sockaddr_in)."""
    for _ in range(100):
        await asyncio.sleep(0.01)
        try:
            data, ancillary, _, _ = made.recvmsg(100, 512, socket.MSG_ERRQUEUE)
        except BlockingIOError:
            continue
        assert data == b"probe"  # what was quoted belongs to this very socket
        number, _, kind, code = struct.unpack_from("=IBBB", ancillary[0][2])
        return errno.errorcode[number], kind, code, socket.inet_ntoa(ancillary[0][2][20:24])
    return None


def test_rfc_5508_req_4_a_kernel_behind_a_box_understands_an_error_about_its_datagram(two_boxes):
    wire, alice, _ = two_boxes

    async def main():
        with connected(alice, ("12.0.0.1", 9)) as made:
            made.send(b"probe")
            return await error_at(made)

    # bob's kernel says so of its own address; his box makes that its own (REQ-5)
    assert run(wire, main()) == ("ECONNREFUSED", 3, 3, "12.0.0.1")


def test_a_traceroute_through_two_boxes(two_boxes):
    wire, alice, _ = two_boxes

    async def main():
        hops = []
        for ttl in range(1, 5):
            with connected(alice, ("12.0.0.1", 9), ttl) as made:
                made.send(b"probe")
                hops.append(await error_at(made))
        return hops

    assert run(wire, main()) == [
        ("EHOSTUNREACH", 11, 0, "11.0.0.1"),
        ("EHOSTUNREACH", 11, 0, "192.0.0.8"),
        ("EHOSTUNREACH", 11, 0, "12.0.0.1"),
        ("ECONNREFUSED", 3, 3, "12.0.0.1"),
    ]


def test_a_kernel_s_ping_through_a_box_and_at_a_box(ends):
    wire, alice, bob = ends
    box = NatBox("home", NatConfig(port_allocation="random"), "11.0.0.1", Random(1), Journal(kinds=()))
    wire.attach(alice, "192.168.1.2", box=box, there=0.001, back=0.001)
    wire.attach(bob, "12.0.0.1", there=0.001, back=0.001)

    async def ping(where, to):
        """What it got: the identifier and sequence are the kernel's own (RFC 5508 REQ-1)."""
        where.set("net.ipv4.ping_group_range", "0 0")
        made = where.open_socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        with made:
            made.setblocking(False)
            made.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 5]) + b"hello", (to, 0))
            loop = asyncio.get_running_loop()
            data, sender = await asyncio.wait_for(loop.sock_recvfrom(made, 100), 3)
            return data[0], data[6:], sender[0]

    async def main():
        return [await ping(alice, "12.0.0.1"), await ping(bob, "11.0.0.1")]

    assert run(wire, main()) == [(0, b"\0\x05hello", "12.0.0.1"), (0, b"\0\x05hello", "11.0.0.1")]


def test_ipv6_does_not_pass_and_disturbs_nobody(ends):
    wire, alice, _ = ends
    box = NatBox("home", NatConfig(), "11.0.0.1", Random(1), Journal(kinds=()))
    wire.attach(alice, "192.168.1.2", box=box, there=0.0, back=0.0)
    commands = "-6 addr add 2001:db8::2/64 dev natlab nodad", "-6 route add default dev natlab"
    for command in commands:
        subprocess.run(["ip", "netns", "exec", alice.name, "ip", *command.split()], check=True)
    errors = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        sender = await SystemNetwork(alice.open_socket).bind_udp(Endpoint("2001:db8::2", 0))
        sender.send(b"x", Endpoint("2001:db8::1", 9))
        await asyncio.sleep(0.05)
        sender.close()

    run(wire, main())
    assert errors == []


def test_one_address_for_each_end(ends):
    wire, alice, bob = ends
    wire.attach(alice, "11.0.0.1", there=0.0, back=0.0)
    for addresses in (("11.0.0.1",), ("12.0.0.1", "11.0.0.1")):
        with pytest.raises(LabError, match=r"11\.0\.0\.1"):
            wire.attach(bob, addresses[0], also=addresses[1:], there=0.0, back=0.0)


def test_one_computer_with_two_addresses(ends):
    wire, alice, bob = ends
    wire.attach(alice, "11.0.0.1", there=0.0, back=0.0)
    wire.attach(bob, "12.0.0.1", also=("13.0.0.1",), there=0.0, back=0.0)

    async def main():
        client = await SystemNetwork(alice.open_socket).bind_udp(ANY)
        server = await SystemNetwork(bob.open_socket).bind_udp(Endpoint("13.0.0.1", 7000))
        client.send(b"x", server.local)
        _, source = await server.receive()
        server.send(b"y", source)
        answered_from = (await client.receive())[1]
        client.close()
        server.close()
        return answered_from

    assert run(wire, main()) == Endpoint("13.0.0.1", 7000)


def test_lateness_is_what_a_busy_loop_costs(ends):
    wire, alice, bob = ends
    wire.attach(alice, "11.0.0.1", there=0.010, back=0.010)
    wire.attach(bob, "12.0.0.1", there=0.010, back=0.010)

    async def main():
        receiver = await SystemNetwork(bob.open_socket).bind_udp(ANY)
        sender = await SystemNetwork(alice.open_socket).bind_udp(ANY)
        loop = asyncio.get_running_loop()
        for _ in range(10):
            sender.send(b"x", Endpoint("12.0.0.1", receiver.local.port))
            await asyncio.sleep(0.005)
            busy_until = loop.time() + 0.070
            while loop.time() < busy_until:
                pass
            await receiver.receive()
            if wire.lateness > 0.030:
                break
        sender.close()
        receiver.close()

    run(wire, main())
    assert wire.lateness > 0.030


def test_each_address_of_a_box_is_reached(ends):
    wire, alice, bob = ends
    box = NatBox("home", NatConfig(external_addresses=2), "12.0.0.1", Random(1), Journal(kinds=()), ["12.0.0.2"])
    wire.attach(alice, "11.0.0.1", there=0.0, back=0.0)
    wire.attach(bob, "192.168.1.2", box=box, there=0.0, back=0.0)
    box.forward(IPProtocol.UDP, Endpoint("12.0.0.2", 7000), Endpoint("192.168.1.2", 7000), 0)

    async def main():
        sender = await SystemNetwork(alice.open_socket).bind_udp(ANY)
        receiver = await SystemNetwork(bob.open_socket).bind_udp(Endpoint("0.0.0.0", 7000))
        sender.send(b"x", Endpoint("12.0.0.2", 7000))
        data, _ = await receiver.receive()
        sender.close()
        receiver.close()
        return data

    assert run(wire, main()) == b"x"
