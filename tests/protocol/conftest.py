"""Two ends of a stream in memory, virtual time, and a stranger who says anything."""

import asyncio
import random

import pytest
from hypothesis import strategies as st

from natlab.errors import ClosedError
from natlab.events import Journal, PacketSeen, Verdict
from natlab.protocol.stun_server import Site, StunServer
from natlab.sim import Internet, SimLoop
from natlab.wire import address, varint
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId


class MemoryStream:
    """One end of a stream; what is done to it reaches `self.other` after `self.delay` seconds, in order.

    Attributes:
        state: "open", "closed" (our side) or "reset".
        left: bytes that have arrived and were not read.
        most: bytes a read returns at most, to feed a reader byte by byte.
    """

    def __init__(self, delay, most=65536):
        self.delay, self.most, self.state = delay, most, "open"
        self.left, self.ended, self.was_reset = b"", False, False
        self._changed = asyncio.Event()

    async def read(self, limit=65536):
        assert limit > 0
        while True:
            if self.was_reset:
                raise ClosedError("reset")
            if self.left or self.ended:
                break
            self._changed.clear()
            await self._changed.wait()
        count = min(limit, self.most)
        chunk, self.left = self.left[:count], self.left[count:]
        return chunk

    async def write(self, data):
        if self.state != "open" or self.was_reset:
            raise ClosedError(f"a write on a stream that is {self.state}")
        self._later(self.other._arrive, data)

    async def close_write(self):
        if self.state == "open" and not self.was_reset:
            self.state = "closed"
            self._later(self.other._end)

    def reset(self):
        if self.state != "reset":
            self.state = "reset"
            self._drop()
            self._later(self.other._drop)

    def _later(self, callback, *args):
        asyncio.get_running_loop().call_later(self.delay, callback, *args)

    def _arrive(self, data):
        self.left += data
        self._changed.set()

    def _end(self):
        self.ended = True
        self._changed.set()

    def _drop(self):
        self.was_reset = True
        self._changed.set()


def make_pair(delay=0.02, back=None, most=65536):
    """Both ends; `delay` seconds from the first to the second, `back` the other way."""
    one, two = MemoryStream(delay, most), MemoryStream(delay if back is None else back, most)
    one.other, two.other = two, one
    return one, two


@pytest.fixture(scope="session")
def pair():
    return make_pair


@pytest.fixture(scope="session")
def run():
    """Runs a coroutine function in a fresh simulated loop, for 1,000 virtual seconds at most."""

    def run_simulated(main, *args):
        loop = SimLoop()
        try:
            return loop.run(main(*args), limit=1000.0)
        finally:
            loop.close()

    return run_simulated


@pytest.fixture(scope="session")
def peers():
    """Seven identities: `peers(i)` is the (key, peer ID) of number i."""
    keys = [PrivateKey.generate(random.Random(number)) for number in range(7)]
    return lambda number: (keys[number], PeerId.from_public_key(keys[number].public))


@pytest.fixture(scope="session")
def public():
    return address.parse("/ip4/11.0.0.1/tcp/4001"), address.parse("/ip4/12.0.0.2/tcp/4002")


@pytest.fixture(scope="session")
def frame():
    """A message as it is on the wire."""
    return lambda message: varint.prefixed(message.SerializeToString())


@pytest.fixture(scope="session")
def hostile():
    """What a stranger may do: a list of steps for `play`, mixing whole messages from `messages` with anything."""

    def scripts(*messages):
        frames = [varint.prefixed(message.SerializeToString()) for message in messages]
        whole = st.sampled_from(frames) if frames else st.nothing()
        cut = st.builds(lambda data, at: data[: at % (len(data) + 1)], whole, st.integers(0, 500))
        garbled = st.builds(_garble, whole, st.integers(0, 500), st.integers(0, 255))
        action = whole | cut | garbled | st.binary(max_size=64) | st.sampled_from(["close", "reset", "wait"])
        return st.lists(action, max_size=12)

    return scripts


def _garble(data, at, value):
    at %= len(data)
    return data[:at] + bytes([value]) + data[at + 1 :]


@pytest.fixture(scope="session")
def play():
    """Plays a script on a stream, 10 ms a step; a "wait" takes 40 s."""

    async def play_script(stream, script):
        for step in script:
            await asyncio.sleep(40.0 if step == "wait" else 0.01)
            if stream.state != "open" or stream.was_reset:
                return
            if step == "close":
                await stream.close_write()
            elif step == "reset":
                stream.reset()
            elif step != "wait":
                await stream.write(step)

    return play_script


class StunWorld:
    """A simulated internet with a client and, once started, a STUN server on two computers."""

    def __init__(self):
        self.loop = SimLoop()
        self.internet = Internet(self.loop, Journal(), random.Random)
        self.first, self.second = self.internet.host("stun"), self.internet.host("stun 2")
        self.run = self.loop.run

    def client(self, nat=None, **link):
        behind = nat and self.internet.nat("nat", nat)
        return self.internet.host("client", behind=behind, **link)

    def serve(self, *, sites=2):
        made = [Site(host, host.ip) for host in (self.first, self.second)[:sites]]
        server = StunServer(*made)
        self.run(server.start())
        return server

    def sent(self, place):
        """Seconds at which packets left a host."""
        seen = self.internet.journal.of(PacketSeen)
        return [event.time for event in seen if event.place == place and event.verdict == Verdict.SENT]


@pytest.fixture
def stun_world():
    world = StunWorld()
    yield world
    world.loop.close()
