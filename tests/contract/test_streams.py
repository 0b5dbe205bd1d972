"""A TCP connection as a stream: bytes in order, half-closing, reset, and what waits meanwhile."""

import asyncio

import pytest

from natlab.errors import ClosedError


async def read_all(stream):
    received = b""
    while chunk := await stream.read():
        received += chunk
    return received


def reset_all(*connections):
    for connection in connections:
        connection.reset()


def test_both_ends_agree_on_who_they_are(place):
    async def main():
        dialled, accepted = await place.pair()
        assert (dialled.local, dialled.remote) == (accepted.remote, accepted.local)
        assert dialled.remote.ip == place.address and dialled.local.port != 0
        reset_all(dialled, accepted)

    place.run(main())


def test_bytes_arrive_whole_and_in_order_both_ways_at_once(place):
    data = bytes(range(256)) * 4096

    async def send(stream):
        await stream.write(data)
        await stream.close_write()

    async def main():
        dialled, accepted = await place.pair()
        _, _, one, two = await asyncio.gather(send(dialled), send(accepted), read_all(dialled), read_all(accepted))
        assert one == two == data
        reset_all(dialled, accepted)

    place.run(main())


def test_read_gives_no_more_than_asked_for(place):
    async def main():
        dialled, accepted = await place.pair()
        await dialled.write(b"abcdef")
        await dialled.close_write()
        parts = [await accepted.read(4), await accepted.read(1), await accepted.read(), await accepted.read()]
        assert parts == [b"abcd", b"e", b"f", b""]
        reset_all(dialled, accepted)

    place.run(main())


def test_a_closed_side_still_reads_and_writes_no_more(place):
    async def main():
        dialled, accepted = await place.pair()
        await dialled.close_write()
        await dialled.close_write()
        assert await accepted.read() == b""
        await accepted.write(b"still talking")
        assert await dialled.read() == b"still talking"
        with pytest.raises(ClosedError):
            await dialled.write(b"x")
        reset_all(dialled, accepted)

    place.run(main())


def test_after_both_have_closed_reading_gives_the_end(place):
    async def main():
        dialled, accepted = await place.pair()
        await dialled.close_write()
        assert await accepted.read() == b""
        await accepted.close_write()
        assert [await dialled.read(), await dialled.read(), await accepted.read()] == [b"", b"", b""]

    place.run(main())


def test_reset_ends_both_directions_at_both_ends(place):
    async def main():
        dialled, accepted = await place.pair()
        readers = [asyncio.ensure_future(end.read()) for end in (dialled, accepted)]
        await asyncio.sleep(0)
        dialled.reset()
        dialled.reset()
        results = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(result) for result in results] == [ClosedError, ClosedError]
        for end in (dialled, accepted):
            with pytest.raises(ClosedError):
                await end.write(b"x")
            with pytest.raises(ClosedError):
                await end.read()
            await end.close_write()

    place.run(main())


def test_a_cancelled_read_loses_no_bytes(place):
    async def main():
        dialled, accepted = await place.pair()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await accepted.read()
        await dialled.write(b"late")
        assert await accepted.read() == b"late"
        reset_all(dialled, accepted)

    place.run(main())


def test_a_writer_waits_for_a_reader_and_then_all_arrives(place):
    """What is on the way is bounded. The system's loopback takes a few megabytes before it holds the writer back."""
    chunk, written = bytes(1 << 16), 0

    async def write_until_full(stream):
        nonlocal written
        while True:
            await stream.write(chunk)
            written += len(chunk)

    async def main():
        dialled, accepted = await place.pair()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await write_until_full(dialled)
        closing = asyncio.ensure_future(dialled.close_write())
        received = await read_all(accepted)
        await closing
        assert written <= len(received) <= written + len(chunk) < 64 << 20
        reset_all(dialled, accepted)

    place.run(main())


@pytest.mark.parametrize("end", [0, 1], ids=["by us", "by the peer"])
def test_a_reset_wakes_a_waiting_writer(place, end):
    async def write_for_ever(stream):
        while True:
            await stream.write(bytes(1 << 16))

    async def main():
        ends = await place.pair()
        writing = asyncio.ensure_future(write_for_ever(ends[0]))
        await asyncio.sleep(0.2)
        assert not writing.done()
        ends[end].reset()
        with pytest.raises(ClosedError):
            await writing
        reset_all(*ends)

    place.run(main())


def test_what_came_before_a_reset_can_still_be_read(place):
    async def main():
        dialled, accepted = await place.pair()
        await dialled.write(b"1, last words")
        assert await accepted.read(1) == b"1"  # and all of it is here
        dialled.reset()
        await asyncio.sleep(0.05)
        assert await accepted.read() == b", last words"
        with pytest.raises(ClosedError):
            await accepted.read()
        reset_all(accepted)

    place.run(main())


def test_what_came_before_our_own_reset_is_gone(place):
    async def main():
        dialled, accepted = await place.pair()
        await dialled.write(b"1, unread")
        assert await accepted.read(1) == b"1"
        accepted.reset()
        with pytest.raises(ClosedError):
            await accepted.read()
        reset_all(dialled)

    place.run(main())


def test_a_reset_reaches_who_has_closed_its_own_side(place):
    async def main():
        dialled, accepted = await place.pair()
        await dialled.close_write()
        assert await accepted.read() == b""
        accepted.reset()
        with pytest.raises(ClosedError):
            await dialled.read()
        reset_all(dialled)

    place.run(main())


def test_nothing_written_is_nothing_read(place):
    async def main():
        dialled, accepted = await place.pair()
        await dialled.write(b"")
        await dialled.write(b"something")
        assert await accepted.read() == b"something"
        reset_all(dialled, accepted)

    place.run(main())


def test_without_waiting_there_is_what_came_then_the_end(place):
    async def main():
        dialled, accepted = await place.pair()
        changed = asyncio.Event()
        accepted.watch(changed.set)
        assert accepted.read_now() is None
        assert dialled.write_now(b"abcdef") == 6
        await changed.wait()
        assert (accepted.read_now(4), accepted.read_now(), accepted.read_now()) == (b"abcd", b"ef", None)
        changed.clear()
        await dialled.close_write()
        await changed.wait()
        assert accepted.read_now() == b""
        reset_all(dialled, accepted)
        for use in (accepted.read_now, lambda: accepted.write_now(b"x")):
            with pytest.raises(ClosedError):
                use()

    place.run(main())


def test_without_waiting_writes_are_taken_as_far_as_there_is_room(place):
    async def main():
        dialled, accepted = await place.pair()
        has_room = asyncio.Event()
        dialled.watch(has_room.set)
        sent = 0
        while taken := dialled.write_now(bytes(1 << 16)):
            sent += taken
            await asyncio.sleep(0)
            assert sent < 1 << 26, "an end that takes any number of bytes"
        received = 0
        while received < sent:
            received += len(await accepted.read())
        await has_room.wait()
        assert dialled.write_now(b"x") == 1
        reset_all(dialled, accepted)

    place.run(main())


def test_what_watches_no_more_is_not_called(place):
    async def main():
        dialled, accepted = await place.pair()
        accepted.watch(lambda: pytest.fail("called"))
        accepted.watch(None)
        await dialled.write(b"x")
        assert await accepted.read() == b"x"
        reset_all(dialled, accepted)

    place.run(main())
