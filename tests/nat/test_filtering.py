"""The key function of filtering behaviour (RFC 4787 section 5), and the sentences that explain a refusal."""

from __future__ import annotations

import pytest

from natlab.endpoint import Endpoint
from natlab.nat.config import Behaviour
from natlab.nat.filtering import filter_key, refusal

EXTERNAL = Endpoint("11.0.0.1", 4001)
R = Endpoint("12.0.0.1", 9000)
EI, AD, APD = Behaviour


@pytest.mark.parametrize(
    ("sentence", "remote", "admitted_by"),
    [
        ("who was sent to is admitted by all", R, {EI, AD, APD}),
        ("its other ports only without the port in the key", Endpoint(R.ip, 9001), {EI, AD}),
        ("a stranger only without anything in the key", Endpoint("13.0.0.1", 9000), {EI}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_is_admitted(sentence: str, remote: Endpoint, admitted_by: set[Behaviour]) -> None:
    assert {b for b in Behaviour if filter_key(b, remote) == filter_key(b, R)} == admitted_by


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        (EI, "filtering (endpoint-independent): nothing was sent from 11.0.0.1:4001 lately, so nobody is let in"),
        (AD, "filtering (address-dependent): nothing was sent to 12.0.0.1 from 11.0.0.1:4001 lately"),
        (APD, "filtering (address-and-port-dependent): nothing was sent to 12.0.0.1:9000 from 11.0.0.1:4001 lately"),
    ],
)
def test_a_refusal_names_its_rule(behaviour: Behaviour, sentence: str) -> None:
    assert refusal(behaviour, R, EXTERNAL) == sentence
