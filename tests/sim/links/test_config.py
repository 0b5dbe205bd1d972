"""What may be asked of a link, and what is said to whoever asks for nonsense."""

import pytest

from natlab.errors import LabError
from natlab.sim.links import GilbertElliott, Jitter, LinkConfig, both_ways


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay": -0.1},
        {"delay": float("inf")},
        {"delay": float("nan")},
        {"loss": 1.1},
        {"reordering": -0.1},
        {"duplication": 2},
        {"lateness": -1},
        {"rate": 0},
        {"rate": float("nan")},
        {"queue": -1},
        {"rate": "fast"},
        {"rate": None},
        {"queue": "long"},
        {"lateness": "x"},
        {"mtu": "x"},
        {"mtu": 1280.5},
    ],
)
def test_links_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="not"):
        LinkConfig(**wrong)


def test_it_is_a_value():
    assert LinkConfig(loss=GilbertElliott(0.1, 0.5)) == LinkConfig(loss=GilbertElliott(0.1, 0.5))
    assert len({LinkConfig(delay=Jitter(0, 1)), LinkConfig(delay=Jitter(0, 1)), LinkConfig()}) == 2


def test_the_short_form_is_a_config_for_each_direction():
    assert both_ways(None, (0.1, 0.2), 0.5) == (LinkConfig(0.1, 0.5), LinkConfig(0.2, 0.5))
    assert both_ways(None, 0.1, 0.0) == (LinkConfig(0.1), LinkConfig(0.1))
    assert both_ways(None, None, 0.0) == (LinkConfig(), LinkConfig())


def test_the_long_form_is_for_both_directions_or_a_pair():
    slow, fast = LinkConfig(rate=1e5), LinkConfig(rate=1e6)
    assert both_ways(slow, None, 0.0) == (slow, slow)
    assert both_ways((slow, fast), None, 0.0) == (slow, fast)


@pytest.mark.parametrize("short", [{"delay": 0.1, "loss": 0.0}, {"delay": None, "loss": 0.1}])
def test_both_forms_at_once_contradict_each_other(short):
    with pytest.raises(LabError, match="put delay= and loss= into"):
        both_ways(LinkConfig(), **short)
