"""A small internet for tests of natlab.sim."""

from random import Random

import pytest

from natlab.events import Journal, PacketSeen
from natlab.sim import Internet, SimLoop


class World:
    """One loop, one journal, one internet."""

    def __init__(self, seed: int = 7) -> None:
        self.loop = SimLoop()
        self.journal = Journal()
        self.internet = Internet(self.loop, self.journal, lambda owner: Random(f"{seed} {owner}"))
        self.host = self.internet.host
        self.nat = self.internet.nat
        self.run = self.loop.run

    def packets(self, place=None, verdict=None):
        seen = self.journal.of(PacketSeen)
        return [event for event in seen if place in (None, event.place) and verdict in (None, event.verdict)]


@pytest.fixture
def world():
    world = World()
    yield world
    world.loop.close()


@pytest.fixture
def another_world():
    """Makes further worlds, from any seed."""
    made = []

    def make(seed=7):
        made.append(World(seed))
        return made[-1]

    yield make
    for world in made:
        world.loop.close()
