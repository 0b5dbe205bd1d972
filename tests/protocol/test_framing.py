"""natlab.protocol.framing: frames whole and byte by byte, none too large, not a byte too many."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import ClosedError, DecodeError, NatlabError, RefusedError, UnreachableError
from natlab.protocol.framing import dialogue, parse, read_exactly, read_message, read_message_or_end, write_message
from natlab.wire import varint
from natlab.wire.proto.dcutr_pb2 import HolePunch
from natlab.wire.proto.identify_pb2 import Identify

MESSAGE = Identify(agentVersion="natlab", protocols=["/a"] * 100)


@pytest.mark.parametrize("most", [1, 65536])
def test_a_message_arrives_and_what_follows_it_stays_in_the_stream(run, pair, most):
    async def main():
        ours, theirs = pair(most=most)
        await write_message(theirs, MESSAGE)
        await theirs.write(b"raw circuit")
        return await read_message(ours, Identify, 8192), await read_exactly(ours, 11)

    assert run(main) == (MESSAGE, b"raw circuit")


def test_the_length_is_an_unsigned_varint_without_itself(run, pair):
    async def main():
        ours, theirs = pair()
        await write_message(theirs, MESSAGE)
        await asyncio.sleep(1.0)
        return ours.left

    assert run(main) == varint.encode(MESSAGE.ByteSize()) + MESSAGE.SerializeToString()


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", ClosedError, "where a Identify was due"),
        (b"\x85", ClosedError, "0 of 1"),
        (b"\x05abc", ClosedError, "3 of 5"),
        (b"\x05\xff\xff\xff\xff\xff", DecodeError, "not a Identify"),
        (b"\x03\x32\x01\xff", DecodeError, "not a Identify"),  # agentVersion that is no UTF-8
        (b"\x81\x40" + b"a" * 8193, DecodeError, "8193 bytes; 8192 at most"),
        (b"\x80\x80\x01", DecodeError, "more than 2 bytes"),
        (b"\x85\x00", DecodeError, "shortest"),
    ],
    ids=["nothing", "half a length", "half a message", "no protobuf", "no UTF-8", "oversize", "long length", "padded"],
)
def test_a_broken_frame_is_refused(run, pair, data, error, words):
    async def main():
        ours, theirs = pair()
        if data:
            await theirs.write(data)
        await theirs.close_write()
        await read_message(ours, Identify, 8192)

    with pytest.raises(error, match=words):
        run(main)


def test_an_oversize_message_is_refused_before_a_byte_of_it_is_read(run, pair):
    async def main():
        ours, theirs = pair()
        await theirs.write(varint.encode(4097) + b"a" * 100)
        with pytest.raises(DecodeError):
            await read_message(ours, HolePunch, 4096)
        return ours.left

    assert run(main) == b"a" * 100


def test_of_a_message_that_comes_in_two_parts_nothing_behind_it_is_read(run, pair):
    async def main():
        ours, theirs = pair()
        whole = varint.prefixed(MESSAGE.SerializeToString())
        reading = asyncio.create_task(read_message(ours, Identify, 8192))
        await theirs.write(whole[:9])
        await asyncio.sleep(1.0)
        await theirs.write(whole[9:] + b"raw circuit")
        return await reading, ours.left

    assert run(main) == (MESSAGE, b"raw circuit")


def test_the_largest_message_passes(run, pair):
    message = Identify(agentVersion="a" * 8189)

    async def main():
        ours, theirs = pair()
        await write_message(theirs, message)
        return await read_message(ours, Identify, 8192)

    assert message.ByteSize() == 8192
    assert run(main) == message


def test_the_end_between_two_messages_is_no_error(run, pair):
    async def main():
        ours, theirs = pair()
        await write_message(theirs, MESSAGE)
        await theirs.close_write()
        return [await read_message_or_end(ours, Identify, 8192) for _ in range(3)]

    assert run(main) == [MESSAGE, None, None]


@given(data=st.binary(max_size=300))
def test_any_bytes_parse_or_are_a_decode_error(data):
    try:
        message = parse(Identify, data)
    except DecodeError:
        return
    assert parse(Identify, message.SerializeToString()) == message


class TestDialogue:
    def test_it_leaves_a_stream_alone_when_all_went_well(self, run, pair):
        async def main():
            ours, _ = pair()
            async with dialogue(ours, 5.0, "test"):
                await asyncio.sleep(4.9)
            return ours.state

        assert run(main) == "open"

    def test_time_out_is_ours_by_the_loops_clock_and_resets(self, run, pair):
        async def main():
            ours, theirs = pair()
            with pytest.raises(UnreachableError, match="test: not finished within 5 s"):
                async with dialogue(ours, 5.0, "test"):
                    await ours.read()
            assert asyncio.get_running_loop().time() == 5.0
            await asyncio.sleep(0.1)
            return ours.state, theirs.was_reset

        assert run(main) == ("reset", True)

    @pytest.mark.parametrize("error", [NatlabError("no"), ValueError("no"), asyncio.CancelledError()])
    def test_any_error_resets(self, run, pair, error):
        async def main():
            ours, _ = pair()
            try:
                async with dialogue(ours, 5.0, "test"):
                    raise error
            except type(error) as raised:
                return raised is error, ours.state

        assert run(main) == (True, "reset")

    def test_a_refusal_closes_so_that_the_answer_arrives(self, run, pair):
        async def main():
            ours, theirs = pair()
            with pytest.raises(RefusedError):
                async with dialogue(ours, 5.0, "test"):
                    await ours.write(b"no")
                    raise RefusedError("no", 200)
            return ours.state, await theirs.read(), await theirs.read()

        assert run(main) == ("closed", b"no", b"")
