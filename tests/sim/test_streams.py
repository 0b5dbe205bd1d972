"""TCP sockets on simulated hosts: who gets a segment, what a dial holds, what frees it."""

import asyncio
import errno

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError, LabError, SocketError
from natlab.events import Verdict
from natlab.nat import NatConfig
from natlab.sim.streams import BACKLOG
from natlab.sim.tcp_state import State

PORT = Endpoint("0.0.0.0", 4001)


@pytest.fixture
def alice(world):
    return world.host("alice")


@pytest.fixture
def bob(world):
    return world.host("bob")


async def connected(alice, bob):
    """A connection from alice, and the same one as bob accepted it."""
    listener = await bob.listen_tcp(Endpoint("0.0.0.0", 0))
    dialled = await alice.dial_tcp(Endpoint(bob.ip, listener.local.port))
    accepted = await listener.accept()
    listener.close()
    return dialled, accepted


async def errno_of(awaitable):
    with pytest.raises(SocketError) as refused:
        await awaitable
    return errno.errorcode[refused.value.errno]


class TestBytes:
    @pytest.mark.parametrize("loss", [0.0, 0.05])
    def test_a_megabyte_each_way_arrives_whole(self, world, loss):
        alice, bob = world.host("alice", loss=loss), world.host("bob")
        there, back = bytes(range(256)) * 4096, bytes(range(255, -1, -1)) * 4096

        async def talk(stream, data):
            writing = asyncio.ensure_future(stream.write(data))
            writing.add_done_callback(lambda _: asyncio.ensure_future(stream.close_write()))
            received = b""
            while chunk := await stream.read():
                received += chunk
            return received

        async def main():
            dialled, accepted = await connected(alice, bob)
            return await asyncio.gather(talk(dialled, there), talk(accepted, back))

        assert world.run(main()) == [back, there]
        assert bool(world.packets("alice", Verdict.LOST)) == bool(loss)

    def test_write_waits_for_a_slow_reader(self, world, alice, bob):
        async def main():
            dialled, accepted = await connected(alice, bob)
            writing = asyncio.ensure_future(dialled.write(b"x" * 1_000_000))
            await asyncio.sleep(10)
            assert not writing.done()
            received = 0
            while received < 1_000_000:
                received += len(await accepted.read(1000))
            await writing

        world.run(main())

    def test_on_loopback_segments_leave_in_order_and_once(self, world, alice):
        async def main():
            dialled, accepted = await connected(alice, alice)
            writing = asyncio.ensure_future(dialled.write(bytes(100_000)))
            received = 0
            while received < 100_000:
                received += len(await accepted.read())
            await writing

        world.run(main())
        sent = [event.packet.seq for event in world.packets(verdict=Verdict.SENT) if event.packet.payload]
        first = sent[0]
        assert sent == [first + 1460 * number for number in range(69)]

    def test_half_close(self, world, alice, bob):
        async def main():
            dialled, accepted = await connected(alice, bob)
            await dialled.write(b"last words")
            await dialled.close_write()
            await dialled.close_write()
            heard = [await accepted.read(), await accepted.read(), await accepted.read()]
            await accepted.write(b"answer")
            with pytest.raises(ClosedError):
                await dialled.write(b"more")
            return heard, await dialled.read()

        assert world.run(main()) == ([b"last words", b"", b""], b"answer")

    def test_reset_reaches_readers_and_writers_on_both_ends(self, world, alice, bob):
        async def main():
            dialled, accepted = await connected(alice, bob)
            waiting = [asyncio.ensure_future(end.read()) for end in (dialled, accepted)]
            writing = asyncio.ensure_future(accepted.write(b"x" * 1_000_000))
            await asyncio.sleep(0)
            dialled.reset()
            dialled.reset()
            return await asyncio.gather(*waiting, writing, return_exceptions=True)

        results = world.run(main())
        assert [type(result) for result in results] == [ClosedError] * 3

    @pytest.mark.parametrize(("silently", "why"), [(True, "timed out"), (False, "No route to host")])
    def test_a_peer_that_vanishes_is_given_up_and_an_icmp_error_is_the_reason(self, world, alice, bob, silently, why):
        async def main():
            dialled, _ = await connected(alice, bob)
            if silently:
                world.internet.partition("bob")
            else:
                world.internet._core[4].detach(bob.ip)
            await dialled.write(b"anybody?")
            await asyncio.sleep(60)
            assert dialled.tcb.state is State.ESTABLISHED
            with pytest.raises(ClosedError, match=why):
                await dialled.read()

        world.run(main(), limit=4000)


class TestDial:
    def test_a_closed_port_refuses_after_a_round_trip(self, world, alice, bob):
        assert world.run(errno_of(alice.dial_tcp(Endpoint(bob.ip, 80)))) == "ECONNREFUSED"
        assert world.loop.time() == pytest.approx(0.040)
        assert world.packets("bob", Verdict.DROPPED)[0].reason.endswith("answered with RST")

    def test_nobody_there_times_out_as_linux_does(self, world, alice):
        silent = world.nat("silent", NatConfig())
        assert world.run(errno_of(alice.dial_tcp(Endpoint(silent.external_ip, 80)))) == "ETIMEDOUT"
        assert world.loop.time() == pytest.approx(131)

    def test_an_address_that_nobody_has_is_unreachable_at_once(self, world, alice):
        assert world.run(errno_of(alice.dial_tcp(Endpoint("99.0.0.1", 80)))) == "EHOSTUNREACH"
        assert world.loop.time() == pytest.approx(0.020)

    def test_one_port_both_listens_and_dials_if_both_say_so(self, world, alice, bob):
        async def main():
            await alice.listen_tcp(PORT, reuse_port=True)
            await bob.listen_tcp(PORT)
            taken = await errno_of(alice.dial_tcp(Endpoint(bob.ip, 4001), local=PORT))
            connection = await alice.dial_tcp(Endpoint(bob.ip, 4001), local=PORT, reuse_port=True)
            return taken, connection.local

        assert world.run(main()) == ("EADDRINUSE", Endpoint(alice.ip, 4001))

    def test_one_port_dials_many_but_each_only_once(self, world, alice, bob):
        async def main():
            for port in (1, 2):
                await bob.listen_tcp(Endpoint("0.0.0.0", port))
            one = await alice.dial_tcp(Endpoint(bob.ip, 1), local=PORT, reuse_port=True)
            await alice.dial_tcp(Endpoint(bob.ip, 2), local=PORT, reuse_port=True)
            taken = await errno_of(alice.dial_tcp(Endpoint(bob.ip, 1), local=PORT, reuse_port=True))
            one.reset()
            again = await alice.dial_tcp(Endpoint(bob.ip, 1), local=PORT, reuse_port=True)
            return taken, again.local

        assert world.run(main()) == ("EADDRNOTAVAIL", Endpoint(alice.ip, 4001))

    def test_a_dial_that_failed_or_was_cancelled_frees_its_port(self, world, alice, bob):
        silent = world.nat("silent", NatConfig())

        async def main():
            await errno_of(alice.dial_tcp(Endpoint(bob.ip, 80), local=PORT))
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(5):
                        await alice.dial_tcp(Endpoint(silent.external_ip, 80), local=PORT)
            (await alice.listen_tcp(PORT)).close()

        world.run(main())
        assert world.loop.time() == pytest.approx(10.04)

    def test_whoever_closes_first_holds_the_port_in_time_wait(self, world, alice, bob):
        async def main():
            listener = await bob.listen_tcp(PORT)

            async def once():
                dialled = await alice.dial_tcp(Endpoint(bob.ip, 4001), local=PORT)
                accepted = await listener.accept()
                await dialled.close_write()
                assert await accepted.read() == b""
                await accepted.close_write()
                assert await dialled.read() == b""

            await once()
            refused = await errno_of(alice.dial_tcp(Endpoint(bob.ip, 4001), local=PORT))
            await asyncio.sleep(61)
            await once()
            return refused

        assert world.run(main()) == "EADDRINUSE"

    def test_a_listener_takes_a_new_connection_over_one_in_time_wait(self, world, alice, bob):
        async def main():
            listener = await bob.listen_tcp(PORT)
            dialled = await alice.dial_tcp(Endpoint(bob.ip, 4001), local=PORT)
            accepted = await listener.accept()
            await accepted.close_write()  # TIME-WAIT is bob's
            assert await dialled.read() == b""
            await dialled.close_write()
            assert await accepted.read() == b""
            await asyncio.sleep(1)
            again = await alice.dial_tcp(Endpoint(bob.ip, 4001), local=PORT)
            assert again.remote == (await listener.accept()).local
            return world.loop.time()

        assert world.run(main()) < 60


class TestListener:
    def test_the_wildcard_listens_on_every_interface(self, world, alice):
        async def main():
            listener = await alice.listen_tcp(PORT)
            await alice.dial_tcp(Endpoint("127.0.0.1", 4001))
            await alice.dial_tcp(Endpoint(alice.ip, 4001))
            return [(await listener.accept()).local.ip for _ in range(2)]

        assert world.run(main()) == ["127.0.0.1", alice.ip]
        assert world.loop.now_ns == 0

    def test_listeners_that_share_a_port_split_the_dialers(self, world, alice, bob):
        async def main():
            listeners = [await bob.listen_tcp(PORT, reuse_port=True) for _ in range(2)]
            await asyncio.gather(*(alice.dial_tcp(Endpoint(bob.ip, 4001)) for _ in range(40)))
            await asyncio.sleep(1)
            return [len(listener._queue) for listener in listeners]

        counts = world.run(main())
        assert sum(counts) == 40 and min(counts) > 5

    def test_the_backlog_is_bounded_and_goes_on_when_somebody_accepts(self, world, alice, bob):
        async def main():
            listener = await bob.listen_tcp(PORT)
            dials = [asyncio.ensure_future(alice.dial_tcp(Endpoint(bob.ip, 4001))) for _ in range(BACKLOG + 1)]
            await asyncio.sleep(0.5)
            assert sum(dial.done() for dial in dials) == BACKLOG
            await listener.accept()
            await asyncio.gather(*dials)

        world.run(main())
        assert world.packets("bob", Verdict.DROPPED)[0].reason == "the listener's queue is full"
        assert world.loop.time() == pytest.approx(1.04)

    def test_close_frees_the_port_resets_the_unaccepted_and_spares_the_accepted(self, world, alice, bob):
        async def main():
            listener = await bob.listen_tcp(PORT)
            first = await alice.dial_tcp(Endpoint(bob.ip, 4001))
            accepted = await listener.accept()
            second = await alice.dial_tcp(Endpoint(bob.ip, 4001))
            await asyncio.sleep(1)
            listener.close()
            listener.close()
            with pytest.raises(ClosedError):
                await second.read()
            with pytest.raises(ClosedError):
                await listener.accept()
            await accepted.write(b"still here")
            await bob.listen_tcp(PORT)
            return await first.read()

        assert world.run(main()) == b"still here"

    def test_close_wakes_who_waits_in_accept(self, world, bob):
        async def main():
            listener = await bob.listen_tcp(PORT)
            waiting = asyncio.ensure_future(listener.accept())
            await asyncio.sleep(1)
            listener.close()
            with pytest.raises(ClosedError):
                await waiting

        world.run(main())

    def test_a_handshake_that_is_abandoned_leaves_nothing_behind(self, world, alice, bob):
        async def main():
            listener = await bob.listen_tcp(PORT)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.030):  # the SYN arrives, its answer does not in time
                    await alice.dial_tcp(Endpoint(bob.ip, 4001))
            await asyncio.sleep(1)
            return len(listener._half_open), len(listener._queue)

        assert world.run(main()) == (0, 0)


def test_everything_is_freed_after_use(world, alice, bob):
    async def main():
        dialled, accepted = await connected(alice, bob)
        dialled.reset()
        await asyncio.sleep(1)
        assert (dialled.tcb.state, accepted.tcb.state) == ("CLOSED", "CLOSED")

    world.run(main())
    for host in (alice, bob):
        assert not host._tcp._connections and not host._tcp._listeners and not host._tcp._ports._bindings


def test_awaited_outside_the_simulation(world, alice, bob):
    connection, _ = world.run(connected(alice, bob))
    listener = world.run(bob.listen_tcp(PORT))
    verbs = [
        lambda: alice.dial_tcp(Endpoint(bob.ip, 4001)),
        lambda: alice.listen_tcp(PORT),
        listener.accept,
        connection.read,
        connection.close_write,
        lambda: connection.write(b"x"),
    ]
    for verb in verbs:
        with pytest.raises(LabError, match=r"lab\.run"):
            asyncio.run(verb())
