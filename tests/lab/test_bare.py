"""Bare hosts: sockets in a lab, and the same lessons on this computer's loopback with the same verdicts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from natlab import Lab
from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, LabError
from natlab.lab.bare import Refusal, attempt
from natlab.lab.bare_sockets import BareConnection
from natlab.lab.this_computer import this_computer


@pytest.fixture
def lab():
    lab = Lab(seed=7)
    yield lab
    lab.close()


@pytest.fixture(params=["sim, two hosts", "sim, loopback", "system, loopback"])
def place(request):
    """How to run a verb, the computer where it happens, and one that it can dial."""
    if request.param.startswith("system"):
        here = this_computer()
        yield here.run, here, here
        here.close()
        return
    lab = Lab(seed=7)
    alice = lab.host("alice")
    yield lab.run, alice, lab.host("bob") if "two" in request.param else alice
    lab.close()


def connected(run, one, other):
    listener = run(other.listen())
    dialled = run(one.dial(listener))
    return listener, dialled, run(listener.accept())


def name_of(result):
    return result.name if isinstance(result, Refusal) else "ok"


# ---- the verbs, everywhere


def test_a_connection_carries_bytes_both_ways(place):
    run, here, there = place
    _, dialled, accepted = connected(run, here, there)
    assert (dialled.local, dialled.remote) == (accepted.remote, accepted.local)
    run(dialled.write("who am I?"))
    assert run(accepted.read()) == b"who am I?"
    run(accepted.write(str(accepted.remote)))
    assert Endpoint.parse(run(dialled.read()).decode()) == dialled.local


def test_closing_a_connection_ends_it_at_the_other_end(place):
    run, here, there = place
    _, dialled, accepted = connected(run, here, there)
    dialled.close()
    with pytest.raises(ClosedError):
        run(accepted.read())


def test_a_datagram_says_where_it_came_from(place):
    run, here, there = place
    server, client = run(there.udp()), run(here.udp())
    run(client.send("hello", server))
    datagram = run(server.receive())
    assert (datagram.data, datagram.source) == (b"hello", client.local)
    assert repr(datagram) == f"b'hello' from {client.local}"


def test_a_host_shows_its_open_sockets_and_forgets_closed_ones(place):
    run, here, there = place
    listener, dialled, accepted = connected(run, here, there)
    table = there.sockets
    assert list(table.columns) == ["made_by", "local", "remote", "reuse_port"]
    assert str(accepted.remote) in set(table.remote) and "accept" in set(table.made_by)
    assert dialled.row in [tuple(row) for row in here.sockets.itertuples(index=False)]
    for socket in (dialled, accepted, listener):
        socket.close()
        socket.close()
    assert here.sockets.empty and there.sockets.empty


# ---- port reuse, everywhere


@pytest.mark.parametrize("first_has_it", [False, True])
@pytest.mark.parametrize("second_has_it", [False, True])
@pytest.mark.parametrize("first", ["listen", "dial"])
def test_a_port_is_shared_only_by_sockets_that_all_have_the_flag(place, first, first_has_it, second_has_it):
    run, here, there = place
    server = run(there.listen())
    if first == "listen":
        port = run(here.listen(reuse_port=first_has_it)).local.port
        second = attempt(here.dial(server, port, reuse_port=second_has_it))
    else:
        port = run(here.dial(server, reuse_port=first_has_it)).local.port
        second = attempt(here.listen(port, reuse_port=second_has_it))
    assert name_of(run(second)) == ("ok" if first_has_it and second_has_it else "EADDRINUSE")


def test_a_second_dial_between_the_same_endpoints_is_refused(place):
    run, here, there = place
    server, other = run(there.listen()), run(there.listen())
    listener = run(here.listen(reuse_port=True))
    first = run(here.dial(server, listener.local.port, reuse_port=True))
    again = run(attempt(here.dial(server, listener.local.port, reuse_port=True)))
    assert name_of(again) == "EADDRNOTAVAIL"
    assert isinstance(run(here.dial(other, listener.local.port, reuse_port=True)), BareConnection)
    first.close()
    assert isinstance(run(here.dial(server, listener.local.port, reuse_port=True)), BareConnection)


def test_a_dial_to_a_port_where_nobody_listens_is_refused(place):
    run, here, there = place
    closed = run(there.listen())
    closed.close()
    assert name_of(run(attempt(here.dial(closed.local)))) == "ECONNREFUSED"


# ---- in a lab


def test_a_server_sees_the_external_endpoint(lab):
    server, alice = lab.host("server"), lab.host("alice", behind=lab.nat("office"))
    _, dialled, accepted = connected(lab.run, alice, server)
    assert dialled.local.ip.startswith("192.168.")
    assert str(accepted.remote) == lab.mappings.external.item()


def test_a_dial_that_nobody_answers_times_out(lab):
    alice = lab.host("alice")
    silent = f"{lab.nat('home').external_ip}:80"
    refusal = lab.run(attempt(alice.dial(silent, timeout=5.0)))
    assert name_of(refusal) == "ETIMEDOUT" and silent in repr(refusal)
    assert lab.now == 5.0


def test_bare_hosts_are_in_the_pictures_beside_nodes(lab):
    lab.node("relay")
    server, alice = lab.host("server"), lab.host("alice", behind=lab.nat("home"))
    connected(lab.run, alice, server)
    assert "alice 192.168.1.2 (host)" in lab.draw().text
    assert [place.kind for place in lab.places] == ["node", "host", "NAT", "host"]
    ladder = lab.ladder("alice", "server")
    assert "alice" in ladder.text and "server" in ladder.text and "SYN ACK" in ladder.text
    assert lab.ladder().text.split("\n")[0].split()[2:] == ["alice", "home", "relay", "server"]
    assert list(lab.hosts) == ["server", "alice"]
    assert repr(lab).endswith(": relay, server, alice>")


def test_what_a_host_refuses(lab):
    alice = lab.host("alice")
    with pytest.raises(LabError, match="alice"):
        lab.host("alice")
    with pytest.raises(ValueError, match="IP:PORT"):
        lab.run(alice.dial("bob"))
    with pytest.raises(ValueError, match="Name a listener"):
        lab.run(alice.dial(alice))
    with pytest.raises(ValueError, match="port"):
        lab.run(alice.listen(70000))


def test_reprs_tell_who_where_and_with_whom(lab):
    server, alice = lab.host("server"), lab.host("alice")
    listener = lab.run(server.listen(80, reuse_port=True))
    dialled = lab.run(alice.dial(listener, from_port=5000))
    assert repr(alice) == "<host alice at 12.0.0.1, open sockets: 1>"
    assert repr(listener) == "<server listens at TCP 11.0.0.1:80, SO_REUSEPORT>"
    assert repr(dialled) == "<alice TCP 12.0.0.1:5000 -> 11.0.0.1:80>"
    assert repr(lab.run(listener.accept())) == "<server TCP 11.0.0.1:80 <- 12.0.0.1:5000, SO_REUSEPORT>"
    assert repr(lab.run(alice.udp(53))) == "<alice UDP 12.0.0.1:53>"
    assert repr(lab.run(attempt(server.listen(80)))).startswith("Address already in use (EADDRINUSE)")


# ---- on this computer


def test_this_computer_talks_to_nobody_else():
    here = this_computer()
    socket = here.run(here.udp())
    with pytest.raises(LabError, match="only to itself"):
        here.run(here.dial("192.0.2.1:80"))
    with pytest.raises(LabError, match="only to itself"):
        here.run(socket.send("x", "192.0.2.1:80"))
    assert socket.local.ip == "127.0.0.1"
    here.close()


def test_real_waiting_has_a_limit():
    here = this_computer()
    listener = here.run(here.listen())
    with pytest.raises(LabError, match=r"0.05 s have passed"):
        here.run(listener.accept(), limit=0.05)
    here.close()


def test_real_time_does_not_pass_inside_a_simulation(lab):
    async def inside():
        here = this_computer()
        verb = here.listen()
        try:
            here.run(verb)
        finally:
            verb.close()

    with pytest.raises(LabError, match="inside a simulation"):
        lab.run(inside())


IN_A_NOTEBOOK = """
import asyncio
from natlab import Lab
from natlab.lab.this_computer import this_computer

async def cell():
    here, lab = this_computer(), Lab(1)
    server = here.run(here.listen())
    dialled, accepted = here.run(here.dial(server)), here.run(server.accept())
    lab.run(lab.node("bob").dial(lab.node("relay")))
    here.run(accepted.write("still here"))
    print(here.run(dialled.read()).decode())
    here.close()

asyncio.run(cell())
"""


def test_inside_a_running_loop_as_in_a_notebook():
    """In a process of its own: re-entering a loop changes asyncio for good."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", IN_A_NOTEBOOK], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("still here\n", "")


# ---- IPv6


def test_a_host_with_both_versions_takes_the_one_of_whom_it_talks_to(lab):
    alice, bob = lab.host("alice", ipv6=True), lab.host("bob", ipv6=True)
    for ipv6, ip in ((False, bob.ip), (True, bob.ip6)):
        listener = lab.run(bob.listen(80, ipv6=ipv6))
        connection = lab.run(alice.dial(listener))
        assert connection.remote == Endpoint(ip, 80) and connection.local.version == (6 if ipv6 else 4)
        there, here = lab.run(bob.udp(9, ipv6=ipv6)), lab.run(alice.udp(ipv6=ipv6))
        lab.run(here.send("hi", there))
        assert lab.run(there.receive()).source == here.local


def test_a_host_with_ipv6_only_needs_no_word_for_it(lab):
    alice, bob = (lab.host(name, ipv4=False, ipv6=True) for name in ("alice", "bob"))
    assert lab.run(alice.dial(lab.run(bob.listen(80)))).remote == Endpoint(bob.ip6, 80)


def test_the_other_version_is_out_of_reach(lab):
    alice, bob = lab.host("alice"), lab.host("bob", ipv4=False, ipv6=True)
    assert name_of(lab.run(attempt(alice.dial(lab.run(bob.listen(80)))))) == "ENETUNREACH"
    with pytest.raises(ValueError, match=r"bind a socket with ipv6=True"):
        lab.run(lab.run(alice.udp()).send("hi", f"[{bob.ip}]:9"))
    with pytest.raises(LabError, match=r"lab.host\('alice', ipv6=True\)"):
        lab.run(alice.udp(ipv6=True))


def test_stun_over_ipv6_sees_the_hosts_own_address(lab):
    first, second = (lab.host(name, ipv4=False, ipv6=True) for name in ("stun", "stun 2"))
    alice = lab.host("alice", lab.nat("home", ipv6=True), ipv6=True)
    found = lab.run(alice.classify(lab.run(first.serve_stun(second))))
    assert not found.natted and found.filtering == "address-and-port-dependent"


def test_who_has_ipv6_alone_is_told_what_takes_ipv4(tmp_path):
    lab = Lab(1)
    home = lab.nat("home", ipv6=True)
    alone, both, old = lab.host("alone", home, ipv4=False, ipv6=True), lab.host("both", ipv6=True), lab.host("old")
    for verb, hint in (
        (lambda: lab.run(alone.classify(lab.run(old.serve_stun(both)))), "ask a server with an IPv6 address"),
        (lambda: lab.forward(home, 80, alone), "with ipv6=True"),
        (lambda: lab.run(lab.host("six", ipv4=False, ipv6=True).serve_stun(old)), "of two IP versions"),
    ):
        with pytest.raises((LabError, ValueError), match=hint):
            verb()
    server = lab.run(lab.hosts["six"].serve_stun(both))
    assert str(lab.run(alone.classify(server)).mapping) == "endpoint-independent"
    assert lab.pcap(tmp_path / "lab.pcapng", "alone") > 0
