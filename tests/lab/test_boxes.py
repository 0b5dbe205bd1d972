"""What `lab.nat(ipv6=...)` asks for."""

from __future__ import annotations

import pytest

from natlab.errors import LabError
from natlab.lab.boxes import ipv6_firewall
from natlab.nat import PRESETS, Behaviour


def test_a_router_forwards_no_ipv6_unless_asked_to() -> None:
    assert ipv6_firewall(False) is None


def test_it_is_a_firewall_to_ipv6_by_the_name_of_a_preset_or_with_axes_changed() -> None:
    assert ipv6_firewall(True) == PRESETS["firewall"]
    assert ipv6_firewall("simple-security") == PRESETS["simple-security"]
    open_to_all = ipv6_firewall({"filtering": "endpoint-independent"})
    assert open_to_all and open_to_all.filtering is Behaviour.ENDPOINT_INDEPENDENT and not open_to_all.translates


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("home", "ipv6='home' translates, and IPv6 is not translated: it may be True or one of 'firewall', 'simple"),
        ("firewal", "did you mean 'firewall'"),
        ({"filterin": "x"}, "did you mean 'filtering'?"),
        ({"translates": True}, "translates, and IPv6 is not translated"),
        ({"port_allocation": "random"}, "port_allocation must stay preserving"),
    ],
)
def test_what_cannot_be_is_a_lab_error_that_says_what_to_change(asked, message) -> None:
    with pytest.raises(LabError) as error:
        ipv6_firewall(asked)
    assert message in str(error.value)
