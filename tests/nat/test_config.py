"""The configuration of a NAT box refuses what makes no sense, and says what would."""

from __future__ import annotations

import math

import pytest

from natlab.nat import Behaviour, Hairpinning, NatConfig, PortAllocation, UnsolicitedSyn


def test_the_defaults_are_what_the_rfcs_ask_for() -> None:
    config = NatConfig()
    assert config.mapping is Behaviour.ENDPOINT_INDEPENDENT  # RFC 4787 REQ-1
    assert config.filtering is Behaviour.ADDRESS_DEPENDENT  # RFC 4787 REQ-8
    assert config.udp_timeout >= 300 and config.udp_unanswered_timeout >= 120  # RFC 4787 REQ-5
    assert config.tcp_established_timeout >= 7440 and config.tcp_transitory_timeout >= 240  # RFC 5382 REQ-5
    assert config.unsolicited_syn is UnsolicitedSyn.DROP  # RFC 5382 REQ-4
    assert config.hairpinning is Hairpinning.EXTERNAL_SOURCE  # RFC 4787 REQ-9, RFC 5382 REQ-8


def test_plain_text_becomes_the_choice() -> None:
    config = NatConfig(mapping="address-dependent", port_allocation="random")  # type: ignore[arg-type]
    assert config.mapping is Behaviour.ADDRESS_DEPENDENT
    assert config.port_allocation is PortAllocation.RANDOM


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"filtering": "adress-dependent"}, "did you mean address-dependent?"),
        ({"mapping": "symmetric"}, "mapping is one of endpoint-independent, address-dependent"),
        ({"port_allocation": "preserve"}, "did you mean preserving?"),
        ({"unsolicited_syn": None}, "unsolicited_syn is one of drop, rst, icmp, wait, not None"),
        ({"udp_timeout": 0}, "udp_timeout is a number of seconds greater than 0, not 0"),
        ({"udp_unanswered_timeout": -1.0}, "greater than 0, not -1.0"),
        ({"tcp_established_timeout": math.inf}, "not inf"),
        ({"tcp_transitory_timeout": math.nan}, "not nan"),
        ({"udp_refresh": "inboun"}, "did you mean inbound?"),
        ({"udp_stream_after": -1}, "udp_stream_after is a number of seconds 0 or more, not -1"),
        ({"tcp_closing_timeout": 0}, "tcp_closing_timeout is a number of seconds greater than 0"),
        ({"hairpinning": "external"}, "did you mean external-source?"),
        ({"quarantine": -1}, "quarantine is a number of seconds 0 or more, not -1"),
        ({"port_range": (5000, 4000)}, "port_range is (first, last) within 1 to 65535, not (5000, 4000)"),
        ({"port_range": (0, 4000)}, "within 1 to 65535"),
        ({"port_range": (5000, 5009), "port_block": 11}, "make port_block smaller or port_range wider"),
        ({"port_block": 0}, "port_block is a whole number from 1 to 64512, not 0"),
        ({"port_block": 10, "pooling": "arbitrary"}, "leave one out"),
        ({"port_stride": 2}, "port_stride needs port_allocation='sequential', not 'preserving'"),
        ({"port_allocation": "overlapping"}, "take mapping='address-and-port-dependent', not 'endpoint-independent'"),
        ({"strays_take_ports": True}, "port_allocation='overlapping', not 'preserving'"),
        ({"mappings_per_host": True}, "mappings_per_host is a whole number"),
        ({"session_limit": None}, "session_limit is a whole number from 1 to 60000, not None"),
        ({"external_addresses": 0}, "external_addresses is a whole number from 1"),
        ({"translates": False, "mapping": "address-dependent"}, "so mapping must stay endpoint-independent"),
        ({"translates": False, "port_allocation": "random"}, "leave it out, or let the box translate"),
        ({"translates": False, "hairpinning": "internal-source"}, "leave hairpinning out"),
        ({"udp_timeout": "300"}, "not '300'"),
        ({"udp_timeout": True}, "not True"),
        ({"udp_timeout": None}, "not None"),
        ({"port_range": 5000}, "port_range is (first, last) within 1 to 65535, not 5000"),
        ({"port_range": (5000, 6000, 7000)}, "not (5000, 6000, 7000)"),
        ({"port_range": ("5000", "6000")}, "not ('5000', '6000')"),
        ({"port_range": ()}, "not ()"),
        ({"port_parity": "no"}, "port_parity is True or False, not 'no'"),
        ({"icmp_errors_leak": 1}, "icmp_errors_leak is True or False, not 1"),
        ({"icmp_when_full": False}, "icmp_when_full is one of silence, prohibited, host-unreachable, not False"),
        ({"port_reuse_delay": -1}, "port_reuse_delay is a number of seconds 0 or more, not -1"),
        ({"translates": False, "port_reuse_delay": 1.0}, "so port_reuse_delay must stay 0.0"),
        ({"translates": 0}, "translates is True or False, not 0"),
    ],
)
def test_nonsense_is_refused(axes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        NatConfig(**axes)  # type: ignore[arg-type]
    assert message in str(caught.value)
