"""What the tests of the report share: one requirement, measured on a simulated box."""

import pytest

from natlab.lab.report import CARRIERS_REQUIREMENTS, measure
from natlab.lab.report.ground import Simulated
from natlab.lab.seed import rng_for
from natlab.nat import NatConfig


@pytest.fixture
def finding():
    """What the probe of a requirement, "RFC 4787 REQ-1", finds out about a box of this configuration."""

    def finding(name, seed=1, tamper=None, **axes):
        asked = next(requirement for requirement in CARRIERS_REQUIREMENTS if requirement.name == name)
        (row,) = measure(lambda: Tampered(tamper, NatConfig(**axes), lambda owner: rng_for(seed, owner)), [asked])
        return row.finding

    return finding


class Tampered(Simulated):
    """A box that misbehaves as no axis of ours can: what comes out of it goes through `tamper`, list by list."""

    def __init__(self, tamper, config, rng):
        super().__init__(config, rng)
        if tamper is not None:
            for plug in (self.inside, self.outside):
                plug.received = lambda received=plug.received: tamper(received())
