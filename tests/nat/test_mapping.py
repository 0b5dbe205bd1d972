"""The key function of mapping behaviour (RFC 4787 section 4.1)."""

from __future__ import annotations

import pytest

from natlab.endpoint import Endpoint
from natlab.nat.config import Behaviour
from natlab.nat.mapping import Mapping, mapping_key

HOST = Endpoint("192.168.1.2", 4001)
R = Endpoint("12.0.0.1", 9000)
EI, AD, APD = Behaviour


@pytest.mark.parametrize(
    ("sentence", "remote", "same_mapping"),
    [
        ("the same remote always finds the same mapping", R, {EI, AD, APD}),
        ("another port of one address: not if the key has the port", Endpoint(R.ip, 9001), {EI, AD}),
        ("another address: only if the key has no remote", Endpoint("13.0.0.1", 9000), {EI}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_which_behaviours_use_a_mapping_again(sentence: str, remote: Endpoint, same_mapping: set[Behaviour]) -> None:
    assert {b for b in Behaviour if mapping_key(b, 17, HOST, remote) == mapping_key(b, 17, HOST, R)} == same_mapping


@pytest.mark.parametrize("behaviour", Behaviour)
def test_no_key_is_shared_by_two_internal_endpoints_or_protocols(behaviour: Behaviour) -> None:
    keys = {
        mapping_key(behaviour, protocol, Endpoint(ip, port), R)
        for protocol in (6, 17)
        for ip in ("192.168.1.2", "192.168.1.3")
        for port in (4001, 4002)
    }
    assert len(keys) == 8


@pytest.mark.parametrize(("behaviour", "text"), [(EI, ""), (AD, "12.0.0.1"), (APD, "12.0.0.1:9000")])
def test_a_mapping_says_what_it_depends_on(behaviour: Behaviour, text: str) -> None:
    mapping = Mapping(1, mapping_key(behaviour, 17, HOST, R), Endpoint("11.0.0.1", 4001))
    assert (mapping.remote, mapping.internal, mapping.protocol) == (text, HOST, 17)
