"""Presets: names for configurations, and what a mistyped name is answered with."""

from __future__ import annotations

import pytest

from natlab.errors import LabError
from natlab.nat import PRESETS, Behaviour, PortAllocation, UnsolicitedSyn, configure, presets


def test_a_preset_alone_and_with_an_axis_changed() -> None:
    assert configure("office") == PRESETS["office"]
    changed = configure("office", filtering="address-and-port-dependent", udp_timeout=30)
    assert changed.filtering is Behaviour.ADDRESS_AND_PORT_DEPENDENT
    assert (changed.udp_timeout, changed.mapping) == (30, PRESETS["office"].mapping)


def test_the_table_at_the_top_of_the_file_is_true() -> None:
    rows = {line.split()[0]: line.split() for line in (presets.__doc__ or "").splitlines() if line.startswith("    ")}
    for name, config in PRESETS.items():
        _, mapping, filtering, ports, timers, stranger = rows[name]
        assert (mapping.replace("dep.", "dependent"), filtering, ports) == (
            config.mapping,
            config.filtering,
            config.port_allocation,
        )
        assert (timers == "RFC") == (config.udp_unanswered_timeout >= 120 and config.tcp_transitory_timeout >= 240)
        assert (stranger == "silence") == (config.unsolicited_syn is UnsolicitedSyn.DROP)


def test_the_symmetric_preset_is_the_one_a_hole_punch_fails_at() -> None:
    config = PRESETS["symmetric"]
    assert config.mapping is Behaviour.ADDRESS_AND_PORT_DEPENDENT and config.port_allocation is PortAllocation.RANDOM


@pytest.mark.parametrize(
    ("preset", "axes", "message"),
    [
        ("hom", {}, "there is no preset 'hom'; did you mean 'home'? (there are: home, office, linux"),
        ("zzz", {}, "there is no preset 'zzz' (there are: home"),
        ("home", {"filterin": "x"}, "there is no axis of a NAT 'filterin'; did you mean 'filtering'?"),
        ("home", {"filtering": "open"}, "filtering is one of endpoint-independent"),
        ("home", {"udp_timeout": -1}, "udp_timeout is a number of seconds"),
    ],
)
def test_a_mistake_is_a_lab_error_that_says_what_there_is(preset: str, axes: dict[str, str], message: str) -> None:
    with pytest.raises(LabError) as caught:
        configure(preset, **axes)
    assert message in str(caught.value)
