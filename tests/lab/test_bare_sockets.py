"""What the sockets of bare hosts say where a network keeps silent."""

from __future__ import annotations

import pytest

from natlab import Lab
from natlab.errors import ClosedError, LabError


def test_a_closed_or_foreign_udp_socket_says_so_instead_of_losing_the_datagram():
    lab, other = Lab(1), Lab(2)
    socket, foreign = lab.run(lab.host("alice").udp(5000)), other.run(other.host("bob").udp(5000))
    with pytest.raises(LabError, match="a socket of another lab"):
        lab.run(foreign.send("hello", socket))
    socket.close()
    with pytest.raises(ClosedError, match=r"11\.0\.0\.1:5000 is closed"):
        lab.run(socket.send("hello", foreign))


def test_the_longest_datagram_arrives():
    lab = Lab(1)
    alice, bob = lab.run(lab.host("alice").udp(5000)), lab.run(lab.host("bob").udp(5000))
    lab.run(alice.send(bytes(65_507), bob))
    assert len(lab.run(bob.receive()).data) == 65_507


def test_a_connection_closed_here_says_that_it_was_here():
    lab = Lab(1)
    alice, bob = lab.host("alice"), lab.host("bob")
    server = lab.run(bob.listen(80))
    ours, theirs = lab.run(alice.dial(server)), lab.run(server.accept())
    ours.close()
    with pytest.raises(ClosedError, match="closed at this end"):
        lab.run(ours.write("hello"))
    with pytest.raises(ClosedError, match="reset by peer"):
        lab.run(theirs.read())


def test_a_datagram_to_another_version_of_ip_is_told_how_to_bind():
    lab = Lab(1)
    both, other = lab.host("alice", ipv6=True), lab.host("bob", ipv6=True)
    for mine, theirs, how in ((True, False, "without"), (False, True, "with")):
        near, far = lab.run(both.udp(ipv6=mine)), lab.run(other.udp(ipv6=theirs))
        with pytest.raises(ValueError, match=f"bind a socket {how} ipv6=True"):
            lab.run(near.send("hello", far))
