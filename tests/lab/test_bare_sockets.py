"""What the sockets of bare hosts say where a network keeps silent."""

from __future__ import annotations

import pytest

from natlab import Lab
from natlab.errors import ClosedError, LabError
from natlab.lab.this_computer import this_computer


def test_a_closed_or_foreign_udp_socket_says_so_instead_of_losing_the_datagram():
    lab, other = Lab(1), Lab(2)
    socket, foreign = lab.run(lab.host("alice").udp(5000)), other.run(other.host("bob").udp(5000))
    with pytest.raises(LabError, match="lives in its lab's time"):
        lab.run(foreign.send("hello", socket))
    socket.close()
    with pytest.raises(ClosedError, match=r"11\.0\.0\.1:5000 is closed"):
        lab.run(socket.send("hello", "11.0.0.1:9"))


def sockets_of(host, run):
    listener = run(host.listen())
    return listener, run(host.dial(listener)), run(host.udp())


def waits(listener, connection, udp):
    return [listener.accept, connection.read, udp.receive, lambda: connection.write("hello")]


def sends(sender, listener, udp):
    """Verbs of another computer, to these."""
    return [lambda: sender.host.dial(listener), lambda: sender.send("hello", udp)]


@pytest.mark.parametrize("real", [True, False])
def test_verbs_of_sockets_from_elsewhere_say_whose_run_they_want(real, recwarn):
    home, here = Lab(1), this_computer()
    listener, connection, udp = sockets_of(here, here.run) if real else sockets_of(home.host("alice"), home.run)
    lab = Lab(2)
    bob = lab.run(lab.host("bob").udp())
    hint = r"is a real socket: .*here\.run" if real else "lives in its lab's time"
    for verb in (*waits(listener, connection, udp), *sends(bob, listener, udp), lambda: udp.send("hello", bob)):
        with pytest.raises(LabError, match=hint):
            lab.run(verb())
    here.close()
    assert not recwarn.list


def test_verbs_of_a_labs_sockets_are_for_that_lab_to_run_not_for_this_computer(recwarn):
    lab, here = Lab(1), this_computer()
    listener, connection, udp = sockets_of(lab.host("alice"), lab.run)
    for verb in (*waits(listener, connection, udp), *sends(here.run(here.udp()), listener, udp)):
        with pytest.raises(LabError, match="lives in its lab's time"):
            here.run(verb(), limit=1)
    here.close()
    assert not recwarn.list


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
