import asyncio

import pytest

from natlab.errors import ClosedError, DecodeError, NegotiationError, ProtocolError, UnreachableError
from natlab.transport.negotiate import STREAM_TIMEOUT, Buffered, answer, negotiated, propose
from natlab.upgrade.multistream import encode

HEADER = encode("/multistream/1.0.0")


def test_both_ends_agree(run):
    async def main(one, other):
        return await asyncio.gather(
            propose(Buffered(one), ["/tls/1.0.0", "/noise"]), answer(Buffered(other), {"/noise"}.__contains__)
        )

    assert run(main) == ["/noise", "/noise"]


def test_what_came_behind_the_agreement_is_read_next(run):
    async def main(one, other):
        await one.write(HEADER + encode("/ping") + b"pipelined")
        stream = Buffered(other)
        assert await answer(stream, {"/ping"}.__contains__) == "/ping"
        return await stream.read()

    assert run(main) == b"pipelined"


def test_simultaneous_connect_is_answered_na(run):
    """Old go-libp2p opens with it."""

    async def main(one, other):
        await one.write(HEADER + encode("/libp2p/simultaneous-connect") + encode("/noise"))
        await answer(Buffered(other), {"/noise"}.__contains__)
        return await one.read()

    assert run(main) == HEADER + encode("na") + encode("/noise")


def test_nothing_in_common(run):
    async def main(one, other):
        listening = asyncio.ensure_future(answer(Buffered(other), set().__contains__))
        with pytest.raises(NegotiationError):
            await propose(Buffered(one), ["/a", "/b"])
        one.reset()
        with pytest.raises(ClosedError):
            await listening

    run(main)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n" + b"X-Header: value\r\n" * 5, DecodeError),
        (HEADER + encode("/something/else"), ProtocolError),
        (b"\xff" * 12, DecodeError),
        (b"", ClosedError),
    ],
)
def test_a_peer_that_speaks_something_else(run, said, error):
    async def main(one, other):
        await other.write(said)
        await other.close_write()
        with pytest.raises(error):
            await negotiated(Buffered(one), "/noise")
        with pytest.raises(ClosedError):
            await other.read()  # our end was reset
            await other.read()

    run(main)


def test_a_silent_peer_costs_ten_seconds(run):
    async def main(one, other):
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(UnreachableError):
            await negotiated(Buffered(one), "/noise")
        return loop.time() - started

    assert run(main) == pytest.approx(STREAM_TIMEOUT)
