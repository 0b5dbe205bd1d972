"""Namespaces come, are entered, and always go again."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from natlab import netns
from natlab.errors import LabError
from natlab.net.sockets import SystemNetwork
from natlab.netns import Namespace, namespace

pytestmark = pytest.mark.usefixtures("namespaces")


def there():
    return {path.name for path in namespace.NAMES.glob("natlab-*")}


@pytest.fixture
def alice():
    with Namespace("alice") as made:
        yield made


def test_it_is_there_while_entered_and_then_gone():
    with Namespace("alice") as alice:
        assert alice.name == f"natlab-{os.getpid()}-alice"
        assert alice.name in there()
    assert alice.name not in there()


def test_it_goes_also_after_an_error():
    with pytest.raises(KeyboardInterrupt), Namespace("alice") as alice:
        raise KeyboardInterrupt
    assert alice.name not in there()


def test_one_of_a_name_at_a_time(alice):
    with pytest.raises(LabError, match="exists"):
        Namespace("alice").__enter__()
    assert alice.name in there()


def test_this_thread_comes_back():
    def home():
        return Path("/proc/thread-self/ns/net").readlink()

    before = home()
    with Namespace("alice") as alice:
        with alice.entered():
            assert home() != before
        assert home() == before
        with pytest.raises(ValueError), alice.entered():
            raise ValueError
        assert home() == before


def test_a_socket_stays_in_the_namespace_it_was_made_in(alice):
    alice_port, own_port = alice.open_socket(socket.AF_INET, socket.SOCK_STREAM), socket.socket()
    with alice_port, own_port:
        alice_port.bind(("127.0.0.1", 0))
        own_port.bind(alice_port.getsockname())  # the same port, and no conflict


def test_other_programs_go_there_by_name(alice):
    told = subprocess.run(["ip", "netns", "exec", alice.name, "ip", "-br", "addr"], capture_output=True, text=True)
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["lo"]


def test_plugged_in_it_has_an_address_and_a_way_out(alice):
    network = SystemNetwork(alice.open_socket)
    assert network.addresses() == ["127.0.0.1"]
    tun = alice.plug_in("192.168.1.2")
    assert network.addresses() == ["192.168.1.2", "127.0.0.1"]
    with alice.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("12.0.0.1", 9))
    packets = [os.read(tun, 65535)]
    while packets[-1][0] >> 4 != 4:  # IPv6 looks for routers
        packets.append(os.read(tun, 65535))
    assert packets[-1].endswith(b"hello")
    os.close(tun)


def test_numbers_of_the_kernel_are_set_there_only(alice):
    def retries():
        return int(Path("/proc/sys/net/ipv4/tcp_syn_retries").read_text())

    before = retries()
    alice.set("net.ipv4.tcp_syn_retries", before + 1)
    assert retries() == before
    with alice.entered():
        assert retries() == before + 1


def test_a_new_one_removes_those_of_a_killed_process():
    program = """
        import sys, time
        from natlab.netns import Namespace
        with Namespace("orphan") as made:
            print(made.name, flush=True)
            time.sleep(60)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    with child:
        name = child.stdout.readline().strip()
        assert name in there()
        child.send_signal(signal.SIGKILL)
    with Namespace("alice"):
        assert name not in there()


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("sys.platform", "Linux"),
        ("os.geteuid", "root"),
        ("TUN", "no /nowhere"),
        ("shutil.which", "iproute2"),
        ("NAMES", "no namespaces here"),
    ],
)
def test_what_is_missing_is_said(monkeypatch, tmp_path, missing, reason):
    without = {
        "sys.platform": "darwin",
        "os.geteuid": lambda: 1000,
        "TUN": Path("/nowhere"),
        "shutil.which": lambda _: None,
        "NAMES": tmp_path,
    }
    monkeypatch.setattr(f"natlab.netns.namespace.{missing}", without[missing])
    assert reason in netns.why_not()
