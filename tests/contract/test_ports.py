"""Who may use which local port, and the error number of each refusal."""

import asyncio
from contextlib import suppress
from itertools import product

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, SocketError

FLAGS = [*product([False, True], repeat=2)]


def reset_all(*connections):
    for connection in connections:
        connection.reset()


class Crowd:
    """Holds what a test opens, to end it all."""

    def __init__(self):
        self.listeners, self.connections = [], []

    async def listen(self, network, local, **flags):
        self.listeners.append(await network.listen_tcp(local, **flags))
        return self.listeners[-1]

    async def dial(self, network, remote, **flags):
        self.connections.append(await network.dial_tcp(remote, **flags))
        return self.connections[-1]

    async def accept(self, listener):
        self.connections.append(await listener.accept())
        return self.connections[-1]

    def end(self):
        for listener in self.listeners:
            listener.close()
        reset_all(*self.connections)


async def hold(place, crowd, how, reuse_port):
    """Somebody at home holds a port; returns the port."""
    if how == "dial":
        target = await crowd.listen(place.there, place.at())
        return (await crowd.dial(place.here, target.local, local=place.home(), reuse_port=reuse_port)).local.port
    listener = await crowd.listen(place.here, place.home(), reuse_port=reuse_port)
    if how == "accepted":
        await crowd.dial(place.there, listener.local)
        await crowd.accept(listener)
        listener.close()
    return listener.local.port


@pytest.mark.parametrize(("first", "second"), FLAGS)
@pytest.mark.parametrize("newcomer", ["listen", "dial"])
@pytest.mark.parametrize("holder", ["listen", "dial", "accepted"])
def test_a_port_is_shared_only_if_both_say_so(place, errno_of, holder, newcomer, first, second):
    """One exception: what an earlier listener accepted keeps no listener away."""

    async def main():
        crowd = Crowd()
        target = await crowd.listen(place.there, place.at())
        local = place.home(await hold(place, crowd, holder, first))
        if newcomer == "listen":
            attempt = crowd.listen(place.here, local, reuse_port=second)
        else:
            attempt = crowd.dial(place.here, target.local, local=local, reuse_port=second)
        try:
            if (first and second) or (holder, newcomer) == ("accepted", "listen"):
                assert (await attempt).local == local
            else:
                assert await errno_of(attempt) == "EADDRINUSE"
        finally:
            crowd.end()

    place.run(main())


@pytest.mark.parametrize(("first", "second"), FLAGS)
def test_a_udp_port_is_shared_only_if_both_say_so(place, errno_of, first, second):
    async def main():
        one = await place.here.bind_udp(place.home(), reuse_port=first)
        attempt = place.here.bind_udp(one.local, reuse_port=second)
        if first and second:
            (await attempt).close()
        else:
            assert await errno_of(attempt) == "EADDRINUSE"
        one.close()

    place.run(main())


@pytest.mark.parametrize("kind", ["listen_tcp", "bind_udp"])
def test_the_wildcard_overlaps_every_address(place, errno_of, kind):
    async def main():
        bind = getattr(place.here, kind)
        one = await bind(Endpoint("0.0.0.0", 0))
        refused = await errno_of(bind(place.home(one.local.port)))
        one.close()
        other = await bind(place.home())
        refused_too = await errno_of(bind(Endpoint("0.0.0.0", other.local.port)))
        other.close()
        return refused, refused_too

    assert place.run(main()) == ("EADDRINUSE", "EADDRINUSE")


@pytest.mark.parametrize("kind", ["listen_tcp", "bind_udp"])
def test_two_addresses_do_not_overlap(two_hosts, kind):
    async def main():
        bind = getattr(two_hosts.here, kind)
        one = await bind(two_hosts.home())
        (await bind(Endpoint("127.0.0.1", one.local.port))).close()
        one.close()

    two_hosts.run(main())


def test_tcp_and_udp_ports_are_apart(place):
    async def main():
        listener = await place.here.listen_tcp(place.home())
        socket = await place.here.bind_udp(listener.local)
        assert socket.local == listener.local
        listener.close()
        socket.close()

    place.run(main())


def test_a_dial_from_an_ephemeral_port_holds_it(place, errno_of):
    async def main():
        crowd = Crowd()
        target = await crowd.listen(place.there, place.at())
        dialled = await crowd.dial(place.here, target.local)
        refused = await errno_of(place.here.listen_tcp(dialled.local, reuse_port=True))
        crowd.end()
        return refused

    assert place.run(main()) == "EADDRINUSE"


def test_one_port_dials_many(place):
    async def main():
        crowd = Crowd()
        home = await crowd.listen(place.here, Endpoint("0.0.0.0", 0), reuse_port=True)
        for _ in range(3):
            target = await crowd.listen(place.there, place.at())
            dialled = await crowd.dial(place.here, target.local, local=home.local, reuse_port=True)
            assert dialled.local == place.home(home.local.port)
            assert (await crowd.accept(target)).remote == dialled.local
        crowd.end()

    place.run(main())


def test_a_4_tuple_is_taken_until_it_is_reset(place, errno_of):
    async def main():
        target = await place.there.listen_tcp(place.at())
        first = await place.here.dial_tcp(target.local, reuse_port=True, local=Endpoint("0.0.0.0", 0))
        accepted = await target.accept()

        async def again():
            return await place.here.dial_tcp(target.local, local=first.local, reuse_port=True)

        taken = await errno_of(again())
        first.reset()
        with pytest.raises(ClosedError):
            await accepted.read()
        second = await again()
        assert (second.local, second.remote) == (first.local, first.remote)
        reset_all(second, await target.accept())
        target.close()
        return taken

    assert place.run(main()) == "EADDRNOTAVAIL"


def test_a_port_in_time_wait_is_left_to_those_who_share_it(place, errno_of, close_in_order):
    """Who closed first holds the port for a minute; with port reuse even the same 4-tuple can be dialled again."""

    async def main():
        target = await place.there.listen_tcp(place.at())
        first = await place.here.dial_tcp(target.local, local=place.home(), reuse_port=True)
        await close_in_order(first, await target.accept())
        refused = [
            await errno_of(place.here.dial_tcp(target.local, local=first.local)),
            await errno_of(place.here.listen_tcp(first.local)),
        ]
        again = await place.here.dial_tcp(target.local, local=first.local, reuse_port=True)
        reset_all(again, await target.accept())
        target.close()
        return refused

    assert place.run(main()) == ["EADDRINUSE", "EADDRINUSE"]


def test_a_refused_dial_frees_its_port(place, errno_of):
    async def main():
        gone = await place.there.listen_tcp(place.at())
        gone.close()
        port = await place.here.listen_tcp(place.home())
        port.close()
        assert await errno_of(place.here.dial_tcp(gone.local, local=port.local)) == "ECONNREFUSED"
        (await place.here.listen_tcp(port.local)).close()

    place.run(main())


def test_a_cancelled_dial_frees_its_port(two_hosts):
    async def main():
        port = await two_hosts.here.listen_tcp(two_hosts.home())
        port.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await two_hosts.here.dial_tcp(two_hosts.silence, local=port.local)
        (await two_hosts.here.listen_tcp(port.local)).close()

    two_hosts.run(main())


def test_nobody_listens(place, errno_of):
    async def main():
        listener = await place.there.listen_tcp(place.at())
        listener.close()
        return await errno_of(place.here.dial_tcp(listener.local))

    assert place.run(main()) == "ECONNREFUSED"


def test_nobody_answers(two_hosts, errno_of):
    assert two_hosts.run(errno_of(two_hosts.here.dial_tcp(two_hosts.silence))) == "ETIMEDOUT"


def test_no_port_is_number_0(place, errno_of):
    assert place.run(errno_of(place.here.dial_tcp(place.at(0)))) == "ECONNREFUSED"


def test_no_route_to_the_other_ip_version(two_hosts, errno_of):
    assert two_hosts.run(errno_of(two_hosts.here.dial_tcp(Endpoint("2001:db8::1", 80)))) == "ENETUNREACH"


def test_no_way_from_one_ip_version_to_the_other(place, errno_of):
    dial = place.here.dial_tcp(Endpoint("::1", 80), local=Endpoint("127.0.0.1", 0))
    assert place.run(errno_of(dial)) == "ENETUNREACH"


def test_loopback_does_not_lead_out(two_hosts, errno_of):
    async def main():
        return await errno_of(two_hosts.here.dial_tcp(two_hosts.at(80), local=Endpoint("127.0.0.1", 0)))

    assert two_hosts.run(main()) == "EINVAL"


def test_to_dial_the_wildcard_is_to_dial_oneself(place):
    async def main():
        listener = await place.here.listen_tcp(Endpoint("0.0.0.0", 0))
        dialled = await place.here.dial_tcp(listener.local)
        accepted = await listener.accept()
        assert dialled.remote == accepted.local == Endpoint("127.0.0.1", listener.local.port)
        reset_all(dialled, accepted)
        listener.close()

    place.run(main())


def test_a_foreign_address_cannot_be_used(place, errno_of):
    async def main():
        foreign = Endpoint("192.0.2.1", 0)
        network = place.here
        attempts = network.listen_tcp(foreign), network.bind_udp(foreign), network.dial_tcp(place.at(80), local=foreign)
        return [await errno_of(attempt) for attempt in attempts]

    assert place.run(main()) == ["EADDRNOTAVAIL"] * 3


def test_a_4_tuple_in_time_wait_at_the_listener_can_be_dialled_again_at_once(place, close_in_order):
    async def dial(target, local):
        """As soon as the port is free: the ACK of the last FIN may still be under way."""
        for _ in range(100):
            with suppress(SocketError):
                begin = asyncio.get_running_loop().time()
                dialled = await place.here.dial_tcp(target, local=local, reuse_port=True)
                return dialled, asyncio.get_running_loop().time() - begin
            await asyncio.sleep(0.02)
        pytest.fail("the port stays taken")

    async def main():
        target = await place.there.listen_tcp(place.at())
        local, waited = place.home(), []
        for _ in range(6):
            dialled, seconds = await dial(target.local, local)
            waited.append(seconds)
            local = dialled.local
            await close_in_order(await target.accept(), dialled)
        target.close()
        return max(waited)

    assert place.run(main()) < 1.0  # the first repetition of a SYN comes after a second


def test_the_own_address_is_reached_from_loopback_and_the_other_way_round(two_hosts):
    async def main():
        listener = await two_hosts.here.listen_tcp(Endpoint("0.0.0.0", 0))
        port, ips = listener.local.port, (two_hosts.home().ip, "127.0.0.1")
        for source, target in product(ips, ips):
            dialled = await two_hosts.here.dial_tcp(Endpoint(target, port), local=Endpoint(source, 0))
            accepted = await listener.accept()
            assert (accepted.remote, accepted.local) == (dialled.local, Endpoint(target, port))
            assert dialled.local.ip == source
            reset_all(dialled, accepted)
        listener.close()

    two_hosts.run(main())


def test_a_dial_to_its_own_port_meets_itself(place):
    """A simultaneous open with one end."""

    async def main():
        port = await place.here.listen_tcp(place.home())
        port.close()
        dialled = await place.here.dial_tcp(port.local, local=port.local)
        assert dialled.local == dialled.remote == port.local
        await dialled.write(b"echo")
        assert await dialled.read() == b"echo"
        dialled.reset()

    place.run(main())
