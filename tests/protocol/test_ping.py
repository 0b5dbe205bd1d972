"""natlab.protocol.ping: the round trip measured, and what a bad echo does."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import ClosedError, NatlabError, ProtocolError, UnreachableError
from natlab.protocol.ping import PING_IDLE, PING_SIZE, answer_pings, ping


@pytest.mark.parametrize("most", [1, 7, 65536])
def test_three_pings_on_one_stream_measure_the_path_and_end_in_order(run, pair, most):
    async def main():
        ours, theirs = pair(0.02, 0.05, most)
        answering = asyncio.create_task(answer_pings(theirs))
        seconds = [await ping(ours, random.Random(1)) for _ in range(3)]
        await ours.close_write()
        await answering
        return seconds, await ours.read(), theirs.state

    seconds, end, state = run(main)
    assert seconds == pytest.approx([0.07] * 3)
    assert (end, state) == (b"", "closed")


def test_a_payload_is_32_bytes_from_the_given_chance(run, pair):
    async def main():
        ours, theirs = pair()
        pinging = asyncio.create_task(ping(ours, random.Random(5)))
        await asyncio.sleep(1.0)
        sent = theirs.left
        pinging.cancel()
        return sent

    assert run(main) == random.Random(5).randbytes(PING_SIZE)


@pytest.mark.parametrize(
    ("answer", "error", "after"),
    [
        (b"x" * 32, ProtocolError, 0.0),
        (b"x" * 31 + b"close", ProtocolError, 0.0),
        (b"close", ClosedError, 0.0),
        (b"", UnreachableError, 10.0),
        (b"x" * 31, UnreachableError, 10.0),
    ],
    ids=["wrong echo", "wrong echo, more behind", "half an echo and the end", "silence", "half an echo"],
)
def test_a_bad_echo_resets_the_stream(run, pair, answer, error, after):
    async def main():
        ours, theirs = pair(0.0)
        if answer:
            await theirs.write(answer)
        if answer == b"close":
            await theirs.close_write()
        with pytest.raises(error):
            await ping(ours, random.Random(1))
        return ours.state, asyncio.get_running_loop().time()

    assert run(main) == ("reset", after)


def test_the_answering_peer_waits_as_long_after_each_ping(run, pair):
    async def main():
        ours, theirs = pair(0.0)
        answering = asyncio.create_task(answer_pings(theirs))
        for _ in range(3):
            await asyncio.sleep(PING_IDLE - 1)
            await ping(ours, random.Random(1))
        with pytest.raises(UnreachableError, match=f"{PING_IDLE:g} s"):
            await answering
        return asyncio.get_running_loop().time()

    assert run(main) == 3 * (PING_IDLE - 1) + PING_IDLE


def test_the_answering_peer_gives_up_on_half_a_ping(run, pair):
    async def main():
        ours, theirs = pair(0.0)
        await ours.write(b"x" * 31)
        with pytest.raises(UnreachableError):
            await answer_pings(theirs)
        return asyncio.get_running_loop().time()

    assert run(main) == PING_IDLE


def test_the_end_within_a_ping_is_an_error(run, pair):
    async def main():
        ours, theirs = pair()
        await ours.write(b"x" * 31)
        await ours.close_write()
        await answer_pings(theirs)

    with pytest.raises(ClosedError, match="0 of 1 bytes"):
        run(main)


@given(data=st.data())
def test_whatever_a_stranger_does_both_roles_end_in_time_with_our_errors(run, pair, hostile, play, data):
    script, role = data.draw(hostile()), data.draw(st.sampled_from([answer_pings, lambda s: ping(s, random.Random(1))]))

    async def main():
        ours, theirs = pair()
        playing = asyncio.create_task(play(theirs, script))
        try:
            await role(ours)
        except NatlabError:
            assert ours.state == "reset"
        else:
            assert ours.state == "closed"
        await playing
        return asyncio.get_running_loop().time()

    assert run(main) <= 13 * 40.0 + PING_IDLE
