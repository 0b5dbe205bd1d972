"""Loss by chance and in bursts: the shares and lengths that the parameters promise."""

from itertools import groupby
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.events import Journal, PacketSeen
from natlab.sim import SimLoop
from natlab.sim.capture import Tap
from natlab.sim.links import GilbertElliott

MANY = 20_000


def fates(link, number=MANY):
    """For each packet sent, whether it was lost."""
    link.send_all([(100, 0)] * number).settle()
    arrived = set(link.order)
    return [sent not in arrived for sent in range(number)]


def runs(fates, of=True):
    return [len(list(group)) for lost, group in groupby(fates) if lost is of]


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.9])
def test_random_loss_is_as_frequent_as_it_says(line, probability):
    spread = sqrt(probability * (1 - probability) / MANY)
    assert sum(fates(line(loss=probability))) / MANY == pytest.approx(probability, abs=4 * spread)


def test_random_loss_has_no_memory(line):
    lost = fates(line(loss=0.3))
    assert sum(runs(lost)) / len(runs(lost)) == pytest.approx(1 / 0.7, rel=0.05)


@pytest.mark.parametrize(("probability", "arrive"), [(0.0, 100), (1.0, 0)])
def test_all_or_nothing(line, probability, arrive):
    assert len(line(loss=probability).send_all([(100, 0)] * 100).settle().arrived) == arrive


@pytest.mark.parametrize(("p", "r"), [(0.01, 0.25), (0.05, 0.1), (0.2, 0.9)])
def test_bursts_are_as_long_and_as_frequent_as_they_say(line, p, r):
    chain = GilbertElliott(p, r)
    lost = fates(line(loss=chain), 3 * MANY)
    bad, good = runs(lost), runs(lost, of=False)
    spread = 4 / sqrt(3 * MANY * p * r / (p + r))  # four standard errors of a mean over that many bursts
    assert chain.mean_loss == pytest.approx(p / (p + r))
    assert sum(lost) / len(lost) == pytest.approx(chain.mean_loss, rel=sqrt(2) * spread)
    assert sum(bad) / len(bad) == pytest.approx(1 / r, rel=spread)
    assert sum(good) / len(good) == pytest.approx(1 / p, rel=spread)


def test_each_state_loses_its_own_share(line):
    chain = GilbertElliott(p=0.02, r=0.05, bad_loss=0.5, good_loss=0.1)
    link = line(loss=chain)
    assert sum(fates(link)) / MANY == pytest.approx(chain.mean_loss, rel=0.1)
    assert chain.mean_loss == pytest.approx((0.05 * 0.1 + 0.02 * 0.5) / 0.07)
    reasons = {event.reason for event in link.lost}
    assert reasons == {f"by chance, on a link in its {state} state (Gilbert-Elliott)" for state in ("good", "bad")}


def test_bursts_and_chance_of_one_mean_differ_in_their_runs(line):
    chain = GilbertElliott(p=0.02, r=0.2)
    bursts, random = fates(line(loss=chain)), fates(line(loss=chain.mean_loss))
    assert max(runs(bursts)) > 3 * max(runs(random))


def test_it_begins_good(line):
    assert fates(line(loss=GilbertElliott(p=1, r=0)), 5) == [False, True, True, True, True]


@given(loss=st.one_of(st.floats(0, 1), st.builds(GilbertElliott, st.floats(0.01, 1), st.floats(0.01, 1))))
def test_every_packet_arrives_in_order_or_is_written_down_as_lost(line, loss):
    link = line(loss=loss).send_all([(100, 0.001)] * 40).settle()
    assert link.order == sorted(link.order)
    assert sorted(link.order + [event.packet.seq for event in link.lost]) == list(range(40))
    assert all(event.place == "alice" and event.reason.startswith("by chance, on a link") for event in link.lost)


def test_a_tap_nobody_asked_for_is_off_and_nothing_is_written(line):
    journal = Journal(kinds=())
    link = line(loss=1.0)
    tap = Tap("alice", SimLoop(), journal)
    link.tap.on = tap.on
    link.send()
    assert not tap.on
    assert not link.journal.of(PacketSeen)


@pytest.mark.parametrize(
    "wrong", [(-0.1, 0.5), (0.5, 1.5), (0.5, float("nan")), (0, 0), (0.1, 0.1, 2), (0.1, 0.1, 1, -1)]
)
def test_a_chain_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=r"probability|never change"):
        GilbertElliott(*wrong)
