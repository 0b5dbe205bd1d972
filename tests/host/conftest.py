"""Worlds for nodes: the simulated internet, and this computer's loopback. The same tests run in both."""

import asyncio
import hashlib
import random
from contextlib import AsyncExitStack

import pytest

from natlab.events import Journal
from natlab.host import Node
from natlab.nat import NatConfig
from natlab.sim import Internet, SimLoop

TCP_PORT = 4001


def rng_for(owner, seed=0):
    return random.Random(int.from_bytes(hashlib.sha256(f"{seed}/{owner}".encode()).digest()[:8], "big"))


class World:
    """Makes nodes and runs tests with them.

    Attributes:
        journal: what they all record.
    """

    def __init__(self):
        self.journal = Journal()

    def network(self, name, behind=None):
        return None  # this computer's own

    def listen(self, network):
        return ["/ip4/127.0.0.1/tcp/0"]

    def node(self, name, behind=None, **options):
        """Not started yet."""
        network = options.pop("network", None) or self.network(name, behind)
        options.setdefault("listen", self.listen(network))
        return Node(network, rng=rng_for(name), journal=self.journal, name=name, **options)

    def run(self, main, *names, limit=600.0, **options):
        """Runs `main` with a started node for each name; they are closed after it, and then nothing may be left."""
        return self.enter(self.scenario(main, names, options), limit)

    async def scenario(self, main, names, options):
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(self.node(name, **options)) for name in names]
            result = await main(*nodes)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    def enter(self, main, limit):
        async def bounded():
            async with asyncio.timeout(20):
                result = await main
            await asyncio.sleep(0.01)  # asyncio takes a moment to close its transports
            return result

        return asyncio.run(bounded())


class SimulatedWorld(World):
    """Attributes: loop and internet, to build more than nodes with."""

    def __init__(self, seed=0):
        self.seed = seed
        self.journal = Journal()
        self.loop = SimLoop()
        self.internet = Internet(self.loop, self.journal, lambda owner: rng_for(owner, seed))

    def network(self, name, behind=None):
        return self.internet.host(name, behind=behind)

    def listen(self, network):
        return [f"/ip4/{network.ip}/tcp/{TCP_PORT}"]

    def nat(self, name, mapping, filtering, port_allocation="random"):
        return self.internet.nat(name, NatConfig(mapping=mapping, filtering=filtering, port_allocation=port_allocation))

    def enter(self, main, limit):
        return self.loop.run(main, limit=limit)


@pytest.fixture(params=["sim", "loopback"])
def world(request):
    if request.param == "loopback":
        yield World()
        return
    world = SimulatedWorld()
    yield world
    world.loop.close()


@pytest.fixture
def sim():
    world = SimulatedWorld()
    yield world
    world.loop.close()


@pytest.fixture
def make_sim():
    """More than one simulated world in a test, each with a seed of its own."""
    made = []

    def make(seed=0):
        made.append(SimulatedWorld(seed))
        return made[-1]

    yield make
    for world in made:
        world.loop.close()
