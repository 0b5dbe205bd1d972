"""The key function of filtering behaviour (RFC 4787 section 5), and the sentences that explain a refusal."""

from __future__ import annotations

import pytest

from natlab.endpoint import Endpoint
from natlab.nat.config import Behaviour
from natlab.nat.filtering import admitting_session, filter_key, refusal
from natlab.nat.mapping import Mapping, Session, mapping_key

HOST, EXTERNAL = Endpoint("192.168.1.2", 4001), Endpoint("11.0.0.1", 4001)
R = Endpoint("12.0.0.1", 9000)
R_OTHER_PORT = Endpoint("12.0.0.1", 9001)
STRANGER = Endpoint("13.0.0.1", 9000)
EI, AD, APD = Behaviour


def spoken_to(behaviour: Behaviour, *sessions: tuple[Endpoint, int]) -> Mapping:
    mapping = Mapping(1, mapping_key(EI, 17, HOST, R), EXTERNAL)
    for remote, expires in sessions:
        session = Session(mapping, remote, remote, 0)
        session.expires = expires
        mapping.sessions.setdefault(filter_key(behaviour, remote), []).append(session)
    return mapping


@pytest.mark.parametrize(
    ("sentence", "remote", "admitted_by"),
    [
        ("who was sent to is admitted by all", R, {EI, AD, APD}),
        ("its other ports only without the port in the key", R_OTHER_PORT, {EI, AD}),
        ("a stranger only without anything in the key", STRANGER, {EI}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_is_admitted(sentence: str, remote: Endpoint, admitted_by: set[Behaviour]) -> None:
    assert {b for b in Behaviour if admitting_session(b, spoken_to(b, (R, 10)), remote, 9)} == admitted_by


@pytest.mark.parametrize("behaviour", Behaviour)
def test_nobody_is_admitted_once_the_time_is_over(behaviour: Behaviour) -> None:
    assert admitting_session(behaviour, spoken_to(behaviour, (R, 10)), R, 10) is None


def test_of_several_sessions_the_one_that_lives_longest_admits() -> None:
    mapping = spoken_to(AD, (R, 10), (R_OTHER_PORT, 30), (Endpoint(R.ip, 1), 20))
    session = admitting_session(AD, mapping, R, 5)
    assert session is not None and session.remote == R_OTHER_PORT


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
