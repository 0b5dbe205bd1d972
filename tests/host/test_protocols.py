"""The registry: what happens to a stream that a peer opens."""

import asyncio
from types import SimpleNamespace

import pytest

from natlab.errors import ClosedError, ProtocolError, RefusedError
from natlab.events import HandlerFailed, Journal
from natlab.host.protocols import MAX_NAMES, MAX_SERVED, Protocols
from natlab.host.record import Recorder
from natlab.sim import SimLoop
from natlab.upgrade.multistream import PROTOCOL_ID, encode


class Stream:
    """A stream on which the peer has said everything already."""

    def __init__(self, *said, connection_closed=None):
        self.connection = SimpleNamespace(peer="peer", number=1, closed=connection_closed, drained=self.drained)
        self.said = b"".join(said)
        self.written = b""
        self.ending = None

    async def drained(self):
        """Nothing waits to be sent."""

    async def read(self, limit=65536):
        data, self.said = self.said[:limit], self.said[limit:]
        return data

    async def write(self, data):
        self.written += data

    def unread(self, data):
        self.said = data + self.said

    async def close(self):
        self.ending = self.ending or "closed"

    def reset(self):
        self.ending = "reset"


def serve(stream, handler, **options):
    """What became of the stream, and the events."""
    journal = Journal()
    protocols = Protocols(Recorder(journal, "here"))
    protocols.add("/echo", handler, **options)
    loop = SimLoop()
    loop.run(protocols.serve(stream))
    loop.close()
    return stream.ending, [(event.protocol, event.cause) for event in journal.of(HandlerFailed)]


async def echo(stream, connection):
    assert connection is stream.connection
    await stream.write(await stream.read())


async def hand_on(stream, connection):
    """The stream becomes something else, which lives longer."""


def failing(error):
    async def handler(stream, connection):
        raise error

    return handler


ASKED = encode(PROTOCOL_ID) + encode("/echo")


def test_the_handler_gets_the_stream_with_what_was_pipelined():
    stream = Stream(ASKED, b"hello")
    assert serve(stream, echo) == ("closed", [])
    assert stream.written == ASKED + b"hello"


def test_a_stream_ends_with_its_handler_unless_that_hands_it_on():
    assert serve(Stream(ASKED), hand_on) == ("closed", [])
    assert serve(Stream(ASKED), hand_on, keeps_stream=True) == (None, [])


def test_a_protocol_nobody_answers():
    stream = Stream(encode(PROTOCOL_ID), encode("/other"))
    assert serve(stream, echo) == ("reset", [])
    assert encode("na") in stream.written


def test_what_is_no_multistream_is_reset_and_no_event():
    assert serve(Stream(b"GET / HTTP/1.1\r\n" * 9), echo) == ("reset", [])


@pytest.mark.parametrize(
    ("error", "cause"), [(ProtocolError("broken"), "broken"), (KeyError("bug"), "KeyError('bug')")]
)
def test_a_failing_handler_is_an_event(error, cause):
    assert serve(Stream(ASKED), failing(error)) == ("reset", [("/echo", cause)])


def test_a_refusal_ends_in_order():
    assert serve(Stream(ASKED), failing(RefusedError("no", 200))) == ("closed", [])


def test_the_end_of_the_connection_is_no_failure_of_the_handler():
    stream = Stream(ASKED, connection_closed="over")
    assert serve(stream, failing(ClosedError("over"))) == ("reset", [])


def test_cancellation_goes_through():
    async def main():
        protocols = Protocols(Recorder(None, "here"))
        protocols.add("/echo", lambda stream, connection: asyncio.sleep(100))
        serving = asyncio.ensure_future(protocols.serve(Stream(ASKED)))
        await asyncio.sleep(1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    loop = SimLoop()
    loop.run(main())
    loop.close()


def test_one_handler_for_each_protocol():
    protocols = Protocols(Recorder(None, "here"))
    protocols.add("/a", echo)
    protocols.add("/b", echo)
    with pytest.raises(ValueError, match="/a has a handler already"):
        protocols.add("/a", echo)
    assert protocols.names == ("/a", "/b")
    protocols.remove("/a")
    protocols.remove("/never")
    assert protocols.names == ("/b",)


def test_what_a_connection_is_served_at_a_time_is_bounded():
    """Also where the peer has reset its streams, and their handlers still run."""
    protocols, loop = Protocols(Recorder(None, "here")), SimLoop()

    async def slow(stream, connection):
        await asyncio.sleep(1)

    async def main():
        protocols.add("/slow", slow)
        streams = [Stream(encode(PROTOCOL_ID), encode("/slow")) for _ in range(MAX_SERVED + 1)]
        serving = [asyncio.ensure_future(protocols.serve(stream)) for stream in streams]
        await asyncio.sleep(0.5)
        assert [stream.ending for stream in streams] == [None] * MAX_SERVED + ["reset"]
        await asyncio.gather(*serving)
        await protocols.serve(another := Stream(encode(PROTOCOL_ID), encode("/slow")))
        assert another.ending == "closed"

    loop.run(main())
    loop.close()


def test_a_protocol_may_be_served_less_often_at_a_time_than_all_together():
    protocols, loop = Protocols(Recorder(None, "here")), SimLoop()

    async def slow(stream, connection):
        await asyncio.sleep(1)

    async def main():
        protocols.add("/rare", slow, at_once=2)
        protocols.add("/echo", echo)
        rare, other = [Stream(encode(PROTOCOL_ID), encode("/rare")) for _ in range(3)], Stream(ASKED)
        await asyncio.gather(*(protocols.serve(stream) for stream in (*rare, other)))
        assert [stream.ending for stream in rare] == ["closed", "closed", "reset"]
        assert other.ending == "closed"

    loop.run(main())
    loop.close()


def test_a_handler_withdrawn_during_the_negotiation():
    protocols, loop = Protocols(Recorder(None, "here")), SimLoop()

    class Withdrawing(Stream):
        async def write(self, data):
            protocols.remove("/echo")

    protocols.add("/echo", echo)
    loop.run(protocols.serve(stream := Withdrawing(encode(PROTOCOL_ID), encode("/echo"))))
    loop.close()
    assert stream.ending == "reset"


def test_protocol_ids_have_to_fit_into_identify():
    protocols = Protocols(Recorder(None, "here"))
    for letter in "ab":
        protocols.add(f"/{letter}" * (MAX_NAMES // 4), echo)
    with pytest.raises(ValueError, match="one too many"):
        protocols.add("/c", echo)
