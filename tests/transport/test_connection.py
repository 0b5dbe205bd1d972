import asyncio
import random

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import ClosedError
from natlab.events import Journal
from natlab.sim import Internet, SimLoop
from natlab.transport import connection as connections
from natlab.upgrade import yamux


async def read_all(stream):
    data = b""
    while chunk := await stream.read():
        data += chunk
    return data


async def ended(*ends):
    """Closes all; afterwards nothing of them runs."""
    for end in ends:
        await end.close()
    assert len(asyncio.all_tasks()) == 1


def test_streams_both_ways_and_half_closes(run, connect):
    async def main(one, other):
        here, there = await connect(one, other)
        mine, yours = here.open_stream(), there.open_stream()
        assert (mine.id, yours.id) == (1, 2)
        for stream in (mine, yours):
            await stream.write(b"question %d" % stream.id)
            await stream.close_write()
        for asked, end in ((mine, there), (yours, here)):
            stream = await end.log.opened.get()
            assert await read_all(stream) == b"question %d" % asked.id
            await stream.write(b"answer")
            await stream.close_write()
            assert await read_all(asked) == b"answer"
        assert here.streams == there.streams == 0
        await ended(here, there)

    run(main)


def test_what_several_tasks_write_at_one_instant_leaves_in_one_go(run, connect):
    async def main(one, other):
        here, there = await connect(one, other)
        await asyncio.sleep(1)
        gone, plain = [], one.write_now
        one.write_now = lambda data: gone.append(len(data)) or plain(data)

        async def speaks(turns):
            for _ in range(turns):
                await asyncio.sleep(0)
            await here.open_stream().write(b"word")

        await asyncio.gather(*map(speaks, range(4)))
        await asyncio.sleep(1)
        assert len(gone) == 1
        await ended(here, there)

    run(main)


def test_more_than_a_window_waits_for_the_reader(run, connect):
    data = bytes(range(256)) * 4 * 1024  # four initial windows

    async def main(one, other):
        here, there = await connect(one, other)
        stream = here.open_stream()
        writing = asyncio.ensure_future(stream.write(data))
        await asyncio.sleep(5)
        assert not writing.done()
        remote = await there.log.opened.get()
        received = b""
        while len(received) < len(data):
            received += await remote.read()
        await writing
        assert received == data
        await ended(here, there)

    run(main)


def test_two_full_pipes_do_not_wait_for_each_other(run, connect):
    data = bytes(1 << 20)

    async def main(one, other):
        here, there = await connect(one, other)
        mine, yours = here.open_stream(), there.open_stream()

        async def send(stream):
            await stream.write(data)
            await stream.close_write()

        sending = [asyncio.ensure_future(send(stream)) for stream in (mine, yours)]
        theirs, ours = await there.log.opened.get(), await here.log.opened.get()
        assert await asyncio.gather(read_all(theirs), read_all(ours)) == [data, data]
        await asyncio.gather(*sending)
        await ended(here, there)

    run(main)


def test_many_streams_share_a_full_pipe(run, connect):
    data = bytes(300_000)

    async def main(one, other):
        here, there = await connect(one, other)

        async def send():
            stream = here.open_stream()
            await stream.write(data)
            await stream.close_write()

        async def receive():
            return await read_all(await there.log.opened.get())

        _, received = await asyncio.gather(
            asyncio.gather(*(send() for _ in range(8))), asyncio.gather(*(receive() for _ in range(8)))
        )
        assert received == [data] * 8
        await ended(here, there)

    run(main)


def test_both_ends_on_one_computer(connect):
    """Every byte arrives, and is answered, within the call that sent it."""
    data = bytes(1 << 20)
    loop = SimLoop()
    computer = Internet(loop, Journal(kinds=()), random.Random).host("computer")

    async def main():
        listener = await computer.listen_tcp(Endpoint("127.0.0.1", 4001))
        dialled = await computer.dial_tcp(listener.local)
        here, there = await connect(dialled, await listener.accept())
        listener.close()

        async def send(stream):
            await stream.write(data)
            await stream.close_write()

        mine, yours = here.open_stream(), there.open_stream()
        sending = [asyncio.ensure_future(send(stream)) for stream in (mine, yours)]
        theirs, ours = await there.log.opened.get(), await here.log.opened.get()
        assert await asyncio.gather(read_all(theirs), read_all(ours)) == [data, data]
        await asyncio.gather(*sending)
        assert await here.ping() == 0.0
        await ended(here, there)

    loop.run(main())
    loop.close()


def test_an_idle_connection_has_no_task(run, connect):
    async def main(one, other):
        here, there = await connect(one, other, keepalive=30.0)
        await here.ping()
        for _ in range(3):
            await asyncio.sleep(29)
            assert len(asyncio.all_tasks()) == 1
        await ended(here, there)

    run(main)


def test_a_peer_that_takes_no_bytes_is_given_up(run, connect):
    async def main(one, other):
        here, there = await connect(one, other)
        await asyncio.sleep(1)  # for the first keepalive's answer
        here._secure.watch(None)  # from now on nobody reads here
        stream = there.open_stream()
        with pytest.raises(ClosedError, match="takes no bytes for 10 s"):
            while True:
                await stream.write(bytes(1 << 16))
        assert there.log.closed
        await ended(here, there)

    run(main)


def test_a_reset_stream_ends_for_both_and_the_connection_goes_on(run, connect):
    async def main(one, other):
        here, there = await connect(one, other)
        stream = here.open_stream()
        await stream.write(b"hello")
        remote = await there.log.opened.get()
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(1)
        remote.reset()
        remote.reset()
        with pytest.raises(ClosedError, match="by the peer"):
            await reading
        with pytest.raises(ClosedError, match="by us"):
            await remote.read()
        with pytest.raises(ClosedError):
            await stream.write(b"more")
        assert await here.ping() == pytest.approx(0.04, abs=0.001)
        await ended(here, there)

    run(main)


def test_nothing_is_written_after_close_write(run, connect):
    async def main(one, other):
        here, there = await connect(one, other)
        stream = here.open_stream()
        await stream.close_write()
        await stream.close_write()
        with pytest.raises(ClosedError):
            await stream.write(b"late")
        await ended(here, there)

    run(main)


def test_a_cancelled_write_leaves_the_connection_whole(run, connect):
    """Half an encrypted message would be the last the peer understands."""

    async def main(one, other):
        here, there = await connect(one, other)
        stuck = here.open_stream()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await stuck.write(bytes(1 << 20))
        stream = here.open_stream()
        await stream.write(b"still here")
        await there.log.opened.get()
        assert await (await there.log.opened.get()).read() == b"still here"
        await ended(here, there)

    run(main)


def test_bytes_given_back_are_read_first(run, connect):
    async def main(one, other):
        here, there = await connect(one, other)
        stream = here.open_stream()
        await stream.write(b"world")
        remote = await there.log.opened.get()
        remote.unread(b"hello ")
        assert (await remote.read(3), await remote.read(), await remote.read()) == (b"hel", b"lo ", b"world")
        await ended(here, there)

    run(main)


def test_close_tells_the_peer_and_ends_everything_that_waits(run, connect):
    async def main(one, other):
        here, there = await connect(one, other)
        stream = here.open_stream()
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(1)
        await here.close()
        await here.close()
        with pytest.raises(ClosedError):
            await reading
        with pytest.raises(ClosedError):
            here.open_stream()
        with pytest.raises(ClosedError):
            await here.ping()
        await asyncio.sleep(1)
        assert len(here.log.closed) == len(there.log.closed) == 1
        await ended(there)

    run(main)


@pytest.mark.parametrize("keepalive", [30.0, None])
def test_a_dead_path_is_noticed_by_keepalive_only(run, connect, keepalive):
    async def main(one, other):
        here, there = await connect(one, other, keepalive=keepalive)
        await asyncio.sleep(1)
        assert here.log.round_trips == [pytest.approx(0.040)], "measured at once, keepalive or not"
        there._secure.watch(None)  # the peer's process stops; its computer goes on to acknowledge
        await asyncio.sleep(30 + connections.WRITE_TIMEOUT + 1)
        assert bool(here.log.closed) is (keepalive is not None)
        await ended(here, there)

    run(main)


def test_keepalives_keep_a_live_connection(run, connect):
    async def main(one, other):
        here, there = await connect(one, other, keepalive=5.0)
        await asyncio.sleep(300)
        assert not here.log.closed and not there.log.closed
        await ended(here, there)

    run(main)


@pytest.mark.parametrize("garbage", [b"\x07" * 12, b"\0\0\0\1\0\0\0\2\0\0\0\0", b"\0\0\0\0\0\0\0\0\0\0\0\x05hello"])
def test_a_broken_rule_ends_the_connection_with_a_go_away(run, connect, garbage):
    async def main(one, other):
        here, there = await connect(one, other)
        seen = []
        receive = here._session.receive
        here._session.receive = lambda data: seen.extend(receive(data)) or []
        await here._secure.write(garbage)
        await asyncio.sleep(1)
        assert there.log.closed and here.log.closed
        assert yamux.GoneAway(yamux.GoAwayCode.PROTOCOL_ERROR) in seen
        await ended(here, there)

    run(main)


def test_a_flood_of_pings_does_not_pile_up_answers(run, connect, monkeypatch):
    """The peer asks and never reads: our answers wait, and so does our reading."""
    monkeypatch.setattr(connections, "UNANSWERED", 1 << 14)

    async def main(one, other):
        here, there = await connect(one, other)
        await asyncio.sleep(1)  # for the first keepalive's answer
        here._secure.watch(None)  # from now on nobody reads here
        flood = b"".join(bytes([0, 2, 0, 1]) + bytes(4) + n.to_bytes(4, "big") for n in range(50_000))

        async def pour():
            while True:
                await here._secure.write(flood)

        pouring = asyncio.ensure_future(pour())
        queued = 0
        for _ in range(80):
            await asyncio.sleep(0.1)
            queued = max(queued, sum(map(len, there._session._to_send)))
        assert queued < 1 << 17
        await asyncio.sleep(connections.WRITE_TIMEOUT)
        assert there.log.closed
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        await ended(here, there)

    run(main)
