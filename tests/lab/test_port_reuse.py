"""The lesson on port reuse: its scenes show what its words say, and its checks know right answers from wrong ones."""

from __future__ import annotations

import pytest

from natlab.lab.bare import Refusal
from natlab.lab.bare_sockets import BareConnection
from natlab.lab.port_reuse import (
    FLAGGED,
    asked_picture,
    check_let_in,
    check_refused,
    check_sharing,
    four_observers,
    play,
    reports,
    sharing,
    stranger_dials,
    three_hosts,
)
from natlab.lab.this_computer import this_computer

CONSENT = ["EADDRINUSE", "EADDRINUSE", "EADDRINUSE", "shared"]


def test_sharing_takes_the_flag_on_both_in_the_lab_and_on_this_computer():
    lab, here = three_hosts(7), this_computer()
    simulated = lab.run(sharing(lab.hosts["alice"], lab.run(lab.hosts["bob"].listen())))
    real = here.run(sharing(here, here.run(here.listen())))
    here.close()
    assert list(simulated.columns) == list(FLAGGED)
    assert simulated.to_numpy().tolist() == real.to_numpy().tolist() == [CONSENT, CONSENT]
    assert lab.hosts["alice"].sockets.empty


def test_what_bob_sees_leads_carol_to_the_listener():
    lab = three_hosts(7)
    assert isinstance(arrived := play(lab), BareConnection)
    (mapping,) = lab.mappings.itertuples()
    assert mapping.internal == f"{lab.hosts['alice'].ip}:4001"
    assert str(arrived.remote) == mapping.external != f"{lab.places[0].ip}:4001"


def test_filtering_may_still_shut_carol_out():
    assert isinstance(play(three_hosts(7, filtering="address-dependent")), Refusal)


def test_the_four_report_one_endpoint_or_four():
    told = reports(**{str(flag): four_observers(7, reuse_port=flag) for flag in (True, False)})
    assert list(told.index) == [f"crowd {number}" for number in range(1, 5)]
    assert (told["True"].nunique(), told["False"].nunique()) == (1, 4)
    assert all(told.stack().str.startswith("/ip4/11.0.0.1/tcp/"))


@pytest.mark.parametrize(
    ("filtering", "outcome"), [("endpoint-independent", BareConnection), ("address-and-port-dependent", Refusal)]
)
def test_an_activated_address_is_advertised_whether_or_not_strangers_get_in(filtering, outcome):
    lab = four_observers(7, reuse_port=True, filtering=filtering)
    (activated,) = lab.observations.query("node == 'alice' and activated").address
    assert activated in " ".join(map(str, lab.nodes["alice"].addresses))
    assert isinstance(stranger_dials(lab), outcome)


@pytest.mark.parametrize("reuse_port", [True, False])
def test_four_observers_agree_only_on_a_reused_port(reuse_port):
    lab = four_observers(7, reuse_port=reuse_port)
    assert len(lab.mappings) == (1 if reuse_port else 4)
    assert len(lab.nodes["alice"].observed_addresses) == (1 if reuse_port else 0)


def test_the_asked_picture_is_told_in_words_too():
    picture = asked_picture()
    assert "not what happens" in picture.title and picture.title in picture.svg
    for claim in ("1: dials", "2: now makes a second socket", "3: the second socket accepts"):
        assert claim in picture.text and claim in picture.alt
    assert "time, s" not in picture.svg


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (["?"] * 4, 'For "neither"'),
        (["shared"] * 4, 'Look again at "neither"'),
        (["EADDRINUSE", "shared", "EADDRINUSE", "shared"], 'Look again at "the first"'),
        (["EADDRINUSE"] * 4, 'Look again at "both"'),
        (["shared"], "Four words"),
    ],
)
def test_a_wrong_verdict_on_sharing_gets_its_hint(answer, hint):
    feedback = check_sharing(answer)
    assert not feedback.right and hint in feedback.words


def test_the_right_verdicts_on_sharing():
    assert check_sharing(CONSENT).right


def test_the_refused_dial_is_the_one_with_a_name_in_use():
    assert check_refused("C").right
    assert [check_refused(letter).right for letter in ("A", "B", "D", None, "c")] == [False] * 5


@pytest.mark.parametrize(
    ("dial", "hint"),
    [
        (("carol", 4001), "gets in by it"),
        (("bob", 4001), "still a stranger"),
        (("bob", 5000), "still a stranger"),
        (("carol", 5000), "Port 5000 has a mapping of its own"),
        (("dave", 4001), "Write whom"),
        (("carol", 0), "Write whom"),
        (("carol", 2**16), "Write whom"),
        (("carol", True), "Write whom"),
        (None, "Write whom"),
    ],
)
def test_what_lets_carol_in_is_a_dial_to_her_through_the_mapping_she_was_told_of(dial, hint):
    feedback = check_let_in(7, dial)
    assert hint in feedback.words
    assert feedback.right is (dial == ("carol", 4001))
